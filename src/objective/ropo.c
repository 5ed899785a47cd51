/* ropo: robust preference optimisation (Liang et al. 2024, arXiv 2404.04102).
 *
 *   z = beta * h,   s = sig(-z)
 *   loss = 4a/(1+a)^2 * (-logsig(z)) + 4a^2/(1+a)^2 * s
 *   d z = -4a/(1+a)^2 * s * (1 + a*(1-s)):  largest, exactly 1, at s = (1+a)/(2a), smaller for surer disagreement
 *
 * The form and a = 14 are recalled, not confirmed at the source (training.md section 10.3); the constants
 * follow from the greatest weight being 1. The paper also drops the largest losses each round: `--small-loss`
 * (src/train/train_select.c) does that for any objective. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, ALPHA };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"alpha", 14, 1e-3, 1e6, "a: how soon confident disagreement is damped", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], a = options[ALPHA], z = beta * p->h, s = sigmoid(-z);
    double scale = 4 * a / ((1 + a) * (1 + a)), d = -beta * scale * s * (1 + a * sigmoid(z));
    return pair_of_margin(p, beta, scale * (-logsig(z) + a * s), d);
}

const objective objective_ropo = {
    .name = "ropo",
    .learning_rate = 1e-6,
    .summary = "robust preference optimisation: confident disagreement is damped (arXiv 2404.04102)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

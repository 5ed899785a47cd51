/* rdpo: robust DPO (Chowdhury et al. 2024, arXiv 2403.00409).
 *
 *   z = beta * h,   loss = [-(1-e)*logsig(z) + e*logsig(-z)] / (1-2e)
 *
 * Its expectation over flips of rate e is the clean DPO loss. It can be negative and falls without
 * bound, so z is held within +-20 and e below 0.45 (training.md section 5, G): beyond, the gradient is 0. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LABEL_SMOOTHING };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"label_smoothing", 0.1, 0, 0.45, "e, share of swapped labels", ANY_NUMBER},
    {.name = NULL},
};

enum { MAX_Z = 20 };

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], e = options[LABEL_SMOOTHING], scale = 1 / (1 - 2 * e);
    double z = fmax(-MAX_Z, fmin(MAX_Z, beta * p->h));
    bool held = z != beta * p->h;
    double d = held ? 0 : beta * scale * (-(1 - e) * sigmoid(-z) - e * sigmoid(z));
    return pair_of_margin(p, beta, scale * (-(1 - e) * logsig(z) + e * logsig(-z)), d);
}

const objective objective_rdpo = {
    .name = "rdpo",
    .learning_rate = 1e-6,
    .summary = "robust DPO: unbiased for the clean loss under flips of rate e (arXiv 2403.00409)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

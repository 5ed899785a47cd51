/* ipo: identity preference optimisation (Azar et al. 2023, arXiv 2310.12036, eq. 17).
 *
 *   loss = (h - 1/(2 tau))^2,   option `beta` is tau
 *
 * Deviation: eq. 17 takes sums; the authors confirmed that their published results used means,
 * h = L_w/n_w - L_l/n_l. length_normalised chooses; the mean is the default. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LENGTH_NORMALISED };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "tau: the target margin is 1/(2 tau)", ANY_NUMBER},
    {"length_normalised", 1, 0, 1, "1: mean log-ratio per token (as run by the authors), 0: sum (as printed)", WHOLE_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    bool mean = options[LENGTH_NORMALISED] != 0;
    double tau = options[BETA], n_w = mean ? p->n_w : 1, n_l = mean ? p->n_l : 1;
    double gap = p->log_ratio_w / n_w - p->log_ratio_l / n_l - 1 / (2 * tau);
    return (pair_term){
        .loss = gap * gap,
        .d_w = 2 * gap / n_w,
        .d_l = -2 * gap / n_l,
        .reward_w = tau * p->log_ratio_w / n_w,
        .reward_l = tau * p->log_ratio_l / n_l,
    };
}

const objective objective_ipo = {
    .name = "ipo",
    .learning_rate = 1e-6,
    .summary = "identity preference optimisation (arXiv 2310.12036); beta is tau",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

/* rso-sigmoid: the sigmoid-norm loss of statistical rejection sampling (Liu et al. 2023, arXiv 2309.06657).
 *
 *   loss = -logsig(gamma * h),   option `beta` is gamma
 *
 * The same function as DPO; what differs is where the pairs come from (rejection samples labelled by a
 * reward ranker), and the default scale. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA };
static const objective_option options_table[] = {
    {"beta", 0.05, 1e-6, 1e6, "gamma: scale of the margin", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    return pair_logistic(p, options[BETA], 0);
}

const objective objective_rso_sigmoid = {
    .name = "rso-sigmoid",
    .learning_rate = 1e-6,
    .summary = "RSO sigmoid-norm loss (arXiv 2309.06657); beta is gamma",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE | TAKES_REJECTED_SAMPLES,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

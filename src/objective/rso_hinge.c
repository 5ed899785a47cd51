/* rso-hinge: the hinge-norm loss of RSO, and SLiC's hinge (Liu et al. 2023, arXiv 2309.06657;
 * Zhao et al. 2023, arXiv 2305.10425).
 *
 *   hinge-norm  loss = max(0, 1 - gamma * h)               option `beta` is gamma
 *   hinge       loss = max(0, 1 - gamma * (S_w - S_l))     reference_free = 1
 *
 * Sub-gradient 0 at the corner. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, REFERENCE_FREE };
static const objective_option options_table[] = {
    {"beta", 0.05, 1e-6, 1e6, "gamma: scale of the margin", ANY_NUMBER},
    {"reference_free", 0, 0, 1, "1: SLiC hinge without a reference", WHOLE_NUMBER},
    {.name = NULL},
};

static unsigned needs_with(const double *options) {
    return options[REFERENCE_FREE] != 0 ? 0 : NEEDS_REFERENCE;
}

/* Without a reference pair_loss leaves S_ref at 0, so that h is S_w - S_l. */
static pair_term term(const double *options, const pair *p) {
    double gamma = options[BETA], slack = 1 - gamma * p->h;
    return (pair_term){
        .loss = fmax(0, slack),
        .d_w = slack > 0 ? -gamma : 0,
        .d_l = slack > 0 ? gamma : 0,
        .reward_w = gamma * p->log_ratio_w,
        .reward_l = gamma * p->log_ratio_l,
    };
}

const objective objective_rso_hinge = {
    .name = "rso-hinge",
    .learning_rate = 1e-6,
    .summary = "RSO hinge-norm loss, or SLiC hinge when reference_free (arXiv 2309.06657); beta is gamma",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE | TAKES_REJECTED_SAMPLES,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

/* simpo: simple preference optimisation without a reference (Meng et al. 2024, arXiv 2405.14734, eq. 6).
 *
 *   loss = -logsig(beta*(S_w/n_w - S_l/n_l) - gamma)
 *
 * The implicit reward is beta * mean log_prob. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, GAMMA };
static const objective_option options_table[] = {
    {"beta", 2.5, 1e-6, 1e6, "scale of the mean log_prob", ANY_NUMBER},
    {"gamma", 1.375, 0, 1e6, "target margin", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], reward_w = beta * p->s_w / p->n_w, reward_l = beta * p->s_l / p->n_l;
    double z = reward_w - reward_l - options[GAMMA], d = -beta * sigmoid(-z);
    return (pair_term){
        .loss = -logsig(z),
        .d_w = d / p->n_w,
        .d_l = -d / p->n_l,
        .reward_w = reward_w,
        .reward_l = reward_l,
    };
}

const objective objective_simpo = {
    .name = "simpo",
    .learning_rate = 1e-6,
    .summary = "simple preference optimisation, no reference (arXiv 2405.14734)",
    .rows = ROW_PAIR,
    .needs = 0,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

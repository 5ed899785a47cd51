/* modpo: multi-objective DPO (Zhou et al. 2023, arXiv 2310.03708, eq. 12).
 *
 *   z = (beta*h - other_weight*(reward_w - reward_l)) / own_weight,   loss = -logsig(z)
 *
 * The rewards of a pair are the frozen margin models' for the other dimensions (several: their weighted sum,
 * with other_weight 1). own_weight 1 and other_weight 0 is DPO; near 0 it blows up, so it is at least 0.05. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, OWN_WEIGHT, OTHER_WEIGHT };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"own_weight", 0.5, 0.05, 1, "weight of the dimension these pairs were labelled for", ANY_NUMBER},
    {"other_weight", 0.5, 0, 1, "weight of the margin rewards", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], own = options[OWN_WEIGHT];
    double z = (beta * p->h - options[OTHER_WEIGHT] * (p->given_w - p->given_l)) / own;
    double d = -beta / own * sigmoid(-z);
    return pair_of_margin(p, beta, -logsig(z), d);
}

const objective objective_modpo = {
    .name = "modpo",
    .learning_rate = 1e-6,
    .summary = "multi-objective DPO with margin rewards of the other dimensions (arXiv 2310.03708)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE | NEEDS_REWARD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

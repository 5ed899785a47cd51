/* dpo-soft: DPO on soft preference labels, for mixed feedback (training.md section 5).
 *
 *   z = beta * h,   loss = -q*logsig(z) - (1-q)*logsig(-z),   q = label of the chosen side
 *
 * q is the probability that the chosen response is the better one, fused from human, critic and verifier
 * (votes_fuse, src/eval/votes.h). q = 1 is DPO, q = 1/2 pulls the margin to 0. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    return pair_logistic(p, options[BETA], 1 - p->label);
}

const objective objective_dpo_soft = {
    .name = "dpo-soft",
    .learning_rate = 1e-6,
    .summary = "DPO on soft labels: the probability that the chosen response is the better one",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE | NEEDS_LABEL,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

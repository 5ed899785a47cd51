/* spin: self-play fine-tuning (Chen et al. 2024, arXiv 2401.01335, eq. 4.7).
 *
 *   loss = log(1 + exp(-lambda*(L(human) - L(own sample)))),   option `beta` is lambda
 *
 * chosen = the human answer, rejected = a sample of the previous iterate, which is also the reference.
 * As a function it is DPO; the rounds make it self-play (agon train spin --online). The paper raises lambda over its iterations (training.md
 * section 4, (?)): here it is what `--set beta` says, the same in all rounds. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "lambda: scale of the margin", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    return pair_logistic(p, options[BETA], 0);
}

const objective objective_spin = {
    .name = "spin",
    .learning_rate = 1e-6,
    .summary = "self-play fine-tuning: human answer against own previous sample (arXiv 2401.01335); beta is lambda",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE | TAKES_DEMONSTRATIONS,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

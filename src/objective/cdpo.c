/* cdpo: conservative DPO, label-smoothed (Mitchell 2023, note on DPO with noisy preferences; training.md section 4).
 *
 *   z = beta * h,   loss = -(1-e)*logsig(z) - e*logsig(-z)
 *
 * Its optimum is finite, z = ln((1-e)/e), so a flipped label cannot push the margin without end. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LABEL_SMOOTHING };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"label_smoothing", 0.1, 0, 0.5, "e, assumed share of swapped labels", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    return pair_logistic(p, options[BETA], options[LABEL_SMOOTHING]);
}

const objective objective_cdpo = {
    .name = "cdpo",
    .learning_rate = 1e-6,
    .summary = "conservative DPO: label smoothing e, finite optimum (Mitchell 2023)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};

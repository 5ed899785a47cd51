/* choices-confidence: the auxiliary confidence loss (Burns et al. 2023, arXiv 2312.09390; confidence.h) on two choices of a prompt, the logit
 * being z_1 - z_0 of choices and the label that of the second one. a = 0 is exactly choices.
 *
 * Deviation: two choices only, as the paper and its code have two classes: a threshold is a number. */
#include "objective/classes.h"
#include "objective/confidence.h"
#include "objective/table.h"

enum { LIKELIHOOD = N_CONFIDENCE_OPTIONS };
static const objective_option options_table[] = {
    CONFIDENCE_OPTIONS,
    CHOICES_LIKELIHOOD,
    {.name = NULL},
};

static confidence_row read_row(const double *options, const row *r, double total) {
    double z[2];
    choices_logits(r, options[LIKELIHOOD], z);
    return (confidence_row){.logit = z[1] - z[0], .label = r->responses[1].label, .share = r->weight / total};
}

static void write_row(const double *options, const row *r, double d) {
    sequence_gradient(&r->responses[1], options[LIKELIHOOD] * d);
    sequence_gradient(&r->responses[0], -options[LIKELIHOOD] * d);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = choices_check(ctx, self, options, rows, n_rows);
    return s ? s : confidence_loss(ctx, self, options, rows, n_rows, read_row, write_row, row_normaliser(options, rows, n_rows), out);
}

const objective objective_choices_confidence = {
    .name = "choices-confidence",
    .learning_rate = 1e-5,
    .summary = "weak-to-strong: choices (two) with an auxiliary confidence loss (arXiv 2312.09390)",
    .rows = ROW_GROUP,
    .needs = NEEDS_LABEL,
    .coupling = COUPLED_STEP,
    .least_batch = CONFIDENCE_BATCH,
    .most_responses = 2,
    .options = options_table,
    .loss = loss,
};

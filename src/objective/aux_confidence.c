/* aux-confidence: weak-to-strong learning with an auxiliary confidence loss (Burns et al. 2023, arXiv 2312.09390,
 * section 4.3.2 and appendix A.4), whose formula is confidence.h's, of a class head or (likelihood) of the response's own likelihood
 * ratio. a = 0 is classify, in f32 to the last bit. */
#include "objective/classes.h"
#include "objective/confidence.h"
#include "objective/table.h"

enum { LIKELIHOOD = N_CONFIDENCE_OPTIONS };
static const objective_option options_table[] = {
    CONFIDENCE_OPTIONS,
    BINARY_LIKELIHOOD,
    {.name = NULL},
};

static confidence_row read_row(const double *options, const row *r, double total) {
    return (confidence_row){.logit = binary_logit(r->responses, options[LIKELIHOOD]), .label = r->responses->label,
                            .share = r->weight * r->responses->weight / total};
}

static void write_row(const double *options, const row *r, double d) {
    binary_gradient(r->responses, options[LIKELIHOOD], d);
}

static unsigned needs_with(const double *options) {
    return binary_needs(options[LIKELIHOOD]);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = binary_check(ctx, self, options, rows, n_rows);
    return s ? s : confidence_loss(ctx, self, options, rows, n_rows, read_row, write_row, response_normaliser(options, rows, n_rows), out);
}

const objective objective_aux_confidence = {
    .name = "aux-confidence",
    .learning_rate = 1e-5,
    .summary = "weak-to-strong: cross-entropy with an auxiliary confidence loss (arXiv 2312.09390)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_HEAD | NEEDS_LABEL,
    .coupling = COUPLED_STEP,
    .least_batch = CONFIDENCE_BATCH,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
};

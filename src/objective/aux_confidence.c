/* aux-confidence: weak-to-strong learning with an auxiliary confidence loss (Burns et al. 2023, arXiv 2312.09390,
 * section 4.3.2 and appendix A.4).
 *
 *   loss = (1-a)*CE(f, weak label) + a*CE(f, hard_t(f)),   no gradient through hard_t
 *   threshold 0: t = median of the batch's P(1), so that half the batch is positive
 *             1: t = the quantile at 1 - mean weak label (prior matched); hard = P(1) > t
 *             2: as released: class 0 is hard where P(0) >= the quantile of P(0) at the mean weak label
 *   schedule  0: a ramps linearly from 0 to alpha over the first `warmup` of the steps (paper: 0.2)
 *             1: as released: alpha*progress until `warmup`, then alpha at once (a jump; a known defect)
 *
 * f is a class head, or (likelihood) the response's own likelihood ratio. The batch is the whole optimiser step, as the
 * threshold needs it: 32 examples or more (an epoch's last, or a file of fewer rows, makes it smaller). Quantiles interpolate linearly. The ramp counts from the first step,
 * whatever the learning rate's warm-up; the appendix's constants are as recalled (training.md 10.3). a = 0 is exactly cross-entropy (classify). */
#include "base/numbers.h"
#include "objective/classes.h"
#include "objective/table.h"

#include <stdlib.h>

enum { ALPHA, THRESHOLD, SCHEDULE, WARMUP, PROGRESS, LIKELIHOOD };
static const objective_option options_table[] = {
    {"alpha", 0.5, 0, 1, "largest weight of the student's own hard labels (paper: 0.75 for the largest students)", ANY_NUMBER},
    {"threshold", 1, 0, 2, "0: batch median, 1: quantile that matches the weak labels' prior, 2: as released", WHOLE_NUMBER},
    {"schedule", 0, 0, 1, "0: linear ramp, 1: as released, which goes with warmup=0.1", WHOLE_NUMBER},
    {"warmup", 0.2, 0, 1, "share of the steps until alpha is reached", ANY_NUMBER},
    {"progress", 1, 0, 1, "share of the steps done; the trainer sets it", ANY_NUMBER},
    BINARY_LIKELIHOOD,
    {.name = NULL},
};

static double ramp(const double *options) {
    double p = options[PROGRESS], w = options[WARMUP];
    if (options[SCHEDULE] == 1)
        return p <= w ? options[ALPHA] * p : options[ALPHA];
    return p >= w ? options[ALPHA] : options[ALPHA] * p / w;
}

/* What P(1) is compared with; `released` compares P(0). Uses x [n_rows]. */
static double threshold(const double *options, const row *rows, size_t n_rows, double *x) {
    bool released = options[THRESHOLD] == 2;
    double weak = 0;
    for (size_t i = 0; i < n_rows; i++) {
        double s = binary_logit(rows[i].responses, options[LIKELIHOOD]);
        x[i] = sigmoid(released ? -s : s);
        weak += rows[i].responses->label / (double)n_rows;
    }
    numbers_sort(x, n_rows);
    return numbers_quantile(x, n_rows, options[THRESHOLD] == 0 ? 0.5 : released ? weak : 1 - weak);
}

static agon_status step_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                             double total, double *scratch, objective_result *out) {
    double t = threshold(options, rows, n_rows, scratch), a = ramp(options), sum = 0, agree = 0, plain = 0, hards = 0;
    for (size_t i = 0; i < n_rows; i++) {
        response *r = rows[i].responses;
        double share = rows[i].weight * r->weight / total, s = binary_logit(r, options[LIKELIHOOD]), y = r->label;
        double hard = options[THRESHOLD] == 2 ? !(sigmoid(-s) >= t) : sigmoid(s) > t;
        double target = (1 - a) * y + a * hard;
        out->losses[i] = -target * logsig(s) - (1 - target) * logsig(-s);
        agon_status status = loss_check(ctx, self, i, out->losses[i]);
        if (status != AGON_OK)
            return status;
        binary_gradient(r, options[LIKELIHOOD], share * (sigmoid(s) - target));
        sum += share * out->losses[i];
        plain += share * (-y * logsig(s) - (1 - y) * logsig(-s));
        agree += (s > 0) == (y > 0.5) ? share : 0;
        hards += share * hard;
    }
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "alpha", a);
    metric_add(out, "threshold", t);
    metric_add(out, "hard_positive", hards);
    metric_add(out, "weak_cross_entropy", plain);
    metric_add(out, "weak_agreement", agree);
    return AGON_OK;
}

static unsigned needs_with(const double *options) {
    return binary_needs(options[LIKELIHOOD]);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = binary_check(ctx, self, options, rows, n_rows);
    double total = s == AGON_OK ? response_normaliser(options, rows, n_rows) : 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    double *scratch = malloc(n_rows * sizeof *scratch);
    if (!scratch)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory for %zu rows", self->name, n_rows);
    s = step_loss(ctx, self, options, rows, n_rows, total, scratch, out);
    free(scratch);
    return s;
}

const objective objective_aux_confidence = {
    .name = "aux-confidence",
    .learning_rate = 1e-5,
    .summary = "weak-to-strong: cross-entropy with an auxiliary confidence loss (arXiv 2312.09390)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_HEAD | NEEDS_LABEL,
    .coupling = COUPLED_STEP,
    .least_batch = 32,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
};

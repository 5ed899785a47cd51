/* The auxiliary confidence loss: see confidence.h. */
#include "objective/confidence.h"
#include "base/numbers.h"

#include <stdlib.h>

static double ramp(const double *options) {
    double p = options[CONFIDENCE_PROGRESS], w = options[CONFIDENCE_WARMUP], alpha = options[CONFIDENCE_ALPHA];
    if (options[CONFIDENCE_SCHEDULE] == 1)
        return p <= w ? alpha * p : alpha;
    return p >= w ? alpha : alpha * p / w;
}

/* What P(1) is compared with; `released` compares P(0). Uses x [n]. */
static double threshold(const double *options, const confidence_row *rows, size_t n, double *x) {
    bool released = options[CONFIDENCE_THRESHOLD] == 2;
    double weak = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = sigmoid(released ? -rows[i].logit : rows[i].logit);
        weak += rows[i].label / (double)n;
    }
    numbers_sort(x, n);
    return numbers_quantile(x, n, options[CONFIDENCE_THRESHOLD] == 0 ? 0.5 : released ? weak : 1 - weak);
}

static void step_loss(const double *options, confidence_row *rows, size_t n, double *scratch, objective_result *out) {
    double t = threshold(options, rows, n, scratch), a = ramp(options), sum = 0, agree = 0, plain = 0, hards = 0;
    for (size_t i = 0; i < n; i++) {
        confidence_row *r = &rows[i];
        double s = r->logit, y = r->label, share = r->share;
        double hard = options[CONFIDENCE_THRESHOLD] == 2 ? !(sigmoid(-s) >= t) : sigmoid(s) > t;
        double target = (1 - a) * y + a * hard;
        r->loss = -target * logsig(s) - (1 - target) * logsig(-s);
        r->d = share * (sigmoid(s) - target);
        sum += share * r->loss;
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
}

agon_status confidence_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                            confidence_row (*read)(const double *options, const row *r, double total),
                            void (*write)(const double *options, const row *r, double d), double total, objective_result *out) {
    agon_status s = weight_check(ctx, self, total);
    if (s)
        return s;
    confidence_row *all = malloc(n_rows * sizeof *all);
    double *scratch = malloc(n_rows * sizeof *scratch);
    s = all && scratch ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory for %zu rows", self->name, n_rows);
    for (size_t i = 0; i < n_rows && !s; i++)
        all[i] = read(options, &rows[i], total);
    if (!s)
        step_loss(options, all, n_rows, scratch, out);
    for (size_t i = 0; i < n_rows && !s; i++) {
        out->losses[i] = all[i].loss;
        s = loss_check(ctx, self, i, all[i].loss);
        write(options, &rows[i], all[i].d);
    }
    free(all);
    free(scratch);
    return s;
}

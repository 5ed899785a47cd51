/* Selective judging, see selective.h. Jung, Brahman, Choi, "Trust or Escalate" (2024), with the
 * stopping rule of the theorem, not of its public code: the first failed bound stops, and a failure
 * at the top means abstain on everything. */
#include "eval/selective.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/interval.h"
#include <math.h>
#include <stdlib.h>

typedef struct judged {
    double confidence;
    bool error;
} judged;

static int most_confident_first(const void *a, const void *b) {
    double x = ((const judged *)a)->confidence, y = ((const judged *)b)->confidence;
    return (x < y) - (x > y);
}

agon_status selective_judge(agon_ctx *ctx, const double *confidence, const bool *error, size_t n,
                            const selective_options *options, selective_result *out) {
    if (!(options->alpha > 0 && options->alpha < 1 && options->delta > 0 && options->delta < 1))
        return ctx_fail(ctx, AGON_EINVAL,
                        "selective judging: alpha %g and delta %g must lie between 0 and 1",
                        options->alpha, options->delta);
    judged *items = memory_new(n ? n : 1, sizeof *items);
    if (!items)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu calibration items", n);
    for (size_t i = 0; i < n; i++)
        items[i] = (judged){confidence[i], error[i]};
    if (n > 1)
        qsort(items, n, sizeof *items, most_confident_first);
    selective_result r = {
        .abstain = true, .lambda = INFINITY, .risk = NAN, .last_lambda = NAN, .last_bound = NAN};
    size_t n_errors = 0;
    for (size_t i = 0; i < n; i++) {
        n_errors += items[i].error;
        bool last_of_value = i + 1 == n || items[i + 1].confidence != items[i].confidence;
        if (!last_of_value || i + 1 < options->n_min)
            continue;
        double bound = clopper_pearson_upper(n_errors, i + 1, options->delta);
        r.n_tested++;
        r.last_lambda = items[i].confidence;
        r.last_n = i + 1;
        r.last_errors = n_errors;
        r.last_bound = bound;
        if (bound > options->alpha)
            break;
        r.abstain = false;
        r.lambda = items[i].confidence;
        r.coverage = (double)(i + 1) / (double)n;
        r.risk = (double)n_errors / (double)(i + 1);
    }
    free(items);
    *out = r;
    return AGON_OK;
}

void selective_own(const double *confidence, const bool *error, const bool *own, size_t n, size_t n_min, selective_result *r) {
    double from = INFINITY;
    size_t n_above = 0, n_errors = 0;
    for (size_t i = 0; i < n; i++)
        if (own[i] && confidence[i] >= r->lambda && confidence[i] < from)
            from = confidence[i];
    for (size_t i = 0; i < n; i++) {
        n_above += confidence[i] >= from;
        n_errors += confidence[i] >= from && error[i];
    }
    if (r->abstain)
        return;
    r->abstain = n_above < n_min || n_above == 0;
    r->lambda = r->abstain ? INFINITY : from;
    r->coverage = r->abstain ? 0 : (double)n_above / (double)n;
    r->risk = r->abstain ? NAN : (double)n_errors / (double)n_above;
}

size_t selective_least(double alpha, double delta) {
    return (size_t)fmax(1, ceil(log(delta) / log1p(-alpha) - 1e-9));
}

bool selective_decides(const selective_result *r, double confidence) {
    return !r->abstain && confidence >= r->lambda;
}

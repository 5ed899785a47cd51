/* Multiple testing, see multiplicity.h. Holm (1979); Benjamini and Hochberg (1995); spending over
 * attempts (loop 1, G1). */
#include "eval/multiplicity.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    double p;
    size_t at;
} ranked;

static int by_p(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static agon_status rank(agon_ctx *ctx, const double *p, size_t n, ranked **out) {
    ranked *r = memory_new(n ? n : 1, sizeof *r);
    if (!r)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to adjust %zu p values", n);
    for (size_t i = 0; i < n; i++)
        r[i] = (ranked){p[i], i};
    if (n > 1)
        qsort(r, n, sizeof *r, by_p);
    *out = r;
    return AGON_OK;
}

agon_status holm_adjust(agon_ctx *ctx, const double *p, size_t n, double *out) {
    ranked *r = NULL;
    agon_status s = rank(ctx, p, n, &r);
    if (s)
        return s;
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fmin(1, (double)(n - i) * r[i].p));
        out[r[i].at] = worst;
    }
    free(r);
    return AGON_OK;
}

agon_status bh_adjust(agon_ctx *ctx, const double *p, size_t n, double *out) {
    ranked *r = NULL;
    agon_status s = rank(ctx, p, n, &r);
    if (s)
        return s;
    double best = 1;
    for (size_t i = n; i-- > 0;) {
        best = fmin(best, (double)n / (double)(i + 1) * r[i].p);
        out[r[i].at] = best;
    }
    free(r);
    return AGON_OK;
}

double alpha_spending(double alpha, size_t attempt) {
    assert(attempt >= 1);
    return alpha * 6 / (M_PI * M_PI * (double)attempt * (double)attempt);
}

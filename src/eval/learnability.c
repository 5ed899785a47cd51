/* Learnability of critiques: see learnability.h. */
#include "eval/learnability.h"
#include "base/ctx.h"
#include <math.h>

agon_status learnability_measure(agon_ctx *ctx, const double *draft, const double *refined, const double *retry,
                                 const double *shuffled, size_t n, size_t n_tokens, learnability *out) {
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "learnability: there are no items");
    learnability l = {0};
    double m = (double)n;
    for (size_t i = 0; i < n; i++) {
        l.gain += (refined[i] - draft[i]) / m;
        l.over_retry += (refined[i] - retry[i]) / m;
        l.over_shuffled += (refined[i] - shuffled[i]) / m;
        l.fixed += refined[i] > draft[i] ? 1 / m : 0;
        l.broken += refined[i] < draft[i] ? 1 / m : 0;
    }
    l.per_1k_tokens = n_tokens ? l.gain / ((double)n_tokens / 1000) : NAN;
    *out = l;
    return AGON_OK;
}

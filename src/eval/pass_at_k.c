/* See pass_at_k.h. */
#include "eval/pass_at_k.h"
#include "base/ctx.h"

agon_status pass_at_k(agon_ctx *ctx, size_t n, size_t c, size_t k, double *out) {
    double none = 1;
    if (k == 0 || k > n || c > n)
        return ctx_fail(ctx, AGON_EINVAL, "pass@%zu needs at least so many samples and no more right ones than there are; these are %zu of %zu", k, c, n);
    for (size_t i = 0; i < k && none > 0; i++) /* k drawn without putting back, none of them right */
        none *= i < n - c ? (double)(n - c - i) / (double)(n - i) : 0;
    *out = 1 - none;
    return AGON_OK;
}

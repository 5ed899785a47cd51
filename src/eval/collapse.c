/* See collapse.h. CUSUM: Page, Biometrika 41 (1954) 100. */
#include "eval/collapse.h"
#include "base/ctx.h"
#include "base/random.h"
#include <assert.h>
#include <math.h>

size_t cusum_low(const double *x, size_t n, double mu, double sd, double k, double h, double *s) {
    double sum = 0;
    size_t alarm = n;
    assert(sd > 0);
    for (size_t i = 0; i < n; i++) {
        sum = fmax(0, sum + (mu - x[i]) / sd - k);
        if (s)
            s[i] = sum;
        if (sum > h && alarm == n)
            alarm = i;
    }
    return alarm;
}

agon_status collapse_gaussian(agon_ctx *ctx, size_t n, size_t generations, collapse_regime regime, uint64_t seed, double *variance) {
    rng r = rng_new(seed);
    double mean = 0, sd = 1, count = 0, sum = 0, squares = 0;
    if (n < 2)
        return ctx_fail(ctx, AGON_EINVAL, "a normal distribution cannot be fitted to %zu draws; give two or more", n);
    for (size_t t = 0; t < generations; t++) {
        if (regime == COLLAPSE_REPLACE)
            count = sum = squares = 0;
        for (size_t i = 0; i < n; i++) {
            double x = mean + sd * rng_normal(&r);
            count++;
            sum += x;
            squares += x * x;
        }
        mean = sum / count;
        variance[t] = fmax(0, squares / count - mean * mean);
        sd = sqrt(variance[t]);
    }
    return AGON_OK;
}

double collapse_gaussian_ratio(size_t n, size_t t) {
    return pow(1 - 1 / (double)n, (double)t);
}

/* Intervals for a share, see interval.h. Clopper and Pearson (1934) through beta quantiles; Wilson
 * (1927). */
#include "eval/interval.h"
#include "base/numbers.h"
#include "eval/special.h"
#include <assert.h>
#include <math.h>

double clopper_pearson_upper(size_t k, size_t n, double delta) {
    assert(k <= n && delta > 0 && delta < 1);
    if (k == n)
        return 1;
    return special_beta_quantile((double)k + 1, (double)(n - k), 1 - delta);
}

double clopper_pearson_lower(size_t k, size_t n, double delta) {
    assert(k <= n && delta > 0 && delta < 1);
    if (k == 0)
        return 0;
    return special_beta_quantile((double)k, (double)(n - k) + 1, delta);
}

interval clopper_pearson(size_t k, size_t n, double alpha) {
    return (interval){clopper_pearson_lower(k, n, alpha / 2),
                      clopper_pearson_upper(k, n, alpha / 2)};
}

interval clopper_pearson_at(double p, double n, double alpha) {
    assert(p >= 0 && p <= 1 && n > 0 && alpha > 0 && alpha < 1);
    const double k = p * n;
    return (interval){p > 0 ? special_beta_quantile(k, n - k + 1, alpha / 2) : 0, p < 1 ? special_beta_quantile(k + 1, n - k, 1 - alpha / 2) : 1};
}

interval wilson(size_t k, size_t n, double alpha) {
    assert(k <= n);
    return n > 0 ? wilson_at((double)k / (double)n, (double)n, alpha) : (interval){0, 1};
}

interval wilson_at(double p, double m, double alpha) {
    assert(p >= 0 && p <= 1 && m > 0 && alpha > 0 && alpha < 1);
    double z = special_normal_quantile(1 - alpha / 2);
    double centre = (p + z * z / (2 * m)) / (1 + z * z / m);
    double half = z / (1 + z * z / m) * sqrt(p * (1 - p) / m + z * z / (4 * m * m));
    /* At p = 0 and p = 1 the ends are 0 and 1 exactly; rounding must not say otherwise. */
    return (interval){p == 0 ? 0 : fmax(0, centre - half), p == 1 ? 1 : fmin(1, centre + half)};
}

interval interval_of_draws(double *draws, size_t n) {
    numbers_sort(draws, n);
    return n ? (interval){draws[n / 40], draws[n - 1 - n / 40]} : (interval){NAN, NAN};
}

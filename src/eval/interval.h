/* Intervals for a share k of n: exact (Clopper and Pearson 1934) and score (Wilson 1927). */
#ifndef EVAL_INTERVAL_H
#define EVAL_INTERVAL_H

#include <stddef.h>

typedef struct interval {
    double low, high;
} interval;

/* Exact two-sided interval, alpha/2 in each tail (V:clopper_pearson_two_sided). k <= n; n = 0 gives
 * [0, 1]. */
interval clopper_pearson(size_t k, size_t n, double alpha);
/* The largest p with P(Bin(n, p) <= k) >= delta (V:clopper_pearson_one_sided_upper); 1 when n = 0.
 */
double clopper_pearson_upper(size_t k, size_t n, double delta);
/* The smallest p with P(Bin(n, p) >= k) >= delta; 0 when n = 0. */
double clopper_pearson_lower(size_t k, size_t n, double delta);
/* Two-sided exact interval of a share p as of n items, which need not be a whole number; n > 0. */
interval clopper_pearson_at(double p, double n, double alpha);
/* Score interval without continuity correction (V:wilson); n = 0 gives [0, 1]. */
interval wilson(size_t k, size_t n, double alpha);
/* The same of a share p as of n items, which need not be a whole number; n > 0. */
interval wilson_at(double p, double n, double alpha);
/* The middle 95% of draws [n], which it sorts: what is left without the n/40 at either end; NAN for none. */
interval interval_of_draws(double *draws, size_t n);

#endif

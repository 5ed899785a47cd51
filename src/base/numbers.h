/* Lists of numbers: mean, order, quantiles. */
#ifndef BASE_NUMBERS_H
#define BASE_NUMBERS_H

#include <stddef.h>

/* The sum of x [n] in its order over n; 0 for none. */
double numbers_mean(const double *x, size_t n);
/* Sorts ascending. */
void numbers_sort(double *x, size_t n);
/* Type-7 quantile (linear between order statistics) of ascending x [n], n >= 1, 0 <= p <= 1 but for rounding. */
double numbers_quantile(const double *x, size_t n, double p);

#endif

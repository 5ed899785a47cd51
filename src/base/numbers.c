/* Lists of numbers. See numbers.h. */
#include "base/numbers.h"
#include <assert.h>
#include <stdlib.h>

double numbers_mean(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : 0;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void numbers_sort(double *x, size_t n) {
    if (n > 1)
        qsort(x, n, sizeof *x, ascending);
}

double numbers_quantile(const double *x, size_t n, double p) {
    assert(n > 0);
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return x[n - 1];
    return x[i] + (at - (double)i) * (x[i + 1] - x[i]);
}

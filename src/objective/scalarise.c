/* Several objectives as one: see scalarise.h. */
#include "objective/scalarise.h"
#include <math.h>

double scalarise_linear(const double *values, const double *weights, size_t m, double *d) {
    double sum = 0;
    for (size_t i = 0; i < m; i++) {
        sum += weights[i] * values[i];
        if (d)
            d[i] = weights[i];
    }
    return sum;
}

double scalarise_tchebycheff(const double *values, const double *ideal, const double *weights, size_t m, size_t *active,
                             double *d) {
    double worst = -INFINITY;
    *active = 0;
    for (size_t i = 0; i < m; i++)
        if (weights[i] * (ideal[i] - values[i]) > worst) {
            worst = weights[i] * (ideal[i] - values[i]);
            *active = i;
        }
    for (size_t i = 0; d && i < m; i++)
        d[i] = i == *active ? -weights[i] : 0;
    return worst;
}

/* The distribution of a sum of unequal coins by convolution, one coin at a time (Hong 2013, section 2), see shift.h. */
#include "eval/shift.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

static const double CLEAR_OF_CERTAIN = 0.02;

agon_status calibration_shift(agon_ctx *ctx, const double *p, const bool *right, size_t n, double *out) {
    double *mass = memory_new(n + 1, sizeof *mass), below = 0, above = 0; /* mass[k]: P(k right among those looked at) */
    size_t n_right = 0;
    if (!mass)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu items", n);
    mass[0] = 1;
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1)) {
            free(mass);
            return ctx_fail(ctx, AGON_EINVAL, "calibration shift: item %zu has probability %g", i, p[i]);
        }
        double q = fmin(fmax(p[i], CLEAR_OF_CERTAIN), 1 - CLEAR_OF_CERTAIN);
        for (size_t k = i + 1; k > 0; k--)
            mass[k] = mass[k] * (1 - q) + mass[k - 1] * q;
        mass[0] *= 1 - q;
        n_right += right[i];
    }
    for (size_t k = 0; k <= n; k++) {
        below += k <= n_right ? mass[k] : 0;
        above += k >= n_right ? mass[k] : 0;
    }
    free(mass);
    *out = fmin(1, 2 * fmin(below, above));
    return AGON_OK;
}

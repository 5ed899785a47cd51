/* Intervals over few seeds: see over_seeds.h. Linearised ratio: Cochran 1977, section 6.3. */
#include "eval/over_seeds.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "eval/special.h"
#include <math.h>
#include <stdlib.h>

static double ratio_of(const double *above, const double *below, size_t n, double *mean_below) {
    double mean = 0;
    *mean_below = below ? 0 : 1;
    for (size_t i = 0; i < n; i++) {
        mean += above[i] / (double)n;
        if (below)
            *mean_below += below[i] / (double)n;
    }
    return *mean_below > 0 ? mean / *mean_below : NAN;
}

double over_seeds_error(const double *above, const double *below, size_t n_seeds) {
    double scale, squares = 0, n = (double)n_seeds;
    const double ratio = ratio_of(above, below, n_seeds, &scale);
    for (size_t i = 0; i < n_seeds; i++) {
        double z = (above[i] - ratio * (below ? below[i] : 1)) / scale; /* their mean is 0 */
        squares += z * z;
    }
    return n_seeds > 1 ? sqrt(squares / (n - 1) / n) : NAN;
}

interval over_seeds_student(const double *above, const double *below, size_t n_seeds, double alpha) {
    double scale, half = over_seeds_error(above, below, n_seeds);
    const double ratio = ratio_of(above, below, n_seeds, &scale);
    if (isnan(half))
        return (interval){NAN, NAN};
    half *= special_student_quantile(1 - alpha / 2, (double)n_seeds - 1);
    return (interval){ratio - half, ratio + half};
}

interval over_seeds_wider(interval drawn, const double *above, const double *below, size_t n_seeds, double alpha) {
    const interval student = over_seeds_student(above, below, n_seeds, alpha);
    return student.high - student.low > drawn.high - drawn.low ? student : drawn;
}

agon_status over_seeds_difference(agon_ctx *ctx, const double *x, const double *y, bool y_by_seed, size_t n_seeds, size_t n_items,
                                  size_t draws, uint64_t seed, double *mean, interval *range) {
    if (n_seeds == 0 || n_items == 0 || draws == 0)
        return ctx_fail(ctx, AGON_EINVAL, "difference over seeds: there are no scores");
    size_t *items = memory_new(n_items, sizeof *items), n = n_seeds * n_items;
    double *drawn = memory_new(size_add(draws, n_seeds), sizeof *drawn), *by_seed = drawn ? drawn + draws : NULL;
    if (!items || !drawn) {
        free(items), free(drawn);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu draws", draws);
    }
    rng r = rng_new(seed);
    *mean = 0;
    for (size_t k = 0; k < n_seeds; k++)
        by_seed[k] = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - y[y_by_seed ? i : i % n_items];
        *mean += d / (double)n, by_seed[i / n_items] += d / (double)n_items;
    }
    for (size_t d = 0; d < draws; d++) {
        drawn[d] = 0;
        for (size_t i = 0; i < n_items; i++)
            items[i] = (size_t)rng_below(&r, n_items);
        for (size_t k = 0; k < n_seeds; k++) {
            size_t at = (size_t)rng_below(&r, n_seeds) * n_items;
            for (size_t i = 0; i < n_items; i++)
                drawn[d] += (x[at + items[i]] - y[(y_by_seed ? at : 0) + items[i]]) / (double)n;
        }
    }
    *range = over_seeds_wider(interval_of_draws(drawn, draws), by_seed, NULL, n_seeds, 0.05);
    free(items);
    free(drawn);
    return AGON_OK;
}

/* Performance gap recovered: see recovery.h. */
#include "eval/recovery.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "eval/over_seeds.h"
#include <math.h>
#include <stdlib.h>

double gap_recovered(double weak, double student, double ceiling) {
    return ceiling > weak ? (student - weak) / (ceiling - weak) : NAN;
}

typedef struct scores {
    const double *weak, *student, *ceiling;
    size_t n_seeds, n_items;
} scores;

typedef struct means {
    double weak, student, ceiling;
} means;

/* Means over the drawn seeds and items; NULL: all of them. */
static means means_of(const scores *x, const size_t *seeds, const size_t *items) {
    means m = {0};
    double n = (double)x->n_seeds * (double)x->n_items;
    for (size_t s = 0; s < x->n_seeds; s++)
        for (size_t i = 0; i < x->n_items; i++) {
            size_t at = (seeds ? seeds[s] : s) * x->n_items + (items ? items[i] : i);
            m.weak += x->weak[at], m.student += x->student[at], m.ceiling += x->ceiling[at];
        }
    return (means){m.weak / n, m.student / n, m.ceiling / n};
}

/* `drawn` [draws] defined values, `index` [n_seeds + n_items]. */
static void bootstrap(const scores *x, size_t draws, uint64_t seed, double alpha, double *drawn, size_t *index,
                      gap_recovery *r) {
    rng random = rng_new(seed);
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t d = 0; d < draws; d++) {
        for (size_t s = 0; s < x->n_seeds; s++)
            index[s] = rng_below(&random, x->n_seeds);
        for (size_t i = 0; i < x->n_items; i++)
            index[x->n_seeds + i] = rng_below(&random, x->n_items);
        means m = means_of(x, index, index + x->n_seeds);
        double gap = m.ceiling - m.weak, pgr = gap_recovered(m.weak, m.student, m.ceiling);
        sum += gap, squares += gap * gap;
        if (!isnan(pgr))
            drawn[n++] = pgr;
    }
    double mean = sum / (double)draws;
    r->gap_se = sqrt(fmax(0, squares / (double)draws - mean * mean));
    r->n_undefined = draws - n;
    if (n > 0) {
        numbers_sort(drawn, n);
        r->range = (interval){numbers_quantile(drawn, n, alpha / 2), numbers_quantile(drawn, n, 1 - alpha / 2)};
    }
}

/* What the seeds alone say. by_seed [2, n_seeds]: how far the student and the ceiling are above the weak supervisor. */
static void widen(const scores *x, double alpha, double *by_seed, gap_recovery *r) {
    double *gained = by_seed, *gap = by_seed + x->n_seeds;
    for (size_t s = 0; s < x->n_seeds; s++) {
        const size_t at = s * x->n_items;
        const double weak = numbers_mean(x->weak + at, x->n_items);
        gained[s] = numbers_mean(x->student + at, x->n_items) - weak;
        gap[s] = numbers_mean(x->ceiling + at, x->n_items) - weak;
    }
    r->range = over_seeds_wider(r->range, gained, gap, x->n_seeds, alpha);
    r->gap_se = fmax(r->gap_se, over_seeds_error(gap, NULL, x->n_seeds)); /* NAN of one seed is passed over */
}

agon_status gap_recovery_measure(agon_ctx *ctx, const double *weak, const double *student, const double *ceiling,
                                 size_t n_seeds, size_t n_items, size_t draws, uint64_t seed, double alpha,
                                 gap_recovery *out) {
    if (n_seeds == 0 || n_items == 0 || draws == 0)
        return ctx_fail(ctx, AGON_EINVAL, "gap recovered: there are no scores");
    const scores x = {weak, student, ceiling, n_seeds, n_items};
    double *drawn = memory_new(draws, sizeof *drawn);
    double *by_seed = memory_new(size_add(n_seeds, n_seeds), sizeof *by_seed);
    size_t *index = memory_new(size_add(n_seeds, n_items), sizeof *index);
    if (!drawn || !by_seed || !index) {
        free(drawn), free(by_seed), free(index);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu draws", draws);
    }
    means m = means_of(&x, NULL, NULL);
    gap_recovery r = {.weak = m.weak, .student = m.student, .ceiling = m.ceiling, .gap = m.ceiling - m.weak,
                      .pgr = gap_recovered(m.weak, m.student, m.ceiling), .range = {NAN, NAN}};
    bootstrap(&x, draws, seed, alpha, drawn, index, &r);
    widen(&x, alpha, by_seed, &r);
    r.gap_is_noise = !(r.gap >= 2 * r.gap_se) || r.gap <= 0;
    if (isnan(r.pgr))
        r.range = (interval){NAN, NAN};
    free(drawn);
    free(by_seed);
    free(index);
    *out = r;
    return AGON_OK;
}

imitation imitation_measure(const int *weak, const int *student, const int *truth, size_t n) {
    double right = 0, wrong = 0, agree_right = 0, agree_wrong = 0, student_wrong = 0, both = 0, m = (double)n;
    for (size_t i = 0; i < n; i++) {
        bool ok = weak[i] == truth[i], same = weak[i] == student[i];
        right += ok, wrong += !ok;
        agree_right += ok && same, agree_wrong += !ok && same;
        student_wrong += student[i] != truth[i];
        both += !ok && student[i] != truth[i];
    }
    double covariance = both / m - wrong / m * student_wrong / m;
    double spread = wrong / m * (1 - wrong / m) * student_wrong / m * (1 - student_wrong / m);
    return (imitation){agree_right / right, agree_wrong / wrong, spread > 0 ? covariance / sqrt(spread) : NAN};
}

/* Paired comparisons, see paired.h. Newcombe, Statistics in Medicine 17 (1998) 2635, method 10;
 * McNemar (1947), mid-p after Fagerland, Lydersen, Laake (2013); Tango, Statistics in Medicine 17
 * (1998) 891. */
#include "eval/paired.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "eval/special.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

size_t paired_n(const paired_table *t) {
    return t->both + t->gained + t->lost + t->neither + t->same;
}

void paired_add(paired_table *t, bool now, bool before) {
    *(now ? (before ? &t->both : &t->gained) : (before ? &t->lost : &t->neither)) += 1;
}

paired_table paired_count(const bool *now, const bool *before, size_t n) {
    paired_table t = {0};
    for (size_t i = 0; i < n; i++)
        paired_add(&t, now[i], before[i]);
    return t;
}

double paired_gain(const paired_table *t) {
    size_t n = paired_n(t);
    return n ? ((double)t->gained - (double)t->lost) / (double)n : 0;
}

/* The four counts, as of `weight` times as many items. */
typedef struct cells {
    double both, gained, lost, neither, n;
} cells;

static cells weighted(const paired_table *t, double weight) {
    return (cells){weight * (double)t->both, weight * (double)t->gained, weight * (double)t->lost, weight * (double)t->neither, weight * (double)paired_n(t)};
}

/* Correlation of the two outcomes with Newcombe's continuity correction for a positive one. */
static double outcome_correlation(const cells *t) {
    double a = t->both, b = t->gained, c = t->lost, d = t->neither;
    double margins = (a + b) * (c + d) * (a + c) * (b + d), cross = a * d - b * c;
    if (margins <= 0)
        return 0;
    if (cross > 0)
        cross = fmax(cross - 0.5 * (a + b + c + d), 0);
    return cross / sqrt(margins);
}

static interval newcombe(const paired_table *t, double weight, double alpha) {
    const cells c = weighted(t, weight);
    double n = (double)paired_n(t), p = (double)(t->both + t->gained) / n, q = (double)(t->both + t->lost) / n;
    interval now = wilson_at(p, c.n, alpha), before = wilson_at(q, c.n, alpha);
    double phi = outcome_correlation(&c), gain = paired_gain(t);
    double down = p - now.low, up = now.high - p, down_q = q - before.low, up_q = before.high - q;
    double low = down * down - 2 * phi * down * up_q + up_q * up_q;
    double high = up * up - 2 * phi * up * down_q + down_q * down_q;
    return (interval){fmax(-1, gain - sqrt(fmax(0, low))), fmin(1, gain + sqrt(fmax(0, high)))};
}

interval paired_difference(const paired_table *t, double alpha) {
    return paired_n(t) > 0 ? paired_difference_at(t, (double)paired_n(t), alpha) : (interval){-1, 1};
}

interval paired_difference_at(const paired_table *t, double n, double alpha) {
    assert(paired_n(t) > 0 && n > 0);
    interval widest = {1, -1};
    for (size_t k = 0; k <= t->same; k++) {
        const paired_table truth = {t->both + k, t->gained, t->lost, t->neither + t->same - k, 0};
        const interval x = newcombe(&truth, n / (double)paired_n(t), alpha);
        widest = (interval){fmin(widest.low, x.low), fmax(widest.high, x.high)};
    }
    return widest;
}

double mcnemar_exact(size_t gained, size_t lost) {
    size_t less = gained < lost ? gained : lost;
    return fmin(1, 2 * special_binomial_at_most((long long)less, (long long)(gained + lost), 0.5));
}

double mcnemar_one_sided(size_t gained, size_t lost) {
    /* By symmetry P(X >= gained) = P(X <= lost). */
    return special_binomial_at_most((long long)lost, (long long)(gained + lost), 0.5);
}

agon_status paired_bootstrap(agon_ctx *ctx, const double *x, const double *y, size_t n,
                             size_t draws, uint64_t seed, double alpha, bootstrap_result *out) {
    if (n == 0 || draws == 0)
        return ctx_fail(ctx, AGON_EINVAL,
                        "bootstrap: needs at least one item and one draw (%zu, %zu)", n, draws);
    double *means = memory_new(draws, sizeof *means);
    if (!means)
        return ctx_fail(ctx, AGON_ENOMEM, "bootstrap: no memory for %zu draws", draws);
    rng r = rng_new(seed);
    for (size_t b = 0; b < draws; b++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)rng_below(&r, n);
            sum += x[at] - (y ? y[at] : 0);
        }
        means[b] = sum / (double)n;
    }
    numbers_sort(means, draws);
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += x[i] - (y ? y[i] : 0);
    *out = (bootstrap_result){
        total / (double)n,
        {numbers_quantile(means, draws, alpha / 2), numbers_quantile(means, draws, 1 - alpha / 2)}};
    free(means);
    return AGON_OK;
}

agon_status mean_bootstrap(agon_ctx *ctx, const double *x, size_t n, size_t draws, uint64_t seed,
                           double alpha, bootstrap_result *out) {
    return paired_bootstrap(ctx, x, NULL, n, draws, seed, alpha, out);
}

/* Score statistic of H0 "difference = delta", with the restricted maximum likelihood estimate of
 * P(lost). */
static double tango_z(double gained, double lost, double n, double delta) {
    double a = 2 * n, b = -gained - lost + (2 * n - gained + lost) * delta,
           c = -lost * delta * (1 - delta);
    double p_lost = (sqrt(fmax(0, b * b - 4 * a * c)) - b) / (2 * a);
    double variance = n * (2 * p_lost + delta * (1 - delta)), above = gained - lost - n * delta;
    if (variance <= 0)
        return above > 0 ? INFINITY : above < 0 ? -INFINITY : 0;
    return above / sqrt(variance);
}

noninferiority noninferiority_tango(size_t gained, size_t lost, size_t n, double margin,
                                    double alpha) {
    assert(gained + lost <= n);
    const paired_table t = {.gained = gained, .lost = lost, .neither = n - gained - lost};
    return n > 0 ? noninferiority_tango_at(&t, (double)n, margin, alpha) : (noninferiority){.p = 1, .lower = -1};
}

noninferiority noninferiority_tango_at(const paired_table *t, double n, double margin, double alpha) {
    assert(margin >= 0 && margin < 1 && alpha > 0 && alpha < 0.5 && paired_n(t) > 0 && n > 0);
    const cells as_of = weighted(t, n / (double)paired_n(t));
    double b = as_of.gained, c = as_of.lost, m = as_of.n, z_alpha = special_normal_quantile(1 - alpha);
    noninferiority out = {.difference = (b - c) / m, .z = tango_z(b, c, m, -margin)};
    out.p = special_normal(-out.z);
    out.holds = out.p < alpha;
    double low = -1, high = out.difference; /* z falls from +inf to 0 on the way up */
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (tango_z(b, c, m, middle) > z_alpha)
            low = middle;
        else
            high = middle;
    }
    out.lower = low;
    return out;
}

size_t noninferiority_sample_size(double psi, double margin, double alpha, double power) {
    assert(psi >= 0 && psi <= 1 && margin > 0 && power > 0 && power < 1);
    double z = special_normal_quantile(1 - alpha) + special_normal_quantile(power);
    return (size_t)ceil(psi * z * z / (margin * margin));
}

/* Curriculum weights, attack success rates, critic uplift: see curriculum.h. */
#include "eval/curriculum.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <assert.h>
#include <stdlib.h>

double curriculum_mean(size_t s, size_t n) {
    assert(s <= n);
    return ((double)s + 1) / ((double)n + 2);
}

double curriculum_weight(size_t s, size_t n) {
    double m = curriculum_mean(s, n);
    return m * (1 - m);
}

void curriculum_probabilities(const size_t *solved, const size_t *tried, size_t n_cells,
                              double floor, double *out) {
    double total = 0;
    for (size_t i = 0; i < n_cells; i++)
        total += out[i] = curriculum_weight(solved[i], tried[i]);
    for (size_t i = 0; i < n_cells; i++)
        out[i] = floor / (double)n_cells + (1 - floor) * out[i] / total; /* weights are positive */
}

size_t curriculum_draw(const double *probability, size_t n_cells, double u) {
    assert(n_cells > 0);
    double sum = 0;
    for (size_t i = 0; i < n_cells; i++) {
        sum += probability[i];
        if (u < sum)
            return i;
    }
    return n_cells - 1; /* rounding left the sum below u */
}

agon_status attack_rate_two_level(agon_ctx *ctx, const bool *success, size_t n_attacks, size_t k,
                                  size_t draws, uint64_t seed, double alpha, attack_rate *out) {
    if (n_attacks == 0 || k == 0)
        return ctx_fail(ctx, AGON_EINVAL,
                        "attack success rate: %zu attacks of %zu samples leave nothing to count",
                        n_attacks, k);
    double *share = memory_new(n_attacks, sizeof *share);
    if (!share)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu attacks", n_attacks);
    size_t n_any = 0;
    for (size_t i = 0; i < n_attacks; i++) {
        size_t hits = 0;
        for (size_t j = 0; j < k; j++)
            hits += success[i * k + j];
        n_any += hits > 0;
        share[i] = (double)hits / (double)k;
    }
    bootstrap_result b;
    agon_status s = mean_bootstrap(ctx, share, n_attacks, draws, seed, alpha, &b);
    free(share);
    if (s)
        return s;
    *out = (attack_rate){b.mean, (double)n_any / (double)n_attacks, b.range,
                         clopper_pearson(n_any, n_attacks, alpha)};
    return AGON_OK;
}

agon_status critic_uplift_measure(agon_ctx *ctx, const double *before, const double *after,
                                  const double *placebo, size_t n, size_t draws, uint64_t seed,
                                  double alpha, critic_uplift *out) {
    bootstrap_result net;
    agon_status s = paired_bootstrap(ctx, after, placebo, n, draws, seed, alpha, &net);
    if (s)
        return s;
    critic_uplift u = {.net = net.mean, .net_range = net.range};
    for (size_t i = 0; i < n; i++) {
        u.uplift += (after[i] - before[i]) / (double)n;
        u.fixed += before[i] < 0.5 && after[i] >= 0.5;
        u.broken += before[i] >= 0.5 && after[i] < 0.5;
    }
    *out = u;
    return AGON_OK;
}

/* Selection: see selection.h. */
#include "train/selection.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct keyed {
    double value;
    size_t index;
} keyed;

static int ascending(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

agon_status select_smallest(agon_ctx *ctx, const double *values, size_t n, size_t n_keep, size_t *picked) {
    if (n_keep > n)
        return ctx_fail(ctx, AGON_EINVAL, "%zu of %zu items cannot be kept", n_keep, n);
    keyed *sorted = memory_new(n ? n : 1, sizeof *sorted);
    if (!sorted)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu items", n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            free(sorted);
            return ctx_fail(ctx, AGON_EINVAL, "item %zu: %g cannot be ranked", i, values[i]);
        }
        sorted[i] = (keyed){values[i], i};
    }
    qsort(sorted, n, sizeof *sorted, ascending);
    for (size_t i = 0; i < n_keep; i++)
        picked[i] = sorted[i].index;
    qsort(picked, n_keep, sizeof *picked, by_index);
    free(sorted);
    return AGON_OK;
}

double small_loss_share(double tau, double t, double ramp) {
    return 1 - tau * (ramp > 0 ? fmin(t / ramp, 1) : 1);
}

size_t small_loss_count(double share, size_t n) {
    size_t count = (size_t)floor(share * (double)n + 1e-9); /* 1 - 0.9 of 10 items is one, whatever the last bit says */
    return count > 0 || n == 0 ? count : 1;
}

agon_status co_teaching(agon_ctx *ctx, const double *loss_a, const double *loss_b, size_t n, double share,
                        size_t *a_trains_on, size_t *b_trains_on, size_t *n_keep) {
    if (!(share >= 0 && share <= 1))
        return ctx_fail(ctx, AGON_EINVAL, "co-teaching: the share kept is %g; it lies between 0 and 1", share);
    *n_keep = small_loss_count(share, n);
    agon_status s = select_smallest(ctx, loss_b, n, *n_keep, a_trains_on);
    return s == AGON_OK ? select_smallest(ctx, loss_a, n, *n_keep, b_trains_on) : s;
}

bool select_pair(const double *scores, size_t n, size_t *chosen, size_t *rejected) {
    size_t best = 0, worst = 0;
    for (size_t i = 1; i < n; i++) {
        best = scores[i] > scores[best] ? i : best;
        worst = scores[i] < scores[worst] ? i : worst;
    }
    if (n == 0 || !(scores[best] > scores[worst]))
        return false;
    *chosen = best;
    *rejected = worst;
    return true;
}

double uniform_of_rng(void *arg) {
    return rng_uniform(arg);
}

agon_status rejection_sample(agon_ctx *ctx, const double *rewards, size_t n, double beta, size_t wanted,
                             uniform_source uniform, void *arg, size_t *accepted) {
    if (wanted > n || !(beta >= 0))
        return ctx_fail(ctx, AGON_EINVAL, "rejection sampling: %zu of %zu candidates at temperature %g", wanted, n, beta);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(rewards[i]))
            return ctx_fail(ctx, AGON_EINVAL, "candidate %zu: the reward is not finite", i);
    bool *taken = calloc(n ? n : 1, sizeof *taken);
    if (!taken)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu candidates", n);
    size_t count = 0;
    while (count < wanted) { /* the best of those left is accepted for certain, so every sweep takes one */
        double max = -INFINITY;
        for (size_t i = 0; i < n; i++)
            max = taken[i] ? max : fmax(max, rewards[i]);
        for (size_t i = 0; i < n && count < wanted; i++) {
            if (taken[i])
                continue;
            double p = rewards[i] == max ? 1 : exp((rewards[i] - max) / beta);
            taken[i] = uniform(arg) < p;
            if (taken[i])
                accepted[count++] = i;
        }
    }
    free(taken);
    return AGON_OK;
}

agon_status rejection_pairs(agon_ctx *ctx, const double *rewards, size_t n, double beta, size_t wanted, uint64_t seed,
                            size_t (*pairs)[2], size_t *n_pairs) {
    rng stream = rng_new(seed);
    size_t *accepted = memory_new(wanted + 1, sizeof *accepted);
    if (!accepted)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu candidates", n);
    agon_status s = rejection_sample(ctx, rewards, n, beta, wanted, uniform_of_rng, &stream, accepted);
    *n_pairs = 0;
    for (size_t i = 0; !s && i + 1 < wanted; i += 2) {
        size_t a = accepted[i], b = accepted[i + 1];
        if (rewards[a] == rewards[b])
            continue;
        pairs[*n_pairs][0] = rewards[a] > rewards[b] ? a : b;
        pairs[(*n_pairs)++][1] = rewards[a] > rewards[b] ? b : a;
    }
    free(accepted);
    return s;
}

agon_status pack_best_fit(agon_ctx *ctx, const size_t *lengths, size_t n, size_t capacity, size_t *bin, size_t *n_bins) {
    keyed *sorted = memory_new(n ? n : 1, sizeof *sorted);
    size_t *room = memory_new(n ? n : 1, sizeof *room), bins = 0;
    if (!sorted || !room) {
        free(sorted), free(room);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu documents", n);
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = (keyed){-(double)lengths[i], i};
    qsort(sorted, n, sizeof *sorted, ascending);
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && !(s = ctx_check_interrupt(ctx)); i++) {
        size_t document = sorted[i].index, length = lengths[document], best = bins;
        for (size_t b = 0; b < bins; b++)
            if (room[b] >= length && (best == bins || room[b] < room[best]))
                best = b;
        if (best == bins)
            room[bins++] = length > capacity ? length : capacity;
        room[best] -= length;
        bin[document] = best;
    }
    free(sorted);
    free(room);
    if (!s)
        *n_bins = bins;
    return s;
}

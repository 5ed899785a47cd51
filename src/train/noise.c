/* Noise injection: see noise.h. */
#include "train/noise.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include <stdlib.h>

void noise_flips(uint64_t seed, double rate, size_t n, bool *flipped) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++)
        flipped[i] = rng_uniform(&r) < rate;
}

/* Any token but `own`. The stream's integers by remainder, as the specification's stream has it. */
static int32_t other_token(rng *r, size_t vocabulary, int32_t own) {
    int32_t id = (int32_t)(rng_next(r) % (vocabulary - 1));
    return id >= own ? id + 1 : id;
}

void noise_tokens(uint64_t seed, double rate, size_t vocabulary, int32_t *tokens, size_t n, bool *replaced) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++) {
        replaced[i] = rng_uniform(&r) < rate;
        if (replaced[i])
            tokens[i] = other_token(&r, vocabulary, tokens[i]);
    }
}

void noise_spans(uint64_t seed, double rate, double grow, size_t most, size_t vocabulary, int32_t *tokens, size_t n,
                 bool *replaced) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++)
        replaced[i] = false;
    for (size_t i = 0; i < n;) {
        if (!(rng_uniform(&r) < rate)) {
            i++;
            continue;
        }
        size_t length = 1;
        while (length < most && rng_uniform(&r) < grow)
            length++;
        for (size_t end = i + length; i < end && i < n; i++) {
            tokens[i] = other_token(&r, vocabulary, tokens[i]);
            replaced[i] = true;
        }
    }
}

agon_status noise_matched(agon_ctx *ctx, uint64_t seed, const int *labels, const int *truth, size_t n, size_t k,
                          int *out) {
    for (size_t i = 0; i < n; i++)
        if (labels[i] < 0 || truth[i] < 0 || (size_t)labels[i] >= k || (size_t)truth[i] >= k)
            return ctx_fail(ctx, AGON_EINVAL, "item %zu: label %d or truth %d is none of the %zu classes", i, labels[i],
                            truth[i], k);
    size_t *items = memory_new(n ? n : 1, sizeof *items), *order = memory_new(n ? n : 1, sizeof *order);
    if (!items || !order) {
        free(items), free(order);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu labels", n);
    }
    rng r = rng_new(seed);
    for (size_t c = 0; c < k; c++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if ((size_t)truth[i] == c)
                items[m] = order[m] = i, m++;
        rng_shuffle(&r, order, m);
        for (size_t i = 0; i < m; i++)
            out[items[i]] = labels[order[i]];
    }
    free(items);
    free(order);
    return AGON_OK;
}

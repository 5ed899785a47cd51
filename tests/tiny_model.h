/* Random models small enough for exhaustive checks, built in memory. */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "base/random.h"
#include "model/model_private.h"
#include "test.h"

/* Values from the tensor's name: matrices with variance 1/n_in or so, norms around 1. */
static inline agon_status tiny_tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)ctx;
    rng r = rng_new(seed_derive(*(uint64_t *)arg, name));
    bool norm = strstr(name, "norm") != NULL, embedding = strstr(name, "embed") || strstr(name, "lm_head");
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((norm ? 1.0 : 0.0) + (embedding ? 0.4 : 0.3) * (rng_uniform(&r) * 2 - 1));
    return AGON_OK;
}

static inline model_config tiny_config(void) {
    model_config c = {.architecture = "llama",
                      .n_layers = 2,
                      .d_model = 24,
                      .n_heads = 4,
                      .n_kv_heads = 2,
                      .head_dim = 8,
                      .d_ff = 40,
                      .n_vocabulary = 61,
                      .max_context = 256,
                      .norm_eps = 1e-5f,
                      .rope_theta = 10000,
                      .rope_scaling = "none",
                      .tied_embeddings = true};
    return c;
}

static inline model *tiny_model(agon_ctx *ctx, const model_config *c, compute_dtype dtype) {
    static uint64_t seed = 7;
    model *m = NULL;
    assert_ok(ctx, model_build(ctx, c, tiny_tensor, &seed, dtype, &m));
    return m;
}

/* An adapter whose B is not zero, so that it changes something. */
static inline adapter *tiny_adapter(agon_ctx *ctx, const model *m, size_t rank, uint64_t seed) {
    adapter_options o = {.rank = rank, .alpha = 2 * (float)rank, .seed = seed};
    adapter *a = NULL;
    parameters p;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    assert_ok(ctx, adapter_parameters(ctx, a, &p));
    rng r = rng_new(seed + 1);
    for (size_t i = 1; i < p.n; i += 2)
        for (size_t j = 0; j < p.items[i].n_rows * p.items[i].n_columns; j++)
            p.items[i].value[j] = (float)(rng_uniform(&r) - 0.5) * 0.3f;
    adapter_changed(ctx, a);
    return a;
}

/* The same for two or three dimensions, at an uneven vector: U and the singular values are not those of the start. */
static inline adapter *tiny_preference_adapter(agon_ctx *ctx, const model *m, size_t rank, size_t n, uint64_t seed) {
    static const char *const names[] = {"helpful", "harmless", "brief"};
    const double vector[3] = {0.5, 0.3, 0.2}, two[2] = {0.7, 0.3};
    adapter_options o = {.rank = rank, .alpha = 2 * (float)rank, .seed = seed, .dimensions = names, .n_dimensions = n};
    adapter *a = NULL;
    parameters p;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    assert_ok(ctx, adapter_parameters(ctx, a, &p));
    rng r = rng_new(seed + 1);
    for (size_t i = 0; i < p.n; i++)
        for (size_t j = 0; !strstr(p.items[i].name, "lora_A") && j < p.items[i].n_rows * p.items[i].n_columns; j++)
            p.items[i].value[j] += (float)(rng_uniform(&r) - 0.5) * 0.3f;
    assert_ok(ctx, adapter_set_preference(ctx, a, n == 2 ? two : vector, n));
    return a;
}

static inline void tiny_tokens(int32_t *tokens, size_t n, uint64_t seed) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)rng_below(&r, 61);
}

#endif

/* Random rows for a model of two layers, and a training of any objective on them. */
#ifndef TESTS_TRAIN_RANDOM_ROWS_H
#define TESTS_TRAIN_RANDOM_ROWS_H

#include "trainer.h"

enum { N_ROWS = 8, N_PROMPT = 5, N_RESPONSE = 6, K = 4, N_VOCABULARY = 61 };

/* Embeddings large enough for sharp logits under a frozen norm. */
static inline agon_status tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)ctx, (void)arg;
    rng r = rng_new(seed_derive(7, name));
    double base = strstr(name, "norm") ? 1 : 0, spread = strstr(name, "embed") ? 1.2 : 0.2;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(base + spread * (rng_uniform(&r) * 2 - 1));
    return AGON_OK;
}

static inline model *new_model(agon_ctx *ctx, compute_dtype dtype) {
    model_config c = tiny_config();
    model *m = NULL;
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, dtype, &m));
    return m;
}

static inline adapter *new_adapter(agon_ctx *ctx, const model *m) {
    adapter_options o = {.rank = 8, .alpha = 16, .seed = 3};
    adapter *a = NULL;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    return a;
}

/* Random rows of k responses each. */
typedef struct test_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][K];
    int32_t prompts[N_ROWS][N_PROMPT], tokens[N_ROWS][K][N_RESPONSE];
    float old[N_ROWS][K][N_RESPONSE], targets[N_ROWS][K][N_RESPONSE];
} test_data;

static inline void new_data(test_data *d, size_t k, size_t n_prompt) {
    rng r = rng_new(99);
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t j = 0; j < N_PROMPT; j++)
            d->prompts[i][j] = (int32_t)rng_below(&r, N_VOCABULARY);
        for (size_t x = 0; x < k; x++) {
            for (size_t j = 0; j < N_RESPONSE; j++) {
                d->tokens[i][x][j] = (int32_t)rng_below(&r, N_VOCABULARY);
                d->old[i][x][j] = -4;
                d->targets[i][x][j] = j == 1 || j == 3 ? (float)((i + j / 2) % 2) : NAN; /* ends of steps */
            }
            d->responses[i][x] = (train_response){.tokens = d->tokens[i][x], .n = 2 + rng_below(&r, N_RESPONSE - 1),
                                                  .reward = (double)rng_below(&r, 2), .advantage = NAN,
                                                  .label = (double)(i % 2), .weight = 1};
        }
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = n_prompt, .responses = d->responses[i],
                                 .n_responses = k, .weight = 1};
    }
}

static inline train_options options_for(const char *name) {
    train_options o = trainer_options(name);
    o.batch_rows = o.objective->least_batch > 3 ? o.objective->least_batch : 3;
    o.max_steps = 20;
    o.lr = 5e-3f;
    o.seed = 17;
    return o;
}

typedef struct setting {
    const char *objective;
    size_t k, n_prompt;
    bool lora;
    compute_dtype dtype;
    int n_threads;
    const char *option; /* of the objective, or NULL */
} setting;

/* The head the objective reads. */
static inline void add_head(agon_ctx *ctx, model *m, adapter *a, const objective *o) {
    head_kind kind = o->needs & NEEDS_HEAD ? HEAD_REWARD : HEAD_VALUE;
    if (!(o->needs & (NEEDS_HEAD | NEEDS_VALUES)))
        return;
    double deviation = kind == HEAD_REWARD ? 0.2 : 0;
    if (a)
        assert_ok(ctx, adapter_add_head(ctx, a, kind, deviation, 3));
    else
        assert_ok(ctx, model_add_head(ctx, m, kind, deviation, 3));
}

/* Trains from the start, or from `from`; stops at step `stop_at` when it is not 0. */
static inline record run(const setting *s, const test_data *d, const record *from, size_t stop_at) {
    agon_ctx *ctx = test_ctx(s->n_threads ? s->n_threads : 1, NULL);
    model *m = new_model(ctx, s->dtype), *reference = s->lora ? NULL : new_model(ctx, s->dtype);
    adapter *a = s->lora ? new_adapter(ctx, m) : NULL;
    train_options o = options_for(s->objective);
    add_head(ctx, m, a, o.objective);
    record r = {.stop_at = stop_at};
    if (s->option)
        assert_ok(ctx, objective_set(ctx, o.objective, s->option, o.objective_options));
    train_recorded(ctx, m, a, reference, d->rows, N_ROWS, &o, from, &r);
    adapter_free(a);
    model_free(m);
    model_free(reference);
    agon_ctx_free(ctx);
    return r;
}

#endif

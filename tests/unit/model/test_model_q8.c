/* A model whose file is Q8_0 stays in 8 bits: half the memory, and the bits of the same values in bf16, in the forward pass, under
 * an adapter, and when all weights are trained. */
#include "tiny_model.h"
#include "model/weights_private.h"
#include "weights_fixtures.h"

enum { LENGTH = 40 };

static agon_status from_weights(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    return weights_read(ctx, arg, name, n, out);
}

typedef struct pair_of_models {
    fixture_folder folder;
    model *q8, *wide; /* from one file */
} pair_of_models;

static void pair_open(agon_ctx *ctx, pair_of_models *p) {
    char golden[2048], path[256];
    model *text = NULL;
    p->folder = fixture_folder_new();
    fixture_path(path, &p->folder, "q8.gguf");
    assert_ok(ctx, model_open(ctx, golden_path(golden, "tiny-text.gguf"), COMPUTE_BF16, &text));
    assert_ok(ctx, model_export(ctx, text, NULL, "gguf", "q8_0", path, NULL));
    model_free(text);
    assert_ok(ctx, model_open(ctx, path, COMPUTE_BF16, &p->q8));
    assert_ok(ctx, model_build(ctx, &p->q8->config, from_weights, p->q8->weights, COMPUTE_BF16, &p->wide));
}

static void pair_free(pair_of_models *p) {
    model_free(p->wide);
    model_free(p->q8);
    fixture_remove(&p->folder);
}

/* Log-probs of one text. */
static void run(agon_ctx *ctx, const model *m, const adapter *a, bool train, workspace *w, float *log_prob) {
    static int32_t tokens[LENGTH];
    tiny_tokens(tokens, LENGTH, 3);
    segment s = {tokens, LENGTH, -1, a, WANT_LOG_PROB, 1};
    segment_batch b = {&s, 1};
    token_channels out = {.log_prob = log_prob};
    if (train)
        assert_ok(ctx, model_forward_train(ctx, m, w, &b, &out));
    else
        assert_ok(ctx, model_forward(ctx, m, w, &b, &out));
}

/* The gradients of a sum of log_probs: of the adapter, or of all weights. */
static void gradients(agon_ctx *ctx, model *m, adapter *a, parameters *p) {
    float log_prob[LENGTH], d[LENGTH];
    static int32_t tokens[LENGTH];
    workspace *w = NULL;
    for (size_t i = 0; i < LENGTH; i++)
        d[i] = i ? 0.1f : 0;
    if (a)
        assert_ok(ctx, adapter_parameters(ctx, a, p));
    else
        assert_ok(ctx, model_make_trainable(ctx, m, p));
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    run(ctx, m, a, true, w, log_prob);
    tiny_tokens(tokens, LENGTH, 3);
    segment s = {tokens, LENGTH, -1, a, WANT_LOG_PROB, 1};
    assert_ok(ctx, model_backward(ctx, m, a, w, &(segment_batch){&s, 1}, &(token_channels){.log_prob = d}));
    workspace_free(w);
}

static void same_gradients(const parameters *a, const parameters *b) {
    double size = 0;
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        size_t n = a->items[i].n_rows * a->items[i].n_columns;
        assert_memory_equal(a->items[i].gradient, b->items[i].gradient, n * sizeof(float));
        for (size_t j = 0; j < n; j++)
            size += fabs((double)a->items[i].gradient[j]);
    }
    assert_true(size > 0);
}

static void q8__scores_as_the_same_weights_in_bf16(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(2, NULL);
    pair_of_models p;
    workspace *w = NULL;
    float want[LENGTH], got[LENGTH];
    pair_open(ctx, &p);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_true(matrix_is_q8(p.q8->embedding) && matrix_is_q8(p.q8->layers[0].linear[LINEAR_Q]) &&
                matrix_is_q8(p.q8->layers[0].linear[LINEAR_DOWN]));
    assert_true(!matrix_is_q8(p.wide->embedding));
    assert_true(model_widen_bytes(p.q8) > 0 && model_widen_bytes(p.wide) == 0);
    run(ctx, p.wide, NULL, false, w, want);
    run(ctx, p.q8, NULL, false, w, got);
    assert_memory_equal(got, want, sizeof want);
    assert_true(want[1] < 0);
    workspace_free(w);
    pair_free(&p);
    agon_ctx_free(ctx);
}

static void q8__stays_under_an_adapter_and_widens_for_full_training(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(2, NULL);
    pair_of_models p;
    parameters want, got;
    pair_open(ctx, &p);
    adapter *a = tiny_adapter(ctx, p.wide, 4, 9), *b = tiny_adapter(ctx, p.q8, 4, 9);
    gradients(ctx, p.wide, a, &want);
    gradients(ctx, p.q8, b, &got);
    same_gradients(&want, &got);
    assert_true(matrix_is_q8(p.q8->layers[0].linear[LINEAR_UP]));
    gradients(ctx, p.wide, NULL, &want);
    gradients(ctx, p.q8, NULL, &got);
    same_gradients(&want, &got);
    assert_int_equal(model_widen_bytes(p.q8), 0);
    float *values = NULL;
    assert_ok(ctx, parameter_copy(ctx, &got.items[0], &values));
    values[0] += 1.0001f; /* what 8 bits could not hold */
    parameter_set(ctx, &got.items[0], 0, got.items[0].n_rows, values);
    float *again = NULL;
    assert_ok(ctx, parameter_copy(ctx, &got.items[0], &again));
    assert_memory_equal(again, values, got.items[0].n_rows * got.items[0].n_columns * sizeof *values);
    free(values), free(again);
    adapter_free(a);
    adapter_free(b);
    pair_free(&p);
    agon_ctx_free(ctx);
}

static void q8__refuses_a_scale_that_is_not_finite(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    pair_of_models p;
    pair_open(ctx, &p);
    const weights_tensor_entry *t = weights_find(p.q8->weights, "model.layers.0.mlp.up_proj.weight");
    size_t n = t->n_rows * t->n_columns;
    uint8_t *bytes = malloc(t->n_rows * t->row_bytes);
    memcpy(bytes, t->data, t->n_rows * t->row_bytes);
    bytes[t->row_bytes + 1] = 0x7c; /* the second row's first scale: infinity or NaN */
    ((weights_tensor_entry *)t)->data = bytes;
    int8_t *integers = malloc(n);
    float *scales = malloc(n / 32 * sizeof *scales);
    assert_int_equal(weights_read_q8(ctx, p.q8->weights, t->name, n, integers, scales), AGON_EFORMAT);
    assert_non_null(strstr(agon_error(ctx), "ffn_up"));
    assert_int_equal(weights_read_q8(ctx, p.q8->weights, t->name, n - 1, integers, scales), AGON_EFORMAT);
    free(bytes);
    free(integers);
    free(scales);
    pair_free(&p);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q8__scores_as_the_same_weights_in_bf16),
        cmocka_unit_test(q8__stays_under_an_adapter_and_widens_for_full_training),
        cmocka_unit_test(q8__refuses_a_scale_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

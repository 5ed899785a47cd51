/* Heads: their arithmetic and gradients, and that they are part of what is saved, loaded and exported. */
#include "model/scalar_head.h"
#include "tiny_model.h"
#include <unistd.h>

enum { N_TOKENS = 9 };

static void scalar_head__is_a_linear_map(void **state) {
    agon_ctx *ctx = *state;
    scalar_head *reward = NULL, *value = NULL;
    float hidden[6] = {1, 2, 3, -1, 0.5f, 4}, d_hidden[6] = {0};
    double out[2], d_out[2] = {2, -3};
    assert_ok(ctx, scalar_head_new(ctx, HEAD_REWARD, 3, 0, 0, &reward));
    assert_ok(ctx, scalar_head_new(ctx, HEAD_VALUE, 3, 0, 0, &value));
    scalar_head_forward(value, hidden, 2, out);
    assert_true(out[0] == 0 && out[1] == 0);
    for (int j = 0; j < 4; j++)
        reward->values[j] = value->values[j] = (float)j + 0.5f; /* bias 3.5, which a reward head has not */
    scalar_head_forward(reward, hidden, 2, out);
    assert_close(out[0], 0.5 + 3 + 7.5, 1e-12);
    assert_close(out[1], -0.5 + 0.75 + 10, 1e-12);
    scalar_head_forward(value, hidden, 2, out);
    assert_close(out[0], 11 + 3.5, 1e-12);
    scalar_head_backward(value, hidden, d_out, 2, d_hidden);
    for (int j = 0; j < 3; j++) {
        assert_close((double)value->gradients[j], 2 * (double)hidden[j] - 3 * (double)hidden[3 + j], 1e-6);
        assert_close((double)d_hidden[j], 2 * (j + 0.5), 1e-6);
        assert_close((double)d_hidden[3 + j], -3 * (j + 0.5), 1e-6);
    }
    assert_close((double)value->gradients[3], -1, 1e-6);
    scalar_head_free(reward);
    scalar_head_free(value);
}

static void scalar_head__starts_with_the_asked_spread(void **state) {
    agon_ctx *ctx = *state;
    enum { WIDTH = 4096 };
    scalar_head *a = NULL, *b = NULL;
    assert_ok(ctx, scalar_head_new(ctx, HEAD_REWARD, WIDTH, 1 / sqrt(WIDTH + 1.0), 5, &a));
    assert_ok(ctx, scalar_head_new(ctx, HEAD_REWARD, WIDTH, 1 / sqrt(WIDTH + 1.0), 6, &b));
    double sum = 0, squares = 0;
    for (int j = 0; j < WIDTH; j++) {
        sum += (double)a->values[j];
        squares += (double)a->values[j] * (double)a->values[j];
    }
    assert_close(sum, 0, 4);
    assert_close(squares, 1, 0.1);
    assert_memory_not_equal(a->values, b->values, WIDTH * sizeof(float));
    scalar_head_free(a);
    scalar_head_free(b);
}

/* ---- gradients through the model ------------------------------------------------------------------------- */

static double loss(agon_ctx *ctx, model *m, workspace *w, const adapter *a, const scalar_head *h, const int32_t *tokens,
                   const double *weight, float *hidden, bool train) {
    segment s = {.tokens = tokens, .n_tokens = N_TOKENS, .parent = -1, .adapter = a, .wants = WANT_HIDDEN};
    segment_batch tree = {&s, 1};
    token_channels out = {.hidden = hidden};
    double values[N_TOKENS], sum = 0;
    if (train)
        assert_ok(ctx, model_forward_train(ctx, m, w, &tree, &out));
    else
        assert_ok(ctx, model_forward(ctx, m, w, &tree, &out));
    scalar_head_forward(h, hidden, N_TOKENS, values);
    for (size_t i = 0; i < N_TOKENS; i++)
        sum += weight[i] * values[i];
    return sum;
}

/* Every parameter, the head among them, along one random direction. */
static void scalar_head__gradients_match_differences(void **state) {
    agon_ctx *ctx = *state;
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = tiny_adapter(ctx, m, 3, 5);
    assert_ok(ctx, adapter_add_head(ctx, a, HEAD_VALUE, 0.3, 4));
    scalar_head *h = adapter_head(a, HEAD_VALUE);
    parameters p;
    assert_ok(ctx, adapter_parameters(ctx, a, &p));
    assert_string_equal(p.items[p.n - 2].name, "v_head.summary.weight");
    assert_string_equal(p.items[p.n - 1].name, "v_head.summary.bias");
    assert_false(p.items[p.n - 2].decay);
    workspace *w = NULL;
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    int32_t tokens[N_TOKENS];
    double weight[N_TOKENS];
    tiny_tokens(tokens, N_TOKENS, 3);
    rng r = rng_new(8);
    for (size_t i = 0; i < N_TOKENS; i++)
        weight[i] = rng_uniform(&r) * 2 - 1;
    float *hidden = calloc(N_TOKENS * c.d_model, sizeof *hidden), *d_hidden = calloc(N_TOKENS * c.d_model, sizeof *d_hidden);
    loss(ctx, m, w, a, h, tokens, weight, hidden, true);
    scalar_head_backward(h, hidden, weight, N_TOKENS, d_hidden);
    segment s = {.tokens = tokens, .n_tokens = N_TOKENS, .parent = -1, .adapter = a, .wants = WANT_HIDDEN};
    token_channels d = {.hidden = d_hidden};
    assert_ok(ctx, model_backward(ctx, m, a, w, &(segment_batch){&s, 1}, &d));
    for (size_t i = 0; i < p.n; i++) {
        const parameter *q = &p.items[i];
        size_t n = q->n_rows * q->n_columns;
        float *kept = malloc(n * sizeof *kept);
        double predicted = 0, size = 0;
        memcpy(kept, q->value, n * sizeof *kept);
        double ends[2];
        for (int side = 0; side < 2; side++) {
            rng way = rng_new(40 + i);
            predicted = 0;
            for (size_t j = 0; j < n; j++) {
                float v = (rng_uniform(&way) < 0.5 ? -1.0f : 1.0f) / sqrtf((float)n);
                q->value[j] = kept[j] + (side ? -4e-3f : 4e-3f) * v;
                predicted += (double)v * (double)q->gradient[j];
                size += (double)q->gradient[j] * (double)q->gradient[j];
            }
            adapter_changed(ctx, a);
            ends[side] = loss(ctx, m, w, a, h, tokens, weight, hidden, false);
        }
        memcpy(q->value, kept, n * sizeof *kept);
        free(kept);
        double measured = (ends[0] - ends[1]) / 8e-3;
        if (!(fabs(measured - predicted) <= 0.01 * fabs(predicted) + 2e-3))
            fail_msg("%s: gradient %g, differences say %g", q->name, predicted, measured);
        assert_true(size > 0);
    }
    free(hidden);
    free(d_hidden);
    workspace_free(w);
    adapter_free(a);
    model_free(m);
}

/* ---- part of the version ----------------------------------------------------------------------------------- */

static adapter *with_heads(agon_ctx *ctx, const model *m) {
    adapter *a = tiny_adapter(ctx, m, 3, 5);
    hash256 before = adapter_hash(a), after;
    assert_ok(ctx, adapter_add_head(ctx, a, HEAD_REWARD, 0.2, 9));
    assert_ok(ctx, adapter_add_head(ctx, a, HEAD_VALUE, 0.2, 9));
    after = adapter_hash(a);
    assert_memory_not_equal(&before, &after, sizeof before);
    adapter_head(a, HEAD_VALUE)->values[m->config.d_model] = 0.75f;
    return a;
}

static void adapter__keeps_its_heads(void **state) {
    agon_ctx *ctx = *state;
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = with_heads(ctx, m), *again = NULL, *clone = NULL, *imported = NULL;
    char *data = NULL, folder[] = "/tmp/agon-head-XXXXXX", command[128];
    size_t n = 0;
    assert_ok(ctx, adapter_save(ctx, a, &data, &n));
    assert_ok(ctx, adapter_load(ctx, m, "test", data, n, &again));
    assert_ok(ctx, adapter_clone(ctx, a, &clone));
    assert_non_null(mkdtemp(folder));
    assert_ok(ctx, adapter_export_peft(ctx, a, "tiny", folder));
    assert_ok(ctx, adapter_import_peft(ctx, m, folder, &imported));
    const adapter *const all[] = {again, clone, imported};
    hash256 want = adapter_hash(a);
    for (int i = 0; i < 3; i++) {
        hash256 got = adapter_hash(all[i]);
        assert_memory_equal(&want, &got, sizeof want);
        assert_memory_equal(adapter_head(a, HEAD_VALUE)->values, adapter_head(all[i], HEAD_VALUE)->values,
                            (c.d_model + 1) * sizeof(float));
        assert_memory_equal(adapter_head(a, HEAD_REWARD)->values, adapter_head(all[i], HEAD_REWARD)->values,
                            c.d_model * sizeof(float));
    }
    snprintf(command, sizeof command, "grep -q SEQ_CLS %s/adapter_config.json && rm -r %s", folder, folder);
    assert_int_equal(system(command), 0);
    free(data);
    adapter_free(a), adapter_free(again), adapter_free(clone), adapter_free(imported);
    model_free(m);
}

static void model__folder_keeps_its_heads(void **state) {
    agon_ctx *ctx = *state;
    char path[2048], folder[] = "/tmp/agon-head-XXXXXX", command[256], gguf[64];
    golden_path(path, "tiny-text.gguf");
    model *m = NULL, *again = NULL;
    assert_ok(ctx, model_open(ctx, path, COMPUTE_F32, &m));
    size_t width = model_get_config(m)->d_model;
    assert_ok(ctx, model_add_head(ctx, m, HEAD_REWARD, 0.2, 3));
    assert_ok(ctx, model_add_head(ctx, m, HEAD_VALUE, 0.2, 3));
    parameters p;
    assert_ok(ctx, model_make_trainable(ctx, m, &p));
    assert_string_equal(p.items[p.n - 3].name, "score.weight");
    p.items[p.n - 3].value[0] = 1.5f;
    model_changed(m);
    assert_non_null(mkdtemp(folder));
    assert_ok(ctx, model_export(ctx, m, NULL, "hf", "bf16", folder, NULL));
    assert_ok(ctx, model_open(ctx, folder, COMPUTE_F32, &again));
    assert_memory_equal(model_scalar_head(m, HEAD_REWARD)->values, model_scalar_head(again, HEAD_REWARD)->values,
                        width * sizeof(float));
    assert_true(model_scalar_head(again, HEAD_REWARD)->values[0] == 1.5f);
    assert_memory_equal(model_scalar_head(m, HEAD_VALUE)->values, model_scalar_head(again, HEAD_VALUE)->values,
                        (width + 1) * sizeof(float));
    snprintf(gguf, sizeof gguf, "%s/x.gguf", folder);
    assert_int_equal(model_export(ctx, m, NULL, "gguf", "f32", gguf, NULL), AGON_EUNSUPPORTED);
    snprintf(command, sizeof command, "grep -q ForSequenceClassification %s/config.json && rm -r %s", folder, folder);
    assert_int_equal(system(command), 0);
    model_free(m);
    model_free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_head__is_a_linear_map),
        cmocka_unit_test(scalar_head__starts_with_the_asked_spread),
        cmocka_unit_test(scalar_head__gradients_match_differences),
        cmocka_unit_test(adapter__keeps_its_heads),
        cmocka_unit_test(model__folder_keeps_its_heads),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

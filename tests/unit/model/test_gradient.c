/* Gradients of every kind of parameter against central finite differences on tiny f32 models. */
#include "tiny_model.h"

enum { PROMPT = 7, FIRST = 9, SECOND = 6, TOTAL = PROMPT + FIRST + SECOND };

/* A prompt with two responses, the channels' weights, and whatever is trained. */
typedef struct problem {
    agon_ctx *ctx;
    model *m;
    adapter *train;
    workspace *w;
    int32_t tokens[TOTAL];
    float d_log_prob[TOTAL], d_entropy[TOTAL], d_mean[TOTAL], *d_hidden;
    segment segments[3];
    segment_batch tree;
} problem;

static void problem_init(problem *p, agon_ctx *ctx, model *m, adapter *train, float temperature) {
    const unsigned wants = WANT_LOG_PROB | WANT_ENTROPY | WANT_MEAN_LOG_PROB;
    *p = (problem){.ctx = ctx, .m = m, .train = train};
    assert_ok(ctx, workspace_new(ctx, 0, &p->w));
    tiny_tokens(p->tokens, TOTAL, 3);
    p->segments[0] = (segment){p->tokens, PROMPT, -1, train, WANT_LOG_PROB, temperature};
    p->segments[1] = (segment){p->tokens + PROMPT, FIRST, 0, NULL, wants | WANT_HIDDEN, 0};
    p->segments[2] = (segment){p->tokens + PROMPT + FIRST, SECOND, 0, NULL, wants, 0};
    p->tree = (segment_batch){p->segments, 3};
    p->d_hidden = calloc(TOTAL * m->config.d_model, sizeof(float));
    rng r = rng_new(11);
    for (size_t i = 0; i < TOTAL; i++) {
        p->d_log_prob[i] = (float)(rng_uniform(&r) * 2 - 1);
        p->d_entropy[i] = i < PROMPT ? 0 : (float)(rng_uniform(&r) * 2 - 1);
        p->d_mean[i] = i < PROMPT ? 0 : (float)(rng_uniform(&r) * 2 - 1);
    }
    for (size_t i = PROMPT * m->config.d_model; i < (PROMPT + FIRST) * m->config.d_model; i++)
        p->d_hidden[i] = (float)(rng_uniform(&r) * 0.2 - 0.1);
}

static void problem_free(problem *p) {
    workspace_free(p->w);
    free(p->d_hidden);
}

static double loss(problem *p, bool train) {
    float log_prob[TOTAL], entropy[TOTAL], mean[TOTAL];
    size_t d = p->m->config.d_model;
    float *hidden = calloc(TOTAL * d, sizeof *hidden);
    token_channels out = {log_prob, entropy, mean, NULL, hidden};
    if (train)
        assert_ok(p->ctx, model_forward_train(p->ctx, p->m, p->w, &p->tree, &out));
    else
        assert_ok(p->ctx, model_forward(p->ctx, p->m, p->w, &p->tree, &out));
    double sum = 0;
    for (size_t i = 0; i < TOTAL; i++)
        sum += (double)log_prob[i] * (double)p->d_log_prob[i] + (double)entropy[i] * (double)p->d_entropy[i] +
               (double)mean[i] * (double)p->d_mean[i];
    for (size_t i = 0; i < TOTAL * d; i++)
        sum += (double)hidden[i] * (double)p->d_hidden[i];
    free(hidden);
    return sum;
}

static void backward(problem *p) {
    token_channels d = {p->d_log_prob, p->d_entropy, p->d_mean, NULL, p->d_hidden};
    loss(p, true);
    assert_ok(p->ctx, model_backward(p->ctx, p->m, p->train, p->w, &p->tree, &d));
    if (p->train)
        adapter_collect_gradient(p->train);
}

static void changed(problem *p) {
    if (p->train)
        adapter_changed(p->ctx, p->train);
    else
        model_changed(p->m);
}

/* Along a random direction in one parameter: cheaper than each value, and a wrong one shows as well. */
static void check_parameter(problem *p, const parameter *q, uint64_t seed) {
    size_t n = q->n_rows * q->n_columns;
    float *kept = NULL, *moved = malloc(n * sizeof *moved), *way = malloc(n * sizeof *way);
    rng r = rng_new(seed);
    double predicted = 0, size = 0;
    const float step = 4e-3f;
    assert_ok(p->ctx, parameter_copy(p->ctx, q, &kept));
    for (size_t i = 0; i < n; i++) {
        way[i] = rng_uniform(&r) < 0.5 ? -1.0f : 1.0f;
        way[i] /= sqrtf((float)n);
        predicted += (double)way[i] * (double)q->gradient[i];
        size += (double)q->gradient[i] * (double)q->gradient[i];
    }
    for (size_t i = 0; i < n; i++)
        moved[i] = kept[i] + step * way[i];
    parameter_set(p->ctx, q, 0, q->n_rows, moved);
    changed(p);
    double up = loss(p, false);
    for (size_t i = 0; i < n; i++)
        moved[i] = kept[i] - step * way[i];
    parameter_set(p->ctx, q, 0, q->n_rows, moved);
    changed(p);
    double down = loss(p, false);
    parameter_set(p->ctx, q, 0, q->n_rows, kept);
    changed(p);
    double measured = (up - down) / (2 * (double)step), scale = sqrt(size / (double)n) + 1e-3;
    if (!(fabs(measured - predicted) <= 0.02 * scale * 3 + 0.01 * fabs(measured) + 2e-3))
        fail_msg("%s: gradient %g, differences say %g (norm %g)", q->name, predicted, measured, sqrt(size));
    assert_true(size > 0);
    free(kept);
    free(moved);
    free(way);
}

static void check_all(problem *p, const parameters *parameters) {
    for (size_t i = 0; i < parameters->n; i++)
        memset(parameters->items[i].gradient, 0,
               parameters->items[i].n_rows * parameters->items[i].n_columns * sizeof(float));
    backward(p);
    for (size_t i = 0; i < parameters->n; i++)
        for (uint64_t k = 0; k < 3; k++)
            check_parameter(p, &parameters->items[i], 100 * i + k);
}

static void check_full(const model_config *c, float temperature) {
    agon_ctx *ctx = test_ctx(1, NULL);
    model *m = tiny_model(ctx, c, COMPUTE_F32);
    parameters all;
    problem p;
    assert_ok(ctx, model_make_trainable(ctx, m, &all));
    problem_init(&p, ctx, m, NULL, temperature);
    check_all(&p, &all);
    problem_free(&p);
    model_free(m);
    agon_ctx_free(ctx);
}

static void model__gradients_of_all_weights_match_differences(void **state) {
    (void)state;
    model_config c = tiny_config();
    check_full(&c, 1);
}

static void model__gradients_with_bias_norms_and_untied_head_match_differences(void **state) {
    (void)state;
    model_config c = tiny_config();
    c.qkv_bias = true;
    c.qk_norm = true;
    c.tied_embeddings = false;
    check_full(&c, 0.7f);
}

static void adapter__gradients_match_differences(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    c.qk_norm = true;
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = tiny_adapter(ctx, m, 3, 5);
    parameters all;
    problem p;
    assert_ok(ctx, adapter_parameters(ctx, a, &all));
    problem_init(&p, ctx, m, a, 1.3f);
    check_all(&p, &all);
    problem_free(&p);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* A, U and the singular values with the scale of the vector, at an uneven vector. */
static void adapter__gradients_with_dimensions_match_differences(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = tiny_preference_adapter(ctx, m, 3, 3, 5);
    parameters all;
    problem p;
    assert_ok(ctx, adapter_parameters(ctx, a, &all));
    assert_int_equal(all.n, 3 * 7 * c.n_layers);
    problem_init(&p, ctx, m, a, 1.3f);
    check_all(&p, &all);
    problem_free(&p);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* With what is predicted a tree is done, to the byte; with less it is refused before it begins, or layers are computed again; with any room it takes that
 * and an eighth, and computes nothing again. */
static void workspace__takes_what_is_predicted(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    c.n_layers = 6;
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = tiny_adapter(ctx, m, 3, 5);
    for (workspace_use use = USE_FORWARD; use <= USE_TRAINING_RECOMPUTE; use++)
        for (int room = -1; room < (use == USE_TRAINING_RECOMPUTE ? 1 : 2); room++) {
            problem p;
            float log_prob[TOTAL];
            problem_init(&p, ctx, m, a, 1);
            for (size_t i = 0; i < 3; i++)
                p.segments[i].wants = WANT_LOG_PROB;
            const workspace_need need = workspace_predict(m, TOTAL, TOTAL - 1, 3, use);
            const token_channels out = {.log_prob = log_prob}, d = {.log_prob = p.d_log_prob};
            const size_t more = room > 0 ? need.stored / 8 : 0;
            p.w->limit = room > 0 ? SIZE_MAX : need.stored + need.scratch - (room < 0 ? 64 : 0);
            agon_status s = use == USE_FORWARD ? model_forward(ctx, m, p.w, &p.tree, &out) : model_forward_train(ctx, m, p.w, &p.tree, &out);
            if (!s && use != USE_FORWARD)
                s = model_backward(ctx, m, a, p.w, &p.tree, &d);
            assert_int_equal(s, room < 0 && use != USE_TRAINING ? AGON_ENOMEM : AGON_OK);
            assert_true(s || (p.w->regions[REGION_STORED].capacity == workspace_size(need.stored + more, 1)) == (room >= 0));
            assert_true(s || room != 0 || p.w->regions[REGION_SCRATCH].capacity == need.scratch);
            problem_free(&p);
        }
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* The gradients' bits, after two trees, in a fresh model; frees ctx. `limit` of the workspace: 0 none; *used: what the first tree
 * took, stored and scratch. */
static float *bits_of_gradients(agon_ctx *ctx, size_t limit, compute_dtype dtype, bool lora, size_t *n,
                                size_t used[N_REGIONS]) {
    model_config c = tiny_config();
    c.n_layers = 6;
    model *m = tiny_model(ctx, &c, dtype);
    adapter *a = lora ? tiny_adapter(ctx, m, 3, 5) : NULL;
    parameters all;
    problem p;
    if (lora)
        assert_ok(ctx, adapter_parameters(ctx, a, &all));
    else
        assert_ok(ctx, model_make_trainable(ctx, m, &all));
    problem_init(&p, ctx, m, a, 1);
    p.w->limit = limit ? limit : p.w->limit;
    backward(&p);
    for (int r = 0; used && r < N_REGIONS; r++)
        used[r] = p.w->regions[r].capacity;
    p.segments[1].n_tokens = 4;
    memmove(p.tokens + PROMPT + 4, p.tokens + PROMPT + FIRST, SECOND * sizeof(int32_t));
    p.segments[2].tokens = p.tokens + PROMPT + 4;
    p.segments[1].wants &= ~(unsigned)WANT_HIDDEN;
    memset(p.d_hidden, 0, TOTAL * c.d_model * sizeof(float));
    float lp[TOTAL], e[TOTAL];
    token_channels out = {.log_prob = lp, .entropy = e}, d = {.log_prob = p.d_log_prob, .entropy = p.d_entropy};
    assert_ok(ctx, model_forward_train(ctx, m, p.w, &p.tree, &out));
    assert_ok(ctx, model_backward(ctx, m, a, p.w, &p.tree, &d));
    *n = 0;
    for (size_t i = 0; i < all.n; i++)
        *n += all.items[i].n_rows * all.items[i].n_columns;
    float *copy = malloc(*n * sizeof *copy);
    memcpy(copy, all.items[0].gradient, *n * sizeof *copy);
    problem_free(&p);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
    return copy;
}

static void model__gradients_do_not_depend_on_threads(void **state) {
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++)
        for (int lora = 0; lora < 2; lora++) {
            size_t n = 0;
            float *one = bits_of_gradients(test_ctx(1, NULL), 0, (compute_dtype)dtype, lora, &n, NULL);
            for (int threads = 2; threads <= 3; threads++) {
                float *more = bits_of_gradients(test_ctx(threads, NULL), 0, (compute_dtype)dtype, lora, &n, NULL);
                assert_memory_equal(one, more, n * sizeof *one);
                free(more);
            }
            free(one);
        }
}

static agon_ctx *ctx_of(cpu_path path, agon_numerics numerics) {
    agon_ctx *ctx = test_ctx(2, cpu_path_name(path));
    ctx->numerics = numerics;
    return ctx;
}

/* In every mode, each with its own bits: native has the order of one instruction, which CPUs without it follow by FMAs. */
static void model__gradients_do_not_depend_on_the_cpu_path(void **state) {
    (void)state;
    static const agon_numerics modes[] = {AGON_NUMERICS_PORTABLE, AGON_NUMERICS_NATIVE, AGON_NUMERICS_PORTABLE_BF16_ATTENTION,
                                          AGON_NUMERICS_NATIVE_BF16_ATTENTION};
    for (int dtype = 0; dtype < 2; dtype++)
        for (int lora = 0; lora < 2; lora++)
            for (int mode = 0; mode < 4; mode++) {
                size_t n = 0;
                float *plain = bits_of_gradients(ctx_of(CPU_PORTABLE, modes[mode]), 0, (compute_dtype)dtype, lora, &n, NULL);
                for (int path = CPU_PORTABLE + 1; path < CPU_N_PATHS; path++) {
                    if (!cpu_path_present((cpu_path)path))
                        continue;
                    float *got = bits_of_gradients(ctx_of((cpu_path)path, modes[mode]), 0, (compute_dtype)dtype, lora, &n, NULL);
                    assert_memory_equal(plain, got, n * sizeof *plain);
                    free(got);
                }
                free(plain);
            }
}

static void model__gradients_with_recomputation_are_the_same_bits(void **state) {
    (void)state;
    size_t n = 0, roomy[N_REGIONS], tight[N_REGIONS];
    float *stored = bits_of_gradients(test_ctx(1, NULL), 0, COMPUTE_BF16, false, &n, roomy);
    size_t limit = roomy[REGION_SCRATCH] + roomy[REGION_STORED] * 3 / 5;
    float *again = bits_of_gradients(test_ctx(1, NULL), limit, COMPUTE_BF16, false, &n, tight);
    assert_true(tight[REGION_STORED] < roomy[REGION_STORED] * 3 / 5); /* it really recomputed */
    assert_memory_equal(stored, again, n * sizeof *stored);
    free(again);
    /* More memory never refuses what less can do: an eighth more is taken only of what neither region needs. */
    const size_t need = (roomy[REGION_SCRATCH] + roomy[REGION_STORED]) / 9 * 8;
    for (size_t percent = 90; percent <= 130; percent++) {
        again = bits_of_gradients(test_ctx(1, NULL), need * percent / 100, COMPUTE_BF16, false, &n, tight);
        assert_true(tight[REGION_SCRATCH] + tight[REGION_STORED] <= need * percent / 100);
        assert_memory_equal(stored, again, n * sizeof *stored);
        free(again);
    }
    free(stored);
}

static void backward__refuses_a_call_out_of_order(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    problem p;
    problem_init(&p, ctx, m, NULL, 1);
    token_channels d = {.log_prob = p.d_log_prob};
    assert_int_equal(model_backward(ctx, m, NULL, p.w, &p.tree, &d), AGON_EINVAL);
    loss(&p, true);
    assert_int_equal(model_backward(ctx, m, NULL, p.w, &p.tree, &d), AGON_EINVAL); /* frozen */
    problem_free(&p);
    model_free(m);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model__gradients_of_all_weights_match_differences),
        cmocka_unit_test(model__gradients_with_bias_norms_and_untied_head_match_differences),
        cmocka_unit_test(adapter__gradients_match_differences),
        cmocka_unit_test(adapter__gradients_with_dimensions_match_differences),
        cmocka_unit_test(workspace__takes_what_is_predicted),
        cmocka_unit_test(model__gradients_do_not_depend_on_threads),
        cmocka_unit_test(model__gradients_do_not_depend_on_the_cpu_path),
        cmocka_unit_test(model__gradients_with_recomputation_are_the_same_bits),
        cmocka_unit_test(backward__refuses_a_call_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

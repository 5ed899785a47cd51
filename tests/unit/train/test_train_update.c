/* What one step does to the weights: how far it goes, by which norm it is clipped, which of them decay. */
#include "random_rows.h"

static agon_status keep_metrics(void *arg, const train_progress *p) {
    double *out = arg;
    for (size_t i = 0; i < p->n_metrics; i++)
        for (size_t k = 0; k < 3; k++)
            if (strcmp(p->metrics[i].name, k == 0 ? "update_ratio" : k == 1 ? "update_ratio_max" : "grad_clipped") == 0)
                out[k] = p->metrics[i].value;
    return AGON_OK;
}

/* AdamW's first step moves every weight by the learning rate, so the ratio is known; and whether the gradient was clipped. */
static void train__says_how_far_a_step_goes(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    parameters all;
    new_data(&d, 1, N_PROMPT);
    model *start = new_model(ctx, COMPUTE_F32);
    assert_ok(ctx, model_make_trainable(ctx, start, &all));
    double squares = 0, n = 0, largest = 0;
    for (size_t i = 0; i < all.n; i++) {
        double tensor = 0, values = (double)(all.items[i].n_rows * all.items[i].n_columns);
        float *value = NULL;
        assert_ok(ctx, parameter_copy(ctx, &all.items[i], &value));
        for (size_t j = 0; j < (size_t)values; j++)
            tensor += (double)value[j] * (double)value[j];
        free(value);
        largest = fmax(largest, sqrt(values / tensor));
        squares += tensor, n += values;
    }
    model_free(start);
    for (int clipped = 0; clipped < 2; clipped++) {
        double got[3] = {-1, -1, -1};
        model *m = new_model(ctx, COMPUTE_F32);
        train_options o = options_for("sft");
        o.max_steps = 1, o.lr = 1e-3f, o.warmup = 0, o.schedule = SCHEDULE_CONSTANT, o.eps = 1e-12f, o.clip_norm = clipped ? 1e-2f : 1e6f;
        const train_sink sink = {.on_step = keep_metrics, .arg = got};
        assert_ok(ctx, train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        assert_close(got[0] / (1e-3 * sqrt(n / squares)), 1, 0.01);
        assert_close(got[1] / (1e-3 * largest), 1, 0.01);
        assert_true(got[2] == clipped);
        model_free(m);
    }
}

static agon_status keep_norm(void *arg, const train_progress *p) {
    *(double *)arg = p->grad_norm;
    return AGON_OK;
}

/* Clipping is by one norm, that of all parameters together. */
static void train__norm_is_of_all_parameters(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    parameters p;
    double norm = -1, squares = 0;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    train_options o = options_for("sft");
    o.max_steps = 1;
    const train_sink sink = {.on_step = keep_norm, .arg = &norm};
    assert_ok(ctx, train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
    assert_ok(ctx, model_make_trainable(ctx, m, &p));
    for (size_t i = 0; i < p.n; i++)
        for (size_t j = 0; j < p.items[i].n_rows * p.items[i].n_columns; j++)
            squares += (double)p.items[i].gradient[j] * (double)p.items[i].gradient[j];
    assert_true(p.n > 1 && squares > 0);
    assert_close(norm / sqrt(squares), 1, 1e-6);
    model_free(m);
}

/* Ends of two steps from one start: `decay` apart where weights decay, and equal where they do not. */
static void check_decay(const char *name, const parameter *start, const parameter *plain, const parameter *decayed, double decay) {
    size_t n = start->n_rows * start->n_columns, apart = 0;
    for (size_t j = 0; j < n; j++) {
        double taken = (double)plain->value[j] - (double)decayed->value[j], wanted = start->decay ? decay * (double)start->value[j] : 0;
        if (fabs(taken - wanted) > 1e-6)
            fail_msg("%s, %s[%zu]: %g is taken, not %g", name, start->name, j, taken, wanted);
        apart += fabs(taken) > 1e-6;
    }
    bool factor = strstr(start->name, ".lora_A.") || strstr(start->name, ".lora_B.") || strstr(start->name, ".lora_U.");
    assert_int_equal(start->decay, factor);
    assert_int_equal(apart > 0, factor);
}

/* AdamW's decay is of a LoRA's factors, and neither of singular values nor of heads. */
static void train__decays_the_factors_of_an_adapter(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[] = {"helpful", "harmless"}, *const objectives[] = {"bt", "sft"};
    for (size_t k = 0; k < 2; k++) {
        test_data d;
        parameters p[3];
        adapter *a[3] = {NULL};
        new_data(&d, k == 0 ? 2 : 1, N_PROMPT);
        for (size_t i = 0; i < N_ROWS; i++)
            d.rows[i].dimension = k == 1 ? i % 2 : 0;
        model *m = new_model(ctx, COMPUTE_F32);
        train_options o = options_for(objectives[k]);
        o.max_steps = 1, o.lr = 1e-2f, o.warmup = 0, o.schedule = SCHEDULE_CONSTANT, o.batch_rows = N_ROWS, o.preferences.vectors = 2;
        const adapter_options shape = {.rank = 4, .alpha = 8, .seed = 3, .dimensions = names, .n_dimensions = k == 1 ? 2 : 0};
        for (size_t i = 0; i < 3; i++) { /* the start, a step, a step with decay */
            assert_ok(ctx, adapter_new(ctx, m, &shape, &a[i]));
            add_head(ctx, m, a[i], o.objective);
            assert_ok(ctx, adapter_parameters(ctx, a[i], &p[i]));
            for (size_t t = 0; t < p[i].n; t++) /* what is zero at first has nothing to lose */
                for (size_t j = 0; j < p[i].items[t].n_rows * p[i].items[t].n_columns; j++)
                    p[i].items[t].value[j] += 0.1f;
            adapter_changed(ctx, a[i]);
            o.weight_decay = i == 2 ? 0.5f : 0;
            if (i > 0)
                assert_ok(ctx, train(ctx, m, a[i], NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        }
        for (size_t t = 0; t < p[0].n; t++)
            check_decay(objectives[k], &p[0].items[t], &p[1].items[t], &p[2].items[t], 0.5 * 1e-2);
        for (size_t i = 0; i < 3; i++)
            adapter_free(a[i]);
        model_free(m);
    }
}

/* Which layers have an adapter says nothing of the others': the first step, before any of them has an effect, is theirs to the bit. */
static void train__layers_of_an_adapter_learn_apart(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    parameters all, some;
    const char *const names[] = {"o_proj", "down_proj"};
    adapter_options shape = {.rank = 4, .alpha = 8, .seed = 2};
    adapter *a = NULL, *b = NULL;
    size_t found = 0;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_BF16);
    train_options o = options_for("sft");
    o.max_steps = 1, o.clip_norm = 0;
    assert_ok(ctx, adapter_new(ctx, m, &shape, &a));
    assert_ok(ctx, lora_targets_read(ctx, names, 2, &shape.targets));
    assert_ok(ctx, adapter_new(ctx, m, &shape, &b));
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    assert_ok(ctx, train(ctx, m, b, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    assert_ok(ctx, adapter_parameters(ctx, a, &all));
    assert_ok(ctx, adapter_parameters(ctx, b, &some));
    assert_int_equal(some.n * 7, all.n * 2);
    for (size_t i = 0; i < some.n; i++)
        for (size_t k = 0; k < all.n; k++)
            if (strcmp(some.items[i].name, all.items[k].name) == 0) {
                assert_memory_equal(some.items[i].value, all.items[k].value, all.items[k].n_rows * all.items[k].n_columns * sizeof(float));
                found++;
            }
    assert_int_equal(found, some.n);
    adapter_free(a);
    adapter_free(b);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__says_how_far_a_step_goes),
        cmocka_unit_test(train__norm_is_of_all_parameters),
        cmocka_unit_test(train__decays_the_factors_of_an_adapter),
        cmocka_unit_test(train__layers_of_an_adapter_learn_apart),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

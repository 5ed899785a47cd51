/* A training is the same bits however it is cut and on however many threads, and goes on from no checkpoint but its own. */
#include "random_rows.h"

static const setting settings[] = {
    {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL},   {"sft", 1, N_PROMPT, false, COMPUTE_F32, 1, NULL},
    {"dpo", 2, N_PROMPT, true, COMPUTE_BF16, 1, NULL},  {"dpo", 2, N_PROMPT, false, COMPUTE_BF16, 1, NULL},
    {"grpo", K, N_PROMPT, true, COMPUTE_F32, 1, NULL},  {"grpo", K, N_PROMPT, false, COMPUTE_F32, 1, NULL},
    {"kto", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL},   {"sft", 1, 0, true, COMPUTE_F32, 1, NULL},
    {"dpo", 2, 0, true, COMPUTE_F32, 1, NULL},
    {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, "label_smoothing=0.1"},
    {"dpo", 2, 0, true, COMPUTE_F32, 1, "label_smoothing=0.1"},
    {"gce", 1, N_PROMPT, true, COMPUTE_F32, 1, "warmup=0.7"}, /* the ramp ends after the point of resuming */
};

static void train__resumes_bit_for_bit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        test_data d;
        new_data(&d, settings[i].k, settings[i].n_prompt);
        record whole = run(&settings[i], &d, NULL, 0);
        record half = run(&settings[i], &d, NULL, 10);
        record rest = run(&settings[i], &d, &half, 0);
        assert_resumed(settings[i].objective, &whole, &half, &rest);
    }
}

/* Every objective, cut in half and put together again; those with a head also with all weights. */
static void check_resumes(const objective *o, bool lora) {
    const setting s = {o->name, o->rows & ROW_PAIR || o->most_responses == 2 ? 2 : o->rows & ROW_GROUP ? K : 1, N_PROMPT, lora, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, s.k, N_PROMPT);
    for (size_t j = 0; j < N_ROWS; j++)
        for (size_t k = 0; k < s.k; k++)
            d.responses[j][k].targets = o->needs & NEEDS_TARGETS ? d.targets[j][k] : NULL;
    record whole = run(&s, &d, NULL, 0), half = run(&s, &d, NULL, 10), rest = run(&s, &d, &half, 0);
    assert_resumed(o->name, &whole, &half, &rest);
}

static void train__every_objective_resumes(void **state) {
    (void)state;
    size_t n = 0;
    for (; objective_at(n); n++) {
        check_resumes(objective_at(n), true);
        if (objective_at(n)->needs & (NEEDS_HEAD | NEEDS_VALUES))
            check_resumes(objective_at(n), false);
    }
    assert_true(n >= 36);
}

static void train__ignores_the_number_of_threads(void **state) {
    (void)state;
    for (size_t i = 1; i < sizeof settings / sizeof settings[0]; i += 4) {
        test_data d;
        setting two = settings[i];
        two.n_threads = 2;
        new_data(&d, two.k, two.n_prompt);
        record one = run(&settings[i], &d, NULL, 0), other = run(&two, &d, NULL, 0);
        assert_same_state(two.objective, &one, &other);
        free(one.state), free(other.state);
    }
}

static void train__refuses_foreign_checkpoints(void **state) {
    agon_ctx *ctx = *state;
    const setting s = {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, 1, N_PROMPT);
    record half = run(&s, &d, NULL, 10);
    const byte_reader left = record_reader(&half);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("sft"), other = o;
    other.lr = 1e-3f;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &other, NULL, &left), AGON_EMISMATCH);
    d.tokens[3][0][1] ^= 1;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    d.tokens[3][0][1] ^= 1;
    ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    ctx->numerics = AGON_NUMERICS_PORTABLE;
    for (size_t n = 0; n < 64; n++) {
        const byte_reader cut = byte_reader_part(&left, 0, n);
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &cut), AGON_EFORMAT);
    }
    half.state[half.n / 2] ^= 1;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EFORMAT);
    free(half.state);
    adapter_free(a);
    model_free(m);
}

/* Everything a run is a function of belongs to its checkpoint's identity: another row, option or reference is another run. */
static void train__refuses_checkpoints_of_other_rows_or_options(void **state) {
    agon_ctx *ctx = *state;
    const setting s = {"dpo", 2, N_PROMPT, true, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, 2, N_PROMPT);
    record half = run(&s, &d, NULL, 2);
    const byte_reader left = record_reader(&half);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m), *b = new_adapter(ctx, m);
    train_options o = options_for("dpo");
    train_response *x = &d.responses[3][1];
    const float ones[N_RESPONSE] = {1, 1, 1, 1, 1, 1};
    train_moments carried = {0};
    double *const numbers[] = {&d.rows[3].weight, &x->reward, &x->advantage, &x->label, &x->weight, &o.warmup, &o.objective_options[0]};
    float *const floats[] = {&o.lr, &o.beta1, &o.beta2, &o.eps, &o.weight_decay, &o.clip_norm, &o.temperature};
    const float **const arrays[] = {&x->mask, &x->old, &x->old_values, &x->targets, &x->token_rewards};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const double was = *numbers[i];
        *numbers[i] = was > 0 ? was / 2 : 1;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("number %zu is not part of a run's identity", i);
        *numbers[i] = was;
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        const float was = *floats[i];
        *floats[i] = was > 0 ? was / 2 : 1;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("option %zu is not part of a run's identity", i);
        *floats[i] = was;
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ones;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("the tokens' numbers %zu are not part of a run's identity", i);
        *arrays[i] = NULL;
    }
    o.seed ^= (uint64_t)1 << 60;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.seed ^= (uint64_t)1 << 60;
    o.schedule = SCHEDULE_LINEAR;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.schedule = SCHEDULE_COSINE;
    o.moments = &carried;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.moments = NULL;
    assert_int_equal(train(ctx, m, a, m, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    assert_int_equal(train(ctx, m, a, NULL, b, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left)); /* and nothing else is wrong with it */
    free(half.state);
    adapter_free(a);
    adapter_free(b);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__resumes_bit_for_bit),
        cmocka_unit_test(train__every_objective_resumes),
        cmocka_unit_test(train__ignores_the_number_of_threads),
        cmocka_unit_test(train__refuses_foreign_checkpoints),
        cmocka_unit_test(train__refuses_checkpoints_of_other_rows_or_options),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

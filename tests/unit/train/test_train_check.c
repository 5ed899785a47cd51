/* What a training refuses: before it begins, at its first step, at a bad number and before anything is kept; each time with the place. */
#include "random_rows.h"

typedef struct fixture {
    agon_ctx *ctx;
    model *m;
    adapter *a;
    test_data d;
} fixture;

/* k responses a row. */
static void open_fixture(fixture *f, void **state, size_t k) {
    f->ctx = *state;
    f->m = new_model(f->ctx, COMPUTE_F32);
    f->a = new_adapter(f->ctx, f->m);
    new_data(&f->d, k, N_PROMPT);
}

static void close_fixture(fixture *f) {
    adapter_free(f->a);
    model_free(f->m);
}

/* Trains the adapter on the first n rows: it ends so, with these words. */
static void check(const fixture *f, const train_options *o, size_t n, agon_status status, const char *words) {
    assert_int_equal(train(f->ctx, f->m, f->a, NULL, NULL, f->d.rows, n, o, NULL, NULL), status);
    if (status && !strstr(agon_error(f->ctx), words))
        fail_msg("no '%s' in: %s", words, agon_error(f->ctx));
}

static void train__refuses_what_it_cannot_run(void **state) {
    fixture f;
    open_fixture(&f, state, 1);
    train_options o = options_for("dpo");
    check(&f, &o, N_ROWS, AGON_EINVAL, "");
    o = options_for("ppo");
    check(&f, &o, N_ROWS, AGON_EUNSUPPORTED, "");
    o = options_for("rm-pointwise");
    check(&f, &o, N_ROWS, AGON_EINVAL, "head");
    o = options_for("kto"); /* of one row there is no answer to another prompt */
    check(&f, &o, 1, AGON_EINVAL, "2 rows or more");
    o = options_for("sft");
    check(&f, &o, 0, AGON_EINVAL, "");
    o.batch_rows = 0;
    check(&f, &o, N_ROWS, AGON_EINVAL, "");
    /* Longer than the model's context: said before the first step, with the row. */
    int32_t prompt[256] = {0};
    f.d.rows[5].prompt = prompt;
    f.d.rows[5].n_prompt = 256;
    o = options_for("sft");
    check(&f, &o, N_ROWS, AGON_EINVAL, "training row 6, response 1:");
    check(&f, &o, N_ROWS, AGON_EINVAL, "context is 256");
    new_data(&f.d, 2, N_PROMPT);
    o = options_for("dpo");
    assert_int_equal(train(f.ctx, f.m, NULL, NULL, NULL, f.d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    close_fixture(&f);
}

static void train__names_step_and_row_of_a_bad_number(void **state) {
    fixture f;
    open_fixture(&f, state, 2);
    const train_options o = options_for("dpo");
    f.d.tokens[5][1][0] = N_VOCABULARY; /* out of range */
    check(&f, &o, N_ROWS, AGON_EINVAL, "training row 6:");
    for (size_t i = 0; i < N_ROWS; i++)
        f.d.rows[i].file = "rows.jsonl", f.d.rows[i].line = i + 4; /* read from a file, three bad lines before them */
    check(&f, &o, N_ROWS, AGON_EINVAL, ", rows.jsonl:9: ");
    new_data(&f.d, 2, N_PROMPT);
    for (size_t i = 0; i < N_ROWS; i++)
        f.d.rows[i].weight = INFINITY;
    assert_int_not_equal(train(f.ctx, f.m, f.a, NULL, NULL, f.d.rows, N_ROWS, &o, NULL, NULL), AGON_OK);
    assert_non_null(strstr(agon_error(f.ctx), "step 1"));
    assert_non_null(strstr(agon_error(f.ctx), "training row"));
    parameters p;
    new_data(&f.d, 2, N_PROMPT);
    assert_ok(f.ctx, adapter_parameters(f.ctx, f.a, &p));
    p.items[0].value[0] = NAN;
    adapter_changed(f.ctx, f.a);
    check(&f, &o, N_ROWS, AGON_ENUMERIC, "");
    close_fixture(&f);
}

/* A batch whose loss is taken at once: its rows are numbered by the batch, in the step's order; the sentence names the row of the data. */
static void train__names_the_row_of_a_coupled_batch(void **state) {
    fixture f;
    open_fixture(&f, state, 1);
    for (size_t i = 0; i < N_ROWS; i++)
        f.d.responses[i][0].reward = i == 5 ? INFINITY : 1, f.d.responses[i][0].advantage = NAN;
    train_options o = options_for("reinforce++");
    o.batch_rows = N_ROWS;
    assert_int_not_equal(train(f.ctx, f.m, f.a, NULL, NULL, f.d.rows, N_ROWS, &o, NULL, NULL), AGON_OK);
    assert_non_null(strstr(agon_error(f.ctx), "step 1, training row 6: "));
    assert_non_null(strstr(agon_error(f.ctx), "reward"));
    close_fixture(&f);
}

/* After the last step no other finds out, and a checkpoint is what another run begins with. */
static void train__keeps_nothing_that_is_of_no_use(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    const struct {
        const char *objective;
        float lr;
        size_t every;
    } cases[] = {{"dpo", 1e30f, 0}, {"dpo", 1e30f, 1}, {"dpo", 3e38f, 0}, {"bt", 1e30f, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        adapter *a = new_adapter(ctx, m);
        record r = {0};
        train_options o = options_for(cases[i].objective);
        const train_sink sink = {.on_step = record_step, .on_checkpoint = cases[i].every ? record_checkpoint : NULL, .arg = &r};
        add_head(ctx, m, a, o.objective);
        o.max_steps = cases[i].every ? 3 : 1;
        o.lr = cases[i].lr;
        o.checkpoint_every = cases[i].every;
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL), AGON_ENUMERIC);
        if (!strstr(agon_error(ctx), "after step 1 the trained model is of no use") || !strstr(agon_error(ctx), "not finite"))
            fail_msg("%s: %s", cases[i].objective, agon_error(ctx));
        assert_null(r.state);
        adapter_free(a);
    }
    model_free(m);
}

/* A check that was passed says nothing of later steps: decay makes these weights grow, and they are finite after the first. */
static void train__checks_what_it_keeps_each_time(void **state) {
    fixture f;
    open_fixture(&f, state, 2);
    record r = {0};
    train_options o = options_for("sft");
    const train_sink sink = {.on_step = record_step, .on_checkpoint = record_checkpoint, .arg = &r};
    o.max_steps = 2;
    o.lr = 1;
    o.warmup = 0;
    o.schedule = SCHEDULE_CONSTANT;
    o.weight_decay = 1e15f;
    o.checkpoint_every = 1;
    assert_int_equal(train(f.ctx, f.m, f.a, NULL, NULL, f.d.rows, N_ROWS, &o, &sink, NULL), AGON_ENUMERIC);
    assert_non_null(strstr(agon_error(f.ctx), "after step 2 the trained model is of no use"));
    assert_non_null(r.state); /* of step 1 */
    free(r.state);
    close_fixture(&f);
}

/* All weights: the first step is checked against a reference that is said to be where it starts. */
static void train__checks_that_it_starts_at_its_reference(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32), *reference = new_model(ctx, COMPUTE_F32);
    train_options o = options_for("dpo");
    o.reference_is_start = true;
    assert_ok(ctx, train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    assert_int_equal(train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EMISMATCH); /* m has moved */
    assert_non_null(strstr(agon_error(ctx), "the policy is the reference"));
    o.reference_is_start = false;
    assert_ok(ctx, train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    model_free(m);
    model_free(reference);
}

/* Rows that are said to be sampled from the weights at the start: the first ratios are checked to be 1. */
static void train__checks_that_it_starts_at_its_samples(void **state) {
    fixture f;
    open_fixture(&f, state, K);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t k = 0; k < K; k++)
            f.d.responses[i][k].old = f.d.old[i][k];
    train_options o = options_for("grpo");
    check(&f, &o, N_ROWS, AGON_OK, "");
    o.old_is_start = true;
    check(&f, &o, N_ROWS, AGON_EMISMATCH, "the policy is what sampled the row");
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__refuses_what_it_cannot_run),
        cmocka_unit_test(train__names_step_and_row_of_a_bad_number),
        cmocka_unit_test(train__names_the_row_of_a_coupled_batch),
        cmocka_unit_test(train__keeps_nothing_that_is_of_no_use),
        cmocka_unit_test(train__checks_what_it_keeps_each_time),
        cmocka_unit_test(train__checks_that_it_starts_at_its_reference),
        cmocka_unit_test(train__checks_that_it_starts_at_its_samples),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

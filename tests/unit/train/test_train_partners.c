/* Whose answer a prompt meets in KTO's estimate of the KL: that of a row with another prompt. */
#include "random_rows.h"
#include "train/train_private.h"

/* Steps of t's rows `index`, and whose answers stand behind them. */
static void expect_partners(trainer *t, const size_t *index, size_t n, const size_t *wanted) {
    step s;
    arena_reset(t->step);
    assert_ok(t->ctx, step_of_rows(t, index, n, &s));
    assert_int_equal(s.n, 2 * n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(s.index[n + i].index, index[i]);
        assert_int_equal(s.index[n + i].response_index, wanted[i]);
        assert_true(s.rows[n + i].responses->mismatched && !s.rows[i].responses->mismatched);
    }
}

static void make_pairs_of_two_prompts(test_data *d) {
    for (size_t i = 0; i < 4; i++)
        d->rows[i].prompt = d->rows[0].prompt;
    for (size_t i = 4; i < N_ROWS; i++)
        d->rows[i].prompt = d->rows[4].prompt;
}

static void kto__prompts_meet_answers_to_others(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    make_pairs_of_two_prompts(&d);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("kto");
    trainer t = {.ctx = ctx, .m = m, .train = a, .data = d.rows, .n_data = N_ROWS, .options = &o};
    assert_ok(ctx, trainer_open(&t));
    expect_partners(&t, (const size_t[]){0, 1, 5, 2}, 4, (const size_t[]){5, 5, 2, 5}); /* the next one of another prompt */
    expect_partners(&t, (const size_t[]){2, 0}, 2, (const size_t[]){4, 4});             /* all of one: from outside the step */
    o.next_partner = true;
    expect_partners(&t, (const size_t[]){0, 1, 5, 2}, 4, (const size_t[]){1, 5, 2, 0});
    trainer_close(&t);
    adapter_free(a);
    model_free(m);
}

/* Where all rows have one prompt there is no other's answer; a training begun before that was looked at goes on. */
static void kto__refuses_one_prompt(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("kto");
    o.max_steps = 1;
    for (size_t i = 1; i < N_ROWS; i++)
        d.rows[i].prompt = d.rows[0].prompt;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "training row 1 and all other rows have the same prompt"));
    o.next_partner = true;
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    o.next_partner = false;
    d.rows[N_ROWS - 1].n_prompt--; /* a shorter one is another */
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    adapter_free(a);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kto__prompts_meet_answers_to_others),
        cmocka_unit_test(kto__refuses_one_prompt),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

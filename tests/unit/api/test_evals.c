/* Tasks drawn for an evaluation: the same by seed, others by another, judged by their verifiers. */
#include "test.h"
#include "api/evals.h"
#include "task/task.h"

static questions draw(agon_ctx *ctx, size_t n, uint64_t seed) {
    questions q = {0};
    agon_eval_options o = agon_eval_options_default();
    o.n = n;
    o.seed = seed;
    assert_ok(ctx, eval_tasks_open(ctx, &o, &q));
    return q;
}

static void eval_tasks__follow_the_seed(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    questions a = draw(ctx, 3, 7), b = draw(ctx, 3, 7), c = draw(ctx, 3, 8), d = draw(ctx, 5, 7);
    size_t n_cells = 0;
    for (size_t i = 0; i < task_n_cells(); i++)
        n_cells += task_cell_at(i)->by_default;
    assert_true(n_cells > 0);
    assert_int_equal(a.n, 3 * n_cells);
    assert_memory_equal(a.hash.bytes, b.hash.bytes, sizeof a.hash.bytes);
    assert_memory_not_equal(a.hash.bytes, c.hash.bytes, sizeof a.hash.bytes);
    for (size_t i = 0; i < a.n; i++) {
        assert_string_equal(a.get(a.arg, i).query, b.get(b.arg, i).query);
        /* More of them begin with the same ones. */
        assert_string_equal(a.get(a.arg, i).query, d.get(d.arg, i / 3 * 5 + i % 3).query);
    }
    a.free(a.arg), b.free(b.arg), c.free(c.arg), d.free(d.arg);
    agon_ctx_free(ctx);
}

static void eval_tasks__are_judged(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    questions q = draw(ctx, 1, 7);
    bool right = true;
    char *evidence = NULL;
    assert_ok(ctx, q.judge(ctx, q.arg, 0, "", &right, &evidence));
    assert_false(right);
    assert_true(strlen(evidence) > 0);
    free(evidence);

    /* The same task once more, with an expert's answer to it. */
    size_t *cells = calloc(task_n_cells(), sizeof *cells), n = 0;
    task_query t = {0};
    char *answer = NULL;
    assert_ok(ctx, task_select(ctx, NULL, cells, &n));
    assert_ok(ctx, task_generate(ctx, cells[0], task_seed(7, "eval", cells[0], 0), PERTURBATION_NONE, &t));
    assert_string_equal(t.text, q.get(q.arg, 0).query);
    assert_ok(ctx, task_demonstrate(ctx, &t, 1, &answer));
    assert_ok(ctx, q.judge(ctx, q.arg, 0, answer, &right, &evidence));
    assert_true(right);
    free(evidence);
    free(answer);
    task_query_free(&t);
    free(cells);
    q.free(q.arg);
    agon_ctx_free(ctx);
}

/* Of a cell that has fewer tasks than are asked for, each comes once. */
static void eval_tasks__differ(void **state) {
    (void)state;
    static const char *const small[] = {"arithmetic/one_digit_product"};
    agon_ctx *ctx = test_ctx(1, NULL);
    agon_eval_options o = agon_eval_options_default();
    questions q = {0};
    o.n = 200;
    o.seed = 7;
    o.cells = small;
    o.n_cells = 1;
    assert_ok(ctx, eval_tasks_open(ctx, &o, &q));
    assert_int_equal(q.n, 64); /* 2 to 9 times 2 to 9 */
    for (size_t i = 0; i < q.n; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(q.get(q.arg, i).query, q.get(q.arg, k).query);
    q.free(q.arg);
    agon_ctx_free(ctx);
}

static void eval_tasks__too_many_are_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    questions q = {0};
    agon_eval_options o = agon_eval_options_default();
    o.n = SIZE_MAX;
    assert_int_equal(eval_tasks_open(ctx, &o, &q), AGON_EINVAL);
    assert_null(q.arg);
    agon_ctx_free(ctx);
}

static void eval_tasks__take_the_cells_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    questions q = {0}, all = draw(ctx, 2, 7);
    const char *one[] = {"arithmetic/two_digit_sum"}, *unknown[] = {"arithmetic/two_digit_sums"};
    agon_eval_options o = agon_eval_options_default();
    o.n = 2;
    o.seed = 7;
    o.cells = one;
    o.n_cells = 1;
    assert_ok(ctx, eval_tasks_open(ctx, &o, &q));
    assert_int_equal(q.n, 2);
    size_t at = 0; /* the same tasks as among all cells */
    while (strcmp(all.get(all.arg, at).id, q.get(q.arg, 0).id) != 0)
        assert_true(++at < all.n);
    assert_string_equal(all.get(all.arg, at).query, q.get(q.arg, 0).query);
    q.free(q.arg), all.free(all.arg);
    o.cells = unknown;
    assert_int_equal(eval_tasks_open(ctx, &o, &q), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "two_digit_sum"));
    agon_ctx_free(ctx);
}

static void suites__are_listed(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *json = NULL;
    unsetenv("AGON_DATA");
    assert_ok(ctx, agon_suites(ctx, &json));
    assert_non_null(strstr(json, "\"name\":\"perplexity\""));
    assert_non_null(strstr(json, "\"n\":120"));
    assert_non_null(strstr(json, "\"not_run\":\"gsm8k_test.jsonl"));
    agon_text_free(json);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval_tasks__follow_the_seed),
        cmocka_unit_test(eval_tasks__are_judged),
        cmocka_unit_test(eval_tasks__differ),
        cmocka_unit_test(eval_tasks__too_many_are_refused),
        cmocka_unit_test(eval_tasks__take_the_cells_named),
        cmocka_unit_test(suites__are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

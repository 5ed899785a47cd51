/* Arithmetic: answers a person would call right or wrong, evidence, planted faults. */
#include "test.h"
#include "task/task.h"

static size_t cell_of(const char *name) {
    for (size_t i = 0; i < task_n_cells(); i++)
        if (strcmp(task_cell_family(i), "arithmetic") == 0 && strcmp(task_cell_at(i)->name, name) == 0)
            return i;
    fail_msg("no cell %s", name);
    return 0;
}

static task_query query(agon_ctx *ctx, const char *cell, int a, const char *op, int b, int gold) {
    char text[64];
    snprintf(text, sizeof text, "What is %d %s %d?", a, op, b);
    json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:{s:i,s:s,s:i,s:i}}", "text", text, "family", "arithmetic", "cell",
                            cell, "perturbation", "none", "seed", "1", "parameters", "a", a, "operation", op, "b", b,
                            "gold", gold);
    task_query q = {0};
    assert_ok(ctx, task_query_read(ctx, "row", row, &q));
    json_decref(row);
    return q;
}

static void expect(agon_ctx *ctx, const task_query *q, const char *response, bool right) {
    task_verdict v = {0};
    assert_ok(ctx, task_verify(ctx, q, response, &v));
    if ((v.outcome == OUTCOME_PASS) != right)
        fail_msg("'%s' to '%s' %s: %s", response, q->text, right ? "is right" : "is wrong", v.evidence);
    task_verdict_free(&v);
}

static void test_answers(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query(ctx, "two_digit_sum", 42, "+", 25, 67);
    static const char *const right[] = {
        "67", "42 + 25 = 67", "The sum of 42 and 25 is 67.", "67.0", "The answer is **67**.", "#### 67",
        "  42\n+ 25\n----\n  67", "First 40 + 20 = 60, then 2 + 5 = 7, so 60 + 7 = 67", "$\\boxed{67}$", "$67",
        "The answer is 42 + 25 = 67", "67 apples",
    };
    static const char *const wrong[] = {
        "", "78", "67 or 68", "66, 67", "It is not 67.", "42 + 25", "What is 42 + 25?", "six", "670", "-67", "67/2",
        "6 7", "66 67", "1\n2\n67", "The answer is 66. Maybe 67", "67 + 0",
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        expect(ctx, &q, right[i], true);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect(ctx, &q, wrong[i], false);
    task_query_free(&q);
    q = query(ctx, "four_digit_sum", 1234, "+", 5678, 6912);
    expect(ctx, &q, "1,234 + 5,678 = 6,912", true);
    expect(ctx, &q, "6,921", false);
    task_query_free(&q);
    q = query(ctx, "exact_division", 84, "/", 4, 21);
    expect(ctx, &q, "84 / 4 = 21 remainder 0", true);
    static const char *const rests[] = {
        "There is a remainder of 0, so 84 / 4 = 21.", "21 with a remainder of 0", "The quotient is 21 and the remainder is 0.",
        "8 divided by 4 is 2 with a remainder of 0. Then 4 divided by 4 is 1. The answer is 21.",
    };
    static const char *const no_rests[] = {
        "21 remainder 0. The answer is 22.", "84 / 4 = 21 remainder 0? No, it is 20.", "21 remainder 0.5", "21 remainder 05", "21 remainder 1",
    };
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++)
        expect(ctx, &q, rests[i], true);
    for (size_t i = 0; i < sizeof no_rests / sizeof *no_rests; i++)
        expect(ctx, &q, no_rests[i], false);
    expect(ctx, &q, "84/4 = 21", true);
    expect(ctx, &q, "84/4", false);
    expect(ctx, &q, "84 \xC3\xB7 4 = 21", true);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_evidence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query(ctx, "two_digit_sum", 42, "+", 25, 67);
    task_verdict v = {0};
    assert_ok(ctx, task_verify(ctx, &q, "I get 78.", &v));
    assert_string_equal(v.evidence, "says 78, but 42 + 25 = 67");
    assert_string_equal(v.masked, "says 78, which is not 42 + 25");
    assert_string_equal(v.quote, "78");
    assert_int_equal(v.span_start, 6);
    assert_int_equal(v.span_end, 8);
    task_verdict_free(&v);
    assert_ok(ctx, task_verify(ctx, &q, "57", &v));
    assert_string_equal(v.masked, "says 57, which is not 42 + 25: look at the tens digit");
    task_verdict_free(&v);
    assert_ok(ctx, task_verify(ctx, &q, "67", &v));
    assert_string_equal(v.masked, v.evidence);
    task_verdict_free(&v);
    assert_ok(ctx, task_verify(ctx, &q, "67 or 68", &v));
    assert_string_equal(v.quote, "68"); /* what it cites is not the answer */
    assert_null(strstr(v.masked, "67"));
    task_verdict_free(&v);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_faults_vary(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query(ctx, "two_digit_sum", 47, "+", 36, 83);
    bool carry = false, swapped = false, by_one = false;
    for (uint64_t seed = 0; seed < 60; seed++) {
        char *faulty = NULL, *claim = NULL;
        assert_ok(ctx, task_tamper(ctx, &q, "47 + 36 = 83", seed, &faulty, &claim));
        expect(ctx, &q, faulty, false);
        assert_non_null(strstr(claim, "but 47 + 36 = 83"));
        carry |= strcmp(faulty, "47 + 36 = 73") == 0 && strstr(claim, "carry");
        swapped |= strcmp(faulty, "47 + 36 = 38") == 0;
        by_one |= strcmp(faulty, "47 + 36 = 84") == 0;
        free(faulty);
        free(claim);
    }
    assert_true(carry && swapped && by_one);
    /* A wrong answer taken for good is spoiled like any other: whether it was right must not show. */
    char *faulty = NULL, *claim = NULL;
    bool right = false;
    for (uint64_t seed = 0; seed < 60; seed++) {
        task_verdict v = {0};
        assert_ok(ctx, task_tamper(ctx, &q, "47 + 36 = 85", seed, &faulty, &claim));
        assert_string_not_equal(faulty, "47 + 36 = 85");
        assert_null(strstr(claim, "83"));
        assert_ok(ctx, task_verify(ctx, &q, faulty, &v));
        right |= v.outcome == OUTCOME_PASS; /* by chance, like any other number: nobody looked */
        task_verdict_free(&v);
        free(faulty);
        free(claim);
    }
    assert_true(right);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_operands_have_their_digits(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (uint64_t seed = 0; seed < 300; seed++) {
        task_query q = {0};
        assert_ok(ctx, task_generate(ctx, cell_of("three_digit_difference"), seed, PERTURBATION_NONE, &q));
        json_int_t a = json_integer_value(json_object_get(q.parameters, "a")),
                   b = json_integer_value(json_object_get(q.parameters, "b"));
        assert_in_range(a, 100, 999);
        assert_in_range(b, 100, 999);
        assert_true(a > b);
        task_query_free(&q);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_faults_vary),
        cmocka_unit_test(test_operands_have_their_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

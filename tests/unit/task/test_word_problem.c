/* Word problems: judging, evidence step by step, faults in the middle, hostile parameters. */
#include "test.h"
#include "task/task.h"
#include "task/word_story.h"

static agon_status read(agon_ctx *ctx, const char *cell, const char *text, const char *steps, const char *numbers,
                        int gold, task_query *out) {
    char json[1024];
    snprintf(json, sizeof json,
             "{\"text\":\"%s\",\"family\":\"word_problem\",\"cell\":\"%s\",\"perturbation\":\"none\",\"seed\":\"1\","
             "\"parameters\":{\"steps\":\"%s\",\"numbers\":%s,\"gold\":%d}}",
             text, cell, steps, numbers, gold);
    json_t *row = json_loads(json, 0, NULL);
    assert_non_null(row);
    agon_status status = task_query_read(ctx, "row", row, out);
    json_decref(row);
    return status;
}

static const char story[] = "Tom has 3 boxes with 4 apples in each box and finds 5 more. How many apples are there?";

static void test_judging(void **state) {
    (void)state;
    static const struct {
        const char *response;
        bool right;
        const char *masked; /* NULL: not checked */
    } cases[] = {
        {"3 * 4 = 12. 12 + 5 = 17. The answer is 17.", true, NULL},
        {"Tom has 17 apples.", true, NULL},
        {"3 x 4 = 12\n12 + 5 = 17", true, NULL},
        {"3 * 4 = 12. The answer is 12.", false, "says 12, which is only the result of step 1 of 2"},
        {"3 * 4 = 13. 13 + 5 = 18. The answer is 18.", false, "writes 3 * 4 = 13, which is false"},
        {"3 * 4 = 12. 12 - 5 = 7. The answer is 7.", false,
         "says 7, which comes from subtracting in step 2 where the story asks for something else"},
        {"It is 40.", false, "says 40, which is not what the story gives"},
        {"3, 4, 5, 12, 17", false, NULL},
        {"3 * 4 + 5", false, NULL},
        {"Many.", false, "gives no number"},
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = {0};
    assert_ok(ctx, read(ctx, "two_steps_small", story, "a*b 1+c", "[3,4,5]", 17, &q));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_verdict v = {0};
        assert_ok(ctx, task_verify(ctx, &q, cases[i].response, &v));
        if ((v.outcome == OUTCOME_PASS) != cases[i].right)
            fail_msg("'%s': %s", cases[i].response, v.evidence);
        if (cases[i].masked)
            assert_string_equal(v.masked, cases[i].masked);
        if (!cases[i].right)
            assert_non_null(strstr(v.evidence, "3 * 4 = 12 and 12 + 5 = 17"));
        task_verdict_free(&v);
    }
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_faults_in_the_middle(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = {0};
    assert_ok(ctx, read(ctx, "two_steps_small", story, "a*b 1+c", "[3,4,5]", 17, &q));
    bool consistent = false, operation = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        char *faulty = NULL, *claim = NULL;
        assert_ok(ctx, task_tamper(ctx, &q, "3 * 4 = 12. 12 + 5 = 17. The answer is 17.", seed, &faulty, &claim));
        consistent |= strcmp(faulty, "3 * 4 = 13. 13 + 5 = 18. The answer is 18.") == 0;
        operation |= strcmp(faulty, "3 * 4 = 12. 12 - 5 = 7. The answer is 7.") == 0;
        assert_non_null(strstr(claim, "17"));
        free(faulty);
        free(claim);
    }
    assert_true(consistent && operation);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_shapes(void **state) {
    (void)state;
    for (int steps = 1; steps <= MAX_STEPS; steps++) {
        size_t n;
        const word_story *stories = word_stories(steps, &n);
        assert_true(n >= 8);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < i; k++)
                assert_true(strcmp(stories[i].story, stories[k].story) || strcmp(stories[i].question, stories[k].question));
    }
}

static void test_hostile_parameters(void **state) {
    (void)state;
    static const struct {
        const char *cell, *steps, *numbers;
        int gold;
    } rows[] = {
        {"no_steps", "a*b 1+c", "[3,4,5]", 17},
        {"one_step_small", "a*b 1+c", "[3,4,5]", 17},
        {"two_steps_small", "a*b 1+c", "[3,4]", 17},
        {"two_steps_small", "a*b 1+c", "[3,4,5,6]", 17},
        {"two_steps_small", "a*b 1+c", "[3,4,5]", 18},
        {"two_steps_small", "a*b 1+c", "[3,4,\\\"5\\\"]", 17},
        {"two_steps_small", "a*b 2+c", "[3,4,5]", 17},
        {"two_steps_small", "a*b a+c", "[3,4,5]", 8},
        {"two_steps_small", "a*a 1+b", "[3,4]", 13},
        {"two_steps_small", "a*b 1^c", "[3,4,5]", 17},
        {"two_steps_small", "a*b,1+c", "[3,4,5]", 17},
        {"two_steps_small", "a*b 1+", "[3,4,5]", 17},
        {"two_steps_small", "", "[]", 0},
        {"two_steps_small", "a*b 1+c 2+d 3+e 4+f", "[3,4,5]", 17},
        {"two_steps_small", "a*z 1+c", "[3,4,5]", 17},
        {"two_steps_small", "a-b 1+c", "[3,4,5]", 4},
        {"two_steps_small", "a*b 1+c", "[3,4,2000000000]", 17},
        {"two_steps_small", "a*b 1/c", "[3,4,0]", 17},
        {"two_steps_small", "a*b 1/c", "[3,4,6]", 2},
        {"two_steps_small", "a*b 1+c", "[3,4,7]", 19}, /* not the story's numbers */
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char numbers[64], *out = numbers;
        for (const char *p = rows[i].numbers; *p; p++)
            if (*p != '\\')
                *out++ = *p;
        *out = 0;
        task_query q = {0};
        if (read(ctx, rows[i].cell, story, rows[i].steps, numbers, rows[i].gold, &q) == AGON_OK)
            fail_msg("accepted row %zu: %s", i, rows[i].steps);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_faults_in_the_middle),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_hostile_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

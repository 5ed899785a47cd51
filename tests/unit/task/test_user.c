/* The user's own rows: what they may say, and judging by number, exact text and contained text. */
#include "test.h"
#include "task/task.h"

static agon_status load(agon_ctx *ctx, const char *json, task_query *out) {
    json_error_t error;
    json_t *row = json_loads(json, JSON_DECODE_ANY, &error);
    if (!row)
        fail_msg("%s: %s", json, error.text);
    agon_status status = task_user_query(ctx, "mine.jsonl:7", row, out);
    json_decref(row);
    return status;
}

static void test_judging(void **state) {
    (void)state;
    static const struct {
        const char *row, *response;
        task_outcome outcome;
    } cases[] = {
        {"{\"query\":\"2+2?\",\"answer\":4}", "It is 4.", OUTCOME_PASS},
        {"{\"query\":\"2+2?\",\"answer\":4}", "It is 5.", OUTCOME_FAIL},
        {"{\"query\":\"2+2?\",\"answer\":4}", "4 or 5", OUTCOME_FAIL},
        {"{\"query\":\"Half?\",\"answer\":0.5}", "1/2", OUTCOME_PASS},
        {"{\"query\":\"Half?\",\"answer\":\"1/2\"}", "0.50", OUTCOME_PASS},
        {"{\"query\":\"A root of x*x=9?\",\"answer\":[3,-3]}", "-3", OUTCOME_PASS},
        {"{\"query\":\"A root of x*x=9?\",\"answer\":[3,-3]}", "9", OUTCOME_FAIL},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "paris.", OUTCOME_PASS},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "The answer is Paris.", OUTCOME_PASS},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "Let me see.\n**Paris**", OUTCOME_PASS},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "Paris or Rome", OUTCOME_FAIL},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "", OUTCOME_FAIL},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\",\"verifier\":\"contains\"}", "It is Paris, I think", OUTCOME_PASS},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\",\"verifier\":\"contains\"}", "Parisian", OUTCOME_FAIL},
        {"{\"query\":\"Capital?\",\"answer\":[\"Paris\",\"City of Light\"]}", "city  of\nlight", OUTCOME_PASS},
        {"{\"query\":\"Which sign multiplies?\",\"answer\":\"*\"}", "*", OUTCOME_PASS},
        {"{\"query\":\"Which sign multiplies?\",\"answer\":\"*\"}", "The answer is *", OUTCOME_PASS},
        {"{\"query\":\"Which sign multiplies?\",\"answer\":\"*\"}", "+", OUTCOME_FAIL},
        {"{\"query\":\"Which sign multiplies?\",\"answer\":\"*\"}", "", OUTCOME_FAIL},
        {"{\"query\":\"What is 6/2?\",\"answer\":\"6/2\"}", "3", OUTCOME_PASS},
        {"{\"query\":\"What is 6/2?\",\"answer\":\"6/2\"}", "6/2", OUTCOME_FAIL},
        {"{\"query\":\"What is love?\"}", "Baby", OUTCOME_UNKNOWN},
        {"{\"query\":\"Be brief\",\"verifier\":\"max_words\",\"arguments\":{\"n\":3}}", "Yes, of course.", OUTCOME_PASS},
        {"{\"query\":\"Be brief\",\"verifier\":\"max_words\",\"arguments\":{\"n\":3}}", "Yes, of course I will.", OUTCOME_FAIL},
        {"{\"query\":\"Be calm\",\"verifier\":\"lower_case\"}", "all is well.", OUTCOME_PASS},
        {"{\"query\":\"Be calm\",\"verifier\":\"lower_case\"}", "ALL IS WELL.", OUTCOME_FAIL},
        {"{\"query\":\"What is love?\",\"answer\":null}", "Baby", OUTCOME_UNKNOWN},
        {"{\"query\":\"Capital?\",\"answer\":\"Paris\"}", "\xff\xfe\x01", OUTCOME_FAIL},
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_query q = {0};
        task_verdict v = {0};
        assert_ok(ctx, load(ctx, cases[i].row, &q));
        assert_ok(ctx, task_check(ctx, &q));
        assert_ok(ctx, task_verify(ctx, &q, cases[i].response, &v));
        if (v.outcome != cases[i].outcome)
            fail_msg("%s with '%s': %s (%s)", cases[i].row, cases[i].response, task_outcome_name(v.outcome), v.evidence);
        json_t *text = json_string(v.evidence); /* evidence is text that a record can hold */
        assert_non_null(text);
        json_decref(text);
        if (v.outcome == OUTCOME_FAIL)
            assert_null(strstr(v.masked, "Paris"));
        task_verdict_free(&v);
        task_query_free(&q);
    }
    agon_ctx_free(ctx);
}

static void test_hostile_rows(void **state) {
    (void)state;
    static const struct {
        const char *row, *says;
    } cases[] = {
        {"[]", "JSON object"},
        {"7", "JSON object"},
        {"{}", "query"},
        {"{\"query\":7}", "query"},
        {"{\"query\":\" \\n\"}", "empty"},
        {"{\"query\":\"a\",\"anser\":1}", "did you mean 'answer'"},
        {"{\"query\":\"a\",\"answer\":[]}", "between 1 and"},
        {"{\"query\":\"a\",\"answer\":{}}", "'answer' must be"},
        {"{\"query\":\"a\",\"answer\":[[1]]}", "'answer' must be"},
        {"{\"query\":\"a\",\"answer\":true}", "'answer' must be"},
        {"{\"query\":\"a\",\"answer\":\"\"}", "empty"},
        {"{\"query\":\"a\",\"answer\":1e300}", "plain decimal"},
        {"{\"query\":\"a\",\"answer\":\"b\",\"verifier\":\"numbr\"}", "did you mean 'number'"},
        {"{\"query\":\"a\",\"answer\":\"b\",\"verifier\":\"number\"}", "cannot use the answer"},
        {"{\"query\":\"a\",\"answer\":\"Well, yes.\",\"verifier\":\"no_commas\"}", "does not pass the query's verifier 'no_commas'"},
        {"{\"query\":\"a\",\"answer\":[\"ok\",\"NO\"],\"verifier\":\"lower_case\"}", "the answer 'NO' does not pass"},
        {"{\"query\":\"a\",\"verifier\":\"exact\"}", "needs an 'answer'"},
        {"{\"query\":\"a\",\"verifier\":3}", "verifier"},
        {"{\"query\":\"a\",\"verifier\":\"max_words\"}", "max_words"},
        {"{\"query\":\"a\",\"verifier\":\"max_wrods\",\"arguments\":{\"n\":3}}", "did you mean 'max_words'"},
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_query q = {0};
        assert_int_equal(load(ctx, cases[i].row, &q), AGON_EINVAL);
        assert_null(q.text);
        if (!strstr(agon_error(ctx), cases[i].says) || !strstr(agon_error(ctx), "mine.jsonl:7"))
            fail_msg("%s: '%s' does not say '%s'", cases[i].row, agon_error(ctx), cases[i].says);
    }
    char *long_row = malloc(80000);
    memset(long_row, 'a', 80000);
    memcpy(long_row, "{\"query\":\"", 10);
    strcpy(long_row + 79990, "\"}");
    task_query q = {0};
    assert_int_equal(load(ctx, long_row, &q), AGON_EINVAL);
    free(long_row);
    agon_ctx_free(ctx);
}

static void test_verbs(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = {0}, other = {0}, back = {0};
    char *text = NULL, *claim = NULL;
    assert_ok(ctx, load(ctx, "{\"query\":\"Add 40 and 2, \\\"please\\\"\",\"answer\":42}", &q));
    assert_int_equal(json_array_size(q.keep), 3);
    assert_ok(ctx, task_demonstrate(ctx, &q, 1, &text));
    assert_string_equal(text, "42");
    free(text);
    assert_ok(ctx, task_tamper(ctx, &q, "So 42.", 1, &text, &claim));
    assert_true(strcmp(text, "So 41.") == 0 || strcmp(text, "So 43.") == 0);
    free(text);
    free(claim);
    assert_ok(ctx, task_gold(ctx, &q, &text));
    assert_string_equal(text, "42");
    free(text);
    /* An answer taken for good that is not has a fault planted like any other. */
    static const char *const wrong[][2] = {{"It is London.", "It is Londo."}, {"x!", "xx!"}, {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t"}};
    assert_ok(ctx, load(ctx, "{\"query\":\"The capital of France?\",\"answer\":\"Paris\",\"verifier\":\"contains\"}", &other));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_ok(ctx, task_tamper(ctx, &other, wrong[i][0], 1, &text, &claim));
        assert_string_equal(text, wrong[i][1]);
        free(text);
        free(claim);
    }
    assert_int_equal(task_tamper(ctx, &other, " ?!", 1, &text, &claim), AGON_EUNSUPPORTED);
    task_query_free(&other);
    json_t *object = NULL;
    assert_ok(ctx, task_query_json(ctx, &q, &object));
    assert_ok(ctx, task_query_read(ctx, "row", object, &back));
    char *a = task_identity(&q), *b = task_identity(&back);
    assert_string_equal(a, b);
    free(b);
    /* Another query with the same answer is another task. */
    assert_ok(ctx, load(ctx, "{\"query\":\"Add 41 and 1\",\"answer\":42}", &other));
    b = task_identity(&other);
    assert_string_not_equal(a, b);
    free(a);
    free(b);
    json_decref(object);
    task_query_free(&back);
    task_query_free(&other);
    task_query_free(&q);
    /* What is accepted demonstrates. */
    static const char *const answers[] = {"6/2", "*", "...", "()", "\\\"", "1/2", "-3", "$5", "5%", "Paris."};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char row[80];
        snprintf(row, sizeof row, "{\"query\":\"What?\",\"answer\":\"%s\"}", answers[i]);
        assert_ok(ctx, load(ctx, row, &q));
        assert_ok(ctx, task_demonstrate(ctx, &q, 1, &text));
        free(text);
        task_query_free(&q);
    }
    assert_ok(ctx, load(ctx, "{\"query\":\"Say something\"}", &q));
    assert_int_equal(task_demonstrate(ctx, &q, 1, &text), AGON_EUNSUPPORTED);
    task_query_free(&q);
    /* A recorded query whose answer an older agon took goes on; the answer is shown to nobody. */
    assert_ok(ctx, load(ctx, "{\"query\":\"Well?\",\"answer\":\"Well, yes.\"}", &q));
    assert_ok(ctx, task_query_json(ctx, &q, &object));
    json_object_set_new(json_object_get(object, "parameters"), "verifier", json_string("no_commas"));
    assert_ok(ctx, task_query_read(ctx, "row", object, &back));
    assert_int_equal(task_demonstrate(ctx, &back, 1, &text), AGON_EUNSUPPORTED);
    json_decref(object);
    task_query_free(&back);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_names(void **state) {
    (void)state;
    size_t n = 0;
    while (task_verifier_name(n))
        n++;
    assert_true(n >= 3 + 15);
    assert_string_equal(task_verifier_name(0), "number");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_hostile_rows),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

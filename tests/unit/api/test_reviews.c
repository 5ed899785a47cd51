/* What a reviewer sees of an executable critique: the place in the answer that the verifier's evidence is about. */
#include "actors.h"
#include "agon.h"

static void reviews__failed_answer__marks_what_the_verifier_cites(void **state) {
    (void)state;
    static const size_t queries[] = {0}, which[] = {0};
    static const char *const texts[] = {"a quiet Harbour at night"};
    stand *x = stand_new(NULL);
    char *text = NULL;
    stand_draw(x, "draw", "writing", "lower_case", 1);
    stand_answers(x, "answers", queries, texts, 1);
    assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_FAIL);
    assert_ok(x->ctx, critique_answers(&x->actors, "critique", &x->answers, which, 1));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'critique' AND meta = '{\"span\":[8,15]}'"), 2);
    assert_ok(x->ctx, ask_reviewers(&x->actors, "ask", &x->queries, &x->answers, which, 1, "audit", "audit", 1, false));
    stand_close(x);
    assert_ok(x->ctx, agon_reviews_json(x->ctx, x->folder, &text));
    json_t *rows = json_loads(text, 0, NULL);
    const json_t *span = json_array_get(json_object_get(json_array_get(rows, 0), "spans"), 0);
    assert_int_equal(json_array_size(rows), 1);
    assert_int_equal(json_integer_value(json_array_get(span, 0)), 8); /* Harbour */
    assert_int_equal(json_integer_value(json_array_get(span, 1)), 15);
    const json_t *claims = json_object_get(json_array_get(rows, 0), "claims");
    assert_true(json_is_true(json_object_get(json_array_get(claims, 0), "holds"))); /* 'Harbour' has a capital letter */
    json_decref(rows);
    agon_text_free(text);
    stand_open(x);
    stand_free(x);
}

static void add_words(stand *x, const char *words, store_id *id) {
    const step_key key = {.path = "words"};
    const text_record t = {.run = run_id(x->run), .kind = "critique", .body = words, .iteration = 1, .parent = x->answers.items[0].id, .producer = "base", .slot = "written"};
    json_t *result = NULL;
    bool done = false;
    assert_ok(x->ctx, step_begin(x->run, &key, NULL, &done, &result));
    assert_ok(x->ctx, store_add_text(x->store, &t, id));
    result = json_object();
    assert_ok(x->ctx, step_commit(x->run, result));
    json_decref(result);
}

static json_t *read_answer(agon_ctx *ctx, agon_status status, char *text) {
    assert_ok(ctx, status);
    json_t *answer = json_loads(text, 0, NULL);
    assert_non_null(answer);
    agon_text_free(text);
    return answer;
}

static json_int_t count_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* A critic's words, the verdict right, a quote fake and a sum false, read back by `show`, `why` and `status`; under a sealed oracle no verdict is told. */
static void critiques__of_a_run__say_which_claims_hold(void **state) {
    (void)state;
    static const char words[] = "The answer is wrong. It says \"ninety\", but 2 + 2 = 5.";
    static const size_t queries[] = {0};
    static const char *const texts[] = {"nothing"};
    for (int sealed = 0; sealed < 2; sealed++) {
        stand *x = stand_new(NULL);
        char *text = NULL;
        store_id id;
        x->actors.sealed = sealed;
        stand_draw(x, "draw", "arithmetic", "two_digit_sum", 1);
        stand_answers(x, "answers", queries, texts, 1);
        if (!sealed)
            assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
        add_words(x, words, &id);
        stand_close(x);
        agon_status s = agon_show_json(x->ctx, x->folder, id.text, &text);
        json_t *shown = read_answer(x->ctx, s, text), *claims = json_object_get(json_object_get(shown, "record"), "claims");
        assert_int_equal(json_array_size(claims), 3);
        assert_true(json_is_true(json_object_get(json_array_get(claims, 0), "holds")) == !sealed);
        assert_true(json_is_false(json_object_get(json_object_get(json_array_get(claims, 1), "checks"), "quote")));
        assert_true(json_is_false(json_object_get(json_object_get(json_array_get(claims, 2), "checks"), "arithmetic")));
        s = agon_why_json(x->ctx, x->folder, id.text, &text);
        json_t *story = read_answer(x->ctx, s, text);
        assert_true(json_equal(json_object_get(json_object_get(json_array_get(story, 0), "record"), "claims"), claims));
        s = agon_status_json(x->ctx, x->folder, NULL, &text);
        json_t *status = read_answer(x->ctx, s, text), *row = json_array_get(json_object_get(status, "critiques"), 0);
        assert_string_equal(json_string_value(json_object_get(row, "critic")), "model");
        assert_int_equal(count_of(row, "claims"), 3);
        assert_int_equal(count_of(row, "hold"), !sealed);
        assert_int_equal(count_of(row, "fail"), 2);
        assert_int_equal(count_of(row, "unverifiable"), sealed);
        json_decref(shown);
        json_decref(story);
        json_decref(status);
        stand_open(x);
        stand_free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reviews__failed_answer__marks_what_the_verifier_cites),
        cmocka_unit_test(critiques__of_a_run__say_which_claims_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

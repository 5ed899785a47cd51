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
    json_decref(rows);
    agon_text_free(text);
    stand_open(x);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reviews__failed_answer__marks_what_the_verifier_cites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What reviewers answer reaches the run once: the last word of an item, and a mended answer as one label. */
#include "actors.h"

/* Two answers in the queue; *ids new: the review items in the order asked. */
static stand *asked(json_t **ids) {
    static const char *const texts[] = {"right", "wrong"};
    static const size_t queries[] = {0, 1}, which[] = {0, 1};
    stand *x = stand_new(NULL);
    stand_draw(x, "draw", "arithmetic", "two_digit_sum", 2);
    stand_answers(x, "answers", queries, texts, 2);
    assert_ok(x->ctx, ask_reviewers(&x->actors, "ask", &x->queries, &x->answers, which, 2, "verdict", "train", 1));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item ORDER BY priority DESC", NULL, ids));
    assert_int_equal(json_array_size(*ids), 2);
    return x;
}

static void say(stand *x, const json_t *ids, size_t item, const char *verdict, const char *text) {
    json_t *answer = json_pack("{ss ss*}", "verdict", verdict, "text", text);
    assert_ok(x->ctx, store_inbox_add(x->store, field_text(json_array_get(ids, item), "id"), "reviewer-1", 2, answer));
    json_decref(answer);
}

static size_t collected(stand *x, const char *path, int64_t *last) {
    size_t n = 0;
    assert_ok(x->ctx, collect_reviews(&x->actors, path, &x->queries, &x->answers, last, &n));
    return n;
}

static void the_last_word_stands(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    int64_t last = 0, labels = 0;
    say(x, ids, 0, "reject", NULL);
    say(x, ids, 1, "reject", NULL);
    say(x, ids, 0, "accept", NULL); /* thought better of it */
    assert_int_equal(collected(x, "collect/1", &last), 2);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    assert_int_equal(x->answers.items[1].outcome, OUTCOME_FAIL);
    assert_string_equal(x->answers.items[0].source, "human");
    assert_ok(x->ctx, store_query_int(x->store, "SELECT count(*) FROM label WHERE source = 'human'", NULL, &labels));
    assert_int_equal(labels, 2);
    assert_int_equal(collected(x, "collect/2", &last), 0); /* nothing new since */
    json_decref(ids);
    stand_free(x);
}

static void a_mended_answer_knows_its_draft(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    int64_t last = 0;
    say(x, ids, 1, "reject", "42");
    assert_int_equal(collected(x, "collect", &last), 1);
    assert_int_equal(x->answers.n, 3);
    const answer *y = &x->answers.items[2];
    assert_string_equal(y->kind, "demonstration");
    assert_string_equal(y->text, "42");
    assert_int_equal(y->query, 1);
    assert_int_equal(y->draft, 1);
    json_decref(ids);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_word_stands),
        cmocka_unit_test(a_mended_answer_knows_its_draft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What reviewers answer reaches the run once: the last word of an item, and a mended answer as one label. */
#include "actors.h"

/* Two answers in the queue; *ids new: the review items in the order asked. */
static stand *asked(json_t **ids) {
    static const char *const texts[] = {"right", "wrong"};
    static const size_t queries[] = {0, 1}, which[] = {0, 1};
    stand *x = stand_new(NULL);
    stand_draw(x, "draw", "arithmetic", "two_digit_sum", 2);
    stand_answers(x, "answers", queries, texts, 2);
    assert_ok(x->ctx, ask_reviewers(&x->actors, "ask", &x->queries, &x->answers, which, 2, "verdict", "train", 1, false));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item ORDER BY priority DESC", NULL, ids));
    assert_int_equal(json_array_size(*ids), 2);
    return x;
}

static void say(stand *x, const json_t *ids, size_t item, const char *verdict, const char *text) {
    json_t *answer = json_pack("{ss ss*}", "verdict", verdict, "text", text);
    assert_ok(x->ctx, store_inbox_add(x->store, field_text(json_array_get(ids, item), "id"), "reviewer-1", 2, answer));
    json_decref(answer);
}

static size_t collected(stand *x, const char *path, collected_reviews *c) {
    size_t n = 0;
    preference_list preferences = {0};
    assert_ok(x->ctx, collect_reviews(&x->actors, path, &x->queries, &x->answers, &preferences, c, NULL, &n));
    assert_int_equal(preferences.n, 0);
    preference_list_free(&preferences);
    return n;
}

static int64_t human_labels(stand *x) {
    json_t *status = NULL;
    assert_ok(x->ctx, store_status(x->store, run_id(x->run), &status));
    int64_t n = field_int(json_object_get(status, "labels"), "human");
    json_decref(status);
    return n;
}

static void the_last_word_stands(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    collected_reviews c = {0};
    int64_t labels = 0;
    say(x, ids, 0, "reject", NULL);
    say(x, ids, 1, "reject", NULL);
    say(x, ids, 0, "accept", NULL); /* thought better of it */
    assert_int_equal(collected(x, "collect/1", &c), 2);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    assert_int_equal(x->answers.items[1].outcome, OUTCOME_FAIL);
    assert_string_equal(x->answers.items[0].source, "human");
    assert_ok(x->ctx, store_query_int(x->store, "SELECT count(*) FROM label WHERE source = 'human'", NULL, &labels));
    assert_int_equal(labels, 2);
    assert_int_equal(collected(x, "collect/2", &c), 0); /* nothing new since */
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

/* One reviewer decides, another skips: the verdict stands, whenever the loop looks. */
static void a_later_skip_says_nothing(void **state) {
    (void)state;
    for (int between = 0; between < 2; between++) {
        json_t *ids = NULL;
        stand *x = asked(&ids);
        collected_reviews c = {0};
        size_t n = 0;
        say(x, ids, 0, "reject", NULL);
        n += between ? collected(x, "collect/1", &c) : 0;
        say(x, ids, 0, "skip", NULL);
        say(x, ids, 1, "skip", NULL);
        say(x, ids, 1, "accept", NULL);
        n += collected(x, "collect/2", &c);
        assert_int_equal(n, 2);
        assert_int_equal(x->answers.items[0].outcome, OUTCOME_FAIL);
        assert_int_equal(x->answers.items[1].outcome, OUTCOME_PASS);
        assert_int_equal(human_labels(x), 2);
        json_decref(ids);
        collected_reviews_free(&c);
        stand_free(x);
    }
}

static void a_mended_answer_knows_its_draft(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    collected_reviews c = {0};
    say(x, ids, 1, "reject", "42");
    assert_int_equal(collected(x, "collect", &c), 1);
    assert_int_equal(x->answers.n, 3);
    const answer *y = &x->answers.items[2];
    assert_string_equal(y->kind, "demonstration");
    assert_string_equal(y->text, "42");
    assert_int_equal(y->query, 1);
    assert_int_equal(y->draft, 1);
    assert_int_equal(human_labels(x), 1); /* verdict and text: one answer of one person */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'human'"), 2);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

/* Three answers to one query, two pairs of them asked. */
static stand *paired(json_t **ids) {
    static const char *const texts[] = {"one", "two", "three"};
    static const size_t queries[] = {0, 0, 0};
    static const answer_pair pairs[] = {{0, 1}, {1, 2}};
    stand *x = stand_new(NULL);
    stand_draw(x, "draw", "arithmetic", "two_digit_sum", 1);
    stand_answers(x, "answers", queries, texts, 3);
    assert_ok(x->ctx, ask_preferences(&x->actors, "ask", &x->queries, &x->answers, pairs, 2, "train", 1));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT * FROM review_item ORDER BY priority DESC", NULL, ids));
    assert_int_equal(json_array_size(*ids), 2);
    assert_string_equal(field_text(json_array_get(*ids, 1), "response"), x->answers.items[1].id);
    assert_string_equal(field_text(json_array_get(*ids, 1), "other"), x->answers.items[2].id);
    return x;
}

static void the_better_of_two_is_a_preference(void **state) {
    (void)state;
    json_t *ids = NULL, *rows = NULL;
    preference_list p = {0};
    stand *x = paired(&ids);
    collected_reviews c = {0};
    size_t n = 0;
    say(x, ids, 0, "B", NULL);
    say(x, ids, 1, "A", NULL);
    for (int again = 0; again < 2; again++) { /* a replay comes to the same */
        collected_reviews_free(&c);
        p.n = 0;
        assert_ok(x->ctx, collect_reviews(&x->actors, "collect", &x->queries, &x->answers, &p, &c, NULL, &n));
        assert_int_equal(n, 2);
        assert_int_equal(p.n, 2);
        assert_true(p.items[0].chosen == 1 && p.items[0].rejected == 0 && p.items[1].chosen == 1 && p.items[1].rejected == 2);
        assert_int_equal(x->answers.items[1].outcome, OUTCOME_UNKNOWN); /* better is not right */
    }
    assert_ok(x->ctx, store_query_json(x->store, "SELECT * FROM label WHERE kind = 'pair' ORDER BY rowid", NULL, &rows));
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(field_text(json_array_get(rows, 0), "source"), "human");
    assert_string_equal(field_text(json_array_get(rows, 0), "target"), x->answers.items[1].id);
    assert_string_equal(field_text(json_array_get(rows, 0), "other"), x->answers.items[0].id);
    assert_string_equal(field_text(json_array_get(rows, 0), "id"), p.items[0].label);
    assert_int_equal(human_labels(x), 2);
    preference_list_free(&p);
    json_decref(rows);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

static void neither_of_two_fails_both_at_the_price_of_one(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = paired(&ids);
    collected_reviews c = {0};
    say(x, ids, 0, "reject", NULL);
    say(x, ids, 1, "skip", NULL);
    assert_int_equal(collected(x, "collect", &c), 1);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_FAIL);
    assert_int_equal(x->answers.items[1].outcome, OUTCOME_FAIL);
    assert_int_equal(x->answers.items[2].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(human_labels(x), 1);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

/* "B, and better still this": one person's one answer. */
static void a_preference_with_a_text_is_one_label(void **state) {
    (void)state;
    json_t *ids = NULL;
    preference_list p = {0};
    stand *x = paired(&ids);
    collected_reviews c = {0};
    size_t n = 0;
    say(x, ids, 0, "B", "four");
    assert_ok(x->ctx, collect_reviews(&x->actors, "collect", &x->queries, &x->answers, &p, &c, NULL, &n));
    assert_int_equal(n, 1);
    assert_int_equal(p.n, 1);
    assert_int_equal(x->answers.n, 4);
    assert_string_equal(x->answers.items[3].text, "four");
    assert_true(x->answers.items[3].draft == SIZE_MAX);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(x->answers.items[i].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(human_labels(x), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'human'"), 2);
    preference_list_free(&p);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

/* The label that corrects another says so, and only the first is counted. */
static void check_superseded(stand *x, int64_t n) {
    int64_t counted = 0;
    assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "labels.human", &counted));
    assert_int_equal(counted, 1);
    assert_int_equal(human_labels(x), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label l JOIN label e ON e.id = l.supersedes WHERE e.source = 'human'"), n);
}

static void a_corrected_verdict_is_no_new_label(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    collected_reviews c = {0};
    say(x, ids, 0, "reject", NULL);
    assert_int_equal(collected(x, "collect/1", &c), 1);
    say(x, ids, 0, "accept", NULL);
    assert_int_equal(collected(x, "collect/2", &c), 0);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    say(x, ids, 0, "skip", NULL); /* says nothing against it */
    assert_int_equal(collected(x, "collect/3", &c), 0);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    say(x, ids, 0, "reject", NULL);
    assert_int_equal(collected(x, "collect/4", &c), 0);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_FAIL);
    check_superseded(x, 2);
    assert_int_equal(json_object_size(c.withdrawn), 2);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

static void a_corrected_text_replaces_the_first(void **state) {
    (void)state;
    json_t *ids = NULL;
    stand *x = asked(&ids);
    collected_reviews c = {0};
    say(x, ids, 1, "reject", "42");
    assert_int_equal(collected(x, "collect/1", &c), 1);
    say(x, ids, 1, "reject", "43");
    assert_int_equal(collected(x, "collect/2", &c), 0);
    assert_int_equal(x->answers.n, 4);
    assert_int_equal(x->answers.items[2].outcome, OUTCOME_UNKNOWN); /* "42": nobody vouches for it any more */
    assert_int_equal(x->answers.items[3].outcome, OUTCOME_PASS);
    assert_string_equal(x->answers.items[3].text, "43");
    assert_int_equal(x->answers.items[1].outcome, OUTCOME_FAIL);
    assert_non_null(json_object_get(c.withdrawn, x->answers.items[2].label));
    check_superseded(x, 1);
    json_decref(ids);
    collected_reviews_free(&c);
    stand_free(x);
}

/* A, then B, then neither, then A again: what stands is the last word, also in a replay. */
static void a_corrected_pair_holds_the_later_word(void **state) {
    (void)state;
    static const char *const words[] = {"A", "B", "reject", "A"};
    json_t *ids = NULL;
    stand *x = paired(&ids);
    for (int again = 0; again < 2; again++) {
        preference_list p = {0};
        collected_reviews c = {0};
        for (size_t k = 0; k < 4; k++) {
            size_t n = 9, n_standing = 0;
            if (!again)
                say(x, ids, 0, words[k], NULL);
            assert_ok(x->ctx, collect_reviews(&x->actors, arena_printf(x->memory, "collect/%zu", k), &x->queries, &x->answers, &p, &c, NULL, &n));
            assert_int_equal(n, k == 0);
            for (size_t i = 0; i < p.n; i++)
                n_standing += !p.items[i].superseded;
            assert_int_equal(n_standing, k != 2);
            assert_true(k == 2 || (!p.items[p.n - 1].superseded && p.items[p.n - 1].chosen == (size_t)(k == 1)));
            for (size_t i = 0; i < 2; i++) {
                assert_int_equal(x->answers.items[i].outcome, k == 2 ? OUTCOME_FAIL : OUTCOME_UNKNOWN);
                assert_true(k == 2 || (!x->answers.items[i].source && !*x->answers.items[i].label));
            }
        }
        check_superseded(x, 3);
        preference_list_free(&p);
        collected_reviews_free(&c);
    }
    json_decref(ids);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_word_stands),
        cmocka_unit_test(a_later_skip_says_nothing),
        cmocka_unit_test(a_mended_answer_knows_its_draft),
        cmocka_unit_test(the_better_of_two_is_a_preference),
        cmocka_unit_test(neither_of_two_fails_both_at_the_price_of_one),
        cmocka_unit_test(a_preference_with_a_text_is_one_label),
        cmocka_unit_test(a_corrected_verdict_is_no_new_label),
        cmocka_unit_test(a_corrected_text_replaces_the_first),
        cmocka_unit_test(a_corrected_pair_holds_the_later_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

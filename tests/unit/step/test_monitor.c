/* The monitor suspends the families in which the critic's word no longer holds, and leaves the others. */
#include "actors.h"
#include "step/monitor.h"

enum { PER_FAMILY = 20, N = 3 * PER_FAMILY };
static const char *const families[] = {"arithmetic", "string", "writing"};
static const char *const cells[] = {"two_digit_sum", "reverse_word", "lower_case"};

/* Sure of everything: right in arithmetic, mostly wrong about strings; a handful of verdicts on writing, all against it. */
static void judge_all(stand *x, judged_answer judged[N], size_t *n) {
    size_t queries[N];
    const char *texts[N];
    for (size_t f = 0; f < 3; f++)
        stand_draw(x, cells[f], families[f], cells[f], PER_FAMILY);
    for (size_t i = 0; i < N; i++) {
        queries[i] = i;
        texts[i] = arena_printf(x->memory, "answer %zu", i);
    }
    stand_answers(x, "answers", queries, texts, N);
    *n = 0;
    for (size_t i = 0; i < N; i++) {
        x->answers.items[i].p_raw = 0.9;
        if (i >= 2 * PER_FAMILY + 5)
            continue;
        judged_answer *j = &judged[(*n)++];
        *j = (judged_answer){.answer = i, .right = i < PER_FAMILY ? i % 10 > 0 : i < 2 * PER_FAMILY ? i % 2 : false};
        snprintf(j->label, sizeof j->label, "label %zu", i);
    }
}

static trust_table trusted(void) {
    trust_table t = {.n_families = 3, .critic = "critic"};
    for (size_t f = 0; f < 3; f++)
        t.families[f].family = families[f];
    return t;
}

static void monitor__shifted_family__is_suspended(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    for (int again = 0; again < 2; again++) {
        trust_table t = trusted();
        judged_answer judged[N];
        json_t *report = NULL;
        size_t n;
        judge_all(x, judged, &n);
        assert_ok(x->ctx, monitor_critic(&x->actors, "monitor", &t, &x->queries, &x->answers, judged, n, &report));
        assert_non_null(trust_find(&t, "arithmetic"));
        assert_null(trust_find(&t, "string")); /* as if it had never been calibrated */
        assert_non_null(trust_find(&t, "writing"));
        assert_int_equal(json_array_size(report), 2); /* five verdicts say nothing */
        const json_t *row = json_array_get(report, 1);
        assert_string_equal(field_text(row, "family"), "string");
        assert_close(field_real(row, "agreement"), 0.5, 1e-12);
        assert_close(field_real(row, "bias"), 0.4, 1e-12);
        assert_true(field_true(row, "suspended") && field_real(row, "p") < 1e-3);
        assert_false(field_true(json_array_get(report, 0), "suspended"));
        assert_int_equal(stand_count(x, "SELECT count(*) FROM metric WHERE name = 'critic.bias' AND version = 'critic'"), 2);
        json_decref(report);
        stand_again(x);
    }
    stand_free(x);
}

/* 14 right of 20 at 0.9 is p = 0.0226: one look in three at such a family is no wonder (Benjamini-Hochberg: 0.068). */
static void monitor__one_of_three__is_held_to_more(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    trust_table t = trusted();
    judged_answer judged[N];
    json_t *report = NULL;
    size_t n;
    judge_all(x, judged, &n);
    for (size_t i = 0; i < N; i++) {
        judged[i] = (judged_answer){.answer = i, .right = i % PER_FAMILY >= (i < PER_FAMILY ? 6 : 2)};
        snprintf(judged[i].label, sizeof judged[i].label, "label %zu", i);
    }
    assert_ok(x->ctx, monitor_critic(&x->actors, "monitor", &t, &x->queries, &x->answers, judged, N, &report));
    assert_int_equal(json_array_size(report), 3);
    assert_close(field_real(json_array_get(report, 0), "p"), 3 * 0.0225, 1e-3);
    for (size_t f = 0; f < 3; f++)
        assert_non_null(trust_find(&t, families[f]));
    json_decref(report);
    stand_free(x);
}

/* Further verdicts in the critic's favour do not mend its calibration. */
static void monitor__a_suspension__lasts_until_calibration(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    trust_table t = trusted();
    judged_answer judged[N];
    json_t *report = NULL;
    size_t n;
    judge_all(x, judged, &n);
    assert_ok(x->ctx, monitor_critic(&x->actors, "monitor/1", &t, &x->queries, &x->answers, judged, n, &report));
    assert_null(trust_find(&t, "string"));
    json_decref(report);
    for (size_t i = 0; i < n; i++)
        judged[i].right = i % 10 > 0;
    assert_ok(x->ctx, monitor_critic(&x->actors, "monitor/2", &t, &x->queries, &x->answers, judged, n, &report));
    assert_false(field_true(json_array_get(report, 1), "suspended")); /* this look alone finds nothing */
    assert_null(trust_find(&t, "string"));
    assert_non_null(trust_find(&t, "arithmetic"));
    json_decref(report);
    stand_free(x);
}

static void monitor__nobody_judged__suspends_nothing(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    trust_table t = trusted();
    json_t *report = NULL;
    assert_ok(x->ctx, monitor_critic(&x->actors, "monitor", &t, &x->queries, &x->answers, NULL, 0, &report));
    assert_int_equal(json_array_size(report), 0);
    for (size_t f = 0; f < 3; f++)
        assert_non_null(trust_find(&t, families[f]));
    json_decref(report);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monitor__shifted_family__is_suspended),
        cmocka_unit_test(monitor__one_of_three__is_held_to_more),
        cmocka_unit_test(monitor__a_suspension__lasts_until_calibration),
        cmocka_unit_test(monitor__nobody_judged__suspends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The expert's labels over the iterations of a loop: an even share each, more of them while the run goes on, and what is said where they do not suffice. */
#include "recipe_runs.h"

static const char yaml_of[] = "name: own\nseed: 3\niterations: %d\ntasks: {cells: [arithmetic/one_digit_sum, writing/lower_case]}\n"
                              "attacker: {queries: 24, waves: 1, variations: 0}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                              "refine: {queries: 0, learnability: 0}\nhuman: {labels: %d, audits: 4, demonstrations: 8, error_rate: 0}\nbuild: {documents: 1}\n"
                              "train: {rank: 2, epochs: 1, batch: 4}\nevaluate: {tasks: 6, general: 0, documents: 0, gsm8k: 0}\n"
                              "gate: {monitor_prompts: 0, rejections: 9}\n";

typedef struct said {
    char lines[8192];
} said;

static void note(void *arg, const recipe_progress *p) {
    said *s = arg;
    const size_t n = strlen(s->lines);
    if (p->message)
        snprintf(s->lines + n, sizeof s->lines - n, "%s\n", p->message);
}

static void run_of(stand *x, int iterations, int labels, said *s) {
    json_t *summary = NULL;
    *s->lines = 0;
    assert_ok(x->ctx, run_watched(x, arena_printf(x->memory, yaml_of, iterations, labels), note, s, &summary));
    assert_string_equal(text_of(summary, "state"), "done");
    json_decref(summary);
}

static int64_t used(stand *x, int iteration, const char *purpose) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM label WHERE source = 'simulated' AND iteration = %d AND purpose = '%s'", iteration, purpose));
}

static void assert_used(stand *x, int iteration, int64_t audits, int64_t written) {
    assert_int_equal(used(x, iteration, "audit"), audits);
    assert_int_equal(used(x, iteration, "demonstration"), written);
}

static void budget__short__is_shared_evenly(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    said s;
    run_of(x, 3, 12, &s);
    for (int i = 1; i <= 3; i++)
        assert_used(x, i, 1, 3); /* 4 of 12, divided as 4 to 8 */
    assert_non_null(strstr(s.lines, "warning: human.labels allows 12 expert labels in all, and 3 iterations may ask for 36"));
    assert_non_null(strstr(s.lines, "of human.labels (12) this iteration may use 4 more, and audits and demonstrations ask for 12: 1 for audits"));
    assert_null(strstr(s.lines, "is left"));
    run_of(x, 3, 36, &s); /* the iterations that were are not done again */
    assert_used(x, 3, 1, 3);
    stand_free(x);
}

static void budget__enough__is_what_is_asked_for(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    said s;
    run_of(x, 2, 24, &s);
    for (int i = 1; i <= 2; i++)
        assert_used(x, i, 4, 8);
    assert_null(strstr(s.lines, "human.labels"));
    stand_free(x);
}

/* Used up, it says so and what to do; raised, it counts from the next iteration on, and what was decided before stands. */
static void budget__raised__counts_from_the_next_iteration(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    journal_report report;
    said s;
    run_of(x, 1, 12, &s);
    run_of(x, 2, 12, &s);
    assert_used(x, 1, 4, 8);
    assert_used(x, 2, 0, 0);
    assert_non_null(strstr(s.lines, "the expert is asked nothing: none of 12 labels is left. Raise human.labels in the run file"));
    run_of(x, 4, 30, &s);
    assert_used(x, 1, 4, 8);
    assert_used(x, 2, 0, 0);
    assert_used(x, 3, 3, 6);
    assert_used(x, 4, 3, 6);
    run_of(x, 5, 20, &s); /* and lowered, there is none left */
    assert_used(x, 5, 0, 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate WHERE figures LIKE '%\"budget\": \"kept\"%' OR figures LIKE '%\"budget\":\"kept\"%'"), 5);
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    json_t *again = NULL;
    assert_ok(x->ctx, recipe_reexecute(x->ctx, x->store, "own", 20, 1, &again)); /* by the run file as it was pinned */
    assert_string_equal(field_text(again, "problem"), "");
    json_decref(again);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget__short__is_shared_evenly),
        cmocka_unit_test(budget__enough__is_what_is_asked_for),
        cmocka_unit_test(budget__raised__counts_from_the_next_iteration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

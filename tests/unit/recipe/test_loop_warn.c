/* What a run will not be able to do, said before it begins: a gain that no held-out query could show, queries that the simulated expert knows
 * nothing of. */
#include "base/random.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include "step/evaluate.h"
#include "test.h"
#include <unistd.h>

enum { OPEN = 1, TWICE = 2, IN_THREES = 4 };

/* Queries of which n are held out and m are not, with an answer or OPEN; IN_THREES: of one group, all on one side; new. */
static char *rows_of(size_t n, size_t m, int form) {
    char *rows = strdup(""), text[40], *more = NULL;
    for (size_t i = 0; n + m > 0; i++) {
        snprintf(text, sizeof text, "How much is %zu and 1?", i);
        size_t *left = seed_derive(0, text) % 5 == 0 ? &n : &m;
        if (*left == 0)
            continue;
        --*left;
        char group[64] = "";
        if (form & IN_THREES)
            snprintf(group, sizeof group, ", \"group\": \"%s%zu\"", left == &n ? "held out " : "asked ", *left / 3);
        for (int k = 0; k < (form & TWICE ? 2 : 1); k++) {
            assert_true(form & OPEN ? asprintf(&more, "%s{\"query\": \"%s\"%s}\n", rows, text, group) > 0
                                    : asprintf(&more, "%s{\"query\": \"%s\", \"answer\": %zu%s}\n", rows, text, i + 1, group) > 0);
            free(rows);
            rows = more;
        }
    }
    return rows;
}

/* The warnings of a run file on these rows (freed), one a line; new. */
static char *warnings_of(agon_ctx *ctx, char *rows, const char *rest) {
    char path[] = "/tmp/agon-warn-XXXXXX", *yaml = NULL, *text = strdup(""), *more = NULL;
    run_config *config = NULL;
    json_t *list = NULL, *sentence;
    size_t i;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && dprintf(fd, "%s", rows) >= 0);
    close(fd);
    assert_true(asprintf(&yaml, "tasks: {file: %s%s\n", path, rest) > 0);
    assert_ok(ctx, run_file_parse(ctx, "test.yaml", yaml, strlen(yaml), &config));
    assert_ok(ctx, recipe_warnings(ctx, config, &list));
    json_array_foreach(list, i, sentence) {
        assert_true(asprintf(&more, "%s%s\n", text, json_string_value(sentence)) > 0);
        free(text);
        text = more;
    }
    unlink(path);
    json_decref(list);
    run_config_free(config);
    free(yaml);
    free(rows);
    return text;
}

static void check_warnings(agon_ctx *ctx, char *rows, const char *rest, const char *first, const char *second) {
    char *text = warnings_of(ctx, rows, rest);
    if (!first)
        assert_string_equal(text, "");
    if (first && !strstr(text, first))
        fail_msg("no '%s' in: %s", first, text);
    if (second && !strstr(text, second))
        fail_msg("no '%s' in: %s", second, text);
    free(text);
}

static void gate__least_gains__follow_the_attempt(void **state) {
    (void)state;
    assert_int_equal(gate_least_gains(0.05, 1), 6); /* 0.5^6 < 0.05 * 6 / pi^2 = 0.0304 < 0.5^5 */
    assert_int_equal(gate_least_gains(0.05, 2), 8);
    assert_int_equal(gate_least_gains(0.05, 3), 9);
    assert_int_equal(gate_least_gains(0.5, 1), 2);
}

static void warnings__too_few_held_out__say_how_many_are_needed(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(5, 1, 0), "}", "of the held-out queries at most 5 can be verified (5 of the 6 in ",
                   "G1 asks for a gain on 6 at least: no candidate can be promoted; add rows");
    check_warnings(ctx, rows_of(5, 90, TWICE), "}", "of the held-out queries at most 5 can be verified", "5 of the 95 in");
    check_warnings(ctx, rows_of(6, 0, 0), "}", NULL, NULL);
    check_warnings(ctx, rows_of(6, 0, 0), "}\niterations: 2\nhuman: {labels: 200}", "from attempt 2 on no candidate can be promoted", "a gain on 8 at least");
    check_warnings(ctx, rows_of(9, 0, 0), "}\niterations: 3\nhuman: {labels: 300}", NULL, NULL);
    /* 30 audits and 70 demonstrations in an iteration. */
    check_warnings(ctx, rows_of(9, 0, 0), "}\niterations: 3\nhuman: {labels: 299}", "human.labels allows 299 expert labels in all, and 3 iterations may ask for 300", NULL);
    check_warnings(ctx, rows_of(9, 0, 0), "}\niterations: 3\nhuman: {labels: 0, audits: 0, demonstrations: 0}", NULL, NULL);
    check_warnings(ctx, rows_of(6, 0, 0), "}\ngate: {alpha: 0.01}", "a gain on 8 at least", NULL);
    agon_ctx_free(ctx);
}

/* G1 asks of sets what it asks of rows that stand alone. */
static void warnings__rows_in_groups__count_as_sets(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(15, 6, IN_THREES), "}", "of the held-out queries at most 15 can be verified (15 of the 21 in ",
                   ", in 5 sets of rows that go together (one \"group\", near-duplicates), but the gate's G1 asks for a gain on 6 sets at least: no candidate");
    check_warnings(ctx, rows_of(18, 6, IN_THREES), "}", NULL, NULL);
    check_warnings(ctx, rows_of(18, 6, IN_THREES), "}\niterations: 2\nhuman: {labels: 200}", "from attempt 2 on no candidate can be promoted", "a gain on 8 sets at least");
    check_warnings(ctx, rows_of(15, 6, IN_THREES), ", cells: [arithmetic]}\nevaluate: {tasks: 1}", NULL, NULL);
    check_warnings(ctx, rows_of(15, 6, IN_THREES | OPEN), "}\nhuman: {backend: queue, audits: 0, gate_items: 15}", "and people are asked about 15 more, in 5 sets", NULL);
    check_warnings(ctx, rows_of(18, 6, IN_THREES | OPEN), "}\nhuman: {backend: queue, audits: 0, gate_items: 6}", NULL, NULL);
    agon_ctx_free(ctx);
}

static void warnings__beside_generated_tasks__count_these(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(2, 0, 0), ", cells: [arithmetic]}\nevaluate: {tasks: 3}", "of the held-out queries at most 5 can be verified", "the others are generated");
    check_warnings(ctx, rows_of(2, 0, 0), ", cells: [arithmetic]}\nevaluate: {tasks: 4}", NULL, NULL);
    agon_ctx_free(ctx);
}

static void warnings__without_answers__need_people(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(20, 10, OPEN), "}", "it can judge none of the 30 of 30 queries in ", "of the held-out queries at most 0 can be verified");
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nhuman: {backend: queue}", "of the held-out queries at most 0 can be verified", "20 of the 30 in ");
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nverifier: {command: ./judge}", NULL, NULL);
    check_warnings(ctx, rows_of(4, 2, 0), "}\nlearner: {backend: command, command: ./answer}", NULL, NULL); /* nothing is trained there */
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nhuman: {backend: queue}", "raise human.gate_items, so that people judge held-out answers, or add rows", NULL);
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nhuman: {backend: queue, audits: 0, gate_items: 5}", "can be verified (20 of the 30 in ", " and people are asked about 5 more, but");
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nhuman: {backend: queue, audits: 0, gate_items: 6}", NULL, NULL);
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\niterations: 2\nhuman: {backend: queue, audits: 0, demonstrations: 0, gate_items: 30, labels: 79}", "the gate may ask people for 80 verdicts", "human.labels allows 79 in all");
    check_warnings(ctx, rows_of(20, 10, 0), "}\niterations: 2\nhuman: {labels: 99, audits: 10, demonstrations: 40}", "human.labels allows 99 expert labels in all, and 2 iterations may ask for 100: audits (10), demonstrations (40) are counted for each", NULL);
    check_warnings(ctx, rows_of(20, 10, 0), "}\niterations: 2\nhuman: {labels: 100, audits: 10, demonstrations: 40}", NULL, NULL);
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\niterations: 2\nhuman: {backend: queue, audits: 5, demonstrations: 0, gate_items: 30, labels: 89}", "may ask for 90: audits (5), demonstrations (0) and the gate's verdicts are counted", NULL);
    check_warnings(ctx, rows_of(20, 10, OPEN), "}\nhuman: {audits: 0, gate_items: 9}", "human.gate_items is 9 and asks nobody here: the simulated expert", NULL);
    check_warnings(ctx, rows_of(20, 10, 0), "}\nhuman: {backend: queue, audits: 0, gate_items: 9}", "asks nobody here: no held-out query", NULL);
    static const char joined[] = "}\nhuman: {backend: queue, audits: 0, labels: 300, demonstrations: 0, gate_items: 100}\ngate: {critic: true}";
    check_warnings(ctx, rows_of(101, 10, OPEN), joined, "gate.critic has nothing to judge beside people: of ", " 101 queries that only people can judge are held out, and it needs human.gate_items (100) and 2 more");
    check_warnings(ctx, rows_of(102, 10, OPEN), joined, NULL, NULL);
    char *text = warnings_of(ctx, rows_of(20, 10, OPEN), "}\nhuman: {backend: queue}");
    assert_null(strstr(text, "simulated"));
    free(text);
    agon_ctx_free(ctx);
}

static void warnings__approval__says_what_it_takes(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(40, 10, 0), "}\ngate: {over_approval: 0.05}", "gate.over_approval is 0.05, but of the held-out queries at most 40 can be judged, which show an index below 0.0714",
                   "58 are needed");
    check_warnings(ctx, rows_of(160, 10, 0), "}\ngate: {over_approval: 0.05}", NULL, NULL); /* 1.96 sqrt(0.1 / 160) = 0.049 */
    check_warnings(ctx, rows_of(150, 10, 0), "}\ngate: {over_approval: 0.05}", "with 150 held-out answers a candidate", "on at most 9.8 % of them; 10 % needs about 154");
    check_warnings(ctx, rows_of(10, 0, 0), ", cells: [arithmetic]}\ngate: {over_approval: 0.02}", "with 256 held-out answers a candidate", "on at most 2.7 % of them; 10 % needs about 961");
    check_warnings(ctx, rows_of(10, 0, 0), "}", NULL, NULL);
    agon_ctx_free(ctx);
}

static void warnings__audits_of_a_critic__that_are_too_few_at_once(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(30, 10, OPEN), "}\niterations: 3\nhuman: {backend: queue, labels: 500, gate_items: 30, audits: 28}\ngate: {audit_agreement: 0.9}",
                   "gate.audit_agreement is 0.9, which takes 29 audits of a critic's labels that all agree, and a critic gets about 28 an iteration", NULL);
    check_warnings(ctx, rows_of(30, 10, OPEN), "}\niterations: 3\nhuman: {backend: queue, labels: 500, gate_items: 30, audits: 29}\ngate: {audit_agreement: 0.9}", NULL, NULL);
    check_warnings(ctx, rows_of(30, 10, OPEN), ", cells: [arithmetic]}\niterations: 3\nhuman: {backend: queue, labels: 400, audits: 57}\ngate: {audit_agreement: 0.9}",
                   "a critic gets about 28 an iteration", NULL); /* the verifier has the other half */
    check_warnings(ctx, rows_of(30, 10, OPEN), "}\niterations: 3\ncritic: {examples: 0}\nhuman: {backend: queue, labels: 500, gate_items: 30, audits: 28}\ngate: {audit_agreement: 0.9}", NULL, NULL);
    agon_ctx_free(ctx);
}

static void warnings__attacker_queries__are_no_limit_on_rows(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, rows_of(10, 30, 0), "}\nattacker: {queries: 29}\nlearner: {samples: 3}", "attacker.queries is 29 and limits nothing here: no query is generated, and all 30 rows of ",
                   "are asked in each iteration, learner.samples (3) answers each");
    check_warnings(ctx, rows_of(10, 30, TWICE), "}\nattacker: {queries: 30}", NULL, NULL);
    check_warnings(ctx, rows_of(10, 30, 0), ", cells: [arithmetic]}\nattacker: {queries: 29}", NULL, NULL); /* these are generated */
    check_warnings(ctx, rows_of(10, 600, 0), "}", NULL, NULL); /* the file says nothing of it */
    agon_ctx_free(ctx);
}

static void warnings__rows_that_cannot_be_read__say_nothing(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    check_warnings(ctx, strdup("{\"query\": \"a\"}\n{\"qu"), "}", NULL, NULL);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate__least_gains__follow_the_attempt),
        cmocka_unit_test(warnings__too_few_held_out__say_how_many_are_needed),
        cmocka_unit_test(warnings__rows_in_groups__count_as_sets),
        cmocka_unit_test(warnings__beside_generated_tasks__count_these),
        cmocka_unit_test(warnings__without_answers__need_people),
        cmocka_unit_test(warnings__approval__says_what_it_takes),
        cmocka_unit_test(warnings__audits_of_a_critic__that_are_too_few_at_once),
        cmocka_unit_test(warnings__attacker_queries__are_no_limit_on_rows),
        cmocka_unit_test(warnings__rows_that_cannot_be_read__say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

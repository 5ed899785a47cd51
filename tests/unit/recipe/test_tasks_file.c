/* tasks.file: rows as queries, judged as they say, read once; equal rows are one. */
#include "own_queries.h"

static task_outcome verdict(stand *x, size_t query, const char *response) {
    task_query q = {0};
    task_verdict v = {0};
    assert_ok(x->ctx, query_task(&x->actors, &x->queries.items[query], &q));
    assert_ok(x->ctx, task_verify(x->ctx, &q, response, &v));
    task_outcome outcome = v.outcome;
    task_verdict_free(&v);
    task_query_free(&q);
    return outcome;
}

static void file__rows__are_judged_as_they_say(void **state) {
    (void)state;
    static const char rows[] = "{\"query\": \"How many legs has a spider?\", \"answer\": 8}\n"
                               "\n"
                               "{\"query\": \"Capital of France?\", \"answer\": [\"Paris\", \"City of Paris\"]}\n"
                               "{\"query\": \"Name a colour of the flag.\", \"answer\": \"red\", \"verifier\": \"contains\"}\n"
                               "{\"query\": \"Why is the sky blue?\"}\n"
                               "{\"query\": \"Why is the sky blue?\"}\n";
    stand *x = stand_new(NULL);
    const char *path = write_file(x, "own.jsonl", rows);
    assert_ok(x->ctx, read_user_queries(&x->actors, "file", path, &x->queries));
    assert_int_equal(x->queries.n, 5);
    assert_int_equal(verdict(x, 0, "It has 8 legs."), OUTCOME_PASS);
    assert_int_equal(verdict(x, 0, "It has 6 legs."), OUTCOME_FAIL);
    assert_int_equal(verdict(x, 1, "Paris."), OUTCOME_PASS);
    assert_int_equal(verdict(x, 1, "Lyon"), OUTCOME_FAIL);
    assert_int_equal(verdict(x, 2, "One of them is Red, I think"), OUTCOME_PASS);
    assert_int_equal(verdict(x, 2, "One of them is blue"), OUTCOME_FAIL);
    assert_int_equal(verdict(x, 3, "Because it is."), OUTCOME_UNKNOWN);
    assert_string_equal(x->queries.items[3].id, x->queries.items[4].id);
    assert_string_equal(x->queries.items[0].family, "user");
    write_file(x, "own.jsonl", "{\"query\": \"Something else\"}\n"); /* a replay uses what was read */
    stand_again(x);
    assert_ok(x->ctx, read_user_queries(&x->actors, "file", path, &x->queries));
    assert_int_equal(x->queries.n, 5);
    assert_string_equal(x->queries.items[1].text, "Capital of France?");
    stand_free(x);
}

static void file__bad_rows__are_named_by_line(void **state) {
    (void)state;
    static const struct {
        const char *row, *word;
    } bad[] = {{"{\"query\": \"a\", \"anwser\": 1}", "anwser"},
               {"{\"answer\": 1}", "query"},
               {"{\"query\": \"\"}", "query"},
               {"{\"query\": \"a\", \"verifier\": \"numbr\", \"answer\": 1}", "numbr"},
               {"{\"query\": \"a\", \"verifier\": \"number\"}", "answer"},
               {"[1, 2]", "object"},
               {"{\"query\": \"a\"", "own.jsonl"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        stand *x = stand_new(NULL);
        const char *path = write_file(x, "own.jsonl", arena_printf(x->memory, "{\"query\": \"good\"}\n\n%s\n", bad[i].row));
        agon_status s = read_user_queries(&x->actors, "file", path, &x->queries);
        assert_true(s == AGON_EINVAL || s == AGON_EFORMAT);
        assert_non_null(strstr(agon_error(x->ctx), "own.jsonl:3"));
        assert_non_null(strstr(agon_error(x->ctx), bad[i].word));
        assert_int_equal(x->queries.n, 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM text"), 0);
        write_file(x, "own.jsonl", "{\"query\": \"good\"}\n"); /* mended: the same command goes on */
        assert_ok(x->ctx, read_user_queries(&x->actors, "file", path, &x->queries));
        assert_int_equal(x->queries.n, 1);
        stand_free(x);
    }
}

/* Equal rows of the user's file are one query. */
static void loop__equal_rows__count_once(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"How much is 3 and 4?\", \"answer\": 7}\n{\"query\": \"How much is 3 and 4?\", \"answer\": 7}\n"
                                                  "{\"query\": \"How much is 3 and 5?\", \"answer\": 8}\n{\"query\": \"How much is 3 and 4?\", \"answer\": 7}\n");
    const char *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 1}\n"
                                    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 0}\n%s",
                                    file, script, small);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    int64_t n = stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/attack/file/respond'");
    assert_true(n == 1 || n == 2); /* none, or one of the two, is held out */
    json_decref(summary);
    stand_free(x);
}

/* What the run has read of the user's file is in its journal: the file may be gone. */
static void loop__tasks_file_gone__goes_on(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 20);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, 1, file, 3, small), &summary));
    json_decref(summary);
    assert_int_equal(unlink(file), 0);
    for (int iterations = 1; iterations <= 2; iterations++) {
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, iterations, file, 3, small), &summary));
        assert_string_equal(text_of(summary, "state"), "done");
        json_decref(summary);
    }
    const char *yaml = arena_printf(x->memory, simulated_yaml, 1, file, 3, small); /* a new run has no rows without it, and begins nothing */
    assert_int_equal(run_recipe(x, arena_printf(x->memory, "name: new%s", strchr(yaml, '\n')), &summary), AGON_ENOTFOUND);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run WHERE name = 'new'"), 0);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file__rows__are_judged_as_they_say),
        cmocka_unit_test(file__bad_rows__are_named_by_line),
        cmocka_unit_test(loop__equal_rows__count_once),
        cmocka_unit_test(loop__tasks_file_gone__goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

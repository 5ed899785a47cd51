/* The loop on a user's own queries and with a user's own programs as learner and critic; a tiny model where one is needed. */
#include "eval/multiplicity.h"
#include "recipe/own_rows.h"
#include "recipe_runs.h"
#include "store/store_internal.h"

/* ---- tasks.file ------------------------------------------------------------------------------------------------- */

static const char *write_file(stand *x, const char *name, const char *text) {
    const char *path = arena_printf(x->memory, "%s/%s", x->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return path;
}

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

/* ---- whole runs --------------------------------------------------------------------------------------------------- */

static const char small[] = "critic: {examples: 8, epochs: 1}\nrefine: {queries: 2, samples: 1, learnability: 2}\n"
                            "train: {rank: 2, epochs: 1, batch: 2}\nbuild: {documents: 2, real_share: 0}\n"
                            "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";

static void loop__own_queries__escalate_within_the_budget(void **state) {
    (void)state;
    char *rows = NULL, *more;
    static const char *const backends[] = {"queue", "simulated"};
    for (int i = 0; i < 20; i++) {
        assert_true(asprintf(&more, i % 2 ? "%s{\"query\": \"How much is %d and %d?\", \"answer\": %d}\n"
                                          : "%s{\"query\": \"What do you think of the numbers %d and %d?\"}\n",
                             rows ? rows : "", i, i + 1, 2 * i + 1) > 0);
        free(rows);
        rows = more;
    }
    for (int k = 0; k < 2; k++) {
        stand *x = stand_new(NULL);
        json_t *summary = NULL;
        const char *file = write_file(x, "own.jsonl", rows);
        const char *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
        const char *yaml = arena_printf(x->memory,
                                        "name: own\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 2}\n"
                                        "human: {backend: %s, labels: 8, audits: 4, demonstrations: 4}\n%s",
                                        file, script, backends[k], small);
        assert_ok(x->ctx, run_recipe(x, yaml, &summary));
        assert_string_equal(text_of(summary, "state"), "done");
        assert_true(stand_count(x, "SELECT count(*) FROM decision WHERE route = 'escalate'") >= 10);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM decision WHERE route = 'auto'"), 0); /* nothing was calibrated here */
        assert_true(stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated'") <= 8);
        assert_true(stand_count(x, "SELECT count(*) FROM review_item") <= 8);
        if (k == 0)
            assert_true(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'verdict'") > 0);
        else /* what no verifier knows the simulated expert does not know either */
            assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%decide/expert'"), 0);
        json_decref(summary);
        stand_free(x);
    }
    free(rows);
}

/* Where nobody can verify and the loop learns from pairs, reviewers say which of two answers is better, and the next iteration holds it. */
static void loop__two_unverifiable_answers__become_a_preference(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *pairs = NULL;
    size_t i;
    const char *file = write_file(x, "own.jsonl",
                                  "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                  "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n");
    const char *learner = write_file(x, "learner.sh",
                                     "while read -r line; do id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
                                     " echo \"{\\\"id\\\":\\\"$id\\\",\\\"completions\\\":[\\\"Because.\\\",\\\"For a reason.\\\"]}\"; done\n");
    const char *yaml = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {backend: command, command: sh %s, samples: 2}\n"
                       "critic: {examples: 0}\ntrain: {objective: dpo, rank: 2, epochs: 1, batch: 2}\n"
                       "human: {backend: queue, labels: 8, audits: 0, demonstrations: 0}\n"
                       "build: {documents: 2, real_share: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, learner), &summary));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id, kind FROM review_item", NULL, &items));
    assert_true(json_array_size(items) >= 2);
    json_t *prefer_b = json_pack("{ss}", "verdict", "B");
    json_array_foreach(items, i, item) {
        assert_string_equal(field_text(item, "kind"), "pair"); /* one question for two answers */
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, prefer_b));
    }
    assert_int_equal(field_int(summary, "answers_waiting"), 0);
    json_decref(summary);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, learner), &summary)); /* takes nothing in, and says so */
    assert_int_equal(field_int(summary, "answers_waiting"), json_array_size(items));
    json_decref(summary);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 2, file, learner), &summary));
    assert_int_equal(field_int(summary, "answers_waiting"), 0);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT fields AS fields_json, l.source, l.kind FROM example e JOIN example_label k ON k.example = e.id"
                                       " JOIN label l ON l.id = k.label WHERE e.objective = 'pref'", NULL, &pairs));
    assert_int_equal(json_array_size(pairs), json_array_size(items));
    item = json_array_get(pairs, 0);
    assert_string_equal(field_text(item, "source"), "human");
    assert_string_equal(field_text(item, "kind"), "pair");
    const json_t *chosen = json_array_get(json_object_get(json_object_get(item, "fields"), "chosen"), 0);
    assert_string_equal(field_text(chosen, "content"), "For a reason.");
    assert_int_equal(field_int(json_object_get(summary, "labels"), "human"), json_array_size(items));
    assert_int_equal(field_int(json_object_get(summary, "budget"), "resolved"), json_array_size(items));
    json_decref(prefer_b);
    json_decref(pairs);
    json_decref(items);
    json_decref(summary);
    stand_free(x);
}

/* Programs that answer whatever they are asked: one JSON line in, one out. */
static const char learner_program[] =
    "while read -r line; do id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
    " echo \"{\\\"id\\\":\\\"$id\\\",\\\"completions\\\":[\\\"The answer is 7.\\\"]}\"; done\n";
static const char critic_program[] =
    "while read -r line; do id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
    " echo \"{\\\"id\\\":\\\"$id\\\",\\\"verdict\\\":\\\"fail\\\",\\\"confidence\\\":0.9,\\\"evidence\\\":\\\"too short\\\"}\"; done\n";

/* The run file's program judges rows that name no verifier, in training and in evaluation. */
static void loop__program_as_verifier__labels_own_queries(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    static const char verifier_program[] =
        "while read -r line; do id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
        " echo \"{\\\"id\\\":\\\"$id\\\",\\\"verdict\\\":\\\"fail\\\",\\\"evidence\\\":\\\"says seven\\\"}\"; done\n";
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                                  "{\"query\": \"Three and four?\", \"answer\": 7, \"verifier\": \"number\"}\n"
                                                  "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n");
    const char *learner = write_file(x, "learner.sh", learner_program), *verifier = write_file(x, "verifier.sh", verifier_program);
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nverifier: {command: sh %s}\n"
                                    "learner: {backend: command, command: sh %s, samples: 1}\ncritic: {examples: 0}\n"
                                    "human: {labels: 8, audits: 2, demonstrations: 2}\n%s",
                                    file, verifier, learner, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    int64_t n_failed = stand_count(x, "SELECT count(*) FROM verification WHERE outcome = 'fail' AND evidence = 'says seven'");
    assert_true(n_failed >= 2);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'verifier' AND value = 'fail'"), n_failed);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM verification WHERE outcome = 'unknown'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM decision"), 0); /* nothing is left to the critic */
    json_decref(summary);
    stand_free(x);
}

static void loop__programs_as_learner_and_critic__run_to_the_end(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    journal_report report;
    const char *learner = write_file(x, "learner.sh", learner_program), *critic = write_file(x, "critic.sh", critic_program);
    const char *yaml = arena_printf(x->memory,
                                    "name: programs\ntasks: {cells: [arithmetic/one_digit_sum]}\n"
                                    "attacker: {queries: 8, waves: 1, variations: 0}\n"
                                    "learner: {backend: command, command: sh %s, samples: 1}\n"
                                    "critic: {backend: command, command: sh %s}\n%s",
                                    learner, critic, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_string_equal(text_of(summary, "state"), "done");
    assert_true(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response' AND body = 'The answer is 7.'") >= 4);
    /* What measures how much critiques help is called so. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'probe'"), 4 * 2);
    /* The program is examined as a critic, and nothing is trained in its place that nobody would ever ask. */
    assert_true(stand_count(x, "SELECT count(*) FROM calibration") > 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version WHERE role <> 'base'"), 0);
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    json_decref(summary);
    stand_free(x);
}

static const char *numbers_file(stand *x, size_t n) {
    char text[8192];
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 i % 2 ? "{\"query\": \"How much is %zu and %zu?\", \"answer\": %zu}\n"
                                       : "{\"query\": \"What do you think of the numbers %zu and %zu?\"}\n",
                                 i, i + 1, 2 * i + 1);
    assert_true(used < sizeof text);
    return write_file(x, "own.jsonl", text);
}

/* A question that nobody has answered yet is open, not asked again. */
static void loop__open_demonstrations__are_asked_once(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 20), *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\niterations: 2\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 1}\n"
                                    "critic: {examples: 0}\nhuman: {backend: queue, labels: 20, audits: 0, demonstrations: 4}\n%s",
                                    file, script, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'demonstration'"), 8);
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'demonstration'"), 8);
    json_decref(summary);
    stand_free(x);
}

/* What a person wrote is real data in every later iteration, until they write something else. */
static void loop__a_corrected_demonstration__is_trained_on_no_more(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *first = json_pack("{ss ss}", "verdict", "accept", "text", "first thought"),
           *second = json_pack("{ss ss}", "verdict", "accept", "text", "second thought");
    size_t i;
    const char *file = numbers_file(x, 20);
    const char *yaml = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                       "human: {backend: queue, labels: 20, audits: 0, demonstrations: 4}\n%s";
    const char *rest = strchr(small, '\n') + 1;
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, rest), &summary));
    json_decref(summary);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'demonstration'", NULL, &items));
    assert_int_equal(json_array_size(items), 4);
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, first));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 2, file, rest), &summary));
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 2 AND fields LIKE '%first thought%'"), 4);
    assert_ok(x->ctx, store_inbox_add(x->store, field_text(json_array_get(items, 0), "id"), "reviewer-2", 3, second));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 3, file, rest), &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 3 AND fields LIKE '%first thought%'"), 3);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 3 AND fields LIKE '%second thought%'"), 1);
    assert_int_equal(field_int(json_object_get(summary, "labels"), "human"), 4);
    assert_int_equal(field_int(json_object_get(summary, "budget"), "used"), 4);
    json_decref(first);
    json_decref(second);
    json_decref(items);
    json_decref(summary);
    stand_free(x);
}

/* The monitor examines the critic on what it did not learn from, also where a reviewer's word stands in place of the verifier's. */
static void loop__audited_answers__that_taught_do_not_examine(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *accept = json_pack("{ss}", "verdict", "accept");
    size_t i, n_answered = 0;
    const char *file = numbers_file(x, 40), *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 1}\n"
                       "critic: {examples: 64, epochs: 1}\nhuman: {backend: queue, labels: 200, audits: 60, demonstrations: 0}\n%s";
    const char *rest = strchr(small, '\n') + 1;
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, script, rest), &summary));
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'audit' AND critique IS NOT NULL"), 0); /* blind */
    assert_true(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'audit'") >= 10);
    for (int iteration = 2; iteration <= 3; iteration++) {
        assert_ok(x->ctx, store_query_json(x->store, arena_printf(x->memory, "SELECT id FROM review_item WHERE iteration = %d", iteration - 1), NULL, &items));
        json_array_foreach(items, i, item)
            assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, accept));
        n_answered += json_array_size(items);
        json_decref(items);
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, iteration, file, script, rest), &summary));
        if (iteration < 3)
            json_decref(summary);
    }
    assert_int_equal(field_int(json_object_get(summary, "labels"), "human"), n_answered);
    assert_true(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/3/monitor/judge'") > 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item s JOIN example_text k ON k.text = json_extract(s.input, '$.id') JOIN example e"
                                    " ON e.id = k.example WHERE s.path = 'iteration/3/monitor/judge' AND e.objective = 'critique'"), 0);
    json_decref(accept);
    json_decref(summary);
    stand_free(x);
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
                                    file, script, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    int64_t n = stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/attack/file/respond'");
    assert_true(n == 1 || n == 2); /* none, or one of the two, is held out */
    json_decref(summary);
    stand_free(x);
}

/* Held-out queries that nobody can verify are no wrong answers: they count for no version. */
/* A row more, which every answer passes and which is not held out: so there is something to train on. */
static const char *with_easy_row(stand *x, const char *path) {
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs("{\"query\": \"Say what you like.\", \"verifier\": \"max_words\", \"arguments\": {\"n\": 50}}\n", f);
    assert_int_equal(fclose(f), 0);
    assert_false(recipe_holds_out("Say what you like."));
    (void)x;
    return path;
}

static void gather_warnings(void *arg, const recipe_progress *p) {
    if (p->message && strncmp(p->message, "warning: ", 9) == 0) {
        assert_int_equal(p->iteration, 0); /* before anything is spent */
        strncat(arg, p->message, 4000 - strlen(arg));
    }
}

static void loop__unverifiable_held_out__count_for_nobody(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        stand *x = stand_new(NULL);
        char warnings[4096] = "";
        json_t *summary = NULL;
        const char *file = k ? write_file(x, "own.jsonl", "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                                          "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n{\"query\": \"Why is it so?\"}\n"
                                                          "{\"query\": \"Why is it not so?\"}\n{\"query\": \"Why me?\"}\n")
                             : numbers_file(x, 40);
        const char *yaml = arena_printf(x->memory,
                                        "name: own\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                                        "human: {labels: 20, audits: 0, demonstrations: 0}\n%s", with_easy_row(x, file), strchr(small, '\n') + 1);
        assert_ok(x->ctx, run_watched(x, yaml, gather_warnings, warnings, &summary));
        const json_t *table = json_object_get(json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G1"), "table");
        int64_t n_all = stand_count(x, "SELECT count(*) FROM verification v JOIN text t ON t.id = v.response WHERE t.kind = 'evaluation'") / 2;
        int64_t n_known = stand_count(x, "SELECT count(*) FROM verification v JOIN text t ON t.id = v.response WHERE t.kind = 'evaluation'"
                                         " AND v.outcome <> 'unknown'") / 2;
        assert_true(n_all > n_known && (n_known > 0) == (k == 0));
        assert_int_equal(field_int(table, "n"), n_known);
        static const char held_out[] = "warning: of the held-out queries at most ";
        const char *said = strstr(warnings, held_out);
        assert_non_null(strstr(warnings, "warning: human.backend is simulated"));
        assert_non_null(said);
        assert_int_equal(atoll(said + sizeof held_out - 1), n_known); /* what was said beforehand */
        assert_int_equal(field_int(json_object_get(summary, "held_out"), "n"), n_known);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'none of % held-out answers could be verified%'"), k);
        assert_string_equal(field_text(json_object_get(summary, "gate"), "verdict"), "reject");
        json_decref(summary);
        stand_free(x);
    }
}

/* A candidate whose answers the verifier cannot judge, where it could judge the base's, has failed there. */
static void loop__unverifiable_candidate__has_failed(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    static const char only_once[] = /* each query passes the first time */
        "while read -r line; do id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
        " seen=${0%/*}/seen$(printf '%s\\n' \"$line\" | sed 's/.*\"query\":\"\\([^\"]*\\)\".*/\\1/' | cksum | cut -d' ' -f1);"
        " verdict=pass; [ -e \"$seen\" ] && verdict=unknown; : >\"$seen\";"
        " echo \"{\\\"id\\\":\\\"$id\\\",\\\"verdict\\\":\\\"$verdict\\\"}\"; done\n";
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                                  "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n{\"query\": \"Why is it so?\"}\n"
                                                  "{\"query\": \"Why is it not so?\"}\n{\"query\": \"Why me?\"}\n");
    const char *verifier = write_file(x, "verifier.sh", only_once);
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nverifier: {command: sh %s}\nlearner: {samples: 1, max_tokens: 4}\n"
                                    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 0}\n%s",
                                    file, verifier, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    const json_t *table = json_object_get(json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G1"), "table");
    int64_t n = stand_count(x, "SELECT count(*) FROM verification v JOIN text t ON t.id = v.response WHERE t.kind = 'evaluation'") / 2;
    assert_true(n > 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM verification v JOIN text t ON t.id = v.response WHERE t.kind = 'evaluation'"
                                    " AND v.outcome = 'unknown'"), n);
    assert_int_equal(field_int(table, "n"), n);
    assert_true(json_number_value(json_object_get(table, "before")) == 1 && json_number_value(json_object_get(table, "after")) == 0);
    json_decref(summary);
    stand_free(x);
}

static const char rejected_yaml[] =
    "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
    "human: {backend: queue, labels: 20, audits: 0, demonstrations: 4}\ngate: {rejections: %d, monitor_prompts: 2}\n%s";

static const char simulated_yaml[] =
    "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
    "human: {labels: 20, audits: 0, demonstrations: 4}\ngate: {rejections: %d, monitor_prompts: 2}\n%s";

/* A run that halted goes on when it is given more rejections, and has what reviewers answered since. */
static void loop__halted__goes_on_when_given_more(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *answer = json_pack("{ss ss}", "verdict", "accept", "text", "a thought");
    size_t i;
    const char *file = with_easy_row(x, numbers_file(x, 20)), *rest = strchr(small, '\n') + 1;
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, rejected_yaml, 2, file, 1, rest), &summary));
    assert_string_equal(text_of(summary, "state"), "halted");
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate"), 1);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'demonstration'", NULL, &items));
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, answer));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, rejected_yaml, 2, file, 3, rest), &summary));
    assert_string_equal(text_of(summary, "state"), "done");
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate"), 2);
    assert_int_equal(field_int(json_object_get(summary, "labels"), "human"), json_array_size(items));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 2 AND fields LIKE '%a thought%'"), (int64_t)json_array_size(items));
    json_decref(summary);
    json_decref(answer);
    json_decref(items);
    stand_free(x);
}

/* Where nothing was trained, nothing was rejected. */
static void loop__nothing_to_train_on__is_no_rejection(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *skip = json_pack("{ss}", "verdict", "skip");
    size_t i;
    static const char nothing[] = "build: {documents: 0, real_share: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";
    const char *yaml = arena_printf(x->memory, rejected_yaml, 2, numbers_file(x, 20), 1, nothing);
    for (int k = 0; k < 3; k++) { /* in each iteration it waits for those who are asked, as long as one may answer */
        assert_ok(x->ctx, run_recipe(x, yaml, &summary));
        assert_string_equal(text_of(summary, "state"), k < 2 ? "waiting" : "done");
        assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_open", NULL, &items));
        assert_true((json_array_size(items) > 0) == (k < 2));
        json_array_foreach(items, i, item)
            assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, skip));
        json_decref(items);
        if (k < 2)
            json_decref(summary);
    }
    json_decref(skip);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'nothing to train on:%'"), 2);
    json_decref(summary);
    stand_free(x);
}

/* A run "old" that was begun with the configuration of the run "own", as `change` makes it. */
static void begin_old(stand *x, void (*change)(json_t *config)) {
    json_t *rows = NULL;
    assert_ok(x->ctx, store_query_json(x->store, "SELECT config AS config_json, seed FROM run WHERE name = 'own'", NULL, &rows));
    json_t *config = json_object_get(json_array_get(rows, 0), "config");
    change(config);
    json_object_set_new(config, "name", json_string("old"));
    const run_options o = {.name = "old", .seed = strtoull(field_text(json_array_get(rows, 0), "seed"), NULL, 10), .config = config};
    stand_close(x);
    store *s = NULL;
    run *r = NULL;
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &s));
    assert_ok(x->ctx, run_begin(x->ctx, s, &o, &r));
    run_end(r);
    store_close(s);
    stand_open(x);
    json_decref(rows);
}

static void pin_rejections(json_t *config) {
    json_t *gate = json_object_get(config, "gate");
    assert_null(json_object_get(gate, "rejections"));
    json_object_set_new(gate, "rejections", json_integer(1));
}

/* Runs begun before pinned gate.rejections. They go on, also with another number. */
static void loop__rejections_pinned_before__may_change(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 20), *rest = strchr(small, '\n') + 1;
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, 1, file, 1, rest), &summary));
    json_decref(summary);
    begin_old(x, pin_rejections);
    for (int rejections = 1; rejections <= 3; rejections += 2) {
        const char *yaml = arena_printf(x->memory, simulated_yaml, 2, file, rejections, rest);
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n')), &summary));
        assert_string_equal(text_of(summary, "state"), rejections == 1 ? "halted" : "done");
        json_decref(summary);
    }
    stand_free(x);
}

static const char *const optimiser_keys[] = {"schedule", "clip_norm", "beta1", "beta2", "eps", "weight_decay"};

static void forget_optimiser(json_t *config) {
    for (size_t i = 0; i < sizeof optimiser_keys / sizeof *optimiser_keys; i++)
        assert_int_equal(json_object_del(json_object_get(config, "train"), optimiser_keys[i]), 0);
    assert_int_equal(json_object_del(json_object_get(config, "gate"), "approval_items"), 0); /* as old */
}

/* Runs begun before run files had keys of the optimiser pinned none. They go on with the defaults, which were so then, and their trainings name none. */
static void runs__begun_before_the_optimisers_keys__go_on(void **state) {
    (void)state;
    for (int trains = 0; trains < 2; trains++) {
        stand *x = stand_new(NULL);
        json_t *summary = NULL;
        const char *rows = write_file(x, "rows.jsonl", "{\"prompt\": \"say 1\", \"completion\": \"one\"}\n{\"prompt\": \"say 2\", \"completion\": \"two\"}\n");
        const char *yaml = trains ? arena_printf(x->memory, "name: own\nrecipe: train\nevaluate: {general: 0, documents: 0, gsm8k: 0}\n"
                                                            "train: {data: %s, rank: 2, batch: 2%%s}\n", rows)
                                  : arena_printf(x->memory, "name: own\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                                                            "human: {labels: 20, audits: 0, demonstrations: 4}\n"
                                                            "train: {rank: 2, epochs: 1, batch: 2%%s}\nbuild: {documents: 2, real_share: 0}\n"
                                                            "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n", numbers_file(x, 20));
        const char *plain = arena_printf(x->memory, yaml, ""), *changed = arena_printf(x->memory, yaml, ", clip_norm: 0.5");
        assert_ok(x->ctx, run_recipe(x, plain, &summary));
        json_decref(summary);
        begin_old(x, forget_optimiser);
        assert_int_equal(run_recipe(x, arena_printf(x->memory, "name: old%s", strchr(changed, '\n')), &summary), AGON_EMISMATCH);
        for (int again = 0; again < 2; again++) {
            assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, "name: old%s", strchr(plain, '\n')), &summary));
            assert_string_equal(text_of(summary, "state"), "done");
            json_decref(summary);
        }
        const char *named = "SELECT count(*) FROM step WHERE input LIKE '%\"optimiser\"%' AND run = (SELECT id FROM run WHERE name = 'old')";
        assert_int_equal(stand_count(x, named), 0);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "%.*s'own')", (int)(strlen(named) - 6), named)), trains);
        stand_free(x);
    }
}

static void forget_monitor(json_t *config) {
    assert_int_equal(json_object_del(json_object_get(config, "gate"), "monitor_prompts"), 0);
}

/* Runs begun before the gate had a monitor of collapse go on without one, and are not given one. */
static void loop__begun_before_the_monitor__goes_on_without(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *of_old = "SELECT count(*) FROM step WHERE path LIKE '%/monitor/%' AND run = (SELECT id FROM run WHERE name = 'old')";
    const char *yaml = arena_printf(x->memory, "name: own\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                                               "human: {labels: 20, audits: 0, demonstrations: 4}\n%s", numbers_file(x, 20), strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    json_decref(summary);
    assert_true(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%/monitor/%'") > 0);
    begin_old(x, forget_monitor);
    const char *old = arena_printf(x->memory, "name: old%s", strchr(yaml, '\n'));
    assert_ok(x->ctx, run_recipe(x, old, &summary));
    assert_string_equal(text_of(json_object_get(json_object_get(summary, "gate"), "figures"), "G4"), "not evaluated");
    json_decref(summary);
    assert_int_equal(stand_count(x, of_old), 0);
    stand_free(x);
}

/* What the run has read of the user's file is in its journal: the file may be gone. */
static void loop__tasks_file_gone__goes_on(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 20), *rest = strchr(small, '\n') + 1;
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, 1, file, 3, rest), &summary));
    json_decref(summary);
    assert_int_equal(unlink(file), 0);
    for (int iterations = 1; iterations <= 2; iterations++) {
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, iterations, file, 3, rest), &summary));
        assert_string_equal(text_of(summary, "state"), "done");
        json_decref(summary);
    }
    const char *yaml = arena_printf(x->memory, simulated_yaml, 1, file, 3, rest); /* a new run has no rows without it, and begins nothing */
    assert_int_equal(run_recipe(x, arena_printf(x->memory, "name: new%s", strchr(yaml, '\n')), &summary), AGON_ENOTFOUND);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run WHERE name = 'new'"), 0);
    stand_free(x);
}

/* A replay writes the run's story into the log no second time. */
static void loop__replayed__logs_nothing_again(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    int64_t n_events = 0;
    const char *file = numbers_file(x, 20), *rest = strchr(small, '\n') + 1;
    for (int k = 0; k < 3; k++) {
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, k < 2 ? 1 : 2, file, 3, rest), &summary));
        json_decref(summary);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE stage = 'done'"), k < 2 ? 1 : 2);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE stage = 'plan' AND message = 'begins'"), k < 2 ? 1 : 2);
        int64_t n = stand_count(x, "SELECT count(*) FROM event");
        assert_true(n > 5 && (k == 0 || (k == 1 ? n == n_events : n > n_events)));
        n_events = n;
    }
    assert_int_equal(stand_count(x, "SELECT count(*) - count(DISTINCT iteration || stage || message) FROM event"), 0);
    stand_free(x);
}

/* Queries the simulated expert has no answer to cost no place, and nobody asks for the same twice. */
static void loop__simulated_demonstrations__come_as_many_as_allowed(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 40), *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\niterations: 2\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 1}\n"
                                    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 6}\n%s",
                                    file, script, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'demonstration'"), 12);
    assert_int_equal(field_int(json_object_get(summary, "budget"), "used"), 12);
    int64_t n_asked = stand_count(x, "SELECT count(*) FROM step_item WHERE path LIKE '%human/demonstrate%'");
    assert_true(n_asked > 12);
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT input) FROM step_item WHERE path LIKE '%human/demonstrate%'"), n_asked);
    json_decref(summary);
    stand_free(x);
}

/* What a reviewer calls right after all is no pair's worse side any more. */
static void loop__accepted_late__is_no_rejected_side(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *written = json_pack("{ss ss}", "verdict", "accept", "text", "a thought"),
           *accept = json_pack("{ss}", "verdict", "accept");
    size_t i;
    const char *file = numbers_file(x, 40);
    const char *yaml = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                       "refine: {queries: 0, learnability: 0}\nhuman: {backend: queue, labels: 200, audits: 40, demonstrations: 10}\n"
                       "train: {objective: dpo, rank: 2, epochs: 1, batch: 2}\nbuild: {documents: 2, real_share: 0}\n"
                       "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file), &summary));
    json_decref(summary);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'demonstration'", NULL, &items));
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, written));
    json_decref(items);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 2, file), &summary));
    json_decref(summary);
    assert_true(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 2 AND objective = 'pref' AND origin = 'real'") > 0);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'audit'", NULL, &items));
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, accept));
    json_decref(items);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 3, file), &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 3 AND objective = 'pref' AND origin = 'real'"), 0);
    json_decref(summary);
    json_decref(written);
    json_decref(accept);
    stand_free(x);
}

/* A wave of four queries has four to reword. */
static void loop__rewordings__are_of_different_queries(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {cells: [arithmetic/two_digit_sum]}\nattacker: {queries: 4, waves: 1, variations: 16, backend: scripted, script: %s}\n"
                                    "learner: {backend: scripted, script: %s, samples: 1}\ncritic: {examples: 0}\n"
                                    "human: {labels: 20, audits: 0, demonstrations: 0}\n%s",
                                    script, script, strchr(small, '\n') + 1);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/attack/1/vary'"), 4);
    json_decref(summary);
    stand_free(x);
}

/* ---- several runs in one workspace ------------------------------------------------------------------------------------ */

static void check_run(stand *x, const char *name) {
    journal_report report;
    json_t *status = NULL, *again = NULL;
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    assert_ok(x->ctx, store_status(x->store, name, &status));
    const json_t *versions = json_object_get(status, "versions");
    assert_int_equal(json_array_size(versions), 2);
    assert_string_equal(field_text(json_array_get(versions, 0), "status"), "base");
    assert_string_equal(field_text(json_array_get(versions, 1), "role"), "learner");
    assert_ok(x->ctx, recipe_reexecute(x->ctx, x->store, name, 4, 1, &again));
    json_decref(again);
    json_decref(status);
}

/* Both have the base, and the same rows and seed make the same adapter: each run lists what is recorded. */
static void runs__of_one_workspace__share_their_versions(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *rows = write_file(x, "rows.jsonl", "{\"prompt\": \"say 1\", \"completion\": \"one\"}\n{\"prompt\": \"say 2\", \"completion\": \"two\"}\n");
    static const char *const names[] = {"first", "second"};
    for (int k = 0; k < 2; k++) {
        json_t *summary = NULL;
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, "name: %s\nrecipe: train\ntrain: {data: %s, rank: 2, batch: 2}\n"
                                                                "evaluate: {general: 0, documents: 0, gsm8k: 0}\n", names[k], rows), &summary));
        check_run(x, names[k]);
        json_decref(summary);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version"), 2);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version WHERE role = 'base' AND run IS NULL AND path IS NULL"), 1);
    check_run(x, "first");
    stand_free(x);
}

/* ---- a training that was interrupted -------------------------------------------------------------------------------- */

static void interrupt_training(void *arg, const recipe_progress *p) {
    if (strcmp(p->stage, "train") == 0 && p->done == 2)
        agon_interrupt(arg);
}

static void point_checkpoint(stand *x, const char *run, const char *object) {
    sqlite3 *db = NULL;
    const char *path = arena_printf(x->memory, "%s/agon.db", x->folder);
    const char *sql = arena_printf(x->memory, "UPDATE checkpoint SET object = '%s' WHERE run = (SELECT id FROM run WHERE name = '%s')", object, run);
    stand_close(x);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
    stand_open(x);
}

/* A checkpoint that this agon cannot take up, another's or of another training, costs time only. */
static void training__a_foreign_checkpoint__is_begun_anew(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *objects = NULL;
    char hex[HASH_HEX_SIZE];
    hash256 hash;
    const char *rows = write_file(x, "rows.jsonl", "{\"prompt\": \"say 1\", \"completion\": \"one\"}\n{\"prompt\": \"say 2\", \"completion\": \"two\"}\n"
                                                   "{\"prompt\": \"say 3\", \"completion\": \"three\"}\n{\"prompt\": \"say 4\", \"completion\": \"four\"}\n");
    const char *yaml = "name: %s\nrecipe: train\ntrain: {data: %s, rank: 2, batch: 1, lr: %s, checkpoint_every: 1}\n"
                       "evaluate: {general: 0, documents: 0, gsm8k: 0}\n";
    static const char *const names[] = {"whole", "other", "same", "strange"};
    char versions[4][STORE_ID_SIZE];
    for (int k = 1; k < 4; k++) {
        const char *file = arena_printf(x->memory, yaml, names[k], rows, k == 1 ? "0.02" : "0.01");
        assert_int_equal(run_watched(x, file, interrupt_training, x->ctx, &summary), AGON_EINTERRUPTED);
        agon_interrupt_clear(x->ctx);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM checkpoint"), 3);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT object FROM checkpoint WHERE run = (SELECT id FROM run WHERE name = 'other')", NULL, &objects));
    assert_ok(x->ctx, object_write(x->store, "no checkpoint of any training", 29, &hash));
    hash_hex(&hash, hex);
    point_checkpoint(x, "strange", hex);
    point_checkpoint(x, "same", field_text(json_array_get(objects, 0), "object"));
    for (int k = 0; k < 4; k++) {
        if (k == 1)
            continue;
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, names[k], rows, "0.01"), &summary));
        snprintf(versions[k], sizeof versions[k], "%s", field_text(json_object_get(summary, "version"), "id"));
        assert_true(k == 0 || strcmp(versions[k], versions[0]) == 0);
        json_decref(summary);
    }
    json_decref(objects);
    stand_free(x);
}

/* An older agon recorded a base with the first run's name, and a second run listed what it would have written: both stay readable. */
typedef struct old_base {
    stand *x;
    version_record versions[2];
    size_t n;
} old_base;

static agon_status write_old_base(void *arg, json_t **result) {
    const old_base *o = arg;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < o->n && !s; i++)
        s = store_add_version(o->x->store, &o->versions[i]);
    *result = json_null();
    return s;
}

static void runs__of_an_older_workspace__go_on(void **state) {
    (void)state;
    static const char id[] = "00000000000000000000000000000000000000000000000000000000000000aa";
    for (size_t n = 1; n <= 2; n++) {
        stand *x = stand_new(NULL);
        journal_report report;
        json_t *input = json_null(), *result = NULL;
        old_base o = {x, {{.run = n == 1 ? run_id(x->run) : NULL, .id = id, .role = "base", .path = "a.gguf", .numerics = "portable"},
                          {.run = run_id(x->run), .id = id, .role = "base", .path = "a.gguf", .numerics = "portable"}}, n};
        const step_key first = {.path = "old"}, second = {.path = "new"};
        assert_ok(x->ctx, step_once(x->run, &first, input, write_old_base, &o, &result)); /* n 2: before the row is there, as it was written then */
        json_decref(result);
        o.versions[0] = (version_record){.id = id, .role = "base"};
        o.n = 1;
        assert_ok(x->ctx, step_once(x->run, &second, input, write_old_base, &o, &result));
        json_decref(result);
        assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
        assert_string_equal(report.problem, "");
        stand_free(x);
    }
}

/* The learner's version in a run whose learner trains on rows with the small losses only; new. */
static char *trained_version(const char *train) {
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *versions = NULL;
    const char *yaml = arena_printf(x->memory,
                                    "name: selected\ntasks: {cells: [arithmetic/one_digit_sum]}\nattacker: {queries: 8, waves: 1, variations: 0}\n"
                                    "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\nrefine: {queries: 2, samples: 1, learnability: 0}\n"
                                    "human: {labels: 8, audits: 0, demonstrations: 4, backend: simulated}\n"
                                    "train: {rank: 2, epochs: 1, batch: 4%s}\nbuild: {gold: 8, documents: 2, real_share: 0}\n"
                                    "evaluate: {tasks: 4, general: 2, documents: 2, gsm8k: 0}\n",
                                    train);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM model_version WHERE role = 'learner'", NULL, &versions));
    assert_int_equal(json_array_size(versions), 1);
    char *id = strdup(field_text(json_array_get(versions, 0), "id"));
    json_decref(versions);
    json_decref(summary);
    stand_free(x);
    return id;
}

static void loop__small_loss__leaves_rows_out(void **state) {
    (void)state;
    char *all = trained_version(""), *off = trained_version(", small_loss: 0"),
         *half = trained_version(", small_loss: 0.5, small_loss_ramp: 0");
    assert_string_equal(all, off);
    assert_string_not_equal(all, half);
    free(all), free(off), free(half);
}

/* Every look at the held-out tasks costs a part of alpha: the gate counts them over the run, and compares with the version that stands. */
static void loop__gate__spends_alpha_by_attempt(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *gates = NULL;
    assert_ok(x->ctx, run_recipe(x, "name: gated\niterations: 2\ntasks: {cells: [arithmetic/one_digit_sum]}\nattacker: {queries: 4, waves: 1, variations: 0}\n"
                                    "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\nrefine: {queries: 2, samples: 1, learnability: 0}\n"
                                    "human: {labels: 8, audits: 0, demonstrations: 2, backend: simulated}\n"
                                    "train: {rank: 2, epochs: 1, batch: 4}\nbuild: {gold: 4, documents: 2, real_share: 0}\n"
                                    "evaluate: {tasks: 4, general: 2, documents: 2, gsm8k: 0}\n", &summary));
    assert_ok(x->ctx, store_query_json(x->store, "SELECT g.verdict, g.incumbent, json_extract(g.figures, '$.G1.attempt') AS attempt,"
                                       " json_extract(g.figures, '$.G1.alpha') AS alpha FROM gate g ORDER BY g.iteration", NULL, &gates));
    assert_int_equal(json_array_size(gates), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *gate = json_array_get(gates, i);
        assert_string_equal(field_text(gate, "verdict"), "reject");
        assert_string_equal(field_text(gate, "incumbent"), text_of(summary, "base"));
        assert_int_equal(field_int(gate, "attempt"), i + 1);
        assert_close(field_real(gate, "alpha"), alpha_spending(0.05, i + 1), 1e-12);
    }
    json_decref(gates);
    json_decref(summary);
    stand_free(x);
}

/* Four answers to a query are one thing that the critic learns or is examined on: they are alike, and would count as four. */
static void loop__critic__has_one_answer_of_a_query(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    assert_ok(x->ctx, run_recipe(x, "name: own\ntasks: {cells: [arithmetic/one_digit_sum, writing/lower_case]}\nattacker: {queries: 10, waves: 1, variations: 0}\n"
                                    "learner: {samples: 4, max_tokens: 4}\ncritic: {examples: 80, epochs: 1}\nrefine: {queries: 0, learnability: 0}\n"
                                    "human: {labels: 0, audits: 0, demonstrations: 0}\ntrain: {rank: 2, epochs: 1, batch: 4}\nbuild: {documents: 2, real_share: 0}\n"
                                    "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n", &summary));
    json_decref(summary);
    assert_true(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response'") >= 40);
    static const char *const of[] = {"SELECT json_extract(input, '$.id') AS id, path AS place FROM step_item WHERE path LIKE '%critic%/judge'",
                                     "SELECT e.value AS id, x.run AS place FROM example x, json_each(x.texts) e WHERE x.objective = 'critique'"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM (%s) a JOIN text t ON t.id = a.id WHERE t.kind = 'response'", of[i])) > 1);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM (SELECT 1 FROM (%s) a JOIN text t ON t.id = a.id WHERE t.kind = 'response'"
                                                                " GROUP BY a.place, t.parent HAVING count(DISTINCT t.id) > 1)", of[i])), 0);
    }
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__critic__has_one_answer_of_a_query),
        cmocka_unit_test(file__rows__are_judged_as_they_say),
        cmocka_unit_test(file__bad_rows__are_named_by_line),
        cmocka_unit_test(loop__own_queries__escalate_within_the_budget),
        cmocka_unit_test(loop__two_unverifiable_answers__become_a_preference),
        cmocka_unit_test(loop__program_as_verifier__labels_own_queries),
        cmocka_unit_test(loop__programs_as_learner_and_critic__run_to_the_end),
        cmocka_unit_test(loop__open_demonstrations__are_asked_once),
        cmocka_unit_test(loop__a_corrected_demonstration__is_trained_on_no_more),
        cmocka_unit_test(loop__audited_answers__that_taught_do_not_examine),
        cmocka_unit_test(loop__equal_rows__count_once),
        cmocka_unit_test(loop__unverifiable_held_out__count_for_nobody),
        cmocka_unit_test(loop__unverifiable_candidate__has_failed),
        cmocka_unit_test(loop__halted__goes_on_when_given_more),
        cmocka_unit_test(loop__nothing_to_train_on__is_no_rejection),
        cmocka_unit_test(loop__rejections_pinned_before__may_change),
        cmocka_unit_test(runs__begun_before_the_optimisers_keys__go_on),
        cmocka_unit_test(loop__begun_before_the_monitor__goes_on_without),
        cmocka_unit_test(loop__tasks_file_gone__goes_on),
        cmocka_unit_test(loop__replayed__logs_nothing_again),
        cmocka_unit_test(loop__simulated_demonstrations__come_as_many_as_allowed),
        cmocka_unit_test(loop__accepted_late__is_no_rejected_side),
        cmocka_unit_test(loop__rewordings__are_of_different_queries),
        cmocka_unit_test(runs__of_one_workspace__share_their_versions),
        cmocka_unit_test(runs__of_an_older_workspace__go_on),
        cmocka_unit_test(training__a_foreign_checkpoint__is_begun_anew),
        cmocka_unit_test(loop__small_loss__leaves_rows_out),
        cmocka_unit_test(loop__gate__spends_alpha_by_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

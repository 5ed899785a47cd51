/* The loop on a user's own queries and with a user's own programs as learner, critic and verifier; a tiny model where one is needed. */
#include "own_queries.h"
#include "role_program.h"

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
                                        "critic: {examples: 8, epochs: 1}\nhuman: {backend: %s, labels: 8, audits: 4, demonstrations: 4}\n%s",
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
                                     EACH_LINE(SAY("\\\"completions\\\":[\\\"Because.\\\",\\\"For a reason.\\\"]")));
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
    EACH_LINE(SAY("\\\"completions\\\":[\\\"The answer is 7.\\\"]"));
static const char critic_program[] =
    EACH_LINE(SAY("\\\"verdict\\\":\\\"fail\\\",\\\"confidence\\\":0.9,\\\"evidence\\\":\\\"too short\\\""));

/* The run file's program judges rows that name no verifier, in training and in evaluation. */
static void loop__program_as_verifier__labels_own_queries(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    static const char verifier_program[] =
        EACH_LINE(SAY("\\\"verdict\\\":\\\"fail\\\",\\\"evidence\\\":\\\"says seven\\\""));
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                                  "{\"query\": \"Three and four?\", \"answer\": 7, \"verifier\": \"number\"}\n"
                                                  "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n");
    const char *learner = write_file(x, "learner.sh", learner_program), *verifier = write_file(x, "verifier.sh", verifier_program);
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nverifier: {command: sh %s}\n"
                                    "learner: {backend: command, command: sh %s, samples: 1}\ncritic: {examples: 0}\n"
                                    "human: {labels: 8, audits: 2, demonstrations: 2}\n%s",
                                    file, verifier, learner, small);
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
                                    learner, critic, small);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_string_equal(text_of(summary, "state"), "done");
    assert_true(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response' AND body = 'The answer is 7.'") >= 4);
    /* What measures how much critiques help is called so. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'probe'"), 5 * 2);
    /* The program is examined as a critic, and nothing is trained in its place that nobody would ever ask. */
    assert_true(stand_count(x, "SELECT count(*) FROM calibration") > 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM model_version WHERE role NOT IN ('base', 'external')"), 0);
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    json_decref(summary);
    stand_free(x);
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
                                    file, script, small);
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
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, small), &summary));
    json_decref(summary);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'demonstration'", NULL, &items));
    assert_int_equal(json_array_size(items), 4);
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, first));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 2, file, small), &summary));
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 2 AND fields LIKE '%first thought%'"), 4);
    assert_ok(x->ctx, store_inbox_add(x->store, field_text(json_array_get(items, 0), "id"), "reviewer-2", 3, second));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 3, file, small), &summary));
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
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, 1, file, script, small), &summary));
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'audit' AND critique IS NOT NULL"), 0); /* blind */
    assert_true(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'audit'") >= 10);
    for (int iteration = 2; iteration <= 3; iteration++) {
        assert_ok(x->ctx, store_query_json(x->store, arena_printf(x->memory, "SELECT id FROM review_item WHERE iteration = %d", iteration - 1), NULL, &items));
        json_array_foreach(items, i, item)
            assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, accept));
        n_answered += json_array_size(items);
        json_decref(items);
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, yaml, iteration, file, script, small), &summary));
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

static void gather_warnings(void *arg, const recipe_progress *p) {
    if (p->message && strncmp(p->message, "warning: ", 9) == 0) {
        assert_int_equal(p->iteration, 0); /* before anything is spent */
        strncat(arg, p->message, 4000 - strlen(arg));
    }
}

/* Held-out queries that nobody can verify are no wrong answers: they count for no version. */
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
                                        "human: {labels: 20, audits: 0, demonstrations: 0}\n%s", with_easy_row(file), small);
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

/* A file of which six queries are held out: enough for a first attempt (6), too few for a second (8), which a second run of the workspace is. */
static void loop__gates_of_other_runs__are_known_beforehand(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = NULL;
    own_rows own = {0};
    for (size_t n = 10; own.n_held_out < 6; n++) {
        own_rows_free(&own);
        file = with_easy_row(own_file(x, 0, n, ""));
        assert_ok(x->ctx, own_rows_read(x->ctx, file, NULL, NULL, &own));
    }
    assert_int_equal(own.n_held_out, 6);
    assert_int_equal(json_array_size(own.held_out), 6);
    own_rows_free(&own);
    static const char *const names[] = {"first", "second", "first"};
    for (size_t k = 0; k < 3; k++) {
        char warnings[4096] = "";
        json_t *summary = NULL;
        const char *yaml = arena_printf(x->memory, "name: %s\nseed: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                                                   "human: {labels: 20, audits: 0, demonstrations: 0}\n%s", names[k], *names[k], file, small);
        assert_ok(x->ctx, run_watched(x, yaml, gather_warnings, warnings, &summary));
        json_decref(summary);
        if (k == 1)
            assert_non_null(strstr(warnings, "asks for a gain on 8 at least (gates of other runs in this workspace decided on them already, 1 times): no candidate can be promoted"));
        assert_int_equal(strstr(warnings, "asks for a gain") != NULL, k == 1); /* the first, which is over, makes no further attempt */
    }
    assert_int_equal(stand_count(x, "SELECT max(json_extract(figures, '$.G1.attempt')) FROM gate"), 2); /* as it was said */
    stand_free(x);
}

/* A candidate whose answers the verifier cannot judge, where it could judge the base's, has failed there. */
static void loop__unverifiable_candidate__has_failed(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    static const char only_once[] = /* each query passes the first time */
        EACH_LINE(" seen=${0%/*}/seen$(printf '%s\\n' \"$line\" | sed 's/.*\"query\":\"\\([^\"]*\\)\".*/\\1/' | cksum | cut -d' ' -f1);"
        " verdict=pass; [ -e \"$seen\" ] && verdict=unknown; : >\"$seen\";"
        SAY("\\\"verdict\\\":\\\"$verdict\\\""));
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"Why is the sky blue?\"}\n{\"query\": \"Why is the sea salt?\"}\n"
                                                  "{\"query\": \"Why do cats purr?\"}\n{\"query\": \"Why do we dream?\"}\n{\"query\": \"Why is it so?\"}\n"
                                                  "{\"query\": \"Why is it not so?\"}\n{\"query\": \"Why me?\"}\n");
    const char *verifier = write_file(x, "verifier.sh", only_once);
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nverifier: {command: sh %s}\nlearner: {samples: 1, max_tokens: 4}\n"
                                    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 0}\n%s",
                                    file, verifier, small);
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

/* Where nothing was trained, nothing was rejected. */
static void loop__nothing_to_train_on__is_no_rejection(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *skip = json_pack("{ss}", "verdict", "skip");
    size_t i;
    static const char nothing[] = "build: {documents: 0, real_share: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";
    const char *yaml = arena_printf(x->memory, queue_yaml, 2, numbers_file(x, 20), 1, nothing);
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

/* Queries the simulated expert has no answer to cost no place, and nobody asks for the same twice. */
static void loop__simulated_demonstrations__come_as_many_as_allowed(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    const char *file = numbers_file(x, 40), *script = write_file(x, "script.json", "{\"default\": \"The answer is 7.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\niterations: 2\ntasks: {file: %s}\nlearner: {backend: scripted, script: %s, samples: 1}\n"
                                    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 6}\n%s",
                                    file, script, small);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__own_queries__escalate_within_the_budget),
        cmocka_unit_test(loop__two_unverifiable_answers__become_a_preference),
        cmocka_unit_test(loop__program_as_verifier__labels_own_queries),
        cmocka_unit_test(loop__programs_as_learner_and_critic__run_to_the_end),
        cmocka_unit_test(loop__open_demonstrations__are_asked_once),
        cmocka_unit_test(loop__a_corrected_demonstration__is_trained_on_no_more),
        cmocka_unit_test(loop__audited_answers__that_taught_do_not_examine),
        cmocka_unit_test(loop__unverifiable_held_out__count_for_nobody),
        cmocka_unit_test(loop__gates_of_other_runs__are_known_beforehand),
        cmocka_unit_test(loop__unverifiable_candidate__has_failed),
        cmocka_unit_test(loop__nothing_to_train_on__is_no_rejection),
        cmocka_unit_test(loop__simulated_demonstrations__come_as_many_as_allowed),
        cmocka_unit_test(loop__accepted_late__is_no_rejected_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

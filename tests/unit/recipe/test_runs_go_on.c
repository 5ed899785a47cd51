/* Runs that go on: halted, interrupted, run again, begun with an older agon, or beside others in one workspace. */
#include "own_queries.h"
#include "store/store_internal.h"

/* A run that halted goes on when it is given more rejections, and has what reviewers answered since. */
static void loop__halted__goes_on_when_given_more(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *items = NULL, *item, *answer = json_pack("{ss ss}", "verdict", "accept", "text", "a thought");
    size_t i;
    const char *file = with_easy_row(numbers_file(x, 20));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, queue_yaml, 2, file, 1, small), &summary));
    assert_string_equal(text_of(summary, "state"), "halted");
    json_decref(summary);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate"), 1);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_item WHERE kind = 'demonstration'", NULL, &items));
    json_array_foreach(items, i, item)
        assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, answer));
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, queue_yaml, 2, file, 3, small), &summary));
    assert_string_equal(text_of(summary, "state"), "done");
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate"), 2);
    assert_int_equal(field_int(json_object_get(summary, "labels"), "human"), json_array_size(items));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE iteration = 2 AND fields LIKE '%a thought%'"), (int64_t)json_array_size(items));
    json_decref(summary);
    json_decref(answer);
    json_decref(items);
    stand_free(x);
}

/* What the first iteration used up is not there for the second, which says so. */
static void loop__labels_used_up__are_said(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    for (int n = 1; n <= 2; n++) {
        const char *yaml = arena_printf(x->memory, "name: own\niterations: %d\ntasks: {cells: [arithmetic/three_digit_sum]}\nattacker: {queries: 6, waves: 1, variations: 0}\n"
                                                   "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\nrefine: {queries: 0, learnability: 0}\n"
                                                   "human: {labels: 4, audits: 0, demonstrations: 4}\ntrain: {rank: 2, epochs: 1, batch: 4}\nbuild: {documents: 2, real_share: 0}\n"
                                                   "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\ngate: {monitor_prompts: 0, rejections: 9}\n", n);
        json_decref(run_well(x, yaml));
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated' AND iteration = 1"), 4);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated' AND iteration = 2"), 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE iteration = 2 AND message LIKE 'the expert is asked nothing: none of 4 labels is left.%'"), n - 1);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'the expert is asked nothing%'"), n - 1);
    }
    stand_free(x);
}

/* A replay writes the run's story into the log no second time. */
static void loop__replayed__logs_nothing_again(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL;
    int64_t n_events = 0;
    const char *file = numbers_file(x, 20);
    for (int k = 0; k < 3; k++) {
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, k < 2 ? 1 : 2, file, 3, small), &summary));
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

/* ---- begun with an older agon -------------------------------------------------------------------------------------- */

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
    const char *file = numbers_file(x, 20);
    assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory, simulated_yaml, 1, file, 1, small), &summary));
    json_decref(summary);
    begin_old(x, pin_rejections);
    for (int rejections = 1; rejections <= 3; rejections += 2) {
        const char *yaml = arena_printf(x->memory, simulated_yaml, 2, file, rejections, small);
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
    assert_int_equal(json_object_del(json_object_get(config, "gate"), "react"), 0);          /* older than that */
    assert_null(json_object_get(json_object_get(config, "build"), "new_share"));
    assert_null(json_object_get(json_object_get(config, "refine"), "words"));
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
                                               "human: {labels: 20, audits: 0, demonstrations: 4}\n%s", numbers_file(x, 20), small);
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

/* Records the step "begin" of the run "old" as that of "own", with the rules of then. */
typedef struct old_beginning {
    store *s;
    run *r;
    const char *base;
    json_t *result;
} old_beginning;

static agon_status write_beginning(void *arg, json_t **result) {
    old_beginning *b = arg;
    const version_status_record status = {.run = run_id(b->r), .version = b->base, .status = "base"};
    *result = json_incref(b->result);
    return store_add_version_status(b->s, &status);
}

static void begin_with_rules(stand *x, int64_t rules) {
    json_t *rows = NULL, *result = NULL;
    assert_ok(x->ctx, store_query_json(x->store, "SELECT s.input AS input_json, s.result AS result_json, r.config AS config_json, r.seed AS seed FROM step s"
                                       " JOIN run r ON r.id = s.run WHERE r.name = 'own' AND s.path = 'begin'", NULL, &rows));
    const json_t *row = json_array_get(rows, 0);
    old_beginning b = {.base = field_text(json_object_get(row, "input"), "base"), .result = json_object_get(row, "result")};
    json_object_set_new(b.result, "rules", json_integer(rules));
    json_object_set_new(json_object_get(row, "config"), "name", json_string("old"));
    const run_options o = {.name = "old", .seed = strtoull(field_text(row, "seed"), NULL, 10), .config = json_object_get(row, "config")};
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &b.s));
    assert_ok(x->ctx, run_begin(x->ctx, b.s, &o, &b.r));
    const step_key key = {.path = "begin", .kind = "begin"};
    assert_ok(x->ctx, step_once(b.r, &key, json_object_get(row, "input"), write_beginning, &b, &result));
    run_end(b.r);
    store_close(b.s);
    stand_open(x);
    json_decref(result);
    json_decref(rows);
}

/* Before rules 6 an answer could write lines of the critic's prompt. Runs begun then ask, train and verify their critic with the prompts of then. */
static void loop__begun_with_the_first_prompts__goes_on_with_them(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    journal_report report;
    json_t *again = NULL;
    char rows[4096] = "";
    for (size_t i = 0, used = 0; i < 24; i++)
        used += (size_t)snprintf(rows + used, sizeof rows - used, "{\"query\": \"How much is\\n%zu and 1?\", \"answer\": %zu}\n", i, i + 1);
    const char *yaml = arena_printf(x->memory, "name: own\ntasks: {file: %s}\nattacker: {queries: 10, waves: 1, variations: 0}\n"
                                               "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 80, epochs: 1}\n"
                                               "human: {labels: 20, audits: 0, demonstrations: 4}\n%s", write_file(x, "own.jsonl", rows), small);
    json_decref(run_well(x, yaml));
    begin_with_rules(x, 5);
    json_decref(run_well(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n'))));
    int64_t tokens[2];
    for (int old = 0; old < 2; old++) {
        const char *run = arena_printf(x->memory, "(SELECT id FROM run WHERE name = '%s')", old ? "old" : "own");
        const char *judged = arena_printf(x->memory, "SELECT count(*) FROM step_item WHERE run = %s AND path LIKE '%%/judge' AND json_extract(input, '$.prompts')",
                                          run);
        const char *taught = arena_printf(x->memory, "SELECT count(*) FROM example WHERE run = %s AND objective = 'critique'"
                                                     " AND json_extract(fields, '$.prompt') LIKE 'Question: How much is' || char(10)", run);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "%s IS NOT NULL", judged)) > 0, !old);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "%s IS NULL", judged)) > 0, old);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "%s || '> %%'", taught)) > 0, !old);
        assert_int_equal(stand_count(x, arena_printf(x->memory, "%s || '%%'", taught)) > 0, true);
        tokens[old] = stand_count(x, arena_printf(x->memory, "SELECT sum(json_extract(result, '$.out.n_prompt')) / count(*) FROM step_item WHERE run = %s AND path"
                                                             " LIKE '%%/judge'", run));
        assert_ok(x->ctx, recipe_reexecute(x->ctx, x->store, old ? "old" : "own", 400, 1, &again));
        assert_string_equal(field_text(again, "problem"), "");
        json_decref(again);
    }
    assert_true(tokens[0] > tokens[1] && tokens[1] > 0); /* the marks */
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    stand_free(x);
}

/* Before rules 8 the critic judged every open answer, also where its word could decide nothing. Runs begun then go on so. */
static void loop__begun_before_idle_critics_rested__goes_on_asking(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    journal_report report;
    const char *yaml = arena_printf(x->memory, simulated_yaml, 1, numbers_file(x, 20), 1, small);
    int64_t judged[2], open[2];
    json_decref(run_well(x, yaml));
    begin_with_rules(x, 7);
    json_decref(run_well(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n'))));
    for (int old = 0; old < 2; old++) {
        const char *run = arena_printf(x->memory, "run = (SELECT id FROM run WHERE name = '%s')", old ? "old" : "own");
        judged[old] = stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM step_item WHERE path LIKE '%%/decide/judge' AND %s", run));
        open[old] = stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM decision WHERE route = 'escalate' AND %s", run));
    }
    assert_int_equal(judged[0], 0);
    assert_true(open[0] > 0 && open[0] == open[1] && judged[1] == open[1]);
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    stand_free(x);
}

/* Before rules 9 a remark was kept if nothing in it was suspicious. Runs begun then go on so. */
static void loop__begun_with_the_first_check_of_rewordings__goes_on_with_it(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *script = write_file(x, "script.json", "{\"default\": \"Our plus signs are lost.\"}");
    const char *yaml = arena_printf(x->memory,
                                    "name: own\ntasks: {cells: [arithmetic/two_digit_sum]}\nattacker: {queries: 4, waves: 1, variations: 4, backend: scripted, script: %s}\n"
                                    "learner: {backend: scripted, script: %s, samples: 1}\ncritic: {examples: 0}\n"
                                    "human: {labels: 20, audits: 0, demonstrations: 0}\n%s", script, script, small);
    json_decref(run_well(x, yaml));
    begin_with_rules(x, 8);
    json_decref(run_well(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n'))));
    for (int old = 0; old < 2; old++) {
        const char *run = arena_printf(x->memory, "run = (SELECT id FROM run WHERE name = '%s')", old ? "old" : "own");
        assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM step_item WHERE path LIKE '%%/vary' AND json_extract(result, '$.ids.task') IS NOT NULL"
                                                                " AND %s", run)), old ? 2 : 0);
        /* and before rules 23 a script's answers were the base's */
        assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM text WHERE kind = 'response' AND producer IN (SELECT id FROM model_version WHERE role = '%s')"
                                                                " AND %s", old ? "base" : "external", run)), old ? 6 : 4); /* with its two rewordings */
    }
    stand_free(x);
}

/* Before rules 19 the first iteration could use up the whole budget. Runs begun then go on so, and may have more from an iteration on that has not begun. */
static void loop__begun_when_the_budget_was_not_shared__goes_on_so(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    journal_report report;
    const char *format = "name: %s\niterations: %d\ntasks: {cells: [arithmetic/one_digit_sum, writing/lower_case]}\nattacker: {queries: 24, waves: 1, variations: 0}\n"
                         "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                         "human: {labels: %d, audits: 2, demonstrations: 4}\ngate: {rejections: 9}\n%s";
    json_decref(run_well(x, arena_printf(x->memory, format, "own", 1, 9, small)));
    begin_with_rules(x, 17);
    static const int64_t wanted[] = {6, 3, 6, 5};
    for (int k = 0; k < 3; k++) { /* as it began; again; with more */
        json_decref(run_well(x, arena_printf(x->memory, format, "old", k < 2 ? 2 : 4, k < 2 ? 9 : 20, small)));
        for (int i = 1; i <= (k < 2 ? 2 : 4); i++)
            assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM label WHERE source = 'simulated' AND iteration = %d AND run = (SELECT id FROM run"
                                                                    " WHERE name = 'old')", i)), wanted[i - 1]);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run WHERE json_extract(config, '$.human.labels') = 9"), 2);
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    stand_free(x);
}

/* How many queries that were asked are, but for case and blanks, held out too. */
static int64_t n_twins(stand *x, const char *run) {
    const char *of = "SELECT lower(replace(q.body, ' ', '')) FROM text a JOIN text q ON q.id = a.parent WHERE a.kind = '%s' AND a.run = (SELECT id FROM run WHERE name = '%s')";
    const char *asked = arena_printf(x->memory, of, "response", run), *held_out = arena_printf(x->memory, of, "evaluation", run);
    assert_true(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM (%s)", asked)) > 4);
    assert_true(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM (%s)", held_out)) > 1);
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM (%s INTERSECT %s)", asked, held_out));
}

/* Before rules 13 a row was held out by itself alone, so that its twin could be trained on. Runs begun then go on so. */
static void loop__begun_when_rows_were_held_out_alone__goes_on_so(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    char rows[4096] = "", twin[64];
    size_t n_parted = 0;
    for (size_t i = 0, used = 0; i < 20; i++) {
        used += (size_t)snprintf(rows + used, sizeof rows - used, "{\"query\": \"How much is %zu and 1?\", \"answer\": %zu}\n", i, i + 1);
        used += (size_t)snprintf(rows + used, sizeof rows - used, "{\"query\": \"how much is %zu and  1?\", \"answer\": %zu}\n", i, i + 1);
        snprintf(twin, sizeof twin, "how much is %zu and  1?", i);
        const bool held_out = recipe_holds_out(twin);
        snprintf(twin, sizeof twin, "How much is %zu and 1?", i);
        n_parted += held_out != recipe_holds_out(twin);
    }
    const char *yaml = arena_printf(x->memory, simulated_yaml, 1, write_file(x, "own.jsonl", rows), 1, small);
    json_decref(run_well(x, yaml));
    begin_with_rules(x, 12);
    json_decref(run_well(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n'))));
    assert_true(n_parted > 2);
    assert_int_equal(n_twins(x, "own"), 0);
    assert_int_equal(n_twins(x, "old"), n_parted);
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
    const byte_stream strange = stream_of("no checkpoint of any training", 29);
    assert_ok(x->ctx, object_write(x->store, &strange, &hash));
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

/* Before rules 24 rows of one group were held out together and counted one by one at the gate. Runs begun then go on so. */
static void loop__begun_when_the_gate_counted_rows__goes_on_so(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *yaml = word_run(x, 1, "", ", arms: true");
    FILE *f = fopen(arena_printf(x->memory, "%s/own.jsonl", x->folder), "w");
    assert_non_null(f);
    for (int i = 0; i < 60; i++)
        fprintf(f, "{\"query\": \"Which word is number %d?\", \"answer\": \"the\", \"group\": \"%d\"}\n", 7 * i + 3, i / 3);
    assert_int_equal(fclose(f), 0);
    double p[2], low[2];
    for (int old = 0; old < 2; old++) {
        if (old)
            begin_with_rules(x, 23);
        json_t *summary = run_well(x, old ? arena_printf(x->memory, "name: old%s", strchr(yaml, '\n')) : yaml);
        const json_t *g1 = json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G1"), *table = json_object_get(g1, "table"), *row;
        assert_string_equal(field_text(g1, "test"), old ? "one-sided exact McNemar" : "one-sided exact sign flips of sets");
        assert_true(old ? !json_object_get(table, "sets") : field_int(table, "n") == 3 * field_int(table, "sets") && field_int(table, "sets") > 2);
        assert_true((json_object_get(json_object_get(summary, "held_out"), "sets") == NULL) == old);
        size_t i;
        json_array_foreach(json_object_get(summary, "arms"), i, row)
            assert_true((json_object_get(row, "sets") == NULL) == old);
        assert_true(i > 1);
        p[old] = field_real(g1, "p");
        low[old] = json_number_value(json_array_get(json_object_get(table, "ci95"), 0));
        json_decref(summary);
    }
    assert_true(p[1] < p[0] / 8 && low[0] < low[1]); /* the same weights and answers */
    stand_free(x);
}

/* Before rules 23 sealed runs knew nothing of one another. Those begun then go on so, on tasks that others decided on and that were unsealed since. */
static void sealed__begun_before_attempts_were_counted__goes_on_so(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    store *s = NULL;
    json_t *report = NULL;
    const char *yaml = "name: own\nrecipe: sealed\noracle: sealed\nseed: 5\ntasks: {cells: [arithmetic, writing]}\nattacker: {queries: 4}\n"
                       "learner: {samples: 1, max_tokens: 4}\ncritic: {epochs: 1}\nhuman: {labels: 30, audits: 0, calibration: 12, demonstrations: 2, gate_items: 4}\n"
                       "build: {documents: 1}\ntrain: {rank: 2, epochs: 1, batch: 4}\nevaluate: {arms: false, tasks: 8, general: 2, documents: 2, gsm8k: 0}\n";
    json_decref(run_well(x, yaml));
    begin_with_rules(x, 20);
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_READ, &s));
    assert_ok(x->ctx, recipe_unseal(x->ctx, s, "own", &report));
    store_close(s);
    stand_open(x);
    json_t *summary = run_well(x, arena_printf(x->memory, "name: old%s", strchr(yaml, '\n')));
    assert_int_equal(field_int(json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G1"), "attempt"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%/unsealed' OR path LIKE '%/gate/earlier'"), 2); /* of own */
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT result ->> '$.out.query.parameters') FROM step_item WHERE path = 'iteration/1/held_out'"), 8);
    json_decref(report);
    json_decref(summary);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__begun_when_the_gate_counted_rows__goes_on_so),
        cmocka_unit_test(loop__labels_used_up__are_said),
        cmocka_unit_test(loop__halted__goes_on_when_given_more),
        cmocka_unit_test(loop__replayed__logs_nothing_again),
        cmocka_unit_test(loop__rejections_pinned_before__may_change),
        cmocka_unit_test(runs__begun_before_the_optimisers_keys__go_on),
        cmocka_unit_test(loop__begun_before_the_monitor__goes_on_without),
        cmocka_unit_test(loop__begun_with_the_first_prompts__goes_on_with_them),
        cmocka_unit_test(loop__begun_with_the_first_check_of_rewordings__goes_on_with_it),
        cmocka_unit_test(loop__begun_when_the_budget_was_not_shared__goes_on_so),
        cmocka_unit_test(loop__begun_when_rows_were_held_out_alone__goes_on_so),
        cmocka_unit_test(loop__begun_before_idle_critics_rested__goes_on_asking),
        cmocka_unit_test(runs__of_an_older_workspace__go_on),
        cmocka_unit_test(runs__of_one_workspace__share_their_versions),
        cmocka_unit_test(training__a_foreign_checkpoint__is_begun_anew),
        cmocka_unit_test(sealed__begun_before_attempts_were_counted__goes_on_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sealed runs with a tiny model: what they keep apart, and what `agon unseal` says of them afterwards. */
#include "recipe_runs.h"
#include "store/store_internal.h"

/* Two labels may fall into one half: the other critic is the base. */
static void sealed__half_without_labels__is_judged_by_the_base(void **state) {
    (void)state;
    bool found = false;
    for (int seed = 1; seed <= 6 && !found; seed++) {
        stand *x = stand_new(NULL);
        json_t *summary = NULL;
        assert_ok(x->ctx, run_recipe(x, arena_printf(x->memory,
                                                     "name: sealed\nrecipe: sealed\noracle: sealed\nseed: %d\ntasks: {cells: [arithmetic]}\nattacker: {queries: 2}\n"
                                                     "learner: {samples: 1, max_tokens: 4}\ncritic: {epochs: 1}\n"
                                                     "human: {labels: 20, audits: 0, calibration: 2, demonstrations: 0, gate_items: 2}\n"
                                                     "build: {documents: 1}\ntrain: {rank: 2, epochs: 1, batch: 4}\n"
                                                     "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n", seed), &summary));
        assert_string_equal(text_of(summary, "state"), "done");
        found = stand_count(x, "SELECT count(*) FROM model_version WHERE role = 'critic'") == 1;
        json_decref(summary);
        stand_free(x);
    }
    assert_true(found);
}

/* ---- a sealed run, and what is said of it afterwards --------------------------------------------------------------- */

static const json_t *figures_of(const json_t *summary) {
    return json_object_get(json_object_get(summary, "gate"), "figures");
}

/* The version that judged all answers at `path`. */
static const char *judge_at(stand *x, const char *path) {
    json_t *rows = NULL, *parameters = json_pack("[s]", path);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT DISTINCT json_extract(input, '$.version') AS v FROM step_item WHERE path = ?1", parameters, &rows));
    assert_int_equal(json_array_size(rows), 1);
    const char *version = arena_copy(x->memory, field_text(json_array_get(rows, 0), "v"));
    json_decref(parameters);
    json_decref(rows);
    return version;
}

/* What the gate calls before and after is the base's and the candidate's. */
static void assert_perplexities(stand *x, const json_t *summary) {
    const json_t *text = json_array_get(json_object_get(json_object_get(figures_of(summary), "G2"), "suites"), 0);
    const char *versions[] = {text_of(summary, "base"), field_text(json_object_get(summary, "version"), "id")};
    assert_string_equal(field_text(text, "suite"), "held-out text");
    assert_string_not_equal(versions[0], versions[1]);
    for (int k = 0; k < 2; k++) {
        json_t *rows = NULL;
        double nll = 0, n = 0;
        assert_ok(x->ctx, store_query_json(x->store, arena_printf(x->memory, "SELECT e.value AS nll, json_extract(s.result, '$.out.n_tokens[' || e.key || ']') AS n"
                                                                             " FROM step_item s, json_each(s.result, '$.out.nll') e"
                                                                             " WHERE s.path = 'iteration/1/evaluate/%.12s/text'", versions[k]), NULL, &rows));
        assert_int_equal(json_array_size(rows), 2);
        for (size_t i = 0; i < 2; i++) {
            nll += field_real(json_array_get(rows, i), "nll");
            n += field_real(json_array_get(rows, i), "n");
        }
        assert_close(field_real(text, k ? "after" : "before"), exp(nll / n), 1e-6);
        json_decref(rows);
    }
}

/* An expert that is wrong half of the time tells versions apart that are equally bad. */
static const char sealed_run[] = "name: sealed\nrecipe: sealed\noracle: sealed\nseed: 5\ntasks: {cells: [arithmetic, writing]}\nattacker: {queries: 6}\n"
                                 "learner: {samples: 2, max_tokens: 4}\ncritic: {epochs: 1, alpha: 0.9, delta: 0.5, least_calibration: 1}\n"
                                 "human: {labels: 46, audits: 0, calibration: 24, demonstrations: 6, gate_items: 8, error_rate: 0.5}\n"
                                 "build: {documents: 1}\ntrain: {rank: 2, epochs: 1, batch: 4}\n"
                                 "evaluate: {tasks: 12, general: 2, documents: 2, gsm8k: 0}\n";

static void sealed__run__keeps_apart_what_it_must(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *rows = NULL, *row;
    size_t i;
    double gain = 0, judged = 0;
    assert_ok(x->ctx, run_recipe(x, sealed_run, &summary));
    /* Two critics, taught on answers of disjoint halves, each tested on those of the other. */
    const char *reward = judge_at(x, "iteration/1/critic/reward/judge"), *second = judge_at(x, "iteration/1/critic/second/judge");
    assert_string_not_equal(reward, second);
    assert_string_equal(judge_at(x, "iteration/1/decide/judge"), reward);
    assert_string_equal(judge_at(x, "iteration/1/gate/judge"), second);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item j JOIN step_item k ON json_extract(k.input, '$.id') = json_extract(j.input, '$.id')"
                                    " WHERE j.path LIKE '%/critic/reward/judge' AND k.path LIKE '%/critic/second/judge'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example e JOIN step_item j ON e.texts LIKE '%' || json_extract(j.input, '$.id') || '%' WHERE e.objective = 'critique'"
                                    " AND j.path LIKE '%/critic/%/judge' AND e.id IN (SELECT value FROM model_version v, json_each(v.examples) WHERE v.id = json_extract(j.input, '$.version'))"), 0);
    /* They are tested on the learner's own answers, decide on hard ones, and judge the held-out answers of both versions. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item i JOIN text t ON t.id = json_extract(i.input, '$.id') WHERE i.path LIKE '%/critic/%/judge' AND"
                                    " (t.kind <> 'response' OR NOT EXISTS (SELECT 1 FROM label l WHERE l.target = t.id AND l.purpose = 'calibration'))"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item i JOIN label l ON l.target = json_extract(i.input, '$.id') WHERE i.path LIKE '%/decide/judge'"
                                    " AND l.source = 'simulated'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path LIKE '%/gate/judge'"), 24);
    assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) > 0 AND min(k.critic = '%s') FROM decision d JOIN calibration k ON k.id = d.calibration", reward)), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response'"), 24 + 24 / 4 + 6 * 2); /* one of an easy query, two of a hard one */
    /* The books: every label counts, and the budget may be used up. */
    const json_t *budget = json_object_get(summary, "budget"), *g1 = json_object_get(figures_of(summary), "G1");
    assert_int_equal(field_int(budget, "used"), stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated'"));
    assert_int_equal(field_int(budget, "used"), 46);
    assert_int_equal(field_int(budget, "gate"), stand_count(x, "SELECT count(*) FROM label WHERE purpose = 'gate'"));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE purpose = 'gate' AND abs(propensity - 8.0 / 12) > 1e-12"), 0);
    assert_string_equal(field_text(json_object_get(figures_of(summary), "G7"), "budget"), "kept");
    assert_perplexities(x, summary);
    /* The gain is the candidate's less the base's, and the bound that decides is one-sided. */
    assert_ok(x->ctx, store_query_json(x->store, "SELECT l.value, t.producer, v.role FROM label l JOIN text t ON t.id = l.target JOIN model_version v ON v.id = t.producer"
                                                 " WHERE l.purpose = 'gate'", NULL, &rows));
    assert_int_equal(json_array_size(rows), 16);
    json_array_foreach(rows, i, row)
        gain += (strcmp(field_text(row, "role"), "base") == 0 ? -1 : 1) * (strcmp(field_text(row, "value"), "pass") == 0);
    assert_true(gain != 0);
    const json_t *tuned = json_object_get(g1, "tuned");
    assert_close(field_real(json_object_get(g1, "labels_only"), "estimate"), gain / 8, 1e-12);
    assert_int_equal(field_int(g1, "labelled"), 8);
    assert_int_equal(field_int(g1, "unlabelled"), 4);
    assert_true(field_real(g1, "lower_bound") > json_real_value(json_array_get(json_object_get(tuned, "ci95"), 0)));
    json_decref(rows);
    /* As the second critic says of them, before calibration, which turns no order round. */
    assert_ok(x->ctx, store_query_json(x->store, "SELECT json_extract(i.result, '$.out.p') AS p, v.role FROM step_item i JOIN text t ON t.id = json_extract(i.input, '$.id')"
                                                 " JOIN model_version v ON v.id = t.producer WHERE i.path LIKE '%/gate/judge'", NULL, &rows));
    assert_int_equal(json_array_size(rows), 24);
    json_array_foreach(rows, i, row)
        judged += (strcmp(field_text(row, "role"), "base") == 0 ? -1 : 1) * field_real(row, "p");
    assert_true(judged * field_real(json_object_get(g1, "judge_only"), "estimate") > 0);
    json_decref(rows);
    json_decref(summary);
    stand_free(x);
}

/* A report on a ledger that the test writes: whatever the answers were, these are right. */
static void unseal__report__is_of_the_ledger(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *report = NULL, *ledger = NULL, *labels = NULL, *row, *label;
    store *s = NULL;
    sqlite3 *db = NULL;
    size_t i, k;
    int64_t n = 0, wrong = 0, accepted = 0, judged[2] = {0};
    assert_ok(x->ctx, run_recipe(x, sealed_run, &summary));
    const int64_t decided = stand_count(x, "SELECT count(*) FROM step_item WHERE path LIKE '%/decide/judge'");
    stand_close(x);
    assert_int_equal(sqlite3_open(arena_printf(x->memory, "%s/sealed.db", x->folder), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, arena_printf(x->memory, "ATTACH '%s/agon.db' AS a; UPDATE ledger SET outcome = 'fail';"
                                                              "UPDATE ledger SET outcome = 'pass' WHERE rowid %% 3 = 0 AND response IN (SELECT target FROM a.label WHERE purpose = 'calibration');"
                                                              /* of the hard answers, which come last, one */
                                                              "UPDATE ledger SET outcome = 'pass' WHERE response = (SELECT id FROM a.text WHERE kind = 'response' AND body <> '' ORDER BY rowid DESC"
                                                              " LIMIT 1);"
                                                              /* of 12 held-out queries the candidate alone has 4, both have 2, the base alone 1 */
                                                              "CREATE TEMP TABLE q AS SELECT parent, row_number() OVER (ORDER BY min(rowid)) AS n FROM a.text WHERE kind = 'evaluation' AND producer"
                                                              " IN (SELECT id FROM a.model_version WHERE role = 'learner') GROUP BY parent;"
                                                              "UPDATE ledger SET outcome = 'pass' WHERE response IN (SELECT t.id FROM a.text t JOIN q ON q.parent = t.parent JOIN a.model_version v"
                                                              " ON v.id = t.producer WHERE t.kind = 'evaluation' AND ((v.role = 'learner' AND q.n <= 6) OR (v.role = 'base' AND q.n IN (5, 6, 7))));",
                                                 x->folder), NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_READ, &s));
    assert_ok(x->ctx, store_ledger_read(s, &ledger));
    assert_ok(x->ctx, store_query_json(s, "SELECT target, value FROM label WHERE kind = 'point'", NULL, &labels));
    assert_ok(x->ctx, recipe_unseal(x->ctx, s, NULL, &report));
    const json_t *gate = json_array_get(json_object_get(report, "gates"), 0), *truth = json_object_get(gate, "truth");
    assert_close(field_real(gate, "true_gain"), 3.0 / 12, 1e-12);
    assert_close(field_real(truth, "before"), 3.0 / 12, 1e-12);
    assert_close(field_real(truth, "after"), 6.0 / 12, 1e-12);
    const json_t *ci = json_object_get(gate, "ci95");
    assert_int_equal(json_is_true(json_object_get(gate, "covered")),
                     json_real_value(json_array_get(ci, 0)) <= 0.25 && json_real_value(json_array_get(ci, 1)) >= 0.25);
    json_array_foreach(labels, i, label)
        json_array_foreach(ledger, k, row)
            if (strcmp(field_text(row, "response"), field_text(label, "target")) == 0) {
                bool right = strcmp(field_text(row, "outcome"), "pass") == 0, said = strcmp(field_text(label, "value"), "pass") == 0;
                n++;
                wrong += right != said;
                accepted += said && !right;
            }
    assert_true(accepted > 0 && wrong > accepted && n > wrong);
    json_array_foreach(json_object_get(report, "label_noise"), i, row) {
        n -= field_int(row, "n");
        wrong -= field_int(row, "wrong");
        accepted -= field_int(row, "accepted_wrong");
        assert_true(strcmp(field_text(row, "source"), "critic") != 0 || strcmp(field_text(row, "difficulty"), "hard") == 0);
    }
    assert_true(n == 0 && wrong == 0 && accepted == 0);
    json_array_foreach(json_object_get(report, "critic"), i, row)
        judged[strcmp(field_text(row, "critic"), "gate") == 0] += field_int(row, "n");
    assert_int_equal(judged[0], decided);
    assert_int_equal(judged[1], 24);
    /* One hard answer is right, and repeated to the candidate's tokens; those that the critic let pass are not. */
    static const char *const arms[] = {"critic", "labels_only", "shuffled", "oracle"};
    const json_t *list = json_object_get(report, "arms");
    assert_int_equal(json_array_size(list), 4);
    assert_int_equal(json_array_size(json_object_get(report, "arms_left_out")), 0);
    json_array_foreach(list, i, row) {
        assert_string_equal(field_text(row, "arm"), arms[i]);
        assert_int_equal(field_int(row, "n"), 12);
        assert_close(field_real(row, "before"), 3.0 / 12, 1e-12);
        assert_close(field_real(row, "after"), i == 0 ? 6.0 / 12 : 0, 1e-12); /* these answer now, and the verifier takes none */
        if (i > 0)
            assert_close(field_real(json_object_get(row, "difference"), "gain"), 6.0 / 12, 1e-12);
    }
    assert_non_null(json_object_get(json_object_get(report, "recovered"), "gap"));
    json_decref(ledger);
    json_decref(labels);
    json_decref(report);
    json_decref(summary);
    store_close(s);
    stand_open(x);
    stand_free(x);
}

static void interrupt_at_once(void *arg, const recipe_progress *progress) {
    if (progress->iteration > 0) /* it has begun: before that memory and time are said */
        agon_interrupt(arg);
}

static agon_status unseal(stand *x, json_t **report) {
    store *s = NULL;
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_READ, &s));
    agon_status status = recipe_unseal(x->ctx, s, NULL, report);
    store_close(s);
    stand_open(x);
    return status;
}

/* ---- what the arms are made of ---------------------------------------------------------------------------------------- */

static int64_t one_count(stand *x, const char *format, ...) PRINTF_LIKE(2, 3);
static int64_t one_count(stand *x, const char *format, ...) {
    char sql[2000];
    va_list values;
    va_start(values, format);
    vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    return stand_count(x, sql);
}

/* The examples that the step at a path built, as a query: (answer, kind, family, passed by the critic, hard, n_tokens). */
static const char *examples_of(stand *x, const char *path) {
    return arena_printf(x->memory, "(SELECT t.id AS answer, t.kind, t.family, t.id IN (SELECT target FROM label WHERE source = 'critic' AND value = 'pass') AS passed,"
                                   " t.id IN (SELECT json_extract(input, '$.id') FROM step_item WHERE path LIKE '%%/decide/judge') AS hard, e.n_tokens"
                                   " FROM step s, json_each(s.result) j JOIN example e ON e.id = j.value JOIN text t ON t.id = json_extract(e.texts, '$[#-1]')"
                                   " WHERE s.path = 'iteration/1/%s')", path);
}

/* Every arm has the candidate's own examples but for the critic's: what the expert wrote and what it accepted, and the prose. They differ in what stands in the
 * place of the critic's: nothing; hard answers at random, as many a family; hard answers that are right. All have the candidate's loss tokens. */
static void unseal__arms__differ_in_the_critics_word_alone(void **state) {
    (void)state;
    static const char *const names[] = {"labels_only", "shuffled", "oracle"};
    stand *x = stand_new(NULL);
    json_t *report = NULL;
    const char *rest = strstr(sealed_run, "{queries: 6}") + strlen("{queries: 6}");
    json_decref(run_well(x, arena_printf(x->memory, "%.*s{queries: 40}%s", (int)(rest - sealed_run - (ptrdiff_t)strlen("{queries: 6}")), sealed_run, rest)));
    assert_ok(x->ctx, unseal(x, &report));
    const json_t *rows = json_object_get(report, "arms"), *left_out = json_object_get(report, "arms_left_out");
    const char *candidate = examples_of(x, "build");
    const int64_t tokens = one_count(x, "SELECT sum(n_tokens) FROM %s", candidate), passed = one_count(x, "SELECT count(*) FROM %s WHERE hard", candidate);
    assert_int_equal(one_count(x, "SELECT count(*) FROM %s WHERE hard <> passed", candidate), 0);
    assert_true(passed > 10);
    assert_true(one_count(x, "SELECT count(*) FROM %s WHERE kind = 'response' AND NOT hard", candidate) > 0); /* accepted by the expert */
    assert_true(one_count(x, "SELECT count(*) FROM %s WHERE kind <> 'response'", candidate) > 0);
    assert_int_equal(json_array_size(rows) + json_array_size(left_out), 4);
    for (size_t k = 0; k < 3; k++) {
        const char *of = examples_of(x, arena_printf(x->memory, "arm/%s/build", names[k]));
        if (one_count(x, "SELECT count(*) FROM %s", of) == 0) { /* no hard answer is right */
            assert_int_equal(k, 2);
            assert_string_equal(field_text(json_array_get(left_out, 0), "arm"), "oracle");
            continue;
        }
        const json_t *row = json_array_get(rows, k + 1);
        const int64_t n = one_count(x, "SELECT sum(n_tokens) FROM %s", of), longest = one_count(x, "SELECT max(n_tokens) FROM %s", of);
        assert_string_equal(field_text(row, "arm"), names[k]);
        assert_int_equal(field_int(row, "loss_tokens"), n);
        assert_null(json_object_get(row, "tokens_wanted"));
        assert_true(n >= tokens && n < tokens + longest);
        /* nothing of the candidate's is wanting but the critic's */
        assert_int_equal(one_count(x, "SELECT count(*) FROM %s c WHERE NOT hard AND answer NOT IN (SELECT answer FROM %s)", candidate, of), 0);
        assert_int_equal(one_count(x, "SELECT count(*) FROM %s c WHERE NOT hard AND answer NOT IN (SELECT answer FROM %s)", of, candidate), 0);
        const int64_t hard = one_count(x, "SELECT count(*) FROM %s WHERE hard", of), twice = one_count(x, "SELECT count(*) - count(DISTINCT answer) FROM %s WHERE NOT hard", of);
        assert_int_equal(field_int(row, "hard"), hard);
        assert_int_equal(hard > 0, k > 0);
        assert_int_equal(twice > 0, k == 0);
    }
    /* as many a family as the critic's, as far as they come */
    const char *of = examples_of(x, "arm/shuffled/build");
    assert_int_equal(one_count(x, "SELECT count(*) FROM (SELECT family, count(DISTINCT answer) AS n FROM %s WHERE hard GROUP BY family) s LEFT JOIN"
                                  " (SELECT family, count(*) AS n FROM %s WHERE hard GROUP BY family) c USING (family) WHERE c.n IS NULL OR s.n > c.n", of, candidate), 0);
    assert_true(one_count(x, "SELECT count(DISTINCT answer) FROM %s WHERE hard", of) * 2 > passed);
    json_decref(report);
    stand_free(x);
}

/* A critic that trusts nothing leaves nothing to compare: no arm is trained, and the report says why. */
static void unseal__critic_that_lets_nothing_pass__leaves_the_arms_out(void **state) {
    (void)state;
    static const char *const names[] = {"labels_only", "shuffled", "oracle"};
    stand *x = stand_new(NULL);
    json_t *report = NULL;
    const char *strict = arena_printf(x->memory, "%.*salpha: 0.01, delta: 0.01%s", (int)(strstr(sealed_run, "alpha:") - sealed_run), sealed_run,
                                      strstr(sealed_run, ", least_calibration"));
    json_decref(run_well(x, strict));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'critic' AND value = 'pass'"), 0);
    assert_ok(x->ctx, unseal(x, &report));
    assert_int_equal(json_array_size(json_object_get(report, "arms")), 1);
    assert_true(json_is_null(json_object_get(report, "recovered")));
    for (size_t k = 0; k < 3; k++) {
        const json_t *row = json_array_get(json_object_get(report, "arms_left_out"), k);
        assert_string_equal(field_text(row, "arm"), names[k]);
        assert_non_null(strstr(field_text(row, "why"), "the critic let nothing pass"));
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%/arm/%'"), 0);
    json_decref(report);
    stand_free(x);
}

static void unseal__waits_for_the_end_and_trains_arms_only_when_asked(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = NULL, *report = NULL;
    const char *yaml = arena_printf(x->memory, "%.*sevaluate: {arms: false, tasks: 12, general: 2, documents: 2, gsm8k: 0}\n",
                                    (int)(strstr(sealed_run, "evaluate:") - sealed_run), sealed_run);
    assert_int_equal(run_watched(x, yaml, interrupt_at_once, x->ctx, &summary), AGON_EINTERRUPTED);
    agon_interrupt_clear(x->ctx);
    assert_int_equal(unseal(x, &report), AGON_EREFUSED);
    assert_non_null(strstr(agon_error(x->ctx), "is not finished"));
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_ok(x->ctx, unseal(x, &report));
    assert_int_equal(json_array_size(json_object_get(report, "gates")), 1);
    assert_null(json_object_get(report, "arms"));
    assert_true(json_is_null(json_object_get(report, "recovered")));
    json_decref(report);
    json_decref(summary);
    stand_free(x);
}

/* ---- several runs in one workspace -------------------------------------------------------------------------------------- */

/* A run of this name that is like any other of the workspace. */
static json_t *run_named(stand *x, const char *name) {
    return run_well(x, arena_printf(x->memory, "name: %s%.*sevaluate: {arms: false, tasks: 12, general: 2, documents: 2, gsm8k: 0}\n", name,
                                    (int)(strstr(sealed_run, "evaluate:") - strchr(sealed_run, '\n')), strchr(sealed_run, '\n')));
}

/* The tasks that a run held out, in whatever words, as a query. */
static const char *held_out_by(stand *x, const char *run) {
    return arena_printf(x->memory, "(SELECT json_extract(i.result, '$.out.query.cell') || json_extract(i.result, '$.out.query.parameters') AS task FROM step_item i"
                                   " JOIN run r ON r.id = i.run WHERE r.name = '%s' AND i.path = 'iteration/1/held_out')", run);
}

/* The second run's gate looks at the same tasks again: each look spends alpha, and is recorded. */
static void sealed__same_tasks_in_another_run__are_another_attempt(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    double alpha[2], bound[2];
    for (int again = 0; again < 2; again++) /* as they were, whatever came later */
        for (int k = 0; k < 2; k++) {
            json_t *summary = run_named(x, k ? "second" : "first");
            const json_t *g1 = json_object_get(figures_of(summary), "G1");
            assert_int_equal(field_int(g1, "attempt"), k + 1);
            alpha[k] = field_real(g1, "alpha");
            bound[k] = field_real(g1, "lower_bound");
            json_decref(summary);
        }
    assert_true(alpha[1] < alpha[0]);
    assert_true(bound[1] < bound[0]); /* of the same estimate */
    assert_int_equal(one_count(x, "SELECT count(*) FROM %s WHERE task IN %s", held_out_by(x, "second"), held_out_by(x, "first")), 12);
    stand_free(x);
}

/* Nobody can say that what was told of is sealed. */
static void unseal__tasks_told_of__are_not_held_out_again(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *report = NULL, *summary = NULL;
    journal_report verified;
    json_decref(run_named(x, "first"));
    for (int k = 0; k < 2; k++) {
        assert_ok(x->ctx, unseal(x, &report));
        json_decref(report);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE stage = 'unseal'"), 1);
    }
    summary = run_named(x, "second");
    assert_int_equal(field_int(json_object_get(figures_of(summary), "G1"), "attempt"), 1);
    json_decref(summary);
    assert_int_equal(one_count(x, "SELECT count(*) FROM %s", held_out_by(x, "second")), 12);
    assert_int_equal(one_count(x, "SELECT count(*) FROM %s WHERE task IN %s", held_out_by(x, "second"), held_out_by(x, "first")), 0);
    assert_true(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE '12 held-out tasks of other runs were unsealed%'") == 1);
    /* Both go on with what they had: also when the second one's ledger is opened. */
    assert_ok(x->ctx, unseal(x, &report));
    json_decref(report);
    json_decref(run_named(x, "second"));
    json_decref(run_named(x, "first"));
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &verified));
    assert_string_equal(verified.problem, "");
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed__half_without_labels__is_judged_by_the_base),
        cmocka_unit_test(sealed__run__keeps_apart_what_it_must),
        cmocka_unit_test(unseal__report__is_of_the_ledger),
        cmocka_unit_test(unseal__arms__differ_in_the_critics_word_alone),
        cmocka_unit_test(unseal__critic_that_lets_nothing_pass__leaves_the_arms_out),
        cmocka_unit_test(unseal__waits_for_the_end_and_trains_arms_only_when_asked),
        cmocka_unit_test(sealed__same_tasks_in_another_run__are_another_attempt),
        cmocka_unit_test(unseal__tasks_told_of__are_not_held_out_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

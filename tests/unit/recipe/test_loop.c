/* The loop on generated tasks with a tiny model: how it draws, chooses, trains and counts its attempts. */
#include "eval/multiplicity.h"
#include "own_queries.h"

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
                                    script, script, small);
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/attack/1/vary'"), 4);
    json_decref(summary);
    stand_free(x);
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

/* A version that was promoted is asked queries of all cells alike, and given prose that it has not read; after a rejection both stay. */
static void loop__a_promoted_version__begins_anew(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *yaml = word_run(x, 3, ", cells: [arithmetic/three_digit_sum, arithmetic/two_digit_sum, writing/lower_case, writing/title]}\nattacker: {queries: 8, waves: 1, variations: 0", "");
    json_t *summary = run_well(x, yaml), *rows = NULL, *prose = NULL;
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate WHERE verdict = 'promote' AND iteration = 1"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate WHERE verdict = 'promote' AND iteration = 2"), 0);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT iteration, body FROM text WHERE kind = 'document' ORDER BY iteration", NULL, &prose));
    assert_int_equal(json_array_size(prose), 2);
    assert_int_equal(field_int(json_array_get(prose, 0), "iteration"), 1);
    assert_int_equal(field_int(json_array_get(prose, 1), "iteration"), 2);
    assert_string_not_equal(field_text(json_array_get(prose, 0), "body"), field_text(json_array_get(prose, 1), "body"));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example e JOIN text t ON t.id = json_extract(e.texts, '$[0]') WHERE t.kind = 'document' AND t.iteration = 2 AND e.iteration IN (2, 3)"), 2);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example e JOIN text t ON t.id = json_extract(e.texts, '$[0]') WHERE t.kind = 'document'"), 3);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT count(*) n FROM step_item WHERE path = 'iteration/2/attack/1/draw' GROUP BY json_extract(input, '$.cell')", NULL, &rows));
    assert_int_equal(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(field_int(json_array_get(rows, i), "n"), 2);
    json_decref(prose);
    json_decref(rows);
    json_decref(summary);
    stand_free(x);
}

static json_t *run_gated(stand *x, const char *name, const char *seed) {
    return run_well(x, arena_printf(x->memory, "name: %s\n%siterations: 2\ntasks: {cells: [arithmetic/three_digit_sum]}\nattacker: {queries: 4, waves: 1, variations: 0}\n"
                                               "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\nrefine: {queries: 2, samples: 1, learnability: 0}\n"
                                               "human: {labels: 8, audits: 0, demonstrations: 2, backend: simulated}\n"
                                               "train: {rank: 2, epochs: 1, batch: 4}\nbuild: {gold: 4, documents: 2, real_share: 0}\n"
                                               "evaluate: {tasks: 4, general: 2, documents: 2, gsm8k: 0}\n", name, seed));
}

/* Every look at the held-out tasks costs a part of alpha: the gate counts them over the run, and compares with the version that stands. */
static void loop__gate__spends_alpha_by_attempt(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = run_gated(x, "gated", ""), *gates = NULL;
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
    /* So do looks of other runs at the same tasks; at other tasks they do not. */
    static const char *const names[] = {"other", "again"};
    for (size_t k = 0; k < 2; k++) {
        json_decref(run_gated(x, names[k], k ? "" : "seed: 77\n"));
        for (int i = 1; i <= 2; i++)
            assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT json_extract(g.figures, '$.G1.attempt') FROM gate g JOIN run r ON r.id = g.run"
                                                                    " WHERE r.name = '%s' AND g.iteration = %d", names[k], i)), i + (int)k);
    }
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
        cmocka_unit_test(loop__rewordings__are_of_different_queries),
        cmocka_unit_test(loop__small_loss__leaves_rows_out),
        cmocka_unit_test(loop__a_promoted_version__begins_anew),
        cmocka_unit_test(loop__gate__spends_alpha_by_attempt),
        cmocka_unit_test(loop__critic__has_one_answer_of_a_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

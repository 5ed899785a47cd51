/* The loop's control arms, on a tiny model that can learn one word. */
#include "own_queries.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include <sqlite3.h>

static const char gold_run[] =
    "name: gold\nseed: 3\ntasks: {cells: [writing/lower_case, arithmetic/one_digit_sum]}\nattacker: {queries: 24, waves: 2, variations: 0}\n"
    "learner: {samples: 2, max_tokens: 8}\ncritic: {examples: 0}\nrefine: {queries: 2, samples: 1, learnability: 0}\n"
    "human: {labels: 20, audits: 2, demonstrations: 4}\nbuild: {documents: 1, gold: 4, real_share: 0.2}\n"
    "train: {rank: 2, epochs: 1, batch: 4}\ngate: {monitor_prompts: 2}\nevaluate: {tasks: 8, general: 2, documents: 2, gsm8k: 0, arms: true}\n";

typedef struct said {
    const char *words; /* looked for */
    int n;             /* messages with them */
} said;

static void listen(void *arg, const recipe_progress *p) {
    said *s = arg;
    s->n += p->message && s->words && strstr(p->message, s->words);
}

/* Runs a recipe in the stand's folder (whose own run is closed meanwhile); its summary, new. */
static json_t *run_yaml(stand *x, const char *yaml, said *s) {
    run_config *config = NULL;
    char path[2048];
    store *w = NULL;
    json_t *summary = NULL;
    said none = {0};
    assert_ok(x->ctx, run_file_parse(x->ctx, "test.yaml", yaml, strlen(yaml), &config));
    golden_path(path, "tiny-text.gguf");
    config->model = strdup(path);
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &w));
    assert_ok(x->ctx, recipe_run(x->ctx, w, config, listen, s ? s : &none, &summary));
    store_close(w);
    run_config_free(config);
    stand_open(x);
    assert_string_equal(field_text(summary, "state"), "done");
    return summary;
}

static json_t *rows_of(stand *x, const char *sql) {
    json_t *rows = NULL;
    assert_ok(x->ctx, store_query_json(x->store, sql, NULL, &rows));
    return rows;
}

static int64_t count(stand *x, const char *sql) {
    int64_t n = -1;
    assert_ok(x->ctx, store_query_int(x->store, sql, NULL, &n));
    return n;
}

/* Hash of a run's last step; borrowed from the arena. */
static const char *head_of(stand *x, const char *run) {
    json_t *rows = rows_of(x, arena_printf(x->memory, "SELECT hash FROM step WHERE run = (SELECT id FROM run WHERE name = '%s') ORDER BY seq DESC LIMIT 1", run));
    const char *head = arena_copy(x->memory, field_text(json_array_get(rows, 0), "hash"));
    json_decref(rows);
    return head;
}

static const json_t *arm_of(const json_t *rows, const char *name) {
    const json_t *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        if (strcmp(field_text(row, "arm"), name) == 0)
            return row;
    fail_msg("no arm %s", name);
    return NULL;
}

static double after(const json_t *rows, const char *name) {
    return field_real(arm_of(rows, name), "after");
}

static void arms__random_labels__teach_nothing(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = run_yaml(x, word_run(x, 1, "", ", arms: true"), NULL), *status = NULL, *log = NULL, *line;
    const json_t *rows = json_object_get(summary, "arms"), *difference = json_object_get(arm_of(rows, "random_labels"), "difference");
    const json_t *held_out = json_object_get(summary, "held_out");
    size_t i, of_arms = 0;
    assert_int_equal(json_array_size(rows), 4);
    assert_string_equal(field_text(json_array_get(rows, 0), "arm"), "loop");
    assert_close(after(rows, "loop"), field_real(held_out, "after"), 1e-12);
    assert_true(after(rows, "loop") > 0.99);
    assert_close(after(rows, "random_labels"), 0, 1e-12);
    assert_true(after(rows, "real_only") > 0.99); /* all that there was to learn */
    assert_true(after(rows, "shuffled") > 0.99);  /* all answers are one */
    assert_close(field_real(difference, "gain"), 1, 1e-12);
    assert_close(field_real(difference, "p"), 2 * pow(0.5, (double)field_int(held_out, "n")), 1e-12);
    assert_true(json_number_value(json_array_get(json_object_get(difference, "ci95"), 0)) > 0.5);
    assert_close(field_real(arm_of(rows, "loop"), "labels_right"), 1, 1e-12);
    assert_close(field_real(arm_of(rows, "random_labels"), "labels_right"), 0, 1e-12);
    /* Equal tokens: to the last where the examples are the same, else less than a short answer apart. */
    const int64_t tokens = field_int(arm_of(rows, "loop"), "loss_tokens");
    assert_int_equal(field_int(arm_of(rows, "shuffled"), "loss_tokens"), tokens);
    assert_true(field_int(arm_of(rows, "random_labels"), "loss_tokens") <= tokens && field_int(arm_of(rows, "random_labels"), "loss_tokens") > tokens - 20);
    assert_true(field_int(arm_of(rows, "real_only"), "loss_tokens") <= tokens && field_int(arm_of(rows, "real_only"), "loss_tokens") > tokens - 20);
    assert_int_equal(count(x, "SELECT count(*) FROM example WHERE run = (SELECT id FROM run WHERE name = 'own.1.arms')"), 0);
    assert_int_equal(count(x, "SELECT count(*) FROM model_version WHERE role = 'control'"), 3);
    assert_ok(x->ctx, store_status(x->store, "own", &status));
    assert_string_equal(field_text(json_object_get(status, "arms"), "run"), "own.1.arms");
    assert_string_equal(field_text(json_object_get(status, "arms"), "state"), "done");
    assert_true(json_equal(json_object_get(json_object_get(status, "arms"), "rows"), rows));
    assert_ok(x->ctx, store_log(x->store, "own", 0, 0, &log));
    json_array_foreach(log, i, line)
        of_arms += strncmp(field_text(line, "message"), "arm ", 4) == 0;
    assert_int_equal(of_arms, 6);
    json_decref(log);
    json_decref(status);
    json_decref(summary);
    stand_free(x);
}

static void arms__asked_for_later__are_the_same_and_change_nothing(void **state) {
    (void)state;
    stand *x = stand_new(NULL), *y = stand_new(NULL);
    json_t *with = run_yaml(x, word_run(x, 1, "", ", arms: true"), NULL), *status = NULL;
    json_t *without = run_yaml(y, word_run(y, 1, "", ""), NULL);
    assert_null(json_object_get(without, "arms"));
    assert_int_equal(count(y, "SELECT count(*) FROM run WHERE name <> 'main'"), 1);
    assert_ok(y->ctx, store_status(y->store, "own", &status));
    assert_true(json_is_null(json_object_get(status, "arms")));
    json_decref(status);
    json_decref(without);
    without = run_yaml(y, word_run(y, 1, "", ", arms: false"), NULL); /* nor is it another run */
    json_t *later = run_yaml(y, word_run(y, 1, "", ", arms: true"), NULL);
    const int64_t steps = count(y, "SELECT count(*) FROM step");
    json_t *again = run_yaml(y, word_run(y, 1, "", ", arms: true"), NULL);
    assert_int_equal(count(y, "SELECT count(*) FROM step"), steps);
    assert_true(json_equal(json_object_get(with, "arms"), json_object_get(later, "arms")));
    assert_true(json_equal(json_object_get(again, "arms"), json_object_get(later, "arms")));
    json_decref(with);
    json_decref(without);
    json_decref(later);
    json_decref(again);
    stand_free(x);
    stand_free(y);
}

/* tasks.file is named by a path in the run's record, so runs whose bits are compared have generated tasks. */
static void arms__main_run__has_the_same_bits(void **state) {
    (void)state;
    stand *x = stand_new(NULL), *y = stand_new(NULL);
    const char *off = arena_printf(y->memory, "%.*s}\n", (int)(strstr(gold_run, ", arms") - gold_run), gold_run);
    json_t *with = run_yaml(x, gold_run, NULL), *without = run_yaml(y, off, NULL);
    assert_string_equal(head_of(x, "gold"), head_of(y, "gold"));
    json_t *later = run_yaml(y, gold_run, NULL);
    assert_string_equal(head_of(x, "gold"), head_of(y, "gold"));
    assert_string_equal(head_of(x, "gold.1.arms"), head_of(y, "gold.1.arms"));
    assert_true(json_equal(json_object_get(with, "arms"), json_object_get(later, "arms")));
    json_decref(with);
    json_decref(without);
    json_decref(later);
    stand_free(x);
    stand_free(y);
}

/* Whoever follows the run asks whether it or its arms are running: the database itself refuses a moment at which neither is. */
static void arms__are_running_before_the_loop_is_done(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(arena_printf(x->memory, "%s/agon.db", x->folder), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TRIGGER no_gap AFTER UPDATE ON progress WHEN NEW.state = 'done' AND NEW.run = (SELECT id FROM run WHERE name = 'gold')"
                                      " AND NOT EXISTS (SELECT 1 FROM progress p JOIN run r ON r.id = p.run WHERE r.name = 'gold.1.arms' AND p.state = 'running')"
                                      " BEGIN SELECT RAISE(ABORT, 'nothing is running'); END", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    json_t *summary = run_yaml(x, gold_run, NULL), *status = NULL;
    assert_ok(x->ctx, store_status(x->store, "gold", &status));
    assert_string_equal(field_text(status, "state"), "done");
    assert_string_equal(field_text(json_object_get(status, "arms"), "state"), "done");
    json_decref(status);
    json_decref(summary);
    stand_free(x);
}

/* Queries and answers that an arm learnt from, as the verifier was asked about them. */
static json_t *learnt(stand *x, const char *arm) {
    return rows_of(x, arena_printf(x->memory, "SELECT json_extract(input, '$.query.text') AS query, json_extract(input, '$.response') AS response FROM step_item"
                                              " WHERE path = 'iteration/1/arm/%s/labels' ORDER BY item", arm));
}

static size_t n_with(const json_t *rows, const char *query, const char *response) {
    const json_t *row;
    size_t i, n = 0;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        n += (!query || strcmp(field_text(row, "query"), query) == 0) && (!response || strcmp(field_text(row, "response"), response) == 0);
    return n;
}

static void arms__examples__are_what_they_are_called(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = run_yaml(x, gold_run, NULL), *row;
    json_t *own = learnt(x, "loop"), *shuffled = learnt(x, "shuffled"), *random = learnt(x, "random_labels"), *real = learnt(x, "real_only");
    size_t i, moved = 0;
    assert_true(json_array_size(own) > 8);
    assert_int_equal(json_array_size(shuffled), json_array_size(own));
    json_array_foreach(own, i, row) { /* the same queries and the same answers, otherwise put together */
        const char *query = field_text(row, "query"), *response = field_text(row, "response");
        assert_int_equal(n_with(shuffled, query, NULL), n_with(own, query, NULL));
        assert_int_equal(n_with(shuffled, NULL, response), n_with(own, NULL, response));
        moved += n_with(shuffled, query, response) == 0;
    }
    assert_true(2 * moved > i); /* answers can be alike: sums of two digits */
    assert_true(json_array_size(random) > 0);
    json_array_foreach(random, i, row) { /* the base's first answers, none twice, verdicts apart */
        assert_true(count(x, arena_printf(x->memory, "SELECT count(*) FROM text t JOIN text q ON q.id = t.parent WHERE t.kind = 'response' AND q.body = (SELECT"
                                                     " json_extract(input, '$.query.text') FROM step_item WHERE path = 'iteration/1/arm/random_labels/labels' AND item = '%05zu') AND t.body ="
                                                     " (SELECT json_extract(input, '$.response') FROM step_item WHERE path = 'iteration/1/arm/random_labels/labels' AND item = '%05zu')", i, i)) > 0);
        assert_int_equal(n_with(random, field_text(row, "query"), field_text(row, "response")), 1);
    }
    json_array_foreach(real, i, row)
        assert_true(n_with(own, field_text(row, "query"), field_text(row, "response")) == 1);
    assert_int_equal(count(x, "SELECT count(*) FROM step_item i WHERE i.path = 'iteration/1/arm/real_only/labels' AND NOT EXISTS (SELECT 1 FROM text t WHERE"
                              " t.kind = 'demonstration' AND t.body = json_extract(i.input, '$.response'))"), 0);
    json_decref(own);
    json_decref(shuffled);
    json_decref(random);
    json_decref(real);
    json_decref(summary);
    stand_free(x);
}

/* Two promotions: an arm has two trainings, one after the other; what it draws at random is older than the first. */
static void arms__more_iterations__go_the_way_of_the_version(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = run_yaml(x, word_run(x, 1, "", ", arms: true"), NULL);
    assert_string_equal(field_text(json_object_get(summary, "version"), "status"), "promoted");
    const int64_t tokens = field_int(arm_of(json_object_get(summary, "arms"), "loop"), "loss_tokens");
    json_decref(summary);
    summary = run_yaml(x, word_run(x, 2, "", ", arms: true"), NULL); /* a finished run is given more: arms of its own */
    const json_t *rows = json_object_get(summary, "arms");
    assert_int_equal(count(x, "SELECT count(*) FROM run WHERE name IN ('own.1.arms', 'own.2.arms')"), 2);
    assert_string_equal(field_text(json_object_get(summary, "version"), "status"), "rejected"); /* nothing is left to gain: the first stays */
    assert_int_equal(field_int(arm_of(rows, "loop"), "loss_tokens"), tokens);
    assert_int_equal(count(x, "SELECT count(*) FROM step WHERE kind = 'train' AND path LIKE 'iteration/1/arm/%' AND run = (SELECT id FROM run WHERE name = 'own.2.arms')"), 3);
    assert_int_equal(count(x, "SELECT count(*) FROM step WHERE path LIKE 'iteration/2/arm/%/train'"), 0);
    assert_int_equal(count(x, "SELECT count(DISTINCT path) FROM step_item WHERE path LIKE 'iteration/2/arm/%/tasks'"), 3);
    json_decref(summary);
    /* Which version each was compared with, and what it gained on that one: for the second not the gain on the base, which is large. */
    json_t *status = NULL;
    assert_ok(x->ctx, store_status(x->store, "own", &status));
    const json_t *versions = json_object_get(status, "versions"), *first = json_array_get(versions, 1), *second = json_array_get(versions, 2);
    assert_int_equal(json_array_size(versions), 3);
    assert_true(json_is_null(json_object_get(json_array_get(versions, 0), "gate")));
    assert_string_equal(field_text(json_object_get(first, "gate"), "incumbent"), field_text(json_array_get(versions, 0), "id"));
    assert_string_equal(field_text(json_object_get(second, "gate"), "incumbent"), field_text(first, "id"));
    const json_t *g1 = json_object_get(json_object_get(second, "gate"), "G1");
    assert_int_equal(field_int(g1, "attempt"), 2);
    assert_true(field_real(json_object_get(g1, "table"), "before") > 0.5 && field_real(json_object_get(second, "held_out"), "before") < 0.5);
    assert_int_equal(count(x, "SELECT count(*) FROM event WHERE iteration = 2 AND message LIKE 'rejected: no gain shown %; the version before it %\\%: %0.0 points' ESCAPE '\\'"), 1);
    assert_int_equal(count(x, "SELECT count(*) FROM event WHERE iteration = 1 AND message LIKE '%version before it%'"), 0);
    json_decref(status);
    stand_free(x);
}

/* Queries that most answers satisfy, cut off or not; nothing real to learn from. */
static const char *easy_run(stand *x) {
    const char *path = arena_printf(x->memory, "%s/own.jsonl", x->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 20; i++)
        fprintf(f, "{\"query\": \"Which word is number %d?\", \"verifier\": \"no_commas\"}\n", 7 * i + 3);
    assert_int_equal(fclose(f), 0);
    return arena_printf(x->memory, "name: own\nseed: 3\ntasks: {file: %s}\nlearner: {samples: 2, max_tokens: 8}\ncritic: {examples: 0}\n"
                                   "refine: {queries: 0, learnability: 0}\nhuman: {labels: 0, audits: 0, demonstrations: 0}\n"
                                   "build: {documents: 0, real_share: 0}\ntrain: {rank: 2, epochs: 1, batch: 4}\n"
                                   "evaluate: {general: 2, documents: 2, gsm8k: 0, arms: true}\ngate: {monitor_prompts: 2}\n", path);
}

/* Answers that reached max_tokens are trained on as such, and nothing else is. */
static void loop__answers_cut_off__are_learnt_without_an_end(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = run_yaml(x, easy_run(x), NULL);
    const char *of_cut = "EXISTS (SELECT 1 FROM example_text l JOIN text t ON t.id = l.text WHERE l.example = e.id AND t.meta ->> 'finish' = 'length')";
    const int64_t n = count(x, "SELECT count(*) FROM example WHERE fields ->> 'finish' = 'length'");
    assert_true(n > 0 && n <= count(x, "SELECT count(*) FROM example"));
    assert_int_equal(count(x, arena_printf(x->memory, "SELECT count(*) FROM example e WHERE %s", of_cut)), n);
    assert_int_equal(count(x, arena_printf(x->memory, "SELECT count(*) FROM example e WHERE fields ->> 'finish' = 'length' AND %s", of_cut)), n);
    json_decref(summary);
    stand_free(x);
}

static void arms__pool_too_small__says_so(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    said s = {"it is no control at equal tokens", 0}, empty = {"left out, there is nothing of that kind", 0};
    char *yaml = strdup(gold_run), *at = strstr(yaml, "queries: 24, waves: 2");
    memcpy(at, "queries: 01, waves: 1", 21);
    json_t *summary = run_yaml(x, yaml, &s);
    const json_t *random = arm_of(json_object_get(summary, "arms"), "random_labels");
    assert_int_equal(s.n, 1);
    assert_int_equal(field_int(random, "tokens_wanted"), field_int(arm_of(json_object_get(summary, "arms"), "loop"), "loss_tokens"));
    assert_true(field_int(random, "loss_tokens") < field_int(random, "tokens_wanted"));
    assert_null(json_object_get(arm_of(json_object_get(summary, "arms"), "real_only"), "tokens_wanted"));
    json_decref(summary);
    free(yaml);
    stand_free(x);
    /* Nothing real: an arm of it cannot be. */
    x = stand_new(NULL);
    summary = run_yaml(x, easy_run(x), &empty);
    assert_int_equal(empty.n, 1);
    assert_int_equal(json_array_size(json_object_get(summary, "arms")), 3);
    json_decref(summary);
    stand_free(x);
}

static void arms__of_pairs__are_turned_round(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *yaml = arena_printf(x->memory, "%s", gold_run), *train = "train: {rank: 2";
    const char *at = strstr(yaml, train);
    yaml = arena_printf(x->memory, "%.*strain: {objective: dpo, rank: 2%s", (int)(at - yaml), yaml, at + strlen(train));
    json_t *summary = run_yaml(x, yaml, NULL);
    const json_t *rows = json_object_get(summary, "arms"), *random = arm_of(rows, "random_labels");
    assert_int_equal(json_array_size(rows), 3);
    assert_int_equal(field_int(random, "examples"), field_int(json_array_get(rows, 0), "examples"));
    assert_true(field_real(random, "labels_right") < 0.9 && field_real(random, "labels_right") > 0.1);
    assert_string_equal(field_text(json_array_get(rows, 2), "arm"), "real_only");
    json_decref(summary);
    stand_free(x);
}

/* Runs begun when arms meant nothing to the loop pinned the key: they go on, with arms or without. */
static void arms__a_run_that_pinned_them__goes_on(void **state) {
    (void)state;
    stand *x = stand_new(NULL), *y = stand_new(NULL);
    json_t *summary = run_yaml(x, gold_run, NULL), *rows = rows_of(x, "SELECT config AS config_json FROM run WHERE name = 'gold'");
    json_t *pinned = json_object_get(json_array_get(rows, 0), "config"), *evaluate = json_object_get(pinned, "evaluate");
    run *older = NULL;
    assert_null(json_object_get(evaluate, "arms"));
    json_object_set_new(evaluate, "arms", json_true());
    const run_options o = {.name = "gold", .seed = 3, .config = pinned};
    run_end(y->run);
    assert_ok(y->ctx, run_begin(y->ctx, y->store, &o, &older));
    run_end(older);
    y->run = NULL;
    json_decref(summary);
    summary = run_yaml(y, arena_printf(y->memory, "%.*s}\n", (int)(strstr(gold_run, ", arms") - gold_run), gold_run), NULL);
    assert_null(json_object_get(summary, "arms"));
    json_decref(summary);
    summary = run_yaml(y, gold_run, NULL);
    assert_int_equal(json_array_size(json_object_get(summary, "arms")), 4);
    json_decref(summary);
    json_decref(rows);
    stand_free(x);
    stand_free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arms__random_labels__teach_nothing),
        cmocka_unit_test(arms__asked_for_later__are_the_same_and_change_nothing),
        cmocka_unit_test(arms__main_run__has_the_same_bits),
        cmocka_unit_test(arms__are_running_before_the_loop_is_done),
        cmocka_unit_test(arms__examples__are_what_they_are_called),
        cmocka_unit_test(loop__answers_cut_off__are_learnt_without_an_end),
        cmocka_unit_test(arms__more_iterations__go_the_way_of_the_version),
        cmocka_unit_test(arms__pool_too_small__says_so),
        cmocka_unit_test(arms__of_pairs__are_turned_round),
        cmocka_unit_test(arms__a_run_that_pinned_them__goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

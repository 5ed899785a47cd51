/* Kills the whole loop (a random two-layer model, a handful of queries) with SIGKILL at many places and at random moments, runs the same
 * command again, and compares with an uninterrupted run: the same version, the same chains, a journal that verifies. Both recipes, the arms
 * of both, and a trained attacker. Then executes the recorded work again. */
#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include "role/attacker_adapter.h"
#include "tiny_model.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char loop_yaml[] =
    "name: crash\nseed: 3\niterations: 2\ntasks:\n  cells: [arithmetic/one_digit_sum, writing/lower_case]\n"
    "attacker: {queries: 6, waves: 2, variations: 2}\nlearner: {samples: 2, max_tokens: 6}\n"
    "critic: {examples: 8, epochs: 1}\nrefine: {queries: 3, samples: 1, learnability: 2}\n"
    "human: {labels: 20, audits: 2, demonstrations: 4}\nbuild: {documents: 1}\n"
    "train: {rank: 2, epochs: 2, batch: 2, checkpoint_every: 1}\n"
    "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\ngate: {monitor_prompts: 4}\n";

/* The same and its control arms. */
static const char arms_yaml[] =
    "name: crash\nseed: 3\niterations: 2\ntasks:\n  cells: [arithmetic/one_digit_sum, writing/lower_case]\n"
    "attacker: {queries: 6, waves: 2, variations: 2}\nlearner: {samples: 2, max_tokens: 6}\n"
    "critic: {examples: 8, epochs: 1}\nrefine: {queries: 3, samples: 1, learnability: 2}\n"
    "human: {labels: 20, audits: 2, demonstrations: 4}\nbuild: {documents: 1}\n"
    "train: {rank: 2, epochs: 2, batch: 2, checkpoint_every: 1}\n"
    "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0, arms: true}\ngate: {monitor_prompts: 4}\n";

/* A loop whose queries are reworded by the trained attacker in the folder %s. */
static const char attacker_yaml[] =
    "name: attacked\nseed: 3\niterations: 2\ntasks:\n  cells: [arithmetic/one_digit_sum, writing/lower_case]\n"
    "attacker: {queries: 6, waves: 2, variations: 4, adapter: %s}\nlearner: {samples: 1, max_tokens: 6}\n"
    "critic: {examples: 0}\nhuman: {labels: 20, audits: 0, demonstrations: 4}\nbuild: {documents: 1}\n"
    "train: {rank: 2, epochs: 1, batch: 2, checkpoint_every: 1}\n"
    "evaluate: {tasks: 6, general: 0, documents: 0, gsm8k: 0}\ngate: {monitor_prompts: 0}\n";

static const char sealed_yaml[] =
    "name: sealed\nrecipe: sealed\noracle: sealed\nseed: 3\ntasks:\n  cells: [arithmetic, writing]\n"
    "attacker: {queries: 8}\nlearner: {samples: 2, max_tokens: 6}\n"
    "critic: {epochs: 1, alpha: 0.9, delta: 0.5, least_calibration: 1}\n"
    "human: {labels: 60, audits: 0, calibration: 24, demonstrations: 6, gate_items: 8}\n"
    "build: {documents: 1}\n"
    "train: {rank: 2, epochs: 1, batch: 4, checkpoint_every: 2}\n"
    "evaluate: {tasks: 16, general: 2, documents: 2, gsm8k: 0}\n";

typedef struct bomb {
    long left; /* progress calls until the process dies; 0: never */
    long seen;
} bomb;

static void tick(void *arg, const recipe_progress *progress) {
    (void)progress;
    bomb *b = arg;
    b->seen++;
    if (b->left && b->seen == b->left)
        raise(SIGKILL);
}

static run_config *read_config(agon_ctx *ctx, const char *yaml) {
    run_config *config = NULL;
    char path[600];
    assert_ok(ctx, run_file_parse(ctx, "test.yaml", yaml, strlen(yaml), &config));
    snprintf(path, sizeof path, "%s/tests/golden/tiny-text.gguf", getenv("AGON_SOURCE"));
    config->model = strdup(path);
    return config;
}

typedef struct ending {
    char version[80], head[300]; /* of every run in the workspace */
    int64_t n_examples;
} ending;

/* Runs to the end in this process. */
static void run_here(agon_ctx *ctx, const char *folder, const char *yaml, bomb *b, ending *out) {
    run_config *config = read_config(ctx, yaml);
    store *s = NULL;
    json_t *summary = NULL, *rows = NULL;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, config, tick, b, &summary));
    const char *version = json_string_value(json_object_get(json_object_get(summary, "version"), "id"));
    snprintf(out->version, sizeof out->version, "%s", version ? version : "");
    assert_ok(ctx, store_query_json(s, "SELECT group_concat(hash) AS hash FROM (SELECT hash FROM step s WHERE seq = (SELECT max(seq) FROM"
                                         " step WHERE run = s.run) ORDER BY run)", NULL, &rows));
    snprintf(out->head, sizeof out->head, "%s",
             json_string_value(json_object_get(json_array_get(rows, 0), "hash")));
    assert_int_equal(json_array_size(json_object_get(summary, "arms")), config->evaluate.arms && strcmp(config->recipe, "loop") == 0 ? 4 : 0);
    assert_ok(ctx, store_query_int(s, "SELECT count(*) FROM example", NULL, &out->n_examples));
    json_decref(rows);
    json_decref(summary);
    run_config_free(config);
    store_close(s);
}

/* Runs in a child that dies at its k-th progress call, or after `nanoseconds`. Returns whether it was killed. */
static bool run_child(const char *folder, const char *yaml, long k, long nanoseconds) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        agon_ctx *ctx = test_ctx(1, NULL);
        bomb b = {k, 0};
        ending end;
        run_here(ctx, folder, yaml, &b, &end);
        _exit(0);
    }
    if (nanoseconds) {
        const struct timespec wait = {0, nanoseconds};
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

static char *new_folder(void) {
    /* Memory where there is some: hundreds of fsyncs on a busy disk take minutes, and SIGKILL spares the page cache either way. */
    char *folder = strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/agon-crash-XXXXXX" : "/tmp/agon-crash-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void remove_folder(char *folder) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    free(folder);
}

static void check_books(agon_ctx *ctx, const char *folder) {
    store *s = NULL;
    journal_report report;
    int64_t violations = -1;
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    assert_string_equal(report.problem, "");
    assert_ok(ctx, store_descent_violations(s, &violations));
    assert_int_equal(violations, 0);
    store_close(s);
}

/* A copy of a workspace; NULL: an empty folder. */
static char *copy_of(const char *workspace) {
    char command[600], *folder = new_folder();
    snprintf(command, sizeof command, "cp -r '%s/.' '%s'", workspace ? workspace : "", folder);
    if (workspace)
        assert_int_equal(system(command), 0);
    return folder;
}

/* What is killed begins on copies of `before`; NULL: from nothing. */
static void survives(const char *before, const char *yaml, long every, int n_random) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = copy_of(before);
    bomb none = {0, 0};
    ending whole, end;
    int n_killed = 0;
    run_here(ctx, folder, yaml, &none, &whole);
    assert_true(whole.n_examples > 0);
    check_books(ctx, folder);
    remove_folder(folder);
    for (long k = 1; k <= none.seen; k += every) {
        bomb again = {0, 0};
        folder = copy_of(before);
        n_killed += run_child(folder, yaml, k, 0);
        run_child(folder, yaml, k / 2 + 1, 0); /* and once more during the recovery */
        run_here(ctx, folder, yaml, &again, &end);
        assert_string_equal(end.version, whole.version);
        assert_string_equal(end.head, whole.head);
        check_books(ctx, folder);
        remove_folder(folder);
    }
    assert_true(n_killed > 0);
    srand(5);
    for (int i = 0; i < n_random; i++) {
        bomb again = {0, 0};
        folder = copy_of(before);
        for (int k = 0; k < 3; k++)
            run_child(folder, yaml, 0, 5000000 + rand() % 200000000);
        run_here(ctx, folder, yaml, &again, &end);
        assert_string_equal(end.version, whole.version);
        assert_string_equal(end.head, whole.head);
        check_books(ctx, folder);
        remove_folder(folder);
    }
    agon_ctx_free(ctx);
}

static void loop__killed_anywhere__ends_the_same(void **state) {
    (void)state;
    survives(NULL, loop_yaml, 17, 6);
}

static void attacker__killed_anywhere__ends_the_same(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const attacker_kinds all = attacker_all_kinds();
    char path[2048], id[HASH_HEX_SIZE], yaml[sizeof attacker_yaml + 64], *folder = new_folder();
    model *m = NULL;
    hash256 h;
    assert_ok(ctx, model_open(ctx, golden_path(path, "tiny-text.gguf"), COMPUTE_F32, &m));
    assert_ok(ctx, model_id(ctx, m, &h));
    hash_hex(&h, id);
    adapter *a = tiny_adapter(ctx, m, 2, 9);
    assert_ok(ctx, attacker_export(ctx, a, id, "tiny", &all, folder));
    snprintf(yaml, sizeof yaml, attacker_yaml, folder);
    survives(NULL, yaml, 17, 4);
    adapter_free(a);
    model_free(m);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

/* On a loop that is done: its own chain stays, the arms' is that of an undisturbed run. */
static void arms__killed_anywhere__end_the_same(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = new_folder();
    bomb none = {0, 0};
    ending end;
    run_here(ctx, folder, loop_yaml, &none, &end);
    survives(folder, arms_yaml, 17, 3);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

static void sealed__killed_anywhere__ends_the_same(void **state) {
    (void)state;
    survives(NULL, sealed_yaml, 17, 3);
}

static void loop__executed_again__gives_the_same(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = new_folder();
    bomb none = {0, 0};
    ending end;
    store *s = NULL;
    json_t *report = NULL;
    run_here(ctx, folder, loop_yaml, &none, &end);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, recipe_reexecute(ctx, s, NULL, 40, 1, &report));
    assert_true(json_integer_value(json_object_get(report, "executed")) >= 30);
    assert_int_equal(json_integer_value(json_object_get(report, "executed")),
                     json_integer_value(json_object_get(report, "equal")));
    json_decref(report);
    store_close(s);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

static void sealed__unsealed__tells_the_truth_and_hides_it_before(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = new_folder();
    bomb none = {0, 0};
    ending end;
    store *s = NULL;
    json_t *report = NULL;
    int64_t n = -1;
    run_here(ctx, folder, sealed_yaml, &none, &end);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, store_query_int(s, "SELECT count(*) FROM verification", NULL, &n));
    assert_int_equal(n, 0); /* no verifier's answer outside the ledger */
    assert_ok(ctx, store_query_int(s, "SELECT count(*) FROM label WHERE source = 'verifier'", NULL, &n));
    assert_int_equal(n, 0);
    assert_ok(ctx, store_query_int(s, "SELECT count(*) FROM step_item WHERE result LIKE '%evidence%'", NULL, &n));
    assert_int_equal(n, 0);
    assert_ok(ctx, recipe_unseal(ctx, s, NULL, &report));
    const json_t *gate = json_array_get(json_object_get(report, "gates"), 0);
    assert_non_null(gate);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(gate, "truth"), "n")), 16);
    assert_int_equal(json_array_size(json_object_get(report, "arms")) + json_array_size(json_object_get(report, "arms_left_out")), 4);
    assert_true(json_array_size(json_object_get(report, "label_noise")) > 0);
    assert_int_equal(json_is_object(json_object_get(report, "recovered")), json_array_size(json_object_get(report, "arms")) == 4);
    assert_null(json_object_get(report, "pgr"));
    json_decref(report);
    store_close(s);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

/* Two sealed runs in one workspace have the base in common, and with it everything the unsealing looks for. */
static void sealed__two_runs__are_unsealed_apart(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = new_folder(), other[sizeof sealed_yaml + 16];
    bomb none = {0, 0};
    ending end;
    store *s = NULL;
    snprintf(other, sizeof other, "name: again%s", strchr(sealed_yaml, '\n'));
    run_here(ctx, folder, sealed_yaml, &none, &end);
    run_here(ctx, folder, other, &none, &end);
    check_books(ctx, folder);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    static const char *const names[] = {"again", "sealed"};
    for (int k = 0; k < 2; k++) {
        json_t *report = NULL;
        assert_ok(ctx, recipe_unseal(ctx, s, names[k], &report));
        const json_t *gate = json_array_get(json_object_get(report, "gates"), 0);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(gate, "truth"), "n")), 16);
        assert_int_equal(json_array_size(json_object_get(report, "arms")) + json_array_size(json_object_get(report, "arms_left_out")), 4);
        json_decref(report);
    }
    store_close(s);
    check_books(ctx, folder);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__killed_anywhere__ends_the_same),
        cmocka_unit_test(attacker__killed_anywhere__ends_the_same),
        cmocka_unit_test(arms__killed_anywhere__end_the_same),
        cmocka_unit_test(sealed__killed_anywhere__ends_the_same),
        cmocka_unit_test(loop__executed_again__gives_the_same),
        cmocka_unit_test(sealed__two_runs__are_unsealed_apart),
        cmocka_unit_test(sealed__unsealed__tells_the_truth_and_hides_it_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The durable step: what is recorded is not run again, a crash anywhere changes nothing, damage is found. */
#include "test.h"
#include "step/step.h"
#include "base/ctx.h"
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static void remove_folder(const char *folder) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fail_msg("could not remove %s", folder);
}

static void fresh_folder(char *folder, size_t size, const char *name) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, size, "%s/agon-test-%s-%d", tmp ? tmp : "/tmp", name, (int)getpid());
    remove_folder(folder);
}

enum { N_ITEMS = 7, GROUP = 3 };

typedef struct killer {
    int left; /* points to pass before the process ends; < 0: never */
} killer;

static void count_point(void *arg, const char *point) {
    killer *k = arg;
    (void)point;
    if (k->left >= 0 && k->left-- == 0)
        _exit(99);
}

/* A small recipe: a batch, a step with a checkpoint, a step with records. Every run must take the same path. */
static agon_status recipe(agon_ctx *ctx, const char *folder, killer *k, char head[HASH_HEX_SIZE]) {
    store *s = NULL;
    run *r = NULL;
    agon_status status = store_open(ctx, folder, STORE_RUN, &s);
    json_t *config = json_pack("{s:i}", "n", N_ITEMS);
    run_options o = {.name = "test", .seed = 5, .config = config, .hook = count_point, .hook_arg = k};
    if (!status)
        status = run_begin(ctx, s, &o, &r);
    step_item items[N_ITEMS];
    char names[N_ITEMS][16];
    for (int i = 0; i < N_ITEMS; i++) {
        snprintf(names[i], sizeof names[i], "item%d", i);
        items[i] = (step_item){names[i], config};
    }
    step_batch *b = NULL;
    step_key key = {.path = "work/batch", .reproducible = true};
    if (!status)
        status = step_batch_begin(r, &key, items, N_ITEMS, &b);
    for (int i = 0; !status && i < N_ITEMS; i++) {
        if (step_batch_result(b, (size_t)i))
            continue;
        json_t *result = json_pack("{s:I}", "seed", (json_int_t)(step_batch_seed(b, (size_t)i) >> 1));
        status = store_settle(s, run_id(r), "tokens", i + 1);
        if (!status)
            status = step_batch_record(b, (size_t)i, result);
        json_decref(result);
        if (!status && i % GROUP == GROUP - 1)
            status = step_batch_flush(b);
    }
    if (!status)
        status = step_batch_end(b);
    step_batch_free(b);
    step_key single = {.path = "work/train"};
    bool done = false;
    json_t *result = NULL;
    if (!status)
        status = step_begin(r, &single, config, &done, &result);
    if (!status && !done) {
        uint64_t n = 0;
        void *data = NULL;
        size_t size = 0;
        status = step_checkpoint_get(r, &single, &n, &data, &size);
        if (!status && n < 1)
            status = step_checkpoint_put(r, &single, 1, "half", 4);
        if (!status)
            status = step_checkpoint_put(r, &single, 2, "more", 4);
        free(data);
        text_record text = {.run = run_id(r), .kind = "query", .body = "What is 1 + 1?", .slot = "a"};
        store_id id;
        if (!status)
            status = store_add_text(s, &text, &id);
        json_t *made = json_pack("{s:s}", "id", id.text);
        if (!status)
            status = step_commit(r, made);
        json_decref(made);
    }
    json_decref(result);
    hash256 h = r ? run_head(r) : hash_text("");
    hash_hex(&h, head);
    if (!status)
        status = run_finish(r, "done", NULL);
    run_end(r);
    store_close(s);
    json_decref(config);
    return status;
}

static void step__recorded_work_is_not_run_again(void **state) {
    (void)state;
    char folder[200], one[HASH_HEX_SIZE], two[HASH_HEX_SIZE];
    agon_ctx *ctx = test_ctx(1, NULL);
    killer never = {-1};
    fresh_folder(folder, sizeof folder, "again");
    assert_ok(ctx, recipe(ctx, folder, &never, one));
    assert_ok(ctx, recipe(ctx, folder, &never, two));
    assert_string_equal(one, two);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

/* The process ends at its k-th journal point, for every k; run again, the chain is the uninterrupted one. */
static void step__a_crash_anywhere_leaves_the_same_chain(void **state) {
    (void)state;
    char folder[200], want[HASH_HEX_SIZE], got[HASH_HEX_SIZE];
    agon_ctx *ctx = test_ctx(1, NULL);
    killer never = {-1};
    fresh_folder(folder, sizeof folder, "whole");
    assert_ok(ctx, recipe(ctx, folder, &never, want));
    remove_folder(folder);
    int crashed = 1, k = 0;
    for (; crashed; k++) {
        fresh_folder(folder, sizeof folder, "crash");
        pid_t child = fork();
        if (child == 0) {
            killer at = {k};
            agon_ctx *own = test_ctx(1, NULL);
            _exit(recipe(own, folder, &at, got) == AGON_OK ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 0));
        crashed = WEXITSTATUS(status) == 99;
        assert_ok(ctx, recipe(ctx, folder, &never, got));
        assert_string_equal(got, want);
        store *s;
        journal_report report;
        assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
        assert_ok(ctx, journal_verify(ctx, s, &report));
        if (!report.ok)
            fail_msg("after a crash at point %d: %s", k, report.problem);
        store_close(s);
        remove_folder(folder);
    }
    assert_true(k > 12);
    agon_ctx_free(ctx);
}

static void step__one_changed_byte_is_found(void **state) {
    (void)state;
    static const char *const damage[] = {
        "DROP TRIGGER step_item_no_update; UPDATE step_item SET result = '{\"seed\":1}' WHERE position = 2",
        "DROP TRIGGER step_no_update; UPDATE step SET result = '{}' WHERE path = 'work/train'",
        "DROP TRIGGER text_no_update; UPDATE text SET body = 'What is 1 + 2?'",
        "UPDATE counter SET value = value + 1",
        "DROP TRIGGER step_no_delete; DELETE FROM step WHERE seq = 0",
    };
    char folder[200], path[300], head[HASH_HEX_SIZE];
    agon_ctx *ctx = test_ctx(1, NULL);
    killer never = {-1};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        fresh_folder(folder, sizeof folder, "damage");
        assert_ok(ctx, recipe(ctx, folder, &never, head));
        snprintf(path, sizeof path, "%s/agon.db", folder);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, damage[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        store *s;
        journal_report report;
        assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
        assert_ok(ctx, journal_verify(ctx, s, &report));
        if (report.ok)
            fail_msg("damage %zu was not found", i);
        store_close(s);
        remove_folder(folder);
    }
    agon_ctx_free(ctx);
}

static void step__another_input_is_refused(void **state) {
    (void)state;
    char folder[200];
    agon_ctx *ctx = test_ctx(1, NULL);
    fresh_folder(folder, sizeof folder, "input");
    for (int i = 0; i < 2; i++) {
        store *s;
        run *r;
        json_t *config = json_object(), *input = json_pack("[i]", i), *result = NULL;
        bool done;
        run_options o = {.name = "a", .config = config};
        step_key key = {.path = "p"};
        assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
        assert_ok(ctx, run_begin(ctx, s, &o, &r));
        agon_status status = step_begin(r, &key, input, &done, &result);
        if (i == 0) {
            assert_ok(ctx, status);
            assert_ok(ctx, step_commit(r, input));
        } else {
            assert_int_equal(status, AGON_EMISMATCH);
            assert_non_null(strstr(agon_error(ctx), "step p"));
        }
        json_decref(config);
        json_decref(input);
        run_end(r);
        store_close(s);
    }
    remove_folder(folder);
    agon_ctx_free(ctx);
}

static void step__a_second_runner_is_refused(void **state) {
    (void)state;
    char folder[200];
    agon_ctx *ctx = test_ctx(1, NULL);
    store *one, *two;
    fresh_folder(folder, sizeof folder, "second");
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &one));
    assert_int_equal(store_open(ctx, folder, STORE_RUN, &two), AGON_EBUSY);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &two));
    store_close(two);
    store_close(one);
    remove_folder(folder);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__recorded_work_is_not_run_again),
        cmocka_unit_test(step__a_crash_anywhere_leaves_the_same_chain),
        cmocka_unit_test(step__one_changed_byte_is_found),
        cmocka_unit_test(step__another_input_is_refused),
        cmocka_unit_test(step__a_second_runner_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

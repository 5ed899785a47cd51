/* The durable step: replay, mismatches, order, batches, checkpoints, the chain, verify. */
#include "vectors.h"
#include "workspace.h"
#include "base/random.h"
#include "step/step_internal.h"
#include <sqlite3.h>
#include <time.h>

typedef struct fixture {
    agon_ctx *ctx;
    char *folder;
    store *s;
    run *r;
} fixture;

static run *open_run(fixture *f, uint64_t seed) {
    json_t *config = json_pack("{si}", "n", 3);
    run_options options = {.name = "main", .seed = seed, .config = config};
    run *r = NULL;
    assert_ok(f->ctx, run_begin(f->ctx, f->s, &options, &r));
    json_decref(config);
    return r;
}

static fixture open_fixture(void) {
    fixture f = {.ctx = test_ctx(1, NULL), .folder = workspace_new()};
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_RUN, &f.s));
    f.r = open_run(&f, 7);
    return f;
}

static void reopen(fixture *f) {
    run_end(f->r);
    store_close(f->s);
    assert_ok(f->ctx, store_open(f->ctx, f->folder, STORE_RUN, &f->s));
    f->r = open_run(f, 7);
}

static void close_fixture(fixture *f) {
    run_end(f->r);
    store_close(f->s);
    workspace_remove(f->folder);
    agon_ctx_free(f->ctx);
}

/* One step whose result is {"v": value}; returns whether it ran. */
static bool do_step(fixture *f, const char *path, int input, int value) {
    step_key key = {.path = path};
    json_t *in = json_integer(input), *result = NULL;
    bool done = false;
    assert_ok(f->ctx, step_begin(f->r, &key, in, &done, &result));
    if (!done) {
        result = json_pack("{si}", "v", value);
        assert_ok(f->ctx, step_commit(f->r, result));
    }
    assert_int_equal(json_integer_value(json_object_get(result, "v")), value);
    json_decref(in);
    json_decref(result);
    return !done;
}

static void step__recorded_result_is_returned_and_nothing_runs(void **state) {
    (void)state;
    fixture f = open_fixture();
    assert_true(do_step(&f, "iteration/1/a", 1, 10));
    assert_false(do_step(&f, "iteration/1/a", 1, 10));
    hash256 head = run_head(f.r);
    reopen(&f);
    hash256 again = run_head(f.r);
    assert_memory_equal(&head, &again, sizeof head);
    assert_false(do_step(&f, "iteration/1/a", 1, 10));
    assert_true(do_step(&f, "iteration/1/b", 1, 20));
    close_fixture(&f);
}

static void step__changed_input_names_step_and_both_hashes(void **state) {
    (void)state;
    fixture f = open_fixture();
    do_step(&f, "iteration/1/a", 1, 10);
    reopen(&f);
    step_key key = {.path = "iteration/1/a"};
    json_t *in = json_integer(2), *result;
    bool done;
    assert_int_equal(step_begin(f.r, &key, in, &done, &result), AGON_EMISMATCH);
    json_decref(in);
    hash256 one = hash_text("1"), two = hash_text("2");
    char hex[HASH_HEX_SIZE];
    hash_hex(&one, hex);
    assert_non_null(strstr(agon_error(f.ctx), hex));
    hash_hex(&two, hex);
    assert_non_null(strstr(agon_error(f.ctx), hex));
    assert_non_null(strstr(agon_error(f.ctx), "iteration/1/a"));
    close_fixture(&f);
}

static void step__another_path_on_replay_is_refused(void **state) {
    (void)state;
    fixture f = open_fixture();
    do_step(&f, "iteration/1/a", 1, 10);
    do_step(&f, "iteration/1/b", 1, 20);
    reopen(&f);
    json_t *result;
    bool done;
    assert_int_equal(step_begin(f.r, &(step_key){.path = "iteration/1/b"}, json_true(), &done, &result),
                     AGON_EMISMATCH); /* other input, but also out of order */
    assert_int_equal(step_begin(f.r, &(step_key){.path = "iteration/1/new"}, NULL, &done, &result), AGON_EMISMATCH);
    assert_false(do_step(&f, "iteration/1/a", 1, 10));
    assert_int_equal(step_begin(f.r, &(step_key){.path = "iteration/1/new"}, NULL, &done, &result), AGON_EMISMATCH);
    assert_false(do_step(&f, "iteration/1/b", 1, 20));
    assert_true(do_step(&f, "iteration/1/new", 1, 30));
    close_fixture(&f);
}

static void step__aborted_step_leaves_nothing(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *result;
    bool done;
    int64_t n = -1;
    step_key key = {.path = "iteration/1/a"};
    assert_ok(f.ctx, step_begin(f.r, &key, NULL, &done, &result));
    text_record t = {.run = run_id(f.r), .kind = "query", .body = "2 + 2?"};
    assert_ok(f.ctx, store_add_text(f.s, &t, NULL));
    step_abort(f.r);
    assert_ok(f.ctx, store_query_int(f.s, "SELECT count(*) FROM text", NULL, &n));
    assert_int_equal(n, 0);
    assert_true(do_step(&f, "iteration/1/a", 1, 10));
    /* Records that belong to no step are a recipe's mistake. */
    assert_ok(f.ctx, store_add_text(f.s, &t, NULL));
    assert_int_equal(step_begin(f.r, &(step_key){.path = "b"}, NULL, &done, &result), AGON_EINVAL);
    close_fixture(&f);
}

static void step__seed_is_the_hash_of_its_key(void **state) {
    (void)state;
    fixture f = open_fixture();
    step_key key = {.path = "iteration/1/respond", .item = "3", .attempt = 2};
    hash256 h = hash_text("7|iteration/1/respond|3|2");
    uint64_t want = 0;
    for (int i = 0; i < 8; i++)
        want = want << 8 | h.bytes[i];
    assert_true(step_seed(f.r, &key) == want);
    close_fixture(&f);
}

static void run__other_configuration_or_seed_is_refused(void **state) {
    (void)state;
    fixture f = open_fixture();
    run *other = NULL;
    run_end(f.r);
    f.r = NULL;
    json_t *config = json_pack("{si}", "n", 4);
    run_options options = {.name = "main", .seed = 7, .config = config};
    assert_int_equal(run_begin(f.ctx, f.s, &options, &other), AGON_EMISMATCH);
    assert_non_null(strstr(agon_error(f.ctx), "'n'"));
    json_object_set_new(config, "n", json_integer(3));
    options.seed = 8;
    assert_int_equal(run_begin(f.ctx, f.s, &options, &other), AGON_EMISMATCH);
    assert_non_null(strstr(agon_error(f.ctx), "seed"));
    options.name = "control";
    assert_ok(f.ctx, run_begin(f.ctx, f.s, &options, &other));
    run_end(other);
    json_decref(config);
    close_fixture(&f);
}

static void batch__resumes_with_what_was_flushed(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *in = json_integer(1), *result = json_pack("{si}", "v", 1);
    step_item items[] = {{"a", in}, {"b", in}, {"c", in}};
    step_key key = {.path = "iteration/1/respond"};
    step_batch *b;
    assert_ok(f.ctx, step_batch_begin(f.r, &key, items, 3, &b));
    assert_ok(f.ctx, step_batch_record(b, 2, result));
    assert_ok(f.ctx, step_batch_flush(b));
    assert_ok(f.ctx, step_batch_record(b, 0, result));
    assert_int_equal(step_batch_record(b, 0, result), AGON_EINVAL);
    assert_int_equal(step_batch_end(b), AGON_EINVAL); /* b is missing */
    step_batch_free(b);
    reopen(&f);
    /* An item whose input changed is named. */
    json_t *changed = json_integer(2);
    step_item others[] = {{"a", in}, {"b", in}, {"c", changed}};
    assert_int_equal(step_batch_begin(f.r, &key, others, 3, &b), AGON_EMISMATCH);
    assert_non_null(strstr(agon_error(f.ctx), "item 'c'"));
    json_decref(changed);
    assert_ok(f.ctx, step_batch_begin(f.r, &key, items, 3, &b));
    assert_int_equal(step_batch_n_done(b), 1);
    assert_null(step_batch_result(b, 0));
    assert_int_equal(json_integer_value(json_object_get(step_batch_result(b, 2), "v")), 1);
    assert_ok(f.ctx, step_batch_record(b, 1, result));
    assert_ok(f.ctx, step_batch_record(b, 0, result));
    assert_ok(f.ctx, step_batch_end(b));
    step_batch_free(b);
    hash256 head = run_head(f.r);
    reopen(&f);
    assert_ok(f.ctx, step_batch_begin(f.r, &key, items, 3, &b));
    assert_int_equal(step_batch_n_done(b), 3);
    assert_ok(f.ctx, step_batch_end(b));
    step_batch_free(b);
    hash256 again = run_head(f.r);
    assert_memory_equal(&head, &again, sizeof head);
    json_decref(in);
    json_decref(result);
    close_fixture(&f);
}

static hash256 whole_recipe(size_t stride) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new();
    store *s;
    hash256 head;
    journal_report report;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, stride, NULL, NULL, &head));
    store_close(s);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    if (!report.ok)
        fail_msg("%s", report.problem);
    assert_int_equal(report.n_steps, 3);
    assert_int_equal(report.n_items, RECIPE_ITEMS);
    assert_int_equal(report.n_objects, 1);
    assert_int_equal(report.n_unreferenced_objects, 0);
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
    return head;
}

static void chain__order_of_completion_does_not_show(void **state) {
    (void)state;
    hash256 a = whole_recipe(1), b = whole_recipe(3), c = whole_recipe(5);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&a, &c, sizeof a);
}

static void merkle__root_is_rfc_6962s(void **state) {
    (void)state;
    /* Leaves "", 00, 10: node(node(l0, l1), l2). */
    hash256 l[3] = {merkle_leaf("", 0), merkle_leaf("\0", 1), merkle_leaf("\x10", 1)}, scratch[3];
    uint8_t bytes[65] = {1};
    memcpy(bytes + 1, &l[0], 32);
    memcpy(bytes + 33, &l[1], 32);
    hash256 left = hash_bytes(bytes, 65);
    memcpy(bytes + 1, &left, 32);
    memcpy(bytes + 33, &l[2], 32);
    hash256 want = hash_bytes(bytes, 65);
    memcpy(scratch, l, sizeof l);
    hash256 got = merkle_root(scratch, 3);
    assert_memory_equal(&got, &want, sizeof got);
    char hex[HASH_HEX_SIZE]; /* the published leaf hash of the empty entry */
    hash_hex(&l[0], hex);
    assert_string_equal(hex, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

static void check_journal_chain(const json_t *c, double tol) {
    char zeros[65], hex[HASH_HEX_SIZE];
    (void)tol;
    memset(zeros, '0', 64);
    zeros[64] = 0;
    json_t *record = json_pack("{ss ss si ss}", "prev", zeros, "kind", "label", "value", 1, "id", "L1");
    char *canonical = json_canonical(record);
    assert_string_equal(canonical, json_string_value(json_object_get(c, "canonical")));
    text_hash(canonical, hex);
    assert_string_equal(hex, json_string_value(json_object_get(c, "sha256")));
    free(canonical);
    json_decref(record);
}

/* SHA-256 of canonical JSON (sorted keys, no spaces) without the hash field. */
static void journal__record_hash_convention(void **state) {
    (void)state;
    vectors_each("journal_chain", check_journal_chain);
}

/* Runs SQL on the closed database, past all triggers. */
static void tamper(const char *folder, const char *drop, const char *sql) {
    char path[300];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/agon.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, drop, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static void verify_finds(const char *drop, const char *sql, const char *named) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new();
    store *s;
    hash256 head;
    journal_report report;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head));
    store_close(s);
    tamper(folder, drop, sql);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    assert_false(report.ok);
    if (!strstr(report.problem, named))
        fail_msg("%s: '%s' does not name '%s'", sql, report.problem, named);
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
}

static void verify__finds_one_changed_byte_wherever_it_is(void **state) {
    (void)state;
    verify_finds("DROP TRIGGER step_no_update", "UPDATE step SET result = replace(result, 'v', 'w') WHERE seq = 3",
                 "step 3 (iteration/1/train");
    verify_finds("DROP TRIGGER step_no_update", "UPDATE step SET input = '{\"n\":4}' WHERE seq = 1", "step 1");
    verify_finds("DROP TRIGGER step_no_update", "UPDATE step SET records = '[]' WHERE seq = 1", "step 1");
    verify_finds("DROP TRIGGER step_no_update", "UPDATE step SET attempt = 1 WHERE seq = 3", "step 3");
    verify_finds("DROP TRIGGER step_item_no_update",
                 "UPDATE step_item SET result = replace(result, 'a', 'b') WHERE position = 4", "item '4'");
    verify_finds("DROP TRIGGER step_item_no_delete", "DELETE FROM step_item WHERE position = 6", "6 items");
    verify_finds("DROP TRIGGER text_no_update", "UPDATE text SET body = body || '.' WHERE rowid = 2", "text");
    verify_finds("DROP TRIGGER example_label_no_delete", "DELETE FROM example_label", "its labels");
    verify_finds("DROP TRIGGER model_version_example_no_delete", "DELETE FROM model_version_example", "its examples");
    verify_finds("PRAGMA foreign_keys = OFF", "INSERT INTO gate_label SELECT 'g', id FROM label LIMIT 1", "gate g: its labels");
    verify_finds("DROP TRIGGER label_no_update", "UPDATE label SET confidence = 0.76 WHERE rowid = 1", "label");
    verify_finds("DROP TRIGGER model_version_no_update", "UPDATE model_version SET iteration = 2", "model_version");
    verify_finds("DROP TRIGGER version_status_no_delete", "DELETE FROM version_status", "version_status");
    verify_finds("DROP TRIGGER run_no_update", "UPDATE run SET seed = '18'", "seed");
    const char *nothing = "UPDATE counter SET value = value WHERE name = 'queries'";
    verify_finds("DROP TRIGGER step_no_update", nothing, "triggers");
    verify_finds("CREATE TRIGGER quiet BEFORE INSERT ON label BEGIN SELECT raise(IGNORE); END", nothing, "triggers");
    verify_finds("SELECT 1", "UPDATE counter SET value = value + 1 WHERE name = 'queries'", "counter queries");
    verify_finds("SELECT 1",
                 "INSERT INTO version_status SELECT 'ffffffffffffffffffffffffffffffff', run, 1, version, status,"
                 " reason, held_out, 0 FROM version_status",
                 "version_status");
}

/* Who knows how the journal hashes can make a record fit itself again, but not what stands before and behind it. */
static void hash_again(sqlite3 *db, int64_t seq) {
    sqlite3_stmt *q = NULL;
    char hex[HASH_HEX_SIZE], input[HASH_HEX_SIZE], sql[400];
    const char *all = "SELECT run, path, item, kind, shape, result_hash, records, prev, attempt, n_items, reproducible, input, input_hash FROM step WHERE seq = ?1";
    assert_int_equal(sqlite3_prepare_v2(db, all, -1, &q, NULL), SQLITE_OK);
    sqlite3_bind_int64(q, 1, seq);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const char *c[8];
    for (int i = 0; i < 8; i++)
        c[i] = (const char *)sqlite3_column_text(q, i);
    if (sqlite3_column_type(q, 11) == SQLITE_NULL)
        snprintf(input, sizeof input, "%s", (const char *)sqlite3_column_text(q, 12));
    else
        text_hash((const char *)sqlite3_column_text(q, 11), input);
    const journal_row row = {.run = c[0], .path = c[1], .item = c[2], .kind = c[3], .shape = c[4], .input_hash = input, .result_hash = c[5],
                             .records = c[6], .prev = c[7], .seq = seq, .attempt = sqlite3_column_int64(q, 8),
                             .n_items = sqlite3_column_int64(q, 9), .reproducible = sqlite3_column_int(q, 10)};
    assert_true(journal_row_hash(&row, hex));
    sqlite3_finalize(q);
    snprintf(sql, sizeof sql, "UPDATE step SET input_hash = '%s', hash = '%s' WHERE seq = %lld", input, hex, (long long)seq);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void hash_item_again(sqlite3 *db, int64_t position) {
    sqlite3_stmt *q = NULL;
    char hex[HASH_HEX_SIZE], result[HASH_HEX_SIZE], sql[400];
    hash256 leaf;
    const char *all = "SELECT path, item, kind, input_hash, result, records, attempt, reproducible FROM step_item WHERE position = ?1";
    assert_int_equal(sqlite3_prepare_v2(db, all, -1, &q, NULL), SQLITE_OK);
    sqlite3_bind_int64(q, 1, position);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const char *c[6];
    for (int i = 0; i < 6; i++)
        c[i] = (const char *)sqlite3_column_text(q, i);
    text_hash(c[4], result);
    const journal_item item = {.path = c[0], .item = c[1], .kind = c[2], .input_hash = c[3], .result_hash = result, .records = c[5],
                               .attempt = sqlite3_column_int64(q, 6), .position = position, .reproducible = sqlite3_column_int(q, 7)};
    assert_true(journal_item_hash(&item, &leaf));
    hash_hex(&leaf, hex);
    sqlite3_finalize(q);
    snprintf(sql, sizeof sql, "UPDATE step_item SET result_hash = '%s', hash = '%s' WHERE position = %lld", result, hex, (long long)position);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* sql past all triggers; then the row of step `seq` and the item at `position` are hashed again (0, -1: none). */
static void forgery_is_found(const char *sql, int64_t seq, int64_t position, const char *named) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new(), path[300];
    store *s;
    sqlite3 *db;
    hash256 head;
    journal_report report;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head));
    store_close(s);
    snprintf(path, sizeof path, "%s/agon.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TRIGGER step_no_update; DROP TRIGGER step_item_no_update; DROP TRIGGER step_no_delete;"
                                      "DROP TRIGGER run_no_update", NULL, NULL, NULL), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_true(sqlite3_changes(db) > 0);
    if (seq > 0)
        hash_again(db, seq);
    if (position >= 0)
        hash_item_again(db, position);
    sqlite3_close(db);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    if (report.ok || !strstr(report.problem, named))
        fail_msg("%s: '%s' does not name '%s'", sql, report.ok ? "nothing found" : report.problem, named);
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
}

#define COPY_ITEMS(path) \
    "INSERT INTO step_item SELECT run, '" path "', attempt, item, position, kind, reproducible, input, input_hash, result, result_hash, records," \
    " hash, created_ms FROM step_item WHERE path = 'iteration/1/respond' AND position = 0;"

static void verify__finds_forgeries_that_fit_themselves(void **state) {
    (void)state;
    forgery_is_found("UPDATE step SET input = '{\"n\":4}' WHERE seq = 1", 1, -1, "it does not follow the record before it");
    forgery_is_found("UPDATE step_item SET result = replace(result, 'a', 'b') WHERE position = 4", 0, 4, "Merkle root");
    forgery_is_found("UPDATE step SET n_items = 6 WHERE seq = 2", 2, -1, "7 items, but closed with 6");
    forgery_is_found("UPDATE step SET n_items = 8 WHERE seq = 2", 2, -1, "7 items, but closed with 8");
    forgery_is_found("DELETE FROM step WHERE seq = 2", 0, -1, "step 2 is missing before it");
    forgery_is_found("UPDATE run SET hash = replace(hash, 'a', 'b') || ''", 0, -1, "its name, seed or configuration was changed");
    forgery_is_found(COPY_ITEMS("p") COPY_ITEMS("q"), 0, -1, "2 batches were never closed");
    forgery_is_found("DELETE FROM counter WHERE name = 'queries'", 0, -1, "have no counter");
    forgery_is_found("INSERT INTO progress VALUES ('nobody', 'done', 1, 'x', NULL, 0)", 0, -1, "refers to a run that is not there");
}

static void flip_file(const char *folder, const char *relative, long offset) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, relative);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, SEEK_SET);
    int c = fgetc(f);
    fseek(f, offset, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void verify__finds_a_damaged_object_and_a_damaged_ledger(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new(), relative[80];
    store *s;
    hash256 head;
    journal_report report;
    json_t *rows;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head));
    assert_ok(ctx, store_query_json(s, "SELECT id FROM object", NULL, &rows));
    const char *hex = json_string_value(json_object_get(json_array_get(rows, 0), "id"));
    snprintf(relative, sizeof relative, "objects/%.2s/%s", hex, hex + 2);
    store_close(s);
    flip_file(folder, relative, 5);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    assert_false(report.ok);
    assert_non_null(strstr(report.problem, hex));
    store_close(s);
    flip_file(folder, relative, 5);
    char path[300];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/sealed.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE ledger SET outcome = 'pass'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, journal_verify(ctx, s, &report));
    assert_false(report.ok);
    assert_non_null(strstr(report.problem, "sealed answer"));
    json_decref(rows);
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
}

static agon_status count_steps(void *arg, const step_row *row) {
    int *n = arg;
    n[0]++;
    if (strcmp(row->kind, "respond") == 0) {
        char key[64];
        snprintf(key, sizeof key, "iteration/1/respond|%s|0", row->item);
        assert_true(row->seed == seed_derive(17, key));
        assert_non_null(json_object_get(row->result, "response"));
        n[1]++;
    }
    n[2] += row->reproducible;
    return AGON_OK;
}

static void step_iterate__gives_input_result_and_seed(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new();
    store *s;
    hash256 head;
    int n[3] = {0};
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head));
    assert_ok(ctx, step_iterate(ctx, s, NULL, count_steps, n));
    assert_int_equal(n[0], 2 + RECIPE_ITEMS);
    assert_int_equal(n[1], RECIPE_ITEMS);
    assert_int_equal(n[2], 1);
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
}

static void batch__thousand_items_cost_little(void **state) {
    (void)state;
    enum { N = 1000, GROUP = 64 };
    fixture f = open_fixture();
    static char names[N][8];
    static step_item items[N];
    json_t *in = json_string("what is 17 + 25?");
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        items[i] = (step_item){names[i], in};
    }
    struct timespec a, z;
    clock_gettime(CLOCK_MONOTONIC, &a);
    step_batch *b;
    assert_ok(f.ctx, step_batch_begin(f.r, &(step_key){.path = "iteration/1/respond"}, items, N, &b));
    for (int i = 0; i < N; i++) {
        text_record t = {.run = run_id(f.r), .kind = "response", .body = "It is 42.", .slot = names[i]};
        json_t *result = json_pack("{si}", "tokens", i);
        assert_ok(f.ctx, store_add_text(f.s, &t, NULL));
        assert_ok(f.ctx, step_batch_record(b, (size_t)i, result));
        json_decref(result);
        if (i % GROUP == GROUP - 1)
            assert_ok(f.ctx, step_batch_flush(b));
    }
    assert_ok(f.ctx, step_batch_end(b));
    step_batch_free(b);
    clock_gettime(CLOCK_MONOTONIC, &z);
    double seconds = (double)(z.tv_sec - a.tv_sec) + 1e-9 * (double)(z.tv_nsec - a.tv_nsec);
    print_message("1000 items in groups of 64: %.3f s\n", seconds);
    assert_true(seconds < 20); /* a sanitizer on a busy machine; by itself well under a second */
    json_decref(in);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__recorded_result_is_returned_and_nothing_runs),
        cmocka_unit_test(step__changed_input_names_step_and_both_hashes),
        cmocka_unit_test(step__another_path_on_replay_is_refused),
        cmocka_unit_test(step__aborted_step_leaves_nothing),
        cmocka_unit_test(step__seed_is_the_hash_of_its_key),
        cmocka_unit_test(run__other_configuration_or_seed_is_refused),
        cmocka_unit_test(batch__resumes_with_what_was_flushed),
        cmocka_unit_test(chain__order_of_completion_does_not_show),
        cmocka_unit_test(merkle__root_is_rfc_6962s),
        cmocka_unit_test(journal__record_hash_convention),
        cmocka_unit_test(verify__finds_one_changed_byte_wherever_it_is),
        cmocka_unit_test(verify__finds_forgeries_that_fit_themselves),
        cmocka_unit_test(verify__finds_a_damaged_object_and_a_damaged_ledger),
        cmocka_unit_test(step_iterate__gives_input_result_and_seed),
        cmocka_unit_test(batch__thousand_items_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

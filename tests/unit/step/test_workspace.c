/* The workspace: records and their ids, the descent rule (in C and in SQL), lock, inbox, objects, readers. */
#include "workspace.h"
#include "store/store_internal.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/wait.h>

typedef struct fixture {
    agon_ctx *ctx;
    char *folder;
    store *s;
} fixture;

static fixture open_fixture(void) {
    fixture f = {.ctx = test_ctx(1, NULL), .folder = workspace_new()};
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_RUN, &f.s));
    return f;
}

static void close_fixture(fixture *f) {
    store_close(f->s);
    workspace_remove(f->folder);
    agon_ctx_free(f->ctx);
}

static store_id add_text(fixture *f, const char *kind, const char *body, const char *parent, const char *oracle) {
    store_id id;
    text_record t = {.kind = kind, .body = body, .parent = parent, .oracle = oracle};
    assert_ok(f->ctx, store_add_text(f->s, &t, &id));
    return id;
}

static store_id add_label(fixture *f, const char *target, const char *source, bool sealed, const char *from) {
    store_id id;
    label_record l = {.target = target, .kind = "point", .value = "pass", .source = source, .sealed = sealed,
                      .derived_from = from, .confidence = NAN, .confidence_raw = NAN};
    assert_ok(f->ctx, store_add_label(f->s, &l, &id));
    return id;
}

static int64_t count(fixture *f, const char *sql) {
    int64_t n = -1;
    assert_ok(f->ctx, store_query_int(f->s, sql, NULL, &n));
    return n;
}

static agon_status add_example(fixture *f, const char *label, const char *text) {
    json_t *fields = json_object();
    example_record e = {.objective = "sft", .origin = "new", .fields = fields, .labels = &label, .n_labels = label != NULL,
                        .texts = &text, .n_texts = text != NULL};
    agon_status status = store_add_example(f->s, &e, NULL);
    json_decref(fields);
    return status;
}

static agon_status add_gate_text(fixture *f, const char *text) {
    json_t *figures = json_object();
    gate_record g = {.candidate = "x", .verdict = "promote", .figures = figures, .texts = &text, .n_texts = 1};
    agon_status status = store_add_gate(f->s, &g, NULL);
    json_decref(figures);
    return status;
}

static void record__id_is_its_content(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id a = add_text(&f, "query", "2 + 2?", NULL, NULL), b = add_text(&f, "query", "2 + 2?", NULL, NULL);
    store_id c = add_text(&f, "query", "2 + 3?", NULL, NULL);
    assert_string_equal(a.text, b.text);
    assert_string_not_equal(a.text, c.text);
    assert_int_equal(strlen(a.text), 32);
    assert_int_equal(count(&f, "SELECT count(*) FROM text"), 0); /* queued only */
    assert_ok(f.ctx, store_commit(f.s));
    assert_int_equal(count(&f, "SELECT count(*) FROM text"), 2);
    close_fixture(&f);
}

static void record__bytes_that_are_not_utf8_are_replaced(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *rows;
    add_text(&f, "response", "caf\xc3 \xff!", NULL, NULL);
    assert_ok(f.ctx, store_commit(f.s));
    assert_ok(f.ctx, store_query_json(f.s, "SELECT body FROM text", NULL, &rows));
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "body")),
                        "caf\xef\xbf\xbd \xef\xbf\xbd!");
    json_decref(rows);
    close_fixture(&f);
}

static void record__bad_fields_are_named(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id q = add_text(&f, "query", "2 + 2?", NULL, NULL);
    label_record l = {.target = q.text, .kind = "point", .value = "pass", .source = "oracle"};
    assert_int_equal(store_add_label(f.s, &l, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "'source'"));
    l.source = "human";
    l.value = NULL;
    assert_int_equal(store_add_label(f.s, &l, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "'value'"));
    l.value = "pass";
    l.confidence = INFINITY;
    assert_int_equal(store_add_label(f.s, &l, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "'confidence'"));
    l.confidence = 1;
    l.target = "0123456789abcdef0123456789abcdef";
    assert_int_equal(store_add_label(f.s, &l, NULL), AGON_EINVAL);
    close_fixture(&f);
}

static void record__failed_commit_writes_nothing_and_keeps_the_queue(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id q = add_text(&f, "query", "2 + 2?", NULL, NULL);
    label_record l = {.target = q.text, .kind = "point", .value = "pass", .source = "human",
                      .decision = "0123456789abcdef0123456789abcdef"};
    assert_ok(f.ctx, store_add_label(f.s, &l, NULL));
    assert_int_equal(store_commit(f.s), AGON_EINVAL); /* no such decision */
    assert_int_equal(count(&f, "SELECT count(*) FROM text"), 0);
    store_rollback(f.s);
    add_text(&f, "query", "2 + 2?", NULL, NULL);
    assert_ok(f.ctx, store_commit(f.s));
    assert_int_equal(count(&f, "SELECT count(*) FROM text"), 1);
    close_fixture(&f);
}

static void record__template_with_another_body_needs_another_version(void **state) {
    (void)state;
    fixture f = open_fixture();
    template_record t = {.name = "critic.verdict", .version = "1", .body = "Is it correct?"};
    store_id id;
    assert_ok(f.ctx, store_add_template(f.s, &t, &id));
    assert_string_equal(id.text, "critic.verdict@1");
    assert_ok(f.ctx, store_commit(f.s));
    assert_ok(f.ctx, store_add_template(f.s, &t, &id));
    t.body = "Is it right?";
    assert_int_equal(store_add_template(f.s, &t, &id), AGON_EMISMATCH);
    close_fixture(&f);
}

/* A sealed answer may reach neither examples, calibrations nor gates: directly, through what was derived from it, queued
 * or committed. */
static void descent__sealed_answers_are_refused(void **state) {
    (void)state;
    fixture f = open_fixture();
    int64_t n = -1;
    store_id q = add_text(&f, "query", "2 + 2?", NULL, "sealed");
    store_id r = add_text(&f, "response", "4", q.text, NULL);
    store_id planted = add_label(&f, r.text, "verifier", true, NULL);
    store_id derived = add_label(&f, r.text, "critic", false, planted.text);
    store_id honest = add_label(&f, r.text, "critic", false, NULL);
    store_id leak = {{0}};
    text_record t = {.kind = "critique", .body = "It is 4, so this passes.", .parent = r.text, .sealed = true};
    assert_ok(f.ctx, store_add_text(f.s, &t, &leak));
    store_id refinement = add_text(&f, "refinement", "It is 4.", leak.text, NULL);
    store_id compared = {{0}};
    label_record pair = {.target = r.text, .other = leak.text, .kind = "pair", .value = "preferred", .source = "critic"};
    assert_ok(f.ctx, store_add_label(f.s, &pair, &compared));
    for (int committed = 0; committed < 2; committed++) {
        assert_int_equal(add_example(&f, planted.text, NULL), AGON_EREFUSED);
        assert_int_equal(add_example(&f, compared.text, NULL), AGON_EREFUSED);
        assert_int_equal(add_gate_text(&f, refinement.text), AGON_EREFUSED);
        assert_int_equal(add_example(&f, derived.text, NULL), AGON_EREFUSED);
        assert_int_equal(add_example(&f, honest.text, refinement.text), AGON_EREFUSED);
        const char *labels[] = {honest.text, derived.text};
        json_t *figures = json_object();
        gate_record g = {.candidate = "x", .verdict = "promote", .figures = figures, .labels = labels, .n_labels = 2};
        assert_int_equal(store_add_gate(f.s, &g, NULL), AGON_EREFUSED);
        json_decref(figures);
        calibration_record c = {.method = "platt", .labels = labels, .n_labels = 2};
        assert_int_equal(store_add_calibration(f.s, &c, NULL), AGON_EREFUSED);
        assert_ok(f.ctx, store_commit(f.s));
    }
    assert_ok(f.ctx, add_example(&f, honest.text, r.text));
    assert_ok(f.ctx, store_commit(f.s));
    assert_int_equal(count(&f, "SELECT count(*) FROM label WHERE propensity <> 1 OR weight <> 1"), 0); /* not given: 1, never 0 */
    assert_ok(f.ctx, store_descent_violations(f.s, &n));
    assert_int_equal(n, 0);
    close_fixture(&f);
}

static void descent__verifier_cannot_speak_under_a_sealed_oracle(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id q = add_text(&f, "query", "2 + 2?", NULL, "sealed");
    store_id r = add_text(&f, "response", "4", q.text, NULL);
    for (int committed = 0; committed < 2; committed++) {
        verification_record v = {.response = r.text, .checker = "addition", .outcome = "pass"};
        assert_int_equal(store_add_verification(f.s, &v, NULL), AGON_EREFUSED);
        label_record l = {.target = r.text, .kind = "point", .value = "pass", .source = "verifier"};
        assert_int_equal(store_add_label(f.s, &l, NULL), AGON_EREFUSED);
        text_record t = {.kind = "response", .body = "5", .parent = r.text, .oracle = "open"};
        assert_int_equal(store_add_text(f.s, &t, NULL), AGON_EREFUSED);
        assert_ok(f.ctx, store_commit(f.s));
    }
    close_fixture(&f);
}

/* Past agon's C code: `sql` is refused by the trigger named, and done without it. */
static void trigger_refuses(sqlite3 *db, const char *trigger, const char *sql) {
    char drop[100];
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_CONSTRAINT || !strstr(sqlite3_errmsg(db), "refused"))
        fail_msg("%s: %s, where %s should refuse", sql, sqlite3_errmsg(db), trigger);
    snprintf(drop, sizeof drop, "DROP TRIGGER %s", trigger);
    assert_int_equal(sqlite3_exec(db, drop, NULL, NULL, NULL), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s without %s", sql, sqlite3_errmsg(db), trigger);
}

/* The same without agon's C code in the way: the triggers refuse, and what is planted past them is counted. */
static void descent__triggers_refuse_and_violations_are_counted(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id q = add_text(&f, "query", "2 + 2?", NULL, "sealed");
    store_id r = add_text(&f, "response", "4", q.text, NULL);
    store_id planted = add_label(&f, r.text, "verifier", true, NULL), leak = {{0}};
    text_record t = {.kind = "critique", .body = "It is 4, so this passes.", .parent = r.text, .sealed = true};
    assert_ok(f.ctx, store_add_text(f.s, &t, &leak));
    assert_ok(f.ctx, store_commit(f.s));
    store_close(f.s);
    char path[300], sql[700];
    const char *label = planted.text, *text = leak.text;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/agon.db", f.folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE label SET sealed = 0", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM label", NULL, NULL, NULL), SQLITE_CONSTRAINT);
#define REFUSED(trigger, ...) (snprintf(sql, sizeof sql, __VA_ARGS__), trigger_refuses(db, trigger, sql))
    REFUSED("example_label_sealed", "INSERT INTO example VALUES ('e1', NULL, 1, 'sft', 'new', 1, '{}', '[\"%s\"]', NULL, NULL, 0)", label);
    REFUSED("example_text_sealed", "INSERT INTO example VALUES ('e2', NULL, 1, 'sft', 'new', 1, '{}', NULL, '[\"%s\"]', NULL, 0)", text);
    REFUSED("gate_label_sealed", "INSERT INTO gate VALUES ('g1', NULL, 1, 'x', NULL, 'promote', NULL, '{}', '[\"%s\"]', NULL, 0)", label);
    REFUSED("gate_text_sealed", "INSERT INTO gate VALUES ('g2', NULL, 1, 'x', NULL, 'promote', NULL, '{}', NULL, '[\"%s\"]', 0)", text);
    REFUSED("calibration_label_sealed",
            "INSERT INTO calibration VALUES ('c', NULL, 1, 'x', 'y', 'platt', 1, NULL, NULL, NULL, NULL, NULL, NULL, '[\"%s\"]', 0)", label);
    REFUSED("verification_sealed", "INSERT INTO verification VALUES ('v', NULL, 1, '%s', 'addition', 'pass', NULL, NULL, 0)", r.text);
    REFUSED("label_verifier_sealed",
            "INSERT INTO label SELECT 'l', run, iteration, target, other, kind, value, 'verifier', producer, template, calibration, verification,"
            " decision, derived_from, supersedes, purpose, confidence_raw, confidence, propensity, weight, seconds, 0, meta, 0 FROM label WHERE"
            " id = '%s'", label);
    REFUSED("text_oracle",
            "INSERT INTO text SELECT 't', run, iteration, kind, parent, turn, producer, template, family, cell, slot, 'open', 0, body, meta, 0 FROM"
            " text WHERE id = '%s'", r.text);
#undef REFUSED
    sqlite3_close(db);
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_RUN, &f.s));
    int64_t n = 0;
    assert_ok(f.ctx, store_descent_violations(f.s, &n));
    assert_int_equal(n, 7); /* two examples, two gates, a calibration, a verification, a label; a text is none */
    close_fixture(&f);
}

static void ledger__stays_sealed_while_a_run_holds_the_workspace(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *rows;
    store *reader;
    store_id q = add_text(&f, "query", "2 + 2?", NULL, "sealed");
    assert_ok(f.ctx, store_ledger_add(f.s, "r", q.text, "addition", "pass", "says 4"));
    assert_ok(f.ctx, store_commit(f.s));
    assert_int_equal(store_ledger_read(f.s, &rows), AGON_EREFUSED);
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_READ, &reader));
    assert_int_equal(store_ledger_read(reader, &rows), AGON_EREFUSED);
    assert_int_equal(count(&f, "SELECT count(*) FROM sqlite_master WHERE name = 'ledger'"), 0);
    store_close(f.s);
    assert_ok(f.ctx, store_ledger_read(reader, &rows));
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "outcome")), "pass");
    json_decref(rows);
    f.s = reader;
    close_fixture(&f);
}

static void lock__second_runner_is_refused_and_named(void **state) {
    (void)state;
    fixture f = open_fixture();
    store *second = NULL;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_int_equal(store_open(f.ctx, f.folder, STORE_RUN, &second), AGON_EBUSY);
    assert_non_null(strstr(agon_error(f.ctx), pid));
    pid_t child = fork();
    if (child == 0) {
        store *s;
        char reason[64];
        agon_ctx *ctx;
        if (agon_ctx_new(NULL, &ctx, reason, sizeof reason) != AGON_OK)
            _exit(1);
        _exit(store_open(ctx, f.folder, STORE_RUN, &s) == AGON_EBUSY ? 0 : 2);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_close(f.s);
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_RUN, &f.s));
    close_fixture(&f);
}

static void open__says_what_is_wrong_with_a_folder(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new(), path[300];
    store *s = NULL;
    assert_int_equal(store_open(ctx, folder, STORE_READ, &s), AGON_ENOTFOUND);
    snprintf(path, sizeof path, "%s/agon.db", folder);
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    assert_ok(ctx, file_write(ctx, path, junk, sizeof junk));
    assert_int_equal(store_open(ctx, folder, STORE_READ, &s), AGON_EFORMAT);
    assert_int_equal(store_open(ctx, folder, STORE_RUN, &s), AGON_EFORMAT);
    unlink(path);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(store_open(ctx, folder, STORE_RUN, &s), AGON_EUNSUPPORTED);
    assert_non_null(strstr(agon_error(ctx), "newer"));
    assert_null(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
}

/* `of`, how often it may still be made, counts down; at 0 it fails half way. */
static agon_status write_halves(const byte_stream *x, stream_add add, void *arg) {
    int *left = (int *)(uintptr_t)x->of;
    agon_status status = add(arg, "half", 4);
    return status ? status : (*left)-- > 0 ? add(arg, " and half", 9) : AGON_EIO;
}

static void object__is_made_once_and_leaves_no_half(void **state) {
    (void)state;
    fixture f = open_fixture();
    int left = 2;
    const byte_stream x = {write_halves, &left, 13};
    const hash256 want = hash_bytes("half and half", 13);
    hash256 hash;
    assert_ok(f.ctx, object_write(f.s, &x, &hash));
    assert_int_equal(left, 1);
    assert_memory_equal(&hash, &want, sizeof want);
    assert_true(object_exists(f.s, &want));
    assert_ok(f.ctx, object_write(f.s, &x, &hash)); /* it is there */
    assert_int_equal(object_write(f.s, &x, &hash), AGON_EIO);
    assert_int_equal(workspace_n_left(f.folder), 0);
    close_fixture(&f);
}

static void object__round_trip_and_damage(void **state) {
    (void)state;
    fixture f = open_fixture();
    hash256 hash, empty;
    void *data;
    size_t n;
    assert_ok(f.ctx, object_put(f.s, "weights", 7, &hash));
    assert_ok(f.ctx, object_put(f.s, "", 0, &empty));
    assert_ok(f.ctx, store_commit(f.s));
    assert_ok(f.ctx, object_get(f.s, &hash, &data, &n));
    assert_int_equal(n, 7);
    assert_memory_equal(data, "weights", 7);
    free(data);
    assert_true(object_exists(f.s, &empty));
    byte_reader r = {0};
    assert_ok(f.ctx, object_open(f.s, &hash, &r));
    assert_int_equal(r.size, 7);
    byte_reader_close(&r);
    char *path;
    assert_ok(f.ctx, object_path(f.s, &hash, &path));
    assert_ok(f.ctx, file_write(f.ctx, path, "wEights", 7));
    assert_int_equal(object_get(f.s, &hash, &data, &n), AGON_EMISMATCH);
    assert_int_equal(object_open(f.s, &hash, &r), AGON_EMISMATCH);
    assert_null(r.path);
    assert_ok(f.ctx, object_put(f.s, "weights", 7, &hash)); /* mends it */
    assert_ok(f.ctx, object_get(f.s, &hash, &data, &n));
    free(data);
    unlink(path);
    assert_int_equal(object_get(f.s, &hash, &data, &n), AGON_ENOTFOUND);
    assert_int_equal(object_open(f.s, &hash, &r), AGON_ENOTFOUND);
    free(path);
    close_fixture(&f);
}

static void query__reads_and_never_writes(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *rows, *parameters = json_pack("[si]", "a", 2);
    assert_ok(f.ctx, store_query_json(f.s, "SELECT ?1 AS x, ?2 + 1 AS y, '{\"k\":1}' AS z_json", parameters, &rows));
    const json_t *row = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_object_get(row, "x")), "a");
    assert_int_equal(json_integer_value(json_object_get(row, "y")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "z"), "k")), 1);
    json_decref(rows);
    json_decref(parameters);
    assert_int_equal(store_query_json(f.s, "DELETE FROM text", NULL, &rows), AGON_EREFUSED);
    assert_int_equal(store_query_json(f.s, "SELECT 1; DROP TABLE text", NULL, &rows), AGON_EREFUSED);
    assert_int_equal(store_query_json(f.s, "ATTACH 'sealed.db' AS l", NULL, &rows), AGON_EREFUSED);
    assert_int_equal(store_query_json(f.s, "SELECT nothing FROM nowhere", NULL, &rows), AGON_EINVAL);
    close_fixture(&f);
}

/* A damaged table holds anything: what is no whole number is said to be none. */
static void query__takes_whole_numbers_only(void **state) {
    (void)state;
    static const char *const others[] = {"SELECT 1e300", "SELECT 9e999", "SELECT -1e19", "SELECT 0.5", "SELECT 'many'", "SELECT x'00ff'"};
    fixture f = open_fixture();
    json_t *rows = NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int64_t n = 7;
        assert_int_equal(store_query_int(f.s, others[i], NULL, &n), AGON_EFORMAT);
        assert_non_null(strstr(agon_error(f.ctx), "whole number"));
        assert_int_equal(n, 7);
    }
    assert_int_equal(count(&f, "SELECT NULL"), 0);
    assert_int_equal(count(&f, "SELECT 1 WHERE 0"), 0);
    assert_true(count(&f, "SELECT -9223372036854775807 - 1") == INT64_MIN);
    assert_ok(f.ctx, store_query_json(f.s, "SELECT 9e999 AS x", NULL, &rows)); /* not "out of memory" */
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "x")), "(not finite)");
    json_decref(rows);
    close_fixture(&f);
}

static void readers__status_log_show_and_why(void **state) {
    (void)state;
    fixture f = open_fixture();
    hash256 head;
    json_t *out, *rows;
    assert_ok(f.ctx, recipe_run(f.ctx, f.s, 1, NULL, NULL, &head));
    assert_ok(f.ctx, store_status(f.s, NULL, &out));
    assert_string_equal(json_string_value(json_object_get(out, "run")), "main");
    assert_string_equal(json_string_value(json_object_get(out, "state")), "done");
    const json_t *version = json_array_get(json_object_get(out, "versions"), 0);
    assert_string_equal(json_string_value(json_object_get(version, "status")), "promoted");
    assert_close(json_real_value(json_object_get(json_object_get(version, "held_out"), "after")), 0.5, 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(out, "labels"), "verifier")), 5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(out, "labels"), "critic")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(out, "labels"), "human")), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(out, "tokens"), "learner.out")), 28);
    char id[STORE_ID_SIZE];
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(version, "id")));
    json_decref(out);
    assert_ok(f.ctx, store_log(f.s, NULL, 0, 10, &out));
    assert_true(json_array_size(out) >= 2);
    json_decref(out);
    id[10] = 0; /* a prefix will do */
    assert_ok(f.ctx, store_show(f.s, id, &out));
    assert_string_equal(json_string_value(json_object_get(out, "table")), "model_version");
    json_decref(out);
    /* From the version up to the query: version, example, label, verification, response, query. */
    assert_ok(f.ctx, store_why(f.s, id, &out));
    assert_int_equal(json_array_size(out), 6);
    const json_t *last = json_array_get(out, 5);
    assert_string_equal(json_string_value(json_object_get(json_object_get(last, "record"), "kind")), "query");
    json_decref(out);
    assert_int_equal(store_show(f.s, "zzzzzz", &out), AGON_ENOTFOUND);
    assert_int_equal(store_show(f.s, "ab", &out), AGON_EINVAL);
    static const char *const views[] = {"labels_view", "lineage", "answers", "review_open", "journal", "settlement",
                                        "descent", "sealed_descent", "descent_violation"};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT * FROM %s", views[i]);
        assert_ok(f.ctx, store_query_json(f.s, sql, NULL, &rows));
        json_decref(rows);
    }
    close_fixture(&f);
}

/* A refined answer stands under a critique, that under a draft, that under the query; a reworded query under another one. */
static void views__of_a_refined_answer__show_its_query(void **state) {
    (void)state;
    fixture f = open_fixture();
    store_id original = add_text(&f, "query", "2 + 2?", NULL, NULL), query = add_text(&f, "query", "Two and two?", original.text, NULL);
    store_id draft = add_text(&f, "response", "5", query.text, NULL), critique = add_text(&f, "critique", "it is not 5", draft.text, NULL);
    store_id refined = add_text(&f, "refinement", "4", critique.text, NULL), prose = add_text(&f, "document", "Once.", NULL, NULL);
    add_label(&f, draft.text, "critic", false, NULL);
    add_label(&f, refined.text, "critic", false, NULL);
    add_label(&f, query.text, "critic", false, NULL);
    add_label(&f, prose.text, "critic", false, NULL);
    assert_ok(f.ctx, store_commit(f.s));
    assert_int_equal(count(&f, "SELECT count(*) FROM labels_view"), 4);
    assert_int_equal(count(&f, "SELECT count(*) FROM labels_view WHERE query = 'Two and two?' AND response IN ('5', '4')"), 2);
    assert_int_equal(count(&f, "SELECT count(*) FROM labels_view WHERE query = 'Two and two?' AND response IS NULL"), 1);
    assert_int_equal(count(&f, "SELECT count(*) FROM labels_view WHERE query IS NULL AND response = 'Once.'"), 1);
    assert_int_equal(count(&f, "SELECT count(*) FROM answers WHERE query = 'Two and two?'"), 2);
    close_fixture(&f);
}

/* ---- readers and reviewers beside a run --------------------------------------------------------------- */

typedef struct visitor {
    const char *folder, *review;
    atomic_int *stop;
    store_mode mode;
    int n;
    char error[256];
} visitor;

static void *visit(void *arg) {
    visitor *v = arg;
    char reason[128];
    agon_ctx *ctx = NULL;
    agon_ctx_options options = agon_ctx_options_default();
    options.n_threads = 1;
    if (agon_ctx_new(&options, &ctx, reason, sizeof reason) != AGON_OK)
        return NULL;
    while (!atomic_load(v->stop) && !*v->error) {
        store *s = NULL;
        json_t *out = NULL;
        agon_status status = store_open(ctx, v->folder, v->mode, &s);
        if (!status && v->mode == STORE_READ)
            status = store_query_json(s, "SELECT count(*) AS n FROM text", NULL, &out);
        else if (!status) {
            json_t *answer = json_pack("{ss}", "verdict", "accept");
            status = store_inbox_add(s, v->review, "anna", 2.5, answer);
            json_decref(answer);
        }
        json_decref(out);
        store_close(s);
        if (status)
            snprintf(v->error, sizeof v->error, "%s", agon_error(ctx));
        v->n += !status;
    }
    agon_ctx_free(ctx);
    return NULL;
}

static void visitors__read_and_answer_while_a_run_writes(void **state) {
    (void)state;
    fixture f = open_fixture();
    json_t *config = json_object(), *rows;
    run *r;
    bool done;
    run_options options = {.name = "main", .config = config};
    assert_ok(f.ctx, run_begin(f.ctx, f.s, &options, &r));
    store_id q, item;
    assert_ok(f.ctx, step_begin(r, &(step_key){.path = "escalate"}, NULL, &done, &rows));
    text_record t = {.run = run_id(r), .kind = "query", .body = "2 + 2?"};
    assert_ok(f.ctx, store_add_text(f.s, &t, &q));
    review_record review = {.run = run_id(r), .kind = "demonstration", .query = q.text, .priority = 1};
    assert_ok(f.ctx, store_add_review(f.s, &review, &item));
    assert_ok(f.ctx, step_commit(r, NULL));
    atomic_int stop = 0;
    visitor visitors[3] = {{f.folder, item.text, &stop, STORE_READ, 0, ""},
                           {f.folder, item.text, &stop, STORE_REVIEW, 0, ""},
                           {f.folder, item.text, &stop, STORE_REVIEW, 0, ""}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
    for (int i = 0; i < 60; i++) {
        char path[32];
        snprintf(path, sizeof path, "work/%d", i);
        assert_ok(f.ctx, step_begin(r, &(step_key){.path = path}, NULL, &done, &rows));
        t.slot = path;
        assert_ok(f.ctx, store_add_text(f.s, &t, NULL));
        assert_ok(f.ctx, step_commit(r, NULL));
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(visitors[i].error, "");
        assert_true(visitors[i].n > 0);
    }
    assert_ok(f.ctx, store_inbox_read(f.s, run_id(r), 0, &rows));
    assert_int_equal(json_array_size(rows), visitors[1].n + visitors[2].n);
    const json_t *answer = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_object_get(answer, "query")), q.text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "answer"), "verdict")), "accept");
    int64_t last = json_integer_value(json_object_get(json_array_get(rows, json_array_size(rows) - 1), "number"));
    json_decref(rows);
    assert_ok(f.ctx, store_inbox_read(f.s, run_id(r), last, &rows));
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    run_end(r);
    json_decref(config);
    close_fixture(&f);
}

static void reviewer__writes_the_inbox_and_nothing_else(void **state) {
    (void)state;
    fixture f = open_fixture();
    store *reviewer;
    json_t *answer = json_pack("{ss}", "verdict", "accept");
    add_text(&f, "query", "2 + 2?", NULL, NULL);
    assert_ok(f.ctx, store_commit(f.s));
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_REVIEW, &reviewer));
    text_record t = {.kind = "query", .body = "x"};
    assert_int_equal(store_add_text(reviewer, &t, NULL), AGON_EINVAL);
    assert_int_equal(store_inbox_add(reviewer, "no such review", "anna", 1, answer), AGON_EINVAL);
    assert_int_equal(store_settle(reviewer, "r", "c", 1), AGON_EINVAL);
    store_close(reviewer);
    assert_ok(f.ctx, store_open(f.ctx, f.folder, STORE_READ, &reviewer));
    assert_int_equal(store_inbox_add(reviewer, "no such review", "anna", 1, answer), AGON_EINVAL);
    store_close(reviewer);
    json_decref(answer);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record__id_is_its_content),
        cmocka_unit_test(record__bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(record__bad_fields_are_named),
        cmocka_unit_test(record__failed_commit_writes_nothing_and_keeps_the_queue),
        cmocka_unit_test(record__template_with_another_body_needs_another_version),
        cmocka_unit_test(descent__sealed_answers_are_refused),
        cmocka_unit_test(descent__verifier_cannot_speak_under_a_sealed_oracle),
        cmocka_unit_test(descent__triggers_refuse_and_violations_are_counted),
        cmocka_unit_test(ledger__stays_sealed_while_a_run_holds_the_workspace),
        cmocka_unit_test(lock__second_runner_is_refused_and_named),
        cmocka_unit_test(open__says_what_is_wrong_with_a_folder),
        cmocka_unit_test(object__is_made_once_and_leaves_no_half),
        cmocka_unit_test(object__round_trip_and_damage),
        cmocka_unit_test(query__reads_and_never_writes),
        cmocka_unit_test(query__takes_whole_numbers_only),
        cmocka_unit_test(readers__status_log_show_and_why),
        cmocka_unit_test(views__of_a_refined_answer__show_its_query),
        cmocka_unit_test(visitors__read_and_answer_while_a_run_writes),
        cmocka_unit_test(reviewer__writes_the_inbox_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

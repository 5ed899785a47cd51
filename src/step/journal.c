/* The journal's hashes and its verification (journal.h, step.h). */
#include "step/journal.h"
#include "base/ctx.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/random.h"
#include "step/step.h"
#include "store/store_internal.h"
#include <stdlib.h>
#include <string.h>

static hash256 hash_json_take(json_t *value) {
    char *text = value ? json_canonical(value) : NULL;
    hash256 hash = hash_text(text ? text : "");
    free(text);
    json_decref(value);
    return hash;
}

hash256 journal_genesis(const char *name, const char *seed, const char *config) {
    return hash_json_take(json_pack("{s:s, s:s, s:s}", "config", config, "name", name, "seed", seed));
}

hash256 journal_link_hash(const journal_link *l) {
    char prev[HASH_HEX_SIZE], in[HASH_HEX_SIZE], out[HASH_HEX_SIZE];
    hash_hex(&l->prev, prev);
    hash_hex(&l->input_hash, in);
    hash_hex(&l->result_hash, out);
    return hash_json_take(json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:I}", "prev", prev, "path", l->path, "item",
                                    l->item, "kind", l->kind, "attempt", l->attempt, "input", in, "result", out, "records",
                                    l->records, "n_items", (json_int_t)l->n_items));
}

hash256 journal_merkle_root(const hash256 *leaves, size_t n) {
    hash256 *level = malloc((n ? n : 1) * sizeof *level), root = hash_bytes("", 0);
    if (!level)
        return root; /* differs from the recorded one: reported, never accepted */
    if (n)
        memcpy(level, leaves, n * sizeof *level);
    for (size_t count = n; count > 1; count = (count + 1) / 2)
        for (size_t i = 0; i < (count + 1) / 2; i++) {
            if (2 * i + 1 < count) {
                hash256 pair[2] = {level[2 * i], level[2 * i + 1]};
                level[i] = hash_bytes(pair, sizeof pair);
            } else {
                level[i] = level[2 * i];
            }
        }
    if (n)
        root = level[0];
    free(level);
    return root;
}

uint64_t journal_seed(uint64_t run_seed_value, const char *path, const char *item, int attempt) {
    return seed_derivef(run_seed_value, "%.240s|%.200s|%d", path, item, attempt);
}

/* ---- verification ------------------------------------------------------------------------------------------ */

typedef struct checking {
    agon_ctx *ctx;
    store *s;
    journal_report *report;
} checking;

static void problem(checking *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(checking *c, const char *format, ...) {
    if (!c->report->ok)
        return; /* the first one counts */
    va_list args;
    va_start(args, format);
    vsnprintf(c->report->problem, sizeof c->report->problem, format, args);
    va_end(args);
    c->report->ok = false;
}

static const char *text_member(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool hash_is(const hash256 *hash, const char *hex) {
    char mine[HASH_HEX_SIZE];
    hash_hex(hash, mine);
    return strcmp(mine, hex) == 0;
}

/* One row of step or step_item against its own hashes. */
static bool check_row(checking *c, const json_t *row_item, bool single, journal_link *link) {
    const char *path = text_member(row_item, "path"), *item = text_member(row_item, "item");
    *link = (journal_link){.path = path, .item = item, .kind = text_member(row_item, "kind"),
                           .attempt = (int)json_integer_value(json_object_get(row_item, "attempt")),
                           .records = text_member(row_item, "records"),
                           .n_items = json_integer_value(json_object_get(row_item, "n_items"))};
    bool parsed = hash_parse(text_member(row_item, "input_hash"), &link->input_hash) &&
                  hash_parse(text_member(row_item, "result_hash"), &link->result_hash);
    hash256 input = hash_text(text_member(row_item, "input")), result = hash_text(text_member(row_item, "result"));
    if (!parsed || (single && (!hash_is(&input, text_member(row_item, "input_hash")) ||
                               !hash_is(&result, text_member(row_item, "result_hash"))))) {
        problem(c, "step %s%s%s: input or result differs from its hash", path, *item ? " item " : "", item);
        return false;
    }
    return true;
}

static agon_status check_batch(checking *c, const char *run_name, const json_t *step_row_item) {
    json_t *parameters = json_pack("[s, s, O]", run_name, text_member(step_row_item, "path"),
                                   json_object_get(step_row_item, "attempt"));
    json_t *rows = NULL, *row_item;
    agon_status status = store_query_json(c->s,
                                          "SELECT path, item, attempt, kind, input, input_hash, result, result_hash, records, 0 AS n_items, hash"
                                          " FROM step_item WHERE run = ?1 AND path = ?2 AND attempt = ?3 ORDER BY position",
                                          parameters, &rows);
    size_t n = json_array_size(rows), i;
    hash256 *leaves = calloc(n + 1, sizeof *leaves);
    if (!status && !leaves)
        status = ctx_fail(c->ctx, AGON_ENOMEM, "out of memory");
    if (!status)
        json_array_foreach(rows, i, row_item) {
            journal_link link;
            if (check_row(c, row_item, true, &link))
                leaves[i] = journal_link_hash(&link);
            if (!hash_is(&leaves[i], text_member(row_item, "hash")))
                problem(c, "step %s item %s: the record differs from its hash", link.path, link.item);
            c->report->n_items++;
        }
    if (!status) {
        hash256 root = journal_merkle_root(leaves, n);
        if (!hash_is(&root, text_member(step_row_item, "result_hash")))
            problem(c, "step %s: its items do not make its Merkle root", text_member(step_row_item, "path"));
    }
    free(leaves);
    json_decref(parameters);
    json_decref(rows);
    return status;
}

static agon_status check_chain(checking *c, const json_t *run_row) {
    json_t *parameters = json_pack("[s]", text_member(run_row, "id")), *rows = NULL, *row_item;
    agon_status status = store_query_json(
        c->s,
        "SELECT seq, path, item, attempt, kind, shape, input, input_hash, result, result_hash, records, n_items, prev, hash"
        " FROM step WHERE run = ?1 ORDER BY seq",
        parameters, &rows);
    hash256 head = journal_genesis(text_member(run_row, "name"), text_member(run_row, "seed"), text_member(run_row, "config"));
    if (!hash_is(&head, text_member(run_row, "hash")))
        problem(c, "run %s: name, seed or configuration differ from their hash", text_member(run_row, "name"));
    size_t i;
    if (!status)
        json_array_foreach(rows, i, row_item) {
            bool single = strcmp(text_member(row_item, "shape"), "single") == 0;
            journal_link link;
            check_row(c, row_item, single, &link);
            link.prev = head;
            head = journal_link_hash(&link);
            if (json_integer_value(json_object_get(row_item, "seq")) != (json_int_t)i || !hash_is(&head, text_member(row_item, "hash")))
                problem(c, "step %s%s%s: the chain is broken here", link.path, *link.item ? " item " : "", link.item);
            if (!single && !status)
                status = check_batch(c, text_member(run_row, "id"), row_item);
            c->report->n_steps++;
            if (status || !c->report->ok)
                break;
        }
    json_decref(parameters);
    json_decref(rows);
    return status;
}

/* Every record's content against its id. */
static agon_status check_table(checking *c, record_kind kind) {
    const record_table *t = schema_table(kind);
    buffer sql = {0};
    buffer_printf(&sql, "SELECT id");
    for (int i = 0; t->columns[i]; i++)
        buffer_printf(&sql, ", \"%s\"", t->columns[i]);
    buffer_printf(&sql, " FROM \"%s\"", t->name);
    sqlite3_stmt *statement = NULL;
    agon_status status = AGON_OK;
    if (sql.failed || sqlite3_prepare_v2(c->s->db, sql.data, -1, &statement, NULL) != SQLITE_OK)
        status = store_sql_fail(c->s, c->s->db, "reading records");
    while (!status && sqlite3_step(statement) == SQLITE_ROW) {
        const char *id = (const char *)sqlite3_column_text(statement, 0);
        json_t *columns = record_from_row(kind, statement);
        hash256 hash;
        char hex[HASH_HEX_SIZE];
        status = columns ? record_hash(c->ctx, kind, columns, t->own_id ? id : NULL, &hash)
                         : ctx_fail(c->ctx, AGON_ENOMEM, "out of memory");
        if (!status && !t->own_id) {
            hash_hex(&hash, hex);
            if (!id || strncmp(hex, id, strlen(id)) != 0)
                problem(c, "%s %s: its content differs from its id", t->name, id ? id : "");
        }
        json_decref(columns);
        c->report->n_records++;
    }
    sqlite3_finalize(statement);
    buffer_free(&sql);
    return status;
}

static agon_status check_object(void *arg, const char *hex) {
    checking *c = arg;
    hash256 hash;
    void *data = NULL;
    size_t n = 0;
    json_t *parameters = json_pack("[s]", hex);
    int64_t named = 0;
    agon_status status = store_query_int(c->s,
                                         "SELECT (SELECT count(*) FROM object WHERE id = ?1) + (SELECT count(*) FROM checkpoint WHERE object = ?1)",
                                         parameters, &named);
    json_decref(parameters);
    c->report->n_objects++;
    c->report->n_unreferenced_objects += named == 0;
    if (status || named == 0 || !hash_parse(hex, &hash))
        return status;
    if (object_get(c->s, &hash, &data, &n) != AGON_OK)
        problem(c, "object %.16s: %s", hex, agon_error(c->ctx));
    free(data);
    return AGON_OK;
}

static agon_status check_objects(checking *c) {
    json_t *rows = NULL, *row_item;
    agon_status status = store_query_json(c->s, "SELECT id FROM object", NULL, &rows);
    size_t i;
    json_array_foreach(rows, i, row_item) {
        hash256 hash;
        if (!hash_parse(text_member(row_item, "id"), &hash) || !object_exists(c->s, &hash))
            problem(c, "object %.16s is missing", text_member(row_item, "id"));
    }
    json_decref(rows);
    return status ? status : object_each(c->s, check_object, c);
}

static agon_status check_counts(checking *c) {
    int64_t wrong = 0, broken = 0;
    agon_status status = store_query_int(c->s,
                                         "SELECT count(*) FROM counter k WHERE k.value <> (SELECT coalesce(sum(amount), 0)"
                                         " FROM settlement s WHERE s.run = k.run AND s.counter = k.name)",
                                         NULL, &wrong);
    if (!status && wrong)
        problem(c, "%lld counters differ from the sum of what was settled", (long long)wrong);
    if (!status)
        status = store_query_int(c->s, "SELECT count(*) FROM pragma_foreign_key_check", NULL, &broken);
    if (!status && broken)
        problem(c, "%lld records refer to records that do not exist", (long long)broken);
    int64_t descent = 0;
    if (!status)
        status = store_descent_violations(c->s, &descent);
    if (!status && descent)
        problem(c, "%lld examples or gate figures descend from a sealed answer", (long long)descent);
    return status;
}

agon_status journal_verify(agon_ctx *ctx, store *s, journal_report *report) {
    *report = (journal_report){.ok = true};
    checking c = {ctx, s, report};
    json_t *runs = NULL, *run_row;
    agon_status status = store_query_json(s, "SELECT id, name, seed, config, hash FROM run ORDER BY rowid", NULL, &runs);
    size_t i;
    if (!status)
        json_array_foreach(runs, i, run_row) {
            status = check_chain(&c, run_row);
            report->n_runs++;
            if (status || !report->ok)
                break;
        }
    for (int k = 0; !status && report->ok && k < RECORD_N_KINDS; k++)
        status = check_table(&c, (record_kind)k);
    if (!status && report->ok)
        status = check_counts(&c);
    if (!status && report->ok)
        status = check_objects(&c);
    json_decref(runs);
    return status;
}

/* ---- reading the journal ------------------------------------------------------------------------------------- */

static agon_status visit_rows(agon_ctx *ctx, const json_t *rows, const char *run_name, uint64_t run_seed_value,
                              step_visit fn, void *arg) {
    json_t *row_item;
    agon_status status = AGON_OK;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row_item) {
        const char *input = text_member(row_item, "input"), *result = text_member(row_item, "result");
        json_t *in = NULL, *out = NULL;
        step_row r = {.run = run_name, .path = text_member(row_item, "path"), .item = text_member(row_item, "item"),
                      .kind = text_member(row_item, "kind"),
                      .attempt = (int)json_integer_value(json_object_get(row_item, "attempt")),
                      .reproducible = json_integer_value(json_object_get(row_item, "reproducible")) != 0};
        r.seed = journal_seed(run_seed_value, r.path, r.item, r.attempt);
        status = json_parse(ctx, r.path, input, strlen(input), &in);
        if (!status)
            status = json_parse(ctx, r.path, result, strlen(result), &out);
        r.input = in;
        r.result = out;
        if (!status)
            status = fn(arg, &r);
        json_decref(in);
        json_decref(out);
        if (status)
            break;
    }
    return status;
}

agon_status step_iterate(agon_ctx *ctx, store *s, const char *run_name, step_visit fn, void *arg) {
    json_t *parameters = json_pack("[s]", run_name ? run_name : ""), *runs = NULL, *rows = NULL;
    agon_status status = store_query_json(
        s, "SELECT id, name, seed FROM run WHERE ?1 = '' OR name = ?1 ORDER BY rowid DESC LIMIT 1", parameters, &runs);
    json_decref(parameters);
    const json_t *found = json_array_get(runs, 0);
    if (!status && !found)
        status = ctx_fail(ctx, AGON_ENOTFOUND, "%s has no run%s%s", store_folder(s), run_name ? " named " : "",
                          run_name ? run_name : "");
    if (!status) {
        parameters = json_pack("[s]", text_member(found, "id"));
        status = store_query_json(
            s,
            "SELECT s.path, coalesce(i.item, s.item) AS item, s.attempt, s.kind, s.reproducible, coalesce(i.input, s.input) AS input,"
            " coalesce(i.result, s.result) AS result FROM step s LEFT JOIN step_item i ON i.run = s.run AND i.path = s.path"
            " AND i.attempt = s.attempt AND s.shape = 'batch' WHERE s.run = ?1 AND (s.shape = 'single' OR i.item IS NOT NULL)"
            " ORDER BY s.seq, i.position",
            parameters, &rows);
        json_decref(parameters);
    }
    if (!status)
        status = visit_rows(ctx, rows, text_member(found, "name"), strtoull(text_member(found, "seed"), NULL, 10), fn, arg);
    json_decref(rows);
    json_decref(runs);
    return status;
}

/* Verifying and walking the journal, see step.h.
 *
 * Order: SQLite's own structure; every record's content against its id; each run's chain from its own record, with
 * inputs, results, Merkle roots and the list of records each step wrote; records no step wrote; counters; foreign
 * keys; descent; objects. The first fault found is the report. Everything is read in one transaction, so a run that
 * goes on meanwhile is seen at one moment. */
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "step/step_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct verifier {
    agon_ctx *ctx;
    store *s;
    journal_report *report;
    json_t *records;  /* "table/id" -> full hash of its content */
    json_t *listed;   /* the same keys, of records some step lists */
    json_t *ledger;   /* "run/response/checker" -> hash; NULL when it may not be opened */
    json_t *settled;  /* "run/counter" -> sum of settlements */
} verifier;

/* The first problem stays. Returns AGON_EMISMATCH, which ends the walk. */
__attribute__((format(printf, 2, 3))) static agon_status problem(verifier *v, const char *format, ...) {
    va_list args;
    char raw[1024]; /* quotes what is damaged, which may be anything */
    va_start(args, format);
    int n = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n;
    if (v->report->ok)
        utf8_escape(v->report->problem, sizeof v->report->problem, raw, length < sizeof raw ? length : utf8_whole(raw, sizeof raw - 1));
    v->report->ok = false;
    return AGON_EMISMATCH;
}

/* Calls fn for each row of `sql`, bound to up to three texts. */
typedef agon_status (*row_visit)(verifier *v, sqlite3_stmt *row, void *arg);
static agon_status each_row(verifier *v, const char *sql, const char *a, const char *b, int64_t c,
                            row_visit fn, void *arg) {
    sqlite3_stmt *statement = NULL;
    agon_status status = AGON_OK;
    int rc = SQLITE_DONE;
    if (sqlite3_prepare_v2(v->s->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_sql_fail(v->s, v->s->db, "reading the journal");
    if (a)
        sqlite3_bind_text(statement, 1, a, -1, SQLITE_TRANSIENT);
    if (b) {
        sqlite3_bind_text(statement, 2, b, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(statement, 3, c);
    }
    while (!status && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        status = fn(v, statement, arg);
    if (!status && rc != SQLITE_DONE)
        status = store_sql_fail(v->s, v->s->db, "reading the journal");
    sqlite3_finalize(statement);
    return status;
}

static agon_status no_memory(verifier *v) {
    return ctx_fail(v->ctx, AGON_ENOMEM, "out of memory verifying the journal");
}

/* "" where there is none: what was read may be anything. */
static const char *text_of(const json_t *value) {
    const char *text = json_string_value(value);
    return text ? text : "";
}

static bool set_text(json_t *object, const char *key, const char *value) {
    return json_object_set_new_nocheck(object, key, json_string_nocheck(value)) == 0;
}

/* ---- records ---------------------------------------------------------------------------------------- */

static agon_status check_record(verifier *v, sqlite3_stmt *row, void *arg) {
    record_kind kind = *(record_kind *)arg;
    const record_table *t = schema_table(kind);
    const char *id = store_column(row, 0);
    char hex[HASH_HEX_SIZE], key[160];
    hash256 hash;
    json_t *columns = record_from_row(kind, row);
    if (!columns)
        return no_memory(v);
    /* Damaged text that is not UTF-8 cannot be made canonical: that is damage, too. */
    agon_status status = record_hash(v->ctx, kind, columns, t->own_id ? id : NULL, &hash);
    json_decref(columns);
    if (!status)
        hash_hex(&hash, hex);
    if (status || (!t->own_id && strncmp(hex, id, 32) != 0) || (!t->own_id && strlen(id) != 32))
        return problem(v, "%s %.64s: the content is not what its id was made from", t->name, id);
    snprintf(key, sizeof key, "%s/%.100s", t->name, id);
    v->report->n_records++;
    return set_text(v->records, key, hex) ? AGON_OK : no_memory(v);
}

static agon_status check_records(verifier *v) {
    agon_status status = AGON_OK;
    for (int k = 0; k < RECORD_N_KINDS && !status; k++) {
        record_kind kind = (record_kind)k;
        char *sql = record_select(kind, "");
        status = sql ? each_row(v, sql, NULL, NULL, 0, check_record, &kind) : no_memory(v);
        free(sql);
    }
    return status;
}

/* ---- the record lists of steps ---------------------------------------------------------------------- */

static agon_status check_ledger_entry(verifier *v, const char *run, const char *where, const json_t *entry) {
    char key[256];
    const char *response = text_of(json_array_get(entry, 1));
    if (!v->ledger)
        return AGON_OK;
    snprintf(key, sizeof key, "%.40s/%.80s/%.100s", run, response, text_of(json_array_get(entry, 3)));
    const char *hash = json_string_value(json_object_get(v->ledger, key));
    const char *listed = json_string_value(json_array_get(entry, 2));
    if (!hash || !listed || strcmp(hash, listed) != 0)
        return problem(v, "%s: the sealed answer for text %.32s is %s", where, response, hash ? "not what was sealed" : "gone");
    return AGON_OK;
}

static agon_status check_settlement(verifier *v, const char *run, const char *where, const json_t *entry) {
    char key[256];
    json_int_t sum;
    snprintf(key, sizeof key, "%.40s/%.200s", run, text_of(json_array_get(entry, 1)));
    if (__builtin_add_overflow(json_integer_value(json_object_get(v->settled, key)), json_integer_value(json_array_get(entry, 2)), &sum))
        return problem(v, "%s: its settlements of %s add up to more than there can be", where, text_of(json_array_get(entry, 1)));
    return json_object_set_new_nocheck(v->settled, key, json_integer(sum)) == 0 ? AGON_OK : no_memory(v);
}

typedef struct as_listed {
    const char *run, *hash;
    bool same;
} as_listed;

static agon_status compare_for_run(verifier *v, sqlite3_stmt *row, void *arg) {
    as_listed *l = arg;
    char hex[HASH_HEX_SIZE];
    hash256 hash;
    json_t *columns = record_from_row(RECORD_VERSION, row);
    if (!columns || !set_text(columns, "run", l->run)) {
        json_decref(columns);
        return no_memory(v);
    }
    agon_status status = record_hash(v->ctx, RECORD_VERSION, columns, store_column(row, 0), &hash);
    json_decref(columns);
    if (!status)
        hash_hex(&hash, hex);
    l->same = !status && strcmp(hex, l->hash) == 0;
    return status;
}

/* An older agon listed a version that another run had recorded before with the hash of a row that was never written: the same but for the run.
 * That other run must list the row as it is. */
static agon_status is_version_of_another_run(verifier *v, const char *table, const char *id, as_listed *l) {
    if (strcmp(table, schema_table(RECORD_VERSION)->name) != 0)
        return AGON_OK;
    char *sql = record_select(RECORD_VERSION, " WHERE id = ?1");
    agon_status status = sql ? each_row(v, sql, id, NULL, 0, compare_for_run, l) : no_memory(v);
    free(sql);
    return status;
}

static agon_status check_entry(verifier *v, const char *run, const char *where, const json_t *entry) {
    const char *table = json_string_value(json_array_get(entry, 0));
    const char *id = json_string_value(json_array_get(entry, 1));
    char key[160];
    if (!table || !id)
        return problem(v, "%s: the list of its records is damaged", where);
    if (strcmp(table, "settlement") == 0)
        return check_settlement(v, run, where, entry);
    if (strcmp(table, "ledger") == 0)
        return check_ledger_entry(v, run, where, entry);
    snprintf(key, sizeof key, "%s/%.100s", table, id);
    const char *hash = json_string_value(json_object_get(v->records, key));
    const char *listed = json_string_value(json_array_get(entry, 2));
    if (!hash)
        return problem(v, "%s: %s %.64s, which it wrote, is gone", where, table, id);
    if (listed && strcmp(listed, hash) != 0) {
        as_listed l = {run, listed, false};
        agon_status status = is_version_of_another_run(v, table, id, &l);
        return status || l.same ? status : problem(v, "%s: %s %.64s was changed after it was written", where, table, id);
    }
    return set_text(v->listed, key, "") ? AGON_OK : no_memory(v);
}

static agon_status check_list(verifier *v, const char *run, const char *where, const char *records) {
    json_t *list = json_loads(records, 0, NULL), *entry;
    size_t i;
    agon_status status = json_is_array(list) ? AGON_OK : problem(v, "%s: the list of its records is damaged", where);
    json_array_foreach(list, i, entry)
        if (!status)
            status = check_entry(v, run, where, entry);
    json_decref(list);
    return status;
}

/* ---- steps ------------------------------------------------------------------------------------------ */

typedef struct chain {
    const char *run, *name;
    char head[HASH_HEX_SIZE];
    int64_t seq;
    /* the batch under the walk */
    hash256 *leaves;
    size_t n, capacity;
} chain;

static bool hash_is(const char *text, const char *hex) {
    char now[HASH_HEX_SIZE];
    text_hash(text, now);
    return strcmp(now, hex) == 0;
}

#define ITEM_COLUMNS                                                                                \
    "item, position, input, input_hash, result, result_hash, records, hash, kind, reproducible, attempt, path"

/* One batch item: contents against hashes, leaf against its hash, records. */
static agon_status check_item(verifier *v, sqlite3_stmt *row, void *arg) {
    chain *c = arg;
    char where[700], hex[HASH_HEX_SIZE];
    hash256 leaf;
    journal_item link = {.path = store_column(row, 11), .item = store_column(row, 0), .kind = store_column(row, 8),
                         .input_hash = store_column(row, 3), .result_hash = store_column(row, 5), .records = store_column(row, 6),
                         .attempt = sqlite3_column_int64(row, 10), .position = sqlite3_column_int64(row, 1),
                         .reproducible = sqlite3_column_int(row, 9)};
    snprintf(where, sizeof where, "run %.60s, step %.200s item '%.200s'", c->name, link.path, link.item);
    if (!hash_is(store_column(row, 2), link.input_hash))
        return problem(v, "%s: the recorded input is damaged", where);
    if (!hash_is(store_column(row, 4), link.result_hash))
        return problem(v, "%s: the recorded result is damaged", where);
    if (!journal_item_hash(&link, &leaf)) /* not UTF-8 */
        return problem(v, "%s: the record is damaged", where);
    hash_hex(&leaf, hex);
    if (strcmp(hex, store_column(row, 7)) != 0)
        return problem(v, "%s: the record is damaged", where);
    if (!memory_grow((void **)&c->leaves, &c->capacity, c->n, sizeof *c->leaves))
        return no_memory(v);
    c->leaves[c->n++] = leaf;
    v->report->n_items++;
    return check_list(v, c->run, where, link.records);
}

static agon_status check_batch(verifier *v, chain *c, const journal_row *link, const char *where) {
    char hex[HASH_HEX_SIZE];
    c->n = 0;
    agon_status status = each_row(v, "SELECT " ITEM_COLUMNS " FROM step_item WHERE run = ?1 AND path = ?2"
                                     " AND attempt = ?3 ORDER BY position",
                                  c->run, link->path, link->attempt, check_item, c);
    if (status)
        return status;
    if ((int64_t)c->n != link->n_items)
        return problem(v, "%s: it has %zu items, but closed with %lld", where, c->n, (long long)link->n_items);
    hash256 root = merkle_root(c->leaves, c->n);
    hash_hex(&root, hex);
    if (strcmp(hex, link->result_hash) != 0)
        return problem(v, "%s: the Merkle root of its items is not the recorded one", where);
    return AGON_OK;
}

#define STEP_COLUMNS                                                                                \
    "seq, path, item, attempt, kind, shape, reproducible, input, input_hash, result, result_hash, records,"     \
    " n_items, prev, hash"

static agon_status check_step(verifier *v, sqlite3_stmt *row, void *arg) {
    chain *c = arg;
    char where[600], hex[HASH_HEX_SIZE];
    journal_row link = {.run = c->run, .seq = sqlite3_column_int64(row, 0), .path = store_column(row, 1),
                        .item = store_column(row, 2), .attempt = sqlite3_column_int64(row, 3), .kind = store_column(row, 4),
                        .shape = store_column(row, 5), .reproducible = sqlite3_column_int(row, 6),
                        .input_hash = store_column(row, 8), .result_hash = store_column(row, 10), .records = store_column(row, 11),
                        .n_items = sqlite3_column_int64(row, 12), .prev = store_column(row, 13)};
    bool batch = strcmp(link.shape, "batch") == 0;
    snprintf(where, sizeof where, "run %.60s, step %lld (%.200s %.100s)", c->name, (long long)link.seq, link.path,
             link.item);
    v->report->n_steps++;
    if (link.seq != c->seq + 1)
        return problem(v, "%s: step %lld is missing before it", where, (long long)c->seq + 1);
    if (strcmp(link.prev, c->head) != 0)
        return problem(v, "%s: it does not follow the record before it", where);
    if (!batch && !hash_is(store_column(row, 7), link.input_hash))
        return problem(v, "%s: the recorded input is damaged", where);
    if (!batch && !hash_is(store_column(row, 9), link.result_hash))
        return problem(v, "%s: the recorded result is damaged", where);
    if (!journal_row_hash(&link, hex) || strcmp(hex, store_column(row, 14)) != 0)
        return problem(v, "%s: the record is damaged", where);
    memcpy(c->head, hex, sizeof hex);
    c->seq = link.seq;
    agon_status status = check_list(v, c->run, where, link.records);
    return status || !batch ? status : check_batch(v, c, &link, where);
}

/* Items of a batch that is not closed: only the batch a run stopped in. */
static agon_status check_open_items(verifier *v, chain *c) {
    json_t *parameters = json_pack("[s]", c->run);
    int64_t n = 0;
    static const char open[] = " FROM step_item i WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM step s WHERE"
                               " s.run = i.run AND s.path = i.path AND s.attempt = i.attempt AND s.item = '')";
    char sql[700];
    snprintf(sql, sizeof sql, "SELECT count(DISTINCT path || '|' || attempt)%s", open);
    agon_status status = store_query_int(v->s, sql, parameters, &n);
    json_decref(parameters);
    if (!status && n > 1)
        return problem(v, "run %.60s: %lld batches were never closed; only the last may be open", c->name,
                       (long long)n);
    snprintf(sql, sizeof sql, "SELECT " ITEM_COLUMNS "%s ORDER BY position", open);
    c->n = 0;
    return status ? status : each_row(v, sql, c->run, NULL, 0, check_item, c);
}

static agon_status check_run(verifier *v, sqlite3_stmt *row, void *arg) {
    (void)arg;
    char id[64], name[128];
    snprintf(id, sizeof id, "%s", store_column(row, 0));
    snprintf(name, sizeof name, "%s", store_column(row, 1));
    chain c = {.run = id, .name = name};
    json_t *config = json_loads(store_column(row, 3), JSON_DECODE_ANY, NULL);
    bool ok = config && journal_genesis(store_column(row, 1), store_column(row, 2), config, c.head) &&
              strcmp(c.head, store_column(row, 4)) == 0 && strncmp(c.head, id, 32) == 0;
    json_decref(config);
    v->report->n_runs++;
    if (!ok)
        return problem(v, "run %.60s: its name, seed or configuration was changed", name);
    agon_status status = each_row(v, "SELECT " STEP_COLUMNS " FROM step WHERE run = ?1 ORDER BY seq", id, NULL, 0,
                                  check_step, &c);
    if (!status)
        status = check_open_items(v, &c);
    free(c.leaves);
    return status;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static agon_status check_integrity_row(verifier *v, sqlite3_stmt *row, void *arg) {
    (void)arg;
    return strcmp(store_column(row, 0), "ok") == 0 ? AGON_OK : problem(v, "agon.db is damaged: %.300s", store_column(row, 0));
}

static agon_status check_foreign_row(verifier *v, sqlite3_stmt *row, void *arg) {
    (void)arg;
    return problem(v, "%s row %s refers to a %s that is not there", store_column(row, 0), store_column(row, 1), store_column(row, 2));
}

static agon_status check_link_row(verifier *v, sqlite3_stmt *row, void *arg) {
    const record_link *link = arg;
    return problem(v, "%s %.64s: its %s and the table %s_%s do not name the same", link->owner, store_column(row, 0), link->column,
                   link->owner, link->target);
}

/* What `why` and the descent rule read is what the records, whose content is hashed, say. */
static agon_status check_links(verifier *v) {
    agon_status status = AGON_OK;
    const record_link *link;
    for (size_t i = 0; (link = schema_link(i)) && !status; i++) {
        char recorded[200], linked[200], sql[500];
        snprintf(recorded, sizeof recorded, "SELECT o.id, e.value FROM %s o, json_each(o.%s) e", link->owner, link->column);
        snprintf(linked, sizeof linked, "SELECT %s, %s FROM %s_%s", link->owner, link->target, link->owner, link->target);
        for (int way = 0; way < 2 && !status; way++) {
            snprintf(sql, sizeof sql, "%s EXCEPT %s LIMIT 1", way ? linked : recorded, way ? recorded : linked);
            status = each_row(v, sql, NULL, NULL, 0, check_link_row, (void *)(uintptr_t)link);
        }
    }
    return status;
}

static agon_status check_counter(verifier *v, sqlite3_stmt *row, void *arg) {
    (void)arg;
    char key[256];
    snprintf(key, sizeof key, "%.40s/%.200s", store_column(row, 0), store_column(row, 1));
    json_int_t sum = json_integer_value(json_object_get(v->settled, key));
    if (sum != sqlite3_column_int64(row, 2))
        return problem(v, "counter %s is %lld, but its settlements add up to %lld", store_column(row, 1),
                       (long long)sqlite3_column_int64(row, 2), (long long)sum);
    json_object_del(v->settled, key);
    return AGON_OK;
}

static agon_status check_object(verifier *v, sqlite3_stmt *row, void *arg) {
    (void)arg;
    const char *hex = store_column(row, 0);
    hash256 want, got = hash_bytes("", 0);
    char *path = NULL;
    file_map map = {0};
    if (!hash_parse(hex, &want))
        return problem(v, "object %.64s: not a hash", hex);
    agon_status status = object_path(v->s, &want, &path);
    if (status)
        return status;
    v->report->n_objects++;
    bool there = file_exists(path);
    if (there && sqlite3_column_int64(row, 1) > 0) {
        status = file_map_open(v->ctx, path, &map);
        if (!status)
            got = hash_bytes(map.data, map.size);
        file_unmap(&map);
    }
    free(path);
    if (status && status != AGON_EFORMAT && status != AGON_EINVAL) /* that it cannot be read now says nothing about what stands there */
        return status;
    if (!there)
        return problem(v, "object %.64s: the file is gone", hex);
    return memcmp(&got, &want, sizeof got) == 0 ? AGON_OK : problem(v, "object %.64s: the file is damaged", hex);
}

static agon_status count_unreferenced(void *arg, const char *hex) {
    verifier *v = arg;
    int64_t named = 0;
    agon_status status = object_n_named(v->s, hex, &named);
    v->report->n_unreferenced_objects += named == 0;
    return status;
}

/* Records that no step lists were slipped in. */
static agon_status check_listed(verifier *v) {
    const char *key;
    json_t *hash;
    json_object_foreach(v->records, key, hash)
        if (!json_object_get(v->listed, key))
            return problem(v, "%s: no step of the journal wrote this record", key);
    return AGON_OK;
}

static agon_status load_ledger(verifier *v) {
    json_t *rows = NULL, *row;
    size_t i;
    agon_status status = store_ledger_read(v->s, &rows);
    if (status == AGON_EREFUSED) /* a run is going: the ledger stays sealed */
        return AGON_OK;
    if (status)
        return status;
    v->ledger = json_object();
    json_array_foreach(rows, i, row) {
        char key[256], hex[HASH_HEX_SIZE];
        json_t *content = json_copy(row);
        json_object_del(content, "hash");
        json_object_set_new(content, "table", json_string("ledger"));
        char *canonical = content ? json_canonical(content) : NULL;
        if (canonical)
            text_hash(canonical, hex);
        snprintf(key, sizeof key, "%.40s/%.80s/%.100s", text_of(json_object_get(row, "run")),
                 text_of(json_object_get(row, "response")), text_of(json_object_get(row, "checker")));
        if (!canonical || !v->ledger || !set_text(v->ledger, key, hex))
            status = no_memory(v);
        free(canonical);
        json_decref(content);
    }
    json_decref(rows);
    return status;
}

static agon_status verify_all(verifier *v) {
    int64_t violations = 0;
    bool differs = false;
    agon_status status = each_row(v, "PRAGMA integrity_check(1)", NULL, NULL, 0, check_integrity_row, NULL);
    if (!status)
        status = load_ledger(v);
    if (!status)
        status = check_records(v);
    if (!status)
        status = check_links(v);
    if (!status)
        status = each_row(v, "SELECT id, name, seed, config, hash FROM run ORDER BY rowid", NULL, NULL, 0, check_run,
                          NULL);
    if (!status)
        status = check_listed(v);
    if (!status)
        status = each_row(v, "SELECT run, name, value FROM counter", NULL, NULL, 0, check_counter, NULL);
    if (!status && json_object_size(v->settled))
        status = problem(v, "settlements of %s have no counter", json_object_iter_key(json_object_iter(v->settled)));
    if (!status)
        status = each_row(v, "PRAGMA foreign_key_check", NULL, NULL, 0, check_foreign_row, NULL);
    if (!status)
        status = store_descent_violations(v->s, &violations);
    if (!status && violations)
        status = problem(v, "%lld records descend from a sealed verifier answer", (long long)violations);
    if (!status)
        status = each_row(v, "SELECT id, size FROM object", NULL, NULL, 0, check_object, NULL);
    if (!status)
        status = object_each(v->s, count_unreferenced, v);
    if (!status)
        status = store_schema_differs(v->s, &differs);
    if (!status && differs)
        status = problem(v, "agon.db: its tables, triggers or views are not those that agon made");
    return status;
}

agon_status journal_verify(agon_ctx *ctx, store *s, journal_report *report) {
    journal_report made = {.ok = true};
    verifier v = {.ctx = ctx, .s = s, .report = &made, .records = json_object(), .listed = json_object(),
                  .settled = json_object()};
    agon_status status = AGON_OK;
    if (!v.records || !v.listed || !v.settled)
        status = no_memory(&v);
    if (!status && sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        status = store_sql_fail(s, s->db, "beginning to verify");
    if (!status) {
        status = verify_all(&v);
        sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    }
    if (status == AGON_EFORMAT) /* SQLite found damage before we did */
        status = problem(&v, "%.480s", agon_error(ctx));
    if (!made.ok)
        status = AGON_OK;
    json_decref(v.records);
    json_decref(v.listed);
    json_decref(v.ledger);
    json_decref(v.settled);
    if (!status)
        *report = made;
    return status;
}

/* ---- walking ---------------------------------------------------------------------------------------- */

typedef struct walk {
    store *s;
    const char *run;
    uint64_t seed;
    step_visit fn;
    void *arg;
} walk;

static agon_status visit(verifier *v, walk *w, step_row *row, const char *input, const char *result) {
    json_t *in = json_loads(input, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *out = json_loads(result, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    row->run = w->run;
    row->seed = seed_derivef(w->seed, "%s|%s|%d", row->path, row->item, row->attempt);
    row->input = in;
    row->result = out;
    agon_status status = in && out ? w->fn(w->arg, row)
                                   : ctx_fail(v->ctx, AGON_EFORMAT, "step %s %s: not JSON; run `agon verify`",
                                              row->path, row->item);
    json_decref(in);
    json_decref(out);
    return status;
}

static agon_status walk_item(verifier *v, sqlite3_stmt *row, void *arg) {
    step_row r = {.path = store_column(row, 11), .item = store_column(row, 0), .kind = store_column(row, 8),
                  .attempt = sqlite3_column_int(row, 10), .reproducible = sqlite3_column_int(row, 9)};
    return visit(v, arg, &r, store_column(row, 2), store_column(row, 4));
}

static agon_status walk_step(verifier *v, sqlite3_stmt *row, void *arg) {
    walk *w = arg;
    step_row r = {.path = store_column(row, 1), .item = store_column(row, 2), .kind = store_column(row, 4),
                  .attempt = sqlite3_column_int(row, 3), .reproducible = sqlite3_column_int(row, 6)};
    if (strcmp(store_column(row, 5), "batch") != 0)
        return visit(v, w, &r, store_column(row, 7), store_column(row, 9));
    return each_row(v, "SELECT " ITEM_COLUMNS " FROM step_item WHERE run = ?1 AND path = ?2 AND attempt = ?3"
                       " ORDER BY position",
                    w->run, r.path, r.attempt, walk_item, w);
}

agon_status step_iterate(agon_ctx *ctx, store *s, const char *run, step_visit fn, void *arg) {
    verifier v = {.ctx = ctx, .s = s};
    json_t *parameters = json_pack("[s?]", run), *rows = NULL;
    agon_status status = store_query_json(
        s, "SELECT id, seed FROM run WHERE ?1 IS NULL OR id = ?1 OR name = ?1 ORDER BY rowid DESC LIMIT 1",
        parameters, &rows);
    const json_t *row = status ? NULL : json_array_get(rows, 0);
    if (!status && !row)
        status = ctx_fail(ctx, AGON_ENOTFOUND, "%s: there is no run '%.60s'", s->folder, run ? run : "");
    if (!status) {
        walk w = {.s = s, .run = json_string_value(json_object_get(row, "id")), .fn = fn, .arg = arg,
                  .seed = strtoull(text_of(json_object_get(row, "seed")), NULL, 10)};
        status = each_row(&v, "SELECT " STEP_COLUMNS " FROM step WHERE run = ?1 ORDER BY seq", w.run, NULL, 0,
                          walk_step, &w);
    }
    json_decref(rows);
    json_decref(parameters);
    return status;
}

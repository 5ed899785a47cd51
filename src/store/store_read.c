/* Reading the workspace: rows as JSON, and what status, log, show and why print. */
#include "base/json.h"
#include "store/store_internal.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_LIMIT = 2000, PREFIX_DIGITS = 4 };

/* ---- rows as JSON ----------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static json_t *column_json(sqlite3_stmt *statement, int i) {
    switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(statement, i));
    case SQLITE_FLOAT:
        return isfinite(sqlite3_column_double(statement, i)) ? json_real(sqlite3_column_double(statement, i)) : json_string("(not finite)");
    case SQLITE_NULL:
        return json_null();
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        size_t n = (size_t)sqlite3_column_bytes(statement, i);
        json_t *v = NULL;
        if (ends_with(sqlite3_column_name(statement, i), "_json"))
            v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!v)
            v = json_stringn(text, n);
        return v ? v : json_string("(not valid UTF-8)");
    }
    }
}

/* Column name without "_json"; in `name`. */
static void column_key(sqlite3_stmt *statement, int i, char name[128]) {
    snprintf(name, 128, "%s", sqlite3_column_name(statement, i));
    if (ends_with(name, "_json"))
        name[strlen(name) - 5] = 0;
}

static agon_status read_rows(store *s, sqlite3_stmt *statement, json_t *rows) {
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        json_t *row = json_object();
        char name[128];
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            column_key(statement, i, name);
            if (!row || json_object_set_new(row, name, column_json(statement, i)) != 0)
                break;
        }
        if (json_array_append_new(rows, row) != 0)
            return ctx_no_memory(s->ctx);
    }
    return rc == SQLITE_DONE ? AGON_OK : store_sql_fail(s, s->db, "reading");
}

static bool starts_like_a_query(const char *sql) {
    while (isspace((unsigned char)*sql) || *sql == '(')
        sql++;
    return strncasecmp(sql, "select", 6) == 0 || strncasecmp(sql, "with", 4) == 0;
}

agon_status store_query_json(store *s, const char *sql, const json_t *parameters, json_t **rows) {
    sqlite3_stmt *statement = NULL;
    json_t *found = json_array();
    const char *tail = NULL;
    agon_status status = AGON_OK;
    if (!found)
        return ctx_no_memory(s->ctx);
    if (sqlite3_prepare_v2(s->db, sql, -1, &statement, &tail) != SQLITE_OK)
        status = store_sql_fail(s, s->db, "preparing a query");
    else if (!statement || !sqlite3_stmt_readonly(statement) || !starts_like_a_query(sql) ||
             (tail && tail[strspn(tail, " \t\r\n;")]))
        status = ctx_fail(s->ctx, AGON_EREFUSED, "only one SELECT may be asked of a workspace");
    if (!status)
        status = store_bind(s, s->db, statement, parameters);
    if (!status)
        status = read_rows(s, statement, found);
    sqlite3_finalize(statement);
    if (status)
        json_decref(found);
    else
        *rows = found;
    return status;
}

agon_status store_query_int(store *s, const char *sql, const json_t *parameters, int64_t *out) {
    json_t *rows;
    agon_status status = store_query_json(s, sql, parameters, &rows);
    if (status)
        return status;
    json_t *row = json_array_get(rows, 0);
    json_t *v = row ? json_object_iter_value(json_object_iter(row)) : NULL;
    if (!v || json_is_null(v))
        *out = 0;
    else if (json_is_integer(v))
        *out = json_integer_value(v);
    else
        status = ctx_fail(s->ctx, AGON_EFORMAT, "%s: something else stands where a whole number belongs; `agon verify` says more; restore the "
                          "workspace from a copy", s->folder);
    json_decref(rows);
    return status;
}

/* Rows with one text parameter. */
static agon_status query_one(store *s, const char *sql, const char *parameter, json_t **rows) {
    json_t *parameters = json_pack("[s?]", parameter);
    agon_status status = store_query_json(s, sql, parameters, rows);
    json_decref(parameters);
    return status;
}

/* ---- status ----------------------------------------------------------------------------------------- */

/* {"name": n, ...} of rows (name, n). */
static agon_status counts(store *s, const char *sql, const char *run, json_t *into) {
    json_t *rows, *row;
    size_t i;
    agon_status status = query_one(s, sql, run, &rows);
    if (status)
        return status;
    json_array_foreach(rows, i, row) {
        json_t *n = json_object_get(row, "n");
        const char *name = json_string_value(json_object_get(row, "name"));
        if (name && json_object_set(into, name, n) != 0)
            status = ctx_no_memory(s->ctx);
    }
    json_decref(rows);
    return status;
}

/* The run's row, named or the latest. *row new. */
static agon_status find_run(store *s, const char *run, json_t **row) {
    json_t *rows;
    agon_status status = query_one(
        s, "SELECT r.id, r.name, r.seed, p.state, coalesce(p.iteration, 0) AS iteration,"
           " coalesce(p.stage, 'begin') AS stage, p.data AS data_json, p.updated_ms,"
           " r.created_ms FROM run r LEFT JOIN progress p ON p.run = r.id"
           " WHERE ?1 IS NULL OR r.name = ?1 OR r.id = ?1"
           /* control arms (run "NAME.arms") only by name */
           " ORDER BY (?1 IS NULL AND r.name LIKE '%.arms'), r.rowid DESC LIMIT 1",
        run, &rows);
    if (status)
        return status;
    if (json_array_size(rows) == 0)
        status = run ? ctx_fail(s->ctx, AGON_ENOTFOUND, "%s: there is no run '%.60s'", s->folder, run)
                     : ctx_fail(s->ctx, AGON_ENOTFOUND, "%s: no run has begun here yet", s->folder);
    else
        *row = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    return status;
}

/* A run that says "running" but whose process is gone has halted. */
static const char *state_of(store *s, const json_t *run) {
    const char *state = json_string_value(json_object_get(run, "state"));
    long pid;
    if (!state || strcmp(state, "running") == 0)
        return s->mode == STORE_RUN || store_is_running(s->folder, &pid) ? "running" : "halted";
    return state;
}

/* The versions a run made or gave a status to, in order of creation, with the latest status of that run. The
 * learner's line is what `versions` lists; critics, attackers and control arms are not candidates and stand apart. */
#define VERSIONS_SQL(in)                                                                              \
    "SELECT v.id, v.parent, v.role, v.iteration, coalesce(s.status, 'candidate') AS status, s.reason," \
    " s.held_out AS held_out_json, (SELECT json_object('incumbent', g.incumbent, 'G1', json_extract(g.figures, '$.G1')) FROM gate g" \
    " WHERE g.run = ?1 AND g.candidate = v.id ORDER BY g.rowid DESC LIMIT 1) AS gate_json"            \
    " FROM model_version v LEFT JOIN version_status s ON s.rowid ="                                   \
    " (SELECT max(rowid) FROM version_status WHERE version = v.id AND (run = ?1 OR run IS NULL))"     \
    " WHERE v.role " in " ('base', 'learner') AND (v.run = ?1 OR s.id IS NOT NULL"                   \
    " OR v.id IN (SELECT parent FROM model_version WHERE run = ?1)) ORDER BY v.rowid"

/* A reviewer's one answer may leave several labels (the verdict, and the text that mends it): those derived from the first do not count again, nor
 * those of a later answer to the same question. */
#define LABELS_SQL                                                                                    \
    "SELECT source AS name, count(*) AS n FROM label WHERE run = ?1 AND (source <> 'human' OR"          \
    " (derived_from IS NULL AND supersedes IS NULL)) GROUP BY source"

/* Automatic labels that an expert judged again, by whose they were; a later answer to the same question stands in the earlier one's place. */
#define AUDITS_SQL                                                                                       \
    "SELECT a.source, count(*) AS audits, sum(a.value = h.value) AS agreed FROM label h JOIN label a ON a.target = h.target AND a.run = h.run" \
    " AND a.kind = 'point' AND a.source IN ('verifier', 'critic') WHERE h.run = ?1 AND h.source IN ('human', 'simulated') AND h.kind = 'point'" \
    " AND h.purpose = 'audit' AND NOT EXISTS (SELECT 1 FROM label x WHERE x.run = h.run AND x.source = 'human' AND x.supersedes = h.id)"     \
    " GROUP BY a.source ORDER BY a.source DESC"

/* Questions of the run that reviewers answered since its last look into the inbox; skips say nothing. */
#define WAITING_SQL                                                                                   \
    "SELECT count(DISTINCT b.review) AS n FROM inbox b JOIN review_item i ON i.id = b.review"           \
    " WHERE i.run = ?1 AND i.kind <> 'held_out' AND coalesce(iif(json_valid(b.answer), json_extract(b.answer, '$.verdict'), ''), '') <> 'skip' AND" \
    " b.number >"                                                                                     \
    " coalesce((SELECT max(json_extract(result, '$.last')) FROM step WHERE run = ?1 AND kind = 'collect_reviews'), 0)"

/* The latest run of control arms that belongs to a run, and its figures. */
#define ARMS_OF "json_extract(r.config, '$.arms_of')"
#define ARMS_SQL                                                                                              \
    "SELECT r.name, p.state, coalesce(p.iteration, 0) AS iteration, coalesce(p.stage, 'begin') AS stage,"       \
    " (SELECT json_extract(result, '$.rows') FROM step WHERE run = r.id AND kind = 'arms') AS rows_json"        \
    " FROM run r LEFT JOIN progress p ON p.run = r.id WHERE " ARMS_OF " = ?1 ORDER BY r.rowid DESC LIMIT 1"

static agon_status find_arms(store *s, const char *run, json_t **out) {
    json_t *rows = NULL;
    agon_status status = query_one(s, ARMS_SQL, run, &rows);
    const json_t *row = json_array_get(rows, 0);
    if (row && !(*out = json_pack("{sO ss sO sO sO}", "run", json_object_get(row, "name"), "state", state_of(s, row), "iteration",
                                  json_object_get(row, "iteration"), "stage", json_object_get(row, "stage"), "rows", json_object_get(row, "rows"))))
        status = ctx_no_memory(s->ctx);
    json_decref(rows);
    return status;
}

/* The trained attacker that the run was begun with. */
#define ATTACKER_SQL                                                                                                     \
    "SELECT json_extract(result, '$.attacker') AS attacker_json FROM step WHERE run = ?1 AND path = 'begin' AND item = ''" \
    " AND json_extract(result, '$.attacker') IS NOT NULL"

/* Who plays roles of the run from elsewhere. */
#define EXTERNALS_SQL "SELECT json_extract(result, '$.externals') AS externals_json FROM step WHERE run = ?1 AND path = 'begin' AND item = '' AND json_extract(result, '$.externals') IS NOT NULL"

agon_status store_status(store *s, const char *run, json_t **out) {
    json_t *row = NULL, *versions = NULL, *others = NULL, *labels = NULL, *tokens = NULL, *counters = NULL, *audits = NULL, *waiting = NULL,
           *arms = NULL, *attacker = NULL, *externals = NULL, *result = NULL;
    agon_status status = find_run(s, run, &row);
    const char *id = status ? NULL : json_string_value(json_object_get(row, "id"));
    if (!status)
        status = query_one(s, VERSIONS_SQL("IN"), id, &versions);
    if (!status)
        status = query_one(s, VERSIONS_SQL("NOT IN"), id, &others);
    if (!status)
        status = query_one(s, AUDITS_SQL, id, &audits);
    labels = json_pack("{si si si si}", "verifier", 0, "critic", 0, "human", 0, "simulated", 0);
    tokens = json_object();
    counters = json_object();
    if (!status && (!labels || !tokens || !counters))
        status = ctx_no_memory(s->ctx);
    if (!status)
        status = counts(s, LABELS_SQL, id, labels);
    if (!status)
        status = counts(s, "SELECT substr(name, 8) AS name, value AS n FROM counter WHERE run = ?1"
                           " AND name LIKE 'tokens.%'", id, tokens);
    if (!status)
        status = counts(s, "SELECT name, value AS n FROM counter WHERE run = ?1 AND name NOT LIKE 'tokens.%'",
                        id, counters);
    if (!status)
        status = query_one(s, WAITING_SQL, id, &waiting);
    if (!status)
        status = find_arms(s, id, &arms);
    if (!status)
        status = query_one(s, ATTACKER_SQL, id, &attacker);
    if (!status)
        status = query_one(s, EXTERNALS_SQL, id, &externals);
    if (!status) {
        result = json_pack("{sO ss sO sO sO sO sO sO sO sO sO? sO? sO sO? sO? sO?}", "run", json_object_get(row, "name"), "state",
                           state_of(s, row), "iteration", json_object_get(row, "iteration"), "stage",
                           json_object_get(row, "stage"), "versions", versions, "labels", labels, "audits", audits, "tokens", tokens,
                           "counters", counters, "other_versions", others, "updated_ms",
                           json_object_get(row, "updated_ms"), "progress", json_object_get(row, "data"), "answers_waiting",
                           json_object_get(json_array_get(waiting, 0), "n"), "arms", arms, "attacker",
                           json_object_get(json_array_get(attacker, 0), "attacker"), "externals", json_object_get(json_array_get(externals, 0), "externals"));
        if (!result)
            status = ctx_no_memory(s->ctx);
    }
    if (!status)
        *out = result;
    json_decref(row);
    json_decref(attacker);
    json_decref(externals);
    json_decref(versions);
    json_decref(others);
    json_decref(labels);
    json_decref(audits);
    json_decref(tokens);
    json_decref(counters);
    json_decref(waiting);
    json_decref(arms);
    return status;
}

agon_status store_log(store *s, const char *run, int64_t after, int64_t limit, json_t **out) {
    json_t *row = NULL, *parameters = NULL;
    agon_status status = find_run(s, run, &row);
    if (!status)
        parameters = json_pack("[OII]", json_object_get(row, "id"), (json_int_t)(limit > 0 ? limit : -1),
                               (json_int_t)after);
    if (!status)
        status = store_query_json(s,
                                  "SELECT * FROM (SELECT number, time_ms, iteration, stage, message, data AS data_json"
                                  " FROM event WHERE (run = ?1 OR run IN (SELECT r.id FROM run r WHERE " ARMS_OF " = ?1))"
                                  " AND number > ?3 ORDER BY number DESC LIMIT ?2) ORDER BY number",
                                  parameters, out);
    json_decref(row);
    json_decref(parameters);
    return status;
}

/* ---- show and why ----------------------------------------------------------------------------------- */

typedef struct found_record {
    const char *table; /* static */
    store_id id;
} found_record;

static agon_status search_table(store *s, const char *table, const char *prefix, found_record *found,
                                size_t *n_found) {
    char *sql = NULL;
    json_t *rows = NULL;
    if (asprintf(&sql, "SELECT id FROM %s WHERE id >= ?1 AND id < ?1 || char(1114111) LIMIT 2", table) < 0)
        return ctx_no_memory(s->ctx);
    agon_status status = query_one(s, sql, prefix, &rows);
    free(sql);
    if (status)
        return status;
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const char *id = json_string_value(json_object_get(row, "id"));
        bool exact = id && strcmp(id, prefix) == 0;
        if (*n_found == 0 || exact) {
            found->table = table;
            snprintf(found->id.text, sizeof found->id.text, "%s", id ? id : "");
        }
        *n_found = exact ? 1 : *n_found + 1;
        if (exact)
            break;
    }
    json_decref(rows);
    return AGON_OK;
}

/* Objects carry no meaning of their own, and an adapter's object may share digits with its version: last resort. */
static agon_status find_record(store *s, const char *prefix, found_record *found) {
    size_t n = 0;
    agon_status status = AGON_OK;
    if (strlen(prefix) < PREFIX_DIGITS)
        return ctx_fail(s->ctx, AGON_EINVAL, "'%s': give at least %d digits of the id", prefix, PREFIX_DIGITS);
    for (int k = 0; k < RECORD_OBJECT && !status; k++)
        status = search_table(s, schema_table((record_kind)k)->name, prefix, found, &n);
    if (!status && n == 0)
        status = search_table(s, "object", prefix, found, &n);
    if (!status && n == 0)
        status = ctx_fail(s->ctx, AGON_ENOTFOUND, "%s: no record has an id that begins with '%.64s'", s->folder,
                          prefix);
    if (!status && n > 1)
        status = ctx_fail(s->ctx, AGON_EINVAL, "'%.64s' begins more than one id; give more digits", prefix);
    return status;
}

/* Members that hold canonical JSON as text, parsed. */
static void parse_members(json_t *record) {
    static const char *const keys[] = {"meta", "fields", "labels", "texts", "parameters", "examples", "held_out",
                                       "figures"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = json_string_value(json_object_get(record, keys[i]));
        json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        if (v)
            json_object_set_new(record, keys[i], v);
    }
}

static agon_status load_record(store *s, const char *table, const char *id, json_t **record) {
    char *sql = NULL;
    json_t *rows = NULL;
    if (schema_find(table) == RECORD_N_KINDS || asprintf(&sql, "SELECT * FROM %s WHERE id = ?1", table) < 0)
        return ctx_no_memory(s->ctx);
    agon_status status = query_one(s, sql, id, &rows);
    free(sql);
    if (status)
        return status;
    *record = json_array_size(rows) ? json_incref(json_array_get(rows, 0)) : json_null();
    parse_members(*record);
    json_decref(rows);
    return AGON_OK;
}

agon_status store_show(store *s, const char *id, json_t **out) {
    found_record found;
    json_t *record = NULL, *up = NULL, *down = NULL;
    agon_status status = find_record(s, id, &found);
    if (!status)
        status = load_record(s, found.table, found.id.text, &record);
    if (!status)
        status = query_one(s, "SELECT parent AS id, parent_table AS \"table\", because FROM descent WHERE child = ?1",
                           found.id.text, &up);
    if (!status)
        status = query_one(s, "SELECT child AS id, child_table AS \"table\", because FROM descent WHERE parent = ?1"
                              " LIMIT 200", found.id.text, &down);
    if (!status) {
        json_t *result = json_pack("{ss ss sO sO sO}", "table", found.table, "id", found.id.text, "record", record,
                                   "from", up, "referred_by", down);
        if (result)
            *out = result;
        else
            status = ctx_no_memory(s->ctx);
    }
    json_decref(record);
    json_decref(up);
    json_decref(down);
    return status;
}

/* Appends one visited record and its parents to the queue `chain`, which is the result as well. */
static agon_status why_visit(store *s, json_t *chain, json_t *seen, json_t *entry) {
    const char *id = json_string_value(json_object_get(entry, "id"));
    const char *table = json_string_value(json_object_get(entry, "table"));
    json_int_t depth = json_integer_value(json_object_get(entry, "depth"));
    json_t *record = NULL, *parents = NULL, *parent;
    size_t i;
    agon_status status = load_record(s, table, id, &record);
    if (!status && json_object_set_new(entry, "record", record) != 0)
        status = ctx_no_memory(s->ctx);
    if (!status)
        status = query_one(s, "SELECT parent AS id, parent_table AS \"table\", because FROM descent WHERE child = ?1",
                           id, &parents);
    json_array_foreach(parents, i, parent) {
        const char *above = json_string_value(json_object_get(parent, "id"));
        if (status || !above || json_object_get(seen, above) || json_array_size(chain) >= WHY_LIMIT)
            continue;
        json_object_set_new(parent, "depth", json_integer(depth + 1));
        json_object_set_new(parent, "of", json_string(id));
        if (json_object_set_new(seen, above, json_true()) != 0 || json_array_append(chain, parent) != 0)
            status = ctx_no_memory(s->ctx);
    }
    json_decref(parents);
    return status;
}

agon_status store_why(store *s, const char *id, json_t **out) {
    found_record found;
    agon_status status = find_record(s, id, &found);
    if (status)
        return status;
    json_t *chain = json_pack("[{si ss ss ss}]", "depth", 0, "table", found.table, "id", found.id.text,
                              "because", "asked");
    json_t *seen = json_pack("{sb}", found.id.text, 1);
    if (!chain || !seen)
        status = ctx_no_memory(s->ctx);
    for (size_t i = 0; !status && i < json_array_size(chain); i++)
        status = why_visit(s, chain, seen, json_array_get(chain, i));
    json_decref(seen);
    if (status)
        json_decref(chain);
    else
        *out = chain;
    return status;
}

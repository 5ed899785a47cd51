/* Records of any kind by their columns: content ids, and into the queue.
 *
 * A record's hash is SHA-256 of canonical JSON (sorted keys, no spaces) of {"table": name, column: value, ...} without
 * absent columns; own ids enter as "id". The derived id is the first 128 bits: collisions by accident are
 * out of reach, and rows stay readable. */
#include "base/buffer.h"
#include "base/json.h"
#include "store/store_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DERIVED_DIGITS = 32 };

/* ---- hashing ---------------------------------------------------------------------------------------- */

agon_status record_hash(agon_ctx *ctx, record_kind kind, const json_t *columns, const char *own_id,
                        hash256 *out) {
    json_t *all = json_copy((json_t *)(uintptr_t)columns);
    char *canonical = NULL;
    if (all && json_object_set_new(all, "table", json_string(schema_table(kind)->name)) == 0 &&
        (!own_id || json_object_set_new(all, "id", json_string(own_id)) == 0))
        canonical = json_canonical(all);
    json_decref(all);
    if (!canonical)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory hashing a record");
    *out = hash_text(canonical);
    free(canonical);
    return AGON_OK;
}

json_t *record_from_row(record_kind kind, sqlite3_stmt *statement) {
    const record_table *t = schema_table(kind);
    json_t *columns = json_object();
    for (int i = 0; columns && t->columns[i]; i++) {
        json_t *v = NULL;
        switch (sqlite3_column_type(statement, i + 1)) {
        case SQLITE_NULL:
            continue;
        case SQLITE_INTEGER:
            v = json_integer(sqlite3_column_int64(statement, i + 1));
            break;
        case SQLITE_FLOAT:
            v = json_real(sqlite3_column_double(statement, i + 1));
            break;
        default: { /* damaged text may be no UTF-8: kept out of jansson's checks, the hash shows it */
            const char *text = (const char *)sqlite3_column_text(statement, i + 1);
            v = json_stringn_nocheck(text, (size_t)sqlite3_column_bytes(statement, i + 1));
        }
        }
        if (json_object_set_new(columns, t->columns[i], v) != 0) {
            json_decref(columns);
            columns = NULL;
        }
    }
    return columns;
}

char *record_select(record_kind kind, const char *tail) {
    const record_table *t = schema_table(kind);
    buffer b = {0};
    buffer_text(&b, "SELECT id");
    for (int i = 0; t->columns[i]; i++)
        buffer_printf(&b, ", %s", t->columns[i]);
    buffer_printf(&b, " FROM %s%s", t->name, tail);
    char *sql = buffer_take(&b);
    buffer_free(&b);
    return sql;
}

/* ---- queueing --------------------------------------------------------------------------------------- */

/* The INSERT's parameters: id, the columns in the table's order, the time. */
static json_t *insert_values(record_kind kind, const json_t *columns, const char *id) {
    const record_table *t = schema_table(kind);
    json_t *values = json_array();
    int bad = !values || json_array_append_new(values, json_string(id));
    for (int i = 0; t->columns[i] && !bad; i++) {
        json_t *v = json_object_get(columns, t->columns[i]);
        bad = json_array_append_new(values, v ? json_incref(v) : json_null());
    }
    if (!bad)
        bad = json_array_append_new(values, json_integer(store_now_ms()));
    if (bad) {
        json_decref(values);
        return NULL;
    }
    return values;
}

static agon_status list_record(store *s, const char *table, const char *id, const char *hash) {
    json_t *entry = hash ? json_pack("[sss]", table, id, hash) : json_pack("[ss]", table, id);
    if (json_array_append_new(s->records, entry) != 0)
        return ctx_no_memory(s->ctx);
    return AGON_OK;
}

/* What has an id of its own may be there already, by another run and with other columns: an adapter that two runs trained alike, a base that
 * an older agon recorded with its run. The row stays as it is, and the hash that a step lists is the row's. */
static agon_status hash_as_recorded(store *s, record_kind kind, const char *own_id, hash256 *hash) {
    char *sql = record_select(kind, " WHERE id = ?1");
    sqlite3_stmt *statement = NULL;
    agon_status status = sql ? AGON_OK : ctx_no_memory(s->ctx);
    if (!status && sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK)
        status = store_sql_fail(s, s->db, "looking for a record");
    if (!status) {
        sqlite3_bind_text(statement, 1, own_id, -1, SQLITE_STATIC);
        int rc = sqlite3_step(statement);
        json_t *columns = rc == SQLITE_ROW ? record_from_row(kind, statement) : NULL;
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            status = store_sql_fail(s, s->db, "looking for a record");
        else if (rc == SQLITE_ROW)
            status = columns ? record_hash(s->ctx, kind, columns, own_id, hash) : ctx_no_memory(s->ctx);
        json_decref(columns);
    }
    sqlite3_finalize(statement);
    free(sql);
    return status;
}

agon_status store_record_take(store *s, record_kind kind, json_t *columns, const char *own_id,
                              store_id *id) {
    const record_table *t = schema_table(kind);
    hash256 hash;
    char hex[HASH_HEX_SIZE];
    store_id made = {{0}};
    agon_status status = record_hash(s->ctx, kind, columns, own_id, &hash);
    if (!status && own_id)
        status = hash_as_recorded(s, kind, own_id, &hash);
    if (!status) {
        hash_hex(&hash, hex);
        if (own_id && strlen(own_id) >= sizeof made.text)
            status = ctx_fail(s->ctx, AGON_EINVAL, "%s: the id '%.80s' is too long", t->name, own_id);
        else
            snprintf(made.text, sizeof made.text, "%.*s", own_id ? STORE_ID_SIZE : DERIVED_DIGITS,
                     own_id ? own_id : hex);
    }
    if (!status)
        status = store_queue_take(s, s->insert_sql[kind], insert_values(kind, columns, made.text), false);
    if (!status)
        status = list_record(s, t->name, made.text, own_id ? hex : NULL);
    json_decref(columns);
    if (!status && id)
        *id = made;
    return status;
}

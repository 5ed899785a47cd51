/* What the files of src/store share, and src/step needs: the queue, statements, errors. */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "base/ctx.h"
#include "store/schema.h"
#include "store/store.h"

typedef struct store_write {
    const char *sql; /* static or owned by the store for its life: the statement cache compares pointers */
    json_t *values;  /* array bound to ?1.. */
    bool to_ledger;
} store_write;

typedef struct store_statement {
    const char *sql;
    sqlite3_stmt *statement;
} store_statement;

struct store {
    agon_ctx *ctx;
    char *folder;
    store_mode mode;
    int lock_fd;
    bool made, made_folder; /* by this opening: the database, the folder */
    sqlite3 *db, *ledger;
    store_statement *statements;
    size_t n_statements, capacity_statements;
    char *insert_sql[RECORD_N_KINDS];
    store_write *queue;
    size_t n_queue, capacity_queue;
    json_t *records; /* [table, id] or [table, id, hash] of what was queued since store_take_records */
    json_t *oracles; /* queued text id -> its oracle */
    json_t *sealed;  /* queued ids that are sealed or descend from one that is */
    json_t *settled; /* "run/counter" -> [sum queued, settlements queued] */
    store_hook hook;
    void *hook_arg;
};

/* Records the SQLite error of `db` as a status: disk full EIO, descent rule EREFUSED, ... */
agon_status store_sql_fail(store *s, sqlite3 *db, const char *doing);
/* Cached statement, reset, bindings cleared; borrowed until the store closes. */
agon_status store_statement_get(store *s, sqlite3 *db, const char *sql, sqlite3_stmt **out);
/* Binds a JSON array: strings, integers, reals, booleans, null. `values` must outlive the statement's use. */
agon_status store_bind(store *s, sqlite3 *db, sqlite3_stmt *statement, const json_t *values);
/* A column as text, "" for null; borrowed until the statement's next step. */
const char *store_column(sqlite3_stmt *statement, int i);
/* Runs SQL without results. */
agon_status store_exec(store *s, sqlite3 *db, const char *sql);
/* Opens a database of the workspace with SQLite's flags; one that it is to create is made. *out: sqlite3_close; NULL on failure. */
AGON_MUST_CHECK agon_status store_open_database(store *s, const char *name, int flags, sqlite3 **out);
/* Opens a database of the workspace to read, also where this user may not write. *out: sqlite3_close; NULL on failure. */
AGON_MUST_CHECK agon_status store_open_reader(store *s, const char *name, sqlite3 **out);
/* Whether tables, triggers or views are others than the schema's: a trigger that was taken out refuses nothing any more. */
agon_status store_schema_differs(store *s, bool *differs);
/* Appends a write to the queue; `values` taken. */
agon_status store_queue_take(store *s, const char *sql, json_t *values, bool to_ledger);
/* Applies one write in a transaction of its own, at once, durably or (synced false) not; `values` taken. */
agon_status store_write_now_take(store *s, const char *sql, json_t *values, bool synced);
/* The list of records queued since the last call; new. */
json_t *store_take_records(store *s);

/* Queues a record; `columns` (object; JSON null members are dropped) taken. `own_id` NULL: derived. */
agon_status store_record_take(store *s, record_kind kind, json_t *columns, const char *own_id,
                              store_id *id);
/* Content hash of a record: SHA-256 of canonical JSON of its columns and its table's name. `columns` without nulls. */
agon_status record_hash(agon_ctx *ctx, record_kind kind, const json_t *columns, const char *own_id,
                        hash256 *out);
/* The row of a table as the object that was hashed. `statement` selects id, then the table's columns (record_select). New or NULL. */
json_t *record_from_row(record_kind kind, sqlite3_stmt *statement);
/* "SELECT id, COLUMNS FROM table" and `tail`, new or NULL. */
char *record_select(record_kind kind, const char *tail);

/* An object's file without its row; and its removal (missing is fine). */
agon_status object_write(store *s, const byte_stream *x, hash256 *hash);
agon_status object_remove(store *s, const char *hex);
/* In how many rows the object is named: 0 when nothing needs its file. */
agon_status object_n_named(store *s, const char *hex, int64_t *n);
/* Removes files that no row names: left by a crash. STORE_RUN only. */
agon_status object_collect(store *s);
/* Calls fn(arg, hex digits) for every file in objects/. */
agon_status object_each(store *s, agon_status (*fn)(void *arg, const char *hex), void *arg);

void store_point(store *s, const char *point); /* a place where fault tests may stop the process */
int64_t store_now_ms(void);
/* Is somebody running here? pid 0 when not known. */
bool store_is_running(const char *folder, long *pid);
char *store_path(const store *s, const char *name); /* new or NULL */

#endif

/* The workspace: opening, locking, the write queue and its transaction, see store.h.
 *
 * Invariants
 *   1. At most one STORE_RUN store per folder: it holds a write lock on the file `lock` (an open file description
 *      lock: it goes with the process, and others can ask about it without taking it).
 *   2. Only STORE_RUN writes records; STORE_REVIEW writes the inbox and nothing else (an authorizer denies the
 *      rest); STORE_READ opens read-only.
 *   3. store_commit is the only writer of records. It applies the whole queue in one transaction or none of
 *      it. The ledger's part goes first: its rows are idempotent, so a crash in between loses nothing.
 *   4. The write lock of SQLite is held only inside store_commit, for milliseconds: reviewers can always write.
 *   5. After a failed commit the database is as before and the queue is intact.
 *
 *      store_open --> [clean] --store_add_*--> [queued] --store_commit--> [clean]
 *                        ^                        |  |         | failed
 *                        '----store_rollback------'  '<--------'
 */
#include "base/file.h"
#include "base/memory.h"
#include "store/store_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- small things ---------------------------------------------------------------------------------- */

int64_t store_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *store_path(const store *s, const char *name) {
    return path_join(s->folder, name);
}

const char *store_folder(const store *s) {
    return s->folder;
}

void store_set_hook(store *s, store_hook hook, void *arg) {
    s->hook = hook;
    s->hook_arg = arg;
}

void store_point(store *s, const char *point) {
    if (s->hook)
        s->hook(s->hook_arg, point);
}

/* ---- the queue and its transaction ------------------------------------------------------------------ */

agon_status store_queue_take(store *s, const char *sql, json_t *values, bool to_ledger) {
    if (s->mode != STORE_RUN) {
        json_decref(values);
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: opened for reading", s->folder);
    }
    if (!values || !memory_grow((void **)&s->queue, &s->capacity_queue, s->n_queue, sizeof *s->queue)) {
        json_decref(values);
        return ctx_fail(s->ctx, AGON_ENOMEM, "%s: out of memory", s->folder);
    }
    s->queue[s->n_queue++] = (store_write){sql, values, to_ledger};
    return AGON_OK;
}

json_t *store_take_records(store *s) {
    json_t *taken = s->records;
    s->records = json_array();
    return taken;
}

void store_rollback(store *s) {
    for (size_t i = 0; i < s->n_queue; i++)
        json_decref(s->queue[i].values);
    s->n_queue = 0;
    json_array_clear(s->records);
    json_object_clear(s->oracles);
    json_object_clear(s->sealed);
    json_object_clear(s->settled);
}

static agon_status apply(store *s, sqlite3 *db, const store_write *w) {
    sqlite3_stmt *statement = NULL;
    agon_status status = store_statement_get(s, db, w->sql, &statement);
    if (!status)
        status = store_bind(s, db, statement, w->values);
    if (!status && sqlite3_step(statement) != SQLITE_DONE)
        status = store_sql_fail(s, db, "writing records");
    sqlite3_reset(statement);
    return status;
}

/* One transaction over the queue's writes for agon.db or for the ledger. */
static agon_status apply_queue(store *s, sqlite3 *db, bool to_ledger) {
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return store_sql_fail(s, db, "beginning to write");
    agon_status status = AGON_OK;
    for (size_t i = 0; i < s->n_queue && !status; i++)
        if (s->queue[i].to_ledger == to_ledger)
            status = apply(s, db, &s->queue[i]);
    if (!status && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        status = store_sql_fail(s, db, "committing");
    if (status && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static agon_status open_ledger(store *s) {
    if (s->ledger)
        return AGON_OK;
    agon_status status =
        store_open_database(s, "sealed.db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &s->ledger);
    if (!status)
        status = store_exec(s, s->ledger, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    if (!status)
        status = store_exec(s, s->ledger, schema_ledger());
    return status;
}

agon_status store_commit(store *s) {
    agon_status status = AGON_OK;
    bool ledger = false;
    for (size_t i = 0; i < s->n_queue; i++)
        ledger |= s->queue[i].to_ledger;
    if (s->n_queue == 0)
        return AGON_OK;
    store_point(s, "commit.before");
    if (ledger) {
        status = open_ledger(s);
        if (!status)
            status = apply_queue(s, s->ledger, true);
        store_point(s, "commit.ledger");
    }
    if (!status)
        status = apply_queue(s, s->db, false);
    if (status)
        return status;
    store_point(s, "commit.after");
    store_rollback(s); /* the queue is written: empty it */
    return AGON_OK;
}

agon_status store_write_now_take(store *s, const char *sql, json_t *values, bool synced) {
    if (!values)
        return ctx_no_memory(s->ctx);
    store_write w = {sql, values, false};
    agon_status status = AGON_OK;
    if (!synced)
        status = store_exec(s, s->db, "PRAGMA synchronous=NORMAL");
    if (!status)
        status = apply(s, s->db, &w);
    if (!synced && sqlite3_exec(s->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL) != SQLITE_OK && !status)
        status = store_sql_fail(s, s->db, "restoring synchronous=FULL");
    json_decref(values);
    return status;
}

/* ---- the lock --------------------------------------------------------------------------------------- */

static long read_pid(int fd) {
    char digits[32] = {0};
    ssize_t n = pread(fd, digits, sizeof digits - 1, 0);
    return n > 0 ? strtol(digits, NULL, 10) : 0;
}

bool store_is_running(const char *folder, long *pid) {
    char *path = NULL;
    *pid = 0;
    if (asprintf(&path, "%s/lock", folder) < 0)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return false;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    bool running = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (running)
        *pid = read_pid(fd);
    close(fd);
    return running;
}

static agon_status take_lock(store *s) {
    char *path = store_path(s, "lock");
    if (!path)
        return ctx_no_memory(s->ctx);
    agon_status status = AGON_OK;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock_fd < 0)
        status = file_fail(s->ctx, path, "opening");
    else if (fcntl(s->lock_fd, F_OFD_SETLK, &lock) != 0)
        status = errno == EAGAIN || errno == EACCES
                     ? ctx_fail(s->ctx, AGON_EBUSY,
                                "%s: process %ld is running here; wait for it, stop it, or choose another workspace",
                                s->folder, read_pid(s->lock_fd))
                     : ctx_fail(s->ctx, AGON_EIO, "%s: %s while locking", path, strerror(errno));
    if (!status) {
        char digits[32];
        int n = snprintf(digits, sizeof digits, "%ld\n", (long)getpid());
        /* The number is for people; a full disk must not keep the run from its own recovery. */
        if (ftruncate(s->lock_fd, 0) != 0 || pwrite(s->lock_fd, digits, (size_t)n, 0) != n)
            (void)0;
    }
    free(path);
    return status;
}

/* ---- opening and closing ---------------------------------------------------------------------------- */

static int only_inbox(void *arg, int action, const char *a, const char *b, const char *database,
                      const char *trigger) {
    (void)arg, (void)b, (void)database, (void)trigger;
    switch (action) {
    case SQLITE_INSERT:
        return strcmp(a, "inbox") == 0 || strcmp(a, "sqlite_sequence") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_UPDATE:
        return strcmp(a, "sqlite_sequence") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
    case SQLITE_TRANSACTION:
    case SQLITE_PRAGMA:
        return SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

static agon_status read_pragma(store *s, const char *sql, int64_t *out) {
    sqlite3_stmt *statement = NULL;
    agon_status status = AGON_OK;
    if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = store_sql_fail(s, s->db, "reading the workspace's version");
    else
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

static agon_status migrate_one(store *s, int version) {
    char pragma[96];
    agon_status status = store_exec(s, s->db, "BEGIN IMMEDIATE");
    if (status)
        return status;
    for (int part = 0; !status && schema_migration(version, part); part++)
        status = store_exec(s, s->db, schema_migration(version, part));
    snprintf(pragma, sizeof pragma, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
             SCHEMA_APPLICATION_ID, version + 1);
    if (!status)
        status = store_exec(s, s->db, pragma);
    if (status && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* Everything the database defines, a line each: name and SQL, by name. NULL: out of memory or not readable. */
static char *definitions(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    char *all = NULL;
    if (sqlite3_prepare_v2(db,
                           "SELECT coalesce(group_concat(name || ': ' || sql, char(10)), '') FROM"
                           " (SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        all = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return all;
}

agon_status store_schema_differs(store *s, bool *differs) {
    sqlite3 *fresh = NULL;
    char *here = NULL, *there = NULL;
    agon_status status = sqlite3_open(":memory:", &fresh) == SQLITE_OK ? AGON_OK : store_sql_fail(s, fresh, "making a schema");
    for (int version = 0; version < SCHEMA_VERSION; version++)
        for (int part = 0; !status && schema_migration(version, part); part++)
            status = store_exec(s, fresh, schema_migration(version, part));
    if (!status && (!(here = definitions(s->db)) || !(there = definitions(fresh))))
        status = store_sql_fail(s, s->db, "reading the schema");
    if (!status)
        *differs = strcmp(here, there) != 0;
    if (!status && *differs && !(status = store_exec(s, fresh, schema_earlier_views()))) {
        free(there);
        if ((there = definitions(fresh)))
            *differs = strcmp(here, there) != 0;
        else
            status = store_sql_fail(s, fresh, "reading the schema");
    }
    free(here);
    free(there);
    sqlite3_close(fresh);
    return status;
}

static agon_status check_version(store *s) {
    int64_t version = 0, application = 0;
    agon_status status = read_pragma(s, "PRAGMA user_version", &version);
    if (!status)
        status = read_pragma(s, "PRAGMA application_id", &application);
    if (status)
        return status;
    if (version > SCHEMA_VERSION)
        return ctx_fail(s->ctx, AGON_EUNSUPPORTED,
                        "%s/agon.db: schema version %lld is newer than this agon's %d; use a newer agon",
                        s->folder, (long long)version, SCHEMA_VERSION);
    if (version > 0 && application != SCHEMA_APPLICATION_ID)
        return ctx_fail(s->ctx, AGON_EFORMAT, "%s/agon.db: a database, but not agon's", s->folder);
    if (s->mode != STORE_RUN && version < SCHEMA_VERSION)
        return ctx_fail(s->ctx, version ? AGON_EUNSUPPORTED : AGON_ENOTFOUND,
                        version ? "%s: from an older agon; `agon run` brings it up to date"
                                : "%s: no run has begun in this workspace yet",
                        s->folder);
    for (int v = (int)version; v < SCHEMA_VERSION && !status; v++)
        status = migrate_one(s, v);
    return status;
}

/* AGON_EINVAL: what is there by the workspace's name is no folder, nor a link to one. */
static agon_status check_folder(const store *s) {
    struct stat there;
    if (!s->made_folder || lstat(s->folder, &there) != 0)
        return AGON_OK;
    return ctx_fail(s->ctx, AGON_EINVAL, "%s is %s; a workspace is a folder: give another name, or move that away", s->folder,
                    S_ISLNK(there.st_mode) ? "a link that leads to no folder" : "no folder");
}

static agon_status open_all(store *s) {
    s->made_folder = !folder_exists(s->folder);
    agon_status status = check_folder(s);
    char *objects = store_path(s, "objects"), *db = store_path(s, "agon.db");
    if (!status && (!objects || !db))
        status = ctx_no_memory(s->ctx);
    if (!status && s->mode == STORE_RUN)
        status = folder_make(s->ctx, objects);
    if (!status && s->mode == STORE_RUN)
        status = take_lock(s);
    if (!status)
        s->made = s->mode == STORE_RUN && !file_exists(db);
    if (!status && s->mode != STORE_RUN && !file_exists(db))
        status = ctx_fail(s->ctx, AGON_ENOTFOUND, "%s: no workspace here (no agon.db); `agon run FILE --workspace %s` makes one",
                          s->folder, s->folder);
    free(objects);
    free(db);
    if (!status)
        status = s->mode == STORE_READ
                     ? store_open_reader(s, "agon.db", &s->db)
                     : store_open_database(s, "agon.db", SQLITE_OPEN_READWRITE | (s->mode == STORE_RUN ? SQLITE_OPEN_CREATE : 0), &s->db);
    if (!status && s->mode == STORE_RUN)
        status = store_exec(s, s->db, "PRAGMA journal_mode=WAL");
    if (!status)
        status = store_exec(s, s->db, "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL;");
    if (!status)
        status = check_version(s);
    if (!status && s->mode == STORE_REVIEW)
        sqlite3_set_authorizer(s->db, only_inbox, NULL);
    return status;
}

/* INSERT INTO t (id, columns..., created_ms) ... ON CONFLICT DO NOTHING: equal content is one record. */
static char *make_insert(const record_table *t) {
    char names[1024], marks[256], *sql = NULL;
    int n_names = snprintf(names, sizeof names, "id"), n_marks = snprintf(marks, sizeof marks, "?");
    for (int i = 0; t->columns[i]; i++) {
        n_names += snprintf(names + n_names, sizeof names - (size_t)n_names, ", %s", t->columns[i]);
        n_marks += snprintf(marks + n_marks, sizeof marks - (size_t)n_marks, ", ?");
    }
    assert(n_names < (int)sizeof names && n_marks < (int)sizeof marks);
    if (asprintf(&sql, "INSERT INTO %s (%s, created_ms) VALUES (%s, ?) ON CONFLICT (id) DO NOTHING",
                 t->name, names, marks) < 0)
        return NULL;
    return sql;
}

agon_status store_open(agon_ctx *ctx, const char *folder, store_mode mode, store **out) {
    store *s = calloc(1, sizeof *s);
    if (!s)
        return ctx_no_memory(ctx);
    s->ctx = ctx;
    s->mode = mode;
    s->lock_fd = -1;
    s->folder = strdup(folder);
    s->records = json_array();
    s->oracles = json_object();
    s->sealed = json_object();
    s->settled = json_object();
    bool memory = s->folder && s->records && s->oracles && s->sealed && s->settled;
    for (int k = 0; k < RECORD_N_KINDS && memory; k++)
        memory = (s->insert_sql[k] = make_insert(schema_table((record_kind)k))) != NULL;
    agon_status status = memory ? open_all(s) : ctx_no_memory(ctx);
    if (status) {
        store_close(s);
        return status;
    }
    *out = s;
    return AGON_OK;
}

static void close_databases(store *s) {
    store_rollback(s);
    for (size_t i = 0; i < s->n_statements; i++)
        sqlite3_finalize(s->statements[i].statement);
    free(s->statements);
    s->statements = NULL;
    s->n_statements = 0;
    sqlite3_close(s->ledger);
    sqlite3_close(s->db);
    s->ledger = s->db = NULL;
}

void store_abandon(store *s) {
    static const struct {
        const char *name;
        int (*take_away)(const char *path); /* rmdir refuses a folder that holds anything */
    } parts[] = {{"agon.db", unlink}, {"objects", rmdir}, {"lock", unlink}};
    int64_t runs = 0;
    if (s && s->made && store_query_int(s, "SELECT count(*) FROM run", NULL, &runs) == AGON_OK && runs == 0) {
        close_databases(s); /* the lock is held: nobody else begins here meanwhile */
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            char *path = store_path(s, parts[i].name);
            if (path)
                (void)parts[i].take_away(path);
            free(path);
        }
        if (s->made_folder)
            (void)rmdir(s->folder);
    }
    store_close(s);
}

void store_close(store *s) {
    if (!s)
        return;
    close_databases(s);
    for (int k = 0; k < RECORD_N_KINDS; k++)
        free(s->insert_sql[k]);
    free(s->queue);
    json_decref(s->records);
    json_decref(s->oracles);
    json_decref(s->sealed);
    json_decref(s->settled);
    free(s->folder);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
}

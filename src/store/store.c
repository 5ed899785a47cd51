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

enum { BUSY_TIMEOUT_MS = 10000 };

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

/* ---- SQL ------------------------------------------------------------------------------------------- */

agon_status store_sql_fail(store *s, sqlite3 *db, const char *doing) {
    static const char refused[] = "refused: ";
    int extended = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    const char *message = db ? sqlite3_errmsg(db) : "out of memory";
    if (extended == SQLITE_CONSTRAINT_TRIGGER && strncmp(message, refused, sizeof refused - 1) == 0)
        return ctx_fail(s->ctx, AGON_EREFUSED, "%s: %s", s->folder, message + sizeof refused - 1);
    switch (extended & 0xff) {
    case SQLITE_FULL:
        return ctx_fail(s->ctx, AGON_EIO, "%s: no space left while %s; free some and run again",
                        s->folder, doing);
    case SQLITE_READONLY:
        /* what SQLite says, too, of a log that could not be opened for writing for whatever reason */
        if (access(s->folder, W_OK) == 0 && db && sqlite3_db_filename(db, "main") && access(sqlite3_db_filename(db, "main"), W_OK) == 0)
            return ctx_fail(s->ctx, AGON_EIO, "%s: could be opened for reading only (while %s); check the disk and how many files may be open, then run again",
                            s->folder, doing);
        return ctx_fail(s->ctx, AGON_EIO, "%s: may not be written to by this user (while %s); ask its owner, or work on a copy", s->folder, doing);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        /* SQLite keeps no reason of a write to its log, and ENOENT of a file that it could not create. */
        if (sqlite3_system_errno(db) == 0 || sqlite3_system_errno(db) == ENOENT)
            return ctx_fail(s->ctx, AGON_EIO, "%s: %s while %s; check the disk and its quota, then run again", s->folder, message, doing);
        return ctx_fail(s->ctx, AGON_EIO, "%s: %s while %s (%s)", s->folder, message, doing,
                        strerror(sqlite3_system_errno(db)));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ctx_fail(s->ctx, AGON_EBUSY, "%s: another program kept the database locked for %d s while %s",
                        s->folder, BUSY_TIMEOUT_MS / 1000, doing);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return ctx_fail(s->ctx, AGON_EFORMAT, "%s: the database is damaged (%s) while %s; restore it from a copy",
                        s->folder, message, doing);
    case SQLITE_NOMEM:
        return ctx_fail(s->ctx, AGON_ENOMEM, "%s: out of memory while %s", s->folder, doing);
    case SQLITE_AUTH:
        return ctx_fail(s->ctx, AGON_EREFUSED, "%s: a reviewer's connection writes to the inbox only", s->folder);
    case SQLITE_CONSTRAINT:
        if (extended == SQLITE_CONSTRAINT_FOREIGNKEY)
            return ctx_fail(s->ctx, AGON_EINVAL, "%s: a record refers to one that is not there (%s)",
                            s->folder, doing);
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: %s while %s", s->folder, message, doing);
    default:
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: %s while %s", s->folder, message, doing);
    }
}

agon_status store_statement_get(store *s, sqlite3 *db, const char *sql, sqlite3_stmt **out) {
    for (size_t i = 0; i < s->n_statements; i++)
        if (s->statements[i].sql == sql) {
            *out = s->statements[i].statement;
            sqlite3_reset(*out);
            sqlite3_clear_bindings(*out);
            return AGON_OK;
        }
    if (!memory_grow((void **)&s->statements, &s->capacity_statements, s->n_statements, sizeof *s->statements))
        return ctx_no_memory(s->ctx);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        return store_sql_fail(s, db, "preparing a statement");
    s->statements[s->n_statements++] = (store_statement){sql, statement};
    *out = statement;
    return AGON_OK;
}

agon_status store_bind(store *s, sqlite3 *db, sqlite3_stmt *statement, const json_t *values) {
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *v = json_array_get(values, i);
        int column = (int)i + 1, rc;
        switch (json_typeof(v)) {
        case JSON_STRING:
            rc = sqlite3_bind_text64(statement, column, json_string_value(v), json_string_length(v),
                                     SQLITE_STATIC, SQLITE_UTF8);
            break;
        case JSON_INTEGER:
            rc = sqlite3_bind_int64(statement, column, json_integer_value(v));
            break;
        case JSON_REAL:
            rc = sqlite3_bind_double(statement, column, json_real_value(v));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            rc = sqlite3_bind_int(statement, column, json_is_true(v));
            break;
        case JSON_NULL:
            rc = sqlite3_bind_null(statement, column);
            break;
        default:
            return ctx_fail(s->ctx, AGON_EINVAL, "an SQL parameter is an array or object");
        }
        if (rc != SQLITE_OK)
            return store_sql_fail(s, db, "binding a parameter");
    }
    return AGON_OK;
}

agon_status store_exec(store *s, sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_sql_fail(s, db, "preparing the workspace");
    return AGON_OK;
}

/* ---- the queue and its transaction ------------------------------------------------------------------ */

const char *store_column(sqlite3_stmt *statement, int i) {
    const char *text = (const char *)sqlite3_column_text(statement, i);
    return text ? text : "";
}

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

/* SQLite, which cannot create a file, tries to read it, and says that there is none. */
static agon_status create_database(store *s, const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return file_fail(s->ctx, path, "creating");
    close(fd);
    return AGON_OK;
}

static agon_status open_database(store *s, const char *name, int flags, sqlite3 **out) {
    char *path = store_path(s, name);
    if (!path)
        return ctx_no_memory(s->ctx);
    agon_status status = flags & SQLITE_OPEN_CREATE && !file_exists(path) ? create_database(s, path) : AGON_OK;
    if (status) {
        free(path);
        return status;
    }
    if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK) {
        status = store_sql_fail(s, *out, "opening the database");
        sqlite3_close(*out);
        *out = NULL;
    } else if (flags & SQLITE_OPEN_READWRITE && sqlite3_db_readonly(*out, "main") == 1 && access(path, W_OK) == 0) {
        /* what SQLite does where opening for writing fails, for whatever reason */
        status = ctx_fail(s->ctx, AGON_EIO, "%s: could be opened for reading only; check the disk and how many files may be open, then run again", path);
        sqlite3_close(*out);
        *out = NULL;
    } else {
        sqlite3_busy_timeout(*out, BUSY_TIMEOUT_MS);
    }
    free(path);
    return status;
}

/* "file:" URI of a database that nobody changes; NULL: out of memory. */
static char *immutable_uri(const char *path) {
    static const char end[] = "?immutable=1";
    char *uri = malloc(size_mul(strlen(path), 3) + sizeof "file://" + sizeof end), *to = uri;
    if (!uri)
        return NULL;
    to += sprintf(to, "%s", *path == '/' ? "file://" : "file:");
    for (; *path; path++)
        to += sprintf(to, strchr("?#%", *path) ? "%%%02X" : "%c", (unsigned char)*path);
    strcpy(to, end);
    return uri;
}

/* Readers of a write-ahead log share an index file beside it. Who may not make one there can still read a database whose log is gone or
 * empty, as its last writer leaves it: everything is in the file itself. */
static agon_status open_reader_at(store *s, const char *path, sqlite3 **out) {
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    char *log = NULL, *uri = NULL;
    struct stat st;
    int rc = sqlite3_open_v2(path, out, flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(*out, BUSY_TIMEOUT_MS);
        rc = sqlite3_exec(*out, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    }
    bool shut_out = (rc & 0xff) == SQLITE_READONLY || (rc & 0xff) == SQLITE_CANTOPEN;
    if (shut_out && asprintf(&log, "%s-wal", path) >= 0 && (stat(log, &st) != 0 || st.st_size == 0) && (uri = immutable_uri(path))) {
        sqlite3_close(*out);
        rc = sqlite3_open_v2(uri, out, flags | SQLITE_OPEN_URI, NULL);
    }
    free(log);
    free(uri);
    if (rc == SQLITE_OK)
        return AGON_OK;
    agon_status status = store_sql_fail(s, *out, "opening the database to read");
    sqlite3_close(*out);
    *out = NULL;
    return status;
}

agon_status store_open_reader(store *s, const char *name, sqlite3 **out) {
    char *path = store_path(s, name);
    agon_status status = path ? open_reader_at(s, path, out) : ctx_no_memory(s->ctx);
    free(path);
    return status;
}

static agon_status open_ledger(store *s) {
    if (s->ledger)
        return AGON_OK;
    agon_status status =
        open_database(s, "sealed.db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &s->ledger);
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
                     : open_database(s, "agon.db", SQLITE_OPEN_READWRITE | (s->mode == STORE_RUN ? SQLITE_OPEN_CREATE : 0), &s->db);
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

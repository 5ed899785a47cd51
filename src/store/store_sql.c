/* SQLite as the store uses it, see store_internal.h: its errors in words, statements, and databases opened. */
#include "base/memory.h"
#include "store/store_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_TIMEOUT_MS = 10000 };

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

const char *store_column(sqlite3_stmt *statement, int i) {
    const char *text = (const char *)sqlite3_column_text(statement, i);
    return text ? text : "";
}

agon_status store_exec(store *s, sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_sql_fail(s, db, "preparing the workspace");
    return AGON_OK;
}

/* SQLite, which cannot create a file, tries to read it, and says that there is none. */
static agon_status create_database(store *s, const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return file_fail(s->ctx, path, "creating");
    close(fd);
    return AGON_OK;
}

agon_status store_open_database(store *s, const char *name, int flags, sqlite3 **out) {
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

/* Objects: large bytes by their SHA-256, objects/ab/cdef... Written under a temporary name in objects/, synced and renamed before
 * any row names them; a file that no row names is left over from a crash and is collected at the next run. */
#include "base/file.h"
#include "store/store_internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *hex_path(const store *s, const char *hex) {
    char *path = NULL;
    return asprintf(&path, "%s/objects/%.2s/%s", s->folder, hex, hex + 2) < 0 ? NULL : path;
}

agon_status object_path(store *s, const hash256 *hash, char **path) {
    char hex[HASH_HEX_SIZE];
    hash_hex(hash, hex);
    char *made = hex_path(s, hex);
    if (!made)
        return ctx_no_memory(s->ctx);
    *path = made;
    return AGON_OK;
}

bool object_exists(const store *s, const hash256 *hash) {
    char hex[HASH_HEX_SIZE];
    hash_hex(hash, hex);
    char *path = hex_path(s, hex);
    bool exists = path && file_exists(path);
    free(path);
    return exists;
}

static agon_status damaged(agon_ctx *ctx, const char *path) {
    return ctx_fail(ctx, AGON_EMISMATCH, "%s: the content does not have the hash in its name; restore it from a copy", path);
}

/* AGON_EMISMATCH when the bytes do not have that hash. */
static agon_status open_checked(agon_ctx *ctx, const char *path, const hash256 *hash, byte_reader *out) {
    byte_reader r = {0};
    hash256 found;
    agon_status status = byte_reader_open(ctx, path, &r);
    if (!status)
        status = byte_reader_hash(ctx, &r, &found);
    if (!status && memcmp(&found, hash, sizeof found) != 0)
        status = damaged(ctx, path);
    if (status)
        byte_reader_close(&r);
    else
        *out = r;
    return status;
}
/* Is the object there and whole? A damaged one is written again. */
static bool holds(const char *path, const hash256 *hash) {
    byte_reader r = {0};
    bool whole = open_checked(NULL, path, hash, &r) == AGON_OK;
    byte_reader_close(&r);
    return whole;
}

typedef struct hashed_writer {
    agon_ctx *ctx;
    file_writer *file;
    hasher *hash;
} hashed_writer;

static agon_status add_hashed(void *arg, const void *data, size_t n) {
    const hashed_writer *w = arg;
    hasher_add(w->hash, data, n);
    return file_writer_add(w->ctx, w->file, data, n);
}

/* Writes a file whose name is not known yet: *file is to be given one, and committed. */
static agon_status write_nameless(store *s, const byte_stream *x, file_writer **file, hash256 *hash) {
    hashed_writer w = {.ctx = s->ctx, .hash = hasher_new()};
    char *path = store_path(s, "objects/new");
    agon_status status = w.hash && path ? file_writer_open(s->ctx, path, &w.file) : ctx_no_memory(s->ctx);
    free(path);
    if (!status)
        status = x->write(x, add_hashed, &w);
    if (w.hash)
        *hash = hasher_end(w.hash);
    if (status)
        file_writer_abort(w.file);
    else
        *file = w.file;
    return status;
}

/* Gives a nameless file its name; taken. */
static agon_status name_take(store *s, const char *path, file_writer *file) {
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    agon_status status = folder ? folder_make(s->ctx, folder) : ctx_no_memory(s->ctx);
    free(folder);
    if (!status)
        status = file_writer_rename(s->ctx, file, path);
    if (!status)
        return file_writer_commit_take(s->ctx, file);
    file_writer_abort(file);
    return status;
}

agon_status object_write(store *s, const byte_stream *x, hash256 *hash) {
    hash256 h;
    char *path = NULL;
    file_writer *file = NULL;
    agon_status status = write_nameless(s, x, &file, &h);
    if (!status)
        status = object_path(s, &h, &path);
    if (status || holds(path, &h)) {
        file_writer_abort(file);
    } else {
        store_point(s, "object.before");
        status = name_take(s, path, file);
        store_point(s, "object.after");
    }
    free(path);
    if (!status)
        *hash = h;
    return status;
}

agon_status object_put(store *s, const void *data, size_t n, hash256 *hash) {
    char hex[HASH_HEX_SIZE];
    hash256 h;
    if (s->mode != STORE_RUN)
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: opened for reading", s->folder);
    const byte_stream x = stream_of(data, n);
    agon_status status = object_write(s, &x, &h);
    if (status)
        return status;
    hash_hex(&h, hex);
    json_t *columns = json_pack("{sI}", "size", (json_int_t)n);
    if (!columns)
        return ctx_no_memory(s->ctx);
    status = store_record_take(s, RECORD_OBJECT, columns, hex, NULL);
    if (!status)
        *hash = h;
    return status;
}

agon_status object_open(store *s, const hash256 *hash, byte_reader *out) {
    char *path = NULL;
    agon_status status = object_path(s, hash, &path);
    if (!status)
        status = open_checked(s->ctx, path, hash, out);
    free(path);
    return status;
}

agon_status object_get(store *s, const hash256 *hash, void **data, size_t *n) {
    char *path = NULL, *bytes = NULL;
    size_t size;
    agon_status status = object_path(s, hash, &path);
    if (status)
        return status;
    status = file_read(s->ctx, path, SIZE_MAX - 1, &bytes, &size);
    if (!status) {
        hash256 h = hash_bytes(bytes, size);
        if (memcmp(&h, hash, sizeof h) != 0) {
            status = damaged(s->ctx, path);
            free(bytes);
        }
    }
    free(path);
    if (!status) {
        *data = bytes;
        *n = size;
    }
    return status;
}

agon_status object_remove(store *s, const char *hex) {
    char *path = hex_path(s, hex);
    agon_status status = AGON_OK;
    if (!path)
        return ctx_no_memory(s->ctx);
    if (unlink(path) != 0 && errno != ENOENT)
        status = ctx_fail(s->ctx, AGON_EIO, "%s: %s while removing", path, strerror(errno));
    free(path);
    return status;
}

/* Files of one objects/ab folder. What killed writers of earlier versions left there is removed when `sweep`. */
static agon_status each_in(store *s, const char *prefix, bool sweep,
                           agon_status (*fn)(void *arg, const char *hex), void *arg) {
    char *path = NULL;
    if (asprintf(&path, "%s/objects/%s", s->folder, prefix) < 0)
        return ctx_no_memory(s->ctx);
    if (sweep)
        file_sweep(path);
    DIR *folder = opendir(path);
    agon_status status = AGON_OK;
    for (struct dirent *e; folder && !status && (e = readdir(folder));) {
        char hex[HASH_HEX_SIZE];
        hash256 hash;
        if (e->d_name[0] == '.')
            continue;
        if (strlen(e->d_name) == 62) {
            snprintf(hex, sizeof hex, "%.2s%.62s", prefix, e->d_name);
            if (hash_parse(hex, &hash) && fn)
                status = fn(arg, hex);
        }
    }
    if (folder)
        closedir(folder);
    free(path);
    return status;
}

static agon_status each_file(store *s, bool sweep, agon_status (*fn)(void *arg, const char *hex), void *arg) {
    agon_status status = AGON_OK;
    for (int i = 0; i < 256 && !status; i++) {
        char prefix[3];
        snprintf(prefix, sizeof prefix, "%02x", i);
        status = each_in(s, prefix, sweep, fn, arg);
    }
    return status;
}

agon_status object_each(store *s, agon_status (*fn)(void *arg, const char *hex), void *arg) {
    return each_file(s, false, fn, arg);
}

agon_status object_n_named(store *s, const char *hex, int64_t *n) {
    json_t *parameters = json_pack("[s]", hex);
    agon_status status = store_query_int(
        s, "SELECT (SELECT count(*) FROM object WHERE id = ?1) + (SELECT count(*) FROM checkpoint WHERE object = ?1)",
        parameters, n);
    json_decref(parameters);
    return status;
}

static agon_status collect_one(void *arg, const char *hex) {
    store *s = arg;
    int64_t named = 0;
    agon_status status = object_n_named(s, hex, &named);
    if (!status && named == 0)
        status = object_remove(s, hex);
    return status;
}

agon_status object_collect(store *s) {
    char *path = store_path(s, "objects");
    if (!path)
        return ctx_no_memory(s->ctx);
    file_sweep(path);
    free(path);
    return each_file(s, true, collect_one, s);
}

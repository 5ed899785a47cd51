/* What the fuzz targets of damaged workspaces do with one input: edits of a small workspace's database and objects, answers in its inbox.
 * test_workspace_corpus.c runs the same functions over the kept corpus and its mutations, without a fuzzer. Nothing is refused: what a
 * reader says of damage is checked here. */
#ifndef TESTS_FUZZ_WORKSPACE_TARGETS_H
#define TESTS_FUZZ_WORKSPACE_TARGETS_H

#include "../small_recipe.h"
#include "base/ctx.h"
#include "fuzz_check.h"
#include "step/step_internal.h"
#include <dirent.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- small things --------------------------------------------------------------------------------------------- */

enum { FUZZ_MOST_OBJECTS = 8, FUZZ_MOST_ROWS = 200 };

static inline void fuzz_in(char out[300], const char *folder, const char *name) {
    snprintf(out, 300, "%s/%s", folder, name);
}

static inline int fuzz_remove_one(const char *path, const struct stat *st, int type, struct FTW *f) {
    (void)st, (void)type, (void)f;
    return remove(path);
}

static inline void fuzz_remove(const char *folder) {
    FUZZ_CHECK(nftw(folder, fuzz_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "%s", folder);
}

static inline void fuzz_folder(char out[64]) {
    strcpy(out, access("/dev/shm", W_OK) == 0 ? "/dev/shm/agon-fuzz-XXXXXX" : "/tmp/agon-fuzz-XXXXXX");
    FUZZ_CHECK(mkdtemp(out), "no folder");
}

/* What went wrong is said in one sentence, and it is not said to be memory. Returns the status. */
static inline agon_status fuzz_said(agon_ctx *ctx, const char *doing, agon_status s) {
    FUZZ_CHECK(!s || (strlen(agon_error(ctx)) >= 20 && !strchr(agon_error(ctx), '\n') && s != AGON_ENOMEM), "%s: %s: '%s'", doing, agon_status_name(s),
               agon_error(ctx));
    return s;
}

static inline void fuzz_sql(sqlite3 *db, const char *sql) {
    char *message = NULL;
    FUZZ_CHECK(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql, message ? message : "");
}

/* ---- the workspaces that are damaged --------------------------------------------------------------------------- */

/* strict: agon.db as agon leaves it; loose: the same without types, checks and triggers, so that a cell can take anything. */
typedef struct fuzz_image {
    char *strict, *loose;
    size_t n_strict, n_loose;
    json_t *schema; /* [[type, name, tbl_name, rootpage, sql]] of the first */
    /* and the ledger, as one of them */
    char *objects[FUZZ_MOST_OBJECTS], *names[FUZZ_MOST_OBJECTS];
    size_t n_bytes[FUZZ_MOST_OBJECTS], n_objects;
} fuzz_image;

static inline void fuzz_load(const char *path, char **data, size_t *n) {
    FUZZ_CHECK(file_read(NULL, path, 1 << 24, data, n) == AGON_OK, "%s", path);
}

static inline void fuzz_take_objects(fuzz_image *m, const char *folder) {
    char objects[300], below[600], path[1200];
    fuzz_in(objects, folder, "objects");
    DIR *d = opendir(objects);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", objects, e->d_name);
        DIR *files = opendir(below);
        for (struct dirent *f; files && (f = readdir(files));) {
            if (f->d_name[0] == '.' || m->n_objects == FUZZ_MOST_OBJECTS - 1)
                continue;
            snprintf(path, sizeof path, "%s/%s", below, f->d_name);
            fuzz_load(path, &m->objects[m->n_objects], &m->n_bytes[m->n_objects]);
            m->names[m->n_objects++] = strdup(path + strlen(folder));
        }
        closedir(files);
    }
    closedir(d);
}

/* The schema's rows, and the same tables without what keeps them in order. */
static inline void fuzz_loosen(fuzz_image *m, const char *path) {
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    FUZZ_CHECK(sqlite3_prepare_v2(db, "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema", -1, &rows, NULL) == SQLITE_OK, "schema");
    m->schema = json_array();
    while (sqlite3_step(rows) == SQLITE_ROW)
        json_array_append_new(m->schema, json_pack("[sssIs?]", sqlite3_column_text(rows, 0), sqlite3_column_text(rows, 1), sqlite3_column_text(rows, 2),
                                                   (json_int_t)sqlite3_column_int64(rows, 3), sqlite3_column_text(rows, 4)));
    sqlite3_finalize(rows);
    fuzz_sql(db, "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema WHERE type IN ('trigger', 'view');"
                 " UPDATE sqlite_schema SET sql = replace(replace(replace(replace(replace(replace(replace(sql, ') STRICT, WITHOUT', ') WITHOUT'), ') STRICT', ')'),"
                 " ' TEXT', ' BLOB'), ' REAL', ' BLOB'), ' INTEGER NOT NULL', ' BLOB'), ' NOT NULL', ''), ' CHECK (', ' CHECK (1 OR ')"
                 " WHERE type = 'table'");
    sqlite3_close(db);
}

/* stop: the run was killed while it trained, at its second checkpoint; without, it is done. The folder's database as it stands then. */
typedef struct fuzz_stop {
    const char *from, *to;
    int n;
} fuzz_stop;

static inline void fuzz_copy_at(void *arg, const char *point) {
    fuzz_stop *stop = arg;
    char path[300], sql[400];
    if (strcmp(point, "checkpoint.after") != 0 || ++stop->n != 2)
        return;
    static const char *const databases[] = {"agon.db", "sealed.db"};
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = NULL;
        fuzz_in(path, stop->from, databases[i]);
        snprintf(sql, sizeof sql, "PRAGMA page_size=1024; VACUUM INTO '%s/%s'", stop->to, databases[i]);
        FUZZ_CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK, "%s", path);
        fuzz_sql(db, sql);
        sqlite3_close(db);
    }
    snprintf(sql, sizeof sql, "cp -r '%s/objects' '%s/objects'", stop->from, stop->to);
    FUZZ_CHECK(system(sql) == 0, "%s", sql);
}

static inline fuzz_image *fuzz_image_new(agon_ctx *ctx, bool stopped) {
    fuzz_image *m = calloc(1, sizeof *m);
    char folder[64], copy[64], path[300];
    hash256 head;
    store *s = NULL;
    fuzz_folder(folder);
    fuzz_folder(copy);
    fuzz_stop stop = {folder, copy, stopped ? 0 : 2};
    FUZZ_CHECK(m && store_open(ctx, folder, STORE_RUN, &s) == AGON_OK && recipe_run(ctx, s, 1, fuzz_copy_at, &stop, &head) == AGON_OK, "%s", agon_error(ctx));
    stop.n = 1;
    if (!stopped)
        fuzz_copy_at(&stop, "checkpoint.after");
    store_close(s);
    fuzz_in(path, copy, "agon.db");
    fuzz_load(path, &m->strict, &m->n_strict);
    fuzz_take_objects(m, copy);
    fuzz_in(path, copy, "sealed.db");
    fuzz_load(path, &m->objects[m->n_objects], &m->n_bytes[m->n_objects]);
    m->names[m->n_objects++] = strdup("/sealed.db");
    fuzz_in(path, copy, "agon.db");
    fuzz_loosen(m, path);
    fuzz_load(path, &m->loose, &m->n_loose);
    fuzz_remove(folder);
    fuzz_remove(copy);
    return m;
}

/* ---- edits ------------------------------------------------------------------------------------------------------ */

/* The input as it is read; at its end come zeros. */
typedef struct fuzz_reader {
    const uint8_t *data;
    size_t n, at;
} fuzz_reader;

static inline uint64_t fuzz_number(fuzz_reader *r, int bytes) {
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint64_t)(r->at < r->n ? r->data[r->at++] : 0) << 8 * i;
    return x;
}

static inline const char *fuzz_bytes(fuzz_reader *r, size_t *n) {
    size_t left = r->n - r->at, wanted = (size_t)fuzz_number(r, 1);
    left = r->n - r->at;
    *n = wanted < left ? wanted : left;
    const char *bytes = (const char *)r->data + r->at;
    r->at += *n;
    return *n ? bytes : "";
}

/* Values that a table of agon's never has, or has elsewhere. */
static inline int fuzz_bind_known(sqlite3_stmt *s, int at, uint64_t which) {
    static const char *const texts[] = {"", "[]", "{}", "null", "[[\"settlement\",\"queries\",9223372036854775807]]", "[[\"settlement\",3,1]]",
                                        "[[\"ledger\",null,null,null]]", "[[\"text\",\"\"]]", "[[1,2,3]]", "[[]]", "{\"queries\":[]}", "{\"queries\":[7,null]}",
                                        "single", "batch", "iteration/1/train", "main", "0", "18446744073709551616", "1e999", "[\"\\u0000\"]", "\xff\xfe", "a\nb\x1b[2J"};
    return sqlite3_bind_text(s, at, texts[which % (sizeof texts / sizeof *texts)], -1, SQLITE_STATIC);
}

static inline void fuzz_bind(sqlite3_stmt *s, int at, fuzz_reader *r) {
    size_t n;
    double x;
    uint64_t bits;
    switch (fuzz_number(r, 1) % 6) {
    case 0:
        sqlite3_bind_null(s, at);
        break;
    case 1:
        sqlite3_bind_int64(s, at, (int64_t)fuzz_number(r, 8));
        break;
    case 2:
        bits = fuzz_number(r, 8);
        memcpy(&x, &bits, sizeof x);
        sqlite3_bind_double(s, at, x);
        break;
    case 3: {
        const char *bytes = fuzz_bytes(r, &n);
        sqlite3_bind_text(s, at, bytes, (int)n, SQLITE_TRANSIENT);
        break;
    }
    case 4: {
        const char *bytes = fuzz_bytes(r, &n);
        sqlite3_bind_blob(s, at, bytes, (int)n, SQLITE_TRANSIENT);
        break;
    }
    default:
        fuzz_bind_known(s, at, fuzz_number(r, 1));
    }
}

/* A cell, or (value NULL) a row, of the table that the input names. What SQLite refuses does not happen. */
static inline void fuzz_edit_row(sqlite3 *db, fuzz_reader *r, bool cell) {
    static const char *const tables[] = {"run", "step", "step_item", "checkpoint", "progress", "event", "text", "verification", "label", "example",
                                         "example_label", "model_version", "version_status", "model_version_example", "object", "counter"};
    const char *table = tables[fuzz_number(r, 1) % (sizeof tables / sizeof *tables)];
    uint64_t row = fuzz_number(r, 1), column = cell ? fuzz_number(r, 1) : 0;
    char sql[600];
    sqlite3_stmt *s = NULL;
    snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
    FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    int n = sqlite3_column_count(s);
    char name[64];
    snprintf(name, sizeof name, "%s", sqlite3_column_name(s, (int)(column % (uint64_t)n)));
    char first[64], second[64];
    snprintf(first, sizeof first, "%s", sqlite3_column_name(s, 0));
    snprintf(second, sizeof second, "%s", sqlite3_column_name(s, n > 1 ? 1 : 0));
    sqlite3_finalize(s);
    /* tables without a rowid have two columns in their key */
    const bool keyed = strcmp(table, "example_label") == 0 || strcmp(table, "model_version_example") == 0 || strcmp(table, "counter") == 0;
    char where[400];
    if (!keyed)
        snprintf(where, sizeof where, "rowid = (SELECT rowid FROM %s LIMIT 1 OFFSET %llu)", table, (unsigned long long)(row % 16));
    else
        snprintf(where, sizeof where, "(%s, %s) IN (SELECT %s, %s FROM %s LIMIT 1 OFFSET %llu)", first, second, first, second, table,
                 (unsigned long long)(row % 4));
    snprintf(sql, sizeof sql, cell ? "UPDATE %s SET \"%s\" = ?1 WHERE %s" : "DELETE FROM %s WHERE %.0s%s", table, cell ? name : "", where);
    FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    if (cell)
        fuzz_bind(s, 1, r);
    (void)!sqlite3_step(s);
    sqlite3_finalize(s);
}

static inline const char *fuzz_cell(sqlite3_stmt *s, int i) {
    const char *text = (const char *)sqlite3_column_text(s, i);
    return text ? text : "";
}

static inline void fuzz_set_hashes(sqlite3 *db, const char *sql, int64_t rowid, const char *a, const char *b, const char *c, const char *d) {
    sqlite3_stmt *s = NULL;
    FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_bind_int64(s, 1, rowid);
    const char *const texts[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        sqlite3_bind_text(s, i + 2, texts[i], -1, SQLITE_TRANSIENT);
    (void)!sqlite3_step(s);
    sqlite3_finalize(s);
}

/* The journal's hashes of what stands in it now, as somebody would make them who wants the edits believed. */
static inline void fuzz_forge_items(sqlite3 *db, const char *path, int attempt, hash256 *leaves, size_t *n) {
    sqlite3_stmt *s = NULL;
    *n = 0;
    FUZZ_CHECK(sqlite3_prepare_v2(db, "SELECT rowid, path, item, kind, input, result, records, attempt, position, reproducible FROM step_item"
                                      " WHERE path = ?1 AND attempt = ?2 ORDER BY position", -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
    sqlite3_bind_int(s, 2, attempt);
    while (sqlite3_step(s) == SQLITE_ROW && *n < FUZZ_MOST_ROWS) {
        char input[HASH_HEX_SIZE], result[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
        text_hash(fuzz_cell(s, 4), input);
        text_hash(fuzz_cell(s, 5), result);
        const journal_item item = {.path = fuzz_cell(s, 1), .item = fuzz_cell(s, 2), .kind = fuzz_cell(s, 3), .input_hash = input, .result_hash = result,
                                   .records = fuzz_cell(s, 6), .attempt = sqlite3_column_int64(s, 7), .position = sqlite3_column_int64(s, 8),
                                   .reproducible = sqlite3_column_int(s, 9)};
        if (!journal_item_hash(&item, &leaves[*n]))
            break;
        hash_hex(&leaves[(*n)++], hex);
        fuzz_set_hashes(db, "UPDATE step_item SET input_hash = ?2, result_hash = ?3, hash = ?4 WHERE rowid = ?1", sqlite3_column_int64(s, 0), input, result,
                        hex, "");
    }
    sqlite3_finalize(s);
}

static inline void fuzz_forge(sqlite3 *db) {
    sqlite3_stmt *s = NULL;
    char head[HASH_HEX_SIZE] = "", run[64] = "";
    hash256 leaves[FUZZ_MOST_ROWS];
    if (sqlite3_prepare_v2(db, "SELECT hash, id FROM run", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        snprintf(head, sizeof head, "%s", fuzz_cell(s, 0));
        snprintf(run, sizeof run, "%s", fuzz_cell(s, 1));
    }
    sqlite3_finalize(s);
    FUZZ_CHECK(sqlite3_prepare_v2(db, "SELECT rowid, seq, path, item, attempt, kind, shape, reproducible, input, result, records, n_items, input_hash"
                                      " FROM step ORDER BY seq", -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    for (int k = 0; sqlite3_step(s) == SQLITE_ROW && k < FUZZ_MOST_ROWS; k++) {
        char input[HASH_HEX_SIZE], result[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
        const bool batch = strcmp(fuzz_cell(s, 6), "batch") == 0;
        size_t n = 0;
        text_hash(fuzz_cell(s, 8), input);
        text_hash(fuzz_cell(s, 9), result);
        if (batch) {
            fuzz_forge_items(db, fuzz_cell(s, 2), sqlite3_column_int(s, 4), leaves, &n);
            hash256 root = merkle_root(leaves, n);
            hash_hex(&root, result);
            snprintf(input, sizeof input, "%s", fuzz_cell(s, 12));
        }
        const journal_row row = {.run = run, .seq = sqlite3_column_int64(s, 1), .path = fuzz_cell(s, 2), .item = fuzz_cell(s, 3),
                                 .attempt = sqlite3_column_int64(s, 4), .kind = fuzz_cell(s, 5), .shape = fuzz_cell(s, 6),
                                 .reproducible = sqlite3_column_int(s, 7), .input_hash = input, .result_hash = result, .records = fuzz_cell(s, 10),
                                 .n_items = sqlite3_column_int64(s, 11), .prev = head};
        if (!journal_row_hash(&row, hex))
            break;
        fuzz_set_hashes(db, "UPDATE step SET input_hash = ?2, result_hash = ?3, prev = ?4, hash = ?5 WHERE rowid = ?1", sqlite3_column_int64(s, 0), input,
                        result, head, hex);
        memcpy(head, hex, sizeof head);
    }
    sqlite3_finalize(s);
}

/* Puts the schema's own words back. */
static inline void fuzz_tighten(sqlite3 *db, const fuzz_image *m) {
    size_t i;
    json_t *row;
    sqlite3_stmt *s = NULL;
    fuzz_sql(db, "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema");
    FUZZ_CHECK(sqlite3_prepare_v2(db, "INSERT INTO sqlite_schema VALUES (?1, ?2, ?3, ?4, ?5)", -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    json_array_foreach(m->schema, i, row) {
        for (int k = 0; k < 5; k++) {
            json_t *v = json_array_get(row, (size_t)k);
            if (json_is_integer(v))
                sqlite3_bind_int64(s, k + 1, json_integer_value(v));
            else
                sqlite3_bind_text(s, k + 1, json_string_value(v), -1, SQLITE_STATIC);
        }
        FUZZ_CHECK(sqlite3_step(s) == SQLITE_DONE, "%s", sqlite3_errmsg(db));
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
}

enum fuzz_edit { EDIT_BYTES, EDIT_CUT, EDIT_OBJECT, EDIT_CELL, EDIT_ROW, EDIT_FORGE, N_EDITS };

static inline void fuzz_write_file(const char *folder, const char *name, const char *data, size_t n) {
    char path[300];
    fuzz_in(path, folder, name);
    FILE *f = fopen(path, "wb");
    FUZZ_CHECK(f && fwrite(data, 1, n, f) == n && fclose(f) == 0, "%s", path);
}

/* Bytes of an object: changed, cut, or the file gone. */
static inline void fuzz_edit_object(const char *folder, const fuzz_image *m, fuzz_reader *r) {
    uint64_t which = fuzz_number(r, 1), at = fuzz_number(r, 2), what = fuzz_number(r, 1);
    char path[300];
    if (!m->n_objects)
        return;
    which %= m->n_objects;
    fuzz_in(path, folder, m->names[which]);
    if (what % 4 == 0) {
        unlink(path);
    } else if (what % 4 == 1) {
        (void)!truncate(path, (off_t)(at % (m->n_bytes[which] + 1)));
    } else {
        FILE *f = fopen(path, "r+b");
        if (f && m->n_bytes[which] && fseek(f, (long)(at % m->n_bytes[which]), SEEK_SET) == 0)
            fputc((int)what, f);
        if (f)
            fclose(f);
    }
}

/* One pass over the input: rows through SQL first, then (sql NULL) bytes of the files. What there was to do. */
typedef struct fuzz_work {
    bool rows, forged;
} fuzz_work;

static inline fuzz_work fuzz_edit(fuzz_reader r, const char *folder, const fuzz_image *m, sqlite3 *db, char *bytes, size_t *n) {
    fuzz_work work = {0};
    while (r.at < r.n) {
        switch ((enum fuzz_edit)(fuzz_number(&r, 1) % N_EDITS)) {
        case EDIT_BYTES: {
            uint64_t at = fuzz_number(&r, 3), value = fuzz_number(&r, 4), size = fuzz_number(&r, 1) % 4 + 1;
            for (uint64_t i = 0; bytes && i < size && *n; i++)
                bytes[(at + i) % *n] = (char)(value >> 8 * i);
            break;
        }
        case EDIT_CUT: {
            uint64_t size = fuzz_number(&r, 3);
            *n = bytes ? size % (*n + 1) : *n;
            break;
        }
        case EDIT_OBJECT: {
            fuzz_reader again = r;
            fuzz_number(&r, 4);
            if (bytes)
                fuzz_edit_object(folder, m, &again);
            break;
        }
        case EDIT_CELL:
        case EDIT_ROW: {
            bool cell = r.data[r.at - 1] % N_EDITS == EDIT_CELL;
            work.rows = true;
            if (db) {
                fuzz_edit_row(db, &r, cell);
            } else { /* reads the same */
                fuzz_number(&r, cell ? 3 : 2);
                uint64_t type = cell ? fuzz_number(&r, 1) % 6 : 0;
                size_t skipped;
                if (cell && (type == 1 || type == 2))
                    fuzz_number(&r, 8);
                else if (cell && (type == 3 || type == 4))
                    fuzz_bytes(&r, &skipped);
                else if (cell && type == 5)
                    fuzz_number(&r, 1);
            }
            break;
        }
        default:
            work.rows = work.forged = true;
            if (db)
                fuzz_forge(db);
        }
    }
    return work;
}

/* The damaged workspace in `folder`. Whether the journal's hashes say that it is not. */
static inline bool fuzz_damage(const fuzz_image *m, const char *folder, const uint8_t *data, size_t n) {
    const fuzz_reader r = {data, n, 0};
    char path[300], objects[600];
    size_t size = 0;
    const fuzz_work work = fuzz_edit(r, folder, m, NULL, NULL, &size);
    for (size_t i = 0; i < m->n_objects; i++) {
        fuzz_in(objects, folder, m->names[i]);
        *strrchr(objects, '/') = 0;
        FUZZ_CHECK(folder_make(NULL, objects) == AGON_OK, "%s", objects);
        fuzz_write_file(folder, m->names[i], m->objects[i], m->n_bytes[i]);
    }
    fuzz_write_file(folder, "agon.db", work.rows ? m->loose : m->strict, work.rows ? m->n_loose : m->n_strict);
    fuzz_in(path, folder, "agon.db");
    if (work.rows) {
        sqlite3 *db = NULL;
        FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
        fuzz_sql(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA foreign_keys=OFF; BEGIN");
        fuzz_edit(r, folder, m, db, NULL, &size);
        fuzz_tighten(db, m);
        fuzz_sql(db, "COMMIT");
        sqlite3_close(db);
    }
    char *bytes = NULL;
    fuzz_load(path, &bytes, &size);
    fuzz_edit(r, folder, m, NULL, bytes, &size);
    fuzz_write_file(folder, "agon.db", bytes, size);
    free(bytes);
    return work.forged;
}

/* ---- what is done with it ---------------------------------------------------------------------------------------- */

static inline agon_status fuzz_visit(void *arg, const step_row *row) {
    char *text = json_canonical(row->result);
    *(size_t *)arg += text ? strlen(text) : 0;
    free(text);
    return AGON_OK;
}

static inline void fuzz_give_back(agon_ctx *ctx, const char *doing, agon_status s, json_t **found) {
    char *text = fuzz_said(ctx, doing, s) ? NULL : json_dumps(*found, JSON_ENCODE_ANY);
    FUZZ_CHECK(s || text, "%s: not to be written as JSON", doing);
    if (!s)
        json_decref(*found);
    *found = NULL;
    free(text);
}

/* What every reading command asks. *whole: `verify` finds nothing. */
static inline void fuzz_read_workspace(agon_ctx *ctx, const char *folder, bool *whole, char why[512]) {
    static const char *const records[] = {"text", "example", "label", "model_version", "object", "step"};
    store *s = NULL;
    json_t *found = NULL, *rows = NULL;
    size_t n = 0;
    int64_t count = 0;
    journal_report report = {0};
    *whole = false;
    if (fuzz_said(ctx, "open", store_open(ctx, folder, STORE_READ, &s)))
        return;
    fuzz_give_back(ctx, "status", store_status(s, NULL, &found), &found);
    fuzz_give_back(ctx, "log", store_log(s, "main", 0, 0, &found), &found);
    fuzz_give_back(ctx, "ledger", store_ledger_read(s, &found), &found);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT %s AS id FROM %s LIMIT 2", strcmp(records[i], "step") == 0 ? "hash" : "id", records[i]);
        if (fuzz_said(ctx, sql, store_query_json(s, sql, NULL, &rows)))
            continue;
        for (size_t k = 0; k < json_array_size(rows); k++) {
            const char *id = json_string_value(json_object_get(json_array_get(rows, k), "id"));
            fuzz_give_back(ctx, "show", id ? store_show(s, id, &found) : AGON_OK, id ? &found : &(json_t *){json_null()});
            fuzz_give_back(ctx, "why", id ? store_why(s, id, &found) : AGON_OK, id ? &found : &(json_t *){json_null()});
        }
        json_decref(rows);
    }
    (void)fuzz_said(ctx, "count", store_query_int(s, "SELECT value FROM counter", NULL, &count));
    (void)fuzz_said(ctx, "counter", store_counter(s, "main", "queries", &count));
    (void)fuzz_said(ctx, "descent", store_descent_violations(s, &count));
    (void)fuzz_said(ctx, "walk", step_iterate(ctx, s, NULL, fuzz_visit, &n));
    if (!fuzz_said(ctx, "verify", journal_verify(ctx, s, &report))) {
        json_t *text = json_string(report.problem);
        FUZZ_CHECK(report.ok ? !*report.problem : text && strlen(report.problem) >= 20 && !strchr(report.problem, '\n') && !strstr(report.problem, "memory"),
                   "verify says: '%s'", report.problem);
        memcpy(why, report.problem, sizeof report.problem);
        json_decref(text);
        *whole = report.ok;
    }
    store_close(s);
}

/* Database and objects of a small workspace, damaged as the input says; its first byte chooses the workspace. */
static inline agon_status fuzz_workspace(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static fuzz_image *images[2];
    char folder[64];
    char why[512] = "";
    bool whole = false;
    hash256 head;
    store *s = NULL;
    const size_t which = n ? data[0] & 1 : 0;
    if (!images[which])
        images[which] = fuzz_image_new(ctx, which);
    fuzz_folder(folder);
    const bool forged = fuzz_damage(images[which], folder, n ? data + 1 : data, n ? n - 1 : 0);
    fuzz_read_workspace(ctx, folder, &whole, why);
    FUZZ_CHECK(whole || n > 1, "nothing was damaged: %s", why);
    agon_status status = store_open(ctx, folder, STORE_RUN, &s);
    if (!status)
        status = recipe_run(ctx, s, 1, NULL, NULL, &head);
    (void)fuzz_said(ctx, "run", status);
    FUZZ_CHECK(!whole || forged || !status, "verify finds nothing, but the run says: %s", agon_error(ctx));
    store_close(s);
    fuzz_remove(folder);
    return AGON_OK;
}

#endif

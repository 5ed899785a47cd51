/* Dividing a file of rows: see convert.h. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/convert.h"
#include "train/row_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct split_row {
    hash256 whole, prompt;
    char *line;
} split_row;

typedef struct splitter {
    agon_ctx *ctx;
    split_row *rows;
    size_t n, capacity, n_guessed;
} splitter;

static agon_status keep_row(void *arg, const char *where, json_t *object) {
    splitter *x = arg;
    (void)where;
    if (!memory_grow((void **)&x->rows, &x->capacity, x->n, sizeof *x->rows))
        return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory dividing rows");
    split_row *r = &x->rows[x->n];
    char *whole = json_canonical(object);
    r->line = json_dumps(object, JSON_COMPACT);
    bool guessed = false;
    agon_status s = whole && r->line ? row_prompt_hash(x->ctx, object, &r->prompt, &guessed)
                                     : ctx_fail(x->ctx, AGON_ENOMEM, "out of memory dividing rows");
    if (whole)
        r->whole = hash_bytes(whole, strlen(whole));
    free(whole);
    x->n_guessed += guessed;
    if (s == AGON_OK)
        x->n++;
    else
        free(r->line);
    return s;
}

/* A row's place in the file with its hashes; sorting brings equal prompts, and equal rows within, together. */
typedef struct place {
    const split_row *row;
    size_t index, group;
} place;

static int by_hash(const void *a, const void *b) {
    const place *x = a, *y = b;
    int order = memcmp(&x->row->prompt, &y->row->prompt, sizeof x->row->prompt);
    order = order ? order : memcmp(&x->row->whole, &y->row->whole, sizeof x->row->whole);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b) {
    const place *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Numbers the prompts in the order of the file's hashes and drops equal rows; back in file order. */
static size_t group_rows(place *places, size_t *n) {
    size_t kept = 0, groups = 0;
    qsort(places, *n, sizeof *places, by_hash);
    for (size_t i = 0; i < *n; i++) {
        const place *last = kept ? &places[kept - 1] : NULL;
        bool same_prompt = last && memcmp(&last->row->prompt, &places[i].row->prompt, sizeof last->row->prompt) == 0;
        if (same_prompt && memcmp(&last->row->whole, &places[i].row->whole, sizeof last->row->whole) == 0)
            continue;
        groups += !same_prompt;
        places[kept] = places[i];
        places[kept++].group = groups - 1;
    }
    *n = kept;
    qsort(places, kept, sizeof *places, by_index);
    return groups;
}

/* Asked once more, with the parts [n_written] before this one in their places: two names may be of one file. */
static agon_status check_path(agon_ctx *ctx, const split_part *parts, size_t n_written) {
    struct stat now, other;
    const char *path = parts[n_written].path;
    for (size_t k = 0; k < n_written; k++)
        if (lstat(path, &now) == 0 && lstat(parts[k].path, &other) == 0 && now.st_dev == other.st_dev && now.st_ino == other.st_ino)
            return ctx_fail(ctx, AGON_EINVAL, "the parts %s and %s are one file; give each a path of its own", parts[k].path, path);
    return output_is_new(ctx, path);
}

/* A part while it is written: what it will hold, and under a temporary name until all are. */
typedef struct part_writer {
    file_writer *w; /* NULL: it is in its place */
    hash256 hash;
    uint64_t size;
    bool made; /* by this call */
} part_writer;

/* It stands in its place: a call that was killed among the names put it there, or one that does the same at this moment. */
static bool in_place(const char *path, const part_writer *p) {
    struct stat st;
    byte_reader r;
    hash256 found;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != p->size || byte_reader_open(NULL, path, &r) != AGON_OK)
        return false;
    const bool same = byte_reader_hash(NULL, &r, &found) == AGON_OK && memcmp(&found, &p->hash, sizeof found) == 0;
    byte_reader_close(&r);
    return same;
}

/* The part's lines in file order. */
static agon_status part_lines(agon_ctx *ctx, const place *places, size_t n, const size_t *part_of, size_t k, stream_add take, void *arg) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && !s; i++) {
        if (part_of[places[i].group] != k)
            continue;
        if (!(s = ctx_check_interrupt(ctx)) && !(s = take(arg, places[i].row->line, strlen(places[i].row->line))))
            s = take(arg, "\n", 1);
    }
    return s;
}

typedef struct measure {
    hasher *hash;
    uint64_t size;
} measure;

static agon_status measure_piece(void *arg, const void *data, size_t n) {
    measure *m = arg;
    hasher_add(m->hash, data, n);
    m->size += n;
    return AGON_OK;
}

/* Pieces gathered to writes of some size: a part may be larger than memory has room for once more. */
typedef struct gather {
    agon_ctx *ctx;
    file_writer *w;
    buffer pending;
} gather;

enum { WRITE_BYTES = 1 << 20 };

static agon_status flush(gather *g) {
    agon_status s = file_writer_add(g->ctx, g->w, g->pending.data, g->pending.size);
    buffer_clear(&g->pending);
    return s;
}

static agon_status write_piece(void *arg, const void *data, size_t n) {
    gather *g = arg;
    if (!buffer_append(&g->pending, data, n))
        return ctx_no_memory(g->ctx);
    return g->pending.size < WRITE_BYTES ? AGON_OK : flush(g);
}

static agon_status write_part(agon_ctx *ctx, const place *places, size_t n, const size_t *part_of, size_t k, split_part *part, part_writer *out) {
    measure m = {.hash = hasher_new()};
    if (!m.hash)
        return ctx_no_memory(ctx);
    part->n_rows = 0;
    for (size_t i = 0; i < n; i++)
        part->n_rows += part_of[places[i].group] == k;
    agon_status s = part_lines(ctx, places, n, part_of, k, measure_piece, &m);
    out->hash = hasher_end(m.hash);
    out->size = m.size;
    if (s || in_place(part->path, out))
        return s;
    s = output_is_new(ctx, part->path);
    if (!s)
        s = file_writer_open(ctx, part->path, &out->w);
    if (s)
        return s;
    gather g = {.ctx = ctx, .w = out->w};
    s = part_lines(ctx, places, n, part_of, k, write_piece, &g);
    if (!s)
        s = flush(&g);
    buffer_free(&g.pending);
    return s;
}

static agon_status place_part(agon_ctx *ctx, const split_part *parts, size_t k, part_writer *p) {
    if (!p->w || in_place(parts[k].path, p))
        return AGON_OK;
    agon_status s = check_path(ctx, parts, k);
    if (s)
        return s;
    file_writer_is_new(p->w);
    s = file_writer_commit_take(ctx, p->w);
    p->w = NULL;
    p->made = !s;
    return s && in_place(parts[k].path, p) ? AGON_OK : s;
}

/* All parts or none, since a next call would not write over what is there: all are written before the first is renamed. */
static agon_status write_parts(agon_ctx *ctx, const place *places, size_t n, const size_t *part_of, split_part *parts,
                               size_t n_parts) {
    part_writer *writers = memory_new(n_parts, sizeof *writers);
    agon_status s = writers ? AGON_OK : ctx_no_memory(ctx);
    for (size_t k = 0; k < n_parts && !s; k++)
        s = write_part(ctx, places, n, part_of, k, &parts[k], &writers[k]);
    for (size_t k = 0; k < n_parts && !s; k++)
        s = place_part(ctx, parts, k, &writers[k]);
    for (size_t k = 0; k < n_parts && !s; k++)
        if (!writers[k].made && !in_place(parts[k].path, &writers[k])) /* another call's, which failed and took it away */
            s = ctx_fail(ctx, AGON_EIO, "%s is gone again: another call divides rows to the same place", parts[k].path);
    for (size_t k = 0; k < n_parts && writers; k++) {
        file_writer_abort(writers[k].w);
        if (s && writers[k].made)
            unlink(parts[k].path);
    }
    free(writers);
    return s;
}

/* Some part is not there yet: else it is said before the rows are read. */
static agon_status check_paths(agon_ctx *ctx, const split_part *parts, size_t n) {
    agon_status s = AGON_OK;
    size_t n_there = 0;
    for (size_t k = 0; k < n; k++) {
        struct stat st;
        const bool regular = parts[k].path && lstat(parts[k].path, &st) == 0 && S_ISREG(st.st_mode);
        n_there += regular;
        if (!regular && !s)
            s = output_is_new(ctx, parts[k].path);
    }
    return s || n_there < n ? s : output_is_new(ctx, parts[0].path);
}

static agon_status check_shares(agon_ctx *ctx, const split_part *parts, size_t n_parts) {
    double sum = 0;
    for (size_t k = 0; k < n_parts; k++) {
        if (!(parts[k].share > 0 && parts[k].share <= 1))
            return ctx_fail(ctx, AGON_EINVAL, "%s: the share is %g; it lies above 0 and is at most 1", parts[k].path,
                            parts[k].share);
        sum += parts[k].share;
    }
    if (n_parts == 0 || fabs(sum - 1) > 1e-9)
        return ctx_fail(ctx, AGON_EINVAL, "the shares of the parts sum to %g, not to 1", sum);
    return AGON_OK;
}

agon_status split_file(agon_ctx *ctx, const char *from, uint64_t seed, split_part *parts, size_t n_parts, split_report *report) {
    splitter x = {.ctx = ctx};
    place *places = NULL;
    size_t *order = NULL, *part_of = NULL;
    agon_status s = check_shares(ctx, parts, n_parts);
    if (s == AGON_OK)
        s = check_paths(ctx, parts, n_parts);
    if (s == AGON_OK)
        s = jsonl_read(ctx, from, keep_row, &x);
    if (s != AGON_OK)
        goto done;
    places = memory_new(x.n ? x.n : 1, sizeof *places);
    order = memory_new(x.n ? x.n : 1, sizeof *order);
    part_of = memory_new(x.n ? x.n : 1, sizeof *part_of);
    if (!places || !order || !part_of) {
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory dividing rows");
        goto done;
    }
    for (size_t i = 0; i < x.n; i++)
        places[i] = (place){&x.rows[i], i, 0};
    size_t kept = x.n, groups = group_rows(places, &kept), at = 0;
    if (groups < n_parts) {
        s = ctx_fail(ctx, AGON_EINVAL, "%s: %zu different prompts do not fill %zu parts", from, groups, n_parts);
        goto done;
    }
    for (size_t g = 0; g < groups; g++)
        order[g] = g;
    rng r = rng_new(seed_derive(seed, "data-split"));
    rng_shuffle(&r, order, groups);
    double sum = 0;
    for (size_t k = 0; k < n_parts; k++) { /* at least one prompt each, and one left for each of the rest */
        sum += parts[k].share;
        size_t end = k + 1 == n_parts ? groups : (size_t)llround(sum * (double)groups);
        end = end <= at ? at + 1 : end;
        end = end > groups - (n_parts - 1 - k) ? groups - (n_parts - 1 - k) : end;
        for (; at < end; at++)
            part_of[order[at]] = k;
    }
    s = write_parts(ctx, places, kept, part_of, parts, n_parts);
    if (s == AGON_OK)
        *report = (split_report){x.n - kept, x.n_guessed};
done:
    for (size_t i = 0; i < x.n; i++)
        free(x.rows[i].line);
    free(x.rows);
    free(places);
    free(order);
    free(part_of);
    return s;
}

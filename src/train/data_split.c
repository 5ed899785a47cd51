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

/* All parts or none: a next call would not write over what is there. */
static agon_status write_parts(agon_ctx *ctx, const place *places, size_t n, const size_t *part_of, split_part *parts,
                               size_t n_parts) {
    agon_status s = AGON_OK;
    size_t made = 0;
    for (size_t k = 0; k < n_parts && s == AGON_OK; k++) {
        buffer b = {0};
        s = check_path(ctx, parts, k);
        if (s != AGON_OK)
            break;
        made = k + 1;
        bool kept = true;
        parts[k].n_rows = 0;
        for (size_t i = 0; i < n && kept; i++) {
            if (part_of[places[i].group] != k)
                continue;
            kept = buffer_text(&b, places[i].row->line) && buffer_char(&b, '\n');
            parts[k].n_rows++;
        }
        s = kept ? file_write(ctx, parts[k].path, b.data, b.size) : ctx_fail(ctx, AGON_ENOMEM, "out of memory dividing rows");
        buffer_free(&b);
    }
    for (size_t k = 0; k < made && s != AGON_OK; k++)
        unlink(parts[k].path);
    return s;
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
    for (size_t k = 0; k < n_parts && s == AGON_OK; k++)
        s = output_is_new(ctx, parts[k].path);
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

/* Journaled batches of pure functions, see work.h. */
#include "step/work.h"
#include "base/ctx.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS(kind) &kind,
static const work_kind *const kinds[] = {WORK_KINDS(ADDRESS)};
#undef ADDRESS
enum { N_KINDS = sizeof kinds / sizeof *kinds, NAME_SIZE = 24 };

typedef struct chunk {
    const json_t **inputs;
    uint64_t *seeds;
    json_t **outs;
    size_t *items;
    size_t n;
} chunk;

static bool chunk_new(chunk *c, size_t n) {
    *c = (chunk){.inputs = memory_new(n, sizeof *c->inputs),
                 .seeds = memory_new(n, sizeof *c->seeds),
                 .outs = memory_new(n, sizeof *c->outs),
                 .items = memory_new(n, sizeof *c->items)};
    return c->inputs && c->seeds && c->outs && c->items;
}

static void chunk_clear(chunk *c) {
    for (size_t i = 0; c->outs && i < c->n; i++) {
        json_decref(c->outs[i]);
        c->outs[i] = NULL;
    }
    c->n = 0;
}

static void chunk_free(chunk *c) {
    chunk_clear(c);
    free(c->inputs);
    free(c->seeds);
    free(c->outs);
    free(c->items);
}

static agon_status record_item(actors *a, const work_kind *kind, step_batch *b, size_t i, const json_t *out,
                               work_record record, void *arg) {
    RUN_CLOCK(a->run); /* the records an item brings belong to the journal's cost */
    json_t *ids = NULL, *result = NULL;
    agon_status s = record ? record(arg, i, out, &ids) : AGON_OK;
    if (!s) {
        result = json_pack("{sO?}", "ids", ids);
        if (!result || (!kind->secret && json_object_set(result, "out", (json_t *)out) != 0))
            s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a result");
    }
    if (!s)
        s = step_batch_record(b, i, result);
    json_decref(ids);
    json_decref(result);
    return s;
}

/* Executes and records the items gathered in the chunk. */
static agon_status run_chunk(actors *a, const work_kind *kind, step_batch *b, chunk *c, work_record record, void *arg) {
    if (c->n == 0)
        return AGON_OK;
    agon_status s = kind->execute(a, c->inputs, c->seeds, c->n, c->outs);
    for (size_t k = 0; k < c->n && !s; k++)
        s = record_item(a, kind, b, c->items[k], c->outs[k], record, arg);
    if (!s)
        s = step_batch_flush(b);
    chunk_clear(c);
    return s ? s : ctx_check_interrupt(a->ctx);
}

static agon_status run_missing(actors *a, const char *path, const work_kind *kind, const json_t *inputs, step_batch *b,
                               work_record record, void *arg) {
    chunk c;
    /* Chunks of equal size: a request that fails alone in a short last chunk would look like a backend that is down. */
    size_t n = json_array_size(inputs), missing = n - step_batch_n_done(b);
    size_t n_chunks = (missing + kind->chunk - 1) / kind->chunk, size = n_chunks ? (missing + n_chunks - 1) / n_chunks : 1;
    agon_status s = chunk_new(&c, size) ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", path);
    const char *stage = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (size_t i = 0; i < n && !s; i++) {
        if (step_batch_result(b, i))
            continue;
        c.items[c.n] = i;
        c.inputs[c.n] = json_array_get(inputs, i);
        c.seeds[c.n++] = step_batch_seed(b, i);
        if (c.n == size) {
            s = run_chunk(a, kind, b, &c, record, arg);
            actors_progress(a, &(actors_news){.stage = stage, .done = step_batch_n_done(b), .total = n, .unit = kind->unit});
        }
    }
    if (!s)
        s = run_chunk(a, kind, b, &c, record, arg);
    chunk_free(&c);
    return s;
}

agon_status work_run(actors *a, const char *path, const work_kind *kind, const json_t *inputs, work_record record,
                     void *arg, json_t **results) {
    size_t n = json_array_size(inputs);
    json_t *list = json_array();
    char(*names)[NAME_SIZE] = memory_new(n ? n : 1, NAME_SIZE);
    step_item *items = memory_new(n ? n : 1, sizeof *items);
    step_batch *b = NULL;
    agon_status s = list && names && items ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", path);
    if (s || n == 0)
        goto done;
    step_key key = {.path = path, .kind = kind->name, .reproducible = !kind->secret};
    for (size_t i = 0; i < n; i++) {
        const json_t *input = json_array_get(inputs, i);
        snprintf(names[i], NAME_SIZE, "%05zu", i);
        items[i] = (step_item){names[i], input};
        key.reproducible = key.reproducible && (!kind->reproducible || kind->reproducible(a, input));
    }
    s = step_batch_begin(a->run, &key, items, n, &b);
    if (!s)
        s = run_missing(a, path, kind, inputs, b, record, arg);
    if (!s)
        s = step_batch_end(b);
    for (size_t i = 0; i < n && !s; i++)
        if (json_array_append(list, (json_t *)step_batch_result(b, i)) != 0)
            s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for the results of %s", path);
done:
    step_batch_free(b);
    free(items);
    free(names);
    if (s)
        json_decref(list);
    else
        *results = list;
    return s;
}

agon_status work_again(actors *a, const step_row *row, bool *known, bool *equal) {
    const work_kind *kind = NULL;
    const json_t *recorded = json_object_get(row->result, "out");
    json_t *out = NULL;
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i]->name, row->kind) == 0)
            kind = kinds[i];
    *known = kind && !kind->secret && row->reproducible && recorded;
    *equal = false;
    if (!*known)
        return AGON_OK;
    agon_status s = kind->execute(a, &row->input, &row->seed, 1, &out);
    if (!s)
        *equal = json_equal(out, recorded);
    json_decref(out);
    return s;
}

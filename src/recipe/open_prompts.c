/* See open_prompts.h. */
#include "recipe/open_prompts.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/share.h"
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    agon_ctx *ctx;
    open_prompts *out;
} reader;

void open_prompts_free(open_prompts *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i]);
    free(p->items);
    *p = (open_prompts){0};
}

static agon_status read_row(void *arg, const char *where, json_t *row) {
    reader *r = arg;
    const char *query = NULL;
    agon_status s = json_get_text(r->ctx, where, row, "query", true, &query);
    if (!s && r->out->n == OPEN_PROMPTS_FILE_MOST)
        s = ctx_fail(r->ctx, AGON_EFORMAT, "%s: more than %d open questions", where, OPEN_PROMPTS_FILE_MOST);
    if (!s && !(r->out->items[r->out->n] = strdup(query)))
        s = ctx_fail(r->ctx, AGON_ENOMEM, "%s: out of memory", where);
    r->out->n += !s;
    return s;
}

agon_status open_prompts_read(agon_ctx *ctx, size_t most, uint64_t seed, open_prompts *out) {
    char *path = NULL;
    size_t order[OPEN_PROMPTS_FILE_MOST];
    open_prompts all = {memory_new(OPEN_PROMPTS_FILE_MOST, sizeof *all.items), 0};
    reader r = {ctx, &all};
    rng random = rng_new(seed);
    *out = (open_prompts){memory_new(most < OPEN_PROMPTS_FILE_MOST ? most + 1 : OPEN_PROMPTS_FILE_MOST, sizeof *out->items), 0};
    agon_status s = all.items && out->items ? share_find(ctx, "data/open.jsonl", &path) : ctx_fail(ctx, AGON_ENOMEM, "no memory for open questions");
    if (!s)
        s = jsonl_read(ctx, path, read_row, &r);
    for (size_t i = 0; i < all.n; i++)
        order[i] = i;
    if (!s)
        rng_shuffle(&random, order, all.n);
    for (; out->n < most && out->n < all.n && !s; out->n++) {
        out->items[out->n] = all.items[order[out->n]];
        all.items[order[out->n]] = NULL; /* freeing NULL is nothing */
    }
    open_prompts_free(&all);
    if (s)
        open_prompts_free(out);
    free(path);
    return s;
}

/* Running tokens against a key-value cache: the forward pass of forward.c whose keys and values live in
 * cache rows. A row's arithmetic is the same as in model_forward, and attention reads the same numbers in
 * the same order of positions, so the bits are equal however a sequence is cut into calls. */
#include "model/decode_private.h"
#include "base/pool.h"
#include <string.h>

/* Tokens run together. Later tokens of a call may see earlier ones, so parts run in order. */
enum { DECODE_ROWS = 1024 };

static agon_status check_tokens(agon_ctx *ctx, const model *m, const kv_cache *cache,
                                const decode_token *tokens, size_t n, const size_t *heads, size_t n_heads) {
    if (cache->n_layers != m->config.n_layers || cache->width != m->config.n_kv_heads * m->config.head_dim)
        return ctx_fail(ctx, AGON_EINVAL, "the key-value cache was made for another model");
    for (size_t i = 0; i < n; i++) {
        const decode_token *t = &tokens[i];
        if (t->token < 0 || (size_t)t->token >= m->config.n_vocabulary)
            return ctx_fail(ctx, AGON_EINVAL, "token %zu: id %d is not in the vocabulary of %zu", i, (int)t->token,
                            m->config.n_vocabulary);
        if (t->position < 0 || (size_t)t->position >= m->config.max_context)
            return ctx_fail(ctx, AGON_EINVAL, "token %zu: position %d is outside the model's context of %zu", i,
                            (int)t->position, m->config.max_context);
        int32_t row = t->rows[t->position];
        if (row < 0 || (size_t)row >= cache->n_rows)
            return ctx_fail(ctx, AGON_EINVAL, "token %zu: cache row %d is not one of %zu", i, (int)row,
                            cache->n_rows);
        if (t->adapter && !adapter_fits(t->adapter, &m->config))
            return ctx_fail(ctx, AGON_EINVAL, "token %zu: its adapter was made for another model's sizes", i);
    }
    for (size_t i = 0; i < n_heads; i++)
        if (heads[i] >= n)
            return ctx_fail(ctx, AGON_EINVAL, "head %zu: there is no token %zu", i, heads[i]);
    return AGON_OK;
}

/* What one part needs beside activations. */
typedef struct part {
    int32_t *tokens, *positions, *write_rows, *place; /* place: of a row whose hidden state is wanted, among those; else -1 */
    attention_keys *keys;
    row_group *groups;
} part;

static part part_take(workspace *w, size_t n) {
    return (part){.tokens = workspace_take(w, REGION_SCRATCH, n, sizeof(int32_t)),
                  .positions = workspace_take(w, REGION_SCRATCH, n, sizeof(int32_t)),
                  .write_rows = workspace_take(w, REGION_SCRATCH, n, sizeof(int32_t)),
                  .place = workspace_take(w, REGION_SCRATCH, n, sizeof(int32_t)),
                  .keys = workspace_take(w, REGION_SCRATCH, n, sizeof(attention_keys)),
                  .groups = workspace_take(w, REGION_SCRATCH, n, sizeof(row_group))};
}

static size_t part_bytes(size_t n) {
    return 4 * workspace_size(n, sizeof(int32_t)) + workspace_size(n, sizeof(attention_keys)) +
           workspace_size(n, sizeof(row_group));
}

static void add_row(part *p, row_set *rows, const adapter *a) {
    size_t at = rows->n++;
    if (rows->n_groups && p->groups[rows->n_groups - 1].adapter == a)
        p->groups[rows->n_groups - 1].n++;
    else
        p->groups[rows->n_groups++] = (row_group){a, at, 1};
}

static row_set part_fill(part *p, const decode_token *tokens, size_t n) {
    row_set rows = {.tokens = p->tokens, .positions = p->positions, .keys = p->keys, .groups = p->groups};
    for (size_t i = 0; i < n; i++) {
        const decode_token *t = &tokens[i];
        p->tokens[i] = t->token;
        p->positions[i] = t->position;
        p->write_rows[i] = t->rows[t->position];
        p->keys[i] = (attention_keys){t->rows, t->position + 1};
        add_row(p, &rows, t->adapter);
    }
    return rows;
}

/* Only the rows with a place are left, in their order: after the last layer's keys nobody reads the others. */
static row_set part_keep(part *p, const decode_token *tokens, size_t n, forward_buffers *b, const model_config *c) {
    const size_t d = c->d_model, head_dim = c->head_dim;
    float *x = b->x, *normed = b->scratch.normed, *rotation = b->rotation;
    row_set rows = {.tokens = p->tokens, .positions = p->positions, .keys = p->keys, .groups = p->groups, .rotation = rotation};
    for (size_t i = 0; i < n; i++) {
        size_t to = rows.n;
        if (p->place[i] < 0)
            continue;
        p->place[i] = (int32_t)to;
        p->tokens[to] = p->tokens[i];
        p->positions[to] = p->positions[i];
        p->keys[to] = p->keys[i];
        memmove(x + to * d, x + i * d, d * sizeof *x);
        memmove(normed + to * d, normed + i * d, d * sizeof *normed);
        memmove(rotation + to * head_dim, rotation + i * head_dim, head_dim * sizeof *rotation);
        add_row(p, &rows, tokens[i].adapter);
    }
    return rows;
}

static cache_layer layer_of(const kv_cache *c, size_t layer, const int32_t *write_rows) {
    const size_t at = layer * c->n_rows * c->width;
    if (c->rounded)
        return (cache_layer){.k_rounded = (uint16_t *)c->k + at, .v_rounded = (uint16_t *)c->v + at, .write_rows = write_rows};
    return (cache_layer){.k = (float *)c->k + at, .v = (float *)c->v + at, .write_rows = write_rows};
}

static agon_status run_part(agon_ctx *ctx, const model *m, workspace *w, kv_cache *cache,
                            const decode_token *tokens, size_t first, size_t n, const size_t *heads,
                            size_t n_heads, float *hidden) {
    const model_config *c = &m->config;
    size_t rank = 0, d = c->d_model;
    for (size_t i = first; i < first + n; i++)
        rank = tokens[i].adapter && tokens[i].adapter->rank > rank ? tokens[i].adapter->rank : rank;
    agon_status status = workspace_begin(ctx, w, REGION_SCRATCH, size_add(forward_bytes(c, n, rank), part_bytes(n)));
    if (status)
        return status;
    part p = part_take(w, n);
    row_set rows = part_fill(&p, tokens + first, n);
    forward_buffers b = forward_buffers_take(w, c, n, rank);
    begin_rows(ctx, m, &rows, b.rotation, b.x);
    for (size_t i = 0; i < n; i++)
        p.place[i] = -1;
    for (size_t i = 0; i < n_heads; i++)
        if (heads[i] >= first && heads[i] < first + n)
            p.place[heads[i] - first] = 0;
    for (size_t l = 0; l < c->n_layers; l++) {
        const cache_layer layer = layer_of(cache, l, p.write_rows);
        if (l + 1 < c->n_layers) {
            layer_forward(ctx, m, l, &rows, &b.layer, &b.scratch, &layer, b.x);
            continue;
        }
        layer_keys(ctx, m, l, &rows, &b.layer, &b.scratch, &layer, b.x);
        rows = part_keep(&p, tokens + first, n, &b, c);
        layer_rows(ctx, m, l, &rows, &b.layer, &b.scratch, &layer, b.x);
    }
    for (size_t i = 0; i < n_heads; i++)
        if (heads[i] >= first && heads[i] < first + n)
            rms_norm(ctx, b.x + (size_t)p.place[heads[i] - first] * d, 1, d, m->final_norm, c->norm_eps, hidden + i * d, NULL);
    return ctx_check_interrupt(ctx);
}

agon_status model_decode(agon_ctx *ctx, const model *m, workspace *w, kv_cache *cache,
                         const decode_token *tokens, size_t n, const size_t *heads, size_t n_heads,
                         float *hidden) {
    agon_status status = check_tokens(ctx, m, cache, tokens, n, heads, n_heads);
    unsigned mode = fp_mode_set();
    for (size_t at = 0; at < n && !status; at += DECODE_ROWS)
        status = run_part(ctx, m, w, cache, tokens, at, n - at < DECODE_ROWS ? n - at : DECODE_ROWS, heads,
                          n_heads, hidden);
    fp_mode_restore(mode);
    return status;
}

/* Rows of keys and values for all layers: [layer][row][kv_dim], in bf16 where attention rounds them anyway, else f32. A row belongs to one token of one
 * sequence; which row it is never matters, only the order in which a sequence lists its rows. */
#include "model/decode_private.h"
#include "base/spare.h"
#include <stdlib.h>

static bool is_rounded(const agon_ctx *ctx, const model *m) {
    return attention_shape_in(ctx, m).bf16;
}

size_t kv_cache_row_bytes(const agon_ctx *ctx, const model *m) {
    const model_config *c = &m->config;
    return size_mul(2 * (is_rounded(ctx, m) ? sizeof(uint16_t) : sizeof(float)), size_mul(c->n_layers, size_mul(c->n_kv_heads, c->head_dim)));
}

agon_status kv_cache_new(agon_ctx *ctx, const model *m, size_t n_rows, kv_cache **out) {
    kv_cache *c = calloc(1, sizeof *c);
    size_t bytes = size_mul(n_rows, kv_cache_row_bytes(ctx, m)) / 2;
    if (!c)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a key-value cache");
    *c = (kv_cache){.n_rows = n_rows, .n_layers = m->config.n_layers, .width = m->config.n_kv_heads * m->config.head_dim,
                    .rounded = is_rounded(ctx, m)};
    bytes = workspace_size(bytes ? bytes : 1, 1);
    /* Not cleared: a row is written before it is read, and untouched pages cost nothing. */
    c->k = n_rows > INT32_MAX || bytes > SIZE_MAX / 4 ? NULL : spare_take(ctx, bytes, &c->k_size);
    c->v = c->k ? spare_take(ctx, bytes, &c->v_size) : NULL;
    if (!c->v) {
        kv_cache_free(ctx, c);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a key-value cache of %zu rows", n_rows);
    }
    *out = c;
    return AGON_OK;
}

void kv_cache_free(agon_ctx *ctx, kv_cache *c) {
    if (!c)
        return;
    spare_give(ctx, c->k, c->k_size);
    spare_give(ctx, c->v, c->v_size);
    free(c);
}


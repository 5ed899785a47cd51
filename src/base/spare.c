/* Spare blocks, see spare.h. */
#include "base/spare.h"
#include "base/memory.h"
#include <stdlib.h>

void *spare_take(agon_ctx *ctx, size_t bytes, size_t *size) {
    spare_block *best = NULL;
    for (spare_block *s = ctx->spare; s < ctx->spare + CTX_SPARE_BLOCKS; s++)
        if (s->data && s->size >= bytes && s->size / 2 <= bytes && (!best || s->size < best->size))
            best = s;
    if (!best) {
        *size = bytes;
        return memory_raw(bytes, 1);
    }
    void *block = best->data;
    *size = best->size;
    *best = (spare_block){0};
    return block;
}

void spare_give(agon_ctx *ctx, void *block, size_t size) {
    spare_block *place = NULL;
    for (spare_block *s = ctx->spare; block && s < ctx->spare + CTX_SPARE_BLOCKS && !place; s++)
        place = s->data ? NULL : s;
    if (place && size <= SPARE_BYTES - spare_bytes(ctx))
        *place = (spare_block){block, size};
    else
        free(block);
}

void spare_drop(agon_ctx *ctx) {
    for (spare_block *s = ctx->spare; s < ctx->spare + CTX_SPARE_BLOCKS; s++) {
        free(s->data);
        *s = (spare_block){0};
    }
}

size_t spare_bytes(const agon_ctx *ctx) {
    size_t bytes = 0;
    for (const spare_block *s = ctx->spare; s < ctx->spare + CTX_SPARE_BLOCKS; s++)
        bytes += s->size;
    return bytes;
}

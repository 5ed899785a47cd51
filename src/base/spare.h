/* Large blocks that a call leaves to the next one of its context: what the system gives has to be cleared page by page each time
 * (docs/performance.md). Not for what is kept longer than a call. */
#ifndef BASE_SPARE_H
#define BASE_SPARE_H

#include "base/ctx.h"

enum { SPARE_BYTES = 64 << 20 /* of a context at most: who asks memory_check for more gets them back first */ };

/* At least `bytes`, not cleared, aligned as memory_raw; NULL: out of memory. *size: what it has, for spare_give or free. */
void *spare_take(agon_ctx *ctx, size_t bytes, size_t *size);
/* Takes a block of spare_take (or NULL) back, or frees it where there is enough. */
void spare_give(agon_ctx *ctx, void *block, size_t size);
/* Frees them all. */
void spare_drop(agon_ctx *ctx);
/* Bytes that are kept. */
size_t spare_bytes(const agon_ctx *ctx);

#endif

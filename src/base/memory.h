/* Memory: overflow-checked allocation and arenas.
 *
 * Arenas follow lifetimes (model, run, step): everything in one is released together, so error paths
 * stay short. Pass the arena as an argument; there is no hidden current one. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "agon.h"

/* a*b or SIZE_MAX on overflow (an allocation of SIZE_MAX always fails). */
size_t size_mul(size_t a, size_t b);
size_t size_add(size_t a, size_t b);

/* New zeroed memory, 64-byte aligned, for n objects of `size` bytes; NULL when n*size overflows or
 * memory is exhausted. Free with free(). */
void *memory_new(size_t n, size_t size);
/* The same, not cleared. Large ones are laid so that the system can use huge pages: fewer page faults and address translations. */
void *memory_raw(size_t n, size_t size);

/* Room for one item more in a list of n items of `size` bytes, which grows by doubling: *items (free with free()) and *capacity. false: no memory, and
 * the list stays as it is. */
bool memory_grow(void **items, size_t *capacity, size_t n, size_t size);

typedef struct arena arena;

/* *out new. `limit_bytes` 0: no limit but memory. */
AGON_MUST_CHECK agon_status arena_new(agon_ctx *ctx, size_t limit_bytes, arena **out);
void arena_free(arena *a);
/* Releases everything but keeps the memory for the next use. */
void arena_reset(arena *a);

/* Zeroed memory for n objects of `size` bytes, 64-byte aligned, or NULL. Borrowed until reset/free. */
void *arena_take(arena *a, size_t n, size_t size);
/* A NUL-terminated copy of `n` bytes, or NULL. Borrowed until reset/free. */
char *arena_text(arena *a, const char *text, size_t n);
char *arena_copy(arena *a, const char *text); /* of a C string; NULL for NULL */
char *arena_printf(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

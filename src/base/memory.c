/* Memory, see memory.h. */
#include "base/memory.h"
#include "base/ctx.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, BLOCK_BYTES = 1 << 16, HUGE_PAGE = 1 << 21, HUGE_FROM = 2 * HUGE_PAGE };

typedef struct block {
    struct block *next;
    size_t size, used;
    unsigned char *data; /* ALIGN-aligned, in the same allocation */
} block;

struct arena {
    block *first, *current;
    size_t limit_bytes, total_bytes, used_bytes;
};

size_t size_mul(size_t a, size_t b) {
    size_t r;
    return __builtin_mul_overflow(a, b, &r) ? SIZE_MAX : r;
}

size_t size_add(size_t a, size_t b) {
    size_t r;
    return __builtin_add_overflow(a, b, &r) ? SIZE_MAX : r;
}

void *memory_raw(size_t n, size_t size) {
    size_t bytes = size_mul(n, size);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : ALIGN;
    bytes = bytes ? (bytes + align - 1) / align * align : align;
    void *p = aligned_alloc(align, bytes);
#ifdef MADV_HUGEPAGE
    if (p && align == HUGE_PAGE)
        madvise(p, bytes, MADV_HUGEPAGE); /* advice: a system without them goes on with small ones */
#endif
    return p;
}

void *memory_new(size_t n, size_t size) {
    void *p = memory_raw(n, size);
    return p ? memset(p, 0, (n * size + ALIGN - 1) / ALIGN * ALIGN) : NULL;
}

bool memory_grow(void **items, size_t *capacity, size_t n, size_t size) {
    if (n < *capacity)
        return true;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(*items, size_mul(more, size));
    if (!grown)
        return false;
    *items = grown;
    *capacity = more;
    return true;
}

agon_status arena_new(agon_ctx *ctx, size_t limit_bytes, arena **out) {
    arena *a = calloc(1, sizeof *a);
    if (!a)
        return ctx_no_memory(ctx);
    a->limit_bytes = limit_bytes ? limit_bytes : SIZE_MAX;
    *out = a;
    return AGON_OK;
}

void arena_free(arena *a) {
    if (!a)
        return;
    for (block *b = a->first; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

void arena_reset(arena *a) {
    for (block *b = a->first; b; b = b->next)
        b->used = 0;
    a->current = a->first;
    a->used_bytes = 0;
}

static block *block_new(arena *a, size_t bytes) {
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    size_t total = size_add(size, sizeof(block) + ALIGN);
    if (total == SIZE_MAX || total > a->limit_bytes - a->total_bytes)
        return NULL;
    block *b = malloc(total);
    if (!b)
        return NULL;
    uintptr_t start = ((uintptr_t)(b + 1) + ALIGN - 1) / ALIGN * ALIGN;
    *b = (block){.size = size, .data = (unsigned char *)start};
    a->total_bytes += total;
    return b;
}

void *arena_take(arena *a, size_t n, size_t size) {
    size_t bytes = size_mul(n, size);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (bytes == 0)
        bytes = ALIGN;
    while (a->current && a->current->size - a->current->used < bytes && a->current->next)
        a->current = a->current->next;
    if (!a->current || a->current->size - a->current->used < bytes) {
        block *b = block_new(a, bytes);
        if (!b)
            return NULL;
        if (a->current)
            a->current->next = b;
        else
            a->first = b;
        a->current = b;
    }
    void *p = a->current->data + a->current->used;
    a->current->used += bytes;
    a->used_bytes += bytes;
    memset(p, 0, bytes);
    return p;
}

char *arena_text(arena *a, const char *text, size_t n) {
    char *copy = arena_take(a, size_add(n, 1), 1);
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

char *arena_copy(arena *a, const char *text) {
    return text ? arena_text(a, text, strlen(text)) : NULL;
}

char *arena_printf(arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_take(a, (size_t)n + 1, 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

/* Blocks in slabs of huge pages, see slab.h. Each block is preceded by its slab. */
#include "base/slab.h"
#include "base/memory.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, SLAB_BYTES = 1 << 25, OWN_FROM = 1 << 22 /* has huge pages by itself (memory_raw) */ };

struct slab {
    atomic_size_t live; /* blocks, and one for who takes from it */
    size_t used;
};

typedef union header {
    slab *of; /* NULL: a block by itself */
    char room[ALIGN];
} header;

void slab_drop(slab *r) {
    if (r && atomic_fetch_sub(&r->live, 1) == 1)
        free(r);
}

static slab *begin(void) {
    slab *r = memory_raw(1, SLAB_BYTES);
    if (r) {
        atomic_init(&r->live, 1);
        r->used = sizeof(header);
    }
    return r;
}

static header *take(slab **current, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    (void)current, (void)begin;
    return memory_raw(1, bytes); /* so that each block has its own bounds */
#else
    if (bytes >= OWN_FROM)
        return memory_raw(1, bytes);
    if (!*current || (*current)->used + bytes > SLAB_BYTES) {
        slab *next = begin();
        if (!next)
            return NULL;
        slab_drop(*current);
        *current = next;
    }
    header *h = (header *)(void *)((char *)*current + (*current)->used);
    (*current)->used += bytes;
    atomic_fetch_add(&(*current)->live, 1);
    return h;
#endif
}

void *slab_new(slab **current, size_t n, size_t size) {
    size_t bytes = size_mul(n, size);
    if (bytes > SIZE_MAX / 4)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN + sizeof(header);
    header *h = take(current, bytes);
    if (!h)
        return NULL;
    memset(h, 0, bytes);
#if !defined(__SANITIZE_ADDRESS__)
    h->of = bytes >= OWN_FROM ? NULL : *current;
#endif
    return h + 1;
}

void slab_free(void *block) {
    if (!block)
        return;
    header *h = (header *)block - 1;
    if (h->of)
        slab_drop(h->of);
    else
        free(h);
}

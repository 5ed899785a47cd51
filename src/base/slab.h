/* Long-lived blocks, most of less than a huge page, side by side in slabs of huge pages. The weights of a layer are such blocks: read once a
 * token, each from pages of 4 KB, they wait for address translations (docs/performance.md). */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

typedef struct slab slab;

/* New zeroed memory, 64-byte aligned, for n objects of `size` bytes, from *current, which is NULL at first and changes as slabs fill up; NULL when
 * n*size overflows or memory is exhausted. Free with slab_free, from any thread, also after slab_drop. */
void *slab_new(slab **current, size_t n, size_t size);
void slab_free(void *block);
/* Gives up the slab that blocks are taken from; its memory goes with its last block. */
void slab_drop(slab *current);

#endif

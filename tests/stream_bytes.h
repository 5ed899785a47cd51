/* All bytes of a stream, for tests that look into them. */
#ifndef TESTS_STREAM_BYTES_H
#define TESTS_STREAM_BYTES_H

#include "base/byte_stream.h"
#include <stdlib.h>
#include <string.h>

typedef struct stream_taker {
    char *data;
    size_t n, size;
} stream_taker;

static inline agon_status stream_take(void *arg, const void *data, size_t n) {
    stream_taker *x = arg;
    if (n > x->size - x->n)
        return AGON_EFORMAT; /* more than it said */
    memcpy(x->data + x->n, data, n);
    x->n += n;
    return AGON_OK;
}

/* New (free()), [x->size]; NULL: they were others than so many. */
static inline char *stream_bytes(const byte_stream *x) {
    stream_taker to = {.data = malloc(x->size + 1), .size = x->size};
    if (to.data && x->write(x, stream_take, &to) == AGON_OK && to.n == to.size)
        return to.data;
    free(to.data);
    return NULL;
}

#endif

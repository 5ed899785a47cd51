/* Bytes too many to lie in memory at once: made, piece after piece, while they are written out. (Read by place: byte_reader of file.h.) */
#ifndef BASE_BYTE_STREAM_H
#define BASE_BYTE_STREAM_H

#include "agon.h"

/* Takes the next n bytes, borrowed for the call. */
typedef agon_status (*stream_add)(void *arg, const void *data, size_t n);

/* Borrowed by who gets it, for the call. */
typedef struct byte_stream {
    /* Gives all bytes to `add` in pieces; what is not AGON_OK ends it and is returned. */
    agon_status (*write)(const struct byte_stream *x, stream_add add, void *arg);
    const void *of; /* what they are made of: write's own */
    size_t size;
} byte_stream;

/* Of bytes [n] that are in memory, one piece. */
byte_stream stream_of(const void *data, size_t n);

#endif

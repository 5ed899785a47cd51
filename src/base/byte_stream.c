/* Streams, see byte_stream.h. */
#include "base/byte_stream.h"

static agon_status write_memory(const byte_stream *x, stream_add add, void *arg) {
    return x->size ? add(arg, x->of, x->size) : AGON_OK;
}

byte_stream stream_of(const void *data, size_t n) {
    return (byte_stream){write_memory, data, n};
}

/* Streams, see byte_stream.h. */
#include "base/byte_stream.h"
#include "base/ctx.h"

static agon_status write_memory(const byte_stream *x, stream_add add, void *arg) {
    return x->size ? add(arg, x->of, x->size) : AGON_OK;
}

byte_stream stream_of(const void *data, size_t n) {
    return (byte_stream){write_memory, data, n};
}

static agon_status add_to_hash(void *arg, const void *data, size_t n) {
    hasher_add(arg, data, n);
    return AGON_OK;
}

agon_status stream_hash(agon_ctx *ctx, const byte_stream *x, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_no_memory(ctx);
    agon_status s = x->write(x, add_to_hash, h);
    const hash256 found = hasher_end(h);
    if (!s)
        *out = found;
    return s;
}

/* Option structs of agon.h: their first member is struct_size, so that a program built against an older
 * header keeps the defaults of what was added since. */
#ifndef API_OPTIONS_H
#define API_OPTIONS_H

#include "base/ctx.h"
#include <float.h>
#include <string.h>

/* Copies *given over *out, which holds the defaults; `given` NULL leaves them. AGON_EINVAL: struct_size was not set, or is
 * of a newer header. */
AGON_MUST_CHECK static inline agon_status options_take(agon_ctx *ctx, const char *name, const void *given, size_t size,
                                                       void *out) {
    size_t given_size;
    if (!given)
        return AGON_OK;
    memcpy(&given_size, given, sizeof given_size);
    if (given_size < sizeof given_size || given_size > size)
        return ctx_fail(ctx, AGON_EINVAL, "%s: struct_size is %zu, this library knows %zu; begin with %s_default()", name,
                        given_size, size, name);
    memcpy(out, given, given_size);
    return AGON_OK;
}

/* AGON_EINVAL: what has no default was not given. */
AGON_MUST_CHECK static inline agon_status options_given(agon_ctx *ctx, const char *what, const void *pointer) {
    return pointer ? AGON_OK : ctx_fail(ctx, AGON_EINVAL, "%s is NULL; it must be given", what);
}

typedef struct option_range {
    const char *name;
    double value, low, high;
} option_range;

/* AGON_EINVAL names the first number that is out of its range, or none. */
AGON_MUST_CHECK static inline agon_status options_in_range(agon_ctx *ctx, const option_range *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(x[i].value >= x[i].low && x[i].value <= x[i].high))
            return ctx_fail(ctx, AGON_EINVAL, "%s is %g; it must be from %g to %g", x[i].name, x[i].value, x[i].low, x[i].high);
    return AGON_OK;
}

/* A temperature that is not 0 stays so: else one too small for a float would silently mean greedy, or 1. */
static inline float temperature_take(double t) {
    return t > 0 && t < (double)FLT_MIN ? FLT_MIN : t < 0 && t > -(double)FLT_MIN ? -FLT_MIN : (float)t;
}

#endif

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

/* What has no default: a pointer (n 1), or an array whose pointer may be NULL where n is 0. */
typedef struct option_pointer {
    const char *what;
    const void *pointer;
    size_t n;
} option_pointer;

/* AGON_EINVAL names the first that was not given, or a count that no memory holds, such as a -1; or there is no context, which no sentence can say. */
AGON_MUST_CHECK static inline agon_status options_given(agon_ctx *ctx, const option_pointer *x, size_t n) {
    const size_t most = SIZE_MAX >> 16;
    if (!ctx)
        return AGON_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (x[i].n > most)
            return ctx_fail(ctx, AGON_EINVAL, "%s: their number is %zu; it must be from 0 to %zu", x[i].what, x[i].n, most);
        if (x[i].n && !x[i].pointer)
            return ctx_fail(ctx, AGON_EINVAL, "%s is NULL; it must be given", x[i].what);
    }
    return AGON_OK;
}
/* OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of requests", requests, n}) */
#define OPTIONS_GIVEN(ctx, ...)                                                                                        \
    options_given(ctx, (const option_pointer[]){__VA_ARGS__}, sizeof((const option_pointer[]){__VA_ARGS__}) / sizeof(option_pointer))

/* AGON_EINVAL: the array of texts was not given, or one of them. */
AGON_MUST_CHECK static inline agon_status options_texts(agon_ctx *ctx, const char *what, const char *const *texts, size_t n) {
    agon_status s = OPTIONS_GIVEN(ctx, {what, texts, n});
    for (size_t i = 0; i < n && !s; i++)
        if (!texts[i])
            s = ctx_fail(ctx, AGON_EINVAL, "%s: number %zu of %zu is NULL; each must be a text", what, i + 1, n);
    return s;
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

/* Values of a parameter, wherever they lie. */
#include "model/model.h"
#include "base/memory.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>

void parameter_get(agon_ctx *ctx, const parameter *p, size_t first, size_t n, float *out) {
    if (p->weights)
        matrix_get_rows(ctx, p->weights, first, n, out);
    else if (n)
        memcpy(out, p->value + first * p->n_columns, n * p->n_columns * sizeof *out);
}

void parameter_set(agon_ctx *ctx, const parameter *p, size_t first, size_t n, const float *values) {
    if (p->weights)
        matrix_set_rows(ctx, p->weights, first, n, values);
    else if (n)
        memcpy(p->value + first * p->n_columns, values, n * p->n_columns * sizeof *values);
}

agon_status parameter_copy(agon_ctx *ctx, const parameter *p, float **out) {
    float *values = memory_raw(size_mul(p->n_rows, p->n_columns), sizeof *values);
    if (!values)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for the %zu values of %s", p->n_rows * p->n_columns, p->name);
    parameter_get(ctx, p, 0, p->n_rows, values);
    *out = values;
    return AGON_OK;
}

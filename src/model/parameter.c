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

/* Rows of a piece; the last has what is left. */
static size_t piece_rows(const parameter *p) {
    size_t n = PARAMETER_PIECE / sizeof(float) / p->n_columns / PARAMETER_ROWS * PARAMETER_ROWS;
    n = n > 0 ? n : PARAMETER_ROWS;
    return n < p->n_rows ? n : p->n_rows;
}

bool parameter_next(const parameter *p, size_t *first, size_t *n) {
    *first += *n;
    const size_t most = piece_rows(p), left = p->n_rows - *first;
    *n = most < left ? most : left;
    return *n > 0;
}

size_t parameter_piece(const parameter *p) {
    return piece_rows(p) * p->n_columns;
}

agon_status parameter_copy(agon_ctx *ctx, const parameter *p, float **out) {
    float *values = memory_raw(size_mul(p->n_rows, p->n_columns), sizeof *values);
    if (!values)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for the %zu values of %s", p->n_rows * p->n_columns, p->name);
    parameter_get(ctx, p, 0, p->n_rows, values);
    *out = values;
    return AGON_OK;
}

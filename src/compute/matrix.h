/* Inside of matrix.c that the output head shares: packs and the products over them. */
#ifndef COMPUTE_MATRIX_H
#define COMPUTE_MATRIX_H

#include "compute/kernels.h"

/* One packed orientation: `n` columns of depth `k`; data NULL when not wanted. Layout: matrix.c. */
typedef struct pack {
    void *data;
    size_t n, k, k_padded, panel_bytes;
} pack;

struct matrix {
    compute_dtype dtype;
    size_t n_out, n_in;
    pack forward, backward;
};

/* y[n_rows, w->n] from x[n_rows, k] and depths [first_k, first_k + k) of w (first_k a multiple of
 * 32). The other fields are gemm's. */
typedef struct product {
    compute_dtype dtype;
    const float *x;
    size_t ldx, n_rows;
    const pack *w;
    size_t first_k, k;
    float *y;
    size_t ldy;
    const float *bias;
    float scale;
    bool accumulate, resume;
} product;

void product_run(agon_ctx *ctx, const product *p);
/* Rows a task should take, at most `cap` (a multiple of 12): they fit the thread's scratch memory and
 * cut n_rows evenly. */
size_t product_row_block(const agon_ctx *ctx, compute_dtype dtype, size_t k_padded, size_t n_rows, size_t cap);
/* The rows as the product reads them: x itself (f32) or rounded in the thread's scratch memory. */
const void *product_rows(agon_ctx *ctx, compute_dtype dtype, const float *x, size_t ldx, size_t n_rows,
                          size_t k, int thread, size_t *lda);

typedef struct weight_gradient {
    compute_dtype dtype;
    const float *dy;
    size_t ld_dy;
    const float *x;
    size_t ldx, n_rows, n_out, n_in;
    float scale;
    float *dw; /* [n_out, n_in] */
} weight_gradient;

void weight_gradient_run(agon_ctx *ctx, const weight_gradient *g);

#endif

/* Inside of matrix.c that the output head and matrix_q8.c share: packs and the products over them. */
#ifndef COMPUTE_MATRIX_H
#define COMPUTE_MATRIX_H

#include "compute/kernels.h"

/* A thread's scratch memory: rounded rows at its start; at its end what 8-bit weights are unpacked to (Q8_DEPTH k of two
 * panels, and sums where the depth is greater) and the head's logits. */
enum {
    ROWS_MAX = 96, /* rows of one task: a multiple of every row_step */
    Q8_DEPTH = 2048,
    Q8_PANELS = 2,
    Q8_PANEL_FLOATS = Q8_DEPTH / 2 * LANES_N,
    Q8_SUMS = ROWS_MAX * Q8_PANELS * LANES_N,
    HEAD_FLOATS = HEAD_ROWS_MAX * HEAD_SEGMENT,
    HEAD_AT = CTX_SCRATCH_FLOATS - HEAD_FLOATS,
    Q8_SUMS_AT = HEAD_AT - Q8_SUMS,
    Q8_AT = Q8_SUMS_AT - Q8_PANELS * Q8_PANEL_FLOATS,
};

/* One packed orientation: `n` columns of depth `k`; data NULL when not wanted. Layout: matrix.c. */
typedef struct pack {
    void *data;
    size_t n, k, k_padded, panel_bytes;
    bool q8; /* 8-bit weights; compute is bf16 */
} pack;

struct matrix {
    compute_dtype dtype;
    size_t n_out, n_in;
    pack forward, backward;
};

/* Of each part y[n_rows, w->n] from x[n_rows, k] and depths [first_k, first_k + k) of its w (first_k a multiple of
 * 32). The other fields are gemm's and matmul_job's. Parts are one job: the rows are rounded for all of them, and nobody waits between. */
typedef struct product_part {
    const pack *w;
    float *y;
    size_t ldy;
    const float *bias;
    const matmul_addition *additions;
    size_t n_additions;
    bool transposed; /* additions multiply by W, not by W^T */
    bool rotate;
} product_part;
typedef struct product {
    compute_dtype dtype;
    const float *x;
    size_t ldx, n_rows;
    size_t first_k, k;
    float scale;
    bool accumulate, resume;
    const float *rotation;
    size_t head_dim;
    float *swiglu;
    size_t n_parts;
    product_part parts[MATMUL_PARTS];
} product;

void product_run(agon_ctx *ctx, const product *p);
/* Fills kind, w and panel_bytes: panels of `w` from the given one on, depths from first_k on (0 when it is 8-bit). */
void product_weights(const pack *w, compute_dtype dtype, size_t panel, size_t first_k, gemm *g);
/* The product g, of at most ROWS_MAX rows, inside a task of `thread`. */
void product_multiply(agon_ctx *ctx, compute_dtype dtype, int thread, const gemm *g);
/* The same where g's weights are 8-bit. */
void product_multiply_q8(agon_ctx *ctx, const products *p, int thread, const gemm *g);
/* Element (column n, depth k); of 8-bit weights before it is rounded to bf16. */
float pack_value(const pack *p, compute_dtype dtype, size_t n, size_t k);
float pack_value_q8(const pack *p, size_t n, size_t k);
AGON_MUST_CHECK agon_status pack_new(agon_ctx *ctx, compute_dtype dtype, size_t n, size_t k, pack *out);
/* Rows a task should take, at most `cap` (a multiple of the products' row_step): they fit the thread's scratch memory and cut
 * n_rows evenly, in whole tiles but for the last rows. */
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

/* Inside of matrix.c that the output head and matrix_q8.c share: packs and the products over them. */
#ifndef COMPUTE_MATRIX_H
#define COMPUTE_MATRIX_H

#include "compute/kernels.h"

/* A thread's scratch memory: rounded rows at its start; at its end two panels of weights that are laid out for a product first
 * (SLICE_DEPTH k of bf16, half as many of f32, and sums where the depth is greater) and the head's logits. */
enum {
    TURNED_ROWS_MAX = 256, /* rows of a task whose weights are laid out first */
    SLICE_DEPTH = 2048,
    SLICE_PANELS = 2,
    SLICE_COLUMNS = SLICE_PANELS * LANES_N,
    SLICE_PANEL_FLOATS = SLICE_DEPTH / 2 * LANES_N,
    SLICE_SUMS = TURNED_ROWS_MAX * SLICE_COLUMNS,
    HEAD_FLOATS = HEAD_ROWS_MAX * HEAD_SEGMENT,
    HEAD_AT = CTX_SCRATCH_FLOATS - HEAD_FLOATS,
    SLICE_SUMS_AT = HEAD_AT - SLICE_SUMS,
    SLICE_AT = SLICE_SUMS_AT - SLICE_PANELS * SLICE_PANEL_FLOATS,
};

/* Depths of a transpose that are laid out at once. */
static inline size_t turned_depth(compute_dtype dtype) {
    return dtype == COMPUTE_BF16 ? SLICE_DEPTH : SLICE_DEPTH / 2;
}

/* `n` columns of depth `k`: a matrix's n_out and n_in. Layout: matrix.c. */
typedef struct pack {
    void *data;
    size_t n, k, k_padded, panel_bytes;
    bool q8; /* 8-bit weights; compute is bf16 */
} pack;

struct matrix {
    compute_dtype dtype;
    size_t n_out, n_in;
    pack pack;
    uint16_t *low, *carried; /* matrix_masters.c; NULL: not trained, or f32 */
};

/* Of each part y[n_rows, w->n] from x[n_rows, k] and depths [first_k, first_k + k) of its w (first_k a multiple of
 * 32); turned, y[n_rows, w->k] from its columns [first_k, first_k + k), that is x W and not x W^T. The other fields are gemm's and
 * matmul_job's. Parts are one job: the rows are rounded for all of them, and nobody waits between. */
typedef struct product_part {
    const pack *w;
    float *y;
    size_t ldy;
    const float *bias;
    const matmul_addition *additions;
    size_t n_additions;
    bool turned; /* the additions too */
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
/* The product g, of at most TURNED_ROWS_MAX rows, inside a task of `thread`. */
void product_multiply(agon_ctx *ctx, compute_dtype dtype, int thread, const gemm *g);
/* The same where g's weights are 8-bit. */
void product_multiply_q8(agon_ctx *ctx, const products *p, int thread, const gemm *g);
/* The product g of x W: its columns are the depths of w from 16 * panel on, its depths the columns of w from first_k (a multiple of 32) on. */
void product_multiply_turned(agon_ctx *ctx, compute_dtype dtype, int thread, const pack *w, size_t panel, size_t first_k, const gemm *g);

/* A product whose weights are laid out in the thread's scratch memory first: two panels of columns, and so many depths of them, at a time. */
typedef struct sliced_product {
    const products *p;
    const gemm *g;
    size_t depth; /* of a slice */
    /* Sets kind and weights of `part` for its columns from `column` and its depths from k on; `panels`: the memory. */
    void (*prepare)(agon_ctx *ctx, const struct sliced_product *s, size_t column, size_t k, void *panels, gemm *part);
    const pack *w; /* product_multiply_turned's */
    size_t panel, first_k;
} sliced_product;

void product_multiply_sliced(agon_ctx *ctx, int thread, const sliced_product *s);
/* Element (column n, depth k); of 8-bit weights before it is rounded to bf16. */
float pack_value(const pack *p, compute_dtype dtype, size_t n, size_t k);
float pack_value_q8(const pack *p, size_t n, size_t k);
AGON_MUST_CHECK agon_status pack_new(agon_ctx *ctx, compute_dtype dtype, size_t n, size_t k, pack *out);
/* Rows a task should take, at most `cap` (a multiple of the products' row_step): they fit the thread's scratch memory and cut
 * n_rows evenly, into a multiple of `blocks` where that leaves them half as many. */
size_t product_row_block(const agon_ctx *ctx, compute_dtype dtype, size_t k_padded, size_t n_rows, size_t cap, size_t blocks);
/* Floats of a rounded row: an odd number of cache lines, so that the rows of a tile do not share cache sets. */
size_t product_row_width(const products *p, size_t k);
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

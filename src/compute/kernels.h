/* The single-threaded kernels behind compute.h, one table a CPU path.
 *
 * body_*.h hold every kernel once, written over sixteen virtual lanes (lanes_*.h).
 * kernels_PATH.c (portable, avx2, avx512, avx512_bf16, amx, neon) compile them for their path and fill a
 * table. The order of operations is the body's and so the same everywhere; only the number of output
 * elements held in registers differs. The files named after compute.h's sections (matrix.c, head.c,
 * ...) cut the work into tasks and call the table of their context. */
#ifndef COMPUTE_KERNELS_H
#define COMPUTE_KERNELS_H

#include "base/ctx.h"
#include "base/pool.h"
#include "compute/adamw.h"
#include "compute/compute.h"

enum {
    LANES_N = 16,           /* virtual lanes: width of a column panel */
    K_BLOCK = 32,           /* k of one step of the bf16 accumulation */
    HEAD_SEGMENT = 1024,    /* vocabulary entries of one softmax segment */
    HEAD_ROWS = 48,         /* rows of a task of the output head: their logits of one segment take 192 KiB; as many more as */
    HEAD_ROWS_MAX = 64,     /* whole tiles have (AMX) */
    Q8_VALUES = LANES_N * sizeof(float),         /* K_BLOCK k of 16 columns in 8 bits: 16 f32 scales, then */
    Q8_BLOCK = Q8_VALUES + K_BLOCK * LANES_N,    /* [k/2][16][2] int8 */
};

/* How the columns of a product are stored and accumulated. */
typedef enum gemm_kind {
    GEMM_BF16,    /* w: panels of 16 columns, [k/2][16][2] bf16 */
    GEMM_F32,     /* w: panels [k][16] f32; one ascending chain */
    GEMM_Q8,      /* as GEMM_BF16, w: panels of 8-bit weights (matrix_q8.c), rounded to bf16 as they are read */
    GEMM_BF16_DW, /* a and w packed by dw_rows and dw_panels */
    GEMM_F32_DW,
    GEMM_N_KINDS
} gemm_kind;

/* y[n_rows, n_cols] from a[n_rows, k] and w. Rounding is the caller's affair: for the bf16 kinds `a`
 * holds bf16 values and k is a multiple of K_BLOCK (zero padded). An element of `a` takes 4 bytes: a float, or in
 * products that work on pairs two bf16 of neighbouring k, the even one first. */
typedef struct gemm {
    gemm_kind kind;
    const void *a; /* element (row, k): a[row*lda + k]; packed by dw_rows: a[k*lda + row] */
    size_t lda, n_rows, k;
    const void *w;
    size_t panel_bytes; /* from one panel of 16 columns to the next */
    /* GEMM_Q8 of more rows than a tile has (q8_rows): memory for two panels as GEMM_BF16 has them, which the first tile of rows
     * unpacks while it multiplies and the others read. Else NULL. */
    void *unpacked;
    /* What is fetched from memory meanwhile, next_panel bytes from one panel to the next and next_depth from sixteen depths to the next.
     * NULL: the panels after those that are multiplied (inside the tiles: nothing). */
    const char *next;
    size_t next_panel, next_depth;
    size_t n_cols;
    float *y;
    size_t ldy;
    const float *bias; /* [n_cols] or NULL */
    float scale;
    bool accumulate; /* y + (scale*product + bias) */
    bool resume;     /* the chain goes on from y; scale, bias and accumulate are not used */
} gemm;

/* Online softmax over one segment: max, sum of exp(l - max), the same sum weighted by (l - max), and
 * the plain sum. */
typedef struct softmax_part {
    float max, sum, weighted, plain;
} softmax_part;

/* Coefficients of a row's logit gradient: d_logit = (target? d_log_prob : 0) + constant
 * - p * (slope + d_entropy * log p), times 1/temperature. */
typedef struct logit_gradient {
    float lse, slope, d_entropy, constant, inv_temperature;
} logit_gradient;

typedef struct attention_call {
    const attention_shape *shape;
    const attention_keys *keys;
    const float *q, *k, *v;
    const uint16_t *k_rounded, *v_rounded; /* in place of k and v: bf16 */
    float *out, *lse;
    const float *d_out;
    float *dq, *dk, *dv;
    size_t n_rows;
    /* Backward, one chunk of query rows: p and ds of row, head and key position,
     * [(row - first_row) * n_heads + head][ld_weights]. */
    size_t first_row, n_chunk, ld_weights;
    float *weights, *d_scores;
} attention_call;

/* A block of keys of attention_bf16.c: scores [n_rows, ld], of which row i has its first n[i]; to weights exp(scale * score - max) in
 * place, zeros from n[i] to `width` (rounded up to LANES_N). max and sum [n_rows] are moved on; correction: what sums before this block are
 * multiplied by. */
typedef struct softmax_rows {
    float *scores;
    size_t ld, n_rows, width;
    const size_t *n;
    float scale;
    float *max, *sum, *correction;
} softmax_rows;

/* The same block backward: p = exp(scale * score - lse) and its score's gradient p * (d_weight - delta) * scale, zeros after n[i], to rows
 * ld_to apart. */
typedef struct softmax_gradients {
    const float *scores, *d_weights; /* [n_rows, ld] */
    size_t ld, n_rows, width;
    const size_t *n;
    float scale;
    const float *lse; /* of row i: lse[i * ld_lse] */
    size_t ld_lse;
    const float *delta;
    float *to_weights, *to_scores;
    size_t ld_to;
} softmax_gradients;

/* AdamW's scalars, computed once a call. */
typedef struct adamw_step {
    float grad_scale, beta1, one_minus_beta1, beta2, one_minus_beta2;
    float correction1, correction2; /* 1 / (1 - beta^step) */
    float lr, lr_decay, eps;        /* lr_decay = lr * weight_decay */
} adamw_step;
adamw_step adamw_step_of(const adamw_options *options, float grad_scale);

/* Matrix products in one order of operations (docs/numerics.md) on one CPU path. lda counts elements of 4 bytes. */
typedef struct products {
    bool pairs;     /* bf16 operands are pairs of bf16, not floats */
    bool dw_by_row; /* dw_rows packs a[row*lda + k] as well */
    /* a[n_rows, lda] = x[n_rows, width], times scale, rounded to bf16, zeros up to lda. */
    void (*round_rows)(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, void *a,
                       size_t lda);
    /* The operands of dw from rows of x, rounded when bf16, zeros from n_rows to padded_rows (even): scale * x by
     * column, and panels of 16 columns [width/16][padded_rows][16] ([padded_rows/2][16] pairs). */
    void (*dw_rows)(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, float scale,
                    bool bf16, void *a, size_t lda);
    void (*dw_panels)(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, bool bf16,
                      void *panels);
    /* Tasks' rows are cut in multiples of it; and a smaller number, for where so many rows do not fit. */
    size_t row_step, least_step;
    /* A task's rows at most, and where its weights must be turned first (TURNED_ROWS_MAX at most); floats that they may take when rounded,
     * a part of the L2 cache. */
    size_t most_rows, most_turned_rows, row_floats;
    /* Tasks a thread should have of a job of 16 rows or more. Several, so that a slow core does not hold up the others; one where products are so
     * fast that what each column task rounds again would weigh: then a task has all columns, if there are rows for all threads. */
    size_t tasks;
    void (*multiply)(const gemm *g);
    size_t q8_rows; /* of a tile of GEMM_Q8; 0: it is not here */
    /* Attention with operands of bf16 of one query row over rounded keys, head_dim 64; NULL: by `multiply` (attention_bf16.c), which gives
     * the same bits. */
    void (*attend_one)(const attention_call *call, size_t row, size_t kv_head);
} products;

/* What packs bf16 matrices, which are pairs whatever the products do. */
typedef struct packing {
    /* n_blocks (of K_BLOCK) of one panel of GEMM_Q8 as GEMM_BF16 has them. */
    void (*unpack_q8)(const char *w, size_t n_blocks, void *to);
    /* For x W. Of n_panels of GEMM_BF16, panel_bytes apart, the 16 depths that begin at w: [8][16] pairs of depths each, to pairs of
     * columns, to [n_panels * 8][16]. */
    void (*turn_pairs)(const char *w, size_t panel_bytes, size_t n_panels, void *to);
    /* The same of GEMM_F32, [16][16] floats each, of which `n` depths are there; the others become zeros. */
    void (*turn_floats)(const char *w, size_t panel_bytes, size_t n_panels, size_t n, void *to);
    /* n_rows rows of x, rounded, as depths: panels of GEMM_BF16 [width/16][padded_rows/2][16] pairs, zeros from n_rows to padded_rows. */
    void (*depth_panels)(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, void *panels);
    void (*round_row)(const float *x, size_t n, uint16_t *to);
    /* What depth_panels makes of rows rows[0], ... of x, which are rounded; and what split makes of 16 of them or fewer, n even. */
    void (*depth_panels_rounded)(const uint16_t *x, size_t ldx, const int32_t *rows, size_t n_rows, size_t padded_rows, size_t width, void *panels);
    void (*turn_rounded)(const uint16_t *x, size_t ldx, const int32_t *rows, size_t n_rows, size_t n, void *panel);
    /* Up to 16 rows of n values, rounded, to a panel of GEMM_BF16 (zeros after them); where low is not NULL, what the rounding left too:
     * [n_rows, ld_low] lower halves and [n_rows, ld_low / 16] a bit for each value that was rounded up in size. ld_low: a multiple of K_BLOCK. */
    void (*split)(const float *x, size_t ldx, size_t n_rows, size_t n, void *panel, uint16_t *low, uint16_t *carried, size_t ld_low);
    /* The values of those three: what split was given, denormals as zeros. */
    void (*join)(const void *panel, const uint16_t *low, const uint16_t *carried, size_t ld_low, size_t n_rows, size_t n, float *x, size_t ldx);
} packing;

typedef struct kernels {
    softmax_part (*softmax_segment)(const float *logits, size_t n);
    void (*logit_gradients)(const float *logits, size_t n, const logit_gradient *g, float *d_logits);
    void (*attend)(const attention_call *call, size_t row, size_t kv_head);
    /* dq, weights and d_scores of a row of the chunk; then dk and dv of key positions [first, end) from all its rows. */
    void (*attend_backward)(const attention_call *call, size_t row, size_t kv_head);
    /* The same bits for n_rows (a multiple of 4, at most 16) rows that have one list of keys, head_dim 64; NULL: not on this path. */
    void (*attend_rows)(const attention_call *call, size_t row, size_t n_rows, size_t kv_head);
    void (*attend_backward_rows)(const attention_call *call, size_t row, size_t n_rows, size_t kv_head);
    void (*attend_backward_keys)(const attention_call *call, size_t first, size_t end, size_t kv_head);
    /* Attention with operands of bf16 (body_attention_bf16.h). */
    void (*softmax_rows)(const softmax_rows *s);
    void (*softmax_rows_backward)(const softmax_gradients *s);
    void (*scale_rows)(float *x, size_t ldx, size_t n_rows, size_t width, const float *factor);
    void (*divide_rows)(float *x, size_t ldx, size_t n_rows, size_t width, const float *by);
    void (*dot_rows_bf16)(const float *d_out, const float *out, size_t ld, size_t n_rows, size_t width, float *delta);
    void (*rms_norm)(const float *x, size_t n_rows, size_t width, const float *weight, float eps,
                     float *y, float *inv_rms);
    void (*rms_norm_dx)(const float *x, const float *inv_rms, const float *weight, const float *dy,
                        size_t n_rows, size_t width, bool accumulate, float *dx);
    /* Columns [first, first+n) of the weight's gradient, n <= 16. */
    void (*rms_norm_dweight)(const float *x, const float *inv_rms, const float *dy, size_t n_rows,
                             size_t width, size_t first, size_t n, float *dweight);
    void (*column_sums)(const float *dy, size_t n_rows, size_t width, size_t first, size_t n, float *db);
    /* table [2 * half]: cosines, sines of position * inv_freq [half]; then n_heads of one row turned by it. */
    void (*rope_table)(const float *inv_freq, size_t half, int32_t position, float *table);
    void (*rope)(float *x, size_t n_heads, size_t head_dim, const float *table, int direction);
    void (*swiglu)(const float *gate, const float *up, size_t n, float *y);
    void (*swiglu_backward)(const float *gate, const float *up, const float *dy, size_t n, float *y, float *dgate, float *dup);
    void (*add)(float *y, const float *x, size_t n);
    void (*exp)(const float *x, size_t n, float *y);
    void (*adamw)(const adamw_step *s, const float *g, size_t n, float *theta, float *m, float *v);
    double (*sum_squares)(const float *x, size_t n);
} kernels;

extern const kernels kernels_portable;
#if defined(__x86_64__)
extern const kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const kernels kernels_neon;
#endif

const kernels *kernels_of(const agon_ctx *ctx);
/* A step of n values that is measured; before [n] is scratch. */
adamw_change adamw_piece(const kernels *k, const adamw_step *step, const float *g, size_t n, float *theta, float *m, float *v, float *before);

/* chains_*: `numerics: portable`, and all f32 products. pairs_*: `numerics: native`. */
extern const products chains_portable, pairs_portable;
#if defined(__x86_64__)
extern const products chains_avx2, chains_avx512, chains_amx, pairs_avx2, pairs_avx512, chains_avx512_bf16, pairs_avx512_bf16;
void attend_one_chains(const attention_call *call, size_t row, size_t kv_head), attend_one_pairs(const attention_call *call, size_t row, size_t kv_head);
#elif defined(__aarch64__)
extern const products chains_neon, pairs_neon;
#endif
const products *products_of(const agon_ctx *ctx, compute_dtype dtype);

extern const packing packing_portable;
#if defined(__x86_64__)
extern const packing packing_avx2, packing_avx512, packing_avx512_bf16;
#elif defined(__aarch64__)
extern const packing packing_neon;
#endif
const packing *packing_of(const agon_ctx *ctx);

/* Runs fn over [0, n) cut into pieces of `grain` (a multiple of 16 keeps vectors whole); small n stays
 * on the caller's thread. fn must not depend on where the cuts are. */
typedef void (*range_task)(void *arg, size_t first, size_t n);
void run_range(agon_ctx *ctx, size_t n, size_t grain, range_task fn, void *arg);

static inline size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}
static inline size_t size_min(size_t a, size_t b) {
    return a < b ? a : b;
}

#endif

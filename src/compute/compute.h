/* Kernels: matrix products, attention, output head, norms, activations, AdamW.
 *
 * Every function here obeys the arithmetic contract (docs/numerics.md): a row's result depends on that
 * row's inputs only, never on the rows around it, on the number of threads or (numerics: portable) on
 * the CPU. Activations are f32, row-major, [n_rows, width]; in bf16 compute the operands of a product
 * are rounded to bf16 (nearest even, denormals to zero) on entry and accumulated in f32. Kernels do
 * not allocate; caller mistakes are asserts. Work is split over ctx's threads inside. */
#ifndef COMPUTE_COMPUTE_H
#define COMPUTE_COMPUTE_H

#include "agon.h"

typedef enum compute_dtype { COMPUTE_F32 = 0, COMPUTE_BF16 = 1 } compute_dtype;

/* Sizes that kernels take; a model beyond them must be refused when it is opened. */
enum {
    MAX_HEAD_DIM = 256,
    MAX_PRODUCT_DEPTH = 1 << 17, /* columns a row of a product may have, that of weights too */
    MAX_VOCABULARY = 1 << 20,
};

/* ---- matrix.c: packed weights and the three products ------------------------------------------ */

/* A weight matrix W [n_out, n_in], packed once for both y = x W^T and dx = dy W. */
typedef struct matrix matrix;

/* *out new (matrix_free). `w` is row-major [n_out, n_in], borrowed for the call; it is rounded to bf16
 * when dtype is COMPUTE_BF16. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status matrix_new(agon_ctx *ctx, compute_dtype dtype, size_t n_out, size_t n_in, const float *w, matrix **out);
/* A matrix of 8-bit weights in half the memory: W[o][i] = values[o * n_in + i] * scales[o * n_in/32 + i/32], n_in a
 * multiple of 32. Every product has the bits of matrix_new(COMPUTE_BF16) of the same W: an element is multiplied out and rounded
 * to bf16 as it is read. Scales are f32 that hold finite f16 values (then no element is a denormal). */
AGON_MUST_CHECK agon_status matrix_new_q8(agon_ctx *ctx, size_t n_out, size_t n_in, const int8_t *values, const float *scales,
                                          matrix **out);
size_t matrix_predict_q8(size_t n_out, size_t n_in);
bool matrix_is_q8(const matrix *m);
/* Makes 8-bit weights ordinary ones, which matrix_set needs. */
AGON_MUST_CHECK agon_status matrix_widen(agon_ctx *ctx, matrix *m);
/* Packs new values into an existing matrix. Not 8-bit. */
void matrix_set(agon_ctx *ctx, matrix *m, const float *w);

/* Weights that are trained (matrix_masters.c): widened, and from the next matrix_set on their f32 values are kept whole, at 2.125 bytes a
 * weight more in bf16. AGON_ENOMEM: nothing has changed but that it is wide. */
AGON_MUST_CHECK agon_status matrix_train(agon_ctx *ctx, matrix *m);
void matrix_freeze(matrix *m);
/* Rows [first, first + n) from and to [n, n_in] f32: first is a multiple of 16, n too where they do not end the matrix. To get them the matrix
 * must be trained or f32; denormals come back as zeros. */
void matrix_set_rows(agon_ctx *ctx, matrix *m, size_t first, size_t n, const float *w);
void matrix_get_rows(agon_ctx *ctx, const matrix *m, size_t first, size_t n, float *out);
/* Bytes matrix_train adds to matrix_predict. */
size_t matrix_masters_predict(compute_dtype dtype, size_t n_out, size_t n_in);

void matrix_free(matrix *m);
size_t matrix_n_in(const matrix *m);
size_t matrix_bytes(const matrix *m);
/* What one made so will have. SIZE_MAX: more than can be counted. */
size_t matrix_predict(compute_dtype dtype, size_t n_out, size_t n_in);
/* Row `row` as the products see it (bf16-rounded where dtype is bf16), [n_in]: embedding look-up. */
void matrix_row(const matrix *m, size_t row, float *out);

/* y[n_rows, n_out] = (accumulate ? y : 0) + scale * (x[n_rows, n_in] W^T) + bias. `bias` [n_out] f32 or NULL. scale
 * multiplies the finished f32 product (LoRA's alpha/r); 1 is exact. */
void matmul(agon_ctx *ctx, const float *x, size_t n_rows, const matrix *w, const float *bias,
            float scale, bool accumulate, float *y);
/* Up to MATMUL_PARTS products of the same rows in one job, and what follows them: each block of a result is finished while it is in the
 * cache, and no thread waits between. The bits are those of matmul, rope and swiglu one after the other. */
enum { MATMUL_PARTS = 3 };
/* y of rows [first, first + n_rows) += scale * (x W^T), x [n_rows, n_in] of these rows: an adapter's second factor. For
 * matmul_dx_run x W instead, x [n_rows, n_out]. */
typedef struct matmul_addition {
    size_t first, n_rows;
    const float *x;
    const matrix *w;
    float scale;
} matmul_addition;
typedef struct matmul_part {
    const matrix *w;   /* all of one dtype and n_in */
    const float *bias; /* [n_out] or NULL */
    float *y;          /* [n_rows, n_out] = x W^T + bias, then */
    const matmul_addition *additions; /* [n_additions], in this order, then */
    size_t n_additions;
    bool rotate;       /* heads of head_dim columns are turned by `rotation` */
} matmul_part;
typedef struct matmul_job {
    const float *x; /* [n_rows, n_in] */
    size_t n_rows;
    bool accumulate; /* y += */
    const float *rotation; /* [n_rows, head_dim] of rope_table, where a part rotates */
    size_t head_dim;
    float *swiglu; /* [n_rows, n_out] = silu(y of part 0) * y of part 1, two parts of one n_out; NULL: no */
    size_t n_parts;
    matmul_part parts[MATMUL_PARTS];
} matmul_job;
void matmul_run(agon_ctx *ctx, const matmul_job *job);
/* dx[n_rows, n_in] = (accumulate ? dx : 0) + scale * (dy[n_rows, n_out] W). */
void matmul_dx(agon_ctx *ctx, const float *dy, size_t n_rows, const matrix *w, float scale,
               bool accumulate, float *dx);
/* dx[n_rows, n_in] = the sum of `terms` in their order, the first one of all rows: in one job, with the bits of matmul_dx one after the
 * other. n_terms > 0. */
void matmul_dx_run(agon_ctx *ctx, size_t n_rows, const matmul_addition *terms, size_t n_terms, float *dx);
/* dw[n_out, n_in] += scale * (dy[n_rows, n_out]^T x[n_rows, n_in]), both operands rounded to bf16 when dtype is
 * bf16. One accumulator continues over calls in row order: rows are taken in blocks of 32 (the last
 * one zero-padded), per block c += even chain + odd chain (bf16) or one ascending FMA chain (f32);
 * scale multiplies dy before it is rounded. So calling it per tree gives the same bits as any other
 * split into the same trees. */
void matmul_dw(agon_ctx *ctx, compute_dtype dtype, const float *dy, const float *x, size_t n_rows,
               size_t n_out, size_t n_in, float scale, float *dw);

/* ---- attention.c ------------------------------------------------------------------------------- */

typedef struct attention_shape {
    size_t n_heads, n_kv_heads, head_dim; /* head h reads key head h / (n_heads / n_kv_heads) */
    float scale;                          /* usually 1/sqrt(head_dim) */
    bool bf16;                            /* operands of its products are rounded to bf16; else all is f32 */
} attention_shape;

/* The keys one query row may see: rows of k and v in order of absolute position, itself last. A
 * shared prompt, a packed batch and a paged cache are all just row numbers. Blocks of the online
 * softmax are 32 absolute positions, 64 where shape.bf16. */
typedef struct attention_keys {
    const int32_t *rows;
    int32_t n;
} attention_keys;

/* out[n_rows, n_heads*head_dim]; lse [n_rows, n_heads] or NULL (needed by the backward pass).
 * q [n_rows, n_heads*head_dim]; k, v [any, n_kv_heads*head_dim]. */
void attention(agon_ctx *ctx, const attention_shape *shape, size_t n_rows, const attention_keys *keys,
               const float *q, const float *k, const float *v, float *out, float *lse);
/* The same bits where shape.bf16, from keys and values that round_keys has rounded before. */
void attention_rounded(agon_ctx *ctx, const attention_shape *shape, size_t n_rows, const attention_keys *keys,
                       const float *q, const uint16_t *k, const uint16_t *v, float *out);
/* Row to[i] of k_to and v_to [any, width] = row i of k and v [n_rows, width], rounded to bf16. */
void round_keys(agon_ctx *ctx, const float *k, const float *v, size_t n_rows, size_t width, const int32_t *to, uint16_t *k_to, uint16_t *v_to);
/* dq written; dk, dv [any, n_kv_heads*head_dim] accumulated, contributions in ascending query-row order for any thread
 * count. A key stands at the same position of every list that has it. `scratch` [n_scratch]: what attention_scratch_floats
 * says for the longest list, or more. */
size_t attention_scratch_floats(const attention_shape *shape, size_t n_rows, size_t most_keys);
void attention_backward(agon_ctx *ctx, const attention_shape *shape, size_t n_rows,
                        const attention_keys *keys, const float *q, const float *k, const float *v,
                        const float *out, const float *lse, const float *d_out, float *dq, float *dk,
                        float *dv, float *scratch, size_t n_scratch);

/* ---- head.c: the output head, never tokens x vocabulary in memory ------------------------------ */

/* Logits of some rows between head_log_prob, which fills them, and head_backward, which then need not compute them again. How many is
 * the caller's bound on memory; the bits are the same with any number. */
typedef struct kept_logits {
    float *logits;      /* n_rows * vocabulary, over temperature, in head.c's order */
    size_t n_rows;      /* head_log_prob: its first rows */
    const int32_t *row; /* [rows of head_backward] ascending: which one each was; from n_rows on not kept. NULL: row i is i */
} kept_logits;

/* Per row, over logits = hidden W^T / temperature: log-sum-exp, and, each unless NULL,
 * log_prob of targets[row] (a negative target: 0), entropy, mean over the vocabulary of log_prob.
 * hidden [n_rows, n_in] after the final norm; W [vocabulary, n_in]. All in nats, f32.
 * Vocabulary segments are fixed and merged in ascending order. `keep`: NULL, or where logits are kept. */
void head_log_prob(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows,
                   const int32_t *targets, float temperature, float *lse, float *log_prob,
                   float *entropy, float *mean_log_prob, const kept_logits *keep);

/* Gradient of sum(d_log_prob*log_prob + d_entropy*entropy + d_mean*mean_log_prob): recomputes logits
 * chunk by chunk. d_hidden [n_rows, n_in] written; dw [vocabulary, n_in] accumulated, or NULL. lse, and
 * entropy where d_entropy is given, from head_log_prob. d_entropy, d_mean, kept may be NULL. `scratch`
 * >= head_scratch_floats(n_rows, n_in) floats. */
size_t head_scratch_floats(size_t n_rows, size_t n_in);
void head_backward(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows,
                   const int32_t *targets, float temperature, const float *lse, const float *entropy,
                   const float *d_log_prob, const float *d_entropy, const float *d_mean,
                   float *d_hidden, float *dw, float *scratch, const kept_logits *kept);

/* logits [n_rows, vocabulary], not divided by any temperature: for a few rows (top-k, sampling). */
void head_logits(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows, float *logits);
/* lse of one row of logits / temperature with exactly head_log_prob's segments and bits; log_prob of
 * token t is logits[t] / temperature - lse. */
float head_lse_of_logits(agon_ctx *ctx, const float *logits, size_t vocabulary, float temperature);

/* ---- elementwise.c, norm.c, rope.c ------------------------------------------------------------- */

/* y = x / sqrt(mean(x^2) + eps) * weight, per row; inv_rms [n_rows] or NULL. Sum of squares over
 * sixteen lanes and one fixed tree. y may be x. */
void rms_norm(agon_ctx *ctx, const float *x, size_t n_rows, size_t width, const float *weight,
              float eps, float *y, float *inv_rms);
/* dx written (or accumulated); dweight [width] accumulated in row order, or NULL. */
void rms_norm_backward(agon_ctx *ctx, const float *x, const float *inv_rms, const float *weight,
                       const float *dy, size_t n_rows, size_t width, bool accumulate, float *dx,
                       float *dweight);

/* Rotary embedding, rotate-half form (pairs i, i + head_dim/2), in place on x [n_rows, n_heads*head_dim]. `table` [n_rows, head_dim] has each
 * row's cosines and then its sines, which are the same in every layer: rope_table makes it from inv_freq [head_dim/2] (scaling already in
 * it) and positions [n_rows] absolute along the chain. direction +1 forward, -1 backward (the transpose). */
void rope_table(agon_ctx *ctx, size_t n_rows, size_t head_dim, const float *inv_freq, const int32_t *positions, float *table);
void rope(agon_ctx *ctx, float *x, size_t n_rows, size_t n_heads, size_t head_dim, const float *table, int direction);

/* y = silu(gate) * up, [n]. */
void swiglu(agon_ctx *ctx, const float *gate, const float *up, size_t n, float *y);
/* From dy [n] both gradients, and y once more, which shares their exponentials. */
void swiglu_backward(agon_ctx *ctx, const float *gate, const float *up, const float *dy, size_t n, float *y, float *dgate, float *dup);
void add_in_place(agon_ctx *ctx, float *y, const float *x, size_t n); /* y += x */
/* db[width] += column sums of dy [n_rows, width], row order. */
void bias_gradient(agon_ctx *ctx, const float *dy, size_t n_rows, size_t width, float *db);

/* Own polynomial exp/log/sin/cos, equal bits on every path (max error: docs/numerics.md). */
float math_exp(float x);
float math_log(float x);

/* ---- adamw.c ----------------------------------------------------------------------------------- */

typedef struct adamw_options {
    float lr, beta1, beta2, eps, weight_decay; /* weight_decay 0 where the mask says so */
    int64_t step;                              /* from 1: bias correction */
} adamw_options;

/* theta -= lr*wd*theta; m, v; theta -= lr*mhat/(sqrt(vhat)+eps) (training.md section 9). g is
 * multiplied by grad_scale first (clipping). */
void adamw(agon_ctx *ctx, const adamw_options *options, float grad_scale, const float *g, size_t n,
           float *theta, float *m, float *v);
/* Sum of squares in f64 over fixed blocks, any thread count. NaN/inf propagate. */
double sum_squares(agon_ctx *ctx, const float *x, size_t n);

/* ---- peak.c ------------------------------------------------------------------------------------ */

/* Runs multiply-adds in registers on all threads, for the caller to time: returns how many floating-point operations they were. bf16:
 * the instruction that products of bf16 use in this context (AMX, VDPBF16PS where it is fast, else the same FMA as f32). */
double compute_peak_flop(agon_ctx *ctx, bool bf16);
/* Reads n floats on all threads, to be timed as well. */
void compute_read(agon_ctx *ctx, const float *from, size_t n);

/* ---- selftest.c -------------------------------------------------------------------------------- */

/* Runs each kernel on fixed inputs and compares SHA-256 of the bits with the recorded ones. AGON_EMISMATCH names
 * the kernel and path. Takes a few milliseconds. */
AGON_MUST_CHECK agon_status compute_self_test(agon_ctx *ctx);
/* The numerics that are fastest on this CPU: portable-bf16-attention on AMX, whose tiles have its order, native-bf16-attention where VDPBF16PS
 * is fast, else those of ctx, since little lies between them. */
agon_numerics compute_fastest_numerics(const agon_ctx *ctx);
/* The same, once a context and numerics: loading a model asks for it. Where AMX was not asked for by name and fails, the
 * context goes on with AVX-512 (ctx->amx_failed). */
AGON_MUST_CHECK agon_status compute_check_once(agon_ctx *ctx);

/* Round to bf16, nearest even, denormals to zero. */
static inline uint16_t bf16_from_float(float f) {
    union {
        float f;
        uint32_t u;
    } x = {f};
    if ((x.u & 0x7f800000u) == 0)
        return (uint16_t)((x.u >> 16) & 0x8000u);
    if ((x.u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((x.u >> 16) | 0x40u);
    return (uint16_t)((x.u + 0x7fffu + ((x.u >> 16) & 1u)) >> 16);
}
static inline float bf16_to_float(uint16_t b) {
    union {
        uint32_t u;
        float f;
    } x = {(uint32_t)b << 16};
    return x.f;
}

#endif

/* 8-bit weights: the blocks of a Q8_0 file in the order the products want, half the bytes of bf16.
 *
 * A panel is sixteen columns; 32 k of it are sixteen f32 scales and [16][16][2] int8, pair after pair as bf16 panels have them. An
 * element is scale * int8 rounded to bf16: what packing the file's dequantised values gives. So results do not depend on how
 * weights are kept. Products unpack in registers (higher tiles of AVX2: a block at a time in the L1 cache); with
 * more rows than a tile has, the first tile leaves two panels in scratch memory that fits the L2 cache, and the other tiles go on as with bf16 weights. AMX, which reads memory only, unpacks first. */
#include "base/memory.h"
#include "base/slab.h"
#include "compute/matrix.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pack ---------------------------------------------------------------------------------- */

typedef struct q8_job {
    const packing *packing;
    const pack *from, *to;
    const int8_t *values; /* [n, k] */
    const float *scales;  /* [n, k / 32] */
} q8_job;

static void pack_task(void *arg, size_t panel, int thread) {
    (void)thread;
    const q8_job *j = arg;
    const size_t column = panel * LANES_N, n = size_min(LANES_N, j->to->n - column), n_k = j->to->k;
    for (size_t k = 0; k < n_k; k += K_BLOCK) {
        char *block = (char *)j->to->data + panel * j->to->panel_bytes + k / K_BLOCK * Q8_BLOCK;
        float scales[LANES_N] = {0};
        int8_t values[K_BLOCK * LANES_N] = {0};
        for (size_t c = 0; c < n; c++) {
            scales[c] = j->scales[((column + c) * n_k + k) / K_BLOCK];
            for (size_t i = 0; i < K_BLOCK; i++)
                values[i / 2 * 2 * LANES_N + 2 * c + i % 2] = j->values[(column + c) * n_k + k + i];
        }
        memcpy(block, scales, sizeof scales);
        memcpy(block + Q8_VALUES, values, sizeof values);
    }
}

agon_status matrix_new_q8(agon_ctx *ctx, size_t n_out, size_t n_in, const int8_t *values, const float *scales,
                          matrix **out) {
    assert(n_out > 0 && n_in > 0 && n_in % K_BLOCK == 0);
    matrix *m = calloc(1, sizeof *m);
    pack p = {.n = n_out, .k = n_in, .k_padded = n_in, .panel_bytes = size_mul(n_in / K_BLOCK, Q8_BLOCK), .q8 = true};
    p.data = slab_new(&ctx->weights, round_up(n_out, LANES_N) / LANES_N, p.panel_bytes);
    if (!m || !p.data) {
        free(m);
        slab_free(p.data);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a weight matrix of %zu x %zu", n_out, n_in);
    }
    *m = (matrix){.dtype = COMPUTE_BF16, .n_out = n_out, .n_in = n_in, .pack = p};
    pool_run(ctx->pool, round_up(n_out, LANES_N) / LANES_N, pack_task,
             &(q8_job){.to = &m->pack, .values = values, .scales = scales});
    *out = m;
    return AGON_OK;
}

size_t matrix_predict_q8(size_t n_out, size_t n_in) {
    return size_mul(size_mul(round_up(n_out, LANES_N) / LANES_N, n_in / K_BLOCK), Q8_BLOCK);
}

bool matrix_is_q8(const matrix *m) {
    return m->pack.q8;
}

float pack_value_q8(const pack *p, size_t n, size_t k) {
    const char *block = (const char *)p->data + n / LANES_N * p->panel_bytes + k / K_BLOCK * Q8_BLOCK;
    const int8_t *values = (const int8_t *)block + Q8_VALUES;
    float scale;
    memcpy(&scale, block + n % LANES_N * sizeof scale, sizeof scale);
    return (float)values[k % K_BLOCK / 2 * 2 * LANES_N + n % LANES_N * 2 + k % 2] * scale;
}

static void widen_task(void *arg, size_t panel, int thread) {
    (void)thread;
    const q8_job *j = arg;
    j->packing->unpack_q8((const char *)j->from->data + panel * j->from->panel_bytes, j->from->k / K_BLOCK,
                         (char *)j->to->data + panel * j->to->panel_bytes);
}

agon_status matrix_widen(agon_ctx *ctx, matrix *m) {
    pack wide;
    if (!m->pack.q8)
        return AGON_OK;
    agon_status status = pack_new(ctx, COMPUTE_BF16, m->n_out, m->n_in, &wide);
    if (status)
        return status;
    pool_run(ctx->pool, round_up(m->n_out, LANES_N) / LANES_N, widen_task,
             &(q8_job){.packing = packing_of(ctx), .from = &m->pack, .to = &wide});
    slab_free(m->pack.data);
    m->pack = wide;
    return AGON_OK;
}

/* ---- products of many rows ----------------------------------------------------------------------- */

/* The tiles unpack themselves, the first one for the others; where there are none of 8-bit weights, here. */
static void prepare_q8(agon_ctx *ctx, const sliced_product *s, size_t column, size_t k, void *panels, gemm *part) {
    const gemm *g = s->g;
    const char *w = (const char *)g->w + column / LANES_N * g->panel_bytes + k / K_BLOCK * Q8_BLOCK;
    if (s->p->q8_rows) {
        part->w = w;
        part->unpacked = panels;
        return;
    }
    part->kind = GEMM_BF16;
    part->w = panels;
    part->panel_bytes = part->k * LANES_N * sizeof(uint16_t);
    for (size_t panel = 0; panel * LANES_N < part->n_cols; panel++)
        packing_of(ctx)->unpack_q8(w + panel * g->panel_bytes, part->k / K_BLOCK, (char *)panels + panel * part->panel_bytes);
}

void product_multiply_q8(agon_ctx *ctx, const products *p, int thread, const gemm *g) {
    assert(!g->resume);
    product_multiply_sliced(ctx, thread, &(sliced_product){.p = p, .g = g, .depth = SLICE_DEPTH, .prepare = prepare_q8});
}

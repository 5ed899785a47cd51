/* Products whose weights are not in memory as the tiles read them: 8-bit ones of many rows (matrix_q8.c), and dx = dy W, which reads the
 * one pack a matrix has, of W^T. Two panels of columns are laid out in scratch memory that fits the L2 cache, multiplied by all rows of
 * the task, and forgotten. For dx that costs about 1 % of a training step (docs/performance.md), and halves the memory of packed weights. */
#include "compute/matrix.h"
#include <assert.h>
#include <string.h>

/* y + (scale * sum + bias), as tile_finish does it. */
static void finish(const gemm *g, const float *sums, size_t column, size_t n_cols) {
    for (size_t row = 0; row < g->n_rows; row++)
        for (size_t c = 0; c < n_cols; c++) {
            float *y = g->y + row * g->ldy + column + c, r = sums[row * SLICE_COLUMNS + c] * g->scale;
            if (g->bias)
                r = r + g->bias[column + c];
            *y = g->accumulate ? *y + r : r;
        }
}

void product_multiply_sliced(agon_ctx *ctx, int thread, const sliced_product *s) {
    const gemm *g = s->g;
    assert(g->n_rows <= TURNED_ROWS_MAX);
    float *panels = ctx_scratch(ctx, thread) + SLICE_AT, *sums = ctx_scratch(ctx, thread) + SLICE_SUMS_AT;
    const bool whole = g->resume || g->k <= s->depth; /* else the chains' sums wait apart until the last slice */
    for (size_t column = 0; column < g->n_cols; column += SLICE_COLUMNS) {
        gemm part = *g;
        part.n_cols = size_min(SLICE_COLUMNS, g->n_cols - column);
        part.y = whole ? g->y + column : sums;
        if (whole) {
            part.bias = g->bias ? g->bias + column : NULL;
        } else {
            part.ldy = SLICE_COLUMNS;
            part.bias = NULL;
            part.scale = 1.0f;
            part.accumulate = false;
        }
        for (size_t k = 0; k < g->k; k += s->depth) {
            part.k = size_min(s->depth, g->k - k);
            part.a = (const float *)g->a + k / (s->p->pairs ? 2 : 1);
            part.resume = g->resume || k > 0;
            s->prepare(ctx, s, column, k, panels, &part);
            s->p->multiply(&part);
        }
        if (!whole)
            finish(g, sums, column, part.n_cols);
    }
}

/* ---- dx ---------------------------------------------------------------------------------------- */

/* A square of sixteen depths and sixteen columns of the pack is sixteen columns and depths of the product: its lines lie one after the
 * other. */
enum { SQUARE = LANES_N * LANES_N * sizeof(uint16_t) };

/* The same of 8-bit weights: n blocks of 32 depths, panel_bytes apart from `from` on, each for two panels of part, of which `panel` is the
 * first one. */
static void turn_q8(const packing *p, const char *from, size_t panel_bytes, size_t n, size_t panel, void *panels, const gemm *part) {
    char block[K_BLOCK * LANES_N * sizeof(uint16_t)];
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i * LANES_N < part->n_cols; i++) {
            if (i == 0 || (panel + i) % 2 == 0)
                p->unpack_q8(from + q * panel_bytes + (panel + i) / 2 * Q8_BLOCK, 1, block);
            p->turn_pairs(block + (panel + i) % 2 * SQUARE, 0, 1, (char *)panels + i * part->panel_bytes + q * SQUARE);
        }
}

static void turn_bf16(agon_ctx *ctx, const sliced_product *s, size_t column, size_t k, void *panels, gemm *part) {
    const pack *w = s->w;
    const packing *p = packing_of(ctx);
    const size_t panel = s->panel + column / LANES_N, next = panel + SLICE_PANELS;
    const char *from = (const char *)w->data + (s->first_k + k) / LANES_N * w->panel_bytes;
    const size_t there = round_up(w->n, LANES_N) / LANES_N - (s->first_k + k) / LANES_N, all = part->k / LANES_N;
    const size_t n = size_min(there, all); /* the depth is padded to whole blocks of 32 */
    part->kind = GEMM_BF16;
    part->w = panels;
    part->panel_bytes = part->k * LANES_N * sizeof(uint16_t);
    if (s->g->k <= s->depth) { /* the squares that the next columns are turned from */
        part->next = from + (w->q8 ? next / 2 * Q8_BLOCK : next * SQUARE);
        part->next_panel = w->q8 ? 0 : SQUARE;
        part->next_depth = w->panel_bytes;
    }
    if (w->q8)
        turn_q8(p, from, w->panel_bytes, n, panel, panels, part);
    for (size_t i = 0; i * LANES_N < part->n_cols; i++) {
        char *to = (char *)panels + i * part->panel_bytes;
        if (!w->q8)
            p->turn_pairs(from + (panel + i) * SQUARE, w->panel_bytes, n, to);
        memset(to + n * SQUARE, 0, (all - n) * SQUARE);
    }
}

static void turn_f32(agon_ctx *ctx, const sliced_product *s, size_t column, size_t k, void *panels, gemm *part) {
    const pack *w = s->w;
    const char *from = (const char *)w->data + (s->first_k + k) / LANES_N * w->panel_bytes;
    part->kind = GEMM_F32;
    part->w = panels;
    part->panel_bytes = round_up(part->k, LANES_N) * LANES_N * sizeof(float);
    for (size_t i = 0; i * LANES_N < part->n_cols; i++) {
        const size_t first = s->panel * LANES_N + column + i * LANES_N;
        packing_of(ctx)->turn_floats(from + first * LANES_N * sizeof(float), w->panel_bytes, round_up(part->k, LANES_N) / LANES_N,
                                     size_min(LANES_N, w->k - first), (char *)panels + i * part->panel_bytes);
    }
}

void product_multiply_turned(agon_ctx *ctx, compute_dtype dtype, int thread, const pack *w, size_t panel, size_t first_k, const gemm *g) {
    const bool bf16 = dtype == COMPUTE_BF16;
    product_multiply_sliced(ctx, thread, &(sliced_product){.p = products_of(ctx, dtype), .g = g, .depth = turned_depth(dtype),
                                                           .prepare = bf16 ? turn_bf16 : turn_f32, .w = w, .panel = panel, .first_k = first_k});
}

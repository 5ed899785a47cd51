/* bf16 products in the portable order with AMX: the instruction TDPBF16PS is where that order comes from.
 *
 * A block of up to 32 rows and two panels is four accumulator tiles (0 to 3), fed by two tiles of rows (4, 5) and two of
 * columns (6, 7); both operands lie in memory as the tiles want them. Everything but the products is
 * kernels_avx512.c's. ctx.c chooses the path where CPUID and the kernel offer it; compute_check_once falls back to
 * AVX-512 should the golden bits not come out. */
#include "compute/kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#endif

#if !defined(AMX_MODEL)
#define PAIRS_NATIVE
#define PRODUCTS_AMX chains_amx
#endif
#include "compute/lanes_avx512.h"
#include "compute/body_tiles.h"
#include "compute/body_pack_pairs.h"
#include "compute/amx_tiles.h"

enum { TILE_SIDE = 16, TILE_BYTES = 64, BLOCK = 2 * TILE_SIDE };

/* Tiles for blocks of n_rows rows (1 to 32). */
static void configure(size_t n_rows) {
    size_t upper = size_min(TILE_SIDE, n_rows), lower = n_rows - upper;
    tile_config c = {.palette = 1};
    const size_t rows[8] = {upper, upper, lower, lower, upper, lower, TILE_SIDE, TILE_SIDE};
    for (int t = 0; t < 8; t++) {
        c.rows[t] = (uint8_t)(rows[t] ? rows[t] : 1); /* unused where there is no lower half */
        c.row_bytes[t] = TILE_BYTES;
    }
    T_CONFIG(&c);
}

/* The sums of one block, from and to t [32][32]. a: its rows; w: its panel, or two when `wide`. */
static void block_sums(const gemm *g, const char *a, const char *w, bool tall, bool wide, float *t) {
    const size_t stride = g->lda * sizeof(uint32_t), panel = g->panel_bytes, row = BLOCK * sizeof *t;
    const char *lower = a + TILE_SIDE * stride;
    if (g->resume) {
        T_LOAD(0, t, row);
        T_LOAD(1, t + TILE_SIDE, row);
        T_LOAD(2, t + TILE_SIDE * BLOCK, row);
        T_LOAD(3, t + TILE_SIDE * BLOCK + TILE_SIDE, row);
    } else {
        T_ZERO(0);
        T_ZERO(1);
        T_ZERO(2);
        T_ZERO(3);
    }
    for (size_t k = 0; k < g->k; k += K_BLOCK, a += TILE_BYTES, lower += TILE_BYTES, w += TILE_SIDE * TILE_BYTES) {
        T_LOAD(6, w, TILE_BYTES);
        T_LOAD(4, a, stride);
        T_DOT(0, 4, 6);
        if (tall) {
            T_LOAD(5, lower, stride);
            T_DOT(2, 5, 6);
        }
        if (wide) {
            T_LOAD(7, w + panel, TILE_BYTES);
            T_DOT(1, 4, 7);
        }
        if (tall && wide)
            T_DOT(3, 5, 7);
    }
    T_STORE(0, t, row);
    if (wide)
        T_STORE(1, t + TILE_SIDE, row);
    if (tall)
        T_STORE(2, t + TILE_SIDE * BLOCK, row);
    if (tall && wide)
        T_STORE(3, t + TILE_SIDE * BLOCK + TILE_SIDE, row);
}

static void multiply_rows(const gemm *g, size_t row, size_t n_rows, size_t panel, bool wide) {
    _Alignas(64) float t[BLOCK * BLOCK];
    const size_t first = panel * LANES_N, n_cols = size_min(wide ? BLOCK : TILE_SIDE, g->n_cols - first);
    float *y = g->y + row * g->ldy + first;
    if (g->resume)
        tile_load(t, BLOCK, y, g->ldy, n_rows, n_cols);
    block_sums(g, (const char *)g->a + row * g->lda * sizeof(uint32_t), (const char *)g->w + panel * g->panel_bytes,
               n_rows > TILE_SIDE, wide, t);
    tile_finish(g, t, BLOCK, y, g->bias ? g->bias + first : NULL, n_rows, n_cols);
}

/* Whole blocks of rows first, then the rest: tiles are configured twice at most. */
static void multiply_amx(const gemm *g) {
    const size_t n_panels = round_up(g->n_cols, LANES_N) / LANES_N, whole = g->n_rows / BLOCK * BLOCK;
    if (whole) {
        configure(BLOCK);
        for (size_t panel = 0; panel < n_panels; panel += 2)
            for (size_t row = 0; row < whole; row += BLOCK)
                multiply_rows(g, row, BLOCK, panel, panel + 1 < n_panels);
    }
    if (whole < g->n_rows) {
        configure(g->n_rows - whole);
        for (size_t panel = 0; panel < n_panels; panel += 2)
            multiply_rows(g, whole, g->n_rows - whole, panel, panel + 1 < n_panels);
    }
    T_RELEASE();
}

/* dy^T: a tile wants the pairs of one output column side by side. */
static void dw_rows_amx(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, float scale,
                        bool bf16, void *to, size_t lda) {
    (void)bf16;
    uint32_t *a = to, square[TILE_SIDE][TILE_SIDE];
    for (size_t i = 0; i < width; i += TILE_SIDE) {
        size_t n = size_min(TILE_SIDE, width - i);
        for (size_t row = 0; row < padded_rows; row += BLOCK) {
            for (size_t r = 0; r < TILE_SIDE; r++)
                store_two_rows(x, ldx, n_rows, row + 2 * r, i, n, scale, square[r]);
            for (size_t c = 0; c < n; c++)
                for (size_t r = 0; r < TILE_SIDE; r++)
                    a[(i + c) * lda + row / 2 + r] = square[r][c];
        }
    }
}

const products PRODUCTS_AMX = {
    .pairs = true,
    .dw_by_row = true,
    .round_rows = round_pair_rows,
    .dw_rows = dw_rows_amx,
    .dw_panels = dw_pair_panels,
    .row_step = BLOCK,
    .least_step = TILE_SIDE,
    .multiply = multiply_amx,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

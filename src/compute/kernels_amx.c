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

/* The sums of one block, from and to t [up to 32][32], rows ldt apart. a: its rows; w: its panel, or two when `wide`. next: what is fetched
 * from memory meanwhile (gemm), or NULL. */
static void block_sums(const gemm *g, const char *a, const char *w, const char *next, bool tall, bool wide, float *t, size_t ldt) {
    const size_t stride = g->lda * sizeof(uint32_t), panel = g->panel_bytes, row = ldt * sizeof *t;
    const char *lower = a + TILE_SIDE * stride;
    float *below = t + TILE_SIDE * ldt;
    T_ZERO(0);
    T_ZERO(1);
    T_ZERO(2);
    T_ZERO(3);
    if (g->resume) {
        T_LOAD(0, t, row);
        if (wide)
            T_LOAD(1, t + TILE_SIDE, row);
        if (tall)
            T_LOAD(2, below, row);
        if (tall && wide)
            T_LOAD(3, below + TILE_SIDE, row);
    }
    for (size_t k = 0; k < g->k; k += K_BLOCK, a += TILE_BYTES, lower += TILE_BYTES, w += TILE_SIDE * TILE_BYTES) {
        if (next) {
            for (size_t n = 0; n < 2; n++)
                fetch_next(g, next, n, TILE_SIDE * TILE_BYTES);
            next += 2 * g->next_depth;
        }
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
        T_STORE(2, below, row);
    if (tall && wide)
        T_STORE(3, below + TILE_SIDE, row);
}

/* Blocks of whole panels with nothing to finish go straight to y. */
static void multiply_rows(const gemm *g, size_t row, size_t n_rows, size_t panel, bool wide, const char *next) {
    _Alignas(64) float t[BLOCK * BLOCK];
    const size_t first = panel * LANES_N, width = wide ? BLOCK : TILE_SIDE, n_cols = size_min(width, g->n_cols - first);
    const char *a = (const char *)g->a + row * g->lda * sizeof(uint32_t), *w = (const char *)g->w + panel * g->panel_bytes;
    const bool tall = n_rows > TILE_SIDE;
    float *y = g->y + row * g->ldy + first;
    if (n_cols == width && (g->resume || (g->scale == 1.0f && !g->bias && !g->accumulate))) {
        block_sums(g, a, w, next, tall, wide, y, g->ldy);
        return;
    }
    if (g->resume)
        tile_load(t, BLOCK, y, g->ldy, n_rows, n_cols);
    block_sums(g, a, w, next, tall, wide, t, BLOCK);
    tile_finish(g, t, BLOCK, y, g->bias ? g->bias + first : NULL, n_rows, n_cols);
}

/* The y that the next block goes on from, into the first cache. */
static void fetch_sums(const gemm *g, size_t row, size_t panel) {
    const size_t n_rows = row < g->n_rows ? size_min(BLOCK, g->n_rows - row) : 0;
    const float *y = g->y + row * g->ldy + panel * LANES_N;
    for (size_t m = 0; m < n_rows; m++, y += g->ldy) {
        __builtin_prefetch(y, 1, 3);
        __builtin_prefetch(y + TILE_SIDE, 1, 3);
    }
}

/* Whole blocks of rows first, then the rest: tiles are configured twice at most. The first rows fetch the panels after their own. */
static void multiply_amx(const gemm *g) {
    const size_t n_panels = round_up(g->n_cols, LANES_N) / LANES_N, whole = g->n_rows / BLOCK * BLOCK;
    const bool fetches = g->kind == GEMM_BF16 && g->n_rows > STREAM_ROWS;
    gemm of_first = *g;
    if (!g->next) {
        of_first.next = (const char *)g->w + 2 * g->panel_bytes;
        of_first.next_panel = g->panel_bytes;
        of_first.next_depth = TILE_SIDE * TILE_BYTES / 2;
    }
    if (whole) {
        configure(BLOCK);
        for (size_t panel = 0; panel < n_panels; panel += 2)
            for (size_t row = 0; row < whole; row += BLOCK) {
                if (g->resume) /* else y is only written */
                    fetch_sums(g, row + BLOCK < whole ? row + BLOCK : 0, row + BLOCK < whole ? panel : panel + 2);
                multiply_rows(&of_first, row, BLOCK, panel, panel + 1 < n_panels,
                              fetches && row == 0 ? of_first.next + panel * of_first.next_panel : NULL);
            }
    }
    if (whole < g->n_rows) {
        configure(g->n_rows - whole);
        for (size_t panel = 0; panel < n_panels; panel += 2)
            multiply_rows(&of_first, whole, g->n_rows - whole, panel, panel + 1 < n_panels,
                          fetches && !whole ? of_first.next + panel * of_first.next_panel : NULL);
    }
    T_RELEASE();
}

/* dy^T: a tile wants the pairs of one output column side by side. */
static void dw_rows_amx(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, float scale,
                        bool bf16, void *to, size_t lda) {
    (void)bf16;
    uint32_t *a = to;
    for (size_t i = 0; i < width; i += TILE_SIDE) {
        size_t n = size_min(TILE_SIDE, width - i);
        for (size_t row = 0; row < padded_rows; row += BLOCK) {
            _Alignas(64) float pairs_of_rows[TILE_SIDE][TILE_SIDE];
            lanes square[TILE_SIDE];
            for (size_t r = 0; r < TILE_SIDE; r++) {
                store_two_rows(x, ldx, n_rows, row + 2 * r, i, n, scale, pairs_of_rows[r]);
                square[r] = v_load(pairs_of_rows[r]);
            }
            v_transpose16(square);
            for (size_t c = 0; c < n; c++)
                v_store((float *)(a + (i + c) * lda + row / 2), square[c]);
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
    .most_rows = 256,
    .most_turned_rows = 256,
    .row_floats = 150 * 1024, /* 600 KiB: CPUs with AMX have 2 MiB of L2 cache a core */
    .tasks = 1,
    .multiply = multiply_amx,
    .attend_one = attend_one_chains,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

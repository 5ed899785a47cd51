/* Matrix products of one thread: panels of 16 columns outside, register tiles inside. */

#define T_COLS 1
#define T_ROWS 1
#include "compute/tile.h"
#define T_ROWS 2
#include "compute/tile.h"
#if TILE_ROWS == 6
#define T_ROWS 3
#include "compute/tile.h"
#define T_ROWS 4
#include "compute/tile.h"
#define T_ROWS 5
#include "compute/tile.h"
#define T_ROWS 6
#include "compute/tile.h"
#endif
#undef T_COLS
#if TILE_COLS == 2
#define T_COLS 2
#define T_ROWS 1
#include "compute/tile.h"
#define T_ROWS 2
#include "compute/tile.h"
#define T_ROWS 3
#include "compute/tile.h"
#define T_ROWS 4
#include "compute/tile.h"
#define T_ROWS 5
#include "compute/tile.h"
#define T_ROWS 6
#include "compute/tile.h"
#undef T_COLS
#endif

typedef void (*tile_fn)(const gemm *g, const float *a, const char *w, float *t);

#if TILE_ROWS == 6
#define TILE_SIZES(name, cols)                                                                       \
    {name##_1x##cols, name##_2x##cols, name##_3x##cols, name##_4x##cols, name##_5x##cols,            \
     name##_6x##cols}
#else
#define TILE_SIZES(name, cols) {name##_1x##cols, name##_2x##cols}
#endif
#if TILE_COLS == 2
#define TILE_KIND(name) {TILE_SIZES(name, 1), TILE_SIZES(name, 2)}
#else
#define TILE_KIND(name) {TILE_SIZES(name, 1)}
#endif
static const tile_fn tiles[GEMM_N_KINDS][TILE_COLS][TILE_ROWS] = {
    [GEMM_BF16] = TILE_KIND(tile_bf16),
    [GEMM_F32] = TILE_KIND(tile_f32),
    [GEMM_BF16_DW] = TILE_KIND(tile_bf16_dw),
    [GEMM_F32_DW] = TILE_KIND(tile_f32_dw),
};

/* Copies the start of the chains of one tile from y, n_cols of its columns being real. */
LANES void tile_load(float *t, size_t stride, const float *y, size_t ldy, size_t n_rows, size_t n_cols) {
    for (size_t m = 0; m < n_rows; m++)
        for (size_t j = 0; j < n_cols; j += LANES_N)
            v_store(t + m * stride + j, v_load_n(y + m * ldy + j, size_min(LANES_N, n_cols - j)));
}

/* scale, bias and the earlier y: (y + (scale * product + bias)), each step rounded to f32. */
LANES void tile_finish(const gemm *g, const float *t, size_t stride, float *y, const float *bias,
                       size_t n_rows, size_t n_cols) {
    for (size_t m = 0; m < n_rows; m++)
        for (size_t j = 0; j < n_cols; j += LANES_N) {
            size_t n = size_min(LANES_N, n_cols - j);
            lanes r = v_load(t + m * stride + j);
            if (!g->resume) {
                r = v_mul(r, v_set(g->scale));
                if (bias)
                    r = v_add(r, v_load_n(bias + j, n));
                if (g->accumulate)
                    r = v_add(v_load_n(y + m * g->ldy + j, n), r);
            }
            v_store_n(y + m * g->ldy + j, r, n);
        }
}

static void multiply(const gemm *g) {
    const bool by_column = g->kind == GEMM_BF16_DW || g->kind == GEMM_F32_DW;
    const size_t n_panels = round_up(g->n_cols, LANES_N) / LANES_N;
    const size_t n_tiles = (g->n_rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t panel = 0; panel < n_panels; panel += TILE_COLS) {
        size_t cols = size_min(TILE_COLS, n_panels - panel), stride = cols * LANES_N;
        size_t first = panel * LANES_N, n_cols = size_min(stride, g->n_cols - first);
        const char *w = (const char *)g->w + panel * g->panel_bytes;
        /* Tiles of nearly equal height: 13 rows are 5 + 4 + 4, since a tile of one row takes as long as one of three. */
        for (size_t row = 0, left = n_tiles, rows; left > 0; row += rows, left--) {
            rows = (g->n_rows - row + left - 1) / left;
            _Alignas(64) float t[TILE_ROWS * TILE_COLS * LANES_N] = {0};
            float *y = g->y + row * g->ldy + first;
            if (g->resume)
                tile_load(t, stride, y, g->ldy, rows, n_cols);
            tiles[g->kind][cols - 1][rows - 1](g, g->a + row * (by_column ? 1 : g->lda), w, t);
            tile_finish(g, t, stride, y, g->bias ? g->bias + first : NULL, rows, n_cols);
        }
    }
}

static void round_rows(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, float *a,
                       size_t lda) {
    lanes s = v_set(scale);
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < lda; i += LANES_N) {
            size_t n = i >= width ? 0 : size_min(LANES_N, width - i);
            lanes v = n == LANES_N ? v_load(x + row * ldx + i) : v_load_n(n ? x + row * ldx + i : x, n);
            v_store(a + row * lda + i, v_bf16(v_mul(v, s)));
        }
}

static void scale_rows(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, bool bf16,
                       float *a, size_t lda) {
    if (bf16) {
        round_rows(x, ldx, n_rows, width, scale, a, lda);
        return;
    }
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < width; i += LANES_N)
            v_store(a + row * lda + i,
                    v_mul(v_load_n(x + row * ldx + i, size_min(LANES_N, width - i)), v_set(scale)));
}

static void panel_rows(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width,
                       bool bf16, float *panels) {
    for (size_t row = 0; row < padded_rows; row++)
        for (size_t i = 0; i < width; i += LANES_N) {
            size_t n = row < n_rows ? size_min(LANES_N, width - i) : 0;
            lanes v = v_load_n(n ? x + row * ldx + i : x, n);
            v_store(panels + (i * padded_rows + row * LANES_N), bf16 ? v_bf16(v) : v);
        }
}

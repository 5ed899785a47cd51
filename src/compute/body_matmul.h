/* Matrix products of one thread in the order of `numerics: portable`: an even and an odd chain per 32 k. */

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

#if TILE_ROWS == 6
#define TILE_SIZES(name, cols)                                                                       \
    {name##_1x##cols, name##_2x##cols, name##_3x##cols, name##_4x##cols, name##_5x##cols,            \
     name##_6x##cols}
#else
#define TILE_SIZES(name, cols) {name##_1x##cols, name##_2x##cols}
#endif
#if TILE_ROWS == 6
#define Q8_SIZES(name, cols) {name##_1x##cols, name##_2x##cols, name##_3x##cols, name##_4x##cols}
#else
#define Q8_SIZES(name, cols) {name##_1x##cols, name##_2x##cols}
#endif
#if TILE_COLS == 2
#define TILES_Q8 {Q8_SIZES(tile_q8, 1), Q8_SIZES(tile_q8, 2)}
#define TILE_KIND(name) {TILE_SIZES(name, 1), TILE_SIZES(name, 2)}
#else
#define TILES_Q8 {Q8_SIZES(tile_q8, 1)}
#define TILE_KIND(name) {TILE_SIZES(name, 1)}
#endif
static const tile_fn tiles[GEMM_N_KINDS][TILE_COLS][TILE_ROWS] = {
    [GEMM_BF16] = TILE_KIND(tile_bf16),
    [GEMM_F32] = TILE_KIND(tile_f32),
    [GEMM_Q8] = TILES_Q8,
    [GEMM_BF16_DW] = TILE_KIND(tile_bf16_dw),
    [GEMM_F32_DW] = TILE_KIND(tile_f32_dw),
};

static void multiply(const gemm *g) {
    multiply_tiles(g, &tiles[g->kind][0][0], TILE_ROWS, TILE_COLS, g->kind == GEMM_BF16_DW || g->kind == GEMM_F32_DW);
}

static void round_rows(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, void *to,
                       size_t lda) {
    float *a = to;
    lanes s = v_set(scale);
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < lda; i += LANES_N) {
            size_t n = i >= width ? 0 : size_min(LANES_N, width - i);
            lanes v = n == LANES_N ? v_load(x + row * ldx + i) : v_load_n(n ? x + row * ldx + i : x, n);
            v_store(a + row * lda + i, v_bf16(v_mul(v, s)));
        }
}

static void dw_rows(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, float scale,
                    bool bf16, void *to, size_t lda) {
    float *a = to;
    if (bf16)
        round_rows(x, ldx, n_rows, width, scale, a, lda);
    for (size_t row = 0; row < n_rows && !bf16; row++)
        for (size_t i = 0; i < width; i += LANES_N)
            v_store(a + row * lda + i,
                    v_mul(v_load_n(x + row * ldx + i, size_min(LANES_N, width - i)), v_set(scale)));
    memset(a + n_rows * lda, 0, (padded_rows - n_rows) * lda * sizeof *a);
}

static void dw_panels(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, bool bf16,
                      void *to) {
    float *panels = to;
    for (size_t row = 0; row < padded_rows; row++)
        for (size_t i = 0; i < width; i += LANES_N) {
            size_t n = row < n_rows ? size_min(LANES_N, width - i) : 0;
            lanes v = v_load_n(n ? x + row * ldx + i : x, n);
            v_store(panels + (i * padded_rows + row * LANES_N), bf16 ? v_bf16(v) : v);
        }
}

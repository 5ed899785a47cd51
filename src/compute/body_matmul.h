/* Matrix products of one thread in the order of `numerics: portable`: an even and an odd chain per 32 k. */

/* K_BLOCK depths of a panel. */
LANES size_t block_bytes(gemm_kind kind) {
    return kind == GEMM_Q8 ? Q8_BLOCK : K_BLOCK * LANES_N * (kind == GEMM_BF16 ? sizeof(uint16_t) : sizeof(float));
}
/* Depths k and k + 1 of a block of bf16 or 8-bit weights. */
LANES void load_weights(gemm_kind kind, const char *w, size_t k, q8_scales s, lanes *even, lanes *odd) {
    if (kind == GEMM_Q8) {
        v_load_q8((const int8_t *)w + Q8_VALUES + k * LANES_N, s, even, odd);
    } else if (kind == GEMM_BF16) {
        v_load_pairs((const uint16_t *)w + k * LANES_N, even, odd);
    } else {
        *even = v_load((const float *)w + k * LANES_N);
        *odd = v_load((const float *)w + (k + 1) * LANES_N);
    }
}
#if defined(FEW_REGISTERS) || defined(PAIRS_AS_FLOATS)
/* The first (even) or second weight of a pair of depths k, k + 1. */
LANES lanes load_half(gemm_kind kind, const char *w, size_t k, bool second) {
    if (kind == GEMM_BF16 || kind == GEMM_Q8) {
        lanes even, odd;
        v_load_pairs((const uint16_t *)w + k * LANES_N, &even, &odd);
        return second ? odd : even;
    }
    return v_load((const float *)w + (k + second) * LANES_N);
}
#endif

#define T_COLS 1
#define T_ROWS 1
#include "compute/tile.h"
#define T_ROWS 2
#include "compute/tile.h"
#if TILE_ROWS >= 6
#define T_ROWS 3
#include "compute/tile.h"
#define T_ROWS 4
#include "compute/tile.h"
#define T_ROWS 5
#include "compute/tile.h"
#define T_ROWS 6
#include "compute/tile.h"
#endif
#if TILE_ROWS == 12
#define T_ROWS 7
#include "compute/tile.h"
#define T_ROWS 8
#include "compute/tile.h"
#define T_ROWS 9
#include "compute/tile.h"
#define T_ROWS 10
#include "compute/tile.h"
#define T_ROWS 11
#include "compute/tile.h"
#define T_ROWS 12
#include "compute/tile.h"
#endif
#undef T_COLS

#if defined(PAIRS_AS_FLOATS)
#define T_COLS 2
#define T_ROWS 1
#include "compute/tile.h"
#define T_ROWS 2
#include "compute/tile.h"
#undef T_COLS
#endif

#if TILE_ROWS == 12
#define TILE_KIND(name)                                                                              \
    {name##_1x1, name##_2x1, name##_3x1, name##_4x1, name##_5x1, name##_6x1, name##_7x1, name##_8x1, \
     name##_9x1, name##_10x1, name##_11x1, name##_12x1}
#elif TILE_ROWS == 6
#define TILE_KIND(name) {name##_1x1, name##_2x1, name##_3x1, name##_4x1, name##_5x1, name##_6x1}
#else
#define TILE_KIND(name) {name##_1x1, name##_2x1}
#endif
static const tile_fn tiles[GEMM_N_KINDS][TILE_ROWS] = {
    [GEMM_BF16] = TILE_KIND(tile_bf16),
    [GEMM_F32] = TILE_KIND(tile_f32),
    [GEMM_Q8] = TILE_KIND(tile_q8),
    [GEMM_BF16_DW] = TILE_KIND(tile_bf16_dw),
    [GEMM_F32_DW] = TILE_KIND(tile_f32_dw),
};

static void multiply(const gemm *g) {
    multiply_tiles(g, tiles[g->kind], tiles[g->kind == GEMM_Q8 ? GEMM_BF16 : g->kind], TILE_ROWS, 1,
                   g->kind == GEMM_BF16_DW || g->kind == GEMM_F32_DW);
}

#if defined(PAIRS_AS_FLOATS)
/* The order of `numerics: native`, of which body_pairs.h tells. It is one chain a column, of which one panel's are too few to keep the
 * units busy while each waits for its last sum, where rows are few: those take two panels at once. */
enum { WIDE_ROWS = 2 };
#define TILE_WIDE(name) {name##_1x1, name##_2x1, name##_1x2, name##_2x2}
static const tile_fn wide_pair_tiles[GEMM_N_KINDS][2 * WIDE_ROWS] = {
    [GEMM_BF16] = TILE_WIDE(tile_pairs_bf16),
    [GEMM_Q8] = TILE_WIDE(tile_pairs_q8),
    [GEMM_BF16_DW] = TILE_WIDE(tile_pairs_bf16_dw),
};
static const tile_fn pair_tiles[GEMM_N_KINDS][TILE_ROWS] = {
    [GEMM_BF16] = TILE_KIND(tile_pairs_bf16),
    [GEMM_Q8] = TILE_KIND(tile_pairs_q8),
    [GEMM_BF16_DW] = TILE_KIND(tile_pairs_bf16_dw),
};

static void multiply_pairs(const gemm *g) {
    if (g->n_rows <= WIDE_ROWS) {
        multiply_tiles(g, wide_pair_tiles[g->kind], wide_pair_tiles[g->kind], WIDE_ROWS, 2, g->kind == GEMM_BF16_DW);
        return;
    }
    multiply_tiles(g, pair_tiles[g->kind], pair_tiles[g->kind == GEMM_Q8 ? GEMM_BF16 : g->kind], TILE_ROWS, 1,
                   g->kind == GEMM_BF16_DW);
}
#endif

static void round_rows(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, void *to,
                       size_t lda) {
    float *a = to;
    lanes s = v_set(scale);
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < lda; i += LANES_N) {
            size_t n = i >= width ? 0 : size_min(LANES_N, width - i);
            lanes v = v_load_n(n ? x + row * ldx + i : x, n);
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

/* Matrix products of one thread in the order of `numerics: native`, which is that of the instruction VDPBF16PS: one
 * chain of FMAs, and of each pair of k the odd one first. Half the accumulators of the portable order where that runs its
 * two chains at once. PAIR_ROWS and PAIR_COLS: size of the largest tile. */

/* Pair k of a block of 8-bit weights, or of a panel of bf16. */
LANES pairs load_pairs(gemm_kind kind, const char *w, size_t k, q8_scales s) {
    return kind == GEMM_Q8 ? p_load_q8((const int8_t *)w + Q8_VALUES + k * 2 * LANES_N, s)
                           : p_load(w + k * LANES_N * sizeof(uint32_t));
}

#define T_COLS 1
#define T_ROWS 1
#include "compute/tile_pairs.h"
#define T_ROWS 2
#include "compute/tile_pairs.h"
#if PAIR_ROWS >= 4
#define T_ROWS 3
#include "compute/tile_pairs.h"
#define T_ROWS 4
#include "compute/tile_pairs.h"
#endif
#if PAIR_ROWS == 12
#define T_ROWS 5
#include "compute/tile_pairs.h"
#define T_ROWS 6
#include "compute/tile_pairs.h"
#define T_ROWS 7
#include "compute/tile_pairs.h"
#define T_ROWS 8
#include "compute/tile_pairs.h"
#define T_ROWS 9
#include "compute/tile_pairs.h"
#define T_ROWS 10
#include "compute/tile_pairs.h"
#define T_ROWS 11
#include "compute/tile_pairs.h"
#define T_ROWS 12
#include "compute/tile_pairs.h"
#endif
#undef T_COLS
#if PAIR_COLS == 2
#define T_COLS 2
#define T_ROWS 1
#include "compute/tile_pairs.h"
#define T_ROWS 2
#include "compute/tile_pairs.h"
#define T_ROWS 3
#include "compute/tile_pairs.h"
#define T_ROWS 4
#include "compute/tile_pairs.h"
#define T_ROWS 5
#include "compute/tile_pairs.h"
#define T_ROWS 6
#include "compute/tile_pairs.h"
#define T_ROWS 7
#include "compute/tile_pairs.h"
#define T_ROWS 8
#include "compute/tile_pairs.h"
#define T_ROWS 9
#include "compute/tile_pairs.h"
#define T_ROWS 10
#include "compute/tile_pairs.h"
#define T_ROWS 11
#include "compute/tile_pairs.h"
#define T_ROWS 12
#include "compute/tile_pairs.h"
#undef T_COLS
#endif

#if PAIR_ROWS == 12
#define PAIR_SIZES(name, cols)                                                                       \
    name##_1x##cols, name##_2x##cols, name##_3x##cols, name##_4x##cols, name##_5x##cols, name##_6x##cols, \
        name##_7x##cols, name##_8x##cols, name##_9x##cols, name##_10x##cols, name##_11x##cols,       \
        name##_12x##cols
#elif PAIR_ROWS == 4
#define PAIR_SIZES(name, cols) name##_1x##cols, name##_2x##cols, name##_3x##cols, name##_4x##cols
#else
#define PAIR_SIZES(name, cols) name##_1x##cols, name##_2x##cols
#endif
#if PAIR_COLS == 2
#define PAIR_TILES(name) PAIR_SIZES(name, 1), PAIR_SIZES(name, 2)
#else
#define PAIR_TILES(name) PAIR_SIZES(name, 1)
#endif

static void multiply_pairs(const gemm *g) {
    static const tile_fn by_row[] = {PAIR_TILES(tile_by_row)}, by_column[] = {PAIR_TILES(tile_by_column)};
    static const tile_fn first[] = {PAIR_TILES(tile_first)}, q8[] = {PAIR_TILES(tile_q8_pairs)};
    bool dw = g->kind == GEMM_BF16_DW;
    /* Few rows wait for memory, and one panel at a time is one stream, which the CPU fetches ahead better than two in turn. */
    multiply_tiles(g, g->kind == GEMM_Q8 ? q8 : first, dw ? by_column : by_row, PAIR_ROWS,
                   g->n_rows <= STREAM_ROWS && !dw ? 1 : PAIR_COLS, dw);
}

static void dw_pair_rows(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, float scale,
                         bool bf16, void *to, size_t lda) {
    (void)bf16;
    for (size_t row = 0; row < padded_rows; row += 2)
        for (size_t i = 0; i < width; i += LANES_N)
            store_two_rows(x, ldx, n_rows, row, i, size_min(LANES_N, width - i), scale,
                           (uint32_t *)to + row / 2 * lda + i);
}

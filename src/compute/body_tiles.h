/* A product cut into register tiles: panels of 16 columns outside, rows inside. The tiles themselves are in tile.h and
 * tile_pairs.h, one for each T_ROWS and T_COLS. */

#define T_PASTE2(name, r, c) name##_##r##x##c
#define T_PASTE(name, r, c) T_PASTE2(name, r, c)
#define T_NAME(name) T_PASTE(name, T_ROWS, T_COLS)
#if defined(__SANITIZE_ADDRESS__) || defined(LANES_PLAIN)
#define UNROLL _Pragma("GCC unroll 1") /* unrolled, the instrumented tiles take minutes to compile */
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif
#define FOR_M UNROLL for (size_t m = 0; m < T_ROWS; m++)
#define FOR_N UNROLL for (size_t n = 0; n < T_COLS; n++)
#define T_AT (t + m * ldt + n * LANES_N)
/* 8-bit weights of the next depth are unpacked before this one is multiplied: else the multiplications of many rows, which come
 * first in the CPU's queue, keep its other units waiting. */
#define T_EARLY(kind) ((kind) == GEMM_Q8 && T_ROWS > STREAM_ROWS)
/* What a tile is called with beside its operands' layout; see tile_fn. */
#define T_SUMS float *t, size_t ldt, float scale, bool add
#define T_START                                                                                      \
    lanes c[T_ROWS][T_COLS];                                                                         \
    FOR_M FOR_N c[m][n] = v_set(0.0f);                                                               \
    if (g->resume)                                                                                   \
        FOR_M FOR_N c[m][n] = v_load(T_AT);
#define T_END                                                                                        \
    lanes factor = v_set(scale);                                                                     \
    FOR_M FOR_N c[m][n] = v_mul(c[m][n], factor);                                                    \
    if (add)                                                                                         \
        FOR_M FOR_N c[m][n] = v_add(v_load(T_AT), c[m][n]);                                          \
    FOR_M FOR_N v_store(T_AT, c[m][n]);
/* A tile of table entry `name`: `body` for weights of `kind`, whose a has element (m, k) at a[m * row + k * depth]. */
#define T_TILE(name, body, kind, row, depth)                                                         \
    static void T_NAME(name)(const gemm *g, const void *a, const char *w, T_SUMS) {                  \
        T_NAME(body)(kind, g, a, row, depth, w, t, ldt, scale, add);                                 \
    }

/* `t` [rows][16*cols], rows `ldt` apart, holds the start of the chains on entry when g->resume, and on return scale times the chains,
 * on top of what t held when `add`. */
typedef void (*tile_fn)(const gemm *g, const void *a, const char *w, T_SUMS);

enum { TILE_ROWS_MAX = 12, TILE_COLS_MAX = 2 };
/* So few rows wait for the weights to come from memory, which the CPU fetches ahead by itself. With more rows it stops at the end of
 * a panel, so the first tile of rows fetches the next panels by instruction. */
enum { STREAM_ROWS = 4 };

/* What is used soon, from memory into the second cache. */
LANES void fetch(const char *p, size_t bytes) {
    for (size_t line = 0; line < bytes; line += LANES_N * sizeof(float))
        __builtin_prefetch(p + line, 0, 2);
}

/* Of g's next panel n, which has `bytes` for K_BLOCK depths. */
LANES void fetch_next(const gemm *g, const char *next, size_t n, size_t bytes) {
    next += n * g->next_panel;
    fetch(next, bytes / 2);
    fetch(next + g->next_depth, bytes / 2);
}

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

/* first, rest [most_cols][most_rows]: the tiles of each size, the first of rows and the others. The first one fetches the panels after
 * its own, and leaves 8-bit weights in g->unpacked, when that is set, for the others. */
static __attribute__((noinline, unused)) void multiply_tiles(const gemm *g, const tile_fn *first_tiles, const tile_fn *rest_tiles,
                                                             size_t most_rows, size_t most_cols, bool by_column) {
    const size_t n_panels = round_up(g->n_cols, LANES_N) / LANES_N;
    const size_t n_tiles = (g->n_rows + most_rows - 1) / most_rows;
    /* Whole tiles without a bias go straight to y. */
    const bool direct = g->resume || !g->bias, add = g->accumulate && !g->resume;
    const float scale = g->resume ? 1.0f : g->scale;
    gemm of_first = *g, of_rest = *g;
    if (g->unpacked)
        of_rest.panel_bytes = g->k * LANES_N * sizeof(uint16_t);
    /* So many rows are left to the CPU's own fetching: of 8-bit weights none where two panels come at once. */
    const size_t few = g->kind != GEMM_Q8 ? 1 : most_cols > 1 ? 0 : STREAM_ROWS;
    const bool fetches = !by_column && g->kind != GEMM_F32 && g->n_rows > few;
    of_rest.next = NULL;
    if (!g->next) {
        of_first.next_panel = g->panel_bytes;
        of_first.next_depth = (g->kind == GEMM_Q8 ? Q8_BLOCK : K_BLOCK * LANES_N * sizeof(uint16_t)) / 2;
    }
    for (size_t panel = 0; panel < n_panels; panel += most_cols) {
        size_t cols = size_min(most_cols, n_panels - panel), stride = cols * LANES_N;
        size_t first = panel * LANES_N, n_cols = size_min(stride, g->n_cols - first);
        of_first.next = !fetches ? NULL : g->next ? g->next + panel * g->next_panel
                                                  : (const char *)g->w + (panel + most_cols) * g->panel_bytes;
        /* Tiles of nearly equal height: 13 rows are 5 + 4 + 4, since a tile of one row takes as long as one of three. */
        for (size_t row = 0, left = n_tiles, rows; row < g->n_rows; row += rows, left--) {
            rows = (g->n_rows - row + left - 1) / left;
            _Alignas(64) float t[TILE_ROWS_MAX * TILE_COLS_MAX * LANES_N];
            float *y = g->y + row * g->ldy + first;
            const char *a = (const char *)g->a + row * (by_column ? 1 : g->lda) * sizeof(float);
            const bool as_first = row == 0 && (fetches || g->kind == GEMM_Q8);
            const char *w = row > 0 && g->unpacked ? g->unpacked : (const char *)g->w + panel * g->panel_bytes;
            const tile_fn tile = (as_first ? first_tiles : rest_tiles)[(cols - 1) * most_rows + rows - 1];
            const gemm *of = row > 0 ? &of_rest : &of_first;
            if (g->resume) { /* the sums of the next tile come from memory while this one is multiplied */
                const float *next = row + rows < g->n_rows ? y + rows * g->ldy : g->y + first + stride;
                for (size_t m = 0; m < rows; m++)
                    __builtin_prefetch(next + m * g->ldy, 1, 3);
            }
            if (direct && n_cols == stride) {
                tile(of, a, w, y, g->ldy, scale, add);
                continue;
            }
            if (g->resume)
                tile_load(t, stride, y, g->ldy, rows, n_cols);
            tile(of, a, w, t, stride, 1.0f, false);
            tile_finish(g, t, stride, y, g->bias ? g->bias + first : NULL, rows, n_cols);
        }
    }
}

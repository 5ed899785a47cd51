/* A product cut into register tiles: panels of 16 columns outside, rows inside. */

/* `t` [rows][16*cols], rows `ldt` apart, holds the start of the chains on entry when g->resume, and on return scale times the chains,
 * on top of what t held when `add`. */
typedef void (*tile_fn)(const gemm *g, const void *a, const char *w, float *t, size_t ldt, float scale, bool add);

enum { TILE_ROWS_MAX = 12, TILE_COLS_MAX = 2 };
/* So few rows wait for the weights to come from memory: one panel at a time is one stream, which the CPU fetches ahead better than
 * two in turn. */
enum { STREAM_ROWS = 4 };

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

/* tiles [most_cols][most_rows]: the tile of each size. */
LANES void multiply_tiles(const gemm *g, const tile_fn *tiles, size_t most_rows, size_t most_cols, bool by_column) {
    const size_t n_panels = round_up(g->n_cols, LANES_N) / LANES_N;
    const size_t n_tiles = (g->n_rows + most_rows - 1) / most_rows;
    /* Whole tiles without a bias go straight to y. */
    const bool direct = g->resume || !g->bias, add = g->accumulate && !g->resume;
    const float scale = g->resume ? 1.0f : g->scale;
    const size_t at_once = g->n_rows <= STREAM_ROWS && !by_column ? 1 : most_cols;
    for (size_t panel = 0; panel < n_panels; panel += at_once) {
        size_t cols = size_min(at_once, n_panels - panel), stride = cols * LANES_N;
        size_t first = panel * LANES_N, n_cols = size_min(stride, g->n_cols - first);
        const char *w = (const char *)g->w + panel * g->panel_bytes;
        /* Tiles of nearly equal height: 13 rows are 5 + 4 + 4, since a tile of one row takes as long as one of three. */
        for (size_t row = 0, left = n_tiles, rows; left > 0; row += rows, left--) {
            rows = (g->n_rows - row + left - 1) / left;
            _Alignas(64) float t[TILE_ROWS_MAX * TILE_COLS_MAX * LANES_N];
            float *y = g->y + row * g->ldy + first;
            const char *a = (const char *)g->a + row * (by_column ? 1 : g->lda) * sizeof(float);
            const tile_fn tile = tiles[(cols - 1) * most_rows + rows - 1];
            if (direct && n_cols == stride) {
                tile(g, a, w, y, g->ldy, scale, add);
                continue;
            }
            if (g->resume)
                tile_load(t, stride, y, g->ldy, rows, n_cols);
            tile(g, a, w, t, stride, 1.0f, false);
            tile_finish(g, t, stride, y, g->bias ? g->bias + first : NULL, rows, n_cols);
        }
    }
}

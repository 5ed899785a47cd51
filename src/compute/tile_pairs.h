/* One register tile of a product over pairs of bf16, T_ROWS x (16 * T_COLS): one chain, with `a` by row and by column.
 * Included by body_pairs.h once per tile size; see tile.h. */

LANES void T_NAME(pairs_chain)(gemm_kind kind, const char *next_panels, const gemm *g, const uint32_t *a, size_t row, size_t depth,
                               const char *w, T_SUMS) {
    const bool q8 = kind == GEMM_Q8;
    const size_t panel = g->panel_bytes, n_pairs = g->k / 2, step = q8 || next_panels ? K_BLOCK / 2 : n_pairs;
    char *keep = q8 ? g->unpacked : NULL;
    T_START
    for (size_t first = 0; first < n_pairs; first += step) {
        q8_scales s[T_COLS];
        pairs next[T_COLS];
        if (q8)
            FOR_N s[n] = q8_load(w + n * panel);
        if (next_panels) {
            FOR_N fetch_next(g, next_panels, n, q8 ? Q8_BLOCK : K_BLOCK * LANES_N * sizeof(uint16_t));
            next_panels += 2 * g->next_depth;
        }
        if (T_EARLY(kind))
            FOR_N next[n] = load_pairs(kind, w + n * panel, 0, s[n]);
        for (size_t k = 0; k < step; k++) {
            pairs b[T_COLS];
            FOR_N {
                if (T_EARLY(kind)) {
                    b[n] = next[n];
                    next[n] = load_pairs(kind, w + n * panel, size_min(k + 1, K_BLOCK / 2 - 1), s[n]);
                } else {
                    b[n] = load_pairs(kind, w + n * panel, k, s[n]);
                }
            }
            if (keep)
                FOR_N p_put(keep + (n * n_pairs + first + k) * LANES_N * sizeof(uint32_t), b[n]);
            FOR_M {
                /* Three bases for twelve rows: one more index register a row would not fit. */
                const uint32_t *base = a + m / 4 * (4 * row);
                pairs am = p_set(base[m % 4 * row + k * depth]);
                FOR_N c[m][n] = p_dot(am, b[n], c[m][n]);
            }
        }
        if (!q8 && !next_panels)
            break; /* all in one step, which gcc should know */
        a += step * depth;
        w += q8 ? Q8_BLOCK : step * LANES_N * sizeof(uint32_t);
    }
    T_END
}

/* By itself without fetching: gcc makes a better loop of it. */
LANES void T_NAME(pairs_first)(gemm_kind kind, const gemm *g, const uint32_t *a, size_t row, size_t depth, const char *w, T_SUMS) {
    T_NAME(pairs_chain)(kind, g->next, g, a, row, depth, w, t, ldt, scale, add);
}
LANES void T_NAME(pairs_rest)(gemm_kind kind, const gemm *g, const uint32_t *a, size_t row, size_t depth, const char *w, T_SUMS) {
    T_NAME(pairs_chain)(kind, NULL, g, a, row, depth, w, t, ldt, scale, add);
}

T_TILE(tile_first, pairs_first, GEMM_BF16, g->lda, 1)
T_TILE(tile_by_row, pairs_rest, GEMM_BF16, g->lda, 1)
T_TILE(tile_by_column, pairs_rest, GEMM_BF16_DW, 1, g->lda)
T_TILE(tile_q8_pairs, pairs_first, GEMM_Q8, g->lda, 1)
#undef T_ROWS

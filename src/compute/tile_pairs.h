/* One register tile of a product over pairs of bf16, T_ROWS x (16 * T_COLS), with `a` by row and by column.
 * Included by body_pairs.h once per tile size; see tile.h. */
#define T_PASTE2(name, r, c) name##_##r##x##c
#define T_PASTE(name, r, c) T_PASTE2(name, r, c)
#define T_NAME(name) T_PASTE(name, T_ROWS, T_COLS)
#if defined(__SANITIZE_ADDRESS__) || defined(LANES_PLAIN)
#define UNROLL _Pragma("GCC unroll 1") /* unrolled, the instrumented tiles take minutes to compile */
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif
#define FOR_M UNROLL for (size_t m = 0; m < T_ROWS; m++)
#define T_AT (t + (size_t)m * ldt + n * LANES_N)
#define T_END                                                                                        \
    lanes factor = v_set(scale);                                                                     \
    FOR_M FOR_N c[m][n] = v_mul(c[m][n], factor);                                                    \
    if (add)                                                                                         \
        FOR_M FOR_N c[m][n] = v_add(v_load(T_AT), c[m][n]);                                          \
    FOR_M FOR_N v_store(T_AT, c[m][n]);
#define FOR_N UNROLL for (size_t n = 0; n < T_COLS; n++)

/* Pair k of row m is a[m * row + k * depth]. */
LANES void T_NAME(tile_pairs)(const gemm *g, const uint32_t *a, size_t row, size_t depth, const char *w, float *t,
                                  size_t ldt, float scale, bool add) {
    const size_t panel = g->panel_bytes, n_pairs = g->k / 2;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + m * ldt + n * LANES_N);
    for (size_t k = 0; k < n_pairs; k++) {
        pairs b[T_COLS];
        FOR_N b[n] = p_load(w + n * panel + k * LANES_N * sizeof(uint32_t));
        FOR_M {
            /* Three bases for twelve rows: one more index register a row would not fit. */
            const uint32_t *base = a + m / 4 * (4 * row);
            pairs am = p_set(base[m % 4 * row + k * depth]);
            FOR_N c[m][n] = p_dot(am, b[n], c[m][n]);
        }
    }
    T_END
}
#if T_ROWS <= Q8_ROWS
static void T_NAME(tile_q8_pairs)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt, float scale,
                                  bool add) {
    const uint32_t *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + m * ldt + n * LANES_N);
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        q8_scales s[T_COLS];
        FOR_N s[n] = q8_load(w + n * panel);
        for (size_t k = 0; k < K_BLOCK; k += 2) {
            pairs b[T_COLS];
            FOR_N b[n] = p_load_q8((const int8_t *)(w + n * panel) + Q8_VALUES + k * LANES_N, s[n]);
            FOR_M {
                pairs am = p_set(a[m * lda + k / 2]);
                FOR_N c[m][n] = p_dot(am, b[n], c[m][n]);
            }
        }
        a += K_BLOCK / 2;
        w += Q8_BLOCK;
    }
    T_END
}
#endif
static void T_NAME(tile_by_row)(const gemm *g, const void *a, const char *w, float *t, size_t ldt,
                                float scale, bool add) {
    T_NAME(tile_pairs)(g, a, g->lda, 1, w, t, ldt, scale, add);
}
static void T_NAME(tile_by_column)(const gemm *g, const void *a, const char *w, float *t, size_t ldt,
                                   float scale, bool add) {
    T_NAME(tile_pairs)(g, a, 1, g->lda, w, t, ldt, scale, add);
}

#undef FOR_N
#undef T_AT
#undef T_END
#undef FOR_M
#undef UNROLL
#undef T_NAME
#undef T_PASTE
#undef T_PASTE2
#undef T_ROWS

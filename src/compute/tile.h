/* One register tile of a product, T_ROWS x (16 * T_COLS), in the accumulation kinds.
 * Included by body_matmul.h once per tile size, with T_ROWS and T_COLS literal: accumulators must be
 * plain registers, and gcc keeps arrays sized by parameters in memory.
 *
 * `t` as in body_tiles.h. */
#define T_PASTE2(name, r, c) name##_##r##x##c
#define T_PASTE(name, r, c) T_PASTE2(name, r, c)
#define T_NAME(name) T_PASTE(name, T_ROWS, T_COLS)
#if defined(__SANITIZE_ADDRESS__) || defined(LANES_PLAIN)
#define UNROLL _Pragma("GCC unroll 1") /* unrolled, the instrumented tiles take minutes to compile */
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define FOR_M UNROLL for (int m = 0; m < T_ROWS; m++)
#define T_AT (t + (size_t)m * ldt + n * LANES_N)
#define T_END                                                                                        \
    lanes factor = v_set(scale);                                                                     \
    FOR_M FOR_N c[m][n] = v_mul(c[m][n], factor);                                                    \
    if (add)                                                                                         \
        FOR_M FOR_N c[m][n] = v_add(v_load(T_AT), c[m][n]);                                          \
    FOR_M FOR_N v_store(T_AT, c[m][n]);
#define FOR_N UNROLL for (int n = 0; n < T_COLS; n++)

static void T_NAME(tile_bf16)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt,
                              float scale, bool add) {
    const float *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + (size_t)m * ldt + n * LANES_N);
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        lanes even[T_ROWS][T_COLS], odd[T_ROWS][T_COLS];
        FOR_M FOR_N even[m][n] = odd[m][n] = v_set(0.0f);
        for (int k = 0; k < K_BLOCK; k += 2) {
            lanes we[T_COLS], wo[T_COLS];
            FOR_N v_load_pairs((const uint16_t *)(w + n * panel) + k * LANES_N, &we[n], &wo[n]);
            FOR_M {
                lanes ae = v_set(a[m * lda + k]), ao = v_set(a[m * lda + k + 1]);
                FOR_N {
                    even[m][n] = v_fma(ae, we[n], even[m][n]);
                    odd[m][n] = v_fma(ao, wo[n], odd[m][n]);
                }
            }
        }
        FOR_M FOR_N c[m][n] = v_add(c[m][n], v_add(even[m][n], odd[m][n]));
        a += K_BLOCK;
        w += K_BLOCK * LANES_N * sizeof(uint16_t);
    }
    T_END
}

#if T_ROWS <= Q8_ROWS
static void T_NAME(tile_q8)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt, float scale,
                            bool add) {
    const float *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + (size_t)m * ldt + n * LANES_N);
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        lanes even[T_ROWS][T_COLS], odd[T_ROWS][T_COLS];
        q8_scales s[T_COLS];
        FOR_N s[n] = q8_load(w + n * panel);
        FOR_M FOR_N even[m][n] = odd[m][n] = v_set(0.0f);
        for (int k = 0; k < K_BLOCK; k += 2) {
            lanes we[T_COLS], wo[T_COLS];
            FOR_N v_load_q8((const int8_t *)(w + n * panel) + Q8_VALUES + k * LANES_N, s[n], &we[n], &wo[n]);
            FOR_M {
                lanes ae = v_set(a[m * lda + k]), ao = v_set(a[m * lda + k + 1]);
                FOR_N {
                    even[m][n] = v_fma(ae, we[n], even[m][n]);
                    odd[m][n] = v_fma(ao, wo[n], odd[m][n]);
                }
            }
        }
        FOR_M FOR_N c[m][n] = v_add(c[m][n], v_add(even[m][n], odd[m][n]));
        a += K_BLOCK;
        w += Q8_BLOCK;
    }
    T_END
}
#endif

static void T_NAME(tile_f32)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt,
                             float scale, bool add) {
    const float *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes, n_k = g->k;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + (size_t)m * ldt + n * LANES_N);
    for (size_t k = 0; k < n_k; k++) {
        lanes b[T_COLS];
        FOR_N b[n] = v_load((const float *)(w + n * panel) + k * LANES_N);
        FOR_M {
            lanes am = v_set(a[m * lda + k]);
            FOR_N c[m][n] = v_fma(am, b[n], c[m][n]);
        }
    }
    T_END
}

static void T_NAME(tile_bf16_dw)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt,
                                 float scale, bool add) {
    const float *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + (size_t)m * ldt + n * LANES_N);
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        lanes even[T_ROWS][T_COLS], odd[T_ROWS][T_COLS];
        FOR_M FOR_N even[m][n] = odd[m][n] = v_set(0.0f);
        for (int k = 0; k < K_BLOCK; k += 2) {
            lanes we[T_COLS], wo[T_COLS];
            FOR_N {
                const float *b = (const float *)(w + n * panel) + k * LANES_N;
                we[n] = v_load(b);
                wo[n] = v_load(b + LANES_N);
            }
            const float *ae = a + k * lda, *ao = ae + lda;
            FOR_M {
                lanes e = v_set(ae[m]), o = v_set(ao[m]);
                FOR_N {
                    even[m][n] = v_fma(e, we[n], even[m][n]);
                    odd[m][n] = v_fma(o, wo[n], odd[m][n]);
                }
            }
        }
        FOR_M FOR_N c[m][n] = v_add(c[m][n], v_add(even[m][n], odd[m][n]));
        a += K_BLOCK * lda;
        w += K_BLOCK * LANES_N * sizeof(float);
    }
    T_END
}

static void T_NAME(tile_f32_dw)(const gemm *g, const void *rows, const char *w, float *t, size_t ldt,
                                float scale, bool add) {
    const float *a = rows;
    const size_t lda = g->lda, panel = g->panel_bytes, n_k = g->k;
    lanes c[T_ROWS][T_COLS];
    FOR_M FOR_N c[m][n] = v_set(0.0f);
    if (g->resume)
        FOR_M FOR_N c[m][n] = v_load(t + (size_t)m * ldt + n * LANES_N);
    for (size_t k = 0; k < n_k; k++) {
        lanes b[T_COLS];
        FOR_N b[n] = v_load((const float *)(w + n * panel) + k * LANES_N);
        FOR_M {
            lanes am = v_set(a[k * lda + m]);
            FOR_N c[m][n] = v_fma(am, b[n], c[m][n]);
        }
    }
    T_END
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

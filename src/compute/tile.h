/* One register tile of a product, T_ROWS x (16 * T_COLS), for each kind of weights.
 * Included by body_matmul.h once per tile size, with T_ROWS and T_COLS literal: accumulators must be
 * plain registers, and gcc keeps arrays sized by parameters in memory. `kind`, `row` and `depth` are known where a body is inlined. */

#if defined(PAIRS_AS_FLOATS)
/* The chain of `numerics: native`, of each pair the odd product first, with `a` as floats: a pair of bf16 would have to be taken apart
 * for each row of each panel. 8-bit weights of few rows are unpacked in registers. */
LANES void T_NAME(pair_chain)(gemm_kind kind, const gemm *g, const float *a, size_t row, size_t depth, const char *w, T_SUMS) {
    const size_t panel = g->panel_bytes;
    const char *next = g->next;
    const bool unpack = kind == GEMM_Q8 && T_ROWS > BOTH_WEIGHTS;
    const bool both = kind == GEMM_Q8 ? !unpack : (T_ROWS + 2) * T_COLS <= BOTH_WEIGHTS + 2;
    char *keep = kind == GEMM_Q8 ? g->unpacked : NULL;
    T_START
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        _Alignas(64) char here[T_COLS][K_BLOCK * LANES_N * sizeof(uint16_t)];
        const char *from[T_COLS];
        q8_scales s[T_COLS];
        FOR_N {
            from[n] = w + n * panel;
            if (next)
                fetch_next(g, next, n, block_bytes(kind));
            if (unpack) {
                char *to = keep ? keep + (n * g->k + block) * LANES_N * sizeof(uint16_t) : here[n];
                unpack_q8(from[n], 1, to);
                from[n] = to;
            } else if (kind == GEMM_Q8) {
                s[n] = q8_load(from[n]);
            }
        }
        for (size_t k = 0; k < K_BLOCK; k += 2) {
            lanes even[T_COLS], odd[T_COLS];
            if (both)
                FOR_N load_weights(kind, from[n], k, s[n], &even[n], &odd[n]);
            else
                FOR_N odd[n] = load_half(kind, from[n], k, true);
            if (both && keep)
                FOR_N p_put(keep + (n * g->k + block + k) * LANES_N * sizeof(uint16_t), p_join(even[n], odd[n]));
            FOR_M {
                lanes am = v_set(a[m * row + (k + 1) * depth]);
                FOR_N c[m][n] = v_fma(am, odd[n], c[m][n]);
            }
            if (!both)
                FOR_N even[n] = load_half(kind, from[n], k, false);
            FOR_M {
                lanes am = v_set(a[m * row + k * depth]);
                FOR_N c[m][n] = v_fma(am, even[n], c[m][n]);
            }
        }
        a += K_BLOCK * depth;
        w += block_bytes(kind);
        next += next ? 2 * g->next_depth : 0;
    }
    T_END
}

T_TILE(tile_pairs_bf16, pair_chain, GEMM_BF16, g->lda, 1)
T_TILE(tile_pairs_q8, pair_chain, GEMM_Q8, g->lda, 1)
T_TILE(tile_pairs_bf16_dw, pair_chain, GEMM_BF16_DW, 1, g->lda)
#endif

#if T_COLS == 1
/* An even and an odd chain per block of K_BLOCK. */
#if defined(FEW_REGISTERS) && T_ROWS > 2
/* One after the other: where registers are few, a tile can so be twice as high, and each weight that is widened serves more rows. 8-bit
 * weights of a block are unpacked first. */
LANES void T_NAME(chains)(gemm_kind kind, const gemm *g, const float *a, size_t row, size_t depth, const char *w, T_SUMS) {
    const size_t panel = g->panel_bytes;
    const char *next = g->next;
    char *keep = kind == GEMM_Q8 ? g->unpacked : NULL;
    T_START
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        __asm__("" : "+m"(c)); /* the blocks' sums wait in memory: registers are for the chain */
        lanes even[T_ROWS][T_COLS], sum[T_ROWS][T_COLS];
        _Alignas(64) char here[T_COLS][K_BLOCK * LANES_N * sizeof(uint16_t)];
        const char *from[T_COLS];
        FOR_N {
            from[n] = w + n * panel;
            if (next)
                fetch_next(g, next, n, block_bytes(kind));
            if (kind == GEMM_Q8) {
                char *to = keep ? keep + (n * g->k + block) * LANES_N * sizeof(uint16_t) : here[n];
                unpack_q8(from[n], 1, to);
                from[n] = to;
            }
        }
        for (size_t first = 0; first < 2; first++) {
            FOR_M FOR_N sum[m][n] = v_set(0.0f);
            for (size_t k = first; k < K_BLOCK; k += 2) {
                lanes b[T_COLS];
                FOR_N b[n] = load_half(kind, from[n], k - first, first);
                FOR_M {
                    lanes am = v_set(a[m * row + k * depth]);
                    FOR_N sum[m][n] = v_fma(am, b[n], sum[m][n]);
                }
            }
            if (first == 0) {
                FOR_M FOR_N even[m][n] = sum[m][n];
                __asm__("" : "+m"(even));
            }
        }
        FOR_M FOR_N c[m][n] = v_add(c[m][n], v_add(even[m][n], sum[m][n]));
        a += K_BLOCK * depth;
        w += block_bytes(kind);
        next += next ? 2 * g->next_depth : 0;
    }
    T_END
}
#else
LANES void T_NAME(chains)(gemm_kind kind, const gemm *g, const float *a, size_t row, size_t depth, const char *w, T_SUMS) {
    const size_t panel = g->panel_bytes;
    const char *next = g->next;
    char *keep = kind == GEMM_Q8 ? g->unpacked : NULL;
    T_START
    for (size_t block = 0; block < g->k; block += K_BLOCK) {
        __asm__("" : "+m"(c)); /* the blocks' sums wait in memory: registers are for the chains */
        lanes even[T_ROWS][T_COLS], odd[T_ROWS][T_COLS], next_even[T_COLS], next_odd[T_COLS];
        q8_scales s[T_COLS];
        if (kind == GEMM_Q8)
            FOR_N s[n] = q8_load(w + n * panel);
        if (next)
            FOR_N fetch_next(g, next, n, block_bytes(kind));
        if (T_EARLY(kind))
            FOR_N load_weights(kind, w + n * panel, 0, s[n], &next_even[n], &next_odd[n]);
        FOR_M FOR_N even[m][n] = odd[m][n] = v_set(0.0f);
        for (size_t k = 0; k < K_BLOCK; k += 2) {
            lanes we[T_COLS], wo[T_COLS];
            FOR_N {
                if (T_EARLY(kind)) {
                    we[n] = next_even[n], wo[n] = next_odd[n];
                    load_weights(kind, w + n * panel, size_min(k + 2, K_BLOCK - 2), s[n], &next_even[n], &next_odd[n]);
                } else {
                    load_weights(kind, w + n * panel, k, s[n], &we[n], &wo[n]);
                }
            }
            if (keep)
                FOR_N p_put(keep + (n * g->k + block + k) * LANES_N * sizeof(uint16_t), p_join(we[n], wo[n]));
            FOR_M {
                const float *base = a + m * row + k * depth;
                lanes ae = v_set(base[0]), ao = v_set(base[depth]);
                FOR_N {
                    even[m][n] = v_fma(ae, we[n], even[m][n]);
                    odd[m][n] = v_fma(ao, wo[n], odd[m][n]);
                }
            }
        }
        FOR_M FOR_N c[m][n] = v_add(c[m][n], v_add(even[m][n], odd[m][n]));
        a += K_BLOCK * depth;
        w += block_bytes(kind);
        next += next ? 2 * g->next_depth : 0;
    }
    T_END
}
#endif

/* f32: one chain. */
LANES void T_NAME(chain)(gemm_kind kind, const gemm *g, const float *a, size_t row, size_t depth, const char *w, T_SUMS) {
    const size_t panel = g->panel_bytes, n_k = g->k;
    (void)kind;
    T_START
    for (size_t k = 0; k < n_k; k++) {
        lanes b[T_COLS];
        FOR_N b[n] = v_load((const float *)(w + n * panel) + k * LANES_N);
        FOR_M {
            lanes am = v_set(a[m * row + k * depth]);
            FOR_N c[m][n] = v_fma(am, b[n], c[m][n]);
        }
    }
    T_END
}

T_TILE(tile_bf16, chains, GEMM_BF16, g->lda, 1)
T_TILE(tile_q8, chains, GEMM_Q8, g->lda, 1)
T_TILE(tile_bf16_dw, chains, GEMM_BF16_DW, 1, g->lda)
T_TILE(tile_f32, chain, GEMM_F32, g->lda, 1)
T_TILE(tile_f32_dw, chain, GEMM_F32_DW, 1, g->lda)
#endif
#undef T_ROWS

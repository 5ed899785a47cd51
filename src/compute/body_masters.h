/* Rows of f32 values to a panel of bf16 pairs, rounded, and what the rounding left; and back. See matrix_masters.c. */

#if !defined(V_SPLIT)
/* The lower halves (of denormals: 0), and a bit for each value whose upper half is one more when it is rounded to bf16 (of NaN: no matter). */
LANES uint16_t v_split(lanes a, uint16_t *low) {
    uint32_t u[LANES_N], carried = 0;
    v_store((float *)u, a);
    for (int i = 0; i < LANES_N; i++) {
        u[i] = u[i] & 0x7f800000u ? u[i] : 0;
        low[i] = (uint16_t)u[i];
        carried |= ((u[i] & 0xffffu) + 0x7fffu + (u[i] >> 16 & 1u)) >> 16 << i;
    }
    return (uint16_t)carried;
}
LANES lanes v_join(const uint16_t *high, const uint16_t *low, uint16_t carried) {
    uint32_t u[LANES_N];
    for (int i = 0; i < LANES_N; i++)
        u[i] = (high[i] - ((uint32_t)carried >> i & 1u)) << 16 | low[i];
    return v_load((const float *)u);
}
#endif

/* Line i, word j to line j, word i. */
static inline void turn_lines(float lines[LANES_N][LANES_N]) {
#if defined(P_TURN)
    lanes x[LANES_N];
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES_N; i++)
        x[i] = v_load(lines[i]);
    store_turned(x, lines[0]);
#else
    for (size_t i = 0; i < LANES_N; i++)
        for (size_t j = 0; j < i; j++) {
            uint32_t a, b;
            memcpy(&a, &lines[i][j], sizeof a);
            memcpy(&b, &lines[j][i], sizeof b);
            memcpy(&lines[i][j], &b, sizeof b);
            memcpy(&lines[j][i], &a, sizeof a);
        }
#endif
}

static inline void round_row(const float *x, size_t n, uint16_t *to) {
    size_t i = 0;
    for (; i + LANES_N <= n; i += LANES_N)
        p_store_row(to + i, v_load(x + i));
    if (i < n) {
        uint16_t rest[LANES_N];
        p_store_row(rest, v_load_n(x + i, n - i));
        memcpy(to + i, rest, (n - i) * sizeof *to);
    }
}

static inline void turn_rounded(const uint16_t *x, size_t ldx, const int32_t *rows, size_t n_rows, size_t n, void *panel) {
    for (size_t k = 0; k < n; k += K_BLOCK) {
#if defined(P_TURN)
        if (k + K_BLOCK <= n) {
            lanes square[LANES_N];
#pragma GCC unroll 16
            for (size_t row = 0; row < LANES_N; row++)
                square[row] = row < n_rows ? v_load((const float *)(x + (size_t)rows[row] * ldx + k)) : v_set(0.0f);
            store_turned(square, (float *)panel + k / 2 * LANES_N);
            continue;
        }
#endif
        float lines[LANES_N][LANES_N] __attribute__((aligned(64)));
        memset(lines, 0, sizeof lines);
        for (size_t row = 0; row < n_rows; row++)
            memcpy(lines[row], x + (size_t)rows[row] * ldx + k, size_min(K_BLOCK, n - k) * sizeof *x);
        turn_lines(lines);
        memcpy((char *)panel + k * LANES_N * sizeof(uint16_t), lines, sizeof lines);
    }
}

static void split_rows(const float *x, size_t ldx, size_t n_rows, size_t n, void *panel, uint16_t *low, uint16_t *carried, size_t ld_low) {
    for (size_t k = 0; k < n; k += K_BLOCK) {
#if defined(P_ROW)
        if (!low && n_rows == LANES_N && k + K_BLOCK <= n) {
            lanes square[LANES_N];
#pragma GCC unroll 16
            for (size_t row = 0; row < LANES_N; row++)
                square[row] = p_row(x + row * ldx + k);
            store_turned(square, (float *)panel + k / 2 * LANES_N);
            continue;
        }
#endif
        float lines[LANES_N][LANES_N] __attribute__((aligned(64)));
        memset(lines, 0, sizeof lines);
        for (size_t row = 0; row < n_rows; row++)
            for (size_t half = 0; half < 2; half++) {
                const size_t at = k + half * LANES_N, m = at < n ? size_min(LANES_N, n - at) : 0;
                const float *from = x + row * ldx + at;
                const lanes v = m == LANES_N ? v_load(from) : v_load_n(m ? from : x, m);
                p_store_row((uint16_t *)lines[row] + half * LANES_N, v);
                if (low)
                    carried[(row * ld_low + at) / LANES_N] = v_split(v, low + row * ld_low + at);
            }
        turn_lines(lines);
        memcpy((char *)panel + k * LANES_N * sizeof(uint16_t), lines, sizeof lines);
    }
}

static void join_rows(const void *panel, const uint16_t *low, const uint16_t *carried, size_t ld_low, size_t n_rows, size_t n, float *x,
                      size_t ldx) {
    for (size_t k = 0; k < n; k += K_BLOCK) {
        float lines[LANES_N][LANES_N] __attribute__((aligned(64)));
        memcpy(lines, (const char *)panel + k * LANES_N * sizeof(uint16_t), sizeof lines);
        turn_lines(lines);
        for (size_t row = 0; row < n_rows; row++)
            for (size_t at = k; at < k + K_BLOCK && at < n; at += LANES_N) {
                const lanes v = v_join((const uint16_t *)lines[row] + (at - k), low + row * ld_low + at, carried[(row * ld_low + at) / LANES_N]);
                v_store_n(x + row * ldx + at, v, size_min(LANES_N, n - at));
            }
    }
}

/* Rows and panels of f32, and panels of 8-bit weights, as pairs of bf16: what products over pairs read. */

#if !defined(PAIRS_AS_FLOATS)
static void round_pair_rows(const float *x, size_t ldx, size_t n_rows, size_t width, float scale, void *to,
                            size_t lda) {
    uint16_t *a = to;
    lanes s = v_set(scale);
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < 2 * lda; i += LANES_N) {
            size_t n = i >= width ? 0 : size_min(LANES_N, width - i);
            lanes v = n == LANES_N ? v_load(x + row * ldx + i) : v_load_n(n ? x + row * ldx + i : x, n);
            p_store_row(a + row * 2 * lda + i, v_mul(v, s));
        }
}
#endif

/* Columns [i, i + 16) of rows `row` and `row` + 1 as pairs; rows from n_rows on are zeros. */
LANES void store_two_rows(const float *x, size_t ldx, size_t n_rows, size_t row, size_t i, size_t n, float scale,
                          void *to) {
    lanes even = v_load_n(x, 0), odd = even, s = v_set(scale);
    if (row < n_rows)
        even = v_mul(v_load_n(x + row * ldx + i, n), s);
    if (row + 1 < n_rows)
        odd = v_mul(v_load_n(x + (row + 1) * ldx + i, n), s);
    p_store(to, even, odd);
}

static inline void dw_pair_panels(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, bool bf16,
                           void *panels) {
    (void)bf16;
    for (size_t row = 0; row < padded_rows; row += 2)
        for (size_t i = 0; i < width; i += LANES_N)
            store_two_rows(x, ldx, n_rows, row, i, size_min(LANES_N, width - i), 1.0f,
                           (uint32_t *)panels + i * (padded_rows / 2) + row / 2 * LANES_N);
}

static inline void depth_panels(const float *x, size_t ldx, size_t n_rows, size_t padded_rows, size_t width, void *panels) {
    dw_pair_panels(x, ldx, n_rows, padded_rows, width, true, panels);
}

static inline void depth_panels_rounded(const uint16_t *x, size_t ldx, const int32_t *rows, size_t n_rows, size_t padded_rows, size_t width,
                                        void *panels) {
    static const uint16_t none[LANES_N];
    for (size_t row = 0; row < padded_rows; row += 2) {
        const uint16_t *even = row < n_rows ? x + (size_t)rows[row] * ldx : NULL, *odd = row + 1 < n_rows ? x + (size_t)rows[row + 1] * ldx : NULL;
        for (size_t i = 0; i < width; i += LANES_N) {
            uint16_t part[2][LANES_N] = {{0}};
            const uint16_t *a = even ? even + i : none, *b = odd ? odd + i : none;
            uint32_t *line = (uint32_t *)panels + i * (padded_rows / 2) + row / 2 * LANES_N;
            if (width - i < LANES_N) {
                memcpy(part[0], a, (width - i) * sizeof *a);
                memcpy(part[1], b, (width - i) * sizeof *b);
                a = part[0], b = part[1];
            }
            for (size_t j = 0; j < LANES_N; j++)
                line[j] = a[j] | (uint32_t)b[j] << 16;
        }
    }
}

static inline void unpack_q8(const char *w, size_t n_blocks, void *to) {
    char *out = to;
    for (size_t block = 0; block < n_blocks; block++, w += Q8_BLOCK) {
        q8_scales s = q8_load(w);
        for (int k = 0; k < K_BLOCK; k += 2, out += LANES_N * sizeof(uint32_t))
            p_put(out, p_load_q8((const int8_t *)w + Q8_VALUES + k * LANES_N, s));
    }
}

#if !defined(P_TURN)
/* Line a holds depths 2a and 2a + 1 of sixteen columns, line b of the result columns 2b and 2b + 1 of sixteen depths. */
LANES void p_turn(const char *w, char *to) {
    for (size_t a = 0; a < LANES_N / 2; a++)
        for (size_t column = 0; column < LANES_N; column++)
            for (size_t half = 0; half < 2; half++)
                memcpy(to + ((column / 2 * LANES_N + 2 * a + half) * 2 + column % 2) * sizeof(uint16_t),
                       w + ((a * LANES_N + column) * 2 + half) * sizeof(uint16_t), sizeof(uint16_t));
}
#endif

static inline void turn_pairs(const char *w, size_t panel_bytes, size_t n_panels, void *to) {
    for (size_t panel = 0; panel < n_panels; panel++)
        p_turn(w + panel * panel_bytes, (char *)to + panel * LANES_N * LANES_N * sizeof(uint16_t));
}

#if defined(P_TURN)
/* Word j of x[i] to word i of line j. */
LANES void store_turned(lanes x[LANES_N], float *lines) {
    v_transpose16(x);
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES_N; i++)
        v_store(lines + i * LANES_N, x[i]);
}
#endif

static inline void turn_floats(const char *w, size_t panel_bytes, size_t n_panels, size_t n, void *to) {
    for (size_t panel = 0; panel < n_panels; panel++, w += panel_bytes) {
        float *out = (float *)to + panel * LANES_N * LANES_N;
        const float *in = (const float *)w;
#if defined(P_TURN)
        lanes x[LANES_N];
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_N; i++)
            x[i] = i < n ? v_load(in + i * LANES_N) : v_set(0.0f);
        store_turned(x, out);
#else
        for (size_t i = 0; i < LANES_N; i++)
            for (size_t column = 0; column < LANES_N; column++)
                out[column * LANES_N + i] = i < n ? in[i * LANES_N + column] : 0.0f;
#endif
    }
}

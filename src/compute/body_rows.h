/* Row-wise and element-wise kernels: norms, rotary embedding, SwiGLU, sums, AdamW. */

static void rms_norm_rows(const float *x, size_t n_rows, size_t width, const float *weight, float eps,
                          float *y, float *inv_rms) {
    for (size_t row = 0; row < n_rows; row++, x += width, y += width) {
        lanes sum = v_set(0.0f);
        for (size_t i = 0; i < width; i += LANES_N) {
            lanes v = v_load_n(x + i, size_min(LANES_N, width - i));
            sum = v_fma(v, v, sum);
        }
        float inv = 1.0f / sqrtf(v_sum(sum) / (float)width + eps);
        for (size_t i = 0; i < width; i += LANES_N) {
            size_t n = size_min(LANES_N, width - i);
            v_store_n(y + i, v_mul(v_mul(v_load_n(x + i, n), v_set(inv)), v_load_n(weight + i, n)), n);
        }
        if (inv_rms)
            inv_rms[row] = inv;
    }
}

/* With h = x * inv_rms and u = dy * weight: dx = inv_rms * (u - h * mean(u * h)). */
static void rms_norm_dx(const float *x, const float *inv_rms, const float *weight, const float *dy,
                        size_t n_rows, size_t width, bool accumulate, float *dx) {
    for (size_t row = 0; row < n_rows; row++, x += width, dy += width, dx += width) {
        lanes sum = v_set(0.0f), inv = v_set(inv_rms[row]);
        for (size_t i = 0; i < width; i += LANES_N) {
            size_t n = size_min(LANES_N, width - i);
            lanes u = v_mul(v_load_n(dy + i, n), v_load_n(weight + i, n));
            sum = v_fma(u, v_mul(v_load_n(x + i, n), inv), sum);
        }
        lanes minus_mean = v_set(-(v_sum(sum) / (float)width));
        for (size_t i = 0; i < width; i += LANES_N) {
            size_t n = size_min(LANES_N, width - i);
            lanes u = v_mul(v_load_n(dy + i, n), v_load_n(weight + i, n));
            lanes h = v_mul(v_load_n(x + i, n), inv);
            lanes d = v_mul(inv, v_fma(h, minus_mean, u));
            v_store_n(dx + i, accumulate ? v_add(v_load_n(dx + i, n), d) : d, n);
        }
    }
}

static void rms_norm_dweight(const float *x, const float *inv_rms, const float *dy, size_t n_rows,
                             size_t width, size_t first, size_t n, float *dweight) {
    lanes sum = v_load_n(dweight + first, n);
    for (size_t row = 0; row < n_rows; row++) {
        lanes h = v_mul(v_load_n(x + row * width + first, n), v_set(inv_rms[row]));
        sum = v_fma(v_load_n(dy + row * width + first, n), h, sum);
    }
    v_store_n(dweight + first, sum, n);
}

static void column_sums(const float *dy, size_t n_rows, size_t width, size_t first, size_t n, float *db) {
    lanes sum = v_load_n(db + first, n);
    for (size_t row = 0; row < n_rows; row++)
        sum = v_add(sum, v_load_n(dy + row * width + first, n));
    v_store_n(db + first, sum, n);
}

static void rope_angles(const float *inv_freq, size_t half, int32_t position, float *table) {
    lanes p = v_set((float)position);
    for (size_t i = 0; i < half; i += LANES_N) {
        size_t n = size_min(LANES_N, half - i);
        lanes s, c;
        v_sincos(v_mul(p, v_load_n(inv_freq + i, n)), &s, &c);
        v_store_n(table + i, c, n);
        v_store_n(table + half + i, s, n);
    }
}

static void rope_row(float *x, size_t n_heads, size_t head_dim, const float *table, int direction) {
    const size_t half = head_dim / 2;
    lanes sign = v_set(direction < 0 ? -1.0f : 1.0f);
    for (size_t i = 0; i < half; i += LANES_N) {
        size_t n = size_min(LANES_N, half - i);
        lanes c = v_load_n(table + i, n), s = v_mul(v_load_n(table + half + i, n), sign);
        lanes minus_s = v_sub(v_set(0.0f), s);
        for (size_t h = 0; h < n_heads; h++) {
            float *a = x + h * head_dim + i, *b = a + half;
            lanes va = v_load_n(a, n), vb = v_load_n(b, n);
            v_store_n(a, v_fma(va, c, v_mul(vb, minus_s)), n);
            v_store_n(b, v_fma(vb, c, v_mul(va, s)), n);
        }
    }
}

static void swiglu_range(const float *gate, const float *up, size_t n, float *y) {
    lanes one = v_set(1.0f), zero = v_set(0.0f);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        lanes g = v_load_n(gate + i, m);
        lanes silu = v_div(g, v_add(one, v_exp(v_sub(zero, g))));
        v_store_n(y + i, v_mul(silu, v_load_n(up + i, m)), m);
    }
}

/* silu'(g) = s * (1 + g * (1 - s)), s = sigmoid(g). y is what swiglu_range gave. */
static void swiglu_backward_range(const float *gate, const float *up, const float *dy, size_t n, float *y, float *dgate, float *dup) {
    lanes one = v_set(1.0f), zero = v_set(0.0f);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        lanes g = v_load_n(gate + i, m), u = v_load_n(up + i, m), d = v_load_n(dy + i, m);
        lanes below = v_add(one, v_exp(v_sub(zero, g))), s = v_div(one, below);
        lanes slope = v_mul(s, v_fma(g, v_sub(one, s), one));
        v_store_n(y + i, v_mul(v_div(g, below), u), m);
        v_store_n(dgate + i, v_mul(v_mul(d, u), slope), m);
        v_store_n(dup + i, v_mul(d, v_mul(g, s)), m);
    }
}

static void add_range(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        v_store_n(y + i, v_add(v_load_n(y + i, m), v_load_n(x + i, m)), m);
    }
}

static void exp_range(const float *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t m = size_min(LANES_N, n - i);
        v_store_n(y + i, v_exp(v_load_n(x + i, m)), m);
    }
}

static void adamw_range(const adamw_step *s, const float *g, size_t n, float *theta, float *m, float *v) {
    lanes scale = v_set(s->grad_scale), b1 = v_set(s->beta1), a1 = v_set(s->one_minus_beta1);
    lanes b2 = v_set(s->beta2), a2 = v_set(s->one_minus_beta2), eps = v_set(s->eps);
    lanes c1 = v_set(s->correction1), c2 = v_set(s->correction2);
    lanes minus_lr = v_set(-s->lr), minus_decay = v_set(-s->lr_decay);
    for (size_t i = 0; i < n; i += LANES_N) {
        size_t k = size_min(LANES_N, n - i);
        lanes gi = v_mul(v_load_n(g + i, k), scale), t = v_load_n(theta + i, k);
        t = v_fma(minus_decay, t, t);
        lanes mi = v_fma(a1, gi, v_mul(b1, v_load_n(m + i, k)));
        lanes vi = v_fma(v_mul(a2, gi), gi, v_mul(b2, v_load_n(v + i, k)));
        lanes step = v_div(v_mul(mi, c1), v_add(v_sqrt(v_mul(vi, c2)), eps));
        v_store_n(theta + i, v_fma(minus_lr, step, t), k);
        v_store_n(m + i, mi, k);
        v_store_n(v + i, vi, k);
    }
}

/* Squares of f32 are exact in f64, so only the order of the sums matters: sixteen lanes and the tree. */
static double sum_squares_range(const float *x, size_t n) {
    double lane[LANES_N] = {0};
    size_t i = 0;
    for (; i + LANES_N <= n; i += LANES_N)
        for (int j = 0; j < LANES_N; j++)
            lane[j] += (double)x[i + (size_t)j] * (double)x[i + (size_t)j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += (double)x[i] * (double)x[i];
    for (int half = LANES_N / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

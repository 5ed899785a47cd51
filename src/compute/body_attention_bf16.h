/* What attention does between its products where their operands are bf16 (attention_bf16.c): the online softmax of a block of keys
 * (Milakov and Gimelshein 2018), and the gradient of its scores from the log-sum-exp (Dao et al. 2022). */

/* Vector v of a row of scores, in a block of which the row has n keys: scaled, `none` where it has no key. */
LANES lanes scaled_scores(const float *row, size_t v, size_t n, lanes scale, lanes none) {
    const lanes s = v_mul(v_load(row + v * LANES_N), scale);
    const size_t at = v * LANES_N;
    return n >= at + LANES_N ? s : v_first(s, none, n > at ? n - at : 0);
}

/* max, sum and correction of up to sixteen rows: their new maxima are in top. */
LANES void move_maxima(const softmax_rows *s, size_t first, size_t n, const float *top) {
    const lanes before = v_load_n(s->max + first, n), now = v_load_n(top, n), c = v_exp(v_sub(before, now));
    v_store_n(s->max + first, now, n);
    v_store_n(s->correction + first, c, n);
    v_store_n(s->sum + first, v_mul(v_load_n(s->sum + first, n), c), n);
}

static void softmax_rows_of_block(const softmax_rows *s) {
    const lanes lowest = v_set(-INFINITY), zero = v_set(0.0f), scale = v_set(s->scale);
    const size_t n_vectors = round_up(s->width, LANES_N) / LANES_N;
    for (size_t first = 0, rows; first < s->n_rows; first += rows) {
        _Alignas(64) float top[LANES_N];
        rows = size_min(LANES_N, s->n_rows - first);
        for (size_t i = 0; i < rows; i++) {
            const float *row = s->scores + (first + i) * s->ld;
            lanes most = v_set(s->max[first + i]);
            for (size_t v = 0; v < n_vectors; v++)
                most = v_max(most, scaled_scores(row, v, s->n[first + i], scale, lowest));
            top[i] = max_lane(most);
        }
        move_maxima(s, first, rows, top);
        for (size_t i = 0; i < rows; i++) {
            float *row = s->scores + (first + i) * s->ld;
            const lanes by = v_set(top[i]);
            lanes half[2] = {zero, zero}, pair = zero;
            for (size_t v = 0; v < n_vectors; v++) {
                lanes p = v_exp(v_sub(scaled_scores(row, v, s->n[first + i], scale, lowest), by));
                v_store(row + v * LANES_N, p);
                if (v % 2)
                    half[v / 2] = v_add(pair, p);
                else
                    half[v / 2] = pair = p;
            }
            s->sum[first + i] = s->sum[first + i] + v_sum(v_add(half[0], half[1]));
        }
    }
}

/* x[n_rows, width], rows ldx apart, times factor[row]. */
static void scale_rows(float *x, size_t ldx, size_t n_rows, size_t width, const float *factor) {
    for (size_t row = 0; row < n_rows; row++) {
        const lanes f = v_set(factor[row]);
        if (factor[row] == 1.0f)
            continue;
        for (size_t i = 0; i < width; i += LANES_N) {
            const size_t n = size_min(LANES_N, width - i);
            v_store_n(x + row * ldx + i, v_mul(v_load_n(x + row * ldx + i, n), f), n);
        }
    }
}

/* x = (x + 0) / by[row]: the sign of a zero, which tells how many zeros were added, goes. */
static void divide_rows(float *x, size_t ldx, size_t n_rows, size_t width, const float *by) {
    for (size_t row = 0; row < n_rows; row++)
        for (size_t i = 0; i < width; i += LANES_N) {
            const size_t n = size_min(LANES_N, width - i);
            v_store_n(x + row * ldx + i, v_div(v_add(v_load_n(x + row * ldx + i, n), v_set(0.0f)), v_set(by[row])), n);
        }
}

/* delta[row] = bf16(d_out) . out, both [n_rows, width], rows ld apart. */
static void dot_rows_bf16(const float *d_out, const float *out, size_t ld, size_t n_rows, size_t width, float *delta) {
    for (size_t row = 0; row < n_rows; row++) {
        lanes dot = v_set(0.0f);
        for (size_t i = 0; i < width; i += LANES_N) {
            const size_t n = size_min(LANES_N, width - i);
            dot = v_fma(v_bf16(v_load_n(d_out + row * ld + i, n)), v_load_n(out + row * ld + i, n), dot);
        }
        delta[row] = v_sum(dot);
    }
}

static void softmax_rows_backward(const softmax_gradients *s) {
    const lanes zero = v_set(0.0f), scale = v_set(s->scale), lowest = v_set(-INFINITY);
    for (size_t row = 0; row < s->n_rows; row++) {
        const lanes lse = v_set(s->lse[row * s->ld_lse]), delta = v_set(s->delta[row]);
        const size_t n = s->n[row];
        for (size_t at = 0; at < s->width; at += LANES_N) {
            const size_t own = n > at ? size_min(LANES_N, n - at) : 0;
            lanes p = v_exp(v_sub(scaled_scores(s->scores + row * s->ld, at / LANES_N, n, scale, lowest), lse));
            lanes d = v_mul(v_mul(p, v_sub(v_load(s->d_weights + row * s->ld + at), delta)), scale);
            v_store(s->to_weights + row * s->ld_to + at, p);
            v_store(s->to_scores + row * s->ld_to + at, v_first(d, zero, own));
        }
    }
}

/* Attention of one query row and one key head, forward and backward (online softmax: Milakov and
 * Gimelshein 2018; backward from the log-sum-exp: Dao et al. 2022). All query heads that share the
 * key head are done together, so that its keys and values are read from cache. */

enum { ATTENTION_BLOCK = 32, MAX_VECTORS = MAX_HEAD_DIM / LANES_N };

#if defined(__SANITIZE_ADDRESS__) /* see tile.h */
#define FOR_D _Pragma("GCC unroll 1") for (size_t d = 0; d < n_vectors; d++)
#else
#define FOR_D _Pragma("GCC unroll 8") for (size_t d = 0; d < n_vectors; d++)
#endif

LANES void load_head(lanes *r, const float *p, size_t n_vectors, size_t tail) {
    FOR_D r[d] = d + 1 < n_vectors ? v_load(p + d * LANES_N) : v_load_n(p + d * LANES_N, tail);
}
LANES void store_head(float *p, const lanes *r, size_t n_vectors, size_t tail) {
    FOR_D {
        if (d + 1 < n_vectors)
            v_store(p + d * LANES_N, r[d]);
        else
            v_store_n(p + d * LANES_N, r[d], tail);
    }
}

/* Lane j: q . row j of `base`, for n <= 16 rows; zeros beyond. */
LANES lanes dot_rows(const lanes *q, const float *base, size_t ld, const int32_t *rows, size_t n,
                     size_t n_vectors, size_t tail) {
    lanes partial[LANES_N];
    for (size_t j = 0; j < n; j++) {
        lanes k[MAX_VECTORS], sum = v_set(0.0f);
        load_head(k, base + (size_t)rows[j] * ld, n_vectors, tail);
        FOR_D sum = v_fma(q[d], k[d], sum);
        partial[j] = sum;
    }
    for (size_t j = n; j < LANES_N; j++)
        partial[j] = v_set(0.0f);
    return v_sum16(partial);
}

/* out += sum of weight[j] * row j of `base`, ascending j. */
LANES void add_rows(lanes *out, const float *weight, const float *base, size_t ld, const int32_t *rows,
                    size_t n, size_t n_vectors, size_t tail) {
    for (size_t j = 0; j < n; j++) {
        lanes v[MAX_VECTORS], p = v_set(weight[j]);
        load_head(v, base + (size_t)rows[j] * ld, n_vectors, tail);
        FOR_D out[d] = v_fma(p, v[d], out[d]);
    }
}

LANES float max_lane(lanes a) {
    _Alignas(64) float each[LANES_N];
    v_store(each, a);
    float top = each[0];
    for (int i = 1; i < LANES_N; i++)
        top = each[i] > top ? each[i] : top;
    return top;
}

/* exp of one number by lane 0: the bits of math_exp. */
LANES float exp_one(float x) {
    _Alignas(64) float each[LANES_N];
    v_store(each, v_exp(v_set(x)));
    return each[0];
}

LANES void attend_head(const attention_call *c, size_t row, size_t head, size_t kv_head,
                       size_t n_vectors, size_t tail) {
    const size_t dim = c->shape->head_dim, ld = c->shape->n_kv_heads * dim;
    const float *k = c->k + kv_head * dim, *v = c->v + kv_head * dim;
    const attention_keys keys = c->keys[row];
    const size_t at = (row * c->shape->n_heads + head) * dim;
    lanes q[MAX_VECTORS], out[MAX_VECTORS], scale = v_set(c->shape->scale);
    load_head(q, c->q + at, n_vectors, tail);
    FOR_D out[d] = v_set(0.0f);
    float max = -INFINITY, sum = 0;
    for (size_t first = 0; first < (size_t)keys.n; first += ATTENTION_BLOCK) {
        const size_t n = size_min(ATTENTION_BLOCK, (size_t)keys.n - first);
        const size_t n0 = size_min(LANES_N, n), n1 = n - n0;
        const int32_t *rows = keys.rows + first;
        const lanes lowest = v_set(-INFINITY), zero = v_set(0.0f);
        lanes s0 = v_mul(dot_rows(q, k, ld, rows, n0, n_vectors, tail), scale), s1 = lowest;
        s0 = v_first(s0, lowest, n0);
        if (n1)
            s1 = v_first(v_mul(dot_rows(q, k, ld, rows + n0, n1, n_vectors, tail), scale), lowest, n1);
        float top = max_lane(v_max(s0, s1));
        top = top > max ? top : max;
        float correction = exp_one(max - top);
        _Alignas(64) float p[ATTENTION_BLOCK];
        lanes p0 = v_first(v_exp(v_sub(s0, v_set(top))), zero, n0);
        lanes p1 = n1 ? v_first(v_exp(v_sub(s1, v_set(top))), zero, n1) : zero;
        v_store(p, p0);
        v_store(p + LANES_N, p1);
        sum = sum * correction + v_sum(v_add(p0, p1));
        FOR_D out[d] = v_mul(out[d], v_set(correction));
        add_rows(out, p, v, ld, rows, n, n_vectors, tail);
        max = top;
    }
    FOR_D out[d] = v_div(out[d], v_set(sum));
    store_head(c->out + at, out, n_vectors, tail);
    if (c->lse)
        c->lse[row * c->shape->n_heads + head] = max + math_log(sum);
}

static void attend(const attention_call *c, size_t row, size_t kv_head) {
    const size_t dim = c->shape->head_dim, group = c->shape->n_heads / c->shape->n_kv_heads;
    for (size_t h = kv_head * group; h < (kv_head + 1) * group; h++)
        if (dim == 64)
            attend_head(c, row, h, kv_head, 4, LANES_N);
        else if (dim == 128)
            attend_head(c, row, h, kv_head, 8, LANES_N);
        else
            attend_head(c, row, h, kv_head, round_up(dim, LANES_N) / LANES_N,
                        dim - (dim - 1) / LANES_N * LANES_N);
}

/* row j of `base` += weight[j] * x. */
LANES void spread_rows(const lanes *x, const float *weight, float *base, size_t ld, const int32_t *rows,
                       size_t n, size_t n_vectors, size_t tail) {
    for (size_t j = 0; j < n; j++) {
        float *to = base + (size_t)rows[j] * ld;
        lanes r[MAX_VECTORS], p = v_set(weight[j]);
        load_head(r, to, n_vectors, tail);
        FOR_D r[d] = v_fma(p, x[d], r[d]);
        store_head(to, r, n_vectors, tail);
    }
}

LANES void attend_backward_head(const attention_call *c, size_t row, size_t head, size_t kv_head,
                                size_t n_vectors, size_t tail) {
    const size_t dim = c->shape->head_dim, ld = c->shape->n_kv_heads * dim, offset = kv_head * dim;
    const attention_keys keys = c->keys[row];
    const size_t at = (row * c->shape->n_heads + head) * dim;
    lanes q[MAX_VECTORS], d_out[MAX_VECTORS], dq[MAX_VECTORS];
    lanes scale = v_set(c->shape->scale), zero = v_set(0.0f), dot = zero;
    load_head(q, c->out + at, n_vectors, tail);
    load_head(d_out, c->d_out + at, n_vectors, tail);
    FOR_D dot = v_fma(d_out[d], q[d], dot);
    const lanes delta = v_set(v_sum(dot)), lse = v_set(c->lse[row * c->shape->n_heads + head]);
    load_head(q, c->q + at, n_vectors, tail);
    FOR_D dq[d] = zero;
    for (size_t first = 0; first < (size_t)keys.n; first += LANES_N) {
        const size_t n = size_min(LANES_N, (size_t)keys.n - first);
        const int32_t *rows = keys.rows + first;
        lanes s = v_mul(dot_rows(q, c->k + offset, ld, rows, n, n_vectors, tail), scale);
        lanes p = v_first(v_exp(v_sub(s, lse)), zero, n);
        lanes dp = dot_rows(d_out, c->v + offset, ld, rows, n, n_vectors, tail);
        lanes ds = v_mul(v_mul(p, v_sub(dp, delta)), scale);
        _Alignas(64) float weight[LANES_N], d_score[LANES_N];
        v_store(weight, p);
        v_store(d_score, ds);
        add_rows(dq, d_score, c->k + offset, ld, rows, n, n_vectors, tail);
        spread_rows(q, d_score, c->dk + offset, ld, rows, n, n_vectors, tail);
        spread_rows(d_out, weight, c->dv + offset, ld, rows, n, n_vectors, tail);
    }
    store_head(c->dq + at, dq, n_vectors, tail);
}

static void attend_backward(const attention_call *c, size_t row, size_t kv_head) {
    const size_t dim = c->shape->head_dim, group = c->shape->n_heads / c->shape->n_kv_heads;
    for (size_t h = kv_head * group; h < (kv_head + 1) * group; h++)
        if (dim == 64)
            attend_backward_head(c, row, h, kv_head, 4, LANES_N);
        else if (dim == 128)
            attend_backward_head(c, row, h, kv_head, 8, LANES_N);
        else
            attend_backward_head(c, row, h, kv_head, round_up(dim, LANES_N) / LANES_N,
                                 dim - (dim - 1) / LANES_N * LANES_N);
}
#undef FOR_D

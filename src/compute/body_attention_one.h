/* One query row of attention_bf16.c in the order of `numerics: native`, from registers: keys are turned there, and nothing is laid out in
 * memory for rows to come. head_dim 64; up to four query heads of a key head. */

enum { ONE_DIM = 64, ONE_PAIRS = ONE_DIM / 2, ONE_VECTORS = ONE_DIM / LANES_N, ONE_HEADS = 4 };
#define FOR_G _Pragma("GCC unroll 4") for (size_t g = 0; g < heads; g++)
#define FOR_D _Pragma("GCC unroll 4") for (size_t d = 0; d < ONE_VECTORS; d++)

/* scores[g][16]: the products of q[g] with n <= 16 keys. The values of the same rows are used soon. */
LANES void dot_keys(float (*scores)[ATTENTION_KEYS], const uint32_t (*q)[ONE_PAIRS], size_t heads, const float *k, const float *v, size_t ld,
                    const int32_t *rows, size_t n) {
    lanes sum[ONE_HEADS];
    FOR_G sum[g] = v_set(0.0f);
    for (size_t half = 0; half < ONE_DIM; half += K_BLOCK) {
        lanes square[LANES_N];
#pragma GCC unroll 16
        for (size_t j = 0; j < LANES_N; j++)
            square[j] = j < n ? p_row(k + (size_t)rows[j] * ld + half) : v_set(0.0f);
        for (size_t j = 0; j < n; j++) {
            __builtin_prefetch(v + (size_t)rows[j] * ld + half);
            __builtin_prefetch(v + (size_t)rows[j] * ld + half + LANES_N);
        }
        v_transpose16(square);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_N; i++)
            FOR_G sum[g] = p_dot(p_set(q[g][half / 2 + i]), (pairs)square[i], sum[g]);
    }
    FOR_G v_store(scores[g], sum[g]);
}

LANES void attend_one_heads(const attention_call *c, size_t row, size_t head, size_t heads, size_t kv_head) {
    const size_t ld = c->shape->n_kv_heads * ONE_DIM, at = (row * c->shape->n_heads + head) * ONE_DIM;
    const float *k = c->k + kv_head * ONE_DIM, *v = c->v + kv_head * ONE_DIM;
    const attention_keys keys = c->keys[row];
    _Alignas(64) uint32_t q[ONE_HEADS][ONE_PAIRS], p[ONE_HEADS][ATTENTION_KEYS / 2];
    _Alignas(64) float scores[ONE_HEADS][ATTENTION_KEYS];
    float max[ONE_HEADS], sum[ONE_HEADS], correction[ONE_HEADS];
    lanes out[ONE_HEADS][ONE_VECTORS];
    FOR_G {
        max[g] = -INFINITY, sum[g] = 0;
        for (size_t d = 0; d < ONE_DIM; d += K_BLOCK)
            v_store((float *)&q[g][d / 2], p_row(c->q + at + g * ONE_DIM + d));
        FOR_D out[g][d] = v_set(0.0f);
    }
    for (size_t first = 0; first < (size_t)keys.n; first += ATTENTION_KEYS) {
        const size_t n = size_min(ATTENTION_KEYS, (size_t)keys.n - first), own[ONE_HEADS] = {n, n, n, n};
        const int32_t *rows = keys.rows + first;
        for (size_t j = 0; j < n; j += LANES_N)
            dot_keys((float (*)[ATTENTION_KEYS])&scores[0][j], q, heads, k, v, ld, rows + j, size_min(LANES_N, n - j));
        for (size_t j = round_up(n, LANES_N); j < round_up(n, K_BLOCK); j += LANES_N) /* p_row reads whole pairs of vectors */
            FOR_G v_store(scores[g] + j, v_set(0.0f));
        kernels_avx512.softmax_rows(&(softmax_rows){scores[0], ATTENTION_KEYS, heads, n, own, c->shape->scale, max, sum, correction});
        FOR_G {
            for (size_t j = 0; j < n; j += K_BLOCK)
                v_store((float *)&p[g][j / 2], p_row(scores[g] + j));
            FOR_D out[g][d] = v_mul(out[g][d], v_set(correction[g]));
        }
        for (size_t j = 0; j < n; j += 2) {
            const float *even = v + (size_t)rows[j] * ld, *odd = j + 1 < n ? v + (size_t)rows[j + 1] * ld : NULL;
            if (first + j + ATTENTION_KEYS < (size_t)keys.n)
                for (size_t d = 0; d < ONE_DIM; d += LANES_N)
                    __builtin_prefetch(k + (size_t)rows[j + ATTENTION_KEYS] * ld + d);
            FOR_D {
                const pairs b = p_of_two(v_load(even + d * LANES_N), odd ? v_load(odd + d * LANES_N) : v_set(0.0f));
                FOR_G out[g][d] = p_dot(p_set(p[g][j / 2]), b, out[g][d]);
            }
        }
    }
    FOR_G {
        FOR_D v_store(c->out + at + g * ONE_DIM + d * LANES_N, v_div(v_add(out[g][d], v_set(0.0f)), v_set(sum[g])));
        if (c->lse)
            c->lse[row * c->shape->n_heads + head + g] = max[g] + math_log(sum[g]);
    }
}

static void attend_one(const attention_call *c, size_t row, size_t kv_head) {
    const size_t group = c->shape->n_heads / c->shape->n_kv_heads, end = (kv_head + 1) * group;
    size_t h = kv_head * group;
    for (; end - h >= 4; h += 4)
        attend_one_heads(c, row, h, 4, kv_head);
    if (end - h == 3)
        attend_one_heads(c, row, h, 3, kv_head), h = end;
    for (; h < end; h++)
        attend_one_heads(c, row, h, 1, kv_head);
}
#undef FOR_D
#undef FOR_G

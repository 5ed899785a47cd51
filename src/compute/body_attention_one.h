/* One query row of attention_bf16.c over rounded keys, from registers: keys are turned there, and nothing is laid out in memory for rows to
 * come. head_dim 64; up to four query heads of a key head. In both orders: by pairs where the CPU has their product, by chains. */

enum { ONE_DIM = 64, ONE_VECTORS = ONE_DIM / LANES_N, ONE_HEADS = 4 };
#define FOR_G _Pragma("GCC unroll 4") for (size_t g = 0; g < heads; g++)
#define FOR_D _Pragma("GCC unroll 4") for (size_t d = 0; d < ONE_VECTORS; d++)

typedef float one_scores[ONE_HEADS][ATTENTION_KEYS];
typedef lanes one_out[ONE_HEADS][ONE_VECTORS];

/* Rounded values as the products read them: pairs of bf16, or floats. */
#if defined(ATTEND_ONE_PAIRS)
typedef uint32_t one_operand;
enum { ONE_SHARE = 2 };
LANES void round_block(const float *x, one_operand *to) {
    v_store((float *)to, p_row(x));
}
#else
typedef float one_operand;
enum { ONE_SHARE = 1 };
LANES void round_block(const float *x, one_operand *to) {
    v_store(to, v_bf16(v_load(x)));
    v_store(to + LANES_N, v_bf16(v_load(x + LANES_N)));
}
#endif
typedef one_operand one_query[ONE_HEADS][ONE_DIM / ONE_SHARE], one_weights[ONE_HEADS][ATTENTION_KEYS / ONE_SHARE];

/* scores[g][first] on: the products of q[g] with n <= 16 keys. The values of the same rows are used soon. */
LANES void dot_keys(one_scores scores, size_t first, const one_query q, size_t heads, const uint16_t *k, const uint16_t *v, size_t ld,
                    const int32_t *rows, size_t n) {
    lanes sum[ONE_HEADS];
    FOR_G sum[g] = v_set(0.0f);
    for (size_t half = 0; half < ONE_DIM; half += K_BLOCK) {
        lanes square[LANES_N];
#pragma GCC unroll 16
        for (size_t j = 0; j < LANES_N; j++)
            square[j] = j < n ? (lanes)p_load(k + (size_t)rows[j] * ld + half) : v_set(0.0f);
        for (size_t j = 0; j < n; j++)
            __builtin_prefetch(v + (size_t)rows[j] * ld + half);
        v_transpose16(square);
#if defined(ATTEND_ONE_PAIRS)
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_N; i++)
            FOR_G sum[g] = p_dot(p_set(q[g][half / 2 + i]), (pairs)square[i], sum[g]);
#else
        lanes even[ONE_HEADS], odd[ONE_HEADS];
        FOR_G even[g] = odd[g] = v_set(0.0f);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_N; i++) {
            const lanes e = p_even((pairs)square[i]), o = p_odd((pairs)square[i]);
            FOR_G even[g] = v_fma(v_set(q[g][half + 2 * i]), e, even[g]);
            FOR_G odd[g] = v_fma(v_set(q[g][half + 2 * i + 1]), o, odd[g]);
        }
        FOR_G sum[g] = v_add(sum[g], v_add(even[g], odd[g]));
#endif
    }
    FOR_G v_store(&scores[g][first], sum[g]);
}

/* out[g] += weights p[g] of up to K_BLOCK keys times their values. By pairs, the columns of out stand as p_interleave has them. */
LANES void add_values(one_out out, const one_operand *p, size_t heads, const uint16_t *v, size_t ld, const int32_t *rows, size_t n) {
    enum { LD_P = ATTENTION_KEYS / ONE_SHARE };
#if defined(ATTEND_ONE_PAIRS)
    for (size_t j = 0; j < n; j += 2) {
        const uint16_t *even = v + (size_t)rows[j] * ld, *odd = j + 1 < n ? v + (size_t)rows[j + 1] * ld : NULL;
        pairs of_two[ONE_VECTORS];
        for (size_t d = 0; d < ONE_VECTORS; d += 2)
            p_interleave(even + d * LANES_N, odd ? odd + d * LANES_N : NULL, &of_two[d], &of_two[d + 1]);
        FOR_D FOR_G out[g][d] = p_dot(p_set(p[g * LD_P + j / 2]), of_two[d], out[g][d]);
    }
#else
    lanes sum[2][ONE_HEADS][ONE_VECTORS];
    FOR_G FOR_D sum[0][g][d] = sum[1][g][d] = v_set(0.0f);
    for (size_t j = 0; j + 1 < n; j += 2)
#pragma GCC unroll 2
        for (size_t odd = 0; odd < 2; odd++)
            FOR_D {
                const lanes x = v_load_bf16(v + (size_t)rows[j + odd] * ld + d * LANES_N);
                FOR_G sum[odd][g][d] = v_fma(v_set(p[g * LD_P + j + odd]), x, sum[odd][g][d]);
            }
    if (n % 2)
        FOR_D {
            const lanes x = v_load_bf16(v + (size_t)rows[n - 1] * ld + d * LANES_N);
            FOR_G sum[0][g][d] = v_fma(v_set(p[g * LD_P + n - 1]), x, sum[0][g][d]);
        }
    FOR_G FOR_D out[g][d] = v_add(out[g][d], v_add(sum[0][g][d], sum[1][g][d]));
#endif
}

LANES void fetch_keys(const uint16_t *k, size_t ld, const int32_t *rows, size_t n) {
    for (size_t j = 0; j < n; j++)
        for (size_t d = 0; d < ONE_DIM; d += K_BLOCK)
            __builtin_prefetch(k + (size_t)rows[j] * ld + d);
}

LANES void attend_one_heads(const attention_call *c, size_t row, size_t head, size_t heads, size_t kv_head) {
    const size_t ld = c->shape->n_kv_heads * ONE_DIM, at = (row * c->shape->n_heads + head) * ONE_DIM;
    const uint16_t *k = c->k_rounded + kv_head * ONE_DIM, *v = c->v_rounded + kv_head * ONE_DIM;
    const attention_keys keys = c->keys[row];
    _Alignas(64) one_query q;
    _Alignas(64) one_weights p;
    _Alignas(64) one_scores scores;
    float max[ONE_HEADS], sum[ONE_HEADS], correction[ONE_HEADS];
    one_out out;
    FOR_G {
        max[g] = -INFINITY, sum[g] = 0;
        for (size_t d = 0; d < ONE_DIM; d += K_BLOCK)
            round_block(c->q + at + g * ONE_DIM + d, &q[g][d / ONE_SHARE]);
        FOR_D out[g][d] = v_set(0.0f);
    }
    for (size_t first = 0; first < (size_t)keys.n; first += ATTENTION_KEYS) {
        const size_t left = (size_t)keys.n - first, n = size_min(ATTENTION_KEYS, left), own[ONE_HEADS] = {n, n, n, n};
        const int32_t *rows = keys.rows + first;
        for (size_t j = 0; j < n; j += LANES_N)
            dot_keys(scores, j, q, heads, k, v, ld, rows + j, size_min(LANES_N, n - j));
        for (size_t j = round_up(n, LANES_N); j < round_up(n, K_BLOCK); j += LANES_N) /* round_block reads K_BLOCK */
            FOR_G v_store(&scores[g][j], v_set(0.0f));
        kernels_avx512.softmax_rows(&(softmax_rows){scores[0], ATTENTION_KEYS, heads, n, own, c->shape->scale, max, sum, correction});
        FOR_G {
            for (size_t j = 0; j < n; j += K_BLOCK)
                round_block(&scores[g][j], &p[g][j / ONE_SHARE]);
            FOR_D out[g][d] = v_mul(out[g][d], v_set(correction[g]));
        }
        for (size_t j = 0; j < n; j += K_BLOCK) {
            const size_t next = j + ATTENTION_KEYS;
            fetch_keys(k, ld, rows + next, next < left ? size_min(K_BLOCK, left - next) : 0);
            add_values(out, &p[0][j / ONE_SHARE], heads, v, ld, rows + j, size_min(K_BLOCK, n - j));
        }
    }
    FOR_G {
#if defined(ATTEND_ONE_PAIRS)
        for (size_t d = 0; d < ONE_VECTORS; d += 2)
            v_in_order(&out[g][d], &out[g][d + 1]);
#endif
        FOR_D v_store(c->out + at + g * ONE_DIM + d * LANES_N, v_div(v_add(out[g][d], v_set(0.0f)), v_set(sum[g])));
    }
}

void ATTEND_ONE(const attention_call *c, size_t row, size_t kv_head) {
    const size_t group = c->shape->n_heads / c->shape->n_kv_heads, end = (kv_head + 1) * group;
    size_t h = kv_head * group;
#if defined(ATTEND_ONE_PAIRS)
    for (; end - h >= 4; h += 4)
        attend_one_heads(c, row, h, 4, kv_head);
#endif
    for (; end - h == 3 || end - h > 4; h += 3)
        attend_one_heads(c, row, h, 3, kv_head);
    for (; end - h >= 2; h += 2)
        attend_one_heads(c, row, h, 2, kv_head);
    if (h < end)
        attend_one_heads(c, row, h, 1, kv_head);
}
#undef FOR_D
#undef FOR_G

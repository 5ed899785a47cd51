/* Attention of one query row and one key head, forward and backward (online softmax: Milakov and
 * Gimelshein 2018; backward from the log-sum-exp: Dao et al. 2022). Query heads that share the key head are
 * done together, so that its keys and values are read once. */

enum { ATTENTION_BLOCK = 32, MAX_VECTORS = MAX_HEAD_DIM / LANES_N };

#if defined(__SANITIZE_ADDRESS__) || defined(LANES_PLAIN) /* see tile.h */
#define FOR_D _Pragma("GCC unroll 1") for (size_t d = 0; d < n_vectors; d++)
#else
#define FOR_D _Pragma("GCC unroll 8") for (size_t d = 0; d < n_vectors; d++)
#endif

LANES void load_head(lanes *r, const float *p, size_t n_vectors, size_t tail) {
    FOR_D r[d] = v_load_n(p + d * LANES_N, d + 1 < n_vectors ? LANES_N : tail);
}
LANES void store_head(float *p, const lanes *r, size_t n_vectors, size_t tail) {
    FOR_D v_store_n(p + d * LANES_N, r[d], d + 1 < n_vectors ? LANES_N : tail);
}

/* Query heads done together hold their vectors in registers; the key and value rows are read once for all. */
#define FOR_G _Pragma("GCC unroll 4") for (size_t g = 0; g < heads; g++)
typedef lanes head_vectors[MAX_VECTORS];

/* The rows of many sequences do not fit the caches, and no hardware guesses where the next one is. For the rows of one
 * long text, which do fit, fetching ahead costs a few percent. */
LANES bool fetches_ahead(const attention_call *c) {
    return c->n_rows < 256;
}
LANES void fetch_row(const float *p, size_t n_vectors) {
    for (size_t d = 0; d < n_vectors; d++)
        __builtin_prefetch(p + d * LANES_N);
}

/* dots[g], lane j: q[g] . row j of `base`, for n <= 16 rows; zeros beyond. The same rows of `next`, unless NULL, are used soon. */
LANES void dot_rows(lanes *dots, const head_vectors *q, size_t heads, const float *base, const float *next, size_t ld,
                    const int32_t *rows, size_t n, size_t n_vectors, size_t tail) {
    lanes partial[HEADS_TOGETHER][LANES_N];
    for (size_t j = 0; j < n; j++) {
        lanes k[MAX_VECTORS];
        load_head(k, base + (size_t)rows[j] * ld, n_vectors, tail);
        if (next)
            fetch_row(next + (size_t)rows[j] * ld, n_vectors);
        FOR_G {
            lanes sum = v_set(0.0f);
            FOR_D sum = v_fma(q[g][d], k[d], sum);
            partial[g][j] = sum;
        }
    }
    for (size_t j = n; j < LANES_N; j++)
        FOR_G partial[g][j] = v_set(0.0f);
    FOR_G dots[g] = v_sum16(partial[g]);
}

/* out[g] += sum of weight[g][j] * row j of `base`, ascending j. */
LANES void add_rows(head_vectors *out, const float *weight, size_t weight_ld, size_t heads, const float *base,
                    size_t ld, const int32_t *rows, size_t n, size_t n_vectors, size_t tail) {
    for (size_t j = 0; j < n; j++) {
        lanes v[MAX_VECTORS];
        load_head(v, base + (size_t)rows[j] * ld, n_vectors, tail);
        FOR_G {
            lanes p = v_set(weight[g * weight_ld + j]);
            FOR_D out[g][d] = v_fma(p, v[d], out[g][d]);
        }
    }
}

#if !defined(V_MAX_LANE)
LANES float max_lane(lanes a) {
    _Alignas(64) float each[LANES_N];
    v_store(each, a);
    for (int half = LANES_N / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            each[i] = each[i] > each[i + half] ? each[i] : each[i + half];
    return each[0];
}
#endif

/* exp of one number by lane 0: the bits of math_exp. */
LANES float exp_one(float x) {
    _Alignas(64) float each[LANES_N];
    v_store(each, v_exp(v_set(x)));
    return each[0];
}

typedef struct softmax_state {
    float max, sum;
} softmax_state;

/* Takes n more scores s0, s1 of one head: their weights go to p [ATTENTION_BLOCK]. Returns what the sums so far must be multiplied by. */
LANES float softmax_block(softmax_state *state, lanes s0, lanes s1, size_t n, float *p) {
    const lanes lowest = v_set(-INFINITY), zero = v_set(0.0f);
    const size_t n0 = size_min(LANES_N, n), n1 = n - n0;
    s0 = v_first(s0, lowest, n0);
    s1 = v_first(s1, lowest, n1);
    float top = max_lane(v_max(s0, s1));
    top = top > state->max ? top : state->max;
    float correction = 1;
    if (top != state->max) { /* else it is exp(0) */
        correction = exp_one(state->max - top);
        state->sum = state->sum * correction;
    }
    lanes p0 = v_first(v_exp(v_sub(s0, v_set(top))), zero, n0);
    lanes p1 = n1 ? v_first(v_exp(v_sub(s1, v_set(top))), zero, n1) : zero;
    v_store(p, p0);
    v_store(p + LANES_N, p1);
    state->sum = state->sum + v_sum(v_add(p0, p1));
    state->max = top;
    return correction;
}

LANES void attend_heads(const attention_call *c, size_t row, size_t head, size_t heads, size_t kv_head,
                        size_t n_vectors, size_t tail) {
    const size_t dim = c->shape->head_dim, ld = c->shape->n_kv_heads * dim;
    const float *k = c->k + kv_head * dim, *v = c->v + kv_head * dim, *next = fetches_ahead(c) ? v : NULL;
    const attention_keys keys = c->keys[row];
    const size_t at = (row * c->shape->n_heads + head) * dim;
    const lanes scale = v_set(c->shape->scale);
    head_vectors q[HEADS_TOGETHER], out[HEADS_TOGETHER];
    softmax_state state[HEADS_TOGETHER];
    FOR_G {
        load_head(q[g], c->q + at + g * dim, n_vectors, tail);
        FOR_D out[g][d] = v_set(0.0f);
        state[g] = (softmax_state){-INFINITY, 0};
    }
    for (size_t first = 0; first < (size_t)keys.n; first += ATTENTION_BLOCK) {
        const size_t n = size_min(ATTENTION_BLOCK, (size_t)keys.n - first);
        const size_t n0 = size_min(LANES_N, n), n1 = n - n0;
        const int32_t *rows = keys.rows + first;
        lanes s0[HEADS_TOGETHER], s1[HEADS_TOGETHER];
        _Alignas(64) float p[HEADS_TOGETHER][ATTENTION_BLOCK];
        dot_rows(s0, q, heads, k, next, ld, rows, n0, n_vectors, tail);
        FOR_G s1[g] = s0[g];
        if (n1)
            dot_rows(s1, q, heads, k, next, ld, rows + n0, n1, n_vectors, tail);
        FOR_G {
            lanes factor = v_set(softmax_block(&state[g], v_mul(s0[g], scale), v_mul(s1[g], scale), n, p[g]));
            FOR_D out[g][d] = v_mul(out[g][d], factor);
        }
        for (size_t j = first + n; next && j < size_min(first + n + ATTENTION_BLOCK, (size_t)keys.n); j++)
            fetch_row(k + (size_t)keys.rows[j] * ld, n_vectors);
        add_rows(out, p[0], ATTENTION_BLOCK, heads, v, ld, rows, n, n_vectors, tail);
    }
    FOR_G {
        FOR_D out[g][d] = v_div(out[g][d], v_set(state[g].sum));
        store_head(c->out + at + g * dim, out[g], n_vectors, tail);
        if (c->lse)
            c->lse[row * c->shape->n_heads + head + g] = state[g].max + math_log(state[g].sum);
    }
}

/* dq of the row, and the weights and d_scores that dk and dv are made of. */
LANES void attend_backward_heads(const attention_call *c, size_t row, size_t head, size_t heads, size_t kv_head,
                                 size_t n_vectors, size_t tail) {
    const size_t dim = c->shape->head_dim, ld = c->shape->n_kv_heads * dim, offset = kv_head * dim;
    const attention_keys keys = c->keys[row];
    const size_t at = (row * c->shape->n_heads + head) * dim;
    const size_t kept = ((row - c->first_row) * c->shape->n_heads + head) * c->ld_weights;
    float *weight = c->weights + kept, *d_score = c->d_scores + kept;
    const lanes scale = v_set(c->shape->scale), zero = v_set(0.0f);
    head_vectors q[HEADS_TOGETHER], d_out[HEADS_TOGETHER], dq[HEADS_TOGETHER];
    lanes delta[HEADS_TOGETHER], lse[HEADS_TOGETHER];
    FOR_G {
        lanes dot = zero;
        load_head(q[g], c->out + at + g * dim, n_vectors, tail);
        load_head(d_out[g], c->d_out + at + g * dim, n_vectors, tail);
        FOR_D dot = v_fma(d_out[g][d], q[g][d], dot);
        delta[g] = v_set(v_sum(dot));
        lse[g] = v_set(c->lse[row * c->shape->n_heads + head + g]);
        load_head(q[g], c->q + at + g * dim, n_vectors, tail);
        FOR_D dq[g][d] = zero;
    }
    for (size_t first = 0; first < (size_t)keys.n; first += LANES_N) {
        const size_t n = size_min(LANES_N, (size_t)keys.n - first);
        const int32_t *rows = keys.rows + first;
        lanes s[HEADS_TOGETHER], dp[HEADS_TOGETHER];
        dot_rows(s, q, heads, c->k + offset, NULL, ld, rows, n, n_vectors, tail);
        dot_rows(dp, d_out, heads, c->v + offset, NULL, ld, rows, n, n_vectors, tail);
        FOR_G {
            lanes p = v_first(v_exp(v_sub(v_mul(s[g], scale), lse[g])), zero, n);
            v_store(weight + g * c->ld_weights + first, p);
            v_store(d_score + g * c->ld_weights + first, v_mul(v_mul(p, v_sub(dp[g], delta[g])), scale));
        }
        add_rows(dq, d_score + first, c->ld_weights, heads, c->k + offset, ld, rows, n, n_vectors, tail);
    }
    FOR_G store_head(c->dq + at + g * dim, dq[g], n_vectors, tail);
}

/* `name`: all query heads of one key head, several at a time where their vectors fit the registers. Each case is
 * compiled for itself, so only sizes in use have one. */
#if HEADS_TOGETHER == 4
#define USUAL_HEADS(heads_fn)                                                                        \
    if (dim == 64) {                                                                                 \
        for (; end - h >= 4; h += 4)                                                                 \
            heads_fn(c, row, h, 4, kv_head, 4, LANES_N);                                             \
        if (end - h == 3)                                                                            \
            heads_fn(c, row, h, 3, kv_head, 4, LANES_N), h = end;                                    \
        for (; h < end; h++)                                                                         \
            heads_fn(c, row, h, 1, kv_head, 4, LANES_N);                                             \
    } else if (dim == 128) {                                                                         \
        for (; end - h >= 2; h += 2)                                                                 \
            heads_fn(c, row, h, 2, kv_head, 8, LANES_N);                                             \
    }
#elif !defined(LANES_PLAIN)
#define USUAL_HEADS(heads_fn)                                                                        \
    for (; dim == 64 && h < end; h++)                                                                \
        heads_fn(c, row, h, 1, kv_head, 4, LANES_N);
#else
#define USUAL_HEADS(heads_fn)
#endif
#define FOR_ALL_HEADS(name, heads_fn)                                                                \
    static void name(const attention_call *c, size_t row, size_t kv_head) {                          \
        const size_t dim = c->shape->head_dim, group = c->shape->n_heads / c->shape->n_kv_heads;     \
        size_t h = kv_head * group;                                                                  \
        const size_t end = h + group;                                                                \
        USUAL_HEADS(heads_fn)                                                                        \
        for (; h < end; h++)                                                                         \
            heads_fn(c, row, h, 1, kv_head, round_up(dim, LANES_N) / LANES_N,                        \
                     dim - (dim - 1) / LANES_N * LANES_N);                                           \
    }
FOR_ALL_HEADS(attend, attend_heads)
FOR_ALL_HEADS(attend_backward, attend_backward_heads)

/* ---- several query rows with one list of keys ------------------------------------------------------
 *
 * Blocks of keys are transposed once for all rows. Then a register holds one dimension of sixteen keys, and the sums over
 * groups of 16 dimensions and the tree over them, which are dot_rows' to the bit, are done for sixteen keys without moving
 * anything between lanes. For head_dim 64. */
#if defined(ROWS_TOGETHER)
enum { TILE_DIM = 64, BLOCK_ROWS = 16, TILE_HEADS = 4 /* for which keys are transposed once */ };
typedef float key_tile[TILE_DIM][LANES_N];
#define FOR_R _Pragma("GCC unroll 4") for (size_t r = 0; r < ROWS_TOGETHER; r++)

/* t[d][j] = dimension d of row rows[j]; zeros from n on. */
static __attribute__((noinline)) void transpose_rows(key_tile t, const float *base, size_t ld, const int32_t *rows, size_t n) {
    for (size_t d = 0; d < TILE_DIM; d += LANES_N) {
        lanes x[LANES_N];
#pragma GCC unroll 16
        for (size_t j = 0; j < LANES_N; j++)
            x[j] = j < n ? v_load(base + (size_t)rows[j] * ld + d) : v_set(0.0f);
        store_turned(x, t[d]);
    }
}

/* dots[r * step], lane j: row r of x . key j. Not inlined: it is long, and used often. Unrolled with few registers, it is too long for
 * the CPU to keep it decoded. */
#if defined(FEW_REGISTERS)
#define FOR_PART _Pragma("GCC unroll 1") for (size_t i = 0; i < 4; i++)
#else
#define FOR_PART _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++)
#endif
static __attribute__((noinline)) void dot_tile(lanes *dots, size_t step, const float *x, size_t ldx, const key_tile t) {
    lanes part[4][ROWS_TOGETHER];
    FOR_PART {
        static const size_t in_tree_order[4] = {0, 8, 4, 12};
        lanes sum[4][ROWS_TOGETHER];
#pragma GCC unroll 4
        for (size_t s = 0; s < 4; s++) {
            FOR_R sum[s][r] = v_set(0.0f);
#pragma GCC unroll 4
            for (size_t d = i + in_tree_order[s]; d < TILE_DIM; d += LANES_N) {
                lanes k = v_load(t[d]);
                FOR_R sum[s][r] = v_fma(v_set(x[r * ldx + d]), k, sum[s][r]);
            }
        }
        FOR_R part[i][r] = v_add(v_add(sum[0][r], sum[1][r]), v_add(sum[2][r], sum[3][r]));
    }
    FOR_R dots[r * step] = v_add(v_add(part[0][r], part[2][r]), v_add(part[1][r], part[3][r]));
}
#undef FOR_PART

LANES size_t most_keys(const attention_keys *keys, size_t n) {
    size_t most = 0;
    for (size_t r = 0; r < n; r++)
        most = (size_t)keys[r].n > most ? (size_t)keys[r].n : most;
    return most;
}

/* How many of a row's keys are in the block from `first` on. */
LANES size_t keys_in_block(const attention_keys *keys, size_t first) {
    return (size_t)keys->n <= first ? 0 : size_min(ATTENTION_BLOCK, (size_t)keys->n - first);
}

/* Scores of ROWS_TOGETHER rows and `heads` heads against a block: scores[r][g][half], the second half only where there is one. */
typedef lanes block_scores[ROWS_TOGETHER][TILE_HEADS][2];

static void score_block(block_scores scores, const float *x, size_t ldx, size_t heads, const key_tile *tiles, size_t n) {
    const size_t step = sizeof scores[0] / sizeof scores[0][0][0];
    for (size_t g = 0; g < heads; g++)
        for (size_t half = 0; half * LANES_N < n; half++)
            dot_tile(&scores[0][g][half], step, x + g * TILE_DIM, ldx, tiles[half]);
}

static void transpose_block(key_tile *tiles, const float *base, size_t ld, const int32_t *rows, size_t n) {
    transpose_rows(tiles[0], base, ld, rows, size_min(LANES_N, n));
    if (n > LANES_N)
        transpose_rows(tiles[1], base, ld, rows + LANES_N, n - LANES_N);
}

/* Output rows, one below the other, to which rows of values are added: out = factor * out + sum of weight[j] * row j. */
typedef struct sums {
    float *out;
    const float *factor, *weight;
    size_t out_step, factor_step, weight_step; /* floats from one to the next */
} sums;

/* To `count` of them, so many vectors at a time as the registers hold sums. Not inlined, or gcc keeps the sums in memory. */
#define ADD_TO_ROWS_OF(count, n_vectors)                                                             \
    static __attribute__((noinline)) void add_to_##count(const sums *s, const float *base, size_t ld, const int32_t *rows, size_t n) { \
        for (size_t d = 0; d < TILE_DIM; d += (n_vectors) * LANES_N)                                 \
            add_to_rows(s, count, d, n_vectors, base + d, ld, rows, n);                              \
    }
LANES void add_to_rows(const sums *s, size_t heads, size_t first_d, size_t n_vectors, const float *base, size_t ld, const int32_t *rows,
                       size_t n) {
    float *out = s->out + first_d;
    head_vectors sum[TILE_HEADS];
    FOR_G FOR_D sum[g][d] = v_mul(v_load(out + g * s->out_step + d * LANES_N), v_set(s->factor[g * s->factor_step]));
    add_rows(sum, s->weight, s->weight_step, heads, base, ld, rows, n, n_vectors, LANES_N);
    FOR_G store_head(out + g * s->out_step, sum[g], n_vectors, LANES_N);
}
ADD_TO_ROWS_OF(1, 4)
#if defined(FEW_REGISTERS)
ADD_TO_ROWS_OF(2, 2)
#else
ADD_TO_ROWS_OF(3, 4)
ADD_TO_ROWS_OF(4, 4)
#endif

/* The sums of ROWS_TOGETHER rows and `heads` heads over n[r] rows of values. `of` has those of row 0 and, TILE_DIM, 1 and head_step floats
 * on, of its heads; its steps lead from row to row. */
static void add_block(sums of, size_t heads, size_t head_step, const size_t *n, const float *base, size_t ld, const int32_t *rows) {
    for (size_t r = 0, together; r < ROWS_TOGETHER; r += together) {
        together = 1;
#if defined(FEW_REGISTERS) /* two rows of a head */
        if (r + 1 < ROWS_TOGETHER && n[r + 1] == n[r])
            together = 2;
        for (size_t g = 0; g < heads && n[r]; g++) {
            const sums s = {of.out + r * of.out_step + g * TILE_DIM, of.factor + r * of.factor_step + g,
                            of.weight + r * of.weight_step + g * head_step, of.out_step, of.factor_step, of.weight_step};
            (together == 2 ? add_to_2 : add_to_1)(&s, base, ld, rows, n[r]);
        }
#else /* all heads of a row */
        const sums s = {of.out + r * of.out_step, of.factor + r * of.factor_step, of.weight + r * of.weight_step, TILE_DIM, 1, head_step};
        if (n[r])
            (heads == 4 ? add_to_4 : heads == 3 ? add_to_3 : add_to_1)(&s, base, ld, rows, n[r]);
#endif
    }
}

LANES void attend_rows_heads(const attention_call *c, size_t row, size_t n_rows, size_t head, size_t heads,
                             size_t kv_head) {
    const size_t ld = c->shape->n_kv_heads * TILE_DIM, ldq = c->shape->n_heads * TILE_DIM;
    const float *k = c->k + kv_head * TILE_DIM, *v = c->v + kv_head * TILE_DIM;
    const attention_keys *keys = c->keys + row;
    const size_t most = most_keys(keys, n_rows), n_vectors = 4;
    const lanes scale = v_set(c->shape->scale);
    softmax_state state[BLOCK_ROWS][TILE_HEADS];
    for (size_t m = 0; m < n_rows; m++)
        FOR_G {
            FOR_D v_store(c->out + (row + m) * ldq + (head + g) * TILE_DIM + d * LANES_N, v_set(0.0f));
            state[m][g] = (softmax_state){-INFINITY, 0};
        }
    for (size_t first = 0; first < most; first += ATTENTION_BLOCK) {
        const size_t n_block = size_min(ATTENTION_BLOCK, most - first);
        const int32_t *rows = keys->rows + first;
        _Alignas(64) key_tile tiles[2];
        transpose_block(tiles, k, ld, rows, n_block);
        for (size_t m = 0; m < n_rows; m += ROWS_TOGETHER) {
            block_scores s;
            if (most_keys(keys + m, ROWS_TOGETHER) <= first)
                continue;
            score_block(s, c->q + (row + m) * ldq + head * TILE_DIM, ldq, heads, tiles, n_block);
            _Alignas(64) float p[ROWS_TOGETHER][TILE_HEADS][ATTENTION_BLOCK], factors[ROWS_TOGETHER][TILE_HEADS];
            size_t n[ROWS_TOGETHER];
            for (size_t r = 0; r < ROWS_TOGETHER; r++) {
                n[r] = keys_in_block(&keys[m + r], first);
                if (n[r])
                    FOR_G factors[r][g] = softmax_block(&state[m + r][g], v_mul(s[r][g][0], scale),
                                                        v_mul(s[r][g][n[r] > LANES_N], scale), n[r], p[r][g]);
            }
            add_block((sums){c->out + (row + m) * ldq + head * TILE_DIM, factors[0], p[0][0], ldq, TILE_HEADS, TILE_HEADS * ATTENTION_BLOCK},
                      heads, ATTENTION_BLOCK, n, v, ld, rows);
        }
    }
    for (size_t m = 0; m < n_rows; m++)
        FOR_G {
            float *to = c->out + (row + m) * ldq + (head + g) * TILE_DIM;
            FOR_D v_store(to + d * LANES_N, v_div(v_load(to + d * LANES_N), v_set(state[m][g].sum)));
            if (c->lse)
                c->lse[(row + m) * c->shape->n_heads + head + g] = state[m][g].max + math_log(state[m][g].sum);
        }
}

LANES void attend_backward_rows_heads(const attention_call *c, size_t row, size_t n_rows, size_t head, size_t heads,
                                      size_t kv_head) {
    const size_t n_heads = c->shape->n_heads, ld = c->shape->n_kv_heads * TILE_DIM, ldq = n_heads * TILE_DIM;
    const float *k = c->k + kv_head * TILE_DIM, *v = c->v + kv_head * TILE_DIM;
    const attention_keys *keys = c->keys + row;
    const size_t most = most_keys(keys, n_rows), n_vectors = 4;
    const lanes scale = v_set(c->shape->scale), zero = v_set(0.0f);
    float delta[BLOCK_ROWS][TILE_HEADS];
    for (size_t m = 0; m < n_rows; m++)
        FOR_G {
            const size_t at = (row + m) * ldq + (head + g) * TILE_DIM;
            lanes dot = zero;
            FOR_D dot = v_fma(v_load(c->d_out + at + d * LANES_N), v_load(c->out + at + d * LANES_N), dot);
            delta[m][g] = v_sum(dot);
            FOR_D v_store(c->dq + at + d * LANES_N, zero);
        }
    for (size_t first = 0; first < most; first += ATTENTION_BLOCK) {
        const size_t n_block = size_min(ATTENTION_BLOCK, most - first);
        const int32_t *rows = keys->rows + first;
        _Alignas(64) key_tile k_tiles[2], v_tiles[2];
        transpose_block(k_tiles, k, ld, rows, n_block);
        transpose_block(v_tiles, v, ld, rows, n_block);
        for (size_t m = 0; m < n_rows; m += ROWS_TOGETHER) {
            block_scores s, dp;
            if (most_keys(keys + m, ROWS_TOGETHER) <= first)
                continue;
            const size_t at = (row + m) * ldq + head * TILE_DIM;
            score_block(s, c->q + at, ldq, heads, k_tiles, n_block);
            score_block(dp, c->d_out + at, ldq, heads, v_tiles, n_block);
            const size_t kept = ((row + m - c->first_row) * n_heads + head) * c->ld_weights + first, row_step = n_heads * c->ld_weights;
            size_t n[ROWS_TOGETHER];
            for (size_t r = 0; r < ROWS_TOGETHER; r++) {
                n[r] = keys_in_block(&keys[m + r], first);
                FOR_G {
                    lanes lse = v_set(c->lse[(row + m + r) * n_heads + head + g]), d = v_set(delta[m + r][g]);
                    for (size_t half = 0; half * LANES_N < n[r]; half++) {
                        size_t at_half = kept + r * row_step + g * c->ld_weights + half * LANES_N;
                        lanes p = v_first(v_exp(v_sub(v_mul(s[r][g][half], scale), lse)), zero,
                                          size_min(LANES_N, n[r] - half * LANES_N));
                        v_store(c->weights + at_half, p);
                        v_store(c->d_scores + at_half, v_mul(v_mul(p, v_sub(dp[r][g][half], d)), scale));
                    }
                }
            }
            static const float ones[TILE_HEADS] = {1, 1, 1, 1};
            add_block((sums){c->dq + at, ones, c->d_scores + kept, ldq, 0, row_step}, heads, c->ld_weights, n, k, ld, rows);
        }
    }
}

#define FOR_ALL_HEADS_OF_ROWS(name, heads_fn)                                                        \
    static void name(const attention_call *c, size_t row, size_t n_rows, size_t kv_head) {           \
        const size_t group = c->shape->n_heads / c->shape->n_kv_heads, end = (kv_head + 1) * group;  \
        size_t h = kv_head * group;                                                                  \
        for (; end - h >= 4; h += 4)                                          \
            heads_fn(c, row, n_rows, h, 4, kv_head);                                                 \
        if (end - h == 3)                                                     \
            heads_fn(c, row, n_rows, h, 3, kv_head), h = end;                                        \
        for (; h < end; h++)                                                                         \
            heads_fn(c, row, n_rows, h, 1, kv_head);                                                 \
    }
FOR_ALL_HEADS_OF_ROWS(attend_rows, attend_rows_heads)
FOR_ALL_HEADS_OF_ROWS(attend_backward_rows, attend_backward_rows_heads)
#undef FOR_R
#endif

#define FOR_K _Pragma("GCC unroll 6") for (size_t k = 0; k < n_keys; k++)

/* to's rows of n_keys keys from position `key` on += sum over `n` query rows and their heads, ascending, of weight * x, in the
 * vectors of a head from dimension d0 on. The query rows have one list of keys; the sums stay in registers. */
LANES void gather_keys(const attention_call *c, size_t row, size_t n, size_t kv_head, size_t key, size_t n_keys,
                       const float *weight, const float *x, float *to, size_t d0, size_t n_vectors, size_t tail) {
    const size_t dim = c->shape->head_dim, n_heads = c->shape->n_heads, ld = c->shape->n_kv_heads * dim;
    const size_t group = n_heads / c->shape->n_kv_heads;
    const int32_t *rows = c->keys[row].rows + key;
    head_vectors sum[KEYS_TOGETHER];
    to += kv_head * dim + d0;
    x += d0;
    FOR_K load_head(sum[k], to + (size_t)rows[k] * ld, n_vectors, tail);
    for (size_t r = row; r < row + n; r++)
        for (size_t h = kv_head * group; h < (kv_head + 1) * group; h++) {
            const float *w = weight + ((r - c->first_row) * n_heads + h) * c->ld_weights + key;
            __builtin_prefetch(w + 2 * n_heads * c->ld_weights + 5);
            lanes v[MAX_VECTORS];
            load_head(v, x + (r * n_heads + h) * dim, n_vectors, tail);
            FOR_K {
                lanes p = v_set(w[k]);
                FOR_D sum[k][d] = v_fma(p, v[d], sum[k][d]);
            }
        }
    FOR_K store_head(to + (size_t)rows[k] * ld, sum[k], n_vectors, tail);
}

/* Rows of dk, d_scores times q, or of dv, weights times d_out. */
typedef struct spread {
    const float *weight, *x;
    float *to;
} spread;

/* n_keys keys' rows of s->to from the query rows of the chunk, in ascending order. */
LANES void spread_tile(const attention_call *c, const spread *s, size_t kv_head, size_t key, size_t n_keys, size_t d0, size_t n_vectors,
                       size_t tail) {
    const size_t end = c->first_row + c->n_chunk;
    for (size_t row = c->first_row, next; row < end; row = next) {
        const attention_keys keys = c->keys[row];
        next = row + 1;
        if ((size_t)keys.n >= key + n_keys) {
            while (next < end && c->keys[next].rows == keys.rows && (size_t)c->keys[next].n >= key + n_keys)
                next++;
            gather_keys(c, row, next - row, kv_head, key, n_keys, s->weight, s->x, s->to, d0, n_vectors, tail);
            continue;
        }
        for (size_t j = key; j < (size_t)keys.n; j++)
            gather_keys(c, row, 1, kv_head, j, 1, s->weight, s->x, s->to, d0, n_vectors, tail);
    }
}

static void spread_keys(const attention_call *c, const spread *s, size_t first, size_t end, size_t kv_head) {
    const size_t dim = c->shape->head_dim, n_vectors = round_up(dim, LANES_N) / LANES_N;
    size_t key = first;
#if KEYS_TOGETHER == 4
    for (; dim == 64 && key + 4 <= end; key += 4)
        spread_tile(c, s, kv_head, key, 4, 0, 4, LANES_N);
    for (; dim == 128 && key + 2 <= end; key += 2)
        spread_tile(c, s, kv_head, key, 2, 0, 8, LANES_N);
#elif KEYS_TOGETHER == 6 /* a vector of each, as registers are few: the queries' stay in the first cache for all keys */
    const size_t n_tiles = dim % LANES_N == 0 && end > first ? (end - first) / 6 : 0;
    for (size_t d = 0; d < dim; d += LANES_N)
        for (key = first; key < first + n_tiles * 6; key += 6)
            spread_tile(c, s, kv_head, key, 6, d, 1, LANES_N);
    key = first + n_tiles * 6;
#endif
#if !defined(LANES_PLAIN)
    for (; dim == 64 && key < end; key++)
        spread_tile(c, s, kv_head, key, 1, 0, 4, LANES_N);
#endif
    for (; key < end; key++)
        spread_tile(c, s, kv_head, key, 1, 0, n_vectors, dim - (n_vectors - 1) * LANES_N);
}

static void attend_backward_keys(const attention_call *c, size_t first, size_t end, size_t kv_head) {
    spread_keys(c, &(spread){c->d_scores, c->q, c->dk}, first, end, kv_head);
    spread_keys(c, &(spread){c->weights, c->d_out, c->dv}, first, end, kv_head);
}
#undef FOR_D
#undef FOR_G
#undef FOR_K

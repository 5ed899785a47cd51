/* Attention with operands of bf16 against the order that docs/numerics.md says, written element by element, on every path and in both
 * orders; and how far it is from attention in f32. */
#include "attention_fixture.h"

enum { BLOCK = 64, ROWS_AT_ONCE = 32 };

static float rounded(float x) {
    return bf16_to_float(bf16_from_float(x));
}

/* c and the products of a and b [n], both rounded, n filled up to a multiple of 32. */
static float chain(float c, const float *a, const float *b, size_t n, bool native) {
    for (size_t k = 0; k < n; k += 32) {
        float even = 0, odd = 0;
        for (size_t i = k; i < k + 32; i += 2) {
            float x[2] = {0}, y[2] = {0};
            for (size_t j = 0; j < 2 && i + j < n; j++)
                x[j] = rounded(a[i + j]), y[j] = rounded(b[i + j]);
            if (native) {
                c = fmaf(x[0], y[0], fmaf(x[1], y[1], c));
            } else {
                even = fmaf(x[0], y[0], even);
                odd = fmaf(x[1], y[1], odd);
            }
        }
        if (!native)
            c += even + odd;
    }
    return c;
}

static float tree(const float *lane) {
    float x[16];
    memcpy(x, lane, sizeof x);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] += x[i + half];
    return x[0];
}

typedef struct results {
    float *out, *dq, *dk, *dv, lse[ROWS * MAX_HEADS];
} results;

static results results_new(const fixture *f) {
    return (results){calloc(f->n_q, sizeof(float)), calloc(f->n_q, sizeof(float)), calloc(f->n_kv, sizeof(float)),
                     calloc(f->n_kv, sizeof(float)), {0}};
}
static void results_free(results *r) {
    free(r->out), free(r->dq), free(r->dk), free(r->dv);
}

/* x [rows, heads, dim] of a key's row, by position in a list. */
static const float *key_row(const fixture *f, const float *x, int row, size_t j, size_t kv) {
    return x + ((size_t)f->keys[row].rows[j] * f->shape.n_kv_heads + kv) * f->shape.head_dim;
}

static void expect_row(const fixture *f, int row, size_t h, bool native, results *r, float *p, float *ds) {
    const size_t dim = f->shape.head_dim, kv = h / (f->shape.n_heads / f->shape.n_kv_heads), n = (size_t)f->keys[row].n;
    const size_t at = ((size_t)row * f->shape.n_heads + h) * dim;
    float max = -INFINITY, sum = 0, *out = r->out + at, column[BLOCK], score[KEYS];
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t m = n - first < BLOCK ? n - first : BLOCK;
        float weight[BLOCK] = {0}, lane[16], now = max;
        for (size_t j = 0; j < m; j++) {
            score[first + j] = chain(0, f->q + at, key_row(f, f->k, row, first + j, kv), dim, native) * f->shape.scale;
            now = fmaxf(now, score[first + j]);
        }
        const float correction = math_exp(max - now);
        for (size_t j = 0; j < m; j++)
            weight[j] = math_exp(score[first + j] - now);
        for (size_t i = 0; i < 16; i++)
            lane[i] = (weight[i] + weight[16 + i]) + (weight[32 + i] + weight[48 + i]);
        sum = sum * correction + tree(lane);
        max = now;
        for (size_t d = 0; d < dim; d++) {
            for (size_t j = 0; j < m; j++)
                column[j] = key_row(f, f->v, row, first + j, kv)[d];
            out[d] = chain(out[d] * correction, weight, column, m, native);
        }
    }
    const float lse = r->lse[(size_t)row * f->shape.n_heads + h] = max + math_log(sum);
    float lane[16] = {0};
    for (size_t d = 0; d < dim; d++) {
        out[d] /= sum;
        lane[d % 16] = fmaf(rounded(f->d_out[at + d]), out[d], lane[d % 16]);
    }
    const float delta = tree(lane);
    for (size_t j = 0; j < KEYS; j++)
        p[j] = ds[j] = 0;
    for (size_t j = 0; j < n; j++) {
        p[j] = math_exp(score[j] - lse);
        ds[j] = p[j] * (chain(0, f->d_out + at, key_row(f, f->v, row, j, kv), dim, native) - delta) * f->shape.scale;
    }
    for (size_t d = 0; d < dim; d++)
        for (size_t first = 0; first < n; first += BLOCK) {
            const size_t m = n - first < BLOCK ? n - first : BLOCK;
            for (size_t j = 0; j < m; j++)
                column[j] = key_row(f, f->k, row, first + j, kv)[d];
            r->dq[at + d] = chain(r->dq[at + d], ds + first, column, m, native);
        }
}

/* to += weight^T x of rows [row, row + n) and query head h, for all keys of the list. */
static void expect_keys(const fixture *f, int row, int n, size_t h, bool native, const float (*weight)[KEYS], const float *x, float *to) {
    const size_t dim = f->shape.head_dim, kv = h / (f->shape.n_heads / f->shape.n_kv_heads);
    for (int j = 0; j < f->keys[row + n - 1].n; j++)
        for (size_t d = 0; d < dim; d++) {
            float a[ROWS_AT_ONCE], b[ROWS_AT_ONCE], *y = to + ((size_t)f->keys[row].rows[j] * f->shape.n_kv_heads + kv) * dim + d;
            for (int i = 0; i < n; i++) {
                a[i] = weight[i][j];
                b[i] = x[((size_t)(row + i) * f->shape.n_heads + h) * dim + d];
            }
            *y = chain(*y, a, b, (size_t)n, native);
        }
}

static void expect(const fixture *f, bool native, results *r) {
    static float p[MAX_HEADS][ROWS_AT_ONCE][KEYS], ds[MAX_HEADS][ROWS_AT_ONCE][KEYS];
    for (int row = 0, n; row < ROWS; row += n) {
        for (n = 1; row + n < ROWS && (row + n) % ROWS_AT_ONCE && f->keys[row + n].rows == f->keys[row].rows;)
            n++;
        for (size_t h = 0; h < f->shape.n_heads; h++) {
            for (int i = 0; i < n; i++)
                expect_row(f, row + i, h, native, r, p[h][i], ds[h][i]);
            expect_keys(f, row, n, h, native, p[h], f->d_out, r->dv);
            expect_keys(f, row, n, h, native, ds[h], f->q, r->dk);
        }
    }
}

static void compute(agon_ctx *ctx, const fixture *f, results *r) {
    const size_t n_scratch = attention_scratch_floats(&f->shape, ROWS, KEYS);
    float *scratch = malloc(n_scratch * sizeof *scratch);
    memset(r->dk, 0, f->n_kv * sizeof *r->dk);
    memset(r->dv, 0, f->n_kv * sizeof *r->dv);
    attention(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, r->out, r->lse);
    attention_backward(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, r->out, r->lse, f->d_out, r->dq, r->dk, r->dv, scratch, n_scratch);
    free(scratch);
}

/* Each row by itself. */
static void compute_alone(agon_ctx *ctx, const fixture *f, results *r) {
    const size_t width = f->shape.n_heads * f->shape.head_dim;
    for (size_t row = 0; row < ROWS; row++)
        attention(ctx, &f->shape, 1, &f->keys[row], f->q + row * width, f->k, f->v, r->out + row * width, r->lse + row * f->shape.n_heads);
}

/* out from a cache of rounded keys and values, in blocks; and each row by itself, as a decoded token is computed. */
static void compute_rounded(agon_ctx *ctx, const fixture *f, float *together, float *alone) {
    const size_t width = f->shape.n_heads * f->shape.head_dim, kv_width = f->shape.n_kv_heads * f->shape.head_dim, n = f->n_kv / kv_width;
    uint16_t *k = malloc(f->n_kv * sizeof *k), *v = malloc(f->n_kv * sizeof *v);
    int32_t *to = malloc(n * sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = (int32_t)i;
    round_keys(ctx, f->k, f->v, n, kv_width, to, k, v);
    for (size_t i = 0; i < f->n_kv; i++)
        assert_true(k[i] == bf16_from_float(f->k[i]) && v[i] == bf16_from_float(f->v[i]));
    attention_rounded(ctx, &f->shape, ROWS, f->keys, f->q, k, v, together);
    for (size_t row = 0; row < ROWS; row++)
        attention_rounded(ctx, &f->shape, 1, &f->keys[row], f->q + row * width, k, v, alone + row * width);
    free(k), free(v), free(to);
}

static const size_t shapes[][3] = {{64, 6, 2}, {64, 2, 2}, {64, 8, 2}, {64, 5, 1}, {128, 4, 2}, {128, 3, 1}, {16, 6, 2}, {20, 6, 2}, {6, 6, 2}};

static void attention_bf16__has_the_bits_of_its_contract(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fixture *f = make(shapes[i][0], shapes[i][1], shapes[i][2], true);
        results want[2] = {results_new(f), results_new(f)}, got = results_new(f);
        for (int native = 0; native < 2; native++)
            expect(f, native, &want[native]);
        assert_memory_not_equal(want[0].out, want[1].out, f->n_q * sizeof(float));
        FOR_EACH_MODE(ctx) {
            const results *w = &want[ctx->numerics == AGON_NUMERICS_NATIVE];
            compute(ctx, f, &got);
            assert_same_bits(got.out, w->out, f->n_q);
            assert_same_bits(got.lse, w->lse, ROWS * f->shape.n_heads);
            assert_same_bits(got.dq, w->dq, f->n_q);
            assert_same_bits(got.dk, w->dk, f->n_kv);
            assert_same_bits(got.dv, w->dv, f->n_kv);
            memset(got.out, 0, f->n_q * sizeof *got.out);
            memset(got.lse, 0, sizeof got.lse);
            compute_alone(ctx, f, &got);
            assert_same_bits(got.out, w->out, f->n_q);
            assert_same_bits(got.lse, w->lse, ROWS * f->shape.n_heads);
            compute_rounded(ctx, f, got.out, got.dq);
            assert_same_bits(got.out, w->out, f->n_q);
            assert_same_bits(got.dq, w->out, f->n_q);
        }
        results_free(&want[0]), results_free(&want[1]), results_free(&got);
        release(f);
    }
}

/* The largest difference, in parts of the largest value. */
static double distance(const float *a, const float *b, size_t n) {
    double most = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return most / size;
}

static void attention_bf16__is_near_f32(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fixture *f = make(shapes[i][0], shapes[i][1], shapes[i][2], true);
        results bf16 = results_new(f), f32 = results_new(f);
        agon_ctx *ctx = test_ctx(2, NULL);
        compute(ctx, f, &bf16);
        f->shape.bf16 = false;
        compute(ctx, f, &f32);
        assert_true(distance(bf16.out, f32.out, f->n_q) < 0.01);
        assert_true(distance(bf16.dq, f32.dq, f->n_q) < 0.02);
        assert_true(distance(bf16.dk, f32.dk, f->n_kv) < 0.02);
        assert_true(distance(bf16.dv, f32.dv, f->n_kv) < 0.02);
        assert_true(distance(bf16.out, f32.out, f->n_q) > 1e-5); /* it is rounded */
        agon_ctx_free(ctx);
        results_free(&bf16), results_free(&f32);
        release(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_bf16__has_the_bits_of_its_contract),
        cmocka_unit_test(attention_bf16__is_near_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

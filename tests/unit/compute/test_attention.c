/* Attention over key lists: values, gradients, and independence of how rows are laid out. */
#include "reference.h"

enum { KEYS = 75, ROWS = 90, HEADS = 6, KV = 2, MAX_DIM = 64 };

typedef struct fixture {
    attention_shape shape;
    attention_keys keys[ROWS];
    int32_t lists[ROWS][KEYS];
    float *q, *k, *v, *d_out;
    size_t n_q, n_kv;
} fixture;

/* Two trees: rows 0..69 are one chain; rows 70..89 share the prefix 70..74 and branch after it. */
static fixture *make(size_t dim) {
    rng r = rng_new(31 + dim);
    fixture *f = calloc(1, sizeof *f);
    f->shape = (attention_shape){HEADS, KV, dim, 1 / sqrtf((float)dim)};
    f->n_q = ROWS * HEADS * dim, f->n_kv = ROWS * KV * dim;
    f->q = random_floats(&r, f->n_q), f->k = random_floats(&r, f->n_kv);
    f->v = random_floats(&r, f->n_kv), f->d_out = random_floats(&r, f->n_q);
    for (int i = 0; i < ROWS; i++) {
        int n = 0;
        if (i < 70)
            for (; n <= i; n++)
                f->lists[i][n] = n;
        else if (i < 75)
            for (; n <= i - 70; n++)
                f->lists[i][n] = 70 + n;
        else {
            for (; n < 5; n++)
                f->lists[i][n] = 70 + n;
            for (int j = i < 82 ? 75 : 82; j <= i; j++)
                f->lists[i][n++] = j;
        }
        f->keys[i] = (attention_keys){f->lists[i], n};
    }
    return f;
}

static void release(fixture *f) {
    free(f->q), free(f->k), free(f->v), free(f->d_out), free(f);
}

/* sum(out * d_out) of one query head of one row, in double; `value` receives out when not NULL. */
static double attend_double(const fixture *f, int row, size_t h, double *value) {
    size_t dim = f->shape.head_dim, g = h / (HEADS / KV);
    double p[KEYS], max = -INFINITY, sum = 0, total = 0;
    const float *q = f->q + ((size_t)row * HEADS + h) * dim;
    for (int j = 0; j < f->keys[row].n; j++) {
        const float *k = f->k + ((size_t)f->keys[row].rows[j] * KV + g) * dim;
        p[j] = 0;
        for (size_t d = 0; d < dim; d++)
            p[j] += (double)q[d] * k[d];
        p[j] *= (double)f->shape.scale;
        max = fmax(max, p[j]);
    }
    for (int j = 0; j < f->keys[row].n; j++)
        sum += p[j] = exp(p[j] - max);
    for (size_t d = 0; d < dim; d++) {
        double out = 0;
        for (int j = 0; j < f->keys[row].n; j++)
            out += p[j] / sum * (double)f->v[((size_t)f->keys[row].rows[j] * KV + g) * dim + d];
        if (value)
            value[d] = out;
        total += out * (double)f->d_out[((size_t)row * HEADS + h) * dim + d];
    }
    return total;
}

static double loss(const fixture *f) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
        for (size_t h = 0; h < HEADS; h++)
            sum += attend_double(f, i, h, NULL);
    return sum;
}

static void check_slope(fixture *f, float *x, size_t i, float gradient) {
    float old = x[i], h = 1e-2f;
    x[i] = old + h;
    double up = loss(f), at = x[i];
    x[i] = old - h;
    double down = loss(f), want = (up - down) / (at - x[i]);
    x[i] = old;
    assert_close(gradient, want, 2e-3 * (1 + fabs(want)));
}

static void check_dim(size_t dim) {
    fixture *f = make(dim);
    float *out[2], *dq[2], *dk[2], *dv[2], lse[2][ROWS * HEADS];
    for (int i = 0; i < 2; i++) {
        out[i] = malloc(f->n_q * sizeof(float)), dq[i] = malloc(f->n_q * sizeof(float));
        dk[i] = malloc(f->n_kv * sizeof(float)), dv[i] = malloc(f->n_kv * sizeof(float));
    }
    size_t n_scratch = attention_scratch_floats(&f->shape, ROWS, KEYS);
    float *scratch = malloc(n_scratch * sizeof *scratch);
    int at = 0;
    FOR_EACH_CTX(ctx) {
        memset(dk[at], 0, f->n_kv * sizeof(float));
        memset(dv[at], 0, f->n_kv * sizeof(float));
        attention(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, out[at], lse[at]);
        attention_backward(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, out[at], lse[at], f->d_out,
                           dq[at], dk[at], dv[at], scratch, n_scratch);
        assert_same_bits(out[at], out[0], f->n_q);
        assert_same_bits(lse[at], lse[0], ROWS * HEADS);
        assert_same_bits(dq[at], dq[0], f->n_q);
        assert_same_bits(dk[at], dk[0], f->n_kv);
        assert_same_bits(dv[at], dv[0], f->n_kv);
        at = 1;
    }
    for (int i = 0; i < ROWS; i++)
        for (size_t h = 0; h < HEADS; h++) {
            double want[MAX_DIM];
            attend_double(f, i, h, want);
            for (size_t d = 0; d < dim; d++)
                assert_close(out[0][((size_t)i * HEADS + h) * dim + d], want[d], 3e-6);
        }
    for (size_t i = 0; i < 12; i++) {
        size_t iq = i * 7919 % f->n_q, ik = (i * 7919 + 71 * KV * dim) % f->n_kv;
        check_slope(f, f->q, iq, dq[0][iq]);
        check_slope(f, f->k, ik, dk[0][ik]);
        check_slope(f, f->v, ik, dv[0][ik]);
    }
    for (int i = 0; i < 2; i++)
        free(out[i]), free(dq[i]), free(dk[i]), free(dv[i]);
    free(scratch);
    release(f);
}

static void attention__values_and_gradients_for_any_head_dim(void **state) {
    (void)state;
    check_dim(64);
    check_dim(16);
    check_dim(20);
    check_dim(6);
}

/* A row alone, with its keys copied elsewhere in another order of rows, gives the same bits. */
static void attention__sees_keys_not_rows(void **state) {
    (void)state;
    fixture *f = make(64);
    enum { WIDTH = KV * 64 };
    float *out = malloc(f->n_q * sizeof *out), one[HEADS * 64];
    float *k = malloc(f->n_kv * sizeof *k), *v = malloc(f->n_kv * sizeof *v);
    agon_ctx *ctx = test_ctx(2, NULL);
    attention(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, out, NULL);
    for (int row = 0; row < ROWS; row++) {
        int32_t rows[KEYS];
        for (int j = 0; j < f->keys[row].n; j++) {
            rows[j] = ROWS - 1 - j;
            memcpy(k + rows[j] * WIDTH, f->k + f->lists[row][j] * WIDTH, WIDTH * sizeof *k);
            memcpy(v + rows[j] * WIDTH, f->v + f->lists[row][j] * WIDTH, WIDTH * sizeof *v);
        }
        attention_keys keys = {rows, f->keys[row].n};
        attention(ctx, &f->shape, 1, &keys, f->q + row * HEADS * 64, k, v, one, NULL);
        assert_same_bits(one, out + row * HEADS * 64, HEADS * 64);
    }
    agon_ctx_free(ctx);
    free(out), free(k), free(v);
    release(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention__values_and_gradients_for_any_head_dim),
        cmocka_unit_test(attention__sees_keys_not_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

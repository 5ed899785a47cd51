/* Attention over key lists: values, gradients, and independence of how rows are laid out. */
#include "attention_fixture.h"

/* sum(out * d_out) of one query head of one row, in double; `value` receives out when not NULL. */
static double attend_double(const fixture *f, int row, size_t h, double *value) {
    size_t dim = f->shape.head_dim, g = h / (f->shape.n_heads / f->shape.n_kv_heads);
    double p[KEYS], max = -INFINITY, sum = 0, total = 0;
    const float *q = f->q + ((size_t)row * f->shape.n_heads + h) * dim;
    for (int j = 0; j < f->keys[row].n; j++) {
        const float *k = f->k + ((size_t)f->keys[row].rows[j] * f->shape.n_kv_heads + g) * dim;
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
            out += p[j] / sum * (double)f->v[((size_t)f->keys[row].rows[j] * f->shape.n_kv_heads + g) * dim + d];
        if (value)
            value[d] = out;
        total += out * (double)f->d_out[((size_t)row * f->shape.n_heads + h) * dim + d];
    }
    return total;
}

static double loss(const fixture *f) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
        for (size_t h = 0; h < f->shape.n_heads; h++)
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

static void check_dim(size_t dim, size_t heads, size_t kv) {
    fixture *f = make(dim, heads, kv, false);
    float *out[2], *dq[2], *dk[2], *dv[2], lse[2][ROWS * MAX_HEADS];
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
        assert_same_bits(lse[at], lse[0], ROWS * f->shape.n_heads);
        assert_same_bits(dq[at], dq[0], f->n_q);
        assert_same_bits(dk[at], dk[0], f->n_kv);
        assert_same_bits(dv[at], dv[0], f->n_kv);
        at = 1;
    }
    for (int i = 0; i < ROWS; i++)
        for (size_t h = 0; h < f->shape.n_heads; h++) {
            double want[MAX_DIM];
            attend_double(f, i, h, want);
            for (size_t d = 0; d < dim; d++)
                assert_close(out[0][((size_t)i * f->shape.n_heads + h) * dim + d], want[d], 3e-6);
        }
    for (size_t i = 0; i < 12; i++) {
        size_t iq = i * 7919 % f->n_q, ik = (i * 7919 + 71 * kv * dim) % f->n_kv;
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
    static const size_t shapes[][3] = {{64, 6, 2}, {64, 2, 2}, {64, 8, 2}, {64, 5, 1}, {128, 4, 2}, {128, 3, 1}, {16, 6, 2}, {20, 6, 2}, {6, 6, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_dim(shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* A row alone, with its keys copied elsewhere in another order of rows, gives the same bits as in a block. */
static void check_alone(agon_ctx *ctx, const fixture *f) {
    const size_t heads = f->shape.n_heads, width = f->shape.n_kv_heads * 64;
    float *out = malloc(f->n_q * sizeof *out), one[MAX_HEADS * 64];
    float *k = malloc(f->n_kv * sizeof *k), *v = malloc(f->n_kv * sizeof *v);
    attention(ctx, &f->shape, ROWS, f->keys, f->q, f->k, f->v, out, NULL);
    for (size_t row = 0; row < ROWS; row++) {
        int32_t rows[KEYS];
        for (int j = 0; j < f->keys[row].n; j++) {
            rows[j] = ROWS - 1 - j;
            memcpy(k + (size_t)rows[j] * width, f->k + (size_t)f->keys[row].rows[j] * width, width * sizeof *k);
            memcpy(v + (size_t)rows[j] * width, f->v + (size_t)f->keys[row].rows[j] * width, width * sizeof *v);
        }
        attention_keys keys = {rows, f->keys[row].n};
        attention(ctx, &f->shape, 1, &keys, f->q + row * heads * 64, k, v, one, NULL);
        assert_same_bits(one, out + row * heads * 64, heads * 64);
    }
    free(out), free(k), free(v);
}

static void attention__sees_keys_not_rows(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{6, 2}, {6, 2}, {2, 2}, {2, 2}, {8, 2}, {8, 2}, {5, 1}, {5, 1}}; /* in f32, with operands of bf16 */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fixture *f = make(64, shapes[i][0], shapes[i][1], i % 2);
        FOR_EACH_CTX(ctx) check_alone(ctx, f);
        release(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention__values_and_gradients_for_any_head_dim),
        cmocka_unit_test(attention__sees_keys_not_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

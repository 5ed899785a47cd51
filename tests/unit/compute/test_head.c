/* Output head: log_prob, entropy, mean and their gradient against a plain softmax in double. */
#include "reference.h"

enum { V = 2093, N_IN = 37, ROWS = 51, SIZE = ROWS * N_IN };

typedef struct fixture {
    float *w, *hidden, d_log_prob[ROWS], d_entropy[ROWS], d_mean[ROWS];
    int32_t targets[ROWS];
} fixture;

static fixture make(void) {
    rng r = rng_new(21);
    fixture f = {.w = random_floats(&r, V * N_IN), .hidden = random_floats(&r, SIZE)};
    for (int i = 0; i < ROWS; i++) {
        f.targets[i] = i % 7 == 3 ? -1 : (int32_t)rng_below(&r, V);
        f.d_log_prob[i] = (float)rng_normal(&r);
        f.d_entropy[i] = i % 5 ? (float)rng_normal(&r) : 0;
        f.d_mean[i] = (float)rng_normal(&r);
    }
    f.targets[0] = 1023, f.targets[1] = 1024, f.targets[2] = V - 1;
    return f;
}

static void release(fixture *f) {
    free(f->w);
    free(f->hidden);
}

/* log_prob, entropy, mean of one row, in double; logits from f32 values of W and hidden. */
static void softmax_row(const fixture *f, const float *h, int32_t target, double temperature, double out[4]) {
    static double l[V];
    double max = -INFINITY, sum = 0, entropy = 0, mean = 0;
    for (int j = 0; j < V; j++) {
        l[j] = 0;
        for (int i = 0; i < N_IN; i++)
            l[j] += (double)f->w[j * N_IN + i] * h[i];
        l[j] /= temperature;
        max = fmax(max, l[j]);
    }
    for (int j = 0; j < V; j++)
        sum += exp(l[j] - max);
    double lse = max + log(sum);
    for (int j = 0; j < V; j++) {
        entropy -= exp(l[j] - lse) * (l[j] - lse);
        mean += (l[j] - lse) / V;
    }
    out[0] = lse, out[1] = target < 0 ? 0 : l[target] - lse, out[2] = entropy, out[3] = mean;
}

static void head__values_are_right_and_equal_on_every_path(void **state) {
    (void)state;
    fixture f = make();
    const float t = 0.7f;
    float first[4][ROWS], got[4][ROWS], *logits = malloc(ROWS * V * sizeof *logits);
    for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
        bool seen = false;
        FOR_EACH_CTX(ctx) {
            matrix *w = NULL;
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, V, N_IN, f.w, &w));
            head_log_prob(ctx, w, f.hidden, ROWS, f.targets, t, got[0], got[1], got[2], got[3], NULL);
            if (!seen)
                memcpy(first, got, sizeof got);
            seen = true;
            assert_same_bits(got[0], first[0], 4 * ROWS);
            head_logits(ctx, w, f.hidden, ROWS, logits);
            for (int i = 0; i < ROWS; i++) {
                float lse = head_lse_of_logits(ctx, logits + i * V, V, t), one[2];
                assert_same_bits(&lse, &got[0][i], 1);
                head_log_prob(ctx, w, f.hidden + i * N_IN, 1, f.targets + i, t, one, one + 1, NULL, NULL, NULL);
                assert_same_bits(one, &got[0][i], 1);
                assert_same_bits(one + 1, &got[1][i], 1);
                if (f.targets[i] >= 0)
                    assert_true(logits[i * V + f.targets[i]] * (1.0f / t) - lse == got[1][i]);
            }
            matrix_free(w);
        }
        double tolerance = dtype == COMPUTE_F32 ? 2e-4 : 0.5;
        for (int i = 0; i < ROWS; i++) {
            double want[4];
            softmax_row(&f, f.hidden + i * N_IN, f.targets[i], t, want);
            for (int k = 0; k < 4; k++)
                assert_close(first[k][i], want[k], tolerance);
        }
    }
    free(logits);
    release(&f);
}

static double objective(const fixture *f, int row, const float *h, double t) {
    double v[4];
    softmax_row(f, h, f->targets[row], t, v);
    return f->d_log_prob[row] * v[1] + f->d_entropy[row] * v[2] + f->d_mean[row] * v[3];
}

static void head_backward__equals_finite_differences(void **state) {
    (void)state;
    fixture f = make();
    const float t = 1.3f;
    float lse[ROWS], log_prob[ROWS], entropy[ROWS], d_hidden[SIZE], d0[SIZE];
    float *dw = malloc(V * N_IN * sizeof *dw), *dw0 = malloc(V * N_IN * sizeof *dw);
    float *scratch = malloc(head_scratch_floats(ROWS, N_IN) * sizeof *scratch);
    for (int dtype = COMPUTE_BF16; dtype >= COMPUTE_F32; dtype--) {
        bool seen = false;
        FOR_EACH_CTX(ctx) {
            matrix *w = NULL;
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, V, N_IN, f.w, &w));
            head_log_prob(ctx, w, f.hidden, ROWS, f.targets, t, lse, log_prob, entropy, NULL, NULL);
            memset(dw, 0, V * N_IN * sizeof *dw);
            head_backward(ctx, w, f.hidden, ROWS, f.targets, t, lse, entropy, f.d_log_prob, f.d_entropy,
                          f.d_mean, d_hidden, dw, scratch, NULL);
            if (!seen)
                memcpy(d0, d_hidden, sizeof d0), memcpy(dw0, dw, V * N_IN * sizeof *dw);
            seen = true;
            assert_same_bits(d_hidden, d0, SIZE);
            assert_same_bits(dw, dw0, V * N_IN);
            matrix_free(w);
        }
    }
    for (int i = 0; i < SIZE; i += 13) { /* of f32, which ran last */
        float h[N_IN], step = 1e-2f;
        int row = i / N_IN;
        memcpy(h, f.hidden + row * N_IN, sizeof h);
        h[i % N_IN] = f.hidden[i] + step;
        double up = objective(&f, row, h, t), at = h[i % N_IN];
        h[i % N_IN] = f.hidden[i] - step;
        double down = objective(&f, row, h, t);
        double want = (up - down) / (at - h[i % N_IN]);
        assert_close(d0[i], want, 3e-3 * (1 + fabs(want)));
    }
    for (int k = 0; k < 40; k++) {
        int at = (k * 2003 + 1023 * N_IN) % (V * N_IN);
        float old = f.w[at], step = 2e-2f;
        double sum[2] = {0, 0}, width;
        f.w[at] = old + step;
        width = f.w[at];
        for (int i = 0; i < ROWS; i++)
            sum[0] += objective(&f, i, f.hidden + i * N_IN, t);
        f.w[at] = old - step;
        width -= f.w[at];
        for (int i = 0; i < ROWS; i++)
            sum[1] += objective(&f, i, f.hidden + i * N_IN, t);
        f.w[at] = old;
        double want = (sum[0] - sum[1]) / width;
        assert_close(dw0[at], want, 5e-3 * (1 + fabs(want)));
    }
    free(dw);
    free(dw0);
    free(scratch);
    release(&f);
}

/* d_hidden of every second row, which is what a mask leaves, from logits of the first n_kept rows. `spoil`: after they were
 * changed. */
static void gradient_of_half(agon_ctx *ctx, const fixture *f, const matrix *w, size_t n_kept, bool spoil, float *d_hidden,
                             float *dw) {
    enum { HALF = ROWS / 2 };
    float lse[ROWS], log_prob[ROWS], hidden[HALF * N_IN], d[HALF], some[HALF];
    float *scratch = malloc(head_scratch_floats(HALF, N_IN) * sizeof *scratch);
    int32_t row[HALF], targets[HALF];
    kept_logits kept = {.logits = malloc((n_kept * V + 1) * sizeof(float)), .n_rows = n_kept};
    head_log_prob(ctx, w, f->hidden, ROWS, f->targets, 0.7f, lse, log_prob, NULL, NULL, &kept);
    for (int i = 0; i < HALF; i++) {
        row[i] = 2 * i + 1;
        targets[i] = f->targets[row[i]];
        some[i] = lse[row[i]];
        d[i] = f->d_log_prob[row[i]];
        memcpy(hidden + i * N_IN, f->hidden + row[i] * N_IN, N_IN * sizeof *hidden);
    }
    for (size_t i = 0; spoil && i < n_kept * V; i++)
        kept.logits[i] += 1;
    kept.row = row;
    memset(dw, 0, V * N_IN * sizeof *dw);
    head_backward(ctx, w, hidden, HALF, targets, 0.7f, some, NULL, d, NULL, NULL, d_hidden, dw, scratch, &kept);
    free(kept.logits);
    free(scratch);
}

static void head__kept_logits_change_no_bit(void **state) {
    (void)state;
    enum { N = ROWS / 2 * N_IN };
    fixture f = make();
    float want[N], got[N], *dw = malloc(V * N_IN * sizeof *dw), *dw0 = malloc(V * N_IN * sizeof *dw);
    for (int threads = 1; threads <= 3; threads++) {
        agon_ctx *ctx = test_ctx(threads, NULL);
        matrix *w = NULL;
        assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, V, N_IN, f.w, &w));
        gradient_of_half(ctx, &f, w, 0, false, want, dw0);
        for (size_t n_kept = 1; n_kept <= ROWS; n_kept += 10) {
            gradient_of_half(ctx, &f, w, n_kept, false, got, dw);
            assert_same_bits(got, want, N);
            assert_same_bits(dw, dw0, V * N_IN);
        }
        gradient_of_half(ctx, &f, w, ROWS, true, got, dw);
        assert_memory_not_equal(got, want, sizeof want); /* they are used */
        matrix_free(w);
        agon_ctx_free(ctx);
    }
    free(dw);
    free(dw0);
    release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head__kept_logits_change_no_bit),
        cmocka_unit_test(head__values_are_right_and_equal_on_every_path),
        cmocka_unit_test(head_backward__equals_finite_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

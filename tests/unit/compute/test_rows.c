/* Row-wise kernels: equal bits on every path and thread count, values and gradients right. */
#include "compute/adamw.h"
#include "reference.h"

enum { N = 1003, ROWS = 19, WIDTH = 83 };

static void math__exp_and_log_are_accurate(void **state) {
    (void)state;
    double worst_exp = 0, worst_log = 0;
    for (int i = -86500; i < 88700; i++) {
        float x = (float)i * 1e-3f;
        worst_exp = fmax(worst_exp, fabs((double)math_exp(x) / exp((double)x) - 1));
        float y = (float)exp((double)x);
        worst_log = fmax(worst_log, fabs((double)math_log(y) - log((double)y)) / fmax(1, fabs((double)x)));
    }
    assert_true(worst_exp < 1.2e-7);
    assert_true(worst_log < 1.2e-7);
    assert_true(math_exp(-100) == 0 && math_exp(-INFINITY) == 0);
    assert_true(isinf(math_exp(89)) && isinf(math_exp(INFINITY)) && isnan(math_exp(NAN)));
    assert_true(math_exp(0) == 1 && math_log(1) == 0);
    assert_true(math_log(0) == -INFINITY && isnan(math_log(-1)) && math_log(INFINITY) == INFINITY);
}

static void swiglu__values_gradients_and_bits(void **state) {
    (void)state;
    rng r = rng_new(11);
    float *gate = random_floats(&r, N), *up = random_floats(&r, N), *dy = random_floats(&r, N);
    float y[N], dg[N], du[N], y1[N], dg1[N], du1[N], again[N];
    gate[0] = 100, gate[1] = -100, gate[2] = 0, gate[3] = -87.5f;
    bool first = true;
    FOR_EACH_CTX(ctx) {
        swiglu(ctx, gate, up, N, y1);
        swiglu_backward(ctx, gate, up, dy, N, again, dg1, du1);
        assert_same_bits(again, y1, N);
        if (first) {
            memcpy(y, y1, sizeof y), memcpy(dg, dg1, sizeof dg), memcpy(du, du1, sizeof du);
            first = false;
        }
        assert_same_bits(y1, y, N);
        assert_same_bits(dg1, dg, N);
        assert_same_bits(du1, du, N);
    }
    for (int i = 0; i < N; i++) {
        double g = gate[i], s = 1 / (1 + exp(-g));
        assert_close(y[i], g * s * up[i], 1e-6 * (1 + fabs(g * up[i])));
        assert_close(du[i], g * s * dy[i], 1e-6 * (1 + fabs(g * dy[i])));
        assert_close(dg[i], dy[i] * up[i] * (s + g * s * (1 - s)), 2e-6 * (1 + fabs((double)dy[i] * up[i])));
    }
    free(gate);
    free(up);
    free(dy);
}

static double norm_value(const float *x, const float *w, const float *dy, double eps) {
    double ss = 0, sum = 0;
    for (int i = 0; i < WIDTH; i++)
        ss += (double)x[i] * x[i];
    for (int i = 0; i < WIDTH; i++)
        sum += x[i] / sqrt(ss / WIDTH + eps) * w[i] * dy[i];
    return sum;
}

static void rms_norm__gradients_equal_finite_differences(void **state) {
    (void)state;
    const float eps = 1e-5f;
    rng r = rng_new(12);
    float *x = random_floats(&r, ROWS * WIDTH), *w = random_floats(&r, WIDTH);
    float *dy = random_floats(&r, ROWS * WIDTH);
    float y[ROWS * WIDTH], inv[ROWS], dx[ROWS * WIDTH], dw[WIDTH];
    float y0[ROWS * WIDTH], dx0[ROWS * WIDTH], dw0[WIDTH];
    bool first = true;
    FOR_EACH_CTX(ctx) {
        memset(dw, 0, sizeof dw);
        rms_norm(ctx, x, ROWS, WIDTH, w, eps, y, inv);
        rms_norm_backward(ctx, x, inv, w, dy, ROWS, WIDTH, false, dx, dw);
        if (first) {
            memcpy(y0, y, sizeof y), memcpy(dx0, dx, sizeof dx), memcpy(dw0, dw, sizeof dw);
            first = false;
        }
        assert_same_bits(y, y0, ROWS * WIDTH);
        assert_same_bits(dx, dx0, ROWS * WIDTH);
        assert_same_bits(dw, dw0, WIDTH);
        float twice[ROWS * WIDTH];
        memcpy(twice, dx, sizeof twice);
        rms_norm_backward(ctx, x, inv, w, dy, ROWS, WIDTH, true, twice, NULL);
        for (int i = 0; i < ROWS * WIDTH; i++)
            assert_true(twice[i] == dx[i] + dx[i]);
    }
    for (int i = 0; i < ROWS * WIDTH; i++) {
        int row = i / WIDTH;
        float v[WIDTH], h = 1e-2f;
        memcpy(v, x + row * WIDTH, sizeof v);
        v[i % WIDTH] = x[i] + h;
        double up = norm_value(v, w, dy + row * WIDTH, eps), at = v[i % WIDTH];
        v[i % WIDTH] = x[i] - h;
        double down = norm_value(v, w, dy + row * WIDTH, eps);
        assert_close(dx[i], (up - down) / (at - v[i % WIDTH]), 1e-3);
    }
    for (int c = 0; c < WIDTH; c++) {
        double sum = 0;
        for (int row = 0; row < ROWS; row++)
            sum += (double)x[row * WIDTH + c] * inv[row] * dy[row * WIDTH + c];
        assert_close(dw[c], sum, 1e-5);
        assert_close(y[c], x[c] * (double)inv[0] * w[c], 1e-6);
    }
    free(x);
    free(w);
    free(dy);
}

static void rope__rotates_and_rotates_back(void **state) {
    (void)state;
    enum { HEADS = 3, DIM = 26, SIZE = ROWS * HEADS * DIM };
    rng r = rng_new(13);
    float *x = random_floats(&r, SIZE), y[SIZE], y0[SIZE], inv_freq[DIM / 2], table[ROWS * DIM];
    int32_t positions[ROWS];
    for (int i = 0; i < DIM / 2; i++)
        inv_freq[i] = (float)pow(10000, -2.0 * i / DIM);
    for (int i = 0; i < ROWS; i++)
        positions[i] = i * i * i * 17;
    bool first = true;
    FOR_EACH_CTX(ctx) {
        memcpy(y, x, sizeof y);
        rope_table(ctx, ROWS, DIM, inv_freq, positions, table);
        rope(ctx, y, ROWS, HEADS, DIM, table, 1);
        if (first)
            memcpy(y0, y, sizeof y);
        first = false;
        assert_same_bits(y, y0, SIZE);
        rope(ctx, y, ROWS, HEADS, DIM, table, -1);
        for (int i = 0; i < SIZE; i++)
            assert_close(y[i], x[i], 2e-6);
    }
    for (int row = 0; row < ROWS; row++)
        for (int h = 0; h < HEADS; h++)
            for (int i = 0; i < DIM / 2; i++) {
                int at = (row * HEADS + h) * DIM + i;
                double angle = (float)positions[row] * inv_freq[i];
                assert_close(y0[at], x[at] * cos(angle) - x[at + DIM / 2] * sin(angle), 2e-6);
                assert_close(y0[at + DIM / 2], x[at + DIM / 2] * cos(angle) + x[at] * sin(angle), 2e-6);
            }
    free(x);
}

static void sums__are_ordered_and_right(void **state) {
    (void)state;
    enum { BIG = 30011 };
    rng r = rng_new(14);
    float *x = random_floats(&r, BIG), *dy = random_floats(&r, ROWS * WIDTH), *y = random_floats(&r, N);
    double want = 0, before = 0;
    for (int i = 0; i < BIG; i++)
        want += (double)x[i] * x[i];
    float db0[WIDTH];
    for (int c = 0; c < WIDTH; c++) {
        db0[c] = 0.5f;
        for (int row = 0; row < ROWS; row++)
            db0[c] += dy[row * WIDTH + c];
    }
    FOR_EACH_CTX(ctx) {
        float db[WIDTH], z[N];
        double got = sum_squares(ctx, x, BIG);
        assert_close(got, want, 1e-9 * want);
        assert_true(before == 0 || before == got);
        before = got;
        for (int c = 0; c < WIDTH; c++)
            db[c] = 0.5f;
        bias_gradient(ctx, dy, ROWS, WIDTH, db);
        assert_same_bits(db, db0, WIDTH);
        memcpy(z, y, sizeof z);
        add_in_place(ctx, z, x, N);
        for (int i = 0; i < N; i++)
            assert_true(z[i] == y[i] + x[i]);
    }
    free(x);
    free(dy);
    free(y);
}

static void adamw__follows_the_paper(void **state) {
    (void)state;
    rng r = rng_new(15);
    float *start = random_floats(&r, N), *g = random_floats(&r, 3 * N);
    adamw_options o = {.lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f};
    float theta0[N];
    bool first = true;
    FOR_EACH_CTX(ctx) {
        float theta[N], m[N] = {0}, v[N] = {0};
        memcpy(theta, start, sizeof theta);
        for (o.step = 1; o.step <= 3; o.step++)
            adamw(ctx, &o, 0.5f, g + (o.step - 1) * N, N, theta, m, v);
        if (first)
            memcpy(theta0, theta, sizeof theta);
        first = false;
        assert_same_bits(theta, theta0, N);
    }
    for (int i = 0; i < N; i++) {
        double t = start[i], m = 0, v = 0;
        for (int s = 1; s <= 3; s++) {
            double gi = 0.5 * g[(s - 1) * N + i];
            m = 0.9 * m + 0.1 * gi, v = 0.99 * v + 0.01 * gi * gi;
            t -= 1e-2 * 0.1 * t;
            t -= 1e-2 * (m / (1 - pow(0.9, s))) / (sqrt(v / (1 - pow(0.99, s))) + 1e-8);
        }
        assert_close(theta0[i], t, 1e-5);
    }
    free(start);
    free(g);
}

/* The bits of adamw, and sums that say how far it went: of several blocks, equal for any number of threads. */
static void adamw__measures_its_step(void **state) {
    (void)state;
    enum { MANY = 3 * 16384 + 77 };
    rng r = rng_new(16);
    float *start = random_floats(&r, MANY), *g = random_floats(&r, MANY);
    adamw_options o = {.lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f, .step = 1};
    adamw_change first = {-1, -1};
    FOR_EACH_CTX(ctx) {
        float *theta = malloc(2 * MANY * sizeof *theta), *moments = calloc(4 * MANY, sizeof *moments);
        double update = 0, weight = 0;
        memcpy(theta, start, MANY * sizeof *theta);
        memcpy(theta + MANY, start, MANY * sizeof *theta);
        adamw(ctx, &o, 0.5f, g, MANY, theta, moments, moments + MANY);
        adamw_change c = adamw_measured(ctx, &o, 0.5f, g, MANY, theta + MANY, moments + 2 * MANY, moments + 3 * MANY);
        assert_same_bits(theta, theta + MANY, MANY);
        assert_same_bits(moments, moments + 2 * MANY, 2 * MANY);
        for (size_t i = 0; i < MANY; i++) {
            update += pow((double)(theta[i] - start[i]), 2);
            weight += pow((double)start[i], 2);
        }
        assert_close(c.update / update, 1, 1e-12);
        assert_close(c.weight / weight, 1, 1e-12);
        if (first.update < 0)
            first = c;
        assert_true(first.update == c.update && first.weight == c.weight);
        free(theta), free(moments);
    }
    free(start), free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(math__exp_and_log_are_accurate),
        cmocka_unit_test(swiglu__values_gradients_and_bits),
        cmocka_unit_test(rms_norm__gradients_equal_finite_differences),
        cmocka_unit_test(rope__rotates_and_rotates_back),
        cmocka_unit_test(sums__are_ordered_and_right),
        cmocka_unit_test(adamw__follows_the_paper),
        cmocka_unit_test(adamw__measures_its_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Preference vectors of contexts: planted vectors are found, the prior holds few pairs near the base, V:moo.context_vector. */
#include "eval/context_vectors.h"
#include "base/random.h"
#include "test.h"
#include "training_vectors.h"

enum { M = 3, MOST = 8000 };
static const double even[M] = {1.0 / 3, 1.0 / 3, 1.0 / 3};

/* Standard normal, by twelve uniforms. */
static double normal(rng *r) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += rng_uniform(r);
    return sum;
}

/* Pairs as someone with this vector would label them: r_w - r_l of rewards with deviation 1. */
static void draw_pairs(uint64_t seed, const double *vector, size_t n, double *differences) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++) {
        double *d = differences + i * M, z = 0;
        for (size_t j = 0; j < M; j++) {
            d[j] = normal(&r) - normal(&r);
            z += vector[j] * d[j];
        }
        bool swap = rng_uniform(&r) >= 1 / (1 + exp(-z));
        for (size_t j = 0; j < M && swap; j++)
            d[j] = -d[j];
    }
}

static void fit__finds_planted_vectors(void **state) {
    agon_ctx *ctx = *state;
    static const double planted[][M] = {{0.6, 0.3, 0.1}, {0.1, 0.1, 0.8}, {1, 0, 0}, {1.0 / 3, 1.0 / 3, 1.0 / 3}};
    double *d = malloc(MOST * M * sizeof *d);
    for (size_t k = 0; k < 4; k++) {
        double offset[M], v[M];
        context_fit f;
        draw_pairs(50 + k, planted[k], MOST, d);
        assert_ok(ctx, context_fit_pairs(ctx, even, d, MOST, M, 0.5, offset, &f));
        assert_ok(ctx, context_vector(ctx, even, offset, M, v));
        for (size_t j = 0; j < M; j++)
            assert_close(v[j], planted[k][j], 0.06); /* three standard errors of 8,000 pairs */
        assert_true(f.log_likelihood >= f.base_log_likelihood);
        assert_int_equal(f.n_held_out, MOST);
        if (k < 3) {
            assert_true(f.log_likelihood > f.base_log_likelihood + 20);
            assert_true(f.right > f.base_right + 0.02);
        } else {
            assert_close(f.right, f.base_right, 0.02);
        }
    }
    free(d);
}

/* The objective that is maximised, by its definition. */
static double value_at(const double *v, const double *d, size_t n, double prior) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double z = 0;
        for (size_t j = 0; j < M; j++)
            z += v[j] * d[i * M + j];
        sum -= log1p(exp(-z));
    }
    for (size_t j = 0; j < M; j++)
        sum -= (v[j] - even[j]) * (v[j] - even[j]) / (2 * prior * prior);
    return sum;
}

static void fit__is_the_best_of_the_simplex(void **state) {
    agon_ctx *ctx = *state;
    double d[40 * M], offset[M], v[M];
    const double vector[M] = {0.7, 0.3, 0};
    context_fit f;
    rng r = rng_new(5);
    draw_pairs(9, vector, 40, d);
    for (double prior = 0.05; prior < 100; prior *= 10) {
        assert_ok(ctx, context_fit_pairs(ctx, even, d, 40, M, prior, offset, &f));
        assert_ok(ctx, context_vector(ctx, even, offset, M, v));
        double best = value_at(v, d, 40, prior);
        for (int trial = 0; trial < 20000; trial++) {
            double a = rng_uniform(&r), b = rng_uniform(&r), other[M] = {fmin(a, b), fabs(a - b), 1 - fmax(a, b)};
            double near = trial % 2 ? 0.999 : 0; /* half of them beside it */
            for (size_t j = 0; j < M; j++)
                other[j] = near * v[j] + (1 - near) * other[j];
            assert_true(value_at(other, d, 40, prior) <= best + 1e-9);
        }
    }
}

static double from_even(const double *offset) {
    double sum = 0;
    for (size_t j = 0; j < M; j++)
        sum += offset[j] * offset[j];
    return sqrt(sum);
}

static void fit__stays_near_the_base_without_evidence(void **state) {
    agon_ctx *ctx = *state;
    double *d = malloc(MOST * M * sizeof *d), offset[M], far = 0;
    const double vector[M] = {0.9, 0.1, 0};
    context_fit f;
    draw_pairs(3, vector, MOST, d);
    assert_ok(ctx, context_fit_pairs(ctx, even, d, 0, M, 0.5, offset, &f));
    assert_true(from_even(offset) < 1e-12 && f.log_likelihood == 0 && f.n_held_out == 0);
    for (double prior = 1e-3; prior < 2; prior *= 10) { /* the wider the prior, the more is believed */
        assert_ok(ctx, context_fit_pairs(ctx, even, d, 20, M, prior, offset, &f));
        assert_true(from_even(offset) > far);
        far = from_even(offset);
    }
    assert_ok(ctx, context_fit_pairs(ctx, even, d, 3, M, 0.1, offset, &f));
    far = from_even(offset);
    assert_ok(ctx, context_fit_pairs(ctx, even, d, MOST, M, 0.1, offset, &f));
    assert_true(far < 0.1 && from_even(offset) > 0.4);
    free(d);
}

static void vector__agrees_with_the_worked_example(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("moo.context_vector", &root);
    double base[M], offset[M], out[M];
    for (size_t i = 0; i < M; i++) {
        base[i] = element(v, "inputs", "base", i);
        offset[i] = element(v, "inputs", "offset", i);
    }
    assert_ok(ctx, context_vector(ctx, base, offset, M, out));
    expect_numbers(v, "weight", out, 1e-9);
    json_decref(root);
}

static void scale__is_of_each_dimension(void **state) {
    agon_ctx *ctx = *state;
    const double rewards[8] = {1, 100, 3, 300, 2, 200, 4, 400}, constant[6] = {1, 7, 2, 7, 3, 7};
    double mean[2], deviation[2];
    size_t flat = 9;
    assert_ok(ctx, context_scale(ctx, rewards, 4, 2, mean, deviation, &flat));
    assert_close(mean[1], 100 * mean[0], 1e-12);
    assert_close(deviation[1], 100 * deviation[0], 1e-12);
    assert_close(mean[0], 2.5, 1e-15);
    assert_close(deviation[0], sqrt(5.0 / 3), 1e-15);
    assert_int_equal(context_scale(ctx, constant, 3, 2, mean, deviation, &flat), AGON_EINVAL);
    assert_int_equal(flat, 1);
    assert_int_equal(context_scale(ctx, constant, 1, 2, mean, deviation, &flat), AGON_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit__finds_planted_vectors),
        cmocka_unit_test(fit__is_the_best_of_the_simplex),
        cmocka_unit_test(fit__stays_near_the_base_without_evidence),
        cmocka_unit_test(vector__agrees_with_the_worked_example),
        cmocka_unit_test(scale__is_of_each_dimension),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

/* Fronts and preference vectors against training_vectors.json: moo.front_metrics, moo.context_vector. */
#include "eval/front.h"
#include "base/random.h"
#include "training_vectors.h"

static void front__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("moo.front_metrics", &root);
    double points[10], three[9], reference[3], kept[10], weights[8], of_weights[8], x;
    bool keep[5];
    size_t n = numbers(get(v, "inputs", "points"), points, 10) / 2, m = 0;
    numbers(get(v, "inputs", "reference"), reference, 3);
    assert_int_equal(front_filter(points, n, 2, keep), json_array_size(get(v, "expected", "nondominated")));
    for (size_t i = 0; i < n; i++) {
        bool want = false;
        for (size_t k = 0; k < 4; k++)
            want = want || element(v, "expected", "nondominated", k) == (double)i;
        assert_int_equal(keep[i], want);
        if (keep[i])
            memcpy(kept + 2 * m++, points + 2 * i, 2 * sizeof(double));
    }
    assert_ok(ctx, front_hypervolume(ctx, points, n, 2, reference, &x));
    assert_close(x, number(v, "expected", "hypervolume"), 1e-9);
    numbers(get(v, "inputs", "points3"), three, 9);
    numbers(get(v, "inputs", "reference3"), reference, 3);
    assert_ok(ctx, front_hypervolume(ctx, three, 3, 3, reference, &x));
    assert_close(x, number(v, "expected", "hypervolume3"), 1e-9);
    numbers(get(v, "inputs", "weights"), weights, 8);
    numbers(get(v, "inputs", "points_of_weights"), of_weights, 8);
    assert_close(front_inner_product(weights, of_weights, 4, 2), number(v, "expected", "inner_product"), 1e-9);
    assert_ok(ctx, front_sparsity(ctx, kept, m, 2, &x));
    assert_close(x, number(v, "expected", "sparsity"), 1e-9);
    assert_close(front_spacing(kept, m, 2), number(v, "expected", "spacing"), 1e-9);
    assert_int_equal(front_hypervolume(ctx, points, 1, 4, reference, &x), AGON_EINVAL);
    json_decref(root);
}

/* The exact volume against counting random darts; dominated and equal points change nothing. */
static void hypervolume__matches_darts(void **state) {
    agon_ctx *ctx = *state;
    rng r = rng_new(3);
    const double zero[3] = {0};
    for (size_t m = 2; m <= 3; m++) {
        double points[3 * 9], volume, less;
        for (size_t i = 0; i < 8 * m; i++)
            points[i] = rng_uniform(&r);
        memcpy(points + 8 * m, points, m * sizeof(double));
        assert_ok(ctx, front_hypervolume(ctx, points, 9, m, zero, &volume));
        assert_ok(ctx, front_hypervolume(ctx, points, 8, m, zero, &less));
        assert_close(volume, less, 1e-15);
        size_t inside = 0, darts = 200000;
        for (size_t d = 0; d < darts; d++) {
            double x[3];
            bool hit = false;
            for (size_t j = 0; j < m; j++)
                x[j] = rng_uniform(&r);
            for (size_t i = 0; i < 8 && !hit; i++) {
                hit = true;
                for (size_t j = 0; j < m; j++)
                    hit = hit && x[j] < points[i * m + j];
            }
            inside += hit;
        }
        assert_close(volume, (double)inside / (double)darts, 0.006);
    }
}

static void simplex__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("moo.context_vector", &root);
    double x[3], out[3];
    for (size_t i = 0; i < 3; i++)
        x[i] = element(v, "inputs", "base", i) + element(v, "inputs", "offset", i);
    assert_ok(ctx, simplex_project(ctx, x, 3, out));
    expect_numbers(v, "weight", out, 1e-9);
    /* Nearest point: no other point of the simplex is nearer. */
    rng r = rng_new(4);
    for (int trial = 0; trial < 2000; trial++) {
        double y[3], other[3], a = rng_uniform(&r), b = rng_uniform(&r), here = 0, there = 0, sum = 0;
        for (size_t i = 0; i < 3; i++)
            y[i] = 3 * rng_uniform(&r) - 1;
        assert_ok(ctx, simplex_project(ctx, y, 3, out));
        other[0] = fmin(a, b), other[1] = fabs(a - b), other[2] = 1 - fmax(a, b);
        for (size_t i = 0; i < 3; i++) {
            here += (y[i] - out[i]) * (y[i] - out[i]);
            there += (y[i] - other[i]) * (y[i] - other[i]);
            sum += out[i];
            assert_true(out[i] >= 0);
        }
        assert_close(sum, 1, 1e-12);
        assert_true(here <= there + 1e-12);
    }
    json_decref(root);
}

static void rank_correlation__follows_order(void **state) {
    (void)state;
    const double x[5] = {1, 2, 3, 4, 5}, up[5] = {1, 4, 9, 16, 25}, down[5] = {5, 3, 2, 1, 0}, flat[5] = {1, 1, 1, 1, 1};
    assert_close(rank_correlation(x, up, 5), 1, 1e-15);
    assert_close(rank_correlation(x, down, 5), -1, 1e-15);
    assert_true(isnan(rank_correlation(x, flat, 5)));
    const double ties[4] = {1, 1, 2, 2}, y[4] = {1, 2, 3, 4};
    assert_close(rank_correlation(ties, y, 4), 4 / sqrt(20), 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front__agrees_with_the_vector),
        cmocka_unit_test(hypervolume__matches_darts),
        cmocka_unit_test(simplex__agrees_with_the_vector),
        cmocka_unit_test(rank_correlation__follows_order),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

/* pass@k, the alarm on a falling series, the Gaussian that collapses. */
#include "eval/collapse.h"
#include "eval/pass_at_k.h"
#include "base/random.h"
#include "vectors.h"

static agon_ctx *ctx;

static double pass(size_t n, size_t c, size_t k) {
    double p = NAN;
    assert_ok(ctx, pass_at_k(ctx, n, c, k, &p));
    return p;
}

static void check_pass(const json_t *v, double tol) {
    assert_close(pass(vectors_count(v, "n"), vectors_count(v, "c"), vectors_count(v, "k")), vectors_number(v, "value"), tol);
}

static void check_biased(const json_t *v, double tol) {
    double n = vectors_number(v, "n"), c = vectors_number(v, "c"), k = vectors_number(v, "k");
    double got = pass(vectors_count(v, "n"), vectors_count(v, "c"), vectors_count(v, "k"));
    assert_close(1 - pow(1 - c / n, k), vectors_number(v, "biased"), tol);
    assert_close(got, vectors_number(v, "unbiased"), tol);
    assert_true(fabs(got - vectors_number(v, "biased")) > 0.05);
}

static void pass_at_k__is_unbiased(void **state) {
    (void)state;
    double p;
    vectors_each("pass_at_k", check_pass);
    vectors_each("pass_at_k_biased", check_biased);
    assert_int_equal(pass_at_k(ctx, 4, 2, 5, &p), AGON_EINVAL);
    assert_int_equal(pass_at_k(ctx, 4, 5, 2, &p), AGON_EINVAL);
    assert_int_equal(pass_at_k(ctx, 4, 2, 0, &p), AGON_EINVAL);
    /* The mean over draws of 8 answers that pass with 0.2 each is 1 - 0.8^4. */
    rng r = rng_new(11);
    double sum = 0;
    for (int i = 0; i < 20000; i++) {
        size_t c = 0;
        for (int k = 0; k < 8; k++)
            c += rng_uniform(&r) < 0.2;
        sum += pass(8, c, 4);
    }
    assert_close(sum / 20000, 1 - pow(0.8, 4), 0.006);
}

static void check_cusum(const json_t *v, double tol) {
    size_t n, n_s;
    double got[64], *x = vectors_list(json_object_get(v, "x"), &n), *s = vectors_list(json_object_get(v, "s"), &n_s);
    size_t alarm = cusum_low(x, n, vectors_number(v, "mu"), vectors_number(v, "sd"), vectors_number(v, "k"), vectors_number(v, "h"), got);
    assert_int_equal(n, n_s);
    for (size_t i = 0; i < n; i++)
        assert_close(got[i], s[i], tol);
    assert_int_equal(alarm, vectors_count(v, "alarm"));
    assert_int_equal(cusum_low(x, 4, 0.5, 0.02, 0.5, 4, NULL), 4); /* not yet */
    free(x);
    free(s);
}

static void cusum__alarms_once_it_is_above(void **state) {
    (void)state;
    vectors_each("cusum_low", check_cusum);
}

static void check_gaussian(const json_t *v, double tol) {
    assert_close(collapse_gaussian_ratio(vectors_count(v, "n"), vectors_count(v, "t")), vectors_number(v, "expected_var_ratio"), tol);
}

/* Replaced variance follows the closed form over 400 chains; accumulated it stays. */
static void gaussian__collapses_where_data_is_replaced(void **state) {
    enum { N = 50, T = 50, CHAINS = 400 };
    (void)state;
    vectors_each("collapse_gaussian", check_gaussian);
    double replaced[T] = {0}, accumulated[T] = {0}, v[T];
    for (uint64_t i = 0; i < CHAINS; i++) {
        assert_ok(ctx, collapse_gaussian(ctx, N, T, COLLAPSE_REPLACE, i, v));
        for (size_t t = 0; t < T; t++)
            replaced[t] += v[t] / CHAINS;
        assert_ok(ctx, collapse_gaussian(ctx, N, T, COLLAPSE_ACCUMULATE, i, v));
        for (size_t t = 0; t < T; t++)
            accumulated[t] += v[t] / CHAINS;
    }
    const size_t at[] = {1, 10, 50};
    for (size_t i = 0; i < 3; i++)
        assert_close(replaced[at[i] - 1] / collapse_gaussian_ratio(N, at[i]), 1, 0.12);
    assert_true(accumulated[T - 1] > 0.93 && accumulated[T - 1] < 1.05);
    assert_int_equal(collapse_gaussian(ctx, 1, T, COLLAPSE_REPLACE, 1, v), AGON_EINVAL);
}

static int setup(void **state) {
    (void)state;
    ctx = test_ctx(1, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    agon_ctx_free(ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_at_k__is_unbiased),
        cmocka_unit_test(cusum__alarms_once_it_is_above),
        cmocka_unit_test(gaussian__collapses_where_data_is_replaced),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

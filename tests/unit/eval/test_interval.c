/* interval.h against its vectors. */
#include "vectors.h"
#include "eval/interval.h"
#include "eval/special.h"

static void check_clopper_pearson(const json_t *c, double tol) {
    interval i =
        clopper_pearson(vectors_count(c, "k"), vectors_count(c, "n"), vectors_number(c, "alpha"));
    assert_close(i.low, vectors_number(c, "lower"), tol);
    assert_close(i.high, vectors_number(c, "upper"), tol);
}

static void check_upper(const json_t *c, double tol) {
    double u = clopper_pearson_upper(vectors_count(c, "k"), vectors_count(c, "n"),
                                     vectors_number(c, "delta"));
    assert_close(u, vectors_number(c, "upper"), tol);
}

static void check_wilson(const json_t *c, double tol) {
    interval i = wilson(vectors_count(c, "k"), vectors_count(c, "n"), vectors_number(c, "alpha"));
    assert_close(i.low, vectors_number(c, "lower"), tol);
    assert_close(i.high, vectors_number(c, "upper"), tol);
}

static void interval__clopper_pearson_matches_vectors(void **state) {
    (void)state;
    vectors_each("clopper_pearson_two_sided", check_clopper_pearson);
}

static void interval__upper_matches_vectors(void **state) {
    (void)state;
    vectors_each("clopper_pearson_one_sided_upper", check_upper);
}

static void interval__wilson_matches_vectors(void **state) {
    (void)state;
    vectors_each("wilson", check_wilson);
}

static void interval__bounds_mirror_each_other(void **state) {
    (void)state;
    for (size_t k = 0; k <= 25; k++) {
        assert_close(clopper_pearson_lower(k, 25, 0.05),
                     1 - clopper_pearson_upper(25 - k, 25, 0.05), 1e-12);
        interval a = wilson(k, 25, 0.1), b = wilson(25 - k, 25, 0.1);
        assert_close(a.low, 1 - b.high, 1e-12);
    }
}

static void interval__nothing_seen_means_anything_possible(void **state) {
    (void)state;
    interval a = clopper_pearson(0, 0, 0.05), b = wilson(0, 0, 0.05);
    assert_true(a.low == 0 && a.high == 1 && b.low == 0 && b.high == 1);
    for (size_t n = 1; n < 400; n++) { /* nor does rounding leave a crumb at either end */
        assert_true(wilson(0, n, 0.05).low == 0 && wilson(n, n, 0.05).high == 1);
        assert_true(clopper_pearson(0, n, 0.05).low == 0 && clopper_pearson(n, n, 0.05).high == 1);
    }
}

/* By enumeration of all outcomes: an exact interval may not cover less than it says. */
static void interval__clopper_pearson_covers(void **state) {
    (void)state;
    for (double p = 0.03; p < 1; p += 0.09) {
        double covered = 0;
        for (int k = 0; k <= 30; k++) {
            interval i = clopper_pearson((size_t)k, 30, 0.05);
            if (i.low <= p && p <= i.high)
                covered +=
                    special_binomial_at_most(k, 30, p) - special_binomial_at_most(k - 1, 30, p);
        }
        assert_true(covered >= 0.95);
    }
}

static void interval__of_draws_leaves_out_a_fortieth_at_either_end(void **state) {
    (void)state;
    double draws[80];
    for (int i = 0; i < 80; i++)
        draws[i] = (i * 37) % 80;
    interval a = interval_of_draws(draws, 80), b = interval_of_draws(draws, 3), none = interval_of_draws(draws, 0);
    assert_true(a.low == 2 && a.high == 77);
    assert_true(b.low == 0 && b.high == 2);
    assert_true(isnan(none.low) && isnan(none.high));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interval__clopper_pearson_matches_vectors),
        cmocka_unit_test(interval__upper_matches_vectors),
        cmocka_unit_test(interval__wilson_matches_vectors),
        cmocka_unit_test(interval__bounds_mirror_each_other),
        cmocka_unit_test(interval__nothing_seen_means_anything_possible),
        cmocka_unit_test(interval__clopper_pearson_covers),
        cmocka_unit_test(interval__of_draws_leaves_out_a_fortieth_at_either_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* special.h against closed forms and printed tables. */
#include "test.h"
#include "eval/special.h"

static void special__beta_has_closed_forms(void **state) {
    (void)state;
    for (double x = 0.01; x < 1; x += 0.07) {
        assert_close(special_beta(1, 1, x), x, 1e-14);
        assert_close(special_beta(3, 1, x), x * x * x, 1e-14);
        assert_close(special_beta(1, 4, x), 1 - pow(1 - x, 4), 1e-14);
        assert_close(special_beta(0.5, 0.5, x), 2 / M_PI * asin(sqrt(x)), 1e-13);
        assert_close(special_beta(7, 31, x) + special_beta(31, 7, 1 - x), 1, 1e-13);
    }
    assert_true(special_beta(2, 5, 0) == 0 && special_beta(2, 5, 1) == 1);
}

static void special__binomial_equals_its_sum(void **state) {
    (void)state;
    double p = 0.3, sum = 0, term = pow(1 - p, 12);
    for (int k = 0; k < 12; k++) {
        sum += term;
        assert_close(special_binomial_at_most(k, 12, p), sum, 1e-13);
        term *= (12.0 - k) / (k + 1.0) * p / (1 - p);
    }
    assert_true(special_binomial_at_most(-1, 12, p) == 0 &&
                special_binomial_at_most(12, 12, p) == 1);
    /* Large n: the normal limit, with continuity correction. */
    assert_close(special_binomial_at_most(500000, 1000000, 0.5), special_normal(0.5 / 500), 1e-6);
}

static void special__normal_quantile_inverts(void **state) {
    (void)state;
    assert_close(special_normal_quantile(0.975), 1.959963984540054, 1e-12);
    assert_close(special_normal_quantile(0.95), 1.6448536269514722, 1e-12);
    assert_close(special_normal_quantile(1e-10), -6.361340902404056, 1e-10);
    assert_close(special_normal(special_normal_quantile(0.123)), 0.123, 1e-14);
}

static void special__student_matches_tables(void **state) {
    (void)state;
    assert_close(special_student_quantile(0.975, 7), 2.364624251592785, 1e-11);
    assert_close(special_student_quantile(0.975, 1), 12.706204736174694, 1e-9);
    assert_close(special_student_quantile(0.95, 10), 1.8124611228116756, 1e-11);
    assert_close(special_student_quantile(0.975, 1e6), special_normal_quantile(0.975), 1e-5);
    assert_close(special_student_quantile(0.6, 2), 0.28867513459481287, 1e-11);
    for (double p = 0.001; p < 1; p += 0.037)
        assert_close(special_student(special_student_quantile(p, 5), 5), p, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special__beta_has_closed_forms),
        cmocka_unit_test(special__binomial_equals_its_sum),
        cmocka_unit_test(special__normal_quantile_inverts),
        cmocka_unit_test(special__student_matches_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* numbers.h against values worked by hand. */
#include "test.h"
#include "base/numbers.h"

static void numbers__mean_of_none_is_0(void **state) {
    (void)state;
    const double x[] = {1, 2, 6};
    assert_close(numbers_mean(x, 3), 3, 0);
    assert_close(numbers_mean(x, 0), 0, 0);
}

static void numbers__sort_is_ascending(void **state) {
    (void)state;
    double x[] = {3, -1, INFINITY, 0, -1, 2};
    const double sorted[] = {-1, -1, 0, 2, 3, INFINITY};
    numbers_sort(x, 6);
    assert_memory_equal(x, sorted, sizeof x);
    numbers_sort(x, 0);
}

static void numbers__quantile_is_type_7(void **state) {
    (void)state;
    const double x[] = {1, 2, 4, 8};
    assert_close(numbers_quantile(x, 4, 0), 1, 0);
    assert_close(numbers_quantile(x, 4, 1), 8, 0);
    assert_close(numbers_quantile(x, 4, 0.5), 3, 1e-15);
    assert_close(numbers_quantile(x, 4, 0.9), 6.8, 1e-14);
    assert_close(numbers_quantile(x, 1, 0.3), 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers__mean_of_none_is_0),
        cmocka_unit_test(numbers__sort_is_ascending),
        cmocka_unit_test(numbers__quantile_is_type_7),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* multiplicity.h against its vectors. */
#include "vectors.h"
#include "eval/multiplicity.h"

static void compare(const double *got, const json_t *want, double tol) {
    size_t n;
    double *w = vectors_list(want, &n);
    for (size_t i = 0; i < n; i++)
        assert_close(got[i], w[i], tol);
    free(w);
}

static void check_adjust(const json_t *c, double tol) {
    size_t n;
    double *p = vectors_list(json_object_get(c, "p"), &n), *out = calloc(n, sizeof *out);
    assert_ok(NULL, holm_adjust(NULL, p, n, out));
    compare(out, json_object_get(c, "holm"), tol);
    assert_ok(NULL, bh_adjust(NULL, p, n, out));
    compare(out, json_object_get(c, "bh"), tol);
    free(p);
    free(out);
}

static void check_spending(const json_t *c, double tol) {
    assert_close(alpha_spending(vectors_number(c, "alpha"), vectors_count(c, "t")),
                 vectors_number(c, "alpha_t"), tol);
}

static void multiplicity__adjustments_match_vectors(void **state) {
    (void)state;
    vectors_each("multiplicity", check_adjust);
}

static void multiplicity__spending_matches_vectors_and_sums_to_alpha(void **state) {
    (void)state;
    vectors_each("alpha_spending", check_spending);
    double sum = 0;
    for (size_t t = 1; t <= 1000000; t++)
        sum += alpha_spending(0.05, t);
    assert_close(sum, 0.05, 1e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplicity__adjustments_match_vectors),
        cmocka_unit_test(multiplicity__spending_matches_vectors_and_sums_to_alpha),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

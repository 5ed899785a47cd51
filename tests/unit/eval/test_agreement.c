/* agreement.h against its vectors. */
#include "vectors.h"
#include "eval/agreement.h"

static void check_auroc(const json_t *c, double tol) {
    size_t n;
    double *score = vectors_list(json_object_get(c, "score"), &n), area;
    bool *label = vectors_flags(json_object_get(c, "label"), &n);
    assert_ok(NULL, auroc(NULL, score, label, n, &area));
    assert_close(area, vectors_number(c, "auc"), tol);
    free(score);
    free(label);
}

enum { MOST_UNITS = 12, MOST_RATERS = 4 };

/* The table as answers [n_units, n_raters]; ratings count from 1. */
static void check_alpha(const json_t *c, double tol) {
    const json_t *data = json_object_get(c, "data");
    size_t n_raters = json_array_size(data), n_units = json_array_size(json_array_get(data, 0));
    int answers[2 * MOST_UNITS * MOST_RATERS];
    double count[MOST_UNITS];
    assert_true(n_raters <= MOST_RATERS && n_units <= MOST_UNITS);
    for (size_t u = 0; u < n_units; u++)
        for (size_t r = 0; r < n_raters; r++) {
            const json_t *rating = json_array_get(json_array_get(data, r), u);
            answers[u * n_raters + r] = json_is_null(rating) ? -1 : (int)json_integer_value(rating) - 1;
        }
    assert_close(krippendorff_alpha(answers, NULL, n_units, n_raters, 5), vectors_number(c, "nominal"), tol);
    /* A unit that counts twice is the unit written twice. */
    for (size_t u = 0; u < n_units; u++)
        count[u] = u < 5 ? 2 : 1;
    memcpy(answers + n_units * n_raters, answers, 5 * n_raters * sizeof *answers);
    assert_close(krippendorff_alpha(answers, count, n_units, n_raters, 5), krippendorff_alpha(answers, NULL, n_units + 5, n_raters, 5), tol);
}

static void agreement__auroc_matches_vectors(void **state) {
    (void)state;
    vectors_each("auroc", check_auroc);
}

static void agreement__auroc_of_one_class_is_undefined(void **state) {
    (void)state;
    const double score[] = {0.1, 0.9};
    const bool label[] = {1, 1};
    double area = 0;
    assert_ok(NULL, auroc(NULL, score, label, 2, &area));
    assert_true(isnan(area));
    assert_ok(NULL, auroc(NULL, score, label, 0, &area));
    assert_true(isnan(area));
}

static void agreement__alpha_matches_vectors(void **state) {
    (void)state;
    vectors_each("krippendorff_alpha", check_alpha);
}

static void agreement__alpha_needs_two_answers_of_a_unit(void **state) {
    (void)state;
    const int apart[] = {1, -1, -1, 0}, same[] = {1, 1, 1, 1}, opposite[] = {1, 0, 0, 1};
    assert_true(isnan(krippendorff_alpha(apart, NULL, 2, 2, 2)));
    assert_true(isnan(krippendorff_alpha(apart, NULL, 0, 2, 2)));
    assert_true(isnan(krippendorff_alpha(same, NULL, 2, 2, 2))); /* one class alone: chance agrees as well */
    assert_close(krippendorff_alpha(opposite, NULL, 2, 2, 2), -0.5, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement__auroc_matches_vectors),
        cmocka_unit_test(agreement__auroc_of_one_class_is_undefined),
        cmocka_unit_test(agreement__alpha_matches_vectors),
        cmocka_unit_test(agreement__alpha_needs_two_answers_of_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

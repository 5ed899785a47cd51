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

static double *flatten(const json_t *rows, size_t *n_rows, size_t *n_columns) {
    *n_rows = json_array_size(rows);
    *n_columns = json_array_size(json_array_get(rows, 0));
    double *out = calloc(*n_rows * *n_columns, sizeof *out);
    for (size_t i = 0; i < *n_rows; i++) {
        double *row = vectors_list(json_array_get(rows, i), n_columns);
        memcpy(out + i * *n_columns, row, *n_columns * sizeof *row);
        free(row);
    }
    return out;
}

static void check_kappa(const json_t *c, double tol) {
    size_t k, m;
    double *table = flatten(json_object_get(c, "table"), &k, &m);
    assert_close(cohen_kappa(table, k, false), vectors_number(c, "kappa"), tol);
    if (json_object_get(c, "kappa_quadratic"))
        assert_close(cohen_kappa(table, k, true), vectors_number(c, "kappa_quadratic"), tol);
    free(table);
}

static void check_alpha(const json_t *c, double tol) {
    static const char *const scales[] = {"nominal", "ordinal", "interval"};
    size_t n_raters, n_units;
    double *data = flatten(json_object_get(c, "data"), &n_raters, &n_units), alpha;
    for (int s = 0; s < 3; s++) {
        assert_ok(NULL,
                  krippendorff_alpha(NULL, data, n_raters, n_units, (agreement_scale)s, &alpha));
        assert_close(alpha, vectors_number(c, scales[s]), tol);
    }
    free(data);
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

static void agreement__kappa_matches_vectors(void **state) {
    (void)state;
    vectors_each("cohen_kappa", check_kappa);
}

static void agreement__alpha_matches_vectors(void **state) {
    (void)state;
    vectors_each("krippendorff_alpha", check_alpha);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement__auroc_matches_vectors),
        cmocka_unit_test(agreement__auroc_of_one_class_is_undefined),
        cmocka_unit_test(agreement__kappa_matches_vectors),
        cmocka_unit_test(agreement__alpha_matches_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

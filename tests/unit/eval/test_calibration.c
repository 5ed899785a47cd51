/* calibration.h against its vectors; the chosen map is the right one where the right one is known.
 */
#include "vectors.h"
#include "base/random.h"
#include "eval/calibration.h"

typedef struct data {
    double *p;
    bool *y;
    size_t n;
} data;

static data load(const json_t *c, const char *p, const char *y) {
    data d;
    d.p = vectors_list(json_object_get(c, p), &d.n);
    d.y = vectors_flags(json_object_get(c, y), &d.n);
    return d;
}

static void drop(data *d) {
    free(d->p);
    free(d->y);
}

static void check_ece(const json_t *c, double tol) {
    data d = load(c, "conf", "correct");
    assert_close(calibration_ece(d.p, d.y, d.n), vectors_number(c, "ece"), tol);
    assert_close(calibration_brier(d.p, d.y, d.n), vectors_number(c, "brier"), tol);
    drop(&d);
}

static void check_isotonic(const json_t *c, double tol) {
    data d = load(c, "conf_sorted", "y");
    size_t n;
    double *fit = vectors_list(json_object_get(c, "fit"), &n);
    calibrator k;
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_ISOTONIC, d.p, d.y, d.n, &k));
    for (size_t i = 0; i < n; i++)
        assert_close(calibrator_apply(&k, d.p[i]), fit[i], tol);
    calibrator_free(&k);
    free(fit);
    drop(&d);
}

static void check_temperature(const json_t *c, double tol) {
    data d = load(c, "conf", "correct");
    calibrator k;
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_TEMPERATURE, d.p, d.y, d.n, &k));
    assert_close(k.t, vectors_number(c, "T"), tol);
    assert_close(calibration_nll(d.p, d.y, d.n), vectors_number(c, "nll_at_1"), tol);
    for (size_t i = 0; i < d.n; i++)
        d.p[i] = calibrator_apply(&k, d.p[i]);
    assert_close(calibration_nll(d.p, d.y, d.n), vectors_number(c, "nll"), tol);
    drop(&d);
}

static void check_platt(const json_t *c, double tol) {
    data d = load(c, "conf", "correct");
    calibrator k;
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_PLATT, d.p, d.y, d.n, &k));
    assert_close(k.a, vectors_number(c, "a"), tol);
    assert_close(k.b, vectors_number(c, "b"), tol);
    drop(&d);
}

static void calibration__errors_match_vectors(void **state) {
    (void)state;
    vectors_each("ece_brier", check_ece);
}

static void calibration__isotonic_matches_vectors(void **state) {
    (void)state;
    vectors_each("isotonic_pav", check_isotonic);
}

static void calibration__temperature_matches_vectors(void **state) {
    (void)state;
    vectors_each("temperature_scaling", check_temperature);
}

static void calibration__platt_matches_vectors(void **state) {
    (void)state;
    vectors_each("platt", check_platt);
}

static void calibration__isotonic_does_not_depend_on_order_of_ties(void **state) {
    (void)state;
    const double p[] = {0.5, 0.5, 0.5, 0.9}, q[] = {0.9, 0.5, 0.5, 0.5};
    const bool y[] = {1, 0, 0, 1}, z[] = {1, 0, 0, 1};
    calibrator a, b;
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_ISOTONIC, p, y, 4, &a));
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_ISOTONIC, q, z, 4, &b));
    assert_close(calibrator_apply(&a, 0.5), 1.0 / 3, 1e-15);
    assert_close(calibrator_apply(&b, 0.5), 1.0 / 3, 1e-15);
    assert_close(calibrator_apply(&a, 0.1), 1.0 / 3, 1e-15); /* below all that was seen */
    assert_close(calibrator_apply(&a, 1), 1, 0);
    calibrator_free(&a);
    calibrator_free(&b);
}

static void calibration__isotonic_pools_ties_before_it_compares(void **state) {
    (void)state;
    const double p[] = {0.1, 0.2, 0.2};
    const bool y[] = {1, 0, 1};
    calibrator c;
    assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_ISOTONIC, p, y, 3, &c));
    assert_int_equal(c.n_steps, 1);
    assert_close(c.value[0], 2.0 / 3, 0);
    calibrator_free(&c);
}

enum { TIED = 6 };

/* The fit at group `at` of the examples, by what it is: the largest, over beginnings, of the smallest mean, over ends. */
static double max_min(const double *p, const bool *y, const double *levels, size_t n_levels, size_t at) {
    double best = 0;
    for (size_t from = 0; from <= at; from++) {
        double least = 1;
        for (size_t to = at; to < n_levels; to++) {
            double right = 0, n = 0;
            for (size_t i = 0; i < TIED; i++)
                if (p[i] >= levels[from] && p[i] <= levels[to])
                    right += y[i], n++;
            least = fmin(least, right / n);
        }
        best = fmax(best, least);
    }
    return best;
}

/* Every order of every set of answers gives the same steps, and they are the least-squares fit. */
static void calibration__isotonic_is_one_fit_in_every_order(void **state) {
    (void)state;
    const double levels[] = {0.1, 0.2, 0.3}, sorted[TIED] = {0.1, 0.2, 0.2, 0.3, 0.3, 0.3};
    for (unsigned answers = 0; answers < 1u << TIED; answers++) {
        size_t order[TIED], turn[TIED] = {0}, first_steps = 0;
        double from[TIED], value[TIED];
        for (size_t i = 0; i < TIED; i++)
            order[i] = i;
        for (size_t i = 0; i < TIED;) { /* Heap's permutations */
            if (i == 0) {
                double p[TIED];
                bool y[TIED];
                calibrator c;
                for (size_t j = 0; j < TIED; j++)
                    p[j] = sorted[order[j]], y[j] = answers >> order[j] & 1;
                assert_ok(NULL, calibrator_fit_kind(NULL, CALIBRATOR_ISOTONIC, p, y, TIED, &c));
                for (size_t k = 0; k < 3; k++)
                    assert_close(calibrator_apply(&c, levels[k]), max_min(p, y, levels, 3, k), 1e-15);
                if (!first_steps) {
                    first_steps = c.n_steps;
                    memcpy(from, c.from, first_steps * sizeof *from);
                    memcpy(value, c.value, first_steps * sizeof *value);
                }
                assert_int_equal(c.n_steps, first_steps);
                assert_memory_equal(c.from, from, first_steps * sizeof *from);
                assert_memory_equal(c.value, value, first_steps * sizeof *value);
                calibrator_free(&c);
            }
            if (turn[i] < i) {
                size_t a = i % 2 ? turn[i] : 0, kept = order[a];
                order[a] = order[i], order[i] = kept;
                turn[i]++;
                i = 0;
            } else {
                turn[i++] = 0;
            }
        }
    }
}

/* An overconfident judge whose truth is sigmoid(logit/3 - 0.7): only Platt can say so. */
static void calibration__choice_finds_the_planted_map(void **state) {
    (void)state;
    enum { N = 4000 };
    double *p = calloc(N, sizeof *p);
    bool *y = calloc(N, sizeof *y);
    rng r = rng_new(5);
    for (size_t i = 0; i < N; i++) {
        double x = 4 * rng_normal(&r);
        p[i] = 1 / (1 + exp(-x));
        y[i] = rng_uniform(&r) < 1 / (1 + exp(-(x / 3 - 0.7)));
    }
    double before = calibration_ece(p, y, N);
    calibrator c;
    assert_ok(NULL, calibrator_fit(NULL, p, y, NULL, N, 1, &c));
    assert_string_equal(calibrator_kind_name(c.kind), "platt");
    assert_close(c.a, 1.0 / 3, 0.04);
    assert_close(c.b, -0.7, 0.12);
    for (size_t i = 0; i < N; i++)
        p[i] = calibrator_apply(&c, p[i]);
    assert_true(before > 0.15);
    assert_true(calibration_ece(p, y, N) < 0.03);
    calibrator_free(&c);
    free(p);
    free(y);
}

static void calibration__json_keeps_every_kind(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double p[] = {0.1, 0.4, 0.35, 0.8, 0.9, 0.6};
    const bool y[] = {0, 0, 1, 1, 1, 0};
    for (calibrator_kind k = CALIBRATOR_IDENTITY; k <= CALIBRATOR_ISOTONIC; k++) {
        calibrator a;
        assert_ok(ctx, calibrator_fit_kind(ctx, k, p, y, 6, &a));
        json_t *o = calibrator_to_json(&a);
        assert_non_null(o);
        const json_t *from = json_object_get(o, "from");
        assert_int_equal(json_array_size(from), k == CALIBRATOR_ISOTONIC ? a.n_steps : 0);
        for (size_t i = 0; i < json_array_size(from); i++)
            assert_true(json_real_value(json_array_get(from, i)) == a.from[i] &&
                        json_real_value(json_array_get(json_object_get(o, "value"), i)) == a.value[i]);
        if (k == CALIBRATOR_TEMPERATURE)
            assert_true(json_real_value(json_object_get(o, "t")) == a.t);
        if (k == CALIBRATOR_PLATT)
            assert_true(json_real_value(json_object_get(o, "a")) == a.a && json_real_value(json_object_get(o, "b")) == a.b);
        json_decref(o);
        calibrator_free(&a);
    }
    agon_ctx_free(ctx);
}

static void calibration__refuses_what_is_no_confidence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double p[] = {0.5, 1.5}, nan[] = {NAN};
    const bool y[] = {1, 0};
    calibrator c;
    assert_int_equal(calibrator_fit(ctx, p, y, NULL, 2, 1, &c), AGON_EINVAL);
    assert_int_equal(calibrator_fit(ctx, nan, y, NULL, 1, 1, &c), AGON_EINVAL);
    assert_int_equal(calibrator_fit(ctx, p, y, NULL, 0, 1, &c), AGON_EINVAL);
    assert_ok(ctx,
              calibrator_fit(ctx, p, y, NULL, 1, 1, &c)); /* one example is little, not an error */
    calibrator_free(&c);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration__errors_match_vectors),
        cmocka_unit_test(calibration__isotonic_matches_vectors),
        cmocka_unit_test(calibration__temperature_matches_vectors),
        cmocka_unit_test(calibration__platt_matches_vectors),
        cmocka_unit_test(calibration__isotonic_does_not_depend_on_order_of_ties),
        cmocka_unit_test(calibration__isotonic_pools_ties_before_it_compares),
        cmocka_unit_test(calibration__isotonic_is_one_fit_in_every_order),
        cmocka_unit_test(calibration__choice_finds_the_planted_map),
        cmocka_unit_test(calibration__json_keeps_every_kind),
        cmocka_unit_test(calibration__refuses_what_is_no_confidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

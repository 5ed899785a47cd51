/* paired.h against its vectors, and the coverage of the gain's interval. */
#include "vectors.h"
#include "base/random.h"
#include "eval/paired.h"

static void check_mcnemar(const json_t *c, double tol) {
    size_t b = vectors_count(c, "b"), l = vectors_count(c, "c");
    assert_close(mcnemar_exact(b, l), vectors_number(c, "p_exact"), tol);
}

static void check_tango(const json_t *c, double tol) {
    noninferiority r =
        noninferiority_tango(vectors_count(c, "b"), vectors_count(c, "c"), vectors_count(c, "n"),
                             vectors_number(c, "margin"), 0.05);
    assert_close(r.difference, vectors_number(c, "diff"), tol);
    assert_close(r.z, vectors_number(c, "z"), tol);
    assert_close(r.p, vectors_number(c, "p"), tol);
    assert_close(r.lower, vectors_number(c, "lower95_one_sided"), tol);
    assert_int_equal(r.holds, json_is_true(json_object_get(c, "noninferior_at_0_05")));
}

static void check_sample_size(const json_t *c, double tol) {
    (void)tol;
    assert_int_equal(noninferiority_sample_size(vectors_number(c, "psi"),
                                                vectors_number(c, "margin"), 0.05, 0.8),
                     vectors_count(c, "n"));
}

static void check_bootstrap(const json_t *c, double tol) {
    size_t n;
    double *x = vectors_list(json_object_get(c, "x"), &n),
           *y = vectors_list(json_object_get(c, "y"), &n);
    bootstrap_result r;
    assert_ok(NULL, paired_bootstrap(NULL, x, y, n, vectors_count(c, "B"), vectors_count(c, "seed"),
                                     0.05, &r));
    assert_close(r.mean, vectors_number(c, "mean"), tol);
    assert_close(r.range.low, vectors_number(c, "lo"), tol);
    assert_close(r.range.high, vectors_number(c, "hi"), tol);
    free(x);
    free(y);
}

static void paired__mcnemar_matches_vectors(void **state) {
    (void)state;
    vectors_each("mcnemar", check_mcnemar);
}

static void paired__tango_matches_vectors(void **state) {
    (void)state;
    vectors_each("noninferiority_tango", check_tango);
}

static void paired__sample_size_matches_vectors(void **state) {
    (void)state;
    vectors_each("noninferiority_sample_size", check_sample_size);
}

static void paired__bootstrap_matches_vector(void **state) {
    (void)state;
    vectors_each("paired_bootstrap", check_bootstrap);
}

static void paired__one_sided_is_half_of_two_sided(void **state) {
    (void)state;
    assert_close(mcnemar_one_sided(10, 2), mcnemar_exact(10, 2) / 2, 1e-12);
    assert_close(mcnemar_one_sided(5, 0), 1.0 / 32, 1e-12);
    assert_true(mcnemar_one_sided(2, 10) > 0.99);
    assert_close(mcnemar_one_sided(0, 0), 1, 0);
}

static void paired__difference_mirrors_and_degenerates(void **state) {
    (void)state;
    paired_table t = {20, 14, 5, 61, 0}, swapped = {20, 5, 14, 61, 0}, empty = {0};
    interval a = paired_difference(&t, 0.05), b = paired_difference(&swapped, 0.05),
             e = paired_difference(&empty, 0.05);
    assert_close(a.low, -b.high, 1e-12);
    assert_close(a.high, -b.low, 1e-12);
    assert_true(a.low < paired_gain(&t) && paired_gain(&t) < a.high);
    assert_true(e.low == -1 && e.high == 1);
    paired_table sure = {0, 50, 0, 0, 0}; /* p = 1 against 0: independent, correlation undefined */
    interval s = paired_difference(&sure, 0.05);
    assert_true(s.high == 1 && s.low > 0.85 && s.low < 1);
}

/* The first two are Newcombe's own (1998, table III, method 10); the last two correlate negatively, which is not corrected for continuity. */
static void paired__difference_is_newcombes(void **state) {
    (void)state;
    static const struct {
        paired_table t;
        double low, high;
    } cases[] = {{{36, 12, 2, 0, 0}, 0.05692958400323869, 0.3404276029749407},
                 {{20, 12, 2, 16, 0}, 0.05615642484174824, 0.32920699540014053},
                 {{5, 40, 30, 5, 0}, -0.0788546681354263, 0.31815208932785244},
                 {{2, 20, 11, 3, 0}, -0.05065017925836246, 0.5061418682974176}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        interval x = paired_difference(&cases[i].t, 0.05);
        assert_close(x.low, cases[i].low, 1e-9);
        assert_close(x.high, cases[i].high, 1e-9);
    }
}

/* 2,000 seeded experiments of 60 items with known gain: coverage near 95%, also near the ends. */
static void paired__difference_covers(void **state) {
    (void)state;
    static const double cases[][3] = {
        {0.3, 0.3, 0.05}, {0.02, 0.1, 0.0}, {0.6, 0.1, 0.1}, {0.0, 0.05, 0.05}};
    rng r = rng_new(3);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double *p = cases[c]; /* both, gained, lost */
        int covered = 0;
        for (int run = 0; run < 2000; run++) {
            paired_table t = {0};
            for (int i = 0; i < 60; i++) {
                double u = rng_uniform(&r);
                *(u < p[0]                 ? &t.both
                  : u < p[0] + p[1]        ? &t.gained
                  : u < p[0] + p[1] + p[2] ? &t.lost
                                           : &t.neither) += 1;
            }
            interval i = paired_difference(&t, 0.05);
            covered += i.low <= p[1] - p[2] && p[1] - p[2] <= i.high;
        }
        assert_in_range(covered, 1870, 2000);
    }
}

static void paired__count_fills_the_table(void **state) {
    (void)state;
    const bool now[] = {1, 1, 0, 0, 1}, before[] = {1, 0, 1, 0, 0};
    paired_table t = paired_count(now, before, 5);
    assert_true(t.both == 1 && t.gained == 2 && t.lost == 1 && t.neither == 1);
    assert_close(paired_gain(&t), 0.2, 1e-15);
}

static void paired__bootstrap_refuses_nothing(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    bootstrap_result r;
    assert_int_equal(mean_bootstrap(ctx, NULL, 0, 10, 1, 0.05, &r), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* By enumeration: of items that both versions answered alike nobody need know what they are worth. */
static void paired__same__counts_in_the_gain_and_for_no_side(void **state) {
    (void)state;
    const paired_table t = {10, 8, 2, 5, 7}, only = {0, 0, 0, 0, 4};
    assert_int_equal(paired_n(&t), 32);
    assert_close(paired_gain(&t), 6. / 32, 1e-12);
    const interval all = paired_difference(&t, 0.05);
    double low = 1, high = -1;
    for (size_t right = 0; right <= 7; right++) {
        const paired_table known = {10 + right, 8, 2, 12 - right, 0};
        const interval x = paired_difference(&known, 0.05);
        low = fmin(low, x.low);
        high = fmax(high, x.high);
    }
    assert_true(all.low == low && all.high == high);
    const interval wide = paired_difference(&only, 0.05), none = paired_difference(&(paired_table){0}, 0.05);
    assert_true(paired_gain(&only) == 0 && wide.low < -0.3 && wide.low > -1 && wide.high == -wide.low);
    assert_true(none.low == -1 && none.high == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paired__same__counts_in_the_gain_and_for_no_side),
        cmocka_unit_test(paired__mcnemar_matches_vectors),
        cmocka_unit_test(paired__tango_matches_vectors),
        cmocka_unit_test(paired__sample_size_matches_vectors),
        cmocka_unit_test(paired__bootstrap_matches_vector),
        cmocka_unit_test(paired__one_sided_is_half_of_two_sided),
        cmocka_unit_test(paired__difference_mirrors_and_degenerates),
        cmocka_unit_test(paired__difference_is_newcombes),
        cmocka_unit_test(paired__difference_covers),
        cmocka_unit_test(paired__count_fills_the_table),
        cmocka_unit_test(paired__bootstrap_refuses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

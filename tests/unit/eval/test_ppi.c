/* ppi.h against its vectors, and the acceptance simulation of gate.md. */
#include "vectors.h"
#include "base/random.h"
#include "eval/ppi.h"
#include "eval/special.h"

static void ppi__paired_matches_vector(void **state) {
    (void)state;
    json_t *all = vectors_load("gate_vectors.json");
    const json_t *v = json_object_get(all, "gate.ppi_paired"), *e = json_object_get(v, "expected");
    const json_t *range = json_object_get(e, "interval95");
    double tol = vectors_number(v, "tol");
    size_t n_unlabelled, n;
    double *u = vectors_list(json_object_get(v, "unlabelled_judge_difference"), &n_unlabelled);
    double *l = vectors_list(json_object_get(v, "labelled_judge_difference"), &n);
    double *d = vectors_list(json_object_get(v, "labelled_true_difference"), &n);
    ppi_result r;
    assert_ok(NULL, ppi_paired(NULL, u, n_unlabelled, l, d, n, 0.05, &r));
    assert_close(r.lambda, vectors_number(e, "lambda"), tol);
    assert_close(r.tuned.estimate, vectors_number(e, "estimate"), tol);
    assert_close(r.tuned.standard_error, vectors_number(e, "standard_error"), tol);
    assert_close(r.tuned.range.low, json_number_value(json_array_get(range, 0)), tol);
    assert_close(r.tuned.range.high, json_number_value(json_array_get(range, 1)), tol);
    assert_close(r.plain.estimate, vectors_number(e, "lambda1_estimate"), tol);
    assert_close(r.plain.standard_error, vectors_number(e, "lambda1_standard_error"), tol);
    assert_close(r.labels_only.estimate, vectors_number(e, "labels_only_estimate"), tol);
    assert_close(r.labels_only.standard_error, vectors_number(e, "labels_only_standard_error"),
                 tol);
    assert_close(special_student_quantile(0.975, 7), vectors_number(e, "t_0.975_df7"), tol);
    free(u);
    free(l);
    free(d);
    json_decref(all);
}

/* A judge passes a right answer with `true_pass`, a wrong one with `false_pass`; `favour` is added
 * for the candidate. */
typedef struct judge {
    const char *name;
    double true_pass, false_pass, favour;
} judge;

static const judge judges[] = {
    {"good", 0.9, 0.1, 0}, {"poor", 0.6, 0.5, 0}, {"partial to the candidate", 0.75, 0.30, 0.1}};

typedef struct gates {
    int covered, promoted, judge_promoted;
    double width; /* mean, against labels only */
} gates;

/* `runs` gates of 800 items, n of them labelled, the candidate truly better by `gain`. */
static gates simulate(const judge *j, double gain, size_t n, int runs, uint64_t seed) {
    enum { ITEMS = 800 };
    gates g = {0};
    rng r = rng_new(seed);
    for (int run = 0; run < runs; run++) {
        double judged[ITEMS], truth[ITEMS];
        for (size_t i = 0; i < ITEMS; i++) {
            /* Versions of one lineage mostly agree: the candidate keeps the incumbent's result with
             * probability 0.6. */
            bool b = rng_uniform(&r) < 0.4, c = rng_uniform(&r) < 0.4;
            if (rng_uniform(&r) < 0.6)
                c = b;
            if (!c && rng_uniform(&r) < gain / 0.6) /* P(c wrong) = 0.6, so the gain is exact */
                c = true;
            bool f_b = rng_uniform(&r) < (b ? j->true_pass : j->false_pass);
            bool f_c = rng_uniform(&r) < (c ? j->true_pass : j->false_pass) + j->favour;
            truth[i] = (double)c - b;
            judged[i] = (double)f_c - f_b;
        }
        ppi_result p; /* items are exchangeable, so the first n are a random subset */
        assert_ok(NULL, ppi_paired(NULL, judged + n, ITEMS - n, judged, truth, n, 0.05, &p));
        g.covered += p.tuned.range.low <= gain && gain <= p.tuned.range.high;
        g.promoted += p.tuned.range.low > 0;
        g.judge_promoted += p.judge_only.range.low > 0;
        g.width += p.tuned.standard_error / p.labels_only.standard_error / runs;
    }
    return g;
}

static void gate__interval_covers_and_null_is_not_promoted(void **state) {
    (void)state;
    enum { RUNS = 1000 };
    for (size_t k = 0; k < sizeof judges / sizeof *judges; k++) {
        gates null = simulate(&judges[k], 0, 100, RUNS, 100 + k);
        gates gain = simulate(&judges[k], 0.15, 100, RUNS, 200 + k);
        assert_true(null.covered >= 0.93 * RUNS);
        assert_true(gain.covered >= 0.93 * RUNS);
        assert_true(null.promoted <= (0.05 + 2 * sqrt(0.05 * 0.95 / RUNS)) * RUNS);
        assert_true(gain.promoted >= 0.6 * RUNS); /* the gate also lets a real gain through */
        assert_true(null.width < 1.02);           /* a useless critic costs nothing */
        if (k == 0)
            assert_true(null.width < 0.95); /* a good one buys precision */
    }
}

static void gate__judge_alone_promotes_nothing_into_something(void **state) {
    (void)state;
    gates g = simulate(&judges[2], 0, 100, 1000, 300);
    assert_true(g.judge_promoted > 900);
}

/* By hand: of the known part the mean is 1/4 and its variance 1/16; both parts weigh by items, and without a known part nothing changes. */
static void ppi__stratified_weighs_parts_by_their_items(void **state) {
    (void)state;
    const double known[] = {1, 0, 0, 0}, rest[] = {0.5, 0, -0.5, 0.25, 0, 0.25}, judge[] = {0.5, -0.25, 0, 0.25, 0, 0.5},
                 truth[] = {1, 0, 0, 0, -1, 1};
    ppi_result alone, r;
    assert_ok(NULL, ppi_paired(NULL, rest, 6, judge, truth, 6, 0.1, &alone));
    assert_ok(NULL, ppi_stratified(NULL, known, 0, rest, 6, judge, truth, 6, 0.1, &r));
    assert_true(r.tuned.estimate == alone.tuned.estimate && r.tuned.range.low == alone.tuned.range.low && r.n_known == 0);
    assert_ok(NULL, ppi_stratified(NULL, known, 4, rest, 6, judge, truth, 6, 0.1, &r));
    const double se = alone.tuned.standard_error, a = 0.0625 / 16, b = 9. / 16 * se * se, df = (a + b) * (a + b) / (a * a / 3 + b * b / 5);
    assert_true(r.n_known == 4 && r.lambda == alone.lambda && r.lambda > 0);
    assert_close(r.tuned.estimate, 0.25 * 0.25 + 0.75 * alone.tuned.estimate, 1e-12);
    assert_close(r.tuned.standard_error, sqrt(a + b), 1e-12);
    assert_close(r.tuned.range.high - r.tuned.estimate, special_student_quantile(0.95, df) * sqrt(a + b), 1e-12);
    assert_close(r.judge_only.estimate, 0.25 * 0.25 + 0.75 * alone.judge_only.estimate, 1e-12);
    assert_ok(NULL, ppi_stratified(NULL, known, 1, rest, 6, judge, truth, 6, 0.1, &r)); /* one item, of variance 1 */
    assert_close(r.tuned.standard_error, sqrt(1. / 169 + 144. / 169 * se * se), 1e-12);
}

/* A critic that is wrong about the sign is not listened to, and one that is too modest not made bolder than it is; the judge's own interval is that of all items. */
static void ppi__lambda_stays_between_nothing_and_all(void **state) {
    (void)state;
    const double rest[] = {0.1, -0.1, 0.1, 0, 0, 0.05}, judge[] = {0.1, -0.1, 0, 0.05}, same[] = {1, -1, 0, 1}, opposite[] = {-1, 1, 0, -1};
    const double known[] = {1, 0, 0, -1}, constant[] = {0.5, 0.5, 0.5, 0.5};
    ppi_result r, s;
    assert_ok(NULL, ppi_paired(NULL, rest, 6, judge, opposite, 4, 0.1, &r));
    assert_true(r.lambda == 0 && r.tuned.estimate == r.labels_only.estimate && r.tuned.range.low == r.labels_only.range.low);
    assert_ok(NULL, ppi_paired(NULL, rest, 6, judge, same, 4, 0.1, &r));
    assert_true(r.lambda == 1 && r.tuned.estimate == r.plain.estimate);
    assert_close(r.judge_only.range.high - r.judge_only.estimate, special_student_quantile(0.95, 9) * r.judge_only.standard_error, 1e-12);
    assert_close(r.labels_only.range.high - r.labels_only.estimate, special_student_quantile(0.95, 3) * r.labels_only.standard_error, 1e-12);
    assert_ok(NULL, ppi_stratified(NULL, known, 4, rest, 6, judge, same, 4, 0.1, &s));
    const double se = r.judge_only.standard_error, a = 16. / 196 * (2. / 3 / 4), b = 100. / 196 * se * se, df = (a + b) * (a + b) / (a * a / 3 + b * b / 9);
    assert_close(s.judge_only.standard_error, sqrt(a + b), 1e-12);
    assert_close(s.judge_only.range.high - s.judge_only.estimate, special_student_quantile(0.95, df) * sqrt(a + b), 1e-12);
    assert_ok(NULL, ppi_paired(NULL, constant, 4, constant, same, 4, 0.1, &r));
    assert_true(r.lambda == 0);
}

static void ppi__refuses_what_has_no_interval(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double x[] = {0, 0.5, 2};
    ppi_result r;
    assert_int_equal(ppi_paired(ctx, x, 2, x, x, 1, 0.05, &r), AGON_EINVAL);
    assert_int_equal(ppi_paired(ctx, x, 2, x, x, 3, 0.05, &r),
                     AGON_EINVAL); /* 2 is no difference */
    assert_int_equal(ppi_stratified(ctx, x, 3, x, 2, x, x, 2, 0.05, &r), AGON_EINVAL);
    assert_int_equal(ppi_stratified(ctx, x, 2, x, 2, x, x, 1, 0.05, &r), AGON_EINVAL);
    assert_int_equal(ppi_paired(ctx, x, 3, x, x, 2, 0.05, &r), AGON_EINVAL);     /* one of the three each */
    assert_int_equal(ppi_paired(ctx, x, 2, x + 1, x, 2, 0.05, &r), AGON_EINVAL);
    assert_int_equal(ppi_paired(ctx, x, 2, x, x + 1, 2, 0.05, &r), AGON_EINVAL);
    assert_int_equal(ppi_paired(ctx, x, 1, x, x, 2, 0.05, &r), AGON_EINVAL);
    assert_ok(ctx, ppi_paired(ctx, NULL, 0, x, x, 2, 0.05, &r)); /* labels only */
    assert_true(r.lambda == 0 && r.tuned.estimate == r.labels_only.estimate && r.plain.estimate == r.labels_only.estimate);
    assert_close(r.labels_only.estimate, 0.25, 1e-12);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ppi__paired_matches_vector),
        cmocka_unit_test(gate__interval_covers_and_null_is_not_promoted),
        cmocka_unit_test(gate__judge_alone_promotes_nothing_into_something),
        cmocka_unit_test(ppi__stratified_weighs_parts_by_their_items),
        cmocka_unit_test(ppi__lambda_stays_between_nothing_and_all),
        cmocka_unit_test(ppi__refuses_what_has_no_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* selective.h against its vectors, and its promise by simulation (spec: loop 3.7 ACC). */
#include "vectors.h"
#include "base/random.h"
#include "eval/interval.h"
#include "eval/selective.h"

static const selective_options usual = {.alpha = 0.15, .delta = 0.1, .n_min = 30};

static void selective__matches_vectors(void **state) {
    (void)state;
    json_t *all = vectors_load("loop_vectors.json");
    const json_t *v = json_object_get(json_object_get(all, "vectors"), "selective_judge"), *c;
    double tol = vectors_number(v, "tol");
    size_t n, i;
    double *conf = vectors_list(json_object_get(v, "conf"), &n);
    bool *err = vectors_flags(json_object_get(v, "err"), &n);
    assert_true(json_array_size(json_object_get(v, "cases")) > 0);
    json_array_foreach(json_object_get(v, "cases"), i, c) {
        selective_options o = {vectors_number(c, "alpha"), vectors_number(c, "delta"),
                               vectors_count(c, "nmin")};
        selective_result r;
        assert_ok(NULL, selective_judge(NULL, conf, err, n, &o, &r));
        const json_t *lambda = json_object_get(c, "lambda_hat"), *last = json_object_get(c, "last");
        assert_int_equal(r.abstain, json_is_null(lambda));
        if (!r.abstain) {
            assert_close(r.lambda, json_number_value(lambda), tol);
            assert_close(r.risk, vectors_number(c, "empirical_risk"), tol);
        }
        assert_close(r.coverage, vectors_number(c, "coverage"), tol);
        assert_int_equal(r.n_tested, vectors_count(c, "steps_tested"));
        assert_close(r.last_lambda, json_number_value(json_array_get(last, 0)), tol);
        assert_int_equal(r.last_n, json_integer_value(json_array_get(last, 1)));
        assert_int_equal(r.last_errors, json_integer_value(json_array_get(last, 2)));
        assert_close(r.last_bound, json_number_value(json_array_get(last, 3)), tol);
    }
    free(conf);
    free(err);
    json_decref(all);
}

/* The threshold is the confidence of an item that was tested, so that item is decided itself, and nothing below it. */
static void selective__decides_from_the_threshold_on(void **state) {
    (void)state;
    enum { N = 60 };
    const selective_options o = usual;
    double conf[N];
    bool err[N] = {0};
    selective_result r;
    for (int i = 0; i < N; i++)
        conf[i] = 0.5 + 0.005 * i;
    assert_ok(NULL, selective_judge(NULL, conf, err, N, &o, &r));
    assert_false(r.abstain);
    assert_close(r.lambda, 0.5, 0);
    assert_true(selective_decides(&r, 0.5) && selective_decides(&r, 1));
    assert_false(selective_decides(&r, nextafter(0.5, 0)));
    r.abstain = true;
    assert_false(selective_decides(&r, 1));
}

/* Sixty right ones, then wrong ones of less confidence: alpha lets the threshold fall among these, the judge's own verdict does not. */
static void selective__own_verdict__raises_the_threshold(void **state) {
    (void)state;
    enum { N = 120, RIGHT = 60 };
    double conf[N];
    bool err[N], own[N];
    selective_result r, raised;
    for (int i = 0; i < N; i++) {
        conf[i] = 0.99 - 0.005 * i;
        err[i] = i >= RIGHT;
        own[i] = i < RIGHT;
    }
    assert_ok(NULL, selective_judge(NULL, conf, err, N, &usual, &r));
    assert_true(!r.abstain && r.lambda < conf[RIGHT] && r.risk > 0);
    raised = r;
    selective_own(conf, err, own, N, usual.n_min, &raised);
    assert_false(raised.abstain);
    assert_close(raised.lambda, conf[RIGHT - 1], 0);
    assert_close(raised.risk, 0, 0);
    assert_close(raised.coverage, 0.5, 1e-12);
    for (int i = 0; i < N; i++) /* all its own: as it was */
        own[i] = true;
    raised = r;
    selective_own(conf, err, own, N, usual.n_min, &raised);
    assert_memory_equal(&raised.lambda, &r.lambda, sizeof r.lambda);
    assert_close(raised.coverage, r.coverage, 1e-12);
    for (int i = 0; i < N; i++) /* fewer than are tested: none */
        own[i] = i < (int)usual.n_min - 1;
    raised = r;
    selective_own(conf, err, own, N, usual.n_min, &raised);
    assert_true(raised.abstain && !selective_decides(&raised, 1));
    selective_own(conf, err, own, N, usual.n_min, &raised); /* and stays so */
    assert_true(raised.abstain);
}

/* True error at confidence c under three judges; 2,000 calibrations each of 300 items. A violation:
 * the error among what the threshold lets through, exactly integrated, is above alpha. */
static double true_error(int judge, double c) {
    return judge == 0 ? 0.05 + 0.5 * (1 - c) : judge == 1 ? 0.16 : 0.5;
}

static void selective__keeps_its_promise(void **state) {
    (void)state;
    enum { RUNS = 2000, N = 300 };
    selective_options o = usual;
    rng r = rng_new(9);
    for (int judge = 0; judge < 3; judge++) {
        int violations = 0, escalated_all = 0;
        for (int run = 0; run < RUNS; run++) {
            double conf[N];
            bool err[N];
            for (int i = 0; i < N; i++) {
                conf[i] = 0.5 + 0.5 * rng_uniform(&r);
                err[i] = rng_uniform(&r) < true_error(judge, conf[i]);
            }
            selective_result s;
            assert_ok(NULL, selective_judge(NULL, conf, err, N, &o, &s));
            escalated_all += s.abstain;
            /* Linear error: its mean above lambda is its value in the middle. */
            violations += !s.abstain && true_error(judge, (1 + s.lambda) / 2) > o.alpha;
        }
        double limit = o.delta + 3 * sqrt(o.delta * (1 - o.delta) / RUNS);
        assert_true(violations <= limit * RUNS);
        if (judge == 0)
            assert_true(escalated_all < 0.75 * RUNS); /* it also has to be of use */
        if (judge == 2)
            assert_int_equal(escalated_all, RUNS);
    }
}

static void selective__abstains_on_everything_when_the_top_fails(void **state) {
    (void)state;
    double conf[40];
    bool err[40];
    for (int i = 0; i < 40; i++) {
        conf[i] = i < 30 ? 0.99 : 0.6;
        err[i] = i < 15; /* bad at the top, perfect below: the top decides */
    }
    selective_options o = usual;
    selective_result r;
    assert_ok(NULL, selective_judge(NULL, conf, err, 40, &o, &r));
    assert_true(r.abstain && !selective_decides(&r, 1.0) && r.n_tested == 1);
    assert_ok(NULL, selective_judge(NULL, conf, err, 0, &o, &r));
    assert_true(r.abstain && r.n_tested == 0);
}

static void selective__least_is_where_no_error_just_passes(void **state) {
    (void)state;
    for (double alpha = 0.05; alpha < 0.5; alpha += 0.05)
        for (double delta = 0.05; delta < 0.3; delta += 0.05) {
            size_t least = selective_least(alpha, delta);
            assert_true(clopper_pearson_upper(0, least, delta) <= alpha + 1e-9);
            assert_true(least == 1 || clopper_pearson_upper(0, least - 1, delta) > alpha);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selective__matches_vectors),
        cmocka_unit_test(selective__decides_from_the_threshold_on),
        cmocka_unit_test(selective__own_verdict__raises_the_threshold),
        cmocka_unit_test(selective__keeps_its_promise),
        cmocka_unit_test(selective__abstains_on_everything_when_the_top_fails),
        cmocka_unit_test(selective__least_is_where_no_error_just_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

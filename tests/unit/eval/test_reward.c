/* Rewards against training_vectors.json: rm.ensemble, rm.process, rm.overoptimisation. */
#include "eval/reward.h"
#include "base/random.h"
#include "training_vectors.h"

static void ensemble__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("rm.ensemble", &root);
    double rewards[20], out[4];
    assert_int_equal(numbers(get(v, "inputs", "rewards"), rewards, 20), 20);
    const struct {
        ensemble_rule rule;
        double strength;
        bool unbiased;
        const char *key, *best;
    } cases[] = {{ENSEMBLE_MEAN, 0, false, "mean", "best_mean"},
                 {ENSEMBLE_WORST, 0, false, "wco", "best_wco"},
                 {ENSEMBLE_UNCERTAIN, 0.5, false, "uwo", "best_uwo"},
                 {ENSEMBLE_UNCERTAIN, 0.5, true, "uwo_if_sample_var", "best_uwo"},
                 {ENSEMBLE_UNCERTAIN, 1, false, "uwo_lambda1", "best_uwo_lambda1"},
                 {ENSEMBLE_LOWER_BOUND, 1, false, "lcb", "best_lcb"}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        size_t best = 0;
        ensemble_rewards(rewards, 5, 4, cases[c].rule, cases[c].strength, cases[c].unbiased, out);
        expect_numbers(v, cases[c].key, out, 1e-9);
        for (size_t i = 1; i < 4; i++)
            best = out[i] > out[best] ? i : best;
        assert_int_equal(best, (size_t)number(v, "expected", cases[c].best));
    }
    json_decref(root);
}

/* Planted rewards, members that err independently: by the mean, best-of-n falls for lucky errors; the conservative
 * rules pick answers that are truly better. */
static void ensemble__conservative_rules_resist(void **state) {
    (void)state;
    enum { N = 64, K = 5, TRIALS = 300 };
    static double rewards[K * N], gold[N], out[N];
    rng r = rng_new(5);
    double chosen[3] = {0};
    for (int trial = 0; trial < TRIALS; trial++) {
        for (size_t i = 0; i < N; i++) {
            gold[i] = rng_normal(&r);
            double risk = rng_uniform(&r) < 0.2 ? 8 : 0.2; /* some answers lie outside what members know */
            for (size_t m = 0; m < K; m++)
                rewards[m * N + i] = gold[i] + risk * rng_normal(&r);
        }
        const ensemble_rule rules[3] = {ENSEMBLE_MEAN, ENSEMBLE_WORST, ENSEMBLE_UNCERTAIN};
        for (size_t c = 0; c < 3; c++) {
            size_t best = 0;
            ensemble_rewards(rewards, K, N, rules[c], 0.5, false, out);
            for (size_t i = 1; i < N; i++)
                best = out[i] > out[best] ? i : best;
            chosen[c] += gold[best] / TRIALS;
        }
    }
    assert_true(chosen[0] < 0.6);
    assert_true(chosen[1] > 1.5 && chosen[2] > 1.5);
}

/* How far members disagree, and whether they err alike: what is common because it is right is no common error. */
static void ensemble__errors_are_told_from_what_is_right(void **state) {
    agon_ctx *ctx = *state;
    enum { N = 4000, K = 3 };
    static double rewards[K * N];
    static bool right[N];
    rng r = rng_new(9);
    for (size_t i = 0; i < N; i++) {
        double shared = rng_normal(&r);
        right[i] = rng_uniform(&r) < 0.5;
        for (size_t m = 0; m < K; m++) /* a half of the error's variance is common */
            rewards[m * N + i] = 3 * right[i] + sqrt(0.5) * (shared + rng_normal(&r));
    }
    assert_close(ensemble_correlation(rewards, K, N, right), 0.5, 0.04);
    assert_true(ensemble_correlation(rewards, K, N, NULL) > 0.8);
    assert_true(isnan(ensemble_correlation(rewards, 1, N, right)));
    const double two[6] = {1, 2, 3, 1, 4, 7}, flat[4] = {1, 1, 2, 3};
    assert_close(ensemble_correlation(two, 2, 3, NULL), 1, 1e-12);
    assert_close(ensemble_disagreement(two, 2, 3), (0 + 1 + 2) / 3.0, 1e-12);
    for (size_t i = 0; i < 3; i++)
        assert_close(ensemble_deviation(two, 2, 3, i), (double)i, 1e-12);
    assert_true(isnan(ensemble_correlation(flat, 2, 2, NULL)));
    ensemble_rule rule;
    static const char *const names[] = {"mean", "wco", "uwo", "lcb"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(ctx, ensemble_rule_find(ctx, names[i], -1, &rule));
        assert_int_equal(ensemble_rule_find(ctx, names[i], 0, &rule), i == 2 || i == 3 ? AGON_OK : AGON_EINVAL);
        assert_int_equal(rule, i);
    }
    assert_int_equal(ensemble_rule_find(ctx, "worst", -1, &rule), AGON_EINVAL);
    static const double none[] = {NAN, INFINITY, 2e6};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ensemble_rule_find(ctx, "uwo", none[i], &rule), AGON_EINVAL);
    assert_close(ensemble_strength(ENSEMBLE_UNCERTAIN, -1), 0.5, 0);
    assert_close(ensemble_strength(ENSEMBLE_LOWER_BOUND, -1), 1, 0);
    assert_close(ensemble_strength(ENSEMBLE_LOWER_BOUND, 0), 0, 0);
}

static void process__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("rm.process", &root);
    double p[4];
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        if (element(v, "inputs", "step_label", i) >= 0)
            p[n++] = 1 / (1 + exp(-element(v, "inputs", "step_logit", i)));
    expect_numbers(v, "step_prob", p, 1e-9);
    assert_close(process_score(p, n, PROCESS_PRODUCT), number(v, "expected", "agg_product"), 1e-9);
    assert_close(process_score(p, n, PROCESS_LEAST), number(v, "expected", "agg_min"), 1e-9);
    assert_close(process_score(p, n, PROCESS_LAST), number(v, "expected", "agg_last"), 1e-9);
    for (size_t i = 0; i < 3; i++) {
        bool correct[4];
        for (size_t j = 0; j < 4; j++)
            correct[j] = cell(v, "inputs", "rollout_correct", i, j) != 0;
        assert_close(rollout_label(correct, 4, false), element(v, "expected", "mc_soft", i), 0);
        assert_close(rollout_label(correct, 4, true), element(v, "expected", "mc_hard", i), 0);
    }
    json_decref(root);
}

static void overoptimisation__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rm.overoptimisation", &root);
    double kl[4];
    for (size_t i = 0; i < 4; i++)
        kl[i] = best_of_n_kl(element(v, "inputs", "n", i));
    expect_numbers(v, "kl", kl, 1e-9);
    const char *keys[2] = {"rl", "bon"}, *peaks[2] = {"rl_peak_d", "bon_peak_d"}, *tops[2] = {"rl_peak_R", "bon_peak_R"};
    for (int bon = 0; bon < 2; bon++) {
        json_t *in = get(v, "inputs", keys[bon]);
        overoptimisation c = {json_number_value(json_object_get(in, "a")), json_number_value(json_object_get(in, "b")), bon};
        double d = overoptimisation_peak(&c);
        assert_close(d, number(v, "expected", peaks[bon]), 1e-9);
        assert_close(overoptimisation_reward(&c, d), number(v, "expected", tops[bon]), 1e-9);
        double x[5] = {0.5, 1, 1.5, 2, 4}, y[5];
        for (size_t i = 0; i < 5; i++)
            y[i] = overoptimisation_reward(&c, x[i]);
        overoptimisation fit;
        assert_ok(ctx, overoptimisation_fit(ctx, x, y, 5, bon, &fit));
        assert_close(fit.a, c.a, 1e-9);
        assert_close(fit.b, c.b, 1e-9);
        assert_int_equal(overoptimisation_fit(ctx, x, y, 1, bon, &fit), AGON_EINVAL);
    }
    assert_true(isinf(overoptimisation_peak(&(overoptimisation){1, 0, true})));
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ensemble__agrees_with_the_vector),
        cmocka_unit_test(ensemble__conservative_rules_resist),
        cmocka_unit_test(ensemble__errors_are_told_from_what_is_right),
        cmocka_unit_test(process__agrees_with_the_vector),
        cmocka_unit_test(overoptimisation__agrees_with_the_vector),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

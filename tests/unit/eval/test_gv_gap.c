/* gv_gap.h against its vectors, a search over all thresholds, and verifiers of known quality. */
#include "vectors.h"
#include "base/random.h"
#include "eval/gv_gap.h"

enum { MOST = 64, DRAWS = 200 };

static gv_gap gap_of(const gv_prompt *prompts, size_t n) {
    gv_gap g;
    assert_ok(NULL, gv_gap_of(NULL, prompts, n, DRAWS, 1, &g));
    return g;
}

static void check_gap(const json_t *c, double tol) {
    const json_t *prompts = json_object_get(c, "prompts");
    gv_prompt all[MOST];
    const size_t n = json_array_size(prompts);
    assert_true(n > 0 && n <= MOST);
    for (size_t i = 0; i < n; i++) {
        double utility[MOST], score[MOST];
        const json_t *answers = json_array_get(prompts, i);
        for (size_t j = 0; j < json_array_size(answers); j++) {
            utility[j] = json_number_value(json_array_get(json_array_get(answers, j), 0));
            score[j] = json_number_value(json_array_get(json_array_get(answers, j), 1));
        }
        all[i] = gv_reweight(utility, score, json_array_size(answers), vectors_number(c, "tau"));
    }
    const gv_gap g = gap_of(all, n);
    assert_close(g.before.mean, vectors_number(c, "J_gen"), tol);
    assert_close(g.after.mean, vectors_number(c, "J_reweighted"), tol);
    assert_close(g.gap.mean, vectors_number(c, "gap"), tol);
    assert_close(g.relative.mean, vectors_number(c, "gap_rel_aggregate"), tol);
    assert_close(g.relative_per_prompt.mean, vectors_number(c, "gap_rel_per_prompt"), tol);
    assert_int_equal(g.n, n);
    assert_int_equal(g.n_relative, 3);
    assert_int_equal(g.n_unchanged, 1);
    assert_true(g.gap.range.low <= g.gap.mean && g.gap.mean <= g.gap.range.high);
}

static void gv_gap__matches_vectors(void **state) {
    (void)state;
    vectors_each("gv_gap", check_gap);
}

static void gv_gap__keeps_what_is_scored(void **state) {
    (void)state;
    const double utility[] = {1, 0, 0, 1}, score[] = {0.9, NAN, 0.5, 0.5};
    gv_prompt p = gv_reweight(utility, score, 4, 0.5);
    assert_close(p.after, 2.0 / 3, 1e-15);
    assert_int_equal(p.n_kept, 3);
    p = gv_reweight(utility, score, 4, -INFINITY); /* no threshold: as if nobody had been asked */
    assert_close(p.after, 0.5, 0);
    assert_int_equal(p.n_kept, 4);
    p = gv_reweight(utility, score, 4, 1);
    assert_close(p.after, 0.5, 0);
    assert_int_equal(p.n_kept, 0);
    assert_close(gv_best_scored(utility, score, 4), 1, 0);
    assert_close(gv_best_scored(utility + 1, score + 1, 3), 0.5, 0); /* a tie */
    assert_close(gv_best_scored(utility + 1, score + 1, 1), 0, 0);
    assert_close(gv_best_scored(utility, (double[]){NAN, NAN, NAN, NAN}, 4), 0.5, 0);
}

static void gv_gap__has_no_relative_gap_where_all_is_right(void **state) {
    (void)state;
    gv_prompt p[] = {{1, 1, 2}, {1, 1, 1}};
    gv_gap g = gap_of(p, 2);
    assert_true(isnan(g.relative.mean) && isnan(g.relative_per_prompt.mean) && isnan(g.relative.range.low));
    assert_int_equal(g.n_relative, 0);
    p[1] = (gv_prompt){0.5, 1, 1}; /* draws of the first one alone are left out */
    g = gap_of(p, 2);
    assert_close(g.relative.mean, 1, 0);
    assert_close(g.relative.range.low, 1, 0);
    assert_int_equal(gv_gap_of(NULL, p, 0, DRAWS, 1, &g), AGON_EINVAL);
    assert_int_equal(gv_gap_of(NULL, p, 2, 0, 1, &g), AGON_EINVAL);
}

static double gap_at(const double *utility, const double *score, size_t n_prompts, size_t n_samples, double tau) {
    double sum = 0;
    for (size_t i = 0; i < n_prompts; i++) {
        gv_prompt p = gv_reweight(utility + i * n_samples, score + i * n_samples, n_samples, tau);
        sum += p.after - p.before;
    }
    return sum / (double)n_prompts;
}

static void gv_threshold__is_the_best_of_all(void **state) {
    (void)state;
    enum { P = 6, K = 8 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        rng r = rng_new(seed);
        double utility[P * K], score[P * K], tau, gap, best = 0, lowest = -INFINITY;
        for (size_t i = 0; i < P * K; i++) {
            utility[i] = rng_uniform(&r) < 0.4;
            score[i] = rng_below(&r, 12) == 0 ? NAN : (double)rng_below(&r, 7) + (seed % 2 ? 2 * utility[i] : -utility[i]);
        }
        for (size_t i = 0; i < P * K; i++) {
            const double g = isnan(score[i]) ? 0 : gap_at(utility, score, P, K, score[i]);
            if (g > best + 1e-12 || (g > best - 1e-12 && g > 1e-12 && score[i] < lowest))
                best = g, lowest = score[i];
        }
        assert_ok(NULL, gv_threshold(NULL, utility, score, P, K, &tau, &gap));
        assert_close(gap, best, 1e-12);
        assert_true(tau == lowest);
        assert_close(gap_at(utility, score, P, K, tau), gap, 1e-12);
    }
}

/* Nothing is gained: no threshold. */
static void gv_threshold__is_none_where_nothing_gains(void **state) {
    (void)state;
    const double utility[] = {1, 0, 1, 1}, same[] = {0.3, 0.3, 0.3, 0.3}, wrong[] = {0, 1, 0, 0}, silent[] = {NAN, NAN, NAN, NAN};
    const double *const scores[] = {same, wrong, silent};
    double tau, gap;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(NULL, gv_threshold(NULL, utility, scores[i], 2, 2, &tau, &gap));
        assert_true(tau == -INFINITY);
        assert_close(gap, 0, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gv_gap__matches_vectors),
        cmocka_unit_test(gv_gap__keeps_what_is_scored),
        cmocka_unit_test(gv_gap__has_no_relative_gap_where_all_is_right),
        cmocka_unit_test(gv_threshold__is_the_best_of_all),
        cmocka_unit_test(gv_threshold__is_none_where_nothing_gains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

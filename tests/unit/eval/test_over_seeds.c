/* Intervals over few seeds: worked figures, and coverage where seeds differ, where the bootstrap alone is too short. */
#include "eval/over_seeds.h"
#include "base/random.h"
#include "test.h"

enum { N = 60, MOST = 5, DRAWS = 200, TRIALS = 1200 };

/* Answers right under three seeds, points: docs/results.md, forms of feedback. */
static void student__of_published_figures(void **state) {
    (void)state;
    const double full[] = {24.3 - 18.7, 23.3 - 15.3, 28.0 - 13.3}, refined[] = {27.3 - 18.7, 29.7 - 15.3, 29.3 - 13.3};
    const interval a = over_seeds_student(full, NULL, 3, 0.05), b = over_seeds_student(refined, NULL, 3, 0.05);
    assert_close(a.low, -2.3, 0.05);
    assert_close(a.high, 21.1, 0.05);
    assert_close(b.low, 3.3, 0.05);
    assert_close(b.high, 22.7, 0.05);
}

/* A ratio with the same denominator under every seed is a mean; one that is the same under every seed has no error. */
static void ratio__is_linearised(void **state) {
    (void)state;
    const double above[] = {1, 2, 4, 5}, same[] = {2, 2, 2, 2}, gap[] = {1, 3, 2, 4};
    const double halved[] = {0.5, 1, 2, 2.5}, z[] = {(1 - 1.2 * 1) / 2.5, (2 - 1.2 * 3) / 2.5, (4 - 1.2 * 2) / 2.5, (5 - 1.2 * 4) / 2.5};
    assert_close(over_seeds_error(above, same, 4), over_seeds_error(halved, NULL, 4), 1e-12);
    assert_close(over_seeds_error(above, gap, 4), over_seeds_error(z, NULL, 4), 1e-12);
    const interval r = over_seeds_student(above, gap, 4, 0.05);
    assert_close((r.low + r.high) / 2, 1.2, 1e-12);
    assert_close(over_seeds_error(gap, gap, 4), 0, 1e-12);
}

static void one_seed_and_no_gap__say_nothing(void **state) {
    (void)state;
    const double v[] = {1, 2, 3}, none[] = {1, -1, 0};
    const interval drawn = {0.5, 0.75};
    assert_true(isnan(over_seeds_error(v, NULL, 1)) && isnan(over_seeds_student(v, NULL, 1, 0.05).low));
    assert_true(isnan(over_seeds_student(v, none, 3, 0.05).high));
    assert_close(over_seeds_wider(drawn, v, NULL, 1, 0.05).high, 0.75, 0);
    assert_close(over_seeds_wider(drawn, v, none, 3, 0.05).low, 0.5, 0);
    assert_true(isnan(over_seeds_wider((interval){NAN, NAN}, v, NULL, 3, 0.05).low));
    assert_close(over_seeds_wider(drawn, v, NULL, 3, 0.05).low, over_seeds_student(v, NULL, 3, 0.05).low, 0);
    assert_close(over_seeds_wider((interval){-50, 50}, v, NULL, 3, 0.05).low, -50, 0);
}

/* Share of trials whose interval holds the planted 0: seeds differ by `ratio` times a seed's error over items, half of which items share. */
static double coverage(agon_ctx *ctx, size_t n_seeds, double ratio, rng *r) {
    double x[MOST * N], y[N] = {0}, mean, item[N];
    size_t covered = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        interval range;
        for (size_t i = 0; i < N; i++)
            item[i] = rng_normal(r) * sqrt(0.5);
        for (size_t s = 0; s < n_seeds; s++) {
            double seed = rng_normal(r) * ratio / sqrt(N);
            for (size_t i = 0; i < N; i++)
                x[s * N + i] = seed + item[i] + rng_normal(r) * sqrt(0.5);
        }
        assert_ok(ctx, over_seeds_difference(ctx, x, y, false, n_seeds, N, DRAWS, (uint64_t)trial, &mean, &range));
        covered += range.low <= 0 && 0 <= range.high;
    }
    return (double)covered / TRIALS;
}

/* 1,200 trials: a standard error of 0.007 or less. The bootstrap alone covers 0.75 to 0.84 at 3 seeds and 0.84 to 0.90 at 5 where seeds differ. */
static void difference__covers_where_seeds_differ(void **state) {
    static const double ratios[] = {0, 4, 10};
    rng r = rng_new(3);
    for (size_t i = 0; i < 3; i++)
        for (size_t n = 3; n <= MOST; n += 2) {
            double share = coverage(*state, n, ratios[i], &r);
            print_message("%zu seeds, ratio %g: %.3f\n", n, ratios[i], share);
            assert_true(share >= 0.92);
        }
}

static void difference__is_of_pairs(void **state) {
    agon_ctx *ctx = *state;
    const double x[] = {1, 0, 1, 1}, y[] = {0, 0, 1, 0}, shared[] = {0, 1};
    double mean;
    interval range, again;
    assert_ok(ctx, over_seeds_difference(ctx, x, y, true, 2, 2, DRAWS, 1, &mean, &range));
    assert_close(mean, 0.5, 1e-15);
    assert_ok(ctx, over_seeds_difference(ctx, x, y, true, 2, 2, DRAWS, 1, &mean, &again));
    assert_memory_equal(&range, &again, sizeof range);
    assert_ok(ctx, over_seeds_difference(ctx, x, shared, false, 2, 2, DRAWS, 1, &mean, &range));
    assert_close(mean, 0.25, 1e-15);
    assert_int_equal(over_seeds_difference(ctx, x, y, true, 0, 2, DRAWS, 1, &mean, &range), AGON_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student__of_published_figures),
        cmocka_unit_test(ratio__is_linearised),
        cmocka_unit_test(one_seed_and_no_gap__say_nothing),
        cmocka_unit_test(difference__covers_where_seeds_differ),
        cmocka_unit_test(difference__is_of_pairs),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

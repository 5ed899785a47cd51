/* Performance gap recovered against training_vectors.json: w2s.pgr; its interval on planted scores and where seeds differ. */
#include "eval/recovery.h"
#include "base/random.h"
#include "training_vectors.h"

enum { SEEDS = 3, N = 400 };

static void pgr__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("w2s.pgr", &root);
    double got[4];
    for (size_t i = 0; i < 4; i++)
        got[i] = gap_recovered(element(v, "inputs", "weak", i), element(v, "inputs", "w2s", i),
                               element(v, "inputs", "ceiling", i));
    expect_numbers(v, "pgr", got, 1e-9);
    json_decref(root);
}

static void fill(double *x, double p, rng *r) {
    for (size_t i = 0; i < SEEDS * N; i++)
        x[i] = rng_uniform(r) < p;
}

/* The interval covers the planted 0.6, is the same for the same seed, and says when the gap is noise. */
static void pgr__interval(void **state) {
    agon_ctx *ctx = *state;
    static double weak[SEEDS * N], student[SEEDS * N], ceiling[SEEDS * N];
    rng r = rng_new(2);
    size_t covered = 0;
    gap_recovery g, again;
    for (int trial = 0; trial < 60; trial++) {
        fill(weak, 0.6, &r), fill(student, 0.78, &r), fill(ceiling, 0.9, &r);
        assert_ok(ctx, gap_recovery_measure(ctx, weak, student, ceiling, SEEDS, N, 300, 9, 0.05, &g));
        covered += g.range.low <= 0.6 && 0.6 <= g.range.high;
        assert_true(!g.gap_is_noise);
    }
    assert_true(covered >= 52);
    assert_ok(ctx, gap_recovery_measure(ctx, weak, student, ceiling, SEEDS, N, 300, 9, 0.05, &again));
    assert_memory_equal(&g, &again, sizeof g);
    fill(ceiling, 0.61, &r);
    assert_ok(ctx, gap_recovery_measure(ctx, weak, student, ceiling, SEEDS, N, 300, 9, 0.05, &g));
    assert_true(g.gap_is_noise && g.n_undefined > 0);
    assert_ok(ctx, gap_recovery_measure(ctx, weak, student, weak, SEEDS, N, 50, 9, 0.05, &g));
    assert_true(isnan(g.pgr) && isnan(g.range.low) && g.n_undefined == 50);
    assert_int_equal(gap_recovery_measure(ctx, weak, student, ceiling, 0, N, 50, 9, 0.05, &g), AGON_EINVAL);
}

/* Seeds that differ by four times a seed's error over items: the bootstrap alone covers 334 of these 400. */
static void pgr__covers_where_seeds_differ(void **state) {
    agon_ctx *ctx = *state;
    static double weak[SEEDS * N], student[SEEDS * N], ceiling[SEEDS * N];
    rng r = rng_new(4);
    size_t covered = 0;
    for (int trial = 0; trial < 400; trial++) {
        gap_recovery g;
        for (size_t s = 0; s < SEEDS; s++) {
            const double differs = 0.1 * rng_normal(&r);
            for (size_t i = 0; i < N; i++) {
                weak[s * N + i] = rng_uniform(&r) < 0.4;
                student[s * N + i] = rng_uniform(&r) < 0.64 + differs;
                ceiling[s * N + i] = rng_uniform(&r) < 0.8;
            }
        }
        assert_ok(ctx, gap_recovery_measure(ctx, weak, student, ceiling, SEEDS, N, 200, 9, 0.05, &g));
        covered += g.range.low <= 0.6 && 0.6 <= g.range.high;
    }
    print_message("%zu of 400\n", covered);
    assert_true(covered >= 372);
}

static void imitation__is_seen_on_wrong_items(void **state) {
    (void)state;
    const int truth[6] = {1, 1, 0, 0, 1, 0}, weak[6] = {1, 0, 0, 1, 1, 1}, copy[6] = {1, 0, 0, 1, 1, 1};
    imitation all = imitation_measure(weak, copy, truth, 6), none = imitation_measure(weak, truth, truth, 6);
    assert_close(all.agree_right, 1, 0);
    assert_close(all.agree_wrong, 1, 0);
    assert_close(all.error_correlation, 1, 1e-12);
    assert_close(none.agree_wrong, 0, 0);
    assert_true(isnan(none.error_correlation));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pgr__agrees_with_the_vector),
        cmocka_unit_test(pgr__interval),
        cmocka_unit_test(pgr__covers_where_seeds_differ),
        cmocka_unit_test(imitation__is_seen_on_wrong_items),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

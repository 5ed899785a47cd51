/* The monitor's test: exact where it can be counted by hand, honest where the calibration is, and awake where it is not. */
#include "base/random.h"
#include "eval/shift.h"
#include "test.h"

enum { MOST = 64 };

static double p_value(agon_ctx *ctx, const double *p, const bool *right, size_t n) {
    double out = NAN;
    assert_ok(ctx, calibration_shift(ctx, p, right, n, &out));
    return out;
}

static void shift__small_cases__by_hand(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double half[10] = {.5, .5, .5, .5, .5, .5, .5, .5, .5, .5}, two[2] = {0.9, 0.2}, sure[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const bool all[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, none[10] = {0};
    assert_close(p_value(ctx, half, all, 10), 2.0 / 1024, 1e-15);
    assert_close(p_value(ctx, half, none, 0), 1, 0);
    assert_close(p_value(ctx, two, none, 2), 2 * 0.1 * 0.8, 1e-15); /* P(0 right) */
    assert_close(p_value(ctx, two, all, 2), 2 * 0.9 * 0.2, 1e-15);
    assert_close(p_value(ctx, sure, all, 10), 1, 1e-12); /* ten of ten is what it said */
    assert_true(p_value(ctx, sure, none, 10) < 1e-15);
    const double bad[1] = {1.5};
    double out;
    assert_int_equal(calibration_shift(ctx, bad, all, 1, &out), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* Share of 2,000 monitors that see a shift at 0.05, with `off` added to the true probability. */
static double alarms(agon_ctx *ctx, size_t n, double off, uint64_t seed) {
    double p[MOST];
    bool right[MOST];
    size_t seen = 0;
    rng r = rng_new(seed);
    for (int k = 0; k < 2000; k++) {
        for (size_t i = 0; i < n; i++) {
            p[i] = 0.3 + 0.65 * rng_uniform(&r);
            right[i] = rng_uniform(&r) < p[i] + off;
        }
        seen += p_value(ctx, p, right, n) <= 0.05;
    }
    return (double)seen / 2000;
}

static void shift__calibrated__is_left_alone__else_seen(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_true(alarms(ctx, 8, 0, 1) <= 0.065 && alarms(ctx, 30, 0, 2) <= 0.065);
    assert_true(alarms(ctx, 30, -0.3, 3) > 0.8);
    assert_true(alarms(ctx, 60, -0.2, 4) > 0.8);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shift__small_cases__by_hand),
        cmocka_unit_test(shift__calibrated__is_left_alone__else_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

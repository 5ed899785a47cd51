/* Held-out pairs: a hand example, and rewards whose gaps are planted to mean what they say. */
#include "base/random.h"
#include "eval/reward_pairs.h"
#include "test.h"

static void report__of_four_pairs_by_hand(void **state) {
    agon_ctx *ctx = *state;
    const reward_pair pairs[] = {{2, 0, 10, 10, NAN}, {0.25, 0, 10, 20, 1}, {0, 3, 100, 91, 0.2}, {1, 1, 5, 5, NAN}};
    reward_report r;
    assert_ok(ctx, reward_report_make(ctx, pairs, 4, &r));
    assert_int_equal(r.n, 4);
    assert_int_equal(r.n_right, 2); /* equal rewards are no order */
    const size_t n[] = {2, 0, 0, 2, 0}, right[] = {1, 0, 0, 1, 0}, labelled[] = {1, 0, 1, 0, 0};
    for (size_t i = 0; i < N_MARGIN_BINS; i++) {
        assert_int_equal(r.by_gap[i].n, n[i]);
        assert_int_equal(r.by_gap[i].n_right, right[i]);
        assert_int_equal(r.by_label[i].n, labelled[i]);
    }
    assert_int_equal(r.n_labelled, 2);
    assert_true(r.by_gap[3].from == 2 && r.by_gap[3].to == 4 && isinf(r.by_gap[4].to));
    assert_int_equal(r.n_matched, 3);
    assert_int_equal(r.n_matched_right, 1);
    double c[] = {1 / (1 + exp(-2.0)), 1 / (1 + exp(-0.25)), 1 / (1 + exp(-3.0)), 0.5};
    /* Bins of confidence: 0.5 alone in (0.4, 0.5], 0.562 in (0.5, 0.6], 0.881 in (0.8, 0.9], 0.953 in (0.9, 1]. */
    assert_close(r.ece, (0.5 + (1 - c[1]) + (1 - c[0]) + c[2]) / 4, 1e-12);
    assert_close(r.brier, (pow(1 - c[0], 2) + pow(1 - c[1], 2) + pow(c[2], 2) + 0.25) / 4, 1e-12);
    assert_close(r.mean, 7.25 / 8, 1e-12);
}

enum { MANY = 20000 };

/* Gaps that are right with probability sigmoid(gap), told `scale` times as large; rewards that count words where `words`. */
static reward_report planted(agon_ctx *ctx, double scale, double words) {
    reward_pair *pairs = calloc(MANY, sizeof *pairs);
    reward_report r;
    rng x = rng_new(8);
    for (size_t i = 0; i < MANY; i++) {
        double gap = fabs(rng_normal(&x)) * 1.5, sign = rng_uniform(&x) < 1 / (1 + exp(-gap)) ? 1 : -1;
        pairs[i] = (reward_pair){.n_better = 20 + (double)rng_below(&x, 30), .n_worse = 20 + (double)rng_below(&x, 30), .margin = NAN};
        pairs[i].better = scale * sign * gap / 2 + words * pairs[i].n_better;
        pairs[i].worse = -scale * sign * gap / 2 + words * pairs[i].n_worse;
    }
    assert_ok(ctx, reward_report_make(ctx, pairs, MANY, &r));
    free(pairs);
    return r;
}

static void report__knows_gaps_that_mean_what_they_say(void **state) {
    agon_ctx *ctx = *state;
    reward_report good = planted(ctx, 1, 0), sure = planted(ctx, 3, 0), timid = planted(ctx, 0.25, 0), words = planted(ctx, 1, 0.1);
    assert_true(good.ece < 0.015);
    assert_true(sure.ece > 0.1 && timid.ece > 0.1);
    assert_true(sure.n_right == good.n_right && timid.n_right == good.n_right);
    assert_true(sure.brier > good.brier && timid.brier > good.brier);
    for (size_t i = 1; i < N_MARGIN_BINS; i++) {
        const margin_bin *a = &good.by_gap[i - 1], *b = &good.by_gap[i];
        if (b->n > 500)
            assert_true((double)b->n_right / (double)b->n > (double)a->n_right / (double)a->n);
    }
    assert_true(fabs(good.length_correlation) < 0.02 && words.length_correlation > 0.5);
    double all = (double)words.n_right / MANY, matched = (double)words.n_matched_right / (double)words.n_matched;
    assert_true(words.n_matched > MANY / 10 && matched > all + 0.05); /* where length cannot decide it ranks better */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report__of_four_pairs_by_hand),
        cmocka_unit_test(report__knows_gaps_that_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

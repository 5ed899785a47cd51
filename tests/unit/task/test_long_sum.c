/* Long sums: halves answered rightly make the right answer, a wrong carry does not, and what is no answer is none. */
#include "task/long_sum.h"
#include "test.h"

static void long_sum__right_halves__join_to_the_truth(void **state) {
    (void)state;
    rng r = rng_new(5);
    size_t n_carried = 0;
    for (size_t level = 1; level < LONG_SUM_LEVELS; level++)
        for (int i = 0; i < 400; i++) {
            sequence_item q;
            long_sum_draw(&r, level, i % 2, &q);
            const int64_t truth = long_sum_truth(&q);
            assert_int_equal(long_sum_answer(&q), truth);
            assert_true(q.n <= SEQUENCE_MAX && long_sum_level(&q) == level);
            const sequence_item low = long_sum_low(&q);
            const int64_t of_low = long_sum_truth(&low);
            const int carry = long_sum_carry(&q, of_low);
            const sequence_item high = long_sum_high(&q, carry), other = long_sum_high(&q, 1 - carry);
            assert_true(low.n == low.n_source && long_sum_level(&low) == level - 1 && long_sum_level(&high) == level - 1);
            assert_int_equal(long_sum_join(&q, of_low, long_sum_truth(&high)), truth);
            assert_int_not_equal(long_sum_join(&q, of_low, long_sum_truth(&other)), truth);
            n_carried += (size_t)carry;
        }
    assert_in_range(n_carried, 400, 800); /* of 1,200 */
}

/* 7 + 5 with a carry of 1: 3, 1. */
static void long_sum__reads_an_answer__lowest_digits_first(void **state) {
    (void)state;
    sequence_item q = {.tokens = {16, 17, 23, 21, SEQUENCE_EQUALS}, .n = 5, .n_source = 5};
    assert_int_equal(long_sum_truth(&q), 13);
    long_sum_set_answer(&q, 13);
    assert_int_equal(q.n, 8);
    assert_true(q.tokens[5] == 19 && q.tokens[6] == 17 && q.tokens[7] == SEQUENCE_END);
    const struct {
        int32_t answer[4];
        size_t n;
        int64_t want;
    } cases[] = {{{19, 17, SEQUENCE_END}, 3, 13},
                 {{19, 18, SEQUENCE_END}, 3, LONG_SUM_NONE}, /* a carry of 2 */
                 {{19, 17}, 2, LONG_SUM_NONE},
                 {{19, SEQUENCE_END}, 2, LONG_SUM_NONE},
                 {{19, 17, 16, SEQUENCE_END}, 4, LONG_SUM_NONE},
                 {{19, 17, 17}, 3, LONG_SUM_NONE},
                 {{26, 17, SEQUENCE_END}, 3, LONG_SUM_NONE}, /* a letter */
                 {{15, 17, SEQUENCE_END}, 3, LONG_SUM_NONE},
                 {{0}, 0, LONG_SUM_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sequence_item x = q;
        memcpy(x.tokens + x.n_source, cases[i].answer, sizeof cases[i].answer);
        x.n = x.n_source + cases[i].n;
        assert_int_equal(long_sum_answer(&x), cases[i].want);
    }
}

/* What is held out is never drawn for training. */
static void long_sum__held_out__is_never_trained_on(void **state) {
    (void)state;
    static bool trained[2][10][10][10][10];
    rng r = rng_new(6);
    size_t n_held_out = 0, n_again = 0;
    sequence_item q;
    for (int i = 0; i < 30000; i++) {
        long_sum_draw(&r, 1, false, &q);
        trained[q.tokens[1] - 16][q.tokens[2] - 16][q.tokens[3] - 16][q.tokens[4] - 16][q.tokens[5] - 16] = true;
    }
    for (int i = 0; i < 3000; i++) {
        long_sum_draw(&r, 1, true, &q);
        assert_false(trained[q.tokens[1] - 16][q.tokens[2] - 16][q.tokens[3] - 16][q.tokens[4] - 16][q.tokens[5] - 16]);
        n_held_out++;
        long_sum_draw(&r, 1, false, &q);
        n_again += trained[q.tokens[1] - 16][q.tokens[2] - 16][q.tokens[3] - 16][q.tokens[4] - 16][q.tokens[5] - 16];
    }
    assert_true(n_held_out == 3000 && n_again > 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sum__right_halves__join_to_the_truth),
        cmocka_unit_test(long_sum__reads_an_answer__lowest_digits_first),
        cmocka_unit_test(long_sum__held_out__is_never_trained_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Labels of several weak labellers made one without the truth: a vote, a mean. */
#include "experiment/weak_to_strong.h"
#include "test.h"

enum { E = 3, K = 3 };

static void w2s_labels__majority_is_of_votes_not_of_confidence(void **state) {
    (void)state;
    const double p[E][2] = {{0.45, 0.55}, {0.4, 0.6}, {0.99, 0.01}};
    double out[2];
    w2s_majority(&p[0][0], E, 2, out);
    assert_true(out[0] == 0 && out[1] == 1);
    w2s_mean(&p[0][0], E, 2, out);
    assert_true(fabs(out[0] - 1.84 / 3) < 1e-12 && fabs(out[1] - 1.16 / 3) < 1e-12);
    /* one labeller is itself, made certain or as it is */
    w2s_majority(p[1], 1, 2, out);
    assert_true(out[0] == 0 && out[1] == 1);
    w2s_mean(p[1], 1, 2, out);
    assert_true(out[0] == 0.4 && out[1] == 0.6);
}

static void w2s_labels__equal_votes_go_by_the_mean(void **state) {
    (void)state;
    const double apart[E][K] = {{0.5, 0.3, 0.2}, {0.1, 0.5, 0.4}, {0.1, 0.3, 0.6}}, draw[1][K] = {{0.2, 0.4, 0.4}};
    double out[K];
    w2s_majority(&apart[0][0], E, K, out); /* a vote each; means 0.233, 0.367, 0.4 */
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 1);
    w2s_majority(&draw[0][0], 1, K, out);
    assert_true(out[0] == 0 && out[1] == 1 && out[2] == 0);
    /* two votes against one, however sure that one is */
    const double sure[E][K] = {{0.34, 0.33, 0.33}, {0.34, 0.33, 0.33}, {0, 1, 0}};
    w2s_majority(&sure[0][0], E, K, out);
    assert_true(out[0] == 1 && out[1] == 0 && out[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(w2s_labels__majority_is_of_votes_not_of_confidence),
        cmocka_unit_test(w2s_labels__equal_votes_go_by_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

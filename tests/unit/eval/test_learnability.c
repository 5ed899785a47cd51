/* Learnability of critiques against training_vectors.json: critique.learnability. */
#include "eval/learnability.h"
#include "training_vectors.h"

static void learnability__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("critique.learnability", &root);
    double draft[4], refined[4], retry[4], shuffled[4];
    numbers(get(v, "inputs", "draft"), draft, 4);
    numbers(get(v, "inputs", "with_critique"), refined, 4);
    numbers(get(v, "inputs", "retry"), retry, 4);
    numbers(get(v, "inputs", "shuffled"), shuffled, 4);
    learnability l;
    assert_ok(ctx, learnability_measure(ctx, draft, refined, retry, shuffled, 4, 500, &l));
    assert_close(l.gain, number(v, "expected", "refine_gain"), 1e-9);
    assert_close(l.over_retry, number(v, "expected", "net_gain_vs_retry"), 1e-9);
    assert_close(l.over_shuffled, number(v, "expected", "net_gain_vs_shuffled"), 1e-9);
    assert_close(l.fixed, number(v, "expected", "fixed_fraction"), 1e-9);
    assert_close(l.broken, number(v, "expected", "broken_fraction"), 1e-9);
    assert_close(l.per_1k_tokens, 2 * l.gain, 1e-12);
    assert_ok(ctx, learnability_measure(ctx, refined, draft, retry, shuffled, 4, 0, &l));
    assert_close(l.broken, 0.75, 1e-12);
    assert_true(isnan(l.per_1k_tokens));
    assert_int_equal(learnability_measure(ctx, draft, refined, retry, shuffled, 0, 0, &l), AGON_EINVAL);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(learnability__agrees_with_the_vector)};
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

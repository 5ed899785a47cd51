/* Fused labels against training_vectors.json: noise.mixed_feedback, w2s.weak_ensemble. */
#include "eval/votes.h"
#include "base/random.h"
#include "training_vectors.h"

static void votes__agree_with_mixed_feedback(void **state) {
    (void)state;
    json_t *root, *v = test_vector("noise.mixed_feedback", &root);
    double accuracy[2] = {1 - number(v, "inputs", "eps_human"), 1 - number(v, "inputs", "eps_ai")}, posterior[4], votes[8];
    assert_close(vote_weight(accuracy[0], 0), number(v, "expected", "weight_human"), 1e-9);
    assert_close(vote_weight(accuracy[1], 0), number(v, "expected", "weight_ai"), 1e-9);
    assert_int_equal(numbers(get(v, "inputs", "votes"), votes, 8), 8);
    for (size_t i = 0; i < 4; i++)
        posterior[i] = votes_fuse(accuracy, votes + 2 * i, NULL, 2, 0).posterior;
    expect_numbers(v, "posterior", posterior, 1e-9);
    json_decref(root);
}

static void votes__agree_with_the_weak_ensemble(void **state) {
    (void)state;
    json_t *root, *v = test_vector("w2s.weak_ensemble", &root);
    double accuracy[3], votes[3], weights[3];
    numbers(get(v, "inputs", "accuracy"), accuracy, 3);
    numbers(get(v, "inputs", "votes"), votes, 3);
    for (size_t i = 0; i < 3; i++)
        weights[i] = vote_weight(accuracy[i], 0.05);
    expect_numbers(v, "weights", weights, 1e-9);
    vote_result r = votes_fuse(accuracy, votes, NULL, 3, 0.05);
    assert_close(r.score, number(v, "expected", "score"), 1e-9);
    assert_close(r.posterior, number(v, "expected", "posterior"), 1e-9);
    assert_int_equal(r.label, (int)number(v, "expected", "label")); /* the majority would say 0 */
    assert_close(vote_weight(1, 0.05), log(19), 1e-12);
    json_decref(root);
}

/* Three judges of one family count once. */
static void votes__of_a_cluster_count_once(void **state) {
    (void)state;
    const double accuracy[4] = {0.9, 0.7, 0.7, 0.7}, votes[4] = {1, 0, 0, 0};
    const size_t cluster[4] = {0, 1, 1, 1};
    assert_true(!votes_fuse(accuracy, votes, NULL, 4, 0).label);
    vote_result r = votes_fuse(accuracy, votes, cluster, 4, 0);
    assert_true(r.label);
    assert_close(r.score, log(9) - log(7.0 / 3), 1e-12);
    const double none[4] = {NAN, NAN, NAN, NAN};
    assert_close(votes_fuse(accuracy, none, cluster, 4, 0).posterior, 0.5, 0);
}

/* Fusing a good and a poor source beats both alone on log-loss. */
static void votes__beat_each_source_alone(void **state) {
    (void)state;
    const double accuracy[2] = {0.9, 0.75};
    double loss[3] = {0};
    rng r = rng_new(8);
    for (int i = 0; i < 20000; i++) {
        bool truth = rng_below(&r, 2);
        double votes[2];
        for (size_t s = 0; s < 2; s++)
            votes[s] = (rng_uniform(&r) < accuracy[s]) == truth;
        const double alone[2][2] = {{votes[0], NAN}, {NAN, votes[1]}};
        for (size_t c = 0; c < 3; c++) {
            double q = votes_fuse(accuracy, c < 2 ? alone[c] : votes, NULL, 2, 0).posterior;
            loss[c] -= log(truth ? q : 1 - q);
        }
    }
    assert_true(loss[2] < loss[0] && loss[2] < loss[1]);
}

static void weights__of_confidence(void **state) {
    (void)state;
    assert_close(confidence_weight(0.5), 0, 0);
    assert_close(confidence_weight(0.1), 0.8, 1e-15);
    assert_close(effective_sample_size((double[]){1, 1, 0, 0}, 4), 2, 0);
    assert_close(effective_sample_size((double[]){0, 0}, 2), 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes__agree_with_mixed_feedback),
        cmocka_unit_test(votes__agree_with_the_weak_ensemble),
        cmocka_unit_test(votes__of_a_cluster_count_once),
        cmocka_unit_test(votes__beat_each_source_alone),
        cmocka_unit_test(weights__of_confidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Selection against training_vectors.json: noise.co_teaching, online.pair_selection, rso.sampling, sft.packing (bins). */
#include "train/selection.h"
#include "base/random.h"
#include "training_vectors.h"

static void expect_indices(json_t *v, const char *key, const size_t *got, size_t n) {
    json_t *want = get(v, "expected", key);
    assert_int_equal(json_array_size(want), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], (size_t)json_number_value(at(want, i)));
}

static void co_teaching__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.co_teaching", &root);
    double a[6], b[6], rate[4], tau = number(v, "inputs", "tau"), ramp = number(v, "inputs", "T_k");
    size_t a_trains[6], b_trains[6], picked[6], n;
    numbers(get(v, "inputs", "loss_a"), a, 6);
    numbers(get(v, "inputs", "loss_b"), b, 6);
    for (size_t i = 0; i < 4; i++)
        rate[i] = small_loss_share(tau, element(v, "inputs", "t", i), ramp);
    expect_numbers(v, "keep_rate", rate, 1e-12);
    assert_ok(ctx, co_teaching(ctx, a, b, 6, small_loss_share(tau, number(v, "inputs", "t_used"), ramp), a_trains, b_trains, &n));
    assert_int_equal(n, (size_t)number(v, "expected", "n_keep"));
    expect_indices(v, "a_trains_on", a_trains, n);
    expect_indices(v, "b_trains_on", b_trains, n);
    assert_ok(ctx, select_smallest(ctx, a, 6, n, picked));
    expect_indices(v, "picked_by_a", picked, n);
    assert_ok(ctx, select_smallest(ctx, b, 6, n, picked));
    expect_indices(v, "picked_by_b", picked, n);
    b[2] = NAN;
    assert_int_equal(select_smallest(ctx, b, 6, n, picked), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "item 2"));
    assert_int_equal(select_smallest(ctx, a, 6, 7, picked), AGON_EINVAL);
    json_decref(root);
}

static void pair__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("online.pair_selection", &root);
    double scores[5];
    size_t chosen, rejected;
    size_t n = numbers(get(v, "inputs", "scores"), scores, 5);
    assert_true(select_pair(scores, n, &chosen, &rejected));
    assert_int_equal(chosen, (size_t)number(v, "expected", "chosen"));
    assert_int_equal(rejected, (size_t)number(v, "expected", "rejected"));
    n = numbers(get(v, "inputs", "scores_tied"), scores, 5);
    assert_true(json_is_null(json_object_get(json_object_get(v, "expected"), "tied_pair")));
    assert_false(select_pair(scores, n, &chosen, &rejected));
    assert_false(select_pair(scores, 0, &chosen, &rejected));
    json_decref(root);
}

typedef struct tape {
    double values[16];
    size_t used;
} tape;
static double next_of_tape(void *arg) {
    tape *t = arg;
    return t->values[t->used++];
}

static void rejection__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rso.sampling", &root);
    double rewards[5];
    tape t = {.used = 0};
    size_t accepted[5], n = numbers(get(v, "inputs", "reward"), rewards, 5), wanted = (size_t)number(v, "inputs", "num");
    numbers(get(v, "inputs", "uniforms"), t.values, 16);
    assert_ok(ctx, rejection_sample(ctx, rewards, n, number(v, "inputs", "beta"), wanted, next_of_tape, &t, accepted));
    expect_indices(v, "accepted", accepted, wanted);
    assert_int_equal(t.used, (size_t)number(v, "expected", "uniforms_used"));
    /* The probabilities of the first sweep: a uniform just below is accepted, one just above is not. */
    for (size_t i = 1; i < n; i++)
        for (int above = 0; above < 2; above++) {
            double p = element(v, "expected", "accept_prob_first_sweep", i);
            t = (tape){.values = {0.5, 0.999, 0.999, 0.999, 0.999}, .used = 0};
            t.values[i] = above ? p + 1e-9 : p - 1e-9;
            assert_ok(ctx, rejection_sample(ctx, rewards, n, 0.5, 2, next_of_tape, &t, accepted));
            assert_int_equal(t.used == i + 1 && accepted[1] == i, !above);
        }
    rng r = rng_new(1);
    /* beta 0 takes the best; beta infinite the first. */
    assert_ok(ctx, rejection_sample(ctx, rewards, n, 0, 3, uniform_of_rng, &r, accepted));
    assert_true(accepted[0] == 0 && accepted[1] == 4 && accepted[2] == 2);
    assert_ok(ctx, rejection_sample(ctx, rewards, n, INFINITY, 3, uniform_of_rng, &r, accepted));
    assert_true(accepted[0] == 0 && accepted[1] == 1 && accepted[2] == 2);
    assert_int_equal(rejection_sample(ctx, rewards, n, 1, 6, uniform_of_rng, &r, accepted), AGON_EINVAL);
    json_decref(root);
}

/* Acceptance by acceptance, two by two; at beta 0 that is the best with the second, the third with the fourth. */
static void rejection__makes_pairs(void **state) {
    agon_ctx *ctx = *state;
    const double rewards[6] = {0.1, 0.9, 0.3, 0.5, 0.7, 0.2}, tied[4] = {1, 1, 0, 0};
    size_t pairs[3][2], again[3][2], n;
    assert_ok(ctx, rejection_pairs(ctx, rewards, 6, 0, 5, 7, pairs, &n));
    assert_int_equal(n, 2); /* the fifth has no partner */
    const size_t best[2][2] = {{1, 4}, {3, 2}};
    assert_memory_equal(pairs, best, sizeof best);
    assert_ok(ctx, rejection_pairs(ctx, tied, 4, 0, 4, 7, pairs, &n));
    assert_int_equal(n, 0);
    /* Of a warmer temperature the pairs follow the seed, and the better one stands first whichever was accepted first. */
    size_t n_other = 0, n_turned = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        assert_ok(ctx, rejection_pairs(ctx, rewards, 6, 0.5, 4, seed, pairs, &n));
        assert_ok(ctx, rejection_pairs(ctx, rewards, 6, 0.5, 4, seed, again, &n));
        assert_int_equal(n, 2);
        assert_memory_equal(pairs, again, 2 * sizeof *pairs);
        for (size_t i = 0; i < n; i++) {
            assert_true(rewards[pairs[i][0]] > rewards[pairs[i][1]]);
            n_turned += pairs[i][0] > pairs[i][1];
        }
        n_other += memcmp(pairs, best, sizeof best) != 0;
    }
    assert_true(n_other > 25 && n_turned > 5);
    assert_int_equal(rejection_pairs(ctx, rewards, 6, 0.5, 7, 0, pairs, &n), AGON_EINVAL);
}

static void packing__fills_bins_as_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("sft.packing", &root), *want = get(v, "expected", "bfd_bins");
    size_t lengths[6], bin[6], n_bins;
    for (size_t i = 0; i < 6; i++)
        lengths[i] = (size_t)element(v, "inputs", "bfd_lengths", i);
    assert_ok(ctx, pack_best_fit(ctx, lengths, 6, (size_t)number(v, "inputs", "bfd_capacity"), bin, &n_bins));
    assert_int_equal(n_bins, json_array_size(want));
    for (size_t b = 0; b < n_bins; b++)
        for (size_t i = 0; i < json_array_size(at(want, b)); i++)
            assert_int_equal(bin[(size_t)cell(v, "expected", "bfd_bins", b, i)], b);
    lengths[0] = 9; /* longer than a bin: alone */
    assert_ok(ctx, pack_best_fit(ctx, lengths, 6, 6, bin, &n_bins));
    for (size_t i = 1; i < 6; i++)
        assert_int_not_equal(bin[i], bin[0]);
    json_decref(root);
}

static void packing__ends_when_interrupted(void **state) {
    agon_ctx *ctx = *state;
    const size_t lengths[] = {3, 2, 1};
    size_t bin[3], n_bins = 7;
    agon_interrupt(ctx);
    assert_int_equal(pack_best_fit(ctx, lengths, 3, 4, bin, &n_bins), AGON_EINTERRUPTED);
    assert_int_equal(n_bins, 7);
    agon_interrupt_clear(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(co_teaching__agrees_with_the_vector),
        cmocka_unit_test(pair__agrees_with_the_vector),
        cmocka_unit_test(rejection__agrees_with_the_vector),
        cmocka_unit_test(rejection__makes_pairs),
        cmocka_unit_test(packing__fills_bins_as_the_vector),
        cmocka_unit_test(packing__ends_when_interrupted),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

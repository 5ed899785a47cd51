/* The pairwise objectives against training_vectors.json (dpo.*, exo.pref, spin.loss, pref.step0). */
#include "rows.h"

/* The three pairs that all dpo.* cases share; lengths from the case, or 1. */
static void three_pairs(json_t *v, test_rows *t) {
    memset(t, 0, sizeof *t);
    json_t *inputs = json_object_get(v, "inputs");
    bool lengths = json_object_get(inputs, "len_w") != NULL, reference = json_object_get(inputs, "ref_w") != NULL;
    for (size_t i = 0; i < 3; i++) {
        size_t n_w = lengths ? (size_t)element(v, "inputs", "len_w", i) : 1;
        size_t n_l = lengths ? (size_t)element(v, "inputs", "len_l", i) : 1;
        test_sums(t, i, 0, n_w, element(v, "inputs", "pi_w", i), reference ? element(v, "inputs", "ref_w", i) : 0);
        test_sums(t, i, 1, n_l, element(v, "inputs", "pi_l", i), reference ? element(v, "inputs", "ref_l", i) : 0);
    }
}

static void expect_losses(json_t *v, const char *key, const test_rows *t) {
    for (size_t i = 0; i < t->n; i++)
        assert_close(t->losses[i], element(v, "expected", key, i), 1e-9);
}

static void expect_gradient(json_t *v, const char *key, const test_rows *t, size_t side) {
    for (size_t i = 0; i < t->n; i++)
        assert_close(t->responses[i][side].d_log_prob[0], element(v, "expected", key, i), 1e-9);
}

static void dpo__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.sigmoid", &root);
    test_rows t;
    three_pairs(v, &t);
    objective_result r = run_objective(ctx, "dpo", SET("beta=0.1"), &t);
    expect_losses(v, "loss", &t);
    assert_close(r.loss, number(v, "expected", "loss_mean"), 1e-9);
    expect_gradient(v, "grad_pi_w", &t, 0);
    expect_gradient(v, "grad_pi_l", &t, 1);
    assert_close(metric_of(&r, "accuracy"), number(v, "expected", "accuracy"), 1e-9);
    double margin = 0, chosen = 0;
    for (size_t i = 0; i < 3; i++) {
        margin += element(v, "expected", "margin", i) / 3;
        chosen += element(v, "expected", "reward_chosen", i) / 3;
    }
    assert_close(metric_of(&r, "margin"), margin, 1e-9);
    assert_close(metric_of(&r, "reward_chosen"), chosen, 1e-9);
    double plain = r.loss, sft = 0;
    for (size_t i = 0; i < 3; i++)
        sft -= t.channels[i][0].log_prob[0] / 3;
    assert_close(run_objective(ctx, "dpo", SET("beta=0.1", "sft=0.3"), &t).loss, plain + 0.3 * sft, 1e-12);
    run_objective(ctx, "spin", SET("beta=0.1"), &t);
    expect_losses(v, "loss", &t);
    json_decref(root);
}

static void ipo__agrees_in_both_forms(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.ipo", &root);
    test_rows t;
    three_pairs(v, &t);
    run_objective(ctx, "ipo", NULL, &t);
    expect_losses(v, "loss_norm_form", &t);
    run_objective(ctx, "ipo", SET("beta=0.1", "length_normalised=false"), &t);
    expect_losses(v, "loss_sum_form", &t);
    json_decref(root);
}

static void noise_robust__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.noise_robust", &root);
    test_rows t;
    three_pairs(v, &t);
    run_objective(ctx, "cdpo", SET("beta=0.1", "label_smoothing=0.1"), &t);
    expect_losses(v, "cdpo", &t);
    expect_gradient(v, "cdpo_grad_w", &t, 0);
    run_objective(ctx, "dpo", SET("beta=0.1", "label_smoothing=0.1"), &t);
    expect_losses(v, "cdpo", &t);
    run_objective(ctx, "rdpo", SET("beta=0.1", "label_smoothing=0.1"), &t);
    expect_losses(v, "rdpo", &t);
    expect_gradient(v, "rdpo_grad_w", &t, 0);
    run_objective(ctx, "dpo-forward", SET("beta=0.1", "label_smoothing=0.1"), &t);
    expect_losses(v, "forward", &t);
    expect_gradient(v, "forward_grad_w", &t, 0);
    run_objective(ctx, "ropo", SET("beta=0.1", "alpha=14"), &t);
    expect_losses(v, "ropo", &t);
    expect_gradient(v, "ropo_grad_w", &t, 0);
    json_decref(root);
}

static double slope(agon_ctx *ctx, const char *name, const char *setting, double z) {
    test_rows t = {0};
    test_sums(&t, 0, 0, 1, z, 0), test_sums(&t, 0, 1, 1, 0, 0);
    run_objective(ctx, name, SET("beta=1", setting), &t);
    return -t.responses[0][0].d_log_prob[0];
}

/* cdpo rests at ln((1-e)/e); forward correction and ropo let go of absurd pairs, dpo never does; ropo's weight is 1
 * at most, at s = (1+a)/(2a). */
static void noise_robust__ignores_absurd_pairs(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.noise_robust", &root);
    assert_close(slope(ctx, "cdpo", "label_smoothing=0.1", number(v, "expected", "cdpo_optimal_margin")), 0, 1e-12);
    assert_true(slope(ctx, "dpo", "label_smoothing=0", -40) > 0.999);
    assert_true(slope(ctx, "dpo-forward", "label_smoothing=0.1", -40) < 1e-12);
    assert_true(slope(ctx, "ropo", "alpha=14", -40) < 0.26);
    double s = number(v, "expected", "ropo_argmax_s"), z = log((1 - s) / s);
    assert_close(slope(ctx, "ropo", "alpha=14", z), number(v, "expected", "ropo_max_weight"), 1e-9);
    for (double x = -10; x <= 10; x += 0.25)
        assert_true(slope(ctx, "ropo", "alpha=14", x) <= 1 + 1e-12);
    assert_true(isfinite(slope(ctx, "dpo-forward", "label_smoothing=0", -900)));
    json_decref(root);
}

static void dpo_soft__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.mixed_feedback", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++) {
        test_sums(&t, i, 0, 1, number(v, "inputs", "z"), 0)->label = element(v, "expected", "posterior", i);
        test_sums(&t, i, 1, 1, 0, 0);
    }
    run_objective(ctx, "dpo-soft", SET("beta=1"), &t);
    expect_losses(v, "loss", &t);
    json_decref(root);
}

static void modpo__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("moo.modpo", &root);
    test_rows t;
    three_pairs(v, &t);
    for (size_t i = 0; i < 3; i++) {
        t.responses[i][0].reward = element(v, "inputs", "margin_w", i);
        t.responses[i][1].reward = element(v, "inputs", "margin_l", i);
    }
    run_objective(ctx, "modpo", SET("beta=0.1", "own_weight=0.6", "other_weight=0.4"), &t);
    expect_losses(v, "loss", &t);
    expect_gradient(v, "grad_pi_w", &t, 0);
    run_objective(ctx, "modpo", SET("own_weight=1", "other_weight=0"), &t);
    double z[3] = {t.losses[0], t.losses[1], t.losses[2]};
    run_objective(ctx, "dpo", NULL, &t);
    for (size_t i = 0; i < 3; i++)
        assert_close(z[i], t.losses[i], 0);
    json_decref(root);
}

/* e*rdpo(swapped) + (1-e)*rdpo(as labelled) = clean DPO. */
static void rdpo__is_unbiased_under_flips(void **state) {
    agon_ctx *ctx = *state;
    for (int i = -20; i <= 20; i++) {
        test_rows t = {0}, swapped = {0};
        test_sums(&t, 0, 0, 1, i, 0), test_sums(&t, 0, 1, 1, -1, 0);
        test_sums(&swapped, 0, 0, 1, -1, 0), test_sums(&swapped, 0, 1, 1, i, 0);
        double kept = run_objective(ctx, "rdpo", SET("beta=0.3", "label_smoothing=0.2"), &t).loss;
        double flipped = run_objective(ctx, "rdpo", SET("beta=0.3", "label_smoothing=0.2"), &swapped).loss;
        double clean = run_objective(ctx, "dpo", SET("beta=0.3"), &t).loss;
        assert_close(0.8 * kept + 0.2 * flipped, clean, 1e-12);
    }
}

static void rso__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.rso_losses", &root);
    test_rows t;
    three_pairs(v, &t);
    run_objective(ctx, "rso-sigmoid", NULL, &t);
    expect_losses(v, "sigmoid_norm", &t);
    run_objective(ctx, "rso-hinge", NULL, &t);
    expect_losses(v, "hinge_norm", &t);
    run_objective(ctx, "rso-hinge", SET("reference_free=true"), &t);
    expect_losses(v, "hinge", &t);
    json_decref(root);
}

static void simpo__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.simpo", &root);
    test_rows t;
    three_pairs(v, &t);
    objective_result r = run_objective(ctx, "simpo", NULL, &t);
    expect_losses(v, "loss", &t);
    assert_close(r.loss, number(v, "expected", "loss_mean"), 1e-9);
    expect_gradient(v, "grad_pi_w", &t, 0);
    json_decref(root);
}

static void orpo__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.orpo", &root);
    test_rows t;
    three_pairs(v, &t);
    objective_result r = run_objective(ctx, "orpo", NULL, &t);
    expect_losses(v, "total", &t);
    assert_close(r.loss, number(v, "expected", "total_mean"), 1e-9);
    json_decref(root);
}

static void exo_pref__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("exo.pref", &root);
    test_rows t;
    three_pairs(v, &t);
    objective_result r = run_objective(ctx, "exo-pref", SET("beta=0.1", "label_smoothing=0.001"), &t);
    expect_losses(v, "loss", &t);
    assert_close(r.loss, number(v, "expected", "loss_mean"), 1e-9);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2; k++)
            assert_close(t.responses[i][k].d_log_prob[0],
                         json_number_value(at(at(get(v, "expected", "grad_logratio"), i), k)), 1e-9);
    json_decref(root);
}

static void spin__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("spin.loss", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 2; i++) {
        test_sums(&t, i, 0, 1, element(v, "inputs", "logratio_human", i), 0);
        test_sums(&t, i, 1, 1, element(v, "inputs", "logratio_self", i), 0);
    }
    run_objective(ctx, "spin", NULL, &t);
    expect_losses(v, "loss", &t);
    json_decref(root);
}

static void pairs__start_at_the_known_loss(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("pref.step0", &root);
    const struct {
        const char *name, *key;
        const char *const *settings;
    } cases[] = {
        {"dpo", "dpo", NULL},
        {"cdpo", "cdpo", SET("label_smoothing=0.1")},
        {"rdpo", "rdpo", SET("label_smoothing=0.1")},
        {"ipo", "ipo", SET("beta=0.1")},
        {"exo-pref", "exo_pref", SET("label_smoothing=0.001")},
        {"rso-hinge", "hinge_norm", SET("beta=0.05")},
        {"spin", "dpo", NULL},
        {"rso-sigmoid", "dpo", NULL},
        {"dpo-forward", "forward", SET("label_smoothing=0.1")},
        {"ropo", "ropo", SET("alpha=14")},
    };
    rng random = rng_new(11);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        test_rows t = {0};
        for (size_t i = 0; i < 4; i++)
            for (size_t k = 0; k < 2; k++) {
                double s = -20 * rng_uniform(&random);
                test_sums(&t, i, k, 1 + rng_below(&random, 8), s, s);
            }
        objective_result r = run_objective(ctx, cases[c].name, cases[c].settings, &t);
        assert_close(r.loss, number(v, "expected", cases[c].key), 1e-9);
        assert_close(metric_of(&r, "margin"), 0, 0);
        assert_close(metric_of(&r, "accuracy"), 0, 0);
    }
    json_decref(root);
}

static void rdpo__stops_beyond_twenty(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    test_sums(&t, 0, 0, 1, 900, 0), test_sums(&t, 0, 1, 1, -900, 0);
    objective_result r = run_objective(ctx, "rdpo", NULL, &t);
    assert_true(r.loss > -20);
    assert_close(t.responses[0][0].d_log_prob[0], 0, 0);
}

static void orpo__survives_certainty(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    test_sums(&t, 0, 0, 3, 0, 0), test_sums(&t, 0, 1, 3, -800, 0);
    objective_result r = run_objective(ctx, "orpo", NULL, &t);
    assert_true(isfinite(r.loss) && isfinite(t.responses[0][0].d_log_prob[0]));
}

static void pairs__weights_and_masks_count(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    response *w = test_sums(&t, 0, 0, 2, -4, -6);
    test_sums(&t, 0, 1, 1, -3, -3);
    test_sums(&t, 1, 0, 1, -1, -2), test_sums(&t, 1, 1, 1, -1, -1);
    t.channels[0][0].mask[0] = 1; /* the second token is not supervised: h = 1, not 2 */
    w->mask = t.channels[0][0].mask;
    t.rows[0].weight = 3;
    objective_result r = run_objective(ctx, "dpo", SET("beta=1"), &t);
    double one = log1p(exp(-1));
    assert_close(t.losses[0], one, 1e-15);
    assert_close(r.loss, one, 1e-15);
    assert_close(w->d_log_prob[1], 0, 0);
    assert_close(w->d_log_prob[0], 3 * t.responses[1][0].d_log_prob[0], 1e-15);
    t.rows[1].weight = 0;
    run_objective(ctx, "dpo", SET("beta=1"), &t);
    assert_close(t.responses[1][0].d_log_prob[0], 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dpo__agrees_with_the_vector),
        cmocka_unit_test(ipo__agrees_in_both_forms),
        cmocka_unit_test(noise_robust__agrees_with_the_vector),
        cmocka_unit_test(noise_robust__ignores_absurd_pairs),
        cmocka_unit_test(dpo_soft__agrees_with_the_vector),
        cmocka_unit_test(modpo__agrees_with_the_vector),
        cmocka_unit_test(rdpo__is_unbiased_under_flips),
        cmocka_unit_test(rso__agrees_with_the_vector),
        cmocka_unit_test(simpo__agrees_with_the_vector),
        cmocka_unit_test(orpo__agrees_with_the_vector),
        cmocka_unit_test(exo_pref__agrees_with_the_vector),
        cmocka_unit_test(spin__agrees_with_the_vector),
        cmocka_unit_test(pairs__start_at_the_known_loss),
        cmocka_unit_test(rdpo__stops_beyond_twenty),
        cmocka_unit_test(orpo__survives_certainty),
        cmocka_unit_test(pairs__weights_and_masks_count),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

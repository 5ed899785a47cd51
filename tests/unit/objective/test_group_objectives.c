/* sft, kto, exo-rw, pro, grpo, rloo and ppo against training_vectors.json. */
#include "rows.h"

static void sft__agrees_with_the_vectors(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("nll.masked", &root);
    test_rows t = {0};
    response *r = test_response(&t, 0, 0, 4);
    for (size_t i = 0; i < 4; i++) {
        t.channels[0][0].log_prob[i] = element(v, "expected", "logp", i);
        t.channels[0][0].mask[i] = element(v, "inputs", "mask", i);
    }
    r->mask = t.channels[0][0].mask;
    objective_result result = run_objective(ctx, "sft", NULL, &t);
    assert_close(result.loss, number(v, "expected", "loss_token_mean"), 1e-9);
    assert_close(metric_of(&result, "nll_sum"), number(v, "expected", "loss_sum"), 1e-9);
    assert_close(metric_of(&result, "perplexity"), number(v, "expected", "perplexity"), 1e-9);
    /* d lp * (onehot - softmax) at the target is the vector's gradient there. */
    for (size_t i = 0; i < 4; i++) {
        size_t target = (size_t)element(v, "inputs", "targets", i);
        double p = exp(element(v, "expected", "logp", i));
        assert_close(r->d_log_prob[i] * (1 - p),
                     json_number_value(at(at(get(v, "expected", "grad_logits"), i), target)), 1e-9);
    }
    json_decref(root);

    v = test_vector("sft.normalisation", &root);
    memset(&t, 0, sizeof t);
    const char *keys[] = {"logp_a", "logp_b", "logp_c"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = json_array_size(get(v, "inputs", keys[i]));
        test_response(&t, i, 0, n);
        for (size_t j = 0; j < n; j++)
            t.channels[i][0].log_prob[j] = element(v, "inputs", keys[i], j);
    }
    assert_close(run_objective(ctx, "sft", NULL, &t).loss, number(v, "expected", "token_mean"), 1e-9);
    json_decref(root);
}

static void kto__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("dpo.kto", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 5; i++) {
        bool good = i < 2;
        response *r = test_sums(&t, i, 0, 1,
                                good ? element(v, "inputs", "logratio_desirable", i)
                                     : element(v, "inputs", "logratio_undesirable", i - 2),
                                0);
        r->label = good;
        r = test_sums(&t, 5 + i, 0, 1, element(v, "inputs", "logratio_mismatched", i), 0);
        r->mismatched = true;
    }
    objective_result r = run_objective(ctx, "kto", SET("beta=0.1", "desirable_weight=1.5"), &t);
    assert_close(r.loss, number(v, "expected", "loss_mean"), 1e-9);
    assert_close(metric_of(&r, "z0"), number(v, "expected", "z0"), 1e-9);
    for (size_t i = 0; i < 2; i++) {
        assert_close(t.losses[i], element(v, "expected", "loss_desirable", i), 1e-9);
        assert_close(t.responses[i][0].d_log_prob[0], element(v, "expected", "grad_desirable", i), 1e-9);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_close(t.losses[2 + i], element(v, "expected", "loss_undesirable", i), 1e-9);
        assert_close(t.responses[2 + i][0].d_log_prob[0], element(v, "expected", "grad_undesirable", i), 1e-9);
    }
    for (size_t i = 5; i < 10; i++)
        assert_close(t.responses[i][0].d_log_prob[0], 0, 0);
    json_decref(root);
}

static void kto__starts_at_one_half(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++)
        test_sums(&t, i, 0, 3, -7 - (double)i, -7 - (double)i)->label = i % 2;
    assert_close(run_objective(ctx, "kto", NULL, &t).loss, 0.5, 1e-12);
}

static void exo_rw__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("exo.rw", &root);
    test_rows t = {0};
    for (size_t k = 0; k < 4; k++)
        test_sums(&t, 0, k, 1, element(v, "inputs", "logratio", k), 0)->reward = element(v, "inputs", "reward", k);
    objective_result r = run_objective(ctx, "exo-rw", SET("beta=0.5", "reward_beta=0.5"), &t);
    assert_close(r.loss, number(v, "expected", "loss_reverse_kl"), 1e-9);
    for (size_t k = 0; k < 4; k++)
        assert_close(t.responses[0][k].d_log_prob[0], element(v, "expected", "grad_logratio", k), 1e-9);
    r = run_objective(ctx, "exo-rw", SET("forward=1"), &t);
    assert_close(r.loss, number(v, "expected", "loss_forward_ce"), 1e-9);
    for (size_t k = 0; k < 4; k++)
        assert_close(t.responses[0][k].d_log_prob[0], element(v, "expected", "grad_forward", k), 1e-9);
    for (size_t k = 0; k < 4; k++)
        t.channels[0][k].log_prob[0] = element(v, "expected", "optimum_logratio", k);
    assert_close(run_objective(ctx, "exo-rw", NULL, &t).loss, 0, 1e-9);
    json_decref(root);
}

static void pro__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("pro.listwise", &root);
    test_rows t = {0};
    const size_t place[3] = {2, 0, 1}; /* given out of order: the objective sorts */
    for (size_t k = 0; k < 3; k++) {
        size_t n = (size_t)element(v, "inputs", "length", k);
        test_sums(&t, 0, place[k], n, (double)n * element(v, "inputs", "mean_logp", k), 0);
        t.responses[0][place[k]].reward = element(v, "inputs", "reward", k);
    }
    assert_close(run_objective(ctx, "pro", NULL, &t).loss, number(v, "expected", "total"), 1e-9);
    objective_result r = run_objective(ctx, "pro", SET("sft=0"), &t);
    assert_close(r.loss, number(v, "expected", "rank_loss"), 1e-9);
    for (size_t k = 0; k < 3; k++)
        assert_close(t.responses[0][place[k]].d_log_prob[0] * element(v, "inputs", "length", k),
                     element(v, "expected", "grad_mean_logp", k), 1e-9);
    json_decref(root);
}

static double advantage_seen(const response *r, double weight) {
    return -r->d_log_prob[0] / weight; /* at ratio 1, d lp = -A * share */
}

static void group_advantages__agree_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rl.group_advantages", &root);
    const struct {
        const char *objective, *key;
        const char *const *settings;
    } cases[] = {{"grpo", "grpo", NULL}, {"grpo", "dr_grpo", SET("scale=0")}, {"rloo", "rloo", SET("beta=0")}};
    for (size_t c = 0; c < 3; c++) {
        test_rows t = {0};
        for (size_t i = 0; i < 2; i++)
            for (size_t k = 0; k < 4; k++)
                test_sums(&t, i, k, 1, -1 - (double)k, 0)->reward =
                    json_number_value(at(at(get(v, "inputs", "rewards"), i), k));
        objective_result r = run_objective(ctx, cases[c].objective, cases[c].settings, &t);
        for (size_t i = 0; i < 2; i++) {
            double sum = 0;
            for (size_t k = 0; k < 4; k++) {
                double a = advantage_seen(&t.responses[i][k], 1.0 / 8);
                assert_close(a, json_number_value(at(at(get(v, "expected", cases[c].key), i), k)), 1e-9);
                sum += a;
            }
            assert_close(sum, 0, 1e-12);
        }
        assert_close(metric_of(&r, "equal_groups"), 1, 0);
    }
    json_decref(root);
}

static void grpo__equal_rewards_give_exactly_nothing(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t k = 0; k < 3; k++) /* 0.1 * 3 / 3 is not 0.1 */
        test_sums(&t, 0, k, 2, -1, 0)->reward = 0.1;
    run_objective(ctx, "grpo", NULL, &t);
    for (size_t k = 0; k < 3; k++)
        assert_true(t.responses[0][k].d_log_prob[0] == 0);
}

/* Token losses of the vector: with ratio 1 a token's loss is -A, so A = -loss, one response a token would
 * lose the sequence; use the ratio instead: A = -1 and ratio = loss where negative, so losses come as -ratio. */
static void grpo__aggregates_as_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rl.loss_aggregation", &root);
    const char *settings[][3] = {{"clip=1", "clip_high=1000", "aggregation=0"},
                                 {"clip=1", "clip_high=1000", "aggregation=1"},
                                 {"clip=1", "clip_high=1000", "aggregation=2"}};
    const char *keys[] = {"grpo", "token_mean", "dr_grpo"};
    for (size_t c = 0; c < 3; c++) {
        test_rows t = {0};
        for (size_t i = 0; i < 2; i++) {
            json_t *losses = at(get(v, "inputs", "loss_seq"), i);
            response *r = test_response(&t, i, 0, json_array_size(losses));
            r->advantage = 1;
            r->old = t.channels[i][0].old;
            for (size_t j = 0; j < r->n; j++) {
                t.channels[i][0].log_prob[j] = -3;
                t.channels[i][0].old[j] = -3 - log(-json_number_value(at(losses, j)));
            }
        }
        objective_result r = run_objective(
            ctx, "grpo", SET(settings[c][0], settings[c][1], settings[c][2], "max_length=8"), &t);
        assert_close(r.loss, number(v, "expected", keys[c]), 1e-9);
    }
    json_decref(root);
}

static void grpo__kl_terms_are_the_estimators(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    test_sums(&t, 0, 0, 1, -1, -1.5)->advantage = 0;
    double d = 0.5;
    assert_close(run_objective(ctx, "grpo", SET("beta=2"), &t).loss, 2 * (exp(-d) - 1 + d), 1e-12);
    assert_close(t.responses[0][0].d_log_prob[0], 2 * (1 - exp(-d)), 1e-12);
    assert_close(run_objective(ctx, "grpo", SET("beta=2", "kl=2"), &t).loss, d * d, 1e-12);
    assert_close(t.responses[0][0].d_log_prob[0], 2 * d, 1e-12);
}

static void clipping__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("ppo.clip", &root);
    for (int use_ppo = 0; use_ppo < 2; use_ppo++) {
        test_rows t = {0};
        for (size_t i = 0; i < 5; i++) {
            response *r = test_response(&t, i, 0, 1);
            t.channels[i][0].log_prob[0] = element(v, "inputs", "new_logp", i);
            t.channels[i][0].old[0] = element(v, "inputs", "old_logp", i);
            t.channels[i][0].mask[0] = element(v, "inputs", "mask", i);
            r->old = t.channels[i][0].old;
            r->mask = t.channels[i][0].mask;
            r->advantage = element(v, "inputs", "advantages", i);
        }
        objective_result r = use_ppo ? run_objective(ctx, "ppo", SET("beta=0"), &t)
                                     : run_objective(ctx, "grpo", SET("aggregation=1"), &t);
        assert_close(r.loss, number(v, "expected", "loss"), 1e-9);
        for (size_t i = 0; i < 5; i++)
            assert_close(t.responses[i][0].d_log_prob[0], element(v, "expected", "grad_new_logp", i), 1e-9);
        assert_close(metric_of(&r, "clip_fraction"), number(v, "expected", "clip_fraction"), 1e-9);
        assert_close(metric_of(&r, "approximate_kl"), number(v, "expected", "approx_kl_k3"), 1e-9);
    }
    json_decref(root);
}

static void ppo__value_loss_agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("ppo.clip", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++) { /* one token: return = reward */
        response *r = test_sums(&t, i, 0, 1, -1, -1);
        t.channels[i][0].values[0] = element(v, "inputs", "v_pred", i);
        t.channels[i][0].old_values[0] = element(v, "inputs", "v_old", i);
        r->values = t.channels[i][0].values;
        r->old_values = t.channels[i][0].old_values;
        r->d_values = t.channels[i][0].d_values;
        r->reward = element(v, "inputs", "returns", i);
    }
    objective_result r = run_objective(ctx, "ppo", NULL, &t);
    assert_close(metric_of(&r, "value_loss"), number(v, "expected", "value_loss"), 1e-9);
    json_decref(root);
}

/* The advantages, read back from the gradient at ratio 1. */
static void ppo__estimates_advantages_as_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("ppo.reward_gae", &root);
    for (int lambda_one = 0; lambda_one < 2; lambda_one++) {
        test_rows t = {0};
        response *r = test_response(&t, 0, 0, 4);
        for (size_t j = 0; j < 4; j++) {
            t.channels[0][0].log_prob[j] = element(v, "inputs", "logp", j);
            t.channels[0][0].reference[j] = element(v, "inputs", "ref_logp", j);
            t.channels[0][0].values[j] = element(v, "inputs", "values", j);
        }
        r->reference = t.channels[0][0].reference;
        r->values = t.channels[0][0].values;
        r->d_values = t.channels[0][0].d_values;
        r->reward = number(v, "inputs", "score");
        run_objective(ctx, "ppo", SET("whiten=0", "beta=0.05", lambda_one ? "lambda=1" : "lambda=0.95"), &t);
        for (size_t j = 0; j < 4; j++) {
            double a = element(v, "expected", lambda_one ? "advantages_lambda1" : "advantages", j);
            assert_close(-4 * r->d_log_prob[j], a, 1e-9);
            if (!lambda_one) /* return = A + V, so d value = 0.1/4 * (V - R) = -0.025 * A */
                assert_close(r->d_values[j], -0.025 * a, 1e-9);
        }
    }
    json_decref(root);
}

static void ppo__whitens_as_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("ppo.whiten", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++) {
        response *r = test_sums(&t, i, 0, 1, -1, -1);
        r->values = t.channels[i][0].values; /* 0: A = reward */
        r->d_values = t.channels[i][0].d_values;
        t.channels[i][0].mask[0] = element(v, "inputs", "mask", i);
        r->mask = t.channels[i][0].mask;
        r->reward = element(v, "inputs", "values", i);
    }
    run_objective(ctx, "ppo", NULL, &t);
    for (size_t i = 0; i < 3; i++)
        assert_close(-3 * t.responses[i][0].d_log_prob[0], element(v, "expected", "whitened", i), 1e-9);
    json_decref(root);
}

static void rloo__sequence_ratio_agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rl.gspo", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 2; i++) {
        json_t *new = at(get(v, "inputs", "new_logp"), i), *old = at(get(v, "inputs", "old_logp"), i);
        response *r = test_response(&t, i, 0, json_array_size(new));
        r->advantage = element(v, "inputs", "advantages", i);
        r->old = t.channels[i][0].old;
        for (size_t j = 0; j < r->n; j++) {
            t.channels[i][0].log_prob[j] = json_number_value(at(new, j));
            t.channels[i][0].old[j] = json_number_value(at(old, j));
        }
    }
    run_objective(ctx, "rloo", SET("beta=0", "clip=1"), &t);
    for (size_t i = 0; i < 2; i++)
        assert_close(t.losses[i], -element(v, "inputs", "advantages", i) * element(v, "expected", "rloo_sequence_ratio", i),
                     1e-9);
    json_decref(root);
}

static void rloo__equals_reinforce_on_policy(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0}, with_old = {0};
    for (size_t k = 0; k < 4; k++) {
        test_sums(&t, 0, k, 3, -2 - (double)k, -2)->reward = (double)(k * k);
        response *r = test_sums(&with_old, 0, k, 3, -2 - (double)k, -2);
        r->reward = (double)(k * k);
        r->old = r->log_prob;
    }
    run_objective(ctx, "rloo", NULL, &t);
    run_objective(ctx, "rloo", NULL, &with_old);
    for (size_t k = 0; k < 4; k++)
        assert_close(t.responses[0][k].d_log_prob[1], with_old.responses[0][k].d_log_prob[1], 1e-12);
}

static int setup(void **state) {
    *state = test_ctx(1, NULL);
    return 0;
}
static int teardown(void **state) {
    agon_ctx_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft__agrees_with_the_vectors),
        cmocka_unit_test(kto__agrees_with_the_vector),
        cmocka_unit_test(kto__starts_at_one_half),
        cmocka_unit_test(exo_rw__agrees_with_the_vector),
        cmocka_unit_test(pro__agrees_with_the_vector),
        cmocka_unit_test(group_advantages__agree_with_the_vector),
        cmocka_unit_test(grpo__equal_rewards_give_exactly_nothing),
        cmocka_unit_test(grpo__aggregates_as_the_vector),
        cmocka_unit_test(grpo__kl_terms_are_the_estimators),
        cmocka_unit_test(clipping__agrees_with_the_vector),
        cmocka_unit_test(ppo__value_loss_agrees_with_the_vector),
        cmocka_unit_test(ppo__estimates_advantages_as_the_vector),
        cmocka_unit_test(ppo__whitens_as_the_vector),
        cmocka_unit_test(rloo__sequence_ratio_agrees_with_the_vector),
        cmocka_unit_test(rloo__equals_reinforce_on_policy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

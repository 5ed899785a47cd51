/* sft, kto, exo-rw, pro, grpo, rloo and ppo against training_vectors.json. */
#include "objective/policy.h"
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

/* The estimate of a KL divergence may come out below 0, the divergence cannot: z0 is held at 0 (eq. 7). */
static void kto__baseline_is_not_negative(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t i = 0; i < 2; i++) {
        test_sums(&t, i, 0, 1, 0.5, 0)->label = i;
        test_sums(&t, 2 + i, 0, 1, -3, 0)->mismatched = true;
    }
    objective_result r = run_objective(ctx, "kto", SET("beta=1"), &t);
    assert_close(metric_of(&r, "z0"), 0, 0);
    assert_close(t.losses[1], 1 / (1 + exp(0.5)), 1e-12);
    assert_close(t.losses[0], 1 / (1 + exp(-0.5)), 1e-12);
}

/* Beyond exp(20) a ratio is held, and so is its loss: the way back is not exp(20) steep. */
static void clipping__a_held_ratio_has_no_gradient(void **state) {
    (void)state;
    const clipped_term inside = clipped_surrogate(MAX_LOG_RATIO - 1, -1, 0.2, 0.2), beyond = clipped_surrogate(MAX_LOG_RATIO + 5, -1, 0.2, 0.2);
    assert_close(inside.loss, exp(MAX_LOG_RATIO - 1), 1e-6);
    assert_close(inside.d, exp(MAX_LOG_RATIO - 1), 1e-6);
    assert_close(beyond.loss, exp(MAX_LOG_RATIO), 1e-6);
    assert_true(beyond.d == 0 && !beyond.clipped);
    double d;
    k3(-MAX_LOG_RATIO - 5, &d);
    assert_true(d == 0);
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

/* Equal rewards: each is compared with what is strictly worse, and the best share the likelihood. */
static void pro__ties_have_no_order(void **state) {
    agon_ctx *ctx = *state;
    static const double s[3] = {-0.5, -1.5, -0.8}, reward[3] = {2, 0.5, 2};
    static const size_t places[2][3] = {{0, 1, 2}, {2, 1, 0}};
    double rank_loss = 0, tau = 1.5;
    for (size_t k = 0; k < 3; k += 2)
        rank_loss += log(exp(s[k] * tau) + exp(s[1] * tau)) - s[k] * tau;
    for (size_t order = 0; order < 2; order++) {
        test_rows t = {0};
        for (size_t k = 0; k < 3; k++) {
            test_sums(&t, 0, places[order][k], 2, 2 * s[k], 0);
            t.responses[0][places[order][k]].reward = reward[k];
        }
        assert_close(run_objective(ctx, "pro", SET("sft=0"), &t).loss, rank_loss, 1e-12);
        assert_close(run_objective(ctx, "pro", SET("sft=1"), &t).loss, rank_loss - 4 * (2 * s[0] + 2 * s[2]) / 2, 1e-12);
    }
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
    } cases[] = {{"grpo", "grpo", NULL},
                 {"grpo", "dr_grpo", SET("scale=0")},
                 {"rloo", "rloo", SET("beta=0")},
                 {"gspo", "grpo", NULL},
                 {"reinforce++", "rpp_baseline", SET("beta=0", "baseline=1")}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
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
    /* Without a baseline the second group is not 0: its rewards are above the step's mean. */
    test_rows t = {0};
    for (size_t i = 0; i < 8; i++)
        test_sums(&t, i, 0, 1, -1, 0)->reward = json_number_value(at(at(get(v, "inputs", "rewards"), i / 4), i % 4));
    run_objective(ctx, "reinforce++", SET("beta=0"), &t);
    for (size_t i = 0; i < 8; i++)
        assert_close(advantage_seen(&t.responses[i][0], 1.0 / 8),
                     json_number_value(at(at(get(v, "expected", "rpp"), i / 4), i % 4)), 1e-9);
    json_decref(root);
}

/* The KL penalty of token t counts for it and all before it; then the step's tokens are normalised. */
static void reinforce_pp__spreads_the_penalty(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    const double k1[2] = {0.5, -0.25}, beta = 0.1, reward = 2;
    response *r = test_response(&t, 0, 0, 2);
    for (size_t j = 0; j < 2; j++) {
        t.channels[0][0].log_prob[j] = -1;
        t.channels[0][0].reference[j] = -1 - k1[j];
    }
    r->reference = t.channels[0][0].reference;
    r->reward = reward;
    run_objective(ctx, "reinforce++", SET("beta=0.1"), &t);
    double a[2] = {reward - beta * (k1[0] + k1[1]), reward - beta * k1[1]}, mean = (a[0] + a[1]) / 2;
    double std = sqrt((a[0] - mean) * (a[0] - mean) + (a[1] - mean) * (a[1] - mean));
    for (size_t j = 0; j < 2; j++)
        assert_close(-2 * r->d_log_prob[j], (a[j] - mean) / (std + 1e-8), 1e-12);
}

/* grpo's estimators over a whole categorical policy: their means, and what their gradients are gradients of. */
static void kl_estimators__agree_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("kl.estimators", &root);
    const struct {
        const char *setting, *mean, *gradient;
    } cases[] = {{"kl=2", "mean_k2", "grad_reverse_kl"}, {"kl=3", "mean_k3", "grad_forward_kl"}};
    double p[3], q[3], k1 = 0, squares = 0, k3_squares = 0;
    for (size_t c = 0; c < 2; c++) {
        test_rows t = {0};
        double total = 0, gradient[3], sum = 0;
        for (size_t k = 0; k < 3; k++) {
            p[k] = element(v, "inputs", "p", k), q[k] = element(v, "inputs", "q", k);
            response *r = test_sums(&t, k, 0, 1, log(p[k]), log(q[k]));
            r->advantage = 0, r->weight = p[k];
            total += p[k];
        }
        assert_close(total, 1, 1e-15);
        assert_close(run_objective(ctx, "grpo", SET("beta=1", cases[c].setting), &t).loss,
                     number(v, "expected", cases[c].mean), 1e-7);
        for (size_t k = 0; k < 3; k++)
            sum += t.responses[k][0].d_log_prob[0]; /* weighted by p already */
        for (size_t k = 0; k < 3; k++) {
            gradient[k] = t.responses[k][0].d_log_prob[0] - p[k] * sum;
            assert_close(gradient[k], element(v, "expected", cases[c].gradient, k), 1e-7);
        }
    }
    for (size_t k = 0; k < 3; k++) {
        double d = log(p[k] / q[k]), mean = number(v, "expected", "kl_exact"), ignored;
        k1 += p[k] * d;
        squares += p[k] * (d - mean) * (d - mean);
        k3_squares += p[k] * (k3(d, &ignored) - mean) * (k3(d, &ignored) - mean);
    }
    assert_close(k1, number(v, "expected", "mean_k1"), 1e-7);
    assert_close(sqrt(squares), number(v, "expected", "std_k1"), 1e-7);
    assert_close(sqrt(k3_squares), number(v, "expected", "std_k3"), 1e-7);
    json_decref(root);
}

static void adaptive_kl__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("ppo.adaptive_kl", &root);
    for (size_t i = 0; i < 3; i++)
        assert_close(adaptive_kl(number(v, "inputs", "coef"), element(v, "inputs", "kl", i), number(v, "inputs", "target"),
                                 number(v, "inputs", "n"), number(v, "inputs", "horizon")),
                     element(v, "expected", "coef_next", i), 1e-12);
    json_decref(root);
}

/* More episodes than the horizon: beta moves by a fifth, never to 0 or below, and what has become tiny stays a tie. */
static void adaptive_kl__stays_above_zero(void **state) {
    (void)state;
    double beta = 0.05;
    assert_close(adaptive_kl(0.05, 0, 6, 8, 1), 0.04, 1e-15);
    assert_close(adaptive_kl(0.05, 60, 6, 8, 1), 0.06, 1e-15);
    assert_close(adaptive_kl(0.05, 0, 6, 8, 0.001), 0.04, 1e-15);
    for (size_t i = 0; i < 5000; i++)
        beta = adaptive_kl(beta, 0, 6, 8, 1);
    assert_close(beta, LEAST_BETA, 1e-20);
    assert_close(adaptive_kl(1e-9, 0, 6, 8, 1), 1e-9, 1e-20); /* asked for so small */
    assert_true(adaptive_kl(beta, 60, 6, 8, 1) > 1.19 * beta);
}

/* Rewards that are all equal say of no response that it is the best. */
static void pro__learns_nothing_from_equal_rewards(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t k = 0; k < 3; k++) {
        response *r = test_response(&t, 0, k, 2);
        r->reward = 0;
        for (size_t j = 0; j < 2; j++)
            t.channels[0][k].log_prob[j] = -1.0 - (double)(k + j);
    }
    objective_result r = run_objective(ctx, "pro", NULL, &t);
    assert_true(r.loss == 0);
    assert_close(metric_of(&r, "equal_groups"), 1, 0);
    for (size_t k = 0; k < 3; k++)
        for (size_t j = 0; j < 2; j++)
            assert_true(t.responses[0][k].d_log_prob[j] == 0);
}

static void gspo__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rl.gspo", &root);
    test_rows t = {0};
    size_t at_token = 0;
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
    assert_close(run_objective(ctx, "gspo", NULL, &t).loss, number(v, "expected", "loss"), 1e-9);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < t.responses[i][0].n; j++)
            assert_close(t.responses[i][0].d_log_prob[j], element(v, "expected", "grad_new_logp", at_token++), 1e-9);
    json_decref(root);
}

/* Micro-batches of 6 and 2 tokens: rescaled by the normalisers they add up to the step's gradient, where the mean of
 * means does not. The gradient of a parameter is the sum over tokens of d log_prob times its slope. */
static void accumulation__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("opt.grad_accumulation", &root);
    const objective *sft = objective_find("sft");
    const char *sums[2] = {"grad_sum_a", "grad_sum_b"}, *counts[2] = {"tokens_a", "tokens_b"};
    test_rows t = {0};
    double got[2] = {0}, wrong[2] = {0}, losses[1], options[MAX_OBJECTIVE_OPTIONS];
    objective_defaults(sft, options);
    for (size_t i = 0; i < 2; i++)
        test_response(&t, i, 0, (size_t)number(v, "inputs", counts[i]));
    double step = sft->normaliser(options, t.rows, 2);
    for (size_t i = 0; i < 2; i++) {
        objective_result r = {.losses = losses};
        const response *y = &t.responses[i][0];
        assert_ok(ctx, sft->loss(ctx, sft, options, &t.rows[i], 1, &r));
        double share = sft->normaliser(options, &t.rows[i], 1) / step;
        for (size_t j = 0; j < y->n; j++)
            for (size_t p = 0; p < 2; p++) {
                double g = -y->d_log_prob[j] * element(v, "inputs", sums[i], p) / (double)y->n;
                got[p] += share * g;
                wrong[p] += g / 2;
            }
    }
    for (size_t p = 0; p < 2; p++) {
        assert_close(got[p], element(v, "expected", "correct", p), 1e-9);
        assert_close(wrong[p], element(v, "expected", "wrong_mean_of_means", p), 1e-9);
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

static void ppo__discounts(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    response *r = test_sums(&t, 0, 0, 2, -2, -2);
    channels *c = &t.channels[0][0];
    r->values = c->values, r->d_values = c->d_values;
    c->values[0] = 0.3, c->values[1] = 0.5;
    r->reward = 1;
    /* A_1 = 1 - 0.5; A_0 = (0.5 * 0.5 - 0.3) + 0.5 * 0.8 * A_1; the gradient of a token is -A/2. */
    run_objective(ctx, "ppo", SET("whiten=0", "beta=0", "gamma=0.5", "lambda=0.8"), &t);
    assert_close(r->d_log_prob[1], -0.5 / 2, 1e-12);
    assert_close(r->d_log_prob[0], -(0.25 - 0.3 + 0.5 * 0.8 * 0.5) / 2, 1e-12);
}

/* Two responses, the first with two tokens inside it and one behind it that somebody else wrote (mask 0), or without them. */
static void masked_rows(test_rows *t, bool grouped, bool with) {
    static const bool foreign[7] = {false, true, false, false, true, false, true};
    size_t n = 0;
    memset(t, 0, sizeof *t);
    for (size_t k = 0; k < 2; k++) {
        response *r = test_response(t, grouped ? 0 : k, grouped ? k : 0, 1);
        channels *c = &t->channels[grouped ? 0 : k][grouped ? k : 0];
        n = 0;
        for (size_t j = 0; j < 7; j++) {
            bool masked = k == 0 && foreign[j];
            if (masked && !with)
                continue;
            c->mask[n] = !masked;
            c->log_prob[n] = -1 - 0.1 * (double)j - 0.3 * (double)k;
            c->old[n] = masked ? -9 : c->log_prob[n] + 0.05 * (double)(j % 3);
            c->reference[n] = masked ? -0.5 : c->log_prob[n] - 0.2 * (double)(j % 2);
            c->values[n] = masked ? 7 : 0.1 * (double)j;
            c->old_values[n] = masked ? -7 : 0.1 * (double)j + 0.02;
            n++;
        }
        *r = (response){.n = n, .log_prob = c->log_prob, .old = c->old, .reference = c->reference, .values = c->values,
                        .old_values = c->old_values, .mask = c->mask, .reward = k ? 0.2 : 1, .advantage = NAN, .label = NAN, .weight = 1,
                        .d_log_prob = c->d_log_prob, .d_values = c->d_values};
    }
}

/* What a tool wrote in the middle of an answer counts for nothing: neither in ratios, penalties, values and returns, nor in what is reported. */
static void policy_gradients__masked_tokens_are_as_if_they_were_not_there(void **state) {
    agon_ctx *ctx = *state;
    const struct {
        const char *name, *const *settings;
        bool grouped;
    } cases[] = {{"grpo", SET("beta=0.1"), true},
                 {"grpo", SET("beta=0.1", "aggregation=1", "kl=2"), true},
                 {"rloo", SET("beta=0.1"), true},
                 {"gspo", SET("clip=0.2"), true},
                 {"reinforce++", SET("beta=0.1"), true},
                 {"reinforce++", SET("beta=0.1", "baseline=1"), true},
                 {"ppo", SET("beta=0.1", "gamma=0.9", "lambda=0.8"), false},
                 {"ppo", SET("beta=0.1", "gamma=0.9", "lambda=0.8", "whiten=0", "whiten_rewards=1"), false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static test_rows with, without;
        masked_rows(&with, cases[i].grouped, true);
        masked_rows(&without, cases[i].grouped, false);
        objective_result a = run_objective(ctx, cases[i].name, cases[i].settings, &with),
                         b = run_objective(ctx, cases[i].name, cases[i].settings, &without);
        assert_close(a.loss, b.loss, 1e-12);
        assert_int_equal(a.n_metrics, b.n_metrics);
        for (size_t k = 0; k < a.n_metrics; k++)
            if (fabs(a.metrics[k].value - b.metrics[k].value) > 1e-12)
                fail_msg("%s: %s is %g, without the masked tokens %g", cases[i].name, a.metrics[k].name, a.metrics[k].value, b.metrics[k].value);
        for (size_t k = 0, at = 0; k < with.responses[0][0].n; k++) {
            const response *x = &with.responses[0][0], *y = &without.responses[0][0];
            if (x->mask[k] == 0) {
                assert_true(x->d_log_prob[k] == 0 && x->d_values[k] == 0);
                continue;
            }
            assert_close(x->d_log_prob[k], y->d_log_prob[at], 1e-12);
            assert_close(x->d_values[k], y->d_values[at++], 1e-12);
        }
    }
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
    /* Rewards keep their mean. */
    run_objective(ctx, "ppo", SET("whiten=0", "whiten_rewards=1"), &t);
    for (size_t i = 0; i < 3; i++)
        assert_close(-3 * t.responses[i][0].d_log_prob[0], element(v, "expected", "keep_mean", i), 1e-9);
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

/* The score is neither lost nor doubled: with no values and lambda 1, A_0 + beta * sum k1 is the score. */
static void ppo__adds_the_score_once(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    double kl = 0;
    response *r = test_response(&t, 0, 0, 5);
    for (size_t j = 0; j < 5; j++) {
        t.channels[0][0].log_prob[j] = -1 - 0.1 * (double)j;
        t.channels[0][0].reference[j] = -1.2;
        t.channels[0][0].mask[j] = j != 4; /* the reward goes to the last supervised token */
        kl += j != 4 ? t.channels[0][0].log_prob[j] + 1.2 : 0;
    }
    r->reference = t.channels[0][0].reference, r->values = t.channels[0][0].values, r->mask = t.channels[0][0].mask;
    r->reward = 3;
    run_objective(ctx, "ppo", SET("whiten=0", "beta=0.2", "lambda=1"), &t);
    assert_close(-4 * r->d_log_prob[0] + 0.2 * kl, 3, 1e-12);
    assert_close(r->d_log_prob[4], 0, 0);
}

/* One step on fresh samples with given advantages: PPO's clipped ratio has the gradient of REINFORCE. */
static void ppo__equals_reinforce_on_policy(void **state) {
    agon_ctx *ctx = *state;
    test_rows plain = {0}, ratio = {0};
    for (size_t i = 0; i < 4; i++) {
        test_sums(&plain, i, 0, 3, -2 - (double)i, -2)->advantage = (double)i - 1.5;
        response *r = test_sums(&ratio, i, 0, 3, -2 - (double)i, -2);
        r->advantage = (double)i - 1.5;
        r->old = r->log_prob;
    }
    run_objective(ctx, "rloo", NULL, &plain);
    run_objective(ctx, "ppo", SET("beta=0"), &ratio);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 3; j++) /* rloo means over responses, ppo over tokens */
            assert_close(ratio.responses[i][0].d_log_prob[j], plain.responses[i][0].d_log_prob[j] / 3, 1e-15);
}

static void ppo__explains_variance(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++) {
        response *r = test_sums(&t, i, 0, 1, -1, -1);
        r->reward = (double)(i * i);
        t.channels[i][0].old_values[0] = 0;
        t.channels[i][0].values[0] = (double)(i * i) - 2; /* off by a constant explains all */
        r->values = t.channels[i][0].values, r->old_values = t.channels[i][0].old_values;
    }
    objective_result r = run_objective(ctx, "ppo", NULL, &t);
    assert_close(metric_of(&r, "explained_variance"), 1, 1e-12);
    for (size_t i = 0; i < 4; i++)
        t.channels[i][0].values[0] = 7;
    r = run_objective(ctx, "ppo", NULL, &t);
    assert_close(metric_of(&r, "explained_variance"), 0, 1e-12);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft__agrees_with_the_vectors),
        cmocka_unit_test(kto__agrees_with_the_vector),
        cmocka_unit_test(kto__starts_at_one_half),
        cmocka_unit_test(kto__baseline_is_not_negative),
        cmocka_unit_test(clipping__a_held_ratio_has_no_gradient),
        cmocka_unit_test(exo_rw__agrees_with_the_vector),
        cmocka_unit_test(pro__agrees_with_the_vector),
        cmocka_unit_test(pro__ties_have_no_order),
        cmocka_unit_test(group_advantages__agree_with_the_vector),
        cmocka_unit_test(grpo__equal_rewards_give_exactly_nothing),
        cmocka_unit_test(grpo__aggregates_as_the_vector),
        cmocka_unit_test(grpo__kl_terms_are_the_estimators),
        cmocka_unit_test(clipping__agrees_with_the_vector),
        cmocka_unit_test(ppo__value_loss_agrees_with_the_vector),
        cmocka_unit_test(ppo__estimates_advantages_as_the_vector),
        cmocka_unit_test(ppo__discounts),
        cmocka_unit_test(policy_gradients__masked_tokens_are_as_if_they_were_not_there),
        cmocka_unit_test(ppo__whitens_as_the_vector),
        cmocka_unit_test(rloo__sequence_ratio_agrees_with_the_vector),
        cmocka_unit_test(rloo__equals_reinforce_on_policy),
        cmocka_unit_test(reinforce_pp__spreads_the_penalty),
        cmocka_unit_test(kl_estimators__agree_with_the_vector),
        cmocka_unit_test(adaptive_kl__agrees_with_the_vector),
        cmocka_unit_test(adaptive_kl__stays_above_zero),
        cmocka_unit_test(pro__learns_nothing_from_equal_rewards),
        cmocka_unit_test(gspo__agrees_with_the_vector),
        cmocka_unit_test(accumulation__agrees_with_the_vector),
        cmocka_unit_test(ppo__adds_the_score_once),
        cmocka_unit_test(ppo__equals_reinforce_on_policy),
        cmocka_unit_test(ppo__explains_variance),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

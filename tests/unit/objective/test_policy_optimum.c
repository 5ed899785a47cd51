/* Theory in small: a tabular policy over four responses, trained by exact expected gradients, lands where
 * the papers say (training_vectors.json policy.optimum and policy.k3_in_loss). */
#include "rows.h"

enum { N = 4 };

typedef struct bandit {
    double reference[N], reward[N], logits[N], p[N];
} bandit;

static void softmax(bandit *b) {
    double max = -INFINITY, sum = 0;
    for (size_t k = 0; k < N; k++)
        max = fmax(max, b->logits[k]);
    for (size_t k = 0; k < N; k++)
        sum += b->p[k] = exp(b->logits[k] - max);
    for (size_t k = 0; k < N; k++)
        b->p[k] /= sum;
}

static json_t *open_bandit(const char *id, bandit *b, json_t **root) {
    json_t *v = test_vector(id, root);
    for (size_t k = 0; k < N; k++) {
        b->reference[k] = element(v, "inputs", "ref", k);
        b->reward[k] = element(v, "inputs", "reward", k);
        b->logits[k] = log(b->reference[k]);
    }
    return v;
}

static void fill(test_rows *t, size_t i, size_t k, const bandit *b, size_t y) {
    test_sums(t, i, k, 1, log(b->p[y]), log(b->reference[y]));
}

/* d logits from d log_prob of each response: d * (onehot - p). */
static void descend(bandit *b, const double *d, double rate) {
    double sum = 0;
    for (size_t k = 0; k < N; k++)
        sum += d[k];
    for (size_t k = 0; k < N; k++)
        b->logits[k] -= rate * (d[k] - b->p[k] * sum);
}

static double distance(const bandit *b, json_t *v) {
    double tv = 0;
    for (size_t k = 0; k < N; k++)
        tv += fabs(b->p[k] - element(v, "expected", "policy", k)) / 2;
    return tv;
}

/* On-policy expectation: each response weighted by its probability, no sampling noise. */
static void expected_step(agon_ctx *ctx, bandit *b, const char *name, const char *const *settings, bool advantage,
                          bool singles, double rate) {
    test_rows t = {0};
    double d[N] = {0};
    softmax(b);
    for (size_t k = 0; k < N; k++) {
        size_t i = singles ? k : 0, j = singles ? 0 : k;
        fill(&t, i, j, b, k);
        response *r = &t.responses[i][j];
        r->weight = b->p[k];
        r->reward = b->reward[k];
        if (advantage)
            r->advantage = b->reward[k];
        r->values = t.channels[i][j].values; /* zero */
        r->d_values = t.channels[i][j].d_values;
    }
    run_objective(ctx, name, settings, &t);
    for (size_t k = 0; k < N; k++)
        d[k] = t.responses[singles ? k : 0][singles ? 0 : k].d_log_prob[0];
    descend(b, d, rate);
}

static void policy_gradients__reach_the_optimum(void **state) {
    agon_ctx *ctx = *state;
    const struct {
        const char *name;
        const char *const *settings;
        bool advantage, singles;
        const char *vector;
        bool shrink; /* advantages are scaled to one size however small they are, so the steps must shrink */
    } cases[] = {
        {"rloo", SET("beta=0.5"), false, false, "policy.optimum", false},
        {"ppo", SET("beta=0.5", "whiten=0", "value_coefficient=0"), false, true, "policy.optimum", false},
        {"reinforce++", SET("beta=0.5"), false, true, "policy.optimum", true},
        {"grpo", SET("beta=0.5", "kl=2"), true, false, "policy.optimum", false},
        {"grpo", SET("beta=0.5", "kl=3"), true, false, "policy.k3_in_loss", false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        bandit b;
        json_t *root, *v = open_bandit(cases[c].vector, &b, &root);
        for (int step = 0; step < 20000; step++)
            expected_step(ctx, &b, cases[c].name, cases[c].settings, cases[c].advantage, cases[c].singles, cases[c].shrink ? 0.5 / (1 + step / 200.0) : 0.5);
        softmax(&b);
        if (!(distance(&b, v) < (cases[c].shrink ? 1e-2 : 1e-4)))
            fail_msg("%s ends %g from %s", cases[c].name, distance(&b, v), cases[c].vector);
        json_decref(root);
    }
}

static void exo_rw__reaches_the_optimum(void **state) {
    agon_ctx *ctx = *state;
    bandit b;
    json_t *root, *v = open_bandit("policy.optimum", &b, &root);
    for (int step = 0; step < 4000; step++) {
        test_rows t = {0};
        double d[N];
        softmax(&b);
        for (size_t k = 0; k < N; k++) {
            fill(&t, 0, k, &b, k);
            t.responses[0][k].reward = b.reward[k];
        }
        run_objective(ctx, "exo-rw", SET("beta=1", "reward_beta=0.5"), &t);
        for (size_t k = 0; k < N; k++)
            d[k] = t.responses[0][k].d_log_prob[0];
        descend(&b, d, 0.5);
    }
    softmax(&b);
    assert_close(distance(&b, v), 0, 1e-4);
    json_decref(root);
}

/* All ordered pairs as a Bradley-Terry rater labels them, of whom a share `swapped` answers the other way round; drawn uniformly or from the
 * optimum, which moves no optimum. Returns how far from the vector's policy the training ends. */
static double pairs_end(agon_ctx *ctx, const char *name, const char *const *settings, double swapped, bool from_optimum) {
    bandit b;
    json_t *root, *v = open_bandit("policy.optimum", &b, &root);
    for (int step = 0; step < 6000; step++) {
        test_rows t = {0};
        double d[N] = {0};
        size_t n = 0;
        softmax(&b);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                if (i == j)
                    continue;
                double better = 1 / (1 + exp(b.reward[j] - b.reward[i]));
                fill(&t, n, 0, &b, i);
                fill(&t, n, 1, &b, j);
                t.rows[n].weight = better * (1 - swapped) + (1 - better) * swapped;
                if (from_optimum)
                    t.rows[n].weight *= element(v, "expected", "policy", i) * element(v, "expected", "policy", j);
                n++;
            }
        run_objective(ctx, name, settings, &t);
        n = 0;
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                if (i == j)
                    continue;
                d[i] += t.responses[n][0].d_log_prob[0];
                d[j] += t.responses[n++][1].d_log_prob[0];
            }
        descend(&b, d, 2);
    }
    softmax(&b);
    double tv = distance(&b, v);
    json_decref(root);
    return tv;
}

/* By their theory, under a tenth and three tenths of swapped pairs too where the loss is told of them; RSO's pairs are drawn from the
 * optimum (2309.06657). Plain dpo under swapped pairs is the control: it must not get there. */
static void preferences__reach_the_optimum_on_all_pairs(void **state) {
    agon_ctx *ctx = *state;
    const struct {
        const char *name;
        const char *const *settings;
        double swapped;
        bool from_optimum;
    } cases[] = {
        {"dpo", SET("beta=0.5"), 0, false},
        {"dpo", SET("beta=0.5"), 0, true},
        {"rso-sigmoid", SET("beta=0.5"), 0, true},
        {"spin", SET("beta=0.5"), 0, false},
        {"rdpo", SET("beta=0.5", "label_smoothing=0.1"), 0.1, false},
        {"rdpo", SET("beta=0.5", "label_smoothing=0.3"), 0.3, false},
        {"dpo-forward", SET("beta=0.5", "label_smoothing=0.1"), 0.1, false},
        {"dpo-forward", SET("beta=0.5", "label_smoothing=0.3"), 0.3, false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double tv = pairs_end(ctx, cases[c].name, cases[c].settings, cases[c].swapped, cases[c].from_optimum);
        if (!(tv < 1e-3))
            fail_msg("%s with %g swapped ends %g from the optimum", cases[c].name, cases[c].swapped, tv);
    }
    assert_true(pairs_end(ctx, "dpo", SET("beta=0.5"), 0.3, false) > 0.02);
}

/* Each unordered pair once, with the rater's probability as its soft label. */
static void dpo_soft__reaches_the_optimum(void **state) {
    agon_ctx *ctx = *state;
    bandit b;
    json_t *root, *v = open_bandit("policy.optimum", &b, &root);
    for (int step = 0; step < 20000; step++) {
        test_rows t = {0};
        double d[N] = {0};
        size_t n = 0;
        softmax(&b);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < i; j++) {
                fill(&t, n, 0, &b, i);
                fill(&t, n, 1, &b, j);
                t.responses[n++][0].label = 1 / (1 + exp(b.reward[j] - b.reward[i]));
            }
        run_objective(ctx, "dpo-soft", SET("beta=0.5"), &t);
        n = 0;
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < i; j++) {
                d[i] += t.responses[n][0].d_log_prob[0];
                d[j] += t.responses[n++][1].d_log_prob[0];
            }
        descend(&b, d, 2);
    }
    softmax(&b);
    assert_close(distance(&b, v), 0, 1e-4);
    json_decref(root);
}

/* A family of one mode (a discrete bell of width 1 around mu) cannot hold two good answers: the forward cross-entropy
 * settles between them, EXO's reverse KL on one of them (the bimodal picture of arXiv 2402.00856, figure 1). */
static double bell_mean(agon_ctx *ctx, const char *setting) {
    enum { PLACES = 8 };
    double mu = 3, log_p[PLACES], slope[PLACES];
    for (int step = 0; step < 4000; step++) {
        test_rows t = {0};
        double max = -INFINITY, sum = 0, mean = 0, d = 0;
        for (size_t k = 0; k < PLACES; k++) {
            log_p[k] = -0.5 * ((double)k - mu) * ((double)k - mu);
            max = fmax(max, log_p[k]);
        }
        for (size_t k = 0; k < PLACES; k++)
            sum += exp(log_p[k] - max);
        for (size_t k = 0; k < PLACES; k++) {
            log_p[k] -= max + log(sum);
            mean += exp(log_p[k]) * ((double)k - mu);
        }
        for (size_t k = 0; k < PLACES; k++) {
            slope[k] = (double)k - mu - mean;
            test_sums(&t, 0, k, 1, log_p[k], log(1.0 / PLACES))->reward = k == 1 || k == 6 ? 2 : 0;
        }
        run_objective(ctx, "exo-rw", SET("beta=1", "reward_beta=0.3", setting), &t);
        for (size_t k = 0; k < PLACES; k++)
            d += t.responses[0][k].d_log_prob[0] * slope[k];
        mu -= 0.02 * d;
    }
    return mu;
}

static void exo_rw__seeks_a_mode(void **state) {
    agon_ctx *ctx = *state;
    double reverse = bell_mean(ctx, "forward=0"), forward = bell_mean(ctx, "forward=1");
    if (!(reverse < 1.6 && forward > 3.2 && forward < 3.8))
        fail_msg("reverse settles at %g, forward at %g", reverse, forward);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_gradients__reach_the_optimum),
        cmocka_unit_test(exo_rw__reaches_the_optimum),
        cmocka_unit_test(preferences__reach_the_optimum_on_all_pairs),
        cmocka_unit_test(dpo_soft__reaches_the_optimum),
        cmocka_unit_test(exo_rw__seeks_a_mode),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

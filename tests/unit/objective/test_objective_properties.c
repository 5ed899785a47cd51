/* Properties every objective has: gradients, row-by-row evaluation, finiteness, options. */
#include "rows.h"

/* Random rows of the kind an objective takes, with every channel given. */
static void random_rows(const objective *o, rng *random, test_rows *t) {
    memset(t, 0, sizeof *t);
    size_t k_max = o->rows & ROW_PAIR || o->most_responses == 2 ? 2 : o->rows & ROW_GROUP ? 4 : 1;
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < k_max; k++) {
            response *r = test_response(t, i, k, 1 + rng_below(random, 6));
            channels *c = &t->channels[i][k];
            for (size_t j = 0; j < r->n; j++) {
                c->log_prob[j] = -0.05 - 2 * rng_uniform(random);
                c->reference[j] = c->log_prob[j] + 0.6 * (rng_uniform(random) - 0.5);
                c->old[j] = c->log_prob[j] + 0.6 * (rng_uniform(random) - 0.5);
                c->values[j] = rng_uniform(random);
                c->old_values[j] = c->values[j] + 0.6 * (rng_uniform(random) - 0.5);
                c->entropy[j] = 2 * rng_uniform(random);
                c->mean_log_prob[j] = -2 - 2 * rng_uniform(random);
                c->head[j] = 2 * rng_uniform(random) - 1;
                c->targets[j] = j > 0 && rng_uniform(random) < 0.3 ? NAN : rng_uniform(random);
                c->mask[j] = j > 0 && rng_uniform(random) < 0.3 ? 0 : 1;
            }
            r->reference = c->reference, r->old = c->old, r->mask = c->mask;
            r->values = c->values, r->old_values = c->old_values, r->d_values = c->d_values;
            r->entropy = c->entropy, r->d_entropy = c->d_entropy;
            r->mean_log_prob = c->mean_log_prob, r->d_mean_log_prob = c->d_mean_log_prob;
            r->head = c->head, r->d_head = c->d_head, r->n_head = 1, r->targets = c->targets;
            r->reward = rng_uniform(random), r->label = rng_below(random, 2);
            r->weight = 0.5 + rng_uniform(random);
            r->mismatched = !strcmp(o->name, "kto") && i == 4;
        }
        t->rows[i].weight = 0.5 + rng_uniform(random);
    }
}

static double loss_of(agon_ctx *ctx, const objective *o, const double *options, test_rows *t) {
    double losses[MAX_TEST_ROWS];
    objective_result r = {.losses = losses};
    assert_ok(ctx, o->loss(ctx, o, options, t->rows, t->n, &r));
    return r.loss;
}

/* Central difference of the step's loss in one channel value. */
static double difference(agon_ctx *ctx, const objective *o, const double *options, test_rows *t, double *x) {
    const double h = 1e-6;
    double kept = *x;
    *x = kept + h;
    double up = loss_of(ctx, o, options, t);
    *x = kept - h;
    double down = loss_of(ctx, o, options, t);
    *x = kept;
    return (up - down) / (2 * h);
}

static void check_gradients(agon_ctx *ctx, const objective *o, const double *options, test_rows *t) {
    static test_rows analytic;
    loss_of(ctx, o, options, t);
    analytic = *t;
    /* z0 is a constant in KTO: differences see it only through rows that are not mismatched when there are
     * mismatched ones, and those rows themselves have no gradient. PPO's old values are given, so values are
     * seen by the value loss alone. */
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->rows[i].n_responses; k++)
            for (size_t j = 0; j < t->responses[i][k].n && !t->responses[i][k].mismatched; j++) {
                channels *c = &t->channels[i][k], *a = &analytic.channels[i][k];
                const struct {
                    double *x, d;
                } all[] = {{&c->log_prob[j], a->d_log_prob[j]}, {&c->values[j], a->d_values[j]},
                           {&c->entropy[j], a->d_entropy[j]}, {&c->mean_log_prob[j], a->d_mean_log_prob[j]},
                           {&c->head[j], a->d_head[j]}};
                for (size_t x = 0; x < sizeof all / sizeof all[0]; x++) {
                    double want = difference(ctx, o, options, t, all[x].x);
                    if (!(fabs(all[x].d - want) <= 2e-7 + 1e-6 * fabs(want)))
                        fail_msg("%s: channel %zu, row %zu, response %zu, token %zu: %.9g, differences say %.9g",
                                 o->name, x, i, k, j, all[x].d, want);
                }
            }
}

static void objectives__gradients_match_finite_differences(void **state) {
    agon_ctx *ctx = *state;
    const char *extra[][2] = {{"grpo", "beta=0.1"},        {"grpo", "aggregation=1"}, {"grpo", "kl=2"},
                              {"ipo", "length_normalised=0"}, {"dpo", "length_normalised=1"}, {"dpo", "sft=0.3"},
                              {"rso-hinge", "beta=2"},     {"exo-rw", "forward=1"},   {"dpo", "label_smoothing=0.2"},
                              {"sft", "label_smoothing=0.1"}, {"ppo", "entropy_coefficient=0.1"},
                              {"ppo", "whiten_rewards=1"},   {"reinforce++", "baseline=1"},
                              {"gspo", "clip=0.2"},          {"gce", "q=0.3"},
                              {"token-forward", "vocabulary=5"}, {"plackett-luce", "pairwise=1"},
                              {"bt", "label_smoothing=0.1"}, {"rm-pointwise", "squared=1"},
                              {"classify", "correction=1"},  {"classify", "correction=2"},
                              {"classify", "label_smoothing=0.2"}, {"aux-confidence", "threshold=0"},
                              {"aux-confidence", "threshold=2"}, {"aux-confidence", "likelihood=0.7"},
                              {"classify", "likelihood=0.5"}, {"choices", "likelihood=0.4"},
                              {"choices-confidence", "threshold=0"}, {"choices-confidence", "threshold=2"}};
    rng random = rng_new(5);
    test_rows t;
    double options[MAX_OBJECTIVE_OPTIONS];
    for (size_t i = 0; objective_at(i); i++)
        for (int repeat = 0; repeat < 4; repeat++) {
            test_options(objective_at(i), options);
            random_rows(objective_at(i), &random, &t);
            check_gradients(ctx, objective_at(i), options, &t);
        }
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        const objective *o = objective_find(extra[i][0]);
        test_options(o, options);
        if (!strcmp(extra[i][1], "kl=2"))
            assert_ok(ctx, objective_set(ctx, o, "beta=0.1", options));
        assert_ok(ctx, objective_set(ctx, o, extra[i][1], options));
        random_rows(o, &random, &t);
        check_gradients(ctx, o, options, &t);
    }
}

/* One row at a time, rescaled by the normalisers, equals the whole step. */
static void objectives__rows_add_up_to_the_step(void **state) {
    agon_ctx *ctx = *state;
    rng random = rng_new(6);
    for (size_t o_i = 0; objective_at(o_i); o_i++) {
        const objective *o = objective_at(o_i);
        assert_true((o->normaliser == NULL) == (o->coupling == COUPLED_STEP));
        if (!o->normaliser)
            continue;
        test_rows whole, part;
        double options[MAX_OBJECTIVE_OPTIONS], losses[MAX_TEST_ROWS], sum = 0;
        test_options(o, options);
        random_rows(o, &random, &whole);
        part = whole;
        for (size_t i = 0; i < part.n; i++) { /* the copy's pointers still lead into `whole` */
            part.rows[i].responses = part.responses[i];
            for (size_t k = 0; k < part.rows[i].n_responses; k++)
            {
                part.responses[i][k].d_log_prob = part.channels[i][k].d_log_prob;
                part.responses[i][k].d_head = part.channels[i][k].d_head;
            }
        }
        objective_result r = {.losses = losses}, one;
        assert_ok(ctx, o->loss(ctx, o, options, whole.rows, whole.n, &r));
        double total = o->normaliser(options, whole.rows, whole.n);
        for (size_t i = 0; i < part.n; i++) {
            double single;
            one = (objective_result){.losses = &single};
            assert_ok(ctx, o->loss(ctx, o, options, &part.rows[i], 1, &one));
            assert_close(single, losses[i], 1e-12);
            double share = o->normaliser(options, &part.rows[i], 1) / total;
            sum += share * one.loss;
            for (size_t k = 0; k < part.rows[i].n_responses; k++)
                for (size_t j = 0; j < part.responses[i][k].n; j++)
                {
                    assert_close(share * part.channels[i][k].d_log_prob[j],
                                 whole.channels[i][k].d_log_prob[j], 1e-12);
                    assert_close(share * part.channels[i][k].d_head[j], whole.channels[i][k].d_head[j], 1e-12);
                }
        }
        assert_close(sum, r.loss, 1e-12);
    }
}

static void objectives__name_the_bad_row(void **state) {
    agon_ctx *ctx = *state;
    rng random = rng_new(7);
    for (size_t o_i = 0; objective_at(o_i); o_i++) {
        const objective *o = objective_at(o_i);
        double options[MAX_OBJECTIVE_OPTIONS], losses[MAX_TEST_ROWS];
        test_options(o, options);
        test_rows t;
        objective_result r = {.losses = losses};
        random_rows(o, &random, &t);
        t.channels[3][0].log_prob[0] = NAN;
        assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &r), AGON_ENUMERIC);
        assert_non_null(strstr(agon_error(ctx), "row 3"));
        assert_non_null(strstr(agon_error(ctx), "log_probs[0]"));
        random_rows(o, &random, &t);
        t.rows[2].weight = -1;
        assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &r), AGON_EINVAL);
        assert_non_null(strstr(agon_error(ctx), "row 2"));
        random_rows(o, &random, &t);
        for (size_t i = 0; i < t.n; i++)
            t.rows[i].weight = 0;
        assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &r), AGON_EINVAL);
        assert_int_equal(o->loss(ctx, o, options, t.rows, 0, &r), AGON_EINVAL);
        if (objective_needs_with(o, options) & NEEDS_REFERENCE) {
            random_rows(o, &random, &t);
            t.responses[1][0].reference = NULL;
            assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &r), AGON_EINVAL);
            assert_non_null(strstr(agon_error(ctx), "row 1"));
            assert_non_null(strstr(agon_error(ctx), "reference"));
        }
        if (o->needs & NEEDS_REWARD) {
            random_rows(o, &random, &t);
            t.responses[4][0].reward = NAN;
            assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &r), AGON_EINVAL);
            assert_non_null(strstr(agon_error(ctx), "row 4"));
            assert_non_null(strstr(agon_error(ctx), "reward"));
        }
    }
}

static void objective_set__takes_names_and_ranges(void **state) {
    agon_ctx *ctx = *state;
    const objective *dpo = objective_find("dpo");
    double options[MAX_OBJECTIVE_OPTIONS];
    objective_defaults(dpo, options);
    assert_close(options[0], 0.1, 0);
    assert_ok(ctx, objective_set(ctx, dpo, "beta=0.25", options));
    assert_close(options[0], 0.25, 0);
    assert_int_equal(objective_set(ctx, dpo, "beta=0", options), AGON_EINVAL);
    assert_int_equal(objective_set(ctx, dpo, "beta=nan", options), AGON_EINVAL);
    assert_int_equal(objective_set(ctx, dpo, "beta=1x", options), AGON_EINVAL);
    assert_int_equal(objective_set(ctx, dpo, "beta", options), AGON_EINVAL);
    assert_int_equal(objective_set(ctx, dpo, "lable_smoothing=0.1", options), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "label_smoothing"));
    assert_int_equal(objective_set(ctx, objective_find("sft"), "beta=1", options), AGON_EINVAL);
    assert_close(options[0], 0.25, 0);
    assert_null(objective_find("dp"));
    /* Between two choices lies no third. */
    static const char *const broken[][2] = {{"grpo", "aggregation=0.5"}, {"grpo", "kl=2.5"}, {"grpo", "scale=0.1"}, {"classify", "correction=1.5"},
                                            {"dpo", "length_normalised=0.5"}, {"ppo", "whiten=0.5"}, {"aux-confidence", "threshold=1.5"}};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const objective *o = objective_find(broken[i][0]);
        objective_defaults(o, options);
        assert_int_equal(objective_set(ctx, o, broken[i][1], options), AGON_EINVAL);
        assert_non_null(strstr(agon_error(ctx), "must be a whole number"));
    }
    assert_ok(ctx, objective_set(ctx, objective_find("grpo"), "kl=2", options));
}

static void objectives__have_the_issues_names(void **state) {
    (void)state;
    const char *names[] = {"sft", "dpo", "cdpo", "rdpo", "ipo", "simpo", "orpo", "kto", "exo-pref", "exo-rw",
                           "pro", "rso-hinge", "rso-sigmoid", "spin", "grpo", "rloo", "ppo", "nll", "gce", "sce",
                           "token-forward", "dpo-forward", "ropo", "dpo-soft", "modpo", "gspo", "reinforce++", "bt",
                           "plackett-luce", "rm-pointwise", "prm", "cloud", "classify", "aux-confidence", "choices",
                           "choices-confidence"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(objective_find(names[i]));
        assert_non_null(objective_find(names[i])->summary);
    }
}

/* What an objective needs is asked for by name, in the row where it is missing. */
static void objectives__ask_for_channels(void **state) {
    agon_ctx *ctx = *state;
    const struct {
        const char *name, *setting, *channel;
    } cases[] = {{"bt", NULL, "head"},        {"prm", NULL, "targets"},
                 {"cloud", NULL, "log_probs"}, {"sft", "label_smoothing=0.1", "mean_log_prob"},
                 {"dpo-soft", NULL, "label"}, {"ppo", "entropy_coefficient=0.1", "entropy"},
                 {"modpo", NULL, "reward"},   {"classify", NULL, "label"},
                 {"classify", "likelihood=1", "label"}, {"aux-confidence", "likelihood=1", "log_probs"},
                 {"rm-pointwise", "squared=1", "reward"}, {"choices", NULL, "label"}, {"choices-confidence", NULL, "log_probs"}};
    rng random = rng_new(8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const objective *o = objective_find(cases[i].name);
        double options[MAX_OBJECTIVE_OPTIONS], losses[MAX_TEST_ROWS];
        test_rows t;
        test_options(o, options);
        if (cases[i].setting)
            assert_ok(ctx, objective_set(ctx, o, cases[i].setting, options));
        random_rows(o, &random, &t);
        response *r = &t.responses[2][0];
        r->head = strcmp(cases[i].channel, "head") ? r->head : NULL;
        r->targets = NULL, r->mean_log_prob = NULL, r->entropy = NULL, r->label = NAN;
        r->reward = strcmp(cases[i].channel, "reward") ? 1 : NAN;
        if (!strcmp(cases[i].channel, "log_probs"))
            r->log_prob = NULL;
        objective_result out = {.losses = losses};
        assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &out), AGON_EINVAL);
        if (!strstr(agon_error(ctx), cases[i].channel) || !strstr(agon_error(ctx), "row 2"))
            fail_msg("%s: \"%s\" does not name %s", cases[i].name, agon_error(ctx), cases[i].channel);
    }
}

static void objective_set_progress__moves_ramps_only(void **state) {
    (void)state;
    double a[MAX_OBJECTIVE_OPTIONS], b[MAX_OBJECTIVE_OPTIONS];
    for (size_t i = 0; objective_at(i); i++) {
        const objective *o = objective_at(i);
        objective_defaults(o, a), objective_defaults(o, b);
        objective_set_progress(o, 0.25, a);
        for (size_t j = 0; o->options[j].name; j++)
            assert_close(a[j], strcmp(o->options[j].name, "progress") ? b[j] : 0.25, 0);
    }
}

/* training.md, lines H of sections 1 to 4. */
static void objective__has_the_learning_rate_published_for_it(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double rate;
    } published[] = {{"sft", 2e-5}, {"bt", 1e-5}, {"ppo", 3e-6}, {"grpo", 1e-6}, {"dpo", 1e-6}, {"orpo", 5e-6}, {"exo-rw", 1e-6}, {"pro", 5e-6}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        assert_true(objective_find(published[i].name)->learning_rate == published[i].rate);
    for (size_t i = 0; objective_at(i); i++)
        assert_true(objective_at(i)->learning_rate > 0); /* of 0 nothing would be learnt, and nothing said */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objective__has_the_learning_rate_published_for_it),
        cmocka_unit_test(objectives__gradients_match_finite_differences),
        cmocka_unit_test(objectives__rows_add_up_to_the_step),
        cmocka_unit_test(objectives__name_the_bad_row),
        cmocka_unit_test(objective_set__takes_names_and_ranges),
        cmocka_unit_test(objectives__have_the_issues_names),
        cmocka_unit_test(objectives__ask_for_channels),
        cmocka_unit_test(objective_set_progress__moves_ramps_only),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

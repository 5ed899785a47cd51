/* Objectives over head outputs against training_vectors.json: rm.*, critique.cloud, w2s.*, noise.forward_backward. */
#include "objective/classes.h"
#include "rows.h"

static void bt__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rm.bradley_terry", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 3; i++) {
        test_head(&t, i, 0, element(v, "inputs", "r_chosen", i));
        test_head(&t, i, 1, element(v, "inputs", "r_rejected", i));
    }
    objective_result r = run_objective(ctx, "bt", SET("centring=0"), &t);
    assert_close(r.loss, number(v, "expected", "loss_mean"), 1e-9);
    assert_close(metric_of(&r, "accuracy"), number(v, "expected", "accuracy"), 1e-9);
    for (size_t i = 0; i < 3; i++)
        assert_close(t.losses[i], element(v, "expected", "loss", i), 1e-9);
    r = run_objective(ctx, "bt", SET("centring=0.01"), &t);
    assert_close(metric_of(&r, "centring"), number(v, "expected", "centring"), 1e-9);
    assert_close(r.loss, number(v, "expected", "loss_mean") + number(v, "expected", "centring"), 1e-9);
    for (size_t i = 0; i < 3; i++) {
        assert_close(t.responses[i][0].d_head[0], element(v, "expected", "grad_r_chosen", i), 1e-9);
        assert_close(t.responses[i][1].d_head[0], element(v, "expected", "grad_r_rejected", i), 1e-9);
    }
    for (size_t i = 0; i < 3; i++) {
        t.responses[i][0].reward = element(v, "inputs", "margin", i);
        t.responses[i][1].reward = 0;
    }
    assert_close(run_objective(ctx, "bt", SET("centring=0"), &t).loss, number(v, "expected", "loss_margin_mean"), 1e-9);
    for (size_t i = 0; i < 3; i++)
        assert_close(t.losses[i], element(v, "expected", "loss_margin", i), 1e-9);
    json_decref(root);
}

/* A tie pulls both rewards together, and a swapped soft label is the swapped pair. */
static void bt__ties_and_soft_labels(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0}, swapped = {0};
    test_head(&t, 0, 0, 0.7)->label = 0.5;
    test_head(&t, 0, 1, 0.7);
    assert_close(run_objective(ctx, "bt", SET("centring=0"), &t).loss, M_LN2, 1e-15);
    assert_close(t.responses[0][0].d_head[0], 0, 1e-15);
    test_head(&t, 0, 0, 1.5)->label = 0.2;
    test_head(&swapped, 0, 0, 0.7)->label = 0.8;
    test_head(&swapped, 0, 1, 1.5);
    t.responses[0][0].reward = 0.4, t.responses[0][1].reward = 0.4;
    assert_close(run_objective(ctx, "bt", NULL, &t).loss, run_objective(ctx, "bt", NULL, &swapped).loss, 1e-15);
}

/* A margin is a strength: the row with its sides, rewards and label turned round is the same row. */
static void bt__a_mirrored_row_has_the_same_loss(void **state) {
    agon_ctx *ctx = *state;
    static const double labels[] = {0, 0.3, 0.5, 1};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        test_rows t = {0}, mirrored = {0};
        response *w = test_head(&t, 0, 0, 0.3), *l = test_head(&t, 0, 1, 1.1);
        w->label = labels[i], w->reward = 0, l->reward = 1;
        response *mw = test_head(&mirrored, 0, 0, 1.1), *ml = test_head(&mirrored, 0, 1, 0.3);
        mw->label = 1 - labels[i], mw->reward = 1, ml->reward = 0;
        assert_close(run_objective(ctx, "bt", NULL, &t).loss, run_objective(ctx, "bt", NULL, &mirrored).loss, 1e-15);
        assert_close(w->d_head[0], ml->d_head[0], 1e-15);
        assert_close(l->d_head[0], mw->d_head[0], 1e-15);
    }
}

/* Right padding is not read: a token with mask 0 after the end changes nothing. */
static void bt__reads_the_last_supervised_token(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    response *r = test_response(&t, 0, 0, 3);
    channels *c = &t.channels[0][0];
    memcpy(c->head, (double[]){5, 1.2, 99}, 3 * sizeof(double));
    memcpy(c->mask, (double[]){1, 1, 0}, 3 * sizeof(double));
    r->head = c->head, r->n_head = 1, r->mask = c->mask, r->d_head = c->d_head;
    test_head(&t, 0, 1, 0.2);
    objective_result out = run_objective(ctx, "bt", SET("centring=0"), &t);
    assert_close(out.loss, log1p(exp(-1)), 1e-12);
    assert_true(c->d_head[0] == 0 && c->d_head[1] < 0 && c->d_head[2] == 0);
    c->mask[0] = c->mask[1] = 0;
    double losses[1], options[MAX_OBJECTIVE_OPTIONS];
    objective_defaults(objective_find("bt"), options);
    out = (objective_result){.losses = losses};
    assert_int_equal(objective_find("bt")->loss(ctx, objective_find("bt"), options, t.rows, 1, &out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "no token"));
}

static void plackett_luce__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rm.plackett_luce", &root);
    const size_t place[4] = {2, 0, 3, 1}; /* with rewards the order is theirs */
    for (int ranked = 0; ranked < 2; ranked++) {
        test_rows t = {0};
        for (size_t k = 0; k < 4; k++)
            test_head(&t, 0, ranked ? place[k] : k, element(v, "inputs", "scores", k))->reward =
                ranked ? 10 - (double)k : NAN;
        assert_close(run_objective(ctx, "plackett-luce", NULL, &t).loss, number(v, "expected", "loss"), 1e-9);
        for (size_t k = 0; k < 4; k++)
            assert_close(t.responses[0][ranked ? place[k] : k].d_head[0], element(v, "expected", "grad", k), 1e-9);
        assert_close(run_objective(ctx, "plackett-luce", SET("pairwise=1"), &t).loss,
                     number(v, "expected", "pairwise_mean"), 1e-9);
    }
    /* Two responses: Bradley-Terry. */
    test_rows t = {0};
    test_head(&t, 0, 0, 1.2), test_head(&t, 0, 1, 0.2);
    double pl = run_objective(ctx, "plackett-luce", NULL, &t).loss;
    assert_close(pl, run_objective(ctx, "bt", SET("centring=0"), &t).loss, 1e-15);
    json_decref(root);
}

/* Equal rewards: each is compared with what is strictly worse, whatever their order in the row. */
static void plackett_luce__ties_have_no_order(void **state) {
    agon_ctx *ctx = *state;
    static const double s[4] = {0.3, -0.7, 1.1, 0.2}, reward[4] = {1, 0, 1, 0};
    static const size_t places[2][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}};
    double expected = 0;
    for (size_t k = 0; k < 4; k += 2)
        expected += log(exp(s[k]) + exp(s[1]) + exp(s[3])) - s[k];
    for (size_t order = 0; order < 2; order++) {
        test_rows t = {0};
        for (size_t k = 0; k < 4; k++)
            test_head(&t, 0, places[order][k], s[k])->reward = reward[k];
        objective_result r = run_objective(ctx, "plackett-luce", NULL, &t);
        assert_close(r.loss, expected, 1e-12);
        assert_close(metric_of(&r, "best_accuracy"), 1, 0);
        double d = 0;
        for (size_t k = 0; k < 4; k += 2)
            d += exp(s[1]) / (exp(s[k]) + exp(s[1]) + exp(s[3]));
        assert_close(t.responses[0][places[order][1]].d_head[0], d, 1e-12);
    }
    /* All equal: nothing to learn in the listwise form, equal scores asked for in pairs. */
    test_rows t = {0};
    for (size_t k = 0; k < 3; k++)
        test_head(&t, 0, k, s[k])->reward = 1;
    objective_result equal = run_objective(ctx, "plackett-luce", NULL, &t);
    assert_close(equal.loss, 0, 0);
    assert_close(metric_of(&equal, "best_accuracy"), 0, 0);
    assert_close(t.responses[0][0].d_head[0], 0, 0);
    run_objective(ctx, "plackett-luce", SET("pairwise=1"), &t);
    assert_true(t.responses[0][0].d_head[0] > 0 && t.responses[0][1].d_head[0] < 0);
}

static void pointwise__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rm.pointwise", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 3; i++) {
        response *r = test_head(&t, i, 0, element(v, "inputs", "score", i));
        r->label = r->reward = element(v, "inputs", "target", i);
    }
    assert_close(run_objective(ctx, "rm-pointwise", NULL, &t).loss, number(v, "expected", "bce_mean"), 1e-9);
    for (size_t i = 0; i < 3; i++) {
        assert_close(t.losses[i], element(v, "expected", "bce", i), 1e-9);
        assert_close(t.responses[i][0].d_head[0], element(v, "expected", "bce_grad", i), 1e-9);
    }
    assert_close(run_objective(ctx, "rm-pointwise", SET("squared=1"), &t).loss, number(v, "expected", "mse"), 1e-9);
    for (size_t i = 0; i < 3; i++)
        assert_close(t.responses[i][0].d_head[0], element(v, "expected", "mse_grad", i), 1e-9);
    json_decref(root);
}

static void prm__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("rm.process", &root);
    test_rows t = {0};
    response *r = test_response(&t, 0, 0, 5);
    channels *c = &t.channels[0][0];
    for (size_t j = 0; j < 4; j++) {
        double label = element(v, "inputs", "step_label", j);
        c->head[j] = element(v, "inputs", "step_logit", j);
        c->targets[j] = label < 0 ? NAN : label;
    }
    c->head[4] = 50, c->targets[4] = NAN; /* a token inside a step */
    r->head = c->head, r->n_head = 1, r->targets = c->targets, r->d_head = c->d_head;
    objective_result out = run_objective(ctx, "prm", NULL, &t);
    assert_close(out.loss, number(v, "expected", "loss"), 1e-9);
    assert_close(metric_of(&out, "steps"), 3, 0);
    assert_true(c->d_head[3] == 0 && c->d_head[4] == 0 && c->d_head[0] < 0 && c->d_head[2] > 0);
    json_decref(root);
}

static void cloud__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("critique.cloud", &root);
    const char *log_probs[2] = {"critique_logp_chosen", "critique_logp_rejected"}, *rewards[2] = {"r_chosen", "r_rejected"};
    test_rows t = {0};
    for (size_t k = 0; k < 2; k++) {
        size_t n = json_array_size(get(v, "inputs", log_probs[k]));
        response *r = test_response(&t, 0, k, n);
        channels *c = &t.channels[0][k];
        for (size_t j = 0; j < n; j++)
            c->log_prob[j] = element(v, "inputs", log_probs[k], j);
        c->head[n - 1] = number(v, "inputs", rewards[k]);
        r->head = c->head, r->n_head = 1, r->d_head = c->d_head;
    }
    objective_result r = run_objective(ctx, "cloud", SET("lm=1.25"), &t);
    assert_close(r.loss, number(v, "expected", "loss"), 1e-9);
    assert_close(metric_of(&r, "bt"), number(v, "expected", "bt"), 1e-9);
    assert_close(metric_of(&r, "lm"), number(v, "expected", "lm"), 1e-9);
    assert_close(t.responses[0][1].d_log_prob[0], -1.25 / 5, 1e-12);
    json_decref(root);
}

static void aux_rows(json_t *v, test_rows *t) {
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < 4; i++) {
        response *r = test_response(t, i, 0, 1);
        channels *c = &t->channels[i][0];
        for (size_t j = 0; j < 2; j++)
            c->head[j] = json_number_value(at(at(get(v, "inputs", "student_logits"), i), j));
        r->head = c->head, r->n_head = 2, r->d_head = c->d_head;
        r->label = element(v, "inputs", "weak_prob_positive", i);
    }
}

static void aux_confidence__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("w2s.aux_confidence", &root);
    test_rows t;
    aux_rows(v, &t);
    objective_result r = run_objective(ctx, "aux-confidence", SET("alpha=0.375", "threshold=0"), &t);
    assert_close(r.loss, number(v, "expected", "loss_median"), 1e-9);
    assert_close(metric_of(&r, "threshold"), number(v, "expected", "t_median"), 1e-9);
    assert_close(metric_of(&r, "hard_positive"), 0.5, 1e-12);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 2; j++)
            assert_close(t.responses[i][0].d_head[j],
                         json_number_value(at(at(get(v, "expected", "grad_median"), i), j)), 1e-9);
    r = run_objective(ctx, "aux-confidence", SET("alpha=0.375", "threshold=1"), &t);
    assert_close(r.loss, number(v, "expected", "loss_prior"), 1e-9);
    assert_close(metric_of(&r, "threshold"), number(v, "expected", "t_prior"), 1e-9);
    r = run_objective(ctx, "aux-confidence", SET("alpha=0.375", "threshold=2"), &t);
    assert_close(r.loss, number(v, "expected", "released_loss"), 1e-9);
    /* a = 0 is cross-entropy, whatever the threshold. */
    double plain = number(v, "expected", "loss_plain_ce");
    assert_close(run_objective(ctx, "aux-confidence", SET("alpha=0"), &t).loss, plain, 1e-9);
    assert_close(metric_of(&r, "weak_cross_entropy"), plain, 1e-9);
    double d = t.responses[1][0].d_head[1];
    assert_close(run_objective(ctx, "classify", NULL, &t).loss, plain, 1e-9);
    assert_close(t.responses[1][0].d_head[1], d, 1e-15);
    json_decref(root);
}

static void aux_confidence__ramps_as_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("w2s.alpha_schedule", &root), *unused;
    test_rows t;
    aux_rows(test_vector("w2s.aux_confidence", &unused), &t);
    for (size_t i = 0; i < 5; i++) {
        char progress[64];
        snprintf(progress, sizeof progress, "progress=%.17g", element(v, "inputs", "step_frac", i));
        objective_result r = run_objective(ctx, "aux-confidence", SET("alpha=0.75", "warmup=0.2", progress), &t);
        assert_close(metric_of(&r, "alpha"), element(v, "expected", "paper", i), 1e-9);
        r = run_objective(ctx, "aux-confidence", SET("alpha=0.5", "warmup=0.1", "schedule=1", progress), &t);
        assert_close(metric_of(&r, "alpha"), element(v, "expected", "released", i), 1e-9);
    }
    json_decref(root);
    json_decref(unused);
}

static void classes__agree_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("noise.forward_backward", &root);
    double transition[9], logits[3], d[3];
    for (size_t i = 0; i < 3; i++) {
        logits[i] = element(v, "inputs", "logits", i);
        for (size_t j = 0; j < 3; j++)
            transition[3 * i + j] = json_number_value(at(at(get(v, "inputs", "T"), i), j));
    }
    size_t y = (size_t)number(v, "inputs", "label");
    assert_close(classes_plain(logits, 3, y, d), number(v, "expected", "plain"), 1e-9);
    assert_close(classes_forward(transition, logits, 3, y, d), number(v, "expected", "forward"), 1e-9);
    for (size_t i = 0; i < 3; i++)
        assert_close(d[i], element(v, "expected", "forward_grad", i), 1e-9);
    for (size_t j = 0; j < 3; j++)
        assert_close(classes_backward(transition, logits, 3, j, d), element(v, "expected", "backward_all_labels", j), 1e-9);
    /* Unbiased: the expectation over observed labels of true class 0 is its plain loss, and so is the slope. */
    double mean = 0, slope[3] = {0}, want[3];
    for (size_t j = 0; j < 3; j++) {
        mean += transition[j] * classes_backward(transition, logits, 3, j, d);
        for (size_t i = 0; i < 3; i++)
            slope[i] += transition[j] * d[i];
    }
    assert_close(mean, classes_plain(logits, 3, 0, want), 1e-12);
    for (size_t i = 0; i < 3; i++)
        assert_close(slope[i], want[i], 1e-12);
    const double singular[4] = {0.5, 0.5, 0.5, 0.5};
    assert_true(isnan(classes_backward(singular, logits, 2, 0, d)));
    json_decref(root);
}

static void classify__without_flips_is_plain(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    for (size_t i = 0; i < 4; i++)
        test_head(&t, i, 0, (double)i - 1.7)->label = (double)(i % 2);
    double plain = run_objective(ctx, "classify", NULL, &t).loss;
    for (int c = 1; c < 3; c++) {
        const char *setting = c == 1 ? "correction=1" : "correction=2";
        assert_close(run_objective(ctx, "classify", SET(setting, "flip_negative=0", "flip_positive=0"), &t).loss, plain,
                     1e-12);
    }
}

/* A language model as its own head: the logit is the likelihood ratio, and heads are neither read nor needed. */
static void classify__reads_the_likelihood(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[] = {"classify", "aux-confidence"};
    for (int k = 0; k < 2; k++) {
        test_rows heads = {0}, ratios = {0};
        for (size_t i = 0; i < 4; i++) {
            response *r = test_response(&ratios, i, 0, 2);
            channels *c = &ratios.channels[i][0];
            double ratio = (double)i - 1.7;
            c->log_prob[0] = -1, c->log_prob[1] = -3;
            c->reference[0] = -1 - 0.25 * ratio, c->reference[1] = -3 - 0.75 * ratio;
            r->reference = c->reference, r->label = 0.2 * (double)i;
            test_head(&heads, i, 0, 0.6 * ratio)->label = 0.2 * (double)i;
        }
        double want = run_objective(ctx, names[k], NULL, &heads).loss;
        assert_close(run_objective(ctx, names[k], SET("likelihood=0.6"), &ratios).loss, want, 1e-12);
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 2; j++)
                assert_close(ratios.responses[i][0].d_log_prob[j], 0.6 * heads.responses[i][0].d_head[0], 1e-12);
    }
}

/* Two choices are a class head whose logit is the difference of their log_probs; likewise with the confidence loss. */
static void choices__of_two_are_a_class_head(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[][2] = {{"classify", "choices"}, {"aux-confidence", "choices-confidence"}};
    for (int k = 0; k < 2; k++) {
        test_rows heads = {0}, choices = {0};
        for (size_t i = 0; i < 4; i++) {
            double first = -1 - 0.4 * (double)i, second = -2 + 0.3 * (double)i, label = 0.2 * (double)i;
            test_sums(&choices, i, 0, 1, first, 0)->label = 1 - label;
            test_sums(&choices, i, 1, 3, second, 0)->label = label;
            test_head(&heads, i, 0, 0.6 * (second - first))->label = label;
            choices.rows[i].weight = heads.rows[i].weight = 1 + (double)i;
        }
        double want = run_objective(ctx, names[k][0], NULL, &heads).loss;
        assert_close(run_objective(ctx, names[k][1], SET("likelihood=0.6"), &choices).loss, want, 1e-12);
        for (size_t i = 0; i < 4; i++) {
            assert_close(choices.responses[i][1].d_log_prob[2], 0.6 * heads.responses[i][0].d_head[0], 1e-12);
            assert_close(choices.responses[i][0].d_log_prob[0], -0.6 * heads.responses[i][0].d_head[0], 1e-12);
        }
        /* a = 0 is choices, whatever else is set. */
        double plain = run_objective(ctx, "choices", NULL, &choices).loss, d = choices.responses[2][1].d_log_prob[0];
        assert_close(run_objective(ctx, "choices-confidence", SET("alpha=0", "threshold=2"), &choices).loss, plain, 1e-12);
        assert_close(choices.responses[2][1].d_log_prob[0], d, 1e-15);
    }
}

/* Cross-entropy of three choices, by hand: probabilities 1/2, 1/3, 1/6. */
static void choices__of_three_are_a_softmax(void **state) {
    agon_ctx *ctx = *state;
    const double p[3] = {0.5, 1.0 / 3, 1.0 / 6}, y[3] = {0.2, 0.7, 0.1};
    test_rows t = {0};
    double want = 0;
    for (size_t k = 0; k < 3; k++) {
        test_sums(&t, 0, k, 1 + k, log(p[k]) - 4, 0)->label = y[k]; /* most of the probability is elsewhere */
        want -= y[k] * log(p[k]);
    }
    objective_result r = run_objective(ctx, "choices", NULL, &t);
    assert_close(r.loss, want, 1e-12);
    for (size_t k = 0; k < 3; k++)
        assert_close(t.responses[0][k].d_log_prob[k], p[k] - y[k], 1e-12);
    assert_close(metric_of(&r, "accuracy"), 0, 0);
    assert_close(metric_of(&r, "confidence"), 0.5, 1e-12);
    double losses[1];
    objective_result out = {.losses = losses};
    double options[MAX_OBJECTIVE_OPTIONS];
    test_options(objective_find("choices-confidence"), options);
    assert_int_equal(objective_find("choices-confidence")->loss(ctx, objective_find("choices-confidence"), options, t.rows, 1, &out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "row 0: has 3 choices"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bt__agrees_with_the_vector),
        cmocka_unit_test(bt__ties_and_soft_labels),
        cmocka_unit_test(bt__a_mirrored_row_has_the_same_loss),
        cmocka_unit_test(bt__reads_the_last_supervised_token),
        cmocka_unit_test(plackett_luce__agrees_with_the_vector),
        cmocka_unit_test(plackett_luce__ties_have_no_order),
        cmocka_unit_test(pointwise__agrees_with_the_vector),
        cmocka_unit_test(prm__agrees_with_the_vector),
        cmocka_unit_test(cloud__agrees_with_the_vector),
        cmocka_unit_test(aux_confidence__agrees_with_the_vector),
        cmocka_unit_test(aux_confidence__ramps_as_the_vector),
        cmocka_unit_test(classes__agree_with_the_vector),
        cmocka_unit_test(classify__without_flips_is_plain),
        cmocka_unit_test(classify__reads_the_likelihood),
        cmocka_unit_test(choices__of_two_are_a_class_head),
        cmocka_unit_test(choices__of_three_are_a_softmax),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

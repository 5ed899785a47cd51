/* The token family against training_vectors.json: noise.token_level, noise.gce, noise.sce; nll and label smoothing. */
#include "rows.h"

/* The four tokens of nll.masked with their log_probs. */
static response *masked_tokens(json_t *v, test_rows *t) {
    memset(t, 0, sizeof *t);
    response *r = test_response(t, 0, 0, 4);
    for (size_t i = 0; i < 4; i++) {
        t->channels[0][0].log_prob[i] = log(element(v, "expected", "p_target", i));
        t->channels[0][0].mask[i] = element(v, "inputs", "mask", i);
    }
    r->mask = t->channels[0][0].mask;
    return r;
}

/* Gradients of the logits: d log_prob * (onehot - softmax); at the target, and the factor of cross-entropy's. */
static void expect_gradient(json_t *v, const char *factor, const char *gradient, const response *r) {
    for (size_t i = 1; i < 4; i++) {
        size_t y = (size_t)element(v, "inputs", "targets", i);
        double p = element(v, "expected", "p_target", i);
        assert_close(-3 * r->d_log_prob[i], element(v, "expected", factor, i), 1e-9);
        assert_close(r->d_log_prob[i] * (1 - p), json_number_value(at(at(get(v, "expected", gradient), i), y)), 1e-9);
    }
    assert_close(r->d_log_prob[0], 0, 0);
}

static void token_level__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.token_level", &root);
    test_rows t;
    response *r = masked_tokens(v, &t);
    assert_close(run_objective(ctx, "token-forward", SET("noise=0.1", "vocabulary=5"), &t).loss,
                 number(v, "expected", "forward_mean"), 1e-9);
    expect_gradient(v, "forward_factor", "grad_forward", r);
    assert_close(run_objective(ctx, "gce", SET("q=0.7"), &t).loss, number(v, "expected", "gce_mean"), 1e-9);
    expect_gradient(v, "gce_factor", "grad_gce", r);
    for (size_t i = 0; i < 4; i++) { /* one token alone */
        test_rows one = {0};
        test_response(&one, 0, 0, 1);
        one.channels[0][0].log_prob[0] = t.channels[0][0].log_prob[i];
        assert_close(run_objective(ctx, "token-forward", SET("vocabulary=5"), &one).loss,
                     element(v, "expected", "forward_per_token", i), 1e-9);
        t.channels[0][0].mask[i] = element(v, "inputs", "weights", i);
    }
    assert_close(run_objective(ctx, "sft", NULL, &t).loss, number(v, "expected", "weighted"), 1e-9);
    json_decref(root);
}

static void gce__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.gce", &root);
    test_rows t = {0};
    for (size_t i = 0; i < 3; i++) {
        test_response(&t, i, 0, 1);
        t.channels[i][0].log_prob[0] = log(element(v, "inputs", "p", i));
    }
    const struct {
        const char *setting, *key;
    } cases[] = {{"q=0.7", "loss"}, {"q=0", "ce"}, {"q=1", "mae"}, {"q=1e-6", "loss_q_1e_6"}};
    for (size_t c = 0; c < 4; c++) {
        run_objective(ctx, "gce", SET(cases[c].setting), &t);
        for (size_t i = 0; i < 3; i++)
            assert_close(t.losses[i], element(v, "expected", cases[c].key, i), 1e-9);
    }
    run_objective(ctx, "gce", SET("q=0.7"), &t);
    for (size_t i = 0; i < 3; i++)
        assert_close(3 * t.responses[i][0].d_log_prob[0],
                     element(v, "inputs", "p", i) * element(v, "expected", "dloss_dp", i), 1e-9);
    /* Plain cross-entropy leads while progress is below the warm-up. */
    run_objective(ctx, "gce", SET("warmup=0.1", "progress=0.05"), &t);
    assert_close(t.losses[0], element(v, "expected", "ce", 0), 1e-12);
    run_objective(ctx, "gce", SET("warmup=0.1", "progress=0.1"), &t);
    assert_close(t.losses[0], element(v, "expected", "loss", 0), 1e-9);
    json_decref(root);
}

static void sce__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.sce", &root);
    test_rows t = {0};
    test_response(&t, 0, 0, 1);
    t.channels[0][0].log_prob[0] = log(element(v, "inputs", "p", (size_t)number(v, "inputs", "label")));
    assert_close(run_objective(ctx, "sce", SET("alpha=0.1", "beta=1"), &t).loss, number(v, "expected", "loss"), 1e-9);
    assert_close(run_objective(ctx, "sce", SET("alpha=0", "beta=1"), &t).loss, number(v, "expected", "rce"), 1e-9);
    assert_close(run_objective(ctx, "sce", SET("alpha=1", "beta=0"), &t).loss, number(v, "expected", "ce"), 1e-9);
    json_decref(root);
}

static void token_losses__survive_certainty(void **state) {
    agon_ctx *ctx = *state;
    const char *names[] = {"gce", "sce", "token-forward", "sft", "nll"};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 2; k++) {
            test_rows t = {0};
            test_response(&t, 0, 0, 1);
            t.channels[0][0].log_prob[0] = k ? -800 : 0;
            objective_result r = run_objective(ctx, names[i], NULL, &t);
            assert_true(isfinite(r.loss) && isfinite(t.responses[0][0].d_log_prob[0]));
        }
    /* A replaced token that the model finds impossible no longer moves it. */
    test_rows t = {0};
    test_response(&t, 0, 0, 1);
    t.channels[0][0].log_prob[0] = -40;
    run_objective(ctx, "token-forward", NULL, &t);
    assert_true(fabs(t.responses[0][0].d_log_prob[0]) < 1e-10);
}

/* Without a model there is no vocabulary to take, and a wrong one would be another loss in silence. */
static void token_forward__asks_for_the_vocabulary(void **state) {
    agon_ctx *ctx = *state;
    const objective *o = objective_find("token-forward");
    double options[MAX_OBJECTIVE_OPTIONS], losses[MAX_TEST_ROWS];
    test_rows t = {0};
    test_response(&t, 0, 0, 1);
    objective_defaults(o, options);
    objective_result out = {.losses = losses};
    assert_int_equal(o->loss(ctx, o, options, t.rows, t.n, &out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "vocabulary"));
    assert_ok(ctx, objective_set(ctx, o, "vocabulary=7", options));
    objective_set_vocabulary(o, 5, options);
    assert_close(options[1], 7, 0); /* what was said stays */
}

static void sft__smooths_labels(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    const double p[3] = {0.7, 0.2, 0.1}, target[3] = {0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3};
    double want = 0;
    response *r = test_response(&t, 0, 0, 1);
    channels *c = &t.channels[0][0];
    r->mean_log_prob = c->mean_log_prob, r->d_mean_log_prob = c->d_mean_log_prob;
    c->log_prob[0] = log(p[0]);
    for (size_t k = 0; k < 3; k++) {
        c->mean_log_prob[0] += log(p[k]) / 3;
        want -= target[k] * log(p[k]);
    }
    assert_close(run_objective(ctx, "sft", SET("label_smoothing=0.2"), &t).loss, want, 1e-12);
    assert_close(c->d_mean_log_prob[0], -0.2, 1e-15);
}

static void nll__reports_bits(void **state) {
    agon_ctx *ctx = *state;
    test_rows t = {0};
    test_response(&t, 0, 0, 2);
    t.channels[0][0].log_prob[0] = -M_LN2, t.channels[0][0].log_prob[1] = -3 * M_LN2;
    objective_result r = run_objective(ctx, "nll", NULL, &t);
    assert_close(metric_of(&r, "bits_per_token"), 2, 1e-12);
    assert_close(r.loss, run_objective(ctx, "sft", NULL, &t).loss, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_level__agrees_with_the_vector),
        cmocka_unit_test(gce__agrees_with_the_vector),
        cmocka_unit_test(sce__agrees_with_the_vector),
        cmocka_unit_test(token_losses__survive_certainty),
        cmocka_unit_test(token_forward__asks_for_the_vocabulary),
        cmocka_unit_test(sft__smooths_labels),
        cmocka_unit_test(nll__reports_bits),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

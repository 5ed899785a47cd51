/* Noise rates against training_vectors.json: noise.flip_rate, noise.confident_learning, noise.dawid_skene; planted noise. */
#include "eval/noise_rate.h"
#include "base/random.h"
#include "training_vectors.h"
#include "vectors.h"

static void flip_rate__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("noise.flip_rate", &root);
    double got[3];
    for (size_t i = 0; i < 3; i++)
        got[i] = flip_rate_from_disagreement(1 - element(v, "inputs", "agreement", i));
    expect_numbers(v, "eps", got, 1e-9);
    assert_close(flip_rate_from_disagreement(0.7), 0.5, 0);
    json_decref(root);
}

static void confident_learning__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.confident_learning", &root);
    double p[16];
    size_t labels[8], n = numbers(get(v, "inputs", "probs"), p, 16) / 2;
    for (size_t i = 0; i < n; i++)
        labels[i] = (size_t)element(v, "inputs", "labels", i);
    noise_report r;
    assert_ok(ctx, confident_learning(ctx, p, labels, n, 2, &r));
    expect_numbers(v, "thresholds", r.thresholds, 1e-9);
    expect_numbers(v, "joint", r.joint, 1e-9);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(r.confident_joint[i], (size_t)cell(v, "expected", "confident_joint", i / 2, i % 2));
    assert_close(r.noise_rate, number(v, "expected", "noise_rate"), 1e-9);
    assert_int_equal(r.n_findings, 1);
    assert_int_equal(r.findings[0].item, (size_t)element(v, "expected", "flagged", 0));
    assert_int_equal(r.findings[0].latent, 1);
    assert_close(r.findings[0].margin, 0.7, 1e-12);
    noise_report_free(&r);
    labels[3] = 2;
    assert_int_equal(confident_learning(ctx, p, labels, n, 2, &r), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "item 3"));
    json_decref(root);
}

/* 20% planted flips under a classifier that is right 95% of the time: the rate within 0.03, precision and recall 0.8. */
static void confident_learning__finds_planted_noise(void **state) {
    agon_ctx *ctx = *state;
    enum { N = 2000 };
    static double p[2 * N];
    static size_t labels[N];
    static bool noisy[N], flagged[N];
    rng r = rng_new(12);
    for (size_t i = 0; i < N; i++) {
        size_t truth = rng_below(&r, 2);
        double own = 0.5 + 0.5 * rng_uniform(&r);
        if (rng_uniform(&r) < 0.05)
            own = 1 - own;
        p[2 * i + truth] = own, p[2 * i + 1 - truth] = 1 - own;
        noisy[i] = rng_uniform(&r) < 0.2;
        labels[i] = noisy[i] ? 1 - truth : truth;
    }
    noise_report report;
    assert_ok(ctx, confident_learning(ctx, p, labels, N, 2, &report));
    assert_close(report.noise_rate, 0.2, 0.03);
    for (size_t i = 0; i < report.n_findings; i++) {
        flagged[report.findings[i].item] = true;
        assert_true(i == 0 || report.findings[i].margin <= report.findings[i - 1].margin);
    }
    flag_quality q = flags_measure(flagged, noisy, N);
    if (!(q.precision > 0.8 && q.recall > 0.7))
        fail_msg("precision %g, recall %g", q.precision, q.recall);
    noise_report_free(&report);
}

/* Margins of a sure and of an unsure judge, any unit: the planted rate is found, and posteriors are calibrated. */
static void flip_model__recovers_planted_rates(void **state) {
    (void)state;
    enum { N = 20000 };
    static double margins[N];
    static bool right[N];
    const double rates[] = {0, 0.1, 0.3, 0.4}, slopes[] = {6, 2};
    for (size_t c = 0; c < 8; c++) {
        double rate = rates[c % 4], slope = slopes[c / 4], unit = c % 2 ? 40 : 0.01;
        rng r = rng_new(31 + c);
        for (size_t i = 0; i < N; i++) {
            double m = rng_normal(&r);
            bool truth = rng_uniform(&r) < 1 / (1 + exp(-slope * m)), label = truth != (rng_uniform(&r) < rate);
            right[i] = truth == label;
            margins[i] = unit * (label ? m : -m);
        }
        flip_model f = flip_model_fit(margins, N, 0.45);
        assert_close(f.rate, rate, 0.03);
        assert_close(f.slope * unit, slope, 0.4 * slope); /* at a rate of 0.4 little tells one slope from another */
        /* Of the labels given a posterior near p, the share p is right. */
        for (int low = 0; low < 10; low++) {
            double sum = 0, n = 0, mean = 0;
            for (size_t i = 0; i < N; i++) {
                double p = flip_model_posterior(&f, margins[i]);
                if (p < low / 10.0 || p >= (low + 1) / 10.0)
                    continue;
                sum += right[i], mean += p, n++;
            }
            if (n > 400)
                assert_close(sum / n, mean / n, 0.12);
        }
    }
    const double none[3] = {0};
    flip_model f = flip_model_fit(none, 3, 0.45);
    assert_close(f.rate, 0, 0);
    assert_close(flip_model_posterior(&f, 0), 1, 0);
    f = (flip_model){0.2, 1e6};
    assert_close(flip_model_posterior(&f, -1), 0, 1e-12);
    assert_close(flip_model_posterior(&f, 1), 1, 1e-12);
    assert_close(flip_model_posterior(&f, 0), 0.8, 1e-12);
}

static void dawid_skene__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("noise.dawid_skene", &root);
    double values[24];
    int answers[24];
    assert_int_equal(numbers(get(v, "inputs", "answers"), values, 24), 24);
    for (size_t i = 0; i < 24; i++)
        answers[i] = (int)values[i];
    const char *keys[2] = {"iter1", "iter200"};
    for (size_t c = 0; c < 2; c++) {
        json_t *want = get(v, "expected", keys[c]), *part = json_pack("{s:O}", "expected", want);
        rater_model m;
        assert_ok(ctx, dawid_skene(ctx, answers, NULL, NULL, NULL, 8, 3, 2, 0.5, (size_t)element(v, "inputs", "iterations", c), &m));
        expect_numbers(part, "prior", m.prior, 1e-8);
        expect_numbers(part, "confusion", m.confusion, 1e-8);
        expect_numbers(part, "posterior", m.posterior, 1e-8);
        assert_close(m.log_likelihood, number(part, "expected", "log_likelihood"), 1e-7);
        rater_model_free(&m);
        json_decref(part);
    }
    json_decref(root);
}

/* Raters of planted reliability are found; with a majority of bad raters a few gold items keep the classes' names. */
static void dawid_skene__recovers_raters(void **state) {
    agon_ctx *ctx = *state;
    enum { N = 2000, R = 3 };
    static int answers[N * R], gold[N], truth[N];
    for (int swapped = 0; swapped < 2; swapped++) {
        const double accuracy[R] = {0.9, swapped ? 0.25 : 0.75, swapped ? 0.2 : 0.7};
        rng r = rng_new(21);
        for (size_t i = 0; i < N; i++) {
            truth[i] = (int)rng_below(&r, 2);
            gold[i] = i < 100 ? truth[i] : -1;
            for (size_t k = 0; k < R; k++)
                answers[i * R + k] = rng_uniform(&r) < 0.1 && k > 0 ? -1
                                     : rng_uniform(&r) < accuracy[k] ? truth[i]
                                                                     : 1 - truth[i];
        }
        rater_model m;
        assert_ok(ctx, dawid_skene(ctx, answers, gold, NULL, NULL, N, R, 2, 0.5, 200, &m));
        for (size_t k = 0; k < R; k++)
            assert_close((m.confusion[k * 4] + m.confusion[k * 4 + 3]) / 2, accuracy[k], 0.03);
        rater_model_free(&m);
    }
    answers[7] = 2;
    rater_model m;
    assert_int_equal(dawid_skene(ctx, answers, NULL, NULL, NULL, N, R, 2, 0.5, 1, &m), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "item 2, rater 1"));
}

/* Four raters, eight items, an answer missing; rows of the vector are raters. */
static void check_dawid_skene(const json_t *c, double tol) {
    agon_ctx *ctx = test_ctx(1, NULL);
    const json_t *votes = json_object_get(c, "votes"), *want = json_object_get(c, "post_label1");
    size_t n_raters = json_array_size(votes), n = json_array_size(want);
    int answers[64];
    rater_model m;
    assert_true(n * n_raters <= 64);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_raters; k++) {
            const json_t *vote = json_array_get(json_array_get(votes, k), i);
            answers[i * n_raters + k] = json_is_null(vote) ? -1 : (int)json_integer_value(vote);
        }
    assert_ok(ctx, dawid_skene(ctx, answers, NULL, NULL, NULL, n, n_raters, 2, 0.01, 50, &m));
    for (size_t i = 0; i < n; i++)
        assert_close(m.posterior[2 * i + 1], json_real_value(json_array_get(want, i)), tol);
    rater_model_free(&m);
    agon_ctx_free(ctx);
}

static void dawid_skene__agrees_with_the_loop_vector(void **state) {
    (void)state;
    vectors_each("dawid_skene_em", check_dawid_skene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flip_rate__agrees_with_the_vector),
        cmocka_unit_test(confident_learning__agrees_with_the_vector),
        cmocka_unit_test(confident_learning__finds_planted_noise),
        cmocka_unit_test(flip_model__recovers_planted_rates),
        cmocka_unit_test(dawid_skene__agrees_with_the_vector),
        cmocka_unit_test(dawid_skene__agrees_with_the_loop_vector),
        cmocka_unit_test(dawid_skene__recovers_raters),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

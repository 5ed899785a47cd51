/* The generation-verification gap's report: verifiers of known quality have the gap that they must have, random scores have none, the truth has the most, and what is
 * reported has not chosen its threshold. */
#include "base/random.h"
#include "experiment/verification_gap.h"
#include "test.h"
#include <unistd.h>

enum { DRAWS = 400, K = 8 };

typedef struct fixture {
    agon_ctx *ctx;
    char folder[64];
    lab l;
    gap_table t;
    const char **families;
    bool *chooses;
    double *utility;
} fixture;

static fixture begin(size_t n) {
    fixture f = {.ctx = test_ctx(1, NULL), .folder = "/tmp/agon-gap-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    f.l = (lab){.ctx = f.ctx, .seed = 1, .n_seeds = 1};
    f.families = calloc(n, sizeof *f.families);
    f.chooses = calloc(n, sizeof *f.chooses);
    f.utility = calloc(n * K, sizeof *f.utility);
    for (size_t i = 0; i < n; i++)
        f.families[i] = i % 3 ? "often" : "seldom";
    assert_ok(f.ctx, gap_split(f.ctx, f.families, n, f.chooses));
    f.t = (gap_table){.n = n, .n_samples = K, .families = f.families, .chooses = f.chooses, .utility = f.utility};
    return f;
}

static void end(fixture *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f->families), free(f->chooses), free(f->utility);
    lab_end(&f->l);
    agon_ctx_free(f->ctx);
}

static json_t *report_of(fixture *f) {
    json_t *result = NULL;
    f->l.output = f->folder;
    assert_ok(f->ctx, gap_report(&f->l, &f->t, DRAWS, &result));
    return result;
}

static const json_t *verifier(const json_t *result, const char *name) {
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(result, "verifiers"), i, one) if (strcmp(json_string_value(json_object_get(one, "verifier")), name) == 0) return one;
    fail_msg("no verifier %s", name);
    return NULL;
}

static double number(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v))
        fail_msg("no number %s", key);
    return json_number_value(v);
}

static double end_of(const json_t *object, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

static double binomial(size_t n, size_t k, double p) {
    double c = 1;
    for (size_t i = 0; i < k; i++)
        c = c * (double)(n - i) / (double)(i + 1);
    return c * pow(p, (double)k) * pow(1 - p, (double)(n - k));
}

/* Of a prompt with so many right answers, by a verifier that keeps a right one with probability a and a wrong one with b: summed over what it may keep. */
static double expected(size_t right, double a, double b) {
    const double before = (double)right / K;
    double after = 0;
    for (size_t i = 0; i <= right; i++)
        for (size_t j = 0; j <= K - right; j++)
            after += binomial(right, i, a) * binomial(K - right, j, b) * (i + j ? (double)i / (double)(i + j) : before);
    return after - before;
}

/* Of each eight, four right: three of them are kept and one wrong one. p = 1/2, a = 3/4, b = 1/4: p(a/(pa + (1 - p)b) - 1) = 1/4, of 1/2 that is missing. */
static void gap__of_a_planted_verifier_is_the_closed_form(void **state) {
    (void)state;
    enum { N = 12 };
    fixture f = begin(N);
    double score[N * K];
    for (size_t i = 0; i < N * K; i++) {
        f.utility[i] = i % K < 4;
        score[i] = i % K < 3 || i % K == 7 ? 0.9 : 0.2;
    }
    f.t.verifiers[f.t.n_verifiers++] = (gap_verifier){"planted", score, false};
    json_t *result = report_of(&f);
    const json_t *v = verifier(result, "planted");
    assert_close(number(v, "threshold"), 0.9, 0);
    assert_close(number(v, "utility"), 0.5, 1e-12);
    assert_close(number(v, "reweighted"), 0.75, 1e-12);
    assert_close(number(v, "gap"), 0.25, 1e-12);
    assert_close(number(v, "relative"), 0.5, 1e-12);
    assert_close(number(v, "relative_per_prompt"), 0.5, 1e-12);
    assert_close(end_of(v, "gap_interval", 0), 0.25, 1e-12); /* all prompts are alike */
    assert_close(number(v, "agreement"), 0.75, 1e-12);
    assert_close(number(v, "kept_of_right"), 0.75, 1e-12);
    assert_close(number(v, "kept_of_wrong"), 0.25, 1e-12);
    assert_close(number(v, "kept"), 0.5, 1e-12);
    assert_close(number(v, "auroc"), 0.75, 1e-12);
    assert_close(number(v, "auroc_within"), 0.75, 1e-12);
    assert_close(number(v, "best_scored_gain"), 0.25, 1e-12);
    assert_close(number(v, "unchanged"), 0, 0);
    assert_string_equal(json_string_value(json_object_get(v, "finding")), "gain");
    assert_int_equal(json_array_size(json_object_get(v, "families")), 2);
    assert_close(number(json_array_get(json_object_get(v, "families"), 0), "gap"), 0.25, 1e-12);
    assert_int_equal(number(result, "prompts_reported"), N / 2);
    json_decref(result);
    end(&f);
}

/* By chance, with prompts of one to seven right answers: the mean is the expectation, and the intervals hold it. */
static void gap__of_planted_verifiers_is_as_expected(void **state) {
    (void)state;
    enum { N = 4000 };
    static const double quality[][2] = {{0.9, 0.2}, {0.6, 0.3}, {0.8, 0.7}};
    fixture f = begin(N);
    double *score = calloc(3 * N * K, sizeof *score), *truth = f.utility;
    rng r = rng_new(5);
    static const char *const names[] = {"good", "fair", "poor"};
    for (size_t i = 0; i < N * K; i++)
        truth[i] = i % K < 1 + i / K % 7;
    for (size_t q = 0; q < 3; q++) {
        for (size_t i = 0; i < N * K; i++)
            score[q * N * K + i] = rng_uniform(&r) < quality[q][truth[i] < 1] ? 1 : 0;
        f.t.verifiers[f.t.n_verifiers++] = (gap_verifier){names[q], score + q * N * K, false};
    }
    json_t *result = report_of(&f);
    double most = 0;
    for (size_t right = 1; right <= 7; right++)
        most += expected(right, 1, 0) / 7;
    for (size_t q = 0; q < 3; q++) {
        const json_t *v = verifier(result, names[q]);
        double wanted = 0;
        for (size_t right = 1; right <= 7; right++)
            wanted += expected(right, quality[q][0], quality[q][1]) / 7;
        const double low = end_of(v, "gap_interval", 0), high = end_of(v, "gap_interval", 1), width = high - low;
        if (fabs(number(v, "gap") - wanted) > 0.75 * width || width > 0.04) /* three standard errors */
            fail_msg("%s: gap %.4f [%.4f, %.4f], expected %.4f", names[q], number(v, "gap"), low, high, wanted);
        assert_close(number(v, "kept_of_right"), quality[q][0], 0.02);
        assert_close(number(v, "kept_of_wrong"), quality[q][1], 0.02);
        assert_true(number(v, "gap") < number(verifier(result, "truth"), "gap"));
    }
    /* What all three keep, independently: a verifier of the product of their rates, better than each. */
    double wanted = 0;
    for (size_t right = 1; right <= 7; right++)
        wanted += expected(right, 0.9 * 0.6 * 0.8, 0.2 * 0.3 * 0.7) / 7;
    assert_close(number(verifier(result, "all"), "gap"), wanted, 0.02);
    assert_close(number(verifier(result, "all"), "kept_of_right"), 0.9 * 0.6 * 0.8, 0.02);
    /* The controls: nothing by chance, everything by the truth. */
    const json_t *v = verifier(result, "random");
    assert_true(end_of(v, "gap_interval", 0) <= 0 && end_of(v, "gap_interval", 1) >= 0);
    assert_close(number(v, "gap"), 0, 0.01);
    assert_close(number(v, "auroc"), 0.5, 0.02);
    assert_close(number(v, "auroc_within"), 0.5, 0.02);
    v = verifier(result, "truth");
    assert_close(number(v, "gap"), most, 0.01);
    assert_close(number(v, "relative"), 1, 1e-12);
    assert_close(number(v, "agreement"), 1, 1e-9);
    assert_close(number(v, "auroc"), 1, 0);
    json_decref(result);
    free(score);
    end(&f);
}

/* Over many runs the interval of random scores holds 0 about as often as it says, although a threshold was chosen for each. */
static void gap__of_random_scores_is_nothing(void **state) {
    (void)state;
    enum { N = 60, RUNS = 60 };
    size_t held = 0;
    double sum = 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        fixture f = begin(N);
        rng r = rng_new(run);
        f.l.seed = run;
        for (size_t i = 0; i < N * K; i++)
            f.utility[i] = rng_uniform(&r) < 0.4;
        f.t.verifiers[f.t.n_verifiers++] = (gap_verifier){"itself", f.utility, false};
        json_t *result = report_of(&f);
        const json_t *v = verifier(result, "random");
        held += end_of(v, "gap_interval", 0) <= 0 && end_of(v, "gap_interval", 1) >= 0;
        sum += number(v, "gap") / RUNS;
        assert_true(number(v, "gap_where_chosen") >= 0); /* where it is chosen something is always found */
        json_decref(result);
        end(&f);
    }
    if (held < RUNS * 85 / 100 || fabs(sum) > 0.012)
        fail_msg("%zu of %d intervals hold 0, mean gap %.4f", held, RUNS, sum);
}

/* A score that is right where thresholds are chosen and wrong where they are reported: the reported figure shows it, and does not change the threshold. */
static void gap__is_not_chosen_where_it_is_reported(void **state) {
    (void)state;
    enum { N = 40 };
    fixture f = begin(N);
    double score[N * K];
    for (size_t i = 0; i < N * K; i++) {
        f.utility[i] = i % 2;
        score[i] = f.chooses[i / K] ? f.utility[i] : 1 - f.utility[i];
    }
    f.t.verifiers[f.t.n_verifiers++] = (gap_verifier){"turncoat", score, false};
    json_t *result = report_of(&f);
    const json_t *v = verifier(result, "turncoat");
    assert_close(number(v, "threshold"), 1, 0);
    assert_close(number(v, "gap_where_chosen"), 0.5, 1e-12);
    assert_close(number(v, "gap"), -0.5, 1e-12);
    assert_string_equal(json_string_value(json_object_get(v, "finding")), "loss");
    json_decref(result);
    end(&f);
}

/* One that says nothing keeps nothing: no threshold, no ranking, no figure that is no number. */
static void gap__of_a_silent_verifier_is_none(void **state) {
    (void)state;
    enum { N = 8 };
    fixture f = begin(N);
    double score[N * K];
    for (size_t i = 0; i < N * K; i++) {
        f.utility[i] = i % 3 == 0;
        score[i] = NAN;
    }
    f.t.verifiers[f.t.n_verifiers++] = (gap_verifier){"silent", score, false};
    json_t *result = report_of(&f);
    const json_t *v = verifier(result, "silent");
    assert_true(json_is_null(json_object_get(v, "threshold")) && json_is_null(json_object_get(v, "auroc")) && json_is_null(json_object_get(v, "auroc_within")));
    assert_close(number(v, "gap"), 0, 0);
    assert_close(number(v, "no_verdict"), 1, 0);
    assert_string_equal(json_string_value(json_object_get(v, "finding")), "undecided");
    json_decref(result);
    end(&f);
}

static void gap__split_has_half_of_each_kind(void **state) {
    (void)state;
    static const char *const kinds[] = {"a", "b", "a", "c", "a", "b", "a", "c", "b"};
    bool chooses[9];
    size_t all = 0, a = 0;
    assert_ok(NULL, gap_split(NULL, kinds, 9, chooses));
    for (size_t i = 0; i < 9; i++)
        all += chooses[i], a += chooses[i] && *kinds[i] == 'a';
    assert_int_equal(a, 2);
    assert_true(all == 4 || all == 5);
    for (size_t n = 2; n < 10; n++) { /* both sides have one from two prompts on */
        size_t k = 0;
        assert_ok(NULL, gap_split(NULL, kinds, n, chooses));
        for (size_t i = 0; i < n; i++)
            k += chooses[i];
        assert_true(k > 0 && k < n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gap__of_a_planted_verifier_is_the_closed_form),
        cmocka_unit_test(gap__of_planted_verifiers_is_as_expected),
        cmocka_unit_test(gap__of_random_scores_is_nothing),
        cmocka_unit_test(gap__is_not_chosen_where_it_is_reported),
        cmocka_unit_test(gap__of_a_silent_verifier_is_none),
        cmocka_unit_test(gap__split_has_half_of_each_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whom the critic's calibration trusts: families of known reliability, many times over. */
#include "actors.h"
#include "eval/interval.h"
#include "step/trust.h"
#include <malloc.h>

enum { PER_FAMILY = 130, N = 2 * PER_FAMILY, LEAST = 30 };
static const char *const families[2] = {"arithmetic", "comparison"};
static const trust_options usual = {.alpha = 0.15, .delta = 0.1, .least = LEAST};

typedef struct bench {
    stand *x;
    size_t which[N];
    bool truth[N];
    const char *labels[N];
    store_id ids[N];
} bench;

/* N answers of two families, each with a label (whose value does not matter here: the truth is the caller's). */
static bench *bench_new(void) {
    bench *b = calloc(1, sizeof *b);
    const char *texts[N];
    size_t queries[N];
    task_outcome verdicts[N];
    const expert_options o = {.purpose = "calibration", .propensity = 1};
    assert_non_null(b);
    b->x = stand_new(NULL);
    stand_draw(b->x, "a", "arithmetic", "two_digit_sum", PER_FAMILY);
    for (size_t i = 0; i < task_n_cells(); i++)
        if (strcmp(task_cell_family(i), families[1]) == 0) {
            stand_draw(b->x, "c", families[1], task_cell_at(i)->name, PER_FAMILY);
            break;
        }
    for (size_t i = 0; i < N; i++) {
        b->which[i] = queries[i] = i;
        texts[i] = "I do not know.";
    }
    stand_answers(b->x, "answers", queries, texts, N);
    assert_ok(b->x->ctx, expert_judges(&b->x->actors, "labels", &b->x->queries, &b->x->answers, b->which, N, &o, verdicts,
                                       b->ids));
    for (size_t i = 0; i < N; i++)
        b->labels[i] = b->ids[i].text;
    return b;
}

static void bench_free(bench *b) {
    stand_free(b->x);
    free(b);
}

/* The critic says pass or fail with a confidence between 0.8 and 1, and is wrong at the family's rate. */
static void simulate(bench *b, rng *r, const double wrong[2]) {
    for (size_t i = 0; i < N; i++) {
        bool pass = rng_uniform(r) < 0.5;
        double sure = 0.8 + 0.2 * rng_uniform(r);
        b->truth[i] = pass != (rng_uniform(r) < wrong[i / PER_FAMILY]);
        b->x->answers.items[i].p_raw = pass ? sure : 1 - sure;
    }
}

static void calibrate(bench *b, const char *path, size_t n, const trust_options *o, trust_table *t) {
    assert_ok(b->x->ctx, trust_calibrate(&b->x->actors, path, "base", &b->x->queries, &b->x->answers, b->which, b->truth,
                                         b->labels, n, o, t));
}

/* Share of wrong decisions among those that would be taken alone, exactly: the critic's raw verdict is wrong at `wrong`. 0 when none is. */
static double risk_of(const trust_table *t, const char *family, double wrong, double *coverage) {
    double errors = 0;
    size_t taken = 0;
    for (size_t i = 0; i < 400; i++) {
        double sure = 0.8 + 0.2 * ((double)(i / 2) + 0.5) / 200, p = i % 2 ? sure : 1 - sure;
        bool pass = false;
        if (!trust_decides(t, family, p, &pass))
            continue;
        taken++;
        errors += pass == (p >= 0.5) ? wrong : 1 - wrong;
    }
    *coverage = (double)taken / 400;
    return taken ? errors / (double)taken : 0;
}

/* 300 calibrations: one family deserves trust, the other is a little worse than allowed. Being lucky is allowed at delta. */
static void trust__over_many_calibrations__is_undeserved_at_most_delta_of_the_time(void **state) {
    (void)state;
    const double wrong[2] = {0.01, 0.18}, n = 300;
    bench *b = bench_new();
    rng r = rng_new(3);
    size_t violations[2] = {0}, trusted[2] = {0};
    for (size_t i = 0; i < N; i++) /* which labels a calibration names is not at stake here, and writing them all takes long */
        b->labels[i] = b->ids[0].text;
    for (size_t k = 0; k < (size_t)n; k++) {
        char path[32];
        trust_table t;
        snprintf(path, sizeof path, "calibrate/%zu", k);
        simulate(b, &r, wrong);
        calibrate(b, path, N, &usual, &t);
        for (int f = 0; f < 2; f++) {
            double coverage, risk = risk_of(&t, families[f], wrong[f], &coverage);
            trusted[f] += coverage > 0.5;
            violations[f] += risk > usual.alpha;
        }
        trust_free(&t);
    }
    assert_true((double)violations[1] <= usual.delta * n + 3 * sqrt(n * usual.delta * (1 - usual.delta)));
    assert_int_equal(violations[0], 0);
    assert_true(trusted[0] >= 0.8 * n); /* and trust that is deserved is given */
    bench_free(b);
}

static void trust__is_per_family(void **state) {
    (void)state;
    const double wrong[2] = {0, 0.5};
    bench *b = bench_new();
    rng r = rng_new(4);
    trust_table t;
    bool pass = false;
    simulate(b, &r, wrong);
    calibrate(b, "calibrate", N, &usual, &t);
    assert_false(trust_find(&t, families[0])->pass.abstain || trust_find(&t, families[0])->fail.abstain);
    assert_true(trust_find(&t, families[1])->pass.abstain && trust_find(&t, families[1])->fail.abstain);
    assert_true(trust_decides(&t, families[0], 0.999, &pass) && pass);
    assert_true(trust_decides(&t, families[0], 0.001, &pass) && !pass);
    assert_false(trust_decides(&t, families[1], 0.999, &pass));
    assert_false(trust_decides(&t, "writing", 0.999, &pass)); /* never tested */
    assert_null(trust_find(&t, "writing"));
    assert_true(trust_find(&t, families[0])->auroc > 0.99 && trust_find(&t, families[1])->auroc < 0.8);
    trust_free(&t);
    bench_free(b);
}

/* Nine answers in ten fail and the critic finds the failures, but every second pass of its is one too: together it errs in 1 of 10, yet its passes
 * may not become training data. */
static void trust__is_per_verdict(void **state) {
    (void)state;
    bench *b = bench_new();
    trust_table t;
    bool pass = false;
    for (size_t i = 0; i < N; i++) {
        bool says_pass = i % 5 == 0;
        b->truth[i] = says_pass && i % 10 == 0;
        b->x->answers.items[i].p_raw = says_pass ? 0.999 - 0.0001 * (double)i : 0.001 + 0.0001 * (double)i;
    }
    calibrate(b, "calibrate", N, &usual, &t);
    for (int f = 0; f < 2; f++) {
        assert_false(trust_decides(&t, families[f], 0.9999, &pass));
        assert_true(trust_decides(&t, families[f], 0.0001, &pass) && !pass);
        assert_true(trust_find(&t, families[f])->coverage > 0.7 && trust_find(&t, families[f])->coverage < 1);
        assert_false(trust_find(&t, families[f])->always_fail || trust_find(&t, families[f])->always_pass); /* not of who calls everything wrong */
    }
    trust_free(&t);
    bench_free(b);
}

/* Calibration figures come from maps fitted on other queries: were an answer's own half used, isotonic steps would learn the noise. */
static void trust__calibration_is_measured_on_queries_it_was_not_fitted_on(void **state) {
    (void)state;
    const double wrong[2] = {0, 0};
    bench *b = bench_new();
    rng r = rng_new(5);
    trust_table t;
    simulate(b, &r, wrong);
    for (size_t i = 0; i < N; i++) { /* two queries in all, in different halves, on which the critic means opposite things */
        b->x->answers.items[i].query = i < PER_FAMILY ? 0 : PER_FAMILY;
        if (i < PER_FAMILY)
            b->truth[i] = !b->truth[i];
    }
    const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    size_t other = 1;
    while ((seed_derive(0, names[other]) & 1) == (seed_derive(0, names[0]) & 1))
        other++;
    b->x->queries.items[0].identity = names[0];
    b->x->queries.items[PER_FAMILY].identity = names[other];
    calibrate(b, "calibrate", N, &usual, &t);
    assert_int_equal(t.n, N);
    assert_true(t.ece > 0.3);
    trust_free(&t);
    bench_free(b);
}

static void trust__a_critic_that_always_says_the_same__earns_none(void **state) {
    (void)state;
    const double wrong[2] = {0.5, 0.5};
    bench *b = bench_new();
    rng r = rng_new(6);
    trust_table t;
    bool pass;
    simulate(b, &r, wrong);
    for (size_t i = 0; i < N; i++)
        b->x->answers.items[i].p_raw = 0.97;
    calibrate(b, "calibrate", N, &usual, &t);
    for (int f = 0; f < 2; f++)
        for (double p = 0; p <= 1; p += 0.125)
            assert_false(trust_decides(&t, families[f], p, &pass));
    trust_free(&t);
    bench_free(b);
}

/* Where nearly all fail a critic that says so of everything is seldom wrong: it may decide, and that this is no skill is said. */
static void trust__base_rate__is_told_from_skill(void **state) {
    (void)state;
    bench *b = bench_new();
    trust_table t;
    size_t n_decided = 0;
    for (size_t i = 0; i < N; i++) {
        b->truth[i] = i % 100 == 0;
        b->x->answers.items[i].p_raw = 0.1;
    }
    calibrate(b, "calibrate", N, &usual, &t);
    for (int f = 0; f < 2; f++)
        assert_true(trust_find(&t, families[f])->always_fail && !trust_find(&t, families[f])->always_pass && trust_find(&t, families[f])->coverage > 0.999);
    json_t *report = trust_json(&t);
    assert_string_equal(field_text(json_array_get(report, 0), "always"), "fail");
    assert_ok(b->x->ctx, trust_decide(&b->x->actors, "decide", &t, &b->x->queries, &b->x->answers, b->which, 3, &n_decided));
    assert_int_equal(n_decided, 3);
    assert_int_equal(stand_count(b->x, "SELECT count(*) FROM decision WHERE reason LIKE 'this verdict is seldom wrong%'"), 3);
    json_decref(report);
    trust_free(&t);
    bench_free(b);
}

/* Either verdict has half of delta: the sequence of passes ends where the bound at that leaves alpha. */
static void trust__each_verdict__has_half_of_delta(void **state) {
    (void)state;
    enum { RIGHT = 60 };
    bench *b = bench_new();
    trust_table t;
    size_t k = 0;
    for (size_t i = 0; i < PER_FAMILY; i++) { /* ever less sure, and from the 61st on wrong */
        b->truth[i] = i < RIGHT;
        b->x->answers.items[i].p_raw = 0.99 - 0.001 * (double)i;
    }
    while (clopper_pearson_upper(k + 1, RIGHT + k + 1, usual.delta / 2) <= usual.alpha)
        k++;
    assert_true(k > 0 && clopper_pearson_upper(k + 1, RIGHT + k + 1, usual.delta) <= usual.alpha);
    trust_options any = usual;
    any.any_verdict = true;
    calibrate(b, "calibrate", PER_FAMILY, &any, &t);
    assert_close(trust_find(&t, families[0])->pass.lambda, b->x->answers.items[RIGHT + k - 1].p_raw, 1e-12);
    trust_free(&t);
    calibrate(b, "calibrate/own", PER_FAMILY, &usual, &t); /* what alpha leaves room for and the critic itself does not believe is not passed */
    assert_close(trust_find(&t, families[0])->pass.lambda, b->x->answers.items[RIGHT - 1].p_raw, 1e-12);
    assert_close(trust_find(&t, families[0])->pass.risk, 0, 0);
    trust_free(&t);
    bench_free(b);
}

static void trust__too_few_tested__earn_none(void **state) {
    (void)state;
    const double wrong[2] = {0, 0};
    bench *b = bench_new();
    rng r = rng_new(7);
    trust_table t;
    bool pass = false;
    simulate(b, &r, wrong);
    calibrate(b, "calibrate/all", N, &usual, &t);
    size_t tested = trust_find(&t, families[0])->n;
    assert_true(tested > LEAST && trust_decides(&t, families[0], 0.999, &pass));
    trust_free(&t);
    trust_options o = usual;
    o.least = tested + 1;
    calibrate(b, "calibrate/few", N, &o, &t);
    assert_false(trust_decides(&t, families[0], 0.999, &pass));
    trust_free(&t);
    calibrate(b, "calibrate/nine", 9, &usual, &t); /* nor do they say how sure the critic may be: its own word stays */
    assert_close(trust_p(&t, 0.87), 0.87, 1e-12);
    trust_free(&t);
    bench_free(b);
}

/* However few the caller allows, the sequence starts where trust can be earned. */
static void trust__one_is_not_too_few_to_start_from(void **state) {
    (void)state;
    const double wrong[2] = {0, 0};
    bench *b = bench_new();
    rng r = rng_new(9);
    trust_table t;
    trust_options o = usual;
    bool pass = false;
    o.least = 1;
    simulate(b, &r, wrong);
    calibrate(b, "calibrate", N, &o, &t);
    assert_true(trust_decides(&t, families[0], 0.999, &pass) && pass);
    trust_free(&t);
    bench_free(b);
}

static void trust__answers_the_critic_abstained_on__are_left_out_and_escalate(void **state) {
    (void)state;
    const double wrong[2] = {0, 0};
    bench *b = bench_new();
    rng r = rng_new(8);
    trust_table t;
    size_t n_decided = 99, n_abstained = 0;
    simulate(b, &r, wrong);
    for (size_t i = 0; i < N; i += 3) {
        b->x->answers.items[i].p_raw = NAN;
        n_abstained++;
    }
    calibrate(b, "calibrate", N, &usual, &t);
    assert_int_equal(t.n, N - n_abstained);
    assert_ok(b->x->ctx, trust_decide(&b->x->actors, "decide", &t, &b->x->queries, &b->x->answers, b->which, 60, &n_decided));
    size_t want = 0;
    for (size_t i = 0; i < 60; i++) {
        const answer *y = &b->x->answers.items[i];
        bool pass = false, alone = i % 3 != 0 && trust_decides(&t, families[0], y->p_raw, &pass);
        assert_int_equal(y->source != NULL, alone);
        assert_int_equal(y->outcome, !alone ? OUTCOME_UNKNOWN : b->truth[i] ? OUTCOME_PASS : OUTCOME_FAIL);
        want += alone;
    }
    assert_true(want >= 30 && n_decided == want); /* of 40 it had an opinion on */
    assert_int_equal(stand_count(b->x, "SELECT count(*) FROM decision WHERE route = 'auto'"), want);
    assert_int_equal(stand_count(b->x, "SELECT count(*) FROM decision WHERE route = 'escalate'"), 60 - want);
    assert_int_equal(stand_count(b->x, "SELECT count(*) FROM label WHERE source = 'critic'"), want);
    /* The books say from which score on a verdict was the critic's own, and how sure it was of it. */
    json_t *taken = NULL, *row;
    size_t i, n_failed = 0;
    const trust *f = trust_find(&t, families[0]);
    assert_ok(b->x->ctx, store_query_json(b->x->store, "SELECT l.value, d.threshold, d.confidence FROM label l JOIN decision d ON d.id = l.decision"
                                          " WHERE l.source = 'critic'", NULL, &taken));
    assert_int_equal(json_array_size(taken), want);
    json_array_foreach(taken, i, row) {
        bool pass = strcmp(field_text(row, "value"), "pass") == 0;
        assert_close(field_real(row, "threshold"), pass ? f->pass.lambda : 1 - f->fail.lambda, 1e-12);
        assert_true(field_real(row, "confidence") > 0.5);
        n_failed += !pass;
    }
    assert_true(n_failed > 0 && n_failed < want);
    json_decref(taken);
    trust_free(&t);
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trust__over_many_calibrations__is_undeserved_at_most_delta_of_the_time),
        cmocka_unit_test(trust__is_per_family),
        cmocka_unit_test(trust__is_per_verdict),
        cmocka_unit_test(trust__calibration_is_measured_on_queries_it_was_not_fitted_on),
        cmocka_unit_test(trust__a_critic_that_always_says_the_same__earns_none),
        cmocka_unit_test(trust__base_rate__is_told_from_skill),
        cmocka_unit_test(trust__each_verdict__has_half_of_delta),
        cmocka_unit_test(trust__too_few_tested__earn_none),
        cmocka_unit_test(trust__one_is_not_too_few_to_start_from),
        cmocka_unit_test(trust__answers_the_critic_abstained_on__are_left_out_and_escalate),
    };
    mallopt(M_TRIM_THRESHOLD, 64 << 20); /* thousands of small transactions, each giving its memory back, are mostly page faults */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

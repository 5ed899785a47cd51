/* The monitor of collapse: a version that says the same again is found, one that only stops to babble is not, and nothing alarms where nothing changed. */
#include "eval/collapse_monitor.h"
#include "base/memory.h"
#include "base/random.h"
#include "eval/collapse.h"
#include "eval/diversity.h"
#include "test.h"

enum { PROMPTS = 32, SAMPLES = 4, N = PROMPTS * SAMPLES, WORDS = 36, SIZE = WORDS * 8 };

static agon_ctx *ctx;

typedef struct version {
    char *text[N];
    double log_probs[N], n_tokens[N];
} version;

/* Zipf's words; `same` of the answers say one thing, whatever is asked. */
static void write_version(version *v, uint64_t seed, double same) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < N; i++) {
        char *to = v->text[i] = calloc(1, SIZE + 1);
        bool planted = rng_uniform(&r) < same;
        for (size_t k = 0; k < WORDS; k++)
            to += sprintf(to, "w%d ", planted ? (int)k : (int)(exp(7 * rng_uniform(&r))));
        v->n_tokens[i] = WORDS;
        v->log_probs[i] = planted ? -1 : -3.0 * WORDS;
    }
}

static void free_version(version *v) {
    for (size_t i = 0; i < N; i++)
        free(v->text[i]);
}

static sampled_answers of(const version *v) {
    return (sampled_answers){(const char *const *)v->text, v->log_probs, v->n_tokens, PROMPTS, SAMPLES};
}

static collapse_comparison compare(const version *now, const version *before, size_t draws) {
    collapse_comparison c;
    const sampled_answers a = of(now), b = of(before);
    assert_ok(ctx, collapse_compare(ctx, &a, &b, draws, 5, &c));
    return c;
}

static const collapse_measure *named(const collapse_comparison *c, const char *name) {
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (strcmp(c->measures[i].name, name) == 0)
            return &c->measures[i];
    fail_msg("no measure %s", name);
    return NULL;
}

static void duplicates__are_found(void **state) {
    (void)state;
    version base, part, all, empty;
    write_version(&base, 1, 0);
    write_version(&part, 2, 0.35);
    write_version(&all, 3, 1);
    collapse_comparison c = compare(&all, &base, 500);
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_RED);
    assert_true(named(&c, "distinct-4")->drop > 0.9 && named(&c, "entropy-2")->level == COLLAPSE_RED);
    assert_close(named(&c, "difference")->now, 0, 1e-12);
    assert_close(named(&c, "predictive entropy")->before, 3, 1e-12);
    assert_int_equal(named(&c, "predictive entropy")->level, COLLAPSE_RED); /* shown, and decides nothing */
    assert_false(named(&c, "predictive entropy")->decides);
    c = compare(&part, &base, 500);
    assert_true(c.measures[c.worst].level >= COLLAPSE_YELLOW);
    /* Nothing said at all. */
    write_version(&empty, 4, 0);
    for (size_t i = 0; i < N; i++)
        empty.text[i][0] = 0;
    c = compare(&empty, &base, 500);
    assert_int_equal(c.n_words, 0);
    assert_string_equal(c.measures[c.worst].name, "answered");
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_RED);
    c = compare(&base, &empty, 500); /* and against nothing: nothing lost */
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_GREEN);
    free_version(&base);
    free_version(&part);
    free_version(&all);
    free_version(&empty);
}

/* Answers of a third of the length, as diverse word by word: no fall, since only equal numbers of words are compared. */
static void shorter_answers__are_not_less_diverse(void **state) {
    (void)state;
    version base, brief;
    write_version(&base, 1, 0);
    write_version(&brief, 2, 0);
    for (size_t i = 0; i < N; i++) {
        char *at = brief.text[i];
        for (size_t k = 0; k < WORDS / 3; k++)
            at = strchr(at, ' ') + 1;
        *at = 0;
    }
    collapse_comparison c = compare(&brief, &base, 500);
    assert_int_equal(c.n_words, N * (WORDS / 3));
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_GREEN);
    assert_true(fabs(named(&c, "distinct-1")->drop) < 0.1);
    c = compare(&base, &brief, 500); /* and the other way round */
    assert_int_equal(c.n_words, N * (WORDS / 3));
    free_version(&base);
    free_version(&brief);
}

/* What is compared is what diversity_of says of the cut answers; who says nothing has no difference from others. */
static void figures__are_those_of_the_cut_answers(void **state) {
    (void)state;
    static const char *const now[] = {"a b a b", "a b c d e f", "", "x y"}, *const before[] = {"a b c d", "e f g h", "i j", "x y"},
                             *const cut[] = {"a b a b", "a b c d", "", "x y"};
    const sampled_answers a = {.texts = now, .n_prompts = 2, .n_samples = 2}, b = {.texts = before, .n_prompts = 2, .n_samples = 2};
    collapse_comparison c;
    diversity d;
    diversity_part parts[4];
    double difference = 0;
    assert_ok(ctx, collapse_compare(ctx, &a, &b, 100, 5, &c));
    assert_ok(ctx, diversity_of(ctx, cut, 4, 10, &d, parts));
    for (size_t i = 0; i < 4; i++)
        difference += i == 2 ? 0 : (1 - parts[i].bleu) / 3;
    assert_int_equal(c.n_words, 10);
    assert_close(named(&c, "answered")->now, 0.75, 1e-12);
    assert_close(named(&c, "answered")->before, 1, 1e-12);
    assert_close(named(&c, "distinct-2")->now, 5.0 / 7, 1e-12);
    assert_close(named(&c, "distinct-2")->now, d.distinct[1], 1e-12);
    assert_close(named(&c, "entropy-2")->now, d.entropy[1], 1e-12);
    assert_close(named(&c, "entropy-2")->before, log2(7), 1e-12);
    assert_close(named(&c, "difference")->now, difference, 1e-12);
    assert_close(named(&c, "type-token")->now, d.type_token, 1e-12);
    assert_true(isnan(named(&c, "predictive entropy")->now));
}

/* One prompt of four has only one answer left: a large fall, but of a prompt that might not have been asked. */
static void a_fall__that_one_prompt_makes__is_not_shown(void **state) {
    (void)state;
    version base;
    write_version(&base, 1, 0);
    const char *texts[4 * SAMPLES];
    for (size_t i = 0; i < 4 * SAMPLES; i++)
        texts[i] = base.text[i < SAMPLES ? 0 : i];
    const sampled_answers now = {.texts = texts, .n_prompts = 4, .n_samples = SAMPLES}, before = {(const char *const *)base.text, NULL, NULL, 4, SAMPLES};
    collapse_comparison c;
    assert_ok(ctx, collapse_compare(ctx, &now, &before, 500, 5, &c));
    assert_true(named(&c, "distinct-4")->drop > 1.5 * COLLAPSE_DROP_YELLOW);
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_GREEN);
    free_version(&base);
}

/* Surer of the same words: shown, and decides nothing, nor is it a reversal. Where nothing fell at all every p is 1. */
static void what_is_only_shown__decides_nothing(void **state) {
    (void)state;
    version base, sure;
    pass_comparison up = {.one.p_up = 0.001, .all.p_down = 1};
    const char *what = NULL;
    write_version(&base, 1, 0);
    write_version(&sure, 1, 0);
    for (size_t i = 0; i < N; i++)
        sure.log_probs[i] = -1;
    collapse_comparison c = compare(&sure, &base, 500);
    assert_int_equal(named(&c, "predictive entropy")->level, COLLAPSE_RED);
    assert_int_equal(c.measures[c.worst].level, COLLAPSE_GREEN);
    assert_true(c.measures[c.worst].decides);
    assert_ok(ctx, collapse_reversal(ctx, &up, &c, &what));
    assert_null(what);
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (c.measures[i].decides)
            assert_close(c.measures[i].p, 1, 1e-12);
    free_version(&base);
    free_version(&sure);
}

/* Of five measures and pass@k, one with p = 0.03 is what chance brings (Holm), one with 0.005 is not. */
static void reversal__allows_for_many_looks(void **state) {
    (void)state;
    version base;
    pass_comparison up = {.one.p_up = 0.001, .all.p_down = 0.5};
    const char *what = NULL;
    write_version(&base, 1, 0);
    collapse_comparison c = compare(&base, &base, 100);
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (strcmp(c.measures[i].name, "distinct-3") == 0)
            c.measures[i].p = 0.03;
    assert_ok(ctx, collapse_reversal(ctx, &up, &c, &what));
    assert_null(what);
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (strcmp(c.measures[i].name, "distinct-3") == 0)
            c.measures[i].p = 0.005;
    assert_ok(ctx, collapse_reversal(ctx, &up, &c, &what));
    assert_string_equal(what, "distinct-3");
    free_version(&base);
}

/* pass@k is red where it fell by five points or more and the fall is shown. */
static void pass_at_k__a_small_fall_or_one_not_shown__is_green(void **state) {
    (void)state;
    enum { MANY = 500 };
    static size_t now[MANY], before[MANY];
    pass_comparison p;
    for (size_t i = 0; i < MANY; i++) {
        before[i] = 1;
        now[i] = i >= MANY / 25; /* four points */
    }
    assert_ok(ctx, pass_compare(ctx, now, before, MANY, 4, 500, 7, &p));
    assert_true(p.all.gain.high < 0);
    assert_int_equal(p.level, COLLAPSE_GREEN);
    assert_ok(ctx, pass_compare(ctx, now + MANY / 25 - 1, before, 4, 4, 500, 7, &p)); /* one of four */
    assert_close(p.all.before - p.all.now, 0.25, 1e-12);
    assert_true(p.all.gain.low < 0 && p.all.gain.high >= 0);
    assert_int_equal(p.level, COLLAPSE_GREEN);
}

/* A version that did not change, over 200 pairs: yellow in less than 5 % of them, red in none (loop section 6). */
static void nothing_changed__nothing_alarms(void **state) {
    (void)state;
    size_t yellow = 0, covered = 0;
    for (uint64_t i = 0; i < 200; i++) {
        version a, b;
        write_version(&a, 100 + 2 * i, 0.1);
        write_version(&b, 101 + 2 * i, 0.1);
        collapse_comparison c = compare(&a, &b, 200);
        const collapse_measure *m = named(&c, "distinct-2");
        yellow += c.measures[c.worst].level >= COLLAPSE_YELLOW;
        assert_true(c.measures[c.worst].level < COLLAPSE_RED);
        covered += m->range.low <= 0 && m->range.high >= 0;
        free_version(&a);
        free_version(&b);
    }
    assert_true(yellow < 10);
    assert_true(covered >= 180); /* of 95 % intervals */
}

/* A model that loses a tenth of its answers to one sentence in every iteration is yellow within two iterations, and the two of them make it red. */
static void slow_collapse__is_yellow_within_two_iterations(void **state) {
    (void)state;
    size_t first_yellow = 9;
    version base;
    write_version(&base, 1, 0);
    for (size_t t = 1; t <= 2 && first_yellow == 9; t++) {
        version now;
        write_version(&now, 10 + t, 0.15 * (double)t);
        collapse_comparison c = compare(&now, &base, 500);
        if (c.measures[c.worst].level >= COLLAPSE_YELLOW)
            first_yellow = t;
        free_version(&now);
    }
    assert_true(first_yellow <= 2);
    free_version(&base);
}

static void pass_at_k__falls_while_pass_at_1_rises(void **state) {
    (void)state;
    size_t now[40], before[40];
    pass_comparison p;
    collapse_comparison c = {0};
    const char *what = NULL;
    for (size_t i = 0; i < 40; i++) { /* before: one of four, nearly everywhere; now: all four of half of them, never of the others */
        before[i] = i % 8 != 0;
        now[i] = i % 2 ? 4 : 0;
    }
    assert_ok(ctx, pass_compare(ctx, now, before, 40, 4, 2000, 7, &p));
    assert_close(p.one.before, 0.21875, 1e-12);
    assert_close(p.one.now, 0.5, 1e-12);
    assert_close(p.all.before, 0.875, 1e-12);
    assert_close(p.all.now, 0.5, 1e-12);
    assert_int_equal(p.level, COLLAPSE_RED);
    assert_ok(ctx, collapse_reversal(ctx, &p, &c, &what));
    assert_string_equal(what, "pass@k");
    /* Both rise: no reversal. */
    for (size_t i = 0; i < 40; i++)
        now[i] = 3;
    assert_ok(ctx, pass_compare(ctx, now, before, 40, 4, 2000, 7, &p));
    assert_int_equal(p.level, COLLAPSE_GREEN);
    assert_ok(ctx, collapse_reversal(ctx, &p, &c, &what));
    assert_null(what);
    assert_ok(ctx, pass_compare(ctx, before, before, 40, 4, 100, 7, &p));
    assert_true(p.all.gain.low == 0 && p.all.gain.high == 0 && p.one.p_up == 1 && p.level == COLLAPSE_GREEN);
    assert_int_equal(pass_compare(ctx, now, before, 0, 4, 100, 7, &p), AGON_EINVAL);
}

/* Twenty iterations of a series that stays: false alarms of the lower CUSUM at k = 0.5, h = 4: 4.8 %. */
static void cusum__of_a_stationary_series__is_quiet(void **state) {
    (void)state;
    enum { SERIES = 40000 };
    size_t alarms = 0, found = 0;
    rng r = rng_new(9);
    for (int i = 0; i < SERIES; i++) {
        double x[20];
        for (size_t t = 0; t < 20; t++)
            x[t] = rng_normal(&r);
        alarms += cusum_low(x, 20, 0, 1, 0.5, 4, NULL) < 20;
        for (size_t t = 0; t < 20; t++)
            x[t] -= 1.5;
        found += cusum_low(x, 20, 0, 1, 0.5, 4, NULL) < 10;
    }
    assert_true(alarms < SERIES / 20);
    assert_true(found > SERIES - SERIES / 20);
}

static int setup(void **state) {
    (void)state;
    ctx = test_ctx(1, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    agon_ctx_free(ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duplicates__are_found),
        cmocka_unit_test(shorter_answers__are_not_less_diverse),
        cmocka_unit_test(nothing_changed__nothing_alarms),
        cmocka_unit_test(slow_collapse__is_yellow_within_two_iterations),
        cmocka_unit_test(pass_at_k__falls_while_pass_at_1_rises),
        cmocka_unit_test(pass_at_k__a_small_fall_or_one_not_shown__is_green),
        cmocka_unit_test(figures__are_those_of_the_cut_answers),
        cmocka_unit_test(a_fall__that_one_prompt_makes__is_not_shown),
        cmocka_unit_test(what_is_only_shown__decides_nothing),
        cmocka_unit_test(reversal__allows_for_many_looks),
        cmocka_unit_test(cusum__of_a_stationary_series__is_quiet),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

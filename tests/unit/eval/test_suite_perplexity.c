/* Perplexity: documents and windows, sums against direct forwards of a tiny model, the comparison. */
#include "base/random.h"
#include "eval/suite.h"
#include "small_tokenizer.h"
#include "tiny_model.h"
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    tokenizer *t;
    char path[64];
} world;

static int setup(void **state) {
    static world w;
    w.ctx = test_ctx(2, NULL);
    w.t = small_tokenizer(w.ctx);
    strcpy(w.path, "/tmp/agon-held-out-XXXXXX");
    int file = mkstemp(w.path);
    assert_true(file >= 0);
    close(file);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    unlink(w->path);
    tokenizer_free(w->t);
    agon_ctx_free(w->ctx);
    return 0;
}

enum { USUAL = 2048 };

static perplexity_suite *open_for(world *w, size_t context, const char *text, size_t limit) {
    perplexity_suite *p = NULL;
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    assert_ok(w->ctx, perplexity_open(w->ctx, w->t, context, w->path, limit, &p));
    return p;
}

static perplexity_suite *open_text(world *w, const char *text, size_t limit) {
    return open_for(w, USUAL, text, limit);
}

/* A document of many tokens. */
static char *long_text(size_t n_words) {
    char *text = calloc(n_words, 16);
    rng r = rng_new(5);
    for (size_t i = 0, at = 0; i < n_words; i++)
        at += (size_t)sprintf(text + at, "w%u ", (unsigned)rng_below(&r, 10000));
    return text;
}

static void perplexity__splits_documents(void **state) {
    world *w = *state;
    perplexity_suite *p = open_text(w, "=====\nOne.\n\nStill one ===== of them.\n=====\n\n=====\r\nTwo\n======\n=====", 0);
    assert_int_equal(perplexity_n_documents(p), 2);
    assert_string_equal(perplexity_document(p, 0), "One.\n\nStill one ===== of them.");
    assert_string_equal(perplexity_document(p, 1), "Two\n======"); /* six signs are no separator */
    perplexity_free(p);
    p = open_text(w, "a b\n=====\nc d\n=====\ne f\n", 2);
    assert_int_equal(perplexity_n_documents(p), 2);
    perplexity_free(p);
    p = NULL;
    assert_ok(w->ctx, file_write(w->ctx, w->path, " \n=====\n", 8));
    assert_int_equal(perplexity_open(w->ctx, w->t, USUAL, w->path, 0, &p), AGON_EFORMAT);
    assert_null(p);
}

/* Every token but the first is in exactly one window, with the tokens before it as context. */
static void perplexity__windows_cover_each_token_once(void **state) {
    world *w = *state;
    char *text = long_text(700);
    perplexity_suite *p = open_text(w, text, 0);
    token_list all = {0};
    assert_ok(w->ctx, tokenizer_encode(w->ctx, w->t, perplexity_document(p, 0), strlen(perplexity_document(p, 0)), false, &all));
    size_t at = 0;
    assert_true(perplexity_n_windows(p) > 2);
    for (size_t i = 0; i < perplexity_n_windows(p); i++) {
        perplexity_window v = perplexity_get(p, i);
        assert_int_equal(v.n_context, at < PERPLEXITY_CONTEXT ? at : PERPLEXITY_CONTEXT);
        if (v.n_context > 0)
            assert_memory_equal(v.context, all.ids + at - v.n_context, v.n_context * sizeof(int32_t));
        assert_memory_equal(v.tokens, all.ids + at, v.n_tokens * sizeof(int32_t));
        at += v.n_tokens;
    }
    assert_int_equal(at, all.n);
    assert_int_equal(perplexity_n_scored(p, 0), all.n - 1);
    token_list_free(&all);
    perplexity_free(p);
    free(text);
}

/* Minus the log_probs of v's tokens by one forward of context and tokens as a single segment. */
static double direct(world *w, const model *m, const adapter *a, perplexity_window v) {
    int32_t tokens[PERPLEXITY_CONTEXT + PERPLEXITY_WINDOW];
    float log_prob[PERPLEXITY_CONTEXT + PERPLEXITY_WINDOW];
    size_t n = v.n_context + v.n_tokens;
    if (v.n_context > 0)
        memcpy(tokens, v.context, v.n_context * sizeof *tokens);
    memcpy(tokens + v.n_context, v.tokens, v.n_tokens * sizeof *tokens);
    const segment s = {.tokens = tokens, .n_tokens = n, .parent = -1, .adapter = a, .wants = WANT_LOG_PROB};
    const segment_batch batch = {&s, 1};
    const token_channels out = {.log_prob = log_prob};
    workspace *space = NULL;
    double sum = 0;
    assert_ok(w->ctx, workspace_new(w->ctx, 0, &space));
    assert_ok(w->ctx, model_forward(w->ctx, m, space, &batch, &out));
    workspace_free(space);
    for (size_t i = v.n_context; i < n; i++)
        sum -= (double)log_prob[i];
    return sum;
}

static void perplexity__equals_a_direct_sum(void **state) {
    world *w = *state;
    char *text = long_text(250), *joined = calloc(1, strlen(text) + 64);
    sprintf(joined, "A short one.\n=====\n%s\n=====\nx\n=====\nThe end of it.", text);
    perplexity_suite *p = open_text(w, joined, 0);
    model_config c = tiny_config();
    c.n_vocabulary = (int32_t)tokenizer_n_vocabulary(w->t);
    c.max_context = 1024;
    model *m = tiny_model(w->ctx, &c, COMPUTE_BF16);
    adapter *a = tiny_adapter(w->ctx, m, 2, 3);
    double nll[4], with[4], want[4] = {0}, want_with[4] = {0}, tokens = 0, sum = 0;
    size_t n_scored[4];
    assert_int_equal(perplexity_n_documents(p), 4);
    for (size_t i = 0; i < perplexity_n_windows(p); i++) {
        perplexity_window v = perplexity_get(p, i);
        want[v.document] += direct(w, m, NULL, v);
        want_with[v.document] += direct(w, m, a, v);
    }
    assert_ok(w->ctx, perplexity_score(w->ctx, m, NULL, p, nll));
    assert_ok(w->ctx, perplexity_score(w->ctx, m, a, p, with));
    for (size_t d = 0; d < 4; d++) {
        assert_close(nll[d], want[d], 1e-9 * (1 + want[d]));
        assert_close(with[d], want_with[d], 1e-9 * (1 + want_with[d]));
        n_scored[d] = perplexity_n_scored(p, d);
        tokens += (double)n_scored[d];
        sum += nll[d];
    }
    assert_true(nll[1] > 0 && nll[1] != with[1]);
    assert_close(perplexity_of(nll, n_scored, 4), exp(sum / tokens), 1e-9);
    adapter_free(a);
    model_free(m);
    perplexity_free(p);
    free(text);
    free(joined);
}

/* A model with a small context is measured in windows that fit it: every token but the first is still scored once. */
static void perplexity__windows_fit_the_context(void **state) {
    world *w = *state;
    char *text = long_text(250);
    perplexity_suite *usual = open_text(w, text, 0), *p = NULL;
    const hash256 told = perplexity_hash(usual);
    for (size_t context = 512; context < 1 << 20; context *= 2) { /* from where both fit, the context changes nothing */
        p = open_for(w, context, text, 0);
        const hash256 found = perplexity_hash(p);
        assert_memory_equal(&found, &told, sizeof told);
        perplexity_free(p);
    }
    perplexity_free(usual);
    const size_t contexts[] = {2, 3, 4, 5, 17, 64, 511};
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        model_config c = tiny_config();
        c.n_vocabulary = (int32_t)tokenizer_n_vocabulary(w->t);
        c.max_context = contexts[i];
        model *m = tiny_model(w->ctx, &c, COMPUTE_F32);
        p = open_for(w, c.max_context, text, 0);
        const hash256 found = perplexity_hash(p);
        double nll, want = 0;
        size_t scored = 0;
        for (size_t k = 0; k < perplexity_n_windows(p); k++) {
            perplexity_window v = perplexity_get(p, k);
            assert_true(v.n_context + v.n_tokens <= c.max_context && v.n_tokens >= 1 && (k == 0) == (v.n_context == 0));
            scored += v.n_tokens - (k == 0);
            want += direct(w, m, NULL, v);
        }
        assert_int_equal(scored, perplexity_n_scored(p, 0));
        assert_ok(w->ctx, perplexity_score(w->ctx, m, NULL, p, &nll));
        assert_close(nll, want, 1e-9 * want);
        assert_memory_not_equal(&found, &told, sizeof told); /* figures of other windows are not compared */
        perplexity_free(p);
        model_free(m);
    }
    p = NULL;
    assert_int_equal(perplexity_open(w->ctx, w->t, 1, w->path, 0, &p), AGON_EUNSUPPORTED);
    assert_null(p);
    free(text);
}

static void perplexity__comparison_follows_the_margin(void **state) {
    world *w = *state;
    enum { N = 24 };
    double before[N], after[N];
    size_t n_scored[N];
    perplexity_comparison c;
    for (size_t i = 0; i < N; i++) {
        n_scored[i] = 150 + 10 * i;
        before[i] = (double)n_scored[i] * 3;
        after[i] = before[i] + (double)n_scored[i] * 0.01; /* every document one hundredth of a nat worse */
    }
    assert_ok(w->ctx, perplexity_compare(w->ctx, before, after, n_scored, N, 0.03, 0.05, 1000, 1, &c));
    assert_close(c.before, exp(3), 1e-9);
    assert_close(c.rise, expm1(0.01), 1e-12);
    assert_close(c.upper, expm1(0.01), 1e-12); /* no spread, no uncertainty */
    assert_true(c.holds && c.p < 0.05);
    assert_ok(w->ctx, perplexity_compare(w->ctx, before, after, n_scored, N, 0.01, 0.05, 1000, 1, &c));
    assert_true(!c.holds && c.p > 0.95); /* exp(0.01) - 1 is above 0.01 */
    for (size_t i = 0; i < N; i++)
        after[i] = before[i] + (double)n_scored[i] * (i % 2 ? 0.3 : -0.26); /* rises in half the documents, unsure */
    assert_ok(w->ctx, perplexity_compare(w->ctx, before, after, n_scored, N, 0.03, 0.05, 1000, 1, &c));
    assert_true(c.rise < 0.05 && c.upper > 0.06 && !c.holds);
    assert_int_equal(perplexity_compare(w->ctx, before, after, n_scored, 1, 0.03, 0.05, 1000, 1, &c), AGON_EINVAL);
    assert_int_equal(perplexity_compare(w->ctx, before, after, n_scored, N, 0, 0.05, 1000, 1, &c), AGON_EINVAL);
}

/* Of simulated versions that rose by exactly the margin, about alpha pass, hardly more. */
static void perplexity__comparison_keeps_its_level(void **state) {
    world *w = *state;
    enum { N = 24, TRIALS = 2000 };
    double before[N], after[N];
    size_t n_scored[N], passed = 0;
    rng r = rng_new(11);
    for (int trial = 0; trial < TRIALS; trial++) {
        for (size_t i = 0; i < N; i++) {
            n_scored[i] = 150 + 5 * i;
            before[i] = (double)n_scored[i] * (3 + 0.3 * rng_normal(&r));
            after[i] = before[i] + (double)n_scored[i] * (log(1.03) + 0.02 * rng_normal(&r));
        }
        perplexity_comparison c;
        assert_ok(w->ctx, perplexity_compare(w->ctx, before, after, n_scored, N, 0.03, 0.05, 300, (uint64_t)trial, &c));
        passed += c.holds;
    }
    /* The percentile interval of 24 documents is a little short: 0.05 to 0.07 is what it gives. */
    assert_in_range(passed, (uintmax_t)(0.03 * TRIALS), (uintmax_t)(0.08 * TRIALS));
}

static void perplexity__held_out_text_is_there(void **state) {
    world *w = *state;
    perplexity_suite *p = NULL;
    assert_ok(w->ctx, perplexity_open(w->ctx, w->t, USUAL, NULL, 0, &p));
    assert_true(perplexity_n_documents(p) >= 20);
    for (size_t d = 0; d < perplexity_n_documents(p); d++)
        assert_true(strlen(perplexity_document(p, d)) > 300);
    perplexity_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perplexity__splits_documents),
        cmocka_unit_test(perplexity__windows_cover_each_token_once),
        cmocka_unit_test(perplexity__equals_a_direct_sum),
        cmocka_unit_test(perplexity__windows_fit_the_context),
        cmocka_unit_test(perplexity__comparison_follows_the_margin),
        cmocka_unit_test(perplexity__comparison_keeps_its_level),
        cmocka_unit_test(perplexity__held_out_text_is_there),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

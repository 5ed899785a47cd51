/* Datasets in memory: exactly the tokens given, copied, as pairs or by their rewards; what cannot teach is refused by number. Prompts given
 * as text are the tokens they stand for. */
#include "test.h"
#include <math.h>
#include <stdlib.h>

typedef struct fixture {
    agon_ctx *ctx;
    agon_tokenizer *t;
    int32_t prompt[2], good[3], bad[2];
    agon_completion chosen, rejected, none;
    agon_pair pair;
} fixture;

static int setup(void **state) {
    char path[2048];
    fixture *f = calloc(1, sizeof *f);
    *f = (fixture){.ctx = test_ctx(1, NULL), .prompt = {10, 11}, .good = {20, 21, 22}, .bad = {20, 23}};
    golden_path(path, "tiny-text.gguf");
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, path, NULL, &f->t));
    f->chosen = (agon_completion){.tokens = f->good, .n_tokens = 3};
    f->rejected = (agon_completion){.tokens = f->bad, .n_tokens = 2};
    f->pair = (agon_pair){f->prompt, 2, &f->chosen, &f->rejected};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_tokenizer_free(f->t);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static void pairs__are_the_tokens_given(void **state) {
    fixture *f = *state;
    const agon_pair pairs[2] = {f->pair, {f->prompt, 1, &f->rejected, &f->chosen}};
    agon_dataset *d = NULL;
    char *text = NULL;
    assert_ok(f->ctx, agon_dataset_from_pairs(f->ctx, f->t, pairs, 2, "dpo", &d));
    assert_int_equal(agon_dataset_n_rows(d), 2);
    assert_int_equal(agon_dataset_n_tokens(d), 7 + 6);
    f->good[0] = f->prompt[0] = 0; /* copied */
    assert_ok(f->ctx, agon_dataset_preview(f->ctx, d, 0, true, &text));
    assert_non_null(strstr(text, "\"prompt\":[10,11]"));
    assert_non_null(strstr(text, "\"tokens\":[20,21,22],\"mask\":[1.0,1.0,1.0]"));
    assert_true(strstr(text, "\"tokens\":[20,21,22]") < strstr(text, "\"tokens\":[20,23]"));
    agon_text_free(text);
    agon_dataset_free(d);
}

/* The report and the table for people read rows without a mask, too. */
static void pairs__can_be_looked_at(void **state) {
    fixture *f = *state;
    agon_dataset *d = NULL;
    char *text = NULL;
    assert_ok(f->ctx, agon_dataset_from_pairs(f->ctx, f->t, &f->pair, 1, "dpo", &d));
    assert_ok(f->ctx, agon_dataset_report(f->ctx, d, &text));
    assert_non_null(strstr(text, "\"supervised_tokens\":5"));
    agon_text_free(text);
    assert_ok(f->ctx, agon_dataset_preview(f->ctx, d, 0, false, &text));
    assert_non_null(strstr(text, "row 1, response 2: 2 tokens, 2 supervised"));
    agon_text_free(text);
    agon_dataset_free(d);
}

static void refused(fixture *f, const agon_pair *pairs, size_t n, const char *objective, agon_status want, const char *words) {
    agon_dataset *d = NULL;
    assert_int_equal(agon_dataset_from_pairs(f->ctx, f->t, pairs, n, objective, &d), want);
    assert_null(d);
    assert_non_null(strstr(agon_error(f->ctx), words));
}

static void pairs__that_cannot_teach_are_refused(void **state) {
    fixture *f = *state;
    agon_pair equal[2] = {f->pair, f->pair}, empty = f->pair;
    equal[1].rejected = &f->chosen;
    empty.rejected = &f->none;
    refused(f, equal, 2, "dpo", AGON_EINVAL, "pair 2: chosen and rejected are the same");
    refused(f, &empty, 1, "dpo", AGON_EINVAL, "pair 1: rejected is empty");
    refused(f, &f->pair, 0, "dpo", AGON_EINVAL, "no pairs");
    refused(f, &f->pair, 1, "sft", AGON_EINVAL, "sft does not learn from pairs alone");
    refused(f, &f->pair, 1, "dpo-soft", AGON_EINVAL, "dpo-soft does not learn from pairs alone");
    refused(f, &f->pair, 1, "dppo", AGON_ENOTFOUND, "dpo");
}

/* ---- samples -------------------------------------------------------------------------------------------- */

enum { N = 3, K = 3 };

/* Three prompts of three answers each, tokens 10 * prompt + answer; the third prompt's are all worth the same. */
typedef struct sampled {
    int32_t prompts[N], tokens[N * K][2];
    float log_probs[N * K][2];
    agon_generate_request requests[N];
    agon_completion answers[N * K];
    double rewards[N * K];
} sampled;

static void new_sampled(sampled *x) {
    static const double rewards[N * K] = {0.2, 0.9, 0.1, 1, 0, 0.5, 0.5, 0.5, 0.5};
    for (int i = 0; i < N; i++) {
        x->prompts[i] = 40 + i;
        x->requests[i] = (agon_generate_request){.prompt = &x->prompts[i], .n_prompt = 1, .n_samples = K};
    }
    for (int i = 0; i < N * K; i++) {
        x->tokens[i][0] = x->tokens[i][1] = 10 * (i / K) + i % K;
        x->log_probs[i][0] = x->log_probs[i][1] = -1;
        x->answers[i] = (agon_completion){.tokens = x->tokens[i], .log_probs = x->log_probs[i], .n_tokens = 2};
        x->rewards[i] = rewards[i];
    }
}

static agon_dataset *dataset_of(fixture *f, const sampled *x, const char *objective, size_t n_rows, size_t n_tokens) {
    agon_dataset *d = NULL;
    assert_ok(f->ctx, agon_dataset_from_samples(f->ctx, f->t, x->requests, N, x->answers, x->rewards, objective, &d));
    assert_int_equal(agon_dataset_n_rows(d), n_rows);
    assert_int_equal(agon_dataset_n_tokens(d), n_tokens);
    return d;
}

static void row_is(fixture *f, const agon_dataset *d, size_t row, const char *prompt, const char *first, const char *second) {
    char *text = NULL;
    assert_ok(f->ctx, agon_dataset_preview(f->ctx, d, row, true, &text));
    const char *at[3] = {strstr(text, prompt), strstr(text, first), strstr(text, second)};
    if (!at[0] || !at[1] || !at[2] || !(at[0] < at[1] && at[1] < at[2]))
        fail_msg("no %s, then %s, then %s in %s", prompt, first, second, text);
    agon_text_free(text);
}

static void samples__become_the_rows_an_objective_takes(void **state) {
    fixture *f = *state;
    sampled x;
    new_sampled(&x);
    agon_dataset *d = dataset_of(f, &x, "dpo", 2, 2 * (1 + 4));
    row_is(f, d, 0, "\"prompt\":[40]", "\"tokens\":[1,1]", "\"tokens\":[2,2]");
    row_is(f, d, 1, "\"prompt\":[41]", "\"tokens\":[10,10]", "\"tokens\":[11,11]");
    agon_dataset_free(d);
    d = dataset_of(f, &x, "grpo", N, N * (1 + 2 * K));
    row_is(f, d, 2, "\"prompt\":[42]", "\"tokens\":[20,20]", "\"tokens\":[22,22]");
    agon_dataset_free(d);
    d = dataset_of(f, &x, "ppo", N * K, N * K * 3);
    row_is(f, d, 4, "\"prompt\":[41]", "\"tokens\":[11,11]", "\"mask\"");
    agon_dataset_free(d);
    d = dataset_of(f, &x, "kto", N * K, N * K * 3);
    char *text = NULL;
    for (size_t i = 0; i < 2; i++) { /* 0.2 is below a half, 0.9 above */
        assert_ok(f->ctx, agon_dataset_preview(f->ctx, d, i, false, &text));
        assert_non_null(strstr(text, i ? "label 1" : "label 0"));
        agon_text_free(text);
    }
    agon_dataset_free(d);
}

static void samples__that_cannot_teach_are_refused(void **state) {
    fixture *f = *state;
    agon_dataset *d = NULL;
    for (int i = 0; i < 9; i++) {
        static const struct {
            const char *objective, *words;
        } cases[] = {{"dpo", "request 2, sample 3: the reward is nan; it must be from -1e+06 to 1e+06"}, {"grpo", "request 1, sample 2: the answer is empty"},
                     {"dpo", "request 3 has fewer than two samples"}, {"dpo", "the answers to each prompt are worth the same"},
                     {"sft", "sft does not learn from samples"}, {"bt", "bt does not learn from samples"},
                     {"dppo", "did you mean dpo"},
                     {"kto", "request 2, sample 3: the reward is -1e+200; it must be from -1e+06"},
                     {"choices", "choices does not learn from samples"}};
        sampled x;
        new_sampled(&x);
        x.rewards[5] = i == 0 ? NAN : i == 7 ? -1e200 : x.rewards[5];
        x.answers[1].n_tokens = i == 1 ? 0 : 2;
        x.requests[2].n_samples = i == 2 ? 1 : K;
        for (int k = 0; i == 3 && k < N * K; k++)
            x.rewards[k] = 1;
        assert_int_equal(agon_dataset_from_samples(f->ctx, f->t, x.requests, N, x.answers, x.rewards, cases[i].objective, &d),
                         i == 6 ? AGON_ENOTFOUND : AGON_EINVAL);
        if (!strstr(agon_error(f->ctx), cases[i].words))
            fail_msg("'%s' does not say '%s'", agon_error(f->ctx), cases[i].words);
        assert_null(d);
    }
}

/* ---- prompts as text -------------------------------------------------------------------------------------- */

static agon_model *open_tiny(fixture *f) {
    char path[2048];
    agon_model *m = NULL;
    golden_path(path, "tiny-text.gguf");
    assert_ok(f->ctx, agon_model_open(f->ctx, path, NULL, &m));
    return m;
}

static void prompts__as_text_are_their_tokens(void **state) {
    fixture *f = *state;
    agon_model *m = open_tiny(f);
    const agon_message message = {"user", "one two"};
    agon_adapter *base = (agon_adapter *)f;
    assert_ok(f->ctx, agon_adapter_open(f->ctx, m, NULL, &base));
    assert_null(base);
    for (int chat = 0; chat < 2; chat++) {
        agon_sampling how = agon_sampling_default();
        int32_t *ids = NULL;
        size_t n = 0;
        how.max_tokens = 6;
        assert_ok(f->ctx, chat ? agon_chat_tokenize(f->ctx, f->t, &message, 1, true, &ids, &n, NULL)
                               : agon_tokenize(f->ctx, f->t, "one two", 7, true, true, &ids, &n));
        const agon_generate_request requests[2] = {{.prompt = ids, .n_prompt = n, .n_samples = 2, .seed = 5, .sampling = &how},
                                                   chat ? agon_chat_request("one two", 2, 5, NULL, &how)
                                                        : (agon_generate_request){.text = "one two", .n_samples = 2, .seed = 5,
                                                                                  .sampling = &how}};
        agon_completion out[4];
        agon_dataset *d = NULL;
        assert_ok(f->ctx, agon_generate(f->ctx, m, requests, 2, NULL, out));
        for (int k = 0; k < 2; k++) {
            assert_int_equal(out[k].n_tokens, out[2 + k].n_tokens);
            assert_memory_equal(out[k].tokens, out[2 + k].tokens, out[k].n_tokens * sizeof(int32_t));
            assert_memory_equal(out[k].log_probs, out[2 + k].log_probs, out[k].n_tokens * sizeof(float));
        }
        const double rewards[4] = {0, 1, 1, 0};
        assert_ok(f->ctx, agon_dataset_from_samples(f->ctx, f->t, requests, 2, out, rewards, "grpo", &d));
        assert_int_equal(agon_dataset_n_tokens(d), 2 * n + 2 * (out[0].n_tokens + out[1].n_tokens));
        agon_dataset_free(d);
        agon_completions_free(out, 4);
        assert_null(out[3].tokens);
        agon_tokens_free(ids);
    }
    const agon_generate_request neither[2] = {{.text = "x"}, {.n_samples = 1}};
    agon_completion out[1];
    assert_int_equal(agon_generate(f->ctx, m, neither, 2, NULL, out), AGON_EINVAL);
    assert_string_equal(agon_error(f->ctx), "request 2: the prompt is empty; give at least one token");
    agon_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs__can_be_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(samples__become_the_rows_an_objective_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(samples__that_cannot_teach_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(prompts__as_text_are_their_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs__are_the_tokens_given, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs__that_cannot_teach_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

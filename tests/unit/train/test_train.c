/* The trainer on a model of two layers learns what the rows say: losses from where they must begin to where they must end. */
#include "random_rows.h"

/* The vocabulary that noise draws from is the model's, unless another is said. */
static void token_forward__takes_the_models_vocabulary(void **state) {
    agon_ctx *ctx = *state;
    static const char *const said[] = {"vocabulary=0", "vocabulary=61", "vocabulary=49152"};
    double losses[3];
    for (size_t i = 0; i < 3; i++) {
        test_data d;
        new_data(&d, 1, N_PROMPT);
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = new_adapter(ctx, m);
        train_options o = options_for("token-forward");
        assert_ok(ctx, objective_set(ctx, o.objective, said[i], o.objective_options));
        o.max_steps = 1;
        record r = {0};
        const train_sink sink = {.on_step = record_step, .arg = &r};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        losses[i] = r.loss;
        adapter_free(a);
        model_free(m);
    }
    assert_true(losses[0] == losses[1] && losses[0] != losses[2]);
}

/* The vocabulary's mean log_prob reaches the weights: a smoothed target's cross-entropy falls to its entropy. */
static void sft__smoothed_targets_are_learnt(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    train_options o = options_for("sft");
    o.batch_rows = 8, o.max_steps = 400, o.lr = 1e-2f, o.schedule = SCHEDULE_LINEAR;
    assert_ok(ctx, objective_set(ctx, o.objective, "label_smoothing=0.3", o.objective_options));
    record r = {0};
    train_sink sink = {.on_step = record_step, .arg = &r};
    assert_ok(ctx, train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
    double other = 0.3 / N_VOCABULARY, own = 0.7 + other;
    double entropy = -own * log(own) - (N_VOCABULARY - 1) * other * log(other);
    if (!(r.loss > entropy && r.loss < entropy + 0.1))
        fail_msg("loss %g, entropy of the target %g", r.loss, entropy);
    model_free(m);
}

/* Uniformly random tokens cannot be foretold: the loss begins near ln V and stays there on rows not seen before. It would fall if a token's
 * own value leaked into what predicts it. */
static void sft__random_tokens_stay_at_ln_v(void **state) {
    agon_ctx *ctx = *state;
    enum { ROWS = 400, TOKENS = 12 };
    static int32_t tokens[ROWS][TOKENS];
    static train_response responses[ROWS];
    static train_row rows[ROWS];
    rng r = rng_new(5);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < TOKENS; j++)
            tokens[i][j] = (int32_t)rng_below(&r, N_VOCABULARY);
        responses[i] = (train_response){.tokens = tokens[i] + 2, .n = TOKENS - 2, .reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
        rows[i] = (train_row){.prompt = tokens[i], .n_prompt = 2, .responses = &responses[i], .n_responses = 1, .weight = 1};
    }
    const model_init init = {.config = tiny_config(), .seed = 3};
    model *m = NULL;
    assert_ok(ctx, model_random(ctx, &init, COMPUTE_F32, &m));
    train_options o = options_for("sft");
    o.batch_rows = 40;
    o.max_steps = 10; /* one epoch */
    record seen = {0};
    train_recorded(ctx, m, NULL, NULL, rows, ROWS, &o, NULL, &seen);
    const double ln_v = log(N_VOCABULARY);
    if (!(fabs(seen.first_loss - ln_v) < 0.2)) /* logits of so narrow a model vary by half a nat */
        fail_msg("the first loss is %g, ln V %g", seen.first_loss, ln_v);
    if (!(seen.loss > ln_v - 0.05 && seen.loss < ln_v + 0.15))
        fail_msg("the last loss is %g, ln V %g", seen.loss, ln_v);
    free(seen.state);
    model_free(m);
}

static void dpo__starts_at_log_two(void **state) {
    (void)state;
    test_data d;
    const setting s = {"dpo", 2, N_PROMPT, true, COMPUTE_BF16, 1, NULL}, full = {"dpo", 2, N_PROMPT, false, COMPUTE_F32, 1, NULL};
    new_data(&d, 2, N_PROMPT);
    record r = run(&s, &d, NULL, 0), f = run(&full, &d, NULL, 0);
    assert_true(fabs(r.first_loss - M_LN2) < 1e-15);
    assert_true(fabs(f.first_loss - M_LN2) < 1e-15);
    assert_true(r.loss < 0.6);
    free(r.state), free(f.state);
}

/* Eight examples by heart, below 0.01 nat a token. */
static void sft__overfits_eight_examples(void **state) {
    agon_ctx *ctx = *state;
    for (int lora = 0; lora < 2; lora++) {
        test_data d;
        new_data(&d, 1, N_PROMPT);
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = lora ? new_adapter(ctx, m) : NULL;
        train_options o = options_for("sft");
        o.batch_rows = 8, o.max_steps = 400, o.lr = 1e-2f, o.schedule = SCHEDULE_LINEAR;
        record r = {0};
        train_sink sink = {.on_step = record_step, .arg = &r};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        if (!(r.loss < 0.01))
            fail_msg("loss %g after training %s", r.loss, lora ? "an adapter" : "all weights");
        adapter_free(a);
        model_free(m);
    }
}

/* A step's gradient does not depend on how rows are spread over trees: two groups of two are four singles, with a prompt in common or none. */
static void sft__groups_equal_singles(void **state) {
    agon_ctx *ctx = *state;
    for (size_t n_prompt = 0; n_prompt <= N_PROMPT; n_prompt += N_PROMPT) {
        test_data d;
        new_data(&d, 2, n_prompt);
        d.responses[0][0].n = d.responses[0][1].n = 2; /* and the other row's longer: a token counts the same in both */
        d.responses[1][0].n = d.responses[1][1].n = N_RESPONSE;
        train_row singles[4];
        for (size_t i = 0; i < 4; i++) {
            singles[i] = d.rows[i / 2];
            singles[i].n_responses = 1;
            singles[i].responses = &d.responses[i / 2][i % 2];
        }
        record r[2] = {{0}, {0}};
        for (int i = 0; i < 2; i++) {
            model *m = new_model(ctx, COMPUTE_F32);
            adapter *a = new_adapter(ctx, m);
            train_options o = options_for("sft");
            o.batch_rows = 4, o.max_steps = 2;
            train_sink sink = {.on_step = record_step, .arg = &r[i]};
            assert_ok(ctx, train(ctx, m, a, NULL, NULL, i ? singles : d.rows, i ? 4 : 2, &o, &sink, NULL));
            adapter_free(a);
            model_free(m);
        }
        assert_close(r[0].first_loss, r[1].first_loss, 1e-12);
        assert_close(r[0].loss, r[1].loss, 1e-5);
    }
}

/* A token of weight 0 is context, as if it belonged to the prompt; any other weight counts as much as it says. */
static void train__masked_tokens_are_context(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    int32_t prompt[N_PROMPT + 2];
    const float mask[N_RESPONSE] = {0, 0, 1, 1, 0.5f, 0}, rest[N_RESPONSE] = {1, 1, 0.5f, 0};
    memcpy(prompt, d.prompts[0], sizeof d.prompts[0]);
    memcpy(prompt + N_PROMPT, d.tokens[0][0], 2 * sizeof *prompt);
    d.responses[0][0].n = N_RESPONSE, d.responses[0][0].mask = mask;
    d.responses[1][0] = d.responses[0][0];
    d.responses[1][0].tokens += 2, d.responses[1][0].n -= 2, d.responses[1][0].mask = rest;
    d.rows[1].prompt = prompt, d.rows[1].n_prompt = N_PROMPT + 2;
    record r[3] = {{0}, {0}, {0}};
    for (int i = 0; i < 3; i++) { /* masked; the same tokens in the prompt; without a mask */
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = new_adapter(ctx, m);
        train_options o = options_for("sft");
        o.batch_rows = 1, o.max_steps = 2;
        train_sink sink = {.on_step = record_step, .arg = &r[i]};
        d.responses[0][0].mask = i < 2 ? mask : NULL;
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, &d.rows[i % 2], 1, &o, &sink, NULL));
        adapter_free(a);
        model_free(m);
    }
    assert_close(r[0].first_loss, r[1].first_loss, 1e-12);
    assert_close(r[0].loss, r[1].loss, 1e-5);
    assert_true(fabs(r[0].first_loss - r[2].first_loss) > 1e-3);
}

static void grpo__raises_the_rewarded(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, K, N_PROMPT);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t k = 0; k < K; k++)
            d.responses[i][k].reward = k == 0;
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("grpo");
    workspace *w = NULL;
    float before[N_PROMPT + N_RESPONSE], after[N_PROMPT + N_RESPONSE];
    double rise = 0;
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    for (int trained = 0; trained < 2; trained++) {
        segment s[2] = {{.tokens = d.prompts[0], .n_tokens = N_PROMPT, .parent = -1, .adapter = a},
                        {.tokens = d.tokens[0][0], .n_tokens = d.responses[0][0].n, .parent = 0, .wants = WANT_LOG_PROB}};
        token_channels c = {.log_prob = trained ? after : before};
        assert_ok(ctx, model_forward(ctx, m, w, &(segment_batch){s, 2}, &c));
        if (!trained)
            assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    }
    for (size_t j = 0; j < d.responses[0][0].n; j++)
        rise += after[N_PROMPT + j] - before[N_PROMPT + j];
    assert_true(rise > 0.5);
    workspace_free(w);
    adapter_free(a);
    model_free(m);
}

/* Tokens of a step of all eight rows. */
static agon_status count_step(void *arg, const train_progress *p) {
    *(size_t *)arg = p->tokens;
    return AGON_OK;
}

/* A long prompt beside a long answer: each fits with its own other half and not with each other. The answer is cut, whatever the seed. */
static void kto__mismatched_pairs_fit_the_context(void **state) {
    agon_ctx *ctx = *state;
    enum { CONTEXT = 9, SHORT = 3 };
    test_data d;
    int32_t long_prompt[CONTEXT - 1] = {1, 2, 3, 4, 5, 6, 7, 8};
    model_config c = tiny_config();
    model *m = NULL;
    c.max_context = CONTEXT;
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, COMPUTE_F32, &m));
    new_data(&d, 1, SHORT);
    for (size_t i = 0; i < N_ROWS; i++)
        d.responses[i][0].n = CONTEXT - SHORT;
    d.rows[2].prompt = long_prompt, d.rows[2].n_prompt = CONTEXT - 1, d.responses[2][0].n = 1; /* nothing but one token fits there */
    for (uint64_t seed = 0; seed < 5; seed++) {
        size_t tokens = 0;
        const train_sink sink = {.on_step = count_step, .arg = &tokens};
        adapter *a = new_adapter(ctx, m);
        train_options o = options_for("kto");
        o.batch_rows = N_ROWS, o.max_steps = 2, o.seed = seed;
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        assert_int_equal(tokens, N_ROWS * CONTEXT + (N_ROWS - 1) * CONTEXT + SHORT + 1); /* own pairs, mismatched ones, one of them short */
        adapter_free(a);
    }
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_forward__takes_the_models_vocabulary),
        cmocka_unit_test(sft__smoothed_targets_are_learnt),
        cmocka_unit_test(sft__random_tokens_stay_at_ln_v),
        cmocka_unit_test(dpo__starts_at_log_two),
        cmocka_unit_test(sft__overfits_eight_examples),
        cmocka_unit_test(sft__groups_equal_singles),
        cmocka_unit_test(train__masked_tokens_are_context),
        cmocka_unit_test(grpo__raises_the_rewarded),
        cmocka_unit_test(kto__mismatched_pairs_fit_the_context),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

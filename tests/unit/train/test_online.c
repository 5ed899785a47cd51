/* Online training: with every kind of row the policy moves to what is rewarded, and a run cut anywhere ends at the same bits. */
#include "train/online.h"
#include "base/available.h"
#include "trainer.h"

enum { N_PROMPTS = 8, N_SAMPLES = 4, N_TOKENS = 5, N_PROMPT = 4, LIKED = 20 };

typedef struct world {
    int32_t tokens[N_PROMPTS][N_PROMPT], demonstration[N_TOKENS];
    double first, last, kl, beta;
    record left; /* after the last whole round */
    double bad; /* not 0: the reward of every sample */
    double first_span, last_span;
    bool flat; /* all rewards are `level` */
    double level;
    size_t n_rows; /* of the first round */
    agon_status expected; /* a failure that the test asks for */
} world;

static agon_status prompts(void *arg, size_t round, online_prompt *out) {
    world *w = arg;
    rng r = rng_new(round);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        for (size_t j = 0; j < N_PROMPT; j++)
            w->tokens[i][j] = (int32_t)rng_below(&r, 61);
        out[i] = (online_prompt){w->tokens[i], N_PROMPT, w->demonstration, N_TOKENS};
    }
    for (size_t j = 0; j < N_TOKENS; j++)
        w->demonstration[j] = (int32_t)rng_below(&r, LIKED);
    return AGON_OK;
}

/* The share of tokens below LIKED: a third of the vocabulary. */
static agon_status rewards(void *arg, size_t round, const online_prompt *p, const completion *samples, double *out) {
    const world *w = arg;
    (void)round, (void)p;
    for (size_t i = 0; i < N_PROMPTS * N_SAMPLES; i++) {
        out[i] = w->flat ? w->level : w->bad;
        for (size_t j = 0; j < samples[i].n_tokens && w->bad == 0 && !w->flat; j++)
            out[i] += samples[i].tokens[j] < LIKED ? 1.0 / N_TOKENS : 0;
    }
    return AGON_OK;
}

/* Each token that is not liked loses a part. */
static agon_status token_rewards(void *arg, size_t i, const completion *sample, double *out) {
    (void)arg, (void)i;
    for (size_t j = 0; j < sample->n_tokens; j++)
        out[j] = sample->tokens[j] < LIKED ? 0 : -1.0 / N_TOKENS;
    return AGON_OK;
}

static agon_status on_round(void *arg, const online_report *r) {
    world *w = arg;
    if (r->round == 1)
        w->first = r->reward, w->first_span = r->span_reward, w->n_rows = r->n_rows;
    w->last = r->reward;
    w->last_span = r->span_reward;
    w->kl = r->kl;
    w->beta = r->beta;
    if (r->round == 1)
        assert_close(r->kl, 0, 1e-12); /* sampler and trainer agree to the last bit: the policy is its reference */
    return r->round == w->left.stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

static agon_status on_state(void *arg, const online_report *r, const void *data, size_t n) {
    record_state(&((world *)arg)->left, r->round, data, n);
    return AGON_OK;
}

static online_options options_for(const char *name, size_t n_rounds) {
    online_options o = {.train = trainer_options(name), .n_rounds = n_rounds, .n_prompts = N_PROMPTS, .n_samples = N_SAMPLES,
                        .max_tokens = N_TOKENS};
    o.rso_beta = 0.5;
    o.train.batch_rows = 8;
    o.train.epochs = 2;
    o.train.lr = 1e-2f;
    o.train.schedule = SCHEDULE_CONSTANT;
    o.train.warmup = 0;
    o.train.seed = 3;
    return o;
}

static policy new_policy(void) {
    return policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 2});
}

static agon_status run(const online_options *o, world *w, const world *from) {
    policy p = new_policy();
    const online_sink sink = {prompts, rewards, on_round, NULL, on_state, w, token_rewards};
    agon_status s = online_train(p.ctx, p.m, p.a, NULL, o, &sink, from ? from->left.state : NULL, from ? from->left.n : 0);
    if (s && s != w->expected && s != AGON_EINTERRUPTED && w->bad == 0 && !from)
        fail_msg("%s: %s", o->train.objective->name, agon_error(p.ctx));
    if (w->bad != 0)
        assert_non_null(strstr(agon_error(p.ctx), "round 1, prompt 0, sample 0"));
    policy_free(&p);
    return s;
}

static const char *const names[] = {"grpo", "gspo", "rloo", "reinforce++", "ppo", "dpo", "exo-rw", "kto", "spin", "ipo",
                                    "rso-sigmoid", "rso-hinge"};

static void online__every_kind_of_row_learns(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        online_options o = options_for(names[i], 14);
        agon_ctx *ctx = test_ctx(1, NULL);
        if (strcmp(names[i], "gspo") == 0) { /* its usual clip is for thousands of steps */
            assert_ok(ctx, objective_set(ctx, o.train.objective, "clip=0.2", o.train.objective_options));
            assert_ok(ctx, objective_set(ctx, o.train.objective, "clip_high=0.2", o.train.objective_options));
        }
        if (strcmp(names[i], "exo-rw") == 0) /* rewards of this spread are small beside its usual temperature */
            assert_ok(ctx, objective_set(ctx, o.train.objective, "reward_beta=0.05", o.train.objective_options));
        if (strncmp(names[i], "rso-", 4) == 0) { /* chance pairs teach less than best and worst: both of them, longer, at a margin that holds */
            o.n_accept = N_SAMPLES;
            o.n_rounds = 30;
            assert_ok(ctx, objective_set(ctx, o.train.objective, "beta=0.5", o.train.objective_options));
        }
        agon_ctx_free(ctx);
        world w = {0};
        assert_int_equal(run(&o, &w, NULL), AGON_OK);
        if (!(w.last > w.first + 0.1 && w.kl > 0))
            fail_msg("%s: the reward went from %g to %g, KL %g", names[i], w.first, w.last, w.kl);
        free(w.left.state);
    }
}

static agon_status no_prompts(void *arg, size_t round, online_prompt *out) {
    (void)arg, (void)round, (void)out;
    fail_msg("sampling began");
    return AGON_OK;
}

/* What does not fit is refused before anything is sampled. */
static void online__asks_for_memory_first(void **state) {
    (void)state;
    policy p = new_policy();
    world w = {0};
    online_options o = options_for("grpo", 4);
    const online_sink sink = {no_prompts, rewards, on_round, NULL, on_state, &w, token_rewards};
    o.max_tokens = 1 << 20;
    p.ctx->memory_limit = memory_resident() + ((size_t)64 << 20);
    assert_int_equal(online_train(p.ctx, p.m, p.a, NULL, &o, &sink, NULL, 0), AGON_ENOMEM);
    assert_non_null(strstr(agon_error(p.ctx), "the training of a round"));
    policy_free(&p);
}

static void online__resumes_bit_for_bit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        online_options o = options_for(names[i], 4);
        world whole = {0}, half = {.left.stop_at = 2}, rest = {0};
        if (strcmp(names[i], "ppo") == 0)
            o.kl_target = 0.1, o.kl_horizon = 200;
        assert_int_equal(run(&o, &whole, NULL), AGON_OK);
        assert_int_equal(run(&o, &half, NULL), AGON_EINTERRUPTED);
        assert_int_equal(half.left.step, 2);
        assert_int_equal(run(&o, &rest, &half), AGON_OK);
        assert_resumed(names[i], &whole.left, &half.left, &rest.left);
    }
}

/* Where all samples have one reward, the rewards of spans alone move the policy; where not, they stay within their bound. */
/* Prompts of one token and of as many as leave room for one. */
static agon_status uneven_prompts(void *arg, size_t round, online_prompt *out) {
    agon_status s = prompts(arg, round, out);
    for (size_t i = 0; i < N_PROMPTS; i++)
        out[i].n = i % 2 ? N_PROMPT : 1;
    return s;
}

/* kto: samples fill the context behind their own prompts, and are longer than what fits behind others. */
static void online__mismatched_pairs_fit_the_context(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    c.max_context = N_PROMPT + 1;
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = NULL;
    world w = {0};
    online_options o = options_for("kto", 3);
    const online_sink sink = {uneven_prompts, rewards, on_round, NULL, on_state, &w, token_rewards};
    assert_ok(ctx, adapter_new(ctx, m, &(adapter_options){.rank = 4, .alpha = 8, .seed = 2}, &a));
    assert_ok(ctx, online_train(ctx, m, a, NULL, &o, &sink, NULL, 0));
    assert_int_equal(w.left.step, 3);
    free(w.left.state);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

static void online__rewards_of_spans_are_learnt(void **state) {
    (void)state;
    static const char *const takers[] = {"reinforce++", "ppo"};
    for (size_t i = 0; i < 2; i++) {
        online_options o = options_for(takers[i], 14);
        world w = {.flat = true}, bounded = {0};
        o.span_rewards = true;
        assert_int_equal(run(&o, &w, NULL), AGON_OK);
        if (!(w.last_span > w.first_span + 0.1))
            fail_msg("%s: the spans' rewards went from %g to %g", takers[i], w.first_span, w.last_span);
        o.n_rounds = 1;
        assert_int_equal(run(&o, &bounded, NULL), AGON_OK);
        assert_true(bounded.first_span < 0 && bounded.first_span > w.first_span); /* 0.5 * std * sqrt(5) is below most of the sums */
        world level = {.flat = true, .level = 0.7}; /* whose mean of squares is not the square of the mean */
        assert_int_equal(run(&o, &level, NULL), AGON_OK);
        assert_close(level.first_span, w.first_span, 0);
        free(w.left.state), free(bounded.left.state), free(level.left.state);
    }
    online_options o = options_for("grpo", 1);
    world w = {.bad = 0};
    policy p = new_policy();
    const online_sink sink = {prompts, rewards, on_round, NULL, on_state, &w, token_rewards};
    o.span_rewards = true;
    assert_int_equal(online_train(p.ctx, p.m, p.a, NULL, &o, &sink, NULL, 0), AGON_EINVAL);
    assert_non_null(strstr(agon_error(p.ctx), "reinforce++ take rewards of spans"));
    policy_free(&p);
}

/* What rejection sampling accepts decides what is learnt: how many pairs, and at which temperature. */
static void online__rejection_sampling_picks_the_pairs(void **state) {
    (void)state;
    online_options o = options_for("rso-sigmoid", 1), four = o, cold = o, plain = options_for("dpo", 1), asked = plain;
    four.n_accept = 4;
    cold.rso_beta = 0;
    asked.n_accept = 4;
    world w[5] = {{.left.stop_at = 0}};
    const online_options *all[5] = {&o, &four, &cold, &plain, &asked};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(run(all[i], &w[i], NULL), AGON_OK);
    assert_true(w[0].n_rows <= N_PROMPTS && w[1].n_rows > N_PROMPTS && w[1].n_rows <= 2 * N_PROMPTS);
    assert_true(w[3].n_rows <= N_PROMPTS && w[4].n_rows > N_PROMPTS);
    assert_int_equal(w[0].left.n, w[2].left.n);
    enum { BEHIND_IDENTITY = 80 }; /* the options' hash differs in any case */
    assert_memory_not_equal(w[0].left.state + BEHIND_IDENTITY, w[2].left.state + BEHIND_IDENTITY, w[0].left.n - BEHIND_IDENTITY - 32);
    for (size_t i = 0; i < 5; i++)
        free(w[i].left.state);
    for (size_t i = 0; i < 3; i++) {
        online_options bad = i == 0 ? options_for("grpo", 1) : o;
        bad.n_accept = i == 0 ? 2 : i == 1 ? 1 : 2;
        bad.rso_beta = i == 2 ? -1 : 0.5;
        world refused = {.expected = AGON_EINVAL};
        assert_int_equal(run(&bad, &refused, NULL), AGON_EINVAL);
    }
}

/* A demonstration stands above exactly the samples that fail, and is learnt from; spin by itself takes one sample, right or wrong. */
static void online__demonstrations_above_what_fails(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        online_options o = options_for(i ? "spin" : "dpo", 14);
        world w = {0};
        o.demonstrations = true;
        o.pass_reward = 0.5;
        assert_int_equal(run(&o, &w, NULL), AGON_OK);
        assert_true(w.n_rows > N_PROMPTS && w.n_rows < N_PROMPTS * N_SAMPLES); /* a third of random tokens is liked */
        assert_true(w.last > w.first + 0.1);
        free(w.left.state);
    }
    online_options none = options_for("dpo", 1), bad = none, group = options_for("grpo", 1);
    world w = {0}, refused = {.expected = AGON_EINVAL};
    none.demonstrations = bad.demonstrations = group.demonstrations = true;
    none.pass_reward = 0; /* no sample is under it, also of those that did not end */
    none.no_end_penalty = 1;
    bad.n_accept = 2;
    assert_int_equal(run(&none, &w, NULL), AGON_OK);
    assert_int_equal(w.n_rows, 0);
    assert_int_equal(run(&bad, &refused, NULL), AGON_EINVAL);
    assert_int_equal(run(&group, &refused, NULL), AGON_EINVAL);
    free(w.left.state);
}

/* beta grows by a fifth of episodes/horizon while the KL is above the target, and shrinks while it is below. */
static void online__beta_follows_the_kl(void **state) {
    (void)state;
    online_options o = options_for("ppo", 1);
    world w = {0};
    o.kl_target = 1;
    o.kl_horizon = 320;
    double before = o.train.objective_options[0];
    assert_int_equal(run(&o, &w, NULL), AGON_OK);
    assert_close(w.beta, before * (1 - 0.2 * N_PROMPTS * N_SAMPLES / 320), 1e-12);
    free(w.left.state);
    /* A horizon below a round's episodes: four rounds under their target, and the reference is still read. */
    static const char *const tied[] = {"rloo", "dpo", "ppo"};
    for (size_t i = 0; i < sizeof tied / sizeof *tied; i++) {
        world short_horizon = {0};
        o = options_for(tied[i], 4);
        o.kl_target = 1e3;
        o.kl_horizon = 1;
        if (o.train.objective_options[0] == 0)
            o.train.objective_options[0] = 0.05;
        before = o.train.objective_options[0];
        assert_int_equal(run(&o, &short_horizon, NULL), AGON_OK);
        assert_close(short_horizon.beta, before * 0.8 * 0.8 * 0.8 * 0.8, 1e-12);
        free(short_horizon.left.state);
    }
}

static void online__refuses_what_it_cannot_run(void **state) {
    (void)state;
    world w = {0};
    policy p = new_policy();
    const online_sink sink = {prompts, rewards, on_round, NULL, on_state, &w, token_rewards};
    static const char *const refused[] = {"sft", "bt", "prm", "classify", "modpo"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        online_options o = options_for(refused[i], 1);
        assert_int_equal(online_train(p.ctx, p.m, p.a, NULL, &o, &sink, NULL, 0), AGON_EINVAL);
    }
    online_options o = options_for("grpo", 1);
    o.n_samples = 1;
    assert_int_equal(online_train(p.ctx, p.m, p.a, NULL, &o, &sink, NULL, 0), AGON_EINVAL);
    o = options_for("reinforce++", 1); /* plain, it compares nothing; with its group baseline it does */
    o.n_samples = 1;
    assert_ok(p.ctx, online_check(p.ctx, p.m, p.a, &o));
    assert_ok(p.ctx, objective_set(p.ctx, o.train.objective, "baseline=1", o.train.objective_options));
    assert_int_equal(online_check(p.ctx, p.m, p.a, &o), AGON_EINVAL);
    o = options_for("pro", 1);
    o.n_samples = 257;
    assert_int_equal(online_check(p.ctx, p.m, p.a, &o), AGON_EINVAL);
    assert_non_null(strstr(agon_error(p.ctx), "256 samples"));
    o = options_for("gspo", 1);
    o.kl_horizon = 10, o.kl_target = 1; /* gspo has no beta */
    assert_int_equal(online_train(p.ctx, p.m, p.a, NULL, &o, &sink, NULL, 0), AGON_EINVAL);
    policy_free(&p);
    o = options_for("grpo", 1);
    w.bad = NAN;
    assert_int_equal(run(&o, &w, NULL), AGON_ENUMERIC);
    free(w.left.state);
}

static void online__refuses_foreign_states(void **state) {
    (void)state;
    online_options o = options_for("dpo", 2), other = o;
    world w = {.left.stop_at = 1}, again = {0};
    assert_int_equal(run(&o, &w, NULL), AGON_EINTERRUPTED);
    other.train.lr = 1e-3f;
    assert_int_equal(run(&other, &again, &w), AGON_EMISMATCH);
    other = o;
    other.stop = (const char *const[]){"\n\n"};
    other.n_stop = 1;
    assert_int_equal(run(&other, &again, &w), AGON_EMISMATCH);
    w.left.state[w.left.n / 2] ^= 1;
    assert_int_equal(run(&o, &again, &w), AGON_EFORMAT);
    w.left.n = 50;
    assert_int_equal(run(&o, &again, &w), AGON_EFORMAT);
    free(w.left.state);
}

/* No text goes beyond a stop, and what ends there has ended by itself. */
static agon_status stopped(void *arg, size_t round, const online_prompt *p, const completion *samples, double *out) {
    size_t *n_ended = arg;
    (void)round, (void)p;
    for (size_t i = 0; i < N_PROMPTS * N_SAMPLES; i++) {
        assert_null(strpbrk(samples[i].text, "aeiou"));
        assert_true(samples[i].finish == FINISH_STOP || samples[i].n_tokens == 16);
        *n_ended += samples[i].finish == FINISH_STOP && samples[i].n_tokens < 16;
        out[i] = (double)samples[i].n_tokens;
    }
    return AGON_OK;
}

static agon_status same_prompts(void *arg, size_t round, online_prompt *out) {
    static const int32_t tokens[] = {260, 35};
    (void)arg, (void)round;
    for (size_t i = 0; i < N_PROMPTS; i++)
        out[i] = (online_prompt){.tokens = tokens, .n = 2};
    return AGON_OK;
}

static void online__samples_end_at_stops(void **state) {
    (void)state;
    char path[2048];
    agon_ctx *ctx = test_ctx(1, NULL);
    model *m = NULL;
    adapter *a = NULL;
    size_t n_ended = 0;
    online_options o = options_for("grpo", 1);
    const online_sink sink = {.prompts = same_prompts, .rewards = stopped, .arg = &n_ended};
    o.max_tokens = 16;
    o.stop = (const char *const[]){"a", "e", "i", "o", "u"};
    o.n_stop = 5;
    assert_ok(ctx, model_open(ctx, golden_path(path, "tiny-text.gguf"), COMPUTE_F32, &m));
    assert_ok(ctx, adapter_new(ctx, m, &(adapter_options){.rank = 2, .alpha = 4, .seed = 2}, &a));
    assert_ok(ctx, online_train(ctx, m, a, NULL, &o, &sink, NULL, 0));
    assert_true(n_ended > N_PROMPTS * N_SAMPLES / 2);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(online__samples_end_at_stops),
        cmocka_unit_test(online__every_kind_of_row_learns),
        cmocka_unit_test(online__asks_for_memory_first),
        cmocka_unit_test(online__resumes_bit_for_bit),
        cmocka_unit_test(online__mismatched_pairs_fit_the_context),
        cmocka_unit_test(online__rewards_of_spans_are_learnt),
        cmocka_unit_test(online__rejection_sampling_picks_the_pairs),
        cmocka_unit_test(online__demonstrations_above_what_fails),
        cmocka_unit_test(online__beta_follows_the_kl),
        cmocka_unit_test(online__refuses_what_it_cannot_run),
        cmocka_unit_test(online__refuses_foreign_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

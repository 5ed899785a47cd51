/* Generation: log_probs equal the forward's bits, samples do not depend on company or batch size, and the
 * distribution drawn from is the one promised. */
#include "base/available.h"
#include "base/ctx.h"
#include "generate/generate.h"
#include "generate/sample.h"
#include "tiny_model.h"

enum { N_PROMPTS = 3, SAMPLES = 5, LENGTH = 20 };

typedef struct fixture {
    agon_ctx *ctx;
    model *m;
    adapter *a;
    int32_t prompts[N_PROMPTS][40];
    uint64_t seeds[N_PROMPTS][SAMPLES];
    generate_request requests[N_PROMPTS];
} fixture;

/* Kinds of arithmetic that a rollout, scoring and training must agree in. */
static const struct {
    compute_dtype dtype;
    agon_numerics numerics;
} arithmetic[] = {
    {COMPUTE_F32, AGON_NUMERICS_PORTABLE},
    {COMPUTE_BF16, AGON_NUMERICS_PORTABLE},
    {COMPUTE_BF16, AGON_NUMERICS_NATIVE},
    {COMPUTE_BF16, AGON_NUMERICS_PORTABLE_BF16_ATTENTION},
    {COMPUTE_BF16, AGON_NUMERICS_NATIVE_BF16_ATTENTION},
};
enum { N_ARITHMETIC = sizeof arithmetic / sizeof *arithmetic };

static void begin(fixture *f, compute_dtype dtype) {
    static const size_t lengths[N_PROMPTS] = {11, 40, 1};
    model_config c = tiny_config();
    f->ctx = test_ctx(2, NULL);
    f->m = tiny_model(f->ctx, &c, dtype);
    f->a = tiny_adapter(f->ctx, f->m, 3, 9);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        tiny_tokens(f->prompts[i], 40, 30 + i);
        for (size_t j = 0; j < SAMPLES; j++)
            f->seeds[i][j] = 1000 * i + j;
        f->requests[i] = (generate_request){f->prompts[i], lengths[i], SAMPLES, f->seeds[i], i == 1 ? f->a : NULL,
                                            sampling_default()};
        f->requests[i].sampling.max_tokens = LENGTH + i;
    }
    f->requests[0].sampling.temperature = 0.7f;
    f->requests[2].sampling.top_k = 9;
    f->requests[2].sampling.repetition_penalty = 1.3f;
}

static void end(fixture *f) {
    adapter_free(f->a);
    model_free(f->m);
    agon_ctx_free(f->ctx);
}

static void free_all(completion *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        completion_free(&c[i]);
}

static void assert_same(const completion *a, const completion *b) {
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
    assert_memory_equal(a->log_probs, b->log_probs, a->n_tokens * sizeof *a->log_probs);
    assert_int_equal(a->finish, b->finish);
}

static void generate__log_probs_equal_the_forward(void **state) {
    (void)state;
    for (int kind = 0; kind < N_ARITHMETIC; kind++) {
        fixture f;
        completion c[N_PROMPTS * SAMPLES];
        workspace *w = NULL;
        float lp[128];
        begin(&f, arithmetic[kind].dtype);
        f.ctx->numerics = arithmetic[kind].numerics;
        assert_ok(f.ctx, workspace_new(f.ctx, 0, &w));
        assert_ok(f.ctx, generate(f.ctx, f.m, f.requests, N_PROMPTS, NULL, c));
        for (size_t i = 0; i < N_PROMPTS * SAMPLES; i++) {
            const generate_request *q = &f.requests[i / SAMPLES];
            assert_int_equal(c[i].n_tokens, q->sampling.max_tokens);
            assert_int_equal(c[i].finish, FINISH_LENGTH);
            segment s[] = {{q->prompt, q->n_prompt, -1, q->adapter, 0, q->sampling.temperature},
                           {c[i].tokens, c[i].n_tokens, 0, NULL, WANT_LOG_PROB, 0}};
            segment_batch b = {s, 2};
            token_channels out = {.log_prob = lp};
            assert_ok(f.ctx, model_forward(f.ctx, f.m, w, &b, &out));
            assert_memory_equal(lp + q->n_prompt, c[i].log_probs, c[i].n_tokens * sizeof *lp);
        }
        free_all(c, N_PROMPTS * SAMPLES);
        workspace_free(w);
        end(&f);
    }
}

/* What a policy that has moved gets in a rollout, in scoring and in the forward that training keeps for its backward pass: the same
 * bits, or ratio and KL of the first step would not be those of an unchanged policy. */
static void generate__log_probs_equal_the_training_forward(void **state) {
    (void)state;
    enum { N = SAMPLES };
    for (int kind = 0; kind < N_ARITHMETIC; kind++) {
        fixture f;
        completion c[N], base[N];
        workspace *w = NULL;
        float scored[256], trained[256];
        begin(&f, arithmetic[kind].dtype);
        f.ctx->numerics = arithmetic[kind].numerics;
        assert_ok(f.ctx, workspace_new(f.ctx, 0, &w));
        generate_request q = f.requests[1], unmoved = q;
        q.sampling.temperature = unmoved.sampling.temperature = 0.7f;
        unmoved.adapter = NULL;
        assert_ok(f.ctx, generate(f.ctx, f.m, &q, 1, NULL, c));
        assert_ok(f.ctx, generate(f.ctx, f.m, &unmoved, 1, NULL, base));
        assert_memory_not_equal(c[0].log_probs, base[0].log_probs, sizeof *scored); /* the adapter does something */
        segment s[1 + N] = {{q.prompt, q.n_prompt, -1, f.a, 0, 0.7f}};
        for (size_t i = 0; i < N; i++)
            s[1 + i] = (segment){c[i].tokens, c[i].n_tokens, 0, f.a, WANT_LOG_PROB, 0.7f};
        segment_batch tree = {s, 1 + N};
        token_channels score = {.log_prob = scored}, train = {.log_prob = trained};
        assert_ok(f.ctx, model_forward(f.ctx, f.m, w, &tree, &score));
        assert_ok(f.ctx, model_forward_train(f.ctx, f.m, w, &tree, &train));
        for (size_t i = 0, at = q.n_prompt; i < N; at += c[i++].n_tokens) {
            assert_memory_equal(scored + at, c[i].log_probs, c[i].n_tokens * sizeof *scored);
            assert_memory_equal(trained + at, c[i].log_probs, c[i].n_tokens * sizeof *trained);
            /* One answer alone, as a pair's chosen and rejected are trained. */
            segment alone[] = {s[0], s[1 + i]};
            segment_batch one = {alone, 2};
            float again[128];
            token_channels out = {.log_prob = again};
            assert_ok(f.ctx, model_forward_train(f.ctx, f.m, w, &one, &out));
            assert_memory_equal(again + q.n_prompt, c[i].log_probs, c[i].n_tokens * sizeof *again);
        }
        free_all(c, N);
        free_all(base, N);
        workspace_free(w);
        end(&f);
    }
}

static void generate__samples_do_not_depend_on_company(void **state) {
    (void)state;
    fixture f;
    completion all[N_PROMPTS * SAMPLES], other[N_PROMPTS * SAMPLES];
    begin(&f, COMPUTE_BF16);
    assert_ok(f.ctx, generate(f.ctx, f.m, f.requests, N_PROMPTS, NULL, all));
    /* Smaller batches; and a cache with room for hardly more than one sample. */
    const generate_options options[] = {{.max_batch = 1}, {.max_batch = 4}, {.cache_limit_bytes = 80 * kv_cache_row_bytes(f.ctx, f.m)}};
    for (size_t o = 0; o < 3; o++) {
        assert_ok(f.ctx, generate(f.ctx, f.m, f.requests, N_PROMPTS, &options[o], other));
        for (size_t i = 0; i < N_PROMPTS * SAMPLES; i++)
            assert_same(&all[i], &other[i]);
        free_all(other, N_PROMPTS * SAMPLES);
    }
    /* Alone: the fourth sample of the second request. */
    generate_request alone = f.requests[1];
    alone.n_samples = 1;
    alone.seeds += 3;
    assert_ok(f.ctx, generate(f.ctx, f.m, &alone, 1, NULL, other));
    assert_same(&all[SAMPLES + 3], &other[0]);
    free_all(other, 1);
    /* Other seeds are other samples. */
    assert_true(memcmp(all[0].tokens, all[1].tokens, all[0].n_tokens * sizeof(int32_t)) != 0);
    free_all(all, N_PROMPTS * SAMPLES);
    end(&f);
}

/* Samples that are being written at the same time. */
typedef struct crowd {
    bool writing[N_PROMPTS][SAMPLES];
    size_t now, most;
} crowd;

static int crowd_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes) {
    (void)bytes, (void)n_bytes;
    (void)token;
    crowd *c = arg;
    c->now += !c->writing[request][sample];
    c->most = c->now > c->most ? c->now : c->most;
    c->writing[request][sample] = true;
    return 0;
}

static void crowd_done(void *arg, size_t request, size_t sample) {
    (void)request, (void)sample;
    ((crowd *)arg)->now--;
}

/* Where memory is short fewer samples are written at a time, and they are the same. The limit is raised until one fits: what is needed
 * beside the cache is generation's own business. */
static void generate__takes_a_smaller_batch_where_memory_is_short(void **state) {
    (void)state;
    enum { STEP = 8 << 10, MOST = 64 << 20 };
    fixture f;
    completion all[N_PROMPTS * SAMPLES], other[N_PROMPTS * SAMPLES];
    crowd free_run = {0}, limited = {0};
    generate_options options = {.on_token = crowd_token, .on_done = crowd_done, .arg = &free_run};
    begin(&f, COMPUTE_BF16);
    f.ctx->memory_limit = SIZE_MAX;
    assert_ok(f.ctx, generate(f.ctx, f.m, f.requests, N_PROMPTS, &options, all));
    assert_int_equal(free_run.most, N_PROMPTS * SAMPLES);
    options.arg = &limited;
    agon_status s = AGON_ENOMEM;
    size_t refused = 0;
    for (size_t room = STEP; s && room < MOST; room += STEP, refused++) {
        f.ctx->memory_limit = memory_resident() + room;
        s = generate(f.ctx, f.m, f.requests, N_PROMPTS, &options, other);
        assert_true(s == AGON_OK || s == AGON_ENOMEM);
    }
    assert_ok(f.ctx, s);
    assert_true(refused > 1);
    assert_in_range(limited.most, 1, N_PROMPTS * SAMPLES - 1);
    for (size_t i = 0; i < N_PROMPTS * SAMPLES; i++)
        assert_same(&all[i], &other[i]);
    free_all(all, N_PROMPTS * SAMPLES);
    free_all(other, N_PROMPTS * SAMPLES);
    end(&f);
}

typedef struct order {
    bool second_began, first_done, together;
} order;

static int note_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes) {
    (void)bytes, (void)n_bytes;
    (void)sample, (void)token;
    order *o = arg;
    o->second_began |= request == 1;
    return 0;
}

static void note_done(void *arg, size_t request, size_t sample) {
    (void)sample;
    order *o = arg;
    if (request == 0 && !o->first_done)
        o->together = o->second_began;
    o->first_done |= request == 0;
}

/* A cache for one prompt and two answers holds two requests at once when their prompts begin alike; and what they
 * say is what each says alone, also when the third comes after the first has left. */
static void generate__shares_what_prompts_have_in_common(void **state) {
    (void)state;
    fixture f;
    completion all[3], alone;
    begin(&f, COMPUTE_BF16);
    int32_t prompts[3][40];
    generate_request r[3];
    for (size_t i = 0; i < 3; i++) {
        memcpy(prompts[i], f.prompts[1], sizeof prompts[i]);
        prompts[i][39 - 5 * i] ^= (int32_t)i; /* 0: as it was; 1: its token 34; 2: its token 29 */
        r[i] = f.requests[1];
        r[i].prompt = prompts[i];
        r[i].n_samples = 1;
        r[i].sampling.max_tokens = 10 + 4 * i;
    }
    order seen = {0};
    generate_options options = {.cache_limit_bytes = 70 * kv_cache_row_bytes(f.ctx, f.m), .on_token = note_token,
                                .on_done = note_done, .arg = &seen};
    assert_ok(f.ctx, generate(f.ctx, f.m, r, 3, &options, all));
    assert_true(seen.together);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(f.ctx, generate(f.ctx, f.m, &r[i], 1, NULL, &alone));
        assert_same(&all[i], &alone);
        completion_free(&alone);
    }
    free_all(all, 3);
    /* Another adapter's keys are other keys. */
    seen = (order){0};
    r[1].adapter = NULL;
    assert_ok(f.ctx, generate(f.ctx, f.m, r, 2, &options, all));
    assert_false(seen.together);
    free_all(all, 2);
    end(&f);
}

static void generate__greedy_takes_the_largest_logit(void **state) {
    (void)state;
    fixture f;
    completion c;
    workspace *w = NULL;
    float logits[61];
    int32_t chain[80];
    begin(&f, COMPUTE_F32);
    generate_request q = f.requests[0];
    q.n_samples = 1;
    q.sampling.temperature = 0;
    assert_ok(f.ctx, workspace_new(f.ctx, 0, &w));
    assert_ok(f.ctx, generate(f.ctx, f.m, &q, 1, NULL, &c));
    memcpy(chain, q.prompt, q.n_prompt * sizeof *chain);
    memcpy(chain + q.n_prompt, c.tokens, c.n_tokens * sizeof *chain);
    for (size_t i = 0; i < c.n_tokens; i++) {
        segment s = {chain, q.n_prompt + i, -1, NULL, WANT_LOGITS, 0};
        segment_batch b = {&s, 1};
        token_channels out = {.logits = logits};
        assert_ok(f.ctx, model_forward(f.ctx, f.m, w, &b, &out));
        for (int t = 0; t < 61; t++)
            assert_true(logits[t] <= logits[c.tokens[i]]);
    }
    completion_free(&c);
    workspace_free(w);
    end(&f);
}

static void generate__ends_at_the_context(void **state) {
    (void)state;
    fixture f;
    completion c[2];
    int32_t prompt[257];
    begin(&f, COMPUTE_F32);
    tiny_tokens(prompt, 257, 1);
    generate_request q = f.requests[0];
    q.prompt = prompt;
    q.n_samples = 2;
    q.n_prompt = 250;
    assert_ok(f.ctx, generate(f.ctx, f.m, &q, 1, NULL, c));
    assert_true(c[0].n_tokens == 6 && c[0].finish == FINISH_LENGTH);
    free_all(c, 2);
    q.n_prompt = 256;
    assert_ok(f.ctx, generate(f.ctx, f.m, &q, 1, NULL, c));
    assert_true(c[1].n_tokens == 0 && c[1].finish == FINISH_LENGTH && c[1].text[0] == 0);
    free_all(c, 2);
    q.n_prompt = 257;
    assert_int_equal(generate(f.ctx, f.m, &q, 1, NULL, c), AGON_EINVAL);
    assert_true(c[0].tokens == NULL && c[1].text == NULL);
    end(&f);
}

static int stop_after(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes) {
    (void)bytes, (void)n_bytes;
    (void)request;
    (void)sample;
    assert_in_range(token, 0, 60);
    return --*(int *)arg == 0;
}

static void generate__refuses_and_stops(void **state) {
    (void)state;
    fixture f;
    completion c[N_PROMPTS * SAMPLES];
    begin(&f, COMPUTE_F32);
    int left = 7;
    generate_options o = {.on_token = stop_after, .arg = &left};
    assert_int_equal(generate(f.ctx, f.m, f.requests, N_PROMPTS, &o, c), AGON_EINTERRUPTED);
    assert_int_equal(left, 0);
    o = (generate_options){.cache_limit_bytes = 1000};
    assert_int_equal(generate(f.ctx, f.m, f.requests, N_PROMPTS, &o, c), AGON_ENOMEM);
    generate_request q = f.requests[0];
    q.sampling.top_p = 0;
    assert_int_equal(generate(f.ctx, f.m, &q, 1, NULL, c), AGON_EINVAL);
    q = f.requests[0];
    q.n_prompt = 0;
    assert_int_equal(generate(f.ctx, f.m, &q, 1, NULL, c), AGON_EINVAL);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_null(c[i].tokens);
    q.n_samples = 0;
    q.n_prompt = 3;
    assert_ok(f.ctx, generate(f.ctx, f.m, &q, 1, NULL, NULL));
    end(&f);
}

/* ---- one row of logits ------------------------------------------------------------------------------------------ */

enum { VOCABULARY = 3000, DRAWS = 20000 };

/* How often each token is drawn over many seeds. */
static void draw(agon_ctx *ctx, const float *logits, size_t n, const sampling *s, const int32_t *generated,
                 size_t n_generated, int *count) {
    void *scratch = malloc(sample_scratch_bytes(n));
    memset(count, 0, n * sizeof *count);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        sample_input in = {.logits = logits, .n_vocabulary = n, .options = s, .generated = generated,
                           .n_generated = n_generated, .seed = seed_derivef(seed, "draw")};
        count[sample_token(ctx, &in, scratch).token]++;
    }
    free(scratch);
}

static void sample__draws_the_softmax_at_the_temperature(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    float *logits = calloc(VOCABULARY, sizeof *logits);
    int *count = calloc(VOCABULARY, sizeof *count);
    sampling s = sampling_default();
    s.temperature = 0.5f;
    for (size_t i = 0; i < VOCABULARY; i++)
        logits[i] = -4;
    logits[3] = 1;
    logits[1023] = 1.5f; /* in three blocks of the walk */
    logits[1024] = 0.5f;
    logits[2999] = 1.2f;
    double total = 0;
    for (size_t i = 0; i < VOCABULARY; i++)
        total += exp((double)logits[i] / 0.5);
    draw(ctx, logits, VOCABULARY, &s, NULL, 0, count);
    static const size_t shown[] = {3, 1023, 1024, 2999};
    for (size_t i = 0; i < 4; i++) {
        double p = exp((double)logits[shown[i]] / 0.5) / total;
        assert_close(count[shown[i]] / (double)DRAWS, p, 4 * sqrt(p * (1 - p) / DRAWS));
    }
    free(logits);
    free(count);
    agon_ctx_free(ctx);
}

static void sample__truncation_keeps_what_it_says(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    /* Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 in scattered places. */
    float logits[8];
    int count[8];
    for (int i = 0; i < 8; i++)
        logits[i] = -1000;
    static const int place[] = {6, 1, 3, 0, 7};
    static const double p[] = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    for (int i = 0; i < 5; i++)
        logits[place[i]] = (float)log(p[i]);
    sampling s = sampling_default();
    s.top_k = 4; /* the tie of 0 and 7 goes to 0 */
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_true(count[6] && count[1] && count[3] && count[0] && !count[7]);
    assert_close(count[6] / (double)DRAWS, 0.5 / 0.9375, 0.02);
    s = sampling_default();
    s.top_p = 0.7f; /* 0.5 < 0.7 <= 0.75 */
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_int_equal(count[6] + count[1], DRAWS);
    assert_close(count[6] / (double)DRAWS, 2.0 / 3, 0.02);
    s = sampling_default();
    s.min_p = 0.2f;
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_true(count[3] && !count[0] && !count[7] && count[6] + count[1] + count[3] == DRAWS);
    s.top_k = 1;
    s.min_p = 0;
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_int_equal(count[6], DRAWS);
    agon_ctx_free(ctx);
}

/* Each takes what the one before left: top-p its share of the top k, min-p from what top-p kept. */
static void sample__truncations_follow_one_another(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const double p[] = {0.40, 0.20, 0.12, 0.10, 0.09, 0.05, 0.03, 0.01};
    static const struct {
        int top_k;
        float top_p, min_p;
        int kept;
    } cases[] = {{0, 0.75f, 0.24f, 4}, {7, 0.75f, 0.24f, 4}, {7, 0.75f, 0.26f, 3}, {2, 0.75f, 0.2f, 2}, {3, 1, 0.4f, 2}, {7, 0.3f, 0.9f, 1}};
    float logits[8];
    int count[8];
    for (int i = 0; i < 8; i++)
        logits[i] = (float)log(p[i]);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sampling s = sampling_default();
        s.top_k = cases[c].top_k;
        s.top_p = cases[c].top_p;
        s.min_p = cases[c].min_p;
        draw(ctx, logits, 8, &s, NULL, 0, count);
        for (int i = 0; i < 8; i++)
            assert_int_equal(count[i] > 0, i < cases[c].kept);
    }
    agon_ctx_free(ctx);
}

static void sample__penalties_follow_their_formulas(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    float logits[] = {2, 1.9f, -1, -1.05f};
    int32_t generated[] = {0, 0};
    char scratch[4096];
    sampling s = sampling_default();
    sample_input in = {.logits = logits, .n_vocabulary = 4, .options = &s, .generated = generated, .n_generated = 2};
    s.temperature = 0;
    assert_int_equal(sample_token(ctx, &in, scratch).token, 0);
    s.frequency_penalty = 0.04f; /* 2 - 2 * 0.04 = 1.92: still first */
    assert_int_equal(sample_token(ctx, &in, scratch).token, 0);
    s.presence_penalty = 0.04f; /* 1.88 */
    assert_int_equal(sample_token(ctx, &in, scratch).token, 1);
    s.presence_penalty = 0;
    s.frequency_penalty = 0.06f; /* each of the two times: 1.88 */
    assert_int_equal(sample_token(ctx, &in, scratch).token, 1);
    s.frequency_penalty = 0;
    s.presence_penalty = 0.06f; /* once: 1.94 */
    assert_int_equal(sample_token(ctx, &in, scratch).token, 0);
    s.presence_penalty = 0;
    s.repetition_penalty = 1.1f; /* 2 / 1.1 */
    sample_choice c = sample_token(ctx, &in, scratch);
    assert_int_equal(c.token, 1);
    /* log_prob is of the distribution before penalties. */
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += exp((double)logits[i]);
    assert_close(c.log_prob, 1.9 - log(sum), 1e-5);
    in.prompt = (const int32_t[]){1}; /* the prompt counts for repetition: both divided */
    in.n_prompt = 1;
    assert_int_equal(sample_token(ctx, &in, scratch).token, 0);
    in.prompt = (const int32_t[]){0, 0, 0}; /* once a token, however often it came: 1.818 and not 1.653 */
    in.n_prompt = 3;
    logits[1] = 1.7f;
    assert_int_equal(sample_token(ctx, &in, scratch).token, 0);
    logits[0] = -1, logits[1] = -1.05f; /* a negative one is multiplied: -1.1 */
    logits[2] = logits[3] = -3;
    assert_int_equal(sample_token(ctx, &in, scratch).token, 1);
    agon_ctx_free(ctx);
}

/* One likely token and thousands of unlikely ones, 7 nats below, that together weigh more: the truncations count them, however far down they are. */
static void sample__truncation_reaches_far_down(void **state) {
    (void)state;
    enum { N = 4001, RUNS = 400 };
    agon_ctx *ctx = test_ctx(1, NULL);
    float *logits = calloc(N, sizeof *logits);
    char *scratch = calloc(1, sample_scratch_bytes(N));
    assert_true(logits && scratch);
    for (int i = 0; i < N; i++)
        logits[i] = i == 1000 ? 0 : -7;
    for (int by_k = 0; by_k < 2; by_k++) {
        sampling s = sampling_default();
        int n_far = 0;
        s.top_k = by_k ? 2001 : 0;
        s.top_p = by_k ? 1 : 0.9f;
        for (int i = 0; i < RUNS; i++) {
            const sample_input in = {.logits = logits, .n_vocabulary = N, .options = &s, .seed = (uint64_t)i};
            n_far += sample_token(ctx, &in, scratch).token != 1000;
        }
        const double far = (by_k ? 2000 : 4000) * exp(-7), share = by_k ? far / (1 + far) : (0.9 * (1 + far) - 1) / (0.9 * (1 + far));
        assert_close(n_far / (double)RUNS, share, 0.1);
    }
    free(logits);
    free(scratch);
    agon_ctx_free(ctx);
}

/* The uniform of the i-th token is the i-th number of the seed's stream: what was recorded is drawn alike by every later agon. */
static void sample__draws_the_streams_own_numbers(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const float logits[8] = {0};
    const int32_t generated[20] = {0};
    char scratch[4096];
    const sampling s = sampling_default();
    for (uint64_t seed = 1; seed < 4; seed++) {
        rng r = rng_new(seed);
        for (size_t i = 0; i < 20; i++) {
            const sample_input in = {.logits = logits, .n_vocabulary = 8, .options = &s, .generated = generated, .n_generated = i, .seed = seed};
            assert_int_equal(sample_token(ctx, &in, scratch).token, (int)(8 * rng_uniform(&r)));
        }
    }
    agon_ctx_free(ctx);
}

/* Bias, allowed tokens and a mask decide what is drawn; the log_prob stays that of the whole distribution. */
static void sample__bias_and_allowed_tokens(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    float logits[8];
    int count[8];
    for (int i = 0; i < 8; i++)
        logits[i] = (float)log(i < 4 ? 0.2 : 0.05);
    sampling s = sampling_default();
    const agon_logit_bias bias[] = {{5, (float)log(4.0)}, {5, (float)log(2.0)}, {0, -100}};
    s.biases = bias;
    s.n_biases = 3; /* weights 0, 0.2, 0.2, 0.2, 0.05, 0.4, 0.05, 0.05: sum 1.15 */
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_int_equal(count[0], 0);
    assert_close(count[5] / (double)DRAWS, 0.4 / 1.15, 0.02);
    const int32_t allowed[] = {0, 4, 5, 5};
    s.allowed = allowed;
    s.n_allowed = 4; /* 0, 0.05, 0.4 */
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_int_equal(count[4] + count[5], DRAWS);
    assert_close(count[5] / (double)DRAWS, 0.4 / 0.45, 0.02);
    /* top-p is of what is allowed: 0.4 of 0.45 are enough for it. Of everything, 0.4 of 1.15 are not. */
    s.top_p = 0.8f;
    draw(ctx, logits, 8, &s, NULL, 0, count);
    assert_int_equal(count[5], DRAWS);
    s = sampling_default();
    s.allowed = allowed;
    s.n_allowed = 1;
    s.temperature = 0;
    char scratch[4096];
    uint8_t mask[8] = {1, 1, 1, 1, 0, 1, 1, 1};
    sample_input in = {.logits = logits, .n_vocabulary = 8, .options = &s};
    sample_choice c = sample_token(ctx, &in, scratch);
    assert_int_equal(c.token, 0);
    assert_close(c.log_prob, log(0.2), 1e-5);
    s.allowed = allowed + 1; /* 4 and 5, and the mask takes 4 */
    s.n_allowed = 2;
    in.may_follow = mask;
    assert_int_equal(sample_token(ctx, &in, scratch).token, 5);
    mask[5] = 0;
    assert_int_equal(sample_token(ctx, &in, scratch).token, -1);
    s.temperature = 1;
    assert_int_equal(sample_token(ctx, &in, scratch).token, -1);
    agon_ctx_free(ctx);
}

/* A vocabulary of several softmax segments of which some have nothing allowed. */
static void sample__allowed_tokens_far_apart(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static float logits[VOCABULARY];
    static int count[VOCABULARY];
    const int32_t allowed[] = {2999, 7};
    sampling s = sampling_default();
    s.allowed = allowed;
    s.n_allowed = 2;
    logits[2999] = 1;
    for (int top_p = 0; top_p < 2; top_p++) {
        s.top_p = top_p ? 0.99f : 1;
        draw(ctx, logits, VOCABULARY, &s, NULL, 0, count);
        assert_int_equal(count[7] + count[2999], DRAWS);
        assert_close(count[2999] / (double)DRAWS, 1 / (1 + exp(-1)), 0.02);
    }
    agon_ctx_free(ctx);
}

/* Even tokens after odd ones and the other way round. */
static void alternate(void *arg, size_t request, size_t sample, const int32_t *tokens, size_t n_tokens,
                      uint8_t *may_follow, size_t n_vocabulary) {
    (void)request;
    (void)sample;
    ++*(size_t *)arg;
    int last = n_tokens ? tokens[n_tokens - 1] % 2 : 0;
    for (size_t i = 0; i < n_vocabulary; i++)
        may_follow[i] = (int)(i % 2) != last;
}

static void forbid(void *arg, size_t request, size_t sample, const int32_t *tokens, size_t n_tokens, uint8_t *may_follow,
                   size_t n_vocabulary) {
    (void)arg, (void)request, (void)sample, (void)tokens;
    if (n_tokens == 3)
        memset(may_follow, 0, n_vocabulary);
}

static void generate__asks_for_masks(void **state) {
    (void)state;
    fixture f;
    completion all[N_PROMPTS * SAMPLES], alone;
    size_t asked = 0, n_tokens = 0;
    begin(&f, COMPUTE_BF16);
    generate_options options = {.mask = alternate, .arg = &asked};
    assert_ok(f.ctx, generate(f.ctx, f.m, f.requests, N_PROMPTS, &options, all));
    for (size_t i = 0; i < N_PROMPTS * SAMPLES; i++) {
        n_tokens += all[i].n_tokens;
        for (size_t j = 0; j < all[i].n_tokens; j++)
            assert_int_equal(all[i].tokens[j] % 2, j % 2 ? 0 : 1);
    }
    assert_int_equal(asked, n_tokens);
    generate_request one = f.requests[1];
    one.n_samples = 1;
    assert_ok(f.ctx, generate(f.ctx, f.m, &one, 1, &options, &alone));
    assert_same(&all[SAMPLES], &alone);
    completion_free(&alone);
    free_all(all, N_PROMPTS * SAMPLES);
    options.mask = forbid;
    assert_int_equal(generate(f.ctx, f.m, &one, 1, &options, &alone), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "no token is allowed after 3"));
    /* Tokens and biases out of range are named. */
    int32_t allowed[] = {3, 61};
    one.sampling.allowed = allowed;
    one.sampling.n_allowed = 2;
    assert_int_equal(generate(f.ctx, f.m, &one, 1, NULL, &alone), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "allowed token 61"));
    agon_logit_bias bias[] = {{-1, 0}, {3, NAN}};
    one.sampling.n_allowed = 1;
    one.sampling.biases = bias;
    one.sampling.n_biases = 1;
    assert_int_equal(generate(f.ctx, f.m, &one, 1, NULL, &alone), AGON_EINVAL);
    one.sampling.biases = bias + 1;
    assert_int_equal(generate(f.ctx, f.m, &one, 1, NULL, &alone), AGON_EINVAL);
    one.sampling.n_biases = 0;
    assert_ok(f.ctx, generate(f.ctx, f.m, &one, 1, NULL, &alone));
    for (size_t i = 0; i < alone.n_tokens; i++)
        assert_int_equal(alone.tokens[i], 3);
    completion_free(&alone);
    end(&f);
}

/* More samples of one prompt's hidden state than masks and logits are held for at a time. */
static void generate__masks_of_a_large_batch_are_those_of_each_alone(void **state) {
    (void)state;
    enum { MANY = 150 };
    fixture f;
    static completion all[MANY];
    completion alone;
    uint64_t seeds[MANY];
    size_t asked = 0;
    begin(&f, COMPUTE_BF16);
    generate_options options = {.max_batch = 200, .mask = alternate, .arg = &asked};
    generate_request many = f.requests[0];
    many.n_samples = MANY;
    many.seeds = seeds;
    for (size_t i = 0; i < MANY; i++)
        seeds[i] = 1000 + i;
    assert_ok(f.ctx, generate(f.ctx, f.m, &many, 1, &options, all));
    many.n_samples = 1;
    for (size_t i = 0; i < MANY; i += 7) {
        many.seeds = seeds + i;
        assert_ok(f.ctx, generate(f.ctx, f.m, &many, 1, &options, &alone));
        assert_same(&all[i], &alone);
        completion_free(&alone);
    }
    free_all(all, MANY);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generate__masks_of_a_large_batch_are_those_of_each_alone),
        cmocka_unit_test(generate__log_probs_equal_the_forward),
        cmocka_unit_test(generate__log_probs_equal_the_training_forward),
        cmocka_unit_test(generate__samples_do_not_depend_on_company),
        cmocka_unit_test(generate__takes_a_smaller_batch_where_memory_is_short),
        cmocka_unit_test(generate__shares_what_prompts_have_in_common),
        cmocka_unit_test(generate__greedy_takes_the_largest_logit),
        cmocka_unit_test(generate__ends_at_the_context),
        cmocka_unit_test(generate__refuses_and_stops),
        cmocka_unit_test(sample__draws_the_softmax_at_the_temperature),
        cmocka_unit_test(sample__truncation_keeps_what_it_says),
        cmocka_unit_test(sample__truncations_follow_one_another),
        cmocka_unit_test(sample__penalties_follow_their_formulas),
        cmocka_unit_test(sample__truncation_reaches_far_down),
        cmocka_unit_test(sample__draws_the_streams_own_numbers),
        cmocka_unit_test(sample__bias_and_allowed_tokens),
        cmocka_unit_test(sample__allowed_tokens_far_apart),
        cmocka_unit_test(generate__asks_for_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

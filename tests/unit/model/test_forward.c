/* The segment batch's promises, bit for bit: recutting, company in the batch, threads, CPU paths, decoding through a
 * cache; and refusals. */
#include "base/ctx.h"
#include "tiny_model.h"

enum { CHAIN = 75 }; /* crosses two attention blocks */

/* Log-probs, entropies and hidden states of one chain cut at the given places. */
static void run_cut(agon_ctx *ctx, const model *m, const adapter *a, const int32_t *tokens, const size_t *cuts,
                    size_t n_cuts, float *log_prob, float *entropy, float *hidden) {
    segment s[CHAIN];
    workspace *w = NULL;
    size_t at = 0;
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t end = i < n_cuts ? cuts[i] : CHAIN;
        s[i] = (segment){tokens + at, end - at, (int32_t)i - 1, a, WANT_LOG_PROB | WANT_ENTROPY | WANT_HIDDEN, 0.8f};
        at = end;
    }
    segment_batch b = {s, n_cuts + 1};
    token_channels out = {.log_prob = log_prob, .entropy = entropy, .hidden = hidden};
    assert_ok(ctx, model_forward(ctx, m, w, &b, &out));
    workspace_free(w);
}

static void forward__recutting_a_chain_changes_no_bit(void **state) {
    (void)state;
    static const size_t one[] = {1}, some[] = {5, 31, 33, 64}, late[] = {74};
    for (int dtype = 0; dtype < 2; dtype++) {
        agon_ctx *ctx = test_ctx(2, NULL);
        model_config c = tiny_config();
        model *m = tiny_model(ctx, &c, (compute_dtype)dtype);
        adapter *a = tiny_adapter(ctx, m, 3, 9);
        int32_t tokens[CHAIN];
        float want[3][CHAIN], got[3][CHAIN], *h = calloc(2 * CHAIN * c.d_model, sizeof *h);
        size_t every[CHAIN - 1];
        for (size_t i = 0; i < CHAIN - 1; i++)
            every[i] = i + 1;
        tiny_tokens(tokens, CHAIN, 1);
        run_cut(ctx, m, a, tokens, NULL, 0, want[0], want[1], h);
        const struct {
            const size_t *cuts;
            size_t n;
        } cases[] = {{one, 1}, {some, 4}, {late, 1}, {every, CHAIN - 1}};
        for (size_t i = 0; i < 4; i++) {
            run_cut(ctx, m, a, tokens, cases[i].cuts, cases[i].n, got[0], got[1], h + CHAIN * c.d_model);
            assert_memory_equal(want, got, 2 * sizeof want[0]);
            assert_memory_equal(h, h + CHAIN * c.d_model, CHAIN * c.d_model * sizeof *h);
        }
        assert_true(want[0][0] == 0 && want[0][1] < 0 && want[1][1] > 0);
        free(h);
        adapter_free(a);
        model_free(m);
        agon_ctx_free(ctx);
    }
}

/* Two trees of responses, interleaved, and a lone chain, with different adapters and temperatures. */
typedef struct company {
    int32_t tokens[6][40];
    segment segments[6];
} company;

static void company_init(company *x, const adapter *a, const adapter *b) {
    static const size_t lengths[] = {9, 17, 12, 5, 33, 40};
    for (size_t i = 0; i < 6; i++) {
        tiny_tokens(x->tokens[i], 40, 50 + i);
        x->segments[i] = (segment){x->tokens[i], lengths[i], -1, NULL, WANT_LOG_PROB | WANT_MEAN_LOG_PROB, 0};
    }
    x->segments[0].adapter = a; /* 0: prompt of 2 and 4; 1: prompt of 3; 5: alone */
    x->segments[1].adapter = b;
    x->segments[1].temperature = 0.5f;
    x->segments[2].parent = 0;
    x->segments[3].parent = 1;
    x->segments[4].parent = 0;
}

static void forward__company_and_order_change_no_bit(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_BF16);
    adapter *a = tiny_adapter(ctx, m, 3, 9), *b = tiny_adapter(ctx, m, 5, 10);
    workspace *w = NULL;
    company x;
    float all[200], all_mean[200], alone[200], alone_mean[200];
    company_init(&x, a, b);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    segment_batch batch = {x.segments, 6};
    token_channels out = {.log_prob = all, .mean_log_prob = all_mean};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    /* Response 4 with its prompt only, and tree 1-3 only, in another order of trees. */
    segment pair[] = {x.segments[0], x.segments[4]};
    segment other[] = {x.segments[1], x.segments[3], x.segments[5]}; /* the temperature of its own first */
    other[1].parent = 0;
    pair[1].parent = 0;
    out = (token_channels){.log_prob = alone, .mean_log_prob = alone_mean};
    batch = (segment_batch){pair, 2};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    assert_memory_equal(alone, all, 9 * sizeof *all);
    assert_memory_equal(alone + 9, all + 43, 33 * sizeof *all);
    assert_memory_equal(alone_mean + 9, all_mean + 43, 33 * sizeof *all);
    batch = (segment_batch){other, 3};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    assert_memory_equal(alone, all + 9, 17 * sizeof *all);
    assert_memory_equal(alone + 17, all + 38, 5 * sizeof *all);
    assert_memory_equal(alone + 22, all + 76, 40 * sizeof *all);
    /* The adapters do something. */
    pair[0].adapter = NULL;
    batch = (segment_batch){pair, 2};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    assert_true(memcmp(alone + 9, all + 43, 33 * sizeof *all) != 0);
    workspace_free(w);
    adapter_free(a);
    adapter_free(b);
    model_free(m);
    agon_ctx_free(ctx);
}

/* More trees than one chunk of rows holds give what each gives alone. */
/* Prompts that begin alike, as under the same instructions: the common tokens are rows once, for the same adapter only, and
 * nothing anybody asked for changes. */
static void forward__prompts_share_what_they_have_in_common(void **state) {
    (void)state;
    enum { PROMPT = 36, ANSWER = 7, TREES = 4, TREE = PROMPT + ANSWER };
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_BF16);
    adapter *a = tiny_adapter(ctx, m, 3, 9);
    workspace *w = NULL;
    arena *memory = NULL;
    int32_t prompts[TREES][PROMPT], answers[TREES][ANSWER];
    segment s[2 * TREES];
    float all[TREES * TREE], alone[TREE], logits[TREES * 61], logit[61];
    for (size_t i = 0; i < TREES; i++) {
        tiny_tokens(prompts[i], PROMPT, 4);
        prompts[i][PROMPT - 1 - 3 * i] ^= (int32_t)(i > 0); /* 0: as it was; 1: token 32; 2: token 29; 3: token 26 */
        tiny_tokens(answers[i], ANSWER, 60 + i);
        s[2 * i] = (segment){prompts[i], PROMPT, -1, i == 3 ? a : NULL, WANT_LOGITS, 0};
        s[2 * i + 1] = (segment){answers[i], ANSWER, (int32_t)(2 * i), NULL, WANT_LOG_PROB, 0};
    }
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, arena_new(ctx, 0, &memory));
    segment_batch batch = {s, 2 * TREES};
    token_channels out = {.log_prob = all, .logits = logits};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    for (size_t i = 0; i < TREES; i++) {
        segment one[] = {s[2 * i], s[2 * i + 1]};
        one[1].parent = 0;
        segment_batch lone = {one, 2};
        out = (token_channels){.log_prob = alone, .logits = logit};
        assert_ok(ctx, model_forward(ctx, m, w, &lone, &out));
        assert_memory_equal(alone, all + i * TREE, sizeof alone);
        assert_memory_equal(logit, logits + i * 61, sizeof logit);
    }
    batch_index index;
    row_plan plan;
    assert_ok(ctx, batch_index_new(ctx, memory, m, &batch, &index));
    assert_ok(ctx, row_plan_new(ctx, memory, &batch, &index, 0, TREES, &plan));
    assert_int_equal(plan.rows.n, TREES * TREE - 32 - 29);
    s[2].wants = WANT_LOG_PROB; /* asked about: computed for itself */
    assert_ok(ctx, batch_index_new(ctx, memory, m, &batch, &index));
    assert_ok(ctx, row_plan_new(ctx, memory, &batch, &index, 0, TREES, &plan));
    assert_int_equal(plan.rows.n, TREES * TREE - 29);
    arena_free(memory);
    workspace_free(w);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* Trees that a chunk has no room for by their tokens, but by what they add to the first one's; behind a prompt larger than a chunk too. */
static void forward__a_long_prompt_is_computed_once(void **state) {
    (void)state;
    enum { TREES = 40, ANSWER = 5, LONGEST = 1400 };
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    c.max_context = 2048;
    model *m = tiny_model(ctx, &c, COMPUTE_BF16);
    int32_t prompt[LONGEST], answers[TREES][ANSWER];
    segment s[2 * TREES];
    const size_t tree = LONGEST + ANSWER;
    float *all = calloc(TREES * tree, sizeof *all), *alone = calloc(tree, sizeof *alone);
    tiny_tokens(prompt, LONGEST, 4);
    for (size_t i = 0; i < TREES; i++)
        tiny_tokens(answers[i], ANSWER, 60 + i);
    for (size_t length = 700; length <= LONGEST; length += 700) {
        workspace *w = NULL;
        assert_ok(ctx, workspace_new(ctx, 0, &w));
        for (size_t i = 0; i < TREES; i++) {
            s[2 * i] = (segment){prompt, length, -1, NULL, 0, 0};
            s[2 * i + 1] = (segment){answers[i], ANSWER, (int32_t)(2 * i), NULL, WANT_LOG_PROB, 0};
        }
        token_channels out = {.log_prob = all};
        assert_ok(ctx, model_forward(ctx, m, w, &(segment_batch){s, 2 * TREES}, &out));
        const size_t rows = length + ANSWER + (TREES - 1) * (1 + ANSWER);
        assert_true(w->regions[REGION_SCRATCH].capacity >= workspace_predict(m, rows, TREES * ANSWER, 0, USE_FORWARD).scratch);
        out.log_prob = alone;
        for (size_t i = 0; i < TREES; i += 13) {
            segment one[] = {s[2 * i], s[2 * i + 1]};
            one[1].parent = 0;
            assert_ok(ctx, model_forward(ctx, m, w, &(segment_batch){one, 2}, &out));
            assert_memory_equal(alone, all + i * (length + ANSWER), (length + ANSWER) * sizeof *all);
        }
        workspace_free(w);
    }
    free(all);
    free(alone);
    model_free(m);
    agon_ctx_free(ctx);
}

static void forward__chunks_change_no_bit(void **state) {
    (void)state;
    enum { TREES = 40, LENGTH = 60 };
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    workspace *w = NULL;
    int32_t tokens[LENGTH];
    segment s[TREES];
    float *all = calloc(TREES * LENGTH, sizeof *all);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    tiny_tokens(tokens, LENGTH, 2);
    for (size_t i = 0; i < TREES; i++)
        s[i] = (segment){tokens, LENGTH, -1, NULL, WANT_LOG_PROB, 0};
    segment_batch batch = {s, TREES};
    token_channels out = {.log_prob = all};
    assert_ok(ctx, model_forward(ctx, m, w, &batch, &out));
    for (size_t i = 1; i < TREES; i++)
        assert_memory_equal(all, all + i * LENGTH, LENGTH * sizeof *all);
    assert_true(all[1] < 0);
    free(all);
    workspace_free(w);
    model_free(m);
    agon_ctx_free(ctx);
}

static void forward__threads_and_cpu_paths_change_no_bit(void **state) {
    (void)state;
    model_config c = tiny_config();
    float want[2][CHAIN], got[2][CHAIN], h[CHAIN * 24];
    int32_t tokens[CHAIN];
    tiny_tokens(tokens, CHAIN, 1);
    for (int dtype = 0; dtype < 2; dtype++)
        for (int i = 0; i < 3 + CPU_N_PATHS; i++) {
            if (i > 2 && !cpu_path_present((cpu_path)(i - 3)))
                continue;
            agon_ctx *ctx = test_ctx(i < 3 ? i + 1 : 2, i < 3 ? NULL : cpu_path_name((cpu_path)(i - 3)));
            model *m = tiny_model(ctx, &c, (compute_dtype)dtype);
            float(*to)[CHAIN] = i ? got : want;
            run_cut(ctx, m, NULL, tokens, NULL, 0, to[0], to[1], h);
            if (i)
                assert_memory_equal(want, got, sizeof want);
            model_free(m);
            agon_ctx_free(ctx);
        }
}

/* ---- decoding through the cache ------------------------------------------------------------------------------ */

/* Runs tokens [from, to) of the chain in one call; hidden states into hidden [CHAIN, d]. */
static void decode_span(agon_ctx *ctx, const model *m, workspace *w, kv_cache *cache, const adapter *a,
                        const int32_t *tokens, const int32_t *rows, size_t from, size_t to, float *hidden) {
    decode_token t[CHAIN];
    size_t heads[CHAIN];
    for (size_t i = from; i < to; i++) {
        t[i - from] = (decode_token){tokens[i], (int32_t)i, rows, a};
        heads[i - from] = i - from;
    }
    assert_ok(ctx, model_decode(ctx, m, w, cache, t, to - from, heads, to - from, hidden + from * m->config.d_model));
}

static void decode__equals_forward_however_it_is_cut(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    c.qk_norm = c.qkv_bias = true;
    model *m = tiny_model(ctx, &c, COMPUTE_BF16);
    adapter *a = tiny_adapter(ctx, m, 3, 9);
    workspace *w = NULL;
    kv_cache *cache = NULL;
    int32_t tokens[CHAIN], rows[CHAIN];
    float lp[CHAIN], e[CHAIN];
    size_t d = c.d_model;
    float *want = calloc(CHAIN * d, sizeof *want), *got = calloc(CHAIN * d, sizeof *got);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, kv_cache_new(ctx, m, 2 * CHAIN, &cache));
    tiny_tokens(tokens, CHAIN, 1);
    for (size_t i = 0; i < CHAIN; i++)
        rows[i] = (int32_t)((i * 37) % (2 * CHAIN)); /* scattered, distinct */
    run_cut(ctx, m, a, tokens, NULL, 0, lp, e, want);
    static const size_t steps[] = {CHAIN, 1, 7, 32};
    for (size_t k = 0; k < 4; k++) {
        memset(got, 0, CHAIN * d * sizeof *got);
        for (size_t at = 0; at < CHAIN; at += steps[k])
            decode_span(ctx, m, w, cache, a, tokens, rows, at, at + steps[k] < CHAIN ? at + steps[k] : CHAIN, got);
        assert_memory_equal(want, got, CHAIN * d * sizeof *got);
    }
    kv_cache_free(ctx, cache);
    workspace_free(w);
    free(want);
    free(got);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* Two continuations of a prompt whose rows both list, run in one call. */
static void decode__shares_the_rows_of_a_prompt(void **state) {
    (void)state;
    enum { PROMPT = 40, ANSWER = CHAIN - PROMPT };
    agon_ctx *ctx = test_ctx(2, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    workspace *w = NULL;
    kv_cache *cache = NULL;
    int32_t tokens[2][CHAIN], rows[2][CHAIN];
    float lp[CHAIN], e[CHAIN];
    size_t d = c.d_model;
    float *want = calloc(2 * CHAIN * d, sizeof *want), *got = calloc(2 * d, sizeof *got);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, kv_cache_new(ctx, m, PROMPT + 2 * ANSWER, &cache));
    for (int s = 0; s < 2; s++) {
        tiny_tokens(tokens[s], CHAIN, 20 + (uint64_t)s);
        memcpy(tokens[s], tokens[0], PROMPT * sizeof(int32_t));
        run_cut(ctx, m, NULL, tokens[s], NULL, 0, lp, e, want + (size_t)s * CHAIN * d);
        for (int32_t i = 0; i < CHAIN; i++)
            rows[s][i] = i < PROMPT ? i : i + s * ANSWER;
    }
    float *scratch = calloc(CHAIN * d, sizeof *scratch);
    decode_span(ctx, m, w, cache, NULL, tokens[0], rows[0], 0, PROMPT, scratch);
    for (int32_t i = PROMPT; i < CHAIN; i++) {
        decode_token t[2] = {{tokens[1][i], i, rows[1], NULL}, {tokens[0][i], i, rows[0], NULL}};
        size_t heads[2] = {1, 0};
        assert_ok(ctx, model_decode(ctx, m, w, cache, t, 2, heads, 2, got));
        assert_memory_equal(got, want + (size_t)i * d, d * sizeof *got);
        assert_memory_equal(got + d, want + (CHAIN + (size_t)i) * d, d * sizeof *got);
    }
    free(scratch);
    kv_cache_free(ctx, cache);
    workspace_free(w);
    free(want);
    free(got);
    model_free(m);
    agon_ctx_free(ctx);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void forward__logits_and_log_probs_agree(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    workspace *w = NULL;
    int32_t tokens[12];
    float lp[12], logits[2 * 61], mean[12];
    tiny_tokens(tokens, 12, 4);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    segment s[] = {{tokens, 8, -1, NULL, WANT_LOGITS, 2},
                   {tokens + 8, 4, 0, NULL, WANT_LOG_PROB | WANT_MEAN_LOG_PROB | WANT_LOGITS, 0}};
    segment_batch b = {s, 2};
    token_channels out = {.log_prob = lp, .logits = logits, .mean_log_prob = mean};
    assert_ok(ctx, model_forward(ctx, m, w, &b, &out));
    double sum = 0, all = 0;
    for (int i = 0; i < 61; i++) {
        sum += exp((double)logits[i] / 2);
        all += (double)logits[i] / 2;
    }
    assert_close(lp[8], (double)logits[tokens[8]] / 2 - log(sum), 1e-5);
    assert_close(mean[8], all / 61 - log(sum), 1e-5);
    assert_true(lp[0] == 0 && lp[7] == 0 && memcmp(logits, logits + 61, 61 * sizeof *logits) != 0);
    workspace_free(w);
    model_free(m);
    agon_ctx_free(ctx);
}

static void forward__refuses_bad_batches(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    workspace *w = NULL, *small = NULL;
    int32_t tokens[300], bad[1] = {61};
    float lp[300];
    tiny_tokens(tokens, 300, 4);
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, workspace_new(ctx, 4096, &small));
    const segment cases[] = {{tokens, 257, -1, NULL, WANT_LOG_PROB, 0},
                             {tokens, 0, -1, NULL, WANT_LOG_PROB, 0},
                             {tokens, 3, 0, NULL, WANT_LOG_PROB, 0},
                             {tokens, 3, -2, NULL, WANT_LOG_PROB, 0},
                             {tokens, 3, -1, NULL, WANT_LOG_PROB, -1},
                             {tokens, 3, -1, NULL, WANT_LOG_PROB, NAN},
                             {bad, 1, -1, NULL, WANT_LOG_PROB, 0}};
    token_channels out = {.log_prob = lp};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        segment_batch b = {&cases[i], 1};
        assert_int_equal(model_forward(ctx, m, w, &b, &out), AGON_EINVAL);
        assert_true(strlen(agon_error(ctx)) > 10);
    }
    segment good = {tokens, 100, -1, NULL, WANT_LOG_PROB, 0};
    segment_batch b = {&good, 1};
    assert_int_equal(model_forward(ctx, m, small, &b, &out), AGON_ENOMEM);
    assert_ok(ctx, model_forward(ctx, m, w, &b, &out));
    b.n_segments = 0;
    assert_ok(ctx, model_forward(ctx, m, w, &b, &out));
    workspace_free(w);
    workspace_free(small);
    model_free(m);
    agon_ctx_free(ctx);
}

/* Models that come from no file too: what the kernels assert is refused by a sentence before anything is built. */
static void model__sizes_beyond_the_kernels_are_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    uint64_t seed = 7;
    model *m = NULL;
    model_config cases[5];
    const char *const says[] = {"head width is 258", "vocabulary size is 1048577", "feed-forward width is 131073", "cannot share", "'yarn'"};
    for (size_t i = 0; i < 5; i++)
        cases[i] = tiny_config();
    cases[0].head_dim = 258;
    cases[1].n_vocabulary = (1 << 20) + 1;
    cases[2].d_ff = (1 << 17) + 1;
    cases[3].n_kv_heads = 3;
    snprintf(cases[4].rope_scaling, sizeof cases[4].rope_scaling, "yarn");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(model_build(ctx, &cases[i], tiny_tensor, &seed, COMPUTE_F32, &m), i == 4 ? AGON_EUNSUPPORTED : AGON_EFORMAT);
        assert_null(m);
        assert_non_null(strstr(agon_error(ctx), says[i]));
    }
    agon_ctx_free(ctx);
}

/* Checkpoints hold the parameters in this order, and ids hash them in it; files have an order of their own. */
static void model__parameters_keep_their_order(void **state) {
    (void)state;
    static const char *const names[] = {
        "model.embed_tokens.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
        "self_attn.o_proj.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight",
        "post_attention_layernorm.weight", "self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias",
        "self_attn.q_norm.weight", "self_attn.k_norm.weight", "model.norm.weight", "lm_head.weight"};
    enum { N = sizeof names / sizeof *names };
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    parameters p;
    c.n_layers = 1;
    c.qkv_bias = c.qk_norm = true;
    c.tied_embeddings = false;
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    assert_ok(ctx, model_make_trainable(ctx, m, &p));
    assert_int_equal(p.n, N);
    for (size_t i = 0; i < N; i++) {
        const char *layer = "model.layers.0.";
        assert_string_equal(p.items[i].name + (i > 0 && i < N - 2 ? strlen(layer) : 0), names[i]);
    }
    model_free(m);
    agon_ctx_free(ctx);
}

static void rope_inv_freq(const model_config *c, float *out) {
    for (size_t i = 0; i < c->head_dim / 2; i++)
        out[i] = (float)rope_frequency(c, i);
}

/* Values of Hugging Face transformers 5, theta 500000, head 64, factor 8, 1, 4, original context 8192. */
static void rope__llama3_scaling_follows_the_reference(void **state) {
    (void)state;
    model_config c = tiny_config();
    float f[32];
    c.head_dim = 64;
    c.rope_theta = 500000;
    rope_inv_freq(&c, f);
    double plain_last = (double)f[31], plain_mid = (double)f[14];
    snprintf(c.rope_scaling, sizeof c.rope_scaling, "llama3");
    c.rope_factor = 8;
    c.rope_low_freq_factor = 1;
    c.rope_high_freq_factor = 4;
    c.rope_original_context = 8192;
    rope_inv_freq(&c, f);
    assert_close(f[0], 1.0, 0);
    assert_close(f[31], plain_last / 8, 1e-12);
    /* Between the bounds: blended by hand from the formula. */
    double smooth = (8192 * plain_mid / 6.283185307179586 - 1) / 3;
    assert_true(smooth > 0 && smooth < 1.5);
    double want = smooth >= 1 ? plain_mid : (1 - smooth) * plain_mid / 8 + smooth * plain_mid;
    assert_close(f[14], want, 1e-9);
    for (size_t i = 0; i < 32; i++) { /* GGUF files store what plain frequencies are divided by */
        float scaled = f[i];
        double plain = pow(500000, -2.0 * (double)i / 64);
        assert_close(plain / rope_divisor(&c, i), scaled, 1e-7 * (double)scaled);
    }
    snprintf(c.rope_scaling, sizeof c.rope_scaling, "linear");
    rope_inv_freq(&c, f);
    assert_close(f[0], 0.125, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward__recutting_a_chain_changes_no_bit),
        cmocka_unit_test(forward__company_and_order_change_no_bit),
        cmocka_unit_test(forward__prompts_share_what_they_have_in_common),
        cmocka_unit_test(forward__a_long_prompt_is_computed_once),
        cmocka_unit_test(forward__chunks_change_no_bit),
        cmocka_unit_test(forward__threads_and_cpu_paths_change_no_bit),
        cmocka_unit_test(decode__equals_forward_however_it_is_cut),
        cmocka_unit_test(decode__shares_the_rows_of_a_prompt),
        cmocka_unit_test(forward__logits_and_log_probs_agree),
        cmocka_unit_test(forward__refuses_bad_batches),
        cmocka_unit_test(model__sizes_beyond_the_kernels_are_refused),
        cmocka_unit_test(model__parameters_keep_their_order),
        cmocka_unit_test(rope__llama3_scaling_follows_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The trainer on a model of two layers: it learns, and a run is the same bits however it is cut. */
#include "train/train_private.h"
#include "trainer.h"

enum { N_ROWS = 8, N_PROMPT = 5, N_RESPONSE = 6, K = 4, N_VOCABULARY = 61 };

/* Embeddings large enough for sharp logits under a frozen norm. */
static agon_status tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)ctx, (void)arg;
    rng r = rng_new(seed_derive(7, name));
    double base = strstr(name, "norm") ? 1 : 0, spread = strstr(name, "embed") ? 1.2 : 0.2;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(base + spread * (rng_uniform(&r) * 2 - 1));
    return AGON_OK;
}

static model *new_model(agon_ctx *ctx, compute_dtype dtype) {
    model_config c = tiny_config();
    model *m = NULL;
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, dtype, &m));
    return m;
}

static adapter *new_adapter(agon_ctx *ctx, const model *m) {
    adapter_options o = {.rank = 8, .alpha = 16, .seed = 3};
    adapter *a = NULL;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    return a;
}

/* Random rows of k responses each. */
typedef struct test_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][K];
    int32_t prompts[N_ROWS][N_PROMPT], tokens[N_ROWS][K][N_RESPONSE];
    float old[N_ROWS][K][N_RESPONSE], targets[N_ROWS][K][N_RESPONSE];
} test_data;

static void new_data(test_data *d, size_t k, size_t n_prompt) {
    rng r = rng_new(99);
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t j = 0; j < N_PROMPT; j++)
            d->prompts[i][j] = (int32_t)rng_below(&r, N_VOCABULARY);
        for (size_t x = 0; x < k; x++) {
            for (size_t j = 0; j < N_RESPONSE; j++) {
                d->tokens[i][x][j] = (int32_t)rng_below(&r, N_VOCABULARY);
                d->old[i][x][j] = -4;
                d->targets[i][x][j] = j == 1 || j == 3 ? (float)((i + j / 2) % 2) : NAN; /* ends of steps */
            }
            d->responses[i][x] = (train_response){.tokens = d->tokens[i][x], .n = 2 + rng_below(&r, N_RESPONSE - 1),
                                                  .reward = (double)rng_below(&r, 2), .advantage = NAN,
                                                  .label = (double)(i % 2), .weight = 1};
        }
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = n_prompt, .responses = d->responses[i],
                                 .n_responses = k, .weight = 1};
    }
}

static train_options options_for(const char *name) {
    train_options o = trainer_options(name);
    o.batch_rows = o.objective->least_batch > 3 ? o.objective->least_batch : 3;
    o.max_steps = 20;
    o.lr = 5e-3f;
    o.seed = 17;
    return o;
}

typedef struct setting {
    const char *objective;
    size_t k, n_prompt;
    bool lora;
    compute_dtype dtype;
    int n_threads;
    const char *option; /* of the objective, or NULL */
} setting;

/* The head the objective reads. */
static void add_head(agon_ctx *ctx, model *m, adapter *a, const objective *o) {
    head_kind kind = o->needs & NEEDS_HEAD ? HEAD_REWARD : HEAD_VALUE;
    if (!(o->needs & (NEEDS_HEAD | NEEDS_VALUES)))
        return;
    double deviation = kind == HEAD_REWARD ? 0.2 : 0;
    if (a)
        assert_ok(ctx, adapter_add_head(ctx, a, kind, deviation, 3));
    else
        assert_ok(ctx, model_add_head(ctx, m, kind, deviation, 3));
}

/* Trains from the start, or from `from`; stops at step `stop_at` when it is not 0. */
static record run(const setting *s, const test_data *d, const record *from, size_t stop_at) {
    agon_ctx *ctx = test_ctx(s->n_threads ? s->n_threads : 1, NULL);
    model *m = new_model(ctx, s->dtype), *reference = s->lora ? NULL : new_model(ctx, s->dtype);
    adapter *a = s->lora ? new_adapter(ctx, m) : NULL;
    train_options o = options_for(s->objective);
    add_head(ctx, m, a, o.objective);
    record r = {.stop_at = stop_at};
    if (s->option)
        assert_ok(ctx, objective_set(ctx, o.objective, s->option, o.objective_options));
    train_recorded(ctx, m, a, reference, d->rows, N_ROWS, &o, from, &r);
    adapter_free(a);
    model_free(m);
    model_free(reference);
    agon_ctx_free(ctx);
    return r;
}

static const setting settings[] = {
    {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL},   {"sft", 1, N_PROMPT, false, COMPUTE_F32, 1, NULL},
    {"dpo", 2, N_PROMPT, true, COMPUTE_BF16, 1, NULL},  {"dpo", 2, N_PROMPT, false, COMPUTE_BF16, 1, NULL},
    {"grpo", K, N_PROMPT, true, COMPUTE_F32, 1, NULL},  {"grpo", K, N_PROMPT, false, COMPUTE_F32, 1, NULL},
    {"kto", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL},   {"sft", 1, 0, true, COMPUTE_F32, 1, NULL},
    {"dpo", 2, 0, true, COMPUTE_F32, 1, NULL},
    {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, "label_smoothing=0.1"},
    {"dpo", 2, 0, true, COMPUTE_F32, 1, "label_smoothing=0.1"},
    {"gce", 1, N_PROMPT, true, COMPUTE_F32, 1, "warmup=0.7"}, /* the ramp ends after the point of resuming */
};

static void train__resumes_bit_for_bit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        test_data d;
        new_data(&d, settings[i].k, settings[i].n_prompt);
        record whole = run(&settings[i], &d, NULL, 0);
        record half = run(&settings[i], &d, NULL, 10);
        record rest = run(&settings[i], &d, &half, 0);
        assert_resumed(settings[i].objective, &whole, &half, &rest);
    }
}

/* Every objective, cut in half and put together again; those with a head also with all weights. */
static void check_resumes(const objective *o, bool lora) {
    const setting s = {o->name, o->rows & ROW_PAIR || o->most_responses == 2 ? 2 : o->rows & ROW_GROUP ? K : 1, N_PROMPT, lora, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, s.k, N_PROMPT);
    for (size_t j = 0; j < N_ROWS; j++)
        for (size_t k = 0; k < s.k; k++)
            d.responses[j][k].targets = o->needs & NEEDS_TARGETS ? d.targets[j][k] : NULL;
    record whole = run(&s, &d, NULL, 0), half = run(&s, &d, NULL, 10), rest = run(&s, &d, &half, 0);
    assert_resumed(o->name, &whole, &half, &rest);
}

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

static void train__every_objective_resumes(void **state) {
    (void)state;
    size_t n = 0;
    for (; objective_at(n); n++) {
        check_resumes(objective_at(n), true);
        if (objective_at(n)->needs & (NEEDS_HEAD | NEEDS_VALUES))
            check_resumes(objective_at(n), false);
    }
    assert_true(n >= 36);
}

/* ---- heads ----------------------------------------------------------------------------------------------- */

/* A reward head learns which of two is better, whatever is trained; only then is the loss far below log 2. */
static void bt__learns_the_better_of_two(void **state) {
    agon_ctx *ctx = *state;
    for (int lora = 0; lora < 2; lora++) {
        test_data d;
        new_data(&d, 2, N_PROMPT);
        for (size_t i = 0; i < N_ROWS; i++)
            for (size_t k = 0; k < 2; k++)
                d.responses[i][k].label = d.responses[i][k].reward = NAN;
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = lora ? new_adapter(ctx, m) : NULL;
        train_options o = options_for("bt");
        add_head(ctx, m, a, o.objective);
        o.batch_rows = 8, o.max_steps = 60, o.lr = 1e-2f;
        record r = {0};
        train_sink sink = {.on_step = record_step, .arg = &r};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        if (!(r.first_loss > 0.3 && r.loss < 0.1))
            fail_msg("bt: loss from %g to %g with %s", r.first_loss, r.loss, lora ? "an adapter" : "all weights");
        adapter_free(a);
        model_free(m);
    }
}

static double value_metric(const train_progress *p, const char *name) {
    for (size_t i = 0; i < p->n_metrics; i++)
        if (strcmp(p->metrics[i].name, name) == 0)
            return p->metrics[i].value;
    return NAN;
}

static agon_status on_value(void *arg, const train_progress *p) {
    double *loss = arg;
    loss[p->step == 1 ? 0 : 1] = value_metric(p, "value_loss");
    return AGON_OK;
}

/* The value head fits the returns: its loss falls to a part of the first, where all values are 0. */
static void ppo__value_head_fits_returns(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("ppo");
    add_head(ctx, m, a, o.objective);
    o.batch_rows = 8, o.max_steps = 120, o.lr = 1e-2f, o.schedule = SCHEDULE_CONSTANT;
    assert_ok(ctx, objective_set(ctx, o.objective, "value_coefficient=10", o.objective_options));
    assert_ok(ctx, objective_set(ctx, o.objective, "lambda=1", o.objective_options));
    double losses[2] = {0};
    train_sink sink = {.on_step = on_value, .arg = losses};
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
    if (!(losses[0] > 0.1 && losses[1] < 0.3 * losses[0]))
        fail_msg("value loss from %g to %g", losses[0], losses[1]);
    adapter_free(a);
    model_free(m);
}

/* The loss of one step over all rows at the weights as they are; gradients are left in the parameters. */
static double loss_here(agon_ctx *ctx, model *m, adapter *a, const test_data *d, const char *name) {
    train_options o = options_for(name);
    o.batch_rows = N_ROWS, o.max_steps = 1, o.lr = 0;
    record r = {0};
    train_sink sink = {.on_step = record_step, .arg = &r};
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d->rows, N_ROWS, &o, &sink, NULL));
    return r.loss;
}

/* The trainer's gradient of whole objectives, head and factors, against central differences along one direction each. */
static void heads__gradients_match_differences(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[] = {"bt", "plackett-luce", "rm-pointwise", "prm", "cloud", "classify"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const objective *o = objective_find(names[i]);
        test_data d;
        new_data(&d, o->rows & ROW_PAIR ? 2 : o->rows & ROW_GROUP ? K : 1, N_PROMPT);
        for (size_t j = 0; j < N_ROWS; j++)
            d.responses[j][0].targets = o->needs & NEEDS_TARGETS ? d.targets[j][0] : NULL;
        model *m = new_model(ctx, COMPUTE_F32);
        adapter *a = new_adapter(ctx, m);
        add_head(ctx, m, a, o);
        parameters p;
        assert_ok(ctx, adapter_parameters(ctx, a, &p));
        rng r = rng_new(31);
        for (size_t q = 1; q + 1 < p.n; q += 2) /* B is zero at first, and so would be the gradient of A */
            for (size_t j = 0; j < p.items[q].n_rows * p.items[q].n_columns; j++)
                p.items[q].value[j] = (float)(rng_uniform(&r) - 0.5) * 0.2f;
        adapter_changed(ctx, a);
        for (size_t q = 0; q < p.n; q += q + 3 < p.n ? 3 : 1) {
            size_t n = p.items[q].n_rows * p.items[q].n_columns;
            float *kept = malloc(n * sizeof *kept), *way = malloc(n * sizeof *way);
            double predicted = 0, ends[2];
            loss_here(ctx, m, a, &d, names[i]);
            memcpy(kept, p.items[q].value, n * sizeof *kept);
            for (size_t j = 0; j < n; j++) {
                way[j] = (rng_uniform(&r) < 0.5 ? -1.0f : 1.0f) / sqrtf((float)n);
                predicted += (double)way[j] * (double)p.items[q].gradient[j];
            }
            for (int side = 0; side < 2; side++) {
                for (size_t j = 0; j < n; j++)
                    p.items[q].value[j] = kept[j] + (side ? -4e-3f : 4e-3f) * way[j];
                adapter_changed(ctx, a);
                ends[side] = loss_here(ctx, m, a, &d, names[i]);
            }
            memcpy(p.items[q].value, kept, n * sizeof *kept);
            adapter_changed(ctx, a);
            free(kept), free(way);
            double measured = (ends[0] - ends[1]) / 8e-3;
            if (!(fabs(measured - predicted) <= 0.02 * fabs(predicted) + 1e-3))
                fail_msg("%s, %s: gradient %g, differences say %g", names[i], p.items[q].name, predicted, measured);
        }
        adapter_free(a);
        model_free(m);
    }
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

static void train__ignores_the_number_of_threads(void **state) {
    (void)state;
    for (size_t i = 1; i < sizeof settings / sizeof settings[0]; i += 4) {
        test_data d;
        setting two = settings[i];
        two.n_threads = 2;
        new_data(&d, two.k, two.n_prompt);
        record one = run(&settings[i], &d, NULL, 0), other = run(&two, &d, NULL, 0);
        assert_same_state(two.objective, &one, &other);
        free(one.state), free(other.state);
    }
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

static agon_status keep_metrics(void *arg, const train_progress *p) {
    double *out = arg;
    for (size_t i = 0; i < p->n_metrics; i++)
        for (size_t k = 0; k < 3; k++)
            if (strcmp(p->metrics[i].name, k == 0 ? "update_ratio" : k == 1 ? "update_ratio_max" : "grad_clipped") == 0)
                out[k] = p->metrics[i].value;
    return AGON_OK;
}

/* AdamW's first step moves every weight by the learning rate, so the ratio is known; and whether the gradient was clipped. */
static void train__says_how_far_a_step_goes(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    parameters all;
    new_data(&d, 1, N_PROMPT);
    model *start = new_model(ctx, COMPUTE_F32);
    assert_ok(ctx, model_make_trainable(ctx, start, &all));
    double squares = 0, n = 0, largest = 0;
    for (size_t i = 0; i < all.n; i++) {
        double tensor = 0, values = (double)(all.items[i].n_rows * all.items[i].n_columns);
        float *value = NULL;
        assert_ok(ctx, parameter_copy(ctx, &all.items[i], &value));
        for (size_t j = 0; j < (size_t)values; j++)
            tensor += (double)value[j] * (double)value[j];
        free(value);
        largest = fmax(largest, sqrt(values / tensor));
        squares += tensor, n += values;
    }
    model_free(start);
    for (int clipped = 0; clipped < 2; clipped++) {
        double got[3] = {-1, -1, -1};
        model *m = new_model(ctx, COMPUTE_F32);
        train_options o = options_for("sft");
        o.max_steps = 1, o.lr = 1e-3f, o.warmup = 0, o.schedule = SCHEDULE_CONSTANT, o.eps = 1e-12f, o.clip_norm = clipped ? 1e-2f : 1e6f;
        const train_sink sink = {.on_step = keep_metrics, .arg = got};
        assert_ok(ctx, train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
        assert_close(got[0] / (1e-3 * sqrt(n / squares)), 1, 0.01);
        assert_close(got[1] / (1e-3 * largest), 1, 0.01);
        assert_true(got[2] == clipped);
        model_free(m);
    }
}

static agon_status keep_norm(void *arg, const train_progress *p) {
    *(double *)arg = p->grad_norm;
    return AGON_OK;
}

/* Clipping is by one norm, that of all parameters together. */
static void train__norm_is_of_all_parameters(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    parameters p;
    double norm = -1, squares = 0;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    train_options o = options_for("sft");
    o.max_steps = 1;
    const train_sink sink = {.on_step = keep_norm, .arg = &norm};
    assert_ok(ctx, train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL));
    assert_ok(ctx, model_make_trainable(ctx, m, &p));
    for (size_t i = 0; i < p.n; i++)
        for (size_t j = 0; j < p.items[i].n_rows * p.items[i].n_columns; j++)
            squares += (double)p.items[i].gradient[j] * (double)p.items[i].gradient[j];
    assert_true(p.n > 1 && squares > 0);
    assert_close(norm / sqrt(squares), 1, 1e-6);
    model_free(m);
}

/* Ends of two steps from one start: `decay` apart where weights decay, and equal where they do not. */
static void check_decay(const char *name, const parameter *start, const parameter *plain, const parameter *decayed, double decay) {
    size_t n = start->n_rows * start->n_columns, apart = 0;
    for (size_t j = 0; j < n; j++) {
        double taken = (double)plain->value[j] - (double)decayed->value[j], wanted = start->decay ? decay * (double)start->value[j] : 0;
        if (fabs(taken - wanted) > 1e-6)
            fail_msg("%s, %s[%zu]: %g is taken, not %g", name, start->name, j, taken, wanted);
        apart += fabs(taken) > 1e-6;
    }
    bool factor = strstr(start->name, ".lora_A.") || strstr(start->name, ".lora_B.") || strstr(start->name, ".lora_U.");
    assert_int_equal(start->decay, factor);
    assert_int_equal(apart > 0, factor);
}

/* AdamW's decay is of a LoRA's factors, and neither of singular values nor of heads. */
static void train__decays_the_factors_of_an_adapter(void **state) {
    agon_ctx *ctx = *state;
    static const char *const names[] = {"helpful", "harmless"}, *const objectives[] = {"bt", "sft"};
    for (size_t k = 0; k < 2; k++) {
        test_data d;
        parameters p[3];
        adapter *a[3] = {NULL};
        new_data(&d, k == 0 ? 2 : 1, N_PROMPT);
        for (size_t i = 0; i < N_ROWS; i++)
            d.rows[i].dimension = k == 1 ? i % 2 : 0;
        model *m = new_model(ctx, COMPUTE_F32);
        train_options o = options_for(objectives[k]);
        o.max_steps = 1, o.lr = 1e-2f, o.warmup = 0, o.schedule = SCHEDULE_CONSTANT, o.batch_rows = N_ROWS, o.preferences.vectors = 2;
        const adapter_options shape = {.rank = 4, .alpha = 8, .seed = 3, .dimensions = names, .n_dimensions = k == 1 ? 2 : 0};
        for (size_t i = 0; i < 3; i++) { /* the start, a step, a step with decay */
            assert_ok(ctx, adapter_new(ctx, m, &shape, &a[i]));
            add_head(ctx, m, a[i], o.objective);
            assert_ok(ctx, adapter_parameters(ctx, a[i], &p[i]));
            for (size_t t = 0; t < p[i].n; t++) /* what is zero at first has nothing to lose */
                for (size_t j = 0; j < p[i].items[t].n_rows * p[i].items[t].n_columns; j++)
                    p[i].items[t].value[j] += 0.1f;
            adapter_changed(ctx, a[i]);
            o.weight_decay = i == 2 ? 0.5f : 0;
            if (i > 0)
                assert_ok(ctx, train(ctx, m, a[i], NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        }
        for (size_t t = 0; t < p[0].n; t++)
            check_decay(objectives[k], &p[0].items[t], &p[1].items[t], &p[2].items[t], 0.5 * 1e-2);
        for (size_t i = 0; i < 3; i++)
            adapter_free(a[i]);
        model_free(m);
    }
}

static void train__refuses_foreign_checkpoints(void **state) {
    agon_ctx *ctx = *state;
    const setting s = {"sft", 1, N_PROMPT, true, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, 1, N_PROMPT);
    record half = run(&s, &d, NULL, 10);
    const byte_reader left = record_reader(&half);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("sft"), other = o;
    other.lr = 1e-3f;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &other, NULL, &left), AGON_EMISMATCH);
    d.tokens[3][0][1] ^= 1;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    d.tokens[3][0][1] ^= 1;
    ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    ctx->numerics = AGON_NUMERICS_PORTABLE;
    for (size_t n = 0; n < 64; n++) {
        const byte_reader cut = byte_reader_part(&left, 0, n);
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &cut), AGON_EFORMAT);
    }
    half.state[half.n / 2] ^= 1;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EFORMAT);
    free(half.state);
    adapter_free(a);
    model_free(m);
}

/* Everything a run is a function of belongs to its checkpoint's identity: another row, option or reference is another run. */
static void train__refuses_checkpoints_of_other_rows_or_options(void **state) {
    agon_ctx *ctx = *state;
    const setting s = {"dpo", 2, N_PROMPT, true, COMPUTE_F32, 1, NULL};
    test_data d;
    new_data(&d, 2, N_PROMPT);
    record half = run(&s, &d, NULL, 2);
    const byte_reader left = record_reader(&half);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m), *b = new_adapter(ctx, m);
    train_options o = options_for("dpo");
    train_response *x = &d.responses[3][1];
    const float ones[N_RESPONSE] = {1, 1, 1, 1, 1, 1};
    train_moments carried = {0};
    double *const numbers[] = {&d.rows[3].weight, &x->reward, &x->advantage, &x->label, &x->weight, &o.warmup, &o.objective_options[0]};
    float *const floats[] = {&o.lr, &o.beta1, &o.beta2, &o.eps, &o.weight_decay, &o.clip_norm, &o.temperature};
    const float **const arrays[] = {&x->mask, &x->old, &x->old_values, &x->targets, &x->token_rewards};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const double was = *numbers[i];
        *numbers[i] = was > 0 ? was / 2 : 1;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("number %zu is not part of a run's identity", i);
        *numbers[i] = was;
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        const float was = *floats[i];
        *floats[i] = was > 0 ? was / 2 : 1;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("option %zu is not part of a run's identity", i);
        *floats[i] = was;
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ones;
        if (train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left) != AGON_EMISMATCH)
            fail_msg("the tokens' numbers %zu are not part of a run's identity", i);
        *arrays[i] = NULL;
    }
    o.seed ^= (uint64_t)1 << 60;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.seed ^= (uint64_t)1 << 60;
    o.schedule = SCHEDULE_LINEAR;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.schedule = SCHEDULE_COSINE;
    o.moments = &carried;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.moments = NULL;
    assert_int_equal(train(ctx, m, a, m, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    assert_int_equal(train(ctx, m, a, NULL, b, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left)); /* and nothing else is wrong with it */
    free(half.state);
    adapter_free(a);
    adapter_free(b);
    model_free(m);
}

static void train__names_step_and_row_of_a_bad_number(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    for (size_t i = 0; i < N_ROWS; i++)
        d.rows[i].weight = INFINITY;
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("dpo");
    assert_int_not_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_OK);
    assert_non_null(strstr(agon_error(ctx), "step 1"));
    assert_non_null(strstr(agon_error(ctx), "training row"));
    new_data(&d, 2, N_PROMPT);
    d.tokens[5][1][0] = N_VOCABULARY; /* out of range */
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "training row 6:"));
    for (size_t i = 0; i < N_ROWS; i++)
        d.rows[i].file = "rows.jsonl", d.rows[i].line = i + 4; /* read from a file, three bad lines before them */
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), ", rows.jsonl:9: "));
    parameters p;
    new_data(&d, 2, N_PROMPT);
    assert_ok(ctx, adapter_parameters(ctx, a, &p));
    p.items[0].value[0] = NAN;
    adapter_changed(ctx, a);
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_ENUMERIC);
    adapter_free(a);
    model_free(m);
}

/* After the last step no other finds out, and a checkpoint is what another run begins with. */
static void train__keeps_nothing_that_is_of_no_use(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    const struct {
        const char *objective;
        float lr;
        size_t every;
    } cases[] = {{"dpo", 1e30f, 0}, {"dpo", 1e30f, 1}, {"dpo", 3e38f, 0}, {"bt", 1e30f, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        adapter *a = new_adapter(ctx, m);
        record r = {0};
        train_options o = options_for(cases[i].objective);
        const train_sink sink = {.on_step = record_step, .on_checkpoint = cases[i].every ? record_checkpoint : NULL, .arg = &r};
        add_head(ctx, m, a, o.objective);
        o.max_steps = cases[i].every ? 3 : 1;
        o.lr = cases[i].lr;
        o.checkpoint_every = cases[i].every;
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL), AGON_ENUMERIC);
        if (!strstr(agon_error(ctx), "after step 1 the trained model is of no use") || !strstr(agon_error(ctx), "not finite"))
            fail_msg("%s: %s", cases[i].objective, agon_error(ctx));
        assert_null(r.state);
        adapter_free(a);
    }
    model_free(m);
}

/* A check that was passed says nothing of later steps: decay makes these weights grow, and they are finite after the first. */
static void train__checks_what_it_keeps_each_time(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    record r = {0};
    train_options o = options_for("sft");
    const train_sink sink = {.on_step = record_step, .on_checkpoint = record_checkpoint, .arg = &r};
    o.max_steps = 2;
    o.lr = 1;
    o.warmup = 0;
    o.schedule = SCHEDULE_CONSTANT;
    o.weight_decay = 1e15f;
    o.checkpoint_every = 1;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, &sink, NULL), AGON_ENUMERIC);
    assert_non_null(strstr(agon_error(ctx), "after step 2 the trained model is of no use"));
    assert_non_null(r.state); /* of step 1 */
    free(r.state);
    adapter_free(a);
    model_free(m);
}

/* A batch whose loss is taken at once: its rows are numbered by the batch, in the step's order; the sentence names the row of the data. */
static void train__names_the_row_of_a_coupled_batch(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    for (size_t i = 0; i < N_ROWS; i++)
        d.responses[i][0].reward = i == 5 ? INFINITY : 1, d.responses[i][0].advantage = NAN;
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("reinforce++");
    o.batch_rows = N_ROWS;
    assert_int_not_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_OK);
    assert_non_null(strstr(agon_error(ctx), "step 1, training row 6: "));
    assert_non_null(strstr(agon_error(ctx), "reward"));
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

/* All weights: the first step is checked against a reference that is said to be where it starts. */
static void train__checks_that_it_starts_at_its_reference(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 2, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32), *reference = new_model(ctx, COMPUTE_F32);
    train_options o = options_for("dpo");
    o.reference_is_start = true;
    assert_ok(ctx, train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    assert_int_equal(train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EMISMATCH); /* m has moved */
    assert_non_null(strstr(agon_error(ctx), "the policy is the reference"));
    o.reference_is_start = false;
    assert_ok(ctx, train(ctx, m, NULL, reference, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    model_free(m);
    model_free(reference);
}

/* Rows that are said to be sampled from the weights at the start: the first ratios are checked to be 1. */
static void train__checks_that_it_starts_at_its_samples(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, K, N_PROMPT);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t k = 0; k < K; k++)
            d.responses[i][k].old = d.old[i][k];
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("grpo");
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
    o.old_is_start = true;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EMISMATCH);
    assert_non_null(strstr(agon_error(ctx), "the policy is what sampled the row"));
    adapter_free(a);
    model_free(m);
}

static void train__refuses_what_it_cannot_run(void **state) {
    agon_ctx *ctx = *state;
    test_data d;
    new_data(&d, 1, N_PROMPT);
    model *m = new_model(ctx, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m);
    train_options o = options_for("dpo");
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    o = options_for("ppo");
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EUNSUPPORTED);
    o = options_for("rm-pointwise");
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "head"));
    o = options_for("kto"); /* of one row there is no answer to another prompt */
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, 1, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "2 rows or more"));
    o = options_for("sft");
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, 0, &o, NULL, NULL), AGON_EINVAL);
    o.batch_rows = 0;
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    new_data(&d, 2, N_PROMPT);
    o = options_for("dpo");
    assert_int_equal(train(ctx, m, NULL, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    /* Longer than the model's context: said before the first step, with the row. */
    int32_t prompt[256] = {0};
    new_data(&d, 1, N_PROMPT);
    d.rows[5].prompt = prompt;
    d.rows[5].n_prompt = 256;
    o = options_for("sft");
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "training row 6, response 1:"));
    assert_non_null(strstr(agon_error(ctx), "context is 256"));
    adapter_free(a);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__resumes_bit_for_bit),
        cmocka_unit_test(token_forward__takes_the_models_vocabulary),
        cmocka_unit_test(train__every_objective_resumes),
        cmocka_unit_test(bt__learns_the_better_of_two),
        cmocka_unit_test(ppo__value_head_fits_returns),
        cmocka_unit_test(heads__gradients_match_differences),
        cmocka_unit_test(sft__smoothed_targets_are_learnt),
        cmocka_unit_test(train__ignores_the_number_of_threads),
        cmocka_unit_test(sft__random_tokens_stay_at_ln_v),
        cmocka_unit_test(dpo__starts_at_log_two),
        cmocka_unit_test(sft__overfits_eight_examples),
        cmocka_unit_test(sft__groups_equal_singles),
        cmocka_unit_test(train__masked_tokens_are_context),
        cmocka_unit_test(grpo__raises_the_rewarded),
        cmocka_unit_test(train__says_how_far_a_step_goes),
        cmocka_unit_test(train__norm_is_of_all_parameters),
        cmocka_unit_test(train__decays_the_factors_of_an_adapter),
        cmocka_unit_test(train__refuses_foreign_checkpoints),
        cmocka_unit_test(train__refuses_checkpoints_of_other_rows_or_options),
        cmocka_unit_test(train__names_step_and_row_of_a_bad_number),
        cmocka_unit_test(train__keeps_nothing_that_is_of_no_use),
        cmocka_unit_test(train__checks_what_it_keeps_each_time),
        cmocka_unit_test(train__names_the_row_of_a_coupled_batch),
        cmocka_unit_test(kto__mismatched_pairs_fit_the_context),
        cmocka_unit_test(train__checks_that_it_starts_at_its_reference),
        cmocka_unit_test(train__checks_that_it_starts_at_its_samples),
        cmocka_unit_test(train__refuses_what_it_cannot_run),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

/* experiment: span-rewards. Does a critic that names the wrong places (RELC, Cao et al. 2024, 2401.07382) make a policy gradient faster?
 *
 *   policy     a model from scratch that has learnt from statements with planted mistakes (sequence_plant): in some places of its answers its
 *              most likely token is wrong, in the others it is right
 *   training   online_train, what `agon train OBJECTIVE --online --span-reward X` runs: a LoRA adapter, one optimiser step a round on `samples`
 *              answers to each of `prompts` new sources. The verifier gives 1 for an answer that is right in all places, at its last token
 *   critic     a program that knows the answer and names runs of wrong tokens; each loses `span_reward`, spread over its tokens, 0 elsewhere
 *   arms       sparse    the verifier alone
 *              dense     and what the critic names
 *              noisy     and what a critic names that overlooks the share `missed` of the wrong tokens and names `false_alarms` of the right ones
 *              total     what a sample loses in all, at its last token: how much is wrong, and not where
 *              random    what a sample loses in all, on tokens of it drawn at random
 *              shuffled  what the critic names in an answer to another source
 *   measure    greedy answers to sources that are held out, after each step; steps until `target` of them are right
 *
 * All arms of a seed start from one policy and see the same sources in the same order, so that they are compared in pairs. */
#include "base/ctx.h"
#include "experiment/experiment.h"
#include "train/critique_spans.h"
#include "train/online.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}], \"corpus_items\": 240000,"
    "\"corpus_lr\": 0.003, \"every\": 2, \"planted\": 0.9, \"objective\": \"reinforce++\", \"span_reward\": 0.2, \"missed\": 0.3, \"false_alarms\": 0.1,"
    "\"rounds\": 120, \"prompts\": 16, \"samples\": 4, \"lr\": 0.003, \"rank\": 16, \"test_items\": 200, \"target\": 0.9}";

typedef enum arm { SPARSE, DENSE, NOISY, TOTAL, RANDOM, SHUFFLED, N_ARMS } arm;
static const char *const arm_names[N_ARMS] = {"sparse", "dense", "noisy", "total", "random", "shuffled"};

typedef struct field {
    lab *l;
    size_t n_rounds, n_prompts, n_samples, rank, n_test, n_answer, every;
    double planted, span_reward, missed, false_alarms, lr, target;
    const objective *objective;
    sequence_item *test;  /* [n_test] true statements, the same under every seed */
    double *accuracy;     /* [n_seeds, N_ARMS, n_rounds + 1] of greedy answers, from before the first step */
    double *sums;         /* [n_seeds, N_ARMS] mean over rounds and samples of what the critic took */
} field;

static double *accuracy_of(const field *x, size_t seed, size_t a) {
    return x->accuracy + (seed * N_ARMS + a) * (x->n_rounds + 1);
}

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_objective(lab *l, field *x) {
    const char *name = json_string_value(json_object_get(l->settings, "objective"));
    x->objective = name ? objective_find(name) : NULL;
    if (!x->objective || !(x->objective->needs & TAKES_TOKEN_REWARDS))
        return ctx_fail(l->ctx, AGON_EINVAL, "objective is '%.40s'; ppo and reinforce++ take rewards of single tokens", name ? name : "");
    return AGON_OK;
}

static agon_status take_options(lab *l, void *arg) {
    field *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"rounds", 1, 100000, &x->n_rounds}, {"prompts", 2, 4096, &x->n_prompts}, {"samples", 1, 256, &x->n_samples},
                 {"rank", 1, 256, &x->rank}, {"every", 1, 26, &x->every}, {"test_items", 20, 1000000, &x->n_test}, {0}};
    const lab_fraction real[] = {{"planted", 0, 1, &x->planted}, {"span_reward", 1e-6, 1e3, &x->span_reward},
                {"missed", 0, 1, &x->missed}, {"false_alarms", 0, 1, &x->false_alarms}, {"lr", 1e-9, 1, &x->lr}, {"target", 1e-3, 1, &x->target}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s)
        s = take_objective(l, x);
    if (!s) {
        /* Every answer of a family is as long: sampling stops there, and END is one of the tokens that may be wrong. */
        rng r = rng_new(0);
        sequence_item one;
        sequence_draw(l->family, true, &r, &one);
        x->n_answer = one.n - one.n_source;
    }
    return s;
}

/* ---- the policy ---------------------------------------------------------------------------------------------- */

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    field *x = arg;
    sequence_item *corpus = NULL;
    double loss = 0;
    agon_status s = lab_draw_corpus(x->l, ctx, seed, x->test, x->n_test, &corpus);
    rng r = rng_new(lab_seed(x->l, seed, "planted"));
    for (size_t i = 0; i < x->l->n_corpus && !s; i++)
        sequence_plant(&r, x->every, x->planted, &corpus[i]);
    if (!s)
        s = lab_learn(x->l, ctx, seed, "policy", corpus, 32, &loss);
    if (!s)
        lab_say_seed(x->l, seed, "policy: %.3f nats a token", loss);
    free(corpus);
    return s;
}

/* ---- one training -------------------------------------------------------------------------------------------- */

typedef struct training {
    const field *x;
    agon_ctx *ctx;
    lab_model *m;
    adapter *a;
    size_t seed, round, n;  /* n: samples of a round */
    arm arm;
    sequence_item *sources; /* [n_prompts] of the round, true statements */
    bool (*named)[SEQUENCE_MAX]; /* [n] what the critic names in each sample */
    double *accuracy, sum;
} training;

static agon_status give_prompts(void *arg, size_t round, online_prompt *out) {
    training *t = arg;
    const field *x = t->x;
    agon_status s = lab_draw(x->l, t->ctx, lab_seed(x->l, t->seed, "sources %zu", round), x->test, x->n_test, x->n_prompts, t->sources);
    for (size_t i = 0; i < x->n_prompts && !s; i++)
        out[i] = (online_prompt){.tokens = t->sources[i].tokens, .n = t->sources[i].n_source};
    t->round = round;
    return s;
}

static sequence_item answered(const sequence_item *source, const completion *c) {
    sequence_item item = *source;
    item.n = item.n_source;
    for (size_t k = 0; k < c->n_tokens && item.n < SEQUENCE_MAX; k++)
        item.tokens[item.n++] = c->tokens[k];
    return item;
}

/* The critic, who overlooks some of what is wrong and names some of what is right. */
static void criticise(const training *t, size_t i, const sequence_item *truth, const sequence_item *answer) {
    const field *x = t->x;
    rng r = rng_new(lab_seed(x->l, t->seed, "critic %zu %zu", t->round, i));
    sequence_wrong_places(truth, answer, t->named[i]);
    for (size_t k = 0; t->arm == NOISY && k < answer->n - answer->n_source; k++) {
        bool errs = rng_uniform(&r) < (t->named[i][k] ? x->missed : x->false_alarms);
        t->named[i][k] = t->named[i][k] != errs;
    }
}

static agon_status give_rewards(void *arg, size_t round, const online_prompt *prompts, const completion *samples, double *rewards) {
    training *t = arg;
    (void)round, (void)prompts;
    for (size_t i = 0; i < t->n; i++) {
        const sequence_item *truth = &t->sources[i / t->x->n_samples], answer = answered(truth, &samples[i]);
        rewards[i] = sequence_verify(t->x->l->family, answer.tokens, answer.n) ? 1 : 0;
        criticise(t, i, truth, &answer);
    }
    return AGON_OK;
}

/* Runs of named tokens as spans; a token is a byte long here. Returns how many; spans [n]. */
static size_t spans_of(const bool *named, size_t n, double value, text_span *spans) {
    size_t n_spans = 0;
    for (size_t k = 0; k < n; k++) {
        if (!named[k])
            continue;
        if (k == 0 || !named[k - 1])
            spans[n_spans++] = (text_span){k, k, value};
        spans[n_spans - 1].end = k + 1;
    }
    return n_spans;
}

/* The controls: the same sum in another place. */
static void misplace(const training *t, size_t i, size_t n, double *x) {
    rng r = rng_new(lab_seed(t->x->l, t->seed, "places %zu %zu", t->round, i));
    for (size_t k = n; t->arm == RANDOM && k-- > 1;) {
        size_t j = (size_t)rng_below(&r, k + 1);
        double kept = x[k];
        x[k] = x[j];
        x[j] = kept;
    }
    for (size_t k = 0; t->arm == TOTAL && k + 1 < n; k++) {
        x[n - 1] += x[k];
        x[k] = 0;
    }
}

static agon_status give_token_rewards(void *arg, size_t i, const completion *sample, double *out) {
    training *t = arg;
    size_t offsets[SEQUENCE_MAX][2], n = sample->n_tokens;
    text_span spans[SEQUENCE_MAX] = {{0}};
    /* Another source's: the next prompt's, the last one's are the first one's. */
    size_t whose = t->arm == SHUFFLED ? (i + t->x->n_samples) % t->n : i;
    for (size_t k = 0; k < n; k++)
        offsets[k][0] = k, offsets[k][1] = k + 1;
    size_t n_spans = spans_of(t->named[whose], n, -t->x->span_reward, spans);
    span_rewards((const size_t(*)[2])offsets, n, spans, n_spans, SPAN_SPREAD, out);
    misplace(t, i, n, out);
    return AGON_OK;
}

/* Share of the held-out sources that the policy answers rightly, greedily. */
static agon_status examine(training *t, double *share) {
    const field *x = t->x;
    generate_request *requests = memory_new(x->n_test, sizeof *requests);
    completion *answers = memory_new(x->n_test, sizeof *answers);
    static const uint64_t no_seed = 0;
    size_t right = 0;
    sampling greedy = sampling_default();
    greedy.temperature = 0;
    greedy.max_tokens = x->n_answer;
    agon_status s = requests && answers ? AGON_OK : ctx_fail(t->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_test && !s; i++)
        requests[i] = (generate_request){.prompt = x->test[i].tokens, .n_prompt = x->test[i].n_source, .n_samples = 1, .seeds = &no_seed,
                                         .adapter = t->a, .sampling = greedy};
    if (!s)
        s = generate(t->ctx, t->m->m, requests, x->n_test, &(generate_options){0}, answers);
    for (size_t i = 0; i < x->n_test && !s; i++) {
        sequence_item answer = answered(&x->test[i], &answers[i]);
        right += sequence_verify(x->l->family, answer.tokens, answer.n);
        completion_free(&answers[i]);
    }
    *share = (double)right / (double)x->n_test;
    free(requests);
    free(answers);
    return s;
}

static agon_status on_round(void *arg, const online_report *r) {
    training *t = arg;
    t->sum += r->span_reward / (double)t->x->n_rounds;
    if (atomic_load(&t->x->l->ctx->interrupted))
        return AGON_EINTERRUPTED;
    return examine(t, &t->accuracy[r->round]);
}

static agon_status train_arm(training *t) {
    const field *x = t->x;
    const online_sink sink = {.prompts = give_prompts, .rewards = give_rewards, .on_round = on_round, .arg = t,
                              .token_rewards = give_token_rewards};
    online_options o = {.train = train_options_default(), .n_rounds = x->n_rounds, .n_prompts = x->n_prompts, .n_samples = x->n_samples,
                        .max_tokens = x->n_answer, .span_rewards = t->arm != SPARSE, .schedule = SCHEDULE_CONSTANT};
    o.train.objective = x->objective;
    objective_defaults(x->objective, o.train.objective_options);
    o.train.batch_rows = x->objective->rows & ROW_GROUP ? x->n_prompts : t->n;
    o.train.schedule = SCHEDULE_CONSTANT;
    o.train.warmup = 0;
    o.train.lr = (float)x->lr;
    o.train.seed = lab_seed(x->l, t->seed, "training");
    agon_status s = examine(t, &t->accuracy[0]);
    return s ? s : online_train(t->ctx, t->m->m, t->a, NULL, &o, &sink, NULL, 0);
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    field *x = arg;
    size_t seed = i / N_ARMS, n = x->n_rounds + 1;
    training t = {.x = x, .ctx = ctx, .seed = seed, .n = x->n_prompts * x->n_samples, .arm = (arm)(i % N_ARMS)};
    const adapter_options shape = {.rank = x->rank, .alpha = (float)(2 * x->rank), .seed = lab_seed(x->l, seed, "adapter")};
    double *kept = memory_new(n + 1, sizeof *kept); /* and the sum */
    bool found = false;
    char key[48];
    snprintf(key, sizeof key, "arm %zu %s", seed, arm_names[t.arm]);
    t.sources = memory_new(x->n_prompts, sizeof *t.sources);
    t.named = memory_new(t.n, sizeof *t.named);
    t.accuracy = kept;
    agon_status s = kept && t.sources && t.named ? lab_recall(x->l, ctx, key, kept, n + 1, &found) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        s = lab_model_copy(ctx, x->l->models[seed], &t.m);
        if (!s)
            s = adapter_new(ctx, t.m->m, &shape, &t.a);
        if (!s)
            s = train_arm(&t);
        if (!s)
            kept[n] = t.sum;
        if (!s)
            s = lab_keep(x->l, ctx, key, kept, n + 1);
    }
    if (!s) {
        memcpy(accuracy_of(x, seed, t.arm), kept, n * sizeof *kept);
        x->sums[i] = kept[n];
        if (!found)
            lab_say_seed(x->l, seed, "%-8s greedy answers right: %.3f before, %.3f at the end", arm_names[t.arm], kept[0], kept[n - 1]);
    }
    adapter_free(t.a);
    lab_model_free(t.m);
    free(t.sources), free(t.named), free(kept);
    return s;
}

/* ---- figures --------------------------------------------------------------------------------------------------- */

/* The first step after which the target is reached; one more than there were where it never is. */
static double steps_to_target(const field *x, const double *accuracy) {
    for (size_t k = 0; k <= x->n_rounds; k++)
        if (accuracy[k] >= x->target)
            return (double)k;
    return (double)(x->n_rounds + 1);
}

enum { STEPS, TOKENS, MEAN_ACCURACY, LAST_ACCURACY, CRITIC_SUM, N_FIGURES };
static const char *const figure_names[N_FIGURES] = {"steps_to_target", "sampled_tokens_to_target", "mean_accuracy", "last_accuracy",
                                                    "critic_reward"};

static double figure(const field *x, size_t seed, size_t a, int which) {
    const double *accuracy = accuracy_of(x, seed, a);
    double sum = 0, steps = steps_to_target(x, accuracy);
    for (size_t k = 1; k <= x->n_rounds; k++)
        sum += accuracy[k] / (double)x->n_rounds;
    return which == STEPS           ? steps
           : which == TOKENS        ? steps * (double)(x->n_prompts * x->n_samples * x->n_answer)
           : which == MEAN_ACCURACY ? sum
           : which == LAST_ACCURACY ? accuracy[x->n_rounds]
                                    : x->sums[seed * N_ARMS + a];
}

static json_t *arm_json(const field *x, size_t a) {
    double v[LAB_MAX_SEEDS];
    size_t missed = 0;
    json_t *out = json_pack("{s:s}", "arm", arm_names[a]), *curve = json_array();
    for (int f = 0; f < N_FIGURES; f++) {
        for (size_t i = 0; i < x->l->n_seeds; i++)
            v[i] = figure(x, i, a, f);
        json_object_set_new(out, figure_names[f], lab_over_seeds(v, x->l->n_seeds));
    }
    for (size_t k = 0; k <= x->n_rounds; k++) {
        double mean = 0;
        for (size_t i = 0; i < x->l->n_seeds; i++)
            mean += accuracy_of(x, i, a)[k] / (double)x->l->n_seeds;
        json_array_append_new(curve, json_real(mean));
    }
    for (size_t i = 0; i < x->l->n_seeds; i++)
        missed += figure(x, i, a, STEPS) > (double)x->n_rounds;
    json_object_set_new(out, "target_not_reached", json_integer((json_int_t)missed));
    json_object_set_new(out, "accuracy_by_step", curve);
    return out;
}

/* What an arm saves against another: steps within each seed, and their interval. */
static json_t *contrast_json(const field *x, size_t a, size_t b) {
    double saved[LAB_MAX_SEEDS], more[LAB_MAX_SEEDS];
    for (size_t i = 0; i < x->l->n_seeds; i++) {
        saved[i] = figure(x, i, b, STEPS) - figure(x, i, a, STEPS);
        more[i] = figure(x, i, a, MEAN_ACCURACY) - figure(x, i, b, MEAN_ACCURACY);
    }
    const lab_estimate steps = lab_estimate_of(saved, x->l->n_seeds);
    const char *finding = lab_finding(steps.low, steps.high, "faster", "slower");
    lab_say(x->l, "%s against %s: %+.1f steps to %.0f%% saved [%.1f, %.1f] (%s)", arm_names[a], arm_names[b],
            steps.mean, 100 * x->target, steps.low, steps.high, finding);
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "arm", arm_names[a], "against", arm_names[b], "finding", finding, "steps_saved",
                     lab_over_seeds(saved, x->l->n_seeds), "mean_accuracy_gained", lab_over_seeds(more, x->l->n_seeds));
}

/* The curve of an arm with its interval over seeds (none for one seed): y, low, high [3, n]. Of many steps about eight have an interval, other ones
 * for each arm: all of them would hide one another. */
static void curve_of(const field *x, size_t arm, double *y) {
    size_t n = x->n_rounds + 1, stride = (n + 7) / 8, first = arm * stride / N_ARMS;
    for (size_t k = 0; k < n; k++) {
        double v[LAB_MAX_SEEDS];
        for (size_t i = 0; i < x->l->n_seeds; i++)
            v[i] = accuracy_of(x, i, arm)[k];
        const lab_estimate e = lab_estimate_of(v, x->l->n_seeds);
        bool shown = k % stride == first;
        y[k] = e.mean, y[n + k] = shown ? e.low : NAN, y[2 * n + k] = shown ? e.high : NAN;
    }
}

static agon_status draw(const field *x) {
    size_t n = x->n_rounds + 1;
    double *axes = memory_new((3 * N_ARMS + 1) * n, sizeof *axes);
    plot_series series[N_ARMS];
    char title[128];
    if (!axes)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < n; k++)
        axes[k] = (double)k;
    for (size_t a = 0; a < N_ARMS; a++) {
        double *y = axes + (3 * a + 1) * n;
        curve_of(x, a, y);
        series[a] = (plot_series){.name = arm_names[a], .x = axes, .y = y, .low = y + n, .high = y + 2 * n, .n = n};
    }
    snprintf(title, sizeof title, "%s, %zu seed%s", sequence_family_name(x->l->family), x->l->n_seeds, x->l->n_seeds > 1 ? "s; bars: 95% over seeds" : "");
    const plot_panel panel = {.title = title, .x_name = "optimiser steps", .y_name = "greedy answers right",
                              .series = series, .n_series = N_ARMS, .y_low = 0, .y_high = 1};
    agon_status s = lab_plot(x->l, "curves.svg", &panel, 1, 1);
    free(axes);
    return s;
}

static agon_status report(const field *x, json_t **result) {
    json_t *arms = json_array(), *contrasts = json_array();
    for (size_t a = 0; a < N_ARMS; a++)
        json_array_append_new(arms, arm_json(x, a));
    for (size_t a = SPARSE + 1; a < N_ARMS; a++)
        json_array_append_new(contrasts, contrast_json(x, a, SPARSE));
    for (size_t a = TOTAL; a < N_ARMS; a++)
        json_array_append_new(contrasts, contrast_json(x, DENSE, a));
    agon_status s = draw(x);
    if (!s)
        *result = json_pack("{s:O,s:O}", "arms", arms, "contrasts", contrasts);
    json_decref(arms), json_decref(contrasts);
    return s;
}

/* ---- the experiment -------------------------------------------------------------------------------------------- */

static agon_status run(void *arg, json_t **result) {
    field *x = arg;
    lab *l = x->l;
    x->test = lab_take(l, x->n_test, sizeof *x->test);
    x->accuracy = lab_take(l, l->n_seeds * N_ARMS * (x->n_rounds + 1), sizeof *x->accuracy);
    x->sums = lab_take(l, l->n_seeds * N_ARMS, sizeof *x->sums);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_draw(l, l->ctx, lab_seed(l, 0, "test"), NULL, 0, x->n_test, x->test);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, l->n_seeds * N_ARMS, run_one, x);
    return s ? s : report(x, result);
}

/* A sample is a pass a token and one of the reference, a greedy answer a pass a token. */
static void plan(const void *arg, double *trained, double *asked) {
    const field *x = arg;
    const lab *l = x->l;
    double runs = lab_rounds(l, l->n_seeds * N_ARMS), rounds = runs * (double)x->n_rounds, samples = (double)(x->n_prompts * x->n_samples);
    trained[0] = lab_rounds(l, l->n_seeds) * (double)l->n_corpus + rounds * samples;
    asked[0] = rounds * ((double)(x->n_answer + 1) * samples + (double)(x->n_answer * x->n_test));
}

const experiment experiment_span_rewards = {
    .name = "span-rewards",
    .summary = "rewards of the places a critic names, beside one reward an answer",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(field),
    .options = take_options,
    .plan = plan,
    .run = run,
};

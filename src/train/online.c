/* Online training, see online.h.
 *
 *   for each round:  prompts;  K samples a prompt with their log_probs;  rewards
 *                    KL to the reference; values at sampling;  rows;  train;  beta follows the KL;  store
 *
 * The optimiser's moments go on from round to round. Formulas: training.md section 3 (details that decide success). */
#include "train/online_private.h"
#include "base/available.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "objective/policy.h"
#include "train/critique_spans.h"
#include "train/selection.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

agon_status online_no_memory(online *o) {
    return ctx_fail(o->ctx, AGON_ENOMEM, "online training: out of memory");
}

static size_t n_samples(const online *o) {
    return o->options.n_prompts * o->options.n_samples;
}

/* ---- what can be refused before anything runs ------------------------------------------------------------------ */

static agon_status check_demonstrations(online *o) {
    const online_options *p = &o->options;
    const char *name = p->train.objective->name;
    if (p->demonstrations && !o->pairs)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s takes no pairs; demonstrations above failing samples are for dpo, spin and the like",
                        name);
    if (p->demonstrations && p->n_accept)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: pairs come from demonstrations or from rejection sampling, not both");
    if (p->demonstrations && !isfinite(p->pass_reward))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: the reward of a pass must be a number");
    return AGON_OK;
}

/* How many samples of a prompt rejection sampling accepts. */
static agon_status check_rejection(online *o) {
    const online_options *p = &o->options;
    const char *name = p->train.objective->name;
    bool rejects = (o->needs & TAKES_REJECTED_SAMPLES) && !p->demonstrations;
    o->n_accept = p->n_accept ? p->n_accept : !rejects ? 0 : p->n_samples / 2 < 2 ? 2 : p->n_samples / 2;
    if (o->n_accept && (!o->pairs || (o->needs & TAKES_DEMONSTRATIONS)))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s does not pick pairs among samples; rejection sampling is for rso-sigmoid, "
                        "rso-hinge, dpo and the like", name);
    if (o->n_accept && (o->n_accept < 2 || o->n_accept > p->n_samples))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %zu of %zu samples cannot be accepted; 2 or more make pairs", o->n_accept,
                        p->n_samples);
    if (o->n_accept && !(p->rso_beta >= 0))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: the temperature of rejection sampling is %g; it must be 0 or more",
                        p->rso_beta);
    return AGON_OK;
}

static agon_status check(online *o) {
    const online_options *p = &o->options;
    const objective *x = p->train.objective;
    if (!x)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: no objective is given");
    o->needs = objective_needs_with(x, p->train.objective_options);
    o->pairs = samples_make_pairs(x);
    agon_status s = samples_check(o->ctx, x, o->needs);
    if (s)
        return ctx_prefix(o->ctx, s, "online training");
    if (p->n_rounds < 1 || p->n_prompts < 1 || p->n_samples < 1 || p->max_tokens < 1)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: rounds, prompts, samples and tokens must be 1 or more");
    if (p->top_k > INT32_MAX)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: top-k is %zu; it is 0 or a number of tokens", p->top_k);
    if (p->top_k && !o->pairs)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s reads the samples as draws of the whole distribution, which top-k changes; it is for "
                        "objectives that pick among samples (rso-sigmoid, rso-hinge, dpo and the like)", x->name);
    if (p->n_prompts > ROUND_SAMPLES_MAX || p->n_samples > ROUND_SAMPLES_MAX / p->n_prompts)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: a round of %zu prompts of %zu samples is more than %d samples", p->n_prompts,
                        p->n_samples, ROUND_SAMPLES_MAX);
    if (x->most_responses && p->n_samples > x->most_responses)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s takes %zu samples of a prompt at most; %zu are asked for", x->name, x->most_responses,
                        p->n_samples);
    if (p->n_samples < 2 && !(o->needs & TAKES_DEMONSTRATIONS) && !p->demonstrations && (o->pairs || !(x->rows & ROW_SINGLE) || (o->needs & NEEDS_GROUP)))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s compares samples of one prompt; ask for 2 or more", x->name);
    if ((x->needs & NEEDS_MISMATCHED) && p->n_prompts < 2 && !p->train.next_partner)
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s compares each prompt with the answer to another: a round needs 2 prompts or more", x->name);
    if (p->span_rewards && !(x->needs & TAKES_TOKEN_REWARDS))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: %s has one reward a sample; ppo and reinforce++ take rewards of spans",
                        x->name);
    if (!(p->no_end_penalty >= 0) || !(p->kl_target >= 0) || !(p->kl_horizon >= 0))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: penalty, KL target and horizon must be 0 or more");
    o->beta = -1;
    for (int i = 0; x->options[i].name; i++)
        if (strcmp(x->options[i].name, "beta") == 0)
            o->beta = i;
    bool tied = o->beta >= 0 && p->train.objective_options[o->beta] > 0 && (o->needs & NEEDS_REFERENCE);
    if (p->kl_horizon > 0 && (!tied || !(p->kl_target > 0)))
        return ctx_fail(o->ctx, AGON_EINVAL, "online training: an adaptive KL needs a target above 0 and an objective whose beta ties it to a "
                        "reference and begins above 0 (--set beta=0.04)");
    s = check_demonstrations(o);
    return s ? s : check_rejection(o);
}

/* ---- sampling and rewarding ---------------------------------------------------------------------------------- */

static agon_status sample(online *o) {
    const online_options *p = &o->options;
    generate_request *requests = arena_take(o->memory, p->n_prompts, sizeof *requests);
    uint64_t *seeds = arena_take(o->memory, n_samples(o), sizeof *seeds);
    if (!requests || !seeds)
        return online_no_memory(o);
    sampling s = sampling_default();
    s.temperature = p->train.temperature > 0 ? p->train.temperature : 1;
    s.max_tokens = p->max_tokens;
    s.top_k = (int32_t)p->top_k;
    s.stop = p->stop;
    s.n_stop = p->n_stop;
    for (size_t i = 0; i < n_samples(o); i++)
        seeds[i] = seed_derivef(p->train.seed, "online %zu %zu", o->round, i);
    for (size_t i = 0; i < p->n_prompts; i++)
        requests[i] = (generate_request){.prompt = o->prompts[i].tokens, .n_prompt = o->prompts[i].n, .n_samples = p->n_samples,
                                         .seeds = seeds + i * p->n_samples, .adapter = o->a, .sampling = s};
    return generate(o->ctx, o->m, requests, p->n_prompts, &(generate_options){0}, o->samples);
}

/* Of rewards [n]; exactly 0 where all are equal. */
static double deviation(const double *rewards, size_t n) {
    double shift = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        shift += rewards[i] - rewards[0];
    const double mean = rewards[0] + shift / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (rewards[i] - mean) * (rewards[i] - mean);
    return sqrt(squares / (double)n);
}

static agon_status take_rewards(online *o) {
    const online_options *p = &o->options;
    size_t n = n_samples(o), ended = 0, flat = 0, different = 0;
    double sum = 0, length = 0;
    agon_status s = o->sink->rewards(o->sink->arg, o->round, o->prompts, o->samples, o->rewards);
    o->report.reward_std = s ? 0 : deviation(o->rewards, n);
    for (size_t i = 0; i < n && !s; i++) {
        const completion *c = &o->samples[i];
        if (!number_fits(o->rewards[i]))
            return ctx_fail(o->ctx, AGON_ENUMERIC, "round %zu, prompt %zu, sample %zu: the reward is %g; it must be from %g to %g",
                            o->round + 1, i / p->n_samples, i % p->n_samples, o->rewards[i], -NUMBER_LIMIT, NUMBER_LIMIT);
        size_t first = i - i % p->n_samples, j = first;
        while (j < i && (o->samples[j].n_tokens != c->n_tokens ||
                         memcmp(o->samples[j].tokens, c->tokens, c->n_tokens * sizeof *c->tokens) != 0))
            j++;
        different += j == i;
        o->fails[i] = o->rewards[i] < p->pass_reward;
        sum += o->rewards[i];
        length += (double)c->n_tokens;
        ended += c->finish == FINISH_STOP;
        if (c->finish != FINISH_STOP)
            o->rewards[i] -= p->no_end_penalty;
    }
    for (size_t i = 0; i < p->n_prompts && !s; i++) {
        size_t k = 1;
        while (k < p->n_samples && o->rewards[i * p->n_samples + k] == o->rewards[i * p->n_samples])
            k++;
        flat += k == p->n_samples;
    }
    o->report.reward = sum / (double)n;
    o->report.length = length / (double)n;
    o->report.ended = (double)ended / (double)n;
    o->report.distinct = (double)different / (double)n;
    o->report.flat_groups = (double)flat / (double)p->n_prompts;
    return s;
}

/* Rewards of single tokens, held so that a sample's cannot outweigh its reward (dense_rewards); where all rewards are equal they alone say
 * anything, and are not held. */
static agon_status take_token_rewards(online *o) {
    size_t n = n_samples(o);
    double flagged = 0, sum = 0;
    for (size_t i = 0; i < n && o->options.span_rewards; i++) {
        const completion *c = &o->samples[i];
        double *x = arena_take(o->memory, c->n_tokens, sizeof *x);
        float *kept = o->token_rewards[i] = arena_take(o->memory, c->n_tokens, sizeof *kept);
        bool any = false;
        agon_status s = x && kept ? o->sink->token_rewards(o->sink->arg, i, c, x) : online_no_memory(o);
        if (s)
            return s;
        dense_rewards(x, c->n_tokens, 1, 0.5 * o->report.reward_std * sqrt((double)c->n_tokens), 0, 0);
        for (size_t t = 0; t < c->n_tokens; t++) {
            kept[t] = (float)x[t];
            any = any || x[t] != 0;
            sum += x[t];
        }
        flagged += any;
    }
    o->report.flagged = flagged / (double)n;
    o->report.span_reward = sum / (double)n;
    return AGON_OK;
}

/* One sample's forward under an adapter: log_prob [n_tokens], or with a head the values that predict its tokens. */
static agon_status score(online *o, const online_prompt *prompt, const completion *c, const adapter *a, const scalar_head *head,
                         float *log_prob, float *values) {
    size_t n = prompt->n + c->n_tokens, width = model_get_config(o->m)->d_model;
    float *channel = memory_new(n, sizeof *channel), *hidden = head ? memory_new(size_mul(n, width), sizeof *hidden) : NULL;
    if (!channel || (head && !hidden)) {
        free(channel);
        return online_no_memory(o);
    }
    unsigned wants = head ? WANT_HIDDEN : WANT_LOG_PROB;
    const segment segments[2] = {
        {.tokens = prompt->tokens, .n_tokens = prompt->n, .parent = -1, .adapter = a, .temperature = o->options.train.temperature,
         .wants = head ? WANT_HIDDEN : 0},
        {.tokens = c->tokens, .n_tokens = c->n_tokens, .parent = 0, .adapter = a, .wants = wants,
         .temperature = o->options.train.temperature},
    };
    const token_channels out = {.log_prob = channel, .hidden = hidden};
    agon_status s = model_forward(o->ctx, o->m, o->work, &(segment_batch){segments, 2}, &out);
    for (size_t j = 0; j < c->n_tokens && !s; j++) {
        if (log_prob)
            log_prob[j] = channel[prompt->n + j];
        if (values) {
            double v;
            scalar_head_forward(head, hidden + (prompt->n + j - 1) * width, 1, &v);
            values[j] = (float)v;
        }
    }
    free(channel);
    free(hidden);
    return s;
}

/* KL to the reference, and the values at sampling where the objective reads values. */
static agon_status score_samples(online *o) {
    const scalar_head *head = o->needs & NEEDS_VALUES ? adapter_head(o->a, HEAD_VALUE) : NULL;
    double kl = 0;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n_samples(o) && !s; i++) {
        const online_prompt *prompt = &o->prompts[i / o->options.n_samples];
        const completion *c = &o->samples[i];
        float *reference = arena_take(o->memory, c->n_tokens, sizeof *reference);
        if (!reference)
            return online_no_memory(o);
        s = score(o, prompt, c, o->reference, NULL, reference, NULL);
        for (size_t j = 0; j < c->n_tokens && !s; j++)
            kl += (double)c->log_probs[j] - (double)reference[j];
        if (s || !head)
            continue;
        if (!(o->values[i] = arena_take(o->memory, c->n_tokens, sizeof **o->values)))
            return online_no_memory(o);
        s = score(o, prompt, c, o->a, head, NULL, o->values[i]);
    }
    o->report.kl = kl / (double)n_samples(o);
    return s;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static train_response response_of(const online *o, size_t i) {
    const completion *c = &o->samples[i];
    return (train_response){.tokens = c->tokens, .n = c->n_tokens, .old = c->log_probs, .old_values = o->values[i],
                            .token_rewards = o->token_rewards[i],
                            .reward = o->rewards[i], .advantage = NAN, .label = NAN, .weight = 1};
}

static agon_status pairs_by_rejection(online *o, size_t i) {
    const online_prompt *p = &o->prompts[i];
    size_t k = o->options.n_samples, first = i * k, n_pairs;
    size_t(*pairs)[2] = arena_take(o->memory, o->n_accept / 2, sizeof *pairs);
    if (!pairs)
        return online_no_memory(o);
    agon_status s = rejection_pairs(o->ctx, o->rewards + first, k, o->options.rso_beta, o->n_accept,
                                    seed_derivef(o->options.train.seed, "rso %zu %zu", o->round, i), pairs, &n_pairs);
    for (size_t j = 0; !s && j < n_pairs; j++)
        s = samples_add_pair(&o->made, p->tokens, p->n, response_of(o, first + pairs[j][0]), response_of(o, first + pairs[j][1]));
    return s;
}

/* The demonstration above own samples: all that fail, or else, for an objective that takes demonstrations, the first one as it is. */
static agon_status pairs_by_demonstration(online *o, size_t i) {
    const online_prompt *p = &o->prompts[i];
    size_t k = o->options.n_samples, first = i * k, n = o->options.demonstrations ? k : 1;
    if (p->n_demonstration == 0)
        return ctx_fail(o->ctx, AGON_EINVAL, "round %zu, prompt %zu: there is no demonstration", o->round + 1, i);
    train_response human = {.tokens = p->demonstration, .n = p->n_demonstration, .reward = NAN, .advantage = NAN,
                            .label = NAN, .weight = 1};
    agon_status s = AGON_OK;
    for (size_t j = first; j < first + n && !s; j++)
        if (!o->options.demonstrations || o->fails[j])
            s = samples_add_pair(&o->made, p->tokens, p->n, human, response_of(o, j));
    return s;
}

static agon_status rows_of_prompt(online *o, size_t i) {
    const online_prompt *p = &o->prompts[i];
    size_t k = o->options.n_samples, first = i * k;
    if ((o->needs & TAKES_DEMONSTRATIONS) || o->options.demonstrations)
        return pairs_by_demonstration(o, i);
    if (o->n_accept)
        return pairs_by_rejection(o, i);
    train_response *samples = arena_take(o->memory, k, sizeof *samples);
    if (!samples)
        return online_no_memory(o);
    for (size_t j = 0; j < k; j++)
        samples[j] = response_of(o, first + j);
    return samples_add(&o->made, p->tokens, p->n, samples, k);
}

/* ---- a round ---------------------------------------------------------------------------------------------------- */

static agon_status keep_loss(void *arg, const train_progress *p) {
    online *o = arg;
    o->report.loss = p->loss;
    return o->sink->on_step ? o->sink->on_step(o->sink->arg, p) : AGON_OK;
}

/* Whether a prompt can meet the answer to another. */
static bool has_partners(const online *o) {
    size_t i = 1;
    while (i < o->made.n && !o->options.train.next_partner && rows_share_prompt(&o->made.rows[0], &o->made.rows[i]))
        i++;
    return i < o->made.n;
}

static agon_status learn(online *o) {
    adapter *start = NULL;
    const adapter *reference = o->reference;
    train_options t = o->options.train;
    const train_sink sink = {.on_step = keep_loss, .arg = o};
    if (o->made.n == 0 || ((o->needs & NEEDS_MISMATCHED) && !has_partners(o)))
        return AGON_OK; /* every prompt was a tie, or what it is to be compared with is missing: nothing to learn this round */
    agon_status s = o->pairs ? adapter_clone(o->ctx, o->a, &start) : AGON_OK;
    if (s)
        return s;
    t.seed = seed_derivef(t.seed, "order %zu", o->round);
    t.lr = (float)schedule_lr(o->options.schedule, (double)t.lr, 0, o->options.n_rounds, 0, o->round);
    t.moments = &o->moments;
    t.old_is_start = true;
    t.checkpoint_every = 0;
    s = train(o->ctx, o->m, o->a, NULL, o->pairs ? start : reference, o->made.rows, o->made.n, &t, &sink, NULL);
    adapter_free(start);
    return s == AGON_OK ? s : ctx_prefix(o->ctx, s, "round %zu", o->round + 1);
}

static void follow_kl(online *o) {
    const online_options *p = &o->options;
    double *beta = o->beta >= 0 ? &o->options.train.objective_options[o->beta] : NULL;
    if (beta && p->kl_horizon > 0)
        *beta = fmin(adaptive_kl(*beta, o->report.kl, p->kl_target, (double)n_samples(o), p->kl_horizon),
                     p->train.objective->options[o->beta].max);
    o->report.beta = beta ? *beta : NAN;
}

static void free_samples(online *o) {
    for (size_t i = 0; o->samples && i < n_samples(o); i++)
        completion_free(&o->samples[i]);
    o->samples = NULL;
}

static agon_status run_round(online *o) {
    const online_options *p = &o->options;
    size_t n = n_samples(o);
    arena_reset(o->memory);
    o->report = (online_report){.round = o->round + 1, .n_rounds = p->n_rounds, .loss = NAN};
    o->prompts = arena_take(o->memory, p->n_prompts, sizeof *o->prompts);
    o->rewards = arena_take(o->memory, n, sizeof *o->rewards);
    o->fails = arena_take(o->memory, n, sizeof *o->fails);
    o->values = arena_take(o->memory, n, sizeof *o->values);
    o->token_rewards = arena_take(o->memory, n, sizeof *o->token_rewards);
    o->made = (sample_rows){o->ctx, o->memory, p->train.objective, o->needs, arena_take(o->memory, n, sizeof *o->made.rows), 0};
    completion *samples = arena_take(o->memory, n, sizeof *samples);
    if (!o->prompts || !o->rewards || !o->fails || !o->values || !o->token_rewards || !o->made.rows || !samples)
        return online_no_memory(o);
    agon_status s = o->sink->prompts(o->sink->arg, o->round, o->prompts);
    o->samples = samples;
    if (!s)
        s = sample(o);
    if (!s)
        s = take_rewards(o);
    if (!s)
        s = take_token_rewards(o);
    if (!s)
        s = score_samples(o);
    for (size_t i = 0; i < p->n_prompts && !s; i++)
        s = rows_of_prompt(o, i);
    o->report.n_rows = o->made.n;
    if (!s)
        s = learn(o);
    free_samples(o);
    if (!s)
        follow_kl(o);
    return s;
}

/* Before anything is sampled: a round's training must fit even on prompts of one token. */
static agon_status check_memory(online *o) {
    const online_options *p = &o->options;
    size_t k = o->pairs ? 2 : p->train.objective->rows & ROW_GROUP ? p->n_samples : 1, rank = adapter_rank(o->a), limit;
    size_t n_lora = adapter_n_values(model_get_config(o->m), rank, adapter_targets(o->a)), n = p->train.batch_rows;
    train_response *responses = arena_take(o->memory, k, sizeof *responses);
    train_row *rows = arena_take(o->memory, n, sizeof *rows);
    if (!responses || !rows)
        return online_no_memory(o);
    for (size_t i = 0; i < k; i++)
        responses[i] = (train_response){.n = p->max_tokens, .weight = 1};
    for (size_t i = 0; i < n; i++)
        rows[i] = (train_row){.n_prompt = 1, .responses = responses, .n_responses = k, .weight = 1};
    train_options t = p->train;
    t.moments = &o->moments;
    train_memory need = train_predict(o->m, n_lora, rank, rows, n, &t);
    return memory_check(o->ctx, train_memory_total(&need, memory_room(o->ctx), &limit), "the training of a round",
                        "use fewer --samples, --max-tokens, or a smaller model");
}

agon_status online_check(agon_ctx *ctx, model *m, adapter *a, const online_options *options) {
    online o = {.ctx = ctx, .m = m, .a = a, .options = *options};
    agon_status s = check(&o);
    if (!s)
        s = arena_new(ctx, 0, &o.memory);
    if (!s)
        s = check_memory(&o);
    arena_free(o.memory);
    return s;
}

agon_status online_train(agon_ctx *ctx, model *m, adapter *a, const adapter *reference, const online_options *options,
                         const online_sink *sink, const void *resume, size_t n_resume) {
    online o = {.ctx = ctx, .m = m, .a = a, .reference = reference, .options = *options, .sink = sink};
    agon_status s = check(&o);
    if (!s)
        s = arena_new(ctx, 0, &o.memory);
    if (!s)
        s = workspace_new(ctx, 0, &o.work);
    if (!s)
        s = train_add_head(ctx, m, a, options->train.objective, options->train.objective_options, options->train.seed);
    if (!s && resume)
        s = online_restore(&o, resume, n_resume);
    if (!s && o.round < options->n_rounds)
        s = check_memory(&o);
    while (!s && o.round < options->n_rounds) {
        s = run_round(&o);
        if (s)
            break;
        o.round++;
        s = online_store(&o);
        if (!s && sink->on_round)
            s = sink->on_round(sink->arg, &o.report);
    }
    free(o.moments.first);
    free(o.moments.second);
    workspace_free(o.work);
    arena_free(o.memory);
    return s;
}

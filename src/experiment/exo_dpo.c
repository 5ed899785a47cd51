/* experiment: exo-dpo. Does EXO (Ji et al. 2024, 2402.00856) reach more gold reward than DPO at the same KL from the reference?
 *
 *   reference  a model pretrained on statements whose answers were blurred (sequence_blur): it knows what is right and often says something else
 *   reward     known in closed form: the share of the answer's places that are right (sequence_grade)
 *   data       `candidates` completions of each source, sampled from the reference; pairs are the 1st and 2nd, 3rd and 4th, ... of them,
 *              and which is chosen is drawn from Bradley-Terry, P(a over b) = sigmoid(reward_scale (r_a - r_b)); equal ones are no pair
 *   methods    on pairs   dpo (forward KL)      exo-pref (reverse KL)
 *              on groups  dpo-rw (forward KL)   exo-rw (reverse KL), both told the rewards, reward_beta = 1 / reward_scale
 *              dpo, dpo-rw and exo-rw have one optimum, reference * exp(reward_scale r / beta); exo-pref with hard labels has the log odds
 *              (2P - 1) ln((1-e)/e) in place of logit P
 *   measure    completions sampled from each policy for sources it never saw: mean gold reward, and KL(policy || reference) from the exact
 *              log_probs of both. A front over all betas and learning rates for each method (eval/reward_kl.h), beside it the best there
 *              is: the reference tilted by the gold reward
 *
 * Every method sees the same completions, starts from the reference and takes the same steps, each on as many completions. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "eval/front.h"
#include "eval/over_seeds.h"
#include "eval/reward_kl.h"
#include "experiment/experiment.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}], \"corpus_items\": 120000,"
    "\"corpus_lr\": 0.003, \"blur\": 0.3, \"prompts\": 1000, \"candidates\": 4, \"reward_scale\": 6.0, \"betas\": [0.1, 0.3, 1, 3, 10],"
    "\"lrs\": [0.0003, 0.001], \"epochs\": 2, \"batch\": 16, \"test_items\": 500, \"samples\": 4, \"ideal_samples\": 32, \"kl_limit\": 2.0,"
    "\"kl_at\": [0.5, 1.0, 2.0], \"draws\": 2000}";

enum { MAX_LIST = 8, MAX_ROWS = 64 };

static const struct method {
    const char *name, *objective;
    bool groups, forward;
} methods[] = {
    {"dpo", "dpo", false, true},
    {"exo-pref", "exo-pref", false, false},
    {"dpo-rw", "exo-rw", true, true},
    {"exo-rw", "exo-rw", true, false},
};
enum { N_METHODS = sizeof methods / sizeof *methods, DPO = 0, EXO_PREF, DPO_RW, EXO_RW };
/* What is compared: an EXO with a DPO. The paper's claim is that the difference is above 0. */
static const struct contrast {
    int exo, dpo;
    const char *what;
} contrasts[] = {
    {EXO_PREF, DPO, "the same pairs"},
    {EXO_RW, DPO_RW, "the same groups and rewards"},
    {EXO_RW, DPO, "the same completions, rewards against pairs"},
};
enum { N_CONTRASTS = sizeof contrasts / sizeof *contrasts };

typedef struct list {
    double x[MAX_LIST];
    size_t n;
} list;

typedef struct duel {
    lab *l;
    size_t n_prompts, n_candidates, n_test, n_samples, n_ideal, n_policies, batch, steps, draws;
    list betas, lrs, kl_at;
    double blur, scale, kl_limit;
    sequence_item *test;       /* [n_test] true statements, the same under every seed */
    sequence_item *candidates; /* [n_seeds, n_prompts, n_candidates] */
    double *rewards;           /* the same */
    reward_kl *base;           /* [n_seeds, n_test] of the reference; KL 0 */
    reward_kl *ideal;          /* [n_seeds, betas, n_test] */
    reward_kl *found;          /* [n_seeds, N_METHODS, n_policies, n_test] means of a source's samples */
} duel;

static double beta_of(const duel *x, size_t policy) {
    return x->betas.x[policy / x->lrs.n];
}

static double lr_of(const duel *x, size_t policy) {
    return x->lrs.x[policy % x->lrs.n];
}

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_options(lab *l, void *arg) {
    duel *x = arg;
    size_t epochs = 0;
    x->l = l;
    const lab_whole whole[] = {{"prompts", 16, 1000000, &x->n_prompts}, {"candidates", 2, 64, &x->n_candidates}, {"epochs", 1, 1000, &epochs},
                 {"batch", 1, 4096, &x->batch}, {"test_items", 50, 1000000, &x->n_test}, {"samples", 1, 1000, &x->n_samples},
                 {"ideal_samples", 2, 10000, &x->n_ideal}, {"draws", 100, 1000000, &x->draws}, {0}};
    const lab_fraction real[] = {{"blur", 0, 1, &x->blur}, {"reward_scale", 1e-3, 1e3, &x->scale},
                                 {"kl_limit", 1e-3, 1e3, &x->kl_limit}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s)
        s = lab_reals(l, "betas", 1e-5, 1e5, x->betas.x, MAX_LIST, &x->betas.n);
    if (!s)
        s = lab_reals(l, "lrs", 1e-9, 1, x->lrs.x, MAX_LIST, &x->lrs.n);
    if (!s)
        s = lab_reals(l, "kl_at", 0, x->kl_limit, x->kl_at.x, MAX_LIST, &x->kl_at.n);
    if (!s && x->n_candidates % 2)
        s = ctx_fail(l->ctx, AGON_EINVAL, "candidates is %zu; it must be even, since pairs are made of them", x->n_candidates);
    x->n_policies = x->betas.n * x->lrs.n;
    if (!s && x->n_policies > MAX_ROWS)
        s = ctx_fail(l->ctx, AGON_EINVAL, "betas and lrs make more than %d policies a method", MAX_ROWS);
    return s ? s : lab_steps(l, "batch", "prompts", epochs, x->n_prompts, x->batch, &x->steps);
}

/* ---- reference and data -------------------------------------------------------------------------------------- */

/* `k` completions of each of the items, [n, k], and their gold rewards. */
static agon_status sample(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, size_t k, uint64_t seed,
                          sequence_item *out, double *rewards) {
    sequence_item *sources = memory_new(n * k + 1, sizeof *sources);
    if (!sources)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu completions", n * k);
    for (size_t i = 0; i < n * k; i++)
        sources[i] = items[i / k];
    agon_status s = lab_complete(ctx, m, sources, n * k, 1, seed, out, NULL);
    for (size_t i = 0; i < n * k && !s; i++)
        rewards[i] = sequence_grade(&items[i / k], &out[i]);
    free(sources);
    return s;
}

/* Means of the reference on the test sources, and of the reference tilted towards each beta's optimum. */
static agon_status measure_reference(const duel *x, agon_ctx *ctx, size_t seed) {
    size_t k = x->n_ideal;
    sequence_item *out = malloc(x->n_test * k * sizeof *out);
    double *rewards = malloc(x->n_test * k * sizeof *rewards);
    agon_status s = out && rewards ? sample(ctx, x->l->models[seed], x->test, x->n_test, k, lab_seed(x->l, seed, "ideal"),
                                            out, rewards)
                                   : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_test && !s; i++) {
        x->base[seed * x->n_test + i] = reward_tilt(rewards + i * k, k, 0);
        for (size_t b = 0; b < x->betas.n; b++)
            x->ideal[(seed * x->betas.n + b) * x->n_test + i] = reward_tilt(rewards + i * k, k, x->scale / x->betas.x[b]);
    }
    free(out);
    free(rewards);
    return s;
}

static double mean_reward(const reward_kl *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i].reward;
    return sum / (double)n;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    duel *x = arg;
    size_t n_taken = x->n_test + x->n_prompts, first = seed * x->n_prompts * x->n_candidates;
    sequence_item *corpus = NULL, *taken = malloc(n_taken * sizeof *taken), *prompts = taken + x->n_test;
    double loss = 0;
    if (!taken)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    memcpy(taken, x->test, x->n_test * sizeof *taken);
    agon_status s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "prompts"), x->test, x->n_test, x->n_prompts, prompts);
    if (!s)
        s = lab_draw_blurred(x->l, ctx, seed, x->blur, taken, n_taken, &corpus);
    if (!s)
        s = lab_learn(x->l, ctx, seed, "reference", corpus, 32, &loss);
    if (!s)
        s = sample(ctx, x->l->models[seed], prompts, x->n_prompts, x->n_candidates, lab_seed(x->l, seed, "candidates"), x->candidates + first,
                   x->rewards + first);
    if (!s)
        s = measure_reference(x, ctx, seed);
    if (!s)
        lab_say_seed(x->l, seed, "reference: %.3f nats a token, gold reward %.3f", loss, mean_reward(x->base + seed * x->n_test, x->n_test));
    free(corpus);
    free(taken);
    return s;
}

static bool same_answer(const sequence_item *a, const sequence_item *b) {
    return a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0;
}

/* Pairs of neighbouring candidates, the chosen one drawn by Bradley-Terry. chosen, rejected: room for half of all candidates. */
static size_t draw_pairs(const duel *x, size_t seed, sequence_item *chosen, sequence_item *rejected) {
    size_t first = seed * x->n_prompts * x->n_candidates, n = 0;
    const sequence_item *c = x->candidates + first;
    const double *r = x->rewards + first;
    rng stream = rng_new(lab_seed(x->l, seed, "preferences"));
    for (size_t i = 0; i < x->n_prompts * x->n_candidates; i += 2) {
        bool first_wins = rng_uniform(&stream) < 1 / (1 + exp(x->scale * (r[i + 1] - r[i])));
        if (same_answer(&c[i], &c[i + 1]))
            continue;
        chosen[n] = c[first_wins ? i : i + 1];
        rejected[n++] = c[first_wins ? i + 1 : i];
    }
    return n;
}

/* ---- policies -------------------------------------------------------------------------------------------------- */

static agon_status make_rows(const duel *x, agon_ctx *ctx, size_t seed, const struct method *m, lab_rows *out) {
    size_t first = seed * x->n_prompts * x->n_candidates, half = x->n_prompts * x->n_candidates / 2;
    if (m->groups)
        return lab_groups(ctx, x->candidates + first, x->rewards + first, x->n_prompts, x->n_candidates, out);
    sequence_item *chosen = malloc(2 * half * sizeof *chosen), *rejected = chosen + half;
    if (!chosen)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    size_t n = draw_pairs(x, seed, chosen, rejected);
    agon_status s = n ? lab_pairs(ctx, chosen, rejected, n, NULL, out)
                      : ctx_fail(ctx, AGON_EINVAL, "the reference completes every source in one way; there are no pairs");
    free(chosen);
    return s;
}

static agon_status train_policy(const duel *x, agon_ctx *ctx, size_t seed, const struct method *m, size_t policy, lab_model *out) {
    char beta[40], reward_beta[40], forward[16];
    lab_rows rows = {0};
    decimal_print(beta, sizeof beta, "beta=%.17g", beta_of(x, policy));
    decimal_print(reward_beta, sizeof reward_beta, "reward_beta=%.17g", 1 / x->scale);
    snprintf(forward, sizeof forward, "forward=%d", m->forward);
    const lab_training t = {.objective = m->objective,
                            .settings = {beta, m->groups ? reward_beta : NULL, m->groups ? forward : NULL},
                            .steps = x->steps,
                            .batch = m->groups ? x->batch : x->batch * x->n_candidates / 2,
                            .lr = lr_of(x, policy),
                            .reference = x->l->models[seed]->m,
                            .seed = lab_seed(x->l, seed, "order")};
    agon_status s = make_rows(x, ctx, seed, m, &rows);
    if (!s)
        s = lab_train(x->l, ctx, out, &rows, &t);
    lab_rows_free(&rows);
    return s;
}

/* Means over each source's samples, out [n_test]. */
static agon_status measure(const duel *x, agon_ctx *ctx, size_t seed, const lab_model *policy, reward_kl *out) {
    size_t n = x->n_test * x->n_samples;
    sequence_item *samples = malloc(n * sizeof *samples);
    double *rewards = malloc(3 * n * sizeof *rewards), *ours = rewards + n, *reference = rewards + 2 * n;
    agon_status s = samples && rewards ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = sample(ctx, policy, x->test, x->n_test, x->n_samples, lab_seed(x->l, seed, "test samples"), samples, rewards);
    if (!s)
        s = lab_score(ctx, policy, samples, n, ours);
    if (!s)
        s = lab_score(ctx, x->l->models[seed], samples, n, reference);
    for (size_t i = 0; i < x->n_test && !s; i++) {
        out[i] = (reward_kl){0, 0};
        for (size_t k = i * x->n_samples; k < (i + 1) * x->n_samples; k++) {
            out[i].reward += rewards[k] / (double)x->n_samples;
            out[i].kl += (ours[k] - reference[k]) / (double)x->n_samples;
        }
    }
    free(samples);
    free(rewards);
    return s;
}

static reward_kl *found_of(const duel *x, size_t seed, size_t method, size_t policy) {
    return x->found + ((seed * N_METHODS + method) * x->n_policies + policy) * x->n_test;
}

/* Means over sources of drawn indices (NULL: all). */
static reward_kl mean_of(const reward_kl *x, size_t n, const size_t *items) {
    reward_kl sum = {0, 0};
    for (size_t i = 0; i < n; i++) {
        const reward_kl *one = &x[items ? items[i] : i];
        sum.reward += one->reward / (double)n;
        sum.kl += one->kl / (double)n;
    }
    return sum;
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    duel *x = arg;
    size_t policy = i % x->n_policies, method = i / x->n_policies % N_METHODS, seed = i / x->n_policies / N_METHODS;
    reward_kl *out = found_of(x, seed, method, policy);
    lab_model *m = NULL;
    char key[96];
    bool known = false;
    _Static_assert(sizeof(reward_kl) == 2 * sizeof(double), "a stage is an array of doubles");
    snprintf(key, sizeof key, "policy %zu %s %zu", seed, methods[method].name, policy);
    agon_status s = lab_recall(x->l, ctx, key, (double *)out, 2 * x->n_test, &known);
    if (s || known)
        return s;
    s = lab_model_copy(ctx, x->l->models[seed], &m);
    if (!s)
        s = train_policy(x, ctx, seed, &methods[method], policy, m);
    if (!s)
        s = measure(x, ctx, seed, m, out);
    if (!s)
        s = lab_keep(x->l, ctx, key, (const double *)out, 2 * x->n_test);
    if (!s) {
        reward_kl mean = mean_of(out, x->n_test, NULL);
        lab_say_seed(x->l, seed, "%-8s beta %-5g lr %-6g gold reward %.3f at a KL of %.3f", methods[method].name,
                     beta_of(x, policy), lr_of(x, policy), mean.reward, mean.kl);
    }
    lab_model_free(m);
    return s;
}

/* ---- figures --------------------------------------------------------------------------------------------------- */

/* One method's figures, means over seeds: of the front up to the KL limit, and at each KL asked for. */
typedef struct figures {
    double mean, at[MAX_LIST];
} figures;

static reward_front front_under(const duel *x, size_t seed, size_t method, const size_t *items) {
    reward_kl points[MAX_ROWS];
    for (size_t p = 0; p < x->n_policies; p++)
        points[p] = mean_of(found_of(x, seed, method, p), x->n_test, items);
    return reward_front_of(points, x->n_policies, mean_of(x->base + seed * x->n_test, x->n_test, items).reward);
}

static figures figures_of(const duel *x, size_t method, const size_t *seeds, const size_t *items) {
    figures f = {0};
    double n = (double)x->l->n_seeds;
    for (size_t i = 0; i < x->l->n_seeds; i++) {
        reward_front front = front_under(x, seeds ? seeds[i] : i, method, items);
        f.mean += reward_front_mean(&front, x->kl_limit) / n;
        for (size_t k = 0; k < x->kl_at.n; k++)
            f.at[k] += reward_front_at(&front, x->kl_at.x[k]) / n;
    }
    return f;
}

/* As they are; drawn over seeds and sources, the same draws for every method; and each seed by itself. */
typedef struct all_figures {
    figures whole[N_METHODS], *drawn, *by_seed; /* [draws, N_METHODS], [n_seeds, N_METHODS] */
    double *scratch;                            /* [draws + n_seeds] */
} all_figures;

static agon_status fill_figures(const duel *x, all_figures *f) {
    size_t *seeds = malloc((x->l->n_seeds + x->n_test) * sizeof *seeds), *items = seeds + x->l->n_seeds;
    if (!seeds)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(lab_seed(x->l, 0, "bootstrap"));
    for (size_t d = 0; d < x->draws; d++) {
        lab_resample(x->l, &r, x->n_test, seeds, items);
        for (size_t m = 0; m < N_METHODS; m++)
            f->drawn[d * N_METHODS + m] = figures_of(x, m, seeds, items);
    }
    for (size_t k = 0; k < x->l->n_seeds; k++) {
        for (size_t i = 0; i < x->l->n_seeds; i++)
            seeds[i] = k; /* the mean of one seed taken n_seeds times */
        for (size_t m = 0; m < N_METHODS; m++)
            f->by_seed[k * N_METHODS + m] = figures_of(x, m, seeds, NULL);
    }
    for (size_t m = 0; m < N_METHODS; m++)
        f->whole[m] = figures_of(x, m, NULL, NULL);
    free(seeds);
    return AGON_OK;
}

/* The k-th figure (0: the mean, then at each KL) of `a`, less that of `b` (-1: nothing). */
static double figure(const figures *f, int a, int b, size_t k) {
    double x = k ? f[a].at[k - 1] : f[a].mean;
    return b < 0 ? x : x - (k ? f[b].at[k - 1] : f[b].mean);
}

typedef struct estimate {
    double value;
    interval range;
} estimate;

/* 95% over seeds and sources. */
static estimate estimate_of(const duel *x, const all_figures *f, int a, int b, size_t k) {
    double *by_seed = f->scratch + x->draws;
    for (size_t d = 0; d < x->draws; d++)
        f->scratch[d] = figure(f->drawn + d * N_METHODS, a, b, k);
    for (size_t s = 0; s < x->l->n_seeds; s++)
        by_seed[s] = figure(f->by_seed + s * N_METHODS, a, b, k);
    return (estimate){figure(f->whole, a, b, k),
                      over_seeds_wider(interval_of_draws(f->scratch, x->draws), by_seed, NULL, x->l->n_seeds, 0.05)};
}

static json_t *estimate_json(const estimate *e) {
    return json_pack("{s:f,s:[f,f]}", "value", e->value, "interval", e->range.low, e->range.high);
}

static json_t *at_json(const duel *x, const all_figures *f, int a, int b) {
    json_t *out = json_array();
    for (size_t k = 0; k < x->kl_at.n; k++) {
        estimate e = estimate_of(x, f, a, b, k + 1);
        json_t *one = estimate_json(&e);
        json_object_set_new(one, "kl", json_real(x->kl_at.x[k]));
        json_array_append_new(out, one);
    }
    return out;
}

/* Of the policies themselves, without mixtures, above the reference and below the KL limit; a mean over seeds. */
static agon_status hypervolume(const duel *x, size_t method, double *out) {
    double sum = 0, points[2 * MAX_ROWS], one = 0;
    agon_status s = AGON_OK;
    for (size_t seed = 0; seed < x->l->n_seeds && !s; seed++) {
        const double reference[] = {0, mean_reward(x->base + seed * x->n_test, x->n_test)};
        for (size_t p = 0; p < x->n_policies; p++) {
            reward_kl mean = mean_of(found_of(x, seed, method, p), x->n_test, NULL);
            points[2 * p] = x->kl_limit - fmax(mean.kl, 0), points[2 * p + 1] = mean.reward;
        }
        s = front_hypervolume(x->l->ctx, points, x->n_policies, 2, reference, &one);
        sum += one;
    }
    if (!s)
        *out = sum / (double)x->l->n_seeds;
    return s;
}

static json_t *contrast_json(const duel *x, const struct contrast *c, const all_figures *f) {
    estimate e = estimate_of(x, f, c->exo, c->dpo, 0);
    const char *finding = lab_finding(e.range.low, e.range.high, "reproduced", "refuted");
    lab_say(x->l, "%s less %s (%s): %+.4f [%+.4f, %+.4f] of gold reward, mean over a KL up to %g: the claim is %s",
            methods[c->exo].name, methods[c->dpo].name, c->what, e.value, e.range.low, e.range.high, x->kl_limit, finding);
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "exo", methods[c->exo].name, "dpo", methods[c->dpo].name, "on", c->what, "claim",
                     finding, "difference", estimate_json(&e), "at", at_json(x, f, c->exo, c->dpo));
}

/* Mean over seeds and sources of one policy, or of a tilted reference. */
static reward_kl over_seeds(const duel *x, const reward_kl *first, size_t stride) {
    reward_kl sum = {0, 0};
    for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
        reward_kl one = mean_of(first + seed * stride, x->n_test, NULL);
        sum.reward += one.reward / (double)x->l->n_seeds;
        sum.kl += one.kl / (double)x->l->n_seeds;
    }
    return sum;
}

static reward_kl policy_mean(const duel *x, size_t method, size_t policy) {
    return over_seeds(x, found_of(x, 0, method, policy), N_METHODS * x->n_policies * x->n_test);
}

static reward_kl ideal_mean(const duel *x, size_t beta) {
    return over_seeds(x, x->ideal + beta * x->n_test, x->betas.n * x->n_test);
}

/* Student's 95% of a policy's reward or KL: over seeds, of one seed over its test sources. */
static lab_estimate policy_range(const duel *x, size_t method, size_t policy, bool reward, double *scratch) {
    size_t n = x->l->n_seeds > 1 ? x->l->n_seeds : x->n_test;
    for (size_t i = 0; i < n; i++) {
        const reward_kl *from = found_of(x, x->l->n_seeds > 1 ? i : 0, method, policy);
        const reward_kl one = x->l->n_seeds > 1 ? mean_of(from, x->n_test, NULL) : from[i];
        scratch[i] = reward ? one.reward : one.kl;
    }
    return lab_estimate_of(scratch, n);
}

static json_t *policy_json(const duel *x, size_t method, size_t policy, double *scratch) {
    const reward_kl mean = policy_mean(x, method, policy);
    const lab_estimate reward = policy_range(x, method, policy, true, scratch), kl = policy_range(x, method, policy, false, scratch);
    return json_pack("{s:f,s:f,s:f,s:[f,f],s:f,s:[f,f]}", "beta", beta_of(x, policy), "lr", lr_of(x, policy), "reward", mean.reward,
                     "reward_interval", reward.low, reward.high, "kl", mean.kl, "kl_interval", kl.low, kl.high);
}

static agon_status fronts_json(const duel *x, const all_figures *f, double *policy_scratch, json_t *out) {
    agon_status s = AGON_OK;
    for (size_t m = 0; m < N_METHODS && !s; m++) {
        double volume = 0;
        json_t *policies = json_array();
        for (size_t p = 0; p < x->n_policies; p++)
            json_array_append_new(policies, policy_json(x, m, p, policy_scratch));
        s = hypervolume(x, m, &volume);
        estimate e = estimate_of(x, f, (int)m, -1, 0);
        json_array_append_new(out, json_pack("{s:s,s:o,s:o,s:f,s:o}", "method", methods[m].name, "policies", policies, "mean_reward",
                                             estimate_json(&e), "hypervolume", volume, "at",
                                             at_json(x, f, (int)m, -1)));
    }
    return s;
}

/* One method in a panel: every policy a point with its interval, the front a line. The last one is the best there is. */
typedef struct drawing {
    double kl[MAX_ROWS], reward[MAX_ROWS], low[MAX_ROWS], high[MAX_ROWS], front_kl[MAX_ROWS + 2], front_reward[MAX_ROWS + 2];
} drawing;

/* Up to a KL of `limit`; what lies beyond is left out, the front is cut there. */
static plot_series series_of(const duel *x, size_t m, double limit, double *scratch, drawing *d) {
    reward_kl points[MAX_ROWS];
    bool method = m < N_METHODS;
    size_t n = method ? x->n_policies : x->betas.n, n_front = 0;
    for (size_t p = 0; p < n; p++) {
        points[p] = method ? policy_mean(x, m, p) : ideal_mean(x, p);
        const lab_estimate e = method ? policy_range(x, m, p, true, scratch) : (lab_estimate){0, NAN, NAN};
        d->kl[p] = points[p].kl <= limit ? points[p].kl : NAN;
        d->reward[p] = points[p].reward, d->low[p] = e.low, d->high[p] = e.high;
    }
    const reward_front f = reward_front_of(points, n, over_seeds(x, x->base, x->n_test).reward);
    while (n_front < f.n && f.points[n_front].kl <= limit) {
        d->front_kl[n_front] = f.points[n_front].kl;
        d->front_reward[n_front] = f.points[n_front].reward;
        n_front++;
    }
    if (n_front < f.n)
        d->front_kl[n_front] = limit, d->front_reward[n_front++] = reward_front_at(&f, limit);
    return (plot_series){.name = method ? methods[m].name : "best there is", .x = d->kl, .y = d->reward, .low = d->low, .high = d->high, .n = n,
                         .points_only = true, .line_x = d->front_kl, .line_y = d->front_reward, .n_line = n_front};
}

static bool any_beyond(const duel *x) {
    for (size_t i = 0; i < N_METHODS * x->n_policies; i++)
        if (policy_mean(x, i / x->n_policies, i % x->n_policies).kl > x->kl_limit)
            return true;
    return false;
}

/* All policies; where some went far beyond the KL limit, also what lies below it. */
static agon_status draw(const duel *x, double *scratch) {
    drawing *d = malloc(2 * (N_METHODS + 1) * sizeof *d);
    plot_series series[2][N_METHODS + 1];
    plot_panel panels[2];
    char titles[2][128];
    size_t n = any_beyond(x) ? 2 : 1;
    if (!d)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < n; k++) {
        for (size_t m = 0; m <= N_METHODS; m++)
            series[k][m] = series_of(x, m, k ? x->kl_limit : INFINITY, scratch, &d[k * (N_METHODS + 1) + m]);
        snprintf(titles[k], sizeof titles[k], "%s, %zu seed%s; bars: 95%% over %s", sequence_family_name(x->l->family), x->l->n_seeds,
                 x->l->n_seeds > 1 ? "s" : "", x->l->n_seeds > 1 ? "seeds" : "test sources");
        panels[k] = (plot_panel){.title = titles[k], .x_name = k ? "the same, up to the KL limit" : "KL(policy || reference), nats",
                                 .y_name = "gold reward", .series = series[k], .n_series = N_METHODS + 1};
    }
    agon_status s = lab_plot(x->l, "front.svg", panels, n, n);
    free(d);
    return s;
}

static agon_status report(const duel *x, json_t **result) {
    all_figures f = {.drawn = malloc(x->draws * N_METHODS * sizeof *f.drawn), .by_seed = malloc(x->l->n_seeds * N_METHODS * sizeof *f.by_seed),
                     .scratch = malloc((x->draws + x->l->n_seeds) * sizeof *f.scratch)};
    double *policy_scratch = malloc((x->l->n_seeds + x->n_test) * sizeof *policy_scratch);
    json_t *fronts = json_array(), *compared = json_array(), *ideal = json_array();
    agon_status s = f.drawn && f.by_seed && f.scratch && policy_scratch ? fill_figures(x, &f) : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = fronts_json(x, &f, policy_scratch, fronts);
    for (size_t c = 0; c < N_CONTRASTS && !s; c++)
        json_array_append_new(compared, contrast_json(x, &contrasts[c], &f));
    for (size_t b = 0; b < x->betas.n && !s; b++) {
        reward_kl mean = ideal_mean(x, b);
        json_array_append_new(ideal, json_pack("{s:f,s:f,s:f}", "beta", x->betas.x[b], "reward", mean.reward, "kl", mean.kl));
    }
    if (!s)
        s = draw(x, policy_scratch);
    if (!s)
        *result = json_pack("{s:f,s:f,s:O,s:O,s:O}", "reference_reward", over_seeds(x, x->base, x->n_test).reward, "kl_limit",
                            x->kl_limit, "fronts", fronts, "contrasts", compared, "best_there_is", ideal);
    json_decref(fronts), json_decref(compared), json_decref(ideal);
    free(f.drawn);
    free(f.by_seed);
    free(f.scratch);
    free(policy_scratch);
    return s;
}

/* ---- the experiment -------------------------------------------------------------------------------------------- */

static agon_status run(void *arg, json_t **result) {
    duel *x = arg;
    lab *l = x->l;
    size_t n_candidates = l->n_seeds * x->n_prompts * x->n_candidates, n_policies = l->n_seeds * N_METHODS * x->n_policies;
    x->test = lab_take(l, x->n_test, sizeof *x->test);
    x->candidates = lab_take(l, n_candidates, sizeof *x->candidates);
    x->rewards = lab_take(l, n_candidates, sizeof *x->rewards);
    x->base = lab_take(l, l->n_seeds * x->n_test, sizeof *x->base);
    x->ideal = lab_take(l, l->n_seeds * x->betas.n * x->n_test, sizeof *x->ideal);
    x->found = lab_take(l, n_policies * x->n_test, sizeof *x->found);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_draw(l, l->ctx, lab_seed(l, 0, "test"), NULL, 0, x->n_test, x->test);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, n_policies, run_one, x);
    return s ? s : report(x, result);
}

/* A completion is a pass a token, about seven; the reference reads every row once for each policy. */
static void plan(const void *arg, double *trained, double *asked) {
    const duel *x = arg;
    const lab *l = x->l;
    double policies = (double)(l->n_seeds * N_METHODS * x->n_policies), seeds = (double)l->n_seeds;
    double rows = (double)(x->steps * x->batch * x->n_candidates), samples = (double)(x->n_test * x->n_samples);
    trained[0] = lab_rounds(l, l->n_seeds) * (double)l->n_corpus + policies * rows;
    asked[0] = policies * ((double)(x->n_prompts * x->n_candidates) + 9 * samples) +
               7 * seeds * (double)(x->n_prompts * x->n_candidates + x->n_test * x->n_ideal);
}

const experiment experiment_exo_dpo = {
    .name = "exo-dpo",
    .summary = "gold reward against KL: EXO beside DPO where the reward is known",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(duel),
    .options = take_options,
    .plan = plan,
    .run = run,
};

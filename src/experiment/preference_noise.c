/* experiment: preference-noise. What is left of preference training when a share of the pairs is swapped?
 *
 *   base       a model pretrained on statements whose answers were blurred (sequence_blur): it knows what is right and often says something
 *              else, so that there is a gain to keep
 *   pairs      two completions sampled from the base, chosen: the one with the larger gold reward (sequence_grade); each pair is swapped with
 *              probability e (train/noise.h)
 *   methods    dpo, cdpo, rdpo and dpo-forward told the true e; rdpo told the estimated e; ropo; co-teaching told the true e (dpo of two learners,
 *              the second from the base with noise on its weights, each on the share 1 - e of the pairs that the other finds easiest); and
 *   ours       the pairs are dealt into N_FOLDS folds; for each a dpo policy, trained on the other folds, gives margins to its pairs after every epoch (out
 *              of sample). A model of symmetric flips is fitted to the margins of each epoch (flip_model_fit); the epoch whose fit explains the labels
 *              as given best is where to stop, its rate is the estimated e, and its posterior that a pair is right is a soft label for dpo-soft.
 *              No label is known to be right. ours-labels and ours-stop are its halves; rdpo-stop is robust dpo, rate estimated, with the stop
 *              `methods` names those to run (none: all); dpo is always there, being what the others are measured against
 *   wrong rate `assumed` [factors]: methods that are told the rate are told each of these times it (names as "rdpo x2")
 *   noise      random: every pair alike. subgroup: only pairs whose source is of the domain `subgroup` (task/sequence.h) are swapped, with probability
 *              e / share of the domain, so that the total rate is e; the methods believe the noise to be random and are told e. Every figure is then also
 *              given for the held-out sources of the subgroup, and for the others
 *   measure    on sources held out: share of clean pairs that the implicit reward log pi - log base ranks rightly (the base: 1/2); mean gold
 *              reward of sampled completions; share completed rightly (greedy). Of each how much of the gain at e = 0 is kept
 *
 * Every method sees the same pairs and takes the same steps from the same base. Spec: training.md section 5. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "base/nearest.h"
#include "base/numbers.h"
#include "experiment/experiment.h"
#include "experiment/preference_noise.h"
#include "train/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}],"
    "\"corpus_items\": 120000, \"corpus_lr\": 0.003, \"blur\": 0.3, \"pairs\": 1000, \"test_items\": 500, \"samples\": 1, \"rates\": [0, 0.1, 0.2, 0.3, 0.4],"
    "\"noise\": \"random\", \"subgroup\": 0, \"assumed\": [1], \"methods\": [], \"epochs\": 10, \"batch\": 32, \"lr\": 0.0005, \"beta\": 0.1, \"draws\": 2000}";

enum { N_TRIES = 4, MAX_ASSUMED = 6 };
static const double MOST_ASSUMED = 0.45; /* above, rdpo's weights explode */
static const double SHAKEN = 0.05; /* noise on the second learner's weights, as a share of each tensor's root mean square */

static const method methods[] = {
    {"dpo", "dpo", TOLD_NOTHING, false},
    {"cdpo", "cdpo", TOLD_RATE, false},
    {"rdpo", "rdpo", TOLD_RATE, false},
    {"rdpo-estimated", "rdpo", TOLD_ESTIMATE, false},
    {"forward", "dpo-forward", TOLD_RATE, false},
    {"ropo", "ropo", TOLD_NOTHING, false},
    {"co-teaching", "dpo", TOLD_SHARE, false},
    {"ours", "dpo-soft", TOLD_LABELS, true},
    {"ours-labels", "dpo-soft", TOLD_LABELS, false},
    {"ours-stop", "dpo", TOLD_NOTHING, true},
    {"rdpo-stop", "rdpo", TOLD_ESTIMATE, true},
};
enum { N_METHODS = sizeof methods / sizeof *methods };
_Static_assert(N_METHODS * MAX_ASSUMED <= MAX_VARIANTS, "every method under every assumed rate is a variant");

/* ---- options ----------------------------------------------------------------------------------------------- */

/* Which methods the settings name: all where they name none, dpo always. wanted [N_METHODS] */
static agon_status take_methods(lab *l, bool *wanted) {
    const json_t *list = json_object_get(l->settings, "methods");
    const char *names[N_METHODS];
    size_t at;
    json_t *item;
    for (size_t m = 0; m < N_METHODS; m++) {
        names[m] = methods[m].name;
        wanted[m] = m == 0 || json_array_size(list) == 0;
    }
    json_array_foreach((json_t *)(uintptr_t)list, at, item) {
        const char *name = json_string_value(item), *near = name ? nearest_word(name, names, N_METHODS) : NULL;
        bool found = false;
        for (size_t m = 0; m < N_METHODS && name; m++)
            if (strcmp(name, names[m]) == 0)
                found = wanted[m] = true;
        if (!found)
            return ctx_fail(l->ctx, AGON_EINVAL, "methods[%zu] is no method%s%s%s", at, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return AGON_OK;
}

static agon_status take_variants(lab *l, swaps *x) {
    double factors[MAX_ASSUMED];
    bool wanted[N_METHODS];
    size_t n = 0;
    agon_status s = lab_reals(l, "assumed", 0.01, 10, factors, MAX_ASSUMED, &n);
    if (!s)
        s = take_methods(l, wanted);
    for (size_t i = 0; i < n && !s; i++)
        for (size_t j = 0; j < x->n_rates && !s; j++)
            if (factors[i] * x->rates[j] > MOST_ASSUMED)
                s = ctx_fail(l->ctx, AGON_EINVAL, "assumed[%zu] times rates[%zu] is a rate of %g; no method may be told more than %g", i, j,
                             factors[i] * x->rates[j], MOST_ASSUMED);
    for (size_t m = 0; m < N_METHODS && !s; m++)
        for (size_t i = 0; wanted[m] && i < (methods[m].told == TOLD_RATE ? n : 1); i++) {
            variant *v = &x->variants[x->n_variants++];
            *v = (variant){&methods[m], methods[m].told == TOLD_RATE ? factors[i] : 1, ""};
            snprintf(v->name, sizeof v->name, v->factor == 1 ? "%s" : "%s x%g", methods[m].name, v->factor);
        }
    return s;
}

static agon_status take_noise(lab *l, swaps *x) {
    const char *name = json_string_value(json_object_get(l->settings, "noise"));
    bool subgroup = name && strcmp(name, "subgroup") == 0;
    size_t domain = 0;
    if (!subgroup && !(name && strcmp(name, "random") == 0))
        return ctx_fail(l->ctx, AGON_EINVAL, "noise is random or subgroup, not '%.40s'", name ? name : "");
    agon_status s = lab_int(l, "subgroup", 0, SEQUENCE_N_DOMAINS - 1, &domain);
    x->subgroup = subgroup ? (int)domain : -1;
    x->n_groups = subgroup ? N_GROUPS : 1;
    return s;
}

static agon_status take_options(lab *l, void *arg) {
    swaps *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"pairs", 32, 1000000, &x->n_pairs}, {"test_items", 50, 1000000, &x->n_test}, {"epochs", 1, 1000, &x->epochs},
                 {"samples", 1, 1000, &x->n_samples}, {"batch", 1, 4096, &x->batch}, {"draws", 100, 1000000, &x->draws}, {0}};
    const lab_fraction real[] = {{"lr", 1e-9, 1, &x->lr}, {"beta", 1e-9, 1000, &x->beta}, {"blur", 0, 1, &x->blur}, {0}};
    agon_status s = lab_reals(l, "rates", 0, 0.45, x->rates, MAX_RATES, &x->n_rates);
    if (!s && x->rates[0] != 0)
        s = ctx_fail(l->ctx, AGON_EINVAL, "rates must begin with 0, which the gains are measured against");
    if (!s)
        s = lab_options(l, whole, real);
    if (!s)
        s = take_variants(l, x);
    if (!s)
        s = take_noise(l, x);
    x->n_all = x->n_pairs + x->n_test;
    return s ? s : lab_steps(l, "batch", "pairs", x->epochs, x->n_pairs, x->batch, &x->steps);
}

/* ---- base and pairs ---------------------------------------------------------------------------------------- */

/* The first two of N_TRIES samples that differ in reward; where none do, the true answer and one with a fault. */
static void pick_pair(size_t family, rng *r, const sequence_item *truth, const sequence_item *samples, sequence_item *right,
                      sequence_item *wrong) {
    for (size_t j = 1; j < N_TRIES; j++) {
        double a = sequence_grade(truth, &samples[0]), b = sequence_grade(truth, &samples[j]);
        if (a == b)
            continue;
        *right = samples[a > b ? 0 : j];
        *wrong = samples[a > b ? j : 0];
        return;
    }
    *right = *wrong = *truth;
    if (!sequence_spoil(family, r, wrong)) /* six equal letters: one is left out */
        wrong->tokens[--wrong->n - 1] = SEQUENCE_END;
}

static agon_status draw_pairs(swaps *x, agon_ctx *ctx, size_t seed) {
    const sequence_item *truth = x->sources + seed * x->n_all;
    sequence_item *asked = malloc(2 * N_TRIES * x->n_all * sizeof *asked), *samples = asked + N_TRIES * x->n_all;
    rng r = rng_new(lab_seed(x->l, seed, "faults"));
    if (!asked)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < N_TRIES * x->n_all; i++)
        asked[i] = truth[i / N_TRIES];
    agon_status s = lab_complete(ctx, x->l->models[seed], asked, N_TRIES * x->n_all, 1, lab_seed(x->l, seed, "samples"), samples,
                                 NULL);
    for (size_t i = 0; i < x->n_all && !s; i++)
        pick_pair(x->l->family, &r, &truth[i], samples + i * N_TRIES, &x->right[seed * x->n_all + i], &x->wrong[seed * x->n_all + i]);
    free(asked);
    return s;
}

const sequence_item *swaps_test_of(const swaps *x, size_t seed, const sequence_item *which) {
    return which + seed * x->n_all + x->n_pairs;
}

/* Implicit reward log pi - log base of completions, [n]. */
static agon_status implicit_reward(const swaps *x, agon_ctx *ctx, size_t seed, const lab_model *policy, const sequence_item *items,
                                   size_t n, double *out) {
    double *base = malloc(n * sizeof *base);
    agon_status s = base ? lab_score(ctx, policy, items, n, out) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = lab_score(ctx, x->l->models[seed], items, n, base);
    for (size_t i = 0; i < n && !s; i++)
        out[i] -= base[i];
    free(base);
    return s;
}

/* Every measure of a policy on the held-out sources, out [N_MEASURES, n_test]. */
static agon_status measure_policy(const swaps *x, agon_ctx *ctx, size_t seed, const lab_model *policy, double *out) {
    size_t n = x->n_test, n_samples = n * x->n_samples;
    const sequence_item *truth = swaps_test_of(x, seed, x->sources);
    sequence_item *asked = malloc(2 * n_samples * sizeof *asked), *said = asked + n_samples;
    double *better = malloc(2 * n * sizeof *better), *worse = better + n;
    agon_status s = asked && better ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = implicit_reward(x, ctx, seed, policy, swaps_test_of(x, seed, x->right), n, better);
    if (!s)
        s = implicit_reward(x, ctx, seed, policy, swaps_test_of(x, seed, x->wrong), n, worse);
    for (size_t i = 0; i < n && !s; i++)
        out[RANKED * n + i] = better[i] > worse[i] ? 1 : better[i] == worse[i] ? 0.5 : 0;
    if (!s)
        s = lab_complete(ctx, policy, truth, n, 0, 0, said, NULL);
    for (size_t i = 0; i < n && !s; i++) {
        out[RIGHT * n + i] = sequence_verify(x->l->family, said[i].tokens, said[i].n);
        out[GOLD * n + i] = 0;
    }
    for (size_t i = 0; i < n_samples && !s; i++)
        asked[i] = truth[i / x->n_samples];
    if (!s)
        s = lab_complete(ctx, policy, asked, n_samples, 1, lab_seed(x->l, seed, "test samples"), said, NULL);
    for (size_t i = 0; i < n_samples && !s; i++)
        out[GOLD * n + i / x->n_samples] += sequence_grade(&asked[i], &said[i]) / (double)x->n_samples;
    free(asked);
    free(better);
    return s;
}

bool swaps_is_inside(const swaps *x, const sequence_item *source) {
    return x->subgroup < 0 || source->domain == x->subgroup;
}

double swaps_rate_inside(const swaps *x, size_t seed, double rate) {
    size_t n = 0;
    for (size_t i = 0; i < x->n_pairs; i++)
        n += swaps_is_inside(x, &x->sources[seed * x->n_all + i]);
    return rate == 0 ? 0 : rate * (double)x->n_pairs / (double)n;
}

static agon_status check_subgroup(const swaps *x, agon_ctx *ctx, size_t seed) {
    for (size_t i = 0; i < x->n_rates; i++)
        if (!(swaps_rate_inside(x, seed, x->rates[i]) <= 1))
            return ctx_fail(ctx, AGON_EINVAL, "the subgroup has too few of seed %zu's pairs for a total rate of %g; leave that rate out", (size_t)x->l->seed + seed, x->rates[i]);
    return AGON_OK;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    swaps *x = arg;
    sequence_item *corpus = NULL, *sources = x->sources + seed * x->n_all, *test = sources + x->n_pairs;
    double loss = 0, *scores = x->base_scores + seed * N_MEASURES * x->n_test;
    agon_status s = lab_draw(x->l, ctx, lab_seed(x->l, 0, "test"), NULL, 0, x->n_test, test);
    if (!s)
        s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "pairs"), test, x->n_test, x->n_pairs, sources);
    if (!s)
        s = lab_draw_blurred(x->l, ctx, seed, x->blur, sources, x->n_all, &corpus);
    if (!s)
        s = check_subgroup(x, ctx, seed);
    if (!s)
        s = lab_learn(x->l, ctx, seed, "base", corpus, 32, &loss);
    if (!s)
        s = draw_pairs(x, ctx, seed);
    if (!s)
        s = measure_policy(x, ctx, seed, x->l->models[seed], scores);
    if (!s)
        lab_say_seed(x->l, seed, "base: %.3f nats a token, gold reward %.3f, test answers right %.3f", loss,
                     numbers_mean(scores + GOLD * x->n_test, x->n_test), numbers_mean(scores + RIGHT * x->n_test, x->n_test));
    free(corpus);
    return s;
}

void swaps_pairs(const swaps *x, size_t seed, size_t rate, bool *flipped, sequence_item *chosen, sequence_item *rejected) {
    noise_flips(lab_seed(x->l, seed, "flips"), swaps_rate_inside(x, seed, x->rates[rate]), x->n_pairs, flipped);
    for (size_t i = 0; i < x->n_pairs; i++) {
        flipped[i] = flipped[i] && swaps_is_inside(x, &x->sources[seed * x->n_all + i]);
        const sequence_item *right = &x->right[seed * x->n_all + i], *wrong = &x->wrong[seed * x->n_all + i];
        chosen[i] = flipped[i] ? *wrong : *right;
        rejected[i] = flipped[i] ? *right : *wrong;
    }
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static agon_status train_policy(const swaps *x, agon_ctx *ctx, size_t seed, size_t rate, const variant *v,
                                const sequence_item *chosen, const sequence_item *rejected, double *scores) {
    const method *m = v->method;
    const double *q = x->soft + (seed * x->n_rates + rate) * (x->n_pairs + N_JUDGED), *judged = q + x->n_pairs;
    double e = m->told == TOLD_ESTIMATE ? judged[JUDGED_RATE] : v->factor * x->rates[rate];
    char beta[40], smoothing[40];
    lab_model *policy = NULL, *partner = NULL;
    lab_rows rows = {0};
    decimal_print(beta, sizeof beta, "beta=%.17g", x->beta);
    decimal_print(smoothing, sizeof smoothing, "label_smoothing=%.17g", e);
    lab_training t = {.objective = m->objective,
                      .settings = {beta, m->told == TOLD_RATE || m->told == TOLD_ESTIMATE ? smoothing : NULL},
                      .steps = m->stops ? (size_t)judged[JUDGED_EPOCHS] * x->steps / x->epochs : x->steps, .batch = x->batch, .lr = x->lr,
                      .reference = x->l->models[seed]->m, .seed = lab_seed(x->l, seed, "order")};
    agon_status s = lab_model_copy(ctx, x->l->models[seed], &policy);
    if (!s && m->told == TOLD_SHARE && e > 0) {
        s = lab_model_copy(ctx, x->l->models[seed], &partner);
        if (!s)
            s = lab_model_shake(ctx, partner, SHAKEN, lab_seed(x->l, seed, "partner"));
        t.small_loss = e, t.partner = partner;
    }
    if (!s)
        s = lab_pairs(ctx, chosen, rejected, x->n_pairs, m->told == TOLD_LABELS ? q : NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, policy, &rows, &t);
    if (!s)
        s = measure_policy(x, ctx, seed, policy, scores);
    lab_rows_free(&rows);
    lab_model_free(policy);
    lab_model_free(partner);
    return s;
}

/* What is told a rate of 0 is dpo, the first variant. */
static size_t trained_variant(const swaps *x, size_t rate, size_t v) {
    told t = x->variants[v].method->told;
    return x->rates[rate] == 0 && (t == TOLD_RATE || t == TOLD_SHARE) ? 0 : v;
}

double *swaps_scores(const swaps *x, size_t seed, size_t rate, size_t v) {
    return x->scores + ((seed * x->n_rates + rate) * x->n_variants + trained_variant(x, rate, v)) * N_MEASURES * x->n_test;
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    swaps *x = arg;
    size_t at = i % x->n_variants, rate = i / x->n_variants % x->n_rates, seed = i / x->n_variants / x->n_rates, n = x->n_pairs;
    const variant *v = &x->variants[at];
    if (trained_variant(x, rate, at) != at)
        return AGON_OK;
    double *scores = swaps_scores(x, seed, rate, at);
    char key[96];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc(2 * n * sizeof *chosen), *rejected = chosen + n;
    snprintf(key, sizeof key, "policy %zu %g %s", seed, x->rates[rate], v->name);
    agon_status s = flipped && chosen ? lab_recall(x->l, ctx, key, scores, N_MEASURES * x->n_test, &found)
                                      : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        swaps_pairs(x, seed, rate, flipped, chosen, rejected);
        s = train_policy(x, ctx, seed, rate, v, chosen, rejected, scores);
        if (!s)
            s = lab_keep(x->l, ctx, key, scores, N_MEASURES * x->n_test);
        if (!s)
            lab_say_seed(x->l, seed, "%2.0f%% swapped  %-14s ranked %.3f, gold reward %.3f, right %.3f", 100 * x->rates[rate],
                         v->name, numbers_mean(scores + RANKED * x->n_test, x->n_test), numbers_mean(scores + GOLD * x->n_test, x->n_test),
                         numbers_mean(scores + RIGHT * x->n_test, x->n_test));
    }
    free(flipped);
    free(chosen);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    swaps *x = arg;
    lab *l = x->l;
    size_t n = l->n_seeds * x->n_rates;
    x->sources = lab_take(l, l->n_seeds * x->n_all, sizeof *x->sources);
    x->right = lab_take(l, l->n_seeds * x->n_all, sizeof *x->right);
    x->wrong = lab_take(l, l->n_seeds * x->n_all, sizeof *x->wrong);
    x->base_scores = lab_take(l, l->n_seeds * N_MEASURES * x->n_test, sizeof *x->base_scores);
    x->soft = lab_take(l, n * (x->n_pairs + N_JUDGED), sizeof *x->soft);
    x->scores = lab_take(l, n * x->n_variants * N_MEASURES * x->n_test, sizeof *x->scores);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, n, swaps_judge, x);
    if (!s)
        s = lab_run(l, n * x->n_variants, run_one, x);
    return s ? s : swaps_report(x, result);
}

/* A pair is two rows, and once more for the reference; the estimate counts it as two trained and two asked. */
static void plan(const void *arg, double *trained, double *asked) {
    const swaps *x = arg;
    const lab *l = x->l;
    double seeds = (double)l->n_seeds, n = seeds * (double)x->n_rates, runs = 0;
    for (size_t i = 0; i < x->n_rates * x->n_variants; i++)
        runs += trained_variant(x, i / x->n_variants, i % x->n_variants) == i % x->n_variants ? seeds : 0;
    trained[0] = lab_rounds(l, l->n_seeds) * (double)l->n_corpus + (runs + (N_FOLDS - 1) * n) * 2 * (double)(x->steps * x->batch);
    double measured = (4 + 7.0 * (double)(1 + x->n_samples)) * (double)x->n_test; /* a completion is a pass a token, about seven */
    asked[0] = n * (N_FOLDS - 1 + 2.0) * (double)(x->steps * x->batch) + runs * (2.0 * (double)x->n_pairs + measured) + seeds * (7.0 * N_TRIES * (double)x->n_all + measured);
}

const experiment experiment_preference_noise = {
    .name = "preference-noise",
    .summary = "what is left of preference training when a share of the pairs is swapped",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(swaps),
    .options = take_options,
    .plan = plan,
    .run = run,
};

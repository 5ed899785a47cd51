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
#include "eval/interval.h"
#include "eval/noise_rate.h"
#include "experiment/experiment.h"
#include "train/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}],"
    "\"corpus_items\": 120000, \"corpus_lr\": 0.003, \"blur\": 0.3, \"pairs\": 1000, \"test_items\": 500, \"samples\": 1, \"rates\": [0, 0.1, 0.2, 0.3, 0.4],"
    "\"noise\": \"random\", \"subgroup\": 0, \"assumed\": [1], \"methods\": [], \"epochs\": 10, \"batch\": 32, \"lr\": 0.0005, \"beta\": 0.1, \"draws\": 2000}";

enum { MAX_RATES = 8, N_TRIES = 4, MAX_ASSUMED = 6, N_FOLDS = 4 };
enum { JUDGED_RATE, JUDGED_EPOCHS, N_JUDGED };
static const double MOST_ASSUMED = 0.45; /* above, rdpo's weights explode */
static const double SHAKEN = 0.05; /* noise on the second learner's weights, as a share of each tensor's root mean square */

typedef enum measure { RANKED, GOLD, RIGHT, N_MEASURES } measure;
static const char *const measure_names[N_MEASURES] = {"ranked", "gold", "right"};

typedef enum told { TOLD_NOTHING, TOLD_RATE, TOLD_ESTIMATE, TOLD_LABELS, TOLD_SHARE } told; /* share: how many pairs a learner leaves out */
static const struct method {
    const char *name, *objective;
    told told;
    bool stops; /* after the epochs that the judges chose, not after all */
} methods[] = {
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
enum { N_METHODS = sizeof methods / sizeof *methods, MAX_VARIANTS = N_METHODS * MAX_ASSUMED };

/* A method as it is run: those told the rate once for each factor. */
typedef struct variant {
    const struct method *method;
    double factor;
    char name[40];
} variant;

/* Held-out sources by whether their like was swapped; one group where all are. */
typedef enum group { EVERYWHERE, INSIDE, OUTSIDE, N_GROUPS } group;
static const char *const group_names[N_GROUPS] = {"everywhere", "subgroup", "others"};

typedef struct noise {
    lab *l;
    size_t n_pairs, n_test, n_all, n_samples, n_rates, n_variants, n_groups, batch, epochs, steps, draws;
    variant variants[MAX_VARIANTS];
    int subgroup; /* domain; -1: noise is random */
    double rates[MAX_RATES], lr, blur, beta;
    sequence_item *sources;       /* [n_seeds, n_all] true statements: n_pairs to learn from, then the n_test, the same under every seed */
    sequence_item *right, *wrong; /* the same: the better and the worse completion */
    double *base_scores;          /* [n_seeds, N_MEASURES, n_test] */
    double *soft;                 /* [n_seeds, n_rates, n_pairs + N_JUDGED] q of each pair, then the estimated rate and the epochs after which to stop */
    double *scores;               /* [n_seeds, n_rates, n_variants, N_MEASURES, n_test] */
} noise;

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

static agon_status take_variants(lab *l, noise *x) {
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

static agon_status take_noise(lab *l, noise *x) {
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
    noise *x = arg;
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

static agon_status draw_pairs(noise *x, agon_ctx *ctx, size_t seed) {
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

static const sequence_item *test_of(const noise *x, size_t seed, const sequence_item *which) {
    return which + seed * x->n_all + x->n_pairs;
}

/* Implicit reward log pi - log base of completions, [n]. */
static agon_status implicit_reward(const noise *x, agon_ctx *ctx, size_t seed, const lab_model *policy, const sequence_item *items,
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
static agon_status measure_policy(const noise *x, agon_ctx *ctx, size_t seed, const lab_model *policy, double *out) {
    size_t n = x->n_test, n_samples = n * x->n_samples;
    const sequence_item *truth = test_of(x, seed, x->sources);
    sequence_item *asked = malloc(2 * n_samples * sizeof *asked), *said = asked + n_samples;
    double *better = malloc(2 * n * sizeof *better), *worse = better + n;
    agon_status s = asked && better ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = implicit_reward(x, ctx, seed, policy, test_of(x, seed, x->right), n, better);
    if (!s)
        s = implicit_reward(x, ctx, seed, policy, test_of(x, seed, x->wrong), n, worse);
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

static bool is_inside(const noise *x, const sequence_item *source) {
    return x->subgroup < 0 || source->domain == x->subgroup;
}

/* Probability with which a pair of the subgroup is swapped at a total rate; above 1 where the subgroup is too small. */
static double rate_inside(const noise *x, size_t seed, double rate) {
    size_t n = 0;
    for (size_t i = 0; i < x->n_pairs; i++)
        n += is_inside(x, &x->sources[seed * x->n_all + i]);
    return rate == 0 ? 0 : rate * (double)x->n_pairs / (double)n;
}

static agon_status check_subgroup(const noise *x, agon_ctx *ctx, size_t seed) {
    for (size_t i = 0; i < x->n_rates; i++)
        if (!(rate_inside(x, seed, x->rates[i]) <= 1))
            return ctx_fail(ctx, AGON_EINVAL, "the subgroup has too few of seed %zu's pairs for a total rate of %g; leave that rate out", (size_t)x->l->seed + seed, x->rates[i]);
    return AGON_OK;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    noise *x = arg;
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

/* The pairs as the learner gets them: some are swapped. */
static void noisy_pairs(const noise *x, size_t seed, size_t rate, bool *flipped, sequence_item *chosen, sequence_item *rejected) {
    noise_flips(lab_seed(x->l, seed, "flips"), rate_inside(x, seed, x->rates[rate]), x->n_pairs, flipped);
    for (size_t i = 0; i < x->n_pairs; i++) {
        flipped[i] = flipped[i] && is_inside(x, &x->sources[seed * x->n_all + i]);
        const sequence_item *right = &x->right[seed * x->n_all + i], *wrong = &x->wrong[seed * x->n_all + i];
        chosen[i] = flipped[i] ? *wrong : *right;
        rejected[i] = flipped[i] ? *right : *wrong;
    }
}

/* ---- ours: which pairs are right, out of sample --------------------------------------------------------------- */

/* One fold's judge: a policy in training on the pairs of all other folds. */
typedef struct judge {
    const noise *x;
    const lab_model *policy;
    size_t seed, fold;
    const sequence_item *chosen, *rejected; /* [n_pairs] */
    double *base;                           /* [2, n_pairs] the base's scores of this fold's chosen, then rejected ones */
    double *margins;                        /* [epochs, n_pairs], of this fold's pairs */
} judge;

/* Pair i belongs to fold i % N_FOLDS: takes those of the fold, or all others. out [n_pairs]; gives how many. */
static size_t take_fold(const noise *x, size_t fold, bool others, const sequence_item *from, sequence_item *out) {
    size_t n = 0;
    for (size_t i = 0; i < x->n_pairs; i++)
        if ((i % N_FOLDS == fold) != others)
            out[n++] = from[i];
    return n;
}

/* Scores of the fold's pairs, out [2, n_pairs]: chosen, then rejected; the first *n of each are there. */
static agon_status score_fold(const judge *j, agon_ctx *ctx, const lab_model *m, double *out, size_t *n) {
    const noise *x = j->x;
    sequence_item *items = malloc(x->n_pairs * sizeof *items);
    agon_status s = items ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t side = 0; side < 2 && !s; side++) {
        *n = take_fold(x, j->fold, false, side ? j->rejected : j->chosen, items);
        s = lab_score(ctx, m, items, *n, out + side * x->n_pairs);
    }
    free(items);
    return s;
}

/* Margins of the judge's fold, out of sample: the implicit reward's difference. */
static agon_status at_epoch(void *arg, agon_ctx *ctx, size_t epoch) {
    const judge *j = arg;
    size_t n = 0, all = j->x->n_pairs;
    double *r = malloc(2 * all * sizeof *r), *margins = j->margins + epoch * all;
    agon_status s = r ? score_fold(j, ctx, j->policy, r, &n) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < n && !s; k++)
        margins[k * N_FOLDS + j->fold] = (r[k] - j->base[k]) - (r[all + k] - j->base[all + k]);
    free(r);
    return s;
}

static agon_status judge_fold(judge *j, agon_ctx *ctx) {
    const noise *x = j->x;
    lab_model *policy = NULL;
    lab_rows rows = {0};
    char beta[40];
    sequence_item *chosen = malloc(2 * x->n_pairs * sizeof *chosen), *rejected = chosen + x->n_pairs;
    decimal_print(beta, sizeof beta, "beta=%.17g", x->beta);
    lab_training t = {.objective = "dpo", .settings = {beta}, .batch = x->batch, .lr = x->lr, .reference = x->l->models[j->seed]->m,
                      .seed = lab_seed(x->l, j->seed, "fold %zu", j->fold), .at_mark = at_epoch, .mark_arg = j, .n_marks = x->epochs};
    j->base = malloc(2 * x->n_pairs * sizeof *j->base);
    agon_status s = chosen && j->base ? lab_model_copy(ctx, x->l->models[j->seed], &policy) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    j->policy = policy;
    size_t n = 0;
    if (!s)
        s = score_fold(j, ctx, x->l->models[j->seed], j->base, &n);
    if (!s)
        n = take_fold(x, j->fold, true, j->chosen, chosen);
    if (!s) {
        take_fold(x, j->fold, true, j->rejected, rejected);
        s = lab_pairs(ctx, chosen, rejected, n, NULL, &rows);
    }
    t.steps = x->steps * n / x->n_pairs > x->epochs ? x->steps * n / x->n_pairs : x->epochs; /* every epoch has its mark */
    if (!s)
        s = lab_train(x->l, ctx, policy, &rows, &t);
    lab_rows_free(&rows);
    lab_model_free(policy);
    free(j->base);
    free(chosen);
    return s;
}

/* The epoch after which the judges explain the pairs they have not seen best (no truth is used), and what they say then. margins [epochs, n_pairs],
 * q [n_pairs + N_JUDGED] */
static void conclude(const noise *x, const double *margins, double *q) {
    size_t n = x->n_pairs, best = 0;
    double least = INFINITY;
    flip_model f = {0};
    for (size_t e = 0; e < x->epochs; e++) {
        const flip_model fit = flip_model_fit(margins + e * n, n, 0.45);
        double nats = flip_model_nats(&fit, margins + e * n, n);
        if (nats < least)
            least = nats, best = e, f = fit;
    }
    for (size_t i = 0; i < n; i++)
        q[i] = flip_model_posterior(&f, margins[best * n + i]);
    q[n + JUDGED_RATE] = f.rate;
    q[n + JUDGED_EPOCHS] = (double)best + 1;
}

static agon_status judge_pairs(void *arg, agon_ctx *ctx, size_t i) {
    noise *x = arg;
    size_t seed = i / x->n_rates, rate = i % x->n_rates, n = x->n_pairs;
    double *q = x->soft + i * (n + N_JUDGED), *margins = malloc(x->epochs * n * sizeof *margins);
    char key[64];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc(2 * n * sizeof *chosen), *rejected = chosen + n;
    snprintf(key, sizeof key, "judged %zu %g", seed, x->rates[rate]);
    agon_status s = flipped && chosen && margins ? lab_recall(x->l, ctx, key, q, n + N_JUDGED, &found) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        noisy_pairs(x, seed, rate, flipped, chosen, rejected);
        for (size_t fold = 0; fold < N_FOLDS && !s; fold++)
            s = judge_fold(&(judge){.x = x, .seed = seed, .fold = fold, .chosen = chosen, .rejected = rejected, .margins = margins}, ctx);
        if (!s) {
            conclude(x, margins, q);
            s = lab_keep(x->l, ctx, key, q, n + N_JUDGED);
        }
        if (!s)
            lab_say_seed(x->l, seed, "rate %.2f is estimated as %.3f; unseen pairs are explained best after epoch %.0f of %zu", x->rates[rate],
                         q[n + JUDGED_RATE], q[n + JUDGED_EPOCHS], x->epochs);
    }
    free(flipped);
    free(chosen);
    free(margins);
    return s;
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static agon_status train_policy(const noise *x, agon_ctx *ctx, size_t seed, size_t rate, const variant *v,
                                const sequence_item *chosen, const sequence_item *rejected, double *scores) {
    const struct method *m = v->method;
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
static size_t trained_variant(const noise *x, size_t rate, size_t v) {
    told t = x->variants[v].method->told;
    return x->rates[rate] == 0 && (t == TOLD_RATE || t == TOLD_SHARE) ? 0 : v;
}

static double *scores_of(const noise *x, size_t seed, size_t rate, size_t v) {
    return x->scores + ((seed * x->n_rates + rate) * x->n_variants + trained_variant(x, rate, v)) * N_MEASURES * x->n_test;
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    noise *x = arg;
    size_t at = i % x->n_variants, rate = i / x->n_variants % x->n_rates, seed = i / x->n_variants / x->n_rates, n = x->n_pairs;
    const variant *v = &x->variants[at];
    if (trained_variant(x, rate, at) != at)
        return AGON_OK;
    double *scores = scores_of(x, seed, rate, at);
    char key[96];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc(2 * n * sizeof *chosen), *rejected = chosen + n;
    snprintf(key, sizeof key, "policy %zu %g %s", seed, x->rates[rate], v->name);
    agon_status s = flipped && chosen ? lab_recall(x->l, ctx, key, scores, N_MEASURES * x->n_test, &found)
                                      : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        noisy_pairs(x, seed, rate, flipped, chosen, rejected);
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

/* ---- figures ------------------------------------------------------------------------------------------------- */

/* Means of one draw over seeds and sources: of the base, then of each rate and variant; every measure in every group. */
typedef struct means {
    double of[N_GROUPS][N_MEASURES];
} means;
typedef struct table {
    means base, at[MAX_RATES][MAX_VARIANTS];
} table;

static bool in_group(const noise *x, size_t item, size_t g) {
    return g == EVERYWHERE || is_inside(x, test_of(x, 0, x->sources) + item) == (g == INSIDE);
}

/* Adds one seed's share; a group that was not drawn is NAN. */
static void add_means(const noise *x, const double *scores, const size_t *items, means *out) {
    for (size_t g = 0; g < x->n_groups; g++) {
        double sums[N_MEASURES] = {0}, n = 0;
        for (size_t i = 0; i < x->n_test; i++) {
            size_t item = items ? items[i] : i;
            if (!in_group(x, item, g))
                continue;
            n++;
            for (size_t k = 0; k < N_MEASURES; k++)
                sums[k] += scores[k * x->n_test + item];
        }
        for (size_t k = 0; k < N_MEASURES; k++)
            out->of[g][k] += sums[k] / n / (double)x->l->n_seeds;
    }
}

static void fill(const noise *x, const size_t *seeds, const size_t *items, table *out) {
    *out = (table){0};
    for (size_t i = 0; i < x->l->n_seeds; i++) {
        size_t seed = seeds ? seeds[i] : i;
        add_means(x, x->base_scores + seed * N_MEASURES * x->n_test, items, &out->base);
        for (size_t rate = 0; rate < x->n_rates; rate++)
            for (size_t v = 0; v < x->n_variants; v++)
                add_means(x, scores_of(x, seed, rate, v), items, &out->at[rate][v]);
    }
}

/* Percentile bootstrap over seeds and sources, jointly over everything: drawn [draws]. */
static agon_status draw_tables(const noise *x, table *drawn) {
    size_t *seeds = malloc((x->l->n_seeds + x->n_test) * sizeof *seeds), *items = seeds + x->l->n_seeds;
    if (!seeds)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(lab_seed(x->l, 0, "bootstrap"));
    for (size_t d = 0; d < x->draws; d++) {
        for (size_t i = 0; i < x->l->n_seeds; i++)
            seeds[i] = (size_t)rng_below(&r, x->l->n_seeds);
        for (size_t i = 0; i < x->n_test; i++)
            items[i] = (size_t)rng_below(&r, x->n_test);
        fill(x, seeds, items, &drawn[d]);
    }
    free(seeds);
    return AGON_OK;
}

/* Plain dpo on clean pairs, the first of both tables, is the gain to be kept. NAN where there is none. */
static double kept(const table *t, size_t rate, size_t v, size_t g, size_t k) {
    double base = t->base.of[g][k], gain = t->at[0][0].of[g][k] - base;
    return gain > 0 ? (t->at[rate][v].of[g][k] - base) / gain : NAN;
}

typedef enum figure { VALUE, KEPT, KEPT_OVER_DPO, N_FIGURES } figure;
static const char *const figure_names[N_FIGURES] = {"value", "kept", "kept_over_dpo"};

static double figure_of(const table *t, figure f, size_t rate, size_t v, size_t g, size_t k) {
    return f == VALUE ? t->at[rate][v].of[g][k] : kept(t, rate, v, g, k) - (f == KEPT ? 0 : kept(t, rate, 0, g, k));
}

typedef struct estimate {
    double value;
    interval range;
} estimate;

/* 95%; draws without a gain at rate 0 are left out. scratch [draws]. */
static estimate estimate_of(const noise *x, const table *whole, const table *drawn, figure f, size_t rate, size_t v, size_t g, size_t k,
                            double *scratch) {
    size_t n = 0;
    for (size_t d = 0; d < x->draws; d++) {
        double one = figure_of(&drawn[d], f, rate, v, g, k);
        if (isfinite(one))
            scratch[n++] = one;
    }
    return (estimate){figure_of(whole, f, rate, v, g, k), interval_of_draws(scratch, n)};
}

/* Of one measure in one group. */
typedef struct curves {
    double x[MAX_RATES], y[MAX_VARIANTS][MAX_RATES], low[MAX_VARIANTS][MAX_RATES], high[MAX_VARIANTS][MAX_RATES];
} curves;

enum { N_DRAWN = 2, MOST_SERIES = 8, MOST_PANELS = N_GROUPS * N_DRAWN * ((MAX_VARIANTS + MOST_SERIES - 1) / MOST_SERIES) };

/* How much of the gain in ranking, and in gold reward, is kept: a panel each for every group, and more where there are too many variants for one.
 * c [N_GROUPS, N_DRAWN] */
static agon_status draw(const noise *x, const curves *c) {
    static const char *const titles[N_DRAWN] = {"held-out pairs ranked rightly", "gold reward of samples"};
    plot_series series[MOST_PANELS][MOST_SERIES];
    plot_panel panels[MOST_PANELS];
    char names[MOST_PANELS][80];
    size_t n = 0;
    for (size_t i = 0; i < x->n_groups * N_DRAWN; i++)
        for (size_t from = 0; from < x->n_variants; from += MOST_SERIES, n++) {
            size_t many = x->n_variants - from < MOST_SERIES ? x->n_variants - from : MOST_SERIES;
            for (size_t v = 0; v < many; v++)
                series[n][v] = (plot_series){.name = x->variants[from + v].name, .x = c[i].x, .y = c[i].y[from + v], .low = c[i].low[from + v],
                                                 .high = c[i].high[from + v], .n = x->n_rates};
            snprintf(names[n], sizeof names[n], x->n_groups > 1 ? "%s (%s)" : "%s", titles[i % N_DRAWN], group_names[i / N_DRAWN]);
            panels[n] = (plot_panel){.title = names[n], .x_name = "share of pairs swapped", .y_name = "share of the clean gain kept",
                                     .series = series[n], .n_series = many, .y_low = x->n_groups > 1 ? -1.5 : -0.5, .y_high = 1.25};
        }
    agon_status s = lab_plot(x->l, "curves.svg", panels, n, 2);
    return s;
}

/* Every figure of every measure of one variant at one rate in one group, into out. */
static void add_measures(const noise *x, const table *whole, const table *drawn, size_t rate, size_t v, size_t g, curves *c, double *scratch, json_t *out) {
    for (size_t k = 0; k < N_MEASURES; k++) {
        json_t *one = json_object();
        for (int f = 0; f < N_FIGURES; f++) {
            estimate e = estimate_of(x, whole, drawn, (figure)f, rate, v, g, k, scratch);
            json_object_set_new(one, figure_names[f], json_pack("[o,o,o]", real_or_null(e.value), real_or_null(e.range.low), real_or_null(e.range.high)));
            curves *to = &c[g * N_DRAWN + k];
            if (f == KEPT && k < N_DRAWN)
                to->x[rate] = x->rates[rate], to->y[v][rate] = e.value, to->low[v][rate] = e.range.low, to->high[v][rate] = e.range.high;
        }
        json_object_set_new(out, measure_names[k], one);
    }
}

static json_t *variant_json(const noise *x, const table *whole, const table *drawn, size_t rate, size_t at, curves *c, double *scratch) {
    const variant *v = &x->variants[at];
    json_t *out = json_pack("{s:s,s:f}", "method", v->method->name, "rate", x->rates[rate]);
    if (v->method->told == TOLD_RATE)
        json_object_set_new(out, "assumed_rate", json_real(v->factor * x->rates[rate]));
    add_measures(x, whole, drawn, rate, at, EVERYWHERE, c, scratch, out);
    for (size_t g = INSIDE; g < x->n_groups; g++) {
        json_t *in = json_object();
        add_measures(x, whole, drawn, rate, at, g, c, scratch, in);
        json_object_set_new(out, group_names[g], in);
    }
    return out;
}

static void add_base(const table *whole, size_t g, json_t *out) {
    for (size_t k = 0; k < N_MEASURES; k++)
        json_object_set_new(out, measure_names[k], real_or_null(whole->base.of[g][k]));
}

static json_t *base_json(const noise *x, const table *whole) {
    json_t *out = json_object();
    add_base(whole, EVERYWHERE, out);
    for (size_t g = INSIDE; g < x->n_groups; g++) {
        json_t *in = json_object();
        add_base(whole, g, in);
        json_object_set_new(out, group_names[g], in);
    }
    return out;
}

/* By seed. */
static json_t *in_subgroup_json(const noise *x, size_t rate) {
    json_t *out = json_array();
    for (size_t seed = 0; seed < x->l->n_seeds; seed++)
        json_array_append_new(out, json_real(rate_inside(x, seed, x->rates[rate])));
    return out;
}

static json_t *rates_json(const noise *x) {
    json_t *out = json_array();
    for (size_t rate = 0; rate < x->n_rates; rate++) {
        json_t *estimates = json_array(), *epochs = json_array();
        for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
            const double *judged = x->soft + (seed * x->n_rates + rate) * (x->n_pairs + N_JUDGED) + x->n_pairs;
            json_array_append_new(estimates, json_real(judged[JUDGED_RATE]));
            json_array_append_new(epochs, json_integer((json_int_t)judged[JUDGED_EPOCHS]));
        }
        json_t *one = json_pack("{s:f,s:o,s:o}", "rate", x->rates[rate], "estimated", estimates, "stop_after_epoch", epochs);
        if (x->subgroup >= 0)
            json_object_set_new(one, "rate_in_subgroup", in_subgroup_json(x, rate));
        json_array_append_new(out, one);
    }
    return out;
}

static agon_status report(const noise *x, json_t **result) {
    json_t *list = json_array();
    table whole = {0}, *drawn = malloc(x->draws * sizeof *drawn);
    curves *c = calloc(N_GROUPS * N_DRAWN, sizeof *c);
    double *scratch = malloc(x->draws * sizeof *scratch);
    agon_status s = drawn && c && scratch ? draw_tables(x, drawn) : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        fill(x, NULL, NULL, &whole);
    for (size_t i = 0; i < x->n_rates * x->n_variants && !s; i++)
        json_array_append_new(list, variant_json(x, &whole, drawn, i / x->n_variants, i % x->n_variants, c, scratch));
    if (!s)
        s = draw(x, c);
    if (!s)
        *result = json_pack("{s:o,s:o,s:O}", "base", base_json(x, &whole), "rates", rates_json(x), "methods", list);
    json_decref(list);
    free(drawn);
    free(c);
    free(scratch);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    noise *x = arg;
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
        s = lab_run(l, n, judge_pairs, x);
    if (!s)
        s = lab_run(l, n * x->n_variants, run_one, x);
    return s ? s : report(x, result);
}

/* A pair is two rows, and once more for the reference; the estimate counts it as two trained and two asked. */
static void plan(const void *arg, double *trained, double *asked) {
    const noise *x = arg;
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
    .size = sizeof(noise),
    .options = take_options,
    .plan = plan,
    .run = run,
};

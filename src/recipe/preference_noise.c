/* experiment: preference-noise. What is left of preference training when a share of the pairs is swapped?
 *
 *   base       a model pretrained on true statements, not to the end: it completes some sources rightly and some not
 *   pairs      chosen: the true answer; rejected: a wrong sample of the base where it has one, else a true answer with one fault;
 *              each pair is swapped with probability e (train/noise.h)
 *   methods    dpo, cdpo, rdpo and dpo-forward told the true e; rdpo told the estimated e; ropo; and
 *   ours       two reward models, each on half of the swapped pairs, say of the other half how likely each pair is right
 *              (out of sample); confident learning estimates e from that; the posterior of each pair given its label and e
 *              is a soft label for dpo-soft
 *   measure    share of test sources completed rightly (greedy), and how much of the gain at e = 0 is kept
 *
 * Every method sees the same pairs and takes the same steps from the same base. Spec: training.md section 5. */
#include "base/ctx.h"
#include "eval/noise_rate.h"
#include "eval/plot.h"
#include "recipe/experiment.h"
#include "train/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}],"
    "\"corpus_items\": 24000, \"corpus_lr\": 0.003, \"pairs\": 1000, \"test_items\": 500, \"rates\": [0, 0.1, 0.2, 0.3, 0.4],"
    "\"epochs\": 3, \"batch\": 32, \"lr\": 0.0003, \"beta\": 0.1, \"reward_lr\": 0.001, \"draws\": 2000}";

enum { MAX_RATES = 8 };

typedef enum told { TOLD_NOTHING, TOLD_RATE, TOLD_ESTIMATE, TOLD_LABELS } told;
static const struct method {
    const char *name, *objective;
    told told;
} methods[] = {
    {"dpo", "dpo", TOLD_NOTHING},     {"cdpo", "cdpo", TOLD_RATE},
    {"rdpo", "rdpo", TOLD_RATE},      {"rdpo-estimated", "rdpo", TOLD_ESTIMATE},
    {"forward", "dpo-forward", TOLD_RATE}, {"ropo", "ropo", TOLD_NOTHING},
    {"ours", "dpo-soft", TOLD_LABELS},
};
enum { N_METHODS = sizeof methods / sizeof *methods };

typedef struct noise {
    lab *l;
    size_t n_seeds, n_pairs, n_test, n_corpus, n_rates, batch, steps, family, draws;
    double rates[MAX_RATES], lr, corpus_lr, beta, reward_lr;
    uint64_t seed;
    lab_size size;
    lab_model **base;              /* [n_seeds] */
    sequence_item *right, *wrong;  /* [n_seeds, n_pairs] */
    sequence_item *test;           /* [n_test] the same under every seed */
    double *base_scores;           /* [n_seeds, n_test] */
    double *soft;                  /* [n_seeds, n_rates, n_pairs + 1] q of each pair, then the estimated rate */
    double *scores;                /* [n_seeds, n_rates, N_METHODS, n_test] */
} noise;

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_rates(noise *x) {
    const json_t *list = json_object_get(x->l->settings, "rates");
    x->n_rates = json_array_size(list);
    if (x->n_rates < 1 || x->n_rates > MAX_RATES)
        return ctx_fail(x->l->ctx, AGON_EINVAL, "rates: 1 to %d, from 0", MAX_RATES);
    for (size_t i = 0; i < x->n_rates; i++) {
        x->rates[i] = json_number_value(json_array_get(list, i));
        if (!(x->rates[i] >= 0 && x->rates[i] <= 0.45))
            return ctx_fail(x->l->ctx, AGON_EINVAL, "rates: %g is not from 0 to 0.45", x->rates[i]);
    }
    if (x->rates[0] != 0)
        return ctx_fail(x->l->ctx, AGON_EINVAL, "rates must begin with 0, which the gains are measured against");
    return AGON_OK;
}

static agon_status take_options(lab *l, noise *x) {
    size_t seed = 0, epochs = 0, n_sizes = 0;
    const char *family = json_string_value(json_object_get(l->settings, "family"));
    *x = (noise){.l = l};
    const struct {
        const char *key;
        int64_t low, high;
        size_t *out;
    } whole[] = {{"seed", 0, INT64_MAX, &seed}, {"seeds", 1, 100, &x->n_seeds}, {"corpus_items", 64, 10000000, &x->n_corpus},
                 {"pairs", 32, 1000000, &x->n_pairs}, {"test_items", 50, 1000000, &x->n_test}, {"epochs", 1, 1000, &epochs},
                 {"batch", 1, 4096, &x->batch}, {"draws", 100, 1000000, &x->draws}};
    const struct {
        const char *key;
        double high, *out;
    } real[] = {{"lr", 1, &x->lr}, {"corpus_lr", 1, &x->corpus_lr}, {"reward_lr", 1, &x->reward_lr}, {"beta", 1000, &x->beta}};
    agon_status s = take_rates(x);
    for (size_t i = 0; i < sizeof whole / sizeof *whole && !s; i++)
        s = lab_int(l, whole[i].key, whole[i].low, whole[i].high, whole[i].out);
    for (size_t i = 0; i < sizeof real / sizeof *real && !s; i++)
        s = lab_real(l, real[i].key, 1e-9, real[i].high, real[i].out);
    if (!s)
        s = lab_ladder(l, "ladder", &x->size, 1, &n_sizes);
    x->family = family ? sequence_family_find(family) : SIZE_MAX;
    if (!s && (x->family == SIZE_MAX || !sequence_is_generative(x->family)))
        s = ctx_fail(l->ctx, AGON_EINVAL, "family: '%.40s' is no generative family of sequence tasks", family ? family : "");
    x->seed = seed;
    x->steps = epochs * x->n_pairs / x->batch;
    if (!s && x->steps == 0)
        s = ctx_fail(l->ctx, AGON_EINVAL, "batch is larger than all pairs of all epochs");
    return s;
}

/* ---- base and pairs ---------------------------------------------------------------------------------------- */

static agon_status draw_pairs(noise *x, agon_ctx *ctx, size_t seed, sequence_item *right, sequence_item *wrong) {
    const lab_model *base = x->base[seed];
    sequence_item *samples = malloc(x->n_pairs * sizeof *samples);
    if (!samples)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    agon_status s = lab_complete(ctx, base, right, x->n_pairs, 1, seed_derivef(x->seed + seed, "samples"), samples, NULL);
    rng r = rng_new(seed_derivef(x->seed + seed, "faults"));
    for (size_t i = 0; i < x->n_pairs && !s; i++) {
        wrong[i] = samples[i];
        if (!sequence_verify(x->family, samples[i].tokens, samples[i].n))
            continue;
        wrong[i] = right[i];
        while (!sequence_spoil(x->family, &r, &wrong[i])) /* six equal letters: another item takes their place */
            sequence_draw(x->family, true, &r, &right[i]), wrong[i] = right[i];
    }
    free(samples);
    return s;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    noise *x = arg;
    static const bool yes = true;
    sequence_item *right = x->right + seed * x->n_pairs;
    size_t n_taken = x->n_test + x->n_pairs;
    sequence_item *corpus = calloc(x->n_corpus, sizeof *corpus), *taken = malloc(n_taken * sizeof *taken),
                  *out = malloc(x->n_test * sizeof *out);
    double loss = 0;
    char key[32];
    snprintf(key, sizeof key, "base %zu", seed);
    agon_status s = corpus && taken && out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = sequence_draw_set(ctx, x->family, seed_derivef(x->seed + seed, "pairs"), &yes, x->test, x->n_test, true, x->n_pairs,
                              right);
    if (!s) {
        memcpy(taken, x->test, x->n_test * sizeof *taken);
        memcpy(taken + x->n_test, right, x->n_pairs * sizeof *taken);
        s = sequence_draw_set(ctx, x->family, seed_derivef(x->seed + seed, "corpus"), &yes, taken, n_taken, false, x->n_corpus,
                              corpus);
    }
    if (!s)
        s = lab_pretrained(x->l, ctx, &x->size, key, seed_derivef(x->seed + seed, "model"), corpus, x->n_corpus, x->batch,
                           x->corpus_lr, &x->base[seed], &loss);
    if (!s)
        s = draw_pairs(x, ctx, seed, right, x->wrong + seed * x->n_pairs);
    if (!s)
        s = lab_complete(ctx, x->base[seed], x->test, x->n_test, 0, 0, out, NULL);
    double sum = 0;
    for (size_t i = 0; i < x->n_test && !s; i++)
        sum += x->base_scores[seed * x->n_test + i] = sequence_verify(x->family, out[i].tokens, out[i].n);
    if (!s)
        lab_say(x->l, "seed %zu  base: %.3f nats a token, test answers right %.3f", seed, loss, sum / (double)x->n_test);
    free(corpus);
    free(taken);
    free(out);
    return s;
}

/* The pairs as the learner gets them: some are swapped. */
static void noisy_pairs(const noise *x, size_t seed, size_t rate, bool *flipped, sequence_item *chosen, sequence_item *rejected) {
    noise_flips(seed_derivef(x->seed + seed, "flips"), x->rates[rate], x->n_pairs, flipped);
    for (size_t i = 0; i < x->n_pairs; i++) {
        const sequence_item *right = &x->right[seed * x->n_pairs + i], *wrong = &x->wrong[seed * x->n_pairs + i];
        chosen[i] = flipped[i] ? *wrong : *right;
        rejected[i] = flipped[i] ? *right : *wrong;
    }
}

/* ---- ours: which pairs are right, out of sample --------------------------------------------------------------- */

/* A reward model on the pairs of the other fold; p of this fold's pairs: sigmoid of the reward's difference. */
static agon_status judge_fold(const noise *x, agon_ctx *ctx, size_t seed, size_t fold, const sequence_item *chosen,
                              const sequence_item *rejected, double *p) {
    size_t half = x->n_pairs / 2, from = fold ? 0 : half, n = fold ? half : x->n_pairs - half;
    size_t to = fold ? half : 0, m = fold ? x->n_pairs - half : half;
    lab_model *reward = NULL;
    lab_rows rows = {0};
    double *r = malloc(2 * m * sizeof *r);
    const lab_training t = {.objective = "bt", .steps = x->steps / 2 + 1, .batch = x->batch, .lr = x->reward_lr,
                            .seed = seed_derivef(x->seed + seed, "fold %zu", fold)};
    agon_status s = r ? lab_model_copy(ctx, x->base[seed], &reward) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = lab_pairs(ctx, chosen + from, rejected + from, n, NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, reward, &rows, &t);
    if (!s)
        s = lab_reward(ctx, reward, chosen + to, m, r);
    if (!s)
        s = lab_reward(ctx, reward, rejected + to, m, r + m);
    for (size_t i = 0; i < m && !s; i++)
        p[to + i] = 1 / (1 + exp(r[m + i] - r[i]));
    lab_rows_free(&rows);
    lab_model_free(reward);
    free(r);
    return s;
}

/* Share of swapped pairs by confident learning. Each pair is written down in a random order, so that both labels occur. */
static agon_status estimate_rate(agon_ctx *ctx, uint64_t seed, const double *p, size_t n, double *rate) {
    double *probabilities = malloc(2 * n * sizeof *probabilities);
    size_t *labels = malloc(n * sizeof *labels);
    noise_report report = {0};
    rng r = rng_new(seed);
    agon_status s = probabilities && labels ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        labels[i] = rng_below(&r, 2);
        probabilities[2 * i + labels[i]] = p[i];
        probabilities[2 * i + 1 - labels[i]] = 1 - p[i];
    }
    if (!s)
        s = confident_learning(ctx, probabilities, labels, n, 2, &report);
    if (!s)
        *rate = fmin(report.noise_rate, 0.45);
    noise_report_free(&report);
    free(probabilities);
    free(labels);
    return s;
}

/* p is of the swapped labels: p = (1-e) t + e (1-t). Given that the label says so, the pair is right with
 * q = t (1-e) / (t (1-e) + (1-t) e). */
static double posterior(double p, double e) {
    double t = fmin(fmax((p - e) / (1 - 2 * e), 0.01), 0.99);
    return t * (1 - e) / (t * (1 - e) + (1 - t) * e);
}

static agon_status judge_pairs(void *arg, agon_ctx *ctx, size_t i) {
    noise *x = arg;
    size_t seed = i / x->n_rates, rate = i % x->n_rates, n = x->n_pairs;
    double *q = x->soft + i * (n + 1);
    char key[64];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc(2 * n * sizeof *chosen), *rejected = chosen + n;
    snprintf(key, sizeof key, "labels %zu %g", seed, x->rates[rate]);
    agon_status s = flipped && chosen ? lab_recall(x->l, ctx, key, q, n + 1, &found) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        noisy_pairs(x, seed, rate, flipped, chosen, rejected);
        for (size_t fold = 0; fold < 2 && !s; fold++)
            s = judge_fold(x, ctx, seed, fold, chosen, rejected, q);
        if (!s)
            s = estimate_rate(ctx, seed_derivef(x->seed + seed, "order"), q, n, &q[n]);
        for (size_t k = 0; k < n && !s; k++)
            q[k] = posterior(q[k], q[n]);
        if (!s)
            s = lab_keep(x->l, ctx, key, q, n + 1);
        if (!s)
            lab_say(x->l, "seed %zu  rate %.2f is estimated as %.3f", seed, x->rates[rate], q[n]);
    }
    free(flipped);
    free(chosen);
    return s;
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static agon_status train_policy(const noise *x, agon_ctx *ctx, size_t seed, size_t rate, const struct method *m,
                                const sequence_item *chosen, const sequence_item *rejected, sequence_item *out) {
    const double *q = x->soft + (seed * x->n_rates + rate) * (x->n_pairs + 1);
    double e = m->told == TOLD_ESTIMATE ? q[x->n_pairs] : x->rates[rate];
    char beta[40], smoothing[40];
    lab_model *policy = NULL;
    lab_rows rows = {0};
    snprintf(beta, sizeof beta, "beta=%.17g", x->beta);
    snprintf(smoothing, sizeof smoothing, "label_smoothing=%.17g", e);
    const lab_training t = {.objective = m->objective,
                            .settings = {beta, m->told == TOLD_RATE || m->told == TOLD_ESTIMATE ? smoothing : NULL},
                            .steps = x->steps, .batch = x->batch, .lr = x->lr, .reference = x->base[seed]->m,
                            .seed = seed_derivef(x->seed + seed, "order")};
    agon_status s = lab_model_copy(ctx, x->base[seed], &policy);
    if (!s)
        s = lab_pairs(ctx, chosen, rejected, x->n_pairs, m->told == TOLD_LABELS ? q : NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, policy, &rows, &t);
    if (!s)
        s = lab_complete(ctx, policy, x->test, x->n_test, 0, 0, out, NULL);
    lab_rows_free(&rows);
    lab_model_free(policy);
    return s;
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    noise *x = arg;
    size_t method = i % N_METHODS, rate = i / N_METHODS % x->n_rates, seed = i / N_METHODS / x->n_rates, n = x->n_pairs;
    double *scores = x->scores + i * x->n_test, sum = 0;
    char key[96];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc((2 * n + x->n_test) * sizeof *chosen), *rejected = chosen + n, *out = chosen + 2 * n;
    snprintf(key, sizeof key, "policy %zu %g %s", seed, x->rates[rate], methods[method].name);
    agon_status s = flipped && chosen ? lab_recall(x->l, ctx, key, scores, x->n_test, &found)
                                      : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        noisy_pairs(x, seed, rate, flipped, chosen, rejected);
        s = train_policy(x, ctx, seed, rate, &methods[method], chosen, rejected, out);
        for (size_t k = 0; k < x->n_test && !s; k++)
            sum += scores[k] = sequence_verify(x->family, out[k].tokens, out[k].n);
        if (!s)
            s = lab_keep(x->l, ctx, key, scores, x->n_test);
        if (!s)
            lab_say(x->l, "seed %zu  %.0f%% swapped  %-14s test answers right %.3f", seed, 100 * x->rates[rate],
                    methods[method].name, sum / (double)x->n_test);
    }
    free(flipped);
    free(chosen);
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------------------- */

static const double *scores_of(const noise *x, size_t seed, size_t rate, size_t method) {
    return x->scores + ((seed * x->n_rates + rate) * N_METHODS + method) * x->n_test;
}

/* Mean of item `k` under a drawn seed: accuracy, gain and gain at rate 0, over drawn seeds and items. */
typedef struct figures {
    double accuracy, gain, kept;
} figures;

static figures figures_of(const noise *x, size_t rate, size_t method, const size_t *seeds, const size_t *items) {
    double here = 0, clean = 0, base = 0, n = (double)(x->n_seeds * x->n_test);
    for (size_t a = 0; a < x->n_seeds; a++)
        for (size_t b = 0; b < x->n_test; b++) {
            size_t seed = seeds ? seeds[a] : a, item = items ? items[b] : b;
            here += scores_of(x, seed, rate, method)[item] / n;
            clean += scores_of(x, seed, 0, 0)[item] / n; /* plain dpo on clean pairs is the gain to be kept */
            base += x->base_scores[seed * x->n_test + item] / n;
        }
    return (figures){here, here - base, clean > base ? (here - base) / (clean - base) : NAN};
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

/* Percentile bootstrap over seeds and items, jointly over all conditions. */
static agon_status interval_of(const noise *x, size_t rate, size_t method, double accuracy[2], double kept[2]) {
    size_t n = 0, *seeds = malloc(x->n_seeds * sizeof *seeds), *items = malloc(x->n_test * sizeof *items);
    double *a = malloc(x->draws * sizeof *a), *k = malloc(x->draws * sizeof *k);
    agon_status s = seeds && items && a && k ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(seed_derive(x->seed, "bootstrap"));
    for (size_t d = 0; d < x->draws && !s; d++) {
        for (size_t i = 0; i < x->n_seeds; i++)
            seeds[i] = (size_t)rng_below(&r, x->n_seeds);
        for (size_t i = 0; i < x->n_test; i++)
            items[i] = (size_t)rng_below(&r, x->n_test);
        figures f = figures_of(x, rate, method, seeds, items);
        a[d] = f.accuracy;
        if (isfinite(f.kept))
            k[n++] = f.kept;
    }
    if (!s) {
        qsort(a, x->draws, sizeof *a, ascending);
        qsort(k, n, sizeof *k, ascending);
        accuracy[0] = a[x->draws / 40], accuracy[1] = a[x->draws - 1 - x->draws / 40];
        kept[0] = n ? k[n / 40] : NAN, kept[1] = n ? k[n - 1 - n / 40] : NAN;
    }
    free(seeds), free(items), free(a), free(k);
    return s;
}

typedef struct curves {
    double x[MAX_RATES], y[N_METHODS][MAX_RATES], low[N_METHODS][MAX_RATES], high[N_METHODS][MAX_RATES];
} curves;

static agon_status draw(const noise *x, const curves *c) {
    plot_series series[N_METHODS];
    char *svg = NULL;
    for (size_t m = 0; m < N_METHODS; m++)
        series[m] = (plot_series){methods[m].name, c->x, c->y[m], c->low[m], c->high[m], x->n_rates, false};
    const plot_panel panel = {.title = sequence_family_name(x->family), .x_name = "share of pairs swapped",
                              .y_name = "share of the clean gain kept", .series = series, .n_series = N_METHODS,
                              .y_low = -0.5, .y_high = 1.5};
    agon_status s = plot_svg(x->l->ctx, &panel, 1, 1, &svg);
    if (!s)
        s = lab_write(x->l, "curves.svg", svg);
    free(svg);
    return s;
}

static agon_status report(const noise *x, json_t **result) {
    json_t *list = json_array(), *rates = json_array();
    curves *c = calloc(1, sizeof *c);
    agon_status s = c ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t rate = 0; rate < x->n_rates && !s; rate++) {
        json_t *estimates = json_array();
        for (size_t seed = 0; seed < x->n_seeds; seed++)
            json_array_append_new(estimates, json_real(x->soft[(seed * x->n_rates + rate) * (x->n_pairs + 1) + x->n_pairs]));
        json_array_append_new(rates, json_pack("{s:f,s:o}", "rate", x->rates[rate], "estimated", estimates));
        c->x[rate] = x->rates[rate];
        for (size_t m = 0; m < N_METHODS && !s; m++) {
            figures f = figures_of(x, rate, m, NULL, NULL);
            double accuracy[2], kept[2];
            s = interval_of(x, rate, m, accuracy, kept);
            if (s)
                break;
            c->y[m][rate] = f.kept, c->low[m][rate] = kept[0], c->high[m][rate] = kept[1];
            json_array_append_new(list, json_pack("{s:s,s:f,s:f,s:[f,f],s:f,s:o,s:[o,o]}", "method", methods[m].name, "rate",
                                                  x->rates[rate], "accuracy", f.accuracy, "accuracy_interval", accuracy[0],
                                                  accuracy[1], "gain", f.gain, "kept", number(f.kept), "kept_interval",
                                                  number(kept[0]), number(kept[1])));
        }
    }
    double base = 0;
    for (size_t i = 0; i < x->n_seeds * x->n_test; i++)
        base += x->base_scores[i] / (double)(x->n_seeds * x->n_test);
    if (!s)
        s = draw(x, c);
    if (!s)
        *result = json_pack("{s:f,s:O,s:O}", "base_accuracy", base, "rates", rates, "methods", list);
    json_decref(list);
    json_decref(rates);
    free(c);
    return s;
}

static agon_status run(lab *l, json_t **result) {
    noise x;
    static const bool yes = true;
    agon_status s = take_options(l, &x);
    if (s)
        return s;
    size_t n = x.n_seeds * x.n_rates;
    x.base = calloc(x.n_seeds, sizeof *x.base);
    x.right = calloc(x.n_seeds * x.n_pairs, sizeof *x.right);
    x.wrong = calloc(x.n_seeds * x.n_pairs, sizeof *x.wrong);
    x.test = calloc(x.n_test, sizeof *x.test);
    x.base_scores = calloc(x.n_seeds * x.n_test, sizeof *x.base_scores);
    x.soft = calloc(n * (x.n_pairs + 1), sizeof *x.soft);
    x.scores = calloc(n * N_METHODS * x.n_test, sizeof *x.scores);
    if (!x.base || !x.right || !x.wrong || !x.test || !x.base_scores || !x.soft || !x.scores)
        s = ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = sequence_draw_set(l->ctx, x.family, seed_derive(x.seed, "test"), &yes, NULL, 0, true, x.n_test, x.test);
    if (!s)
        s = lab_run(l, x.n_seeds, prepare_seed, &x);
    if (!s)
        s = lab_run(l, n, judge_pairs, &x);
    if (!s)
        s = lab_run(l, n * N_METHODS, run_one, &x);
    if (!s)
        s = report(&x, result);
    for (size_t i = 0; x.base && i < x.n_seeds; i++)
        lab_model_free(x.base[i]);
    free(x.base), free(x.right), free(x.wrong), free(x.test), free(x.base_scores), free(x.soft), free(x.scores);
    return s;
}

/* A pair is two rows, and once more for the reference; the estimate counts it as two trained and two asked. */
static agon_status plan(lab *l, double *trained, double *asked) {
    noise x;
    agon_status s = take_options(l, &x);
    if (s)
        return s;
    double seeds = (double)x.n_seeds, n = seeds * (double)x.n_rates;
    trained[0] = seeds * (double)x.n_corpus + n * (N_METHODS + 1) * 2 * (double)(x.steps * x.batch);
    asked[0] = n * N_METHODS * (2.0 * (double)x.n_pairs + 7.0 * (double)x.n_test) + 7 * seeds * (double)(x.n_pairs + x.n_test);
    return AGON_OK;
}

const experiment experiment_preference_noise = {
    .name = "preference-noise",
    .summary = "what is left of preference training when a share of the pairs is swapped",
    .defaults = defaults,
    .plan = plan,
    .run = run,
};

/* experiment: noise-cleaning. Are planted wrong labels found, and is said why?
 *
 *   labels     true or false of n statements a family, each reversed with probability `rate` (train/noise.h)
 *   judges     two, both out of sample over k folds: a pretrained model trained on the noisy labels of the other folds says P(true)
 *              of this one; or the pretrained model's likelihood of the answer given its source, made a probability by an isotonic map fitted
 *              to the noisy labels of the other folds. The one whose probabilities have the smaller cross-entropy with the labels
 *              as given is believed: no truth is used
 *   cleaning   confident learning (Northcutt et al. 2021, 1911.00068) lists what it would drop, surest first, with the label given and the
 *              one the judge's probabilities speak for; the small-loss rule, told the true rate, is the baseline
 *   measure    precision and recall of what is flagged against what was planted, with exact intervals; the estimated rate */
#include "base/ctx.h"
#include "eval/calibration.h"
#include "eval/interval.h"
#include "eval/noise_rate.h"
#include "experiment/experiment.h"
#include "train/noise.h"
#include "train/selection.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"families\": [\"compare\", \"brackets\", \"sorting\", \"reversal\", \"agreement\"],"
    "\"ladder\": [{\"width\": 48, \"layers\": 3}], \"corpus_items\": 500000, \"corpus_lr\": 0.003, \"verdicts\": 0.5, \"items\": 1500, \"rate\": 0.2,"
    "\"folds\": 4, \"epochs\": 3, \"batch\": 32, \"lr\": 0.001, \"shown\": 10}";

enum { MAX_FAMILIES = 16, MAX_FOLDS = 20 };
typedef enum judge_kind { JUDGE_CLASS, JUDGE_LIKELIHOOD, N_JUDGES } judge_kind;
static const char *const judge_names[N_JUDGES] = {"class", "likelihood"};

typedef struct cleaning {
    lab *l;
    size_t n_items, n_folds, epochs, batch, shown, n_families, families[MAX_FAMILIES];
    double rate, lr, verdicts;
    sequence_item *items; /* [n_seeds, n_families, n_items] */
    double *p;            /* [n_seeds, n_families, N_JUDGES, n_items] P(true) out of sample */
} cleaning;

static agon_status take_families(cleaning *c) {
    const json_t *list = json_object_get(c->l->settings, "families");
    c->n_families = json_array_size(list);
    if (c->n_families < 1 || c->n_families > MAX_FAMILIES)
        return ctx_fail(c->l->ctx, AGON_EINVAL, "families has %zu names; give 1 to %d", c->n_families, MAX_FAMILIES);
    for (size_t i = 0; i < c->n_families; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        c->families[i] = name ? sequence_family_find(name) : SIZE_MAX;
        if (c->families[i] == SIZE_MAX)
            return ctx_fail(c->l->ctx, AGON_EINVAL, "families: '%.40s' is no family of sequence tasks", name ? name : "");
    }
    return AGON_OK;
}

static agon_status take_options(lab *l, void *arg) {
    cleaning *c = arg;
    c->l = l;
    const lab_whole whole[] = {{"items", 100, 1000000, &c->n_items}, {"folds", 2, MAX_FOLDS, &c->n_folds}, {"epochs", 1, 1000, &c->epochs},
                 {"batch", 1, 100, &c->batch}, {"shown", 0, 1000, &c->shown}, {0}};
    const lab_fraction real[] = {{"rate", 0, 0.45, &c->rate}, {"verdicts", 0, 1, &c->verdicts}, {"lr", 1e-9, 1, &c->lr}, {0}};
    agon_status s = take_families(c);
    return s ? s : lab_options(l, whole, real);
}

static sequence_item *items_of(const cleaning *c, size_t seed, size_t family) {
    return c->items + (seed * c->n_families + family) * c->n_items;
}

/* The labels the judge gets; flipped [n_items] says which are wrong. */
static void noisy_labels(const cleaning *c, size_t seed, size_t family, bool *flipped, double *labels) {
    const sequence_item *items = items_of(c, seed, family);
    noise_flips(lab_seed(c->l, seed, "flips %zu", c->families[family]), c->rate, c->n_items, flipped);
    for (size_t i = 0; i < c->n_items; i++)
        labels[i] = items[i].truth != flipped[i];
}

/* Draws the items and pretrains a model on statements that are none of them. */
static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    cleaning *c = arg;
    sequence_item *corpus = calloc(c->l->n_corpus, sizeof *corpus);
    double loss = 0;
    agon_status s = corpus ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0, at = 0; k < c->n_families && !s; k++) {
        size_t end = c->l->n_corpus * (k + 1) / c->n_families;
        s = sequence_draw_set(ctx, c->families[k], lab_seed(c->l, seed, "items %zu", c->families[k]), NULL, NULL, 0, true,
                              c->n_items, items_of(c, seed, k));
        if (!s)
            s = lab_corpus(ctx, c->families[k], lab_seed(c->l, seed, "corpus %zu", c->families[k]), c->verdicts,
                           items_of(c, seed, k), c->n_items, end - at, corpus + at);
        at = end;
    }
    if (!s)
        s = lab_learn(c->l, ctx, seed, "pretrain", corpus, c->batch, &loss);
    if (!s)
        lab_say_seed(c->l, seed, "pretrained, %.3f nats a token", loss);
    free(corpus);
    return s;
}

static agon_status judge_fold(const cleaning *c, agon_ctx *ctx, size_t seed, size_t family, size_t fold, const double *labels,
                              double *weights, double *p) {
    const sequence_item *items = items_of(c, seed, family);
    size_t from = c->n_items * fold / c->n_folds, to = c->n_items * (fold + 1) / c->n_folds;
    lab_model *m = NULL;
    lab_rows rows = {0};
    const lab_training t = {.objective = "classify", .steps = c->epochs * (c->n_items - (to - from)) / c->batch + 1,
                            .batch = c->batch, .lr = c->lr, .seed = lab_seed(c->l, seed, "fold %zu", fold)};
    for (size_t i = 0; i < c->n_items; i++)
        weights[i] = i < from || i >= to;
    agon_status s = lab_model_copy(ctx, c->l->models[seed], &m);
    if (!s)
        s = lab_labelled(ctx, items, c->n_items, labels, weights, &rows);
    if (!s)
        s = lab_train(c->l, ctx, m, &rows, &t);
    if (!s)
        s = lab_judge(ctx, m, items + from, to - from, p + from);
    lab_rows_free(&rows);
    lab_model_free(m);
    return s;
}

/* Probabilities of this fold's labels from `confidence` [n_items], by the labels of the other folds. scratch [n_items]. */
static agon_status calibrate_fold(const cleaning *c, agon_ctx *ctx, size_t fold, const double *confidence, const double *labels,
                                  double *scratch, bool *correct, double *p) {
    size_t from = c->n_items * fold / c->n_folds, to = c->n_items * (fold + 1) / c->n_folds, n = 0;
    calibrator map = {0};
    for (size_t i = 0; i < c->n_items; i++)
        if (i < from || i >= to)
            scratch[n] = confidence[i], correct[n++] = labels[i] > 0.5;
    agon_status s = calibrator_fit_kind(ctx, CALIBRATOR_ISOTONIC, scratch, correct, n, &map);
    for (size_t i = from; i < to && !s; i++)
        p[i] = calibrator_apply(&map, confidence[i]);
    calibrator_free(&map);
    return s;
}

/* Geometric mean probability of each answer's tokens, which an isotonic map needs only in order; then out of sample. */
static agon_status judge_by_likelihood(const cleaning *c, agon_ctx *ctx, size_t seed, size_t family, const double *labels, double *p) {
    const sequence_item *items = items_of(c, seed, family);
    size_t n = c->n_items;
    double *confidence = malloc(2 * n * sizeof *confidence);
    bool *correct = malloc(n * sizeof *correct);
    agon_status s = confidence && correct ? lab_score(ctx, c->l->models[seed], items, n, confidence)
                                          : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        confidence[i] = exp(confidence[i] / (double)(items[i].n - items[i].n_source));
    for (size_t fold = 0; fold < c->n_folds && !s; fold++)
        s = calibrate_fold(c, ctx, fold, confidence, labels, confidence + n, correct, p);
    free(confidence);
    free(correct);
    return s;
}

static double *judged_of(const cleaning *c, size_t seed, size_t family) {
    return c->p + (seed * c->n_families + family) * N_JUDGES * c->n_items;
}

static agon_status judge(void *arg, agon_ctx *ctx, size_t i) {
    cleaning *c = arg;
    size_t seed = i / c->n_families, family = i % c->n_families, n = c->n_items;
    double *p = judged_of(c, seed, family), *labels = malloc(2 * n * sizeof *labels);
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    char key[96];
    snprintf(key, sizeof key, "judges %zu %s", seed, sequence_family_name(c->families[family]));
    agon_status s = labels && flipped ? lab_recall(c->l, ctx, key, p, N_JUDGES * n, &found)
                                      : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        noisy_labels(c, seed, family, flipped, labels);
        for (size_t fold = 0; fold < c->n_folds && !s; fold++)
            s = judge_fold(c, ctx, seed, family, fold, labels, labels + n, p + JUDGE_CLASS * n);
        if (!s)
            s = judge_by_likelihood(c, ctx, seed, family, labels, p + JUDGE_LIKELIHOOD * n);
        if (!s)
            s = lab_keep(c->l, ctx, key, p, N_JUDGES * n);
        if (!s)
            lab_say_seed(c->l, seed, "%s judged out of sample", sequence_family_name(c->families[family]));
    }
    free(labels);
    free(flipped);
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------------------- */

typedef struct counts {
    size_t flagged, noisy, both;
} counts;

static void add_counts(counts *c, const bool *flagged, const bool *noisy, size_t n) {
    flag_quality q = flags_measure(flagged, noisy, n);
    c->flagged += q.n_flagged, c->noisy += q.n_noisy, c->both += q.n_both;
}

/* Exact for independent items; those of a seed share a judge, so over several seeds it is too narrow (docs/results.md). */
static json_t *share_json(size_t k, size_t n) {
    interval i = clopper_pearson(k, n, 0.05);
    return json_pack("{s:o,s:[f,f]}", "share", n ? json_real((double)k / (double)n) : json_null(), "interval", i.low, i.high);
}

static json_t *quality_json(const counts *c) {
    return json_pack("{s:o,s:o,s:I,s:I}", "precision", share_json(c->both, c->flagged), "recall", share_json(c->both, c->noisy),
                     "flagged", (json_int_t)c->flagged, "planted", (json_int_t)c->noisy);
}

static json_t *finding_json(const sequence_item *item, const noise_finding *f, bool planted) {
    char text[256];
    sequence_text(item->tokens, item->n, text, sizeof text);
    return json_pack("{s:s,s:b,s:b,s:f,s:b}", "statement", text, "given", (int)f->given, "latent", (int)f->latent, "margin",
                     f->margin, "planted", (int)planted);
}

/* The judge that agrees best with the labels as given; cross-entropies of both in nats. */
static judge_kind believed(const double *p, const double *labels, bool *scratch, size_t n, double nats[N_JUDGES]) {
    for (size_t i = 0; i < n; i++)
        scratch[i] = labels[i] > 0.5;
    for (int k = 0; k < N_JUDGES; k++)
        nats[k] = calibration_nll(p + (size_t)k * n, scratch, n);
    return nats[JUDGE_LIKELIHOOD] < nats[JUDGE_CLASS] ? JUDGE_LIKELIHOOD : JUDGE_CLASS;
}

/* One family under one seed: what confident learning and the small-loss rule flag. */
static agon_status clean(const cleaning *c, size_t seed, size_t family, counts *confident, counts *small_loss, json_t *shown,
                         json_t *about) {
    size_t n = c->n_items, n_small;
    const double *p = judged_of(c, seed, family);
    judge_kind kind = JUDGE_CLASS;
    double nats[N_JUDGES] = {0};
    double *labels = malloc(4 * n * sizeof *labels), *both = labels + n, *gain = labels + 3 * n;
    size_t *given = malloc(2 * n * sizeof *given), *picked = given + n;
    bool *flipped = malloc(2 * n * sizeof *flipped), *flags = flipped + n;
    noise_report report = {0};
    agon_ctx *ctx = c->l->ctx;
    agon_status s = labels && given && flipped ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s) {
        noisy_labels(c, seed, family, flipped, labels);
        kind = believed(p, labels, flags, n, nats);
        p += (size_t)kind * n;
        memset(flags, 0, n * sizeof *flags);
        for (size_t i = 0; i < n; i++) {
            given[i] = labels[i] > 0.5;
            both[2 * i] = 1 - p[i], both[2 * i + 1] = p[i];
            gain[i] = both[2 * i + given[i]]; /* the least probable labels have the largest losses */
        }
        s = confident_learning(ctx, both, given, n, 2, &report);
    }
    for (size_t i = 0; i < report.n_findings && !s; i++) {
        const noise_finding *f = &report.findings[i];
        flags[f->item] = true;
        if (json_array_size(shown) < c->shown)
            json_array_append_new(shown, finding_json(&items_of(c, seed, family)[f->item], f, flipped[f->item]));
    }
    if (!s) {
        json_array_append_new(about, json_pack("{s:f,s:s,s:f,s:f}", "estimated_rate", report.noise_rate, "judge", judge_names[kind],
                                               "class_nats", nats[JUDGE_CLASS], "likelihood_nats", nats[JUDGE_LIKELIHOOD]));
        add_counts(confident, flags, flipped, n);
        memset(flags, 0, n * sizeof *flags);
        n_small = (size_t)lround(c->rate * (double)n);
        s = select_smallest(ctx, gain, n, n_small, picked);
        for (size_t i = 0; i < n_small && !s; i++)
            flags[picked[i]] = true;
        if (!s)
            add_counts(small_loss, flags, flipped, n);
    }
    noise_report_free(&report);
    free(labels), free(given), free(flipped);
    return s;
}

static agon_status report_all(const cleaning *c, json_t **result) {
    json_t *list = json_array();
    agon_status s = AGON_OK;
    for (size_t family = 0; family < c->n_families && !s; family++) {
        counts confident = {0}, small_loss = {0};
        json_t *shown = json_array(), *seeds = json_array();
        for (size_t seed = 0; seed < c->l->n_seeds && !s; seed++)
            s = clean(c, seed, family, &confident, &small_loss, shown, seeds);
        json_array_append_new(list, json_pack("{s:s,s:O,s:o,s:o,s:O}", "task", sequence_family_name(c->families[family]),
                                              "seeds", seeds, "confident_learning", quality_json(&confident),
                                              "small_loss_at_true_rate", quality_json(&small_loss), "would_drop", shown));
        json_decref(shown);
        json_decref(seeds);
    }
    if (!s)
        *result = json_pack("{s:f,s:O}", "planted_rate", c->rate, "tasks", list);
    json_decref(list);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    cleaning *c = arg;
    lab *l = c->l;
    size_t n = l->n_seeds * c->n_families;
    c->items = lab_take(l, n * c->n_items, sizeof *c->items);
    c->p = lab_take(l, n * N_JUDGES * c->n_items, sizeof *c->p);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, c);
    if (!s)
        s = lab_run(l, n, judge, c);
    return s ? s : report_all(c, result);
}

static void plan(const void *arg, double *trained, double *asked) {
    const cleaning *c = arg;
    const lab *l = c->l;
    double works = (double)(l->n_seeds * c->n_families);
    trained[0] = lab_rounds(l, l->n_seeds) * (double)l->n_corpus + works * (double)((c->n_folds - 1) * c->epochs * c->n_items);
    asked[0] = works * N_JUDGES * (double)c->n_items;
}

const experiment experiment_noise_cleaning = {
    .name = "noise-cleaning",
    .summary = "are planted wrong labels found, with the reason?",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(cleaning),
    .options = take_options,
    .plan = plan,
    .run = run,
};

/* experiment: weak-to-strong. Which parts of a weak supervisor's signal are useful to a stronger learner?
 *
 *   corpus    true statements of all families, and statements with what someone said of them (right, wrong); every size of the ladder
 *             is pretrained on it, so that larger models know more, and what they know is to be elicited by the labels
 *   split     test (the same under every seed), half A, half B, validation: drawn once, none twice, none in the corpus
 *   classes   w2s_classes.c: is a statement true?      answers   w2s_answers.c: complete it
 *
 * `strong: language-model`: the strong student of the classification tasks is a model of the user's, which reads the statements in words
 * (w2s_lm.c); it knows of them what it was pretrained on, not the corpus. The ladder then holds the supervisor and the steps between.
 *
 * Protocol and measures: Burns et al. 2023, 2312.09390; training.md section 6. */
#include "experiment/weak_to_strong.h"
#include "base/ctx.h"
#include "experiment/experiment.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"families\": [\"compare\", \"brackets\", \"sorting\", \"reversal\", \"agreement\"],"
    "\"generative\": [\"sorting\", \"reversal\"],"
    "\"ladder\": [{\"width\": 16, \"layers\": 2}, {\"width\": 32, \"layers\": 2}, {\"width\": 48, \"layers\": 3}],"
    "\"corpus_items\": 600000, \"corpus_lr\": 0.003, \"verdicts\": 0.5, \"train_items\": 1000, \"validation_items\": 300,"
    "\"test_items\": 1000, \"epochs\": 3, \"batch\": 32, \"lr\": 0.001, \"alpha\": 0.5, \"draws\": 2000, \"leave_out\": [],"
    "\"strong\": \"ladder\", \"model\": \"\", \"numerics\": \"portable\", \"rank\": 16, \"likelihood\": 1.0, \"strong_lr\": 0.0005, \"strong_epochs\": 1,"
    "\"strong_batch\": 32}";

enum { MAX_FAMILIES = 16 };

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_families(const lab *l, const char *key, bool generative, size_t *out, size_t *n) {
    const json_t *list = json_object_get(l->settings, key);
    *n = json_array_size(list);
    if (*n > MAX_FAMILIES)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: at most %d", key, MAX_FAMILIES);
    for (size_t i = 0; i < *n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        out[i] = name ? sequence_family_find(name) : SIZE_MAX;
        if (out[i] == SIZE_MAX || (generative && !sequence_is_generative(out[i])))
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: '%.40s' is no %sfamily of sequence tasks", key, name ? name : "",
                            generative ? "generative " : "");
        for (size_t j = 0; j < i; j++)
            if (out[j] == out[i])
                return ctx_fail(l->ctx, AGON_EINVAL, "%s: %s stands twice", key, name);
    }
    return AGON_OK;
}

/* Every name of "leave_out" is a condition that the others can do without. */
static agon_status check_left_out(const lab *l) {
    const char *known[2 * W2S_MAX_CONDITIONS];
    size_t n = 0;
    for (const char *name; (name = w2s_classes_optional(n)); n++)
        known[n] = name;
    for (size_t k = 0; w2s_answers_optional(k); k++)
        known[n++] = w2s_answers_optional(k);
    return w2s_check_left_out(l, known, n);
}

typedef struct options {
    w2s w;
    size_t classes[MAX_FAMILIES], answers[MAX_FAMILIES], n_classes, n_answers;
} options;

/* Who the strong student is. */
static agon_status take_strong(lab *l, options *o) {
    const char *name = json_string_value(json_object_get(l->settings, "strong"));
    o->w.language = name && strcmp(name, "language-model") == 0;
    if (!o->w.language && (!name || strcmp(name, "ladder") != 0))
        return ctx_fail(l->ctx, AGON_EINVAL, "strong is ladder or language-model, not '%.40s'", name ? name : "");
    if (o->w.language && o->n_answers > 0)
        return ctx_fail(l->ctx, AGON_EINVAL, "strong: a language model learns `families` only; give `generative: []` beside it");
    agon_status s = lab_real(l, "likelihood", 1e-3, 1000, &o->w.likelihood);
    return s ? s : lab_numerics(l);
}

static agon_status take_options(lab *l, void *arg) {
    options *o = arg;
    w2s *w = &o->w;
    w->l = l;
    const lab_whole whole[] = {{"train_items", 32, 1000000, &w->n_train}, {"validation_items", 30, 1000000, &w->n_validation},
                 {"test_items", 50, 1000000, &w->n_test}, {"epochs", 1, 1000, &w->epochs}, {"batch", 32, 4096, &w->batch},
                 {"draws", 100, 1000000, &w->draws}, {0}};
    const lab_fraction real[] = {{"lr", 0, 1, &w->lr}, {"verdicts", 0, 1, &w->verdicts}, {"alpha", 0, 1, &w->alpha}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s)
        s = take_families(l, "families", false, o->classes, &o->n_classes);
    if (!s)
        s = take_families(l, "generative", true, o->answers, &o->n_answers);
    if (!s && o->n_classes + o->n_answers == 0)
        s = ctx_fail(l->ctx, AGON_EINVAL, "families and generative are both empty; there is nothing to learn");
    if (!s)
        s = check_left_out(l);
    if (!s)
        s = take_strong(l, o);
    w->n_all = w->n_test + 2 * w->n_train + w->n_validation;
    if (!s)
        s = lab_steps(l, "batch", "rows", w->epochs, w->n_train, w->batch, &w->steps);
    return s ? s : w2s_lm_check(w);
}

/* ---- data -------------------------------------------------------------------------------------------------- */

/* The items of one task: test from the run's seed alone, the rest from this seed. `answers`: true statements only. */
static agon_status draw_items(const w2s *w, size_t seed, size_t family, bool answers, w2s_items *out) {
    static const bool yes = true;
    const bool *truth = answers ? &yes : NULL;
    const char *kind = answers ? "answers" : "classes";
    agon_ctx *ctx = w->l->ctx;
    *out = (w2s_items){.family = family, .items = lab_take(w->l, w->n_all, sizeof *out->items)};
    if (!out->items)
        return lab_taken(w->l);
    out->test = out->items;
    out->a = out->test + w->n_test;
    out->b = out->a + w->n_train;
    out->validation = out->b + w->n_train;
    agon_status s = sequence_draw_set(ctx, family, lab_seed(w->l, 0, "%s test %zu", kind, family), truth, NULL, 0, true,
                                      w->n_test, out->items);
    if (!s)
        s = sequence_draw_set(ctx, family, lab_seed(w->l, 0, "%s train %zu %zu", kind, family, seed), truth, out->items,
                              w->n_test, true, w->n_all - w->n_test, out->items + w->n_test);
    return s;
}

static agon_status draw_all(const w2s *w, const size_t *families, size_t n, bool answers, w2s_items *out) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < w->l->n_seeds * n && !s; i++)
        s = draw_items(w, i / n, families[i % n], answers, &out[i]);
    return s;
}

/* Statements of the families in turn, without the items of this seed's tasks. *out new, [n_corpus]. */
static agon_status draw_corpus(const options *o, size_t seed, const w2s_items *classes, const w2s_items *answers,
                               sequence_item **out) {
    const w2s *w = &o->w;
    size_t used[2 * MAX_FAMILIES], n = 0;
    for (size_t i = 0; i < o->n_classes + o->n_answers; i++) {
        size_t f = i < o->n_classes ? o->classes[i] : o->answers[i - o->n_classes], j = 0;
        while (j < n && used[j] != f)
            j++;
        if (j == n)
            used[n++] = f;
    }
    sequence_item *corpus = calloc(w->l->n_corpus, sizeof *corpus), *taken = malloc(2 * w->n_all * sizeof *taken);
    agon_status s = corpus && taken ? AGON_OK : ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0, at = 0; k < n && !s; k++) {
        size_t n_taken = 0, end = w->l->n_corpus * (k + 1) / n;
        for (size_t i = 0; i < o->n_classes; i++)
            if (o->classes[i] == used[k])
                memcpy(taken + n_taken++ * w->n_all, classes[seed * o->n_classes + i].items, w->n_all * sizeof *taken);
        for (size_t i = 0; i < o->n_answers; i++)
            if (o->answers[i] == used[k])
                memcpy(taken + n_taken++ * w->n_all, answers[seed * o->n_answers + i].items, w->n_all * sizeof *taken);
        s = lab_corpus(w->l->ctx, used[k], lab_seed(w->l, seed, "corpus %zu", used[k]), w->verdicts, taken,
                       n_taken * w->n_all, end - at, corpus + at);
        at = end;
    }
    free(taken);
    /* In an order that makes the beginning a fair part of the whole. */
    rng r = rng_new(lab_seed(w->l, seed, "corpus order"));
    for (size_t i = w->l->n_corpus; i > 1 && !s; i--) {
        size_t j = (size_t)rng_below(&r, i);
        sequence_item t = corpus[i - 1];
        corpus[i - 1] = corpus[j];
        corpus[j] = t;
    }
    if (s)
        free(corpus);
    else
        *out = corpus;
    return s;
}

/* ---- pretraining ------------------------------------------------------------------------------------------- */

typedef struct pretraining {
    w2s *w;
    sequence_item **corpora; /* [n_seeds] */
} pretraining;

static agon_status pretrain_one(void *arg, agon_ctx *ctx, size_t i) {
    const pretraining *p = arg;
    w2s *w = p->w;
    size_t seed = i / w->l->n_sizes, size = w->l->n_sizes - 1 - i % w->l->n_sizes; /* the longest first */
    char key[64];
    double loss = 0;
    snprintf(key, sizeof key, "pretrain %zu %zu", seed, size);
    agon_status s = lab_pretrained(w->l, ctx, &w->l->ladder[size], key, lab_seed(w->l, seed, "model %zu", size),
                                   p->corpora[seed], (size_t)(w->l->ladder[size].corpus * (double)w->l->n_corpus), w->batch, w->l->corpus_lr,
                                   &w->l->models[seed * w->l->n_sizes + size], &loss);
    if (!s)
        lab_say_seed(w->l, seed, "pretrained width %zu, %zu layers (%zu values), %.3f nats a token", w->l->ladder[size].width,
                     w->l->ladder[size].layers, lab_model_n_values(&w->l->ladder[size]), loss);
    return s;
}

static agon_status pretrain_all(const options *o, w2s *w, const w2s_items *classes, const w2s_items *answers) {
    pretraining p = {.w = w, .corpora = calloc(w->l->n_seeds, sizeof *p.corpora)};
    agon_status s = p.corpora ? AGON_OK : ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t seed = 0; seed < w->l->n_seeds && !s; seed++)
        s = draw_corpus(o, seed, classes, answers, &p.corpora[seed]);
    if (!s)
        s = lab_run(w->l, w->l->n_seeds * w->l->n_sizes, pretrain_one, &p);
    for (size_t seed = 0; p.corpora && seed < w->l->n_seeds; seed++)
        free(p.corpora[seed]);
    free(p.corpora);
    return s;
}

/* ---- the experiment ---------------------------------------------------------------------------------------- */

static agon_status run(void *arg, json_t **result) {
    options *o = arg;
    w2s *w = &o->w;
    lab *l = w->l;
    w2s_items *classes = lab_take(l, l->n_seeds * o->n_classes, sizeof *classes), *answers = lab_take(l, l->n_seeds * o->n_answers, sizeof *answers);
    w2s_scores class_scores[MAX_FAMILIES] = {{0}}, answer_scores[MAX_FAMILIES] = {{0}};
    agon_status s = lab_taken(l);
    if (!s && w->language)
        s = w2s_lm_open(w, &w->lm);
    if (!s && w->language)
        s = w2s_lm_admit(w, o->classes, o->n_classes);
    if (!s)
        s = draw_all(w, o->classes, o->n_classes, false, classes);
    if (!s)
        s = draw_all(w, o->answers, o->n_answers, true, answers);
    if (!s)
        s = pretrain_all(o, w, classes, answers);
    if (!s && o->n_classes)
        s = w2s_classes(w, classes, o->n_classes, class_scores);
    if (!s && o->n_answers)
        s = w2s_answers(w, answers, o->n_answers, answer_scores);
    if (!s)
        s = w2s_report(w, class_scores, o->n_classes, answer_scores, o->n_answers, result);
    if (!s && w->lm && json_object_set_new(*result, "strong_model", json_string(w2s_lm_id(w->lm))) != 0)
        s = ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < MAX_FAMILIES; i++) {
        w2s_scores_free(&class_scores[i]);
        w2s_scores_free(&answer_scores[i]);
    }
    w2s_lm_free(w->lm);
    return s;
}

/* Conditions by size: see the tables of w2s_classes.c and w2s_answers.c. The language model's are in `minutes`. */
static void plan(const void *arg, double *trained, double *asked) {
    const options *o = arg;
    const w2s *w = &o->w;
    double works[LAB_MAX_SIZES + 1], rows = (double)(w->steps * w->batch), seeds = (double)w->l->n_seeds;
    double n_classes = seeds * (double)o->n_classes, n_answers = seeds * (double)o->n_answers;
    w2s_classes_works(w, works);
    for (size_t i = 0; i < w->l->n_sizes; i++) {
        /* The smallest learns completion twice, the largest six times; then bootstrapping. An answer is a pass a token: about seven. */
        double completions = (i == 0 ? 2 : 0) + (i + 1 == w->l->n_sizes ? 6 : 0);
        double steps = i > 0 || w->l->n_sizes == 1 ? 1 : 0;
        trained[i] += seeds * w->l->ladder[i].corpus * (double)w->l->n_corpus;
        trained[i] += rows * (n_classes * works[i] + n_answers * (completions + steps));
        double marks = w->language ? 0 : (double)w->epochs * (double)(w->n_test + w->n_validation);
        asked[i] += n_classes * works[i] * ((double)w->n_all + marks) + 7 * n_answers * completions * (double)(w->n_test + w->n_train);
    }
}

static agon_status minutes(void *arg, double *out) {
    options *o = arg;
    w2s *w = &o->w;
    double works[LAB_MAX_SIZES + 1], seconds[MAX_FAMILIES] = {0};
    if (!w->language)
        return AGON_OK;
    w2s_classes_works(w, works);
    agon_status s = w2s_lm_open(w, &w->lm);
    if (!s)
        s = w2s_lm_admit(w, o->classes, o->n_classes);
    if (!s)
        s = w2s_lm_try(w, o->classes, o->n_classes, seconds);
    for (size_t i = 0; i < o->n_classes && !s; i++)
        *out += (double)w->l->n_seeds * works[w->l->n_sizes] * seconds[i] / 60 / w->l->ctx->n_threads;
    w2s_lm_free(w->lm);
    w->lm = NULL;
    return s;
}

const experiment experiment_weak_to_strong = {
    .name = "weak-to-strong",
    .summary = "which parts of a weak supervisor's signal are useful to a stronger learner",
    .defaults = defaults,
    .n_sizes = LAB_MAX_SIZES,
    .size = sizeof(options),
    .options = take_options,
    .plan = plan,
    .run = run,
    .minutes = minutes,
};

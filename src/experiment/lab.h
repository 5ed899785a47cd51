/* The laboratory: small models trained from scratch on sequence tasks (task/sequence.h), for experiments whose truth is known.
 *
 * What experiments share: an options file, a ladder of models, rows, training, judging and completing, independent works on all cores,
 * and stages. A stage is a named array of numbers that is a function of the options alone; it is kept in the output folder, so an
 * experiment that was stopped is run again and goes on, to the same figures. Experiments do not include one another. */
#ifndef EXPERIMENT_LAB_H
#define EXPERIMENT_LAB_H

#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "eval/plot.h"
#include "model/model.h"
#include "recipe/forecast.h"
#include "task/sequence.h"
#include "train/train.h"
#include <pthread.h>

enum { LAB_MAX_SIZES = 6, LAB_MAX_SEEDS = 100 };

typedef struct lab_size {
    size_t width, layers;
    double corpus; /* share of the corpus it is pretrained on: a weaker model of the same size has read less */
} lab_size;
typedef struct lab_model {
    model_init init;
    model *m;
} lab_model;

typedef struct lab {
    agon_ctx *ctx;      /* of the caller: threads, interruption, the sentence of a failure */
    const char *output; /* folder of stages and results */
    json_t *settings;   /* every option with its value (borrowed) */
    const char *const *aside; /* options that no stage depends on, NULL after the last (borrowed); NULL: none */
    char identity[HASH_HEX_SIZE]; /* of all other settings: their stages alone are found */
    void (*say)(void *arg, const char *text); /* a line of progress; may come from any thread, one at a time. NULL: none */
    void *arg;
    pthread_mutex_t saying;
    numerics_switch numerics; /* the caller's, which lab_end gives back */
    agon_status (*find_model)(agon_ctx *ctx, const char *name, char **path); /* as agon_model_find, for experiments on a model of the user's */
    bool plan_only;           /* nothing is written */
    /* of lab_begin: options that most experiments have; 0 where the settings have no such option */
    uint64_t seed; /* of the first of the seeds */
    size_t n_seeds, n_sizes, family, n_corpus;
    double corpus_lr;
    lab_size ladder[LAB_MAX_SIZES]; /* weakest first */
    lab_model **models;             /* [n_seeds, n_sizes] NULL before the experiment trains them; freed by lab_end */
    arena *memory;                  /* of lab_take */
    bool memory_out;
} lab;

/* ---- options ------------------------------------------------------------------------------------------- */

/* A YAML file as JSON: mappings, lists, numbers, true and false, texts; at most 1 MiB. *out new. AGON_EFORMAT names the line. */
AGON_MUST_CHECK agon_status lab_read_yaml(agon_ctx *ctx, const char *path, json_t **out);
/* `given` over `defaults`: the members of both, at every depth of objects. AGON_EINVAL names a member that has no default, and the
 * nearest that has, or one of another type. *out new. */
AGON_MUST_CHECK agon_status lab_settings(agon_ctx *ctx, const char *where, const json_t *defaults, const json_t *given,
                                         json_t **out);
/* A whole number of the settings in [low, high]; AGON_EINVAL. */
AGON_MUST_CHECK agon_status lab_int(const lab *l, const char *key, int64_t low, int64_t high, size_t *out);
AGON_MUST_CHECK agon_status lab_real(const lab *l, const char *key, double low, double high, double *out);
/* Settings of one experiment, each list ended by a NULL key, read in order; the first that is wrong is named. */
typedef struct lab_whole {
    const char *key;
    int64_t low, high;
    size_t *out;
} lab_whole;
typedef struct lab_fraction {
    const char *key;
    double low, high, *out;
} lab_fraction;
AGON_MUST_CHECK agon_status lab_options(const lab *l, const lab_whole *wholes, const lab_fraction *fractions);
/* A list of 1 to `most` numbers, each in [low, high]; AGON_EINVAL names the one that is not. */
AGON_MUST_CHECK agon_status lab_reals(const lab *l, const char *key, double low, double high, double *out, size_t most, size_t *n);
/* Whole batches of `batch`, the option `key`, in `epochs` passes over n of what `rows` names; AGON_EINVAL where that is none. */
AGON_MUST_CHECK agon_status lab_steps(const lab *l, const char *key, const char *rows, size_t epochs, size_t n, size_t batch, size_t *steps);
/* The arithmetic that the settings' "numerics" name, portable or native, until lab_end; AGON_EINVAL. */
AGON_MUST_CHECK agon_status lab_numerics(lab *l);
/* The setting "cells": *cells [*n] indices, the laboratory's. AGON_EINVAL: an empty list, or a name that is no cell's. */
AGON_MUST_CHECK agon_status lab_cells(lab *l, size_t **cells, size_t *n);
/* Reads "seed", "seeds" and, of those that the settings have, "ladder" (at most so many sizes), "family" (one with answers to write),
 * "corpus_items", "corpus_lr"; then lab_end, also after a failure. AGON_EINVAL. */
AGON_MUST_CHECK agon_status lab_begin(lab *l, size_t most_sizes);
void lab_end(lab *l);
/* Sets identity, makes the folder (not for a plan); then lab_close, once. */
AGON_MUST_CHECK agon_status lab_open(lab *l);
void lab_close(lab *l);
void lab_say(lab *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line about the seed-th seed, which it names. */
void lab_say_seed(lab *l, size_t seed, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What is drawn at random under the seed-th seed begins here, each by a name of its own; what is the same under every seed takes the 0th. */
uint64_t lab_seed(const lab *l, size_t seed, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One draw of a bootstrap over seeds and items: seeds [n_seeds], items [n_items], with replacement. */
void lab_resample(const lab *l, rng *r, size_t n_items, size_t *seeds, size_t *items);
/* Zeroed memory until lab_end, NULL where there is none: lab_taken says so of all that was taken. Not within works. */
void *lab_take(lab *l, size_t n, size_t size);
AGON_MUST_CHECK agon_status lab_taken(const lab *l);
/* Writes a text file into the folder. */
AGON_MUST_CHECK agon_status lab_write(const lab *l, const char *name, const char *text);
/* The same of the members of a list, one a line (JSONL). */
AGON_MUST_CHECK agon_status lab_write_lines(const lab *l, const char *name, const json_t *lines);

/* Draws panels into an SVG file in the folder. */
AGON_MUST_CHECK agon_status lab_plot(const lab *l, const char *name, const plot_panel *panels, size_t n, size_t n_columns);

/* Opens the model that this option names ("": the default one), frozen; *out new, its id as text. AGON_ENOTFOUND. */
AGON_MUST_CHECK agon_status lab_open_model(const lab *l, const char *key, model **out, char id[HASH_HEX_SIZE]);
/* The same of a model by its own name or path. */
AGON_MUST_CHECK agon_status lab_open_named(const lab *l, const char *name, model **out, char id[HASH_HEX_SIZE]);
/* Opens the adapter on m whose folder this option names, *out new; id, the model's, becomes that of both. "": *out stays, and id. */
AGON_MUST_CHECK agon_status lab_open_adapter(const lab *l, const char *key, model *m, char id[HASH_HEX_SIZE], adapter **out);
/* Says what an experiment with a model of the user's will take of memory; AGON_ENOMEM where it cannot be had. */
AGON_MUST_CHECK agon_status lab_admit(lab *l, const forecast *f);

/* ---- stages and works ------------------------------------------------------------------------------------ */

/* x [n] of an earlier run under these settings; *found false: not there, or damaged. */
AGON_MUST_CHECK agon_status lab_recall(const lab *l, agon_ctx *ctx, const char *key, double *x, size_t n, bool *found);
AGON_MUST_CHECK agon_status lab_keep(const lab *l, agon_ctx *ctx, const char *key, const double *x, size_t n);
/* The same of bytes, as many as there were; *data new (free()), NULL where it is not there. A later keep takes the place of an earlier one. */
AGON_MUST_CHECK agon_status lab_recall_bytes(const lab *l, agon_ctx *ctx, const char *key, char **data, size_t *n);
AGON_MUST_CHECK agon_status lab_keep_bytes(const lab *l, agon_ctx *ctx, const char *key, const void *data, size_t n);
/* Runs fn(arg, ctx, i) for i in [0, n) on all cores, each with a context of one thread: no result depends on how many there are. The
 * failure of the smallest i is the result. AGON_EINTERRUPTED after agon_interrupt of the lab's context. */
typedef agon_status (*lab_work)(void *arg, agon_ctx *ctx, size_t i);
AGON_MUST_CHECK agon_status lab_run(lab *l, size_t n, lab_work fn, void *arg);
/* Processor seconds of this thread, for estimates: they are for cores that have nothing else to do. */
double lab_seconds(void);
/* n works of equal length as the estimate counts them, which divides by the cores: rounded up to whole rounds, since one work runs on one core. */
double lab_rounds(const lab *l, size_t n);

/* ---- figures --------------------------------------------------------------------------------------------- */

/* The mean of a figure of each seed, [n], and Student's 95% interval of it: NAN for one seed. Of differences within seeds it is the paired interval. */
typedef struct lab_estimate {
    double mean, low, high;
} lab_estimate;
lab_estimate lab_estimate_of(const double *v, size_t n);
/* `up` or `down` where the interval lies on one side of 0, else "undecided". */
const char *lab_finding(double low, double high, const char *up, const char *down);
/* The estimate as {"mean", "interval": [low, high], "by_seed"}. NULL: out of memory. */
json_t *lab_over_seeds(const double *v, size_t n);

/* ---- models ---------------------------------------------------------------------------------------------- */

AGON_MUST_CHECK agon_status lab_model_new(agon_ctx *ctx, const lab_size *size, uint64_t seed, lab_model **out);
/* `from` must outlive it. */
AGON_MUST_CHECK agon_status lab_model_copy(agon_ctx *ctx, const lab_model *from, lab_model **out);
/* Adds noise to every tensor, evenly between bounds of `share` times its root mean square, by a stream of (seed, the tensor's name): another start near the
 * same function, for a second learner. */
AGON_MUST_CHECK agon_status lab_model_shake(agon_ctx *ctx, lab_model *m, double share, uint64_t seed);
void lab_model_free(lab_model *m);
size_t lab_model_n_values(const lab_size *size);
/* A model trained on true statements, from its stage where it is known. *out new; *loss in nats a token. */
AGON_MUST_CHECK agon_status lab_pretrained(lab *l, agon_ctx *ctx, const lab_size *size, const char *key, uint64_t seed,
                                           const sequence_item *corpus, size_t n, size_t batch, double lr, lab_model **out,
                                           double *loss);
/* The same with the settings' ladder of one and corpus_lr, as the lab's model of the seed-th seed; its stage is the key and the seed. */
AGON_MUST_CHECK agon_status lab_learn(lab *l, agon_ctx *ctx, size_t seed, const char *key, const sequence_item *corpus, size_t batch,
                                      double *loss);

/* n true statements of the settings' family, none twice and none of the taken ones. */
AGON_MUST_CHECK agon_status lab_draw(const lab *l, agon_ctx *ctx, uint64_t seed, const sequence_item *taken, size_t n_taken, size_t n,
                                     sequence_item *out);
/* The settings' corpus of the seed-th seed: true statements, none of the taken ones. *out [n_corpus] new, free with free(). */
AGON_MUST_CHECK agon_status lab_draw_corpus(const lab *l, agon_ctx *ctx, size_t seed, const sequence_item *taken, size_t n_taken,
                                            sequence_item **out);
/* The same with its answers blurred (sequence_blur). */
AGON_MUST_CHECK agon_status lab_draw_blurred(const lab *l, agon_ctx *ctx, size_t seed, double share, const sequence_item *taken,
                                             size_t n_taken, sequence_item **out);
/* Corpus of one family: true statements, and in a share `verdicts` of it true and false ones with what someone said of them;
 * none of the taken items. What a model knows of truth before it is taught comes from here. out [n]. */
AGON_MUST_CHECK agon_status lab_corpus(agon_ctx *ctx, size_t family, uint64_t seed, double verdicts, const sequence_item *taken,
                                       size_t n_taken, size_t n, sequence_item *out);

/* ---- training and asking ----------------------------------------------------------------------------------- */

/* The list as tokens [n] in `memory`, freed also after the failure `s` of what made it. Returns s, or AGON_ENOMEM. */
AGON_MUST_CHECK agon_status lab_keep_tokens(agon_ctx *ctx, agon_status s, token_list *list, arena *memory, const int32_t **tokens, size_t *n);

/* Rows of items; free with lab_rows_free. The items are copied. */
typedef struct lab_rows {
    arena *memory;
    train_row *rows;
    size_t n;
} lab_rows;
/* Documents: every token is learnt. */
AGON_MUST_CHECK agon_status lab_documents(agon_ctx *ctx, const sequence_item *items, size_t n, lab_rows *out);
/* Classes: a label P(true) and a weight (NULL: 1) at END. Items of weight 0 are left out. */
AGON_MUST_CHECK agon_status lab_labelled(agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels,
                                         const double *weights, lab_rows *out);
/* The same, but what follows the source is the response: for objectives that judge by its likelihood. */
AGON_MUST_CHECK agon_status lab_labelled_answers(agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels,
                                                 const double *weights, lab_rows *out);
/* Answers: source to the rest of each item. */
AGON_MUST_CHECK agon_status lab_answers(agon_ctx *ctx, const sequence_item *items, size_t n, const double *weights,
                                        lab_rows *out);
/* The same with a weight for each token by its place in the item, [n, SEQUENCE_MAX]; an item without any weight is left out. */
AGON_MUST_CHECK agon_status lab_answers_weighted(agon_ctx *ctx, const sequence_item *items, size_t n, const float *token_weights, lab_rows *out);
/* Pairs with one source: chosen and rejected items [n], P(chosen is the better one) (NULL: 1). */
AGON_MUST_CHECK agon_status lab_pairs(agon_ctx *ctx, const sequence_item *chosen, const sequence_item *rejected, size_t n,
                                      const double *labels, lab_rows *out);
/* Groups: k completions of one source with their rewards, items and rewards [n, k]. */
AGON_MUST_CHECK agon_status lab_groups(agon_ctx *ctx, const sequence_item *items, const double *rewards, size_t n, size_t k,
                                       lab_rows *out);
void lab_rows_free(lab_rows *r);

typedef struct lab_training {
    const char *objective, *settings[8]; /* "beta=0.1"; NULL ends */
    size_t steps, batch;
    double lr;
    uint64_t seed;
    const model *reference; /* NULL: none */
    double small_loss;  /* share of each batch's rows (or what small_loss_level says), those with the largest losses, that is left out after a tenth of the steps; 0: none */
    selection_level small_loss_level;
    size_t small_loss_span; /* tokens, of SELECT_SPANS */
    lab_model *partner; /* with small_loss: co-teaching with this second learner; NULL: the model chooses its own rows */
    double *loss;           /* gets the mean loss of the last tenth of the steps; NULL: not wanted */
    /* Asked after each n-th part of the steps with its number from 0 on, the model as it is then; not AGON_OK ends the training. NULL: none. */
    agon_status (*at_mark)(void *arg, agon_ctx *ctx, size_t mark);
    void *mark_arg;
    size_t n_marks;
} lab_training;
/* All weights; a class head of zeros is added where the objective reads one. */
AGON_MUST_CHECK agon_status lab_train(lab *l, agon_ctx *ctx, lab_model *m, const lab_rows *rows, const lab_training *t);
/* An adapter of m, which stays as it is, instead of all weights. */
AGON_MUST_CHECK agon_status lab_train_adapter(lab *l, agon_ctx *ctx, model *m, adapter *a, const lab_rows *rows, const lab_training *t);
/* Output of the class or reward head after END, [n]. */
AGON_MUST_CHECK agon_status lab_reward(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *out);
/* P(true) of each item by the class head, [n]. */
AGON_MUST_CHECK agon_status lab_judge(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *p);
/* Completes the sources, token by token: greedily (temperature 0) or by sampling with a uniform keyed by (seed, item, position). out [n]:
 * the items with the model's answer; log_prob [n] (NULL: not wanted) the mean log_prob of its tokens at that temperature (0: 1). */
AGON_MUST_CHECK agon_status lab_complete(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n,
                                         double temperature, uint64_t seed, sequence_item *out, double *log_prob);
/* Of true statements of the settings' family: the share whose source is completed rightly when greedy, and the mean probability of the right answer. */
AGON_MUST_CHECK agon_status lab_skill(const lab *l, agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *greedy, double *likely);
/* Summed log_prob of the answers given their sources, [n]. */
AGON_MUST_CHECK agon_status lab_score(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *out);
/* log_prob of each token of the answers given all before it, by its place in the item, out [n, SEQUENCE_MAX]; 0 elsewhere. */
AGON_MUST_CHECK agon_status lab_score_tokens(agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *out);

#endif

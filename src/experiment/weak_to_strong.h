/* What the files of the weak-to-strong experiment share: the data, the ladder, and what is known of each condition. */
#ifndef EXPERIMENT_WEAK_TO_STRONG_H
#define EXPERIMENT_WEAK_TO_STRONG_H

#include "experiment/lab.h"

enum { W2S_MAX_CONDITIONS = 32, W2S_N_SPECIALISTS = SEQUENCE_N_DOMAINS };

/* The items of one task under one seed, one after the other. The test items are the same under every seed. */
typedef struct w2s_items {
    size_t family;
    sequence_item *items;                    /* [n_all] */
    const sequence_item *test, *a, *b, *validation; /* into items */
} w2s_items;

/* A language model of the user's as the strong student (w2s_lm.c). */
typedef struct w2s_lm w2s_lm;

typedef struct w2s {
    lab *l;
    bool language; /* the strong student of the classification tasks is `lm`, else the largest of the ladder */
    w2s_lm *lm;    /* frozen; NULL before it is opened */
    size_t n_train, n_validation, n_test, n_all, batch, epochs, steps, draws;
    double lr, verdicts, alpha;
    double likelihood; /* with a language model all judge by likelihood: the factor of objective/classify.c */
} w2s;

/* The pretrained model of one size of the ladder under a seed, which stays as it is. */
static inline const lab_model *w2s_model(const w2s *w, size_t seed, size_t size) {
    return w->l->models[seed * w->l->n_sizes + size];
}

/* Which checkpoint of a student counts, one an epoch: the one that fits the supervisor's labels of the validation items best, which is what
 * somebody without the truth can choose, and the one that is right on most of them, which nobody can: a diagnostic. */
typedef enum w2s_stop { W2S_STOP_WEAK, W2S_STOP_TRUTH, W2S_N_STOPS } w2s_stop;

/* One family's figures: scores in [0, 1] of the test items, [n_seeds, n_test], of every condition. */
typedef struct w2s_scores {
    const char *task, *about; /* what is asked of an item */
    size_t family, n_conditions;
    const char *names[W2S_MAX_CONDITIONS];
    double *scores[W2S_MAX_CONDITIONS];
    double *early[W2S_MAX_CONDITIONS][W2S_N_STOPS]; /* the same at another checkpoint than the last; NULL: not measured */
    size_t weak, ceiling; /* indices of the supervisor and of the same student on the truth */
    json_t *extra;        /* what else is known: qualities of labels, imitation, calibration */
} w2s_scores;
void w2s_scores_free(w2s_scores *s);

/* The trainings of one kind of task: every condition under every seed and family. Each is a stage of the lab, its result n_values numbers. */
typedef struct w2s_grid w2s_grid;
struct w2s_grid {
    w2s *w;
    const w2s_items *items; /* [n_seeds, n_families] of sequence tasks, else NULL: then `task` names the one there is */
    const char *task;
    const void *arg;        /* the caller's */
    const char *kind;       /* begins the stages' names */
    const char *about;      /* what is asked of an item, for titles */
    const char *student;    /* what else the stages depend on, before their names; NULL: nothing */
    size_t n_families, n_conditions, n_values, weak, ceiling;
    size_t stop_values; /* a result of the last checkpoint is followed by those of the stops, each of so many numbers, NAN where not measured; 0: it is not */
    size_t n_first; /* conditions before this one need nothing, the others the results of these; "leave_out" names none of them */
    const char *(*name)(size_t condition);
    agon_status (*train)(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, size_t condition, double *x);
    bool (*right)(const w2s_grid *g, size_t seed, size_t family, const double *x, size_t j); /* of test item j, by the result x */
    bool (*applies)(const w2s_grid *g, size_t condition); /* false: not trained here; true of the supervisor and the ceiling. NULL: all are */
    void (*between)(const w2s_grid *g); /* when the first level is known; NULL: nothing */
    /* of w2s_grid_run */
    double **x;
    size_t chosen[W2S_MAX_CONDITIONS], n_chosen; /* conditions that are not left out */
    size_t first, n_level;                       /* of `chosen`, under way */
};
/* Runs all but those; scores without `extra`, out [n_families]. w2s_grid_free also after a failure. */
AGON_MUST_CHECK agon_status w2s_grid_run(w2s_grid *g, w2s_scores *out);
void w2s_grid_free(w2s_grid *g);
/* [n_values], borrowed; NULL: left out. */
double *w2s_grid_result(const w2s_grid *g, size_t seed, size_t family, size_t condition);
static inline const w2s_items *w2s_grid_items(const w2s_grid *g, size_t seed, size_t family) {
    return &g->items[seed * g->n_families + family];
}

/* Everything of the classification tasks; out [n_families]. */
AGON_MUST_CHECK agon_status w2s_classes(w2s *w, const w2s_items *items, size_t n_families, w2s_scores *out);
/* Trainings of one family in the length of the supervisor's, works [n_sizes + 1] by size of the ladder; the last are the language model's. */
void w2s_classes_works(const w2s *w, double *works);
/* The k-th condition that may be left out; NULL after the last. */
const char *w2s_classes_optional(size_t k);
const char *w2s_answers_optional(size_t k);
/* Everything of the generative tasks. */
AGON_MUST_CHECK agon_status w2s_answers(w2s *w, const w2s_items *items, size_t n_families, w2s_scores *out);

/* ---- w2s_lm.c ---- */

/* Reads the options of a language model as strong student, also where there is none. AGON_EINVAL. */
AGON_MUST_CHECK agon_status w2s_lm_check(const w2s *w);
/* Opens the settings' "model"; *out new. Works may share it. AGON_EINVAL names the option, AGON_ENOTFOUND the model. */
AGON_MUST_CHECK agon_status w2s_lm_open(const w2s *w, w2s_lm **out);
void w2s_lm_free(w2s_lm *x);
const char *w2s_lm_id(const w2s_lm *x);
/* A new adapter on labels and weights [n_train] (0: left out) of these items, by t's objective, settings and order; p [n_all]: P(true) of the
 * test items, NAN for the rest, which nobody asks for. */
AGON_MUST_CHECK agon_status w2s_lm_learn(const w2s *w, agon_ctx *ctx, const w2s_items *s, const sequence_item *items, const double *labels,
                                         const double *weights, const lab_training *t, double *p);
/* Says what the trainings take of memory, on all cores; AGON_ENOMEM where it cannot be had. */
AGON_MUST_CHECK agon_status w2s_lm_admit(const w2s *w, const size_t *families, size_t n);
/* Processor seconds [n] of one training and its test, of each family, measured on a few rows. */
AGON_MUST_CHECK agon_status w2s_lm_try(const w2s *w, const size_t *families, size_t n, double *seconds);

/* ---- w2s_labels.c ---- */

/* Weights [n], 1 for those of each class said [n] with the least doubt [n], a share of them rounded up, 0 for the others: confidence does not
 * unbalance the classes (2312.09390 balances too). */
AGON_MUST_CHECK agon_status w2s_keep_confident(agon_ctx *ctx, const int *said, const double *doubt, size_t n, size_t n_classes, double share,
                                               double *weights);
/* The same for a share drawn at random. */
AGON_MUST_CHECK agon_status w2s_keep_random(agon_ctx *ctx, uint64_t seed, size_t n, double share, double *weights);
/* P(class) of one item by several labellers, p [n_labellers, n_classes], made one without knowing the truth, out [n_classes]: all on the class that most
 * of them hold likeliest (of equally many the one of the greater mean; a labeller's own draw goes to the earlier class), or their mean. */
void w2s_majority(const double *p, size_t n_labellers, size_t n_classes, double *out);
void w2s_mean(const double *p, size_t n_labellers, size_t n_classes, double *out);
/* The likeliest class of p [n_classes]; the earlier of equal ones. */
size_t w2s_likeliest(const double *p, size_t n_classes);
/* Deals labels [n, width] out among the items. */
void w2s_shuffle(uint64_t seed, double *labels, size_t n, size_t width);
/* Agreement of a student with its supervisor where that one is right and wrong, and the student's calibration; classes said [n]. *out new. */
AGON_MUST_CHECK agon_status w2s_imitation_json(agon_ctx *ctx, const char *name, const int *weak, const int *student, const int *truth,
                                               const double *confidence, size_t n, json_t **out);
/* Whether the settings leave a condition out; AGON_EINVAL where "leave_out" names one that is not among `known` [n]. */
bool w2s_left_out(const lab *l, const char *name);
AGON_MUST_CHECK agon_status w2s_check_left_out(const lab *l, const char *const *known, size_t n);

/* ---- w2s_report.c ---- */

/* PGR of every condition with intervals, as JSON; the curves as SVG. */
AGON_MUST_CHECK agon_status w2s_report(w2s *w, const w2s_scores *classes, size_t n_classes, const w2s_scores *answers,
                                       size_t n_answers, json_t **out);

#endif

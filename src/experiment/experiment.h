/* Experiments: files that name one of them and its options, run by one command to a folder with result.json and stages.
 *
 *   experiment: weak-to-strong
 *   seeds: 1
 *   full: {seeds: 5}      what --full changes
 *
 * One experiment is one file and one line in the table below. They share the laboratory (lab.h) and do not include one another. */
#ifndef EXPERIMENT_EXPERIMENT_H
#define EXPERIMENT_EXPERIMENT_H

#include "experiment/lab.h"

typedef struct experiment {
    const char *name, *summary;
    const char *defaults;   /* JSON: every option with its default */
    const char *const *aside; /* options that no stage depends on (lab.h): with others of these a run finds what it has; NULL: none */
    size_t n_sizes;         /* the most of its ladder */
    size_t size;            /* of its state x, which is zeroed before `options` */
    /* Reads every option that the laboratory has not read (lab_begin), keeps l, and does nothing else. */
    agon_status (*options)(lab *l, void *x);
    /* What it will do, for the estimate: rows trained and rows asked, by size of the ladder. NULL: nothing on a ladder. */
    void (*plan)(const void *x, double *trained, double *asked);
    /* Minutes on idle cores of what is not on a ladder; NULL: nothing. */
    agon_status (*minutes)(void *x, double *minutes);
    agon_status (*run)(void *x, json_t **result); /* *result new */
} experiment;

/* The i-th, NULL after the last. */
const experiment *experiment_at(size_t i);

typedef struct experiment_request {
    const char *file, *output;
    bool full, plan_only;
    const char *expected; /* what its name must begin with; NULL: any */
    void (*say)(void *arg, const char *text);
    void *arg;
    agon_status (*find_model)(agon_ctx *ctx, const char *name, char **path);
} experiment_request;
/* *result new: {"experiment", "settings", "minutes_expected", ...}; also written to OUTPUT/result.json. AGON_EINVAL, AGON_EFORMAT name the
 * file and the option; AGON_EINTERRUPTED: the same call goes on. */
AGON_MUST_CHECK agon_status experiment_run(agon_ctx *ctx, const experiment_request *r, json_t **result);

#define EXPERIMENTS(X)                                                                               \
    X(weak_to_strong)                                                                                \
    X(weak_to_strong_rows)                                                                           \
    X(preference_noise)                                                                              \
    X(token_noise)                                                                                   \
    X(noise_cleaning)                                                                                \
    X(exo_dpo)                                                                                       \
    X(panacea_front)                                                                                 \
    X(critique_forms)                                                                                \
    X(span_rewards)                                                                                  \
    X(refine_pairs)                                                                                  \
    X(red_team)                                                                                      \
    X(amplification)                                                                                 \
    X(trust_or_escalate)                                                                             \
    X(verification_gap)                                                                              \
    X(debate)
#define DECLARE_EXPERIMENT(name) extern const experiment experiment_##name;
EXPERIMENTS(DECLARE_EXPERIMENT)
#undef DECLARE_EXPERIMENT

#endif

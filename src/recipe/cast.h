/* What a run file names, opened: model, backends, suites. Shared by all recipes. */
#ifndef RECIPE_CAST_H
#define RECIPE_CAST_H

#include "base/ctx.h"
#include "eval/suite.h"
#include "recipe/forecast.h"
#include "recipe/gate_suites.h"
#include "recipe/recipe.h"
#include "role/attacker.h"
#include "step/evaluate.h"

/* A trained attacker that the run file names. */
typedef struct cast_attacker {
    adapter *adapter; /* until the run has begun; later the workspace has it */
    char version[STORE_ID_SIZE]; /* the base's where none is named */
    attacker_kinds kinds; /* of rewordings that are asked for */
} cast_attacker;

typedef struct cast {
    actors actors;
    model *model;
    backend *attacker, *learner, *critic, *verifier; /* verifier NULL: none but the task families' own */
    cast_attacker rewords; /* who writes the rewordings */
    const run_config *config;
    numerics_switch numerics; /* the caller's, which cast_close gives back */
    run *run;
    bool names_optimiser; /* false: begun before run files had keys of it, so that its trainings name none */
    int64_t monitor_prompts; /* 0: none, also where the run was begun before there was a monitor */
    bool reacts;   /* the last candidate's samples had fallen (G4): the three values below are others than the run file's (gate.react) */
    int64_t begun_labels; /* human.labels when the run began */
    int64_t rules; /* those the run began with (cast.c); 0: begun before they had a number */
    arena *memory; /* the run's strings */
    /* What is held out: suites in the order of gate_suite_at, and text; NULL where one is not asked for or not there. */
    suite *suites[GATE_MAX_SUITES];
    perplexity_suite *text;
    recipe_observer observer;
    void *observer_arg;
    const char *stage; /* static */
} cast;

/* Model and backends, without a run. config->model must be a path. The context computes in the run file's numerics until cast_close, which frees
 * also after a failure. */
AGON_MUST_CHECK agon_status cast_open_actors(agon_ctx *ctx, store *s, const run_config *config, cast *out);
/* The trained attacker of the run file, where it names one. As attacker_open; sentences begin with the run file's name. */
AGON_MUST_CHECK agon_status cast_open_attacker(cast *c);
void cast_close(cast *c);
/* Says what the run will take of memory; AGON_ENOMEM where it cannot be had. */
AGON_MUST_CHECK agon_status cast_admit(const forecast *f, const run_config *config, recipe_observer observer, void *arg);
/* Begins the run of an opened cast, or goes on with it: base version, templates and what is evaluated are its first step. A suite that was there
 * when the run began and is not now (or the other way round) is AGON_EMISMATCH. */
AGON_MUST_CHECK agon_status cast_begin(cast *c, recipe_observer observer, void *arg);

/* Stage for status, log and the live view. `stage` static. */
AGON_MUST_CHECK agon_status cast_stage(cast *c, const char *stage);
/* A line worth printing, with its figures (taken; NULL none). */
void cast_say(cast *c, json_t *data_take, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "iteration/2/attack" and the like, from the run's arena; NULL only on memory, which the journal then refuses as a path. */
const char *cast_path(cast *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* build.real_share, learner.temperature and build.per_cell as they are in this iteration. */
double cast_real_share(const cast *c);
double cast_temperature(const cast *c);
int64_t cast_per_cell(const cast *c);

/* Indices of queries or answers, filled by the caller up to a capacity fixed when made. */
typedef struct picked {
    size_t *items, n;
} picked;
AGON_MUST_CHECK agon_status picked_new(cast *c, size_t capacity, picked *out); /* free(out->items) */

/* The learner's sampled answers to queries [from, from + n) at "NAME/respond", and the verifier's word at "NAME/verify" (sealed: to the
 * ledger, at "NAME/seal"); appended. */
AGON_MUST_CHECK agon_status cast_ask_learner(cast *c, const char *name, const char *version, const query_list *queries, size_t from,
                                             size_t n, size_t samples, answer_list *answers);

/* A version's results on the suites, computed once. */
typedef struct suite_results {
    char version[STORE_ID_SIZE];
    bool *right[GATE_MAX_SUITES]; /* NULL where the suite is not there */
    double *nll;
} suite_results;
AGON_MUST_CHECK agon_status cast_evaluate_suites(cast *c, const char *version, suite_results *out);
void suite_results_free(suite_results *r);
/* Fills the suites and perplexity of the evidence. *comparison must live as long as the evidence. */
AGON_MUST_CHECK agon_status cast_compare_suites(cast *c, const suite_results *now, const suite_results *before,
                                                gate_evidence *e, perplexity_comparison *comparison);
/* After that, where the incumbent is not the base: adds how the same suites compare with it. */
AGON_MUST_CHECK agon_status cast_compare_with_base(cast *c, const suite_results *now, const suite_results *base,
                                                   gate_evidence *e, perplexity_comparison *comparison);

#endif

/* Recipes among themselves: what each is made of. */
#ifndef RECIPE_RECIPE_PRIVATE_H
#define RECIPE_RECIPE_PRIVATE_H

#include "recipe/cast.h"
#include "recipe/cost.h"
#include "recipe/forecast.h"
#include "recipe/recipes.h"

/* What a workspace knows of a run that begins or goes on; all zero: there is none yet. */
typedef struct run_past {
    store *store;    /* NULL: no workspace */
    json_t *queries; /* the tasks of tasks.file that the run has read already, NULL: none */
    int64_t rules;   /* that it began with; 0: it begins now */
    int64_t n_gates; /* that decided on candidates of its own */
} run_past;

typedef struct recipe {
    const char *name, *oracle; /* the oracle that it runs under, as the run file has it */
    bool reads_rows;           /* those of train.data */
    void (*presets)(run_config *config); /* its own defaults of keys that the file does not have; NULL none */
    /* What it does not take of a run file that holds together otherwise. Sentences begin with config->source. */
    agon_status (*check)(agon_ctx *ctx, const run_config *config, const objective *o);
    agon_status (*cost)(agon_ctx *ctx, const run_config *config, expected *out); /* `out` zeroed before */
    /* What the local model will take of memory; NULL: known only from rows that the run reads first, so it says so itself (cast_admit). */
    agon_status (*memory)(agon_ctx *ctx, const model *m, const run_config *config, const json_t *queries, forecast *out); /* queries: see forecast_run */
    /* What recipe_warnings says; NULL: nothing. */
    agon_status (*warn)(agon_ctx *ctx, const run_config *config, const run_past *past, json_t *sentences);
    /* Keys of a run file, "section.name", that change nothing here, NULL at their end: a run that begins with one of them is refused. NULL: none. */
    const char *const *without_effect;
    /* What else no run may begin with, though one that was begun with it goes on and is read. As check; NULL: nothing. */
    agon_status (*check_beginning)(agon_ctx *ctx, const run_config *config);
    agon_status (*run)(cast *c, json_t **summary); /* to the end, on an open cast; *summary as recipe_run says (recipe.c adds labels, tokens and time) */
} recipe;
#define RECIPE_DECLARE(name) extern const recipe recipe_##name;
RECIPES(RECIPE_DECLARE)
#undef RECIPE_DECLARE
/* By the name users write; AGON_ENOTFOUND. */
AGON_MUST_CHECK agon_status recipe_find(agon_ctx *ctx, const char *name, const recipe **out);

/* A run (id or name; NULL: the latest that has a base) and its run file as the journal pinned it. *row: {"id", "name", "seed"}, new; *config new. */
AGON_MUST_CHECK agon_status recorded_run(agon_ctx *ctx, store *store, const char *run, json_t **row, run_config **config);

#endif

/* Recipes among themselves: one function a recipe, named in recipe.c's table. */
#ifndef RECIPE_RECIPE_PRIVATE_H
#define RECIPE_RECIPE_PRIVATE_H

#include "recipe/cast.h"
#include "recipe/forecast.h"

/* What a run is expected to take: tokens, and labels of the expert by purpose. */
typedef struct expected {
    double generated, read, scored, trained;
    int64_t labels, audits, demonstrations, calibration, gate;
} expected;

typedef struct recipe {
    const char *name;
    agon_status (*run)(cast *c, json_t **summary);
    agon_status (*cost)(agon_ctx *ctx, const run_config *config, expected *out); /* `out` zeroed before */
    /* What the local model will take of memory; NULL: known only from rows that the run reads first, so it says so itself (recipe_admit). */
    agon_status (*memory)(agon_ctx *ctx, const model *m, const run_config *config, forecast *out);
} recipe;
/* Says what the run will take of memory; AGON_ENOMEM where it cannot be had. */
AGON_MUST_CHECK agon_status recipe_admit(const forecast *f, const run_config *config, recipe_observer observer, void *arg);
/* Of the table in recipe.c; AGON_ENOTFOUND. */
AGON_MUST_CHECK agon_status recipe_find(agon_ctx *ctx, const char *name, const recipe **out);

agon_status loop_cost(agon_ctx *ctx, const run_config *config, expected *out);
agon_status sealed_cost(agon_ctx *ctx, const run_config *config, expected *out);
agon_status train_cost(agon_ctx *ctx, const run_config *config, expected *out);
/* Runs to the end on an open cast; *summary as recipe_run says (recipe.c adds labels, tokens and time). */
agon_status loop_recipe(cast *c, json_t **summary);
agon_status sealed_recipe(cast *c, json_t **summary);
agon_status train_recipe(cast *c, json_t **summary);

/* A run (id or name; NULL: the latest that has a base) and its run file as the journal pinned it. *row: {"id", "name", "seed"}, new; *config new. */
AGON_MUST_CHECK agon_status recorded_run(agon_ctx *ctx, store *store, const char *run, json_t **row, run_config **config);

#endif

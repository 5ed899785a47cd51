/* Recipes among themselves: one function a recipe, named in recipe.c's table. */
#ifndef RECIPE_RECIPE_PRIVATE_H
#define RECIPE_RECIPE_PRIVATE_H

#include "recipe/cast.h"

/* Runs to the end on an open cast; *summary as recipe_run says (recipe.c adds labels, tokens and time). */
agon_status loop_recipe(cast *c, json_t **summary);
agon_status sealed_recipe(cast *c, json_t **summary);
agon_status train_recipe(cast *c, json_t **summary);

/* A run (id or name; NULL: the latest that has a base) and its run file as the journal pinned it. *row: {"id", "name", "seed"}, new; *config new. */
AGON_MUST_CHECK agon_status recorded_run(agon_ctx *ctx, store *store, const char *run, json_t **row, run_config **config);

#endif

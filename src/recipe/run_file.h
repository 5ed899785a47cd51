/* Run files: the YAML that says what a run does, every threshold with a comment. Values that contradict one another, or that the recipe does not
 * take, are refused. */
#ifndef RECIPE_RUN_FILE_H
#define RECIPE_RUN_FILE_H

#include "recipe/run_config.h"

/* Reads and checks a run file. *out new. AGON_EINVAL / AGON_EFORMAT as run_config_parse says. */
AGON_MUST_CHECK agon_status run_file_read(agon_ctx *ctx, const char *path, run_config **out);
/* The same from memory, for tests and fuzzing; `where` names it. */
AGON_MUST_CHECK agon_status run_file_parse(agon_ctx *ctx, const char *where, const char *text, size_t n,
                                           run_config **out);
/* The way back from run_config_json, as the journal pinned it; model: its path, or NULL. *out new. */
AGON_MUST_CHECK agon_status run_config_from_json(agon_ctx *ctx, const char *where, const json_t *json, const char *model,
                                                 run_config **out);

#endif

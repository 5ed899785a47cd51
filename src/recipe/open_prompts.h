/* Questions that have no one answer (data/open.jsonl, {"query"} a line): the gate's monitor (G4) looks at how versions answer them. */
#ifndef RECIPE_OPEN_PROMPTS_H
#define RECIPE_OPEN_PROMPTS_H

#include "recipe/run_config.h"

enum { OPEN_PROMPTS_FILE_MOST = 4096 };
/* Of each prompt that the monitor asks, open or a task: so many samples, at temperature 1; of answers to open ones as many tokens. */
enum { MONITOR_SAMPLES = 4, MONITOR_TOKENS = 48 };

typedef struct open_prompts {
    char **items;
    size_t n;
} open_prompts;
void open_prompts_free(open_prompts *p);
/* At most `most` of the file's, drawn by seed. AGON_ENOTFOUND, AGON_EFORMAT. */
AGON_MUST_CHECK agon_status open_prompts_read(agon_ctx *ctx, size_t most, uint64_t seed, open_prompts *out);

#endif

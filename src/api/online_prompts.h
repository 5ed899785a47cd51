/* What online training asks its policy: generated tasks, or the rows of a user's file. */
#ifndef API_ONLINE_PROMPTS_H
#define API_ONLINE_PROMPTS_H

#include "model/tokenizer.h"
#include "task/task.h"

typedef struct prompt_source_options {
    const char *data;         /* JSONL file of prompts; NULL: generated tasks */
    const char *const *cells; /* [n_cells] of the tasks; none: those by default */
    size_t n_cells;
    size_t n_prompts;  /* a round */
    size_t max_tokens; /* of a prompt and an answer */
    uint64_t seed;
    bool verify;      /* rows need what verifies an answer ("answer", "verifier") */
    bool demonstrate; /* and an answer to learn from ("completion"; tasks have their own) */
} prompt_source_options;

/* One prompt of a round; all of it borrowed until the next round. */
typedef struct prompt_item {
    const int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    const int32_t *demonstration; /* [n_demonstration], NULL: none */
    size_t n_demonstration;
    const task_query *query; /* what verifies its answers; NULL: nothing does */
    const json_t *row;       /* of the file, NULL: a generated task */
} prompt_item;

typedef struct prompt_source prompt_source;
/* *out new; t and the strings of `options` must outlive it. AGON_EINVAL names file and line of a row that will not do. */
AGON_MUST_CHECK agon_status prompt_source_open(agon_ctx *ctx, const tokenizer *t, const prompt_source_options *options,
                                               prompt_source **out);
void prompt_source_free(prompt_source *p);
/* Prompts of the 0-based round, out [n_prompts]: a function of the options and the round's number. Tasks: cells in turn, each query from a seed
 * of its own. Rows: a seeded order without repetition until all were used, then another one. */
AGON_MUST_CHECK agon_status prompt_source_round(prompt_source *p, size_t round, prompt_item *out);
/* Adds "cells" or "data" (SHA-256 of the file) and "tokens", what chat template and tokenizer make of them, to the description of a training. The prompts
 * of a round are given back. */
AGON_MUST_CHECK agon_status prompt_source_describe(prompt_source *p, json_t *into);

#endif

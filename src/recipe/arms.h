/* Control arms: versions trained on something else at the candidate's loss tokens, and held against it on the same held-out tasks. They are a run of
 * their own in the workspace, outside the lineage. What the sealed recipe's arms (unseal.c) and the loop's (loop_arms.c) share. */
#ifndef RECIPE_ARMS_H
#define RECIPE_ARMS_H

#include "recipe/choose.h"

typedef struct arm {
    const char *name;      /* static */
    example_list examples; /* of its last training; strings borrowed */
    int64_t n_tokens;      /* loss tokens of them */
    char version[STORE_ID_SIZE];
    bool *right; /* on the held-out tasks, in their order */
} arm;
void arm_free(arm *a);
/* Appends e with its tokens. */
AGON_MUST_CHECK agon_status arm_add(cast *c, arm *a, const example *e);

/* 0 to n - 1 in an order drawn by the run's seed and `name`. *out new (free). */
AGON_MUST_CHECK agon_status arm_order(cast *c, const char *name, size_t n, size_t **out);
/* Trains the arm's version on its examples as the candidate was trained, from `parent`, at "arm/NAME/train"; says what it did. */
AGON_MUST_CHECK agon_status arm_train(cast *c, arm *a, const char *parent);
/* Its greedy answers at "arm/NAME/tasks". inputs: generate_greedy of each held-out task. *results as work_run; a->right has room for them, all false. */
AGON_MUST_CHECK agon_status arm_answer(cast *c, arm *a, const json_t *inputs, json_t **results);
/* The arm's input for one task. New; NULL as generate_input. */
json_t *arm_question(const cast *c, const arm *a, const char *query, const char *prompt);
/* The text of answer i of those results; "" where there is none. */
const char *arm_text(const json_t *results, size_t i);
/* What was right of the same tasks, [n]. sets: numbers below n_sets, equal for tasks that are no evidence independent of one another; NULL: all are. */
typedef struct arm_tasks {
    size_t n;
    const size_t *sets;
    size_t n_sets;
} arm_tasks;
/* paired_json of them with "arm", "examples", "loss_tokens"; new. NULL: no memory. */
json_t *arm_row(agon_ctx *ctx, const char *name, const bool *now, const bool *before, arm_tasks tasks, size_t n_examples, int64_t n_tokens);
/* What the version gains over an arm on the same tasks: {"gain", "ci95": Newcombe, "p": exact McNemar, two-sided}, of sets as in eval/paired_sets.h; new. NULL: no
 * memory. */
json_t *arm_against(agon_ctx *ctx, const bool *version, const bool *arm, arm_tasks tasks);
/* Of an arm that lacks more than a hundredth of the loss tokens wanted: says so, and sets "tokens_wanted" in its row. */
void arm_note_lack(cast *c, const char *name, int64_t n_tokens, int64_t wanted, json_t *row);

/* Begins the run of arms `name` of the run `of` (an id), or goes on with it, in the cast's store. *out new (arms_work_take, or run_end). */
AGON_MUST_CHECK agon_status arms_begin(cast *c, const char *name, const char *of, run **out);
/* Does `work` in it and ends it; the cast has its own run again afterwards. */
AGON_MUST_CHECK agon_status arms_work_take(cast *c, run *arms, agon_status (*work)(void *arg), void *arg);

#endif

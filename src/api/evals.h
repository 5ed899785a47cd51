/* What the parts of agon_eval share. */
#ifndef API_EVALS_H
#define API_EVALS_H

#include "api/eval_seen.h"
#include "api/models.h"
#include "base/json.h"
#include "eval/suite.h"

/* Questions with a judge: a suite, or tasks that were generated. */
typedef struct questions {
    void *arg;
    size_t n;
    suite_item (*get)(const void *arg, size_t i);
    agon_status (*judge)(agon_ctx *ctx, const void *arg, size_t i, const char *response, bool *right, char **evidence);
    void (*free)(void *arg);
    hash256 hash;
    const size_t *sets; /* [n], borrowed from arg: below n, equal for questions that are no evidence independent of one another; NULL: all are */
} questions;

/* A version under evaluation. */
typedef struct version {
    const agon_model *m;
    const adapter *a;
    const eval_seen *seen; /* of a version of a workspace; NULL: not known */
} version;

/* Tasks of the cells the options name (none: those by default), n (0: 16) a cell, drawn in the namespace "eval". */
AGON_MUST_CHECK agon_status eval_tasks_open(agon_ctx *ctx, const agon_eval_options *options, questions *out);

/* The questions of o->file, JSONL as in run files ({"query", "answer"?, "verifier"?, "arguments"?}), at most o->n (0: all), equal ones once; near-duplicates and
 * rows of one "group" are one set. With o->held_out
 * only those held out for each of the versions (against NULL: one) of which that is known. AGON_EINVAL names the row that nothing judges, and where none is held out. */
AGON_MUST_CHECK agon_status eval_own_open(agon_ctx *ctx, const version *now, const version *against, const agon_eval_options *o, questions *out);

/* The perplexity suite of one version, or two when `against` is not NULL; *out new. */
AGON_MUST_CHECK agon_status eval_perplexity(agon_ctx *ctx, const version *now, const version *against,
                                            const agon_eval_options *options, json_t **out);

#endif

/* Work: journaled batches of pure functions.
 *
 * A work kind maps an input and a seed to an output and nothing else: "generate" (messages and a version to completions), "judge",
 * "verify", ... work_run executes what is not recorded yet, a chunk at a time, and records each item with the records its
 * caller derives from it; work_again executes a recorded item once more for `agon verify`. One kind, one file (work_*.c), one line
 * in the table below. */
#ifndef STEP_WORK_H
#define STEP_WORK_H

#include "step/actors.h"

typedef struct work_kind {
    const char *name, *unit; /* unit: what is counted in progress, "answers" */
    size_t chunk;            /* items executed and made durable together */
    bool secret;             /* the output is not journaled: it holds what the loop may not know */
    /* outs [n]: new JSON each, all NULL before. On failure what was made is freed by the caller. */
    agon_status (*execute)(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs);
    /* Same input and seed, same output bit for bit? NULL: yes. */
    bool (*reproducible)(const actors *a, const json_t *input);
} work_kind;

/* All kinds. */
#define WORK_KINDS(X) \
    X(work_draw) X(work_vary) X(work_generate) X(work_judge) X(work_verify) X(work_seal) X(work_expert) X(work_demonstrate) \
    X(work_score) X(work_criticise) X(work_validate)
#define WORK_DECLARE(kind) extern const work_kind kind;
WORK_KINDS(WORK_DECLARE)
#undef WORK_DECLARE

/* Input of work_generate: the learner asked one message; id: of the record it is about. New; NULL on memory or text that is not UTF-8. */
json_t *generate_input(const char *id, const char *prompt, const char *version, size_t samples, size_t max_tokens,
                       double temperature, double top_p);
json_t *generate_greedy(const char *id, const char *prompt, const char *version, size_t max_tokens); /* one sample */

/* Derives records of item i from its output, inside the durable step: *ids (new JSON, may stay NULL) is kept with the result. */
typedef agon_status (*work_record)(void *arg, size_t i, const json_t *out, json_t **ids);

/* Runs inputs (array) at `path`. *results: new array of {"out", "ids"}, one an input ("out" absent for a secret kind). record may be NULL. Stops
 * between chunks with AGON_EINTERRUPTED. No inputs: an empty array, and no step. */
AGON_MUST_CHECK agon_status work_run(actors *a, const char *path, const work_kind *kind, const json_t *inputs,
                                     work_record record, void *arg, json_t **results);

/* Executes a recorded item again. *known false: not a kind of work, or not reproducible, or secret. *equal: the same output. */
AGON_MUST_CHECK agon_status work_again(actors *a, const step_row *row, bool *known, bool *equal);

#endif

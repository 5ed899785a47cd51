/* The user's own rows (tasks.file), counted: for what `agon init` says of them, what they will cost, and what a run will not be able to show with them. */
#ifndef RECIPE_OWN_ROWS_H
#define RECIPE_OWN_ROWS_H

#include "base/json.h"
#include "recipe/run_config.h"

typedef struct own_rows {
    size_t n_rows, n_bytes; /* of their queries' texts */
    size_t n_with_answer, n_with_verifier, n_exact_by_default, n_rows_unverifiable; /* of rows; without an answer and a verifier: unverifiable */
    json_t *verifiers;                                                              /* name: how many rows it judges */
    size_t n, n_unverifiable, n_held_out, n_held_out_unverifiable;                  /* of queries: equal rows as one, as the run takes them */
    size_t n_held_out_sets, n_held_out_sets_unverifiable; /* sets of queries that are held out together (own_split.h); those of which none is verifiable */
    json_t *held_out;        /* the texts of the queries that are held out, as in the workspace */
    size_t n_joined, n_sets; /* queries that go to one side with others, and how many sets of such there are (own_split.h) */
} own_rows;

/* Rows of a JSONL file. One that cannot be used goes to `bad` with its status and the recorded sentence, and is not counted where that returns AGON_OK;
 * bad NULL: it ends the counting with that status. Free *out in any case. */
AGON_MUST_CHECK agon_status own_rows_read(agon_ctx *ctx, const char *path, json_bad_line bad, void *arg, own_rows *out);
/* Those of a run: `tasks` as it read them when it began; NULL: of its file, none without one. Where it has a verifier program nothing is unverifiable.
 * Of tasks it is not known who named which verifier. each_alone: held out as in runs begun before rules 13. Free *out in any case. */
AGON_MUST_CHECK agon_status own_rows_of_run(agon_ctx *ctx, const run_config *config, const json_t *tasks, bool each_alone, own_rows *out);
void own_rows_free(own_rows *own);

#endif

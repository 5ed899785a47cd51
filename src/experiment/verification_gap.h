/* The experiment verification-gap, in parts: see verification_gap.c. */
#ifndef EXPERIMENT_VERIFICATION_GAP_H
#define EXPERIMENT_VERIFICATION_GAP_H

#include "experiment/lab.h"
#include "role/backend.h"
#include "role/prompt.h"
#include "task/task.h"

enum { GAP_MOST_VERIFIERS = 5, GAP_MOST_ROWS = GAP_MOST_VERIFIERS + 3 }; /* of a file; beside them stand their ensemble and the controls */

/* Who judges: an entry of the settings. */
typedef struct gap_judge {
    const char *name, *principles, *command, *url, *model_name, *key_env; /* NULL: not said */
    double timeout;
    int64_t n_votes;
    prompt_template prompt; /* body NULL: the critic's own */
    char id[HASH_HEX_SIZE]; /* of what its scores depend on */
    model *m;               /* opened for it alone; NULL: the learner's, another judge's, or none here */
    backend *b, *own;       /* own: freed with it; NULL: b is another's */
} gap_judge;

typedef struct gap_query {
    task_query task;
    const char *kind;      /* cell, or the verifier of a row */
    const int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    const char **answers;  /* [n_samples] */
} gap_query;

typedef struct gap {
    lab *l;
    model *m;
    adapter *learner; /* NULL: the model as it is */
    backend *self;
    char base[HASH_HEX_SIZE]; /* of model and adapter */
    size_t n_queries, n_samples, max_tokens, draws, *cells, n_cells;
    double temperature, top_p;
    gap_judge judges[GAP_MOST_VERIFIERS];
    size_t n_judges;
    arena *memory;
    gap_query *queries; /* [n] of all seeds, n_queries each */
    size_t n, n_left_out; /* rows without a verifier */
    double *utility, *scores[GAP_MOST_VERIFIERS]; /* [n, n_samples] */
} gap;

/* ---- verification_gap_answers.c ---- */

/* The queries of all seeds, in x->memory; then gap_queries_free, also after a failure. AGON_EINVAL: the cells or the rows have not so many. */
AGON_MUST_CHECK agon_status gap_draw(gap *x);
void gap_queries_free(gap *x);
/* Queries [from, from + n): the learner's answers and their true utility; what a judge says of them, out [n, n_samples], NAN where it said nothing. `kept`: from their
 * stage where it is known, and kept there. */
AGON_MUST_CHECK agon_status gap_answer(gap *x, size_t from, size_t n, bool kept);
AGON_MUST_CHECK agon_status gap_judge_answers(gap *x, const gap_judge *j, size_t from, size_t n, bool kept, double *out);

/* ---- verification_gap_report.c ---- */

typedef struct gap_verifier {
    const char *name;
    const double *score; /* [n, n_samples] NAN: it said nothing */
    bool control;
} gap_verifier;

/* Answers of all seeds with their true utility and what verifiers say of them. Borrows everything. */
typedef struct gap_table {
    size_t n, n_samples;         /* prompts, answers of each */
    const char *const *families; /* [n] */
    const bool *chooses;         /* [n] prompts that thresholds are chosen on; the others are what is reported. Of both there is one at least */
    const double *utility;       /* [n, n_samples] 1 or 0 */
    gap_verifier verifiers[GAP_MOST_ROWS];
    size_t n_verifiers;
} gap_table;

/* Which prompts choose thresholds: every second one of each kind, kinds [n]; of two prompts or more both sides have one. out [n]. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status gap_split(agon_ctx *ctx, const char *const *kinds, size_t n, bool *out);
/* Of one verifier or more. Adds `all` of several, which keeps what each of them keeps, and the controls random and truth; the figures of all these, *result new, also
 * said. Writes curves.svg. */
AGON_MUST_CHECK agon_status gap_report(lab *l, gap_table *t, size_t draws, json_t **result);

#endif

/* Weak-to-strong with the user's own labelled file and two models: what its files share. */
#ifndef EXPERIMENT_W2S_ROWS_H
#define EXPERIMENT_W2S_ROWS_H

#include "experiment/weak_to_strong.h"
#include "objective/classes.h"
#include "train/row_file.h"

/* ---- w2s_table.c: the file ------------------------------------------------------------------------------------ */

typedef enum w2s_part { W2S_TEST, W2S_SUPERVISOR, W2S_STUDENT, W2S_N_PARTS } w2s_part;

typedef struct w2s_row {
    const json_t *asked; /* the text or the messages; borrowed from the file */
    size_t line;
    size_t at;           /* its number in the table as it was read, which models' rows keep */
    int truth;           /* its class */
} w2s_row;

/* The rows of a labelled file, each text once. */
typedef struct w2s_table {
    row_file file;
    arena *memory;
    const char *classes[MAX_CLASSES], *words[MAX_CLASSES]; /* [n_classes]; words: what a model says for it, NULL: the class's name */
    const char *text_template;                             /* with {text} */
    size_t n_classes, n, n_read;
    hash256 id; /* of what was read */
    w2s_row *rows;                              /* [n], of n_read */
    size_t n_repeated, n_too_long, n_majority;  /* left out */
    size_t *order;                              /* [n_seeds, n]: rows of the test (the same under every seed), supervisor's, student's */
    size_t n_parts[W2S_N_PARTS];
} w2s_table;

/* Refuses "classes", "words" and "template" that cannot be meant; AGON_EINVAL. */
AGON_MUST_CHECK agon_status w2s_table_check(const lab *l);
/* Reads the settings' "data"; w2s_table_free also after a failure. AGON_EFORMAT, AGON_EINVAL name file and line. */
AGON_MUST_CHECK agon_status w2s_table_read(const lab *l, w2s_table *out);
/* Row i as the objective `choices` has it: {"prompt", "completions", "labels"}, its truth certain. New; NULL: out of memory. */
json_t *w2s_table_choices(const w2s_table *t, size_t i);
/* Leaves out rows whose `drop` is set, [n]. */
void w2s_table_drop(w2s_table *t, const bool *drop);
/* Evens the classes out where `balance` and the largest is above 1.1 times its fair share (of two: 55%), by leaving rows of the larger ones out at
 * random; then deals them: every part has the same shares of the classes, and no text is in two parts. shares [W2S_N_PARTS] by w2s_part. AGON_EINVAL:
 * a part would have less than its `least`. */
AGON_MUST_CHECK agon_status w2s_table_deal(w2s_table *t, const lab *l, bool balance, const double *shares, const size_t *least);
void w2s_table_free(w2s_table *t);
/* The rows of a part under a seed, [n_parts[part]]. */
static inline const size_t *w2s_table_part(const w2s_table *t, size_t seed, w2s_part part) {
    const size_t *own = t->order + seed * t->n;
    return own + (part > W2S_TEST ? t->n_parts[W2S_TEST] : 0) + (part > W2S_SUPERVISOR ? t->n_parts[W2S_SUPERVISOR] : 0);
}

/* ---- w2s_reader.c: a model that reads them --------------------------------------------------------------------- */

/* A frozen language model and the table's rows as its tokens. Works may share it. */
typedef struct w2s_reader w2s_reader;

/* Opens the model that the option `key` names; *out new. AGON_ENOTFOUND, AGON_EINVAL names the row that the model cannot be asked. */
AGON_MUST_CHECK agon_status w2s_reader_open(const lab *l, const char *key, const w2s_table *t, w2s_reader **out);
void w2s_reader_free(w2s_reader *r);
const char *w2s_reader_id(const w2s_reader *r);
/* Tokens of the row whose `at` is i with all its choices; the most that the model takes. */
size_t w2s_reader_length(const w2s_reader *r, size_t i);
size_t w2s_reader_context(const w2s_reader *r);
/* A new adapter of this rank on labels [n, n_classes] and weights [n] (0: left out) of the table's rows `which` [n]; *out new. */
AGON_MUST_CHECK agon_status w2s_reader_learn(const w2s_reader *r, lab *l, agon_ctx *ctx, const w2s_table *t, const size_t *which, size_t n,
                                             const double *labels, const double *weights, const lab_training *how, size_t rank, adapter **out);
/* P(class) of each of those rows under the adapter, NULL: none; p [n, n_classes]. */
AGON_MUST_CHECK agon_status w2s_reader_ask(const w2s_reader *r, const lab *l, agon_ctx *ctx, const adapter *a, const w2s_table *t,
                                           const size_t *which, size_t n, double *p);
/* What trainings of it take of memory, on all cores at once. */
AGON_MUST_CHECK agon_status w2s_reader_forecast(const w2s_reader *r, const lab *l, const w2s_table *t, size_t rank, size_t batch, forecast *out);
/* Processor seconds of one row in training and of one that is asked, measured on a few of `which` [n]. */
AGON_MUST_CHECK agon_status w2s_reader_try(const w2s_reader *r, lab *l, agon_ctx *ctx, const w2s_table *t, const size_t *which, size_t n,
                                           size_t rank, double *train, double *ask);

#endif

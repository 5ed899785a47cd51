/* Preference vectors on the command line and in rows. */
#ifndef CLI_PREFERENCE_H
#define CLI_PREFERENCE_H

#include "cli/rows.h"

/* "0.3,0.7" as numbers; *out new, *n. False: it is no such list. */
bool parse_numbers(const char *text, double **out, size_t *n);

/* open_model with --preference: the adapter is at this vector; NULL: as it is. Returns an exit code; the sentence was printed. */
int open_model_at(const char *name, const char *model, const char *adapter, const char *preference, const char *dtype, const char *chat_template,
                  opened *out);

/* "a,b" cut at its commas: names [most] borrowed from the copy that is returned (free); NULL: out of memory. A list of more than `most` has its rest in the
 * last name. */
char *split_names(const char *list, const char **names, size_t most, size_t *n);

/* --preference, --contexts and --context as they were given; NULL where not. */
typedef struct preference_arguments {
    const char *vector, *contexts, *context;
} preference_arguments;

/* The adapters of the vectors that rows of a file ask for: one for each different vector. Zero-initialise; free with vectors_free. */
typedef struct preference_vectors {
    struct preference_vector {
        double *numbers;
        size_t n;
        agon_adapter *adapter;
    } *items;
    size_t n;
    agon_contexts *contexts; /* NULL: rows have none */
    double *base;            /* [n_base] the vector of --preference, which contexts start from; 0: the file's */
    size_t n_base;
} preference_vectors;
void vectors_free(preference_vectors *v);
/* The opened adapter is at the vector of the command's options from now on, and `v` knows the contexts that rows may name. Returns an exit code; the
 * sentence was printed. */
int apply_contexts(const char *name, const preference_arguments *p, opened *o, preference_vectors *v);
/* The adapter for a row: that of its "preference" or, with contexts, of its "context", else the opened one. Borrowed. Returns an exit code; the
 * sentence was printed. */
int row_adapter(const char *name, size_t line, const json_t *row, const opened *o, preference_vectors *v, const agon_adapter **out);

#endif

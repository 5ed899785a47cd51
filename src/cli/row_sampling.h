/* Sampling options as text: flags of `agon generate`, and the keys of a row. */
#ifndef CLI_ROW_SAMPLING_H
#define CLI_ROW_SAMPLING_H

#include "cli/cli.h"

/* Options with the lists they point to. */
typedef struct row_sampling {
    agon_sampling options;
    const char **stop;        /* the strings belong to `row` */
    agon_logit_bias *biases;
    int32_t *allowed;
    json_t *row;
} row_sampling;

/* How many answers the row wants ("n"), else n; 0: the sentence was printed. */
size_t row_n_samples(const char *name, size_t line, const json_t *row, size_t n);
/* The options `base` with what a row says: "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty",
 * "presence_penalty", "max_tokens" (or "max_new_tokens", "max_completion_tokens"), "stop" (a text or a list), "logit_bias" ({"ID": bias}), "allowed_tokens" ([ids]). *out NULL when
 * the row says none of these, else new. What others' requests ask for and is not done here is refused by name; a field that nearly is one, or with `contexts` nearly "context", is refused (check_fields). Returns an exit code; the
 * sentence was printed. */
int row_sampling_read(const char *name, size_t line, json_t *row, bool contexts, const agon_sampling *base, row_sampling **out);
void row_sampling_free(row_sampling *s);

/* "ID=BIAS" [n] and "ID,ID,..." of the command line. *out new (free), never NULL. false: not of this form. */
bool parse_biases(const char *const *texts, size_t n, agon_logit_bias **out);
bool parse_ids(const char *text, int32_t **out, size_t *n);

#endif

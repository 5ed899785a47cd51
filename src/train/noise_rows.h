/* agon data noise: noise planted in a file of rows at a stated rate, with the truth kept beside it (spec: training 5). */
#ifndef TRAIN_NOISE_ROWS_H
#define TRAIN_NOISE_ROWS_H

#include "model/tokenizer.h"
#include "objective/objective.h"
#include <jansson.h>

typedef enum noise_level { NOISE_RESPONSE, NOISE_TOKEN, NOISE_SPAN } noise_level;
/* "response", "token", "span"; AGON_EINVAL. */
AGON_MUST_CHECK agon_status noise_level_find(agon_ctx *ctx, const char *name, noise_level *out);

typedef struct noise_options {
    const objective *objective; /* what the rows are for */
    double rate;                /* in [0, 1], the share of rows, or of tokens at level token and span */
    noise_level level;
    uint64_t seed;
    const tokenizer *t; /* whose tokens are replaced; NULL at level response */
} noise_options;

/* For experiments: noise_tokens at level token; at level span noise_spans that begin at the rate and grow by one with probability 1/2 up to 8
 * tokens, so that more tokens than the rate are replaced. replaced [n]. */
void noise_plant(noise_level level, uint64_t seed, double rate, size_t vocabulary, int32_t *tokens, size_t n, bool *replaced);

/* Rows of `from` to `to`, some of them made wrong; every other member is kept.
 *   response  row i is changed when noise_flips(seed, rate) says so. A pair is swapped (critiques go with their texts; label, margin and
 *             rewards stay: they are the wrong judgement's, but for modpo, which has them of other dimensions: they go with their texts too);
 *             under an objective with labels the label is reversed (y becomes 1 - y);
 *             else the response becomes that of another row, drawn evenly, never the same words
 *   token     noise_tokens of each response (of pairs: of the chosen one, which a learner should take after), seed_derive(seed, "row I") for row I from 0
 *   span      noise_spans likewise, begun so rarely that in expectation the rate is the share of the tokens they cover
 * Tokens are replaced by tokens that are text by themselves (valid UTF-8, no special token); those that are not, such as a piece of a
 * character, stay. The text is written, so a tokenizer may read it otherwise: the report counts it.
 * `to`.truth has a line for each changed row: {"line": in `to`, "original": the members as they were}; nothing that learns may read it.
 * *report new: {"rows", "changed", "kind": "swapped|reversed|replaced|tokens|spans", "rate", "seed", "truth": path, and of tokens
 * {"tokens", "replaceable", "replaced", "read_otherwise": tokens of the changed texts that are not read back as they were written}}.
 * AGON_EINVAL names file and line: rows that do not fit the objective, a row with spans where its words would change, files that exist. */
AGON_MUST_CHECK agon_status noise_file(agon_ctx *ctx, const char *from, const char *to, const noise_options *options, json_t **report);


#endif

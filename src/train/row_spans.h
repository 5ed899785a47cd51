/* What a critique says of parts of a response, on the response's tokens (spec: training 7; RELC, Cao et al. 2024, 2401.07382).
 *
 *   "spans": [{"start": 4, "end": 7, "reward": -1}, {"quote": "teh", "near": 19, "reward": -1, "placement": "last", "weight": 0}]
 *
 * A span is bytes [start, end) of the response's text, or a quote of it (placed as critique_spans.h says; without "near" at every place
 * it stands, with the value shared out). "reward" is added to the rewards of its tokens: spread evenly ("placement": "spread"), on each
 * ("each") or on the last ("last"). "weight" multiplies the loss weight of its tokens; 0 leaves them out. */
#ifndef TRAIN_ROW_SPANS_H
#define TRAIN_ROW_SPANS_H

#include "model/tokenizer.h"
#include "train/critique_spans.h"
#include <jansson.h>

/* Bytes of text[n_text] that each token holds, out [n]; {0, 0}: none. special: special tokens stand in the text too (a raw row); false:
 * they do not (what was generated). What the tokens spell may have something around the text (a template). AGON_EINVAL: they do not
 * spell it; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status token_offsets(agon_ctx *ctx, const tokenizer *t, const int32_t *tokens, size_t n, const char *text,
                                          size_t n_text, bool special, size_t (*out)[2]);

/* "spread", "each", "last"; AGON_EINVAL names all three. */
AGON_MUST_CHECK agon_status span_placement_find(agon_ctx *ctx, const char *where, const char *name, span_placement *out);

/* The list `spans` of a row on n tokens with these offsets: rewards [n] are added to (NULL: the objective takes none, and a span that has
 * one is AGON_EINVAL), weights [n] multiplied. *rewarded is set when a span had a reward. AGON_EINVAL names `where` and the span. */
AGON_MUST_CHECK agon_status row_spans_place(agon_ctx *ctx, const char *where, const json_t *spans, const char *text,
                                            const size_t (*offsets)[2], size_t n, double *rewards, double *weights, bool *rewarded,
                                            span_tally *tally);

/* The response with its critique after it, as a reward model reads both: "RESPONSE\n\nCritique: CRITIQUE". *n_context (NULL: not wanted): bytes
 * before the critique's first. New string, NULL on memory. */
#define CRITIQUE_MARK "\n\nCritique: "
char *critique_join(const char *response, const char *critique, size_t *n_context);

#endif

/* Critiques as rewards of tokens, and refinements as training rows (spec: training 7; RELC, Cao et al. 2024, 2401.07382).
 * Offsets are bytes of the response's text. */
#ifndef TRAIN_CRITIQUE_SPANS_H
#define TRAIN_CRITIQUE_SPANS_H

#include "agon.h"

typedef struct text_span {
    size_t start, end; /* bytes [start, end) */
    double value;      /* of the whole span: negative bad, positive good */
} text_span;

typedef enum quote_match { QUOTE_NONE, QUOTE_EXACT, QUOTE_FOLDED, QUOTE_FUZZY } quote_match;
/* Spans found by their offsets, and quotes by how they matched (QUOTE_NONE: dropped). */
typedef struct span_tally {
    size_t offsets, quotes[QUOTE_FUZZY + 1];
} span_tally;
enum { MOST_QUOTE_PLACES = 16, MOST_QUOTE_BYTES = 4096 };
/* Where a critic's quote stands in `text`: exact; else with ASCII case and runs of white space folded; else the window
 * with the least edits (of whole characters), when they are at most 0.2 of the quote. Of several exact or folded places the one nearest to
 * byte `near`, or all (up to MOST_QUOTE_PLACES) when near is SIZE_MAX; their values are value/m. places
 * [MOST_QUOTE_PLACES]. QUOTE_NONE: *n 0; drop it and count it. A quote longer than MOST_QUOTE_BYTES is not searched
 * with edits. AGON_ENOMEM (V:critique.quote_alignment). */
AGON_MUST_CHECK agon_status quote_align(agon_ctx *ctx, const char *text, size_t n_text, const char *quote,
                                        size_t n_quote, size_t near, double value, text_span *places, size_t *n,
                                        quote_match *how);

typedef enum span_placement {
    SPAN_EACH,   /* every token of the span gets the value */
    SPAN_SPREAD, /* the value is spread evenly: long spans are not favoured; the default */
    SPAN_LAST    /* the last token gets it */
} span_placement;
/* Tokens that share at least one byte with the span: *first .. *first + *n. offsets [n_tokens][2] ascending. */
void span_tokens(const size_t (*offsets)[2], size_t n_tokens, const text_span *s, size_t *first, size_t *n);
/* Sum of the spans' values on tokens, out [n_tokens] written; 0 off all spans (V:critique.span_rewards). */
void span_rewards(const size_t (*offsets)[2], size_t n_tokens, const text_span *spans, size_t n_spans,
                  span_placement placement, double *out);
/* In place: intrinsic [n] becomes intrinsic_weight * intrinsic, held so that the sum of its sizes is at most `bound` (0:
 * no bound; the specification's is 0.5 * std(extrinsic) * sqrt(n)), plus extrinsic_weight * extrinsic on the last. */
void dense_rewards(double *intrinsic, size_t n, double intrinsic_weight, double bound, double extrinsic_weight,
                   double extrinsic);

/* Levenshtein distance over the longer length, in bytes; 0 for two empty texts. AGON_EINVAL: the product of the lengths
 * is beyond 2^30, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status edit_ratio(agon_ctx *ctx, const char *a, size_t n_a, const char *b, size_t n_b, double *out);
/* True when `words` words in a row of the refinement stand in the critique but not in the draft: it quotes the critique
 * instead of following it. */
bool copies_critique(const char *draft, const char *refined, const char *critique, size_t words);

typedef struct refinement_filter {
    double least_gain, most_edits; /* 0.1, 0.8 */
} refinement_filter;
static inline refinement_filter refinement_filter_default(void) {
    return (refinement_filter){0.1, 0.8};
}
/* Is (refined > draft) a preference worth learning (V:critique.refine_pairs)? */
bool refinement_keep(const refinement_filter *f, double draft_score, double refined_score, double edits, bool copies);

#endif

/* What a form of critique teaches (spec: training 7). */
#ifndef EVAL_LEARNABILITY_H
#define EVAL_LEARNABILITY_H

#include "agon.h"

typedef struct learnability {
    double gain;          /* refinement less draft */
    double over_retry;    /* gain less that of trying again without a critique */
    double over_shuffled; /* gain less that with the critique of another item */
    double fixed, broken; /* shares whose score rose, and fell */
    double per_1k_tokens; /* gain over 1,000 critique tokens; NAN without tokens */
} learnability;
/* Scores [n] of the same items: first draft, refined with its critique, tried again without, refined with another
 * item's critique; n_tokens of all critiques together (V:critique.learnability). AGON_EINVAL: n = 0. */
AGON_MUST_CHECK agon_status learnability_measure(agon_ctx *ctx, const double *draft, const double *refined,
                                                 const double *retry, const double *shuffled, size_t n,
                                                 size_t n_tokens, learnability *out);

#endif

/* What scoring and rewards share: the check of their requests, and how many run together. */
#ifndef API_REQUESTS_H
#define API_REQUESTS_H

#include "model/model.h"

enum { GROUP_ROWS = 4096, GROUP_TOKENS = 1 << 16, GROUP_REQUESTS = 64 };

static inline size_t request_length(const agon_score_request *r) {
    return r->n_prompt + r->n_completion;
}

/* Names the i-th (from 0) of n requests in the sentence of a failure: "request 1: ..."; a lone one needs no number, and 0 is no failure. Returns s. */
agon_status request_name(agon_ctx *ctx, agon_status s, size_t i, size_t n);
/* AGON_EINVAL: without tokens, longer than the context, or a token outside the vocabulary. */
AGON_MUST_CHECK agon_status requests_check(agon_ctx *ctx, const model *m, const agon_score_request *requests, size_t n);
/* How many of the n requests, from the first on, run together: at least one, at most GROUP_REQUESTS. Beyond the first they have at most GROUP_ROWS rows
 * to compute, what prompts share with earlier ones counted once, and in all at most most_tokens. */
size_t requests_together(const agon_score_request *requests, size_t n, size_t most_tokens);

#endif

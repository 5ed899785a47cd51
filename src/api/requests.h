/* What scoring and rewards share: the check of their requests, and how many run together. */
#ifndef API_REQUESTS_H
#define API_REQUESTS_H

#include "model/model.h"

enum { GROUP_TOKENS = 4096, GROUP_REQUESTS = 64 };

static inline size_t request_length(const agon_score_request *r) {
    return r->n_prompt + r->n_completion;
}

/* AGON_EINVAL names the request, from 1: without tokens, longer than the context, or a token outside the vocabulary. */
AGON_MUST_CHECK agon_status requests_check(agon_ctx *ctx, const model *m, const agon_score_request *requests, size_t n);
/* How many of the n requests, from the first on, run together: at least one, at most GROUP_REQUESTS. */
size_t requests_together(const agon_score_request *requests, size_t n);

#endif

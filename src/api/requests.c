/* See requests.h. */
#include "api/requests.h"
#include "base/ctx.h"
#include "base/memory.h"

static agon_status check(agon_ctx *ctx, const model_config *c, const agon_score_request *r) {
    if ((r->n_prompt && !r->prompt) || (r->n_completion && !r->completion))
        return ctx_fail(ctx, AGON_EINVAL, "the %s is NULL; it must be given", r->n_prompt && !r->prompt ? "prompt" : "completion");
    if (r->n_prompt == 0 && r->n_completion == 0)
        return ctx_fail(ctx, AGON_EINVAL, "there are no tokens");
    if (r->n_prompt > c->max_context || r->n_completion > c->max_context - r->n_prompt)
        return ctx_fail(ctx, AGON_EINVAL, "there are %zu tokens; the model's context is %zu", size_add(r->n_prompt, r->n_completion), c->max_context);
    for (size_t t = 0; t < request_length(r); t++) {
        int32_t id = t < r->n_prompt ? r->prompt[t] : r->completion[t - r->n_prompt];
        if (id < 0 || (size_t)id >= c->n_vocabulary)
            return ctx_fail(ctx, AGON_EINVAL, "token %zu, id %d, is not in the vocabulary of %zu", t, (int)id, c->n_vocabulary);
    }
    return AGON_OK;
}

agon_status request_name(agon_ctx *ctx, agon_status s, size_t i, size_t n) {
    return s && n > 1 ? ctx_prefix(ctx, s, "request %zu", i + 1) : s;
}

agon_status requests_check(agon_ctx *ctx, const model *m, const agon_score_request *requests, size_t n) {
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < n; i++)
        s = request_name(ctx, check(ctx, model_get_config(m), &requests[i]), i, n);
    return s;
}

/* Tokens of the i-th prompt that are rows of an earlier one: as the model will find them (prefix_shared). */
static size_t shared(const agon_score_request *requests, size_t i) {
    const agon_score_request *r = &requests[i];
    size_t best = 0;
    for (size_t k = 0; k < i && best + 1 < r->n_prompt; k++) {
        const agon_score_request *o = &requests[k];
        size_t n = 0;
        while (n + 1 < r->n_prompt && n < o->n_prompt && r->prompt[n] == o->prompt[n])
            n++;
        best = n > best ? n : best;
    }
    return best;
}

size_t requests_together(const agon_score_request *requests, size_t n, size_t most_tokens) {
    size_t take = 1, rows = 0, tokens = request_length(&requests[0]);
    for (; take < n && take < GROUP_REQUESTS; take++) {
        const size_t length = request_length(&requests[take]);
        tokens += length;
        rows += length - shared(requests, take);
        if (rows > GROUP_ROWS || tokens > most_tokens)
            break;
    }
    return take;
}

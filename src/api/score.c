/* agon.h, scoring: each request is a tree of the segment batch, a prompt and the completion that
 * continues it; as many trees run together as fit a bounded working memory. */
#include "api/models.h"
#include "api/options.h"
#include "api/requests.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

typedef struct scorer {
    agon_ctx *ctx;
    const agon_model *m;
    const adapter *adapter;
    float temperature;
    size_t n_top, n_vocabulary;
    workspace *work;
} scorer;

/* The n largest logits, by insertion: n is small. */
static size_t take_top(const float *logits, size_t n_logits, size_t n, agon_top *top) {
    size_t filled = 0;
    for (size_t id = 0; id < n_logits; id++) {
        if (filled == n && !(logits[id] > top[filled - 1].logit))
            continue;
        size_t at = filled < n ? filled++ : n - 1;
        for (; at > 0 && logits[id] > top[at - 1].logit; at--)
            top[at] = top[at - 1];
        top[at] = (agon_top){(int32_t)id, logits[id]};
    }
    return filled;
}

static agon_status take_result(const scorer *s, const agon_score_request *r, const float *log_prob,
                               const float *logits, agon_score_result *out) {
    out->log_probs = calloc(r->n_completion + 1, sizeof *out->log_probs);
    if (!out->log_probs)
        return ctx_fail(s->ctx, AGON_ENOMEM, "out of memory for a result");
    for (size_t i = 0; i < r->n_completion; i++) {
        out->log_probs[i] = log_prob[r->n_prompt + i];
        out->log_prob += out->log_probs[i];
    }
    if (s->n_top == 0)
        return AGON_OK;
    out->top = calloc(s->n_top, sizeof *out->top);
    if (!out->top)
        return ctx_fail(s->ctx, AGON_ENOMEM, "out of memory for a result");
    out->n_top = take_top(logits, s->n_vocabulary, s->n_top, out->top);
    return AGON_OK;
}

static agon_status score_group(const scorer *s, const agon_score_request *requests, size_t n,
                               agon_score_result *results) {
    segment segments[2 * GROUP_REQUESTS];
    size_t n_segments = 0, n_tokens = 0;
    for (size_t i = 0; i < n; i++) {
        const agon_score_request *r = &requests[i];
        int32_t parent = -1;
        if (r->n_prompt > 0) {
            parent = (int32_t)n_segments;
            segments[n_segments++] = (segment){.tokens = r->prompt, .n_tokens = r->n_prompt, .parent = -1};
        }
        if (r->n_completion > 0)
            segments[n_segments++] = (segment){.tokens = r->completion,
                                               .n_tokens = r->n_completion,
                                               .parent = parent,
                                               .wants = WANT_LOG_PROB};
        segment *root = &segments[r->n_prompt > 0 ? (size_t)parent : n_segments - 1];
        root->adapter = s->adapter;
        root->temperature = s->temperature;
        segments[n_segments - 1].wants |= s->n_top > 0 ? WANT_LOGITS : 0;
        n_tokens += request_length(r);
    }
    float *log_prob = memory_new(n_tokens, sizeof *log_prob);
    float *logits = s->n_top > 0 ? memory_new(size_mul(n, s->n_vocabulary), sizeof *logits) : NULL;
    agon_status status = AGON_OK;
    if (!log_prob || (s->n_top > 0 && !logits))
        status = ctx_fail(s->ctx, AGON_ENOMEM, "out of memory for %zu requests", n);
    const segment_batch batch = {segments, n_segments};
    const token_channels out = {.log_prob = log_prob, .logits = logits};
    if (!status)
        status = model_forward(s->ctx, s->m->m, s->work, &batch, &out);
    const float *at = log_prob;
    for (size_t i = 0; !status && i < n; i++) {
        status = take_result(s, &requests[i], at, logits ? logits + i * s->n_vocabulary : NULL, &results[i]);
        at += request_length(&requests[i]);
    }
    free(log_prob);
    free(logits);
    return status;
}

agon_status agon_score(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter,
                       const agon_score_request *requests, size_t n, double temperature, size_t n_top,
                       agon_score_result *results) {
    FP_ENVIRONMENT();
    agon_status status = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of requests", requests, n}, {"the array of results", results, n});
    if (status)
        return status;
    size_t n_vocabulary = model_get_config(m->m)->n_vocabulary;
    scorer s = {.ctx = ctx, .m = m, .adapter = adapter ? adapter->a : NULL, .temperature = temperature_take(temperature),
                .n_top = n_top < n_vocabulary ? n_top : n_vocabulary, .n_vocabulary = n_vocabulary};
    if (n > 0)
        memset(results, 0, n * sizeof *results);
    if (!temperature_is_valid(s.temperature))
        return ctx_fail(ctx, AGON_EINVAL, "a temperature of %g: it must be from %g to %g (0 means 1)", temperature,
                        (double)LEAST_TEMPERATURE, (double)MOST_TEMPERATURE);
    status = requests_check(ctx, m->m, requests, n);
    if (!status)
        status = workspace_new(ctx, 0, &s.work);
    if (status)
        return status;
    for (size_t i = 0, take; !status && i < n; i += take) {
        take = requests_together(requests + i, n - i, GROUP_TOKENS);
        status = score_group(&s, requests + i, take, results + i);
    }
    for (size_t i = 0; status && i < n; i++)
        agon_score_result_free(&results[i]);
    workspace_free(s.work);
    return status;
}

void agon_score_result_free(agon_score_result *r) {
    if (!r)
        return;
    free(r->log_probs);
    free(r->top);
    *r = (agon_score_result){0};
}

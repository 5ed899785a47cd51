/* The local backend: the engine itself. One base model, an adapter a request; all requests of a
 * poll in one batch.
 *
 * A completion depends on its prompt, seed, sampling and adapter only, and a score on prompt,
 * continuation and adapter only (the arithmetic contract), so how requests are batched changes no
 * answer: the backend is reproducible.
 *
 * Messages go through the model's chat template with the answer's turn opened, and their content is
 * never parsed for special tokens. A raw prompt is encoded as raw scoring sees text. A continuation
 * is encoded by itself and put after the prompt; its score is the sum of its tokens' log_probs in
 * nats. */
#include "base/ctx.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "role/backend_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t WORKSPACE_LIMIT = (size_t)2 << 30;

typedef struct local {
    backend base;
    const model *m;
    size_t max_batch;
    workspace *work; /* made at the first score */
    backend_queue queue;
} local;

/* ---- prompts ------------------------------------------------------------------- */

static agon_status encode_prompt(agon_ctx *ctx, const local *b, const backend_request *r,
                                 token_list *out) {
    const tokenizer *t = model_tokenizer(b->m);
    if (r->prompt)
        return tokenizer_encode_raw(ctx, t, r->prompt, strlen(r->prompt), out);
    return chat_encode(ctx, t, r->messages, r->n_messages, true, out, NULL);
}

/* Encodes each queued prompt; one that is empty or does not fit the context fails alone. */
static agon_status encode_all(agon_ctx *ctx, local *b, token_list *prompts) {
    size_t context = model_get_config(b->m)->max_context;
    for (size_t i = 0; i < b->queue.n; i++) {
        backend_response *r = b->queue.items[i].response;
        agon_status s = encode_prompt(ctx, b, b->queue.items[i].request, &prompts[i]);
        if (s)
            return s;
        r->n_prompt_tokens = prompts[i].n;
        if (prompts[i].n == 0)
            backend_fail(r, "the prompt is empty");
        else if (prompts[i].n >= context)
            backend_fail(r, "the prompt has %zu tokens, the model's context %zu", prompts[i].n,
                         context);
        else if (!backend_make_room(r, b->queue.items[i].request->n_samples,
                                    b->queue.items[i].request->n_continuations))
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for responses");
    }
    return AGON_OK;
}

/* ---- completions --------------------------------------------------------------- */

/* Moves a completion into the response. */
static bool take_completion(completion *c, backend_completion *out) {
    out->text = utf8_repair(c->text, c->n_text);
    out->n_tokens = c->n_tokens;
    out->tokens = c->tokens;
    out->log_probs = c->log_probs;
    out->finish = c->finish;
    c->tokens = NULL;
    c->log_probs = NULL;
    return out->text != NULL;
}

static agon_status complete_all(agon_ctx *ctx, local *b, const token_list *prompts) {
    agon_status s = AGON_OK;
    size_t n = 0, n_samples = 0, at = 0;
    generate_request *requests = memory_new(b->queue.n, sizeof *requests);
    size_t *items = memory_new(b->queue.n, sizeof *items);
    completion *completions = NULL;
    if (!requests || !items) {
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu requests", b->queue.n);
        goto done;
    }
    for (size_t i = 0; i < b->queue.n; i++) {
        const backend_request *r = b->queue.items[i].request;
        if (b->queue.items[i].response->state == BACKEND_FAILED || r->n_samples == 0)
            continue;
        items[n] = i;
        requests[n++] = (generate_request){.prompt = prompts[i].ids,
                                           .n_prompt = prompts[i].n,
                                           .n_samples = r->n_samples,
                                           .seeds = r->seeds,
                                           .adapter = r->adapter,
                                           .sampling = r->sampling};
        n_samples += r->n_samples;
    }
    if (n == 0)
        goto done;
    completions = memory_new(n_samples, sizeof *completions);
    if (!completions) {
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu completions", n_samples);
        goto done;
    }
    const generate_options options = {.max_batch = b->max_batch};
    s = generate(ctx, b->m, requests, n, &options, completions);
    for (size_t i = 0; !s && i < n; i++) {
        backend_response *r = b->queue.items[items[i]].response;
        for (size_t k = 0; k < requests[i].n_samples; k++, at++) {
            r->n_completion_tokens += completions[at].n_tokens;
            if (!take_completion(&completions[at], &r->completions[k]))
                s = ctx_fail(ctx, AGON_ENOMEM, "no memory for a completion's text");
        }
    }
done:
    for (size_t i = 0; completions && i < n_samples; i++)
        completion_free(&completions[i]);
    free(completions);
    free(requests);
    free(items);
    return s;
}

/* ---- scores -------------------------------------------------------------------- */

/* Some requests as one batch: a tree each, the prompt its root, the continuations its children. */
typedef struct score_batch {
    segment *segments;
    token_list *continuations; /* [n] of a segment: its tokens when it is a child */
    backend_response **owner;  /* [n], NULL for a root */
    size_t n, capacity, n_tokens;
} score_batch;

static void score_batch_clear(score_batch *s) {
    for (size_t i = 0; i < s->n; i++)
        token_list_free(&s->continuations[i]);
    s->n = s->n_tokens = 0;
}

static bool score_batch_room(score_batch *s, size_t n) {
    if (s->n + n <= s->capacity)
        return true;
    size_t capacity = size_mul(size_add(s->n, n), 2);
    segment *segments = realloc(s->segments, size_mul(capacity, sizeof *segments));
    if (segments)
        s->segments = segments;
    token_list *lists = realloc(s->continuations, size_mul(capacity, sizeof *lists));
    if (lists)
        s->continuations = lists;
    backend_response **owner = realloc(s->owner, size_mul(capacity, sizeof *owner));
    if (owner)
        s->owner = owner;
    if (!segments || !lists || !owner)
        return false;
    s->capacity = capacity;
    return true;
}

/* Adds a request's tree. A continuation that is empty or too long fails the request, which is then
 * left out. */
static agon_status score_batch_add(agon_ctx *ctx, const local *b, score_batch *s,
                                   const backend_item *item, const token_list *prompt) {
    const backend_request *q = item->request;
    size_t context = model_get_config(b->m)->max_context, root = s->n, before = s->n_tokens;
    if (!score_batch_room(s, q->n_continuations + 1))
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to score %zu continuations",
                        q->n_continuations);
    s->segments[s->n] = (segment){.tokens = prompt->ids,
                                  .n_tokens = prompt->n,
                                  .parent = -1,
                                  .adapter = q->adapter,
                                  .temperature = 1};
    s->continuations[s->n] = (token_list){0};
    s->owner[s->n++] = NULL;
    s->n_tokens += prompt->n;
    for (size_t i = 0; i < q->n_continuations; i++) {
        token_list *list = &s->continuations[s->n];
        *list = (token_list){0};
        const char *text = q->continuations[i];
        agon_status status =
            q->prompt ? tokenizer_encode_more(ctx, model_tokenizer(b->m), prompt->ids, prompt->n, text, strlen(text), false, list)
                      : chat_encode_answer(ctx, model_tokenizer(b->m), text, strlen(text), false, false, list);
        s->owner[s->n++] = item->response; /* counted, so that clearing frees it */
        if (status)
            return status;
        if (list->n == 0 || prompt->n + list->n > context) {
            backend_fail(item->response,
                         list->n ? "continuation %zu does not fit the model's context"
                                 : "continuation %zu is empty",
                         i);
            for (size_t k = root; k < s->n; k++)
                token_list_free(&s->continuations[k]);
            s->n_tokens = before;
            s->n = root;
            return AGON_OK;
        }
        s->segments[s->n - 1] = (segment){.tokens = list->ids,
                                          .n_tokens = list->n,
                                          .parent = (int32_t)root,
                                          .wants = WANT_LOG_PROB};
        s->n_tokens += list->n;
    }
    return AGON_OK;
}

/* Runs the batch and adds up each continuation's log_probs. */
static agon_status score_batch_run(agon_ctx *ctx, local *b, score_batch *s) {
    if (s->n == 0)
        return AGON_OK;
    float *log_prob = memory_new(s->n_tokens, sizeof *log_prob);
    agon_status status =
        log_prob ? AGON_OK
                 : ctx_fail(ctx, AGON_ENOMEM, "no memory to score %zu tokens", s->n_tokens);
    if (!status && !b->work)
        status = workspace_new(ctx, WORKSPACE_LIMIT, &b->work);
    const segment_batch batch = {s->segments, s->n};
    const token_channels out = {.log_prob = log_prob};
    if (!status)
        status = model_forward(ctx, b->m, b->work, &batch, &out);
    size_t at = 0, child = 0;
    for (size_t i = 0; !status && i < s->n; i++) {
        child = s->owner[i] ? child + 1 : 0;
        double sum = 0;
        for (size_t k = 0; k < s->segments[i].n_tokens; k++)
            sum += log_prob[at + k];
        if (s->owner[i])
            s->owner[i]->scores[child - 1] = sum;
        at += s->segments[i].n_tokens;
    }
    free(log_prob);
    score_batch_clear(s);
    return status;
}

static agon_status score_all(agon_ctx *ctx, local *b, const token_list *prompts) {
    score_batch work = {0};
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < b->queue.n; i++) {
        const backend_item *item = &b->queue.items[i];
        if (item->response->state == BACKEND_FAILED || item->request->n_continuations == 0)
            continue;
        s = score_batch_add(ctx, b, &work, item, &prompts[i]);
        if (!s && work.n_tokens >= BACKEND_SCORE_TOKENS)
            s = score_batch_run(ctx, b, &work);
        if (!s)
            s = ctx_check_interrupt(ctx);
    }
    if (!s)
        s = score_batch_run(ctx, b, &work);
    score_batch_clear(&work);
    free(work.segments);
    free(work.continuations);
    free(work.owner);
    return s;
}

/* ---- the backend ----------------------------------------------------------------- */

static agon_status local_submit(agon_ctx *ctx, backend *base, const backend_request *requests,
                                size_t n, backend_response *responses) {
    for (size_t i = 0; i < n; i++)
        if (requests[i].n_samples && !requests[i].seeds)
            return ctx_fail(ctx, AGON_EINVAL, "request %s has samples but no seeds",
                            requests[i].id ? requests[i].id : "?");
    return backend_queue_add(ctx, &((local *)base)->queue, requests, n, responses);
}

static agon_status local_poll(agon_ctx *ctx, backend *base, double timeout_seconds,
                              size_t *n_pending) {
    (void)timeout_seconds; /* what is queued is worked through at once: it shares one batch */
    local *b = (local *)base;
    *n_pending = 0;
    if (b->queue.n == 0)
        return AGON_OK;
    token_list *prompts = memory_new(b->queue.n, sizeof *prompts);
    agon_status s = prompts ? encode_all(ctx, b, prompts)
                            : ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu prompts", b->queue.n);
    if (!s)
        s = complete_all(ctx, b, prompts);
    if (!s)
        s = score_all(ctx, b, prompts);
    for (size_t i = 0; prompts && i < b->queue.n; i++) {
        token_list_free(&prompts[i]);
        if (!s && b->queue.items[i].response->state == BACKEND_PENDING)
            b->queue.items[i].response->state = BACKEND_DONE;
    }
    free(prompts);
    if (s) /* half-filled responses must not look like answers */
        for (size_t i = 0; i < b->queue.n; i++)
            backend_fail(b->queue.items[i].response, "%s", agon_error(ctx));
    b->queue.n = 0;
    return s;
}

static void local_cancel(backend *base) {
    ((local *)base)->queue.n = 0;
}

static void local_free(backend *base) {
    local *b = (local *)base;
    workspace_free(b->work);
    free(b->queue.items);
    free(b);
}

static const backend_table table = {local_submit, local_poll, local_cancel, local_free};

agon_status backend_local_new(agon_ctx *ctx, const model *m, size_t max_batch, backend **out) {
    local *b = memory_new(1, sizeof *b);
    char *name = strdup("local");
    if (!b || !name) {
        free(b);
        free(name);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a local backend");
    }
    b->base = (backend){&table, name, CAN_GENERATE | CAN_SCORE | IN_PROCESS, true};
    b->m = m;
    b->max_batch = max_batch;
    *out = &b->base;
    return AGON_OK;
}

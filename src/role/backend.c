/* The part of waist 3 that all backends share, see backend.h. */
#include "role/backend.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "role/backend_private.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double POLL_SECONDS = 1;
enum { CLEARLY_DOWN = 4 }; /* so many that fail by their own fault, and none that does not: it is the backend's */

void backend_response_free(backend_response *r) {
    if (!r)
        return;
    for (size_t i = 0; i < r->n_completions; i++) {
        free(r->completions[i].text);
        free(r->completions[i].tokens);
        free(r->completions[i].log_probs);
    }
    free(r->completions);
    free(r->scores);
    free(r->error);
    json_decref(r->extra);
    *r = (backend_response){0};
}

size_t backend_text_length(const backend_completion *c, size_t max_tokens) {
    return c->log_probs ? strlen(c->text) : utf8_cut(c->text, size_mul(max_tokens, BACKEND_BYTES_A_TOKEN));
}

size_t backend_token_count(const json_t *n) {
    json_int_t count = json_integer_value(n);
    return count <= 0 ? 0 : count < BACKEND_MOST_TOKENS ? (size_t)count : BACKEND_MOST_TOKENS;
}

void backend_fail(backend_response *r, const char *format, ...) {
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    backend_response_free(r);
    r->state = BACKEND_FAILED;
    r->error = utf8_repair(sentence, strlen(sentence));
}

bool backend_make_room(backend_response *r, size_t n_completions, size_t n_scores) {
    if (n_completions)
        r->completions = memory_new(n_completions, sizeof *r->completions);
    if (n_scores)
        r->scores = memory_new(n_scores, sizeof *r->scores);
    if ((n_completions && !r->completions) || (n_scores && !r->scores)) {
        backend_fail(r, "no memory for %zu completions", n_completions);
        return false;
    }
    r->n_completions = n_completions;
    r->n_scores = n_scores;
    return true;
}

json_t *backend_seed_json(uint64_t seed) {
    return json_integer((json_int_t)(seed & ((UINT64_C(1) << 53) - 1)));
}

json_t *backend_messages_json(const backend_request *r) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_messages; i++) {
        json_t *m =
            json_pack("{s:s, s:s}", "role", r->messages[i].role, "content", r->messages[i].content);
        if (!m || json_array_append_new(list, m)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

agon_status backend_queue_add(agon_ctx *ctx, backend_queue *q, const backend_request *requests,
                              size_t n, backend_response *responses) {
    if (q->n + n > q->capacity) {
        size_t capacity = size_add(q->n, size_add(n, q->n));
        backend_item *items = realloc(q->items, size_mul(capacity, sizeof *items));
        if (!items)
            return ctx_fail(ctx, AGON_ENOMEM, "no memory to queue %zu requests", n);
        q->items = items;
        q->capacity = capacity;
    }
    for (size_t i = 0; i < n; i++)
        q->items[q->n++] = (backend_item){&requests[i], &responses[i]};
    return AGON_OK;
}

unsigned backend_capabilities(const backend *b) {
    return b->capabilities;
}

bool backend_reproducible(const backend *b) {
    return b->reproducible;
}

const char *backend_name(const backend *b) {
    return b->name;
}

agon_status backend_submit(agon_ctx *ctx, backend *b, const backend_request *requests, size_t n,
                           backend_response *responses) {
    for (size_t i = 0; i < n; i++) {
        const backend_request *r = &requests[i];
        const char *id = r->id ? r->id : "?";
        if (!r->prompt && r->n_messages == 0)
            return ctx_fail(ctx, AGON_EINVAL, "request %s has neither prompt nor messages", id);
        if (r->n_samples && !(b->capabilities & CAN_GENERATE))
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "request %s: backend %s cannot generate", id,
                            b->name);
        if (r->n_continuations && !(b->capabilities & CAN_SCORE))
            return ctx_fail(ctx, AGON_EUNSUPPORTED,
                            "request %s: backend %s cannot score given texts", id, b->name);
    }
    if (n)
        memset(responses, 0, n * sizeof *responses);
    return b->table->submit(ctx, b, requests, n, responses);
}

agon_status backend_poll(agon_ctx *ctx, backend *b, double timeout_seconds, size_t *n_pending) {
    return b->table->poll(ctx, b, timeout_seconds, n_pending);
}

static size_t count(const backend_response *r, size_t n, backend_state state) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += r[i].state == state;
    return found;
}

static bool is_down(const backend *b, const backend_response *r, size_t n) {
    size_t n_own = 0;
    for (size_t i = 0; i < n; i++)
        n_own += r[i].own_fault;
    return n && !(b->capabilities & IN_PROCESS) && count(r, n, BACKEND_FAILED) == n && (n_own < n || n >= CLEARLY_DOWN);
}

agon_status backend_batch_new(agon_ctx *ctx, size_t n, backend_batch *out) {
    *out = (backend_batch){memory_new(n, sizeof *out->requests), memory_new(n, sizeof *out->responses), memory_new(n, sizeof *out->extras), n};
    return out->requests && out->responses && out->extras ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu requests", n);
}

void backend_batch_free(backend_batch *b) {
    for (size_t i = 0; i < b->n; i++) {
        if (b->responses)
            backend_response_free(&b->responses[i]);
        if (b->extras)
            json_decref(b->extras[i]);
    }
    free(b->requests);
    free(b->responses);
    free(b->extras);
}

agon_status backend_run(agon_ctx *ctx, backend *b, const backend_request *requests, size_t n,
                        backend_response *responses) {
    agon_status s = backend_submit(ctx, b, requests, n, responses);
    if (s)
        return s;
    while (!s && count(responses, n, BACKEND_PENDING)) {
        size_t n_pending;
        s = ctx_check_interrupt(ctx);
        if (!s)
            s = backend_poll(ctx, b, POLL_SECONDS, &n_pending);
    }
    if (s)
        b->table->cancel(b);
    else if (is_down(b, responses, n))
        s = ctx_fail(ctx, AGON_EREMOTE, "%s: %s; every request failed, run again to go on",
                     requests[0].id ? requests[0].id : "request", responses[0].error ? responses[0].error : "failed");
    if (s)
        for (size_t i = 0; i < n; i++)
            backend_response_free(&responses[i]);
    return s;
}

void backend_free(backend *b) {
    if (!b)
        return;
    b->table->cancel(b);
    free(b->name);
    b->table->free(b);
}

/* The scripted backend: answers from a JSON object, keyed by item id and sample index, for tests
 * and replays. */
#include "base/ctx.h"
#include "base/memory.h"
#include "role/backend_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct scripted {
    backend base;
    json_t *script;
    backend_queue queue;
} scripted;

/* script[section]["role:id"], else script[section][id]. */
static const json_t *entry(const scripted *b, const char *section, const backend_request *r) {
    const json_t *all = json_object_get(b->script, section), *found = NULL;
    char key[512];
    if (r->role && r->id && snprintf(key, sizeof key, "%s:%s", r->role, r->id) < (int)sizeof key)
        found = json_object_get(all, key);
    return found ? found : r->id ? json_object_get(all, r->id) : NULL;
}

static const char *answer_at(const scripted *b, const backend_request *r, size_t i) {
    const json_t *e = entry(b, "answers", r);
    size_t n = json_array_size(e);
    const char *text = n ? json_string_value(json_array_get(e, i % n)) : json_string_value(e);
    return text ? text : json_string_value(json_object_get(b->script, "default"));
}

static void answer(const scripted *b, const backend_request *q, backend_response *r) {
    if (!backend_make_room(r, q->n_samples, q->n_continuations))
        return;
    for (size_t i = 0; i < q->n_samples; i++) {
        const char *text = answer_at(b, q, i);
        if (!text) {
            backend_fail(r, "the script has no answer for '%s'", q->id ? q->id : "?");
            return;
        }
        r->completions[i].text = strdup(text);
        r->completions[i].finish = FINISH_STOP;
        if (!r->completions[i].text) {
            backend_fail(r, "no memory for a scripted answer");
            return;
        }
    }
    const json_t *scores = entry(b, "scores", q);
    for (size_t i = 0; i < q->n_continuations; i++) {
        const json_t *value = json_array_get(scores, i);
        if (!json_is_number(value)) {
            backend_fail(r, "the script has no score %zu for '%s'", i, q->id ? q->id : "?");
            return;
        }
        r->scores[i] = json_number_value(value);
    }
    r->state = BACKEND_DONE;
}

static agon_status scripted_submit(agon_ctx *ctx, backend *base, const backend_request *requests,
                                   size_t n, backend_response *responses) {
    return backend_queue_add(ctx, &((scripted *)base)->queue, requests, n, responses);
}

static agon_status scripted_poll(agon_ctx *ctx, backend *base, double timeout_seconds,
                                 size_t *n_pending) {
    (void)ctx;
    (void)timeout_seconds;
    scripted *b = (scripted *)base;
    for (size_t i = 0; i < b->queue.n; i++)
        answer(b, b->queue.items[i].request, b->queue.items[i].response);
    b->queue.n = 0;
    *n_pending = 0;
    return AGON_OK;
}

static void scripted_cancel(backend *base) {
    ((scripted *)base)->queue.n = 0;
}

static void scripted_free(backend *base) {
    scripted *b = (scripted *)base;
    json_decref(b->script);
    free(b->queue.items);
    free(b);
}

static const backend_table table = {scripted_submit, scripted_poll, scripted_cancel, scripted_free};

agon_status backend_scripted_new(agon_ctx *ctx, const json_t *script, backend **out) {
    if (!json_is_object(script))
        return ctx_fail(ctx, AGON_EINVAL, "a script must be a JSON object with \"answers\"");
    scripted *b = memory_new(1, sizeof *b);
    char *name = strdup("scripted");
    if (!b || !name) {
        free(b);
        free(name);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a scripted backend");
    }
    b->base = (backend){&table, name, CAN_GENERATE | CAN_SCORE, true};
    b->script = json_deep_copy(script);
    if (!b->script) {
        backend_free(&b->base);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a script");
    }
    *out = &b->base;
    return AGON_OK;
}

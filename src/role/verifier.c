/* The verifier as a program, see verifier.h. What it says is foreign text: bounded, and never more than words. */
#include "role/verifier.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

bool verifier_is_program(const json_t *task) {
    const char *name = json_string_value(json_object_get(json_object_get(task, "parameters"), "verifier"));
    return name && strcmp(name, TASK_VERIFIER_PROGRAM) == 0;
}

/* ---- what it says ------------------------------------------------------------------------------------- */

/* A member's text up to BACKEND_MOST_EVIDENCE bytes, cut between characters; new, NULL on memory. */
static char *bounded(const json_t *said, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(said, key));
    if (!text || !*text)
        return strdup(otherwise);
    return strndup(text, utf8_cut(text, BACKEND_MOST_EVIDENCE));
}

static bool read_outcome(const json_t *verdict, task_outcome *out) {
    const char *word = json_string_value(verdict);
    if (json_is_true(verdict) || (word && strcmp(word, "pass") == 0))
        *out = OUTCOME_PASS;
    else if (json_is_false(verdict) || (word && strcmp(word, "fail") == 0))
        *out = OUTCOME_FAIL;
    else if (word && strcmp(word, "unknown") == 0)
        *out = OUTCOME_UNKNOWN;
    else
        return false;
    return true;
}

/* The span it cites, where it lies in the answer and holds something. */
static void read_span(const json_t *said, const char *response, task_verdict *v) {
    const json_t *span = json_object_get(said, "span"), *start = json_array_get(span, 0), *end = json_array_get(span, 1);
    json_int_t from = json_integer_value(start), to = json_integer_value(end);
    if (!json_is_integer(start) || !json_is_integer(end) || from < 0 || to <= from || (size_t)to > strlen(response))
        return;
    v->span_start = (size_t)from;
    v->span_end = (size_t)to;
    v->quote = strndup(response + from, (size_t)(to - from));
}

static agon_status read_verdict(agon_ctx *ctx, const backend_response *r, const char *response, task_verdict *out) {
    task_verdict v = {.outcome = OUTCOME_UNKNOWN};
    char why[BACKEND_MOST_EVIDENCE + 100];
    if (r->state != BACKEND_DONE) {
        snprintf(why, sizeof why, "the verifier gave no verdict: %.*s", BACKEND_MOST_EVIDENCE, r->error ? r->error : "no answer");
        v.evidence = strdup(why);
    } else if (!read_outcome(json_object_get(r->extra, "verdict"), &v.outcome)) {
        v.evidence = strdup("the verifier's answer holds no 'verdict' that is pass, fail, unknown, true or false");
    } else {
        v.evidence = bounded(r->extra, "evidence", v.outcome == OUTCOME_PASS ? "is accepted by the verifier"
                                                  : v.outcome == OUTCOME_FAIL ? "is not accepted by the verifier"
                                                                              : "the verifier does not know");
        if (v.outcome == OUTCOME_FAIL) /* its evidence may hold the right answer: what it did not call masked is not */
            v.masked = bounded(r->extra, "masked", "is not accepted by the verifier");
        read_span(r->extra, response, &v);
    }
    if (v.evidence && !v.masked)
        v.masked = strdup(v.evidence);
    if (!v.evidence || !v.masked) {
        task_verdict_free(&v);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a verdict");
    }
    *out = v;
    return AGON_OK;
}

/* ---- asking ------------------------------------------------------------------------------------------- */

typedef struct asked {
    backend_batch batch;
    chat_message (*messages)[2];
} asked;

static agon_status prepare(agon_ctx *ctx, const verifier_item *items, size_t n, asked *q) {
    static const uint64_t seed = 0; /* a verdict is not drawn */
    agon_status s = backend_batch_new(ctx, n, &q->batch);
    q->messages = memory_new(n, sizeof *q->messages);
    if (s || !q->messages)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu verdicts", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *parameters = json_object_get(items[i].task, "parameters");
        const char *query = json_string_value(json_object_get(items[i].task, "text"));
        q->messages[i][0] = (chat_message){"user", query ? query : ""};
        q->messages[i][1] = (chat_message){"assistant", items[i].response};
        q->batch.extras[i] = json_pack("{ss ss sO? sO*}", "query", query ? query : "", "answer", items[i].response, "accepted",
                                 json_object_get(parameters, "answers"), "arguments", json_object_get(parameters, "arguments"));
        if (!q->batch.extras[i])
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for a verdict");
        q->batch.requests[i] = (backend_request){.id = items[i].id,
                                           .role = "verifier",
                                           .messages = q->messages[i],
                                           .n_messages = 2,
                                           .n_samples = 1,
                                           .seeds = &seed,
                                           .sampling = {.top_p = 1, .repetition_penalty = 1},
                                           .extra = q->batch.extras[i]};
    }
    return AGON_OK;
}

agon_status verifier_ask(agon_ctx *ctx, backend *b, const verifier_item *items, size_t n, task_verdict *out) {
    asked q;
    if (n == 0)
        return AGON_OK;
    if (!b)
        return ctx_fail(ctx, AGON_EINVAL, "a query leaves its verdict to a program, and the run file names none; set "
                                          "'verifier: {command: ...}'");
    agon_status s = prepare(ctx, items, n, &q);
    if (!s)
        s = backend_run(ctx, b, q.batch.requests, n, q.batch.responses);
    if (s && s != AGON_EINTERRUPTED)
        s = ctx_prefix(ctx, s, "verifier, request");
    for (size_t i = 0; i < n && !s; i++)
        s = read_verdict(ctx, &q.batch.responses[i], items[i].response, &out[i]);
    free(q.messages);
    backend_batch_free(&q.batch);
    return s;
}

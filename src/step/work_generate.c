/* Work "generate": messages and a version to sampled answers.
 *
 * input  {"id"?, "role", "messages": [{"role", "content"}], "version", "samples", "temperature", "top_p", "max_tokens"}
 * output {"completions": [{"text", "n_tokens", "log_prob", "finish"}], "n_prompt"}, or {"error": sentence} for a request that
 *        failed alone; when the backend is down (backend_run) nothing is recorded.
 * Sample k's seed follows from the item's seed and k, so an answer does not depend on what else is asked. */
#include "base/ctx.h"
#include "base/random.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

json_t *generate_input(const char *id, const char *prompt, const char *version, size_t samples, size_t max_tokens,
                       double temperature, double top_p) {
    return json_pack("{ss ss s[{ss ss}] ss sI sf sf sI}", "id", id, "role", "learner", "messages", "role", "user", "content",
                     prompt, "version", version, "samples", (json_int_t)samples, "temperature", temperature, "top_p", top_p,
                     "max_tokens", (json_int_t)max_tokens);
}

json_t *generate_greedy(const char *id, const char *prompt, const char *version, size_t max_tokens) {
    return generate_input(id, prompt, version, 1, max_tokens, 0, 1);
}

enum { CHUNK = 64, MAX_MESSAGES = 32 };

typedef struct asked {
    backend_request *requests;
    backend_response *responses;
    chat_message *messages; /* [n, MAX_MESSAGES] */
    uint64_t *seeds;        /* all samples */
    char (*ids)[24];
    size_t n;
} asked;

static void asked_free(asked *q) {
    for (size_t i = 0; q->responses && i < q->n; i++)
        backend_response_free(&q->responses[i]);
    free(q->requests);
    free(q->responses);
    free(q->messages);
    free(q->seeds);
    free(q->ids);
}

static agon_status read_input(actors *a, const json_t *input, uint64_t seed, asked *q, size_t i, size_t *at) {
    json_t *message, *list = json_object_get(input, "messages");
    size_t k, n_samples = (size_t)field_int(input, "samples");
    backend_request *r = &q->requests[i];
    if (json_array_size(list) > MAX_MESSAGES)
        return ctx_fail(a->ctx, AGON_EINVAL, "a request has more than %d messages", MAX_MESSAGES);
    json_array_foreach(list, k, message)
        q->messages[i * MAX_MESSAGES + k] = (chat_message){field_text(message, "role"), field_text(message, "content")};
    /* Never the place in the chunk: scripts and programs answer by id, and chunks are cut anew after an interruption. */
    snprintf(q->ids[i], sizeof q->ids[i], "%016llx", (unsigned long long)seed);
    *r = (backend_request){.id = *field_text(input, "id") ? field_text(input, "id") : q->ids[i],
                           .role = field_text(input, "role"),
                           .messages = &q->messages[i * MAX_MESSAGES],
                           .n_messages = json_array_size(list),
                           .n_samples = n_samples,
                           .seeds = q->seeds + *at,
                           .sampling = sampling_default()};
    r->sampling.temperature = (float)field_real(input, "temperature");
    r->sampling.top_p = (float)field_real(input, "top_p");
    r->sampling.max_tokens = (size_t)field_int(input, "max_tokens");
    for (k = 0; k < n_samples; k++)
        q->seeds[(*at)++] = seed_derivef(seed, "sample|%zu", k);
    return actors_adapter(a, field_text(input, "version"), &r->adapter);
}

static json_t *completion_json(const backend_completion *c, size_t max_tokens) {
    size_t n = backend_text_length(c, max_tokens);
    double log_prob = 0;
    for (size_t i = 0; c->log_probs && i < c->n_tokens; i++)
        log_prob += (double)c->log_probs[i];
    return json_pack("{ss% sI so ss}", "text", c->text, n, "n_tokens", (json_int_t)c->n_tokens, "log_prob",
                     c->log_probs ? json_real(log_prob) : json_null(), "finish",
                     c->finish == FINISH_STOP && !c->text[n] ? "stop" : "length");
}

static agon_status write_output(actors *a, const backend_response *r, size_t max_tokens, json_t **out) {
    if (r->state != BACKEND_DONE) {
        *out = json_pack("{ss}", "error", r->error ? r->error : "no answer");
        return json_made(a->ctx, *out);
    }
    json_t *list = json_array();
    for (size_t k = 0; k < r->n_completions; k++)
        json_array_append_new(list, completion_json(&r->completions[k], max_tokens));
    *out = json_array_size(list) == r->n_completions
               ? json_pack("{so sI}", "completions", list, "n_prompt", (json_int_t)r->n_prompt_tokens)
               : NULL;
    return json_made(a->ctx, *out);
}

/* All requests of a chunk go to one backend: a path never mixes roles. */
static agon_status execute(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    size_t n_samples = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        n_samples += (size_t)field_int(inputs[i], "samples");
    asked q = {.requests = memory_new(n, sizeof *q.requests),
               .responses = memory_new(n, sizeof *q.responses),
               .messages = memory_new(size_mul(n, MAX_MESSAGES), sizeof *q.messages),
               .seeds = memory_new(n_samples ? n_samples : 1, sizeof *q.seeds),
               .ids = memory_new(n, sizeof *q.ids),
               .n = n};
    agon_status s = q.requests && q.responses && q.messages && q.seeds && q.ids
                        ? AGON_OK
                        : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %zu requests", n);
    for (size_t i = 0; i < n && !s; i++)
        s = read_input(a, inputs[i], seeds[i], &q, i, &at);
    if (!s)
        s = backend_run(a->ctx, actors_backend(a, field_text(inputs[0], "role")), q.requests, n, q.responses);
    if (s && s != AGON_EINTERRUPTED)
        s = ctx_prefix(a->ctx, s, "%s, request", field_text(inputs[0], "role"));
    for (size_t i = 0; i < n && !s; i++)
        s = write_output(a, &q.responses[i], q.requests[i].sampling.max_tokens, &outs[i]);
    asked_free(&q);
    return s;
}

static bool reproducible(const actors *a, const json_t *input) {
    return backend_reproducible(actors_backend(a, field_text(input, "role")));
}

const work_kind work_generate = {"generate", "queries", CHUNK, false, execute, reproducible};

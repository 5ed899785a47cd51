/* What backends share: the struct of functions behind backend.h, and ways to fill a response. */
#ifndef ROLE_BACKEND_PRIVATE_H
#define ROLE_BACKEND_PRIVATE_H

#include "role/backend.h"

/* A backend embeds this first. Its queue holds (request, response) pairs borrowed from the
 * submitter. */
typedef struct backend_table {
    /* Queues; responses are zero and pending. On failure nothing is queued. */
    agon_status (*submit)(agon_ctx *ctx, backend *b, const backend_request *requests, size_t n,
                          backend_response *responses);
    agon_status (*poll)(agon_ctx *ctx, backend *b, double timeout_seconds, size_t *n_pending);
    void (*cancel)(backend *b); /* forgets all that is queued or under way */
    void (*free)(backend *b);
} backend_table;

struct backend {
    const backend_table *table;
    char *name;
    unsigned capabilities;
    bool reproducible;
};

/* A queue of pairs, for backends that work through one. */
typedef struct backend_item {
    const backend_request *request;
    backend_response *response;
} backend_item;

typedef struct backend_queue {
    backend_item *items; /* [n] */
    size_t n, capacity;
} backend_queue;
AGON_MUST_CHECK agon_status backend_queue_add(agon_ctx *ctx, backend_queue *q,
                                              const backend_request *requests, size_t n,
                                              backend_response *responses);

/* Marks the response failed with one sentence; what it held is freed. */
void backend_fail(backend_response *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for n completions and m scores in an empty response; false: no memory (the response is then
 * failed). */
bool backend_make_room(backend_response *r, size_t n_completions, size_t n_scores);
/* An answer of an OpenAI-compatible server into completion `sample` of the response, whose counts grow. False: it is none. */
bool backend_read_chat(const char *answer, size_t n, backend_response *r, size_t sample);
/* A command's answer to the request into an empty response: completions, or what it says in their place; or why it is none. */
void backend_read_line(const backend_request *q, json_t *answer, backend_response *r);
/* A seed as a JSON integer that every language reads exactly: its low 53 bits. */
json_t *backend_seed_json(uint64_t seed);
/* [{"role", "content"}, ...], new, NULL on memory. */
json_t *backend_messages_json(const backend_request *r);

#endif

/* The language-model backend (waist 3): whoever answers for a role.
 *
 * One file a backend, one struct of functions. `submit` queues requests, `poll` says what became of
 * them; backend_run is both for callers that wait. Backends: local (the engine: one base, an
 * adapter a request, all requests of a poll in one batch), remote (any OpenAI-compatible server),
 * command (a user's program over pipes), scripted (tests). Humans answer through the store's inbox
 * instead: they may take days (step/collect_reviews). */
#ifndef ROLE_BACKEND_H
#define ROLE_BACKEND_H

#include "base/json.h"
#include "generate/generate.h"

typedef struct backend backend;

enum backend_capability {
    CAN_GENERATE = 1,
    CAN_SCORE = 2,
    IS_REMOTE = 16, /* another model, maybe of another family, behind a server */
    IN_PROCESS = 8 /* computes here: a request fails by its own fault, never because a server is down */
};

typedef struct backend_request {
    const char *id;   /* item id: names the request in errors, scripts and programs' input */
    const char *role; /* attacker, learner, critic */
    const chat_message *messages;
    size_t n_messages;
    const char *prompt;    /* raw text instead of messages; NULL: messages */
    size_t n_samples;      /* completions wanted; 0: only scores */
    const uint64_t *seeds; /* [n_samples] */
    sampling sampling;
    const adapter *adapter;           /* local: NULL is the base */
    const char *const *continuations; /* [n_continuations] texts to score after the prompt */
    size_t n_continuations;
    const json_t *extra; /* command: sent along as "data"; NULL none */
} backend_request;

typedef struct backend_completion {
    char *text;       /* NUL-terminated UTF-8 (invalid bytes replaced) */
    size_t n_tokens;  /* 0 when the backend does not say */
    int32_t *tokens;  /* local: [n_tokens], else NULL */
    float *log_probs; /* local: [n_tokens], else NULL */
    finish_reason finish;
} backend_completion;

/* A program or server may answer with a megabyte although few tokens were asked for, and count them as it likes. */
enum { BACKEND_BYTES_A_TOKEN = 64, BACKEND_MOST_TOKENS = 1000000000, BACKEND_MOST_EVIDENCE = 1000 /* bytes */ };
/* Bytes of a completion that count: of another's, what is over `max_tokens` goes, at a character's boundary. */
size_t backend_text_length(const backend_completion *c, size_t max_tokens);
/* A count of tokens that somebody else gave, within what a sum of them can hold; 0 for none. */
size_t backend_token_count(const json_t *n);

typedef enum backend_state { BACKEND_PENDING, BACKEND_DONE, BACKEND_FAILED } backend_state;

typedef struct backend_response {
    backend_state state;
    char *error;                     /* failed: one sentence */
    bool own_fault;                  /* failed: this request was refused or answered badly; others may fare better */
    backend_completion *completions; /* [n_completions] */
    size_t n_completions;
    double *scores; /* [n_continuations] summed log_prob, nats */
    size_t n_scores;
    size_t n_prompt_tokens, n_completion_tokens;
    json_t *extra; /* command: further members of its answer (verdict, evidence), NULL none */
} backend_response;
void backend_response_free(backend_response *r);

unsigned backend_capabilities(const backend *b);
/* Same request, same answer, bit for bit: verify may re-execute it. */
bool backend_reproducible(const backend *b);
const char *
backend_name(const backend *b); /* "local", "remote https://...", for records; no secrets */

/* Queues n requests, borrowed until they are done; responses [n] is written as answers come. */
AGON_MUST_CHECK agon_status backend_submit(agon_ctx *ctx, backend *b,
                                           const backend_request *requests, size_t n,
                                           backend_response *responses);
/* Works or waits up to timeout_seconds; *n_pending how many are not done. */
AGON_MUST_CHECK agon_status backend_poll(agon_ctx *ctx, backend *b, double timeout_seconds,
                                         size_t *n_pending);
/* Requests, their answers and the members they carry beside their messages: what a role that asks many at once owns. What else they borrow
 * is the role's. _free also after a failure of _new. */
typedef struct backend_batch {
    backend_request *requests;
    backend_response *responses;
    json_t **extras;
    size_t n;
} backend_batch;
AGON_MUST_CHECK agon_status backend_batch_new(agon_ctx *ctx, size_t n, backend_batch *out);
void backend_batch_free(backend_batch *b);
/* submit and poll until all are done or failed. A failed request is no failure of the call unless
 * all failed: AGON_EREMOTE with the first one's sentence. (One to three that all failed by their own
 * fault stay failed requests: were they the last ones left, running again would never go on.) On any
 * failure all responses are freed. */
AGON_MUST_CHECK agon_status backend_run(agon_ctx *ctx, backend *b, const backend_request *requests,
                                        size_t n, backend_response *responses);
void backend_free(backend *b);

/* ---- constructors, one file each ------------------------------------------------ */

/* m borrowed for the backend's life. Scores are worked through in batches of at most this many tokens and one request. */
enum { BACKEND_SCORE_TOKENS = 4096 };
AGON_MUST_CHECK agon_status backend_local_new(agon_ctx *ctx, const model *m, size_t max_batch,
                                              backend **out);

typedef struct backend_remote_options {
    const char *url;     /* base, ".../v1" */
    const char *model;   /* name sent */
    const char *key_env; /* environment variable with the key; NULL: no key */
    double timeout_seconds;
    int64_t per_minute;     /* 0: no limit */
    int max_retries;        /* 0: 5; negative: none */
    int max_parallel;       /* 0: 4 */
    double backoff_seconds; /* wait before the first retry, doubled each time; 0: 0.5 */
} backend_remote_options;
AGON_MUST_CHECK agon_status backend_remote_new(agon_ctx *ctx, const backend_remote_options *options,
                                               backend **out);

/* command: run through /bin/sh -c in a process group of its own, started at the first request; one
 * JSON line in, one out, per request (see backend_command.c). */
AGON_MUST_CHECK agon_status backend_command_new(agon_ctx *ctx, const char *command,
                                                double timeout_seconds, backend **out);

/* What a command backend went through so far; all zero for other backends. */
typedef struct backend_command_report {
    size_t n_bad_lines; /* lines on its output that were no answer */
    size_t n_starts;
    char last_words[1024]; /* end of what it wrote to its standard error */
} backend_command_report;
void backend_command_get_report(const backend *b, backend_command_report *out);

/* Who answers for a role, as files of runs and experiments say it; texts that were not given are NULL. */
typedef struct backend_config {
    char *backend;      /* local | remote | command | scripted */
    char *url;          /* remote: base URL of an OpenAI-compatible server */
    char *name;         /* remote: model name sent to it */
    char *key_env;      /* remote: environment variable that holds the key */
    char *command;      /* command: program and arguments */
    char *script;       /* scripted: JSON file of answers */
    double timeout;     /* seconds */
    int64_t per_minute; /* remote: requests a minute at most, 0 no limit */
} backend_config;
/* AGON_EINVAL: no such backend, or something that it needs is missing; the sentence begins with the role. */
AGON_MUST_CHECK agon_status backend_config_check(agon_ctx *ctx, const char *role, const backend_config *c);
/* Checks and opens it. m: of a local one, borrowed for the backend's life. */
AGON_MUST_CHECK agon_status backend_open(agon_ctx *ctx, const char *role, const backend_config *c, const model *m, backend **out);

/* Answers of an id serve its samples in turn, from the first again when they run out. "role:id" is
 * looked up before id. script: {"answers": {id: [text, ...]}, "scores": {id: [..]}, "default":
 * text?}. */
AGON_MUST_CHECK agon_status backend_scripted_new(agon_ctx *ctx, const json_t *script,
                                                 backend **out);

#endif

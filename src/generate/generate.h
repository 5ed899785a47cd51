/* Sampling with continuous batching and prefix sharing.
 *
 * Tokens of a sample depend on its prompt, its seed and its sampling options only: the uniform drawn at
 * position p is a function of (seed, p). log_prob is of log-softmax(logits / temperature), before
 * truncation and penalties, and equals the training forward's bit for bit. */
#ifndef GENERATE_GENERATE_H
#define GENERATE_GENERATE_H

#include "model/model.h"

typedef struct sampling {
    float temperature; /* 0: greedy (log_probs then at temperature 1) */
    int32_t top_k;     /* 0: off */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    float repetition_penalty;              /* 1: off */
    float frequency_penalty, presence_penalty; /* 0: off */
    size_t max_tokens;
    const char *const *stop; /* the answer ends before the first of these strings */
    size_t n_stop;
    bool ignore_stop_tokens; /* benchmarks: run to max_tokens */
} sampling;

sampling sampling_default(void); /* temperature 1, nothing cut, 256 tokens */

typedef struct generate_request {
    const int32_t *prompt; /* [n_prompt], n_prompt >= 1 */
    size_t n_prompt;
    size_t n_samples;
    const uint64_t *seeds; /* [n_samples] */
    const adapter *adapter; /* NULL: the base */
    sampling sampling;
    /* Allowed first tokens and so on are for later; see docs/architecture.md. */
} generate_request;

typedef enum finish_reason { FINISH_STOP, FINISH_LENGTH } finish_reason;

typedef struct completion {
    int32_t *tokens;  /* [n_tokens], the stop token included when the model produced one */
    float *log_probs; /* [n_tokens] */
    size_t n_tokens;
    char *text; /* without special tokens and stop string; n_text bytes */
    size_t n_text;
    finish_reason finish;
} completion;
void completion_free(completion *c);

typedef struct generate_options {
    size_t max_batch;          /* rows a decode step at most; 0: 64 */
    size_t cache_limit_bytes;  /* 0: 1 GiB */
    /* Called on the caller's thread for each new token: request, sample, token id; NULL none. Non-zero stops with
     * AGON_EINTERRUPTED. */
    int (*on_token)(void *arg, size_t request, size_t sample, int32_t token);
    /* Called when a sample is complete, in completion order. */
    void (*on_done)(void *arg, size_t request, size_t sample);
    void *arg;
} generate_options;

/* out[sum of n_samples], request after request; each completion new (completion_free). On failure all of out is zero. A
 * prompt longer than the context is AGON_EINVAL; a sample that reaches the context's end finishes with FINISH_LENGTH.
 * AGON_EINTERRUPTED after agon_interrupt. */
AGON_MUST_CHECK agon_status generate(agon_ctx *ctx, const model *m, const generate_request *requests,
                                     size_t n_requests, const generate_options *options,
                                     completion *out);

#endif

/* Sampling with continuous batching and prefix sharing.
 *
 * Tokens of a sample depend on its prompt, its seed and its sampling options only: the uniform drawn at
 * position p is a function of (seed, p). log_prob is of log-softmax(logits / temperature), before
 * truncation and penalties, and equals the training forward's bit for bit. */
#ifndef GENERATE_GENERATE_H
#define GENERATE_GENERATE_H

#include "model/model.h"

typedef struct sampling {
    float temperature; /* 0: greedy (log_probs then at temperature 1); else LEAST_TEMPERATURE to 100 */
    int32_t top_k;     /* 0: off */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    float repetition_penalty;              /* 1: off */
    float frequency_penalty, presence_penalty; /* 0: off */
    const agon_logit_bias *biases; /* [n_biases] before the penalties; several for one token add up */
    size_t n_biases;
    const int32_t *allowed; /* [n_allowed] no other token is written, stop tokens included; n_allowed 0: any */
    size_t n_allowed;
    size_t max_tokens;
    const char *const *stop; /* the answer ends before the first of these strings, none of them empty */
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
    size_t cache_limit_bytes;  /* 0: 1 GiB, or what the longest prompt and answer take */
    /* Called on the caller's thread for each new token: request, sample, token id, its bytes (none for a special token); NULL
     * none. Non-zero stops with AGON_EINTERRUPTED. */
    int (*on_token)(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes);
    /* Called on the caller's thread before each token of a sample: sets may_follow[i] [n_vocabulary], all 1, to 0 for what may not
     * come after tokens [n_tokens] of its answer. What `allowed` leaves out stays out. Must depend on nothing else. NULL none. */
    void (*mask)(void *arg, size_t request, size_t sample, const int32_t *tokens, size_t n_tokens, uint8_t *may_follow,
                 size_t n_vocabulary);
    /* Called when a sample is complete, in completion order. */
    void (*on_done)(void *arg, size_t request, size_t sample);
    void *arg;
    bool keep_partial; /* what an interruption leaves half written stays in `out`, to be freed */
} generate_options;

/* out[sum of n_samples], request after request; each completion new (completion_free). On failure all of out is zero, but see keep_partial. A
 * prompt longer than the context is AGON_EINVAL; a sample that reaches the context's end finishes with FINISH_LENGTH.
 * AGON_EINVAL too where no token is allowed. AGON_EINTERRUPTED after agon_interrupt. */
AGON_MUST_CHECK agon_status generate(agon_ctx *ctx, const model *m, const generate_request *requests,
                                     size_t n_requests, const generate_options *options,
                                     completion *out);

/* What `generate` will add to the process's memory at its peak with default options, in bytes: `requests` of `prompt` tokens with `samples`
 * answers of `answer` tokens each, under adapters of at most `rank`. */
typedef struct generate_load {
    size_t requests, samples, prompt, answer, rank;
} generate_load;
typedef struct generate_memory {
    size_t least; /* with less it refuses: the cache of one answer at a time */
    size_t most;  /* what it takes where `room` bytes are there: the batch shrinks to fit */
} generate_memory;
generate_memory generate_predict(const agon_ctx *ctx, const model *m, const generate_load *load, size_t room);

#endif

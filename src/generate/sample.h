/* One token from one row of logits. */
#ifndef GENERATE_SAMPLE_H
#define GENERATE_SAMPLE_H

#include "generate/generate.h"

typedef struct sample_input {
    const float *logits; /* [n_vocabulary] not divided by the temperature */
    size_t n_vocabulary;
    const sampling *options;
    const int32_t *prompt; /* what penalties look at */
    size_t n_prompt;
    const int32_t *generated;
    const uint8_t *may_follow; /* [n_vocabulary] 0: must not be chosen; NULL: as the options say */
    size_t n_generated; /* also the position of the uniform in the seed's stream */
    uint64_t seed;
} sample_input;

typedef struct sample_choice {
    int32_t token; /* -1: none is allowed */
    float log_prob;
} sample_choice;

/* Bytes of scratch one call needs. */
size_t sample_scratch_bytes(size_t n_vocabulary);
/* A pure function of its input; `scratch` is overwritten. Safe inside a pool task. */
sample_choice sample_token(agon_ctx *ctx, const sample_input *in, void *scratch);
/* AGON_EINVAL names the option and its range, or a token outside the vocabulary. */
AGON_MUST_CHECK agon_status sampling_check(agon_ctx *ctx, size_t n_vocabulary, const sampling *s);

#endif

/* Label noise on purpose, at a stated rate and reproducible: what methods against noise are measured on (spec: training 5).
 * The caller keeps the true label beside the noisy one and never shows it to the learner. */
#ifndef TRAIN_NOISE_H
#define TRAIN_NOISE_H

#include "agon.h"

/* Response level: flipped[i] when the i-th uniform of the stream is below `rate` (V:noise.injection). A flipped pair is
 * swapped, a flipped label reversed, a flipped answer replaced by another item's. */
void noise_flips(uint64_t seed, double rate, size_t n, bool *flipped);
/* Token level: each token with probability `rate` becomes any other of the vocabulary alike. replaced [n]. */
void noise_tokens(uint64_t seed, double rate, size_t vocabulary, int32_t *tokens, size_t n, bool *replaced);
/* Span level: at each token a span starts with probability `rate`; it grows by one with probability `grow` up to `most`
 * tokens, all of them replaced. */
void noise_spans(uint64_t seed, double rate, double grow, size_t most, size_t vocabulary, int32_t *tokens, size_t n,
                 bool *replaced);

/* Noise with the error rates of a weak supervisor but none of its reasons: the weak labels of each true class are
 * shuffled among the items of that class, so every class-conditional count stays. What a student loses against this
 * shows what the supervisor's errors teach. labels, truth [n] in [0, k); out [n]. AGON_EINVAL, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status noise_matched(agon_ctx *ctx, uint64_t seed, const int *labels, const int *truth, size_t n,
                                          size_t k, int *out);

#endif

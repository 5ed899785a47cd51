/* The generation-verification gap (Song et al. 2024, 2412.02674; spec: loop 5.8): what the mean utility of a model's answers gains when they are weighed by a
 * verifier's word. Of a prompt's answers those whose score reaches a threshold are kept, evenly; where none does all are. Beside it the measures of the verifier. */
#ifndef EVAL_GV_GAP_H
#define EVAL_GV_GAP_H

#include "agon.h"
#include "eval/paired.h"

/* One prompt's mean utility over its answers, and over those that are kept. */
typedef struct gv_prompt {
    double before, after;
    size_t n_kept;
} gv_prompt;

/* utility, score [n], n >= 1: of one prompt's answers. Kept is a score of at least tau, never NAN (the verifier said nothing); tau -INFINITY: no threshold, all are. */
gv_prompt gv_reweight(const double *utility, const double *score, size_t n, double tau);

typedef struct gv_gap {
    size_t n, n_unchanged; /* prompts; those of which no answer was kept */
    size_t n_relative;     /* prompts with utility to gain */
    /* Means over prompts with 95% percentile intervals, prompts drawn again. `relative` is the gap over what could be gained in all, `relative_per_prompt` the mean of
     * each prompt's own such share; NAN where nothing can be gained. */
    bootstrap_result before, after, gap, relative, relative_per_prompt;
} gv_gap;

/* V:gv_gap. prompts [n], utilities at most 1. AGON_EINVAL: n = 0 or draws = 0; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status gv_gap_of(agon_ctx *ctx, const gv_prompt *prompts, size_t n, size_t draws, uint64_t seed, gv_gap *out);

/* The threshold with the largest gap on these prompts, *gap: one of the scores, or -INFINITY where none gains. Of several equally good ones the lowest, which keeps
 * most. utility, score [n_prompts, n_samples]. O(n log n) of all answers. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status gv_threshold(agon_ctx *ctx, const double *utility, const double *score, size_t n_prompts, size_t n_samples, double *tau, double *gap);

/* Mean utility of the best-scored answers of a prompt, ties evenly; of all where no score is a number. */
double gv_best_scored(const double *utility, const double *score, size_t n);

#endif

/* Has a version collapsed? Its sampled answers against another version's, on the same prompts (loop section 6).
 *
 * Words are compared at equal numbers: of each pair of answers, sample for sample, the longer is cut to the words of the shorter. Intervals are percentile
 * bootstraps over prompts, of a ratio of sums over them. */
#ifndef EVAL_COLLAPSE_MONITOR_H
#define EVAL_COLLAPSE_MONITOR_H

#include "agon.h"
#include "eval/interval.h"

typedef enum collapse_level { COLLAPSE_GREEN, COLLAPSE_YELLOW, COLLAPSE_RED } collapse_level;
const char *collapse_level_name(collapse_level level); /* static */

/* A drop of more than that, by the lower end of its interval, is yellow, red. */
extern const double COLLAPSE_DROP_YELLOW, COLLAPSE_DROP_RED, COLLAPSE_PASS_RED;

/* Answers of one version: prompt by prompt, each with its samples. */
typedef struct sampled_answers {
    const char *const *texts; /* [n_prompts * n_samples] */
    const double *log_probs;  /* of each, in nats; one NAN: predictive entropy is undefined. NULL: all */
    const double *n_tokens;   /* of each */
    size_t n_prompts, n_samples;
} sampled_answers;

enum { COLLAPSE_MEASURES = 10 };

typedef struct collapse_measure {
    const char *name; /* static */
    double before, now, drop; /* NAN undefined; drop: 1 - now / before */
    interval range;           /* of the drop, 95 %; NAN where none is made */
    double p;                 /* of H0 "no drop", one-sided, by the same draws; NAN likewise */
    bool decides;             /* else it is only shown */
    collapse_level level;
} collapse_measure;

typedef struct collapse_comparison {
    size_t n_words; /* compared, of each version */
    collapse_measure measures[COLLAPSE_MEASURES];
    size_t worst; /* of those that decide: the highest level, of equal ones the largest drop */
} collapse_comparison;

/* AGON_EINVAL: nothing to compare, or of different shapes. */
AGON_MUST_CHECK agon_status collapse_compare(agon_ctx *ctx, const sampled_answers *now, const sampled_answers *before, size_t draws, uint64_t seed,
                                             collapse_comparison *out);

/* Answers to prompts that can be verified: passed [n_prompts], of n_samples each. */
typedef struct pass_change {
    double before, now;
    interval gain; /* 95 %, paired bootstrap over prompts */
    double p_up, p_down; /* one-sided, by the same draws */
} pass_change;

typedef struct pass_comparison {
    size_t n_prompts, k;
    pass_change one, all; /* pass@1; pass@k with k = n_samples */
    collapse_level level; /* red: pass@k is lower by COLLAPSE_PASS_RED or more, and the interval is below 0 */
} pass_comparison;
AGON_MUST_CHECK agon_status pass_compare(agon_ctx *ctx, const size_t *now, const size_t *before, size_t n_prompts, size_t n_samples, size_t draws,
                                         uint64_t seed, pass_comparison *out);

/* The reversal test: pass@1 has risen (p < 0.05) while pass@k or a measure that decides has fallen (Holm over them, 0.05). *what: the first that fell,
 * static; NULL: no reversal. */
AGON_MUST_CHECK agon_status collapse_reversal(agon_ctx *ctx, const pass_comparison *pass, const collapse_comparison *words, const char **what);

#endif

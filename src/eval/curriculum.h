/* Which cells to aim at, and what attacks and critiques achieved (spec: loop 2.8, 2.11, 3.6). */
#ifndef EVAL_CURRICULUM_H
#define EVAL_CURRICULUM_H

#include "agon.h"
#include "eval/paired.h"

/* Beta(1,1) posterior mean of the solve rate from s solved of n, and its weight m(1-m)
 * (V:curriculum). */
double curriculum_mean(size_t s, size_t n);
double curriculum_weight(size_t s, size_t n);
/* Probabilities of n_cells cells proportional to the weights, a share `floor` of it uniform (0:
 * none, as in the vector; the loop takes 0.1). */
void curriculum_probabilities(const size_t *solved, const size_t *tried, size_t n_cells,
                              double floor, double *out);
/* The cell that uniform u in [0, 1) draws. */
size_t curriculum_draw(const double *probability, size_t n_cells, double u);

typedef struct attack_rate {
    double per_sample;         /* mean over attacks of the share of successful samples */
    double any;                /* share of attacks with at least one success among their samples */
    interval per_sample_range; /* cluster bootstrap over attacks */
    interval any_range;        /* Clopper-Pearson */
} attack_rate;
/* success [n_attacks, k] (V:asr_two_level). AGON_EINVAL: nothing to count. */
AGON_MUST_CHECK agon_status attack_rate_two_level(agon_ctx *ctx, const bool *success,
                                                  size_t n_attacks, size_t k, size_t draws,
                                                  uint64_t seed, double alpha, attack_rate *out);

typedef struct critic_uplift {
    double uplift;        /* after - before */
    double net;           /* after - placebo */
    interval net_range;   /* paired bootstrap over items */
    size_t fixed, broken; /* wrong before and right after, and the other way round */
} critic_uplift;
/* Verified score in [0, 1] of n items before, after critique-guided refinement, and after
 * refinement with the critique of another item (V:critic_uplift). A score counts as right when it
 * is at least 0.5. */
AGON_MUST_CHECK agon_status critic_uplift_measure(agon_ctx *ctx, const double *before,
                                                  const double *after, const double *placebo,
                                                  size_t n, size_t draws, uint64_t seed,
                                                  double alpha, critic_uplift *out);

#endif

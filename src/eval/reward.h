/* What is done with rewards after a reward model: scales, ensembles, scores of solutions from their steps, and how far
 * optimising a proxy helps (spec: training 2). */
#ifndef EVAL_REWARD_H
#define EVAL_REWARD_H

#include "model/reward_scale.h"

typedef enum ensemble_rule {
    ENSEMBLE_MEAN,
    ENSEMBLE_WORST,      /* WCO: the least */
    ENSEMBLE_UNCERTAIN,  /* UWO: mean - strength * variance (Coste et al. 2023, 2310.02743, eq. 5) */
    ENSEMBLE_LOWER_BOUND /* LCB: mean - strength * std (1/k) */
} ensemble_rule;
/* One reward an item from rewards [k, n], k members; out [n]. `unbiased`: UWO's variance with 1/(k-1), as the paper's
 * PPO code has it; its best-of-n code and eq. 5 have 1/k (V:rm.ensemble). */
void ensemble_rewards(const double *rewards, size_t k, size_t n, ensemble_rule rule, double strength, bool unbiased,
                      double *out);

#define ENSEMBLE_MOST_STRENGTH 1e6
/* "mean", "wco", "uwo", "lcb" (NULL: mean); AGON_EINVAL names them, or refuses a strength (0 or more) of a rule that has none, and one that is no number. */
AGON_MUST_CHECK agon_status ensemble_rule_find(agon_ctx *ctx, const char *name, double strength, ensemble_rule *out);
/* The strength meant by a negative one: 0.5 for UWO (Coste et al.'s best-of-n), 1 for LCB. */
double ensemble_strength(ensemble_rule rule, double strength);
/* The members' std (1/k) of rewards [k, n] about item i, and its mean over the items. */
double ensemble_deviation(const double *rewards, size_t k, size_t n, size_t i);
double ensemble_disagreement(const double *rewards, size_t k, size_t n);
/* How alike the members err: mean over pairs of them of the correlation of their rewards [k, n] over the items; with `right` [n], what is known to be
 * right, of what is left of a reward after the mean of its class. Near 1 a second member adds nothing. NAN: fewer than two
 * members, or one whose rewards are all alike. */
double ensemble_correlation(const double *rewards, size_t k, size_t n, const bool *right);

typedef enum process_rule { PROCESS_PRODUCT, PROCESS_LEAST, PROCESS_LAST } process_rule;
/* Score of a solution from the probabilities that its steps are right, [n], n >= 1: product (Lightman et al.), least
 * (Math-Shepherd) or last (V:rm.process). */
double process_score(const double *probability, size_t n, process_rule rule);
/* Label of a step from its roll-outs: share that ended right, or 1 when any did. */
double rollout_label(const bool *correct, size_t n, bool hard);

/* KL of best-of-n from the policy it samples, ln n - (n-1)/n. */
double best_of_n_kl(double n);
/* Gold reward at d = sqrt(KL): d (a - b d) for best-of-n, d (a - b ln d) for reinforcement learning (Gao et al. 2022,
 * 2210.10760, eq. 1 and 2); where it peaks, and its least-squares fit to n points (V:rm.overoptimisation). */
typedef struct overoptimisation {
    double a, b;
    bool best_of_n;
} overoptimisation;
double overoptimisation_reward(const overoptimisation *c, double d);
/* d of the peak; infinity where b <= 0: more optimisation only helps. */
double overoptimisation_peak(const overoptimisation *c);
/* AGON_EINVAL: fewer than two distinct d > 0. */
AGON_MUST_CHECK agon_status overoptimisation_fit(agon_ctx *ctx, const double *d, const double *gold, size_t n,
                                                 bool best_of_n, overoptimisation *out);

#endif

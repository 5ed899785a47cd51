/* Policy-gradient pieces (training.md section 3), and the group family (grpo, gspo, rloo): one loop over responses that are
 * compared inside their group. */
#ifndef OBJECTIVE_POLICY_H
#define OBJECTIVE_POLICY_H

#include "objective/common.h"

/* A log-ratio is held within +-20 before it is exponentiated, with no gradient beyond. */
enum { MAX_LOG_RATIO = 20 };

typedef struct clipped_term {
    double loss, d; /* d loss / d log_ratio */
    double ratio;
    bool clipped;
} clipped_term;

/* max(-A*r, -A*clip(r, 1-low, 1+high)), r = exp(log_ratio); where the clipped branch is the larger, no
 * gradient flows (Schulman et al. 2017, arXiv 1707.06347, eq. 7). */
clipped_term clipped_surrogate(double log_ratio, double advantage, double low, double high);

/* Adaptive KL coefficient after an update of n episodes whose mean sequence KL was `kl` (Ziegler et al. 2019, arXiv
 * 1909.08593, section 2.2): beta *= 1 + clip(kl/target - 1, -0.2, 0.2) * min(n / horizon, 1).
 * The source clips the error so that one update moves beta by a fifth at most; it never has more episodes than its horizon.
 * With more, the line would go on to factors of 0 and below: a horizon under n is read as n, and the factor stays within
 * [0.8, 1.2]. What is multiplied so over many updates may still fade to 0, where the tie to the reference would be gone for
 * good: below LEAST_BETA it falls no further. */
#define LEAST_BETA 1e-6
double adaptive_kl(double beta, double kl, double target, double n, double horizon);

/* Schulman's k3 = exp(-d) - 1 + d of d = log_prob - reference, and its derivative. */
double k3(double d, double *derivative);

/* True when all rewards of the group are the same number: then there is nothing to compare. */
bool rewards_equal(const row *g);
bool all_advantages_given(const row *g);
/* A group's rewards: their mean, and their unbiased std plus 1e-4. */
typedef struct group_scale {
    double mean, divisor;
    bool given; /* an advantage came with every response: the rest is not set */
    bool equal;
} group_scale;
/* AGON_EINVAL names row i: a reward is missing, or one response alone has nothing to be compared with. */
AGON_MUST_CHECK agon_status group_statistics(agon_ctx *ctx, const row *g, size_t i, group_scale *out);
/* Reward less the mean, over the divisor when `scaled`; exactly 0 where all rewards are equal. */
double group_advantage(const group_scale *a, const response *r, bool scaled);

/* What old is when a rollout does not say: the policy itself, as a constant. */
static inline double old_log_prob(const response *r, size_t t) {
    return r->old ? r->old[t] : r->log_prob[t];
}

/* Sums over tokens for the metrics every policy-gradient method reports. */
typedef struct policy_metrics {
    double tokens, clipped, approximate_kl, reference_kl, sequences, max_ratio;
} policy_metrics;
void policy_metrics_token(policy_metrics *m, const response *r, size_t t, const clipped_term *term);
void policy_metrics_add(const policy_metrics *m, objective_result *out);

/* What a member of the group family gives. */
typedef struct group_term {
    /* Of response k of g, to which none came. */
    double (*advantage)(const double *options, const group_scale *a, const row *g, size_t k);
    /* The response's loss; writes its gradients, scaled by `share`. */
    double (*loss)(const double *options, response *r, double advantage, double share, policy_metrics *m);
    bool equal_share; /* the metric equal_group_share */
} group_term;

/* loss = sum w*l / self->normaliser, l = self->group->loss of each response. An advantage that came with every response of a
 * group is taken as it is. */
AGON_MUST_CHECK agon_status group_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows,
                                       size_t n_rows, objective_result *out);

#endif

/* rloo: REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv 2402.14740, eq. 8).
 *
 *   r' = r - beta * sum_t k1_t,  k1 = old - reference   (the KL is a penalty on the reward, no gradient)
 *   A_i = r'_i - mean of the others = (r'_i - mean) * G/(G-1)
 *   without old:  loss = -mean_i A_i * S_i                       (REINFORCE, on policy)
 *   with old:     loss = mean_i max(-A*R, -A*clip(R)),  R = exp(S - S_old)   (re-used samples)
 *
 * Both have the same gradient where S == S_old. Deviation: clipping is an addition for re-use; a given
 * `advantage` is used in place of the rewards. The trainer's rows have old in every training of more than one step: their own, or that of the
 * policy it began with. */
#include "objective/policy.h"
#include "objective/table.h"

enum { BETA, CLIP };
static const objective_option options_table[] = {
    {"beta", 0.03, 0, 1e6, "KL penalty on the reward; 0 needs no reference", ANY_NUMBER},
    {"clip", 0.2, 0, 1, "clip range of the sequence ratio when old is given", ANY_NUMBER},
    {.name = NULL},
};

static unsigned needs_with(const double *options) {
    return NEEDS_REWARD | NEEDS_ADVANTAGE | (options[BETA] > 0 ? NEEDS_REFERENCE : 0);
}

/* Reward less the KL penalty under the policy that sampled. */
static double penalised(const double *options, const response *r) {
    if (!(options[BETA] > 0))
        return r->reward;
    double kl = 0;
    for (size_t t = 0; t < r->n; t++)
        kl += token_weight(r, t) * (old_log_prob(r, t) - r->reference[t]);
    return r->reward - options[BETA] * kl;
}

static double leave_one_out(const double *options, const group_scale *a, const row *g, size_t k) {
    (void)a; /* of the rewards without the penalty */
    double others = 0, own = penalised(options, &g->responses[k]);
    bool equal = true;
    for (size_t j = 0; j < g->n_responses; j++) {
        double other = penalised(options, &g->responses[j]);
        equal = equal && other == own;
        others += j == k ? 0 : other;
    }
    return equal ? 0 : own - others / (double)(g->n_responses - 1);
}

/* Returns the response's loss, writes its gradient. */
static double response_loss(const double *options, response *r, double advantage, double share,
                            policy_metrics *m) {
    double log_ratio = r->old ? masked_sum(r, r->log_prob) - masked_sum(r, r->old) : 0;
    clipped_term term = clipped_surrogate(log_ratio, advantage, options[CLIP], options[CLIP]);
    sequence_gradient(r, share * (r->old ? term.d : -advantage));
    for (size_t t = 0; t < r->n; t++)
        if (token_weight(r, t) > 0)
            policy_metrics_token(m, r, t, &term);
    return r->old ? term.loss : -advantage * masked_sum(r, r->log_prob);
}

static const group_term term = {.advantage = leave_one_out, .loss = response_loss};

const objective objective_rloo = {
    .name = "rloo",
    .learning_rate = 1e-6,
    .summary = "REINFORCE leave-one-out with the KL in the reward (arXiv 2402.14740)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_GROUP | NEEDS_REFERENCE | TAKES_OLD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = group_loss,
    .group = &term,
    .normaliser = response_normaliser,
};

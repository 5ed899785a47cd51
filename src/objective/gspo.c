/* gspo: group sequence policy optimisation (Zheng et al. 2025, arXiv 2507.18071, eq. 5 to 7).
 *
 *   s = exp(mean_t (lp - old)),   A as in grpo,   loss = -mean_i min(s*A, clip(s, 1-clip, 1+clip_high)*A)
 *
 * The ratio is the sequence's, per token, so the clip range is a thousandth of grpo's and every token of a
 * response has the same weight. Without `old` the ratio is 1 (the trainer gives one to rows that bring none). A given `advantage` is used in place of the
 * rewards. The paper trains without a KL term; so does this. */
#include "objective/policy.h"
#include "objective/table.h"

enum { CLIP, CLIP_HIGH, SCALE };
static const objective_option options_table[] = {
    {"clip", 3e-4, 0, 1, "lower clip range of the sequence ratio", ANY_NUMBER},
    {"clip_high", 4e-4, 0, 1e6, "upper clip range", ANY_NUMBER},
    {"scale", 1, 0, 1, "1: divide by the group's std; 0: only subtract the mean", WHOLE_NUMBER},
    {.name = NULL},
};

/* Returns the response's loss, writes its gradient. */
static double response_loss(const double *options, response *r, double advantage, double share, policy_metrics *m) {
    double log_ratio = 0, length = masked_length(r);
    for (size_t t = 0; t < r->n; t++)
        log_ratio += token_weight(r, t) * (r->log_prob[t] - old_log_prob(r, t));
    if (length > 0)
        log_ratio /= length; /* a wholly masked response counts, with gradient 0 */
    clipped_term term = clipped_surrogate(log_ratio, advantage, options[CLIP], options[CLIP_HIGH]);
    sequence_gradient(r, length > 0 ? share * term.d / length : 0);
    for (size_t t = 0; t < r->n; t++)
        if (token_weight(r, t) > 0)
            policy_metrics_token(m, r, t, &term);
    return term.loss;
}

static double advantage(const double *options, const group_scale *a, const row *g, size_t k) {
    return group_advantage(a, &g->responses[k], options[SCALE] != 0);
}

static const group_term term = {.advantage = advantage, .loss = response_loss};

const objective objective_gspo = {
    .name = "gspo",
    .learning_rate = 1e-6,
    .summary = "group sequence policy optimisation: one ratio a response (arXiv 2507.18071)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_GROUP | TAKES_OLD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = group_loss,
    .group = &term,
    .normaliser = response_normaliser,
};

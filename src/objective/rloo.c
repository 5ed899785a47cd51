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

static double normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            total += rows[i].weight * rows[i].responses[k].weight;
    return total;
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

static double leave_one_out(const double *options, const row *g, size_t k) {
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
    m->sequences += 1;
    return r->old ? term.loss : -advantage * masked_sum(r, r->log_prob);
}

static agon_status group_check(agon_ctx *ctx, const row *g, size_t i, bool given) {
    if (!given && g->n_responses < 2)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: advantage is missing; one response alone leaves none out", i);
    for (size_t k = 0; !given && k < g->n_responses; k++)
        if (isnan(g->responses[k].reward))
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: response %zu: reward is missing; a group has rewards "
                            "throughout or advantages throughout", i, k);
    return AGON_OK;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = normaliser(options, rows, n_rows), sum = 0, reward = 0, rewards = 0, equal = 0;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    policy_metrics m = {0};
    for (size_t i = 0; i < n_rows; i++) {
        row g = rows[i];
        bool given = all_advantages_given(&g);
        s = group_check(ctx, &g, i, given);
        if (s != AGON_OK)
            return s;
        double row_sum = 0, row_total = normaliser(options, &g, 1);
        for (size_t k = 0; k < g.n_responses; k++) {
            response *r = &g.responses[k];
            double w = g.weight * r->weight, a = given ? r->advantage : leave_one_out(options, &g, k);
            row_sum += w * response_loss(options, r, a, w / total, &m);
            reward += isnan(r->reward) ? 0 : r->reward;
            rewards += isnan(r->reward) ? 0 : 1;
        }
        out->losses[i] = row_total > 0 ? row_sum / row_total : 0;
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += row_sum;
        equal += !given && rewards_equal(&g) ? 1 : 0;
    }
    out->loss = sum / total;
    out->n_metrics = 0;
    if (rewards > 0)
        metric_add(out, "reward", reward / rewards);
    metric_add(out, "equal_groups", equal);
    policy_metrics_add(&m, out);
    return AGON_OK;
}

const objective objective_rloo = {
    .name = "rloo",
    .learning_rate = 1e-6,
    .summary = "REINFORCE leave-one-out with the KL in the reward (arXiv 2402.14740)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_GROUP | NEEDS_REFERENCE | TAKES_OLD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
    .normaliser = normaliser,
};

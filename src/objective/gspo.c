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
    m->sequences += 1;
    return term.loss;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = response_normaliser(options, rows, n_rows), sum = 0, reward = 0, rewards = 0, equal = 0;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    policy_metrics m = {0};
    for (size_t i = 0; i < n_rows; i++) {
        group_scale a = {0};
        s = group_statistics(ctx, &rows[i], i, options[SCALE] != 0, &a);
        if (s != AGON_OK)
            return s;
        double row_sum = 0, row_total = response_normaliser(options, &rows[i], 1);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            response *r = &rows[i].responses[k];
            double w = rows[i].weight * r->weight;
            row_sum += w * response_loss(options, r, group_advantage(&a, r), w / total, &m);
            reward += isnan(r->reward) ? 0 : r->reward;
            rewards += isnan(r->reward) ? 0 : 1;
        }
        out->losses[i] = row_total > 0 ? row_sum / row_total : 0;
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += row_sum;
        equal += a.equal ? 1 : 0;
    }
    out->loss = sum / total;
    out->n_metrics = 0;
    if (rewards > 0)
        metric_add(out, "reward", reward / rewards);
    metric_add(out, "equal_groups", equal);
    policy_metrics_add(&m, out);
    return AGON_OK;
}

const objective objective_gspo = {
    .name = "gspo",
    .learning_rate = 1e-6,
    .summary = "group sequence policy optimisation: one ratio a response (arXiv 2507.18071)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_GROUP | TAKES_OLD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = loss,
    .normaliser = response_normaliser,
};

/* pro: preference ranking optimisation (Song et al. 2023, arXiv 2306.17492, eq. 7).
 *
 * s_k = mean log_prob of response k, sorted by reward, best first. For k = 1..K-1:
 *   tau_i = r_k - r_i (i > k),   tau_k = max_i tau_i,   term_k = lse(s_k tau_k, {s_i tau_i}) - s_k tau_k
 *   loss = sum_k term_k + sft*(K-1)^2 * (-S(best))
 *
 * No reference. Deviations: the released code exponentiates and adds 1e-10; this is a log-sum-exp. Equal rewards
 * say nothing about each other: a response is compared with what is strictly worse (a temperature of 0 would put a
 * constant into the sum, and which of two equals has it would depend on their order in the row), and equally good
 * best ones share the likelihood. A group whose rewards are all equal has no best: its loss is 0, and equal_groups counts it. */
#include "objective/policy.h"
#include "objective/table.h"

enum { SFT };
static const objective_option options_table[] = {
    {"sft", 0.05, 0, 1e3, "weight of the likelihood of the best response, times (K-1)^2", ANY_NUMBER},
    {.name = NULL},
};
enum { MAX_RESPONSES = 256 };

/* Adds term_k for the n responses from the kth best on, their rewards, s and d (d term/d s) by rank. */
static double rank_term(const double *reward, size_t n, const double *s, double *d) {
    double z[MAX_RESPONSES], tau[MAX_RESPONSES];
    size_t worse = n_tied(reward, n);
    if (worse == n)
        return 0;
    tau[0] = reward[0] - reward[n - 1];
    for (size_t i = worse; i < n; i++) {
        tau[i] = reward[0] - reward[i];
        z[i] = s[i] * tau[i];
    }
    z[0] = s[0] * tau[0];
    double lse = logsumexp((double[]){z[0], logsumexp(z + worse, n - worse)}, 2);
    d[0] += tau[0] * (exp(z[0] - lse) - 1);
    for (size_t i = worse; i < n; i++)
        d[i] += tau[i] * exp(z[i] - lse);
    return lse - z[0];
}

static agon_status ranking_loss(agon_ctx *ctx, const objective *self, const double *options, const row *g, size_t index,
                                double share, double *out) {
    size_t n = g->n_responses, order[MAX_RESPONSES];
    double s[MAX_RESPONSES], length[MAX_RESPONSES], d[MAX_RESPONSES] = {0}, rewards[MAX_RESPONSES], by_rank[MAX_RESPONSES], sum = 0;
    if (n < 2 || n > MAX_RESPONSES)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: responses: %s ranks 2 to %d", index, self->name, MAX_RESPONSES);
    for (size_t k = 0; k < n; k++)
        rewards[k] = g->responses[k].reward;
    rank_rewards(rewards, n, order, by_rank);
    for (size_t k = 0; k < n; k++) {
        const response *r = &g->responses[order[k]];
        length[k] = masked_length(r);
        if (length[k] <= 0)
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: response %zu: mask leaves no token", index, order[k]);
        s[k] = masked_sum(r, r->log_prob) / length[k];
    }
    for (size_t k = 0; k + 1 < n; k++)
        sum += rank_term(by_rank + k, n - k, s + k, d + k);
    size_t n_best = n_tied(by_rank, n);
    double sft = n_best == n ? 0 : options[SFT] * (double)(n - 1) * (double)(n - 1) / (double)n_best;
    for (size_t k = 0; k < n; k++) {
        sequence_gradient(&g->responses[order[k]], share * (d[k] / length[k] - (k < n_best ? sft : 0)));
        sum -= k < n_best ? sft * s[k] * length[k] : 0;
    }
    *out = sum;
    return loss_check(ctx, self, index, *out);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = row_normaliser(options, rows, n_rows), sum = 0, equal = 0;
    s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        double share = rows[i].weight / total;
        s = ranking_loss(ctx, self, options, &rows[i], i, share, &out->losses[i]);
        sum += s == AGON_OK ? share * out->losses[i] : 0;
        equal += rewards_equal(&rows[i]) ? 1 : 0;
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "equal_groups", equal);
    return AGON_OK;
}

const objective objective_pro = {
    .name = "pro",
    .learning_rate = 5e-6,
    .summary = "preference ranking optimisation over K responses (arXiv 2306.17492)",
    .rows = ROW_GROUP,
    .needs = NEEDS_REWARD,
    .coupling = COUPLED_ROW,
    .most_responses = MAX_RESPONSES,
    .options = options_table,
    .loss = loss,
    .normaliser = row_normaliser,
};

/* exo-rw: efficient exact optimisation from rewards (Ji et al. 2024, arXiv 2402.00856; EXO-rw).
 *
 * K responses of one prompt drawn from the reference (SFT) policy, with rewards r_k:
 *   p_f = softmax_k(beta*L_k),   p_r = softmax_k(r_k / reward_beta)
 *   forward = 0: loss = sum_k p_f*(log p_f - log p_r),  d L_k = beta*p_f,k*((log p_f,k - log p_r,k) - loss)
 *   forward = 1: loss = -sum_k p_r*log p_f,             d L_k = beta*(p_f,k - p_r,k)        (dpo-rw, the contrast)
 * Optimum of both: L_k = r_k/(beta*reward_beta) + const. Mean over groups, as the released code has it. */
#include "objective/common.h"
#include "objective/table.h"

enum { BETA, REWARD_BETA, FORWARD };
static const objective_option options_table[] = {
    {"beta", 0.5, 1e-6, 1e6, "beta_pi: inverse temperature of the policy", ANY_NUMBER},
    {"reward_beta", 0.5, 1e-6, 1e6, "beta_r: temperature of the rewards", ANY_NUMBER},
    {"forward", 0, 0, 1, "1: forward cross-entropy (dpo-rw) in place of the reverse KL", WHOLE_NUMBER},
    {.name = NULL},
};

static double scaled_log_ratio(const response *r, double beta) {
    return beta * (masked_sum(r, r->log_prob) - masked_sum(r, r->reference));
}

/* One group. d_log_prob doubles as scratch: [0] of each response holds what its sums need, because the
 * pure function allocates nothing; sequence_gradient overwrites it. */
static double group_loss(const double *options, const row *g, double share) {
    double beta = options[BETA], max_f = -INFINITY, max_r = -INFINITY, sum_f = 0, sum_r = 0;
    for (size_t k = 0; k < g->n_responses; k++) {
        const response *r = &g->responses[k];
        r->d_log_prob[0] = scaled_log_ratio(r, beta);
        max_f = fmax(max_f, r->d_log_prob[0]);
        max_r = fmax(max_r, r->reward / options[REWARD_BETA]);
    }
    for (size_t k = 0; k < g->n_responses; k++) {
        sum_f += exp(g->responses[k].d_log_prob[0] - max_f);
        sum_r += exp(g->responses[k].reward / options[REWARD_BETA] - max_r);
    }
    double lse_f = max_f + log(sum_f), lse_r = max_r + log(sum_r), reverse = 0, forward = 0;
    for (size_t k = 0; k < g->n_responses; k++) {
        double log_f = g->responses[k].d_log_prob[0] - lse_f;
        double log_r = g->responses[k].reward / options[REWARD_BETA] - lse_r;
        reverse += exp(log_f) * (log_f - log_r);
        forward -= exp(log_r) * log_f;
    }
    for (size_t k = 0; k < g->n_responses; k++) {
        double log_f = g->responses[k].d_log_prob[0] - lse_f;
        double log_r = g->responses[k].reward / options[REWARD_BETA] - lse_r;
        double d = options[FORWARD] != 0 ? exp(log_f) - exp(log_r)
                                         : exp(log_f) * (log_f - log_r - reverse);
        sequence_gradient(&g->responses[k], share * beta * d);
    }
    return options[FORWARD] != 0 ? forward : reverse;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = row_normaliser(options, rows, n_rows), sum = 0, reward = 0, n = 0;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].n_responses < 2)
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: responses: %s compares two or more", i, self->name);
        double share = rows[i].weight / total;
        out->losses[i] = group_loss(options, &rows[i], share);
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += share * out->losses[i];
        for (size_t k = 0; k < rows[i].n_responses; k++, n++)
            reward += rows[i].responses[k].reward;
    }
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "reward", reward / n);
    return AGON_OK;
}

const objective objective_exo_rw = {
    .name = "exo-rw",
    .learning_rate = 1e-6,
    .summary = "efficient exact optimisation from rewards of K responses (arXiv 2402.00856)",
    .rows = ROW_GROUP,
    .needs = NEEDS_REFERENCE | NEEDS_REWARD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = loss,
    .normaliser = row_normaliser,
};

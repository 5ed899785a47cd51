/* One loop for pairwise preference losses: see pair.h. */
#include "objective/pair.h"

static agon_status pair_of(agon_ctx *ctx, const row *r, size_t i, bool reference, pair *out) {
    const response *w = &r->responses[0], *l = &r->responses[1];
    pair p = {
        .s_w = masked_sum(w, w->log_prob),
        .s_l = masked_sum(l, l->log_prob),
        .n_w = masked_length(w),
        .n_l = masked_length(l),
        .label = w->label,
        .given_w = w->reward,
        .given_l = l->reward,
    };
    if (p.n_w <= 0 || p.n_l <= 0)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: %s: mask leaves no token", i,
                        p.n_w <= 0 ? "chosen" : "rejected");
    if (reference) {
        p.ref_w = masked_sum(w, w->reference);
        p.ref_l = masked_sum(l, l->reference);
    }
    p.log_ratio_w = p.s_w - p.ref_w;
    p.log_ratio_l = p.s_l - p.ref_l;
    p.h = p.log_ratio_w - p.log_ratio_l;
    *out = p;
    return AGON_OK;
}

agon_status pair_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                      objective_result *out) {
    const bool reference = objective_needs_with(self, options) & NEEDS_REFERENCE;
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = pair_normaliser(options, rows, n_rows);
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    double loss = 0, reward_w = 0, reward_l = 0, accuracy = 0, s_w = 0, s_l = 0, n_w = 0, n_l = 0;
    for (size_t i = 0; i < n_rows; i++) {
        pair p = {0};
        s = pair_of(ctx, &rows[i], i, reference, &p);
        if (s != AGON_OK)
            return s;
        pair_term t = self->pair(options, &p);
        s = loss_check(ctx, self, i, t.loss);
        if (s != AGON_OK)
            return s;
        double share = pair_weight(&rows[i]) / total;
        out->losses[i] = t.loss;
        loss += share * t.loss;
        sequence_gradient(&rows[i].responses[0], share * t.d_w);
        sequence_gradient(&rows[i].responses[1], share * t.d_l);
        reward_w += share * t.reward_w;
        reward_l += share * t.reward_l;
        accuracy += t.reward_w > t.reward_l ? share : 0; /* strict: 0 where policy == reference */
        s_w += share * p.s_w;
        s_l += share * p.s_l;
        n_w += share * p.n_w;
        n_l += share * p.n_l;
    }
    out->loss = loss;
    out->n_metrics = 0;
    metric_add(out, "accuracy", accuracy);
    metric_add(out, "margin", reward_w - reward_l);
    metric_add(out, "reward_chosen", reward_w);
    metric_add(out, "reward_rejected", reward_l);
    metric_add(out, "log_prob_chosen", s_w);
    metric_add(out, "log_prob_rejected", s_l);
    metric_add(out, "length_chosen", n_w);
    metric_add(out, "length_rejected", n_l);
    return AGON_OK;
}

double pair_normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        total += pair_weight(&rows[i]);
    return total;
}

pair_term pair_of_margin(const pair *p, double beta, double loss, double d) {
    return (pair_term){
        .loss = loss,
        .d_w = d,
        .d_l = -d,
        .reward_w = beta * p->log_ratio_w,
        .reward_l = beta * p->log_ratio_l,
    };
}

pair_term pair_logistic(const pair *p, double beta, double e) {
    double z = beta * p->h;
    double d = beta * (-(1 - e) * sigmoid(-z) + e * sigmoid(z));
    return pair_of_margin(p, beta, -(1 - e) * logsig(z) - e * logsig(-z), d);
}

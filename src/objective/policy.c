/* Policy-gradient pieces: see policy.h. */
#include "objective/policy.h"

clipped_term clipped_surrogate(double log_ratio, double advantage, double low, double high) {
    double held = fmax(-MAX_LOG_RATIO, fmin(MAX_LOG_RATIO, log_ratio));
    double ratio = exp(held);
    double bounded = fmax(1 - low, fmin(1 + high, ratio));
    double plain = -advantage * ratio, clipped = -advantage * bounded;
    bool takes_clipped = clipped > plain;
    return (clipped_term){
        .loss = takes_clipped ? clipped : plain,
        .d = takes_clipped || held != log_ratio ? 0 : plain,
        .ratio = ratio,
        .clipped = takes_clipped,
    };
}

double k3(double d, double *derivative) {
    double held = fmax(-MAX_LOG_RATIO, fmin(MAX_LOG_RATIO, d));
    *derivative = held != d ? 0 : -expm1(-held);
    return expm1(-held) + held;
}

bool rewards_equal(const row *g) {
    for (size_t k = 1; k < g->n_responses; k++)
        if (g->responses[k].reward != g->responses[0].reward)
            return false;
    return true;
}

bool all_advantages_given(const row *g) {
    for (size_t k = 0; k < g->n_responses; k++)
        if (isnan(g->responses[k].advantage))
            return false;
    return true;
}

static const double STD_FLOOR = 1e-4;

agon_status group_statistics(agon_ctx *ctx, const row *g, size_t i, group_scale *out) {
    group_scale a = {.given = all_advantages_given(g)};
    if (!a.given) {
        for (size_t k = 0; k < g->n_responses; k++)
            if (isnan(g->responses[k].reward))
                return ctx_fail(ctx, AGON_EINVAL, "row %zu: response %zu: reward is missing; a group has "
                                "rewards throughout or advantages throughout", i, k);
        if (g->n_responses < 2)
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: advantage is missing; one response alone has no "
                            "group to compare its reward with", i);
        double n = (double)g->n_responses, sum = 0, squares = 0;
        for (size_t k = 0; k < g->n_responses; k++)
            sum += g->responses[k].reward;
        a.mean = sum / n;
        for (size_t k = 0; k < g->n_responses; k++)
            squares += (g->responses[k].reward - a.mean) * (g->responses[k].reward - a.mean);
        a.equal = rewards_equal(g);
        a.divisor = sqrt(squares / (n - 1)) + STD_FLOOR;
    }
    *out = a;
    return AGON_OK;
}

double group_advantage(const group_scale *a, const response *r, bool scaled) {
    return a->equal ? 0 : (r->reward - a->mean) / (scaled ? a->divisor : 1);
}

double adaptive_kl(double beta, double kl, double target, double n, double horizon) {
    double error = fmax(-0.2, fmin(0.2, kl / target - 1));
    double next = beta * (1 + error * fmin(n / horizon, 1));
    return fmax(next, fmin(beta, LEAST_BETA));
}

void policy_metrics_token(policy_metrics *m, const response *r, size_t t, const clipped_term *term) {
    double u = token_weight(r, t), ignored;
    m->tokens += u;
    m->clipped += term->clipped ? u : 0;
    m->max_ratio = fmax(m->max_ratio, term->ratio);
    /* Samples come from old, so this estimates KL(old || policy): k3 = ratio - 1 - log ratio. */
    m->approximate_kl += u * k3(old_log_prob(r, t) - r->log_prob[t], &ignored);
    if (r->reference)
        m->reference_kl += u * (r->log_prob[t] - r->reference[t]);
}

void policy_metrics_add(const policy_metrics *m, objective_result *out) {
    metric_add(out, "clip_fraction", m->tokens > 0 ? m->clipped / m->tokens : 0);
    metric_add(out, "approximate_kl", m->tokens > 0 ? m->approximate_kl / m->tokens : 0);
    metric_add(out, "reference_kl", m->sequences > 0 ? m->reference_kl / m->sequences : 0);
    metric_add(out, "max_ratio", m->max_ratio);
    metric_add(out, "response_length", m->sequences > 0 ? m->tokens / m->sequences : 0);
}

agon_status group_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                       objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = self->normaliser(options, rows, n_rows), sum = 0, reward = 0, rewards = 0, equal = 0, groups = 0;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    policy_metrics m = {0};
    for (size_t i = 0; i < n_rows; i++) {
        group_scale a = {0};
        s = group_statistics(ctx, &rows[i], i, &a);
        if (s != AGON_OK)
            return s;
        double row_sum = 0, row_total = self->normaliser(options, &rows[i], 1);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            response *r = &rows[i].responses[k];
            double w = rows[i].weight * r->weight;
            double advantage = a.given ? r->advantage : self->group->advantage(options, &a, &rows[i], k);
            row_sum += w * self->group->loss(options, r, advantage, w / total, &m);
            m.sequences += 1;
            reward += isnan(r->reward) ? 0 : r->reward;
            rewards += isnan(r->reward) ? 0 : 1;
        }
        out->losses[i] = row_total > 0 ? row_sum / row_total : 0;
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += row_sum;
        groups += a.given ? 0 : 1;
        equal += a.equal ? 1 : 0;
    }
    out->loss = sum / total;
    out->n_metrics = 0;
    if (rewards > 0)
        metric_add(out, "reward", reward / rewards);
    metric_add(out, "equal_groups", equal);
    if (self->group->equal_share)
        metric_add(out, "equal_group_share", groups > 0 ? equal / groups : 0);
    policy_metrics_add(&m, out);
    return AGON_OK;
}

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

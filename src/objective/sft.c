/* sft: supervised fine-tuning, next-token negative log-likelihood (training.md section 1, eq. 2).
 *
 *   loss = -sum w*M*lp / sum w*M   over the whole optimiser step,   d lp = -w*M / sum w*M
 *
 * M is 1 on the response including its end token, or any weight of a token, a span or a response.
 * Deviation from eq. 2: the condition printed there is y_<=i, which leaks the target; log_prob here is
 * given y_<i. Eq. 2 sums over tokens: the sum is the metric `nll_sum`.
 * label_smoothing e (Szegedy et al. 2016, arXiv 1512.00567) spreads the share e of every target evenly over the
 * vocabulary:   l = -(1-e)*lp - e*mean_v log p_v. */
#include "objective/table.h"
#include "objective/token.h"

enum { LABEL_SMOOTHING };
static const objective_option options_table[] = {
    {"label_smoothing", 0, 0, 0.5, "e: share of the target spread evenly over the vocabulary", ANY_NUMBER},
    {.name = NULL},
};

static unsigned needs_with(const double *options) {
    return options[LABEL_SMOOTHING] > 0 ? NEEDS_MEAN_LOG_PROB : 0;
}

static token_term term(const double *options, const response *r, size_t t) {
    double e = options[LABEL_SMOOTHING], even = e > 0 ? r->mean_log_prob[t] : 0;
    return (token_term){.loss = -(1 - e) * r->log_prob[t] - e * even, .d = -(1 - e), .d_mean = -e};
}

const objective objective_sft = {
    .name = "sft",
    .learning_rate = 2e-5,
    .summary = "supervised fine-tuning: token negative log-likelihood",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = TAKES_ANSWERS,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .needs_with = needs_with,
    .loss = token_loss,
    .token = term,
    .normaliser = token_normaliser,
};

/* token-forward: forward correction of token noise (Patrini et al. 2017, arXiv 1609.03683, theorem 2, with the
 * matrix of uniform replacement).
 *
 *   P = (1-e)*p + e*(1-p)/(V-1),   l = -log P,   d lp = -((1-e) - e/(V-1)) * p / P
 *
 * e is the share of tokens replaced by any other of the V tokens alike. The learner's likelihood is that of
 * the noisy text under its clean text, so the clean model is the optimum. In logs throughout. */
#include "objective/table.h"
#include "objective/token.h"

enum { NOISE, VOCABULARY };
static const objective_option options_table[] = {
    {"noise", 0.1, 0, 0.9, "e: share of replaced tokens", ANY_NUMBER},
    {"vocabulary", 0, 0, 1e9, "V: tokens that a replaced one may be, itself included; 0: the model's", WHOLE_NUMBER},
    {.name = NULL},
};

static token_term term(const double *options, const response *r, size_t t) {
    double e = options[NOISE], other = e / (options[VOCABULARY] - 1), lp = fmin(r->log_prob[t], 0);
    if (e == 0)
        return (token_term){.loss = -lp, .d = -1};
    double log_p = logsumexp((double[]){log1p(-e) + lp, log(other) + log1mexp(fmin(lp, -1e-300))}, 2);
    return (token_term){.loss = -log_p, .d = -(1 - e - other) * exp(lp - log_p)};
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    if (options[VOCABULARY] < 2)
        return ctx_fail(ctx, AGON_EINVAL, "%s: vocabulary is %g, and there is no model to take it from; it must be 2 or more "
                        "(--set vocabulary=49152)", self->name, options[VOCABULARY]);
    return token_loss(ctx, self, options, rows, n_rows, out);
}

const objective objective_token_forward = {
    .name = "token-forward",
    .learning_rate = 2e-5,
    .summary = "forward correction of uniformly replaced tokens (arXiv 1609.03683)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = loss,
    .token = term,
    .normaliser = token_normaliser,
};

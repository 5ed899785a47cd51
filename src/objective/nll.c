/* nll: pretraining, next-token negative log-likelihood of whole documents (training.md section 1, eq. 1).
 *
 *   loss = -sum w*M*lp / sum w*M   over the whole optimiser step
 *
 * A row is a document without a prompt; M is 1 on every token but its first, which nothing precedes (the
 * trainer sets that mask). Documents never see one another: each is a tree of its own. Eq. 1 sums over
 * tokens: the sum is the metric `nll_sum`. */
#include "objective/table.h"
#include "objective/token.h"

static const objective_option options_table[] = {{.name = NULL}};

static token_term term(const double *options, const response *r, size_t t) {
    (void)options;
    return (token_term){.loss = -r->log_prob[t], .d = -1};
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = token_loss(ctx, self, options, rows, n_rows, out);
    if (s == AGON_OK)
        metric_add(out, "bits_per_token", out->loss / M_LN2);
    return s;
}

const objective objective_nll = {
    .name = "nll",
    .learning_rate = 2e-5,
    .summary = "pretraining: next-token negative log-likelihood of whole documents",
    .rows = ROW_SINGLE | ROW_GROUP,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = loss,
    .token = term,
    .normaliser = token_normaliser,
};

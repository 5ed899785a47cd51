/* The token family: losses that see one token's log_prob at a time, averaged over the supervised tokens of
 * the whole optimiser step. A member gives a function of one token as `token`, and token_loss as `loss`, which sums it. */
#ifndef OBJECTIVE_TOKEN_H
#define OBJECTIVE_TOKEN_H

#include "objective/common.h"

typedef struct token_term {
    double loss, d, d_mean; /* d loss / d log_prob, d loss / d mean_log_prob */
} token_term;

/* loss = sum w*M*l / sum w*M. Metrics: nll_sum, tokens, perplexity (of the plain likelihood), supervised_share
 * (tokens of a weight above 0, of all). */
AGON_MUST_CHECK agon_status token_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows,
                                       size_t n_rows, objective_result *out);
/* sum w*M. */
double token_normaliser(const double *options, const row *rows, size_t n_rows);

#endif

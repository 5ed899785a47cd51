/* gce: generalised cross-entropy of single tokens (Zhang, Sabuncu 2018, arXiv 1805.07836, eq. 6).
 *
 *   l = (1 - p^q) / q,   d lp = -p^q      q -> 0 is cross-entropy, q = 1 the mean absolute error
 *
 * The gradient is that of cross-entropy times p^q: tokens the model finds absurd count little. From random
 * weights that is next to nothing, so plain cross-entropy leads for the first `warmup` of the steps. */
#include "objective/table.h"
#include "objective/token.h"

enum { Q, WARMUP, PROGRESS };
static const objective_option options_table[] = {
    {"q", 0.7, 0, 1, "0: cross-entropy, 1: mean absolute error", ANY_NUMBER},
    {"warmup", 0, 0, 1, "share of the steps that use cross-entropy first (0.1 from random weights)", ANY_NUMBER},
    {"progress", 1, 0, 1, "share of the steps done; the trainer sets it", ANY_NUMBER},
    {.name = NULL},
};

static token_term term(const double *options, const response *r, size_t t) {
    double q = options[PROGRESS] < options[WARMUP] ? 0 : options[Q], lp = fmin(r->log_prob[t], 0);
    if (q * -lp < 1e-12) /* below, the quotient is lost to rounding; its limit is cross-entropy */
        return (token_term){.loss = -lp, .d = -1};
    return (token_term){.loss = -expm1(q * lp) / q, .d = -exp(q * lp)};
}

const objective objective_gce = {
    .name = "gce",
    .learning_rate = 2e-5,
    .summary = "generalised cross-entropy against noisy tokens (arXiv 1805.07836)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = token_loss,
    .token = term,
    .normaliser = token_normaliser,
};

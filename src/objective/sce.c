/* sce: symmetric cross-entropy of single tokens (Wang et al. 2019, arXiv 1908.06112, eq. 7).
 *
 *   l = alpha*(-lp) + beta*A*(1 - p),   A = 4: log 0 of the reverse term is taken as -4
 *
 * The reverse part is bounded and tolerates noise, the plain part still learns hard tokens. */
#include "objective/table.h"
#include "objective/token.h"

enum { ALPHA, BETA };
static const objective_option options_table[] = {
    {"alpha", 0.1, 0, 1e6, "weight of cross-entropy", ANY_NUMBER},
    {"beta", 1, 0, 1e6, "weight of reverse cross-entropy", ANY_NUMBER},
    {.name = NULL},
};
static const double LOG_ZERO = -4;

static token_term term(const double *options, const response *r, size_t t) {
    double lp = fmin(r->log_prob[t], 0), reverse = -options[BETA] * LOG_ZERO;
    return (token_term){
        .loss = -options[ALPHA] * lp - reverse * expm1(lp),
        .d = -options[ALPHA] - reverse * exp(lp),
    };
}

const objective objective_sce = {
    .name = "sce",
    .learning_rate = 2e-5,
    .summary = "symmetric cross-entropy against noisy tokens (arXiv 1908.06112)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = token_loss,
    .token = term,
    .normaliser = token_normaliser,
};

/* Preference vectors of contexts (spec: training 8): whose pairs they are decides how much each dimension weighs.
 *
 *   lambda_c = projection onto the simplex of base + offset_c         a context that was never seen has no offset: the base
 *   offset_c   maximises  sum over c's pairs of log sigmoid(lambda_c . (r_w - r_l))  -  |offset_c|^2 / (2 prior^2)
 *
 * Rewards are standardised per dimension over all pairs, since the scale of a reward means nothing. */
#ifndef EVAL_CONTEXT_VECTORS_H
#define EVAL_CONTEXT_VECTORS_H

#include "agon.h"

/* Mean and standard deviation (n - 1) of each dimension over rewards [n, m]. AGON_EINVAL: fewer than two, or dimension *flat does not vary. */
AGON_MUST_CHECK agon_status context_scale(agon_ctx *ctx, const double *rewards, size_t n, size_t m, double *mean, double *deviation,
                                          size_t *flat);

/* out [m]: the vector at base + offset [m] (V:moo.context_vector). AGON_ENOMEM. */
AGON_MUST_CHECK agon_status context_vector(agon_ctx *ctx, const double *base, const double *offset, size_t m, double *out);

typedef struct context_fit {
    double log_likelihood, base_log_likelihood; /* sums over the pairs, without the prior: of the fitted vector, of the base */
    size_t n_held_out;                          /* pairs asked in cross-validation (up to five folds, in turn); 0: fewer than two pairs */
    double right, base_right;                   /* share of them ranked rightly by the vector of the other folds, and by the base; ties count half */
} context_fit;

/* Fits one context. differences [n, m]: standardised r_w - r_l of its pairs; base [m] on the simplex; prior: the standard deviation of
 * each entry of the offset, above 0. Writes offset [m], which is the fitted vector less the base. The optimum is unique, so nothing
 * depends on where the search begins. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status context_fit_pairs(agon_ctx *ctx, const double *base, const double *differences, size_t n, size_t m, double prior,
                                              double *offset, context_fit *out);

#endif

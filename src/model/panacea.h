/* Panacea: one adapter for all preferences (Zhong et al. 2024, 2402.02030), over the factors of an ordinary adapter.
 *
 *   dW = U diag(sigma_1..sigma_k, scale*lambda_1..scale*lambda_m) V
 *
 * V is the adapter's A, and U times the diagonal its B, so that forward, backward and export need nothing new: install
 * before a forward, and after the backward turn B's gradient into those of U, sigma and scale. Start with U = 0, or with
 * sigma = scale = 0, never both: there would be no gradient (the paper's own start and scale were not confirmed, training.md 10.3). Rank = k + m. What an adapter holds of it: model.h, dimensions. */
#ifndef MODEL_PANACEA_H
#define MODEL_PANACEA_H

#include "agon.h"

typedef struct panacea_shape {
    size_t n_out, k, m; /* rows of U; shared singular values; preference slots */
} panacea_shape;

/* b [n_out, k+m] = U diag. u [n_out, k+m]; singular [k+1]: sigma_1..sigma_k, scale; preference [m] on the simplex. */
void panacea_install(const panacea_shape *s, const float *u, const float *singular, const double *preference, float *b);
/* From d_b [n_out, k+m]: d_u [n_out, k+m] and d_singular [k+1], both added to (V:moo.panacea). Sums in double, row order. */
void panacea_gradient(const panacea_shape *s, const float *u, const float *singular, const double *preference,
                      const float *d_b, float *d_u, float *d_singular);

#endif

/* Collapse of a model that learns from its own answers: the alarm on a falling series, and the smallest model that collapses. */
#ifndef EVAL_COLLAPSE_H
#define EVAL_COLLAPSE_H

#include "agon.h"

/* Page's lower CUSUM (V:cusum_low): s[i] = max(0, s[i-1] + (mu - x[i]) / sd - k) over x [n]; sd > 0. The first place with s > h, n when there is none.
 * s [n] or NULL. */
size_t cusum_low(const double *x, size_t n, double mu, double sd, double k, double h, double *s);

typedef enum collapse_regime { COLLAPSE_REPLACE, COLLAPSE_ACCUMULATE } collapse_regime;
/* V:collapse_gaussian: n draws of N(0, 1), then `generations` times a normal distribution is fitted by maximum likelihood and n more are drawn from it, which
 * replace the data or are added to them (Shumailov et al. 2024; Gerstgrasser et al. 2024). variance [generations]: of each fit. n >= 2. */
AGON_MUST_CHECK agon_status collapse_gaussian(agon_ctx *ctx, size_t n, size_t generations, collapse_regime regime, uint64_t seed, double *variance);
/* What replacing leaves of the variance after t fits, in expectation: ((n - 1) / n)^t. */
double collapse_gaussian_ratio(size_t n, size_t t);

#endif

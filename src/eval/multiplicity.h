/* Several hypotheses at once, and one hypothesis looked at several times. */
#ifndef EVAL_MULTIPLICITY_H
#define EVAL_MULTIPLICITY_H

#include "agon.h"

/* Adjusted p values in input order, [n] (V:multiplicity): Holm (1979) for confirmatory families,
 * Benjamini and Hochberg (1995) for exploratory ones. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status holm_adjust(agon_ctx *ctx, const double *p, size_t n, double *out);
AGON_MUST_CHECK agon_status bh_adjust(agon_ctx *ctx, const double *p, size_t n, double *out);

/* What promotion attempt t (from 1) of a lineage may spend of alpha: alpha * 6 / (pi^2 t^2), which
 * sums to alpha (V:alpha_spending). */
double alpha_spending(double alpha, size_t attempt);

#endif

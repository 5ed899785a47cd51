/* Does a calibrated judge still deserve its calibration? (gate.md F5) */
#ifndef EVAL_SHIFT_H
#define EVAL_SHIFT_H

#include "agon.h"

/* Two-sided exact p value of "each of n items is right with its probability p[i], independently", from how many were right: twice the smaller tail of the
 * Poisson-binomial distribution, at most 1. Exact at any n, unlike a t test of p - right, which at n = 10 and p near 1 takes ten right answers out
 * of ten for a shift. Probabilities are kept 0.02 away from 0 and 1: a calibration on a few dozen answers cannot claim more. n 0 gives 1.
 * AGON_EINVAL: a p outside [0, 1]. */
AGON_MUST_CHECK agon_status calibration_shift(agon_ctx *ctx, const double *p, const bool *right, size_t n, double *out);

#endif

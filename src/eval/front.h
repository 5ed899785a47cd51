/* Several objectives at once: fronts of trade-offs and vectors of preferences (spec: training 8). All objectives are
 * maximised; points are [n, m], m objectives. */
#ifndef EVAL_FRONT_H
#define EVAL_FRONT_H

#include "agon.h"

/* keep [n]: no other point is at least as good everywhere and better somewhere; of equal points the first stays.
 * Returns how many. */
size_t front_filter(const double *points, size_t n, size_t m, bool *keep);
/* Volume between the points and `reference` [m] (parts not above it count nothing), exact; m is 2 or 3. AGON_EINVAL
 * for another m, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status front_hypervolume(agon_ctx *ctx, const double *points, size_t n, size_t m,
                                              const double *reference, double *out);
/* Mean over n preference vectors [n, m] of <vector, the point it led to>. */
double front_inner_product(const double *preferences, const double *points, size_t n, size_t m);
/* Sum over objectives of the squared gaps of its sorted values, over n - 1. 0 for fewer than two. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status front_sparsity(agon_ctx *ctx, const double *points, size_t n, size_t m, double *out);
/* Sample std of the distances (sum of absolute differences) to the nearest other point (Schott 1995; whether Panacea's
 * figures use this norm is not known, training.md 10.3). 0 for fewer than two. */
double front_spacing(const double *points, size_t n, size_t m);
/* Spearman's rank correlation of x and y [n], ties at their mean rank; NAN where one does not vary. Of a preference's
 * entry and the objective it stands for: near 0 when the model ignores the preference. */
double rank_correlation(const double *x, const double *y, size_t n);

/* Euclidean projection of x [m] onto the simplex, in place of `out` [m] (Duchi et al. 2008): a context's preference
 * vector is that of base + offset (V:moo.context_vector). AGON_ENOMEM. */
AGON_MUST_CHECK agon_status simplex_project(agon_ctx *ctx, const double *x, size_t m, double *out);

#endif

/* Intervals of figures that are means over training seeds, each seed measured on the same items.
 * A percentile bootstrap over few seeds is too short where the seeds differ: with n of them its spread is that of a sample of n without the
 * correction n / (n - 1), and its ends are the normal's where Student's t is due. Planted additive effects, a spread between seeds of 2, 4, 10 times
 * a seed's error over items: a nominal 95% covers 0.89, 0.82, 0.75 of the time at 3 seeds. Student's interval over seeds does not see what the items
 * share under every seed. So the wider of the two is published: 0.94 to 1.00 at 3 and 5 seeds, wherever the spread comes from. */
#ifndef EVAL_OVER_SEEDS_H
#define EVAL_OVER_SEEDS_H

#include "agon.h"
#include "eval/interval.h"

/* Standard error over seeds of the mean of `above`, [n_seeds], or of the ratio of the means of `above` and `below`, linearised:
 * that of (above_s - ratio * below_s) / mean(below). NAN for fewer than two seeds, and where the mean of `below` is not above 0. */
double over_seeds_error(const double *above, const double *below, size_t n_seeds);
/* Student's interval of the same with n_seeds - 1 degrees of freedom; NAN bounds where the error is NAN. */
interval over_seeds_student(const double *above, const double *below, size_t n_seeds, double alpha);
/* `drawn`, the bootstrap's interval over items and seeds, or Student's where that is wider. One seed: `drawn`, which says nothing about
 * others then. What is undefined in `drawn` stays undefined. */
interval over_seeds_wider(interval drawn, const double *above, const double *below, size_t n_seeds, double alpha);
/* Mean of x - y, x [n_seeds, n_items], y likewise or, !y_by_seed, [n_items]: the same under every seed. *range: 95%, the wider of Student's over
 * seeds and a percentile bootstrap of `draws` over seeds and, jointly, items. AGON_EINVAL: nothing to measure, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status over_seeds_difference(agon_ctx *ctx, const double *x, const double *y, bool y_by_seed, size_t n_seeds, size_t n_items,
                                                  size_t draws, uint64_t seed, double *mean, interval *range);

#endif

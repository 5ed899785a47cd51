/* Two versions on the same items, where items come in sets that are no evidence independent of one another: rows of one group, near-duplicates.
 *
 * What is independent is the set. If neither version is better its sum of differences (new - old) is as likely as the same with the other sign, whatever its
 * items have in common, and the test is over these signs (Fisher 1935; V:paired_sign_flip_exact): with one item in each set it is McNemar's. An item counted
 * by itself, 12 tied groups of 6, passes a version that gained nothing 19 % of the time where 3 % were asked for (test_paired_sets).
 *
 * Intervals are those of independent items at the effective number of them (Kish 1965): their number over the design effect, the variance of the mean over
 * sets to that over items, 1 at least, and where the items all say the same that of items wholly tied. Over few sets that variance is itself uncertain:
 * the number is multiplied by (z / t)^2, Student's t with the number of sets less 1 (Korn and Graubard 1998). */
#ifndef EVAL_PAIRED_SETS_H
#define EVAL_PAIRED_SETS_H

#include "eval/paired.h"
#include <stdint.h>

typedef struct paired_sets {
    int64_t *difference; /* [size], by set: items gained less items lost */
    size_t *items;       /* [size]; 0: no such set */
    size_t size;
    size_t n_differ; /* items gained or lost, of all sets */
} paired_sets;

/* Of sets numbered below `size`, all empty. Free *out in any case. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status paired_sets_new(agon_ctx *ctx, size_t size, paired_sets *out);
void paired_sets_free(paired_sets *x);
void paired_sets_add(paired_sets *x, size_t set, bool now, bool before); /* an item */
size_t paired_sets_n(const paired_sets *x);                              /* that have an item */
bool paired_sets_tied(const paired_sets *x);                             /* has any more than one? */

typedef struct sign_flip {
    double one_sided; /* P(sum of the differences >= the one seen) over all signs of the sets */
    double two_sided; /* as far from 0 as the one seen */
} sign_flip;
/* Exact: the distribution of the sum by dynamic programming, in time sets x items that differ. No sets: 1. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status paired_sets_test(agon_ctx *ctx, const paired_sets *x, sign_flip *out);

/* Of so many independent items the mean difference would be as well known; tail: the part of alpha at one end of an interval. 0: of one set nothing is known. */
double paired_sets_effective(const paired_sets *x, double tail);
/* paired_difference, noninferiority_tango and, where `before` was always false, clopper_pearson of the share at that number of items. [-1, 1], no p below 1
 * and [0, 1] of one set. t: the table of the same items; only it knows of `same` ones, which differ in nothing. */
interval paired_sets_difference(const paired_sets *x, const paired_table *t, double alpha);
noninferiority paired_sets_tango(const paired_sets *x, const paired_table *t, double margin, double alpha);
interval paired_sets_share(const paired_sets *x, double alpha);

#endif

/* Two scorers of the same items: does the new one rank right above wrong better than the old one? The area under the ROC curve is the share of wrong items that
 * are caught, averaged over all shares of false alarms, so one test stands for both. */
#ifndef EVAL_AUROC_PAIR_H
#define EVAL_AUROC_PAIR_H

#include "agon.h"

enum { AUROC_PAIR_LEAST = 5 }; /* right items, and wrong ones: below that nothing is tested */

typedef struct auroc_pair {
    double now, before; /* areas, ties one half; NAN where all labels are the same */
    double standard_error, p; /* of now - before; one-sided, of H0 "the new one ranks no better". NAN where there are too few */
    size_t n_right, n_wrong;
} auroc_pair;

/* Paired test of DeLong, DeLong and Clarke-Pearson (1988), by Student's t with as many degrees of freedom as there are items of the rarer label, less one: the
 * normal distribution of the paper rejects too often on a few (7 % of null cases at 5 %, with five of one label). now, before [n]: scores, none of them NAN; label
 * [n]: is the item right? Independent items. O(n log n). AGON_ENOMEM. */
AGON_MUST_CHECK agon_status auroc_pair_test(agon_ctx *ctx, const double *now, const double *before, const bool *label, size_t n, auroc_pair *out);

#endif

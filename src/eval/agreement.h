/* How well judgements agree with the truth or with one another. */
#ifndef EVAL_AGREEMENT_H
#define EVAL_AGREEMENT_H

#include "agon.h"

/* Area under the ROC curve, ties one half (V:auroc). NaN when all labels are the same: there is
 * nothing to tell apart. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status auroc(agon_ctx *ctx, const double *score, const bool *label, size_t n,
                                  double *out);

enum { AGREEMENT_MOST_CLASSES = 8 };
/* Krippendorff's alpha, nominal (V:krippendorff_alpha): 1 where raters always say the same, 0 where they agree no more often than
 * answers drawn from all that were given. answers [n_units, n_raters] from 0 to n_classes - 1, -1: none; n_classes at most
 * AGREEMENT_MOST_CLASSES. count [n_units]: how many units are like this one, NULL: one each. NaN where no two answers of a unit can be compared, or all are the same. */
double krippendorff_alpha(const int *answers, const double *count, size_t n_units, size_t n_raters, size_t n_classes);

#endif

/* How well judgements agree with the truth or with one another. */
#ifndef EVAL_AGREEMENT_H
#define EVAL_AGREEMENT_H

#include "agon.h"

/* Area under the ROC curve, ties one half (V:auroc). NaN when all labels are the same: there is
 * nothing to tell apart. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status auroc(agon_ctx *ctx, const double *score, const bool *label, size_t n,
                                  double *out);

/* Cohen's kappa of a table [k, k], rows rater A, columns rater B (V:cohen_kappa); quadratic weights
 * on request. NaN when chance alone agrees always. */
double cohen_kappa(const double *table, size_t k, bool quadratic);

typedef enum agreement_scale {
    AGREEMENT_NOMINAL,
    AGREEMENT_ORDINAL,
    AGREEMENT_INTERVAL
} agreement_scale;
/* Krippendorff's alpha of ratings [n_raters, n_units], NaN = missing (V:krippendorff_alpha). NaN
 * when nothing is comparable. AGON_EINVAL: more than 64 distinct values. */
AGON_MUST_CHECK agon_status krippendorff_alpha(agon_ctx *ctx, const double *ratings,
                                               size_t n_raters, size_t n_units,
                                               agreement_scale scale, double *out);

#endif

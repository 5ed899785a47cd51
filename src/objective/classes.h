/* Cross-entropy over the logits of a class head, plain and corrected for label noise of a known matrix
 * (Patrini et al. 2017, arXiv 1609.03683). */
#ifndef OBJECTIVE_CLASSES_H
#define OBJECTIVE_CLASSES_H

#include "objective/common.h"

enum { MAX_CLASSES = 16 };

/* transition [k, k]: P(observed j | true i). Loss of observed label y and d logits [k]. k <= MAX_CLASSES. */
double classes_plain(const double *logits, size_t k, size_t y, double *d);
/* -log (T^T p)_y: the clean model is its optimum. */
double classes_forward(const double *transition, const double *logits, size_t k, size_t y, double *d);
/* (T^-1 l)_y with l the plain losses of all classes: unbiased for the clean loss, may be negative. NaN where T is
 * singular. */
double classes_backward(const double *transition, const double *logits, size_t k, size_t y, double *d);

/* The logit of class 1. likelihood 0: of a binary head, output 0 of one or output 1 less output 0 of two; above 0: that many times the
 * response's log(policy/reference), so that a language model is its own class head. */
double binary_logit(const response *r, double likelihood);
/* The gradient of binary_logit to the head or the log_probs, all else 0. */
void binary_gradient(response *r, double likelihood, double d);
/* What it reads of a row, and the check of it: AGON_EINVAL, AGON_ENUMERIC. */
static inline unsigned binary_needs(double likelihood) {
    return NEEDS_LABEL | (likelihood > 0 ? NEEDS_REFERENCE : NEEDS_HEAD);
}
AGON_MUST_CHECK agon_status binary_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows);
#define BINARY_LIKELIHOOD                                                                                                     \
    {"likelihood", 0, 0, 1e6, "0: the logit is a head's; above 0: so many times log(policy/reference) of the response", ANY_NUMBER}

/* z [n_responses]: likelihood times the log_prob of each choice of the row. n_responses <= MAX_CLASSES. */
void choices_logits(const row *r, double likelihood, double *z);
/* rows_check, and 2 choices or more, not more than the objective takes. AGON_EINVAL, AGON_ENUMERIC. */
AGON_MUST_CHECK agon_status choices_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows);
#define CHOICES_LIKELIHOOD {"likelihood", 1, 1e-3, 1e3, "a choice's logit is so many times its log_prob", ANY_NUMBER}

#endif

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

/* The logits of a binary head as one: output 0 of one, or output 1 less output 0 of two. */
static inline double binary_logit(const response *r) {
    const double *h = r->head + last_token(r) * r->n_head;
    return r->n_head == 1 ? h[0] : h[1] - h[0];
}
/* The gradient of binary_logit to the head, all else 0. */
void binary_gradient(response *r, double d);

#endif

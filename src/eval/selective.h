/* When may a judge decide alone? Fixed-sequence testing of thresholds (Trust or Escalate, Jung et
 * al. 2024). */
#ifndef EVAL_SELECTIVE_H
#define EVAL_SELECTIVE_H

#include "agon.h"

typedef struct selective_options {
    double alpha; /* tolerated disagreement among what is not abstained on; 0.15 */
    double delta; /* chance that the promise fails over calibrations; 0.1. A cascade of M judges:
                     delta / M each */
    size_t n_min; /* thresholds with fewer examples are not tested; 30. Below selective_least the first test cannot pass, and ends the sequence */
} selective_options;

typedef struct selective_result {
    bool abstain;          /* no threshold passed: every item escalates */
    double lambda;         /* decide alone iff confidence >= lambda; +infinity when abstaining */
    double coverage, risk; /* share decided alone, and error among it, on the calibration set; risk
                              NaN when abstaining */
    size_t n_tested;
    /* The last threshold tested: examples at or above it, errors among them, exact upper bound. */
    double last_lambda, last_bound;
    size_t last_n, last_errors;
} selective_result;

/* V:selective_judge. confidence, error [n] of the calibration set (error: the judge disagreed with
 * the expert). Distinct confidences are tested from high to low; the FIRST bound above alpha stops;
 * the last passing one is lambda; none: abstain on everything. With probability >= 1 - delta,
 * P(agree | not abstained) >= 1 - alpha. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status selective_judge(agon_ctx *ctx, const double *confidence,
                                            const bool *error, size_t n,
                                            const selective_options *options,
                                            selective_result *out);
/* Raises the threshold to the judge's own verdict: the lowest confidence that decides is one of `own` [n], the calibration items on which the judge, its
 * scores calibrated, thinks this verdict the likelier one. Without that a good judge's threshold falls until alpha of what it decides is wrong, far
 * into what it does not believe itself. Fewer than n_min at or above it: abstain. Every threshold tested above lambda passed too, so the promise holds. */
void selective_own(const double *confidence, const bool *error, const bool *own, size_t n, size_t n_min, selective_result *r);
/* The fewest examples that without an error show one below alpha at risk delta, both in (0, 1). */
size_t selective_least(double alpha, double delta);
/* True when this confidence may decide alone under the result. */
bool selective_decides(const selective_result *r, double confidence);

#endif

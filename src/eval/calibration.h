/* Does a confidence mean what it says? Error of confidences, and maps that mend them (spec:
 * loop 3.7).
 *
 * A confidence is P(the judged answer is correct), in [0, 1]; logits are clamped to confidences in
 * [1e-6, 1 - 1e-6]. */
#ifndef EVAL_CALIBRATION_H
#define EVAL_CALIBRATION_H

#include "agon.h"
#include <jansson.h>

/* Expected calibration error over 10 right-closed bins and Brier score (V:ece_brier); [n], n >= 1.
 */
double calibration_ece(const double *confidence, const bool *correct, size_t n);
double calibration_brier(const double *confidence, const bool *correct, size_t n);
/* Mean negative log likelihood, confidences clamped as above. */
double calibration_nll(const double *confidence, const bool *correct, size_t n);

typedef enum calibrator_kind {
    CALIBRATOR_IDENTITY,    /* never fitted */
    CALIBRATOR_TEMPERATURE, /* sigmoid(logit / t), t in [0.05, 20] */
    CALIBRATOR_PLATT,       /* sigmoid(a logit + b), smoothed targets */
    CALIBRATOR_ISOTONIC,    /* steps by pooling adjacent violators */
} calibrator_kind;

/* A fitted map. Zero is the identity. Free with calibrator_free. */
typedef struct calibrator {
    calibrator_kind kind;
    double t, a, b;
    double *from,
        *value; /* isotonic: value[i] for confidences in [from[i], from[i+1]); [n_steps] */
    size_t n_steps;
    size_t n_fitted;            /* examples it was fitted on */
    double cross_validated_nll; /* of calibrator_fit, else 0 */
} calibrator;

void calibrator_free(calibrator *c);
double calibrator_apply(const calibrator *c, double confidence);
const char *calibrator_kind_name(calibrator_kind kind);

/* One kind on all examples. AGON_EINVAL: n = 0 or a confidence outside [0, 1]; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status calibrator_fit_kind(agon_ctx *ctx, calibrator_kind kind,
                                                const double *confidence, const bool *correct,
                                                size_t n, calibrator *out);
/* The kind with the least negative log likelihood in 5-fold cross-validation (ties: the simpler),
 * fitted on all. Examples of one group (a query) share a fold; groups NULL: each its own. Folds
 * depend on `seed` and group only. */
AGON_MUST_CHECK agon_status calibrator_fit(agon_ctx *ctx, const double *confidence,
                                           const bool *correct, const uint64_t *groups, size_t n,
                                           uint64_t seed, calibrator *out);

/* For the store's calibration record: new JSON object, NULL on memory. */
json_t *calibrator_to_json(const calibrator *c);

#endif

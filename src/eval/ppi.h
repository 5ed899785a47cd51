/* Prediction-powered inference: a difference between two versions from many judgements and few
 * expert labels (Angelopoulos et al. 2023, 2301.09633; power tuning 2311.01453; spec: gate.md).
 * The labels are of a simple random subset: the gate draws them so, and what was labelled for another purpose never enters.
 *
 * Judge difference of an item: f_candidate - f_incumbent, each P(correct) in [0, 1]. True
 * difference: y_candidate - y_incumbent in {-1, 0, 1}, from an expert who labels both answers of an
 * item. */
#ifndef EVAL_PPI_H
#define EVAL_PPI_H

#include "agon.h"
#include "eval/interval.h"

typedef struct ppi_estimate {
    double estimate, standard_error;
    interval range;
} ppi_estimate;

typedef struct ppi_result {
    size_t n_labelled, n_unlabelled;
    size_t n_known; /* ppi_stratified; else 0 */
    double lambda; /* 0: labels only, 1: plain prediction-powered */
    ppi_estimate tuned, plain, labels_only, judge_only;
} ppi_result;

/* F1, labels of a simple random subset (V:gate.ppi_paired). unlabelled [n_unlabelled] and labelled
 * [n_labelled] judge differences, truth [n_labelled]. Intervals at 1 - alpha with Student's t,
 * n_labelled - 1 degrees of freedom. With no unlabelled items the estimate is labels-only.
 * AGON_EINVAL: n_labelled < 2, one unlabelled item alone, or a value outside [-1, 1]. */
AGON_MUST_CHECK agon_status ppi_paired(agon_ctx *ctx, const double *unlabelled, size_t n_unlabelled,
                                       const double *labelled, const double *truth,
                                       size_t n_labelled, double alpha, ppi_result *out);

/* The same of items in two parts: of the one all true differences are known (a verifier gave
 * them), known [n_known]; the other is labelled in part, as above, and lambda is its own. Each part
 * weighs as many items as it has. Student's t at the degrees of freedom of Welch and Satterthwaite;
 * the variance of a single known item is its square. n_known = 0: ppi_paired. Errors as there. */
AGON_MUST_CHECK agon_status ppi_stratified(agon_ctx *ctx, const double *known, size_t n_known,
                                           const double *unlabelled, size_t n_unlabelled,
                                           const double *labelled, const double *truth,
                                           size_t n_labelled, double alpha, ppi_result *out);

#endif

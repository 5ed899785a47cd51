/* The auxiliary confidence loss over the logits of a step's rows (Burns et al. 2023, arXiv 2312.09390, section 4.3.2 and appendix A.4),
 * whatever the logits are read from:
 *
 *   loss = (1-a)*CE(f, weak label) + a*CE(f, hard_t(f)),   no gradient through hard_t
 *   threshold 0: t = median of the batch's P(1), so that half the batch is positive
 *             1: t = the quantile at 1 - mean weak label (prior matched); hard = P(1) > t
 *             2: as released: class 0 is hard where P(0) >= the quantile of P(0) at the mean weak label
 *   schedule  0: a ramps linearly from 0 to alpha over the first `warmup` of the steps (paper: 0.2)
 *             1: as released: alpha*progress until `warmup`, then alpha at once (a jump; a known defect)
 *
 * The batch is the whole optimiser step, as the threshold needs it: 32 examples or more (an epoch's last, or a file of fewer rows, makes
 * it smaller). Quantiles interpolate linearly. The ramp counts from the first step, whatever the learning rate's warm-up; the appendix's
 * constants are as recalled (training.md 10.3). a = 0 is cross-entropy. */
#ifndef OBJECTIVE_CONFIDENCE_H
#define OBJECTIVE_CONFIDENCE_H

#include "objective/common.h"

enum { CONFIDENCE_ALPHA, CONFIDENCE_THRESHOLD, CONFIDENCE_SCHEDULE, CONFIDENCE_WARMUP, CONFIDENCE_PROGRESS, N_CONFIDENCE_OPTIONS };
enum { CONFIDENCE_BATCH = 32 };
/* The first options of an objective with this loss, in that order. */
#define CONFIDENCE_OPTIONS                                                                                                                   \
    {"alpha", 0.5, 0, 1, "largest weight of the student's own hard labels (paper: 0.75 for the largest students)", ANY_NUMBER},             \
    {"threshold", 1, 0, 2, "0: batch median, 1: quantile that matches the weak labels' prior, 2: as released", WHOLE_NUMBER},               \
    {"schedule", 0, 0, 1, "0: linear ramp, 1: as released, which goes with warmup=0.1", WHOLE_NUMBER},                                      \
    {"warmup", 0.2, 0, 1, "share of the steps until alpha is reached", ANY_NUMBER},                                                         \
    {"progress", 1, 0, 1, "share of the steps done; the trainer sets it", ANY_NUMBER}

/* One row: the logit of class 1, P(class 1) by the supervisor, its share of the step's weight; out: loss and derivative by the logit,
 * the share among it. */
typedef struct confidence_row {
    double logit, label, share, loss, d;
} confidence_row;

/* A loss of the rows that `read` makes of each row; `write` puts a row's derivative back. Fills out. AGON_ENUMERIC, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status confidence_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                                            confidence_row (*read)(const double *options, const row *r, double total),
                                            void (*write)(const double *options, const row *r, double d), double total,
                                            objective_result *out);

#endif

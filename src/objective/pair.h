/* The pairwise preference family: S, reference and length of both sides, one loop for all.
 *
 * A member gives a function of one pair as `pair`, and pair_loss as `loss`, which sums it with row weights and turns d loss/d S into
 * per-token gradients. Notation: training.md 0.1. */
#ifndef OBJECTIVE_PAIR_H
#define OBJECTIVE_PAIR_H

#include "objective/common.h"

typedef struct pair {
    double s_w, s_l;     /* sum of M*log_prob, chosen and rejected */
    double ref_w, ref_l; /* the same under the reference; 0 when the member needs none */
    double n_w, n_l;     /* supervised lengths */
    double log_ratio_w, log_ratio_l; /* S - S_ref */
    double h;            /* log_ratio_w - log_ratio_l */
    double label;        /* of the chosen side: probability that it is the better one; NAN: none */
    double given_w, given_l; /* rewards that came with the row; NAN: none */
} pair;

typedef struct pair_term {
    double loss, d_w, d_l;       /* d loss / d S of either side */
    double reward_w, reward_l;   /* implicit rewards, for the metrics */
} pair_term;

/* Weighted mean of self->pair over the rows; losses, gradients and the usual metrics. */
AGON_MUST_CHECK agon_status pair_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows,
                                      size_t n_rows, objective_result *out);
/* Sum of pair weights. */
double pair_normaliser(const double *options, const row *rows, size_t n_rows);

/* A loss that sees the margin h only; d: its derivative by h. */
pair_term pair_of_margin(const pair *p, double beta, double loss, double d);
/* z -> -(1-e)*logsig(z) - e*logsig(-z) and its derivative, on z = beta*h. */
pair_term pair_logistic(const pair *p, double beta, double label_smoothing);

#endif

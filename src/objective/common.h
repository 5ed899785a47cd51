/* What objectives share: stable primitives, input checks, masked sums.
 *
 * Only the primitives of training.md 0.2 are used to form a loss: never log(softmax) or log(sigmoid). */
#ifndef OBJECTIVE_COMMON_H
#define OBJECTIVE_COMMON_H

#include "base/ctx.h"
#include "objective/objective.h"
#include <math.h>

/* log sigmoid(z) = min(z, 0) - log1p(exp(-|z|)). */
static inline double logsig(double z) {
    return fmin(z, 0.0) - log1p(exp(-fabs(z)));
}

static inline double sigmoid(double z) {
    if (z >= 0)
        return 1.0 / (1.0 + exp(-z));
    double e = exp(z);
    return e / (1.0 + e);
}

/* log(1 - exp(a)), a < 0 (Maechler 2012). */
static inline double log1mexp(double a) {
    return a > -M_LN2 ? log(-expm1(a)) : log1p(-exp(a));
}

double logsumexp(const double *x, size_t n);

/* order [n]: the places of rewards [n] by falling value, equal ones as they stand; by_rank [n]: the rewards in that order. */
void rank_rewards(const double *rewards, size_t n, size_t *order, double *by_rank);
/* How many of by_rank [n], n >= 1, equal the first. */
size_t n_tied(const double *by_rank, size_t n);

static inline double token_weight(const response *r, size_t t) {
    return r->mask ? r->mask[t] : 1.0;
}

/* sum M*x, [n]. */
double masked_sum(const response *r, const double *x);
/* The token a head over the whole response is read at: the last with a mask above 0; n when there is none. */
size_t last_token(const response *r);
/* The only output of a reward head at that token. */
static inline double head_reward(const response *r) {
    return r->head[last_token(r)];
}
/* d head = d at that token, all other gradients of the response 0. */
void head_gradient(response *r, double d);
/* AGON_EINVAL unless every response has a head of `n_head` outputs (0: any number) and a token to read it at. */
AGON_MUST_CHECK agon_status heads_check(agon_ctx *ctx, const objective *self, size_t n_head, const row *rows,
                                        size_t n_rows);
/* Supervised length: sum M. */
double masked_length(const response *r);
/* d_log_prob[t] = d * M[t]: the gradient of a loss that sees only S = sum M*log_prob. */
void sequence_gradient(response *r, double d);
void clear_gradient(response *r);
/* Row weight times the weights of its responses (a pair is one example). */
double pair_weight(const row *r);
/* Sum of row weights: the normaliser where a row is one example. */
double row_normaliser(const double *options, const row *rows, size_t n_rows);
/* The same with the weight of each response. */
double response_normaliser(const double *options, const row *rows, size_t n_rows);

/* Checks shapes, ranges and finiteness of all rows against what the objective takes and, under these options, needs.
 * AGON_EINVAL or AGON_ENUMERIC, naming row and field. */
AGON_MUST_CHECK agon_status rows_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows,
                                       size_t n_rows);
/* AGON_EINVAL when every weight is 0, so that the mean does not exist. */
AGON_MUST_CHECK agon_status weight_check(agon_ctx *ctx, const objective *self, double total);
AGON_MUST_CHECK agon_status loss_check(agon_ctx *ctx, const objective *self, size_t index, double loss);

/* Appends a metric; `name` static. */
void metric_add(objective_result *out, const char *name, double value);

#endif

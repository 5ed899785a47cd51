/* What the rewards of held-out pairs say of a reward model: how often it ranks rightly, whether its gaps mean what they say, and whether it
 * counts words (spec: training 2, metrics). */
#ifndef EVAL_REWARD_PAIRS_H
#define EVAL_REWARD_PAIRS_H

#include "agon.h"

/* Rewards and lengths (tokens) of the side that is labelled better and of the other. */
typedef struct reward_pair {
    double better, worse, n_better, n_worse;
    double margin; /* how much better it is labelled; NAN: nobody said */
} reward_pair;

/* -log sigmoid(better - worse), nats. */
double reward_pair_loss(const reward_pair *p);

enum { N_MARGIN_BINS = 5 }; /* 0 to 0.5, 1, 2, 4 and beyond; a value on an edge belongs to the upper bin */
typedef struct margin_bin {
    double from, to; /* to: infinity in the last */
    size_t n, n_right;
} margin_bin;

typedef struct reward_report {
    size_t n, n_right; /* right: the better side has the larger reward; equal rewards are no order, so not right */
    double loss;       /* mean of -log sigmoid(better - worse), nats: Bradley and Terry's, and dpo's of implicit rewards */
    double ece, brier; /* of sigmoid(|gap|) as the probability that the ranking is right, ece over 10 bins (calibration.h) */
    margin_bin by_gap[N_MARGIN_BINS], by_label[N_MARGIN_BINS]; /* by |gap| of the rewards, and by the labelled margin */
    size_t n_labelled;                                         /* pairs with such a margin */
    double mean, deviation;                                    /* of all rewards */
    double length_correlation;                                 /* of reward and length; 0 where one does not vary */
    size_t n_matched, n_matched_right; /* pairs whose lengths differ by at most a tenth of the longer: length cannot decide them */
} reward_report;

/* pairs [n], n >= 1, rewards finite. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status reward_report_make(agon_ctx *ctx, const reward_pair *pairs, size_t n, reward_report *out);

#endif

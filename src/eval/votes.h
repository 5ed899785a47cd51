/* Labels from several sources of known reliability: log-odds votes (Nitzan, Paroush 1982; spec: training 5 and 6). */
#ifndef EVAL_VOTES_H
#define EVAL_VOTES_H

#include "agon.h"

/* ln(c / (1-c)) of a source that is right with probability c, c held in [limit, 1-limit] so that no single source
 * decides alone on an estimate of 0 or 1 (weak supervisors: limit 0.05). */
double vote_weight(double accuracy, double limit);

typedef struct vote_result {
    double score;     /* sum of signed weights */
    double posterior; /* sigmoid(score): probability of class 1 under independent errors and an even prior */
    bool label;
} vote_result;
/* votes [n]: 1, 0 or NAN (none). Sources of one `cluster` [n] (say, judges of one model family) are no independent
 * witnesses: their mean counts as one vote; NULL: all independent. V:noise.mixed_feedback, V:w2s.weak_ensemble. */
vote_result votes_fuse(const double *accuracy, const double *votes, const size_t *cluster, size_t n, double limit);

/* Row weight |2q-1| of a soft label q; 0 drops the row. */
double confidence_weight(double q);
/* (sum w)^2 / sum w^2: how many equally weighted items the weights are worth; 0 where all are 0. */
double effective_sample_size(const double *weights, size_t n);

#endif

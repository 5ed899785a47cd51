/* How much of the gap between a weak supervisor and the ceiling a student recovers (Burns et al. 2023, 2312.09390). */
#ifndef EVAL_RECOVERY_H
#define EVAL_RECOVERY_H

#include "agon.h"
#include "eval/interval.h"

/* PGR = (student - weak) / (ceiling - weak); NAN where the ceiling is not above the weak supervisor (V:w2s.pgr). */
double gap_recovered(double weak, double student, double ceiling);

typedef struct gap_recovery {
    double weak, student, ceiling; /* means over seeds and items */
    double pgr;                    /* of those means; NAN when undefined */
    interval range;                /* the wider of a percentile bootstrap over seeds and, jointly, items, and Student's over seeds
                                    * (over_seeds.h); of one seed over items alone; NAN bounds when undefined */
    double gap, gap_se;            /* ceiling - weak; its standard error, the larger of the bootstrap's and that over seeds */
    bool gap_is_noise;             /* gap below two standard errors: the PGR means little */
    size_t n_undefined;            /* draws without a gap; they are left out of the range */
} gap_recovery;
/* Scores in [0, 1] of the same test items, each [n_seeds, n_items]. AGON_EINVAL: nothing to measure, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status gap_recovery_measure(agon_ctx *ctx, const double *weak, const double *student,
                                                 const double *ceiling, size_t n_seeds, size_t n_items,
                                                 size_t draws, uint64_t seed, double alpha, gap_recovery *out);

/* Agreement of student and supervisor, by whether the supervisor is right: a student that imitates errors agrees on
 * wrong items too. Labels [n]; NAN where there are no such items. */
typedef struct imitation {
    double agree_right, agree_wrong, error_correlation;
} imitation;
imitation imitation_measure(const int *weak, const int *student, const int *truth, size_t n);

#endif

/* The experiment preference-noise, in parts: see preference_noise.c. */
#ifndef EXPERIMENT_PREFERENCE_NOISE_H
#define EXPERIMENT_PREFERENCE_NOISE_H

#include "experiment/lab.h"

enum { MAX_RATES = 8, MAX_VARIANTS = 66, N_FOLDS = 4 };
/* What the judges conclude behind the pairs' soft labels: the estimated rate, and the epochs after which to stop. */
enum { JUDGED_RATE, JUDGED_EPOCHS, N_JUDGED };

typedef enum measure { RANKED, GOLD, RIGHT, N_MEASURES } measure;

typedef enum told { TOLD_NOTHING, TOLD_RATE, TOLD_ESTIMATE, TOLD_LABELS, TOLD_SHARE } told; /* share: how many pairs a learner leaves out */
typedef struct method {
    const char *name, *objective;
    told told;
    bool stops; /* after the epochs that the judges chose, not after all */
} method;

/* A method as it is run: those told the rate once for each factor. */
typedef struct variant {
    const method *method;
    double factor;
    char name[40];
} variant;

/* Held-out sources by whether their like was swapped; one group where all are. */
typedef enum group { EVERYWHERE, INSIDE, OUTSIDE, N_GROUPS } group;

typedef struct swaps {
    lab *l;
    size_t n_pairs, n_test, n_all, n_samples, n_rates, n_variants, n_groups, batch, epochs, steps, draws;
    variant variants[MAX_VARIANTS];
    int subgroup; /* domain; -1: noise is random */
    double rates[MAX_RATES], lr, blur, beta;
    sequence_item *sources;       /* [n_seeds, n_all] true statements: n_pairs to learn from, then the n_test, the same under every seed */
    sequence_item *right, *wrong; /* the same: the better and the worse completion */
    double *base_scores;          /* [n_seeds, N_MEASURES, n_test] */
    double *soft;                 /* [n_seeds, n_rates, n_pairs + N_JUDGED] q of each pair, then the estimated rate and the epochs after which to stop */
    double *scores;               /* [n_seeds, n_rates, n_variants, N_MEASURES, n_test] */
} swaps;

/* The held-out ones of x's sources, right or wrong, under a seed. [n_test] */
const sequence_item *swaps_test_of(const swaps *x, size_t seed, const sequence_item *which);
/* Whether a source's like are swapped. */
bool swaps_is_inside(const swaps *x, const sequence_item *source);
/* Probability with which a pair of the subgroup is swapped at a total rate; above 1 where the subgroup is too small. */
double swaps_rate_inside(const swaps *x, size_t seed, double rate);
/* The pairs as the learner gets them, [n_pairs] each: some are swapped. */
void swaps_pairs(const swaps *x, size_t seed, size_t rate, bool *flipped, sequence_item *chosen, sequence_item *rejected);
/* Scores of a variant's policy, [N_MEASURES, n_test]. */
double *swaps_scores(const swaps *x, size_t seed, size_t rate, size_t v);

/* Which pairs are right, out of sample: fills `soft` of the i-th of [n_seeds, n_rates]. A lab_work on swaps. */
AGON_MUST_CHECK agon_status swaps_judge(void *of, agon_ctx *ctx, size_t i);

/* The figures of all scores, and their picture. *result new. */
AGON_MUST_CHECK agon_status swaps_report(const swaps *x, json_t **result);

#endif

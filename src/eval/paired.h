/* Two versions on the same items: differences, tests, non-inferiority.
 *
 * A table counts items by what the new and the old version did: `both` right, `gained` (new right,
 * old wrong), `lost` (new wrong, old right), `neither`. `same`: both did the same and nobody knows
 * whether it is right, both or neither.
 *
 * Which interval: one answer an item (the gate) takes paired_difference, Newcombe's hybrid score
 * method 10, because it keeps its coverage near 0 and 1 and for few discordant items, where
 * percentile bootstrap intervals are too short. Several samples an item takes paired_bootstrap over
 * items' means (spec: loop 0.6). */
#ifndef EVAL_PAIRED_H
#define EVAL_PAIRED_H

#include "agon.h"
#include "eval/interval.h"

typedef struct paired_table {
    size_t both, gained, lost, neither, same;
} paired_table;

size_t paired_n(const paired_table *t);
/* Counts an item that the two versions got right or not; items of [n]. */
void paired_add(paired_table *t, bool now, bool before);
paired_table paired_count(const bool *now, const bool *before, size_t n);
/* Share of the new minus share of the old; 0 when empty. */
double paired_gain(const paired_table *t);

/* Interval of paired_gain (Newcombe 1998, method 10), the widest that any truth about the `same` items
 * gives; [-1, 1] when empty. */
interval paired_difference(const paired_table *t, double alpha);
/* The same as of n items, which need not be a whole number, of the table's shares; n > 0, and the table is not empty. */
interval paired_difference_at(const paired_table *t, double n, double alpha);

/* McNemar's test (V:mcnemar): two-sided exact p. */
double mcnemar_exact(size_t gained, size_t lost);
/* Exact p of H0 "no gain" against "the new version is better": P(Bin(gained + lost, 1/2) >=
 * gained). */
double mcnemar_one_sided(size_t gained, size_t lost);

/* Mean of x - y with its percentile interval, items resampled `draws` times (V:paired_bootstrap);
 * x, y [n], n >= 1: an item's mean over its samples. AGON_EINVAL: n = 0 or draws = 0. AGON_ENOMEM.
 */
typedef struct bootstrap_result {
    double mean;
    interval range;
} bootstrap_result;
AGON_MUST_CHECK agon_status paired_bootstrap(agon_ctx *ctx, const double *x, const double *y,
                                             size_t n, size_t draws, uint64_t seed, double alpha,
                                             bootstrap_result *out);
/* The same of one series (y = 0). */
AGON_MUST_CHECK agon_status mean_bootstrap(agon_ctx *ctx, const double *x, size_t n, size_t draws,
                                           uint64_t seed, double alpha, bootstrap_result *out);

/* Non-inferiority (V:noninferiority_tango; Tango 1998): H0 new - old <= -margin. */
typedef struct noninferiority {
    double difference, z, p;
    double lower; /* one-sided lower bound at alpha of the difference */
    bool holds;   /* p < alpha */
} noninferiority;
noninferiority noninferiority_tango(size_t gained, size_t lost, size_t n, double margin,
                                    double alpha);
/* The same as of n items of the table's shares, which need not be a whole number; n > 0, and the table is not empty. */
noninferiority noninferiority_tango_at(const paired_table *t, double n, double margin, double alpha);

/* Items needed when the true difference is 0 (V:noninferiority_sample_size): psi is the share of
 * discordant items. */
size_t noninferiority_sample_size(double psi, double margin, double alpha, double power);

#endif

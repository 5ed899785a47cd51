/* Which rows, samples and pairs to learn from (spec: training 4 and 5). */
#ifndef TRAIN_SELECTION_H
#define TRAIN_SELECTION_H

#include "agon.h"

/* The n_keep smallest of values [n], ties by index, as ascending indices into picked [n_keep]. Of losses: small-loss
 * selection (normalise by length first); of -|2q-1|: the most confident labels. AGON_EINVAL: n_keep > n or a value that
 * is not finite; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status select_smallest(agon_ctx *ctx, const double *values, size_t n, size_t n_keep,
                                            size_t *picked);
/* Share kept at step t: 1 - tau * min(t / ramp, 1) (Han et al. 2018, 1804.06872). */
double small_loss_share(double tau, double t, double ramp);
/* How many of n items that is: floor(share * n), but one at least where there are any. */
size_t small_loss_count(double share, size_t n);
/* Co-teaching: each learner trains on the small_loss_count(share, n) items with the other's smallest losses. a_trains_on,
 * b_trains_on [n], the first *n_keep written (V:noise.co_teaching). */
AGON_MUST_CHECK agon_status co_teaching(agon_ctx *ctx, const double *loss_a, const double *loss_b, size_t n,
                                        double share, size_t *a_trains_on, size_t *b_trains_on, size_t *n_keep);

/* Best and worst of n scored samples, ties by lowest index; false when all scores are equal: such a prompt teaches no
 * preference (V:online.pair_selection). */
bool select_pair(const double *scores, size_t n, size_t *chosen, size_t *rejected);

/* Statistical rejection sampling (Liu et al. 2023, 2309.06657, algorithm 1): sweeps over the candidates not yet taken, in
 * order; one is accepted when uniform() < exp((r - max) / beta), max over those that were left when the sweep began,
 * until `wanted` are. beta 0 takes the best, beta infinite plain samples. accepted [wanted], in order of acceptance
 * (V:rso.sampling). AGON_EINVAL: wanted > n, beta < 0, a reward that is not finite. */
typedef double (*uniform_source)(void *arg);
AGON_MUST_CHECK agon_status rejection_sample(agon_ctx *ctx, const double *rewards, size_t n, double beta, size_t wanted,
                                             uniform_source uniform, void *arg, size_t *accepted);
/* rejection_sample's uniform over an rng *. */
double uniform_of_rng(void *arg);
/* Pairs of `wanted` samples that rejection_sample accepts of n, from the stream of `seed`: first with second, third with fourth ..., the better
 * reward first; equal rewards make no pair, and an odd last one none. pairs [wanted / 2] of indices, *n_pairs. Errors as rejection_sample. */
AGON_MUST_CHECK agon_status rejection_pairs(agon_ctx *ctx, const double *rewards, size_t n, double beta, size_t wanted, uint64_t seed,
                                            size_t (*pairs)[2], size_t *n_pairs);

/* Bins of n documents by best-fit decreasing: the longest first, each into the fullest bin it fits, ties by the oldest.
 * bin [n]; *n_bins. A document longer than capacity has a bin of its own. AGON_ENOMEM (V:sft.packing). */
AGON_MUST_CHECK agon_status pack_best_fit(agon_ctx *ctx, const size_t *lengths, size_t n, size_t capacity, size_t *bin,
                                          size_t *n_bins);

#endif

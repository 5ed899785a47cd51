/* Samples of a policy and their rewards as rows, by the rows the objective takes:
 *
 *   group of K     the K samples of a prompt with their rewards (grpo, gspo, rloo, reinforce++, exo-rw, pro)
 *   single         each sample with its reward, log_probs and, where the objective reads values, values at sampling (ppo); for an
 *                  objective that reads labels, label 1 where the reward is at least 1/2 (kto)
 *   pair           the best and the worst of K, ties dropped (dpo and its kin: OAIF, 2402.04792) */
#ifndef TRAIN_SAMPLES_H
#define TRAIN_SAMPLES_H

#include "base/memory.h"
#include "train/train.h"

typedef struct sample_rows {
    agon_ctx *ctx;
    arena *memory; /* of the rows' responses; what these point to stays the caller's */
    const objective *objective;
    unsigned needs; /* of the objective with its options */
    train_row *rows;
    size_t n; /* rows so far; the caller has room for one a sample */
} sample_rows;

/* The objective learns from pairs and from nothing else. */
bool samples_make_pairs(const objective *o);
/* AGON_EINVAL: the objective does not learn from samples and rewards. */
AGON_MUST_CHECK agon_status samples_check(agon_ctx *ctx, const objective *o, unsigned needs);
/* Adds the rows of one prompt's samples [k], each with its reward; none for a pair whose sides would be worth the same, or be the same. */
AGON_MUST_CHECK agon_status samples_add(sample_rows *to, const int32_t *prompt, size_t n_prompt, const train_response *samples, size_t k);
/* Adds one pair, unless its sides are the same. */
AGON_MUST_CHECK agon_status samples_add_pair(sample_rows *to, const int32_t *prompt, size_t n_prompt, train_response chosen,
                                             train_response rejected);

#endif

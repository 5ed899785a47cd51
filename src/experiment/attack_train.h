/* An attacker that learns from what its attacks do (Perez et al. 2022, 2202.03286; Hong et al. 2024, 2402.19464; spec: loop 2.2d, 2.3).
 *
 *   reward = max(0, failed - plain) - similarity * mean(BLEU-3, BLEU-4, BLEU-5 against all attacks of the rounds before) - invalid * (1 where it is no valid attack)
 *
 * by online GRPO. `failed` is the share of the learner's answers to the attack that fail, `plain` of its answers to the query as it is: a query that fails anyway is
 * nothing that the attack found. Never below 0, so that a valid attack which helps the learner is worth no less than one that is none. An attack that is not valid
 * adds nothing. What an attack is, whether it is valid and what it does, the caller says: here are the reward, the archive of past attacks, and the state from
 * which a run goes on to the same bits. */
#ifndef EXPERIMENT_ATTACK_TRAIN_H
#define EXPERIMENT_ATTACK_TRAIN_H

#include "train/online.h"

typedef struct attack_attempt {
    char *words;   /* UTF-8, what the attacker wrote of its own, which is compared; new, the training frees it */
    bool valid;
    double failed; /* in [0, 1] */
    double plain;  /* the same of its query without an attack */
} attack_attempt;

/* Means over a round's attempts. */
typedef struct attack_round {
    double valid, failed, similarity, reward;
    double added; /* max(0, failed - plain) of those that are valid, 0 of the others */
    double kl; /* to where training began, at sampling */
} attack_round;

/* What is attacked. Any status but AGON_OK stops. */
typedef struct attack_target {
    /* As of online_sink. */
    agon_status (*prompts)(void *arg, size_t round, online_prompt *out);
    /* What the samples [n_prompts, n_samples] are worth, out of the same shape, zeroed. */
    agon_status (*judge)(void *arg, size_t round, const completion *samples, attack_attempt *out);
    /* State after each round, to be stored durably; borrowed for the call. NULL: none. */
    agon_status (*keep)(void *arg, const void *data, size_t n);
    agon_status (*on_round)(void *arg, size_t round, const attack_round *r); /* from 0; NULL: none */
    void *arg;
} attack_target;

typedef struct attack_options {
    online_options online; /* an objective that takes groups; no_end_penalty 0 */
    double similarity, invalid; /* weights of the penalties, 0 or more */
    bool all_failures;                 /* `failed` is rewarded, without `plain` taken off */
} attack_options;

/* Trains the adapter `a` of m. rounds [n_rounds]: of all rounds, also of those before. `resume` [n_resume]: bytes of `keep`, NULL to start; AGON_EFORMAT where they
 * are none, AGON_EMISMATCH of other options; else as online_train. */
AGON_MUST_CHECK agon_status attack_train(agon_ctx *ctx, model *m, adapter *a, const attack_options *options, const attack_target *target,
                                         const void *resume, size_t n_resume, attack_round *rounds);

#endif

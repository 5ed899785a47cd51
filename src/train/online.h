/* Online training: rounds of sampling from the policy, rewarding, training. One driver for every objective; what a round's samples
 * become follows from the rows the objective takes (samples.h). For `spin` the demonstration is chosen above the first own sample
 * (2401.01335); with `demonstrations` it is chosen above every own sample that fails. For rso-sigmoid and rso-hinge, or where n_accept
 * asks for it, pairs are the samples that rejection sampling accepts, two by two (2309.06657).
 *
 * Groups and singles are measured against `reference` (KL to where training began), pairs against the policy at the start of the round.
 * A round is a function of (options, seed, the round's number, the state before it), so a run stopped anywhere goes on from its last
 * stored round to the same bits. */
#ifndef TRAIN_ONLINE_H
#define TRAIN_ONLINE_H

#include "generate/generate.h"
#include "train/train.h"

typedef struct online_prompt {
    const int32_t *tokens; /* [n], n >= 1 */
    size_t n;
    const int32_t *demonstration; /* [n_demonstration] an answer as a person would give it; spin and `demonstrations` need it, else NULL */
    size_t n_demonstration;
} online_prompt;

enum { ROUND_SAMPLES_MAX = 1 << 24 };

typedef struct online_options {
    train_options train; /* of one round: objective, epochs, batch_rows, lr, seed ...; its temperature is the sampler's too */
    size_t n_rounds, n_prompts, n_samples, max_tokens;
    double no_end_penalty; /* taken from the reward of a sample that reached max_tokens (1) */
    bool span_rewards;     /* ask for rewards of single tokens, as they are before they are held: |sum| <= 0.5 * std(reward) * sqrt(tokens) */
    double kl_target, kl_horizon; /* the objective's beta follows the KL (Ziegler et al. 2019, 2.2); horizon 0: it is fixed */
    /* Objectives on pairs: how many of a prompt's samples rejection sampling accepts, at temperature rso_beta (selection.h). 0: half of
     * them for the objectives of RSO, at least 2; the best and the worst for the others. */
    size_t n_accept;
    double rso_beta;
    /* Objectives on pairs, spin too: a pair for each sample whose reward, without the penalty, is under pass_reward; the prompt's
     * demonstration is chosen above it. */
    bool demonstrations;
    double pass_reward;
    size_t top_k;         /* samples are drawn from the likeliest; 0: from all. Objectives on pairs only: the others read the samples as draws of the uncut distribution */
    const char *const *stop; /* [n_stop] samples end with the token that completes the first of these texts, which is trained on too */
    size_t n_stop;
    lr_schedule schedule; /* of train.lr over the rounds; train.schedule is of one round's steps */
} online_options;

typedef struct online_report {
    size_t round, n_rounds; /* round from 1 */
    double reward, reward_std; /* of the samples, before penalties */
    double length, ended;      /* mean tokens; share that ended by themselves */
    double kl;                 /* mean over samples of the summed log-ratio to the reference, at sampling */
    double distinct;           /* share of different samples */
    double flat_groups;        /* share of prompts whose samples all have the same reward */
    double flagged, span_reward; /* share of samples with rewards of single tokens; mean over samples of their sum */
    size_t n_rows;             /* trained on */
    double beta, loss;         /* beta NAN: the objective has none */
} online_report;

/* What the driver asks of its caller. Any status but AGON_OK stops. */
typedef struct online_sink {
    /* Prompts of the 0-based round, out [n_prompts]; borrowed until the next call. */
    agon_status (*prompts)(void *arg, size_t round, online_prompt *out);
    /* Rewards of samples [n_prompts, n_samples], finite. */
    agon_status (*rewards)(void *arg, size_t round, const online_prompt *prompts, const completion *samples, double *rewards);
    agon_status (*on_round)(void *arg, const online_report *r);  /* may be NULL */
    agon_status (*on_step)(void *arg, const train_progress *p);  /* may be NULL */
    /* State after the round of `r`, to be stored durably; both borrowed for the call. Comes before on_round: a caller that keeps a list of
     * rounds writes it here, before the state, and cuts it to the state's rounds when it goes on. May be NULL. */
    agon_status (*on_state)(void *arg, const online_report *r, const void *data, size_t n);
    void *arg;
    /* With span_rewards: rewards of the tokens of sample i, out [n_tokens] zeroed. */
    agon_status (*token_rewards)(void *arg, size_t i, const completion *sample, double *out);
} online_sink;

/* Trains the adapter `a` of m. `reference`: NULL is m without adapter. `resume` [n_resume]: bytes of on_state, NULL to start;
 * AGON_EMISMATCH when they belong to other options. AGON_EINVAL: an objective that cannot learn from samples and rewards; AGON_ENUMERIC:
 * a reward that is not finite (round, prompt, sample). */
AGON_MUST_CHECK agon_status online_train(agon_ctx *ctx, model *m, adapter *a, const adapter *reference,
                                         const online_options *options, const online_sink *sink, const void *resume,
                                         size_t n_resume);

/* What online_train would refuse before its first round: options that do not go together, and a round's training that does not fit. */
AGON_MUST_CHECK agon_status online_check(agon_ctx *ctx, model *m, adapter *a, const online_options *options);

/* How many rounds a state of on_state has behind it; 0 where there is none. Read before its checksum: trust it once online_train does. */
size_t online_state_rounds(const void *data, size_t n);

#endif

/* A judge in online training: whom to ask, and what it said, kept. */
#ifndef API_ONLINE_JUDGE_H
#define API_ONLINE_JUDGE_H

#include "api/models.h"
#include "api/online_prompts.h"
#include "generate/generate.h"

/* A round's samples [n_prompts, n_samples]. */
typedef struct reward_question {
    size_t round;
    uint64_t seed; /* of the run */
    const prompt_item *prompts;
    const completion *samples;
    size_t n_prompts, n_samples;
} reward_question;

typedef struct online_judge online_judge;

/* *out new, NULL when `options` name no judge; m and `options` must outlive it. AGON_EINVAL: more than one, a repeat of what is not drawn. */
AGON_MUST_CHECK agon_status online_judge_open(agon_ctx *ctx, agon_model *m, const agon_online_options *options, online_judge **out);
void online_judge_free(online_judge *j);

/* Rewards of a round's samples, the same shape. A judge need not say the same twice, so its rewards are written to `path` before anything is made
 * of them, with the hash of the samples; asked again about these samples of this round, which an interrupted run samples to the same
 * bits, what is written there is returned and nobody is asked. *unjudged: share of samples that a model wrote no verdict on;
 * such a sample gets the mean of its prompt's others. */
AGON_MUST_CHECK agon_status online_judge_rewards(online_judge *j, const char *path, const reward_question *q, double *rewards,
                                                 double *unjudged);
/* Adds who judges to the description of a training. False: out of memory. */
bool online_judge_describe(const online_judge *j, json_t *into);
/* A training whose description `found` says nothing of the prompts of a model on this machine was begun with their version 1: it goes on with it,
 * and `own`, which online_judge_describe wrote, says nothing of them either. */
void online_judge_go_on(online_judge *j, const json_t *found, json_t *own);

#endif

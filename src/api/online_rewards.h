/* What rewards the samples of online training: the verifier of each prompt, one or several reward models, or a judge. */
#ifndef API_ONLINE_REWARDS_H
#define API_ONLINE_REWARDS_H

#include "api/online_judge.h"
#include "train/critique_spans.h"

typedef struct online_rewards online_rewards;

/* *out new; m and `options` must outlive it. AGON_EINVAL: a reward model without head, several without scales, an unknown ensemble rule, a
 * judge beside them. */
AGON_MUST_CHECK agon_status online_rewards_open(agon_ctx *ctx, agon_model *m, const agon_online_options *options, online_rewards **out);
void online_rewards_free(online_rewards *r);
/* Nothing but the prompts' verifiers rewards. */
bool online_rewards_by_verifier(const online_rewards *r);

/* Rewards of a round's samples. spans, NULL or one a sample: what the verifier cites in a sample that fails, worth -span_reward; empty elsewhere.
 * judged: the file of a judge's rewards (online_judge_rewards). */
AGON_MUST_CHECK agon_status online_rewards_give(online_rewards *r, const reward_question *q, const char *judged, double *rewards,
                                                text_span *spans);

/* Adds what the rewards are a function of to the description of a training; what is known of the last round's to its report:
 * "verified", "disagreement", "error_correlation", "unjudged". False: out of memory. */
bool online_rewards_describe(const online_rewards *r, json_t *into);
bool online_rewards_report(const online_rewards *r, json_t *into);
/* Rewards as the training that `found` describes has them, and so `own`, its description by this call (online_judge_go_on). */
void online_rewards_go_on(online_rewards *r, const json_t *found, json_t *own);

#endif

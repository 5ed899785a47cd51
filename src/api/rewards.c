/* agon.h, rewards: what a trained reward head says of completions. Each request is a tree, as in score.c. */
#include "api/models.h"
#include "api/options.h"
#include "api/requests.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/memory.h"
#include "train/row_spans.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct rewarder {
    agon_ctx *ctx;
    const model *m;
    const adapter *adapter;
    const scalar_head *head;
    workspace *work;
} rewarder;

static agon_status take_result(const rewarder *w, const float *hidden, size_t n, agon_reward_result *out) {
    out->token_rewards = calloc(n, sizeof *out->token_rewards);
    if (!out->token_rewards)
        return ctx_fail(w->ctx, AGON_ENOMEM, "out of memory for a result");
    scalar_head_forward(w->head, hidden, n, out->token_rewards);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(out->token_rewards[i]))
            return ctx_fail(w->ctx, AGON_ENUMERIC, "the reward after token %zu is not finite", i + 1);
    out->n_tokens = n;
    out->reward = out->token_rewards[n - 1];
    return AGON_OK;
}

enum { HIDDEN_FLOATS = 16 << 20 }; /* kept of a group's tokens */

static agon_status reward_group(const rewarder *w, const agon_score_request *requests, size_t n, agon_reward_result *results) {
    segment segments[2 * GROUP_REQUESTS];
    size_t n_segments = 0, n_tokens = 0, width = model_get_config(w->m)->d_model;
    for (size_t i = 0; i < n; i++) {
        const agon_score_request *r = &requests[i];
        int32_t parent = -1;
        if (r->n_prompt > 0) {
            parent = (int32_t)n_segments;
            segments[n_segments++] =
                (segment){.tokens = r->prompt, .n_tokens = r->n_prompt, .parent = -1, .adapter = w->adapter};
        }
        segments[n_segments++] = (segment){.tokens = r->completion, .n_tokens = r->n_completion, .parent = parent,
                                           .adapter = w->adapter, .wants = WANT_HIDDEN};
        n_tokens += request_length(r);
    }
    float *hidden = memory_new(size_mul(n_tokens, width), sizeof *hidden);
    if (!hidden)
        return ctx_fail(w->ctx, AGON_ENOMEM, "out of memory for %zu requests", n);
    const segment_batch batch = {segments, n_segments};
    const token_channels out = {.hidden = hidden};
    agon_status s = model_forward(w->ctx, w->m, w->work, &batch, &out);
    const float *at = hidden;
    for (size_t i = 0; !s && i < n; i++) {
        s = take_result(w, at + requests[i].n_prompt * width, requests[i].n_completion, &results[i]);
        at += request_length(&requests[i]) * width;
    }
    free(hidden);
    return s;
}

bool agon_has_reward(const agon_model *m, const agon_adapter *adapter) {
    return m && model_head_with(m->m, adapter ? adapter->a : NULL, HEAD_REWARD) != NULL;
}

agon_status agon_reward(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_score_request *requests,
                        size_t n, agon_reward_result *results) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of requests", requests, n}, {"the array of results", results, n});
    if (s)
        return s;
    rewarder w = {.ctx = ctx, .m = m->m, .adapter = adapter ? adapter->a : NULL};
    if (n > 0)
        memset(results, 0, n * sizeof *results);
    w.head = model_head_with(w.m, w.adapter, HEAD_REWARD);
    if (!w.head)
        return ctx_fail(ctx, AGON_EINVAL, "the model has no reward head; train one with agon train bt, plackett-luce, "
                        "rm-pointwise or prm, and give its folder");
    s = requests_check(ctx, w.m, requests, n);
    for (size_t i = 0; !s && i < n; i++)
        if (requests[i].n_completion == 0)
            s = request_name(ctx, ctx_fail(ctx, AGON_EINVAL, "there is no completion to reward"), i, n);
    if (!s)
        s = workspace_new(ctx, 0, &w.work);
    if (s)
        return s;
    const size_t most = HIDDEN_FLOATS / model_get_config(w.m)->d_model;
    for (size_t i = 0, take; !s && i < n; i += take) {
        take = requests_together(requests + i, n - i, most);
        s = reward_group(&w, requests + i, take, results + i);
    }
    for (size_t i = 0; s && i < n; i++)
        agon_reward_result_free(&results[i]);
    workspace_free(w.work);
    return s;
}

void agon_reward_result_free(agon_reward_result *r) {
    if (!r)
        return;
    free(r->token_rewards);
    *r = (agon_reward_result){0};
}

/* Rewards of one member, on its scale where there are others. */
static agon_status member_rewards(agon_ctx *ctx, const agon_model *m, const agon_adapter *member, size_t i, bool alone,
                                  const agon_score_request *requests, size_t n, double *out) {
    agon_reward_result *results = memory_new(n + 1, sizeof *results);
    if (!results)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rewards", n);
    const scalar_head *head = model_head_with(m->m, member ? member->a : NULL, HEAD_REWARD);
    const reward_scale scale = head ? scalar_head_scale(head) : (reward_scale){0};
    agon_status s = AGON_OK;
    if (!alone && head && !(scale.std > 0))
        s = ctx_fail(ctx, AGON_EINVAL, "reward model %zu has no scale, without which it cannot be compared with the others: agon train bt and "
                     "the like measure it (reward_scale.json of a folder); train it again", i + 1);
    if (!s)
        s = agon_reward(ctx, m, member, requests, n, results);
    for (size_t j = 0; j < n && !s; j++) {
        out[j] = alone ? results[j].reward : reward_scaled(&scale, results[j].reward);
        agon_reward_result_free(&results[j]);
    }
    free(results);
    return s;
}

double agon_reward_disagreement(const double *of_members, size_t n_members, size_t n, size_t i) {
    FP_ENVIRONMENT();
    return of_members && i < n && n_members ? ensemble_deviation(of_members, n_members, n, i) : NAN;
}

agon_status agon_reward_ensemble(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *members, size_t n_members,
                                 const char *rule_name, double strength, const agon_score_request *requests, size_t n,
                                 double *rewards, double *of_members) {
    FP_ENVIRONMENT();
    ensemble_rule rule;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of reward models", members, n_members}, {"the array of requests", requests, n},
                                  {"the array of rewards", rewards, n});
    if (s)
        return s;
    s = ensemble_rule_find(ctx, rule_name, strength, &rule);
    if (!s && n_members == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "an ensemble has one reward model or more");
    double *all = memory_new(size_mul(n_members + 1, n + 1), sizeof *all);
    if (!s && !all)
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rewards", n);
    for (size_t i = 0; i < n_members && !s; i++)
        s = member_rewards(ctx, m, members[i], i, n_members == 1, requests, n, all + i * n);
    if (!s) {
        ensemble_rewards(all, n_members, n, n_members > 1 ? rule : ENSEMBLE_MEAN, ensemble_strength(rule, strength), false, rewards);
        if (of_members)
            memcpy(of_members, all, n_members * n * sizeof *all);
    }
    free(all);
    return s;
}

agon_status agon_critique_join(agon_ctx *ctx, const char *response, const char *critique, char **text) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the response", response, 1}, {"the critique", critique, 1}, {"the place for the text", text, 1});
    if (s)
        return s;
    char *made = critique_join(response, critique, NULL);
    if (!made)
        return ctx_no_memory(ctx);
    *text = made;
    return AGON_OK;
}

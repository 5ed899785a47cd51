/* Rewards of online training, see online_rewards.h. */
#include "api/online_rewards.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MEMBERS = 64 };

struct online_rewards {
    agon_ctx *ctx;
    agon_model *m;
    const agon_online_options *options;
    agon_adapter *members[MAX_MEMBERS]; /* reward models */
    size_t n_members;
    online_judge *judge; /* NULL: none */
    /* of the last round; NAN: not known */
    double verified, disagreement, correlation, unjudged;
};

/* ---- reward models ------------------------------------------------------------------------------------------ */

static agon_status open_member(online_rewards *r, const char *folder) {
    if (r->n_members == MAX_MEMBERS)
        return ctx_fail(r->ctx, AGON_EINVAL, "more than %d reward models are not read", MAX_MEMBERS);
    agon_status s = agon_adapter_open(r->ctx, r->m, folder, &r->members[r->n_members]);
    if (s)
        return s;
    const scalar_head *head = adapter_head(r->members[r->n_members++]->a, HEAD_REWARD);
    if (!head)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s has no reward head; train one with agon train bt", folder);
    /* What a prm says of the last token alone is not the score of the answer, and a sample has no marks where its steps end. */
    if (scalar_head_scale(head).at_steps)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s was trained at the ends of steps (agon train prm), and whole answers are rewarded here; "
                        "train one on answers with agon train bt or rm-pointwise", folder);
    return AGON_OK;
}

static agon_status check_scales(online_rewards *r) {
    const agon_online_options *o = r->options;
    ensemble_rule rule;
    agon_status s = AGON_OK;
    if (r->n_members > 1)
        s = ensemble_rule_find(r->ctx, o->ensemble, o->ensemble_strength, &rule);
    else if (o->ensemble || o->ensemble_strength >= 0)
        s = ctx_fail(r->ctx, AGON_EINVAL, "an ensemble rule and its strength are for several reward models; name two or more, or leave them out");
    for (size_t i = 0; i < r->n_members && r->n_members > 1 && !s; i++) {
        bool first = r->options->reward_model != NULL;
        const char *folder = first && i == 0 ? r->options->reward_model : r->options->reward_models[i - first];
        const reward_scale scale = scalar_head_scale(adapter_head(r->members[i]->a, HEAD_REWARD));
        if (!(scale.std > 0))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s has no reward_scale.json, without which it cannot be compared with the other reward models; "
                         "agon train bt and the like leave one", folder);
    }
    return s;
}

/* The head after the last token of each sample; of several members by the ensemble's rule. */
static agon_status ask_reward_models(online_rewards *r, const reward_question *q, const bool *right, double *rewards) {
    size_t n = q->n_prompts * q->n_samples;
    agon_score_request *requests = memory_new(n, sizeof *requests);
    double *of_members = memory_new(size_mul(n, r->n_members), sizeof *of_members);
    agon_status s = requests && of_members ? AGON_OK : ctx_no_memory(r->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        const prompt_item *p = &q->prompts[i / q->n_samples];
        requests[i] = (agon_score_request){p->tokens, p->n_tokens, q->samples[i].tokens, q->samples[i].n_tokens};
    }
    if (!s)
        s = agon_reward_ensemble(r->ctx, r->m, (const agon_adapter *const *)r->members, r->n_members, r->options->ensemble,
                                 r->options->ensemble_strength, requests, n, rewards, of_members);
    if (!s && r->n_members > 1) {
        r->disagreement = ensemble_disagreement(of_members, r->n_members, n);
        r->correlation = ensemble_correlation(of_members, r->n_members, n, right);
    }
    free(requests);
    free(of_members);
    return s;
}

/* ---- verifiers ---------------------------------------------------------------------------------------------- */

/* right [n]: passes, false where nothing verifies the prompt. */
static agon_status verify(online_rewards *r, const reward_question *q, bool *right, text_span *spans) {
    size_t n = q->n_prompts * q->n_samples, passed = 0, verified = 0;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && !s; i++) {
        const task_query *query = q->prompts[i / q->n_samples].query;
        task_verdict v = {0};
        right[i] = false;
        if (spans)
            spans[i] = (text_span){0};
        if (!query)
            continue;
        s = task_verify(r->ctx, query, q->samples[i].text, &v);
        right[i] = v.outcome == OUTCOME_PASS;
        passed += right[i];
        verified++;
        if (spans && v.outcome == OUTCOME_FAIL)
            spans[i] = (text_span){v.span_start, v.span_end, -r->options->span_reward};
        task_verdict_free(&v);
    }
    r->verified = verified == n ? (double)passed / (double)n : NAN;
    return s;
}

/* ---- all of them --------------------------------------------------------------------------------------------- */

agon_status online_rewards_open(agon_ctx *ctx, agon_model *m, const agon_online_options *options, online_rewards **out) {
    online_rewards *r = memory_new(1, sizeof *r);
    agon_status s = r ? AGON_OK : ctx_no_memory(ctx);
    if (s)
        return s;
    *r = (online_rewards){.ctx = ctx, .m = m, .options = options, .verified = NAN, .disagreement = NAN, .correlation = NAN,
                           .unjudged = NAN};
    if (options->reward_model)
        s = open_member(r, options->reward_model);
    for (size_t i = 0; i < options->n_reward_models && !s; i++)
        s = open_member(r, options->reward_models[i]);
    if (!s)
        s = check_scales(r);
    if (!s)
        s = online_judge_open(ctx, m, options, &r->judge);
    if (!s && r->judge && r->n_members)
        s = ctx_fail(ctx, AGON_EINVAL, "rewards come from reward models or from a judge, not from both");
    if (s)
        online_rewards_free(r);
    else
        *out = r;
    return s;
}

void online_rewards_free(online_rewards *r) {
    if (!r)
        return;
    for (size_t i = 0; i < r->n_members; i++)
        agon_adapter_free(r->members[i]);
    online_judge_free(r->judge);
    free(r);
}

bool online_rewards_by_verifier(const online_rewards *r) {
    return r->n_members == 0 && !r->judge;
}

agon_status online_rewards_give(online_rewards *r, const reward_question *q, const char *judged, double *rewards, text_span *spans) {
    size_t n = q->n_prompts * q->n_samples;
    bool *right = memory_new(n, sizeof *right);
    if (!right)
        return ctx_no_memory(r->ctx);
    agon_status s = verify(r, q, right, spans);
    for (size_t i = 0; i < n && !s; i++)
        rewards[i] = right[i];
    if (!s && r->n_members)
        s = ask_reward_models(r, q, isnan(r->verified) ? NULL : right, rewards);
    if (!s && r->judge)
        s = online_judge_rewards(r->judge, judged, q, rewards, &r->unjudged);
    free(right);
    return s;
}

/* ---- words about them ----------------------------------------------------------------------------------------- */

bool online_rewards_describe(const online_rewards *r, json_t *into) {
    json_t *members = json_array();
    bool good = members != NULL;
    for (size_t i = 0; i < r->n_members && good; i++) {
        char hex[HASH_HEX_SIZE];
        hash256 id = adapter_hash(r->members[i]->a);
        const reward_scale scale = scalar_head_scale(adapter_head(r->members[i]->a, HEAD_REWARD));
        hash_hex(&id, hex);
        good = json_array_append_new(members, json_pack("{s:s,s:f,s:f}", "id", hex, "mean", scale.mean, "std", scale.std)) == 0;
    }
    good = json_object_set_new(into, "reward_models", members) == 0 && good;
    if (r->n_members > 1 && good)
        good = json_object_set_new(into, "ensemble", json_string(r->options->ensemble ? r->options->ensemble : "mean")) == 0 &&
               json_object_set_new(into, "ensemble_strength", json_real(r->options->ensemble_strength)) == 0;
    return good && (!r->judge || online_judge_describe(r->judge, into));
}

void online_rewards_go_on(online_rewards *r, const json_t *found, json_t *own) {
    if (r->judge)
        online_judge_go_on(r->judge, found, own);
}

static bool set_known(json_t *into, const char *key, double x) {
    return isnan(x) || json_object_set_new(into, key, json_real(x)) == 0;
}

bool online_rewards_report(const online_rewards *r, json_t *into) {
    return set_known(into, "verified", r->verified) && set_known(into, "disagreement", r->disagreement) &&
           set_known(into, "error_correlation", r->correlation) && set_known(into, "unjudged", r->unjudged);
}

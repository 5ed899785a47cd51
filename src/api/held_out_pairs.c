/* agon.h, rewards: what reward models say of held-out pairs, and a policy beside its reference. */
#include "eval/reward_pairs.h"
#include "api/dataset.h"
#include "api/models.h"
#include "api/requests.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/interval.h"
#include <math.h>
#include <stdlib.h>

enum { AT_ONCE = 64 };
static const double ALPHA = 0.05;

typedef struct asked {
    agon_ctx *ctx;
    const agon_model *m;
    const agon_adapter *const *members;
    size_t n_members;
    const char *rule;
    double strength;
    /* Of a policy, in place of members: */
    const agon_adapter *adapter, *reference_adapter;
    const agon_model *reference; /* NULL: reward models are asked */
    double beta;
} asked;

static agon_status log_probs(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_score_request *requests, size_t n,
                             double *out) {
    agon_score_result results[2 * AT_ONCE];
    agon_status s = agon_score(ctx, m, adapter, requests, n, 1, 0, results);
    for (size_t i = 0; i < n && !s; i++) {
        out[i] = results[i].log_prob;
        agon_score_result_free(&results[i]);
    }
    return s;
}

/* beta (log_prob - reference's): the reward that a policy trained on pairs stands for (Rafailov et al. 2023, 2305.18290, eq. 5, without the
 * prompt's part, which both sides share). */
static agon_status implicit(const asked *a, const agon_score_request *requests, size_t n, double *rewards) {
    double of_reference[2 * AT_ONCE];
    agon_status s = log_probs(a->ctx, a->m, a->adapter, requests, n, rewards);
    if (!s)
        s = log_probs(a->ctx, a->reference, a->reference_adapter, requests, n, of_reference);
    for (size_t i = 0; i < n && !s; i++)
        rewards[i] = a->beta * (rewards[i] - of_reference[i]);
    return s;
}

/* Rewards of n requests: of the policy, else by the members or (none) by the model's own head. */
static agon_status ask(const asked *a, const agon_score_request *requests, size_t n, double *rewards) {
    if (a->reference)
        return implicit(a, requests, n, rewards);
    agon_reward_result results[2 * AT_ONCE];
    if (a->n_members)
        return agon_reward_ensemble(a->ctx, a->m, a->members, a->n_members, a->rule, a->strength, requests, n, rewards, NULL);
    agon_status s = agon_reward(a->ctx, a->m, NULL, requests, n, results);
    for (size_t i = 0; i < n && !s; i++) {
        rewards[i] = results[i].reward;
        agon_reward_result_free(&results[i]);
    }
    return s;
}

/* A label under 1/2 says that the rejected side is the better one. */
static reward_pair pair_of(const train_row *r, const double rewards[2]) {
    const train_response *x = r->responses;
    int better = x[0].label < 0.5;
    double margin = x[better].reward - x[1 - better].reward;
    return (reward_pair){rewards[better], rewards[1 - better], (double)x[better].n, (double)x[1 - better].n, margin};
}

/* All pairs before the first is rewarded: a side that cannot be is named by its row, not by its place in a batch. */
static agon_status check_pairs(const asked *a, const train_row *rows, size_t n) {
    char place[ROW_PLACE_SIZE];
    agon_status s = AGON_OK;
    for (size_t k = 0; k < 2 * n && !s; k++) {
        const train_row *r = &rows[k / 2];
        const agon_score_request side = {r->prompt, r->n_prompt, r->responses[k % 2].tokens, r->responses[k % 2].n};
        s = requests_check(a->ctx, a->m->m, &side, 1);
        if (!s && a->reference)
            s = requests_check(a->ctx, a->reference->m, &side, 1);
        if (s)
            s = ctx_prefix(a->ctx, s, "%s: %s", row_place(rows, k / 2, place), k % 2 ? "rejected" : "chosen");
    }
    return s;
}

/* Pairs without ties, which say nothing about an order: *n of them. */
static agon_status reward_pairs(const asked *a, const train_row *rows, size_t n_rows, reward_pair *out, size_t *n) {
    agon_score_request requests[2 * AT_ONCE];
    double rewards[2 * AT_ONCE];
    agon_status s = check_pairs(a, rows, n_rows);
    *n = 0;
    for (size_t i = 0, take; i < n_rows && !s; i += take) {
        take = n_rows - i < AT_ONCE ? n_rows - i : AT_ONCE;
        for (size_t k = 0; k < 2 * take; k++) {
            const train_row *r = &rows[i + k / 2];
            requests[k] = (agon_score_request){r->prompt, r->n_prompt, r->responses[k % 2].tokens, r->responses[k % 2].n};
        }
        s = ctx_check_interrupt(a->ctx);
        if (!s)
            s = ask(a, requests, 2 * take, rewards);
        for (size_t k = 0; k < take && !s; k++)
            if (rows[i + k].responses[0].label != 0.5)
                out[(*n)++] = pair_of(&rows[i + k], &rewards[2 * k]);
    }
    return s;
}

static json_t *share(size_t right, size_t n) {
    interval ci = clopper_pearson(right, n, ALPHA);
    return json_pack("{s:I,s:I,s:o,s:[f,f]}", "pairs", (json_int_t)n, "right", (json_int_t)right, "accuracy",
                     n ? json_real((double)right / (double)n) : json_null(), "ci95", ci.low, ci.high);
}

static json_t *bins_json(const margin_bin bins[N_MARGIN_BINS]) {
    json_t *list = json_array();
    for (size_t i = 0; i < N_MARGIN_BINS; i++) {
        json_t *one = share(bins[i].n_right, bins[i].n);
        json_object_set_new(one, "from", json_real(bins[i].from));
        json_object_set_new(one, "to", real_or_null(bins[i].to));
        json_array_append_new(list, one);
    }
    return list;
}

/* Members are on the scale of what they were trained on, which is not that of log-odds: of several nothing is said of calibration. */
static json_t *report_json(const reward_report *r, size_t n_ties, bool calibrated) {
    json_t *o = share(r->n_right, r->n);
    json_object_set_new(o, "ties", json_integer((json_int_t)n_ties));
    json_object_set_new(o, "loss", calibrated ? json_real(r->loss) : json_null());
    json_object_set_new(o, "ece", calibrated ? json_real(r->ece) : json_null());
    json_object_set_new(o, "brier", calibrated ? json_real(r->brier) : json_null());
    json_object_set_new(o, "by_margin", bins_json(r->by_gap));
    json_object_set_new(o, "by_label_margin", r->n_labelled ? bins_json(r->by_label) : json_null());
    json_object_set_new(o, "reward_mean", json_real(r->mean));
    json_object_set_new(o, "reward_std", json_real(r->deviation));
    json_object_set_new(o, "length_correlation", json_real(r->length_correlation));
    json_object_set_new(o, "length_matched", share(r->n_matched_right, r->n_matched));
    return o;
}

static agon_status report_pairs(const asked *a, const agon_dataset *pairs, char **json) {
    agon_ctx *ctx = a->ctx;
    size_t n_rows, n = 0;
    const train_row *rows = dataset_rows(pairs->d, &n_rows);
    if (pairs->objective->rows != ROW_PAIR)
        return ctx_fail(ctx, AGON_EINVAL, "held-out pairs are rows of %s; these were read for %s", a->reference ? "dpo" : "bt", pairs->objective->name);
    reward_pair *all = memory_new(n_rows + 1, sizeof *all);
    reward_report r;
    agon_status s = all ? reward_pairs(a, rows, n_rows, all, &n) : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu pairs", n_rows);
    if (!s && n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "there is no pair whose label says which side is better");
    if (!s)
        s = reward_report_make(ctx, all, n, &r);
    if (!s)
        s = json_give_take(ctx, report_json(&r, n_rows - n, a->n_members <= 1), json);
    free(all);
    return s;
}

agon_status agon_reward_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *members, size_t n_members, const char *rule,
                              double strength, const agon_dataset *pairs, char **json) {
    const asked a = {.ctx = ctx, .m = m, .members = members, .n_members = n_members, .rule = rule, .strength = strength};
    return report_pairs(&a, pairs, json);
}

agon_status agon_policy_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *reference,
                              const agon_adapter *reference_adapter, double beta, const agon_dataset *pairs, char **json) {
    const asked a = {.ctx = ctx, .m = m, .adapter = adapter, .reference = reference ? reference : m, .reference_adapter = reference_adapter, .beta = beta};
    if (a.reference == m && adapter == reference_adapter)
        return ctx_fail(ctx, AGON_EINVAL, "the policy is its own reference: no pair would be ranked; name an adapter or another reference");
    if (!(beta > 0) || !isfinite(beta))
        return ctx_fail(ctx, AGON_EINVAL, "beta must be above 0, not %g", beta);
    return report_pairs(&a, pairs, json);
}

/* agon.h, rewards: what reward models say of held-out pairs, and a policy beside its reference. */
#include "eval/reward_pairs.h"
#include "api/dataset.h"
#include "api/models.h"
#include "api/options.h"
#include "api/requests.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/interval.h"
#include "eval/paired.h"
#include <math.h>
#include <stdlib.h>

enum { AT_ONCE = 64, N_DRAWS = 4000, BOOTSTRAP_SEED = 0 };
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

/* What each pair costs, [n] new. */
static agon_status losses_of(agon_ctx *ctx, const reward_pair *pairs, size_t n, double **out) {
    double *losses = memory_new(n, sizeof *losses);
    if (!losses)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu pairs", n);
    for (size_t i = 0; i < n; i++)
        losses[i] = reward_pair_loss(&pairs[i]);
    *out = losses;
    return AGON_OK;
}

/* Mean of the pairs' losses, less that of `other` (NULL: nothing), with its interval over pairs. */
static agon_status loss_range(agon_ctx *ctx, const reward_pair *pairs, const reward_pair *other, size_t n, bootstrap_result *out) {
    double *x = NULL, *y = NULL;
    agon_status s = losses_of(ctx, pairs, n, &x);
    if (!s && other)
        s = losses_of(ctx, other, n, &y);
    if (!s)
        s = paired_bootstrap(ctx, x, y, n, N_DRAWS, BOOTSTRAP_SEED, ALPHA, out);
    free(x);
    free(y);
    return s;
}

/* Members are on the scale of what they were trained on, which is not that of log-odds: of several nothing is said of calibration. */
static json_t *report_json(const reward_report *r, size_t n_ties, const interval *loss) {
    const bool calibrated = loss != NULL;
    json_t *o = share(r->n_right, r->n);
    json_object_set_new(o, "ties", json_integer((json_int_t)n_ties));
    json_object_set_new(o, "loss", calibrated ? json_real(r->loss) : json_null());
    json_object_set_new(o, "loss_ci95", calibrated ? json_pack("[f,f]", loss->low, loss->high) : json_null());
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

/* The pairs of a file as `a` rewards them, without ties: *out [n], new; at least one. */
static agon_status collect(const asked *a, const agon_dataset *pairs, reward_pair **out, size_t *n) {
    agon_ctx *ctx = a->ctx;
    size_t n_rows;
    const train_row *rows = dataset_rows(pairs->d, &n_rows);
    if (pairs->objective->rows != ROW_PAIR)
        return ctx_fail(ctx, AGON_EINVAL, "held-out pairs are rows of %s; these were read for %s", a->reference ? "dpo" : "bt", pairs->objective->name);
    reward_pair *all = memory_new(n_rows + 1, sizeof *all);
    agon_status s = all ? reward_pairs(a, rows, n_rows, all, n) : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu pairs", n_rows);
    if (!s && *n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "there is no pair whose label says which side is better");
    if (s)
        free(all);
    else
        *out = all;
    return s;
}

static agon_status report_pairs(const asked *a, const agon_dataset *pairs, char **json) {
    agon_ctx *ctx = a->ctx;
    size_t n_rows = agon_dataset_n_rows(pairs), n = 0;
    reward_pair *all = NULL;
    reward_report r;
    bootstrap_result loss;
    const bool calibrated = a->n_members <= 1;
    agon_status s = collect(a, pairs, &all, &n);
    if (!s)
        s = reward_report_make(ctx, all, n, &r);
    if (!s && calibrated)
        s = loss_range(ctx, all, NULL, n, &loss);
    if (!s)
        s = json_give_take(ctx, report_json(&r, n_rows - n, calibrated ? &loss.range : NULL), json);
    free(all);
    return s;
}

/* ---- two on the same pairs ---------------------------------------------------------------------------------- */

static paired_table count_pairs(const reward_pair *now, const reward_pair *before, size_t n) {
    paired_table t = {0};
    for (size_t i = 0; i < n; i++)
        paired_add(&t, now[i].better > now[i].worse, before[i].better > before[i].worse);
    return t;
}

static json_t *side_json(size_t right, size_t n, double loss) {
    return json_pack("{s:I,s:f,s:f}", "right", (json_int_t)right, "accuracy", (double)right / (double)n, "loss", loss);
}

static json_t *paired_json(const paired_table *t, size_t n_ties, const reward_report *now, const reward_report *before, const bootstrap_result *loss) {
    interval gain = paired_difference(t, ALPHA);
    json_t *o = side_json(now->n_right, now->n, now->loss);
    json_object_set_new(o, "other", side_json(before->n_right, before->n, before->loss));
    json_t *more = json_pack("{s:I,s:I,s:I,s:I,s:f,s:[f,f],s:f,s:f,s:[f,f]}", "pairs", (json_int_t)now->n, "ties", (json_int_t)n_ties, "gained",
                             (json_int_t)t->gained, "lost", (json_int_t)t->lost, "accuracy_difference", paired_gain(t), "accuracy_ci95", gain.low, gain.high,
                             "p", mcnemar_exact(t->gained, t->lost), "loss_difference", loss->mean, "loss_ci95", loss->range.low, loss->range.high);
    json_object_update(o, more);
    json_decref(more);
    return o;
}

static agon_status compare_pairs(const asked *a, const asked *b, const agon_dataset *pairs, char **json) {
    agon_ctx *ctx = a->ctx;
    size_t n = 0, n_rows = agon_dataset_n_rows(pairs);
    reward_pair *now = NULL, *before = NULL;
    reward_report reports[2];
    bootstrap_result loss;
    agon_status s = collect(a, pairs, &now, &n);
    if (!s)
        s = collect(b, pairs, &before, &n); /* ties are the labels': the same pairs */
    if (!s)
        s = reward_report_make(ctx, now, n, &reports[0]);
    if (!s)
        s = reward_report_make(ctx, before, n, &reports[1]);
    if (!s)
        s = loss_range(ctx, now, before, n, &loss);
    if (!s) {
        paired_table t = count_pairs(now, before, n);
        s = json_give_take(ctx, paired_json(&t, n_rows - n, &reports[0], &reports[1], &loss), json);
    }
    free(now);
    free(before);
    return s;
}

agon_status agon_reward_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *members, size_t n_members, const char *rule,
                              double strength, const agon_dataset *pairs, char **json) {
    FP_ENVIRONMENT();
    const asked a = {.ctx = ctx, .m = m, .members = members, .n_members = n_members, .rule = rule, .strength = strength};
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of reward models", members, n_members}, {"the pairs", pairs, 1},
                                  {"the place for the answer", json, 1});
    return s ? s : report_pairs(&a, pairs, json);
}

static agon_status check_policy(const asked *a, const char *which) {
    if (a->reference == a->m && a->adapter == a->reference_adapter)
        return ctx_fail(a->ctx, AGON_EINVAL, "%s is its own reference: no pair would be ranked; name an adapter or another reference", which);
    if (!(a->beta > 0) || !isfinite(a->beta))
        return ctx_fail(a->ctx, AGON_EINVAL, "beta must be above 0, not %g", a->beta);
    return AGON_OK;
}

agon_status agon_policy_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *reference,
                              const agon_adapter *reference_adapter, double beta, const agon_dataset *pairs, char **json) {
    FP_ENVIRONMENT();
    const asked a = {.ctx = ctx, .m = m, .adapter = adapter, .reference = reference ? reference : m, .reference_adapter = reference_adapter, .beta = beta};
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the pairs", pairs, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = check_policy(&a, "the policy");
    return s ? s : report_pairs(&a, pairs, json);
}

agon_status agon_reward_pairs_paired(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *other,
                                     const agon_adapter *other_adapter, const agon_dataset *pairs, char **json) {
    FP_ENVIRONMENT();
    const agon_adapter *const members[] = {adapter}, *const others[] = {other_adapter};
    const asked a = {.ctx = ctx, .m = m, .members = members, .n_members = adapter ? 1 : 0, .rule = "mean", .strength = -1},
                b = {.ctx = ctx, .m = other ? other : m, .members = others, .n_members = other_adapter ? 1 : 0, .rule = "mean", .strength = -1};
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the pairs", pairs, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    if (a.m == b.m && adapter == other_adapter)
        return ctx_fail(ctx, AGON_EINVAL, "a reward model is compared with itself; name another one");
    return compare_pairs(&a, &b, pairs, json);
}

agon_status agon_policy_pairs_paired(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *other,
                                     const agon_adapter *other_adapter, const agon_model *reference, const agon_adapter *reference_adapter, double beta,
                                     const agon_dataset *pairs, char **json) {
    FP_ENVIRONMENT();
    const asked a = {.ctx = ctx, .m = m, .adapter = adapter, .reference = reference ? reference : m, .reference_adapter = reference_adapter, .beta = beta};
    asked b = a;
    b.m = other ? other : m;
    b.adapter = other_adapter;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the pairs", pairs, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = check_policy(&a, "the policy");
    if (!s)
        s = check_policy(&b, "the other policy");
    if (!s && a.m == b.m && a.adapter == b.adapter)
        s = ctx_fail(ctx, AGON_EINVAL, "a policy is compared with itself; name another one");
    return s ? s : compare_pairs(&a, &b, pairs, json);
}

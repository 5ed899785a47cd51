/* The report of held-out pairs, see score_pairs.h. */
#include "cli/score_pairs.h"
#include <math.h>
#include <stdio.h>

static void show_share(const char *what, const json_t *o) {
    const json_t *ci = json_object_get(o, "ci95");
    if (member_count(o, "pairs") == 0)
        printf("%-22s no pairs\n", what);
    else
        printf("%-22s %6.1f%%  [%.1f, %.1f]  of %lld pairs\n", what, 100 * member_real(o, "accuracy"), 100 * json_number_value(json_array_get(ci, 0)),
               100 * json_number_value(json_array_get(ci, 1)), member_count(o, "pairs"));
}

static void show_bins(const char *of, const json_t *list) {
    size_t i;
    json_t *bin;
    json_array_foreach((json_t *)(uintptr_t)list, i, bin) {
        char what[64];
        if (isnan(member_real(bin, "to")))
            snprintf(what, sizeof what, "  %s from %g", of, member_real(bin, "from"));
        else
            snprintf(what, sizeof what, "  %s %g to %g", of, member_real(bin, "from"), member_real(bin, "to"));
        show_share(what, bin);
    }
}

static void show(const json_t *o) {
    show_share("ranked rightly", o);
    show_bins("gap", json_object_get(o, "by_margin"));
    show_bins("margin", json_object_get(o, "by_label_margin"));
    show_share("  of equal length", json_object_get(o, "length_matched"));
    const json_t *ci = json_object_get(o, "loss_ci95");
    if (isfinite(member_real(o, "ece")))
        printf("loss %.4f nats a pair [%.4f, %.4f] (%.4f: no preference), ECE %.4f, Brier score %.4f\n", member_real(o, "loss"),
               json_number_value(json_array_get(ci, 0)), json_number_value(json_array_get(ci, 1)), log(2), member_real(o, "ece"), member_real(o, "brier"));
    printf("rewards %.4g, std %.4g, correlation with length %+.3f\n", member_real(o, "reward_mean"), member_real(o, "reward_std"), member_real(o, "length_correlation"));
}

static void show_side(const char *what, const json_t *o) {
    printf("%-22s %6.1f%%  loss %.4f nats a pair\n", what, 100 * member_real(o, "accuracy"), member_real(o, "loss"));
}

/* Two on the same pairs. */
static void show_paired(const json_t *o) {
    const json_t *gain = json_object_get(o, "accuracy_ci95"), *loss = json_object_get(o, "loss_ci95");
    show_side("ranked rightly", o);
    show_side("  by the other", json_object_get(o, "other"));
    printf("of %lld pairs only the first ranks %lld rightly, only the other %lld (p %.3g)\n", member_count(o, "pairs"), member_count(o, "gained"),
           member_count(o, "lost"), member_real(o, "p"));
    printf("difference %+.1f%% [%+.1f, %+.1f], of the loss %+.4f [%+.4f, %+.4f]\n", 100 * member_real(o, "accuracy_difference"),
           100 * json_number_value(json_array_get(gain, 0)), 100 * json_number_value(json_array_get(gain, 1)), member_real(o, "loss_difference"),
           json_number_value(json_array_get(loss, 0)), json_number_value(json_array_get(loss, 1)));
}

/* The report (taken), or the sentence of what failed. */
static int say(const opened *o, agon_status s, char *text, bool json) {
    int code;
    json_t *report = take_answer("score", o->ctx, s, text, json, &code);
    if (report && json_object_get(report, "other"))
        show_paired(report);
    else if (report)
        show(report);
    json_decref(report);
    return code;
}

int score_pairs(const opened *o, const agon_adapter *const *members, size_t n, const char *rule, double strength, const char *path, bool json) {
    agon_dataset *pairs = NULL;
    char *text = NULL;
    agon_status s = agon_dataset_open(o->ctx, agon_model_tokenizer(o->model), path, "bt", 0, &pairs);
    if (!s)
        s = agon_reward_pairs(o->ctx, o->model, members, n, rule, strength, pairs, &text);
    agon_dataset_free(pairs);
    return say(o, s, text, json);
}

int score_policy_pairs(const opened *o, const char *against, const char *dtype, double beta, const char *path, bool json) {
    agon_model *reference = NULL;
    agon_dataset *pairs = NULL;
    char *text = NULL;
    agon_status s = against ? find_model(o->ctx, against, dtype, NULL, &reference) : AGON_OK;
    if (!s)
        s = agon_dataset_open(o->ctx, agon_model_tokenizer(o->model), path, "dpo", 0, &pairs);
    if (!s)
        s = agon_policy_pairs(o->ctx, o->model, o->adapter, reference, NULL, beta, pairs, &text);
    agon_dataset_free(pairs);
    agon_model_free(reference);
    return say(o, s, text, json);
}

int score_pairs_paired(const opened *o, const char *other, const char *against, const char *dtype, bool reward, double beta, const char *path, bool json) {
    agon_model *reference = NULL;
    agon_adapter *second = NULL;
    agon_dataset *pairs = NULL;
    char *text = NULL;
    agon_status s = agon_adapter_open(o->ctx, o->model, other, &second);
    if (!s && against)
        s = find_model(o->ctx, against, dtype, NULL, &reference);
    if (!s)
        s = agon_dataset_open(o->ctx, agon_model_tokenizer(o->model), path, reward ? "bt" : "dpo", 0, &pairs);
    if (!s)
        s = reward ? agon_reward_pairs_paired(o->ctx, o->model, o->adapter, NULL, second, pairs, &text)
                   : agon_policy_pairs_paired(o->ctx, o->model, o->adapter, NULL, second, reference, NULL, beta, pairs, &text);
    agon_dataset_free(pairs);
    agon_adapter_free(second);
    agon_model_free(reference);
    return say(o, s, text, json);
}

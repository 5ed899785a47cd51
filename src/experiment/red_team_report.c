/* The experiment red-team: its figures. See red_team.c. */
#include "base/ctx.h"
#include "eval/curriculum.h"
#include "eval/diversity.h"
#include "eval/paired.h"
#include "experiment/red_team.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

agon_status red_tally_new(red_team *x, red_tally *t) {
    lab *l = x->l;
    const size_t n = l->n_seeds * x->n_test;
    *t = (red_tally){.lines = json_array()};
    for (int a = 0; a < N_RED_ARMS; a++) {
        t->success[a] = lab_take(l, n * x->n_answers, sizeof **t->success);
        t->valid[a] = lab_take(l, n, sizeof **t->valid);
        t->texts[a] = lab_take(l, n, sizeof **t->texts);
        t->words[a] = lab_take(l, n, sizeof **t->words);
        t->rounds[a] = lab_take(l, l->n_seeds * x->n_rounds, sizeof **t->rounds);
    }
    return t->lines ? lab_taken(l) : ctx_no_memory(x->l->ctx);
}

void red_tally_free(const red_team *x, red_tally *t) {
    for (int a = 0; a < N_RED_ARMS; a++)
        for (size_t i = 0; t->texts[a] && t->words[a] && i < x->l->n_seeds * x->n_test; i++)
            free(t->texts[a][i]), free(t->words[a][i]);
    json_decref(t->lines);
}

agon_status red_note(const red_team *x, red_tally *t, size_t seed, red_arm arm, size_t i, const red_attack *attack) {
    const size_t at = seed * x->n_test + i;
    json_t *failed = json_array();
    for (size_t j = 0; j < x->n_answers; j++) {
        t->success[arm][at * x->n_answers + j] = attack->failed[j];
        json_array_append_new(failed, json_boolean(attack->failed[j]));
    }
    t->valid[arm][at] = !attack->reason;
    t->texts[arm][at] = strdup(attack->text);
    t->words[arm][at] = strdup(attack->words);
    const red_query *q = &x->test[i];
    json_t *line = json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s?,s:o}", "seed", (json_int_t)(x->l->seed + seed), "arm", red_arm_name(arm), "family",
                             q->task.family, "cell", q->task.cell, "query", q->task.text, "kind", task_perturbation_name(q->kind), "attack", attack->text, "valid",
                             !attack->reason, "reason", attack->reason, "failed", failed);
    return t->texts[arm][at] && t->words[arm][at] && json_array_append_new(t->lines, line) == 0 ? AGON_OK : ctx_no_memory(x->l->ctx);
}

static json_t *range_json(interval r) {
    return json_pack("[o,o]", real_or_null(r.low), real_or_null(r.high));
}

/* {"n", "by_sample", "by_sample_interval", "any", "any_interval"} of attacks [n]; null where there are none. */
static agon_status rate_json(const red_team *x, const bool *success, size_t n, json_t **out) {
    attack_rate r;
    if (n == 0) {
        *out = json_null();
        return AGON_OK;
    }
    agon_status s = attack_rate_two_level(x->l->ctx, success, n, x->n_answers, x->draws, lab_seed(x->l, 0, "bootstrap"), 0.05, &r);
    if (!s && !(*out = json_pack("{s:I,s:f,s:o,s:f,s:o}", "n", (json_int_t)n, "by_sample", r.per_sample, "by_sample_interval", range_json(r.per_sample_range), "any",
                                 r.any, "any_interval", range_json(r.any_range))))
        s = ctx_no_memory(x->l->ctx);
    return s;
}

/* Of the valid attacks: their rate, and what they add to the failures of the query as it is. */
static agon_status valid_json(const red_team *x, const red_tally *t, red_arm arm, json_t *out) {
    const size_t k = x->n_answers;
    bool *success = memory_new(t->n * k + 1, sizeof *success);
    double *with = memory_new(t->n + 1, sizeof *with), *without = memory_new(t->n + 1, sizeof *without);
    size_t n = 0;
    json_t *rate = NULL;
    bootstrap_result more = {NAN, {NAN, NAN}};
    agon_status s = success && with && without ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < t->n && !s; i++) {
        if (!t->valid[arm][i])
            continue;
        for (size_t j = 0; j < k; j++) {
            success[n * k + j] = t->success[arm][i * k + j];
            with[n] += t->success[arm][i * k + j] / (double)k;
            without[n] += t->success[RED_PLAIN][i * k + j] / (double)k;
        }
        n++;
    }
    if (!s)
        s = rate_json(x, success, n, &rate);
    if (!s && n > 0)
        s = paired_bootstrap(x->l->ctx, with, without, n, x->draws, lab_seed(x->l, 0, "bootstrap"), 0.05, &more);
    if (!s) {
        const interval range = clopper_pearson(n, t->n, 0.05);
        json_object_set_new(out, "valid", json_real((double)n / (double)t->n));
        json_object_set_new(out, "valid_interval", range_json(range));
        json_object_set(out, "of_valid", rate);
        json_object_set_new(out, "added", real_or_null(more.mean));
        json_object_set_new(out, "added_interval", range_json(more.range));
    }
    json_decref(rate);
    free(success), free(with), free(without);
    return s;
}

static agon_status diversity_json(const red_team *x, char *const *texts, size_t n, json_t **out) {
    diversity d;
    agon_status s = diversity_of(x->l->ctx, (const char *const *)texts, n, 1, &d, NULL);
    if (!s && !(*out = json_pack("{s:o,s:o}", "distinct_2", real_or_null(d.distinct[1]), "self_bleu", real_or_null(d.self_bleu))))
        s = ctx_no_memory(x->l->ctx);
    return s;
}

static agon_status arm_json(const red_team *x, const red_tally *t, red_arm arm, json_t **out) {
    json_t *rate = NULL, *own = NULL, *whole = NULL, *by_seed = json_array();
    agon_status s = rate_json(x, t->success[arm], t->n, &rate);
    if (!s)
        s = diversity_json(x, t->texts[arm], t->n, &whole);
    if (!s)
        s = diversity_json(x, t->words[arm], t->n, &own);
    for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
        double mean = 0;
        for (size_t i = 0; i < x->n_test * x->n_answers; i++)
            mean += t->success[arm][seed * x->n_test * x->n_answers + i] / (double)(x->n_test * x->n_answers);
        json_array_append_new(by_seed, json_real(mean));
    }
    if (!s && !(*out = json_pack("{s:s,s:O,s:O,s:O,s:O}", "arm", red_arm_name(arm), "of_all", rate, "by_seed", by_seed, "attacks", whole, "own_words", own)))
        s = ctx_no_memory(x->l->ctx);
    if (!s)
        s = valid_json(x, t, arm, *out);
    if (!s)
        lab_say(x->l, "%-10s %5.1f%% of attempts succeed by sample, %5.1f%% are valid; distinct-2 of the words %.3f", red_arm_name(arm),
                100 * json_real_value(json_object_get(rate, "by_sample")), 100 * json_real_value(json_object_get(*out, "valid")),
                json_real_value(json_object_get(own, "distinct_2")));
    json_decref(rate), json_decref(own), json_decref(whole), json_decref(by_seed);
    return s;
}

/* Success by sample of all attempts, one arm less another on the same queries. */
static agon_status contrast_json(const red_team *x, const red_tally *t, red_arm a, red_arm b, json_t **out) {
    double *with = memory_new(t->n, sizeof *with), *without = memory_new(t->n, sizeof *without);
    bootstrap_result d;
    agon_status s = with && without ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < t->n * x->n_answers && !s; i++) {
        with[i / x->n_answers] += t->success[a][i] / (double)x->n_answers;
        without[i / x->n_answers] += t->success[b][i] / (double)x->n_answers;
    }
    if (!s)
        s = paired_bootstrap(x->l->ctx, with, without, t->n, x->draws, lab_seed(x->l, 0, "bootstrap"), 0.05, &d);
    if (!s) {
        const char *finding = lab_finding(d.range.low, d.range.high, "more", "fewer");
        lab_say(x->l, "%s against %s: %+.1f points of success [%+.1f, %+.1f] (%s)", red_arm_name(a), red_arm_name(b), 100 * d.mean, 100 * d.range.low,
                100 * d.range.high, finding);
        *out = json_pack("{s:s,s:s,s:f,s:o,s:s}", "arm", red_arm_name(a), "against", red_arm_name(b), "more", d.mean, "interval", range_json(d.range),
                         "finding", finding);
        s = *out ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    free(with), free(without);
    return s;
}

/* Means over seeds of one figure of the rounds, by its place in attack_round. */
static void curve_of(const red_team *x, const attack_round *rounds, size_t place, double *y) {
    for (size_t k = 0; k < x->n_rounds; k++) {
        y[k] = 0;
        for (size_t seed = 0; seed < x->l->n_seeds; seed++)
            y[k] += *(const double *)((const char *)&rounds[seed * x->n_rounds + k] + place) / (double)x->l->n_seeds;
    }
}

static const red_arm trained[] = {RED_TRAINED, RED_NO_PENALTY};
enum { N_TRAINED = 2, N_CURVES = 4 };
static const struct {
    const char *key, *title;
    size_t place;
} curves[N_CURVES] = {{"failed", "success of all attempts", offsetof(attack_round, failed)},
                      {"added", "failures added to the plain queries'", offsetof(attack_round, added)}, {"valid", "valid attempts", offsetof(attack_round, valid)},
                      {"similarity", "similarity to all rounds before", offsetof(attack_round, similarity)}};

/* "training": the curves, also drawn. */
static agon_status training_json(const red_team *x, const red_tally *t, json_t **out) {
    double *axis = memory_new((1 + N_CURVES * N_TRAINED) * x->n_rounds, sizeof *axis), *y = axis + x->n_rounds;
    plot_series series[N_CURVES][N_TRAINED];
    plot_panel panels[N_CURVES];
    json_t *list = json_array();
    agon_status s = axis && list ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t k = 0; k < x->n_rounds && !s; k++)
        axis[k] = (double)(k + 1);
    for (size_t a = 0; a < N_TRAINED && !s; a++) {
        json_t *one = json_pack("{s:s}", "arm", red_arm_name(trained[a]));
        for (size_t c = 0; c < N_CURVES; c++, y += x->n_rounds) {
            json_t *values = json_array();
            curve_of(x, t->rounds[trained[a]], curves[c].place, y);
            for (size_t k = 0; k < x->n_rounds; k++)
                json_array_append_new(values, json_real(y[k]));
            json_object_set_new(one, curves[c].key, values);
            series[c][a] = (plot_series){.name = red_arm_name(trained[a]), .x = axis, .y = y, .n = x->n_rounds};
            panels[c] = (plot_panel){.title = curves[c].title, .x_name = "round", .y_name = curves[c].key, .series = series[c], .n_series = N_TRAINED,
                                     .y_low = 0, .y_high = 1};
        }
        json_array_append_new(list, one);
    }
    if (!s)
        s = lab_plot(x->l, "curves.svg", panels, N_CURVES, N_CURVES);
    free(axis);
    if (s)
        json_decref(list);
    else
        *out = list;
    return s;
}

agon_status red_report(const red_team *x, const red_tally *t, json_t **result) {
    static const red_arm pairs[][2] = {{RED_TRAINED, RED_UNTRAINED}, {RED_TRAINED, RED_TEMPLATES}, {RED_TRAINED, RED_PLAIN}, {RED_TRAINED, RED_NO_PENALTY},
                                       {RED_NO_PENALTY, RED_UNTRAINED}};
    json_t *arms = json_array(), *contrasts = json_array(), *training = NULL, *one = NULL;
    agon_status s = AGON_OK;
    for (int a = 0; a < N_RED_ARMS && !s; a++) {
        s = arm_json(x, t, (red_arm)a, &one);
        if (!s)
            json_array_append_new(arms, one);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && !s; i++) {
        s = contrast_json(x, t, pairs[i][0], pairs[i][1], &one);
        if (!s)
            json_array_append_new(contrasts, one);
    }
    if (!s)
        s = training_json(x, t, &training);
    if (!s)
        s = lab_write_lines(x->l, "attacks.jsonl", t->lines);
    if (!s && !(*result = json_pack("{s:s,s:O,s:O,s:O}", "base", x->base, "arms", arms, "contrasts", contrasts, "training", training)))
        s = ctx_no_memory(x->l->ctx);
    json_decref(arms), json_decref(contrasts), json_decref(training);
    return s;
}

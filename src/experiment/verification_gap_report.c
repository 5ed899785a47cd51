/* The experiment verification-gap: its figures. See verification_gap.c. */
#include "base/ctx.h"
#include "eval/agreement.h"
#include "eval/gv_gap.h"
#include "experiment/verification_gap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_CURVE = 21, MOST_FAMILIES = 64 };

agon_status gap_split(agon_ctx *ctx, const char *const *kinds, size_t n, bool *out) {
    json_t *next = json_object(); /* of each kind: does its next prompt choose? */
    bool ok = next != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        const json_t *known = json_object_get(next, kinds[i]);
        out[i] = known ? json_is_true(known) : json_object_size(next) % 2 == 0;
        ok = json_object_set_new(next, kinds[i], json_boolean(!out[i])) == 0;
    }
    json_decref(next);
    return ok ? AGON_OK : ctx_no_memory(ctx);
}

/* Some prompts of a table. */
typedef struct prompts {
    size_t *at, n;
} prompts;

/* Those that choose or those that are reported, of one family (NULL: of all); at [t->n]. */
static prompts pick(const gap_table *t, bool chooses, const char *family, size_t *at) {
    prompts p = {at, 0};
    for (size_t i = 0; i < t->n; i++)
        if (t->chooses[i] == chooses && (!family || strcmp(t->families[i], family) == 0))
            at[p.n++] = i;
    return p;
}

static const double *utility_of(const gap_table *t, size_t i) {
    return t->utility + i * t->n_samples;
}

static const double *score_of(const gap_table *t, const gap_verifier *v, size_t i) {
    return v->score + i * t->n_samples;
}

/* ---- beside the verifiers ------------------------------------------------------------------------------------ */

/* Keeps what each of the first n keeps by its own threshold, tau [n]. */
static agon_status add_ensemble(lab *l, gap_table *t, const double *tau, size_t n) {
    double *score = lab_take(l, t->n * t->n_samples, sizeof *score);
    for (size_t i = 0; score && i < t->n * t->n_samples; i++) {
        score[i] = 1;
        for (size_t v = 0; v < n; v++)
            if (tau[v] != -INFINITY && !(t->verifiers[v].score[i] >= tau[v]))
                score[i] = 0;
    }
    t->verifiers[t->n_verifiers++] = (gap_verifier){"all", score, false};
    return lab_taken(l);
}

static agon_status add_controls(lab *l, gap_table *t) {
    const size_t n = t->n * t->n_samples;
    double *random = lab_take(l, n, sizeof *random);
    rng r = rng_new(lab_seed(l, 0, "random verifier"));
    for (size_t i = 0; random && i < n; i++)
        random[i] = rng_uniform(&r);
    t->verifiers[t->n_verifiers++] = (gap_verifier){"random", random, true};
    t->verifiers[t->n_verifiers++] = (gap_verifier){"truth", t->utility, true};
    return lab_taken(l);
}

/* ---- thresholds ---------------------------------------------------------------------------------------------- */

/* On the prompts that choose; *gap is theirs. */
static agon_status choose(const lab *l, const gap_table *t, const gap_verifier *v, size_t *scratch, double *tau, double *gap) {
    const prompts p = pick(t, true, NULL, scratch);
    const size_t k = t->n_samples, bytes = k * sizeof(double);
    double *utility = memory_new(2 * p.n * k + 1, sizeof *utility), *score = utility + p.n * k;
    if (!utility)
        return ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n; i++) {
        memcpy(utility + i * k, utility_of(t, p.at[i]), bytes);
        memcpy(score + i * k, score_of(t, v, p.at[i]), bytes);
    }
    agon_status s = gv_threshold(l->ctx, utility, score, p.n, k, tau, gap);
    free(utility);
    return s;
}

/* ---- the gap ------------------------------------------------------------------------------------------------- */

static void put(json_t *object, const char *name, bootstrap_result r) {
    char key[64];
    snprintf(key, sizeof key, "%s_interval", name);
    json_object_set_new(object, name, real_or_null(r.mean));
    json_object_set_new(object, key, json_pack("[o,o]", real_or_null(r.range.low), real_or_null(r.range.high)));
}

static agon_status gap_of(const lab *l, const gap_table *t, const gap_verifier *v, double tau, prompts p, size_t draws, gv_gap *out) {
    gv_prompt *all = memory_new(p.n + 1, sizeof *all);
    if (!all)
        return ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n; i++)
        all[i] = gv_reweight(utility_of(t, p.at[i]), score_of(t, v, p.at[i]), t->n_samples, tau);
    agon_status s = gv_gap_of(l->ctx, all, p.n, draws, lab_seed(l, 0, "bootstrap"), out);
    free(all);
    return s;
}

static void put_gap(json_t *object, const gv_gap *g) {
    json_object_set_new(object, "prompts", json_integer((json_int_t)g->n));
    put(object, "utility", g->before);
    put(object, "reweighted", g->after);
    put(object, "gap", g->gap);
    put(object, "relative", g->relative);
    put(object, "relative_per_prompt", g->relative_per_prompt);
    json_object_set_new(object, "relative_prompts", json_integer((json_int_t)g->n_relative));
    json_object_set_new(object, "unchanged", json_real((double)g->n_unchanged / (double)g->n));
}

/* "families": the same by family, under the one threshold. */
static agon_status put_families(const lab *l, const gap_table *t, const gap_verifier *v, double tau, size_t draws, size_t *scratch, json_t *object) {
    const char *names[MOST_FAMILIES];
    json_t *list = json_array();
    size_t n_names = 0;
    agon_status s = list ? AGON_OK : ctx_no_memory(l->ctx);
    for (size_t i = 0; i < t->n && !s; i++) {
        bool known = n_names == MOST_FAMILIES;
        for (size_t j = 0; j < n_names && !known; j++)
            known = strcmp(names[j], t->families[i]) == 0;
        const prompts p = pick(t, false, t->families[i], scratch);
        gv_gap g;
        if (known || p.n == 0)
            continue;
        names[n_names++] = t->families[i];
        s = gap_of(l, t, v, tau, p, draws, &g);
        json_t *one = json_pack("{s:s}", "family", t->families[i]);
        if (!s)
            put_gap(one, &g);
        json_array_append_new(list, one);
    }
    json_object_set_new(object, "families", list);
    return s;
}

/* ---- the verifier -------------------------------------------------------------------------------------------- */

/* How often keeping is right, and what of right and of wrong answers is kept. */
static agon_status put_agreement(const lab *l, const gap_table *t, const gap_verifier *v, double tau, prompts p, size_t draws, json_t *object) {
    double *agree = memory_new(p.n + 1, sizeof *agree), n[2] = {0}, kept[2] = {0}, silent = 0;
    bootstrap_result r;
    if (!agree)
        return ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n; i++)
        for (size_t j = 0; j < t->n_samples; j++) {
            const double score = score_of(t, v, p.at[i])[j];
            const bool right = utility_of(t, p.at[i])[j] > 0.5, keep = tau == -INFINITY || score >= tau;
            agree[i] += (keep == right) / (double)t->n_samples;
            n[right]++;
            kept[right] += keep;
            silent += isnan(score);
        }
    agon_status s = mean_bootstrap(l->ctx, agree, p.n, draws, lab_seed(l, 0, "bootstrap"), 0.05, &r);
    free(agree);
    if (s)
        return s;
    put(object, "agreement", r);
    json_object_set_new(object, "kept", json_real((kept[0] + kept[1]) / (n[0] + n[1])));
    json_object_set_new(object, "kept_of_right", real_or_null(kept[1] / n[1]));
    json_object_set_new(object, "kept_of_wrong", real_or_null(kept[0] / n[0]));
    json_object_set_new(object, "no_verdict", json_real(silent / (n[0] + n[1])));
    return AGON_OK;
}

/* Does the score rank right answers above wrong ones: of all prompts in one list ("auroc"), and within prompts, the mean over those that have both
 * ("auroc_within"). A verifier that only knows which prompts are easy does the first and not the second, and reweights nothing to the better. */
static agon_status put_auroc(const lab *l, const gap_table *t, const gap_verifier *v, prompts p, size_t draws, json_t *object) {
    const size_t k = t->n_samples;
    double *score = memory_new(p.n * k + 1, sizeof *score), *within = memory_new(p.n + 1, sizeof *within), all = NAN;
    bool *right = memory_new(p.n * k + 1, sizeof *right);
    size_t n = 0, n_within = 0;
    bootstrap_result r = {NAN, {NAN, NAN}};
    agon_status s = score && within && right ? AGON_OK : ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n && !s; i++) {
        const size_t first = n;
        for (size_t j = 0; j < k; j++)
            if (!isnan(score_of(t, v, p.at[i])[j])) {
                score[n] = score_of(t, v, p.at[i])[j];
                right[n++] = utility_of(t, p.at[i])[j] > 0.5;
            }
        s = auroc(l->ctx, score + first, right + first, n - first, &within[n_within]);
        n_within += !s && !isnan(within[n_within]);
    }
    if (!s)
        s = auroc(l->ctx, score, right, n, &all);
    if (!s && n_within > 0)
        s = mean_bootstrap(l->ctx, within, n_within, draws, lab_seed(l, 0, "bootstrap"), 0.05, &r);
    if (!s) {
        json_object_set_new(object, "auroc", real_or_null(all));
        put(object, "auroc_within", r);
        json_object_set_new(object, "auroc_prompts", json_integer((json_int_t)n_within));
    }
    free(score), free(within), free(right);
    return s;
}

/* What the best-scored answer of each prompt gains: no threshold. */
static agon_status put_best(const lab *l, const gap_table *t, const gap_verifier *v, prompts p, size_t draws, json_t *object) {
    double *best = memory_new(2 * p.n + 1, sizeof *best), *mean = best + p.n;
    bootstrap_result r;
    if (!best)
        return ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n; i++) {
        best[i] = gv_best_scored(utility_of(t, p.at[i]), score_of(t, v, p.at[i]), t->n_samples);
        mean[i] = gv_reweight(utility_of(t, p.at[i]), score_of(t, v, p.at[i]), t->n_samples, -INFINITY).before;
    }
    agon_status s = paired_bootstrap(l->ctx, best, mean, p.n, draws, lab_seed(l, 0, "bootstrap"), 0.05, &r);
    free(best);
    if (!s)
        put(object, "best_scored_gain", r);
    return s;
}

/* *tau: its threshold. */
static agon_status verifier_json(lab *l, const gap_table *t, const gap_verifier *v, size_t draws, double *tau, json_t **out) {
    size_t *scratch = memory_new(2 * t->n + 1, sizeof *scratch);
    json_t *one = json_pack("{s:s,s:b}", "verifier", v->name, "control", v->control);
    double chosen = 0;
    gv_gap g = {0};
    agon_status s = scratch && one ? choose(l, t, v, scratch, tau, &chosen) : ctx_no_memory(l->ctx);
    const prompts p = s ? (prompts){0} : pick(t, false, NULL, scratch);
    if (!s)
        s = gap_of(l, t, v, *tau, p, draws, &g);
    if (!s) {
        json_object_set_new(one, "threshold", real_or_null(*tau));
        json_object_set_new(one, "gap_where_chosen", json_real(chosen));
        json_object_set_new(one, "finding", json_string(lab_finding(g.gap.range.low, g.gap.range.high, "gain", "loss")));
        put_gap(one, &g);
        s = put_agreement(l, t, v, *tau, p, draws, one);
    }
    if (!s)
        s = put_auroc(l, t, v, p, draws, one);
    if (!s)
        s = put_best(l, t, v, p, draws, one);
    if (!s)
        s = put_families(l, t, v, *tau, draws, scratch + t->n, one);
    if (!s)
        lab_say(l, "%-12s %4.1f%% to %4.1f%% right, gap %+.1f points [%+.1f, %+.1f] (%s); keeps %.0f%%, nothing of %.0f%% of prompts; AUROC %.3f, within prompts %.3f", v->name,
                100 * g.before.mean, 100 * g.after.mean, 100 * g.gap.mean, 100 * g.gap.range.low, 100 * g.gap.range.high,
                json_string_value(json_object_get(one, "finding")), 100 * json_number_value(json_object_get(one, "kept")), 100 * (double)g.n_unchanged / (double)g.n,
                json_number_value(json_object_get(one, "auroc")), json_number_value(json_object_get(one, "auroc_within")));
    free(scratch);
    if (s)
        json_decref(one);
    else
        *out = one;
    return s;
}

/* ---- curves -------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the reported prompts: mean utility after reweighting at thresholds that keep less and less, x the share that is kept. */
static agon_status curve(const lab *l, const gap_table *t, const gap_verifier *v, prompts p, double *x, double *y) {
    const size_t k = t->n_samples;
    double *sorted = memory_new(p.n * k + 1, sizeof *sorted);
    size_t n = 0;
    if (!sorted)
        return ctx_no_memory(l->ctx);
    for (size_t i = 0; i < p.n * k; i++) {
        const double score = score_of(t, v, p.at[i / k])[i % k];
        if (!isnan(score))
            sorted[n++] = score;
    }
    qsort(sorted, n, sizeof *sorted, ascending);
    for (size_t c = 0; c < N_CURVE; c++) {
        const double tau = c == 0 || n == 0 ? -INFINITY : sorted[(n - 1) * c / (N_CURVE - 1)];
        x[c] = y[c] = 0;
        for (size_t i = 0; i < p.n; i++) {
            const gv_prompt g = gv_reweight(utility_of(t, p.at[i]), score_of(t, v, p.at[i]), k, tau);
            x[c] += (double)g.n_kept / (double)(p.n * k);
            y[c] += g.after / (double)p.n;
        }
    }
    free(sorted);
    return AGON_OK;
}

static agon_status draw_curves(const lab *l, const gap_table *t) {
    double *all = memory_new(2 * t->n_verifiers * N_CURVE, sizeof *all);
    size_t *scratch = memory_new(t->n + 1, sizeof *scratch);
    plot_series series[GAP_MOST_ROWS];
    agon_status s = all && scratch ? AGON_OK : ctx_no_memory(l->ctx);
    const prompts p = s ? (prompts){0} : pick(t, false, NULL, scratch);
    for (size_t v = 0; v < t->n_verifiers && !s; v++) {
        double *x = all + 2 * v * N_CURVE, *y = x + N_CURVE;
        s = curve(l, t, &t->verifiers[v], p, x, y);
        series[v] = (plot_series){.name = t->verifiers[v].name, .x = x, .y = y, .n = N_CURVE};
    }
    const plot_panel panel = {.title = "utility of what a verifier keeps", .x_name = "share of answers kept", .y_name = "mean utility", .series = series,
                              .n_series = t->n_verifiers, .y_low = 0, .y_high = 1};
    if (!s)
        s = lab_plot(l, "curves.svg", &panel, 1, 1);
    free(all), free(scratch);
    return s;
}

agon_status gap_report(lab *l, gap_table *t, size_t draws, json_t **result) {
    const size_t n = t->n_verifiers;
    json_t *list = json_array(), *one = NULL;
    double tau[GAP_MOST_ROWS];
    size_t n_chooses = 0;
    agon_status s = list ? AGON_OK : ctx_no_memory(l->ctx);
    for (size_t i = 0; i < t->n; i++)
        n_chooses += t->chooses[i];
    for (size_t v = 0; v < t->n_verifiers && !s; v++) {
        s = verifier_json(l, t, &t->verifiers[v], draws, &tau[v], &one);
        if (!s)
            json_array_append_new(list, one);
        if (!s && v + 1 == n && n > 1)
            s = add_ensemble(l, t, tau, n);
        if (!s && v + 1 == n)
            s = add_controls(l, t);
    }
    if (!s)
        s = draw_curves(l, t);
    if (!s && !(*result = json_pack("{s:I,s:I,s:I,s:O}", "prompts_that_choose", (json_int_t)n_chooses, "prompts_reported", (json_int_t)(t->n - n_chooses), "samples",
                                    (json_int_t)t->n_samples, "verifiers", list)))
        s = ctx_no_memory(l->ctx);
    json_decref(list);
    return s;
}

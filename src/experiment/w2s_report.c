/* What the weak-to-strong experiment found: performance gap recovered of every condition, as JSON and as curves. */
#include "experiment/weak_to_strong.h"
#include "base/ctx.h"
#include "base/numbers.h"
#include "eval/recovery.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PANELS = 2 * 16 + 2 };
static const double ALPHA = 0.05;

void w2s_scores_free(w2s_scores *s) {
    for (size_t k = 0; k < s->n_conditions; k++)
        free(s->scores[k]), free(s->early[k][W2S_STOP_WEAK]), free(s->early[k][W2S_STOP_TRUTH]);
    json_decref(s->extra);
    *s = (w2s_scores){0};
}

static size_t find(const w2s_scores *s, const char *name) {
    for (size_t k = 0; k < s->n_conditions; k++)
        if (strcmp(s->names[k], name) == 0)
            return k;
    return SIZE_MAX;
}

static agon_status recover_by(const w2s *w, const w2s_scores *s, const double *student, gap_recovery *out) {
    return gap_recovery_measure(w->l->ctx, s->scores[s->weak], student, s->scores[s->ceiling], w->l->n_seeds, w->n_test, w->draws,
                                lab_seed(w->l, 0, "bootstrap"), ALPHA, out);
}

static agon_status recover(const w2s *w, const w2s_scores *s, size_t k, gap_recovery *out) {
    return recover_by(w, s, s->scores[k], out);
}

/* The student at the checkpoints that the two rules choose; supervisor and ceiling are those of the last. */
static agon_status stops_json(const w2s *w, const w2s_scores *s, size_t k, json_t **out) {
    static const char *const names[W2S_N_STOPS] = {"weak_validation", "truth"};
    json_t *stops = s->early[k][0] && s->early[k][1] ? json_object() : json_null();
    agon_status status = AGON_OK;
    for (int i = 0; i < W2S_N_STOPS && json_is_object(stops) && !status; i++) {
        gap_recovery g;
        status = recover_by(w, s, s->early[k][i], &g);
        if (!status)
            json_object_set_new(stops, names[i], json_pack("{s:f,s:o,s:[o,o]}", "accuracy", g.student, "pgr", real_or_null(g.pgr), "interval",
                                                           real_or_null(g.range.low), real_or_null(g.range.high)));
    }
    *out = stops;
    return status;
}

static json_t *condition_json(const w2s *w, const w2s_scores *s, size_t k, const gap_recovery *g) {
    json_t *seeds = json_array();
    for (size_t i = 0; i < w->l->n_seeds; i++)
        json_array_append_new(seeds, json_real(numbers_mean(s->scores[k] + i * w->n_test, w->n_test)));
    return json_pack("{s:s,s:f,s:o,s:o,s:[o,o],s:I}", "condition", s->names[k], "accuracy", g->student, "by_seed", seeds, "pgr",
                     real_or_null(g->pgr), "interval", real_or_null(g->range.low), real_or_null(g->range.high), "undefined_draws",
                     (json_int_t)g->n_undefined);
}

static agon_status task_json(const w2s *w, const w2s_scores *s, json_t **out) {
    json_t *list = json_array();
    gap_recovery g = {0};
    agon_status status = AGON_OK;
    for (size_t k = 0; k < s->n_conditions && !status; k++) {
        status = recover(w, s, k, &g);
        json_t *stops = NULL, *one;
        if (status || k == s->weak || k == s->ceiling)
            continue;
        status = stops_json(w, s, k, &stops);
        json_array_append_new(list, one = condition_json(w, s, k, &g));
        json_object_set_new(one, "early_stop", stops);
    }
    if (status) {
        json_decref(list);
        return status;
    }
    *out = json_pack("{s:s,s:f,s:f,s:f,s:f,s:b,s:o,s:O}", "task", s->task, "weak", g.weak, "ceiling", g.ceiling, "gap", g.gap,
                     "gap_standard_error", g.gap_se, "gap_is_noise", (int)g.gap_is_noise, "conditions", list, "details",
                     s->extra);
    return AGON_OK;
}

/* ---- curves ------------------------------------------------------------------------------------------------ */

enum { N_CURVES = 3, N_AIDS = 9, MOST_POINTS = N_AIDS };

/* PGR against the share of the weak labels kept, with the controls at the right; or of each aid. */
typedef struct curve {
    double x[MOST_POINTS], y[MOST_POINTS], low[MOST_POINTS], high[MOST_POINTS];
    size_t n;
} curve;

static agon_status add_point(const w2s *w, const w2s_scores *s, const char *name, double x, curve *c) {
    gap_recovery g;
    size_t k = find(s, name);
    agon_status status = k == SIZE_MAX ? AGON_OK : recover(w, s, k, &g);
    if (status || k == SIZE_MAX)
        return status;
    c->x[c->n] = x, c->y[c->n] = g.pgr, c->low[c->n] = g.range.low, c->high[c->n++] = g.range.high;
    return AGON_OK;
}

static agon_status add_points(const w2s *w, const w2s_scores *s, const char *const *names, const double *x, size_t n, curve *c) {
    agon_status status = AGON_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = add_point(w, s, names[i], x[i], c);
    return status;
}

static plot_series series_of(const char *name, const curve *c, bool points_only) {
    return (plot_series){.name = name, .x = c->x, .y = c->y, .low = c->low, .high = c->high, .n = c->n, .points_only = points_only};
}

typedef struct panel_data {
    curve curves[N_CURVES];
    plot_series series[N_CURVES];
    const char *labels[N_AIDS]; /* of those that were trained */
    char title[320]; /* with a file's name */
} panel_data;

static const double shares[] = {0.25, 0.5, 0.75, 1};

static agon_status kept_panel(const w2s *w, const w2s_scores *s, bool classes, panel_data *d, plot_panel *out) {
    static const char *const confident[] = {"confident-25", "confident-50", "confident-75", "naive"};
    static const char *const random[] = {"random-25", "random-50", "naive"};
    static const double random_x[] = {0.25, 0.5, 1};
    agon_status status = add_points(w, s, confident, shares, 4, &d->curves[0]);
    if (!status && classes)
        status = add_points(w, s, random, random_x, 3, &d->curves[1]);
    if (!status)
        status = add_point(w, s, classes ? "matched-flips" : "scrambled-errors", 1, &d->curves[2]);
    snprintf(d->title, sizeof d->title, "%s (%s)", s->task, s->about);
    size_t n = 0;
    d->series[n++] = series_of("most confident", &d->curves[0], false);
    if (classes)
        d->series[n++] = series_of("random part", &d->curves[1], false);
    d->series[n++] = series_of(classes ? "random flips" : "errors dealt out", &d->curves[2], true);
    *out = (plot_panel){.title = d->title, .x_name = "share of weak labels kept", .y_name = "gap recovered", .series = d->series,
                        .n_series = n, .y_low = -1, .y_high = 1.5};
    return status;
}

/* PGR by aid. */
static agon_status aids_panel(const w2s *w, const w2s_scores *s, panel_data *d, plot_panel *out) {
    static const char *const names[N_AIDS] = {"naive", "aux-linear", "aux-released", "bootstrap", "ensemble", "ensemble-majority", "ensemble-mean",
                                              "naive-generalist", "shuffled"};
    static const char *const labels[N_AIDS] = {"naive", "aux l", "aux r", "boot", "votes", "maj", "mean", "gen", "shuf"};
    agon_status status = AGON_OK;
    for (size_t i = 0; i < N_AIDS && !status; i++) {
        d->labels[d->curves[0].n] = labels[i];
        status = add_point(w, s, names[i], (double)d->curves[0].n, &d->curves[0]);
    }
    d->series[0] = series_of("PGR", &d->curves[0], true);
    snprintf(d->title, sizeof d->title, "%s: aids", s->task);
    *out = (plot_panel){.title = d->title, .x_name = "", .y_name = "gap recovered", .series = d->series, .n_series = 1,
                        .x_labels = d->labels, .n_x_labels = d->curves[0].n, .y_low = -1, .y_high = 1.5};
    return status;
}

static agon_status draw(w2s *w, const w2s_scores *classes, size_t n_classes, const w2s_scores *answers, size_t n_answers) {
    panel_data *data = calloc(MAX_PANELS, sizeof *data);
    plot_panel *panels = calloc(MAX_PANELS, sizeof *panels);
    size_t n = 0;
    agon_status s = data && panels ? AGON_OK : ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n_classes && !s; i++) {
        s = kept_panel(w, &classes[i], true, &data[n], &panels[n]);
        n++;
        if (!s)
            s = aids_panel(w, &classes[i], &data[n], &panels[n]);
        n++;
    }
    for (size_t i = 0; i < n_answers && !s; i++, n++)
        s = kept_panel(w, &answers[i], false, &data[n], &panels[n]);
    if (!s && n)
        s = lab_plot(w->l, "curves.svg", panels, n, 4);
    free(data);
    free(panels);
    return s;
}

static agon_status tasks_json(const w2s *w, const w2s_scores *scores, size_t n, json_t *list) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < n && !s; i++) {
        json_t *one = NULL;
        s = task_json(w, &scores[i], &one);
        if (!s)
            json_array_append_new(list, one);
    }
    return s;
}

agon_status w2s_report(w2s *w, const w2s_scores *classes, size_t n_classes, const w2s_scores *answers, size_t n_answers,
                       json_t **out) {
    json_t *class_list = json_array(), *answer_list = json_array();
    agon_status s = tasks_json(w, classes, n_classes, class_list);
    if (!s)
        s = tasks_json(w, answers, n_answers, answer_list);
    if (!s)
        s = draw(w, classes, n_classes, answers, n_answers);
    if (!s)
        *out = json_pack("{s:O,s:O}", "classification", class_list, "generation", answer_list);
    json_decref(class_list);
    json_decref(answer_list);
    return s;
}

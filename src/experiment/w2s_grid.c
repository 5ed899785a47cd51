/* The trainings of one kind of task, in two levels: what needs nothing, then what needs those results. See weak_to_strong.h. */
#include "base/ctx.h"
#include "experiment/weak_to_strong.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double *w2s_grid_result(const w2s_grid *g, size_t seed, size_t family, size_t condition) {
    return g->x[(seed * g->n_families + family) * g->n_conditions + condition];
}

static const char *task_of(const w2s_grid *g, size_t family) {
    return g->task ? g->task : sequence_family_name(g->items[family].family);
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    const w2s_grid *g = arg;
    const w2s *w = g->w;
    size_t condition = g->chosen[g->first + i % g->n_level];
    size_t family = i / g->n_level % g->n_families, seed = i / g->n_level / g->n_families;
    double *x = w2s_grid_result(g, seed, family, condition);
    char key[512]; /* a task may have a file's name */
    bool found = false;
    snprintf(key, sizeof key, "%s%s%s %zu %s %s", g->student ? g->student : "", g->student ? "|" : "", g->kind, seed,
             task_of(g, family), g->name(condition));
    agon_status status = lab_recall(w->l, ctx, key, x, g->n_values, &found);
    if (status || found)
        return status;
    status = g->train(g, ctx, seed, family, condition, x);
    if (!status)
        status = lab_keep(w->l, ctx, key, x, g->n_values);
    size_t right = 0;
    for (size_t j = 0; j < w->n_test && !status; j++)
        right += g->right(g, seed, family, x, j);
    if (!status)
        lab_say_seed(w->l, seed, "%-10s %-16s %s right of the test %.3f", task_of(g, family), g->name(condition),
                     g->kind, (double)right / (double)w->n_test);
    return status;
}

static agon_status run_level(w2s_grid *g, size_t first, size_t end) {
    g->first = first;
    g->n_level = end - first;
    return lab_run(g->w->l, g->w->l->n_seeds * g->n_families * g->n_level, run_one, g);
}

/* Scores of a condition at a stop; *out stays NULL where a seed has none. */
static agon_status take_early(const w2s_grid *g, size_t family, size_t condition, w2s_stop stop, double **out) {
    const w2s *w = g->w;
    for (size_t seed = 0; seed < w->l->n_seeds; seed++)
        if (!g->stop_values || isnan(w2s_grid_result(g, seed, family, condition)[(1 + stop) * g->stop_values]))
            return AGON_OK;
    double *scores = malloc(w->l->n_seeds * w->n_test * sizeof *scores);
    if (!scores)
        return ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < w->l->n_seeds * w->n_test; i++) {
        size_t seed = i / w->n_test, j = i % w->n_test;
        scores[i] = g->right(g, seed, family, w2s_grid_result(g, seed, family, condition) + (1 + stop) * g->stop_values, j);
    }
    *out = scores;
    return AGON_OK;
}

static agon_status take_scores(const w2s_grid *g, size_t family, w2s_scores *out) {
    const w2s *w = g->w;
    *out = (w2s_scores){.task = task_of(g, family), .about = g->about, .family = family, .n_conditions = g->n_chosen,
                        .weak = g->weak, .ceiling = g->ceiling, .extra = json_array()};
    for (size_t k = 0; k < g->n_chosen; k++) {
        out->names[k] = g->name(g->chosen[k]);
        out->scores[k] = malloc(w->l->n_seeds * w->n_test * sizeof *out->scores[k]);
        if (!out->scores[k])
            return ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
        for (size_t i = 0; i < w->l->n_seeds * w->n_test; i++) {
            size_t seed = i / w->n_test, j = i % w->n_test;
            out->scores[k][i] = g->right(g, seed, family, w2s_grid_result(g, seed, family, g->chosen[k]), j);
        }
        for (int stop = 0; stop < W2S_N_STOPS; stop++) {
            agon_status s = take_early(g, family, g->chosen[k], (w2s_stop)stop, &out->early[k][stop]);
            if (s)
                return s;
        }
    }
    return AGON_OK;
}

/* Chooses the conditions; *n_first of them are of the first level. */
static agon_status make_room(w2s_grid *g, size_t *n_first) {
    size_t n = g->w->l->n_seeds * g->n_families, first = 0;
    g->x = calloc(n * g->n_conditions + 1, sizeof *g->x);
    bool fine = g->x != NULL;
    g->n_chosen = 0;
    for (size_t k = 0; k < g->n_conditions; k++) {
        if ((k >= g->n_first && w2s_left_out(g->w->l, g->name(k))) || (g->applies && !g->applies(g, k)))
            continue;
        first += k < g->n_first;
        g->chosen[g->n_chosen++] = k;
        for (size_t i = 0; i < n && fine; i++)
            fine = (g->x[i * g->n_conditions + k] = malloc(g->n_values * sizeof **g->x)) != NULL;
    }
    *n_first = first;
    return fine ? AGON_OK : ctx_fail(g->w->l->ctx, AGON_ENOMEM, "out of memory");
}

agon_status w2s_grid_run(w2s_grid *g, w2s_scores *out) {
    size_t first = 0;
    agon_status s = make_room(g, &first);
    if (!s)
        s = run_level(g, 0, first);
    if (!s && g->between)
        g->between(g);
    if (!s)
        s = run_level(g, first, g->n_chosen);
    for (size_t f = 0; f < g->n_families && !s; f++)
        s = take_scores(g, f, &out[f]);
    return s;
}

void w2s_grid_free(w2s_grid *g) {
    size_t n = g->w->l->n_seeds * g->n_families * g->n_conditions;
    for (size_t i = 0; g->x && i < n; i++)
        free(g->x[i]);
    free(g->x);
    g->x = NULL;
}

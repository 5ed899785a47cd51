/* The trainings of one kind of task, in two levels: what needs nothing, then what needs those results. See weak_to_strong.h. */
#include "base/ctx.h"
#include "recipe/weak_to_strong.h"
#include <stdio.h>
#include <stdlib.h>

double *w2s_grid_result(const w2s_grid *g, size_t seed, size_t family, size_t condition) {
    return g->x[(seed * g->n_families + family) * g->n_conditions + condition];
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    const w2s_grid *g = arg;
    const w2s *w = g->w;
    size_t condition = g->first + i % g->n_level, family = i / g->n_level % g->n_families, seed = i / g->n_level / g->n_families;
    const w2s_items *s = w2s_grid_items(g, seed, family);
    double *x = w2s_grid_result(g, seed, family, condition);
    char key[160];
    bool found = false;
    snprintf(key, sizeof key, "%s %zu %s %s", g->kind, seed, sequence_family_name(s->family), g->name(condition));
    agon_status status = lab_recall(w->l, ctx, key, x, g->n_values, &found);
    if (status || found)
        return status;
    status = g->train(g, ctx, seed, family, condition, x);
    if (!status)
        status = lab_keep(w->l, ctx, key, x, g->n_values);
    size_t right = 0;
    for (size_t j = 0; j < w->n_test && !status; j++)
        right += g->right(s, x, j);
    if (!status)
        lab_say(w->l, "seed %zu  %-10s %-16s %s right of the test %.3f", seed, sequence_family_name(s->family), g->name(condition),
                g->kind, (double)right / (double)w->n_test);
    return status;
}

static agon_status run_level(w2s_grid *g, size_t first, size_t end) {
    g->first = first;
    g->n_level = end - first;
    return lab_run(g->w->l, g->w->n_seeds * g->n_families * g->n_level, run_one, g);
}

static agon_status take_scores(const w2s_grid *g, size_t family, w2s_scores *out) {
    const w2s *w = g->w;
    *out = (w2s_scores){.task = sequence_family_name(g->items[family].family), .family = family, .n_conditions = g->n_conditions,
                        .weak = g->weak, .ceiling = g->ceiling, .extra = json_array()};
    for (size_t k = 0; k < g->n_conditions; k++) {
        out->names[k] = g->name(k);
        out->scores[k] = malloc(w->n_seeds * w->n_test * sizeof *out->scores[k]);
        if (!out->scores[k])
            return ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
        for (size_t i = 0; i < w->n_seeds * w->n_test; i++) {
            size_t seed = i / w->n_test, j = i % w->n_test;
            out->scores[k][i] = g->right(w2s_grid_items(g, seed, family), w2s_grid_result(g, seed, family, k), j);
        }
    }
    return AGON_OK;
}

agon_status w2s_grid_run(w2s_grid *g, w2s_scores *out) {
    size_t n = g->w->n_seeds * g->n_families * g->n_conditions;
    g->x = calloc(n + 1, sizeof *g->x);
    agon_status s = g->x ? AGON_OK : ctx_fail(g->w->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        if (!(g->x[i] = malloc(g->n_values * sizeof **g->x)))
            s = ctx_fail(g->w->l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = run_level(g, 0, g->n_first);
    if (!s)
        s = run_level(g, g->n_first, g->n_conditions);
    for (size_t f = 0; f < g->n_families && !s; f++)
        s = take_scores(g, f, &out[f]);
    return s;
}

void w2s_grid_free(w2s_grid *g) {
    size_t n = g->w->n_seeds * g->n_families * g->n_conditions;
    for (size_t i = 0; g->x && i < n; i++)
        free(g->x[i]);
    free(g->x);
    g->x = NULL;
}

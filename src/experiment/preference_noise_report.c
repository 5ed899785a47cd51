/* Figures of preference-noise: means with intervals over seeds and sources (over_seeds.h), how much of the clean gain is kept, and their picture. */
#include "base/ctx.h"
#include "eval/over_seeds.h"
#include "experiment/preference_noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const measure_names[N_MEASURES] = {"ranked", "gold", "right"};
static const char *const group_names[N_GROUPS] = {"everywhere", "subgroup", "others"};

/* Means of one draw over seeds and sources: of the base, then of each rate and variant; every measure in every group. */
typedef struct means {
    double of[N_GROUPS][N_MEASURES];
} means;
typedef struct table {
    means base, at[MAX_RATES][MAX_VARIANTS];
} table;

static bool in_group(const swaps *x, size_t item, size_t g) {
    return g == EVERYWHERE || swaps_is_inside(x, swaps_test_of(x, 0, x->sources) + item) == (g == INSIDE);
}

/* Adds one seed's share; a group that was not drawn is NAN. */
static void add_means(const swaps *x, const double *scores, const size_t *items, means *out) {
    for (size_t g = 0; g < x->n_groups; g++) {
        double sums[N_MEASURES] = {0}, n = 0;
        for (size_t i = 0; i < x->n_test; i++) {
            size_t item = items ? items[i] : i;
            if (!in_group(x, item, g))
                continue;
            n++;
            for (size_t k = 0; k < N_MEASURES; k++)
                sums[k] += scores[k * x->n_test + item];
        }
        for (size_t k = 0; k < N_MEASURES; k++)
            out->of[g][k] += sums[k] / n / (double)x->l->n_seeds;
    }
}

static void fill(const swaps *x, const size_t *seeds, const size_t *items, table *out) {
    *out = (table){0};
    for (size_t i = 0; i < x->l->n_seeds; i++) {
        size_t seed = seeds ? seeds[i] : i;
        add_means(x, x->base_scores + seed * N_MEASURES * x->n_test, items, &out->base);
        for (size_t rate = 0; rate < x->n_rates; rate++)
            for (size_t v = 0; v < x->n_variants; v++)
                add_means(x, swaps_scores(x, seed, rate, v), items, &out->at[rate][v]);
    }
}

/* As it is; drawn over seeds and sources, jointly over everything; and each seed by itself. */
typedef struct tables {
    table whole, *drawn, *by_seed; /* [draws], [n_seeds] */
    double *scratch;               /* [draws + 2 n_seeds] */
} tables;

static agon_status fill_tables(const swaps *x, tables *t) {
    size_t *seeds = malloc((x->l->n_seeds + x->n_test) * sizeof *seeds), *items = seeds + x->l->n_seeds;
    if (!seeds)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(lab_seed(x->l, 0, "bootstrap"));
    for (size_t d = 0; d < x->draws; d++) {
        lab_resample(x->l, &r, x->n_test, seeds, items);
        fill(x, seeds, items, &t->drawn[d]);
    }
    for (size_t k = 0; k < x->l->n_seeds; k++) {
        for (size_t i = 0; i < x->l->n_seeds; i++)
            seeds[i] = k; /* the mean of one seed taken n_seeds times */
        fill(x, seeds, NULL, &t->by_seed[k]);
    }
    fill(x, NULL, NULL, &t->whole);
    free(seeds);
    return AGON_OK;
}

/* Plain dpo on clean pairs, the first of both tables, is the gain to be kept. NAN where there is none. */
static double kept(const table *t, size_t rate, size_t v, size_t g, size_t k) {
    double base = t->base.of[g][k], gain = t->at[0][0].of[g][k] - base;
    return gain > 0 ? (t->at[rate][v].of[g][k] - base) / gain : NAN;
}

typedef enum figure { VALUE, KEPT, KEPT_OVER_DPO, N_FIGURES } figure;
static const char *const figure_names[N_FIGURES] = {"value", "kept", "kept_over_dpo"};

static double figure_of(const table *t, figure f, size_t rate, size_t v, size_t g, size_t k) {
    return f == VALUE ? t->at[rate][v].of[g][k] : kept(t, rate, v, g, k) - (f == KEPT ? 0 : kept(t, rate, 0, g, k));
}

typedef struct estimate {
    double value;
    interval range;
} estimate;

/* The figure is the ratio of two means over seeds: these, of one seed. */
static double above_of(const table *t, figure f, size_t rate, size_t v, size_t g, size_t k) {
    return t->at[rate][v].of[g][k] - (f == VALUE ? 0 : f == KEPT ? t->base.of[g][k] : t->at[rate][0].of[g][k]);
}
static double below_of(const table *t, figure f, size_t g, size_t k) {
    return f == VALUE ? 1 : t->at[0][0].of[g][k] - t->base.of[g][k];
}

/* 95%; draws without a gain at rate 0 are left out. */
static estimate estimate_of(const swaps *x, const tables *t, figure f, size_t rate, size_t v, size_t g, size_t k) {
    double *above = t->scratch + x->draws, *below = above + x->l->n_seeds;
    size_t n = 0;
    for (size_t d = 0; d < x->draws; d++) {
        double one = figure_of(&t->drawn[d], f, rate, v, g, k);
        if (isfinite(one))
            t->scratch[n++] = one;
    }
    for (size_t s = 0; s < x->l->n_seeds; s++)
        above[s] = above_of(&t->by_seed[s], f, rate, v, g, k), below[s] = below_of(&t->by_seed[s], f, g, k);
    return (estimate){figure_of(&t->whole, f, rate, v, g, k),
                      over_seeds_wider(interval_of_draws(t->scratch, n), above, below, x->l->n_seeds, 0.05)};
}

/* Of one measure in one group. */
typedef struct curves {
    double x[MAX_RATES], y[MAX_VARIANTS][MAX_RATES], low[MAX_VARIANTS][MAX_RATES], high[MAX_VARIANTS][MAX_RATES];
} curves;

enum { N_DRAWN = 2, MOST_SERIES = 8, MOST_PANELS = N_GROUPS * N_DRAWN * ((MAX_VARIANTS + MOST_SERIES - 1) / MOST_SERIES) };

/* How much of the gain in ranking, and in gold reward, is kept: a panel each for every group, and more where there are too many variants for one.
 * c [N_GROUPS, N_DRAWN] */
static agon_status draw(const swaps *x, const curves *c) {
    static const char *const titles[N_DRAWN] = {"held-out pairs ranked rightly", "gold reward of samples"};
    plot_series series[MOST_PANELS][MOST_SERIES];
    plot_panel panels[MOST_PANELS];
    char names[MOST_PANELS][80];
    size_t n = 0;
    for (size_t i = 0; i < x->n_groups * N_DRAWN; i++)
        for (size_t from = 0; from < x->n_variants; from += MOST_SERIES, n++) {
            size_t many = x->n_variants - from < MOST_SERIES ? x->n_variants - from : MOST_SERIES;
            for (size_t v = 0; v < many; v++)
                series[n][v] = (plot_series){.name = x->variants[from + v].name, .x = c[i].x, .y = c[i].y[from + v], .low = c[i].low[from + v],
                                                 .high = c[i].high[from + v], .n = x->n_rates};
            snprintf(names[n], sizeof names[n], x->n_groups > 1 ? "%s (%s)" : "%s", titles[i % N_DRAWN], group_names[i / N_DRAWN]);
            panels[n] = (plot_panel){.title = names[n], .x_name = "share of pairs swapped", .y_name = "share of the clean gain kept",
                                     .series = series[n], .n_series = many, .y_low = x->n_groups > 1 ? -1.5 : -0.5, .y_high = 1.25};
        }
    agon_status s = lab_plot(x->l, "curves.svg", panels, n, 2);
    return s;
}

/* Every figure of every measure of one variant at one rate in one group, into out. */
static void add_measures(const swaps *x, const tables *t, size_t rate, size_t v, size_t g, curves *c, json_t *out) {
    for (size_t k = 0; k < N_MEASURES; k++) {
        json_t *one = json_object();
        for (int f = 0; f < N_FIGURES; f++) {
            estimate e = estimate_of(x, t, (figure)f, rate, v, g, k);
            json_object_set_new(one, figure_names[f], json_pack("[o,o,o]", real_or_null(e.value), real_or_null(e.range.low), real_or_null(e.range.high)));
            curves *to = &c[g * N_DRAWN + k];
            if (f == KEPT && k < N_DRAWN)
                to->x[rate] = x->rates[rate], to->y[v][rate] = e.value, to->low[v][rate] = e.range.low, to->high[v][rate] = e.range.high;
        }
        json_object_set_new(out, measure_names[k], one);
    }
}

static json_t *variant_json(const swaps *x, const tables *t, size_t rate, size_t at, curves *c) {
    const variant *v = &x->variants[at];
    json_t *out = json_pack("{s:s,s:f}", "method", v->method->name, "rate", x->rates[rate]);
    if (v->method->told == TOLD_RATE)
        json_object_set_new(out, "assumed_rate", json_real(v->factor * x->rates[rate]));
    add_measures(x, t, rate, at, EVERYWHERE, c, out);
    for (size_t g = INSIDE; g < x->n_groups; g++) {
        json_t *in = json_object();
        add_measures(x, t, rate, at, g, c, in);
        json_object_set_new(out, group_names[g], in);
    }
    return out;
}

static void add_base(const table *whole, size_t g, json_t *out) {
    for (size_t k = 0; k < N_MEASURES; k++)
        json_object_set_new(out, measure_names[k], real_or_null(whole->base.of[g][k]));
}

static json_t *base_json(const swaps *x, const table *whole) {
    json_t *out = json_object();
    add_base(whole, EVERYWHERE, out);
    for (size_t g = INSIDE; g < x->n_groups; g++) {
        json_t *in = json_object();
        add_base(whole, g, in);
        json_object_set_new(out, group_names[g], in);
    }
    return out;
}

/* By seed. */
static json_t *in_subgroup_json(const swaps *x, size_t rate) {
    json_t *out = json_array();
    for (size_t seed = 0; seed < x->l->n_seeds; seed++)
        json_array_append_new(out, json_real(swaps_rate_inside(x, seed, x->rates[rate])));
    return out;
}

static json_t *rates_json(const swaps *x) {
    json_t *out = json_array();
    for (size_t rate = 0; rate < x->n_rates; rate++) {
        json_t *estimates = json_array(), *epochs = json_array();
        for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
            const double *judged = x->soft + (seed * x->n_rates + rate) * (x->n_pairs + N_JUDGED) + x->n_pairs;
            json_array_append_new(estimates, json_real(judged[JUDGED_RATE]));
            json_array_append_new(epochs, json_integer((json_int_t)judged[JUDGED_EPOCHS]));
        }
        json_t *one = json_pack("{s:f,s:o,s:o}", "rate", x->rates[rate], "estimated", estimates, "stop_after_epoch", epochs);
        if (x->subgroup >= 0)
            json_object_set_new(one, "rate_in_subgroup", in_subgroup_json(x, rate));
        json_array_append_new(out, one);
    }
    return out;
}

agon_status swaps_report(const swaps *x, json_t **result) {
    json_t *list = json_array();
    tables t = {.drawn = malloc(x->draws * sizeof *t.drawn), .by_seed = malloc(x->l->n_seeds * sizeof *t.by_seed),
                .scratch = malloc((x->draws + 2 * x->l->n_seeds) * sizeof *t.scratch)};
    curves *c = calloc(N_GROUPS * N_DRAWN, sizeof *c);
    agon_status s = t.drawn && t.by_seed && t.scratch && c ? fill_tables(x, &t) : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_rates * x->n_variants && !s; i++)
        json_array_append_new(list, variant_json(x, &t, i / x->n_variants, i % x->n_variants, c));
    if (!s)
        s = draw(x, c);
    if (!s)
        *result = json_pack("{s:o,s:o,s:O}", "base", base_json(x, &t.whole), "rates", rates_json(x), "methods", list);
    json_decref(list);
    free(t.drawn);
    free(t.by_seed);
    free(t.scratch);
    free(c);
    return s;
}

/* Experiments: table, options, estimate, result. See experiment.h. */
#include "experiment/experiment.h"
#include "base/ctx.h"
#include "base/nearest.h"
#include <stdlib.h>
#include <string.h>

#define LIST_EXPERIMENT(name) &experiment_##name,
static const experiment *const table[] = {EXPERIMENTS(LIST_EXPERIMENT)};
#undef LIST_EXPERIMENT
enum { N_EXPERIMENTS = sizeof table / sizeof *table, TRIAL_ROWS = 96, TRIAL_BATCH = 32 };

const experiment *experiment_at(size_t i) {
    return i < N_EXPERIMENTS ? table[i] : NULL;
}

static agon_status find(agon_ctx *ctx, const char *file, const json_t *given, const experiment **out) {
    const char *names[N_EXPERIMENTS], *name = json_string_value(json_object_get(given, "experiment"));
    for (size_t i = 0; i < N_EXPERIMENTS; i++) {
        names[i] = table[i]->name;
        if (name && strcmp(names[i], name) == 0) {
            *out = table[i];
            return AGON_OK;
        }
    }
    const char *near = name ? nearest_word(name, names, N_EXPERIMENTS) : NULL;
    if (!name && json_object_get(given, "recipe"))
        return ctx_fail(ctx, AGON_EINVAL, "%s is the file of a run; agon run takes it", file);
    if (!name)
        return ctx_fail(ctx, AGON_EINVAL, "%s: experiment is missing; the file must name one, for instance %s", file, names[0]);
    return near ? ctx_fail(ctx, AGON_EINVAL, "%s: there is no experiment '%.40s'; did you mean %s?", file, name, near)
                : ctx_fail(ctx, AGON_EINVAL, "%s: there is no experiment '%.40s'", file, name);
}

/* The experiment's state, its options read; then lab_end, also after a failure. */
static agon_status begin(lab *l, const experiment *e, void **x) {
    agon_status s = lab_begin(l, e->n_sizes);
    if (!s) {
        *x = lab_take(l, 1, e->size);
        s = lab_taken(l);
    }
    return s ? s : e->options(l, *x);
}

/* Reads the options as a run would. */
static agon_status check_settings(agon_ctx *ctx, const experiment_request *r, const experiment *e, json_t *settings, const char *part) {
    lab l = {.ctx = ctx, .output = r->output, .settings = settings, .find_model = r->find_model};
    void *x = NULL;
    agon_status s = begin(&l, e, &x);
    lab_end(&l);
    return s ? ctx_prefix(ctx, s, "%s%s", r->file, part) : AGON_OK;
}

/* The file's options over the defaults, and what "full" changes over both: a mistake there must not wait for the long run. */
static agon_status take_settings(agon_ctx *ctx, const experiment_request *r, const experiment *e, json_t *given, json_t **out) {
    json_t *defaults = json_loads(e->defaults, 0, NULL), *usual = NULL, *changed = NULL;
    char where[600];
    snprintf(where, sizeof where, "%.500s: full", r->file);
    json_t *full = json_incref(json_object_get(given, "full"));
    json_object_del(given, "experiment");
    json_object_del(given, "full");
    agon_status s = defaults ? lab_settings(ctx, r->file, defaults, given, &usual)
                             : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && full && !json_is_object(full))
        s = ctx_fail(ctx, AGON_EINVAL, "%s: full must be a mapping of options", r->file);
    if (!s)
        s = check_settings(ctx, r, e, usual, "");
    if (!s)
        s = lab_settings(ctx, where, usual, full, &changed);
    if (!s)
        s = check_settings(ctx, r, e, changed, ": full");
    if (!s)
        *out = json_incref(r->full ? changed : usual);
    json_decref(defaults);
    json_decref(usual);
    json_decref(changed);
    json_decref(full);
    return s;
}

/* ---- the estimate ------------------------------------------------------------------------------------------ */

typedef struct trial {
    lab *l;
    double train_seconds[LAB_MAX_SIZES], ask_seconds[LAB_MAX_SIZES]; /* a row, on one thread */
} trial;

/* A few steps of each size, timed. */
static agon_status try_size(void *arg, agon_ctx *ctx, size_t i) {
    trial *t = arg;
    static const bool yes = true;
    sequence_item items[TRIAL_ROWS];
    lab_model *m = NULL;
    lab_rows rows = {0};
    double p[TRIAL_ROWS];
    const lab_training training = {.objective = "nll", .steps = TRIAL_ROWS / TRIAL_BATCH, .batch = TRIAL_BATCH, .lr = 1e-3};
    agon_status s = sequence_draw_set(ctx, sequence_n_families() - 2, 7, &yes, NULL, 0, false, TRIAL_ROWS, items);
    if (!s)
        s = lab_model_new(ctx, &t->l->ladder[i], 1, &m);
    if (!s)
        s = lab_documents(ctx, items, TRIAL_ROWS, &rows);
    double start = lab_seconds();
    if (!s)
        s = lab_train(t->l, ctx, m, &rows, &training);
    t->train_seconds[i] = (lab_seconds() - start) / TRIAL_ROWS;
    start = lab_seconds();
    if (!s)
        s = lab_score(ctx, m, items, TRIAL_ROWS, p);
    t->ask_seconds[i] = (lab_seconds() - start) / TRIAL_ROWS;
    lab_rows_free(&rows);
    lab_model_free(m);
    return s;
}

static agon_status estimate(lab *l, const experiment *e, const void *x, double *minutes) {
    double trained[LAB_MAX_SIZES] = {0}, asked[LAB_MAX_SIZES] = {0}, seconds = 0;
    trial t = {.l = l};
    e->plan(x, trained, asked);
    agon_status s = lab_run(l, l->n_sizes, try_size, &t);
    for (size_t i = 0; i < l->n_sizes && !s; i++)
        seconds += trained[i] * t.train_seconds[i] + asked[i] * t.ask_seconds[i];
    if (!s)
        *minutes = seconds / 60 / l->ctx->n_threads;
    return s;
}

/* ---- running ----------------------------------------------------------------------------------------------- */

static const char one_seed[] = "one seed: how much another one would change is unknown, and intervals, where there are any, are over items alone";

static agon_status write_result(lab *l, const experiment *e, double minutes, json_t *found, json_t **result) {
    json_t *whole = json_pack("{s:s,s:O}", "experiment", e->name, "settings", l->settings);
    if (!whole || json_object_update(whole, found) != 0) {
        json_decref(whole);
        return ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    }
    if (json_integer_value(json_object_get(l->settings, "seeds")) == 1)
        json_object_set_new(whole, "between_seeds", json_string(one_seed));
    /* The file is a function of the settings; how long it took here is not. */
    char *text = json_dumps(whole, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(10));
    agon_status s = text ? lab_write(l, "result.json", text) : ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    free(text);
    json_object_set_new(whole, "minutes_expected", json_real(minutes));
    if (s)
        json_decref(whole);
    else
        *result = whole;
    return s;
}

static agon_status run_opened(lab *l, const experiment_request *r, const experiment *e, void *x, json_t **result) {
    double minutes = 0, more = 0;
    json_t *found = NULL;
    agon_status s = e->plan ? estimate(l, e, x, &minutes) : AGON_OK;
    if (!s && e->minutes)
        s = e->minutes(x, &more);
    minutes += more;
    if (s)
        return s;
    lab_say(l, "%s: about %.1f minutes on %d idle cores of this machine, less what is done already", e->name, minutes, l->ctx->n_threads);
    if (r->plan_only) {
        *result = json_pack("{s:s,s:O,s:f}", "experiment", e->name, "settings", l->settings, "minutes_expected", minutes);
        return *result ? AGON_OK : ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    }
    s = e->run(x, &found);
    if (!s)
        s = write_result(l, e, minutes, found, result);
    if (!s && json_object_get(*result, "between_seeds"))
        lab_say(l, "%s", one_seed);
    json_decref(found);
    return s;
}

agon_status experiment_run(agon_ctx *ctx, const experiment_request *r, json_t **result) {
    json_t *given = NULL, *settings = NULL;
    const experiment *e = NULL;
    agon_status s = lab_read_yaml(ctx, r->file, &given);
    if (!s)
        s = find(ctx, r->file, given, &e);
    if (!s && r->expected && strncmp(e->name, r->expected, strlen(r->expected)) != 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s holds the experiment %s, not %s; agon experiment runs any", r->file, e->name,
                     r->expected);
    if (!s)
        s = take_settings(ctx, r, e, given, &settings);
    lab l = {.ctx = ctx, .output = r->output, .settings = settings, .aside = e ? e->aside : NULL, .say = r->say, .arg = r->arg,
             .find_model = r->find_model, .plan_only = r->plan_only};
    void *x = NULL;
    if (!s)
        s = begin(&l, e, &x);
    if (!s) {
        s = lab_open(&l);
        if (!s)
            s = run_opened(&l, r, e, x, result);
        lab_close(&l);
    }
    lab_end(&l);
    json_decref(given);
    json_decref(settings);
    return s;
}

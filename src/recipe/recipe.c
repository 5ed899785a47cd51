/* Running recipes, and what stands beside a run: its cost beforehand and its re-execution afterwards. */
#include "recipe/recipe.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/recipe_private.h"
#include "recipe/run_file.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

/* What the store counted, beside what the recipe reports. */
static agon_status complete_summary(cast *c, double seconds, json_t *summary) {
    json_t *status = NULL;
    agon_status s = store_status(c->actors.store, run_id(c->run), &status);
    if (!s) {
        json_t *more = json_pack("{ss ss ss sI sf sf sO? sO? sO?}", "run", c->config->name, "recipe", c->config->recipe, "oracle",
                                 c->config->oracle, "iterations", (json_int_t)c->config->iterations, "seconds", seconds,
                                 "journal_seconds", run_journal_seconds(c->run),
                                 "tokens", json_object_get(status, "tokens"), "labels", json_object_get(status, "labels"), "answers_waiting",
                                 json_object_get(status, "answers_waiting"));
        s = json_made(c->actors.ctx, more);
        if (!s && json_object_update(summary, more) != 0)
            s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the summary");
        json_decref(more);
    }
    json_decref(status);
    return s;
}

agon_status recipe_cost(agon_ctx *ctx, const run_config *r, double tokens_per_second, json_t **cost) {
    expected t = {0};
    const recipe *x = NULL;
    agon_status s = recipe_find(ctx, r->recipe, &x);
    if (!s)
        s = x->cost(ctx, r, &t);
    if (s)
        return s;
    double equivalents = t.generated + t.read + t.scored + 2 * t.trained;
    json_t *made = json_pack("{s{sf sf sf sf sf} s{sI sI sI sI sI}}", "tokens", "generated", t.generated, "read", t.read, "scored",
                             t.scored, "trained", t.trained, "equivalents", equivalents, "labels", "expert", (json_int_t)t.labels, "audits",
                             (json_int_t)t.audits, "demonstrations", (json_int_t)t.demonstrations, "calibration",
                             (json_int_t)t.calibration, "gate", (json_int_t)t.gate);
    if (!made)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the cost");
    if (tokens_per_second > 0)
        json_object_set_new(made, "minutes", json_real(equivalents / tokens_per_second / 60));
    *cost = made;
    return AGON_OK;
}

agon_status recipe_memory(agon_ctx *ctx, const model *m, const run_config *config, json_t **out) {
    const recipe *r = NULL;
    forecast f;
    agon_status s = recipe_find(ctx, config->recipe, &r);
    *out = NULL;
    if (s || !r->memory)
        return s;
    s = r->memory(ctx, m, config, NULL, &f);
    if (!s && !(*out = forecast_json(&f)))
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for a forecast");
    return s;
}

/* A run of this name that is there already; the file that its queries are of may be gone since. out->queries new. */
static agon_status find_past(const cast *c, run_past *out) {
    static const char sql[] = "SELECT b.result ->> 'rules' AS rules, (SELECT count(*) FROM gate g WHERE g.run = r.id) AS gates, s.result AS result_json FROM run r"
                              " LEFT JOIN step b ON b.run = r.id AND b.path = 'begin' LEFT JOIN step s ON s.run = r.id AND s.kind = 'read_queries' WHERE r.name = ?1";
    json_t *name = json_pack("[s]", c->config->name), *rows = NULL;
    agon_status s = json_made(c->actors.ctx, name);
    if (!s)
        s = store_query_json(c->actors.store, sql, name, &rows);
    const json_t *row = json_array_get(rows, 0);
    const int64_t rules = row ? field_int(row, "rules") : 0;
    *out = (run_past){.store = c->actors.store, .queries = json_incref(json_object_get(json_object_get(row, "result"), "queries"))};
    out->rules = out->queries && rules == 0 ? 1 : rules; /* of the first runs it was not recorded */
    out->n_gates = row ? field_int(row, "gates") : 0;
    json_decref(rows);
    json_decref(name);
    return s;
}

static agon_status warnings(agon_ctx *ctx, const run_config *config, const run_past *past, json_t **out) {
    const recipe *r = NULL;
    json_t *sentences = json_array();
    agon_status s = sentences ? recipe_find(ctx, config->recipe, &r) : ctx_fail(ctx, AGON_ENOMEM, "no memory for warnings");
    if (!s && r->warn)
        s = r->warn(ctx, config, past, sentences);
    if (s)
        json_decref(sentences);
    else
        *out = sentences;
    return s;
}

agon_status recipe_warnings(agon_ctx *ctx, const run_config *config, json_t **out) {
    return warnings(ctx, config, &(run_past){0}, out);
}

/* Not in the log: it is said at each start. */
static agon_status warn(const cast *c, const run_past *past, recipe_observer observer, void *arg) {
    json_t *sentences = NULL, *sentence;
    size_t i;
    agon_status s = observer ? warnings(c->actors.ctx, c->config, past, &sentences) : AGON_OK;
    json_array_foreach(sentences, i, sentence) {
        char message[1100];
        json_t *data = json_pack("{sO}", "warning", sentence);
        snprintf(message, sizeof message, "warning: %s", json_string_value(sentence));
        const recipe_progress p = {.stage = "plan", .unit = "", .message = message, .data = data};
        observer(arg, &p);
        json_decref(data);
    }
    json_decref(sentences);
    return s;
}

/* Before anything is journaled. Without a local model there is nothing to forecast. */
static agon_status admit(const recipe *r, const cast *c, const run_past *past, recipe_observer observer, void *arg) {
    forecast f;
    if (!c->model || !r->memory)
        return AGON_OK;
    agon_status s = r->memory(c->actors.ctx, c->model, c->config, past->queries, &f);
    return s ? s : cast_admit(&f, c->config, observer, arg);
}

/* About how long a run that begins now will take, where all of it is done here. As memory's: of this machine, and not in the log. */
static agon_status tell_time(const cast *c, const run_past *past, recipe_observer observer, void *arg) {
    const run_config *r = c->config;
    const char *const backends[] = {r->attacker.by.backend, r->learner.by.backend, r->critic.by.backend};
    double rate = 0;
    json_t *cost = NULL;
    bool here = observer && c->model && past->rules == 0;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        here &= strcmp(backends[i], "local") == 0;
    agon_status s = here ? cost_rate(c->actors.ctx, c->model, &rate) : AGON_OK;
    if (!s && rate > 0)
        s = recipe_cost(c->actors.ctx, r, rate, &cost);
    const double minutes = json_number_value(json_object_get(cost, "minutes"));
    if (!s && cost) {
        char about[40] = "less than a minute", message[160];
        if (minutes >= 1)
            snprintf(about, sizeof about, "about %.0f minutes", minutes);
        snprintf(message, sizeof message, "time: %s on %d threads where nothing else runs", about, c->actors.ctx->n_threads);
        const recipe_progress p = {.stage = "plan", .unit = "", .message = message, .data = cost};
        observer(arg, &p);
    }
    json_decref(cost);
    return s == AGON_ENOMEM || s == AGON_EINTERRUPTED ? s : AGON_OK; /* the run itself says what is wrong with its rows */
}

/* Who gives a key wants something of it. */
static agon_status check_effects(agon_ctx *ctx, const run_config *config, const recipe *r) {
    agon_status s = AGON_OK;
    for (const char *const *key = r->without_effect; key && *key && !s; key++) {
        char section[32];
        const size_t n = strcspn(*key, ".");
        snprintf(section, sizeof section, "%.*s", (int)n, *key);
        if (run_config_gives(config, section, *key + n + 1))
            s = ctx_fail(ctx, AGON_EINVAL, "%s: %s has no effect in 'recipe: %s'; leave it out, or take 'recipe: loop'", config->source, *key, r->name);
    }
    return s;
}

/* A run that is there already goes on with what it was begun with. */
static agon_status check_beginning(agon_ctx *ctx, store *store, const run_config *config, const recipe *r) {
    json_t *name = json_pack("[s]", config->name);
    int64_t n_runs = 0;
    agon_status s = json_made(ctx, name);
    if (!s)
        s = store_query_int(store, "SELECT count(*) FROM run WHERE name = ?1", name, &n_runs);
    if (!s && n_runs == 0)
        s = check_effects(ctx, config, r);
    if (!s && n_runs == 0 && r->check_beginning)
        s = r->check_beginning(ctx, config);
    json_decref(name);
    return s;
}

agon_status recipe_run(agon_ctx *ctx, store *store, const run_config *config, recipe_observer observer, void *arg,
                       json_t **summary) {
    cast c;
    run_past past = {0};
    json_t *made = NULL;
    double began = monotonic_seconds();
    const recipe *r = NULL;
    agon_status s = recipe_find(ctx, config->recipe, &r);
    if (s)
        return s;
    s = check_beginning(ctx, store, config, r);
    if (s)
        return s;
    s = cast_open_actors(ctx, store, config, &c);
    if (!s)
        s = cast_open_attacker(&c);
    if (!s)
        s = find_past(&c, &past);
    if (!s)
        s = admit(r, &c, &past, observer, arg);
    if (!s)
        s = tell_time(&c, &past, observer, arg);
    if (!s)
        s = warn(&c, &past, observer, arg);
    json_decref(past.queries);
    if (!s)
        s = cast_begin(&c, observer, arg);
    if (!s)
        s = r->run(&c, &made);
    if (!s)
        s = complete_summary(&c, monotonic_seconds() - began, made);
    cast_close(&c);
    if (s)
        json_decref(made);
    else
        *summary = made;
    return s;
}

/* ---- executing again ---------------------------------------------------------------------------------------- */

typedef struct again {
    cast *c;
    size_t n_rows, n_wanted, at, next; /* rows that may be taken; the next one to take */
    size_t executed, equal, skipped;
    uint64_t seed;
    bool counting;
    char problem[256];
} again;

static bool may_take(const step_row *row) {
    return row->reproducible && json_object_get(row->result, "out");
}

static agon_status visit(void *arg, const step_row *row) {
    again *x = arg;
    bool known = false, equal = false;
    if (!may_take(row)) {
        x->skipped += x->counting;
        return AGON_OK;
    }
    if (x->counting) {
        x->n_rows++;
        return AGON_OK;
    }
    if (x->at++ != x->next || x->executed == x->n_wanted)
        return AGON_OK;
    agon_status s = work_again(&x->c->actors, row, &known, &equal);
    if (s)
        return s;
    x->executed += known;
    x->equal += equal;
    x->skipped += !known;
    if (known && !equal && !*x->problem)
        snprintf(x->problem, sizeof x->problem, "step %.150s item %.40s gives another result now", row->path, row->item);
    /* One row of each of n_wanted equal stretches, drawn by seed. */
    size_t stretch = x->n_rows / x->n_wanted, k = x->executed + (size_t)!known;
    rng r = rng_new(seed_derivef(x->seed, "again|%zu", k));
    x->next = k * stretch + (size_t)rng_below(&r, stretch ? stretch : 1);
    if (x->next < x->at)
        x->next = x->at;
    return ctx_check_interrupt(x->c->actors.ctx);
}

agon_status recorded_run(agon_ctx *ctx, store *store, const char *run, json_t **row, run_config **config) {
    json_t *rows = NULL, *parameters = json_pack("[s?]", run);
    agon_status s = json_made(ctx, parameters);
    if (!s)
        s = store_query_json(store,
                             "SELECT r.id, r.name, r.seed, r.config, coalesce(json_extract(b.result, '$.model'), v.path) AS path"
                             " FROM run r JOIN version_status s ON s.run = r.id AND s.status = 'base' JOIN model_version v ON v.id ="
                             " s.version LEFT JOIN step b ON b.run = r.id AND b.path = 'begin' WHERE ?1 IS NULL OR r.name = ?1 OR r.id = ?1 ORDER BY r.rowid DESC LIMIT 1",
                             parameters, &rows);
    const json_t *found = json_array_get(rows, 0);
    if (!s && !found)
        s = ctx_fail(ctx, AGON_ENOTFOUND, "this workspace has no run%s%s", run ? " " : "", run ? run : "");
    json_t *pinned = found ? json_loads(field_text(found, "config"), 0, NULL) : NULL;
    if (!s)
        s = run_config_from_json(ctx, "the recorded run file", pinned, field_text(found, "path"), config);
    if (!s)
        *row = json_incref((json_t *)found);
    backend_config *const by[] = {s ? NULL : &(*config)->attacker.by, s ? NULL : &(*config)->learner.by, s ? NULL : &(*config)->critic.by};
    for (size_t i = 0; i < sizeof by / sizeof *by && !s; i++) { /* what is recorded is asked of no server again, and needs no key */
        free(by[i]->key_env);
        by[i]->key_env = NULL;
    }
    json_decref(pinned);
    json_decref(rows);
    json_decref(parameters);
    return s;
}

agon_status recipe_reexecute(agon_ctx *ctx, store *store, const char *run, size_t n, uint64_t seed, json_t **report) {
    run_config *config = NULL;
    cast c = {0};
    again x = {.c = &c, .n_wanted = n ? n : 1, .seed = seed, .counting = true};
    json_t *row = NULL;
    agon_status s = recorded_run(ctx, store, run, &row, &config);
    run = field_text(row, "id");
    if (!s)
        s = step_iterate(ctx, store, run, visit, &x);
    if (!s && x.n_rows > 0 && n > 0) {
        s = cast_open_actors(ctx, store, config, &c);
        x.counting = false;
        x.n_wanted = n < x.n_rows ? n : x.n_rows;
        if (!s)
            s = step_iterate(ctx, store, run, visit, &x);
    }
    if (!s) {
        *report = json_pack("{sI sI sI ss?}", "executed", (json_int_t)x.executed, "equal", (json_int_t)x.equal, "skipped",
                            (json_int_t)x.skipped, "problem", *x.problem ? x.problem : NULL);
        s = json_made(ctx, *report);
    }
    cast_close(&c);
    run_config_free(config);
    json_decref(row);
    return s;
}

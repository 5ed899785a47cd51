/* agon.h, evaluation: asks a version every question of a suite, judges, counts, compares. */
#include "api/evals.h"
#include "api/options.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "eval/interval.h"
#include "eval/paired_sets.h"
#include "role/backend.h"
#include "task/task.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64 };
static const double ALPHA = 0.05, MARGIN = 0.03;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory for an evaluation");
}

agon_eval_options agon_eval_options_default(void) {
    return (agon_eval_options){.struct_size = sizeof(agon_eval_options)};
}

/* ---- answers ----------------------------------------------------------------------------------------- */

typedef struct evaluation {
    agon_ctx *ctx;
    const agon_eval_options *options;
    const char *name;
    const questions *q;
    size_t done, total; /* over both versions, for progress */
} evaluation;

static agon_status judge_one(evaluation *e, size_t i, const backend_response *r, bool *right, json_t *items) {
    const suite_item item = e->q->get(e->q->arg, i);
    if (r->state != BACKEND_DONE || r->n_completions != 1)
        return ctx_fail(e->ctx, AGON_EREMOTE, "%s: %s", item.id, r->error ? r->error : "no answer");
    char *evidence = NULL;
    const char *text = r->completions[0].text;
    agon_status s = e->q->judge(e->ctx, e->q->arg, i, text, right, &evidence);
    if (!s && items)
        json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:b, s:s}", "id", item.id, "query", item.query, "response",
                                               text, "right", (int)*right, "evidence", evidence ? evidence : ""));
    free(evidence);
    return s;
}

static agon_status answer_some(evaluation *e, backend *b, const version *v, size_t from, size_t n, bool *right,
                               json_t *items) {
    backend_request requests[AT_ONCE];
    backend_response responses[AT_ONCE] = {0};
    chat_message messages[AT_ONCE];
    const uint64_t seed = 0; /* greedy: nothing is drawn */
    for (size_t i = 0; i < n; i++) {
        const suite_item item = e->q->get(e->q->arg, from + i);
        messages[i] = (chat_message){"user", item.query};
        requests[i] = (backend_request){.id = item.id,
                                        .role = "learner",
                                        .messages = &messages[i],
                                        .n_messages = 1,
                                        .n_samples = 1,
                                        .seeds = &seed,
                                        .sampling = sampling_default(),
                                        .adapter = v->a};
        requests[i].sampling.temperature = 0;
        requests[i].sampling.max_tokens = item.max_tokens;
    }
    agon_status s = backend_run(e->ctx, b, requests, n, responses);
    if (s)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (!s)
            s = judge_one(e, from + i, &responses[i], &right[from + i], items);
        backend_response_free(&responses[i]);
    }
    e->done += n;
    if (!s && e->options->on_progress)
        e->options->on_progress(e->options->arg, e->name, e->done, e->total);
    return s;
}

/* right [n]. items: NULL or an array that receives them. */
static agon_status answer_all(evaluation *e, const version *v, bool *right, json_t *items) {
    backend *b = NULL;
    agon_status s = backend_local_new(e->ctx, v->m->m, 0, &b);
    for (size_t i = 0; !s && i < e->q->n; i += AT_ONCE) {
        size_t left = e->q->n - i;
        s = ctx_check_interrupt(e->ctx);
        if (!s)
            s = answer_some(e, b, v, i, left < AT_ONCE ? left : AT_ONCE, right, items);
    }
    backend_free(b);
    return s;
}

/* ---- counts ------------------------------------------------------------------------------------------ */

static bool in_group(const questions *q, size_t i, const char *group) {
    return !group || strcmp(q->get(q->arg, i).group, group) == 0;
}

typedef struct counted {
    paired_table table;
    paired_sets sets;
    bool tied; /* some questions go together */
} counted;

/* A group's questions (NULL: all), now and before (NULL: all wrong). Free out->sets in any case. */
static agon_status count(evaluation *e, const bool *now, const bool *before, const char *group, counted *out) {
    const questions *q = e->q;
    *out = (counted){0};
    agon_status s = paired_sets_new(e->ctx, q->n, &out->sets);
    for (size_t i = 0; i < q->n && !s; i++) {
        if (!in_group(q, i, group))
            continue;
        paired_add(&out->table, now[i], before && before[i]);
        paired_sets_add(&out->sets, q->sets ? q->sets[i] : i, now[i], before && before[i]);
    }
    out->tied = !s && paired_sets_tied(&out->sets);
    return s;
}

/* {"n", "right", "rate", "ci95", "sets"?} of a group, NULL: of all; *out new. */
static agon_status share(evaluation *e, const bool *right, const char *group, json_t **out) {
    counted c;
    agon_status s = count(e, right, NULL, group, &c);
    if (!s) {
        const size_t n = paired_n(&c.table), k = c.table.gained;
        const interval ci = c.tied ? paired_sets_share(&c.sets, ALPHA) : clopper_pearson(k, n, ALPHA);
        json_t *row = json_pack("{s:I, s:I, s:f, s:[f, f]}", "n", (json_int_t)n, "right", (json_int_t)k, "rate", n ? (double)k / (double)n : 0, "ci95", ci.low, ci.high);
        if (c.tied)
            json_object_set_new(row, "sets", json_integer((json_int_t)paired_sets_n(&c.sets)));
        *out = row;
        s = row ? AGON_OK : no_memory(e->ctx);
    }
    paired_sets_free(&c.sets);
    return s;
}

/* Adds how `now` compares with `before` on a group. */
static agon_status add_comparison(evaluation *e, const bool *now, const bool *before, const char *group, json_t *object) {
    counted c;
    sign_flip flip = {0};
    agon_status s = count(e, now, before, group, &c);
    if (!s && c.tied)
        s = paired_sets_test(e->ctx, &c.sets, &flip);
    if (!s) {
        const paired_table *t = &c.table;
        const interval ci = c.tied ? paired_sets_difference(&c.sets, t, ALPHA) : paired_difference(t, ALPHA);
        const noninferiority f = c.tied ? paired_sets_tango(&c.sets, t, MARGIN, ALPHA) : noninferiority_tango(t->gained, t->lost, paired_n(t), MARGIN, ALPHA);
        json_t *more = json_pack("{s:f, s:[f, f], s:I, s:I, s:I, s:I, s:f, s:{s:f, s:f, s:f, s:f, s:b}}", "gain", paired_gain(t),
                                 "gain_ci95", ci.low, ci.high, "both", (json_int_t)t->both, "gained", (json_int_t)t->gained,
                                 "lost", (json_int_t)t->lost, "neither", (json_int_t)t->neither, c.tied ? "sign_flip_p" : "mcnemar_p",
                                 c.tied ? flip.two_sided : mcnemar_exact(t->gained, t->lost), "non_inferiority", "margin", MARGIN, "alpha", ALPHA,
                                 "lower", f.lower, "p", f.p, "holds", (int)f.holds);
        s = json_object_update(object, more) ? no_memory(e->ctx) : AGON_OK;
        json_decref(more);
    }
    paired_sets_free(&c.sets);
    return s;
}

/* A group's figures into *out; before NULL: of one version only. */
static agon_status figures_of(evaluation *e, const bool *now, const bool *before, const char *group, json_t **out) {
    json_t *object = NULL, *against = NULL;
    agon_status s = share(e, now, group, &object);
    if (!s && before)
        s = share(e, before, group, &against);
    if (!s && before)
        s = add_comparison(e, now, before, group, against);
    if (!s && before && json_object_set(object, "against", against))
        s = no_memory(e->ctx);
    json_decref(against);
    if (s)
        json_decref(object);
    else
        *out = object;
    return s;
}

static bool seen_before(const questions *q, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (in_group(q, k, q->get(q->arg, i).group))
            return true;
    return false;
}

static agon_status add_groups(evaluation *e, const bool *now, const bool *before, json_t *object) {
    json_t *groups = json_array();
    agon_status s = groups ? AGON_OK : no_memory(e->ctx);
    for (size_t i = 0; !s && i < e->q->n; i++) {
        if (seen_before(e->q, i))
            continue;
        const char *group = e->q->get(e->q->arg, i).group;
        json_t *one = NULL;
        s = figures_of(e, now, before, group, &one);
        if (!s && (json_object_set_new(one, "name", json_string(group)) || json_array_append(groups, one)))
            s = no_memory(e->ctx);
        json_decref(one);
    }
    if (!s && json_object_set(object, "groups", groups))
        s = no_memory(e->ctx);
    json_decref(groups);
    return s;
}

/* How many of the user's own questions the version met before, where that is known. */
static agon_status add_seen(evaluation *e, const version *v, json_t *object) {
    size_t n_asked = 0, n_held_out = 0;
    agon_status s = AGON_OK;
    if (!v->seen || strcmp(e->name, "own") != 0)
        return AGON_OK;
    for (size_t i = 0; i < e->q->n && !s; i++) {
        bool asked = false, held_out = false;
        s = eval_seen_find(e->ctx, v->seen, e->q->get(e->q->arg, i).query, &asked, &held_out);
        n_asked += asked;
        n_held_out += held_out;
    }
    if (!s && (json_object_set_new(object, "asked_in_training", json_integer((json_int_t)n_asked)) ||
               json_object_set_new(object, "held_out", json_integer((json_int_t)n_held_out))))
        s = no_memory(e->ctx);
    return s;
}

static agon_status ask(evaluation *e, const version *now, const version *against, json_t **out) {
    json_t *object = NULL, *items = e->options->items ? json_array() : NULL;
    bool *right = memory_new(e->q->n, sizeof *right), *before = memory_new(e->q->n, sizeof *before);
    agon_status s = right && before && (items || !e->options->items) ? AGON_OK : no_memory(e->ctx);
    e->total = e->q->n * (against ? 2 : 1);
    if (!s)
        s = answer_all(e, now, right, items);
    if (!s && against)
        s = answer_all(e, against, before, NULL);
    if (!s)
        s = figures_of(e, right, against ? before : NULL, NULL, &object);
    if (!s)
        s = add_groups(e, right, against ? before : NULL, object);
    if (!s)
        s = add_seen(e, now, object);
    if (!s && against)
        s = add_seen(e, against, json_object_get(object, "against"));
    if (!s) {
        char hex[HASH_HEX_SIZE];
        hash_hex(&e->q->hash, hex);
        if (json_object_set_new(object, "name", json_string(e->name)) || json_object_set_new(object, "id", json_string(hex)) ||
            (items && json_object_set(object, "items", items)))
            s = no_memory(e->ctx);
    }
    json_decref(items);
    free(right);
    free(before);
    if (s)
        json_decref(object);
    else
        *out = object;
    return s;
}

/* ---- suites ------------------------------------------------------------------------------------------ */

static suite_item suite_question(const void *arg, size_t i) {
    return suite_get(arg, i);
}

static agon_status suite_verdict(agon_ctx *ctx, const void *arg, size_t i, const char *response, bool *right,
                                 char **evidence) {
    return suite_judge(ctx, arg, i, response, right, evidence);
}

static void suite_release(void *arg) {
    suite_free(arg);
}

static agon_status open_questions(agon_ctx *ctx, const char *name, const version *now, const version *against, const agon_eval_options *o, questions *out) {
    if (strcmp(name, "tasks") == 0)
        return eval_tasks_open(ctx, o, out);
    if (strcmp(name, "own") == 0)
        return eval_own_open(ctx, now, against, o, out);
    suite *s = NULL;
    agon_status status = suite_open(ctx, name, o->n, &s);
    if (!status)
        *out = (questions){s, suite_n_items(s), suite_question, suite_verdict, suite_release, suite_hash(s), NULL};
    return status;
}

static agon_status run_suite(agon_ctx *ctx, const char *name, const version *now, const version *against,
                             const agon_eval_options *o, json_t **out) {
    if (strcmp(name, "perplexity") == 0)
        return eval_perplexity(ctx, now, against, o, out);
    questions q = {0};
    agon_status s = open_questions(ctx, name, now, against, o, &q);
    if (s)
        return s;
    evaluation e = {.ctx = ctx, .options = o, .name = name, .q = &q};
    s = ask(&e, now, against, out);
    q.free(q.arg);
    return s;
}

/* tasks, general, perplexity, then what needs external data; NULL past the end. */
static const char *name_at(size_t i) {
    static const char *const first[] = {"tasks", "general", "perplexity"};
    enum { N_FIRST = sizeof first / sizeof *first };
    if (i < N_FIRST)
        return first[i];
    return suite_name(i - N_FIRST + 1); /* general leads the table */
}

static agon_status check_name(agon_ctx *ctx, const char *name) {
    const char *names[16];
    size_t n = 0;
    for (const char *known; (known = name_at(n)); n++)
        if (strcmp(names[n] = known, name) == 0)
            return AGON_OK;
    names[n++] = "all";
    const char *near = nearest_word(name, names, n);
    return near ? ctx_fail(ctx, AGON_ENOTFOUND, "no suite '%.40s'; did you mean %s?", name, near)
                : ctx_fail(ctx, AGON_ENOTFOUND, "no suite '%.40s'; agon eval --list names them", name);
}

static agon_status run_all(agon_ctx *ctx, const version *now, const version *against, const agon_eval_options *o,
                           json_t *list) {
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && name_at(i); i++) {
        json_t *one = NULL;
        s = run_suite(ctx, name_at(i), now, against, o, &one);
        if (s == AGON_ENOTFOUND) {
            one = json_pack("{s:s, s:s}", "name", name_at(i), "not_run", agon_error(ctx));
            s = AGON_OK;
        }
        if (!s && json_array_append_new(list, one))
            s = no_memory(ctx);
    }
    return s;
}

/* What a version of a workspace met in training; of others nothing is known. */
static agon_status look_back(agon_ctx *ctx, const agon_adapter *a, eval_seen *seen, version *v) {
    if (!a || !a->workspace)
        return AGON_OK;
    v->seen = seen;
    return eval_seen_open(ctx, a->workspace, a->version, seen);
}

agon_status agon_eval(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *against,
                      const agon_adapter *against_adapter, const agon_eval_options *options, char **json) {
    FP_ENVIRONMENT();
    agon_eval_options o = agon_eval_options_default();
    agon_status taken = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the place for the answer", json, 1});
    if (!taken)
        taken = options_take(ctx, "agon_eval_options", options, sizeof o, &o);
    if (!taken)
        taken = options_texts(ctx, "cells", o.cells, o.n_cells);
    if (taken)
        return taken;
    if (against_adapter && !against)
        against = m;
    version now = {m, adapter ? adapter->a : NULL, NULL}, other = {against, against_adapter ? against_adapter->a : NULL, NULL};
    const version *versus = against ? &other : NULL;
    eval_seen seen[2] = {{0}};
    if (o.file && o.suite && strcmp(o.suite, "own") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "a file of questions is suite \"own\"; '%.40s' has its own questions", o.suite);
    if (o.held_out && !o.file)
        return ctx_fail(ctx, AGON_EINVAL, "held-out questions are those of a file; a suite's are no run's");
    if (o.held_out && !(adapter && adapter->workspace) && !(against_adapter && against_adapter->workspace))
        return ctx_fail(ctx, AGON_EINVAL, "which questions are held out is known of a version of a workspace alone; name one as WORKSPACE:ID");
    if (o.file)
        o.suite = "own";
    bool all = !o.suite || !*o.suite || strcmp(o.suite, "all") == 0;
    json_t *list = json_array(), *one = NULL;
    agon_status s = list ? AGON_OK : no_memory(ctx);
    if (!s && o.file)
        s = look_back(ctx, adapter, &seen[0], &now);
    if (!s && o.file && against)
        s = look_back(ctx, against_adapter, &seen[1], &other);
    if (!s && all)
        s = run_all(ctx, &now, versus, &o, list);
    if (!s && !all && !o.file)
        s = check_name(ctx, o.suite);
    if (!s && !all)
        s = run_suite(ctx, o.suite, &now, versus, &o, &one);
    if (!s && !all && json_array_append_new(list, one))
        s = no_memory(ctx);
    if (!s)
        s = json_give_take(ctx, json_pack("{s:O}", "suites", list), json);
    json_decref(list);
    eval_seen_free(&seen[0]);
    eval_seen_free(&seen[1]);
    return s;
}

/* ---- what there is ------------------------------------------------------------------------------------- */

static json_t *describe_cells(void) {
    json_t *cells = json_array();
    char name[CELL_NAME_SIZE];
    for (size_t i = 0; i < task_n_cells(); i++) {
        const task_cell *c = task_cell_at(i);
        task_cell_name(i, name);
        json_array_append_new(cells, json_pack("{s:s, s:i, s:b, s:b}", "name", name, "difficulty", c->difficulty, "hard",
                                               (int)c->hard, "by_default", (int)c->by_default));
    }
    return cells;
}

static json_t *describe_suites(agon_ctx *ctx) {
    json_t *suites = json_array();
    json_array_append_new(suites, json_pack("{s:s, s:s}", "name", "tasks", "summary",
                                            "freshly drawn tasks of all default cells, judged by their verifiers"));
    json_array_append_new(suites, json_pack("{s:s, s:s}", "name", "perplexity", "summary",
                                            "perplexity of held-out English prose that came with agon"));
    for (size_t i = 0; suite_name(i); i++) {
        suite *s = NULL;
        json_t *one = json_pack("{s:s, s:s}", "name", suite_name(i), "summary", suite_summary(i));
        if (suite_open(ctx, suite_name(i), 0, &s))
            json_object_set_new(one, "not_run", json_string(agon_error(ctx)));
        else
            json_object_set_new(one, "n", json_integer((json_int_t)suite_n_items(s)));
        suite_free(s);
        json_array_append_new(suites, one);
    }
    return suites;
}

agon_status agon_suites(agon_ctx *ctx, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    return s ? s : json_give_take(ctx, json_pack("{s:o, s:o}", "suites", describe_suites(ctx), "cells", describe_cells()), json);
}

/* The loop's monitor of collapse (G4; loop section 6): the same prompts, sampled at temperature 1, of base, incumbent and candidate.
 *
 * Open questions show whether a version still says different things: trained on answers of its own it may come to say the same. Tasks, drawn once from the first
 * iteration's held-out ones, show whether it still finds with several tries what it does not find at once. Both stay the same for the whole run, so a version
 * is sampled once. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/random.h"
#include "eval/collapse_monitor.h"
#include "recipe/loop_private.h"
#include "recipe/open_prompts.h"
#include "role/learner.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000 };

typedef struct monitored {
    char version[STORE_ID_SIZE]; /* "": none yet */
    const char **texts;          /* of open questions, [n * MONITOR_SAMPLES], from the run's arena */
    double *log_probs, *n_tokens;
    size_t *passed; /* of a task's samples, [tasks.n]; SIZE_MAX: one could not be verified */
} monitored;

struct loop_watch {
    open_prompts open;
    query_list tasks;
    monitored base, incumbent, candidate;
    bool stale;          /* the incumbent's samples: it is an older version again, which is sampled anew */
    bool warned, yellow; /* against the version before it: the incumbent, the candidate */
    json_t *report;
};

static void monitored_free(monitored *m) {
    free(m->texts);
    free(m->log_probs);
    free(m->n_tokens);
    free(m->passed);
    *m = (monitored){0};
}

void loop_watch_free(loop_watch *w) {
    if (!w)
        return;
    if (w->incumbent.texts != w->base.texts)
        monitored_free(&w->incumbent);
    monitored_free(&w->base);
    monitored_free(&w->candidate);
    open_prompts_free(&w->open);
    query_list_free(&w->tasks);
    json_decref(w->report);
    free(w);
}

json_t *loop_watch_report(const loop *l) {
    return l->watch ? l->watch->report : NULL;
}

/* Some of the held-out tasks, by seed. */
static agon_status take_tasks(loop *l, size_t most) {
    loop_watch *w = l->watch;
    rng r = rng_new(seed_derive((uint64_t)l->config->seed, "monitor|tasks"));
    size_t *order = memory_new(l->held_out.n + 1, sizeof *order);
    agon_status s = order ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
    for (size_t i = 0; i < l->held_out.n && !s; i++)
        order[i] = i;
    if (!s)
        rng_shuffle(&r, order, l->held_out.n);
    for (size_t i = 0; i < most && i < l->held_out.n && !s; i++) {
        query *q = query_list_add(&w->tasks);
        if (!q) {
            s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
            break;
        }
        *q = l->held_out.items[order[i]];
        json_incref(q->task);
    }
    free(order);
    return s;
}

agon_status loop_watch_plan(loop *l) {
    cast *c = l->c;
    if (c->monitor_prompts == 0 || l->watch)
        return AGON_OK;
    loop_watch *w = l->watch = memory_new(1, sizeof *w);
    if (!w)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
    w->tasks.memory = c->memory;
    agon_status s = open_prompts_read(c->actors.ctx, (size_t)c->monitor_prompts, seed_derive((uint64_t)l->config->seed, "monitor|open"), &w->open);
    for (size_t i = 0; i < w->open.n && !s; i++)
        s = contamination_add_text(c->actors.ctx, l->aim.held_out, w->open.items[i]);
    return s ? s : take_tasks(l, (size_t)c->monitor_prompts);
}

/* ---- samples ------------------------------------------------------------------------------------------------------ */

static agon_status sample_open(loop *l, const char *version, monitored *m) {
    cast *c = l->c;
    const loop_watch *w = l->watch;
    size_t n = w->open.n * MONITOR_SAMPLES;
    prompt_sample *samples = memory_new(n + 1, sizeof *samples);
    agon_status s = samples ? sample_prompts(&c->actors, cast_path(c, "monitor/%.12s/open", version), w->open.items, w->open.n, version, MONITOR_SAMPLES,
                                             MONITOR_TOKENS, c->memory, samples)
                            : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
    for (size_t i = 0; i < n && !s; i++) {
        m->texts[i] = samples[i].text;
        m->log_probs[i] = samples[i].log_prob;
        m->n_tokens[i] = samples[i].n_tokens;
    }
    free(samples);
    return s;
}

static agon_status sample_tasks(loop *l, const char *version, monitored *m) {
    cast *c = l->c;
    const loop_watch *w = l->watch;
    answer_list answers = {.memory = c->memory};
    const ask_options o = {.version = version,
                           .kind = "monitor",
                           .template_id = learner_answer_template(),
                           .samples = MONITOR_SAMPLES,
                           .max_tokens = (size_t)l->config->learner.max_tokens,
                           .temperature = 1,
                           .top_p = 1};
    agon_status s = respond_queries(&c->actors, cast_path(c, "monitor/%.12s/tasks", version), &w->tasks, 0, w->tasks.n, &o, &answers);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "monitor/%.12s/verify", version), &w->tasks, &answers, 0);
    for (size_t i = 0; i < answers.n && !s; i++) {
        const answer *x = &answers.items[i];
        size_t *passed = &m->passed[x->query];
        if (x->outcome == OUTCOME_UNKNOWN && !x->failed)
            *passed = SIZE_MAX;
        else if (*passed != SIZE_MAX)
            *passed += x->outcome == OUTCOME_PASS;
    }
    answer_list_free(&answers);
    return s;
}

static agon_status sample(loop *l, const char *version, monitored *m) {
    const loop_watch *w = l->watch;
    size_t n = w->open.n * MONITOR_SAMPLES + 1;
    monitored_free(m);
    *m = (monitored){.texts = memory_new(n, sizeof *m->texts),
                     .log_probs = memory_new(n, sizeof *m->log_probs),
                     .n_tokens = memory_new(n, sizeof *m->n_tokens),
                     .passed = memory_new(w->tasks.n + 1, sizeof *m->passed)};
    if (!m->texts || !m->log_probs || !m->n_tokens || !m->passed)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
    snprintf(m->version, sizeof m->version, "%s", version);
    agon_status s = sample_open(l, version, m);
    return s ? s : sample_tasks(l, version, m);
}

/* ---- comparison --------------------------------------------------------------------------------------------------- */

static sampled_answers of_open(const loop_watch *w, const monitored *m) {
    return (sampled_answers){m->texts, m->log_probs, m->n_tokens, w->open.n, MONITOR_SAMPLES};
}

/* Tasks all of whose samples could be verified, of both: *out.n_prompts 0 where there is none. */
static agon_status compare_tasks(loop *l, const monitored *now, const monitored *before, uint64_t seed, pass_comparison *out) {
    const loop_watch *w = l->watch;
    size_t n = 0, *x = memory_new(2 * w->tasks.n + 1, sizeof *x), *y = x ? x + w->tasks.n : NULL;
    *out = (pass_comparison){0};
    for (size_t i = 0; x && i < w->tasks.n; i++)
        if (now->passed[i] != SIZE_MAX && before->passed[i] != SIZE_MAX) {
            x[n] = now->passed[i];
            y[n++] = before->passed[i];
        }
    agon_status s = !x    ? ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the monitor")
                    : n > 0 ? pass_compare(l->c->actors.ctx, x, y, n, MONITOR_SAMPLES, DRAWS, seed, out)
                            : AGON_OK;
    free(x);
    return s;
}

static json_t *interval_json(interval i) {
    return json_pack("[oo]", real_or_null(i.low), real_or_null(i.high));
}

static json_t *measure_json(const collapse_measure *m) {
    return json_pack("{ss so so so so so}", "measure", m->name, "before", real_or_null(m->before), "now", real_or_null(m->now), "drop",
                     real_or_null(m->drop), "ci95", interval_json(m->range), "level",
                     m->decides ? json_string(collapse_level_name(m->level)) : json_null());
}

static json_t *change_json(const pass_change *x) {
    return json_pack("{sf sf so}", "before", x->before, "now", x->now, "gain_ci95", interval_json(x->gain));
}

static json_t *comparison_json(const collapse_comparison *words, const pass_comparison *pass, const char *reversal) {
    json_t *list = json_array(), *tasks = NULL;
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        json_array_append_new(list, measure_json(&words->measures[i]));
    if (pass->n_prompts > 0)
        tasks = json_pack("{sI sI so so ss so}", "tasks", (json_int_t)pass->n_prompts, "k", (json_int_t)pass->k, "pass_at_1", change_json(&pass->one),
                          "pass_at_k", change_json(&pass->all), "level", collapse_level_name(pass->level), "reversal", json_text(reversal));
    return json_pack("{sI so so}", "words", (json_int_t)words->n_words, "measures", list, "pass", tasks ? tasks : json_string("not evaluated"));
}

/* What is worst in one comparison. */
typedef struct finding {
    collapse_level level;
    const char *what; /* measure; static */
    double before, now;
    const char *against; /* static */
    bool reversal;       /* nothing but a reversal: shown; before rules 17 yellow, though no step towards red */
} finding;

/* Candidate against another version. *json new. */
static agon_status compare(loop *l, const monitored *before, const char *against, finding *f, json_t **json) {
    loop_watch *w = l->watch;
    agon_ctx *ctx = l->c->actors.ctx;
    collapse_comparison words;
    pass_comparison pass;
    const char *reversal = NULL;
    const sampled_answers a = of_open(w, &w->candidate), b = of_open(w, before);
    uint64_t seed = seed_derivef((uint64_t)l->config->seed, "monitor|%lld|%s", (long long)l->c->actors.iteration, against);
    agon_status s = collapse_compare(ctx, &a, &b, DRAWS, seed, &words);
    if (!s)
        s = compare_tasks(l, &w->candidate, before, seed, &pass);
    if (!s && pass.n_prompts > 0)
        s = collapse_reversal(ctx, &pass, &words, &reversal);
    if (s)
        return s;
    const collapse_measure *m = &words.measures[words.worst];
    *f = pass.level > m->level ? (finding){pass.level, "pass@k", pass.all.before, pass.all.now, against, false}
                               : (finding){m->level, m->name, m->before, m->now, against, false};
    if (f->level == COLLAPSE_GREEN && reversal)
        *f = (finding){l->c->rules < 17 ? COLLAPSE_YELLOW : COLLAPSE_GREEN, reversal, NAN, NAN, against, true};
    *json = comparison_json(&words, &pass, reversal);
    return json_made(ctx, *json);
}

/* The candidate's level, why, and what is said of it. */
static agon_status conclude(loop *l, finding to_base, finding to_incumbent, json_t *base_take, json_t *incumbent_take) {
    loop_watch *w = l->watch;
    const finding *f = to_incumbent.level > to_base.level ? &to_incumbent : &to_base;
    const bool yellow = to_incumbent.level == COLLAPSE_YELLOW && !to_incumbent.reversal, twice = w->warned && yellow && f->level == COLLAPSE_YELLOW;
    collapse_level level = twice ? COLLAPSE_RED : f->level;
    char reason[200] = "", figures[64] = "";
    if (!isnan(f->before) && !isnan(f->now))
        snprintf(figures, sizeof figures, ", %.3g after %.3g", f->now, f->before);
    if (twice)
        f = &to_incumbent;
    if (level != COLLAPSE_GREEN)
        snprintf(reason, sizeof reason, "%s of its samples has fallen against the %s%s%s (G4)", f->what, f->against, figures,
                 twice ? ", for the second time in a row" : "");
    json_decref(w->report);
    w->yellow = yellow;
    w->report = json_pack("{sb ss so sI sI sI so* so*}", "holds", level != COLLAPSE_RED, "level", collapse_level_name(level), "reason",
                          *reason ? json_string(reason) : json_null(), "prompts", (json_int_t)w->open.n, "samples", (json_int_t)MONITOR_SAMPLES,
                          "max_tokens", (json_int_t)MONITOR_TOKENS, "base", base_take, "incumbent", incumbent_take);
    if (level == COLLAPSE_YELLOW)
        cast_say(l->c, NULL, "monitor: yellow: %s", reason);
    if (level == COLLAPSE_GREEN && (to_base.reversal || to_incumbent.reversal)) {
        const finding *r = to_base.reversal ? &to_base : &to_incumbent;
        cast_say(l->c, NULL, "monitor: right more often than the %s, and %s of its samples has fallen, by less than is yellow: a reversal, which sets nothing off", r->against, r->what);
    }
    return json_made(l->c->actors.ctx, w->report);
}

agon_status loop_watch_candidate(loop *l) {
    loop_watch *w = l->watch;
    finding to_base = {0}, to_incumbent = {0};
    json_t *base = NULL, *incumbent = NULL;
    if (!w)
        return AGON_OK;
    agon_status s = cast_stage(l->c, "monitor");
    if (!s && !*w->base.version)
        s = sample(l, l->c->actors.base, &w->base);
    if (!s && !*w->incumbent.version && !w->stale)
        w->incumbent = w->base;
    if (!s && w->stale)
        s = sample(l, l->learner, &w->incumbent);
    w->stale = w->stale && s;
    if (!s)
        s = sample(l, l->candidate, &w->candidate);
    if (!s)
        s = compare(l, &w->base, "base", &to_base, &base);
    if (!s && w->incumbent.texts != w->base.texts)
        s = compare(l, &w->incumbent, "incumbent", &to_incumbent, &incumbent);
    else
        to_incumbent = to_base;
    if (!s)
        return conclude(l, to_base, to_incumbent, base, incumbent);
    json_decref(base);
    json_decref(incumbent);
    return s;
}

void loop_watch_promoted(loop *l) {
    loop_watch *w = l->watch;
    if (!w)
        return;
    if (w->incumbent.texts != w->base.texts)
        monitored_free(&w->incumbent);
    w->incumbent = w->candidate;
    w->candidate = (monitored){0};
    w->warned = w->yellow;
}

void loop_watch_rolled_back(loop *l) {
    loop_watch *w = l->watch;
    if (w->incumbent.texts != w->base.texts)
        monitored_free(&w->incumbent);
    w->stale = strcmp(l->learner, l->c->actors.base) != 0;
    w->incumbent = w->stale ? (monitored){0} : w->base;
    w->warned = false;
}

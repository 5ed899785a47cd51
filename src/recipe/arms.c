/* Control arms, see arms.h. */
#include "recipe/arms.h"
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/school.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

void arm_free(arm *a) {
    example_list_free(&a->examples);
    free(a->right);
    a->right = NULL;
}

agon_status arm_add(cast *c, arm *a, const example *e) {
    agon_status s = example_add(c, &a->examples, e);
    a->n_tokens += s ? 0 : e->n_tokens;
    return s;
}

agon_status arm_order(cast *c, const char *name, size_t n, size_t **out) {
    size_t *order = memory_new(n + 1, sizeof *order);
    if (!order)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    rng r = rng_new(seed_derivef((uint64_t)c->config->seed, "arm|%s", name));
    rng_shuffle(&r, order, n);
    *out = order;
    return AGON_OK;
}

agon_status arm_train(cast *c, arm *a, const char *parent) {
    train_plan plan = school_learner_plan(c, parent);
    plan.control = true;
    plan.role = "control";
    agon_status s = train_version(&c->actors, cast_path(c, "arm/%s/train", a->name), a->examples.items, a->examples.n, &plan, a->version);
    if (!s)
        cast_say(c, NULL, "arm %s: %zu examples, %lld loss tokens", a->name, a->examples.n, (long long)a->n_tokens);
    return s;
}

json_t *arm_question(const cast *c, const arm *a, const char *query, const char *prompt) {
    return generate_greedy(query, prompt, a->version, (size_t)c->config->learner.max_tokens);
}

agon_status arm_answer(cast *c, arm *a, const json_t *inputs, json_t **results) {
    a->right = memory_new(json_array_size(inputs) + 1, sizeof *a->right);
    return a->right ? work_run(&c->actors, cast_path(c, "arm/%s/tasks", a->name), &work_generate, inputs, NULL, NULL, results)
                    : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
}

const char *arm_text(const json_t *results, size_t i) {
    const json_t *out = json_object_get(json_array_get(results, i), "out");
    return field_text(json_array_get(json_object_get(out, "completions"), 0), "text");
}

/* *sets: of the tasks, where any has more than one, else untouched. */
static agon_status tied_sets(agon_ctx *ctx, const bool *now, const bool *before, arm_tasks tasks, paired_sets *room, const paired_sets **sets) {
    *room = (paired_sets){0};
    agon_status s = tasks.sets ? paired_sets_new(ctx, tasks.n_sets, room) : AGON_OK;
    for (size_t i = 0; i < tasks.n && tasks.sets && !s; i++)
        paired_sets_add(room, tasks.sets[i], now[i], before[i]);
    if (!s && tasks.sets && paired_sets_tied(room))
        *sets = room;
    return s;
}

json_t *arm_row(agon_ctx *ctx, const char *name, const bool *now, const bool *before, arm_tasks tasks, size_t n_examples, int64_t n_tokens) {
    const paired_table t = paired_count(now, before, tasks.n);
    const paired_sets *sets = NULL;
    paired_sets room;
    json_t *row = tied_sets(ctx, now, before, tasks, &room, &sets) ? NULL : paired_json(&t, sets);
    json_object_set_new(row, "arm", json_string(name));
    json_object_set_new(row, "examples", json_integer((json_int_t)n_examples));
    json_object_set_new(row, "loss_tokens", json_integer((json_int_t)n_tokens));
    paired_sets_free(&room);
    return row;
}

json_t *arm_against(agon_ctx *ctx, const bool *version, const bool *arm, arm_tasks tasks) {
    const paired_table t = paired_count(version, arm, tasks.n);
    const paired_sets *sets = NULL;
    sign_flip flip = {.two_sided = mcnemar_exact(t.gained, t.lost)};
    paired_sets room;
    agon_status s = tied_sets(ctx, version, arm, tasks, &room, &sets);
    if (!s && sets)
        s = paired_sets_test(ctx, sets, &flip);
    const interval ci = !s && sets ? paired_sets_difference(sets, &t, 0.05) : paired_difference(&t, 0.05);
    paired_sets_free(&room);
    return s ? NULL : json_pack("{sf s[ff] sf}", "gain", paired_gain(&t), "ci95", ci.low, ci.high, "p", flip.two_sided);
}

void arm_note_lack(cast *c, const char *name, int64_t n_tokens, int64_t wanted, json_t *row) {
    static const double SHORT = 0.01;
    if ((double)(wanted - n_tokens) <= SHORT * (double)wanted)
        return;
    json_object_set_new(row, "tokens_wanted", json_integer(wanted));
    cast_say(c, NULL, "arm %s: what it may learn from has only %lld of the %lld loss tokens that the version was trained on; it is no control at equal tokens", name,
             (long long)n_tokens, (long long)wanted);
}

agon_status arms_begin(cast *c, const char *name, const char *of, run **out) {
    json_t *pinned = json_pack("{ss}", "arms_of", of);
    agon_status s = json_made(c->actors.ctx, pinned);
    if (!s)
        s = store_commit(c->actors.store); /* what the cast's own run has said */
    if (!s) {
        const run_options o = {.name = name, .seed = (uint64_t)c->config->seed, .config = pinned};
        s = run_begin(c->actors.ctx, c->actors.store, &o, out);
    }
    json_decref(pinned);
    return s;
}

agon_status arms_work_take(cast *c, run *arms, agon_status (*work)(void *arg), void *arg) {
    run *own = c->run;
    c->run = c->actors.run = arms;
    agon_status s = work(arg);
    if (!s)
        s = run_finish(arms, "done", "control arms trained");
    run_end(arms);
    c->run = c->actors.run = own;
    return s;
}

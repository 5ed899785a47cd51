/* The expert's labels over the iterations, see loop.c. human.labels is for the whole run, audits and demonstrations are asked for in each iteration. Since rules
 * 19 the labels that are left are shared evenly over the iterations that are left, what one does not use going to those after it; where a share is less than
 * audits and demonstrations ask for, both are cut alike. Before, the first iterations took what they asked for and the later ones had nothing.
 *
 * human.labels and iterations may be changed while a run goes on. What an iteration may use stands in the journal, so that a replay asks what was asked. */
#include "base/ctx.h"
#include "recipe/cost.h"
#include "recipe/loop_private.h"
#include <string.h>

enum { SHARED_SINCE = 19 };

/* In a queue every open question may yet be answered, so it counts. */
static int64_t spent(const loop *l) {
    return loop_simulated(l) ? l->labels_used : l->asked;
}

/* One of n even parts, rounded up: the last iteration has what is left. */
static int64_t share(int64_t left, int64_t n) {
    return left > 0 ? (left + n - 1) / n : 0;
}

/* Of so many labels for audits and demonstrations those for audits. */
static int64_t audits_of(const run_config *r, int64_t left) {
    const int64_t wanted = r->human.audits + r->human.demonstrations;
    return left >= wanted ? r->human.audits : left > 0 ? (2 * left * r->human.audits + wanted) / (2 * wanted) : 0;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static agon_status allow(void *arg, json_t **result) {
    const loop *l = arg;
    const int64_t labels = l->config->human.labels, n = l->config->iterations - l->c->actors.iteration + 1,
                  until = l->c->rules >= SHARED_SINCE ? spent(l) + share(labels - spent(l), n) : labels;
    *result = json_pack("{sI sI}", "labels", (json_int_t)labels, "until", (json_int_t)until);
    return json_made(l->c->actors.ctx, *result);
}

/* Did the iteration begin under an agon that recorded no budget? Then it had what the run was begun with. */
static agon_status began_without(loop *l, const char *path, bool *out) {
    static const char sql[] = "SELECT count(*) FROM (SELECT path FROM step WHERE run = ?1 UNION ALL SELECT path FROM step_item WHERE run = ?1) WHERE path GLOB ?2";
    const char *const patterns[] = {path, arena_printf(l->c->memory, "iteration/%lld/*", (long long)l->c->actors.iteration)};
    int64_t n[2] = {0};
    agon_status s = AGON_OK;
    for (int k = 0; k < 2 && l->c->rules < SHARED_SINCE && !s; k++) {
        json_t *parameters = json_pack("[ss]", run_id(l->c->run), patterns[k]);
        s = json_made(l->c->actors.ctx, parameters);
        if (!s)
            s = store_query_int(l->c->actors.store, sql, parameters, &n[k]);
        json_decref(parameters);
    }
    *out = n[0] == 0 && n[1] > 0;
    return s;
}

agon_status loop_plan_budget(loop *l) {
    const char *path = cast_path(l->c, "labels");
    json_t *input = json_object(), *result = NULL;
    const step_key key = {.path = path, .kind = "budget"};
    bool without = false;
    agon_status s = began_without(l, path, &without);
    l->labels = l->may_use = l->c->begun_labels;
    if (!s && !without) {
        s = step_once(l->c->run, &key, input, allow, l, &result);
        l->labels = field_int(result, "labels");
        l->may_use = field_int(result, "until");
    }
    json_decref(result);
    json_decref(input);
    return s;
}

void loop_divide_budget(loop *l) {
    l->gate_reserve = loop_gate_labels(l);
    l->audits = l->c->rules >= SHARED_SINCE ? audits_of(l->config, l->may_use - spent(l) - l->gate_reserve) : l->config->human.audits;
}

size_t loop_within_budget(const loop *l, int64_t wanted) {
    const int64_t left = l->may_use - spent(l) - l->gate_reserve, within = least(wanted, left);
    return within > 0 ? (size_t)within : 0;
}

bool loop_over_budget(const loop *l) {
    return l->labels_used > l->labels && l->labels_used > l->may_use; /* human.labels may have been lowered to less than was used */
}

void loop_say_budget(const loop *l) {
    const int64_t audits = l->config->human.audits, written = l->config->human.demonstrations, left = (int64_t)loop_within_budget(l, audits + written);
    const char *kept = l->gate_reserve > 0 ? " but for the gate's" : "";
    if (left == 0 && audits + written > 0)
        cast_say(l->c, NULL, "the expert is asked nothing: none of %lld labels is left%s. Raise human.labels in the run file, also while the run goes on: it counts from the next iteration on",
                 (long long)l->labels, kept);
    else if (left < audits + written)
        cast_say(l->c, NULL, "of human.labels (%lld) this iteration may use %lld more%s, and audits and demonstrations ask for %lld: %lld for audits, the rest for answers that the expert writes. "
                 "Raise it in the run file, also while the run goes on: it counts from the next iteration on", (long long)l->labels, (long long)left, kept,
                 (long long)(audits + written), (long long)least(l->audits, left));
}

void loop_expect_labels(const run_config *r, int64_t gate, expected *t) {
    int64_t left = r->human.labels;
    t->labels = left;
    for (int64_t n = r->iterations; n > 0; n--) {
        const int64_t all = share(left, n), for_gate = least(gate, all), rest = all - for_gate, audits = audits_of(r, rest),
                      written = least(r->human.demonstrations, rest - audits);
        t->audits += audits;
        t->demonstrations += written;
        t->gate += for_gate;
        left -= audits + written + for_gate;
    }
}

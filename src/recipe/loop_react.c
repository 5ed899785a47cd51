/* What follows from the monitor of collapse beyond its veto (loop section 6, REACT). After a candidate that is not green the next iteration has more real
 * data, a higher temperature and smaller caps of cells, until a candidate is green again. After a red one the loop goes back to the last green ancestor:
 * versions that were promoted with a warning since are rolled back, and what their lineage wrote is not replayed. What was seen is in the journal, and what
 * follows from it is recorded as a step of its own. */
#include "base/ctx.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

static bool reacts(const loop *l) {
    return l->watch && l->c->rules >= 11 && strcmp(l->config->gate.react, "off") != 0;
}

static agon_status note_promoted(loop *l, bool green) {
    if (!memory_grow((void **)&l->ancestors, &l->ancestor_capacity, l->n_ancestors, sizeof *l->ancestors))
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the lineage");
    ancestor *a = &l->ancestors[l->n_ancestors++];
    *a = (ancestor){.iteration = l->c->actors.iteration, .green = green, .held_out = json_incref(l->held_out_json)};
    snprintf(a->version, sizeof a->version, "%s", l->learner);
    return AGON_OK;
}

/* How many of the promoted versions stand when those above the last green one are taken back; the base is green. */
static size_t n_that_stand(const loop *l) {
    size_t n = l->n_ancestors;
    while (n > 0 && !l->ancestors[n - 1].green)
        n--;
    return n;
}

typedef struct consequence {
    loop *l;
    const char *level;
    size_t n_stand; /* of the ancestors */
} consequence;

static agon_status set_status(loop *l, const ancestor *a, const char *status, const char *reason) {
    const version_status_record r = {.run = run_id(l->c->run),
                                     .version = a->version,
                                     .status = status,
                                     .reason = reason,
                                     .iteration = l->c->actors.iteration,
                                     .held_out = a->held_out};
    return store_add_version_status(l->c->actors.store, &r);
}

static agon_status record(void *arg, json_t **result) {
    const consequence *x = arg;
    loop *l = x->l;
    const bool back = x->n_stand < l->n_ancestors;
    agon_status s = AGON_OK;
    for (size_t i = l->n_ancestors; i-- > x->n_stand && !s;)
        s = set_status(l, &l->ancestors[i], "rolled_back", "its successor has collapsed, and it was no green one itself (G4)");
    if (!s && back && x->n_stand > 0)
        s = set_status(l, &l->ancestors[x->n_stand - 1], "promoted", "the last green ancestor (G4)");
    if (s)
        return s;
    *result = json_pack("{ss sf sf sI so}", "level", x->level, "real_share", cast_real_share(l->c), "temperature", cast_temperature(l->c), "per_cell",
                        (json_int_t)cast_per_cell(l->c), "back_to", !back ? json_null() : json_string(x->n_stand ? l->ancestors[x->n_stand - 1].version : l->c->actors.base));
    return json_made(l->c->actors.ctx, *result);
}

/* What people wrote stays (it was paid for); the lineage's own examples do not. */
static void keep_what_is_real(example_list *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].origin, "real") == 0)
            list->items[kept++] = list->items[i];
    list->n = kept;
}

static void go_back(loop *l, size_t n_stand) {
    const char *to = n_stand ? l->ancestors[n_stand - 1].version : l->c->actors.base;
    cast_say(l->c, NULL, "rolled back from %.12s to %.12s, the last version whose samples had not fallen; what was learnt since is not replayed", l->learner, to);
    snprintf(l->learner, sizeof l->learner, "%s", to);
    loop_watch_rolled_back(l);
    loop_arms_rolled_back(l, n_stand ? l->ancestors[n_stand - 1].iteration : 0);
    suite_results_free(&l->incumbent_suites);
    if (l->c->rules >= 20)
        aim_forget(&l->aim);
    keep_what_is_real(&l->earlier);
    while (l->n_ancestors > n_stand)
        json_decref(l->ancestors[--l->n_ancestors].held_out);
}

agon_status loop_react(loop *l) {
    cast *c = l->c;
    json_t *input = NULL, *result = NULL;
    if (!reacts(l))
        return AGON_OK;
    consequence x = {l, field_text(loop_watch_report(l), "level"), l->n_ancestors};
    c->reacts = strcmp(x.level, "green") != 0;
    agon_status s = l->promoted ? note_promoted(l, !c->reacts) : AGON_OK;
    if (s || !c->reacts)
        return s;
    x.n_stand = strcmp(x.level, "red") == 0 && strcmp(l->config->gate.react, "rollback") == 0 ? n_that_stand(l) : l->n_ancestors;
    input = json_pack("{ss ss}", "candidate", l->candidate, "incumbent", l->learner);
    const step_key key = {.path = cast_path(c, "react"), .kind = "react"};
    s = step_once(c->run, &key, input, record, &x, &result);
    if (!s)
        cast_say(c, json_pack("{sO}", "react", result), "after a %s candidate: at least %.0f%% real data, temperature %.2g, at most %lld examples a cell", x.level,
                 100 * cast_real_share(c), cast_temperature(c), (long long)cast_per_cell(c));
    if (!s && x.n_stand < l->n_ancestors)
        go_back(l, x.n_stand);
    json_decref(result);
    json_decref(input);
    return s;
}

void loop_ancestors_free(loop *l) {
    for (size_t i = 0; i < l->n_ancestors; i++)
        json_decref(l->ancestors[i].held_out);
    free(l->ancestors);
}

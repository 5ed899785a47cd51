/* Choosing training examples, see choose.h. */
#include "recipe/choose.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>

void example_list_free(example_list *l) {
    free(l->items);
    *l = (example_list){0};
}

agon_status example_add(cast *c, example_list *l, const example *e) {
    if (!memory_grow((void **)&l->items, &l->capacity, l->n, sizeof *l->items))
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for examples");
    l->items[l->n++] = *e;
    return AGON_OK;
}

static bool has_example(const example_list *l, const char *prompt, const char *chosen) {
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].prompt, prompt) == 0 && strcmp(l->items[i].chosen, chosen) == 0)
            return true;
    return false;
}

bool choose_is_cut(const cast *c, const answer *x) {
    return x && x->cut && c->rules >= 10;
}

/* Ids are copied: queries and answers lie in lists that move as they grow, and examples come again in later iterations. label: of a
 * preference between the two; NULL: each has its own. */
static agon_status make_example(cast *c, const query *q, const answer *chosen, const answer *rejected, const char *label, const char *origin,
                                example *e) {
    const char *texts[] = {q->id, chosen->id, rejected ? rejected->id : NULL};
    const char *labels[] = {label ? label : chosen->label, rejected && !label ? rejected->label : NULL};
    bool copied = true;
    *e = (example){.objective = rejected                                      ? "pref"
                                : strcmp(chosen->kind, "refinement") == 0 ? "refine"
                                                                          : "sft",
                   .origin = origin,
                   .prompt = q->text,
                   .identity = q->identity,
                   .chosen = chosen->text,
                   .rejected = rejected ? rejected->text : NULL,
                   .chosen_cut = choose_is_cut(c, chosen),
                   .rejected_cut = choose_is_cut(c, rejected)};
    for (size_t i = 0; i < sizeof texts / sizeof *texts && texts[i]; i++)
        copied = (e->texts[e->n_texts++] = arena_copy(c->memory, texts[i])) && copied;
    for (size_t i = 0; i < sizeof labels / sizeof *labels && labels[i]; i++)
        copied = (e->labels[e->n_labels++] = arena_copy(c->memory, labels[i])) && copied;
    return copied ? example_count_tokens(&c->actors, chosen->text, !e->chosen_cut, &e->n_tokens)
                  : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for examples");
}

static agon_status text_is_held_out(cast *c, const aim *a, const example *e, bool *hit) {
    const char *texts[] = {e->prompt, e->chosen, e->rejected};
    agon_status s = AGON_OK;
    *hit = false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !*hit && !s; i++)
        if (texts[i] && *texts[i])
            s = contamination_has_text(c->actors.ctx, a->held_out, texts[i], hit);
    return s;
}

agon_status choose_is_held_out(cast *c, const aim *a, const example *e, bool *hit) {
    *hit = c->rules >= 21 && e->identity && contamination_has_identity(a->held_out, e->identity);
    return *hit ? AGON_OK : text_is_held_out(c, a, e, hit);
}

agon_status choose_check(cast *c, const aim *a, const example_list *l, bool *contaminated) {
    agon_status s = AGON_OK;
    *contaminated = false;
    for (size_t i = 0; i < l->n && !*contaminated && !s; i++)
        s = choose_is_held_out(c, a, &l->items[i], contaminated);
    return s;
}

/* Leaves out what shares a task or text with an evaluation: people's answers and documents are not above that. */
static agon_status drop_held_out(cast *c, const aim *a, example_list *l, choice *report) {
    size_t kept = 0;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < l->n && !s; i++) {
        bool hit = false;
        s = choose_is_held_out(c, a, &l->items[i], &hit);
        report->dropped_contaminated += hit;
        if (!hit)
            l->items[kept++] = l->items[i];
    }
    if (!s)
        l->n = kept;
    return s;
}

/* Counters that hold while answers are taken: per query and per place (a cell, or all of the user's queries together). */
typedef struct caps {
    size_t *query, *place;
} caps;

static size_t place_of(const aim *a, const query *q) {
    size_t place = aim_place(a, q->cell);
    return place == SIZE_MAX ? a->n : place;
}

/* What an expert accepted was paid for: no cell has too much of it. */
static bool is_capped(const cast *c, const answer *x) {
    bool expert = x->source && (strcmp(x->source, "simulated") == 0 || strcmp(x->source, "human") == 0);
    return !expert || c->rules < 2;
}

/* label: as of make_example. */
static agon_status take(cast *c, const aim *a, const query_list *queries, const answer *x, const answer *rejected,
                        const char *label, caps *k, int64_t room, example_list *out, choice *report, int64_t *taken) {
    const run_config *config = c->config;
    const query *q = &queries->items[x->query];
    bool held_out = false;
    example e;
    *taken = 0;
    if (has_example(out, q->text, x->text)) {
        report->dropped_duplicate++;
        return AGON_OK;
    }
    if (k->query[x->query] >= (size_t)config->build.per_query ||
        (is_capped(c, x) && k->place[place_of(a, q)] >= (size_t)cast_per_cell(c))) {
        report->dropped_cap++;
        return AGON_OK;
    }
    agon_status s = make_example(c, q, x, rejected, label, "new", &e);
    if (!s && !(held_out = contamination_has_identity(a->held_out, q->identity)))
        s = text_is_held_out(c, a, &e, &held_out);
    if (!s && held_out)
        report->dropped_contaminated++;
    if (s || held_out)
        return s;
    if (e.n_tokens > room) {
        report->dropped_floor++;
        return AGON_OK;
    }
    if (!s)
        s = example_add(c, out, &e);
    if (!s) {
        *taken = e.n_tokens;
        k->query[x->query]++;
        k->place[place_of(a, q)] += is_capped(c, x);
        report->n_new++;
        report->new_tokens += e.n_tokens;
    }
    return s;
}

static agon_status caps_new(cast *c, const aim *a, const query_list *queries, caps *k) {
    *k = (caps){memory_new(queries->n + 1, sizeof(size_t)), memory_new(a->n + 1, sizeof(size_t))};
    return k->query && k->place ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to choose examples");
}

static void caps_free(caps *k) {
    free(k->query);
    free(k->place);
}

static bool is_demonstration(const answer *x) {
    return strcmp(x->kind, "demonstration") == 0;
}

/* Demonstrations from answer `from` on, as examples of origin "real"; appends to out. */
static agon_status choose_real(cast *c, const query_list *queries, const answer_list *answers, size_t from, example_list *out) {
    agon_status s = AGON_OK;
    for (size_t i = from; i < answers->n && !s; i++) {
        const answer *x = &answers->items[i];
        example e;
        if (!is_demonstration(x) || x->outcome != OUTCOME_PASS)
            continue;
        s = make_example(c, &queries->items[x->query], x, NULL, NULL, "real", &e);
        if (!s)
            s = example_add(c, out, &e);
    }
    return s;
}

/* Earlier examples: real ones always come again (they are the floor; drop_held_out comes after them), the rest up to its share. What is held out now may
 * not have been when they were chosen. */
static agon_status take_replay(cast *c, const aim *a, const example_list *earlier, bool real, int64_t room, example_list *out,
                               choice *report) {
    agon_status s = AGON_OK;
    for (size_t i = earlier->n; i-- > 0 && !s;) { /* the latest first */
        example e = earlier->items[i];
        bool was_real = strcmp(e.origin, "real") == 0;
        if (was_real != real || (!real && report->replay_tokens + e.n_tokens > room))
            continue;
        bool held_out = false;
        if (!real && c->rules >= 21)
            s = choose_is_held_out(c, a, &e, &held_out);
        report->dropped_contaminated += held_out;
        if (s || held_out)
            continue;
        if (!real)
            e.origin = "replay";
        s = example_add(c, out, &e);
        *(real ? &report->n_real : &report->n_replay) += 1;
        *(real ? &report->real_tokens : &report->replay_tokens) += e.n_tokens;
    }
    return s;
}

/* Passing answers, one a cell in turn, until the room is used up: no cell crowds out another. */
static agon_status take_new(cast *c, const aim *a, const query_list *queries, const answer_list *answers, size_t from,
                            int64_t room, caps *k, example_list *out, choice *report) {
    size_t *cursor = memory_new(a->n + 1, sizeof *cursor);
    agon_status s = cursor ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to choose examples");
    bool any = true;
    for (size_t p = 0; p <= a->n && !s; p++)
        cursor[p] = from;
    while (any && !s) {
        any = false;
        for (size_t p = 0; p <= a->n && !s; p++) {
            int64_t taken = 0;
            while (cursor[p] < answers->n && !taken && !s) {
                const answer *x = &answers->items[cursor[p]++];
                if (x->outcome != OUTCOME_PASS || is_demonstration(x) || answer_measures(x) ||
                    place_of(a, &queries->items[x->query]) != p)
                    continue;
                s = take(c, a, queries, x, NULL, NULL, k, room, out, report, &taken);
            }
            room -= taken;
            any = any || taken;
        }
    }
    free(cursor);
    return s;
}

/* What new examples may have of the tokens that are left: no more than their own share of what it all comes to then (build.new_share). */
static int64_t room_for_new(const cast *c, const choice *known, int64_t left) {
    const double share = c->config->build.new_share;
    const double most = share < 1 ? share / (1 - share) * (double)(known->real_tokens + known->replay_tokens) : (double)left;
    return most < (double)left ? (int64_t)most : left;
}

agon_status choose_examples(cast *c, const aim *a, const query_list *queries, const answer_list *answers, size_t from,
                            const example_list *earlier, example_list *out, choice *report) {
    const double floor = cast_real_share(c), replay = c->config->build.replay_share;
    caps k;
    *report = (choice){0};
    agon_status s = caps_new(c, a, queries, &k);
    if (!s)
        s = choose_real(c, queries, answers, from, out);
    if (!s)
        s = take_replay(c, a, earlier, true, 0, out, report);
    if (!s)
        s = drop_held_out(c, a, out, report);
    report->n_real = out->n;
    report->real_tokens = 0;
    for (size_t i = 0; i < out->n; i++)
        report->real_tokens += out->items[i].n_tokens;
    int64_t total = floor > 0 ? (int64_t)((double)report->real_tokens / floor) : INT64_MAX / 4;
    int64_t left = total - report->real_tokens, share = (int64_t)(replay * (double)total);
    if (!s) /* a large replay_share may not eat into the floor either */
        s = take_replay(c, a, earlier, false, share < left ? share : left, out, report);
    if (!s)
        s = take_new(c, a, queries, answers, from, room_for_new(c, report, left - report->replay_tokens), &k, out, report);
    caps_free(&k);
    return s;
}

static const answer *failing_answer(const answer_list *answers, size_t from, size_t query) {
    for (size_t i = from; i < answers->n; i++) {
        const answer *x = &answers->items[i];
        if (x->query == query && x->outcome == OUTCOME_FAIL && *x->text && *x->label && !answer_measures(x))
            return x;
    }
    return NULL;
}

/* What a demonstration is preferred to: the answer it mends, else one that failed. */
static const answer *worse_than_written(const answer_list *answers, const answer *x) {
    const answer *draft = x->draft == SIZE_MAX ? NULL : &answers->items[x->draft];
    return draft && draft->outcome == OUTCOME_FAIL && *draft->text && *draft->label ? draft : failing_answer(answers, 0, x->query);
}

/* Pairs whose chosen side the lineage never produced; without a worse answer there is no pair. */
static agon_status real_pairs(cast *c, const query_list *queries, const answer_list *answers, size_t from, const example_list *earlier,
                              example_list *out) {
    agon_status s = AGON_OK;
    for (size_t i = from; i < answers->n && !s; i++) {
        const answer *x = &answers->items[i], *worse = is_demonstration(x) ? worse_than_written(answers, x) : NULL;
        example e;
        if (!worse || x->outcome != OUTCOME_PASS)
            continue;
        s = make_example(c, &queries->items[x->query], x, worse, NULL, "real", &e);
        if (!s)
            s = example_add(c, out, &e);
    }
    for (size_t i = earlier->n; i-- > 0 && !s;) /* earlier examples may also be prose, which is no pair */
        if (earlier->items[i].rejected && strcmp(earlier->items[i].origin, "real") == 0)
            s = example_add(c, out, &earlier->items[i]);
    return s;
}

static agon_status new_pairs(cast *c, const aim *a, const query_list *queries, const answer_list *answers, size_t from,
                             const preference_list *preferences, size_t from_preference, int64_t room, caps *k, example_list *out,
                             choice *report) {
    agon_status s = AGON_OK;
    int64_t taken = 0;
    for (size_t i = from_preference; i < preferences->n && !s; i++, room -= taken) {
        const preference *p = &preferences->items[i];
        taken = 0;
        if (p->superseded)
            continue;
        s = take(c, a, queries, &answers->items[p->chosen], &answers->items[p->rejected], p->label, k, room, out, report, &taken);
    }
    for (size_t i = from; i < answers->n && !s; i++) {
        const answer *x = &answers->items[i];
        bool fits = x->outcome == OUTCOME_PASS && !is_demonstration(x) && !answer_measures(x);
        const answer *worse = fits ? failing_answer(answers, from, x->query) : NULL;
        if (worse)
            s = take(c, a, queries, x, worse, NULL, k, room, out, report, &taken);
        room -= worse ? taken : 0;
    }
    return s;
}

agon_status choose_pairs(cast *c, const aim *a, const query_list *queries, const answer_list *answers, size_t from,
                         const preference_list *preferences, size_t from_preference, const example_list *earlier,
                         example_list *out, choice *report) {
    const double floor = cast_real_share(c), replay = c->config->build.replay_share;
    example_list pairs = {0};
    caps k;
    *report = (choice){0};
    agon_status s = caps_new(c, a, queries, &k);
    if (!s)
        s = real_pairs(c, queries, answers, from, earlier, out);
    if (!s)
        s = drop_held_out(c, a, out, report);
    report->n_real = out->n;
    for (size_t i = 0; i < out->n; i++)
        report->real_tokens += out->items[i].n_tokens;
    for (size_t i = 0; i < earlier->n && !s; i++)
        if (earlier->items[i].rejected)
            s = example_add(c, &pairs, &earlier->items[i]);
    int64_t total = floor > 0 ? (int64_t)((double)report->real_tokens / floor) : INT64_MAX / 4;
    int64_t left = total - report->real_tokens, share = (int64_t)(replay * (double)total);
    if (!s)
        s = take_replay(c, a, &pairs, false, share < left ? share : left, out, report);
    if (!s)
        s = new_pairs(c, a, queries, answers, from, preferences, from_preference, room_for_new(c, report, left - report->replay_tokens), &k, out, report);
    example_list_free(&pairs);
    caps_free(&k);
    return s;
}

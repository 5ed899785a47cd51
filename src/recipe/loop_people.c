/* The loop's held-out queries that no verifier can judge, see loop.c: people judge the answers of a part of them, not knowing whose they are, and a gain
 * is counted on those as on the verified ones (an exact test, so no least number of labels is asked; with gate.critic see loop_gate_critic.c). The part is
 * drawn once for the run and before anything was answered, so that what was said of a version's words stands when it is the incumbent.
 *
 * Where incumbent and candidate say the same words nobody is asked (since rules 7): their difference is 0 whatever the words are worth. Such a query of the
 * part counts as one whose difference is known, as if people had judged it: leaving it out would make the rest a sample of queries on which the versions
 * part, and their gain look larger than it is. What it adds to neither side of McNemar's test it adds to the number that the gain is a share of; of "before" and
 * "after", which ask for the words' worth, it is left out. One behind the part is not counted, although its difference is known too: taking it for
 * nothing while its neighbours are not asked about would favour queries on which nothing changed.
 *
 * The budget may cut the part short. Queries cost between none and HELD_OUT_VERSIONS labels, and how many tells something of the difference, so the part ends
 * before the first that does not fit, and no cheaper one behind it is taken instead. That is right on average over the draws: seen from the end, queries
 * are dropped one by one until the rest fits; whether to go on depends on what the rest costs in all, not on the order within it, so each of the rest is
 * as likely to stand anywhere in it, and a mean over what is left is expected to be the mean over all (a martingale in reverse, stopped; test_loop_people
 * counts all orders). The query that does not fit may not count either: it is a dear one more often than not. Where the budget does not reach the dearest
 * query alone, nobody is asked (since rules 7): the first would count where it is cheap and leave no part where it is not. */
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

bool loop_left_to_people(const query *q) {
    return q->cell == SIZE_MAX && !json_object_get(json_object_get(q->task, "parameters"), "verifier");
}

static size_t count_left_to_people(const loop *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n_file_held_out; i++)
        n += loop_left_to_people(&l->held_out.items[i]);
    return n;
}

/* How many of them people are asked about. */
static size_t n_wanted(const loop *l) {
    const size_t n = count_left_to_people(l), most = loop_simulated(l) ? 0 : (size_t)l->config->human.gate_items;
    return n < most ? n : most;
}

int64_t loop_gate_labels(const loop *l) {
    return l->c->rules >= 5 ? 2 * (int64_t)n_wanted(l) : 0;
}

const answer *loop_held_out_answer(const loop *l, const held_out_result *r, size_t version, size_t place) {
    return &l->held_out_answers.items[r->first[version] + place];
}

/* No answer is a wrong one, and nobody needs to look at it. (One that failed has no text.) */
static bool is_empty(const answer *x) {
    return !*x->text;
}

/* What people said of these words; NULL: nobody was asked, or they skipped it. */
static const held_out_verdict *verdict_on(const loop *l, size_t place, const char *text) {
    for (size_t i = 0; i < l->n_verdicts; i++)
        if (l->verdicts[i].place == place && strcmp(l->verdicts[i].text, text) == 0)
            return &l->verdicts[i];
    return NULL;
}

static agon_status note_verdict(loop *l, const answer *x, bool right, const char *label) {
    if (l->n_verdicts == l->verdict_capacity) {
        size_t capacity = l->verdict_capacity ? 2 * l->verdict_capacity : 64;
        held_out_verdict *grown = realloc(l->verdicts, size_mul(capacity, sizeof *grown));
        if (!grown)
            return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers");
        l->verdicts = grown;
        l->verdict_capacity = capacity;
    }
    held_out_verdict *v = &l->verdicts[l->n_verdicts++];
    *v = (held_out_verdict){.place = x->query, .text = x->text, .right = right, .label = arena_copy(l->c->memory, label)};
    return v->label ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers");
}

/* The places in the order in which they are taken. */
static agon_status draw_places(loop *l, picked *out) {
    agon_status s = picked_new(l->c, l->n_file_held_out, out);
    for (size_t i = 0; i < l->n_file_held_out && !s; i++)
        if (loop_left_to_people(&l->held_out.items[i]))
            out->items[out->n++] = i;
    rng r = rng_new(seed_derive((uint64_t)l->config->seed, "held-out queries for people"));
    if (!s)
        rng_shuffle(&r, out->items, out->n);
    return s;
}

bool loop_same_words(const loop *l, const held_out_result *r, size_t place) {
    return strcmp(loop_held_out_answer(l, r, HELD_OUT_INCUMBENT, place)->text, loop_held_out_answer(l, r, HELD_OUT_CANDIDATE, place)->text) == 0;
}

static bool needs_nobody(const loop *l, const held_out_result *r, size_t place) {
    return l->c->rules >= 7 && loop_same_words(l, r, place);
}

/* Appends the versions' different answers to a query that nobody was asked about. */
static void add_questions(const loop *l, const held_out_result *r, size_t place, picked *questions) {
    const size_t before = questions->n;
    if (needs_nobody(l, r, place))
        return;
    for (size_t v = 0; v < HELD_OUT_VERSIONS; v++) {
        const answer *x = loop_held_out_answer(l, r, v, place);
        bool known = is_empty(x) || verdict_on(l, place, x->text);
        for (size_t k = before; k < questions->n && !known; k++)
            known = strcmp(l->held_out_answers.items[questions->items[k]].text, x->text) == 0;
        if (!known)
            questions->items[questions->n++] = r->first[v] + place;
    }
}

size_t loop_questions_within(const loop *l, const held_out_result *r, const size_t *places, size_t n, size_t budget, picked *questions) {
    for (size_t i = 0; i < n && l->c->rules >= 7; i++) {
        add_questions(l, r, places[i], questions);
        const bool fits = questions->n <= budget;
        questions->n = 0;
        if (!fits)
            return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t before = questions->n;
        add_questions(l, r, places[i], questions);
        if (questions->n > budget) {
            questions->n = before;
            return i;
        }
    }
    return n;
}

/* As many of the places as the budget allows: places->n is cut to them. */
static agon_status choose_questions(loop *l, const held_out_result *r, picked *places, picked *questions) {
    const size_t most = n_wanted(l), budget = loop_within_budget(l, (int64_t)(HELD_OUT_VERSIONS * most));
    agon_status s = picked_new(l->c, HELD_OUT_VERSIONS * most, questions);
    if (!s)
        places->n = loop_questions_within(l, r, places->items, most, budget, questions);
    rng order = rng_new(seed_derivef((uint64_t)l->config->seed, "order of held-out answers|%lld", (long long)l->c->actors.iteration));
    if (!s)
        rng_shuffle(&order, questions->items, questions->n);
    return s;
}

/* Asks, and takes what was answered once all is. */
static agon_status ask_people(loop *l, const picked *questions, double propensity) {
    cast *c = l->c;
    size_t n_open = 0, n_judged = 0;
    task_outcome *outcomes = memory_new(questions->n + 1, sizeof *outcomes);
    store_id *labels = memory_new(questions->n + 1, sizeof *labels);
    agon_status s = outcomes && labels ? ask_reviewers(&c->actors, cast_path(c, "evaluate/ask"), &l->held_out, &l->held_out_answers, questions->items,
                                                       questions->n, REVIEW_HELD_OUT, "gate", propensity, true)
                                       : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers");
    if (!s)
        s = collect_verdicts(&c->actors, cast_path(c, "evaluate/collect"), &l->held_out_answers, questions->items, questions->n, &n_open, outcomes, labels);
    l->asked += (int64_t)questions->n;
    l->waiting = !s && n_open > 0;
    for (size_t i = 0; i < questions->n && !s && !l->waiting; i++) {
        n_judged += outcomes[i] != OUTCOME_UNKNOWN;
        if (outcomes[i] != OUTCOME_UNKNOWN)
            s = note_verdict(l, &l->held_out_answers.items[questions->items[i]], outcomes[i] == OUTCOME_PASS, labels[i].text);
    }
    l->labels_used += (int64_t)n_judged;
    if (!s && l->waiting)
        cast_say(c, NULL, "%zu of %zu held-out answers wait for a person: agon review, then run it again", n_open, questions->n);
    else if (!s)
        cast_say(c, NULL, "people judged %zu of %zu held-out answers", n_judged, questions->n);
    free(outcomes);
    free(labels);
    return s;
}

/* Right or wrong, by version. A candidate's answer that people skipped is a wrong one (since rules 12), as one is that makes a verifier give up: else a candidate
 * would lose no query by answering so that nobody can tell. Skipping the incumbent's leaves the query out: counting it as wrong would make a gain of it. The
 * base's decides nothing, so that it may stay unknown. Before rules 12 any skip left the query out. */
void loop_count_place(loop *l, held_out_result *r, size_t place) {
    bool *right[HELD_OUT_VERSIONS] = {r->base, r->incumbent, r->candidate}, known[HELD_OUT_VERSIONS];
    const bool unasked = needs_nobody(l, r, place);
    const held_out_verdict *v[HELD_OUT_VERSIONS];
    for (size_t k = 0; k < HELD_OUT_VERSIONS; k++) {
        const answer *x = loop_held_out_answer(l, r, k, place);
        v[k] = verdict_on(l, place, x->text);
        known[k] = v[k] || is_empty(x);
        r->skipped[k] += !known[k] && !unasked;
    }
    const bool counts = known[HELD_OUT_INCUMBENT] && (l->c->rules >= 12 || (known[HELD_OUT_BASE] && known[HELD_OUT_CANDIDATE]));
    r->same[place] = !counts && unasked;
    if (r->same[place])
        r->counted[place] = 0;
    if (!counts)
        return;
    for (size_t k = 0; k < HELD_OUT_VERSIONS; k++) {
        right[k][place] = v[k] && v[k]->right;
        if (k > HELD_OUT_BASE && v[k] && (k == HELD_OUT_INCUMBENT || v[k] != v[k - 1])) /* what the gate compares */
            r->labels[r->n_labels++] = v[k]->label;
    }
    r->base_unknown[place] = !known[HELD_OUT_BASE];
    r->counted[place] = 0;
    r->n_people++;
}

static void say_same(const loop *l, const held_out_result *r, const picked *places) {
    size_t n = 0;
    for (size_t i = 0; i < places->n; i++)
        n += r->same[places->items[i]];
    if (n > 0)
        cast_say(l->c, NULL, "incumbent and candidate say the same to %zu of %zu held-out queries: they differ in nothing, and nobody is asked", n, places->n);
}

agon_status loop_ask_about_held_out(loop *l, held_out_result *r) {
    picked places = {0}, questions = {0};
    agon_status s = draw_places(l, &places);
    l->gate_reserve = 0;
    r->left_to_people = places.items;
    r->n_left_to_people = places.n;
    for (size_t i = 0; i < places.n && !s; i++)
        r->counted[places.items[i]] = HELD_OUT_VERSIONS;
    if (!s)
        s = choose_questions(l, r, &places, &questions);
    if (!s && questions.n > 0)
        s = ask_people(l, &questions, (double)places.n / (double)r->n_left_to_people);
    for (size_t i = 0; i < places.n && !s && !l->waiting; i++)
        loop_count_place(l, r, places.items[i]);
    if (!s && !l->waiting)
        say_same(l, r, &places);
    if (!s && !l->waiting && l->c->rules >= 12 && r->skipped[HELD_OUT_CANDIDATE] > 0)
        cast_say(l->c, NULL, "people skipped %zu of the candidate's held-out answers: they count as wrong", r->skipped[HELD_OUT_CANDIDATE]);
    r->n_asked = places.n;
    free(questions.items);
    return s;
}

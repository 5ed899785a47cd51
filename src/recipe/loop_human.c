/* The loop's human side, see loop.c: what is asked, within the budget, and what came back. Nothing here waits: answers that come later join
 * the iteration under way. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/curriculum.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

bool loop_simulated(const loop *l) {
    return strcmp(l->config->human.backend, "simulated") == 0;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

/* The user's own queries that nothing passed that could be learnt from. */
static void unanswered_of_user(const loop *l, size_t most, bool *used, picked *out) {
    for (size_t q = 0; q < l->n_file && out->n < most; q++) {
        bool passed = used[q];
        for (size_t i = l->first_answer; i < l->answers.n && !passed; i++)
            passed = l->answers.items[i].query == q && l->answers.items[i].outcome == OUTCOME_PASS && !answer_measures(&l->answers.items[i]);
        if (passed)
            continue;
        used[q] = true;
        out->items[out->n++] = q;
    }
}

/* Queries for the expert to answer, each asked once: the user's own, then one a cell in turn, each time in the cell where an answer is worth
 * most, (share failed) / (1 + demonstrations it has). */
static agon_status demonstration_queries(loop *l, size_t most, picked *out) {
    size_t *given = memory_new(l->n_cells + 1, sizeof *given);
    bool *used = memory_new(l->queries.n + 1, sizeof *used);
    agon_status s = picked_new(l->c, most, out);
    if (!s && (!given || !used))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for demonstrations");
    for (size_t i = 0; i < l->queries.n && !s && l->c->rules >= 1; i++)
        used[i] = l->queries.items[i].asked;
    for (size_t i = 0; i < l->answers.n && !s; i++)
        if (strcmp(l->answers.items[i].kind, "demonstration") == 0)
            used[l->answers.items[i].query] = true;
    if (!s)
        unanswered_of_user(l, most, used, out);
    while (out->n < most && !s) {
        size_t best = SIZE_MAX, chosen = SIZE_MAX;
        double worth = 0.05;
        for (size_t p = 0; p < l->n_cells; p++) {
            const cell_record *r = &l->aim.records[p];
            double w = (1 - curriculum_mean(aim_solved(r), aim_tried(r))) / (double)(1 + given[p]);
            if (w > worth) {
                worth = w;
                best = p;
            }
        }
        for (size_t i = l->first_query; best != SIZE_MAX && i < l->queries.n && chosen == SIZE_MAX; i++)
            if (!used[i] && !l->queries.items[i].varied && l->queries.items[i].cell == l->cells[best])
                chosen = i;
        if (best == SIZE_MAX)
            break;
        given[best] += chosen == SIZE_MAX ? 1000 : 1; /* a cell without queries left */
        if (chosen != SIZE_MAX) {
            used[chosen] = true;
            out->items[out->n++] = chosen;
        }
    }
    free(given);
    free(used);
    return s;
}

static void mark_asked(loop *l, const picked *which) {
    for (size_t i = 0; i < which->n; i++)
        l->queries.items[which->items[i]].asked = true;
}

static agon_status ask_for_demonstrations(loop *l) {
    picked which = {0};
    agon_status s = demonstration_queries(l, loop_within_budget(l, l->config->human.demonstrations), &which);
    if (!s && which.n > 0) {
        l->asked += (int64_t)which.n;
        s = ask_reviewers(&l->c->actors, cast_path(l->c, "human/demonstrate"), &l->queries, NULL, which.items, which.n,
                          "demonstration", "demonstration", 1, false);
        mark_asked(l, &which);
    }
    free(which.items);
    return s;
}

/* The simulated expert's answers, as far as the budget allows. Those it does not know leave their places to the next queries. */
static agon_status simulate_demonstrations(loop *l) {
    cast *c = l->c;
    const expert_options o = {.purpose = "demonstration", .propensity = 1};
    size_t from = l->answers.n, n_asked = 0, left = loop_within_budget(l, l->config->human.demonstrations);
    bool again = true;
    agon_status s = AGON_OK;
    for (size_t round = 1; again && left > 0 && !s; round++) {
        picked which = {0};
        size_t before = l->answers.n;
        const char *path = round == 1 ? cast_path(c, "human/demonstrate") : cast_path(c, "human/demonstrate/%zu", round);
        s = demonstration_queries(l, left, &which);
        if (!s && which.n > 0)
            s = expert_demonstrates(&c->actors, path, &l->queries, which.items, which.n, &o, &l->answers);
        if (!s && c->rules >= 2)
            mark_asked(l, &which);
        left -= l->answers.n - before;
        n_asked += which.n;
        again = which.n > 0 && c->rules >= 2;
        free(which.items);
    }
    l->labels_used += (int64_t)(l->answers.n - from);
    l->demonstrations += (int64_t)(l->answers.n - from);
    if (!s && n_asked > 0)
        cast_say(c, NULL, "the simulated expert wrote %zu answers where nothing passed (%lld of %lld labels used)",
                 l->answers.n - from, (long long)l->labels_used, (long long)l->labels);
    return s;
}

agon_status loop_ask_human(loop *l) {
    agon_status s = cast_stage(l->c, "human");
    if (!s)
        loop_say_budget(l);
    if (!s)
        s = loop_audit(l);
    if (s)
        return s;
    return loop_simulated(l) ? simulate_demonstrations(l) : ask_for_demonstrations(l);
}

/* ---- collecting ----------------------------------------------------------------------------------------------- */

/* Earlier examples that have the text at this place are not replayed. */
static void forget_examples(loop *l, size_t place, const char *text) {
    size_t kept = 0;
    for (size_t k = 0; k < l->earlier.n; k++) {
        const example *e = &l->earlier.items[k];
        if (e->n_texts <= place || strcmp(e->texts[place], text) != 0)
            l->earlier.items[kept++] = *e;
    }
    l->earlier.n = kept;
}

/* A verdict that came late: an accepted answer joins this iteration as a copy and is no pair's worse side any more, a rejected one is not replayed. */
static agon_status join_late(loop *l, size_t i) {
    enum { CHOSEN = 1, REJECTED = 2 }; /* of an example's texts */
    answer copy = l->answers.items[i];
    if (copy.outcome != OUTCOME_PASS) {
        forget_examples(l, CHOSEN, copy.id);
        return AGON_OK;
    }
    if (l->c->rules >= 2)
        forget_examples(l, REJECTED, copy.id);
    answer *x = answer_list_add(&l->answers);
    if (!x)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for a late answer");
    *x = copy;
    return AGON_OK;
}

/* The first answer in the list with this one's id: late verdicts join as copies. */
bool loop_is_copy(const loop *l, size_t i) {
    size_t k = 0;
    while (k < i && strcmp(l->answers.items[k].id, l->answers.items[i].id) != 0)
        k++;
    return k < i;
}

/* What a verdict of a reviewer changes: `was` is the answer before. */
static agon_status settle_verdict(loop *l, const answer *was, size_t i) {
    const answer *x = &l->answers.items[i];
    bool corrected = was->source && strcmp(was->source, "human") == 0;
    if (strcmp(was->label, x->label) == 0 || (corrected && loop_is_copy(l, i)))
        return AGON_OK;
    audited *of = loop_audited_with(l, x);
    if (corrected && x->automatic != OUTCOME_UNKNOWN) {
        of->agreed += (x->outcome == x->automatic) - (was->outcome == x->automatic);
    } else if (was->source && !corrected) { /* it had an automatic label: an audit */
        of->n++;
        of->agreed += was->outcome == x->outcome;
    } else if (!was->source) {
        l->resolved++;
    }
    if (!*x->label) {
        loop_forget_judged(l, i);
        return AGON_OK;
    }
    agon_status s = loop_note_judged(l, i, x->outcome == OUTCOME_PASS, x->label);
    return !s && i < l->first_answer ? join_late(l, i) : s;
}

/* Earlier examples whose label a later answer to the same question replaced are not trained on again. */
static void drop_withdrawn(loop *l) {
    size_t kept = 0;
    for (size_t i = 0; i < l->earlier.n; i++) {
        const example *e = &l->earlier.items[i];
        bool withdrawn = false;
        for (size_t k = 0; k < e->n_labels; k++)
            withdrawn = withdrawn || json_object_get(l->reviews.withdrawn, e->labels[k]);
        if (!withdrawn)
            l->earlier.items[kept++] = *e;
    }
    l->earlier.n = kept;
}

static size_t n_standing(const preference_list *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += !l->items[i].superseded;
    return n;
}

/* What reviewers answered since the last look: verdicts on answers, also of earlier iterations, and demonstrations, which are real data. */
static agon_status take_reviews(loop *l, const char *name, bool *wait, size_t *n) {
    size_t n_labels = 0, from = l->answers.n, n_preferences = l->preferences.n, n_before = n_standing(&l->preferences);
    *n = 0;
    if (loop_simulated(l))
        return AGON_OK;
    answer *was = memory_new(from + 1, sizeof *was);
    if (!was)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for reviews");
    if (from > 0)
        memcpy(was, l->answers.items, from * sizeof *was);
    agon_status s = collect_reviews(&l->c->actors, cast_path(l->c, "%s", name), &l->queries, &l->answers,
                                    &l->preferences, &l->reviews, wait, &n_labels);
    if (!s)
        drop_withdrawn(l);
    size_t n_written = l->answers.n - from;
    n_preferences = l->preferences.n - n_preferences;
    l->labels_used += (int64_t)n_labels;
    l->demonstrations += (int64_t)n_written;
    l->resolved += (int64_t)n_standing(&l->preferences) - (int64_t)n_before;
    size_t n_accepted = 0;
    for (size_t i = 0; i < from && !s; i++) {
        n_accepted += l->answers.items[i].outcome == OUTCOME_PASS && strcmp(was[i].label, l->answers.items[i].label) != 0 && !loop_is_copy(l, i);
        s = settle_verdict(l, &was[i], i);
    }
    if (!s && n_labels > 0)
        cast_say(l->c, NULL, "reviewers answered %zu questions: %zu answers accepted, %zu written, %zu preferred to another", n_labels, n_accepted, n_written,
                 n_preferences);
    free(was);
    *n = n_labels;
    return s;
}

agon_status loop_collect(loop *l, const char *name) {
    size_t n;
    return take_reviews(l, name, NULL, &n);
}

agon_status loop_await_reviews(loop *l, size_t look, bool *came) {
    size_t n = 0;
    agon_status s = take_reviews(l, arena_printf(l->c->memory, "human/collect/%zu", look), &l->waiting, &n);
    if (!s && l->waiting)
        cast_say(l->c, NULL, "nothing to train on yet, and questions wait for a person: agon review, then run it again");
    *came = n > 0;
    return s;
}

/* The loop's evaluation and gate, see loop.c: base, incumbent and candidate answer the same fresh tasks; step/gate.c decides. */
#include "base/ctx.h"
#include "eval/multiplicity.h"
#include "recipe/attempts.h"
#include "recipe/loop_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void held_out_result_free(held_out_result *r) {
    if (r->incumbent != r->base)
        free(r->incumbent);
    free(r->base);
    free(r->candidate);
    free(r->counted);
    free(r->same);
    free(r->base_unknown);
    free(r->labels);
    free(r->left_to_people);
    suite_results_free(&r->suites);
}

static agon_status held_out_answers(loop *l, const char *version, bool **right, size_t *first, held_out_result *r) {
    cast *c = l->c;
    answer_list *list = &l->held_out_answers;
    size_t from = *first = list->n;
    agon_status s = evaluate_answers(&c->actors, cast_path(c, "evaluate/%.12s/tasks", version), &l->held_out, version,
                                     (size_t)l->config->learner.max_tokens, list);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "evaluate/%.12s/verify", version), &l->held_out, list, from);
    if (!s && !(*right = memory_new(l->held_out.n + 1, sizeof **right)))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to evaluate");
    for (size_t i = 0; i < l->held_out.n && !s; i++) {
        const answer *x = &list->items[from + i];
        (*right)[i] = x->outcome == OUTCOME_PASS;
        r->counted[i] += x->outcome == OUTCOME_UNKNOWN && !x->failed; /* no answer is a wrong one */
        const char *label = *x->label ? arena_copy(c->memory, x->label) : NULL;
        if (label && strcmp(version, c->actors.base) != 0)
            r->labels[r->n_labels++] = label;
        else if (label && strcmp(l->learner, c->actors.base) == 0)
            r->labels[r->n_labels++] = label;
    }
    return s;
}

/* What could be verified of no version says nothing about any. Where one version's answer could be and another's could not (it
 * made the verifier time out, say), the latter is a wrong one: else a candidate would lose no item by answering so. In `counted` on
 * entry: how many versions' answers to an item could not be verified. */
static void leave_out_unknown(loop *l, held_out_result *r) {
    bool *of[] = {r->base, r->incumbent == r->base ? NULL : r->incumbent, r->candidate};
    size_t versions = r->incumbent == r->base ? 2 : 3, most = l->c->rules >= 3 ? versions - 1 : 0;
    for (size_t i = 0; i < l->held_out.n; i++) {
        if (r->counted[i] > most)
            continue;
        for (size_t k = 0; k < sizeof of / sizeof *of; k++)
            if (of[k])
                of[k][r->n] = of[k][i];
        r->same[r->n] = r->same[i];
        r->base_unknown[r->n] = r->base_unknown[i];
        r->counted[r->n++] = i;
    }
    if (r->n == 0)
        cast_say(l->c, NULL, "none of %zu held-out answers could be verified%s, so no gain can be shown; hold out queries that have an answer or a verifier",
                 l->held_out.n, l->c->rules >= 5 ? " or was judged by people" : "");
    else if (r->n < l->held_out.n)
        cast_say(l->c, NULL, "%zu of %zu held-out queries could not be verified%s and count for nobody", l->held_out.n - r->n, l->held_out.n,
                 r->n_people ? ", nor did people judge them," : "");
}

agon_status loop_evaluate(loop *l, held_out_result *r) {
    cast *c = l->c;
    bool first = strcmp(l->learner, c->actors.base) == 0;
    agon_status s = cast_stage(c, "evaluate");
    r->labels = memory_new(3 * l->held_out.n + 1, sizeof *r->labels);
    r->counted = memory_new(l->held_out.n + 1, sizeof *r->counted);
    r->same = memory_new(l->held_out.n + 1, sizeof *r->same);
    r->base_unknown = memory_new(l->held_out.n + 1, sizeof *r->base_unknown);
    if (!s && (!r->labels || !r->counted || !r->same || !r->base_unknown))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to evaluate");
    if (!s)
        s = held_out_answers(l, c->actors.base, &r->base, &r->first[HELD_OUT_BASE], r);
    if (!s && first) {
        r->incumbent = r->base;
        r->first[HELD_OUT_INCUMBENT] = r->first[HELD_OUT_BASE];
    } else if (!s)
        s = held_out_answers(l, l->learner, &r->incumbent, &r->first[HELD_OUT_INCUMBENT], r);
    if (!s)
        s = held_out_answers(l, l->candidate, &r->candidate, &r->first[HELD_OUT_CANDIDATE], r);
    if (!s && c->rules >= 5)
        s = loop_ask_about_held_out(l, r);
    if (s || l->waiting)
        return s;
    leave_out_unknown(l, r);
    if (c->rules >= 12 && !*l->base_suites.version)
        s = cast_evaluate_suites(c, c->actors.base, &l->base_suites);
    if (!s && strcmp(l->incumbent_suites.version, l->learner) != 0)
        s = cast_evaluate_suites(c, l->learner, &l->incumbent_suites);
    return s ? s : cast_evaluate_suites(c, l->candidate, &r->suites);
}

static const char *words_of(const loop *l, const held_out_result *r, size_t version, size_t i) {
    return l->held_out_answers.items[r->first[version] + r->counted[i]].text;
}

size_t loop_set_of(const loop *l, size_t place) {
    return l->file_sets && place < l->n_file_held_out && l->c->rules >= 24 ? l->file_sets[place] : place;
}

typedef struct comparison {
    paired_table table;
    paired_sets sets;
} comparison;

/* NULL: each is independent of the others. */
static const paired_sets *sets_of(const comparison *x) {
    return paired_sets_tied(&x->sets) ? &x->sets : NULL;
}

/* Candidate against an older version, of one family (NULL: of all). What `same` says of incumbent and candidate holds for the base where its words are theirs;
 * else nobody knows. Free out->sets in any case. */
static agon_status compare_with(const loop *l, const held_out_result *r, size_t version, const char *family, comparison *out) {
    const bool *before = version == HELD_OUT_BASE ? r->base : r->incumbent;
    paired_table *t = &out->table;
    *out = (comparison){0};
    agon_status s = paired_sets_new(l->c->actors.ctx, l->held_out.n, &out->sets);
    for (size_t i = 0; i < r->n && !s; i++) {
        if (family && strcmp(l->held_out.items[r->counted[i]].family, family) != 0)
            continue;
        if (version == HELD_OUT_BASE && r->base_unknown[i])
            continue;
        const bool same = r->same[i] && (version == HELD_OUT_INCUMBENT || strcmp(words_of(l, r, version, i), words_of(l, r, HELD_OUT_CANDIDATE, i)) == 0);
        if (r->same[i] && !same)
            continue;
        if (same)
            t->same++;
        else
            paired_add(t, r->candidate[i], before[i]);
        paired_sets_add(&out->sets, loop_set_of(l, r->counted[i]), !same && r->candidate[i], !same && before[i]);
    }
    return s;
}

/* Success per family, candidate against base. */
static agon_status family_table(const loop *l, const held_out_result *r, json_t **out) {
    agon_status s = AGON_OK;
    json_t *list = json_array();
    for (size_t i = 0; i < r->n && !s; i++) {
        const char *family = l->held_out.items[r->counted[i]].family;
        bool listed = false;
        for (size_t k = 0; k < i && !listed; k++)
            listed = strcmp(l->held_out.items[r->counted[k]].family, family) == 0;
        if (listed)
            continue;
        comparison x;
        s = compare_with(l, r, HELD_OUT_BASE, family, &x);
        json_t *row = s ? NULL : paired_json(&x.table, sets_of(&x));
        if (row) {
            json_object_set_new(row, "family", json_string(family));
            json_array_append_new(list, row);
        }
        paired_sets_free(&x.sets);
    }
    *out = list;
    return s;
}

enum { SHARES_SIZE = 160 };

/* "held out 20.0% -> 40.0% (n 30), 5 more in the same words" */
static void shares_text(const paired_table *t, const json_t *held_out, char out[SHARES_SIZE]) {
    const size_t n = paired_n(t) - t->same;
    int length = 0;
    if (n > 0 || t->same == 0)
        length = snprintf(out, SHARES_SIZE, "held out %.1f%% -> %.1f%% (n %zu)", 100 * field_real(held_out, "before"), 100 * field_real(held_out, "after"), n);
    if (t->same > 0)
        snprintf(out + length, (size_t)(SHARES_SIZE - length), n > 0 ? ", %zu more in the same words" : "held out all %zu in the same words", t->same);
}

/* What the gate decides about where the version before is not the base: "; the version before it 57.0%: +3.0 points". */
static void advance_text(const loop *l, const json_t *figures, char out[SHARES_SIZE]) {
    const json_t *g1 = json_object_get(figures, "G1"), *table = json_object_get(g1, "table"), *tuned = json_object_get(g1, "tuned");
    *out = 0;
    if (strcmp(l->learner, l->c->actors.base) == 0)
        return;
    if (json_is_object(tuned))
        snprintf(out, SHARES_SIZE, "; against the version before it %+.1f points", 100 * field_real(tuned, "estimate"));
    else
        snprintf(out, SHARES_SIZE, "; the version before it %.1f%%: %+.1f points", 100 * field_real(table, "before"), 100 * field_real(table, "gain"));
}

static agon_status record_gate(loop *l, const held_out_result *r, const gate_evidence *e) {
    cast *c = l->c;
    json_t *figures = NULL, *held_out = NULL, *families = NULL;
    comparison against_base;
    char shares[SHARES_SIZE], advance[SHARES_SIZE];
    bool promote = false;
    agon_status s = compare_with(l, r, HELD_OUT_BASE, NULL, &against_base);
    if (!s)
        s = json_made(c->actors.ctx, held_out = paired_json(&against_base.table, sets_of(&against_base)));
    if (!s)
        s = gate_verdict(&c->actors, cast_path(c, "gate"), e, held_out, r->labels, r->n_labels, &promote, &figures);
    if (!s)
        s = family_table(l, r, &families);
    if (!s) {
        json_decref(l->gate);
        json_decref(l->held_out_json);
        json_decref(l->families);
        l->gate = json_pack("{ss ss sO sO}", "verdict", promote ? "promote" : "reject", "incumbent", l->learner, "reason",
                            json_object_get(figures, "reason"), "figures", figures);
        l->held_out_json = json_incref(held_out);
        l->families = json_incref(families);
        l->promoted = promote;
        shares_text(&against_base.table, held_out, shares);
        advance_text(l, figures, advance);
        cast_say(c, json_pack("{sO sO sO}", "gate", l->gate, "families", l->families, "held_out", held_out),
                 "%s: %s; %s%s", promote ? "promoted" : "rejected", field_text(figures, "reason"), shares, advance);
    }
    json_decref(figures);
    json_decref(held_out);
    json_decref(families);
    paired_sets_free(&against_base.sets);
    return s;
}

agon_status loop_gate(loop *l, held_out_result *r) {
    cast *c = l->c;
    perplexity_comparison against_incumbent, against_base;
    gain_estimate gain = {0};
    comparison primary;
    const audited all = loop_audited(l);
    gate_evidence e = {.candidate = l->candidate,
                       .incumbent = l->learner,
                       .primary = &primary.table,
                       .collapse = loop_watch_report(l),
                       .n_people = r->n_people,
                       .n_left_to_people = r->n_left_to_people,
                       .n_skipped = c->rules >= 12 ? &r->skipped[HELD_OUT_INCUMBENT] : NULL,
                       .attempt = ++l->attempt,
                       .alpha = l->config->gate.alpha,
                       .least_agreement = l->config->gate.audit_agreement,
                       .n_audits = (size_t)all.n,
                       .n_audits_agreed = (size_t)all.agreed,
                       .expert_is_verifier = loop_simulated(l),
                       .over_budget = loop_over_budget(l)};
    gate_audits *audits = NULL;
    agon_status s = compare_with(l, r, HELD_OUT_INCUMBENT, NULL, &primary);
    if (!s)
        s = cast_stage(c, "gate");
    e.sets = s ? NULL : sets_of(&primary);
    if (!s && c->rules >= 4)
        s = loop_gate_audits(l, &audits, &e.n_sources);
    e.audits = audits;
    if (!s && c->rules >= 12)
        s = attempts_count(c, l->candidate, &e.attempt);
    if (!s)
        s = loop_estimate_gain(l, r, alpha_spending(e.alpha, e.attempt), &gain);
    e.estimate = gain.made ? &gain.decides : NULL;
    e.reported = gain.made ? &gain.reported : NULL;
    e.no_estimate = gain.missing;
    if (!s)
        s = loop_approval(l, r, &e.approval);
    if (!s)
        s = cast_compare_suites(c, &r->suites, &l->incumbent_suites, &e, &against_incumbent);
    if (!s && c->rules >= 12 && strcmp(l->learner, c->actors.base) != 0)
        s = cast_compare_with_base(c, &r->suites, &l->base_suites, &e, &against_base);
    if (!s)
        s = choose_check(c, &l->aim, &l->examples, &e.contaminated);
    if (!s)
        s = record_gate(l, r, &e);
    free(audits);
    paired_sets_free(&primary.sets);
    return s;
}

/* After a rejection what people wrote stays (it was paid for), what the model wrote is quarantined. */
static agon_status keep_real(loop *l) {
    example_list kept = {0};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < l->earlier.n && !s; i++)
        if (strcmp(l->earlier.items[i].origin, "real") != 0)
            s = example_add(l->c, &kept, &l->earlier.items[i]);
    for (size_t i = 0; i < l->examples.n && !s; i++)
        if (strcmp(l->examples.items[i].origin, "real") == 0)
            s = example_add(l->c, &kept, &l->examples.items[i]);
    if (s) {
        example_list_free(&kept);
        return s;
    }
    example_list_free(&l->earlier);
    l->earlier = kept;
    return AGON_OK;
}

/* Pieces of prose serve one version. */
static void drop_prose(loop *l) {
    size_t kept = 0;
    for (size_t i = 0; i < l->earlier.n; i++)
        if (!l->earlier.items[i].raw)
            l->earlier.items[kept++] = l->earlier.items[i];
    l->n_prose_read += l->earlier.n - kept;
    l->earlier.n = kept;
}

/* A promoted version becomes the parent of the next; a rejected one stays in the lineage with its reason, its new data unused. */
agon_status loop_settle(loop *l, held_out_result *r) {
    l->rejections = l->promoted ? 0 : l->rejections + 1;
    if (!l->promoted)
        return keep_real(l);
    memcpy(l->learner, l->candidate, sizeof l->learner);
    loop_watch_promoted(l);
    suite_results_free(&l->incumbent_suites);
    l->incumbent_suites = r->suites;
    r->suites = (suite_results){0};
    example_list_free(&l->earlier);
    l->earlier = l->examples;
    l->examples = (example_list){0};
    if (l->c->rules >= 20) {
        drop_prose(l);
        aim_forget(&l->aim);
    }
    return AGON_OK;
}

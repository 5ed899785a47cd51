/* The loop's audits, see loop.c: is the automatic labelling right? Some labels are drawn at random and an expert judges the answer again; what came of it
 * speaks at the gate (G6) for the labels that the candidate learns from. The verifier is one source for the whole run. A critic is one by version: since
 * rules 15 what was audited of an earlier critic says nothing for the labels of a later one, nor the other way round for examples that are replayed. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/interval.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

/* Before rules 4: a reviewer reads the verifier's critique beside an audited answer that failed, with the place it cites marked. */
static agon_status criticise_for_reviewers(loop *l, const size_t *which, size_t n) {
    picked failed = {0};
    agon_status s = picked_new(l->c, n, &failed);
    for (size_t i = 0; i < n && !s; i++) {
        const answer *x = &l->answers.items[which[i]];
        if (x->outcome == OUTCOME_FAIL && x->evidence && *x->evidence && !*x->critique[0])
            failed.items[failed.n++] = which[i];
    }
    if (!s && failed.n > 0)
        s = critique_answers(&l->c->actors, cast_path(l->c, "human/critique"), &l->answers, failed.items, failed.n);
    free(failed.items);
    return s;
}

audited loop_audited(const loop *l) {
    audited all = {0};
    for (size_t k = 0; k < AUDIT_SOURCES; k++) {
        all.labels += l->audited[k].labels;
        all.n += l->audited[k].n;
        all.agreed += l->audited[k].agreed;
    }
    return all;
}

/* Whose automatic label the answer has, or had before a reviewer judged it. */
static size_t audit_source(const answer *x) {
    return *x->verification ? AUDIT_VERIFIER : AUDIT_CRITIC;
}

audited *loop_audited_with(loop *l, const answer *x) {
    return &l->audited[audit_source(x)];
}

static agon_status simulate_audit(loop *l, const char *path, const picked *some, const expert_options *o) {
    size_t judged = 0, agreed = 0;
    task_outcome *verdicts = memory_new(some->n + 1, sizeof *verdicts);
    store_id *labels = memory_new(some->n + 1, sizeof *labels);
    agon_status s = verdicts && labels ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory to audit");
    if (!s)
        s = expert_judges(&l->c->actors, path, &l->queries, &l->answers, some->items, some->n, o, verdicts, labels);
    for (size_t i = 0; i < some->n && !s; i++) { /* where the expert knows nothing, no label was given */
        const answer *x = &l->answers.items[some->items[i]];
        if (verdicts[i] == OUTCOME_UNKNOWN)
            continue;
        judged++;
        agreed += verdicts[i] == x->outcome;
        loop_audited_with(l, x)->n++;
        loop_audited_with(l, x)->agreed += verdicts[i] == x->outcome;
        s = loop_note_judged(l, some->items[i], verdicts[i] == OUTCOME_PASS, labels[i].text);
    }
    l->labels_used += (int64_t)judged;
    if (!s && judged > 0)
        cast_say(l->c, NULL, "audit of %zu automatic labels: %zu agree (95%% interval from %.0f%%)", judged, agreed,
                 100 * clopper_pearson(agreed, judged, 0.05).low);
    free(verdicts);
    free(labels);
    return s;
}

/* `n` of these automatically labelled answers, drawn at random whatever their confidence. Since rules 4 the auditor sees neither label nor critique:
 * a critique stands only beside what the verifier failed. */
static agon_status audit_some(loop *l, const char *path, const char *seed, picked *all, size_t n) {
    const bool blind = l->c->rules >= 4;
    const picked some = {all->items, n < all->n ? n : all->n};
    const expert_options o = {.purpose = "audit",
                              .error_rate = l->config->human.error_rate,
                              .propensity = all->n ? (double)some.n / (double)all->n : 1};
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "%s|%lld", seed, (long long)l->c->actors.iteration));
    rng_shuffle(&r, all->items, all->n);
    if (some.n == 0)
        return AGON_OK;
    if (loop_simulated(l))
        return simulate_audit(l, path, &some, &o);
    l->asked += (int64_t)some.n;
    agon_status s = blind ? AGON_OK : criticise_for_reviewers(l, some.items, some.n);
    return s ? s : ask_reviewers(&l->c->actors, path, &l->queries, &l->answers, some.items, some.n, "audit", "audit", o.propensity, blind);
}

/* Half of the audits are of the critic's labels, if there are so many; since rules 4, before all were drawn from one. */
agon_status loop_audit(loop *l) {
    picked by[AUDIT_SOURCES] = {{0}};
    size_t n = loop_within_budget(l, l->audits);
    const bool apart = l->c->rules >= 4;
    agon_status s = AGON_OK;
    for (size_t k = 0; k < AUDIT_SOURCES && !s; k++)
        s = picked_new(l->c, l->answers.n, &by[k]);
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++) {
        const answer *x = &l->answers.items[i];
        bool automatic = x->source && strcmp(x->kind, "demonstration") != 0 && (!apart || strcmp(x->source, "human") != 0);
        picked *to = &by[apart ? audit_source(x) : AUDIT_VERIFIER];
        if (automatic)
            to->items[to->n++] = i;
    }
    size_t n_verified = by[AUDIT_VERIFIER].n, n_critic = by[AUDIT_CRITIC].n, most = n - n / 2 > n_verified ? n - n_verified : n / 2;
    n_critic = n_critic < most ? n_critic : most;
    l->audited[AUDIT_VERIFIER].labels += (int64_t)n_verified;
    if (!s)
        s = audit_some(l, cast_path(l->c, "human/audit"), "audit", &by[AUDIT_VERIFIER], n - n_critic);
    if (!s)
        s = audit_some(l, cast_path(l->c, "human/audit_critic"), "audit_critic", &by[AUDIT_CRITIC], n_critic);
    free(by[AUDIT_VERIFIER].items);
    free(by[AUDIT_CRITIC].items);
    return s;
}

/* ---- what they say at the gate --------------------------------------------------------------------------------------- */

static const char THE_VERIFIER[] = "";

agon_status loop_note_labels(loop *l) {
    if (!l->automatic && !(l->automatic = json_object()))
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for automatic labels");
    for (size_t i = l->first_answer; i < l->answers.n; i++) {
        const answer *x = &l->answers.items[i];
        const bool verified = x->source && strcmp(x->source, "verifier") == 0, decided = x->source && strcmp(x->source, "critic") == 0 && x->critic;
        if ((verified || decided) && json_object_set_new(l->automatic, x->label, json_string(verified ? THE_VERIFIER : x->critic)))
            return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for automatic labels");
    }
    return AGON_OK;
}

/* One more label of that source, which is added where it is new; there is room. */
static void count_label(gate_audits *list, size_t *n, const char *source) {
    size_t k = 0;
    while (k < *n && strcmp(list[k].version ? list[k].version : THE_VERIFIER, source) != 0)
        k++;
    if (k == *n)
        list[(*n)++] = (gate_audits){.source = "critic", .version = source};
    list[k].n_labels++;
}

/* What people said of answers that this critic had decided on. */
static void count_audits(const loop *l, gate_audits *critic) {
    for (size_t i = 0; i < l->answers.n; i++) {
        const answer *x = &l->answers.items[i];
        if (!x->critic || strcmp(x->critic, critic->version) != 0 || !x->source || strcmp(x->source, "human") != 0 || loop_is_copy(l, i))
            continue;
        critic->n++;
        critic->n_agreed += x->outcome == x->automatic;
    }
}

static gate_audits of_whole_run(const loop *l, const char *source, size_t k) {
    return (gate_audits){.source = source, .n_labels = (size_t)l->audited[k].labels, .n = (size_t)l->audited[k].n, .n_agreed = (size_t)l->audited[k].agreed};
}

agon_status loop_gate_audits(const loop *l, gate_audits **out, size_t *n) {
    gate_audits *list = memory_new(EXAMPLE_MAX_SOURCES * l->examples.n + AUDIT_SOURCES, sizeof *list);
    if (!list)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the audits");
    *out = list;
    list[(*n)++] = of_whole_run(l, "verifier", AUDIT_VERIFIER);
    if (l->c->rules < 15) {
        list[(*n)++] = of_whole_run(l, "critic", AUDIT_CRITIC);
        return AGON_OK;
    }
    list[0].n_labels = 0;
    for (size_t i = 0; i < l->examples.n; i++)
        for (size_t k = 0; k < l->examples.items[i].n_labels; k++) {
            const char *source = json_string_value(json_object_get(l->automatic, l->examples.items[i].labels[k]));
            if (source)
                count_label(list, n, source);
        }
    for (size_t k = 1; k < *n; k++)
        count_audits(l, &list[k]);
    return AGON_OK;
}

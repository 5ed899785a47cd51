/* The loop's audits, see loop.c: is the automatic labelling right? Some labels are drawn at random and an expert judges the answer again; what came of it
 * speaks at the gate (G6) for the labels that the candidate learns from. The verifier is one source for the whole run. A critic is one by version: since
 * rules 15 what was audited of an earlier critic says nothing for the labels of a later one, nor the other way round for examples that are replayed.
 *
 * Since rules 22 the gate waits where audits that nobody has answered could change its word. Those who answer first are no random part of the sample that was
 * drawn: a verdict on them alone could be had by answering what is easy. Whoever cannot tell skips, which takes the item out of the sample. */
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

/* ---- audits that no iteration has collected --------------------------------------------------------------------------- */

/* {"words": [[response, "accept", "reject" or null: nobody has answered], ...]} of all audits but those that were only skipped. Nothing is collected. */
static agon_status read_words(const loop *l, json_t **result) {
    static const char sql[] =
        "SELECT * FROM (SELECT i.id, i.response, (SELECT b.answer ->> 'verdict' FROM inbox b WHERE b.review = i.id AND b.answer ->> 'verdict' <> 'skip'"
        " ORDER BY b.number DESC LIMIT 1) AS word FROM review_item i WHERE i.run = ?1 AND i.kind = 'audit')"
        " WHERE word IS NOT NULL OR NOT EXISTS (SELECT 1 FROM inbox b WHERE b.review = id) ORDER BY id";
    agon_ctx *ctx = l->c->actors.ctx;
    json_t *parameters = json_pack("[s]", run_id(l->c->run)), *rows = NULL, *row, *words = json_array();
    size_t i;
    agon_status s = words ? json_made(ctx, parameters) : ctx_no_memory(ctx);
    if (!s)
        s = store_query_json(l->c->actors.store, sql, parameters, &rows);
    json_array_foreach(rows, i, row)
        if (!s && json_array_append_new(words, json_pack("[OO]", json_object_get(row, "response"), json_object_get(row, "word"))) != 0)
            s = ctx_no_memory(ctx);
    *result = s ? NULL : json_pack("{sO}", "words", words);
    json_decref(parameters);
    json_decref(rows);
    json_decref(words);
    return s ? s : json_made(ctx, *result);
}

/* Is it this source whose labels an audit of the answer speaks for? As of_whole_run and count_audits have it. */
static bool speaks_for(const gate_audits *a, const answer *x) {
    return a->version ? x->critic && strcmp(x->critic, a->version) == 0 : (audit_source(x) == AUDIT_VERIFIER) == (strcmp(a->source, "verifier") == 0);
}

/* word NULL: nobody has answered. */
static void count_word(const loop *l, const char *response, const char *word, gate_audits *list, size_t n) {
    size_t i = 0;
    while (i < l->answers.n && strcmp(l->answers.items[i].id, response) != 0)
        i++;
    const answer *x = i < l->answers.n ? &l->answers.items[i] : NULL;
    if (!x || !x->source)
        return;
    const bool collected = strcmp(x->source, "human") == 0; /* it was counted by the word of then */
    const task_outcome automatic = collected ? x->automatic : x->outcome;
    const bool agrees = word && (strcmp(word, "accept") == 0) == (automatic == OUTCOME_PASS);
    for (size_t k = 0; k < n && automatic != OUTCOME_UNKNOWN; k++) {
        if (!speaks_for(&list[k], x))
            continue;
        list[k].n_open += !word;
        list[k].n += word && !collected;
        list[k].n_agreed += agrees;
        list[k].n_agreed -= collected && x->outcome == automatic;
    }
}

static void count_words(const loop *l, gate_audits *list, size_t n) {
    const json_t *word;
    size_t i;
    json_array_foreach(json_object_get(l->audit_words, "words"), i, word)
        count_word(l, json_string_value(json_array_get(word, 0)), json_string_value(json_array_get(word, 1)), list, n);
}

static size_t count_open(const gate_audits *list, size_t n) {
    size_t open = 0;
    for (size_t k = 0; k < n; k++)
        open += list[k].n_labels > 0 ? list[k].n_open : 0;
    return open;
}

/* l->waiting, and how many are open. */
static agon_status must_wait(loop *l, size_t *n_open) {
    gate_audits *list = NULL;
    size_t n = 0;
    agon_status s = loop_gate_audits(l, &list, &n);
    l->waiting = !s && gate_audits_may_change(list, n, l->config->gate.audit_agreement);
    *n_open = count_open(list, n);
    free(list);
    return s;
}

agon_status loop_await_audits(loop *l) {
    cast *c = l->c;
    if (c->rules < 22 || l->config->gate.audit_agreement == 0 || loop_simulated(l))
        return AGON_OK;
    json_t *input = json_pack("{ss}", "candidate", l->candidate);
    const step_key key = {.path = cast_path(c, "gate/audits"), .kind = "read_audits"};
    bool done = false;
    size_t n_open = 0;
    json_decref(l->audit_words);
    l->audit_words = NULL;
    agon_status s = step_begin(c->run, &key, input, &done, &l->audit_words);
    if (!s && !done) {
        s = read_words(l, &l->audit_words);
        if (!s)
            s = must_wait(l, &n_open);
        if (!s && !l->waiting)
            s = step_commit(c->run, l->audit_words);
        else
            step_abort(c->run);
    }
    if (l->waiting)
        cast_say(c, NULL, "%zu audits wait for a person, and the gate for those (G6): agon review, then run it again; skip what nobody can tell", n_open);
    json_decref(input);
    return s;
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
    count_words(l, list, *n);
    return AGON_OK;
}

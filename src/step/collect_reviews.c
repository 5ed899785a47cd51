/* Answers of reviewers, from the inbox into the run. What came since the last look is taken, the rest joins later. An item
 * that was collected and is answered again costs nothing more: the later word stands, and its labels say which they supersede. Verdicts on held-out
 * answers go a way of their own (below): they decide, and teach nobody. */
#include "base/ctx.h"
#include "step/items.h"
#include <string.h>

/* What a reviewer's answer amounts to: "pass", "fail", or NULL for a skip. */
static const char *verdict_of(const json_t *answer) {
    const char *v = field_text(answer, "verdict");
    return strcmp(v, "accept") == 0 ? "pass" : strcmp(v, "reject") == 0 ? "fail" : NULL;
}

static bool is_held_out(const json_t *row) {
    return strcmp(field_text(row, "kind"), REVIEW_HELD_OUT) == 0;
}

static bool is_skip(const json_t *row) {
    return strcmp(field_text(json_object_get(row, "answer"), "verdict"), "skip") == 0;
}

/* The labels of an item that was collected before; NULL: it was not. */
static const json_t *standing_labels(const collected_reviews *c, const json_t *row) {
    return json_object_get(c->standing, field_text(row, "review"));
}

static label_record human_label(actors *a, const json_t *row, const char *kind, const char *value, const char *target) {
    return (label_record){.run = run_id(a->run),
                          .target = target,
                          .kind = kind,
                          .value = value,
                          .source = "human",
                          .iteration = a->iteration,
                          .producer = field_text(row, "reviewer"),
                          .purpose = *field_text(row, "purpose") ? field_text(row, "purpose") : "train",
                          .confidence_raw = 1,
                          .confidence = 1,
                          .propensity = field_real(row, "propensity"),
                          .seconds = field_real(row, "seconds")};
}

/* One row of the inbox on its way into `taken`. */
typedef struct arrival {
    actors *a;
    const json_t *row;
    const char *supersedes; /* the label that this answer's first one replaces; NULL none */
    json_t *taken;
} arrival;

/* `entry` taken. */
static agon_status took(const arrival *r, json_t *entry) {
    bool bad = json_object_set(entry, "review", json_object_get(r->row, "review")) != 0;
    return json_array_append_new(r->taken, entry) || bad ? ctx_fail(r->a->ctx, AGON_ENOMEM, "no memory for a review") : AGON_OK;
}

/* from: the label it follows from, "" none. */
static agon_status add_label(const arrival *r, label_record *l, const char *from, store_id *label) {
    l->derived_from = *from ? from : NULL;
    l->supersedes = *from ? NULL : r->supersedes;
    return store_add_label(r->a->store, l, label);
}

/* A verdict on `target`. *label: the new one. */
static agon_status add_verdict(const arrival *r, const char *target, const char *verdict, const char *from, store_id *label) {
    label_record l = human_label(r->a, r->row, "point", verdict, target);
    agon_status s = add_label(r, &l, from, label);
    return s ? s : took(r, json_pack("{ss ss ss}", "response", target, "verdict", verdict, "label", label->text));
}

/* A written answer: its text record and a demonstration label. mends: the response it corrects, "" none. */
static agon_status add_written(const arrival *r, const char *text, const char *mends, const char *from) {
    actors *a = r->a;
    const json_t *row = r->row;
    char slot[32];
    store_id id, label = {""};
    snprintf(slot, sizeof slot, "review %lld", (long long)field_int(row, "number"));
    text_record t = {.run = run_id(a->run),
                     .kind = "demonstration",
                     .body = text,
                     .iteration = a->iteration,
                     .parent = field_text(row, "query"),
                     .producer = field_text(row, "reviewer"),
                     .slot = slot};
    agon_status s = store_add_text(a->store, &t, &id);
    label_record l = human_label(a, row, "demonstration", "pass", field_text(row, "query"));
    l.other = id.text;
    if (!s)
        s = add_label(r, &l, from, &label);
    return s ? s : took(r, json_pack("{ss ss ss ss ss*}", "query", field_text(row, "query"), "text", text, "id", id.text,
                                     "label", label.text, "mends", *mends ? mends : NULL));
}

/* A or B of a pair; the label's target is what was preferred, `other` what was not. *label: the new one. */
static agon_status add_preference(const arrival *r, bool first, store_id *label) {
    const json_t *row = r->row;
    const char *chosen = field_text(row, first ? "response" : "other"), *rejected = field_text(row, first ? "other" : "response");
    label_record l = human_label(r->a, row, "pair", "preferred", chosen);
    l.other = rejected;
    agon_status s = add_label(r, &l, "", label);
    return s ? s : took(r, json_pack("{ss ss ss}", "chosen", chosen, "rejected", rejected, "label", label->text));
}

/* One answered question is one label; what else is recorded for it is derived from the first, and what is answered again is paid for. */
static agon_status take_row(actors *a, const collected_reviews *c, const json_t *row, json_t *taken, size_t *n_labels) {
    const json_t *earlier = standing_labels(c, row);
    const arrival r = {a, row, json_string_value(json_array_get(earlier, 0)), taken};
    const json_t *answer = json_object_get(row, "answer");
    const char *word = field_text(answer, "verdict"), *verdict = verdict_of(answer), *text = field_text(answer, "text");
    const char *response = field_text(row, "response"), *other = field_text(row, "other");
    bool pair = strcmp(field_text(row, "kind"), "pair") == 0, preferred = pair && (strcmp(word, "A") == 0 || strcmp(word, "B") == 0);
    store_id label = {""}, further;
    agon_status s = AGON_OK;
    size_t before = json_array_size(taken);
    if (preferred)
        s = add_preference(&r, strcmp(word, "A") == 0, &label);
    else if (verdict && *response)
        s = add_verdict(&r, response, verdict, "", &label);
    if (!s && pair && !preferred && *label.text) /* neither */
        s = add_verdict(&r, other, verdict, label.text, &further);
    if (!s && *text)
        s = add_written(&r, text, preferred || !*label.text ? "" : response, label.text);
    if (!s && json_array_size(earlier) > 0 && !is_skip(row))
        s = took(&r, json_pack("{so}", "withdrawn", json_deep_copy(earlier)));
    if (!s && !earlier && json_array_size(taken) > before) {
        ++*n_labels;
        s = store_settle(a->store, run_id(a->run), "labels.human", 1);
    }
    return s;
}

/* An item may be answered again before it is collected: the last answer stands. Who skips says nothing against an earlier one. */
static bool answered_again(const json_t *rows, size_t i) {
    const char *review = field_text(json_array_get(rows, i), "review");
    for (size_t k = i + 1; k < json_array_size(rows); k++) {
        const json_t *later = json_array_get(rows, k);
        if (strcmp(field_text(later, "review"), review) == 0 && !is_skip(later))
            return true;
    }
    return false;
}

typedef struct inbox {
    actors *a;
    const collected_reviews *collected;
} inbox;

static agon_status read_inbox(void *arg, json_t **result) {
    const inbox *in = arg;
    actors *a = in->a;
    json_t *rows = NULL, *row, *taken = json_array();
    int64_t last = in->collected->last;
    size_t i, n_labels = 0;
    agon_status s = taken ? store_inbox_read(a->store, run_id(a->run), last, &rows)
                          : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for reviews");
    json_array_foreach(rows, i, row) {
        if (!s && !is_held_out(row) && !answered_again(rows, i))
            s = take_row(a, in->collected, row, taken, &n_labels);
        last = field_int(row, "number");
    }
    *result = s ? NULL : json_pack("{sI sI sO}", "labels", (json_int_t)n_labels, "last", (json_int_t)last, "taken", taken);
    json_decref(rows);
    json_decref(taken);
    return s;
}

static size_t find_query(const query_list *l, const char *id) {
    size_t i = 0;
    while (i < l->n && strcmp(l->items[i].id, id) != 0)
        i++;
    return i;
}

static size_t find_answer(const answer_list *l, const char *id) {
    size_t i = 0;
    while (i < l->n && strcmp(l->items[i].id, id) != 0)
        i++;
    return i < l->n ? i : SIZE_MAX;
}

static void apply_verdict(answer_list *answers, const json_t *taken) {
    for (size_t i = 0; i < answers->n; i++) {
        answer *x = &answers->items[i];
        if (strcmp(x->id, field_text(taken, "response")) != 0)
            continue;
        if (x->source && strcmp(x->source, "human") != 0)
            x->automatic = x->outcome;
        x->outcome = strcmp(field_text(taken, "verdict"), "pass") == 0 ? OUTCOME_PASS : OUTCOME_FAIL;
        x->source = "human";
        snprintf(x->label, sizeof x->label, "%s", field_text(taken, "label"));
    }
}

static agon_status apply_preference(actors *a, const answer_list *answers, const json_t *taken, preference_list *out) {
    size_t chosen = find_answer(answers, field_text(taken, "chosen")), rejected = find_answer(answers, field_text(taken, "rejected"));
    if (chosen == SIZE_MAX || rejected == SIZE_MAX)
        return AGON_OK;
    preference *p = preference_list_add(out);
    if (!p)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a preference");
    p->chosen = chosen;
    p->rejected = rejected;
    snprintf(p->label, sizeof p->label, "%s", field_text(taken, "label"));
    return AGON_OK;
}

static agon_status apply_written(actors *a, const query_list *queries, answer_list *answers, const json_t *taken) {
    size_t query = find_query(queries, field_text(taken, "query"));
    if (query == queries->n)
        return AGON_OK;
    answer *x = answer_list_add(answers);
    if (x)
        x->text = arena_copy(answers->memory, field_text(taken, "text"));
    if (!x || !x->text)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a demonstration");
    x->query = query;
    x->draft = *field_text(taken, "mends") ? find_answer(answers, field_text(taken, "mends")) : SIZE_MAX;
    x->kind = "demonstration";
    x->outcome = OUTCOME_PASS;
    x->source = "human";
    snprintf(x->id, sizeof x->id, "%s", field_text(taken, "id"));
    snprintf(x->label, sizeof x->label, "%s", field_text(taken, "label"));
    return AGON_OK;
}

/* A label that stands no more. A demonstration stays in the list, as somebody's text that nobody vouches for. */
static void withdraw(answer_list *answers, preference_list *preferences, const char *label) {
    for (size_t i = 0; i < preferences->n; i++)
        if (strcmp(preferences->items[i].label, label) == 0)
            preferences->items[i].superseded = true;
    for (size_t i = 0; i < answers->n; i++) {
        answer *x = &answers->items[i];
        if (strcmp(x->label, label) != 0)
            continue;
        x->outcome = OUTCOME_UNKNOWN;
        if (strcmp(x->kind, "demonstration") == 0)
            continue;
        x->source = NULL;
        *x->label = 0;
    }
}

static agon_status apply_withdrawn(actors *a, answer_list *answers, preference_list *preferences, const json_t *taken, collected_reviews *c) {
    const json_t *labels = json_object_get(taken, "withdrawn");
    json_t *standing = json_object_get(c->standing, field_text(taken, "review"));
    agon_status s = AGON_OK;
    for (size_t n = json_array_size(labels); json_array_size(standing) > n && n > 0; n--) /* where others came: those are behind them */
        json_array_remove(standing, 0);
    for (size_t i = 0; i < json_array_size(labels) && !s; i++) {
        const char *label = json_string_value(json_array_get(labels, i));
        if (json_object_set_new(c->withdrawn, label ? label : "", json_true()) != 0)
            s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a review");
        else if (label && *label)
            withdraw(answers, preferences, label);
    }
    return s;
}

/* Keeps which labels an item's answer left. Runs begun with an older agon did not record the item. */
static agon_status remember(actors *a, collected_reviews *c, const json_t *taken) {
    const char *review = field_text(taken, "review");
    json_t *labels = json_object_get(c->standing, review), *label = json_object_get(taken, "label");
    if (!*review || !label)
        return AGON_OK;
    bool bad = !labels && json_object_set_new(c->standing, review, labels = json_array()) != 0;
    return bad || json_array_append(labels, label) != 0 ? ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a review") : AGON_OK;
}

void collected_reviews_free(collected_reviews *c) {
    json_decref(c->standing);
    json_decref(c->withdrawn);
    *c = (collected_reviews){0};
}

/* Is there nothing new in the inbox, and somebody may still answer? */
static agon_status must_wait(actors *a, const collected_reviews *c, bool *wait) {
    json_t *rows = NULL, *row, *parameters = json_pack("[s]", run_id(a->run));
    int64_t n_open = 0;
    size_t i, n_new = 0;
    agon_status s = store_inbox_read(a->store, run_id(a->run), c->last, &rows);
    json_array_foreach(rows, i, row)
        n_new += !is_skip(row) && !is_held_out(row);
    if (!s)
        s = store_query_int(a->store, "SELECT count(*) FROM review_open WHERE run = ?1 AND kind <> 'held_out'", parameters, &n_open);
    *wait = n_new == 0 && n_open > 0;
    json_decref(parameters);
    json_decref(rows);
    return s;
}

/* A step that is recorded when there is something to record, or nothing to wait for. wait NULL: always. */
static agon_status read_or_wait(inbox *in, const char *path, const json_t *input, bool *wait, json_t **result) {
    const step_key key = {.path = path, .kind = "collect_reviews"};
    run *r = in->a->run;
    bool done = false;
    if (!wait)
        return step_once(r, &key, input, read_inbox, in, result);
    *wait = false;
    agon_status s = step_begin(r, &key, input, &done, result);
    if (s || done)
        return s;
    s = must_wait(in->a, in->collected, wait);
    if (!s && !*wait)
        s = read_inbox(in, result);
    if (!s && !*wait)
        return step_commit(r, *result);
    step_abort(r);
    return s;
}

agon_status collect_reviews(actors *a, const char *path, const query_list *queries, answer_list *answers,
                            preference_list *preferences, collected_reviews *c, bool *wait, size_t *n_labels) {
    json_t *input = json_pack("{sI}", "after", (json_int_t)c->last), *result = NULL, *item;
    inbox in = {a, c};
    size_t i;
    *n_labels = 0;
    if (!c->standing)
        c->standing = json_object();
    if (!c->withdrawn)
        c->withdrawn = json_object();
    agon_status s = c->standing && c->withdrawn ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for reviews");
    if (!s)
        s = read_or_wait(&in, path, input, wait, &result);
    json_t *taken = json_object_get(result, "taken");
    json_array_foreach(taken, i, item) {
        if (!s)
            s = remember(a, c, item);
        if (!s && json_object_get(item, "withdrawn"))
            s = apply_withdrawn(a, answers, preferences, item, c);
        else if (!s && json_object_get(item, "text"))
            s = apply_written(a, queries, answers, item);
        else if (!s && json_object_get(item, "chosen"))
            s = apply_preference(a, answers, item, preferences);
        else if (!s)
            apply_verdict(answers, item);
    }
    if (!s && result) {
        c->last = field_int(result, "last");
        *n_labels = (size_t)field_int(result, "labels");
    }
    json_decref(result);
    json_decref(input);
    return s;
}

/* ---- held-out answers ------------------------------------------------------------------------------------------- */

/* Of every answer asked about the word that stands, by the answer's id: the last that is no skip, else a skip. *words new, borrowing from rows. */
static agon_status standing_words(actors *a, const json_t *rows, json_t **words) {
    const json_t *row;
    size_t i;
    bool bad = !(*words = json_object());
    json_array_foreach(rows, i, row) {
        const char *response = field_text(row, "response");
        if (is_held_out(row) && !(is_skip(row) && json_object_get(*words, response)))
            bad = bad || json_object_set(*words, response, (json_t *)(uintptr_t)row) != 0;
    }
    return bad ? ctx_fail(a->ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers") : AGON_OK;
}

/* One label a verdict; null for a skip. */
static agon_status take_word(actors *a, const json_t *row, json_t *taken) {
    const char *verdict = verdict_of(json_object_get(row, "answer"));
    store_id label = {""};
    agon_status s = AGON_OK;
    if (verdict) {
        label_record l = human_label(a, row, "point", verdict, field_text(row, "response"));
        s = store_add_label(a->store, &l, &label);
        if (!s)
            s = store_settle(a->store, run_id(a->run), "labels.human", 1);
    }
    bool bad = !s && json_array_append_new(taken, verdict ? json_pack("{ss ss}", "verdict", verdict, "label", label.text) : json_null()) != 0;
    return bad ? ctx_fail(a->ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers") : s;
}

/* In an open step: takes all words, unless one is missing. *result new, or NULL where *n_open > 0. */
static agon_status take_words(actors *a, const answer_list *answers, const size_t *which, size_t n, size_t *n_open, json_t **result) {
    json_t *rows = NULL, *words = NULL, *taken = json_array();
    agon_status s = taken ? store_inbox_read(a->store, run_id(a->run), 0, &rows) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers");
    if (!s)
        s = standing_words(a, rows, &words);
    for (size_t i = 0; i < n && !s; i++)
        *n_open += !json_object_get(words, answers->items[which[i]].id);
    for (size_t i = 0; i < n && !s && *n_open == 0; i++)
        s = take_word(a, json_object_get(words, answers->items[which[i]].id), taken);
    if (!s && *n_open == 0 && !(*result = json_pack("{sO}", "taken", taken)))
        s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for verdicts on held-out answers");
    json_decref(taken);
    json_decref(words);
    json_decref(rows);
    return s;
}

agon_status collect_verdicts(actors *a, const char *path, const answer_list *answers, const size_t *which, size_t n, size_t *n_open,
                             task_outcome *verdicts, store_id *labels) {
    json_t *input = answer_ids(answers, which, n), *result = NULL;
    const step_key key = {.path = path, .kind = "collect_verdicts"};
    bool done = false;
    *n_open = 0;
    agon_status s = step_begin(a->run, &key, input, &done, &result);
    if (!s && !done) {
        s = take_words(a, answers, which, n, n_open, &result);
        if (!s && *n_open == 0)
            s = step_commit(a->run, result);
        else
            step_abort(a->run);
    }
    for (size_t i = 0; i < n && !s && *n_open == 0; i++) {
        const json_t *word = json_array_get(json_object_get(result, "taken"), i);
        const char *verdict = field_text(word, "verdict");
        verdicts[i] = strcmp(verdict, "pass") == 0 ? OUTCOME_PASS : strcmp(verdict, "fail") == 0 ? OUTCOME_FAIL : OUTCOME_UNKNOWN;
        snprintf(labels[i].text, sizeof labels[i].text, "%s", field_text(word, "label"));
    }
    json_decref(result);
    json_decref(input);
    return s;
}

/* Labels that cost a human: the simulated expert of unattended runs, and the queue for real ones. The simulated expert answers from the
 * verifier with a stated error rate and is always labelled "simulated", never human. */
#include "base/ctx.h"
#include "step/items.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

typedef struct recorder {
    actors *a;
    const query_list *queries;
    const answer_list *answers;
    const size_t *which;
    const expert_options *options;
} recorder;

static const char *producer_of(const recorder *r) {
    return r->options->gold ? "gold" : "simulated expert";
}

static label_record expert_label(const recorder *r, const char *kind, const char *value) {
    return (label_record){.run = run_id(r->a->run),
                          .kind = kind,
                          .value = value,
                          .source = r->options->gold ? "demonstration" : "simulated",
                          .iteration = r->a->iteration,
                          .producer = producer_of(r),
                          .purpose = r->options->purpose,
                          .confidence_raw = 1,
                          .confidence = 1 - r->options->error_rate,
                          .propensity = r->options->propensity};
}

static agon_status count_label(const recorder *r) {
    char purpose[64];
    if (r->options->gold)
        return AGON_OK;
    snprintf(purpose, sizeof purpose, "expert.%s", r->options->purpose);
    agon_status s = store_settle(r->a->store, run_id(r->a->run), "labels.simulated", 1);
    return s ? s : store_settle(r->a->store, run_id(r->a->run), purpose, 1);
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

static agon_status record_verdict(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const char *verdict = json_string_value(json_object_get(out, "verdict"));
    store_id id = {""};
    agon_status s = AGON_OK;
    if (verdict) {
        label_record l = expert_label(r, "point", verdict);
        l.target = r->answers->items[r->which[i]].id;
        s = store_add_label(r->a->store, &l, &id);
        if (!s)
            s = count_label(r);
    }
    if (!s) {
        *ids = json_pack("{ss}", "label", id.text);
        s = json_made(r->a->ctx, *ids);
    }
    return s;
}

agon_status expert_judges(actors *a, const char *path, const query_list *queries, const answer_list *answers,
                          const size_t *which, size_t n, const expert_options *options, task_outcome *verdicts,
                          store_id *labels) {
    recorder r = {a, queries, answers, which, options};
    json_t *inputs = json_array(), *results = NULL;
    for (size_t i = 0; i < n; i++) {
        const answer *x = &answers->items[which[i]];
        json_array_append_new(inputs, json_pack("{ss sO ss sf}", "answer", x->id, "query", queries->items[x->query].task,
                                                "response", x->text, "error_rate", options->error_rate));
    }
    agon_status s = work_run(a, path, &work_expert, inputs, record_verdict, &r, &results);
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *result = json_array_get(results, i);
        const char *verdict = field_text(json_object_get(result, "out"), "verdict");
        verdicts[i] = strcmp(verdict, "pass") == 0   ? OUTCOME_PASS
                      : strcmp(verdict, "fail") == 0 ? OUTCOME_FAIL
                                                     : OUTCOME_UNKNOWN;
        if (labels)
            snprintf(labels[i].text, sizeof labels[i].text, "%s", field_text(json_object_get(result, "ids"), "label"));
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

/* ---- demonstrations -------------------------------------------------------------------------------------- */

static agon_status record_demonstration(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const query *q = &r->queries->items[r->which[i]];
    const char *text = json_string_value(json_object_get(out, "text"));
    store_id id = {""}, label = {""};
    agon_status s = AGON_OK;
    if (text) {
        text_record t = {.run = run_id(r->a->run),
                         .kind = "demonstration",
                         .body = text,
                         .iteration = r->a->iteration,
                         .parent = q->id,
                         .producer = producer_of(r),
                         .family = q->family,
                         .cell = q->cell_name,
                         .slot = r->options->purpose};
        label_record l = expert_label(r, "demonstration", "pass");
        l.target = q->id;
        l.other = id.text;
        s = store_add_text(r->a->store, &t, &id);
        if (!s)
            s = store_add_label(r->a->store, &l, &label);
        if (!s)
            s = count_label(r);
    }
    if (!s) {
        *ids = json_pack("{ss ss}", "text", id.text, "label", label.text);
        s = json_made(r->a->ctx, *ids);
    }
    return s;
}

static agon_status append_demonstration(actors *a, size_t query, const json_t *result, bool gold, answer_list *out) {
    const char *text = json_string_value(json_object_get(json_object_get(result, "out"), "text"));
    const json_t *ids = json_object_get(result, "ids");
    if (!text)
        return AGON_OK;
    answer *x = answer_list_add(out);
    if (x)
        x->text = arena_copy(out->memory, text);
    if (!x || !x->text)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a demonstration");
    x->query = query;
    x->kind = "demonstration";
    x->outcome = OUTCOME_PASS;
    x->source = gold ? "demonstration" : "simulated";
    snprintf(x->id, sizeof x->id, "%s", field_text(ids, "text"));
    snprintf(x->label, sizeof x->label, "%s", field_text(ids, "label"));
    return AGON_OK;
}

agon_status expert_demonstrates(actors *a, const char *path, const query_list *queries, const size_t *which, size_t n,
                                const expert_options *options, answer_list *out) {
    recorder r = {a, queries, NULL, which, options};
    json_t *inputs = json_array(), *results = NULL;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(inputs, json_pack("{sO}", "query", queries->items[which[i]].task));
    agon_status s = work_run(a, path, &work_demonstrate, inputs, record_demonstration, &r, &results);
    for (size_t i = 0; i < n && !s; i++)
        s = append_demonstration(a, which[i], json_array_get(results, i), options->gold, out);
    json_decref(results);
    json_decref(inputs);
    return s;
}

/* ---- the queue ------------------------------------------------------------------------------------------- */

typedef struct questions {
    actors *a;
    const query_list *queries;
    const answer_list *answers; /* NULL: about queries */
    const size_t *which, *others; /* others NULL: no pairs */
    size_t n;
    const char *kind, *purpose;
    double propensity;
    bool blind;
} questions;

static agon_status add_reviews(void *arg, json_t **result) {
    const questions *q = arg;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < q->n && !s; i++) {
        const answer *x = q->answers ? &q->answers->items[q->which[i]] : NULL;
        review_record r = {.run = run_id(q->a->run),
                           .kind = q->kind,
                           .query = q->queries->items[x ? x->query : q->which[i]].id,
                           .response = x ? x->id : NULL,
                           .other = q->others ? q->answers->items[q->others[i]].id : NULL,
                           .critique = x && !q->blind && *x->critique[0] ? x->critique[0] : NULL,
                           .purpose = q->purpose,
                           .iteration = q->a->iteration,
                           .priority = (double)(q->n - i),
                           .propensity = q->propensity};
        s = store_add_review(q->a->store, &r, NULL);
    }
    *result = json_pack("{sI}", "asked", (json_int_t)q->n);
    return s;
}

static json_t *query_ids(const query_list *l, const size_t *which, size_t n) {
    json_t *ids = json_array();
    for (size_t i = 0; ids && i < n; i++)
        json_array_append_new(ids, json_string(l->items[which[i]].id));
    return ids;
}

agon_status ask_reviewers(actors *a, const char *path, const query_list *queries, const answer_list *answers,
                          const size_t *which, size_t n, const char *kind, const char *purpose, double propensity, bool blind) {
    json_t *input = answers ? answer_ids(answers, which, n) : query_ids(queries, which, n), *result = NULL;
    const step_key key = {.path = path, .kind = "escalate"};
    questions q = {a, queries, answers, which, NULL, n, kind, purpose, propensity, blind};
    agon_status s = step_once(a->run, &key, input, add_reviews, &q, &result);
    json_decref(result);
    json_decref(input);
    return s;
}

agon_status ask_preferences(actors *a, const char *path, const query_list *queries, const answer_list *answers,
                            const answer_pair *pairs, size_t n, const char *purpose, double propensity) {
    size_t *first = memory_new(n + 1, sizeof *first), *second = memory_new(n + 1, sizeof *second);
    const step_key key = {.path = path, .kind = "escalate"};
    questions q = {a, queries, answers, first, second, n, "pair", purpose, propensity, true};
    json_t *input = NULL, *result = NULL;
    agon_status s = first && second ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", path);
    for (size_t i = 0; i < n && !s; i++) {
        first[i] = pairs[i].a;
        second[i] = pairs[i].b;
    }
    if (!s) {
        input = json_pack("{so so}", "a", answer_ids(answers, first, n), "b", answer_ids(answers, second, n));
        s = step_once(a->run, &key, input, add_reviews, &q, &result);
    }
    json_decref(result);
    json_decref(input);
    free(first);
    free(second);
    return s;
}

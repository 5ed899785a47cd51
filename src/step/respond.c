/* Answers of a model version to queries, drafts to mend, or held-out items. */
#include "base/ctx.h"
#include "step/items.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

typedef struct recorder {
    actors *a;
    const query_list *queries;
    const ask *asks;
    const ask_options *options;
} recorder;

static agon_status record_completion(recorder *r, const ask *q, size_t k, const json_t *c, json_t *ids) {
    char slot[24];
    store_id id;
    const ask_options *o = r->options;
    const char *producer = NULL;
    json_t *meta = json_pack("{sO sO sO sf}", "n_tokens", json_object_get(c, "n_tokens"), "log_prob",
                             json_object_get(c, "log_prob"), "finish", json_object_get(c, "finish"), "temperature",
                             o->temperature);
    snprintf(slot, sizeof slot, "%zu", o->first_slot + k);
    agon_status s = json_made(r->a->ctx, meta);
    if (!s)
        s = actors_producer(r->a, "learner", o->version, &producer);
    text_record t = {.run = run_id(r->a->run),
                     .kind = o->kind,
                     .body = field_text(c, "text"),
                     .iteration = r->a->iteration,
                     .parent = q->parent,
                     .producer = producer,
                     .template_id = o->template_id,
                     .family = r->queries->items[q->query].family,
                     .cell = r->queries->items[q->query].cell_name,
                     .slot = slot,
                     .meta = meta};
    if (!s)
        s = store_add_text(r->a->store, &t, &id);
    json_decref(meta);
    return s ? s : json_append(r->a->ctx, ids, json_string(id.text));
}

static agon_status record_answers(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    json_t *list = json_array(), *c, *completions = json_object_get(out, "completions");
    agon_status s = json_made(r->a->ctx, list);
    int64_t n_tokens = 0;
    size_t k;
    json_array_foreach(completions, k, c) {
        n_tokens += field_int(c, "n_tokens");
        if (!s)
            s = record_completion(r, &r->asks[i], k, c, list);
    }
    if (!s)
        s = store_settle(r->a->store, run_id(r->a->run), "tokens.learner.in", field_int(out, "n_prompt"));
    if (!s)
        s = store_settle(r->a->store, run_id(r->a->run), "tokens.learner.out", n_tokens);
    *ids = list;
    return s;
}

static agon_status append_answers(actors *a, const ask *q, const ask_options *o, const json_t *result, answer_list *out) {
    const json_t *completions = json_object_get(json_object_get(result, "out"), "completions"),
                 *ids = json_object_get(result, "ids");
    for (size_t k = 0; k < o->samples; k++) {
        const json_t *c = json_array_get(completions, k);
        answer *x = answer_list_add(out);
        if (!x)
            return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for an answer");
        x->query = q->query;
        x->draft = q->draft;
        x->kind = o->kind;
        x->failed = !c;
        x->cut = strcmp(field_text(c, "finish"), "length") == 0;
        x->n_tokens = field_int(c, "n_tokens");
        x->log_prob = field_real(c, "log_prob");
        const char *id = json_string_value(json_array_get(ids, k));
        snprintf(x->id, sizeof x->id, "%s", id ? id : "");
        x->text = arena_copy(out->memory, field_text(c, "text"));
        if (!x->text)
            return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for an answer");
    }
    return AGON_OK;
}

agon_status respond(actors *a, const char *path, const query_list *queries, const ask *asks, size_t n,
                    const ask_options *o, answer_list *out) {
    recorder r = {a, queries, asks, o};
    json_t *inputs = json_array(), *results = NULL, *result;
    agon_status s = json_made(a->ctx, inputs);
    size_t i;
    for (i = 0; i < n && !s; i++)
        s = json_append(a->ctx, inputs, generate_input(asks[i].parent, asks[i].prompt, o->version, o->samples, o->max_tokens,
                                                       o->temperature, o->top_p));
    if (!s)
        s = work_run(a, path, &work_generate, inputs, record_answers, &r, &results);
    json_array_foreach(results, i, result) {
        if (!s)
            s = append_answers(a, &asks[i], o, result, out);
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

agon_status respond_queries(actors *a, const char *path, const query_list *queries, size_t from, size_t n,
                            const ask_options *o, answer_list *out) {
    ask *asks = memory_new(n + 1, sizeof *asks);
    if (!asks)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", path);
    for (size_t i = 0; i < n; i++) {
        const query *q = &queries->items[from + i];
        asks[i] = (ask){from + i, SIZE_MAX, q->text, q->id};
    }
    agon_status s = respond(a, path, queries, asks, n, o, out);
    free(asks);
    return s;
}

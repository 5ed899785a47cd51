/* Known-good answers with one fault planted by a program (loop 3.3): verdicts that cost no human. What is known good is the caller's word; that
 * the result is faulty holds by construction of the fault if it was. No verifier is asked. */
#include "base/ctx.h"
#include "step/items.h"
#include <stdlib.h>

typedef struct to_tamper {
    actors *a;
    const query_list *queries;
    const answer_list *answers;
    const size_t *which;
    uint64_t seed;
} to_tamper;

static agon_status add_tampered(void *arg, size_t i, json_t *made) {
    const to_tamper *tamper = arg;
    actors *a = tamper->a;
    const answer *x = &tamper->answers->items[tamper->which[i]];
    const query *from = &tamper->queries->items[x->query];
    task_query q = {0};
    char *faulty = NULL, *claim = NULL;
    store_id id, label;
    agon_status s = query_task(a, from, &q);
    if (!s)
        s = task_tamper(a->ctx, &q, x->text, tamper->seed + i, &faulty, &claim);
    task_query_free(&q);
    if (s == AGON_EUNSUPPORTED || s == AGON_EINVAL) /* no fault fits here */
        return json_append(a->ctx, made, json_null());
    text_record t = {.run = run_id(a->run), .kind = "tampered", .body = faulty, .iteration = a->iteration, .parent = from->id,
                     .producer = "planted fault", .family = from->family, .cell = from->cell_name, .slot = x->id};
    if (!s)
        s = store_add_text(a->store, &t, &id);
    label_record l = {.run = run_id(a->run), .target = id.text, .kind = "point", .value = "fail", .source = "principle",
                      .iteration = a->iteration, .producer = "planted fault", .derived_from = x->label, .purpose = "train",
                      .confidence_raw = 1, .confidence = 1};
    if (!s)
        s = store_add_label(a->store, &l, &label);
    if (!s)
        s = json_append(a->ctx, made,
                        json_pack("{ss ss ss}", "text", faulty, "id", id.text, "label", label.text)); /* the claim may hold the truth */
    free(faulty);
    free(claim);
    return s;
}

static agon_status append_tampered(actors *a, const answer *x, const json_t *made, answer_list *out) {
    answer copy = *x, *y;
    if (!json_is_object(made))
        return AGON_OK;
    y = answer_list_add(out);
    if (y)
        y->text = arena_copy(out->memory, field_text(made, "text"));
    if (!y || !y->text)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a planted fault");
    y->query = copy.query;
    y->kind = "tampered";
    y->outcome = OUTCOME_FAIL;
    y->source = "principle";
    snprintf(y->id, sizeof y->id, "%s", field_text(made, "id"));
    snprintf(y->label, sizeof y->label, "%s", field_text(made, "label"));
    return AGON_OK;
}

agon_status tamper_answers(actors *a, const char *path, const query_list *queries, answer_list *answers, const size_t *which,
                           size_t n) {
    json_t *input = answer_ids(answers, which, n), *result = NULL;
    const step_key key = {.path = path, .kind = "tamper"};
    to_tamper x = {a, queries, answers, which, step_seed(a->run, &key)};
    agon_status s = step_list(a->run, &key, input, n, add_tampered, &x, &result);
    for (size_t i = 0; i < n && !s; i++)
        s = append_tampered(a, &answers->items[which[i]], json_array_get(result, i), answers);
    json_decref(result);
    json_decref(input);
    return s;
}

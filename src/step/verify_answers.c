/* The verifier's word on answers. Under an open oracle it becomes a label; under a sealed one it goes to the ledger, and the loop
 * learns nothing, not even whether there was something to learn. */
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
} recorder;

static agon_status record_open(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const answer *x = &r->answers->items[r->which[i]];
    const char *checker = r->queries->items[x->query].family, *outcome = field_text(out, "outcome");
    store_id verification, label = {""};
    verification_record v = {.run = run_id(r->a->run),
                             .response = x->id,
                             .checker = checker,
                             .outcome = outcome,
                             .evidence = json_string_value(json_object_get(out, "evidence")),
                             .iteration = r->a->iteration};
    label_record l = {.run = run_id(r->a->run),
                      .target = x->id,
                      .kind = "point",
                      .value = outcome,
                      .source = "verifier",
                      .iteration = r->a->iteration,
                      .producer = checker,
                      .verification = verification.text,
                      .purpose = strcmp(x->kind, "evaluation") == 0 || strcmp(x->kind, "monitor") == 0 ? "gate" : "train",
                      .confidence_raw = 1,
                      .confidence = 1,
                      .propensity = 1};
    agon_status s = store_add_verification(r->a->store, &v, &verification);
    if (!s && strcmp(outcome, "unknown") != 0) {
        s = store_add_label(r->a->store, &l, &label);
        if (!s)
            s = store_settle(r->a->store, run_id(r->a->run), "labels.verifier", 1);
    }
    if (!s) {
        *ids = json_pack("{ss ss}", "verification", verification.text, "label", label.text);
        s = json_made(r->a->ctx, *ids);
    }
    return s;
}

static agon_status record_sealed(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const answer *x = &r->answers->items[r->which[i]];
    (void)ids;
    return store_ledger_add(r->a->store, run_id(r->a->run), x->id, r->queries->items[x->query].family,
                            field_text(out, "outcome"), json_string_value(json_object_get(out, "evidence")));
}

static task_outcome outcome_of(const char *name) {
    return strcmp(name, "pass") == 0 ? OUTCOME_PASS : strcmp(name, "fail") == 0 ? OUTCOME_FAIL : OUTCOME_UNKNOWN;
}

static agon_status believe(actors *a, answer_list *list, answer *x, const json_t *result) {
    const json_t *out = json_object_get(result, "out"), *ids = json_object_get(result, "ids");
    x->outcome = outcome_of(field_text(out, "outcome"));
    if (x->outcome == OUTCOME_UNKNOWN)
        return AGON_OK;
    x->source = "verifier";
    snprintf(x->label, sizeof x->label, "%s", field_text(ids, "label"));
    snprintf(x->verification, sizeof x->verification, "%s", field_text(ids, "verification"));
    const json_t *span = json_object_get(out, "span");
    x->span_start = (size_t)json_integer_value(json_array_get(span, 0));
    x->span_end = (size_t)json_integer_value(json_array_get(span, 1));
    x->evidence = arena_copy(list->memory, field_text(out, "evidence"));
    x->masked = arena_copy(list->memory, field_text(out, "masked"));
    return x->evidence && x->masked ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for evidence");
}

agon_status verify_answers(actors *a, const char *path, const query_list *queries, answer_list *answers, size_t from) {
    size_t n = 0, *which = memory_new(answers->n ? answers->n : 1, sizeof *which);
    json_t *inputs = json_array(), *results = NULL;
    agon_status s = which && inputs ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", path);
    for (size_t i = from; i < answers->n && !s; i++) {
        const answer *x = &answers->items[i];
        if (x->failed)
            continue;
        which[n++] = i;
        json_array_append_new(inputs,
                              json_pack("{sO ss}", "query", queries->items[x->query].task, "response", x->text));
    }
    recorder r = {a, queries, answers, which};
    if (!s)
        s = work_run(a, path, a->sealed ? &work_seal : &work_verify, inputs, a->sealed ? record_sealed : record_open, &r,
                     &results);
    for (size_t k = 0; k < n && !s && !a->sealed; k++)
        s = believe(a, answers, &answers->items[which[k]], json_array_get(results, k));
    json_decref(results);
    json_decref(inputs);
    free(which);
    return s;
}

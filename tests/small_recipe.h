/* A small recipe over the store and the journal: single steps, a batch with records, a trainer with checkpoints, an object, budgets,
 * a sealed answer, a gate. Everything in it is a function of the run's seed. */
#ifndef TESTS_SMALL_RECIPE_H
#define TESTS_SMALL_RECIPE_H

#include "base/file.h"
#include "base/json.h"
#include "step/step.h"
#include <stdlib.h>
#include <string.h>

enum { RECIPE_ITEMS = 7, RECIPE_GROUP = 3, TRAIN_STEPS = 4 };

#define TRY(call)                                                                                   \
    do {                                                                                            \
        agon_status try_ = (call);                                                                  \
        if (try_ != AGON_OK)                                                                        \
            return try_;                                                                            \
    } while (0)

/* attack: three queries, the last under a sealed oracle. Result {"queries": [ids]}. */
static inline agon_status recipe_attack(run *r, int iteration, json_t **result) {
    char path[64], body[64];
    bool done;
    snprintf(path, sizeof path, "iteration/%d/attack", iteration);
    step_key key = {.path = path, .reproducible = true};
    json_t *input = json_pack("{si}", "n", 3);
    agon_status status = step_begin(r, &key, input, &done, result);
    json_decref(input);
    if (status || done)
        return status;
    json_t *ids = json_array();
    *result = json_pack("{so}", "queries", ids); /* the caller's from here on, also when what follows fails */
    for (int i = 0; i < 3; i++) {
        store_id id;
        snprintf(body, sizeof body, "%llu + %d?", (unsigned long long)(step_seed(r, &key) % 90), i);
        text_record q = {.run = run_id(r), .kind = "query", .iteration = iteration, .family = "addition",
                         .body = body, .oracle = i == 2 ? "sealed" : "open"};
        TRY(store_add_text(run_store(r), &q, &id));
        json_array_append_new(ids, json_string(id.text));
    }
    TRY(store_settle(run_store(r), run_id(r), "queries", 3));
    return step_commit(r, *result);
}

/* respond: a batch; answers come in an order that depends on `stride`, which must not show. */
static inline agon_status recipe_respond(run *r, int iteration, const json_t *attack, size_t stride,
                                         json_t **labels) {
    char path[64], names[RECIPE_ITEMS][8], body[64];
    step_item items[RECIPE_ITEMS];
    step_batch *b = NULL;
    snprintf(path, sizeof path, "iteration/%d/respond", iteration);
    json_t *queries = json_object_get(attack, "queries");
    for (int i = 0; i < RECIPE_ITEMS; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        items[i] = (step_item){names[i], json_array_get(queries, (size_t)i % 3)};
    }
    step_key key = {.path = path};
    agon_status status = step_batch_begin(r, &key, items, RECIPE_ITEMS, &b);
    size_t since = 0;
    for (size_t k = 0; k < RECIPE_ITEMS && !status; k++) {
        size_t i = k * stride % RECIPE_ITEMS;
        const char *query = json_string_value(json_array_get(queries, i % 3));
        bool sealed = i % 3 == 2;
        store_id response, verification = {{0}}, label;
        if (step_batch_result(b, i))
            continue;
        snprintf(body, sizeof body, "says %llu", (unsigned long long)(step_batch_seed(b, i) % 100));
        text_record t = {.run = run_id(r), .kind = "response", .iteration = iteration, .parent = query,
                         .body = body, .slot = names[i]};
        status = store_add_text(run_store(r), &t, &response);
        if (!status && sealed)
            status = store_ledger_add(run_store(r), run_id(r), response.text, "addition", "fail", body);
        verification_record v = {.run = run_id(r), .iteration = iteration, .response = response.text,
                                 .checker = "addition", .outcome = "fail", .evidence = body};
        if (!status && !sealed)
            status = store_add_verification(run_store(r), &v, &verification);
        label_record l = {.run = run_id(r), .iteration = iteration, .target = response.text, .kind = "point",
                          .value = "fail", .source = sealed ? "critic" : "verifier", .confidence_raw = 0.5,
                          .confidence = 0.75, .verification = sealed ? NULL : verification.text};
        if (!status)
            status = store_add_label(run_store(r), &l, &label);
        if (!status)
            status = store_settle(run_store(r), run_id(r), "tokens.learner.out", (int64_t)i + 1);
        json_t *result = json_pack("{ss ss}", "response", response.text, "label", label.text);
        if (!status)
            status = step_batch_record(b, i, result);
        json_decref(result);
        if (!status && ++since == RECIPE_GROUP) {
            status = step_batch_flush(b);
            since = 0;
        }
    }
    if (!status)
        status = step_batch_end(b);
    json_t *list = json_array();
    for (size_t i = 0; i < RECIPE_ITEMS && !status; i++)
        json_array_append(list, json_object_get(step_batch_result(b, i), "label"));
    step_batch_free(b);
    if (status)
        json_decref(list);
    else
        *labels = list;
    return status;
}

/* train: TRAIN_STEPS steps of a hash, each checkpointed; weights become an object and a version. */
static inline agon_status recipe_train(run *r, int iteration, const json_t *labels, json_t **result) {
    char path[64], hex[HASH_HEX_SIZE];
    bool done;
    snprintf(path, sizeof path, "iteration/%d/train", iteration);
    step_key key = {.path = path};
    agon_status status = step_begin(r, &key, labels, &done, result);
    if (status || done)
        return status;
    uint64_t n;
    byte_reader left;
    hash256 state = hash_text("start");
    const byte_stream kept = stream_of(&state, sizeof state);
    TRY(step_checkpoint_open(r, &key, &n, &left));
    if (n > 0)
        TRY(byte_reader_read(NULL, &left, 0, &state, sizeof state));
    byte_reader_close(&left);
    for (; n < TRAIN_STEPS; n++) {
        state = hash_bytes(&state, sizeof state);
        TRY(step_checkpoint_put(r, &key, n + 1, &kept));
    }
    hash256 object;
    TRY(object_put(run_store(r), &state, sizeof state, &object));
    hash_hex(&object, hex);
    store_id example;
    json_t *fields = json_pack("{ss ss}", "prompt", "1 + 1?", "completion", "2");
    const char *label = json_string_value(json_array_get(labels, 0));
    example_record e = {.run = run_id(r), .iteration = iteration, .objective = "sft", .origin = "new", .n_tokens = 9,
                        .fields = fields, .labels = &label, .n_labels = 1};
    status = store_add_example(run_store(r), &e, &example);
    json_decref(fields);
    const char *examples[] = {example.text};
    version_record v = {.run = run_id(r), .id = hex, .role = "learner", .iteration = iteration, .object = hex,
                        .examples = examples, .n_examples = 1};
    if (!status)
        status = store_add_version(run_store(r), &v);
    json_t *held_out = json_pack("{si sf sf s[ff]}", "n", 100, "before", 0.25, "after", 0.5, "ci95", 0.1, 0.4);
    version_status_record vs = {.run = run_id(r), .version = hex, .status = "promoted", .iteration = iteration,
                                .held_out = held_out};
    if (!status)
        status = store_add_version_status(run_store(r), &vs);
    json_decref(held_out);
    *result = json_pack("{ss}", "version", hex);
    return status ? status : step_commit(r, *result);
}

/* The whole recipe, one iteration. */
static inline agon_status recipe_run(agon_ctx *ctx, store *s, size_t stride, store_hook hook, void *arg,
                                     hash256 *head) {
    json_t *config = json_pack("{si ss}", "n", 3, "task", "addition");
    run_options options = {.name = "main", .seed = 17, .config = config, .hook = hook, .hook_arg = arg};
    run *r = NULL;
    json_t *attack = NULL, *labels = NULL, *trained = NULL;
    agon_status status = run_begin(ctx, s, &options, &r);
    if (!status)
        status = run_stage(r, 1, "attack");
    if (!status)
        status = recipe_attack(r, 1, &attack);
    if (!status)
        status = recipe_respond(r, 1, attack, stride, &labels);
    if (!status)
        status = recipe_train(r, 1, labels, &trained);
    if (!status)
        status = run_finish(r, "done", NULL);
    if (!status)
        *head = run_head(r);
    run_end(r);
    json_decref(attack);
    json_decref(labels);
    json_decref(trained);
    json_decref(config);
    return status;
}

#endif

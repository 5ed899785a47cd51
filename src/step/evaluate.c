/* Held-out answers, suites and text, see evaluate.h. */
#include "step/evaluate.h"
#include "base/ctx.h"
#include "role/learner.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

agon_status evaluate_answers(actors *a, const char *path, const query_list *queries, const char *version,
                             size_t max_tokens, answer_list *out) {
    const ask_options o = {.version = version,
                           .kind = "evaluation",
                           .template_id = learner_answer_template(),
                           .samples = 1,
                           .max_tokens = max_tokens,
                           .top_p = 1};
    return respond_queries(a, path, queries, 0, queries->n, &o, out);
}

static agon_status count_tokens(void *arg, size_t i, const json_t *out, json_t **ids) {
    actors *a = arg;
    int64_t n = field_int(json_array_get(json_object_get(out, "completions"), 0), "n_tokens");
    (void)i;
    (void)ids;
    agon_status s = store_settle(a->store, run_id(a->run), "tokens.learner.in", field_int(out, "n_prompt"));
    return s ? s : store_settle(a->store, run_id(a->run), "tokens.learner.out", n);
}

agon_status evaluate_suite(actors *a, const char *path, const suite *suite, const char *version, bool *right) {
    json_t *inputs = json_array(), *results = NULL;
    size_t n = suite_n_items(suite);
    agon_status s = json_made(a->ctx, inputs);
    for (size_t i = 0; i < n && !s; i++) {
        suite_item item = suite_get(suite, i);
        s = json_append(a->ctx, inputs, generate_greedy(item.id, item.query, version, item.max_tokens));
    }
    if (!s)
        s = work_run(a, path, &work_generate, inputs, count_tokens, a, &results);
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *out = json_object_get(json_array_get(results, i), "out");
        char *evidence = NULL;
        s = suite_judge(a->ctx, suite, i, field_text(json_array_get(json_object_get(out, "completions"), 0), "text"),
                        &right[i], &evidence);
        free(evidence);
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

agon_status evaluate_text(actors *a, const char *path, const perplexity_suite *p, size_t limit, const char *version,
                          double *nll) {
    char hex[HASH_HEX_SIZE];
    hash256 h = perplexity_hash(p);
    json_t *results = NULL;
    hash_hex(&h, hex);
    json_t *inputs = json_pack("[{sI ss ss}]", "documents", (json_int_t)limit, "hash", hex, "version", version);
    agon_status s = json_made(a->ctx, inputs);
    if (!s)
        s = work_run(a, path, &work_score, inputs, NULL, NULL, &results);
    const json_t *values = json_object_get(json_object_get(json_array_get(results, 0), "out"), "nll");
    if (!s && json_array_size(values) != perplexity_n_documents(p))
        s = ctx_fail(a->ctx, AGON_EMISMATCH, "%s: the recorded scores are of other documents", path);
    for (size_t i = 0; i < json_array_size(values) && !s; i++)
        nll[i] = json_number_value(json_array_get(values, i));
    json_decref(results);
    json_decref(inputs);
    return s;
}

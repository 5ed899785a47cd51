/* The model critic in words, for the reviewer who reads an answer that nobody could verify. */
#include "base/ctx.h"
#include "role/critic.h"
#include "step/items.h"
#include "step/work.h"

typedef struct recorder {
    actors *a;
    const answer_list *answers;
    const size_t *which;
    const char *version;
} recorder;

static agon_status record_critique(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const char *words = field_text(out, "critique");
    const char *producer = NULL;
    store_id id = {""};
    agon_status s = *words ? actors_producer(r->a, "critic", r->version, &producer) : AGON_OK;
    const text_record t = {.run = run_id(r->a->run),
                           .kind = "critique",
                           .body = words,
                           .iteration = r->a->iteration,
                           .parent = r->answers->items[r->which[i]].id,
                           .producer = producer,
                           .template_id = critic_text_template(r->a->first_prompts),
                           .slot = "written"};
    if (!s && *words)
        s = store_add_text(r->a->store, &t, &id);
    if (!s) {
        *ids = json_pack("{ss}", "text", id.text);
        s = json_made(r->a->ctx, *ids);
    }
    return s;
}

agon_status write_critiques(actors *a, const char *path, const query_list *queries, answer_list *answers, const size_t *which,
                            size_t n, const char *version) {
    json_t *inputs = NULL, *results = NULL;
    recorder r = {a, answers, which, version};
    agon_status s = answers_to_judge(a, queries, answers, which, n, version, &inputs);
    if (!s)
        s = work_run(a, path, &work_criticise, inputs, record_critique, &r, &results);
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *result = json_array_get(results, i);
        answer *x = &answers->items[which[i]];
        snprintf(x->critique[CRITIQUE_FULL], STORE_ID_SIZE, "%s", field_text(json_object_get(result, "ids"), "text"));
        x->words = arena_copy(answers->memory, field_text(json_object_get(result, "out"), "critique"));
        s = x->words ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a critique");
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

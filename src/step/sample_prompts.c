/* Samples of a version on prompts that are no queries, see evaluate.h. */
#include "base/ctx.h"
#include "base/memory.h"
#include "step/evaluate.h"
#include "step/work.h"
#include <math.h>

static agon_status count_tokens(void *arg, size_t i, const json_t *out, json_t **ids) {
    actors *a = arg;
    const json_t *c;
    size_t k;
    int64_t n = 0;
    (void)i;
    (void)ids;
    json_array_foreach(json_object_get(out, "completions"), k, c)
        n += field_int(c, "n_tokens");
    agon_status s = store_settle(a->store, run_id(a->run), "tokens.learner.in", field_int(out, "n_prompt"));
    return s ? s : store_settle(a->store, run_id(a->run), "tokens.learner.out", n);
}

agon_status sample_prompts(actors *a, const char *path, char *const *prompts, size_t n, const char *version, size_t samples, size_t max_tokens,
                           arena *memory, prompt_sample *out) {
    json_t *inputs = json_array(), *results = NULL;
    agon_status s = json_made(a->ctx, inputs);
    for (size_t i = 0; i < n && !s; i++)
        s = json_append(a->ctx, inputs, generate_input(arena_printf(memory, "monitor/%zu", i), prompts[i], version, samples, max_tokens, 1, 1));
    if (!s)
        s = work_run(a, path, &work_generate, inputs, count_tokens, a, &results);
    for (size_t i = 0; i < n * samples && !s; i++) {
        const json_t *list = json_object_get(json_object_get(json_array_get(results, i / samples), "out"), "completions"),
                     *c = json_array_get(list, i % samples), *log_prob = json_object_get(c, "log_prob");
        out[i] = (prompt_sample){arena_copy(memory, field_text(c, "text")), (double)field_int(c, "n_tokens"),
                                 json_is_number(log_prob) ? json_number_value(log_prob) : NAN};
        if (!out[i].text)
            s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for an answer");
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

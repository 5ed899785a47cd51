/* Critiques from a verifier's evidence: faithful by construction, in a full and an answer-masked form. */
#include "base/ctx.h"
#include "role/critic.h"
#include "step/items.h"
#include <stdlib.h>

agon_status critique_words(actors *a, const answer *x, int form, char **out) {
    const task_verdict v = {.outcome = x->outcome, .evidence = (char *)x->evidence, .masked = (char *)x->masked};
    return critic_executable(a->ctx, &v, (critique_form)form, out);
}

static agon_status add_critique(actors *a, const answer *x, int form, json_t *ids) {
    char *words = NULL;
    store_id id;
    json_t *meta = x->span_end > x->span_start
                       ? json_pack("{s[II]}", "span", (json_int_t)x->span_start, (json_int_t)x->span_end)
                       : NULL; /* what agon review marks in the answer */
    agon_status s = critique_words(a, x, form, &words);
    text_record t = {.run = run_id(a->run),
                     .kind = "critique",
                     .body = words,
                     .iteration = a->iteration,
                     .parent = x->id,
                     .producer = "executable critic",
                     .slot = critique_form_name((critique_form)form),
                     .meta = meta};
    if (!s)
        s = store_add_text(a->store, &t, &id);
    if (!s && json_array_append_new(ids, json_string(id.text)) != 0)
        s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a critique");
    json_decref(meta);
    free(words);
    return s;
}

typedef struct to_criticise {
    actors *a;
    const answer_list *answers;
    const size_t *which;
    size_t n;
} to_criticise;

static agon_status add_critiques(void *arg, json_t **result) {
    const to_criticise *x = arg;
    json_t *ids = json_array();
    agon_status s = ids ? AGON_OK : ctx_fail(x->a->ctx, AGON_ENOMEM, "no memory for critiques");
    for (size_t i = 0; i < x->n && !s; i++)
        for (int form = CRITIQUE_FULL; form <= CRITIQUE_MASKED && !s; form++)
            s = add_critique(x->a, &x->answers->items[x->which[i]], form, ids);
    *result = ids;
    return s;
}

agon_status critique_answers(actors *a, const char *path, answer_list *answers, const size_t *which, size_t n) {
    json_t *input = answer_ids(answers, which, n), *result = NULL;
    const step_key key = {.path = path, .kind = "critique"};
    to_criticise x = {a, answers, which, n};
    agon_status s = step_once(a->run, &key, input, add_critiques, &x, &result);
    for (size_t i = 0; i < n && !s; i++)
        for (int form = CRITIQUE_FULL; form <= CRITIQUE_MASKED; form++) {
            const char *id = json_string_value(json_array_get(result, 2 * i + (size_t)form));
            snprintf(answers->items[which[i]].critique[form], STORE_ID_SIZE, "%s", id ? id : "");
        }
    json_decref(result);
    json_decref(input);
    return s;
}

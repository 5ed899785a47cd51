/* Critiques from a verifier's evidence: faithful by construction, in a full and an answer-masked form. */
#include "base/ctx.h"
#include "role/critic.h"
#include "step/items.h"
#include <stdlib.h>

agon_status critique_words(actors *a, const answer *x, int form, char **out) {
    const task_verdict v = {.outcome = x->outcome, .evidence = (char *)x->evidence, .masked = (char *)x->masked};
    return critic_executable(a->ctx, &v, (critique_form)form, a->first_critiques, out);
}

static agon_status record_form(actors *a, const answer *x, int form, json_t *ids) {
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
    if (!s)
        s = json_append(a->ctx, ids, json_string(id.text));
    json_decref(meta);
    free(words);
    return s;
}

typedef struct to_criticise {
    actors *a;
    const answer_list *answers;
    const size_t *which;
} to_criticise;

static agon_status add_critique(void *arg, size_t i, json_t *ids) {
    const to_criticise *x = arg;
    const answer *y = &x->answers->items[x->which[i]];
    agon_status s = record_form(x->a, y, CRITIQUE_FULL, ids);
    return s ? s : record_form(x->a, y, CRITIQUE_MASKED, ids);
}

agon_status critique_answers(actors *a, const char *path, answer_list *answers, const size_t *which, size_t n) {
    json_t *input = answer_ids(answers, which, n), *result = NULL;
    const step_key key = {.path = path, .kind = "critique"};
    agon_status s = step_list(a->run, &key, input, n, add_critique, &(to_criticise){a, answers, which}, &result);
    for (size_t i = 0; i < n && !s; i++)
        for (int form = CRITIQUE_FULL; form <= CRITIQUE_MASKED; form++) {
            const char *id = json_string_value(json_array_get(result, 2 * i + (size_t)form));
            snprintf(answers->items[which[i]].critique[form], STORE_ID_SIZE, "%s", id ? id : "");
        }
    json_decref(result);
    json_decref(input);
    return s;
}

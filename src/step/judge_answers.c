/* The model critic's P(correct), before calibration. */
#include "base/ctx.h"
#include "step/items.h"
#include "step/work.h"

static agon_status record_judgement(void *arg, size_t i, const json_t *out, json_t **ids) {
    actors *a = arg;
    (void)i;
    (void)ids;
    return store_settle(a->store, run_id(a->run), "tokens.critic", field_int(out, "n_prompt") + field_int(out, "n_tokens"));
}

agon_status judge_answers(actors *a, const char *path, const query_list *queries, answer_list *answers,
                          const size_t *which, size_t n, const char *version) {
    json_t *inputs = NULL, *results = NULL;
    agon_status s = answers_to_judge(a, queries, answers, which, n, version, &inputs);
    if (!s)
        s = work_run(a, path, &work_judge, inputs, record_judgement, a, &results);
    for (size_t i = 0; i < n && !s; i++)
        answers->items[which[i]].p_raw = field_real(json_object_get(json_array_get(results, i), "out"), "p");
    json_decref(results);
    json_decref(inputs);
    return s;
}

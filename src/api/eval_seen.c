/* See eval_seen.h. A version's run and those of the versions that it continues say what was asked, up to the iteration of each; control arms were asked what the
 * run was that they are arms of. What was only evaluated or watched for collapse trained nothing. */
#include "api/eval_seen.h"
#include "base/ctx.h"
#include "base/json.h"
#include "step/actors.h"
#include "store/store.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

#define LINE                                                                                                                     \
    "WITH RECURSIVE line(id, run, iteration, parent) AS (SELECT id, run, iteration, parent FROM model_version WHERE id = ?1"      \
    " UNION SELECT v.id, v.run, v.iteration, v.parent FROM line l JOIN model_version v ON v.id = l.parent),"                      \
    " runs(run, iteration) AS (SELECT run, iteration FROM line WHERE parent IS NOT NULL"                                         \
    " UNION SELECT r.config ->> 'arms_of', l.iteration FROM line l JOIN run r ON r.id = l.run WHERE l.parent IS NOT NULL)"

static agon_status add_text(agon_ctx *ctx, json_t *set, const char *text) {
    char *normal = NULL;
    agon_status s = text ? text_normal_form(ctx, text, &normal) : AGON_OK;
    if (!s && normal && json_object_set_new(set, normal, json_true()) != 0)
        s = ctx_no_memory(ctx);
    free(normal);
    return s;
}

/* The user's words of an example: its prompt, or of the messages in its place. */
static agon_status add_prompts(agon_ctx *ctx, json_t *set, const json_t *fields) {
    const json_t *prompt = json_object_get(fields, "prompt"), *list = json_is_array(prompt) ? prompt : json_object_get(fields, "messages"), *m;
    size_t i;
    agon_status s = json_is_string(prompt) ? add_text(ctx, set, json_string_value(prompt)) : AGON_OK;
    json_array_foreach((json_t *)(uintptr_t)list, i, m)
        if (!s && strcmp(field_text(m, "role"), "user") == 0)
            s = add_text(ctx, set, json_string_value(json_object_get(m, "content")));
    return s;
}

static agon_status read_into(agon_ctx *ctx, store *st, const char *sql, const char *version, json_t *set) {
    json_t *parameters = json_pack("[s]", version), *rows = NULL, *row;
    size_t i;
    agon_status s = json_made(ctx, parameters);
    if (!s)
        s = store_query_json(st, sql, parameters, &rows);
    json_array_foreach(rows, i, row)
        if (!s)
            s = json_object_get(row, "fields") ? add_prompts(ctx, set, json_object_get(row, "fields")) : add_text(ctx, set, json_string_value(json_object_get(row, "body")));
    json_decref(rows);
    json_decref(parameters);
    return s;
}

agon_status eval_seen_open(agon_ctx *ctx, const char *folder, const char *version, eval_seen *out) {
    static const char asked[] = LINE " SELECT DISTINCT q.body AS body FROM runs r JOIN text a ON a.run = r.run AND a.iteration <= r.iteration AND a.kind NOT IN ('evaluation', 'monitor')"
                                     " JOIN text q ON q.id = a.parent WHERE q.kind = 'query'",
                      held_out[] = LINE " SELECT DISTINCT q.body AS body FROM runs r JOIN text a ON a.run = r.run AND a.iteration <= r.iteration AND a.kind = 'evaluation'"
                                        " JOIN text q ON q.id = a.parent",
                      learnt[] = LINE " SELECT e.fields AS fields_json FROM line l JOIN model_version_example v ON v.model_version = l.id JOIN example e ON e.id = v.example";
    store *st = NULL;
    *out = (eval_seen){json_object(), json_object()};
    agon_status s = out->asked && out->held_out ? store_open(ctx, folder, STORE_READ, &st) : ctx_no_memory(ctx);
    if (!s)
        s = read_into(ctx, st, asked, version, out->asked);
    if (!s)
        s = read_into(ctx, st, learnt, version, out->asked);
    if (!s)
        s = read_into(ctx, st, held_out, version, out->held_out);
    store_close(st);
    return s;
}

void eval_seen_free(eval_seen *x) {
    json_decref(x->asked);
    json_decref(x->held_out);
    *x = (eval_seen){0};
}

agon_status eval_seen_find(agon_ctx *ctx, const eval_seen *x, const char *question, bool *asked, bool *held_out) {
    char *normal = NULL;
    agon_status s = text_normal_form(ctx, question, &normal);
    if (!s) {
        *asked = json_object_get(x->asked, normal) != NULL;
        *held_out = !*asked && json_object_get(x->held_out, normal) != NULL;
    }
    free(normal);
    return s;
}

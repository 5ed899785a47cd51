/* A trained attacker's folder, see attacker_adapter.h. */
#include "role/attacker_adapter.h"
#include "base/ctx.h"
#include "base/file.h"
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

static const char FILE_NAME[] = "attacker.json";

json_t *attacker_prompts_json(const attacker_kinds *kinds) {
    json_t *list = json_array();
    for (int k = PERTURBATION_NONE + 1; k < PERTURBATION_N; k++)
        if (kinds->of[k])
            json_array_append_new(list, json_string(attacker_template((task_perturbation)k)));
    return list;
}

/* The adapter first: a folder that is cut short has none of the two that says what it is. */
agon_status attacker_export(agon_ctx *ctx, const adapter *a, const char *model, const char *base_name, const attacker_kinds *kinds, const char *folder) {
    char *path = path_join(folder, FILE_NAME);
    json_t *about = json_pack("{ss so}", "model", model, "prompts", attacker_prompts_json(kinds));
    char *text = about ? json_dumps(about, JSON_INDENT(2)) : NULL;
    agon_status s = path && text ? adapter_export_peft(ctx, a, base_name, folder) : ctx_no_memory(ctx);
    if (!s)
        s = file_write(ctx, path, text, strlen(text));
    free(text), free(path);
    json_decref(about);
    return s;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static agon_status take_prompts(agon_ctx *ctx, const char *path, const json_t *list, attacker_kinds *kinds) {
    const json_t *item;
    size_t i;
    *kinds = (attacker_kinds){0};
    json_array_foreach(list, i, item) {
        const char *id = json_string_value(item);
        int k = PERTURBATION_NONE + 1;
        while (k < PERTURBATION_N && !(id && strcmp(id, attacker_template((task_perturbation)k)) == 0))
            k++;
        if (k == PERTURBATION_N)
            return ctx_fail(ctx, AGON_EMISMATCH, "%s: the attacker was trained with the prompt '%.60s', which this agon does not ask with; train it anew", path,
                            id ? id : "no text");
        kinds->of[k] = true;
    }
    if (!kinds->of[PERTURBATION_PARAPHRASE] && !kinds->of[PERTURBATION_DISTRACTOR])
        return ctx_fail(ctx, AGON_EINVAL, "%s: the attacker was trained to write neither paraphrases nor remarks, and the loop also rewords queries without names; "
                                          "train it with 'attacks: [paraphrase, distractor, ...]'", path);
    return AGON_OK;
}

static agon_status check_about(agon_ctx *ctx, const char *path, const json_t *about, const char *model, attacker_kinds *kinds) {
    const char *own = json_string_value(json_object_get(about, "model"));
    const json_t *prompts = json_object_get(about, "prompts");
    if (!own || !json_is_array(prompts))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: must be an object with 'model' and the list 'prompts', as 'experiment: red-team' writes it", path);
    if (strcmp(own, model) != 0)
        return ctx_fail(ctx, AGON_EMISMATCH, "%s: the attacker was trained on another model (%.12s) than the run's (%.12s); name that model, or train it on this one", path,
                        own, model);
    return take_prompts(ctx, path, prompts, kinds);
}

agon_status attacker_open(agon_ctx *ctx, const model *m, const char *model, const char *folder, adapter **out, attacker_kinds *kinds) {
    char *path = path_join(folder, FILE_NAME);
    json_t *about = NULL;
    attacker_kinds found = {0};
    agon_status s = path ? AGON_OK : ctx_no_memory(ctx);
    if (!s && !folder_exists(folder))
        s = ctx_fail(ctx, AGON_ENOTFOUND, "%s: there is no such folder; name one that 'experiment: red-team' wrote (attacker-SEED)", folder);
    if (!s && !file_exists(path))
        s = ctx_fail(ctx, AGON_EINVAL, "%s: it holds no trained attacker: there is no %s, which 'experiment: red-team' writes beside the adapter", folder, FILE_NAME);
    if (!s)
        s = json_read_file(ctx, path, &about);
    if (!s)
        s = check_about(ctx, path, about, model, &found);
    if (!s)
        s = adapter_import_peft(ctx, m, folder, out);
    if (!s)
        *kinds = found;
    json_decref(about);
    free(path);
    return s;
}

/* PEFT adapter folders: adapter_config.json and adapter_model.safetensors.
 *
 * A module's factors are "base_model.model.<module>.lora_A.weight" [r, in] and "...lora_B.weight" [out, r];
 * the layer computes W x + (alpha / r) B A x. Variants whose arithmetic differs (DoRA, rank patterns,
 * trained biases, a base that the start of the training changed) are refused by name; rank-stabilised
 * scaling, alpha / sqrt(r), is turned into the alpha that gives the same factor. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/export_private.h"
#include "model/safetensors.h"
#include "model/scalar_head.h"
#include "model/weights_layout.h"
#include "model/weights_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."
enum { MAX_TARGETS = sizeof((peft_info *)0)->targets / sizeof((peft_info *)0)->targets[0] };

/* ---- reading ----------------------------------------------------------------------------------- */

static bool is_set(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) && !json_is_false(v) && !(json_is_object(v) && !json_object_size(v)) &&
           !(json_is_array(v) && !json_array_size(v));
}

/* A reward head is the one module agon reads that is saved whole. PEFT names it by both names that classifiers have; a tensor of another
 * module has no place (adapter_import_peft). */
static bool saves_other_modules(const json_t *o) {
    const json_t *list = json_object_get(o, "modules_to_save"), *item;
    size_t i;
    if (!is_set(o, "modules_to_save"))
        return false;
    json_array_foreach(list, i, item) {
        const char *name = json_string_value(item);
        if (!name || (strcmp(name, "score") != 0 && strcmp(name, "classifier") != 0))
            return true;
    }
    return !json_is_array(list);
}

/* PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA take their first B A off the base's weights, or replace these: on the base as it is
 * the factors mean something else. The starts named here leave the base alone. */
static agon_status check_start(agon_ctx *ctx, const char *where, const json_t *o) {
    static const char *const plain[] = {"gaussian", "eva", "orthogonal", "mica"};
    const json_t *start = json_object_get(o, "init_lora_weights");
    if (!json_is_string(start))
        return AGON_OK;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(json_string_value(start), plain[i]) == 0)
            return AGON_OK;
    return ctx_fail(ctx, AGON_EUNSUPPORTED,
                    "%s: 'init_lora_weights' \"%.40s\" is not supported, it goes with other base weights; save the adapter as plain "
                    "LoRA (PEFT: save_pretrained with path_initial_model_for_weight_conversion)",
                    where, json_string_value(start));
}

static agon_status check_variant(agon_ctx *ctx, const char *where, const json_t *o) {
    static const char *const refused[] = {"use_dora",          "rank_pattern",    "alpha_pattern",
                                          "fan_in_fan_out",    "megatron_config", "use_qalora",
                                          "trainable_token_indices", "target_parameters",
                                          "alora_invocation_tokens", "layer_replication",
                                          "lora_bias",         "use_bdlora",      "arrow_config",
                                          "kasa_config",       "monteclora_config"};
    const char *type = "LORA", *bias = "none";
    agon_status s = json_get_text(ctx, where, o, "peft_type", false, &type);
    if (!s)
        s = json_get_text(ctx, where, o, "bias", false, &bias);
    if (!s && strcmp(type, "LORA") != 0)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: peft_type '%.40s' is not supported; only LORA is",
                        where, type);
    if (!s && strcmp(bias, "none") != 0)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: bias '%.40s' is not supported; only 'none' is", where,
                        bias);
    for (size_t i = 0; !s && i < sizeof refused / sizeof refused[0]; i++)
        if (is_set(o, refused[i]))
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: '%s' is not supported", where, refused[i]);
    if (!s && saves_other_modules(o))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: 'modules_to_save' is not supported but for a reward head, [\"score\"]",
                        where);
    return s ? s : check_start(ctx, where, o);
}

static agon_status read_info(agon_ctx *ctx, const char *where, const json_t *o, peft_info *info) {
    int64_t rank = 0;
    bool stabilised = false;
    const char *base = "";
    agon_status s = check_variant(ctx, where, o);
    if (!s)
        s = json_get_int(ctx, where, o, "r", true, &rank);
    if (!s)
        s = json_get_real(ctx, where, o, "lora_alpha", true, &info->alpha);
    if (!s)
        s = json_get_bool(ctx, where, o, "use_rslora", false, &stabilised);
    if (!s)
        s = json_get_text(ctx, where, o, "base_model_name_or_path", false, &base);
    if (s)
        return s == AGON_EINVAL ? AGON_EFORMAT : s;
    if (rank < 1 || rank > 65536)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the rank 'r' is %lld; it must be 1 to 65536", where,
                        (long long)rank);
    info->rank = (size_t)rank;
    if (stabilised)
        info->alpha *= sqrt((double)rank);
    if (!(fabs(info->alpha) <= 1e9))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: 'lora_alpha' is out of range", where);
    snprintf(info->base_name, sizeof info->base_name, "%s", base);
    return AGON_OK;
}

/* Splits "...q_proj.lora_A.weight": true for A or B, *b which; *module ends before ".lora_". */
static bool split_name(const char *name, size_t *module, bool *b) {
    size_t n = strlen(name);
    if (n <= 14)
        return false;
    *module = n - 14;
    *b = strcmp(name + *module, ".lora_B.weight") == 0;
    return *b || strcmp(name + *module, ".lora_A.weight") == 0;
}

static agon_status add_target(agon_ctx *ctx, const char *file, peft_info *info, const char *name,
                              size_t module) {
    size_t start = module;
    while (start > 0 && name[start - 1] != '.')
        start--;
    size_t n = module - start;
    if (n == 0 || n >= sizeof info->targets[0])
        return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' names no module", file, name);
    for (size_t i = 0; i < info->n_targets; i++)
        if (strlen(info->targets[i]) == n && memcmp(info->targets[i], name + start, n) == 0)
            return AGON_OK;
    if (info->n_targets == MAX_TARGETS)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: adapts more than %d kinds of module", file,
                        (int)MAX_TARGETS);
    memcpy(info->targets[info->n_targets], name + start, n);
    info->targets[info->n_targets++][n] = 0;
    return AGON_OK;
}

/* Removes the wrappers' prefix from the names; collects the modules; checks each tensor against the rank. */
static agon_status take_names(agon_ctx *ctx, weights *w, peft_info *info) {
    for (size_t i = 0; i < w->n_tensors; i++) {
        weights_tensor_entry *t = &w->tensors[i];
        size_t module = 0;
        bool b = false;
        if (strncmp(t->name, PREFIX, strlen(PREFIX)) == 0)
            t->name += strlen(PREFIX);
        const head_tensor *head = head_tensor_find(t->name);
        if (head) {
            info->heads |= 1u << head->kind;
            continue;
        }
        if (!split_name(t->name, &module, &b))
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: tensor '%s' is no LoRA factor of a linear layer",
                            t->file, t->stored_name);
        if ((b ? t->n_columns : t->n_rows) != info->rank)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' is %zu x %zu; the rank is %zu", t->file,
                            t->stored_name, t->n_rows, t->n_columns, info->rank);
        agon_status s = add_target(ctx, t->file, info, t->name, module);
        if (s)
            return s;
    }
    return weights_index(ctx, w);
}

static agon_status check_pairs(agon_ctx *ctx, const weights *w) {
    size_t n_factors = 0;
    for (size_t i = 0; i < w->n_tensors; i++)
        n_factors += head_tensor_find(w->tensors[i].name) ? 0 : 1;
    if (n_factors == 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: adapter_model.safetensors holds no LoRA factors", w->path);
    for (size_t i = 0; i < w->n_tensors; i++) {
        char other[NAME_LIMIT + 1];
        size_t module = 0;
        bool b = false;
        if (head_tensor_find(w->tensors[i].name))
            continue;
        snprintf(other, sizeof other, "%s", w->tensors[i].name);
        (void)split_name(other, &module, &b); /* take_names let only such names through */
        other[module + 6] = b ? 'A' : 'B';
        if (!weights_has(w, other))
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' has no partner '%s'", w->tensors[i].file,
                            w->tensors[i].stored_name, other);
    }
    return AGON_OK;
}

static agon_status open_tensors(agon_ctx *ctx, weights *w, const char *folder, const char *path) {
    file_map map;
    const char *kept;
    if (!file_exists(path))
        return ctx_fail(ctx, AGON_ENOTFOUND, "%s: there is no adapter_model.safetensors", folder);
    agon_status s = weights_map(ctx, w, path, &map, &kept);
    return s ? s : safetensors_parse(ctx, w, kept, map.data, map.size);
}

/* Of the tensors from `first` on only heads stay: a whole model in the same folder is none of the adapter's. */
static void keep_heads(weights *w, size_t first) {
    size_t kept = first;
    for (size_t i = first; i < w->n_tensors; i++)
        if (head_tensor_find(w->tensors[i].name))
            w->tensors[kept++] = w->tensors[i];
    w->n_tensors = kept;
}

agon_status peft_open(agon_ctx *ctx, const char *folder, peft_info *info, weights **out) {
    weights *w = NULL;
    json_t *root = NULL;
    peft_info found = {0};
    agon_status s = weights_new(ctx, folder, &w);
    if (s)
        return s;
    const char *config = arena_printf(w->memory, "%s/adapter_config.json", folder);
    const char *tensors = arena_printf(w->memory, "%s/adapter_model.safetensors", folder);
    const char *value = arena_printf(w->memory, "%s/model.safetensors", folder); /* where TRL keeps a value head */
    if (!config || !tensors || !value)
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", folder);
    if (!s)
        s = json_read_file(ctx, config, &root);
    if (!s && !json_is_object(root))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: must be a JSON object", config);
    if (!s)
        s = read_info(ctx, config, root, &found);
    if (!s)
        s = open_tensors(ctx, w, folder, tensors);
    size_t n_factors = w->n_tensors;
    if (!s && file_exists(value))
        s = open_tensors(ctx, w, folder, value);
    if (!s)
        keep_heads(w, n_factors);
    if (!s)
        s = take_names(ctx, w, &found);
    if (!s)
        s = check_pairs(ctx, w);
    json_decref(root);
    if (s) {
        weights_free(w);
        return s;
    }
    *info = found;
    *out = w;
    return AGON_OK;
}

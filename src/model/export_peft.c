/* A PEFT adapter folder that peft and vLLM load, see peft.c for its form. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/export_private.h"
#include "model/safetensors.h"
#include "model/scalar_head.h"
#include "model/weights_layout.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."

/* The module "q_proj" of "model.layers.0.self_attn.q_proj.weight": true when it is one of the targets. */
static bool is_target(const peft_info *info, const tensor_layout *t) {
    size_t n = strlen(t->name);
    if (t->vector || n < 8 || strncmp(t->name, "model.layers.", 13) != 0)
        return false;
    n -= strlen(".weight");
    size_t start = n;
    while (start > 0 && t->name[start - 1] != '.')
        start--;
    for (size_t i = 0; i < info->n_targets; i++)
        if (strlen(info->targets[i]) == n - start &&
            memcmp(info->targets[i], t->name + start, n - start) == 0)
            return true;
    return false;
}

typedef struct factor {
    char name[128]; /* with the prefix */
    size_t n_rows, n_columns;
    bool vector;
} factor;

/* A and B of every adapted layer, in file order; `factors` [2 * layout_n]. */
static size_t list_factors(const model_config *c, const peft_info *info, factor *factors) {
    size_t n = 0, total = layout_n(c);
    for (size_t i = 0; i < total; i++) {
        tensor_layout t;
        layout_get(c, i, &t);
        if (!is_target(info, &t))
            continue;
        int stem = (int)(strlen(t.name) - strlen(".weight"));
        for (int b = 0; b < 2; b++) {
            factor *f = &factors[n++];
            snprintf(f->name, sizeof f->name, PREFIX "%.*s.lora_%c.weight", stem, t.name, b ? 'B' : 'A');
            f->n_rows = b ? t.n_rows : info->rank;
            f->n_columns = b ? info->rank : t.n_columns;
        }
    }
    return n;
}

/* The tensors of the head of one kind, [N_HEAD_TENSORS]. PEFT keeps a classifier's "score" among the factors (modules_to_save); TRL
 * keeps a value head beside them, in model.safetensors, under its own name. */
static size_t list_head(const model_config *c, const peft_info *info, head_kind kind, factor *factors) {
    size_t n = 0;
    for (size_t i = 0; i < N_HEAD_TENSORS; i++) {
        const head_tensor *h = head_tensor_at(i);
        if (h->kind != kind || !(info->heads & 1u << kind))
            continue;
        factors[n] = (factor){.n_rows = 1, .n_columns = h->bias ? 1 : c->d_model, .vector = h->bias};
        snprintf(factors[n++].name, sizeof factors->name, "%s%s", kind == HEAD_REWARD ? PREFIX : "", h->name);
    }
    return n;
}

static agon_status write_factors(agon_ctx *ctx, export_files *files, const char *file, const factor *factors, size_t n,
                                 tensor_source source, void *arg) {
    file_writer *w = NULL;
    buffer header = {0};
    safetensors_item *items = memory_new(n, sizeof *items);
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    agon_status s = items && metadata ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; !s && i < n; i++)
        items[i] = (safetensors_item){factors[i].name, "F32", factors[i].n_rows, factors[i].n_columns,
                                      factors[i].vector};
    if (!s)
        s = safetensors_header(ctx, items, n, metadata, &header);
    if (!s)
        s = export_add(ctx, files, file, NULL, &w);
    if (!s)
        s = file_writer_add(ctx, w, header.data, header.size);
    for (size_t i = 0; !s && i < n; i++)
        s = export_tensor(ctx, w, factors[i].name + (strncmp(factors[i].name, PREFIX, strlen(PREFIX)) ? 0 : strlen(PREFIX)),
                          factors[i].n_rows,
                          factors[i].n_columns, quant_find("F32"), 0, source, arg);
    json_decref(metadata);
    buffer_free(&header);
    free(items);
    return s;
}

static agon_status add_config(agon_ctx *ctx, export_files *files, const peft_info *info) {
    json_t *targets = json_array();
    for (size_t i = 0; i < info->n_targets; i++)
        json_array_append_new(targets, json_string(info->targets[i]));
    bool reward = info->heads & 1u << HEAD_REWARD;
    json_t *saved = reward ? json_pack("[s]", "score") : json_null();
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:b, s:b, s:o, s:o}", "peft_type", "LORA",
                          "task_type", reward ? "SEQ_CLS" : "CAUSAL_LM", "base_model_name_or_path", info->base_name, "r",
                          (json_int_t)info->rank, "lora_alpha", info->alpha, "lora_dropout", 0.0, "bias",
                          "none", "fan_in_fan_out", 0, "inference_mode", 1, "modules_to_save", saved,
                          "target_modules", targets);
    char *text = o ? json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(o);
    agon_status s = text ? export_add(ctx, files, "adapter_config.json", text, NULL)
                         : ctx_fail(ctx, AGON_EINVAL, "the adapter's base name is not UTF-8");
    free(text);
    return s;
}

static agon_status check_info(agon_ctx *ctx, const char *folder, const peft_info *info) {
    static const char *const known[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                        "gate_proj", "up_proj", "down_proj"};
    if (info->rank < 1 || info->n_targets < 1 || info->n_targets > 16)
        return ctx_fail(ctx, AGON_EINVAL, "%s: an adapter needs a rank and 1 to 16 modules", folder);
    for (size_t i = 0; i < info->n_targets; i++) {
        size_t k = 0;
        while (k < 7 && strcmp(info->targets[i], known[k]) != 0)
            k++;
        if (k == 7)
            return ctx_fail(ctx, AGON_EINVAL,
                            "%s: '%s' is no module to adapt; use q_proj, k_proj, v_proj, o_proj, gate_proj, "
                            "up_proj or down_proj",
                            folder, info->targets[i]);
    }
    return AGON_OK;
}

agon_status export_peft(agon_ctx *ctx, const char *folder, const model_config *config,
                        const peft_info *info, tensor_source source, void *arg) {
    export_files files = {0};
    agon_status s = check_info(ctx, folder, info);
    if (s)
        return s;
    factor *factors = memory_new(2 * layout_n(config) + N_HEAD_TENSORS, sizeof *factors), value[N_HEAD_TENSORS];
    if (!factors)
        return ctx_no_memory(ctx);
    size_t n = list_factors(config, info, factors), n_value = list_head(config, info, HEAD_VALUE, value);
    n += list_head(config, info, HEAD_REWARD, factors + n);
    s = export_begin(ctx, folder, &files);
    if (!s)
        s = write_factors(ctx, &files, "adapter_model.safetensors", factors, n, source, arg);
    if (!s && n_value)
        s = write_factors(ctx, &files, "model.safetensors", value, n_value, source, arg);
    if (!s && info->reward_scale)
        s = export_add(ctx, &files, REWARD_SCALE_FILE, info->reward_scale, NULL);
    if (!s)
        s = add_config(ctx, &files, info);
    if (!s)
        s = export_commit(ctx, &files);
    export_abort(&files);
    free(factors);
    return s;
}

/* A Hugging Face model folder: config.json beside model.safetensors, or beside model.safetensors.index.json,
 * whose "weight_map" says which shard holds which tensor. */
#include "base/ctx.h"
#include "base/json.h"
#include "model/safetensors.h"
#include "model/scalar_head.h"
#include "model/weights_layout.h"
#include "model/weights_private.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 1024 };

static const char *in_folder(weights *w, const char *folder, const char *name) {
    return arena_printf(w->memory, "%s/%s", folder, name);
}

static agon_status out_of_memory(agon_ctx *ctx, const char *folder) {
    return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", folder);
}

static agon_status read_config(agon_ctx *ctx, weights *w, const char *folder) {
    const char *path = in_folder(w, folder, "config.json"), *kept;
    const char *adapter = in_folder(w, folder, "adapter_config.json");
    file_map map;
    if (!path || !adapter)
        return out_of_memory(ctx, folder);
    if (!file_exists(path) && file_exists(adapter))
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: a PEFT adapter, not a model; give its base model, and the adapter beside it",
                        folder);
    if (!file_exists(path))
        return ctx_fail(ctx, AGON_ENOTFOUND, "%s: there is no config.json; not a Hugging Face model folder",
                        folder);
    agon_status s = weights_map(ctx, w, path, &map, &kept);
    return s ? s : hf_config_parse(ctx, kept, (const char *)map.data, map.size, &w->config);
}

static agon_status read_shard(agon_ctx *ctx, weights *w, const char *path) {
    file_map map;
    const char *kept;
    agon_status s = weights_map(ctx, w, path, &map, &kept);
    return s ? s : safetensors_parse(ctx, w, kept, map.data, map.size);
}

/* A shard is a plain name in the folder: the index is hostile and may not reach elsewhere. */
static bool plain_name(const char *name) {
    return name && *name && strlen(name) <= NAME_LIMIT && !strchr(name, '/') && name[0] != '.';
}

static agon_status open_shards(agon_ctx *ctx, weights *w, const char *folder, const char *where,
                               const json_t *map) {
    const char *name;
    json_t *file, *seen = json_object();
    agon_status s = seen ? AGON_OK : out_of_memory(ctx, folder);
    json_object_foreach((json_t *)(uintptr_t)map, name, file) {
        const char *shard = json_string_value(file);
        if (s)
            break;
        if (!plain_name(shard))
            s = ctx_fail(ctx, AGON_EFORMAT,
                         "%s: tensor '%.100s': its file must be a plain name in the same folder", where,
                         name);
        else if (json_object_get(seen, shard))
            continue;
        else if (json_object_size(seen) >= MAX_SHARDS)
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: names more than %d files", where, MAX_SHARDS);
        else {
            const char *path = in_folder(w, folder, shard);
            if (!path || json_object_set_new(seen, shard, json_true()) != 0)
                s = out_of_memory(ctx, folder);
            else
                s = read_shard(ctx, w, path);
        }
    }
    json_decref(seen);
    return s;
}

static agon_status read_index(agon_ctx *ctx, weights *w, const char *folder, const char *path) {
    json_t *root = NULL;
    agon_status s = json_read_file(ctx, path, &root);
    if (s)
        return s;
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: 'weight_map' must name the file of each tensor", path);
    else
        s = open_shards(ctx, w, folder, path, map);
    json_decref(root);
    return s;
}

static agon_status read_tensors(agon_ctx *ctx, weights *w, const char *folder) {
    const char *single = in_folder(w, folder, "model.safetensors");
    const char *index = in_folder(w, folder, "model.safetensors.index.json");
    agon_status s;
    if (!single || !index)
        return out_of_memory(ctx, folder);
    if (file_exists(single))
        s = read_shard(ctx, w, single);
    else if (file_exists(index))
        s = read_index(ctx, w, folder, index);
    else
        return ctx_fail(ctx, AGON_ENOTFOUND,
                        "%s: there is neither model.safetensors nor model.safetensors.index.json; other "
                        "weight files are not read",
                        folder);
    return s ? s : weights_index(ctx, w);
}

/* A tied head may be stored all the same, as a copy of the embedding. Where it is none, some programs would run it and some would not. */
static agon_status check_tied_head(agon_ctx *ctx, const weights *w) {
    const weights_tensor_entry *head = weights_find(w, "lm_head.weight"), *e = weights_find(w, "model.embed_tokens.weight");
    bool same = head->n_rows == e->n_rows && head->n_columns == e->n_columns && head->type == e->type &&
                memcmp(head->data, e->data, e->n_rows * e->row_bytes) == 0;
    weights_release(w);
    return same ? AGON_OK
                : ctx_fail(ctx, AGON_EFORMAT,
                           "%s: 'lm_head.weight' is not the embedding, as config.json says by tie_word_embeddings; set that to false where "
                           "the model has a head of its own, or leave the tensor out",
                           head->file);
}

/* Every tensor of the configuration is there with its shape, and nothing else that would matter. */
static agon_status check_tensors(agon_ctx *ctx, const weights *w, const char *folder) {
    const model_config *c = &w->config;
    size_t n = layout_n(c), extra = 0;
    for (size_t i = 0; i < n; i++) {
        tensor_layout want;
        layout_get(c, i, &want);
        const weights_tensor_entry *t = weights_find(w, want.name);
        if (!t)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' is missing", folder, want.name);
        if (t->n_rows != want.n_rows || t->n_columns != want.n_columns)
            return ctx_fail(ctx, AGON_EFORMAT,
                            "%s: tensor '%s' is %zu x %zu; config.json asks for %zu x %zu", t->file,
                            t->name, t->n_rows, t->n_columns, want.n_rows, want.n_columns);
    }
    if (c->tied_embeddings && weights_has(w, "lm_head.weight")) {
        agon_status s = check_tied_head(ctx, w);
        if (s)
            return s;
        extra++;
    }
    for (size_t i = 0; i < N_HEAD_TENSORS; i++) {
        const head_tensor *h = head_tensor_at(i);
        const weights_tensor_entry *t = weights_find(w, h->name);
        size_t width = h->bias ? 1 : c->d_model;
        extra += t ? 1 : 0;
        if (t && (t->n_rows != 1 || t->n_columns != width))
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: the head '%s' is %zu x %zu; agon reads heads of one output, 1 x %zu",
                            t->file, t->name, t->n_rows, t->n_columns, width);
    }
    if (w->n_tensors == n + extra)
        return AGON_OK;
    for (size_t i = 0; i < w->n_tensors; i++)
        if (!layout_knows(w->tensors[i].name) && !head_tensor_find(w->tensors[i].name))
            return ctx_fail(ctx, AGON_EUNSUPPORTED,
                            "%s: tensor '%s' belongs to no llama-family decoder that agon can run",
                            w->tensors[i].file, w->tensors[i].name);
    return ctx_fail(ctx, AGON_EFORMAT, "%s: holds %zu tensors; config.json describes a model of %zu",
                    folder, w->n_tensors, n);
}

agon_status hf_open(agon_ctx *ctx, weights *w, const char *folder) {
    agon_status s = read_config(ctx, w, folder);
    if (!s)
        s = read_tensors(ctx, w, folder);
    return s ? s : check_tensors(ctx, w, folder);
}

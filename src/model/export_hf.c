/* A Hugging Face model folder that transformers and vLLM load: config.json, model.safetensors,
 * tokenizer.json, tokenizer_config.json, generation_config.json. */
#include "base/ctx.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "model/export_private.h"
#include "model/safetensors.h"
#include "model/scalar_head.h"
#include "model/tokenizer.h"
#include "model/weights_layout.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- config.json ------------------------------------------------------------------------------- */

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value); /* a lost key shows as a failed json_dumps: value NULL */
}

/* "rope_theta" and "rope_scaling": every version of transformers reads this spelling. */
static void set_rope(json_t *o, const model_config *c) {
    set(o, "rope_theta", json_real(c->rope_theta));
    if (strcmp(c->rope_scaling, "linear") == 0)
        set(o, "rope_scaling", json_pack("{s:s, s:f}", "rope_type", "linear", "factor", c->rope_factor));
    else if (strcmp(c->rope_scaling, "llama3") == 0)
        set(o, "rope_scaling",
            json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", c->rope_factor,
                      "low_freq_factor", c->rope_low_freq_factor, "high_freq_factor",
                      c->rope_high_freq_factor, "original_max_position_embeddings",
                      (json_int_t)c->rope_original_context));
    else
        set(o, "rope_scaling", json_null());
}

static void set_window(json_t *o, window_rule rule, size_t window) {
    if (rule == WINDOW_ALWAYS)
        set(o, "sliding_window", window ? json_integer((json_int_t)window) : json_null());
    else if (rule == WINDOW_BY_SWITCH)
        set(o, "use_sliding_window", json_false());
}

/* All tokens that end an answer, the one that a trained answer ends with first; NULL: there is none. */
static json_t *stop_ids(const tokenizer *tok, const tokenizer_parts *parts) {
    json_t *list = json_array();
    int32_t turn = tokenizer_end_of_turn(tok);
    if (turn >= 0)
        json_array_append_new(list, json_integer(turn));
    for (size_t i = 0; i < parts->n_stops; i++)
        if (parts->stops[i] != turn)
            json_array_append_new(list, json_integer(parts->stops[i]));
    json_t *first = json_array_get(list, 0);
    if (json_array_size(list) > 1)
        return list;
    json_incref(first);
    json_decref(list);
    return first;
}

static void set_token_ids(json_t *o, const tokenizer *tok, bool stops) {
    tokenizer_parts parts;
    tokenizer_get_parts(tok, &parts);
    json_t *ids = stops ? stop_ids(tok, &parts) : parts.eos >= 0 ? json_integer(parts.eos) : NULL;
    if (parts.bos >= 0)
        set(o, "bos_token_id", json_integer(parts.bos));
    if (parts.pad >= 0)
        set(o, "pad_token_id", json_integer(parts.pad));
    if (ids)
        set(o, "eos_token_id", ids);
}

/* A sequence classifier of one label. It reads the last token that is not padding, so padding may not be the token an answer
 * ends with: null then, and transformers reads the last token (of one sequence at a time). */
static void set_classifier(json_t *o, const architecture *a, const tokenizer *tok) {
    set(o, "architectures", json_pack("[o]", json_sprintf("%sForSequenceClassification", a->hf_class)));
    set(o, "id2label", json_pack("{s:s}", "0", "LABEL_0"));
    set(o, "label2id", json_pack("{s:i}", "LABEL_0", 0));
    tokenizer_parts parts = {.pad = -1};
    if (tok)
        tokenizer_get_parts(tok, &parts);
    if (tok && (parts.pad == tokenizer_end_of_turn(tok) || parts.pad == parts.eos))
        set(o, "pad_token_id", json_null());
}

static json_t *config_object(const model_config *c, const tokenizer *tok, const char *dtype, unsigned heads) {
    const architecture *a = architecture_find(c->architecture);
    json_t *o = json_pack("{s:[o], s:s, s:s}", "architectures", json_sprintf("%sForCausalLM", a->hf_class), "model_type",
                          a->name, "torch_dtype", dtype);
    set(o, "hidden_size", json_integer((json_int_t)c->d_model));
    set(o, "intermediate_size", json_integer((json_int_t)c->d_ff));
    set(o, "num_hidden_layers", json_integer((json_int_t)c->n_layers));
    set(o, "num_attention_heads", json_integer((json_int_t)c->n_heads));
    set(o, "num_key_value_heads", json_integer((json_int_t)c->n_kv_heads));
    set(o, "head_dim", json_integer((json_int_t)c->head_dim));
    set(o, "vocab_size", json_integer((json_int_t)c->n_vocabulary));
    set(o, "max_position_embeddings", json_integer((json_int_t)c->max_context));
    set(o, "rms_norm_eps", json_real((double)c->norm_eps));
    set(o, "hidden_act", json_string("silu"));
    set(o, "attention_bias", json_boolean(c->qkv_bias));
    set(o, "attention_dropout", json_real(0));
    set(o, "mlp_bias", json_false());
    set(o, "initializer_range", json_real(0.02));
    set(o, "tie_word_embeddings", json_boolean(c->tied_embeddings));
    set(o, "use_cache", json_true());
    set_rope(o, c);
    set_window(o, a->window, c->sliding_window);
    if (tok)
        set_token_ids(o, tok, false);
    if (heads & 1u << HEAD_REWARD)
        set_classifier(o, a, tok);
    return o;
}

static agon_status add_json(agon_ctx *ctx, export_files *files, const char *name, json_t *object) {
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17))
                        : NULL;
    json_decref(object);
    agon_status s = text ? export_add(ctx, files, name, text, NULL)
                         : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %s", name);
    free(text);
    return s;
}

/* ---- model.safetensors ------------------------------------------------------------------------- */

/* Appends the heads' tensors to the layout [n]; the new n. */
static size_t add_heads(tensor_layout *layout, size_t n, size_t width, unsigned heads) {
    for (size_t i = 0; i < N_HEAD_TENSORS; i++) {
        const head_tensor *h = head_tensor_at(i);
        if (!(heads & 1u << h->kind))
            continue;
        layout[n] = (tensor_layout){.n_rows = 1, .n_columns = h->bias ? 1 : width, .vector = h->bias};
        snprintf(layout[n++].name, sizeof layout->name, "%s", h->name);
    }
    return n;
}

/* Heads stay f32: a reward's few digits must not be lost to the file's type. */
static const quant_type *type_of(const tensor_layout *t, const quant_type *type) {
    return head_tensor_find(t->name) ? quant_find("F32") : type;
}

static agon_status write_header(agon_ctx *ctx, file_writer *w, const tensor_layout *layout, size_t n,
                                const quant_type *type) {
    safetensors_item *items = memory_new(n, sizeof *items);
    buffer header = {0};
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    agon_status s = items && metadata ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; !s && i < n; i++)
        items[i] = (safetensors_item){layout[i].name, type_of(&layout[i], type)->name, layout[i].n_rows, layout[i].n_columns,
                                      layout[i].vector};
    if (!s)
        s = safetensors_header(ctx, items, n, metadata, &header);
    if (!s)
        s = file_writer_add(ctx, w, header.data, header.size);
    json_decref(metadata);
    buffer_free(&header);
    free(items);
    return s;
}

static agon_status write_tensors(agon_ctx *ctx, export_files *files, const model_config *c,
                                 const quant_type *type, unsigned heads, tensor_source source, void *arg) {
    size_t n = layout_n(c), n_decoder = n;
    file_writer *w = NULL;
    tensor_layout *layout = memory_new(n + N_HEAD_TENSORS, sizeof *layout);
    agon_status s = layout ? export_add(ctx, files, "model.safetensors", NULL, &w)
                           : ctx_no_memory(ctx);
    for (size_t i = 0; !s && i < n_decoder; i++)
        layout_get(c, i, &layout[i]);
    if (!s)
        n = add_heads(layout, n, c->d_model, heads);
    if (!s)
        s = write_header(ctx, w, layout, n, type);
    for (size_t i = 0; !s && i < n; i++)
        s = export_tensor(ctx, w, layout[i].name, layout[i].n_rows, layout[i].n_columns, type_of(&layout[i], type), 0,
                          source, arg);
    free(layout);
    return s;
}

/* ---- the folder -------------------------------------------------------------------------------- */

static agon_status add_tokenizer(agon_ctx *ctx, export_files *files, const tokenizer *tok) {
    char *text = NULL, *config = NULL;
    agon_status s = tokenizer_export_json(ctx, tok, &text, &config);
    if (!s)
        s = export_add(ctx, files, "tokenizer.json", text, NULL);
    if (!s)
        s = export_add(ctx, files, "tokenizer_config.json", config, NULL);
    free(text);
    free(config);
    if (s)
        return s;
    json_t *generation = json_object();
    if (generation)
        set_token_ids(generation, tok, true);
    return add_json(ctx, files, "generation_config.json", generation);
}

agon_status export_hf_check(agon_ctx *ctx, const char *folder, const model_config *c) {
    const architecture *a = architecture_find(c->architecture);
    agon_status s = config_check(ctx, folder, c);
    if (!s && !a)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: no Hugging Face class for architecture '%s'", folder,
                     c->architecture);
    /* A GGUF file may give any architecture these tensors; the classes have them or not. */
    if (!s && c->qkv_bias != a->qkv_bias)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: %s with%s biases of q, k and v is no Hugging Face class; use format gguf", folder,
                     c->architecture, a->qkv_bias ? "out" : "");
    if (!s && c->qk_norm != a->qk_norm)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: %s with%s norms of q and k is no Hugging Face class; use format gguf", folder,
                     c->architecture, a->qk_norm ? "out" : "");
    if (!s && strcmp(c->rope_scaling, "divisors") == 0)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: a Hugging Face folder names the parameters of RoPE scaling, and this model's GGUF "
                     "file has only its divisors; use format gguf, or the folder that it was made from", folder);
    /* Such a model's configuration says from which layer on the window counts; model_config does not. */
    if (!s && a->window == WINDOW_BY_SWITCH && c->sliding_window && c->sliding_window < c->max_context)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: a Qwen model with a sliding window of %zu cannot be "
                     "written", folder, c->sliding_window);
    return s;
}

agon_status export_hf(agon_ctx *ctx, const char *folder, const model_config *config, const tokenizer *tok, const char *dtype,
                      unsigned heads, tensor_source source, void *arg) {
    const quant_type *type = NULL;
    export_files files = {0};
    agon_status s = export_hf_check(ctx, folder, config);
    if (!s)
        s = export_dtype(ctx, dtype, false, &type);
    if (s)
        return s;
    const char *torch = strcmp(type->name, "F32") == 0   ? "float32"
                        : strcmp(type->name, "F16") == 0 ? "float16"
                                                         : "bfloat16";
    s = export_begin(ctx, folder, &files);
    if (!s)
        s = write_tensors(ctx, &files, config, type, heads, source, arg);
    if (!s && tok)
        s = add_tokenizer(ctx, &files, tok);
    if (!s)
        s = add_json(ctx, &files, "config.json", config_object(config, tok, torch, heads));
    if (!s)
        s = export_commit(ctx, &files);
    export_abort(&files);
    return s;
}

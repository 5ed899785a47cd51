/* agon.h, models: finding, opening, tokens. */
#include "api/models.h"
#include "api/options.h"
#include "api/result_files.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/weights.h"
#include <stdlib.h>
#include <string.h>

const char *agon_version(void) {
    return AGON_VERSION;
}

void agon_text_free(char *text) {
    free(text);
}

void agon_tokens_free(int32_t *tokens) {
    free(tokens);
}

/* ---- finding ------------------------------------------------------------------------------------------ */

agon_status models_cache(agon_ctx *ctx, char **out) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    buffer path = {0};
    if (xdg && *xdg)
        buffer_printf(&path, "%s/agon", xdg);
    else
        buffer_printf(&path, "%s/.cache/agon", home && *home ? home : ".");
    if (!(*out = buffer_take(&path)))
        return ctx_no_memory(ctx);
    return AGON_OK;
}

static bool exists(const char *path) {
    return file_exists(path) || folder_exists(path);
}

static agon_status found(agon_ctx *ctx, const char *path, char **out) {
    char *copy = strdup(path);
    if (!copy)
        return ctx_no_memory(ctx);
    *out = copy;
    return AGON_OK;
}

agon_status agon_model_find(agon_ctx *ctx, const char *name, char **path) {
    FP_ENVIRONMENT();
    const char *from_environment = getenv("AGON_MODEL");
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the path", path, 1});
    if (s)
        return s;
    if (name && *name && exists(name))
        return found(ctx, name, path);
    if ((!name || !*name) && from_environment && *from_environment) {
        if (exists(from_environment))
            return found(ctx, from_environment, path);
        return ctx_fail(ctx, AGON_ENOTFOUND, "AGON_MODEL names '%.300s', which does not exist", from_environment);
    }
    char *cache = NULL;
    buffer wanted = {0};
    if ((s = models_cache(ctx, &cache)))
        return s;
    if (!name || !*name)
        buffer_printf(&wanted, "%s/" MODELS_DEFAULT_FILE, cache);
    else if (!strchr(name, '/'))
        buffer_printf(&wanted, "%s/models/%s", cache, name);
    if (wanted.failed)
        s = ctx_no_memory(ctx);
    else if (wanted.data && exists(wanted.data))
        s = found(ctx, wanted.data, path);
    else if (!name || !*name)
        s = ctx_fail(ctx, AGON_ENOTFOUND,
                     "no model: give --model PATH, set AGON_MODEL, or run `make model`, which puts one at %.300s",
                     wanted.data);
    else
        s = ctx_fail(ctx, AGON_ENOTFOUND,
                     "model '%.300s' is neither a GGUF file or Hugging Face folder nor the name of one taken in by "
                     "agon import",
                     name);
    buffer_free(&wanted);
    free(cache);
    return s;
}

/* ---- tokenizers ---------------------------------------------------------------------------------------- */

agon_status agon_tokenizer_open(agon_ctx *ctx, const char *path, const char *chat_template,
                                agon_tokenizer **out) {
    FP_ENVIRONMENT();
    weights *w = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer's path", path, 1}, {"the place for the tokenizer", out, 1});
    if (s)
        return s;
    agon_tokenizer *t = calloc(1, sizeof *t);
    s = t ? weights_open(ctx, path, &w) : ctx_no_memory(ctx);
    if (!s) {
        t->own = true;
        s = tokenizer_new(ctx, w, &t->t);
    }
    if (!s && chat_template)
        s = chat_template_set(ctx, t->t, chat_template);
    weights_free(w);
    if (s) {
        agon_tokenizer_free(t);
        return s;
    }
    *out = t;
    return AGON_OK;
}

void agon_tokenizer_free(agon_tokenizer *t) {
    if (!t)
        return;
    if (t->own)
        tokenizer_free(t->t);
    free(t);
}

/* Hands a list over to the caller, never as NULL. */
static agon_status give_tokens(agon_ctx *ctx, token_list *list, int32_t **ids, size_t *n_ids) {
    size_t n = list->n;
    if (!list->ids && !token_list_push(list, 0))
        return ctx_no_memory(ctx);
    *ids = list->ids;
    *n_ids = n;
    return AGON_OK;
}

agon_status agon_tokenize(agon_ctx *ctx, const agon_tokenizer *t, const char *text, size_t n,
                          bool parse_special, bool with_bos, int32_t **ids, size_t *n_ids) {
    FP_ENVIRONMENT();
    token_list list = {0};
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the text", text, n}, {"the place for the ids", ids, 1}, {"the place for their number", n_ids, 1});
    if (s)
        return s;
    s = with_bos ? tokenizer_encode_raw(ctx, t->t, "", 0, &list) : AGON_OK; /* BOS, if any */
    if (!s)
        s = tokenizer_encode(ctx, t->t, text, n, parse_special, &list);
    if (!s)
        s = give_tokens(ctx, &list, ids, n_ids);
    if (s)
        token_list_free(&list);
    return s;
}

agon_status agon_tokenize_answer(agon_ctx *ctx, const agon_tokenizer *t, const int32_t *prompt, size_t n_prompt, const char *text,
                                 size_t n, bool parse_special, bool chat, int32_t **ids, size_t *n_ids) {
    FP_ENVIRONMENT();
    token_list list = {0};
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the prompt", prompt, n_prompt}, {"the text", text, n}, {"the place for the ids", ids, 1},
                                  {"the place for their number", n_ids, 1});
    if (s)
        return s;
    s = chat ? chat_encode_answer(ctx, t->t, text, n, parse_special, true, &list)
                         : tokenizer_encode_more(ctx, t->t, prompt, n_prompt, text, n, parse_special, &list);
    if (!s)
        s = give_tokens(ctx, &list, ids, n_ids);
    if (s)
        token_list_free(&list);
    return s;
}

const char *agon_token_bytes(const agon_tokenizer *t, int32_t id, size_t *n) {
    size_t found = 0;
    const char *bytes = t ? tokenizer_bytes(t->t, id, &found) : NULL;
    if (n)
        *n = found;
    return bytes;
}

agon_status agon_detokenize(agon_ctx *ctx, const agon_tokenizer *t, const int32_t *ids, size_t n_ids,
                            bool show_special, char **text, size_t *n) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the array of ids", ids, n_ids}, {"the place for the text", text, 1},
                                  {"the place for its length", n, 1});
    if (s)
        return s;
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= tokenizer_n_vocabulary(t->t))
            return ctx_fail(ctx, AGON_EINVAL, "token %zu, id %d, is not in the vocabulary of %zu", i + 1, (int)ids[i], tokenizer_n_vocabulary(t->t));
    char *bytes = tokenizer_decode(t->t, ids, n_ids, show_special, n);
    if (!bytes)
        return ctx_no_memory(ctx);
    *text = bytes;
    return AGON_OK;
}

static agon_status check_messages(agon_ctx *ctx, const agon_message *messages, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!messages[i].role || !messages[i].content)
            return ctx_fail(ctx, AGON_EINVAL, "message %zu of %zu: its %s is NULL; it must be a text", i + 1, n, messages[i].role ? "content" : "role");
    return AGON_OK;
}

agon_status agon_chat_tokenize(agon_ctx *ctx, const agon_tokenizer *t, const agon_message *messages,
                               size_t n_messages, bool open_answer, int32_t **ids, size_t *n_ids, char **mask) {
    FP_ENVIRONMENT();
    token_list list = {0};
    buffer bytes = {0};
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the array of messages", messages, n_messages}, {"the place for the ids", ids, 1},
                                  {"the place for their number", n_ids, 1});
    if (!s)
        s = check_messages(ctx, messages, n_messages);
    if (s)
        return s;
    chat_message *turns = calloc(n_messages + 1, sizeof *turns);
    if (!turns)
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < n_messages; i++)
        turns[i] = (chat_message){messages[i].role, messages[i].content};
    s = chat_encode(ctx, t->t, turns, n_messages, open_answer, &list, mask ? &bytes : NULL);
    char *mask_bytes = NULL;
    if (!s && mask && !(mask_bytes = buffer_take(&bytes)))
        s = ctx_no_memory(ctx);
    if (!s)
        s = give_tokens(ctx, &list, ids, n_ids);
    if (s) {
        token_list_free(&list);
        free(mask_bytes);
    } else if (mask) {
        *mask = mask_bytes;
    }
    buffer_free(&bytes);
    free(turns);
    return s;
}

int32_t agon_end_of_turn(const agon_tokenizer *t) {
    return t ? tokenizer_end_of_turn(t->t) : -1;
}

int32_t agon_end_of_text(const agon_tokenizer *t) {
    return t ? tokenizer_eos(t->t) : -1;
}

const char *agon_chat_template(const agon_tokenizer *t) {
    return t ? chat_template_name(t->t) : NULL;
}

/* ---- models ---------------------------------------------------------------------------------------------- */

agon_model_options agon_model_options_default(void) {
    return (agon_model_options){.struct_size = sizeof(agon_model_options)};
}

agon_status agon_model_open(agon_ctx *ctx, const char *path, const agon_model_options *options,
                            agon_model **out) {
    FP_ENVIRONMENT();
    agon_model_options o = agon_model_options_default();
    agon_status s = OPTIONS_GIVEN(ctx, {"the model's path", path, 1}, {"the place for the model", out, 1});
    if (!s)
        s = options_take(ctx, "agon_model_options", options, sizeof o, &o);
    if (s)
        return s;
    agon_model *m = calloc(1, sizeof *m);
    if (!m)
        return ctx_no_memory(ctx);
    s = model_open(ctx, path, o.f32 ? COMPUTE_F32 : COMPUTE_BF16, &m->m);
    if (!s) {
        /* The model has no other owner yet, so its tokenizer may still be changed. */
        m->tokenizer.t = (tokenizer *)(uintptr_t)model_tokenizer(m->m);
        if (o.chat_template)
            s = chat_template_set(ctx, m->tokenizer.t, o.chat_template);
    }
    if (s) {
        agon_model_free(m);
        return s;
    }
    *out = m;
    return AGON_OK;
}

void agon_model_free(agon_model *m) {
    if (!m)
        return;
    model_free(m->m);
    json_decref(m->begun.manifest);
    free(m->begun.output);
    free(m);
}

const agon_tokenizer *agon_model_tokenizer(const agon_model *m) {
    return m ? &m->tokenizer : NULL;
}

agon_status base_name_check(agon_ctx *ctx, const char *name) {
    const size_t most = sizeof((peft_info){0}.base_name) - 1, n = strlen(name);
    json_t *text = n > 0 && n <= most ? json_string(name) : NULL; /* none of what is not UTF-8 */
    json_decref(text);
    if (text)
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL, "the name of the base (base_name) is UTF-8 of 1 to %zu bytes", most);
}

agon_status agon_model_describe(agon_ctx *ctx, const agon_model *m, char **json) {
    FP_ENVIRONMENT();
    hash256 id;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = model_id(ctx, m->m, &id);
    if (s)
        return s;
    const model_config *c = model_get_config(m->m);
    const char *template = chat_template_name(m->tokenizer.t);
    json_t *object = json_pack(
        "{s:o,s:o,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:s?,s:s}", "path", utf8_json(weights_path(model_weights(m->m))), "id",
        json_hash(&id), "architecture", c->architecture, "layers", (json_int_t)c->n_layers, "width", (json_int_t)c->d_model, "heads",
        (json_int_t)c->n_heads, "kv_heads", (json_int_t)c->n_kv_heads, "vocabulary", (json_int_t)c->n_vocabulary,
        "context", (json_int_t)c->max_context, "tied_embeddings", (int)c->tied_embeddings, "chat_template", template,
        "dtype", model_dtype(m->m) == COMPUTE_F32 ? "f32" : "bf16");
    return json_give_take(ctx, object, json);
}

/* The folder of a training of several dimensions that lost the adapter for all of them: the PEFT files beside it are of one vector only. */
static agon_status check_dimensions(agon_ctx *ctx, const char *folder) {
    char *whole = path_join(folder, RESULT_DIMENSIONS), *account = path_join(folder, "training.json");
    agon_status s = whole && account ? AGON_OK : ctx_no_memory(ctx);
    json_t *training = NULL;
    if (!s && !file_exists(whole) && file_exists(account) && json_read_file(NULL, account, &training) == AGON_OK && json_object_get(training, "dimensions") &&
        json_is_true(json_object_get(training, "done")))
        s = ctx_fail(ctx, AGON_ENOTFOUND, "%s was trained for several dimensions, but %s is gone; train it anew, or copy adapter_config.json and "
                     "adapter_model.safetensors, the even vector's, to a folder of their own", folder, RESULT_DIMENSIONS);
    json_decref(training);
    free(whole);
    free(account);
    return s;
}

agon_status agon_adapter_open(agon_ctx *ctx, const agon_model *m, const char *folder, agon_adapter **out) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the adapter", out, 1}, {"the model", m, folder ? 1 : 0});
    if (s)
        return s;
    if (!folder) {
        *out = NULL;
        return AGON_OK;
    }
    if (!*folder)
        return ctx_fail(ctx, AGON_EINVAL, "the adapter's folder is an empty text; name one, or give NULL for the model alone");
    agon_adapter *a = calloc(1, sizeof *a);
    if (!a)
        return ctx_no_memory(ctx);
    s = versions_adapter(ctx, m->m, folder, a);
    if (!s && !a->workspace)
        s = check_dimensions(ctx, folder);
    if (!s && !a->workspace)
        s = adapter_open(ctx, m->m, folder, &a->a);
    if (s) {
        agon_adapter_free(a);
        return s;
    }
    *out = a;
    return AGON_OK;
}

void agon_adapter_free(agon_adapter *a) {
    if (!a)
        return;
    adapter_free(a->a);
    free(a->workspace);
    free(a);
}

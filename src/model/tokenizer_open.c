/* The tokenizer of an open model: GGUF metadata, or the files of a Hugging Face folder. */
#include "model/tokenizer_private.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 64 << 20 };

static int32_t meta_id(const weights *w, const char *key, int32_t otherwise) {
    int64_t id = -1;
    if (!weights_meta_int(w, key, &id))
        return otherwise;
    if (id < 0 || id >= MAX_TOKENS)
        return -1;
    return (int32_t)id;
}

/* Where a text begins and ends must be tokens of the vocabulary: without them a model is asked, and trained, in other words than its own. */
static agon_status check_ends(agon_ctx *ctx, const weights *w, size_t n_tokens) {
    static const char *const keys[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int64_t id = -1;
        if (weights_meta_int(w, keys[i], &id) && id >= (int64_t)n_tokens && id != UINT32_MAX) /* which is how files say: none */
            return ctx_fail(ctx, AGON_EFORMAT, "%s: %s is %" PRId64 ", but there are %zu tokens (tokenizer.ggml.tokens); the file is damaged, fetch it again",
                            weights_path(w), keys[i], id, n_tokens);
    }
    return AGON_OK;
}

/* A list beside the tokens has an entry for each. */
static agon_status check_list(agon_ctx *ctx, const weights *w, const char *key, size_t n, size_t n_tokens) {
    return n == n_tokens ? AGON_OK
                         : ctx_fail(ctx, AGON_EFORMAT, "%s: %s has %zu entries for %zu tokens (tokenizer.ggml.tokens); the file is damaged, fetch it again",
                                    weights_path(w), key, n, n_tokens);
}

static agon_status open_gguf(agon_ctx *ctx, const weights *w, tokenizer **out) {
    const char *where = weights_path(w), *model = weights_meta_text(w, "tokenizer.ggml.model");
    gguf_strings tokens = {0}, merges = {0};
    const int32_t *types = NULL;
    const float *scores = NULL;
    size_t n_types = 0, n_scores = 0;
    if (!model || !weights_meta_strings(w, "tokenizer.ggml.tokens", &tokens))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: no tokenizer in the file (tokenizer.ggml.tokens)", where);
    const tokenizer_kind *kind = tokenizer_kind_of_gguf(model);
    bool has_merges = weights_meta_strings(w, "tokenizer.ggml.merges", &merges);
    if (kind == &tokenizer_byte_level && !has_merges)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the tokenizer has no merges (tokenizer.ggml.merges)", where);
    agon_status s = check_ends(ctx, w, tokens.n);
    if (!s && weights_meta_floats(w, "tokenizer.ggml.scores", &scores, &n_scores))
        s = check_list(ctx, w, "tokenizer.ggml.scores", n_scores, tokens.n);
    if (!s && weights_meta_ints(w, "tokenizer.ggml.token_type", &types, &n_types))
        s = check_list(ctx, w, "tokenizer.ggml.token_type", n_types, tokens.n);
    if (s)
        return s;
    tokenizer_parts parts = {.model = model,
                             .n = tokens.n,
                             .tokens = tokens.text,
                             .types = types,
                             .n_merges = merges.n,
                             .merges = merges.text,
                             .pre = weights_meta_text(w, "tokenizer.ggml.pre"),
                             .chat_template = weights_meta_text(w, "tokenizer.chat_template"),
                             .scores = scores,
                             .spaces = weights_meta_text(w, "tokenizer.agon.spaces"),
                             .bos = meta_id(w, "tokenizer.ggml.bos_token_id", kind ? kind->bos : -1),
                             .eos = meta_id(w, "tokenizer.ggml.eos_token_id", kind ? kind->eos : -1),
                             .pad = meta_id(w, "tokenizer.ggml.padding_token_id", -1),
                             .unk = meta_id(w, "tokenizer.ggml.unknown_token_id", kind ? kind->unk : -1)};
    const named_pretokenizer *named = parts.pre ? named_pretokenizer_find(parts.pre) : NULL;
    int64_t add_bos = (kind && kind->add_bos) || (named && named->add_bos), space_prefix = 1;
    (void)weights_meta_int(w, "tokenizer.ggml.add_bos_token", &add_bos);
    (void)weights_meta_int(w, "tokenizer.ggml.add_space_prefix", &space_prefix);
    parts.add_bos = add_bos != 0;
    parts.space_prefix = space_prefix != 0;
    s = tokenizer_from_parts(ctx, where, &parts, weights_config(w)->n_vocabulary, out);
    if (s)
        return s;
    tokenizer_add_stop(*out, meta_id(w, "tokenizer.ggml.eot_token_id", -1));
    tokenizer_add_stop(*out, meta_id(w, "tokenizer.ggml.eom_token_id", -1));
    return AGON_OK;
}

/* Reads folder/name; *text NULL when there is no such file. */
static agon_status read_member(agon_ctx *ctx, const char *folder, const char *name, char **text, size_t *n) {
    buffer path = {0};
    if (!buffer_printf(&path, "%s/%s", folder, name))
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a path");
    agon_status s = file_exists(path.data) ? file_read(ctx, path.data, FILE_LIMIT, text, n) : AGON_OK;
    buffer_free(&path);
    return s;
}

/* The tokens that end an answer, one or a list; where there is no generation_config.json, config.json names them. */
static agon_status read_stops(agon_ctx *ctx, const char *folder, tokenizer *t) {
    const char *name = "generation_config.json";
    char *text = NULL;
    size_t n = 0;
    json_t *root = NULL;
    agon_status s = read_member(ctx, folder, name, &text, &n);
    if (!s && !text)
        s = read_member(ctx, folder, name = "config.json", &text, &n);
    if (s || !text)
        return s;
    s = json_parse(ctx, name, text, n, &root);
    free(text);
    const json_t *eos = json_object_get(root, "eos_token_id");
    size_t n_eos = json_is_array(eos) ? json_array_size(eos) : 1;
    for (size_t i = 0; i < n_eos && !s; i++) {
        const json_t *id = json_is_array(eos) ? json_array_get(eos, i) : eos;
        if (id && !json_is_null(id) && !json_is_integer(id))
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: 'eos_token_id' must be a token's id or a list of them", name);
        else if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < MAX_TOKENS) /* others are no tokens: -1 means none */
            tokenizer_add_stop(t, (int32_t)json_integer_value(id));
    }
    json_decref(root);
    return s ? ctx_prefix(ctx, s, "%s", folder) : AGON_OK;
}

static agon_status open_folder(agon_ctx *ctx, const weights *w, tokenizer **out) {
    const char *folder = weights_path(w);
    char *json = NULL, *config = NULL, *template = NULL;
    size_t n_json = 0, n_config = 0, n_template = 0;
    tokenizer *t = NULL;
    buffer where = {0};
    agon_status s = AGON_OK;
    if (!buffer_printf(&where, "%s/tokenizer.json", folder))
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for a path");
    if (s || (s = read_member(ctx, folder, "tokenizer.json", &json, &n_json)) ||
        (s = read_member(ctx, folder, "tokenizer_config.json", &config, &n_config)) ||
        (s = read_member(ctx, folder, "chat_template.jinja", &template, &n_template)))
        goto done;
    if (!json) {
        s = ctx_fail(ctx, AGON_ENOTFOUND,
                     "%s: no tokenizer.json (older folders with tokenizer.model or vocab.json only: save the "
                     "tokenizer with a current version of transformers)",
                     folder);
        goto done;
    }
    s = tokenizer_from_json(ctx, where.data, json, n_json, config, n_config, template,
                            weights_config(w)->n_vocabulary, &t);
    if (s || (s = read_stops(ctx, folder, t)))
        goto done;
    *out = t;
    t = NULL;
done:
    tokenizer_free(t);
    buffer_free(&where);
    free(json);
    free(config);
    free(template);
    return s;
}

agon_status tokenizer_new(agon_ctx *ctx, const weights *w, tokenizer **out) {
    return weights_is_gguf(w) ? open_gguf(ctx, w, out) : open_folder(ctx, w, out);
}

/* Tokenizers from tokenizer.json + tokenizer_config.json (Hugging Face tokenizers' format) and from
 * GGUF metadata, and a tokenizer.json written from either. */
#include "model/tokenizer_private.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>

static agon_status no_memory(agon_ctx *ctx, const char *where) {
    return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the tokenizer", where);
}

/* ---- tokenizer.json -------------------------------------------------------------------------------- */

typedef struct reader {
    agon_ctx *ctx;
    const char *where;
    const json_t *root, *model, *vocab, *added, *config;
    tokenizer *t;
} reader;

/* Only BPE without the older word-piece options. */
static agon_status check_model(reader *r) {
    r->model = json_object_get(r->root, "model");
    const char *type = json_string_value(json_object_get(r->model, "type"));
    if (!json_is_object(r->model))
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: 'model' is missing", r->where);
    if (type && strcmp(type, "BPE") != 0)
        return ctx_fail(r->ctx, AGON_EUNSUPPORTED,
                        "%s: a %.40s tokenizer; agon reads BPE, byte-level (Llama 3, Qwen, SmolLM, Mistral NeMo and later) or "
                        "SentencePiece's (Llama 2, TinyLlama, Mistral 7B)",
                        r->where, type);
    double dropout = json_number_value(json_object_get(r->model, "dropout"));
    if (dropout > 0)
        return ctx_fail(r->ctx, AGON_EUNSUPPORTED,
                        "%s: model option dropout is %g, by which a text has other tokens each time; set it to null", r->where, dropout);
    static const char *const options[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const char *text = json_string_value(json_object_get(r->model, options[i]));
        if (text && *text)
            return ctx_fail(r->ctx, AGON_EUNSUPPORTED, "%s: model option %s is not supported", r->where,
                            options[i]);
    }
    r->vocab = json_object_get(r->model, "vocab");
    r->added = json_object_get(r->root, "added_tokens");
    if (!json_is_object(r->vocab))
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: 'model.vocab' is missing", r->where);
    if (r->added && !json_is_null(r->added) && !json_is_array(r->added))
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: 'added_tokens' is not a list", r->where);
    return AGON_OK;
}

static agon_status token_id(reader *r, const json_t *value, const char *text, size_t *largest) {
    json_int_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < 0 || id >= MAX_TOKENS)
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: token '%.40s' has no id between 0 and %d", r->where, text,
                        MAX_TOKENS - 1);
    if ((size_t)id > *largest)
        *largest = (size_t)id;
    return AGON_OK;
}

static agon_status count_tokens(reader *r, size_t n_model, size_t *n) {
    size_t largest = 0;
    const char *text;
    json_t *value;
    agon_status s = AGON_OK;
    json_object_foreach((json_t *)r->vocab, text, value) {
        if ((s = token_id(r, value, text, &largest)))
            return s;
    }
    for (size_t i = 0; i < json_array_size(r->added); i++) {
        const json_t *entry = json_array_get(r->added, i);
        const char *content = json_string_value(json_object_get(entry, "content"));
        if (!content || !*content)
            return ctx_fail(r->ctx, AGON_EFORMAT, "%s: added token %zu has no content", r->where, i);
        if ((s = token_id(r, json_object_get(entry, "id"), content, &largest)))
            return s;
    }
    if (n_model && largest >= n_model)
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: token id %zu, but the model's embedding (model.embed_tokens.weight) has %zu rows",
                        r->where, largest, n_model);
    *n = n_model ? n_model : largest + 1;
    return AGON_OK;
}

static agon_status read_added(reader *r) {
    tokenizer *t = r->t;
    size_t n = json_array_size(r->added);
    t->added = arena_take(t->arena, n + 1, sizeof *t->added);
    if (!t->added)
        return no_memory(r->ctx, r->where);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(r->added, i);
        const char *content = json_string_value(json_object_get(entry, "content"));
        added_token a = {.id = (int32_t)json_integer_value(json_object_get(entry, "id")),
                         .special = json_is_true(json_object_get(entry, "special")),
                         .single_word = json_is_true(json_object_get(entry, "single_word")),
                         .strip_left = json_is_true(json_object_get(entry, "lstrip")),
                         .strip_right = json_is_true(json_object_get(entry, "rstrip"))};
        const json_t *normalized = json_object_get(entry, "normalized");
        a.normalized = normalized ? json_is_true(normalized) : !a.special;
        agon_status s = tokenizer_set_token(r->ctx, t, a.id, content, a.special ? TOKEN_CONTROL : TOKEN_USER);
        if (s)
            return s;
        a.text = t->spelling[a.id];
        a.n = strlen(a.text);
        t->added[t->n_added++] = a;
    }
    return AGON_OK;
}

static agon_status read_merges(reader *r, const json_t *merges) {
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *entry = json_array_get(merges, i);
        const char *left = json_string_value(json_array_get(entry, 0));
        const char *right = json_string_value(json_array_get(entry, 1));
        size_t n_left = left ? strlen(left) : 0;
        if (json_is_string(entry)) { /* the older form, "left right" */
            left = json_string_value(entry);
            const char *space = strchr(left, ' ');
            right = space ? space + 1 : NULL;
            n_left = space ? (size_t)(space - left) : 0;
        }
        if (!left || !right || !n_left || !*right)
            return ctx_fail(r->ctx, AGON_EFORMAT, "%s: merge %zu is not a pair of tokens", r->where, i);
        agon_status s =
            tokenizer_add_merge(r->ctx, r->t, r->where, i, left, n_left, right, strlen(right));
        if (s)
            return s;
    }
    return AGON_OK;
}

static agon_status read_model(reader *r, size_t n_vocabulary) {
    size_t n = 0;
    agon_status s = check_model(r);
    if (!s)
        s = count_tokens(r, n_vocabulary, &n);
    if (!s)
        s = tokenizer_alloc(r->ctx, n, &r->t);
    if (s)
        return s;
    r->t->kind = tokenizer_kind_of_json(r->model);
    const char *text;
    json_t *value;
    json_object_foreach((json_t *)r->vocab, text, value) {
        const int32_t id = (int32_t)json_integer_value(value);
        if (r->t->spelling[id]) /* one of them could be neither written nor read */
            return ctx_fail(r->ctx, AGON_EFORMAT, "%s: the tokens '%.40s' and '%.40s' have one id, %d", r->where, r->t->spelling[id], text, (int)id);
        if ((s = tokenizer_set_token(r->ctx, r->t, id, text, TOKEN_NORMAL)))
            return s;
    }
    const json_t *merges = json_object_get(r->model, "merges");
    if (!json_is_array(merges))
        return ctx_fail(r->ctx, AGON_EFORMAT, "%s: 'model.merges' is missing", r->where);
    if ((s = read_added(r)) || (s = tokenizer_index(r->ctx, r->t)) || (s = tokenizer_merges_init(r->ctx, r->t, json_array_size(merges))) ||
        (s = read_merges(r, merges)))
        return s;
    return r->t->kind->read_json(r->ctx, r->where, r->root, r->t);
}

/* A token named in tokenizer_config.json: a string, or an object with "content". */
static int32_t config_token(const reader *r, const char *key) {
    const json_t *value = json_object_get(r->config, key);
    const char *text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
    return text ? vocabulary_find(&r->t->vocabulary, text, strlen(text)) : -1;
}

/* The token that the post-processor puts in front of a text: -1 none. */
static int32_t leading_token(const reader *r, const json_t *processor, int depth) {
    const json_t *list = json_object_get(processor, "processors");
    for (size_t i = 0; depth < 4 && i < json_array_size(list); i++) {
        int32_t id = leading_token(r, json_array_get(list, i), depth + 1);
        if (id >= 0)
            return id;
    }
    const json_t *first = json_array_get(json_object_get(processor, "single"), 0);
    const char *text = json_string_value(json_object_get(json_object_get(first, "SpecialToken"), "id"));
    return text ? vocabulary_find(&r->t->vocabulary, text, strlen(text)) : -1;
}

/* One template, or the one named "default" of several. */
static const char *config_template(const json_t *config) {
    const json_t *value = json_object_get(config, "chat_template");
    if (json_is_string(value))
        return json_string_value(value);
    const char *found = NULL;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (!found || (name && strcmp(name, "default") == 0))
            found = json_string_value(json_object_get(entry, "template"));
    }
    return found;
}

static agon_status read_config(reader *r, const char *chat_template) {
    tokenizer *t = r->t;
    t->bos = config_token(r, "bos_token");
    t->eos = config_token(r, "eos_token");
    t->pad = config_token(r, "pad_token");
    t->unk = config_token(r, "unk_token");
    int32_t leading = leading_token(r, json_object_get(r->root, "post_processor"), 0);
    if (leading >= 0) {
        t->add_bos = true;
        t->bos = leading;
    } else {
        t->add_bos = json_is_true(json_object_get(r->config, "add_bos_token")) && t->bos >= 0;
    }
    if (!chat_template)
        chat_template = config_template(r->config);
    t->chat_template = arena_copy(t->arena, chat_template);
    return chat_template && !t->chat_template ? no_memory(r->ctx, r->where) : AGON_OK;
}

static char *copy_bytes(const char *text, size_t n) {
    char *copy = malloc(size_add(n, 1));
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
    }
    return copy;
}

static agon_status keep_texts(reader *r, const char *json, size_t n_json) {
    json_t *config = r->config ? json_copy((json_t *)r->config) : json_object();
    r->t->json_text = copy_bytes(json, n_json);
    /* The template may come from a file of its own; the config is where every reader finds it. */
    if (config && r->t->chat_template)
        json_object_set_new(config, "chat_template", json_string(r->t->chat_template));
    r->t->config_text = config ? json_dumps(config, JSON_INDENT(2)) : NULL;
    json_decref(config);
    return r->t->json_text && r->t->config_text ? AGON_OK : no_memory(r->ctx, r->where);
}

/* transformers writes "no limit" as a model_max_length of 10^30, more than an integer holds: then numbers are read as reals. */
static agon_status parse_config(agon_ctx *ctx, const char *text, size_t n, json_t **out) {
    agon_status s = json_parse(ctx, "tokenizer_config.json", text, n, out);
    json_t *value = s == AGON_EFORMAT ? json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    if (!value)
        return s;
    *out = value;
    return AGON_OK;
}

agon_status tokenizer_from_json(agon_ctx *ctx, const char *where, const char *json, size_t n_json,
                                const char *config, size_t n_config, const char *chat_template,
                                size_t n_vocabulary, tokenizer **out) {
    json_t *root = NULL, *config_root = NULL;
    reader r = {.ctx = ctx, .where = where};
    agon_status s = json_parse(ctx, where, json, n_json, &root);
    if (!s && config)
        s = parse_config(ctx, config, n_config, &config_root);
    if (s)
        goto done;
    r.root = root;
    r.config = config_root;
    if ((s = read_model(&r, n_vocabulary)))
        goto done;
    if ((s = read_config(&r, chat_template)))
        goto done;
    if ((s = keep_texts(&r, json, n_json)) || (s = tokenizer_finish(ctx, r.t)))
        goto done;
    *out = r.t;
    r.t = NULL;
done:
    tokenizer_free(r.t);
    json_decref(root);
    json_decref(config_root);
    return s;
}

/* ---- GGUF -------------------------------------------------------------------------------------------- */

static agon_status set_parts_tokens(agon_ctx *ctx, tokenizer *t, const tokenizer_parts *parts) {
    t->added = arena_take(t->arena, parts->n, sizeof *t->added);
    if (!t->added)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
    for (size_t i = 0; i < parts->n; i++) {
        int32_t type = parts->types ? parts->types[i] : TOKEN_NORMAL;
        agon_status s = tokenizer_set_token(ctx, t, (int32_t)i, parts->tokens[i], type);
        if (s)
            return s;
        bool special = type == TOKEN_CONTROL || type == TOKEN_UNKNOWN;
        if ((special || type == TOKEN_USER) && *t->spelling[i])
            t->added[t->n_added++] = (added_token){.text = t->spelling[i],
                                                   .n = strlen(t->spelling[i]),
                                                   .id = (int32_t)i,
                                                   .special = special};
    }
    return AGON_OK;
}

agon_status tokenizer_from_parts(agon_ctx *ctx, const char *where, const tokenizer_parts *parts,
                                 size_t n_vocabulary, tokenizer **out) {
    tokenizer *t = NULL;
    const tokenizer_kind *kind = tokenizer_kind_of_gguf(parts->model ? parts->model : "gpt2");
    if (!kind)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        "%s: a '%.40s' tokenizer; agon reads BPE, byte-level ('gpt2': Llama 3, Qwen, SmolLM, Mistral NeMo and later) or "
                        "SentencePiece's ('llama': Llama 2, TinyLlama, Mistral 7B)",
                        where, parts->model);
    if (n_vocabulary && parts->n > n_vocabulary)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu tokens, but the model's embedding (token_embd.weight) has %zu rows", where,
                        parts->n, n_vocabulary);
    agon_status s = tokenizer_alloc(ctx, n_vocabulary ? n_vocabulary : parts->n, &t);
    if (s)
        return s;
    t->kind = kind;
    if ((s = set_parts_tokens(ctx, t, parts)) || (s = tokenizer_index(ctx, t)) || (s = kind->read_parts(ctx, where, parts, t)))
        goto done;
    int32_t n = (int32_t)t->n;
    t->bos = parts->bos < n ? parts->bos : -1;
    t->eos = parts->eos < n ? parts->eos : -1;
    t->pad = parts->pad < n ? parts->pad : -1;
    t->unk = parts->unk < n ? parts->unk : -1;
    t->add_bos = parts->add_bos && t->bos >= 0;
    t->chat_template = arena_copy(t->arena, parts->chat_template);
    if (parts->chat_template && !t->chat_template) {
        s = no_memory(ctx, where);
        goto done;
    }
    if ((s = tokenizer_finish(ctx, t)))
        goto done;
    *out = t;
    t = NULL;
done:
    tokenizer_free(t);
    return s;
}

void tokenizer_get_parts(const tokenizer *t, tokenizer_parts *out) {
    *out = (tokenizer_parts){.model = t->kind->gguf_model,
                             .n = t->n,
                             .tokens = t->spelling,
                             .types = t->types,
                             .chat_template = t->chat_template,
                             .bos = t->bos,
                             .eos = t->eos,
                             .pad = t->pad,
                             .unk = t->unk,
                             .stops = t->stops,
                             .n_stops = t->n_stops,
                             .add_bos = t->add_bos};
    t->kind->get_parts(t, out);
}

/* ---- writing tokenizer.json ---------------------------------------------------------------------------- */

static json_t *vocab_json(const tokenizer *t, json_t *added) {
    json_t *vocab = json_object();
    for (size_t i = 0; i < t->n; i++) {
        const char *text = t->spelling[i];
        bool special = tokenizer_is_special(t, (int32_t)i);
        if (t->types[i] == TOKEN_UNUSED || vocabulary_find(&t->vocabulary, text, strlen(text)) != (int32_t)i)
            continue;
        json_object_set_new(vocab, text, json_integer((json_int_t)i));
        if (special || t->types[i] == TOKEN_USER)
            json_array_append_new(added, json_pack("{s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "id", (int)i, "content",
                                                   text, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                                   "normalized", 0, "special", (int)special));
    }
    return vocab;
}

json_t *tokenizer_bos_json(const tokenizer *t) {
    if (!t->add_bos)
        return NULL;
    const char *bos = t->spelling[t->bos];
    return json_pack(
        "{s:s,s:[{s:{s:s,s:i}},{s:{s:s,s:i}}],s:[{s:{s:s,s:i}},{s:{s:s,s:i}},{s:{s:s,s:i}},{s:{s:s,s:i}}],s:{s:{"
        "s:s,s:[i],s:[s]}}}",
        "type", "TemplateProcessing", "single", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A",
        "type_id", 0, "pair", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0,
        "SpecialToken", "id", bos, "type_id", 1, "Sequence", "id", "B", "type_id", 1, "special_tokens", bos,
        "id", bos, "ids", (int)t->bos, "tokens", bos);
}

static json_t *tokenizer_root_json(const tokenizer *t) {
    json_t *merges = json_array(), *added = json_array();
    for (size_t i = 0; i < t->n_merges; i++)
        json_array_append_new(merges, json_string(t->merge_texts[i]));
    json_t *vocab = vocab_json(t, added);
    json_t *root = json_pack("{s:s,s:n,s:n,s:o,s:n,s:n,s:n,s:n}", "version", "1.0", "truncation", "padding", "added_tokens", added,
                             "normalizer", "pre_tokenizer", "post_processor", "decoder");
    json_t *model = json_pack("{s:s,s:n,s:n,s:n,s:n,s:b,s:b,s:b,s:o,s:o}", "type", "BPE", "dropout", "unk_token",
                              "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0,
                              "ignore_merges", 0, "vocab", vocab, "merges", merges);
    if (!root || !model || !t->kind->write_json(t, root, model) || json_object_set(root, "model", model)) {
        json_decref(root);
        root = NULL;
    }
    json_decref(model);
    return root;
}

static json_t *config_root_json(const tokenizer *t) {
    const struct {
        const char *key;
        int32_t id;
    } tokens[] = {{"bos_token", t->bos}, {"eos_token", t->eos}, {"pad_token", t->pad}, {"unk_token", t->unk}};
    json_t *config = json_pack("{s:s,s:b,s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                               "clean_up_tokenization_spaces", 0, "add_bos_token", (int)t->add_bos);
    for (size_t i = 0; i < 4; i++)
        if (tokens[i].id >= 0)
            json_object_set_new(config, tokens[i].key, json_string(t->spelling[tokens[i].id]));
    if (t->chat_template)
        json_object_set_new(config, "chat_template", json_string(t->chat_template));
    return config;
}

agon_status tokenizer_export_json(agon_ctx *ctx, const tokenizer *t, char **tokenizer_json,
                                  char **tokenizer_config_json) {
    char *text = NULL, *config_text = NULL;
    if (t->no_json)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "the tokenizer cannot be written: %s", t->no_json);
    if (t->json_text) {
        text = copy_bytes(t->json_text, strlen(t->json_text));
        config_text = copy_bytes(t->config_text, strlen(t->config_text));
    } else {
        json_t *root = tokenizer_root_json(t), *config = config_root_json(t);
        text = root ? json_dumps(root, 0) : NULL;
        config_text = config ? json_dumps(config, JSON_INDENT(2)) : NULL;
        json_decref(root);
        json_decref(config);
    }
    if (!text || !config_text) {
        free(text);
        free(config_text);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to write the tokenizer");
    }
    *tokenizer_json = text;
    *tokenizer_config_json = config_text;
    return AGON_OK;
}

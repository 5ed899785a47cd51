/* Byte-level BPE (GPT-2, Radford et al. 2019), as Llama 3, Qwen, SmolLM and Mistral NeMo have it: text in normal form is cut
 * into words by the pre-tokenizer, and each word's bytes are merged (bpe.c). A vocabulary spells bytes as printable
 * characters. Bytes that are not UTF-8 are tokens by themselves. */
#include "model/tokenizer_private.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool claims(const json_t *model) {
    (void)model;
    return true;
}

/* Bytes when every character spells one, else the spelling's own UTF-8. */
static size_t token_bytes(const char *spelling, int32_t type, char *out) {
    size_t n = strlen(spelling), m = 0;
    bool as_text = type == TOKEN_CONTROL || type == TOKEN_USER;
    for (size_t at = 0; !as_text && at < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)spelling + at, (utf8proc_ssize_t)(n - at), &c);
        int byte = used > 0 ? byte_of_spelling(c) : -1;
        as_text = byte < 0;
        out[m++] = (char)byte;
        at += used > 0 ? (size_t)used : 0;
    }
    if (as_text) {
        memcpy(out, spelling, n);
        m = n;
    }
    return m;
}

static bool spell_byte(buffer *out, uint8_t byte) {
    char c = (char)byte;
    return byte_spell(out, &c, 1);
}

/* ---- encoding -------------------------------------------------------------------------------------- */

/* A byte that the vocabulary lacks is dropped, as the reference does. */
static void merge_word(encoder *e, const char *word, size_t n, size_t start) {
    const tokenizer *t = e->t;
    if (e->sink->failed || !bpe_begin(&e->scratch, n)) {
        e->sink->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (t->byte_ids[(uint8_t)word[i]] >= 0)
            bpe_add(&e->scratch, t->byte_ids[(uint8_t)word[i]], i + 1);
    bpe_finish(&t->merges, &e->scratch, start, e->sink);
}

static void encode_word(void *arg, const char *word, size_t n, size_t start) {
    encoder *e = arg;
    const tokenizer *t = e->t;
    if (t->ignore_merges) {
        buffer_clear(&e->spelling);
        if (!byte_spell(&e->spelling, word, n)) {
            e->sink->failed = true;
            return;
        }
        int32_t id = vocabulary_find(&t->vocabulary, e->spelling.data, e->spelling.size);
        if (id >= 0) {
            token_sink_add(e->sink, id, e->base + start + n);
            return;
        }
    }
    merge_word(e, word, n, e->base + start);
}

static agon_status encode(encoder *e, const char *text, size_t n, size_t base) {
    while (n > 0) {
        size_t valid = utf8_valid_length(text, n);
        e->base = base;
        agon_status s = AGON_OK;
        if (valid > 0)
            s = pretokenizer_run(e->ctx, e->t->pretokenizer, text, valid, encode_word, e);
        if (s)
            return s;
        if (valid < n) {
            int32_t id = e->t->byte_ids[(uint8_t)text[valid]];
            valid++;
            if (id >= 0)
                token_sink_add(e->sink, id, base + valid);
        }
        text += valid;
        n -= valid;
        base += valid;
    }
    return AGON_OK;
}

/* ---- tokenizer.json -------------------------------------------------------------------------------- */

/* The reference writes unk_token for a byte that the vocabulary lacks. Some bytes are in no UTF-8 text. */
static agon_status check_unknown(agon_ctx *ctx, const char *where, const json_t *model, const tokenizer *t) {
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    for (int b = 0; unknown && b < 0xf5; b++)
        if (t->byte_ids[b] < 0 && b != 0xc0 && b != 0xc1)
            return ctx_fail(ctx, AGON_EUNSUPPORTED,
                            "%s: model option unk_token ('%.40s') is not supported where the vocabulary lacks a byte (0x%02x)", where,
                            unknown, (unsigned)b);
    return AGON_OK;
}

/* The parts of a tokenizer that a name stands for; *p new. */
static agon_status parse_named(agon_ctx *ctx, const named_pretokenizer *named, pretokenizer **p, normal_form *form) {
    json_t *pre = NULL, *normalizer = NULL;
    agon_status s = json_parse(ctx, named->name, named->pre_tokenizer, strlen(named->pre_tokenizer), &pre);
    if (!s)
        s = json_parse(ctx, named->name, named->normalizer, strlen(named->normalizer), &normalizer);
    if (!s)
        s = normal_form_parse(ctx, named->name, normalizer, form);
    if (!s)
        s = pretokenizer_new(ctx, named->name, pre, p);
    json_decref(pre);
    json_decref(normalizer);
    return s;
}

/* llama.cpp's name of a pre-tokenizer that cuts alike, with the normalizer and ignore_merges that readers take it for; NULL: there is
 * none. */
static agon_status name_pretokenizer(agon_ctx *ctx, tokenizer *t) {
    const named_pretokenizer *named;
    for (size_t i = 0; !t->pre && (named = named_pretokenizer_at(i)); i++) {
        pretokenizer *p = NULL;
        normal_form form = FORM_NONE;
        agon_status s = parse_named(ctx, named, &p, &form);
        if (s)
            return s;
        if (strcmp(pretokenizer_signature(p), pretokenizer_signature(t->pretokenizer)) == 0 && form == t->form &&
            named->ignore_merges == t->ignore_merges)
            t->pre = named->name;
        pretokenizer_free(p);
    }
    return AGON_OK;
}

static agon_status read_json(agon_ctx *ctx, const char *where, const json_t *root, tokenizer *t) {
    const json_t *model = json_object_get(root, "model");
    t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    agon_status s = check_unknown(ctx, where, model, t);
    if (!s)
        s = normal_form_parse(ctx, where, json_object_get(root, "normalizer"), &t->form);
    if (!s)
        s = pretokenizer_new(ctx, where, json_object_get(root, "pre_tokenizer"), &t->pretokenizer);
    return s ? s : name_pretokenizer(ctx, t);
}

/* With BOS: ByteLevel, then the template that puts the token in front. */
static bool write_json(const tokenizer *t, json_t *root, json_t *model) {
    const named_pretokenizer *named = named_pretokenizer_find(t->pre);
    json_t *pre = json_loads(named->pre_tokenizer, 0, NULL), *form = json_loads(named->normalizer, JSON_DECODE_ANY, NULL);
    json_t *level = json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex", 0);
    json_t *bos = tokenizer_bos_json(t);
    json_t *processor = bos ? json_pack("{s:s,s:[O,o]}", "type", "Sequence", "processors", level, bos) : json_copy(level);
    bool failed = json_object_set_new(root, "normalizer", form) || json_object_set_new(root, "pre_tokenizer", pre) ||
                  json_object_set_new(root, "post_processor", processor);
    failed = json_object_set_new(root, "decoder", level) || failed;
    return !failed && !json_object_set_new(model, "ignore_merges", json_boolean(t->ignore_merges));
}

/* ---- GGUF -------------------------------------------------------------------------------------------- */

static agon_status set_parts_merges(agon_ctx *ctx, const char *where, tokenizer *t,
                                    const tokenizer_parts *parts) {
    for (size_t i = 0; i < parts->n_merges; i++) {
        const char *text = parts->merges[i];
        /* A part is never empty, so the space that separates is not the first character. */
        const char *space = *text ? strchr(text + 1, ' ') : NULL;
        if (!space || !space[1])
            return ctx_fail(ctx, AGON_EFORMAT, "%s: merge %zu is not a pair of tokens", where, i);
        agon_status s = tokenizer_add_merge(ctx, t, where, i, text, (size_t)(space - text), space + 1,
                                            strlen(space + 1));
        if (s)
            return s;
    }
    return AGON_OK;
}

static agon_status read_parts(agon_ctx *ctx, const char *where, const tokenizer_parts *parts, tokenizer *t) {
    const char *pre = parts->pre ? parts->pre : "default";
    const named_pretokenizer *named = named_pretokenizer_find(pre);
    if (!named)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        "%s: pre-tokenizer '%.40s' is not known (known: smollm, gpt-2, llama-bpe, qwen2, tekken)",
                        where, pre);
    t->ignore_merges = named->ignore_merges;
    t->pre = named->name;
    agon_status s = parse_named(ctx, named, &t->pretokenizer, &t->form);
    if (!s)
        s = tokenizer_merges_init(ctx, t, parts->n_merges);
    return s ? s : set_parts_merges(ctx, where, t, parts);
}

static void get_parts(const tokenizer *t, tokenizer_parts *out) {
    out->n_merges = t->n_merges;
    out->merges = t->merge_texts;
    out->pre = t->pre;
    if (!t->pre) /* without one, readers take "default" */
        out->no_gguf = "the way the model's tokenizer cuts text into words has no name in GGUF";
}

const tokenizer_kind tokenizer_byte_level = {.gguf_model = "gpt2",
                                             .bos = -1,
                                             .eos = -1,
                                             .unk = -1,
                                             .claims = claims,
                                             .bytes = token_bytes,
                                             .spell = byte_spell,
                                             .spell_byte = spell_byte,
                                             .read_json = read_json,
                                             .read_parts = read_parts,
                                             .encode = encode,
                                             .write_json = write_json,
                                             .get_parts = get_parts};

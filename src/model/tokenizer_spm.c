/* SentencePiece-style BPE (Kudo & Richardson 2018), as Llama 2, TinyLlama and Mistral 7B have it.
 *
 * A space is written "▁" (the mark), and one may be put in front of a text; symbols are characters, and a character that
 * is no token becomes its bytes' tokens, spelled "<0x0A>". What tokenizer.json says with a normalizer or with a Metaspace
 * pre-tokenizer, and GGUF with add_space_prefix, is read into three answers: where a mark is put in front, whether words are
 * cut at marks, and what of the mark is dropped where decoding begins. Nothing is written into the text: symbols are made from
 * the bytes as given, so that token ends are offsets into them.
 *
 * A merge that makes a special token is never done: a text could spell one. */
#include "model/tokenizer_spm_private.h"
#include "base/ctx.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MARK_SIZE = sizeof SPM_MARK - 1 };

/* Where a mark is put in front of text: of each text between special tokens that are cut out first (Prepend); of each text
 * between tokens that does not begin with one (always), of the first only (first). */
typedef enum prefix { PREFIX_NEVER, PREFIX_PREPEND, PREFIX_ALWAYS, PREFIX_FIRST, N_PREFIXES } prefix;
static const char *const prefix_names[] = {"never", "prepend", "always", "first"};

/* What decoding drops of the first token: nothing, a space in front, all marks. */
typedef enum dropped { DROP_NOTHING, DROP_SPACE, DROP_MARKS, N_DROPPED } dropped;
static const char *const dropped_names[] = {"nothing", "space", "marks"};

struct spaces {
    prefix prefix;
    dropped dropped;
    bool split;           /* every mark begins a word */
    int32_t mark;         /* the token; -1: none, and it is written in bytes */
    const char *name;     /* of all three, for GGUF; NULL: add_space_prefix says it */
};

static bool claims(const json_t *model) {
    return json_is_true(json_object_get(model, "byte_fallback"));
}

/* ---- spelling ------------------------------------------------------------------------------------------ */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool spell_byte(buffer *out, uint8_t byte) {
    return buffer_printf(out, "<0x%02X>", (unsigned)byte);
}

static bool spell(buffer *out, const char *text, size_t n) {
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = text[i] == ' ' ? buffer_text(out, SPM_MARK) : buffer_char(out, text[i]);
    return ok;
}

static size_t token_bytes(const char *spelling, int32_t type, char *out) {
    size_t n = strlen(spelling), m = 0;
    (void)type;
    if (n == 6 && memcmp(spelling, "<0x", 3) == 0 && spelling[5] == '>' && hex_digit(spelling[3]) >= 0 && hex_digit(spelling[4]) >= 0) {
        out[0] = (char)(hex_digit(spelling[3]) << 4 | hex_digit(spelling[4]));
        return 1;
    }
    for (size_t i = 0; i < n;) {
        bool mark = strncmp(spelling + i, SPM_MARK, MARK_SIZE) == 0;
        out[m++] = mark ? ' ' : spelling[i];
        i += mark ? MARK_SIZE : 1;
    }
    return m;
}

/* ---- encoding ------------------------------------------------------------------------------------------ */

static bool begins_with_mark(const char *text, size_t n) {
    return n > 0 && (text[0] == ' ' || (n >= MARK_SIZE && memcmp(text, SPM_MARK, MARK_SIZE) == 0));
}

static bool is_prefixed(const encoder *e, const char *text, size_t n, size_t base) {
    if (base == 0 && e->start == TEXT_GOES_ON)
        return false;
    switch (e->t->spaces->prefix) {
    case PREFIX_PREPEND: return base == e->piece;
    case PREFIX_ALWAYS: return !begins_with_mark(text, n);
    case PREFIX_FIRST: return base == 0 && e->start == TEXT_BEGINS && !begins_with_mark(text, n);
    default: return false;
    }
}

/* A character's token, or the tokens of its bytes; the whole symbol ends at `end`. */
static void add_character(encoder *e, const char *text, size_t n, size_t end) {
    const tokenizer *t = e->t;
    int32_t id = vocabulary_find(&t->vocabulary, text, n);
    if (id >= 0 && !tokenizer_is_special(t, id)) {
        bpe_add(&e->scratch, id, end);
        return;
    }
    for (size_t i = 0; i < n; i++)
        bpe_add(&e->scratch, t->byte_ids[(uint8_t)text[i]], end - n + i + 1);
}

static void add_mark(encoder *e, size_t end) {
    if (e->t->spaces->mark >= 0)
        bpe_add(&e->scratch, e->t->spaces->mark, end);
    for (size_t i = 0; e->t->spaces->mark < 0 && i < MARK_SIZE; i++)
        bpe_add(&e->scratch, e->t->byte_ids[(uint8_t)SPM_MARK[i]], end);
}

size_t spm_character(const char *text, size_t n, bool *valid) {
    utf8proc_int32_t c;
    utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)(n < 4 ? n : 4), &c);
    *valid = k > 0;
    return k > 0 ? (size_t)k : 1;
}

static agon_status encode(encoder *e, const char *text, size_t n, size_t base) {
    const tokenizer *t = e->t;
    if (n == 0)
        return AGON_OK;
    /* A space without a token for its mark is three symbols; the prefix is one space more. */
    if (e->sink->failed || !bpe_begin(&e->scratch, size_mul(size_add(n, 1), t->spaces->mark < 0 ? MARK_SIZE : 1))) {
        e->sink->failed = true;
        return AGON_OK;
    }
    if (is_prefixed(e, text, n, base))
        add_mark(e, 0);
    for (size_t at = 0, k; at < n; at += k) {
        bool valid = true, mark = begins_with_mark(text + at, n - at);
        k = text[at] == ' ' ? 1 : spm_character(text + at, n - at, &valid);
        if (mark && t->spaces->split && e->scratch.n_symbols > 0) {
            bpe_finish(&t->merges, &e->scratch, base, e->sink);
            if (!bpe_begin(&e->scratch, n))
                e->sink->failed = true;
            if (e->sink->failed)
                return AGON_OK;
        }
        if (mark)
            add_mark(e, at + k);
        else if (valid)
            add_character(e, text + at, k, at + k);
        else
            bpe_add(&e->scratch, t->byte_ids[(uint8_t)text[at]], at + 1);
    }
    bpe_finish(&t->merges, &e->scratch, base, e->sink);
    return AGON_OK;
}

/* ---- what spaces become --------------------------------------------------------------------------------- */

static void print_spaces(const spaces *o, char out[40]) {
    snprintf(out, 40, "%s %s %s", prefix_names[o->prefix], dropped_names[o->dropped], o->split ? "words" : "text");
}

/* False: no such name. */
static bool parse_spaces(const char *name, spaces *out) {
    for (int i = 0; i < 2 * N_PREFIXES * N_DROPPED; i++) {
        spaces o = {.prefix = (prefix)(i / 2 % N_PREFIXES), .dropped = (dropped)(i / 2 / N_PREFIXES), .split = i % 2};
        char text[40];
        print_spaces(&o, text);
        if (strcmp(text, name) == 0) {
            *out = o;
            return true;
        }
    }
    return false;
}

static spaces spaces_of_prefix(bool space_prefix) {
    return (spaces){.prefix = space_prefix ? PREFIX_PREPEND : PREFIX_NEVER, .dropped = space_prefix ? DROP_SPACE : DROP_NOTHING};
}

/* The bytes of tokens where decoding begins. */
static agon_status set_first_bytes(agon_ctx *ctx, tokenizer *t) {
    t->first_bytes = arena_take(t->arena, t->n, sizeof *t->first_bytes);
    t->n_first_bytes = arena_take(t->arena, t->n, sizeof *t->n_first_bytes);
    if (!t->first_bytes || !t->n_first_bytes)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
    for (size_t i = 0; i < t->n; i++) {
        size_t n = t->n_bytes[i], skip = n > 0 && t->bytes[i][0] == ' ';
        const char *from = t->spelling[i];
        t->first_bytes[i] = t->bytes[i] + skip;
        t->n_first_bytes[i] = (uint32_t)(n - skip);
        if (t->spaces->dropped != DROP_MARKS || n == 0)
            continue;
        char *bytes = arena_take(t->arena, n + 1, 1);
        if (!bytes)
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for the tokenizer");
        size_t m = 0, at = 0;
        for (const char *mark; (mark = strstr(from, SPM_MARK)); from = mark + MARK_SIZE, at++) { /* a mark is one byte */
            memcpy(bytes + m, t->bytes[i] + at, (size_t)(mark - from));
            m += (size_t)(mark - from);
            at += (size_t)(mark - from);
        }
        memcpy(bytes + m, t->bytes[i] + at, n - at);
        t->first_bytes[i] = bytes;
        t->n_first_bytes[i] = (uint32_t)(m + n - at);
    }
    return AGON_OK;
}

/* After the answers are known: what follows from them and the tokens. */
static agon_status set_spaces(agon_ctx *ctx, const char *where, tokenizer *t, const spaces *o) {
    char name[40];
    for (int b = 0; b < 256; b++) {
        if (t->byte_ids[b] < 0)
            return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: the vocabulary lacks the token of a byte, <0x%02X>", where, (unsigned)b);
        t->types[t->byte_ids[b]] = TOKEN_BYTE;
    }
    spaces *kept = arena_take(t->arena, 1, sizeof *kept);
    if (!kept)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the tokenizer", where);
    *kept = *o;
    kept->mark = vocabulary_find(&t->vocabulary, SPM_MARK, MARK_SIZE);
    kept->name = NULL;
    spaces plain = spaces_of_prefix(o->prefix != PREFIX_NEVER);
    if (o->prefix != plain.prefix || o->dropped != plain.dropped || o->split) {
        print_spaces(o, name);
        if (!(kept->name = arena_copy(t->arena, name)))
            return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the tokenizer", where);
    }
    t->spaces = kept;
    t->added_behind_space = o->prefix == PREFIX_PREPEND;
    return o->dropped == DROP_NOTHING ? AGON_OK : set_first_bytes(ctx, t);
}

/* ---- tokenizer.json -------------------------------------------------------------------------------------- */

static bool is_text(const json_t *object, const char *key, const char *text) {
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

static agon_status not_known(agon_ctx *ctx, const char *where, const char *what, const json_t *json, const char *known) {
    const char *type = json_string_value(json_object_get(json, "type"));
    return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: %s '%.40s' as it is there is not supported in a SentencePiece tokenizer (known: %s)", where, what,
                    type ? type : "", known);
}

/* {"type": "Replace"} of the one text by the other. */
static bool is_replace(const json_t *json, const char *from, const char *to) {
    return is_text(json, "type", "Replace") && is_text(json_object_get(json, "pattern"), "String", from) && is_text(json, "content", to);
}

static agon_status read_normalizer(agon_ctx *ctx, const char *where, const json_t *json, int depth, spaces *o, bool *replaces) {
    const json_t *list = json_object_get(json, "normalizers");
    agon_status s = AGON_OK;
    if (json_absent(json))
        return AGON_OK;
    if (is_text(json, "type", "Sequence") && json_is_array(list) && depth < 4) {
        for (size_t i = 0; !s && i < json_array_size(list); i++)
            s = read_normalizer(ctx, where, json_array_get(list, i), depth + 1, o, replaces);
        return s;
    }
    if (is_text(json, "type", "Prepend") && is_text(json, "prepend", SPM_MARK) && o->prefix == PREFIX_NEVER)
        o->prefix = PREFIX_PREPEND;
    else if (is_replace(json, " ", SPM_MARK))
        *replaces = true;
    else
        s = not_known(ctx, where, "normalizer", json, "one Prepend of \"" SPM_MARK "\", Replace of \" \" by \"" SPM_MARK "\"");
    return s;
}

/* A Metaspace's prepend_scheme; older files have add_prefix_space only. */
static agon_status read_scheme(agon_ctx *ctx, const char *where, const json_t *json, prefix *out) {
    const char *scheme = json_string_value(json_object_get(json, "prepend_scheme"));
    int p = PREFIX_ALWAYS;
    if (scheme)
        for (p = 0; p < N_PREFIXES && (p == PREFIX_PREPEND || strcmp(scheme, prefix_names[p]) != 0);)
            p++;
    if (p == N_PREFIXES || !is_text(json, "replacement", SPM_MARK) ||
        (json_is_false(json_object_get(json, "add_prefix_space")) && p != PREFIX_NEVER))
        return not_known(ctx, where, "a step", json, "replacement \"" SPM_MARK "\", prepend_scheme always, first or never");
    *out = (prefix)p;
    return AGON_OK;
}

static agon_status read_pretokenizer(agon_ctx *ctx, const char *where, const json_t *json, bool replaces, spaces *o) {
    prefix scheme = PREFIX_NEVER;
    if (replaces && json_absent(json))
        return AGON_OK;
    if (!is_text(json, "type", "Metaspace"))
        return not_known(ctx, where, "pre-tokenizer", json, "Metaspace, or none and a normalizer that replaces spaces");
    agon_status s = read_scheme(ctx, where, json, &scheme);
    if (s)
        return s;
    if (o->prefix == PREFIX_PREPEND && scheme != PREFIX_NEVER)
        return not_known(ctx, where, "pre-tokenizer", json, "prepend_scheme never behind a Prepend");
    const json_t *split = json_object_get(json, "split");
    o->prefix = scheme == PREFIX_NEVER ? o->prefix : scheme;
    o->split = json_absent(split) || json_is_true(split);
    return AGON_OK;
}

typedef struct decoder_steps {
    bool replaces, fuses;
} decoder_steps;

static agon_status read_decoder(agon_ctx *ctx, const char *where, const json_t *json, int depth, decoder_steps *seen, spaces *o) {
    const json_t *list = json_object_get(json, "decoders");
    prefix scheme = PREFIX_NEVER;
    agon_status s = AGON_OK;
    if (is_text(json, "type", "Sequence") && json_is_array(list) && depth < 4) {
        for (size_t i = 0; !s && i < json_array_size(list); i++)
            s = read_decoder(ctx, where, json_array_get(list, i), depth + 1, seen, o);
        return s;
    }
    json_int_t start = json_integer_value(json_object_get(json, "start")), stop = json_integer_value(json_object_get(json, "stop"));
    bool strips = is_text(json, "type", "Strip") && is_text(json, "content", " ") && seen->fuses;
    if (is_replace(json, SPM_MARK, " ")) {
        seen->replaces = true;
    } else if (is_text(json, "type", "Fuse")) {
        seen->fuses = true;
    } else if (strips && o->dropped == DROP_NOTHING && (start == 0 || start == 1) && stop == 0) {
        o->dropped = start ? DROP_SPACE : DROP_NOTHING;
    } else if (is_text(json, "type", "Metaspace") && !seen->fuses) {
        s = read_scheme(ctx, where, json, &scheme);
        seen->replaces = true;
        o->dropped = scheme == PREFIX_NEVER ? DROP_NOTHING : DROP_MARKS;
    } else if (!is_text(json, "type", "ByteFallback")) {
        s = not_known(ctx, where, "decoder", json, "Metaspace, or Replace of \"" SPM_MARK "\" by \" \", ByteFallback, Fuse, Strip of one space in front");
    }
    return s;
}

static agon_status read_json(agon_ctx *ctx, const char *where, const json_t *root, tokenizer *t) {
    const json_t *decoder = json_object_get(root, "decoder");
    spaces o = {.prefix = PREFIX_NEVER};
    decoder_steps seen = {0};
    bool replaces = false;
    if (json_is_true(json_object_get(json_object_get(root, "model"), "ignore_merges")))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: model option ignore_merges is not supported in a SentencePiece tokenizer", where);
    agon_status s = read_normalizer(ctx, where, json_object_get(root, "normalizer"), 0, &o, &replaces);
    if (!s)
        s = read_pretokenizer(ctx, where, json_object_get(root, "pre_tokenizer"), replaces, &o);
    if (!s)
        s = read_decoder(ctx, where, decoder, 0, &seen, &o);
    if (!s && !seen.replaces)
        s = not_known(ctx, where, "decoder", decoder, "one that writes \"" SPM_MARK "\" as a space");
    if (!s)
        s = set_spaces(ctx, where, t, &o);
    return s ? s : spm_scores_of_merges(ctx, t, t->spaces->split);
}

static json_t *replace_json(const char *from, const char *to) {
    return json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", from, "content", to);
}

static json_t *metaspace_json(prefix p, bool split) {
    return json_pack("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement", SPM_MARK, "prepend_scheme", prefix_names[p], "split", (int)split);
}

static json_t *decoder_json(const spaces *o) {
    if (o->dropped == DROP_MARKS)
        return json_pack("{s:s,s:[{s:s},o]}", "type", "Sequence", "decoders", "type", "ByteFallback", metaspace_json(PREFIX_ALWAYS, false));
    json_t *steps = json_pack("[o,{s:s},{s:s}]", replace_json(SPM_MARK, " "), "type", "ByteFallback", "type", "Fuse");
    if (o->dropped == DROP_SPACE && json_array_append_new(steps, json_pack("{s:s,s:s,s:i,s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0))) {
        json_decref(steps);
        return NULL;
    }
    return json_pack("{s:s,s:o}", "type", "Sequence", "decoders", steps);
}

static bool write_json(const tokenizer *t, json_t *root, json_t *model) {
    const spaces *o = t->spaces;
    bool prepends = o->prefix == PREFIX_PREPEND, metaspace = o->split || o->prefix == PREFIX_ALWAYS || o->prefix == PREFIX_FIRST;
    json_t *normalizer = prepends ? json_pack("{s:s,s:[{s:s,s:s},o]}", "type", "Sequence", "normalizers", "type", "Prepend", "prepend",
                                              SPM_MARK, replace_json(" ", SPM_MARK))
                         : metaspace ? json_null()
                                     : replace_json(" ", SPM_MARK);
    json_t *pre = metaspace ? metaspace_json(prepends ? PREFIX_NEVER : o->prefix, o->split) : json_null();
    json_t *bos = t->add_bos ? tokenizer_bos_json(t) : json_null();
    int failed = json_object_set_new(root, "normalizer", normalizer);
    failed |= json_object_set_new(root, "pre_tokenizer", pre);
    failed |= json_object_set_new(root, "post_processor", bos);
    failed |= json_object_set_new(root, "decoder", decoder_json(o));
    failed |= json_object_set_new(model, "byte_fallback", json_true());
    failed |= json_object_set_new(model, "fuse_unk", json_true());
    if (t->unk >= 0)
        failed |= json_object_set_new(model, "unk_token", json_string(t->spelling[t->unk]));
    return !failed;
}

/* ---- GGUF ------------------------------------------------------------------------------------------------ */

static agon_status read_parts(agon_ctx *ctx, const char *where, const tokenizer_parts *parts, tokenizer *t) {
    spaces o = spaces_of_prefix(parts->space_prefix);
    if (!parts->scores)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the tokenizer has no score for each token (tokenizer.ggml.scores)", where);
    if (parts->spaces && !parse_spaces(parts->spaces, &o))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: tokenizer.agon.spaces is '%.40s', which this version does not know", where, parts->spaces);
    agon_status s = set_spaces(ctx, where, t, &o);
    return s ? s : spm_merges_of_scores(ctx, where, t, parts->scores, parts->n);
}

static void get_parts(const tokenizer *t, tokenizer_parts *out) {
    out->pre = "default";
    out->scores = t->scores;
    out->space_prefix = t->spaces->prefix != PREFIX_NEVER;
    out->spaces = t->spaces->name;
    out->no_gguf = t->no_gguf;
}

const tokenizer_kind tokenizer_sentencepiece = {.gguf_model = "llama",
                                                .bos = 1,
                                                .eos = 2,
                                                .unk = 0,
                                                .add_bos = true,
                                                .claims = claims,
                                                .bytes = token_bytes,
                                                .spell = spell,
                                                .spell_byte = spell_byte,
                                                .read_json = read_json,
                                                .read_parts = read_parts,
                                                .encode = encode,
                                                .write_json = write_json,
                                                .get_parts = get_parts};

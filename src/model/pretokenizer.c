/* Pre-tokenizers: cuts text into the words that BPE merges inside of.
 *
 * A pre-tokenizer is a list of steps, read from tokenizer.json's "pre_tokenizer" (Sequence, Split,
 * Digits, ByteLevel; Hugging Face tokenizers). Each step cuts the pieces of the step before it; a
 * pattern never sees beyond its piece. GGUF files store a name only; the table below holds the JSON each
 * name stands for, so there is one interpreter.
 *
 * Patterns run in PCRE2. \s, \S, \d and \w are replaced by explicit classes first: PCRE2 counts U+180E
 * as a space and other digits and marks as word characters, the reference does not. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer_private.h"
#include "base/ctx.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MAX_STEPS = 16, MATCH_LIMIT = 20 * 1000 * 1000 };

typedef enum behaviour { ISOLATED, REMOVED, CONTIGUOUS, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT } behaviour;

static const char *const behaviour_names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                              "MergedWithNext"};

typedef struct step {
    pcre2_code *code; /* NULL: ByteLevel without a pattern, which cuts nothing */
    behaviour behaviour;
    bool invert;       /* the pattern describes words, not separators */
    bool prefix_space; /* each piece gets a space in front unless it has one */
} step;

struct pretokenizer {
    step steps[MAX_STEPS];
    size_t n_steps;
    bool byte_level; /* seen: nothing may follow, since later steps would see spelt bytes */
    buffer signature;
};

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* ---- reading ------------------------------------------------------------------------------------- */

#define SPACES "\\t-\\r\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define WORDS "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"

/* The replacement of \c, inside or outside a bracketed class; NULL: stays. */
static const char *class_of(char c, bool inside) {
    switch (c) {
    case 's': return inside ? SPACES : "[" SPACES "]";
    case 'S': return inside ? NULL : "[^" SPACES "]";
    case 'w': return inside ? WORDS : "[" WORDS "]";
    case 'W': return inside ? NULL : "[^" WORDS "]";
    case 'd': return "\\p{Nd}";
    case 'D': return "\\P{Nd}";
    default: return NULL;
    }
}

static bool translate(buffer *out, const char *pattern) {
    bool inside = false;
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1]) {
            const char *class = class_of(p[1], inside);
            if (class)
                buffer_text(out, class);
            else
                buffer_append(out, p, 2);
            p++;
            continue;
        }
        if (*p == '[' && !inside)
            inside = true;
        else if (*p == ']')
            inside = false;
        buffer_char(out, *p);
    }
    return !out->failed;
}

static agon_status add_step(agon_ctx *ctx, const char *where, pretokenizer *p, const char *pattern,
                            bool literal, step s) {
    if (p->n_steps == MAX_STEPS)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: more than %d pre-tokenizer steps", where, MAX_STEPS);
    if (p->byte_level)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        "%s: a pre-tokenizer step after ByteLevel is not supported", where);
    buffer_printf(&p->signature, "%s%s%s%s/%s\n", behaviour_names[s.behaviour],
                  s.invert ? " invert" : "", s.prefix_space ? " space" : "", literal ? " literal" : "",
                  pattern ? pattern : "");
    if (p->signature.failed)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the pre-tokenizer", where);
    if (pattern) {
        buffer text = {0};
        if (literal ? !buffer_text(&text, pattern) : !translate(&text, pattern)) {
            buffer_free(&text);
            return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the pre-tokenizer", where);
        }
        int error;
        size_t at;
        s.code = pcre2_compile((PCRE2_SPTR)text.data, text.size,
                               PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C),
                               &error, &at, NULL);
        buffer_free(&text);
        if (!s.code) {
            char reason[128] = "";
            pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
            return ctx_fail(ctx, AGON_EFORMAT, "%s: pre-tokenizer pattern '%.200s' does not compile: %s",
                            where, pattern, reason);
        }
        pcre2_jit_compile(s.code, PCRE2_JIT_COMPLETE); /* without it, matching is slower but the same */
    }
    p->steps[p->n_steps++] = s;
    return AGON_OK;
}

static agon_status read_split(agon_ctx *ctx, const char *where, pretokenizer *p, const json_t *json) {
    const char *name = NULL;
    step s = {.behaviour = ISOLATED};
    agon_status status = json_get_text(ctx, where, json, "behavior", true, &name);
    if (!status)
        status = json_get_bool(ctx, where, json, "invert", false, &s.invert);
    if (status)
        return status;
    size_t b = 0;
    while (b < sizeof behaviour_names / sizeof *behaviour_names && strcmp(name, behaviour_names[b]) != 0)
        b++;
    if (b == sizeof behaviour_names / sizeof *behaviour_names)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: split behaviour '%.40s' is not supported", where,
                        name);
    s.behaviour = (behaviour)b;
    const json_t *pattern = json_object_get(json, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *literal = json_string_value(json_object_get(pattern, "String"));
    if (json_is_string(pattern))
        literal = json_string_value(pattern);
    if (!regex && !literal)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: a Split without a pattern", where);
    return add_step(ctx, where, p, regex ? regex : literal, !regex, s);
}

static agon_status read_byte_level(agon_ctx *ctx, const char *where, pretokenizer *p,
                                   const json_t *json) {
    bool use_regex = true, prefix_space = true; /* the reference's defaults */
    agon_status s = json_get_bool(ctx, where, json, "use_regex", false, &use_regex);
    if (!s)
        s = json_get_bool(ctx, where, json, "add_prefix_space", false, &prefix_space);
    if (!s && (use_regex || prefix_space))
        s = add_step(ctx, where, p, use_regex ? GPT2_PATTERN : NULL, false,
                     (step){.behaviour = ISOLATED, .prefix_space = prefix_space});
    if (!s && p->byte_level)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: two ByteLevel steps are not supported", where);
    p->byte_level = true;
    return s;
}

static agon_status read_step(agon_ctx *ctx, const char *where, pretokenizer *p, const json_t *json,
                             int depth) {
    const char *type = NULL;
    agon_status s = json_get_text(ctx, where, json, "type", true, &type);
    if (s)
        return s;
    if (strcmp(type, "Split") == 0)
        return read_split(ctx, where, p, json);
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(ctx, where, p, json);
    if (strcmp(type, "Digits") == 0) {
        bool individual = false;
        s = json_get_bool(ctx, where, json, "individual_digits", false, &individual);
        return s ? s
                 : add_step(ctx, where, p, "\\p{N}", false,
                            (step){.behaviour = individual ? ISOLATED : CONTIGUOUS});
    }
    if (strcmp(type, "Sequence") == 0 && depth < 4) {
        const json_t *list = json_object_get(json, "pretokenizers");
        if (!json_is_array(list))
            return ctx_fail(ctx, AGON_EFORMAT, "%s: a Sequence without 'pretokenizers'", where);
        for (size_t i = 0; !s && i < json_array_size(list); i++)
            s = read_step(ctx, where, p, json_array_get(list, i), depth + 1);
        return s;
    }
    return ctx_fail(ctx, AGON_EUNSUPPORTED,
                    "%s: pre-tokenizer '%.40s' is not supported (known: Sequence, Split, Digits, ByteLevel)",
                    where, type);
}

agon_status pretokenizer_new(agon_ctx *ctx, const char *where, const json_t *json, pretokenizer **out) {
    pretokenizer *p = memory_new(1, sizeof *p);
    if (!p)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for the pre-tokenizer", where);
    agon_status s = AGON_OK;
    if (json && !json_is_null(json))
        s = read_step(ctx, where, p, json, 0);
    if (!s && !p->byte_level)
        s = ctx_fail(ctx, AGON_EUNSUPPORTED,
                     "%s: not a byte-level tokenizer (SentencePiece and WordPiece vocabularies are not "
                     "supported); use a model with a byte-level BPE vocabulary",
                     where);
    if (s) {
        pretokenizer_free(p);
        return s;
    }
    *out = p;
    return AGON_OK;
}

void pretokenizer_free(pretokenizer *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        pcre2_code_free(p->steps[i].code);
    buffer_free(&p->signature);
    free(p);
}

const char *pretokenizer_signature(const pretokenizer *p) {
    return p->signature.data ? p->signature.data : "";
}

static agon_status normal_form_read(agon_ctx *ctx, const char *where, const json_t *json, int depth,
                                    normal_form *out) {
    static const char *const names[] = {"", "NFC", "NFD", "NFKC", "NFKD"};
    const char *type = NULL;
    agon_status s = json_get_text(ctx, where, json, "type", true, &type);
    if (s)
        return s;
    for (int i = FORM_NFC; i <= FORM_NFKD; i++)
        if (strcmp(type, names[i]) == 0 && *out == FORM_NONE) {
            *out = (normal_form)i;
            return AGON_OK;
        }
    const json_t *list = json_object_get(json, "normalizers");
    if (strcmp(type, "Sequence") == 0 && json_is_array(list) && depth < 4) {
        for (size_t i = 0; !s && i < json_array_size(list); i++)
            s = normal_form_read(ctx, where, json_array_get(list, i), depth + 1, out);
        return s;
    }
    return ctx_fail(ctx, AGON_EUNSUPPORTED,
                    "%s: normalizer '%.40s' is not supported (known: one of NFC, NFD, NFKC, NFKD)", where,
                    type);
}

agon_status normal_form_parse(agon_ctx *ctx, const char *where, const json_t *json, normal_form *out) {
    normal_form form = FORM_NONE;
    agon_status s = AGON_OK;
    if (json && !json_is_null(json))
        s = normal_form_read(ctx, where, json, 0, &form);
    if (!s)
        *out = form;
    return s;
}

/* ---- running ------------------------------------------------------------------------------------- */

typedef struct span {
    size_t start, end;
    bool match;
} span;

typedef struct cutter {
    agon_ctx *ctx;
    const pretokenizer *p;
    pcre2_match_context *limits;
    pcre2_match_data *match[MAX_STEPS];
    buffer spans[MAX_STEPS]; /* span each; one list a step, since a step runs inside the one before it */
    pretokenizer_word word;
    void *arg;
} cutter;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "no memory to cut the text into words");
}

/* All of text as spans, matching and not, in order. */
static agon_status find_spans(cutter *c, size_t i, const char *text, size_t n) {
    const step *s = &c->p->steps[i];
    buffer *list = &c->spans[i];
    buffer_clear(list);
    size_t done = 0, at = 0;
    bool ok = true;
    while (at < n) {
        int r = pcre2_match(s->code, (PCRE2_SPTR)text, n, at, PCRE2_NO_UTF_CHECK, c->match[i], c->limits);
        if (r == PCRE2_ERROR_NOMATCH)
            break;
        if (r < 0)
            return ctx_fail(c->ctx, AGON_EFORMAT,
                            "the tokenizer's pre-tokenizer pattern gave up on a text of %zu bytes (PCRE2 %d)",
                            n, r);
        const size_t *found = pcre2_get_ovector_pointer(c->match[i]);
        if (found[1] <= found[0]) { /* an empty match cuts nothing; look on behind the next character */
            at = found[0] + 1;
            while (at < n && ((uint8_t)text[at] & 0xc0) == 0x80)
                at++;
            continue;
        }
        if (found[0] > done)
            ok = ok && buffer_append(list, &(span){done, found[0], s->invert}, sizeof(span));
        ok = ok && buffer_append(list, &(span){found[0], found[1], !s->invert}, sizeof(span));
        done = at = found[1];
    }
    if (done < n)
        ok = ok && buffer_append(list, &(span){done, n, s->invert}, sizeof(span));
    return ok ? AGON_OK : no_memory(c->ctx);
}

/* Joins spans as the behaviour asks; returns how many are left. */
static size_t join_spans(behaviour b, span *spans, size_t n) {
    size_t m = 0;
    bool previous = false;
    if (b == MERGED_WITH_NEXT) { /* a match joins what follows it, unless that is a match */
        for (size_t i = 0; i < n; i++)
            if (i + 1 < n && spans[i].match && !spans[i + 1].match) {
                spans[m++] = (span){spans[i].start, spans[i + 1].end, false};
                i++;
            } else {
                spans[m++] = spans[i];
            }
        return m;
    }
    for (size_t i = 0; i < n; i++) {
        span s = spans[i];
        bool join = m > 0 && ((b == CONTIGUOUS && s.match == previous) ||
                              (b == MERGED_WITH_PREVIOUS && s.match && !previous));
        if (join)
            spans[m - 1].end = s.end;
        else if (b != REMOVED || !s.match)
            spans[m++] = s;
        previous = s.match;
    }
    return m;
}

static agon_status cut(cutter *c, size_t i, const char *text, size_t n, size_t start);

static agon_status cut_prefixed(cutter *c, size_t i, const char *text, size_t n, size_t start) {
    buffer with_space = {0};
    agon_status s = AGON_OK;
    if (!buffer_char(&with_space, ' ') || !buffer_append(&with_space, text, n))
        s = no_memory(c->ctx);
    else /* offsets count the text as it was given: one less */
        s = cut(c, i, with_space.data, with_space.size, start - 1);
    buffer_free(&with_space);
    return s;
}

/* Offset arithmetic is modulo 2^64: start - 1 of a prefixed piece is undone by the space's own length. */
static agon_status cut(cutter *c, size_t i, const char *text, size_t n, size_t start) {
    if (n == 0)
        return AGON_OK;
    if (i == c->p->n_steps) {
        c->word(c->arg, text, n, start);
        return AGON_OK;
    }
    const step *st = &c->p->steps[i];
    if (st->prefix_space && text[0] != ' ')
        return cut_prefixed(c, i, text, n, start);
    if (!st->code)
        return cut(c, i + 1, text, n, start);
    agon_status s = find_spans(c, i, text, n);
    if (s)
        return s;
    span *spans = (span *)(void *)c->spans[i].data;
    size_t n_spans = join_spans(st->behaviour, spans, c->spans[i].size / sizeof(span));
    for (size_t k = 0; !s && k < n_spans; k++)
        s = cut(c, i + 1, text + spans[k].start, spans[k].end - spans[k].start, start + spans[k].start);
    return s;
}

agon_status pretokenizer_run(agon_ctx *ctx, const pretokenizer *p, const char *text, size_t n,
                             pretokenizer_word word, void *arg) {
    cutter c = {.ctx = ctx, .p = p, .word = word, .arg = arg};
    agon_status s = AGON_OK;
    c.limits = pcre2_match_context_create(NULL);
    if (!c.limits)
        s = no_memory(ctx);
    else
        pcre2_set_match_limit(c.limits, MATCH_LIMIT);
    for (size_t i = 0; !s && i < p->n_steps; i++) {
        buffer_init(&c.spans[i], SIZE_MAX / 2);
        if (p->steps[i].code && !(c.match[i] = pcre2_match_data_create(1, NULL)))
            s = no_memory(ctx);
    }
    if (!s)
        s = cut(&c, 0, text, n, 0);
    for (size_t i = 0; i < p->n_steps; i++) {
        pcre2_match_data_free(c.match[i]);
        buffer_free(&c.spans[i]);
    }
    pcre2_match_context_free(c.limits);
    return s;
}

/* ---- the names of GGUF files ---------------------------------------------------------------------- */

#define BYTE_LEVEL(regex)                                                                             \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":" regex "}"
#define SPLIT(pattern)                                                                                \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define SEQUENCE(list) "{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}"
#define DIGITS "{\"type\":\"Digits\",\"individual_digits\":true}"
#define NFC "{\"type\":\"NFC\"}"

/* GPT-4's pattern with digits in groups of up to three (Llama 3) or one by one (Qwen 2). */
#define GPT4(digits)                                                                                  \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
/* Mistral's Tekken: words cut at changes of case. */
#define UPPER "\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}"
#define LOWER "\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}"
#define TEKKEN                                                                                        \
    "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[" UPPER "]*[" LOWER "]+|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[" UPPER      \
    "]+[" LOWER "]*|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|\\\\s*[\\\\r\\\\n]+|"            \
    "\\\\s+(?!\\\\S)|\\\\s+"
#define GPT2_JSON                                                                                     \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+"
#define LLAMA3_JSON SEQUENCE(SPLIT(GPT4("\\\\p{N}{1,3}")) "," BYTE_LEVEL("false"))
#define QWEN2_JSON SEQUENCE(SPLIT(GPT4("\\\\p{N}")) "," BYTE_LEVEL("false"))
#define SMOLLM_JSON SEQUENCE(DIGITS "," BYTE_LEVEL("true"))

static const named_pretokenizer named[] = {
    {"smollm", "null", SMOLLM_JSON, false, false},
    {"starcoder", "null", SMOLLM_JSON, false, false},
    {"gpt-2", "null", BYTE_LEVEL("true"), false, false},
    {"gpt2", "null", BYTE_LEVEL("true"), false, false},
    {"llama-bpe", "null", LLAMA3_JSON, true, true},
    {"llama3", "null", LLAMA3_JSON, true, true},
    {"llama-v3", "null", LLAMA3_JSON, true, true},
    {"qwen2", NFC, QWEN2_JSON, false, false},
    {"deepseek-r1-qwen", NFC, QWEN2_JSON, false, false},
    {"tekken", "null", SEQUENCE(SPLIT(TEKKEN) "," BYTE_LEVEL("false")), true, true},
    /* What llama.cpp assumes of files that name none. */
    {"default", "null",
     SEQUENCE(SPLIT("[\\\\p{P}\\\\$\\\\+<=>\\\\^~\\\\|]+") "," SPLIT(GPT2_JSON) "," SPLIT("\\\\p{N}+") "," SPLIT(
         "[0-9][0-9][0-9]") "," BYTE_LEVEL("false")),
     false, false},
};

const named_pretokenizer *named_pretokenizer_at(size_t i) {
    return i < sizeof named / sizeof *named ? &named[i] : NULL;
}

const named_pretokenizer *named_pretokenizer_find(const char *name) {
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(named[i].name, name) == 0)
            return &named[i];
    return NULL;
}

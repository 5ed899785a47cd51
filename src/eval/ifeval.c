/* See ifeval.h. One function a kind; patterns as in the paper's published rules, on UTF-8 text.
 *
 * Departures, where the original calls Python packages: sentences end at . ! ? before white space and no known abbreviation
 * (nltk's punkt there), words in capitals are runs of letters and digits (nltk's tokenizer), and a language is told as in
 * language.h (langdetect). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "eval/ifeval.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/nearest.h"
#include "eval/language.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MATCH_LIMIT = 100000, MAX_SEGMENTS = 1024, MAX_RESPONSE = 16 * 1024 };

/* What a check works on. `status` keeps the first fault. */
typedef struct check {
    agon_ctx *ctx;
    const char *kind;
    const json_t *kwargs;
    const char *text;  /* valid UTF-8 */
    const char *lower; /* in lower case */
    agon_status status;
} check;

static void fail(check *c, agon_status status, const char *why) {
    if (!c->status)
        c->status = ctx_fail(c->ctx, status, "%s: %s", c->kind, why);
}

static size_t number_of(check *c, const char *key) {
    const json_t *v = json_object_get(c->kwargs, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        fail(c, AGON_EINVAL, key);
    return (size_t)json_integer_value(v);
}

static const char *text_of(check *c, const char *key) {
    const char *v = json_string_value(json_object_get(c->kwargs, key));
    if (!v || !*v)
        fail(c, AGON_EINVAL, key);
    return v ? v : "";
}

static bool related(check *c, const char *key, size_t n, size_t bound) {
    bool less = strcmp(text_of(c, key), "less than") == 0;
    if (!less && strcmp(text_of(c, key), "at least") != 0)
        fail(c, AGON_EINVAL, key);
    return less ? n < bound : n >= bound;
}

/* ---- patterns ---------------------------------------------------------------------------------------- */

typedef struct span {
    size_t start, end;
} span;

/* Matches of a pattern, at most MAX_SEGMENTS of them into spans (NULL: count only). */
static size_t find_all(check *c, const char *pattern, uint32_t options, const char *text, span *spans) {
    int error;
    PCRE2_SIZE where, at = 0, n = strlen(text);
    size_t count = 0;
    uint32_t flags = options & PCRE2_LITERAL ? PCRE2_UTF : PCRE2_UTF | PCRE2_UCP;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options | flags, &error, &where, NULL);
    pcre2_match_data *found = code ? pcre2_match_data_create_from_pattern(code, NULL) : NULL;
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (!found || !limits)
        fail(c, code ? AGON_ENOMEM : AGON_EINVAL, code ? "out of memory for a pattern" : "no pattern");
    else
        pcre2_set_match_limit(limits, MATCH_LIMIT);
    while (found && limits && at <= n && (!spans || count < MAX_SEGMENTS)) {
        /* The text is known to be UTF-8; checking it again for each match would take quadratic time. */
        if (pcre2_match(code, (PCRE2_SPTR)text, n, at, PCRE2_NO_UTF_CHECK, found, limits) < 0)
            break; /* none left, or a text made to be slow: what was found so far counts */
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(found);
        if (spans)
            spans[count] = (span){o[0], o[1]};
        count++;
        at = o[1] > o[0] ? o[1] : o[1] + 1;
        while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80)
            at++;
    }
    pcre2_match_data_free(found);
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
    return count;
}

static size_t count(check *c, const char *pattern, uint32_t options) {
    return find_all(c, pattern, options, c->text, NULL);
}

/* The parts of the text between matches, of which there is one more than matches. */
static size_t split(check *c, const char *pattern, span *parts) {
    span *cuts = calloc(MAX_SEGMENTS, sizeof *cuts);
    if (!cuts) {
        fail(c, AGON_ENOMEM, "out of memory");
        return 0;
    }
    size_t n = find_all(c, pattern, 0, c->text, cuts), at = 0;
    if (n == MAX_SEGMENTS)
        n--;
    for (size_t i = 0; i < n; i++) {
        parts[i] = (span){at, cuts[i].start};
        at = cuts[i].end;
    }
    parts[n] = (span){at, strlen(c->text)};
    free(cuts);
    return n + 1;
}

static span trim(const char *text, span s) {
    while (s.start < s.end && strchr(" \t\r\n\v\f", text[s.start]))
        s.start++;
    while (s.end > s.start && strchr(" \t\r\n\v\f", text[s.end - 1]))
        s.end--;
    return s;
}

static bool blank(const char *text, span s) {
    s = trim(text, s);
    return s.start == s.end;
}

static span whole(const char *text) {
    return trim(text, (span){0, strlen(text)});
}

/* Letters and digits as they are, the rest escaped, so that a word can stand in a pattern. */
static char *pattern_of(check *c, const char *before, const char *word, const char *after) {
    buffer b = {0};
    buffer_text(&b, before);
    for (; *word; word++) {
        bool plain = (unsigned char)*word >= 0x80 || strchr("_ ", *word) || (*word >= '0' && *word <= '9') ||
                     ((*word | 32) >= 'a' && (*word | 32) <= 'z');
        if (!plain)
            buffer_char(&b, '\\');
        buffer_char(&b, *word);
    }
    buffer_text(&b, after);
    char *pattern = buffer_take(&b);
    if (!pattern)
        fail(c, AGON_ENOMEM, "out of memory for a pattern");
    return pattern;
}

static size_t count_around(check *c, const char *before, const char *word, const char *after, uint32_t options) {
    char *pattern = pattern_of(c, before, word, after);
    size_t n = pattern ? count(c, pattern, options) : 0;
    free(pattern);
    return n;
}

static char *lowered(agon_ctx *ctx, const char *text, agon_status *status) {
    buffer b = {0};
    for (const char *at = text; *at;) {
        utf8proc_int32_t code;
        utf8proc_uint8_t bytes[4];
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &code);
        if (n <= 0) {
            buffer_char(&b, '?'); /* not UTF-8 */
            at++;
            continue;
        }
        at += n;
        buffer_append(&b, bytes, (size_t)utf8proc_encode_char(utf8proc_tolower(code), bytes));
    }
    char *taken = buffer_take(&b);
    if (!taken)
        *status = ctx_fail(ctx, AGON_ENOMEM, "out of memory for a response");
    return taken;
}

/* ---- the kinds --------------------------------------------------------------------------------------- */

static bool existence(check *c) {
    size_t i;
    const json_t *v, *list = json_object_get(c->kwargs, "keywords");
    bool all = true;
    if (json_array_size(list) == 0)
        fail(c, AGON_EINVAL, "keywords");
    json_array_foreach(list, i, v) {
        const char *word = json_string_value(v);
        all = all && word && count(c, word, PCRE2_LITERAL | PCRE2_CASELESS) > 0;
    }
    return all;
}

static bool frequency(check *c) {
    return related(c, "relation", count(c, text_of(c, "keyword"), PCRE2_LITERAL | PCRE2_CASELESS), number_of(c, "frequency"));
}

static bool forbidden_words(check *c) {
    size_t i;
    const json_t *v, *list = json_object_get(c->kwargs, "forbidden_words");
    bool none = true;
    if (json_array_size(list) == 0)
        fail(c, AGON_EINVAL, "forbidden_words");
    json_array_foreach(list, i, v) {
        const char *word = json_string_value(v);
        none = none && word && count_around(c, "\\b", word, "\\b", PCRE2_CASELESS) == 0;
    }
    return none;
}

static bool letter_frequency(check *c) {
    return related(c, "let_relation", count(c, text_of(c, "letter"), PCRE2_LITERAL | PCRE2_CASELESS),
                   number_of(c, "let_frequency"));
}

static bool response_language(check *c) {
    const char *code = text_of(c, "language");
    if (!language_known(code))
        fail(c, AGON_EINVAL, "a language that is not among those told apart here");
    return language_known(code) && language_is(c->lower, code);
}

static bool number_sentences(check *c) {
    /* An end is no end after "Mr.", initials and the like; what follows the last end is one more sentence. */
    static const char ends[] = "(?<!\\bMr)(?<!\\bMrs)(?<!\\bMs)(?<!\\bDr)(?<!\\bSt)(?<!\\bvs)(?<!\\be\\.g)(?<!\\bi\\.e)"
                               "(?<!\\b[A-Z])[.!?]+[\"'\\x{201d}\\x{2019})\\]*]*(?=\\s)\\s+(?=\\S)";
    size_t n = blank(c->text, (span){0, strlen(c->text)}) ? 0 : count(c, ends, 0) + 1;
    return related(c, "relation", n, number_of(c, "num_sentences"));
}

static bool number_words(check *c) {
    return related(c, "relation", count(c, "\\w+", 0), number_of(c, "num_words"));
}

static bool number_paragraphs(check *c) {
    span parts[MAX_SEGMENTS];
    size_t n = split(c, "\\s?\\*\\*\\*\\s?", parts), kept = n;
    for (size_t i = 0; i < n; i++) {
        if (!blank(c->text, parts[i]))
            continue;
        if (i != 0 && i != n - 1)
            return false;
        kept--;
    }
    return kept == number_of(c, "num_paragraphs");
}

static bool nth_paragraph_first_word(check *c) {
    span parts[MAX_SEGMENTS];
    size_t n = split(c, "\\n\\n", parts), kept = 0, nth = number_of(c, "nth_paragraph");
    const char *first = text_of(c, "first_word");
    for (size_t i = 0; i < n; i++)
        kept += !blank(c->text, parts[i]);
    if (kept != number_of(c, "num_paragraphs") || nth < 1 || nth > kept || nth > n)
        return false;
    span p = trim(c->text, parts[nth - 1]);
    while (p.start < p.end && strchr("'\"", c->text[p.start]))
        p.start++;
    size_t end = p.start;
    while (end < p.end && !strchr(" \t\r\n.,?!'\"", c->text[end]))
        end++;
    return end - p.start == strlen(first) && strncasecmp(c->text + p.start, first, end - p.start) == 0;
}

static bool number_placeholders(check *c) {
    return count(c, "\\[.*?\\]", 0) >= number_of(c, "num_placeholders");
}

static bool postscript(check *c) {
    const char *marker = text_of(c, "postscript_marker");
    if (strcmp(marker, "P.P.S") == 0)
        return count(c, "p\\.\\s?p\\.\\s?s", PCRE2_CASELESS) > 0;
    if (strcmp(marker, "P.S.") == 0)
        return count(c, "p\\.\\s?s\\.", PCRE2_CASELESS) > 0;
    return count(c, marker, PCRE2_LITERAL | PCRE2_CASELESS) > 0;
}

static bool number_bullet_lists(check *c) {
    return count(c, "^\\s*\\*[^\\*].*$", PCRE2_MULTILINE) + count(c, "^\\s*-.*$", PCRE2_MULTILINE) ==
           number_of(c, "num_bullets");
}

static bool constrained_response(check *c) {
    return strstr(c->text, "My answer is yes.") || strstr(c->text, "My answer is no.") ||
           strstr(c->text, "My answer is maybe.");
}

/* Matches that hold something besides asterisks and white space. */
static size_t count_filled(check *c, const char *pattern) {
    span *found = calloc(MAX_SEGMENTS, sizeof *found);
    if (!found) {
        fail(c, AGON_ENOMEM, "out of memory");
        return 0;
    }
    size_t n = find_all(c, pattern, 0, c->text, found), filled = 0;
    for (size_t i = 0; i < n; i++) {
        while (found[i].start < found[i].end && strchr("* \t\r", c->text[found[i].start]))
            found[i].start++;
        filled += found[i].start < found[i].end;
    }
    free(found);
    return filled;
}

static bool number_highlighted_sections(check *c) {
    return count_filled(c, "\\*[^\\n*]*\\*") + count_filled(c, "\\*\\*[^\\n*]*\\*\\*") >= number_of(c, "num_highlights");
}

static bool multiple_sections(check *c) {
    return count_around(c, "\\s?", text_of(c, "section_spliter"), "\\s?\\d+\\s?", 0) >= number_of(c, "num_sections");
}

static bool json_format(check *c) {
    span s = whole(c->text);
    if (strncmp(c->text + s.start, "```", 3) == 0) {
        s.start += 3;
        if (strncasecmp(c->text + s.start, "json", 4) == 0)
            s.start += 4;
    }
    if (s.end >= s.start + 3 && strncmp(c->text + s.end - 3, "```", 3) == 0)
        s.end -= 3;
    json_t *value = json_loadb(c->text + s.start, s.end - s.start, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool good = value != NULL;
    json_decref(value);
    return good;
}

static bool title(check *c) {
    return count(c, "<<[^\\n]*[^\\s<>][^\\n]*>>", 0) > 0;
}

static bool two_responses(check *c) {
    span parts[MAX_SEGMENTS], kept[MAX_SEGMENTS];
    size_t n = split(c, "\\*{6}", parts), k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!blank(c->text, parts[i]))
            kept[k++] = trim(c->text, parts[i]);
        else if (i != 0 && i != n - 1)
            return false;
    }
    return k == 2 && (kept[0].end - kept[0].start != kept[1].end - kept[1].start ||
                      memcmp(c->text + kept[0].start, c->text + kept[1].start, kept[0].end - kept[0].start) != 0);
}

/* The response begins (or ends) with a text, whatever the case. */
static bool has_edge(check *c, const char *wanted, bool at_end, const char *also_strip) {
    char *lower = lowered(c->ctx, wanted, &c->status);
    if (!lower)
        return false;
    span have = whole(c->lower), want = whole(lower);
    while (have.start < have.end && strchr(also_strip, c->lower[have.start]))
        have.start++;
    while (have.end > have.start && strchr(also_strip, c->lower[have.end - 1]))
        have.end--;
    size_t n = want.end - want.start;
    bool good = have.end - have.start >= n &&
                memcmp(at_end ? c->lower + have.end - n : c->lower + have.start, lower + want.start, n) == 0;
    free(lower);
    return good;
}

static bool repeat_prompt(check *c) {
    return has_edge(c, text_of(c, "prompt_to_repeat"), false, "");
}

static bool end_checker(check *c) {
    const char *phrase = text_of(c, "end_phrase");
    return has_edge(c, phrase, true, "\"") || has_edge(c, phrase, true, "");
}

static bool capital_word_frequency(check *c) {
    size_t n = count(c, "\\b(?=\\w*\\p{Lu})[^\\W\\p{Ll}]+\\b", 0);
    return related(c, "capital_relation", n, number_of(c, "capital_frequency"));
}

/* Letters of one case only, at least one. */
static bool one_case(check *c, bool upper) {
    return count(c, upper ? "\\p{Lu}" : "\\p{Ll}", 0) > 0 && count(c, upper ? "[\\p{Ll}\\p{Lt}]" : "[\\p{Lu}\\p{Lt}]", 0) == 0;
}

static bool english_capital(check *c) {
    return one_case(c, true) && language_is(c->lower, "en");
}

static bool english_lowercase(check *c) {
    return one_case(c, false) && language_is(c->lower, "en");
}

static bool no_comma(check *c) {
    return !strchr(c->text, ',');
}

static bool quotation(check *c) {
    span s = whole(c->text);
    return s.end - s.start > 1 && c->text[s.start] == '"' && c->text[s.end - 1] == '"';
}

static const struct {
    const char *kind;
    bool (*holds)(check *c);
} table[] = {
    {"keywords:existence", existence},
    {"keywords:frequency", frequency},
    {"keywords:forbidden_words", forbidden_words},
    {"keywords:letter_frequency", letter_frequency},
    {"language:response_language", response_language},
    {"length_constraints:number_sentences", number_sentences},
    {"length_constraints:number_paragraphs", number_paragraphs},
    {"length_constraints:number_words", number_words},
    {"length_constraints:nth_paragraph_first_word", nth_paragraph_first_word},
    {"detectable_content:number_placeholders", number_placeholders},
    {"detectable_content:postscript", postscript},
    {"detectable_format:number_bullet_lists", number_bullet_lists},
    {"detectable_format:constrained_response", constrained_response},
    {"detectable_format:number_highlighted_sections", number_highlighted_sections},
    {"detectable_format:multiple_sections", multiple_sections},
    {"detectable_format:json_format", json_format},
    {"detectable_format:title", title},
    {"combination:two_responses", two_responses},
    {"combination:repeat_prompt", repeat_prompt},
    {"startend:end_checker", end_checker},
    {"change_case:capital_word_frequency", capital_word_frequency},
    {"change_case:english_capital", english_capital},
    {"change_case:english_lowercase", english_lowercase},
    {"punctuation:no_comma", no_comma},
    {"startend:quotation", quotation},
};
enum { N_KINDS = sizeof table / sizeof *table };

const char *ifeval_kind(size_t i) {
    return i < N_KINDS ? table[i].kind : NULL;
}

/* ---- strict and loose -------------------------------------------------------------------------------- */

static agon_status variant(agon_ctx *ctx, const char *text, span s, bool asterisks, char **out) {
    buffer b = {0};
    s = trim(text, s);
    for (size_t i = s.start; i < s.end; i++)
        if (asterisks || text[i] != '*')
            buffer_char(&b, text[i]);
    *out = buffer_take(&b);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for a response");
}

agon_status ifeval_variants(agon_ctx *ctx, const char *response, char *out[IFEVAL_VARIANTS]) {
    const char *first = strchr(response, '\n'), *last = strrchr(response, '\n');
    size_t n = strlen(response), after = first ? (size_t)(first - response) + 1 : n, before = last ? (size_t)(last - response) : 0;
    const span cuts[] = {{0, n}, {after, n}, {0, before}, {after, before > after ? before : after}};
    char *made[IFEVAL_VARIANTS] = {0};
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < IFEVAL_VARIANTS; i++)
        s = variant(ctx, response, cuts[i / 2], i % 2 == 0, &made[i]);
    for (size_t i = 0; s && i < IFEVAL_VARIANTS; i++)
        free(made[i]);
    if (!s)
        memcpy(out, made, sizeof made);
    return s;
}

static agon_status holds_for(agon_ctx *ctx, size_t kind, const json_t *kwargs, const char *text, bool *holds) {
    check c = {.ctx = ctx, .kind = table[kind].kind, .kwargs = kwargs, .text = text};
    size_t n = strlen(text);
    *holds = false;
    if (n > MAX_RESPONSE) /* ten times what a learner may say: patterns take time that grows faster than the text */
        return AGON_OK;
    char *lower = lowered(ctx, text, &c.status);
    if (lower) {
        c.lower = lower;
        bool good = table[kind].holds(&c);
        *holds = good && !blank(text, (span){0, n});
    }
    free(lower);
    return c.status;
}

/* What is not UTF-8 becomes '?'. */
static agon_status clean(agon_ctx *ctx, const char *response, char **out) {
    buffer b = {0};
    for (const char *at = response; *at;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &code);
        buffer_append(&b, n > 0 ? at : "?", n > 0 ? (size_t)n : 1);
        at += n > 0 ? n : 1;
    }
    *out = buffer_take(&b);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for a response");
}

static agon_status find_kind(agon_ctx *ctx, const char *kind, size_t *out) {
    const char *names[N_KINDS];
    for (*out = 0; *out < N_KINDS; ++*out)
        if (strcmp(names[*out] = table[*out].kind, kind) == 0)
            return AGON_OK;
    const char *near = nearest_word(kind, names, N_KINDS);
    return ctx_fail(ctx, AGON_EINVAL, "no instruction of kind '%.60s'%s%s", kind, near ? "; the nearest is " : "", near ? near : "");
}

agon_status ifeval_check(agon_ctx *ctx, const char *kind, const json_t *kwargs, const char *response, bool *strict,
                         bool *loose) {
    char *text = NULL, *variants[IFEVAL_VARIANTS] = {0};
    bool as_is = false, any = false;
    size_t k;
    agon_status s = find_kind(ctx, kind, &k);
    if (!s)
        s = clean(ctx, response, &text);
    if (!s)
        s = holds_for(ctx, k, kwargs, text, &as_is);
    if (!s)
        s = ifeval_variants(ctx, text, variants);
    for (size_t i = 0; !s && !any && i < IFEVAL_VARIANTS; i++)
        s = holds_for(ctx, k, kwargs, variants[i], &any);
    for (size_t i = 0; i < IFEVAL_VARIANTS; i++)
        free(variants[i]);
    free(text);
    if (!s) {
        *strict = as_is;
        *loose = any || as_is;
    }
    return s;
}

void ifeval_aggregate(const bool *holds, const size_t *n_of, size_t n_prompts, double *prompts, double *instructions) {
    size_t n = 0, good = 0, all_good = 0;
    for (size_t p = 0; p < n_prompts; p++) {
        bool all = true;
        for (size_t i = 0; i < n_of[p]; i++, n++) {
            all = all && holds[n];
            good += holds[n];
        }
        all_good += all;
    }
    *prompts = n_prompts ? (double)all_good / (double)n_prompts : 0;
    *instructions = n ? (double)good / (double)n : 0;
}

/* Claims about how many words, sentences, commas, .. an answer has: counted again; and about how many are asked or allowed: looked up in the query's
 * constraints (spec: loop 3.6b). */
#include "base/ctx.h"
#include "task/calculation.h"
#include "task/critique_private.h"
#include "task/family.h"
#include "task/writing.h"
#include <string.h>

typedef enum unit { WORDS, SENTENCES, BULLETS, COMMAS, DIGITS, CAPITALS, SMALL_LETTERS, QUESTION_MARKS, EXCLAMATION_MARKS, UNITS } unit;

/* one: of which a single one is worth a word, "a comma"; of the others only numbers are claims. */
static const struct {
    const char *names, *plurals;
    bool one;
    const char *constraints[3]; /* that limit it: at most, at least, exactly */
    const char *forbids;
} units[UNITS] = {
    [WORDS] = {"word|words", "words", false, {"max_words", "min_words", "exact_words"}, NULL},
    [SENTENCES] = {"sentence|sentences", "sentences", false, {NULL, NULL, "sentences"}, NULL},
    [BULLETS] = {"bullet point|bullet points|bullet|bullets", "bullet points|bullets", false, {NULL, NULL, "bullets"}, NULL},
    [COMMAS] = {"comma|commas", "commas", true, {NULL}, "no_commas"},
    [DIGITS] = {"digit|digits", "digits", true, {NULL}, "no_digits"},
    [CAPITALS] = {"capital letter|capital letters|capital|capitals|uppercase letter|uppercase letters|upper case letter|upper case letters",
                  "capital letters|capitals|uppercase letters|upper case letters", true, {NULL}, "lower_case"},
    [SMALL_LETTERS] = {"lower case letter|lower case letters|lowercase letter|lowercase letters|small letter|small letters",
                       "lower case letters|lowercase letters|small letters", true, {NULL}, "upper_case"},
    [QUESTION_MARKS] = {"question mark|question marks", "question marks", true, {NULL}, NULL},
    [EXCLAMATION_MARKS] = {"exclamation mark|exclamation marks|exclamation point|exclamation points", "exclamation marks|exclamation points", true, {NULL}, NULL},
};

static bool is_unit(int32_t c, unit u) {
    switch (u) {
    case COMMAS:
        return c == ',' || c == 0xFF0C || c == 0x3001 || c == 0x60C;
    case DIGITS:
        return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
    case CAPITALS:
        return code_is_upper(c);
    case SMALL_LETTERS:
        return code_is_lower(c);
    case QUESTION_MARKS:
        return c == '?' || c == 0xFF1F;
    default:
        return c == '!' || c == 0xFF01;
    }
}

static size_t count(const char *text, unit u) {
    size_t n = 0, at = 0;
    if (u == WORDS || u == SENTENCES)
        return u == WORDS ? text_n_words(text) : text_n_sentences(text);
    if (u == BULLETS)
        return bullets(text);
    for (int32_t c; (c = text_next(text, &at));)
        n += is_unit(c, u);
    return n;
}

/* ---- how many are claimed ----------------------------------------------------------------------------------- */

typedef enum bound { EXACTLY, AT_LEAST, AT_MOST, MORE_THAN, LESS_THAN } bound;

static bool within(size_t n, bound b, size_t claimed) {
    switch (b) {
    case AT_LEAST:
        return n >= claimed;
    case AT_MOST:
        return n <= claimed;
    case MORE_THAN:
        return n > claimed;
    case LESS_THAN:
        return n < claimed;
    default:
        return n == claimed;
    }
}

/* The last `size` bytes before `at`, where they are words of their own. */
static bool behind(const char *text, size_t at, const char *phrases) {
    char phrase[64];
    while (at > 0 && text[at - 1] == ' ')
        at--;
    for (size_t k = 0; alternative(phrases, k, phrase, sizeof phrase); k++) {
        size_t n = strlen(phrase), end;
        if (n <= at && phrase_at(text, at - n, phrase, &end) && end == at && (at == n || !is_letter(text[at - n - 1])))
            return true;
    }
    return false;
}

static bound bound_before(const char *text, size_t at) {
    return behind(text, at, "at least|no fewer than|no less than")           ? AT_LEAST
           : behind(text, at, "at most|no more than|up to|a maximum of")     ? AT_MOST
           : behind(text, at, "more than|over|longer than")                  ? MORE_THAN
           : behind(text, at, "less than|fewer than|under|shorter than")     ? LESS_THAN
                                                                             : EXACTLY;
}

/* A whole number at text[start]. */
static bool whole_here(const char *text, size_t start, size_t *end, size_t *value) {
    number_token t;
    if (!is_digit(text[start]) || !number_here(text, start, &t) || t.invalid || t.value.denominator != 1 || t.value.numerator < 0)
        return false;
    *end = t.end;
    *value = (size_t)t.value.numerator;
    return true;
}

/* ---- limits of the query ---------------------------------------------------------------------------------------- */

/* The k-th constraint of a query; false past the last. */
static bool constraint_at(agon_ctx *ctx, const task_query *query, size_t k, const char **name, const json_t **arguments) {
    writing_request w;
    if (query && strcmp(query->family, "user") == 0) {
        *name = k == 0 ? json_string_value(json_object_get(query->parameters, "verifier")) : NULL;
        *arguments = json_object_get(query->parameters, "arguments");
        return *name != NULL;
    }
    if (!query || strcmp(query->family, "writing") != 0 || writing_read(ctx, query, &w) != AGON_OK || k >= w.n_constraints)
        return false;
    *name = w.form->constraints[k];
    *arguments = w.arguments[k];
    return true;
}

/* "at most 10 are allowed" against the query's own limit of the unit. */
static check_result check_limit(agon_ctx *ctx, const claim_facts *f, int u, bound b, size_t claimed) {
    const char *name;
    const json_t *arguments;
    for (size_t k = 0; u >= 0 && constraint_at(ctx, f->query, k, &name, &arguments); k++)
        for (int i = 0; i < 3; i++) {
            if (!units[u].constraints[i] || strcmp(name, units[u].constraints[i]) != 0)
                continue;
            const bool fits = b == EXACTLY || (b == AT_MOST && i == 0) || (b == AT_LEAST && i == 1);
            return fits && json_integer_value(json_object_get(arguments, "n")) == (json_int_t)claimed ? CHECK_HOLDS : CHECK_FAILS;
        }
    return CHECK_NONE;
}

/* "too many words", "too short": the query's limit is broken on that side. */
static check_result check_excess(agon_ctx *ctx, const claim_facts *f, unit u, bool many) {
    const char *name;
    const json_t *arguments;
    for (size_t k = 0; constraint_at(ctx, f->query, k, &name, &arguments); k++)
        for (int i = 0; i < 3; i++) {
            if (!units[u].constraints[i] || strcmp(name, units[u].constraints[i]) != 0)
                continue;
            const size_t n = count(f->response, u), limit = (size_t)json_integer_value(json_object_get(arguments, "n"));
            return (many ? i != 1 && n > limit : i != 0 && n < limit) ? CHECK_HOLDS : CHECK_FAILS;
        }
    return CHECK_NONE;
}

static check_result check_forbidden(agon_ctx *ctx, const claim_facts *f, unit u) {
    const char *name;
    const json_t *arguments;
    bool any = false;
    for (size_t k = 0; units[u].forbids && constraint_at(ctx, f->query, k, &name, &arguments); k++, any = true)
        if (strcmp(name, units[u].forbids) == 0)
            return CHECK_HOLDS;
    return any ? CHECK_FAILS : CHECK_NONE;
}

/* ---- the claims ---------------------------------------------------------------------------------------------------- */

#define WANTED "are asked|is asked|are allowed|is allowed|are required|is required|are requested|is requested|were asked|was asked|are expected|is expected|are needed|is needed"

/* Is the clause about the answer? Of a task about a sentence or a word, "the sentence has 4 words" is about that one. */
static bool about_answer(const clause *c, size_t to, const claim_facts *f) {
    span s;
    const bool puzzle = f->query && strcmp(f->query->family, "string") == 0;
    return !is_asked(c->words, to) && !(puzzle && any_phrase(c->words, 0, to, "sentence|word|phrase|text", &s));
}

static check_result counted(const claim_facts *f, unit u, bound b, size_t claimed) {
    return within(count(f->response, u), b, claimed) ? CHECK_HOLDS : CHECK_FAILS;
}

/* "has 12 words", "at most 10 words are allowed", "but 10 are asked". */
static check_result check_numbers(agon_ctx *ctx, const clause *c, const claim_facts *f, int *last) {
    const char *text = c->words;
    for (size_t at = 0, end, value; text[at]; at++) {
        if ((at > 0 && (is_letter(text[at - 1]) || is_digit(text[at - 1]))) || !whole_here(text, at, &end, &value))
            continue;
        const bound b = bound_before(text, at);
        size_t p = end;
        if (take_phrase(text, &p, WANTED))
            return check_limit(ctx, f, *last, b, value);
        (void)take_phrase(text, &p, "short|long|whole|full|complete|different|double");
        for (int u = 0; u < UNITS; u++) {
            size_t q = p;
            if (!take_phrase(text, &q, units[u].names))
                continue;
            *last = u;
            if (take_phrase(text, &q, WANTED) || is_asked(text, at))
                return check_limit(ctx, f, u, b, value);
            span s;
            if (!about_answer(c, at, f) || any_phrase(text, 0, at, "not|n't|doesn't|isn't|don't|never", &s))
                return CHECK_NONE;
            return counted(f, (unit)u, b, value);
        }
        at = end - 1;
    }
    return CHECK_NONE;
}

/* "uses a comma", "has no letters in capitals", "too many words", "commas are not allowed". */
static check_result check_presence(agon_ctx *ctx, const clause *c, const claim_facts *f) {
    const char *text = c->words;
    span s, w;
    for (int u = 0; u < UNITS; u++) {
        if (!any_phrase(text, 0, c->n, units[u].names, &s))
            continue;
        size_t p = s.end;
        if (take_phrase(text, &p, "are not allowed|is not allowed|are forbidden|is forbidden|were not allowed|was not allowed"))
            return check_forbidden(ctx, f, (unit)u);
        if (!about_answer(c, s.start, f))
            return CHECK_NONE;
        if (behind(text, s.start, "too many|too few"))
            return check_excess(ctx, f, (unit)u, behind(text, s.start, "too many"));
        if (!units[u].one)
            continue;
        const bool denied = any_phrase(text, 0, s.start, "not|doesn't|isn't|don't|never|lacks|lack|missing|fails to", &w);
        if (behind(text, s.start, "no|without|without any|without a|without an|zero"))
            return denied ? CHECK_NONE : counted(f, (unit)u, EXACTLY, 0);
        if (behind(text, s.start, "a|an|any|some|several|many|the|one") ||
            (behind(text, s.start, "uses|contains|has|includes|use|contain|have|include|using|with|lacks|missing|are|there are") &&
             any_phrase(text, s.start, s.end, units[u].plurals, &w)))
            return counted(f, (unit)u, denied ? EXACTLY : AT_LEAST, denied ? 0 : 1);
    }
    if (any_phrase(text, 0, c->n, "too long|too short", &s) && about_answer(c, s.start, f) && !any_phrase(text, 0, s.start, "not|isn't", &w))
        return check_excess(ctx, f, WORDS, any_phrase(text, s.start, s.end, "too long", &w));
    return CHECK_NONE;
}

check_result check_counts(agon_ctx *ctx, const clause *c, const claim_facts *facts, int *last_unit) {
    check_result r = check_numbers(ctx, c, facts, last_unit);
    return r ? r : check_presence(ctx, c, facts);
}

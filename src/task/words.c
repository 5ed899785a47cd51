/* See words.h. */
#include "task/words.h"
#include "base/buffer.h"
#include <stdio.h>
#include <string.h>

int32_t text_next(const char *text, size_t *at) {
    const uint8_t *s = (const uint8_t *)text + *at;
    if (!*s)
        return 0;
    int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate(s, (utf8proc_ssize_t)strnlen((const char *)s, 4), &c);
    *at += n > 0 ? (size_t)n : 1;
    return n > 0 ? c : 0xFFFD;
}

bool code_is_space(int32_t c) {
    if (c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85)
        return true;
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

bool code_is_letter(int32_t c) {
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool code_is_word(int32_t c) {
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}

bool code_is_upper(int32_t c) {
    return utf8proc_tolower(c) != c;
}

bool code_is_lower(int32_t c) {
    return utf8proc_toupper(c) != c;
}

int32_t code_fold(int32_t c) {
    return c == 0x2019 || c == 0x2018 ? '\'' : utf8proc_tolower(c);
}

bool token_next(const char *text, size_t *at, span *out) {
    size_t p = *at, before = p;
    for (;;) {
        int32_t c;
        while ((c = text_next(text, &p)) && code_is_space(c))
            before = p;
        size_t start = before;
        bool counts = false;
        while (c && !code_is_space(c)) {
            counts = counts || code_is_word(c);
            before = p;
            c = text_next(text, &p);
        }
        *out = (span){start, before};
        *at = before;
        if (counts)
            return true;
        if (!c)
            return false;
    }
}

size_t text_n_words(const char *text) {
    size_t at = 0, n = 0;
    for (span s; token_next(text, &at, &s);)
        n++;
    return n;
}

bool word_next(const char *text, size_t *at, span *out) {
    size_t p = *at, before = p;
    int32_t c;
    while ((c = text_next(text, &p)) && !code_is_word(c))
        before = p;
    *at = before;
    if (!c)
        return false;
    out->start = before;
    while (c && code_is_word(c)) {
        before = out->end = p;
        c = text_next(text, &p);
        if (c && code_fold(c) == '\'') { /* inside a word only */
            size_t q = p;
            int32_t d = text_next(text, &q);
            if (d && code_is_word(d))
                c = d, p = q;
        }
    }
    *at = out->end;
    return true;
}

span text_trim(const char *text) {
    size_t at = 0, before = 0;
    span s = {0, 0};
    bool any = false;
    for (int32_t c; (c = text_next(text, &at)); before = at)
        if (!code_is_space(c)) {
            if (!any)
                s.start = before;
            any = true;
            s.end = at;
        }
    return s;
}

bool phrase_at(const char *text, size_t at, const char *phrase, size_t *end) {
    size_t p = 0;
    int32_t want, have;
    while ((want = text_next(phrase, &p))) {
        have = text_next(text, &at);
        if (!have)
            return false;
        if (code_is_space(want)) {
            if (!code_is_space(have))
                return false;
            for (size_t q = p; (want = text_next(phrase, &q)) && code_is_space(want);)
                p = q;
            for (size_t q = at; (have = text_next(text, &q)) && code_is_space(have);)
                at = q;
        } else if (code_fold(want) != code_fold(have)) {
            return false;
        }
    }
    *end = at;
    return true;
}

bool phrase_find(const char *text, size_t from, const char *phrase, span *out) {
    size_t at = from, end, first = 0, last_at = 0;
    int32_t c, last = 0;
    bool inside = false; /* directly behind a letter or digit */
    int32_t head = text_next(phrase, &first);
    for (int32_t d; (d = text_next(phrase, &last_at));)
        last = d;
    if (!head)
        return false;
    for (size_t before = at; (c = text_next(text, &at)); before = at) {
        if (!(inside && code_is_word(head)) && phrase_at(text, before, phrase, &end)) {
            size_t q = end;
            int32_t behind = text_next(text, &q);
            if (!behind || !code_is_word(behind) || !code_is_word(last)) {
                *out = (span){before, end};
                return true;
            }
        }
        inside = code_is_word(c);
    }
    return false;
}

bool stem_find(const char *text, const char *stem, span *out) {
    size_t at = 0, end;
    while (word_next(text, &at, out))
        if (phrase_at(text, out->start, stem, &end))
            return true;
    return false;
}

bool alternative(const char *list, size_t k, char *out, size_t size) {
    for (; k > 0; k--) {
        list = strchr(list, '|');
        if (!list)
            return false;
        list++;
    }
    size_t n = strcspn(list, "|");
    snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), list);
    return true;
}

/* ---- sentences ----------------------------------------------------------------------------------- */

static bool is_abbreviation(const char *text, size_t start, size_t stop) {
    static const char *const known[] = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "p.s", "a.m", "p.m", "u.s"};
    size_t n = stop - start, end;
    if (n == 1 && text[start] >= 'A' && text[start] <= 'Z' && text[start] != 'I')
        return true; /* an initial */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n == strlen(known[i]) && phrase_at(text, start, known[i], &end))
            return true;
    return false;
}

static bool code_ends_sentence(int32_t c) {
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
}

static bool code_closes(int32_t c) {
    return c && (strchr("\"')]}*>", c < 128 ? c : 1) || c == 0x201D || c == 0x2019 || c == 0xBB);
}

/* Is there an end of a sentence right behind text[at]: closing marks, then white space or nothing? *open: up to where it is known that there is
 * none, so that a row of marks is read once. */
static bool closes_here(const char *text, size_t at, size_t *open) {
    size_t before = at;
    if (at < *open)
        return false;
    int32_t c = text_next(text, &at);
    for (; c && (code_ends_sentence(c) || code_closes(c)); before = at)
        c = text_next(text, &at);
    bool closes = !c || code_is_space(c);
    *open = closes ? *open : before;
    return closes;
}

size_t text_sentences(const char *text, span *out, size_t max) {
    size_t n = 0, at = 0, token = 0, start = 0, open = 0;
    bool words = false, line_start = true, digits = true; /* digits: the token so far has nothing else */
    int32_t c;
    for (size_t before = 0; (c = text_next(text, &at)); before = at) {
        bool ends = false, numbering = false;
        if (code_is_space(c)) {
            token = at;
            digits = true;
            ends = c == '\n' && line_start && words; /* an empty line */
            line_start = line_start || c == '\n';
        } else {
            numbering = line_start && c == '.' && digits && before > token;
            digits = digits && c >= '0' && c <= '9';
            if (code_ends_sentence(c) && words && !numbering) {
                bool wide = c >= 0x3002;
                bool abbreviation = c == '.' && text[at] && is_abbreviation(text, token, before);
                ends = wide || (!abbreviation && closes_here(text, at, &open));
            }
        }
        if (ends && n < max)
            out[n] = (span){start, at};
        if (ends)
            n++, words = false, start = at;
        if (code_is_space(c))
            continue;
        words = (words || code_is_word(c)) && !numbering;
        line_start = line_start && (digits || c == '.');
    }
    if (words && n < max)
        out[n] = (span){start, at};
    return n + words;
}

size_t text_n_sentences(const char *text) {
    return text_sentences(text, NULL, 0);
}

/* ---- copies -------------------------------------------------------------------------------------- */

const char *excerpt(const char *text, size_t start, size_t end, char out[EXCERPT_SIZE]) {
    size_t n = 0;
    int32_t c;
    for (int k = 0; start < end && (c = text_next(text, &start)); k++) {
        if (k == 40) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        n += (size_t)utf8proc_encode_char(c < ' ' || c == 127 ? ' ' : c, (uint8_t *)out + n);
    }
    out[n] = 0;
    return out;
}

static char *text_map(const char *text, int32_t (*map)(int32_t)) {
    buffer b = {0};
    int32_t c;
    for (size_t at = 0; (c = text_next(text, &at));) {
        uint8_t bytes[4];
        buffer_append(&b, bytes, (size_t)utf8proc_encode_char(map(c), bytes));
    }
    return buffer_take(&b);
}

char *text_lower(const char *text) {
    return text_map(text, utf8proc_tolower);
}

char *text_upper(const char *text) {
    return text_map(text, utf8proc_toupper);
}

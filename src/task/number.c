/* Numbers in natural text, in digits and in words. Reading is one pass over bytes, so any content is safe. */
#include "task/number.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "task/words.h"

enum { MAX_DIGITS = 18 };

bool rational_equal(rational a, rational b) {
    return a.numerator == b.numerator && a.denominator == b.denominator;
}

void rational_text(rational r, char *out, size_t size) {
    if (r.denominator == 1)
        snprintf(out, size, "%lld", (long long)r.numerator);
    else
        snprintf(out, size, "%lld/%lld", (long long)r.numerator, (long long)r.denominator);
}

static rational reduced(int64_t numerator, int64_t denominator) {
    int64_t a = numerator, b = denominator;
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    if (a < 0)
        a = -a;
    return a ? (rational){numerator / a, denominator / a} : (rational){0, 1};
}

/* ---- one number ------------------------------------------------------------------------------------ */

/* Digits of text[*i, end) appended to *value; false when it grew beyond 18 digits. */
static bool read_digits(const char *text, size_t *i, size_t end, int64_t *value, int *n) {
    bool fits = true;
    for (; *i < end && is_digit(text[*i]); (*i)++) {
        if (*n > 0 || text[*i] != '0')
            ++*n;
        fits = fits && *n <= MAX_DIGITS;
        if (fits)
            *value = *value * 10 + (text[*i] - '0');
    }
    return fits;
}

/* ",ddd" and no fourth digit. */
static bool is_group(const char *text, size_t i, size_t end) {
    return i + 3 < end && text[i] == ',' && is_digit(text[i + 1]) && is_digit(text[i + 2]) &&
           is_digit(text[i + 3]) && !(i + 4 < end && is_digit(text[i + 4]));
}

/* Decimals after the point at text[*i]: value becomes a fraction over *scale. */
static bool read_decimals(const char *text, size_t *i, size_t end, int64_t *value, int *n, int64_t *scale) {
    size_t stop = *i + 1;
    while (stop < end && is_digit(text[stop]))
        stop++;
    size_t last = stop;
    while (last > *i + 1 && text[last - 1] == '0')
        last--;
    bool fits = last - *i - 1 <= MAX_DIGITS - 1;
    size_t at = *i + 1;
    for (size_t k = at; fits && k < last; k++)
        *scale *= 10;
    fits = fits && read_digits(text, &at, last, value, n);
    *i = stop;
    return fits;
}

/* A minus sign before `start`, not the operator of "42-25" or "42 -25". */
static size_t sign_start(const char *text, size_t start) {
    size_t i = start;
    if (i > 0 && text[i - 1] == '$')
        i--;
    if (i >= 3 && memcmp(text + i - 3, "\xE2\x88\x92", 3) == 0)
        i -= 3;
    else if (i > 0 && text[i - 1] == '-')
        i--;
    else
        return start;
    size_t before = i;
    if (before > 0 && (isalnum((unsigned char)text[before - 1]) || text[before - 1] == '-'))
        return start;
    while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t'))
        before--;
    return before > 0 && (is_digit(text[before - 1]) || text[before - 1] == ')') ? start : i;
}

/* The number whose first digit (or leading point) is text[i]. */
static void read_number(const char *text, size_t i, size_t end, number_token *out) {
    int64_t value = 0, scale = 1;
    int n = 0;
    size_t at = i;
    bool fits = read_digits(text, &at, end, &value, &n), whole = true;
    if (at > i && at - i <= 3)
        for (; is_group(text, at, end); whole = false) {
            at++;
            fits = read_digits(text, &at, end, &value, &n) && fits;
        }
    if (at + 1 < end && text[at] == '.' && is_digit(text[at + 1])) {
        fits = read_decimals(text, &at, end, &value, &n, &scale) && fits;
        whole = false;
    }
    if (whole && at + 1 < end && text[at] == '/' && is_digit(text[at + 1])) {
        int64_t below = 0;
        int digits = 0;
        size_t stop = at + 1;
        bool small = read_digits(text, &stop, end, &below, &digits);
        if (small && below > 0) {
            scale = below;
            at = stop;
        }
    }
    size_t start = sign_start(text, i);
    if (start < i)
        value = -value;
    *out = (number_token){fits ? reduced(value, scale) : (rational){0, 1}, start, at, !fits};
}

bool number_next(const char *text, size_t from, size_t end, number_token *out) {
    for (size_t i = from; i < end; i++) {
        if (!is_digit(text[i]))
            continue;
        char before = i > 0 ? text[i - 1] : ' ';
        if (is_letter(before) && before != 'x' && before != 'X') {
            while (i + 1 < end && is_digit(text[i + 1]))
                i++;
            continue;
        }
        bool point = before == '.' && i > from && (i < 2 || strchr(" \t\n$(-", text[i - 2]));
        read_number(text, point ? i - 1 : i, end, out);
        return true;
    }
    return false;
}

/* ---- numbers in words ----------------------------------------------------------------------------- */

static const struct number_name {
    const char *word;
    int64_t numerator, denominator;
} number_names[] = {
    {"zero", 0, 1}, {"one", 1, 1}, {"two", 2, 1}, {"three", 3, 1}, {"four", 4, 1}, {"five", 5, 1}, {"six", 6, 1}, {"seven", 7, 1},
    {"eight", 8, 1}, {"nine", 9, 1}, {"ten", 10, 1}, {"eleven", 11, 1}, {"twelve", 12, 1}, {"thirteen", 13, 1},
    {"fourteen", 14, 1}, {"fifteen", 15, 1}, {"sixteen", 16, 1}, {"seventeen", 17, 1}, {"eighteen", 18, 1},
    {"nineteen", 19, 1}, {"twenty", 20, 1}, {"thirty", 30, 1}, {"forty", 40, 1}, {"fifty", 50, 1}, {"sixty", 60, 1},
    {"seventy", 70, 1}, {"eighty", 80, 1}, {"ninety", 90, 1}, {"hundred", 100, 1}, {"thousand", 1000, 1},
    {"million", 1000000, 1}, {"half", 1, 2}, {"quarter", 1, 4}, {"dozen", 12, 1},
    /* factors: kept apart from the numbers by a denominator that nothing else has */
    {"twice", 2, -1}, {"double", 2, -1}, {"thrice", 3, -1}, {"triple", 3, -1},
};

static bool is_one_of(const char *text, span s, const char *const *words, size_t n) {
    size_t end;
    for (size_t i = 0; i < n; i++)
        if (phrase_at(text, s.start, words[i], &end) && end == s.end)
            return true;
    return false;
}

static const struct number_name *number_name(const char *text, span s) {
    for (size_t i = 0; i < sizeof number_names / sizeof *number_names; i++)
        if (is_one_of(text, s, &number_names[i].word, 1))
            return &number_names[i];
    return NULL;
}

/* "the first one", "one of them". */
static bool is_pronoun(const char *text, span before, span one) {
    static const char *const determiners[] = {"the", "this", "that", "each", "every", "which", "any", "no", "first", "second", "last", "other"},
                      *const verbs[] = {"is", "was", "of", "that", "which", "comes"};
    size_t at = one.end;
    span after;
    return is_one_of(text, before, determiners, sizeof determiners / sizeof *determiners) ||
           (word_next(text, &at, &after) && is_one_of(text, after, verbs, sizeof verbs / sizeof *verbs));
}

/* "twenty" and "three", "three" and "hundred": one number? */
static bool joins(int64_t *whole, const struct number_name *name) {
    int64_t n = name->numerator;
    bool times = n == 100 || n == 1000 || n == 1000000;
    if (name->denominator != 1 || *whole == 0 || *whole >= 1000000 || (times && *whole % n == 0 && *whole >= n))
        return false;
    bool plus = (*whole >= 20 && *whole % 10 == 0 && n > 0 && n < 10) || (*whole >= 100 && *whole % 100 == 0 && n > 0 && n < 100);
    if (times)
        *whole *= n;
    else if (plus)
        *whole += n;
    return times || plus;
}

bool number_words_next(const char *text, size_t *at, bool one, number_token *out) {
    for (span s, before = {0, 0}; word_next(text, at, &s); before = s) {
        const struct number_name *name = number_name(text, s);
        if (!name || (name->numerator == 1 && name->denominator == 1 && (!one || is_pronoun(text, before, s))))
            continue;
        *out = (number_token){{name->numerator, name->denominator}, s.start, s.end, false};
        if (name->denominator != 1)
            return true;
        for (size_t p = *at; word_next(text, &p, &s) && s.start == out->end + 1 && strchr(" -", text[out->end]); *at = p) {
            name = number_name(text, s);
            if (!name || !joins(&out->value.numerator, name))
                break;
            out->end = s.end;
        }
        return true;
    }
    return false;
}

char *number_words_as_digits(const char *text) {
    char *copy = strdup(text), digits[24];
    number_token t;
    for (size_t at = 0; copy && number_words_next(text, &at, true, &t);) {
        size_t n = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)t.value.numerator);
        if (t.value.denominator != 1 || n > t.end - t.start)
            continue;
        memset(copy + t.start, ' ', t.end - t.start);
        memcpy(copy + t.start, digits, n);
    }
    return copy;
}

/* ---- numbers of a query ------------------------------------------------------------------------------- */

static bool has_exactly(const char *text, const int64_t *numbers, size_t n) {
    uint64_t used = 0;
    size_t seen = 0, end = strlen(text);
    if (n > 64)
        return false;
    number_token token;
    for (size_t i = 0; number_next(text, i, end, &token); i = token.end) {
        char *slash = memchr(text + token.start, '/', token.end - token.start);
        if (slash) { /* "84/4" in a question is two numbers */
            size_t cut = (size_t)(slash - text);
            number_next(text, token.start, cut, &token);
            token.end = cut;
        }
        size_t k = 0;
        while (k < n && ((used >> k & 1) || token.invalid || token.value.denominator != 1 ||
                         token.value.numerator != numbers[k]))
            k++;
        if (k == n)
            return false;
        used |= (uint64_t)1 << k;
        seen++;
    }
    return seen == n;
}

bool text_has_numbers(const char *text, const int64_t *numbers, size_t n) {
    if (has_exactly(text, numbers, n))
        return true;
    char *digits = number_words_as_digits(text); /* a rewording may say "5 times nine", a wording "sort these three" */
    bool has = digits && has_exactly(digits, numbers, n);
    free(digits);
    return has;
}

static void append_grouped(buffer *b, int64_t value) {
    if (value >= 1000) {
        append_grouped(b, value / 1000);
        buffer_printf(b, ",%03d", (int)(value % 1000));
    } else {
        buffer_printf(b, "%lld", (long long)value);
    }
}

char *text_replace_number(const char *text, int64_t from, int64_t to, size_t *n) {
    buffer b = {0};
    size_t copied = 0, end = strlen(text);
    number_token token;
    *n = 0;
    for (size_t i = 0; number_next(text, i, end, &token); i = token.end) {
        if (token.invalid || token.value.denominator != 1 || token.value.numerator != from)
            continue;
        buffer_append(&b, text + copied, token.start - copied);
        if (memchr(text + token.start, ',', token.end - token.start) && to >= 0)
            append_grouped(&b, to);
        else
            buffer_printf(&b, "%lld", (long long)to);
        copied = token.end;
        ++*n;
    }
    buffer_text(&b, text + copied);
    return buffer_take(&b);
}

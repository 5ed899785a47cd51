/* Numbers in natural text: which one is the answer, and is it meant as one?
 *
 * parse_number: after the last "####", in the last \boxed{}, after the last "answer is", else the last number of the
 * text that is not denied ("67, not 57"). Where a mark is followed by an expression ("the answer is 42 + 25 = 67") the value after its last
 * "=" counts.
 * number_find refuses on top what is no claim: one of several numbers offered, an expression left standing, a
 * negation. Reading is one pass over bytes, so any content is safe. */
#include "task/number.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buffer.h"
#include "task/claim.h"
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

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return isalpha((unsigned char)c) != 0;
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

/* ---- operators and expressions ----------------------------------------------------------------------- */

static size_t skip_blanks(const char *text, size_t i) {
    while (text[i] == ' ' || text[i] == '\t')
        i++;
    return i;
}

size_t number_operator(const char *text, size_t i, char *op) {
    static const struct {
        const char *sign;
        char op;
    } signs[] = {{"+", '+'},        {"-", '-'}, {"\xE2\x88\x92", '-'}, {"*", '*'},        {"x", '*'},
                 {"\xC3\x97", '*'}, {"/", '/'}, {"\xC3\xB7", '/'},     {"\\times", '*'}, {"\\div", '/'}};
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        size_t n = strlen(signs[k].sign);
        if (strncmp(text + i, signs[k].sign, n) == 0) {
            *op = signs[k].op;
            return n;
        }
    }
    return 0;
}

/* A number that starts at text[i] but for blanks, a sign and a currency sign. */
static bool number_here(const char *text, size_t i, number_token *out) {
    size_t at = skip_blanks(text, i);
    if (text[at] == '$')
        at++;
    if (text[at] == '-')
        at++;
    else if (strncmp(text + at, "\xE2\x88\x92", 3) == 0)
        at += 3;
    if (text[at] == '$')
        at++;
    return is_digit(text[at]) && number_next(text, at, strlen(text), out);
}

/* The value of an expression that starts with `first`: what stands after its last "=". */
static number_token evaluated(const char *text, number_token first) {
    number_token at = first, result = first;
    bool operated = false;
    for (;;) {
        size_t i = skip_blanks(text, at.end), n;
        char op;
        if (text[i] == '=' && operated) {
            if (!number_here(text, i + 1, &at))
                return result;
            result = at;
            operated = false;
        } else if ((n = number_operator(text, i, &op)) && number_here(text, i + n, &at)) {
            operated = true;
        } else {
            return result;
        }
    }
}

bool equation_next(const char *text, size_t from, equation *out) {
    size_t end = strlen(text), n;
    number_token a, b, c;
    char op, other;
    for (size_t i = from; number_next(text, i, end, &a); i = a.end) {
        size_t before = a.start, at = skip_blanks(text, a.end);
        while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t'))
            before--;
        if (before > 0 && strchr("+-*/x", text[before - 1]) && before > 1 && text[before - 1] != '\n')
            continue;
        if (!(n = number_operator(text, at, &op)) || !number_here(text, at + n, &b))
            continue;
        at = skip_blanks(text, b.end);
        if (text[at] != '=' || !number_here(text, at + 1, &c))
            continue;
        at = skip_blanks(text, c.end);
        number_token next;
        if ((n = number_operator(text, at, &other)) && number_here(text, at + n, &next))
            continue;
        const int64_t limit = 999999999;
        const number_token *all[] = {&a, &b, &c};
        bool small = true;
        for (size_t k = 0; k < 3; k++)
            small = small && !all[k]->invalid && all[k]->value.denominator == 1 &&
                    llabs(all[k]->value.numerator) <= limit;
        if (!small)
            continue;
        *out = (equation){a.value.numerator, b.value.numerator, c.value.numerator, op, a.start, c.end};
        return true;
    }
    return false;
}

bool equation_true(const equation *e) {
    if (e->op == '/')
        return e->b != 0 && e->b * e->c == e->a;
    int64_t value;
    return number_apply(e->a, e->op, e->b, &value) && value == e->c;
}

/* ---- which number counts ----------------------------------------------------------------------------- */

/* Where the last `word` (ASCII, any case) ends; 0: nowhere. */
static size_t after_last(const char *text, const char *word) {
    size_t n = strlen(word), found = 0;
    for (const char *p = text; (p = strcasestr(p, word)); p++)
        found = (size_t)(p - text) + n;
    return found;
}

/* The last "answer is" that is neither "answer is not" nor "answer isn't". */
static size_t after_answer_is(const char *text) {
    static const char *const negations[] = {" not", "n't", "n\xE2\x80\x99t"};
    size_t found = 0;
    for (const char *p = text; (p = strcasestr(p, "answer is")); p++) {
        const char *after = p + strlen("answer is");
        bool negated = false;
        for (size_t k = 0; k < sizeof negations / sizeof *negations; k++)
            negated |= strncasecmp(after, negations[k], strlen(negations[k])) == 0;
        if (!negated)
            found = (size_t)(after - text);
    }
    return found;
}

/* The end of the brace group whose inside starts at i, or of the text. */
static size_t group_end(const char *text, size_t i) {
    int depth = 1;
    for (; text[i]; i++) {
        depth += (text[i] == '{') - (text[i] == '}');
        if (depth == 0)
            break;
    }
    return i;
}

static bool counted(const char *text, number_token *out) {
    size_t end = strlen(text), from = after_last(text, "####");
    if (from && number_next(text, from, from + strcspn(text + from, "\n"), out)) {
        *out = evaluated(text, *out);
        return true;
    }
    from = after_last(text, "\\boxed{");
    if (from && number_next(text, from, group_end(text, from), out)) {
        *out = evaluated(text, *out);
        return true;
    }
    from = after_answer_is(text);
    if (from && number_next(text, from, end, out)) {
        *out = evaluated(text, *out);
        return true;
    }
    bool found = false, meant = false;
    number_token next;
    for (size_t i = 0; number_next(text, i, end, &next); i = next.end) {
        bool denied = claim_denied(text, next.start, next.end);
        if (!denied || !meant) /* "It is 67, not 57." */
            *out = next;
        meant |= !denied;
        found = true;
    }
    return found;
}

bool parse_number(const char *text, rational *out, size_t *start, size_t *end) {
    number_token token;
    if (!counted(text, &token) || token.invalid)
        return false;
    *out = token.value;
    if (start)
        *start = token.start;
    if (end)
        *end = token.end;
    return true;
}

/* ---- is it meant? ------------------------------------------------------------------------------------- */

/* One step back over what joins the members of a list; 0: something else stands there. */
static size_t joint_before(const char *text, size_t i) {
    static const char *const words[] = {"or",       "and", "to",       "maybe",
                                        "perhaps", "possibly", "either", "\xE2\x80\x93"};
    if (i > 0 && strchr(" \t\r\n,;?|$*(\"'", text[i - 1]))
        return 1;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t n = strlen(words[k]);
        if (i >= n && strncasecmp(text + i - n, words[k], n) == 0 && (i == n || !is_letter(text[i - n - 1])))
            return n;
    }
    return 0;
}

/* The line up to `start` holds nothing but bullets. */
static bool alone_before(const char *text, size_t start) {
    while (start > 0 && text[start - 1] != '\n')
        if (!strchr(" \t*-$(", text[--start]))
            return false;
    return true;
}

/* A number before text[start] that is offered beside it. */
static bool listed_before(const char *text, size_t start, rational value, number_token *other) {
    size_t i = start, n;
    bool line = false, strong = false;
    while ((n = joint_before(text, i))) {
        i -= n;
        line |= text[i] == '\n';
        strong |= !strchr(" \t\r\n$*(\"'", text[i]);
    }
    if (i == start || i == 0 || !is_digit(text[i - 1]))
        return false;
    size_t from = i;
    while (from > 0 && (is_digit(text[from - 1]) || strchr(",./", text[from - 1])))
        from--;
    bool found = false;
    number_token token;
    for (size_t at = from; number_next(text, at, i, &token); at = token.end) {
        *other = token;
        found = true;
    }
    if (!found || rational_equal(other->value, value))
        return false;
    return strong || !line || alone_before(text, other->start);
}

static bool word_at(const char *text, size_t i, const char *word) {
    size_t n = strlen(word);
    return strncasecmp(text + i, word, n) == 0 && !is_letter(text[i + n]);
}

/* Behind a member of a list: the list goes on or the sentence ends. "3, and 4 more are red" is no list. */
static bool list_ends(const char *text, size_t i) {
    i += strspn(text + i, " \t*\"')}");
    return !text[i] || strchr(".,;!?&\r\n", text[i]) || is_digit(text[i]) || word_at(text, i, "and") || word_at(text, i, "or");
}

/* A number behind text[end] that is offered beside it: "3 or 4", "3, 4", "3 and 4", "3 4", "3? No, 4". */
static bool listed_after(const char *text, size_t end, rational value, number_token *other) {
    static const char *const blanks = " \t*\"')(";
    size_t i = end + strspn(text + end, blanks), after = i;
    bool doubt = text[i] == '?', comma = text[i] && strchr(",;&", text[i]), joint = comma || (i > end && is_digit(text[i]));
    after += doubt || comma ? 1 + strspn(text + after + 1, blanks) : 0;
    bool either = word_at(text, after, "or");
    if (doubt && (word_at(text, after, "no") || word_at(text, after, "wait"))) {
        after += strcspn(text + after, "\n0123456789");
    } else if (either || word_at(text, after, "and") || word_at(text, after, "to")) {
        joint = true;
        after += text[after] == 'a' || text[after] == 'A' ? 3 : 2;
    } else if (!joint) {
        return false;
    }
    after += strspn(text + after, " \t*$(\"'");
    if (!is_digit(text[after]) || !number_next(text, after, strlen(text), other) || rational_equal(other->value, value))
        return false;
    return either || doubt || list_ends(text, other->end);
}

/* An operand: an operator between it and a neighbouring number, and no "=" that gives the value. */
static bool is_operand(const char *text, size_t start, size_t end) {
    size_t i = start, n;
    char op;
    number_token next;
    while (i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t'))
        i--;
    for (size_t back = 1; back <= 6 && back <= i; back++) {
        if (number_operator(text, i - back, &op) != back)
            continue;
        size_t before = i - back;
        while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t'))
            before--;
        if (before > 0 && (is_digit(text[before - 1]) || text[before - 1] == ')'))
            return true;
    }
    i = skip_blanks(text, end);
    return (n = number_operator(text, i, &op)) && number_here(text, i + n, &next);
}

bool number_beside(const char *text, const number_token *t, number_token *other) {
    return listed_before(text, t->start, t->value, other) || listed_after(text, t->end, t->value, other);
}

number_answer number_find(const char *response) {
    number_token token, other;
    if (!counted(response, &token) || token.invalid)
        return (number_answer){.finding = NUMBER_NONE};
    number_answer a = {NUMBER_SAID, token.value, token.start, token.end, 0, 0};
    bool fraction = memchr(response + a.start, '/', a.end - a.start) != NULL;
    if (number_beside(response, &token, &other)) {
        a.finding = NUMBER_LISTED;
        a.other_start = other.start;
        a.other_end = other.end;
    } else if ((fraction && a.value.denominator == 1) || is_operand(response, a.start, a.end)) {
        a.finding = NUMBER_UNEVALUATED;
    } else if (claim_denied(response, a.start, a.end)) {
        a.finding = NUMBER_NEGATED;
    }
    return a;
}

/* ---- whole numbers, two ways -------------------------------------------------------------------------- */

bool number_apply(int64_t a, char op, int64_t b, int64_t *out) {
    int64_t value;
    bool overflow = false;
    if (op == '+')
        overflow = __builtin_add_overflow(a, b, &value);
    else if (op == '-')
        overflow = __builtin_sub_overflow(a, b, &value);
    else if (op == '*')
        overflow = __builtin_mul_overflow(a, b, &value);
    else if (op == '/' && b != 0 && b != -1 && a % b == 0)
        value = a / b;
    else
        return false;
    if (overflow || value > 999999999999999999 || value < -999999999999999999)
        return false;
    *out = value;
    return true;
}

/* Column by column from the right, as on paper; sign -1 borrows. */
static int64_t by_columns(int64_t a, int64_t b, int sign) {
    int64_t result = 0, place = 1;
    int carry = 0;
    while (a > 0 || b > 0 || carry > 0) {
        int column = (int)(a % 10) + sign * (int)(b % 10) + carry;
        carry = column > 9 ? 1 : column < 0 ? -1 : 0;
        result += place * (column - 10 * carry);
        place *= 10;
        a /= 10;
        b /= 10;
    }
    return result;
}

bool number_apply_slowly(int64_t a, char op, int64_t b, int64_t *out) {
    const int64_t most = 1000000;
    if (a < 0 || b < 0 || a > 999999999 || b > 999999999 || (op == '-' && a < b))
        return false;
    int64_t value = 0;
    if (op == '+') {
        value = by_columns(a, b, 1);
    } else if (op == '-') {
        value = by_columns(a, b, -1);
    } else if (op == '*') {
        if (b > most)
            return false;
        for (int64_t i = 0; i < b; i++)
            value = by_columns(value, a, 1);
    } else if (op == '/') {
        if (b == 0 || a / b > most)
            return false;
        for (; a >= b; value++)
            a = by_columns(a, b, -1);
        if (a != 0)
            return false;
    } else {
        return false;
    }
    *out = value;
    return true;
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

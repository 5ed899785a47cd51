/* Expressions by recursive descent over exact fractions, and the relations between them, in signs and in words; see calculation.h. Depth, numbers and
 * sizes are bounded, and what is passed over is not read twice, so any bytes are safe. */
#include "task/calculation.h"
#include "task/words.h"
#include <string.h>
#include <strings.h>

enum { MOST_NUMBERS = 32, MOST_BRACKETS = 8 };
static const int64_t most = 999999999999999999;

__extension__ typedef __int128 wide;

typedef struct reader {
    const char *text;
    size_t at, end; /* end: behind what was taken */
    int n_numbers, n_operators, depth;
} reader;

static size_t skip_blanks(const char *text, size_t i) {
    while (text[i] == ' ' || text[i] == '\t')
        i++;
    return i;
}

/* Does `phrase` stand at *at, behind blanks, as whole words? Moves behind it. */
static bool take(const char *text, size_t *at, const char *phrase) {
    size_t end, p;
    if (!phrase_at(text, skip_blanks(text, *at), phrase, &end))
        return false;
    p = end;
    int32_t behind = text_next(text, &p);
    if (behind && code_is_word(behind) && code_is_word((unsigned char)text[end - 1]))
        return false;
    *at = end;
    return true;
}

/* ---- exact fractions ------------------------------------------------------------------------------------- */

static bool fraction(wide numerator, wide denominator, rational *out) {
    if (denominator == 0)
        return false;
    wide a = numerator < 0 ? -numerator : numerator, b = denominator < 0 ? -denominator : denominator, sign = (numerator < 0) != (denominator < 0) ? -1 : 1;
    wide x = a, y = b;
    while (y != 0) {
        wide rest = x % y;
        x = y;
        y = rest;
    }
    a /= x;
    b /= x;
    if (a > most || b > most)
        return false;
    *out = (rational){(int64_t)(sign * a), (int64_t)b};
    return true;
}

static bool apply(rational a, char op, rational b, rational *out) {
    const wide an = a.numerator, ad = a.denominator, bn = b.numerator, bd = b.denominator;
    switch (op) {
    case '+':
        return fraction(an * bd + bn * ad, ad * bd, out);
    case '-':
        return fraction(an * bd - bn * ad, ad * bd, out);
    case '*':
        return fraction(an * bn, ad * bd, out);
    default:
        return fraction(an * bd, ad * bn, out);
    }
}

static int compare(rational a, rational b) {
    const wide x = (wide)a.numerator * b.denominator, y = (wide)b.numerator * a.denominator;
    return (x > y) - (x < y);
}

/* ---- expressions ------------------------------------------------------------------------------------------- */

static bool read_sum(reader *r, rational *out);

/* An operator and nothing else; moves *at behind it. */
static bool operator_at(const char *text, size_t *at, char *op) {
    static const struct {
        const char *words;
        char op;
    } named[] = {{"plus", '+'}, {"minus", '-'}, {"times", '*'}, {"multiplied by", '*'}, {"divided by", '/'}};
    size_t i = skip_blanks(text, *at), n = number_operator(text, i, op);
    if (n) {
        *at = i + n;
        return true;
    }
    for (size_t k = 0; k < sizeof named / sizeof *named; k++)
        if (take(text, at, named[k].words)) {
            *op = named[k].op;
            return true;
        }
    return false;
}

static bool read_number_here(reader *r, rational *out) {
    number_token t;
    size_t at = r->at;
    if (++r->n_numbers > MOST_NUMBERS || !number_here(r->text, at, &t) || t.invalid)
        return false;
    const char *slash = memchr(r->text + t.start, '/', t.end - t.start);
    if (slash) { /* an operator here, for 100 / 84/4 */
        size_t cut = (size_t)(slash - r->text), from = t.start;
        while (!is_digit(r->text[from]) && from < cut)
            from++;
        if (!number_next(r->text, from, cut, &t) || t.invalid)
            return false;
        t.end = cut;
    }
    char behind = r->text[t.end];
    if (behind == '%' || behind == '^' || (is_letter(behind) && behind != 'x'))
        return false;
    r->at = r->end = t.end;
    *out = t.value;
    return true;
}

/* "the sum of 42 and 25". */
static bool read_named(reader *r, char op, rational *out) {
    rational a, b;
    r->n_operators++;
    return read_number_here(r, &a) && take(r->text, &r->at, "and") && read_number_here(r, &b) && apply(a, op, b, out);
}

static bool read_factor(reader *r, rational *out) {
    static const struct {
        const char *words;
        char op;
    } named[] = {{"sum of", '+'}, {"difference between", '-'}, {"difference of", '-'}, {"product of", '*'}, {"quotient of", '/'}};
    size_t at = skip_blanks(r->text, r->at);
    if (r->text[at] == '(') {
        r->at = at + 1;
        if (++r->depth > MOST_BRACKETS || !read_sum(r, out))
            return false;
        r->depth--;
        r->at = skip_blanks(r->text, r->at);
        if (r->text[r->at] != ')')
            return false;
        r->end = ++r->at;
        return true;
    }
    (void)take(r->text, &r->at, "the");
    for (size_t k = 0; k < sizeof named / sizeof *named; k++)
        if (take(r->text, &r->at, named[k].words))
            return read_named(r, named[k].op, out);
    return read_number_here(r, out);
}

/* Does what follows an operator begin a factor? Else the operator is none: "67 - which". */
static bool factor_follows(const char *text, size_t at) {
    number_token t;
    at = skip_blanks(text, at);
    return text[at] == '(' || number_here(text, at, &t);
}

static bool read_series(reader *r, const char *ops, bool (*part)(reader *, rational *), rational *out) {
    rational next;
    char op;
    if (!part(r, out))
        return false;
    for (size_t at = r->at; operator_at(r->text, &at, &op) && strchr(ops, op) && factor_follows(r->text, at); at = r->at) {
        r->at = at;
        r->n_operators++;
        if (!part(r, &next) || !apply(*out, op, next, out))
            return false;
    }
    return true;
}

static bool read_product(reader *r, rational *out) {
    return read_series(r, "*/", read_factor, out);
}

static bool read_sum(reader *r, rational *out) {
    return read_series(r, "+-", read_product, out);
}

bool calculation_here(const char *text, size_t at, calculation *out) {
    reader r = {.text = text, .at = at};
    rational value;
    if (!read_sum(&r, &value))
        return false;
    *out = (calculation){value, skip_blanks(text, at), r.end, r.n_operators};
    return true;
}

/* ---- relations ----------------------------------------------------------------------------------------------- */

typedef enum comparison { EQUAL, LESS, MORE, AT_MOST, AT_LEAST, MULTIPLE, DIVISOR } comparison;

typedef struct link {
    comparison is;
    bool negated, which;
    bool bare; /* "is": says something of an expression only */
} link;

static bool any_of(const char *text, size_t *at, const char *const *phrases, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (take(text, at, phrases[i]))
            return true;
    return false;
}
#define ANY_OF(text, at, phrases) any_of(text, at, phrases, sizeof phrases / sizeof *phrases)

static bool sign_here(const char *text, size_t *at, link *out) {
    static const struct {
        const char *sign;
        link link;
    } signs[] = {{"==", {EQUAL, false, false, false}},        {"=", {EQUAL, false, false, false}},
                 {"!=", {EQUAL, true, false, false}},         {"\xE2\x89\xA0", {EQUAL, true, false, false}},
                 {"<=", {AT_MOST, false, false, false}},      {"\xE2\x89\xA4", {AT_MOST, false, false, false}},
                 {">=", {AT_LEAST, false, false, false}},     {"\xE2\x89\xA5", {AT_LEAST, false, false, false}},
                 {"<", {LESS, false, false, false}},          {">", {MORE, false, false, false}}};
    size_t i = skip_blanks(text, *at);
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
        if (strncmp(text + i, signs[k].sign, strlen(signs[k].sign)) == 0) {
            *out = signs[k].link;
            *at = i + strlen(signs[k].sign);
            return true;
        }
    return false;
}

static bool words_here(const char *text, size_t *at, link *out) {
    static const char *const verbs[] = {"equals", "makes", "gives", "totals", "adds up to", "comes to"},
                      *const is_not[] = {"isn't", "aren't", "does not equal", "doesn't equal", "cannot be", "can't be", "does not make", "does not give"},
                      *const is[] = {"is", "are", "was", "would be", "should be", "must be", "will be"},
                      *const fillers[] = {"actually", "really", "in fact", "also", "exactly", "always", "simply", "clearly"};
    static const struct {
        const char *words;
        comparison is;
        bool negated;
    } compared[] = {{"equal to", EQUAL, false},      {"the same as", EQUAL, false},   {"different from", EQUAL, true}, {"less than", LESS, false},
                    {"smaller than", LESS, false},   {"lower than", LESS, false},     {"greater than", MORE, false},   {"larger than", MORE, false},
                    {"bigger than", MORE, false},    {"more than", MORE, false},      {"higher than", MORE, false},    {"at most", AT_MOST, false},
                    {"at least", AT_LEAST, false},   {"a multiple of", MULTIPLE, false}, {"divisible by", MULTIPLE, false}, {"a factor of", DIVISOR, false},
                    {"a divisor of", DIVISOR, false}};
    *out = (link){EQUAL, false, false, false};
    size_t i = skip_blanks(text, *at);
    if (text[i] == ',')
        i++;
    if (take(text, &i, "which"))
        out->which = true;
    else
        i = *at;
    if (ANY_OF(text, &i, verbs)) {
        *at = i;
        return true;
    }
    if (ANY_OF(text, &i, is_not))
        out->negated = true;
    else if (!ANY_OF(text, &i, is))
        return false;
    if (take(text, &i, "not"))
        out->negated = !out->negated;
    (void)ANY_OF(text, &i, fillers);
    out->bare = true;
    for (size_t k = 0; k < sizeof compared / sizeof *compared && out->bare; k++)
        if (take(text, &i, compared[k].words)) {
            out->is = compared[k].is;
            out->negated = out->negated != compared[k].negated;
            out->bare = false;
        }
    *at = i;
    return true;
}

/* Is `right`, a decimal fraction, `left` rounded to as many places? */
static bool rounds_to(const char *text, rational left, const calculation *right) {
    const char *point = right->n_operators ? NULL : memchr(text + right->start, '.', right->end - right->start);
    rational scale = {1, 1}, difference;
    if (!point || !apply(left, '-', right->value, &difference))
        return false;
    for (const char *p = point + 1; p < text + right->end && is_digit(*p); p++)
        if (scale.numerator > most / 100)
            return false;
        else
            scale.numerator *= 10;
    difference.numerator = difference.numerator < 0 ? -difference.numerator : difference.numerator;
    return (wide)2 * difference.numerator * scale.numerator <= (wide)difference.denominator;
}

static bool is_multiple(rational a, rational b) {
    return a.denominator == 1 && b.denominator == 1 && b.numerator != 0 && a.numerator % b.numerator == 0;
}

static bool related(const char *text, const calculation *a, const link *l, const calculation *b) {
    const int c = compare(a->value, b->value);
    bool is = l->is == EQUAL      ? c == 0 || rounds_to(text, a->value, b)
              : l->is == LESS     ? c < 0
              : l->is == MORE     ? c > 0
              : l->is == AT_MOST  ? c <= 0
              : l->is == AT_LEAST ? c >= 0
              : l->is == MULTIPLE ? is_multiple(a->value, b->value)
                                  : is_multiple(b->value, a->value);
    return is != l->negated;
}

/* Does the expression that starts at text[at] begin before it: "x + 4", "n/4", "20 % of 50"? */
static bool goes_on_before(const char *text, size_t at, bool operated) {
    static const char *const words[] = {"of", "by", "plus", "minus", "times"};
    while (at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\t'))
        at--;
    if (at == 0)
        return false;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        const size_t n = strlen(words[k]);
        if (at > n && strncasecmp(text + at - n, words[k], n) == 0 && text[at - n - 1] == ' ')
            return true;
    }
    if (text[at - 1] == '=')
        return !operated;
    if (text[at - 1] == '-') {
        at--;
        while (at > 0 && text[at - 1] == ' ')
            at--;
        return at > 0 && (is_letter(text[at - 1]) || is_digit(text[at - 1]) || text[at - 1] == ')');
    }
    return strchr("+*/^", text[at - 1]) != NULL;
}

static bool goes_on_behind(const char *text, size_t at) {
    at = skip_blanks(text, at);
    return (text[at] && strchr("+/^%", text[at])) || (text[at] == '*' && text[at + 1] != '*') || take(text, &at, "remainder") ||
           take(text, &at, "with a remainder") || take(text, &at, "r") || take(text, &at, "percent");
}

/* The chain of relations behind `first`: false, there is none. */
static bool chain(const char *text, const calculation *first, relation *out) {
    calculation left = *first, right;
    bool any = false;
    *out = (relation){.start = first->start, .holds = true};
    for (int n = 0; n < MOST_NUMBERS; n++) {
        link l;
        size_t at = left.end;
        if (!sign_here(text, &at, &l) && !words_here(text, &at, &l))
            break;
        at = skip_blanks(text, at);
        if (strncmp(text + at, "**", 2) == 0) /* set in bold */
            at += 2;
        if (!calculation_here(text, at, &right) || (l.bare && !left.n_operators && !right.n_operators))
            break;
        if (goes_on_behind(text, right.end))
            return false;
        out->holds = out->holds && related(text, &left, &l, &right);
        out->which = out->which || (!any && l.which && !left.n_operators);
        out->end = right.end;
        out->right = right.value;
        any = true;
        left = right;
    }
    return any;
}

/* The next place from `at` where an expression can begin. */
static size_t candidate(const char *text, size_t at) {
    static const char *const named[] = {"sum", "difference", "product", "quotient"};
    for (; text[at]; at++) {
        bool begins = at == 0 || !is_letter(text[at - 1]);
        if (is_digit(text[at]) || text[at] == '(')
            return at;
        if (text[at] == '-' && is_digit(text[at + 1]))
            return at;
        for (size_t k = 0; begins && k < sizeof named / sizeof *named; k++)
            if (strncasecmp(text + at, named[k], strlen(named[k])) == 0)
                return at;
    }
    return at;
}

bool relation_next(const char *text, size_t from, relation *out) {
    calculation c;
    for (size_t at = candidate(text, from); text[at]; at = candidate(text, at)) {
        bool letter_before = at > 0 && is_letter(text[at - 1]) && is_digit(text[at]);
        if (!letter_before && calculation_here(text, at, &c)) {
            if (!goes_on_before(text, c.start, c.n_operators > 0) && chain(text, &c, out))
                return true;
            at = c.end > at ? c.end : at + 1;
        } else if (is_digit(text[at])) {
            while (is_digit(text[at]))
                at++;
        } else {
            at++;
        }
    }
    return false;
}

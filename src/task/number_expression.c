/* Operators, expressions and equations in text; whole numbers calculated in two ways. */
#include "task/number.h"
#include <stdlib.h>
#include <string.h>

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

bool number_here(const char *text, size_t i, number_token *out) {
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

number_token number_evaluated(const char *text, number_token first) {
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

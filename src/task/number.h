/* Numbers in running text; private to src/task. */
#ifndef TASK_NUMBER_H
#define TASK_NUMBER_H

#include "task/task.h"
#include <ctype.h>

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c) {
    return isalpha((unsigned char)c) != 0;
}

/* A number as written: "1,234", "-3", "18.50", "3/4". invalid: beyond 18 digits. */
typedef struct number_token {
    rational value;
    size_t start, end; /* bytes */
    bool invalid;
} number_token;

/* The first number that starts in text[from, end). Digits glued to a letter ("R2") are no number. */
bool number_next(const char *text, size_t from, size_t end, number_token *out);

/* A number that starts at text[i] but for blanks, a sign and a currency sign. */
bool number_here(const char *text, size_t i, number_token *out);
/* The value of an expression that starts with `first`: what stands after its last "=". */
number_token number_evaluated(const char *text, number_token first);

/* What a response claims. Only NUMBER_SAID is an answer. */
typedef enum number_finding {
    NUMBER_NONE,        /* no number, or one too long */
    NUMBER_LISTED,      /* one of several offered: "66 or 67", "66, 67" */
    NUMBER_UNEVALUATED, /* part of an expression: "42 + 25", "84/4" */
    NUMBER_NEGATED,     /* "not 67" */
    NUMBER_SAID,
} number_finding;

typedef struct number_answer {
    number_finding finding;
    rational value;
    size_t start, end;
    size_t other_start, other_end; /* NUMBER_LISTED: a number it is offered with */
} number_answer;

/* The number that counts (parse_number) and whether the response stands by it. */
number_answer number_find(const char *response);

/* A number offered beside `t` as another answer: "66 or 67", "66, 67", "67 and 66". */
bool number_beside(const char *text, const number_token *t, number_token *other);

/* The length of an operator at text[i] ("x", "*", "\\times" are '*'), 0 when there is none. */
size_t number_operator(const char *text, size_t i, char *op);

/* The next number in words from *at, *at moved behind it: "seven", "twenty-three", "three hundred", "half". Factors ("twice") have the denominator
 * -1. one: "one" counts too where it is no pronoun ("the first one is"). */
bool number_words_next(const char *text, size_t *at, bool one, number_token *out);
/* `text` with its numbers in words as digits, blanks behind them so that every byte keeps its place; new, NULL on memory. */
char *number_words_as_digits(const char *text);

/* "a op b = c" with op one of + - * /, whole numbers of at most nine digits. */
typedef struct equation {
    int64_t a, b, c;
    char op;
    size_t start, end;
} equation;
/* The first equation that starts at or after `from` and stands alone (no longer chain around it). */
bool equation_next(const char *text, size_t from, equation *out);
bool equation_true(const equation *e);

/* a op b for whole numbers; false: division with remainder or by zero, or beyond 18 digits. */
bool number_apply(int64_t a, char op, int64_t b, int64_t *out);
/* The same by a different method: columns of digits, repeated addition and subtraction. a, b >= 0 with at
 * most nine digits, a >= b in differences, the counted operand of products at most a million. */
bool number_apply_slowly(int64_t a, char op, int64_t b, int64_t *out);

/* `text` holds exactly these numbers, in any order. */
bool text_has_numbers(const char *text, const int64_t *numbers, size_t n);
/* `text` with every number equal to `from` written as `to`; new string, NULL on memory. *n: how many. */
char *text_replace_number(const char *text, int64_t from, int64_t to, size_t *n);

#endif

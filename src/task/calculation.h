/* Statements about numbers in running text, worked out exactly; private to src/task and to who checks critiques. */
#ifndef TASK_CALCULATION_H
#define TASK_CALCULATION_H

#include "task/number.h"

/* An expression of at most 32 numbers and 8 brackets in one another: + - * /, their words, "the sum of 3 and 4". */
typedef struct calculation {
    rational value;
    size_t start, end; /* bytes */
    int n_operators;
} calculation;
/* The expression that starts at text[at] but for blanks; false: none does, or it has no value (a division by 0, beyond 18 digits, "20%", "4th"). */
bool calculation_here(const char *text, size_t at, calculation *out);

/* "42 + 25 = 67", "3 times 4 is not 13", "45 is larger than 7", "46 is a multiple of 23", "78, which is not 42 + 25". */
typedef struct relation {
    size_t start, end; /* bytes */
    bool holds;
    bool which;        /* said of a number or expression that stands there anyway: "78, which is not .." */
    rational right;    /* its last value */
} relation;
/* The first one that starts at or after `from`. What could be no statement ("3 is 3", "x + 4 = 12", "17 / 5 = 3 remainder 2") is passed over; a decimal
 * fraction on the right may be rounded. */
bool relation_next(const char *text, size_t from, relation *out);

#endif

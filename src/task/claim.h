/* How running text claims: negations, list markers, and given items in one order; private to src/task. */
#ifndef TASK_CLAIM_H
#define TASK_CLAIM_H

#include "agon.h"

/* Is what stands in text[start, end) denied: "not 67", "nor 67", "rather than 67", "isn't equal to 67", "67 is not", "67 is wrong"? */
bool claim_denied(const char *text, size_t start, size_t end);
/* A list marker: a number that opens its line, followed by '.' or ')' and a blank. */
bool list_marker(const char *text, size_t start, size_t end);

/* Distinct items that a response must put into one order. */
enum { ORDER_MAX = 8 };
typedef struct order {
    const char *items[ORDER_MAX]; /* as the query has them; numbers are whole and positive */
    int right[ORDER_MAX];         /* items in the order asked for */
    int n;
    bool numbers;
} order;

/* The next word or number of a text that is neither a list marker nor "and" or "then". */
typedef struct mention {
    int item; /* -1: none of the items; "-45" and "45.5" are not 45 */
    size_t start, end;
} mention;
bool mention_next(const order *o, const char *text, size_t from, mention *out);

/* What the lists of a response come to: all items in a row with nothing but joints between them. One list may repeat the query's order before the
 * last one, which is the answer; a denied list is none. */
typedef struct order_claim {
    bool complete, right;
    bool several;          /* lists that are neither the query's order nor right, or offered with "or" */
    bool longer;           /* the last list begins or goes on with something that is no item: "7, 3." */
    bool untrue;           /* signs between its numbers are wrong: "45 > 67" */
    int said[ORDER_MAX];   /* the items of the last list */
    size_t start, end;     /* the last list */
} order_claim;
void order_read(const order *o, const char *text, order_claim *out);

#endif

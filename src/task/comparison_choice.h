/* A choice among items, and which of them a response claims; private to the family "comparison". */
#ifndef TASK_COMPARISON_CHOICE_H
#define TASK_COMPARISON_CHOICE_H

#include "task/number.h"

enum { MAX_ITEMS = 5, MAX_WORD = 24 };

typedef struct comparison_kind {
    bool order, words, down; /* down: largest first, or the largest is asked for */
    int low, high;           /* how many items */
} comparison_kind;

typedef struct choice {
    const comparison_kind *kind;
    int n;
    char items[MAX_ITEMS][MAX_WORD + 1]; /* as written */
    int64_t values[MAX_ITEMS];           /* of numbers */
    int right[MAX_ITEMS];                /* items in the order asked for; right[0]: the one asked for */
} choice;

/* What the claims of a response come to. */
typedef struct claims {
    number_token said;
    int strength;    /* 0: none yet; 1: by comparison; 2: above all */
    unsigned beaten; /* items that another one was said to beat */
    unsigned last;   /* items said not to be it: "98 is the smallest", "98 is not the largest" */
    bool torn;       /* claims that differ */
} claims;

/* The number claimed by "98, because ..", "98 is larger than 45", "45 < 98" or "the largest is 98"; openings, superlatives and conclusions outdo
 * comparisons. */
claims comparison_claims(const choice *c, const char *response);

#endif

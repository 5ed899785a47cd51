/* The stories of word problems; private to src/task. */
#ifndef TASK_WORD_STORY_H
#define TASK_WORD_STORY_H

#include <stddef.h>

/* story and question hold {N} and {M} (names), {t} (things, plural) and {a}..{d} (numbers); the question is a clause
 * that reads alike after "Work out" and, capitalised, with a question mark. steps: "a*b 1-c", where 1 and 2 are the results of earlier
 * steps; every number and every result but the last is used exactly once. */
typedef struct word_story {
    const char *story, *question, *steps;
} word_story;

enum { MAX_STEPS = 3 };
/* The stories of n_steps in 1..MAX_STEPS. Static storage. */
const word_story *word_stories(int n_steps, size_t *n);

#endif

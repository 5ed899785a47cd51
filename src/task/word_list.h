/* Words for tasks; private to src/task. */
#ifndef TASK_WORD_LIST_H
#define TASK_WORD_LIST_H

#include "base/random.h"
#include <stdbool.h>

/* A lower-case English noun of 3 to 11 letters: a common one, or an unusual one. Static storage. None is a word that task
 * phrasings use ("order", "list", "word", "number"). */
const char *word_list_draw(rng *r, bool rare);

#endif

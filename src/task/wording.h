/* The ways in which a family asks for one task, and what of a text they hang on; private to src/task. */
#ifndef TASK_WORDING_H
#define TASK_WORDING_H

#include "task/family.h"

enum { WORDINGS_MAX = 96 };

/* Lists are phrases separated by '|'; the texts are new, the rest static. Zero-initialise; wordings_free. */
typedef struct wordings {
    const char *neutral;     /* what says nothing here: "please|the|tell me" */
    const char *const *same; /* lists whose members say the same, NULL behind the last; may be NULL */
    const char *label;       /* what only names the quotation behind it: "word" in 'the word "cat"' */
    bool any_order;          /* what is listed may stand in any order */
    char *texts[WORDINGS_MAX];
    size_t n;
} wordings;

/* One more way to ask: `pattern` filled. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status wordings_add(agon_ctx *ctx, wordings *w, const char *pattern, const text_fill *fills, size_t n);
void wordings_free(wordings *w);

/* Does `text` say, word by word, what the query or one of the family's wordings of its task says? *why: static, untouched where it does. */
AGON_MUST_CHECK agon_status wording_check(agon_ctx *ctx, const task_query *query, const char *text, const char **why);
/* Is `text` the query with other names throughout, each for one of the keep list's and none for two? */
AGON_MUST_CHECK agon_status wording_check_names(agon_ctx *ctx, const task_query *query, const char *text, const char **why);
/* Are these words, added to the query, a plain statement of things that no task is about? */
AGON_MUST_CHECK agon_status wording_check_remark(agon_ctx *ctx, const task_query *query, const char *words, const char **why);

#endif

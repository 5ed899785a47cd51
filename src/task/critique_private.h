/* What the files of critique_claims.h share. */
#ifndef TASK_CRITIQUE_PRIVATE_H
#define TASK_CRITIQUE_PRIVATE_H

#include "task/critique_claims.h"
#include "task/words.h"

/* A clause, ended by NUL; what stands in quotation marks is blank, so that no word of it is the critique's own, and numbers in words are digits. */
typedef struct clause {
    const char *words; /* [n] and a NUL; byte i is byte start + i of the critique */
    size_t start, n;
    bool contrast; /* behind "but" */
} clause;

/* The first of the phrases (separated by '|') as whole words in text[from, to). */
bool any_phrase(const char *text, size_t from, size_t to, const char *phrases, span *out);
/* Does one of the phrases stand at *at, behind blanks? Moves behind it. */
bool take_phrase(const char *text, size_t *at, const char *phrases);
/* Does text[0, to) speak of what is asked rather than of the answer: "must", "the question", "instead of"? */
bool is_asked(const char *text, size_t to);

/* critique_counts.c: counts of the answer, and limits of the query. *last_unit: of the last count of the sentence, -1 none; kept for "but 10 are asked". */
check_result check_counts(agon_ctx *ctx, const clause *c, const claim_facts *facts, int *last_unit);

#endif

/* A question about letters or words, and what judges its answers; private to the family "string". */
#ifndef TASK_STRING_PUZZLE_H
#define TASK_STRING_PUZZLE_H

#include "base/random.h"
#include "task/task.h"

typedef enum work {
    SPELL_HYPHENS, SPELL_SPACES, FIRST_LETTER, LAST_LETTER, COUNT_LETTERS, COUNT_LETTER, COUNT_WORDS, FIRST_WORD,
    LAST_WORD, REVERSE_WORD, REVERSE_LIST, UPPER_WORD, CAPITALISE, REPEAT_WORD,
} work;

/* What a parameter object holds beside "gold". */
typedef enum material { A_WORD, A_SENTENCE, A_LIST } material;

typedef struct kind {
    const char *cell;
    work work;
    material material;
    int64_t low, high; /* letters of the word, words of the sentence or list */
    const char *usual[2], *rare[2];
    const char *keep; /* wordings of which a rewording needs one */
} kind;

enum { LIST_MAX = 8, FIELD_MAX = 200 };
typedef struct puzzle { /* texts borrowed from the query */
    const kind *kind;
    const char *text; /* the word or the sentence */
    const char *list[LIST_MAX];
    size_t n_list;
    int64_t n;          /* REPEAT_WORD */
    const char *letter; /* COUNT_LETTER */
    const char *gold;
} puzzle;

/* Judges a response; the puzzle is well formed. */
agon_status puzzle_judge(agon_ctx *ctx, const puzzle *p, const char *response, task_verdict *out);

struct wordings;
/* string_wording.c: see wording.h; *out is zeroed. */
AGON_MUST_CHECK agon_status string_wordings(agon_ctx *ctx, const puzzle *p, struct wordings *out);

/* A common word of low to high letters (within 3 to 9). Borrowed for ever. */
const char *string_word(rng *r, int64_t low, int64_t high);
/* "The old dog sleeps near the house.", 3 to 7 words. */
void string_sentence(rng *r, int64_t n_words, char *out, size_t size);

#endif

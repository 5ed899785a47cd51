/* Text as code points, words and sentences, for the families that judge text; private to src/task.
 *
 * Any bytes are safe: what is not UTF-8 reads as U+FFFD, one byte at a time. Positions are bytes. */
#ifndef TASK_WORDS_H
#define TASK_WORDS_H

#include "agon.h"
#include <utf8proc.h>

typedef struct span {
    size_t start, end;
} span;

/* The code point at text[*at], *at moved behind it; 0 at the end (there *at stays). */
int32_t text_next(const char *text, size_t *at);
bool code_is_space(int32_t c);
bool code_is_word(int32_t c);   /* letter, mark or digit */
bool code_is_letter(int32_t c);
bool code_is_upper(int32_t c);  /* has a lower case and is not it */
bool code_is_lower(int32_t c);  /* has an upper case and is not it */
int32_t code_fold(int32_t c);   /* lower case; curly apostrophes become straight */

/* The next token from *at: what lies between white space and holds a letter or digit ("well-known," is one). */
bool token_next(const char *text, size_t *at, span *out);
size_t text_n_words(const char *text); /* tokens */
/* The next word from *at: letters, marks and digits, with apostrophes between them ("don't"). */
bool word_next(const char *text, size_t *at, span *out);
/* The text without white space around it. */
span text_trim(const char *text);

/* Does `phrase` stand at text[at], whatever the case, with any white space for a space? *end: behind it. */
bool phrase_at(const char *text, size_t at, const char *phrase, size_t *end);
/* The first place where `phrase` stands as whole words, from `from`. */
bool phrase_find(const char *text, size_t from, const char *phrase, span *out);
/* Is there a word that begins with `stem`? */
bool stem_find(const char *text, const char *stem, span *out);
/* The k-th of the phrases separated by '|', as a copy of at most size - 1 bytes; false past the last. */
bool alternative(const char *list, size_t k, char *out, size_t size);

/* Sentences: ended by . ! ? before white space or the end (not after "Dr." and the like), or by an empty line. */
size_t text_n_sentences(const char *text);
/* The same, and the first `max` of them in out. */
size_t text_sentences(const char *text, span *out, size_t max);

/* Bytes of a span for evidence: valid UTF-8, at most 40 characters, line breaks as spaces. */
enum { EXCERPT_SIZE = 176 };
const char *excerpt(const char *text, size_t start, size_t end, char out[EXCERPT_SIZE]);

/* New copies in the other case; NULL on memory. */
char *text_lower(const char *text);
char *text_upper(const char *text);

#endif

/* Which language a text is in, told by its script and, where scripts are shared, by its commonest words: rough, and without a model. */
#ifndef EVAL_LANGUAGE_H
#define EVAL_LANGUAGE_H

#include <stdbool.h>

/* Whether this language, by its ISO 639-1 code, is among those told apart here. */
bool language_known(const char *code);
/* Whether a text, UTF-8 in lower case, is in a known language: most of its letters are of the script, and no other language of the
 * script has more of its common words there. A text without letters is in none. */
bool language_is(const char *lower, const char *code);

#endif

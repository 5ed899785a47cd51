/* Bytes that may be anything (models stop inside characters, paths are what they are) as UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* text[n] as valid UTF-8 without NUL: each byte of what is not becomes U+FFFD. New string, NULL on memory. */
char *utf8_repair(const char *text, size_t n);
/* Whether a character could move the cursor, reorder the line, or hide: all but what is written, spaces among it. Joiners (in emoji, in Indic
 * scripts) may stay. */
bool utf8_is_harmful(int32_t code);
/* text[n] into out[size], as valid UTF-8 of one line that is safe on a terminal: harmful characters, line ends and bytes that are no UTF-8 are
 * written as \xNN or \u{N}. What does not fit is left out, whole characters of it. */
void utf8_escape(char *out, size_t size, const char *text, size_t n);
/* How much of text[n], which was cut there, is whole characters. */
size_t utf8_whole(const char *text, size_t n);
/* A C string as a JSON string, repaired; `text` may be NULL, which is null. New, NULL on memory. */
json_t *utf8_json(const char *text);

/* How many bytes of a text to keep: all, or at most `most`, cut between characters. */
size_t utf8_cut(const char *text, size_t most);

#endif

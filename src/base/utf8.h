/* Bytes that may be anything (models stop inside characters, paths are what they are) as UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <jansson.h>
#include <stddef.h>

/* text[n] as valid UTF-8 without NUL: each byte of what is not becomes U+FFFD. New string, NULL on memory. */
char *utf8_repair(const char *text, size_t n);
/* A C string as a JSON string, repaired; `text` may be NULL, which is null. New, NULL on memory. */
json_t *utf8_json(const char *text);

/* How many bytes of a text to keep: all, or at most `most`, cut between characters. */
size_t utf8_cut(const char *text, size_t most);

#endif

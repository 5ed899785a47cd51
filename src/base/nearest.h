/* "Did you mean": the known word nearest to an unknown one, by edit distance. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* One of words[n], or NULL when none is near (more than a third of its letters differ). */
const char *nearest_word(const char *word, const char *const *words, size_t n);
/* Is a field of somebody's row meant to be this name? One letter after the first is off, two are exchanged, or case and dashes differ; of names
 * of five letters or more: short words, and first letters (reference, preference), have neighbours of other meaning. */
bool is_misspelling(const char *key, const char *name);
/* Levenshtein distance in bytes, a letter and its capital the same; words longer than 63 bytes are cut there. */
size_t edit_distance(const char *a, const char *b);

#endif

/* The alphabet of sequence tasks: 0 END, 1 '=', 2.. family marks, 10 RIGHT, 11 WRONG, 12 MEND, 16.. digits, 26.. letters a to z, 52.. signs, 60.. words.
 * Private to sequence*.c. */
#ifndef TASK_SEQUENCE_ALPHABET_H
#define TASK_SEQUENCE_ALPHABET_H

#include "task/sequence.h"

enum { MARK = 2, DIGIT = 16, LETTER = 26, SIGN = 52, WORD = 60 };
enum { PLUS = SIGN, ROUND_OPEN, ROUND_CLOSE, SQUARE_OPEN, SQUARE_CLOSE };
enum { N_NOUNS = 24, N_VERBS = 10, N_PREPOSITIONS = 6 };
enum { NOUN = WORD, VERB = NOUN + 2 * N_NOUNS, PREPOSITION = VERB + 2 * N_VERBS };
_Static_assert(PREPOSITION + N_PREPOSITIONS <= SEQUENCE_VOCABULARY, "the alphabet is full");

#endif

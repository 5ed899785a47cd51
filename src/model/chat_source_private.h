/* A chat template's source in pieces (chat_source.c), and what its conditions say (chat_condition.c). */
#ifndef MODEL_CHAT_SOURCE_PRIVATE_H
#define MODEL_CHAT_SOURCE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

enum { CHAT_NESTING = 32 }; /* the deepest that is read */

/* A piece, borrowed. */
typedef struct span {
    const char *p, *end;
} span;

static inline bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool is_quote(char c) {
    return c == '\'' || c == '"';
}

static inline bool is_letter(char c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static inline bool is_word(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

span span_trim(span s); /* without the white space around it */
bool span_is(span s, const char *text);
bool span_begins(span s, const char *text);
bool span_ends(span s, const char *text);
bool span_holds(span s, const char *text);
bool span_equals(span a, span b);
/* Behind the literal that begins at p; `end` when it does not end. */
const char *span_skip_literal(const char *p, const char *end);
/* True when a literal has two words: a sentence, where keys and markup are none. */
bool span_holds_words(span s);
/* Where a word stands outside brackets and literals; NULL: nowhere. */
const char *span_find_word(span s, const char *word);
/* Takes off parentheses around all of it; false: there are none. */
bool span_cut_parentheses(span *s);

enum { N_ROLES = 3, ROLE_SYSTEM = 1, ROLE_USER = 2, ROLE_ASSISTANT = 4, ALL_ROLES = 7 }; /* bits of a set of roles */

/* Which of a set of roles a condition lets through for certain, and which perhaps. */
void condition_lets_through(span condition, unsigned set, unsigned *certainly, unsigned *perhaps);
/* Where a text under this condition is written: CHAT_IF and more of chat_template_private.h. */
unsigned condition_place(span condition);

#endif

/* What writing tasks are about, and short sentences composed about it; private to src/task. */
#ifndef TASK_TOPIC_H
#define TASK_TOPIC_H

#include "base/random.h"
#include "agon.h"

typedef struct topic {
    const char *about; /* "the sea", as in "write about the sea" */
    const char *words; /* stems of which an answer has one: "sea|ocean|wave"; the first is its name */
    bool plural;
    bool timeless; /* takes no setting: "winter at night" would say too much or nonsense */
    const char *adjectives[3];
    const char *actions[2];
} topic;

size_t topic_count(void);
const topic *topic_at(size_t i);
const topic *topic_find(const char *about); /* NULL: none */

/* Where or when a query may place its topic: "at night". */
size_t setting_count(void);
const char *setting_at(size_t i);

/* Where or when: "in the morning". tail_word: the word in it that a query can require ("morning"). */
size_t tail_count(void);
const char *tail_at(size_t i);
const char *tail_word(size_t i);

typedef enum sentence_style {
    STYLE_SHORT, /* 5 to 9 words: "The sea is deep and blue." */
    STYLE_LONG,  /* 10 to 14: "I like the sea because it is deep and blue at night." */
} sentence_style;

/* A sentence without its final mark, capitalised, plain letters, no commas and no digits. tail: where or when it must end
 * ("at night"), or NULL. The same r.state gives the same sentence. */
void topic_sentence(const topic *t, sentence_style style, const char *tail, rng *r, char *out, size_t size);

#endif

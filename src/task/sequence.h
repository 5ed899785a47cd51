/* Sequence tasks: short statements in a small alphabet of token ids, with a program that knows whether they are true. For experiments
 * on models trained from scratch, where thousands of items and their truth are needed in seconds.
 *
 * A statement is [family, source..., '=', answer..., END]. A true one is drawn, a false one is a true one with one fault that the
 * verifier confirms. Reading all of it and judging is the classification task; completing the source the generative one.
 * One family is one line in the table of sequence.c. */
#ifndef TASK_SEQUENCE_H
#define TASK_SEQUENCE_H

#include "agon.h"
#include "base/random.h"

enum { SEQUENCE_MAX = 32, SEQUENCE_VOCABULARY = 160, SEQUENCE_END = 0, SEQUENCE_EQUALS = 1, SEQUENCE_RIGHT = 10,
       SEQUENCE_WRONG = 11, SEQUENCE_MEND = 12, SEQUENCE_N_DOMAINS = 3 };

typedef struct sequence_item {
    int32_t tokens[SEQUENCE_MAX];
    size_t n;        /* END included */
    size_t n_source; /* tokens up to and with '=': what a completion starts from */
    int domain;      /* kind of item within the family, 0 .. SEQUENCE_N_DOMAINS - 1 */
    bool truth;
} sequence_item;

size_t sequence_n_families(void);
const char *sequence_family_name(size_t family);
/* SIZE_MAX when unknown. */
size_t sequence_family_find(const char *name);
/* Whether the answer follows from the source, so that completing it is a task too. */
bool sequence_is_generative(size_t family);
/* A true statement, or one with one fault, from the stream. */
void sequence_draw(size_t family, bool truth, rng *r, sequence_item *out);
/* Makes a true statement false by one fault, its source unchanged where the answer follows from it. False: none was found in some tries
 * (all letters equal); the item is as it was. */
AGON_MUST_CHECK bool sequence_spoil(size_t family, rng *r, sequence_item *item);
/* n items, half of them true where `truth` is NULL, else all of that truth. None is the same as one of the `n_taken` items at `taken`,
 * nor, when `distinct`, as another of the set: the same source where the answer follows from it, else the same tokens. AGON_EINVAL:
 * the family has not so many. */
AGON_MUST_CHECK agon_status sequence_draw_set(agon_ctx *ctx, size_t family, uint64_t seed, const bool *truth,
                                              const sequence_item *taken, size_t n_taken, bool distinct, size_t n, sequence_item *out);
/* Appends what someone says of the statement after its END, RIGHT or WRONG: text of a corpus, no statement any more. */
void sequence_add_verdict(sequence_item *item);
/* Judges any tokens: well formed and true. Never trusts `truth`, `n_source` or `domain`. */
bool sequence_verify(size_t family, const int32_t *tokens, size_t n);
/* Each place of the answer but END becomes, with probability `rate`, a symbol drawn from the source (it may be the right one). A model
 * trained on such statements knows the answer and yet often says something else: what there is to gain by preferences. */
void sequence_blur(rng *r, double rate, sequence_item *item);
/* Plants mistakes that are always the same: each place of the answer but END that holds one of every `every` digits or letters (2: 0, 2, ...; a, c,
 * ...) becomes, with probability `rate`, the next one (9: 0, z: a). Above a half, a model trained on such statements makes these mistakes even in
 * its most likely answer, and is right elsewhere. every >= 1. */
void sequence_plant(rng *r, size_t every, double rate, sequence_item *item);
/* Names the places where a completion of a true statement's source is wrong: wrong[i], for i below the length of its answer, is whether the i-th
 * token of it is another than the right one or one too many. How many are. What a critic that knows the answer says of it. */
size_t sequence_wrong_places(const sequence_item *truth, const sequence_item *completion, bool wrong[SEQUENCE_MAX]);
/* What a refiner reads: [MEND, source..., '=', each token of the draft's answer but END with RIGHT or WRONG behind it, '='], all of it the source of
 * *out; its completion is the refined answer. False: it would be longer than a statement may be, or the draft does not end with END. */
AGON_MUST_CHECK bool sequence_mend(const sequence_item *draft, const bool *wrong, sequence_item *out);
/* Share of the answer's places, END among them, where a completion of a true statement's source has the right token; the longer of the two
 * answers counts. 1: the whole right answer, and nothing else. A gold reward in closed form, for items whose answer follows from the source. */
double sequence_grade(const sequence_item *truth, const sequence_item *completion);
/* "compare 4821 = 4790": for people; at most `size` bytes. */
void sequence_text(const int32_t *tokens, size_t n, char *out, size_t size);
/* "482 is less than 4821.": for language models, which bring what they know of the words; at most `size` bytes. Any tokens are safe.
 * The words of a source begin those of the whole statement. */
void sequence_words(const int32_t *tokens, size_t n, char *out, size_t size);

#endif

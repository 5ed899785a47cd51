/* How diverse a set of texts is (V:diversity): what collapses when a model learns from its own answers.
 *
 * Words are what stands between white space, in lower case; n-grams end with their text. All figures take time in proportion to m log m, m the bytes of all
 * texts, whatever the texts are. */
#ifndef EVAL_DIVERSITY_H
#define EVAL_DIVERSITY_H

#include "agon.h"

enum { DIVERSITY_ORDERS = 4 };

/* What is undefined is NAN: n-grams where no text has n words, self-BLEU of fewer than two texts, a type-token ratio at more words than there are. */
typedef struct diversity {
    size_t n_words, n_bytes;             /* bytes: of the texts, joined by line ends */
    double distinct[DIVERSITY_ORDERS];   /* different n-grams over all, n = 1..4 */
    double entropy[DIVERSITY_ORDERS];    /* of the n-grams' frequencies, in bits */
    double self_bleu;                    /* mean of each text's BLEU against all others */
    double type_token;                   /* different words among the first `window` over their number */
    size_t lz78_phrases;                 /* of the joined texts */
    double lz78_bits_per_byte;           /* phrases (log2 phrases + 8) over bytes */
} diversity;

/* One text's part in it. Over the texts, the sum of `kinds` by that of `grams` is distinct-n, the sum of `bits` by that of `grams` the entropy, and the mean
 * of `bleu` self-BLEU: what a bootstrap over texts resamples. */
typedef struct diversity_part {
    double grams[DIVERSITY_ORDERS]; /* n-grams it has */
    double kinds[DIVERSITY_ORDERS]; /* an n-gram that stands c times in the set counts 1/c at each place */
    double bits[DIVERSITY_ORDERS];  /* -log2 of the frequency at each place */
    double bleu;                    /* orders up to 4 that it has, uniform; no match counts 0.1; closest reference length, of two the shorter; 0 of an empty
                                       text, NAN of the only one */
} diversity_part;

/* texts [n], any bytes. parts [n] or NULL. AGON_ENOMEM; AGON_EINVAL: 2^32 bytes or more. */
AGON_MUST_CHECK agon_status diversity_of(agon_ctx *ctx, const char *const *texts, size_t n, size_t window, diversity *out, diversity_part *parts);

/* The next word of text [n] at or after *at: bytes [*from, *at); false: there is none. */
bool diversity_next_word(const char *text, size_t n, size_t *from, size_t *at);
/* Puts text [n] into lower case; characters of another length in lower case keep their own (U+0130 and the like). */
void diversity_lower_case(char *text, size_t n);
/* Words of a text. */
size_t diversity_words(const char *text);
/* Bytes of a text up to the end of its word number `words`; all where it has no more. */
size_t diversity_cut(const char *text, size_t words);

#endif

/* Word n-grams as 64-bit hashes (the first 8 bytes of SHA-256), and sets of them; private to src/task. */
#ifndef TASK_NGRAM_H
#define TASK_NGRAM_H

#include "agon.h"

/* Lower-cased white-space tokens of a text, joined by one space; starts[i] is where token i begins in `joined`. Zero-initialise. */
typedef struct token_list {
    char *joined;
    size_t *starts; /* [n + 1], the last one past the end plus one */
    size_t n;
} token_list;
AGON_MUST_CHECK agon_status tokens_read(agon_ctx *ctx, const char *text, token_list *out);
void tokens_free(token_list *t);
/* Hash of tokens [first, first + n). */
uint64_t tokens_hash(const token_list *t, size_t first, size_t n);

/* A set of hashes. Zero-initialise. */
typedef struct hash_set {
    uint64_t *slots; /* 0: empty */
    size_t n, capacity;
} hash_set;
AGON_MUST_CHECK agon_status set_add(agon_ctx *ctx, hash_set *s, uint64_t value);
bool set_has(const hash_set *s, uint64_t value);
void set_free(hash_set *s);
int hashes_rising(const void *a, const void *b); /* for qsort of uint64_t */

/* Distinct n-grams of a text in rising order; a text of fewer than n tokens (but one) is one n-gram. *out new. n >= 1. */
AGON_MUST_CHECK agon_status ngrams_distinct(agon_ctx *ctx, const char *text, size_t n, uint64_t **out, size_t *count);
/* |A and B| / |A or B| of two rising lists; 1 when both are empty. */
double sorted_jaccard(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b);

#endif

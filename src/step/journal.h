/* The journal's hashes: what a link says, and the Merkle root of a batch. Shared by writing (step.c) and checking (journal.c). */
#ifndef STEP_JOURNAL_H
#define STEP_JOURNAL_H

#include "base/hash.h"

typedef struct journal_link {
    hash256 prev; /* zero for a batch's item */
    const char *path, *item, *kind;
    int attempt;
    hash256 input_hash, result_hash;
    const char *records; /* canonical JSON list of what was written with it */
    int64_t n_items;
} journal_link;

/* prev of the first link. */
hash256 journal_genesis(const char *name, const char *seed, const char *config);
/* SHA-256 of canonical JSON (sorted keys, no spaces), V:journal_chain's convention. */
hash256 journal_link_hash(const journal_link *link);
/* Pairs hashed level by level, an odd one carried up; of no items: the hash of nothing. */
hash256 journal_merkle_root(const hash256 *leaves, size_t n);

/* step_seed's rule, without an open run. */
uint64_t journal_seed(uint64_t run_seed, const char *path, const char *item, int attempt);

#endif

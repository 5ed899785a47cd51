/* What the journal's files share: the run, chain records, Merkle roots. */
#ifndef STEP_STEP_INTERNAL_H
#define STEP_STEP_INTERNAL_H

#include "base/ctx.h"
#include "base/json.h"
#include "step/step.h"
#include "store/store_internal.h"

typedef enum run_open { OPEN_NONE, OPEN_SINGLE, OPEN_BATCH } run_open;

struct run {
    agon_ctx *ctx;
    store *store;
    char id[STORE_ID_SIZE];
    uint64_t seed;
    char head[HASH_HEX_SIZE]; /* hash of the last chained record */
    int64_t last;             /* its number; 0: the run's own record */
    int64_t cursor;           /* number of the last step this process has passed */
    bool grown;               /* this process has appended one */
    int64_t iteration;        /* of run_stage */
    run_open open;
    /* the open step */
    char *path, *item, *kind;
    int attempt;
    bool reproducible;
    char *input;
    char input_hash[HASH_HEX_SIZE];
    /* time spent in the journal, see step.h */
    double seconds;
    int clocks;
};

/* A row of the chain. `records` is the canonical list; for a batch `result_hash` is the Merkle root. */
typedef struct journal_row {
    const char *run, *path, *item, *kind, *shape, *input_hash, *result_hash, *records, *prev;
    int64_t seq, attempt, n_items;
    bool reproducible;
} journal_row;
/* SHA-256 of canonical JSON of all of it, as hexadecimal (loop V:journal_chain); false when memory is exhausted. */
bool journal_row_hash(const journal_row *row, char hex[HASH_HEX_SIZE]);

typedef struct journal_item {
    const char *path, *item, *kind, *input_hash, *result_hash, *records;
    int64_t attempt, position;
    bool reproducible;
} journal_item;
bool journal_item_hash(const journal_item *item, hash256 *out);

/* The run's own record, from which the chain starts: configuration, name, seed. */
bool journal_genesis(const char *name, const char *seed, const json_t *config, char hex[HASH_HEX_SIZE]);

/* Root of RFC 6962, section 2.1: leaf = H(0 || data), node = H(1 || left || right), split at the largest power of two below
 * n. `leaves` holds leaf hashes already made by merkle_leaf; it is used as scratch. */
hash256 merkle_leaf(const void *data, size_t n);
hash256 merkle_root(hash256 *leaves, size_t n);

void text_hash(const char *text, char hex[HASH_HEX_SIZE]);
/* Forgets the open step or batch, if there is one. */
void step_close(run *r);
const char *step_kind(const step_key *key, char *memory, size_t size);
/* Keys are checked; the place in the order of steps too (`recorded` its number, 0 when new). */
agon_status step_check_key(run *r, const step_key *key);
agon_status step_check_order(run *r, const char *path, const char *item, int64_t recorded);
agon_status step_check_input(run *r, const char *path, const char *item, int attempt, const char *recorded,
                             const char *now);
/* Queues the chain link, commits, moves the head. On failure the queue is dropped. */
agon_status step_append(run *r, journal_row *row, const char *input, const char *result);

#endif

/* What attention.c, which cuts attention into tasks, and attention_bf16.c, which does them by products of bf16, share. */
#ifndef COMPUTE_ATTENTION_H
#define COMPUTE_ATTENTION_H

#include "compute/kernels.h"

enum {
    ATTENTION_KEYS = 64, /* a block of the online softmax */
    ATTENTION_ROWS = 32, /* query rows that sums over rows (dk, dv) take at a time */
};

typedef struct attention_job {
    agon_ctx *ctx;
    const kernels *kernels;
    attention_call call;
    size_t rows_per_task, n_blocks; /* of so many rows */
    size_t most_keys;     /* of a row of the chunk, backward */
    size_t keys_per_task, n_key_tasks; /* of its dk and dv */
} attention_job;

/* Rows [first, end) of one key head's query heads: out and lse; or, backward, dq, weights and d_scores of the chunk. */
void attention_bf16_rows(const attention_job *j, size_t first, size_t end, size_t kv_head, bool backward, int thread);
/* dk and dv of the ATTENTION_KEYS positions from `key` on, of all lists, from the chunk's rows: it begins at a multiple of ATTENTION_ROWS. */
void attention_bf16_keys(const attention_job *j, size_t key, size_t kv_head, int thread);

#endif

/* Attention over key lists, forward and backward: the cutting into tasks. The arithmetic is in
 * body_attention.h.
 *
 * Forward: any (rows, key head) may run anywhere. Backward adds to dk and dv, so a task owns one key
 * head and one class of trees and takes its query rows in ascending order; trees are told apart by
 * their first key, and rows of different trees share no key. */
#include "compute/kernels.h"
#include <assert.h>

enum { ROWS_PER_TASK = 8, TREE_CLASSES = 16 };

typedef struct attention_job {
    const kernels *kernels;
    attention_call call;
    size_t rows_per_task;
} attention_job;

static void check_shape(const attention_shape *s) {
    assert(s->head_dim > 0 && s->head_dim <= MAX_HEAD_DIM && s->n_kv_heads > 0);
    assert(s->n_heads % s->n_kv_heads == 0);
    (void)s;
}

static void attention_task(void *arg, size_t task, int thread) {
    (void)thread;
    const attention_job *j = arg;
    size_t n_kv = j->call.shape->n_kv_heads, first = task / n_kv * j->rows_per_task;
    size_t end = size_min(first + j->rows_per_task, j->call.n_rows);
    for (size_t row = first; row < end; row++)
        j->kernels->attend(&j->call, row, task % n_kv);
}

void attention(agon_ctx *ctx, const attention_shape *shape, size_t n_rows, const attention_keys *keys,
               const float *q, const float *k, const float *v, float *out, float *lse) {
    check_shape(shape);
    attention_job j = {.kernels = kernels_of(ctx),
                       .call = {.shape = shape, .keys = keys, .q = q, .k = k, .v = v, .out = out,
                                .lse = lse, .n_rows = n_rows},
                       .rows_per_task = n_rows < 64 ? 1 : ROWS_PER_TASK};
    size_t n_blocks = (n_rows + j.rows_per_task - 1) / j.rows_per_task;
    pool_run(ctx->pool, n_blocks * shape->n_kv_heads, attention_task, &j);
}

/* A fixed function of the tree's first key, so that a tree is always whole in one class. */
static size_t tree_class(const attention_keys *keys) {
    return ((uint32_t)keys->rows[0] * 2654435761u >> 16) % TREE_CLASSES;
}

static void backward_task(void *arg, size_t task, int thread) {
    (void)thread;
    const attention_job *j = arg;
    size_t n_kv = j->call.shape->n_kv_heads, class = task / n_kv;
    for (size_t row = 0; row < j->call.n_rows; row++)
        if (tree_class(&j->call.keys[row]) == class)
            j->kernels->attend_backward(&j->call, row, task % n_kv);
}

void attention_backward(agon_ctx *ctx, const attention_shape *shape, size_t n_rows,
                        const attention_keys *keys, const float *q, const float *k, const float *v,
                        const float *out, const float *lse, const float *d_out, float *dq, float *dk,
                        float *dv) {
    check_shape(shape);
    attention_job j = {.kernels = kernels_of(ctx),
                       .call = {.shape = shape, .keys = keys, .q = q, .k = k, .v = v,
                                .out = (float *)out, .lse = (float *)lse, .d_out = d_out, .dq = dq,
                                .dk = dk, .dv = dv, .n_rows = n_rows}};
    pool_run(ctx->pool, TREE_CLASSES * shape->n_kv_heads, backward_task, &j);
}

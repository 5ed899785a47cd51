/* Attention over key lists, forward and backward: the cutting into tasks. The arithmetic is in
 * body_attention.h.
 *
 * Forward: any (rows, key head) may run anywhere; tasks of a head follow each other, so that a thread has its keys and values in
 * its cache. Backward goes over chunks of query rows in ascending order, each in two passes: first tasks by query row write dq and
 * keep the softmax weights p and the score gradients ds; then tasks by key position add p and ds times the chunk's rows to dv and dk. So both passes run on all threads, a key's row is read and
 * written once a chunk, and its sum still takes query rows in ascending order. */
#include "compute/attention.h"
#include <assert.h>

enum {
    ROWS_PER_TASK = 16,
    CHUNK = 32, CHUNK_BF16 = 2 * ATTENTION_ROWS, /* query rows */
    KEYS_PER_TASK = 24, /* whole tiles on every path */
};

static size_t chunk_rows(const attention_shape *s) {
    return s->bf16 ? CHUNK_BF16 : CHUNK;
}

static void check_shape(const attention_shape *s) {
    assert(s->head_dim > 0 && s->head_dim <= MAX_HEAD_DIM && s->n_kv_heads > 0);
    assert(s->n_heads % s->n_kv_heads == 0);
    (void)s;
}

/* Rows [first, end): those that stand together under one list of keys in blocks, the others one by one. */
static void run_rows(const attention_call *c, size_t first, size_t end, size_t kv_head,
                     void (*one)(const attention_call *, size_t, size_t),
                     void (*block)(const attention_call *, size_t, size_t, size_t)) {
    for (size_t row = first, n; row < end; row += n) {
        n = 1;
        while (row + n < end && c->keys[row + n].rows == c->keys[row].rows)
            n++;
        if (block && n >= 4 && c->shape->head_dim == 64)
            block(c, row, n -= n % 4, kv_head);
        else
            one(c, row, kv_head), n = 1;
    }
}

static void attention_task(void *arg, size_t task, int thread) {
    const attention_job *j = arg;
    size_t first = task % j->n_blocks * j->rows_per_task, end = size_min(first + j->rows_per_task, j->call.n_rows);
    if (j->call.shape->bf16)
        attention_bf16_rows(j, first, end, task / j->n_blocks, false, thread);
    else
        run_rows(&j->call, first, end, task / j->n_blocks, j->kernels->attend, j->kernels->attend_rows);
}

static void run_forward(agon_ctx *ctx, attention_call call) {
    const size_t n_rows = call.n_rows;
    check_shape(call.shape);
    attention_job j = {.ctx = ctx, .kernels = kernels_of(ctx), .call = call, .rows_per_task = n_rows < 64 ? 1 : ROWS_PER_TASK};
    if (call.shape->bf16 && n_rows && call.keys[0].rows == call.keys[n_rows - 1].rows)
        j.rows_per_task = ATTENTION_ROWS; /* one text: as many rows as its keys are laid out for */
    j.n_blocks = (n_rows + j.rows_per_task - 1) / j.rows_per_task;
    pool_run(ctx->pool, j.n_blocks * call.shape->n_kv_heads, attention_task, &j);
}

void attention(agon_ctx *ctx, const attention_shape *shape, size_t n_rows, const attention_keys *keys,
               const float *q, const float *k, const float *v, float *out, float *lse) {
    run_forward(ctx, (attention_call){.shape = shape, .keys = keys, .q = q, .k = k, .v = v, .out = out, .lse = lse, .n_rows = n_rows});
}

void attention_rounded(agon_ctx *ctx, const attention_shape *shape, size_t n_rows, const attention_keys *keys,
                       const float *q, const uint16_t *k, const uint16_t *v, float *out) {
    assert(shape->bf16);
    run_forward(ctx, (attention_call){.shape = shape, .keys = keys, .q = q, .k_rounded = k, .v_rounded = v, .out = out, .n_rows = n_rows});
}

typedef struct round_job {
    const packing *packing;
    const float *k, *v;
    size_t width;
    const int32_t *to;
    uint16_t *k_to, *v_to;
} round_job;

static void round_task(void *arg, size_t first, size_t n) {
    const round_job *j = arg;
    for (size_t i = first; i < first + n; i++) {
        const size_t at = (size_t)j->to[i] * j->width;
        j->packing->round_row(j->k + i * j->width, j->width, j->k_to + at);
        j->packing->round_row(j->v + i * j->width, j->width, j->v_to + at);
    }
}

void round_keys(agon_ctx *ctx, const float *k, const float *v, size_t n_rows, size_t width, const int32_t *to, uint16_t *k_to, uint16_t *v_to) {
    run_range(ctx, n_rows, 64, round_task, &(round_job){packing_of(ctx), k, v, width, to, k_to, v_to});
}

/* ---- backward ---------------------------------------------------------------------------------- */

enum { BACKWARD_ROWS = 16 };

static void query_task(void *arg, size_t task, int thread) {
    const attention_job *j = arg;
    size_t first = j->call.first_row + task % j->n_blocks * j->rows_per_task;
    size_t end = size_min(first + j->rows_per_task, j->call.first_row + j->call.n_chunk);
    if (j->call.shape->bf16)
        attention_bf16_rows(j, first, end, task / j->n_blocks, true, thread);
    else
        run_rows(&j->call, first, end, task / j->n_blocks, j->kernels->attend_backward, j->kernels->attend_backward_rows);
}

static void key_task(void *arg, size_t task, int thread) {
    const attention_job *j = arg;
    const size_t first = task % j->n_key_tasks * j->keys_per_task, kv_head = task / j->n_key_tasks;
    if (j->call.shape->bf16)
        attention_bf16_keys(j, first, kv_head, thread);
    else
        j->kernels->attend_backward_keys(&j->call, first, size_min(first + j->keys_per_task, j->most_keys), kv_head);
}

static size_t longest(const attention_keys *keys, size_t n) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = (size_t)keys[i].n > most ? (size_t)keys[i].n : most;
    return most;
}

/* Floats from row to row of the weights: an odd number of cache lines, so that a column of them spreads over the cache's sets. */
static size_t weights_stride(size_t most_keys) {
    size_t n = round_up(most_keys, LANES_N);
    return n / LANES_N % 2 ? n : n + LANES_N;
}

size_t attention_scratch_floats(const attention_shape *shape, size_t n_rows, size_t most_keys) {
    return 2 * size_min(n_rows, CHUNK_BF16) * shape->n_heads * weights_stride(most_keys);
}

void attention_backward(agon_ctx *ctx, const attention_shape *shape, size_t n_rows,
                        const attention_keys *keys, const float *q, const float *k, const float *v,
                        const float *out, const float *lse, const float *d_out, float *dq, float *dk,
                        float *dv, float *scratch, size_t n_scratch) {
    check_shape(shape);
    assert(n_scratch >= attention_scratch_floats(shape, n_rows, longest(keys, n_rows)));
    (void)n_scratch;
    attention_job j = {.ctx = ctx,
                       .kernels = kernels_of(ctx),
                       .rows_per_task = shape->bf16 ? ATTENTION_ROWS : BACKWARD_ROWS,
                       .keys_per_task = shape->bf16 ? ATTENTION_KEYS : KEYS_PER_TASK,
                       .call = {.shape = shape, .keys = keys, .q = q, .k = k, .v = v,
                                .out = (float *)out, .lse = (float *)lse, .d_out = d_out, .dq = dq,
                                .dk = dk, .dv = dv, .n_rows = n_rows, .weights = scratch}};
    const size_t chunk = chunk_rows(shape);
    for (size_t row = 0; row < n_rows; row += chunk) {
        attention_call *c = &j.call;
        c->first_row = row;
        c->n_chunk = size_min(chunk, n_rows - row);
        j.most_keys = longest(keys + row, c->n_chunk);
        c->ld_weights = weights_stride(j.most_keys);
        c->d_scores = scratch + c->n_chunk * shape->n_heads * c->ld_weights;
        j.n_blocks = (c->n_chunk + j.rows_per_task - 1) / j.rows_per_task;
        j.n_key_tasks = (j.most_keys + j.keys_per_task - 1) / j.keys_per_task;
        pool_run(ctx->pool, j.n_blocks * shape->n_kv_heads, query_task, &j);
        pool_run(ctx->pool, j.n_key_tasks * shape->n_kv_heads, key_task, &j);
    }
}

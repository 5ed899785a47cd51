/* Attention whose products have operands of bf16: the same list of keys and the same online softmax as attention.c, but scores, sums
 * over values and gradients are products of the context's own kind (kernels.h), tiles included. docs/numerics.md has the order.
 *
 * Rows that stand together under one list of keys are one block, with all query heads of a key head: of each ATTENTION_KEYS keys the
 * panels are laid out once, in the thread's scratch memory, and multiplied by up to MOST_ROWS rows. A row by itself is a block too. */
#include "compute/attention.h"
#include "compute/matrix.h"
#include <assert.h>
#include <math.h>
#include <string.h>

enum { MOST_ROWS = 128 /* of a block, each query head counted */, KEYS = ATTENTION_KEYS };

/* Query rows [row, row + n) under one list, and query heads [head, head + heads) of one key head. Row i of head g is row g * n + i. */
typedef struct block {
    const attention_job *job;
    int thread;
    size_t row, n, head, heads, kv_head;
    size_t most;   /* keys of its longest row */
    size_t key;    /* for dk and dv: the first of the keys at hand */
    size_t own[MOST_ROWS]; /* keys that each has in the block of keys at hand */
    float *free;   /* scratch memory not yet in use */
} block;

static float *take(block *b, size_t n) {
    float *p = b->free;
    b->free += round_up(n, LANES_N);
    assert(b->free <= ctx_scratch(b->job->ctx, b->thread) + CTX_SCRATCH_FLOATS);
    return p;
}

static const products *products_in(const block *b) {
    return products_of(b->job->ctx, COMPUTE_BF16);
}

/* Rows as the head's products read and write them: `count` groups of n rows, x + g * from_group, rows ld apart. A single row is one
 * group of all heads. */
typedef struct groups {
    size_t count, n, from_group, ld;
} groups;

static groups groups_of(const block *b) {
    const attention_shape *s = b->job->call.shape;
    return b->n == 1 ? (groups){1, b->heads, 0, s->head_dim} : (groups){b->heads, b->n, s->head_dim, s->n_heads * s->head_dim};
}

/* Where the block's rows begin in an array [rows, n_heads * head_dim]. */
static size_t offset_of(const block *b) {
    const attention_shape *s = b->job->call.shape;
    return (b->row * s->n_heads + b->head) * s->head_dim;
}

/* All its rows of x, rounded; [n * heads, *lda]. */
static float *round_block(block *b, const float *x, size_t *lda) {
    const products *p = products_in(b);
    const size_t dim = b->job->call.shape->head_dim;
    const groups g = groups_of(b);
    *lda = product_row_width(p, dim);
    float *a = take(b, b->n * b->heads * *lda);
    for (size_t i = 0; i < g.count; i++)
        p->round_rows(x + offset_of(b) + i * g.from_group, g.ld, g.n, dim, 1.0f, a + i * g.n * *lda, *lda);
    return a;
}

/* Rows of keys or values [any, n_kv_heads * head_dim], in one of the two forms. */
typedef struct key_rows {
    const float *f32;
    const uint16_t *rounded; /* bf16; else NULL */
} key_rows;

/* Keys [first, first + n) of the list in x [any, n_kv_heads * head_dim]: where they are, rows *ld apart, or copied to `here` where they do
 * not follow each other. */
static const float *keys_at(const block *b, const float *x, size_t first, size_t n, float *here, size_t *ld) {
    const attention_shape *s = b->job->call.shape;
    const int32_t *rows = b->job->call.keys[b->row].rows + first;
    *ld = s->n_kv_heads * s->head_dim;
    x += b->kv_head * s->head_dim;
    size_t together = 1;
    while (together < n && rows[together] == rows[0] + (int32_t)together)
        together++;
    if (together == n)
        return x + (size_t)rows[0] * *ld;
    for (size_t i = 0; i < n; i++)
        memcpy(here + i * s->head_dim, x + (size_t)rows[i] * *ld, s->head_dim * sizeof *x);
    *ld = s->head_dim;
    return here;
}

/* One block of keys, and memory for its products. */
typedef struct key_block {
    size_t first, n;
    float *panels, *rows, *scores; /* [KEYS, head_dim padded] bf16 as panels; copied rows; [the block's rows, KEYS] */
} key_block;

/* The keys' panels of x: keys as columns, or as depths. */
static void lay_out_columns(const block *b, const key_block *k, key_rows x, size_t panel) {
    const attention_shape *s = b->job->call.shape;
    const packing *p = packing_of(b->job->ctx);
    const int32_t *rows = b->job->call.keys[b->row].rows + k->first;
    size_t ld;
    const float *from = x.rounded ? NULL : keys_at(b, x.f32, k->first, k->n, k->rows, &ld);
    for (size_t i = 0; i < k->n; i += LANES_N) {
        const size_t n = size_min(LANES_N, k->n - i);
        char *to = (char *)k->panels + i / LANES_N * panel;
        if (x.rounded)
            p->turn_rounded(x.rounded + b->kv_head * s->head_dim, s->n_kv_heads * s->head_dim, rows + i, n, s->head_dim, to);
        else
            p->split(from + i * ld, ld, n, s->head_dim, to, NULL, NULL, 0);
    }
}

static void lay_out_depths(const block *b, const key_block *k, key_rows x, size_t depth) {
    const attention_shape *s = b->job->call.shape;
    const packing *p = packing_of(b->job->ctx);
    size_t ld;
    if (x.rounded) {
        p->depth_panels_rounded(x.rounded + b->kv_head * s->head_dim, s->n_kv_heads * s->head_dim, b->job->call.keys[b->row].rows + k->first, k->n,
                                depth, s->head_dim, k->panels);
    } else {
        const float *from = keys_at(b, x.f32, k->first, k->n, k->rows, &ld);
        p->depth_panels(from, ld, k->n, depth, s->head_dim, k->panels);
    }
}

/* scores = a . x, x the keys' rows: keys are columns. */
static void multiply_scores(block *b, const key_block *k, const float *a, size_t lda, key_rows x, float *scores) {
    const size_t depth = round_up(b->job->call.shape->head_dim, K_BLOCK), panel = depth * LANES_N * sizeof(uint16_t);
    lay_out_columns(b, k, x, panel);
    products_in(b)->multiply(&(gemm){.kind = GEMM_BF16, .a = a, .lda = lda, .n_rows = b->n * b->heads, .k = depth, .w = k->panels,
                                     .panel_bytes = panel, .n_cols = round_up(k->n, LANES_N), .y = scores, .ldy = KEYS, .scale = 1.0f});
}

/* y, where the block's rows are, = or += weights . x: keys are depths. `a`: the weights, rounded. */
static void add_keys(block *b, const key_block *k, const float *a, size_t lda, key_rows x, float *y) {
    const size_t depth = round_up(k->n, K_BLOCK);
    const groups g = groups_of(b);
    lay_out_depths(b, k, x, depth);
    for (size_t i = 0; i < g.count; i++)
        products_in(b)->multiply(&(gemm){.kind = GEMM_BF16, .a = a + i * g.n * lda, .lda = lda, .n_rows = g.n, .k = depth, .w = k->panels,
                                         .panel_bytes = depth * LANES_N * sizeof(uint16_t), .n_cols = b->job->call.shape->head_dim,
                                         .y = y + offset_of(b) + i * g.from_group, .ldy = g.ld, .scale = 1.0f, .resume = k->first > 0});
}

static key_block key_block_new(block *b) {
    const size_t dim = b->job->call.shape->head_dim;
    float *panels = take(b, KEYS * round_up(dim, K_BLOCK) / 2), *rows = take(b, KEYS * dim);
    return (key_block){.panels = panels, .rows = rows, .scores = take(b, b->n * b->heads * KEYS)};
}

/* Sets the block of keys and how many of them each row has. */
static void choose_keys(block *b, key_block *k, size_t first) {
    *k = (key_block){first, size_min(KEYS, b->most - first), k->panels, k->rows, k->scores};
    for (size_t i = 0; i < b->n * b->heads; i++) {
        const size_t n = (size_t)b->job->call.keys[b->row + i % b->n].n;
        b->own[i] = n > first ? size_min(KEYS, n - first) : 0;
    }
}

static void attend_block(block *b) {
    const attention_call *c = &b->job->call;
    const kernels *kernels = b->job->kernels;
    const products *p = products_in(b);
    const size_t n = b->n * b->heads, dim = c->shape->head_dim, ld_weights = product_row_width(p, KEYS);
    const groups g = groups_of(b);
    size_t lda;
    const float *q = round_block(b, c->q, &lda);
    key_block k = key_block_new(b);
    float *weights = take(b, n * ld_weights), *max = take(b, n), *sum = take(b, n), *correction = take(b, n), *out = c->out + offset_of(b);
    for (size_t i = 0; i < n; i++)
        max[i] = -INFINITY, sum[i] = 0;
    for (size_t first = 0; first < b->most; first += KEYS) {
        choose_keys(b, &k, first);
        multiply_scores(b, &k, q, lda, (key_rows){c->k, c->k_rounded}, k.scores);
        kernels->softmax_rows(&(softmax_rows){k.scores, KEYS, n, k.n, b->own, c->shape->scale, max, sum, correction});
        p->round_rows(k.scores, KEYS, n, round_up(k.n, LANES_N), 1.0f, weights, ld_weights);
        for (size_t i = 0; first > 0 && i < g.count; i++)
            kernels->scale_rows(out + i * g.from_group, g.ld, g.n, dim, correction + i * g.n);
        add_keys(b, &k, weights, ld_weights, (key_rows){c->v, c->v_rounded}, c->out);
    }
    for (size_t i = 0; i < g.count; i++)
        kernels->divide_rows(out + i * g.from_group, g.ld, g.n, dim, sum + i * g.n);
    for (size_t i = 0; c->lse && i < n; i++)
        c->lse[(b->row + i % b->n) * c->shape->n_heads + b->head + i / b->n] = max[i] + math_log(sum[i]);
}

/* dq of the block's rows; weights and d_scores of the chunk, up to the longest row's keys, rounded up to LANES_N. */
static void attend_block_backward(block *b) {
    const attention_call *c = &b->job->call;
    const kernels *kernels = b->job->kernels;
    const products *p = products_in(b);
    const size_t n = b->n * b->heads, dim = c->shape->head_dim, n_heads = c->shape->n_heads, ld_weights = product_row_width(p, KEYS);
    const size_t kept = ((b->row - c->first_row) * n_heads + b->head) * c->ld_weights, row_step = n_heads * c->ld_weights;
    const groups g = groups_of(b);
    size_t lda;
    const float *q = round_block(b, c->q, &lda), *d_out = round_block(b, c->d_out, &lda);
    key_block k = key_block_new(b);
    float *weights = take(b, n * ld_weights), *d_weights = take(b, n * KEYS), *delta = take(b, n);
    for (size_t i = 0; i < g.count; i++)
        kernels->dot_rows_bf16(c->d_out + offset_of(b) + i * g.from_group, c->out + offset_of(b) + i * g.from_group, g.ld, g.n, dim, delta + i * g.n);
    for (size_t first = 0; first < b->most; first += KEYS) {
        choose_keys(b, &k, first);
        multiply_scores(b, &k, q, lda, (key_rows){.f32 = c->k}, k.scores);
        multiply_scores(b, &k, d_out, lda, (key_rows){.f32 = c->v}, d_weights);
        for (size_t h = 0; h < b->heads; h++) {
            const size_t at = kept + h * c->ld_weights + first, from = h * b->n;
            kernels->softmax_rows_backward(&(softmax_gradients){
                k.scores + from * KEYS, d_weights + from * KEYS, KEYS, b->n, k.n, b->own + from, c->shape->scale,
                c->lse + b->row * n_heads + b->head + h, n_heads, delta + from, c->weights + at, c->d_scores + at, row_step});
            p->round_rows(c->d_scores + at, row_step, b->n, round_up(k.n, LANES_N), 1.0f, weights + from * ld_weights, ld_weights);
        }
        add_keys(b, &k, weights, ld_weights, (key_rows){.f32 = c->k}, c->dq);
    }
}

/* ---- dk and dv ---------------------------------------------------------------------------------- */

/* Of the keys at hand: to += weight^T x of the block's rows and heads, to [any, n_kv_heads * head_dim]. Heads are depths after
 * each other, K_BLOCK rows each. */
static void add_rows_of_keys(block *b, const float *weight, const float *x, float *to) {
    const attention_call *c = &b->job->call;
    const products *p = products_in(b);
    const attention_shape *s = c->shape;
    const size_t key = b->key, n = size_min(KEYS, b->most - key), dim = s->head_dim, depth = b->heads * K_BLOCK, share = p->pairs ? 2 : 1;
    const size_t lda = p->dw_by_row ? depth / 2 + LANES_N : KEYS + LANES_N, head_at = p->dw_by_row ? K_BLOCK / 2 : K_BLOCK / share * lda;
    const size_t panel = depth * LANES_N / share;
    float *before = b->free, *a = take(b, (p->dw_by_row ? KEYS : depth / share) * lda), *w = take(b, round_up(dim, LANES_N) / LANES_N * panel);
    float *here = take(b, KEYS * dim);
    for (size_t h = 0; h < b->heads; h++) {
        p->dw_rows(weight + ((b->row - c->first_row) * s->n_heads + b->head + h) * c->ld_weights + key, s->n_heads * c->ld_weights, b->n, K_BLOCK, n,
                   1.0f, true, a + h * head_at, lda);
        for (size_t i = 0; i < dim; i += LANES_N)
            p->dw_panels(x + offset_of(b) + h * dim + i, s->n_heads * dim, b->n, K_BLOCK, size_min(LANES_N, dim - i), true,
                         w + i / LANES_N * panel + h * (K_BLOCK / share) * LANES_N);
    }
    size_t ld;
    float *y = (float *)keys_at(b, to, key, n, here, &ld);
    p->multiply(&(gemm){.kind = GEMM_BF16_DW, .a = a, .lda = lda, .n_rows = n, .k = depth, .w = w, .panel_bytes = panel * sizeof *w, .n_cols = dim,
                        .y = y, .ldy = ld, .resume = true});
    const int32_t *rows = c->keys[b->row].rows + key;
    for (size_t i = 0; y == here && i < n; i++)
        memcpy(to + ((size_t)rows[i] * s->n_kv_heads + b->kv_head) * dim, here + i * dim, dim * sizeof *to);
    b->free = before;
}

/* ---- blocks and tasks --------------------------------------------------------------------------- */

/* The next block of rows from `row` on: of one list, inside ATTENTION_ROWS rows. */
static block block_at(const attention_job *j, size_t row, size_t end, size_t kv_head, int thread) {
    const attention_keys *keys = j->call.keys;
    block b = {.job = j, .thread = thread, .row = row, .n = 1, .kv_head = kv_head, .most = (size_t)keys[row].n};
    end = size_min(end, row / ATTENTION_ROWS * ATTENTION_ROWS + ATTENTION_ROWS);
    for (; row + b.n < end && keys[row + b.n].rows == keys[row].rows; b.n++)
        b.most = (size_t)keys[row + b.n].n > b.most ? (size_t)keys[row + b.n].n : b.most;
    return b;
}

/* fn of the block, as many of the key head's query heads at a time as MOST_ROWS rows have. */
static void each_heads(block b, void (*fn)(block *b)) {
    const attention_shape *s = b.job->call.shape;
    const size_t group = s->n_heads / s->n_kv_heads, end = (b.kv_head + 1) * group, most = MOST_ROWS / b.n;
    for (b.head = b.kv_head * group; b.head < end; b.head += b.heads) {
        b.heads = size_min(most, end - b.head);
        b.free = ctx_scratch(b.job->ctx, b.thread);
        fn(&b);
    }
}

void attention_bf16_rows(const attention_job *j, size_t first, size_t end, size_t kv_head, bool backward, int thread) {
    const bool one = j->call.k_rounded && j->call.shape->head_dim == 64;
    void (*attend_one)(const attention_call *, size_t, size_t) = one ? products_of(j->ctx, COMPUTE_BF16)->attend_one : NULL;
    for (size_t row = first; row < end;) {
        const block b = block_at(j, row, end, kv_head, thread);
        if (!backward && b.n == 1 && attend_one)
            attend_one(&j->call, row, kv_head);
        else
            each_heads(b, backward ? attend_block_backward : attend_block);
        row += b.n;
    }
}

static void add_block_to_keys(block *b) {
    const attention_call *c = &b->job->call;
    add_rows_of_keys(b, c->d_scores, c->q, c->dk);
    add_rows_of_keys(b, c->weights, c->d_out, c->dv);
}

void attention_bf16_keys(const attention_job *j, size_t key, size_t kv_head, int thread) {
    const size_t end = j->call.first_row + j->call.n_chunk;
    for (size_t row = j->call.first_row; row < end;) {
        block b = block_at(j, row, end, kv_head, thread);
        b.key = key;
        if (b.most > key)
            each_heads(b, add_block_to_keys);
        row += b.n;
    }
}

/* The output head: log_prob, entropy and gradients without tokens x vocabulary in memory.
 *
 * The vocabulary is cut into fixed segments of 1024. Forward: each (row block, segment) task makes
 * its logits in scratch memory and reduces them to a softmax_part; parts of a row are merged in
 * ascending order. Backward: segment by segment, logits are made again and turned in place into
 * their gradient, which is then multiplied into d_hidden and dw; those that were kept are copied. (Chunked cross-entropy: Wijmans et
 * al. 2024, "Cut your losses in large-vocabulary language models".) */
#include "compute/matrix.h"
#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct head_job {
    agon_ctx *ctx;
    const matrix *w;
    const float *hidden;
    size_t n_rows, n_segments, row_block;
    const int32_t *targets;
    float inv_temperature;
    softmax_part *parts; /* [n_rows, n_segments] */
    float *lse, *log_prob, *entropy, *mean_log_prob;
    /* backward */
    size_t segment;
    const float *d_log_prob, *d_entropy, *d_mean;
    float *d_logits; /* [n_rows, HEAD_SEGMENT] */
    const kept_logits *kept; /* NULL: none */
    size_t first_row;        /* of the call that these rows begin at */
} head_job;

/* Kept logits are [segment][row][column of the segment], so that a task's rows lie together. */
static float *kept_at(const kept_logits *k, size_t row, size_t segment, size_t n_segment) {
    return k->logits + segment * HEAD_SEGMENT * k->n_rows + row * n_segment;
}

static size_t segment_size(const matrix *w, size_t segment) {
    return size_min(HEAD_SEGMENT, w->n_out - segment * HEAD_SEGMENT);
}

static size_t count_segments(size_t vocabulary) {
    return (vocabulary + HEAD_SEGMENT - 1) / HEAD_SEGMENT;
}

/* logits [n_rows, n] / temperature of columns [first, first + n); first a multiple of 16. `a` as from
 * product_rows. */
static void make_logits(const head_job *j, int thread, const void *a, size_t lda, size_t n_rows, size_t first,
                        size_t n, float *logits, size_t ld) {
    gemm g = {.a = a, .lda = lda, .n_rows = n_rows, .k = j->w->pack.k_padded, .n_cols = n, .y = logits, .ldy = ld,
              .scale = j->inv_temperature};
    product_weights(&j->w->pack, j->w->dtype, first / LANES_N, 0, &g);
    product_multiply(j->ctx, j->w->dtype, thread, &g);
}

static size_t most_rows(const agon_ctx *ctx, const matrix *w) {
    size_t most = round_up(HEAD_ROWS, products_of(ctx, w->dtype)->row_step);
    assert(most <= HEAD_ROWS_MAX);
    return most;
}

static size_t head_row_block(const agon_ctx *ctx, const matrix *w, size_t n_rows) {
    return product_row_block(ctx, w->dtype, w->pack.k_padded, n_rows, most_rows(ctx, w), 1);
}

/* ---- forward ----------------------------------------------------------------------------------- */

static void segment_task(void *arg, size_t task, int thread) {
    const head_job *j = arg;
    /* Rows vary fastest: the threads share a segment's weights in the last-level cache. */
    size_t n_blocks = (j->n_rows + j->row_block - 1) / j->row_block;
    size_t segment = task / n_blocks, row = task % n_blocks * j->row_block;
    size_t n_rows = size_min(j->row_block, j->n_rows - row), n = segment_size(j->w, segment), lda;
    const void *a = product_rows(j->ctx, j->w->dtype, j->hidden + row * j->w->n_in, j->w->n_in, n_rows,
                                  j->w->n_in, thread, &lda);
    const size_t in_call = j->first_row + row, kept = j->kept && in_call < j->kept->n_rows ? size_min(n_rows, j->kept->n_rows - in_call) : 0;
    float *logits = kept == n_rows ? kept_at(j->kept, in_call, segment, n) : ctx_scratch(j->ctx, thread) + HEAD_AT;
    make_logits(j, thread, a, lda, n_rows, segment * HEAD_SEGMENT, n, logits, n);
    if (kept > 0 && kept < n_rows)
        memcpy(kept_at(j->kept, in_call, segment, n), logits, kept * n * sizeof *logits);
    for (size_t r = 0; r < n_rows; r++) {
        const float *l = logits + r * n;
        j->parts[(row + r) * j->n_segments + segment] = kernels_of(j->ctx)->softmax_segment(l, n);
        if (j->log_prob && j->targets[row + r] >= 0 &&
            (size_t)j->targets[row + r] / HEAD_SEGMENT == segment)
            j->log_prob[row + r] = l[(size_t)j->targets[row + r] % HEAD_SEGMENT];
    }
}

/* Merges n parts in ascending order. entropy = log(sum) - weighted/sum, both relative to the max. */
static void merge_parts(const softmax_part *parts, size_t n, float *lse, float *entropy, float *plain) {
    float max = parts[0].max, sum = 0, weighted = 0, all = 0;
    for (size_t s = 1; s < n; s++)
        max = parts[s].max > max ? parts[s].max : max;
    for (size_t s = 0; s < n; s++) {
        float shift = parts[s].max - max, factor = math_exp(shift);
        sum = sum + parts[s].sum * factor;
        weighted = weighted + (parts[s].weighted + parts[s].sum * shift) * factor;
        all = all + parts[s].plain;
    }
    float log_sum = math_log(sum);
    *lse = max + log_sum;
    if (entropy)
        *entropy = log_sum - weighted / sum;
    if (plain)
        *plain = all;
}

static void merge_task(void *arg, size_t row, int thread) {
    (void)thread;
    const head_job *j = arg;
    float lse, plain;
    merge_parts(j->parts + row * j->n_segments, j->n_segments, &lse, j->entropy ? j->entropy + row : NULL,
                &plain);
    if (j->lse)
        j->lse[row] = lse;
    if (j->log_prob)
        j->log_prob[row] = j->targets[row] < 0 ? 0.0f : j->log_prob[row] - lse;
    if (j->mean_log_prob)
        j->mean_log_prob[row] = plain / (float)j->w->n_out - lse;
}

void head_log_prob(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows,
                   const int32_t *targets, float temperature, float *lse, float *log_prob,
                   float *entropy, float *mean_log_prob, const kept_logits *keep) {
    assert(temperature > 0 && (targets || !log_prob));
    const size_t n_segments = count_segments(w->n_out);
    /* The parts of as many rows at a time as fit the shared scratch memory. */
    size_t chunk = CTX_SCRATCH_FLOATS * sizeof(float) / sizeof(softmax_part) / n_segments, whole = most_rows(ctx, w);
    assert(chunk > 0);
    chunk = chunk > whole ? chunk / whole * whole : chunk;
    for (size_t row = 0; row < n_rows; row += chunk) {
        size_t n = size_min(chunk, n_rows - row);
        head_job j = {.ctx = ctx, .w = w, .hidden = hidden + row * w->n_in, .n_rows = n,
                      .n_segments = n_segments, .row_block = head_row_block(ctx, w, n),
                      .targets = targets ? targets + row : NULL,
                      .inv_temperature = 1.0f / temperature,
                      .parts = (softmax_part *)ctx_scratch(ctx, ctx->n_threads),
                      .lse = lse ? lse + row : NULL,
                      .log_prob = log_prob ? log_prob + row : NULL,
                      .entropy = entropy ? entropy + row : NULL,
                      .mean_log_prob = mean_log_prob ? mean_log_prob + row : NULL,
                      .kept = keep, .first_row = row};
        pool_run(ctx->pool, (n + j.row_block - 1) / j.row_block * n_segments, segment_task, &j);
        pool_run(ctx->pool, n, merge_task, &j);
    }
}

void head_logits(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows, float *logits) {
    matmul(ctx, hidden, n_rows, w, NULL, 1.0f, false, logits);
}

float head_lse_of_logits(agon_ctx *ctx, const float *logits, size_t vocabulary, float temperature) {
    assert(vocabulary > 0 && temperature > 0);
    const kernels *k = kernels_of(ctx);
    const float inv = 1.0f / temperature;
    unsigned mode = fp_mode_set();
    enum { PARTS = MAX_VOCABULARY / HEAD_SEGMENT };
    softmax_part parts[PARTS];
    parts[0] = (softmax_part){0};
    size_t n_segments = count_segments(vocabulary);
    assert(n_segments <= PARTS);
    for (size_t s = 0; s < n_segments; s++) {
        _Alignas(64) float scaled[HEAD_SEGMENT];
        size_t n = size_min(HEAD_SEGMENT, vocabulary - s * HEAD_SEGMENT);
        for (size_t i = 0; i < n; i++)
            scaled[i] = logits[s * HEAD_SEGMENT + i] * inv;
        parts[s] = k->softmax_segment(scaled, n);
    }
    float lse;
    merge_parts(parts, n_segments, &lse, NULL, NULL);
    fp_mode_restore(mode);
    return lse;
}

/* ---- backward ---------------------------------------------------------------------------------- */

enum { GRADIENT_COLUMNS = 256 };

/* Which row of the kept logits a row is. */
static size_t kept_row(const kept_logits *k, size_t row) {
    return k->row ? (size_t)k->row[row] : row;
}

static void gradient_task(void *arg, size_t task, int thread) {
    const head_job *j = arg;
    const size_t n_segment = segment_size(j->w, j->segment);
    size_t n_parts = (n_segment + GRADIENT_COLUMNS - 1) / GRADIENT_COLUMNS;
    size_t row = task / n_parts * j->row_block, column = task % n_parts * GRADIENT_COLUMNS;
    size_t n_rows = size_min(j->row_block, j->n_rows - row), lda;
    size_t n = size_min(GRADIENT_COLUMNS, n_segment - column), first = j->segment * HEAD_SEGMENT + column;
    float *d_logits = j->d_logits + row * HEAD_SEGMENT + column;
    const bool kept = j->kept && kept_row(j->kept, row + n_rows - 1) < j->kept->n_rows;
    if (!kept) {
        const void *a = product_rows(j->ctx, j->w->dtype, j->hidden + row * j->w->n_in, j->w->n_in, n_rows, j->w->n_in, thread,
                                     &lda);
        make_logits(j, thread, a, lda, n_rows, first, n, d_logits, HEAD_SEGMENT);
    }
    for (size_t r = row; r < row + n_rows; r++, d_logits += HEAD_SEGMENT) {
        bool has_target = j->targets && j->targets[r] >= 0;
        float g = has_target && j->d_log_prob ? j->d_log_prob[r] : 0.0f;
        float h = j->d_entropy ? j->d_entropy[r] : 0.0f, u = j->d_mean ? j->d_mean[r] : 0.0f;
        logit_gradient c = {.lse = j->lse[r], .slope = (g + u) + (h != 0 ? h * j->entropy[r] : 0.0f),
                            .d_entropy = h, .constant = u / (float)j->w->n_out,
                            .inv_temperature = j->inv_temperature};
        const float *logits = kept ? kept_at(j->kept, kept_row(j->kept, r), j->segment, n_segment) + column : d_logits;
        kernels_of(j->ctx)->logit_gradients(logits, n, &c, d_logits);
        if (has_target && (size_t)j->targets[r] >= first && (size_t)j->targets[r] < first + n)
            d_logits[(size_t)j->targets[r] - first] += g * j->inv_temperature;
    }
}

size_t head_scratch_floats(size_t n_rows, size_t n_in) {
    (void)n_in;
    return n_rows * HEAD_SEGMENT;
}

void head_backward(agon_ctx *ctx, const matrix *w, const float *hidden, size_t n_rows,
                   const int32_t *targets, float temperature, const float *lse, const float *entropy,
                   const float *d_log_prob, const float *d_entropy, const float *d_mean,
                   float *d_hidden, float *dw, float *scratch, const kept_logits *kept) {
    assert(temperature > 0 && (entropy || !d_entropy));
    head_job j = {.ctx = ctx, .w = w, .hidden = hidden, .n_rows = n_rows,
                  .row_block = head_row_block(ctx, w, n_rows), .targets = targets,
                  .inv_temperature = 1.0f / temperature, .lse = (float *)lse, .entropy = (float *)entropy,
                  .d_log_prob = d_log_prob, .d_entropy = d_entropy, .d_mean = d_mean, .d_logits = scratch, .kept = kept};
    memset(d_hidden, 0, n_rows * w->n_in * sizeof *d_hidden);
    size_t n_row_blocks = (n_rows + j.row_block - 1) / j.row_block;
    for (j.segment = 0; j.segment < count_segments(w->n_out); j.segment++) {
        size_t first = j.segment * HEAD_SEGMENT, n = segment_size(w, j.segment);
        size_t n_parts = (n + GRADIENT_COLUMNS - 1) / GRADIENT_COLUMNS;
        pool_run(ctx->pool, n_row_blocks * n_parts, gradient_task, &j);
        product_run(ctx, &(product){.dtype = w->dtype, .x = scratch, .ldx = HEAD_SEGMENT, .n_rows = n_rows,
                                    .first_k = first, .k = n, .resume = true,
                                    .n_parts = 1, .parts = {{.w = &w->pack, .y = d_hidden, .ldy = w->n_in, .turned = true}}});
        if (dw)
            weight_gradient_run(ctx, &(weight_gradient){w->dtype, scratch, HEAD_SEGMENT, hidden, w->n_in,
                                                        n_rows, n, w->n_in, 1.0f, dw + first * w->n_in});
    }
}

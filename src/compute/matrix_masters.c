/* The f32 value of each weight that is trained, without a copy of the weights: a pack of bf16 has its upper half, rounded. Beside it
 * are kept the lower half and one bit that tells whether the rounding made the upper half one more (where the lower half is exactly a
 * half the two could not be told apart): 4.125 bytes a weight for 6. An f32 pack has the value itself. Denormals count as zero, as
 * everywhere. Rows of both are [n_out, k_padded]. */
#include "compute/matrix.h"
#include "base/memory.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 512 /* depths at a time, of 16 rows: what a step reads and writes of them stays in the cache */ };

static size_t n_panels(size_t n_rows) {
    return round_up(n_rows, LANES_N) / LANES_N;
}

size_t matrix_masters_predict(compute_dtype dtype, size_t n_out, size_t n_in) {
    size_t n = size_mul(n_out, round_up(n_in, K_BLOCK));
    return dtype == COMPUTE_F32 ? 0 : size_add(size_mul(n, sizeof(uint16_t)), size_mul(n / LANES_N, sizeof(uint16_t)));
}

agon_status matrix_train(agon_ctx *ctx, matrix *m) {
    agon_status s = matrix_widen(ctx, m);
    if (s || m->low || m->dtype == COMPUTE_F32)
        return s;
    const size_t n = size_mul(m->n_out, m->pack.k_padded);
    m->low = memory_raw(n, sizeof *m->low);
    m->carried = memory_raw(n / LANES_N, sizeof *m->carried);
    if (m->low && m->carried)
        return AGON_OK;
    matrix_freeze(m);
    return ctx_fail(ctx, AGON_ENOMEM, "no memory for training a weight matrix of %zu x %zu", m->n_out, m->n_in);
}

void matrix_freeze(matrix *m) {
    free(m->low);
    free(m->carried);
    m->low = m->carried = NULL;
}

/* Some rows and depths of one panel. */
typedef struct block {
    char *panel; /* its depths from k on */
    size_t row, n_rows, k, n;
} block;

static block block_at(const matrix *m, size_t panel, size_t k, size_t n) {
    const size_t size = m->dtype == COMPUTE_F32 ? sizeof(float) : sizeof(uint16_t), row = panel * LANES_N;
    return (block){(char *)m->pack.data + panel * m->pack.panel_bytes + k * LANES_N * size, row, size_min(LANES_N, m->n_out - row), k,
                   size_min(n, m->n_in - k)};
}

static void write_block(const packing *packing, const matrix *m, const block *b, const float *x, size_t ldx) {
    const size_t at = b->row * m->pack.k_padded + b->k;
    if (m->dtype == COMPUTE_BF16) {
        packing->split(x, ldx, b->n_rows, b->n, b->panel, m->low ? m->low + at : NULL, m->low ? m->carried + at / LANES_N : NULL,
                       m->pack.k_padded);
        return;
    }
    float *to = (float *)b->panel;
    for (size_t i = 0; i < b->n; i++)
        for (size_t row = 0; row < LANES_N; row++)
            to[i * LANES_N + row] = row < b->n_rows ? x[row * ldx + i] : 0.0f;
}

static void read_block(const packing *packing, const matrix *m, const block *b, float *x, size_t ldx) {
    const size_t at = b->row * m->pack.k_padded + b->k;
    if (m->dtype == COMPUTE_BF16) {
        packing->join(b->panel, m->low + at, m->carried + at / LANES_N, m->pack.k_padded, b->n_rows, b->n, x, ldx);
        return;
    }
    const float *from = (const float *)b->panel;
    for (size_t row = 0; row < b->n_rows; row++)
        for (size_t i = 0; i < b->n; i++)
            x[row * ldx + i] = from[i * LANES_N + row];
}

typedef struct rows_job {
    const matrix *m;
    const packing *packing;
    size_t first;
    const float *from;
    float *to;
} rows_job;

static void rows_task(void *arg, size_t task, int thread) {
    (void)thread;
    const rows_job *j = arg;
    const block b = block_at(j->m, j->first / LANES_N + task, 0, j->m->n_in);
    const size_t at = (b.row - j->first) * j->m->n_in;
    if (j->from)
        write_block(j->packing, j->m, &b, j->from + at, j->m->n_in);
    else
        read_block(j->packing, j->m, &b, j->to + at, j->m->n_in);
}

static void run_rows(agon_ctx *ctx, const matrix *m, size_t n, rows_job *j) {
    assert(j->first % LANES_N == 0 && j->first + n <= m->n_out && (n % LANES_N == 0 || j->first + n == m->n_out));
    pool_run(ctx->pool, n_panels(n), rows_task, j);
}

void matrix_set_rows(agon_ctx *ctx, matrix *m, size_t first, size_t n, const float *w) {
    assert(!m->pack.q8);
    run_rows(ctx, m, n, &(rows_job){m, packing_of(ctx), first, w, NULL});
}

void matrix_set(agon_ctx *ctx, matrix *m, const float *w) {
    matrix_set_rows(ctx, m, 0, m->n_out, w);
}

void matrix_get_rows(agon_ctx *ctx, const matrix *m, size_t first, size_t n, float *out) {
    assert(m->low || (m->dtype == COMPUTE_F32 && !m->pack.q8));
    run_rows(ctx, m, n, &(rows_job){m, packing_of(ctx), first, NULL, out});
}

typedef struct step_job {
    agon_ctx *ctx;
    const matrix *m;
    const kernels *kernels;
    const packing *packing;
    adamw_step step;
    const float *g;
    float *moment1, *moment2;
    size_t first; /* panel */
    adamw_change *panels;
} step_job;

static void step_panel(void *arg, size_t task, int thread) {
    const step_job *j = arg;
    const matrix *m = j->m;
    float *theta = ctx_scratch(j->ctx, thread), *before = theta + LANES_N * SLICE;
    adamw_change sum = {0};
    for (size_t k = 0; k < m->n_in; k += SLICE) {
        const block b = block_at(m, j->first + task, k, SLICE);
        read_block(j->packing, m, &b, theta, SLICE);
        for (size_t row = 0; row < b.n_rows; row++) {
            const size_t at = (b.row + row) * m->n_in + k;
            const adamw_change c = adamw_piece(j->kernels, &j->step, j->g + at, b.n, theta + row * SLICE, j->moment1 + at, j->moment2 + at, before);
            sum.update += c.update, sum.weight += c.weight;
        }
        write_block(j->packing, m, &b, theta, SLICE);
    }
    j->panels[task] = sum;
}

adamw_change matrix_adamw(agon_ctx *ctx, const adamw_options *o, float grad_scale, matrix *m, const float *g, float *moment1, float *moment2) {
    const size_t most = CTX_SCRATCH_FLOATS * sizeof(float) / sizeof(adamw_change), n = n_panels(m->n_out);
    adamw_change all = {0};
    assert(m->low || m->dtype == COMPUTE_F32);
    for (size_t first = 0; first < n; first += most) {
        step_job j = {ctx, m, kernels_of(ctx), packing_of(ctx), adamw_step_of(o, grad_scale), g, moment1, moment2, first,
                      (adamw_change *)ctx_scratch(ctx, ctx->n_threads)};
        const size_t n_tasks = size_min(most, n - first);
        pool_run(ctx->pool, n_tasks, step_panel, &j);
        for (size_t i = 0; i < n_tasks; i++) {
            all.update += j.panels[i].update;
            all.weight += j.panels[i].weight;
        }
    }
    return all;
}

/* SwiGLU (Shazeer 2020), sums, and the cutting of ranges into tasks. */
#include "compute/kernels.h"

enum { GRAIN = 8192 };

typedef struct range_job {
    range_task fn;
    void *arg;
    size_t n, grain;
} range_job;

static void range_piece(void *arg, size_t task, int thread) {
    (void)thread;
    const range_job *j = arg;
    size_t first = task * j->grain;
    j->fn(j->arg, first, size_min(j->grain, j->n - first));
}

void run_range(agon_ctx *ctx, size_t n, size_t grain, range_task fn, void *arg) {
    range_job j = {fn, arg, n, grain};
    pool_run(ctx->pool, (n + grain - 1) / grain, range_piece, &j);
}

typedef struct arrays {
    const kernels *k;
    const float *a, *b, *c;
    float *y, *z, *again;
    size_t n_rows, width;
} arrays;

static void swiglu_piece(void *arg, size_t first, size_t n) {
    const arrays *j = arg;
    j->k->swiglu(j->a + first, j->b + first, n, j->y + first);
}

void swiglu(agon_ctx *ctx, const float *gate, const float *up, size_t n, float *y) {
    run_range(ctx, n, GRAIN, swiglu_piece, &(arrays){.k = kernels_of(ctx), .a = gate, .b = up, .y = y});
}

static void swiglu_backward_piece(void *arg, size_t first, size_t n) {
    const arrays *j = arg;
    j->k->swiglu_backward(j->a + first, j->b + first, j->c + first, n, j->again + first, j->y + first, j->z + first);
}

void swiglu_backward(agon_ctx *ctx, const float *gate, const float *up, const float *dy, size_t n, float *y, float *dgate, float *dup) {
    run_range(ctx, n, GRAIN, swiglu_backward_piece, &(arrays){.k = kernels_of(ctx), .a = gate, .b = up, .c = dy, .y = dgate, .z = dup, .again = y});
}

static void add_piece(void *arg, size_t first, size_t n) {
    const arrays *j = arg;
    j->k->add(j->y + first, j->a + first, n);
}

void add_in_place(agon_ctx *ctx, float *y, const float *x, size_t n) {
    run_range(ctx, n, GRAIN, add_piece, &(arrays){.k = kernels_of(ctx), .a = x, .y = y});
}

static void bias_piece(void *arg, size_t first, size_t n) {
    const arrays *j = arg;
    for (size_t i = first; i < first + n; i += LANES_N)
        j->k->column_sums(j->a, j->n_rows, j->width, i, size_min(LANES_N, first + n - i), j->y);
}

void bias_gradient(agon_ctx *ctx, const float *dy, size_t n_rows, size_t width, float *db) {
    run_range(ctx, width, LANES_N, bias_piece, &(arrays){.k = kernels_of(ctx), .a = dy, .y = db, .n_rows = n_rows, .width = width});
}

/* RMSNorm (Zhang and Sennrich 2019), forward and backward: the cutting into tasks. */
#include "compute/kernels.h"

enum { ROWS_PER_TASK = 16 };

typedef struct norm_job {
    const kernels *k;
    const float *x, *weight, *dy, *inv;
    float *y, *inv_out, *dweight;
    size_t width, n_rows;
    float eps;
    bool accumulate;
} norm_job;

static void norm_range(void *arg, size_t first, size_t n) {
    const norm_job *j = arg;
    size_t at = first * j->width;
    j->k->rms_norm(j->x + at, n, j->width, j->weight, j->eps, j->y + at,
                   j->inv_out ? j->inv_out + first : NULL);
}

void rms_norm(agon_ctx *ctx, const float *x, size_t n_rows, size_t width, const float *weight, float eps,
              float *y, float *inv_rms) {
    norm_job j = {.k = kernels_of(ctx), .x = x, .weight = weight, .y = y, .inv_out = inv_rms,
                  .width = width, .eps = eps};
    run_range(ctx, n_rows, ROWS_PER_TASK, norm_range, &j);
}

static void norm_dx_range(void *arg, size_t first, size_t n) {
    const norm_job *j = arg;
    size_t at = first * j->width;
    j->k->rms_norm_dx(j->x + at, j->inv + first, j->weight, j->dy + at, n, j->width, j->accumulate,
                      j->y + at);
}

static void norm_dweight_range(void *arg, size_t first, size_t n) {
    const norm_job *j = arg;
    for (size_t i = first; i < first + n; i += LANES_N)
        j->k->rms_norm_dweight(j->x, j->inv, j->dy, j->n_rows, j->width, i,
                               size_min(LANES_N, first + n - i), j->dweight);
}

void rms_norm_backward(agon_ctx *ctx, const float *x, const float *inv_rms, const float *weight,
                       const float *dy, size_t n_rows, size_t width, bool accumulate, float *dx,
                       float *dweight) {
    norm_job j = {.k = kernels_of(ctx), .x = x, .inv = inv_rms, .weight = weight, .dy = dy, .y = dx,
                  .dweight = dweight, .width = width, .n_rows = n_rows, .accumulate = accumulate};
    /* The weight's gradient first: dx may be dy. */
    if (dweight)
        run_range(ctx, width, LANES_N, norm_dweight_range, &j);
    run_range(ctx, n_rows, ROWS_PER_TASK, norm_dx_range, &j);
}

/* AdamW (Loshchilov and Hutter 2019) and the gradient norm. */
#include "compute/adamw.h"
#include "compute/kernels.h"
#include <assert.h>
#include <string.h>

enum { GRAIN = 16384, NORM_BLOCK = 8192 };

typedef struct adamw_job {
    const kernels *k;
    adamw_step step;
    const float *g;
    float *theta, *m, *v;
} adamw_job;

/* By squaring: libm's pow may differ between machines. */
static double power(double x, int64_t n) {
    double r = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1)
            r *= x;
    return r;
}

adamw_step adamw_step_of(const adamw_options *o, float grad_scale) {
    assert(o->step >= 1);
    return (adamw_step){.grad_scale = grad_scale,
                        .beta1 = o->beta1,
                        .one_minus_beta1 = 1.0f - o->beta1,
                        .beta2 = o->beta2,
                        .one_minus_beta2 = 1.0f - o->beta2,
                        .correction1 = (float)(1 / (1 - power(o->beta1, o->step))),
                        .correction2 = (float)(1 / (1 - power(o->beta2, o->step))),
                        .lr = o->lr,
                        .lr_decay = o->lr * o->weight_decay,
                        .eps = o->eps};
}

typedef struct measured_job {
    adamw_job adamw;
    agon_ctx *ctx;
    size_t n;
    adamw_change *blocks;
} measured_job;

adamw_change adamw_piece(const kernels *k, const adamw_step *step, const float *g, size_t n, float *theta, float *m, float *v, float *before) {
    adamw_change change;
    memcpy(before, theta, n * sizeof *before);
    change.weight = k->sum_squares(before, n);
    k->adamw(step, g, n, theta, m, v);
    for (size_t i = 0; i < n; i++)
        before[i] = theta[i] - before[i];
    change.update = k->sum_squares(before, n);
    return change;
}

/* The values before are kept in the thread's scratch while the block is in cache. */
static void measured_block(void *arg, size_t block, int thread) {
    const measured_job *m = arg;
    const adamw_job *j = &m->adamw;
    size_t first = block * GRAIN;
    m->blocks[block] = adamw_piece(j->k, &j->step, j->g + first, size_min(GRAIN, m->n - first), j->theta + first, j->m + first, j->v + first,
                                   ctx_scratch(m->ctx, thread));
}

adamw_change adamw_measured(agon_ctx *ctx, const adamw_options *o, float grad_scale, const float *g, size_t n,
                            float *theta, float *m, float *v) {
    const size_t chunk = CTX_SCRATCH_FLOATS * sizeof(float) / sizeof(adamw_change) * GRAIN;
    adamw_change sum = {0};
    for (size_t first = 0; first < n; first += chunk) {
        measured_job j = {.adamw = {.k = kernels_of(ctx), .g = g + first, .theta = theta + first, .m = m + first, .v = v + first,
                                    .step = adamw_step_of(o, grad_scale)},
                          .ctx = ctx, .n = size_min(chunk, n - first), .blocks = (adamw_change *)ctx_scratch(ctx, ctx->n_threads)};
        size_t n_blocks = (j.n + GRAIN - 1) / GRAIN;
        pool_run(ctx->pool, n_blocks, measured_block, &j);
        for (size_t b = 0; b < n_blocks; b++) {
            sum.update += j.blocks[b].update;
            sum.weight += j.blocks[b].weight;
        }
    }
    return sum;
}

void adamw(agon_ctx *ctx, const adamw_options *o, float grad_scale, const float *g, size_t n, float *theta, float *m, float *v) {
    adamw_measured(ctx, o, grad_scale, g, n, theta, m, v);
}

typedef struct norm_job {
    const kernels *k;
    const float *x;
    size_t n;
    double *blocks;
} norm_job;

static void norm_block(void *arg, size_t block, int thread) {
    (void)thread;
    const norm_job *j = arg;
    size_t first = block * NORM_BLOCK;
    j->blocks[block] = j->k->sum_squares(j->x + first, size_min(NORM_BLOCK, j->n - first));
}

double sum_squares(agon_ctx *ctx, const float *x, size_t n) {
    const size_t chunk = CTX_SCRATCH_FLOATS / 2 * NORM_BLOCK;
    double sum = 0;
    for (size_t first = 0; first < n; first += chunk) {
        norm_job j = {kernels_of(ctx), x + first, size_min(chunk, n - first),
                      (double *)ctx_scratch(ctx, ctx->n_threads)};
        size_t n_blocks = (j.n + NORM_BLOCK - 1) / NORM_BLOCK;
        pool_run(ctx->pool, n_blocks, norm_block, &j);
        for (size_t b = 0; b < n_blocks; b++)
            sum += j.blocks[b];
    }
    return sum;
}

/* AdamW (Loshchilov and Hutter 2019) and the gradient norm. */
#include "compute/kernels.h"
#include <assert.h>

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

static void adamw_piece(void *arg, size_t first, size_t n) {
    const adamw_job *j = arg;
    j->k->adamw(&j->step, j->g + first, n, j->theta + first, j->m + first, j->v + first);
}

void adamw(agon_ctx *ctx, const adamw_options *o, float grad_scale, const float *g, size_t n,
           float *theta, float *m, float *v) {
    assert(o->step >= 1);
    adamw_job j = {.k = kernels_of(ctx), .g = g, .theta = theta, .m = m, .v = v,
                   .step = {.grad_scale = grad_scale,
                            .beta1 = o->beta1,
                            .one_minus_beta1 = 1.0f - o->beta1,
                            .beta2 = o->beta2,
                            .one_minus_beta2 = 1.0f - o->beta2,
                            .correction1 = (float)(1 / (1 - power(o->beta1, o->step))),
                            .correction2 = (float)(1 / (1 - power(o->beta2, o->step))),
                            .lr = o->lr,
                            .lr_decay = o->lr * o->weight_decay,
                            .eps = o->eps}};
    run_range(ctx, n, GRAIN, adamw_piece, &j);
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

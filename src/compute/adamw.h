/* A step of AdamW that is measured while it is made (adamw.c; without the measure: compute.h). */
#ifndef COMPUTE_ADAMW_H
#define COMPUTE_ADAMW_H

#include "compute/compute.h"

/* Sums of squares of what was added to theta, and of theta before; as sum_squares: the same for any number of threads. */
typedef struct adamw_change {
    double update, weight;
} adamw_change;

/* The bits of adamw, and how far the step went. */
adamw_change adamw_measured(agon_ctx *ctx, const adamw_options *options, float grad_scale, const float *g, size_t n, float *theta, float *m,
                            float *v);

/* The same step of a matrix that is trained: g and moments [n_out, n_in]. Values and pack get the bits that adamw and matrix_set give. */
adamw_change matrix_adamw(agon_ctx *ctx, const adamw_options *options, float grad_scale, matrix *m, const float *g, float *moment1,
                          float *moment2);

#endif

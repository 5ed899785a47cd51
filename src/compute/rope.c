/* Rotary position embedding (Su et al. 2021) in the rotate-half form of Llama checkpoints. */
#include "compute/kernels.h"
#include <assert.h>

typedef struct rope_job {
    const kernels *k;
    float *x;
    size_t n_heads, head_dim;
    const float *inv_freq;
    const int32_t *positions;
    int direction;
} rope_job;

static void rope_range(void *arg, size_t first, size_t n) {
    const rope_job *j = arg;
    for (size_t row = first; row < first + n; row++)
        j->k->rope(j->x + row * j->n_heads * j->head_dim, j->n_heads, j->head_dim, j->inv_freq,
                   j->positions[row], j->direction);
}

void rope(agon_ctx *ctx, float *x, size_t n_rows, size_t n_heads, size_t head_dim, const float *inv_freq,
          const int32_t *positions, int direction) {
    assert(head_dim % 2 == 0);
    rope_job j = {kernels_of(ctx), x, n_heads, head_dim, inv_freq, positions, direction};
    run_range(ctx, n_rows, 16, rope_range, &j);
}

/* Rotary position embedding (Su et al. 2021) in the rotate-half form of Llama checkpoints. */
#include "compute/kernels.h"
#include <assert.h>

typedef struct rope_job {
    const kernels *k;
    float *x, *table;
    size_t n_heads, head_dim;
    const float *inv_freq, *angles;
    const int32_t *positions;
    int direction;
} rope_job;

static void table_range(void *arg, size_t first, size_t n) {
    const rope_job *j = arg;
    for (size_t row = first; row < first + n; row++)
        j->k->rope_table(j->inv_freq, j->head_dim / 2, j->positions[row], j->table + row * j->head_dim);
}

void rope_table(agon_ctx *ctx, size_t n_rows, size_t head_dim, const float *inv_freq, const int32_t *positions, float *table) {
    assert(head_dim % 2 == 0);
    rope_job j = {.k = kernels_of(ctx), .table = table, .head_dim = head_dim, .inv_freq = inv_freq, .positions = positions};
    run_range(ctx, n_rows, 16, table_range, &j);
}

static void rope_range(void *arg, size_t first, size_t n) {
    const rope_job *j = arg;
    for (size_t row = first; row < first + n; row++)
        j->k->rope(j->x + row * j->n_heads * j->head_dim, j->n_heads, j->head_dim, j->angles + row * j->head_dim, j->direction);
}

void rope(agon_ctx *ctx, float *x, size_t n_rows, size_t n_heads, size_t head_dim, const float *table, int direction) {
    assert(head_dim % 2 == 0);
    rope_job j = {.k = kernels_of(ctx), .x = x, .n_heads = n_heads, .head_dim = head_dim, .angles = table, .direction = direction};
    run_range(ctx, n_rows, 16, rope_range, &j);
}

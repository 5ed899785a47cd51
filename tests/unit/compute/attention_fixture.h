/* Attention over two trees, for its tests. */
#ifndef ATTENTION_FIXTURE_H
#define ATTENTION_FIXTURE_H

#include "reference.h"

enum { KEYS = 75, ROWS = 90, MAX_HEADS = 8, MAX_DIM = 128 };

typedef struct fixture {
    attention_shape shape;
    attention_keys keys[ROWS];
    int32_t lists[ROWS][KEYS];
    float *q, *k, *v, *d_out;
    size_t n_q, n_kv;
} fixture;

/* Two trees: rows 0..69 are one chain; rows 70..89 share the prefix 70..74 and branch after it. The rows of a chain have one list,
 * which is what lets kernels take them in blocks. */
static inline fixture *make(size_t dim, size_t heads, size_t kv, bool bf16) {
    rng r = rng_new(31 + dim);
    fixture *f = calloc(1, sizeof *f);
    f->shape = (attention_shape){heads, kv, dim, 1 / sqrtf((float)dim), bf16};
    f->n_q = ROWS * heads * dim, f->n_kv = ROWS * kv * dim;
    f->q = random_floats(&r, f->n_q), f->k = random_floats(&r, f->n_kv);
    f->v = random_floats(&r, f->n_kv), f->d_out = random_floats(&r, f->n_q);
    for (int i = 0; i < ROWS; i++) {
        int n = 0;
        if (i < 70)
            for (; n <= i; n++)
                f->lists[i][n] = n;
        else if (i < 75)
            for (; n <= i - 70; n++)
                f->lists[i][n] = 70 + n;
        else {
            for (; n < 5; n++)
                f->lists[i][n] = 70 + n;
            for (int j = i < 82 ? 75 : 82; j <= i; j++)
                f->lists[i][n++] = j;
        }
        f->keys[i] = (attention_keys){f->lists[i < 70 ? 69 : i < 82 ? 81 : ROWS - 1], n};
    }
    return f;
}

static inline void release(fixture *f) {
    free(f->q), free(f->k), free(f->v), free(f->d_out), free(f);
}

#endif

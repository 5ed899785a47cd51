/* The key-value cache's layout, shared by kv_cache.c and decode.c. */
#ifndef MODEL_DECODE_PRIVATE_H
#define MODEL_DECODE_PRIVATE_H

#include "model/model_private.h"

struct kv_cache {
    size_t n_rows, n_layers, width; /* width = n_kv_heads * head_dim */
    bool rounded;                   /* bf16, where attention rounds them; else f32 */
    void *k, *v;                    /* [n_layers, n_rows, width] */
    size_t k_size, v_size;          /* of their blocks */
};

#endif

/* The safetensors container: 8 bytes header size, a JSON header, then the bytes of each tensor. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "base/buffer.h"
#include "base/json.h"
#include "model/weights.h"

/* Reads an image in memory (borrowed until weights_free): tensors through weights_read, texts of its
 * __metadata__ through weights_meta_text. There is no config. `where` names it in errors. *out new. */
AGON_MUST_CHECK agon_status safetensors_open_memory(agon_ctx *ctx, const char *where, const void *data,
                                                    size_t n, weights **out);
/* Adds the tensors of an image to `w` (before weights_index). */
AGON_MUST_CHECK agon_status safetensors_parse(agon_ctx *ctx, weights *w, const char *path,
                                              const uint8_t *data, size_t size);

typedef struct safetensors_item {
    const char *name;
    const char *dtype; /* "F32", "F16", "BF16" */
    size_t n_rows, n_columns;
    bool vector; /* shape [n_columns], else [n_rows, n_columns] */
} safetensors_item;

/* Appends size and header; the tensors' bytes follow in the order of `items`, without gaps. `metadata`: an object of
 * texts, or NULL (borrowed). */
AGON_MUST_CHECK agon_status safetensors_header(agon_ctx *ctx, const safetensors_item *items, size_t n,
                                               json_t *metadata, buffer *out);

#endif

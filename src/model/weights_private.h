/* What the readers (gguf.c, hf_folder in weights_hf.c, safetensors.c, peft.c) and weights.c share. */
#ifndef MODEL_WEIGHTS_PRIVATE_H
#define MODEL_WEIGHTS_PRIVATE_H

#include "base/file.h"
#include "base/memory.h"
#include "model/quants.h"
#include "model/weights.h"

typedef enum meta_kind { META_OTHER, META_INT, META_REAL, META_TEXT, META_STRINGS, META_INTS, META_FLOATS } meta_kind;

typedef struct meta_value {
    const char *key;
    meta_kind kind;
    int64_t integer;
    double real;
    const char *text;
    gguf_strings strings;
    const int32_t *ints;
    size_t n_ints;
    const float *floats;
    size_t n_floats;
} meta_value;

typedef struct weights_tensor_entry {
    const char *name;        /* Hugging Face name */
    const char *stored_name; /* the file's own, for error sentences */
    const char *file;        /* path of its file */
    const quant_type *type;
    const uint8_t *data;     /* checked to hold all rows */
    size_t n_rows, n_columns, row_bytes;
    size_t interleaved_head; /* > 0: rows are in interleaved RoPE order for heads of that size */
} weights_tensor_entry;

typedef struct weights_file {
    char *path;
    file_map map; /* .data NULL when the bytes are the caller's */
} weights_file;

struct weights {
    arena *memory; /* every string and metadata array */
    char *path;
    bool gguf;
    model_config config;
    weights_file *files;
    size_t n_files;
    meta_value *meta; /* [n_meta] */
    size_t n_meta, meta_capacity;
    weights_tensor_entry *tensors; /* sorted by name once weights_index ran */
    size_t n_tensors, tensor_capacity;
};

/* Limits on what a file may claim, far above any model there is; the memory that follows from them is
 * also bounded by the file's own size. */
enum { MAX_LAYERS = 4096, MAX_DIMENSION = 1 << 24, NAME_LIMIT = 255 };

AGON_MUST_CHECK agon_status weights_new(agon_ctx *ctx, const char *path, weights **out);
/* Maps `path` and keeps the map until weights_free. *map borrowed. */
AGON_MUST_CHECK agon_status weights_map(agon_ctx *ctx, weights *w, const char *path, file_map *map,
                                        const char **kept_path);
AGON_MUST_CHECK agon_status weights_add_meta(agon_ctx *ctx, weights *w, const meta_value *value);
const meta_value *weights_find_meta(const weights *w, const char *key);
AGON_MUST_CHECK agon_status weights_add_tensor(agon_ctx *ctx, weights *w,
                                               const weights_tensor_entry *entry);
/* Sorts the tensors; refuses two of one name, and two that share a byte. */
AGON_MUST_CHECK agon_status weights_index(agon_ctx *ctx, weights *w);
const weights_tensor_entry *weights_find(const weights *w, const char *name);

/* gguf.c. An image in memory (borrowed until weights_free); `where` names it in errors. *out new. */
AGON_MUST_CHECK agon_status gguf_open_memory(agon_ctx *ctx, const char *where, const void *data, size_t n,
                                             weights **out);
/* The bytes stay the caller's until weights_free. */
AGON_MUST_CHECK agon_status gguf_parse(agon_ctx *ctx, weights *w, const char *path, const uint8_t *data,
                                       size_t size);
/* gguf_config.c: config from metadata and the tensors read; then names, shapes and row order. */
AGON_MUST_CHECK agon_status gguf_configure(agon_ctx *ctx, weights *w, const char *path);
/* hf_config.c */
AGON_MUST_CHECK agon_status hf_config_parse(agon_ctx *ctx, const char *where, const char *text, size_t n,
                                            model_config *out);
/* weights_hf.c */
AGON_MUST_CHECK agon_status hf_open(agon_ctx *ctx, weights *w, const char *folder);

#endif

/* An open model: index of tensors, exact values as f32, metadata, content id. The formats are in gguf.c,
 * safetensors.c and weights_hf.c. */
#include "base/ctx.h"
#include "model/weights_private.h"
#include <stdlib.h>
#include <string.h>

agon_status weights_new(agon_ctx *ctx, const char *path, weights **out) {
    weights *w = calloc(1, sizeof *w);
    if (!w)
        return ctx_no_memory(ctx);
    agon_status s = arena_new(ctx, 0, &w->memory);
    if (!s && !(w->path = arena_copy(w->memory, path)))
        s = ctx_no_memory(ctx);
    if (s) {
        weights_free(w);
        return s;
    }
    *out = w;
    return AGON_OK;
}

void weights_free(weights *w) {
    if (!w)
        return;
    for (size_t i = 0; i < w->n_files; i++)
        file_unmap(&w->files[i].map);
    free(w->files);
    free(w->meta);
    free(w->tensors);
    arena_free(w->memory);
    free(w);
}

void weights_release(const weights *w) {
    for (size_t i = 0; i < w->n_files; i++)
        file_map_release(&w->files[i].map);
}

agon_status weights_map(agon_ctx *ctx, weights *w, const char *path, file_map *map,
                        const char **kept_path) {
    weights_file *files = realloc(w->files, (w->n_files + 1) * sizeof *files);
    if (!files)
        return ctx_no_memory(ctx);
    w->files = files;
    weights_file file = {.path = arena_copy(w->memory, path)};
    if (!file.path)
        return ctx_no_memory(ctx);
    agon_status s = file_map_open(ctx, path, &file.map);
    if (s)
        return s;
    files[w->n_files++] = file;
    *map = file.map;
    *kept_path = file.path;
    return AGON_OK;
}

agon_status weights_add_meta(agon_ctx *ctx, weights *w, const meta_value *value) {
    if (!memory_grow((void **)&w->meta, &w->meta_capacity, w->n_meta, sizeof *w->meta))
        return ctx_no_memory(ctx);
    w->meta[w->n_meta++] = *value;
    return AGON_OK;
}

const meta_value *weights_find_meta(const weights *w, const char *key) {
    for (size_t i = 0; i < w->n_meta; i++)
        if (strcmp(w->meta[i].key, key) == 0)
            return &w->meta[i];
    return NULL;
}

agon_status weights_add_tensor(agon_ctx *ctx, weights *w, const weights_tensor_entry *entry) {
    if (!memory_grow((void **)&w->tensors, &w->tensor_capacity, w->n_tensors, sizeof *w->tensors))
        return ctx_no_memory(ctx);
    w->tensors[w->n_tensors++] = *entry;
    return AGON_OK;
}

static int by_name(const void *a, const void *b) {
    const weights_tensor_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_place(const void *a, const void *b) {
    const weights_tensor_entry *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

/* No byte belongs to two tensors. Leaves them in the order of their places. */
static agon_status check_apart(agon_ctx *ctx, weights *w) {
    qsort(w->tensors, w->n_tensors, sizeof *w->tensors, by_place);
    for (size_t i = 1; i < w->n_tensors; i++) {
        const weights_tensor_entry *a = &w->tensors[i - 1], *b = &w->tensors[i];
        if (b->data < a->data + a->n_rows * a->row_bytes)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: the tensors '%s' and '%s' overlap in the file; it is damaged, fetch it again", b->file, a->stored_name,
                            b->stored_name);
    }
    return AGON_OK;
}

agon_status weights_index(agon_ctx *ctx, weights *w) {
    agon_status s = w->n_tensors ? check_apart(ctx, w) : AGON_OK;
    if (s)
        return s;
    if (w->n_tensors)
        qsort(w->tensors, w->n_tensors, sizeof *w->tensors, by_name);
    for (size_t i = 1; i < w->n_tensors; i++)
        if (strcmp(w->tensors[i - 1].name, w->tensors[i].name) == 0)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' is there twice", w->tensors[i].file,
                            w->tensors[i].stored_name);
    return AGON_OK;
}

const weights_tensor_entry *weights_find(const weights *w, const char *name) {
    weights_tensor_entry key = {.name = name};
    if (!w->n_tensors)
        return NULL;
    return bsearch(&key, w->tensors, w->n_tensors, sizeof *w->tensors, by_name);
}

static agon_status open_file(agon_ctx *ctx, weights *w, const char *path) {
    file_map map;
    const char *kept;
    agon_status s = weights_map(ctx, w, path, &map, &kept);
    if (s)
        return s;
    if (map.size < 4 || memcmp(map.data, "GGUF", 4) != 0)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: not a GGUF file; give a .gguf file or a Hugging Face model folder", path);
    return gguf_parse(ctx, w, kept, map.data, map.size);
}

agon_status weights_open(agon_ctx *ctx, const char *path, weights **out) {
    weights *w = NULL;
    agon_status s = weights_new(ctx, path, &w);
    if (!s)
        s = folder_exists(path) ? hf_open(ctx, w, path) : open_file(ctx, w, path);
    if (s) {
        weights_free(w);
        return s;
    }
    *out = w;
    return AGON_OK;
}

const model_config *weights_config(const weights *w) {
    return &w->config;
}

const char *weights_path(const weights *w) {
    return w->path;
}

const char *weights_place(const weights *w, char real[PATH_MAX]) {
    if (!realpath(w->path, real))
        return w->path;
    char *file = weights_is_gguf(w) ? strrchr(real, '/') : NULL;
    if (file)
        file[file == real] = 0; /* "/" stays */
    return real;
}

bool weights_is_gguf(const weights *w) {
    return w->gguf;
}

size_t weights_n_tensors(const weights *w) {
    return w->n_tensors;
}

tensor_info weights_tensor(const weights *w, size_t i) {
    const weights_tensor_entry *t = &w->tensors[i];
    return (tensor_info){t->name, t->n_rows, t->n_columns, t->type->name};
}

bool weights_has(const weights *w, const char *name) {
    return weights_find(w, name) != NULL;
}

/* ---- values ------------------------------------------------------------------------------------ */

/* Interleaved RoPE order keeps the pair (j, j + head/2) of a head in neighbouring rows 2j and 2j + 1;
 * here: where Hugging Face row r is stored. */
static size_t interleaved_row(size_t r, size_t head) {
    size_t in_head = r % head, pair = in_head % (head / 2), second = in_head / (head / 2);
    return r - in_head + 2 * pair + second;
}

static void read_rows(const weights_tensor_entry *t, float *out) {
    size_t blocks = t->n_columns / t->type->block;
    if (!t->interleaved_head) {
        t->type->dequantize(t->data, t->n_rows * blocks, out);
        return;
    }
    for (size_t r = 0; r < t->n_rows; r++)
        t->type->dequantize(t->data + interleaved_row(r, t->interleaved_head) * t->row_bytes, blocks,
                            out + r * t->n_columns);
}

/* An interleaved bias is one row: its elements move, not rows. */
static agon_status read_interleaved_vector(agon_ctx *ctx, const weights_tensor_entry *t, float *out) {
    float *stored = malloc(t->n_columns * sizeof *stored);
    if (!stored)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: no memory for tensor '%s'", t->file, t->stored_name);
    t->type->dequantize(t->data, t->n_columns / t->type->block, stored);
    for (size_t i = 0; i < t->n_columns; i++)
        out[i] = stored[interleaved_row(i, t->interleaved_head)];
    free(stored);
    return AGON_OK;
}

/* By the bits, so that the floating-point mode cannot matter. */
static bool all_finite(const float *values, size_t n) {
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

static agon_status find_sized(agon_ctx *ctx, const weights *w, const char *name, size_t n, const weights_tensor_entry **out) {
    const weights_tensor_entry *t = weights_find(w, name);
    if (!t)
        return ctx_fail(ctx, AGON_ENOTFOUND, "%s: there is no tensor '%s'", w->path, name);
    if (t->n_rows * t->n_columns != n)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' is %zu x %zu where %zu values are needed",
                        t->file, t->stored_name, t->n_rows, t->n_columns, n);
    *out = t;
    return AGON_OK;
}

static agon_status check_finite(agon_ctx *ctx, const weights_tensor_entry *t, const float *values, size_t n) {
    if (all_finite(values, n))
        return AGON_OK;
    return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' holds a value that is not finite; the file is damaged", t->file,
                    t->stored_name);
}

bool weights_is_q8(const weights *w, const char *name) {
    const weights_tensor_entry *t = weights_find(w, name);
    return t && t->n_rows > 1 && t->type == quant_find("Q8_0");
}

agon_status weights_read_q8(agon_ctx *ctx, const weights *w, const char *name, size_t n, int8_t *integers, float *scales) {
    const weights_tensor_entry *t = NULL;
    agon_status status = find_sized(ctx, w, name, n, &t);
    if (status)
        return status;
    size_t n_blocks = t->n_columns / t->type->block;
    for (size_t r = 0; r < t->n_rows; r++) {
        size_t stored = t->interleaved_head ? interleaved_row(r, t->interleaved_head) : r;
        quant_split_q8_0(t->data + stored * t->row_bytes, n_blocks, integers + r * t->n_columns, scales + r * n_blocks);
    }
    return check_finite(ctx, t, scales, t->n_rows * n_blocks);
}

agon_status weights_read(agon_ctx *ctx, const weights *w, const char *name, size_t n, float *out) {
    const weights_tensor_entry *t = NULL;
    agon_status status = find_sized(ctx, w, name, n, &t);
    if (status)
        return status;
    if (t->interleaved_head && t->n_rows == 1) {
        agon_status s = read_interleaved_vector(ctx, t, out);
        if (s)
            return s;
    } else {
        read_rows(t, out);
    }
    return check_finite(ctx, t, out, n);
}

/* ---- metadata ---------------------------------------------------------------------------------- */

static const meta_value *find_kind(const weights *w, const char *key, meta_kind kind) {
    const meta_value *v = weights_find_meta(w, key);
    return v && v->kind == kind ? v : NULL;
}

const char *weights_meta_text(const weights *w, const char *key) {
    const meta_value *v = find_kind(w, key, META_TEXT);
    return v ? v->text : NULL;
}

bool weights_meta_int(const weights *w, const char *key, int64_t *out) {
    const meta_value *v = find_kind(w, key, META_INT);
    if (v)
        *out = v->integer;
    return v != NULL;
}

bool weights_meta_strings(const weights *w, const char *key, gguf_strings *out) {
    const meta_value *v = find_kind(w, key, META_STRINGS);
    if (v)
        *out = v->strings;
    return v != NULL;
}

bool weights_meta_ints(const weights *w, const char *key, const int32_t **out, size_t *n) {
    const meta_value *v = find_kind(w, key, META_INTS);
    if (v) {
        *out = v->ints;
        *n = v->n_ints;
    }
    return v != NULL;
}

bool weights_meta_floats(const weights *w, const char *key, const float **out, size_t *n) {
    const meta_value *v = find_kind(w, key, META_FLOATS);
    if (v) {
        *out = v->floats;
        *n = v->n_floats;
    }
    return v != NULL;
}

/* ---- content id -------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b) {
    const weights_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

agon_status weights_id(agon_ctx *ctx, const weights *w, hash256 *out) {
    if (w->gguf && w->n_files == 1) {
        *out = hash_bytes(w->files[0].map.data, w->files[0].map.size);
        weights_release(w);
        return AGON_OK;
    }
    weights_file *files = malloc((w->n_files + 1) * sizeof *files);
    hasher *h = files ? hasher_new() : NULL;
    if (!h) {
        free(files);
        return ctx_no_memory(ctx);
    }
    memcpy(files, w->files, w->n_files * sizeof *files);
    qsort(files, w->n_files, sizeof *files, by_path);
    for (size_t i = 0; i < w->n_files; i++) {
        const char *slash = strrchr(files[i].path, '/');
        hash256 one = hash_bytes(files[i].map.data, files[i].map.size);
        hasher_add_field(h, slash ? slash + 1 : files[i].path);
        hasher_add(h, one.bytes, sizeof one.bytes);
    }
    *out = hasher_end(h);
    weights_release(w);
    free(files);
    return AGON_OK;
}

/* The safetensors container.
 *
 *   u64 header size, header: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [from, to]}, ...,
 *   "__metadata__": {"key": "text"}}, then the data section, to which the offsets are relative.
 *
 * The file is hostile: offsets must lie in the data section and agree with shape and type. */
#include "model/safetensors.h"
#include "base/ctx.h"
#include "model/weights_private.h"
#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 64 << 20 };

static agon_status add_metadata(agon_ctx *ctx, weights *w, const char *path, json_t *object) {
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: '__metadata__' must be an object of texts", path);
    if (json_object_size(object) > 4096)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: '__metadata__' has more than 4096 keys", path);
    json_object_foreach(object, key, value) {
        if (!json_is_string(value))
            return ctx_fail(ctx, AGON_EFORMAT, "%s: metadata '%.100s' must be a text", path, key);
        meta_value v = {.kind = META_TEXT,
                        .key = arena_copy(w->memory, key),
                        .text = arena_copy(w->memory, json_string_value(value))};
        if (!v.key || !v.text)
            return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", path);
        agon_status s = weights_find_meta(w, key) ? AGON_OK : weights_add_meta(ctx, w, &v);
        if (s)
            return s;
    }
    return AGON_OK;
}

/* A whole number of [0, limit] at place i of an array. */
static bool whole(const json_t *array, size_t i, uint64_t limit, size_t *out) {
    const json_t *v = json_array_get(array, i);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > limit)
        return false;
    *out = (size_t)json_integer_value(v);
    return true;
}

/* Vectors and matrices only; products stay below 2^48. */
static agon_status set_shape(agon_ctx *ctx, weights_tensor_entry *t, const json_t *shape) {
    size_t n = json_array_size(shape);
    bool good = json_is_array(shape) && (n == 1 || n == 2);
    t->n_rows = 1;
    if (good && n == 2)
        good = whole(shape, 0, MAX_DIMENSION, &t->n_rows);
    good = good && whole(shape, n - 1, MAX_DIMENSION, &t->n_columns) && t->n_rows && t->n_columns;
    if (!good)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: tensor '%s': the shape must be one or two whole numbers of 1 to %d", t->file,
                        t->stored_name, MAX_DIMENSION);
    return AGON_OK;
}

static agon_status set_type(agon_ctx *ctx, weights_tensor_entry *t, const json_t *dtype) {
    const char *name = json_string_value(dtype);
    if (!name)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s': 'dtype' is missing", t->file,
                        t->stored_name);
    t->type = strcmp(name, "F32") == 0 || strcmp(name, "F16") == 0 || strcmp(name, "BF16") == 0
                  ? quant_find(name)
                  : NULL;
    if (!t->type)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        "%s: tensor '%s' is stored as %.40s, which agon does not read; use F32, F16 or "
                        "BF16",
                        t->file, t->stored_name, name);
    return AGON_OK;
}

static agon_status set_tensor(agon_ctx *ctx, weights_tensor_entry *t, const json_t *object,
                              const uint8_t *data, size_t size) {
    size_t from = 0, to = 0;
    if (!json_is_object(object))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' must be an object", t->file, t->stored_name);
    agon_status s = set_type(ctx, t, json_object_get(object, "dtype"));
    if (!s)
        s = set_shape(ctx, t, json_object_get(object, "shape"));
    if (s)
        return s;
    const json_t *offsets = json_object_get(object, "data_offsets");
    if (json_array_size(offsets) != 2 || !whole(offsets, 0, size, &from) ||
        !whole(offsets, 1, size, &to) || from > to)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: tensor '%s': its offsets do not lie in the file's %zu bytes of data; the file "
                        "is truncated or damaged, fetch it again",
                        t->file, t->stored_name, size);
    t->row_bytes = t->n_columns * t->type->bytes;
    if (to - from != t->n_rows * t->row_bytes)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: tensor '%s': %zu x %zu values of %s are %zu bytes, its offsets span %zu",
                        t->file, t->stored_name, t->n_rows, t->n_columns, t->type->name,
                        t->n_rows * t->row_bytes, to - from);
    t->data = data + from;
    return AGON_OK;
}

static agon_status add_tensors(agon_ctx *ctx, weights *w, const char *path, json_t *header,
                               const uint8_t *data, size_t size) {
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        agon_status s;
        size_t n = strlen(name);
        if (strcmp(name, "__metadata__") == 0) {
            s = add_metadata(ctx, w, path, value);
        } else if (n > NAME_LIMIT) {
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%.60s...' has a name of %zu bytes", path, name, n);
        } else if (n >= 19 && strcmp(name + n - 19, "rotary_emb.inv_freq") == 0) {
            continue; /* a table older exporters kept, which follows from the configuration */
        } else {
            weights_tensor_entry t = {.file = path};
            t.name = t.stored_name = arena_copy(w->memory, name);
            s = t.name ? set_tensor(ctx, &t, value, data, size)
                       : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", path);
            if (!s)
                s = weights_add_tensor(ctx, w, &t);
        }
        if (s)
            return s;
    }
    return AGON_OK;
}

agon_status safetensors_parse(agon_ctx *ctx, weights *w, const char *path, const uint8_t *data,
                              size_t size) {
    uint64_t length = 0;
    if (size < 8)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu bytes cannot be a safetensors file", path, size);
    for (int i = 8; i-- > 0;)
        length = length << 8 | data[i];
    if (length > HEADER_LIMIT || length > size - 8)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: its header claims %llu bytes of %zu; the file is truncated or no safetensors "
                        "file",
                        path, (unsigned long long)length, size);
    json_t *header = NULL;
    agon_status s = json_parse(ctx, path, (const char *)data + 8, (size_t)length, &header);
    if (!s && !json_is_object(header))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: the safetensors header must be an object", path);
    if (!s)
        s = add_tensors(ctx, w, path, header, data + 8 + length, size - 8 - (size_t)length);
    json_decref(header);
    return s;
}

agon_status safetensors_open_memory(agon_ctx *ctx, const char *where, const void *data, size_t n,
                                    weights **out) {
    weights *w = NULL;
    agon_status s = weights_new(ctx, where, &w);
    if (!s)
        s = safetensors_parse(ctx, w, w->path, data, n);
    if (!s)
        s = weights_index(ctx, w);
    if (s) {
        weights_free(w);
        return s;
    }
    *out = w;
    return AGON_OK;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static json_t *item_object(const safetensors_item *item, json_int_t from, json_int_t to) {
    json_t *shape = item->vector ? json_pack("[I]", (json_int_t)item->n_columns)
                                 : json_pack("[II]", (json_int_t)item->n_rows,
                                             (json_int_t)item->n_columns);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", item->dtype, "shape", shape, "data_offsets", from,
                     to);
}

agon_status safetensors_header(agon_ctx *ctx, const safetensors_item *items, size_t n, json_t *metadata,
                               buffer *out) {
    json_t *header = json_object();
    bool good = header != NULL;
    json_int_t at = 0;
    if (good && metadata)
        good = json_object_set(header, "__metadata__", metadata) == 0;
    for (size_t i = 0; good && i < n; i++) {
        const quant_type *type = quant_find(items[i].dtype);
        json_int_t to = at + (json_int_t)(items[i].n_rows * items[i].n_columns * type->bytes);
        good = json_object_set_new(header, items[i].name, item_object(&items[i], at, to)) == 0;
        at = to;
    }
    char *text = good ? json_dumps(header, JSON_COMPACT) : NULL;
    if (text) {
        size_t length = strlen(text), padded = (length + 7) / 8 * 8; /* data start 8-byte aligned */
        for (int i = 0; i < 8; i++)
            buffer_char(out, (char)(padded >> 8 * i));
        buffer_append(out, text, length);
        while (length++ < padded)
            buffer_char(out, ' ');
    }
    json_decref(header);
    bool failed = !text || out->failed;
    free(text);
    return failed ? ctx_fail(ctx, AGON_ENOMEM, "out of memory for a safetensors header") : AGON_OK;
}

/* GGUF files (versions 2 and 3, little-endian).
 *
 *   "GGUF" u32 version, u64 n_tensors, u64 n_keys
 *   n_keys times: string key, u32 type, value          string: u64 length, bytes
 *   n_tensors times: string name, u32 n_dims, u64 dims[n_dims] (fastest first), u32 type, u64 offset
 *   padding to general.alignment, then the tensors' bytes at their offsets
 *
 * The file is hostile: nothing is read before the cursor has checked that it is there, and every count is
 * compared with the bytes that remain before memory is taken for it. */
#include "base/ctx.h"
#include "model/architecture.h"
#include "model/weights_layout.h"
#include "model/weights_private.h"
#include <inttypes.h>
#include <string.h>

enum value_type {
    V_U8, V_I8, V_U16, V_I16, V_U32, V_I32, V_F32, V_BOOL, V_STRING, V_ARRAY, V_U64, V_I64, V_F64,
    N_VALUE_TYPES
};
static const uint8_t value_bytes[N_VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
enum { KEY_LIMIT = 65535, MAX_KEYS = 4096 };

typedef struct cursor {
    agon_ctx *ctx;
    weights *w;
    const char *path;
    const uint8_t *data;
    size_t size, at;
} cursor;

static size_t left(const cursor *c) {
    return c->size - c->at;
}

static agon_status truncated(cursor *c, const char *what) {
    return ctx_fail(c->ctx, AGON_EFORMAT,
                    "%s: the file ends inside %s (byte %zu of %zu); it is truncated or damaged, fetch "
                    "it again",
                    c->path, what, c->at, c->size);
}

static uint64_t number_at(const uint8_t *p, size_t n) {
    uint64_t x = 0;
    for (size_t i = n; i-- > 0;)
        x = x << 8 | p[i];
    return x;
}

/* The next n (1 to 8) bytes as an unsigned little-endian number. */
static agon_status take_number(cursor *c, size_t n, const char *what, uint64_t *out) {
    if (left(c) < n)
        return truncated(c, what);
    *out = number_at(c->data + c->at, n);
    c->at += n;
    return AGON_OK;
}

static agon_status take_string(cursor *c, size_t limit, const char *what, const char **out, size_t *n) {
    uint64_t length = 0;
    agon_status s = take_number(c, 8, what, &length);
    if (s)
        return s;
    if (length > left(c))
        return truncated(c, what);
    if (length > limit)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: %s of %" PRIu64 " bytes at byte %zu is over the limit "
                        "of %zu", c->path, what, length, c->at, limit);
    char *text = arena_text(c->w->memory, (const char *)c->data + c->at, (size_t)length);
    if (!text)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
    c->at += (size_t)length;
    *out = text;
    *n = (size_t)length;
    return AGON_OK;
}

/* Names and single texts are handed out as C strings, so a NUL inside would hide the rest. */
static agon_status take_name(cursor *c, size_t limit, const char *what, const char **out) {
    size_t n = 0;
    agon_status s = take_string(c, limit, what, out, &n);
    if (!s && strlen(*out) != n)
        s = ctx_fail(c->ctx, AGON_EFORMAT, "%s: %s '%.100s' holds a NUL byte", c->path, what, *out);
    return s;
}

/* ---- metadata ---------------------------------------------------------------------------------- */

static void set_scalar(meta_value *v, uint32_t type, uint64_t bits) {
    v->kind = META_INT;
    switch (type) {
    case V_I8:
        v->integer = (int8_t)bits;
        break;
    case V_I16:
        v->integer = (int16_t)bits;
        break;
    case V_I32:
        v->integer = (int32_t)bits;
        break;
    case V_BOOL:
        v->integer = bits != 0;
        break;
    case V_U64:
        v->integer = (int64_t)bits;
        if (bits > INT64_MAX)
            v->kind = META_OTHER;
        break;
    case V_F32: {
        uint32_t word = (uint32_t)bits;
        float f;
        memcpy(&f, &word, sizeof f);
        v->kind = META_REAL;
        v->real = f;
        break;
    }
    case V_F64:
        v->kind = META_REAL;
        memcpy(&v->real, &bits, sizeof v->real);
        break;
    default:
        v->integer = (int64_t)bits;
    }
}

/* Walks n strings from the cursor: their bytes with a NUL each. Leaves the cursor behind them. */
static agon_status measure_strings(cursor *c, const char *key, size_t n, size_t *total) {
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t length = 0;
        agon_status s = take_number(c, 8, key, &length);
        if (!s && length > left(c))
            s = truncated(c, key);
        if (s)
            return s;
        c->at += (size_t)length;
        *total += (size_t)length + 1; /* at most the file's size */
    }
    return AGON_OK;
}

/* A vocabulary has up to a quarter of a million texts: one block holds them all. */
static agon_status take_string_array(cursor *c, meta_value *v, size_t n) {
    size_t from = c->at, total;
    if (n > left(c) / 8) /* each string has at least its length */
        return truncated(c, v->key);
    agon_status s = measure_strings(c, v->key, n, &total);
    if (s)
        return s;
    const char **text = arena_take(c->w->memory, n + 1, sizeof *text);
    size_t *length = arena_take(c->w->memory, n + 1, sizeof *length);
    char *bytes = arena_take(c->w->memory, total + 1, 1);
    if (!text || !length || !bytes)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: no memory for %zu texts of '%.100s'", c->path, n, v->key);
    for (size_t i = 0; i < n; i++) {
        length[i] = (size_t)number_at(c->data + from, 8);
        memcpy(bytes, c->data + from + 8, length[i]);
        text[i] = bytes;
        bytes += length[i] + 1;
        from += 8 + length[i];
    }
    v->kind = META_STRINGS;
    v->strings = (gguf_strings){n, text, length};
    return AGON_OK;
}

static agon_status take_floats(cursor *c, meta_value *v, const uint8_t *data, size_t n) {
    float *floats = arena_take(c->w->memory, n + 1, sizeof *floats);
    if (!floats)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: no memory for %zu numbers of '%.100s'", c->path, n, v->key);
    for (size_t i = 0; i < n; i++) {
        meta_value one = {0};
        set_scalar(&one, V_F32, number_at(data + 4 * i, 4));
        floats[i] = (float)one.real;
    }
    v->kind = META_FLOATS;
    v->floats = floats;
    v->n_floats = n;
    return AGON_OK;
}

/* f32 arrays are kept, integer arrays as int32 where every value fits; others are skipped. */
static agon_status take_number_array(cursor *c, meta_value *v, uint32_t type, size_t n) {
    size_t bytes = value_bytes[type];
    if (n > left(c) / bytes)
        return truncated(c, v->key);
    const uint8_t *data = c->data + c->at;
    c->at += n * bytes;
    if (type == V_F32)
        return take_floats(c, v, data, n);
    if (type == V_F64)
        return AGON_OK;
    int32_t *ints = arena_take(c->w->memory, n + 1, sizeof *ints);
    if (!ints)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: no memory for %zu numbers of '%.100s'", c->path, n,
                        v->key);
    for (size_t i = 0; i < n; i++) {
        meta_value one = {0};
        set_scalar(&one, type, number_at(data + i * bytes, bytes));
        if (one.kind != META_INT || one.integer < INT32_MIN || one.integer > INT32_MAX)
            return AGON_OK;
        ints[i] = (int32_t)one.integer;
    }
    v->kind = META_INTS;
    v->ints = ints;
    v->n_ints = n;
    return AGON_OK;
}

static agon_status take_array(cursor *c, meta_value *v) {
    uint64_t type = 0, n = 0;
    agon_status s = take_number(c, 4, v->key, &type);
    if (!s)
        s = take_number(c, 8, v->key, &n);
    if (s)
        return s;
    if (type == V_STRING && n <= left(c))
        return take_string_array(c, v, (size_t)n);
    if (type >= N_VALUE_TYPES || type == V_ARRAY)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: '%.100s' is an array of unknown type %" PRIu64, c->path,
                        v->key, type);
    if (n > left(c))
        return truncated(c, v->key);
    return take_number_array(c, v, (uint32_t)type, (size_t)n);
}

static agon_status take_value(cursor *c, meta_value *v) {
    uint64_t type = 0, bits = 0;
    agon_status s = take_number(c, 4, v->key, &type);
    if (s)
        return s;
    if (type >= N_VALUE_TYPES)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: '%.100s' has unknown type %" PRIu64, c->path, v->key,
                        type);
    if (type == V_ARRAY)
        return take_array(c, v);
    if (type == V_STRING) {
        v->kind = META_TEXT;
        return take_name(c, 1 << 24, v->key, &v->text);
    }
    s = take_number(c, value_bytes[type], v->key, &bits);
    if (!s)
        set_scalar(v, (uint32_t)type, bits);
    return s;
}

static agon_status take_metadata(cursor *c, uint64_t n_keys) {
    if (n_keys > MAX_KEYS)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: %" PRIu64 " metadata keys is more than %d", c->path,
                        n_keys, MAX_KEYS);
    for (uint64_t i = 0; i < n_keys; i++) {
        meta_value v = {0};
        agon_status s = take_name(c, KEY_LIMIT, "a metadata key", &v.key);
        if (!s && weights_find_meta(c->w, v.key))
            s = ctx_fail(c->ctx, AGON_EFORMAT, "%s: metadata key '%.100s' is there twice", c->path, v.key);
        if (!s)
            s = take_value(c, &v);
        if (!s)
            s = weights_add_meta(c->ctx, c->w, &v);
        if (s)
            return s;
    }
    return AGON_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------- */

/* Checks dims and sets rows, columns and bytes a row; all products stay below 2^48. */
static agon_status set_shape(cursor *c, weights_tensor_entry *t, uint64_t n_dims, const uint64_t *dims) {
    uint64_t rows = 1;
    for (uint64_t i = 0; i < n_dims; i++) {
        if (dims[i] < 1 || dims[i] > MAX_DIMENSION)
            return ctx_fail(c->ctx, AGON_EFORMAT,
                            "%s: tensor '%s': dimension %" PRIu64 " is %" PRIu64 "; it must be 1 to %d",
                            c->path, t->stored_name, i, dims[i], MAX_DIMENSION);
        if (i >= 2 && dims[i] != 1)
            return ctx_fail(c->ctx, AGON_EUNSUPPORTED,
                            "%s: tensor '%s' has %" PRIu64 " dimensions; only matrices and vectors are "
                            "supported (no mixtures of experts)",
                            c->path, t->stored_name, n_dims);
    }
    if (n_dims > 1)
        rows = dims[1];
    if (dims[0] % t->type->block != 0)
        return ctx_fail(c->ctx, AGON_EFORMAT,
                        "%s: tensor '%s': rows of %" PRIu64 " values cannot be %s, whose blocks hold %zu",
                        c->path, t->stored_name, dims[0], t->type->name, t->type->block);
    t->n_rows = (size_t)rows;
    t->n_columns = (size_t)dims[0];
    t->row_bytes = t->n_columns / t->type->block * t->type->bytes;
    return AGON_OK;
}

static agon_status set_name(cursor *c, weights_tensor_entry *t) {
    char name[96];
    if (strcmp(t->stored_name, "rope_freqs.weight") == 0)
        t->name = t->stored_name;
    else if (layout_name_of_gguf(t->stored_name, name))
        t->name = arena_copy(c->w->memory, name);
    else
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED,
                        "%s: tensor '%s' belongs to no llama-family decoder that agon can run", c->path,
                        t->stored_name);
    return t->name ? AGON_OK : ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
}

/* Reads one tensor record; *offset is relative to the data section. */
static agon_status take_tensor(cursor *c, weights_tensor_entry *t, uint64_t *offset) {
    uint64_t n_dims = 0, dims[4] = {0}, type = 0;
    agon_status s = take_name(c, NAME_LIMIT, "a tensor's name", &t->stored_name);
    if (!s)
        s = take_number(c, 4, "the list of tensors", &n_dims);
    if (!s && (n_dims < 1 || n_dims > 4))
        s = ctx_fail(c->ctx, AGON_EFORMAT, "%s: tensor '%s' claims %" PRIu64 " dimensions", c->path,
                     t->stored_name, n_dims);
    for (uint64_t i = 0; !s && i < n_dims; i++)
        s = take_number(c, 8, "the list of tensors", &dims[i]);
    if (!s)
        s = take_number(c, 4, "the list of tensors", &type);
    if (!s)
        s = take_number(c, 8, "the list of tensors", offset);
    if (s)
        return s;
    t->file = c->path;
    t->type = quant_find_gguf((uint32_t)type);
    if (!t->type)
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED,
                        "%s: tensor '%s' is stored as %s (type %" PRIu64 "), which agon does not read; use "
                        "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K",
                        c->path, t->stored_name, quant_gguf_name((uint32_t)type), type);
    s = set_shape(c, t, n_dims, dims);
    return s ? s : set_name(c, t);
}

static agon_status place_tensor(cursor *c, weights_tensor_entry *t, uint64_t offset, size_t start,
                                size_t alignment) {
    size_t bytes = t->n_rows * t->row_bytes, room = c->size - start;
    if (offset % alignment != 0)
        return ctx_fail(c->ctx, AGON_EFORMAT,
                        "%s: tensor '%s': offset %" PRIu64 " is not a multiple of the alignment %zu",
                        c->path, t->stored_name, offset, alignment);
    if (offset > room || bytes > room - offset)
        return ctx_fail(c->ctx, AGON_EFORMAT,
                        "%s: tensor '%s' needs %zu bytes at offset %" PRIu64 " but the file holds %zu; it "
                        "is truncated or damaged, fetch it again",
                        c->path, t->stored_name, bytes, offset, room);
    t->data = c->data + start + offset;
    return AGON_OK;
}

static agon_status take_tensors(cursor *c, uint64_t n) {
    enum { SMALLEST_RECORD = 8 + 4 + 8 + 4 + 8 };
    int64_t alignment = 32;
    weights_meta_int(c->w, "general.alignment", &alignment);
    if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) != 0)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: general.alignment %" PRId64 " is not a power of two",
                        c->path, alignment);
    if (n > left(c) / SMALLEST_RECORD)
        return truncated(c, "the list of tensors");
    uint64_t *offsets = arena_take(c->w->memory, (size_t)n + 1, sizeof *offsets);
    if (!offsets)
        return ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
    for (size_t i = 0; i < n; i++) {
        weights_tensor_entry t = {0};
        agon_status s = take_tensor(c, &t, &offsets[i]);
        if (!s)
            s = weights_add_tensor(c->ctx, c->w, &t);
        if (s)
            return s;
    }
    size_t a = (size_t)alignment, start = (c->at + a - 1) / a * a;
    if (start > c->size)
        return truncated(c, "the padding before the tensors");
    for (size_t i = 0; i < n; i++) {
        agon_status s = place_tensor(c, &c->w->tensors[i], offsets[i], start, a);
        if (s)
            return s;
    }
    return weights_index(c->ctx, c->w);
}

/* ---- the file ---------------------------------------------------------------------------------- */

static agon_status take_header(cursor *c, uint64_t *n_tensors, uint64_t *n_keys) {
    uint64_t magic = 0, version = 0;
    agon_status s = take_number(c, 4, "the header", &magic);
    if (!s && magic != 0x46554747)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: not a GGUF file", c->path);
    if (!s)
        s = take_number(c, 4, "the header", &version);
    if (s)
        return s;
    if (version > 0xffff)
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED, "%s: a big-endian GGUF file; convert it to "
                        "little-endian", c->path);
    if (version != 2 && version != 3)
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED, "%s: GGUF version %" PRIu64 "; agon reads 2 and 3",
                        c->path, version);
    s = take_number(c, 8, "the header", n_tensors);
    return s ? s : take_number(c, 8, "the header", n_keys);
}

/* Said before the tensors are looked at, whose names would only confuse. */
static agon_status check_kind(cursor *c) {
    const char *name = weights_meta_text(c->w, "general.architecture");
    int64_t parts = 1;
    if (!name)
        return ctx_fail(c->ctx, AGON_EFORMAT, "%s: general.architecture is missing", c->path);
    if (!architecture_find_gguf(name))
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED, "%s: architecture '%.60s' is not supported; agon runs " ARCHITECTURES_GGUF,
                        c->path, name);
    if (weights_meta_int(c->w, "split.count", &parts) && parts > 1)
        return ctx_fail(c->ctx, AGON_EUNSUPPORTED,
                        "%s: one of %" PRId64 " parts of a split model; merge them first (llama-gguf-split "
                        "--merge)",
                        c->path, parts);
    return AGON_OK;
}

agon_status gguf_parse(agon_ctx *ctx, weights *w, const char *path, const uint8_t *data, size_t size) {
    cursor c = {ctx, w, path, data, size, 0};
    uint64_t n_tensors = 0, n_keys = 0;
    w->gguf = true;
    agon_status s = take_header(&c, &n_tensors, &n_keys);
    if (!s)
        s = take_metadata(&c, n_keys);
    if (!s)
        s = check_kind(&c);
    if (!s)
        s = take_tensors(&c, n_tensors);
    return s ? s : gguf_configure(ctx, w, path);
}

agon_status gguf_open_memory(agon_ctx *ctx, const char *where, const void *data, size_t n, weights **out) {
    weights *w = NULL;
    agon_status s = weights_new(ctx, where, &w);
    if (!s)
        s = gguf_parse(ctx, w, w->path, data, n);
    if (s) {
        weights_free(w);
        return s;
    }
    *out = w;
    return AGON_OK;
}

/* Small models for the tests of readers and writers: values that follow from a tensor's name and place, scratch
 * folders, and damaged copies of files. */
#ifndef TESTS_WEIGHTS_FIXTURES_H
#define TESTS_WEIGHTS_FIXTURES_H

#include "test.h"
#include "base/file.h"
#include "model/weights_layout.h"
#include <unistd.h>

/* CRC-32 (the zip polynomial), as scripts/reference/tiny_models.py uses it. */
static inline uint32_t fixture_crc32(const char *text) {
    uint32_t crc = 0xffffffffu;
    for (; *text; text++) {
        crc ^= (uint8_t)*text;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* The value of a tensor of the tiny models, exact in F32, F16 and BF16. */
static inline float fixture_value(const char *name, size_t row, size_t column) {
    return ((float)(fixture_crc32(name) % 97) + (float)row - (float)column) / 64;
}

/* Every tensor of the configuration holds its values. */
static inline void fixture_check_values(agon_ctx *ctx, const weights *w) {
    size_t n = layout_n(weights_config(w));
    assert_int_equal(weights_n_tensors(w), n);
    for (size_t i = 0; i < n; i++) {
        tensor_layout t;
        layout_get(weights_config(w), i, &t);
        float *values = malloc(t.n_rows * t.n_columns * sizeof *values);
        assert_ok(ctx, weights_read(ctx, w, t.name, t.n_rows * t.n_columns, values));
        for (size_t r = 0; r < t.n_rows; r++)
            for (size_t c = 0; c < t.n_columns; c++)
                if (values[r * t.n_columns + c] != fixture_value(t.name, r, c))
                    fail_msg("%s[%zu,%zu] = %g, want %g", t.name, r, c,
                             (double)values[r * t.n_columns + c], (double)fixture_value(t.name, r, c));
        free(values);
    }
}

/* A tensor_source with those values; arg: the model_config. */
static inline agon_status fixture_source(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const model_config *c = arg;
    (void)ctx;
    for (size_t i = 0; i < layout_n(c); i++) {
        tensor_layout t;
        layout_get(c, i, &t);
        if (strcmp(t.name, name) != 0)
            continue;
        assert_int_equal(n, t.n_rows * t.n_columns);
        for (size_t k = 0; k < n; k++)
            out[k] = fixture_value(name, k / t.n_columns, k % t.n_columns);
        return AGON_OK;
    }
    fail_msg("asked for '%s', which the model has not", name);
    return AGON_ENOTFOUND;
}

static inline model_config fixture_config(const char *architecture) {
    model_config c = {.n_layers = 2, .d_model = 32, .n_heads = 4, .n_kv_heads = 2, .head_dim = 16, .d_ff = 48,
                      .n_vocabulary = 20, .max_context = 256, .norm_eps = 1e-6f, .rope_theta = 1e6,
                      .rope_scaling = "none", .rope_factor = 1};
    snprintf(c.architecture, sizeof c.architecture, "%s", architecture);
    c.qkv_bias = strcmp(architecture, "qwen2") == 0;
    c.qk_norm = strcmp(architecture, "qwen3") == 0;
    c.tied_embeddings = strcmp(architecture, "qwen3") == 0;
    return c;
}

static inline void fixture_same_config(const model_config *a, const model_config *b) {
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->d_model, b->d_model);
    assert_int_equal(a->n_heads, b->n_heads);
    assert_int_equal(a->n_kv_heads, b->n_kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->d_ff, b->d_ff);
    assert_int_equal(a->n_vocabulary, b->n_vocabulary);
    assert_int_equal(a->max_context, b->max_context);
    assert_true(a->norm_eps == b->norm_eps);
    assert_true(a->rope_theta == b->rope_theta);
    assert_string_equal(a->rope_scaling, b->rope_scaling);
    assert_true(a->rope_factor == b->rope_factor);
    assert_true(a->tied_embeddings == b->tied_embeddings);
    assert_true(a->qkv_bias == b->qkv_bias);
    assert_true(a->qk_norm == b->qk_norm);
}

/* A new scratch folder; fixture_remove deletes it with what is in it. */
typedef struct fixture_folder {
    char path[64];
} fixture_folder;

static inline fixture_folder fixture_folder_new(void) {
    fixture_folder f = {"/tmp/agon-test-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    return f;
}

static inline void fixture_remove(const fixture_folder *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    assert_int_equal(system(command), 0);
}

static inline const char *fixture_path(char out[256], const fixture_folder *f, const char *name) {
    snprintf(out, 256, "%s/%s", f->path, name);
    return out;
}

/* The real model the set-up fetched ($AGON_MODEL, else the user's cache), or NULL. */
static inline const char *fixture_real_model(char out[2048]) {
    const char *model = getenv("AGON_MODEL"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (model)
        snprintf(out, 2048, "%s", model);
    else
        snprintf(out, 2048, "%s%s/agon/SmolLM2-135M-Instruct.Q4_1.gguf", cache ? cache : home ? home : "",
                 cache ? "" : "/.cache");
    return file_exists(out) || folder_exists(out) ? out : NULL;
}

/* An image to damage. */
typedef struct fixture_image {
    char *data;
    size_t n;
} fixture_image;

static inline fixture_image fixture_read(agon_ctx *ctx, const char *path) {
    fixture_image i = {0};
    assert_ok(ctx, file_read(ctx, path, 1 << 24, &i.data, &i.n));
    return i;
}

/* Overwrites `size` bytes `after` bytes behind the end of `text`'s first occurrence. */
static inline void fixture_patch(fixture_image *i, const char *text, size_t after, const void *bytes,
                                 size_t size) {
    char *at = memmem(i->data, i->n, text, strlen(text));
    assert_non_null(at);
    at += strlen(text) + after;
    assert_true(at + size <= i->data + i->n);
    memcpy(at, bytes, size);
}

/* The status, and that the sentence says each of the two things. */
#define assert_refused(ctx, call, code, says, and_says)                                              \
    do {                                                                                             \
        assert_int_equal(call, code);                                                                \
        if (!strstr(agon_error(ctx), says) || !strstr(agon_error(ctx), and_says))                    \
            fail_msg("the sentence lacks '%s' or '%s': %s", says, and_says, agon_error(ctx));        \
    } while (0)

#endif

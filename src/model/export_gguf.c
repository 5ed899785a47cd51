/* GGUF version 3 as llama.cpp's converter writes it: same keys, tensor names and row order (q and k of llama and
 * mistral interleaved). Matrices in the type asked for, vectors in F32; Q8_0 falls back to F16 for
 * rows that are no multiple of 32. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "model/export_private.h"
#include "model/tokenizer.h"
#include "model/weights_layout.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V_U32 = 4, V_I32 = 5, V_F32 = 6, V_BOOL = 7, V_STRING = 8, V_ARRAY = 9, ALIGNMENT = 32 };

typedef struct meta_writer {
    buffer bytes;
    uint64_t n;
    const char *architecture;
} meta_writer;

static void put(buffer *b, uint64_t x, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        buffer_char(b, (char)(x >> 8 * i));
}

static void put_text(buffer *b, const char *text) {
    size_t n = strlen(text);
    put(b, n, 8);
    buffer_append(b, text, n);
}

static void put_float(buffer *b, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put(b, bits, 4);
}

/* Key and type; a key that starts with '.' gets the architecture's name in front. */
static void put_key(meta_writer *m, const char *key, uint32_t type) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", *key == '.' ? m->architecture : "", key);
    put_text(&m->bytes, full);
    put(&m->bytes, type, 4);
    m->n++;
}

static void meta_u32(meta_writer *m, const char *key, size_t x) {
    put_key(m, key, V_U32);
    put(&m->bytes, x, 4);
}

static void meta_id(meta_writer *m, const char *key, int32_t id) {
    if (id >= 0)
        meta_u32(m, key, (size_t)id);
}

static void meta_f32(meta_writer *m, const char *key, double x) {
    put_key(m, key, V_F32);
    put_float(&m->bytes, (float)x);
}

static void meta_bool(meta_writer *m, const char *key, bool x) {
    put_key(m, key, V_BOOL);
    put(&m->bytes, x, 1);
}

static void meta_text(meta_writer *m, const char *key, const char *text) {
    put_key(m, key, V_STRING);
    put_text(&m->bytes, text);
}

static void meta_array(meta_writer *m, const char *key, uint32_t type, size_t n) {
    put_key(m, key, V_ARRAY);
    put(&m->bytes, type, 4);
    put(&m->bytes, n, 8);
}

/* ---- metadata ---------------------------------------------------------------------------------- */

static void put_general(meta_writer *m, const char *path, const quant_type *type) {
    const char *slash = strrchr(path, '/');
    char name[200];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    char *dot = strstr(name, ".gguf");
    if (dot)
        *dot = 0;
    /* llama.cpp's file types: all F32, mostly F16, mostly Q8_0, mostly BF16 */
    size_t file_type = type->gguf_id == 0 ? 0 : type->gguf_id == 1 ? 1 : type->gguf_id == 8 ? 7 : 32;
    meta_text(m, "general.architecture", m->architecture);
    meta_text(m, "general.type", "model");
    meta_text(m, "general.name", name);
    meta_u32(m, "general.file_type", file_type);
    meta_u32(m, "general.quantization_version", 2);
}

static void put_model(meta_writer *m, const model_config *c) {
    meta_u32(m, ".block_count", c->n_layers);
    meta_u32(m, ".context_length", c->max_context);
    meta_u32(m, ".embedding_length", c->d_model);
    meta_u32(m, ".feed_forward_length", c->d_ff);
    meta_u32(m, ".attention.head_count", c->n_heads);
    meta_u32(m, ".attention.head_count_kv", c->n_kv_heads);
    meta_u32(m, ".attention.key_length", c->head_dim);
    meta_u32(m, ".attention.value_length", c->head_dim);
    meta_f32(m, ".attention.layer_norm_rms_epsilon", (double)c->norm_eps);
    meta_u32(m, ".rope.dimension_count", c->head_dim);
    meta_f32(m, ".rope.freq_base", c->rope_theta);
    meta_u32(m, ".vocab_size", c->n_vocabulary);
    if (c->sliding_window)
        meta_u32(m, ".attention.sliding_window", c->sliding_window);
    if (strcmp(c->rope_scaling, "linear") == 0) {
        meta_text(m, ".rope.scaling.type", "linear");
        meta_f32(m, ".rope.scaling.factor", c->rope_factor);
    }
}

/* Vocabularies shorter than the embedding (padded for speed) get unused entries, as the converter does. */
static void put_vocabulary(meta_writer *m, const tokenizer_parts *p, size_t n_vocabulary) {
    char name[40];
    meta_array(m, "tokenizer.ggml.tokens", V_STRING, n_vocabulary);
    for (size_t i = 0; i < n_vocabulary; i++) {
        snprintf(name, sizeof name, "[PAD%zu]", i);
        put_text(&m->bytes, i < p->n ? p->tokens[i] : name);
    }
    meta_array(m, "tokenizer.ggml.token_type", V_I32, n_vocabulary);
    for (size_t i = 0; i < n_vocabulary; i++)
        put(&m->bytes, i < p->n ? (uint32_t)p->types[i] : 5, 4);
    if (p->scores) {
        meta_array(m, "tokenizer.ggml.scores", V_F32, n_vocabulary);
        for (size_t i = 0; i < n_vocabulary; i++)
            put_float(&m->bytes, i < p->n ? p->scores[i] : -1e6f);
        return;
    }
    meta_array(m, "tokenizer.ggml.merges", V_STRING, p->n_merges);
    for (size_t i = 0; i < p->n_merges; i++)
        put_text(&m->bytes, p->merges[i]);
}

/* GGUF names up to three tokens that end an answer. Those that every reader knows by their names need no place, so "end of turn"
 * and "end of message" go to the ones that only the model's generation_config.json named; further ones are lost. */
static void put_stops(meta_writer *m, const tokenizer *tok, const tokenizer_parts *p) {
    static const char *const places[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    size_t n = 0;
    meta_id(m, "tokenizer.ggml.eos_token_id", p->eos);
    for (size_t i = 0; i < p->n_stops && n < sizeof places / sizeof *places; i++)
        if (p->stops[i] != p->eos && !tokenizer_stops_by_name(tok, p->stops[i]))
            meta_id(m, places[n++], p->stops[i]);
}

static agon_status put_tokenizer(agon_ctx *ctx, meta_writer *m, const char *path, const model_config *c,
                                 const tokenizer *tok) {
    tokenizer_parts p;
    tokenizer_get_parts(tok, &p);
    if (p.n > c->n_vocabulary)
        return ctx_fail(ctx, AGON_EINVAL, "%s: %zu tokens do not fit a vocabulary of %zu", path, p.n,
                        c->n_vocabulary);
    if (p.no_gguf)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: %s; use format hf", path, p.no_gguf);
    meta_text(m, "tokenizer.ggml.model", p.model);
    meta_text(m, "tokenizer.ggml.pre", p.pre);
    put_vocabulary(m, &p, c->n_vocabulary);
    meta_id(m, "tokenizer.ggml.bos_token_id", p.bos);
    put_stops(m, tok, &p);
    meta_id(m, "tokenizer.ggml.unknown_token_id", p.unk);
    meta_id(m, "tokenizer.ggml.padding_token_id", p.pad);
    meta_bool(m, "tokenizer.ggml.add_bos_token", p.add_bos);
    meta_bool(m, "tokenizer.ggml.add_space_prefix", p.space_prefix);
    if (p.spaces)
        meta_text(m, "tokenizer.agon.spaces", p.spaces);
    if (p.chat_template)
        meta_text(m, "tokenizer.chat_template", p.chat_template);
    return AGON_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------- */

typedef struct plan {
    const model_config *config;
    const architecture *architecture;
    const quant_type *matrix;
    size_t interleaved_head, n_factors; /* llama3 scaling is stored as factors, one a rotary pair */
} plan;

static const quant_type *stored_type(const plan *p, const tensor_layout *t) {
    if (t->vector)
        return quant_find("F32");
    return t->n_columns % p->matrix->block == 0 ? p->matrix : quant_find("F16");
}

static size_t aligned(size_t n) {
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void put_record(buffer *b, const char *name, bool vector, size_t n_rows, size_t n_columns,
                       const quant_type *type, size_t *offset) {
    put_text(b, name);
    put(b, vector ? 1 : 2, 4);
    put(b, n_columns, 8);
    if (!vector)
        put(b, n_rows, 8);
    put(b, type->gguf_id, 4);
    put(b, *offset, 8);
    *offset = aligned(*offset + n_rows * n_columns / type->block * type->bytes);
}

static void put_records(buffer *b, const plan *p) {
    size_t offset = 0, n = layout_n(p->config);
    if (p->n_factors)
        put_record(b, "rope_freqs.weight", true, 1, p->n_factors, quant_find("F32"), &offset);
    for (size_t i = 0; i < n; i++) {
        tensor_layout t;
        layout_get(p->config, i, &t);
        put_record(b, t.gguf_name, t.vector, t.n_rows, t.n_columns, stored_type(p, &t), &offset);
    }
}

static agon_status pad(agon_ctx *ctx, file_writer *w) {
    static const char zeros[ALIGNMENT];
    size_t size = (size_t)file_writer_size(w);
    return file_writer_add(ctx, w, zeros, aligned(size) - size);
}

static agon_status write_factors(agon_ctx *ctx, file_writer *w, const plan *p) {
    buffer b = {0};
    for (size_t i = 0; i < p->n_factors; i++)
        put_float(&b, (float)rope_divisor(p->config, i));
    agon_status s = b.failed ? ctx_no_memory(ctx)
                             : file_writer_add(ctx, w, b.data, b.size);
    buffer_free(&b);
    return s ? s : pad(ctx, w);
}

static agon_status write_tensors(agon_ctx *ctx, file_writer *w, const plan *p, tensor_source source,
                                 void *arg) {
    size_t n = layout_n(p->config);
    agon_status s = pad(ctx, w);
    if (!s && p->n_factors)
        s = write_factors(ctx, w, p);
    for (size_t i = 0; !s && i < n; i++) {
        tensor_layout t;
        layout_get(p->config, i, &t);
        s = export_tensor(ctx, w, t.name, t.n_rows, t.n_columns, stored_type(p, &t),
                          t.rotary ? p->interleaved_head : 0, source, arg);
        if (!s)
            s = pad(ctx, w);
    }
    return s;
}

/* ---- the file ---------------------------------------------------------------------------------- */

static agon_status make_header(agon_ctx *ctx, const char *path, const plan *p, const tokenizer *tok,
                               buffer *out) {
    meta_writer m = {.architecture = p->architecture->gguf_name};
    put_general(&m, path, p->matrix);
    put_model(&m, p->config);
    agon_status s = tok ? put_tokenizer(ctx, &m, path, p->config, tok) : AGON_OK;
    buffer_append(out, "GGUF", 4);
    put(out, 3, 4);
    put(out, layout_n(p->config) + (p->n_factors > 0), 8);
    put(out, m.n, 8);
    buffer_append(out, m.bytes.data, m.bytes.size);
    put_records(out, p);
    if (!s && (out->failed || m.bytes.failed))
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", path);
    buffer_free(&m.bytes);
    return s;
}

agon_status export_gguf(agon_ctx *ctx, const char *path, const model_config *config, const tokenizer *tok,
                        const char *dtype, tensor_source source, void *arg) {
    plan p = {.config = config, .architecture = architecture_find(config->architecture)};
    file_writer *w = NULL;
    buffer header = {0};
    if (!p.architecture)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: no GGUF name for architecture '%s'", path, config->architecture);
    p.interleaved_head = p.architecture->interleaved ? config->head_dim : 0;
    bool divided = strcmp(config->rope_scaling, "llama3") == 0 || strcmp(config->rope_scaling, "divisors") == 0;
    p.n_factors = divided ? config->head_dim / 2 : 0;
    agon_status s = config_check(ctx, path, config);
    if (!s)
        s = export_dtype(ctx, dtype, true, &p.matrix);
    if (!s)
        s = make_header(ctx, path, &p, tok, &header);
    if (!s)
        s = file_writer_open(ctx, path, &w);
    if (!s)
        s = file_writer_add(ctx, w, header.data, header.size);
    if (!s)
        s = write_tensors(ctx, w, &p, source, arg);
    buffer_free(&header);
    if (s) {
        file_writer_abort(w);
        return s;
    }
    return file_writer_commit_take(ctx, w);
}

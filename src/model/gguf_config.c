/* The configuration a GGUF file describes, and the check that its tensors agree with it.
 *
 * llama.cpp's converter stores the rows of q and k of architecture llama so that the two members of a rotary pair
 * are neighbours (interleaved RoPE); qwen2 and qwen3 keep Hugging Face's halves. Tensors are marked here and put
 * back in order when they are read. */
#include "base/ctx.h"
#include "model/architecture.h"
#include "model/weights_layout.h"
#include "model/weights_private.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct keys {
    agon_ctx *ctx;
    const weights *w;
    const char *path, *architecture;
    agon_status status; /* the first failure; later calls do nothing */
} keys;

static const meta_value *find_key(keys *k, const char *name, char full[160]) {
    snprintf(full, 160, "%s.%s", k->architecture, name);
    return weights_find_meta(k->w, full);
}

static size_t get_size(keys *k, const char *name, bool required, size_t otherwise) {
    char full[160];
    if (k->status)
        return otherwise;
    const meta_value *v = find_key(k, name, full);
    if (!v && required)
        k->status = ctx_fail(k->ctx, AGON_EFORMAT, "%s: metadata key '%s' is missing", k->path, full);
    else if (v && v->kind == META_INTS)
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED,
                             "%s: '%s' differs from layer to layer, which agon does not support", k->path,
                             full);
    else if (v && (v->kind != META_INT || v->integer < 0))
        k->status = ctx_fail(k->ctx, AGON_EFORMAT, "%s: '%s' must be a whole number, 0 or more", k->path,
                             full);
    return v && !k->status ? (size_t)v->integer : otherwise;
}

static double get_real(keys *k, const char *name, bool required, double otherwise) {
    char full[160];
    if (k->status)
        return otherwise;
    const meta_value *v = find_key(k, name, full);
    if (!v && required)
        k->status = ctx_fail(k->ctx, AGON_EFORMAT, "%s: metadata key '%s' is missing", k->path, full);
    else if (v && (v->kind != META_REAL || !isfinite(v->real)))
        k->status = ctx_fail(k->ctx, AGON_EFORMAT, "%s: '%s' must be a finite number", k->path, full);
    return v && !k->status ? v->real : otherwise;
}

static void get_sizes(keys *k, model_config *c) {
    c->n_layers = get_size(k, "block_count", true, 0);
    c->d_model = get_size(k, "embedding_length", true, 0);
    c->d_ff = get_size(k, "feed_forward_length", true, 0);
    c->n_heads = get_size(k, "attention.head_count", true, 0);
    c->n_kv_heads = get_size(k, "attention.head_count_kv", false, c->n_heads);
    c->head_dim = get_size(k, "attention.key_length", false, c->n_heads ? c->d_model / c->n_heads : 0);
    c->max_context = get_size(k, "context_length", true, 0);
    c->sliding_window = get_size(k, "attention.sliding_window", false, 0);
    size_t value_width = get_size(k, "attention.value_length", false, c->head_dim);
    size_t rotary = get_size(k, "rope.dimension_count", false, c->head_dim);
    size_t experts = get_size(k, "expert_count", false, 0);
    if (!k->status && value_width != c->head_dim)
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED,
                             "%s: values of width %zu beside keys of width %zu are not supported", k->path,
                             value_width, c->head_dim);
    if (!k->status && c->head_dim > 0 && rotary != c->head_dim) /* what makes heads of no size is said by name below */
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED,
                             "%s: RoPE over %zu of a head's %zu values is not supported", k->path, rotary,
                             c->head_dim);
    if (!k->status && experts > 0)
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED,
                             "%s: a mixture of %zu experts; agon runs dense models", k->path, experts);
}

static void get_vocabulary(keys *k, model_config *c) {
    gguf_strings tokens;
    if (weights_meta_strings(k->w, "tokenizer.ggml.tokens", &tokens))
        c->n_vocabulary = tokens.n;
    else
        c->n_vocabulary = get_size(k, "vocab_size", true, 0);
}

/* ---- RoPE scaling ------------------------------------------------------------------------------ */

/* Llama 3.1 and later store only what divides each frequency. The parameters are taken back from that, as every
 * published model has 1, 4 and 8192 and the factor is the largest entry; where they do not give the entries, those are kept. */
static agon_status rope_from_factors(agon_ctx *ctx, const char *path, const weights_tensor_entry *t,
                                     model_config *c) {
    size_t n = c->head_dim / 2;
    if (t->n_rows != 1 || t->n_columns != n || strcmp(t->type->name, "F32") != 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor 'rope_freqs.weight' must be %zu F32 values", path, n);
    if (c->rope_factor != 1)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: linear RoPE scaling together with 'rope_freqs.weight' is not supported", path);
    t->type->dequantize(t->data, n, c->rope_divisors);
    snprintf(c->rope_scaling, sizeof c->rope_scaling, "llama3");
    c->rope_low_freq_factor = 1;
    c->rope_high_freq_factor = 4;
    c->rope_original_context = 8192;
    c->rope_factor = (double)c->rope_divisors[n - 1];
    bool agree = c->rope_factor >= 1 && c->rope_factor <= 1e6;
    for (size_t i = 0; agree && i < n; i++)
        agree = fabs((double)c->rope_divisors[i] - rope_divisor(c, i)) <= 1e-3 * rope_divisor(c, i);
    if (!agree)
        snprintf(c->rope_scaling, sizeof c->rope_scaling, "divisors");
    return AGON_OK;
}

static void get_rope(keys *k, model_config *c) {
    c->rope_theta = get_real(k, "rope.freq_base", false, 10000);
    snprintf(c->rope_scaling, sizeof c->rope_scaling, "none");
    c->rope_factor = 1;
    char full[160];
    double attention = get_real(k, "rope.scaling.attn_factor", false, 1);
    const meta_value *type = find_key(k, "rope.scaling.type", full);
    const char *name = type && type->kind == META_TEXT ? type->text : "linear"; /* llama.cpp's default */
    if (k->status)
        return;
    if (type && type->kind != META_TEXT) {
        k->status = ctx_fail(k->ctx, AGON_EFORMAT, "%s: '%s' must be text", k->path, full);
    } else if (attention != 1) {
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED, "%s: RoPE scaling with an attention factor of %g is not supported", k->path,
                             attention);
    } else if (strcmp(name, "linear") == 0) {
        double old = get_real(k, "rope.scale_linear", false, 1);
        c->rope_factor = get_real(k, "rope.scaling.factor", false, old);
        if (c->rope_factor != 1)
            snprintf(c->rope_scaling, sizeof c->rope_scaling, "linear");
    } else if (strcmp(name, "none") != 0) {
        k->status = ctx_fail(k->ctx, AGON_EUNSUPPORTED,
                             "%s: RoPE scaling '%.40s' is not supported; agon knows linear and llama3",
                             k->path, name);
    }
}

/* ---- tensors ----------------------------------------------------------------------------------- */

/* Every tensor of the configuration is there with its shape; marks interleaved rows. */
static agon_status check_tensors(agon_ctx *ctx, weights *w, const char *path, bool interleaved) {
    const model_config *c = &w->config;
    size_t n = layout_n(c);
    for (size_t i = 0; i < n; i++) {
        tensor_layout want;
        layout_get(c, i, &want);
        /* The index is by name and ours to mark. */
        weights_tensor_entry *t = (weights_tensor_entry *)(uintptr_t)weights_find(w, want.name);
        if (!t)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' is missing", path, want.gguf_name);
        if (t->n_rows != want.n_rows || t->n_columns != want.n_columns)
            return ctx_fail(ctx, AGON_EFORMAT,
                            "%s: tensor '%s' is %zu x %zu; the metadata ask for %zu x %zu", path,
                            t->stored_name, t->n_rows, t->n_columns, want.n_rows, want.n_columns);
        if (interleaved && want.rotary)
            t->interleaved_head = c->head_dim;
    }
    if (w->n_tensors != n)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: holds %zu tensors; its metadata describe a model of %zu (%zu layers)", path,
                        w->n_tensors, n, c->n_layers);
    return AGON_OK;
}

/* Takes rope_freqs.weight out of the index: it is configuration, not a weight. */
static agon_status take_rope_factors(agon_ctx *ctx, weights *w, const char *path) {
    const weights_tensor_entry *found = weights_find(w, "rope_freqs.weight");
    if (!found)
        return AGON_OK;
    agon_status s = rope_from_factors(ctx, path, found, &w->config);
    size_t at = (size_t)(found - w->tensors);
    memmove(&w->tensors[at], &w->tensors[at + 1], (w->n_tensors - at - 1) * sizeof *w->tensors);
    w->n_tensors--;
    return s;
}

agon_status gguf_configure(agon_ctx *ctx, weights *w, const char *path) {
    model_config *c = &w->config;
    keys k = {.ctx = ctx, .w = w, .path = path};
    k.architecture = weights_meta_text(w, "general.architecture"); /* checked to be one we know */
    snprintf(c->architecture, sizeof c->architecture, "%s", k.architecture);
    get_sizes(&k, c);
    get_vocabulary(&k, c);
    c->norm_eps = (float)get_real(&k, "attention.layer_norm_rms_epsilon", true, 0);
    get_rope(&k, c);
    if (k.status)
        return k.status;
    c->tied_embeddings = !weights_has(w, "lm_head.weight");
    c->qkv_bias = weights_has(w, "model.layers.0.self_attn.q_proj.bias");
    c->qk_norm = weights_has(w, "model.layers.0.self_attn.q_norm.weight");
    agon_status s = config_check(ctx, path, c);
    if (!s)
        s = take_rope_factors(ctx, w, path);
    if (!s)
        s = config_check(ctx, path, c);
    if (!s)
        s = check_tensors(ctx, w, path, architecture_find(c->architecture)->interleaved);
    return s;
}

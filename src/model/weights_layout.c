/* The decoder in tables, see weights_layout.h: both readers (names, shapes, which tensors must be there), both writers and the model
 * are made from them. Llama, SmolLM2, Mistral, Qwen2 and Qwen3 differ in their configuration only. */
#include "model/weights_layout.h"
#include "base/ctx.h"
#include "compute/compute.h"
#include "model/weights_private.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum size_of { ONE, D_MODEL, D_FF, Q_DIM, KV_DIM, HEAD_DIM, VOCABULARY } size_of;
typedef enum when { ALWAYS, IF_QKV_BIAS, IF_QK_NORM, IF_UNTIED } when;

typedef struct layout_row {
    const char *gguf, *name;
    size_of rows, columns;
    when present;
    bool rotary;
    const char *path; /* of linear layers */
} layout_row;

#define LINEAR(gguf, path, rows, columns, rotary) {gguf ".weight", path ".weight", rows, columns, ALWAYS, rotary, path}
#define VECTOR(gguf, name, n, present, rotary) {gguf, name, ONE, n, present, rotary, NULL}

static const layout_row before[] = {
    {"token_embd.weight", "model.embed_tokens.weight", VOCABULARY, D_MODEL, ALWAYS, false, NULL},
};
/* In the order of linear_kind and decoder_part, which is that of a model's parameters: checkpoints and ids hang on it. */
static const layout_row in_layer[] = {
    LINEAR("attn_q", "self_attn.q_proj", Q_DIM, D_MODEL, true),
    LINEAR("attn_k", "self_attn.k_proj", KV_DIM, D_MODEL, true),
    LINEAR("attn_v", "self_attn.v_proj", KV_DIM, D_MODEL, false),
    LINEAR("attn_output", "self_attn.o_proj", D_MODEL, Q_DIM, false),
    LINEAR("ffn_gate", "mlp.gate_proj", D_FF, D_MODEL, false),
    LINEAR("ffn_up", "mlp.up_proj", D_FF, D_MODEL, false),
    LINEAR("ffn_down", "mlp.down_proj", D_MODEL, D_FF, false),
    VECTOR("attn_norm.weight", "input_layernorm.weight", D_MODEL, ALWAYS, false),
    VECTOR("ffn_norm.weight", "post_attention_layernorm.weight", D_MODEL, ALWAYS, false),
    VECTOR("attn_q.bias", "self_attn.q_proj.bias", Q_DIM, IF_QKV_BIAS, true),
    VECTOR("attn_k.bias", "self_attn.k_proj.bias", KV_DIM, IF_QKV_BIAS, true),
    VECTOR("attn_v.bias", "self_attn.v_proj.bias", KV_DIM, IF_QKV_BIAS, false),
    VECTOR("attn_q_norm.weight", "self_attn.q_norm.weight", HEAD_DIM, IF_QK_NORM, false),
    VECTOR("attn_k_norm.weight", "self_attn.k_norm.weight", HEAD_DIM, IF_QK_NORM, false),
};
/* As other writers put a layer into a file. */
static const unsigned char file_order[] = {
    PART_ATTENTION_NORM, LINEAR_Q, LINEAR_K, LINEAR_V, LINEAR_O, PART_BIAS, PART_BIAS + 1, PART_BIAS + 2,
    PART_Q_NORM, PART_K_NORM, PART_MLP_NORM, LINEAR_GATE, LINEAR_UP, LINEAR_DOWN,
};
static const layout_row after[] = {
    VECTOR("output_norm.weight", "model.norm.weight", D_MODEL, ALWAYS, false),
    {"output.weight", "lm_head.weight", VOCABULARY, D_MODEL, IF_UNTIED, false, NULL},
};
enum {
    N_BEFORE = sizeof before / sizeof before[0],
    N_IN_LAYER = sizeof in_layer / sizeof in_layer[0],
    N_AFTER = sizeof after / sizeof after[0]
};
_Static_assert((int)N_IN_LAYER == (int)PART_EMBEDDING && (int)N_BEFORE == (int)PART_FINAL_NORM - (int)PART_EMBEDDING &&
                   sizeof file_order == N_IN_LAYER,
               "decoder_part numbers the rows");

static bool present(const layout_row *row, const model_config *c) {
    switch (row->present) {
    case IF_QKV_BIAS:
        return c->qkv_bias;
    case IF_QK_NORM:
        return c->qk_norm;
    case IF_UNTIED:
        return !c->tied_embeddings;
    default:
        return true;
    }
}

static size_t resolve(size_of what, const model_config *c) {
    switch (what) {
    case D_MODEL:
        return c->d_model;
    case D_FF:
        return c->d_ff;
    case Q_DIM:
        return c->n_heads * c->head_dim;
    case KV_DIM:
        return c->n_kv_heads * c->head_dim;
    case HEAD_DIM:
        return c->head_dim;
    case VOCABULARY:
        return c->n_vocabulary;
    default:
        return 1;
    }
}

static size_t count(const layout_row *rows, size_t n, const model_config *c) {
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += present(&rows[i], c);
    return total;
}

size_t layout_n(const model_config *c) {
    return N_BEFORE + c->n_layers * count(in_layer, N_IN_LAYER, c) + count(after, N_AFTER, c);
}

/* The i-th present part of a layer; order NULL: that of decoder_part. */
static int pick_part(const model_config *c, const unsigned char *order, size_t i) {
    for (int k = 0;; k++) {
        int part = order ? order[k] : k;
        if (present(&in_layer[part], c) && i-- == 0)
            return part;
    }
}

static void get_in_order(const model_config *c, const unsigned char *order, size_t i, tensor_layout *out) {
    size_t each = count(in_layer, N_IN_LAYER, c), layers = c->n_layers * each;
    const layout_row *row;
    if (i >= N_BEFORE && i < N_BEFORE + layers) {
        size_t layer = (i - N_BEFORE) / each;
        out->part = pick_part(c, order, (i - N_BEFORE) % each);
        out->layer = layer;
        row = &in_layer[out->part];
        snprintf(out->name, sizeof out->name, "model.layers.%zu.%s", layer, row->name);
        snprintf(out->gguf_name, sizeof out->gguf_name, "blk.%zu.%s", layer, row->gguf);
    } else {
        row = i < N_BEFORE ? &before[i] : &after[i - N_BEFORE - layers]; /* the head, which may be tied, is the last */
        out->part = PART_EMBEDDING + (int)(i < N_BEFORE ? i : i - layers);
        out->layer = 0;
        snprintf(out->name, sizeof out->name, "%s", row->name);
        snprintf(out->gguf_name, sizeof out->gguf_name, "%s", row->gguf);
    }
    out->n_rows = resolve(row->rows, c);
    out->n_columns = resolve(row->columns, c);
    out->vector = row->rows == ONE;
    out->rotary = row->rotary;
}

void layout_get(const model_config *c, size_t i, tensor_layout *out) {
    get_in_order(c, file_order, i, out);
}

void layout_parameter(const model_config *c, size_t i, tensor_layout *out) {
    get_in_order(c, NULL, i, out);
}

const char *linear_path(linear_kind kind) {
    return in_layer[kind].path;
}

const char *linear_target(linear_kind kind) {
    return strchr(in_layer[kind].path, '.') + 1;
}

size_t linear_n_in(const model_config *c, linear_kind kind) {
    return resolve(in_layer[kind].columns, c);
}

size_t linear_n_out(const model_config *c, linear_kind kind) {
    return resolve(in_layer[kind].rows, c);
}

/* "PREFIX.NUMBER.rest" gives rest, else NULL. Only canonical numbers count, so that each tensor has one name. */
static const char *after_layer(const char *name, const char *prefix, unsigned *layer) {
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)name[n]))
        return NULL;
    char *end;
    unsigned long value = strtoul(name + n, &end, 10);
    if (*end != '.' || end - (name + n) > 6 || (name[n] == '0' && end - (name + n) > 1))
        return NULL;
    *layer = (unsigned)value;
    return end + 1;
}

bool layout_name_of_gguf(const char *gguf_name, char out[96]) {
    unsigned layer;
    const char *rest = after_layer(gguf_name, "blk.", &layer);
    for (int i = 0; rest && i < N_IN_LAYER; i++)
        if (strcmp(rest, in_layer[i].gguf) == 0) {
            snprintf(out, 96, "model.layers.%u.%s", layer, in_layer[i].name);
            return true;
        }
    if (strcmp(gguf_name, before[0].gguf) == 0) {
        snprintf(out, 96, "%s", before[0].name);
        return true;
    }
    for (int i = 0; i < N_AFTER; i++)
        if (strcmp(gguf_name, after[i].gguf) == 0) {
            snprintf(out, 96, "%s", after[i].name);
            return true;
        }
    return false;
}

bool layout_knows(const char *name) {
    unsigned layer;
    const char *rest = after_layer(name, "model.layers.", &layer);
    for (int i = 0; rest && i < N_IN_LAYER; i++)
        if (strcmp(rest, in_layer[i].name) == 0)
            return true;
    for (int i = 0; i < N_AFTER; i++)
        if (strcmp(name, after[i].name) == 0)
            return true;
    return strcmp(name, before[0].name) == 0;
}

/* Llama 3.1's scaling: frequencies above the high wavelength bound are divided by the factor, blended between the bounds. */
static double llama3_frequency(const model_config *c, double f) {
    const double two_pi = 6.283185307179586;
    double wavelength = two_pi / f, low = c->rope_original_context / c->rope_low_freq_factor,
           high = c->rope_original_context / c->rope_high_freq_factor;
    if (wavelength > low)
        return f / c->rope_factor;
    if (wavelength < high)
        return f;
    double smooth = (c->rope_original_context / wavelength - c->rope_low_freq_factor) /
                    (c->rope_high_freq_factor - c->rope_low_freq_factor);
    return (1 - smooth) * f / c->rope_factor + smooth * f;
}

static double plain_frequency(const model_config *c, size_t i) {
    return pow(c->rope_theta, -(double)(2 * i) / (double)c->head_dim);
}

double rope_divisor(const model_config *c, size_t i) {
    double f = plain_frequency(c, i);
    return strcmp(c->rope_scaling, "divisors") == 0 ? (double)c->rope_divisors[i] : f / llama3_frequency(c, f);
}

double rope_frequency(const model_config *c, size_t i) {
    double f = plain_frequency(c, i);
    if (strcmp(c->rope_scaling, "linear") == 0)
        return f / c->rope_factor;
    if (strcmp(c->rope_scaling, "divisors") == 0)
        return f / rope_divisor(c, i);
    return strcmp(c->rope_scaling, "llama3") == 0 ? llama3_frequency(c, f) : f;
}

agon_status config_check(agon_ctx *ctx, const char *where, const model_config *c) {
    const struct {
        const char *name;
        size_t value, limit;
    } sizes[] = {
        {"number of layers", c->n_layers, MAX_LAYERS},
        {"model width", c->d_model, MAX_PRODUCT_DEPTH},
        {"number of heads", c->n_heads, 1 << 16},
        {"number of key-value heads", c->n_kv_heads, 1 << 16},
        {"head width", c->head_dim, MAX_HEAD_DIM},
        {"width of all heads", size_mul(c->n_heads, c->head_dim), MAX_PRODUCT_DEPTH},
        {"feed-forward width", c->d_ff, MAX_PRODUCT_DEPTH},
        {"vocabulary size", c->n_vocabulary, MAX_VOCABULARY},
        {"context length", c->max_context, (size_t)1 << 31},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].limit)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: the %s is %zu; it must be 1 to %zu", where,
                            sizes[i].name, sizes[i].value, sizes[i].limit);
    if (c->n_heads % c->n_kv_heads != 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu heads cannot share %zu key-value heads evenly",
                        where, c->n_heads, c->n_kv_heads);
    if (c->head_dim % 2 != 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the head width %zu is odd; RoPE needs pairs", where,
                        c->head_dim);
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the RMSNorm epsilon %g is not between 0 and 1", where,
                        (double)c->norm_eps);
    if (!(c->rope_theta > 1 && c->rope_theta <= 1e15))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the RoPE base %g is not between 1 and 1e15", where,
                        c->rope_theta);
    bool linear = strcmp(c->rope_scaling, "linear") == 0;
    bool llama3 = strcmp(c->rope_scaling, "llama3") == 0;
    bool divisors = strcmp(c->rope_scaling, "divisors") == 0;
    if (!linear && !llama3 && !divisors && c->rope_scaling[0] && strcmp(c->rope_scaling, "none") != 0)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: RoPE scaling '%s' is not known (none, linear, llama3, divisors)", where,
                        c->rope_scaling);
    if ((linear || llama3) && !(c->rope_factor >= 1 && c->rope_factor <= 1e6))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the RoPE scaling factor %g is not between 1 and 1e6",
                        where, c->rope_factor);
    if (llama3 && !(c->rope_low_freq_factor > 0 &&
                    c->rope_high_freq_factor > c->rope_low_freq_factor &&
                    c->rope_high_freq_factor <= 1e6 && c->rope_original_context >= 1 &&
                    c->rope_original_context <= 1e9))
        return ctx_fail(ctx, AGON_EFORMAT,
                        "%s: llama3 RoPE scaling needs 0 < low_freq_factor < high_freq_factor and an "
                        "original context of at least 1",
                        where);
    for (size_t i = 0; divisors && i < c->head_dim / 2; i++)
        if (!(c->rope_divisors[i] >= 1e-6f && c->rope_divisors[i] <= 1e6f))
            return ctx_fail(ctx, AGON_EFORMAT, "%s: RoPE divisor %zu is %g; it must be 1e-6 to 1e6", where, i,
                            (double)c->rope_divisors[i]);
    return AGON_OK;
}

/* config.json of a Hugging Face folder to model_config.
 *
 * What a model's config asks for beyond what the engine computes (another activation, biases it does not
 * have, other RoPE scalings) is refused here, so that no model runs almost right. RoPE settings are read
 * in both spellings: "rope_theta" + "rope_scaling", and "rope_parameters" (transformers 5). */
#include "base/ctx.h"
#include "base/json.h"
#include "model/architecture.h"
#include "model/weights_layout.h"
#include "model/weights_private.h"
#include <stdio.h>
#include <string.h>

typedef struct reader {
    agon_ctx *ctx;
    const char *where;
    const json_t *object;
    agon_status status; /* the first failure; later calls do nothing */
} reader;

/* The JSON helpers call a wrong member the caller's mistake; in a model's file it is the file's. */
static void note(reader *r, agon_status s) {
    r->status = s == AGON_EINVAL ? AGON_EFORMAT : s;
}

static size_t get_size(reader *r, const char *key, bool required, size_t otherwise) {
    int64_t value = (int64_t)otherwise;
    if (r->status)
        return otherwise;
    note(r, json_get_int(r->ctx, r->where, r->object, key, required, &value));
    if (!r->status && value < 0)
        r->status = ctx_fail(r->ctx, AGON_EFORMAT, "%s: '%s' is negative", r->where, key);
    return r->status ? otherwise : (size_t)value;
}

static double get_real(reader *r, const char *key, bool required, double otherwise) {
    double value = otherwise;
    if (!r->status)
        note(r, json_get_real(r->ctx, r->where, r->object, key, required, &value));
    return value;
}

static bool get_bool(reader *r, const char *key, bool otherwise) {
    bool value = otherwise;
    if (!r->status)
        note(r, json_get_bool(r->ctx, r->where, r->object, key, false, &value));
    return value;
}

static const char *get_text(reader *r, const char *key, bool required, const char *otherwise) {
    const char *value = otherwise;
    if (!r->status)
        note(r, json_get_text(r->ctx, r->where, r->object, key, required, &value));
    return value;
}

static void refuse(reader *r, const char *what) {
    if (!r->status)
        r->status = ctx_fail(r->ctx, AGON_EUNSUPPORTED, "%s: %s is not supported", r->where, what);
}

/* ---- RoPE -------------------------------------------------------------------------------------- */

/* "rope_type", or "type" in older files; null or absent: no scaling. */
static const char *scaling_type(reader *r) {
    const char *name = get_text(r, "type", false, "default");
    return get_text(r, "rope_type", false, name);
}

static void get_scaling(reader *r, model_config *c) {
    const char *type = scaling_type(r);
    if (r->status || strcmp(type, "default") == 0)
        return;
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0) {
        r->status = ctx_fail(r->ctx, AGON_EUNSUPPORTED,
                             "%s: RoPE scaling '%.40s' is not supported; agon knows linear and llama3",
                             r->where, type);
        return;
    }
    snprintf(c->rope_scaling, sizeof c->rope_scaling, "%s", type);
    c->rope_factor = get_real(r, "factor", true, 1);
    if (strcmp(type, "llama3") == 0) {
        c->rope_low_freq_factor = get_real(r, "low_freq_factor", true, 1);
        c->rope_high_freq_factor = get_real(r, "high_freq_factor", true, 4);
        c->rope_original_context = get_real(r, "original_max_position_embeddings", true, 8192);
    }
}

static void get_rope(reader *r, model_config *c) {
    const json_t *config = r->object;
    snprintf(c->rope_scaling, sizeof c->rope_scaling, "none");
    c->rope_factor = 1;
    c->rope_theta = get_real(r, "rope_theta", false, 10000);
    if (get_real(r, "partial_rotary_factor", false, 1) != 1)
        refuse(r, "RoPE over a part of each head");
    const json_t *parts[] = {json_object_get(config, "rope_scaling"),
                             json_object_get(config, "rope_parameters")};
    for (int i = 0; i < 2 && !r->status; i++) {
        if (json_absent(parts[i]))
            continue;
        if (!json_is_object(parts[i])) {
            r->status = ctx_fail(r->ctx, AGON_EFORMAT, "%s: RoPE settings must be an object", r->where);
            return;
        }
        r->object = parts[i];
        c->rope_theta = get_real(r, "rope_theta", false, c->rope_theta);
        if (get_real(r, "partial_rotary_factor", false, 1) != 1)
            refuse(r, "RoPE over a part of each head");
        get_scaling(r, c);
        r->object = config;
    }
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static void get_sizes(reader *r, model_config *c) {
    c->n_layers = get_size(r, "num_hidden_layers", true, 0);
    c->d_model = get_size(r, "hidden_size", true, 0);
    c->d_ff = get_size(r, "intermediate_size", true, 0);
    c->n_heads = get_size(r, "num_attention_heads", true, 0);
    c->n_kv_heads = get_size(r, "num_key_value_heads", false, c->n_heads);
    c->head_dim = get_size(r, "head_dim", false, c->n_heads ? c->d_model / c->n_heads : 0);
    c->n_vocabulary = get_size(r, "vocab_size", true, 0);
    c->max_context = get_size(r, "max_position_embeddings", true, 0);
}

/* A file without the key means 4096, the default of the configuration classes. */
static void get_window(reader *r, const architecture *a, model_config *c) {
    size_t window = get_size(r, "sliding_window", false, json_object_get(r->object, "sliding_window") ? 0 : 4096);
    if (a->window == WINDOW_ALWAYS || (a->window == WINDOW_BY_SWITCH && get_bool(r, "use_sliding_window", false)))
        c->sliding_window = window;
}

/* NULL: r->status says why. */
static const architecture *get_architecture(reader *r, model_config *c) {
    const char *type = get_text(r, "model_type", true, "");
    const architecture *a = r->status ? NULL : architecture_find(type);
    if (a)
        snprintf(c->architecture, sizeof c->architecture, "%s", a->name);
    else if (!r->status)
        r->status = ctx_fail(r->ctx, AGON_EUNSUPPORTED, "%s: model_type '%.60s' is not supported; agon runs " ARCHITECTURES_HF,
                             r->where, type);
    return a;
}

static void get_switches(reader *r, const architecture *a, model_config *c) {
    bool attention_bias = get_bool(r, "attention_bias", false);
    c->tied_embeddings = get_bool(r, "tie_word_embeddings", false);
    c->qk_norm = a->qk_norm;
    c->qkv_bias = a->qkv_bias;
    if (attention_bias && !a->qkv_bias)
        refuse(r, "'attention_bias' (a bias on the attention's output)");
    if (get_bool(r, "mlp_bias", false))
        refuse(r, "'mlp_bias'");
    const char *activation = get_text(r, "hidden_act", false, "silu");
    if (!r->status && strcmp(activation, "silu") != 0)
        refuse(r, "a 'hidden_act' other than silu");
    const json_t *quantised = json_object_get(r->object, "quantization_config");
    if (!json_absent(quantised))
        refuse(r, "a quantised folder ('quantization_config'; use F32, F16 or BF16, or a GGUF file)");
}

agon_status hf_config_parse(agon_ctx *ctx, const char *where, const char *text, size_t n,
                            model_config *out) {
    json_t *root = NULL;
    model_config c = {0};
    agon_status s = json_parse(ctx, where, text, n, &root);
    if (!s && !json_is_object(root))
        s = ctx_fail(ctx, AGON_EFORMAT, "%s: must be a JSON object", where);
    if (!s) {
        reader r = {.ctx = ctx, .where = where, .object = root};
        const architecture *a = get_architecture(&r, &c);
        get_sizes(&r, &c);
        c.norm_eps = (float)get_real(&r, "rms_norm_eps", false, 1e-6);
        get_rope(&r, &c);
        if (a) {
            get_window(&r, a, &c);
            get_switches(&r, a, &c);
        }
        s = r.status;
    }
    if (!s)
        s = config_check(ctx, where, &c);
    json_decref(root);
    if (!s)
        *out = c;
    return s;
}

/* Loading, packing and training state of a decoder: Llama, SmolLM2, Mistral, Qwen2 and Qwen3 differ in
 * their config only (biases on q, k, v; norms on each head's q and k; tied head; RoPE scaling).
 *
 * Every matrix is packed once in the compute dtype; norms and biases stay f32. In bf16 compute a matrix that its file stores as Q8_0
 * stays in 8 bits (the same bits come out, and decoding reads half the memory) until all weights are trained. Full fine-tuning adds
 * one flat block of f32 masters and one of gradients, in the order of the parameter list; model_changed
 * packs the masters again. RoPE scaling "llama3": Llama 3.1's reference (frequencies above the high
 * wavelength bound divided by the factor, blended between the bounds). */
#include "model/model_private.h"
#include "base/available.h"
#include "model/weights_layout.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const linear_paths[N_LINEARS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj",
};

const char *linear_path(linear_kind kind) {
    return linear_paths[kind];
}

const char *linear_target(linear_kind kind) {
    return strchr(linear_paths[kind], '.') + 1;
}

size_t linear_n_in(const model_config *c, linear_kind kind) {
    switch (kind) {
    case LINEAR_O:
        return c->n_heads * c->head_dim;
    case LINEAR_DOWN:
        return c->d_ff;
    default:
        return c->d_model;
    }
}

size_t linear_n_out(const model_config *c, linear_kind kind) {
    switch (kind) {
    case LINEAR_Q:
        return c->n_heads * c->head_dim;
    case LINEAR_K:
    case LINEAR_V:
        return c->n_kv_heads * c->head_dim;
    case LINEAR_GATE:
    case LINEAR_UP:
        return c->d_ff;
    default:
        return c->d_model;
    }
}

void rope_inv_freq(const model_config *c, float *out) {
    const double two_pi = 6.283185307179586;
    for (size_t i = 0; i < c->head_dim / 2; i++) {
        double f = pow(c->rope_theta, -(double)(2 * i) / (double)c->head_dim);
        if (strcmp(c->rope_scaling, "linear") == 0) {
            f /= c->rope_factor;
        } else if (strcmp(c->rope_scaling, "llama3") == 0) {
            double wavelength = two_pi / f, low = c->rope_original_context / c->rope_low_freq_factor,
                   high = c->rope_original_context / c->rope_high_freq_factor;
            double smooth = (c->rope_original_context / wavelength - c->rope_low_freq_factor) /
                            (c->rope_high_freq_factor - c->rope_low_freq_factor);
            if (wavelength > low)
                f /= c->rope_factor;
            else if (wavelength >= high)
                f = (1 - smooth) * f / c->rope_factor + smooth * f;
        }
        out[i] = (float)f;
    }
}

/* ---- the list of tensors ----------------------------------------------------------------------------- */

/* One tensor of the model and the places that hold it. Exactly one of `matrix` and `vector` is set. */
typedef struct tensor_slot {
    char name[128];
    size_t n_rows, n_columns;
    matrix **matrix;
    float **vector;
    float **gradient; /* in model->train; NULL when not trainable yet */
} tensor_slot;

static size_t tensors_per_layer(const model_config *c) {
    return N_LINEARS + 2 + (c->qkv_bias ? N_BIASED : 0) + (c->qk_norm ? 2 : 0);
}

static size_t n_tensors(const model_config *c) {
    return 2 + (c->tied_embeddings ? 0 : 1) + c->n_layers * tensors_per_layer(c);
}

static void matrix_slot(tensor_slot *s, matrix **m, float **gradient, size_t n_rows, size_t n_columns) {
    s->matrix = m;
    s->gradient = gradient;
    s->n_rows = n_rows;
    s->n_columns = n_columns;
}

static void vector_slot(tensor_slot *s, float **v, float **gradient, size_t n) {
    s->vector = v;
    s->gradient = gradient;
    s->n_rows = 1;
    s->n_columns = n;
}

/* The j-th tensor of a layer: matrices, then norms, then biases, then head norms. */
static void layer_slot(model *m, size_t layer, size_t j, tensor_slot *s) {
    const model_config *c = &m->config;
    model_layer *l = &m->layers[layer];
    layer_gradients *g = m->train ? &m->train->layers[layer] : NULL;
    char part[64];
    if (j < N_LINEARS) {
        snprintf(part, sizeof part, "%s.weight", linear_paths[j]);
        matrix_slot(s, &l->linear[j], g ? &g->linear[j] : NULL, linear_n_out(c, (linear_kind)j),
                    linear_n_in(c, (linear_kind)j));
    } else if (j == N_LINEARS) {
        snprintf(part, sizeof part, "input_layernorm.weight");
        vector_slot(s, &l->attention_norm, g ? &g->attention_norm : NULL, c->d_model);
    } else if (j == N_LINEARS + 1) {
        snprintf(part, sizeof part, "post_attention_layernorm.weight");
        vector_slot(s, &l->mlp_norm, g ? &g->mlp_norm : NULL, c->d_model);
    } else if (c->qkv_bias && j < N_LINEARS + 2 + N_BIASED) {
        size_t b = j - N_LINEARS - 2;
        snprintf(part, sizeof part, "%s.bias", linear_paths[b]);
        vector_slot(s, &l->bias[b], g ? &g->bias[b] : NULL, linear_n_out(c, (linear_kind)b));
    } else {
        bool is_q = j == tensors_per_layer(c) - 2;
        snprintf(part, sizeof part, "self_attn.%s_norm.weight", is_q ? "q" : "k");
        vector_slot(s, is_q ? &l->q_norm : &l->k_norm, !g ? NULL : is_q ? &g->q_norm : &g->k_norm,
                    c->head_dim);
    }
    snprintf(s->name, sizeof s->name, "model.layers.%zu.%s", layer, part);
}

static tensor_slot get_slot(model *m, size_t i) {
    const model_config *c = &m->config;
    tensor_slot s = {.matrix = NULL};
    size_t in_layers = c->n_layers * tensors_per_layer(c);
    if (i == 0) {
        snprintf(s.name, sizeof s.name, "model.embed_tokens.weight");
        matrix_slot(&s, &m->embedding, m->train ? &m->train->embedding : NULL, c->n_vocabulary, c->d_model);
    } else if (i <= in_layers) {
        layer_slot(m, (i - 1) / tensors_per_layer(c), (i - 1) % tensors_per_layer(c), &s);
    } else if (i == in_layers + 1) {
        snprintf(s.name, sizeof s.name, "model.norm.weight");
        vector_slot(&s, &m->final_norm, m->train ? &m->train->final_norm : NULL, c->d_model);
    } else {
        snprintf(s.name, sizeof s.name, "lm_head.weight");
        matrix_slot(&s, &m->head, m->train ? &m->train->head : NULL, c->n_vocabulary, c->d_model);
    }
    return s;
}

/* ---- building ------------------------------------------------------------------------------------------ */

static agon_status check_config(agon_ctx *ctx, model_config *c) {
    if (!c->n_layers || !c->d_model || !c->n_heads || !c->n_kv_heads || !c->head_dim || !c->d_ff ||
        !c->n_vocabulary || !c->max_context || c->n_heads % c->n_kv_heads || c->head_dim % 2 ||
        c->n_vocabulary > INT32_MAX || c->max_context > INT32_MAX)
        return ctx_fail(ctx, AGON_EFORMAT,
                        "config: %zu layers, width %zu, %zu heads over %zu key heads of %zu, feed-forward %zu, "
                        "vocabulary %zu, context %zu: not a decoder agon can run",
                        c->n_layers, c->d_model, c->n_heads, c->n_kv_heads, c->head_dim, c->d_ff,
                        c->n_vocabulary, c->max_context);
    const char *s = c->rope_scaling;
    if (s[0] && strcmp(s, "none") && strcmp(s, "linear") && strcmp(s, "llama3"))
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "config: RoPE scaling '%s' is not known (none, linear, llama3)", s);
    if (s[0] && strcmp(s, "none") &&
        (!(c->rope_factor > 0) ||
         (s[0] == 'l' && s[1] == 'l' &&
          (!(c->rope_low_freq_factor > 0) || !(c->rope_high_freq_factor > c->rope_low_freq_factor) ||
           !(c->rope_original_context > 0)))))
        return ctx_fail(ctx, AGON_EFORMAT, "config: RoPE scaling '%s' with factors out of range", s);
    /* Up to the window, a sliding-window model attends to everything: run it on such contexts. */
    if (c->sliding_window && c->sliding_window < c->max_context)
        c->max_context = c->sliding_window;
    return AGON_OK;
}

static bool keeps_q8(const model *m, const char *name) {
    return m->weights && m->dtype == COMPUTE_BF16 && weights_is_q8(m->weights, name);
}

static agon_status load_q8(agon_ctx *ctx, model *m, const tensor_slot *s, float *scratch) {
    size_t n = s->n_rows * s->n_columns;
    int8_t *integers = (int8_t *)(scratch + n / 32);
    agon_status status = weights_read_q8(ctx, m->weights, s->name, n, integers, scratch);
    weights_release(m->weights);
    return status ? status : matrix_new_q8(ctx, s->n_rows, s->n_columns, integers, scratch, s->matrix);
}

static agon_status load_slot(agon_ctx *ctx, model *m, const tensor_slot *s, float *scratch) {
    size_t n = s->n_rows * s->n_columns;
    float *to = scratch;
    if (s->matrix && keeps_q8(m, s->name))
        return load_q8(ctx, m, s, scratch);
    if (s->vector) {
        *s->vector = to = arena_take(m->vectors, n, sizeof(float));
        if (!to)
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory loading %s", s->name);
    }
    agon_status status = m->source(m->source_arg, ctx, s->name, n, to);
    if (status || s->vector)
        return status;
    return matrix_new(ctx, m->dtype, s->n_rows, s->n_columns, MATRIX_FORWARD, scratch, s->matrix);
}

static agon_status load_all(agon_ctx *ctx, model *m) {
    const model_config *c = &m->config;
    size_t largest = 0;
    agon_status status = arena_new(ctx, 0, &m->vectors);
    if (status)
        return status;
    m->layers = arena_take(m->vectors, c->n_layers, sizeof *m->layers);
    m->inv_freq = arena_take(m->vectors, c->head_dim / 2, sizeof(float));
    if (!m->layers || !m->inv_freq)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu layers", c->n_layers);
    rope_inv_freq(c, m->inv_freq);
    for (size_t i = 0; i < n_tensors(c); i++) {
        tensor_slot s = get_slot(m, i);
        size_t n = size_mul(s.n_rows, s.n_columns);
        largest = n > largest ? n : largest;
    }
    float *scratch = largest > SIZE_MAX / 8 ? NULL : malloc(largest * sizeof *scratch);
    if (!scratch)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory: the largest tensor has %zu values", largest);
    for (size_t i = 0; i < n_tensors(c) && !status; i++) {
        tensor_slot s = get_slot(m, i);
        status = load_slot(ctx, m, &s, scratch);
        if (!status)
            status = ctx_check_interrupt(ctx);
    }
    free(scratch);
    if (!status && c->tied_embeddings)
        m->head = m->embedding;
    return status;
}

/* The packed weights beside the largest tensor as f32, which is there while it is packed. */
static agon_status check_memory(agon_ctx *ctx, const model *m) {
    size_t bytes = size_mul(model_largest_tensor(&m->config), sizeof(float));
    for (size_t i = 0; i < layout_n(&m->config); i++) {
        tensor_layout t;
        layout_get(&m->config, i, &t);
        if (!t.vector)
            bytes = size_add(bytes, keeps_q8(m, t.name) ? matrix_predict_q8(t.n_rows, t.n_columns)
                                                        : matrix_predict(m->dtype, t.n_rows, t.n_columns, MATRIX_FORWARD));
    }
    return memory_check(ctx, bytes, "loading this model", "use a smaller one, or end other programs");
}

size_t model_widen_bytes(const model *m) {
    size_t bytes = 0;
    for (size_t i = 0; i < n_tensors(&m->config); i++) {
        tensor_slot s = get_slot((model *)m, i); /* only read */
        if (s.matrix && matrix_is_q8(*s.matrix))
            bytes += matrix_predict(m->dtype, s.n_rows, s.n_columns, MATRIX_FORWARD) - matrix_predict_q8(s.n_rows, s.n_columns);
    }
    return bytes;
}

static agon_status build(agon_ctx *ctx, model *m, const model_config *config, tensor_source source,
                         void *arg, compute_dtype dtype) {
    m->config = *config;
    m->dtype = dtype;
    m->source = source;
    m->source_arg = arg;
    agon_status status = check_config(ctx, &m->config);
    if (!status)
        status = compute_check_once(ctx); /* nothing is computed by kernels whose bits nobody has checked */
    if (!status)
        status = check_memory(ctx, m);
    return status ? status : load_all(ctx, m);
}

/* For model_free from now on; NULL: out of memory. */
static model *blank(void) {
    model *m = calloc(1, sizeof *m);
    if (m)
        pthread_mutex_init(&m->packing, NULL); /* a default one cannot fail */
    return m;
}

agon_status model_build(agon_ctx *ctx, const model_config *config, tensor_source source, void *arg,
                        compute_dtype dtype, model **out) {
    model *m = blank();
    if (!m)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making a model");
    agon_status status = build(ctx, m, config, source, arg, dtype);
    if (status)
        model_free(m);
    else
        *out = m;
    return status;
}

static agon_status read_weights(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    agon_status status = weights_read(ctx, arg, name, n, out);
    weights_release(arg);
    return status;
}

static agon_status read_heads(agon_ctx *ctx, const weights *w, scalar_head *heads[N_HEAD_KINDS]) {
    agon_status s = heads_read(ctx, w, heads_in(w), weights_config(w)->d_model, heads);
    return s || !heads[HEAD_REWARD] ? s : reward_scale_read(ctx, weights_path(w), &heads[HEAD_REWARD]->scale);
}

agon_status model_load_take(agon_ctx *ctx, weights *w, compute_dtype dtype, model **out) {
    model *m = blank();
    if (!m) {
        weights_free(w);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making a model");
    }
    m->weights = w;
    agon_status status = tokenizer_new(ctx, w, &m->tokenizer);
    if (!status)
        status = read_heads(ctx, w, m->heads);
    if (!status)
        status = build(ctx, m, weights_config(w), read_weights, w, dtype);
    if (status)
        model_free(m);
    else
        *out = m;
    return status;
}

agon_status model_open(agon_ctx *ctx, const char *path, compute_dtype dtype, model **out) {
    weights *w = NULL;
    agon_status status = weights_open(ctx, path, &w);
    return status ? status : model_load_take(ctx, w, dtype, out);
}

static void trainable_free(trainable *t) {
    if (!t)
        return;
    free(t->values);
    free(t->gradients);
    free(t->layers);
    free(t->parameters.items);
    free(t);
}

void model_free(model *m) {
    if (!m)
        return;
    if (m->layers)
        for (size_t l = 0; l < m->config.n_layers; l++)
            for (int k = 0; k < N_LINEARS; k++)
                matrix_free(m->layers[l].linear[k]);
    if (m->head != m->embedding)
        matrix_free(m->head);
    matrix_free(m->embedding);
    trainable_free(m->train);
    heads_free(m->heads);
    arena_free(m->vectors);
    tokenizer_free(m->tokenizer);
    weights_free(m->weights);
    pthread_mutex_destroy(&m->packing);
    free(m);
}

const model_config *model_get_config(const model *m) {
    return &m->config;
}

const tokenizer *model_tokenizer(const model *m) {
    return m->tokenizer;
}

const weights *model_weights(const model *m) {
    return m->weights;
}

compute_dtype model_dtype(const model *m) {
    return m->dtype;
}

bool model_has_backward(const model *m) {
    return atomic_load_explicit(&m->has_backward, memory_order_acquire);
}

const matrix *model_head(const model *m) {
    return m->head;
}

/* Heads come last among the parameters, whatever came or went. */
static void list_heads(model *m) {
    if (!m->train)
        return;
    m->train->parameters.n = n_tensors(&m->config);
    heads_add_parameters(m->heads, &m->train->parameters);
}

agon_status model_add_head(agon_ctx *ctx, model *m, head_kind kind, double deviation, uint64_t seed) {
    if (m->heads[kind])
        return AGON_OK;
    agon_status s = scalar_head_new(ctx, kind, m->config.d_model, deviation, seed, &m->heads[kind]);
    if (!s)
        list_heads(m);
    return s;
}

void model_remove_head(model *m, head_kind kind) {
    scalar_head_free(m->heads[kind]);
    m->heads[kind] = NULL;
    list_heads(m);
}

scalar_head *model_scalar_head(const model *m, head_kind kind) {
    return m->heads[kind];
}

/* ---- training ------------------------------------------------------------------------------------------ */

static agon_status pack_backward(agon_ctx *ctx, model *m) {
    agon_status status = AGON_OK;
    for (size_t l = 0; l < m->config.n_layers && !status; l++)
        for (int k = 0; k < N_LINEARS && !status; k++)
            status = matrix_add_use(ctx, m->layers[l].linear[k], MATRIX_BACKWARD);
    return status ? status : matrix_add_use(ctx, m->head, MATRIX_BACKWARD);
}

agon_status model_prepare_backward(agon_ctx *ctx, model *m) {
    agon_status status = AGON_OK;
    if (model_has_backward(m))
        return AGON_OK;
    pthread_mutex_lock(&m->packing);
    if (!model_has_backward(m) && !(status = pack_backward(ctx, m)))
        atomic_store_explicit(&m->has_backward, true, memory_order_release);
    pthread_mutex_unlock(&m->packing);
    return status;
}

static agon_status trainable_new(agon_ctx *ctx, const model_config *c, size_t n_values, trainable **out) {
    trainable *t = calloc(1, sizeof *t);
    if (t) {
        t->n_values = n_values;
        t->values = memory_new(n_values, sizeof(float));
        t->gradients = memory_new(n_values, sizeof(float));
        t->layers = calloc(c->n_layers, sizeof *t->layers);
        t->parameters.items = calloc(n_tensors(c) + N_HEAD_TENSORS, sizeof *t->parameters.items);
    }
    if (!t || !t->values || !t->gradients || !t->layers || !t->parameters.items) {
        trainable_free(t);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory: training all weights needs %zu MiB more",
                        n_values >> 17);
    }
    *out = t;
    return AGON_OK;
}

agon_status model_make_trainable(agon_ctx *ctx, model *m, parameters *out) {
    agon_status status = AGON_OK;
    const model_config *c = &m->config;
    if (m->train) {
        *out = m->train->parameters;
        return AGON_OK;
    }
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n_tensors(c); i++) {
        tensor_slot s = get_slot(m, i);
        total = size_add(total, size_mul(s.n_rows, s.n_columns));
    }
    trainable *t = NULL;
    if ((status = model_prepare_backward(ctx, m)) || (status = trainable_new(ctx, c, total, &t)))
        return status;
    m->train = t;
    for (size_t i = 0; i < n_tensors(c) && !status; i++) {
        tensor_slot s = get_slot(m, i);
        if (s.matrix && (status = matrix_widen(ctx, *s.matrix)))
            break;
        parameter *p = &t->parameters.items[t->parameters.n++];
        snprintf(p->name, sizeof p->name, "%s", s.name);
        p->n_rows = s.n_rows;
        p->n_columns = s.n_columns;
        p->value = t->values + at;
        p->gradient = *s.gradient = t->gradients + at;
        p->decay = s.matrix != NULL && s.matrix != &m->embedding;
        at += s.n_rows * s.n_columns;
        status = m->source(m->source_arg, ctx, p->name, p->n_rows * p->n_columns, p->value);
    }
    if (status) {
        m->train = NULL;
        trainable_free(t);
        return status;
    }
    if (c->tied_embeddings)
        t->head = t->embedding;
    heads_add_parameters(m->heads, &t->parameters);
    *out = t->parameters;
    return AGON_OK;
}

bool model_is_trainable(const model *m) {
    return m->train != NULL;
}

agon_status model_restore(agon_ctx *ctx, model *m) {
    scalar_head *heads[N_HEAD_KINDS] = {NULL};
    agon_status s = AGON_OK;
    if (!m->train)
        return AGON_OK;
    for (size_t i = 0; i < n_tensors(&m->config) && !s; i++) {
        const parameter *p = &m->train->parameters.items[i];
        s = m->source(m->source_arg, ctx, p->name, p->n_rows * p->n_columns, p->value);
    }
    if (!s && m->weights)
        s = read_heads(ctx, m->weights, heads);
    if (s) {
        heads_free(heads);
        return s;
    }
    model_changed(ctx, m);
    heads_free(m->heads);
    memcpy(m->heads, heads, sizeof heads);
    trainable_free(m->train);
    m->train = NULL;
    return AGON_OK;
}

void model_changed(agon_ctx *ctx, model *m) {
    assert(m->train);
    for (size_t i = 0; i < n_tensors(&m->config); i++) { /* heads have no packed copy */
        tensor_slot s = get_slot(m, i);
        const parameter *p = &m->train->parameters.items[i];
        if (s.matrix)
            matrix_set(ctx, *s.matrix, p->value);
        else
            memcpy(*s.vector, p->value, p->n_columns * sizeof(float));
    }
}

agon_status model_tensor(void *model_arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const model *m = model_arg;
    if (heads_tensor(m->heads, name, n, out))
        return AGON_OK;
    for (size_t i = 0; m->train && i < m->train->parameters.n; i++) {
        const parameter *p = &m->train->parameters.items[i];
        if (strcmp(p->name, name) == 0 && p->n_rows * p->n_columns == n) {
            memcpy(out, p->value, n * sizeof *out);
            return AGON_OK;
        }
    }
    return m->source(m->source_arg, ctx, name, n, out);
}

agon_status model_id(agon_ctx *ctx, const model *m, hash256 *out) {
    if (!m->train && m->weights)
        return weights_id(ctx, m->weights, out);
    hasher *h = hasher_new();
    float *values = NULL;
    agon_status status = AGON_OK;
    if (!h)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory hashing the model");
    for (size_t i = 0; i < n_tensors(&m->config) && !status; i++) {
        tensor_slot s = get_slot((model *)m, i); /* only names and sizes are used */
        size_t n = s.n_rows * s.n_columns;
        float *grown = realloc(values, n * sizeof *values);
        if (!grown) {
            status = ctx_fail(ctx, AGON_ENOMEM, "out of memory hashing the model");
            break;
        }
        values = grown;
        status = model_tensor((void *)m, ctx, s.name, n, values);
        char shape[64];
        snprintf(shape, sizeof shape, "%zu,%zu", s.n_rows, s.n_columns);
        hasher_add_field(h, s.name);
        hasher_add_field(h, shape);
        if (!status)
            hasher_add(h, values, n * sizeof *values);
    }
    free(values);
    parameter heads[N_HEAD_TENSORS];
    parameters list = {.items = heads};
    heads_add_parameters(m->heads, &list);
    for (size_t i = 0; i < list.n; i++) {
        hasher_add_field(h, heads[i].name);
        hasher_add(h, heads[i].value, heads[i].n_columns * sizeof *heads[i].value);
    }
    hash256 id = hasher_end(h);
    if (!status)
        *out = id;
    return status;
}

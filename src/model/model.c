/* Loading and packing of a decoder: Llama, SmolLM2, Mistral, Qwen2 and Qwen3 differ in
 * their config only (biases on q, k, v; norms on each head's q and k; tied head; RoPE scaling).
 *
 * Every matrix is packed once in the compute dtype; norms and biases stay f32. In bf16 compute a matrix that its file stores as Q8_0
 * stays in 8 bits (the same bits come out, and decoding reads half the memory) until all weights are trained (model_train.c). What tensors
 * there are, their shapes and their order: weights_layout.h. */
#include "model/model_private.h"
#include "base/available.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void layer_slot(model_layer *l, layer_gradients *g, tensor_slot *s) {
    int part = s->at.part;
    if (part < N_LINEARS) {
        s->matrix = &l->linear[part];
        s->gradient = g ? &g->linear[part] : NULL;
    } else if (part >= PART_BIAS && part < PART_BIAS + N_BIASED) {
        s->vector = &l->bias[part - PART_BIAS];
        s->gradient = g ? &g->bias[part - PART_BIAS] : NULL;
    } else if (part == PART_ATTENTION_NORM) {
        s->vector = &l->attention_norm;
        s->gradient = g ? &g->attention_norm : NULL;
    } else if (part == PART_MLP_NORM) {
        s->vector = &l->mlp_norm;
        s->gradient = g ? &g->mlp_norm : NULL;
    } else {
        s->vector = part == PART_Q_NORM ? &l->q_norm : &l->k_norm;
        s->gradient = !g ? NULL : part == PART_Q_NORM ? &g->q_norm : &g->k_norm;
    }
}

tensor_slot model_slot(model *m, size_t i) {
    trainable *t = m->train;
    tensor_slot s = {.matrix = NULL};
    layout_parameter(&m->config, i, &s.at);
    s.n = size_mul(s.at.n_rows, s.at.n_columns);
    switch (s.at.part) {
    case PART_EMBEDDING:
        s.matrix = &m->embedding;
        s.gradient = t ? &t->embedding : NULL;
        break;
    case PART_FINAL_NORM:
        s.vector = &m->final_norm;
        s.gradient = t ? &t->final_norm : NULL;
        break;
    case PART_HEAD:
        s.matrix = &m->head;
        s.gradient = t ? &t->head : NULL;
        break;
    default:
        layer_slot(&m->layers[s.at.layer], t ? &t->layers[s.at.layer] : NULL, &s);
    }
    return s;
}

/* ---- building ------------------------------------------------------------------------------------------ */

static bool keeps_q8(const model *m, const char *name) {
    return m->weights && m->dtype == COMPUTE_BF16 && weights_is_q8(m->weights, name);
}

static agon_status load_q8(agon_ctx *ctx, model *m, const tensor_slot *s, float *scratch) {
    int8_t *integers = (int8_t *)(scratch + s->n / 32);
    agon_status status = weights_read_q8(ctx, m->weights, s->at.name, s->n, integers, scratch);
    weights_release(m->weights);
    return status ? status : matrix_new_q8(ctx, s->at.n_rows, s->at.n_columns, integers, scratch, s->matrix);
}

static agon_status load_slot(agon_ctx *ctx, model *m, const tensor_slot *s, float *scratch) {
    float *to = scratch;
    if (s->matrix && keeps_q8(m, s->at.name))
        return load_q8(ctx, m, s, scratch);
    if (s->vector) {
        *s->vector = to = arena_take(m->vectors, s->n, sizeof(float));
        if (!to)
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory loading %s", s->at.name);
    }
    agon_status status = m->source(m->source_arg, ctx, s->at.name, s->n, to);
    if (status || s->vector)
        return status;
    return matrix_new(ctx, m->dtype, s->at.n_rows, s->at.n_columns, scratch, s->matrix);
}

static agon_status load_all(agon_ctx *ctx, model *m) {
    const model_config *c = &m->config;
    size_t largest = model_largest_tensor(c);
    agon_status status = arena_new(ctx, 0, &m->vectors);
    if (status)
        return status;
    m->layers = arena_take(m->vectors, c->n_layers, sizeof *m->layers);
    m->inv_freq = arena_take(m->vectors, c->head_dim / 2, sizeof(float));
    if (!m->layers || !m->inv_freq)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu layers", c->n_layers);
    for (size_t i = 0; i < c->head_dim / 2; i++)
        m->inv_freq[i] = (float)rope_frequency(c, i);
    float *scratch = largest > SIZE_MAX / 8 ? NULL : malloc(largest * sizeof *scratch);
    if (!scratch)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory: the largest tensor has %zu values", largest);
    for (size_t i = 0; i < layout_n(c) && !status; i++) {
        tensor_slot s = model_slot(m, i);
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
                                                        : matrix_predict(m->dtype, t.n_rows, t.n_columns));
    }
    return memory_check(ctx, bytes, "loading this model", "use a smaller one, or end other programs");
}

size_t model_widen_bytes(const model *m) {
    size_t bytes = 0;
    for (size_t i = 0; i < layout_n(&m->config); i++) {
        tensor_slot s = model_slot((model *)m, i); /* only read */
        if (s.matrix && matrix_is_q8(*s.matrix))
            bytes += matrix_predict(m->dtype, s.at.n_rows, s.at.n_columns) -
                     matrix_predict_q8(s.at.n_rows, s.at.n_columns);
    }
    return bytes;
}

static agon_status build(agon_ctx *ctx, model *m, const model_config *config, tensor_source source,
                         void *arg, compute_dtype dtype) {
    m->config = *config;
    m->dtype = dtype;
    m->source = source;
    m->source_arg = arg;
    /* Up to the window, a sliding-window model attends to everything: run it on such contexts. */
    if (config->sliding_window && config->sliding_window < config->max_context)
        m->config.max_context = config->sliding_window;
    agon_status status = config_check(ctx, "config", &m->config);
    if (!status)
        status = compute_check_once(ctx); /* nothing is computed by kernels whose bits nobody has checked */
    if (!status)
        status = check_memory(ctx, m);
    return status ? status : load_all(ctx, m);
}

agon_status model_build(agon_ctx *ctx, const model_config *config, tensor_source source, void *arg,
                        compute_dtype dtype, model **out) {
    model *m = calloc(1, sizeof(model));
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

agon_status model_read_heads(agon_ctx *ctx, const weights *w, scalar_head *heads[N_HEAD_KINDS]) {
    agon_status s = heads_read(ctx, w, heads_in(w), weights_config(w)->d_model, heads);
    return s || !heads[HEAD_REWARD] ? s : reward_scale_read(ctx, weights_path(w), &heads[HEAD_REWARD]->scale);
}

agon_status model_load_take(agon_ctx *ctx, weights *w, compute_dtype dtype, model **out) {
    model *m = calloc(1, sizeof(model));
    if (!m) {
        weights_free(w);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making a model");
    }
    m->weights = w;
    agon_status status = tokenizer_new(ctx, w, &m->tokenizer);
    if (!status)
        status = model_read_heads(ctx, w, m->heads);
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

void trainable_free(trainable *t) {
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

const matrix *model_head(const model *m) {
    return m->head;
}

/* Heads come last among the parameters, whatever came or went. */
static void list_heads(model *m) {
    if (!m->train)
        return;
    m->train->parameters.n = layout_n(&m->config);
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

scalar_head *model_head_with(const model *m, const adapter *a, head_kind kind) {
    scalar_head *own = a ? adapter_head(a, kind) : NULL;
    return own ? own : model_scalar_head(m, kind);
}

/* ---- identity ------------------------------------------------------------------------------------------ */

agon_status model_id(agon_ctx *ctx, const model *m, hash256 *out) {
    if (!m->train && m->weights)
        return weights_id(ctx, m->weights, out);
    hasher *h = hasher_new();
    float *values = NULL;
    agon_status status = AGON_OK;
    if (!h)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory hashing the model");
    for (size_t i = 0; i < layout_n(&m->config) && !status; i++) {
        tensor_layout t;
        layout_parameter(&m->config, i, &t);
        size_t n = t.n_rows * t.n_columns;
        float *grown = realloc(values, n * sizeof *values);
        if (!grown) {
            status = ctx_fail(ctx, AGON_ENOMEM, "out of memory hashing the model");
            break;
        }
        values = grown;
        status = model_tensor((void *)m, ctx, t.name, n, values);
        char shape[64];
        snprintf(shape, sizeof shape, "%zu,%zu", t.n_rows, t.n_columns);
        hasher_add_field(h, t.name);
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

/* All weights of a model as parameters: values of matrices in their packs (matrix_masters.c), those of vectors and all gradients flat, in the order
 * of the parameter list. */
#include "model/model_private.h"
#include <stdlib.h>
#include <string.h>

/* Of norms and biases. */
static size_t n_vector_values(model *m) {
    size_t n = 0;
    for (size_t i = 0; i < layout_n(&m->config); i++) {
        tensor_slot s = model_slot(m, i);
        n += s.matrix ? 0 : s.n;
    }
    return n;
}

/* All matrices whose values the layout names, ready to be trained. */
static agon_status train_matrices(agon_ctx *ctx, model *m) {
    agon_status status = AGON_OK;
    for (size_t i = 0; i < layout_n(&m->config) && !status; i++) {
        tensor_slot s = model_slot(m, i);
        status = s.matrix ? matrix_train(ctx, *s.matrix) : AGON_OK;
    }
    return status;
}

static void freeze_matrices(model *m) {
    for (size_t i = 0; i < layout_n(&m->config); i++) {
        tensor_slot s = model_slot(m, i);
        if (s.matrix)
            matrix_freeze(*s.matrix);
    }
}

/* The parameter as the model was loaded with it. */
static agon_status load_parameter(agon_ctx *ctx, const model *m, const parameter *p) {
    const size_t n = p->n_rows * p->n_columns;
    if (p->value)
        return m->source(m->source_arg, ctx, p->name, n, p->value);
    float *values = memory_raw(n, sizeof *values);
    if (!values)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %s", p->name);
    agon_status status = m->source(m->source_arg, ctx, p->name, n, values);
    if (!status)
        parameter_set(ctx, p, 0, p->n_rows, values);
    free(values);
    return status;
}

static agon_status trainable_new(agon_ctx *ctx, model *m, trainable **out) {
    const model_config *c = &m->config;
    const size_t n_values = model_n_values(c);
    trainable *t = calloc(1, sizeof *t);
    if (t) {
        t->values = memory_new(n_vector_values(m), sizeof(float));
        t->gradients = memory_new(n_values, sizeof(float));
        t->layers = calloc(c->n_layers, sizeof *t->layers);
        t->parameters.items = calloc(layout_n(c) + N_HEAD_TENSORS, sizeof *t->parameters.items);
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
    size_t at = 0, in_vectors = 0;
    trainable *t = NULL;
    if ((status = trainable_new(ctx, m, &t)))
        return status;
    m->train = t;
    status = train_matrices(ctx, m);
    for (size_t i = 0; i < layout_n(c) && !status; i++) {
        tensor_slot s = model_slot(m, i);
        parameter *p = &t->parameters.items[t->parameters.n++];
        snprintf(p->name, sizeof p->name, "%s", s.at.name);
        p->n_rows = s.at.n_rows;
        p->n_columns = s.at.n_columns;
        p->weights = s.matrix ? *s.matrix : NULL;
        p->value = s.matrix ? NULL : t->values + in_vectors;
        p->gradient = *s.gradient = t->gradients + at;
        p->decay = s.matrix != NULL && s.matrix != &m->embedding;
        at += s.n;
        in_vectors += s.matrix ? 0 : s.n;
        status = load_parameter(ctx, m, p);
    }
    if (status) {
        m->train = NULL;
        freeze_matrices(m);
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
    for (size_t i = 0; i < layout_n(&m->config) && !s; i++)
        s = load_parameter(ctx, m, &m->train->parameters.items[i]);
    if (!s && m->weights)
        s = model_read_heads(ctx, m->weights, heads);
    if (s) {
        heads_free(heads);
        return s;
    }
    model_changed(m);
    heads_free(m->heads);
    memcpy(m->heads, heads, sizeof heads);
    freeze_matrices(m);
    trainable_free(m->train);
    m->train = NULL;
    return AGON_OK;
}

void model_changed(model *m) {
    assert(m->train);
    for (size_t i = 0; i < layout_n(&m->config); i++) { /* heads have no second copy, matrices neither */
        tensor_slot s = model_slot(m, i);
        const parameter *p = &m->train->parameters.items[i];
        if (!s.matrix)
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
            parameter_get(ctx, p, 0, p->n_rows, out);
            return AGON_OK;
        }
    }
    return m->source(m->source_arg, ctx, name, n, out);
}

/* Scalar heads, see scalar_head.h. */
#include "model/model_private.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const head_tensor tensors[N_HEAD_TENSORS] = {
    {HEAD_REWARD, "score.weight", false},
    {HEAD_VALUE, "v_head.summary.weight", false},
    {HEAD_VALUE, "v_head.summary.bias", true},
};

const head_tensor *head_tensor_at(size_t i) {
    assert(i < N_HEAD_TENSORS);
    return &tensors[i];
}

const head_tensor *head_tensor_find(const char *name) {
    for (size_t i = 0; i < N_HEAD_TENSORS; i++)
        if (strcmp(name, tensors[i].name) == 0)
            return &tensors[i];
    return NULL;
}

agon_status scalar_head_new(agon_ctx *ctx, head_kind kind, size_t width, double deviation, uint64_t seed,
                            scalar_head **out) {
    scalar_head *h = calloc(1, sizeof *h);
    if (h) {
        *h = (scalar_head){.kind = kind, .width = width, .values = memory_new(width + 1, sizeof(float)),
                           .gradients = memory_new(width + 1, sizeof(float))};
    }
    if (!h || !h->values || !h->gradients) {
        scalar_head_free(h);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making a head of %zu weights", width);
    }
    if (deviation > 0)
        draw_normal(h->values, width, deviation, seed_derive(seed, kind == HEAD_REWARD ? "score" : "v_head"));
    *out = h;
    return AGON_OK;
}

agon_status scalar_head_clone(agon_ctx *ctx, const scalar_head *h, scalar_head **out) {
    agon_status s = scalar_head_new(ctx, h->kind, h->width, 0, 0, out);
    if (!s) {
        memcpy((*out)->values, h->values, (h->width + 1) * sizeof *h->values);
        (*out)->scale = h->scale;
    }
    return s;
}

reward_scale scalar_head_scale(const scalar_head *h) {
    return h->scale;
}

void scalar_head_set_scale(scalar_head *h, const reward_scale *scale) {
    h->scale = *scale;
}

void scalar_head_free(scalar_head *h) {
    if (!h)
        return;
    free(h->values);
    free(h->gradients);
    free(h);
}

bool scalar_head_is_zero(const scalar_head *h) {
    for (size_t i = 0; i <= h->width; i++)
        if (h->values[i] != 0)
            return false;
    return true;
}

void scalar_head_forward(const scalar_head *h, const float *hidden, size_t n, double *out) {
    for (size_t i = 0; i < n; i++) {
        double sum = h->kind == HEAD_VALUE ? (double)h->values[h->width] : 0;
        for (size_t j = 0; j < h->width; j++)
            sum += (double)h->values[j] * (double)hidden[i * h->width + j];
        out[i] = sum;
    }
}

void scalar_head_backward(scalar_head *h, const float *hidden, const double *d_out, size_t n, float *d_hidden) {
    for (size_t i = 0; i < n; i++) {
        float d = (float)d_out[i];
        if (d == 0)
            continue;
        for (size_t j = 0; j < h->width; j++) {
            d_hidden[i * h->width + j] += d * h->values[j];
            h->gradients[j] += d * hidden[i * h->width + j];
        }
        if (h->kind == HEAD_VALUE)
            h->gradients[h->width] += d;
    }
}

/* ---- as parameters of a model or adapter ------------------------------------------------------------------ */

float *head_tensor_values(scalar_head *const heads[N_HEAD_KINDS], const head_tensor *t) {
    scalar_head *h = heads[t->kind];
    return h ? h->values + (t->bias ? h->width : 0) : NULL;
}

size_t heads_n_parameters(scalar_head *const heads[N_HEAD_KINDS]) {
    return (heads[HEAD_REWARD] ? 1 : 0) + (heads[HEAD_VALUE] ? 2 : 0);
}

void heads_add_parameters(scalar_head *const heads[N_HEAD_KINDS], parameters *p) {
    for (size_t i = 0; i < N_HEAD_TENSORS; i++) {
        const head_tensor *t = &tensors[i];
        scalar_head *h = heads[t->kind];
        if (!h)
            continue;
        parameter *q = &p->items[p->n++];
        *q = (parameter){.n_rows = 1, .n_columns = t->bias ? 1 : h->width, .value = head_tensor_values(heads, t)};
        q->gradient = h->gradients + (q->value - h->values);
        snprintf(q->name, sizeof q->name, "%s", t->name);
    }
}

bool heads_tensor(scalar_head *const heads[N_HEAD_KINDS], const char *name, size_t n, float *out) {
    const head_tensor *t = head_tensor_find(name);
    const float *values = t ? head_tensor_values(heads, t) : NULL;
    if (!values || n != (t->bias ? 1 : heads[t->kind]->width))
        return false;
    memcpy(out, values, n * sizeof *out);
    return true;
}

unsigned heads_mask(scalar_head *const heads[N_HEAD_KINDS]) {
    return (heads[HEAD_REWARD] ? 1u << HEAD_REWARD : 0) | (heads[HEAD_VALUE] ? 1u << HEAD_VALUE : 0);
}

agon_status heads_read(agon_ctx *ctx, const weights *w, unsigned mask, size_t width, scalar_head *heads[N_HEAD_KINDS]) {
    for (size_t i = 0; i < N_HEAD_TENSORS; i++) {
        const head_tensor *t = &tensors[i];
        if (!(mask & 1u << t->kind))
            continue;
        agon_status s = heads[t->kind] ? AGON_OK : scalar_head_new(ctx, t->kind, width, 0, 0, &heads[t->kind]);
        if (!s)
            s = weights_read(ctx, w, t->name, t->bias ? 1 : width, head_tensor_values(heads, t));
        if (s)
            return s;
    }
    return AGON_OK;
}

unsigned heads_in(const weights *w) {
    return (weights_has(w, "score.weight") ? 1u << HEAD_REWARD : 0) |
           (weights_has(w, "v_head.summary.weight") && weights_has(w, "v_head.summary.bias") ? 1u << HEAD_VALUE : 0);
}

agon_status heads_clone(agon_ctx *ctx, scalar_head *const from[N_HEAD_KINDS], scalar_head *to[N_HEAD_KINDS]) {
    agon_status s = AGON_OK;
    for (int k = 0; k < N_HEAD_KINDS && !s; k++)
        if (from[k])
            s = scalar_head_clone(ctx, from[k], &to[k]);
    return s;
}

void heads_free(scalar_head *heads[N_HEAD_KINDS]) {
    for (int k = 0; k < N_HEAD_KINDS; k++) {
        scalar_head_free(heads[k]);
        heads[k] = NULL;
    }
}

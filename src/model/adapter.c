/* LoRA adapters (Hu et al. 2021): y = W x + (alpha/rank) B A x on chosen linear layers.
 *
 * Values are f32 masters in one flat block, layer by layer, A before B; A and B are packed in the model's
 * dtype for the products, so each of the two is rounded like every other product. Saved as a safetensors
 * image whose metadata holds rank, alpha and targets. B starts at zero, so a new adapter changes nothing;
 * A starts with variance 1/n_in, drawn per tensor from (seed, name), so the choice of targets does not
 * move the others' values.
 *
 * With dimensions (adapter_preference.c) the parameters of a layer are A, U and S, and B is made of them. */
#include "base/decimal.h"
#include "base/pool.h"
#include "model/model_private.h"
#include "base/random.h"
#include "model/safetensors.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool adapter_fits(const adapter *a, const model_config *c) {
    const model_config *b = &a->config;
    return b->n_layers == c->n_layers && b->d_model == c->d_model && b->n_heads == c->n_heads &&
           b->n_kv_heads == c->n_kv_heads && b->head_dim == c->head_dim && b->d_ff == c->d_ff;
}

void adapter_free(adapter *a) {
    if (!a)
        return;
    for (size_t i = 0; a->items && i < a->config.n_layers * N_LINEARS; i++) {
        matrix_free(a->items[i].a);
        matrix_free(a->items[i].b);
    }
    free(a->items);
    free(a->values);
    free(a->gradients);
    free(a->installed);
    free(a->d_installed);
    free(a->parameters.items);
    heads_free(a->heads);
    free(a);
}

size_t adapter_rank(const adapter *a) {
    return a->rank;
}

unsigned adapter_targets(const adapter *a) {
    return a->targets;
}

size_t adapter_bytes(const adapter *a) {
    size_t packed = 2 * (a->dtype == COMPUTE_F32 ? sizeof(float) : sizeof(uint16_t));
    return size_add(size_mul(a->n_values, sizeof(float) + packed), size_mul(a->n_installed, sizeof(float)));
}

static void add_parameter(adapter *a, size_t layer, linear_kind kind, char which, size_t n_rows,
                          size_t n_columns, float **value, size_t *at) {
    parameter *p = &a->parameters.items[a->parameters.n++];
    snprintf(p->name, sizeof p->name, "model.layers.%zu.%s.lora_%c.weight", layer, linear_path(kind), which);
    p->n_rows = n_rows;
    p->n_columns = n_columns;
    p->decay = which != 'S'; /* factors are matrices; the singular values are none */
    p->value = *value = a->values + *at;
    *at += n_rows * n_columns;
}

/* Singular values of a layer, and the scale of the vector. */
static size_t n_singular(const adapter *a) {
    return a->rank - a->n_dimensions + 1;
}

static size_t count_values(const adapter *a) {
    size_t n = 0;
    for (int k = 0; k < N_LINEARS; k++)
        if (adapter_adapts(a, k))
            n = size_add(n, size_add(size_mul(a->rank, linear_n_in(&a->config, k) + linear_n_out(&a->config, k)),
                                     a->n_dimensions ? n_singular(a) : 0));
    return size_mul(n, a->config.n_layers);
}

static size_t count_installed(const adapter *a) {
    size_t n = 0;
    for (int k = 0; k < N_LINEARS && a->n_dimensions; k++)
        if (adapter_adapts(a, k))
            n = size_add(n, size_mul(a->rank, linear_n_out(&a->config, k)));
    return size_mul(n, a->config.n_layers);
}

/* The parameters of one layer, in order. */
static void add_layer(adapter *a, size_t layer, linear_kind kind, size_t *at, size_t *at_installed) {
    lora *item = &a->items[layer * N_LINEARS + (size_t)kind];
    size_t n_out = linear_n_out(&a->config, kind);
    add_parameter(a, layer, kind, 'A', a->rank, linear_n_in(&a->config, kind), &item->a_value, at);
    if (!a->n_dimensions) {
        add_parameter(a, layer, kind, 'B', n_out, a->rank, &item->b_value, at);
        return;
    }
    add_parameter(a, layer, kind, 'U', n_out, a->rank, &item->u_value, at);
    add_parameter(a, layer, kind, 'S', 1, n_singular(a), &item->singular_value, at);
    item->b_value = a->installed + *at_installed;
    *at_installed += n_out * a->rank;
}

/* Memory, names and empty (zero) values for the targets set in `shape`. */
agon_status adapter_make(agon_ctx *ctx, const adapter *shape, adapter **out) {
    adapter *a = calloc(1, sizeof *a);
    if (!a)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory making an adapter");
    *a = (adapter){.config = shape->config, .dtype = shape->dtype, .rank = shape->rank, .alpha = shape->alpha,
                   .targets = shape->targets, .n_dimensions = shape->n_dimensions};
    memcpy(a->dimensions, shape->dimensions, sizeof a->dimensions);
    memcpy(a->preference, shape->preference, sizeof a->preference);
    size_t n_items = a->config.n_layers * N_LINEARS, at = 0, at_installed = 0;
    a->n_values = count_values(a);
    a->n_installed = count_installed(a);
    a->installed = memory_new(a->n_installed, sizeof(float));
    a->items = calloc(n_items, sizeof *a->items);
    a->values = memory_new(a->n_values, sizeof(float));
    a->parameters.items = calloc(3 * n_items + N_HEAD_TENSORS, sizeof *a->parameters.items);
    if (!a->items || !a->values || !a->installed || !a->parameters.items) {
        adapter_free(a);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory: an adapter of rank %zu has %zu values", shape->rank,
                        count_values(shape));
    }
    for (size_t l = 0; l < a->config.n_layers; l++)
        for (int k = 0; k < N_LINEARS; k++)
            if (adapter_adapts(a, k))
                add_layer(a, l, k, &at, &at_installed);
    assert(at == a->n_values);
    *out = a;
    return AGON_OK;
}

/* Packs A and B of every target for the first time; frees the adapter on failure. */
agon_status adapter_pack_take(agon_ctx *ctx, adapter *a, adapter **out) {
    agon_status status = AGON_OK;
    adapter_install(a);
    for (size_t i = 0; i < a->config.n_layers * N_LINEARS && !status; i++) {
        lora *item = &a->items[i];
        linear_kind kind = (linear_kind)(i % N_LINEARS);
        if (!item->a_value)
            continue;
        status = matrix_new(ctx, a->dtype, a->rank, linear_n_in(&a->config, kind), item->a_value, &item->a);
        if (!status)
            status = matrix_new(ctx, a->dtype, linear_n_out(&a->config, kind), a->rank, item->b_value, &item->b);
    }
    if (status)
        adapter_free(a);
    else
        *out = a;
    return status;
}

static agon_status set_shape(agon_ctx *ctx, const model *m, size_t rank, double alpha, adapter *shape) {
    *shape = (adapter){.config = m->config, .dtype = m->dtype, .rank = rank, .alpha = (float)alpha};
    if (rank < 1 || rank > 4096)
        return ctx_fail(ctx, AGON_EINVAL, "adapter: rank %zu is not in 1 to 4096", rank);
    if (!(shape->alpha > 0 && alpha <= 1e6)) /* as it is kept: 1e-99 is 0 there */
        return ctx_fail(ctx, AGON_EINVAL, "adapter: alpha %g must be above 0 (usually rank or twice rank)", alpha);
    return AGON_OK;
}

/* Irwin-Hall: twelve uniforms less six, variance 1, close to normal and exact in double: no library
 * logarithm whose last bit could differ between machines. */
void draw_normal(float *values, size_t n, double deviation, uint64_t seed) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < n; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++)
            sum += rng_uniform(&r);
        values[i] = (float)(sum * deviation);
    }
}

/* Names and the even vector into the shape; its rank grows by the slots, and alpha with it, so that alpha / rank stays. */
static agon_status set_dimensions(agon_ctx *ctx, const char *const *names, size_t n, adapter *shape) {
    agon_status status = n ? dimensions_check(ctx, names, n) : AGON_OK;
    if (status || !n)
        return status;
    shape->alpha *= (float)(shape->rank + n) / (float)shape->rank;
    shape->rank += n;
    shape->n_dimensions = n;
    for (size_t i = 0; i < n; i++) {
        snprintf(shape->dimensions[i], sizeof shape->dimensions[i], "%s", names[i]);
        shape->preference[i] = 1 / (double)n;
    }
    return AGON_OK;
}

/* A random, B zero; with dimensions U zero, and the diagonal 1 at the even vector. */
static void draw_values(adapter *a, uint64_t seed) {
    for (size_t i = 0; i < a->parameters.n; i++) {
        const parameter *p = &a->parameters.items[i];
        if (strstr(p->name, ".lora_A."))
            draw_normal(p->value, p->n_rows * p->n_columns, 1 / sqrt((double)p->n_columns), seed_derive(seed, p->name));
    }
    for (size_t i = 0; i < a->config.n_layers * N_LINEARS; i++)
        for (size_t j = 0; a->items[i].singular_value && j < n_singular(a); j++)
            a->items[i].singular_value[j] = j + 1 < n_singular(a) ? 1 : (float)a->n_dimensions;
}

agon_status adapter_new(agon_ctx *ctx, const model *m, const adapter_options *options, adapter **out) {
    adapter shape, *a = NULL;
    agon_status status = set_shape(ctx, m, options->rank, (double)options->alpha, &shape);
    if (!status)
        status = set_dimensions(ctx, options->dimensions, options->n_dimensions, &shape);
    if (status)
        return status;
    shape.targets = lora_targets_all(options->targets);
    if ((status = adapter_make(ctx, &shape, &a)))
        return status;
    draw_values(a, options->seed);
    return adapter_pack_take(ctx, a, out);
}

agon_status adapter_clone(agon_ctx *ctx, const adapter *a, adapter **out) {
    adapter *copy = NULL;
    agon_status status = adapter_make(ctx, a, &copy);
    if (status)
        return status;
    memcpy(copy->values, a->values, a->n_values * sizeof *a->values);
    if ((status = heads_clone(ctx, a->heads, copy->heads))) {
        adapter_free(copy);
        return status;
    }
    heads_add_parameters(copy->heads, &copy->parameters);
    return adapter_pack_take(ctx, copy, out);
}

/* Parameters in the flat array; those of heads are listed behind them. */
static size_t n_factors(const adapter *a) {
    return a->parameters.n - heads_n_parameters(a->heads);
}

agon_status adapter_add_head(agon_ctx *ctx, adapter *a, head_kind kind, double deviation, uint64_t seed) {
    if (a->heads[kind])
        return AGON_OK;
    size_t n = n_factors(a);
    agon_status status = scalar_head_new(ctx, kind, a->config.d_model, deviation, seed, &a->heads[kind]);
    if (status)
        return status;
    a->parameters.n = n;
    heads_add_parameters(a->heads, &a->parameters);
    return AGON_OK;
}

scalar_head *adapter_head(const adapter *a, head_kind kind) {
    return a->heads[kind];
}

/* Where each layer's gradients lie, once there is room for them. */
static void set_gradients(adapter *a) {
    for (size_t i = 0; i < n_factors(a); i++)
        a->parameters.items[i].gradient = a->gradients + (a->parameters.items[i].value - a->values);
    for (size_t i = 0; i < a->config.n_layers * N_LINEARS; i++) {
        lora *item = &a->items[i];
        if (!item->a_value)
            continue;
        item->a_gradient = a->gradients + (item->a_value - a->values);
        if (!item->u_value) {
            item->b_gradient = a->gradients + (item->b_value - a->values);
            continue;
        }
        item->b_gradient = a->d_installed + (item->b_value - a->installed);
        item->u_gradient = a->gradients + (item->u_value - a->values);
        item->singular_gradient = a->gradients + (item->singular_value - a->values);
    }
}

agon_status adapter_parameters(agon_ctx *ctx, adapter *a, parameters *out) {
    if (!a->gradients) {
        float *gradients = memory_new(a->n_values, sizeof(float)), *d_installed = memory_new(a->n_installed, sizeof(float));
        if (!gradients || !d_installed) {
            free(gradients);
            free(d_installed);
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory for the gradients of an adapter of %zu values",
                            a->n_values);
        }
        a->gradients = gradients;
        a->d_installed = d_installed;
        set_gradients(a);
    }
    *out = a->parameters;
    return AGON_OK;
}

void adapter_changed(agon_ctx *ctx, adapter *a) {
    const unsigned mode = fp_mode_set();
    adapter_install(a);
    fp_mode_restore(mode);
    for (size_t i = 0; i < a->config.n_layers * N_LINEARS; i++)
        if (a->items[i].a) {
            matrix_set(ctx, a->items[i].a, a->items[i].a_value);
            matrix_set(ctx, a->items[i].b, a->items[i].b_value);
        }
}

hash256 adapter_hash(const adapter *a) {
    hasher *h = hasher_new();
    char text[96];
    if (!h)
        return (hash256){{0}};
    decimal_print(text, sizeof text, "%zu,%.9g", a->rank, (double)a->alpha);
    hasher_add_field(h, text);
    if (a->n_dimensions)
        hasher_add(h, a->preference, a->n_dimensions * sizeof *a->preference);
    for (size_t i = 0; i < a->parameters.n; i++) {
        const parameter *p = &a->parameters.items[i];
        snprintf(text, sizeof text, "%zu,%zu", p->n_rows, p->n_columns);
        hasher_add_field(h, p->name);
        hasher_add_field(h, text);
        hasher_add(h, p->value, p->n_rows * p->n_columns * sizeof *p->value);
    }
    return hasher_end(h);
}

/* ---- saved form ------------------------------------------------------------------------------------------ */

/* scale: of its reward head, NULL where none is known. */
static json_t *metadata_new(const adapter *a, const char *scale) {
    char rank[32], alpha[32], targets[LORA_TARGETS_SIZE];
    snprintf(rank, sizeof rank, "%zu", a->rank);
    decimal_print(alpha, sizeof alpha, "%.9g", (double)a->alpha);
    lora_targets_print(a->targets, targets);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "format", "agon-lora", "rank", rank, "alpha", alpha, "targets",
                          targets);
    if (o && scale)
        json_object_set_new(o, "reward_scale", json_string(scale));
    if (!o || !a->n_dimensions)
        return o;
    char names[MAX_DIMENSIONS * (MAX_DIMENSION_NAME + 1)] = "";
    for (size_t i = 0; i < a->n_dimensions; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", n ? "," : "", a->dimensions[i]);
    }
    json_object_set_new(o, "dimensions", json_string(names));
    return o;
}

/* *out new, NULL where there is no reward head or its scale is not known. */
static agon_status scale_text(agon_ctx *ctx, const adapter *a, char **out) {
    const scalar_head *head = a->heads[HEAD_REWARD];
    return head && head->scale.std > 0 ? reward_scale_text(ctx, &head->scale, out) : AGON_OK;
}

agon_status adapter_save(agon_ctx *ctx, const adapter *a, char **data, size_t *n) {
    buffer b;
    char *scale = NULL;
    buffer_init(&b, (size_t)1 << 34);
    agon_status status = scale_text(ctx, a, &scale);
    json_t *metadata = metadata_new(a, scale);
    safetensors_item *items = calloc(a->parameters.n, sizeof *items);
    free(scale);
    if (!status && (!metadata || !items))
        status = ctx_fail(ctx, AGON_ENOMEM, "out of memory saving an adapter");
    for (size_t i = 0; !status && i < a->parameters.n; i++) {
        const parameter *p = &a->parameters.items[i];
        items[i] = (safetensors_item){.name = p->name, .dtype = "F32", .n_rows = p->n_rows, .n_columns = p->n_columns,
                                      .vector = strcmp(p->name, "v_head.summary.bias") == 0};
    }
    if (!status)
        status = safetensors_header(ctx, items, a->parameters.n, metadata, &b);
    /* Values are stored little-endian; every machine agon runs on is. */
    for (size_t i = 0; !status && i < a->parameters.n; i++) {
        const parameter *p = &a->parameters.items[i];
        if (!buffer_append(&b, p->value, p->n_rows * p->n_columns * sizeof *p->value))
            status = ctx_fail(ctx, AGON_ENOMEM, "out of memory saving an adapter");
    }
    if (!status) {
        *n = b.size;
        *data = buffer_take(&b);
    }
    buffer_free(&b);
    free(items);
    json_decref(metadata);
    return status;
}

static agon_status read_values(agon_ctx *ctx, const weights *w, adapter *a) {
    agon_status status = AGON_OK;
    for (size_t i = 0; i < a->parameters.n && !status; i++) {
        const parameter *p = &a->parameters.items[i];
        status = weights_read(ctx, w, p->name, p->n_rows * p->n_columns, p->value);
    }
    return status;
}

/* "helpful,harmless" of the metadata; the rank in the file has the slots in it already. */
static agon_status parse_dimensions(agon_ctx *ctx, const char *where, const char *text, adapter *shape) {
    char names[MAX_DIMENSIONS][MAX_DIMENSION_NAME + 2];
    const char *list[MAX_DIMENSIONS];
    size_t n = 0, rank = shape->rank;
    float alpha = shape->alpha;
    for (; *text && n < MAX_DIMENSIONS; n++) {
        size_t size = strcspn(text, ",");
        snprintf(names[n], sizeof names[n], "%.*s", size < sizeof names[n] ? (int)size : (int)sizeof names[n] - 1, text);
        list[n] = names[n];
        text += size + (text[size] == ',');
    }
    if (*text || n >= rank)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: its dimensions are too many for a rank of %zu", where, rank);
    agon_status status = set_dimensions(ctx, list, n, shape);
    shape->rank = rank;
    shape->alpha = alpha;
    return status ? ctx_prefix(ctx, AGON_EFORMAT, "%s", where) : AGON_OK;
}

static agon_status parse_metadata(agon_ctx *ctx, const model *m, const char *where, const weights *w,
                                  adapter *shape) {
    const char *rank = weights_meta_text(w, "rank"), *alpha = weights_meta_text(w, "alpha");
    const char *targets = weights_meta_text(w, "targets"), *format = weights_meta_text(w, "format");
    if (!rank || !alpha || !targets || !format || strcmp(format, "agon-lora") != 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: not an adapter that agon saved (rank, alpha or targets missing)",
                        where);
    char *rank_end, *alpha_end;
    const size_t rank_read = strtoul(rank, &rank_end, 10);
    const double alpha_read = decimal_read(alpha, &alpha_end);
    if (rank_end == rank || *rank_end || alpha_end == alpha || *alpha_end)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: its rank '%.20s' or alpha '%.20s' is no number", where, rank, alpha);
    agon_status status = set_shape(ctx, m, rank_read, alpha_read, shape);
    if (status)
        return ctx_prefix(ctx, AGON_EFORMAT, "%s", where);
    const char *dimensions = weights_meta_text(w, "dimensions");
    if (dimensions && (status = parse_dimensions(ctx, where, dimensions, shape)))
        return status;
    char name[32];
    while (*targets) {
        size_t n = strcspn(targets, ",");
        snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name - 1, targets);
        const unsigned one = lora_target_find(name);
        if (!one)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: unknown adapter target '%s'", where, name);
        shape->targets |= one;
        targets += n + (targets[n] == ',');
    }
    size_t n_targets = 0;
    for (int k = 0; k < N_LINEARS; k++)
        n_targets += adapter_adapts(shape, k);
    unsigned heads = heads_in(w);
    size_t n_heads = (heads & 1u << HEAD_REWARD ? 1 : 0) + (heads & 1u << HEAD_VALUE ? 2 : 0);
    size_t n_layer = shape->n_dimensions ? 3 : 2;
    if (n_targets == 0 || weights_n_tensors(w) != n_layer * n_targets * m->config.n_layers + n_heads)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu tensors do not match its targets and the model's %zu layers",
                        where, weights_n_tensors(w), m->config.n_layers);
    return AGON_OK;
}

/* The rest of loading, the same for both kinds of file: memory, values, packing. */
static agon_status fill(agon_ctx *ctx, const char *where, const weights *w, const adapter *shape,
                        adapter **out) {
    adapter *a = NULL;
    agon_status status = adapter_make(ctx, shape, &a);
    if (status)
        return status;
    if (!(status = read_values(ctx, w, a)))
        status = heads_read(ctx, w, heads_in(w), a->config.d_model, a->heads);
    if (status) {
        adapter_free(a);
        return ctx_prefix(ctx, status, "%s", where);
    }
    heads_add_parameters(a->heads, &a->parameters);
    return adapter_pack_take(ctx, a, out);
}

agon_status adapter_load(agon_ctx *ctx, const model *m, const char *where, const void *data, size_t n,
                         adapter **out) {
    weights *w = NULL;
    adapter shape, *a = NULL;
    agon_status status = safetensors_open_memory(ctx, where, data, n, &w);
    if (!status)
        status = parse_metadata(ctx, m, where, w, &shape);
    if (!status)
        status = fill(ctx, where, w, &shape, &a);
    const char *scale = a && a->heads[HEAD_REWARD] ? weights_meta_text(w, "reward_scale") : NULL;
    if (scale)
        status = reward_scale_parse(ctx, where, scale, &a->heads[HEAD_REWARD]->scale);
    if (status)
        adapter_free(a);
    else
        *out = a;
    weights_free(w);
    return status;
}

/* ---- PEFT folders ------------------------------------------------------------------------------------------ */

static agon_status give_value(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const adapter *a = arg;
    for (size_t i = 0; i < a->parameters.n; i++) {
        const parameter *p = &a->parameters.items[i];
        if (strcmp(p->name, name) == 0 && p->n_rows * p->n_columns == n) {
            memcpy(out, p->value, n * sizeof *out);
            return AGON_OK;
        }
    }
    for (size_t i = 0; a->n_dimensions && i < a->config.n_layers * N_LINEARS; i++) { /* B of the vector that stands */
        char own[128];
        linear_kind kind = (linear_kind)(i % N_LINEARS);
        snprintf(own, sizeof own, "model.layers.%zu.%s.lora_B.weight", i / N_LINEARS, linear_path(kind));
        if (a->items[i].b_value && strcmp(own, name) == 0 && a->rank * linear_n_out(&a->config, kind) == n) {
            memcpy(out, a->items[i].b_value, n * sizeof *out);
            return AGON_OK;
        }
    }
    return ctx_fail(ctx, AGON_ENOTFOUND, "the adapter has no tensor %s of %zu values", name, n);
}

agon_status adapter_export_peft(agon_ctx *ctx, const adapter *a, const char *base_name, const char *folder) {
    peft_info info = {.rank = a->rank, .alpha = a->alpha, .heads = heads_mask(a->heads)};
    char *scale = NULL;
    agon_status status = scale_text(ctx, a, &scale);
    if (status)
        return status;
    info.reward_scale = scale;
    snprintf(info.base_name, sizeof info.base_name, "%s", base_name ? base_name : "");
    for (int k = 0; k < N_LINEARS; k++)
        if (adapter_adapts(a, k))
            snprintf(info.targets[info.n_targets++], sizeof info.targets[0], "%s", linear_target(k));
    status = export_peft(ctx, folder, &a->config, &info, give_value, (void *)a);
    free(scale);
    return status;
}

/* An adapter of a deeper model fits as far as this one goes: what is left over says that it is another's. */
static agon_status check_all_used(agon_ctx *ctx, const char *folder, const weights *w, const adapter *a) {
    for (size_t i = 0; i < weights_n_tensors(w) && weights_n_tensors(w) > a->parameters.n; i++) {
        const char *name = weights_tensor(w, i).name;
        bool used = false;
        for (size_t k = 0; k < a->parameters.n && !used; k++)
            used = strcmp(a->parameters.items[k].name, name) == 0;
        if (!used)
            return ctx_fail(ctx, AGON_EFORMAT, "%s: tensor '%s' has no place in this model of %zu layers; give the model that "
                            "the adapter was trained on", folder, name, a->config.n_layers);
    }
    return AGON_OK;
}

/* An adapter of a wider or narrower model, by its first layer; what else does not fit fails where it is read. */
static agon_status check_widths(agon_ctx *ctx, const char *folder, const peft_info *info, const weights *w, const adapter *shape) {
    for (size_t i = 0; i < weights_n_tensors(w); i++) {
        const tensor_info t = weights_tensor(w, i);
        for (int k = 0; k < 2 * N_LINEARS; k++) {
            const linear_kind kind = (linear_kind)(k / 2);
            const bool b = k % 2;
            char name[128];
            snprintf(name, sizeof name, "model.layers.0.%s.lora_%c.weight", linear_path(kind), b ? 'B' : 'A');
            const size_t wanted = b ? linear_n_out(&shape->config, kind) : linear_n_in(&shape->config, kind);
            if (adapter_adapts(shape, kind) && strcmp(t.name, name) == 0 && (b ? t.n_rows : t.n_columns) != wanted)
                return ctx_fail(ctx, AGON_EFORMAT, "%s: made for another model than this%s%.200s%s: '%s' is %zu x %zu, and this one takes %zu %s; give "
                                "the model that the adapter was trained on", folder, *info->base_name ? " (its base is " : "", info->base_name,
                                *info->base_name ? ")" : "", name, t.n_rows, t.n_columns, wanted, b ? "rows" : "columns");
        }
    }
    return AGON_OK;
}

agon_status adapter_import_peft(agon_ctx *ctx, const model *m, const char *folder, adapter **out) {
    peft_info info;
    weights *w = NULL;
    adapter shape, *a = NULL;
    agon_status status = peft_open(ctx, folder, &info, &w);
    if (!status)
        status = set_shape(ctx, m, info.rank, info.alpha, &shape);
    for (size_t i = 0; !status && i < info.n_targets; i++) {
        const unsigned one = lora_target_find(info.targets[i]);
        if (!one)
            status = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s: an adapter on '%s' is not supported", folder, info.targets[i]);
        shape.targets |= one;
    }
    if (!status && count_values(&shape) == 0)
        status = ctx_fail(ctx, AGON_EFORMAT, "%s: the adapter has no target layers", folder);
    if (!status)
        status = check_widths(ctx, folder, &info, w, &shape);
    if (!status)
        status = fill(ctx, folder, w, &shape, &a);
    if (!status)
        status = check_all_used(ctx, folder, w, a);
    if (!status && a->heads[HEAD_REWARD])
        status = reward_scale_read(ctx, folder, &a->heads[HEAD_REWARD]->scale);
    if (status)
        adapter_free(a);
    else
        *out = a;
    weights_free(w);
    return status;
}

/* Adapters for several dimensions: the preference vector in the singular values (panacea.h), their file, and soups.
 *
 * A folder holds panacea.safetensors, the whole adapter (A, U, S of each layer and the dimensions' names), and beside it the PEFT
 * files of the vector it stood at, for programs that know only those: a fixed vector only scales B's columns. */
#include "base/buffer.h"
#include "base/file.h"
#include "model/model_private.h"
#include "model/panacea.h"
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "panacea.safetensors"

size_t adapter_n_dimensions(const adapter *a) {
    return a->n_dimensions;
}

const char *adapter_dimension(const adapter *a, size_t i) {
    return i < a->n_dimensions ? a->dimensions[i] : NULL;
}

/* ---- checks ------------------------------------------------------------------------------------------------ */

static bool is_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t n = strlen(name);
    return n >= 1 && n <= MAX_DIMENSION_NAME && strspn(name, letters) == n;
}

agon_status names_check(agon_ctx *ctx, const char *what, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_name(names[i]))
            return ctx_fail(ctx, AGON_EINVAL, "%s: '%.60s' is no name; use 1 to %d letters, digits, _ and -", what, names[i],
                            MAX_DIMENSION_NAME);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return ctx_fail(ctx, AGON_EINVAL, "%s: '%s' stands there twice", what, names[i]);
    }
    return AGON_OK;
}

agon_status dimensions_check(agon_ctx *ctx, const char *const *names, size_t n) {
    if (n < 2 || n > MAX_DIMENSIONS)
        return ctx_fail(ctx, AGON_EINVAL, "dimensions: there are %zu; 2 to %d can be weighed against one another", n,
                        MAX_DIMENSIONS);
    return names_check(ctx, "dimensions", names, n);
}

agon_status preference_check(agon_ctx *ctx, const char *what, const double *preference, size_t n, size_t n_wanted) {
    double sum = 0;
    if (n != n_wanted)
        return ctx_fail(ctx, AGON_EINVAL, "%s has %zu numbers; there must be %zu, one for each", what, n, n_wanted);
    for (size_t i = 0; i < n; i++) {
        if (!(preference[i] >= 0) || !isfinite(preference[i]))
            return ctx_fail(ctx, AGON_EINVAL, "%s: number %zu is %g; each is 0 or more", what, i + 1, preference[i]);
        sum += preference[i];
    }
    if (!(fabs(sum - 1) <= 1e-3))
        return ctx_fail(ctx, AGON_EINVAL, "%s sums to %g; it must sum to 1", what, sum);
    return AGON_OK;
}

/* ---- the vector ---------------------------------------------------------------------------------------------- */

static panacea_shape shape_of(const adapter *a, size_t item) {
    return (panacea_shape){linear_n_out(&a->config, (linear_kind)(item % N_LINEARS)), a->rank - a->n_dimensions, a->n_dimensions};
}

void adapter_install(adapter *a) {
    for (size_t i = 0; a->n_dimensions && i < a->config.n_layers * N_LINEARS; i++) {
        const lora *item = &a->items[i];
        panacea_shape s = shape_of(a, i);
        if (item->u_value)
            panacea_install(&s, item->u_value, item->singular_value, a->preference, item->b_value);
    }
}

agon_status adapter_set_preference(agon_ctx *ctx, adapter *a, const double *preference, size_t n) {
    double sum = 0;
    if (!a->n_dimensions)
        return ctx_fail(ctx, AGON_EINVAL, "this adapter takes no preference vector; agon train --dimensions makes one that does");
    if (n != a->n_dimensions) {
        char names[MAX_DIMENSIONS * (MAX_DIMENSION_NAME + 2)] = "";
        for (size_t i = 0, at = 0; i < a->n_dimensions; i++)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", a->dimensions[i]);
        return ctx_fail(ctx, AGON_EINVAL, "the preference vector has %zu numbers; the adapter's dimensions are %zu: %s", n,
                        a->n_dimensions, names);
    }
    agon_status s = preference_check(ctx, "the preference vector", preference, n, n);
    if (s)
        return s;
    for (size_t i = 0; i < n; i++)
        sum += preference[i];
    for (size_t i = 0; i < n; i++)
        a->preference[i] = preference[i] / sum;
    adapter_changed(ctx, a);
    return AGON_OK;
}

void adapter_collect_gradient(adapter *a) {
    if (!a->n_dimensions || !a->gradients)
        return;
    for (size_t i = 0; i < a->config.n_layers * N_LINEARS; i++) {
        const lora *item = &a->items[i];
        panacea_shape s = shape_of(a, i);
        if (item->u_value)
            panacea_gradient(&s, item->u_value, item->singular_value, a->preference, item->b_gradient, item->u_gradient,
                             item->singular_gradient);
    }
    memset(a->d_installed, 0, a->n_installed * sizeof *a->d_installed);
}

/* ---- folders ------------------------------------------------------------------------------------------------- */

static agon_status path_of(agon_ctx *ctx, const char *folder, buffer *out) {
    buffer_printf(out, "%s/%s", folder, FILE_NAME);
    return out->failed ? ctx_no_memory(ctx) : AGON_OK;
}

agon_status adapter_export_dimensions(agon_ctx *ctx, const adapter *a, const char *base_name, const char *folder) {
    buffer path = {0};
    char *data = NULL;
    size_t n = 0;
    agon_status s = path_of(ctx, folder, &path);
    if (!s)
        s = folder_make(ctx, folder);
    if (!s)
        s = adapter_save(ctx, a, &data, &n);
    if (!s)
        s = file_write(ctx, path.data, data, n);
    if (!s)
        s = adapter_export_peft(ctx, a, base_name, folder);
    free(data);
    buffer_free(&path);
    return s;
}

agon_status adapter_open(agon_ctx *ctx, const model *m, const char *folder, adapter **out) {
    buffer path = {0};
    file_map file = {0};
    agon_status s = path_of(ctx, folder, &path);
    if (!s && !file_exists(path.data))
        s = adapter_import_peft(ctx, m, folder, out);
    else if (!s && !(s = file_map_open(ctx, path.data, &file)))
        s = adapter_load(ctx, m, path.data, file.data, file.size, out);
    if (file.data)
        file_unmap(&file);
    buffer_free(&path);
    return s;
}

/* ---- soups --------------------------------------------------------------------------------------------------- */

static agon_status check_members(agon_ctx *ctx, const model *m, const adapter *const *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const adapter *a = members[i];
        if (!adapter_fits(a, &m->config))
            return ctx_fail(ctx, AGON_EINVAL, "soup: adapter %zu was made for another model's sizes", i + 1);
        if (heads_mask(a->heads))
            return ctx_fail(ctx, AGON_EINVAL, "soup: adapter %zu has a head, and heads are not mixed", i + 1);
        if (a->targets != members[0]->targets)
            return ctx_fail(ctx, AGON_EINVAL, "soup: adapter %zu adapts other layers than the first", i + 1);
    }
    return AGON_OK;
}

/* Columns [at, at + r) of the soup's B and the same rows of its A. alpha is the rank, so the member's own scale goes into B. */
static void add_member(adapter *soup, const adapter *member, double weight, size_t at) {
    double scale = weight * (double)adapter_scale(member);
    for (size_t i = 0; i < soup->config.n_layers * N_LINEARS; i++) {
        const lora *to = &soup->items[i], *from = &member->items[i];
        if (!to->a_value)
            continue;
        size_t n_in = linear_n_in(&soup->config, (linear_kind)(i % N_LINEARS));
        size_t n_out = linear_n_out(&soup->config, (linear_kind)(i % N_LINEARS));
        memcpy(to->a_value + at * n_in, from->a_value, member->rank * n_in * sizeof(float));
        for (size_t o = 0; o < n_out; o++)
            for (size_t r = 0; r < member->rank; r++)
                to->b_value[o * soup->rank + at + r] = (float)(scale * (double)from->b_value[o * member->rank + r]);
    }
}

agon_status adapter_soup(agon_ctx *ctx, const model *m, const adapter *const *members, const double *weights, size_t n,
                         adapter **out) {
    adapter shape = {.config = m->config, .dtype = m->dtype}, *soup = NULL;
    double sum = 0;
    if (n < 2)
        return ctx_fail(ctx, AGON_EINVAL, "soup: give two adapters or more");
    agon_status s = preference_check(ctx, "the soup's list of weights", weights, n, n);
    if (!s)
        s = check_members(ctx, m, members, n);
    for (size_t i = 0; i < n; i++)
        shape.rank += members[i]->rank;
    if (!s && shape.rank > 4096)
        s = ctx_fail(ctx, AGON_EINVAL, "soup: the ranks sum to %zu; 4096 is the most", shape.rank);
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    shape.alpha = (float)shape.rank;
    shape.targets = members[0]->targets;
    if (!s)
        s = adapter_make(ctx, &shape, &soup);
    if (s)
        return s;
    for (size_t i = 0, at = 0; i < n; at += members[i++]->rank)
        add_member(soup, members[i], weights[i] / sum, at);
    return adapter_pack_take(ctx, soup, out);
}

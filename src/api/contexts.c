/* agon.h, preference vectors of contexts: fitted to pairs into a file, opened again, asked for a context's vector.
 *
 *   {"format": 1, "dimensions": [names] or null, "base": [m], "prior", "scale": {"mean": [m], "deviation": [m]}, "pairs",
 *    "contexts": {NAME: {"vector": [m], "offset": [m], "pairs", "sources": {NAME: n}, "log_likelihood", "base_log_likelihood",
 *                        "held_out": {"pairs", "right", "base_right"} or null}}}
 *
 * The vector stands there for people; what is read is base and offset. */
#include "api/models.h"
#include "api/options.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/context_vectors.h"
#include "train/row_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 200 };
static const char UNKNOWN_SOURCE[] = "unknown";

agon_contexts_options agon_contexts_options_default(void) {
    return (agon_contexts_options){.struct_size = sizeof(agon_contexts_options), .prior = 0.5};
}

/* ---- reading pairs --------------------------------------------------------------------------------------- */

typedef struct pairs {
    agon_ctx *ctx;
    size_t m;       /* 0: the first row says how many */
    json_t *names;  /* of the dimensions; NULL: they have none */
    json_t *groups; /* name of a context: {"pairs": [places], "sources": {name: n}} in the order of their first rows */
    double *rewards; /* [n, 2, m] of the chosen, of the rejected */
    size_t n, capacity;
} pairs;

static agon_status take_names(pairs *x, const char *where, const json_t *rewards) {
    const char *names[MAX_DIMENSIONS + 1] = {NULL}, *name;
    json_t *value;
    size_t n = 0;
    if (x->m == 0 && json_is_object(rewards)) {
        x->names = json_array();
        json_object_foreach((json_t *)rewards, name, value) json_array_append_new(x->names, json_string(name));
    }
    x->m = x->m ? x->m : json_is_object(rewards) ? json_object_size(rewards) : json_array_size(rewards);
    if (x->m < 2 || x->m > MAX_DIMENSIONS)
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: rewards of %zu dimensions; there are 2 to %d", where, x->m, (int)MAX_DIMENSIONS);
    for (; n < json_array_size(x->names); n++)
        names[n] = json_string_value(json_array_get(x->names, n));
    return n ? dimensions_check(x->ctx, names, n) : AGON_OK;
}

/* Rewards of one side: a list in the order of the dimensions, or an object by their names. */
static agon_status read_rewards(pairs *x, const char *where, const json_t *row, const char *key, double *out) {
    const json_t *rewards = json_object_get(row, key);
    size_t n = json_is_object(rewards) ? json_object_size(rewards) : json_array_size(rewards);
    if (!json_is_object(rewards) && !json_is_array(rewards))
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: %s must be a number for each dimension, [1.2, 0.1] or {\"helpful\": 1.2, ...}", where, key);
    if (json_is_object(rewards) && !x->names)
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: %s names its dimensions, and the rows before do not", where, key);
    if (n != x->m)
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: %s has %zu numbers; there are %zu dimensions", where, key, n, x->m);
    for (size_t j = 0; j < x->m; j++) {
        const char *name = json_string_value(json_array_get(x->names, j));
        const json_t *value = json_is_object(rewards) ? json_object_get(rewards, name) : json_array_get(rewards, j);
        if (!json_is_number(value) || !isfinite(json_number_value(value)))
            return ctx_fail(x->ctx, AGON_EINVAL, "%s: %s has no finite number for dimension %zu%s%s", where, key, j + 1, name ? ", " : "",
                            name ? name : "");
        out[j] = json_number_value(value);
    }
    return AGON_OK;
}

static agon_status read_name(pairs *x, const char *where, const json_t *row, const char *key, const char *instead, const char **out) {
    const json_t *value = json_object_get(row, key);
    size_t n = json_string_length(value);
    *out = instead;
    if (!value && instead)
        return AGON_OK;
    if (!json_is_string(value) || n == 0 || n > MOST_NAME)
        return ctx_fail(x->ctx, AGON_EINVAL, "%s: \"%s\" must be a text of 1 to %d bytes", where, key, (int)MOST_NAME);
    *out = json_string_value(value);
    return AGON_OK;
}

static agon_status count_pair(pairs *x, const char *context, const char *source) {
    json_t *group = json_object_get(x->groups, context);
    if (!group) {
        group = json_pack("{s:[],s:{}}", "pairs", "sources");
        if (!group || json_object_set_new(x->groups, context, group) != 0)
            return ctx_no_memory(x->ctx);
    }
    json_t *sources = json_object_get(group, "sources");
    json_int_t before = json_integer_value(json_object_get(sources, source));
    if (json_array_append_new(json_object_get(group, "pairs"), json_integer((json_int_t)x->n)) != 0 ||
        json_object_set_new(sources, source, json_integer(before + 1)) != 0)
        return ctx_no_memory(x->ctx);
    return AGON_OK;
}

static agon_status keep_rewards(pairs *x, const double *chosen, const double *rejected) {
    if (!memory_grow((void **)&x->rewards, &x->capacity, x->n, size_mul(2 * x->m, sizeof *x->rewards)))
        return ctx_no_memory(x->ctx);
    memcpy(x->rewards + x->n * 2 * x->m, chosen, x->m * sizeof *chosen);
    memcpy(x->rewards + (x->n * 2 + 1) * x->m, rejected, x->m * sizeof *rejected);
    return AGON_OK;
}

static agon_status add_pair(void *arg, const char *where, json_t *row) {
    pairs *x = arg;
    const json_t *first = json_object_get(row, "chosen_rewards");
    const char *context, *source;
    double chosen[MAX_DIMENSIONS], rejected[MAX_DIMENSIONS];
    agon_status s = read_name(x, where, row, "context", NULL, &context);
    if (!s)
        s = read_name(x, where, row, "source", UNKNOWN_SOURCE, &source);
    if (!s && x->n == 0 && (json_is_array(first) || json_is_object(first)))
        s = take_names(x, where, first);
    if (!s)
        s = read_rewards(x, where, row, "chosen_rewards", chosen);
    if (!s)
        s = read_rewards(x, where, row, "rejected_rewards", rejected);
    if (!s && memcmp(chosen, rejected, x->m * sizeof *chosen) == 0)
        s = ctx_fail(x->ctx, AGON_EINVAL, "%s: both sides have the same rewards, so the pair says nothing about a preference", where);
    if (!s)
        s = keep_rewards(x, chosen, rejected);
    if (!s)
        s = count_pair(x, context, source);
    x->n += !s;
    return s;
}

/* ---- fitting ---------------------------------------------------------------------------------------------- */

static json_t *numbers_json(const double *x, size_t m) {
    json_t *list = json_array();
    for (size_t j = 0; j < m; j++)
        json_array_append_new(list, json_real(x[j]));
    return list;
}

static agon_status fit_group(const pairs *x, const json_t *group, const double *base, const double *deviation, double prior, json_t **out) {
    const json_t *places = json_object_get(group, "pairs");
    size_t n = json_array_size(places), m = x->m;
    double *differences = memory_new(size_mul(n, m), sizeof *differences), offset[MAX_DIMENSIONS], vector[MAX_DIMENSIONS];
    context_fit f;
    if (!differences)
        return ctx_no_memory(x->ctx);
    for (size_t i = 0; i < n; i++) {
        const double *chosen = x->rewards + (size_t)json_integer_value(json_array_get(places, i)) * 2 * m;
        for (size_t j = 0; j < m; j++) /* the mean falls out of a difference */
            differences[i * m + j] = (chosen[j] - chosen[m + j]) / deviation[j];
    }
    agon_status s = context_fit_pairs(x->ctx, base, differences, n, m, prior, offset, &f);
    if (!s)
        s = context_vector(x->ctx, base, offset, m, vector);
    free(differences);
    if (s)
        return s;
    json_t *held_out = f.n_held_out ? json_pack("{s:I,s:f,s:f}", "pairs", (json_int_t)f.n_held_out, "right", f.right, "base_right", f.base_right)
                                    : json_null();
    *out = json_pack("{s:o,s:o,s:I,s:O,s:f,s:f,s:o}", "vector", numbers_json(vector, m), "offset", numbers_json(offset, m), "pairs",
                     (json_int_t)n, "sources", json_object_get(group, "sources"), "log_likelihood", f.log_likelihood,
                     "base_log_likelihood", f.base_log_likelihood, "held_out", held_out);
    return *out ? AGON_OK : ctx_no_memory(x->ctx);
}

static agon_status fit_all(const pairs *x, const double *base, double prior, json_t **out) {
    double mean[MAX_DIMENSIONS], deviation[MAX_DIMENSIONS];
    size_t flat = 0;
    const char *name;
    json_t *group, *contexts = json_object();
    agon_status s = context_scale(x->ctx, x->rewards, 2 * x->n, x->m, mean, deviation, &flat);
    json_object_foreach(x->groups, name, group) {
        json_t *fitted = NULL;
        if (!s)
            s = fit_group(x, group, base, deviation, prior, &fitted);
        if (!s && json_object_set_new(contexts, name, fitted) != 0)
            s = ctx_no_memory(x->ctx);
    }
    if (!s)
        *out = json_pack("{s:i,s:o,s:o,s:f,s:{s:o,s:o},s:I,s:O}", "format", 1, "dimensions", x->names ? json_incref(x->names) : json_null(),
                         "base", numbers_json(base, x->m), "prior", prior, "scale", "mean", numbers_json(mean, x->m), "deviation",
                         numbers_json(deviation, x->m), "pairs", (json_int_t)x->n, "contexts", contexts);
    json_decref(contexts);
    return s || *out ? s : ctx_no_memory(x->ctx);
}

static agon_status take_options(agon_ctx *ctx, const agon_contexts_options *given, agon_contexts_options *o, pairs *x) {
    *o = agon_contexts_options_default();
    agon_status s = options_take(ctx, "agon_contexts_options", given, sizeof *o, o);
    if (!s)
        s = options_texts(ctx, "dimensions", o->dimensions, o->n_dimensions);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the base", o->base, o->n_base});
    if (!s && !(o->prior > 0 && isfinite(o->prior)))
        s = ctx_fail(ctx, AGON_EINVAL, "the prior is %g; it is a standard deviation, above 0", o->prior);
    if (!s && o->n_dimensions)
        s = dimensions_check(ctx, o->dimensions, o->n_dimensions);
    for (size_t i = 0; i < o->n_dimensions && !s; i++) {
        x->names = x->names ? x->names : json_array();
        if (json_array_append_new(x->names, json_string(o->dimensions[i])) != 0)
            s = ctx_no_memory(ctx);
    }
    x->m = o->n_dimensions;
    return s;
}

/* The base to fit from: the one given, else all alike. */
static agon_status take_base(const pairs *x, const agon_contexts_options *o, double *base) {
    if (o->n_base) {
        agon_status s = preference_check(x->ctx, "the base", o->base, o->n_base, x->m);
        if (s)
            return s;
    }
    double sum = 0;
    for (size_t j = 0; j < x->m; j++)
        sum += o->n_base ? o->base[j] : 1;
    for (size_t j = 0; j < x->m; j++)
        base[j] = (o->n_base ? o->base[j] : 1) / sum;
    return AGON_OK;
}

agon_status agon_contexts_fit(agon_ctx *ctx, const char *from, const agon_contexts_options *options, const char *to, char **json) {
    FP_ENVIRONMENT();
    agon_contexts_options o;
    pairs x = {.ctx = ctx, .groups = json_object()};
    double base[MAX_DIMENSIONS];
    json_t *made = NULL;
    char *text = NULL, *line = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the file of pairs", from, 1}, {"the file to write", to, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = x.groups ? take_options(ctx, options, &o, &x) : ctx_no_memory(ctx);
    if (!s)
        s = output_is_new(ctx, to);
    if (!s)
        s = jsonl_read(ctx, from, add_pair, &x);
    if (!s && x.n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s has no pairs", from);
    if (!s)
        s = take_base(&x, &o, base);
    if (!s)
        s = fit_all(&x, base, o.prior, &made);
    if (!s) {
        text = json_dumps(made, JSON_INDENT(2));
        line = json_dumps(made, JSON_COMPACT);
        s = text && line ? file_write_new(ctx, to, text, strlen(text)) : ctx_no_memory(ctx);
    }
    if (s)
        free(line);
    else
        *json = line;
    free(text);
    free(x.rewards);
    json_decref(made);
    json_decref(x.names);
    json_decref(x.groups);
    return s;
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

struct agon_contexts {
    json_t *document;
    size_t m;
    double base[MAX_DIMENSIONS];
};

static bool read_numbers(const json_t *list, size_t m, double *out) {
    bool good = json_array_size(list) == m;
    for (size_t j = 0; j < m && good; j++) {
        const json_t *value = json_array_get(list, j);
        good = json_is_number(value) && isfinite(json_number_value(value));
        out[j] = good ? json_number_value(value) : 0;
    }
    return good;
}

static agon_status check_document(agon_ctx *ctx, const char *path, agon_contexts *c) {
    const json_t *base = json_object_get(c->document, "base"), *names = json_object_get(c->document, "dimensions");
    json_t *contexts = json_object_get(c->document, "contexts"), *context;
    double offset[MAX_DIMENSIONS];
    const char *name;
    c->m = json_array_size(base);
    if (json_integer_value(json_object_get(c->document, "format")) != 1 || !json_is_object(contexts) || c->m < 2 || c->m > MAX_DIMENSIONS ||
        !read_numbers(base, c->m, c->base))
        return ctx_fail(ctx, AGON_EFORMAT, "%s is no file of contexts of this version; make one with agon data contexts", path);
    if (names && !json_is_null(names) && json_array_size(names) != c->m)
        return ctx_fail(ctx, AGON_EFORMAT, "%s names %zu dimensions for a base of %zu", path, json_array_size(names), c->m);
    agon_status s = preference_check(ctx, path, c->base, c->m, c->m);
    json_object_foreach(contexts, name, context)
        if (!s && !read_numbers(json_object_get(context, "offset"), c->m, offset))
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: the context '%.80s' has no offset of %zu numbers", path, name, c->m);
    return s == AGON_EINVAL ? AGON_EFORMAT : s;
}

agon_status agon_contexts_open(agon_ctx *ctx, const char *path, agon_contexts **out) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the file of contexts", path, 1}, {"the place for the contexts", out, 1});
    if (s)
        return s;
    agon_contexts *c = calloc(1, sizeof *c);
    if (!c)
        return ctx_no_memory(ctx);
    s = json_read_file(ctx, path, &c->document);
    if (!s)
        s = check_document(ctx, path, c);
    if (s)
        agon_contexts_free(c);
    else
        *out = c;
    return s;
}

void agon_contexts_free(agon_contexts *c) {
    if (!c)
        return;
    json_decref(c->document);
    free(c);
}

size_t agon_contexts_n_dimensions(const agon_contexts *c) {
    FP_ENVIRONMENT();
    return c ? c->m : 0;
}

static const json_t *find_context(const agon_contexts *c, const char *context) {
    return c && context ? json_object_get(json_object_get(c->document, "contexts"), context) : NULL;
}

bool agon_contexts_has(const agon_contexts *c, const char *context) {
    return find_context(c, context) != NULL;
}

/* Vectors mean something only where they are weighed in the same order. */
static agon_status check_adapter(agon_ctx *ctx, const agon_contexts *c, const adapter *a) {
    const json_t *names = json_object_get(c->document, "dimensions");
    if (adapter_n_dimensions(a) != c->m)
        return ctx_fail(ctx, AGON_EINVAL, "the contexts weigh %zu dimensions and the adapter has %zu", c->m, adapter_n_dimensions(a));
    for (size_t j = 0; j < json_array_size(names); j++) {
        const char *name = json_string_value(json_array_get(names, j));
        if (!name || strcmp(name, adapter_dimension(a, j)) != 0)
            return ctx_fail(ctx, AGON_EINVAL, "dimension %zu of the contexts is '%.40s' and the adapter's is '%.40s'; give them in the adapter's "
                            "order (agon data contexts --dimensions)", j + 1, name ? name : "", adapter_dimension(a, j));
    }
    return AGON_OK;
}

agon_status agon_contexts_vector(agon_ctx *ctx, const agon_contexts *c, const agon_adapter *a, const char *context, const double *base,
                                 size_t n_base, double *vector) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the contexts", c, 1}, {"the base", base, n_base}, {"the place for the vector", vector, 1});
    if (s)
        return s;
    const json_t *found = find_context(c, context);
    double offset[MAX_DIMENSIONS] = {0}, from[MAX_DIMENSIONS], out[MAX_DIMENSIONS];
    if (a)
        s = check_adapter(ctx, c, a->a);
    if (!s && n_base)
        s = preference_check(ctx, "the base", base, n_base, c->m);
    if (s)
        return s;
    memcpy(from, n_base ? base : c->base, c->m * sizeof *from);
    if (found)
        read_numbers(json_object_get(found, "offset"), c->m, offset);
    s = context_vector(ctx, from, offset, c->m, out);
    if (!s)
        memcpy(vector, out, c->m * sizeof *out);
    return s;
}

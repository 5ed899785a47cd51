/* The laboratory's ground: options, stages, works. See lab.h. */
#include "experiment/lab.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/decimal.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "base/pool.h"
#include "base/yaml_read.h"
#include "base/numerics.h"
#include "eval/over_seeds.h"
#include "task/task.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DEPTH = 8, ALIASED = 1 << 16, MOST_WIDTH = 1024, MOST_LAYERS = 32 };

/* ---- YAML ------------------------------------------------------------------------------------------------ */

/* A plain scalar that reads as a number, true or false is one; everything else is a text. */
static json_t *scalar_json(const yaml_node_t *node) {
    const char *text = (const char *)node->data.scalar.value;
    char *end = NULL;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || !*text)
        return json_string(text);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(*text == 't');
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (!*end && errno == 0) /* one of more digits than fit is a number, not the largest that fits */
        return json_integer(whole);
    double real = decimal_read(text, &end);
    return !*end && isfinite(real) ? json_real(real) : json_string(text);
}

/* What is still to be made of a document: a node costs one and its text's bytes, each time an alias stands for it. */
typedef struct yaml_source {
    yaml_document_t *document;
    size_t left;
} yaml_source;

static bool spend(yaml_source *d, const yaml_node_t *node) {
    const size_t cost = 1 + (node->type == YAML_SCALAR_NODE ? node->data.scalar.length : 0);
    const bool fits = cost <= d->left;
    d->left = fits ? d->left - cost : 0;
    return fits;
}

static json_t *node_json(yaml_source *d, const yaml_node_t *node, int depth) {
    if (!node || depth > MAX_DEPTH || !spend(d, node))
        return NULL;
    if (node->type == YAML_SCALAR_NODE)
        return scalar_json(node);
    json_t *made = node->type == YAML_SEQUENCE_NODE ? json_array() : json_object();
    bool fine = made != NULL;
    if (node->type == YAML_SEQUENCE_NODE)
        for (const yaml_node_item_t *i = node->data.sequence.items.start; fine && i < node->data.sequence.items.top; i++)
            fine = json_array_append_new(made, node_json(d, yaml_document_get_node(d->document, *i), depth + 1)) == 0;
    else
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; fine && p < node->data.mapping.pairs.top; p++) {
            const yaml_node_t *key = yaml_document_get_node(d->document, p->key);
            fine = key && key->type == YAML_SCALAR_NODE && spend(d, key) &&
                   !json_object_get(made, (const char *)key->data.scalar.value) &&
                   json_object_set_new(made, (const char *)key->data.scalar.value,
                                       node_json(d, yaml_document_get_node(d->document, p->value), depth + 1)) == 0;
        }
    if (fine)
        return made;
    json_decref(made);
    return NULL;
}

agon_status lab_read_yaml(agon_ctx *ctx, const char *path, json_t **out) {
    char *text = NULL;
    size_t n = 0;
    yaml_document_t document;
    agon_status s = file_read(ctx, path, YAML_LIMIT, &text, &n);
    if (!s)
        s = yaml_read(ctx, path, text, n, &document);
    free(text);
    if (s)
        return s;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    yaml_source from = {&document, size_add(size_mul(n, 2), ALIASED)}; /* without aliases a file makes at most twice its bytes */
    *out = root && root->type == YAML_MAPPING_NODE ? node_json(&from, root, 0) : NULL;
    yaml_document_delete(&document);
    if (!*out && from.left == 0)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: its aliases (*name) make much more of it than it says; write out what is meant", path);
    return *out ? AGON_OK : ctx_fail(ctx, AGON_EFORMAT, "%s: must be a mapping of keys, each once, at most %d deep", path, MAX_DEPTH);
}

/* ---- settings -------------------------------------------------------------------------------------------- */

static agon_status unknown_key(agon_ctx *ctx, const char *where, const char *key, const json_t *defaults) {
    const char *known[64], *name;
    size_t n = 0;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)defaults, name, value)
        if (n < 64)
            known[n++] = name;
    const char *near = nearest_word(key, known, n);
    return near ? ctx_fail(ctx, AGON_EINVAL, "%s: there is no option '%.60s'; did you mean %s?", where, key, near)
                : ctx_fail(ctx, AGON_EINVAL, "%s: there is no option '%.60s'", where, key);
}

static bool same_kind(const json_t *a, const json_t *b) {
    return json_typeof(a) == json_typeof(b) || (json_is_real(a) && json_is_number(b)) ||
           (json_is_boolean(a) && json_is_boolean(b));
}

static const char *kind_name(const json_t *v) {
    return json_is_object(v)    ? "a mapping"
           : json_is_array(v)   ? "a list"
           : json_is_string(v)  ? "a text"
           : json_is_integer(v) ? "a whole number"
           : json_is_real(v)    ? "a number"
                                : "true or false";
}

agon_status lab_settings(agon_ctx *ctx, const char *where, const json_t *defaults, const json_t *given, json_t **out) {
    json_t *made = json_deep_copy(defaults), *value;
    const char *key;
    agon_status s = made ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    json_object_foreach((json_t *)(uintptr_t)given, key, value) {
        const json_t *usual = json_object_get(defaults, key);
        json_t *inner = NULL;
        if (s)
            break;
        if (!usual)
            s = unknown_key(ctx, where, key, defaults);
        else if (!same_kind(usual, value))
            s = ctx_fail(ctx, AGON_EINVAL, "%s: %s must be %s", where, key, kind_name(usual));
        else if (json_is_object(usual))
            s = lab_settings(ctx, where, usual, value, &inner);
        else
            inner = json_is_real(usual) ? json_real(json_number_value(value)) : json_incref(value);
        if (!s && json_object_set_new(made, key, inner) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    }
    if (s)
        json_decref(made);
    else
        *out = made;
    return s;
}

agon_status lab_int(const lab *l, const char *key, int64_t low, int64_t high, size_t *out) {
    int64_t x = json_integer_value(json_object_get(l->settings, key));
    if (x < low || x > high)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s is %lld; it must be from %lld to %lld", key, (long long)x, (long long)low,
                        (long long)high);
    *out = (size_t)x;
    return AGON_OK;
}

agon_status lab_real(const lab *l, const char *key, double low, double high, double *out) {
    double x = json_number_value(json_object_get(l->settings, key));
    if (!(x >= low && x <= high))
        return ctx_fail(l->ctx, AGON_EINVAL, "%s is %g; it must be from %g to %g", key, x, low, high);
    *out = x;
    return AGON_OK;
}

agon_status lab_options(const lab *l, const lab_whole *wholes, const lab_fraction *fractions) {
    agon_status s = AGON_OK;
    for (; wholes->key && !s; wholes++)
        s = lab_int(l, wholes->key, wholes->low, wholes->high, wholes->out);
    for (; fractions->key && !s; fractions++)
        s = lab_real(l, fractions->key, fractions->low, fractions->high, fractions->out);
    return s;
}

agon_status lab_reals(const lab *l, const char *key, double low, double high, double *out, size_t most, size_t *n) {
    const json_t *list = json_object_get(l->settings, key);
    size_t size = json_array_size(list);
    if (size < 1 || size > most)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s has %zu numbers; it must be a list of 1 to %zu", key, size, most);
    for (size_t i = 0; i < size; i++) {
        const json_t *item = json_array_get(list, i);
        out[i] = json_number_value(item);
        if (!json_is_number(item))
            return ctx_fail(l->ctx, AGON_EINVAL, "%s[%zu] is not a number", key, i);
        if (!(out[i] >= low && out[i] <= high))
            return ctx_fail(l->ctx, AGON_EINVAL, "%s[%zu] is %g; it must be from %g to %g", key, i, out[i], low, high);
    }
    *n = size;
    return AGON_OK;
}

agon_status lab_steps(const lab *l, const char *key, const char *rows, size_t epochs, size_t n, size_t batch, size_t *steps) {
    size_t all = size_mul(epochs, n);
    if (batch == 0 || all < batch)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s is %zu; it must be from 1 to the %zu %s of all epochs", key, batch, all, rows);
    *steps = all / batch;
    return AGON_OK;
}

agon_status lab_numerics(lab *l) {
    const char *name = json_string_value(json_object_get(l->settings, "numerics"));
    agon_numerics numerics;
    if (!numerics_of_name(name, &numerics))
        return ctx_fail(l->ctx, AGON_EINVAL, "numerics is " NUMERICS_NAMES ", not '%.40s'", name ? name : "");
    numerics_set(&l->numerics, l->ctx, numerics);
    return AGON_OK;
}

static agon_status take_ladder(lab *l, size_t most) {
    static const char key[] = "ladder";
    const json_t *list = json_object_get(l->settings, key);
    l->n_sizes = json_array_size(list);
    if (l->n_sizes < 1 || l->n_sizes > most)
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: 1 to %zu models, weakest first", key, most);
    for (size_t i = 0; i < l->n_sizes; i++) {
        const json_t *item = json_array_get(list, i);
        int64_t width = 0, layers = 0;
        double corpus = 1;
        agon_status s = json_get_int(l->ctx, key, item, "width", true, &width);
        if (!s)
            s = json_get_int(l->ctx, key, item, "layers", true, &layers);
        if (!s)
            s = json_get_real(l->ctx, key, item, "corpus", false, &corpus);
        if (s)
            return s;
        if (!(corpus > 0 && corpus <= 1))
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: corpus is a share above 0 up to 1", key);
        if (width < 8 || width > MOST_WIDTH || width % 8 || layers < 1 || layers > MOST_LAYERS)
            return ctx_fail(l->ctx, AGON_EINVAL, "%s: width is a multiple of 8 up to %d, layers from 1 to %d", key,
                            MOST_WIDTH, MOST_LAYERS);
        l->ladder[i] = (lab_size){(size_t)width, (size_t)layers, corpus};
    }
    return AGON_OK;
}

static agon_status take_family(lab *l) {
    const char *name = json_string_value(json_object_get(l->settings, "family"));
    l->family = name ? sequence_family_find(name) : SIZE_MAX;
    return l->family != SIZE_MAX && sequence_is_generative(l->family)
               ? AGON_OK
               : ctx_fail(l->ctx, AGON_EINVAL, "family: '%.40s' is no generative family of sequence tasks", name ? name : "");
}

static bool has(const lab *l, const char *key) {
    return json_object_get(l->settings, key) != NULL;
}

agon_status lab_begin(lab *l, size_t most_sizes) {
    size_t seed = 0;
    agon_status s = lab_int(l, "seed", 0, INT64_MAX, &seed);
    l->seed = seed;
    if (!s)
        s = lab_int(l, "seeds", 1, LAB_MAX_SEEDS, &l->n_seeds);
    if (!s && has(l, "ladder"))
        s = take_ladder(l, most_sizes);
    if (!s && has(l, "family"))
        s = take_family(l);
    if (!s && has(l, "corpus_items"))
        s = lab_int(l, "corpus_items", 64, 10000000, &l->n_corpus);
    if (!s && has(l, "corpus_lr"))
        s = lab_real(l, "corpus_lr", 1e-9, 1, &l->corpus_lr);
    if (!s)
        l->models = lab_take(l, l->n_seeds * (l->n_sizes + 1), sizeof *l->models);
    return s ? s : lab_taken(l);
}

void lab_end(lab *l) {
    for (size_t i = 0; l->models && i < l->n_seeds * l->n_sizes; i++)
        lab_model_free(l->models[i]);
    arena_free(l->memory);
    numerics_restore(&l->numerics);
}

static agon_status take_identity(lab *l) {
    json_t *counted = json_copy(l->settings);
    for (const char *const *key = l->aside; key && *key; key++)
        json_object_del(counted, *key);
    char *text = counted ? json_canonical(counted) : NULL;
    json_decref(counted);
    if (!text)
        return ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    hash256 id = hash_bytes(text, strlen(text));
    hash_hex(&id, l->identity);
    free(text);
    return AGON_OK;
}

agon_status lab_open(lab *l) {
    buffer path = {0};
    pthread_mutex_init(&l->saying, NULL);
    agon_status s = take_identity(l);
    if (s)
        return s;
    if (l->plan_only) /* nothing will be kept */
        return *l->output ? AGON_OK : ctx_fail(l->ctx, AGON_EINVAL, "an empty path names no folder for the results; give one, or leave it out");
    buffer_printf(&path, "%s/stages", l->output);
    s = path.failed ? ctx_fail(l->ctx, AGON_ENOMEM, "out of memory") : folder_make(l->ctx, l->output);
    if (!s)
        s = folder_make(l->ctx, path.data);
    if (!s) {
        file_sweep(path.data);
        file_sweep(l->output);
    }
    buffer_free(&path);
    return s;
}

void lab_close(lab *l) {
    pthread_mutex_destroy(&l->saying);
}

static void say(lab *l, const char *text) {
    if (!l->say)
        return;
    pthread_mutex_lock(&l->saying);
    l->say(l->arg, text);
    pthread_mutex_unlock(&l->saying);
}

void lab_say(lab *l, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say(l, text);
}

void lab_say_seed(lab *l, size_t seed, const char *format, ...) {
    char text[512];
    int begin = snprintf(text, sizeof text, "seed %zu  ", (size_t)l->seed + seed);
    va_list args;
    va_start(args, format);
    vsnprintf(text + begin, sizeof text - (size_t)begin, format, args);
    va_end(args);
    say(l, text);
}

uint64_t lab_seed(const lab *l, size_t seed, const char *format, ...) {
    char name[512];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return seed_derive(l->seed + seed, name);
}

void lab_resample(const lab *l, rng *r, size_t n_items, size_t *seeds, size_t *items) {
    for (size_t i = 0; i < l->n_seeds; i++)
        seeds[i] = (size_t)rng_below(r, l->n_seeds);
    for (size_t i = 0; i < n_items; i++)
        items[i] = (size_t)rng_below(r, n_items);
}

void *lab_take(lab *l, size_t n, size_t size) {
    void *x = l->memory || arena_new(l->ctx, 0, &l->memory) == AGON_OK ? arena_take(l->memory, n, size) : NULL;
    l->memory_out |= !x;
    return x;
}

agon_status lab_cells(lab *l, size_t **cells, size_t *n) {
    const json_t *names = json_object_get(l->settings, "cells");
    *cells = lab_take(l, task_n_cells(), sizeof **cells);
    if (!*cells)
        return lab_taken(l);
    if (json_array_size(names) == 0)
        return ctx_fail(l->ctx, AGON_EINVAL, "cells is an empty list; name one or more, or leave the line out");
    agon_status s = task_select(l->ctx, names, *cells, n);
    return s ? ctx_prefix(l->ctx, s, "cells") : AGON_OK;
}

agon_status lab_taken(const lab *l) {
    return l->memory_out ? ctx_fail(l->ctx, AGON_ENOMEM, "out of memory") : AGON_OK;
}

agon_status lab_admit(lab *l, const forecast *f) {
    char words[128];
    agon_status s = forecast_check(f, "this experiment");
    forecast_words(f, words, sizeof words);
    if (!s)
        lab_say(l, "memory: %s", words);
    return s;
}

agon_status lab_write(const lab *l, const char *name, const char *text) {
    buffer path = {0};
    buffer_printf(&path, "%s/%s", l->output, name);
    agon_status s = path.failed ? ctx_fail(l->ctx, AGON_ENOMEM, "out of memory")
                                : file_write(l->ctx, path.data, text, strlen(text));
    buffer_free(&path);
    return s;
}

agon_status lab_write_lines(const lab *l, const char *name, const json_t *lines) {
    buffer b = {0};
    const json_t *line;
    size_t i;
    json_array_foreach(lines, i, line) {
        char *text = json_dumps(line, JSON_COMPACT);
        b.failed = b.failed || !text;
        buffer_text(&b, text ? text : "");
        buffer_char(&b, '\n');
        free(text);
    }
    agon_status s = b.failed ? ctx_no_memory(l->ctx) : lab_write(l, name, b.data ? b.data : "");
    buffer_free(&b);
    return s;
}

agon_status lab_plot(const lab *l, const char *name, const plot_panel *panels, size_t n, size_t n_columns) {
    char *svg = NULL;
    agon_status s = plot_svg(l->ctx, panels, n, n_columns, &svg);
    if (!s)
        s = lab_write(l, name, svg);
    free(svg);
    return s;
}

/* ---- stages ---------------------------------------------------------------------------------------------- */

/* A stage on disk: "AGONLAB1" | n u64 | x f64 [n] | SHA-256 of everything before; of bytes: "AGONLABB" | n u64 | byte [n] | the same. */
static const char NUMBERS[8] = {'A', 'G', 'O', 'N', 'L', 'A', 'B', '1'}, BYTES[8] = {'A', 'G', 'O', 'N', 'L', 'A', 'B', 'B'};
enum { STAGE_HEAD = 16 };

static agon_status stage_path(const lab *l, agon_ctx *ctx, const char *key, buffer *out) {
    char hex[HASH_HEX_SIZE];
    buffer name = {0};
    buffer_printf(&name, "%s|numerics %d|%s", l->identity, (int)l->ctx->numerics, key);
    if (name.failed)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    hash256 id = hash_bytes(name.data, name.size);
    hash_hex(&id, hex);
    buffer_free(&name);
    buffer_printf(out, "%s/stages/%.32s", l->output, hex);
    return out->failed ? ctx_fail(ctx, AGON_ENOMEM, "out of memory") : AGON_OK;
}

/* The whole file of a stage of this kind; *data NULL: not there, or damaged. */
static agon_status read_stage(const lab *l, agon_ctx *ctx, const char *key, const char kind[8], char **data, size_t *size) {
    buffer path = {0};
    *data = NULL;
    *size = 0;
    agon_status s = stage_path(l, ctx, key, &path);
    if (!s && file_exists(path.data))
        s = file_read(ctx, path.data, (size_t)1 << 32, data, size);
    buffer_free(&path);
    if (s || !*data)
        return s;
    hash256 check = {{0}};
    bool whole = *size >= STAGE_HEAD + sizeof check && memcmp(*data, kind, 8) == 0;
    if (whole) {
        check = hash_bytes(*data, *size - sizeof check);
        whole = memcmp(&check, *data + *size - sizeof check, sizeof check) == 0;
    }
    if (!whole) {
        free(*data);
        *data = NULL;
    }
    return AGON_OK;
}

static agon_status write_stage(const lab *l, agon_ctx *ctx, const char *key, const char kind[8], uint64_t n, const void *data, size_t n_bytes) {
    buffer path = {0}, image = {0};
    buffer_init(&image, (size_t)1 << 32);
    agon_status s = stage_path(l, ctx, key, &path);
    if (!s) {
        buffer_append(&image, kind, 8);
        buffer_append(&image, &n, sizeof n);
        buffer_append(&image, data, n_bytes);
        hash256 check = image.failed ? (hash256){{0}} : hash_bytes(image.data, image.size);
        buffer_append(&image, &check, sizeof check);
        s = image.failed ? ctx_fail(ctx, AGON_ENOMEM, "out of memory")
                         : file_write(ctx, path.data, image.data, image.size);
    }
    buffer_free(&path);
    buffer_free(&image);
    return s;
}

agon_status lab_recall(const lab *l, agon_ctx *ctx, const char *key, double *x, size_t n, bool *found) {
    char *data;
    size_t size;
    agon_status s = read_stage(l, ctx, key, NUMBERS, &data, &size);
    *found = data && size == STAGE_HEAD + n * sizeof *x + sizeof(hash256);
    if (*found)
        memcpy(x, data + STAGE_HEAD, n * sizeof *x);
    free(data);
    return s;
}

agon_status lab_keep(const lab *l, agon_ctx *ctx, const char *key, const double *x, size_t n) {
    return write_stage(l, ctx, key, NUMBERS, n, x, n * sizeof *x);
}

agon_status lab_recall_bytes(const lab *l, agon_ctx *ctx, const char *key, char **data, size_t *n) {
    size_t size;
    agon_status s = read_stage(l, ctx, key, BYTES, data, &size);
    *n = *data ? size - STAGE_HEAD - sizeof(hash256) : 0;
    if (*data)
        memmove(*data, *data + STAGE_HEAD, *n);
    return s;
}

agon_status lab_keep_bytes(const lab *l, agon_ctx *ctx, const char *key, const void *data, size_t n) {
    return write_stage(l, ctx, key, BYTES, n, data, n);
}

/* ---- works ----------------------------------------------------------------------------------------------- */

typedef struct works {
    lab *l;
    lab_work fn;
    void *arg;
    agon_ctx **contexts;   /* [n threads] */
    agon_status *statuses; /* [n] */
    char (*sentences)[512]; /* [n] */
} works;

static void run_work(void *arg, size_t i, int thread) {
    works *w = arg;
    agon_ctx *ctx = w->contexts[thread];
    if (atomic_load(&w->l->ctx->interrupted)) {
        w->statuses[i] = AGON_EINTERRUPTED;
        return;
    }
    w->statuses[i] = w->fn(w->arg, ctx, i);
    if (w->statuses[i])
        snprintf(w->sentences[i], sizeof w->sentences[i], "%s", agon_error(ctx));
}

static agon_status open_contexts(works *w, int n) {
    agon_ctx_options o = agon_ctx_options_default();
    char reason[256];
    o.n_threads = 1;
    o.numerics = w->l->ctx->numerics;
    o.cpu = cpu_path_name(w->l->ctx->cpu);
    for (int i = 0; i < n; i++) {
        agon_status s = agon_ctx_new(&o, &w->contexts[i], reason, sizeof reason);
        if (s)
            return ctx_fail(w->l->ctx, s, "%s", reason);
        w->contexts[i]->cpu_forced = w->l->ctx->cpu_forced; /* nobody asked for the path if nobody asked the caller for it */
    }
    return AGON_OK;
}

agon_status lab_run(lab *l, size_t n, lab_work fn, void *arg) {
    int n_threads = l->ctx->n_threads;
    works w = {.l = l, .fn = fn, .arg = arg};
    w.contexts = calloc((size_t)n_threads, sizeof *w.contexts);
    w.statuses = calloc(n + 1, sizeof *w.statuses);
    w.sentences = calloc(n + 1, sizeof *w.sentences);
    pool *p = pool_new(n_threads);
    agon_status s = w.contexts && w.statuses && w.sentences && p ? AGON_OK
                                                                 : ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = open_contexts(&w, n_threads);
    if (!s)
        pool_run(p, n, run_work, &w);
    if (!s)
        s = ctx_check_interrupt(l->ctx);
    for (size_t i = 0; i < n && !s; i++)
        if (w.statuses[i])
            s = ctx_fail(l->ctx, w.statuses[i], "%s", w.sentences[i]);
    for (int i = 0; w.contexts && i < n_threads; i++)
        agon_ctx_free(w.contexts[i]);
    pool_free(p);
    free(w.contexts);
    free(w.statuses);
    free(w.sentences);
    return s;
}

double lab_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double lab_rounds(const lab *l, size_t n) {
    size_t cores = (size_t)l->ctx->n_threads;
    return (double)((n + cores - 1) / cores * cores);
}

/* ---- figures --------------------------------------------------------------------------------------------- */

lab_estimate lab_estimate_of(const double *v, size_t n) {
    const interval range = over_seeds_student(v, NULL, n, 0.05);
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += v[i] / (double)n;
    return (lab_estimate){mean, range.low, range.high};
}

const char *lab_finding(double low, double high, const char *up, const char *down) {
    return low > 0 ? up : high < 0 ? down : "undecided";
}

json_t *lab_over_seeds(const double *v, size_t n) {
    const lab_estimate e = lab_estimate_of(v, n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, real_or_null(v[i]));
    return json_pack("{s:o,s:[o,o],s:o}", "mean", real_or_null(e.mean), "interval", real_or_null(e.low), real_or_null(e.high), "by_seed", all);
}

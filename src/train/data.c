/* Datasets: files of rows (row_read.c), or rows in memory, to exact tokens and masks; what they hold, counted and shown.
 *
 * A row that cannot be learnt from is refused by file and line, or left out and counted (data_fault). */
#include "train/row_reader.h"
#include "base/json_lines.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row's "dimension" or "adapter" among the names [n] asked for. */
static agon_status take_name(row_reader *r, const char *where, json_t *object, const char *key, const char *const *list, size_t n, size_t *out) {
    const char *name = NULL;
    agon_status s = json_get_text(r->ctx, where, object, key, true, &name);
    if (s != AGON_OK)
        return s;
    char names[MAX_DIMENSIONS * (MAX_DIMENSION_NAME + 2)] = "";
    for (size_t i = 0, at = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0) {
            *out = i;
            return AGON_OK;
        }
        int wrote = snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", list[i]);
        at += (size_t)wrote < sizeof names - at ? (size_t)wrote : 0;
    }
    return BAD(r, FAULT_RANGE, "%s: %s is '%.60s'; the %ss are %s", where, key, name, key, names);
}

static agon_status take_names(row_reader *r, const char *where, json_t *object, train_row *row) {
    const dataset_options *o = &r->options;
    agon_status s = o->n_dimensions ? take_name(r, where, object, "dimension", o->dimensions, o->n_dimensions, &row->dimension) : AGON_OK;
    return s == AGON_OK && o->n_adapters ? take_name(r, where, object, "adapter", o->adapters, o->n_adapters, &row->adapter) : s;
}

/* Counts the row the recorded sentence is about, and keeps its sentence. */
static agon_status skip(row_reader *r, data_fault fault) {
    dataset *d = r->d;
    d->faults[fault]++;
    if (d->n_skipped < MAX_SKIPPED) {
        char *sentence = arena_copy(d->memory, agon_error(r->ctx));
        if (!sentence || !memory_grow((void **)&d->skipped, &d->skipped_capacity, d->n_skipped, sizeof *d->skipped))
            return row_no_memory(r);
        d->skipped[d->n_skipped] = (skipped_row){fault, sentence};
    }
    d->n_skipped++;
    return AGON_OK;
}

static bool weighs_nothing(const train_row *row) {
    return row->weight == 0 || (row->n_responses == 1 && row->responses[0].weight == 0);
}

/* Where the row came from, out of "file:line" or "training row 3". */
static void place_row(const dataset *d, const char *where, train_row *row) {
    const char *mark = strrchr(where, d->file ? ':' : ' ');
    row->file = d->file;
    row->line = mark ? (size_t)strtoull(mark + 1, NULL, 10) : 0;
}

static agon_status take_row(void *arg, const char *where, json_t *object) {
    row_reader *r = arg;
    dataset *d = r->d;
    size_t n = d->n, n_truncated = d->n_truncated, n_double_end = d->n_double_end, n_space_only = d->n_space_only, n_implicit = d->n_implicit;
    const span_tally spans = d->spans;
    json_t *scratch = json_copy(object); /* reading puts joined and divided texts in their places; the row stays as it stands */
    r->fault = FAULT_FIELDS;
    agon_status s = scratch ? row_read(r, where, scratch) : row_no_memory(r);
    json_decref(scratch);
    if (s == AGON_OK && d->n > n)
        place_row(d, where, &d->rows[n]);
    if (s == AGON_OK && d->n > n)
        s = take_names(r, where, object, &d->rows[n]);
    bool dropped = s == AGON_OK && d->n > n && weighs_nothing(&d->rows[n]);
    if (dropped)
        s = BAD(r, FAULT_WEIGHT, "%s: weight is 0; the row is left out", where);
    if (s == AGON_OK && r->o && d->n > n)
        row_count_unread(r, object);
    if (s == AGON_OK && r->options.on_row && d->n > n)
        return r->options.on_row(r->options.arg, object, &d->rows[n]);
    if ((s != AGON_EINVAL && s != AGON_EFORMAT) || !(r->options.skip_bad || dropped))
        return s;
    d->n = n, d->n_truncated = n_truncated, d->n_double_end = n_double_end, d->n_space_only = n_space_only, d->n_implicit = n_implicit, d->spans = spans;
    return skip(r, r->fault);
}

static agon_status take_bad_line(void *arg, agon_status status) {
    row_reader *r = arg;
    return r->options.skip_bad ? skip(r, FAULT_FORMAT) : status;
}

static agon_status nothing_for(agon_ctx *ctx, const char *where, const char *key, const char *name, const dataset *d) {
    return d->n_skipped ? ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows for the %s %.60s; the first of %zu left out: %s", where, key, name,
                                   d->n_skipped, d->skipped[0].sentence)
                        : ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows for the %s %.60s", where, key, name);
}

/* Every dimension and adapter is trained on rows of its own. */
static agon_status names_covered(agon_ctx *ctx, const char *where, const dataset_options *options, const dataset *d) {
    for (size_t i = 0; i < options->n_dimensions; i++)
        if (dataset_n_of_dimension(d, i) == 0)
            return nothing_for(ctx, where, "dimension", options->dimensions[i], d);
    for (size_t i = 0; i < options->n_adapters; i++)
        if (dataset_n_of_adapter(d, i) == 0)
            return nothing_for(ctx, where, "adapter", options->adapters[i], d);
    return AGON_OK;
}

/* A dataset from whatever feeds rows to the reader. */
static agon_status dataset_fill(agon_ctx *ctx, const tokenizer *t, const char *where, const objective *o,
                                const dataset_options *options, agon_status (*feed)(row_reader *r, const void *from),
                                const void *from, dataset **out) {
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    row_reader r = {.ctx = ctx, .t = t, .o = o, .max_tokens = options->max_tokens, .d = d, .options = *options};
    double defaults[MAX_OBJECTIVE_OPTIONS];
    if (o) {
        objective_defaults(o, defaults);
        r.needs = objective_needs_with(o, options->settings ? options->settings : defaults);
    }
    agon_status s = arena_new(ctx, 0, &d->memory);
    if (s == AGON_OK)
        s = feed(&r, from);
    if (s == AGON_OK && d->n == 0)
        s = d->n_skipped ? ctx_fail(ctx, AGON_EINVAL, "%s: none of the rows can be learnt from; the first of %zu left out: "
                                    "%s", where, d->n_skipped, d->skipped[0].sentence)
                         : ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", where);
    if (s == AGON_OK)
        s = names_covered(ctx, where, options, d);
    if (s != AGON_OK) {
        dataset_free(d);
        return s;
    }
    *out = d;
    return AGON_OK;
}

static agon_status feed_file(row_reader *r, const void *path) {
    if (path && !(r->d->file = arena_copy(r->d->memory, path)))
        return row_no_memory(r);
    return jsonl_read_hashed(r->ctx, path, take_row, take_bad_line, r, &r->d->file_hash);
}

hash256 dataset_file_hash(const dataset *d) {
    return d->file_hash;
}

agon_status dataset_read_with(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o,
                              const dataset_options *options, dataset **out) {
    return dataset_fill(ctx, t, path, o, options, feed_file, path, out);
}

agon_status dataset_read_prompts(agon_ctx *ctx, const tokenizer *t, const char *path, size_t max_tokens, dataset **out) {
    return dataset_fill(ctx, t, path, NULL, &(dataset_options){.max_tokens = max_tokens}, feed_file, path, out);
}

const json_t *dataset_prompt_row(const dataset *d, size_t i, const char **where) {
    *where = d->origins[i].where;
    return d->origins[i].object;
}

agon_status dataset_read(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o, size_t max_tokens,
                         dataset **out) {
    return dataset_read_with(ctx, t, path, o, &(dataset_options){.max_tokens = max_tokens}, out);
}

static agon_status feed_array(row_reader *r, const void *rows) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(rows) && s == AGON_OK; i++) {
        char where[48];
        snprintf(where, sizeof where, "training row %zu", i + 1);
        s = ctx_check_interrupt(r->ctx);
        if (s == AGON_OK)
            s = take_row(r, where, json_array_get(rows, i));
    }
    return s;
}

agon_status dataset_from_json(agon_ctx *ctx, const tokenizer *t, const json_t *rows, const objective *o,
                              const double *settings, size_t max_tokens, bool as_begun, dataset **out) {
    /* Rows that a run made from model output: an empty or equal answer must not end the run. */
    const dataset_options options = {.max_tokens = max_tokens, .skip_bad = true, .sampled = true, .as_begun = as_begun, .settings = settings};
    return dataset_fill(ctx, t, "the training rows", o, &options, feed_array, rows, out);
}

static const int32_t *copy_tokens(arena *memory, const int32_t *ids, size_t n) {
    int32_t *copy = arena_take(memory, n + 1, sizeof *copy);
    if (copy && n)
        memcpy(copy, ids, n * sizeof *copy);
    return copy;
}

/* False: out of memory. */
static bool copy_row(arena *memory, const train_row *from, train_row *to) {
    train_response *responses = arena_take(memory, from->n_responses, sizeof *responses);
    *to = *from;
    to->file = NULL, to->line = 0;
    to->responses = responses;
    bool good = responses && (to->prompt = copy_tokens(memory, from->prompt, from->n_prompt));
    for (size_t k = 0; k < from->n_responses && good; k++) {
        const train_response *r = &from->responses[k];
        responses[k] = (train_response){.n = r->n, .reward = r->reward, .advantage = r->advantage, .label = r->label, .weight = r->weight};
        good = (responses[k].tokens = copy_tokens(memory, r->tokens, r->n)) != NULL;
        float *old = r->old && good ? arena_take(memory, r->n + 1, sizeof *old) : NULL;
        if (old)
            memcpy(old, r->old, r->n * sizeof *old);
        responses[k].old = old;
        good = good && (!r->old || old);
    }
    return good;
}

agon_status dataset_from_rows(agon_ctx *ctx, const train_row *rows, size_t n, dataset **out) {
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rows", n);
    d->rows = calloc(n + 1, sizeof *d->rows);
    agon_status s = arena_new(ctx, 0, &d->memory);
    for (size_t i = 0; i < n && !s; i++)
        if (!d->rows || !copy_row(d->memory, &rows[i], &d->rows[d->n++]))
            s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rows", n);
    if (s)
        dataset_free(d);
    else
        *out = d;
    return s;
}

void dataset_free(dataset *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->n_origins; i++)
        json_decref(d->origins[i].object);
    free(d->origins);
    free(d->skipped);
    arena_free(d->memory);
    free(d->rows);
    free(d);
}

const train_row *dataset_rows(const dataset *d, size_t *n) {
    *n = d->n;
    return d->rows;
}

size_t dataset_n_of_dimension(const dataset *d, size_t dimension) {
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        n += d->rows[i].dimension == dimension;
    return n;
}

size_t dataset_n_of_adapter(const dataset *d, size_t adapter) {
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        n += d->rows[i].adapter == adapter;
    return n;
}

size_t dataset_n_truncated(const dataset *d) {
    return d->n_truncated;
}

const char *data_fault_name(data_fault f) {
    static const char *const names[] = {"format", "fields", "empty", "equal", "range", "not finite", "group", "length", "weight"};
    _Static_assert(sizeof names / sizeof names[0] == N_DATA_FAULTS, "each fault has a name");
    return f < N_DATA_FAULTS ? names[f] : "";
}

const char *dataset_skipped(const dataset *d, size_t i, data_fault *fault) {
    if (i >= d->n_skipped || i >= MAX_SKIPPED)
        return NULL;
    *fault = d->skipped[i].fault;
    return d->skipped[i].sentence;
}

void dataset_place(dataset *d, const char *file, const size_t *lines, size_t n) {
    for (size_t i = 0; i < d->n; i++)
        if (!d->rows[i].file && d->rows[i].line >= 1 && d->rows[i].line <= n)
            d->rows[i].file = file, d->rows[i].line = lines[d->rows[i].line - 1];
}

dataset_summary dataset_summarise(const dataset *d) {
    dataset_summary s = {.n_rows = d->n, .n_truncated = d->n_truncated, .n_skipped = d->n_skipped,
                         .n_double_end = d->n_double_end, .n_space_only = d->n_space_only, .n_implicit = d->n_implicit, .spans = d->spans};
    memcpy(s.faults, d->faults, sizeof s.faults);
    memcpy(s.unread, d->unread, sizeof s.unread);
    for (size_t i = 0; i < d->n; i++) {
        const train_row *row = &d->rows[i];
        s.n_prompt_tokens += row->n_prompt;
        s.n_responses += row->n_responses;
        for (size_t k = 0; k < row->n_responses; k++) {
            const train_response *r = &row->responses[k];
            s.n_response_tokens += r->n;
            for (size_t j = 0; j < r->n; j++)
                s.n_supervised += response_mask(r, j) > 0;
            s.longest = row->n_prompt + r->n > s.longest ? row->n_prompt + r->n : s.longest;
        }
    }
    return s;
}

/* agon.h, datasets: rows as the trainer will see them, and their preview. */
#include "api/dataset.h"
#include "api/options.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

agon_status objective_named(agon_ctx *ctx, const char *name, const objective **out) {
    const char *names[64];
    char all[1024] = "";
    size_t n = 0, used = 0;
    for (; n < 64 && objective_at(n); n++) {
        names[n] = objective_at(n)->name;
        int wrote = snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "", names[n]);
        used += (size_t)wrote < sizeof all - used ? (size_t)wrote : 0;
    }
    agon_status s = OPTIONS_GIVEN(ctx, {"the objective", name, 1});
    if (s)
        return s;
    const objective *o = objective_find(name);
    if (o) {
        *out = o;
        return AGON_OK;
    }
    const char *near = nearest_word(name, names, n);
    if (near)
        return ctx_fail(ctx, AGON_ENOTFOUND, "no objective is called '%.40s'; did you mean %s?", name, near);
    return ctx_fail(ctx, AGON_ENOTFOUND, "no objective is called '%.40s'; there are %s", name, all);
}

agon_status agon_dataset_n_shared(agon_ctx *ctx, const agon_dataset *d, const agon_dataset *other, size_t *out) {
    FP_ENVIRONMENT();
    size_t n, n_other;
    agon_status s = OPTIONS_GIVEN(ctx, {"the dataset", d, 1}, {"the other dataset", other, 1}, {"the place for the number", out, 1});
    if (s)
        return s;
    const train_row *rows = dataset_rows(d->d, &n), *others = dataset_rows(other->d, &n_other);
    return train_rows_shared(ctx, rows, n, others, n_other, out);
}

agon_status agon_dataset_open(agon_ctx *ctx, const agon_tokenizer *t, const char *path, const char *name,
                              size_t max_length, agon_dataset **out) {
    FP_ENVIRONMENT();
    agon_dataset_options options = agon_dataset_options_default();
    options.max_length = max_length;
    return agon_dataset_open_with(ctx, t, path, name, &options, out);
}

static agon_status check_adapters(agon_ctx *ctx, const agon_dataset_options *o) {
    if (o->n_adapters == 0)
        return AGON_OK;
    if (o->n_dimensions)
        return ctx_fail(ctx, AGON_EINVAL, "rows belong to adapters or are labelled for dimensions of one adapter, not both");
    if (o->n_adapters > MAX_DIMENSIONS)
        return ctx_fail(ctx, AGON_EINVAL, "adapters: there are %zu; at most %d are trained at once", o->n_adapters, MAX_DIMENSIONS);
    return names_check(ctx, "adapters", o->adapters, o->n_adapters);
}

agon_status agon_dataset_open_with(agon_ctx *ctx, const agon_tokenizer *t, const char *path, const char *name,
                                   const agon_dataset_options *given, agon_dataset **out) {
    FP_ENVIRONMENT();
    agon_dataset_options o = agon_dataset_options_default();
    agon_status s = options_take(ctx, "agon_dataset_options", given, sizeof o, &o);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the path of the data", path, 1}, {"the objective", name, 1}, {"the place for the dataset", out, 1});
    if (!s)
        s = options_texts(ctx, "dimensions", o.dimensions, o.n_dimensions);
    if (!s)
        s = options_texts(ctx, "adapters", o.adapters, o.n_adapters);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the objective's settings", o.settings, o.n_settings});
    if (s)
        return s;
    if (o.n_dimensions && (s = dimensions_check(ctx, o.dimensions, o.n_dimensions)))
        return s;
    if ((s = check_adapters(ctx, &o)))
        return s;
    agon_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_no_memory(ctx);
    d->n_dimensions = o.n_dimensions;
    d->n_adapters = o.n_adapters;
    for (size_t i = 0; i < o.n_dimensions; i++)
        snprintf(d->dimensions[i], sizeof d->dimensions[i], "%s", o.dimensions[i]);
    for (size_t i = 0; i < o.n_adapters; i++)
        snprintf(d->adapters[i], sizeof d->adapters[i], "%s", o.adapters[i]);
    d->t = t->t;
    d->max_length = o.max_length;
    s = objective_named(ctx, name, &d->objective);
    if (!s && o.n_dimensions && (d->objective->needs & NEEDS_HEAD))
        s = ctx_fail(ctx, AGON_EUNSUPPORTED, "%s trains a head, which takes no preference vector; leave the dimensions out", d->objective->name);
    double settings[MAX_OBJECTIVE_OPTIONS];
    if (!s)
        s = objective_configure(ctx, d->objective, o.settings, o.n_settings, settings);
    if (!s)
        s = dataset_read_with(ctx, t->t, path, d->objective,
                              &(dataset_options){.max_tokens = o.max_length, .skip_bad = o.skip_bad, .group_size = o.group_size, .settings = settings,
                                                 .dimensions = o.dimensions, .n_dimensions = o.n_dimensions,
                                                 .adapters = o.adapters, .n_adapters = o.n_adapters}, &d->d);
    if (s) {
        agon_dataset_free(d);
        return s;
    }
    d->file = dataset_file_hash(d->d);
    *out = d;
    return AGON_OK;
}

void agon_dataset_free(agon_dataset *d) {
    if (!d)
        return;
    dataset_free(d->d);
    free(d);
}

size_t agon_dataset_n_rows(const agon_dataset *d) {
    FP_ENVIRONMENT();
    size_t n = 0;
    if (d)
        dataset_rows(d->d, &n);
    return n;
}

size_t agon_dataset_n_truncated(const agon_dataset *d) {
    FP_ENVIRONMENT();
    return d ? dataset_n_truncated(d->d) : 0;
}

size_t agon_dataset_n_tokens(const agon_dataset *d) {
    FP_ENVIRONMENT();
    size_t n = 0, tokens = 0;
    const train_row *rows = d ? dataset_rows(d->d, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        tokens += rows[i].n_prompt;
        for (size_t k = 0; k < rows[i].n_responses; k++)
            tokens += rows[i].responses[k].n;
    }
    return tokens;
}

/* ---- preview -------------------------------------------------------------------------------------------- */

static json_t *ids_json(const int32_t *ids, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

/* A token's bytes; those that are no UTF-8 by themselves are written as <0xE2>, as tokenizers name byte tokens. */
static json_t *token_text(const tokenizer *t, int32_t id) {
    size_t n = 0, m = 0;
    char text[1024];
    const char *bytes = tokenizer_bytes(t, id, &n);
    json_t *whole = json_stringn(bytes ? bytes : "", bytes ? n : 0);
    if (whole)
        return whole;
    for (size_t i = 0; i < n && m + 8 < sizeof text; i++)
        m += (size_t)sprintf(text + m, "<0x%02X>", (unsigned char)bytes[i]);
    return json_stringn(text, m);
}

static json_t *response_json(const tokenizer *t, const train_response *r) {
    json_t *mask = json_array(), *text = json_array();
    for (size_t i = 0; i < r->n; i++) {
        json_array_append_new(mask, json_real(r->mask ? (double)r->mask[i] : 1));
        json_array_append_new(text, token_text(t, r->tokens[i]));
    }
    json_t *object = json_pack("{s:o,s:o,s:o}", "tokens", ids_json(r->tokens, r->n), "mask", mask, "text", text);
    json_t *rewards = r->token_rewards ? json_array() : NULL;
    for (size_t i = 0; rewards && i < r->n; i++)
        json_array_append_new(rewards, json_real((double)r->token_rewards[i]));
    if (rewards)
        json_object_set_new(object, "token_rewards", rewards);
    return object;
}

static char *preview_json(const agon_dataset *d, const train_row *row, size_t i) {
    json_t *responses = json_array();
    for (size_t k = 0; k < row->n_responses; k++)
        json_array_append_new(responses, response_json(d->t, &row->responses[k]));
    char place[ROW_PLACE_SIZE];
    json_t *object = json_pack("{s:I,s:o,s:o,s:o}", "row", (json_int_t)i + 1, "where", utf8_json(row->file ? row_place(row, 0, place) : NULL), "prompt", ids_json(row->prompt, row->n_prompt),
                               "responses", responses);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

agon_status agon_dataset_preview(agon_ctx *ctx, const agon_dataset *d, size_t i, bool as_json, char **text) {
    FP_ENVIRONMENT();
    size_t n;
    agon_status s = OPTIONS_GIVEN(ctx, {"the dataset", d, 1}, {"the place for the text", text, 1});
    if (s)
        return s;
    const train_row *rows = dataset_rows(d->d, &n);
    if (i >= n)
        return ctx_fail(ctx, AGON_EINVAL, "there is no row %zu; the data has %zu", i, n);
    char *made = as_json ? preview_json(d, &rows[i], i) : dataset_preview(d->d, d->t, i);
    if (!made)
        return ctx_no_memory(ctx);
    *text = made;
    return AGON_OK;
}

/* agon.h, files of rows: convert, divide, and what a dataset holds. */
#include "api/dataset.h"
#include "api/options.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "train/convert.h"
#include "train/selection.h"
#include <stdlib.h>

agon_status agon_data_convert(agon_ctx *ctx, const char *from, const char *format, const char *to, bool skip_bad,
                              char **json) {
    FP_ENVIRONMENT();
    data_format f = DATA_AUTO;
    convert_report r = {0};
    agon_status s = OPTIONS_GIVEN(ctx, {"the file to convert", from, 1}, {"the file to write", to, 1}, {"the place for the answer", json, 1});
    if (!s && format)
        s = data_format_find(ctx, format, &f);
    if (!s)
        s = convert_file(ctx, from, f, to, skip_bad, &r);
    if (s)
        return s;
    json_t *formats = json_object();
    for (size_t i = 0; i < N_DATA_FORMATS; i++)
        if (r.by_format[i])
            json_object_set_new(formats, data_format_name((data_format)i), json_integer((json_int_t)r.by_format[i]));
    json_t *object = json_pack("{s:I,s:I,s:I,s:o}", "rows", (json_int_t)r.n_rows, "skipped", (json_int_t)r.n_skipped, "cut_turns",
                               (json_int_t)r.n_cut, "formats", formats);
    bool whole = object && json_object_set_new(object, "skipped_rows", r.skipped ? json_incref(r.skipped) : json_array()) == 0 &&
                 json_object_set_new(object, "cut_rows", r.cut ? json_incref(r.cut) : json_array()) == 0;
    convert_report_free(&r);
    if (!whole) {
        json_decref(object);
        object = NULL;
    }
    return json_give_take(ctx, object, json);
}

agon_status agon_data_split(agon_ctx *ctx, const char *from, uint64_t seed, const char *const *paths, const double *shares,
                            size_t n, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the file to divide", from, 1}, {"the array of shares", shares, n}, {"the place for the answer", json, 1});
    if (!s)
        s = options_texts(ctx, "the files to write", paths, n);
    if (s)
        return s;
    split_part *parts = calloc(n ? n : 1, sizeof *parts);
    split_report report = {0};
    if (!parts)
        return ctx_no_memory(ctx);
    for (size_t k = 0; k < n; k++)
        parts[k] = (split_part){.path = paths[k], .share = shares[k]};
    s = split_file(ctx, from, seed, parts, n, &report);
    json_t *list = s ? NULL : json_array();
    for (size_t k = 0; !s && k < n; k++)
        json_array_append_new(list, json_pack("{s:o,s:I}", "path", utf8_json(parts[k].path), "rows", (json_int_t)parts[k].n_rows));
    free(parts);
    return s ? s : json_give_take(ctx, json_pack("{s:o,s:I,s:I}", "parts", list, "duplicates", (json_int_t)report.n_duplicates, "guessed_prompts",
                                 (json_int_t)report.n_guessed), json);
}

agon_dataset_options agon_dataset_options_default(void) {
    return (agon_dataset_options){.struct_size = sizeof(agon_dataset_options)};
}

/* Share of the tokens' room that best-fit packing into rows of `capacity` would fill. */
static agon_status packing(agon_ctx *ctx, const agon_dataset *d, size_t capacity, double *out) {
    size_t n, n_bins = 0, tokens = 0;
    const train_row *rows = dataset_rows(d->d, &n);
    size_t *lengths = calloc(n ? n : 1, 2 * sizeof *lengths);
    if (!lengths)
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        lengths[i] = rows[i].n_prompt;
        for (size_t k = 0; k < rows[i].n_responses; k++)
            lengths[i] += rows[i].responses[k].n;
        tokens += lengths[i];
        capacity = lengths[i] > capacity ? lengths[i] : capacity;
    }
    agon_status s = pack_best_fit(ctx, lengths, n, capacity, lengths + n, &n_bins);
    free(lengths);
    if (!s)
        *out = n_bins ? (double)tokens / ((double)n_bins * (double)capacity) : 0;
    return s;
}

/* What of the file is not trained on; NULL: out of memory. */
static json_t *unused_json(const agon_dataset *d, const dataset_summary *x) {
    json_t *faults = json_object(), *skipped = json_array(), *unread = json_object();
    data_fault fault;
    const char *sentence;
    for (size_t f = 0; f < N_DATA_FAULTS; f++)
        if (x->faults[f])
            json_object_set_new(faults, data_fault_name((data_fault)f), json_integer((json_int_t)x->faults[f]));
    for (size_t i = 0; (sentence = dataset_skipped(d->d, i, &fault)); i++)
        json_array_append_new(skipped, json_pack("{s:s,s:s}", "fault", data_fault_name(fault), "sentence", sentence));
    for (size_t f = 0; f < N_OPTIONAL_FIELDS; f++)
        if (x->unread[f])
            json_object_set_new(unread, row_optional_field(f), json_integer((json_int_t)x->unread[f]));
    return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o}", "implicit_prompts", (json_int_t)x->n_implicit, "space_only", (json_int_t)x->n_space_only, "skipped", (json_int_t)x->n_skipped, "faults", faults, "skipped_rows", skipped, "unread", unread);
}

agon_status agon_dataset_unused(agon_ctx *ctx, const agon_dataset *d, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the dataset", d, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    dataset_summary x = dataset_summarise(d->d);
    return json_give_take(ctx, unused_json(d, &x), json);
}

agon_status agon_dataset_report(agon_ctx *ctx, const agon_dataset *d, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the dataset", d, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    dataset_summary x = dataset_summarise(d->d);
    double packed = 0;
    s = packing(ctx, d, d->max_length, &packed);
    if (s)
        return s;
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"rows", x.n_rows},
                  {"responses", x.n_responses},
                  {"prompt_tokens", x.n_prompt_tokens},
                  {"response_tokens", x.n_response_tokens},
                  {"supervised_tokens", x.n_supervised},
                  {"longest", x.longest},
                  {"truncated", x.n_truncated},
                  {"double_end", x.n_double_end}};
    json_t *object = unused_json(d, &x);
    if (object) {
        json_object_set_new(object, "objective", json_string(d->objective->name));
        json_object_set_new(object, "packing", json_real(packed));
    }
    for (size_t i = 0; object && i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(object, counts[i].name, json_integer((json_int_t)counts[i].value));
    json_t *dimensions = d->n_dimensions ? json_object() : NULL;
    for (size_t i = 0; i < d->n_dimensions; i++)
        json_object_set_new(dimensions, d->dimensions[i], json_integer((json_int_t)dataset_n_of_dimension(d->d, i)));
    if (object && dimensions)
        json_object_set(object, "dimensions", dimensions);
    json_decref(dimensions);
    json_t *adapters = d->n_adapters ? json_object() : NULL;
    for (size_t i = 0; i < d->n_adapters; i++)
        json_object_set_new(adapters, d->adapters[i], json_integer((json_int_t)dataset_n_of_adapter(d->d, i)));
    if (object && adapters)
        json_object_set(object, "adapters", adapters);
    json_decref(adapters);
    const size_t *q = x.spans.quotes;
    if (object && x.spans.offsets + q[QUOTE_NONE] + q[QUOTE_EXACT] + q[QUOTE_FOLDED] + q[QUOTE_FUZZY])
        json_object_set_new(object, "spans", json_pack("{s:I,s:I,s:I,s:I,s:I}", "offsets", (json_int_t)x.spans.offsets, "exact",
                                                       (json_int_t)q[QUOTE_EXACT], "folded", (json_int_t)q[QUOTE_FOLDED], "fuzzy",
                                                       (json_int_t)q[QUOTE_FUZZY], "not_found", (json_int_t)q[QUOTE_NONE]));
    return json_give_take(ctx, object, json);
}

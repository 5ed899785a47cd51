/* Writing a model out, with an adapter merged when one is given: W + (alpha/rank) B A, the sum formed in
 * double and rounded once to f32 before the file's own type. Merging rounds, so the export can be opened
 * again and compared: the reported error is what a user of the file sees, merge and file type together. */
#include "model/model_private.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct merge {
    const model *model;
    const adapter *adapter; /* NULL: none */
    double *row;            /* [widest n_in] */
} merge;

/* The adapter's item for "model.layers.<l>.<path>.weight"; NULL when the tensor is not adapted. */
static const lora *find_item(const adapter *a, const char *name, linear_kind *kind) {
    char wanted[128];
    for (size_t l = 0; l < a->config.n_layers; l++)
        for (int k = 0; k < N_LINEARS; k++) {
            snprintf(wanted, sizeof wanted, "model.layers.%zu.%s.weight", l, linear_path(k));
            if (strcmp(wanted, name) != 0)
                continue;
            *kind = (linear_kind)k;
            return a->items[l * N_LINEARS + (size_t)k].a ? adapter_item(a, l, k) : NULL;
        }
    return NULL;
}

static void merge_rows(const merge *g, const lora *item, linear_kind kind, float *w) {
    const adapter *a = g->adapter;
    size_t n_in = linear_n_in(&a->config, kind), n_out = linear_n_out(&a->config, kind);
    for (size_t o = 0; o < n_out; o++) {
        memset(g->row, 0, n_in * sizeof *g->row);
        for (size_t r = 0; r < a->rank; r++) {
            double b = item->b_value[o * a->rank + r];
            for (size_t i = 0; i < n_in; i++)
                g->row[i] += b * (double)item->a_value[r * n_in + i];
        }
        for (size_t i = 0; i < n_in; i++)
            w[o * n_in + i] = (float)((double)w[o * n_in + i] + (double)adapter_scale(a) * g->row[i]);
    }
}

static agon_status merged_tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const merge *g = arg;
    linear_kind kind = LINEAR_Q;
    if (g->adapter && heads_tensor(g->adapter->heads, name, n, out))
        return AGON_OK;
    agon_status status = model_tensor((void *)g->model, ctx, name, n, out);
    const lora *item = status || !g->adapter ? NULL : find_item(g->adapter, name, &kind);
    if (item)
        merge_rows(g, item, kind, out);
    return status;
}

static agon_status last_logits(agon_ctx *ctx, const model *m, const adapter *a, const token_list *text,
                               float *logits) {
    workspace *w = NULL;
    segment s = {.tokens = text->ids, .n_tokens = text->n, .parent = -1, .adapter = a, .wants = WANT_LOGITS};
    segment_batch batch = {&s, 1};
    token_channels out = {.logits = logits};
    agon_status status = workspace_new(ctx, 0, &w);
    if (!status)
        status = model_forward(ctx, m, w, &batch, &out);
    workspace_free(w);
    return status;
}

static agon_status compare(agon_ctx *ctx, const model *m, const adapter *a, const char *path, double *error) {
    static const char text[] = "The critic reads the answer, names its first mistake and says how to mend it.";
    model *again = NULL;
    token_list ids = {0};
    size_t n = m->config.n_vocabulary;
    float *logits = malloc(2 * n * sizeof *logits);
    agon_status status = logits ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory checking an export");
    if (!status)
        status = model_open(ctx, path, m->dtype, &again);
    if (!status)
        status = tokenizer_encode(ctx, m->tokenizer, text, sizeof text - 1, false, &ids);
    if (ids.n > m->config.max_context)
        ids.n = m->config.max_context;
    if (!status)
        status = last_logits(ctx, m, a, &ids, logits);
    if (!status)
        status = last_logits(ctx, again, NULL, &ids, logits + n);
    double worst = 0;
    for (size_t i = 0; i < n && !status; i++)
        worst = fmax(worst, fabs((double)logits[i] - (double)logits[n + i]));
    if (!status)
        *error = worst;
    token_list_free(&ids);
    model_free(again);
    free(logits);
    return status;
}

/* The scale of the reward head that was written, beside it. */
static agon_status write_scale(agon_ctx *ctx, const model *m, const adapter *a, const char *folder) {
    const scalar_head *head = a && a->heads[HEAD_REWARD] ? a->heads[HEAD_REWARD] : m->heads[HEAD_REWARD];
    char path[4096], *text = NULL;
    if (!head || !(head->scale.std > 0))
        return AGON_OK;
    if (snprintf(path, sizeof path, "%s/" REWARD_SCALE_FILE, folder) >= (int)sizeof path)
        return ctx_fail(ctx, AGON_EINVAL, "%.100s...: the name is too long", folder);
    agon_status status = reward_scale_text(ctx, &head->scale, &text);
    if (!status)
        status = file_write(ctx, path, text, strlen(text));
    free(text);
    return status;
}

/* Ours ends at a sliding window, the model need not. */
static model_config written_config(const model *m) {
    model_config config = m->config;
    if (m->weights)
        config.max_context = weights_config(m->weights)->max_context;
    return config;
}

agon_status model_export_check(agon_ctx *ctx, const model *m, const char *folder) {
    model_config config = written_config(m);
    return export_hf_check(ctx, folder, &config);
}

agon_status model_export(agon_ctx *ctx, model *m, const adapter *a, const char *format, const char *dtype,
                         const char *path, double *merge_error) {
    bool gguf = strcmp(format, "gguf") == 0;
    if (!gguf && strcmp(format, "hf") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "unknown format '%s'; hf and gguf are known", format);
    if (!m->tokenizer)
        return ctx_fail(ctx, AGON_EINVAL, "the model has no tokenizer to write beside it");
    if (a && !adapter_fits(a, &m->config))
        return ctx_fail(ctx, AGON_EINVAL, "the adapter was made for another model's sizes");
    unsigned stored = heads_mask(m->heads) | (a ? heads_mask(a->heads) : 0);
    if (gguf && stored & 1u << HEAD_REWARD)
        return ctx_fail(ctx, AGON_EUNSUPPORTED, "a GGUF file has no place for the reward head; use format hf");
    size_t widest = m->config.d_ff > m->config.d_model ? m->config.d_ff : m->config.d_model;
    size_t heads = m->config.n_heads * m->config.head_dim;
    merge g = {.model = m, .adapter = a, .row = malloc((widest > heads ? widest : heads) * sizeof(double))};
    if (!g.row)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory exporting a model");
    model_config config = written_config(m);
    agon_status status = gguf ? export_gguf(ctx, path, &config, m->tokenizer, dtype, merged_tensor, &g)
                              : export_hf(ctx, path, &config, m->tokenizer, dtype, stored, merged_tensor, &g);
    free(g.row);
    if (!status)
        status = write_scale(ctx, m, a, path);
    if (!status && merge_error)
        status = compare(ctx, m, a, path, merge_error);
    return status;
}

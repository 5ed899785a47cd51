/* A language model of the user's that reads labelled rows: it is its own class head, by how likely it makes each class's word after the row
 * (objective/choices.c), and learns by a LoRA adapter on the frozen weights. See w2s_rows.h.
 *
 * Deviation from 2312.09390, which tunes all weights under a linear head: LoRA, since two cores do not train 135 million weights and their moments in
 * minutes; and the model's own words for the classes, whose likelihoods are what it knows before it is taught. */
#include "base/ctx.h"
#include "experiment/w2s_rows.h"
#include "train/data.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ROWS = 4, TRIAL_ROWS = 8 };

struct w2s_reader {
    model *m;
    char id[HASH_HEX_SIZE];
    dataset *rows; /* all that were read */
};

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* What is wrong with the first row left out, by its line. */
static agon_status cannot_be_asked(agon_ctx *ctx, const w2s_table *t, const char *key, const dataset *d) {
    data_fault fault;
    const char *sentence = dataset_skipped(d, 0, &fault), *colon = strchr(sentence, ':');
    size_t number = strtoul(sentence + strcspn(sentence, "0123456789"), NULL, 10);
    return ctx_fail(ctx, AGON_EINVAL, "%s:%zu: cannot be put to the %s model: %.300s", t->file.path, t->rows[number - 1].line, key,
                    colon ? colon + 2 : sentence);
}

static agon_status read_rows(agon_ctx *ctx, const char *key, const w2s_table *t, w2s_reader *r) {
    json_t *rows = json_array();
    agon_status s = rows ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < t->n && !s; i++)
        if (json_array_append_new(rows, w2s_table_choices(t, i)) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = dataset_from_json(ctx, model_tokenizer(r->m), rows, objective_find("choices"), NULL, 0, false, &r->rows);
    json_decref(rows);
    if (s == AGON_EINVAL) /* none at all */
        s = ctx_prefix(ctx, s, "%s: the %s model", t->file.path, key);
    return s || !dataset_summarise(r->rows).n_skipped ? s : cannot_be_asked(ctx, t, key, r->rows);
}

agon_status w2s_reader_open(const lab *l, const char *key, const w2s_table *t, w2s_reader **out) {
    w2s_reader *r = calloc(1, sizeof *r);
    if (!r)
        return ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    agon_status s = lab_open_model(l, key, &r->m, r->id);
    if (!s)
        s = read_rows(l->ctx, key, t, r);
    if (s)
        w2s_reader_free(r);
    else
        *out = r;
    return s;
}

void w2s_reader_free(w2s_reader *r) {
    if (!r)
        return;
    dataset_free(r->rows);
    model_free(r->m);
    free(r);
}

const char *w2s_reader_id(const w2s_reader *r) {
    return r->id;
}

size_t w2s_reader_context(const w2s_reader *r) {
    return model_get_config(r->m)->max_context;
}

static const train_row *row_at(const w2s_reader *r, size_t i) {
    size_t n;
    return &dataset_rows(r->rows, &n)[i];
}

size_t w2s_reader_length(const w2s_reader *r, size_t i) {
    const train_row *row = row_at(r, i);
    size_t n = row->n_prompt;
    for (size_t k = 0; k < row->n_responses; k++)
        n += row->responses[k].n;
    return n;
}

/* ---- learning ------------------------------------------------------------------------------------------------- */

/* labels and weights NULL: as they were read, and 1. lab_rows_free also after a failure. */
static agon_status label_rows(const w2s_reader *r, agon_ctx *ctx, const w2s_table *t, const size_t *which, size_t n, const double *labels,
                              const double *weights, lab_rows *out) {
    *out = (lab_rows){0};
    agon_status s = arena_new(ctx, 0, &out->memory);
    if (!s && !(out->rows = arena_take(out->memory, n + 1, sizeof *out->rows)))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        const train_row *from = row_at(r, t->rows[which[i]].at);
        train_response *choices = arena_take(out->memory, from->n_responses, sizeof *choices);
        if (!choices)
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
        if (weights && weights[i] == 0)
            continue;
        memcpy(choices, from->responses, from->n_responses * sizeof *choices);
        for (size_t k = 0; k < from->n_responses && labels; k++)
            choices[k].label = labels[i * t->n_classes + k];
        train_row *to = &out->rows[out->n++];
        *to = *from;
        to->responses = choices;
        to->weight = weights ? weights[i] : 1;
    }
    return s;
}

agon_status w2s_reader_learn(const w2s_reader *r, lab *l, agon_ctx *ctx, const w2s_table *t, const size_t *which, size_t n, const double *labels,
                             const double *weights, const lab_training *how, size_t rank, adapter **out) {
    const adapter_options shape = {.rank = rank, .alpha = 2 * (float)rank, .seed = seed_derive(how->seed, "adapter")};
    adapter *a = NULL;
    lab_rows rows;
    agon_status s = label_rows(r, ctx, t, which, n, labels, weights, &rows);
    if (!s)
        s = adapter_new(ctx, r->m, &shape, &a);
    if (!s)
        s = lab_train_adapter(l, ctx, r->m, a, &rows, how);
    lab_rows_free(&rows);
    if (s)
        adapter_free(a);
    else
        *out = a;
    return s;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

/* P(class) of n <= ASK_ROWS rows at once, each a prompt and its choices. */
static agon_status ask(const w2s_reader *r, agon_ctx *ctx, workspace *work, const adapter *a, const w2s_table *t, const size_t *which, size_t n,
                       double *p) {
    segment segments[ASK_ROWS * (1 + MAX_CLASSES)];
    size_t n_segments = 0, n_tokens = 0, at = 0, n_classes = t->n_classes;
    for (size_t i = 0; i < n; i++) {
        const train_row *row = row_at(r, t->rows[which[i]].at);
        int root = (int)n_segments;
        segments[n_segments++] = (segment){.tokens = row->prompt, .n_tokens = row->n_prompt, .parent = -1, .adapter = a};
        n_tokens += row->n_prompt;
        for (size_t k = 0; k < n_classes; k++) {
            const train_response *c = &row->responses[k];
            segments[n_segments++] = (segment){.tokens = c->tokens, .n_tokens = c->n, .parent = root, .adapter = a, .wants = WANT_LOG_PROB};
            n_tokens += c->n;
        }
    }
    float *log_prob = memory_new(n_tokens, sizeof *log_prob);
    const token_channels out = {.log_prob = log_prob};
    agon_status s = log_prob ? model_forward(ctx, r->m, work, &(segment_batch){segments, n_segments}, &out)
                             : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        double z[MAX_CLASSES];
        at += segments[i * (1 + n_classes)].n_tokens;
        for (size_t k = 0; k < n_classes; k++) {
            z[k] = 0;
            for (size_t j = 0; j < segments[i * (1 + n_classes) + 1 + k].n_tokens; j++)
                z[k] += (double)log_prob[at++];
        }
        double lse = logsumexp(z, n_classes);
        for (size_t k = 0; k < n_classes; k++)
            p[i * n_classes + k] = exp(z[k] - lse);
    }
    free(log_prob);
    return s;
}

agon_status w2s_reader_ask(const w2s_reader *r, const lab *l, agon_ctx *ctx, const adapter *a, const w2s_table *t, const size_t *which, size_t n,
                           double *p) {
    workspace *work = NULL;
    agon_status s = workspace_new(ctx, 0, &work);
    for (size_t i = 0; i < n && !s; i += ASK_ROWS) {
        s = ask(r, ctx, work, a, t, which + i, n - i < ASK_ROWS ? n - i : ASK_ROWS, p + i * t->n_classes);
        s = s ? s : ctx_check_interrupt(l->ctx);
    }
    workspace_free(work);
    return s;
}

/* ---- what it takes -------------------------------------------------------------------------------------------- */

agon_status w2s_reader_forecast(const w2s_reader *r, const lab *l, const w2s_table *t, size_t rank, size_t batch, forecast *out) {
    *out = forecast_new(l->ctx, r->m, rank, (size_t)l->ctx->n_threads);
    train_options o = train_options_default();
    size_t longest = 0;
    lab_rows rows;
    o.objective = objective_find("choices");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = batch;
    for (size_t i = 0; i < t->n; i++) {
        size_t own = w2s_reader_length(r, t->rows[i].at);
        longest = own > longest ? own : longest;
    }
    agon_status s = label_rows(r, l->ctx, t, t->order, t->n, NULL, NULL, &rows);
    if (!s) {
        forecast_training(out, rows.rows, rows.n, &o);
        forecast_scoring(out, ASK_ROWS * longest, ASK_ROWS * longest, false);
    }
    lab_rows_free(&rows);
    return s;
}

agon_status w2s_reader_try(const w2s_reader *r, lab *l, agon_ctx *ctx, const w2s_table *t, const size_t *which, size_t n, size_t rank, double *train,
                           double *ask_one) {
    const lab_training how = {.objective = "choices", .steps = 1, .batch = TRIAL_ROWS, .lr = 1e-6, .seed = 1};
    double p[TRIAL_ROWS * MAX_CLASSES], start = lab_seconds();
    adapter *a = NULL;
    n = n < TRIAL_ROWS ? n : TRIAL_ROWS;
    agon_status s = w2s_reader_learn(r, l, ctx, t, which, n, NULL, NULL, &how, rank, &a);
    *train = (lab_seconds() - start) / (double)n;
    start = lab_seconds();
    if (!s)
        s = w2s_reader_ask(r, l, ctx, a, t, which, n, p);
    *ask_one = (lab_seconds() - start) / (double)n;
    adapter_free(a);
    return s;
}

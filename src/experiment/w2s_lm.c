/* Weak-to-strong with a language model of the user's as the strong student. It reads a statement in words (sequence_words) and judges it by
 * what it would have said itself: P(true) = sigmoid(likelihood * log(policy / reference)) of the answer's words after the source's, the
 * policy being a LoRA adapter and the reference the model without it. So a language model is its own class head, and `classify` and
 * `aux-confidence` train it from soft labels. The base is frozen and shared by all trainings; each has an adapter of its own, from the
 * same start under one seed and task.
 *
 * Deviations from 2312.09390, which tunes all weights with a linear head on the last token: LoRA, since 135 million weights with their moments do
 * not train in minutes on two cores; no linear head, since SmolLM2 learnt nothing by one (450 statements left it at chance). */
#include "experiment/weak_to_strong.h"
#include "base/ctx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ROWS = 8, TEXT_SIZE = 512, TRIAL_ROWS = 16 };

struct w2s_lm {
    model *m;
    char id[HASH_HEX_SIZE];
    size_t rank, steps, batch;
    double lr;
};

/* ---- the model ----------------------------------------------------------------------------------------------- */

static agon_status take_options(const w2s *w, w2s_lm *x) {
    const lab *l = w->l;
    size_t epochs = 0;
    agon_status s = lab_int(l, "rank", 1, 1024, &x->rank);
    if (!s)
        s = lab_int(l, "strong_epochs", 1, 1000, &epochs);
    if (!s)
        s = lab_int(l, "strong_batch", 32, 4096, &x->batch);
    if (!s)
        s = lab_real(l, "strong_lr", 1e-9, 1, &x->lr);
    return s ? s : lab_steps(l, "strong_batch", "rows", epochs, w->n_train, x->batch, &x->steps);
}

agon_status w2s_lm_check(const w2s *w) {
    w2s_lm x = {0};
    return take_options(w, &x);
}

agon_status w2s_lm_open(const w2s *w, w2s_lm **out) {
    lab *l = w->l;
    w2s_lm *x = calloc(1, sizeof *x);
    if (!x)
        return ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    agon_status s = take_options(w, x);
    if (!s)
        s = lab_open_model(l, "model", &x->m, x->id);
    if (s)
        w2s_lm_free(x);
    else
        *out = x;
    return s;
}

void w2s_lm_free(w2s_lm *x) {
    if (x)
        model_free(x->m);
    free(x);
}

const char *w2s_lm_id(const w2s_lm *x) {
    return x->id;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

/* The tokens of a text in `memory`; of one that goes on from a row's prompt. */
static agon_status encode(const w2s_lm *x, agon_ctx *ctx, arena *memory, const char *text, const train_row *behind, const int32_t **tokens,
                          size_t *n) {
    const tokenizer *t = model_tokenizer(x->m);
    token_list list = {0};
    agon_status s = !behind ? tokenizer_encode_raw(ctx, t, text, strlen(text), &list)
                            : tokenizer_encode_more(ctx, t, behind->prompt, behind->n_prompt, text, strlen(text), false, &list);
    int32_t *copy = s ? NULL : arena_take(memory, list.n, sizeof *copy);
    if (copy)
        memcpy(copy, list.ids, list.n * sizeof *copy);
    else if (!s)
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    *tokens = copy, *n = list.n;
    token_list_free(&list);
    return s;
}

static agon_status add_row(const w2s_lm *x, agon_ctx *ctx, const sequence_item *item, double label, double weight, lab_rows *out) {
    char source[TEXT_SIZE], text[TEXT_SIZE];
    train_response *r = arena_take(out->memory, 1, sizeof *r);
    train_row *row = &out->rows[out->n];
    if (!r)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    *r = (train_response){.reward = NAN, .advantage = NAN, .label = label, .weight = 1};
    *row = (train_row){.responses = r, .n_responses = 1, .weight = weight};
    sequence_words(item->tokens, item->n_source, source, sizeof source);
    sequence_words(item->tokens, item->n, text, sizeof text);
    agon_status s = encode(x, ctx, out->memory, source, NULL, &row->prompt, &row->n_prompt);
    if (!s)
        s = encode(x, ctx, out->memory, text + strlen(source), row, &r->tokens, &r->n);
    out->n += !s;
    return s;
}

/* labels and weights [n], NULL: none and 1; items of weight 0 are left out. lab_rows_free also after a failure. */
static agon_status read_items(const w2s_lm *x, agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels,
                              const double *weights, lab_rows *out) {
    *out = (lab_rows){0};
    agon_status s = arena_new(ctx, 0, &out->memory);
    if (!s && !(out->rows = arena_take(out->memory, n + 1, sizeof *out->rows)))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        if (!weights || weights[i] > 0)
            s = add_row(x, ctx, &items[i], labels ? labels[i] : NAN, weights ? weights[i] : 1, out);
    return s;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* Each row under the adapter and without it, in one batch of trees. */
static size_t segments_of(const adapter *a, const train_row *rows, size_t n, segment *out) {
    size_t n_tokens = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        const train_row *row = &rows[i / 2];
        const train_response *r = row->responses;
        const adapter *own = i % 2 == 0 ? a : NULL;
        out[2 * i] = (segment){.tokens = row->prompt, .n_tokens = row->n_prompt, .parent = -1, .adapter = own};
        out[2 * i + 1] = (segment){.tokens = r->tokens, .n_tokens = r->n, .parent = (int)(2 * i), .adapter = own,
                                   .wants = WANT_LOG_PROB};
        n_tokens += row->n_prompt + r->n;
    }
    return n_tokens;
}

/* P(true) of n <= ASK_ROWS rows at once. */
static agon_status ask(const w2s *w, agon_ctx *ctx, workspace *work, const adapter *a, const train_row *rows, size_t n, double *p) {
    const w2s_lm *x = w->lm;
    segment segments[4 * ASK_ROWS];
    size_t n_tokens = segments_of(a, rows, n, segments), at = 0;
    float *log_prob = memory_new(n_tokens, sizeof *log_prob);
    const token_channels out = {.log_prob = log_prob};
    agon_status s = log_prob ? model_forward(ctx, x->m, work, &(segment_batch){segments, 4 * n}, &out)
                             : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < 2 * n && !s; i++) {
        const train_row *row = &rows[i / 2];
        double sum = 0;
        at += row->n_prompt;
        for (size_t j = 0; j < row->responses->n; j++)
            sum += (double)log_prob[at++];
        p[i / 2] = i % 2 == 0 ? sum : 1 / (1 + exp(-w->likelihood * (p[i / 2] - sum)));
    }
    free(log_prob);
    return s;
}

static agon_status judge(const w2s *w, agon_ctx *ctx, const adapter *a, const sequence_item *items, size_t n, double *p) {
    workspace *work = NULL;
    lab_rows rows;
    agon_status s = read_items(w->lm, ctx, items, n, NULL, NULL, &rows);
    if (!s)
        s = workspace_new(ctx, 0, &work);
    for (size_t i = 0; i < n && !s; i += ASK_ROWS) {
        s = ask(w, ctx, work, a, rows.rows + i, n - i < ASK_ROWS ? n - i : ASK_ROWS, p + i);
        s = s ? s : ctx_check_interrupt(w->l->ctx);
    }
    workspace_free(work);
    lab_rows_free(&rows);
    return s;
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

/* A new adapter on these labels. */
static agon_status learn(const w2s *w, agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels,
                         const double *weights, const lab_training *given, adapter **out) {
    const w2s_lm *x = w->lm;
    const adapter_options shape = {.rank = x->rank, .alpha = 2 * (float)x->rank, .seed = seed_derive(given->seed, "adapter")};
    lab_training t = *given;
    lab_rows rows;
    t.batch = x->batch;
    t.lr = x->lr;
    agon_status s = read_items(x, ctx, items, n, labels, weights, &rows);
    if (!s)
        s = adapter_new(ctx, x->m, &shape, out);
    if (!s)
        s = lab_train_adapter(w->l, ctx, x->m, *out, &rows, &t);
    lab_rows_free(&rows);
    return s;
}

agon_status w2s_lm_learn(const w2s *w, agon_ctx *ctx, const w2s_items *s, const sequence_item *items, const double *labels,
                         const double *weights, const lab_training *given, double *p) {
    adapter *a = NULL;
    lab_training t = *given;
    t.steps = w->lm->steps;
    for (size_t i = 0; i < w->n_all; i++)
        p[i] = NAN;
    agon_status status = learn(w, ctx, items, w->n_train, labels, weights, &t, &a);
    if (!status)
        status = judge(w, ctx, a, s->test, w->n_test, p + (s->test - s->items));
    adapter_free(a);
    return status;
}

/* ---- how much memory ------------------------------------------------------------------------------------------ */

/* Items of every family as long as they come, on all cores at once. */
agon_status w2s_lm_admit(const w2s *w, const size_t *families, size_t n) {
    const w2s_lm *x = w->lm;
    agon_ctx *ctx = w->l->ctx;
    forecast f = forecast_new(ctx, x->m, x->rank, (size_t)ctx->n_threads);
    train_options o = train_options_default();
    o.objective = objective_find("classify");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = x->batch;
    agon_status s = objective_set(ctx, o.objective, "likelihood=1", o.objective_options);
    for (size_t i = 0; i < n && !s; i++) {
        sequence_item items[TRIAL_ROWS];
        lab_rows rows = {0};
        size_t longest = 0;
        s = sequence_draw_set(ctx, families[i], 7, NULL, NULL, 0, true, TRIAL_ROWS, items);
        if (!s)
            s = read_items(x, ctx, items, TRIAL_ROWS, NULL, NULL, &rows);
        for (size_t k = 0; k < rows.n && !s; k++)
            longest = rows.rows[k].n_prompt + rows.rows[k].responses->n > longest ? rows.rows[k].n_prompt + rows.rows[k].responses->n : longest;
        if (!s) {
            forecast_training(&f, rows.rows, rows.n, &o);
            forecast_scoring(&f, 2 * ASK_ROWS * longest, 2 * ASK_ROWS * longest, false);
        }
        lab_rows_free(&rows);
    }
    return s ? s : lab_admit(w->l, &f);
}

/* ---- how long it takes --------------------------------------------------------------------------------------- */

typedef struct trial {
    const w2s *w;
    const size_t *families;
    double *seconds;
} trial;

static agon_status try_family(void *arg, agon_ctx *ctx, size_t i) {
    const trial *t = arg;
    const w2s *w = t->w;
    const lab_training training = {.objective = "classify", .settings = {"likelihood=1"}, .steps = TRIAL_ROWS / w->lm->batch + 1, .seed = 1};
    sequence_item items[TRIAL_ROWS];
    double labels[TRIAL_ROWS], p[TRIAL_ROWS], start = lab_seconds();
    adapter *a = NULL;
    agon_status s = sequence_draw_set(ctx, t->families[i], 7, NULL, NULL, 0, true, TRIAL_ROWS, items);
    for (size_t k = 0; k < TRIAL_ROWS; k++)
        labels[k] = items[k].truth;
    if (!s)
        s = learn(w, ctx, items, TRIAL_ROWS, labels, NULL, &training, &a);
    double trained = lab_seconds() - start;
    if (!s)
        s = judge(w, ctx, a, items, TRIAL_ROWS, p);
    double asked = lab_seconds() - start - trained;
    t->seconds[i] = trained / (double)training.steps * (double)w->lm->steps + asked / TRIAL_ROWS * (double)w->n_test;
    adapter_free(a);
    return s;
}

agon_status w2s_lm_try(const w2s *w, const size_t *families, size_t n, double *seconds) {
    trial t = {.w = w, .families = families, .seconds = seconds};
    return lab_run(w->l, n, try_family, &t);
}

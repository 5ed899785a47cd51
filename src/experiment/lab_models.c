/* The laboratory's models: made, trained, asked. See lab.h. */
#include "experiment/lab.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ITEMS = 64 };
static const bool yes = true;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
}

/* ---- sizes and models -------------------------------------------------------------------------------------- */

static model_config config_of(const lab_size *size) {
    size_t head_dim = size->width % 16 == 0 ? 16 : 8;
    model_config c = {.architecture = "llama",
                      .n_layers = size->layers,
                      .d_model = size->width,
                      .n_heads = size->width / head_dim,
                      .n_kv_heads = size->width / head_dim,
                      .head_dim = head_dim,
                      .d_ff = 3 * size->width,
                      .n_vocabulary = SEQUENCE_VOCABULARY,
                      .max_context = 2 * SEQUENCE_MAX,
                      .norm_eps = 1e-5f,
                      .rope_theta = 10000,
                      .rope_scaling = "none",
                      .tied_embeddings = true};
    return c;
}

size_t lab_model_n_values(const lab_size *size) {
    size_t d = size->width;
    return SEQUENCE_VOCABULARY * d + size->layers * (4 * d * d + 9 * d * d + 2 * d) + d;
}

agon_status lab_model_new(agon_ctx *ctx, const lab_size *size, uint64_t seed, lab_model **out) {
    lab_model *x = calloc(1, sizeof *x);
    if (!x)
        return no_memory(ctx);
    x->init = (model_init){.config = config_of(size), .seed = seed};
    agon_status s = model_random(ctx, &x->init, COMPUTE_F32, &x->m);
    if (s)
        lab_model_free(x);
    else
        *out = x;
    return s;
}

agon_status lab_model_copy(agon_ctx *ctx, const lab_model *from, lab_model **out) {
    lab_model *x = calloc(1, sizeof *x);
    if (!x)
        return no_memory(ctx);
    x->init = from->init;
    agon_status s = model_copy(ctx, from->m, &x->m);
    if (s)
        lab_model_free(x);
    else
        *out = x;
    return s;
}

agon_status lab_model_shake(agon_ctx *ctx, lab_model *x, double share, uint64_t seed) {
    parameters p = {0};
    agon_status s = model_make_trainable(ctx, x->m, &p);
    for (size_t i = 0; i < p.n && !s; i++) {
        float *value = NULL;
        size_t n = p.items[i].n_rows * p.items[i].n_columns;
        if ((s = parameter_copy(ctx, &p.items[i], &value)))
            break;
        double squares = 0;
        rng r = rng_new(seed_derive(seed, p.items[i].name));
        for (size_t j = 0; j < n; j++)
            squares += (double)value[j] * (double)value[j];
        for (size_t j = 0; j < n; j++)
            value[j] += (float)(share * sqrt(squares / (double)n) * (2 * rng_uniform(&r) - 1));
        parameter_set(ctx, &p.items[i], 0, p.items[i].n_rows, value);
        free(value);
    }
    if (!s)
        model_changed(x->m);
    return s;
}

agon_status lab_open_model(const lab *l, const char *key, model **out, char id[HASH_HEX_SIZE]) {
    return lab_open_named(l, json_string_value(json_object_get(l->settings, key)), out, id);
}

agon_status lab_open_named(const lab *l, const char *name, model **out, char id[HASH_HEX_SIZE]) {
    char *path = NULL;
    hash256 hash;
    agon_status s = l->find_model(l->ctx, name, &path);
    if (!s)
        s = model_open(l->ctx, path, COMPUTE_BF16, out);
    if (!s)
        s = model_id(l->ctx, *out, &hash);
    if (!s)
        hash_hex(&hash, id);
    free(path);
    return s;
}

agon_status lab_open_adapter(const lab *l, const char *key, model *m, char id[HASH_HEX_SIZE], adapter **out) {
    const char *folder = json_string_value(json_object_get(l->settings, key));
    char both[2 * HASH_HEX_SIZE], own[HASH_HEX_SIZE];
    if (!*folder)
        return AGON_OK;
    agon_status s = adapter_open(l->ctx, m, folder, out);
    if (s)
        return ctx_prefix(l->ctx, s, "%s", key);
    hash256 hash = adapter_hash(*out);
    hash_hex(&hash, own);
    snprintf(both, sizeof both, "%s %s", id, own);
    hash = hash_text(both);
    hash_hex(&hash, id);
    return AGON_OK;
}

void lab_model_free(lab_model *x) {
    if (!x)
        return;
    model_free(x->m);
    free(x);
}

agon_status lab_learn(lab *l, agon_ctx *ctx, size_t seed, const char *key, const sequence_item *corpus, size_t batch, double *loss) {
    char stage[64];
    snprintf(stage, sizeof stage, "%s %zu", key, seed);
    return lab_pretrained(l, ctx, &l->ladder[0], stage, lab_seed(l, seed, "model"), corpus, l->n_corpus, batch, l->corpus_lr, &l->models[seed],
                          loss);
}

agon_status lab_draw(const lab *l, agon_ctx *ctx, uint64_t seed, const sequence_item *taken, size_t n_taken, size_t n, sequence_item *out) {
    return sequence_draw_set(ctx, l->family, seed, &yes, taken, n_taken, true, n, out);
}

agon_status lab_draw_corpus(const lab *l, agon_ctx *ctx, size_t seed, const sequence_item *taken, size_t n_taken, sequence_item **out) {
    *out = calloc(l->n_corpus, sizeof **out);
    return *out ? sequence_draw_set(ctx, l->family, lab_seed(l, seed, "corpus"), &yes, taken, n_taken, false, l->n_corpus, *out) : no_memory(ctx);
}

agon_status lab_draw_blurred(const lab *l, agon_ctx *ctx, size_t seed, double share, const sequence_item *taken, size_t n_taken,
                             sequence_item **out) {
    agon_status s = lab_draw_corpus(l, ctx, seed, taken, n_taken, out);
    rng r = rng_new(lab_seed(l, seed, "blur"));
    for (size_t i = 0; i < l->n_corpus && !s; i++)
        sequence_blur(&r, share, &(*out)[i]);
    return s;
}

agon_status lab_corpus(agon_ctx *ctx, size_t family, uint64_t seed, double verdicts, const sequence_item *taken, size_t n_taken,
                       size_t n, sequence_item *out) {
    size_t judged = (size_t)(verdicts * (double)n);
    agon_status s = sequence_draw_set(ctx, family, seed_derive(seed, "judged"), NULL, taken, n_taken, false, judged, out);
    for (size_t i = 0; i < judged && !s; i++)
        sequence_add_verdict(&out[i]);
    return s ? s : sequence_draw_set(ctx, family, seed_derive(seed, "plain"), &yes, taken, n_taken, false, n - judged, out + judged);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static agon_status rows_begin(agon_ctx *ctx, size_t n, lab_rows *out) {
    *out = (lab_rows){0};
    agon_status s = arena_new(ctx, 0, &out->memory);
    if (!s && !(out->rows = arena_take(out->memory, n + 1, sizeof *out->rows)))
        s = no_memory(ctx);
    return s;
}

void lab_rows_free(lab_rows *r) {
    arena_free(r->memory);
    *r = (lab_rows){0};
}

/* A row of k responses that share the first n_prompt tokens of items[0]. NULL: out of memory. */
static train_response *add_row(lab_rows *r, const sequence_item *const *items, size_t k, size_t n_prompt, double weight) {
    train_response *responses = arena_take(r->memory, k, sizeof *responses);
    int32_t *prompt = arena_take(r->memory, n_prompt + 1, sizeof *prompt);
    if (!responses || !prompt)
        return NULL;
    memcpy(prompt, items[0]->tokens, n_prompt * sizeof *prompt);
    for (size_t i = 0; i < k; i++) {
        size_t n = items[i]->n - n_prompt;
        int32_t *tokens = arena_take(r->memory, n, sizeof *tokens);
        if (!tokens)
            return NULL;
        memcpy(tokens, items[i]->tokens + n_prompt, n * sizeof *tokens);
        responses[i] = (train_response){.tokens = tokens, .n = n, .reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
    }
    r->rows[r->n++] = (train_row){.prompt = prompt, .n_prompt = n_prompt, .responses = responses, .n_responses = k,
                                  .weight = weight};
    return responses;
}

agon_status lab_keep_tokens(agon_ctx *ctx, agon_status s, token_list *list, arena *memory, const int32_t **tokens, size_t *n) {
    int32_t *copy = s ? NULL : arena_take(memory, list->n, sizeof *copy);
    if (!s && !copy)
        s = no_memory(ctx);
    if (!s)
        memcpy(copy, list->ids, list->n * sizeof *copy);
    *tokens = copy, *n = list->n;
    token_list_free(list);
    return s;
}

agon_status lab_documents(agon_ctx *ctx, const sequence_item *items, size_t n, lab_rows *out) {
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++)
        /* The family's mark is given, not learnt: a row with a prompt is one tree. */
        if (!add_row(out, (const sequence_item *const[]){&items[i]}, 1, 1, 1))
            s = no_memory(ctx);
    return s;
}

static agon_status labelled(agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels, const double *weights,
                            bool answers, lab_rows *out) {
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++) {
        double weight = weights ? weights[i] : 1;
        if (weight == 0)
            continue;
        train_response *r = add_row(out, (const sequence_item *const[]){&items[i]}, 1, answers ? items[i].n_source : items[i].n - 1, weight);
        if (!r)
            s = no_memory(ctx);
        else
            r->label = labels[i];
    }
    return s;
}

agon_status lab_labelled(agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels, const double *weights,
                         lab_rows *out) {
    return labelled(ctx, items, n, labels, weights, false, out);
}

agon_status lab_labelled_answers(agon_ctx *ctx, const sequence_item *items, size_t n, const double *labels, const double *weights,
                                 lab_rows *out) {
    return labelled(ctx, items, n, labels, weights, true, out);
}

agon_status lab_answers(agon_ctx *ctx, const sequence_item *items, size_t n, const double *weights, lab_rows *out) {
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++)
        if ((!weights || weights[i] > 0) && items[i].n > items[i].n_source &&
            !add_row(out, (const sequence_item *const[]){&items[i]}, 1, items[i].n_source, weights ? weights[i] : 1))
            s = no_memory(ctx);
    return s;
}

agon_status lab_answers_weighted(agon_ctx *ctx, const sequence_item *items, size_t n, const float *token_weights, lab_rows *out) {
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++) {
        const float *weights = token_weights + i * SEQUENCE_MAX + items[i].n_source;
        size_t n_answer = items[i].n - items[i].n_source;
        bool any = false;
        for (size_t j = 0; j < n_answer; j++)
            any = any || weights[j] > 0;
        if (!any)
            continue;
        float *mask = arena_take(out->memory, n_answer, sizeof *mask);
        train_response *r = mask ? add_row(out, (const sequence_item *const[]){&items[i]}, 1, items[i].n_source, 1) : NULL;
        if (!r)
            s = no_memory(ctx);
        else
            r->mask = memcpy(mask, weights, n_answer * sizeof *mask);
    }
    return s;
}

agon_status lab_pairs(agon_ctx *ctx, const sequence_item *chosen, const sequence_item *rejected, size_t n,
                      const double *labels, lab_rows *out) {
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++) {
        train_response *r = add_row(out, (const sequence_item *const[]){&chosen[i], &rejected[i]}, 2, chosen[i].n_source, 1);
        if (!r)
            s = no_memory(ctx);
        else
            r[0].label = labels ? labels[i] : NAN;
    }
    return s;
}

agon_status lab_groups(agon_ctx *ctx, const sequence_item *items, const double *rewards, size_t n, size_t k, lab_rows *out) {
    const sequence_item **group = malloc(k * sizeof *group);
    if (!group)
        return no_memory(ctx);
    agon_status s = rows_begin(ctx, n, out);
    for (size_t i = 0; i < n && !s; i++) {
        for (size_t j = 0; j < k; j++)
            group[j] = &items[i * k + j];
        train_response *r = add_row(out, group, k, group[0]->n_source, 1);
        if (!r)
            s = no_memory(ctx);
        for (size_t j = 0; j < k && !s; j++)
            r[j].reward = rewards[i * k + j];
    }
    free(group);
    return s;
}

/* ---- training ---------------------------------------------------------------------------------------------- */

typedef struct watch {
    const lab *l;
    agon_ctx *ctx;
    const lab_training *t;
    double loss, n;
} watch;

static agon_status on_step(void *arg, const train_progress *p) {
    watch *w = arg;
    if (10 * p->step > 9 * p->n_steps) {
        w->loss += p->loss;
        w->n++;
    }
    size_t marks = w->t->n_marks, mark = p->step * marks / p->n_steps;
    agon_status s = w->t->at_mark && mark > (p->step - 1) * marks / p->n_steps ? w->t->at_mark(w->t->mark_arg, w->ctx, mark - 1) : AGON_OK;
    return s ? s : atomic_load(&w->l->ctx->interrupted) ? AGON_EINTERRUPTED : AGON_OK;
}

/* All weights of m, or the adapter where there is one. */
static agon_status train_rows(lab *l, agon_ctx *ctx, model *m, adapter *a, const lab_rows *rows, const lab_training *t) {
    train_options o = train_options_default();
    o.objective = objective_find(t->objective);
    assert(o.objective);
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = t->batch;
    o.epochs = 0;
    o.max_steps = t->steps;
    o.lr = (float)t->lr;
    o.warmup = 0.05;
    o.seed = t->seed;
    if (t->small_loss > 0)
        o.selection = (train_selection){.tau = t->small_loss, .ramp = 0.1, .level = t->small_loss_level, .span = t->small_loss_span, .co_teach = t->partner, .partner_model = t->partner ? t->partner->m : NULL};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < 8 && t->settings[i] && !s; i++)
        s = objective_set(ctx, o.objective, t->settings[i], o.objective_options);
    const bool head = objective_needs_with(o.objective, o.objective_options) & NEEDS_HEAD;
    if (!s && head)
        s = a ? adapter_add_head(ctx, a, HEAD_REWARD, 0, 0) : model_add_head(ctx, m, HEAD_REWARD, 0, 0);
    if (!s && head && t->partner)
        s = model_add_head(ctx, t->partner->m, HEAD_REWARD, 0, 0);
    watch w = {.l = l, .ctx = ctx, .t = t};
    const train_sink sink = {.on_step = on_step, .arg = &w};
    if (!s)
        s = train(ctx, m, a, t->reference, NULL, rows->rows, rows->n, &o, &sink, NULL);
    if (!s && t->loss)
        *t->loss = w.loss / w.n;
    return s;
}

agon_status lab_train(lab *l, agon_ctx *ctx, lab_model *x, const lab_rows *rows, const lab_training *t) {
    return train_rows(l, ctx, x->m, NULL, rows, t);
}

agon_status lab_train_adapter(lab *l, agon_ctx *ctx, model *m, adapter *a, const lab_rows *rows, const lab_training *t) {
    return train_rows(l, ctx, m, a, rows, t);
}

static agon_status copy_values(agon_ctx *ctx, const parameters *p, double *x, bool into_model) {
    size_t at = 0;
    for (size_t i = 0; i < p->n; i++) {
        const parameter *q = &p->items[i];
        float *values = NULL;
        agon_status s = parameter_copy(ctx, q, &values);
        if (s)
            return s;
        for (size_t j = 0; j < q->n_rows * q->n_columns; j++, at++) {
            if (into_model)
                values[j] = (float)x[at];
            else
                x[at] = (double)values[j];
        }
        if (into_model)
            parameter_set(ctx, q, 0, q->n_rows, values);
        free(values);
    }
    return AGON_OK;
}

static agon_status train_documents(lab *l, agon_ctx *ctx, lab_model *x, const sequence_item *corpus, size_t n, size_t batch,
                                   double lr, uint64_t seed, double *loss) {
    lab_rows rows;
    agon_status s = lab_documents(ctx, corpus, n, &rows);
    const lab_training t = {.objective = "nll", .steps = n / batch, .batch = batch, .lr = lr, .seed = seed, .loss = loss};
    if (!s)
        s = lab_train(l, ctx, x, &rows, &t);
    lab_rows_free(&rows);
    return s;
}

agon_status lab_pretrained(lab *l, agon_ctx *ctx, const lab_size *size, const char *key, uint64_t seed,
                           const sequence_item *corpus, size_t n, size_t batch, double lr, lab_model **out, double *loss) {
    lab_model *x = NULL;
    parameters p;
    bool found = false;
    size_t n_values = lab_model_n_values(size);
    double *values = memory_new(n_values + 1, sizeof *values); /* and the loss */
    agon_status s = values ? lab_model_new(ctx, size, seed, &x) : no_memory(ctx);
    if (!s)
        s = model_make_trainable(ctx, x->m, &p);
    if (!s)
        s = lab_recall(l, ctx, key, values, n_values + 1, &found);
    if (!s && found) {
        s = copy_values(ctx, &p, values, true);
        model_changed(x->m);
    } else if (!s) {
        s = train_documents(l, ctx, x, corpus, n, batch, lr, seed, &values[n_values]);
        if (!s)
            s = copy_values(ctx, &p, values, false);
        if (!s)
            s = lab_keep(l, ctx, key, values, n_values + 1);
    }
    if (!s)
        *loss = values[n_values];
    free(values);
    if (s)
        lab_model_free(x);
    else
        *out = x;
    return s;
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

typedef struct asker {
    agon_ctx *ctx;
    const model *m;
    workspace *work;
    float *hidden, *logits, *log_prob; /* of ASK_ITEMS items */
} asker;

static agon_status asker_open(asker *a, agon_ctx *ctx, const model *m) {
    const model_config *c = model_get_config(m);
    *a = (asker){.ctx = ctx, .m = m};
    a->hidden = memory_new(ASK_ITEMS * SEQUENCE_MAX * c->d_model, sizeof *a->hidden);
    a->logits = memory_new(ASK_ITEMS * c->n_vocabulary, sizeof *a->logits);
    a->log_prob = memory_new(ASK_ITEMS * SEQUENCE_MAX, sizeof *a->log_prob);
    return a->hidden && a->logits && a->log_prob ? workspace_new(ctx, 0, &a->work) : no_memory(ctx);
}

static void asker_close(asker *a) {
    free(a->hidden);
    free(a->logits);
    free(a->log_prob);
    workspace_free(a->work);
}

static agon_status ask(asker *a, const segment *segments, size_t n) {
    const segment_batch batch = {segments, n};
    const token_channels out = {.hidden = a->hidden, .logits = a->logits, .log_prob = a->log_prob};
    return model_forward(a->ctx, a->m, a->work, &batch, &out);
}

static agon_status ask_items(asker *a, const sequence_item *items, size_t n, unsigned wants) {
    segment segments[ASK_ITEMS];
    for (size_t k = 0; k < n; k++)
        segments[k] = (segment){.tokens = items[k].tokens, .n_tokens = items[k].n, .parent = -1, .wants = wants};
    return ask(a, segments, n);
}

agon_status lab_judge(agon_ctx *ctx, const lab_model *x, const sequence_item *items, size_t n, double *p) {
    agon_status s = lab_reward(ctx, x, items, n, p);
    for (size_t i = 0; i < n && !s; i++)
        p[i] = 1 / (1 + exp(-p[i]));
    return s;
}

agon_status lab_reward(agon_ctx *ctx, const lab_model *x, const sequence_item *items, size_t n, double *out) {
    asker a;
    const scalar_head *head = model_scalar_head(x->m, HEAD_REWARD);
    size_t width = model_get_config(x->m)->d_model;
    assert(head);
    agon_status s = asker_open(&a, ctx, x->m);
    for (size_t i = 0, take; i < n && !s; i += take) {
        take = n - i < ASK_ITEMS ? n - i : ASK_ITEMS;
        s = ask_items(&a, items + i, take, WANT_HIDDEN);
        for (size_t k = 0, end = 0; k < take && !s; k++) {
            end += items[i + k].n;
            scalar_head_forward(head, a.hidden + (end - 1) * width, 1, &out[i + k]);
        }
    }
    asker_close(&a);
    return s;
}

agon_status lab_score_tokens(agon_ctx *ctx, const lab_model *x, const sequence_item *items, size_t n, double *out) {
    asker a;
    agon_status s = asker_open(&a, ctx, x->m);
    for (size_t i = 0, take; i < n && !s; i += take) {
        take = n - i < ASK_ITEMS ? n - i : ASK_ITEMS;
        s = ask_items(&a, items + i, take, WANT_LOG_PROB);
        for (size_t k = 0, at = 0; k < take && !s; at += items[i + k].n, k++) {
            double *to = out + (i + k) * SEQUENCE_MAX;
            for (size_t j = 0; j < SEQUENCE_MAX; j++)
                to[j] = j >= items[i + k].n_source && j < items[i + k].n ? (double)a.log_prob[at + j] : 0;
        }
    }
    asker_close(&a);
    return s;
}

agon_status lab_score(agon_ctx *ctx, const lab_model *x, const sequence_item *items, size_t n, double *out) {
    double *tokens = memory_new(n + 1, SEQUENCE_MAX * sizeof *tokens);
    agon_status s = tokens ? lab_score_tokens(ctx, x, items, n, tokens) : no_memory(ctx);
    for (size_t i = 0; i < n && !s; i++) {
        out[i] = 0;
        for (size_t j = items[i].n_source; j < items[i].n; j++)
            out[i] += tokens[i * SEQUENCE_MAX + j];
    }
    free(tokens);
    return s;
}

/* A token from logits: the largest (ties: the smaller id), or by inverse transform of u. *log_prob: of log_softmax(logits / t). */
static int32_t pick(const float *logits, size_t n, double temperature, double u, double *log_prob) {
    double t = temperature > 0 ? temperature : 1, top = -INFINITY, sum = 0, below = 0;
    size_t best = 0;
    for (size_t i = 0; i < n; i++)
        if ((double)logits[i] > top)
            top = (double)logits[i], best = i;
    for (size_t i = 0; i < n; i++)
        sum += exp(((double)logits[i] - top) / t);
    for (size_t i = 0; i < n && temperature > 0; i++) {
        best = i;
        if ((below += exp(((double)logits[i] - top) / t)) > u * sum)
            break;
    }
    *log_prob = ((double)logits[best] - top) / t - log(sum);
    return (int32_t)best;
}

/* One more token for each of the unfinished items. */
static agon_status extend(asker *a, sequence_item *items, const size_t *open, size_t n, double temperature, uint64_t seed,
                          size_t first, double *log_prob) {
    segment segments[ASK_ITEMS];
    size_t vocabulary = model_get_config(a->m)->n_vocabulary;
    for (size_t k = 0; k < n; k++)
        segments[k] = (segment){.tokens = items[open[k]].tokens, .n_tokens = items[open[k]].n, .parent = -1,
                                .wants = WANT_LOGITS};
    agon_status s = ask(a, segments, n);
    for (size_t k = 0; k < n && !s; k++) {
        sequence_item *item = &items[open[k]];
        rng r = rng_new(seed_derivef(seed, "%zu,%zu", first + open[k], item->n));
        double one;
        item->tokens[item->n++] = pick(a->logits + k * vocabulary, vocabulary, temperature, rng_uniform(&r), &one);
        log_prob[open[k]] += one;
    }
    return s;
}

agon_status lab_complete(agon_ctx *ctx, const lab_model *x, const sequence_item *items, size_t n, double temperature,
                         uint64_t seed, sequence_item *out, double *log_prob) {
    asker a;
    agon_status s = asker_open(&a, ctx, x->m);
    for (size_t i = 0, take; i < n && !s; i += take) {
        double sums[ASK_ITEMS] = {0};
        size_t open[ASK_ITEMS], n_open;
        take = n - i < ASK_ITEMS ? n - i : ASK_ITEMS;
        for (size_t k = 0; k < take; k++) {
            out[i + k] = items[i + k];
            out[i + k].n = items[i + k].n_source;
        }
        for (;;) {
            n_open = 0;
            for (size_t k = 0; k < take; k++) {
                const sequence_item *o = &out[i + k];
                if (o->n < SEQUENCE_MAX && (o->n == o->n_source || o->tokens[o->n - 1] != SEQUENCE_END))
                    open[n_open++] = k;
            }
            if (n_open == 0 || s)
                break;
            s = extend(&a, out + i, open, n_open, temperature, seed, i, sums);
        }
        for (size_t k = 0; k < take && log_prob; k++)
            log_prob[i + k] = sums[k] / (double)(out[i + k].n - out[i + k].n_source);
    }
    asker_close(&a);
    return s;
}

agon_status lab_skill(const lab *l, agon_ctx *ctx, const lab_model *m, const sequence_item *items, size_t n, double *greedy, double *likely) {
    sequence_item *answers = malloc(n * sizeof *answers);
    double *log_probs = malloc(n * sizeof *log_probs);
    agon_status s = answers && log_probs ? lab_complete(ctx, m, items, n, 0, 0, answers, NULL) : no_memory(ctx);
    if (!s)
        s = lab_score(ctx, m, items, n, log_probs);
    *greedy = *likely = 0;
    for (size_t i = 0; i < n && !s; i++) {
        *greedy += sequence_verify(l->family, answers[i].tokens, answers[i].n) / (double)n;
        *likely += exp(log_probs[i]) / (double)n;
    }
    free(answers);
    free(log_probs);
    return s;
}

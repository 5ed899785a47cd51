/* The trainer's loop: rows of a step to channels, objective, gradients, one AdamW update.
 *
 *   before step 1:  log_probs at sampling of rows that bring none (train_start.c)
 *   for each step:  rows = order(seed, step);  gradients = 0
 *     coupling below STEP   per row: forward keeping activations, reference (cached), loss of the row,
 *                           gradients * normaliser(row)/normaliser(step), backward
 *     STEP                  score all rows, loss of all, then recompute and backward row by row
 *     clip by one global norm; AdamW; repack; checkpoint
 *
 * Only scalars couple the rows, so one tree's activations are in memory at a time (training.md 0.8).
 * Nothing here depends on wall time or threads. Equations: training.md section 9. */
#include "train/train_private.h"
#include "base/available.h"
#include "compute/adamw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

train_options train_options_default(void) {
    return (train_options){
        .batch_rows = 8,
        .epochs = 1,
        .lr = 1e-4f,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .eps = 1e-8f,
        .clip_norm = 1,
        .schedule = SCHEDULE_COSINE,
        .warmup = 0.03,
        .temperature = 1,
        .preferences = {.vectors = 4},
        .selection = {.ramp = 0.1, .span = 4},
    };
}

/* ---- what can be refused before anything runs ------------------------------------------------------ */

static agon_status check_options(agon_ctx *ctx, const train_options *o, size_t n_rows) {
    if (!o->objective)
        return ctx_fail(ctx, AGON_EINVAL, "train: no objective is given");
    if (n_rows == 0)
        return ctx_fail(ctx, AGON_EINVAL, "train: there are no rows to train on");
    if (o->batch_rows == 0 || (o->epochs == 0 && o->max_steps == 0))
        return ctx_fail(ctx, AGON_EINVAL, "train: batch_rows and epochs (or max_steps) must be 1 or more");
    if (!(o->lr >= 0) || !isfinite(o->lr) || !(o->beta1 >= 0 && o->beta1 < 1) || !(o->beta2 >= 0 && o->beta2 < 1) ||
        !(o->eps > 0) || !(o->weight_decay >= 0) || !(o->clip_norm >= 0))
        return ctx_fail(ctx, AGON_EINVAL, "train: lr, weight_decay and clip_norm must be 0 or more, beta1 and beta2 "
                        "from 0 to below 1, eps above 0");
    if (!(o->warmup >= 0 && o->warmup <= 1) || !temperature_is_valid(o->temperature))
        return ctx_fail(ctx, AGON_EINVAL, "train: warmup is a share from 0 to 1, temperature 0 (which means 1) or %g to %g",
                        (double)LEAST_TEMPERATURE, (double)MOST_TEMPERATURE);
    if (o->batch_rows < o->objective->least_batch)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s takes what it needs from all rows of a step: batch_rows (--batch) must be %zu or more",
                        o->objective->name, o->objective->least_batch);
    /* Steps of fewer than least_batch rows are left where all rows are fewer: a threshold can still be taken of them, a mismatched pair not. */
    if (n_rows < 2 && (o->objective->needs & NEEDS_MISMATCHED))
        return ctx_fail(ctx, AGON_EINVAL, "train: %s compares each prompt with the answer to another; it needs 2 rows or more, and here is one",
                        o->objective->name);
    return AGON_OK;
}

/* What the objective weighs an answer by under these options, which may be others than the rows were read for. */
static agon_status check_numbers(agon_ctx *ctx, const train_row *rows, size_t i, const objective *o, unsigned needs) {
    const train_row *r = &rows[i];
    const bool either = needs & NEEDS_ADVANTAGE, several = r->n_responses > 1;
    char place[ROW_PLACE_SIZE];
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *x = &r->responses[k];
        if ((needs & NEEDS_REWARD) && isnan(x->reward) && !(either && !isnan(x->advantage)))
            return ctx_fail(ctx, AGON_EINVAL, "%s: reward%s%s is missing; %s needs it", row_place(rows, i, place), several ? "s" : "",
                            !either ? "" : several ? " (or advantages)" : " (or advantage)", o->name);
        if ((needs & NEEDS_LABEL) && isnan(x->label) && !(k == 1 && r->n_responses == 2)) /* a pair has one */
            return ctx_fail(ctx, AGON_EINVAL, "%s: label is missing; %s needs it", row_place(rows, i, place), o->name);
    }
    return AGON_OK;
}

static agon_status check_row(agon_ctx *ctx, const model *m, const train_row *rows, size_t i, const objective *o, unsigned needs) {
    const train_row *r = &rows[i];
    unsigned kind = r->n_responses == 1   ? ROW_SINGLE | ROW_GROUP
                    : r->n_responses == 2 ? ROW_PAIR | ROW_GROUP
                                          : ROW_GROUP;
    char place[ROW_PLACE_SIZE];
    if (r->n_responses == 0 || !(o->rows & kind))
        return ctx_fail(ctx, AGON_EINVAL, "%s has %zu responses; %s does not take such rows", row_place(rows, i, place), r->n_responses, o->name);
    if (o->most_responses && r->n_responses > o->most_responses)
        return ctx_fail(ctx, AGON_EINVAL, "%s has %zu responses; %s takes %zu at most", row_place(rows, i, place), r->n_responses, o->name, o->most_responses);
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *x = &r->responses[k];
        if (x->n == 0)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu has no tokens", row_place(rows, i, place), k + 1);
        if (r->n_prompt + x->n > model_get_config(m)->max_context)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: prompt and response have %zu tokens and the "
                            "model's context is %zu; give a smaller max_length", row_place(rows, i, place), k + 1, r->n_prompt + x->n,
                            model_get_config(m)->max_context);
        if ((needs & NEEDS_OLD) && !x->old)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: %s needs log_probs at sampling", row_place(rows, i, place),
                            k + 1, o->name);
        if ((needs & NEEDS_TARGETS) && !x->targets)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: %s needs labels of its steps", row_place(rows, i, place), k + 1, o->name);
    }
    return check_numbers(ctx, rows, i, o, needs);
}

/* A mismatched pair is made of two rows of one dimension: where there is one row, none would be. */
static agon_status check_mismatched(agon_ctx *ctx, const train_row *rows, size_t n_rows, size_t n_dimensions, const objective *o) {
    char place[ROW_PLACE_SIZE];
    for (size_t d = 0; (o->needs & NEEDS_MISMATCHED) && d < n_dimensions; d++) {
        size_t n = 0, only = 0;
        for (size_t i = 0; i < n_rows; i++)
            if (rows[i].dimension == d)
                n++, only = i;
        if (n == 1)
            return ctx_fail(ctx, AGON_EINVAL, "%s is the only row of its dimension; %s compares each prompt with the answer to another, so it needs 2 rows or "
                            "more of each", row_place(rows, only, place), o->name);
    }
    return AGON_OK;
}

agon_status train_check(agon_ctx *ctx, const model *m, const train_row *rows, size_t n_rows, size_t n_dimensions, const train_options *o) {
    agon_status s = check_options(ctx, o, n_rows);
    if (!s && n_dimensions)
        s = preference_check_batch(ctx, o, n_dimensions);
    if (!s)
        s = check_mismatched(ctx, rows, n_rows, n_dimensions, o->objective);
    if (!s)
        s = selection_check_options(ctx, o, n_dimensions);
    if (!s)
        s = validation_check(ctx, m, o, n_dimensions);
    const unsigned needs = s ? 0 : objective_needs_with(o->objective, o->objective_options);
    for (size_t i = 0; i < n_rows && !s; i++)
        s = check_row(ctx, m, rows, i, o->objective, needs);
    return s;
}

/* Values may be missing where every row brings its advantage. */
static agon_status check_values(const trainer *t) {
    char place[ROW_PLACE_SIZE];
    for (size_t i = 0; (t->needs & NEEDS_VALUES) && !t->head && i < t->n_data; i++)
        for (size_t k = 0; k < t->data[i].n_responses; k++)
            if (isnan(t->data[i].responses[k].advantage))
                return ctx_fail(t->ctx, AGON_EUNSUPPORTED, "%s, response %zu: %s without a value head needs an advantage", row_place(t->data, i, place),
                                k + 1, t->options->objective->name);
    return AGON_OK;
}

/* ---- set-up -------------------------------------------------------------------------------------- */

static agon_status moments_new(trainer *t) {
    t->moment1 = memory_new(t->params.n, sizeof *t->moment1);
    t->moment2 = memory_new(t->params.n, sizeof *t->moment2);
    for (size_t i = 0; t->moment1 && t->moment2 && i < t->params.n; i++) {
        size_t n = t->params.items[i].n_rows * t->params.items[i].n_columns;
        t->moment1[i] = memory_new(n, sizeof(float));
        t->moment2[i] = memory_new(n, sizeof(float));
        if (!t->moment1[i] || !t->moment2[i])
            return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for the optimiser's moments");
    }
    if (!t->moment1 || !t->moment2)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    return AGON_OK;
}

static agon_status learner_open(trainer *t) {
    agon_status s = t->train ? adapter_parameters(t->ctx, t->train, &t->params) : model_make_trainable(t->ctx, t->m, &t->params);
    return s == AGON_OK ? moments_new(t) : s;
}

static void learner_close(trainer *t) {
    for (size_t i = 0; i < t->params.n; i++) {
        free(t->moment1 ? t->moment1[i] : NULL);
        free(t->moment2 ? t->moment2[i] : NULL);
    }
    free(t->moment1);
    free(t->moment2);
}

/* The head the objective reads. */
static agon_status find_head(trainer *t) {
    head_kind kind = t->needs & NEEDS_HEAD ? HEAD_REWARD : HEAD_VALUE;
    if (!(t->needs & (NEEDS_HEAD | NEEDS_VALUES)))
        return AGON_OK;
    t->head = t->train ? adapter_head(t->train, kind) : model_scalar_head(t->m, kind);
    t->head_only = (t->needs & NEEDS_HEAD) && !(t->needs & NEEDS_LOG_PROB);
    if ((t->needs & NEEDS_HEAD) && !t->head)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: %s learns the outputs of a reward head, and the %s has none",
                        t->options->objective->name, t->train ? "adapter" : "model");
    return AGON_OK;
}

/* Refuses what will not fit before anything is allocated. Where the activations alone do not fit, the workspace gets a limit, and
 * keeps what fits of them: the bits are the same. */
static agon_status plan_memory(trainer *t, size_t *workspace_limit) {
    size_t n_lora = 0, rank = 0;
    if (t->train) {
        rank = adapter_rank(t->train);
        n_lora = adapter_n_values(model_get_config(t->m), rank);
    }
    train_memory n = train_predict(t->m, n_lora, rank, t->data, t->n_data, t->options);
    if (t->train && adapter_n_dimensions(t->train)) /* B and its gradient are no parameters then */
        n.parameters = size_add(n.parameters, size_mul(n_lora, sizeof(float)));
    return memory_check(t->ctx, train_memory_total(&n, memory_room(t->ctx), workspace_limit), "this training",
                        "use shorter rows, LoRA, or a smaller model");
}

/* Copies between the trainer's moments and those its caller carries. */
static void copy_moments(trainer *t, train_moments *m, bool take) {
    size_t at = 0;
    for (size_t i = 0; i < t->params.n; i++) {
        size_t n = t->params.items[i].n_rows * t->params.items[i].n_columns;
        memcpy(take ? t->moment1[i] : m->first + at, take ? m->first + at : t->moment1[i], n * sizeof(float));
        memcpy(take ? t->moment2[i] : m->second + at, take ? m->second + at : t->moment2[i], n * sizeof(float));
        at += n;
    }
}

static size_t n_parameter_values(const trainer *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->params.n; i++)
        n += t->params.items[i].n_rows * t->params.items[i].n_columns;
    return n;
}

static agon_status take_moments(trainer *t) {
    train_moments *m = t->options->moments;
    if (!m || !m->first)
        return AGON_OK;
    if (m->n_values != n_parameter_values(t))
        return ctx_fail(t->ctx, AGON_EMISMATCH, "train: the carried moments are of %zu values; these parameters have %zu",
                        m->n_values, n_parameter_values(t));
    t->first_step = m->step;
    copy_moments(t, m, true);
    return AGON_OK;
}

static agon_status give_moments(trainer *t) {
    train_moments *m = t->options->moments;
    size_t n = n_parameter_values(t);
    if (!m)
        return AGON_OK;
    if (!m->first)
        *m = (train_moments){memory_new(n, sizeof(float)), memory_new(n, sizeof(float)), n, 0};
    if (!m->first || !m->second)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for the optimiser's moments");
    m->step += t->next_step;
    copy_moments(t, m, false);
    return AGON_OK;
}

agon_status trainer_open(trainer *t) {
    agon_ctx *ctx = t->ctx;
    agon_status s = train_check(ctx, t->m, t->data, t->n_data, t->train ? adapter_n_dimensions(t->train) : 0, t->options);
    if (s != AGON_OK)
        return s;
    t->needs = objective_needs_with(t->options->objective, t->options->objective_options);
    if ((t->needs & NEEDS_REFERENCE) && !t->train && !t->reference)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s with full fine-tuning needs a reference model",
                        t->options->objective->name);
    if ((s = find_head(t)) != AGON_OK || (s = preference_open(t)) != AGON_OK || (s = selection_check_partner(t)) != AGON_OK ||
        (s = check_values(t)) != AGON_OK)
        return s;
    size_t workspace_limit = 0;
    s = t->borrows ? AGON_OK : plan_memory(t, &workspace_limit);
    if (s == AGON_OK)
        s = learner_open(t);
    if (s == AGON_OK && t->options->selection.co_teach) {
        swap_learners(t);
        s = find_head(t);
        if (s == AGON_OK)
            s = learner_open(t);
        swap_learners(t);
    }
    if (s == AGON_OK)
        s = take_moments(t);
    if (s == AGON_OK && !t->borrows)
        s = workspace_new(ctx, workspace_limit, &t->work);
    if (s == AGON_OK && !t->borrows)
        s = arena_new(ctx, 0, &t->step);
    if (s != AGON_OK)
        return s;
    t->reference_cache = memory_new(t->n_data, sizeof *t->reference_cache);
    if (!t->reference_cache)
        return ctx_fail(ctx, AGON_ENOMEM, "train: out of memory");
    s = start_new(t);
    if (s == AGON_OK)
        s = validation_open(t);
    return s == AGON_OK ? checkpoint_identity(t, &t->identity) : s;
}

void trainer_close(trainer *t) {
    validation_close(t);
    learner_close(t);
    swap_learners(t);
    learner_close(t);
    for (size_t i = 0; t->reference_cache && i < t->n_data; i++)
        free(t->reference_cache[i]);
    free(t->reference_cache);
    start_free(t);
    free(t->dimension_rows);
    free(t->hidden);
    free(t->d_hidden);
    if (t->borrows)
        return;
    workspace_free(t->work);
    arena_free(t->step);
}

static void parameters_changed(trainer *t) {
    if (t->train)
        adapter_changed(t->ctx, t->train);
    else
        model_changed(t->ctx, t->m);
}

/* ---- step-0 invariants ----------------------------------------------------------------------------- */

agon_status policy_is_reference(trainer *t, bool *out) {
    *out = false;
    if (!(t->needs & NEEDS_REFERENCE) || t->next_step > 0)
        return AGON_OK;
    if (t->train && (!t->reference || t->reference == t->m)) {
        if (t->reference_adapter) {
            hash256 a = adapter_hash(t->train), b = adapter_hash(t->reference_adapter);
            *out = memcmp(&a, &b, sizeof a) == 0;
            return AGON_OK;
        }
        for (size_t i = 0; i < t->params.n; i++) {
            const parameter *p = &t->params.items[i];
            for (size_t j = 0; (strstr(p->name, "lora_B") || strstr(p->name, "lora_U")) && j < p->n_rows * p->n_columns; j++)
                if (p->value[j] != 0)
                    return AGON_OK;
        }
        *out = true;
        return AGON_OK;
    }
    *out = !t->train && t->options->reference_is_start && !t->options->selection.co_teach; /* the second learner starts elsewhere */
    return AGON_OK;
}

/* Both log_probs of a row's tokens are the same bits. */
static agon_status check_same(trainer *t, const row *r, const step_row *index, bool old) {
    char place[ROW_PLACE_SIZE];
    for (size_t k = 0; k < r->n_responses; k++) {
        const response *x = &r->responses[k];
        const double *other = old ? x->old : x->reference;
        for (size_t j = 0; other && j < x->n; j++)
            if (x->log_prob[j] != other[j])
                return ctx_fail(t->ctx, AGON_EMISMATCH, "step 0, %s, response %zu, token %zu: the policy is %s, but their "
                                "log_probs are %.9g and %.9g", row_place(t->data, index->index, place), k + 1, j + 1, old ? "what sampled the row" : "the reference", x->log_prob[j],
                                other[j]);
    }
    return AGON_OK;
}

static agon_status check_start(trainer *t, const step *s) {
    bool equal = false;
    agon_status status = policy_is_reference(t, &equal);
    for (size_t i = 0; i < s->n && status == AGON_OK && equal; i++)
        status = check_same(t, &s->rows[i], &s->index[i], false);
    for (size_t i = 0; i < s->n && status == AGON_OK && t->next_step == 0; i++)
        if (!s->index[i].mismatched /* another prompt's answer */ && (t->options->old_is_start || start_sampled(t, s->index[i].index)))
            status = check_same(t, &s->rows[i], &s->index[i], true);
    return status;
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void count_tokens(const trainer *t, step *s) {
    for (size_t i = 0; i < s->n; i++) {
        s->tokens += t->data[s->index[i].index].n_prompt + row_n_response_tokens(step_responses(t, &s->index[i]));
        for (size_t k = 0; !s->index[i].mismatched && k < s->rows[i].n_responses; k++)
            for (size_t j = 0; j < s->rows[i].responses[k].n; j++)
                s->supervised += s->rows[i].responses[k].mask[j] > 0;
    }
}

/* Each prompt fits with its own answer, and need not with another's. That one only says how the policy has moved on what it was not
 * asked, for which its beginning will do: neither rows that can be learnt from are refused, nor does a step fail that the seed made. */
static agon_status fit_mismatched(trainer *t, step_row *s) {
    const train_row *from = &t->data[s->response_index];
    const size_t room = model_get_config(t->m)->max_context - t->data[s->index].n_prompt;
    size_t longest = 0;
    for (size_t k = 0; k < from->n_responses; k++)
        longest = from->responses[k].n > longest ? from->responses[k].n : longest;
    if (longest <= room)
        return AGON_OK;
    train_row *cut = arena_take(t->step, 1, sizeof *cut);
    train_response *responses = arena_take(t->step, from->n_responses, sizeof *responses);
    if (!cut || !responses)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    memcpy(responses, from->responses, from->n_responses * sizeof *responses);
    for (size_t k = 0; k < from->n_responses; k++)
        responses[k].n = responses[k].n < room ? responses[k].n : room;
    *cut = *from;
    cut->responses = responses;
    s->cut = cut;
    return AGON_OK;
}

agon_status step_of_rows(trainer *t, const size_t *index, size_t n, step *s) {
    bool mismatched = (t->needs & NEEDS_MISMATCHED) && n > 1;
    *s = (step){.n = mismatched ? 2 * n : n};
    s->index = arena_take(t->step, s->n, sizeof *s->index);
    s->rows = arena_take(t->step, s->n, sizeof *s->rows);
    s->losses = arena_take(t->step, s->n, sizeof *s->losses);
    if (!s->index || !s->rows || !s->losses)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < n; i++)
        s->index[i] = (step_row){.index = index[i], .response_index = index[i]};
    agon_status status = AGON_OK;
    for (size_t i = 0; i < s->n - n && status == AGON_OK; i++) {
        s->index[n + i] = (step_row){.index = index[i], .response_index = index[(i + 1) % n], .mismatched = true};
        status = fit_mismatched(t, &s->index[n + i]);
    }
    s->result.losses = s->losses;
    if (status == AGON_OK)
        status = channels_new(t, s->index, s->n, s->rows);
    if (status == AGON_OK)
        count_tokens(t, s);
    return status;
}

agon_status step_batch(trainer *t, const size_t **rows, size_t *n) {
    size_t *order = arena_take(t->step, t->n_data, sizeof *order);
    if (!order)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    *n = order_step(t->options->seed, t->n_data, t->options->batch_rows, t->options->objective->least_batch, t->next_step, order, rows);
    return AGON_OK;
}

const char *row_place(const train_row *rows, size_t i, char out[ROW_PLACE_SIZE]) {
    size_t line = rows[i].line ? rows[i].line : i + 1;
    if (rows[i].file)
        snprintf(out, ROW_PLACE_SIZE, "%.500s:%zu", rows[i].file, line);
    else
        snprintf(out, ROW_PLACE_SIZE, "training row %zu", line);
    return out;
}

enum { STEP_PLACES_SIZE = ROW_PLACE_SIZE + 16 * 24 };

/* "rows.jsonl:3, 17, 5 and 4 more": the rows of a step, in the order the objective numbers them. All are of one file, or in memory. */
static const char *rows_of_step(const trainer *t, const step *s, char text[STEP_PLACES_SIZE]) {
    enum { SHOWN = 16 };
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->n && i < SHOWN && at < STEP_PLACES_SIZE; i++) {
        const train_row *r = &t->data[s->index[i].index];
        char place[ROW_PLACE_SIZE];
        if (i == 0)
            at += (size_t)snprintf(text, STEP_PLACES_SIZE, "%s", row_place(t->data, s->index[i].index, place));
        else
            at += (size_t)snprintf(text + at, STEP_PLACES_SIZE - at, ", %zu", r->line ? r->line : s->index[i].index + 1);
    }
    if (s->n > SHOWN && at < STEP_PLACES_SIZE)
        snprintf(text + at, STEP_PLACES_SIZE - at, " and %zu more", s->n - SHOWN);
    return text;
}

/* "step 7, rows.jsonl:12: ..." for what was said of row i of the step; an objective that was given the step from row i on calls that row 0,
 * the next one row 1, ... */
static agon_status in_row(const trainer *t, const step *s, size_t i, agon_status status) {
    char place[ROW_PLACE_SIZE], said[1024];
    size_t n = 0;
    int used = 0;
    if (status == AGON_OK || status == AGON_EINTERRUPTED)
        return status;
    snprintf(said, sizeof said, "%s", agon_error(t->ctx));
    if (sscanf(said, "row %zu: %n", &n, &used) != 1 || n >= s->n - i)
        n = 0, used = 0;
    return ctx_fail(t->ctx, status, "step %zu, %s: %s", t->next_step + 1, row_place(t->data, s->index[i + n].index, place), said + used);
}

static bool has_gradient(const row *r) {
    for (size_t k = 0; k < r->n_responses; k++)
        for (size_t j = 0; j < r->responses[k].n; j++)
            if ((r->responses[k].d_log_prob && r->responses[k].d_log_prob[j] != 0) ||
                (r->responses[k].d_head && r->responses[k].d_head[j] != 0) ||
                (r->responses[k].d_values && r->responses[k].d_values[j] != 0) || (r->responses[k].d_entropy && r->responses[k].d_entropy[j] != 0) ||
                (r->responses[k].d_mean_log_prob && r->responses[k].d_mean_log_prob[j] != 0))
                return true;
    return false;
}

static agon_status score_row(trainer *t, step *s, size_t i, bool keep) {
    agon_status status = ctx_check_interrupt(t->ctx);
    /* The reference first: a training forward must be followed by its backward. */
    if (status == AGON_OK && (t->needs & NEEDS_REFERENCE))
        status = score_reference(t, &s->index[i], &s->rows[i]);
    if (status == AGON_OK)
        status = keep ? forward_row(t, &s->index[i], &s->rows[i]) : score_policy(t, &s->index[i], &s->rows[i]);
    return status;
}

/* Coupling below STEP: a row's gradient needs that row only. */
static agon_status row_by_row(trainer *t, step *s, double scale) {
    const objective *o = t->options->objective;
    const double *options = t->step_options;
    double total = o->normaliser(options, s->rows, s->n), loss;
    char text[STEP_PLACES_SIZE];
    if (!(total > 0) || !isfinite(total))
        return ctx_fail(t->ctx, AGON_EINVAL, "step %zu: the weights of its tokens and rows (%s) sum to %g; there is nothing to "
                        "average", t->next_step + 1, rows_of_step(t, s, text), total);
    for (size_t i = 0; i < s->n; i++) {
        bool whole = row_is_one_tree(t, &s->index[i]);
        double share = o->normaliser(options, &s->rows[i], 1) / total;
        agon_status status = score_row(t, s, i, whole && share > 0);
        objective_result one = {.losses = &loss};
        if (status == AGON_OK && share > 0)
            status = o->loss(t->ctx, o, options, &s->rows[i], 1, &one);
        if (status == AGON_OK && share > 0 && has_gradient(&s->rows[i]))
            status = whole ? backward_row(t, &s->index[i], &s->rows[i], scale * share)
                           : recompute_backward(t, &s->index[i], &s->rows[i], scale * share);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return AGON_OK;
}

/* The whole step at once, from the log_probs that are known by now. */
static agon_status step_loss(trainer *t, step *s) {
    agon_status status = t->options->objective->loss(t->ctx, t->options->objective, t->step_options, s->rows, s->n, &s->result);
    char text[STEP_PLACES_SIZE];
    if (status == AGON_OK || strncmp(agon_error(t->ctx), "row ", 4) == 0)
        return in_row(t, s, 0, status);
    return ctx_prefix(t->ctx, status, "step %zu, of %s", t->next_step + 1, rows_of_step(t, s, text));
}

agon_status step_score(trainer *t, step *s) {
    for (size_t i = 0; i < s->n; i++) {
        agon_status status = score_row(t, s, i, false);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return step_loss(t, s);
}

/* COUPLED_STEP: score all, coefficients, recompute. */
static agon_status two_passes(trainer *t, step *s, double scale) {
    agon_status status = step_score(t, s);
    if (status != AGON_OK)
        return status;
    for (size_t i = 0; i < s->n; i++) {
        status = ctx_check_interrupt(t->ctx);
        if (status == AGON_OK && has_gradient(&s->rows[i]))
            status = recompute_backward(t, &s->index[i], &s->rows[i], scale);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return AGON_OK;
}

agon_status step_gradients(trainer *t, step *s, double scale) {
    const objective *o = t->options->objective;
    agon_status status = o->coupling == COUPLED_STEP ? two_passes(t, s, scale) : row_by_row(t, s, scale);
    if (status == AGON_OK)
        status = check_start(t, s);
    return status == AGON_OK && o->coupling != COUPLED_STEP ? step_loss(t, s) : status;
}

void clear_gradients(trainer *t) {
    for (size_t i = 0; i < t->params.n; i++)
        memset(t->params.items[i].gradient, 0,
               t->params.items[i].n_rows * t->params.items[i].n_columns * sizeof(float));
}

/* Gradients of the step that is due: of one batch, of what is selected of it, or of every preference vector's. */
static agon_status gradients(trainer *t, step *s, step *partner) {
    const objective *o = t->options->objective;
    const size_t *rows;
    size_t n = 0;
    memcpy(t->step_options, t->options->objective_options, sizeof t->step_options);
    objective_set_progress(o, (double)t->next_step / (double)train_n_steps(t->options, t->n_data), t->step_options);
    objective_set_vocabulary(o, model_get_config(t->m)->n_vocabulary, t->step_options);
    clear_gradients(t);
    if (t->dimension_rows)
        return preference_gradients(t, s);
    if (t->options->selection.tau > 0)
        return selection_gradients(t, s, partner);
    agon_status status = step_batch(t, &rows, &n);
    if (status == AGON_OK)
        status = step_of_rows(t, rows, n, s);
    return status == AGON_OK ? step_gradients(t, s, 1) : status;
}

void add_metric(step *s, const char *name, double value) {
    if (s->result.n_metrics < MAX_METRICS)
        s->result.metrics[s->result.n_metrics++] = (metric){name, value};
}

static agon_status update(trainer *t, step *s) {
    const train_options *o = t->options;
    double squares = 0;
    for (size_t i = 0; i < t->params.n; i++)
        squares += sum_squares(t->ctx, t->params.items[i].gradient, t->params.items[i].n_rows * t->params.items[i].n_columns);
    s->grad_norm = sqrt(squares);
    char text[STEP_PLACES_SIZE];
    if (!isfinite(s->grad_norm))
        return ctx_fail(t->ctx, AGON_ENUMERIC, "step %zu: the gradient of %zu rows (%s) is not finite; a lower learning rate or "
                        "clip_norm may mend it", t->next_step + 1, s->n, rows_of_step(t, s, text));
    size_t n_steps = train_n_steps(o, t->n_data), warmup = (size_t)ceil(o->warmup * (double)n_steps);
    s->lr = schedule_lr(o->schedule, (double)o->lr, warmup, n_steps, 0, t->next_step);
    float scale = (float)clip_scale(s->grad_norm, (double)o->clip_norm);
    adamw_change all = {0};
    double largest = 0; /* ratio of a tensor whose weights are not all zero, as LoRA's B are at first */
    for (size_t i = 0; i < t->params.n; i++) {
        const parameter *p = &t->params.items[i];
        adamw_options a = {.lr = (float)s->lr,
                           .beta1 = o->beta1,
                           .beta2 = o->beta2,
                           .eps = o->eps,
                           .weight_decay = p->decay ? o->weight_decay : 0,
                           .step = (int64_t)(t->first_step + t->next_step) + 1};
        adamw_change c =
            adamw_measured(t->ctx, &a, scale, p->gradient, p->n_rows * p->n_columns, p->value, t->moment1[i], t->moment2[i]);
        all.update += c.update, all.weight += c.weight;
        largest = fmax(largest, c.weight > 0 ? sqrt(c.update / c.weight) : 0);
    }
    add_metric(s, "update_ratio", all.weight > 0 ? sqrt(all.update / all.weight) : 0);
    add_metric(s, "update_ratio_max", largest);
    add_metric(s, "grad_clipped", scale < 1);
    parameters_changed(t);
    return AGON_OK;
}

static agon_status report(const trainer *t, const step *s, const train_sink *sink) {
    if (!sink || !sink->on_step)
        return AGON_OK;
    train_progress progress = {
        .step = t->next_step,
        .n_steps = train_n_steps(t->options, t->n_data),
        .loss = s->result.loss,
        .grad_norm = s->grad_norm,
        .lr = s->lr,
        .tokens = s->tokens,
        .supervised = s->supervised,
        .metrics = s->result.metrics,
        .n_metrics = s->result.n_metrics,
        .member = t->member,
    };
    return sink->on_step(sink->arg, &progress);
}

/* The outputs of the learner that stands, on one row: values may all be finite and what they make of it not. */
static agon_status check_outputs(trainer *t) {
    const size_t first = 0;
    step s;
    arena_reset(t->step);
    agon_status status = step_of_rows(t, &first, 1, &s);
    if (status == AGON_OK)
        status = score_policy(t, &s.index[0], &s.rows[0]);
    for (size_t k = 0; status == AGON_OK && k < s.rows[0].n_responses; k++) {
        const response *r = &s.rows[0].responses[k];
        for (size_t j = 0; j < r->n; j++)
            if ((r->values && !isfinite(r->values[j])) || (r->head && !isfinite(r->head[j])))
                return ctx_fail(t->ctx, AGON_ENUMERIC, "what its head says is not finite");
    }
    return status;
}

static agon_status check_learner(trainer *t) {
    for (size_t i = 0; i < t->params.n; i++) {
        const parameter *p = &t->params.items[i];
        for (size_t j = 0; j < p->n_rows * p->n_columns; j++)
            if (!isfinite(p->value[j]))
                return ctx_fail(t->ctx, AGON_ENUMERIC, "%s[%zu] is not finite", p->name, j);
    }
    return check_outputs(t);
}

/* What is about to be kept must be usable: the next step, which would find out, may never come. */
static agon_status check_learnt(trainer *t) {
    if (t->next_step == t->checked_step)
        return AGON_OK;
    agon_status s = check_learner(t);
    if (s == AGON_OK && t->options->selection.co_teach) {
        swap_learners(t);
        s = check_learner(t);
        swap_learners(t);
    }
    if (s == AGON_OK)
        t->checked_step = t->next_step;
    return s == AGON_ENUMERIC ? ctx_prefix(t->ctx, s, "after step %zu the trained model is of no use, a lower learning rate may mend it",
                                           t->next_step)
                              : s;
}

agon_status trainer_image(trainer *t, char **data, size_t *n) {
    agon_status s = check_learnt(t);
    /* A stop leaves no time for it: the run that goes on finds out, at its end at the latest. */
    return s == AGON_OK || s == AGON_EINTERRUPTED ? checkpoint_write(t, data, n) : s;
}

agon_status trainer_give_image(trainer *t, image_taker take, void *arg) {
    char *data = NULL;
    size_t n = 0;
    agon_status s = trainer_image(t, &data, &n);
    if (s == AGON_OK)
        s = take(arg, t->next_step, data, n);
    free(data);
    return s;
}

bool checkpoint_is_due(const train_options *o, size_t step, size_t n_steps, const train_sink *sink) {
    size_t every = o->checkpoint_every;
    if (!sink || !sink->on_checkpoint)
        return false;
    return step == n_steps || (every > 0 && step % every == 0) || (sink->wants_checkpoint && sink->wants_checkpoint(sink->arg, step));
}

agon_status trainer_step(trainer *t, const train_sink *sink) {
    step s = {0}, partner = {0};
    agon_status status = start_score(t);
    arena_reset(t->step);
    if (status == AGON_OK)
        status = gradients(t, &s, &partner);
    if (status == AGON_OK)
        status = update(t, &s);
    if (status == AGON_OK && t->options->selection.co_teach) {
        swap_learners(t);
        status = update(t, &partner);
        swap_learners(t);
    }
    if (status != AGON_OK)
        return status;
    t->next_step++;
    return report(t, &s, sink);
}

static agon_status run_step(trainer *t, const train_sink *sink) {
    agon_status s = trainer_step(t, sink);
    return s == AGON_OK && checkpoint_is_due(t->options, t->next_step, train_n_steps(t->options, t->n_data), sink) ? trainer_give_image(t, sink->on_checkpoint, sink->arg) : s;
}

bool trainer_is_done(const trainer *t) {
    return t->next_step >= train_n_steps(t->options, t->n_data);
}

agon_status trainer_finish(trainer *t) {
    agon_status s = check_learnt(t);
    if (s == AGON_OK && t->dimension_rows)
        s = preference_even(t);
    if (s == AGON_OK && t->options->selection.tally)
        *t->options->selection.tally = t->tally;
    return s;
}

agon_status train_add_head(agon_ctx *ctx, model *m, adapter *a, const objective *o, const double *options, uint64_t seed) {
    unsigned needs = objective_needs_with(o, options);
    head_kind kind = needs & NEEDS_HEAD ? HEAD_REWARD : HEAD_VALUE;
    double deviation = kind == HEAD_REWARD ? 1 / sqrt((double)model_get_config(m)->d_model + 1) : 0;
    if (!(needs & (NEEDS_HEAD | NEEDS_VALUES)))
        return AGON_OK;
    return a ? adapter_add_head(ctx, a, kind, deviation, seed) : model_add_head(ctx, m, kind, deviation, seed);
}

agon_status trainer_take_up(trainer *t, const void *image, size_t n) {
    agon_status s = checkpoint_read(t, image, n);
    if (s != AGON_OK)
        return s;
    parameters_changed(t);
    if (t->options->selection.co_teach) {
        swap_learners(t);
        parameters_changed(t);
        swap_learners(t);
    }
    return AGON_OK;
}

agon_status train(agon_ctx *ctx, model *m, adapter *adapter, const model *reference,
                  const struct adapter *reference_adapter, const train_row *rows, size_t n_rows,
                  const train_options *options, const train_sink *sink, const void *resume, size_t n_resume) {
    trainer t = {
        .ctx = ctx,
        .m = m,
        .train = adapter,
        .reference = reference,
        .reference_adapter = reference_adapter,
        .data = rows,
        .n_data = n_rows,
        .options = options,
    };
    if (options->selection.co_teach)
        t.other = (learner){.m = options->selection.partner_model ? options->selection.partner_model : m,
                            .train = options->selection.partner};
    agon_status s = trainer_open(&t);
    if (s == AGON_OK && resume)
        s = trainer_take_up(&t, resume, n_resume);
    while (s == AGON_OK) {
        s = validation_run(&t, sink);
        if (s != AGON_OK || trainer_is_done(&t))
            break;
        s = run_step(&t, sink);
    }
    if (s == AGON_OK)
        s = give_moments(&t);
    if (s == AGON_OK)
        s = validation_take_best(&t, sink);
    if (s == AGON_OK)
        s = trainer_finish(&t);
    /* Parameters change at the end of a step only, so what was stopped inside one is still the step before. */
    if (s == AGON_EINTERRUPTED && t.next_step > 0 && sink && sink->on_checkpoint) {
        agon_status stored = trainer_give_image(&t, sink->on_checkpoint, sink->arg);
        s = stored == AGON_OK ? s : stored; /* what was said of the stop stands: what succeeds says nothing */
    }
    trainer_close(&t);
    return s;
}

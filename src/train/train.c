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
#include "base/pool.h"
#include "train/train_private.h"
#include "base/available.h"
#include "compute/adamw.h"
#include <math.h>
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

/* ---- set-up -------------------------------------------------------------------------------------- */

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
        n_lora = adapter_n_values(model_get_config(t->m), rank, adapter_targets(t->train));
    }
    const bool dimensions = t->train && adapter_n_dimensions(t->train);
    train_memory n = train_predict_members(t->m, 1, n_lora, rank, dimensions, t->data, t->n_data, t->options);
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
    return s == AGON_OK ? checkpoint_identity(t, train_fixed_length(t->options, t->data, t->n_data) != NULL, &t->identity) : s;
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
        model_changed(t->m);
}

/* ---- one step -------------------------------------------------------------------------------------- */

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

static agon_status update(trainer *t, step *s) {
    const train_options *o = t->options;
    double squares = 0;
    for (size_t i = 0; i < t->params.n; i++)
        squares += sum_squares(t->ctx, t->params.items[i].gradient, t->params.items[i].n_rows * t->params.items[i].n_columns);
    s->grad_norm = sqrt(squares);
    char text[STEP_PLACES_SIZE];
    if (!isfinite(s->grad_norm))
        return ctx_fail(t->ctx, AGON_ENUMERIC, "step %zu: the gradient of %zu rows (%s) is not finite; a lower learning rate or "
                        "clip_norm may mend it", t->next_step + 1, s->n, step_places(t, s, text));
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
        adamw_change c = p->weights ? matrix_adamw(t->ctx, &a, scale, p->weights, p->gradient, t->moment1[i], t->moment2[i])
                                    : adamw_measured(t->ctx, &a, scale, p->gradient, p->n_rows * p->n_columns, p->value, t->moment1[i],
                                                     t->moment2[i]);
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

static agon_status check_parameter(trainer *t, const parameter *p) {
    agon_status status = AGON_OK;
    float *rows = memory_raw(parameter_piece(p), sizeof *rows);
    if (!rows)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t row = 0, n = 0; !status && parameter_next(p, &row, &n);) {
        parameter_get(t->ctx, p, row, n, rows);
        for (size_t j = 0; j < n * p->n_columns && !status; j++)
            if (!isfinite(rows[j]))
                status = ctx_fail(t->ctx, AGON_ENUMERIC, "%s[%zu] is not finite", p->name, row * p->n_columns + j);
    }
    free(rows);
    return status;
}

static agon_status check_learner(trainer *t) {
    agon_status status = AGON_OK;
    for (size_t i = 0; i < t->params.n && !status; i++)
        status = check_parameter(t, &t->params.items[i]);
    return status ? status : check_outputs(t);
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

agon_status trainer_check(trainer *t) {
    agon_status s = check_learnt(t);
    return s == AGON_EINTERRUPTED ? AGON_OK : s; /* a stop leaves no time for it: the run that goes on finds out, at its end at the latest */
}

agon_status trainer_give_image(trainer *t, image_taker take, void *arg) {
    const train_image image = {.trainers = t, .n = 1};
    agon_status s = trainer_check(t);
    if (s != AGON_OK)
        return s;
    const byte_stream state = image_stream(&image);
    return take(arg, t->next_step, &state);
}

bool checkpoint_is_due(const train_options *o, size_t step, size_t n_steps, const train_sink *sink) {
    size_t every = o->checkpoint_every;
    if (!sink || !sink->on_checkpoint)
        return false;
    return step == n_steps || (every > 0 && step % every == 0) || (sink->wants_checkpoint && sink->wants_checkpoint(sink->arg, step));
}

agon_status trainer_step(trainer *t, const train_sink *sink) {
    step s = {0}, partner = {0};
    const unsigned mode = fp_mode_set(); /* a head's arithmetic and a preference's are done here */
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
    fp_mode_restore(mode);
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

agon_status trainer_take_up(trainer *t, const byte_reader *image) {
    agon_status s = image_read(t, image);
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
                  const train_options *options, const train_sink *sink, const byte_reader *resume) {
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
        s = trainer_take_up(&t, resume);
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

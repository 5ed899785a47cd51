/* What a training on a file is asked to do, and whether it can: options, rows, memory. See training_private.h. */
#include "api/training_private.h"
#include "api/options.h"
#include "base/available.h"
#include "base/fp_environment.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

/* ---- options --------------------------------------------------------------------------------------------- */

/* Panacea's options; they say nothing where the rows have no dimensions. */
static agon_status take_preferences(training *t) {
    const agon_train_options *o = &t->options;
    train_preferences *p = &t->inner.preferences;
    if (!t->d->n_dimensions)
        return AGON_OK;
    bool linear = o->aggregate && strcmp(o->aggregate, "linear") == 0;
    if (!linear && !(o->aggregate && strcmp(o->aggregate, "tchebycheff") == 0))
        return ctx_fail(t->ctx, AGON_EINVAL, "losses of several dimensions are aggregated by linear or tchebycheff, not '%.40s'",
                        o->aggregate ? o->aggregate : "");
    if (o->adapter || o->lora_rank == 0)
        return ctx_fail(t->ctx, AGON_EINVAL, "several dimensions are trained in a new adapter; give it a rank (--lora)");
    if (o->n_ideal && o->n_ideal != t->d->n_dimensions)
        return ctx_fail(t->ctx, AGON_EINVAL, "there are %zu ideal losses for %zu dimensions", o->n_ideal, t->d->n_dimensions);
    p->aggregate = linear ? AGGREGATE_LINEAR : AGGREGATE_TCHEBYCHEFF;
    p->vectors = o->vectors;
    for (size_t i = 0; i < o->n_ideal; i++)
        p->ideal[i] = o->ideal[i];
    return AGON_OK;
}

/* Small-loss selection and co-teaching; the trainer checks shares and objective. */
static agon_status take_selection(training *t) {
    const agon_train_options *o = &t->options;
    if (!(o->small_loss >= 0 && o->small_loss < 1) || !(o->small_loss_ramp >= 0 && o->small_loss_ramp <= 1))
        return ctx_fail(t->ctx, AGON_EINVAL, "the share of rows to leave out (%g) lies from 0 to below 1, its ramp (%g) from 0 to 1", o->small_loss,
                        o->small_loss_ramp);
    if (o->co_teach && !(o->small_loss > 0))
        return ctx_fail(t->ctx, AGON_EINVAL, "co-teaching needs a share of rows that is left out (--small-loss)");
    if (o->co_teach && (o->adapter || o->lora_rank == 0))
        return ctx_fail(t->ctx, AGON_EUNSUPPORTED, "co-teaching trains two new adapters that differ by their seeds, on one frozen model; give "
                        "them a rank (--lora)");
    t->inner.selection = (train_selection){.tau = o->small_loss, .ramp = o->small_loss_ramp, .co_teach = o->co_teach, .span = o->small_loss_span,
                                           .tally = &t->tally};
    return selection_level_find(t->ctx, o->small_loss_level, &t->inner.selection.level);
}

static agon_status take_adapters(const training *t) {
    const agon_train_options *o = &t->options;
    if (!t->d->n_adapters)
        return AGON_OK;
    if (o->adapter || o->lora_rank == 0)
        return ctx_fail(t->ctx, AGON_EINVAL, "several adapters are trained as new ones; give them a rank (--lora)");
    return o->co_teach ? ctx_fail(t->ctx, AGON_EINVAL, "co-teaching trains two adapters on the same rows; it does not go with rows of several adapters")
                       : AGON_OK;
}

/* Rows to validate on. */
static agon_status take_validation(training *t) {
    const agon_train_options *o = &t->options;
    const agon_dataset *d = o->validation;
    bool best = o->keep && strcmp(o->keep, "best") == 0;
    if (!best && !(o->keep && strcmp(o->keep, "last") == 0))
        return ctx_fail(t->ctx, AGON_EINVAL, "a training keeps its last or its best step (keep), not '%.40s'", o->keep ? o->keep : "");
    if (!d)
        return best || o->validate_every ? ctx_fail(t->ctx, AGON_EINVAL, "%s says nothing without held-out rows (validation)", best ? "keep" : "validate_every")
                                         : AGON_OK;
    if (d->objective != t->d->objective)
        return ctx_fail(t->ctx, AGON_EINVAL, "the held-out rows were read for %s, the rows to train on for %s", d->objective->name, t->d->objective->name);
    if (d->n_dimensions || t->d->n_dimensions)
        return ctx_fail(t->ctx, AGON_EINVAL, "an adapter for all preference vectors has no one held-out loss: validation does not go with dimensions");
    if (d->n_adapters || t->d->n_adapters)
        return ctx_fail(t->ctx, AGON_EINVAL, "several adapters have no held-out loss in common: validate a training of each by itself");
    t->inner.validation = (train_validation){.every = o->validate_every, .keep_best = best};
    t->inner.validation.rows = dataset_rows(d->d, &t->inner.validation.n_rows);
    return AGON_OK;
}

static agon_status take_reference(const training *t) {
    const agon_train_options *o = &t->options;
    if (o->reference && strcmp(o->reference, "start") == 0)
        return AGON_OK;
    if (!o->reference || strcmp(o->reference, "base") != 0)
        return ctx_fail(t->ctx, AGON_EINVAL, "the reference is the learner's start or the model without its adapter (start, base), not '%.40s'",
                        o->reference ? o->reference : "");
    if (!o->adapter)
        return ctx_fail(t->ctx, AGON_EINVAL, "the model is the reference where training begins with it; 'base' says so where it goes on from an adapter");
    if (!(objective_needs_with(t->d->objective, t->inner.objective_options) & NEEDS_REFERENCE))
        return ctx_fail(t->ctx, AGON_EINVAL, "%s has no reference", t->d->objective->name);
    return AGON_OK;
}

agon_status training_take_options(training *t, const agon_train_options *given) {
    const agon_train_options *o = &t->options;
    agon_status s = training_options_take(t->ctx, given, t->d->objective, &t->options, &t->inner);
    if (!s)
        s = schedule_find(t->ctx, o->schedule, &t->inner.schedule);
    if (!s)
        s = take_preferences(t);
    if (!s)
        s = take_selection(t);
    if (!s)
        s = take_adapters(t);
    if (!s)
        s = take_validation(t);
    if (!s)
        s = take_reference(t);
    t->inner.max_steps = o->max_steps;
    t->inner.warmup = o->warmup;
    t->inner.checkpoint_every = o->checkpoint_every;
    return s;
}

/* Several adapters are a training each. */
agon_status training_check(const training *t) {
    size_t n_rows;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    bool whole = !t->options.adapter && t->options.lora_rank == 0; /* the result is a Hugging Face folder */
    agon_status exportable = whole ? model_export_check(t->ctx, t->m->m, t->folder.path ? t->folder.path : "the trained model") : AGON_OK;
    if (exportable)
        return exportable;
    if (!t->d->n_adapters)
        return train_check(t->ctx, t->m->m, rows, n_rows, t->d->n_dimensions, &t->inner);
    train_row *own = memory_new(n_rows, sizeof *own);
    agon_status s = own ? AGON_OK : ctx_no_memory(t->ctx);
    for (size_t k = 0; k < t->d->n_adapters && !s; k++) {
        size_t n = 0;
        for (size_t i = 0; i < n_rows; i++)
            if (rows[i].adapter == k)
                own[n++] = rows[i];
        s = train_check(t->ctx, t->m->m, own, n, 0, &t->inner);
    }
    free(own);
    return s;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* A second adapter to measure against has its values and both packs of bf16 or f32. */
static size_t reference_bytes(const training *t, size_t n_values) {
    return size_mul(n_values, sizeof(float) + 2 * (model_dtype(t->m->m) == COMPUTE_F32 ? sizeof(float) : sizeof(uint16_t)));
}

/* What this training adds to the process, and whether its activations fit. */
static agon_status predict(training *t, size_t room, size_t *more, bool *recomputes) {
    const agon_train_options *o = &t->options;
    const model *m = t->m->m;
    const model_config *c = model_get_config(m);
    size_t n_rows, rank = o->lora_rank + (o->lora_rank ? t->d->n_dimensions : 0), extra = 0, limit;
    adapter_options shape;
    agon_status s = training_adapter(t->ctx, o, &shape);
    if (!s && o->adapter) {
        adapter *a = NULL;
        s = adapter_import_peft(t->ctx, m, o->adapter, &a);
        rank = a ? adapter_rank(a) : 0;
        shape.targets = a ? adapter_targets(a) : 0;
        adapter_free(a);
    }
    if (s)
        return s;
    size_t n_lora = adapter_n_values(c, rank, shape.targets);
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    size_t n_adapters = t->d->n_adapters ? t->d->n_adapters : 1;
    train_memory n = train_predict_members(m, n_adapters, n_lora, rank, t->d->n_dimensions > 0, rows, n_rows, &t->inner);
    if (rank > 0)
        extra = size_mul(o->adapter || o->co_teach ? 2 : n_adapters, reference_bytes(t, n_lora));
    else if (objective_needs_with(t->d->objective, t->inner.objective_options) & NEEDS_REFERENCE)
        extra = model_predict(c, model_dtype(m));
    n.rest = size_add(n.rest, extra);
    *more = train_memory_total(&n, room, &limit);
    *recomputes = limit > 0;
    return AGON_OK;
}

agon_status agon_train_memory(agon_ctx *ctx, const agon_model *m, const agon_dataset *d, const agon_train_options *options,
                              agon_memory *out) {
    FP_ENVIRONMENT();
    training t = {.ctx = ctx, .m = (agon_model *)m, .d = d, .folder.lock = -1};
    agon_memory found = {.resident = memory_resident()};
    size_t more = 0;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the dataset", d, 1}, {"the place for the answer", out, 1});
    if (s)
        return s;
    found.available = memory_room(ctx);
    s = training_take_options(&t, options);
    if (!s)
        s = training_check(&t);
    if (!s)
        s = predict(&t, found.available, &more, &found.recomputes);
    if (s)
        return s;
    found.peak = size_add(found.resident, more);
    *out = found;
    return AGON_OK;
}

agon_status training_check_memory(training *t) {
    size_t more = 0;
    bool recomputes;
    agon_status s = predict(t, memory_room(t->ctx), &more, &recomputes);
    return s ? s : memory_check(t->ctx, more, "this training", "use shorter rows (max_length), LoRA, or a smaller model");
}

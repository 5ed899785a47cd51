/* agon.h, training into a folder that survives kill -9.
 *
 *   training.json    what is trained (base, data, objective, every option), then "done" and the summary
 *   steps.jsonl      a line a step
 *   checkpoint.bin   how far; gone when done, but where more epochs can go on from it (train_fixed_length)
 *   best.bin         the same at the step with the least held-out loss, where that is to be kept; gone with it
 *   adapter_*, or a Hugging Face folder: the result; panacea.safetensors: an adapter with dimensions, whole
 *   partner/         the second adapter of co-teaching
 *   NAME/            an adapter of each name, where rows belong to several
 *
 * steps.jsonl is appended to, each other file replaced whole. The order is: training.json (not done), checkpoints, result, training.json (done), checkpoint
 * removed; whatever is found at a start says where to go on. The folder itself carries the lock. */
#include "api/training_private.h"
#include "api/options.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "train/score_rows.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECKPOINT_SECONDS = 30 };

/* What is trained, and what it is measured against. */
static agon_status open_parameters(training *t) {
    const agon_train_options *o = &t->options;
    const model *m = t->m->m;
    unsigned needs = objective_needs_with(t->d->objective, t->inner.objective_options);
    agon_status s = AGON_OK;
    if (o->adapter) {
        s = adapter_import_peft(t->ctx, m, o->adapter, &t->adapter);
        if (!s && !base_is_reference(t))
            s = adapter_clone(t->ctx, t->adapter, &t->reference_adapter);
    } else if (o->lora_rank > 0) {
        adapter_options a;
        const char *names[MAX_DIMENSIONS];
        for (size_t i = 0; i < t->d->n_dimensions; i++)
            names[i] = t->d->dimensions[i];
        if ((s = training_adapter(t->ctx, o, &a)))
            return s;
        a.dimensions = names;
        a.n_dimensions = t->d->n_dimensions;
        if (t->d->n_adapters)
            return training_team_open(t->ctx, t->m, t->d, &a, &t->inner, &t->team);
        s = adapter_new(t->ctx, m, &a, &t->adapter);
        a.seed = seed_derive(o->seed, "partner");
        if (!s && o->co_teach)
            s = adapter_new(t->ctx, m, &a, &t->partner);
        t->inner.selection.partner = t->partner;
    } else if (needs & NEEDS_REFERENCE) {
        s = model_open(t->ctx, weights_path(model_weights(m)), model_dtype(m), &t->reference);
    }
    return s;
}

/* ---- running --------------------------------------------------------------------------------------------- */

static agon_status on_step(void *arg, const train_progress *p) {
    training *t = arg;
    agon_metric metrics[MAX_METRICS];
    const char *adapter = t->team.n ? t->d->adapters[p->member] : NULL;
    agon_status s = training_steps_add(&t->steps, p, adapter);
    if (s)
        return s;
    for (size_t i = 0; i < p->n_metrics; i++)
        metrics[i] = (agon_metric){p->metrics[i].name, p->metrics[i].value};
    agon_train_progress progress = {.step = p->step,
                                    .n_steps = p->n_steps,
                                    .loss = p->loss,
                                    .grad_norm = p->grad_norm,
                                    .learning_rate = p->lr,
                                    .tokens = p->tokens,
                                    .supervised = p->supervised,
                                    .seconds = monotonic_seconds() - t->step_start,
                                    .metrics = metrics,
                                    .n_metrics = p->n_metrics,
                                    .adapter = adapter};
    s = t->options.on_step ? t->options.on_step(t->options.arg, &progress) : AGON_OK;
    t->step_start = monotonic_seconds();
    t->refused = s != AGON_OK;
    return s ? ctx_fail(t->ctx, s, "stopped after step %zu, as on_step asked", p->step) : s;
}

static bool wants_checkpoint(void *arg, size_t step) {
    training *t = arg;
    (void)step;
    return t->options.checkpoint_every == 0 && monotonic_seconds() - t->stored > CHECKPOINT_SECONDS;
}

static agon_status on_checkpoint(void *arg, size_t step, const byte_stream *state) {
    training *t = arg;
    (void)step;
    agon_status s = training_steps_sync(&t->steps);
    if (!s)
        s = file_write_stream(t->ctx, t->checkpoint_path, state);
    t->stored = monotonic_seconds();
    t->step_start = t->stored;
    return s;
}

/* Written down before the caller hears of it, and after the state it speaks of (best.bin): what a kill leaves out is scored again. */
static agon_status on_validation(void *arg, const train_validated *v) {
    training *t = arg;
    agon_metric metrics[MAX_METRICS];
    json_t *numbers = json_object();
    for (size_t i = 0; i < v->n_metrics; i++) {
        metrics[i] = (agon_metric){v->metrics[i].name, v->metrics[i].value};
        json_object_set_new(numbers, metrics[i].name, real_or_null(metrics[i].value));
    }
    json_array_append_new(json_object_get(t->folder.manifest, "validated"),
                          json_pack("{s:I,s:f,s:o}", "step", (json_int_t)v->step, "loss", v->loss, "metrics", numbers));
    agon_status s = training_folder_write(&t->folder);
    const agon_train_validation said = {v->step, v->n_steps, v->loss, metrics, v->n_metrics, v->best};
    if (!s && t->options.on_validation) {
        s = t->options.on_validation(t->options.arg, &said);
        t->refused = s != AGON_OK;
        s = s ? ctx_fail(t->ctx, s, "stopped after the validation at step %zu, as on_validation asked", v->step) : s;
    }
    t->step_start = monotonic_seconds();
    return s;
}

static agon_status on_best(void *arg, size_t step, const byte_stream *state) {
    const training *t = arg;
    (void)step;
    return file_write_stream(t->ctx, t->best_path, state);
}

static agon_status take_best(void *arg, byte_reader *out) {
    training *t = arg;
    t->takes_best = true;
    agon_status s = byte_reader_open(t->ctx, t->best_path, &t->best);
    *out = t->best;
    return s;
}

/* The step a checkpoint stands at, of several adapters the first one's; the trainer checks the rest. */
static agon_status checkpoint_step(const training *t, const byte_reader *image, size_t *out) {
    uint64_t step = 0;
    size_t at = 40 + (t->team.n ? 16 + 8 * t->team.n : 0);
    agon_status s = image->size >= at + sizeof step ? byte_reader_read(t->ctx, image, at, &step, sizeof step) : AGON_OK;
    *out = (size_t)step;
    return s;
}

/* A head that nothing was learnt for would be taken for one that says something: it comes when there are steps to do, and goes with their failure. */
static agon_status add_heads(training *t) {
    const objective *o = t->d->objective;
    model *m = t->m->m;
    for (int k = 0; k < N_HEAD_KINDS; k++) /* an adapter's training leaves the model alone, which others may use */
        t->adds_head[k] = all_weights(t) && !model_scalar_head(m, k);
    agon_status s = AGON_OK;
    if (!t->team.n)
        s = train_add_head(t->ctx, m, t->adapter, o, t->inner.objective_options, t->options.seed);
    if (!s && t->partner)
        s = train_add_head(t->ctx, m, t->partner, o, t->inner.objective_options, seed_derive(t->options.seed, "partner"));
    return s;
}

static void remove_heads(training *t) {
    for (int k = 0; k < N_HEAD_KINDS; k++)
        if (t->adds_head[k])
            model_remove_head(t->m->m, k);
}

static agon_status run_training(training *t) {
    size_t n_rows;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    byte_reader image = {0};
    agon_status s = AGON_OK;
    const train_sink sink = {on_step, on_checkpoint, t, wants_checkpoint, on_validation, on_best, take_best};
    if ((t->resumes = file_exists(t->checkpoint_path))) {
        s = byte_reader_open(t->ctx, t->checkpoint_path, &image);
        if (!s)
            s = checkpoint_step(t, &image, &t->resumed_after);
        if (!s && t->options.on_resume)
            t->options.on_resume(t->options.arg, t->resumed_after);
    }
    agon_status known = !s && t->inner.validation.n_rows ? training_find_validated(t, t->resumed_after) : AGON_OK;
    if (known) {
        byte_reader_close(&image);
        return known;
    }
    if (!s)
        s = training_steps_open(t->ctx, t->folder.path, t->team.n ? t->team.n : 1, t->resumes, &t->steps);
    const byte_reader *resume = t->resumes ? &image : NULL;
    t->stored = monotonic_seconds();
    t->step_start = t->stored;
    if (!s && t->team.n)
        s = train_members(t->ctx, t->m->m, t->team.members, t->team.n, &t->inner, &sink, resume);
    else if (!s)
        s = train(t->ctx, t->m->m, t->adapter, t->reference, t->reference_adapter, rows, n_rows, &t->inner, &sink, resume);
    byte_reader_close(&image);
    if (t->takes_best)
        return training_folder_damaged(t->ctx, s, t->best_path);
    return t->resumes && !t->refused ? training_folder_damaged(t->ctx, s, t->checkpoint_path) : s;
}

/* An adapter goes into the folder, the second one of co-teaching into one of its own below, and all weights become a Hugging Face folder. */
static agon_status write_result(const training *t) {
    char real[PATH_MAX], *below = NULL;
    const char *name = t->options.base_name ? t->options.base_name : weights_place(model_weights(t->m->m), real), *output = t->folder.path;
    if (t->team.n)
        return training_team_write(t->ctx, &t->team, name, output);
    if (!t->adapter)
        return model_export(t->ctx, t->m->m, NULL, "hf", model_dtype(t->m->m) == COMPUTE_F32 ? "f32" : "bf16", output, NULL);
    agon_status s = t->partner ? training_folder_file(&t->folder, "partner", &below) : AGON_OK;
    if (below)
        s = adapter_export_peft(t->ctx, t->partner, name, below);
    free(below);
    if (s)
        return s;
    return adapter_n_dimensions(t->adapter) ? adapter_export_dimensions(t->ctx, t->adapter, name, output)
                                            : adapter_export_peft(t->ctx, t->adapter, name, output);
}

/* Reward heads get the scale of what they say. */
static agon_status set_scales(training *t) {
    size_t n_rows;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    const objective *o = t->d->objective;
    agon_status s = t->team.n ? AGON_OK : train_set_scale(t->ctx, t->m->m, t->adapter, o, t->inner.objective_options, rows, n_rows);
    if (!s && t->partner)
        s = train_set_scale(t->ctx, t->m->m, t->partner, o, t->inner.objective_options, rows, n_rows);
    for (size_t i = 0; i < t->team.n && !s; i++) {
        const train_member *x = &t->team.members[i];
        s = train_set_scale(t->ctx, t->m->m, x->adapter, o, t->inner.objective_options, x->rows, x->n_rows);
    }
    return s;
}

/* What selection adds to the summary. */
static void sum_up_selection(const training *t, json_t *j) {
    char *folder = NULL;
    if (t->options.small_loss > 0)
        json_object_set_new(j, "selection", selection_json(&t->tally, t->inner.selection.level));
    if (!t->partner || training_folder_file(&t->folder, "partner", &folder))
        return;
    hash256 id = adapter_hash(t->partner);
    json_object_set_new(j, "partner", json_pack("{s:o,s:o}", "output", utf8_json(folder), "id", json_hash(&id)));
    free(folder);
}

static agon_status finish(training *t, char **summary) {
    hash256 id = {0};
    agon_status s = AGON_OK;
    if (t->adapter)
        id = adapter_hash(t->adapter);
    else if (!t->team.n)
        s = model_id(t->ctx, t->m->m, &id);
    if (!s)
        s = set_scales(t);
    if (!s)
        s = write_result(t);
    if (s)
        return s;
    json_t *j = json_pack("{s:o,s:s,s:s,s:I,s:I,s:I,s:o,s:b}", "output", utf8_json(t->folder.path), "kind", all_weights(t) ? "hf" : "peft",
                          "objective", t->d->objective->name, "rows", (json_int_t)agon_dataset_n_rows(t->d), "steps",
                          (json_int_t)agon_train_n_steps(t->d, &t->options), "resumed_after",
                          (json_int_t)t->resumed_after, "id", json_hash(&id), "already_done", 0);
    if (j && t->team.n) {
        json_object_del(j, "id");
        json_object_set_new(j, "adapters", training_team_json(&t->team, t->folder.path, &t->inner));
    } else if (j) {
        sum_up_selection(t, j);
    }
    json_t *validation = t->inner.validation.n_rows ? training_validation_json(t) : NULL;
    if (j && validation)
        json_object_set_new(j, "validation", validation);
    s = training_folder_finish_take(&t->folder, j, NULL, summary);
    if (!s && !training_keeps_state(t)) {
        unlink(t->best_path);
        unlink(t->checkpoint_path);
    }
    return s;
}

static void training_close(training *t) {
    adapter_free(t->adapter);
    adapter_free(t->reference_adapter);
    adapter_free(t->partner);
    training_team_free(&t->team);
    model_free(t->reference);
    free(t->checkpoint_path);
    free(t->best_path);
    byte_reader_close(&t->best);
    training_steps_close(&t->steps);
    training_folder_close(&t->folder);
}

agon_status agon_train(agon_ctx *ctx, agon_model *m, const agon_dataset *d, const char *output,
                       const agon_train_options *options, char **summary) {
    FP_ENVIRONMENT();
    training t = {.ctx = ctx, .m = m, .d = d, .folder = {.ctx = ctx, .path = output, .lock = -1}, .steps = {.file = -1}};
    char *made = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the dataset", d, 1}, {"the output folder", output, 1});
    if (!s)
        s = training_take_options(&t, options);
    if (!s)
        training_take_partners(&t.options, output, "training.json", &t.inner);
    if (!s)
        s = training_check(&t);
    if (!s)
        s = training_folder_open(&t.folder, "training.json");
    if (!s)
        s = training_folder_file(&t.folder, "checkpoint.bin", &t.checkpoint_path);
    if (!s)
        s = training_folder_file(&t.folder, "best.bin", &t.best_path);
    if (!s)
        s = training_check_memory(&t);
    if (!s)
        s = open_parameters(&t);
    if (!s)
        s = training_describe(&t);
    if (!s)
        s = training_find_state(&t, &made);
    if (!s && !made)
        s = training_take_model(&t);
    if (!s && !made)
        s = add_heads(&t);
    if (!s && !made)
        s = run_training(&t);
    if (!s && !made)
        s = finish(&t, &made);
    if (s)
        remove_heads(&t);
    /* What can never be trained must not keep the folder from better options. */
    if (s == AGON_EINVAL && t.folder.began && !file_exists(t.checkpoint_path)) {
        if (t.steps.path)
            unlink(t.steps.path);
        unlink(t.folder.manifest_path);
    }
    training_close(&t);
    if (s || !summary)
        free(made);
    else
        *summary = made;
    return s;
}

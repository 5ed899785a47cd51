/* The manifest of a training on a file (training.json), and where folder and model stand by it. See training_private.h. */
#include "api/training_private.h"
#include "api/result_files.h"
#include "base/file.h"
#include "base/json.h"
#include "base/numerics.h"
#include "train/score_rows.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- training.json --------------------------------------------------------------------------------------- */

/* What several dimensions add to the manifest. */
static void describe_dimensions(const training *t, json_t *j) {
    const train_preferences *p = &t->inner.preferences;
    json_t *names = json_array(), *ideal = json_array();
    for (size_t i = 0; i < t->d->n_dimensions; i++) {
        json_array_append_new(names, json_string(t->d->dimensions[i]));
        json_array_append_new(ideal, json_real(p->ideal[i]));
    }
    json_object_set_new(j, "dimensions", names);
    json_object_set_new(j, "ideal", ideal);
    json_object_set_new(j, "vectors", json_integer((json_int_t)p->vectors));
    json_object_set_new(j, "aggregate", json_string(p->aggregate == AGGREGATE_LINEAR ? "linear" : "tchebycheff"));
}

static void describe_selection(const training *t, json_t *j) {
    json_object_set_new(j, "small_loss", json_real(t->options.small_loss));
    json_object_set_new(j, "small_loss_ramp", json_real(t->options.small_loss_ramp));
    json_object_set_new(j, "co_teach", json_boolean(t->options.co_teach));
    if (t->inner.selection.level == SELECT_ROWS) /* as folders begun before there were levels say it */
        return;
    json_object_set_new(j, "small_loss_level", json_string(selection_level_name(t->inner.selection.level)));
    if (t->inner.selection.level == SELECT_SPANS)
        json_object_set_new(j, "small_loss_span", json_integer((json_int_t)t->inner.selection.span));
}

static void describe_adapters(const training *t, json_t *j) {
    json_t *names = json_array();
    for (size_t i = 0; i < t->d->n_adapters; i++)
        json_array_append_new(names, json_string(t->d->adapters[i]));
    json_object_set_new(j, "adapters", names);
}

/* Another set of rows to validate on could keep another step, and says something else in any case. */
static agon_status describe_validation(const training *t, json_t *j) {
    const train_validation *v = &t->inner.validation;
    hash256 tokens;
    if (!v->n_rows)
        return AGON_OK;
    agon_status s = train_rows_hash(t->ctx, v->rows, v->n_rows, &tokens);
    if (!s)
        json_object_set_new(j, "validation", json_pack("{s:I,s:s,s:o,s:o}", "every", (json_int_t)v->every, "keep", t->options.keep, "data",
                                                       json_hash(&t->options.validation->file), "tokens", json_hash(&tokens)));
    return s;
}

agon_status training_describe(training *t) {
    const agon_train_options *o = &t->options;
    char seed[24];
    size_t n_rows;
    hash256 tokens;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    agon_status s = model_id(t->ctx, t->m->m, &t->base);
    if (!s)
        s = train_rows_hash(t->ctx, rows, n_rows, &tokens);
    if (s)
        return s;
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    json_t *j = t->folder.manifest = json_pack(
        "{s:i,s:b,s:s,s:o,s:I,s:I,s:f,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:s,s:f,s:s}", "format", 1, "done", 0, "objective",
        t->d->objective->name, "settings", training_settings(t->d->objective, t->inner.objective_options), "max_length", (json_int_t)t->d->max_length, "lora_rank",
        (json_int_t)o->lora_rank, "lora_alpha", o->lora_alpha, "epochs", (json_int_t)o->epochs, "batch_rows",
        (json_int_t)o->batch_rows, "max_steps", (json_int_t)o->max_steps, "learning_rate", o->learning_rate, "weight_decay",
        o->weight_decay, "clip_norm", o->clip_norm, "warmup", o->warmup, "schedule", o->schedule, "temperature",
        o->temperature, "seed", seed);
    if (!j)
        return ctx_no_memory(t->ctx);
    training_describe_adam(o, j);
    training_describe_base_name(o, j);
    training_describe_partners(&t->inner, j);
    if (t->d->n_dimensions)
        describe_dimensions(t, j);
    if (t->d->n_adapters)
        describe_adapters(t, j);
    if (t->options.small_loss > 0)
        describe_selection(t, j);
    json_object_set_new(j, "base", json_hash(&t->base));
    json_object_set_new(j, "data", json_hash(&t->d->file));
    json_object_set_new(j, "tokens", json_hash(&tokens)); /* what the file became: chat template, tokenizer, rows left out */
    json_object_set_new(j, "dtype", json_string(model_dtype(t->m->m) == COMPUTE_F32 ? "f32" : "bf16"));
    json_object_set_new(j, "numerics", json_string(numerics_name(t->ctx->numerics)));
    json_object_set_new(j, "adapter", json_null());
    if (o->adapter) {
        hash256 id = adapter_hash(t->adapter); /* as it begins */
        json_object_set_new(j, "adapter", json_hash(&id));
    }
    if (base_is_reference(t))
        json_object_set_new(j, "reference", json_string("base"));
    s = training_describe_targets(t->ctx, o, j);
    return s ? s : describe_validation(t, j);
}

/* ---- validations ------------------------------------------------------------------------------------------ */

agon_status training_find_validated(training *t, size_t step) {
    train_validation *v = &t->inner.validation;
    json_t *found = json_object_get(t->folder.manifest, "validated"), *known = json_array(), *one;
    size_t i, n_rows, due = 0;
    dataset_rows(t->d->d, &n_rows);
    const size_t every = train_validate_every(&t->inner, n_rows), n_steps = train_n_steps(&t->inner, n_rows);
    json_array_foreach(found, i, one) {
        const json_t *at = json_object_get(one, "step"), *loss = json_object_get(one, "loss");
        if (!json_is_integer(at) || !json_is_real(loss) || json_integer_value(at) != (json_int_t)due) {
            json_decref(known);
            return ctx_fail(t->ctx, AGON_EFORMAT, "%s: \"validated\" is not what a training wrote; --overwrite starts anew", t->folder.manifest_path);
        }
        if (due > step || step == 0) /* to be had again, to the same bits */
            break;
        v->from = due + 1;
        json_array_append(known, one);
        if (due > 0 && (v->best_step == 0 || json_real_value(loss) < v->best_loss))
            v->best_step = due, v->best_loss = json_real_value(loss);
        due = due >= n_steps ? n_steps + 1 : n_steps - due < every ? n_steps : due + every;
    }
    json_object_set_new(t->folder.manifest, "validated", known);
    /* Each is written before a checkpoint of a later step is. */
    if (step > 0 && step <= n_steps && v->from <= (step - 1) / every * every)
        return ctx_fail(t->ctx, AGON_EFORMAT, "%s lacks validations from before the checkpoint after step %zu; --overwrite starts anew", t->folder.manifest_path,
                        step);
    if (v->keep_best && v->best_step && !file_exists(t->best_path))
        return ctx_fail(t->ctx, AGON_EFORMAT, "%s, the state after the best step, is gone; --overwrite starts anew", t->best_path);
    return AGON_OK;
}

json_t *training_validation_json(const training *t) {
    json_t *list = json_object_get(t->folder.manifest, "validated"), *one, *best = NULL;
    const json_t *first = json_array_get(list, 0), *last = json_array_get(list, json_array_size(list) - 1);
    size_t i;
    json_array_foreach(list, i, one) {
        if (i > 0 && (!best || json_real_value(json_object_get(one, "loss")) < json_real_value(json_object_get(best, "loss"))))
            best = one;
    }
    if (!best)
        return NULL;
    return json_pack("{s:I,s:O,s:O,s:{s:O,s:O},s:O}", "rows", (json_int_t)t->inner.validation.n_rows, "start", json_object_get(first, "loss"), "last",
                     json_object_get(last, "loss"), "best", "step", json_object_get(best, "step"), "loss", json_object_get(best, "loss"), "kept",
                     json_object_get(t->inner.validation.keep_best ? best : last, "step"));
}

/* ---- the model ------------------------------------------------------------------------------------------- */

/* The same call as that which changed the model goes on with its training: it began with the weights of then, not with those of now. */
static void find_earlier_call(training *t) {
    const model_training *b = &t->m->begun;
    char *output = all_weights(t) && b->manifest && memcmp(&t->base, &b->base, sizeof t->base) != 0 ? realpath(t->folder.path, NULL) : NULL;
    if (output && strcmp(output, b->output) == 0) {
        json_object_set_new(t->folder.manifest, "base", json_hash(&b->base));
        t->again = !manifest_difference(b->manifest, t->folder.manifest);
        if (t->again)
            t->base = b->base;
        else
            json_object_set_new(t->folder.manifest, "base", json_hash(&t->base));
    }
    free(output);
}

agon_status training_take_model(training *t) {
    model_training *b = &t->m->begun;
    if (!all_weights(t))
        return AGON_OK;
    if (t->again)
        return b->from_file ? model_restore(t->ctx, t->m->m) : AGON_OK; /* a checkpoint has them all */
    char *output = realpath(t->folder.path, NULL);
    if (!output)
        return ctx_fail(t->ctx, AGON_EIO, "%s cannot be opened: %s", t->folder.path, strerror(errno));
    json_decref(b->manifest);
    free(b->output);
    *b = (model_training){json_incref(t->folder.manifest), output, t->base, !model_is_trainable(t->m->m)};
    return AGON_OK;
}

/* The weights that the training began with are nowhere. */
static agon_status check_start(const training *t) {
    if (!t->again || t->m->begun.from_file || (file_exists(t->checkpoint_path) && !t->options.overwrite))
        return AGON_OK;
    return ctx_fail(t->ctx, AGON_EINVAL, "%s: this training began with weights that another training had made in memory, and they are gone; "
                    "open the model again", t->folder.path);
}

/* The reference, which is the file, has the model's weights, unless that was trained on in memory. */
static agon_status find_start(training *t) {
    hash256 id;
    agon_status s = t->reference ? model_id(t->ctx, t->reference, &id) : AGON_OK;
    t->inner.reference_is_start = !s && t->reference && memcmp(&id, &t->base, sizeof id) == 0;
    return s;
}

/* ---- the folder ------------------------------------------------------------------------------------------ */

/* Removes what killed runs left; *strange: the folder holds something else. */
static agon_status look_around(training *t, const char *path, bool *strange) {
    file_sweep(path);
    DIR *folder = opendir(path);
    if (!folder)
        return ctx_fail(t->ctx, AGON_EIO, "%s cannot be read: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !file_is_temporary(e->d_name))
            *strange = true;
    closedir(folder);
    return AGON_OK;
}

/* The same in a folder below, which only a training makes. */
static agon_status look_below(training *t, const char *name) {
    bool strange;
    char *path = NULL;
    agon_status s = training_folder_file(&t->folder, name, &path);
    if (!s && folder_exists(path))
        s = look_around(t, path, &strange);
    free(path);
    return s;
}

/* What an earlier training left; names: of its adapters, by its manifest, which may be anybody's, so a name that leads elsewhere is none. */
static void remove_results(const training *t, const json_t *names) {
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)names, i, one) {
        const char *name = json_string_value(one);
        if (name && names_check(NULL, "adapters", &name, 1) == AGON_OK)
            result_files_remove_below(t->folder.lock, name);
    }
    result_files_remove(t->folder.lock);
    result_files_remove_below(t->folder.lock, "partner");
}

/* Begins over an earlier training and removes what it left; killed in between, it is this training, before its first step. */
static agon_status begin_over(training *t) {
    const bool earlier = file_exists(t->folder.manifest_path);
    agon_status s = training_folder_no_input(&t->folder, weights_path(model_weights(t->m->m)), t->options.adapter);
    if (s)
        return s;
    static const char *const others[] = {"partner", "checkpoint.bin", "best.bin", "online.json", "state.bin", TRAINING_STEPS};
    const char *stray = earlier ? NULL : result_files_find(t->folder.lock);
    for (size_t i = 0; i < sizeof others / sizeof *others && !earlier && !stray; i++)
        if (faccessat(t->folder.lock, others[i], F_OK, 0) == 0)
            stray = others[i];
    if (stray)
        return ctx_fail(t->ctx, AGON_EINVAL, "%s has %s of no training, which --overwrite would delete; give another output folder", t->folder.path, stray);
    json_t *found = earlier ? json_load_file(t->folder.manifest_path, 0, NULL) : NULL; /* a damaged one names no adapters */
    json_t *names = json_object_get(found, "adapters");
    unlinkat(t->folder.lock, "checkpoint.bin", 0);
    unlinkat(t->folder.lock, "best.bin", 0);
    unlinkat(t->folder.lock, TRAINING_STEPS, 0);
    if (names)
        json_object_set(t->folder.manifest, "removing", names);
    s = training_folder_write(&t->folder);
    json_object_del(t->folder.manifest, "removing");
    if (!s) {
        remove_results(t, names);
        s = names ? training_folder_write(&t->folder) : AGON_OK;
    }
    json_decref(found);
    return s;
}

/* What an earlier call made, and how it summed it up. Only then is the state it left taken away. */
static agon_status take_done(const training *t, json_t *found, char **summary) {
    const json_t *made = json_object_get(found, "summary"), *adapters = json_object_get(made, "adapters");
    agon_status s = t->team.n ? AGON_OK : training_folder_has_result(&t->folder, t->m->m, NULL, made);
    for (size_t i = 0; i < t->team.n && !s; i++)
        s = training_folder_has_result(&t->folder, t->m->m, t->d->adapters[i], json_array_get(adapters, i));
    if (!s && t->partner)
        s = training_folder_has_result(&t->folder, t->m->m, "partner", json_object_get(made, "partner"));
    if (!s)
        s = training_folder_done(&t->folder, found, summary);
    if (!s && !training_keeps_state(t)) {
        unlink(t->checkpoint_path);
        unlink(t->best_path);
    }
    return s;
}

/* Whether the folder's training is this one. */
static agon_status check_same(const training *t, json_t *found) {
    const char *key = manifest_difference(found, t->folder.manifest);
    if (key && strcmp(key, "base") == 0 && model_is_trainable(t->m->m))
        return ctx_fail(t->ctx, AGON_EINVAL, "%s holds a training that began with other weights than this model has now, which a training changed; "
                        "open the model again, or give another output folder, or --overwrite", t->folder.path);
    return training_folder_same_tokens(&t->folder, found, "data", "another chat template or tokenizer, or with other rows left out");
}

/* ---- longer ------------------------------------------------------------------------------------------------ */

/* Why it has no more than these steps: what its steps, or what is kept of them, depends on. NULL: it may. */
static const char *fixed_length(const training *t, size_t n_steps) {
    const train_validation *v = &t->inner.validation;
    size_t n_rows;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    if (v->n_rows && v->every == 0)
        return "its held-out rows are scored after each tenth of the steps (validate_every fixes that)";
    if (v->keep_best && n_steps % v->every != 0)
        return "its last step, which may be the one that is kept, is no multiple of validate_every";
    return train_fixed_length(&t->inner, rows, n_rows);
}

bool training_keeps_state(const training *t) {
    return !fixed_length(t, agon_train_n_steps(t->d, &t->options));
}

/* Takes the length that is asked for now into the manifest that was found, where it is more. *before: its steps; 0: it is not longer. */
static void take_length(const training *t, json_t *found, size_t *before) {
    const json_t *epochs = json_object_get(found, "epochs"), *most = json_object_get(found, "max_steps");
    agon_train_options was = t->options;
    was.epochs = (size_t)json_integer_value(epochs);
    was.max_steps = (size_t)json_integer_value(most);
    *before = agon_train_n_steps(t->d, &was);
    if (!json_is_integer(epochs) || !json_is_integer(most) || *before >= agon_train_n_steps(t->d, &t->options))
        *before = 0;
    if (*before == 0)
        return;
    json_object_set(found, "epochs", json_object_get(t->folder.manifest, "epochs"));
    json_object_set(found, "max_steps", json_object_get(t->folder.manifest, "max_steps"));
}

/* The folder's training of `before` steps is asked to take more. What a longer one would not have said at its end is taken out. */
static agon_status lengthen(training *t, json_t *found, size_t before) {
    const char *why = fixed_length(t, before);
    json_t *validated = json_object_get(found, "validated");
    if (why)
        return ctx_fail(t->ctx, AGON_EINVAL, "%s holds a training of %zu steps, and it cannot be made longer: %s; give back what it was begun with, another output "
                        "folder, or --overwrite", t->folder.path, before, why);
    if (json_is_true(json_object_get(found, "done")) && !file_exists(t->checkpoint_path))
        return ctx_fail(t->ctx, AGON_ENOTFOUND, "%s holds a training of %zu steps that is done, and the state that more could go on from (checkpoint.bin) is gone; give "
                        "another output folder, or --overwrite", t->folder.path, before);
    if (json_array_size(validated) && t->inner.validation.every && before % t->inner.validation.every != 0 &&
        json_integer_value(json_object_get(json_array_get(validated, json_array_size(validated) - 1), "step")) == (json_int_t)before)
        json_array_remove(validated, json_array_size(validated) - 1);
    json_object_del(found, "done");
    t->longer = true;
    return AGON_OK;
}

agon_status training_find_state(training *t, char **summary) {
    bool strange = false;
    json_t *found = NULL, *removing = NULL;
    size_t before = 0;
    find_earlier_call(t);
    agon_status s = find_start(t);
    if (!s)
        s = look_around(t, t->folder.path, &strange);
    if (!s && t->partner)
        s = look_below(t, "partner");
    for (size_t i = 0; i < t->d->n_adapters && !s; i++)
        s = look_below(t, t->d->adapters[i]);
    if (s)
        return s;
    if (t->options.overwrite) {
        s = check_start(t);
        if (!s)
            s = begin_over(t);
    } else if (file_exists(t->folder.manifest_path)) {
        s = training_folder_read(&t->folder, &found);
        removing = json_incref(json_object_get(found, "removing"));
        json_object_del(found, "removing");
        if (!s)
            take_length(t, found, &before);
        if (!s)
            s = check_same(t, found);
        if (!s && before)
            s = lengthen(t, found, before);
        if (!s && t->inner.validation.n_rows)
            json_object_set(t->folder.manifest, "validated", json_object_get(found, "validated"));
    } else if (strange) {
        s = ctx_fail(t->ctx, AGON_EINVAL, "%s is not empty and holds no training; give another output folder, or --overwrite",
                     t->folder.path);
    }
    if (!s && json_is_true(json_object_get(found, "done"))) {
        s = take_done(t, found, summary);
    } else if (!s && t->options.must_resume && !file_exists(t->checkpoint_path)) {
        s = ctx_fail(t->ctx, AGON_ENOTFOUND, "%s has no checkpoint to go on from", t->folder.path);
    } else if (!s && !(s = check_start(t)) && !found) {
        t->folder.began = true;
        s = training_folder_write(&t->folder);
    } else if (!s && found && !file_exists(t->checkpoint_path)) { /* killed before it had removed an earlier result */
        remove_results(t, removing);
        s = removing || t->longer ? training_folder_write(&t->folder) : AGON_OK;
    } else if (!s && t->longer) { /* from here on it is the longer one; its result is replaced at the end */
        s = training_folder_write(&t->folder);
    }
    json_decref(removing);
    json_decref(found);
    return s;
}

/* agon.h, training into a folder that survives kill -9.
 *
 *   training.json    what is trained (base, data, objective, every option), then "done" and the summary
 *   checkpoint.bin   how far; gone when done
 *   adapter_*, or a Hugging Face folder: the result; panacea.safetensors: an adapter with dimensions, whole
 *   partner/         the second adapter of co-teaching
 *   NAME/            an adapter of each name, where rows belong to several
 *
 * Each file is replaced whole. The order is: training.json (not done), checkpoints, result, training.json (done), checkpoint
 * removed; whatever is found at a start says where to go on. The folder itself carries the lock. */
#include "api/optimiser.h"
#include "api/manifest.h"
#include "api/dataset.h"
#include "api/options.h"
#include "api/result_files.h"
#include "api/training_team.h"
#include "base/available.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "train/score_rows.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { CHECKPOINT_SECONDS = 30 };

agon_train_options agon_train_options_default(void) {
    train_options o = train_options_default();
    return (agon_train_options){.struct_size = sizeof(agon_train_options),
                                .epochs = o.epochs,
                                .batch_rows = o.batch_rows,
                                .learning_rate = NAN,
                                .weight_decay = (double)o.weight_decay,
                                .clip_norm = (double)o.clip_norm,
                                .warmup = o.warmup,
                                .schedule = "cosine",
                                .temperature = (double)o.temperature,
                                .aggregate = "linear",
                                .vectors = o.preferences.vectors,
                                .small_loss_ramp = o.selection.ramp,
                                .small_loss_level = selection_level_name(o.selection.level),
                                .small_loss_span = o.selection.span,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .eps = 1e-8};
}

size_t agon_train_n_steps(const agon_dataset *d, const agon_train_options *options) {
    const agon_train_options none = agon_train_options_default();
    train_options o = train_options_default();
    options = options ? options : &none;
    o.objective = d->objective;
    o.epochs = options->epochs;
    o.batch_rows = options->batch_rows ? options->batch_rows : 1;
    o.max_steps = options->max_steps;
    size_t most = d->n_adapters ? 0 : agon_dataset_n_rows(d); /* common steps: those of the adapter that has most rows */
    for (size_t i = 0; i < d->n_adapters; i++)
        most = dataset_n_of_adapter(d->d, i) > most ? dataset_n_of_adapter(d->d, i) : most;
    return train_n_steps(&o, most);
}

double agon_train_learning_rate(const agon_dataset *d, const agon_train_options *options) {
    const agon_train_options none = agon_train_options_default();
    return learning_rate_take(options ? options : &none, d->objective);
}

typedef struct training {
    agon_ctx *ctx;
    agon_model *m;
    const agon_dataset *d;
    agon_train_options options;
    train_options inner;
    adapter *adapter, *reference_adapter; /* NULL: all weights; NULL: the base */
    adapter *partner;                     /* NULL: no co-teaching */
    training_team team;                   /* several adapters; n 0: none */
    selection_tally tally;
    model *reference;                     /* for all weights, where the objective has one */
    hash256 base;                         /* the model's id */
    const char *output;
    char *manifest_path, *checkpoint_path;
    json_t *manifest;
    int lock;
    bool again;   /* the model holds what the same call made of it before */
    bool resumes; /* there is a checkpoint */
    bool began; /* by this call: the manifest is its own */
    bool refused; /* on_step asked to stop */
    bool adds_head[N_HEAD_KINDS]; /* to the model, which keeps what it had before this call only */
    double step_start, stored; /* monotonic_seconds */
    size_t resumed_after;
} training;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
}

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

static agon_status take_options(training *t, const agon_train_options *given) {
    agon_train_options *o = &t->options;
    *o = agon_train_options_default();
    agon_status s = options_take(t->ctx, "agon_train_options", given, sizeof *o, o);
    if (!s)
        s = train_options_check(t->ctx, o);
    t->inner = train_options_default();
    t->inner.objective = t->d->objective;
    if (!s)
        s = objective_configure(t->ctx, t->d->objective, o->settings, o->n_settings, t->inner.objective_options);
    if (!s && o->adapter && o->lora_rank > 0)
        s = ctx_fail(t->ctx, AGON_EINVAL, "give an adapter to go on from or the rank of a new one, not both");
    if (!s)
        s = schedule_find(t->ctx, t->options.schedule, &t->inner.schedule);
    if (!s)
        s = take_preferences(t);
    if (!s)
        s = take_selection(t);
    if (!s)
        s = take_adapters(t);
    t->inner.batch_rows = o->batch_rows;
    t->inner.epochs = o->epochs;
    t->inner.max_steps = o->max_steps;
    o->learning_rate = learning_rate_take(o, t->d->objective);
    t->inner.lr = (float)o->learning_rate;
    t->inner.weight_decay = (float)o->weight_decay;
    t->inner.clip_norm = (float)o->clip_norm;
    adam_take(o, &t->inner);
    t->inner.warmup = o->warmup;
    t->inner.temperature = temperature_take(o->temperature);
    t->inner.seed = o->seed;
    t->inner.checkpoint_every = o->checkpoint_every;
    return s;
}

/* What could never be trained is refused before anything is begun. Several adapters are a training each. */
static agon_status check_training(const training *t) {
    size_t n_rows;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    bool whole = !t->options.adapter && t->options.lora_rank == 0; /* the result is a Hugging Face folder */
    agon_status exportable = whole ? model_export_check(t->ctx, t->m->m, t->output ? t->output : "the trained model") : AGON_OK;
    if (exportable)
        return exportable;
    if (!t->d->n_adapters)
        return train_check(t->ctx, t->m->m, rows, n_rows, t->d->n_dimensions, &t->inner);
    train_row *own = memory_new(n_rows, sizeof *own);
    agon_status s = own ? AGON_OK : no_memory(t->ctx);
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
    if (o->adapter) {
        adapter *a = NULL;
        agon_status s = adapter_import_peft(t->ctx, m, o->adapter, &a);
        if (s)
            return s;
        rank = adapter_rank(a);
        adapter_free(a);
    }
    size_t n_lora = adapter_n_values(c, rank);
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    size_t n_adapters = t->d->n_adapters ? t->d->n_adapters : 1;
    train_memory n = train_predict_members(m, n_adapters, n_lora, rank, rows, n_rows, &t->inner);
    if (rank > 0)
        extra = size_mul(o->adapter || o->co_teach ? 2 : n_adapters, reference_bytes(t, n_lora));
    else if (objective_needs_with(t->d->objective, t->inner.objective_options) & NEEDS_REFERENCE)
        extra = model_predict(c, model_dtype(m), MATRIX_FORWARD);
    n.rest = size_add(n.rest, extra);
    *more = train_memory_total(&n, room, &limit);
    *recomputes = limit > 0;
    return AGON_OK;
}

agon_status agon_train_memory(agon_ctx *ctx, const agon_model *m, const agon_dataset *d, const agon_train_options *options,
                              agon_memory *out) {
    training t = {.ctx = ctx, .m = (agon_model *)m, .d = d, .lock = -1};
    agon_memory found = {.resident = memory_resident(), .available = memory_room(ctx)};
    size_t more = 0;
    agon_status s = take_options(&t, options);
    if (!s)
        s = check_training(&t);
    if (!s)
        s = predict(&t, found.available, &more, &found.recomputes);
    if (s)
        return s;
    found.peak = size_add(found.resident, more);
    *out = found;
    return AGON_OK;
}

static agon_status check_memory(training *t) {
    size_t more = 0;
    bool recomputes;
    agon_status s = predict(t, memory_room(t->ctx), &more, &recomputes);
    return s ? s : memory_check(t->ctx, more, "this training", "use shorter rows (max_length), LoRA, or a smaller model");
}

/* What is trained, and what it is measured against. */
static agon_status open_parameters(training *t) {
    const agon_train_options *o = &t->options;
    const model *m = t->m->m;
    unsigned needs = objective_needs_with(t->d->objective, t->inner.objective_options);
    agon_status s = AGON_OK;
    if (o->adapter) {
        s = adapter_import_peft(t->ctx, m, o->adapter, &t->adapter);
        if (!s)
            s = adapter_clone(t->ctx, t->adapter, &t->reference_adapter);
    } else if (o->lora_rank > 0) {
        adapter_options a = {.rank = o->lora_rank,
                             .alpha = (float)(o->lora_alpha > 0 ? o->lora_alpha : 2 * (double)o->lora_rank),
                             .seed = o->seed};
        const char *names[MAX_DIMENSIONS];
        for (size_t i = 0; i < t->d->n_dimensions; i++)
            names[i] = t->d->dimensions[i];
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

/* ---- training.json --------------------------------------------------------------------------------------- */

static void set_text(json_t *object, const char *key, const char *text) {
    json_object_set_new(object, key, text ? json_string(text) : json_null());
}

static void set_hash(json_t *object, const char *key, const hash256 *hash) {
    char hex[HASH_HEX_SIZE];
    hash_hex(hash, hex);
    set_text(object, key, hex);
}

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
    set_text(j, "aggregate", p->aggregate == AGGREGATE_LINEAR ? "linear" : "tchebycheff");
}

static void describe_selection(const training *t, json_t *j) {
    json_object_set_new(j, "small_loss", json_real(t->options.small_loss));
    json_object_set_new(j, "small_loss_ramp", json_real(t->options.small_loss_ramp));
    json_object_set_new(j, "co_teach", json_boolean(t->options.co_teach));
    if (t->inner.selection.level == SELECT_ROWS) /* as folders begun before there were levels say it */
        return;
    set_text(j, "small_loss_level", selection_level_name(t->inner.selection.level));
    if (t->inner.selection.level == SELECT_SPANS)
        json_object_set_new(j, "small_loss_span", json_integer((json_int_t)t->inner.selection.span));
}

static void describe_adapters(const training *t, json_t *j) {
    json_t *names = json_array();
    for (size_t i = 0; i < t->d->n_adapters; i++)
        json_array_append_new(names, json_string(t->d->adapters[i]));
    json_object_set_new(j, "adapters", names);
}

static json_t *settings_json(const training *t) {
    json_t *object = json_object();
    const objective_option *p = t->d->objective->options;
    for (size_t i = 0; p && p[i].name; i++)
        json_object_set_new(object, p[i].name, json_real(t->inner.objective_options[i]));
    return object;
}

/* Everything the result is a function of, so that a folder is never continued with something else. */
static agon_status describe(training *t) {
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
    json_t *j = t->manifest = json_pack(
        "{s:i,s:b,s:s,s:o,s:I,s:I,s:f,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:s,s:f,s:s}", "format", 1, "done", 0, "objective",
        t->d->objective->name, "settings", settings_json(t), "max_length", (json_int_t)t->d->max_length, "lora_rank",
        (json_int_t)o->lora_rank, "lora_alpha", o->lora_alpha, "epochs", (json_int_t)o->epochs, "batch_rows",
        (json_int_t)o->batch_rows, "max_steps", (json_int_t)o->max_steps, "learning_rate", o->learning_rate, "weight_decay",
        o->weight_decay, "clip_norm", o->clip_norm, "warmup", o->warmup, "schedule", o->schedule, "temperature",
        o->temperature, "seed", seed);
    if (!j)
        return no_memory(t->ctx);
    adam_describe(o, j);
    if (t->d->n_dimensions)
        describe_dimensions(t, j);
    if (t->d->n_adapters)
        describe_adapters(t, j);
    if (t->options.small_loss > 0)
        describe_selection(t, j);
    set_hash(j, "base", &t->base);
    set_hash(j, "data", &t->d->file);
    set_hash(j, "tokens", &tokens); /* what the file became: chat template, tokenizer, rows left out */
    set_text(j, "dtype", model_dtype(t->m->m) == COMPUTE_F32 ? "f32" : "bf16");
    set_text(j, "numerics", t->ctx->numerics == AGON_NUMERICS_NATIVE ? "native" : "portable");
    set_text(j, "adapter", NULL);
    if (t->reference_adapter) {
        hash256 id = adapter_hash(t->reference_adapter);
        set_hash(j, "adapter", &id);
    }
    return AGON_OK;
}

static bool all_weights(const training *t) {
    return !t->adapter && !t->team.n;
}

/* The same call as that which changed the model goes on with its training: it began with the weights of then, not with those of now. */
static void find_earlier_call(training *t) {
    const model_training *b = &t->m->begun;
    char *output = all_weights(t) && b->manifest && memcmp(&t->base, &b->base, sizeof t->base) != 0 ? realpath(t->output, NULL) : NULL;
    if (output && strcmp(output, b->output) == 0) {
        set_hash(t->manifest, "base", &b->base);
        t->again = !manifest_difference(b->manifest, t->manifest);
        if (t->again)
            t->base = b->base;
        else
            set_hash(t->manifest, "base", &t->base);
    }
    free(output);
}

/* From here on the model is this training's. */
static agon_status take_model(training *t) {
    model_training *b = &t->m->begun;
    if (!all_weights(t))
        return AGON_OK;
    if (t->again)
        return b->from_file ? model_restore(t->ctx, t->m->m) : AGON_OK; /* a checkpoint has them all */
    char *output = realpath(t->output, NULL);
    if (!output)
        return ctx_fail(t->ctx, AGON_EIO, "%s cannot be opened: %s", t->output, strerror(errno));
    json_decref(b->manifest);
    free(b->output);
    *b = (model_training){json_incref(t->manifest), output, t->base, !model_is_trainable(t->m->m)};
    return AGON_OK;
}

/* The weights that the training began with are nowhere. */
static agon_status check_start(const training *t) {
    if (!t->again || t->m->begun.from_file || (file_exists(t->checkpoint_path) && !t->options.overwrite))
        return AGON_OK;
    return ctx_fail(t->ctx, AGON_EINVAL, "%s: this training began with weights that another training had made in memory, and they are gone; "
                    "open the model again", t->output);
}

/* The reference, which is the file, has the model's weights, unless that was trained on in memory. */
static agon_status find_start(training *t) {
    hash256 id;
    agon_status s = t->reference ? model_id(t->ctx, t->reference, &id) : AGON_OK;
    t->inner.reference_is_start = !s && t->reference && memcmp(&id, &t->base, sizeof id) == 0;
    return s;
}

static agon_status write_manifest(training *t) {
    char *text = json_dumps(t->manifest, JSON_INDENT(2));
    agon_status s = text ? file_write(t->ctx, t->manifest_path, text, strlen(text)) : no_memory(t->ctx);
    free(text);
    return s;
}

/* ---- the folder ------------------------------------------------------------------------------------------ */

static agon_status path_in(const training *t, const char *name, char **out) {
    buffer b = {0};
    buffer_printf(&b, "%s/%s", t->output, name);
    *out = buffer_take(&b);
    return *out ? AGON_OK : no_memory(t->ctx);
}

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
    agon_status s = path_in(t, name, &path);
    if (!s && folder_exists(path))
        s = look_around(t, path, &strange);
    free(path);
    return s;
}

static agon_status open_folder(training *t) {
    agon_status s = folder_make(t->ctx, t->output);
    if (!s)
        s = path_in(t, "training.json", &t->manifest_path);
    if (!s)
        s = path_in(t, "checkpoint.bin", &t->checkpoint_path);
    if (s)
        return s;
    t->lock = open(t->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->lock < 0)
        return ctx_fail(t->ctx, AGON_EIO, "%s cannot be opened: %s", t->output, strerror(errno));
    if (flock(t->lock, LOCK_EX | LOCK_NB) != 0)
        return ctx_fail(t->ctx, AGON_EBUSY, "another training writes to %s", t->output);
    return AGON_OK;
}

/* What an earlier training left; names: of its adapters, by its manifest, which may be anybody's, so a name that leads elsewhere is none. */
static void remove_results(const training *t, const json_t *names) {
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)names, i, one) {
        const char *name = json_string_value(one);
        if (name && names_check(NULL, "adapters", &name, 1) == AGON_OK)
            result_files_remove_below(t->lock, name);
    }
    result_files_remove(t->lock);
    result_files_remove_below(t->lock, "partner");
}

/* Begins over an earlier training and removes what it left; killed in between, it is this training, before its first step. */
static agon_status begin_over(training *t) {
    const bool earlier = file_exists(t->manifest_path);
    agon_status s = output_is_no_input(t->ctx, t->output, weights_path(model_weights(t->m->m)), t->options.adapter);
    if (s)
        return s;
    static const char *const others[] = {"partner", "checkpoint.bin", "online.json", "state.bin"};
    const char *stray = earlier ? NULL : result_files_find(t->lock);
    for (size_t i = 0; i < sizeof others / sizeof *others && !earlier && !stray; i++)
        if (faccessat(t->lock, others[i], F_OK, 0) == 0)
            stray = others[i];
    if (stray)
        return ctx_fail(t->ctx, AGON_EINVAL, "%s has %s of no training, which --overwrite would delete; give another output folder", t->output, stray);
    json_t *found = earlier ? json_load_file(t->manifest_path, 0, NULL) : NULL; /* a damaged one names no adapters */
    json_t *names = json_object_get(found, "adapters");
    unlinkat(t->lock, "checkpoint.bin", 0);
    if (names)
        json_object_set(t->manifest, "removing", names);
    s = write_manifest(t);
    json_object_del(t->manifest, "removing");
    if (!s) {
        remove_results(t, names);
        s = names ? write_manifest(t) : AGON_OK;
    }
    json_decref(found);
    return s;
}

/* Whether the folder's training is this one. */
static agon_status check_same(const training *t, json_t *found) {
    /* Folders that were begun before tokens were told go by data and options, as they did then; a checkpoint knows its rows by itself. */
    if (!json_object_get(found, "tokens"))
        json_object_set(found, "tokens", json_object_get(t->manifest, "tokens"));
    const char *key = manifest_difference(found, t->manifest);
    if (key && strcmp(key, "tokens") == 0)
        return ctx_fail(t->ctx, AGON_EINVAL, "%s holds a training on other tokens of the same data, by another chat template or tokenizer, or with other "
                        "rows left out; give back what it was begun with, another output folder, or --overwrite", t->output);
    if (key && strcmp(key, "base") == 0 && model_is_trainable(t->m->m))
        return ctx_fail(t->ctx, AGON_EINVAL, "%s holds a training that began with other weights than this model has now, which a training changed; "
                        "open the model again, or give another output folder, or --overwrite", t->output);
    return manifest_same(t->ctx, t->output, found, t->manifest);
}

/* Finds out where the folder stands. *summary is set when it is done already. */
static agon_status find_state(training *t, char **summary) {
    bool strange = false;
    json_t *found = NULL, *removing = NULL;
    agon_status s = look_around(t, t->output, &strange);
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
    } else if (file_exists(t->manifest_path)) {
        s = options_damaged(t->ctx, json_read_file(t->ctx, t->manifest_path, &found), t->manifest_path);
        removing = json_incref(json_object_get(found, "removing"));
        json_object_del(found, "removing");
        if (!s)
            s = check_same(t, found);
    } else if (strange) {
        s = ctx_fail(t->ctx, AGON_EINVAL, "%s is not empty and holds no training; give another output folder, or --overwrite",
                     t->output);
    }
    if (!s && json_is_true(json_object_get(found, "done"))) {
        json_t *old = json_object_get(found, "summary");
        unlink(t->checkpoint_path);
        json_object_set_new(old, "already_done", json_true());
        if (!(*summary = json_dumps(old, JSON_COMPACT)))
            s = ctx_fail(t->ctx, AGON_EFORMAT, "%s has no summary; --overwrite starts anew", t->manifest_path);
    } else if (!s && t->options.must_resume && !file_exists(t->checkpoint_path)) {
        s = ctx_fail(t->ctx, AGON_ENOTFOUND, "%s has no checkpoint to go on from", t->output);
    } else if (!s && !(s = check_start(t)) && !found) {
        t->began = true;
        s = write_manifest(t);
    } else if (!s && found && !file_exists(t->checkpoint_path)) { /* killed before it had removed an earlier result */
        remove_results(t, removing);
        s = removing ? write_manifest(t) : AGON_OK;
    }
    json_decref(removing);
    json_decref(found);
    return s;
}

/* ---- running --------------------------------------------------------------------------------------------- */

static agon_status on_step(void *arg, const train_progress *p) {
    training *t = arg;
    agon_metric metrics[MAX_METRICS];
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
                                    .adapter = t->team.n ? t->d->adapters[p->member] : NULL};
    agon_status s = t->options.on_step ? t->options.on_step(t->options.arg, &progress) : AGON_OK;
    t->step_start = monotonic_seconds();
    t->refused = s != AGON_OK;
    return s ? ctx_fail(t->ctx, s, "stopped after step %zu, as on_step asked", p->step) : s;
}

static bool wants_checkpoint(void *arg, size_t step) {
    training *t = arg;
    (void)step;
    return t->options.checkpoint_every == 0 && monotonic_seconds() - t->stored > CHECKPOINT_SECONDS;
}

static agon_status on_checkpoint(void *arg, size_t step, const void *data, size_t n) {
    training *t = arg;
    (void)step;
    agon_status s = file_write(t->ctx, t->checkpoint_path, data, n);
    t->stored = monotonic_seconds();
    t->step_start = t->stored;
    return s;
}

/* The step a checkpoint stands at, of several adapters the first one's; the trainer checks the rest. */
static size_t checkpoint_step(const training *t, const file_map *image) {
    uint64_t step = 0;
    size_t at = 40 + (t->team.n ? 16 + 8 * t->team.n : 0);
    if (image->size >= at + sizeof step)
        memcpy(&step, image->data + at, sizeof step);
    return (size_t)step;
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
    file_map image = {0};
    agon_status s = AGON_OK;
    const train_sink sink = {on_step, on_checkpoint, t, wants_checkpoint};
    if ((t->resumes = file_exists(t->checkpoint_path))) {
        s = file_map_open(t->ctx, t->checkpoint_path, &image);
        t->resumed_after = s ? 0 : checkpoint_step(t, &image);
        if (!s && t->options.on_resume)
            t->options.on_resume(t->options.arg, t->resumed_after);
    }
    t->stored = monotonic_seconds();
    t->step_start = t->stored;
    if (!s && t->team.n)
        s = train_members(t->ctx, t->m->m, t->team.members, t->team.n, &t->inner, &sink, image.data, image.size);
    else if (!s)
        s = train(t->ctx, t->m->m, t->adapter, t->reference, t->reference_adapter, rows, n_rows, &t->inner, &sink,
                  image.data, image.size);
    if (image.data)
        file_unmap(&image);
    return t->resumes && !t->refused ? options_damaged(t->ctx, s, t->checkpoint_path) : s;
}

static agon_status write_result(training *t) {
    char base[4096];
    const char *path = weights_path(model_weights(t->m->m));
    const char *name = strlen(path) < sizeof base && realpath(path, base) ? base : path;
    if (t->team.n)
        return training_team_write(t->ctx, &t->team, name, t->output);
    if (t->adapter) {
        return adapter_n_dimensions(t->adapter) ? adapter_export_dimensions(t->ctx, t->adapter, name, t->output)
                                                : adapter_export_peft(t->ctx, t->adapter, name, t->output);
    }
    return model_export(t->ctx, t->m->m, NULL, "hf", model_dtype(t->m->m) == COMPUTE_F32 ? "f32" : "bf16", t->output, NULL);
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

/* The second adapter, in a folder of its own beside the first. */
static agon_status write_partner(training *t) {
    char base[4096], *folder = NULL;
    const char *path = weights_path(model_weights(t->m->m));
    agon_status s = t->partner ? path_in(t, "partner", &folder) : AGON_OK;
    if (folder)
        s = adapter_export_peft(t->ctx, t->partner, strlen(path) < sizeof base && realpath(path, base) ? base : path, folder);
    free(folder);
    return s;
}

/* What selection adds to the summary. */
static void sum_up_selection(const training *t, json_t *j) {
    char *folder = NULL;
    if (t->options.small_loss > 0)
        json_object_set_new(j, "selection", selection_json(&t->tally, t->inner.selection.level));
    if (!t->partner || path_in(t, "partner", &folder))
        return;
    hash256 id = adapter_hash(t->partner);
    json_t *partner = json_pack("{s:o}", "output", utf8_json(folder));
    set_hash(partner, "id", &id);
    json_object_set_new(j, "partner", partner);
    free(folder);
}

static agon_status finish(training *t, char **summary) {
    char hex[HASH_HEX_SIZE];
    hash256 id = {0};
    agon_status s = AGON_OK;
    if (t->adapter)
        id = adapter_hash(t->adapter);
    else if (!t->team.n)
        s = model_id(t->ctx, t->m->m, &id);
    if (!s)
        s = set_scales(t);
    if (!s)
        s = write_partner(t);
    if (!s)
        s = write_result(t);
    if (s)
        return s;
    hash_hex(&id, hex);
    json_t *j = json_pack("{s:o,s:s,s:s,s:I,s:I,s:I,s:s,s:b}", "output", utf8_json(t->output), "kind", t->adapter || t->team.n ? "peft" : "hf",
                          "objective", t->d->objective->name, "rows", (json_int_t)agon_dataset_n_rows(t->d), "steps",
                          (json_int_t)agon_train_n_steps(t->d, &t->options), "resumed_after",
                          (json_int_t)t->resumed_after, "id", hex, "already_done", 0);
    if (j && t->team.n) {
        json_object_del(j, "id");
        json_object_set_new(j, "adapters", training_team_json(&t->team, t->output, &t->inner));
    } else if (j) {
        sum_up_selection(t, j);
    }
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_object_set_new(t->manifest, "summary", j);
    json_object_set_new(t->manifest, "done", json_true());
    s = text ? write_manifest(t) : no_memory(t->ctx);
    if (s) {
        free(text);
        return s;
    }
    unlink(t->checkpoint_path);
    *summary = text;
    return AGON_OK;
}

static void training_close(training *t) {
    adapter_free(t->adapter);
    adapter_free(t->reference_adapter);
    adapter_free(t->partner);
    training_team_free(&t->team);
    model_free(t->reference);
    json_decref(t->manifest);
    free(t->manifest_path);
    free(t->checkpoint_path);
    if (t->lock >= 0)
        close(t->lock);
}

agon_status agon_train(agon_ctx *ctx, agon_model *m, const agon_dataset *d, const char *output,
                       const agon_train_options *options, char **summary) {
    training t = {.ctx = ctx, .m = m, .d = d, .output = output, .lock = -1};
    char *made = NULL;
    agon_status s = take_options(&t, options);
    if (!s)
        s = check_training(&t);
    if (!s)
        s = open_folder(&t);
    if (!s)
        s = check_memory(&t);
    if (!s)
        s = open_parameters(&t);
    if (!s)
        s = describe(&t);
    if (!s)
        find_earlier_call(&t);
    if (!s)
        s = find_start(&t);
    if (!s)
        s = find_state(&t, &made);
    if (!s && !made)
        s = take_model(&t);
    if (!s && !made)
        s = add_heads(&t);
    if (!s && !made)
        s = run_training(&t);
    if (!s && !made)
        s = finish(&t, &made);
    if (s)
        remove_heads(&t);
    /* What can never be trained must not keep the folder from better options. */
    if (s == AGON_EINVAL && t.began && !file_exists(t.checkpoint_path))
        unlink(t.manifest_path);
    training_close(&t);
    if (s || !summary)
        free(made);
    else
        *summary = made;
    return s;
}

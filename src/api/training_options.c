/* agon.h, options of training; see training_options.h. */
#include "api/training_options.h"
#include "api/dataset.h"
#include "api/models.h"
#include "api/options.h"
#include "api/training_folder.h"
#include "base/fp_environment.h"
#include <math.h>

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
                                .keep = "last",
                                .reference = "start",
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .eps = 1e-8};
}

/* The options over the defaults, for those that have no status; false: a struct_size that is not known. */
static bool take_quietly(const agon_train_options *given, agon_train_options *out) {
    *out = agon_train_options_default();
    return options_take(NULL, "agon_train_options", given, sizeof *out, out) == AGON_OK;
}

size_t agon_train_validate_every(const agon_dataset *d, const agon_train_options *options) {
    FP_ENVIRONMENT();
    agon_train_options taken;
    if (!d || !take_quietly(options, &taken))
        return 0;
    size_t tenth = agon_train_n_steps(d, options) / 10;
    return taken.validate_every ? taken.validate_every : tenth ? tenth : 1;
}

size_t agon_train_n_steps(const agon_dataset *d, const agon_train_options *options) {
    FP_ENVIRONMENT();
    agon_train_options taken;
    train_options o = train_options_default();
    if (!d || !take_quietly(options, &taken))
        return 0;
    o.objective = d->objective;
    o.epochs = taken.epochs;
    o.batch_rows = taken.batch_rows ? taken.batch_rows : 1;
    o.max_steps = taken.max_steps;
    size_t most = d->n_adapters ? 0 : agon_dataset_n_rows(d); /* common steps: those of the adapter that has most rows */
    for (size_t i = 0; i < d->n_adapters; i++)
        most = dataset_n_of_adapter(d->d, i) > most ? dataset_n_of_adapter(d->d, i) : most;
    return train_n_steps(&o, most);
}

/* What is left to agon (NAN): 1e-4 for an adapter, for all weights what was published for the objective. */
static double learning_rate(const agon_train_options *o, const objective *trained) {
    return !isnan(o->learning_rate) ? o->learning_rate : o->adapter || o->lora_rank > 0 ? 1e-4 : trained->learning_rate;
}

double agon_train_learning_rate(const agon_dataset *d, const agon_train_options *options) {
    FP_ENVIRONMENT();
    agon_train_options taken;
    return d && take_quietly(options, &taken) ? learning_rate(&taken, d->objective) : NAN;
}

static agon_status check_numbers(agon_ctx *ctx, const agon_train_options *o) {
    const option_range numbers[] = {
        {"learning_rate", isnan(o->learning_rate) ? 0 : o->learning_rate, 0, (double)FLT_MAX}, {"weight_decay", o->weight_decay, 0, NUMBER_LIMIT},
        {"clip_norm", o->clip_norm, 0, (double)FLT_MAX}, {"warmup", o->warmup, 0, 1}, {"lora_alpha", o->lora_alpha, 0, NUMBER_LIMIT},
        {"temperature", o->temperature, 0, (double)MOST_TEMPERATURE}, {"beta1", o->beta1, 0, 1}, {"beta2", o->beta2, 0, 1},
        {"eps", o->eps, 0, NUMBER_LIMIT}, {"small_loss", o->small_loss, 0, 1}, {"small_loss_ramp", o->small_loss_ramp, 0, 1},
        {"epochs", (double)o->epochs, 0, 1e15}, {"batch_rows", (double)o->batch_rows, 0, 1e15}, {"max_steps", (double)o->max_steps, 0, 1e15},
        {"validate_every", (double)o->validate_every, 0, 1e15}};
    if (o->must_resume && o->overwrite)
        return ctx_fail(ctx, AGON_EINVAL, "a training that must go on from a checkpoint (must_resume) cannot start anew (overwrite); give one of them");
    return options_in_range(ctx, numbers, sizeof numbers / sizeof *numbers);
}

agon_status training_options_take(agon_ctx *ctx, const agon_train_options *given, const objective *trained, agon_train_options *o,
                                  train_options *inner) {
    adapter_options a;
    *o = agon_train_options_default();
    *inner = train_options_default();
    inner->objective = trained;
    agon_status s = options_take(ctx, "agon_train_options", given, sizeof *o, o);
    if (!s)
        s = check_numbers(ctx, o);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the objective's settings", o->settings, o->n_settings}, {"ideal", o->ideal, o->n_ideal});
    if (!s)
        s = objective_configure(ctx, trained, o->settings, o->n_settings, inner->objective_options);
    if (!s && o->adapter && o->lora_rank > 0)
        s = ctx_fail(ctx, AGON_EINVAL, "give an adapter to go on from or the rank of a new one, not both");
    if (!s)
        s = options_texts(ctx, "lora_targets", o->lora_targets, o->n_lora_targets);
    if (!s && o->n_lora_targets && o->lora_rank == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "the layers of an adapter (lora_targets) go with the rank of a new one (lora_rank)");
    if (!s)
        s = training_adapter(ctx, o, &a);
    if (!s && o->base_name && !o->adapter && o->lora_rank == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "the name of the base (base_name) stands in an adapter's folder; all weights are a model of their own");
    if (!s && o->base_name)
        s = base_name_check(ctx, o->base_name);
    o->learning_rate = learning_rate(o, trained);
    inner->batch_rows = o->batch_rows;
    inner->epochs = o->epochs;
    inner->lr = (float)o->learning_rate;
    inner->beta1 = (float)o->beta1;
    inner->beta2 = (float)o->beta2;
    inner->eps = (float)o->eps;
    inner->weight_decay = (float)o->weight_decay;
    inner->clip_norm = (float)o->clip_norm;
    inner->temperature = temperature_take(o->temperature);
    inner->seed = o->seed;
    return s;
}

agon_status training_adapter(agon_ctx *ctx, const agon_train_options *o, adapter_options *out) {
    *out = (adapter_options){.rank = o->lora_rank, .seed = o->seed,
                             .alpha = (float)(o->lora_alpha > 0 ? o->lora_alpha : 2 * (double)o->lora_rank)};
    return lora_targets_read(ctx, o->lora_targets, o->n_lora_targets, &out->targets);
}

agon_status training_describe_targets(agon_ctx *ctx, const agon_train_options *o, json_t *manifest) {
    adapter_options a;
    char targets[LORA_TARGETS_SIZE];
    agon_status s = training_adapter(ctx, o, &a);
    if (s || !a.targets)
        return s;
    lora_targets_print(a.targets, targets);
    return json_object_set_new(manifest, "lora_targets", json_string(targets)) ? ctx_no_memory(ctx) : AGON_OK;
}

json_t *training_settings(const objective *o, const double *values) {
    json_t *object = json_object();
    for (size_t i = 0; o->options && o->options[i].name; i++)
        json_object_set_new(object, o->options[i].name, json_real(values[i]));
    return object;
}

void training_take_partners(const agon_train_options *o, const char *folder, const char *manifest, train_options *inner) {
    inner->next_partner = (inner->objective->needs & NEEDS_MISMATCHED) && folder && !o->overwrite && training_folder_lacks(folder, manifest, "partners");
}

void training_describe_partners(const train_options *inner, json_t *manifest) {
    if ((inner->objective->needs & NEEDS_MISMATCHED) && !inner->next_partner)
        json_object_set_new(manifest, "partners", json_string("other prompts"));
}

void training_describe_base_name(const agon_train_options *o, json_t *manifest) {
    if (o->base_name)
        json_object_set_new(manifest, "base_name", json_string(o->base_name));
}

void training_describe_adam(const agon_train_options *o, json_t *manifest) {
    static const char *const names[] = {"beta1", "beta2", "eps"};
    const agon_train_options plain = agon_train_options_default();
    const double values[] = {o->beta1, o->beta2, o->eps}, plains[] = {plain.beta1, plain.beta2, plain.eps};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] != plains[i])
            json_object_set_new(manifest, names[i], json_real(values[i]));
}

/* AdamW's constants and learning rate of agon_train_options, for trainings on files and in rounds. */
#ifndef API_OPTIMISER_H
#define API_OPTIMISER_H

#include "agon.h"
#include "api/options.h"
#include "objective/objective.h"
#include "train/train.h"
#include <jansson.h>
#include <math.h>

static inline void adam_take(const agon_train_options *o, train_options *out) {
    out->beta1 = (float)o->beta1;
    out->beta2 = (float)o->beta2;
    out->eps = (float)o->eps;
}

/* What is left to agon (NAN): 1e-4 for an adapter, for all weights what was published for the objective. */
static inline double learning_rate_take(const agon_train_options *o, const objective *trained) {
    return !isnan(o->learning_rate) ? o->learning_rate : o->adapter || o->lora_rank > 0 ? 1e-4 : trained->learning_rate;
}

static const char *const adam_names[] = {"beta1", "beta2", "eps"};

/* AGON_EINVAL names a number that a training cannot have (the trainer knows narrower bounds of some), or what excludes one another. */
AGON_MUST_CHECK static inline agon_status train_options_check(agon_ctx *ctx, const agon_train_options *o) {
    const option_range numbers[] = {
        {"learning_rate", isnan(o->learning_rate) ? 0 : o->learning_rate, 0, (double)FLT_MAX}, {"weight_decay", o->weight_decay, 0, NUMBER_LIMIT},
        {"clip_norm", o->clip_norm, 0, (double)FLT_MAX}, {"warmup", o->warmup, 0, 1}, {"lora_alpha", o->lora_alpha, 0, NUMBER_LIMIT},
        {"temperature", o->temperature, 0, (double)MOST_TEMPERATURE}, {"beta1", o->beta1, 0, 1}, {"beta2", o->beta2, 0, 1},
        {"eps", o->eps, 0, NUMBER_LIMIT}, {"small_loss", o->small_loss, 0, 1}, {"small_loss_ramp", o->small_loss_ramp, 0, 1},
        {"epochs", (double)o->epochs, 0, 1e15}, {"batch_rows", (double)o->batch_rows, 0, 1e15}, {"max_steps", (double)o->max_steps, 0, 1e15}};
    if (o->must_resume && o->overwrite)
        return ctx_fail(ctx, AGON_EINVAL, "a training that must go on from a checkpoint (must_resume) cannot start anew (overwrite); give one of them");
    return options_in_range(ctx, numbers, sizeof numbers / sizeof *numbers);
}

/* What is not the default goes into a training's description, so that folders begun before there was a choice go on. */
static inline void adam_describe(const agon_train_options *o, json_t *description) {
    const agon_train_options plain = agon_train_options_default();
    const double values[] = {o->beta1, o->beta2, o->eps}, plains[] = {plain.beta1, plain.beta2, plain.eps};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] != plains[i])
            json_object_set_new(description, adam_names[i], json_real(values[i]));
}

#endif

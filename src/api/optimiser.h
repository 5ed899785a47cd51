/* AdamW's constants and learning rate of agon_train_options, for trainings on files and in rounds. */
#ifndef API_OPTIMISER_H
#define API_OPTIMISER_H

#include "agon.h"
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

/* What is not the default goes into a training's description, so that folders begun before there was a choice go on. */
static inline void adam_describe(const agon_train_options *o, json_t *description) {
    const agon_train_options plain = agon_train_options_default();
    const double values[] = {o->beta1, o->beta2, o->eps}, plains[] = {plain.beta1, plain.beta2, plain.eps};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] != plains[i])
            json_object_set_new(description, adam_names[i], json_real(values[i]));
}

#endif

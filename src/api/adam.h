/* AdamW's constants of agon_train_options, for trainings on files and in rounds. */
#ifndef API_ADAM_H
#define API_ADAM_H

#include "agon.h"
#include "train/train.h"
#include <jansson.h>

static inline void adam_take(const agon_train_options *o, train_options *out) {
    out->beta1 = (float)o->beta1;
    out->beta2 = (float)o->beta2;
    out->eps = (float)o->eps;
}

/* What is not the default goes into a training's description, so that folders begun before there was a choice go on. */
static inline void adam_describe(const agon_train_options *o, json_t *description) {
    const agon_train_options plain = agon_train_options_default();
    const struct {
        const char *name;
        double value, plain;
    } all[] = {{"beta1", o->beta1, plain.beta1}, {"beta2", o->beta2, plain.beta2}, {"eps", o->eps, plain.eps}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value != all[i].plain)
            json_object_set_new(description, all[i].name, json_real(all[i].value));
}

#endif

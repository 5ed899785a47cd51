/* agon_train_options as trainings on files (training.c) and in rounds (online_runs.c) take them. */
#ifndef API_TRAINING_OPTIONS_H
#define API_TRAINING_OPTIONS_H

#include "model/model.h"
#include "objective/objective.h"
#include "train/train.h"
#include <jansson.h>

/* Copies `given` (NULL: the defaults) to *o with its learning rate decided, and to *inner what every training has of it. AGON_EINVAL names a
 * number that a training cannot have (the trainer knows narrower bounds of some), or what excludes one another. */
AGON_MUST_CHECK agon_status training_options_take(agon_ctx *ctx, const agon_train_options *given, const objective *trained,
                                                  agon_train_options *o, train_options *inner);
/* The new adapter that is asked for. AGON_EINVAL: there is no such layer. */
AGON_MUST_CHECK agon_status training_adapter(agon_ctx *ctx, const agon_train_options *o, adapter_options *out);
/* Its layers in the manifest, where they are not all: folders begun before there was a choice go on. */
AGON_MUST_CHECK agon_status training_describe_targets(agon_ctx *ctx, const agon_train_options *o, json_t *manifest);
/* What the objective's options are, for the manifest; new. */
json_t *training_settings(const objective *o, const double *values);
/* Objectives that meet a prompt with another's answer: as the training in `folder` was begun (NULL or none: as now), before it is checked; and in its manifest. */
void training_take_partners(const agon_train_options *o, const char *folder, const char *manifest, train_options *inner);
void training_describe_partners(const train_options *inner, json_t *manifest);
/* AdamW's constants in the manifest: what is not the default, so that folders begun before there was a choice go on. */
void training_describe_adam(const agon_train_options *o, json_t *manifest);
/* What adapters name as their base, where that was said. */
void training_describe_base_name(const agon_train_options *o, json_t *manifest);

#endif

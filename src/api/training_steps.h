/* steps.jsonl in a training's folder: one JSON object a step, what on_step is told but the time it took. However often the training was
 * interrupted, the file is the one of a training that was not. */
#ifndef API_TRAINING_STEPS_H
#define API_TRAINING_STEPS_H

#include "train/train.h"

#define TRAINING_STEPS "steps.jsonl"

typedef struct training_steps {
    agon_ctx *ctx;
    char *path;
    int file;   /* -1: nothing is written yet */
    bool *goes; /* [n_members] its steps that come again are cut away */
    size_t n_members;
} training_steps;

/* Of a training in `folder` of n_members adapters (1: none, or one), which goes on from a checkpoint or begins, over nothing. */
AGON_MUST_CHECK agon_status training_steps_open(agon_ctx *ctx, const char *folder, size_t n_members, bool resumes, training_steps *out);
/* `adapter`: the member's name where there are several, else NULL. AGON_EIO, AGON_ENOMEM. */
AGON_MUST_CHECK agon_status training_steps_add(training_steps *t, const train_progress *p, const char *adapter);
/* What was said is on the disk. AGON_EIO. */
AGON_MUST_CHECK agon_status training_steps_sync(training_steps *t);
void training_steps_close(training_steps *t);

#endif

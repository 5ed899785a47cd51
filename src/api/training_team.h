/* Several adapters of one training (agon.h, agon_train on a dataset with adapters): their rows, their results. */
#ifndef API_TRAINING_TEAM_H
#define API_TRAINING_TEAM_H

#include "api/dataset.h"

typedef struct training_team {
    const agon_dataset *d;
    size_t n; /* 0: one adapter, or none, is trained in the usual way */
    train_member *members;
    train_row *rows; /* the dataset's, member after member */
    selection_tally *tallies;
} training_team;

/* New adapters of this shape with what the objective reads, one for each name of d. training_team_free also after a failure. */
AGON_MUST_CHECK agon_status training_team_open(agon_ctx *ctx, agon_model *m, const agon_dataset *d, const adapter_options *shape,
                                               const train_options *o, training_team *out);
void training_team_free(training_team *t);
/* PEFT folders. base: the model's path. */
AGON_MUST_CHECK agon_status training_team_write(agon_ctx *ctx, const training_team *t, const char *base, const char *output);
/* What small-loss selection came to: {"rows" | "tokens" | "spans": of all batches, "kept", "disagreed"}; new. */
json_t *selection_json(const selection_tally *n, selection_level level);
/* [{"name", "output", "rows", "steps", "id", "selection"?}]; new. */
json_t *training_team_json(const training_team *t, const char *output, const train_options *o);

#endif

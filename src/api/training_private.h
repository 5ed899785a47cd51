/* What the files of agon_train share: training_check.c, training_state.c, training.c. */
#ifndef API_TRAINING_PRIVATE_H
#define API_TRAINING_PRIVATE_H

#include "api/training_folder.h"
#include "api/training_options.h"
#include "api/training_steps.h"
#include "api/training_team.h"
#include "base/file.h"
#include <string.h>

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
    training_folder folder;
    char *checkpoint_path, *best_path;
    training_steps steps;
    byte_reader best; /* the state at the best step, once it is taken */
    bool takes_best; /* and that was begun */
    bool longer;  /* by this call, than the folder's training was to be */
    bool again;   /* the model holds what the same call made of it before */
    bool resumes; /* there is a checkpoint */
    bool refused; /* on_step asked to stop */
    bool adds_head[N_HEAD_KINDS]; /* to the model, which keeps what it had before this call only */
    double step_start, stored; /* monotonic_seconds */
    size_t resumed_after;
} training;

/* ---- options --------------------------------------------------------------------------------------------- */

static inline bool base_is_reference(const training *t) {
    return strcmp(t->options.reference, "base") == 0;
}

static inline bool all_weights(const training *t) {
    return !t->adapter && !t->team.n;
}

/* ---- training_check.c: what is asked, and whether it can be done ---- */

AGON_MUST_CHECK agon_status training_take_options(training *t, const agon_train_options *given);
/* What could never be trained is refused before anything is begun. */
AGON_MUST_CHECK agon_status training_check(const training *t);
AGON_MUST_CHECK agon_status training_check_memory(training *t);

/* ---- training_state.c: the manifest, and where the folder stands by it ---- */

/* Everything the result is a function of. */
AGON_MUST_CHECK agon_status training_describe(training *t);
/* Finds out where folder and model stand, and begins where nothing is begun. *summary, new, is set when it is done already. */
AGON_MUST_CHECK agon_status training_find_state(training *t, char **summary);
/* Whether its last state is kept when it is done, since more epochs or steps can go on from it. */
bool training_keeps_state(const training *t);
/* Of the validations that the manifest has, those up to the step that is gone on from (0: none is) stay known. AGON_EFORMAT: they are not those of
 * this training. */
AGON_MUST_CHECK agon_status training_find_validated(training *t, size_t step);
/* What the summary says of them; NULL: none. */
json_t *training_validation_json(const training *t);
/* From here on the model is this training's. */
AGON_MUST_CHECK agon_status training_take_model(training *t);

#endif

/* From labelled examples to a new model version, durably. */
#ifndef STEP_TRAIN_VERSION_H
#define STEP_TRAIN_VERSION_H

#include "step/actors.h"

enum { EXAMPLE_MAX_SOURCES = 4, TRAIN_VERSION_TOKENS = 1024 /* of a row, unless the plan says otherwise */ };

/* One training example and where it came from; strings and row borrowed. */
typedef struct example {
    const char *objective, *origin; /* as in example_record */
    const char *prompt;             /* the user's message, or raw text */
    const char *chosen, *rejected;  /* the answer; rejected NULL where there is no pair */
    const json_t *row;              /* a row as the trainer reads it, instead of these three; NULL */
    const char *identity;           /* of the task that is answered (task_identity); NULL: none is known. No part of its record */
    bool raw;                       /* text as it is, no chat template */
    bool chosen_cut, rejected_cut;  /* cut off before its end: none is learnt */
    const char *labels[EXAMPLE_MAX_SOURCES], *texts[EXAMPLE_MAX_SOURCES];
    size_t n_labels, n_texts;
    int64_t n_tokens;        /* loss tokens */
    char id[STORE_ID_SIZE];  /* of its record, filled by build_examples */
} example;

/* Loss tokens of an answer under the local model's tokenizer (ended: with its end of turn); without one, words and a third. */
AGON_MUST_CHECK agon_status example_count_tokens(actors *a, const char *answer, bool ended, int64_t *n);

/* Writes the example records at `path`. AGON_EREFUSED when one descends from a sealed answer. */
AGON_MUST_CHECK agon_status build_examples(actors *a, const char *path, example *examples, size_t n);

/* What else AdamW and its rate are told. */
typedef struct train_optimiser {
    const char *schedule; /* cosine, linear, constant */
    double clip_norm, beta1, beta2, eps, weight_decay;
} train_optimiser;

typedef struct train_plan {
    const char *role;   /* learner, critic; static */
    const char *parent; /* version to go on from; the base: a fresh adapter */
    const char *objective;
    char *const *settings; /* "beta=0.1" [n_settings] */
    size_t n_settings;
    unsigned targets; /* layers of a fresh adapter (lora_targets_read); 0: all */
    size_t rank, epochs, batch, checkpoint_every;
    size_t max_length; /* tokens of a row; 0: 1,024 */
    double alpha, lr, warmup;
    double small_loss, small_loss_ramp; /* small-loss selection (train.h); 0: every row */
    const char *file;    /* where the examples were read, and [n] their lines there, for sentences about them; NULL: nowhere */
    const size_t *lines;
    const train_optimiser *optimiser; /* NULL: as train_options_default() has it */
    bool control; /* a control arm: no lineage, no example records behind it */
} train_plan;

/* Trains a LoRA version on examples [n] at `path`; goes on from the last checkpoint after an interruption, bit for bit. Writes version and status
 * "candidate". version: its id. AGON_EUNSUPPORTED without a local model. */
AGON_MUST_CHECK agon_status train_version(actors *a, const char *path, const example *examples, size_t n,
                                          const train_plan *plan, char version[STORE_ID_SIZE]);

#endif

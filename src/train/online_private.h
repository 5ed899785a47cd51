/* Online training's parts: its rounds (online.c) and its state between them (online_state.c). Include only in src/train. */
#ifndef TRAIN_ONLINE_PRIVATE_H
#define TRAIN_ONLINE_PRIVATE_H

#include "train/online.h"
#include "train/samples.h"
#include "train/train_private.h"

typedef struct online {
    agon_ctx *ctx;
    model *m;
    adapter *a;
    const adapter *reference;
    online_options options;
    const online_sink *sink;
    unsigned needs;
    bool pairs;
    size_t n_accept; /* by rejection sampling; 0: best and worst */
    train_moments moments;
    workspace *work;
    size_t round;
    int beta; /* index of the option; -1: none */
    /* of the round */
    arena *memory;
    online_prompt *prompts;
    completion *samples; /* [n_prompts, n_samples] */
    double *rewards;     /* the same, with penalties */
    bool *fails;         /* the same: the reward without penalties is under pass_reward */
    float **values;      /* the same: value head outputs; NULL: none */
    float **token_rewards; /* the same: rewards of single tokens; NULL: none */
    sample_rows made;
    online_report report;
} online;

agon_status online_no_memory(online *o);
/* Gives the state behind a round to the sink, where it takes one. AGON_ENOMEM, or the sink's status. */
AGON_MUST_CHECK agon_status online_store(online *o);
/* Goes on behind the rounds of a stored state: adapter, moments, beta. AGON_EFORMAT: damaged or none; AGON_EMISMATCH: of other options or another adapter. */
AGON_MUST_CHECK agon_status online_restore(online *o, const char *data, size_t n);

#endif

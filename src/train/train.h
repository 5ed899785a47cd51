/* The trainer: examples to optimiser steps.
 *
 * Order of the data, accumulation and schedule are functions of (options, seed) and the step number, so
 * a run resumed from a checkpoint continues bit for bit. Normalisation is over the whole optimiser step
 * (never per micro-batch). A micro-batch is one tree. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "model/model.h"
#include "base/file.h"
#include "objective/objective.h"

/* One training row as tokens: a prompt and its responses (tree: prompt = root, responses = children). */
typedef struct train_response {
    const int32_t *tokens; /* [n], n >= 1 */
    size_t n;
    const float *mask;      /* [n] token weights, NULL: all 1 */
    const float *old;       /* [n] log_probs at sampling, NULL: those of the policy that training begins with, where the objective reads any */
    const float *old_values; /* [n] value head outputs at sampling, NULL: the same, of a head that has learnt something */
    const float *targets; /* [n] labels of single tokens (the ends of steps), NAN elsewhere; NULL none */
    const float *token_rewards; /* [n] rewards of single tokens (row_spans.h), NULL none */
    double reward, advantage, label, weight; /* NAN / 1 as in objective.h */
} train_response;
static inline float response_mask(const train_response *r, size_t i) {
    return r->mask ? r->mask[i] : 1;
}

typedef struct train_row {
    const int32_t *prompt; /* [n_prompt]; n_prompt may be 0: the response is then its own root and its
                              first token is context only */
    size_t n_prompt;
    const train_response *responses;
    size_t n_responses;
    double weight;
    size_t dimension; /* what it was labelled for, where several dimensions are trained */
    size_t adapter;   /* whose it is, where several adapters are */
    const char *file; /* and line: where it was read, for sentences about it; NULL: a row in memory, */
    size_t line;      /* its number there from 1; 0: not known */
} train_row;
/* All that is learnt from rows, tokens and masks and numbers, not where they stand. */
AGON_MUST_CHECK agon_status train_rows_hash(agon_ctx *ctx, const train_row *rows, size_t n, hash256 *out);
enum { ROW_PLACE_SIZE = 600 };
/* "rows.jsonl:7", or "training row 3": what sentences call rows[i]; its place in `rows` counts where nothing else is known. */
const char *row_place(const train_row *rows, size_t i, char out[ROW_PLACE_SIZE]);

typedef enum lr_schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } lr_schedule;
/* "constant", "linear", "cosine"; AGON_EINVAL names them. */
AGON_MUST_CHECK agon_status schedule_find(agon_ctx *ctx, const char *name, lr_schedule *out);

/* How the losses of several dimensions become one (objective/scalarise.h). */
typedef enum aggregation { AGGREGATE_LINEAR, AGGREGATE_TCHEBYCHEFF } aggregation;

/* Panacea: an adapter with dimensions is trained under preference vectors drawn evenly from the simplex, `vectors` an optimiser step, each on rows
 * of its own of every dimension; the step's loss is the mean over the vectors of the aggregated losses. */
typedef struct train_preferences {
    aggregation aggregate;
    size_t vectors;               /* a step; batch_rows is a multiple of vectors * dimensions */
    double ideal[MAX_DIMENSIONS]; /* the least loss of each dimension, where Tchebycheff measures from */
} train_preferences;

/* AdamW's moments, carried from one training to the next (rounds of online training). Zero-initialise; free both. */
typedef struct train_moments {
    float *first, *second; /* [n_values] of all parameters in order; NULL: none yet */
    size_t n_values, step; /* optimiser steps taken so far */
} train_moments;

/* What small-loss selection kept, over all steps so far, those before a resume too. */
typedef struct selection_tally {
    size_t seen, kept; /* rows (tokens, spans) of the batches, and those trained on */
    size_t disagreed;  /* those kept that the partner did not train on */
} selection_tally;

/* What is ranked by its loss and left out as a whole. */
typedef enum selection_level { SELECT_ROWS, SELECT_TOKENS, SELECT_SPANS } selection_level;
/* "row", "token", "span"; AGON_EINVAL. */
AGON_MUST_CHECK agon_status selection_level_find(agon_ctx *ctx, const char *name, selection_level *out);
const char *selection_level_name(selection_level level);

/* Small-loss selection for noisy rows (spec: training 5): a step trains on the share 1 - tau * min(step / ramp, 1) of its batch that has the
 * smallest losses, as the policy is then. With a partner (co-teaching) both learners score the same batch and each trains on the rows
 * that are easiest for the other. */
typedef struct train_selection {
    double tau;  /* share left out in the end, below 1; 0: every row is trained on */
    double ramp; /* share of the steps over which it grows to that */
    bool co_teach;
    adapter *partner;     /* the second learner: an adapter of another seed, */
    model *partner_model; /* or, where all weights are trained, another model with the same reference */
    selection_level level;
    size_t span;            /* tokens of a span, counted from the response's start; its last one may be shorter */
    selection_tally *tally; /* written at the end; NULL: not wanted */
} train_selection;

/* Held-out rows, scored by the objective without learning from them: before step 1, after each `every` steps and after the last one. The loss and
 * the metrics are those of one step of all the rows, an objective's ramp (its option "progress") at its end, so that no batch shows in
 * them and steps can be compared. Nothing that is trained depends on it but which step's parameters are left. */
typedef struct train_validation {
    const train_row *rows; /* [n_rows]; n_rows 0: none */
    size_t n_rows;
    size_t every;     /* steps; 0: train_validate_every */
    size_t from;      /* steps below this are known from a call that this one goes on from */
    bool keep_best;   /* what is left is the learner after the step (1 or later) with the least loss, the first of equal ones; not after the last */
    size_t best_step; /* of the steps below `from`; 0: none */
    double best_loss;
} train_validation;

typedef struct train_options {
    const objective *objective;
    double objective_options[MAX_OBJECTIVE_OPTIONS];
    size_t batch_rows; /* rows an optimiser step */
    size_t epochs;
    size_t max_steps; /* 0: epochs decide */
    float lr, beta1, beta2, eps, weight_decay, clip_norm;
    lr_schedule schedule;
    double warmup; /* share of the steps */
    float temperature; /* policy, old and reference alike; 0 means 1 */
    uint64_t seed; /* data order */
    size_t checkpoint_every; /* steps; 0: only at the end */
    bool reference_is_start; /* all weights: the reference has the weights that training starts from, so step 0 is checked */
    bool old_is_start; /* the rows' log_probs at sampling are those of the weights that training starts from, so step 0 is checked: every ratio is 1 */
    bool next_partner; /* objectives that meet a prompt with another's answer take the next row's, be it of the same prompt: begun before that was looked at */
    train_preferences preferences; /* read where the adapter has dimensions */
    train_selection selection;
    train_moments *moments; /* taken up at the start, written at the end; NULL: they begin at zero and are dropped */
    train_validation validation;
} train_options;
train_options train_options_default(void); /* AdamW (0.9, 0.999), 1e-8, wd 0, clip 1, cosine, 3% warm-up, lr 1e-4, linear, 4 vectors */

typedef struct train_progress {
    size_t step, n_steps;
    double loss, grad_norm, lr;
    size_t tokens;          /* all tokens run this step */
    size_t supervised;      /* tokens with a mask > 0 */
    const metric *metrics; /* the objective's, "update_ratio", "update_ratio_max", "grad_clipped" */
    size_t n_metrics;
    size_t member; /* whose step it was, of several adapters; else 0 */
} train_progress;

/* What held-out rows say after `step` steps. */
typedef struct train_validated {
    size_t step, n_steps; /* 0: before the first */
    double loss;
    const metric *metrics; /* [n_metrics] the objective's */
    size_t n_metrics;
    bool best; /* the least loss after a step so far */
} train_validated;

/* What the trainer asks of its caller. All may be NULL. A status other than AGON_OK stops training. */
typedef struct train_sink {
    agon_status (*on_step)(void *arg, const train_progress *progress);
    /* State after `step` optimiser steps: parameters, moments, counters; opaque bytes, made while they are written, to be stored durably. */
    agon_status (*on_checkpoint)(void *arg, size_t step, const byte_stream *state);
    void *arg;
    /* Whether to store now, beyond checkpoint_every; asked after each step. After agon_interrupt the last finished step is stored anyway. */
    bool (*wants_checkpoint)(void *arg, size_t step);
    agon_status (*on_validation)(void *arg, const train_validated *v);
    /* With keep_best, these may not be NULL: the state at the best step so far, to be stored before on_validation says of it; and that
     * state again at the end, open until `train` returns. */
    agon_status (*on_best)(void *arg, size_t step, const byte_stream *state);
    agon_status (*take_best)(void *arg, byte_reader *out);
} train_sink;

/* The head that the objective reads, if it reads one, on an adapter or (NULL) on m; one that is there goes on. A value head starts at zero:
 * the first values must not move the policy. */
AGON_MUST_CHECK agon_status train_add_head(agon_ctx *ctx, model *m, adapter *a, const objective *o, const double *options,
                                           uint64_t seed);

/* Refuses what `train` would refuse of rows, options and an adapter's dimensions (0: none) before anything is opened for it. AGON_EINVAL. */
AGON_MUST_CHECK agon_status train_check(agon_ctx *ctx, const model *m, const train_row *rows, size_t n_rows, size_t n_dimensions,
                                        const train_options *options);

/* Trains `train` (an adapter of m), or all weights of m when it is NULL (then `reference` must be given where the objective needs one). `reference`: model whose adapter-less forward
 * gives reference log_probs; NULL with LoRA means m itself without adapter, or with `reference_adapter`. `resume`:
 * the bytes of an earlier on_checkpoint, read before the first step, NULL to start; AGON_EMISMATCH when they belong to other options, data or weights. Where
 * train_fixed_length allows, it may have been one of fewer steps.
 * Where the objective reads a head, the adapter (else the model) must have one of that kind (train_add_head): it is trained with the rest.
 * An adapter with dimensions is trained for all preference vectors (train_preferences) and stands at the even one afterwards; it learns no head.
 * With selection.co_teach the partner is trained beside it, its state in the same checkpoint; steps then report "partner_loss" and "disagree", with any
 * selection "kept". Selection is refused (AGON_EINVAL) where a row has no loss of its own: objectives over the whole step, policy gradients, several dimensions;
 * that of tokens and spans where a token has none.
 * Rows without log_probs at sampling (`old`), under an objective that reads them, are scored once before step 1 by the policy that training begins with: a
 * pass over them, whose numbers the stored state keeps. Their first ratios are 1, which is checked.
 * AGON_ENUMERIC names step and rows when a loss or gradient is not finite. Asserts the step-0 invariants where the objective
 * has a reference (policy == reference: margin 0). */
AGON_MUST_CHECK agon_status train(agon_ctx *ctx, model *m, adapter *train, const model *reference,
                                  const adapter *reference_adapter, const train_row *rows, size_t n_rows,
                                  const train_options *options, const train_sink *sink, const byte_reader *resume);
/* One of several adapters that are trained together, each on rows of its own. */
typedef struct train_member {
    adapter *adapter;
    const struct adapter *reference; /* as reference_adapter of `train`; NULL: m without an adapter */
    const train_row *rows;
    size_t n_rows;
    selection_tally *tally; /* instead of the options'; NULL: not wanted */
} train_member;

/* Trains members [n] of m in common steps: the batch of step i is the i-th batch of every member that has one, each tree run under its own
 * adapter. Base weights, packs and working memory are there once; parameters, gradients, moments and order are each member's own, so each
 * gets the losses and the parameters, bit for bit, that `train` gives it alone with these options. on_step is called a member and step; a stored state holds
 * all members. AGON_EINVAL besides what `train` refuses: co-teaching, carried moments, an adapter that stands twice. A sentence about a row
 * in memory numbers it among its member's. */
AGON_MUST_CHECK agon_status train_members(agon_ctx *ctx, model *m, const train_member *members, size_t n, const train_options *options,
                                          const train_sink *sink, const byte_reader *resume);
/* What `train` will add to the process's memory at its peak, in bytes. */
typedef struct train_memory {
    size_t weights;     /* what widening those kept in 8 bits adds */
    size_t parameters;  /* masters and gradients where they are not there yet, moments */
    size_t activations; /* of the largest row, with what the backward pass needs beside them */
    size_t recomputed;  /* the same where a layer's activations are computed again instead of kept */
    size_t rest;        /* channels of a step, log_probs of the reference and of the start, moments that are carried on */
} train_memory;
/* n_lora: values of the adapter and its rank, 0 when all weights are trained. Rows as in `train`. */
train_memory train_predict(const model *m, size_t n_lora, size_t rank, const train_row *rows, size_t n_rows,
                           const train_options *options);
/* The same of train_members with `n_members` adapters of this shape, which have a preference's dimensions or not; rows: of all of them. */
train_memory train_predict_members(const model *m, size_t n_members, size_t n_lora, size_t rank, bool dimensions, const train_row *rows,
                                   size_t n_rows, const train_options *options);
/* The sum, which exceeds `room` only where the training cannot be done in it. *workspace_limit: 0, or what the activations must do with. */
size_t train_memory_total(const train_memory *n, size_t room, size_t *workspace_limit);
/* Why a training cannot be gone on from its end with more epochs or steps, in half a sentence: some step depends on how many there are. NULL: none does,
 * and it can, to the bits of one that was begun with them. */
const char *train_fixed_length(const train_options *options, const train_row *rows, size_t n_rows);
/* Optimiser steps `train` will take. */
size_t train_n_steps(const train_options *options, size_t n_rows);
/* Steps from one validation to the next: those asked for, else a tenth of all, at least one. */
size_t train_validate_every(const train_options *options, size_t n_rows);
/* Rows of a that stand in b too, with the same tokens of prompt and responses. */
AGON_MUST_CHECK agon_status train_rows_shared(agon_ctx *ctx, const train_row *a, size_t n_a, const train_row *b, size_t n_b, size_t *out);

#endif

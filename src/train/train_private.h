/* The trainer's parts: schedule, one step's channels, checkpoint image. Include only in src/train. */
#ifndef TRAIN_TRAIN_PRIVATE_H
#define TRAIN_TRAIN_PRIVATE_H

#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "train/train.h"

/* ---- schedule.c ---------------------------------------------------------------------------------- */

/* Learning rate of 0-based `step`: linear warm-up over steps 0..warmup-1 that reaches the peak at
 * warmup-1, then constant, linear or cosine to min_ratio*peak at `total`, constant after (training.md V:opt.schedule). */
double schedule_lr(lr_schedule schedule, double peak, size_t warmup, size_t total, double min_ratio, size_t step);
/* Factor of the gradients: min(1, max_norm / (norm + 1e-6)); max_norm 0: 1. */
double clip_scale(double norm, double max_norm);
/* The rows of 0-based `step`, a function of (seed, n_rows, batch_rows, step): each epoch is a new
 * permutation, its last step takes what is left, and the step before takes that along where it is less than
 * `least` rows (least_batch of the objective). `order` [n_rows] is scratch. Returns how many; *first points into order. */
size_t order_step(uint64_t seed, size_t n_rows, size_t batch_rows, size_t least, size_t step, size_t *order,
                  const size_t **first);

/* ---- train_score.c ------------------------------------------------------------------------------------- */

enum { CHANNELS = 14 }; /* doubles of a response token in a step; one more where a head has a gradient */

/* What is trained, with its optimiser's state. */
typedef struct learner {
    model *m;
    adapter *train; /* NULL: all weights */
    scalar_head *head;
    parameters params;
    float **moment1, **moment2;
} learner;

/* Where log_probs come from and go to. */
typedef struct trainer {
    agon_ctx *ctx;
    model *m;
    adapter *train;                   /* NULL: all weights */
    const model *reference;           /* NULL: m */
    const adapter *reference_adapter; /* may be NULL */
    const train_row *data;
    size_t n_data;
    const train_options *options;
    unsigned needs; /* objective_needs_with */
    scalar_head *head; /* the reward or value head the objective reads; NULL: none */
    bool head_only;    /* no log_probs: the vocabulary is never touched */
    float *hidden, *d_hidden; /* [n_hidden] of the last tree the head read, and its gradient */
    size_t n_hidden;
    double step_options[MAX_OBJECTIVE_OPTIONS]; /* of the objective, with this step's progress */
    workspace *work;
    arena *step;              /* reset each step */
    float **reference_cache;  /* [n_data] log_probs of all response tokens, or NULL: not yet computed */
    double **start;           /* [n_data] train_start.c: log_probs, then values of a row's response tokens at the start; NULL: not asked for */
    bool start_known, start_valued; /* the numbers are there; with values that say something */
    parameters params;
    float **moment1, **moment2; /* [params.n][values] */
    size_t checked_step; /* after which it was last seen that the result can be used */
    size_t next_step, first_step; /* steps taken; steps of earlier trainings whose moments are carried on */
    hash256 identity;
    size_t *dimension_rows; /* [n_data] rows of dimension 0, then of 1, ...; NULL: no dimensions */
    size_t dimension_first[MAX_DIMENSIONS + 1];
    learner other; /* co-teaching: the learner whose turn it is not (swap_learners); else empty */
    selection_tally tally;
    size_t member; /* which of several adapters this is */
    bool borrows;  /* work and step are those of several trainers, who run one after the other */
    struct trainer *held_out; /* the same learner on the rows of validation (train_validation.c); NULL: none */
    size_t best_step;         /* what they say of the steps so far; 0: nothing yet */
    double best_loss;
} trainer;

/* A training row as channels: row of doubles with its index in the data. */
typedef struct step_row {
    size_t index;          /* into data, of the prompt */
    size_t response_index; /* of the responses: the same, but for mismatched rows */
    bool mismatched;
    const train_row *cut; /* mismatched responses that are too long for this prompt, cut; NULL: as they are */
} step_row;

/* The row with the responses; its prompt is another one where they are mismatched. */
const train_row *step_responses(const trainer *t, const step_row *s);
/* Tokens of all responses of a row. */
size_t row_n_response_tokens(const train_row *r);
/* Builds the objective's view: masks, rewards, room for channels and gradients, from the step arena. */
AGON_MUST_CHECK agon_status channels_new(trainer *t, const step_row *rows, size_t n, row *out);
/* Policy log_probs of one row, without keeping activations. */
AGON_MUST_CHECK agon_status score_policy(trainer *t, const step_row *s, row *channels);
/* Fills the reference channel, from the cache where it is known. */
AGON_MUST_CHECK agon_status score_reference(trainer *t, const step_row *s, row *channels);
/* Whether the row's responses hang under one root, so that one tree carries it. */
bool row_is_one_tree(const trainer *t, const step_row *s);
/* Forward of the whole row keeping activations; fills log_prob. */
AGON_MUST_CHECK agon_status forward_row(trainer *t, const step_row *s, row *channels);
/* Backward of the row that forward_row just ran: d_log_prob * scale. */
AGON_MUST_CHECK agon_status backward_row(trainer *t, const step_row *s, const row *channels, double scale);
/* Forward and backward one response at a time (rows without a prompt, or a step-coupled objective). */
AGON_MUST_CHECK agon_status recompute_backward(trainer *t, const step_row *s, const row *channels, double scale);

/* ---- train_start.c: log_probs at sampling of rows that bring none ---------------------------------------- */

/* Room for what the rows lack, where the objective takes log_probs at sampling and has a second step; start_free also after a failure. */
AGON_MUST_CHECK agon_status start_new(trainer *t);
void start_free(trainer *t);
/* Fills it from the policy that stands, once; nothing where it is known. Uses the step's arena. */
AGON_MUST_CHECK agon_status start_score(trainer *t);
/* Numbers kept of row i. */
size_t start_row_size(const trainer *t, size_t i);
/* From response token `at` of row i on; NULL: none are kept. */
const double *start_log_probs(const trainer *t, size_t i, size_t at);
const double *start_values(const trainer *t, size_t i, size_t at);
/* The first policy is what sampled the whole row, so at step 0 every ratio is 1. */
bool start_sampled(const trainer *t, size_t i);
/* A row that lacks log_probs (or values) which the loss reads. */
bool start_scores(const train_row *r, unsigned needs);
/* Bytes of all that in memory. */
size_t start_predict(const train_row *rows, size_t n, unsigned needs, const train_options *o);

/* ---- train_step.c ------------------------------------------------------------------------------------------ */

/* True when policy and reference are the same function: then every log_prob must be the same bits. */
AGON_MUST_CHECK agon_status policy_is_reference(trainer *t, bool *out);

typedef struct step {
    step_row *index; /* [n] */
    row *rows;       /* [n] */
    size_t n;
    double *losses;
    objective_result result;
    double grad_norm, lr;
    size_t tokens, supervised;
} step;

void add_metric(step *s, const char *name, double value);

/* "rows.jsonl:3, 17, 5 and 4 more": the rows of a step, in the order the objective numbers them. All are of one file, or in memory. */
enum { STEP_PLACES_SIZE = ROW_PLACE_SIZE + 16 * 24 };
const char *step_places(const trainer *t, const step *s, char text[STEP_PLACES_SIZE]);

/* Channels of the rows at `index` [n], and for objectives that need them the mismatched pairs behind them: x_i and the answer of the next row
 * that has another prompt, of the step's where there is one, else of all rows, y cut where
 * the model's context ends. */
AGON_MUST_CHECK agon_status step_of_rows(trainer *t, const size_t *index, size_t n, step *s);
/* Scores all rows, without gradients, and fills the result. */
AGON_MUST_CHECK agon_status step_score(trainer *t, step *s);
/* Adds `scale` times the gradients of the rows' loss, checks step 0, and fills the result. */
AGON_MUST_CHECK agon_status step_gradients(trainer *t, step *s, double scale);

/* The same tokens. */
bool rows_share_prompt(const train_row *a, const train_row *b);

/* Rows of the step that is due, as they come [*n], in the step's arena. */
AGON_MUST_CHECK agon_status step_batch(trainer *t, const size_t **rows, size_t *n);
void clear_gradients(trainer *t);

/* ---- train.c --------------------------------------------------------------------------------------------- */

/* Everything that can be refused is, then what is trained is opened. trainer_close also after a failure. */
AGON_MUST_CHECK agon_status trainer_open(trainer *t);
void trainer_close(trainer *t);
/* Goes on from a checkpoint. */
AGON_MUST_CHECK agon_status trainer_take_up(trainer *t, const byte_reader *image);
/* The step that is due, reported but not stored. */
AGON_MUST_CHECK agon_status trainer_step(trainer *t, const train_sink *sink);
bool trainer_is_done(const trainer *t);
/* Uses what is about to be kept once: AGON_ENUMERIC where no scores can be had from it. */
AGON_MUST_CHECK agon_status trainer_check(trainer *t);
/* Its state, checked, given to a function of the sink's, with the steps that were taken. */
typedef agon_status (*image_taker)(void *arg, size_t step, const byte_stream *state);
AGON_MUST_CHECK agon_status trainer_give_image(trainer *t, image_taker take, void *arg);
/* What stands at the end, used once (AGON_ENUMERIC as in trainer_check): the adapter at the even vector, the tally. */
AGON_MUST_CHECK agon_status trainer_finish(trainer *t);
/* After `step` of n_steps steps. */
bool checkpoint_is_due(const train_options *o, size_t step, size_t n_steps, const train_sink *sink);

/* ---- train_select.c: which rows of a step are trained on -------------------------------------------- */

/* AGON_EINVAL: options or an objective with which rows cannot be selected; a second learner that is none. */
AGON_MUST_CHECK agon_status selection_check_options(agon_ctx *ctx, const train_options *o, size_t n_dimensions);
AGON_MUST_CHECK agon_status selection_check_partner(const trainer *t);
/* The other learner takes the place of the one that stands in `t`. */
void swap_learners(trainer *t);
/* One optimiser step's gradients on the rows selected; *own gets what is reported, *partner the other learner's step. The first learner stands
 * afterwards, also on failure; no parameter has changed. */
AGON_MUST_CHECK agon_status selection_gradients(trainer *t, step *own, step *partner);

/* ---- train_preference.c: several dimensions ------------------------------------------------------- */

/* AGON_EINVAL: a batch, or rows or an objective, with which dimensions cannot be trained. */
AGON_MUST_CHECK agon_status preference_check_batch(agon_ctx *ctx, const train_options *o, size_t n_dimensions);
AGON_MUST_CHECK agon_status preference_open(trainer *t);
/* One optimiser step's gradients over all its vectors; *s gets loss, metrics (the mean loss of each dimension) and counts. */
AGON_MUST_CHECK agon_status preference_gradients(trainer *t, step *s);
/* The adapter at the even vector again. */
AGON_MUST_CHECK agon_status preference_even(trainer *t);

/* ---- train_validation.c: held-out rows ------------------------------------------------------------------ */

/* AGON_EINVAL: rows that the objective cannot score, or a way of training that has no one learner to score. */
AGON_MUST_CHECK agon_status validation_check(agon_ctx *ctx, const model *m, const train_options *o, size_t n_dimensions);
AGON_MUST_CHECK agon_status validation_open(trainer *t);
void validation_close(trainer *t);
/* Scores them where that is due after the steps taken, and stores what is best so far. Uses the step's arena. */
AGON_MUST_CHECK agon_status validation_run(trainer *t, const train_sink *sink);
/* The learner after the best step, where that is to be left. */
AGON_MUST_CHECK agon_status validation_take_best(trainer *t, const train_sink *sink);
/* Bytes of the rows' channels, and of what is kept of them. */
size_t validation_predict(const train_options *o, unsigned needs);

/* ---- checkpoint.c, train_image.c ------------------------------------------------------------------- */

/* What a checkpoint must agree with: options, data, base weights, parameter shapes, arithmetic. */
AGON_MUST_CHECK agon_status checkpoint_identity(trainer *t, bool names_steps, hash256 *out);

enum { IMAGE_PIECE = 256 << 10 }; /* bytes, the most of a piece: of the image there is that much in memory, and PARAMETER_PIECE of rows */

/* The state of a trainer, or of several in one image. */
typedef struct train_image {
    const trainer *trainers; /* [n] */
    size_t n;
    bool several; /* where n is 1 too */
} train_image;
/* Both borrowed while it is written, and the trainers stay as they are. */
byte_stream image_stream(const train_image *x);
/* Restores parameters, moments and next_step of one trainer; the caller repacks. AGON_EMISMATCH, AGON_EFORMAT: nothing is touched, but where a file ends
 * that had not ended before. AGON_EIO. */
AGON_MUST_CHECK agon_status image_read(trainer *t, const byte_reader *r);
/* The images of n trainers in that of several: parts [n] of r. AGON_EMISMATCH, AGON_EFORMAT, AGON_EIO. */
AGON_MUST_CHECK agon_status image_of_several(agon_ctx *ctx, const byte_reader *r, size_t n, byte_reader *parts);

#endif

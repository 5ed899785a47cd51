/* The durable step: a recorded result is returned and nothing runs, so resuming is running again.
 *
 *   run_begin -> { step_begin [-> work, store_add_..., step_checkpoint_put] -> step_commit
 *                | step_batch_begin -> work -> step_batch_record, step_batch_flush -> step_batch_end }*
 *             -> run_end
 *
 * Key = (run, path, item, attempt). A path names a place in the recipe ("iteration/1/respond") and is visited in the
 * same order by every replay; one path is one single step (item NULL), several single steps (items), or one batch. The input's
 * hash is stored and compared: AGON_EMISMATCH names the step and both hashes.
 * One step or batch at a time. Results are JSON; large things go to objects and are named by hash.
 * A result must not hold times or other things that differ between equal runs.
 */
#ifndef STEP_STEP_H
#define STEP_STEP_H

#include "store/store.h"

typedef struct run run;

typedef struct run_options {
    const char *name;     /* one workspace may hold several runs (control arms) */
    uint64_t seed;
    const json_t *config; /* what determines the content; borrowed for the call */
    store_hook hook;      /* fault tests: called with the name of every journal point */
    void *hook_arg;
} run_options;

/* Starts the run or resumes it. AGON_EMISMATCH when a run of this name exists with another seed or configuration: says to
 * restore the run file, or to choose another name or workspace. The store (STORE_RUN) is borrowed until run_end. */
AGON_MUST_CHECK agon_status run_begin(agon_ctx *ctx, store *s, const run_options *options, run **out);
void run_end(run *r); /* frees; an open step is aborted. NULL is fine. */
/* Marks for status that this process is through with the run: "done", "halted", or "waiting" for people. */
AGON_MUST_CHECK agon_status run_finish(run *r, const char *state, const char *reason);
/* A line of the log (store_event). A replay writes none again: lines before the last recorded step were committed with it, later ones (which a
 * crash may have lost) are written unless they are there. */
AGON_MUST_CHECK agon_status run_event(run *r, int64_t iteration, const char *stage, const char *message, const json_t *data);
/* Stage for status and log; cheap. */
AGON_MUST_CHECK agon_status run_stage(run *r, int64_t iteration, const char *stage);

const char *run_id(const run *r); /* for records' `run` */
store *run_store(const run *r);
/* Hash of the last chained record. */
hash256 run_head(const run *r);

/* Seconds this process spent in the journal and the store's records: steps, batches, checkpoints, and what is between run_clock_start and the end of
 * the scope. For reports only; never part of a result. */
double run_journal_seconds(const run *r);
typedef struct run_clock {
    run *run;
    double since;
} run_clock;
run_clock run_clock_start(run *r); /* NULL is fine */
void run_clock_stop(run_clock *c);
#define RUN_CLOCK(r) __attribute__((cleanup(run_clock_stop), unused)) run_clock clock_ = run_clock_start(r)

typedef struct step_key {
    const char *path;
    const char *item; /* NULL: none */
    int attempt;
    const char *kind;  /* the primitive, for verify's re-execution; NULL: the path's last part */
    bool reproducible; /* verify may re-execute it from its input */
} step_key;

/* First 8 bytes, big-endian, of SHA-256(run seed "|" path "|" item "|" attempt). */
uint64_t step_seed(const run *r, const step_key *key);

/* ---- single steps -------------------------------------------------------------------------------- */

/* Recorded: *done true and *result new (json_decref). Else *done false, *result NULL and the step is open: do the work,
 * queue its records, then step_commit or step_abort. */
AGON_MUST_CHECK agon_status step_begin(run *r, const step_key *key, const json_t *input, bool *done,
                                       json_t **result);
/* Result, queued records and chain link in one durable transaction. On failure the step is aborted: nothing of it
 * remains, and running again does it over. `result` borrowed. */
AGON_MUST_CHECK agon_status step_commit(run *r, const json_t *result);
void step_abort(run *r);

/* The work of a step: queues its records and makes *result (new). */
typedef agon_status (*step_work)(void *arg, json_t **result);
/* A whole single step: the recorded result, or else work's, committed with the records it queued; aborted when work fails. *result
 * new. input borrowed; NULL is AGON_ENOMEM, as json_pack gives it. */
AGON_MUST_CHECK agon_status step_once(run *r, const step_key *key, const json_t *input, step_work work, void *arg,
                                      json_t **result);

/* A whole single step whose result is a list: add queues the records of thing i [n] and appends what is remembered of it. */
typedef agon_status (*step_add)(void *arg, size_t i, json_t *list);
AGON_MUST_CHECK agon_status step_list(run *r, const step_key *key, const json_t *input, size_t n, step_add add, void *arg,
                                      json_t **result);

/* Trainer state and the like, inside an open step: durable at once, outside the chain, gone after the step commits. A later n
 * replaces an earlier one, which can be read on while it is open. open: *n 0 and *out none when there is none; *out to be closed. */
AGON_MUST_CHECK agon_status step_checkpoint_put(run *r, const step_key *key, uint64_t n, const byte_stream *state);
AGON_MUST_CHECK agon_status step_checkpoint_open(run *r, const step_key *key, uint64_t *n, byte_reader *out);

/* ---- batched steps ------------------------------------------------------------------------------- */

typedef struct step_batch step_batch;

typedef struct step_item {
    const char *item;    /* unique within the batch; borrowed until step_batch_end */
    const json_t *input; /* borrowed for the call */
} step_item;

/* `key`: path, attempt, kind, reproducible; its item is ignored. *out new. */
AGON_MUST_CHECK agon_status step_batch_begin(run *r, const step_key *key, const step_item *items,
                                             size_t n_items, step_batch **out);
/* Result of item i as recorded (also by this process), borrowed until step_batch_end; NULL: still to do. */
const json_t *step_batch_result(const step_batch *b, size_t i);
size_t step_batch_n_done(const step_batch *b);
/* The item's seed: step_seed of (path, item, attempt). */
uint64_t step_batch_seed(const step_batch *b, size_t i);
/* Item i is done: its result, and the records queued since the last call of this function, go together. Order of calls is free;
 * durable after step_batch_flush. */
AGON_MUST_CHECK agon_status step_batch_record(step_batch *b, size_t i, const json_t *result);
AGON_MUST_CHECK agon_status step_batch_flush(step_batch *b);
/* Flushes and closes the path: one chain link over the Merkle root of the items, in item order. All must be recorded
 * (AGON_EINVAL). */
AGON_MUST_CHECK agon_status step_batch_end(step_batch *b);
void step_batch_free(step_batch *b); /* also after step_batch_end; drops what was not flushed. NULL is fine. */

/* ---- verify -------------------------------------------------------------------------------------- */

typedef struct journal_report {
    int64_t n_runs, n_steps, n_items, n_records, n_objects, n_unreferenced_objects;
    bool ok;
    char problem[512]; /* the first bad record, in a sentence; "" when ok */
} journal_report;

/* Chain, Merkle roots, every record's content against its id, foreign keys, counters, descent, objects' hashes. Damage is in the
 * report (AGON_OK, ok false); a status is for what kept it from looking. Works on a store open in any mode. */
AGON_MUST_CHECK agon_status journal_verify(agon_ctx *ctx, store *s, journal_report *report);

typedef struct step_row {
    const char *run, *path, *item, *kind; /* item "" for none */
    int attempt;
    uint64_t seed;
    bool reproducible;
    const json_t *input, *result;
} step_row;
/* Calls fn for every recorded step and batch item of the run (NULL: the latest) in chain order; all borrowed for the call. Stops at its
 * first non-zero status and returns it. */
typedef agon_status (*step_visit)(void *arg, const step_row *row);
AGON_MUST_CHECK agon_status step_iterate(agon_ctx *ctx, store *s, const char *run, step_visit fn, void *arg);

#endif

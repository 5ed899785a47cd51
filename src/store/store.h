/* The workspace: everything a run knows, in one folder that anyone can open.
 *
 *   agon.db     SQLite (WAL, foreign keys, STRICT tables): the loop's records, the journal, the inbox
 *   sealed.db   the ledger of sealed verifier answers; the loop never reads it
 *   objects/    weights and other large bytes, objects/ab/cdef... by SHA-256
 *   lock        flock of the runner, its process id inside
 *
 * Records are append-only and immutable (triggers refuse UPDATE and DELETE). A record's id is the first
 * 32 hexadecimal digits of the SHA-256 of its own content (canonical JSON of its columns without NULLs and
 * without the time of writing), so that `agon verify` can recompute it; template and model_version
 * bring their own ids.
 *
 * Writing: the store_add_ functions check and queue; nothing touches the disk, and no lock is taken, until
 * store_commit applies the whole queue in one transaction (the journal calls it: a step's result and
 * its records commit together). Reads see committed records only. A recipe may read the store
 * inside a step's body or for finished iterations only; elsewhere a replay would see later records.
 *
 * Queued records may refer to one another by the ids the store_add_ functions return.
 * One store per thread; a store keeps the ctx it was opened with. Strings in records are borrowed for the
 * call; NULL means absent. Real numbers: NAN means absent.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "agon.h"
#include "base/file.h"
#include <jansson.h>

typedef struct store store;

typedef enum store_mode {
    STORE_RUN,    /* makes the folder if need be, migrates, takes the lock; AGON_EBUSY names the other's pid */
    STORE_READ,   /* read-only; any number, also while a run writes */
    STORE_REVIEW, /* as STORE_READ, plus store_inbox_add */
} store_mode;

/* *out new. AGON_ENOTFOUND when there is no workspace (READ, REVIEW); AGON_EFORMAT when the
 * file is not a workspace or from a newer agon. */
AGON_MUST_CHECK agon_status store_open(agon_ctx *ctx, const char *folder, store_mode mode, store **out);
void store_close(store *s); /* drops what was not committed */
/* Closes after a failure: a workspace that this opening made and no run began in is taken away again, what else lies there stays. */
void store_abandon(store *s);
const char *store_folder(const store *s);

/* ---- ids ----------------------------------------------------------------------------------------- */

enum { STORE_ID_SIZE = 65 }; /* record ids have 32 digits, versions and objects 64 */
typedef struct store_id {
    char text[STORE_ID_SIZE];
} store_id;

/* ---- records -------------------------------------------------------------------------------------
 * Every record carries `run` (run_id of step.h) and `iteration`. `meta` is any JSON (borrowed), stored canonically.
 * Each store_add_ returns AGON_EINVAL naming the field when a record is not well formed, AGON_EREFUSED when the
 * descent rule forbids it, and the new id in *id (may be NULL). Adding equal content twice is one record: give texts
 * that may repeat (samples of one query) different `slot`s. */

/* Anything anyone wrote. kind: query, response, critique, refinement, demonstration, judgement, ... */
typedef struct text_record {
    const char *run, *kind;
    const char *body; /* bytes that are not UTF-8 are stored as U+FFFD */
    int64_t iteration;
    const char *parent;   /* text id: the query of a response, the response of a critique, ... */
    int64_t turn;         /* position in a dialogue */
    const char *producer; /* model version, task family's generator, pseudonym */
    const char *template_id;
    const char *family, *cell;
    const char *slot;     /* e.g. "3" for sample 3 */
    const char *oracle;   /* "open" or "sealed"; NULL: as the parent's */
    bool sealed;          /* written with knowledge of a sealed answer; never trains, never gates */
    const json_t *meta;   /* tokens, log_prob, seed, sampling, difficulty, ... */
} text_record;
AGON_MUST_CHECK agon_status store_add_text(store *s, const text_record *r, store_id *id);

/* A verifier's answer, open oracle only: AGON_EREFUSED for a text under a sealed oracle (store_ledger_add). */
typedef struct verification_record {
    const char *run, *response, *checker, *outcome, *evidence; /* outcome: pass, fail, unknown */
    int64_t iteration;
    const json_t *meta;
} verification_record;
AGON_MUST_CHECK agon_status store_add_verification(store *s, const verification_record *r, store_id *id);

typedef struct decision_record {
    const char *run, *response, *route, *reason; /* route: auto, escalate, audit, drop */
    int64_t iteration, judge_index;
    double confidence, threshold, propensity; /* propensity 0 or NAN: 1 */
    const char *calibration;
    const json_t *meta;
} decision_record;
AGON_MUST_CHECK agon_status store_add_decision(store *s, const decision_record *r, store_id *id);

/* A verdict with source and confidence. source: verifier, critic, cascade, principle, human, simulated,
 * demonstration (gold the repository carries). */
typedef struct label_record {
    const char *run, *target, *kind, *value, *source; /* target: text id; kind: point, pair, edit, span, demonstration */
    int64_t iteration;
    const char *other;    /* pair: the text that lost; edit, demonstration: the new text */
    const char *producer; /* model version, checker or reviewer's pseudonym */
    const char *template_id, *calibration, *verification, *decision;
    const char *derived_from, *supersedes; /* label ids */
    const char *purpose;  /* train, audit, calibration, gate, demonstration; a budget counts all */
    double confidence_raw, confidence; /* raw and calibrated */
    double propensity, weight;         /* 0 or NAN: 1 */
    double seconds;                    /* the human's time; 0: not measured */
    bool sealed;                       /* descends from a sealed answer */
    const json_t *meta;
} label_record;
AGON_MUST_CHECK agon_status store_add_label(store *s, const label_record *r, store_id *id);

/* A training example. AGON_EREFUSED if a label or text descends from a sealed answer. */
typedef struct example_record {
    const char *run, *objective, *origin; /* objective: sft, pref, critique, refine; origin: real, replay, new */
    int64_t iteration, n_tokens;
    const json_t *fields; /* the row the trainer reads: messages, prompt/completion, chosen/rejected, ... */
    const char *const *labels; /* [n_labels] */
    size_t n_labels;
    const char *const *texts; /* [n_texts] query and responses it was made from */
    size_t n_texts;
    const char *slot;
} example_record;
AGON_MUST_CHECK agon_status store_add_example(store *s, const example_record *r, store_id *id);

typedef struct calibration_record {
    const char *run, *critic, *family, *method; /* method: temperature, platt, isotonic, none */
    int64_t iteration, n;
    double threshold; /* NAN: abstains on everything */
    double auroc, ece, brier, error_bound;
    const json_t *parameters;
    const char *const *labels; /* [n_labels] it was fitted on: AGON_EREFUSED if one is sealed */
    size_t n_labels;
} calibration_record;
AGON_MUST_CHECK agon_status store_add_calibration(store *s, const calibration_record *r, store_id *id);

/* id = name "@" version; the same id with another body is AGON_EMISMATCH. */
typedef struct template_record {
    const char *name, *version, *role, *body;
} template_record;
AGON_MUST_CHECK agon_status store_add_template(store *s, const template_record *r, store_id *id);

/* id: the content hash (base id and adapter, or full weights), 64 digits. Adding the same again is nothing new. */
typedef struct version_record {
    const char *run, *id, *parent, *role; /* role: base, learner, critic, attacker, control, external (played elsewhere: meta says by whom) */
    int64_t iteration;
    const char *object;    /* hash of the adapter or weights in objects/; NULL for a base read from `path` */
    const char *path;      /* where the base's file is */
    const char *base;      /* version id of the base an adapter sits on */
    const char *data_hash, *config_hash, *numerics;
    const char *const *examples; /* [n_examples] what it was trained on */
    size_t n_examples;
    const json_t *meta;
} version_record;
AGON_MUST_CHECK agon_status store_add_version(store *s, const version_record *r);

/* The latest status counts: base, candidate, promoted, rejected, rolled_back. held_out: {"n", "before", "after", "ci95": [lo, hi]}. */
typedef struct version_status_record {
    const char *run, *version, *status, *reason;
    int64_t iteration;
    const json_t *held_out;
} version_status_record;
AGON_MUST_CHECK agon_status store_add_version_status(store *s, const version_status_record *r);

typedef struct metric_record {
    const char *run, *name, *scope; /* scope: family, role, suite, ... */
    int64_t iteration, n;
    const char *version;
    double value, low, high;
    const json_t *meta;
} metric_record;
AGON_MUST_CHECK agon_status store_add_metric(store *s, const metric_record *r);

/* A question to a human; the answer comes through the inbox. kind: verdict, pair, demonstration, audit. */
typedef struct review_record {
    const char *run, *kind, *query, *response, *other, *critique, *purpose;
    int64_t iteration;
    double priority, propensity; /* propensity 0 or NAN: 1 */
    const json_t *meta;
} review_record;
AGON_MUST_CHECK agon_status store_add_review(store *s, const review_record *r, store_id *id);

/* A promotion decision. `labels` are those whose value enters the figures: AGON_EREFUSED if one descends from a sealed answer. */
typedef struct gate_record {
    const char *run, *candidate, *incumbent, *verdict, *reason; /* verdict: promote, reject */
    int64_t iteration;
    const json_t *figures; /* G1.. with their numbers; "not evaluated" where it was not */
    const char *const *labels;
    size_t n_labels;
    const char *const *texts;
    size_t n_texts;
} gate_record;
AGON_MUST_CHECK agon_status store_add_gate(store *s, const gate_record *r, store_id *id);

/* Budgets: adds a settled amount to a counter ("tokens.learner.out", "labels.simulated"). Invariant, checked
 * by journal_verify: counter = sum of its settlements (view `settlement`). */
AGON_MUST_CHECK agon_status store_settle(store *s, const char *run, const char *counter, int64_t amount);
/* Committed plus queued. 0 for an unknown counter. */
AGON_MUST_CHECK agon_status store_counter(store *s, const char *run, const char *counter, int64_t *out);

/* A line of the log (stage begun, attack that worked, ...): for readers, outside the journal. Commits
 * with the next store_commit. unless_there: not where the log has the same line of this iteration and stage. */
AGON_MUST_CHECK agon_status store_event(store *s, const char *run, int64_t iteration, const char *stage,
                                        const char *message, const json_t *data, bool unless_there);
/* Where the run is, for status; outside the journal; written at once (not synced). state: running, done, halted, waiting. */
AGON_MUST_CHECK agon_status store_progress(store *s, const char *run, const char *state,
                                           int64_t iteration, const char *stage, const json_t *data);

/* Applies the queue in one durable transaction (synchronous=FULL). On failure nothing was written and the queue is kept:
 * AGON_EIO full disk, AGON_EREFUSED descent rule, AGON_EINVAL a reference to a record that does not exist. */
AGON_MUST_CHECK agon_status store_commit(store *s);
void store_rollback(store *s); /* drops the queue */

/* ---- the sealed ledger ---------------------------------------------------------------------------
 * Queued like a record and committed to sealed.db just before the rest (again after a crash: nothing changes). The
 * journal keeps a hash of each answer, so the ledger cannot be altered afterwards. STORE_RUN can only add. */
AGON_MUST_CHECK agon_status store_ledger_add(store *s, const char *run, const char *response,
                                             const char *checker, const char *outcome,
                                             const char *evidence);
/* For unseal, after the run: all rows {"run", "response", "checker", "outcome", "evidence"}. AGON_EREFUSED while a run holds
 * the workspace. *rows new. */
AGON_MUST_CHECK agon_status store_ledger_read(store *s, json_t **rows);
/* Rows of examples and gate figures that descend from a sealed answer; must be 0. Does not read the ledger. */
AGON_MUST_CHECK agon_status store_descent_violations(store *s, int64_t *n);

/* ---- the inbox: answers of reviewers, by their own connections ----------------------------------- */

/* STORE_REVIEW (or RUN). answer: {"verdict": "accept" | "reject" | "A" | "B" | "skip", "text": edited or new answer, "note"}.
 * Waits up to 10 s for other writers. One reviewer may answer an item again: the last before collection counts. */
AGON_MUST_CHECK agon_status store_inbox_add(store *s, const char *review, const char *reviewer,
                                            double seconds, const json_t *answer);
/* Answers with number > after, by number: [{"number", "review", "reviewer", "seconds", "answer", "run", "response", ...the review's
 * columns}]. Call it inside a step and record what came. *rows new. */
AGON_MUST_CHECK agon_status store_inbox_read(store *s, const char *run, int64_t after, json_t **rows);

/* ---- objects ------------------------------------------------------------------------------------- */

/* Durable at once (temporary name, fsync, rename, fsync of the folder); a row for it commits with the queue. */
AGON_MUST_CHECK agon_status object_put(store *s, const void *data, size_t n, hash256 *hash);
/* *data new (free()); AGON_EMISMATCH when the bytes do not have that hash. */
AGON_MUST_CHECK agon_status object_get(store *s, const hash256 *hash, void **data, size_t *n);
/* The same to be read by place; *out to be closed. */
AGON_MUST_CHECK agon_status object_open(store *s, const hash256 *hash, byte_reader *out);
bool object_exists(const store *s, const hash256 *hash);
/* Where the file is (for mapping); *path new (free()). Not checked. */
AGON_MUST_CHECK agon_status object_path(store *s, const hash256 *hash, char **path);

/* ---- reading ------------------------------------------------------------------------------------- */

/* Rows of a SELECT as an array of objects; `parameters` a JSON array for ?1.. (NULL none). Anything that writes is refused
 * (AGON_EREFUSED). Columns named *_json are parsed. *rows new. */
AGON_MUST_CHECK agon_status store_query_json(store *s, const char *sql, const json_t *parameters,
                                             json_t **rows);
/* One whole number (0 when there is no row or NULL); AGON_EFORMAT when something else stands there. */
AGON_MUST_CHECK agon_status store_query_int(store *s, const char *sql, const json_t *parameters,
                                            int64_t *out);

/* The forms of `agon status --json`, `log`, `show` and `why`. `run` NULL: the latest. *out new. */
AGON_MUST_CHECK agon_status store_status(store *s, const char *run, json_t **out);
/* The last `limit` (0: all) events with number > after. */
AGON_MUST_CHECK agon_status store_log(store *s, const char *run, int64_t after, int64_t limit, json_t **out);
/* The record with this id or unique prefix (>= 4 digits), its table, and the ids that refer to it. */
AGON_MUST_CHECK agon_status store_show(store *s, const char *id, json_t **out);
/* The whole chain upwards from an example, label, text, version or gate to the queries' seeds: an array
 * of {"depth", "table", "id", "because", "record"}, breadth first. */
AGON_MUST_CHECK agon_status store_why(store *s, const char *id, json_t **out);

/* ---- for src/step only: journal rows and test hooks ----------------------------------------------- */

/* Fault tests stop a process at named points; NULL (the default) is none. */
typedef void (*store_hook)(void *arg, const char *point);
void store_set_hook(store *s, store_hook hook, void *arg);

#endif

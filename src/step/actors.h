/* Who plays the roles of a run, and the model versions in play.
 *
 * A version's id is SHA-256 over the base's id and the adapter's hash; the base's own id stands for the base itself. Adapters are
 * read from the workspace's objects when first asked for and kept. */
#ifndef STEP_ACTORS_H
#define STEP_ACTORS_H

#include "base/memory.h"
#include "role/backend.h"
#include "step/step.h"

typedef struct actors_version {
    char id[STORE_ID_SIZE];
    adapter *adapter;
} actors_version;

enum { ACTORS_MAX_VERSIONS = 64 };

/* Who plays a role from elsewhere: a version of the workspace (role "external") without weights, from which what it says comes. */
typedef struct actors_external {
    char id[STORE_ID_SIZE]; /* SHA-256 of meta; "": the role is played here */
    json_t *meta;           /* {"backend", and "url" and "name", "command" or "script"}; owned */
} actors_external;

/* What is told while a stage is under way: how far it is. */
typedef struct actors_news {
    const char *stage;
    size_t done, total; /* in units */
    const char *unit;
    const json_t *data;  /* figures; NULL: none */
} actors_news;

/* Filled by the recipe; everything but `versions` and `externals` is borrowed. */
typedef struct actors {
    agon_ctx *ctx;
    store *store;
    run *run;     /* NULL when steps are executed again by verify */
    model *model; /* NULL when no role is local */
    char base[STORE_ID_SIZE]; /* version id of the base */
    backend *attacker, *learner, *critic;
    backend *verifier; /* a program for the user's own queries; NULL none */
    size_t critic_votes; /* answers of a remote critic to one question; 0: as 1 */
    actors_external externals[3]; /* actors_external_of */
    bool sealed; /* the oracle of this run: verifier answers go to the ledger and nowhere else */
    bool first_prompts; /* the run began with version 1 of the critic's short prompts (critic.h) */
    bool first_rows; /* the run began when rows were read without their weights of messages (dataset_options' as_begun) */
    bool first_critiques;  /* the run began when the executable critic put "It" before every clause */
    bool first_rewordings; /* the run began with the first check of rewordings (task.h) */
    bool first_partners; /* the run began when a prompt could meet an answer to itself (train_options' next_partner) */
    int64_t iteration;
    actors_version versions[ACTORS_MAX_VERSIONS];
    size_t n_versions;
    /* Progress of the stage under way; NULL none. */
    void (*progress)(void *arg, const actors_news *news);
    void *progress_arg;
} actors;

void actors_free_versions(actors *a);
/* *out borrowed until actors_free_versions; NULL for the base (id NULL, "" or the base's). AGON_ENOTFOUND: not a version of this
 * workspace. */
AGON_MUST_CHECK agon_status actors_adapter(actors *a, const char *version, const adapter **out);
/* Id of the version that `adapter` makes on this base. */
void actors_version_id(const actors *a, const adapter *adapter, char out[STORE_ID_SIZE]);
/* Who answers for "attacker", "critic" or "learner". */
backend *actors_backend(const actors *a, const char *role);
/* Of a role named so; borrowed. */
actors_external *actors_external_of(actors *a, const char *role);
/* The role is played elsewhere, by whom `meta` (new, taken over; NULL on memory or text that is not UTF-8) tells apart. */
AGON_MUST_CHECK agon_status actors_set_external_take(actors *a, const char *role, json_t *meta);
void actors_forget_externals(actors *a);
/* Whose word it is when a role is asked as `version`: that version's, or the external's. Borrowed from `version` or `a`. */
const char *actors_speaker(actors *a, const char *role, const char *version);
/* The same as the producer of a record that is queued now: an external is queued with it. */
AGON_MUST_CHECK agon_status actors_producer(actors *a, const char *role, const char *version, const char **out);
AGON_MUST_CHECK agon_status actors_add_external(actors *a, const actors_external *x);
void actors_progress(const actors *a, const actors_news *news);

/* ---- JSON that flows through a recipe ------------------------------------------------------------------ */

const char *field_text(const json_t *object, const char *key); /* "" when absent; borrowed */
int64_t field_int(const json_t *object, const char *key);
double field_real(const json_t *object, const char *key); /* NAN when absent or null */
bool field_true(const json_t *object, const char *key);
/* AGON_ENOMEM when `value` is NULL, for results of json_pack (which also fails on text that is not UTF-8). */
AGON_MUST_CHECK agon_status json_made(agon_ctx *ctx, const json_t *value);
/* Appends a value so made, which is taken also on failure. */
AGON_MUST_CHECK agon_status json_append(agon_ctx *ctx, json_t *list, json_t *value);

#endif

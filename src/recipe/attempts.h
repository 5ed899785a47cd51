/* Earlier looks at held-out queries, in other runs of the workspace. Each gate that decided on the same ones was one, and spends alpha (loop.md, alpha_spending;
 * gate.md F3). Those whose truth `agon unseal` has told are no sealed ones any more: gate.md asks for fresh items. */
#ifndef RECIPE_ATTEMPTS_H
#define RECIPE_ATTEMPTS_H

#include "recipe/cast.h"

/* How many gates of runs with other names than `run` decided on candidates that were asked half of these queries or more. held_out: their texts (array);
 * n_held_out: how many queries are held out in all, of which the texts may be a part. */
AGON_MUST_CHECK agon_status attempts_of_others(agon_ctx *ctx, store *store, const char *run, const json_t *held_out, size_t n_held_out, int64_t *n);
/* Those of the queries that this iteration's candidate was asked, added to *attempt, journaled and said. */
AGON_MUST_CHECK agon_status attempts_count(cast *c, const char *candidate, size_t *attempt);

enum { ATTEMPTS_RULES = 23 }; /* of the journal: before, sealed runs knew of none */
/* How the log of a run says that its ledger was opened. */
#define ATTEMPTS_UNSEALED "unseal"
/* The held-out tasks of sealed runs whose ledger was opened before this run first asked, journaled: *identities new, a set (task_identity: true). */
AGON_MUST_CHECK agon_status attempts_unsealed(cast *c, json_t **identities);

#endif

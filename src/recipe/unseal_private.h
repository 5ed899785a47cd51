/* An unsealing among its parts: what is known of a sealed run once its ledger is open. Read unseal.c first. */
#ifndef RECIPE_UNSEAL_PRIVATE_H
#define RECIPE_UNSEAL_PRIVATE_H

#include "recipe/cast.h"

/* An answer as the store has it, joined with the ledger. */
typedef struct told {
    const char *id, *query, *producer, *family, *cell, *text, *prompt; /* borrowed from the rows */
    const char *kind;
    bool known, right; /* what the ledger says */
    bool hard;
    bool cut; /* at max_tokens; in a run begun before rules 10: not told apart */
    bool critic_pass; /* the critic's label on it */
} told;

typedef struct unsealing {
    cast *c;
    store *store;
    const char *run, *name;
    json_t *answers, *labels, *versions, *gates, *tasks; /* rows; tasks: query id -> task */
    json_t *judged; /* [{"id", "p", "critic"}]: P(correct) that a critic gave, reward (trained the learner) or gate */
    told *told;
    size_t n;
    json_t *index; /* text id -> place in told */
    const char *base, *candidate;
} unsealing;

/* Rows of a query whose ?1 is the run: *out new. */
AGON_MUST_CHECK agon_status unseal_rows(unsealing *u, const char *sql, json_t **out);
const told *unseal_find(const unsealing *u, const char *id); /* NULL: no answer of this run */
/* Held-out answers of one version, in order: right [n]; count with right NULL. */
size_t unseal_held_out(const unsealing *u, const char *version, bool *right);

/* unseal_arms.c: trains the control arms, in a run of their own that stands in the cast, and adds to the report "arms", "arms_left_out" and, where there
 * are both arms that it lies between, "recovered". */
AGON_MUST_CHECK agon_status unseal_train_arms(unsealing *u, json_t *report);

#endif

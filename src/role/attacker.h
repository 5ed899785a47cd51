/* The attacker's language model: variations of a query that should keep its meaning. The model writes as
 * little as it can spoil: a paraphrase whole, of a distractor the remark alone, of a renaming the names
 * alone; the rest is put together here. Whether the task is kept is checked by program afterwards
 * (task_variation_check); here nothing is trusted. */
#ifndef ROLE_ATTACKER_H
#define ROLE_ATTACKER_H

#include "role/backend.h"
#include "task/task.h"

typedef struct attacker_item {
    const char *id;                 /* names the request */
    const char *query;              /* text to vary */
    task_perturbation perturbation; /* not NONE */
    uint64_t seed;
    const char *const *names; /* RENAME: [n_names] as they stand in the query */
    size_t n_names;
} attacker_item;

enum { ATTACKER_TRIES = 4, ATTACKER_MAX_NAMES = 4, ATTACKER_MAX_TOKENS = 96 /* of a rewording */ };

typedef struct attacker_variation {
    char *texts[ATTACKER_TRIES]; /* the varied query, new, in the order drawn: the first that keeps the task is the one */
    size_t n_texts;
    char *error; /* why there is none, new; NULL when there is a text */
    size_t n_prompt_tokens, n_completion_tokens;
} attacker_variation;
void attacker_variation_free(attacker_variation *v);

/* Rewordings that are asked for, by kind. */
typedef struct attacker_kinds {
    bool of[PERTURBATION_N];
} attacker_kinds;
attacker_kinds attacker_all_kinds(void);
/* The kinds in turn, other names only where there are names. PERTURBATION_NONE: none fits. */
task_perturbation attacker_choose(const attacker_kinds *kinds, bool has_names, size_t turn);

/* The prompt's template: "attack-paraphrase@3", ... Static storage. */
const char *attacker_template(task_perturbation perturbation);
/* The prompt (raw text), new. */
AGON_MUST_CHECK agon_status attacker_prompt(agon_ctx *ctx, const attacker_item *item, char **out);
/* How outputs are drawn; `stop` has static storage. */
sampling attacker_sampling(void);
/* The varied query that an output makes. New string; "" when it makes none; NULL on memory. */
char *attacker_compose(const attacker_item *item, const char *output);
/* The query in a model's output: first paragraph, without labels it repeats or quotation marks
 * around it. New string; "" when nothing is left; NULL on memory. */
char *attacker_parse(const char *output);
/* Up to ATTACKER_TRIES variations of each item, out[n]. `version` is the adapter of backend_request. A failed item is
 * no failure of the call. */
AGON_MUST_CHECK agon_status attacker_vary(agon_ctx *ctx, backend *b, const attacker_item *items,
                                          size_t n, const adapter *version,
                                          attacker_variation *out);

#endif

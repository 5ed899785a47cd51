/* The attacker's language model: variations of a query that should keep its meaning. Whether they
 * do is checked by program afterwards (task_variation_check); here nothing is trusted. */
#ifndef ROLE_ATTACKER_H
#define ROLE_ATTACKER_H

#include "role/backend.h"
#include "task/task.h"

typedef struct attacker_item {
    const char *id;                 /* names the request */
    const char *query;              /* text to vary */
    task_perturbation perturbation; /* not NONE */
    uint64_t seed;
} attacker_item;

typedef struct attacker_variation {
    char *text;  /* the varied query, new; NULL: no usable answer */
    char *error; /* why not, new; NULL when there is a text */
    size_t n_prompt_tokens, n_completion_tokens;
} attacker_variation;
void attacker_variation_free(attacker_variation *v);

/* The prompt's template: "attack-paraphrase@2", ... Static storage. */
const char *attacker_template(task_perturbation perturbation);
/* The prompt (raw text), new. */
AGON_MUST_CHECK agon_status attacker_prompt(agon_ctx *ctx, task_perturbation perturbation,
                                            const char *query, char **out);
/* The query in a model's output: first paragraph, without labels it repeats or quotation marks
 * around it. New string; "" when nothing is left; NULL on memory. */
char *attacker_parse(const char *output);
/* One variation of each item, out[n]. `version` is the adapter of backend_request. A failed item is
 * no failure of the call. */
AGON_MUST_CHECK agon_status attacker_vary(agon_ctx *ctx, backend *b, const attacker_item *items,
                                          size_t n, const adapter *version,
                                          attacker_variation *out);

#endif

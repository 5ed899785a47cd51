/* The suites of questions that a run puts to incumbent and candidate for its gate. Another one is a line in gate_suites.c's table and a key for
 * its number of items in run_file_keys.h. Held-out text is no list of questions: cast.h has it beside them. */
#ifndef RECIPE_GATE_SUITES_H
#define RECIPE_GATE_SUITES_H

#include "recipe/run_config.h"

typedef struct gate_suite_def {
    const char *name;     /* as suite_open knows it, and of its key in the section "evaluate" */
    size_t items, margin; /* where in run_config: int64_t, 0 none; double */
    size_t limit;         /* a safety suite (G3): where the largest share of failures is, double; 0: one of abilities (G2) */
    bool by_default;      /* run files without a word ask for it, so that it is "not run" where its file is not there; else that is an error */
    double prompt_tokens, answer_tokens; /* expected of an item, for the cost */
} gate_suite_def;

/* In the order they are run; NULL past the end. Static storage. At most GATE_MAX_SUITES (step/evaluate.h). */
const gate_suite_def *gate_suite_at(size_t i);
int64_t gate_suite_items(const gate_suite_def *d, const run_config *c);
double gate_suite_margin(const gate_suite_def *d, const run_config *c);
double gate_suite_limit(const gate_suite_def *d, const run_config *c); /* 1 where there is none */
/* Ends of ranges that the statistics of gate and critic do not have, and bounds that no outcome of so few items can meet, where the run would come to
 * need them. AGON_EINVAL. */
AGON_MUST_CHECK agon_status gate_check(agon_ctx *ctx, const run_config *config, bool critic_decides);

#endif

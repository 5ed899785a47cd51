/* What a run will cost, before anything starts: tokens from the counts in the run file and the rows of the user's own queries, minutes at a measured
 * rate, labels of the expert. An estimate: how many failures there are to refine, or rewordings to drop, is known only afterwards; where it depends
 * on such things, the larger figure is taken. Each recipe counts its own; this is what they count with. */
#ifndef RECIPE_COST_H
#define RECIPE_COST_H

#include "model/model.h"
#include "recipe/run_config.h"

/* Tokens of a usual query in a chat template, of an answer, and of a word problem's working: measured over the task families. */
enum { PROMPT_TOKENS = 52, ANSWER_TOKENS = 16, EXAMPLE_TOKENS = 68, CRITIC_PROMPT_TOKENS = 48 };
enum { BYTES_A_TOKEN = 4 }; /* for the user's own text */

/* What a run is expected to take: tokens, and labels of the expert by purpose. */
typedef struct expected {
    double generated, read, scored, trained;
    int64_t labels, audits, demonstrations, calibration, gate;
} expected;

/* `samples` answers of `length` tokens to each of n queries of `prompt`. */
void cost_answers(expected *t, double n, double prompt, double samples, double length);
/* The gate's suites by generation, held-out text by likelihood, of `versions` models. */
void cost_suites(const run_config *r, double versions, expected *t);
/* Examples in a training: what passes of `answers`, as far as the real ones allow. */
double cost_examples(const run_config *r, double real, double answers);

/* Tokens a second that the model reads on the context's threads where nothing else runs: by processor time, the best of a few passes, so that it does not
 * follow what else the machine does at the moment. Never part of a result. AGON_ENOMEM, AGON_ENUMERIC. */
AGON_MUST_CHECK agon_status cost_rate(agon_ctx *ctx, const model *m, double *tokens_per_second);

#endif

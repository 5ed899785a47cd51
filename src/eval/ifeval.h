/* IFEval (Zhou et al. 2023): 25 kinds of instructions that a program can check (spec: loop 7.4).
 *
 * Strict: the response as it is. Loose: any of eight variants that is not blank (V:ifeval_loose): with or without its first line, its
 * last line and its asterisks, so that "Sure!" in front or bold type does not decide. A blank response fails, and one
 * of more than 16 KiB. */
#ifndef EVAL_IFEVAL_H
#define EVAL_IFEVAL_H

#include "base/json.h"

enum { IFEVAL_VARIANTS = 8 };

/* Names of the kinds, "punctuation:no_comma"; NULL past the end. */
const char *ifeval_kind(size_t i);

/* Checks one instruction. kwargs: its arguments as the data set has them. Any bytes are safe in response. AGON_EINVAL names an
 * unknown kind or an argument that is missing. */
AGON_MUST_CHECK agon_status ifeval_check(agon_ctx *ctx, const char *kind, const json_t *kwargs, const char *response,
                                         bool *strict, bool *loose);
/* The loose variants, new strings (free()), some of which may be blank. */
AGON_MUST_CHECK agon_status ifeval_variants(agon_ctx *ctx, const char *response, char *out[IFEVAL_VARIANTS]);

/* Shares of prompts of which every instruction holds, and of instructions (V:ifeval_aggregate). holds: all prompts' results end to
 * end; n_of [n_prompts]. Both 0 when empty. */
void ifeval_aggregate(const bool *holds, const size_t *n_of, size_t n_prompts, double *prompts, double *instructions);

#endif

/* Is a critique faithful: which of its claims about an answer hold (spec: loop 3.6)? */
#ifndef ROLE_CRITIC_CLAIMS_H
#define ROLE_CRITIC_CLAIMS_H

#include "base/json.h"
#include "task/critique_claims.h"

/* The claims of a critique with every check that applies to them, the quotes looked up too. */
AGON_MUST_CHECK agon_status critic_check_claims(agon_ctx *ctx, const char *critique, const claim_facts *facts, critique_claims *out);

/* Holds where every check that applies holds, fails where one fails, none where none applies: it cannot be verified. */
check_result critique_claim_result(const critique_claim *claim);

/* Sums over critiques. */
typedef struct faithfulness {
    size_t critiques, claims, hold, fail; /* claims - hold - fail cannot be verified */
    size_t checked;                       /* critiques with a claim that can be */
    size_t check_holds[CLAIM_CHECKS], check_fails[CLAIM_CHECKS];
} faithfulness;
void faithfulness_add(faithfulness *f, const critique_claims *claims);

/* [{"claim": its words, "holds": true, false or null: cannot be verified, "checks": {"quote": true, ..}}]; *out new. */
AGON_MUST_CHECK agon_status critique_claims_json(agon_ctx *ctx, const char *critique, const critique_claims *claims, json_t **out);

#endif

/* Critiques of a workspace and which of their claims hold, worked out when somebody asks: nothing of it is recorded and no run decides by it. */
#ifndef API_CRITIQUES_H
#define API_CRITIQUES_H

#include "store/store.h"

/* The claims of the critique record `id`, as role/critic_claims.h has them; *out new, NULL where it is no critique of an answer. blind: for people who are
 * to judge the answer themselves, without what the verifier says of it; so it is under a sealed oracle too. */
AGON_MUST_CHECK agon_status critiques_claims(agon_ctx *ctx, store *s, const char *id, bool blind, json_t **out);
/* Adds "claims" to every critique of a chain or list of {"table", "id", "record"}. */
AGON_MUST_CHECK agon_status critiques_add_claims(agon_ctx *ctx, store *s, json_t *entries);
/* Of a run: [{"critic": "verifier" | "model", "form": "full" | "masked" | "written", "n": critiques, "claims", "hold", "fail", "unverifiable", "faithful":
 * hold / (hold + fail) or null, "ci95", "checks": {"quote" | ..: {"holds", "fails"}}}], in order of appearance; *out new. `run`: its name. */
AGON_MUST_CHECK agon_status critiques_of_run(agon_ctx *ctx, store *s, const char *run, json_t **out);

#endif

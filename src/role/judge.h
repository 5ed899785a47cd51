/* A judge that rewards answers: a program of the user's, which gives numbers, or a language model, whose P(correct) is the reward. */
#ifndef ROLE_JUDGE_H
#define ROLE_JUDGE_H

#include "role/backend.h"

typedef struct judge_item {
    const char *id;       /* names the request in sentences and the program's input */
    const json_t *prompt; /* a text, or a list of {"role", "content"} */
    const char *answer;   /* [n_answer] anything: what is not UTF-8 becomes U+FFFD */
    size_t n_answer;
    const json_t *row; /* an object whose other members the program is given; NULL: none */
} judge_item;

/* Rewards of each item by a program (backend.h, command), out [n], finite. It gets the conversation as messages and, as "data", the row's members with
 * "prompt" and "completion"; it says {"id", "reward": number}, or {"id", "verdict": "pass" | "fail" | true | false} for 1 and 0. The first item
 * without such an answer ends the call, AGON_EREMOTE, and what is still asked is given up: a reward may not be made up. */
AGON_MUST_CHECK agon_status judge_ask(agon_ctx *ctx, backend *b, const judge_item *items, size_t n, double *out);

/* Rewards of each item by a language model: P(correct) as critic_judge has it, out [n]; NAN where it wrote no verdict. A request that failed is
 * AGON_EREMOTE, and so is no verdict on any. n_votes written verdicts are averaged where the backend cannot score; votes are seeded by (seed, item). principles, first_prompts: of critic_item. */
AGON_MUST_CHECK agon_status judge_by_model(agon_ctx *ctx, backend *b, const judge_item *items, size_t n, size_t n_votes, uint64_t seed, const char *principles,
                                           bool first_prompts, double *out);

#endif

/* The verifier as a program of the user's: it is asked about one answer at a time and says pass, fail or unknown, with evidence in words. */
#ifndef ROLE_VERIFIER_H
#define ROLE_VERIFIER_H

#include "role/backend.h"
#include "task/task.h"

/* Does this task (task_query_json) leave its verdict to the program? */
bool verifier_is_program(const json_t *task);

typedef struct verifier_item {
    const char *id;     /* names the request */
    const json_t *task; /* task_query_json */
    const char *response;
} verifier_item;

/* Verdicts of each item, out [n] zero-initialised. The program (backend.h, command) gets messages (the query, the answer) and as "data"
 * {"query", "answer", "accepted": [reference answers], "arguments"?}; it says {"verdict": "pass" | "fail" | "unknown" | true | false, "evidence"?, "masked"?:
 * evidence without the right answer, "span"?: [start, end] bytes of the answer it cites}. An item that got no such answer is unknown,
 * with the reason as evidence; that is no failure of the call. b NULL: AGON_EINVAL, the run file names no program. */
AGON_MUST_CHECK agon_status verifier_ask(agon_ctx *ctx, backend *b, const verifier_item *items, size_t n, task_verdict *out);

#endif

/* Which questions a version of a workspace was asked in training, and which its run held out. */
#ifndef API_EVAL_SEEN_H
#define API_EVAL_SEEN_H

#include "agon.h"
#include <jansson.h>

/* Texts in their normal form (text_normal_form), as keys. */
typedef struct eval_seen {
    json_t *asked;    /* queries answered in training, and prompts of examples, by the version or one that it continues */
    json_t *held_out; /* queries asked to evaluate it, or one that it continues */
} eval_seen;

/* Of a version (its whole id) of the workspace in `folder`. Free *out in any case. AGON_ENOMEM, else as store_open. */
AGON_MUST_CHECK agon_status eval_seen_open(agon_ctx *ctx, const char *folder, const char *version, eval_seen *out);
void eval_seen_free(eval_seen *x);
/* How a question stands to it; what was asked is not held out. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status eval_seen_find(agon_ctx *ctx, const eval_seen *x, const char *question, bool *asked, bool *held_out);

#endif

/* The learner's prompts: a query as it is, and a query with the critique of a failed answer. */
#ifndef ROLE_LEARNER_H
#define ROLE_LEARNER_H

#include "agon.h"

/* The user message that asks for a better answer than a failed one; critique NULL: that it was wrong and
 * nothing more (the control of loop 3.6). *out new. */
AGON_MUST_CHECK agon_status learner_refine_prompt(agon_ctx *ctx, const char *query, const char *critique,
                                                  char **out);
/* The template's id, for records: "answer@1". Static storage. */
const char *learner_answer_template(void);
const char *learner_refine_template(bool with_critique);

#endif

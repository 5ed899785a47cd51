/* The learner's prompts, see learner.h. */
#include "role/learner.h"
#include "role/prompt.h"

agon_status learner_refine_prompt(agon_ctx *ctx, const char *query, const char *critique, char **out) {
    const prompt_field fields[] = {{"query", query}, {"critique", critique ? critique : ""}};
    return prompt_render(ctx, prompt_find(critique ? "refine" : "retry"), fields, 2, 0, out);
}

const char *learner_answer_template(void) {
    return prompt_find("answer")->id;
}

const char *learner_refine_template(bool with_critique) {
    return prompt_find(with_critique ? "refine" : "retry")->id;
}

/* The scale of a reward head that was just trained: see score_rows.h. */
#include "base/ctx.h"
#include "base/memory.h"
#include "train/score_rows.h"
#include <stdlib.h>

enum { SCALE_RESPONSES = 256 };

static bool fits(const model *m, const train_row *r) {
    size_t longest = 0;
    for (size_t k = 0; k < r->n_responses; k++)
        longest = r->responses[k].n > longest ? r->responses[k].n : longest;
    return r->n_prompt + longest <= model_get_config(m)->max_context;
}

/* which [<= SCALE_RESPONSES]: rows spread evenly over the data; *n_responses of them all. */
static size_t pick(const model *m, const train_row *rows, size_t n_rows, size_t *which, size_t *n_responses) {
    size_t each = n_rows && rows[0].n_responses ? rows[0].n_responses : 1, n = 0, picks = SCALE_RESPONSES / each;
    picks = picks < 1 ? 1 : picks > n_rows ? n_rows : picks;
    *n_responses = 0;
    for (size_t i = 0; i < picks; i++) {
        size_t at = i * n_rows / picks;
        if (!fits(m, &rows[at]) || (n && *n_responses + rows[at].n_responses > SCALE_RESPONSES))
            continue;
        which[n++] = at;
        *n_responses += rows[at].n_responses;
    }
    return n;
}

agon_status train_set_scale(agon_ctx *ctx, model *m, adapter *a, const objective *o, const double *options, const train_row *rows,
                            size_t n_rows) {
    scalar_head *head = model_head_with(m, a, HEAD_REWARD);
    unsigned needs = objective_needs_with(o, options);
    size_t which[SCALE_RESPONSES], n_responses = 0;
    if (!head || !(needs & NEEDS_HEAD) || n_rows == 0)
        return AGON_OK;
    size_t n = pick(m, rows, n_rows, which, &n_responses);
    response_score *scores = memory_new(n_responses + 1, sizeof *scores);
    double *rewards = memory_new(n_responses + 1, sizeof *rewards);
    agon_status s = scores && rewards ? rows_score(ctx, m, a, rows, which, n, scores) : ctx_no_memory(ctx);
    for (size_t i = 0; i < n_responses && !s; i++)
        rewards[i] = scores[i].head;
    if (!s && n_responses) {
        reward_scale scale = reward_scale_fit(rewards, n_responses);
        scale.at_steps = needs & NEEDS_TARGETS;
        scalar_head_set_scale(head, &scale);
    }
    free(scores);
    free(rewards);
    return s;
}

/* Samples and rewards to rows, see samples.h. */
#include "train/samples.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "train/selection.h"
#include <math.h>
#include <string.h>

bool samples_make_pairs(const objective *o) {
    return !(o->rows & (ROW_GROUP | ROW_SINGLE));
}

agon_status samples_check(agon_ctx *ctx, const objective *o, unsigned needs) {
    bool rewarded = samples_make_pairs(o) || (needs & NEEDS_REWARD) || ((needs & NEEDS_LABEL) && (o->rows & ROW_SINGLE));
    if (!rewarded || (needs & (NEEDS_HEAD | NEEDS_TARGETS)))
        return ctx_fail(ctx, AGON_EINVAL, "%s does not learn from samples and their rewards; grpo, rloo, reinforce++, ppo, dpo and "
                        "the like do", o->name);
    if (samples_make_pairs(o) && (needs & NEEDS_LABEL))
        return ctx_fail(ctx, AGON_EINVAL, "%s needs P(chosen is better) of each pair, which samples do not bring; without it, it is dpo", o->name);
    if (samples_make_pairs(o) && (needs & NEEDS_REWARD))
        return ctx_fail(ctx, AGON_EINVAL, "%s needs margins of other objectives, which samples do not bring", o->name);
    return AGON_OK;
}

static agon_status add_row(sample_rows *to, const int32_t *prompt, size_t n_prompt, size_t k, train_response **out) {
    train_response *r = *out = arena_take(to->memory, k, sizeof *r);
    if (!r)
        return ctx_fail(to->ctx, AGON_ENOMEM, "out of memory for rows of samples");
    to->rows[to->n++] = (train_row){.prompt = prompt, .n_prompt = n_prompt, .responses = r, .n_responses = k, .weight = 1};
    return AGON_OK;
}

/* A pair has no rewards of its own: margins are the objective's business, not the judge's scale. */
agon_status samples_add_pair(sample_rows *to, const int32_t *prompt, size_t n_prompt, train_response chosen, train_response rejected) {
    train_response *r;
    chosen.reward = rejected.reward = NAN;
    chosen.old = rejected.old = NULL;
    chosen.label = NAN;
    if (chosen.n == rejected.n && memcmp(chosen.tokens, rejected.tokens, chosen.n * sizeof *chosen.tokens) == 0)
        return AGON_OK;
    agon_status s = add_row(to, prompt, n_prompt, 2, &r);
    if (!s)
        r[0] = chosen, r[1] = rejected;
    return s;
}

static agon_status add_best_and_worst(sample_rows *to, const int32_t *prompt, size_t n_prompt, const train_response *samples, size_t k) {
    size_t best, worst;
    double *rewards = arena_take(to->memory, k, sizeof *rewards);
    if (!rewards)
        return ctx_fail(to->ctx, AGON_ENOMEM, "out of memory for rows of samples");
    for (size_t j = 0; j < k; j++)
        rewards[j] = samples[j].reward;
    return select_pair(rewards, k, &best, &worst) ? samples_add_pair(to, prompt, n_prompt, samples[best], samples[worst]) : AGON_OK;
}

agon_status samples_add(sample_rows *to, const int32_t *prompt, size_t n_prompt, const train_response *samples, size_t k) {
    train_response *r;
    agon_status s = AGON_OK;
    if (samples_make_pairs(to->objective))
        return add_best_and_worst(to, prompt, n_prompt, samples, k);
    if (to->objective->rows & ROW_GROUP) {
        s = add_row(to, prompt, n_prompt, k, &r);
        if (!s)
            memcpy(r, samples, k * sizeof *r);
        return s;
    }
    for (size_t j = 0; j < k && !s; j++) {
        s = add_row(to, prompt, n_prompt, 1, &r);
        if (s)
            break;
        *r = samples[j];
        if (to->needs & NEEDS_LABEL)
            r->label = r->reward >= 0.5;
    }
    return s;
}

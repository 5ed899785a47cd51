/* agon.h, datasets in memory: answers of agon_generate, as pairs the caller chose or with their rewards. */
#include "api/dataset.h"
#include "api/options.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/memory.h"
#include "train/samples.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a training is recognised by: every token and reward of its rows. */
static agon_status hash_rows(agon_ctx *ctx, const train_row *rows, size_t n, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        const uint64_t sizes[2] = {rows[i].n_prompt, rows[i].n_responses};
        hasher_add(h, sizes, sizeof sizes);
        hasher_add(h, rows[i].prompt, rows[i].n_prompt * sizeof *rows[i].prompt);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            const train_response *r = &rows[i].responses[k];
            const uint64_t size = r->n;
            hasher_add(h, &size, sizeof size);
            hasher_add(h, r->tokens, r->n * sizeof *r->tokens);
            hasher_add(h, &r->reward, sizeof r->reward);
            if (r->old)
                hasher_add(h, r->old, r->n * sizeof *r->old);
        }
    }
    *out = hasher_end(h);
    return AGON_OK;
}

/* A dataset of rows, which are copied. */
static agon_status from_rows(agon_ctx *ctx, const agon_tokenizer *t, const objective *o, const train_row *rows, size_t n,
                             agon_dataset **out) {
    agon_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_no_memory(ctx);
    d->t = t->t;
    d->objective = o;
    agon_status s = hash_rows(ctx, rows, n, &d->file);
    if (!s)
        s = dataset_from_rows(ctx, rows, n, &d->d);
    if (s)
        agon_dataset_free(d);
    else
        *out = d;
    return s;
}

static train_response response_of(const agon_completion *c, double reward) {
    return (train_response){.tokens = c->tokens, .n = c->n_tokens, .reward = reward, .advantage = NAN, .label = NAN, .weight = 1};
}

/* ---- pairs -------------------------------------------------------------------------------------------------- */

/* AGON_EINVAL when the objective's rows are no pairs, or need more than their tokens. */
static agon_status check_pairs(agon_ctx *ctx, const objective *o, const agon_pair *pairs, size_t n) {
    const unsigned more = NEEDS_OLD | NEEDS_REWARD | NEEDS_LABEL | NEEDS_VALUES | NEEDS_ADVANTAGE | NEEDS_TARGETS;
    if (!(o->rows & ROW_PAIR) || (o->needs & more))
        return ctx_fail(ctx, AGON_EINVAL, "%s does not learn from pairs alone", o->name);
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "there are no pairs to learn from");
    for (size_t i = 0; i < n; i++) {
        const agon_completion *a = pairs[i].chosen, *b = pairs[i].rejected;
        if (!a || !b || (a->n_tokens && !a->tokens) || (b->n_tokens && !b->tokens) || (pairs[i].n_prompt && !pairs[i].prompt))
            return ctx_fail(ctx, AGON_EINVAL, "pair %zu: its prompt, chosen or rejected is NULL; all must be given", i + 1);
        if (a->n_tokens == 0 || b->n_tokens == 0)
            return ctx_fail(ctx, AGON_EINVAL, "pair %zu: %s is empty", i + 1, a->n_tokens ? "rejected" : "chosen");
        if (a->n_tokens == b->n_tokens && memcmp(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens) == 0)
            return ctx_fail(ctx, AGON_EINVAL, "pair %zu: chosen and rejected are the same; such a pair teaches nothing", i + 1);
    }
    return AGON_OK;
}

agon_status agon_dataset_from_pairs(agon_ctx *ctx, const agon_tokenizer *t, const agon_pair *pairs, size_t n, const char *name,
                                    agon_dataset **out) {
    FP_ENVIRONMENT();
    const objective *o = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the array of pairs", pairs, n}, {"the place for the dataset", out, 1});
    if (!s)
        s = objective_named(ctx, name, &o);
    if (!s)
        s = check_pairs(ctx, o, pairs, n);
    if (s)
        return s;
    train_row *rows = calloc(n, sizeof *rows);
    train_response *sides = calloc(2 * n, sizeof *sides);
    for (size_t i = 0; rows && sides && i < n; i++) {
        sides[2 * i] = response_of(pairs[i].chosen, NAN);
        sides[2 * i + 1] = response_of(pairs[i].rejected, NAN);
        rows[i] = (train_row){.prompt = pairs[i].prompt, .n_prompt = pairs[i].n_prompt, .responses = &sides[2 * i], .n_responses = 2,
                              .weight = 1};
    }
    s = rows && sides ? from_rows(ctx, t, o, rows, n, out) : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu pairs", n);
    free(rows);
    free(sides);
    return s;
}

/* ---- samples -------------------------------------------------------------------------------------------------- */

static agon_status check_samples(agon_ctx *ctx, const objective *o, const agon_generate_request *requests, size_t n,
                                 const agon_completion *answers, const double *rewards) {
    bool compares = samples_make_pairs(o) || (o->rows & ROW_GROUP);
    for (size_t i = 0, at = 0; i < n; at += requests[i++].n_samples) {
        if (compares && requests[i].n_samples < 2)
            return ctx_fail(ctx, AGON_EINVAL, "request %zu has fewer than two samples; %s compares them", i + 1, o->name);
        for (size_t k = 0; k < requests[i].n_samples; k++) {
            if (answers[at + k].n_tokens && !answers[at + k].tokens)
                return ctx_fail(ctx, AGON_EINVAL, "request %zu, sample %zu: the answer's tokens are NULL; they must be given", i + 1, k + 1);
            if (answers[at + k].n_tokens == 0)
                return ctx_fail(ctx, AGON_EINVAL, "request %zu, sample %zu: the answer is empty", i + 1, k + 1);
            if (!number_fits(rewards[at + k]))
                return ctx_fail(ctx, AGON_EINVAL, "request %zu, sample %zu: the reward is %g; it must be from %g to %g", i + 1, k + 1,
                                rewards[at + k], -NUMBER_LIMIT, NUMBER_LIMIT);
        }
    }
    return AGON_OK;
}

/* The rows of one request; *text gets its prompt's tokens where they had to be made. */
static agon_status add_request(sample_rows *to, const agon_tokenizer *t, const agon_generate_request *r, const agon_completion *answers,
                               const double *rewards, int32_t **text) {
    const int32_t *prompt;
    size_t n_prompt;
    agon_status s = request_prompt(to->ctx, t, r, text, &prompt, &n_prompt);
    train_response *samples = arena_take(to->memory, r->n_samples, sizeof *samples);
    if (!s && !samples)
        s = ctx_fail(to->ctx, AGON_ENOMEM, "out of memory for rows of samples");
    for (size_t k = 0; k < r->n_samples && !s; k++) {
        samples[k] = response_of(&answers[k], rewards[k]);
        samples[k].old = answers[k].log_probs;
    }
    return s ? s : samples_add(to, prompt, n_prompt, samples, r->n_samples);
}

agon_status agon_dataset_from_samples(agon_ctx *ctx, const agon_tokenizer *t, const agon_generate_request *requests, size_t n,
                                      const agon_completion *answers, const double *rewards, const char *name, agon_dataset **out) {
    FP_ENVIRONMENT();
    sample_rows to = {.ctx = ctx};
    size_t n_answers = 0;
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokenizer", t, 1}, {"the array of requests", requests, n}, {"the array of answers", answers, n},
                                  {"the array of rewards", rewards, n}, {"the place for the dataset", out, 1});
    if (s)
        return s;
    int32_t **texts = calloc(n + 1, sizeof *texts);
    s = texts ? objective_named(ctx, name, &to.objective) : ctx_no_memory(ctx);
    if (!s) {
        to.needs = to.objective->needs;
        s = samples_check(ctx, to.objective, to.needs);
    }
    if (!s)
        s = check_samples(ctx, to.objective, requests, n, answers, rewards);
    if (!s)
        s = arena_new(ctx, 0, &to.memory);
    for (size_t i = 0; i < n; i++)
        n_answers += requests[i].n_samples;
    if (!s && !(to.rows = arena_take(to.memory, n_answers + 1, sizeof *to.rows)))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu answers", n_answers);
    for (size_t i = 0, at = 0; i < n && !s; at += requests[i++].n_samples)
        s = add_request(&to, t, &requests[i], answers + at, rewards + at, &texts[i]);
    if (!s && to.n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "there is nothing to learn from: %s", n_answers ? "the answers to each prompt are worth the same"
                                                                                  : "no answers were given");
    if (!s)
        s = from_rows(ctx, t, to.objective, to.rows, to.n, out);
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
    arena_free(to.memory);
    return s;
}

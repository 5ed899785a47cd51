/* See cost.h. */
#include "recipe/cost.h"
#include "base/available.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "recipe/gate_suites.h"
#include <math.h>

static const double DOCUMENT_TOKENS = 250;
static const double PASSING = 0.25; /* of answers: what the quickstart's base model manages */

void cost_answers(expected *t, double n, double prompt, double samples, double length) {
    t->read += n * prompt; /* once for all samples of a query */
    t->generated += n * samples * length;
}

void cost_suites(const run_config *r, double versions, expected *t) {
    const gate_suite_def *d;
    for (size_t i = 0; (d = gate_suite_at(i)); i++)
        cost_answers(t, versions * (double)gate_suite_items(d, r), d->prompt_tokens, 1, d->answer_tokens);
    t->scored += versions * (double)r->evaluate.documents * DOCUMENT_TOKENS;
}

double cost_examples(const run_config *r, double real, double answers) {
    double all = real + PASSING * answers;
    return r->build.real_share > 0 ? fmin(real / r->build.real_share, all) : all;
}

enum { RATE_TOKENS = 256, RATE_PASSES = 5 };

agon_status cost_rate(agon_ctx *ctx, const model *m, double *tokens_per_second) {
    const model_config *c = model_get_config(m);
    const size_t half = (c->max_context < RATE_TOKENS ? c->max_context : RATE_TOKENS) / 2;
    int32_t tokens[RATE_TOKENS];
    float log_prob[RATE_TOKENS];
    double best = 0;
    workspace *work = NULL;
    *tokens_per_second = 0;
    if (half == 0)
        return AGON_OK;
    for (size_t i = 0; i < 2 * half; i++)
        tokens[i] = (int32_t)((i * 7 + 5) % c->n_vocabulary);
    const segment segments[2] = {{.tokens = tokens, .n_tokens = half, .parent = -1, .temperature = 1},
                                 {.tokens = tokens + half, .n_tokens = half, .parent = 0, .wants = WANT_LOG_PROB}};
    const segment_batch batch = {segments, 2};
    const token_channels out = {.log_prob = log_prob};
    agon_status s = workspace_new(ctx, 0, &work);
    for (int pass = 0; pass <= RATE_PASSES && !s; pass++) { /* the first reads the weights from disk */
        const double start = processor_seconds();
        s = model_forward(ctx, m, work, &batch, &out);
        const double seconds = processor_seconds() - start;
        if (pass == 1 || (pass > 1 && seconds < best))
            best = seconds;
    }
    workspace_free(work);
    if (!s && best > 0)
        *tokens_per_second = (double)(2 * half) / best * available_processors("", ctx->n_threads);
    return s;
}

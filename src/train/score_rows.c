/* Scores of rows: see score_rows.h. A row is one tree, its prompt read once for all its responses; without a prompt each response is a tree. */
#include "train/score_rows.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

size_t row_n_tokens(const train_row *r) {
    size_t n = r->n_prompt;
    for (size_t k = 0; k < r->n_responses; k++)
        n += r->responses[k].n;
    return n;
}

typedef struct scorer {
    agon_ctx *ctx;
    const model *m;
    const adapter *a;
    const scalar_head *head; /* NULL: none */
    workspace *work;
    arena *row; /* reset each row */
} scorer;

static void take_scores(const scorer *x, const train_row *r, const token_channels *channels, response_score *out) {
    size_t at = r->n_prompt, width = model_get_config(x->m)->d_model;
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *y = &r->responses[k];
        out[k] = (response_score){.head = NAN};
        for (size_t j = 0; j < y->n; j++) {
            /* A first token that nothing precedes has no log_prob. */
            double weight = r->n_prompt == 0 && j == 0 ? 0 : y->mask ? (double)y->mask[j] : 1;
            out[k].log_prob += weight * (double)channels->log_prob[at + j];
            out[k].length += weight;
        }
        at += y->n;
        if (x->head)
            scalar_head_forward(x->head, channels->hidden + (at - 1) * width, 1, &out[k].head);
    }
}

static agon_status score_row(const scorer *x, const train_row *r, response_score *out) {
    size_t n_segments = 0, n_tokens = row_n_tokens(r), width = model_get_config(x->m)->d_model;
    arena_reset(x->row);
    segment *segments = arena_take(x->row, r->n_responses + 1, sizeof *segments);
    float *log_prob = arena_take(x->row, n_tokens, sizeof *log_prob);
    float *hidden = x->head ? arena_take(x->row, size_mul(n_tokens, width), sizeof *hidden) : NULL;
    if (!segments || !log_prob || (x->head && !hidden))
        return ctx_fail(x->ctx, AGON_ENOMEM, "out of memory scoring a row of %zu tokens", n_tokens);
    if (r->n_prompt)
        segments[n_segments++] = (segment){.tokens = r->prompt, .n_tokens = r->n_prompt, .parent = -1, .adapter = x->a,
                                           .wants = (x->head ? WANT_HIDDEN : 0) | WANT_LOG_PROB};
    for (size_t k = 0; k < r->n_responses; k++)
        segments[n_segments++] = (segment){.tokens = r->responses[k].tokens, .n_tokens = r->responses[k].n, .parent = r->n_prompt ? 0 : -1,
                                           .adapter = x->a, .wants = (x->head ? WANT_HIDDEN : 0) | WANT_LOG_PROB};
    const token_channels channels = {.log_prob = log_prob, .hidden = hidden};
    agon_status s = model_forward(x->ctx, x->m, x->work, &(segment_batch){segments, n_segments}, &channels);
    if (!s)
        take_scores(x, r, &channels, out);
    return s;
}

agon_status rows_score(agon_ctx *ctx, const model *m, const adapter *a, const train_row *rows, const size_t *which, size_t n,
                       response_score *out) {
    scorer x = {.ctx = ctx, .m = m, .a = a, .head = model_head_with(m, a, HEAD_REWARD)};
    agon_status s = workspace_new(ctx, 0, &x.work);
    if (!s)
        s = arena_new(ctx, 0, &x.row);
    for (size_t i = 0; i < n && !s; i++) {
        const train_row *r = &rows[which ? which[i] : i];
        s = ctx_check_interrupt(ctx);
        if (!s)
            s = score_row(&x, r, out);
        out += r->n_responses;
    }
    arena_free(x.row);
    workspace_free(x.work);
    return s;
}

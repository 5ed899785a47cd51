/* Peak memory of a training, from the same sizes that the passes allocate by. Everything counted here is in memory at once. A checkpoint is written
 * and read in pieces that ALLOCATOR_BYTES has room for. */
#include "train/train_private.h"

/* Threads' scratch memory that is touched for the first time, and what malloc keeps between large and small pieces. */
enum { ALLOCATOR_BYTES = 4 << 20 };

typedef struct widest {
    size_t tokens, scored, prompt, responses;
} widest;

static size_t size_max(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The largest trees that are run: whole rows, or single responses where a row has no prompt to hang them on. */
static widest find_widest(const train_row *rows, size_t n_rows) {
    widest w = {0};
    for (size_t i = 0; i < n_rows; i++) {
        const train_row *r = &rows[i];
        size_t all = row_n_response_tokens(r), longest = 0;
        for (size_t k = 0; k < r->n_responses; k++)
            longest = size_max(longest, r->responses[k].n);
        size_t scored = r->n_prompt > 0 ? all : longest;
        w.tokens = size_max(w.tokens, r->n_prompt + scored);
        w.scored = size_max(w.scored, scored);
        w.prompt = size_max(w.prompt, r->n_prompt);
        w.responses = size_max(w.responses, all);
    }
    return w;
}

/* held_out: rows that are scored only. */
static size_t activations(const model *m, const widest *w, const widest *held_out, size_t rank, workspace_use use) {
    workspace_need train = workspace_predict(m, w->tokens, w->scored, rank, use);
    workspace_need score = workspace_predict(m, size_max(w->prompt + w->responses, held_out->prompt + held_out->responses),
                                             size_max(w->responses, held_out->responses), rank, USE_FORWARD);
    return size_add(train.stored, size_max(train.scratch, score.scratch));
}

/* A step's channels, and three floats a token for each of up to four trees of a row; what a head's outputs get by three of them; twice the rows where each prompt meets another's answer too. */
static size_t step_bytes(const widest *w, size_t batch_rows, size_t n_rows, unsigned needs) {
    size_t row = size_add(size_mul(w->responses, (CHANNELS + 1) * sizeof(double)),
                          size_mul(w->prompt + w->responses, 12 * sizeof(float)));
    if (needs & (NEEDS_HEAD | NEEDS_VALUES))
        row = size_add(row, size_mul(w->prompt + w->responses, 3 * sizeof(double)));
    size_t rows = batch_rows < n_rows ? batch_rows : n_rows;
    return size_mul(row, size_mul(rows, needs & NEEDS_MISMATCHED ? 2 : 1));
}

train_memory train_predict(const model *m, size_t n_lora, size_t rank, const train_row *rows, size_t n_rows,
                           const train_options *o) {
    const model_config *c = model_get_config(m);
    widest w = find_widest(rows, n_rows), held_out = find_widest(o->validation.rows, o->validation.n_rows);
    unsigned needs = objective_needs_with(o->objective, o->objective_options);
    bool reference = needs & NEEDS_REFERENCE;
    if (needs & NEEDS_MISMATCHED) {
        w.tokens = w.prompt + w.responses; /* one row's prompt with another's response, as far as the context goes */
        w.tokens = w.tokens < c->max_context ? w.tokens : c->max_context;
        w.scored = w.responses;
    }
    size_t values = n_lora ? n_lora : model_n_values(c), cached = 0;
    bool there = model_is_trainable(m) && !o->selection.co_teach; /* masters and gradients of an earlier training; a partner's may not be */
    for (size_t i = 0; reference && i < n_rows; i++)
        cached = size_add(cached, size_mul(row_n_response_tokens(&rows[i]), sizeof(float)));
    train_memory n = {.weights = n_lora ? 0 : model_widen_bytes(m),
                      .parameters = size_add(size_mul(values, (n_lora ? 3 : 2) * sizeof(float)), n_lora || there ? 0 : model_train_bytes(c, model_dtype(m))),
                      .activations = activations(m, &w, &held_out, rank, USE_TRAINING),
                      .recomputed = activations(m, &w, &held_out, rank, USE_TRAINING_RECOMPUTE)};
    cached = size_add(cached, start_predict(rows, n_rows, needs, o));
    size_t batch = o->batch_rows + (o->objective->least_batch > 0 ? o->objective->least_batch - 1 : 0); /* order_step */
    n.rest = size_add(step_bytes(&w, batch, n_rows, needs), cached);
    if (o->moments && !o->moments->first) /* they are made at the end, beside the trainer's */
        n.rest = size_add(n.rest, size_mul(values, 2 * sizeof(float)));
    if (needs & (NEEDS_HEAD | NEEDS_VALUES)) /* hidden states that a head reads, and their gradients */
        n.rest = size_add(n.rest, size_mul(size_mul(w.prompt + w.responses + held_out.prompt + held_out.responses, 2 * c->d_model), sizeof(float)));
    n.rest = size_add(n.rest, validation_predict(o, needs));
    if (o->selection.tau > 0) /* the batch is scored before it is trained on, by each learner */
        n.rest = size_add(n.rest, size_mul(step_bytes(&w, batch, n_rows, needs), (o->selection.co_teach ? 3 : 1) + (o->selection.level != SELECT_ROWS)));
    if (o->selection.co_teach) { /* what belongs to a learner */
        n.parameters = size_mul(n.parameters, 2);
        n.weights = n_lora ? n.weights : size_mul(n.weights, 2);
    }
    n.rest = size_add(n.rest, ALLOCATOR_BYTES);
    return n;
}

train_memory train_predict_members(const model *m, size_t n_members, size_t n_lora, size_t rank, bool dimensions, const train_row *rows,
                                   size_t n_rows, const train_options *o) {
    train_memory n = train_predict(m, n_lora, rank, rows, n_rows, o);
    if (dimensions) /* B and its gradient are no parameters then */
        n.parameters = size_add(n.parameters, size_mul(n_lora, sizeof(float)));
    n.parameters = size_mul(n.parameters, n_members);
    return n;
}

/* With what is not counted: huge pages taken whole, page tables, the small things of rows and layers. 3% of 650 MiB were measured, 1% of 4 GiB. */
static size_t with_margin(size_t bytes) {
    const size_t most = 32 << 20;
    return size_add(bytes, size_add(bytes / 16 < most ? bytes / 16 : most, bytes / 64));
}

size_t train_memory_total(const train_memory *n, size_t room, size_t *workspace_limit) {
    size_t fixed = size_add(size_add(n->weights, n->parameters), n->rest), all = with_margin(size_add(fixed, n->activations));
    fixed = with_margin(fixed);
    *workspace_limit = 0;
    if (all <= room)
        return all;
    /* Rows whose activations fit keep them, larger ones compute them again. An eighth stays free: what the system says is an estimate. */
    size_t left = room > fixed ? (room - fixed) / 8 * 7 : 0;
    size_t least = size_add(n->recomputed, n->recomputed / 8); /* a workspace takes an eighth more than it is asked for */
    *workspace_limit = left > least ? left : least;
    return size_add(fixed, *workspace_limit);
}

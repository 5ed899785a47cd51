/* Rows to log_probs and back: the only place where the trainer meets the segment batch.
 *
 * A row is one tree: its prompt is the root, its responses are children, so the prompt is computed once.
 * Without a prompt every response is its own root and its first token has no log_prob; such a row runs
 * one response at a time in the backward pass, since a training batch is one tree. */
#include "train/train_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static agon_status no_memory(trainer *t) {
    return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for a step's rows");
}

size_t row_n_response_tokens(const train_row *r) {
    size_t n = 0;
    for (size_t k = 0; k < r->n_responses; k++)
        n += r->responses[k].n;
    return n;
}

static const train_row *prompt_of(const trainer *t, const step_row *s) {
    return &t->data[s->index];
}

static const train_row *responses_of(const trainer *t, const step_row *s) {
    return &t->data[s->response_index];
}

bool row_is_one_tree(const trainer *t, const step_row *s) {
    return prompt_of(t, s)->n_prompt > 0 || responses_of(t, s)->n_responses == 1;
}

/* ---- channels ------------------------------------------------------------------------------------ */

static agon_status channels_of(trainer *t, const step_row *s, const train_response *from, response *out) {
    bool entropy = t->needs & NEEDS_ENTROPY, mean = t->needs & NEEDS_MEAN_LOG_PROB;
    double *block = arena_take(t->step, size_mul(from->n, 10), sizeof *block);
    if (!block)
        return no_memory(t);
    double *log_prob = block, *reference = block + from->n, *old = block + 2 * from->n,
           *mask = block + 3 * from->n;
    for (size_t j = 0; j < from->n; j++) {
        mask[j] = from->mask ? (double)from->mask[j] : 1;
        old[j] = from->old ? (double)from->old[j] : 0;
        block[9 * from->n + j] = from->token_rewards ? (double)from->token_rewards[j] : 0;
    }
    if (prompt_of(t, s)->n_prompt == 0)
        mask[0] = 0; /* nothing precedes it */
    *out = (response){
        .n = from->n,
        .log_prob = log_prob,
        .reference = t->needs & NEEDS_REFERENCE ? reference : NULL,
        .old = from->old ? old : NULL,
        .token_rewards = from->token_rewards ? block + 9 * from->n : NULL,
        .mask = mask,
        .reward = from->reward,
        .advantage = from->advantage,
        .label = s->mismatched ? NAN : from->label,
        .weight = from->weight,
        .mismatched = s->mismatched,
        .d_log_prob = block + 4 * from->n,
        .entropy = entropy ? block + 5 * from->n : NULL,
        .d_entropy = entropy ? block + 6 * from->n : NULL,
        .mean_log_prob = mean ? block + 7 * from->n : NULL,
        .d_mean_log_prob = mean ? block + 8 * from->n : NULL,
    };
    return AGON_OK;
}

agon_status channels_new(trainer *t, const step_row *rows, size_t n, row *out) {
    for (size_t i = 0; i < n; i++) {
        const train_row *from = responses_of(t, &rows[i]);
        out[i] = (row){.n_responses = from->n_responses, .weight = from->weight};
        out[i].responses = arena_take(t->step, from->n_responses, sizeof(response));
        if (!out[i].responses)
            return no_memory(t);
        for (size_t k = 0; k < from->n_responses; k++) {
            agon_status s = channels_of(t, &rows[i], &from->responses[k], &out[i].responses[k]);
            if (s != AGON_OK)
                return s;
        }
    }
    return AGON_OK;
}

/* ---- trees --------------------------------------------------------------------------------------- */

/* Segments of a row (or of its response `only`, when it is below n_responses) and a channel array over all tokens. */
typedef struct row_tree {
    segment_batch batch;
    size_t first, n; /* the responses it carries */
    size_t n_prompt;
    /* [n_tokens]: the channels, or their gradients; log_prob always, the others where the objective needs them. */
    token_channels channels;
} row_tree;

static agon_status tree_new(trainer *t, const step_row *s, size_t only, const adapter *a, unsigned needs,
                            row_tree *out) {
    const train_row *prompt = prompt_of(t, s), *from = responses_of(t, s);
    bool all = only >= from->n_responses, rooted = prompt->n_prompt > 0;
    unsigned wants = WANT_LOG_PROB | (needs & NEEDS_ENTROPY ? WANT_ENTROPY : 0) |
                     (needs & NEEDS_MEAN_LOG_PROB ? WANT_MEAN_LOG_PROB : 0);
    row_tree tree = {.first = all ? 0 : only, .n = all ? from->n_responses : 1, .n_prompt = prompt->n_prompt};
    segment *segments = arena_take(t->step, tree.n + 1, sizeof *segments);
    if (!segments)
        return no_memory(t);
    size_t at = 0;
    if (rooted)
        segments[at++] = (segment){.tokens = prompt->prompt, .n_tokens = prompt->n_prompt, .parent = -1,
                                   .adapter = a, .temperature = t->options->temperature};
    for (size_t k = tree.first; k < tree.first + tree.n; k++)
        segments[at++] = (segment){.tokens = from->responses[k].tokens,
                                   .n_tokens = from->responses[k].n,
                                   .parent = rooted ? 0 : -1,
                                   .adapter = a,
                                   .wants = wants,
                                   .temperature = t->options->temperature};
    tree.batch = (segment_batch){segments, at};
    size_t n = segment_batch_n_tokens(&tree.batch);
    float *values = arena_take(t->step, size_mul(n, 3), sizeof *values);
    if (!values)
        return no_memory(t);
    tree.channels = (token_channels){.log_prob = values,
                                     .entropy = wants & WANT_ENTROPY ? values + n : NULL,
                                     .mean_log_prob = wants & WANT_MEAN_LOG_PROB ? values + 2 * n : NULL};
    *out = tree;
    return AGON_OK;
}

/* Copies the responses' values between the tree's arrays and the double channels; an absent channel is skipped. */
static void to_double(const row_tree *tree, const float *from, size_t at, const double *to, size_t n) {
    for (size_t j = 0; from && to && j < n; j++)
        ((double *)to)[j] = (double)from[tree->n_prompt + at + j];
}

static void tree_to_channels(const row_tree *tree, row *channels) {
    size_t at = 0;
    for (size_t k = tree->first; k < tree->first + tree->n; k++) {
        response *r = &channels->responses[k];
        to_double(tree, tree->channels.log_prob, at, r->log_prob, r->n);
        to_double(tree, tree->channels.entropy, at, r->entropy, r->n);
        to_double(tree, tree->channels.mean_log_prob, at, r->mean_log_prob, r->n);
        at += r->n;
    }
}

static void to_float(const row_tree *tree, float *to, size_t at, const double *from, size_t n, double scale) {
    for (size_t j = 0; to && from && j < n; j++)
        to[tree->n_prompt + at + j] = (float)(scale * from[j]);
}

/* The tree's arrays are zero before, so the prompt has no gradient. */
static void tree_from_gradient(const row_tree *tree, const row *channels, double scale) {
    size_t at = 0;
    for (size_t k = tree->first; k < tree->first + tree->n; k++) {
        const response *r = &channels->responses[k];
        to_float(tree, tree->channels.log_prob, at, r->d_log_prob, r->n, scale);
        to_float(tree, tree->channels.entropy, at, r->d_entropy, r->n, scale);
        to_float(tree, tree->channels.mean_log_prob, at, r->d_mean_log_prob, r->n, scale);
        at += r->n;
    }
}

static size_t all_responses(const trainer *t, const step_row *s) {
    return responses_of(t, s)->n_responses;
}

agon_status score_policy(trainer *t, const step_row *s, row *channels) {
    row_tree tree;
    agon_status status = tree_new(t, s, all_responses(t, s), t->train, t->needs, &tree);
    if (status == AGON_OK)
        status = model_forward(t->ctx, t->m, t->work, &tree.batch, &tree.channels);
    if (status == AGON_OK)
        tree_to_channels(&tree, channels);
    return status;
}

static agon_status run_reference(trainer *t, const step_row *s, float *out) {
    row_tree tree;
    const model *m = t->reference ? t->reference : t->m;
    agon_status status = tree_new(t, s, all_responses(t, s), t->reference_adapter, 0, &tree);
    if (status == AGON_OK)
        status = model_forward(t->ctx, m, t->work, &tree.batch, &tree.channels);
    if (status == AGON_OK)
        memcpy(out, tree.channels.log_prob + tree.n_prompt, row_n_response_tokens(responses_of(t, s)) * sizeof *out);
    return status;
}

agon_status score_reference(trainer *t, const step_row *s, row *channels) {
    size_t n = row_n_response_tokens(responses_of(t, s));
    float *known = s->mismatched ? NULL : t->reference_cache[s->index];
    if (!known) {
        /* The reference is frozen: one pass a row and run. Mismatched pairs depend on the step; not kept. */
        known = s->mismatched ? arena_take(t->step, n, sizeof *known) : memory_new(n, sizeof *known);
        if (!known)
            return no_memory(t);
        agon_status status = run_reference(t, s, known);
        if (!s->mismatched && status == AGON_OK)
            t->reference_cache[s->index] = known;
        else if (!s->mismatched)
            free(known);
        if (status != AGON_OK)
            return status;
    }
    for (size_t k = 0; k < channels->n_responses; k++)
        for (size_t j = 0; j < channels->responses[k].n; j++)
            ((double *)channels->responses[k].reference)[j] = (double)*known++;
    return AGON_OK;
}

/* ---- training passes ----------------------------------------------------------------------------- */

agon_status forward_row(trainer *t, const step_row *s, row *channels) {
    row_tree tree;
    agon_status status = tree_new(t, s, all_responses(t, s), t->train, t->needs, &tree);
    if (status == AGON_OK)
        status = model_forward_train(t->ctx, t->m, t->work, &tree.batch, &tree.channels);
    if (status == AGON_OK)
        tree_to_channels(&tree, channels);
    return status;
}

agon_status backward_row(trainer *t, const step_row *s, const row *channels, double scale) {
    row_tree tree;
    agon_status status = tree_new(t, s, all_responses(t, s), t->train, t->needs, &tree);
    if (status != AGON_OK)
        return status;
    tree_from_gradient(&tree, channels, scale);
    return model_backward(t->ctx, t->m, t->train, t->work, &tree.batch, &tree.channels);
}

agon_status recompute_backward(trainer *t, const step_row *s, const row *channels, double scale) {
    if (row_is_one_tree(t, s)) {
        row_tree tree;
        agon_status status = tree_new(t, s, all_responses(t, s), t->train, t->needs, &tree);
        if (status == AGON_OK)
            status = model_forward_train(t->ctx, t->m, t->work, &tree.batch,
                                         &tree.channels);
        return status == AGON_OK ? backward_row(t, s, channels, scale) : status;
    }
    for (size_t k = 0; k < channels->n_responses; k++) {
        row_tree tree;
        agon_status status = tree_new(t, s, k, t->train, t->needs, &tree);
        if (status == AGON_OK)
            status = model_forward_train(t->ctx, t->m, t->work, &tree.batch,
                                         &tree.channels);
        if (status != AGON_OK)
            return status;
        tree_from_gradient(&tree, channels, scale);
        status = model_backward(t->ctx, t->m, t->train, t->work, &tree.batch,
                                &tree.channels);
        if (status != AGON_OK)
            return status;
    }
    return AGON_OK;
}

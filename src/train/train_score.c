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

const train_row *step_responses(const trainer *t, const step_row *s) {
    return s->cut ? s->cut : &t->data[s->response_index];
}

bool row_is_one_tree(const trainer *t, const step_row *s) {
    return prompt_of(t, s)->n_prompt > 0 || step_responses(t, s)->n_responses == 1;
}

/* ---- channels ------------------------------------------------------------------------------------ */

/* at: of the response's first token among those of its row. */
static agon_status channels_of(trainer *t, const step_row *s, const train_response *from, size_t at, response *out) {
    bool entropy = t->needs & NEEDS_ENTROPY, mean = t->needs & NEEDS_MEAN_LOG_PROB;
    const double *start = from->old ? NULL : start_log_probs(t, s->response_index, at);
    const double *values = from->old_values ? NULL : start_values(t, s->response_index, at);
    double *block = arena_take(t->step, size_mul(from->n, CHANNELS), sizeof *block);
    if (!block)
        return no_memory(t);
    double *log_prob = block, *reference = block + from->n, *old = block + 2 * from->n,
           *mask = block + 3 * from->n;
    for (size_t j = 0; j < from->n; j++) {
        mask[j] = from->mask ? (double)from->mask[j] : 1;
        old[j] = from->old ? (double)from->old[j] : start ? start[j] : 0;
        block[9 * from->n + j] = from->token_rewards ? (double)from->token_rewards[j] : 0;
        block[12 * from->n + j] = from->old_values ? (double)from->old_values[j] : values ? values[j] : 0;
        block[13 * from->n + j] = from->targets ? (double)from->targets[j] : 0;
    }
    if (prompt_of(t, s)->n_prompt == 0)
        mask[0] = 0; /* nothing precedes it */
    *out = (response){
        .n = from->n,
        .log_prob = log_prob,
        .reference = t->needs & NEEDS_REFERENCE ? reference : NULL,
        .old = from->old || start ? old : NULL,
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
        .old_values = from->old_values || values ? block + 12 * from->n : NULL,
        .targets = from->targets ? block + 13 * from->n : NULL,
    };
    if (t->head_only)
        out->log_prob = out->d_log_prob = NULL;
    if (t->head && (t->needs & NEEDS_HEAD))
        out->head = block + 10 * from->n, out->d_head = block + 11 * from->n, out->n_head = 1;
    else if (t->head)
        out->values = block + 10 * from->n, out->d_values = block + 11 * from->n;
    return AGON_OK;
}

agon_status channels_new(trainer *t, const step_row *rows, size_t n, row *out) {
    for (size_t i = 0; i < n; i++) {
        const train_row *from = step_responses(t, &rows[i]);
        out[i] = (row){.n_responses = from->n_responses, .weight = from->weight};
        out[i].responses = arena_take(t->step, from->n_responses, sizeof(response));
        if (!out[i].responses)
            return no_memory(t);
        for (size_t k = 0, at = 0; k < from->n_responses; at += from->responses[k++].n) {
            agon_status s = channels_of(t, &rows[i], &from->responses[k], at, &out[i].responses[k]);
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
    /* [n_tokens]: the channels, or their gradients; the ones the objective needs, hidden [n_tokens, d_model] for a head. */
    token_channels channels;
    double *d_head; /* [n_tokens] gradients of the head's outputs, scratch */
} row_tree;

/* Room for the hidden states of n tokens, one tree at a time. */
static bool hidden_room(trainer *t, size_t n) {
    size_t wanted = size_mul(n, model_get_config(t->m)->d_model);
    if (wanted <= t->n_hidden)
        return true;
    free(t->hidden);
    free(t->d_hidden);
    t->hidden = memory_new(wanted, sizeof *t->hidden);
    t->d_hidden = memory_new(wanted, sizeof *t->d_hidden);
    t->n_hidden = t->hidden && t->d_hidden ? wanted : 0;
    return t->n_hidden > 0;
}

static agon_status tree_new(trainer *t, const step_row *s, size_t only, const adapter *a, unsigned needs,
                            row_tree *out) {
    const train_row *prompt = prompt_of(t, s), *from = step_responses(t, s);
    bool all = only >= from->n_responses, rooted = prompt->n_prompt > 0;
    bool head = t->head && (needs & (NEEDS_HEAD | NEEDS_VALUES)), value = head && (needs & NEEDS_VALUES);
    bool log_prob = !(head && t->head_only);
    unsigned wants = (log_prob ? WANT_LOG_PROB : 0) | (needs & NEEDS_ENTROPY ? WANT_ENTROPY : 0) |
                     (needs & NEEDS_MEAN_LOG_PROB ? WANT_MEAN_LOG_PROB : 0) | (head ? WANT_HIDDEN : 0);
    row_tree tree = {.first = all ? 0 : only, .n = all ? from->n_responses : 1, .n_prompt = prompt->n_prompt};
    segment *segments = arena_take(t->step, tree.n + 1, sizeof *segments);
    if (!segments)
        return no_memory(t);
    size_t at = 0;
    if (rooted)
        segments[at++] = (segment){.tokens = prompt->prompt, .n_tokens = prompt->n_prompt, .parent = -1,
                                   .wants = value ? WANT_HIDDEN : 0, /* the first value is read at the prompt's last token */
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
    tree.d_head = head ? arena_take(t->step, n, sizeof *tree.d_head) : NULL;
    if (!values || (head && (!tree.d_head || !hidden_room(t, n))))
        return no_memory(t);
    tree.channels = (token_channels){.log_prob = log_prob ? values : NULL,
                                     .hidden = head ? t->hidden : NULL,
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

/* The token whose hidden state token j of the response at `at` is read from: itself, or the one that predicts it (values);
 * SIZE_MAX: nothing precedes it. */
static size_t head_token(const row_tree *tree, const response *r, size_t at, size_t j) {
    if (r->head)
        return tree->n_prompt + at + j;
    if (j > 0)
        return tree->n_prompt + at + j - 1;
    return tree->n_prompt ? tree->n_prompt - 1 : SIZE_MAX;
}

static void head_to_channels(const trainer *t, const row_tree *tree, size_t at, response *r) {
    double *to = (double *)(r->head ? r->head : r->values);
    size_t width = model_get_config(t->m)->d_model;
    for (size_t j = 0; to && j < r->n; j++) {
        size_t token = head_token(tree, r, at, j);
        to[j] = 0; /* a token nothing precedes has no value, and no weight (channels_of) */
        if (token != SIZE_MAX)
            scalar_head_forward(t->head, tree->channels.hidden + token * width, 1, &to[j]);
    }
}

static void tree_to_channels(const trainer *t, const row_tree *tree, row *channels) {
    size_t at = 0;
    for (size_t k = tree->first; k < tree->first + tree->n; k++) {
        response *r = &channels->responses[k];
        if (t->head && tree->channels.hidden)
            head_to_channels(t, tree, at, r);
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

static void head_from_gradient(const row_tree *tree, size_t at, const response *r, double scale) {
    const double *from = r->head ? r->d_head : r->d_values;
    for (size_t j = 0; from && j < r->n; j++) {
        size_t token = head_token(tree, r, at, j);
        if (token != SIZE_MAX)
            tree->d_head[token] += scale * from[j]; /* responses of a group meet at the prompt's last token */
    }
}

/* The tree's arrays are zero before, so the prompt has no gradient but what values read there. The head's own gradient comes
 * from the hidden states of the forward before, which are still in t->hidden. */
static void tree_from_gradient(trainer *t, row_tree *tree, const row *channels, double scale) {
    size_t at = 0, n = segment_batch_n_tokens(&tree->batch);
    if (t->head)
        memset(tree->d_head, 0, n * sizeof *tree->d_head);
    for (size_t k = tree->first; k < tree->first + tree->n; k++) {
        const response *r = &channels->responses[k];
        to_float(tree, tree->channels.log_prob, at, r->d_log_prob, r->n, scale);
        to_float(tree, tree->channels.entropy, at, r->d_entropy, r->n, scale);
        to_float(tree, tree->channels.mean_log_prob, at, r->d_mean_log_prob, r->n, scale);
        if (t->head)
            head_from_gradient(tree, at, r, scale);
        at += r->n;
    }
    if (!t->head)
        return;
    memset(t->d_hidden, 0, n * model_get_config(t->m)->d_model * sizeof *t->d_hidden);
    scalar_head_backward(t->head, t->hidden, tree->d_head, n, t->d_hidden);
    tree->channels.hidden = t->d_hidden;
}

static size_t all_responses(const trainer *t, const step_row *s) {
    return step_responses(t, s)->n_responses;
}

agon_status score_policy(trainer *t, const step_row *s, row *channels) {
    row_tree tree;
    agon_status status = tree_new(t, s, all_responses(t, s), t->train, t->needs, &tree);
    if (status == AGON_OK)
        status = model_forward(t->ctx, t->m, t->work, &tree.batch, &tree.channels);
    if (status == AGON_OK)
        tree_to_channels(t, &tree, channels);
    return status;
}

static agon_status run_reference(trainer *t, const step_row *s, float *out) {
    row_tree tree;
    const model *m = t->reference ? t->reference : t->m;
    agon_status status = tree_new(t, s, all_responses(t, s), t->reference_adapter, 0, &tree);
    if (status == AGON_OK)
        status = model_forward(t->ctx, m, t->work, &tree.batch, &tree.channels);
    if (status == AGON_OK)
        memcpy(out, tree.channels.log_prob + tree.n_prompt, row_n_response_tokens(step_responses(t, s)) * sizeof *out);
    return status;
}

agon_status score_reference(trainer *t, const step_row *s, row *channels) {
    size_t n = row_n_response_tokens(step_responses(t, s));
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

/* Forward of one response, or of all, keeping activations. */
static agon_status forward_tree(trainer *t, const step_row *s, size_t only, row_tree *tree) {
    agon_status status = tree_new(t, s, only, t->train, t->needs, tree);
    return status == AGON_OK ? model_forward_train(t->ctx, t->m, t->work, &tree->batch, &tree->channels) : status;
}

/* Backward of what forward_tree just ran. */
static agon_status backward_tree(trainer *t, const step_row *s, size_t only, const row *channels, double scale) {
    row_tree tree;
    agon_status status = tree_new(t, s, only, t->train, t->needs, &tree);
    if (status != AGON_OK)
        return status;
    tree_from_gradient(t, &tree, channels, scale);
    return model_backward(t->ctx, t->m, t->train, t->work, &tree.batch, &tree.channels);
}

agon_status forward_row(trainer *t, const step_row *s, row *channels) {
    row_tree tree;
    agon_status status = forward_tree(t, s, all_responses(t, s), &tree);
    if (status == AGON_OK)
        tree_to_channels(t, &tree, channels);
    return status;
}

agon_status backward_row(trainer *t, const step_row *s, const row *channels, double scale) {
    return backward_tree(t, s, all_responses(t, s), channels, scale);
}

agon_status recompute_backward(trainer *t, const step_row *s, const row *channels, double scale) {
    bool whole = row_is_one_tree(t, s);
    size_t n = whole ? 1 : channels->n_responses;
    for (size_t k = 0; k < n; k++) {
        row_tree tree;
        size_t only = whole ? all_responses(t, s) : k;
        agon_status status = forward_tree(t, s, only, &tree);
        if (status == AGON_OK)
            status = backward_tree(t, s, only, channels, scale);
        if (status != AGON_OK)
            return status;
    }
    return AGON_OK;
}

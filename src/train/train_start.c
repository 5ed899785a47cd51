/* Rows that do not say with which log_probs they were sampled: the policy that training begins with is taken to have sampled them.
 *
 *   before step 1, once:  for each row that a step will take:  forward, without gradients, of the policy as it stands
 *                         old = its log_probs;  old_values = its values, where its head has learnt something
 *
 * So the first ratios are exactly 1, and later ones say how far the policy has gone from there: clipping, a sequence's ratio and several epochs mean
 * on a file of rows what they mean on samples. A training of one step has no later ratio and skips the pass. A new value head is all zeros and
 * said nothing of the rows: then there are no values at sampling.
 *
 * The numbers lie in the stored state (train_image.c), since nobody else has the first policy any more when a run goes on: of all weights because
 * they have changed, of an adapter because its caller may give any one of the same shape. */
#include "train/train_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The row brings less than the loss reads. valued: it reads values. */
static bool lacks(const train_row *r, bool valued) {
    for (size_t k = 0; k < r->n_responses; k++)
        if (!r->responses[k].old || (valued && !r->responses[k].old_values && isnan(r->responses[k].advantage)))
            return true;
    return false;
}

bool start_scores(const train_row *r, unsigned needs) {
    return (needs & TAKES_OLD) && lacks(r, needs & NEEDS_VALUES);
}

static size_t row_size(const train_row *r, bool valued) {
    return size_mul(row_n_response_tokens(r), valued ? 2 : 1);
}

static bool reads_values(const trainer *t) {
    return t->head && (t->needs & NEEDS_VALUES);
}

size_t start_predict(const train_row *rows, size_t n, unsigned needs, const train_options *o) {
    size_t values = 0;
    bool valued = needs & NEEDS_VALUES;
    for (size_t i = 0; (needs & TAKES_OLD) && train_n_steps(o, n) > 1 && i < n; i++)
        values = size_add(values, lacks(&rows[i], valued) ? row_size(&rows[i], valued) : 0);
    return size_mul(values, sizeof(double));
}

/* The rows that steps will take, in `taken` [n_data]. */
static agon_status mark_taken(const trainer *t, bool *taken) {
    size_t least = t->options->objective->least_batch; /* a smaller rest has joined the last step */
    size_t n = size_add(size_mul(train_n_steps(t->options, t->n_data), t->options->batch_rows), least);
    size_t *order = memory_new(t->n_data, sizeof *order);
    const size_t *first;
    if (!order)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    order_step(t->options->seed, t->n_data, t->options->batch_rows, least, 0, order, &first); /* of the whole first epoch */
    for (size_t i = 0; i < t->n_data; i++)
        taken[order[i]] = i < n || t->dimension_rows; /* dimensions have an order of their own */
    free(order);
    return AGON_OK;
}

agon_status start_new(trainer *t) {
    if (!(t->needs & TAKES_OLD) || train_n_steps(t->options, t->n_data) < 2)
        return AGON_OK;
    bool *taken = memory_new(t->n_data, sizeof *taken), any = false;
    t->start = memory_new(t->n_data, sizeof *t->start);
    agon_status s = taken && t->start ? mark_taken(t, taken) : ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < t->n_data && s == AGON_OK; i++) {
        if (!taken[i] || !lacks(&t->data[i], reads_values(t)))
            continue;
        any = true;
        if (!(t->start[i] = memory_new(row_size(&t->data[i], reads_values(t)), sizeof **t->start)))
            s = ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for log_probs at sampling");
    }
    free(taken);
    if (!any && s == AGON_OK)
        start_free(t);
    return s;
}

void start_free(trainer *t) {
    for (size_t i = 0; t->start && i < t->n_data; i++)
        free(t->start[i]);
    free(t->start);
    t->start = NULL;
}

size_t start_row_size(const trainer *t, size_t i) {
    return t->start && t->start[i] ? row_size(&t->data[i], reads_values(t)) : 0;
}

const double *start_log_probs(const trainer *t, size_t i, size_t at) {
    return t->start && t->start[i] ? t->start[i] + at : NULL;
}

const double *start_values(const trainer *t, size_t i, size_t at) {
    return t->start && t->start[i] && t->start_valued ? t->start[i] + row_n_response_tokens(&t->data[i]) + at : NULL;
}

bool start_sampled(const trainer *t, size_t i) {
    bool all = t->start && t->start[i] && !t->dimension_rows; /* with dimensions the policy is another for each preference vector */
    for (size_t k = 0; all && k < t->data[i].n_responses; k++)
        all = !t->data[i].responses[k].old;
    return all;
}

static agon_status score_one(trainer *t, size_t i, bool is_reference) {
    const step_row at = {.index = i, .response_index = i};
    const bool valued = reads_values(t);
    double *to = t->start[i];
    size_t n = row_n_response_tokens(&t->data[i]);
    row r = {0};
    arena_reset(t->step);
    agon_status s = channels_new(t, &at, 1, &r);
    if (s == AGON_OK)
        s = is_reference ? score_reference(t, &at, &r) : score_policy(t, &at, &r);
    for (size_t k = 0; k < r.n_responses && s == AGON_OK; k++) {
        const response *x = &r.responses[k];
        memcpy(to, is_reference ? x->reference : x->log_prob, x->n * sizeof *to);
        if (valued)
            memcpy(to + n, x->values, x->n * sizeof *to);
        to += x->n;
    }
    return s;
}

agon_status start_score(trainer *t) {
    bool is_reference = false;
    char place[ROW_PLACE_SIZE];
    if (!t->start || t->start_known)
        return AGON_OK;
    agon_status s = t->dimension_rows ? preference_even(t) : AGON_OK;
    if (s == AGON_OK && !reads_values(t)) /* their log_probs are wanted anyway, and are the same */
        s = policy_is_reference(t, &is_reference);
    t->start_valued = reads_values(t) && !scalar_head_is_zero(t->head);
    for (size_t i = 0; i < t->n_data && s == AGON_OK; i++) {
        if (!t->start[i] || !lacks(&t->data[i], t->start_valued))
            continue;
        s = ctx_check_interrupt(t->ctx);
        if (s == AGON_OK)
            s = score_one(t, i, is_reference);
        if (s != AGON_OK && s != AGON_EINTERRUPTED)
            s = ctx_prefix(t->ctx, s, "before step 1, %s", row_place(t->data, i, place));
    }
    t->start_known = s == AGON_OK;
    return s;
}

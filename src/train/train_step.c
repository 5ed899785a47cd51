/* One step of a training: its rows as channels, the loss, and gradients added up; what was said of a row named by its file and line. How rows couple
 * is told in train.c. */
#include "train/train_private.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- step-0 invariants ----------------------------------------------------------------------------- */

agon_status policy_is_reference(trainer *t, bool *out) {
    *out = false;
    if (!(t->needs & NEEDS_REFERENCE) || t->next_step > 0)
        return AGON_OK;
    if (t->train && (!t->reference || t->reference == t->m)) {
        if (t->reference_adapter) {
            hash256 a = adapter_hash(t->train), b = adapter_hash(t->reference_adapter);
            *out = memcmp(&a, &b, sizeof a) == 0;
            return AGON_OK;
        }
        for (size_t i = 0; i < t->params.n; i++) {
            const parameter *p = &t->params.items[i];
            for (size_t j = 0; (strstr(p->name, "lora_B") || strstr(p->name, "lora_U")) && j < p->n_rows * p->n_columns; j++)
                if (p->value[j] != 0)
                    return AGON_OK;
        }
        *out = true;
        return AGON_OK;
    }
    *out = !t->train && t->options->reference_is_start && !t->options->selection.co_teach; /* the second learner starts elsewhere */
    return AGON_OK;
}

/* Both log_probs of a row's tokens are the same bits. */
static agon_status check_same(trainer *t, const row *r, const step_row *index, bool old) {
    char place[ROW_PLACE_SIZE];
    for (size_t k = 0; k < r->n_responses; k++) {
        const response *x = &r->responses[k];
        const double *other = old ? x->old : x->reference;
        for (size_t j = 0; other && j < x->n; j++)
            if (x->log_prob[j] != other[j])
                return ctx_fail(t->ctx, AGON_EMISMATCH, "step 0, %s, response %zu, token %zu: the policy is %s, but their "
                                "log_probs are %.9g and %.9g", row_place(t->data, index->index, place), k + 1, j + 1, old ? "what sampled the row" : "the reference", x->log_prob[j],
                                other[j]);
    }
    return AGON_OK;
}

static agon_status check_start(trainer *t, const step *s) {
    bool equal = false;
    agon_status status = policy_is_reference(t, &equal);
    for (size_t i = 0; i < s->n && status == AGON_OK && equal; i++)
        status = check_same(t, &s->rows[i], &s->index[i], false);
    for (size_t i = 0; i < s->n && status == AGON_OK && t->next_step == 0; i++)
        if (!s->index[i].mismatched /* another prompt's answer */ && (t->options->old_is_start || start_sampled(t, s->index[i].index)))
            status = check_same(t, &s->rows[i], &s->index[i], true);
    return status;
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void count_tokens(const trainer *t, step *s) {
    for (size_t i = 0; i < s->n; i++) {
        s->tokens += t->data[s->index[i].index].n_prompt + row_n_response_tokens(step_responses(t, &s->index[i]));
        for (size_t k = 0; !s->index[i].mismatched && k < s->rows[i].n_responses; k++)
            for (size_t j = 0; j < s->rows[i].responses[k].n; j++)
                s->supervised += s->rows[i].responses[k].mask[j] > 0;
    }
}

/* Each prompt fits with its own answer, and need not with another's. That one only says how the policy has moved on what it was not
 * asked, for which its beginning will do: neither rows that can be learnt from are refused, nor does a step fail that the seed made. */
static agon_status fit_mismatched(trainer *t, step_row *s) {
    const train_row *from = &t->data[s->response_index];
    const size_t room = model_get_config(t->m)->max_context - t->data[s->index].n_prompt;
    size_t longest = 0;
    for (size_t k = 0; k < from->n_responses; k++)
        longest = from->responses[k].n > longest ? from->responses[k].n : longest;
    if (longest <= room)
        return AGON_OK;
    train_row *cut = arena_take(t->step, 1, sizeof *cut);
    train_response *responses = arena_take(t->step, from->n_responses, sizeof *responses);
    if (!cut || !responses)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    memcpy(responses, from->responses, from->n_responses * sizeof *responses);
    for (size_t k = 0; k < from->n_responses; k++)
        responses[k].n = responses[k].n < room ? responses[k].n : room;
    *cut = *from;
    cut->responses = responses;
    s->cut = cut;
    return AGON_OK;
}

bool rows_share_prompt(const train_row *a, const train_row *b) {
    return a->n_prompt == b->n_prompt && (a->n_prompt == 0 || memcmp(a->prompt, b->prompt, a->n_prompt * sizeof *a->prompt) == 0);
}

/* The row whose answer the prompt of index[i] meets. Its own prompt's answers would be what it was asked. */
static size_t partner_of(const trainer *t, const size_t *index, size_t n, size_t i) {
    const train_row *own = &t->data[index[i]];
    for (size_t k = 1; k < n && !t->options->next_partner; k++)
        if (!rows_share_prompt(own, &t->data[index[(i + k) % n]]))
            return index[(i + k) % n];
    for (size_t k = 1; k < t->n_data && !t->options->next_partner; k++) {
        const size_t other = (index[i] + k) % t->n_data;
        if (t->data[other].dimension == own->dimension && !rows_share_prompt(own, &t->data[other]))
            return other;
    }
    return index[(i + 1) % n]; /* train_check lets no others in */
}

agon_status step_of_rows(trainer *t, const size_t *index, size_t n, step *s) {
    bool mismatched = (t->needs & NEEDS_MISMATCHED) && n > 1;
    *s = (step){.n = mismatched ? 2 * n : n};
    s->index = arena_take(t->step, s->n, sizeof *s->index);
    s->rows = arena_take(t->step, s->n, sizeof *s->rows);
    s->losses = arena_take(t->step, s->n, sizeof *s->losses);
    if (!s->index || !s->rows || !s->losses)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < n; i++)
        s->index[i] = (step_row){.index = index[i], .response_index = index[i]};
    agon_status status = AGON_OK;
    for (size_t i = 0; i < s->n - n && status == AGON_OK; i++) {
        s->index[n + i] = (step_row){.index = index[i], .response_index = partner_of(t, index, n, i), .mismatched = true};
        status = fit_mismatched(t, &s->index[n + i]);
    }
    s->result.losses = s->losses;
    if (status == AGON_OK)
        status = channels_new(t, s->index, s->n, s->rows);
    if (status == AGON_OK)
        count_tokens(t, s);
    return status;
}

agon_status step_batch(trainer *t, const size_t **rows, size_t *n) {
    size_t *order = arena_take(t->step, t->n_data, sizeof *order);
    if (!order)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    *n = order_step(t->options->seed, t->n_data, t->options->batch_rows, t->options->objective->least_batch, t->next_step, order, rows);
    return AGON_OK;
}

const char *row_place(const train_row *rows, size_t i, char out[ROW_PLACE_SIZE]) {
    size_t line = rows[i].line ? rows[i].line : i + 1;
    if (rows[i].file)
        snprintf(out, ROW_PLACE_SIZE, "%.500s:%zu", rows[i].file, line);
    else
        snprintf(out, ROW_PLACE_SIZE, "training row %zu", line);
    return out;
}

const char *step_places(const trainer *t, const step *s, char text[STEP_PLACES_SIZE]) {
    enum { SHOWN = 16 };
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->n && i < SHOWN && at < STEP_PLACES_SIZE; i++) {
        const train_row *r = &t->data[s->index[i].index];
        char place[ROW_PLACE_SIZE];
        if (i == 0)
            at += (size_t)snprintf(text, STEP_PLACES_SIZE, "%s", row_place(t->data, s->index[i].index, place));
        else
            at += (size_t)snprintf(text + at, STEP_PLACES_SIZE - at, ", %zu", r->line ? r->line : s->index[i].index + 1);
    }
    if (s->n > SHOWN && at < STEP_PLACES_SIZE)
        snprintf(text + at, STEP_PLACES_SIZE - at, " and %zu more", s->n - SHOWN);
    return text;
}

/* "step 7, rows.jsonl:12: ..." for what was said of row i of the step; an objective that was given the step from row i on calls that row 0,
 * the next one row 1, ... */
static agon_status in_row(const trainer *t, const step *s, size_t i, agon_status status) {
    char place[ROW_PLACE_SIZE], said[1024];
    size_t n = 0;
    int used = 0;
    if (status == AGON_OK || status == AGON_EINTERRUPTED)
        return status;
    snprintf(said, sizeof said, "%s", agon_error(t->ctx));
    if (sscanf(said, "row %zu: %n", &n, &used) != 1 || n >= s->n - i)
        n = 0, used = 0;
    return ctx_fail(t->ctx, status, "step %zu, %s: %s", t->next_step + 1, row_place(t->data, s->index[i + n].index, place), said + used);
}

static bool has_gradient(const row *r) {
    for (size_t k = 0; k < r->n_responses; k++)
        for (size_t j = 0; j < r->responses[k].n; j++)
            if ((r->responses[k].d_log_prob && r->responses[k].d_log_prob[j] != 0) ||
                (r->responses[k].d_head && r->responses[k].d_head[j] != 0) ||
                (r->responses[k].d_values && r->responses[k].d_values[j] != 0) || (r->responses[k].d_entropy && r->responses[k].d_entropy[j] != 0) ||
                (r->responses[k].d_mean_log_prob && r->responses[k].d_mean_log_prob[j] != 0))
                return true;
    return false;
}

static agon_status score_row(trainer *t, step *s, size_t i, bool keep) {
    agon_status status = ctx_check_interrupt(t->ctx);
    /* The reference first: a training forward must be followed by its backward. */
    if (status == AGON_OK && (t->needs & NEEDS_REFERENCE))
        status = score_reference(t, &s->index[i], &s->rows[i]);
    if (status == AGON_OK)
        status = keep ? forward_row(t, &s->index[i], &s->rows[i]) : score_policy(t, &s->index[i], &s->rows[i]);
    return status;
}

/* Coupling below STEP: a row's gradient needs that row only. */
static agon_status row_by_row(trainer *t, step *s, double scale) {
    const objective *o = t->options->objective;
    const double *options = t->step_options;
    double total = o->normaliser(options, s->rows, s->n), loss;
    char text[STEP_PLACES_SIZE];
    if (!(total > 0) || !isfinite(total))
        return ctx_fail(t->ctx, AGON_EINVAL, "step %zu: the weights of its tokens and rows (%s) sum to %g; there is nothing to "
                        "average", t->next_step + 1, step_places(t, s, text), total);
    for (size_t i = 0; i < s->n; i++) {
        bool whole = row_is_one_tree(t, &s->index[i]);
        double share = o->normaliser(options, &s->rows[i], 1) / total;
        agon_status status = score_row(t, s, i, whole && share > 0);
        objective_result one = {.losses = &loss};
        if (status == AGON_OK && share > 0)
            status = o->loss(t->ctx, o, options, &s->rows[i], 1, &one);
        if (status == AGON_OK && share > 0 && has_gradient(&s->rows[i]))
            status = whole ? backward_row(t, &s->index[i], &s->rows[i], scale * share)
                           : recompute_backward(t, &s->index[i], &s->rows[i], scale * share);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return AGON_OK;
}

/* The whole step at once, from the log_probs that are known by now. */
static agon_status step_loss(trainer *t, step *s) {
    agon_status status = t->options->objective->loss(t->ctx, t->options->objective, t->step_options, s->rows, s->n, &s->result);
    char text[STEP_PLACES_SIZE];
    if (status == AGON_OK || strncmp(agon_error(t->ctx), "row ", 4) == 0)
        return in_row(t, s, 0, status);
    return ctx_prefix(t->ctx, status, "step %zu, of %s", t->next_step + 1, step_places(t, s, text));
}

agon_status step_score(trainer *t, step *s) {
    for (size_t i = 0; i < s->n; i++) {
        agon_status status = score_row(t, s, i, false);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return step_loss(t, s);
}

/* COUPLED_STEP: score all, coefficients, recompute. */
static agon_status two_passes(trainer *t, step *s, double scale) {
    agon_status status = step_score(t, s);
    if (status != AGON_OK)
        return status;
    for (size_t i = 0; i < s->n; i++) {
        status = ctx_check_interrupt(t->ctx);
        if (status == AGON_OK && has_gradient(&s->rows[i]))
            status = recompute_backward(t, &s->index[i], &s->rows[i], scale);
        if (status != AGON_OK)
            return in_row(t, s, i, status);
    }
    return AGON_OK;
}

agon_status step_gradients(trainer *t, step *s, double scale) {
    const objective *o = t->options->objective;
    agon_status status = o->coupling == COUPLED_STEP ? two_passes(t, s, scale) : row_by_row(t, s, scale);
    if (status == AGON_OK)
        status = check_start(t, s);
    return status == AGON_OK && o->coupling != COUPLED_STEP ? step_loss(t, s) : status;
}

void clear_gradients(trainer *t) {
    for (size_t i = 0; i < t->params.n; i++)
        memset(t->params.items[i].gradient, 0,
               t->params.items[i].n_rows * t->params.items[i].n_columns * sizeof(float));
}

void add_metric(step *s, const char *name, double value) {
    if (s->result.n_metrics < MAX_METRICS)
        s->result.metrics[s->result.n_metrics++] = (metric){name, value};
}

/* Held-out rows: a second trainer with the same learner, references and arithmetic, whose data they are and which takes no step. It borrows
 * workspace and arena between steps, when nothing is in them, and so no bit of the training depends on it.
 *
 * Where it is due is a function of the step number, and what it says of the learner alone; a training that goes on from a checkpoint
 * after step s scores what is due after s unless its caller has that already (from), so a stop in between loses nothing. */
#include "train/train_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t train_validate_every(const train_options *o, size_t n_rows) {
    size_t tenth = train_n_steps(o, n_rows) / 10;
    return o->validation.every ? o->validation.every : tenth ? tenth : 1;
}

/* Whether held-out rows are scored after `step` of n_steps steps. */
static bool is_due(size_t every, size_t step, size_t n_steps) {
    return step == n_steps || step % every == 0;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

/* A training begun again from a checkpoint no longer has the policy that it began with. */
static agon_status check_sampled(agon_ctx *ctx, const train_row *rows, size_t n, const train_options *o) {
    char place[ROW_PLACE_SIZE];
    for (size_t i = 0; (o->objective->needs & TAKES_OLD) && i < n; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            if (!rows[i].responses[k].old)
                return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu has no log_probs at sampling, which a held-out row of %s must bring: give them (log_probs), "
                                "or validate on other rows", row_place(rows, i, place), k + 1, o->objective->name);
    return AGON_OK;
}

agon_status validation_check(agon_ctx *ctx, const model *m, const train_options *o, size_t n_dimensions) {
    const train_validation *v = &o->validation;
    train_options plain = *o;
    if (v->n_rows == 0)
        return AGON_OK;
    if (n_dimensions)
        return ctx_fail(ctx, AGON_EINVAL, "train: an adapter for all preference vectors has no one held-out loss; validate without dimensions");
    plain.validation = (train_validation){0};
    plain.selection = (train_selection){0};
    agon_status s = train_check(ctx, m, v->rows, v->n_rows, 0, &plain);
    if (s == AGON_OK)
        s = check_sampled(ctx, v->rows, v->n_rows, o);
    return s == AGON_OK ? s : ctx_prefix(ctx, s, "held-out rows");
}

static agon_status row_hash(agon_ctx *ctx, const train_row *r, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_no_memory(ctx);
    hasher_add(h, &r->n_prompt, sizeof r->n_prompt);
    hasher_add(h, r->prompt, r->n_prompt * sizeof *r->prompt);
    for (size_t k = 0; k < r->n_responses; k++) {
        hasher_add(h, &r->responses[k].n, sizeof r->responses[k].n);
        hasher_add(h, r->responses[k].tokens, r->responses[k].n * sizeof *r->responses[k].tokens);
    }
    *out = hasher_end(h);
    return AGON_OK;
}

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(hash256));
}

agon_status train_rows_shared(agon_ctx *ctx, const train_row *a, size_t n_a, const train_row *b, size_t n_b, size_t *out) {
    hash256 *known = memory_new(n_b + 1, sizeof *known), one;
    size_t n = 0;
    agon_status s = known ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; i < n_b && s == AGON_OK; i++)
        s = row_hash(ctx, &b[i], &known[i]);
    if (s == AGON_OK)
        qsort(known, n_b, sizeof *known, by_bytes);
    for (size_t i = 0; i < n_a && s == AGON_OK; i++) {
        s = row_hash(ctx, &a[i], &one);
        n += s == AGON_OK && bsearch(&one, known, n_b, sizeof *known, by_bytes);
    }
    free(known);
    if (s == AGON_OK)
        *out = n;
    return s;
}

/* ---- memory ---------------------------------------------------------------------------------------- */

/* All rows are one step: channels, three floats a token for the trees of policy and reference, and the reference's log_probs. */
size_t validation_predict(const train_options *o, unsigned needs) {
    const train_validation *v = &o->validation;
    const size_t pairs = needs & NEEDS_MISMATCHED ? 2 : 1, trees = needs & NEEDS_REFERENCE ? 2 : 1;
    size_t n = 0;
    for (size_t i = 0; i < v->n_rows; i++) {
        size_t answers = row_n_response_tokens(&v->rows[i]);
        n = size_add(n, size_mul(answers, pairs * (CHANNELS + 1) * sizeof(double) + sizeof(float)));
        n = size_add(n, size_mul(v->rows[i].n_prompt + answers, pairs * trees * 3 * sizeof(float)));
    }
    return n;
}

/* ---- running --------------------------------------------------------------------------------------- */

agon_status validation_open(trainer *t) {
    const train_validation *o = &t->options->validation;
    if (o->n_rows == 0)
        return AGON_OK;
    t->best_step = o->best_step;
    t->best_loss = o->best_loss;
    trainer *v = t->held_out = memory_new(1, sizeof *v);
    if (!v)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    *v = (trainer){.ctx = t->ctx, .m = t->m, .train = t->train, .reference = t->reference, .reference_adapter = t->reference_adapter,
                   .data = o->rows, .n_data = o->n_rows, .options = t->options, .needs = t->needs, .head = t->head,
                   .head_only = t->head_only, .work = t->work, .step = t->step, .borrows = true};
    v->reference_cache = memory_new(v->n_data, sizeof *v->reference_cache);
    return v->reference_cache ? AGON_OK : ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
}

void validation_close(trainer *t) {
    if (t->held_out)
        trainer_close(t->held_out);
    free(t->held_out);
    t->held_out = NULL;
}

static agon_status score(trainer *v, step *s) {
    arena_reset(v->step);
    size_t *all = arena_take(v->step, v->n_data, sizeof *all);
    if (!all)
        return ctx_fail(v->ctx, AGON_ENOMEM, "train: out of memory for held-out rows");
    for (size_t i = 0; i < v->n_data; i++)
        all[i] = i;
    memcpy(v->step_options, v->options->objective_options, sizeof v->step_options);
    objective_set_progress(v->options->objective, 1, v->step_options);
    objective_set_vocabulary(v->options->objective, model_get_config(v->m)->n_vocabulary, v->step_options);
    agon_status status = step_of_rows(v, all, v->n_data, s);
    if (status == AGON_OK)
        status = step_score(v, s);
    if (status == AGON_OK && !isfinite(s->result.loss))
        status = ctx_fail(v->ctx, AGON_ENUMERIC, "step %zu: the loss is not finite", v->next_step + 1);
    return status;
}

agon_status validation_run(trainer *t, const train_sink *sink) {
    const train_validation *o = &t->options->validation;
    trainer *v = t->held_out;
    size_t n_steps = train_n_steps(t->options, t->n_data);
    step s = {0};
    if (!v || t->next_step < o->from || !is_due(train_validate_every(t->options, t->n_data), t->next_step, n_steps))
        return AGON_OK;
    v->next_step = t->next_step > 0 ? t->next_step - 1 : 0; /* what sentences name */
    agon_status status = score(v, &s);
    if (status != AGON_OK)
        return status == AGON_EINTERRUPTED ? status : ctx_prefix(t->ctx, status, "held-out rows");
    const train_validated found = {.step = t->next_step, .n_steps = n_steps, .loss = s.result.loss, .metrics = s.result.metrics,
                                   .n_metrics = s.result.n_metrics,
                                   .best = t->next_step > 0 && (t->best_step == 0 || s.result.loss < t->best_loss)};
    if (found.best)
        t->best_step = found.step, t->best_loss = found.loss;
    if (found.best && o->keep_best)
        status = trainer_give_image(t, sink->on_best, sink->arg);
    return status == AGON_OK && sink && sink->on_validation ? sink->on_validation(sink->arg, &found) : status;
}

agon_status validation_take_best(trainer *t, const train_sink *sink) {
    byte_reader state = {0};
    size_t best = t->best_step;
    if (!t->held_out || !t->options->validation.keep_best || best == t->next_step)
        return AGON_OK;
    selection_tally tally = t->tally;
    agon_status s = sink->take_best(sink->arg, &state);
    if (s == AGON_OK)
        s = trainer_take_up(t, &state);
    if (s == AGON_OK && t->next_step != best)
        s = ctx_fail(t->ctx, AGON_EMISMATCH, "the state kept is that after step %zu; the best one was after step %zu", t->next_step, best);
    t->tally = tally; /* of the whole training */
    return s;
}

/* What a training can be refused for before anything runs: its options, and its rows by what the objective needs of them. See train.h. */
#include "train/train_private.h"
#include <math.h>

static agon_status check_options(agon_ctx *ctx, const train_options *o, size_t n_rows) {
    if (!o->objective)
        return ctx_fail(ctx, AGON_EINVAL, "train: no objective is given");
    if (n_rows == 0)
        return ctx_fail(ctx, AGON_EINVAL, "train: there are no rows to train on");
    if (o->batch_rows == 0 || (o->epochs == 0 && o->max_steps == 0))
        return ctx_fail(ctx, AGON_EINVAL, "train: batch_rows and epochs (or max_steps) must be 1 or more");
    if (!(o->lr >= 0) || !isfinite(o->lr) || !(o->beta1 >= 0 && o->beta1 < 1) || !(o->beta2 >= 0 && o->beta2 < 1) ||
        !(o->eps > 0) || !(o->weight_decay >= 0) || !(o->clip_norm >= 0))
        return ctx_fail(ctx, AGON_EINVAL, "train: lr, weight_decay and clip_norm must be 0 or more, beta1 and beta2 "
                        "from 0 to below 1, eps above 0");
    if (!(o->warmup >= 0 && o->warmup <= 1) || !temperature_is_valid(o->temperature))
        return ctx_fail(ctx, AGON_EINVAL, "train: warmup is a share from 0 to 1, temperature 0 (which means 1) or %g to %g",
                        (double)LEAST_TEMPERATURE, (double)MOST_TEMPERATURE);
    if (o->batch_rows < o->objective->least_batch)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s takes what it needs from all rows of a step: batch_rows (--batch) must be %zu or more",
                        o->objective->name, o->objective->least_batch);
    /* Steps of fewer than least_batch rows are left where all rows are fewer: a threshold can still be taken of them, a mismatched pair not. */
    if (n_rows < 2 && (o->objective->needs & NEEDS_MISMATCHED))
        return ctx_fail(ctx, AGON_EINVAL, "train: %s compares each prompt with the answer to another; it needs 2 rows or more, and here is one",
                        o->objective->name);
    return AGON_OK;
}

/* What the objective weighs an answer by under these options, which may be others than the rows were read for. */
static agon_status check_numbers(agon_ctx *ctx, const train_row *rows, size_t i, const objective *o, unsigned needs) {
    const train_row *r = &rows[i];
    const bool either = needs & NEEDS_ADVANTAGE, several = r->n_responses > 1;
    char place[ROW_PLACE_SIZE];
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *x = &r->responses[k];
        if ((needs & NEEDS_REWARD) && isnan(x->reward) && !(either && !isnan(x->advantage)))
            return ctx_fail(ctx, AGON_EINVAL, "%s: reward%s%s is missing; %s needs it", row_place(rows, i, place), several ? "s" : "",
                            !either ? "" : several ? " (or advantages)" : " (or advantage)", o->name);
        if ((needs & NEEDS_LABEL) && isnan(x->label) && !(k == 1 && r->n_responses == 2)) /* a pair has one */
            return ctx_fail(ctx, AGON_EINVAL, "%s: label is missing; %s needs it", row_place(rows, i, place), o->name);
    }
    return AGON_OK;
}

static agon_status check_row(agon_ctx *ctx, const model *m, const train_row *rows, size_t i, const objective *o, unsigned needs) {
    const train_row *r = &rows[i];
    unsigned kind = r->n_responses == 1   ? ROW_SINGLE | ROW_GROUP
                    : r->n_responses == 2 ? ROW_PAIR | ROW_GROUP
                                          : ROW_GROUP;
    char place[ROW_PLACE_SIZE];
    if (r->n_responses == 0 || !(o->rows & kind))
        return ctx_fail(ctx, AGON_EINVAL, "%s has %zu responses; %s does not take such rows", row_place(rows, i, place), r->n_responses, o->name);
    if (o->most_responses && r->n_responses > o->most_responses)
        return ctx_fail(ctx, AGON_EINVAL, "%s has %zu responses; %s takes %zu at most", row_place(rows, i, place), r->n_responses, o->name, o->most_responses);
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *x = &r->responses[k];
        if (x->n == 0)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu has no tokens", row_place(rows, i, place), k + 1);
        if (r->n_prompt + x->n > model_get_config(m)->max_context)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: prompt and response have %zu tokens and the "
                            "model's context is %zu; give a smaller max_length", row_place(rows, i, place), k + 1, r->n_prompt + x->n,
                            model_get_config(m)->max_context);
        if ((needs & NEEDS_OLD) && !x->old)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: %s needs log_probs at sampling", row_place(rows, i, place),
                            k + 1, o->name);
        if ((needs & NEEDS_TARGETS) && !x->targets)
            return ctx_fail(ctx, AGON_EINVAL, "%s, response %zu: %s needs labels of its steps", row_place(rows, i, place), k + 1, o->name);
    }
    return check_numbers(ctx, rows, i, o, needs);
}

/* A mismatched pair is made of two prompts, where there are dimensions of one of them. */
static agon_status check_mismatched(agon_ctx *ctx, const train_row *rows, size_t n_rows, size_t n_dimensions, const train_options *o) {
    const char *name = o->objective->name;
    char place[ROW_PLACE_SIZE];
    for (size_t d = 0; (o->objective->needs & NEEDS_MISMATCHED) && d < (n_dimensions ? n_dimensions : 1); d++) {
        size_t n = 0, first = 0;
        bool differ = false;
        for (size_t i = 0; i < n_rows && !differ; i++) {
            if (n_dimensions && rows[i].dimension != d)
                continue;
            first = n++ ? first : i;
            differ = !rows_share_prompt(&rows[first], &rows[i]);
        }
        if (n == 1 && !differ)
            return ctx_fail(ctx, AGON_EINVAL, "%s is the only row of its dimension; %s compares each prompt with the answer to another, so it needs 2 rows or "
                            "more of each", row_place(rows, first, place), name);
        if (n > 1 && !differ && !o->next_partner)
            return ctx_fail(ctx, AGON_EINVAL, "%s and all other rows%s have the same prompt; %s compares each prompt with the answer to another, so it needs rows of "
                            "two prompts or more", row_place(rows, first, place), n_dimensions ? " of its dimension" : "", name);
    }
    return AGON_OK;
}

agon_status train_check(agon_ctx *ctx, const model *m, const train_row *rows, size_t n_rows, size_t n_dimensions, const train_options *o) {
    agon_status s = check_options(ctx, o, n_rows);
    if (!s && n_dimensions)
        s = preference_check_batch(ctx, o, n_dimensions);
    if (!s)
        s = check_mismatched(ctx, rows, n_rows, n_dimensions, o);
    if (!s)
        s = selection_check_options(ctx, o, n_dimensions);
    if (!s)
        s = validation_check(ctx, m, o, n_dimensions);
    const unsigned needs = s ? 0 : objective_needs_with(o->objective, o->objective_options);
    for (size_t i = 0; i < n_rows && !s; i++)
        s = check_row(ctx, m, rows, i, o->objective, needs);
    return s;
}

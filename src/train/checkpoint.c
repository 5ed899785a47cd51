/* What a checkpoint must agree with, as one hash: options, rows, weights, shapes, arithmetic. The image itself: train_image.c. */
#include "base/decimal.h"
#include "train/train_private.h"
#include <stdio.h>

static void add_number(hasher *h, const char *name, double value) {
    char text[96];
    decimal_print(text, sizeof text, "%s=%.17g", name, value);
    hasher_add_field(h, text);
}

static void add_floats(hasher *h, const char *name, const float *x, size_t n) {
    add_number(h, name, x ? (double)n : -1);
    if (x)
        hasher_add(h, x, n * sizeof *x);
}

static void add_options(hasher *h, const trainer *t, bool names_steps) {
    const train_options *o = t->options;
    hasher_add_field(h, o->objective->name);
    for (size_t i = 0; o->objective->options[i].name; i++)
        add_number(h, o->objective->options[i].name, o->objective_options[i]);
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"batch_rows", (double)o->batch_rows},
        {names_steps ? "steps" : NULL, (double)train_n_steps(o, t->n_data)},
        {"lr", (double)o->lr},
        {"beta1", (double)o->beta1},
        {"beta2", (double)o->beta2},
        {"eps", (double)o->eps},
        {"weight_decay", (double)o->weight_decay},
        {"clip_norm", (double)o->clip_norm},
        {"schedule", (double)o->schedule},
        {"warmup", o->warmup},
        {"temperature", (double)o->temperature},
        {"numerics", (double)t->ctx->numerics},
        {"dtype", (double)model_dtype(t->m)},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].name)
            add_number(h, numbers[i].name, numbers[i].value);
    if ((o->objective->needs & NEEDS_MISMATCHED) && !o->next_partner)
        add_number(h, "partners of other prompts", 1);
    if (o->moments)
        add_number(h, "carried steps", (double)t->first_step);
    hasher_add(h, &o->seed, sizeof o->seed); /* 64 bits do not fit a double */
}

static void add_preferences(hasher *h, const trainer *t) {
    const train_preferences *p = &t->options->preferences;
    add_number(h, "aggregate", (double)p->aggregate);
    add_number(h, "vectors", (double)p->vectors);
    for (size_t i = 0; i < adapter_n_dimensions(t->train); i++) {
        hasher_add_field(h, adapter_dimension(t->train, i));
        add_number(h, "ideal", p->ideal[i]);
    }
    for (size_t i = 0; i < t->n_data; i++)
        add_number(h, "dimension", (double)t->data[i].dimension);
}

static void add_selection(hasher *h, const trainer *t) {
    const train_selection *s = &t->options->selection;
    add_number(h, "small loss", s->tau);
    add_number(h, "small loss ramp", s->ramp);
    add_number(h, "learners", s->co_teach ? 2 : 1);
    if (s->level != SELECT_ROWS)
        add_number(h, "small loss span", s->level == SELECT_SPANS ? (double)s->span : 1);
}

static void add_row(hasher *h, const train_row *r) {
    add_number(h, "prompt", (double)r->n_prompt);
    hasher_add(h, r->prompt, r->n_prompt * sizeof *r->prompt);
    add_number(h, "weight", r->weight);
    add_number(h, "responses", (double)r->n_responses);
    for (size_t k = 0; k < r->n_responses; k++) {
        const train_response *x = &r->responses[k];
        add_number(h, "tokens", (double)x->n);
        hasher_add(h, x->tokens, x->n * sizeof *x->tokens);
        add_floats(h, "mask", x->mask, x->n);
        add_floats(h, "old", x->old, x->n);
        add_floats(h, "token_rewards", x->token_rewards, x->n);
        if (x->old_values)
            add_floats(h, "old_values", x->old_values, x->n);
        if (x->targets)
            add_floats(h, "targets", x->targets, x->n);
        add_number(h, "reward", x->reward);
        add_number(h, "advantage", x->advantage);
        add_number(h, "label", x->label);
        add_number(h, "weight", x->weight);
    }
}

agon_status train_rows_hash(agon_ctx *ctx, const train_row *rows, size_t n, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_fail(ctx, AGON_ENOMEM, "train: out of memory");
    add_number(h, "rows", (double)n);
    for (size_t i = 0; i < n; i++) {
        add_row(h, &rows[i]);
        add_number(h, "dimension", (double)rows[i].dimension);
        add_number(h, "adapter", (double)rows[i].adapter);
    }
    *out = hasher_end(h);
    return AGON_OK;
}

/* Base weights as they are before training: a resumed run starts from the same base. */
static agon_status add_models(hasher *h, trainer *t) {
    hash256 id;
    agon_status s = AGON_OK;
    if (t->train) /* full training changes the model's own id, and its parameters are in the image */
        s = model_id(t->ctx, t->m, &id);
    if (s == AGON_OK && t->train)
        hasher_add(h, id.bytes, sizeof id.bytes);
    if (s == AGON_OK && t->reference && (t->needs & NEEDS_REFERENCE)) {
        s = model_id(t->ctx, t->reference, &id);
        if (s == AGON_OK)
            hasher_add(h, id.bytes, sizeof id.bytes);
    }
    if (s == AGON_OK && t->reference_adapter && (t->needs & NEEDS_REFERENCE)) {
        id = adapter_hash(t->reference_adapter);
        hasher_add(h, id.bytes, sizeof id.bytes);
    }
    return s;
}

agon_status checkpoint_identity(trainer *t, bool names_steps, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    hasher_add_field(h, "agon training 1");
    add_options(h, t, names_steps);
    if (t->dimension_rows)
        add_preferences(h, t);
    if (t->options->selection.tau > 0)
        add_selection(h, t);
    add_number(h, "parameters", (double)t->params.n);
    for (size_t i = 0; i < t->params.n; i++) {
        hasher_add_field(h, t->params.items[i].name);
        add_number(h, "rows", (double)t->params.items[i].n_rows);
        add_number(h, "columns", (double)t->params.items[i].n_columns);
    }
    if (t->start)
        hasher_add_field(h, "log_probs of the start");
    add_number(h, "rows", (double)t->n_data);
    for (size_t i = 0; i < t->n_data; i++)
        add_row(h, &t->data[i]);
    agon_status s = add_models(h, t);
    hash256 identity = hasher_end(h);
    if (s == AGON_OK)
        *out = identity;
    return s;
}

/* Checkpoint image: opaque bytes that continue a run bit for bit.
 *
 *   "AGONTRN1" | identity 32 | next step u64 | n parameters u64 |
 *   per parameter: n values u64, values f32, first moments f32, second moments f32; the partner's behind the first learner's |
 *   where rows bring no log_probs at sampling: whether those of the start are known and have values u64, then of each such row its numbers f64
 *   (train_start.c) |
 *   where something is selected: how much was seen, kept, disagreed u64 |
 *   SHA-256 of everything before, 32
 *
 * Little-endian, as every supported CPU is. The schedule, the data order and the reference log_probs are
 * functions of options, data and step, so they need no room here. The identity refuses other options,
 * data, weights or arithmetic before a byte is taken over. */
#include "train/train_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'A', 'G', 'O', 'N', 'T', 'R', 'N', '1'};
enum { HEAD_SIZE = 8 + 32 + 8 + 8 };

static size_t values_of(const parameter *p) {
    return p->n_rows * p->n_columns;
}

static void add_number(hasher *h, const char *name, double value) {
    char text[96];
    snprintf(text, sizeof text, "%s=%.17g", name, value);
    hasher_add_field(h, text);
}

static void add_floats(hasher *h, const char *name, const float *x, size_t n) {
    add_number(h, name, x ? (double)n : -1);
    if (x)
        hasher_add(h, x, n * sizeof *x);
}

static void add_options(hasher *h, const trainer *t) {
    const train_options *o = t->options;
    hasher_add_field(h, o->objective->name);
    for (size_t i = 0; o->objective->options[i].name; i++)
        add_number(h, o->objective->options[i].name, o->objective_options[i]);
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"batch_rows", (double)o->batch_rows},
        {"steps", (double)train_n_steps(o, t->n_data)},
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
        add_number(h, numbers[i].name, numbers[i].value);
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

agon_status checkpoint_identity(trainer *t, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    hasher_add_field(h, "agon training 1");
    add_options(h, t);
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

/* A parameter of either learner with its moments: the first learner's, then the partner's. */
typedef struct stored {
    parameter *parameter;
    float *moment1, *moment2;
} stored;

static size_t n_stored(const trainer *t) {
    return t->params.n + t->other.params.n;
}

static stored stored_at(const trainer *t, size_t i) {
    size_t own = t->params.n;
    return i < own ? (stored){&t->params.items[i], t->moment1[i], t->moment2[i]}
                   : (stored){&t->other.params.items[i - own], t->other.moment1[i - own], t->other.moment2[i - own]};
}

static size_t tally_size(const trainer *t) {
    return t->options->selection.tau > 0 ? 3 * sizeof(uint64_t) : 0;
}

static size_t start_size(const trainer *t) {
    size_t n = t->start ? sizeof(uint64_t) : 0;
    for (size_t i = 0; t->start && i < t->n_data; i++)
        n = size_add(n, size_mul(start_row_size(t, i), sizeof(double)));
    return n;
}

static size_t image_size(const trainer *t) {
    size_t n = size_add(HEAD_SIZE + tally_size(t) + sizeof(hash256), start_size(t));
    for (size_t i = 0; i < n_stored(t); i++)
        n = size_add(n, size_add(8, size_mul(values_of(stored_at(t, i).parameter), 3 * sizeof(float))));
    return n;
}

static char *put(char *at, const void *data, size_t n) {
    if (n)
        memcpy(at, data, n);
    return at + n;
}

static char *put_u64(char *at, uint64_t x) {
    return put(at, &x, sizeof x);
}

agon_status checkpoint_write(const trainer *t, char **data, size_t *n) {
    size_t size = image_size(t);
    char *image = size == SIZE_MAX ? NULL : malloc(size);
    if (!image)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for a checkpoint of %zu bytes", size);
    char *at = put(image, MAGIC, sizeof MAGIC);
    at = put(at, t->identity.bytes, sizeof t->identity.bytes);
    at = put_u64(at, t->next_step);
    at = put_u64(at, n_stored(t));
    for (size_t i = 0; i < n_stored(t); i++) {
        stored x = stored_at(t, i);
        size_t values = values_of(x.parameter);
        at = put_u64(at, values);
        parameter_get(t->ctx, x.parameter, 0, x.parameter->n_rows, (float *)(void *)at);
        at += values * sizeof(float);
        at = put(at, x.moment1, values * sizeof(float));
        at = put(at, x.moment2, values * sizeof(float));
    }
    if (t->start)
        at = put_u64(at, (t->start_known ? 1 : 0) | (t->start_valued ? 2 : 0));
    for (size_t i = 0; t->start && i < t->n_data; i++)
        at = put(at, t->start[i], start_row_size(t, i) * sizeof(double));
    if (tally_size(t)) {
        at = put_u64(at, t->tally.seen);
        at = put_u64(at, t->tally.kept);
        at = put_u64(at, t->tally.disagreed);
    }
    hash256 check = hash_bytes(image, (size_t)(at - image));
    put(at, check.bytes, sizeof check.bytes);
    *data = image;
    *n = size;
    return AGON_OK;
}

static uint64_t get_u64(const char *at) {
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

/* Magic, checksum, identity: everything that can be refused before the state is touched. */
static agon_status check_image(trainer *t, const char *image, size_t n) {
    if (n < HEAD_SIZE + sizeof(hash256) || memcmp(image, MAGIC, sizeof MAGIC) != 0)
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is not one of this version");
    hash256 check = hash_bytes(image, n - sizeof check);
    if (memcmp(check.bytes, image + n - sizeof check, sizeof check) != 0)
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is damaged: its checksum disagrees");
    if (memcmp(t->identity.bytes, image + 8, sizeof t->identity) != 0)
        return ctx_fail(t->ctx, AGON_EMISMATCH, "the training checkpoint belongs to other options, data or weights; "
                        "start anew, or give back what it was made with");
    if (n != image_size(t) || get_u64(image + 48) != n_stored(t))
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint has %zu bytes; these parameters need %zu", n,
                        image_size(t));
    if (get_u64(image + 40) > train_n_steps(t->options, t->n_data))
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is damaged: it stands behind the last step");
    const char *at = image + HEAD_SIZE;
    for (size_t i = 0; i < n_stored(t); i++) {
        size_t values = values_of(stored_at(t, i).parameter);
        if (get_u64(at) != values)
            return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint's %s has another size",
                            stored_at(t, i).parameter->name);
        at += 8 + values * 3 * sizeof(float);
    }
    return AGON_OK;
}

agon_status checkpoint_read(trainer *t, const void *data, size_t n) {
    agon_status s = check_image(t, data, n);
    if (s != AGON_OK)
        return s;
    const char *at = (const char *)data + 40;
    t->next_step = get_u64(at);
    at += 16;
    for (size_t i = 0; i < n_stored(t); i++) {
        stored x = stored_at(t, i);
        size_t bytes = values_of(x.parameter) * sizeof(float);
        parameter_set(t->ctx, x.parameter, 0, x.parameter->n_rows, (const float *)(const void *)(at + 8));
        memcpy(x.moment1, at + 8 + bytes, bytes);
        memcpy(x.moment2, at + 8 + 2 * bytes, bytes);
        at += 8 + 3 * bytes;
    }
    if (t->start) {
        t->start_known = get_u64(at) & 1, t->start_valued = get_u64(at) & 2;
        at += 8;
    }
    for (size_t i = 0; t->start && i < t->n_data; i++) {
        size_t bytes = start_row_size(t, i) * sizeof(double);
        if (bytes)
            memcpy(t->start[i], at, bytes);
        at += bytes;
    }
    if (tally_size(t))
        t->tally = (selection_tally){get_u64(at), get_u64(at + 8), get_u64(at + 16)};
    return AGON_OK;
}

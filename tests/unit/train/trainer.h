/* What the tests of training share: options of an objective, a small policy, and what a run leaves. */
#ifndef TESTS_TRAIN_TRAINER_H
#define TESTS_TRAIN_TRAINER_H

#include "../../stream_bytes.h"
#include "../../tiny_model.h"
#include "train/train.h"

/* The defaults of the trainer and of the objective; each test sets its own seed, batch and rate. */
static inline train_options trainer_options(const char *objective) {
    train_options o = train_options_default();
    o.objective = objective_find(objective);
    objective_defaults(o.objective, o.objective_options);
    return o;
}

/* A model of two layers and a new adapter on it, in a context of their own. */
typedef struct policy {
    agon_ctx *ctx;
    model *m;
    adapter *a;
} policy;

static inline policy policy_new(int n_threads, const adapter_options *o) {
    policy p = {.ctx = test_ctx(n_threads, NULL)};
    model_config c = tiny_config();
    p.m = tiny_model(p.ctx, &c, COMPUTE_F32);
    assert_ok(p.ctx, adapter_new(p.ctx, p.m, o, &p.a));
    return p;
}

static inline void policy_free(policy *p) {
    adapter_free(p->a);
    model_free(p->m);
    agon_ctx_free(p->ctx);
}

/* What a run leaves: its last stored state, and its losses. Set stop_at to end the run when that step is stored. */
typedef struct record {
    char *state;
    size_t n, step, stop_at, n_metrics;
    double first_loss, loss;
} record;

static inline void record_state(record *r, size_t step, const void *data, size_t n) {
    free(r->state);
    r->state = malloc(n);
    memcpy(r->state, data, n);
    r->n = n;
    r->step = step;
}

static inline void record_stream(record *r, size_t step, const byte_stream *state) {
    free(r->state);
    r->state = stream_bytes(state);
    assert_non_null(r->state);
    r->n = state->size;
    r->step = step;
}

/* What was left, to be gone on from. */
static inline byte_reader record_reader(const record *r) {
    return r ? byte_reader_of(r->state, r->n) : (byte_reader){0};
}

static inline agon_status record_step(void *arg, const train_progress *p) {
    record *r = arg;
    if (p->step == 1)
        r->first_loss = p->loss;
    r->loss = p->loss;
    r->n_metrics = p->n_metrics;
    assert_true(p->tokens > 0 && p->supervised > 0);
    return AGON_OK;
}

static inline agon_status record_checkpoint(void *arg, size_t step, const byte_stream *state) {
    record *r = arg;
    record_stream(r, step, state);
    return step == r->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

/* Trains from the start, or from where `from` stopped; a record with stop_at stops there. r starts zeroed but for it. */
static inline void train_recorded(agon_ctx *ctx, model *m, adapter *a, const model *reference, const train_row *rows, size_t n,
                                  train_options *o, const record *from, record *r) {
    const train_sink sink = {.on_step = record_step, .on_checkpoint = record_checkpoint, .arg = r};
    const byte_reader left = record_reader(from);
    o->checkpoint_every = r->stop_at;
    agon_status s = train(ctx, m, a, reference, NULL, rows, n, o, &sink, from ? &left : NULL);
    if (s != (r->stop_at ? AGON_EINTERRUPTED : AGON_OK))
        fail_msg("%s: %s", o->objective->name, agon_error(ctx));
    assert_int_equal(r->step, r->stop_at ? r->stop_at : o->max_steps);
}

static inline void assert_same_state(const char *name, const record *a, const record *b) {
    if (a->n != b->n || memcmp(a->state, b->state, a->n) != 0)
        fail_msg("%s: two runs that must leave the same do not", name);
}

/* A run that was cut and resumed leaves what a whole one does, and what it left when it was cut was not yet that. Frees the three. */
static inline void assert_resumed(const char *name, record *whole, record *half, record *rest) {
    assert_same_state(name, whole, rest);
    if (whole->n == half->n && memcmp(whole->state, half->state, whole->n) == 0)
        fail_msg("%s: the second half changes nothing", name);
    free(whole->state), free(half->state), free(rest->state);
}

#endif

/* Weak-to-strong on generation: complete the statement. The weak model's own answers on half B are the targets of supervised
 * fine-tuning, and what is measured is the share of test answers the verifier accepts.
 *
 * Conditions: the answers as they are; the half the weak model was surest of; its wrong answers dealt out among the items it got wrong
 * (the same number of errors, without their reasons); the smallest model taught by itself; bootstrapping through the sizes. */
#include "experiment/weak_to_strong.h"
#include "base/ctx.h"
#include "train/selection.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum answer_source { TRUE_A, TRUE_B, WEAK_ANSWERS, SURE, SCRAMBLED, CLIMB } answer_source;

typedef struct condition {
    const char *name;
    answer_source source;
    bool largest;
    double share;
} condition;

static const condition conditions[] = {
    {"weak", TRUE_A, false, 0},           {"ceiling", TRUE_B, true, 0},         {"naive", WEAK_ANSWERS, true, 0},
    {"naive-smallest", WEAK_ANSWERS, false, 0}, {"confident-25", SURE, true, 0.25}, {"confident-50", SURE, true, 0.5},
    {"confident-75", SURE, true, 0.75},   {"scrambled-errors", SCRAMBLED, true, 0}, {"bootstrap", CLIMB, true, 0},
};
enum { N_CONDITIONS = sizeof conditions / sizeof *conditions, N_FIRST = 2, WEAK = 0, CEILING = 1 };

/* A result: right or wrong of the test items [n_test], then the answers to half B: mean log_prob and tokens, [n_train, 1 + SEQUENCE_MAX]. */
static void unpack(const w2s *w, const w2s_items *s, const double *x, sequence_item *out, double *log_prob) {
    for (size_t i = 0; i < w->n_train; i++) {
        const double *from = x + w->n_test + i * (1 + SEQUENCE_MAX);
        out[i] = s->b[i];
        log_prob[i] = from[0];
        for (out[i].n = 0; out[i].n < SEQUENCE_MAX && from[1 + out[i].n] >= 0; out[i].n++)
            out[i].tokens[out[i].n] = (int32_t)from[1 + out[i].n];
    }
}

static void pack(const w2s *w, const sequence_item *test, size_t family, const sequence_item *b, const double *log_prob,
                 double *x) {
    for (size_t i = 0; i < w->n_test; i++)
        x[i] = sequence_verify(family, test[i].tokens, test[i].n);
    for (size_t i = 0; i < w->n_train; i++) {
        double *to = x + w->n_test + i * (1 + SEQUENCE_MAX);
        to[0] = log_prob[i];
        for (size_t j = 0; j < SEQUENCE_MAX; j++)
            to[1 + j] = j < b[i].n ? b[i].tokens[j] : -1;
    }
}

/* The answers of wrong items move one place on among the wrong ones, in a shuffled order. */
static void scramble(size_t family, uint64_t seed, sequence_item *items, size_t *wrong, size_t n) {
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (!sequence_verify(family, items[i].tokens, items[i].n))
            wrong[m++] = i;
    if (m < 2)
        return;
    rng r = rng_new(seed);
    rng_shuffle(&r, wrong, m);
    sequence_item first = items[wrong[0]];
    for (size_t k = 0; k < m; k++) {
        const sequence_item next = k + 1 < m ? items[wrong[k + 1]] : first;
        sequence_item *to = &items[wrong[k]];
        to->n = to->n_source;
        for (size_t j = next.n_source; j < next.n && to->n < SEQUENCE_MAX; j++)
            to->tokens[to->n++] = next.tokens[j];
    }
}

/* What one training works with. */
typedef struct bench {
    sequence_item *targets, *test, *b; /* [n_train], [n_test], [n_train] */
    double *log_prob, *weights;        /* [n_train] */
    size_t *picked;
} bench;

static agon_status bench_new(const w2s *w, agon_ctx *ctx, bench *out) {
    *out = (bench){.targets = malloc(w->n_train * sizeof *out->targets), .test = malloc(w->n_test * sizeof *out->test),
                   .b = malloc(w->n_train * sizeof *out->b), .log_prob = malloc(w->n_train * sizeof *out->log_prob),
                   .weights = malloc(w->n_train * sizeof *out->weights), .picked = malloc(w->n_train * sizeof *out->picked)};
    return out->targets && out->test && out->b && out->log_prob && out->weights && out->picked
               ? AGON_OK
               : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
}

static void bench_free(bench *x) {
    free(x->targets), free(x->test), free(x->b), free(x->log_prob), free(x->weights), free(x->picked);
}

static agon_status make_targets(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, const condition *k, bench *x) {
    const w2s *w = g->w;
    const w2s_items *s = w2s_grid_items(g, seed, family);
    for (size_t i = 0; i < w->n_train; i++)
        x->weights[i] = 1;
    if (k->source == TRUE_A || k->source == TRUE_B) {
        memcpy(x->targets, k->source == TRUE_A ? s->a : s->b, w->n_train * sizeof *x->targets);
        return AGON_OK;
    }
    unpack(w, s, w2s_grid_result(g, seed, family, WEAK), x->targets, x->log_prob);
    if (k->source == SCRAMBLED)
        scramble(s->family, lab_seed(w->l, seed, "scramble %zu", s->family), x->targets, x->picked, w->n_train);
    if (k->source != SURE)
        return AGON_OK;
    size_t keep = (size_t)ceil(k->share * (double)w->n_train);
    for (size_t i = 0; i < w->n_train; i++) {
        x->log_prob[i] = -x->log_prob[i];
        x->weights[i] = 0;
    }
    agon_status status = select_smallest(ctx, x->log_prob, w->n_train, keep, x->picked);
    for (size_t i = 0; i < keep && !status; i++)
        x->weights[x->picked[i]] = 1;
    return status;
}

static agon_status learn(const w2s *w, agon_ctx *ctx, size_t seed, const w2s_items *s, size_t size, bench *x) {
    lab_model *m = NULL;
    lab_rows rows;
    const lab_training t = {.objective = "sft", .steps = w->steps, .batch = w->batch, .lr = w->lr,
                            .seed = lab_seed(w->l, seed, "answers %zu", s->family)};
    agon_status status = lab_model_copy(ctx, w2s_model(w, seed, size), &m);
    if (!status)
        status = lab_answers(ctx, x->targets, w->n_train, x->weights, &rows);
    if (status) {
        lab_model_free(m);
        return status;
    }
    status = lab_train(w->l, ctx, m, &rows, &t);
    if (!status)
        status = lab_complete(ctx, m, s->test, w->n_test, 0, 0, x->test, NULL);
    if (!status)
        status = lab_complete(ctx, m, s->b, w->n_train, 0, 0, x->b, x->log_prob);
    lab_rows_free(&rows);
    lab_model_free(m);
    return status;
}

static agon_status train_condition(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, size_t number, double *out) {
    const w2s *w = g->w;
    const condition *k = &conditions[number];
    const w2s_items *s = w2s_grid_items(g, seed, family);
    bench x;
    agon_status status = bench_new(w, ctx, &x);
    if (!status)
        status = make_targets(g, ctx, seed, family, k, &x);
    size_t first = k->source == CLIMB && w->l->n_sizes > 1 ? 1 : k->largest ? w->l->n_sizes - 1 : 0;
    size_t last = k->largest ? w->l->n_sizes - 1 : 0;
    for (size_t size = first; size <= last && !status; size++) {
        status = learn(w, ctx, seed, s, size, &x);
        memcpy(x.targets, x.b, w->n_train * sizeof *x.targets);
    }
    if (!status)
        pack(w, x.test, s->family, x.b, x.log_prob, out);
    bench_free(&x);
    return status;
}

static const char *name_of(size_t condition) {
    return conditions[condition].name;
}

static bool right(const w2s_grid *g, size_t seed, size_t family, const double *x, size_t j) {
    (void)g, (void)seed, (void)family;
    return x[j] > 0;
}

const char *w2s_answers_optional(size_t k) {
    return N_FIRST + k < N_CONDITIONS ? conditions[N_FIRST + k].name : NULL;
}

agon_status w2s_answers(w2s *w, const w2s_items *items, size_t n_families, w2s_scores *out) {
    w2s_grid g = {.w = w, .items = items, .kind = "answers", .about = "complete", .n_families = n_families, .n_conditions = N_CONDITIONS,
                  .n_first = N_FIRST, .n_values = w->n_test + w->n_train * (1 + SEQUENCE_MAX), .weak = WEAK, .ceiling = CEILING,
                  .name = name_of, .train = train_condition, .right = right};
    agon_status s = w2s_grid_run(&g, out);
    w2s_grid_free(&g);
    return s;
}

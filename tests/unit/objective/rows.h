/* Rows and vectors for the tests of objectives. */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H

#include "base/random.h"
#include "objective/objective.h"
#include "training_vectors.h"

enum { MAX_TEST_TOKENS = 16, MAX_TEST_RESPONSES = 8, MAX_TEST_ROWS = 16 };

/* Storage of one response's channels. */
typedef struct channels {
    double log_prob[MAX_TEST_TOKENS], reference[MAX_TEST_TOKENS], old[MAX_TEST_TOKENS],
        values[MAX_TEST_TOKENS], old_values[MAX_TEST_TOKENS], mask[MAX_TEST_TOKENS],
        d_log_prob[MAX_TEST_TOKENS], d_values[MAX_TEST_TOKENS];
    double entropy[MAX_TEST_TOKENS], mean_log_prob[MAX_TEST_TOKENS], targets[MAX_TEST_TOKENS],
        head[2 * MAX_TEST_TOKENS], d_entropy[MAX_TEST_TOKENS], d_mean_log_prob[MAX_TEST_TOKENS],
        d_head[2 * MAX_TEST_TOKENS];
} channels;

typedef struct test_rows {
    row rows[MAX_TEST_ROWS];
    response responses[MAX_TEST_ROWS][MAX_TEST_RESPONSES];
    channels channels[MAX_TEST_ROWS][MAX_TEST_RESPONSES];
    double losses[MAX_TEST_ROWS];
    size_t n;
} test_rows;

static inline response *test_response(test_rows *t, size_t i, size_t k, size_t n) {
    channels *c = &t->channels[i][k];
    t->responses[i][k] = (response){.n = n,
                                    .log_prob = c->log_prob,
                                    .reward = NAN,
                                    .advantage = NAN,
                                    .label = NAN,
                                    .weight = 1,
                                    .d_log_prob = c->d_log_prob};
    t->rows[i].responses = t->responses[i];
    t->rows[i].weight = 1;
    if (t->rows[i].n_responses < k + 1)
        t->rows[i].n_responses = k + 1;
    if (t->n < i + 1)
        t->n = i + 1;
    return &t->responses[i][k];
}

/* The defaults, and a vocabulary where the model's would be taken. */
static inline void test_options(const objective *o, double options[MAX_OBJECTIVE_OPTIONS]) {
    objective_defaults(o, options);
    objective_set_vocabulary(o, 49152, options);
}

/* A response of n tokens whose log_probs sum to s, and the reference's to ref. */
static inline response *test_sums(test_rows *t, size_t i, size_t k, size_t n, double s, double ref) {
    response *r = test_response(t, i, k, n);
    channels *c = &t->channels[i][k];
    for (size_t j = 0; j < n; j++) {
        c->log_prob[j] = s / (double)n;
        c->reference[j] = ref / (double)n;
    }
    r->reference = c->reference;
    return r;
}

/* A response of one token with a head of one output. */
static inline response *test_head(test_rows *t, size_t i, size_t k, double output) {
    response *r = test_response(t, i, k, 1);
    r->head = t->channels[i][k].head;
    r->d_head = t->channels[i][k].d_head;
    r->n_head = 1;
    t->channels[i][k].head[0] = output;
    return r;
}

static inline double metric_of(const objective_result *r, const char *name) {
    for (size_t i = 0; i < r->n_metrics; i++)
        if (strcmp(r->metrics[i].name, name) == 0)
            return r->metrics[i].value;
    fail_msg("no metric %s", name);
    return NAN;
}

/* Runs `name` with the settings ("beta=0.1", ..., NULL) on t. */
static inline objective_result run_objective(agon_ctx *ctx, const char *name, const char *const *settings,
                                             test_rows *t) {
    const objective *o = objective_find(name);
    assert_non_null(o);
    double options[MAX_OBJECTIVE_OPTIONS];
    test_options(o, options);
    for (size_t i = 0; settings && settings[i]; i++)
        assert_ok(ctx, objective_set(ctx, o, settings[i], options));
    objective_result r = {.losses = t->losses};
    assert_ok(ctx, o->loss(ctx, o, options, t->rows, t->n, &r));
    return r;
}
#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif

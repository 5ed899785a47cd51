/* Rows and vectors for the tests of objectives. */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H

#include "base/json.h"
#include "base/random.h"
#include "objective/objective.h"
#include "test.h"

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

/* The case's {"inputs", "expected"}; the whole document is *root (json_decref). */
static inline json_t *test_vector(const char *id, json_t **root) {
    char path[512];
    const char *source = getenv("AGON_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/training_vectors.json", source ? source : ".");
    json_error_t error;
    *root = json_load_file(path, 0, &error);
    if (!*root)
        fail_msg("%s: %s", path, error.text);
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(*root, "cases"), i, value) {
        if (strcmp(json_string_value(json_object_get(value, "id")), id) == 0)
            return value;
    }
    fail_msg("%s has no case %s", path, id);
    return NULL;
}
static inline json_t *at(json_t *list, size_t i) {
    json_t *v = json_array_get(list, i);
    if (!v)
        fail_msg("vector has no element %zu", i);
    return v;
}
static inline json_t *get(json_t *vector, const char *part, const char *key) {
    json_t *v = json_object_get(json_object_get(vector, part), key);
    if (!v)
        fail_msg("vector has no %s.%s", part, key);
    return v;
}
static inline double number(json_t *vector, const char *part, const char *key) {
    return json_number_value(get(vector, part, key));
}
static inline double element(json_t *vector, const char *part, const char *key, size_t i) {
    return json_number_value(at(get(vector, part, key), i));
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
    objective_defaults(o, options);
    for (size_t i = 0; settings && settings[i]; i++)
        assert_ok(ctx, objective_set(ctx, o, settings[i], options));
    objective_result r = {.losses = t->losses};
    assert_ok(ctx, o->loss(ctx, options, t->rows, t->n, &r));
    return r;
}
#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif

/* The worked examples of the training specification, for tests: tests/golden/training_vectors.json. */
#ifndef TESTS_TRAINING_VECTORS_H
#define TESTS_TRAINING_VECTORS_H

#include "base/json.h"
#include "test.h"

/* The case's {"inputs", "expected"}; the whole document is *root (json_decref). */
static inline json_t *test_vector(const char *id, json_t **root) {
    char path[2048];
    golden_path(path, "training_vectors.json");
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
/* Element [i][j] of a matrix. */
static inline double cell(json_t *vector, const char *part, const char *key, size_t i, size_t j) {
    return json_number_value(at(at(get(vector, part, key), i), j));
}
/* Numbers of a list (matrices row by row) into out; null becomes NAN, true 1. Returns how many. */
static inline size_t numbers(json_t *list, double *out, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *x = json_array_get(list, i);
        if (json_is_array(x)) {
            n += numbers(x, out + n, room - n);
            continue;
        }
        if (n == room)
            fail_msg("vector has more than %zu numbers", room);
        out[n++] = json_is_null(x) ? NAN : json_is_true(x) ? 1 : json_number_value(x);
    }
    return n;
}
/* Every number of expected.key is within tol*(1+|expected|) of got. */
static inline void expect_numbers(json_t *vector, const char *key, const double *got, double tol) {
    double want[256];
    size_t n = numbers(get(vector, "expected", key), want, 256);
    for (size_t i = 0; i < n; i++)
        if (!(isnan(want[i]) ? isnan(got[i]) : fabs(got[i] - want[i]) <= tol * (1 + fabs(want[i]))))
            fail_msg("%s[%zu] is %.17g, want %.17g", key, i, got[i], want[i]);
}

#endif

/* The specification's worked examples, for tests: tests/golden/loop_vectors.json and its
 * neighbours. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include "test.h"
#include <jansson.h>

/* A golden file, new (json_decref). AGON_SOURCE is the source root, "." without it. */
static inline json_t *vectors_load(const char *file) {
    char path[2048];
    golden_path(path, file);
    json_error_t error;
    json_t *all = json_load_file(path, 0, &error);
    if (!all)
        fail_msg("%s: %s", path, error.text);
    return all;
}

static inline double vectors_number(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v))
        fail_msg("vector has no number '%s'", key);
    return json_number_value(v);
}

static inline size_t vectors_count(const json_t *object, const char *key) {
    return (size_t)vectors_number(object, key);
}

/* Numbers of a list, new (free()); null becomes NaN, true 1, false 0. */
static inline double *vectors_list(const json_t *array, size_t *n) {
    if (!json_is_array(array))
        fail_msg("vector has no list");
    *n = json_array_size(array);
    double *out = calloc(*n + 1, sizeof *out);
    for (size_t i = 0; i < *n; i++) {
        const json_t *v = json_array_get(array, i);
        out[i] = json_is_null(v) ? NAN : json_is_true(v) ? 1 : json_number_value(v);
    }
    return out;
}

static inline bool *vectors_flags(const json_t *array, size_t *n) {
    double *values = vectors_list(array, n);
    bool *out = calloc(*n + 1, sizeof *out);
    for (size_t i = 0; i < *n; i++)
        out[i] = values[i] != 0;
    free(values);
    return out;
}

/* Runs `check` on every case of loop vector `name`, with its tolerance. */
typedef void (*vectors_check)(const json_t *c, double tol);
static inline void vectors_each(const char *name, vectors_check check) {
    json_t *all = vectors_load("loop_vectors.json");
    const json_t *v = json_object_get(json_object_get(all, "vectors"), name), *c;
    size_t i, n = json_array_size(json_object_get(v, "cases"));
    if (n == 0)
        fail_msg("no vector '%s'", name);
    json_array_foreach(json_object_get(v, "cases"), i, c) check(c, vectors_number(v, "tol"));
    json_decref(all);
}

#endif

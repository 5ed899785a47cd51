/* Whole runs of a recipe with a tiny model, on a stand's workspace. */
#ifndef TESTS_RECIPE_RECIPE_RUNS_H
#define TESTS_RECIPE_RECIPE_RUNS_H

#include "actors.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"

/* Runs a recipe in the stand's folder (whose own run is closed meanwhile); *summary new. */
static inline agon_status run_watched(stand *x, const char *yaml, recipe_observer observer, void *arg, json_t **summary) {
    run_config *config = NULL;
    char path[2048];
    store *s = NULL;
    assert_ok(x->ctx, run_file_parse(x->ctx, "test.yaml", yaml, strlen(yaml), &config));
    golden_path(path, "tiny-text.gguf");
    config->model = strdup(path);
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &s));
    agon_status status = recipe_run(x->ctx, s, config, observer, arg, summary);
    store_close(s);
    run_config_free(config);
    stand_open(x);
    return status;
}

static inline agon_status run_recipe(stand *x, const char *yaml, json_t **summary) {
    return run_watched(x, yaml, NULL, NULL, summary);
}

static inline const char *text_of(const json_t *summary, const char *key) {
    return field_text(summary, key);
}

/* The same, which must end well; the summary, new. */
static inline json_t *run_well(stand *x, const char *yaml) {
    json_t *summary = NULL;
    assert_ok(x->ctx, run_recipe(x, yaml, &summary));
    return summary;
}

/* own.jsonl there: n_open queries that nobody can verify, "Describe the number i" and `rest`, and n_known with an answer. */
static inline const char *own_file(stand *x, size_t n_open, size_t n_known, const char *rest) {
    const char *path = arena_printf(x->memory, "%s/own.jsonl", x->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < n_open; i++)
        fprintf(f, "{\"query\": \"Describe the number %zu%s\"}\n", i, rest);
    for (size_t i = 0; i < n_known; i++)
        fprintf(f, "{\"query\": \"How much is %zu and 1?\", \"answer\": %zu}\n", i, i + 1);
    assert_int_equal(fclose(f), 0);
    return path;
}

#endif

/* A workspace, a run and actors with scripted backends, for the tests of the primitives: everything a step asks for except a model. */
#ifndef TESTS_ACTORS_H
#define TESTS_ACTORS_H

#include "base/ctx.h"
#include "base/file.h"
#include "base/random.h"
#include "role/prompt.h"
#include "step/items.h"
#include "step/work.h"
#include "test.h"
#include <unistd.h>

typedef struct stand {
    agon_ctx *ctx;
    char *folder;
    store *store;
    run *run;
    arena *memory;
    actors actors;
    backend *attacker, *learner, *critic; /* owned */
    query_list queries;
    answer_list answers;
} stand;

/* Opens the run again on what is recorded, as a command does that is given twice. The lists start empty. */
static inline void stand_open(stand *x) {
    const run_options o = {.name = "main", .seed = 7, .config = json_null()};
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &x->store));
    assert_ok(x->ctx, run_begin(x->ctx, x->store, &o, &x->run));
    x->actors = (actors){.ctx = x->ctx, .store = x->store, .run = x->run, .iteration = 1, .attacker = x->attacker,
                         .learner = x->learner, .critic = x->critic, .base = "base"};
    x->queries = (query_list){.memory = x->memory};
    x->answers = (answer_list){.memory = x->memory};
}

static inline void stand_close(stand *x) {
    query_list_free(&x->queries);
    answer_list_free(&x->answers);
    run_end(x->run);
    store_close(x->store);
    x->run = NULL;
    x->store = NULL;
}

static inline void stand_again(stand *x) {
    stand_close(x);
    stand_open(x);
}

/* script: of all three roles, as backend_scripted takes it; NULL: one that has no answer. */
static inline stand *stand_new(const char *script) {
    stand *x = calloc(1, sizeof *x);
    assert_non_null(x);
    x->ctx = test_ctx(1, NULL);
    /* In memory where that can be had: hundreds of durable steps would wait for the disk, which other tests are about. */
    x->folder = strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/agon-test-XXXXXX" : "/tmp/agon-test-XXXXXX");
    assert_non_null(mkdtemp(x->folder));
    assert_ok(x->ctx, arena_new(x->ctx, 0, &x->memory));
    json_t *parsed = json_loads(script ? script : "{}", 0, NULL);
    assert_non_null(parsed);
    assert_ok(x->ctx, backend_scripted_new(x->ctx, parsed, &x->attacker));
    assert_ok(x->ctx, backend_scripted_new(x->ctx, parsed, &x->learner));
    assert_ok(x->ctx, backend_scripted_new(x->ctx, parsed, &x->critic));
    json_decref(parsed);
    stand_open(x);
    return x;
}

static inline void stand_free(stand *x) {
    char command[300];
    stand_close(x);
    backend_free(x->attacker);
    backend_free(x->learner);
    backend_free(x->critic);
    arena_free(x->memory);
    agon_ctx_free(x->ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", x->folder);
    assert_int_equal(system(command), 0);
    free(x->folder);
    free(x);
}

/* n queries of one cell, drawn at `path`; returns the place of the first. */
static inline size_t stand_draw(stand *x, const char *path, const char *family, const char *cell, size_t n) {
    draw *draws = calloc(n + 1, sizeof *draws);
    size_t first = x->queries.n, index = task_cell_find(family, cell);
    assert_true(index != SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        draws[i] = (draw){index, task_seed(7, path, index, i), PERTURBATION_NONE};
    assert_ok(x->ctx, draw_queries(&x->actors, path, draws, n, &x->queries));
    free(draws);
    return first;
}

/* An answer to a query with a text record of its own, all in one step at `path`. */
static inline void stand_answers(stand *x, const char *path, const size_t *queries, const char *const *texts, size_t n) {
    json_t *input = json_pack("{si}", "n", (int)n), *result = NULL, *ids = json_array();
    const step_key key = {.path = path};
    bool done = false;
    assert_ok(x->ctx, step_begin(x->run, &key, input, &done, &result));
    for (size_t i = 0; i < n && !done; i++) {
        char slot[24];
        store_id id;
        snprintf(slot, sizeof slot, "%zu", i);
        const text_record t = {.run = run_id(x->run), .kind = "response", .body = texts[i], .iteration = 1,
                               .parent = x->queries.items[queries[i]].id, .producer = "base", .slot = slot};
        assert_ok(x->ctx, store_add_text(x->store, &t, &id));
        json_array_append_new(ids, json_string(id.text));
    }
    if (!done) {
        result = json_incref(ids);
        assert_ok(x->ctx, step_commit(x->run, result));
    }
    for (size_t i = 0; i < n; i++) {
        answer *y = answer_list_add(&x->answers);
        assert_non_null(y);
        y->query = queries[i];
        y->kind = "response";
        y->text = arena_copy(x->memory, texts[i]);
        snprintf(y->id, sizeof y->id, "%s", json_string_value(json_array_get(result, i)));
    }
    json_decref(result);
    json_decref(ids);
    json_decref(input);
}

static inline int64_t stand_count(stand *x, const char *sql) {
    int64_t n = -1;
    assert_ok(x->ctx, store_query_int(x->store, sql, NULL, &n));
    return n;
}

/* A file in the stand's folder; its path, of the stand's memory. */
static inline const char *write_file(stand *x, const char *name, const char *text) {
    const char *path = arena_printf(x->memory, "%s/%s", x->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline agon_status stand_add_templates(void *arg, json_t **result) {
    stand *x = arg;
    for (size_t i = 0; i < prompt_n_templates(); i++) {
        const prompt_template *t = prompt_template_at(i);
        const template_record r = {t->name, t->version, t->role, t->body};
        assert_ok(x->ctx, store_add_template(x->store, &r, NULL));
    }
    *result = json_true();
    return AGON_OK;
}

/* The step "begin": the templates that rewordings and critiques are recorded with. */
static inline void stand_begin(stand *x) {
    const step_key key = {.path = "begin"};
    json_t *result = NULL;
    assert_ok(x->ctx, step_once(x->run, &key, json_true(), stand_add_templates, x, &result));
}

#endif

/* See own_rows.h. */
#include "recipe/own_rows.h"
#include "base/ctx.h"
#include "base/random.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

bool recipe_holds_out(const char *text) {
    return seed_derive(0, text) % 5 == 0;
}

typedef struct counter {
    agon_ctx *ctx;
    json_t *seen; /* identities, as keys */
    json_bad_line bad;
    void *arg;
    own_rows *own;
} counter;

static agon_status count_query(counter *c, const task_query *q) {
    own_rows *own = c->own;
    const bool unverifiable = !json_object_get(q->parameters, "verifier");
    char *identity = task_identity(q);
    const bool again = identity && json_object_get(c->seen, identity);
    agon_status s = identity && json_object_set_new(c->seen, identity, json_true()) == 0 ? AGON_OK : ctx_no_memory(c->ctx);
    free(identity);
    own->n_rows++;
    own->n_bytes += strlen(q->text);
    own->n_rows_unverifiable += unverifiable;
    if (!again) {
        const bool held_out = recipe_holds_out(q->text);
        own->n++;
        own->n_unverifiable += unverifiable;
        own->n_held_out += held_out;
        own->n_held_out_unverifiable += held_out && unverifiable;
    }
    return s;
}

/* Who judges it, and whether the row says so. */
static agon_status count_verifier(counter *c, const json_t *row, const task_query *q) {
    own_rows *own = c->own;
    const bool named = !json_absent(json_object_get(row, "verifier"));
    const char *by = json_string_value(json_object_get(q->parameters, "verifier"));
    own->n_with_answer += !json_absent(json_object_get(row, "answer"));
    own->n_with_verifier += named;
    if (!by)
        return AGON_OK;
    own->n_exact_by_default += !named && strcmp(by, "exact") == 0;
    const json_int_t n = json_integer_value(json_object_get(own->verifiers, by));
    return json_object_set_new(own->verifiers, by, json_integer(n + 1)) == 0 ? AGON_OK : ctx_no_memory(c->ctx);
}

static agon_status refuse(void *arg, agon_status status) {
    counter *c = arg;
    return c->bad ? c->bad(c->arg, status) : status;
}

static agon_status count_row(void *arg, const char *where, json_t *row) {
    counter *c = arg;
    task_query q = {0};
    agon_status s = task_user_query(c->ctx, where, row, &q);
    if (s)
        return refuse(c, s);
    s = count_query(c, &q);
    if (!s)
        s = count_verifier(c, row, &q);
    task_query_free(&q);
    return s;
}

static agon_status count_tasks(counter *c, const json_t *tasks) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(tasks) && !s; i++) {
        task_query q = {0};
        s = task_query_read(c->ctx, "a journaled query", json_array_get(tasks, i), &q);
        if (!s)
            s = count_query(c, &q);
        task_query_free(&q);
    }
    return s;
}

/* Of tasks, NULL: of the file. */
static agon_status count(agon_ctx *ctx, const json_t *tasks, const char *path, json_bad_line bad, void *arg, own_rows *out) {
    counter c = {.ctx = ctx, .seen = json_object(), .bad = bad, .arg = arg, .own = out};
    *out = (own_rows){.verifiers = json_object()};
    agon_status s = !c.seen || !out->verifiers ? ctx_no_memory(ctx) : tasks ? count_tasks(&c, tasks) : jsonl_read_lenient(ctx, path, count_row, refuse, &c);
    json_decref(c.seen);
    return s;
}

agon_status own_rows_read(agon_ctx *ctx, const char *path, json_bad_line bad, void *arg, own_rows *out) {
    return count(ctx, NULL, path, bad, arg, out);
}

agon_status own_rows_of_run(agon_ctx *ctx, const run_config *config, const json_t *tasks, own_rows *out) {
    *out = (own_rows){0};
    if (!config->tasks.file)
        return AGON_OK;
    agon_status s = count(ctx, tasks, config->tasks.file, NULL, NULL, out);
    if (config->verifier.command)
        out->n_rows_unverifiable = out->n_unverifiable = out->n_held_out_unverifiable = 0;
    return s;
}

void own_rows_free(own_rows *own) {
    json_decref(own->verifiers);
    own->verifiers = NULL;
}

/* See own_rows.h. */
#include "recipe/own_rows.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "recipe/own_split.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

typedef struct counted {
    char *text, *group; /* new; group NULL: none */
    bool again, unverifiable;
} counted;

typedef struct counter {
    agon_ctx *ctx;
    json_t *seen; /* identities, as keys */
    counted *rows;
    size_t n, capacity;
    json_bad_line bad;
    void *arg;
    own_rows *own;
} counter;

static agon_status count_query(counter *c, const task_query *q) {
    own_rows *own = c->own;
    const char *group = json_string_value(json_object_get(q->parameters, "group"));
    char *identity = task_identity(q);
    if (!identity || !memory_grow((void **)&c->rows, &c->capacity, c->n, sizeof *c->rows)) {
        free(identity);
        return ctx_no_memory(c->ctx);
    }
    counted *r = &c->rows[c->n++];
    *r = (counted){strdup(q->text), group ? strdup(group) : NULL, json_object_get(c->seen, identity) != NULL, !json_object_get(q->parameters, "verifier")};
    const bool ok = r->text && (!group || r->group) && json_object_set_new(c->seen, identity, json_true()) == 0;
    free(identity);
    own->n_rows++;
    own->n_bytes += strlen(q->text);
    own->n_rows_unverifiable += r->unverifiable;
    return ok ? AGON_OK : ctx_no_memory(c->ctx);
}

/* Queries, equal rows as one, and those of them that are held out. */
static agon_status count_sides(counter *c, bool each_alone) {
    own_rows *own = c->own;
    own_text *texts = memory_new(c->n + 1, sizeof *texts);
    size_t *together = memory_new(c->n + 1, sizeof *together), *verifiable = memory_new(c->n + 1, sizeof *verifiable);
    agon_status s = texts && together && verifiable ? AGON_OK : ctx_no_memory(c->ctx);
    for (size_t i = 0; i < c->n && !s; i++)
        texts[i] = (own_text){.text = c->rows[i].text, .group = c->rows[i].group, .with = i, .held_out = recipe_holds_out(c->rows[i].text)};
    if (!s && !each_alone)
        s = own_split(c->ctx, texts, c->n);
    for (size_t i = 0; i < c->n && !s; i++) {
        if (c->rows[i].again)
            continue;
        own->n++;
        own->n_unverifiable += c->rows[i].unverifiable;
        own->n_held_out += texts[i].held_out;
        own->n_held_out_unverifiable += texts[i].held_out && c->rows[i].unverifiable;
        if (texts[i].held_out && json_array_append_new(own->held_out, json_string(c->rows[i].text)) != 0)
            s = ctx_no_memory(c->ctx);
        together[texts[i].with]++;
        verifiable[texts[i].with] += !c->rows[i].unverifiable;
    }
    for (size_t i = 0; i < c->n && !s; i++) {
        own->n_held_out_sets += texts[i].held_out && together[i] > 0;
        own->n_held_out_sets_unverifiable += texts[i].held_out && together[i] > 0 && verifiable[i] == 0;
        if (together[i] > 1) {
            own->n_joined += together[i];
            own->n_sets++;
        }
    }
    free(verifiable);
    free(texts);
    free(together);
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
static agon_status count(agon_ctx *ctx, const json_t *tasks, const char *path, bool each_alone, json_bad_line bad, void *arg, own_rows *out) {
    counter c = {.ctx = ctx, .seen = json_object(), .bad = bad, .arg = arg, .own = out};
    *out = (own_rows){.verifiers = json_object(), .held_out = json_array()};
    agon_status s = !c.seen || !out->verifiers || !out->held_out ? ctx_no_memory(ctx) : tasks ? count_tasks(&c, tasks) : jsonl_read_lenient(ctx, path, count_row, refuse, &c);
    if (!s)
        s = count_sides(&c, each_alone);
    for (size_t i = 0; i < c.n; i++) {
        free(c.rows[i].text);
        free(c.rows[i].group);
    }
    free(c.rows);
    json_decref(c.seen);
    return s;
}

agon_status own_rows_read(agon_ctx *ctx, const char *path, json_bad_line bad, void *arg, own_rows *out) {
    return count(ctx, NULL, path, false, bad, arg, out);
}

agon_status own_rows_of_run(agon_ctx *ctx, const run_config *config, const json_t *tasks, bool each_alone, own_rows *out) {
    *out = (own_rows){0};
    if (!config->tasks.file)
        return AGON_OK;
    agon_status s = count(ctx, tasks, config->tasks.file, each_alone, NULL, NULL, out);
    if (config->verifier.command)
        out->n_rows_unverifiable = out->n_unverifiable = out->n_held_out_unverifiable = out->n_held_out_sets_unverifiable = 0;
    return s;
}

void own_rows_free(own_rows *own) {
    json_decref(own->verifiers);
    json_decref(own->held_out);
    own->verifiers = own->held_out = NULL;
}

/* agon.h, evaluation: freshly seeded tasks of cells, and the user's own questions. */
#include "api/evals.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "recipe/own_split.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PER_CELL = 16, MAX_PER_CELL = 100000, TASK_TOKENS = 128, OWN_TOKENS = 256, MOST_KNOWN = 2000 /* draws in a row that bring nothing new */ };

typedef struct tasks {
    task_query *queries;
    char (*ids)[96];
    size_t n;
    size_t *sets; /* of own ones; NULL: each is alone */
    bool own;     /* the user's questions, grouped by what judges them */
} tasks;

static const char *verifier_of(const task_query *q) {
    return json_string_value(json_object_get(q->parameters, "verifier"));
}

static void tasks_free(void *arg) {
    tasks *t = arg;
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        task_query_free(&t->queries[i]);
    free(t->queries);
    free(t->ids);
    free(t->sets);
    free(t);
}

static suite_item get(const void *arg, size_t i) {
    const tasks *t = arg;
    const char *verifier = verifier_of(&t->queries[i]);
    return (suite_item){t->ids[i], t->own && verifier ? verifier : t->queries[i].family, t->queries[i].text, t->own ? OWN_TOKENS : TASK_TOKENS};
}

static agon_status judge(agon_ctx *ctx, const void *arg, size_t i, const char *response, bool *right, char **evidence) {
    const tasks *t = arg;
    task_verdict v = {0};
    agon_status s = task_verify(ctx, &t->queries[i], response, &v);
    if (s)
        return s;
    *right = v.outcome == OUTCOME_PASS;
    *evidence = v.evidence;
    v.evidence = NULL;
    task_verdict_free(&v);
    return AGON_OK;
}

/* The k-th draw of a cell, unless `seen` has its task. */
static agon_status draw_one(agon_ctx *ctx, tasks *t, size_t cell, size_t k, uint64_t seed, json_t *seen) {
    task_query *q = &t->queries[t->n];
    agon_status s = task_generate(ctx, cell, task_seed(seed, "eval", cell, k), PERTURBATION_NONE, q);
    if (s)
        return s;
    char *identity = task_identity(q);
    const bool again = identity && json_object_get(seen, identity);
    if (!identity || (!again && json_object_set_new(seen, identity, json_true())))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for tasks");
    free(identity);
    if (s || again) {
        task_query_free(q);
        *q = (task_query){0};
        return s;
    }
    snprintf(t->ids[t->n++], sizeof t->ids[0], "%s/%s/%zu", task_cell_family(cell), task_cell_at(cell)->name, k);
    return AGON_OK;
}

/* Different tasks only, since the greedy answer to a copy is no further evidence: a cell that has fewer gives fewer. */
static agon_status draw(agon_ctx *ctx, tasks *t, const size_t *cells, size_t n_cells, size_t per_cell, uint64_t seed) {
    agon_status s = AGON_OK;
    for (size_t c = 0; c < n_cells && !s; c++) {
        json_t *seen = json_object();
        const size_t end = t->n + per_cell;
        if (!seen)
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory for tasks");
        for (size_t k = 0, known = 0; !s && t->n < end && known < MOST_KNOWN; k++) {
            const size_t before = t->n;
            s = draw_one(ctx, t, cells[c], k, seed, seen);
            known = t->n > before ? 0 : known + 1;
        }
        json_decref(seen);
    }
    return s;
}

static agon_status hash_tasks(agon_ctx *ctx, const tasks *t, hash256 *out) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for tasks");
    for (size_t i = 0; i < t->n; i++) {
        hasher_add_field(h, t->ids[i]);
        hasher_add_field(h, t->queries[i].text);
    }
    *out = hasher_end(h);
    return AGON_OK;
}

/* The cells the options name; cells [task_n_cells()]. */
static agon_status select_cells(agon_ctx *ctx, const agon_eval_options *o, size_t *cells, size_t *n) {
    json_t *names = json_array();
    bool good = names != NULL;
    for (size_t i = 0; good && i < o->n_cells; i++)
        good = json_array_append_new(names, json_string(o->cells[i])) == 0;
    agon_status s = good ? task_select(ctx, names, cells, n)
                         : ctx_fail(ctx, AGON_EINVAL, "a cell's name is not UTF-8; agon eval --list shows them");
    json_decref(names);
    return s;
}

agon_status eval_tasks_open(agon_ctx *ctx, const agon_eval_options *o, questions *out) {
    size_t per_cell = o->n ? o->n : DEFAULT_PER_CELL, n_cells = 0;
    if (per_cell > MAX_PER_CELL)
        return ctx_fail(ctx, AGON_EINVAL, "%zu tasks a cell: at most %d", per_cell, MAX_PER_CELL);
    size_t *cells = memory_new(task_n_cells() + 1, sizeof *cells);
    tasks *t = calloc(1, sizeof *t);
    hash256 hash = {0};
    agon_status s = cells && t ? select_cells(ctx, o, cells, &n_cells) : ctx_fail(ctx, AGON_ENOMEM, "out of memory for tasks");
    if (s)
        goto done;
    t->queries = memory_new(size_mul(n_cells, per_cell), sizeof *t->queries);
    t->ids = memory_new(size_mul(n_cells, per_cell), sizeof *t->ids);
    if (!t->queries || !t->ids) {
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu tasks", n_cells * per_cell);
        goto done;
    }
    s = draw(ctx, t, cells, n_cells, per_cell, o->seed);
    if (!s)
        s = hash_tasks(ctx, t, &hash);
done:
    free(cells);
    if (s)
        tasks_free(t);
    else
        *out = (questions){t, t->n, get, judge, tasks_free, hash, NULL};
    return s;
}

/* ---- the user's own questions ---------------------------------------------------------------------------- */

typedef struct own_rows {
    agon_ctx *ctx;
    tasks *t;
    json_t *known; /* identities */
    size_t capacity, n_rows, most;
    const eval_seen *seen[2]; /* only what these hold out; NULL: they say nothing */
} own_rows;

static agon_status is_wanted(const own_rows *r, const char *question, bool *wanted) {
    agon_status s = AGON_OK;
    bool asked, held_out;
    *wanted = true;
    for (size_t i = 0; i < 2 && !s; i++) {
        if (!r->seen[i])
            continue;
        s = eval_seen_find(r->ctx, r->seen[i], question, &asked, &held_out);
        *wanted = *wanted && !s && held_out;
    }
    return s;
}

static agon_status make_room(own_rows *r) {
    tasks *t = r->t;
    const size_t capacity = r->capacity ? 2 * r->capacity : 64;
    if (t->n < r->capacity)
        return AGON_OK;
    task_query *queries = realloc(t->queries, size_mul(capacity, sizeof *queries));
    t->queries = queries ? queries : t->queries;
    void *ids = queries ? realloc(t->ids, size_mul(capacity, sizeof *t->ids)) : NULL;
    t->ids = ids ? ids : t->ids;
    r->capacity = ids ? capacity : r->capacity;
    return ids ? AGON_OK : ctx_fail(r->ctx, AGON_ENOMEM, "out of memory for %zu questions", capacity);
}

/* Equal questions are one: the greedy answer to a copy is no further evidence. */
static agon_status take_own(void *arg, const char *where, json_t *row) {
    own_rows *r = arg;
    tasks *t = r->t;
    r->n_rows++;
    if (r->most && t->n == r->most)
        return AGON_OK;
    agon_status s = make_room(r);
    task_query q = {0};
    if (!s)
        s = task_user_query(r->ctx, where, row, &q);
    if (!s && (!verifier_of(&q) || strcmp(verifier_of(&q), TASK_VERIFIER_PROGRAM) == 0))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: nothing judges this question here; give it an \"answer\" or a \"verifier\" other than a program", where);
    bool wanted = false;
    if (!s)
        s = is_wanted(r, q.text, &wanted);
    char *identity = s ? NULL : task_identity(&q);
    if (!s && !identity)
        s = ctx_fail(r->ctx, AGON_ENOMEM, "out of memory for questions");
    if (s || !wanted || json_object_get(r->known, identity)) {
        task_query_free(&q);
    } else {
        if (json_object_set_new(r->known, identity, json_true()))
            s = ctx_fail(r->ctx, AGON_ENOMEM, "out of memory for questions");
        snprintf(t->ids[t->n], sizeof *t->ids, "own/%zu", r->n_rows);
        t->queries[t->n++] = q;
    }
    free(identity);
    return s;
}

/* Near-duplicates and rows of one group succeed and fail together. */
static agon_status find_sets(agon_ctx *ctx, tasks *t) {
    own_text *rows = memory_new(t->n, sizeof *rows);
    t->sets = memory_new(t->n, sizeof *t->sets);
    agon_status s = rows && t->sets ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; i < t->n && !s; i++)
        rows[i] = (own_text){.text = t->queries[i].text, .group = json_string_value(json_object_get(t->queries[i].parameters, "group"))};
    if (!s)
        s = own_split(ctx, rows, t->n);
    for (size_t i = 0; i < t->n && !s; i++)
        t->sets[i] = rows[i].with;
    free(rows);
    return s;
}

agon_status eval_own_open(agon_ctx *ctx, const version *now, const version *against, const agon_eval_options *o, questions *out) {
    own_rows r = {.ctx = ctx, .t = calloc(1, sizeof *r.t), .known = json_object(), .most = o->n};
    hash256 hash = {0};
    agon_status s = r.t && r.known ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for questions");
    if (o->held_out) {
        r.seen[0] = now->seen;
        r.seen[1] = against ? against->seen : NULL;
    }
    if (!s) {
        r.t->own = true;
        s = jsonl_read(ctx, o->file, take_own, &r);
    }
    if (!s && r.t->n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, o->held_out ? "%s: the version's run held out none of its questions; is it the file that the run had?" : "%s: there are no questions", o->file);
    if (!s)
        s = find_sets(ctx, r.t);
    if (!s)
        s = hash_tasks(ctx, r.t, &hash);
    json_decref(r.known);
    if (s)
        tasks_free(r.t);
    else
        *out = (questions){r.t, r.t->n, get, judge, tasks_free, hash, r.t->sets};
    return s;
}

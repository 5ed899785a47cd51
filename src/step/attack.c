/* Queries: drawn by programs, reworded by a language model, or the user's own. Which to draw is decided by the recipe. */
#include "base/ctx.h"
#include "role/attacker.h"
#include "role/prompt.h"
#include "step/items.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

typedef struct recorder {
    actors *a;
    query_list *queries;
    const size_t *which; /* vary: the originals */
    const attacker_kinds *kinds;
    const char *version;
} recorder;

/* The text record of a query; its id as {"text": id}. */
static agon_status add_query_text(actors *a, const json_t *task, const char *producer, const char *parent,
                                  const char *template_id, json_t **ids) {
    store_id id;
    json_t *meta = json_pack("{sO sO sO}", "seed", json_object_get(task, "seed"), "perturbation",
                             json_object_get(task, "perturbation"), "parameters", json_object_get(task, "parameters"));
    text_record r = {.run = run_id(a->run),
                     .kind = "query",
                     .body = field_text(task, "text"),
                     .iteration = a->iteration,
                     .parent = parent,
                     .producer = producer,
                     .template_id = template_id,
                     .family = field_text(task, "family"),
                     .cell = field_text(task, "cell"),
                     .oracle = a->sealed ? "sealed" : "open",
                     .meta = meta};
    agon_status s = json_made(a->ctx, meta);
    if (!s)
        s = store_add_text(a->store, &r, &id);
    if (!s) {
        *ids = json_pack("{ss}", "text", id.text);
        s = json_made(a->ctx, *ids);
    }
    json_decref(meta);
    return s;
}

static agon_status append_query(actors *a, query_list *out, json_t *task, const json_t *ids, bool varied) {
    query *q = query_list_add(out);
    if (!q)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a query");
    snprintf(q->id, sizeof q->id, "%s", field_text(ids, "text"));
    q->varied = varied;
    return query_set(a, out, q, task);
}

/* ---- drawn by programs ------------------------------------------------------------------------------- */

static agon_status record_drawn(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const json_t *task = json_object_get(out, "query");
    char producer[80];
    (void)i;
    snprintf(producer, sizeof producer, "generator:%s", field_text(task, "family"));
    return add_query_text(r->a, task, producer, NULL, NULL, ids);
}

agon_status draw_queries(actors *a, const char *path, const draw *draws, size_t n, query_list *out) {
    json_t *inputs = json_array(), *results = NULL, *result;
    recorder r = {.a = a};
    size_t i;
    for (i = 0; i < n; i++) {
        char cell[CELL_NAME_SIZE], seed[24];
        task_cell_name(draws[i].cell, cell);
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)draws[i].seed);
        json_array_append_new(inputs, json_pack("{ss ss ss}", "cell", cell, "seed", seed, "perturbation",
                                                task_perturbation_name(draws[i].perturbation)));
    }
    agon_status s = work_run(a, path, &work_draw, inputs, record_drawn, &r, &results);
    json_array_foreach(results, i, result) {
        if (!s)
            s = append_query(a, out, json_object_get(json_object_get(result, "out"), "query"),
                             json_object_get(result, "ids"), false);
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

/* ---- reworded by the attacker ------------------------------------------------------------------------- */

/* The reworded query as JSON when it still asks the same; *task NULL and *reason (new) when it does not. */
static agon_status check_variation(actors *a, const query *original, task_perturbation p, const char *text,
                                   json_t **task, char **reason) {
    task_query from = {0}, to = {0};
    bool ok = false;
    agon_status s = query_task(a, original, &from);
    if (!s)
        s = (a->first_rewordings ? task_variation_check_first : task_variation_check)(a->ctx, &from, p, text, &ok, reason);
    if (!s && ok)
        s = task_variation(a->ctx, &from, p, text, &to);
    if (!s && ok && (s = task_check(a->ctx, &to)) == AGON_EMISMATCH) { /* the run could not read it back */
        *reason = strdup(agon_error(a->ctx));
        s = *reason ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a reason");
        ok = false;
    }
    if (!s && ok)
        s = task_query_json(a->ctx, &to, task);
    task_query_free(&from);
    task_query_free(&to);
    return s;
}

/* The query's names, new; empty where it has none, or more than are replaced. */
static json_t *names_of(const query *q) {
    json_t *names = json_array(), *entry;
    size_t i;
    json_array_foreach(json_object_get(q->task, "keep"), i, entry) {
        if (strcmp(field_text(entry, "kind"), "name") == 0)
            json_array_append(names, json_object_get(entry, "value"));
    }
    if (json_array_size(names) > ATTACKER_MAX_NAMES)
        json_array_clear(names);
    return names;
}

static task_perturbation kind_of_variation(const attacker_kinds *kinds, const query *q, size_t i) {
    json_t *names = names_of(q);
    bool any = json_array_size(names) > 0;
    json_decref(names);
    return attacker_choose(kinds, any, i);
}

static agon_status record_variation(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    const query *original = &r->queries->items[r->which[i]];
    const task_perturbation kind = kind_of_variation(r->kinds, original, i);
    json_t *task = NULL, *texts = json_object_get(out, "texts"), *text;
    const char *producer = NULL;
    char *reason = NULL;
    size_t k;
    agon_status s = store_settle(r->a->store, run_id(r->a->run), "tokens.attacker", field_int(out, "n_tokens"));
    json_array_foreach(texts, k, text) {
        if (s || task)
            break;
        free(reason);
        reason = NULL;
        s = check_variation(r->a, original, kind, json_string_value(text), &task, &reason);
    }
    if (!s && task)
        s = actors_producer(r->a, "attacker", r->version, &producer);
    if (!s && task)
        s = add_query_text(r->a, task, producer, original->id, attacker_template(kind), ids);
    if (!s && task && json_object_set(*ids, "task", task) != 0)
        s = ctx_fail(r->a->ctx, AGON_ENOMEM, "no memory for a variation");
    if (!s && !task) {
        *ids = json_pack("{ss}", "rejected", reason ? reason : "no answer");
        s = json_made(r->a->ctx, *ids);
    }
    json_decref(task);
    free(reason);
    return s;
}

/* Who can judge a rewording beside the program: a remote critic, else the remote attacker itself (which is of its own family: better than nobody);
 * NULL where no role is remote. */
static const char *judge_of_rewordings(const actors *a) {
    return backend_capabilities(a->critic) & IS_REMOTE     ? "critic"
           : backend_capabilities(a->attacker) & IS_REMOTE ? "attacker"
                                                           : NULL;
}

static agon_status record_validation(void *arg, size_t i, const json_t *out, json_t **ids) {
    recorder *r = arg;
    (void)i;
    (void)ids;
    return store_settle(r->a->store, run_id(r->a->run), "tokens.critic", field_int(out, "n_prompt") + field_int(out, "n_tokens"));
}

/* Puts the rewordings that the program let pass to the judge; all but a clear yes lose their "task". */
static agon_status judge_rewordings(recorder *r, const char *path, const char *judge, json_t *results) {
    actors *a = r->a;
    json_t *inputs = json_array(), *said = NULL, *result;
    const char *place = arena_printf(r->queries->memory, "%s/validate", path);
    size_t i, k = 0;
    agon_status s = inputs && place ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to judge rewordings");
    json_array_foreach(results, i, result) {
        const json_t *ids = json_object_get(result, "ids"), *task = json_object_get(ids, "task");
        if (task)
            json_array_append_new(inputs, json_pack("{ss ss ss ss}", "id", field_text(ids, "text"), "query",
                                                    r->queries->items[r->which[i]].text, "rewording", field_text(task, "text"),
                                                    "judge", judge));
    }
    if (!s)
        s = work_run(a, place, &work_validate, inputs, record_validation, r, &said);
    json_array_foreach(results, i, result) {
        json_t *ids = json_object_get(result, "ids");
        if (!s && json_object_get(ids, "task") && !field_true(json_object_get(json_array_get(said, k++), "out"), "same"))
            json_object_del(ids, "task");
    }
    json_decref(said);
    json_decref(inputs);
    return s;
}

agon_status vary_queries(actors *a, const char *path, query_list *queries, const size_t *which, size_t n,
                         const char *version, const attacker_kinds *kinds, size_t *n_rejected) {
    json_t *inputs = json_array(), *results = NULL, *result;
    recorder r = {.a = a, .queries = queries, .which = which, .kinds = kinds, .version = version};
    const char *judge = judge_of_rewordings(a);
    size_t i;
    for (i = 0; i < n; i++) {
        const query *q = &queries->items[which[i]];
        const task_perturbation kind = kind_of_variation(kinds, q, i);
        json_array_append_new(inputs, json_pack("{ss ss ss ss so*}", "id", q->id, "query", q->text, "perturbation",
                                                task_perturbation_name(kind), "version", version, "names",
                                                kind == PERTURBATION_RENAME ? names_of(q) : NULL));
    }
    agon_status s = work_run(a, path, &work_vary, inputs, record_variation, &r, &results);
    if (!s && judge)
        s = judge_rewordings(&r, path, judge, results);
    json_array_foreach(results, i, result) {
        const json_t *ids = json_object_get(result, "ids");
        json_t *task = json_object_get(ids, "task");
        if (!s && task)
            s = append_query(a, queries, task, ids, true);
        *n_rejected += !task;
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

/* ---- the user's own ------------------------------------------------------------------------------------ */

typedef struct file_reader {
    actors *a;
    const char *file;
    json_t *tasks;
} file_reader;

static agon_status read_row(void *arg, const char *where, json_t *object) {
    file_reader *r = arg;
    task_query q = {0};
    json_t *task = NULL;
    const char *named = field_text(object, "verifier");
    agon_status s = AGON_OK;
    if (r->a->verifier && !*named && json_object_set_new(object, "verifier", json_string(TASK_VERIFIER_PROGRAM)) != 0)
        s = ctx_fail(r->a->ctx, AGON_ENOMEM, "no memory for %s", where);
    else if (!r->a->verifier && strcmp(named, TASK_VERIFIER_PROGRAM) == 0)
        s = ctx_fail(r->a->ctx, AGON_EINVAL, "%s: the row leaves its verdict to a program, and the run file names none; set "
                                             "'verifier: {command: ...}' there", where);
    if (!s)
        s = task_user_query(r->a->ctx, where, object, &q);
    if (!s)
        s = task_query_json(r->a->ctx, &q, &task);
    if (!s && json_array_append(r->tasks, task) != 0)
        s = ctx_fail(r->a->ctx, AGON_ENOMEM, "no memory for %s", where);
    json_decref(task);
    task_query_free(&q);
    return s;
}

static agon_status read_file(void *arg, json_t **result) {
    file_reader *r = arg;
    json_t *ids = json_array(), *task;
    size_t i;
    agon_status s = ids ? jsonl_read(r->a->ctx, r->file, read_row, r) : ctx_fail(r->a->ctx, AGON_ENOMEM, "no memory for %s", r->file);
    if (!s && json_array_size(r->tasks) == 0)
        s = ctx_fail(r->a->ctx, AGON_EINVAL, "%s: there are no rows; one is {\"query\": \"...\", \"answer\": \"...\"}", r->file);
    json_array_foreach(r->tasks, i, task) {
        json_t *id = NULL;
        if (!s)
            s = add_query_text(r->a, task, "user", NULL, NULL, &id);
        json_array_append_new(ids, id ? id : json_null());
    }
    *result = s ? NULL : json_pack("{sO sO}", "queries", r->tasks, "ids", ids);
    json_decref(ids);
    return s;
}

/* The file is read inside the step: a replay uses what was there then. */
agon_status read_user_queries(actors *a, const char *path, const char *file, query_list *out) {
    file_reader r = {a, file, json_array()};
    json_t *result = NULL, *input = json_pack("{ss}", "file", file), *task;
    const step_key key = {.path = path, .kind = "read_queries"};
    size_t i;
    agon_status s = r.tasks ? step_once(a->run, &key, input, read_file, &r, &result)
                            : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %s", file);
    json_t *tasks = json_object_get(result, "queries");
    json_array_foreach(tasks, i, task) {
        if (!s)
            s = append_query(a, out, task, json_array_get(json_object_get(result, "ids"), i), false);
    }
    json_decref(result);
    json_decref(input);
    json_decref(r.tasks);
    return s;
}

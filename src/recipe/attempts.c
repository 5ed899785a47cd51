/* See attempts.h. */
#include "recipe/attempts.h"
#include "base/ctx.h"
#include "task/task.h"
#include <stdlib.h>

/* ---- gates ------------------------------------------------------------------------------------------------------- */

agon_status attempts_of_others(agon_ctx *ctx, store *store, const char *run, const json_t *held_out, size_t n_held_out, int64_t *n) {
    static const char sql[] =
        "WITH mine AS MATERIALIZED (SELECT DISTINCT value AS body FROM json_each(?2))"
        " SELECT count(*) FROM gate g JOIN run r ON r.id = g.run WHERE r.name <> ?1 AND 2 * (SELECT count(DISTINCT q.body) FROM text a JOIN text q ON q.id = a.parent"
        " WHERE a.run = g.run AND a.iteration = g.iteration AND a.kind = 'evaluation' AND q.body IN (SELECT body FROM mine)) >= max(1, ?3)";
    char *list = json_dumps(held_out, JSON_COMPACT);
    json_t *parameters = json_pack("[ss?I]", run, list, (json_int_t)n_held_out);
    agon_status s = list ? json_made(ctx, parameters) : ctx_no_memory(ctx);
    if (!s)
        s = store_query_int(store, sql, parameters, n);
    json_decref(parameters);
    free(list);
    return s;
}

static agon_status find_earlier(void *arg, json_t **result) {
    static const char sql[] = "SELECT DISTINCT q.body FROM text a JOIN text q ON q.id = a.parent WHERE a.run = ?1 AND a.iteration = ?2 AND a.kind = 'evaluation'";
    cast *c = arg;
    json_t *parameters = json_pack("[sI]", run_id(c->run), (json_int_t)c->actors.iteration), *rows = NULL, *bodies = json_array(), *row;
    int64_t n = 0;
    size_t i;
    agon_status s = bodies ? json_made(c->actors.ctx, parameters) : ctx_no_memory(c->actors.ctx);
    if (!s)
        s = store_query_json(c->actors.store, sql, parameters, &rows);
    json_array_foreach(rows, i, row)
        if (!s && json_array_append(bodies, json_object_get(row, "body")) != 0)
            s = ctx_no_memory(c->actors.ctx);
    if (!s)
        s = attempts_of_others(c->actors.ctx, c->actors.store, c->config->name, bodies, json_array_size(bodies), &n);
    json_decref(bodies);
    json_decref(rows);
    json_decref(parameters);
    if (!s)
        *result = json_pack("{sI}", "gates", (json_int_t)n);
    return s ? s : json_made(c->actors.ctx, *result);
}

/* Recorded, since other runs may follow before this one is gone on with. */
agon_status attempts_count(cast *c, const char *candidate, size_t *attempt) {
    json_t *input = json_pack("{ss}", "candidate", candidate), *result = NULL;
    const step_key key = {.path = cast_path(c, "gate/earlier"), .kind = "earlier_gates"};
    agon_status s = step_once(c->run, &key, input, find_earlier, c, &result);
    const int64_t n = field_int(result, "gates");
    if (!s && n > 0)
        cast_say(c, NULL, "in this workspace gates of other runs decided on these held-out queries, %lld times: this is attempt %zu", (long long)n, *attempt + (size_t)n);
    *attempt += (size_t)n;
    json_decref(result);
    json_decref(input);
    return s;
}

/* ---- ledgers ----------------------------------------------------------------------------------------------------- */

/* Before its log said so, a run's ledger had been opened where the control arms of `agon unseal` stand. */
static const char unsealed_sql[] =
    "SELECT json_extract(i.result, '$.out.query') AS task_json FROM step_item i JOIN run r ON r.id = i.run"
    " WHERE r.id <> ?1 AND i.path = ?2 AND json_extract(r.config, '$.oracle') = 'sealed'"
    " AND (EXISTS (SELECT 1 FROM event e WHERE e.run = r.id AND e.stage = '" ATTEMPTS_UNSEALED "')"
    " OR EXISTS (SELECT 1 FROM run a WHERE json_extract(a.config, '$.arms_of') = r.id))";

static agon_status add_identity(agon_ctx *ctx, const json_t *task, json_t *identities) {
    task_query q = {0};
    char *identity = NULL;
    agon_status s = task_query_read(ctx, "a journaled query", task, &q);
    if (!s && (!(identity = task_identity(&q)) || json_object_set_new(identities, identity, json_true()) != 0))
        s = ctx_no_memory(ctx);
    free(identity);
    task_query_free(&q);
    return s;
}

static agon_status find_unsealed(void *arg, json_t **result) {
    cast *c = arg;
    agon_ctx *ctx = c->actors.ctx;
    json_t *parameters = json_pack("[ss]", run_id(c->run), cast_path(c, "held_out")), *rows = NULL, *identities = json_object(), *row;
    size_t i;
    agon_status s = identities ? json_made(ctx, parameters) : ctx_no_memory(ctx);
    if (!s)
        s = store_query_json(c->actors.store, unsealed_sql, parameters, &rows);
    json_array_foreach(rows, i, row)
        if (!s)
            s = add_identity(ctx, json_object_get(row, "task"), identities);
    json_decref(rows);
    json_decref(parameters);
    if (s)
        json_decref(identities);
    else
        *result = identities;
    return s;
}

/* Recorded, since other ledgers may be opened before this run is gone on with. */
agon_status attempts_unsealed(cast *c, json_t **identities) {
    json_t *input = json_object();
    const step_key key = {.path = cast_path(c, "held_out/unsealed"), .kind = "unsealed"};
    agon_status s = input ? step_once(c->run, &key, input, find_unsealed, c, identities) : ctx_no_memory(c->actors.ctx);
    json_decref(input);
    return s;
}

/* A run, see step.h: found by its name or made, its chain walked to the head, its stages and its end. The invariants are step.c's. */
#include "base/clock.h"
#include "step/step_internal.h"
#include <stdlib.h>
#include <string.h>

static const char *seed_text(uint64_t seed, char text[24]) {
    snprintf(text, 24, "%llu", (unsigned long long)seed);
    return text;
}

/* Says which part of the configuration changed. */
static agon_status fail_changed(run *r, const char *name, const char *old_seed, const char *new_seed,
                                const char *old_config, const json_t *config) {
    const char *what = "the configuration", *key;
    json_t *old = json_loads(old_config, JSON_DECODE_ANY, NULL), *value;
    if (strcmp(old_seed, new_seed) != 0)
        what = "the seed";
    else
        json_object_foreach((json_t *)(uintptr_t)config, key, value) {
            if (!json_equal(value, json_object_get(old, key))) {
                what = key;
                break;
            }
        }
    agon_status status = ctx_fail(
        r->ctx, AGON_EMISMATCH,
        "%s: the run '%s' was begun with another value of '%s'; restore the run file to go on with it, or "
        "choose another workspace or run name to start anew",
        r->store->folder, name, what);
    json_decref(old);
    return status;
}

static agon_status insert_run(run *r, const char *name, const char *seed, const json_t *config,
                              const char *hash) {
    char *canonical = json_canonical(config);
    if (!canonical)
        return ctx_no_memory(r->ctx);
    agon_status status =
        store_queue_take(r->store, "INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                         json_pack("[sssssI]", r->id, name, seed, canonical, hash, (json_int_t)store_now_ms()),
                         false);
    free(canonical);
    if (!status)
        status = store_commit(r->store);
    if (status)
        store_rollback(r->store);
    return status;
}

/* Finds the run by name or makes it. */
static agon_status find_or_make_run(run *r, const run_options *o) {
    char seed[24], hash[HASH_HEX_SIZE];
    json_t *rows = NULL, *parameters = NULL, *empty = json_object();
    const json_t *config = o->config ? o->config : empty;
    agon_status status = AGON_OK;
    if (!config || !journal_genesis(o->name, seed_text(o->seed, seed), config, hash))
        status = ctx_fail(r->ctx, AGON_EINVAL, "the run's name or configuration is not valid UTF-8");
    parameters = json_pack("[s]", o->name);
    if (!status)
        status = store_query_json(r->store, "SELECT id, seed, config, hash FROM run WHERE name = ?1", parameters, &rows);
    const json_t *row = status ? NULL : json_array_get(rows, 0);
    const char *old_seed = json_string_value(json_object_get(row, "seed")), *old_config = json_string_value(json_object_get(row, "config")),
               *old_hash = json_string_value(json_object_get(row, "hash"));
    if (row && !(old_seed && old_config && old_hash))
        status = ctx_fail(r->ctx, AGON_EMISMATCH, "%s: the record of the run '%s' is damaged; restore the workspace from a copy",
                          r->store->folder, o->name);
    if (!status) {
        snprintf(r->id, sizeof r->id, "%.32s", hash);
        snprintf(r->head, sizeof r->head, "%s", hash);
        if (!row)
            status = insert_run(r, o->name, seed, config, hash);
        else if (strcmp(old_hash, hash) != 0)
            status = fail_changed(r, o->name, old_seed, seed, old_config, config);
    }
    json_decref(rows);
    json_decref(parameters);
    json_decref(empty);
    return status;
}

/* Walks the chain (hashes only; journal_verify looks deeper) to its head. */
static agon_status find_head(run *r) {
    sqlite3_stmt *statement;
    agon_status status = store_statement_get(
        r->store, r->store->db,
        "SELECT seq, path, item, attempt, kind, shape, reproducible, input_hash, result_hash, records, n_items,"
        " prev, hash FROM step WHERE run = ?1 ORDER BY seq",
        &statement);
    if (status)
        return status;
    sqlite3_bind_text(statement, 1, r->id, -1, SQLITE_STATIC);
    int rc = SQLITE_DONE;
    while (!status && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        char hex[HASH_HEX_SIZE];
        journal_row row = {.run = r->id,
                           .seq = r->last + 1,
                           .path = store_column(statement, 1),
                           .item = store_column(statement, 2),
                           .attempt = sqlite3_column_int64(statement, 3),
                           .kind = store_column(statement, 4),
                           .shape = store_column(statement, 5),
                           .reproducible = sqlite3_column_int(statement, 6),
                           .input_hash = store_column(statement, 7),
                           .result_hash = store_column(statement, 8),
                           .records = store_column(statement, 9),
                           .n_items = sqlite3_column_int64(statement, 10),
                           .prev = r->head};
        if (!journal_row_hash(&row, hex) || strcmp(hex, store_column(statement, 12)) != 0)
            status = ctx_fail(r->ctx, AGON_EMISMATCH,
                              "%s: the journal is damaged at step %lld (%s %s); `agon verify` says more; restore "
                              "the workspace from a copy",
                              r->store->folder, (long long)row.seq, row.path, row.item);
        else
            memcpy(r->head, hex, sizeof hex);
        r->last = row.seq;
    }
    if (!status && rc != SQLITE_DONE)
        status = store_sql_fail(r->store, r->store->db, "reading the journal");
    sqlite3_reset(statement);
    return status;
}

agon_status run_begin(agon_ctx *ctx, store *s, const run_options *options, run **out) {
    if (s->mode != STORE_RUN)
        return ctx_fail(ctx, AGON_EINVAL, "%s: opened for reading", s->folder);
    if (!options->name || !*options->name)
        return ctx_fail(ctx, AGON_EINVAL, "a run needs a name");
    if (s->n_queue)
        return ctx_fail(ctx, AGON_EINVAL, "%s: records were queued before the run began", s->folder);
    run *r = calloc(1, sizeof *r);
    if (!r)
        return ctx_no_memory(ctx);
    r->ctx = ctx;
    r->store = s;
    r->seed = options->seed;
    store_set_hook(s, options->hook, options->hook_arg);
    agon_status status = find_or_make_run(r, options);
    if (!status)
        status = find_head(r);
    if (!status)
        status = object_collect(s);
    if (!status)
        status = store_progress(s, r->id, "running", 0, "begin", NULL);
    if (status) {
        run_end(r);
        return status;
    }
    *out = r;
    return AGON_OK;
}

void run_end(run *r) {
    if (!r)
        return;
    if (r->open != OPEN_NONE)
        store_rollback(r->store);
    step_close(r);
    store_set_hook(r->store, NULL, NULL);
    free(r);
}

agon_status run_event(run *r, int64_t iteration, const char *stage, const char *message, const json_t *data) {
    if (r->cursor < r->last)
        return AGON_OK;
    return store_event(r->store, r->id, iteration, stage, message, data, !r->grown);
}

agon_status run_finish(run *r, const char *state, const char *reason) {
    if (strcmp(state, "done") != 0 && strcmp(state, "halted") != 0 && strcmp(state, "waiting") != 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "a run ends 'done', 'halted' or 'waiting', not '%s'", state);
    agon_status status = run_event(r, r->iteration, state, reason ? reason : state, NULL);
    if (!status)
        status = store_commit(r->store);
    return status ? status : store_progress(r->store, r->id, state, r->iteration, reason ? reason : state, NULL);
}

agon_status run_stage(run *r, int64_t iteration, const char *stage) {
    r->iteration = iteration;
    agon_status status = run_event(r, iteration, stage, "begins", NULL);
    return status ? status : store_progress(r->store, r->id, "running", iteration, stage, NULL);
}

/* ---- the journal's own cost: nested scopes count once ---------------------------------------------- */

double run_journal_seconds(const run *r) {
    return r->seconds;
}

run_clock run_clock_start(run *r) {
    bool outermost = r && r->clocks++ == 0;
    return (run_clock){r, outermost ? monotonic_seconds() : 0};
}

void run_clock_stop(run_clock *c) {
    if (c->run && --c->run->clocks == 0)
        c->run->seconds += monotonic_seconds() - c->since;
}

const char *run_id(const run *r) {
    return r->id;
}

store *run_store(const run *r) {
    return r->store;
}

hash256 run_head(const run *r) {
    hash256 h = {{0}};
    hash_parse(r->head, &h);
    return h;
}

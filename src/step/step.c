/* The durable step, see step.h: runs, single steps, checkpoints.
 *
 * Invariants
 *   1. A step exists iff its row is in `step` (a batch item: in `step_item`). The row, its result and every record
 *      the step wrote are committed by one transaction; there is no other mark of completion.
 *   2. Nothing is written between step_begin and step_commit except object files and checkpoints, which no record
 *      names yet. So a crash at any point leaves the state after the last committed step, and starting
 *      again is the only recovery.
 *   3. A recorded step returns its result and runs nothing. Its input must hash as recorded (AGON_EMISMATCH).
 *   4. Steps have numbers 1, 2, ... in the order in which they were completed. A replay passes them in that
 *      order; a step that is new while recorded ones are still ahead, or recorded ones out of order, is
 *      AGON_EMISMATCH: the recipe took another path. (A step already passed may be asked for again.)
 *   5. hash(row n) covers row n and, through `prev`, all rows before it down to the run's own record, which
 *      holds name, seed and configuration. Times are outside.
 *   6. At most one step or batch is open. Records queued while none is open are refused at the next step: they
 *      would belong to nobody.
 *   7. Order of completion inside a batch does not show: leaves are in item order, and ids never count.
 *
 *      run_begin                                                   run_end
 *         |                                                           ^
 *         v       step_begin (new)                step_commit         |
 *      [idle] ------------------> [single open] ------------------> [idle]
 *        | ^                        |  ^    | step_abort, commit failed: queue dropped
 *        | '------------------------|--'----'
 *        | step_begin (recorded)    '--' step_checkpoint_put
 *        '--> [idle], result returned
 *        |
 *        | step_batch_begin (new)                         step_batch_end
 *        '-----------------> [batch open] --------------------------------> [idle]
 *                              |  ^   | step_batch_free before the end: items flushed so far stay
 *                              '--'   '---------------------------------> [idle]
 *             step_batch_record, step_batch_flush
 */
#include "step/step_internal.h"
#include "base/clock.h"
#include "base/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the run ---------------------------------------------------------------------------------------- */

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

static void close_step(run *r) {
    free(r->path);
    free(r->item);
    free(r->kind);
    free(r->input);
    r->path = r->item = r->kind = r->input = NULL;
    r->open = OPEN_NONE;
}

void run_end(run *r) {
    if (!r)
        return;
    if (r->open != OPEN_NONE)
        store_rollback(r->store);
    close_step(r);
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

uint64_t run_seed(const run *r) {
    return r->seed;
}

store *run_store(const run *r) {
    return r->store;
}

hash256 run_head(const run *r) {
    hash256 h = {{0}};
    hash_parse(r->head, &h);
    return h;
}

uint64_t step_seed(const run *r, const step_key *key) {
    return seed_derivef(r->seed, "%s|%s|%d", key->path, key->item ? key->item : "", key->attempt);
}

/* ---- checks both shapes share ----------------------------------------------------------------------- */

const char *step_kind(const step_key *key, char *memory, size_t size) {
    if (key->kind)
        return key->kind;
    const char *slash = strrchr(key->path, '/');
    snprintf(memory, size, "%s", slash ? slash + 1 : key->path);
    return memory;
}

/* seed_derivef cuts at 511 bytes: longer keys could share a seed. */
agon_status step_check_key(run *r, const step_key *key) {
    const char *item = key->item ? key->item : "";
    if (!key->path || !*key->path || strchr(key->path, '|') || strchr(item, '|') || key->attempt < 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "step '%.100s': a path must not be empty, nor path or item hold '|'",
                        key->path ? key->path : "");
    if (strlen(key->path) + strlen(item) > 480)
        return ctx_fail(r->ctx, AGON_EINVAL, "step '%.100s': path and item are longer than 480 bytes", key->path);
    if (r->open != OPEN_NONE)
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s begins while %s is open", key->path, r->path);
    if (json_array_size(r->store->records))
        return ctx_fail(r->ctx, AGON_EINVAL, "records were queued outside a step, before %s", key->path);
    return AGON_OK;
}

agon_status step_check_order(run *r, const char *path, const char *item, int64_t recorded) {
    if (recorded == 0 && r->cursor == r->last)
        return AGON_OK;
    if (recorded && recorded <= r->cursor + 1) {
        if (recorded > r->cursor)
            r->cursor = recorded;
        return AGON_OK;
    }
    return ctx_fail(r->ctx, AGON_EMISMATCH,
                    "step %s %s: the replay reaches it as number %lld, but the journal has %s there; the recipe "
                    "took another path than when it was recorded",
                    path, item, (long long)r->cursor + 1, recorded ? "it later" : "another");
}

agon_status step_check_input(run *r, const char *path, const char *item, int attempt, const char *recorded,
                             const char *now) {
    if (strcmp(recorded, now) == 0)
        return AGON_OK;
    return ctx_fail(r->ctx, AGON_EMISMATCH,
                    "step %s item '%s' attempt %d: its input was %s when recorded and is %s now; restore the run "
                    "file, model and program it was begun with, or start another run",
                    path, item, attempt, recorded, now);
}

agon_status step_append(run *r, journal_row *row, const char *input, const char *result) {
    char hash[HASH_HEX_SIZE];
    row->run = r->id;
    row->seq = r->last + 1;
    row->prev = r->head;
    agon_status status = AGON_OK;
    if (!journal_row_hash(row, hash))
        status = ctx_no_memory(r->ctx);
    if (!status)
        status = store_queue_take(
            r->store,
            "INSERT INTO step VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            json_pack("[sIssIssbs?ss?ssIssI]", r->id, (json_int_t)row->seq, row->path, row->item,
                      (json_int_t)row->attempt, row->kind, row->shape, row->reproducible, input,
                      row->input_hash, result, row->result_hash, row->records, (json_int_t)row->n_items,
                      row->prev, hash, (json_int_t)store_now_ms()),
            false);
    if (!status)
        status = store_queue_take(r->store,
                                  "DELETE FROM checkpoint WHERE run = ?1 AND path = ?2 AND attempt = ?3"
                                  " AND (item = ?4 OR ?4 = '')",
                                  json_pack("[ssIs]", r->id, row->path, (json_int_t)row->attempt, row->item), false);
    if (!status)
        status = store_commit(r->store);
    if (status) {
        store_rollback(r->store);
        return ctx_prefix(r->ctx, status, "step %s%s%s", row->path, *row->item ? " " : "", row->item);
    }
    memcpy(r->head, hash, sizeof hash);
    r->last = row->seq;
    r->cursor = r->last;
    r->grown = true;
    return AGON_OK;
}

/* ---- single steps ----------------------------------------------------------------------------------- */

/* The recorded result; *seq 0 when there is none. */
static agon_status find_step(run *r, const step_key *key, const char *input_hash, int64_t *seq, json_t **result) {
    sqlite3_stmt *statement;
    const char *item = key->item ? key->item : "";
    agon_status status = store_statement_get(
        r->store, r->store->db,
        "SELECT seq, shape, input_hash, result, result_hash FROM step WHERE run = ?1 AND path = ?2 AND item = ?3"
        " AND attempt = ?4",
        &statement);
    if (status)
        return status;
    sqlite3_bind_text(statement, 1, r->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, key->path, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, item, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, key->attempt);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        char hex[HASH_HEX_SIZE];
        const char *text = store_column(statement, 3);
        text_hash(text, hex);
        if (strcmp(store_column(statement, 1), "single") != 0)
            status = ctx_fail(r->ctx, AGON_EMISMATCH, "step %s was recorded as a batch", key->path);
        else
            status = step_check_input(r, key->path, item, key->attempt, store_column(statement, 2), input_hash);
        if (!status && strcmp(hex, store_column(statement, 4)) != 0)
            status = ctx_fail(r->ctx, AGON_EMISMATCH, "step %s %s: the recorded result is damaged (%s, should be %s)",
                              key->path, item, hex, store_column(statement, 4));
        if (!status && !(*result = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)))
            status = ctx_fail(r->ctx, AGON_EFORMAT, "step %s %s: the recorded result is not JSON", key->path, item);
        *seq = sqlite3_column_int64(statement, 0);
    } else if (rc != SQLITE_DONE) {
        status = store_sql_fail(r->store, r->store->db, "reading the journal");
    }
    sqlite3_reset(statement);
    return status;
}

static agon_status open_step(run *r, const step_key *key, char *input_taken, const char *input_hash) {
    char memory[128];
    r->path = strdup(key->path);
    r->item = strdup(key->item ? key->item : "");
    r->kind = strdup(step_kind(key, memory, sizeof memory));
    r->attempt = key->attempt;
    r->reproducible = key->reproducible;
    r->input = input_taken;
    memcpy(r->input_hash, input_hash, sizeof r->input_hash);
    r->open = OPEN_SINGLE;
    if (r->path && r->item && r->kind)
        return AGON_OK;
    close_step(r);
    return ctx_no_memory(r->ctx);
}

agon_status step_begin(run *r, const step_key *key, const json_t *input, bool *done, json_t **result) {
    RUN_CLOCK(r);
    agon_status status = step_check_key(r, key);
    if (status)
        return status;
    char *text = input ? json_canonical(input) : strdup("null"), hex[HASH_HEX_SIZE];
    if (!text)
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s: the input is not valid JSON", key->path);
    text_hash(text, hex);
    int64_t seq = 0;
    json_t *recorded = NULL;
    status = find_step(r, key, hex, &seq, &recorded);
    if (!status)
        status = step_check_order(r, key->path, key->item ? key->item : "", seq);
    if (!status && !recorded) {
        status = open_step(r, key, text, hex);
        text = NULL;
        store_point(r->store, "step.begin");
    }
    free(text);
    if (status) {
        json_decref(recorded);
        return status;
    }
    *done = recorded != NULL;
    *result = recorded;
    return AGON_OK;
}

/* Checkpoint objects of the open step, as an array of hashes. */
static json_t *open_checkpoints(run *r) {
    json_t *rows = NULL, *parameters = json_pack("[ssI]", r->id, r->path, (json_int_t)r->attempt);
    if (store_query_json(r->store, "SELECT object FROM checkpoint WHERE run = ?1 AND path = ?2 AND attempt = ?3",
                         parameters, &rows) != AGON_OK)
        rows = NULL;
    json_decref(parameters);
    return rows;
}

/* Removes an object that nothing names any more. A failure leaves a file for object_collect. */
static void drop_object(run *r, const char *hex) {
    int64_t named = 1;
    agon_status status = object_n_named(r->store, hex, &named);
    if (!status && named == 0)
        status = object_remove(r->store, hex);
    (void)status;
}

agon_status step_commit(run *r, const json_t *result) {
    RUN_CLOCK(r);
    if (r->open != OPEN_SINGLE)
        return ctx_fail(r->ctx, AGON_EINVAL, "step_commit without step_begin");
    char hash[HASH_HEX_SIZE];
    json_t *list = store_take_records(r->store), *checkpoints = open_checkpoints(r), *row;
    size_t i;
    char *text = result ? json_canonical(result) : strdup("null"), *records = list ? json_canonical(list) : NULL;
    agon_status status = AGON_OK;
    if (!text || !records) {
        status = ctx_fail(r->ctx, AGON_EINVAL, "step %s: the result is not valid JSON", r->path);
        store_rollback(r->store);
    } else {
        text_hash(text, hash);
        store_point(r->store, "step.commit");
        journal_row link = {.path = r->path, .item = r->item, .kind = r->kind, .shape = "single",
                            .input_hash = r->input_hash, .result_hash = hash, .records = records,
                            .attempt = r->attempt, .reproducible = r->reproducible};
        status = step_append(r, &link, r->input, text);
    }
    if (!status) {
        store_point(r->store, "step.done");
        json_array_foreach(checkpoints, i, row)
            drop_object(r, json_string_value(json_object_get(row, "object")));
    }
    free(text);
    free(records);
    json_decref(list);
    json_decref(checkpoints);
    close_step(r);
    return status;
}

void step_abort(run *r) {
    store_rollback(r->store);
    close_step(r);
}

agon_status step_once(run *r, const step_key *key, const json_t *input, step_work work, void *arg, json_t **result) {
    json_t *made = NULL;
    bool done = false;
    if (!input)
        return ctx_fail(r->ctx, AGON_ENOMEM, "step %s: no memory for its input, or it is not UTF-8", key->path);
    agon_status status = step_begin(r, key, input, &done, &made);
    if (!status && !done) {
        status = work(arg, &made);
        if (!status && !made)
            status = ctx_fail(r->ctx, AGON_ENOMEM, "step %s: no memory for its result, or it is not UTF-8", key->path);
        if (!status)
            status = step_commit(r, made);
        else
            step_abort(r);
    }
    if (status)
        json_decref(made);
    else
        *result = made;
    return status;
}

typedef struct to_list {
    step_add add;
    void *arg;
    size_t n;
} to_list;

static agon_status add_all(void *arg, json_t **result) {
    const to_list *x = arg;
    agon_status status = AGON_OK;
    *result = json_array();
    for (size_t i = 0; *result && i < x->n && !status; i++)
        status = x->add(x->arg, i, *result);
    return status;
}

agon_status step_list(run *r, const step_key *key, const json_t *input, size_t n, step_add add, void *arg, json_t **result) {
    return step_once(r, key, input, add_all, &(to_list){add, arg, n}, result);
}

/* ---- checkpoints ------------------------------------------------------------------------------------ */

static json_t *checkpoint_key(run *r, const step_key *key) {
    return json_pack("[sssI]", r->id, key->path, key->item ? key->item : "", (json_int_t)key->attempt);
}

/* The latest checkpoint's number and object; object "" when there is none. */
static agon_status find_checkpoint(run *r, const step_key *key, uint64_t *n, char object[HASH_HEX_SIZE]) {
    json_t *parameters = checkpoint_key(r, key), *rows = NULL;
    agon_status status = store_query_json(r->store,
                                          "SELECT n, object FROM checkpoint WHERE run = ?1 AND path = ?2"
                                          " AND item = ?3 AND attempt = ?4",
                                          parameters, &rows);
    json_decref(parameters);
    if (status)
        return status;
    const json_t *row = json_array_get(rows, 0);
    const char *hex = json_string_value(json_object_get(row, "object"));
    *n = (uint64_t)json_integer_value(json_object_get(row, "n"));
    snprintf(object, HASH_HEX_SIZE, "%s", hex ? hex : "");
    json_decref(rows);
    return AGON_OK;
}

agon_status step_checkpoint_put(run *r, const step_key *key, uint64_t n, const byte_stream *state) {
    RUN_CLOCK(r);
    char old[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
    hash256 hash;
    uint64_t before;
    if (r->open == OPEN_NONE)
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s: a checkpoint outside an open step", key->path);
    agon_status status = find_checkpoint(r, key, &before, old);
    if (!status)
        status = object_write(r->store, state, &hash);
    if (status)
        return status;
    hash_hex(&hash, hex);
    store_point(r->store, "checkpoint.before");
    json_t *values = checkpoint_key(r, key);
    if (values && (json_array_append_new(values, json_integer((json_int_t)n)) ||
                   json_array_append_new(values, json_string(hex)) ||
                   json_array_append_new(values, json_integer((json_int_t)state->size)) ||
                   json_array_append_new(values, json_integer(store_now_ms())))) {
        json_decref(values);
        values = NULL;
    }
    status = store_write_now_take(r->store,
                                  "INSERT INTO checkpoint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                                  " ON CONFLICT DO UPDATE SET n = ?5, object = ?6, size = ?7, created_ms = ?8",
                                  values, true);
    store_point(r->store, "checkpoint.after");
    if (!status && *old && strcmp(old, hex) != 0)
        drop_object(r, old);
    return status;
}

agon_status step_checkpoint_open(run *r, const step_key *key, uint64_t *n, byte_reader *out) {
    char object[HASH_HEX_SIZE];
    uint64_t number;
    hash256 hash;
    byte_reader found = {0};
    agon_status status = find_checkpoint(r, key, &number, object);
    if (status)
        return status;
    if (hash_parse(object, &hash))
        status = object_open(r->store, &hash, &found);
    /* A lost or damaged checkpoint costs time, not truth: the step starts again from its input. */
    if (status == AGON_ENOTFOUND || status == AGON_EMISMATCH)
        status = AGON_OK;
    if (status)
        return status;
    *n = found.path ? number : 0;
    *out = found;
    return AGON_OK;
}

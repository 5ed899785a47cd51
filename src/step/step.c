/* The durable step, see step.h: single steps, checkpoints; run.c begins and ends the run they belong to.
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
#include "base/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what both shapes share ------------------------------------------------------------------------- */

uint64_t step_seed(const run *r, const step_key *key) {
    return seed_derivef(r->seed, "%s|%s|%d", key->path, key->item ? key->item : "", key->attempt);
}

void step_close(run *r) {
    free(r->path);
    free(r->item);
    free(r->kind);
    free(r->input);
    r->path = r->item = r->kind = r->input = NULL;
    r->open = OPEN_NONE;
}

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
    step_close(r);
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
    step_close(r);
    return status;
}

void step_abort(run *r) {
    store_rollback(r->store);
    step_close(r);
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

/* Batched steps: items recorded one by one, committed in groups, closed by one chain link over their Merkle root. See
 * step.h, and the invariants in step.c. A crash loses at most the group not yet flushed. */
#include "base/memory.h"
#include "step/step_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct batch_item {
    char *item;
    char *input; /* canonical; freed once queued */
    char input_hash[HASH_HEX_SIZE];
    json_t *result; /* NULL: to do */
    hash256 leaf;
} batch_item;

struct step_batch {
    run *run;
    char *path, *kind;
    int attempt;
    bool reproducible;
    bool closed; /* its chain link is written */
    bool failed; /* a flush failed: what it held is gone */
    batch_item *items;
    size_t n, n_done;
    char input_hash[HASH_HEX_SIZE]; /* of [[item, its input's hash], ...] */
};

/* ---- beginning -------------------------------------------------------------------------------------- */

static agon_status copy_items(step_batch *b, const step_item *items) {
    agon_ctx *ctx = b->run->ctx;
    json_t *seen = json_object(), *list = json_array();
    char *canonical = NULL;
    agon_status status = seen && list ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; i < b->n && !status; i++) {
        batch_item *item = &b->items[i];
        const char *name = items[i].item;
        if (!name || !*name || strchr(name, '|') || strlen(name) + strlen(b->path) > 480)
            status = ctx_fail(ctx, AGON_EINVAL, "step %s: the name of item %zu is empty, too long or holds '|'",
                              b->path, i);
        else if (json_object_get(seen, name))
            status = ctx_fail(ctx, AGON_EINVAL, "step %s: item '%s' is there twice", b->path, name);
        if (status)
            break;
        item->item = strdup(name);
        item->input = items[i].input ? json_canonical(items[i].input) : strdup("null");
        if (!item->item || !item->input) {
            status = ctx_fail(ctx, AGON_EINVAL, "step %s item '%s': the input is not valid JSON", b->path, name);
            break;
        }
        text_hash(item->input, item->input_hash);
        if (json_object_set_new(seen, name, json_true()) != 0 ||
            json_array_append_new(list, json_pack("[ss]", name, item->input_hash)) != 0)
            status = ctx_fail(ctx, AGON_EINVAL, "step %s item '%s': not valid UTF-8", b->path, name);
    }
    if (!status && !(canonical = json_canonical(list)))
        status = ctx_no_memory(ctx);
    if (!status)
        text_hash(canonical, b->input_hash);
    free(canonical);
    json_decref(seen);
    json_decref(list);
    return status;
}

/* Takes over one recorded item. Columns: item, position, input_hash, result, result_hash, records, hash, kind, reproducible. */
static agon_status adopt_item(step_batch *b, sqlite3_stmt *row) {
    agon_ctx *ctx = b->run->ctx;
    int64_t position = sqlite3_column_int64(row, 1);
    const char *name = store_column(row, 0), *text = store_column(row, 3);
    char result_hash[HASH_HEX_SIZE];
    hash256 leaf;
    if (position < 0 || (uint64_t)position >= b->n || strcmp(b->items[position].item, name) != 0)
        return ctx_fail(ctx, AGON_EMISMATCH,
                        "step %s: recorded item '%s' (number %lld) is not at that place now; the recipe made "
                        "other items than when it was recorded",
                        b->path, name, (long long)position);
    batch_item *item = &b->items[position];
    if (item->result)
        return ctx_fail(ctx, AGON_EMISMATCH, "step %s item '%s': it is recorded twice; `agon verify` says more; restore the workspace from a copy",
                        b->path, name);
    agon_status status = step_check_input(b->run, b->path, name, b->attempt, store_column(row, 2), item->input_hash);
    if (status)
        return status;
    text_hash(text, result_hash);
    journal_item link = {.path = b->path, .item = name, .kind = store_column(row, 7), .input_hash = item->input_hash,
                         .result_hash = result_hash, .records = store_column(row, 5), .attempt = b->attempt,
                         .position = position, .reproducible = sqlite3_column_int(row, 8)};
    char hex[HASH_HEX_SIZE];
    *hex = 0;
    if (journal_item_hash(&link, &leaf)) /* else not UTF-8 */
        hash_hex(&leaf, hex);
    if (strcmp(hex, store_column(row, 6)) != 0)
        return ctx_fail(ctx, AGON_EMISMATCH, "step %s item '%s': the recorded result is damaged (%s, should be %s)",
                        b->path, name, hex, store_column(row, 6));
    item->result = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!item->result)
        return ctx_fail(ctx, AGON_EFORMAT, "step %s item '%s': the recorded result is not JSON", b->path, name);
    item->leaf = leaf;
    free(item->input);
    item->input = NULL;
    b->n_done++;
    return AGON_OK;
}

static void bind_batch(sqlite3_stmt *statement, const step_batch *b) {
    sqlite3_bind_text(statement, 1, b->run->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, b->path, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 3, b->attempt);
}

static agon_status adopt_items(step_batch *b) {
    store *s = b->run->store;
    sqlite3_stmt *statement;
    agon_status status = store_statement_get(
        s, s->db,
        "SELECT item, position, input_hash, result, result_hash, records, hash, kind, reproducible FROM step_item"
        " WHERE run = ?1 AND path = ?2 AND attempt = ?3",
        &statement);
    if (status)
        return status;
    bind_batch(statement, b);
    int rc = SQLITE_DONE;
    while (!status && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        status = adopt_item(b, statement);
    if (!status && rc != SQLITE_DONE)
        status = store_sql_fail(s, s->db, "reading the journal");
    sqlite3_reset(statement);
    return status;
}

/* The chain link of a finished batch; *seq 0 when there is none. */
static agon_status find_link(step_batch *b, int64_t *seq) {
    store *s = b->run->store;
    sqlite3_stmt *statement;
    agon_status status = store_statement_get(
        s, s->db,
        "SELECT seq, shape, input_hash FROM step WHERE run = ?1 AND path = ?2 AND attempt = ?3 AND item = ''",
        &statement);
    if (status)
        return status;
    bind_batch(statement, b);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *seq = sqlite3_column_int64(statement, 0);
        status = strcmp(store_column(statement, 1), "batch") != 0
                     ? ctx_fail(b->run->ctx, AGON_EMISMATCH, "step %s was recorded as a single step", b->path)
                     : step_check_input(b->run, b->path, "", b->attempt, store_column(statement, 2), b->input_hash);
    } else if (rc != SQLITE_DONE) {
        status = store_sql_fail(s, s->db, "reading the journal");
    }
    sqlite3_reset(statement);
    return status;
}

agon_status step_batch_begin(run *r, const step_key *key, const step_item *items, size_t n_items,
                             step_batch **out) {
    RUN_CLOCK(r);
    const step_key place = {.path = key->path, .attempt = key->attempt};
    char memory[128];
    agon_status status = step_check_key(r, &place);
    if (status)
        return status;
    step_batch *b = calloc(1, sizeof *b);
    if (!b)
        return ctx_no_memory(r->ctx);
    b->run = r;
    b->path = strdup(key->path);
    b->kind = strdup(step_kind(key, memory, sizeof memory));
    b->attempt = key->attempt;
    b->reproducible = key->reproducible;
    b->items = calloc(n_items ? n_items : 1, sizeof *b->items);
    b->n = b->items ? n_items : 0;
    if (!b->path || !b->kind || !b->items)
        status = ctx_no_memory(r->ctx);
    int64_t seq = 0;
    if (!status)
        status = copy_items(b, items);
    if (!status) /* items first: their message names the item whose input changed */
        status = adopt_items(b);
    if (!status)
        status = find_link(b, &seq);
    if (!status)
        status = step_check_order(r, b->path, "", seq);
    if (!status && seq && b->n_done != b->n)
        status = ctx_fail(r->ctx, AGON_EMISMATCH, "step %s: %zu of its %zu items are missing from the journal", b->path,
                          b->n - b->n_done, b->n);
    if (!status && !seq && !(r->path = strdup(b->path)))
        status = ctx_no_memory(r->ctx);
    if (status) {
        step_batch_free(b);
        return status;
    }
    b->closed = seq != 0;
    if (!b->closed) {
        r->open = OPEN_BATCH;
        store_point(r->store, "batch.begin");
    }
    *out = b;
    return AGON_OK;
}

/* ---- recording -------------------------------------------------------------------------------------- */

const json_t *step_batch_result(const step_batch *b, size_t i) {
    return i < b->n ? b->items[i].result : NULL;
}

size_t step_batch_n_done(const step_batch *b) {
    return b->n_done;
}

uint64_t step_batch_seed(const step_batch *b, size_t i) {
    const step_key key = {.path = b->path, .item = b->items[i].item, .attempt = b->attempt};
    return step_seed(b->run, &key);
}

static agon_status queue_item(step_batch *b, size_t i, const char *result, const char *records) {
    batch_item *item = &b->items[i];
    char result_hash[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
    text_hash(result, result_hash);
    journal_item link = {.path = b->path, .item = item->item, .kind = b->kind, .input_hash = item->input_hash,
                         .result_hash = result_hash, .records = records, .attempt = b->attempt,
                         .position = (int64_t)i, .reproducible = b->reproducible};
    if (!journal_item_hash(&link, &item->leaf))
        return ctx_no_memory(b->run->ctx);
    hash_hex(&item->leaf, hex);
    return store_queue_take(
        b->run->store,
        "INSERT INTO step_item VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        json_pack("[ssIsIsbssssssI]", b->run->id, b->path, (json_int_t)b->attempt, item->item, (json_int_t)i,
                  b->kind, b->reproducible, item->input, item->input_hash, result, result_hash, records, hex,
                  (json_int_t)store_now_ms()),
        false);
}

agon_status step_batch_record(step_batch *b, size_t i, const json_t *result) {
    RUN_CLOCK(b->run);
    if (b->closed || b->failed || i >= b->n || b->items[i].result)
        return ctx_fail(b->run->ctx, AGON_EINVAL, "step %s: item %zu cannot be recorded %s", b->path, i,
                        b->failed ? "after a failed flush" : i < b->n ? "again" : "(there is no such item)");
    json_t *list = store_take_records(b->run->store);
    char *text = result ? json_canonical(result) : strdup("null"), *records = list ? json_canonical(list) : NULL;
    json_t *kept = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    agon_status status = AGON_OK;
    if (!kept || !records)
        status = ctx_fail(b->run->ctx, AGON_EINVAL, "step %s item '%s': the result is not valid JSON", b->path,
                          b->items[i].item);
    if (!status)
        status = queue_item(b, i, text, records);
    if (!status) {
        b->items[i].result = kept;
        kept = NULL;
        free(b->items[i].input);
        b->items[i].input = NULL;
        b->n_done++;
        store_point(b->run->store, "batch.record");
    } else {
        b->failed = true; /* its records are queued but belong to no item: drop them with the rest */
        store_rollback(b->run->store);
    }
    json_decref(kept);
    json_decref(list);
    free(text);
    free(records);
    return status;
}

agon_status step_batch_flush(step_batch *b) {
    RUN_CLOCK(b->run);
    if (b->closed)
        return AGON_OK;
    if (b->failed)
        return ctx_fail(b->run->ctx, AGON_EINVAL, "step %s: flushed again after a failure", b->path);
    if (json_array_size(b->run->store->records))
        return ctx_fail(b->run->ctx, AGON_EINVAL, "step %s: records were queued for no item", b->path);
    store_point(b->run->store, "batch.flush");
    agon_status status = store_commit(b->run->store);
    if (status) {
        b->failed = true;
        store_rollback(b->run->store);
        return ctx_prefix(b->run->ctx, status, "step %s", b->path);
    }
    store_point(b->run->store, "batch.flushed");
    return AGON_OK;
}

static agon_status append_link(step_batch *b) {
    hash256 *leaves = memory_new(b->n ? b->n : 1, sizeof *leaves);
    char root_hex[HASH_HEX_SIZE];
    if (!leaves)
        return ctx_no_memory(b->run->ctx);
    for (size_t i = 0; i < b->n; i++)
        leaves[i] = b->items[i].leaf;
    hash256 root = merkle_root(leaves, b->n);
    free(leaves);
    hash_hex(&root, root_hex);
    journal_row link = {.path = b->path, .item = "", .kind = b->kind, .shape = "batch",
                        .input_hash = b->input_hash, .result_hash = root_hex, .records = "[]",
                        .attempt = b->attempt, .n_items = (int64_t)b->n, .reproducible = b->reproducible};
    return step_append(b->run, &link, NULL, NULL);
}

static void close_run(step_batch *b) {
    b->run->open = OPEN_NONE;
    free(b->run->path);
    b->run->path = NULL;
}

agon_status step_batch_end(step_batch *b) {
    RUN_CLOCK(b->run);
    if (b->closed)
        return AGON_OK;
    if (b->n_done != b->n)
        return ctx_fail(b->run->ctx, AGON_EINVAL, "step %s: %zu of its %zu items are not recorded", b->path,
                        b->n - b->n_done, b->n);
    agon_status status = step_batch_flush(b);
    if (!status)
        status = append_link(b);
    if (status) {
        b->failed = true;
        return status;
    }
    b->closed = true;
    close_run(b);
    store_point(b->run->store, "batch.end");
    return AGON_OK;
}

void step_batch_free(step_batch *b) {
    if (!b)
        return;
    if (!b->closed && b->run->open == OPEN_BATCH) {
        store_rollback(b->run->store);
        close_run(b);
    }
    for (size_t i = 0; i < b->n; i++) {
        free(b->items[i].item);
        free(b->items[i].input);
        json_decref(b->items[i].result);
    }
    free(b->items);
    free(b->path);
    free(b->kind);
    free(b);
}

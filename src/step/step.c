/* The durable step (step.h).
 *
 * Invariants
 *   1. A row of `step` (or of `step_item`) is written in the same transaction as every record of it. What is
 *      not in the journal did not happen.
 *   2. Rows are never changed. A step found in the journal is returned, not run.
 *   3. Each `step` row links to the one before it: hash = SHA-256 of canonical JSON of prev, path, item, attempt,
 *      kind, input hash, result hash, records and n_items. Times are outside. The first row's prev is the hash
 *      of name, seed and configuration.
 *   4. The chain has one link a single step, and one a batch, whose result hash is the Merkle root of its
 *      items' hashes in item order. So neither grouping nor interruption shows in it.
 *   5. A checkpoint belongs to an open step, is durable at once, and goes with that step's commit.
 *
 *   IDLE --step_begin (not recorded)--> OPEN --step_commit--> IDLE      transaction: records, row, chain
 *    |  ^                                 +----step_abort---> IDLE      nothing remains but the checkpoint
 *    |  +--step_begin (recorded): result, stays IDLE
 *    +--step_batch_begin--> BATCH --step_batch_record*, step_batch_flush*--> BATCH  transaction: a group of items
 *                            +-----step_batch_end--> IDLE                transaction: the batch's link
 */
#include "step/step.h"
#include "base/ctx.h"
#include "base/json.h"
#include "step/journal.h"
#include "store/store_internal.h"
#include <stdlib.h>
#include <string.h>

typedef enum run_mode { RUN_IDLE, RUN_OPEN, RUN_BATCH } run_mode;

struct run {
    agon_ctx *ctx;
    store *s;
    char *id;
    uint64_t seed;
    int64_t n_steps;
    hash256 head;
    run_mode mode;
    /* the open single step */
    char *path, *item, *kind, *input;
    int attempt;
    bool reproducible;
    hash256 input_hash;
};

/* ---- runs -------------------------------------------------------------------------------------------- */

static const char insert_run[] = "INSERT INTO run (id, name, seed, config, hash, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

static const char *text_member(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static agon_status make_run(run *r, const run_options *o, const char *config, const hash256 *genesis) {
    char hex[HASH_HEX_SIZE], seed[24];
    hash_hex(genesis, hex);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    json_t *values = json_pack("[s%, s, s, s, s, I]", hex, (size_t)32, o->name, seed, config, hex, (json_int_t)store_now_ms());
    return store_write_now_take(r->s, insert_run, values, true);
}

/* The run's row: found and equal, or made. */
static agon_status find_or_make_run(run *r, const run_options *o, const char *config, const hash256 *genesis) {
    char hex[HASH_HEX_SIZE];
    json_t *rows = NULL, *parameters = json_pack("[s]", o->name);
    agon_status status = store_query_json(r->s, "SELECT id, seed, config, hash FROM run WHERE name = ?1", parameters, &rows);
    json_decref(parameters);
    hash_hex(genesis, hex);
    if (!status && json_array_size(rows) == 0)
        status = make_run(r, o, config, genesis);
    else if (!status && strcmp(text_member(json_array_get(rows, 0), "hash"), hex) != 0)
        status = ctx_fail(r->ctx, AGON_EMISMATCH,
                          "%s holds a run '%s' with another seed or configuration; restore its run file, or choose another "
                          "name in the run file or another workspace",
                          store_folder(r->s), o->name);
    json_decref(rows);
    if (!status && !(r->id = strndup(hex, 32)))
        status = ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    return status;
}

static agon_status read_head(run *r, const hash256 *genesis) {
    json_t *rows = NULL, *parameters = json_pack("[s]", r->id);
    agon_status status =
        store_query_json(r->s, "SELECT seq, hash FROM step WHERE run = ?1 ORDER BY seq DESC LIMIT 1", parameters, &rows);
    r->head = *genesis;
    const json_t *last = json_array_get(rows, 0);
    if (!status && last) {
        r->n_steps = json_integer_value(json_object_get(last, "seq")) + 1;
        if (!hash_parse(text_member(last, "hash"), &r->head))
            status = ctx_fail(r->ctx, AGON_EMISMATCH, "the journal's last link is damaged; agon verify names the record");
    }
    json_decref(parameters);
    json_decref(rows);
    return status;
}

agon_status run_begin(agon_ctx *ctx, store *s, const run_options *o, run **out) {
    run *r = calloc(1, sizeof *r);
    char *config = json_canonical(o->config), seed[24];
    if (!r || !config) {
        free(r);
        free(config);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    }
    *r = (run){.ctx = ctx, .s = s, .seed = o->seed};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    hash256 genesis = journal_genesis(o->name, seed, config);
    store_set_hook(s, o->hook, o->hook_arg);
    agon_status status = find_or_make_run(r, o, config, &genesis);
    if (!status)
        status = read_head(r, &genesis);
    if (!status)
        status = store_progress(s, r->id, "running", 0, "", NULL);
    free(config);
    if (status) {
        free(r->id);
        free(r);
        return status;
    }
    *out = r;
    return AGON_OK;
}

static void forget_open(run *r) {
    free(r->path);
    free(r->item);
    free(r->kind);
    free(r->input);
    r->path = r->item = r->kind = r->input = NULL;
    r->mode = RUN_IDLE;
}

void run_end(run *r) {
    if (!r)
        return;
    if (r->mode == RUN_OPEN)
        step_abort(r);
    free(r->id);
    free(r);
}

agon_status run_finish(run *r, const char *state, const char *reason) {
    agon_status status = store_event(r->s, r->id, 0, state, reason ? reason : "the recipe came to its end", NULL);
    if (!status)
        status = store_commit(r->s);
    return status ? status : store_progress(r->s, r->id, state, 0, reason ? reason : "", NULL);
}

agon_status run_stage(run *r, int64_t iteration, const char *stage) {
    return store_progress(r->s, r->id, "running", iteration, stage, NULL);
}

const char *run_id(const run *r) {
    return r->id;
}
uint64_t run_seed(const run *r) {
    return r->seed;
}
store *run_store(const run *r) {
    return r->s;
}
agon_ctx *run_ctx(const run *r) {
    return r->ctx;
}
hash256 run_head(const run *r) {
    return r->head;
}

uint64_t step_seed(const run *r, const step_key *key) {
    return journal_seed(r->seed, key->path, key->item ? key->item : "", key->attempt);
}

/* ---- single steps ---------------------------------------------------------------------------------------- */

static const char insert_step[] =
    "INSERT INTO step (run, seq, path, item, attempt, kind, shape, reproducible, input, input_hash, result, result_hash,"
    " records, n_items, prev, hash, created_ms) VALUES"
    " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
static const char delete_checkpoint[] =
    "DELETE FROM checkpoint WHERE run = ?1 AND path = ?2 AND item = ?3 AND attempt = ?4";

static const char *kind_of(const step_key *key) {
    const char *slash = strrchr(key->path, '/');
    return key->kind ? key->kind : slash ? slash + 1 : key->path;
}

static agon_status mismatch(run *r, const char *path, const char *item, const char *recorded, const hash256 *now) {
    char hex[HASH_HEX_SIZE];
    hash_hex(now, hex);
    return ctx_fail(r->ctx, AGON_EMISMATCH,
                    "step %s%s%s: its input is not the recorded one (recorded %.16s, now %.16s); the recipe, a file it "
                    "reads or the program changed since: use another workspace, or put it back",
                    path, *item ? " item " : "", item, recorded, hex);
}

static agon_status find_step(run *r, const step_key *key, json_t **rows) {
    json_t *parameters = json_pack("[s, s, s, i]", r->id, key->path, key->item ? key->item : "", key->attempt);
    agon_status status = store_query_json(
        r->s,
        "SELECT input_hash, result, result_hash, hash FROM step WHERE run = ?1 AND path = ?2 AND item = ?3 AND attempt = ?4",
        parameters, rows);
    json_decref(parameters);
    return status;
}

static agon_status open_step(run *r, const step_key *key, char *input_take, const hash256 *input_hash) {
    r->path = strdup(key->path);
    r->item = strdup(key->item ? key->item : "");
    r->kind = strdup(kind_of(key));
    r->input = input_take;
    r->attempt = key->attempt;
    r->reproducible = key->reproducible;
    r->input_hash = *input_hash;
    r->mode = RUN_OPEN;
    if (!r->path || !r->item || !r->kind) {
        forget_open(r);
        return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    }
    store_point(r->s, "step.begin");
    return AGON_OK;
}

agon_status step_begin(run *r, const step_key *key, const json_t *input, bool *done, json_t **result) {
    if (r->mode != RUN_IDLE)
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s begins while another is open", key->path);
    char *text = json_canonical(input);
    json_t *rows = NULL;
    if (!text)
        return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    hash256 hash = hash_text(text);
    char hex[HASH_HEX_SIZE];
    hash_hex(&hash, hex);
    agon_status status = find_step(r, key, &rows);
    const json_t *found = json_array_get(rows, 0);
    *done = false;
    *result = NULL;
    if (!status && found) {
        const char *recorded = text_member(found, "input_hash"), *body = text_member(found, "result");
        if (strcmp(recorded, hex) != 0)
            status = mismatch(r, key->path, key->item ? key->item : "", recorded, &hash);
        if (!status)
            status = json_parse(r->ctx, key->path, body, strlen(body), result);
        *done = !status;
        free(text);
    } else if (!status) {
        status = open_step(r, key, text, &hash);
    } else {
        free(text);
    }
    json_decref(rows);
    return status;
}

/* Queues the link; the new head is the caller's to install after the commit. */
static agon_status queue_link(run *r, const journal_link *link, const char *shape, bool reproducible, const char *input,
                              const char *result, hash256 *head) {
    char prev[HASH_HEX_SIZE], in[HASH_HEX_SIZE], out[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
    *head = journal_link_hash(link);
    hash_hex(&link->prev, prev);
    hash_hex(&link->input_hash, in);
    hash_hex(&link->result_hash, out);
    hash_hex(head, hex);
    json_t *values = json_pack("[s, I, s, s, i, s, s, i, s?, s, s?, s, s, I, s, s, I]", r->id, (json_int_t)r->n_steps,
                               link->path, link->item, link->attempt, link->kind, shape, (int)reproducible, input, in, result,
                               out, link->records, (json_int_t)link->n_items, prev, hex, (json_int_t)store_now_ms());
    return store_queue_take(r->s, insert_step, values, false);
}

/* The step's checkpoint row goes with the commit; its object is collected afterwards. */
static agon_status queue_checkpoint_end(run *r, const char *path, const char *item, int attempt, char **object) {
    json_t *parameters = json_pack("[s, s, s, i]", r->id, path, item, attempt), *rows = NULL;
    agon_status status = store_query_json(
        r->s, "SELECT object FROM checkpoint WHERE run = ?1 AND path = ?2 AND item = ?3 AND attempt = ?4", parameters, &rows);
    *object = NULL;
    if (!status && json_array_size(rows)) {
        *object = strdup(text_member(json_array_get(rows, 0), "object"));
        status = store_queue_take(r->s, delete_checkpoint, json_incref(parameters), false);
    }
    json_decref(parameters);
    json_decref(rows);
    return status;
}

agon_status step_commit(run *r, const json_t *result) {
    if (r->mode != RUN_OPEN)
        return ctx_fail(r->ctx, AGON_EINVAL, "step_commit without an open step");
    json_t *list = store_take_records(r->s);
    char *records = json_canonical(list), *text = json_canonical(result), *object = NULL;
    hash256 head = r->head;
    agon_status status = records && text ? AGON_OK : ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    if (!status) {
        journal_link link = {.prev = r->head, .path = r->path, .item = r->item, .kind = r->kind, .attempt = r->attempt,
                             .input_hash = r->input_hash, .result_hash = hash_text(text), .records = records};
        status = queue_link(r, &link, "single", r->reproducible, r->input, text, &head);
    }
    if (!status)
        status = queue_checkpoint_end(r, r->path, r->item, r->attempt, &object);
    if (!status)
        status = store_commit(r->s);
    if (!status) {
        r->head = head;
        r->n_steps++;
        if (object && object_remove(r->s, object) != AGON_OK)
            r->ctx->message[0] = 0; /* left for the next start to collect */
        forget_open(r);
    } else {
        step_abort(r);
    }
    free(object);
    free(records);
    free(text);
    json_decref(list);
    return status;
}

void step_abort(run *r) {
    if (r->mode != RUN_OPEN)
        return;
    store_rollback(r->s);
    forget_open(r);
}

/* ---- checkpoints ---------------------------------------------------------------------------------------------- */

static const char replace_checkpoint[] =
    "INSERT OR REPLACE INTO checkpoint (run, path, item, attempt, n, object, size, created_ms)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

static agon_status checkpoint_row(run *r, const step_key *key, json_t **rows) {
    json_t *parameters = json_pack("[s, s, s, i]", r->id, key->path, key->item ? key->item : "", key->attempt);
    agon_status status = store_query_json(
        r->s, "SELECT n, object FROM checkpoint WHERE run = ?1 AND path = ?2 AND item = ?3 AND attempt = ?4", parameters, rows);
    json_decref(parameters);
    return status;
}

agon_status step_checkpoint_put(run *r, const step_key *key, uint64_t n, const void *data, size_t size) {
    hash256 hash;
    char hex[HASH_HEX_SIZE], *old = NULL;
    json_t *rows = NULL;
    agon_status status = checkpoint_row(r, key, &rows);
    if (!status && json_array_size(rows))
        old = strdup(text_member(json_array_get(rows, 0), "object"));
    if (!status)
        status = object_write(r->s, data, size, &hash);
    hash_hex(&hash, hex);
    store_point(r->s, "checkpoint.written");
    if (!status)
        status = store_write_now_take(r->s, replace_checkpoint,
                                      json_pack("[s, s, s, i, I, s, I, I]", r->id, key->path, key->item ? key->item : "",
                                                key->attempt, (json_int_t)n, hex, (json_int_t)size,
                                                (json_int_t)store_now_ms()),
                                      true);
    if (!status && old && strcmp(old, hex) != 0)
        status = object_remove(r->s, old);
    store_point(r->s, "checkpoint.recorded");
    json_decref(rows);
    free(old);
    return status;
}

agon_status step_checkpoint_get(run *r, const step_key *key, uint64_t *n, void **data, size_t *size) {
    json_t *rows = NULL;
    hash256 hash;
    agon_status status = checkpoint_row(r, key, &rows);
    const json_t *found = json_array_get(rows, 0);
    *n = 0;
    *data = NULL;
    *size = 0;
    if (!status && found && hash_parse(text_member(found, "object"), &hash)) {
        status = object_get(r->s, &hash, data, size);
        *n = (uint64_t)json_integer_value(json_object_get(found, "n"));
    }
    json_decref(rows);
    return status;
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

struct step_batch {
    run *r;
    char *path, *kind;
    int attempt;
    bool reproducible;
    size_t n, n_done, n_pending;
    char **items, **inputs;
    hash256 *input_hashes, *hashes;
    json_t **results;
};

static const char insert_item[] =
    "INSERT INTO step_item (run, path, attempt, item, position, kind, reproducible, input, input_hash, result, result_hash,"
    " records, hash, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

static agon_status fill_items(step_batch *b, const step_item *items) {
    agon_ctx *ctx = b->r->ctx;
    size_t n = b->n + 1;
    b->items = calloc(n, sizeof *b->items);
    b->inputs = calloc(n, sizeof *b->inputs);
    b->input_hashes = calloc(n, sizeof *b->input_hashes);
    b->hashes = calloc(n, sizeof *b->hashes);
    b->results = calloc(n, sizeof *b->results);
    if (!b->path || !b->kind || !b->items || !b->inputs || !b->input_hashes || !b->hashes || !b->results)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < b->n; i++) {
        b->items[i] = strdup(items[i].item);
        b->inputs[i] = json_canonical(items[i].input);
        if (!b->items[i] || !b->inputs[i])
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
        b->input_hashes[i] = hash_text(b->inputs[i]);
    }
    return AGON_OK;
}

static agon_status take_recorded(step_batch *b, const json_t *row_item) {
    size_t i = (size_t)json_integer_value(json_object_get(row_item, "position"));
    char hex[HASH_HEX_SIZE];
    const char *item = text_member(row_item, "item"), *body = text_member(row_item, "result");
    if (i >= b->n || strcmp(b->items[i], item) != 0)
        return ctx_fail(b->r->ctx, AGON_EMISMATCH,
                        "step %s: item %s was recorded at another place of the batch; the recipe or the program changed", b->path,
                        item);
    hash_hex(&b->input_hashes[i], hex);
    if (strcmp(hex, text_member(row_item, "input_hash")) != 0)
        return mismatch(b->r, b->path, item, text_member(row_item, "input_hash"), &b->input_hashes[i]);
    if (!hash_parse(text_member(row_item, "hash"), &b->hashes[i]))
        return ctx_fail(b->r->ctx, AGON_EMISMATCH, "step %s item %s: its hash is damaged", b->path, item);
    agon_status status = json_parse(b->r->ctx, b->path, body, strlen(body), &b->results[i]);
    b->n_done += !status;
    return status;
}

static agon_status load_items(step_batch *b) {
    json_t *rows = NULL, *row_item, *parameters = json_pack("[s, s, i]", b->r->id, b->path, b->attempt);
    agon_status status = store_query_json(
        b->r->s, "SELECT item, position, input_hash, result, hash FROM step_item WHERE run = ?1 AND path = ?2 AND attempt = ?3",
        parameters, &rows);
    size_t i;
    if (!status)
        json_array_foreach(rows, i, row_item) {
            status = take_recorded(b, row_item);
            if (status)
                break;
        }
    json_decref(parameters);
    json_decref(rows);
    return status;
}

agon_status step_batch_begin(run *r, const step_key *key, const step_item *items, size_t n_items, step_batch **out) {
    if (r->mode != RUN_IDLE)
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s begins while another is open", key->path);
    step_batch *b = calloc(1, sizeof *b);
    if (!b)
        return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    *b = (step_batch){.r = r, .path = strdup(key->path), .kind = strdup(kind_of(key)), .attempt = key->attempt,
                      .reproducible = key->reproducible, .n = n_items};
    r->mode = RUN_BATCH;
    agon_status status = fill_items(b, items);
    if (!status)
        status = load_items(b);
    if (status) {
        step_batch_free(b);
        return status;
    }
    store_point(r->s, "batch.begin");
    *out = b;
    return AGON_OK;
}

const json_t *step_batch_result(const step_batch *b, size_t i) {
    return b->results[i];
}

size_t step_batch_n_done(const step_batch *b) {
    return b->n_done;
}

uint64_t step_batch_seed(const step_batch *b, size_t i) {
    step_key key = {.path = b->path, .item = b->items[i], .attempt = b->attempt};
    return step_seed(b->r, &key);
}

agon_status step_batch_record(step_batch *b, size_t i, const json_t *result) {
    run *r = b->r;
    if (i >= b->n || b->results[i])
        return ctx_fail(r->ctx, AGON_EINVAL, "step %s: item %zu is recorded already", b->path, i);
    json_t *list = store_take_records(r->s);
    char *records = json_canonical(list), *text = json_canonical(result);
    agon_status status = records && text ? AGON_OK : ctx_fail(r->ctx, AGON_ENOMEM, "out of memory");
    if (!status) {
        char in[HASH_HEX_SIZE], out[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
        journal_link link = {.path = b->path, .item = b->items[i], .kind = b->kind, .attempt = b->attempt,
                             .input_hash = b->input_hashes[i], .result_hash = hash_text(text), .records = records};
        b->hashes[i] = journal_link_hash(&link);
        hash_hex(&link.input_hash, in);
        hash_hex(&link.result_hash, out);
        hash_hex(&b->hashes[i], hex);
        status = store_queue_take(r->s, insert_item,
                                  json_pack("[s, s, i, s, I, s, i, s, s, s, s, s, s, I]", r->id, b->path, b->attempt,
                                            b->items[i], (json_int_t)i, b->kind, (int)b->reproducible, b->inputs[i], in, text,
                                            out, records, hex, (json_int_t)store_now_ms()),
                                  false);
    }
    if (!status) {
        b->results[i] = json_incref((json_t *)(uintptr_t)result);
        b->n_done++;
        b->n_pending++;
    }
    free(records);
    free(text);
    json_decref(list);
    return status;
}

agon_status step_batch_flush(step_batch *b) {
    agon_status status = store_commit(b->r->s);
    if (!status)
        b->n_pending = 0;
    return status;
}

/* The batch's link: its input is the hash over the items' input hashes, its result their Merkle root. */
static agon_status close_batch(step_batch *b) {
    run *r = b->r;
    hash256 root = journal_merkle_root(b->hashes, b->n), inputs = hash_bytes(b->input_hashes, b->n * sizeof *b->input_hashes);
    char hex[HASH_HEX_SIZE];
    json_t *rows = NULL;
    step_key key = {.path = b->path, .attempt = b->attempt};
    agon_status status = find_step(r, &key, &rows);
    hash_hex(&root, hex);
    if (!status && json_array_size(rows)) {
        const char *recorded = text_member(json_array_get(rows, 0), "result_hash");
        if (strcmp(recorded, hex) != 0)
            status = mismatch(r, b->path, "", recorded, &root);
        json_decref(rows);
        return status;
    }
    json_decref(rows);
    hash256 head;
    journal_link link = {.prev = r->head, .path = b->path, .item = "", .kind = b->kind, .attempt = b->attempt,
                         .input_hash = inputs, .result_hash = root, .records = "[]", .n_items = (int64_t)b->n};
    if (!status)
        status = queue_link(r, &link, "batch", b->reproducible, NULL, NULL, &head);
    if (!status)
        status = store_commit(r->s);
    if (!status) {
        r->head = head;
        r->n_steps++;
    }
    return status;
}

agon_status step_batch_end(step_batch *b) {
    if (b->n_done != b->n)
        return ctx_fail(b->r->ctx, AGON_EINVAL, "step %s ends with %zu of %zu items recorded", b->path, b->n_done, b->n);
    agon_status status = step_batch_flush(b);
    return status ? status : close_batch(b);
}

void step_batch_free(step_batch *b) {
    if (!b)
        return;
    if (b->n_pending)
        store_rollback(b->r->s);
    b->r->mode = RUN_IDLE;
    for (size_t i = 0; i < b->n; i++) {
        if (b->items)
            free(b->items[i]);
        if (b->inputs)
            free(b->inputs[i]);
        if (b->results)
            json_decref(b->results[i]);
    }
    free(b->items);
    free(b->inputs);
    free(b->input_hashes);
    free(b->hashes);
    free(b->results);
    free(b->path);
    free(b->kind);
    free(b);
}

/* What a run tells of itself beside its records: counters that settlements add to, the log, how far it is. */
#include "base/json.h"
#include "store/store_internal.h"
#include <stdio.h>
#include <stdlib.h>

agon_status store_settle(store *s, const char *run, const char *counter, int64_t amount) {
    char *key = NULL;
    if (asprintf(&key, "%s/%s", run, counter) < 0)
        return ctx_no_memory(s->ctx);
    int64_t queued = json_integer_value(json_object_get(s->settled, key)) + amount;
    agon_status status = store_queue_take(
        s, "INSERT INTO counter VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = value + ?3",
        json_pack("[ssI]", run, counter, (json_int_t)amount), false);
    if (!status && json_object_set_new(s->settled, key, json_integer(queued)) != 0)
        status = ctx_no_memory(s->ctx);
    if (!status && json_array_append_new(s->records, json_pack("[ssI]", "settlement", counter,
                                                               (json_int_t)amount)) != 0)
        status = ctx_no_memory(s->ctx);
    free(key);
    return status;
}

agon_status store_counter(store *s, const char *run, const char *counter, int64_t *out) {
    char *key = NULL;
    int64_t stored = 0;
    if (asprintf(&key, "%s/%s", run, counter) < 0)
        return ctx_no_memory(s->ctx);
    json_t *parameters = json_pack("[ss]", run, counter);
    agon_status status =
        store_query_int(s, "SELECT value FROM counter WHERE run = ?1 AND name = ?2", parameters, &stored);
    if (!status && __builtin_add_overflow(stored, json_integer_value(json_object_get(s->settled, key)), out))
        status = ctx_fail(s->ctx, AGON_EFORMAT, "%s: the counter %s is damaged: %lld; restore the workspace from a copy", s->folder, counter,
                          (long long)stored);
    json_decref(parameters);
    free(key);
    return status;
}

/* JSON text for an optional object; null for none. */
static json_t *data_text(const json_t *data) {
    char *canonical = data ? json_canonical(data) : NULL;
    json_t *text = data ? (canonical ? json_string(canonical) : NULL) : json_null();
    free(canonical);
    return text;
}

agon_status store_event(store *s, const char *run, int64_t iteration, const char *stage,
                        const char *message, const json_t *data, bool unless_there) {
    return store_queue_take(
        s, unless_there ? "INSERT INTO event (run, iteration, stage, message, data, time_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS"
                          " (SELECT 1 FROM event WHERE run = ?1 AND iteration = ?2 AND stage = ?3 AND message = ?4)"
                        : "INSERT INTO event (run, iteration, stage, message, data, time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        json_pack("[oIssoI]", json_text(run), (json_int_t)iteration, stage, message, data_text(data),
                  (json_int_t)store_now_ms()),
        false);
}

agon_status store_progress(store *s, const char *run, const char *state, int64_t iteration,
                           const char *stage, const json_t *data) {
    if (s->mode != STORE_RUN)
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: opened for reading", s->folder);
    return store_write_now_take(
        s, "INSERT INTO progress VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET state = ?2,"
           " iteration = ?3, stage = ?4, data = ?5, updated_ms = ?6",
        json_pack("[ssIsoI]", run, state, (json_int_t)iteration, stage, data_text(data),
                  (json_int_t)store_now_ms()),
        false);
}

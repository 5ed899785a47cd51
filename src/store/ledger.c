/* The sealed ledger and the inbox: the two tables that are not the loop's own.
 *
 * The ledger is a database of its own. STORE_RUN adds to it and has no function to read it; store_ledger_read
 * works for others only, and not while a run holds the workspace. The journal keeps each row's hash. */
#include "base/file.h"
#include "base/json.h"
#include "store/store_internal.h"
#include <stdlib.h>
#include <string.h>

agon_status store_ledger_add(store *s, const char *run, const char *response, const char *checker,
                             const char *outcome, const char *evidence) {
    if (strcmp(outcome, "pass") != 0 && strcmp(outcome, "fail") != 0 && strcmp(outcome, "unknown") != 0)
        return ctx_fail(s->ctx, AGON_EINVAL, "ledger: outcome '%s' must be pass, fail or unknown", outcome);
    char hex[HASH_HEX_SIZE];
    json_t *row = json_pack("{ss ss ss ss ss so}", "table", "ledger", "run", run, "response", response,
                            "checker", checker, "outcome", outcome, "evidence", json_text(evidence));
    char *canonical = row ? json_canonical(row) : NULL;
    json_decref(row);
    if (!canonical)
        return ctx_fail(s->ctx, AGON_EINVAL, "ledger: the evidence is not valid UTF-8");
    hash256 hash = hash_text(canonical);
    free(canonical);
    hash_hex(&hash, hex);
    agon_status status = store_queue_take(
        s, "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        json_pack("[ssssos]", run, response, checker, outcome, json_text(evidence), hex), true);
    if (!status && json_array_append_new(s->records, json_pack("[ssss]", "ledger", response, hex, checker)) != 0)
        status = ctx_no_memory(s->ctx);
    return status;
}

agon_status store_ledger_read(store *s, json_t **rows) {
    long pid;
    if (s->mode == STORE_RUN || store_is_running(s->folder, &pid))
        return ctx_fail(s->ctx, AGON_EREFUSED, "%s: the ledger stays sealed while a run is going", s->folder);
    char *path = store_path(s, "sealed.db");
    if (!path)
        return ctx_no_memory(s->ctx);
    agon_status status;
    store sealed = *s; /* the same reader on another database; owns nothing but the statement cache */
    sealed.statements = NULL;
    sealed.n_statements = sealed.capacity_statements = 0;
    sealed.db = NULL;
    if (!file_exists(path)) {
        *rows = json_array();
        free(path);
        return *rows ? AGON_OK : ctx_no_memory(s->ctx);
    }
    int64_t has_table = 0;
    status = store_open_reader(s, "sealed.db", &sealed.db);
    if (!status) /* a run that was stopped just after it had made the file: nothing was sealed */
        status = store_query_int(&sealed, "SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'", NULL, &has_table);
    if (!status && !has_table)
        status = (*rows = json_array()) ? AGON_OK : ctx_fail(s->ctx, AGON_ENOMEM, "out of memory");
    else if (!status)
        status = store_query_json(&sealed,
                                  "SELECT run, response, checker, outcome, evidence, hash FROM ledger"
                                  " ORDER BY run, response, checker",
                                  NULL, rows);
    sqlite3_close(sealed.db);
    free(path);
    return status;
}

agon_status store_descent_violations(store *s, int64_t *n) {
    return store_query_int(s, "SELECT count(*) FROM descent_violation", NULL, n);
}

/* ---- the inbox -------------------------------------------------------------------------------------- */

agon_status store_inbox_add(store *s, const char *review, const char *reviewer, double seconds,
                            const json_t *answer) {
    if (s->mode == STORE_READ)
        return ctx_fail(s->ctx, AGON_EINVAL, "%s: opened for reading", s->folder);
    if (!json_is_object(answer))
        return ctx_fail(s->ctx, AGON_EINVAL, "an answer must be a JSON object");
    char *canonical = json_canonical(answer);
    if (!canonical)
        return ctx_no_memory(s->ctx);
    json_t *values = json_pack("[ssosI]", review, reviewer, real_or_null(seconds), canonical,
                               (json_int_t)store_now_ms());
    free(canonical);
    return store_write_now_take(
        s, "INSERT INTO inbox (review, reviewer, seconds, answer, time_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        values, true);
}

agon_status store_inbox_read(store *s, const char *run, int64_t after, json_t **rows) {
    json_t *parameters = json_pack("[sI]", run, (json_int_t)after);
    agon_status status = store_query_json(
        s, "SELECT b.number, b.review, b.reviewer, b.seconds, b.answer AS answer_json, i.run, i.iteration,"
           " i.kind, i.query, i.response, i.other, i.critique, i.purpose, i.priority, i.propensity,"
           " i.meta AS meta_json FROM inbox b JOIN review_item i ON i.id = b.review"
           " WHERE i.run = ?1 AND b.number > ?2 ORDER BY b.number",
        parameters, rows);
    json_decref(parameters);
    return status;
}

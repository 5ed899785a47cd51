/* Adding records, one function a kind: checks, and the descent rule in C (the triggers of schema.c are its second line). */
#include "base/json.h"
#include "base/utf8.h"
#include "store/store_internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- building columns ------------------------------------------------------------------------------- */

/* The first problem is kept in `bad`, so that a record reads as a list of puts. */
typedef struct columns {
    store *s;
    const char *table;
    json_t *object;
    agon_status status;
} columns;

static columns begin(store *s, record_kind kind) {
    columns c = {s, schema_table(kind)->name, json_object(), AGON_OK};
    if (!c.object)
        c.status = ctx_no_memory(s->ctx);
    return c;
}

/* Takes the value over. */
static void put(columns *c, const char *key, json_t *value) {
    if (c->status || json_is_null(value)) {
        json_decref(value);
        return;
    }
    if (json_object_set_new(c->object, key, value) != 0)
        c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: '%s' is not valid UTF-8 or not a finite number",
                             c->table, key);
}

static void put_text(columns *c, const char *key, const char *value) {
    if (value)
        put(c, key, json_string(value));
}

static void need_text(columns *c, const char *key, const char *value) {
    if (!c->status && (!value || !*value))
        c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: '%s' is missing", c->table, key);
    put_text(c, key, value);
}

static void put_int(columns *c, const char *key, int64_t value) {
    put(c, key, json_integer(value));
}

static void put_real(columns *c, const char *key, double value) {
    if (!isnan(value))
        put(c, key, json_real(value));
}

/* Propensities and weights, where 0 stands for a field nobody set. */
static void put_share(columns *c, const char *key, double value) {
    put(c, key, json_real(isnan(value) || value == 0 ? 1 : value));
}

static void put_json(columns *c, const char *key, const json_t *value) {
    if (!value || c->status)
        return;
    char *canonical = json_canonical(value);
    if (!canonical)
        c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: '%s' is not valid JSON", c->table, key);
    else
        put(c, key, json_string(canonical));
    free(canonical);
}

static void put_list(columns *c, const char *key, const char *const *items, size_t n) {
    if (n == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < n && !c->status; i++)
        if (!list || json_array_append_new(list, json_string(items[i])) != 0)
            c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: entry %zu of '%s' is missing", c->table, i, key);
    put_json(c, key, list);
    json_decref(list);
}

/* `words`: the allowed values, separated by single spaces. */
static void need_word(columns *c, const char *key, const char *value, const char *words) {
    need_text(c, key, value);
    if (c->status)
        return;
    size_t n = strlen(value);
    for (const char *p = words; *p;) {
        size_t length = strcspn(p, " ");
        if (length == n && memcmp(p, value, n) == 0)
            return;
        p += length;
        p += *p == ' ';
    }
    c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: '%s' is '%s', but must be one of: %s", c->table, key,
                         value, words);
}

static agon_status finish(columns *c, record_kind kind, const char *own_id, store_id *id) {
    if (!c->status && c->s->mode != STORE_RUN)
        c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: opened for reading", c->s->folder);
    if (c->status) {
        json_decref(c->object);
        return c->status;
    }
    return store_record_take(c->s, kind, c->object, own_id, id);
}

/* ---- the descent rule ------------------------------------------------------------------------------- */

static agon_status mark(store *s, json_t *set, const char *id, json_t *value) {
    if (json_object_set_new(set, id, value) != 0)
        return ctx_no_memory(s->ctx);
    return AGON_OK;
}

/* Is `id` sealed, or does it descend from something that is? Looks at queued and committed records. */
static agon_status is_sealed(store *s, const char *id, bool *sealed) {
    *sealed = false;
    if (!id)
        return AGON_OK;
    if (json_object_get(s->sealed, id)) {
        *sealed = true;
        return AGON_OK;
    }
    sqlite3_stmt *statement;
    agon_status status =
        store_statement_get(s, s->db, "SELECT 1 FROM sealed_descent WHERE id = ?1", &statement);
    if (status)
        return status;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    int rc = sqlite3_step(statement);
    *sealed = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = store_sql_fail(s, s->db, "looking for sealed ancestors");
    sqlite3_reset(statement);
    return status;
}

static agon_status inherit_sealed(store *s, bool sealed, const char *const *from, size_t n,
                                  const char *id) {
    agon_status status = AGON_OK;
    for (size_t i = 0; i < n && !status && !sealed; i++)
        status = is_sealed(s, from[i], &sealed);
    if (!status && sealed)
        status = mark(s, s->sealed, id, json_true());
    return status;
}

static void refuse_sealed(columns *c, const char *what, const char *const *ids, size_t n) {
    for (size_t i = 0; i < n && !c->status; i++) {
        bool sealed;
        c->status = is_sealed(c->s, ids[i], &sealed);
        if (!c->status && sealed)
            c->status = ctx_fail(c->s->ctx, AGON_EREFUSED,
                                 "%s: %s %.12s descends from a sealed verifier answer and may not enter; "
                                 "use a label of the critic or of the expert",
                                 c->table, what, ids[i]);
    }
}

/* *oracle borrowed until the next record; NULL when the text has none. */
static agon_status oracle_of(store *s, const char *text, const char **oracle) {
    json_t *queued = json_object_get(s->oracles, text);
    *oracle = json_string_value(queued);
    if (queued)
        return AGON_OK;
    sqlite3_stmt *statement;
    agon_status status = store_statement_get(s, s->db, "SELECT oracle FROM text WHERE id = ?1", &statement);
    if (status)
        return status;
    sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        *oracle = !value ? NULL : strcmp(value, "sealed") == 0 ? "sealed" : "open";
    } else if (rc == SQLITE_DONE) {
        status = ctx_fail(s->ctx, AGON_EINVAL, "%s: there is no text %.40s", s->folder, text);
    } else {
        status = store_sql_fail(s, s->db, "reading a text");
    }
    sqlite3_reset(statement);
    return status;
}

/* ---- the records ------------------------------------------------------------------------------------ */

static void put_body(columns *c, const char *body) {
    json_t *value = body ? json_string(body) : NULL;
    if (!value && body) {
        char *repaired = utf8_repair(body, strlen(body)); /* models stop in the middle of characters */
        value = repaired ? json_string(repaired) : NULL;
        free(repaired);
    }
    if (!body && !c->status)
        c->status = ctx_fail(c->s->ctx, AGON_EINVAL, "%s: 'body' is missing", c->table);
    put(c, "body", value);
}

agon_status store_add_text(store *s, const text_record *r, store_id *id) {
    columns c = begin(s, RECORD_TEXT);
    const char *oracle = r->oracle, *above = NULL;
    if (r->parent && !c.status)
        c.status = oracle_of(s, r->parent, &above);
    if (!oracle)
        oracle = above;
    else if (!c.status && above && strcmp(above, "sealed") == 0 && strcmp(oracle, "sealed") != 0)
        c.status = ctx_fail(s->ctx, AGON_EREFUSED, "text: a %s under a sealed oracle cannot be '%s'", r->kind,
                            oracle);
    if (oracle)
        need_word(&c, "oracle", oracle, "open sealed");
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "kind", r->kind);
    put_text(&c, "parent", r->parent);
    put_int(&c, "turn", r->turn);
    put_text(&c, "producer", r->producer);
    put_text(&c, "template", r->template_id);
    put_text(&c, "family", r->family);
    put_text(&c, "cell", r->cell);
    put_text(&c, "slot", r->slot);
    put_int(&c, "sealed", r->sealed);
    put_body(&c, r->body);
    put_json(&c, "meta", r->meta);
    store_id made;
    agon_status status = finish(&c, RECORD_TEXT, NULL, &made);
    if (!status)
        status = mark(s, s->oracles, made.text, json_text(oracle));
    if (!status)
        status = inherit_sealed(s, r->sealed, &r->parent, 1, made.text);
    if (!status && id)
        *id = made;
    return status;
}

agon_status store_add_verification(store *s, const verification_record *r, store_id *id) {
    columns c = begin(s, RECORD_VERIFICATION);
    const char *oracle = NULL;
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "response", r->response);
    need_text(&c, "checker", r->checker);
    need_word(&c, "outcome", r->outcome, "pass fail unknown");
    put_text(&c, "evidence", r->evidence);
    put_json(&c, "meta", r->meta);
    if (!c.status)
        c.status = oracle_of(s, r->response, &oracle);
    if (!c.status && oracle && strcmp(oracle, "sealed") == 0)
        c.status = ctx_fail(s->ctx, AGON_EREFUSED,
                            "verification: text %.12s is under a sealed oracle; its answer belongs in the ledger",
                            r->response);
    return finish(&c, RECORD_VERIFICATION, NULL, id);
}

agon_status store_add_decision(store *s, const decision_record *r, store_id *id) {
    columns c = begin(s, RECORD_DECISION);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "response", r->response);
    need_word(&c, "route", r->route, "auto escalate audit drop");
    put_text(&c, "reason", r->reason);
    put_int(&c, "judge_index", r->judge_index);
    put_real(&c, "confidence", r->confidence);
    put_real(&c, "threshold", r->threshold);
    put_share(&c, "propensity", r->propensity);
    put_text(&c, "calibration", r->calibration);
    put_json(&c, "meta", r->meta);
    return finish(&c, RECORD_DECISION, NULL, id);
}

static void check_label_oracle(columns *c, const label_record *r) {
    const char *oracle = NULL;
    if (!c->status)
        c->status = oracle_of(c->s, r->target, &oracle);
    if (!c->status && !r->sealed && strcmp(r->source, "verifier") == 0 && oracle &&
        strcmp(oracle, "sealed") == 0)
        c->status = ctx_fail(c->s->ctx, AGON_EREFUSED,
                             "label: a verifier's label on text %.12s would unseal it; the answer belongs in the ledger",
                             r->target);
}

agon_status store_add_label(store *s, const label_record *r, store_id *id) {
    columns c = begin(s, RECORD_LABEL);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "target", r->target);
    put_text(&c, "other", r->other);
    need_word(&c, "kind", r->kind, "point pair edit span demonstration");
    need_text(&c, "value", r->value);
    need_word(&c, "source", r->source, "verifier critic cascade principle human simulated demonstration");
    put_text(&c, "producer", r->producer);
    put_text(&c, "template", r->template_id);
    put_text(&c, "calibration", r->calibration);
    put_text(&c, "verification", r->verification);
    put_text(&c, "decision", r->decision);
    put_text(&c, "derived_from", r->derived_from);
    put_text(&c, "supersedes", r->supersedes);
    put_text(&c, "purpose", r->purpose);
    put_real(&c, "confidence_raw", r->confidence_raw);
    put_real(&c, "confidence", r->confidence);
    put_share(&c, "propensity", r->propensity);
    put_share(&c, "weight", r->weight);
    put_real(&c, "seconds", r->seconds == 0 ? (double)NAN : r->seconds);
    put_int(&c, "sealed", r->sealed);
    put_json(&c, "meta", r->meta);
    check_label_oracle(&c, r);
    store_id made;
    agon_status status = finish(&c, RECORD_LABEL, NULL, &made);
    const char *from[] = {r->target, r->other, r->derived_from};
    if (!status)
        status = inherit_sealed(s, r->sealed, from, 3, made.text);
    if (!status && id)
        *id = made;
    return status;
}

agon_status store_add_example(store *s, const example_record *r, store_id *id) {
    columns c = begin(s, RECORD_EXAMPLE);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "objective", r->objective);
    need_word(&c, "origin", r->origin, "real replay new");
    put_int(&c, "n_tokens", r->n_tokens);
    put_json(&c, "fields", r->fields ? r->fields : json_null());
    put_list(&c, "labels", r->labels, r->n_labels);
    put_list(&c, "texts", r->texts, r->n_texts);
    put_text(&c, "slot", r->slot);
    refuse_sealed(&c, "label", r->labels, r->n_labels);
    refuse_sealed(&c, "text", r->texts, r->n_texts);
    return finish(&c, RECORD_EXAMPLE, NULL, id);
}

agon_status store_add_calibration(store *s, const calibration_record *r, store_id *id) {
    columns c = begin(s, RECORD_CALIBRATION);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    put_text(&c, "critic", r->critic);
    put_text(&c, "family", r->family);
    need_text(&c, "method", r->method);
    put_int(&c, "n", r->n);
    put_real(&c, "threshold", r->threshold);
    put_real(&c, "auroc", r->auroc);
    put_real(&c, "ece", r->ece);
    put_real(&c, "brier", r->brier);
    put_real(&c, "error_bound", r->error_bound);
    put_json(&c, "parameters", r->parameters);
    put_list(&c, "labels", r->labels, r->n_labels);
    refuse_sealed(&c, "label", r->labels, r->n_labels);
    return finish(&c, RECORD_CALIBRATION, NULL, id);
}

/* An own id must not come back with other content. */
static void same_column(columns *c, const char *sql, const char *id, const char *value) {
    sqlite3_stmt *statement;
    if (c->status || (c->status = store_statement_get(c->s, c->s->db, sql, &statement)))
        return;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *stored = (const char *)sqlite3_column_text(statement, 0);
        if (stored && value && strcmp(stored, value) != 0)
            c->status = ctx_fail(c->s->ctx, AGON_EMISMATCH,
                                 "%s %s: recorded as %.16s, now %.16s; give the changed one a new version",
                                 c->table, id, stored, value);
    }
    sqlite3_reset(statement);
}

agon_status store_add_template(store *s, const template_record *r, store_id *id) {
    columns c = begin(s, RECORD_TEMPLATE);
    char own_id[STORE_ID_SIZE], hex[HASH_HEX_SIZE] = "";
    need_text(&c, "name", r->name);
    need_text(&c, "version", r->version);
    put_text(&c, "role", r->role);
    need_text(&c, "body", r->body);
    if (!c.status && snprintf(own_id, sizeof own_id, "%s@%s", r->name, r->version) >= (int)sizeof own_id)
        c.status = ctx_fail(s->ctx, AGON_EINVAL, "template: the name '%.60s' is too long", r->name);
    if (!c.status) {
        hash256 hash = hash_text(r->body);
        hash_hex(&hash, hex);
        put_text(&c, "hash", hex);
        same_column(&c, "SELECT hash FROM template WHERE id = ?1", own_id, hex);
    }
    return finish(&c, RECORD_TEMPLATE, own_id, id);
}

agon_status store_add_version(store *s, const version_record *r) {
    columns c = begin(s, RECORD_VERSION);
    hash256 check;
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    put_text(&c, "parent", r->parent);
    need_word(&c, "role", r->role, "base learner critic attacker control external");
    put_text(&c, "object", r->object);
    put_text(&c, "path", r->path);
    put_text(&c, "base", r->base);
    put_text(&c, "data_hash", r->data_hash);
    put_text(&c, "config_hash", r->config_hash);
    put_text(&c, "numerics", r->numerics);
    put_list(&c, "examples", r->examples, r->n_examples);
    put_json(&c, "meta", r->meta);
    if (!c.status && (!r->id || !hash_parse(r->id, &check)))
        c.status = ctx_fail(s->ctx, AGON_EINVAL, "model_version: the id '%.80s' is not 64 hexadecimal digits",
                            r->id ? r->id : "");
    return finish(&c, RECORD_VERSION, r->id, NULL);
}

agon_status store_add_version_status(store *s, const version_status_record *r) {
    columns c = begin(s, RECORD_VERSION_STATUS);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "version", r->version);
    need_word(&c, "status", r->status, "base candidate promoted rejected rolled_back");
    put_text(&c, "reason", r->reason);
    put_json(&c, "held_out", r->held_out);
    return finish(&c, RECORD_VERSION_STATUS, NULL, NULL);
}

agon_status store_add_metric(store *s, const metric_record *r) {
    columns c = begin(s, RECORD_METRIC);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "name", r->name);
    put_text(&c, "scope", r->scope);
    put_text(&c, "version", r->version);
    put_int(&c, "n", r->n);
    put_real(&c, "value", r->value);
    put_real(&c, "low", r->low);
    put_real(&c, "high", r->high);
    put_json(&c, "meta", r->meta);
    return finish(&c, RECORD_METRIC, NULL, NULL);
}

agon_status store_add_review(store *s, const review_record *r, store_id *id) {
    columns c = begin(s, RECORD_REVIEW);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_word(&c, "kind", r->kind, "verdict pair demonstration audit held_out");
    need_text(&c, "query", r->query);
    put_text(&c, "response", r->response);
    put_text(&c, "other", r->other);
    put_text(&c, "critique", r->critique);
    put_text(&c, "purpose", r->purpose);
    put_real(&c, "priority", r->priority);
    put_share(&c, "propensity", r->propensity);
    put_json(&c, "meta", r->meta);
    return finish(&c, RECORD_REVIEW, NULL, id);
}

agon_status store_add_gate(store *s, const gate_record *r, store_id *id) {
    columns c = begin(s, RECORD_GATE);
    put_text(&c, "run", r->run);
    put_int(&c, "iteration", r->iteration);
    need_text(&c, "candidate", r->candidate);
    put_text(&c, "incumbent", r->incumbent);
    need_word(&c, "verdict", r->verdict, "promote reject");
    put_text(&c, "reason", r->reason);
    put_json(&c, "figures", r->figures ? r->figures : json_null());
    put_list(&c, "labels", r->labels, r->n_labels);
    put_list(&c, "texts", r->texts, r->n_texts);
    refuse_sealed(&c, "label", r->labels, r->n_labels);
    refuse_sealed(&c, "text", r->texts, r->n_texts);
    return finish(&c, RECORD_GATE, NULL, id);
}

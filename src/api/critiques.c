/* Critiques read back from a workspace and checked, see critiques.h. */
#include "api/critiques.h"
#include "base/ctx.h"
#include "base/json.h"
#include "eval/interval.h"
#include "role/critic_claims.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CRITIQUES_SQL(where)                                                                                                                          \
    "SELECT c.body AS critique, c.slot, c.producer, r.oracle, r.body AS response, q.body AS text, q.family, q.cell, q.meta AS meta_json,"              \
    " (SELECT outcome FROM verification WHERE response = r.id ORDER BY rowid DESC LIMIT 1) AS outcome"                                                \
    " FROM text c JOIN text r ON r.id = c.parent LEFT JOIN text q ON q.id = r.parent AND q.kind = 'query' LEFT JOIN run n ON n.id = c.run"            \
    " WHERE c.kind = 'critique' AND " where " ORDER BY c.rowid"

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

/* The task a query's record holds; false: none that can be read, and then nothing is known but texts. */
static bool read_task(agon_ctx *ctx, const json_t *row, task_query *out) {
    const json_t *meta = json_object_get(row, "meta"), *parameters = json_object_get(meta, "parameters");
    if (!parameters)
        return false;
    json_t *task = json_pack("{ss ss ss sO sO sO}", "text", text_of(row, "text"), "family", text_of(row, "family"), "cell", text_of(row, "cell"),
                             "perturbation", json_object_get(meta, "perturbation"), "seed", json_object_get(meta, "seed"), "parameters", parameters);
    const bool read = task && task_query_read(ctx, "a query of the workspace", task, out) == AGON_OK;
    json_decref(task);
    return read;
}

static task_outcome recorded_outcome(const json_t *row) {
    const char *outcome = text_of(row, "outcome");
    return strcmp(outcome, "pass") == 0 ? OUTCOME_PASS : strcmp(outcome, "fail") == 0 ? OUTCOME_FAIL : OUTCOME_UNKNOWN;
}

static agon_status check_row(agon_ctx *ctx, const json_t *row, bool blind, critique_claims *out) {
    task_query q = {0};
    const bool open = strcmp(text_of(row, "oracle"), "open") == 0, known = open && read_task(ctx, row, &q);
    claim_facts facts = {text_of(row, "response"), known ? &q : NULL, open && !blind, recorded_outcome(row)};
    agon_status s = critic_check_claims(ctx, text_of(row, "critique"), &facts, out);
    if (s && known && s != AGON_ENOMEM && s != AGON_EINTERRUPTED) { /* a task that its verifier cannot take is one that nothing is known of */
        facts.query = NULL;
        s = critic_check_claims(ctx, text_of(row, "critique"), &facts, out);
    }
    task_query_free(&q);
    return s;
}

/* Room for the claims of one critique: too much for the stack. */
static agon_status claims_new(agon_ctx *ctx, critique_claims **out) {
    *out = calloc(1, sizeof **out);
    return *out ? AGON_OK : ctx_no_memory(ctx);
}

agon_status critiques_claims(agon_ctx *ctx, store *s, const char *id, bool blind, json_t **out) {
    json_t *rows = NULL, *parameters = json_pack("[s]", id);
    critique_claims *claims = NULL;
    *out = NULL;
    agon_status status = parameters ? claims_new(ctx, &claims) : ctx_no_memory(ctx);
    if (!status)
        status = store_query_json(s, CRITIQUES_SQL("c.id = ?1"), parameters, &rows);
    const json_t *row = json_array_get(rows, 0);
    if (!status && row)
        status = check_row(ctx, row, blind, claims);
    if (!status && row)
        status = critique_claims_json(ctx, text_of(row, "critique"), claims, out);
    json_decref(rows);
    json_decref(parameters);
    free(claims);
    return status;
}

agon_status critiques_add_claims(agon_ctx *ctx, store *s, json_t *entries) {
    agon_status status = AGON_OK;
    json_t *entry;
    size_t i;
    json_array_foreach(entries, i, entry) {
        json_t *record = json_object_get(entry, "record"), *claims = NULL;
        if (status || strcmp(text_of(entry, "table"), "text") != 0 || strcmp(text_of(record, "kind"), "critique") != 0)
            continue;
        status = critiques_claims(ctx, s, text_of(entry, "id"), false, &claims);
        if (!status && claims && json_object_set_new(record, "claims", claims) != 0)
            status = ctx_no_memory(ctx);
    }
    return status;
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

typedef struct group {
    char form[32];
    bool verifier;
    faithfulness f;
} group;
enum { GROUPS_MOST = 8 };

static group *group_of(group *groups, size_t *n, const json_t *row) {
    const char *form = *text_of(row, "slot") ? text_of(row, "slot") : "written";
    const bool verifier = strcmp(text_of(row, "producer"), "executable critic") == 0;
    for (size_t i = 0; i < *n; i++)
        if (groups[i].verifier == verifier && strcmp(groups[i].form, form) == 0)
            return &groups[i];
    if (*n == GROUPS_MOST)
        return NULL;
    group *g = &groups[(*n)++];
    g->verifier = verifier;
    snprintf(g->form, sizeof g->form, "%.31s", form);
    return g;
}

/* As if all claims of a critique were one, which is as long as the interval can be: exact, from the share of as many critiques. */
static json_t *interval_json(const faithfulness *f) {
    const double share = (double)f->hold / (double)(f->hold + f->fail), k = share * (double)f->checked;
    return json_pack("[ff]", clopper_pearson((size_t)floor(k + 1e-9), f->checked, 0.05).low, clopper_pearson((size_t)ceil(k - 1e-9), f->checked, 0.05).high);
}

static json_t *group_json(const group *g) {
    const faithfulness *f = &g->f;
    const size_t checked = f->hold + f->fail;
    json_t *checks = json_object();
    for (int k = 0; k < CLAIM_CHECKS; k++)
        if (f->check_holds[k] + f->check_fails[k])
            json_object_set_new(checks, claim_check_name((claim_check)k),
                                json_pack("{sI sI}", "holds", (json_int_t)f->check_holds[k], "fails", (json_int_t)f->check_fails[k]));
    return json_pack("{ss ss sI sI sI sI sI so so so}", "critic", g->verifier ? "verifier" : "model", "form", g->form, "n", (json_int_t)f->critiques, "claims",
                     (json_int_t)f->claims, "hold", (json_int_t)f->hold, "fail", (json_int_t)f->fail, "unverifiable", (json_int_t)(f->claims - checked), "faithful",
                     checked ? json_real((double)f->hold / (double)checked) : json_null(), "ci95", checked ? interval_json(f) : json_null(), "checks", checks);
}

agon_status critiques_of_run(agon_ctx *ctx, store *s, const char *run, json_t **out) {
    json_t *rows = NULL, *list = json_array(), *parameters = json_pack("[s?]", run), *row;
    critique_claims *claims = NULL;
    group groups[GROUPS_MOST] = {0};
    size_t i, n = 0;
    agon_status status = list && parameters ? claims_new(ctx, &claims) : ctx_no_memory(ctx);
    if (!status)
        status = store_query_json(s, CRITIQUES_SQL("n.name = ?1"), parameters, &rows);
    json_array_foreach(rows, i, row) {
        group *g = status ? NULL : group_of(groups, &n, row);
        if (g && !(status = check_row(ctx, row, false, claims)))
            faithfulness_add(&g->f, claims);
    }
    for (size_t k = 0; k < n && !status; k++)
        if (json_array_append_new(list, group_json(&groups[k])) != 0)
            status = ctx_no_memory(ctx);
    json_decref(rows);
    json_decref(parameters);
    free(claims);
    if (status)
        json_decref(list);
    else
        *out = list;
    return status;
}

/* Work that only programs do: drawing queries, verifying, the simulated expert.
 *
 * draw        {"cell", "seed", "perturbation"} -> {"query": task_query_json}
 * verify      {"query", "response"} -> {"outcome", "evidence", "masked", "span": [start, end]}
 * seal        the same under a sealed oracle: secret, for the ledger alone
 * expert      {"query", "response", "error_rate"} -> {"verdict": "pass" | "fail" | null}: what a simulated human says, from the verifier, wrong
 *             at the stated rate; null where the verifier does not know
 * demonstrate {"query"} -> {"text"}: a correct answer as an expert would write it; null where nobody knows one */
#include "base/ctx.h"
#include "base/random.h"
#include "step/work.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 };

static agon_status find_cell(agon_ctx *ctx, const char *name, size_t *cell) {
    for (size_t i = 0; i < task_n_cells(); i++) {
        char full[128];
        snprintf(full, sizeof full, "%s/%s", task_cell_family(i), task_cell_at(i)->name);
        if (strcmp(full, name) == 0) {
            *cell = i;
            return AGON_OK;
        }
    }
    return ctx_fail(ctx, AGON_ENOTFOUND, "there is no cell '%s'; agon eval --list shows all", name);
}

static task_perturbation find_perturbation(const char *name) {
    int p = PERTURBATION_NONE;
    while (p < PERTURBATION_N && strcmp(task_perturbation_name((task_perturbation)p), name) != 0)
        p++;
    return p < PERTURBATION_N ? (task_perturbation)p : PERTURBATION_NONE;
}

static agon_status draw_one(actors *a, const json_t *input, json_t **out) {
    task_query query = {0};
    json_t *made = NULL;
    size_t cell = 0;
    agon_status s = find_cell(a->ctx, field_text(input, "cell"), &cell);
    if (!s)
        s = task_generate(a->ctx, cell, strtoull(field_text(input, "seed"), NULL, 10),
                          find_perturbation(field_text(input, "perturbation")), &query);
    if (!s)
        s = task_query_json(a->ctx, &query, &made);
    if (!s) {
        *out = json_pack("{so}", "query", made);
        s = json_made(a->ctx, *out);
    }
    task_query_free(&query);
    return s;
}

static agon_status verdict_of(actors *a, const json_t *input, task_verdict *verdict) {
    task_query query = {0};
    agon_status s = task_query_read(a->ctx, "a journaled query", json_object_get(input, "query"), &query);
    if (!s)
        s = task_verify(a->ctx, &query, field_text(input, "response"), verdict);
    task_query_free(&query);
    return s;
}

static agon_status verify_one(actors *a, const json_t *input, json_t **out) {
    task_verdict v = {0};
    agon_status s = verdict_of(a, input, &v);
    if (!s) {
        *out = json_pack("{ss ss* ss* s[II]}", "outcome", task_outcome_name(v.outcome), "evidence", v.evidence, "masked",
                         v.masked, "span", (json_int_t)v.span_start, (json_int_t)v.span_end);
        s = json_made(a->ctx, *out);
    }
    task_verdict_free(&v);
    return s;
}

static agon_status expert_one(actors *a, const json_t *input, uint64_t seed, json_t **out) {
    task_verdict v = {0};
    rng r = rng_new(seed);
    agon_status s = verdict_of(a, input, &v);
    if (!s) {
        bool wrong = rng_uniform(&r) < field_real(input, "error_rate"), pass = (v.outcome == OUTCOME_PASS) != wrong;
        *out = json_pack("{ss?}", "verdict", v.outcome == OUTCOME_UNKNOWN ? NULL : pass ? "pass" : "fail");
        s = json_made(a->ctx, *out);
    }
    task_verdict_free(&v);
    return s;
}

static agon_status demonstrate_one(actors *a, const json_t *input, uint64_t seed, json_t **out) {
    task_query query = {0};
    char *text = NULL;
    agon_status s = task_query_read(a->ctx, "a journaled query", json_object_get(input, "query"), &query);
    if (!s)
        s = task_demonstrate(a->ctx, &query, seed, &text);
    if (s == AGON_EUNSUPPORTED)
        s = AGON_OK; /* nobody knows an answer: null */
    if (!s) {
        *out = json_pack("{ss?}", "text", text);
        s = json_made(a->ctx, *out);
    }
    free(text);
    task_query_free(&query);
    return s;
}

#define FOR_EACH(name, call)                                                                         \
    static agon_status name(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) { \
        agon_status s = AGON_OK;                                                                     \
        (void)seeds;                                                                                 \
        for (size_t i = 0; i < n && !s; i++)                                                         \
            s = call;                                                                                \
        return s;                                                                                    \
    }
FOR_EACH(draw_all, draw_one(a, inputs[i], &outs[i]))
FOR_EACH(verify_all, verify_one(a, inputs[i], &outs[i]))
FOR_EACH(expert_all, expert_one(a, inputs[i], seeds[i], &outs[i]))
FOR_EACH(demonstrate_all, demonstrate_one(a, inputs[i], seeds[i], &outs[i]))

const work_kind work_draw = {"draw", "queries", CHUNK, false, draw_all, NULL};
const work_kind work_verify = {"verify", "answers", CHUNK, false, verify_all, NULL};
const work_kind work_seal = {"seal", "answers", CHUNK, true, verify_all, NULL};
const work_kind work_expert = {"expert", "labels", CHUNK, false, expert_all, NULL};
const work_kind work_demonstrate = {"demonstrate", "labels", CHUNK, false, demonstrate_all, NULL};

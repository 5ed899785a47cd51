/* Work that only programs do: drawing queries, verifying (here, or by a program of the user's), the simulated expert.
 *
 * draw        {"cell", "seed", "perturbation"} -> {"query": task_query_json}
 * verify      {"query", "response"} -> {"outcome", "evidence", "masked", "span": [start, end]}
 * seal        the same under a sealed oracle: secret, for the ledger alone
 * expert      {"query", "response", "error_rate"} -> {"verdict": "pass" | "fail" | null}: what a simulated human says, from the verifier, wrong
 *             at the stated rate; null where the verifier does not know
 * demonstrate {"query"} -> {"text"}: a correct answer as an expert would write it; null where nobody knows one */
#include "base/ctx.h"
#include "base/random.h"
#include "role/verifier.h"
#include "step/work.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 };

static agon_status find_cell(agon_ctx *ctx, const char *name, size_t *cell) {
    for (size_t i = 0; i < task_n_cells(); i++) {
        char full[CELL_NAME_SIZE];
        task_cell_name(i, full);
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

static agon_status judge_here(actors *a, const json_t *input, task_verdict *verdict) {
    task_query query = {0};
    agon_status s = task_query_read(a->ctx, "a journaled query", json_object_get(input, "query"), &query);
    if (!s)
        s = task_verify(a->ctx, &query, field_text(input, "response"), verdict);
    task_query_free(&query);
    return s;
}

/* The program is asked about all that is left to it at once. Requests are named by their seeds: never by a place in the chunk. */
static agon_status judge_by_program(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, task_verdict *verdicts) {
    verifier_item *items = memory_new(n, sizeof *items);
    task_verdict *told = memory_new(n, sizeof *told);
    char(*ids)[24] = memory_new(n, sizeof *ids);
    size_t k = 0;
    agon_status s = items && told && ids ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %zu verdicts", n);
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *task = json_object_get(inputs[i], "query");
        if (!verifier_is_program(task))
            continue;
        snprintf(ids[k], sizeof ids[k], "%016llx", (unsigned long long)seeds[i]);
        items[k] = (verifier_item){ids[k], task, field_text(inputs[i], "response")};
        k++;
    }
    if (!s)
        s = verifier_ask(a->ctx, a->verifier, items, k, told);
    k = 0;
    for (size_t i = 0; i < n && !s; i++)
        if (verifier_is_program(json_object_get(inputs[i], "query")))
            verdicts[i] = told[k++];
    free(items);
    free(told);
    free(ids);
    return s;
}

/* The verifier's word on every input, whoever it is: *out new (free_verdicts). */
static agon_status judge_all(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, task_verdict **out) {
    task_verdict *verdicts = *out = memory_new(n, sizeof *verdicts);
    if (!verdicts)
        return ctx_fail(a->ctx, AGON_ENOMEM, "no memory for %zu verdicts", n);
    agon_status s = judge_by_program(a, inputs, seeds, n, verdicts);
    for (size_t i = 0; i < n && !s; i++)
        if (!verifier_is_program(json_object_get(inputs[i], "query")))
            s = judge_here(a, inputs[i], &verdicts[i]);
    return s;
}

static void free_verdicts(task_verdict *verdicts, size_t n) {
    for (size_t i = 0; verdicts && i < n; i++)
        task_verdict_free(&verdicts[i]);
    free(verdicts);
}

static agon_status verify_all(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    task_verdict *v = NULL;
    agon_status s = judge_all(a, inputs, seeds, n, &v);
    for (size_t i = 0; i < n && !s; i++) {
        outs[i] = json_pack("{ss ss* ss* s[II]}", "outcome", task_outcome_name(v[i].outcome), "evidence", v[i].evidence, "masked",
                            v[i].masked, "span", (json_int_t)v[i].span_start, (json_int_t)v[i].span_end);
        s = json_made(a->ctx, outs[i]);
    }
    free_verdicts(v, n);
    return s;
}

static agon_status expert_all(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    task_verdict *v = NULL;
    agon_status s = judge_all(a, inputs, seeds, n, &v);
    for (size_t i = 0; i < n && !s; i++) {
        rng r = rng_new(seeds[i]);
        bool wrong = rng_uniform(&r) < field_real(inputs[i], "error_rate"), pass = (v[i].outcome == OUTCOME_PASS) != wrong;
        outs[i] = json_pack("{ss?}", "verdict", v[i].outcome == OUTCOME_UNKNOWN ? NULL : pass ? "pass" : "fail");
        s = json_made(a->ctx, outs[i]);
    }
    free_verdicts(v, n);
    return s;
}

/* A program of the user's may answer otherwise next time. */
static bool decided_here(const actors *a, const json_t *input) {
    (void)a;
    return !verifier_is_program(json_object_get(input, "query"));
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
FOR_EACH(demonstrate_all, demonstrate_one(a, inputs[i], seeds[i], &outs[i]))

const work_kind work_draw = {"draw", "queries", CHUNK, false, draw_all, NULL};
const work_kind work_verify = {"verify", "answers", CHUNK, false, verify_all, decided_here};
const work_kind work_seal = {"seal", "answers", CHUNK, true, verify_all, decided_here};
const work_kind work_expert = {"expert", "labels", CHUNK, false, expert_all, decided_here};
const work_kind work_demonstrate = {"demonstrate", "labels", CHUNK, false, demonstrate_all, NULL};

/* agon.h, agon_init_run_file: a run file for the user's own queries, and what it will cost here. */
#include "api/models.h"
#include "api/options.h"
#include "api/workspaces.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "recipe/cost.h"
#include "recipe/own_rows.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_GATE_ITEMS = 50 }; /* each is two verdicts of people an attempt */
enum { MOST_QUERIES = 1000000, MOST_NAMED = 20 };

/* ---- the queries --------------------------------------------------------------------------------------- */

/* Rows that cannot be used: how many, and the sentences about the first of them. */
typedef struct bad_rows {
    agon_ctx *ctx;
    size_t n;
    buffer sentences;
} bad_rows;

static agon_status note_bad_row(void *arg, agon_status status) {
    bad_rows *bad = arg;
    if (status != AGON_EINVAL && status != AGON_ENOTFOUND && status != AGON_EFORMAT)
        return status;
    if (bad->n++ < MOST_NAMED)
        buffer_printf(&bad->sentences, "%s%s", bad->n > 1 ? "; " : "", agon_error(bad->ctx));
    return AGON_OK;
}

static agon_status read_queries(agon_ctx *ctx, const char *path, own_rows *own) {
    bad_rows bad = {.ctx = ctx};
    agon_status s = own_rows_read(ctx, path, note_bad_row, &bad, own);
    if (!s && bad.n)
        s = ctx_fail(ctx, AGON_EINVAL, "%zu of %zu rows cannot be used: %s%s", bad.n, bad.n + own->n_rows, bad.sentences.data ? bad.sentences.data : "",
                     bad.n > MOST_NAMED ? "; ..." : "");
    if (!s && own->n_rows == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows; one is {\"query\": \"...\", \"answer\": \"...\"}", path);
    buffer_free(&bad.sentences);
    return s;
}

/* ---- what it costs here -------------------------------------------------------------------------------- */

/* The model a run would use; NULL where there is none. Only memory fails. */
static agon_status open_model(agon_ctx *ctx, agon_model **m) {
    char *path = NULL;
    agon_status s = agon_model_find(ctx, NULL, &path);
    *m = NULL;
    if (!s)
        s = agon_model_open(ctx, path, NULL, m);
    free(path);
    return s == AGON_ENOMEM || s == AGON_EINTERRUPTED ? s : AGON_OK;
}

/* The plan of a run file: tokens, labels, minutes, and with a model what it takes of memory. */
static agon_status make_plan(agon_ctx *ctx, const run_config *config, double *rate, json_t **cost) {
    agon_model *m = NULL;
    json_t *memory = NULL;
    agon_status s = open_model(ctx, &m);
    if (!s && m)
        s = recipe_memory(ctx, m->m, config, &memory);
    if (!s && m)
        s = cost_rate(ctx, m->m, rate);
    if (s == AGON_ENUMERIC)
        s = AGON_OK; /* time is not known then */
    if (!s)
        s = recipe_cost(ctx, config, *rate, cost);
    if (!s)
        json_object_set_new(*cost, "memory", memory ? json_incref(memory) : json_null());
    json_decref(memory);
    agon_model_free(m);
    return s;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* The defaults, changed where the user's own queries ask for it. */
static agon_status make_config(agon_ctx *ctx, const char *queries, const char *output, const own_rows *own, run_config **out) {
    char *name = NULL, *dot;
    buffer source = {0};
    agon_status s = agon_run_workspace(ctx, output, &name);
    if (s)
        return s;
    if ((dot = strrchr(name, '.')))
        *dot = 0;
    json_t *quoted = json_string(name), *file = queries ? json_string(queries) : NULL;
    char *name_text = quoted ? json_dumps(quoted, JSON_ENCODE_ANY) : NULL;
    char *file_text = file ? json_dumps(file, JSON_ENCODE_ANY) : NULL;
    if (!name_text || (queries && !file_text)) {
        s = ctx_fail(ctx, AGON_EINVAL, "the names '%.100s' and '%.200s' must be UTF-8", name, queries ? queries : "");
    } else {
        buffer_printf(&source, "name: %s\n", name_text);
        if (queries)
            buffer_printf(&source, "tasks:\n  file: %s\nattacker:\n  queries: %zu\n", file_text, own->n_rows < MOST_QUERIES ? own->n_rows : MOST_QUERIES);
        if (own->n_unverifiable > 0) /* the simulated expert knows nothing of these */
            buffer_printf(&source, "human:\n  backend: queue\n");
        if (own->n_held_out_unverifiable > 0) {
            const size_t items = own->n_held_out_unverifiable < MOST_GATE_ITEMS ? own->n_held_out_unverifiable : MOST_GATE_ITEMS;
            buffer_printf(&source, "  gate_items: %zu\n  labels: %zu\n", items, 100 + 2 * items);
        }
        s = source.failed ? ctx_no_memory(ctx)
                          : run_file_parse(ctx, output, source.data, source.size, out);
    }
    buffer_free(&source);
    free(name_text);
    free(file_text);
    json_decref(quoted);
    json_decref(file);
    free(name);
    return s;
}

static json_t *queries_json(const own_rows *own) {
    return json_pack("{sI sI sI sI sI sI sI sI sI sO sI}", "n", (json_int_t)own->n_rows, "with_answer", (json_int_t)own->n_with_answer, "with_verifier",
                     (json_int_t)own->n_with_verifier, "unverifiable", (json_int_t)own->n_rows_unverifiable, "duplicates",
                     (json_int_t)(own->n_rows - own->n), "joined", (json_int_t)own->n_joined, "joined_sets", (json_int_t)own->n_sets,
                     "held_out", (json_int_t)own->n_held_out, "held_out_sets", (json_int_t)own->n_held_out_sets, "verifiers", own->verifiers, "exact_by_default", (json_int_t)own->n_exact_by_default);
}

agon_status agon_init_run_file(agon_ctx *ctx, const char *queries, const char *output, char **json) {
    FP_ENVIRONMENT();
    own_rows own = {0};
    run_config *config = NULL;
    json_t *cost = NULL;
    json_t *warnings = NULL;
    double rate = 0;
    char *text = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the file to write", output, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    if (access(output, F_OK) == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s exists already and is not overwritten; choose another name with --output",
                        output);
    if (queries)
        s = read_queries(ctx, queries, &own);
    if (!s)
        s = make_config(ctx, queries, output, &own, &config);
    if (!s && !(text = run_config_write(config)))
        s = ctx_no_memory(ctx);
    if (!s)
        s = make_plan(ctx, config, &rate, &cost);
    if (!s)
        s = recipe_warnings(ctx, config, &warnings);
    if (!s)
        s = file_write_new(ctx, output, text, strlen(text));
    if (!s)
        s = json_give_take(ctx,
                           json_pack("{so so sO so sO}", "output", utf8_json(output), "queries", queries ? queries_json(&own) : json_null(),
                                     "cost", cost, "tokens_per_second", rate > 0 ? json_real(rate) : json_null(), "warnings", warnings),
                           json);
    json_decref(cost);
    json_decref(warnings);
    free(text);
    run_config_free(config);
    own_rows_free(&own);
    return s;
}

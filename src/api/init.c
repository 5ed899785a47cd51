/* agon.h, agon_init_run_file: a run file for the user's own queries, and what it will cost here. */
#include "api/models.h"
#include "api/workspaces.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include "task/task.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_GATE_ITEMS = 50 }; /* each is two verdicts of people an attempt */
enum { MOST_NAMED = 20, RATE_PROMPT = 256, LONGEST_QUERY = 1 << 16 };

/* ---- the queries --------------------------------------------------------------------------------------- */

typedef struct census {
    agon_ctx *ctx;
    json_t *seen; /* query texts, as keys */
    json_t *verifiers; /* name: how many rows it judges */
    int64_t exact_by_default; /* of them, by exact because no verifier is named */
    int64_t n, with_answer, with_verifier, unverifiable, held_out_unverifiable, duplicates, bad;
    buffer problems;
} census;

static agon_status bad_row(census *c, const char *sentence) {
    if (c->bad++ < MOST_NAMED)
        buffer_printf(&c->problems, "%s%s", c->bad > 1 ? "; " : "", sentence);
    return AGON_OK;
}

static agon_status check_row(void *arg, const char *where, json_t *row) {
    census *c = arg;
    task_query query = {0};
    char sentence[300];
    agon_status s = task_user_query(c->ctx, where, row, &query);
    if (s == AGON_EINVAL || s == AGON_ENOTFOUND || s == AGON_EFORMAT)
        return bad_row(c, agon_error(c->ctx));
    if (s)
        return s;
    if (strlen(query.text) > LONGEST_QUERY) {
        snprintf(sentence, sizeof sentence, "%.200s: the query is longer than %d bytes", where, LONGEST_QUERY);
        task_query_free(&query);
        return bad_row(c, sentence);
    }
    bool answer = !json_absent(json_object_get(row, "answer")), verifier = !json_absent(json_object_get(row, "verifier"));
    const bool again = json_object_get(c->seen, query.text) != NULL;
    c->n++;
    c->duplicates += again;
    if (json_object_set_new(c->seen, query.text, json_true()) != 0)
        s = ctx_no_memory(c->ctx);
    c->with_answer += answer;
    c->with_verifier += verifier;
    c->unverifiable += !answer && !verifier;
    c->held_out_unverifiable += !answer && !verifier && !again && recipe_holds_out(query.text);
    const char *by = json_string_value(json_object_get(query.parameters, "verifier"));
    int64_t judged = by ? json_integer_value(json_object_get(c->verifiers, by)) : 0;
    if (!s && by && json_object_set_new(c->verifiers, by, json_integer(judged + 1)) != 0)
        s = ctx_fail(c->ctx, AGON_ENOMEM, "out of memory");
    c->exact_by_default += by && !verifier && strcmp(by, "exact") == 0;
    task_query_free(&query);
    return s;
}

static agon_status bad_line(void *arg, agon_status status) {
    census *c = arg;
    return status == AGON_EFORMAT || status == AGON_EINVAL ? bad_row(c, agon_error(c->ctx)) : status;
}

static agon_status take_census(agon_ctx *ctx, const char *path, census *c) {
    *c = (census){.ctx = ctx, .seen = json_object(), .verifiers = json_object()};
    agon_status s = c->seen && c->verifiers ? jsonl_read_lenient(ctx, path, check_row, bad_line, c) : ctx_no_memory(ctx);
    if (!s && c->bad)
        s = ctx_fail(ctx, AGON_EINVAL, "%lld of %lld rows cannot be used: %s%s", (long long)c->bad,
                     (long long)(c->bad + c->n), c->problems.data ? c->problems.data : "",
                     c->bad > MOST_NAMED ? "; ..." : "");
    if (!s && c->n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows; one is {\"query\": \"...\", \"answer\": \"...\"}", path);
    return s;
}

/* ---- this machine's rate ------------------------------------------------------------------------------- */

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

/* Forward tokens a second over about one second; 0 where there is no model. Only memory fails. */
static agon_status measure_rate(agon_ctx *ctx, agon_model *m, double *rate) {
    int32_t prompt[RATE_PROMPT];
    agon_status s = AGON_OK;
    *rate = 0;
    if (!m)
        return AGON_OK;
    int32_t vocabulary = (int32_t)model_get_config(m->m)->n_vocabulary;
    for (int32_t i = 0; i < RATE_PROMPT; i++)
        prompt[i] = (i * 7 + 5) % vocabulary;
    const agon_score_request request = {prompt, RATE_PROMPT / 2, prompt + RATE_PROMPT / 2, RATE_PROMPT / 2};
    double began = 0, tokens = 0;
    for (int round = 0; !s && (round < 2 || monotonic_seconds() - began < 1.0); round++) {
        agon_score_result result = {0};
        s = agon_score(ctx, m, NULL, &request, 1, 0, 0, &result);
        agon_score_result_free(&result);
        if (round == 0) /* the first pass reads the weights from disk */
            began = monotonic_seconds();
        else
            tokens += RATE_PROMPT;
    }
    if (!s && monotonic_seconds() > began)
        *rate = tokens / (monotonic_seconds() - began);
    return s == AGON_ENOMEM || s == AGON_EINTERRUPTED ? s : AGON_OK;
}

/* The plan of a run file: tokens, labels, minutes, and with a model what it takes of memory. */
static agon_status make_plan(agon_ctx *ctx, const run_config *config, double *rate, json_t **cost) {
    agon_model *m = NULL;
    json_t *memory = NULL;
    agon_status s = open_model(ctx, &m);
    if (!s && m)
        s = recipe_memory(ctx, m->m, config, &memory);
    if (!s)
        s = measure_rate(ctx, m, rate);
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
static agon_status make_config(agon_ctx *ctx, const char *queries, const char *output, const census *c, run_config **out) {
    char *name = NULL, *dot, text[64];
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
        if (queries) {
            snprintf(text, sizeof text, "%lld", (long long)(c->n < 512 ? c->n : 512));
            buffer_printf(&source, "tasks:\n  file: %s\nattacker:\n  queries: %s\n", file_text, text);
        }
        if (c->unverifiable > 0) /* the simulated expert knows nothing of these */
            buffer_printf(&source, "human:\n  backend: queue\n");
        if (c->held_out_unverifiable > 0) {
            const long long items = c->held_out_unverifiable < MOST_GATE_ITEMS ? c->held_out_unverifiable : MOST_GATE_ITEMS;
            buffer_printf(&source, "  gate_items: %lld\n  labels: %lld\n", items, 100 + 2 * items);
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

static json_t *census_json(const census *c) {
    return json_pack("{sI sI sI sI sI sO sI}", "n", (json_int_t)c->n, "with_answer", (json_int_t)c->with_answer, "with_verifier",
                     (json_int_t)c->with_verifier, "unverifiable", (json_int_t)c->unverifiable, "duplicates",
                     (json_int_t)c->duplicates, "verifiers", c->verifiers, "exact_by_default", (json_int_t)c->exact_by_default);
}

agon_status agon_init_run_file(agon_ctx *ctx, const char *queries, const char *output, char **json) {
    census c = {0};
    run_config *config = NULL;
    json_t *cost = NULL;
    json_t *warnings = NULL;
    double rate = 0;
    char *text = NULL;
    agon_status s = AGON_OK;
    if (access(output, F_OK) == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s exists already and is not overwritten; choose another name with --output",
                        output);
    if (queries)
        s = take_census(ctx, queries, &c);
    if (!s)
        s = make_config(ctx, queries, output, &c, &config);
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
                           json_pack("{so so sO so sO}", "output", utf8_json(output), "queries", queries ? census_json(&c) : json_null(),
                                     "cost", cost, "tokens_per_second", rate > 0 ? json_real(rate) : json_null(), "warnings", warnings),
                           json);
    json_decref(cost);
    json_decref(warnings);
    free(text);
    run_config_free(config);
    json_decref(c.seen);
    json_decref(c.verifiers);
    buffer_free(&c.problems);
    return s;
}

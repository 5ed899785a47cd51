/* Prompts of online training, see online_prompts.h. */
#include "api/online_prompts.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/data.h"
#include <stdlib.h>
#include <string.h>

struct prompt_source {
    agon_ctx *ctx;
    const tokenizer *t;
    prompt_source_options options;
    task_query *queries; /* tasks: [n_prompts] of the round; rows that are verified: [n_rows] */
    size_t n_queries;
    /* tasks */
    size_t *cells, n_cells;
    token_list *tokens, *demonstrations; /* [n_prompts] of the round */
    /* rows */
    dataset *rows;
    hash256 file;
    size_t *order, pass; /* [n_rows] of this pass */
};

/* ---- generated tasks -------------------------------------------------------------------------------------- */

static agon_status open_tasks(prompt_source *p) {
    json_t *names = json_array();
    for (size_t i = 0; i < p->options.n_cells; i++)
        json_array_append_new(names, json_string(p->options.cells[i]));
    p->n_queries = p->options.n_prompts ? p->options.n_prompts : 1; /* the first describes them all */
    p->cells = calloc(task_n_cells() + 1, sizeof *p->cells);
    p->queries = calloc(p->n_queries, sizeof *p->queries);
    p->tokens = calloc(p->n_queries, sizeof *p->tokens);
    p->demonstrations = calloc(p->n_queries, sizeof *p->demonstrations);
    bool built = names && p->cells && p->queries && p->tokens && p->demonstrations;
    agon_status s = built ? task_select(p->ctx, names, p->cells, &p->n_cells) : ctx_no_memory(p->ctx);
    json_decref(names);
    return s;
}

static void clear_tasks(prompt_source *p) {
    for (size_t i = 0; p->tokens && p->queries && p->demonstrations && i < p->n_queries; i++) {
        task_query_free(&p->queries[i]);
        token_list_free(&p->tokens[i]);
        token_list_free(&p->demonstrations[i]);
        p->tokens[i] = p->demonstrations[i] = (token_list){0};
    }
}

static agon_status encode_demonstration(prompt_source *p, size_t i, uint64_t seed) {
    char *text = NULL;
    agon_status s = task_demonstrate(p->ctx, &p->queries[i], seed, &text);
    if (!s)
        s = chat_encode_answer(p->ctx, p->t, text, strlen(text), false, true, &p->demonstrations[i]);
    if (!s && tokenizer_end_of_turn(p->t) >= 0 && !token_list_push(&p->demonstrations[i], tokenizer_end_of_turn(p->t)))
        s = ctx_no_memory(p->ctx);
    free(text);
    return s;
}

/* The at-th task of the run: no query is asked twice by key. */
static agon_status make_task(prompt_source *p, size_t at, size_t i, prompt_item *out) {
    size_t cell = p->cells[at % p->n_cells];
    agon_status s = task_generate(p->ctx, cell, task_seed(p->options.seed, "online", cell, at), PERTURBATION_NONE, &p->queries[i]);
    const chat_message message = {"user", s ? "" : p->queries[i].text};
    if (!s)
        s = chat_encode(p->ctx, p->t, &message, 1, true, &p->tokens[i], NULL);
    if (!s && p->options.demonstrate)
        s = encode_demonstration(p, i, task_seed(p->options.seed, "online demonstration", cell, at));
    *out = (prompt_item){p->tokens[i].ids, p->tokens[i].n, p->demonstrations[i].ids, p->demonstrations[i].n, &p->queries[i], NULL};
    return s;
}

/* ---- rows of a file --------------------------------------------------------------------------------------- */

/* The words a row asks: its text, or what the last of its messages says. */
static const char *row_words(const json_t *row) {
    const json_t *prompt = json_object_get(row, "prompt");
    if (json_is_string(prompt))
        return json_string_value(prompt);
    return json_string_value(json_object_get(json_array_get(prompt, json_array_size(prompt) - 1), "content"));
}

/* A row's own verifier: {"answer", "verifier", "arguments"} as in files of `agon init`. */
static agon_status take_verifier(prompt_source *p, const char *where, const json_t *row, task_query *out) {
    const json_t *answer = json_object_get(row, "answer"), *verifier = json_object_get(row, "verifier");
    const char *name = json_string_value(verifier);
    if (json_absent(answer) && json_absent(verifier))
        return ctx_fail(p->ctx, AGON_EINVAL, "%s: nothing says whether an answer is right; give the row an \"answer\" or a \"verifier\", or "
                        "rewards from elsewhere (a reward model or a judge)", where);
    if (name && strcmp(name, TASK_VERIFIER_PROGRAM) == 0)
        return ctx_fail(p->ctx, AGON_EINVAL, "%s: its verifier is a program; give the program as the judge", where);
    json_t *query = json_pack("{s:s,s:O*,s:O*,s:O*}", "query", row_words(row), "answer", json_object_get(row, "answer"), "verifier",
                              json_object_get(row, "verifier"), "arguments", json_object_get(row, "arguments"));
    agon_status s = query ? task_user_query(p->ctx, where, query, out) : ctx_no_memory(p->ctx);
    json_decref(query);
    return s;
}

static agon_status check_row(prompt_source *p, const train_row *row, size_t i) {
    const char *where;
    const json_t *object = dataset_prompt_row(p->rows, i, &where);
    if (p->options.demonstrate && row->n_responses == 0)
        return ctx_fail(p->ctx, AGON_EINVAL, "%s: a demonstration is asked for: give the row a \"completion\", the answer to learn from", where);
    return p->options.verify ? take_verifier(p, where, object, &p->queries[i]) : AGON_OK;
}

static agon_status open_rows(prompt_source *p) {
    size_t n = 0;
    agon_status s = dataset_read_prompts(p->ctx, p->t, p->options.data, p->options.max_tokens, &p->rows);
    if (s)
        return s;
    p->file = dataset_file_hash(p->rows);
    const train_row *rows = dataset_rows(p->rows, &n);
    p->order = calloc(n, sizeof *p->order);
    p->queries = calloc(n, sizeof *p->queries);
    p->n_queries = n;
    p->pass = SIZE_MAX;
    if (!p->order || !p->queries)
        return ctx_no_memory(p->ctx);
    for (size_t i = 0; i < n && !s; i++)
        s = check_row(p, &rows[i], i);
    return s;
}

/* The at-th prompt of the run: a pass over the file is a shuffle of its own. */
static agon_status take_row(prompt_source *p, size_t at, prompt_item *out) {
    size_t n;
    const char *where;
    const train_row *rows = dataset_rows(p->rows, &n);
    if (p->pass != at / n) {
        p->pass = at / n;
        rng stream = rng_new(seed_derivef(p->options.seed, "online prompts %zu", p->pass));
        for (size_t i = 0; i < n; i++)
            p->order[i] = i;
        rng_shuffle(&stream, p->order, n);
    }
    size_t i = p->order[at % n];
    const train_response *shown = rows[i].n_responses ? rows[i].responses : NULL;
    *out = (prompt_item){rows[i].prompt, rows[i].n_prompt, shown ? shown->tokens : NULL, shown ? shown->n : 0,
                         p->options.verify ? &p->queries[i] : NULL, dataset_prompt_row(p->rows, i, &where)};
    return AGON_OK;
}

/* ---- both --------------------------------------------------------------------------------------------------- */

agon_status prompt_source_open(agon_ctx *ctx, const tokenizer *t, const prompt_source_options *options, prompt_source **out) {
    prompt_source *p = memory_new(1, sizeof *p);
    if (!p)
        return ctx_no_memory(ctx);
    p->ctx = ctx;
    p->t = t;
    p->options = *options;
    agon_status s = options->data && options->n_cells
                        ? ctx_fail(ctx, AGON_EINVAL, "online training: prompts are the rows of a file or the tasks of cells, not both")
                    : options->data ? open_rows(p)
                                    : open_tasks(p);
    if (s)
        prompt_source_free(p);
    else
        *out = p;
    return s;
}

void prompt_source_free(prompt_source *p) {
    if (!p)
        return;
    clear_tasks(p);
    for (size_t i = 0; p->rows && p->queries && i < p->n_queries; i++)
        task_query_free(&p->queries[i]);
    free(p->queries);
    free(p->cells);
    free(p->tokens);
    free(p->demonstrations);
    free(p->order);
    dataset_free(p->rows);
    free(p);
}

agon_status prompt_source_round(prompt_source *p, size_t round, prompt_item *out) {
    agon_status s = AGON_OK;
    clear_tasks(p);
    for (size_t i = 0; i < p->options.n_prompts && !s; i++) {
        size_t at = round * p->options.n_prompts + i;
        s = p->rows ? take_row(p, at, &out[i]) : make_task(p, at, i, &out[i]);
    }
    return s;
}

/* Of the template's name and all rows, or the first task, which the options decide. */
static agon_status hash_tokens(prompt_source *p, hash256 *out) {
    size_t n = 1;
    prompt_item first = {0};
    char hex[HASH_HEX_SIZE];
    const char *name = chat_template_name(p->t);
    hash256 rows;
    agon_status s = p->rows ? AGON_OK : make_task(p, 0, 0, &first);
    const train_response shown = {.tokens = first.demonstration, .n = first.n_demonstration};
    const train_row task = {.prompt = first.tokens, .n_prompt = first.n_tokens, .responses = &shown, .n_responses = shown.n ? 1 : 0};
    if (!s)
        s = train_rows_hash(p->ctx, p->rows ? dataset_rows(p->rows, &n) : &task, n, &rows);
    if (!p->rows)
        clear_tasks(p);
    hasher *h = s ? NULL : hasher_new();
    if (!h)
        return s ? s : ctx_no_memory(p->ctx);
    hash_hex(&rows, hex);
    hasher_add_field(h, name ? name : "");
    hasher_add_field(h, hex);
    *out = hasher_end(h);
    return AGON_OK;
}

agon_status prompt_source_describe(prompt_source *p, json_t *into) {
    hash256 tokens;
    agon_status s = hash_tokens(p, &tokens);
    if (s)
        return s;
    bool kept = json_object_set_new(into, "tokens", json_hash(&tokens)) == 0;
    if (p->rows)
        return kept && json_object_set_new(into, "data", json_hash(&p->file)) == 0 ? AGON_OK : ctx_no_memory(p->ctx);
    json_t *list = json_array();
    char name[CELL_NAME_SIZE];
    for (size_t i = 0; i < p->n_cells; i++) {
        task_cell_name(p->cells[i], name);
        json_array_append_new(list, json_string(name));
    }
    return json_object_set_new(into, "cells", list) == 0 && kept ? AGON_OK : ctx_no_memory(p->ctx);
}

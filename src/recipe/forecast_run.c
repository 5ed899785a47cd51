/* What a recipe that attacks, trains and gates asks of its local model, in tokens. Lengths are those of real texts under the model's tokenizer: the user's
 * queries, held-out items and documents all of them, the built-in families by a few tasks of each cell. What a model will have written by then is
 * taken to be as long as it may. See forecast.h. */
#include "recipe/forecast.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/share.h"
#include "eval/suite.h"
#include "recipe/gate_suites.h"
#include "recipe/open_prompts.h"
#include "role/attacker.h"
#include "role/backend.h"
#include "role/critic.h"
#include "role/prompt.h"
#include "step/actors.h"
#include "step/train_version.h"
#include "step/work.h"
#include "task/task.h"
#include <stdlib.h>
#include <string.h>

enum { TASKS_A_CELL = 4, VERDICT_TOKENS = 2 };

/* Lengths in tokens. */
typedef struct lengths {
    agon_ctx *ctx;
    const model *m;
    size_t rows;           /* of the user's file */
    size_t query, chat;    /* the longest query, by itself and as a chat that waits for its answer */
    size_t prompts;        /* the longest template without what is put into it */
    size_t document;       /* of plain prose that is trained on */
    size_t asked, answered; /* the longest held-out question, and what may answer it */
    size_t open;           /* the longest open question, as a chat */
    size_t attacker_rank;  /* of a trained attacker's adapter */
    size_t text, scored;   /* the largest group of windows of held-out text */
} lengths;

static agon_status count(const lengths *n, const char *text, size_t *most) {
    token_list ids = {0};
    agon_status s = tokenizer_encode(n->ctx, model_tokenizer(n->m), text, strlen(text), false, &ids);
    *most = ids.n > *most ? ids.n : *most;
    token_list_free(&ids);
    return s;
}

static agon_status count_chat(const lengths *n, const char *text, size_t *most) {
    const chat_message user = {"user", text};
    token_list ids = {0};
    agon_status s = chat_encode(n->ctx, model_tokenizer(n->m), &user, 1, true, &ids, NULL);
    *most = ids.n > *most ? ids.n : *most;
    token_list_free(&ids);
    return s;
}

static agon_status count_query(lengths *n, const char *text) {
    agon_status s = count(n, text, &n->query);
    return s ? s : count_chat(n, text, &n->chat);
}

static agon_status count_row(void *arg, const char *where, json_t *row) {
    const char *text = json_string_value(json_object_get(row, "query"));
    (void)where;
    ((lengths *)arg)->rows++;
    return text ? count_query(arg, text) : AGON_OK;
}

static agon_status count_recorded(lengths *n, const json_t *queries) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(queries) && !s; i++)
        s = count_query(n, field_text(json_array_get(queries, i), "text"));
    return s;
}

static agon_status count_queries(lengths *n, const run_config *r, const json_t *queries) {
    agon_status s = queries ? count_recorded(n, queries) : r->tasks.file ? jsonl_read(n->ctx, r->tasks.file, count_row, n) : AGON_OK;
    if (s == AGON_EINVAL || s == AGON_EFORMAT)
        s = AGON_OK; /* of a row: the run says what is wrong with it */
    else if (!s && !queries && r->tasks.file && n->rows == 0)
        s = ctx_fail(n->ctx, AGON_EINVAL, "%s: there are no rows; one is {\"query\": \"...\", \"answer\": \"...\"}", r->tasks.file);
    for (size_t i = 0; i < task_n_cells() * TASKS_A_CELL && !s && (r->tasks.cells.n > 0 || !r->tasks.file); i++) {
        size_t cell = i / TASKS_A_CELL;
        task_query q = {0};
        s = task_generate(n->ctx, cell, task_seed((uint64_t)r->seed, "forecast", cell, i), PERTURBATION_NONE, &q);
        if (!s)
            s = count_query(n, q.text);
        task_query_free(&q);
    }
    for (size_t i = 0; i < prompt_n_templates() && !s; i++)
        s = count(n, prompt_template_at(i)->body, &n->prompts);
    return s;
}

static agon_status count_suite(lengths *n, const char *name, int64_t limit) {
    suite *found = NULL;
    agon_status s = limit > 0 ? suite_open(n->ctx, name, (size_t)limit, &found) : AGON_OK;
    if (s == AGON_ENOTFOUND)
        return AGON_OK; /* not run */
    for (size_t i = 0; found && i < suite_n_items(found) && !s; i++) {
        suite_item item = suite_get(found, i);
        s = count_chat(n, item.query, &n->asked);
        n->answered = item.max_tokens > n->answered ? item.max_tokens : n->answered;
    }
    suite_free(found);
    return s;
}

/* What the monitor samples: recipe loop only. */
static size_t n_watched(const run_config *r) {
    return strcmp(r->recipe, "loop") == 0 ? (size_t)r->gate.monitor_prompts : 0;
}

static agon_status count_open(lengths *n, const run_config *r) {
    open_prompts p = {0};
    agon_status s = n_watched(r) > 0 ? open_prompts_read(n->ctx, OPEN_PROMPTS_FILE_MOST, 0, &p) : AGON_OK;
    for (size_t i = 0; i < p.n && !s; i++)
        s = count_chat(n, p.items[i], &n->open);
    open_prompts_free(&p);
    return s;
}

/* Held-out text, scored in groups of windows. */
static agon_status count_text(lengths *n, size_t documents) {
    perplexity_suite *p = NULL;
    agon_status s = documents ? perplexity_open(n->ctx, model_tokenizer(n->m), model_get_config(n->m)->max_context, NULL, documents, &p) : AGON_OK;
    for (size_t i = 0; p && i < perplexity_n_windows(p); i += PERPLEXITY_GROUP) {
        size_t tokens = 0, scored = 0;
        for (size_t k = i; k < i + PERPLEXITY_GROUP && k < perplexity_n_windows(p); k++) {
            perplexity_window w = perplexity_get(p, k);
            tokens += w.n_context + w.n_tokens;
            scored += w.n_tokens;
        }
        n->text = tokens > n->text ? tokens : n->text;
        n->scored = scored > n->scored ? scored : n->scored;
    }
    perplexity_free(p);
    return s;
}

static agon_status count_prose(lengths *n, size_t documents) {
    perplexity_suite *p = NULL;
    char *path = NULL;
    agon_status s = documents ? share_find(n->ctx, "data/real.txt", &path) : AGON_OK;
    if (!s && path)
        s = perplexity_open(n->ctx, model_tokenizer(n->m), model_get_config(n->m)->max_context, path, documents, &p);
    for (size_t i = 0; p && i < perplexity_n_documents(p); i++)
        n->document = perplexity_n_scored(p, i) + 1 > n->document ? perplexity_n_scored(p, i) + 1 : n->document;
    perplexity_free(p);
    free(path);
    return s;
}

static size_t least_of(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A batch's rows of each kind: an answer or a pair of them, the critic's verdict, plain prose. */
static agon_status training(forecast *f, const lengths *n, const run_config *r) {
    train_options o = train_options_default(), critic = o;
    size_t batch = (size_t)r->train.batch, most = TRAIN_VERSION_TOKENS, answer = least_of((size_t)r->learner.max_tokens, most);
    size_t examined = least_of(n->prompts + n->query + answer, most), chat = least_of(n->chat, most - answer);
    o.objective = objective_find(r->train.objective);
    critic.objective = objective_find("sft");
    if (!o.objective)
        return AGON_OK; /* the run says so */
    objective_defaults(o.objective, o.objective_options);
    objective_defaults(critic.objective, critic.objective_options);
    o.batch_rows = critic.batch_rows = batch;
    o.selection = (train_selection){.tau = r->train.small_loss, .ramp = r->train.small_loss_ramp};
    train_row *rows = memory_new(batch, sizeof *rows);
    const train_response pair[2] = {{.n = answer, .weight = 1}, {.n = answer, .weight = 1}}, verdict = {.n = VERDICT_TOKENS, .weight = 1},
                         prose = {.n = least_of(n->document, most), .weight = 1};
    for (size_t i = 0; rows && i < batch; i++)
        rows[i] = (train_row){.n_prompt = chat, .responses = pair, .n_responses = o.objective->rows & ROW_SINGLE ? 1 : 2, .weight = 1};
    if (rows)
        forecast_training(f, rows, batch, &o);
    for (size_t i = 0; rows && i < batch && n->document > 0; i++)
        rows[i] = (train_row){.responses = &prose, .n_responses = 1, .weight = 1};
    if (rows && n->document > 0 && o.objective->rows & ROW_SINGLE)
        forecast_training(f, rows, batch, &o);
    for (size_t i = 0; rows && i < batch; i++)
        rows[i] = (train_row){.n_prompt = examined, .responses = &verdict, .n_responses = 1, .weight = 1};
    if (rows && r->critic.examples > 0)
        forecast_training(f, rows, batch, &critic);
    free(rows);
    return rows ? AGON_OK : ctx_fail(f->ctx, AGON_ENOMEM, "out of memory for a forecast");
}

static bool is_local(const backend_config *b) {
    return strcmp(b->backend, "local") == 0;
}

static void generation(forecast *f, const lengths *n, const run_config *r, bool writes) {
    size_t answer = (size_t)r->learner.max_tokens, judged = n->prompts + n->query + answer, batch = work_generate.chunk;
    size_t asked = r->attacker.queries < (int64_t)batch && !r->tasks.file ? (size_t)r->attacker.queries : batch;
    if (is_local(&r->learner.by)) {
        forecast_generation(f, asked, (size_t)r->learner.samples, n->chat, answer);
        if (r->refine.queries > 0) /* a critique may quote the answer */
            forecast_generation(f, least_of(asked, (size_t)r->refine.queries), (size_t)r->refine.samples, n->chat + n->prompts + answer, answer);
        forecast_generation(f, n->asked > 0 ? batch : 0, 1, n->asked, n->answered);
        size_t watched = least_of(batch, n_watched(r)); /* the monitor's open questions, and tasks */
        forecast_generation(f, watched, MONITOR_SAMPLES, n->open, MONITOR_TOKENS);
        forecast_generation(f, watched, MONITOR_SAMPLES, n->chat, answer);
    }
    if (is_local(&r->attacker.by) && r->attacker.variations > 0) {
        const size_t own = f->rank;
        f->rank = n->attacker_rank > own ? n->attacker_rank : own;
        forecast_generation(f, least_of(batch, (size_t)r->attacker.variations), 1, n->chat + n->prompts, ATTACKER_MAX_TOKENS);
        f->rank = own;
    }
    if (is_local(&r->critic.by) && (writes || strcmp(r->refine.words, "critic") == 0))
        forecast_generation(f, batch, 1, n->chat + judged, CRITIC_WRITE_TOKENS);
}

/* The critic reads a chunk of answers at once, and stops filling a batch when it has enough. */
static void scoring(forecast *f, const lengths *n, const run_config *r) {
    size_t one = n->prompts + n->query + (size_t)r->learner.max_tokens + 2 * VERDICT_TOKENS;
    size_t tokens = least_of(size_mul(work_judge.chunk, one), BACKEND_SCORE_TOKENS + one);
    if (is_local(&r->critic.by) && r->critic.examples > 0)
        forecast_scoring(f, tokens, size_mul(tokens / one + 1, 2 * VERDICT_TOKENS), true);
    forecast_scoring(f, n->text, n->scored, false);
}

/* A trained attacker stays, once it has been asked. */
static agon_status keep_attacker(forecast *f, lengths *n, const run_config *r) {
    adapter *a = NULL;
    agon_status s = r->attacker.adapter ? adapter_import_peft(n->ctx, n->m, r->attacker.adapter, &a) : AGON_OK;
    if (!s && a) {
        n->attacker_rank = adapter_rank(a);
        forecast_keep_adapter(f, a);
    }
    adapter_free(a);
    return s;
}

agon_status forecast_run(agon_ctx *ctx, const model *m, const run_config *r, const json_t *queries, size_t n_adapters, bool writes, forecast *out) {
    lengths n = {.ctx = ctx, .m = m};
    forecast f = forecast_new(ctx, m, (size_t)r->train.rank, 1);
    f.targets = r->train.targets;
    agon_status s = count_queries(&n, r, queries);
    for (size_t i = 0; gate_suite_at(i) && !s; i++)
        s = count_suite(&n, gate_suite_at(i)->name, gate_suite_items(gate_suite_at(i), r));
    if (!s)
        s = count_text(&n, (size_t)r->evaluate.documents);
    if (!s)
        s = count_open(&n, r);
    if (!s)
        s = count_prose(&n, size_mul((size_t)r->build.documents, (size_t)r->iterations)); /* each iteration may read others */
    if (!s)
        s = keep_attacker(&f, &n, r);
    if (s)
        return s;
    forecast_keep(&f, least_of(n_adapters, ACTORS_MAX_VERSIONS));
    scoring(&f, &n, r);
    generation(&f, &n, r, writes);
    s = training(&f, &n, r);
    if (!s)
        *out = f;
    return s;
}

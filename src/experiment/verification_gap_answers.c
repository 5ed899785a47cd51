/* The experiment verification-gap: queries, answers, judgements. See verification_gap.c. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/utf8.h"
#include "experiment/verification_gap.h"
#include "generate/generate.h"
#include "role/critic.h"
#include "role/judge.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- queries --------------------------------------------------------------------------------------------------- */

/* Takes the task as the next query; one that is there already is freed. `seen`: identities, as keys. */
static agon_status add_query(gap *x, json_t *seen, task_query *task) {
    agon_ctx *ctx = x->l->ctx;
    const char *by = json_string_value(json_object_get(task->parameters, "verifier"));
    const bool own = strcmp(task->family, "user") == 0;
    char *identity = task_identity(task);
    token_list list = {0};
    agon_status s = identity ? AGON_OK : ctx_no_memory(ctx);
    if (!s && json_object_get(seen, identity)) {
        task_query_free(task);
        free(identity);
        return AGON_OK;
    }
    gap_query *q = &x->queries[x->n++];
    const chat_message user = {"user", task->text};
    *q = (gap_query){.task = *task};
    *task = (task_query){0};
    q->kind = own ? arena_copy(x->memory, by) : arena_printf(x->memory, "%s/%s", q->task.family, q->task.cell);
    if (!s && (!q->kind || json_object_set_new(seen, identity, json_true()) != 0))
        s = ctx_no_memory(ctx);
    if (!s)
        s = chat_encode(ctx, model_tokenizer(x->m), &user, 1, true, &list, NULL);
    free(identity);
    return lab_keep_tokens(ctx, s, &list, x->memory, &q->prompt, &q->n_prompt);
}

static agon_status draw_tasks(gap *x, json_t *seen) {
    agon_status s = AGON_OK;
    for (size_t seed = 0; seed < x->l->n_seeds && !s; seed++) {
        const uint64_t own = lab_seed(x->l, seed, "queries");
        for (size_t at = 0; x->n < (seed + 1) * x->n_queries && !s; at++) {
            const size_t cell = x->cells[at % x->n_cells];
            task_query task = {0};
            if (at > 20 * x->n_queries + 1000)
                s = ctx_fail(x->l->ctx, AGON_EINVAL, "the cells have no %zu different tasks; ask for fewer queries or seeds, or name more cells", x->l->n_seeds * x->n_queries);
            if (!s)
                s = task_generate(x->l->ctx, cell, task_seed(own, "verification gap", cell, at), PERTURBATION_NONE, &task);
            if (!s)
                s = add_query(x, seen, &task);
            task_query_free(&task);
        }
    }
    return s;
}

typedef struct rows {
    gap *x;
    task_query *all;
    size_t n, capacity;
} rows;

static agon_status take_row(void *arg, const char *where, json_t *row) {
    rows *r = arg;
    task_query task = {0};
    agon_status s = task_user_query(r->x->l->ctx, where, row, &task);
    const char *by = s ? NULL : json_string_value(json_object_get(task.parameters, "verifier"));
    if (s)
        return s;
    if (!by || strcmp(by, TASK_VERIFIER_PROGRAM) == 0) { /* nobody here can say what is true of its answers */
        r->x->n_left_out++;
        task_query_free(&task);
        return AGON_OK;
    }
    if (!memory_grow((void **)&r->all, &r->capacity, r->n, sizeof *r->all)) {
        task_query_free(&task);
        return ctx_no_memory(r->x->l->ctx);
    }
    r->all[r->n++] = task;
    return AGON_OK;
}

/* In an order of the seed's, as many as are asked for or there are. */
static agon_status draw_rows(gap *x, const char *path, json_t *seen) {
    rows r = {.x = x};
    rng random = rng_new(lab_seed(x->l, 0, "rows"));
    x->n_left_out = 0;
    agon_status s = jsonl_read(x->l->ctx, path, take_row, &r);
    size_t *order = memory_new(r.n + 1, sizeof *order);
    if (!s && !order)
        s = ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < r.n && !s; i++)
        order[i] = i;
    if (!s)
        rng_shuffle(&random, order, r.n);
    for (size_t i = 0; i < r.n && x->n < x->l->n_seeds * x->n_queries && !s; i++)
        s = add_query(x, seen, &r.all[order[i]]);
    for (size_t i = 0; i < r.n; i++)
        task_query_free(&r.all[i]);
    free(r.all);
    free(order);
    if (!s && x->n < 2)
        s = ctx_fail(x->l->ctx, AGON_EINVAL, "data: %s has %zu different rows with an answer or a verifier of agon's; two are the least", path, x->n);
    return s;
}

agon_status gap_draw(gap *x) {
    const char *path = json_string_value(json_object_get(x->l->settings, "data"));
    const size_t most = x->l->n_seeds * x->n_queries;
    json_t *seen = json_object();
    x->queries = arena_take(x->memory, most, sizeof *x->queries);
    x->utility = arena_take(x->memory, size_mul(most, x->n_samples), sizeof *x->utility);
    agon_status s = seen && x->queries && x->utility ? *path ? draw_rows(x, path, seen) : draw_tasks(x, seen) : ctx_no_memory(x->l->ctx);
    json_decref(seen);
    return s;
}

void gap_queries_free(gap *x) {
    for (size_t i = 0; i < x->n; i++)
        task_query_free(&x->queries[i].task);
    x->n = 0;
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

/* Of the i-th query and its j-th answer; queries of a seed are counted from 0. */
static uint64_t answer_seed(const gap *x, size_t i, size_t j) {
    return lab_seed(x->l, i / x->n_queries, "answer %zu %zu", i % x->n_queries, j);
}

static agon_status take_answer(gap *x, size_t i, size_t j, const char *text, bool right) {
    x->queries[i].answers[j] = arena_copy(x->memory, text);
    x->utility[i * x->n_samples + j] = right;
    return x->queries[i].answers[j] ? AGON_OK : ctx_no_memory(x->l->ctx);
}

static agon_status verify(gap *x, size_t i, size_t j, const completion *c) {
    const gap_query *q = &x->queries[i];
    char *text = utf8_repair(c->text, c->n_text);
    task_verdict v = {0};
    agon_status s = text ? task_verify(x->l->ctx, &q->task, text, &v) : ctx_no_memory(x->l->ctx);
    if (!s && v.outcome == OUTCOME_UNKNOWN)
        s = ctx_fail(x->l->ctx, AGON_EINVAL, "cells: %s has answers that nobody can verify", q->kind);
    if (!s)
        s = take_answer(x, i, j, text, v.outcome == OUTCOME_PASS);
    task_verdict_free(&v);
    free(text);
    return s;
}

static agon_status ask_learner(gap *x, size_t from, size_t n) {
    const size_t k = x->n_samples;
    generate_request *requests = memory_new(n, sizeof *requests);
    uint64_t *seeds = memory_new(n * k, sizeof *seeds);
    completion *done = memory_new(n * k, sizeof *done);
    sampling how = sampling_default();
    how.temperature = (float)x->temperature;
    how.top_p = (float)x->top_p;
    how.max_tokens = x->max_tokens;
    agon_status s = requests && seeds && done ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        const gap_query *q = &x->queries[from + i];
        for (size_t j = 0; j < k; j++)
            seeds[i * k + j] = answer_seed(x, from + i, j);
        requests[i] = (generate_request){.prompt = q->prompt, .n_prompt = q->n_prompt, .n_samples = k, .seeds = seeds + i * k, .adapter = x->learner, .sampling = how};
    }
    if (!s)
        s = generate(x->l->ctx, x->m, requests, n, &(generate_options){0}, done);
    for (size_t i = 0; i < n * k && !s; i++)
        s = verify(x, from + i / k, i % k, &done[i]);
    for (size_t i = 0; done && i < n * k; i++)
        completion_free(&done[i]);
    free(requests), free(seeds), free(done);
    return s;
}

/* Their stage: a list of [text, right] a query. */
static agon_status keep_answers(const gap *x, const char *key, size_t from, size_t n) {
    json_t *list = json_array();
    for (size_t i = from; i < from + n; i++) {
        json_t *answers = json_array();
        for (size_t j = 0; j < x->n_samples; j++)
            json_array_append_new(answers, json_pack("[s,b]", x->queries[i].answers[j], x->utility[i * x->n_samples + j] > 0.5));
        json_array_append_new(list, answers);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    agon_status s = text && json_array_size(list) == n ? lab_keep_bytes(x->l, x->l->ctx, key, text, strlen(text)) : ctx_no_memory(x->l->ctx);
    free(text);
    json_decref(list);
    return s;
}

static agon_status recall_answers(gap *x, const char *key, size_t from, size_t n, bool *found) {
    char *data;
    size_t size;
    json_t *list = NULL;
    agon_status s = lab_recall_bytes(x->l, x->l->ctx, key, &data, &size);
    *found = data != NULL;
    if (!s && data)
        s = json_parse(x->l->ctx, "a stage of the answers", data, size, &list);
    for (size_t i = 0; list && i < n * x->n_samples && !s; i++) {
        const json_t *one = json_array_get(json_array_get(list, i / x->n_samples), i % x->n_samples);
        const char *text = json_string_value(json_array_get(one, 0));
        s = text ? take_answer(x, from + i / x->n_samples, i % x->n_samples, text, json_is_true(json_array_get(one, 1)))
                 : ctx_fail(x->l->ctx, AGON_EFORMAT, "a stage of the answers is of another form; remove the folder's stages");
    }
    json_decref(list);
    free(data);
    return s;
}

/* Names what is asked, and by which random numbers: tasks and seeds, hashed. */
static agon_status answers_key(const gap *x, size_t from, size_t n, char key[160]) {
    buffer b = {0};
    char hex[HASH_HEX_SIZE];
    for (size_t i = from; i < from + n; i++) {
        char *identity = task_identity(&x->queries[i].task);
        b.failed = b.failed || !identity;
        buffer_printf(&b, "%s|%s|%llu\n", identity ? identity : "", x->queries[i].task.text, (unsigned long long)answer_seed(x, i, 0));
        free(identity);
    }
    const hash256 id = b.failed ? (hash256){{0}} : hash_bytes(b.data, b.size);
    hash_hex(&id, hex);
    snprintf(key, 160, "%s|%s", x->base, hex);
    agon_status s = b.failed ? ctx_no_memory(x->l->ctx) : AGON_OK;
    buffer_free(&b);
    return s;
}

agon_status gap_answer(gap *x, size_t from, size_t n, bool kept) {
    char name[160], key[200];
    bool found = false;
    agon_status s = answers_key(x, from, n, name);
    snprintf(key, sizeof key, "answers|%s", name);
    for (size_t i = from; i < from + n && !s; i++) {
        x->queries[i].answers = arena_take(x->memory, x->n_samples, sizeof *x->queries[i].answers);
        s = x->queries[i].answers ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    if (!s && kept)
        s = recall_answers(x, key, from, n, &found);
    if (s || found)
        return s;
    s = ask_learner(x, from, n);
    return s || !kept ? s : keep_answers(x, key, from, n);
}

/* ---- judgements ------------------------------------------------------------------------------------------------- */

/* Answers that are judged: of a query each text once. */
typedef struct asked {
    size_t *of;       /* [n, n_samples] which of the items each answer is */
    size_t *at, n;    /* [n] of the items: the first such answer, of all of the queries at hand */
    char (*ids)[64];  /* [n] */
} asked;

static void asked_free(asked *a) {
    free(a->of), free(a->at), free(a->ids);
}

static agon_status asked_new(const gap *x, size_t from, size_t n, asked *a) {
    const size_t k = x->n_samples;
    *a = (asked){.of = memory_new(n * k, sizeof *a->of), .at = memory_new(n * k, sizeof *a->at), .ids = memory_new(n * k, sizeof *a->ids)};
    if (!a->of || !a->at || !a->ids)
        return ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n * k; i++) {
        const char *const *answers = x->queries[from + i / k].answers;
        size_t j = 0;
        while (strcmp(answers[j], answers[i % k]) != 0)
            j++;
        if (j < i % k) {
            a->of[i] = a->of[i - i % k + j];
            continue;
        }
        a->of[i] = a->n;
        snprintf(a->ids[a->n], sizeof *a->ids, "query %zu, answer %zu", from + i / k + 1, i % k + 1);
        a->at[a->n++] = i;
    }
    return AGON_OK;
}

static agon_status ask_program(gap *x, const gap_judge *j, size_t from, const asked *a, double *out) {
    judge_item *items = memory_new(a->n, sizeof *items);
    json_t **prompts = memory_new(a->n, sizeof *prompts);
    agon_status s = items && prompts ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < a->n && !s; i++) {
        const gap_query *q = &x->queries[from + a->at[i] / x->n_samples];
        const char *answer = q->answers[a->at[i] % x->n_samples];
        prompts[i] = json_string(q->task.text);
        items[i] = (judge_item){.id = a->ids[i], .prompt = prompts[i], .answer = answer, .n_answer = strlen(answer)};
        s = prompts[i] ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    if (!s)
        s = judge_ask(x->l->ctx, j->b, items, a->n, out);
    for (size_t i = 0; prompts && i < a->n; i++)
        json_decref(prompts[i]);
    free(items), free(prompts);
    return s;
}

static agon_status ask_model(gap *x, const gap_judge *j, size_t from, const asked *a, double *out) {
    critic_item *items = memory_new(a->n, sizeof *items);
    critic_judgement *said = memory_new(a->n, sizeof *said);
    agon_status s = items && said ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < a->n && !s; i++) {
        const gap_query *q = &x->queries[from + a->at[i] / x->n_samples];
        items[i] = (critic_item){.id = a->ids[i], .query = q->task.text, .answer = q->answers[a->at[i] % x->n_samples], .seed = lab_seed(x->l, 0, "judge %s", a->ids[i]),
                                 .principles = j->principles, .own = j->prompt.body ? &j->prompt : NULL};
    }
    if (!s)
        s = critic_judge(x->l->ctx, j->b, items, a->n, (size_t)j->n_votes, j->b == x->self ? x->learner : NULL, said);
    for (size_t i = 0; i < a->n && !s; i++) {
        out[i] = said[i].p;
        if (said[i].error && backend_capabilities(j->b) & IN_PROCESS)
            s = ctx_fail(x->l->ctx, AGON_EINVAL, "%s: %.400s", a->ids[i], said[i].error);
        else if (said[i].error)
            s = ctx_fail(x->l->ctx, AGON_EREMOTE, "%s: %.400s; run again to go on from here", a->ids[i], said[i].error);
    }
    for (size_t i = 0; said && i < a->n; i++)
        critic_judgement_free(&said[i]);
    free(items), free(said);
    return s;
}

agon_status gap_judge_answers(gap *x, const gap_judge *j, size_t from, size_t n, bool kept, double *out) {
    char name[160], key[320];
    bool found = false;
    asked a = {0};
    double *scores = memory_new(n * x->n_samples, sizeof *scores);
    agon_status s = scores ? answers_key(x, from, n, name) : ctx_no_memory(x->l->ctx);
    snprintf(key, sizeof key, "scores|%s|%s", j->id, name);
    if (!s && kept)
        s = lab_recall(x->l, x->l->ctx, key, out, n * x->n_samples, &found);
    if (!s && !found) {
        s = asked_new(x, from, n, &a);
        if (!s)
            s = j->command ? ask_program(x, j, from, &a, scores) : ask_model(x, j, from, &a, scores);
        if (s)
            s = ctx_prefix(x->l->ctx, s, "verifier %s", j->name);
        for (size_t i = 0; i < n * x->n_samples && !s; i++)
            out[i] = scores[a.of[i]];
        if (!s && kept)
            s = lab_keep(x->l, x->l->ctx, key, out, n * x->n_samples);
    }
    asked_free(&a);
    free(scores);
    return s;
}

/* The experiment red-team: queries, rewordings, what the learner answers. See red_team.c. */
#include "base/ctx.h"
#include "base/random.h"
#include "base/utf8.h"
#include "experiment/red_team.h"
#include "generate/generate.h"
#include <stdlib.h>
#include <string.h>

static const char *const arm_names[N_RED_ARMS] = {"plain", "templates", "untrained", "trained", "no-penalty"};

const char *red_arm_name(red_arm arm) {
    return arm_names[arm];
}

/* ---- queries --------------------------------------------------------------------------------------------------- */

/* More names than are replaced count as none. */
static void find_names(red_query *q) {
    const json_t *entry;
    size_t i;
    q->n_names = 0;
    json_array_foreach(q->task.keep, i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        if (!kind || strcmp(kind, "name") != 0)
            continue;
        if (q->n_names == ATTACKER_MAX_NAMES) {
            q->n_names = 0;
            return;
        }
        q->names[q->n_names++] = json_string_value(json_object_get(entry, "value"));
    }
}

static agon_status write_prompt(red_team *x, red_query *q) {
    const attacker_item item = {.query = q->task.text, .perturbation = q->kind, .names = q->names, .n_names = q->n_names};
    char *prompt = NULL;
    token_list list = {0};
    agon_status s = attacker_prompt(x->l->ctx, &item, &prompt);
    if (!s)
        s = tokenizer_encode_raw(x->l->ctx, model_tokenizer(x->m), prompt, strlen(prompt), &list);
    free(prompt);
    return lab_keep_tokens(x->l->ctx, s, &list, x->memory, &q->prompt, &q->n_prompt);
}

red_query *red_drawn(const red_team *x, size_t i) {
    return i < x->n_test ? &x->test[i] : &x->train[i - x->n_test];
}

/* Whether the task of `q` is none of those drawn before. */
static agon_status is_new(red_team *x, const red_query *q, char **identities, bool *out) {
    char *identity = task_identity(&q->task);
    if (!identity)
        return ctx_no_memory(x->l->ctx);
    *out = true;
    for (size_t i = 0; i < x->n_drawn && *out; i++)
        *out = strcmp(identities[i], identity) != 0;
    if (*out)
        identities[x->n_drawn] = identity;
    else
        free(identity);
    return AGON_OK;
}

agon_status red_draw(red_team *x, size_t seed) {
    const size_t n = x->n_test + x->n_rounds * x->n_queries;
    const uint64_t own = lab_seed(x->l, seed, "queries");
    char **identities = calloc(n, sizeof *identities);
    x->n_drawn = 0;
    x->test = arena_take(x->memory, x->n_test, sizeof *x->test);
    x->train = arena_take(x->memory, x->n_rounds * x->n_queries, sizeof *x->train);
    agon_status s = identities && x->test && x->train ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t at = 0; x->n_drawn < n && !s; at++) {
        red_query q = {.cell = x->cells[at % x->n_cells]};
        bool taken = false;
        if (at > 20 * n + 1000)
            s = ctx_fail(x->l->ctx, AGON_EINVAL, "the cells have no %zu different tasks for these attacks; ask for fewer queries or rounds, or name more cells", n);
        if (!s)
            s = task_generate(x->l->ctx, q.cell, task_seed(own, "red team", q.cell, at), PERTURBATION_NONE, &q.task);
        if (!s) {
            find_names(&q);
            q.kind = attacker_choose(&x->kinds, q.n_names > 0, at + at / x->n_cells);
        }
        if (!s && q.kind != PERTURBATION_NONE)
            s = is_new(x, &q, identities, &taken);
        if (!s && taken)
            s = write_prompt(x, &q);
        if (!s && taken)
            *red_drawn(x, x->n_drawn++) = q;
        else
            task_query_free(&q.task);
    }
    for (size_t i = 0; identities && i < n; i++)
        free(identities[i]);
    free(identities);
    return s;
}

void red_queries_free(red_team *x) {
    for (size_t i = 0; i < x->n_drawn; i++)
        task_query_free(&red_drawn(x, i)->task);
    x->n_drawn = 0;
}

/* ---- what the attacker wrote ------------------------------------------------------------------------------------- */

/* The attack without the query, where the query stands at its end word for word. */
static const char *own_words(arena *memory, const char *text, const char *query) {
    size_t n = strlen(text), n_query = strlen(query);
    bool ends = n > n_query && strcmp(text + n - n_query, query) == 0;
    return arena_text(memory, text, ends ? n - n_query : n);
}

/* Whether the text still asks the same; *to is the query then, *reason new where it does not. */
static agon_status check(const red_team *x, const red_query *q, const char *text, task_query *to, bool *valid, char **reason) {
    agon_ctx *ctx = x->l->ctx;
    agon_status s = task_variation_check(ctx, &q->task, q->kind, text, valid, reason);
    if (!s && *valid)
        s = task_variation(ctx, &q->task, q->kind, text, to);
    if (!s && *valid && (s = task_check(ctx, to)) == AGON_EMISMATCH) {
        *valid = false;
        *reason = strdup(agon_error(ctx));
        s = *reason ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    return s;
}

/* Text, words and validity of one attempt; *to, to be freed, is what the learner is asked where it is valid. */
static agon_status compose(const red_team *x, arena *memory, const red_query *q, const char *output, task_query *to, red_attack *out) {
    const attacker_item item = {.query = q->task.text, .perturbation = q->kind, .names = q->names, .n_names = q->n_names};
    char *text = attacker_compose(&item, output), *rest = text && *text ? NULL : attacker_parse(output), *reason = NULL;
    bool valid = false;
    agon_status s = text && (*text || rest) ? AGON_OK : ctx_no_memory(x->l->ctx);
    if (!s && *text)
        s = check(x, q, text, to, &valid, &reason);
    if (!s) {
        *out = (red_attack){.text = arena_copy(memory, text), .words = own_words(memory, *text ? text : rest, q->task.text),
                            .reason = valid ? NULL : arena_copy(memory, reason ? reason : "no answer could be used")};
        if (!out->text || !out->words || (!valid && !out->reason))
            s = ctx_no_memory(x->l->ctx);
    }
    free(text), free(rest), free(reason);
    return s;
}

/* ---- the learner -------------------------------------------------------------------------------------------------- */

/* The learner's answers to the tasks that have a text, verified. failed [n, n_answers]. */
static agon_status ask(const red_team *x, const task_query *tasks, const uint64_t *whose, size_t n, bool *failed) {
    const size_t k = x->n_answers;
    agon_ctx *ctx = x->l->ctx;
    generate_request *requests = memory_new(n + 1, sizeof *requests);
    uint64_t *seeds = memory_new(n * k + 1, sizeof *seeds);
    completion *answers = memory_new(n * k + 1, sizeof *answers);
    token_list *prompts = memory_new(n + 1, sizeof *prompts);
    size_t *which = memory_new(n + 1, sizeof *which), n_asked = 0;
    sampling how = sampling_default();
    how.temperature = (float)x->temperature;
    how.max_tokens = x->max_tokens;
    agon_status s = requests && seeds && answers && prompts && which ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        const chat_message user = {"user", tasks[i].text};
        if (!tasks[i].text)
            continue;
        s = chat_encode(ctx, model_tokenizer(x->m), &user, 1, true, &prompts[n_asked], NULL);
        for (size_t j = 0; j < k; j++)
            seeds[n_asked * k + j] = seed_derivef(whose[i], "answer %zu", j);
        requests[n_asked] = (generate_request){.prompt = prompts[n_asked].ids, .n_prompt = prompts[n_asked].n, .n_samples = k, .seeds = &seeds[n_asked * k],
                                               .adapter = x->learner, .sampling = how};
        which[n_asked++] = i;
    }
    if (!s && n_asked > 0)
        s = generate(ctx, x->m, requests, n_asked, &(generate_options){0}, answers);
    for (size_t i = 0; i < n_asked * k && !s; i++) {
        const task_query *task = &tasks[which[i / k]];
        task_verdict v = {0};
        s = task_verify(ctx, task, answers[i].text, &v);
        if (!s && v.outcome == OUTCOME_UNKNOWN)
            s = ctx_fail(ctx, AGON_EINVAL, "cells: %s has answers that nobody can verify", task->cell);
        failed[which[i / k] * k + i % k] = v.outcome != OUTCOME_PASS;
        task_verdict_free(&v);
    }
    for (size_t i = 0; answers && i < n_asked * k; i++)
        completion_free(&answers[i]);
    for (size_t i = 0; prompts && i < n; i++)
        token_list_free(&prompts[i]);
    free(requests), free(seeds), free(answers), free(prompts), free(which);
    return s;
}

static agon_status ask_all(const red_team *x, arena *memory, const task_query *tasks, const uint64_t *whose, size_t n, red_attack *out) {
    bool *failed = arena_take(memory, n * x->n_answers, sizeof *failed);
    for (size_t i = 0; failed && i < n; i++)
        out[i].failed = failed + i * x->n_answers;
    return failed ? ask(x, tasks, whose, n, failed) : ctx_no_memory(x->l->ctx);
}

agon_status red_attempt(red_team *x, arena *memory, const red_query *const *queries, const char *const *outputs, const uint64_t *whose, size_t n,
                        red_attack *out) {
    task_query *tasks = memory_new(n, sizeof *tasks);
    agon_status s = tasks ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++)
        s = compose(x, memory, queries[i], outputs[i], &tasks[i], &out[i]);
    for (size_t i = 0; i < n && !s; i++)
        if (out[i].reason)
            task_query_free(&tasks[i]);
    if (!s)
        s = ask_all(x, memory, tasks, whose, n, out);
    for (size_t i = 0; tasks && i < n; i++)
        task_query_free(&tasks[i]);
    free(tasks);
    return s;
}

agon_status red_ask_plain(const red_team *x, const red_query *const *queries, const uint64_t *whose, size_t n, bool *failed) {
    task_query *tasks = memory_new(n, sizeof *tasks); /* borrowed from the queries */
    for (size_t i = 0; tasks && i < n; i++)
        tasks[i] = queries[i]->task;
    agon_status s = tasks ? ask(x, tasks, whose, n, failed) : ctx_no_memory(x->l->ctx);
    free(tasks);
    return s;
}

/* ---- held-out queries ----------------------------------------------------------------------------------------------- */

/* One output a query, drawn as the loop draws them. */
static agon_status write_attacks(red_team *x, size_t seed, const adapter *a, const uint64_t *whose, red_attack *out) {
    const size_t n = x->n_test;
    generate_request *requests = memory_new(n, sizeof *requests);
    completion *done = memory_new(n, sizeof *done);
    uint64_t *seeds = memory_new(n, sizeof *seeds);
    const red_query **queries = memory_new(n, sizeof *queries);
    const char **outputs = memory_new(n, sizeof *outputs);
    sampling how = attacker_sampling();
    how.max_tokens = x->attack_tokens;
    agon_status s = requests && done && seeds && queries && outputs ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        seeds[i] = lab_seed(x->l, seed, "attack %zu", i);
        queries[i] = &x->test[i];
        requests[i] = (generate_request){.prompt = queries[i]->prompt, .n_prompt = queries[i]->n_prompt, .n_samples = 1, .seeds = &seeds[i], .adapter = a,
                                         .sampling = how};
    }
    if (!s)
        s = generate(x->l->ctx, x->m, requests, n, &(generate_options){0}, done);
    for (size_t i = 0; i < n && !s; i++) {
        char *text = utf8_repair(done[i].text, done[i].n_text);
        outputs[i] = text ? arena_copy(x->memory, text) : NULL;
        free(text);
        s = outputs[i] ? AGON_OK : ctx_no_memory(x->l->ctx);
    }
    if (!s)
        s = red_attempt(x, x->memory, queries, outputs, whose, n, out);
    for (size_t i = 0; done && i < n; i++)
        completion_free(&done[i]);
    free(requests), free(done), free(seeds), free(queries), free(outputs);
    return s;
}

/* The queries as programs word them: plainly, or each as its kind of attack would. The task stays: wordings are no part of it. */
static agon_status write_templates(red_team *x, red_arm arm, const uint64_t *whose, red_attack *out) {
    const size_t n = x->n_test;
    task_query *tasks = memory_new(n, sizeof *tasks);
    agon_status s = tasks ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        const red_query *q = &x->test[i];
        s = task_generate(x->l->ctx, q->cell, q->task.seed, arm == RED_TEMPLATES ? q->kind : PERTURBATION_NONE, &tasks[i]);
        out[i] = (red_attack){.text = s ? NULL : arena_copy(x->memory, tasks[i].text)};
        out[i].words = out[i].text;
        if (!s && !out[i].text)
            s = ctx_no_memory(x->l->ctx);
    }
    if (!s)
        s = ask_all(x, x->memory, tasks, whose, n, out);
    for (size_t i = 0; tasks && i < n; i++)
        task_query_free(&tasks[i]);
    free(tasks);
    return s;
}

static agon_status keep_attacks(const red_team *x, const char *key, const red_attack *attacks) {
    json_t *list = json_array();
    for (size_t i = 0; i < x->n_test; i++) {
        json_t *failed = json_array();
        for (size_t j = 0; j < x->n_answers; j++)
            json_array_append_new(failed, json_boolean(attacks[i].failed[j]));
        json_array_append_new(list, json_pack("[s,s,s?,o]", attacks[i].text, attacks[i].words, attacks[i].reason, failed));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    agon_status s = text && json_array_size(list) == x->n_test ? lab_keep_bytes(x->l, x->l->ctx, key, text, strlen(text)) : ctx_no_memory(x->l->ctx);
    free(text);
    json_decref(list);
    return s;
}

static agon_status read_attack(const red_team *x, const json_t *from, red_attack *out) {
    const char *text = json_string_value(json_array_get(from, 0)), *words = json_string_value(json_array_get(from, 1)),
               *reason = json_string_value(json_array_get(from, 2));
    const json_t *failed = json_array_get(from, 3);
    bool *answers = arena_take(x->memory, x->n_answers, sizeof *answers);
    if (!text || !words || json_array_size(failed) != x->n_answers)
        return ctx_fail(x->l->ctx, AGON_EFORMAT, "a stage of the attacks is of another form; remove the folder's stages");
    *out = (red_attack){arena_copy(x->memory, text), arena_copy(x->memory, words), arena_copy(x->memory, reason), answers};
    for (size_t j = 0; answers && j < x->n_answers; j++)
        answers[j] = json_is_true(json_array_get(failed, j));
    return answers && out->text && out->words && (out->reason || !reason) ? AGON_OK : ctx_no_memory(x->l->ctx);
}

static agon_status recall_attacks(const red_team *x, const char *key, red_attack *out, bool *found) {
    char *data;
    size_t n;
    json_t *list = NULL;
    agon_status s = lab_recall_bytes(x->l, x->l->ctx, key, &data, &n);
    *found = data != NULL;
    if (!s && data)
        s = json_parse(x->l->ctx, "a stage of the attacks", data, n, &list);
    for (size_t i = 0; list && i < x->n_test && !s; i++)
        s = read_attack(x, json_array_get(list, i), &out[i]);
    json_decref(list);
    free(data);
    return s;
}

agon_status red_examine(red_team *x, size_t seed, red_arm arm, const adapter *a, red_attack *out) {
    char key[160];
    bool found = false;
    uint64_t *whose = arena_take(x->memory, x->n_test, sizeof *whose);
    snprintf(key, sizeof key, "%s|attacks %zu %s", x->base, seed, arm_names[arm]);
    agon_status s = whose ? recall_attacks(x, key, out, &found) : ctx_no_memory(x->l->ctx);
    if (s || found)
        return s;
    for (size_t i = 0; i < x->n_test; i++)
        whose[i] = lab_seed(x->l, seed, "learner %zu", i); /* the same under every arm */
    s = arm <= RED_TEMPLATES ? write_templates(x, arm, whose, out) : write_attacks(x, seed, a, whose, out);
    return s ? s : keep_attacks(x, key, out);
}

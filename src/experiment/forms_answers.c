/* The experiment critique-forms: queries, answers, and what is told about them. See critique_forms.c. */
#include "base/ctx.h"
#include "base/random.h"
#include "generate/generate.h"
#include "experiment/critique_forms.h"
#include "role/critic.h"
#include "role/learner.h"
#include <stdlib.h>
#include <string.h>

agon_status forms_turn(forms *x, arena *memory, const char *text, int32_t end, const int32_t **tokens, size_t *n) {
    token_list list = {0};
    agon_status s = chat_encode_answer(x->l->ctx, model_tokenizer(x->m), text, strlen(text), false, true, &list);
    if (!s && end >= 0 && !token_list_push(&list, end))
        s = ctx_no_memory(x->l->ctx);
    return lab_keep_tokens(x->l->ctx, s, &list, memory, tokens, n);
}

/* ---- queries ----------------------------------------------------------------------------------------------- */

static agon_status encode(forms *x, arena *memory, const char *message, const int32_t **tokens, size_t *n) {
    const chat_message user = {"user", message};
    token_list list = {0};
    agon_status s = chat_encode(x->l->ctx, model_tokenizer(x->m), &user, 1, true, &list, NULL);
    return lab_keep_tokens(x->l->ctx, s, &list, memory, tokens, n);
}

void forms_queries_free(forms_query *q, size_t n) {
    for (size_t i = 0; q && i < n; i++)
        task_query_free(&q[i].task);
}

/* Whether the query's task stands among the first n of `list` or in the test. */
static agon_status is_taken(forms *x, const char *identity, char *const *list, size_t n, bool *out) {
    *out = false;
    for (size_t i = 0; i < n && !*out; i++)
        *out = strcmp(list[i], identity) == 0;
    for (size_t i = 0; x->test && i < x->n_test && !*out; i++) {
        char *other = x->test[i].task.text ? task_identity(&x->test[i].task) : NULL;
        *out = other && strcmp(other, identity) == 0;
        free(other);
    }
    return AGON_OK;
}

agon_status forms_draw(forms *x, arena *memory, const char *space, uint64_t seed, size_t n, forms_query *out) {
    char **seen = calloc(n + 1, sizeof *seen);
    agon_status s = seen ? AGON_OK : ctx_no_memory(x->l->ctx);
    size_t at = 0, found = 0;
    for (; found < n && !s; at++) {
        size_t cell = x->cells[at % x->n_cells];
        bool taken = true;
        if (at > 20 * n + 1000) {
            s = ctx_fail(x->l->ctx, AGON_EINVAL, "the cells have no %zu different tasks; ask for fewer queries or more cells", n);
            break;
        }
        s = task_generate(x->l->ctx, cell, task_seed(seed, space, cell, at), PERTURBATION_NONE, &out[found].task);
        char *identity = s ? NULL : task_identity(&out[found].task);
        if (!s && !identity)
            s = ctx_no_memory(x->l->ctx);
        if (!s)
            s = is_taken(x, identity, seen, found, &taken);
        if (!s && !taken) {
            s = encode(x, memory, out[found].task.text, &out[found].prompt, &out[found].n_prompt);
            seen[found++] = identity;
        } else {
            free(identity);
            task_query_free(&out[found].task);
        }
    }
    for (size_t i = 0; seen && i < found; i++)
        free(seen[i]);
    free(seen);
    return s;
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

static agon_status take_tokens(forms *x, const completion *c, size_t n, size_t max_tokens, double *stage) {
    for (size_t i = 0; i < n; i++) {
        double *at = stage + i * (max_tokens + 1);
        if (c[i].n_tokens > max_tokens)
            return ctx_fail(x->l->ctx, AGON_EMISMATCH, "an answer is longer than was asked for");
        at[0] = (double)c[i].n_tokens;
        for (size_t j = 0; j < c[i].n_tokens; j++)
            at[1 + j] = c[i].tokens[j];
    }
    return AGON_OK;
}

static agon_status run_generation(forms *x, arena *memory, const adapter *a, const forms_query *const *queries,
                                  const char *const *messages, size_t n, double temperature, uint64_t seed, size_t max_tokens,
                                  double *stage) {
    generate_request *requests = calloc(n, sizeof *requests);
    uint64_t *seeds = calloc(n, sizeof *seeds);
    completion *done = calloc(n, sizeof *done);
    agon_status s = requests && seeds && done ? AGON_OK : ctx_no_memory(x->l->ctx);
    sampling how = sampling_default();
    how.temperature = (float)temperature;
    how.max_tokens = max_tokens;
    for (size_t i = 0; i < n && !s; i++) {
        const int32_t *prompt = queries[i]->prompt;
        size_t n_prompt = queries[i]->n_prompt;
        seeds[i] = seed_derivef(seed, "answer %zu", i);
        if (messages)
            s = encode(x, memory, messages[i], &prompt, &n_prompt);
        requests[i] = (generate_request){.prompt = prompt, .n_prompt = n_prompt, .n_samples = 1, .seeds = &seeds[i], .adapter = a,
                                         .sampling = how};
    }
    if (!s && n > 0)
        s = generate(x->l->ctx, x->m, requests, n, &(generate_options){0}, done);
    if (!s)
        s = take_tokens(x, done, n, max_tokens, stage);
    for (size_t i = 0; done && i < n; i++)
        completion_free(&done[i]);
    free(requests);
    free(seeds);
    free(done);
    return s;
}

static agon_status critique_in(forms *x, arena *memory, const task_verdict *v, critique_form form, const char **out) {
    char *words = NULL;
    agon_status s = critic_executable(x->l->ctx, v, form, false, &words);
    if (!s && !(*out = arena_copy(memory, words)))
        s = ctx_no_memory(x->l->ctx);
    free(words);
    return s;
}

static agon_status judge(forms *x, arena *memory, const task_query *query, forms_answer *out) {
    task_verdict v = {0};
    agon_status s = task_verify(x->l->ctx, query, out->text, &v);
    if (!s && v.outcome == OUTCOME_UNKNOWN)
        s = ctx_fail(x->l->ctx, AGON_EINVAL, "cells: %s has answers that nobody can verify", query->cell);
    out->pass = v.outcome == OUTCOME_PASS;
    out->span_start = v.span_start, out->span_end = v.span_end;
    if (!s)
        s = critique_in(x, memory, &v, CRITIQUE_MASKED, &out->masked);
    if (!s)
        s = critique_in(x, memory, &v, CRITIQUE_FULL, &out->full);
    task_verdict_free(&v);
    return s;
}

static agon_status read_answer(forms *x, arena *memory, const double *stage, forms_answer *out) {
    const tokenizer *t = model_tokenizer(x->m);
    size_t n = (size_t)stage[0], n_text;
    int32_t *tokens = arena_take(memory, n + 1, sizeof *tokens);
    if (!tokens)
        return ctx_no_memory(x->l->ctx);
    for (size_t j = 0; j < n; j++)
        tokens[j] = (int32_t)stage[1 + j];
    char *text = tokenizer_decode(t, tokens, n, false, &n_text);
    *out = (forms_answer){.tokens = tokens, .n = n, .text = text ? arena_copy(memory, text) : NULL,
                          .ended = n > 0 && tokenizer_is_stop(t, tokens[n - 1])};
    free(text);
    return out->text ? AGON_OK : ctx_no_memory(x->l->ctx);
}

agon_status forms_ask(forms *x, arena *memory, const char *key, const adapter *a, const forms_query *const *queries,
                      const char *const *messages, size_t n, double temperature, uint64_t seed, size_t max_tokens, bool judged,
                      forms_answer *out) {
    lab *l = x->l;
    char name[256];
    bool found = false;
    size_t n_stage = n * (max_tokens + 1);
    double *stage = memory_new(n_stage + 1, sizeof *stage);
    snprintf(name, sizeof name, "%s|%s|%zu", x->base, key ? key : "", n);
    agon_status s = stage ? AGON_OK : ctx_no_memory(x->l->ctx);
    if (!s && key)
        s = lab_recall(l, l->ctx, name, stage, n_stage, &found);
    if (!s && !found) {
        s = run_generation(x, memory, a, queries, messages, n, temperature, seed, max_tokens, stage);
        if (!s && key)
            s = lab_keep(l, l->ctx, name, stage, n_stage);
    }
    for (size_t i = 0; i < n && !s; i++) {
        s = read_answer(x, memory, stage + i * (max_tokens + 1), &out[i]);
        if (!s && judged)
            s = judge(x, memory, &queries[i]->task, &out[i]);
    }
    free(stage);
    return s;
}

/* ---- drafts and second tries ---------------------------------------------------------------------------------- */

/* What is said before the k-th failed draft's second try; another's critique is the next one's. */
static agon_status message_of(forms *x, attempt try, size_t k, const char **out) {
    bool other = try == TRY_OTHER_MASKED || try == TRY_OTHER_FULL, full = try == TRY_FULL || try == TRY_OTHER_FULL;
    const forms_answer *about = &x->drafts[x->failed[other ? (k + 1) % x->n_failed : k]];
    char *message = NULL;
    agon_status s = learner_refine_prompt(x->l->ctx, x->queries[x->failed[k]].task.text,
                                          try == TRY_RETRY ? NULL : full ? about->full : about->masked, &message);
    if (!s && !(*out = arena_copy(x->round, message)))
        s = ctx_no_memory(x->l->ctx);
    free(message);
    return s;
}

static agon_status try_again(forms *x, size_t seed, attempt try) {
    char key[64];
    const char **messages = arena_take(x->round, x->n_failed + 1, sizeof *messages);
    const forms_query **queries = arena_take(x->round, x->n_failed + 1, sizeof *queries);
    x->tries[try] = arena_take(x->round, x->n_failed + 1, sizeof(forms_answer));
    agon_status s = messages && queries && x->tries[try] ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t k = 0; k < x->n_failed && !s; k++) {
        queries[k] = &x->queries[x->failed[k]];
        s = message_of(x, try, k, &messages[k]);
    }
    snprintf(key, sizeof key, "try %zu %d", seed, (int)try);
    return s ? s
             : forms_ask(x, x->round, key, NULL, queries, messages, x->n_failed, 0, x->l->seed, x->max_tokens, true, x->tries[try]);
}

static void say_mended(forms *x, size_t seed) {
    size_t n[N_TRIES] = {0};
    for (int t = 0; t < N_TRIES; t++)
        for (size_t k = 0; k < x->n_failed; k++)
            n[t] += x->tries[t][k].pass;
    lab_say_seed(x->l, seed, "mended: retry %zu, masked critique %zu (another's %zu), full %zu (another's %zu)", n[TRY_RETRY],
                 n[TRY_MASKED], n[TRY_OTHER_MASKED], n[TRY_FULL], n[TRY_OTHER_FULL]);
}

agon_status forms_prepare(forms *x, size_t seed) {
    char key[64];
    uint64_t own = lab_seed(x->l, 0, "seed %zu", seed);
    size_t n_pass = 0;
    arena_reset(x->round);
    x->queries = arena_take(x->round, x->n_queries, sizeof *x->queries);
    x->drafts = arena_take(x->round, x->n_queries, sizeof *x->drafts);
    x->failed = arena_take(x->round, x->n_queries, sizeof *x->failed);
    const forms_query **which = arena_take(x->round, x->n_queries, sizeof *which);
    agon_status s = x->queries && x->drafts && x->failed && which ? forms_draw(x, x->round, "forms train", own, x->n_queries, x->queries)
                                                                  : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < x->n_queries && !s; i++)
        which[i] = &x->queries[i];
    snprintf(key, sizeof key, "drafts %zu", seed);
    if (!s)
        s = forms_ask(x, x->round, key, NULL, which, NULL, x->n_queries, x->temperature, own, x->max_tokens, true, x->drafts);
    x->n_failed = 0;
    for (size_t i = 0; i < x->n_queries && !s; i++) {
        n_pass += x->drafts[i].pass;
        if (!x->drafts[i].pass)
            x->failed[x->n_failed++] = i;
    }
    if (!s)
        lab_say_seed(x->l, seed, "%zu drafts: %zu right, %zu wrong", x->n_queries, n_pass, x->n_failed);
    for (int t = 0; t < N_TRIES && !s; t++)
        s = try_again(x, seed, (attempt)t);
    if (!s)
        say_mended(x, seed);
    return s;
}

/* experiment: verification-gap. Can the model improve by judging itself? The generation-verification gap (Song et al. 2024, 2412.02674; spec: loop 5.8).
 *
 *   answers    `samples` of the model to each of `queries`: generated tasks, or the user's own rows
 *   utility    1 where the task's verifier passes the answer, 0 where not
 *   verifiers  score the answers without the truth: the model itself (P(Yes) to a question about the answer, in its usual words, the user's or by principles),
 *              another model of this machine, one behind a server, or a program
 *   gap        the mean utility of what a verifier keeps (a score at or above a threshold; where it keeps nothing of a prompt, all) less that of all answers. This is
 *              what training on the kept answers could gain over training on as many unfiltered ones
 *   honesty    thresholds are chosen on every second prompt of each kind and reported on the others
 *   ensemble   `all`: what each of several verifiers keeps by its own threshold
 *   controls   a verifier of random scores (the gap must be about 0) and the truth (the most that any can gain)
 *
 * Seeds have queries of their own, so prompts are pooled over seeds. Equal answers to a query are judged once. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/nearest.h"
#include "experiment/experiment.h"
#include "experiment/verification_gap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] = "{\"model\": \"\", \"learner_adapter\": \"\", \"numerics\": \"portable\", \"seed\": 1, \"seeds\": 1, \"data\": \"\","
                               "\"cells\": [\"arithmetic\", \"comparison\", \"string\"], \"queries\": 128, \"samples\": 16, \"temperature\": 0.7, \"top_p\": 0.9,"
                               "\"max_tokens\": 32, \"verifiers\": [{\"name\": \"itself\"}], \"draws\": 2000}";

/* Queries are drawn one after the other and judged by each verifier by itself: what is there stays when more are asked for. */
static const char *const aside[] = {"seeds", "queries", "verifiers", "draws", NULL};

enum { CHUNK = 16, TRIED = 2, MOST_NAME = 40, MOST_VOTES = 64, VERDICT_TOKENS = 2 }; /* CHUNK: queries of a stage */

/* ---- options ------------------------------------------------------------------------------------------------- */

static agon_status check_keys(const lab *l, const char *where, const json_t *entry) {
    static const char *const known[] = {"name", "model", "url", "key_env", "timeout", "command", "prompt", "principles", "votes"};
    const size_t n = sizeof known / sizeof *known;
    const char *key, *near;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)entry, key, value) {
        size_t i = 0;
        while (i < n && strcmp(key, known[i]) != 0)
            i++;
        if (i < n)
            continue;
        near = nearest_word(key, known, n);
        return ctx_fail(l->ctx, AGON_EINVAL, "%s: there is no key '%.40s'%s%s", where, key, near ? "; did you mean " : "", near ? near : "");
    }
    return AGON_OK;
}

/* Names are unlike, keys make sense together, and a prompt has its fields. */
static agon_status check_judge(const gap *x, const char *where, const gap_judge *j) {
    agon_ctx *ctx = x->l->ctx;
    const size_t length = strlen(j->name);
    bool taken = strcmp(j->name, "random") == 0 || strcmp(j->name, "truth") == 0 || strcmp(j->name, "all") == 0;
    for (const gap_judge *k = x->judges; k < j; k++)
        taken = taken || strcmp(k->name, j->name) == 0;
    if (length == 0 || length > MOST_NAME || taken)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the name '%.40s' is %s", where, j->name, taken ? "taken (so are all, random and truth)" : "empty or longer than 40 bytes");
    if (j->command && (j->url || j->model_name || j->principles || j->prompt.body))
        return ctx_fail(ctx, AGON_EINVAL, "%s: a verifier is a program (command) or a model (model, url, prompt, principles), not both", where);
    if (j->url && !j->model_name)
        return ctx_fail(ctx, AGON_EINVAL, "%s: a verifier behind a server (url) needs the name of its model (model)", where);
    if (!j->url && (j->key_env || j->n_votes > 1))
        return ctx_fail(ctx, AGON_EINVAL, "%s: %s is for a verifier behind a server (url)", where, j->key_env ? "key_env" : "votes");
    if (j->n_votes < 1 || j->n_votes > MOST_VOTES)
        return ctx_fail(ctx, AGON_EINVAL, "%s: votes is %lld; it must be from 1 to %d", where, (long long)j->n_votes, MOST_VOTES);
    if (!(j->timeout > 0 && j->timeout <= 86400))
        return ctx_fail(ctx, AGON_EINVAL, "%s: timeout is %g seconds; it must be above 0, up to a day", where, j->timeout);
    if (j->principles && (j->prompt.body || !*j->principles || strlen(j->principles) > PROMPT_FIELD_MAX))
        return ctx_fail(ctx, AGON_EINVAL, "%s: principles are neither empty nor longer than %d bytes, and have a prompt of their own", where, PROMPT_FIELD_MAX);
    if (!j->prompt.body)
        return AGON_OK;
    const prompt_field fields[] = {{"query", "q"}, {"answer", "a"}};
    char *shown = NULL;
    agon_status s = strstr(j->prompt.body, "answer}") ? prompt_render(ctx, &j->prompt, fields, 2, 1, &shown)
                                                      : ctx_fail(ctx, AGON_EINVAL, "the prompt does not hold {>answer}, where the answer goes");
    free(shown);
    return s ? ctx_prefix(ctx, s, "%s", where) : AGON_OK;
}

static agon_status take_judge(const gap *x, size_t i, gap_judge *j) {
    const json_t *entry = json_array_get(json_object_get(x->l->settings, "verifiers"), i);
    agon_ctx *ctx = x->l->ctx;
    char where[32];
    snprintf(where, sizeof where, "verifiers[%zu]", i);
    *j = (gap_judge){.timeout = 60, .n_votes = 1, .prompt = {.name = "own", .version = "1", .id = "own@1", .role = "critic"}};
    if (!json_is_object(entry))
        return ctx_fail(ctx, AGON_EINVAL, "%s must be a mapping such as {name: itself}", where);
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"name", &j->name}, {"model", &j->model_name}, {"url", &j->url}, {"key_env", &j->key_env}, {"command", &j->command}, {"prompt", &j->prompt.body},
                 {"principles", &j->principles}};
    agon_status s = check_keys(x->l, where, entry);
    for (size_t t = 0; t < sizeof texts / sizeof *texts && !s; t++)
        s = json_get_text(ctx, where, entry, texts[t].key, t == 0, texts[t].to);
    if (!s)
        s = json_get_real(ctx, where, entry, "timeout", false, &j->timeout);
    if (!s)
        s = json_get_int(ctx, where, entry, "votes", false, &j->n_votes);
    return s ? s : check_judge(x, where, j);
}

static agon_status take_options(lab *l, void *arg) {
    gap *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"queries", 2, 100000, &x->n_queries}, {"samples", 2, 1024, &x->n_samples}, {"max_tokens", 1, 4096, &x->max_tokens},
                               {"draws", 100, 1000000, &x->draws}, {0}};
    const lab_fraction real[] = {{"temperature", 0.01, 100, &x->temperature}, {"top_p", 0.01, 1, &x->top_p}, {0}};
    agon_status s = lab_options(l, whole, real);
    x->n_judges = json_array_size(json_object_get(l->settings, "verifiers"));
    if (!s && (x->n_judges < 1 || x->n_judges > GAP_MOST_VERIFIERS))
        s = ctx_fail(l->ctx, AGON_EINVAL, "verifiers has %zu entries; it must be a list of 1 to %d, such as [{name: itself}]", x->n_judges, GAP_MOST_VERIFIERS);
    for (size_t i = 0; i < x->n_judges && !s; i++)
        s = take_judge(x, i, &x->judges[i]);
    if (!s)
        s = lab_numerics(l);
    return s ? s : lab_cells(l, &x->cells, &x->n_cells);
}

/* ---- who answers and who judges ------------------------------------------------------------------------------- */

/* The first judge before this one with the same other model, or NULL. */
static const gap_judge *same_model(const gap *x, const gap_judge *j) {
    for (const gap_judge *k = x->judges; k < j; k++)
        if (k->own && !k->url && !k->command && strcmp(k->model_name, j->model_name) == 0)
            return k;
    return NULL;
}

/* Its entry without its name and what is only the way to it, and the model's id. */
static agon_status identify(gap *x, size_t i, const char *model) {
    gap_judge *j = &x->judges[i];
    json_t *entry = json_copy(json_array_get(json_object_get(x->l->settings, "verifiers"), i));
    static const char *const way[] = {"name", "key_env", "timeout"};
    for (size_t k = 0; entry && k < sizeof way / sizeof *way; k++)
        json_object_del(entry, way[k]);
    char *text = entry ? json_canonical(entry) : NULL;
    buffer b = {0};
    buffer_printf(&b, "%s|%s", model, text ? text : "");
    const bool ok = text && !b.failed;
    if (ok) {
        const hash256 id = hash_text(b.data);
        hash_hex(&id, j->id);
    }
    json_decref(entry);
    free(text);
    buffer_free(&b);
    return ok ? AGON_OK : ctx_no_memory(x->l->ctx);
}

static agon_status open_judge(gap *x, size_t i) {
    gap_judge *j = &x->judges[i];
    agon_ctx *ctx = x->l->ctx;
    const gap_judge *same = !j->command && !j->url && j->model_name ? same_model(x, j) : NULL;
    char id[HASH_HEX_SIZE] = "";
    hash256 hash;
    agon_status s = AGON_OK;
    if (j->command) {
        s = backend_command_new(ctx, j->command, j->timeout, &j->own);
    } else if (j->url) {
        const backend_remote_options o = {.url = j->url, .model = j->model_name, .key_env = j->key_env, .timeout_seconds = j->timeout};
        s = backend_remote_new(ctx, &o, &j->own);
    } else if (!j->model_name) {
        j->b = x->self;
        memcpy(id, x->base, sizeof id);
    } else if (same) {
        j->b = same->own;
        s = model_id(ctx, same->m, &hash);
        hash_hex(&hash, id);
    } else {
        s = lab_open_named(x->l, j->model_name, &j->m, id);
        if (!s)
            s = backend_local_new(ctx, j->m, 0, &j->own);
    }
    if (j->own)
        j->b = j->own;
    if (s)
        return ctx_prefix(ctx, s, "verifiers[%zu]", i);
    return identify(x, i, id);
}

static void close_all(gap *x) {
    gap_queries_free(x);
    for (size_t i = 0; i < x->n_judges; i++) {
        backend_free(x->judges[i].own);
        model_free(x->judges[i].m);
        x->judges[i].own = x->judges[i].b = NULL, x->judges[i].m = NULL;
    }
    backend_free(x->self);
    adapter_free(x->learner);
    model_free(x->m);
    arena_free(x->memory);
    x->self = NULL, x->learner = NULL, x->m = NULL, x->memory = NULL;
}

static agon_status open_all(gap *x) {
    agon_status s = arena_new(x->l->ctx, 0, &x->memory);
    if (!s)
        s = lab_open_model(x->l, "model", &x->m, x->base);
    if (!s)
        s = lab_open_adapter(x->l, "learner_adapter", x->m, x->base, &x->learner);
    if (!s)
        s = backend_local_new(x->l->ctx, x->m, 0, &x->self);
    for (size_t i = 0; i < x->n_judges && !s; i++)
        s = open_judge(x, i);
    return s ? s : gap_draw(x);
}

/* ---- memory and time ----------------------------------------------------------------------------------------- */

static agon_status admit(gap *x) {
    const size_t rank = x->learner ? adapter_rank(x->learner) : 0;
    size_t longest = 0;
    for (size_t i = 0; i < x->n; i++)
        longest = x->queries[i].n_prompt > longest ? x->queries[i].n_prompt : longest;
    forecast f = forecast_new(x->l->ctx, x->m, rank, 1);
    forecast_generation(&f, x->n < CHUNK ? x->n : CHUNK, x->n_samples, longest, x->max_tokens);
    const size_t judged = 2 * longest + x->max_tokens + 64, tokens = BACKEND_SCORE_TOKENS + judged; /* a query and an answer in a judge's words */
    for (size_t i = 0; i < x->n_judges; i++)
        if (x->judges[i].b == x->self)
            forecast_scoring(&f, tokens, (tokens / judged + 1) * 2 * VERDICT_TOKENS, true);
    agon_status s = lab_admit(x->l, &f);
    for (size_t i = 0; i < x->n_judges && !s; i++)
        if (x->judges[i].m) {
            f = forecast_new(x->l->ctx, x->judges[i].m, 0, 1);
            forecast_scoring(&f, tokens, (tokens / judged + 1) * 2 * VERDICT_TOKENS, true);
            s = lab_admit(x->l, &f);
        }
    return s;
}

/* By a few queries; what servers and programs take is not known. */
static agon_status expect(void *arg, double *minutes) {
    gap *x = arg;
    agon_status s = open_all(x);
    if (!s)
        s = admit(x);
    const size_t n = x->n < TRIED ? x->n : TRIED;
    const double start = processor_seconds();
    double *scores = s ? NULL : arena_take(x->memory, n * x->n_samples, sizeof *scores);
    if (!s && !scores)
        s = ctx_no_memory(x->l->ctx);
    if (!s)
        s = gap_answer(x, 0, n, false);
    for (size_t i = 0; i < x->n_judges && !s; i++)
        if (backend_capabilities(x->judges[i].b) & IN_PROCESS)
            s = gap_judge_answers(x, &x->judges[i], 0, n, false, scores);
    if (!s)
        *minutes = (processor_seconds() - start) * (double)x->n / (double)n / 60 / x->l->ctx->n_threads;
    close_all(x);
    return s;
}

/* ---- the experiment ------------------------------------------------------------------------------------------- */

static agon_status answer_all(gap *x) {
    size_t right = 0;
    agon_status s = AGON_OK;
    for (size_t from = 0; from < x->n && !s; from += CHUNK) {
        s = gap_answer(x, from, x->n - from < CHUNK ? x->n - from : CHUNK, true);
        if (!s)
            s = ctx_check_interrupt(x->l->ctx);
    }
    for (size_t i = 0; i < x->n * x->n_samples && !s; i++)
        right += x->utility[i] > 0.5;
    if (!s)
        lab_say(x->l, "%zu queries from seed %zu on, %zu answers each: %.1f%% right", x->n, (size_t)x->l->seed, x->n_samples,
                100 * (double)right / (double)(x->n * x->n_samples));
    return s;
}

static agon_status judge_all(gap *x, size_t i) {
    agon_status s = AGON_OK;
    x->scores[i] = arena_take(x->memory, x->n * x->n_samples, sizeof *x->scores[i]);
    if (!x->scores[i])
        return ctx_no_memory(x->l->ctx);
    for (size_t from = 0; from < x->n && !s; from += CHUNK) {
        const size_t n = x->n - from < CHUNK ? x->n - from : CHUNK;
        s = gap_judge_answers(x, &x->judges[i], from, n, true, x->scores[i] + from * x->n_samples);
        if (!s)
            s = ctx_check_interrupt(x->l->ctx);
    }
    if (!s)
        lab_say(x->l, "%s has judged", x->judges[i].name);
    return s;
}

static agon_status fill_table(gap *x, gap_table *t) {
    const char **families = arena_take(x->memory, x->n, sizeof *families), **kinds = arena_take(x->memory, x->n, sizeof *kinds);
    bool *chooses = arena_take(x->memory, x->n, sizeof *chooses);
    if (!families || !kinds || !chooses)
        return ctx_no_memory(x->l->ctx);
    *t = (gap_table){.n = x->n, .n_samples = x->n_samples, .families = families, .chooses = chooses, .utility = x->utility, .n_verifiers = x->n_judges};
    for (size_t i = 0; i < x->n; i++) {
        const gap_query *q = &x->queries[i];
        kinds[i] = q->kind;
        families[i] = strchr(q->kind, '/') ? q->task.family : q->kind;
    }
    for (size_t v = 0; v < x->n_judges; v++)
        t->verifiers[v] = (gap_verifier){x->judges[v].name, x->scores[v], false};
    return gap_split(x->l->ctx, kinds, x->n, chooses);
}

/* answers.jsonl: a line a query. */
static agon_status write_answers(const gap *x, const gap_table *t) {
    buffer b = {0};
    for (size_t i = 0; i < x->n && !b.failed; i++) {
        json_t *answers = json_array();
        for (size_t j = 0; j < x->n_samples; j++) {
            json_t *scores = json_object();
            for (size_t v = 0; v < x->n_judges; v++)
                json_object_set_new(scores, x->judges[v].name, real_or_null(x->scores[v][i * x->n_samples + j]));
            json_array_append_new(answers, json_pack("{s:s,s:b,s:o}", "text", x->queries[i].answers[j], "right", x->utility[i * x->n_samples + j] > 0.5, "scores", scores));
        }
        json_t *line = json_pack("{s:s,s:s,s:b,s:o}", "query", x->queries[i].task.text, "kind", x->queries[i].kind, "chooses", t->chooses[i], "answers", answers);
        char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
        b.failed = b.failed || !text;
        buffer_printf(&b, "%s\n", text ? text : "");
        free(text);
        json_decref(line);
    }
    agon_status s = b.failed ? ctx_no_memory(x->l->ctx) : lab_write(x->l, "answers.jsonl", b.data);
    buffer_free(&b);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    gap *x = arg;
    gap_table t = {0};
    agon_status s = open_all(x);
    if (!s && x->n_left_out > 0)
        lab_say(x->l, "%zu rows are left out: they have neither an answer nor a verifier of agon's, so nobody knows what is true of their answers", x->n_left_out);
    if (!s)
        s = answer_all(x);
    for (size_t i = 0; i < x->n_judges && !s; i++)
        s = judge_all(x, i);
    if (!s)
        s = fill_table(x, &t);
    if (!s)
        s = write_answers(x, &t);
    if (!s)
        s = gap_report(x->l, &t, x->draws, result);
    if (!s && (json_object_set_new(*result, "base", json_string(x->base)) != 0 || json_object_set_new(*result, "rows_left_out", json_integer((json_int_t)x->n_left_out)) != 0)) {
        json_decref(*result);
        s = ctx_no_memory(x->l->ctx);
    }
    close_all(x);
    return s;
}

const experiment experiment_verification_gap = {
    .name = "verification-gap",
    .summary = "can the model improve by judging itself: what a verifier's choice among its answers gains",
    .defaults = defaults,
    .aside = aside,
    .size = sizeof(gap),
    .options = take_options,
    .minutes = expect,
    .run = run,
};

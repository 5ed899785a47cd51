/* The judge of online training, see online_judge.h. */
#include "api/online_judge.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "role/judge.h"
#include "role/prompt.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct online_judge {
    agon_ctx *ctx;
    const agon_online_options *options;
    size_t repeats;
    backend *who;
    bool by_program, first_prompts;
    agon_model *own; /* opened for judging; NULL: the policy's, or none here */
    hash256 id;      /* of a local model */
};

/* ---- opening ------------------------------------------------------------------------------------------------- */

/* A model on this machine: the policy's own base is not opened twice. */
static agon_status open_local(online_judge *j, agon_model *m) {
    char *path = NULL;
    agon_status s = agon_model_find(j->ctx, j->options->judge_model, &path);
    bool own = !s && !file_same(path, weights_path(model_weights(m->m)));
    agon_model_options how = agon_model_options_default();
    how.f32 = model_dtype(m->m) == COMPUTE_F32;
    if (own)
        s = agon_model_open(j->ctx, path, &how, &j->own);
    if (!s)
        s = model_id(j->ctx, own ? j->own->m : m->m, &j->id);
    if (!s)
        s = backend_local_new(j->ctx, own ? j->own->m : m->m, 0, &j->who);
    agon_text_free(path);
    return s;
}

/* As text of a prompt, which holds so much of each part. */
static agon_status check_principles(const online_judge *j) {
    const agon_online_options *o = j->options;
    const char *text = o->judge_principles;
    if (!text)
        return AGON_OK;
    if (o->judge)
        return ctx_fail(j->ctx, AGON_EINVAL, "principles are for a judge that is a model; a program (judge) has its own");
    if (strlen(text) > PROMPT_FIELD_MAX || text[strspn(text, " \t\r\n")] == '\0')
        return ctx_fail(j->ctx, AGON_EINVAL, "the judge's principles (judge_principles) are neither blank nor longer than %d bytes", PROMPT_FIELD_MAX);
    json_t *valid = json_string(text);
    json_decref(valid);
    return valid ? AGON_OK : ctx_fail(j->ctx, AGON_EINVAL, "the judge's principles (judge_principles) are not UTF-8");
}

static agon_status open_judge(online_judge *j, agon_model *m) {
    const agon_online_options *o = j->options;
    agon_status s = check_principles(j);
    if (s)
        return s;
    if (o->judge && (o->judge_model || o->judge_url))
        return ctx_fail(j->ctx, AGON_EINVAL, "the judge is a program or a model, not both");
    if (!(o->judge_timeout > 0))
        return ctx_fail(j->ctx, AGON_EINVAL, "the judge's time for an answer is %g s; it must be above 0", o->judge_timeout);
    if (o->judge && !*o->judge)
        return ctx_fail(j->ctx, AGON_EINVAL, "the judge is an empty text; give the command that is its program");
    if (o->judge) {
        j->by_program = true;
        return backend_command_new(j->ctx, o->judge, o->judge_timeout, &j->who);
    }
    if (!o->judge_url && j->repeats > 1)
        return ctx_fail(j->ctx, AGON_EINVAL, "a local judge says how likely an answer is right, which is not drawn: %zu repeats would say "
                        "the same", j->repeats);
    if (!o->judge_url)
        return open_local(j, m);
    if (!o->judge_model)
        return ctx_fail(j->ctx, AGON_EINVAL, "a judge behind a server needs the name of its model");
    const backend_remote_options remote = {.url = o->judge_url, .model = o->judge_model, .key_env = o->judge_key_env,
                                           .timeout_seconds = o->judge_timeout};
    return backend_remote_new(j->ctx, &remote, &j->who);
}

agon_status online_judge_open(agon_ctx *ctx, agon_model *m, const agon_online_options *options, online_judge **out) {
    *out = NULL;
    if (!options->judge && !options->judge_model && !options->judge_url)
        return options->judge_principles ? ctx_fail(ctx, AGON_EINVAL, "principles (judge_principles) need a model that judges by them (judge_model)") : AGON_OK;
    online_judge *j = memory_new(1, sizeof *j);
    if (!j)
        return ctx_no_memory(ctx);
    *j = (online_judge){.ctx = ctx, .options = options, .repeats = options->judge_repeats ? options->judge_repeats : 1};
    agon_status s = open_judge(j, m);
    if (s)
        online_judge_free(j);
    else
        *out = j;
    return s;
}

void online_judge_free(online_judge *j) {
    if (!j)
        return;
    backend_free(j->who);
    agon_model_free(j->own);
    free(j);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* The questions of a round; ids name the sample as sentences do, from 0. */
typedef struct questions {
    judge_item *items;
    json_t **prompts;
    char (*ids)[80];
    size_t n;
} questions;

static void questions_free(questions *x) {
    for (size_t i = 0; x->prompts && i < x->n; i++)
        json_decref(x->prompts[i]);
    free(x->items);
    free(x->prompts);
    free(x->ids);
}

static agon_status questions_new(online_judge *j, const reward_question *q, questions *x) {
    size_t n = q->n_prompts * q->n_samples;
    *x = (questions){memory_new(n, sizeof *x->items), memory_new(n, sizeof *x->prompts), memory_new(n, sizeof *x->ids), n};
    if (!x->items || !x->prompts || !x->ids)
        return ctx_no_memory(j->ctx);
    for (size_t i = 0; i < n; i++) {
        const prompt_item *p = &q->prompts[i / q->n_samples];
        const completion *c = &q->samples[i];
        x->prompts[i] = p->row ? json_incref(json_object_get(p->row, "prompt")) : json_string(p->query->text);
        if (!x->prompts[i])
            return ctx_no_memory(j->ctx);
        x->items[i] = (judge_item){x->ids[i], x->prompts[i], c->text, c->n_text, p->row};
    }
    return AGON_OK;
}

static void name_questions(const reward_question *q, questions *x, size_t repeat, size_t repeats) {
    for (size_t i = 0; i < x->n; i++) {
        int used = snprintf(x->ids[i], sizeof x->ids[i], "round %zu, prompt %zu, sample %zu", q->round + 1, i / q->n_samples,
                            i % q->n_samples);
        if (repeats > 1)
            snprintf(x->ids[i] + used, sizeof x->ids[i] - (size_t)used, ", repeat %zu", repeat + 1);
    }
}

/* A program is asked `repeats` times, one after the other, and its answers averaged. */
static agon_status ask_program(online_judge *j, const reward_question *q, questions *x, double *rewards) {
    double *said = memory_new(x->n, sizeof *said);
    agon_status s = said ? AGON_OK : ctx_no_memory(j->ctx);
    for (size_t k = 0; k < j->repeats && !s; k++) {
        name_questions(q, x, k, j->repeats);
        s = judge_ask(j->ctx, j->who, x->items, x->n, said);
        for (size_t i = 0; i < x->n && !s; i++)
            rewards[i] = (k ? rewards[i] : 0) + said[i] / (double)j->repeats;
    }
    free(said);
    return s;
}

/* Samples without a verdict get the mean of their prompt's others, so that they teach nothing. */
static void fill_gaps(const reward_question *q, double *rewards, double *unjudged) {
    size_t n = q->n_prompts * q->n_samples, gaps = 0;
    for (size_t first = 0; first < n; first += q->n_samples) {
        double sum = 0;
        size_t known = 0;
        for (size_t i = first; i < first + q->n_samples; i++)
            if (!isnan(rewards[i]))
                sum += rewards[i], known++;
        for (size_t i = first; i < first + q->n_samples; i++)
            if (isnan(rewards[i]))
                rewards[i] = known ? sum / (double)known : 0, gaps++;
    }
    *unjudged = (double)gaps / (double)n;
}

static agon_status ask(online_judge *j, const reward_question *q, double *rewards, double *unjudged) {
    questions x;
    *unjudged = 0;
    agon_status s = questions_new(j, q, &x);
    if (!s && j->by_program) {
        s = ask_program(j, q, &x, rewards);
    } else if (!s) {
        name_questions(q, &x, 0, 1);
        s = judge_by_model(j->ctx, j->who, x.items, x.n, j->repeats, q->seed, j->options->judge_principles, j->first_prompts, rewards);
        if (!s)
            fill_gaps(q, rewards, unjudged);
    }
    questions_free(&x);
    return s;
}

/* ---- what was said ------------------------------------------------------------------------------------------- */

static agon_status hash_samples(online_judge *j, const reward_question *q, char hex[HASH_HEX_SIZE]) {
    hasher *h = hasher_new();
    if (!h)
        return ctx_no_memory(j->ctx);
    for (size_t i = 0; i < q->n_prompts * q->n_samples; i++) {
        const prompt_item *p = &q->prompts[i / q->n_samples];
        const completion *c = &q->samples[i];
        const uint64_t sizes[2] = {p->n_tokens, c->n_tokens};
        hasher_add(h, sizes, sizeof sizes);
        hasher_add(h, p->tokens, p->n_tokens * sizeof *p->tokens);
        hasher_add(h, c->tokens, c->n_tokens * sizeof *c->tokens);
    }
    hash256 id = hasher_end(h);
    hash_hex(&id, hex);
    return AGON_OK;
}

/* What was written about these samples, if anything. */
static agon_status recall(online_judge *j, const char *path, const reward_question *q, const char *hex, bool *found, double *rewards,
                          double *unjudged) {
    json_t *kept = NULL;
    size_t n = q->n_prompts * q->n_samples;
    *found = false;
    if (!file_exists(path))
        return AGON_OK;
    agon_status s = json_read_file(j->ctx, path, &kept);
    const json_t *list = json_object_get(kept, "rewards");
    const char *samples = json_string_value(json_object_get(kept, "samples"));
    if (!s && samples && strcmp(samples, hex) == 0 && json_integer_value(json_object_get(kept, "round")) == (json_int_t)q->round + 1) {
        *found = true;
        *unjudged = json_number_value(json_object_get(kept, "unjudged"));
        for (size_t i = 0; i < n && !s; i++) {
            rewards[i] = json_number_value(json_array_get(list, i));
            if (json_array_size(list) != n || !json_is_number(json_array_get(list, i)))
                s = ctx_fail(j->ctx, AGON_EFORMAT, "%s is damaged; remove it and the judge is asked again", path);
        }
    }
    json_decref(kept);
    return s;
}

static agon_status keep(online_judge *j, const char *path, const reward_question *q, const char *hex, const double *rewards,
                        double unjudged) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < q->n_prompts * q->n_samples; i++)
        json_array_append_new(list, json_real(rewards[i]));
    json_t *all = json_pack("{s:I,s:s,s:f,s:o}", "round", (json_int_t)q->round + 1, "samples", hex, "unjudged", unjudged, "rewards", list);
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    agon_status s = text ? file_write(j->ctx, path, text, strlen(text)) : ctx_no_memory(j->ctx);
    json_decref(all);
    free(text);
    return s;
}

agon_status online_judge_rewards(online_judge *j, const char *path, const reward_question *q, double *rewards, double *unjudged) {
    char hex[HASH_HEX_SIZE];
    bool found = false;
    agon_status s = hash_samples(j, q, hex);
    if (!s)
        s = recall(j, path, q, hex, &found, rewards, unjudged);
    if (s || found)
        return s;
    s = ask(j, q, rewards, unjudged);
    return s ? s : keep(j, path, q, hex, rewards, *unjudged);
}

bool online_judge_describe(const online_judge *j, json_t *into) {
    const agon_online_options *o = j->options;
    char hex[HASH_HEX_SIZE];
    hash_hex(&j->id, hex);
    const char *who = o->judge ? o->judge : o->judge_url ? o->judge_model : hex;
    bool good = json_object_set_new(into, "judge", json_string(who)) == 0 &&
                json_object_set_new(into, "judge_repeats", json_integer((json_int_t)j->repeats)) == 0;
    if (good && !o->judge && !o->judge_url)
        good = json_object_set_new(into, "judge_prompts", json_integer(2)) == 0;
    if (good && o->judge_principles)
        good = json_object_set_new(into, "judge_principles", json_string(o->judge_principles)) == 0;
    return good && (!o->judge_url || json_object_set_new(into, "judge_url", json_string(o->judge_url)) == 0);
}

void online_judge_go_on(online_judge *j, const json_t *found, json_t *own) {
    j->first_prompts = !json_object_get(found, "judge_prompts");
    if (j->first_prompts)
        json_object_del(own, "judge_prompts");
}

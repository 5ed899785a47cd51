/* Work of models besides answering: variations of queries, judgements, scores of text.
 *
 * vary  {"query", "perturbation", "version", "names"?} -> {"texts", "error"?, "n_prompt", "n_tokens"}
 * judge {"query", "answer", "version", "prompts"?: 2 (else 1), of the critic's short ones, "votes"?: answers of a critic that cannot score (else 1)} -> {"p": P(correct) or null, "n_prompt", "n_tokens", "critique"?, "error"?}
 * validate {"id", "query", "rewording", "judge": role} -> {"same": true, false or null, "n_prompt", "n_tokens", "critique"?, "error"?}
 * criticise {"id", "query", "answer", "version", "prompts"?} -> {"critique": words or null}
 * score {"documents", "hash", "version"} -> {"nll": [..], "n_tokens": [..]}: held-out text, a document each; hash pins which text */
#include "base/ctx.h"
#include "eval/suite.h"
#include "role/attacker.h"
#include "role/critic.h"
#include "step/work.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VARY_CHUNK = 64, JUDGE_CHUNK = 128, SCORE_CHUNK = 1 };

/* One version a path: all requests of a chunk share it. */
static agon_status version_of(actors *a, const json_t *const *inputs, const adapter **out) {
    return actors_adapter(a, field_text(inputs[0], "version"), out);
}

static task_perturbation perturbation_of(const json_t *input) {
    int p = PERTURBATION_N - 1;
    while (p > PERTURBATION_PARAPHRASE &&
           strcmp(task_perturbation_name((task_perturbation)p), field_text(input, "perturbation")) != 0)
        p--;
    return (task_perturbation)p;
}

typedef const char *name_list[ATTACKER_MAX_NAMES];

static attacker_item item_to_vary(const json_t *input, uint64_t seed, name_list names) {
    attacker_item x = {.id = field_text(input, "id"), .query = field_text(input, "query"), .perturbation = perturbation_of(input),
                       .seed = seed, .names = names};
    const json_t *list = json_object_get(input, "names");
    while (x.n_names < json_array_size(list) && x.n_names < ATTACKER_MAX_NAMES) {
        names[x.n_names] = json_string_value(json_array_get(list, x.n_names));
        x.n_names++;
    }
    return x;
}

static agon_status variation_json(actors *a, const attacker_variation *v, json_t **out) {
    json_t *texts = json_array();
    for (size_t k = 0; k < v->n_texts; k++)
        json_array_append_new(texts, json_string(v->texts[k]));
    *out = json_pack("{so ss* sI sI}", "texts", texts, "error", v->error, "n_prompt", (json_int_t)v->n_prompt_tokens, "n_tokens",
                     (json_int_t)v->n_completion_tokens);
    return json_made(a->ctx, *out);
}

static agon_status vary(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    attacker_item *items = memory_new(n, sizeof *items);
    attacker_variation *v = memory_new(n, sizeof *v);
    name_list *names = memory_new(n, sizeof *names);
    const adapter *version = NULL;
    agon_status s = items && v && names ? version_of(a, inputs, &version) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to vary");
    for (size_t i = 0; i < n && !s; i++)
        items[i] = item_to_vary(inputs[i], seeds[i], names[i]);
    if (!s)
        s = attacker_vary(a->ctx, a->attacker, items, n, version, v);
    for (size_t i = 0; i < n && !s; i++)
        s = variation_json(a, &v[i], &outs[i]);
    for (size_t i = 0; v && i < n; i++)
        attacker_variation_free(&v[i]);
    free(v);
    free(items);
    free(names);
    return s;
}

/* `key`: the text that is judged. New; NULL on memory. */
static critic_item *critic_items(const json_t *const *inputs, const uint64_t *seeds, size_t n, const char *key) {
    critic_item *items = memory_new(n, sizeof *items);
    for (size_t i = 0; items && i < n; i++)
        items[i] = (critic_item){.id = field_text(inputs[i], "id"), .query = field_text(inputs[i], "query"), .answer = field_text(inputs[i], key),
                                 .seed = seeds[i], .first_prompts = field_int(inputs[i], "prompts") < 2};
    return items;
}

static void free_judgements(critic_judgement *j, size_t n) {
    for (size_t i = 0; j && i < n; i++)
        critic_judgement_free(&j[i]);
    free(j);
}

static agon_status judgement_json(actors *a, const char *key, json_t *value, const critic_judgement *j, json_t **out) {
    *out = json_pack("{so sI sI ss* ss*}", key, value, "n_prompt", (json_int_t)j->n_prompt_tokens, "n_tokens",
                     (json_int_t)j->n_completion_tokens, "critique", j->critique, "error", j->error);
    return json_made(a->ctx, *out);
}

static agon_status judge(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    critic_item *items = critic_items(inputs, seeds, n, "answer");
    critic_judgement *j = memory_new(n, sizeof *j);
    const adapter *version = NULL;
    agon_status s = items && j ? version_of(a, inputs, &version) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to judge");
    if (!s)
        s = critic_judge(a->ctx, a->critic, items, n, (size_t)field_int(inputs[0], "votes"), version, j);
    for (size_t i = 0; i < n && !s; i++)
        s = judgement_json(a, "p", real_or_null(j[i].p), &j[i], &outs[i]);
    free_judgements(j, n);
    free(items);
    return s;
}

/* A judge from another family reads what a language model reworded. */
static agon_status validate(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    critic_item *items = critic_items(inputs, seeds, n, "rewording");
    critic_judgement *j = memory_new(n, sizeof *j);
    agon_status s = items && j ? critic_same_task(a->ctx, actors_backend(a, field_text(inputs[0], "judge")), items, n, j)
                               : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to validate");
    for (size_t i = 0; i < n && !s; i++)
        s = judgement_json(a, "same", isnan(j[i].p) ? json_null() : json_boolean(j[i].p > 0.5), &j[i], &outs[i]);
    free_judgements(j, n);
    free(items);
    return s;
}

static agon_status criticise(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    critic_item *items = critic_items(inputs, seeds, n, "answer");
    char **words = memory_new(n, sizeof *words);
    const adapter *version = NULL;
    agon_status s = items && words ? version_of(a, inputs, &version) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to criticise");
    if (!s)
        s = critic_write(a->ctx, a->critic, items, n, version, words);
    for (size_t i = 0; i < n && !s; i++) {
        outs[i] = json_pack("{ss?}", "critique", words[i]);
        s = json_made(a->ctx, outs[i]);
    }
    for (size_t i = 0; words && i < n; i++)
        free(words[i]);
    free(words);
    free(items);
    return s;
}

static agon_status write_scores(actors *a, const perplexity_suite *p, const double *nll, json_t **out) {
    json_t *values = json_array(), *counts = json_array();
    for (size_t i = 0; i < perplexity_n_documents(p); i++) {
        json_array_append_new(values, json_real(nll[i]));
        json_array_append_new(counts, json_integer((json_int_t)perplexity_n_scored(p, i)));
    }
    *out = json_pack("{so so}", "nll", values, "n_tokens", counts);
    return json_made(a->ctx, *out);
}

static agon_status score_documents(actors *a, const json_t *input, json_t **out) {
    perplexity_suite *p = NULL;
    const adapter *version = NULL;
    double *nll = NULL;
    char hex[HASH_HEX_SIZE];
    agon_status s = a->model ? actors_adapter(a, field_text(input, "version"), &version)
                             : ctx_fail(a->ctx, AGON_EUNSUPPORTED, "scoring text needs the local model");
    if (!s)
        s = perplexity_open(a->ctx, model_tokenizer(a->model), model_get_config(a->model)->max_context, NULL, (size_t)field_int(input, "documents"), &p);
    if (!s) {
        hash256 h = perplexity_hash(p);
        hash_hex(&h, hex);
        if (strcmp(hex, field_text(input, "hash")) != 0)
            s = ctx_fail(a->ctx, AGON_EMISMATCH, "the held-out text is not the one this run began with");
    }
    if (!s && !(nll = memory_new(perplexity_n_documents(p), sizeof *nll)))
        s = ctx_fail(a->ctx, AGON_ENOMEM, "no memory to score text");
    if (!s)
        s = perplexity_score(a->ctx, a->model, version, p, nll);
    if (!s)
        s = write_scores(a, p, nll, out);
    free(nll);
    perplexity_free(p);
    return s;
}

static agon_status score(actors *a, const json_t *const *inputs, const uint64_t *seeds, size_t n, json_t **outs) {
    agon_status s = AGON_OK;
    (void)seeds;
    for (size_t i = 0; i < n && !s; i++)
        s = score_documents(a, inputs[i], &outs[i]);
    return s;
}

static bool attacker_reproducible(const actors *a, const json_t *input) {
    (void)input;
    return backend_reproducible(a->attacker);
}
static bool critic_reproducible(const actors *a, const json_t *input) {
    (void)input;
    return backend_reproducible(a->critic);
}

static bool judge_reproducible(const actors *a, const json_t *input) {
    return backend_reproducible(actors_backend(a, field_text(input, "judge")));
}

const work_kind work_validate = {"validate", "queries", VARY_CHUNK, false, validate, judge_reproducible};
const work_kind work_vary = {"vary", "queries", VARY_CHUNK, false, vary, attacker_reproducible};
const work_kind work_judge = {"judge", "judgements", JUDGE_CHUNK, false, judge, critic_reproducible};
const work_kind work_criticise = {"criticise", "critiques", VARY_CHUNK, false, criticise, critic_reproducible};
const work_kind work_score = {"score", "texts", SCORE_CHUNK, false, score, NULL};

/* An attacker's training, see attack_train.h. State: n u64 | JSON [n] {"words": of all attempts so far, "rounds"} | state of online.h. */
#include "experiment/attack_train.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/bleu_archive.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ORDER = 3 };

typedef struct attack_run {
    agon_ctx *ctx;
    const attack_options *options;
    const attack_target *target;
    size_t n; /* attempts of a round */
    bleu_archive *archive;
    json_t *words; /* of all attempts that wrote any */
    attack_round *rounds;
} attack_run;

static agon_status give_prompts(void *arg, size_t round, online_prompt *out) {
    attack_run *r = arg;
    return r->target->prompts(r->target->arg, round, out);
}

/* ---- rewards --------------------------------------------------------------------------------------------------- */

static agon_status similarity_of(const attack_run *r, const char *words, double *out) {
    double bleu[BLEU_ORDERS];
    agon_status s = bleu_archive_ask(r->ctx, r->archive, words, bleu);
    *out = 0;
    for (size_t order = FIRST_ORDER; order <= BLEU_ORDERS && !s; order++)
        *out += bleu[order - 1] / (BLEU_ORDERS - FIRST_ORDER + 1);
    return s;
}

static agon_status remember(attack_run *r, const char *words) {
    agon_status s = bleu_archive_add(r->ctx, r->archive, words);
    return !s && json_array_append_new(r->words, json_string(words)) != 0 ? ctx_no_memory(r->ctx) : s;
}

/* A round's attempts are compared with the rounds before, not with one another: their order says nothing. */
static agon_status reward(attack_run *r, size_t round, const attack_attempt *attempts, double *rewards) {
    attack_round *mean = &r->rounds[round];
    agon_status s = AGON_OK;
    *mean = (attack_round){0};
    for (size_t i = 0; i < r->n && !s; i++) {
        const attack_attempt *a = &attempts[i];
        const double failed = a->valid ? a->failed : 0, added = a->valid ? fmax(0, a->failed - a->plain) : 0;
        double similarity = 0;
        s = similarity_of(r, a->words, &similarity);
        rewards[i] = (a->valid ? (r->options->all_failures ? failed : added) : -r->options->invalid) - r->options->similarity * similarity;
        mean->valid += a->valid / (double)r->n;
        mean->failed += failed / (double)r->n;
        mean->added += added / (double)r->n;
        mean->similarity += similarity / (double)r->n;
        mean->reward += rewards[i] / (double)r->n;
    }
    for (size_t i = 0; i < r->n && !s; i++)
        s = remember(r, attempts[i].words);
    return s;
}

static agon_status give_rewards(void *arg, size_t round, const online_prompt *prompts, const completion *samples, double *rewards) {
    attack_run *r = arg;
    attack_attempt *attempts = memory_new(r->n, sizeof *attempts);
    (void)prompts;
    agon_status s = attempts ? r->target->judge(r->target->arg, round, samples, attempts) : ctx_no_memory(r->ctx);
    if (!s)
        s = reward(r, round, attempts, rewards);
    for (size_t i = 0; attempts && i < r->n; i++)
        free(attempts[i].words);
    free(attempts);
    return s;
}

/* ---- state ------------------------------------------------------------------------------------------------------ */

static json_t *rounds_json(const attack_round *rounds, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("[f,f,f,f,f,f]", rounds[i].valid, rounds[i].failed, rounds[i].similarity, rounds[i].reward, rounds[i].added,
                                              rounds[i].kl));
    return list;
}

static agon_status on_state(void *arg, const online_report *report, const void *data, size_t n) {
    attack_run *r = arg;
    r->rounds[report->round - 1].kl = report->kl;
    json_t *known = json_pack("{s:O,s:o}", "words", r->words, "rounds", rounds_json(r->rounds, report->round));
    char *text = known ? json_dumps(known, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    const uint64_t length = text ? strlen(text) : 0;
    buffer b = {0};
    buffer_init(&b, (size_t)1 << 34);
    buffer_append(&b, &length, sizeof length);
    buffer_append(&b, text, length);
    buffer_append(&b, data, n);
    agon_status s = !text || b.failed ? ctx_no_memory(r->ctx) : r->target->keep ? r->target->keep(r->target->arg, b.data, b.size) : AGON_OK;
    buffer_free(&b);
    free(text);
    json_decref(known);
    return s;
}

static agon_status take_rounds(attack_run *r, const json_t *list, size_t n_rounds) {
    bool right = json_array_size(list) <= n_rounds;
    for (size_t i = 0; i < json_array_size(list) && right; i++) {
        attack_round *x = &r->rounds[i];
        right = json_unpack(json_array_get(list, i), "[F,F,F,F,F,F]", &x->valid, &x->failed, &x->similarity, &x->reward, &x->added, &x->kl) == 0;
    }
    return right ? AGON_OK : ctx_fail(r->ctx, AGON_EFORMAT, "the attacker's state names other rounds");
}

/* What was known after the stored rounds; *online, in `data`, gets the state of online.h. */
static agon_status take_state(attack_run *r, const char *data, size_t n, const char **online, size_t *n_online) {
    uint64_t length = 0;
    json_t *known = NULL, *words;
    size_t i;
    if (n >= sizeof length)
        memcpy(&length, data, sizeof length);
    if (n < sizeof length || length > n - sizeof length)
        return ctx_fail(r->ctx, AGON_EFORMAT, "the attacker's state is cut short");
    *online = data + sizeof length + length;
    *n_online = n - sizeof length - length;
    agon_status s = json_parse(r->ctx, "the attacker's state", data + sizeof length, length, &known);
    if (!s)
        s = take_rounds(r, json_object_get(known, "rounds"), r->options->online.n_rounds);
    json_array_foreach(json_object_get(known, "words"), i, words) {
        if (!s)
            s = json_is_string(words) ? remember(r, json_string_value(words)) : ctx_fail(r->ctx, AGON_EFORMAT, "the attacker's state holds no words");
    }
    json_decref(known);
    return s;
}

static agon_status on_round(void *arg, const online_report *report) {
    attack_run *r = arg;
    const attack_target *t = r->target;
    r->rounds[report->round - 1].kl = report->kl;
    return t->on_round ? t->on_round(t->arg, report->round - 1, &r->rounds[report->round - 1]) : AGON_OK;
}

agon_status attack_train(agon_ctx *ctx, model *m, adapter *a, const attack_options *options, const attack_target *target, const void *resume,
                         size_t n_resume, attack_round *rounds) {
    attack_run r = {.ctx = ctx, .options = options, .target = target, .n = options->online.n_prompts * options->online.n_samples, .rounds = rounds,
                    .words = json_array()};
    const online_sink sink = {.prompts = give_prompts, .rewards = give_rewards, .on_round = on_round, .on_state = target->keep ? on_state : NULL, .arg = &r};
    const char *online = NULL;
    size_t n_online = 0;
    agon_status s = r.words ? bleu_archive_new(ctx, &r.archive) : ctx_no_memory(ctx);
    if (!s && resume)
        s = take_state(&r, resume, n_resume, &online, &n_online);
    if (!s)
        s = online_train(ctx, m, a, NULL, &options->online, &sink, online, n_online);
    bleu_archive_free(r.archive);
    json_decref(r.words);
    return s;
}

/* experiment: red-team. Does an attacker that is trained on its attacks' success find more queries that the learner fails than one that is not, and do its attacks
 * stay different? Spec: loop 2.2 to 2.4, 2.8, 2.9; the reward in attack_train.h.
 *
 *   attacker  the model with a LoRA adapter, on the loop's prompts (role/attacker.h): paraphrases, irrelevant remarks, other names
 *   attack    a rewording in which a program finds the same task (task_variation_check, task_check); anything else is no attack, and no success
 *   learner   the same model frozen, as it is or with an adapter of the user's; `answers` samples to each attack, judged by the task's program
 *   training  per round `queries` new tasks, `rewordings` of each at temperature 1, GRPO on the failures that each adds to those of the task as it is (or, with
 *             `reward: failed`, on all of them). With the penalty of similarity (trained) and without it (no-penalty), from the same start on the same queries
 *   measure   one attack on each held-out query, drawn as the loop draws it, by each arm of red_team.h: success by sample (an interval over queries) and in
 *             any of the samples, of all attempts and of the valid ones; the share that is valid; what a valid attack adds to the failures of the query as it
 *             is; distinct-2 and self-BLEU
 *
 * The learner draws by the same random numbers under every arm. Seeds have queries of their own, so arms are compared query by query over all seeds. */
#include "experiment/red_team.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/random.h"
#include "base/utf8.h"
#include "experiment/experiment.h"
#include "role/attacker_adapter.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"model\": \"\", \"learner_adapter\": \"\", \"numerics\": \"portable\", \"seed\": 1, \"seeds\": 1, \"cells\": [\"arithmetic\", \"comparison\", \"string\"],"
    "\"attacks\": [\"paraphrase\", \"distractor\", \"rename\"], \"rounds\": 16, \"queries\": 8, \"rewordings\": 8, \"answers\": 2, \"test_queries\": 200,"
    "\"temperature\": 0.8, \"max_tokens\": 32, \"attack_tokens\": 32, \"rank\": 8, \"batch\": 2, \"lr\": 0.0005, \"beta\": 0.01,"
    "\"reward\": \"added\", \"similarity\": 0.5, \"invalid\": 0.5, \"draws\": 2000}";

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_attacks(lab *l, red_team *x) {
    const json_t *list = json_object_get(l->settings, "attacks"), *item;
    size_t i;
    if (json_array_size(list) == 0)
        return ctx_fail(l->ctx, AGON_EINVAL, "attacks is an empty list; name paraphrase, distractor or rename, or leave the line out");
    json_array_foreach(list, i, item) {
        const char *name = json_string_value(item);
        int k = PERTURBATION_NONE + 1;
        while (k < PERTURBATION_N && !(name && strcmp(name, task_perturbation_name((task_perturbation)k)) == 0))
            k++;
        if (k == PERTURBATION_N)
            return ctx_fail(l->ctx, AGON_EINVAL, "attacks[%zu] is '%.40s'; it must be paraphrase, distractor or rename", i, name ? name : "no text");
        x->kinds.of[k] = true;
    }
    return AGON_OK;
}

static agon_status take_reward(lab *l, red_team *x) {
    const char *name = json_string_value(json_object_get(l->settings, "reward"));
    x->all_failures = name && strcmp(name, "failed") == 0;
    return x->all_failures || (name && strcmp(name, "added") == 0)
               ? AGON_OK
               : ctx_fail(l->ctx, AGON_EINVAL,
                          "reward is added (failures beyond those of the query as it is) or failed (all of them), not '%.40s'", name ? name : "");
}

static agon_status take_options(lab *l, void *arg) {
    red_team *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"rounds", 1, 10000, &x->n_rounds}, {"queries", 1, 4096, &x->n_queries}, {"rewordings", 2, 256, &x->n_rewordings},
                 {"answers", 1, 64, &x->n_answers}, {"test_queries", 4, 100000, &x->n_test}, {"max_tokens", 1, 1024, &x->max_tokens},
                 {"attack_tokens", 1, ATTACKER_MAX_TOKENS, &x->attack_tokens}, {"rank", 1, 1024, &x->rank}, {"draws", 100, 1000000, &x->draws}, {0}};
    const lab_fraction real[] = {{"temperature", 0.01, 100, &x->temperature}, {"lr", 1e-9, 1, &x->lr}, {"beta", 0, 1e3, &x->beta},
                 {"similarity", 1e-3, 1e3, &x->similarity}, {"invalid", 0, 1e3, &x->invalid}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s)
        s = lab_int(l, "batch", 1, (int64_t)x->n_queries, &x->batch);
    if (!s)
        s = lab_numerics(l);
    if (!s)
        s = take_attacks(l, x);
    if (!s)
        s = take_reward(l, x);
    return s ? s : lab_cells(l, &x->cells, &x->n_cells);
}

/* ---- model and learner --------------------------------------------------------------------------------------- */

static agon_status open_all(red_team *x) {
    lab *l = x->l;
    agon_status s = arena_new(l->ctx, 0, &x->memory);
    if (!s)
        s = arena_new(l->ctx, 0, &x->round);
    if (!s)
        s = lab_open_model(l, "model", &x->m, x->model);
    memcpy(x->base, x->model, sizeof x->base);
    return s ? s : lab_open_adapter(x->l, "learner_adapter", x->m, x->base, &x->learner);
}

static void close_all(red_team *x) {
    red_queries_free(x);
    adapter_free(x->learner);
    model_free(x->m);
    arena_free(x->memory);
    arena_free(x->round);
    x->learner = NULL, x->m = NULL, x->memory = NULL, x->round = NULL;
}

/* ---- training an attacker -------------------------------------------------------------------------------------- */

typedef struct lesson {
    red_team *x;
    size_t seed;
    red_arm arm;
    size_t n_queries; /* of a round */
    char key[160];    /* of its stage */
} lesson;

static agon_status give_prompts(void *arg, size_t round, online_prompt *out) {
    const lesson *t = arg;
    for (size_t i = 0; i < t->n_queries; i++) {
        const red_query *q = &t->x->train[round * t->n_queries + i];
        out[i] = (online_prompt){.tokens = q->prompt, .n = q->n_prompt};
    }
    return AGON_OK;
}

/* Of a query's or an attack's answers. */
static double share_failed(const red_team *x, const bool *failed) {
    size_t n = 0;
    for (size_t j = 0; j < x->n_answers; j++)
        n += failed[j];
    return (double)n / (double)x->n_answers;
}

static agon_status judge(void *arg, size_t round, const completion *samples, attack_attempt *out) {
    const lesson *t = arg;
    red_team *x = t->x;
    size_t n = t->n_queries * x->n_rewordings;
    arena_reset(x->round);
    const red_query **queries = arena_take(x->round, n, sizeof *queries);
    const char **outputs = arena_take(x->round, n, sizeof *outputs);
    uint64_t *whose = arena_take(x->round, n, sizeof *whose);
    red_attack *attacks = arena_take(x->round, n, sizeof *attacks);
    /* The queries as they are, each once. */
    const red_query **plain = arena_take(x->round, t->n_queries, sizeof *plain);
    uint64_t *whose_plain = arena_take(x->round, t->n_queries, sizeof *whose_plain);
    bool *plain_failed = arena_take(x->round, t->n_queries * x->n_answers, sizeof *plain_failed);
    agon_status s = queries && outputs && whose && attacks && plain && whose_plain && plain_failed ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        char *text = utf8_repair(samples[i].text, samples[i].n_text);
        queries[i] = &x->train[round * t->n_queries + i / x->n_rewordings];
        outputs[i] = text ? arena_copy(x->round, text) : NULL;
        /* One number a query: its rewordings and it differ by their words, not by the learner's luck. */
        whose[i] = lab_seed(x->l, t->seed, "training answers %zu %zu", round, i / x->n_rewordings);
        plain[i / x->n_rewordings] = queries[i];
        whose_plain[i / x->n_rewordings] = whose[i];
        free(text);
        if (!outputs[i])
            s = ctx_no_memory(x->l->ctx);
    }
    if (!s)
        s = red_attempt(x, x->round, queries, outputs, whose, n, attacks);
    if (!s)
        s = red_ask_plain(x, plain, whose_plain, t->n_queries, plain_failed);
    for (size_t i = 0; i < n && !s; i++) {
        out[i] = (attack_attempt){.words = strdup(attacks[i].words), .valid = !attacks[i].reason, .failed = share_failed(x, attacks[i].failed),
                                  .plain = share_failed(x, plain_failed + i / x->n_rewordings * x->n_answers)};
        if (!out[i].words)
            s = ctx_no_memory(x->l->ctx);
    }
    return s;
}

static agon_status keep(void *arg, const void *data, size_t n) {
    const lesson *t = arg;
    return lab_keep_bytes(t->x->l, t->x->l->ctx, t->key, data, n);
}

static agon_status on_round(void *arg, size_t round, const attack_round *r) {
    const lesson *t = arg;
    lab_say_seed(t->x->l, t->seed, "%-10s round %zu of %zu: %4.1f%% of attempts succeed, %4.1f points are added; %4.1f%% are valid; similarity %.2f, KL %.2f",
                 red_arm_name(t->arm), round + 1, t->x->n_rounds, 100 * r->failed, 100 * r->added, 100 * r->valid, r->similarity, r->kl);
    return ctx_check_interrupt(t->x->l->ctx);
}

static attack_options training_of(const lesson *t) {
    const red_team *x = t->x;
    const sampling how = attacker_sampling();
    attack_options o = {.online = {.train = train_options_default(), .n_rounds = x->n_rounds, .n_prompts = t->n_queries, .n_samples = x->n_rewordings,
                                   .max_tokens = x->attack_tokens, .stop = how.stop, .n_stop = how.n_stop, .schedule = SCHEDULE_CONSTANT},
                        .similarity = t->arm == RED_TRAINED ? x->similarity : 0,
                        .invalid = x->invalid,
                        .all_failures = x->all_failures};
    train_options *train = &o.online.train;
    train->objective = objective_find("grpo");
    objective_defaults(train->objective, train->objective_options);
    for (int i = 0; train->objective->options[i].name; i++)
        if (strcmp(train->objective->options[i].name, "beta") == 0)
            train->objective_options[i] = x->beta;
    train->batch_rows = x->batch < t->n_queries ? x->batch : t->n_queries;
    train->schedule = SCHEDULE_CONSTANT;
    train->warmup = 0;
    train->lr = (float)x->lr;
    train->seed = lab_seed(x->l, t->seed, "training");
    return o;
}

/* *a new, also after a failure; rounds [n_rounds]. */
static agon_status train_attacker(red_team *x, size_t seed, red_arm arm, adapter **a, attack_round *rounds) {
    lab *l = x->l;
    lesson t = {.x = x, .seed = seed, .arm = arm, .n_queries = x->n_queries};
    const adapter_options shape = {.rank = x->rank, .alpha = 2 * (float)x->rank, .seed = lab_seed(l, seed, "adapter")};
    const attack_options o = training_of(&t);
    const attack_target target = {give_prompts, judge, keep, on_round, &t};
    char *state = NULL;
    size_t n = 0;
    snprintf(t.key, sizeof t.key, "%s|attacker %zu %s", x->base, seed, red_arm_name(arm));
    agon_status s = adapter_new(l->ctx, x->m, &shape, a);
    if (!s)
        s = lab_recall_bytes(l, l->ctx, t.key, &state, &n);
    if (!s)
        s = attack_train(l->ctx, x->m, *a, &o, &target, state, n, rounds);
    free(state);
    return s;
}

/* The folder "attacker-SEED", which a run of the loop takes as attacker.adapter. */
static agon_status export_attacker(const red_team *x, size_t seed, const adapter *a) {
    char real[PATH_MAX];
    buffer path = {0};
    buffer_printf(&path, "%s/attacker-%llu", x->l->output, (unsigned long long)(x->l->seed + seed));
    agon_status s = path.failed ? ctx_no_memory(x->l->ctx) : attacker_export(x->l->ctx, a, x->model, weights_place(model_weights(x->m), real), &x->kinds, path.data);
    buffer_free(&path);
    return s;
}

/* ---- memory and time ---------------------------------------------------------------------------------------------- */

static agon_status admit(red_team *x) {
    forecast f = forecast_new(x->l->ctx, x->m, x->rank, 1);
    lesson t = {.x = x, .arm = RED_TRAINED, .n_queries = x->n_queries};
    const attack_options o = training_of(&t);
    size_t longest = 0, attempts = x->n_queries * x->n_rewordings;
    train_response *answers = arena_take(x->round, x->n_rewordings, sizeof *answers);
    if (!answers)
        return ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < x->n_drawn; i++) {
        const red_query *q = red_drawn(x, i);
        longest = q->n_prompt > longest ? q->n_prompt : longest;
    }
    for (size_t k = 0; k < x->n_rewordings; k++)
        answers[k] = (train_response){.n = x->attack_tokens, .weight = 1};
    const train_row row = {.n_prompt = longest, .responses = answers, .n_responses = x->n_rewordings, .weight = 1};
    if (x->learner)
        forecast_keep(&f, 1);
    forecast_generation(&f, x->n_test > attempts ? x->n_test : attempts, x->n_answers, longest,
                        x->max_tokens > x->attack_tokens ? x->max_tokens : x->attack_tokens);
    forecast_training(&f, &row, 1, &o.online.train);
    return lab_admit(x->l, &f);
}

/* Seconds of an attempt in training, by one round on a few queries. */
static agon_status try_round(red_team *x, double *seconds) {
    lesson t = {.x = x, .arm = RED_TRAINED, .n_queries = x->n_queries < 4 ? x->n_queries : 4};
    const adapter_options shape = {.rank = x->rank, .alpha = 1, .seed = 1};
    const attack_target target = {.prompts = give_prompts, .judge = judge, .arg = &t};
    attack_options o = training_of(&t);
    attack_round round;
    adapter *a = NULL;
    o.online.n_rounds = 1;
    agon_status s = adapter_new(x->l->ctx, x->m, &shape, &a);
    const double start = processor_seconds();
    if (!s)
        s = attack_train(x->l->ctx, x->m, a, &o, &target, NULL, 0, &round);
    *seconds = (processor_seconds() - start) / (double)(t.n_queries * x->n_rewordings);
    adapter_free(a);
    return s;
}

static agon_status expect(void *arg, double *minutes) {
    red_team *x = arg;
    double attempt = 0;
    agon_status s = open_all(x);
    if (!s)
        s = red_draw(x, 0);
    if (!s)
        s = admit(x);
    if (!s)
        s = try_round(x, &attempt);
    const double attempts = (double)(2 * x->n_rounds * x->n_queries * x->n_rewordings) + N_RED_ARMS * (double)x->n_test;
    *minutes = (double)x->l->n_seeds * attempts * attempt / 60 / x->l->ctx->n_threads;
    close_all(x);
    return s;
}

/* ---- the experiment ------------------------------------------------------------------------------------------------ */

static agon_status run_arm(red_team *x, size_t seed, red_arm arm, red_tally *t) {
    adapter *a = NULL;
    red_attack *attacks = arena_take(x->memory, x->n_test, sizeof *attacks);
    agon_status s = attacks ? AGON_OK : ctx_no_memory(x->l->ctx);
    if (!s && arm >= RED_TRAINED)
        s = train_attacker(x, seed, arm, &a, t->rounds[arm] + seed * x->n_rounds);
    if (!s && arm == RED_TRAINED)
        s = export_attacker(x, seed, a);
    if (!s)
        s = red_examine(x, seed, arm, a, attacks);
    for (size_t i = 0; i < x->n_test && !s; i++)
        s = red_note(x, t, seed, arm, i, &attacks[i]);
    adapter_free(a);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    red_team *x = arg;
    red_tally t;
    agon_status s = red_tally_new(x, &t);
    if (!s)
        s = open_all(x);
    for (size_t seed = 0; seed < x->l->n_seeds && !s; seed++) {
        arena_reset(x->memory);
        s = red_draw(x, seed);
        for (int arm = 0; arm < N_RED_ARMS && !s; arm++)
            s = run_arm(x, seed, (red_arm)arm, &t);
        t.n += x->n_test;
        red_queries_free(x);
    }
    if (!s)
        s = red_report(x, &t, result);
    red_tally_free(x, &t);
    close_all(x);
    return s;
}

const experiment experiment_red_team = {
    .name = "red-team",
    .summary = "an attacker that is trained on its attacks' success, beside one that is not",
    .defaults = defaults,
    .size = sizeof(red_team),
    .options = take_options,
    .minutes = expect,
    .run = run,
};

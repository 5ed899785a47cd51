/* experiment: critique-forms. Which form of feedback on a model's own failures teaches it the most, at equal trained tokens?
 *
 *   drafts    one answer of the base to each training query; a verifier judges it
 *   forms     what is told, and so what a failed draft gives to train on (critique_forms.h). Drafts that passed are trained on in every
 *             form: the forms differ in the failed ones alone. LoRA from the same start, SFT (span-reward: reinforce++)
 *   tokens    rows of a form's pool in random order, again and again, until `tokens` of the responses are trained on
 *   measure   greedy answers to fresh test queries, less the base's on the same; and less those of `score`
 *   learnability  share of failed drafts mended greedily after a critique, less a critique of another answer, less a plain retry
 *   reward model  AUROC of reward models that read a critique (forms_reward.c)
 *
 * The critic is the tasks' verifier, so critiques are true; what differs is how much they say. Answers after a critique are verified once
 * more before they are trained on (retry, masked, full), as the loop does: so these forms know the score of two answers. `refined` is
 * the task's demonstration. Spec: training.md section 7; intervals: over seeds and queries (over_seeds.h). */
#include "experiment/critique_forms.h"
#include "base/ctx.h"
#include "base/random.h"
#include "eval/agreement.h"
#include "eval/learnability.h"
#include "eval/over_seeds.h"
#include "eval/paired.h"
#include "experiment/experiment.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"model\": \"\", \"numerics\": \"portable\", \"seed\": 1, \"seeds\": 1, \"cells\": [\"arithmetic\", \"comparison\", \"string\"],"
    "\"queries\": 400, \"test_queries\": 300, \"temperature\": 0.7, \"max_tokens\": 48, \"tokens\": 4000, \"rank\": 16, \"batch\": 8,"
    "\"lr\": 0.0005, \"reward_drafts\": 200, \"reward_epochs\": 2, \"reward_lr\": 0.0005, \"draws\": 2000}";

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_options(lab *l, void *arg) {
    forms *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"queries", 4, 100000, &x->n_queries}, {"test_queries", 4, 100000, &x->n_test},
                 {"max_tokens", 1, 1024, &x->max_tokens}, {"tokens", 1, 10000000, &x->budget},
                 {"rank", 1, 1024, &x->rank}, {"batch", 1, 4096, &x->batch}, {"draws", 100, 1000000, &x->draws},
                 {"reward_drafts", 0, 100000, &x->n_reward}, {"reward_epochs", 1, 1000, &x->reward_epochs}, {0}};
    const lab_fraction real[] = {{"lr", 1e-9, 1, &x->lr}, {"reward_lr", 1e-9, 1, &x->reward_lr}, {"temperature", 0, 100, &x->temperature}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s)
        s = lab_numerics(l);
    return s ? s : lab_cells(l, &x->cells, &x->n_cells);
}

static agon_status open_all(forms *x) {
    lab *l = x->l;
    agon_status s = arena_new(l->ctx, 0, &x->memory);
    if (!s)
        s = arena_new(l->ctx, 0, &x->round);
    return s ? s : lab_open_model(l, "model", &x->m, x->base);
}

static void close_all(forms *x) {
    forms_queries_free(x->test, x->n_test);
    model_free(x->m);
    arena_free(x->memory);
    arena_free(x->round);
    x->test = NULL, x->m = NULL, x->memory = NULL, x->round = NULL;
}

/* ---- how much memory ------------------------------------------------------------------------------------------ */

/* Prompts as long as those of a few queries, with as many tokens of a critique as of an answer; answers as long as they may be. */
static agon_status admit(forms *x) {
    enum { N_TRIAL = 32 };
    forms_query queries[N_TRIAL] = {0};
    forecast f = forecast_new(x->l->ctx, x->m, x->rank, 1);
    train_options o = train_options_default();
    size_t longest = 0, most = x->max_tokens;
    agon_status s = forms_draw(x, x->round, "forms trial", x->l->seed, N_TRIAL, queries);
    for (size_t i = 0; i < N_TRIAL; i++)
        longest = queries[i].n_prompt > longest ? queries[i].n_prompt : longest;
    const train_response answer = {.n = x->n_reward ? 2 * most : most, .weight = 1};
    const train_row row = {.n_prompt = longest, .responses = &answer, .n_responses = 1, .weight = 1};
    o.objective = objective_find("sft");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = x->batch;
    forecast_generation(&f, x->n_test > x->n_queries ? x->n_test : x->n_queries, 1, longest + 2 * most, most);
    forecast_training(&f, &row, 1, &o);
    forms_queries_free(queries, N_TRIAL);
    arena_reset(x->round);
    return s ? s : lab_admit(x->l, &f);
}

/* ---- how long it takes --------------------------------------------------------------------------------------- */

/* Three of four drafts are taken to fail; a row with a critique is about twice as long. */
static agon_status expect(void *arg, double *minutes) {
    forms *x = arg;
    double answer = 0, row = 0, tokens = 1;
    agon_status s = open_all(x);
    if (!s)
        s = admit(x);
    if (!s)
        s = forms_try(x, &answer, &row, &tokens);
    double drafts = (double)x->n_queries, test = (double)x->n_test, judged = x->n_reward ? (double)x->n_reward + test : 0;
    double answers = drafts * (1 + 0.75 * N_TRIES) + N_FORMS * test + judged;
    double rows = N_FORMS * (double)x->budget / tokens + 2 * (N_REWARD_ARMS - 1) * (double)(x->n_reward * x->reward_epochs) + 2 * judged;
    if (!s)
        *minutes = (double)x->l->n_seeds * (answers * answer + rows * row) / 60 / x->l->ctx->n_threads;
    close_all(x);
    return s;
}

/* ---- figures -------------------------------------------------------------------------------------------------- */

/* Mean over seeds and queries of a - b; b_seeds: b has a value under each seed, else it is the same under all. */
static agon_status difference(const forms *x, const double *a, const double *b, bool b_seeds, double *mean, interval *range) {
    return over_seeds_difference(x->l->ctx, a, b, b_seeds, x->l->n_seeds, x->n_test, x->draws, lab_seed(x->l, 0, "bootstrap"), mean, range);
}

/* scores [n_seeds, n_test] of one form out of [n_seeds, N_FORMS, n_test + FORMS_FIGURES]. */
static void scores_of(const forms *x, size_t form, double *out, double figures[FORMS_FIGURES]) {
    size_t wide = x->n_test + FORMS_FIGURES;
    for (size_t k = 0; k < FORMS_FIGURES; k++)
        figures[k] = 0;
    for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
        const double *from = x->scores + (seed * N_FORMS + form) * wide;
        memcpy(out + seed * x->n_test, from, x->n_test * sizeof *out);
        for (size_t k = 0; k < FORMS_FIGURES; k++)
            figures[k] += from[x->n_test + k] / (double)x->l->n_seeds;
    }
}

/* Whether the form had rows to train on under a seed. */
static bool had_rows(const forms *x, size_t seed, size_t form) {
    return x->scores[(seed * N_FORMS + form) * (x->n_test + FORMS_FIGURES) + x->n_test + 1] > 0;
}

static size_t n_without_rows(const forms *x, size_t form) {
    size_t n = 0;
    for (size_t seed = 0; seed < x->l->n_seeds; seed++)
        n += !had_rows(x, seed, form);
    return n;
}

/* Share of right answers under each seed, null where nothing was trained on. NULL: out of memory. */
static json_t *by_seed(const forms *x, size_t form, const double *here, double *mean) {
    json_t *seeds = json_array();
    *mean = 0;
    for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
        double one = 0;
        for (size_t i = 0; i < x->n_test; i++)
            one += here[seed * x->n_test + i] / (double)x->n_test;
        json_array_append_new(seeds, had_rows(x, seed, form) ? json_real(one) : json_null());
        *mean += one / (double)x->l->n_seeds;
    }
    return seeds;
}

/* A form that had nothing to train on under some seed has no mean over them, and one beside `score` needs those of `score` too: null. */
static agon_status form_json(const forms *x, size_t form, const double *base, const double *score, double *here, json_t **out) {
    double figures[FORMS_FIGURES], gain = NAN, over = NAN, accuracy = NAN, mean;
    interval gain_range = {NAN, NAN}, over_range = {NAN, NAN};
    bool known = n_without_rows(x, form) == 0;
    scores_of(x, form, here, figures);
    json_t *seeds = by_seed(x, form, here, &mean);
    agon_status s = seeds ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    if (!s && known) {
        accuracy = mean;
        s = difference(x, here, base, false, &gain, &gain_range);
    }
    if (!s && known && n_without_rows(x, FORM_SCORE) == 0)
        s = difference(x, here, score, true, &over, &over_range);
    if (s) {
        json_decref(seeds);
        return s;
    }
    *out = json_pack("{s:s,s:o,s:o,s:o,s:[o,o],s:o,s:[o,o],s:f,s:f,s:f,s:f}", "form", form_name((enum form)form), "accuracy",
                     real_or_null(accuracy), "by_seed", seeds, "gain", real_or_null(gain), "gain_interval", real_or_null(gain_range.low),
                     real_or_null(gain_range.high), "over_score", real_or_null(over), "over_score_interval", real_or_null(over_range.low),
                     real_or_null(over_range.high), "pool", figures[0], "rows", figures[1], "tokens", figures[2], "passes", figures[3]);
    return *out ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
}

/* A sentence for each form that is not measured, also said. */
static json_t *notes_json(const forms *x) {
    json_t *notes = json_array();
    for (size_t f = 0; f < N_FORMS; f++) {
        size_t n = n_without_rows(x, f);
        char text[200];
        if (n == 0)
            continue;
        snprintf(text, sizeof text, "%s: nothing to train on under %zu of %zu seeds, so it has no figures over seeds%s", form_name((enum form)f), n,
                 x->l->n_seeds, f == FORM_SCORE ? ", and no form is compared with it" : "");
        lab_say(x->l, "%s", text);
        json_array_append_new(notes, json_string(text));
    }
    return notes;
}

static agon_status forms_json(const forms *x, const double *base, json_t **out) {
    size_t n = x->l->n_seeds * x->n_test;
    double *score = malloc(2 * n * sizeof *score), *here = score + n, figures[FORMS_FIGURES];
    json_t *list = json_array();
    agon_status s = score && list ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        scores_of(x, FORM_SCORE, score, figures);
    for (size_t f = 0; f < N_FORMS && !s; f++) {
        json_t *one = NULL;
        s = form_json(x, f, base, score, here, &one);
        if (!s)
            json_array_append_new(list, one);
    }
    free(score);
    if (s)
        json_decref(list);
    else
        *out = list;
    return s;
}

/* ---- learnability of the critiques ------------------------------------------------------------------------------ */

/* Mended or not, of all seeds' failed drafts one after the other. */
typedef struct mended {
    double *score[N_TRIES];
    size_t n, n_tokens[2]; /* tokens of the masked, full critiques */
} mended;

static agon_status count_tokens(const forms *x, const char *text, size_t *n) {
    token_list ids = {0};
    agon_status s = tokenizer_encode(x->l->ctx, model_tokenizer(x->m), text, strlen(text), false, &ids);
    *n += ids.n;
    token_list_free(&ids);
    return s;
}

static agon_status note_tries(const forms *x, mended *m) {
    agon_status s = AGON_OK;
    for (int t = 0; t < N_TRIES; t++)
        for (size_t k = 0; k < x->n_failed; k++)
            m->score[t][m->n + k] = x->tries[t][k].pass;
    for (size_t k = 0; k < x->n_failed && !s; k++) {
        s = count_tokens(x, x->drafts[x->failed[k]].masked, &m->n_tokens[0]);
        if (!s)
            s = count_tokens(x, x->drafts[x->failed[k]].full, &m->n_tokens[1]);
    }
    m->n += x->n_failed;
    return s;
}

static agon_status learnability_json(const forms *x, const mended *m, json_t **out) {
    static const struct {
        const char *name;
        attempt own, other;
    } kinds[2] = {{"masked", TRY_MASKED, TRY_OTHER_MASKED}, {"full", TRY_FULL, TRY_OTHER_FULL}};
    double *draft = memory_new(m->n + 1, sizeof *draft); /* all failed */
    json_t *object = json_pack("{s:I}", "n", (json_int_t)m->n);
    agon_status s = draft && object ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (int k = 0; k < 2 && m->n > 0 && !s; k++) {
        learnability l;
        bootstrap_result placebo = {0}, retry = {0};
        uint64_t seed = lab_seed(x->l, 0, "learnability");
        s = learnability_measure(x->l->ctx, draft, m->score[kinds[k].own], m->score[TRY_RETRY], m->score[kinds[k].other], m->n,
                                 m->n_tokens[k], &l);
        if (!s)
            s = paired_bootstrap(x->l->ctx, m->score[kinds[k].own], m->score[kinds[k].other], m->n, x->draws, seed, 0.05, &placebo);
        if (!s)
            s = paired_bootstrap(x->l->ctx, m->score[kinds[k].own], m->score[TRY_RETRY], m->n, x->draws, seed, 0.05, &retry);
        if (!s)
            json_object_set_new(object, kinds[k].name,
                                json_pack("{s:f,s:f,s:[f,f],s:f,s:[f,f],s:f}", "mended", l.gain, "over_placebo", placebo.mean,
                                          "over_placebo_interval", placebo.range.low, placebo.range.high, "over_retry", retry.mean,
                                          "over_retry_interval", retry.range.low, retry.range.high, "tokens_each",
                                          (double)m->n_tokens[k] / (double)m->n));
    }
    free(draft);
    if (s)
        json_decref(object);
    else
        *out = object;
    return s;
}

/* ---- reward models ---------------------------------------------------------------------------------------------- */

/* AUROC of rewards [n_seeds, N_REWARD_ARMS, n_test]: the mean over seeds, and its interval over seeds and queries. */
static agon_status auroc_of(const forms *x, const double *rewards, size_t arm, double *mean, interval *range) {
    size_t n = x->n_test, n_draws = 0;
    double *drawn = malloc((n + x->l->n_seeds) * sizeof *drawn), *by_seed = drawn + n, *draws = malloc((x->draws + 1) * sizeof *draws), one = NAN;
    bool *label = malloc(n * sizeof *label);
    size_t *items = malloc(n * sizeof *items);
    agon_status s = drawn && draws && label && items ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(lab_seed(x->l, 0, "bootstrap of rewards"));
    for (size_t d = 0; d <= x->draws && !s; d++) { /* d = 0: as it is */
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            items[i] = d ? (size_t)rng_below(&r, n) : i;
            label[i] = x->base_answers[items[i]].pass;
        }
        for (size_t k = 0; k < x->l->n_seeds && !s; k++) {
            size_t seed = d ? (size_t)rng_below(&r, x->l->n_seeds) : k;
            for (size_t i = 0; i < n; i++)
                drawn[i] = rewards[(seed * N_REWARD_ARMS + arm) * n + items[i]];
            s = auroc(x->l->ctx, drawn, label, n, &one);
            sum += one / (double)x->l->n_seeds;
            if (d == 0)
                by_seed[k] = one;
        }
        if (d == 0)
            *mean = sum;
        else if (isfinite(sum))
            draws[n_draws++] = sum;
    }
    *range = (interval){NAN, NAN};
    if (!s && n_draws >= 40)
        *range = over_seeds_wider(interval_of_draws(draws, n_draws), by_seed, NULL, x->l->n_seeds, 0.05);
    free(drawn), free(draws), free(label), free(items);
    return s;
}

static agon_status reward_json(const forms *x, const double *rewards, json_t **out) {
    json_t *list = json_array();
    agon_status s = AGON_OK;
    for (size_t arm = 0; x->n_reward > 0 && arm < N_REWARD_ARMS && !s; arm++) {
        double mean = NAN;
        interval range = {NAN, NAN};
        s = auroc_of(x, rewards, arm, &mean, &range);
        if (!s)
            json_array_append_new(list, json_pack("{s:s,s:o,s:[o,o]}", "critique", forms_reward_name(arm), "auroc", real_or_null(mean),
                                                  "interval", real_or_null(range.low), real_or_null(range.high)));
    }
    if (s)
        json_decref(list);
    else
        *out = list;
    return s;
}

/* ---- the experiment ----------------------------------------------------------------------------------------------- */

static agon_status ask_base(forms *x, double *base) {
    const forms_query **which = arena_take(x->memory, x->n_test, sizeof *which);
    forms_query *test = arena_take(x->memory, x->n_test, sizeof *test);
    x->base_answers = arena_take(x->memory, x->n_test, sizeof *x->base_answers);
    agon_status s = which && test && x->base_answers ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    double right = 0;
    if (!s)
        s = forms_draw(x, x->memory, "forms test", x->l->seed, x->n_test, test);
    x->test = test;
    for (size_t i = 0; i < x->n_test && !s; i++)
        which[i] = &test[i];
    if (!s)
        s = forms_ask(x, x->memory, "base", NULL, which, NULL, x->n_test, 0, x->l->seed, x->max_tokens, true, x->base_answers);
    for (size_t i = 0; i < x->n_test && !s; i++) {
        base[i] = x->base_answers[i].pass;
        right += base[i] / (double)x->n_test;
    }
    if (!s)
        lab_say(x->l, "base: %.1f%% of %zu test answers right", 100 * right, x->n_test);
    return s;
}

static agon_status run_seeds(forms *x, double *base, double *rewards, mended *m) {
    agon_status s = ask_base(x, base);
    for (size_t seed = 0; seed < x->l->n_seeds && !s; seed++) {
        s = forms_prepare(x, seed);
        if (!s)
            s = note_tries(x, m);
        for (size_t f = 0; f < N_FORMS && !s; f++)
            s = forms_train(x, seed, (form)f, x->scores + (seed * N_FORMS + f) * (x->n_test + FORMS_FIGURES));
        if (!s && x->n_reward > 0)
            s = forms_reward(x, seed, rewards + seed * N_REWARD_ARMS * x->n_test);
        forms_queries_free(x->queries, x->n_queries);
        x->queries = NULL;
    }
    return s;
}

static agon_status report(const forms *x, const double *base, const double *rewards, const mended *m, json_t **result) {
    json_t *forms_list = NULL, *learnable = NULL, *reward_models = NULL;
    double right = 0;
    for (size_t i = 0; i < x->n_test; i++)
        right += base[i] / (double)x->n_test;
    agon_status s = forms_json(x, base, &forms_list);
    if (!s)
        s = learnability_json(x, m, &learnable);
    if (!s)
        s = reward_json(x, rewards, &reward_models);
    if (!s && !(*result = json_pack("{s:s,s:f,s:O,s:o,s:O,s:O}", "base", x->base, "base_accuracy", right, "forms", forms_list, "notes",
                                    notes_json(x), "learnability", learnable, "reward_models", reward_models)))
        s = ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    json_decref(forms_list);
    json_decref(learnable);
    json_decref(reward_models);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    forms *x = arg;
    lab *l = x->l;
    mended m = {0};
    double *base = lab_take(l, x->n_test, sizeof *base), *rewards = lab_take(l, l->n_seeds * N_REWARD_ARMS * x->n_test, sizeof *rewards);
    x->scores = lab_take(l, l->n_seeds * N_FORMS * (x->n_test + FORMS_FIGURES), sizeof *x->scores);
    for (int t = 0; t < N_TRIES; t++)
        m.score[t] = lab_take(l, l->n_seeds * x->n_queries, sizeof *m.score[t]);
    agon_status s = lab_taken(l);
    if (!s)
        s = open_all(x);
    if (!s)
        s = admit(x);
    if (!s)
        s = run_seeds(x, base, rewards, &m);
    if (!s)
        s = report(x, base, rewards, &m, result);
    close_all(x);
    return s;
}

const experiment experiment_critique_forms = {
    .name = "critique-forms",
    .summary = "which form of feedback teaches the most at equal tokens: score, span, critique, refined answer",
    .defaults = defaults,
    .size = sizeof(forms),
    .options = take_options,
    .minutes = expect,
    .run = run,
};

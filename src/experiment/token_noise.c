/* experiment: token-noise. What is left of supervised fine-tuning when tokens or spans of its answers are wrong?
 *
 *   base       a model pretrained on statements whose answers were blurred (sequence_blur)
 *   answers    true answers to new sources, in which tokens or spans are replaced by others of the vocabulary, noise_plant: spans begin at the rate;
 *              the end token stays. Seen many times: long enough to learn wrong tokens by heart
 *   methods    plain cross-entropy (sft); label smoothing 0.1; gce (q 0.7, cross-entropy for the first tenth); symmetric cross-entropy; forward
 *              correction of uniform replacement, told the share of wrong tokens (the end token, which is never replaced, is corrected as if it could be);
 *              small-loss selection of rows, of tokens and of spans, told the share of rows, tokens or spans with a wrong token; and a critic's flags as weights (1 - precision on what is flagged) or as deletions (0)
 *   critic     simulated: it flags each planted run of wrong tokens as a whole with probability `recall`, and right tokens at the rate at which its
 *              flags have the stated `precision`. The flags depend on the truth through these two numbers alone; both are measured and reported
 *   measure    on sources held out: share completed rightly (greedy, by the verifier); loss of the true answers in nats a token. On the training
 *              answers: probability of the wrong tokens that were planted (memorised); and, of as many tokens with the greatest loss as were planted,
 *              the share that was (found). Means over seeds with 95 % Student intervals, and differences to plain seed by seed
 *
 * Every method sees the same answers and takes the same steps from the same base. Spec: training.md section 5. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "experiment/experiment.h"
#include "train/noise_rows.h"
#include "train/selection.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}],"
    "\"corpus_items\": 200000, \"corpus_lr\": 0.003, \"blur\": 0.3, \"items\": 100, \"test_items\": 300, \"rates\": [0.1, 0.2, 0.3, 0.4],"
    "\"epochs\": 40, \"batch\": 32, \"lr\": 0.002, \"precision\": 0.8, \"recall\": 0.8, \"span\": 2}";

enum { MAX_RATES = 8, MAX_CONDITIONS = 1 + 2 * MAX_RATES, VOCABULARY = SEQUENCE_VOCABULARY - 1 /* all but END */ };

typedef enum measure { RIGHT, LOSS, MEMORISED, FOUND, N_MEASURES } measure;
static const char *const measure_names[N_MEASURES] = {"right", "loss", "memorised", "found"};

typedef enum learns_from { ALL, FLAG_WEIGHTS, FLAG_DELETIONS, SMALL_LOSSES } learns_from;
static const struct method {
    const char *name, *objective;
    const char *settings[3];
    learns_from from;
    selection_level level; /* of small losses */
} methods[] = {
    {"plain", "sft", {NULL}, ALL, SELECT_ROWS},
    {"smoothing", "sft", {"label_smoothing=0.1"}, ALL, SELECT_ROWS},
    {"gce", "gce", {"q=0.7", "warmup=0.1"}, ALL, SELECT_ROWS},
    {"symmetric", "sce", {NULL}, ALL, SELECT_ROWS},
    {"forward", "token-forward", {NULL}, ALL, SELECT_ROWS}, /* told the share */
    {"weighted", "sft", {NULL}, FLAG_WEIGHTS, SELECT_ROWS},
    {"deletion", "sft", {NULL}, FLAG_DELETIONS, SELECT_ROWS},
    {"small-loss-row", "sft", {NULL}, SMALL_LOSSES, SELECT_ROWS},
    {"small-loss-token", "sft", {NULL}, SMALL_LOSSES, SELECT_TOKENS},
    {"small-loss-span", "sft", {NULL}, SMALL_LOSSES, SELECT_SPANS},
};
enum { N_METHODS = sizeof methods / sizeof *methods, N_LOSSES = 5 /* the first ones: all tokens, another loss */ };

typedef struct condition {
    noise_level level;
    double rate; /* 0: none */
} condition;

typedef struct noise {
    lab *l;
    size_t n_items, n_test, n_all, n_rates, n_conditions, batch, steps, span;
    double rates[MAX_RATES], lr, blur, precision, recall;
    condition conditions[MAX_CONDITIONS]; /* none; token at each rate; span at each rate */
    sequence_item *sources; /* [n_seeds, n_all] true statements: n_items to learn from, then the n_test, others under each seed */
    double *base_scores;    /* [n_seeds, N_MEASURES] */
    double *scores;         /* [n_seeds, n_conditions, N_METHODS, N_MEASURES] */
} noise;

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_options(lab *l, void *arg) {
    noise *x = arg;
    size_t epochs = 0;
    x->l = l;
    const lab_whole whole[] = {{"items", 32, 1000000, &x->n_items}, {"test_items", 50, 1000000, &x->n_test}, {"epochs", 1, 1000, &epochs},
                 {"batch", 2, 4096, &x->batch}, {"span", 1, SEQUENCE_MAX, &x->span}, {0}};
    const lab_fraction real[] = {{"lr", 1e-9, 1, &x->lr}, {"blur", 0, 1, &x->blur}, {"precision", 0.01, 1, &x->precision},
                {"recall", 0, 1, &x->recall}, {0}};
    agon_status s = lab_reals(l, "rates", 0.01, 0.45, x->rates, MAX_RATES, &x->n_rates);
    if (!s)
        s = lab_options(l, whole, real);
    x->n_all = x->n_items + x->n_test;
    x->n_conditions = 1 + 2 * x->n_rates;
    x->conditions[0] = (condition){NOISE_TOKEN, 0};
    for (size_t i = 0; i < x->n_rates; i++) {
        x->conditions[1 + i] = (condition){NOISE_TOKEN, x->rates[i]};
        x->conditions[1 + x->n_rates + i] = (condition){NOISE_SPAN, x->rates[i]};
    }
    return s ? s : lab_steps(l, "batch", "items", epochs, x->n_items, x->batch, &x->steps);
}

static const char *level_name(const condition *c) {
    return c->rate == 0 ? "none" : c->level == NOISE_TOKEN ? "token" : "span";
}

static bool is_selected(const struct method *m) {
    return m->from == SMALL_LOSSES;
}

/* ---- answers with noise, and flags on them ------------------------------------------------------------------- */

typedef struct answers {
    sequence_item *items; /* [n_items] as the learner gets them */
    bool *wrong, *flagged; /* [n_items, SEQUENCE_MAX] */
    size_t n_wrong, n_flagged, n_hit, n_tokens; /* hit: flagged and wrong; tokens: all of the answers with their ends */
} answers;

static void answers_free(answers *a) {
    free(a->items);
    free(a->wrong);
    free(a->flagged);
}

static void plant(const noise *x, size_t seed, const condition *c, size_t i, answers *a) {
    sequence_item *item = &a->items[i];
    bool *wrong = a->wrong + i * SEQUENCE_MAX + item->n_source;
    int32_t *tokens = item->tokens + item->n_source;
    size_t n = item->n - item->n_source - 1; /* without the end */
    for (size_t j = 0; j < n; j++)
        tokens[j] -= 1; /* END is no place */
    noise_plant(c->level, lab_seed(x->l, seed, "noise row %zu", i), c->rate, VOCABULARY, tokens, n, wrong);
    for (size_t j = 0; j < n; j++) {
        tokens[j] += 1;
        a->n_wrong += wrong[j];
    }
    a->n_tokens += n + 1;
}

/* The critic: a run of wrong tokens is flagged whole with probability `recall`, a right token with the probability that makes `precision` true of what
 * is flagged. Without noise it flags nothing. */
static void flag(const noise *x, size_t seed, const condition *c, answers *a) {
    double share = (double)a->n_wrong / (double)a->n_tokens;
    double in_error = fmin(1, x->recall * share * (1 - x->precision) / (x->precision * (1 - share)));
    rng r = rng_new(lab_seed(x->l, seed, "critic %s %g", level_name(c), c->rate));
    for (size_t i = 0; i < x->n_items; i++) {
        bool run = false; /* whether the run that this token goes on was flagged */
        for (size_t j = a->items[i].n_source; j < a->items[i].n; j++) {
            size_t at = i * SEQUENCE_MAX + j;
            bool goes_on = j > a->items[i].n_source && a->wrong[at] && a->wrong[at - 1];
            double u = rng_uniform(&r);
            run = goes_on ? run : u < (a->wrong[at] ? x->recall : in_error);
            a->flagged[at] = run;
            a->n_flagged += run;
            a->n_hit += run && a->wrong[at];
        }
    }
}

static agon_status answers_new(const noise *x, agon_ctx *ctx, size_t seed, const condition *c, answers *a) {
    size_t n = x->n_items;
    *a = (answers){calloc(n, sizeof *a->items), calloc(n * SEQUENCE_MAX, sizeof *a->wrong), calloc(n * SEQUENCE_MAX, sizeof *a->flagged), 0, 0, 0, 0};
    if (!a->items || !a->wrong || !a->flagged)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    memcpy(a->items, x->sources + seed * x->n_all, n * sizeof *a->items);
    for (size_t i = 0; i < n; i++)
        plant(x, seed, c, i, a);
    flag(x, seed, c, a);
    return AGON_OK;
}

/* ---- measures ------------------------------------------------------------------------------------------------ */

static agon_status measure_test(const noise *x, agon_ctx *ctx, size_t seed, const lab_model *m, double *out) {
    const sequence_item *test = x->sources + seed * x->n_all + x->n_items;
    size_t n = x->n_test, n_tokens = 0, right = 0;
    sequence_item *said = malloc(n * sizeof *said);
    double *log_prob = malloc(n * sizeof *log_prob), sum = 0;
    agon_status s = said && log_prob ? lab_complete(ctx, m, test, n, 0, 0, said, NULL) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        s = lab_score(ctx, m, test, n, log_prob);
    for (size_t i = 0; i < n && !s; i++) {
        right += sequence_verify(x->l->family, said[i].tokens, said[i].n);
        sum -= log_prob[i];
        n_tokens += test[i].n - test[i].n_source;
    }
    out[RIGHT] = (double)right / (double)n;
    out[LOSS] = sum / (double)n_tokens;
    free(said);
    free(log_prob);
    return s;
}

/* Of the wrong tokens' number with the greatest loss, the share that is wrong. */
static agon_status find_wrong(agon_ctx *ctx, const answers *a, size_t n_items, const double *log_prob, double *out) {
    double *values = malloc(a->n_tokens * sizeof *values);
    size_t *places = malloc(2 * a->n_tokens * sizeof *places), *worst = places + a->n_tokens, n = 0, hit = 0;
    for (size_t i = 0; values && places && i < n_items; i++)
        for (size_t j = a->items[i].n_source; j < a->items[i].n; j++) {
            places[n] = i * SEQUENCE_MAX + j;
            values[n] = log_prob[places[n]];
            n++;
        }
    agon_status s = values && places ? select_smallest(ctx, values, n, a->n_wrong, worst) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < a->n_wrong && !s; k++)
        hit += a->wrong[places[worst[k]]];
    *out = (double)hit / (double)a->n_wrong;
    free(values);
    free(places);
    return s;
}

/* What was planted: NAN where nothing was. */
static agon_status measure_training(const noise *x, agon_ctx *ctx, const lab_model *m, const answers *a, double *out) {
    double *log_prob = malloc(x->n_items * SEQUENCE_MAX * sizeof *log_prob), sum = 0;
    agon_status s = log_prob ? lab_score_tokens(ctx, m, a->items, x->n_items, log_prob) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_items * SEQUENCE_MAX && !s; i++)
        sum += a->wrong[i] ? exp(log_prob[i]) : 0;
    out[MEMORISED] = a->n_wrong ? sum / (double)a->n_wrong : NAN;
    out[FOUND] = NAN;
    if (!s && a->n_wrong)
        s = find_wrong(ctx, a, x->n_items, log_prob, &out[FOUND]);
    free(log_prob);
    return s;
}

/* ---- base and training ----------------------------------------------------------------------------------------- */

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    noise *x = arg;
    sequence_item *corpus = NULL, *sources = x->sources + seed * x->n_all, *test = sources + x->n_items;
    double loss = 0, *scores = x->base_scores + seed * N_MEASURES;
    agon_status s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "test"), NULL, 0, x->n_test, test);
    if (!s)
        s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "items"), test, x->n_test, x->n_items, sources);
    if (!s)
        s = lab_draw_blurred(x->l, ctx, seed, x->blur, sources, x->n_all, &corpus);
    if (!s)
        s = lab_learn(x->l, ctx, seed, "base", corpus, 32, &loss);
    if (!s)
        s = measure_test(x, ctx, seed, x->l->models[seed], scores);
    if (!s)
        lab_say_seed(x->l, seed, "base: %.3f nats a token of its text, %.3f of true answers; test answers right %.3f", loss, scores[LOSS],
                     scores[RIGHT]);
    free(corpus);
    return s;
}

/* Rows of the answers under one method: every token of weight 1, or less where it is flagged. */
static agon_status method_rows(const noise *x, agon_ctx *ctx, const struct method *m, const answers *a, lab_rows *rows) {
    float *weights = malloc(x->n_items * SEQUENCE_MAX * sizeof *weights), flagged = m->from == FLAG_WEIGHTS ? (float)(1 - x->precision) : 0;
    if (!weights)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    bool uses_flags = m->from == FLAG_WEIGHTS || m->from == FLAG_DELETIONS;
    for (size_t i = 0; i < x->n_items * SEQUENCE_MAX; i++)
        weights[i] = uses_flags && a->flagged[i] ? flagged : 1;
    agon_status s = lab_answers_weighted(ctx, a->items, x->n_items, weights, rows);
    free(weights);
    return s;
}

/* Share of the pieces of `length` tokens (the last of an answer may be shorter) that hold a wrong token. */
static double wrong_share(const answers *a, size_t n_items, size_t length) {
    size_t n = 0, n_wrong = 0;
    for (size_t i = 0; i < n_items; i++)
        for (size_t first = a->items[i].n_source; first < a->items[i].n; first += length, n++) {
            bool wrong = false;
            for (size_t j = first; j < first + length && j < a->items[i].n; j++)
                wrong |= a->wrong[i * SEQUENCE_MAX + j];
            n_wrong += wrong;
        }
    return (double)n_wrong / (double)n;
}

/* What a selection is told; some must be left to learn from. */
static double selected_share(const noise *x, const struct method *m, const answers *a) {
    enum { WHOLE = SEQUENCE_MAX };
    size_t length = m->level == SELECT_ROWS ? WHOLE : m->level == SELECT_SPANS ? x->span : 1;
    return m->from == SMALL_LOSSES ? fmin(wrong_share(a, x->n_items, length), 0.9) : 0;
}

static agon_status train_method(const noise *x, agon_ctx *ctx, size_t seed, const struct method *m, const answers *a, double *scores) {
    char told[40], vocabulary[40];
    lab_model *learner = NULL;
    lab_rows rows = {0};
    decimal_print(told, sizeof told, "noise=%.17g", (double)a->n_wrong / (double)(a->n_tokens - x->n_items));
    snprintf(vocabulary, sizeof vocabulary, "vocabulary=%d", VOCABULARY);
    lab_training t = {.objective = m->objective, .settings = {m->settings[0], m->settings[1]}, .steps = x->steps, .batch = x->batch, .lr = x->lr,
                      .seed = lab_seed(x->l, seed, "order"), .small_loss = selected_share(x, m, a), .small_loss_level = m->level,
                      .small_loss_span = x->span};
    if (strcmp(m->objective, "token-forward") == 0)
        t.settings[0] = told, t.settings[1] = vocabulary;
    agon_status s = lab_model_copy(ctx, x->l->models[seed], &learner);
    if (!s)
        s = method_rows(x, ctx, m, a, &rows);
    if (!s)
        s = lab_train(x->l, ctx, learner, &rows, &t);
    if (!s)
        s = measure_test(x, ctx, seed, learner, scores);
    if (!s)
        s = measure_training(x, ctx, learner, a, scores);
    lab_rows_free(&rows);
    lab_model_free(learner);
    return s;
}

static double *scores_of(const noise *x, size_t seed, size_t condition, size_t method) {
    return x->scores + ((seed * x->n_conditions + condition) * N_METHODS + method) * N_MEASURES;
}

static void say_scores(const noise *x, size_t seed, const condition *c, const char *method, const double *scores) {
    char learnt[64] = "";
    if (c->rate > 0)
        snprintf(learnt, sizeof learnt, ", planted tokens memorised %.3f, found %.3f", scores[MEMORISED], scores[FOUND]);
    lab_say_seed(x->l, seed, "%-5s %2.0f%%  %-16s right %.3f, %.3f nats a token%s", level_name(c), 100 * c->rate, method, scores[RIGHT],
                 scores[LOSS], learnt);
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    noise *x = arg;
    size_t method = i % N_METHODS, at = i / N_METHODS % x->n_conditions, seed = i / N_METHODS / x->n_conditions;
    const condition *c = &x->conditions[at];
    double *scores = scores_of(x, seed, at, method);
    char key[96];
    bool found = false;
    answers a = {0};
    snprintf(key, sizeof key, "learner %zu %s %g %s", seed, level_name(c), c->rate, methods[method].name);
    agon_status s = lab_recall(x->l, ctx, key, scores, N_MEASURES, &found);
    if (!s && !found) {
        s = answers_new(x, ctx, seed, c, &a);
        if (!s)
            s = train_method(x, ctx, seed, &methods[method], &a, scores);
        if (!s)
            s = lab_keep(x->l, ctx, key, scores, N_MEASURES);
        if (!s)
            say_scores(x, seed, c, methods[method].name, scores);
    }
    answers_free(&a);
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------------------- */

/* Values by seed of one measure, less those of plain where `over` is set. */
static void values_of(const noise *x, size_t condition, size_t method, measure k, bool over, double *out) {
    for (size_t seed = 0; seed < x->l->n_seeds; seed++)
        out[seed] = scores_of(x, seed, condition, method)[k] - (over ? scores_of(x, seed, condition, 0)[k] : 0);
}

static json_t *method_json(const noise *x, size_t condition, size_t method) {
    double values[LAB_MAX_SEEDS], more[LAB_MAX_SEEDS];
    json_t *out = json_pack("{s:s,s:s,s:f}", "method", methods[method].name, "level", level_name(&x->conditions[condition]), "rate",
                            x->conditions[condition].rate);
    for (int k = 0; k < N_MEASURES; k++) {
        values_of(x, condition, method, (measure)k, false, values);
        values_of(x, condition, method, (measure)k, true, more);
        json_object_set_new(out, measure_names[k],
                            json_pack("{s:o,s:o}", "value", lab_over_seeds(values, x->l->n_seeds), "over_plain", lab_over_seeds(more, x->l->n_seeds)));
    }
    return out;
}

/* What was planted and flagged, by seed. */
static agon_status condition_json(const noise *x, const condition *c, json_t **out) {
    double share[LAB_MAX_SEEDS], precision[LAB_MAX_SEEDS], recall[LAB_MAX_SEEDS];
    for (size_t seed = 0; seed < x->l->n_seeds; seed++) {
        answers a;
        agon_status s = answers_new(x, x->l->ctx, seed, c, &a);
        share[seed] = (double)a.n_wrong / (double)a.n_tokens;
        precision[seed] = (double)a.n_hit / (double)a.n_flagged;
        recall[seed] = (double)a.n_hit / (double)a.n_wrong;
        answers_free(&a);
        if (s)
            return s;
    }
    *out = json_pack("{s:s,s:f,s:o,s:o,s:o}", "level", level_name(c), "rate", c->rate, "share_wrong", lab_over_seeds(share, x->l->n_seeds), "precision",
                     lab_over_seeds(precision, x->l->n_seeds), "recall", lab_over_seeds(recall, x->l->n_seeds));
    return *out ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
}

static json_t *base_json(const noise *x) {
    json_t *out = json_object();
    for (int k = RIGHT; k <= LOSS; k++) {
        double values[LAB_MAX_SEEDS];
        for (size_t seed = 0; seed < x->l->n_seeds; seed++)
            values[seed] = x->base_scores[seed * N_MEASURES + (size_t)k];
        json_object_set_new(out, measure_names[k], lab_over_seeds(values, x->l->n_seeds));
    }
    return out;
}

typedef struct curve {
    double x[MAX_RATES + 1], y[MAX_RATES + 1], low[MAX_RATES + 1], high[MAX_RATES + 1];
} curve;

static void fill_curve(const noise *x, size_t level, size_t method, measure k, curve *out) {
    double values[LAB_MAX_SEEDS];
    for (size_t i = 0; i <= x->n_rates; i++) {
        size_t condition = i == 0 ? 0 : level * x->n_rates + i;
        values_of(x, condition, method, k, false, values);
        const lab_estimate e = lab_estimate_of(values, x->l->n_seeds);
        out->x[i] = x->conditions[condition].rate;
        out->y[i] = e.mean, out->low[i] = e.low, out->high[i] = e.high;
    }
}

/* Panels: answers right and wrong tokens memorised; for each level, other losses and then what leaves out or weighs tokens, with plain in all. */
static agon_status draw(const noise *x) {
    static const measure drawn[2] = {RIGHT, MEMORISED};
    static const char *const titles[2][2] = {{"noise in tokens", "noise in spans"}, {"wrong tokens memorised, tokens", "wrong tokens memorised, spans"}};
    enum { N_PANELS = 8 };
    static const size_t first[2] = {1, N_LOSSES}, end[2] = {N_LOSSES, N_METHODS};
    curve *curves = calloc(N_PANELS * N_METHODS, sizeof *curves);
    plot_series series[N_PANELS][N_METHODS];
    plot_panel panels[N_PANELS];
    for (size_t p = 0; curves && p < N_PANELS; p++) {
        size_t k = p / 4, level = p / 2 % 2, side = p % 2, n = 0;
        for (size_t m = 0; m < end[side]; m = m == 0 ? first[side] : m + 1, n++) {
            curve *c = &curves[p * N_METHODS + n];
            fill_curve(x, level, m, drawn[k], c);
            series[p][n] = (plot_series){.name = methods[m].name, .x = c->x, .y = c->y, .low = c->low, .high = c->high, .n = x->n_rates + 1};
        }
        panels[p] = (plot_panel){.title = titles[k][level], .x_name = level == 0 ? "rate of replaced tokens" : "rate of tokens at which a span begins",
                                 .y_name = k == 0 ? "held-out answers right" : "probability of planted tokens", .series = series[p], .n_series = n,
                                 .y_low = 0, .y_high = 1};
    }
    agon_status s = curves ? lab_plot(x->l, "curves.svg", panels, N_PANELS, 4) : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    free(curves);
    return s;
}

static agon_status report(const noise *x, json_t **result) {
    json_t *planted = json_array(), *list = json_array();
    agon_status s = draw(x);
    for (size_t i = 0; i < x->n_conditions && !s; i++) {
        json_t *one = NULL;
        s = condition_json(x, &x->conditions[i], &one);
        json_array_append_new(planted, one);
        for (size_t m = 0; m < N_METHODS && !s; m++)
            json_array_append_new(list, method_json(x, i, m));
    }
    if (!s)
        *result = json_pack("{s:o,s:O,s:O}", "base", base_json(x), "planted", planted, "methods", list);
    json_decref(planted);
    json_decref(list);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    noise *x = arg;
    lab *l = x->l;
    size_t n_runs = l->n_seeds * x->n_conditions * N_METHODS;
    x->sources = lab_take(l, l->n_seeds * x->n_all, sizeof *x->sources);
    x->base_scores = lab_take(l, l->n_seeds * N_MEASURES, sizeof *x->base_scores);
    x->scores = lab_take(l, n_runs * N_MEASURES, sizeof *x->scores);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, n_runs, run_one, x);
    return s ? s : report(x, result);
}

/* Scoring what is selected is a third of a training step more; a completion is a pass a token, about seven. */
static void plan(const void *arg, double *trained, double *asked) {
    const noise *x = arg;
    const lab *l = x->l;
    double runs = (double)(l->n_seeds * x->n_conditions), rows = (double)(x->steps * x->batch), selected = 0;
    for (size_t m = 0; m < N_METHODS; m++)
        selected += is_selected(&methods[m]);
    trained[0] = lab_rounds(l, l->n_seeds) * (double)l->n_corpus + runs * (N_METHODS + selected / 3) * rows;
    asked[0] = (runs * N_METHODS + (double)l->n_seeds) * (8.0 * (double)x->n_test + (double)x->n_items);
}

const experiment experiment_token_noise = {
    .name = "token-noise",
    .summary = "what is left of supervised fine-tuning when tokens or spans of its answers are wrong",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(noise),
    .options = take_options,
    .plan = plan,
    .run = run,
};

/* experiment: amplification. Can a model be taught what nobody could label, by itself, its hard questions cut into easier ones? Iterated amplification and
 * distillation: Christiano et al. 2018, 1810.08575; loop specification 4.1.
 *
 *   questions  sums of two numbers of 2^k digits (task/long_sum.h), k the level. People answer level 0 only: sums of two digits
 *   model      a transformer from scratch, trained on people's answers to level 0
 *   round k    questions of level k get labels by the arm's way; a share `checked` of them is checked by a person, who writes the right answer; then the
 *              model is trained on them and on as many of each level before, as they were labelled then
 *              amplified   the question is cut in two of level k - 1: "what is the sum of the low digits?" [S1] and "of the high digits, with what [S1]
 *                          carries?" [S2], each answered by the model as it stands, or cut again, `depth` times at most; the digits of both are the label
 *              own         the model's own answer to the whole question: the control, with as many checked labels and trained tokens
 *              taught      no questions of level k: as many of people's answers to level 0
 *              truth       right answers: what the model could learn
 *   measure    greedy answers of the model to held-out questions of every level; and of the model with one cut; wrong labels by the first sub-answer
 *              that was wrong
 *
 * The decomposer and what joins the answers are exact: programs. That a model can cut questions is not what is measured here. An answer that cannot be
 * read is wrong, and is no label. A seed is a model, its questions and their order; arms are compared within seeds. */
#include "base/ctx.h"
#include "experiment/experiment.h"
#include "task/long_sum.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"ladder\": [{\"width\": 48, \"layers\": 3}], \"rounds\": 3, \"depth\": 1, \"checked\": 0.15,"
    "\"taught\": 20000, \"questions\": 20000, \"epochs\": 2, \"batch\": 32, \"lr\": 0.001, \"test_items\": 500}";

enum { MOST_ROUNDS = LONG_SUM_LEVELS - 1, MOST_DEPTH = 3 };
typedef enum way { AMPLIFIED, OWN, TAUGHT, TRUTH, N_WAYS } way;
static const char *const way_names[N_WAYS] = {"amplified", "own", "taught", "truth"};
static const struct contrast {
    way a, b;
} contrasts[] = {{AMPLIFIED, OWN}, {AMPLIFIED, TAUGHT}, {AMPLIFIED, TRUTH}};
enum { N_CONTRASTS = sizeof contrasts / sizeof *contrasts };

/* Of one round, as a stage: doubles only. */
typedef struct round_figures {
    double right[LONG_SUM_LEVELS], amplified[LONG_SUM_LEVELS]; /* shares of the test questions of each level: by the model, and with one cut */
    double labels_right;              /* share of the labels that were right before the check */
    double unread, first, second;     /* shares of the labels: none; wrong by the first sub-answer; by the second */
    double calls;                     /* of the model, a label */
    double corrected;                 /* labels that the check put right */
} round_figures;
enum { N_FIGURES = sizeof(round_figures) / sizeof(double) };

typedef struct tower {
    lab *l;
    size_t n_rounds, depth, n_taught, n_questions, epochs, batch, n_test;
    double checked, lr;
    sequence_item *test;   /* [LONG_SUM_LEVELS, n_test], the same under every seed */
    round_figures *rounds; /* [n_seeds, N_WAYS, 1 + n_rounds]; round 0: taught by people */
} tower;

static agon_status take_options(lab *l, void *arg) {
    tower *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"rounds", 1, MOST_ROUNDS, &x->n_rounds}, {"depth", 1, MOST_DEPTH, &x->depth}, {"taught", 32, 10000000, &x->n_taught}, {"questions", 32, 10000000, &x->n_questions},
                               {"epochs", 1, 1000, &x->epochs}, {"batch", 1, 4096, &x->batch}, {"test_items", 20, 1000000, &x->n_test}, {0}};
    const lab_fraction real[] = {{"checked", 0, 1, &x->checked}, {"lr", 1e-9, 1, &x->lr}, {0}};
    return lab_options(l, whole, real);
}

/* People's, one a round, and one beyond where there is one. */
static size_t n_levels(const tower *x) {
    return x->n_rounds + 2 < LONG_SUM_LEVELS ? x->n_rounds + 2 : LONG_SUM_LEVELS;
}

static round_figures *figures_of(const tower *x, size_t seed, size_t w) {
    return x->rounds + (seed * N_WAYS + w) * (1 + x->n_rounds);
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

/* The model's own answers, LONG_SUM_NONE where they cannot be read; out [n]. */
static agon_status answer(agon_ctx *ctx, const lab_model *m, const sequence_item *questions, size_t n, int64_t *out) {
    sequence_item *answers = malloc(n * sizeof *answers);
    agon_status s = answers ? lab_complete(ctx, m, questions, n, 0, 0, answers, NULL) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        out[i] = long_sum_answer(&answers[i]);
    free(answers);
    return s;
}

/* The same of questions that are cut `depth` times at most. first [n] (NULL: not wanted): the answers to their first halves. An answer that cannot be
 * read is asked nothing more of. */
static agon_status amplify(agon_ctx *ctx, const lab_model *m, const sequence_item *questions, size_t n, size_t depth, int64_t *out, int64_t *first) {
    const size_t level = n ? long_sum_level(questions) : 0;
    if (depth == 0 || level == 0)
        return answer(ctx, m, questions, n, out);
    sequence_item *half = malloc(n * sizeof *half);
    int64_t *low = malloc(n * sizeof *low), *high = malloc(n * sizeof *high);
    size_t *whose = malloc(n * sizeof *whose), n_half = 0;
    agon_status s = half && low && high && whose ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        half[i] = long_sum_low(&questions[i]);
    if (!s)
        s = amplify(ctx, m, half, n, depth - 1, low, NULL);
    for (size_t i = 0; i < n && !s; i++) {
        out[i] = LONG_SUM_NONE;
        if (first)
            first[i] = low[i];
        if (low[i] == LONG_SUM_NONE)
            continue;
        half[n_half] = long_sum_high(&questions[i], long_sum_carry(&questions[i], low[i]));
        whose[n_half++] = i;
    }
    if (!s && n_half)
        s = amplify(ctx, m, half, n_half, depth - 1, high, NULL);
    for (size_t k = 0; k < n_half && !s; k++)
        if (high[k] != LONG_SUM_NONE)
            out[whose[k]] = long_sum_join(&questions[whose[k]], low[whose[k]], high[k]);
    free(half), free(low), free(high), free(whose);
    return s;
}

/* ---- labels ------------------------------------------------------------------------------------------------ */

static void count_label(const sequence_item *question, int64_t label, int64_t first, round_figures *f) {
    const int64_t truth = long_sum_truth(question);
    f->labels_right += label == truth;
    f->unread += label == LONG_SUM_NONE;
    if (label == LONG_SUM_NONE || label == truth || first == LONG_SUM_NONE)
        return;
    const sequence_item half = long_sum_low(question);
    const bool wrong_at_first = first != long_sum_truth(&half);
    f->first += wrong_at_first;
    f->second += !wrong_at_first;
}

/* Labels questions [n] of one level by the way, checks some, and keeps those that have one: *n_kept of them, in place. */
static agon_status label(const tower *x, agon_ctx *ctx, size_t seed, way w, const lab_model *m, sequence_item *questions, size_t n, round_figures *f,
                         size_t *n_kept) {
    int64_t *labels = malloc(n * sizeof *labels), *first = malloc(n * sizeof *first);
    agon_status s = labels && first ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    rng r = rng_new(lab_seed(x->l, seed, "check %zu", long_sum_level(questions)));
    for (size_t i = 0; i < n && !s; i++) {
        first[i] = LONG_SUM_NONE;
        labels[i] = long_sum_truth(&questions[i]);
    }
    if (!s && w == AMPLIFIED)
        s = amplify(ctx, m, questions, n, x->depth, labels, first);
    if (!s && w == OWN)
        s = answer(ctx, m, questions, n, labels);
    const size_t level = long_sum_level(questions), cuts = w != AMPLIFIED ? 0 : x->depth < level ? x->depth : level;
    f->calls = w == AMPLIFIED || w == OWN ? (double)((size_t)1 << cuts) : 0;
    *n_kept = 0;
    for (size_t i = 0; i < n && !s; i++) {
        count_label(&questions[i], labels[i], first[i], f);
        if (rng_uniform(&r) < x->checked) {
            f->corrected += labels[i] != long_sum_truth(&questions[i]);
            labels[i] = long_sum_truth(&questions[i]);
        }
        if (labels[i] == LONG_SUM_NONE)
            continue;
        questions[*n_kept] = questions[i];
        long_sum_set_answer(&questions[(*n_kept)++], labels[i]);
    }
    for (double *share = &f->labels_right; share <= &f->second; share++)
        *share /= (double)n;
    free(labels), free(first);
    return s;
}

/* ---- training and measuring ---------------------------------------------------------------------------------- */

static void draw_questions(const tower *x, size_t seed, size_t round, size_t level, size_t n, sequence_item *out) {
    rng r = rng_new(lab_seed(x->l, seed, "questions %zu %zu", round, level));
    for (size_t i = 0; i < n; i++)
        long_sum_draw(&r, level, false, &out[i]);
}

static agon_status learn(const tower *x, agon_ctx *ctx, size_t seed, size_t round, lab_model *m, const sequence_item *items, size_t n, size_t steps) {
    lab_rows rows = {0};
    const lab_training t = {.objective = "sft", .steps = steps, .batch = x->batch, .lr = x->lr, .seed = lab_seed(x->l, seed, "order %zu", round)};
    agon_status s = lab_answers(ctx, items, n, NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, m, &rows, &t);
    lab_rows_free(&rows);
    return s;
}

static agon_status measure(const tower *x, agon_ctx *ctx, const lab_model *m, round_figures *f) {
    int64_t *answers = malloc(x->n_test * sizeof *answers);
    agon_status s = answers ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t level = 0; level < n_levels(x) && !s; level++) {
        const sequence_item *test = x->test + level * x->n_test;
        double *const shares[] = {&f->right[level], &f->amplified[level]};
        for (size_t cuts = 0; cuts < 2 && !s; cuts++) {
            s = amplify(ctx, m, test, x->n_test, cuts, answers, NULL);
            for (size_t i = 0; i < x->n_test && !s; i++)
                *shares[cuts] += (answers[i] == long_sum_truth(&test[i])) / (double)x->n_test;
        }
    }
    free(answers);
    return s;
}

/* Round k: *n_kept questions of its level, labelled, join those of the rounds before; items [(1 + n_rounds) * n_questions] of people's first. */
static agon_status one_round(const tower *x, agon_ctx *ctx, size_t seed, way w, size_t k, lab_model *m, sequence_item *items, size_t *n, round_figures *f) {
    size_t n_kept = x->n_questions;
    sequence_item *new = items + *n;
    agon_status s = AGON_OK;
    draw_questions(x, seed, k, w == TAUGHT ? 0 : k, x->n_questions, new);
    if (w == TAUGHT)
        f->labels_right = 1;
    else
        s = label(x, ctx, seed, w, m, new, x->n_questions, f, &n_kept);
    *n += n_kept;
    const size_t steps = x->epochs * x->n_questions * (k + 1) / x->batch; /* as many in each arm */
    if (!s)
        s = learn(x, ctx, seed, k, m, items, *n, steps ? steps : 1);
    return s ? s : measure(x, ctx, m, f);
}

static agon_status teach_seed(void *arg, agon_ctx *ctx, size_t seed) {
    tower *x = arg;
    sequence_item *items = malloc(x->n_taught * sizeof *items);
    agon_status s = items ? lab_model_new(ctx, &x->l->ladder[0], lab_seed(x->l, seed, "model"), &x->l->models[seed])
                          : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    const size_t steps = x->epochs * x->n_taught / x->batch;
    round_figures f = {.labels_right = 1};
    if (!s) {
        draw_questions(x, seed, 0, 0, x->n_taught, items);
        s = learn(x, ctx, seed, 0, x->l->models[seed], items, x->n_taught, steps ? steps : 1);
    }
    if (!s)
        s = measure(x, ctx, x->l->models[seed], &f);
    for (size_t w = 0; w < N_WAYS; w++)
        *figures_of(x, seed, w) = f;
    if (!s)
        lab_say_seed(x->l, seed, "taught by people: level 0 right %.3f, level 1 %.3f, level 1 with one cut %.3f", f.right[0], f.right[1], f.amplified[1]);
    free(items);
    return s;
}

static agon_status climb(const tower *x, agon_ctx *ctx, size_t seed, way w, round_figures *f) {
    const size_t n_items = (1 + x->n_rounds) * x->n_questions;
    sequence_item *items = malloc(n_items * sizeof *items);
    size_t n = x->n_questions;
    lab_model *m = NULL;
    agon_status s = items ? lab_model_copy(ctx, x->l->models[seed], &m) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        draw_questions(x, seed, 0, 0, n, items);
    for (size_t k = 1; k <= x->n_rounds && !s; k++) {
        f[k] = (round_figures){0};
        s = one_round(x, ctx, seed, w, k, m, items, &n, &f[k]);
        if (!s)
            lab_say_seed(x->l, seed, "%-9s round %zu: labels right %.3f; then level %zu right %.3f, with one cut %.3f", way_names[w], k, f[k].labels_right, k,
                         f[k].right[k], f[k].amplified[k]);
    }
    lab_model_free(m);
    free(items);
    return s;
}

static agon_status climb_one(void *arg, agon_ctx *ctx, size_t i) {
    tower *x = arg;
    const size_t seed = i / N_WAYS;
    const way w = (way)(i % N_WAYS);
    double *figures = (double *)(figures_of(x, seed, w) + 1);
    bool found = false;
    char key[48];
    snprintf(key, sizeof key, "arm %zu %s", seed, way_names[w]);
    agon_status s = lab_recall(x->l, ctx, key, figures, x->n_rounds * N_FIGURES, &found);
    if (!s && !found)
        s = climb(x, ctx, seed, w, figures_of(x, seed, w));
    if (!s && !found)
        s = lab_keep(x->l, ctx, key, figures, x->n_rounds * N_FIGURES);
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------------------ */

#define FIGURE(name) (offsetof(round_figures, name) / sizeof(double)) /* its place among the doubles */

/* A figure of every round, over seeds. */
static json_t *by_round(const tower *x, size_t w, size_t at) {
    json_t *list = json_array();
    double v[LAB_MAX_SEEDS];
    for (size_t k = 0; k <= x->n_rounds; k++) {
        for (size_t i = 0; i < x->l->n_seeds; i++)
            v[i] = ((const double *)&figures_of(x, i, w)[k])[at];
        json_array_append_new(list, lab_over_seeds(v, x->l->n_seeds));
    }
    return list;
}

static json_t *way_json(const tower *x, size_t w) {
    json_t *levels = json_array(), *labels = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "right", by_round(x, w, FIGURE(labels_right)), "unread", by_round(x, w, FIGURE(unread)),
                                                       "first_wrong", by_round(x, w, FIGURE(first)), "second_wrong", by_round(x, w, FIGURE(second)), "calls",
                                                       by_round(x, w, FIGURE(calls)), "corrected", by_round(x, w, FIGURE(corrected)));
    for (size_t level = 0; level < n_levels(x); level++)
        json_array_append_new(levels, json_pack("{s:I,s:I,s:o,s:o}", "level", (json_int_t)level, "digits", (json_int_t)1 << level, "right_by_round",
                                                by_round(x, w, FIGURE(right) + level), "with_one_cut_by_round", by_round(x, w, FIGURE(amplified) + level)));
    return json_pack("{s:s,s:o,s:o}", "arm", way_names[w], "levels", levels, "labels_by_round", labels);
}

static json_t *contrast_json(const tower *x, const struct contrast *c, size_t level) {
    double v[LAB_MAX_SEEDS];
    for (size_t i = 0; i < x->l->n_seeds; i++)
        v[i] = figures_of(x, i, c->a)[x->n_rounds].right[level] - figures_of(x, i, c->b)[x->n_rounds].right[level];
    const lab_estimate e = lab_estimate_of(v, x->l->n_seeds);
    const char *finding = lab_finding(e.low, e.high, "better", "worse");
    lab_say(x->l, "%s less %s, level %zu: %+.3f [%+.3f, %+.3f] of answers right (%s)", way_names[c->a], way_names[c->b], level, e.mean, e.low, e.high, finding);
    return json_pack("{s:s,s:s,s:I,s:s,s:o}", "arm", way_names[c->a], "against", way_names[c->b], "level", (json_int_t)level, "finding", finding, "difference",
                     lab_over_seeds(v, x->l->n_seeds));
}

/* Right answers by round, a panel a level, the mean over seeds of each arm. */
static agon_status draw(const tower *x) {
    double rounds[1 + MOST_ROUNDS], shares[LONG_SUM_LEVELS][N_WAYS][1 + MOST_ROUNDS] = {0};
    plot_series series[LONG_SUM_LEVELS][N_WAYS];
    plot_panel panels[LONG_SUM_LEVELS];
    char titles[LONG_SUM_LEVELS][48];
    for (size_t k = 0; k <= x->n_rounds; k++)
        rounds[k] = (double)k;
    for (size_t level = 0; level < n_levels(x); level++) {
        for (size_t w = 0; w < N_WAYS; w++) {
            for (size_t k = 0; k <= x->n_rounds; k++)
                for (size_t i = 0; i < x->l->n_seeds; i++)
                    shares[level][w][k] += figures_of(x, i, w)[k].right[level] / (double)x->l->n_seeds;
            series[level][w] = (plot_series){.name = way_names[w], .x = rounds, .y = shares[level][w], .n = 1 + x->n_rounds};
        }
        snprintf(titles[level], sizeof titles[level], "sums of %d digit%s", 1 << level, level ? "s" : "");
        panels[level] = (plot_panel){.title = titles[level], .x_name = "round", .y_name = "answers right", .series = series[level], .n_series = N_WAYS};
    }
    return lab_plot(x->l, "levels.svg", panels, n_levels(x), n_levels(x));
}

static agon_status run(void *arg, json_t **out) {
    tower *x = arg;
    lab *l = x->l;
    x->test = lab_take(l, LONG_SUM_LEVELS * x->n_test, sizeof *x->test);
    x->rounds = lab_take(l, l->n_seeds * N_WAYS * (1 + x->n_rounds), sizeof *x->rounds);
    agon_status s = lab_taken(l);
    for (size_t level = 0; level < n_levels(x) && !s; level++) {
        rng r = rng_new(lab_seed(l, 0, "test %zu", level));
        for (size_t i = 0; i < x->n_test; i++)
            long_sum_draw(&r, level, true, &x->test[level * x->n_test + i]);
    }
    if (!s)
        s = lab_run(l, l->n_seeds, teach_seed, x);
    if (!s)
        s = lab_run(l, l->n_seeds * N_WAYS, climb_one, x);
    if (!s)
        s = draw(x);
    if (s)
        return s;
    json_t *arms = json_array(), *compared = json_array();
    for (size_t w = 0; w < N_WAYS; w++)
        json_array_append_new(arms, way_json(x, w));
    for (size_t i = 0; i < N_CONTRASTS; i++)
        for (size_t level = 0; level < n_levels(x); level++)
            json_array_append_new(compared, contrast_json(x, &contrasts[i], level));
    *out = json_pack("{s:o,s:o}", "arms", arms, "contrasts", compared);
    return *out ? AGON_OK : ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
}

/* Rows of 8 to 29 tokens; a pass a token that is written. */
static void plan(const void *arg, double *trained, double *asked) {
    const tower *x = arg;
    const double seeds = lab_rounds(x->l, x->l->n_seeds), arms = lab_rounds(x->l, x->l->n_seeds * N_WAYS), rounds = (double)x->n_rounds;
    trained[0] = (double)x->epochs * (seeds * (double)x->n_taught + arms * (double)x->n_questions * (rounds * (rounds + 3) / 2));
    asked[0] = arms * rounds * 2 * ((double)x->n_questions * 2 + 3 * (double)(n_levels(x) * x->n_test));
}

const experiment experiment_amplification = {
    .name = "amplification",
    .summary = "iterated amplification: hard questions cut in two, answered and learnt, beside a model's own answers",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(tower),
    .options = take_options,
    .plan = plan,
    .run = run,
};

/* experiment: refine-pairs. Are preferences made by mending a draft after a critique (refinement > draft) worth more than preferences made by trying
 * again (retry > draft)? Spec: training 7; Saunders et al. 2022, 2206.05802; Akyurek et al. 2023, 2305.08844.
 *
 *   policy     a model from scratch with two kinds of documents behind it: statements with planted mistakes (sequence_plant), and, in the share
 *              `mended`, drafts with a critique and what became of them (sequence_mend). In these the critic overlooks the share `overlooked`
 *              of the wrong places, and what is not named was left as it is: only who reads the critique knows what became of the draft. A named
 *              place was written anew, with a planted mistake still in `unmended` of them
 *   refiner    the policy itself, which reads its own draft and the critique. It is no stronger model: that it can use a critique comes from the
 *              second kind of documents, and how well it does is measured and published beside the result
 *   critic     a program that knows the answer, overlooks the share `missed` of the wrong places and names `false_alarms` of the right ones
 *   pairs      one draft a source and one attempt to do better, sampled at temperature 1, both answers of equal length, kept by the specification's
 *              filters (refinement_keep: grade up by 0.1, at most 0.8 of it edited, nothing of the critique copied):
 *              retry           another answer, where it is better           refined         after the critique, where it is better
 *              retry-right     another answer, where the verifier passes    refined-right   after the critique, where the verifier passes
 *              shuffled        after the critique of another draft, where it is better
 *   training   dpo, at each of `lrs`, on equally many pairs and tokens from each, the fewest that any arm of the seed has and at most `pairs`
 *   measure    greedy answers to held-out sources, and the policy's probability of the right answer; before and after
 *
 * A seed is a policy, its drafts and its order of training; arms are compared within seeds. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "eval/learnability.h"
#include "experiment/experiment.h"
#include "train/critique_spans.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"reversal\", \"ladder\": [{\"width\": 32, \"layers\": 2}], \"corpus_items\": 400000,"
    "\"corpus_lr\": 0.003, \"every\": 2, \"planted\": 0.9, \"mended\": 0.5, \"overlooked\": 0.5, \"missed\": 0.1, \"false_alarms\": 0.1, \"unmended\": 0.2,"
    "\"drafts\": 6000, \"pairs\": 100, \"epochs\": 4, \"batch\": 16, \"lrs\": [0.0003, 0.001], \"beta\": 0.1, \"test_items\": 500}";

typedef enum attempt { DRAFT, RETRY, REFINED, SHUFFLED, N_ATTEMPTS } attempt;
static const struct arm {
    const char *name;
    attempt attempt;
    bool passes; /* only what the verifier passes */
} arms[] = {
    {"retry", RETRY, false},      {"refined", REFINED, false},  {"retry-right", RETRY, true},
    {"refined-right", REFINED, true}, {"shuffled", SHUFFLED, false},
};
enum { N_ARMS = sizeof arms / sizeof *arms, MAX_LRS = 4 };
static const struct contrast {
    size_t a, b;
} contrasts[] = {{1, 0}, {3, 2}, {3, 0}, {1, 4}, {4, 0}};
enum { N_CONTRASTS = sizeof contrasts / sizeof *contrasts };

typedef struct result {
    double greedy, likely; /* share of held-out sources answered rightly; mean probability of the right answer */
} result;

typedef struct workshop {
    lab *l;
    size_t n_drafts, n_pairs, epochs, batch, n_test, every, n_lrs;
    double planted, mended, overlooked, missed, false_alarms, unmended, lrs[MAX_LRS], beta;
    sequence_item *test;     /* [n_test] true statements, the same under every seed */
    sequence_item *truths;   /* [n_seeds, n_drafts] */
    sequence_item *attempts; /* [n_seeds, N_ATTEMPTS, n_drafts] as statements; n == n_source where there is none */
    size_t *usable;          /* [n_seeds] pairs an arm trains on */
    result *before;          /* [n_seeds] */
    result *after;           /* [n_seeds, N_ARMS, n_lrs] */
} workshop;

static sequence_item *attempts_of(const workshop *x, size_t seed, attempt a) {
    return x->attempts + (seed * N_ATTEMPTS + a) * x->n_drafts;
}

/* ---- options ----------------------------------------------------------------------------------------------- */

static agon_status take_options(lab *l, void *arg) {
    workshop *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"every", 1, 26, &x->every}, {"drafts", 16, 1000000, &x->n_drafts}, {"pairs", 1, 1000000, &x->n_pairs},
                 {"epochs", 1, 1000, &x->epochs}, {"batch", 1, 4096, &x->batch}, {"test_items", 20, 1000000, &x->n_test}, {0}};
    const lab_fraction real[] = {{"planted", 0, 1, &x->planted}, {"mended", 0.01, 0.99, &x->mended},
                {"overlooked", 0, 1, &x->overlooked}, {"missed", 0, 1, &x->missed}, {"false_alarms", 0, 1, &x->false_alarms},
                {"unmended", 0, 1, &x->unmended}, {"beta", 1e-5, 1e5, &x->beta}, {0}};
    agon_status s = lab_options(l, whole, real);
    return s ? s : lab_reals(l, "lrs", 1e-9, 1, x->lrs, MAX_LRS, &x->n_lrs);
}

/* ---- the policy, who is the refiner too -------------------------------------------------------------------------- */

/* What a critic who overlooks this share of the wrong places says of a draft. */
static void criticise(const workshop *x, rng *r, double missed, const sequence_item *truth, const sequence_item *draft, bool *wrong) {
    sequence_wrong_places(truth, draft, wrong);
    for (size_t i = 0; i + draft->n_source + 1 < draft->n; i++) {
        bool errs = rng_uniform(r) < (wrong[i] ? missed : x->false_alarms);
        wrong[i] = wrong[i] != errs;
    }
}

/* A true statement becomes a draft of it, its critique, and what was made of the draft. False: too long. */
static bool mending(const workshop *x, rng *r, const sequence_item *truth, sequence_item *out) {
    bool wrong[SEQUENCE_MAX];
    sequence_item draft = *truth, anew = *truth;
    sequence_plant(r, x->every, x->planted, &draft);
    sequence_plant(r, x->every, x->unmended, &anew);
    criticise(x, r, x->overlooked, truth, &draft, wrong);
    if (!sequence_mend(&draft, wrong, out))
        return false;
    for (size_t i = truth->n_source; i < truth->n; i++)
        out->tokens[out->n++] = wrong[i - truth->n_source] && i + 1 < truth->n ? anew.tokens[i] : draft.tokens[i];
    return true;
}

/* *out new, also after a failure. */
static agon_status write_corpus(const workshop *x, agon_ctx *ctx, size_t seed, sequence_item **out) {
    rng r = rng_new(lab_seed(x->l, seed, "planted"));
    agon_status s = lab_draw_corpus(x->l, ctx, seed, x->test, x->n_test, out);
    sequence_item *corpus = *out;
    for (size_t i = 0; i < x->l->n_corpus && !s; i++) {
        sequence_item truth = corpus[i];
        if (rng_uniform(&r) >= x->mended)
            sequence_plant(&r, x->every, x->planted, &corpus[i]);
        else if (!mending(x, &r, &truth, &corpus[i]))
            s = ctx_fail(ctx, AGON_EINVAL, "answers of the family %s are too long to be mended", sequence_family_name(x->l->family));
    }
    return s;
}

static agon_status measure(const workshop *x, agon_ctx *ctx, const lab_model *m, result *out) {
    return lab_skill(x->l, ctx, m, x->test, x->n_test, &out->greedy, &out->likely);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

/* A completion as an answer to the source of `truth`, none where it has another length: pairs are of equally many tokens. */
static sequence_item answer_of(const sequence_item *truth, const sequence_item *completion) {
    sequence_item out = *truth;
    size_t n = completion->n - completion->n_source;
    out.n = out.n_source;
    if (n != truth->n - truth->n_source || completion->tokens[completion->n - 1] != SEQUENCE_END)
        return out;
    memcpy(out.tokens + out.n, completion->tokens + completion->n_source, n * sizeof *out.tokens);
    out.n += n;
    return out;
}

/* Each draft mended after its own critique, or the shuffled one: of the next draft. A source that cannot be read gets no attempt. */
static agon_status refine(const workshop *x, agon_ctx *ctx, size_t seed, attempt which, sequence_item *scratch) {
    size_t n = x->n_drafts, n_asked = 0;
    const sequence_item *truths = x->truths + seed * n, *drafts = attempts_of(x, seed, DRAFT);
    sequence_item *out = attempts_of(x, seed, which);
    size_t *whose = malloc(n * sizeof *whose);
    if (!whose)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        bool wrong[SEQUENCE_MAX] = {false};
        size_t j = which == SHUFFLED ? (i + 1) % n : i;
        rng r = rng_new(lab_seed(x->l, seed, "critic %zu", j));
        out[i] = truths[i];
        out[i].n = out[i].n_source;
        criticise(x, &r, x->missed, &truths[j], &drafts[j], wrong);
        if (drafts[i].n > drafts[i].n_source && drafts[j].n > drafts[j].n_source && sequence_mend(&drafts[i], wrong, &scratch[n_asked])) {
            /* A completion starts behind the last '='. */
            scratch[n_asked].n_source = scratch[n_asked].n;
            whose[n_asked++] = i;
        }
    }
    agon_status s = lab_complete(ctx, x->l->models[seed], scratch, n_asked, 1, lab_seed(x->l, seed, "attempt %d", (int)which), scratch + n, NULL);
    for (size_t k = 0; k < n_asked && !s; k++)
        out[whose[k]] = answer_of(&truths[whose[k]], &scratch[n + k]);
    free(whose);
    return s;
}

static agon_status try_all(const workshop *x, agon_ctx *ctx, size_t seed) {
    size_t n = x->n_drafts;
    sequence_item *scratch = malloc(2 * n * sizeof *scratch);
    agon_status s = scratch ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (int a = DRAFT; a <= RETRY && !s; a++) {
        s = lab_complete(ctx, x->l->models[seed], x->truths + seed * n, n, 1, lab_seed(x->l, seed, "attempt %d", a), scratch, NULL);
        for (size_t i = 0; i < n && !s; i++)
            attempts_of(x, seed, (attempt)a)[i] = answer_of(&x->truths[seed * n + i], &scratch[i]);
    }
    for (int a = REFINED; a <= SHUFFLED && !s; a++)
        s = refine(x, ctx, seed, (attempt)a, scratch);
    free(scratch);
    return s;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

/* Whether the attempt and the draft are a pair. Tokens are bytes to edit_ratio; the critique's own words are RIGHT and WRONG. */
static agon_status is_pair(const workshop *x, agon_ctx *ctx, const sequence_item *truth, const sequence_item *draft, const sequence_item *try,
                           bool passes, bool *out) {
    char texts[2][SEQUENCE_MAX];
    size_t n = truth->n - truth->n_source;
    bool copies = false;
    double edits;
    const refinement_filter f = refinement_filter_default();
    *out = false;
    if (draft->n == draft->n_source || try->n == try->n_source)
        return AGON_OK;
    for (size_t i = 0; i < n; i++) {
        texts[0][i] = (char)draft->tokens[draft->n_source + i];
        texts[1][i] = (char)try->tokens[try->n_source + i];
        copies = copies || try->tokens[try->n_source + i] == SEQUENCE_RIGHT || try->tokens[try->n_source + i] == SEQUENCE_WRONG;
    }
    agon_status s = edit_ratio(ctx, texts[0], n, texts[1], n, &edits);
    *out = !s && refinement_keep(&f, sequence_grade(truth, draft), sequence_grade(truth, try), edits, copies) &&
           (!passes || sequence_verify(x->l->family, try->tokens, try->n));
    return s;
}

/* The first `most` pairs of an arm; *n_tried sources were asked for them. chosen, rejected [most], or NULL to count. */
static agon_status take_pairs(const workshop *x, agon_ctx *ctx, size_t seed, const struct arm *a, size_t most, sequence_item *chosen,
                              sequence_item *rejected, size_t *n, size_t *n_tried) {
    const sequence_item *truths = x->truths + seed * x->n_drafts, *drafts = attempts_of(x, seed, DRAFT), *tries = attempts_of(x, seed, a->attempt);
    agon_status s = AGON_OK;
    *n = *n_tried = 0;
    for (size_t i = 0; i < x->n_drafts && *n < most && !s; i++) {
        bool keep = false;
        s = is_pair(x, ctx, &truths[i], &drafts[i], &tries[i], a->passes, &keep);
        if (keep && chosen)
            chosen[*n] = tries[i], rejected[*n] = drafts[i];
        *n += keep;
        *n_tried = i + 1;
    }
    return s;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    workshop *x = arg;
    sequence_item *corpus = NULL;
    double loss = 0;
    size_t n, tried;
    agon_status s = write_corpus(x, ctx, seed, &corpus);
    if (!s)
        s = lab_learn(x->l, ctx, seed, "policy", corpus, 32, &loss);
    if (!s)
        s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "drafts"), x->test, x->n_test, x->n_drafts, x->truths + seed * x->n_drafts);
    if (!s)
        s = measure(x, ctx, x->l->models[seed], &x->before[seed]);
    if (!s)
        s = try_all(x, ctx, seed);
    x->usable[seed] = x->n_pairs;
    for (size_t a = 0; a < N_ARMS && !s; a++) {
        s = take_pairs(x, ctx, seed, &arms[a], x->n_pairs, NULL, NULL, &n, &tried);
        x->usable[seed] = n < x->usable[seed] ? n : x->usable[seed];
        if (!s && n == 0)
            s = ctx_fail(ctx, AGON_EINVAL, "seed %zu: of %zu drafts none makes a pair by %s; ask for more drafts", (size_t)x->l->seed + seed, x->n_drafts, arms[a].name);
    }
    if (!s)
        lab_say_seed(x->l, seed, "policy: %.3f nats a token, greedy answers right %.3f; %zu pairs each", loss, x->before[seed].greedy,
                     x->usable[seed]);
    free(corpus);
    return s;
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

static agon_status train_arm(const workshop *x, agon_ctx *ctx, size_t seed, const struct arm *a, double lr, lab_model *m) {
    char beta[40];
    size_t most = x->usable[seed], n, tried;
    lab_rows rows = {0};
    sequence_item *chosen = malloc(2 * most * sizeof *chosen), *rejected = chosen + most;
    decimal_print(beta, sizeof beta, "beta=%.17g", x->beta);
    agon_status s = chosen ? take_pairs(x, ctx, seed, a, most, chosen, rejected, &n, &tried) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    size_t batch = x->batch < most ? x->batch : most;
    const lab_training t = {.objective = "dpo", .settings = {beta}, .steps = (x->epochs * most + batch - 1) / batch, .batch = batch, .lr = lr,
                            .reference = x->l->models[seed]->m, .seed = lab_seed(x->l, seed, "order")};
    if (!s)
        s = lab_pairs(ctx, chosen, rejected, most, NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, m, &rows, &t);
    lab_rows_free(&rows);
    free(chosen);
    return s;
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    workshop *x = arg;
    size_t seed = i / x->n_lrs / N_ARMS;
    const struct arm *a = &arms[i / x->n_lrs % N_ARMS];
    double lr = x->lrs[i % x->n_lrs];
    lab_model *m = NULL;
    bool found = false;
    char key[48];
    _Static_assert(sizeof(result) == 2 * sizeof(double), "a stage is an array of doubles");
    snprintf(key, sizeof key, "arm %zu %s %zu", seed, a->name, i % x->n_lrs);
    agon_status s = lab_recall(x->l, ctx, key, (double *)&x->after[i], 2, &found);
    if (s || found)
        return s;
    s = lab_model_copy(ctx, x->l->models[seed], &m);
    if (!s)
        s = train_arm(x, ctx, seed, a, lr, m);
    if (!s)
        s = measure(x, ctx, m, &x->after[i]);
    if (!s)
        s = lab_keep(x->l, ctx, key, (const double *)&x->after[i], 2);
    if (!s)
        lab_say_seed(x->l, seed, "%-14s lr %-6g greedy answers right %.3f, probability of the right answer %.3f", a->name, lr,
                     x->after[i].greedy, x->after[i].likely);
    lab_model_free(m);
    return s;
}

/* ---- figures --------------------------------------------------------------------------------------------------- */

/* What the refiner makes of drafts: mean grades, and learnability in eval/learnability.h's terms. Attempts of another length are worth 0. */
static agon_status refiner_json(const workshop *x, size_t seed, json_t **out) {
    size_t n = x->n_drafts, right[N_ATTEMPTS] = {0};
    double *grades = malloc(N_ATTEMPTS * n * sizeof *grades), means[N_ATTEMPTS] = {0};
    learnability l;
    if (!grades)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t a = 0; a < N_ATTEMPTS; a++)
        for (size_t i = 0; i < n; i++) {
            const sequence_item *one = &attempts_of(x, seed, (attempt)a)[i];
            grades[a * n + i] = sequence_grade(&x->truths[seed * n + i], one);
            means[a] += grades[a * n + i] / (double)n;
            right[a] += sequence_verify(x->l->family, one->tokens, one->n);
        }
    agon_status s = learnability_measure(x->l->ctx, grades, grades + REFINED * n, grades + RETRY * n, grades + SHUFFLED * n, n, 0, &l);
    if (!s)
        *out = json_pack("{s:{s:f,s:f,s:f,s:f},s:{s:f,s:f,s:f,s:f},s:f,s:f,s:f,s:f,s:f}", "grade", "draft", means[DRAFT], "retry", means[RETRY],
                         "refined", means[REFINED], "shuffled", means[SHUFFLED], "right", "draft", (double)right[DRAFT] / (double)n, "retry",
                         (double)right[RETRY] / (double)n, "refined", (double)right[REFINED] / (double)n, "shuffled",
                         (double)right[SHUFFLED] / (double)n, "gain", l.gain, "over_retry", l.over_retry, "over_shuffled", l.over_shuffled,
                         "fixed", l.fixed, "broken", l.broken);
    free(grades);
    return s;
}

static double gain(const workshop *x, size_t seed, size_t a, size_t lr, bool likely) {
    const result *after = &x->after[(seed * N_ARMS + a) * x->n_lrs + lr], *before = &x->before[seed];
    return likely ? after->likely - before->likely : after->greedy - before->greedy;
}

static agon_status arm_json(const workshop *x, size_t a, size_t lr, json_t **out) {
    double v[3][LAB_MAX_SEEDS];
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->l->n_seeds && !s; i++) {
        size_t n = 0, tried = 0;
        s = take_pairs(x, x->l->ctx, i, &arms[a], x->usable[i], NULL, NULL, &n, &tried);
        v[0][i] = gain(x, i, a, lr, false), v[1][i] = gain(x, i, a, lr, true), v[2][i] = (double)tried;
    }
    if (!s)
        *out = json_pack("{s:s,s:f,s:o,s:o,s:o}", "arm", arms[a].name, "lr", x->lrs[lr], "greedy_gain", lab_over_seeds(v[0], x->l->n_seeds), "probability_gain",
                         lab_over_seeds(v[1], x->l->n_seeds), "drafts_asked", lab_over_seeds(v[2], x->l->n_seeds));
    return s;
}

static json_t *contrast_json(const workshop *x, const struct contrast *c, size_t lr) {
    double v[2][LAB_MAX_SEEDS];
    for (size_t i = 0; i < x->l->n_seeds; i++)
        for (int k = 0; k < 2; k++)
            v[k][i] = gain(x, i, c->a, lr, k) - gain(x, i, c->b, lr, k);
    const lab_estimate greedy = lab_estimate_of(v[0], x->l->n_seeds);
    const char *finding = lab_finding(greedy.low, greedy.high, "better", "worse");
    lab_say(x->l, "%s less %s at lr %g: %+.3f [%+.3f, %+.3f] of greedy answers right (%s)", arms[c->a].name, arms[c->b].name, x->lrs[lr],
            greedy.mean, greedy.low, greedy.high, finding);
    return json_pack("{s:s,s:s,s:f,s:s,s:o,s:o}", "arm", arms[c->a].name, "against", arms[c->b].name, "lr", x->lrs[lr], "finding", finding, "greedy",
                     lab_over_seeds(v[0], x->l->n_seeds), "probability", lab_over_seeds(v[1], x->l->n_seeds));
}

/* Gains by arm, a point a seed, a panel a learning rate. */
static agon_status draw(const workshop *x) {
    double(*axes)[2][LAB_MAX_SEEDS] = memory_new(MAX_LRS * N_ARMS, sizeof *axes);
    plot_series series[MAX_LRS][N_ARMS];
    plot_panel panels[MAX_LRS];
    const char *labels[N_ARMS];
    char titles[MAX_LRS][48];
    if (!axes)
        return ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < x->n_lrs; k++) {
        for (size_t a = 0; a < N_ARMS; a++) {
            double(*at)[LAB_MAX_SEEDS] = axes[k * N_ARMS + a];
            for (size_t i = 0; i < x->l->n_seeds; i++)
                at[0][i] = (double)a, at[1][i] = gain(x, i, a, k, false);
            labels[a] = arms[a].name;
            series[k][a] = (plot_series){.name = labels[a], .x = at[0], .y = at[1], .n = x->l->n_seeds, .points_only = true};
        }
        snprintf(titles[k], sizeof titles[k], "%s, lr %g", sequence_family_name(x->l->family), x->lrs[k]);
        panels[k] = (plot_panel){.title = titles[k], .x_name = "pairs", .y_name = "gain in greedy answers right", .series = series[k],
                                 .n_series = N_ARMS, .x_labels = labels, .n_x_labels = N_ARMS};
    }
    agon_status s = lab_plot(x->l, "gains.svg", panels, x->n_lrs, x->n_lrs);
    free(axes);
    return s;
}

static agon_status report(const workshop *x, json_t **out) {
    json_t *list = json_array(), *compared = json_array(), *refiners = json_array(), *pairs = json_array(), *before = json_array();
    agon_status s = AGON_OK;
    for (size_t i = 0; i < N_ARMS * x->n_lrs && !s; i++) {
        json_t *one = NULL;
        s = arm_json(x, i / x->n_lrs, i % x->n_lrs, &one);
        json_array_append_new(list, one);
    }
    for (size_t i = 0; i < x->l->n_seeds && !s; i++) {
        json_t *one = NULL;
        s = refiner_json(x, i, &one);
        json_array_append_new(refiners, one);
        json_array_append_new(pairs, json_integer((json_int_t)x->usable[i]));
        json_array_append_new(before, json_pack("{s:f,s:f}", "greedy", x->before[i].greedy, "probability", x->before[i].likely));
    }
    for (size_t i = 0; i < N_CONTRASTS * x->n_lrs && !s; i++)
        json_array_append_new(compared, contrast_json(x, &contrasts[i / x->n_lrs], i % x->n_lrs));
    if (!s)
        s = draw(x);
    if (!s)
        *out = json_pack("{s:O,s:O,s:O,s:O,s:O}", "arms", list, "contrasts", compared, "refiner_by_seed", refiners, "pairs_by_seed", pairs,
                         "before_by_seed", before);
    json_decref(list), json_decref(compared), json_decref(refiners), json_decref(pairs), json_decref(before);
    return s;
}

/* ---- the experiment -------------------------------------------------------------------------------------------- */

static agon_status run(void *arg, json_t **out) {
    workshop *x = arg;
    lab *l = x->l;
    x->test = lab_take(l, x->n_test, sizeof *x->test);
    x->truths = lab_take(l, l->n_seeds * x->n_drafts, sizeof *x->truths);
    x->attempts = lab_take(l, l->n_seeds * N_ATTEMPTS * x->n_drafts, sizeof *x->attempts);
    x->usable = lab_take(l, l->n_seeds, sizeof *x->usable);
    x->before = lab_take(l, l->n_seeds, sizeof *x->before);
    x->after = lab_take(l, l->n_seeds * N_ARMS * x->n_lrs, sizeof *x->after);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_draw(l, l->ctx, lab_seed(l, 0, "test"), NULL, 0, x->n_test, x->test);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, l->n_seeds * N_ARMS * x->n_lrs, run_one, x);
    return s ? s : report(x, out);
}

/* A completion is a pass a token, about seven; what a refiner reads is twice as long. A pair is two rows, and two of the reference. */
static void plan(const void *arg, double *trained, double *asked) {
    const workshop *x = arg;
    const lab *l = x->l;
    double seeds = lab_rounds(l, l->n_seeds), runs = lab_rounds(l, l->n_seeds * N_ARMS * x->n_lrs);
    trained[0] = seeds * (double)l->n_corpus * (1 + x->mended) + runs * 2 * (double)(x->epochs * x->n_pairs);
    asked[0] = seeds * 7 * 6 * (double)x->n_drafts + (seeds + runs) * 8 * (double)x->n_test + runs * 2 * (double)x->n_pairs;
}

const experiment experiment_refine_pairs = {
    .name = "refine-pairs",
    .summary = "pairs of drafts and their refinements after a critique, beside pairs of drafts and retries",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(workshop),
    .options = take_options,
    .plan = plan,
    .run = run,
};

/* experiment: trust-or-escalate. What is a critic's word worth to the learner, and what does it cost to take it unchecked? A person labels `labels` of a
 * policy's samples; a critic scores all; it decides alone only where those labels show that its word is good (eval/selective.h, the loop's own rule:
 * Jung et al. 2024, Trust or Escalate; loop specification 3.7).
 *
 *   policy    a model from scratch whose training ends once the share `skill` of its samples is right (looked at 160 times on the way through its corpus)
 *   samples   one answer to each of `samples` sources, and to each of `labels` others, which the person labels, with mistakes in `human_error` of them
 *   critics   scores from two normal distributions, of right answers and of wrong ones, `separation` deviations apart (0: it knows nothing; its AUROC is
 *             Phi(separation / sqrt 2)); the logistic of a score less half the separation is what it says is P(right)
 *   arms      human      trained on the labelled answers that passed
 *             own        and on all other samples: no critic
 *             truth      and on those of them that are right: all there is to gain
 *             trusted    and on those the critic passes, at P(right) of 1/2 and more, from the confidence on that the labels earn it; none where they earn
 *                        none
 *             unchecked  and on those it passes at P(right) of 1/2 and more
 *   measure   the policy's probability of the right answer to held-out sources, before and after as many steps in each arm, and greedy answers
 *
 * A seed is a policy, its samples, its labels and its critics' scores; arms are compared within seeds. */
#include "base/ctx.h"
#include "eval/agreement.h"
#include "eval/selective.h"
#include "experiment/experiment.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"family\": \"sorting\", \"ladder\": [{\"width\": 32, \"layers\": 2}], \"corpus_items\": 160000,"
    "\"corpus_lr\": 0.003, \"skill\": 0.25, \"samples\": 4000, \"labels\": 400, \"human_error\": 0.02, \"separations\": [3, 1.5, 0.5, 0],"
    "\"alpha\": 0.15, \"delta\": 0.1, \"steps\": 400, \"batch\": 32, \"lr\": 0.0003, \"test_items\": 500}";

enum { MAX_CRITICS = 4, MIN_TESTED = 30, LOOKS = 160, LOOK_AT = 200 };
typedef enum base_arm { HUMAN, OWN, TRUTH, N_BASE } base_arm;
static const char *const base_names[N_BASE] = {"human", "own", "truth"};
enum { TRUSTED, UNCHECKED, N_OF_CRITIC, MAX_ARMS = N_BASE + N_OF_CRITIC * MAX_CRITICS };

/* Of one arm, as a stage: doubles only. */
typedef struct result {
    double likely, greedy;           /* after training */
    double n_rows, taken, taken_wrong; /* trained on; of the unlabelled samples: how many, and the share of these that is wrong (NAN: none) */
} result;
enum { N_FIGURES = sizeof(result) / sizeof(double) };

typedef struct bench {
    lab *l;
    size_t n_samples, n_labels, steps, batch, n_test, n_critics;
    double skill, human_error, separations[MAX_CRITICS], alpha, delta, lr;
    sequence_item *test;             /* [n_test] true statements, the same under every seed */
    sequence_item *sources, *answers; /* [n_seeds, n_labels + n_samples]: the labelled first; the policy's answers */
    result *before, *after;          /* [n_seeds]; [n_seeds, n_arms] */
} bench;

static size_t n_all(const bench *x) {
    return x->n_labels + x->n_samples;
}
static size_t n_arms(const bench *x) {
    return N_BASE + N_OF_CRITIC * x->n_critics;
}
static result *after(const bench *x, size_t seed, size_t arm) {
    return &x->after[seed * n_arms(x) + arm];
}

static void arm_name(const bench *x, size_t arm, char out[32]) {
    if (arm < N_BASE)
        snprintf(out, 32, "%s", base_names[arm]);
    else
        snprintf(out, 32, "%s %g", (arm - N_BASE) % N_OF_CRITIC == TRUSTED ? "trusted" : "unchecked", x->separations[(arm - N_BASE) / N_OF_CRITIC]);
}

static agon_status take_options(lab *l, void *arg) {
    bench *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"samples", 1, 1000000, &x->n_samples}, {"labels", 10, 1000000, &x->n_labels}, {"steps", 1, 1000000, &x->steps},
                               {"batch", 1, 4096, &x->batch}, {"test_items", 20, 1000000, &x->n_test}, {0}};
    const lab_fraction real[] = {{"skill", 0.01, 0.95, &x->skill}, {"human_error", 0, 0.49, &x->human_error}, {"alpha", 0.001, 0.5, &x->alpha},
                                 {"delta", 0.0001, 0.5, &x->delta}, {"lr", 1e-9, 1, &x->lr}, {0}};
    agon_status s = lab_options(l, whole, real);
    return s ? s : lab_reals(l, "separations", 0, 20, x->separations, MAX_CRITICS, &x->n_critics);
}

/* ---- people and critics ------------------------------------------------------------------------------------ */

static bool is_right(const bench *x, size_t seed, size_t i) {
    const sequence_item *answer = &x->answers[seed * n_all(x) + i];
    return sequence_verify(x->l->family, answer->tokens, answer->n);
}

/* What the person says of the labelled answers, [n_labels]. */
static void label(const bench *x, size_t seed, bool *passed) {
    rng r = rng_new(lab_seed(x->l, seed, "person"));
    for (size_t i = 0; i < x->n_labels; i++)
        passed[i] = is_right(x, seed, i) != (rng_uniform(&r) < x->human_error);
}

/* P(right) as the critic has it, of all answers, [n_labels + n_samples]. */
static void score(const bench *x, size_t seed, size_t critic, double *p) {
    rng r = rng_new(lab_seed(x->l, seed, "critic %zu", critic));
    const double separation = x->separations[critic];
    for (size_t i = 0; i < n_all(x); i++)
        p[i] = 1 / (1 + exp(-(rng_normal(&r) + (is_right(x, seed, i) ? 0.5 : -0.5) * separation)));
}

/* The confidence from which a pass is the critic's own; infinity: never. */
static agon_status earn(const bench *x, agon_ctx *ctx, const double *p, const bool *passed, double *from) {
    const size_t least = selective_least(x->alpha, x->delta);
    const selective_options o = {x->alpha, x->delta, least > MIN_TESTED ? least : MIN_TESTED};
    selective_result r;
    bool *error = malloc(x->n_labels * sizeof *error), *own = malloc(x->n_labels * sizeof *own);
    agon_status s = error && own ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_labels && !s; i++)
        error[i] = !passed[i], own[i] = p[i] >= 0.5;
    if (!s)
        s = selective_judge(ctx, p, error, x->n_labels, &o, &r);
    if (!s) {
        selective_own(p, error, own, x->n_labels, o.n_min, &r);
        *from = r.lambda;
    }
    free(error), free(own);
    return s;
}

/* Which of the unlabelled samples an arm is trained on: taken [n_samples]. */
static agon_status choose(const bench *x, agon_ctx *ctx, size_t seed, size_t arm, const bool *passed, bool *taken) {
    double *p = malloc(n_all(x) * sizeof *p), from = 0.5;
    agon_status s = p ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    const size_t critic = arm < N_BASE ? 0 : (arm - N_BASE) / N_OF_CRITIC;
    if (!s && arm >= N_BASE) {
        score(x, seed, critic, p);
        if ((arm - N_BASE) % N_OF_CRITIC == TRUSTED)
            s = earn(x, ctx, p, passed, &from);
    }
    for (size_t i = 0; i < x->n_samples && !s; i++)
        taken[i] = arm == OWN || (arm == TRUTH && is_right(x, seed, x->n_labels + i)) || (arm >= N_BASE && p[x->n_labels + i] >= from);
    free(p);
    return s;
}

/* ---- policies ---------------------------------------------------------------------------------------------- */

static agon_status measure(const bench *x, agon_ctx *ctx, const lab_model *m, result *out) {
    return lab_skill(x->l, ctx, m, x->test, x->n_test, &out->greedy, &out->likely);
}

typedef struct school {
    const bench *x;
    size_t seed;
    const lab_model *m;
    const sequence_item *sources; /* [LOOK_AT] */
    bool skilled;
} school;

/* Ends the training once the policy is skilled. */
static agon_status look(void *arg, agon_ctx *ctx, size_t mark) {
    school *s = arg;
    sequence_item answers[LOOK_AT];
    size_t n_right = 0;
    agon_status status = lab_complete(ctx, s->m, s->sources, LOOK_AT, 1, lab_seed(s->x->l, s->seed, "look %zu", mark), answers, NULL);
    for (size_t i = 0; i < LOOK_AT && !status; i++)
        n_right += sequence_verify(s->x->l->family, answers[i].tokens, answers[i].n);
    s->skilled = !status && (double)n_right >= s->x->skill * LOOK_AT;
    return s->skilled ? AGON_EINTERRUPTED : status;
}

static agon_status teach_policy(const bench *x, agon_ctx *ctx, size_t seed, const sequence_item *corpus, lab_model *m) {
    enum { BATCH = 32 };
    sequence_item sources[LOOK_AT];
    school look_at = {x, seed, m, sources, false};
    lab_rows rows = {0};
    const lab_training t = {.objective = "nll", .steps = x->l->n_corpus / BATCH, .batch = BATCH, .lr = x->l->corpus_lr, .seed = lab_seed(x->l, seed, "policy"),
                            .at_mark = look, .mark_arg = &look_at, .n_marks = LOOKS};
    agon_status s = lab_draw(x->l, ctx, lab_seed(x->l, seed, "looked at"), x->test, x->n_test, LOOK_AT, sources);
    if (!s)
        s = lab_documents(ctx, corpus, x->l->n_corpus, &rows);
    if (!s)
        s = lab_train(x->l, ctx, m, &rows, &t);
    lab_rows_free(&rows);
    if (!s && !look_at.skilled)
        s = ctx_fail(ctx, AGON_EINVAL, "seed %zu: after %zu items the policy is not right in %g of its samples; give a larger corpus_items or a lower skill",
                     (size_t)x->l->seed + seed, x->l->n_corpus, x->skill);
    return look_at.skilled ? AGON_OK : s;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    bench *x = arg;
    lab *l = x->l;
    sequence_item *corpus = NULL, *sources = x->sources + seed * n_all(x);
    double right = 0;
    agon_status s = lab_draw_corpus(l, ctx, seed, x->test, x->n_test, &corpus);
    if (!s)
        s = lab_model_new(ctx, &l->ladder[0], lab_seed(l, seed, "model"), &l->models[seed]);
    if (!s)
        s = teach_policy(x, ctx, seed, corpus, l->models[seed]);
    if (!s)
        s = lab_draw(l, ctx, lab_seed(l, seed, "sources"), x->test, x->n_test, n_all(x), sources);
    if (!s)
        s = lab_complete(ctx, l->models[seed], sources, n_all(x), 1, lab_seed(l, seed, "samples"), x->answers + seed * n_all(x), NULL);
    if (!s)
        s = measure(x, ctx, l->models[seed], &x->before[seed]);
    for (size_t i = 0; i < n_all(x) && !s; i++)
        right += is_right(x, seed, i) / (double)n_all(x);
    if (!s)
        lab_say_seed(l, seed, "policy: samples right %.3f, probability of the right answer %.3f, greedy answers right %.3f", right, x->before[seed].likely,
                     x->before[seed].greedy);
    free(corpus);
    return s;
}

/* Collects what the arm is trained on, items [n_labels + n_samples], and trains. */
static agon_status train_arm(const bench *x, agon_ctx *ctx, size_t seed, size_t arm, lab_model *m, result *out) {
    sequence_item *items = malloc(n_all(x) * sizeof *items);
    bool *passed = malloc(x->n_labels), *taken = malloc(x->n_samples);
    lab_rows rows = {0};
    size_t n = 0, n_wrong = 0, n_taken = 0;
    agon_status s = items && passed && taken ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s) {
        label(x, seed, passed);
        s = choose(x, ctx, seed, arm, passed, taken);
    }
    for (size_t i = 0; i < n_all(x) && !s; i++) {
        const bool unlabelled = i >= x->n_labels;
        if (!(unlabelled ? taken[i - x->n_labels] : passed[i]))
            continue;
        items[n++] = x->answers[seed * n_all(x) + i];
        n_taken += unlabelled;
        n_wrong += unlabelled && !is_right(x, seed, i);
    }
    if (!s && n == 0)
        s = ctx_fail(ctx, AGON_EINVAL, "seed %zu: the person passed none of %zu answers; ask for more labels, or a larger corpus", (size_t)x->l->seed + seed, x->n_labels);
    const lab_training t = {.objective = "sft", .steps = x->steps, .batch = x->batch < n ? x->batch : n, .lr = x->lr, .seed = lab_seed(x->l, seed, "order")};
    if (!s)
        s = lab_answers(ctx, items, n, NULL, &rows);
    if (!s)
        s = lab_train(x->l, ctx, m, &rows, &t);
    *out = (result){.n_rows = (double)n, .taken = (double)n_taken, .taken_wrong = n_taken ? (double)n_wrong / (double)n_taken : 0};
    lab_rows_free(&rows);
    free(items), free(passed), free(taken);
    return s ? s : measure(x, ctx, m, out);
}

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    bench *x = arg;
    const size_t seed = i / n_arms(x), arm = i % n_arms(x);
    result *r = after(x, seed, arm);
    lab_model *m = NULL;
    bool found = false;
    char key[48], name[32];
    arm_name(x, arm, name);
    snprintf(key, sizeof key, "arm %zu %zu", seed, arm);
    agon_status s = lab_recall(x->l, ctx, key, (double *)r, N_FIGURES, &found);
    if (s || found)
        return s;
    s = lab_model_copy(ctx, x->l->models[seed], &m);
    if (!s)
        s = train_arm(x, ctx, seed, arm, m, r);
    if (!s)
        s = lab_keep(x->l, ctx, key, (const double *)r, N_FIGURES);
    if (!s)
        lab_say_seed(x->l, seed, "%-13s took %4.0f samples, %.3f of them wrong; probability of the right answer %.3f", name, r->taken, r->taken_wrong, r->likely);
    lab_model_free(m);
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------------------ */

static double gain(const bench *x, size_t seed, size_t arm) {
    return after(x, seed, arm)->likely - x->before[seed].likely;
}

static json_t *arm_json(const bench *x, size_t arm) {
    double v[4][LAB_MAX_SEEDS];
    char name[32];
    size_t n_broken = 0, n_taking = 0;
    for (size_t i = 0; i < x->l->n_seeds; i++) {
        const result *r = after(x, i, arm);
        v[0][i] = gain(x, i, arm), v[1][i] = r->greedy - x->before[i].greedy, v[2][i] = r->taken / (double)x->n_samples, v[3][i] = r->taken_wrong;
        n_taking += r->taken > 0;
        n_broken += r->taken > 0 && r->taken_wrong > x->alpha;
    }
    arm_name(x, arm, name);
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:I}", "arm", name, "gain", lab_over_seeds(v[0], x->l->n_seeds), "greedy_gain", lab_over_seeds(v[1], x->l->n_seeds),
                     "taken", lab_over_seeds(v[2], x->l->n_seeds), "taken_wrong", lab_over_seeds(v[3], x->l->n_seeds), "seeds_that_took",
                     (json_int_t)n_taking, "seeds_above_alpha", (json_int_t)n_broken);
}

static json_t *contrast_json(const bench *x, size_t a, size_t b) {
    double v[LAB_MAX_SEEDS];
    char names[2][32];
    for (size_t i = 0; i < x->l->n_seeds; i++)
        v[i] = gain(x, i, a) - gain(x, i, b);
    const lab_estimate e = lab_estimate_of(v, x->l->n_seeds);
    const char *finding = lab_finding(e.low, e.high, "better", "worse");
    arm_name(x, a, names[0]), arm_name(x, b, names[1]);
    lab_say(x->l, "%s less %s: %+.3f [%+.3f, %+.3f] of probability (%s)", names[0], names[1], e.mean, e.low, e.high, finding);
    return json_pack("{s:s,s:s,s:s,s:o}", "arm", names[0], "against", names[1], "finding", finding, "difference", lab_over_seeds(v, x->l->n_seeds));
}

/* The critics as they were: AUROC on the unlabelled samples. */
static agon_status critic_json(const bench *x, size_t critic, json_t **out) {
    double *p = malloc(n_all(x) * sizeof *p), v[LAB_MAX_SEEDS];
    bool *right = malloc(n_all(x));
    agon_status s = p && right ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < x->l->n_seeds && !s; i++) {
        score(x, i, critic, p);
        for (size_t k = 0; k < n_all(x); k++)
            right[k] = is_right(x, i, k);
        s = auroc(x->l->ctx, p + x->n_labels, right + x->n_labels, x->n_samples, &v[i]);
    }
    if (!s)
        *out = json_pack("{s:f,s:o}", "separation", x->separations[critic], "auroc", lab_over_seeds(v, x->l->n_seeds));
    free(p), free(right);
    return s;
}

static agon_status report(const bench *x, json_t **out) {
    json_t *arms = json_array(), *compared = json_array(), *critics = json_array();
    double before[LAB_MAX_SEEDS];
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->l->n_seeds; i++)
        before[i] = x->before[i].likely;
    for (size_t a = 0; a < n_arms(x); a++)
        json_array_append_new(arms, arm_json(x, a));
    json_array_append_new(compared, contrast_json(x, TRUTH, HUMAN));
    json_array_append_new(compared, contrast_json(x, OWN, HUMAN));
    for (size_t c = 0; c < x->n_critics && !s; c++) {
        const size_t trusted = N_BASE + N_OF_CRITIC * c + TRUSTED, unchecked = N_BASE + N_OF_CRITIC * c + UNCHECKED;
        json_t *one = NULL;
        json_array_append_new(compared, contrast_json(x, trusted, HUMAN));
        json_array_append_new(compared, contrast_json(x, unchecked, HUMAN));
        json_array_append_new(compared, contrast_json(x, trusted, unchecked));
        s = critic_json(x, c, &one);
        json_array_append_new(critics, one);
    }
    if (!s)
        *out = json_pack("{s:o,s:O,s:O,s:O}", "before", lab_over_seeds(before, x->l->n_seeds), "arms", arms, "contrasts", compared, "critics", critics);
    json_decref(arms), json_decref(compared), json_decref(critics);
    return s || *out ? s : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
}

static agon_status run(void *arg, json_t **out) {
    bench *x = arg;
    lab *l = x->l;
    x->test = lab_take(l, x->n_test, sizeof *x->test);
    x->sources = lab_take(l, l->n_seeds * n_all(x), sizeof *x->sources);
    x->answers = lab_take(l, l->n_seeds * n_all(x), sizeof *x->answers);
    x->before = lab_take(l, l->n_seeds, sizeof *x->before);
    x->after = lab_take(l, l->n_seeds * n_arms(x), sizeof *x->after);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_draw(l, l->ctx, lab_seed(l, 0, "test"), NULL, 0, x->n_test, x->test);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, l->n_seeds * n_arms(x), run_one, x);
    return s ? s : report(x, out);
}

/* A completion is a pass a token, about seven. */
static void plan(const void *arg, double *trained, double *asked) {
    const bench *x = arg;
    const double seeds = lab_rounds(x->l, x->l->n_seeds), arms = lab_rounds(x->l, x->l->n_seeds * n_arms(x));
    trained[0] = seeds * (double)x->l->n_corpus + arms * (double)(x->steps * x->batch);
    asked[0] = seeds * 7 * (double)n_all(x) + (seeds + arms) * 8 * (double)x->n_test;
}

const experiment experiment_trust_or_escalate = {
    .name = "trust-or-escalate",
    .summary = "a learner taught by critics of known skill, where labels earned them trust and where nobody checked",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(bench),
    .options = take_options,
    .plan = plan,
    .run = run,
};

/* experiment: panacea-front. Does one adapter with a preference vector find the whole of a front that is known?
 *
 *   problem    contexts of three letters, answers of two; dimension i wants letters of its own in each place: r_i is the share of them that is
 *              right. J_i = E r_i - beta KL(policy || base). The letters are the model's whole vocabulary, so its answers can be listed and J is exact
 *   known      the best policy under lambda is base * exp(sum lambda_i r_i / beta) for every context; J_i are concave in the policy, so these
 *              are the whole front (Panacea, MODPO and the soups are measured against it)
 *   panacea    one SVD-LoRA for all vectors; exo-rw over all answers, whose loss of dimension i is (E under even answers) -J_i / beta;
 *              linear and Tchebycheff. And linear with dpo on pairs, where mixed losses are not mixed rewards: its optimum is near, not on, the front
 *   soup       one adapter a dimension (exo-rw, as many steps each as Panacea takes in all), their weights interpolated
 *   modpo      one adapter a vector (as many steps each), pairs of the heavier dimension, margins of the other; its optimum is on the front
 *   measure    scaled so that the known front goes from (0, 1) to (1, 0): hypervolume over (0, 0) as a share of the known front's at the same
 *              vectors, inner product, sparsity, spacing, rank correlation of weight and objective. Spec: training.md section 8
 *
 * Pairs are both orders of every two answers, weighted by how likely a rater who follows Bradley-Terry on r_i / beta prefers them so. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "eval/front.h"
#include "experiment/experiment.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"ladder\": [{\"width\": 32, \"layers\": 2}], \"contexts\": 24, \"letters\": 4, \"corpus_steps\": 300,"
    "\"corpus_lr\": 0.003, \"beta\": 0.25, \"rank\": 8, \"steps\": 2500, \"batch\": 16, \"vectors\": 4, \"lr\": 0.003, \"soup_lr\": 0.003,"
    "\"pair_lr\": 0.003}";

/* Vectors (1 - i/GRID, i/GRID). MODPO trains a policy for each of its own, so it has every 20th only. */
enum { GRID = 100, N_POINTS = GRID + 1, FEW = 20, MAX_CONTEXTS = 64, MAX_LETTERS = 8, MAX_ANSWERS = MAX_LETTERS * MAX_LETTERS,
       PROMPT = 3, ANSWER = 2, N_MODPO = GRID / FEW + 1 };

typedef enum method { KNOWN, LINEAR, TCHEBYCHEFF, LINEAR_DPO, SOUP, MODPO, N_METHODS } method;
static const char *const method_names[N_METHODS] = {"known", "panacea-linear", "panacea-tchebycheff", "panacea-linear-dpo", "soup", "modpo"};
/* Works of a seed: a training each but for the soup, which has one a dimension, and MODPO, which has one a vector. */
enum { N_WORKS = MODPO - LINEAR + N_MODPO };

typedef struct problem {
    int32_t wanted[MAX_CONTEXTS][2][2];             /* letter of context, dimension, place */
    double reference[MAX_CONTEXTS][MAX_ANSWERS];    /* the base's distribution over the answers */
} problem;

typedef struct measured {
    double j[2];
} measured;

typedef struct front {
    lab *l;
    size_t n_contexts, n_letters, n_answers, corpus_steps, rank, steps, batch, vectors;
    double beta, lr, soup_lr, pair_lr;
    problem *problems;   /* [n_seeds] */
    measured *points;    /* [n_seeds, N_METHODS, N_POINTS] */
} front;

static agon_status take_options(lab *l, void *arg) {
    front *x = arg;
    x->l = l;
    const lab_whole whole[] = {{"contexts", 2, MAX_CONTEXTS, &x->n_contexts},
                 {"letters", 2, MAX_LETTERS, &x->n_letters}, {"corpus_steps", 1, 1000000, &x->corpus_steps}, {"rank", 1, 64, &x->rank},
                 {"steps", 1, 1000000, &x->steps}, {"batch", 2, 4096, &x->batch}, {"vectors", 1, 1024, &x->vectors}, {0}};
    const lab_fraction real[] = {{"beta", 0.01, 10, &x->beta}, {"lr", 1e-9, 1, &x->lr}, {"soup_lr", 1e-9, 1, &x->soup_lr},
                                 {"pair_lr", 1e-9, 1, &x->pair_lr}, {0}};
    agon_status s = lab_options(l, whole, real);
    if (!s && x->batch % (2 * x->vectors) != 0)
        s = ctx_fail(l->ctx, AGON_EINVAL, "batch must be a multiple of twice the vectors");
    if (!s && x->n_contexts > x->n_letters * x->n_letters * x->n_letters)
        s = ctx_fail(l->ctx, AGON_EINVAL, "%zu letters make fewer than %zu contexts", x->n_letters, x->n_contexts);
    x->n_answers = x->n_letters * x->n_letters;
    return s;
}

/* ---- the problem, and its front -------------------------------------------------------------------------------- */

static void answer_tokens(const front *x, size_t k, int32_t out[ANSWER]) {
    out[0] = (int32_t)(k / x->n_letters);
    out[1] = (int32_t)(k % x->n_letters);
}

static void prompt_tokens(const front *x, size_t context, int32_t out[PROMPT]) {
    for (size_t i = 0; i < PROMPT; i++, context /= x->n_letters)
        out[i] = (int32_t)(context % x->n_letters);
}

static double reward(const front *x, const problem *p, size_t context, size_t dimension, size_t k) {
    int32_t letters[ANSWER];
    answer_tokens(x, k, letters);
    return 0.5 * ((letters[0] == p->wanted[context][dimension][0]) + (letters[1] == p->wanted[context][dimension][1]));
}

/* Adds a context's share of J under the policy [n_answers]. */
static void add_objectives(const front *x, const problem *p, size_t context, const double *policy, double j[2]) {
    double share = 1 / (double)x->n_contexts, kl = 0;
    for (size_t k = 0; k < x->n_answers; k++)
        kl += policy[k] > 0 ? policy[k] * log(policy[k] / p->reference[context][k]) : 0;
    for (size_t d = 0; d < 2; d++) {
        for (size_t k = 0; k < x->n_answers; k++)
            j[d] += share * policy[k] * reward(x, p, context, d, k);
        j[d] -= share * x->beta * kl;
    }
}

static void vector_at(size_t i, double out[2]) {
    out[1] = (double)i / GRID;
    out[0] = 1 - out[1];
}

static measured known_point(const front *x, const problem *p, const double lambda[2]) {
    measured out = {0};
    for (size_t c = 0; c < x->n_contexts; c++) {
        double policy[MAX_ANSWERS], sum = 0;
        for (size_t k = 0; k < x->n_answers; k++)
            sum += policy[k] = p->reference[c][k] *
                               exp((lambda[0] * reward(x, p, c, 0, k) + lambda[1] * reward(x, p, c, 1, k)) / x->beta);
        for (size_t k = 0; k < x->n_answers; k++)
            policy[k] /= sum;
        add_objectives(x, p, c, policy, out.j);
    }
    return out;
}

/* ---- asking a model: log_probs of all answers of a context ------------------------------------------------------- */

static agon_status ask(const front *x, agon_ctx *ctx, const model *m, workspace *w, const adapter *a, size_t context, double *log_probs) {
    segment segments[1 + MAX_ANSWERS];
    int32_t prompt[PROMPT], answers[MAX_ANSWERS][ANSWER];
    float log_prob[PROMPT + MAX_ANSWERS * ANSWER];
    prompt_tokens(x, context, prompt);
    segments[0] = (segment){.tokens = prompt, .n_tokens = PROMPT, .parent = -1, .adapter = a};
    for (size_t k = 0; k < x->n_answers; k++) {
        answer_tokens(x, k, answers[k]);
        segments[1 + k] = (segment){.tokens = answers[k], .n_tokens = ANSWER, .parent = 0, .adapter = a, .wants = WANT_LOG_PROB};
    }
    const segment_batch batch = {segments, 1 + x->n_answers};
    const token_channels out = {.log_prob = log_prob};
    agon_status s = model_forward(ctx, m, w, &batch, &out);
    for (size_t k = 0; k < x->n_answers && !s; k++) {
        log_probs[k] = 0;
        for (size_t t = 0; t < ANSWER; t++)
            log_probs[k] += (double)log_prob[PROMPT + k * ANSWER + t];
    }
    return s;
}

/* The distribution over the answers; they are all there is, so it sums to 1 but for rounding, which is taken out. */
static agon_status ask_policy(const front *x, agon_ctx *ctx, const model *m, workspace *w, const adapter *a, size_t context,
                              double *policy) {
    double sum = 0;
    agon_status s = ask(x, ctx, m, w, a, context, policy);
    for (size_t k = 0; k < x->n_answers && !s; k++)
        sum += policy[k] = exp(policy[k]);
    for (size_t k = 0; k < x->n_answers && !s; k++)
        policy[k] /= sum;
    return s;
}

static agon_status measure(const front *x, agon_ctx *ctx, const problem *p, const model *m, const adapter *a, measured *out) {
    workspace *w = NULL;
    double policy[MAX_ANSWERS];
    *out = (measured){0};
    agon_status s = workspace_new(ctx, 0, &w);
    for (size_t c = 0; c < x->n_contexts && !s; c++) {
        s = ask_policy(x, ctx, m, w, a, c, policy);
        if (!s)
            add_objectives(x, p, c, policy, out->j);
    }
    workspace_free(w);
    return s;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static train_response response_to(const front *x, lab_rows *r, size_t k, double given) {
    int32_t *tokens = arena_take(r->memory, ANSWER, sizeof *tokens);
    if (tokens)
        answer_tokens(x, k, tokens);
    return (train_response){.tokens = tokens, .n = ANSWER, .reward = given, .advantage = NAN, .label = NAN, .weight = 1};
}

/* A row of n answers with rewards [n]. */
static agon_status add_row(const front *x, agon_ctx *ctx, lab_rows *r, size_t context, size_t dimension, const size_t *answers,
                           const double *rewards, size_t n, double weight) {
    train_response *responses = arena_take(r->memory, n, sizeof *responses);
    int32_t *prompt = arena_take(r->memory, PROMPT, sizeof *prompt);
    for (size_t k = 0; k < n && responses; k++)
        responses[k] = response_to(x, r, answers[k], rewards[k]);
    if (!responses || !prompt || !responses[n - 1].tokens)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    prompt_tokens(x, context, prompt);
    r->rows[r->n++] = (train_row){.prompt = prompt, .n_prompt = PROMPT, .responses = responses, .n_responses = n, .weight = weight,
                                  .dimension = dimension};
    return AGON_OK;
}

/* All answers of a context with their rewards. */
static agon_status add_group(const front *x, agon_ctx *ctx, const problem *p, size_t context, size_t dimension, lab_rows *r) {
    size_t answers[MAX_ANSWERS];
    double rewards[MAX_ANSWERS];
    for (size_t k = 0; k < x->n_answers; k++)
        answers[k] = k, rewards[k] = reward(x, p, context, dimension, k);
    return add_row(x, ctx, r, context, dimension, answers, rewards, x->n_answers, 1);
}

/* Every two answers in both orders; the rewards given are the other dimension's, for MODPO's margins. */
static agon_status add_pairs(const front *x, agon_ctx *ctx, const problem *p, size_t context, size_t dimension, lab_rows *r) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->n_answers; i++)
        for (size_t k = 0; k < x->n_answers && !s; k++) {
            const size_t answers[2] = {i, k};
            const double given[2] = {reward(x, p, context, 1 - dimension, i) / x->beta, reward(x, p, context, 1 - dimension, k) / x->beta};
            double gap = (reward(x, p, context, dimension, i) - reward(x, p, context, dimension, k)) / x->beta;
            if (i != k)
                s = add_row(x, ctx, r, context, dimension, answers, given, 2, 1 / (1 + exp(-gap)));
        }
    return s;
}

/* Rows of the dimensions [first, end). */
static agon_status make_rows(const front *x, agon_ctx *ctx, const problem *p, bool pairs, size_t first, size_t end, lab_rows *out) {
    size_t each = pairs ? x->n_answers * (x->n_answers - 1) : 1;
    *out = (lab_rows){0};
    agon_status s = arena_new(ctx, 0, &out->memory);
    if (!s && !(out->rows = arena_take(out->memory, 2 * x->n_contexts * each, sizeof *out->rows)))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t d = first; d < end; d++)
        for (size_t c = 0; c < x->n_contexts && !s; c++)
            s = pairs ? add_pairs(x, ctx, p, c, d, out) : add_group(x, ctx, p, c, d, out);
    return s;
}

/* ---- the base: it gives any answer to any context, nearly alike --------------------------------------------------- */

static agon_status base_rows(const front *x, agon_ctx *ctx, lab_rows *out) {
    const double none = NAN;
    *out = (lab_rows){0};
    agon_status s = arena_new(ctx, 0, &out->memory);
    if (!s && !(out->rows = arena_take(out->memory, x->n_contexts * x->n_answers, sizeof *out->rows)))
        s = ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t c = 0; c < x->n_contexts; c++)
        for (size_t k = 0; k < x->n_answers && !s; k++)
            s = add_row(x, ctx, out, c, 0, &k, &none, 1, 1);
    return s;
}

static agon_status make_base(const front *x, agon_ctx *ctx, size_t nth) {
    uint64_t seed = lab_seed(x->l, nth, "model");
    size_t head_dim = 8, width = x->l->ladder[0].width;
    lab_model *base = calloc(1, sizeof *base);
    lab_rows rows = {0};
    const lab_training t = {.objective = "nll", .steps = x->corpus_steps, .batch = 64, .lr = x->l->corpus_lr, .seed = seed};
    if (!base)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    base->init = (model_init){.config = {.architecture = "llama", .n_layers = x->l->ladder[0].layers, .d_model = width,
                                         .n_heads = width / head_dim, .n_kv_heads = width / head_dim,
                                         .head_dim = head_dim, .d_ff = 3 * width, .n_vocabulary = x->n_letters, .max_context = 16,
                                         .norm_eps = 1e-5f, .rope_theta = 10000, .rope_scaling = "none", .tied_embeddings = true},
                              .seed = seed};
    agon_status s = model_random(ctx, &base->init, COMPUTE_F32, &base->m);
    if (!s)
        s = base_rows(x, ctx, &rows);
    if (!s)
        s = lab_train(x->l, ctx, base, &rows, &t);
    lab_rows_free(&rows);
    if (s)
        lab_model_free(base);
    else
        x->l->models[nth] = base;
    return s;
}

static agon_status prepare_seed(void *arg, agon_ctx *ctx, size_t seed) {
    front *x = arg;
    problem *p = &x->problems[seed];
    workspace *w = NULL;
    rng r = rng_new(lab_seed(x->l, seed, "wanted"));
    for (size_t c = 0; c < x->n_contexts; c++)
        for (size_t i = 0; i < 4; i++)
            p->wanted[c][i / 2][i % 2] = (int32_t)rng_below(&r, x->n_letters);
    agon_status s = make_base(x, ctx, seed);
    if (!s)
        s = workspace_new(ctx, 0, &w);
    for (size_t c = 0; c < x->n_contexts && !s; c++)
        s = ask_policy(x, ctx, x->l->models[seed]->m, w, NULL, c, p->reference[c]);
    for (size_t i = 0; i < N_POINTS && !s; i++) {
        double lambda[2];
        vector_at(i, lambda);
        x->points[(seed * N_METHODS + KNOWN) * N_POINTS + i] = known_point(x, p, lambda);
    }
    workspace_free(w);
    return s;
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

typedef struct plan_of_training {
    const char *objective, *settings[4]; /* NULL ends */
    size_t first, end;                   /* dimensions; both: one adapter for all vectors */
    aggregation aggregate;
} plan_of_training;

static agon_status on_step(void *arg, const train_progress *p) {
    const front *x = arg;
    (void)p;
    return atomic_load(&x->l->ctx->interrupted) ? AGON_EINTERRUPTED : AGON_OK;
}

/* Steps see the same number of tokens, or nearly: a group is as long as this many pairs. */
static size_t batch_rows(const front *x, bool pairs) {
    return pairs ? x->batch * ((PROMPT + ANSWER * x->n_answers) / (PROMPT + 2 * ANSWER)) : x->batch;
}

static agon_status train_adapter(const front *x, agon_ctx *ctx, size_t seed, model *m, const plan_of_training *t, adapter **out) {
    static const char *const names[2] = {"first", "second"};
    bool both = t->end - t->first == 2, pairs = strcmp(t->objective, "exo-rw") != 0;
    /* A slot a dimension comes on top of the rank, so plain adapters get two columns more. */
    const adapter_options o = {.rank = x->rank + (both ? 0 : 2), .alpha = (float)(2 * (x->rank + (both ? 0 : 2))), .dimensions = names,
                               .n_dimensions = both ? 2 : 0, .seed = lab_seed(x->l, seed, "adapter")};
    train_options options = train_options_default();
    lab_rows rows = {0};
    adapter *a = NULL;
    options.objective = objective_find(t->objective);
    objective_defaults(options.objective, options.objective_options);
    options.batch_rows = batch_rows(x, pairs);
    options.epochs = 0;
    options.max_steps = x->steps;
    options.lr = (float)(pairs ? x->pair_lr : both ? x->lr : x->soup_lr);
    options.seed = lab_seed(x->l, seed, "order");
    options.preferences.vectors = x->vectors;
    options.preferences.aggregate = t->aggregate;
    const train_sink sink = {.on_step = on_step, .arg = (void *)(uintptr_t)x};
    agon_status s = adapter_new(ctx, m, &o, &a);
    for (size_t i = 0; i < 4 && t->settings[i] && !s; i++)
        s = objective_set(ctx, options.objective, t->settings[i], options.objective_options);
    if (!s)
        s = make_rows(x, ctx, &x->problems[seed], pairs, t->first, t->end, &rows);
    if (!s)
        s = train(ctx, m, a, NULL, NULL, rows.rows, rows.n, &options, &sink, NULL);
    lab_rows_free(&rows);
    if (s)
        adapter_free(a);
    else
        *out = a;
    return s;
}

/* One adapter for every vector. */
static agon_status run_panacea(const front *x, agon_ctx *ctx, size_t seed, model *m, method which, measured *out) {
    char beta[48];
    adapter *a = NULL;
    bool dpo = which == LINEAR_DPO;
    decimal_print(beta, sizeof beta, "reward_beta=%.17g", x->beta);
    const plan_of_training t = {.objective = dpo ? "dpo" : "exo-rw", .settings = {"beta=1", dpo ? NULL : beta}, .end = 2,
                                .aggregate = which == TCHEBYCHEFF ? AGGREGATE_TCHEBYCHEFF : AGGREGATE_LINEAR};
    agon_status s = train_adapter(x, ctx, seed, m, &t, &a);
    for (size_t i = 0; i < N_POINTS && !s; i++) {
        double lambda[2];
        vector_at(i, lambda);
        s = adapter_set_preference(ctx, a, lambda, 2);
        if (!s)
            s = measure(x, ctx, &x->problems[seed], m, a, &out[i]);
    }
    adapter_free(a);
    return s;
}

static agon_status run_soup(const front *x, agon_ctx *ctx, size_t seed, model *m, measured *out) {
    char beta[48];
    adapter *members[2] = {NULL, NULL};
    agon_status s = AGON_OK;
    decimal_print(beta, sizeof beta, "reward_beta=%.17g", x->beta);
    for (size_t d = 0; d < 2 && !s; d++) {
        const plan_of_training t = {.objective = "exo-rw", .settings = {beta, "beta=1"}, .first = d, .end = d + 1};
        s = train_adapter(x, ctx, seed, m, &t, &members[d]);
    }
    for (size_t i = 0; i < N_POINTS && !s; i++) {
        double lambda[2];
        adapter *soup = NULL;
        vector_at(i, lambda);
        s = adapter_soup(ctx, m, (const adapter *const *)members, lambda, 2, &soup);
        if (!s)
            s = measure(x, ctx, &x->problems[seed], m, soup, &out[i]);
        adapter_free(soup);
    }
    adapter_free(members[0]);
    adapter_free(members[1]);
    return s;
}

/* One adapter for one vector, from the pairs of the dimension that weighs more. */
static agon_status run_modpo(const front *x, agon_ctx *ctx, size_t seed, model *m, size_t i, measured *out) {
    double lambda[2];
    char text[2][48];
    adapter *a = NULL;
    vector_at(i, lambda);
    size_t own = lambda[0] >= 0.5 ? 0 : 1;
    decimal_print(text[0], sizeof text[0], "own_weight=%.17g", lambda[own]);
    decimal_print(text[1], sizeof text[1], "other_weight=%.17g", lambda[1 - own]);
    const plan_of_training t = {.objective = "modpo", .settings = {"beta=1", text[0], text[1]}, .first = own, .end = own + 1};
    agon_status s = train_adapter(x, ctx, seed, m, &t, &a);
    if (!s)
        s = measure(x, ctx, &x->problems[seed], m, a, &out[i]);
    adapter_free(a);
    return s;
}

/* Numbers of a work as they are kept: those of all points of its method. */
enum { POINT_NUMBERS = sizeof(measured) / sizeof(double) };

static agon_status run_one(void *arg, agon_ctx *ctx, size_t i) {
    front *x = arg;
    size_t seed = i / N_WORKS, work = i % N_WORKS, modpo = work < MODPO - LINEAR ? 0 : (work - (MODPO - LINEAR)) * FEW;
    method which = work < MODPO - LINEAR ? (method)(LINEAR + work) : MODPO;
    measured *out = x->points + (seed * N_METHODS + which) * N_POINTS;
    size_t from = which == MODPO ? modpo : 0, n = (which == MODPO ? 1 : N_POINTS) * POINT_NUMBERS;
    lab_model *m = NULL;
    bool found = false;
    char key[64];
    snprintf(key, sizeof key, "%s %zu %zu", method_names[which], seed, modpo);
    agon_status s = lab_recall(x->l, ctx, key, (double *)&out[from], n, &found);
    if (s || found)
        return s;
    s = lab_model_copy(ctx, x->l->models[seed], &m);
    if (!s)
        s = which == MODPO  ? run_modpo(x, ctx, seed, m->m, modpo, out)
            : which == SOUP ? run_soup(x, ctx, seed, m->m, out)
                            : run_panacea(x, ctx, seed, m->m, which, out);
    if (!s)
        s = lab_keep(x->l, ctx, key, (double *)&out[from], n);
    if (!s)
        lab_say_seed(x->l, seed, "%s%s", method_names[which], which == MODPO ? " at one vector" : "");
    lab_model_free(m);
    return s;
}

/* ---- figures -------------------------------------------------------------------------------------------------------- */

/* Every step-th point of a method, the known front's ends at (1, 0) and (0, 1). Returns how many; vectors [n, 2] too. */
static size_t scaled(const front *x, size_t seed, method which, size_t step, double *vectors, double *points) {
    const measured *known = x->points + (seed * N_METHODS + KNOWN) * N_POINTS, *own = x->points + (seed * N_METHODS + which) * N_POINTS;
    size_t n = 0;
    for (size_t i = 0; i < N_POINTS; i += step, n++) {
        vector_at(i, vectors + 2 * n);
        for (size_t d = 0; d < 2; d++) {
            double best = known[d ? GRID : 0].j[d], least = known[d ? 0 : GRID].j[d];
            points[2 * n + d] = (own[i].j[d] - least) / (best - least);
        }
    }
    return n;
}

static agon_status share_of_volume(const front *x, size_t seed, method which, size_t step, double *out) {
    double vectors[2 * N_POINTS], points[2 * N_POINTS], found = 0, known = 0;
    const double corner[2] = {0, 0};
    size_t n = scaled(x, seed, which, step, vectors, points);
    agon_status s = front_hypervolume(x->l->ctx, points, n, 2, corner, &found);
    n = scaled(x, seed, KNOWN, step, vectors, points);
    if (!s)
        s = front_hypervolume(x->l->ctx, points, n, 2, corner, &known);
    *out = found / known;
    return s;
}

enum { SHARE, SHARE_FEW, INNER, SPARSITY, SPACING, FIRST_RANKS, SECOND_RANKS, N_FIGURES };
static const char *const figure_names[N_FIGURES] = {
    "hypervolume_share", "hypervolume_share_6_vectors", "inner_product", "sparsity", "spacing", "rank_correlation_first",
    "rank_correlation_second",
};

static agon_status figures_of(const front *x, size_t seed, method which, double *f) {
    double vectors[2 * N_POINTS], points[2 * N_POINTS], column[4][N_MODPO];
    agon_status s = share_of_volume(x, seed, which, which == MODPO ? FEW : 1, &f[SHARE]);
    if (!s)
        s = share_of_volume(x, seed, which, FEW, &f[SHARE_FEW]);
    size_t n = scaled(x, seed, which, FEW, vectors, points);
    if (!s)
        s = front_sparsity(x->l->ctx, points, n, 2, &f[SPARSITY]);
    f[INNER] = front_inner_product(vectors, points, n, 2);
    f[SPACING] = front_spacing(points, n, 2);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < 2; d++)
            column[d][i] = vectors[2 * i + d], column[2 + d][i] = points[2 * i + d];
    f[FIRST_RANKS] = rank_correlation(column[0], column[2], n);
    f[SECOND_RANKS] = rank_correlation(column[1], column[3], n);
    return s;
}

static agon_status report_method(const front *x, method which, json_t *list) {
    double *f = calloc(x->l->n_seeds * N_FIGURES, sizeof *f), *column = calloc(x->l->n_seeds, sizeof *column);
    double vectors[2 * N_POINTS], points[2 * N_POINTS];
    agon_status s = f && column ? AGON_OK : ctx_fail(x->l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t seed = 0; seed < x->l->n_seeds && !s; seed++)
        s = figures_of(x, seed, which, f + seed * N_FIGURES);
    json_t *o = json_pack("{s:s,s:i}", "method", method_names[which], "vectors", which == MODPO ? N_MODPO : N_POINTS);
    for (size_t k = 0; k < N_FIGURES && !s; k++) {
        for (size_t seed = 0; seed < x->l->n_seeds; seed++)
            column[seed] = f[seed * N_FIGURES + k];
        json_object_set_new(o, figure_names[k], lab_over_seeds(column, x->l->n_seeds));
    }
    if (!s) {
        json_t *first = json_array();
        size_t n = scaled(x, 0, which, FEW, vectors, points);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(first, json_pack("[o,o]", real_or_null(points[2 * i]), real_or_null(points[2 * i + 1])));
        json_object_set_new(o, "points_of_first_seed", first);
        json_array_append(list, o);
    }
    json_decref(o);
    free(f);
    free(column);
    return s;
}

/* The first seed's fronts. */
static agon_status draw(const front *x) {
    double vectors[2 * N_POINTS], points[2 * N_POINTS], axes[N_METHODS][2][N_POINTS];
    plot_series series[N_METHODS];
    for (size_t k = 0; k < N_METHODS; k++) {
        size_t n = scaled(x, 0, (method)k, k == KNOWN ? 1 : k == MODPO ? FEW : 10, vectors, points);
        for (size_t i = 0; i < n; i++)
            axes[k][0][i] = points[2 * i], axes[k][1][i] = points[2 * i + 1];
        series[k] = (plot_series){.name = method_names[k], .x = axes[k][0], .y = axes[k][1], .n = n, .points_only = k != KNOWN};
    }
    const plot_panel panel = {.title = "fronts, scaled to the known one (first seed)", .x_name = "first objective",
                              .y_name = "second objective", .series = series, .n_series = N_METHODS};
    agon_status s = lab_plot(x->l, "front.svg", &panel, 1, 1);
    return s;
}

static agon_status report(const front *x, json_t **result) {
    json_t *list = json_array();
    agon_status s = AGON_OK;
    for (size_t k = 0; k < N_METHODS && !s; k++)
        s = report_method(x, (method)k, list);
    if (!s)
        s = draw(x);
    if (!s)
        *result = json_pack("{s:O}", "methods", list);
    json_decref(list);
    return s;
}

static agon_status run(void *arg, json_t **result) {
    front *x = arg;
    lab *l = x->l;
    x->problems = lab_take(l, l->n_seeds, sizeof *x->problems);
    x->points = lab_take(l, l->n_seeds * N_METHODS * N_POINTS, sizeof *x->points);
    agon_status s = lab_taken(l);
    if (!s)
        s = lab_run(l, l->n_seeds, prepare_seed, x);
    if (!s)
        s = lab_run(l, l->n_seeds * N_WORKS, run_one, x);
    return s ? s : report(x, result);
}

/* In statements of the estimate, which are about ten tokens long. */
static void plan(const void *arg, double *trained, double *asked) {
    const front *x = arg;
    const lab *l = x->l;
    double seeds = (double)l->n_seeds, group = (PROMPT + ANSWER * (double)x->n_answers) / 10;
    trained[0] = seeds * (30 * (double)x->corpus_steps + (N_WORKS + 1) * (double)(x->steps * x->batch) * group);
    asked[0] = seeds * 4 * N_POINTS * (double)x->n_contexts * group;
}

const experiment experiment_panacea_front = {
    .name = "panacea-front",
    .summary = "one adapter for all preference vectors, soups and MODPO against a known front",
    .defaults = defaults,
    .n_sizes = 1,
    .size = sizeof(front),
    .options = take_options,
    .plan = plan,
    .run = run,
};

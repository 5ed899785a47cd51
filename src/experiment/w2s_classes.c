/* Weak-to-strong on classification: is the statement true? (Burns et al. 2023, 2312.09390; training.md section 6.)
 *
 *   weak       smallest model on half A with the truth; its P(true) on half B are the weak labels
 *   ceiling    strong model on half B with the truth: the largest of the ladder, or a language model of the user's (w2s_lm.c)
 *   students   on half B with weak labels, as they are or as a condition below makes them
 *   panel      specialists, the smallest model on one domain of half A each; a student learns from what they come to together: their majority,
 *              their mean, or votes weighed by the truth of the validation items, which nobody else is told. One generalist on all of half A,
 *              trained as long as they are in sum, says what the training alone is worth
 *
 * Every model but the generalist starts from the same weights of its size and takes the same number of steps, so that conditions with fewer items
 * differ in what they saw, not in how long they learnt. Works of one level are independent; each is a stage. */
#include "base/decimal.h"
#include "experiment/weak_to_strong.h"
#include "base/ctx.h"
#include "eval/votes.h"
#include "train/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum label_source { TRUTH_A, TRUTH_A_LONG, TRUTH_B, SPECIALIST, SOFT, HARD, CONFIDENT, RANDOM, MATCHED, SHUFFLED, BOOTSTRAP, GENERALIST, ENSEMBLE } label_source;
/* How labels of the specialists are made one. */
typedef enum fusion { FUSE_VOTES, FUSE_BEST, FUSE_MAJORITY, FUSE_MEAN, FUSE_ROUTE, N_FUSIONS } fusion;
typedef enum model_choice { SMALLEST, MIDDLE, STRONG } model_choice;

typedef struct condition {
    const char *name;
    label_source source;
    model_choice model;
    double share; /* CONFIDENT, RANDOM: of the labels kept; SPECIALIST: its domain; ENSEMBLE: its fusion */
    const char *objective, *settings[3];
} condition;

static const condition conditions[] = {
    {"weak", TRUTH_A, SMALLEST, 0, "classify", {0}},
    {"ceiling", TRUTH_B, STRONG, 0, "classify", {0}},
    {"specialist-0", SPECIALIST, SMALLEST, 0, "classify", {0}},
    {"specialist-1", SPECIALIST, SMALLEST, 1, "classify", {0}},
    {"specialist-2", SPECIALIST, SMALLEST, 2, "classify", {0}},
    {"generalist", TRUTH_A_LONG, SMALLEST, 0, "classify", {0}},
    /* the first level ends here: what follows needs its labels */
    {"naive", SOFT, STRONG, 0, "classify", {0}},
    {"naive-smallest", SOFT, SMALLEST, 0, "classify", {0}},
    {"naive-middle", SOFT, MIDDLE, 0, "classify", {0}},
    {"hard", HARD, STRONG, 0, "classify", {0}},
    {"aux-linear", SOFT, STRONG, 0, "aux-confidence", {"threshold=1", "schedule=0"}},
    {"aux-released", SOFT, STRONG, 0, "aux-confidence", {"threshold=2", "schedule=1", "warmup=0.1"}},
    {"confident-25", CONFIDENT, STRONG, 0.25, "classify", {0}},
    {"confident-50", CONFIDENT, STRONG, 0.5, "classify", {0}},
    {"confident-75", CONFIDENT, STRONG, 0.75, "classify", {0}},
    {"random-25", RANDOM, STRONG, 0.25, "classify", {0}},
    {"random-50", RANDOM, STRONG, 0.5, "classify", {0}},
    {"matched-flips", MATCHED, STRONG, 0, "classify", {0}},
    {"shuffled", SHUFFLED, STRONG, 0, "classify", {0}},
    {"bootstrap", BOOTSTRAP, STRONG, 0, "classify", {0}},
    {"ensemble", ENSEMBLE, STRONG, FUSE_VOTES, "classify", {0}},
    {"ensemble-majority", ENSEMBLE, STRONG, FUSE_MAJORITY, "classify", {0}},
    {"ensemble-mean", ENSEMBLE, STRONG, FUSE_MEAN, "classify", {0}},
    {"naive-generalist", GENERALIST, STRONG, 0, "classify", {0}},
};
enum { N_CONDITIONS = sizeof conditions / sizeof *conditions, WEAK = 0, CEILING = 1, PANEL = 2, LONG = PANEL + W2S_N_SPECIALISTS, N_FIRST };
_Static_assert((int)N_CONDITIONS <= (int)W2S_MAX_CONDITIONS, "too many conditions");

/* The labels of half B within a result, which is P(true) of all items [n_all]. */
static const double *on_b(const w2s_items *s, const double *p) {
    return p + (s->b - s->items);
}

/* ---- labels ------------------------------------------------------------------------------------------------ */

/* Labels and weights (0: left out) for the items a condition trains on, both [n_train]. */
typedef struct label_set {
    const sequence_item *items;
    double *labels, *weights;
    const double *weak; /* P(true) of all items by whoever supervises, [n_all]; NULL: the truth does */
} label_set;

/* The most confident of those of each class that the supervisor says. */
static agon_status keep_confident(agon_ctx *ctx, const double *weak, size_t n, double share, double *weights) {
    double *doubt = malloc(n * sizeof *doubt);
    int *said = malloc(n * sizeof *said);
    agon_status s = doubt && said ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        said[i] = weak[i] > 0.5;
        doubt[i] = -confidence_weight(weak[i]);
    }
    if (!s)
        s = w2s_keep_confident(ctx, said, doubt, n, 2, share, weights);
    free(doubt);
    free(said);
    return s;
}

/* Errors at the supervisor's rates of each true class, without its reasons. The truth is used for this control alone. */
static agon_status matched_flips(agon_ctx *ctx, uint64_t seed, const sequence_item *items, const double *weak, size_t n,
                                 double *labels) {
    int *given = malloc(3 * n * sizeof *given), *truth = given + n, *out = given + 2 * n;
    if (!given)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        given[i] = weak[i] > 0.5;
        truth[i] = items[i].truth;
    }
    agon_status s = noise_matched(ctx, seed, given, truth, n, 2, out);
    for (size_t i = 0; i < n && !s; i++)
        labels[i] = out[i];
    free(given);
    return s;
}

/* Shares of right answers of specialist e on each domain of the validation items, and over all of them (the last): the truth of these is what the votes are told
 * (the specification allows a part of it), and no other student is. */
static void competence(const w2s_grid *g, size_t seed, size_t family, size_t e, double out[SEQUENCE_N_DOMAINS + 1]) {
    const w2s_items *s = w2s_grid_items(g, seed, family);
    const double *p = w2s_grid_result(g, seed, family, PANEL + e);
    double right[SEQUENCE_N_DOMAINS + 1] = {0}, n[SEQUENCE_N_DOMAINS + 1] = {0};
    for (size_t i = 0; i < g->w->n_validation; i++) {
        const sequence_item *item = &s->validation[i];
        bool correct = (p[item - s->items] > 0.5) == item->truth;
        const int places[2] = {item->domain, SEQUENCE_N_DOMAINS};
        for (int k = 0; k < 2; k++) {
            right[places[k]] += correct;
            n[places[k]]++;
        }
    }
    for (int d = 0; d <= SEQUENCE_N_DOMAINS; d++)
        out[d] = n[d] > 0 ? right[d] / n[d] : 0.5;
}

static const char *const fusion_names[N_FUSIONS] = {"log_odds_votes", "best_single", "majority", "mean_probability", "routing"};

typedef struct panel {
    double c[W2S_N_SPECIALISTS][SEQUENCE_N_DOMAINS + 1];
    const double *p[W2S_N_SPECIALISTS];
} panel;

static panel panel_of(const w2s_grid *g, size_t seed, size_t family) {
    panel x;
    for (size_t e = 0; e < W2S_N_SPECIALISTS; e++) {
        competence(g, seed, family, e, x.c[e]);
        x.p[e] = w2s_grid_result(g, seed, family, PANEL + e);
    }
    return x;
}

static size_t most_competent(const panel *x, int domain) {
    size_t best = 0;
    for (size_t e = 1; e < W2S_N_SPECIALISTS; e++)
        best = x->c[e][domain] > x->c[best][domain] ? e : best;
    return best;
}

/* P(true) of an item by the specialists. Majority and mean ask for no truth; the others do, for competence. */
static double fuse(const panel *x, fusion how, const sequence_item *item, size_t at) {
    double accuracy[W2S_N_SPECIALISTS], votes[W2S_N_SPECIALISTS], p[W2S_N_SPECIALISTS][2], fused[2];
    for (size_t e = 0; e < W2S_N_SPECIALISTS; e++) {
        accuracy[e] = x->c[e][item->domain];
        p[e][0] = 1 - x->p[e][at], p[e][1] = x->p[e][at];
        votes[e] = x->p[e][at] > 0.5;
    }
    switch (how) {
    case FUSE_BEST:
        return x->p[most_competent(x, SEQUENCE_N_DOMAINS)][at];
    case FUSE_MAJORITY:
        w2s_majority(&p[0][0], W2S_N_SPECIALISTS, 2, fused);
        return fused[1];
    case FUSE_MEAN:
        w2s_mean(&p[0][0], W2S_N_SPECIALISTS, 2, fused);
        return fused[1];
    case FUSE_ROUTE:
        return x->p[most_competent(x, item->domain)][at];
    default:
        return votes_fuse(accuracy, votes, NULL, W2S_N_SPECIALISTS, 0.05).posterior;
    }
}

/* P(true) of all items by the supervisor of a condition, [n_all]: the weak model, the generalist, or the specialists together. */
static void supervise(const w2s_grid *g, size_t seed, size_t family, const condition *k, double *p) {
    const w2s_items *s = w2s_grid_items(g, seed, family);
    if (k->source == ENSEMBLE) {
        const panel x = panel_of(g, seed, family);
        for (size_t i = 0; i < g->w->n_all; i++)
            p[i] = fuse(&x, (fusion)k->share, &s->items[i], i);
    } else {
        memcpy(p, w2s_grid_result(g, seed, family, k->source == GENERALIST ? LONG : WEAK), g->w->n_all * sizeof *p);
    }
}

/* What a condition trains on; supervisor [n_all] is room for its P(true). */
static agon_status make_labels(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, const condition *k, double *supervisor, label_set *out) {
    const w2s *w = g->w;
    const w2s_items *s = w2s_grid_items(g, seed, family);
    const double *weak = on_b(s, supervisor);
    uint64_t draw = lab_seed(w->l, seed, "%s %zu", k->name, s->family);
    bool of_a = k->source == TRUTH_A || k->source == TRUTH_A_LONG || k->source == SPECIALIST, truth = of_a || k->source == TRUTH_B;
    out->items = of_a ? s->a : s->b;
    out->weak = truth ? NULL : supervisor;
    if (!truth)
        supervise(g, seed, family, k, supervisor);
    for (size_t i = 0; i < w->n_train; i++) {
        const sequence_item *item = &out->items[i];
        out->weights[i] = k->source == SPECIALIST ? item->domain == (int)k->share : 1;
        out->labels[i] = truth ? item->truth : k->source == HARD ? weak[i] > 0.5 : weak[i];
    }
    switch (k->source) {
    case CONFIDENT:
        return keep_confident(ctx, weak, w->n_train, k->share, out->weights);
    case RANDOM:
        return w2s_keep_random(ctx, draw, w->n_train, k->share, out->weights);
    case MATCHED:
        return matched_flips(ctx, draw, out->items, weak, w->n_train, out->labels);
    case SHUFFLED:
        w2s_shuffle(draw, out->labels, w->n_train, 1);
        return AGON_OK;
    default:
        return AGON_OK;
    }
}

/* ---- works ------------------------------------------------------------------------------------------------- */

/* The language model comes after the ladder's last. */
static size_t size_of(const w2s *w, model_choice m) {
    return m == SMALLEST ? 0 : m == MIDDLE ? w->l->n_sizes / 2 : w->language ? w->l->n_sizes : w->l->n_sizes - 1;
}

/* Bootstrapping goes from here to the strong model. */
static size_t first_step(const w2s *w) {
    return size_of(w, STRONG) > 0 ? 1 : 0;
}

/* Of a training, in that of the one supervisor. */
static size_t length_of(const condition *k) {
    return k->source == TRUTH_A_LONG ? W2S_N_SPECIALISTS : 1;
}

/* The best checkpoint so far by each rule of w2s_stop. */
typedef struct stopping {
    const w2s *w;
    const w2s_items *s;
    const lab_model *x;
    const double *weak;
    double best[W2S_N_STOPS], *p[W2S_N_STOPS], *now; /* each [n_all], of which test and validation are filled */
} stopping;

/* How well P(true) of the validation items fits: less the mean cross-entropy with the supervisor's soft labels, or the share that is right. */
static double fit_of(const stopping *x, w2s_stop rule) {
    double sum = 0;
    for (size_t i = 0; i < x->w->n_validation; i++) {
        const sequence_item *item = &x->s->validation[i];
        double p = fmin(fmax(x->now[item - x->s->items], 1e-6), 1 - 1e-6), q = x->weak[item - x->s->items];
        sum += rule == W2S_STOP_TRUTH ? (p > 0.5) == item->truth : q * log(p) + (1 - q) * log1p(-p);
    }
    return sum / (double)x->w->n_validation;
}

static agon_status at_epoch(void *arg, agon_ctx *ctx, size_t epoch) {
    stopping *x = arg;
    const w2s *w = x->w;
    agon_status s = lab_judge(ctx, x->x, x->s->test, w->n_test, x->now + (x->s->test - x->s->items));
    if (!s)
        s = lab_judge(ctx, x->x, x->s->validation, w->n_validation, x->now + (x->s->validation - x->s->items));
    for (int rule = 0; rule < W2S_N_STOPS && !s; rule++) {
        double fit = fit_of(x, (w2s_stop)rule);
        if (epoch > 0 && !(fit > x->best[rule]))
            continue; /* of equal ones the earliest */
        x->best[rule] = fit;
        memcpy(x->p[rule], x->now, w->n_all * sizeof *x->now);
    }
    return s;
}

/* A model of the ladder, judged by its class head, or by how much likelier it makes an answer than before it was taught. */
static agon_status learn_ladder(const w2s *w, agon_ctx *ctx, const lab_model *from, const w2s_items *s, const label_set *labels,
                                const lab_training *given, double *p) {
    lab_model *x = NULL;
    lab_rows rows = {0};
    lab_training t = *given;
    double *before = calloc(w->n_all, sizeof *before);
    stopping stop = {.w = w, .s = s, .weak = labels->weak, .p = {p + w->n_all, p + 2 * w->n_all}, .now = before};
    t.reference = w->language ? from->m : NULL;
    agon_status status = before ? lab_model_copy(ctx, from, &x) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!status)
        status = (w->language ? lab_labelled_answers : lab_labelled)(ctx, labels->items, w->n_train, labels->labels, labels->weights,
                                                                     &rows);
    stop.x = x;
    if (labels->weak && !w->language)
        t.at_mark = at_epoch, t.mark_arg = &stop, t.n_marks = w->epochs;
    if (!status)
        status = lab_train(w->l, ctx, x, &rows, &t);
    if (!status && !w->language)
        status = lab_judge(ctx, x, s->items, w->n_all, p);
    if (!status && w->language)
        status = lab_score(ctx, x, s->items, w->n_all, p);
    if (!status && w->language)
        status = lab_score(ctx, from, s->items, w->n_all, before);
    for (size_t i = 0; i < w->n_all && w->language && !status; i++)
        p[i] = 1 / (1 + exp(-w->likelihood * (p[i] - before[i])));
    lab_rows_free(&rows);
    lab_model_free(x);
    free(before);
    return status;
}

/* A model of this size on these labels; its P(true) of all items, of the language model those of the test; then at the checkpoints that the two
 * rules choose, where they were measured: p [1 + W2S_N_STOPS, n_all]. */
static agon_status learn(const w2s *w, agon_ctx *ctx, size_t seed, const w2s_items *s, size_t size, const condition *k,
                         const label_set *labels, double *p) {
    char alpha[32], likelihood[48];
    lab_training t = {.objective = k->objective, .steps = w->steps * length_of(k), .batch = w->batch, .lr = w->lr,
                      .seed = lab_seed(w->l, seed, "order %zu", s->family)};
    size_t n = 0;
    for (; n < 3 && k->settings[n]; n++)
        t.settings[n] = k->settings[n];
    decimal_print(alpha, sizeof alpha, "alpha=%.17g", w->alpha);
    decimal_print(likelihood, sizeof likelihood, "likelihood=%.17g", w->likelihood);
    if (strcmp(k->objective, "aux-confidence") == 0)
        t.settings[n++] = alpha;
    if (w->language)
        t.settings[n++] = likelihood;
    for (size_t i = w->n_all; i < (1 + W2S_N_STOPS) * w->n_all; i++)
        p[i] = NAN;
    return size == w->l->n_sizes ? w2s_lm_learn(w, ctx, s, labels->items, labels->labels, labels->weights, &t, p)
                              : learn_ladder(w, ctx, w2s_model(w, seed, size), s, labels, &t, p);
}

/* Bootstrapping: each size learns from the labels of the one before, on the same half B. */
static agon_status climb(const w2s *w, agon_ctx *ctx, size_t seed, const w2s_items *s, const condition *k, label_set *labels,
                         double *p) {
    agon_status status = AGON_OK;
    for (size_t size = first_step(w), last = size_of(w, STRONG); size <= last && !status; size++) {
        status = learn(w, ctx, seed, s, size, k, labels, p);
        memcpy(labels->labels, on_b(s, p), w->n_train * sizeof *labels->labels);
    }
    return status;
}

static agon_status train_condition(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, size_t number, double *p) {
    const w2s *w = g->w;
    const condition *k = &conditions[number];
    const w2s_items *s = w2s_grid_items(g, seed, family);
    double *room = malloc((w->n_all + 2 * w->n_train) * sizeof *room);
    if (!room)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    label_set labels = {.labels = room + w->n_all, .weights = room + w->n_all + w->n_train};
    agon_status status = make_labels(g, ctx, seed, family, k, room, &labels);
    if (!status)
        status = k->source == BOOTSTRAP ? climb(w, ctx, seed, s, k, &labels, p)
                                        : learn(w, ctx, seed, s, size_of(w, k->model), k, &labels, p);
    free(room);
    return status;
}

static const char *name_of(size_t condition) {
    return conditions[condition].name;
}

static bool right(const w2s_grid *g, size_t seed, size_t family, const double *p, size_t j) {
    const w2s_items *s = w2s_grid_items(g, seed, family);
    return (p[s->test + j - s->items] > 0.5) == s->test[j].truth;
}

/* ---- figures ----------------------------------------------------------------------------------------------- */

static double label_accuracy(const w2s *w, const w2s_items *s, const panel *x, fusion how) {
    size_t right = 0;
    for (size_t i = 0; i < w->n_train; i++)
        right += (fuse(x, how, &s->b[i], (size_t)(s->b + i - s->items)) > 0.5) == s->b[i].truth;
    return (double)right / (double)w->n_train;
}

static double weak_label_accuracy(const w2s *w, const w2s_items *s, const double *weak, const double *weights) {
    double right = 0, n = 0;
    for (size_t i = 0; i < w->n_train; i++) {
        right += weights[i] * ((weak[i] > 0.5) == s->b[i].truth);
        n += weights[i];
    }
    return n > 0 ? right / n : NAN;
}

/* Agreement of a student with its supervisor where that one is right and wrong, and the student's calibration, on the test items. */
static agon_status imitation_json(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, size_t condition, json_t **out) {
    const w2s *w = g->w;
    const w2s_items *s = w2s_grid_items(g, seed, family);
    const double *p = w2s_grid_result(g, seed, family, condition);
    int *all = malloc(3 * w->n_test * sizeof *all);
    double *confidence = malloc(w->n_test * sizeof *confidence), *weak = malloc(w->n_all * sizeof *weak);
    agon_status status = all && confidence && weak ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!status)
        supervise(g, seed, family, &conditions[condition], weak);
    for (size_t i = 0; i < w->n_test && !status; i++) {
        size_t at = (size_t)(s->test + i - s->items);
        all[i] = weak[at] > 0.5;
        all[w->n_test + i] = p[at] > 0.5;
        all[2 * w->n_test + i] = s->test[i].truth;
        confidence[i] = fmax(p[at], 1 - p[at]);
    }
    if (!status)
        status = w2s_imitation_json(ctx, conditions[condition].name, all, all + w->n_test, all + 2 * w->n_test, confidence, w->n_test, out);
    free(all);
    free(confidence);
    free(weak);
    return status;
}

static agon_status add_extra(const w2s_grid *g, size_t seed, size_t family, json_t *list) {
    const w2s *w = g->w;
    const w2s_items *s = w2s_grid_items(g, seed, family);
    const double *weak = on_b(s, w2s_grid_result(g, seed, family, WEAK));
    panel x = panel_of(g, seed, family);
    double *weights = malloc(w->n_train * sizeof *weights);
    json_t *fused = json_object(), *kept = json_object(), *imitations = json_array();
    agon_status status = weights ? AGON_OK : ctx_fail(w->l->ctx, AGON_ENOMEM, "out of memory");
    for (int f = 0; f < N_FUSIONS; f++)
        json_object_set_new(fused, fusion_names[f], json_real(label_accuracy(w, s, &x, (fusion)f)));
    for (size_t k = 0; k < N_CONDITIONS && !status; k++)
        if (conditions[k].source == CONFIDENT) {
            status = keep_confident(w->l->ctx, weak, w->n_train, conditions[k].share, weights);
            json_object_set_new(kept, conditions[k].name, real_or_null(weak_label_accuracy(w, s, weak, weights)));
        }
    for (size_t i = 0; i < w->n_train && !status; i++)
        weights[i] = 1;
    for (size_t k = N_FIRST; k < N_CONDITIONS && !status; k++) {
        json_t *one = NULL;
        if (!w2s_grid_result(g, seed, family, k))
            continue;
        status = imitation_json(g, w->l->ctx, seed, family, k, &one);
        json_array_append_new(imitations, one);
    }
    if (!status)
        json_array_append_new(list, json_pack("{s:I,s:f,s:f,s:O,s:O,s:O}", "seed", (json_int_t)seed, "weak_label_accuracy",
                                              weak_label_accuracy(w, s, weak, weights), "generalist_label_accuracy",
                                              weak_label_accuracy(w, s, on_b(s, w2s_grid_result(g, seed, family, LONG)), weights),
                                              "kept_label_accuracy", kept, "specialist_label_accuracy", fused, "students", imitations));
    json_decref(fused);
    json_decref(kept);
    json_decref(imitations);
    free(weights);
    return status;
}

void w2s_classes_works(const w2s *w, double *works) {
    for (size_t size = 0; size <= w->l->n_sizes; size++)
        works[size] = 0;
    for (size_t k = 0; k < N_CONDITIONS; k++) {
        size_t last = size_of(w, conditions[k].model);
        if (k >= N_FIRST && w2s_left_out(w->l, conditions[k].name))
            continue;
        for (size_t size = conditions[k].source == BOOTSTRAP ? first_step(w) : last; size <= last; size++)
            works[size] += (double)length_of(&conditions[k]);
    }
}

const char *w2s_classes_optional(size_t k) {
    return N_FIRST + k < N_CONDITIONS ? conditions[N_FIRST + k].name : NULL;
}

agon_status w2s_classes(w2s *w, const w2s_items *items, size_t n_families, w2s_scores *out) {
    w2s_grid g = {.w = w, .items = items, .kind = "classes", .about = "true or false", .student = w->lm ? w2s_lm_id(w->lm) : NULL, .n_families = n_families, .n_conditions = N_CONDITIONS,
                  .n_first = N_FIRST, .n_values = (1 + W2S_N_STOPS) * w->n_all, .stop_values = w->n_all, .weak = WEAK, .ceiling = CEILING, .name = name_of,
                  .train = train_condition, .right = right};
    agon_status s = w2s_grid_run(&g, out);
    for (size_t i = 0; i < n_families * w->l->n_seeds && !s; i++)
        s = add_extra(&g, i % w->l->n_seeds, i / w->l->n_seeds, out[i / w->l->n_seeds].extra);
    w2s_grid_free(&g);
    return s;
}

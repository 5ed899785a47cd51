/* experiment: weak-to-strong-rows. Weak-to-strong generalisation with the user's own two language models and labelled file (Burns et al. 2023,
 * 2312.09390; training.md section 6).
 *
 *   rows       each text once, classes evened out, dealt by the seed into the supervisor's part, the student's and the test
 *   weak       the weak model on the supervisor's part with the truth; its P(class) of the student's part, which it has not seen, are the weak labels
 *   ceiling    the strong model on the student's part with the truth
 *   students   the strong model there on the weak labels, as they are or as a condition below makes them; naive-weak: the weak model
 *   panel      the supervisor and two more like it, each with its own start and order: their majority or mean teaches a student, and knows no more
 *              truth than the supervisor's part has. One that is trained there as long as all three says what the training alone is worth
 *   untrained  the strong model as it is: what it says without any label
 *
 * Every student starts from the same weights and takes the same number of steps, so that conditions with fewer items differ in what they saw, not
 * in how long they learnt. The truth of the student's part is used for the ceiling and for the rates of matched-flips alone. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/decimal.h"
#include "experiment/experiment.h"
#include "experiment/w2s_rows.h"
#include "train/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"seed\": 1, \"seeds\": 1, \"data\": \"\", \"weak\": \"\", \"strong\": \"\", \"template\": \"{text}\\nAnswer:\", \"classes\": [], \"words\": [],"
    "\"parts\": [0.4, 0.4, 0.2], \"balance\": true, \"max_tokens\": 512, \"numerics\": \"portable\", \"rank\": 16, \"batch\": 32, \"weak_epochs\": 2,"
    "\"strong_epochs\": 2, \"weak_lr\": 0.0005, \"strong_lr\": 0.0005, \"alpha\": 0.5, \"draws\": 2000, \"leave_out\": []}";

/* Each seed is dealt and each condition trained by itself: more of either is trained beside those that are there. */
static const char *const aside[] = {"seeds", "leave_out", "draws", NULL};

enum { LEAST_TEST = 20 };
static const double least_gap = 0.05, most_of_one = 0.95; /* of what is said to be no experiment */

typedef enum who { WEAK_MODEL, STRONG_MODEL, N_MODELS } who;
static const char *const model_keys[N_MODELS] = {"weak", "strong"};

typedef struct own_rows {
    w2s w; /* l, n_test, draws, batch, alpha */
    double shares[W2S_N_PARTS], lr[N_MODELS];
    size_t max_tokens, rank, epochs[N_MODELS];
    bool balance;
    w2s_table table;
    w2s_reader *readers[N_MODELS];
    char identity[HASH_HEX_SIZE];
} own_rows;

typedef enum label_source { TRUTH, TRUTH_AGAIN, TRUTH_LONG, SOFT, HARD, CONFIDENT, RANDOM, MATCHED, SHUFFLED, MAJORITY, MEAN, LONG, UNTRAINED } label_source;

typedef struct condition {
    const char *name;
    label_source source;
    who model;
    w2s_part part;
    double share; /* CONFIDENT, RANDOM: of the labels kept */
    const char *objective, *settings[3];
} condition;

static const condition conditions[] = {
    {"weak", TRUTH, WEAK_MODEL, W2S_SUPERVISOR, 0, "choices", {0}},
    {"ceiling", TRUTH, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"weak-2", TRUTH_AGAIN, WEAK_MODEL, W2S_SUPERVISOR, 0, "choices", {0}},
    {"weak-3", TRUTH_AGAIN, WEAK_MODEL, W2S_SUPERVISOR, 0, "choices", {0}},
    {"weak-long", TRUTH_LONG, WEAK_MODEL, W2S_SUPERVISOR, 0, "choices", {0}},
    /* the first level ends here: what follows needs its labels */
    {"naive", SOFT, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"naive-weak", SOFT, WEAK_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"hard", HARD, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"aux-linear", SOFT, STRONG_MODEL, W2S_STUDENT, 0, "choices-confidence", {"threshold=1", "schedule=0"}},
    {"aux-released", SOFT, STRONG_MODEL, W2S_STUDENT, 0, "choices-confidence", {"threshold=2", "schedule=1", "warmup=0.1"}},
    {"confident-25", CONFIDENT, STRONG_MODEL, W2S_STUDENT, 0.25, "choices", {0}},
    {"confident-50", CONFIDENT, STRONG_MODEL, W2S_STUDENT, 0.5, "choices", {0}},
    {"confident-75", CONFIDENT, STRONG_MODEL, W2S_STUDENT, 0.75, "choices", {0}},
    {"random-25", RANDOM, STRONG_MODEL, W2S_STUDENT, 0.25, "choices", {0}},
    {"random-50", RANDOM, STRONG_MODEL, W2S_STUDENT, 0.5, "choices", {0}},
    {"matched-flips", MATCHED, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"shuffled", SHUFFLED, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"ensemble-majority", MAJORITY, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"ensemble-mean", MEAN, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"naive-long", LONG, STRONG_MODEL, W2S_STUDENT, 0, "choices", {0}},
    {"untrained", UNTRAINED, STRONG_MODEL, W2S_STUDENT, 0, NULL, {0}},
};
enum { N_CONDITIONS = sizeof conditions / sizeof *conditions, WEAK = 0, CEILING = 1, WEAK_2 = 2, WEAK_LONG = 4, N_FIRST, N_PANEL = 3 };
static const size_t panel[N_PANEL] = {WEAK, WEAK_2, WEAK_2 + 1};
_Static_assert((int)N_CONDITIONS <= (int)W2S_MAX_CONDITIONS, "too many conditions");

static bool needs_two_classes(const condition *k) {
    return k->objective && strcmp(k->objective, "choices-confidence") == 0;
}

/* Does a student learn from labels of this source? */
static bool teaches(const lab *l, label_source source) {
    for (size_t k = N_FIRST; k < N_CONDITIONS; k++)
        if (conditions[k].source == source && !w2s_left_out(l, conditions[k].name))
            return true;
    return false;
}

/* Further labellers are trained for their students. */
static bool is_trained(const own_rows *x, const condition *k) {
    const lab *l = x->w.l;
    if (k->source == TRUTH_AGAIN)
        return teaches(l, MAJORITY) || teaches(l, MEAN);
    if (k->source == TRUTH_LONG)
        return teaches(l, LONG);
    return (k->source == TRUTH || !w2s_left_out(l, k->name)) && (x->table.n_classes == 2 || !needs_two_classes(k));
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static agon_status take_parts(const lab *l, own_rows *x) {
    double given[W2S_N_PARTS];
    size_t n;
    agon_status s = lab_reals(l, "parts", 0.01, 0.98, given, W2S_N_PARTS, &n);
    if (!s && (n != W2S_N_PARTS || fabs(given[0] + given[1] + given[2] - 1) > 1e-6))
        s = ctx_fail(l->ctx, AGON_EINVAL, "parts are three shares that sum to 1: what trains the supervisor, what it labels for the student, the test");
    if (!s)
        x->shares[W2S_SUPERVISOR] = given[0], x->shares[W2S_STUDENT] = given[1], x->shares[W2S_TEST] = given[2];
    return s;
}

static agon_status take_options(lab *l, void *arg) {
    own_rows *x = arg;
    const char *known[N_CONDITIONS];
    const lab_whole wholes[] = {{"max_tokens", 8, 1000000, &x->max_tokens}, {"rank", 1, 1024, &x->rank}, {"batch", 32, 4096, &x->w.batch},
                                {"weak_epochs", 1, 1000, &x->epochs[WEAK_MODEL]}, {"strong_epochs", 1, 1000, &x->epochs[STRONG_MODEL]},
                                {"draws", 100, 1000000, &x->w.draws}, {0}};
    const lab_fraction reals[] = {{"weak_lr", 1e-9, 1, &x->lr[WEAK_MODEL]}, {"strong_lr", 1e-9, 1, &x->lr[STRONG_MODEL]},
                                  {"alpha", 0, 1, &x->w.alpha}, {0}};
    x->w.l = l;
    x->balance = json_is_true(json_object_get(l->settings, "balance"));
    agon_status s = lab_options(l, wholes, reals);
    if (!s)
        s = take_parts(l, x);
    if (!s)
        s = w2s_table_check(l);
    if (!s && !*json_string_value(json_object_get(l->settings, "weak")))
        s = ctx_fail(l->ctx, AGON_EINVAL, "weak is missing; name the supervisor's model, a GGUF file or a Hugging Face folder");
    for (size_t k = N_FIRST; k < N_CONDITIONS; k++)
        known[k - N_FIRST] = conditions[k].name;
    if (!s)
        s = w2s_check_left_out(l, known, N_CONDITIONS - N_FIRST);
    return s ? s : lab_numerics(l);
}

/* ---- models and rows ------------------------------------------------------------------------------------------- */

/* Rows that a model has no room for; one that is left out is left out for both. */
static agon_status drop_too_long(own_rows *x) {
    w2s_table *t = &x->table;
    bool *drop = calloc(t->n + 1, sizeof *drop);
    if (!drop)
        return ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < t->n; i++) {
        for (int m = 0; m < N_MODELS; m++) {
            size_t most = w2s_reader_context(x->readers[m]);
            drop[i] |= w2s_reader_length(x->readers[m], t->rows[i].at) > (most < x->max_tokens ? most : x->max_tokens);
        }
        t->n_too_long += drop[i];
    }
    w2s_table_drop(t, drop);
    free(drop);
    return AGON_OK;
}

static void close_all(own_rows *x) {
    for (int m = 0; m < N_MODELS; m++) {
        w2s_reader_free(x->readers[m]);
        x->readers[m] = NULL;
    }
    w2s_table_free(&x->table);
}

/* The file, then the models: what is wrong with the file is said first. */
static agon_status open_all(own_rows *x) {
    lab *l = x->w.l;
    w2s_table *t = &x->table;
    const size_t least[W2S_N_PARTS] = {LEAST_TEST, x->w.batch, x->w.batch};
    buffer id = {0};
    char hex[HASH_HEX_SIZE];
    agon_status s = w2s_table_read(l, t);
    for (int m = 0; m < N_MODELS && !s; m++)
        s = w2s_reader_open(l, model_keys[m], t, &x->readers[m]);
    if (!s)
        s = drop_too_long(x);
    if (!s)
        s = w2s_table_deal(t, l, x->balance, x->shares, least);
    if (s)
        return s;
    x->w.n_test = t->n_parts[W2S_TEST];
    hash_hex(&t->id, hex);
    buffer_printf(&id, "%s %s %s", w2s_reader_id(x->readers[WEAK_MODEL]), w2s_reader_id(x->readers[STRONG_MODEL]), hex);
    if (id.failed)
        return ctx_fail(l->ctx, AGON_ENOMEM, "out of memory");
    hash256 all = hash_bytes(id.data, id.size);
    hash_hex(&all, x->identity);
    buffer_free(&id);
    lab_say(l, "%zu rows of %zu classes: %zu train the supervisor, %zu are labelled by it, %zu test; left out: %zu repeated, %zu too long, %zu of larger "
            "classes", t->n, t->n_classes, t->n_parts[W2S_SUPERVISOR], t->n_parts[W2S_STUDENT], t->n_parts[W2S_TEST], t->n_repeated, t->n_too_long,
            t->n_majority);
    return AGON_OK;
}

/* ---- labels ---------------------------------------------------------------------------------------------------- */

/* A result: P(class) of the student's part, of the supervisor alone, then of the test. */
static const double *of_test(const own_rows *x, const double *result) {
    return result + x->table.n_parts[W2S_STUDENT] * x->table.n_classes;
}

/* What the controls know of the supervisor's labels [n] beside themselves. */
typedef struct weak_labels {
    int *said, *truth, *flipped; /* the last is scratch */
    double *doubt;
} weak_labels;

static agon_status weak_labels_new(const own_rows *x, agon_ctx *ctx, size_t seed, const double *weak, weak_labels *out) {
    const w2s_table *t = &x->table;
    const size_t n = t->n_parts[W2S_STUDENT], K = t->n_classes, *which = w2s_table_part(t, seed, W2S_STUDENT);
    int *all = malloc(3 * n * sizeof *all);
    *out = (weak_labels){.said = all, .doubt = malloc(n * sizeof *out->doubt)};
    if (!all || !out->doubt)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    out->truth = all + n, out->flipped = all + 2 * n;
    for (size_t i = 0; i < n; i++) {
        out->said[i] = (int)w2s_likeliest(weak + i * K, K);
        out->truth[i] = t->rows[which[i]].truth;
        out->doubt[i] = -weak[i * K + (size_t)out->said[i]];
    }
    return AGON_OK;
}

static void weak_labels_free(weak_labels *l) {
    free(l->said);
    free(l->doubt);
}

/* labels [n, classes]: all on one class of each. */
static void put_certain(const int *class, size_t n, size_t n_classes, double *labels) {
    for (size_t i = 0; i < n * n_classes; i++)
        labels[i] = (size_t)class[i / n_classes] == i % n_classes;
}

/* Of P(class) of n rows of the student's part and the test, from row `from` on, what supervises this condition says: the supervisor, all three of the panel,
 * or the one that was trained as long as they. p [n, classes]. */
static void supervise(const w2s_grid *g, size_t seed, const condition *k, size_t from, size_t n, double *p) {
    const own_rows *x = g->arg;
    const size_t K = x->table.n_classes;
    double said[N_PANEL * MAX_CLASSES];
    if (k->source != MAJORITY && k->source != MEAN) {
        memcpy(p, w2s_grid_result(g, seed, 0, k->source == LONG ? WEAK_LONG : WEAK) + from * K, n * K * sizeof *p);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; e < N_PANEL; e++)
            memcpy(said + e * K, w2s_grid_result(g, seed, 0, panel[e]) + (from + i) * K, K * sizeof *said);
        (k->source == MAJORITY ? w2s_majority : w2s_mean)(said, N_PANEL, K, p + i * K);
    }
}

/* What a student's condition makes of its supervisor's labels [n, classes], in place. */
static agon_status make_weak(const own_rows *x, agon_ctx *ctx, size_t seed, const condition *k, double *labels, double *weights) {
    const size_t n = x->table.n_parts[W2S_STUDENT], K = x->table.n_classes;
    const uint64_t draw = lab_seed(x->w.l, seed, "%s", k->name);
    weak_labels l;
    agon_status s = weak_labels_new(x, ctx, seed, labels, &l);
    if (!s && k->source == HARD)
        put_certain(l.said, n, K, labels);
    if (!s && k->source == CONFIDENT)
        s = w2s_keep_confident(ctx, l.said, l.doubt, n, K, k->share, weights);
    if (!s && k->source == RANDOM)
        s = w2s_keep_random(ctx, draw, n, k->share, weights);
    if (!s && k->source == SHUFFLED)
        w2s_shuffle(draw, labels, n, K);
    if (!s && k->source == MATCHED) {
        s = noise_matched(ctx, draw, l.said, l.truth, n, K, l.flipped);
        if (!s)
            put_certain(l.flipped, n, K, labels);
    }
    weak_labels_free(&l);
    return s;
}

/* ---- works ----------------------------------------------------------------------------------------------------- */

static size_t steps_of(const own_rows *x, const condition *k) {
    return (k->source == TRUTH_LONG ? N_PANEL : 1) * (x->epochs[k->model] * x->table.n_parts[k->part] / x->w.batch);
}

static bool knows_truth(const condition *k) {
    return k->source == TRUTH || k->source == TRUTH_AGAIN || k->source == TRUTH_LONG;
}

static agon_status learn(const own_rows *x, agon_ctx *ctx, size_t seed, const condition *k, const double *labels, const double *weights, adapter **out) {
    char alpha[32];
    lab_training how = {.objective = k->objective, .steps = steps_of(x, k), .batch = x->w.batch, .lr = x->lr[k->model],
                        .seed = k->source == TRUTH_AGAIN ? lab_seed(x->w.l, seed, "order %s", k->name) : lab_seed(x->w.l, seed, "order")};
    size_t n = 0;
    for (; n < 3 && k->settings[n]; n++)
        how.settings[n] = k->settings[n];
    decimal_print(alpha, sizeof alpha, "alpha=%.17g", x->w.alpha);
    if (needs_two_classes(k))
        how.settings[n] = alpha;
    return w2s_reader_learn(x->readers[k->model], x->w.l, ctx, &x->table, w2s_table_part(&x->table, seed, k->part), x->table.n_parts[k->part], labels,
                            weights, &how, x->rank, out);
}

static agon_status train_condition(const w2s_grid *g, agon_ctx *ctx, size_t seed, size_t family, size_t number, double *p) {
    const own_rows *x = g->arg;
    const w2s_table *t = &x->table;
    const condition *k = &conditions[number];
    const size_t n = t->n_parts[k->part], n_student = t->n_parts[W2S_STUDENT], K = t->n_classes;
    double *labels = malloc(n * K * sizeof *labels), *weights = malloc(n * sizeof *weights);
    adapter *a = NULL;
    (void)family;
    agon_status s = labels && weights ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++)
        weights[i] = 1;
    for (size_t i = 0; i < n_student * K; i++)
        p[i] = NAN;
    if (!s && !knows_truth(k) && k->source != UNTRAINED) {
        supervise(g, seed, k, 0, n_student, labels);
        s = make_weak(x, ctx, seed, k, labels, weights);
    }
    if (!s && k->source != UNTRAINED) /* rows have their truth */
        s = learn(x, ctx, seed, k, knows_truth(k) ? NULL : labels, weights, &a);
    if (!s && k->part == W2S_SUPERVISOR)
        s = w2s_reader_ask(x->readers[k->model], x->w.l, ctx, a, t, w2s_table_part(t, seed, W2S_STUDENT), n_student, p);
    if (!s)
        s = w2s_reader_ask(x->readers[k->model], x->w.l, ctx, a, t, w2s_table_part(t, seed, W2S_TEST), x->w.n_test, p + n_student * K);
    adapter_free(a);
    free(labels);
    free(weights);
    return s;
}

static const char *name_of(size_t number) {
    return conditions[number].name;
}

static bool applies(const w2s_grid *g, size_t number) {
    return is_trained(g->arg, &conditions[number]);
}

static bool right(const w2s_grid *g, size_t seed, size_t family, const double *result, size_t j) {
    const own_rows *x = g->arg;
    const size_t K = x->table.n_classes;
    (void)family;
    return (int)w2s_likeliest(of_test(x, result) + j * K, K) == x->table.rows[w2s_table_part(&x->table, seed, W2S_TEST)[j]].truth;
}

/* ---- figures --------------------------------------------------------------------------------------------------- */

/* Of the supervisor's labels of the student's part: the share that is right among those with a weight (NULL: all), and of each class. */
static double label_accuracy(const own_rows *x, const weak_labels *l, const double *weights) {
    double sum = 0, n = 0;
    for (size_t i = 0; i < x->table.n_parts[W2S_STUDENT]; i++) {
        double w = weights ? weights[i] : 1;
        sum += w * (l->said[i] == l->truth[i]);
        n += w;
    }
    return n > 0 ? sum / n : NAN;
}

static double share_of(const own_rows *x, const int *class, size_t c) {
    size_t n = 0;
    for (size_t i = 0; i < x->table.n_parts[W2S_STUDENT]; i++)
        n += class[i] == (int)c;
    return (double)n / (double)x->table.n_parts[W2S_STUDENT];
}

static double accuracy(const w2s_grid *g, size_t seed, size_t number) {
    const own_rows *x = g->arg;
    size_t n = 0;
    for (size_t j = 0; j < x->w.n_test; j++)
        n += right(g, seed, 0, w2s_grid_result(g, seed, 0, number), j);
    return (double)n / (double)x->w.n_test;
}

/* What makes this seed's figures mean little; "" where nothing does. */
static void warning_of(const w2s_grid *g, size_t seed, const weak_labels *l, char *text, size_t size) {
    const own_rows *x = g->arg;
    double gap = accuracy(g, seed, CEILING) - accuracy(g, seed, WEAK);
    *text = '\0';
    for (size_t c = 0; c < x->table.n_classes; c++)
        if (share_of(x, l->said, c) > most_of_one)
            snprintf(text, size, "the supervisor says '%s' of %.0f %% of the rows: such labels have little to teach", x->table.classes[c],
                     100 * share_of(x, l->said, c));
    if (!*text && gap < least_gap)
        snprintf(text, size, "the ceiling is %+.3f from the supervisor on the test: there is no gap of %.2f to recover, and PGR is noise", gap, least_gap);
}

static void warn(const w2s_grid *g) {
    const own_rows *x = g->arg;
    for (size_t seed = 0; seed < x->w.l->n_seeds; seed++) {
        char text[256] = "";
        weak_labels l = {0};
        if (!weak_labels_new(x, x->w.l->ctx, seed, w2s_grid_result(g, seed, 0, WEAK), &l))
            warning_of(g, seed, &l, text, sizeof text);
        if (*text)
            lab_say_seed(x->w.l, seed, "warning: %s", text);
        weak_labels_free(&l);
    }
}

static agon_status imitation_json(const w2s_grid *g, size_t seed, size_t number, json_t **out) {
    const own_rows *x = g->arg;
    const size_t n = x->w.n_test, K = x->table.n_classes, *which = w2s_table_part(&x->table, seed, W2S_TEST);
    const double *p = of_test(x, w2s_grid_result(g, seed, 0, number));
    int *all = malloc(3 * n * sizeof *all);
    double *confidence = malloc(n * sizeof *confidence), *weak = malloc(n * K * sizeof *weak);
    agon_status s = all && confidence && weak ? AGON_OK : ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory");
    if (!s)
        supervise(g, seed, &conditions[number], x->table.n_parts[W2S_STUDENT], n, weak);
    for (size_t i = 0; i < n && !s; i++) {
        all[i] = (int)w2s_likeliest(weak + i * K, K);
        all[n + i] = (int)w2s_likeliest(p + i * K, K);
        all[2 * n + i] = x->table.rows[which[i]].truth;
        confidence[i] = p[i * K + (size_t)all[n + i]];
    }
    if (!s)
        s = w2s_imitation_json(x->w.l->ctx, name_of(number), all, all + n, all + 2 * n, confidence, n, out);
    free(all);
    free(confidence);
    free(weak);
    return s;
}

/* Of the labels that supervise this condition, the share that is right. */
static agon_status supervised_accuracy(const w2s_grid *g, size_t seed, const condition *k, double *out) {
    const own_rows *x = g->arg;
    const size_t n = x->table.n_parts[W2S_STUDENT];
    double *p = malloc(n * x->table.n_classes * sizeof *p);
    weak_labels l = {0};
    if (!p)
        return ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory");
    supervise(g, seed, k, 0, n, p);
    agon_status s = weak_labels_new(x, x->w.l->ctx, seed, p, &l);
    if (!s)
        *out = label_accuracy(x, &l, NULL);
    weak_labels_free(&l);
    free(p);
    return s;
}

static agon_status add_extra(const w2s_grid *g, size_t seed, json_t *list) {
    const own_rows *x = g->arg;
    const size_t n = x->table.n_parts[W2S_STUDENT], K = x->table.n_classes;
    json_t *kept = json_object(), *shares = json_object(), *truth = json_object(), *students = json_array(), *panels = json_object();
    double *weights = malloc(n * sizeof *weights);
    char text[256] = "";
    weak_labels l = {0};
    agon_status s = weights ? weak_labels_new(x, x->w.l->ctx, seed, w2s_grid_result(g, seed, 0, WEAK), &l)
                            : ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory");
    for (size_t c = 0; c < K && !s; c++) {
        json_object_set_new(shares, x->table.classes[c], json_real(share_of(x, l.said, c)));
        json_object_set_new(truth, x->table.classes[c], json_real(share_of(x, l.truth, c)));
    }
    for (size_t k = N_FIRST; k < N_CONDITIONS && !s; k++) {
        json_t *one = NULL;
        if (conditions[k].source == CONFIDENT) {
            s = w2s_keep_confident(x->w.l->ctx, l.said, l.doubt, n, K, conditions[k].share, weights);
            json_object_set_new(kept, conditions[k].name, real_or_null(label_accuracy(x, &l, weights)));
        }
        if (!s && w2s_grid_result(g, seed, 0, k) && (conditions[k].source == MAJORITY || conditions[k].source == MEAN || conditions[k].source == LONG)) {
            double right = NAN;
            s = supervised_accuracy(g, seed, &conditions[k], &right);
            json_object_set_new(panels, conditions[k].name, real_or_null(right));
        }
        if (!s && w2s_grid_result(g, seed, 0, k)) {
            s = imitation_json(g, seed, k, &one);
            json_array_append_new(students, one);
        }
    }
    if (!s) {
        warning_of(g, seed, &l, text, sizeof text);
        json_array_append_new(list, json_pack("{s:I,s:f,s:O,s:O,s:O,s:O,s:O,s:o}", "seed", (json_int_t)(x->w.l->seed + seed), "weak_label_accuracy",
                                              label_accuracy(x, &l, NULL), "weak_label_shares", shares, "true_label_shares", truth,
                                              "kept_label_accuracy", kept, "panel_label_accuracy", panels, "students", students, "warning", json_text(*text ? text : NULL)));
    }
    weak_labels_free(&l);
    free(weights);
    json_decref(kept);
    json_decref(shares);
    json_decref(truth);
    json_decref(students);
    json_decref(panels);
    return s;
}

/* ---- the rows, as they were dealt and labelled ------------------------------------------------------------------- */

static json_t *probabilities_json(const w2s_table *t, const double *p) {
    json_t *all = json_object();
    for (size_t c = 0; c < t->n_classes; c++)
        json_object_set_new(all, t->classes[c], json_real(p[c]));
    return all;
}

/* What each model says of a test row. */
static json_t *answers_json(const w2s_grid *g, size_t seed, size_t j) {
    const own_rows *x = g->arg;
    const size_t K = x->table.n_classes;
    json_t *all = json_object();
    for (size_t k = 0; k < N_CONDITIONS; k++) {
        const double *result = w2s_grid_result(g, seed, 0, k);
        if (result)
            json_object_set_new(all, name_of(k), json_string(x->table.classes[w2s_likeliest(of_test(x, result) + j * K, K)]));
    }
    return all;
}

static agon_status write_rows(const w2s_grid *g) {
    static const char *const names[W2S_N_PARTS] = {"test", "supervisor", "student"};
    const own_rows *x = g->arg;
    const w2s_table *t = &x->table;
    buffer text = {0};
    for (size_t seed = 0; seed < x->w.l->n_seeds; seed++)
        for (int part = 0; part < W2S_N_PARTS; part++)
            for (size_t i = 0; i < t->n_parts[part]; i++) {
                const w2s_row *row = &t->rows[w2s_table_part(t, seed, (w2s_part)part)[i]];
                json_t *one = json_pack("{s:I,s:I,s:s,s:s}", "seed", (json_int_t)(x->w.l->seed + seed), "line", (json_int_t)row->line, "part", names[part],
                                        "label", t->classes[row->truth]);
                for (size_t k = 0; part == W2S_STUDENT && k < N_FIRST; k++) {
                    const double *result = w2s_grid_result(g, seed, 0, k);
                    if (result && conditions[k].part == W2S_SUPERVISOR)
                        json_object_set_new(one, name_of(k), probabilities_json(t, result + i * t->n_classes));
                }
                if (part == W2S_TEST)
                    json_object_set_new(one, "said", answers_json(g, seed, i));
                char *line = json_dumps(one, JSON_COMPACT | JSON_REAL_PRECISION(6));
                buffer_text(&text, line ? line : "");
                buffer_char(&text, '\n');
                text.failed |= !line;
                free(line);
                json_decref(one);
            }
    agon_status s = text.failed ? ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory") : lab_write(x->w.l, "rows.jsonl", text.data);
    buffer_free(&text);
    return s;
}

/* ---- the experiment ---------------------------------------------------------------------------------------------- */

static agon_status add_data(const own_rows *x, json_t *result) {
    const w2s_table *t = &x->table;
    json_t *classes = json_array();
    for (size_t c = 0; c < t->n_classes; c++)
        json_array_append_new(classes, json_string(t->classes[c]));
    json_t *left_out = json_pack("{s:I,s:I,s:I}", "repeated", (json_int_t)t->n_repeated, "too_long", (json_int_t)t->n_too_long, "majority",
                                 (json_int_t)t->n_majority);
    json_t *data = json_pack("{s:s,s:I,s:o,s:o,s:I,s:I,s:I}", "file", t->file.path, "rows", (json_int_t)t->n_read, "classes", classes, "left_out", left_out,
                             "supervisor", (json_int_t)t->n_parts[W2S_SUPERVISOR], "student", (json_int_t)t->n_parts[W2S_STUDENT], "test",
                             (json_int_t)t->n_parts[W2S_TEST]);
    json_t *models = json_pack("{s:s,s:s}", "weak", w2s_reader_id(x->readers[WEAK_MODEL]), "strong", w2s_reader_id(x->readers[STRONG_MODEL]));
    bool put = json_object_set_new(result, "data", data) == 0;
    put = json_object_set_new(result, "models", models) == 0 && put;
    return put ? AGON_OK : ctx_fail(x->w.l->ctx, AGON_ENOMEM, "out of memory");
}

static agon_status run_grid(own_rows *x, json_t **result) {
    const w2s_table *t = &x->table;
    const char *name = strrchr(t->file.path, '/') ? strrchr(t->file.path, '/') + 1 : t->file.path;
    w2s_scores scores = {0};
    w2s_grid g = {.w = &x->w, .task = name, .arg = x, .kind = "rows", .about = "which class", .student = x->identity, .n_families = 1,
                  .n_conditions = N_CONDITIONS, .n_first = N_FIRST, .n_values = (t->n_parts[W2S_STUDENT] + x->w.n_test) * t->n_classes, .weak = WEAK,
                  .ceiling = CEILING, .name = name_of, .train = train_condition, .right = right, .applies = applies, .between = warn};
    agon_status s = w2s_grid_run(&g, &scores);
    for (size_t seed = 0; seed < x->w.l->n_seeds && !s; seed++)
        s = add_extra(&g, seed, scores.extra);
    if (!s)
        s = write_rows(&g);
    if (!s)
        s = w2s_report(&x->w, &scores, 1, NULL, 0, result);
    if (!s)
        s = add_data(x, *result);
    w2s_scores_free(&scores);
    w2s_grid_free(&g);
    return s;
}

/* After `minutes`, which opened what is needed. */
static agon_status run(void *arg, json_t **result) {
    own_rows *x = arg;
    agon_status s = run_grid(x, result);
    close_all(x);
    return s;
}

typedef struct trial {
    const own_rows *x;
    double train[N_MODELS], ask[N_MODELS]; /* seconds of a row */
} trial;

static agon_status try_model(void *arg, agon_ctx *ctx, size_t m) {
    trial *y = arg;
    const w2s_table *t = &y->x->table;
    return w2s_reader_try(y->x->readers[m], y->x->w.l, ctx, t, w2s_table_part(t, 0, W2S_STUDENT), t->n_parts[W2S_STUDENT], y->x->rank, &y->train[m],
                          &y->ask[m]);
}

/* The model that takes more decides. */
static agon_status admit(const own_rows *x) {
    forecast f[N_MODELS];
    size_t peak[N_MODELS] = {0};
    agon_status s = AGON_OK;
    for (int m = 0; m < N_MODELS && !s; m++) {
        s = w2s_reader_forecast(x->readers[m], x->w.l, &x->table, x->rank, x->w.batch, &f[m]);
        if (!s)
            forecast_peak(&f[m], &peak[m]);
    }
    return s ? s : lab_admit(x->w.l, &f[peak[STRONG_MODEL] >= peak[WEAK_MODEL] ? STRONG_MODEL : WEAK_MODEL]);
}

static agon_status estimate(own_rows *x, double *out) {
    const w2s_table *t = &x->table;
    trial y = {.x = x};
    double seconds = 0;
    lab *l = x->w.l;
    agon_status s = admit(x);
    if (!s)
        s = lab_run(l, N_MODELS, try_model, &y);
    for (size_t k = 0; k < N_CONDITIONS && !s; k++) {
        const condition *c = &conditions[k];
        size_t asked = x->w.n_test + (c->part == W2S_SUPERVISOR ? t->n_parts[W2S_STUDENT] : 0);
        /* A pass forward more where the threshold sees the whole step first. */
        double trained = c->source == UNTRAINED ? 0 : (double)(steps_of(x, c) * x->w.batch);
        if (is_trained(x, c))
            seconds += trained * (y.train[c->model] + (needs_two_classes(c) ? y.ask[c->model] : 0)) + (double)asked * y.ask[c->model];
    }
    if (!s)
        *out = (double)l->n_seeds * seconds / 60 / l->ctx->n_threads;
    return s;
}

static agon_status minutes(void *arg, double *out) {
    own_rows *x = arg;
    agon_status s = open_all(x);
    if (!s)
        s = estimate(x, out);
    if (s || x->w.l->plan_only)
        close_all(x);
    return s;
}

const experiment experiment_weak_to_strong_rows = {
    .name = "weak-to-strong-rows",
    .summary = "weak-to-strong with a labelled file and two models of your own",
    .defaults = defaults,
    .aside = aside,
    .size = sizeof(own_rows),
    .options = take_options,
    .run = run,
    .minutes = minutes,
};

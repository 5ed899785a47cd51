/* agon data clean: the decision on planted flips, whole files on a tiny model, bad input. */
#include "recipe/clean_rows.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "eval/noise_rate.h"
#include "train/train.h"
#include "test.h"
#include "train/noise_rows.h"
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    model *m;
    char folder[64], from[96], noisy[96], truth[128], to[96], dropped[128];
    json_t *report;
    buffer text;
    size_t n_lines; /* of progress */
} world;

static int setup(void **state) {
    static world w;
    char path[2048];
    w = (world){.ctx = test_ctx(1, NULL)};
    golden_path(path, "tiny-text.gguf");
    assert_ok(w.ctx, model_open(w.ctx, path, COMPUTE_F32, &w.m));
    strcpy(w.folder, "/tmp/agon-clean-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.from, sizeof w.from, "%s/rows.jsonl", w.folder);
    snprintf(w.noisy, sizeof w.noisy, "%s/noisy.jsonl", w.folder);
    snprintf(w.truth, sizeof w.truth, "%s.truth", w.noisy);
    snprintf(w.to, sizeof w.to, "%s/out.jsonl", w.folder);
    snprintf(w.dropped, sizeof w.dropped, "%s.dropped", w.to);
    *state = &w;
    return 0;
}

static void forget(world *w) {
    json_decref(w->report);
    w->report = NULL;
    w->n_lines = 0;
    unlink(w->to), unlink(w->dropped);
}

static int teardown(void **state) {
    world *w = *state;
    forget(w);
    unlink(w->from), unlink(w->noisy), unlink(w->truth);
    rmdir(w->folder);
    buffer_free(&w->text);
    model_free(w->m);
    agon_ctx_free(w->ctx);
    return 0;
}

/* ---- the decision ------------------------------------------------------------------------------------------- */

enum { N = 1500 };

static double normal_of(rng *r, double mean) {
    return mean + rng_normal(r);
}

static void expect_quality(const clean_decision *d, const bool *noisy, double least) {
    flag_quality q = flags_measure(d->drop, noisy, N);
    if (!(q.precision >= least && q.recall >= least))
        fail_msg("precision %.3f, recall %.3f", q.precision, q.recall);
}

static void decide__finds_swapped_pairs(void **state) {
    agon_ctx *ctx = ((world *)*state)->ctx;
    static double good[N], useless[N];
    static bool noisy[N];
    static size_t fold[N];
    rng r = rng_new(2);
    for (size_t i = 0; i < N; i++) {
        noisy[i] = rng_uniform(&r) < 0.2;
        good[i] = 0.01 * normal_of(&r, noisy[i] ? -2 : 2); /* in any unit */
        useless[i] = normal_of(&r, 0);
        fold[i] = i % 4;
    }
    for (size_t k = 0; k < 2; k++) { /* whichever place the good judge has */
        clean_decision d;
        const clean_scores x = {.n = N, .kind = CLEAN_PAIRS, .judges = {k ? useless : good, k ? good : useless}, .fold = fold, .n_folds = 4};
        assert_ok(ctx, clean_decide(ctx, &x, NAN, &d));
        assert_int_equal(d.judge, k);
        assert_true(d.nats[k] < d.nats[!k]);
        assert_close(d.noise_rate, 0.2, 0.03);
        expect_quality(&d, noisy, 0.9);
        for (size_t i = 0; i < N; i++)
            assert_true(d.drop[i] == (d.p_right[i] < 0.5) && d.evidence[i] == good[i]);
        clean_decision_free(&d);
        assert_ok(ctx, clean_decide(ctx, &x, 0.1, &d)); /* at a rate: the least credible */
        assert_int_equal(d.n_drop, N / 10);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N && d.drop[i]; j++)
                assert_true(d.drop[j] || d.evidence[j] >= d.evidence[i]);
        clean_decision_free(&d);
    }
}

static void decide__finds_reversed_labels(void **state) {
    agon_ctx *ctx = ((world *)*state)->ctx;
    static double head[N], likelihood[N], labels[N];
    static bool noisy[N];
    static size_t fold[N];
    rng r = rng_new(3);
    for (size_t k = 0; k < 2; k++) {
        clean_decision d;
        for (size_t i = 0; i < N; i++) {
            bool truth = rng_uniform(&r) < 0.5;
            double sure = 0.7 + 0.28 * rng_uniform(&r), p = truth ? sure : 1 - sure;
            noisy[i] = rng_uniform(&r) < 0.2;
            labels[i] = truth != noisy[i];
            head[i] = k ? rng_uniform(&r) : p;
            likelihood[i] = k ? 0.01 * p : rng_uniform(&r); /* in order, but no probability: the map makes it one */
            fold[i] = i % 4;
        }
        const clean_scores x = {.n = N, .kind = CLEAN_LABELS, .judges = {head, likelihood}, .labels = labels, .fold = fold, .n_folds = 4};
        assert_ok(ctx, clean_decide(ctx, &x, NAN, &d));
        assert_int_equal(d.judge, k);
        assert_close(d.noise_rate, 0.2, 0.05);
        expect_quality(&d, noisy, 0.8);
        clean_decision_free(&d);
    }
}

/* Judges that know nothing find nothing, of few rows or many, even labels or not; a share that is stated goes all the same. */
static void decide__believes_no_judge_worse_than_a_coin(void **state) {
    agon_ctx *ctx = ((world *)*state)->ctx;
    static double head[N], likelihood[N], labels[N];
    static size_t fold[N];
    enum { FILES = 20 };
    rng r = rng_new(11);
    for (clean_kind kind = CLEAN_PAIRS; kind <= CLEAN_LABELS; kind++) {
        size_t believed = 0;
        for (size_t file = 0; file < FILES; file++) {
            clean_decision d;
            const clean_scores x = {.n = file % 2 ? N : 40, .kind = kind, .judges = {head, likelihood}, .labels = labels, .fold = fold, .n_folds = 4};
            for (size_t i = 0; i < x.n; i++) {
                labels[i] = rng_uniform(&r) < (file % 4 < 2 ? 0.5 : 0.85);
                head[i] = kind == CLEAN_PAIRS ? normal_of(&r, 0) : 0.1 + 0.8 * rng_uniform(&r);
                likelihood[i] = kind == CLEAN_PAIRS ? normal_of(&r, 0) : rng_uniform(&r);
                fold[i] = i % 4;
            }
            assert_ok(ctx, clean_decide(ctx, &x, NAN, &d));
            assert_true(d.believed ? d.noise_rate <= 0.45 : d.n_drop == 0 && isnan(d.noise_rate));
            assert_in_range(d.n_drop, 0, (size_t)(0.45 * (double)x.n));
            assert_true(d.ignorant_nats <= log(2));
            believed += d.believed;
            clean_decision_free(&d);
            assert_ok(ctx, clean_decide(ctx, &x, 0.1, &d));
            assert_int_equal(d.n_drop, x.n / 10);
            clean_decision_free(&d);
        }
        assert_in_range(believed, 0, 2); /* two standard errors: a few in a hundred */
    }
}

/* Answers say nothing that could be wrong: a share of the largest losses, or nothing. */
static void decide__drops_answers_at_a_rate_only(void **state) {
    agon_ctx *ctx = ((world *)*state)->ctx;
    const double log_probs[5] = {-1, -5, -2, -4, -3};
    clean_decision d;
    const clean_scores x = {.n = 5, .kind = CLEAN_ANSWERS, .judges = {log_probs}};
    assert_int_equal(clean_decide(ctx, &x, NAN, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "no label"));
    assert_ok(ctx, clean_decide(ctx, &x, 0.4, &d));
    assert_int_equal(d.n_drop, 2);
    assert_true(d.drop[1] && d.drop[3] && isnan(d.noise_rate) && isnan(d.p_right[0]));
    clean_decision_free(&d);
    assert_int_equal(clean_decide(ctx, &x, 1.5, &d), AGON_EINVAL);
}

/* A row that cannot be judged is named as its file has it. */
static void decide__names_the_row_by_line(void **state) {
    agon_ctx *ctx = ((world *)*state)->ctx;
    const double margins[3] = {1, NAN, 2};
    const size_t fold[3] = {0, 1, 2};
    const train_row rows[3] = {{.file = "pairs.jsonl", .line = 2}, {.file = "pairs.jsonl", .line = 7}, {.file = "pairs.jsonl", .line = 8}};
    clean_decision d;
    clean_scores x = {.n = 3, .kind = CLEAN_PAIRS, .judges = {margins, margins}, .fold = fold, .n_folds = 3, .rows = rows};
    assert_int_equal(clean_decide(ctx, &x, NAN, &d), AGON_ENUMERIC);
    assert_non_null(strstr(agon_error(ctx), "pairs.jsonl:7: "));
    x.rows = NULL;
    assert_int_equal(clean_decide(ctx, &x, NAN, &d), AGON_ENUMERIC);
    assert_non_null(strstr(agon_error(ctx), "row 2: "));
}

/* Rows of one prompt, as a text or as one message, are in one fold; the folds differ by the largest group at most. */
static void folds__keep_prompts_together(void **state) {
    world *w = *state;
    enum { ROWS = 90, PROMPTS = 30 };
    size_t fold[ROWS], again[ROWS], other[ROWS], filled[4] = {0};
    row_file f;
    buffer_clear(&w->text);
    for (size_t i = 0; i < ROWS; i++)
        buffer_printf(&w->text, i % 2 ? "{\"prompt\":\"q%zu\",\"completion\":\"a\"}\n"
                                      : "{\"prompt\":[{\"role\":\"user\",\"content\":\"q%zu\"}],\"completion\":\"a\"}\n", i % PROMPTS);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, row_file_read(w->ctx, w->from, &f));
    assert_ok(w->ctx, clean_folds(w->ctx, &f, 4, 1, fold));
    assert_ok(w->ctx, clean_folds(w->ctx, &f, 4, 1, again));
    assert_ok(w->ctx, clean_folds(w->ctx, &f, 4, 2, other));
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(fold[i], fold[i % PROMPTS]);
        filled[fold[i]]++;
    }
    for (size_t k = 0; k < 4; k++)
        assert_in_range(filled[k], ROWS / 4 - 3, ROWS / 4 + 3);
    assert_memory_equal(fold, again, sizeof fold);
    assert_memory_not_equal(fold, other, sizeof fold);
    row_file_free(&f);
    buffer_clear(&w->text); /* two texts without a prompt: answers that begin alike do not make it another */
    for (size_t i = 0; i < ROWS; i++)
        buffer_printf(&w->text, i % 2 ? "{\"chosen\":\"q%zu? Yes\",\"rejected\":\"q%zu? No\"}\n"
                                      : "{\"chosen\":\"q%zu? The one\",\"rejected\":\"q%zu? The other\"}\n", i % 15, i % 15);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, row_file_read(w->ctx, w->from, &f));
    assert_ok(w->ctx, clean_folds(w->ctx, &f, 4, 1, fold));
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(fold[i], fold[i % 15]);
    row_file_free(&f);
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static void on_line(void *arg, const char *text) {
    world *w = arg;
    if (w->n_lines++ == 0)
        assert_non_null(strstr(text, "folds: about"));
}

static clean_options options_of(world *w, const char *objective) {
    return (clean_options){.objective = objective_find(objective), .folds = 4, .rank = 4, .epochs = 3, .batch_rows = 8, .lr = 0.01,
                           .drop_rate = NAN, .on_line = on_line, .arg = w};
}

static agon_status clean(world *w, const char *from, const clean_options *o) {
    forget(w);
    return clean_file(w->ctx, w->m, from, w->to, o, &w->report);
}

/* w->text with a fifth of it made wrong. */
static void plant(world *w, const char *objective) {
    json_t *report = NULL;
    const noise_options o = {.objective = objective_find(objective), .rate = 0.2, .seed = 5};
    unlink(w->noisy), unlink(w->truth);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, noise_file(w->ctx, w->from, w->noisy, &o, &report));
    json_decref(report);
}

static char *read_back(world *w, const char *path) {
    char *text = NULL;
    size_t n;
    assert_ok(w->ctx, file_read(w->ctx, path, 1 << 22, &text, &n));
    return text;
}

static size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static double real(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void expect_found(world *w, size_t n, double least) {
    const json_t *q = json_object_get(w->report, "quality");
    char *out = read_back(w, w->to), *dropped = read_back(w, w->dropped), *where = NULL, *text = dropped;
    size_t n_dropped = (size_t)real(w->report, "n_dropped");
    double last = -INFINITY;
    if (!(real(q, "precision") >= least && real(q, "recall") >= least)) {
        char *r = json_dumps(w->report, 0);
        fail_msg("%s", r);
    }
    assert_int_equal(count_lines(out), n - n_dropped);
    assert_int_equal(count_lines(dropped), n_dropped);
    for (char *line = strtok_r(text, "\n", &where); line; line = strtok_r(NULL, "\n", &where)) {
        json_t *row = json_loads(line, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(row, "file")), w->noisy);
        assert_true(real(row, "line") >= 1 && real(row, "line") <= (double)n);
        assert_true(real(row, "p_right") < 0.5 && real(row, "margin") >= last && json_string_value(json_object_get(row, "why")));
        last = real(row, "margin");
        json_decref(row);
    }
    free(out);
    free(dropped);
}

static void put_pairs(world *w, size_t n) {
    buffer_clear(&w->text);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&w->text, "{\"prompt\":\"say %zu\",\"chosen\":\"good %zu\",\"rejected\":\"bad %zu\",\"id\":%zu}\n", i, i % 7, i % 5, i);
}

static void clean__finds_planted_swaps(void **state) {
    world *w = *state;
    enum { PAIRS = 120 };
    clean_options o = options_of(w, "dpo");
    o.truth = w->truth;
    put_pairs(w, PAIRS);
    plant(w, "dpo");
    assert_ok(w->ctx, clean(w, w->noisy, &o));
    expect_found(w, PAIRS, 0.8);
    assert_true(w->n_lines > 4);
    assert_close(real(w->report, "noise_rate"), 0.2, 0.1);
    /* The same bits again; the truth only measures. */
    char *first = read_back(w, w->to), *dropped = read_back(w, w->dropped);
    o.truth = NULL;
    w->n_lines = 0;
    assert_ok(w->ctx, clean(w, w->noisy, &o));
    assert_true(json_is_null(json_object_get(w->report, "quality")));
    char *again = read_back(w, w->to), *dropped_again = read_back(w, w->dropped);
    assert_string_equal(first, again);
    assert_string_equal(dropped, dropped_again);
    free(first), free(dropped), free(again), free(dropped_again);
    /* Soft: every row, with P(right) as its label. */
    o.soft = true;
    assert_ok(w->ctx, clean(w, w->noisy, &o));
    char *soft = read_back(w, w->to);
    assert_int_equal(count_lines(soft), PAIRS);
    json_t *row = json_loads(soft, JSON_DISABLE_EOF_CHECK, NULL);
    assert_true(json_is_real(json_object_get(row, "label")));
    assert_int_equal(real(row, "id"), 0);
    json_decref(row);
    free(soft);
    assert_int_equal(clean_file(w->ctx, w->m, w->noisy, w->to, &o, &w->report), AGON_EINVAL); /* never over a file */
}

/* Rows of weight 0 are trained on by nobody, so they are not judged, and go where they were. */
static void clean__passes_rows_without_weight_through(void **state) {
    world *w = *state;
    enum { PAIRS = 60 };
    clean_options o = options_of(w, "dpo");
    buffer without = {0};
    o.on_line = NULL;
    put_pairs(w, PAIRS);
    plant(w, "dpo");
    assert_ok(w->ctx, clean(w, w->noisy, &o));
    json_t *dropped = json_copy(json_object_get(w->report, "n_dropped")), *rate = json_copy(json_object_get(w->report, "noise_rate"));
    char *plain = read_back(w, w->to), *noisy = read_back(w, w->noisy), *where = NULL;
    size_t i = 0;
    for (char *line = strtok_r(noisy, "\n", &where); line; line = strtok_r(NULL, "\n", &where), i++) { /* before every fifth row, and an empty line */
        if (i % 5 == 0)
            buffer_printf(&without, "{\"prompt\":\"none %zu\",\"chosen\":\"bad %zu\",\"rejected\":\"good\",\"weight\":0,\"id\":%zu}\n\n", i, i, 1000 + i);
        buffer_printf(&without, "%s\n", line);
    }
    assert_ok(w->ctx, file_write(w->ctx, w->noisy, without.data, without.size));
    for (int soft = 0; soft < 2; soft++) {
        o.soft = soft;
        assert_ok(w->ctx, clean(w, w->noisy, &o));
        assert_true(json_equal(json_object_get(w->report, "n_dropped"), dropped) && json_equal(json_object_get(w->report, "noise_rate"), rate));
        assert_int_equal(real(w->report, "rows"), PAIRS + PAIRS / 5);
        assert_int_equal(real(w->report, "weightless"), PAIRS / 5);
        char *out = read_back(w, w->to);
        assert_int_equal(count_lines(out), PAIRS + PAIRS / 5 - (soft ? 0 : (size_t)json_number_value(dropped)));
        assert_int_equal(real(w->report, "written"), count_lines(out));
        size_t n_without = 0;
        for (char *line = strtok_r(out, "\n", &where); line; line = strtok_r(NULL, "\n", &where)) {
            json_t *row = json_loads(line, 0, NULL);
            bool weightless = real(row, "id") >= 1000;
            n_without += weightless;
            assert_true(weightless ? !json_object_get(row, "label") : !soft == (strstr(plain, line) != NULL));
            json_decref(row);
        }
        assert_int_equal(n_without, PAIRS / 5);
        free(out);
    }
    json_decref(dropped), json_decref(rate);
    free(plain), free(noisy);
    buffer_free(&without);
}

/* A third of the labels is wrong, and the judges learn them by heart: the decision is an early epoch's. */
static void clean__believes_the_best_epoch(void **state) {
    world *w = *state;
    enum { PAIRS = 80, EPOCHS = 8 };
    clean_options o = options_of(w, "dpo");
    rng r = rng_new(9);
    o.epochs = EPOCHS, o.lr = 0.02, o.rank = 16, o.batch_rows = 4;
    buffer_clear(&w->text);
    for (size_t i = 0; i < PAIRS; i++) {
        const bool swap = rng_uniform(&r) < 0.35;
        buffer_printf(&w->text, "{\"prompt\":\"say %zu\",\"chosen\":\"%s %zu\",\"rejected\":\"%s %zu\"}\n", i, swap ? "bad" : "good", i % 7,
                      swap ? "good" : "bad", i % 5);
    }
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, clean(w, w->from, &o));
    const json_t *nats = json_object_get(w->report, "nats_by_epoch");
    const size_t chosen = (size_t)real(w->report, "epoch") - 1;
    double judges[2], least = json_number_value(json_array_get(nats, chosen));
    assert_int_equal(json_array_size(nats), EPOCHS);
    assert_in_range(chosen, 0, EPOCHS - 2);
    for (size_t epoch = 0; epoch < EPOCHS; epoch++)
        assert_true(json_number_value(json_array_get(nats, epoch)) > least || epoch >= chosen);
    for (size_t k = 0; k < 2; k++)
        judges[k] = real(json_array_get(json_object_get(w->report, "judges"), k), "nats");
    assert_close(fmin(judges[0], judges[1]), least, 0);
}

static void clean__finds_planted_labels(void **state) {
    world *w = *state;
    enum { ROWS = 160 };
    clean_options o = options_of(w, "kto");
    o.truth = w->truth;
    buffer_clear(&w->text);
    for (size_t i = 0; i < ROWS; i++)
        buffer_printf(&w->text, "{\"prompt\":\"say %zu\",\"completion\":\"%s\",\"label\":%s}\n", i, i % 2 ? "good" : "bad", i % 2 ? "true" : "false");
    plant(w, "kto");
    assert_ok(w->ctx, clean(w, w->noisy, &o));
    expect_found(w, ROWS, 0.8);
    assert_string_equal(json_string_value(json_object_get(w->report, "kind")), "labels");
}

/* All labels are right and the answers do not tell which is which: nothing goes, and soft labels are those given. */
static void clean__drops_nothing_without_a_judge(void **state) {
    world *w = *state;
    enum { ROWS = 40 };
    clean_options o = options_of(w, "classify");
    rng r = rng_new(4);
    o.epochs = 1;
    buffer_clear(&w->text);
    for (size_t i = 0; i < ROWS; i++)
        buffer_printf(&w->text, "{\"prompt\":\"say %zu\",\"completion\":\"%zu\",\"label\":%s}\n", i, i % 7, rng_uniform(&r) < 0.5 ? "true" : "false");
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, clean(w, w->from, &o));
    assert_int_equal(real(w->report, "n_dropped"), 0);
    assert_int_equal(real(w->report, "written"), ROWS);
    assert_true(json_is_false(json_object_get(w->report, "believed")) && json_is_null(json_object_get(w->report, "noise_rate")));
    assert_true(real(w->report, "ignorant_nats") > 0.6);
    o.soft = true;
    assert_ok(w->ctx, clean(w, w->from, &o));
    char *given = read_back(w, w->from), *soft = read_back(w, w->to);
    json_t *was = json_loads(given, JSON_DISABLE_EOF_CHECK, NULL), *is = json_loads(soft, JSON_DISABLE_EOF_CHECK, NULL);
    assert_close(real(is, "label"), json_is_true(json_object_get(was, "label")), 0);
    json_decref(was), json_decref(is);
    free(given), free(soft);
}

static void clean__drops_unlikely_answers(void **state) {
    world *w = *state;
    clean_options o = options_of(w, "sft");
    buffer_clear(&w->text);
    for (size_t i = 0; i < 40; i++)
        buffer_printf(&w->text, "{\"prompt\":\"say %zu\",\"completion\":\"%s\"}\n", i, i % 10 ? "the cat sat" : "zq jx vk ww");
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_int_equal(clean(w, w->from, &o), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "state the share"));
    o.drop_rate = 0.1;
    assert_ok(w->ctx, clean(w, w->from, &o));
    char *out = read_back(w, w->to);
    assert_int_equal(count_lines(out), 36);
    assert_null(strstr(out, "zq"));
    assert_true(json_is_null(json_object_get(w->report, "noise_rate")));
    free(out);
}

static void clean__names_bad_input(void **state) {
    world *w = *state;
    const struct {
        const char *objective, *rows, *words;
    } cases[] = {
        {"dpo", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}\n{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"\"}\n", "rows.jsonl:2: rejected is empty"},
        {"dpo", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\",\"label\":0.7}\n", "rows.jsonl:1: label is a share"},
        {"kto", "{\"prompt\":\"a\",\"completion\":\"b\",\"label\":0.7}\n", "rows.jsonl:1: label must be true or false"},
        {"kto", "{\"prompt\":\"a\",\"completion\":\"b\"}\n", "rows.jsonl:1: label is missing"},
        {"dpo", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}\n", "1 different prompts cannot be divided into 4 folds"},
        {"grpo", "{\"prompt\":\"a\"}\n", "nothing to clean"},
        {"dpo", "", "there are no rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const clean_options o = options_of(w, cases[i].objective);
        assert_ok(w->ctx, file_write(w->ctx, w->from, cases[i].rows, strlen(cases[i].rows)));
        if (clean(w, w->from, &o) == AGON_OK || !strstr(agon_error(w->ctx), cases[i].words))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
        assert_int_not_equal(access(w->to, F_OK), 0);
    }
    clean_options o = options_of(w, "dpo");
    put_pairs(w, 8);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    assert_ok(w->ctx, file_write(w->ctx, w->truth, "{\"line\": 9}\n", 12));
    o.truth = w->truth;
    assert_int_equal(clean(w, w->from, &o), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "is this its truth?"));
    o.folds = 1;
    assert_int_equal(clean(w, w->from, &o), AGON_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decide__finds_swapped_pairs),  cmocka_unit_test(decide__finds_reversed_labels),
        cmocka_unit_test(decide__believes_no_judge_worse_than_a_coin), cmocka_unit_test(clean__drops_nothing_without_a_judge),
        cmocka_unit_test(decide__drops_answers_at_a_rate_only),
        cmocka_unit_test(decide__names_the_row_by_line), cmocka_unit_test(folds__keep_prompts_together),
        cmocka_unit_test(clean__finds_planted_swaps),
        cmocka_unit_test(clean__passes_rows_without_weight_through),
        cmocka_unit_test(clean__believes_the_best_epoch),
        cmocka_unit_test(clean__finds_planted_labels),  cmocka_unit_test(clean__drops_unlikely_answers),
        cmocka_unit_test(clean__names_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

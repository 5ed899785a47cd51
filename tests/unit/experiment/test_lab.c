/* The laboratory: options are checked, stages come back only whole and only under their settings, works do not depend on threads,
 * models learn. */
#include "experiment/lab.h"
#include "test.h"
#include <unistd.h>

typedef struct fixture {
    agon_ctx *ctx;
    char folder[64];
    lab l;
} fixture;

static fixture begin(int n_threads, const char *settings) {
    fixture f = {.ctx = test_ctx(n_threads, NULL), .folder = "/tmp/agon-lab-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    f.l = (lab){.ctx = f.ctx, .settings = json_loads(settings, 0, NULL)};
    return f;
}

static void end(fixture *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
    json_decref(f->l.settings);
    agon_ctx_free(f->ctx);
}

static json_t *yaml(fixture *f, const char *text, agon_status wanted) {
    char path[128];
    json_t *out = NULL;
    snprintf(path, sizeof path, "%s/x.yaml", f->folder);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    assert_int_equal(lab_read_yaml(f->ctx, path, &out), wanted);
    return out;
}

static void lab__reads_options(void **state) {
    (void)state;
    fixture f = begin(1, "{}");
    json_t *given = yaml(&f, "a: 3\nb: 1e-3\nc: [x, 'true', true]\nd: {e: text}\n", AGON_OK), *out = NULL;
    json_t *defaults = json_loads("{\"a\":1,\"b\":2.0,\"c\":[],\"d\":{\"e\":\"\",\"g\":4},\"h\":false}", 0, NULL);
    assert_ok(f.ctx, lab_settings(f.ctx, "x.yaml", defaults, given, &out));
    json_t *want = json_loads("{\"a\":3,\"b\":0.001,\"c\":[\"x\",\"true\",true],\"d\":{\"e\":\"text\",\"g\":4},\"h\":false}", 0, NULL);
    assert_true(json_equal(out, want));
    json_decref(out), json_decref(want), json_decref(given);
    given = yaml(&f, "aa: 3\n", AGON_OK);
    assert_int_equal(lab_settings(f.ctx, "x.yaml", defaults, given, &out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "did you mean a"));
    json_decref(given);
    given = yaml(&f, "d: {g: text}\n", AGON_OK);
    assert_int_equal(lab_settings(f.ctx, "x.yaml", defaults, given, &out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f.ctx), "g must be a whole number"));
    json_decref(given), json_decref(defaults);
    yaml(&f, "a: [1\n", AGON_EFORMAT);
    yaml(&f, "- 1\n", AGON_EFORMAT);
    yaml(&f, "a: 1\na: 2\n", AGON_EFORMAT);
    yaml(&f, "a: [[[[[[[[[[[1]]]]]]]]]]]\n", AGON_EFORMAT);
    given = yaml(&f, "a: &a [1, 2]\nb: [*a, *a]\n", AGON_OK); /* an alias is what it stands for */
    want = json_loads("{\"a\":[1,2],\"b\":[[1,2],[1,2]]}", 0, NULL);
    assert_true(json_equal(given, want));
    json_decref(given), json_decref(want);
    end(&f);
}

/* Aliases of aliases make 10^6 values of a few lines, or many copies of a long text: refused before they are made. */
static void lab__refuses_aliases_that_outgrow_their_file(void **state) {
    (void)state;
    fixture f = begin(1, "{}");
    yaml(&f, "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
             "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", AGON_EFORMAT);
    assert_non_null(strstr(agon_error(f.ctx), "aliases"));
    char *text = malloc(40000);
    size_t n = (size_t)sprintf(text, "a: &a '%020000d'\nb: [", 0);
    for (int i = 0; i < 1000; i++)
        n += (size_t)sprintf(text + n, "%s*a", i ? "," : "");
    sprintf(text + n, "]\n");
    yaml(&f, text, AGON_EFORMAT);
    assert_non_null(strstr(agon_error(f.ctx), "aliases"));
    free(text);
    end(&f);
}

static void lab__lists_are_checked(void **state) {
    (void)state;
    fixture f = begin(1, "{\"good\":[0,0.5,1],\"none\":[],\"many\":[0,0,0,0],\"high\":[0,2],\"text\":[0,\"0\"]}");
    const char *const bad[][2] = {{"none", "none has 0 numbers; it must be a list of 1 to 3"}, {"many", "many has 4 numbers"},
                                  {"absent", "absent has 0 numbers"}, {"high", "high[1] is 2; it must be from 0 to 1"},
                                  {"text", "text[1] is not a number"}};
    double x[3];
    size_t n = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(lab_reals(&f.l, bad[i][0], 0, 1, x, 3, &n), AGON_EINVAL);
        assert_non_null(strstr(agon_error(f.ctx), bad[i][1]));
        assert_int_equal(n, 7);
    }
    assert_ok(f.ctx, lab_reals(&f.l, "good", 0, 1, x, 3, &n));
    assert_true(n == 3 && x[0] == 0 && x[1] == 0.5 && x[2] == 1);
    end(&f);
}

static void keep_line(void *arg, const char *text) {
    snprintf(arg, 64, "%s", text);
}

static void lab__begins_with_the_options_there_are(void **state) {
    (void)state;
    char line[64] = "";
    fixture f = begin(1, "{\"seed\":7,\"seeds\":2,\"ladder\":[{\"width\":8,\"layers\":1},{\"width\":16,\"layers\":2}]}");
    lab *l = &f.l;
    assert_int_equal(lab_begin(l, 1), AGON_EINVAL); /* a ladder of two */
    lab_end(l);
    f.l = (lab){.ctx = f.ctx, .settings = f.l.settings, .output = f.folder, .say = keep_line, .arg = line};
    assert_ok(f.ctx, lab_begin(l, 2));
    assert_true(l->seed == 7 && l->n_seeds == 2 && l->n_sizes == 2 && l->ladder[1].width == 16 && l->n_corpus == 0);
    assert_ok(f.ctx, lab_model_new(f.ctx, &l->ladder[1], 1, &l->models[3])); /* freed with the lab, as what was taken is */
    const char *zeros = lab_take(l, 3, 1);
    assert_ok(f.ctx, lab_taken(l));
    assert_true(!zeros[0] && !zeros[1] && !zeros[2]);
    assert_null(lab_take(l, SIZE_MAX / 4, 8));
    assert_int_equal(lab_taken(l), AGON_ENOMEM);
    assert_true(lab_seed(l, 1, "pair %d", 3) == seed_derive(8, "pair 3")); /* published figures hang on it */
    assert_ok(f.ctx, lab_open(l));
    lab_say_seed(l, 1, "said %d", 3);
    assert_string_equal(line, "seed 8  said 3");
    lab_close(l);
    lab_end(l);
    end(&f);
}

static void lab__stages_come_back_whole_or_not(void **state) {
    (void)state;
    fixture f = begin(1, "{\"x\": 1}");
    const double x[] = {1, -0.0, 3.5};
    double y[3] = {0};
    bool found = true;
    char command[160];
    f.l.output = f.folder;
    assert_ok(f.ctx, lab_open(&f.l));
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "k", y, 3, &found));
    assert_false(found);
    assert_ok(f.ctx, lab_keep(&f.l, f.ctx, "k", x, 3));
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "k", y, 3, &found));
    assert_true(found);
    assert_memory_equal(x, y, sizeof x);
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "other", y, 3, &found));
    assert_false(found);
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "k", y, 2, &found));
    assert_false(found);
    lab other = f.l;
    other.settings = json_loads("{\"x\": 2}", 0, NULL);
    assert_ok(f.ctx, lab_open(&other));
    assert_ok(f.ctx, lab_recall(&other, f.ctx, "k", y, 3, &found));
    assert_false(found);
    json_decref(other.settings);
    lab_close(&other);
    const char *const aside[] = {"seeds", NULL};
    other.settings = json_loads("{\"x\": 1, \"seeds\": 3}", 0, NULL); /* which f has not, but no stage depends on it */
    other.aside = aside;
    assert_ok(f.ctx, lab_open(&other));
    assert_ok(f.ctx, lab_recall(&other, f.ctx, "k", y, 3, &found));
    assert_true(found);
    assert_int_equal(json_object_size(other.settings), 2);
    json_decref(other.settings);
    lab_close(&other);
    /* Bytes, as many as there are; a stage of numbers is none of bytes, and the other way round. */
    char *bytes;
    size_t n;
    assert_ok(f.ctx, lab_keep_bytes(&f.l, f.ctx, "b", "first", 5));
    assert_ok(f.ctx, lab_keep_bytes(&f.l, f.ctx, "b", "ab\0c", 4));
    assert_ok(f.ctx, lab_recall_bytes(&f.l, f.ctx, "b", &bytes, &n));
    assert_int_equal(n, 4);
    assert_memory_equal(bytes, "ab\0c", 4);
    free(bytes);
    assert_ok(f.ctx, lab_recall_bytes(&f.l, f.ctx, "k", &bytes, &n));
    assert_null(bytes);
    assert_ok(f.ctx, lab_keep_bytes(&f.l, f.ctx, "c", x, sizeof x));
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "c", y, 3, &found));
    assert_false(found);
    snprintf(command, sizeof command, "for f in %s/stages/*; do printf x | dd of=$f bs=1 seek=20 conv=notrunc 2>/dev/null; done", f.folder);
    assert_int_equal(system(command), 0);
    assert_ok(f.ctx, lab_recall(&f.l, f.ctx, "k", y, 3, &found));
    assert_false(found);
    assert_ok(f.ctx, lab_recall_bytes(&f.l, f.ctx, "c", &bytes, &n));
    assert_null(bytes);
    lab_close(&f.l);
    end(&f);
}

static agon_status fails_at_three(void *arg, agon_ctx *ctx, size_t i) {
    int *done = arg;
    done[i] = 1;
    if (i == 3 || i == 5) {
        json_t *t = NULL;
        char name[32];
        snprintf(name, sizeof name, "/nowhere/%zu", i);
        return lab_read_yaml(ctx, name, &t);
    }
    return AGON_OK;
}

static void lab__first_failure_is_the_smallest(void **state) {
    (void)state;
    for (int n_threads = 1; n_threads < 4; n_threads++) {
        fixture f = begin(n_threads, "{}");
        int done[8] = {0};
        f.l.output = f.folder;
        assert_int_equal(lab_run(&f.l, 8, fails_at_three, done), AGON_ENOTFOUND);
        for (int i = 0; i < 8; i++)
            assert_true(done[i]);
        end(&f);
    }
}

static agon_status note_forced(void *arg, agon_ctx *ctx, size_t i) {
    ((int *)arg)[i] = ctx->cpu_forced;
    return AGON_OK;
}

/* A context that chose its CPU path itself may leave it, and so may those of its works. */
static void lab__works_may_leave_the_path_as_their_caller_may(void **state) {
    (void)state;
    for (int forced = 0; forced < 2; forced++) {
        fixture f = begin(2, "{}");
        int seen[4] = {2, 2, 2, 2};
        f.ctx->cpu_forced = forced;
        assert_ok(f.ctx, lab_run(&f.l, 4, note_forced, seen));
        for (int i = 0; i < 4; i++)
            assert_int_equal(seen[i], forced);
        end(&f);
    }
}

/* ---- models ------------------------------------------------------------------------------------------------ */

enum { N_ITEMS = 96 };

static agon_status train_and_judge(void *arg, agon_ctx *ctx, size_t i) {
    double *p = arg;
    static const lab_size size = {16, 1, 1};
    lab l = {.ctx = ctx};
    lab_model *m = NULL;
    lab_rows rows = {0};
    sequence_item items[N_ITEMS];
    double labels[N_ITEMS];
    const lab_training t = {.objective = "classify", .steps = 60, .batch = 16, .lr = 1e-2, .seed = i};
    agon_status s = sequence_draw_set(ctx, sequence_family_find("agreement"), 5, NULL, NULL, 0, true, N_ITEMS, items);
    for (size_t k = 0; k < N_ITEMS; k++)
        labels[k] = items[k].truth;
    if (!s)
        s = lab_model_new(ctx, &size, 7, &m);
    if (!s)
        s = lab_labelled(ctx, items, N_ITEMS, labels, NULL, &rows);
    if (!s)
        s = lab_train(&l, ctx, m, &rows, &t);
    if (!s)
        s = lab_judge(ctx, m, items, N_ITEMS, p + i * N_ITEMS);
    lab_rows_free(&rows);
    lab_model_free(m);
    return s;
}

typedef struct marks {
    lab_model *m;
    const sequence_item *items;
    double p[3][N_ITEMS];
    size_t n;
} marks;

static agon_status judge_at_mark(void *arg, agon_ctx *ctx, size_t mark) {
    marks *x = arg;
    assert_int_equal(mark, x->n++);
    return lab_judge(ctx, x->m, x->items, N_ITEMS, x->p[mark]);
}

/* A model may be asked while it learns, without changing what it learns; the last time is the end. */
static void lab__judges_at_marks(void **state) {
    (void)state;
    static const lab_size size = {16, 1, 1};
    fixture f = begin(1, "{}");
    sequence_item items[N_ITEMS];
    double labels[N_ITEMS], p[2][N_ITEMS];
    marks x = {.items = items};
    assert_ok(f.ctx, sequence_draw_set(f.ctx, sequence_family_find("agreement"), 5, NULL, NULL, 0, true, N_ITEMS, items));
    for (size_t k = 0; k < N_ITEMS; k++)
        labels[k] = items[k].truth;
    for (int marked = 0; marked < 2; marked++) {
        lab_rows rows = {0};
        lab_training t = {.objective = "classify", .steps = 20, .batch = 16, .lr = 1e-2, .seed = 1};
        assert_ok(f.ctx, lab_model_new(f.ctx, &size, 7, &x.m));
        assert_ok(f.ctx, lab_labelled(f.ctx, items, N_ITEMS, labels, NULL, &rows));
        if (marked)
            t.at_mark = judge_at_mark, t.mark_arg = &x, t.n_marks = 3;
        assert_ok(f.ctx, lab_train(&f.l, f.ctx, x.m, &rows, &t));
        assert_ok(f.ctx, lab_judge(f.ctx, x.m, items, N_ITEMS, p[marked]));
        lab_rows_free(&rows);
        lab_model_free(x.m);
    }
    assert_int_equal(x.n, 3);
    assert_memory_equal(p[0], p[1], sizeof p[0]);
    assert_memory_equal(p[1], x.p[2], sizeof p[1]);
    assert_true(memcmp(x.p[0], x.p[1], sizeof p[0]) != 0 && memcmp(x.p[1], x.p[2], sizeof p[0]) != 0);
    end(&f);
}

static void lab__models_learn_alike_on_any_threads(void **state) {
    (void)state;
    double p[2][3 * N_ITEMS];
    sequence_item items[N_ITEMS];
    for (int k = 0; k < 2; k++) {
        fixture f = begin(k ? 3 : 1, "{}");
        assert_ok(f.ctx, lab_run(&f.l, 3, train_and_judge, p[k]));
        assert_ok(f.ctx, sequence_draw_set(f.ctx, sequence_family_find("agreement"), 5, NULL, NULL, 0, true, N_ITEMS, items));
        end(&f);
    }
    assert_memory_equal(p[0], p[1], sizeof p[0]);
    size_t right = 0;
    for (size_t i = 0; i < N_ITEMS; i++)
        right += (p[0][i] > 0.5) == items[i].truth;
    if (right < N_ITEMS * 3 / 4)
        fail_msg("%zu of %d items learnt by heart", right, N_ITEMS);
}

/* What is sampled depends on seed and place, scores agree with what sampling reports. */
static void lab__completions_score_as_reported(void **state) {
    (void)state;
    fixture f = begin(1, "{}");
    static const lab_size size = {16, 1, 1};
    lab_model *m = NULL;
    sequence_item items[40], out[40], again[40], part[3];
    double mean[40], sum[40];
    const bool yes = true;
    assert_ok(f.ctx, sequence_draw_set(f.ctx, sequence_family_find("reversal"), 5, &yes, NULL, 0, true, 40, items));
    assert_ok(f.ctx, lab_model_new(f.ctx, &size, 7, &m));
    assert_ok(f.ctx, lab_complete(f.ctx, m, items, 40, 1, 3, out, mean));
    assert_ok(f.ctx, lab_complete(f.ctx, m, items, 40, 1, 3, again, NULL));
    assert_memory_equal(out, again, sizeof out);
    assert_ok(f.ctx, lab_complete(f.ctx, m, items, 3, 1, 3, part, NULL));
    assert_memory_equal(out, part, sizeof part);
    assert_ok(f.ctx, lab_score(f.ctx, m, out, 40, sum));
    for (int i = 0; i < 40; i++) {
        assert_memory_equal(out[i].tokens, items[i].tokens, items[i].n_source * sizeof(int32_t));
        assert_close(sum[i] / (double)(out[i].n - out[i].n_source), mean[i], 1e-4);
    }
    lab_model_free(m);
    end(&f);
}

/* A token's log_prob stands at its place, their sum is the answer's, and a weight of 0 keeps a token from being learnt while the others are. */
static void lab__tokens_are_scored_and_weighed_one_by_one(void **state) {
    (void)state;
    enum { N = 24 };
    fixture f = begin(1, "{}");
    static const lab_size size = {16, 1, 1};
    lab_model *m = NULL;
    static sequence_item items[N];
    static double sums[N], before[N * SEQUENCE_MAX], after[N * SEQUENCE_MAX];
    static float weights[N * SEQUENCE_MAX];
    const bool yes = true;
    lab_rows rows;
    const lab_training t = {.objective = "sft", .steps = 60, .batch = 8, .lr = 1e-2, .seed = 3};
    assert_ok(f.ctx, sequence_draw_set(f.ctx, sequence_family_find("reversal"), 5, &yes, NULL, 0, true, N, items));
    assert_ok(f.ctx, lab_model_new(f.ctx, &size, 7, &m));
    assert_ok(f.ctx, lab_score(f.ctx, m, items, N, sums));
    assert_ok(f.ctx, lab_score_tokens(f.ctx, m, items, N, before));
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        items[i].tokens[items[i].n_source + 1] = 150; /* a token that stands nowhere else */
        for (size_t j = 0; j < SEQUENCE_MAX; j++) {
            bool answer = j >= items[i].n_source && j < items[i].n;
            assert_true(answer == (before[i * SEQUENCE_MAX + j] != 0));
            sum += before[i * SEQUENCE_MAX + j];
            weights[i * SEQUENCE_MAX + j] = i > 0 && j != items[i].n_source + 1; /* the first item has none at all */
        }
        assert_close(sum, sums[i], 1e-12);
    }
    assert_ok(f.ctx, lab_answers_weighted(f.ctx, items, N, weights, &rows));
    assert_int_equal(rows.n, N - 1);
    assert_ok(f.ctx, lab_score_tokens(f.ctx, m, items, N, before));
    assert_ok(f.ctx, lab_train(&f.l, f.ctx, m, &rows, &t));
    assert_ok(f.ctx, lab_score_tokens(f.ctx, m, items, N, after));
    double spared = 0, learnt = 0;
    for (size_t i = 1; i < N; i++) {
        size_t at = i * SEQUENCE_MAX + items[i].n_source;
        spared += (after[at + 1] - before[at + 1]) / (N - 1);
        learnt += (after[at + 3] - before[at + 3]) / (N - 1);
    }
    if (!(spared < 0 && learnt > 0.3))
        fail_msg("log_probs grew by %g where the weight is 0, by %g elsewhere", spared, learnt);
    lab_rows_free(&rows);
    lab_model_free(m);
    end(&f);
}

/* The noise on one tensor: within its bounds, and up to them where there are enough values. */
static void check_noise(const parameter *p, const float *start, const float *shaken, double share) {
    size_t n = p->n_rows * p->n_columns;
    double squares = 0, largest = 0;
    for (size_t j = 0; j < n; j++) {
        squares += (double)start[j] * (double)start[j];
        largest = fmax(largest, fabs((double)shaken[j] - (double)start[j]));
    }
    double bound = share * sqrt(squares / (double)n);
    if (!(largest <= bound * (1 + 1e-4)) || !(largest >= bound * (n > 50 ? 0.9 : 0.5)))
        fail_msg("%s: the noise reaches %g; its bounds are %g", p->name, largest, bound);
}

/* Another start near the same function: other weights, the same for the same seed, and the model it was copied from stays. */
static void lab__a_shaken_model_is_another_start(void **state) {
    (void)state;
    enum { START, ONE, SAME, OTHER, STILL, N_MODELS, N = 20 };
    static const struct {
        double share;
        uint64_t seed;
    } how[N_MODELS] = {{0, 0}, {0.1, 1}, {0.1, 1}, {0.1, 2}, {0, 1}};
    fixture f = begin(1, "{}");
    const lab_size size = {.width = 16, .layers = 2};
    sequence_item items[N];
    lab_model *from = NULL, *m[N_MODELS] = {NULL};
    parameters p[N_MODELS];
    double before[N], after[N], scores[N_MODELS][N];
    assert_ok(f.ctx, sequence_draw_set(f.ctx, 0, 5, NULL, NULL, 0, false, N, items));
    assert_ok(f.ctx, lab_model_new(f.ctx, &size, 7, &from));
    assert_ok(f.ctx, lab_score(f.ctx, from, items, N, before));
    for (size_t k = 0; k < N_MODELS; k++) {
        assert_ok(f.ctx, lab_model_copy(f.ctx, from, &m[k]));
        if (k != START)
            assert_ok(f.ctx, lab_model_shake(f.ctx, m[k], how[k].share, how[k].seed));
        assert_ok(f.ctx, lab_score(f.ctx, m[k], items, N, scores[k]));
        assert_ok(f.ctx, model_make_trainable(f.ctx, m[k]->m, &p[k]));
    }
    for (size_t i = 0; i < p[START].n; i++) {
        const parameter *start = &p[START].items[i];
        float *values[N_MODELS];
        size_t bytes = start->n_rows * start->n_columns * sizeof **values;
        for (size_t k = 0; k < N_MODELS; k++)
            assert_ok(f.ctx, parameter_copy(f.ctx, &p[k].items[i], &values[k]));
        check_noise(start, values[START], values[ONE], 0.1);
        check_noise(start, values[START], values[OTHER], 0.1);
        assert_memory_equal(values[ONE], values[SAME], bytes);
        assert_memory_not_equal(values[ONE], values[OTHER], bytes);
        assert_memory_equal(values[STILL], values[START], bytes);
        for (size_t k = 0; k < N_MODELS; k++)
            free(values[k]);
    }
    assert_ok(f.ctx, lab_score(f.ctx, from, items, N, after));
    assert_memory_equal(before, after, sizeof before);
    assert_memory_equal(before, scores[STILL], sizeof before);
    assert_memory_equal(scores[ONE], scores[SAME], sizeof before);
    assert_memory_not_equal(scores[ONE], before, sizeof before); /* what is scored with follows the masters */
    assert_memory_not_equal(scores[ONE], scores[OTHER], sizeof before);
    for (size_t k = 0; k < N_MODELS; k++)
        lab_model_free(m[k]);
    lab_model_free(from);
    end(&f);
}

static void lab__estimates_count_whole_rounds(void **state) {
    (void)state;
    fixture f = begin(3, "{}");
    const size_t n[] = {0, 1, 3, 4, 7}, want[] = {0, 3, 3, 6, 9};
    for (int i = 0; i < 5; i++)
        assert_close(lab_rounds(&f.l, n[i]), (double)want[i], 0);
    end(&f);
}

/* Groups carry each completion with its own reward and share the source. */
static void lab__groups_keep_rewards(void **state) {
    (void)state;
    fixture f = begin(1, "{}");
    sequence_item items[12];
    double rewards[12];
    lab_rows rows = {0};
    const bool yes = true;
    assert_ok(f.ctx, sequence_draw_set(f.ctx, sequence_family_find("reversal"), 5, &yes, NULL, 0, true, 12, items));
    for (int i = 0; i < 12; i++) {
        if (i % 4) /* four of each source, each with another first letter of the answer */
            items[i] = items[i - 1], items[i].tokens[items[i].n_source] = 26 + i;
        rewards[i] = i / 12.0;
    }
    assert_ok(f.ctx, lab_groups(f.ctx, items, rewards, 3, 4, &rows));
    assert_int_equal(rows.n, 3);
    for (size_t i = 0; i < 12; i++) {
        const train_row *row = &rows.rows[i / 4];
        const train_response *r = &row->responses[i % 4];
        assert_int_equal(row->n_responses, 4);
        assert_int_equal(row->n_prompt, items[i].n_source);
        assert_memory_equal(row->prompt, items[i].tokens, row->n_prompt * sizeof(int32_t));
        assert_int_equal(r->n, items[i].n - items[i].n_source);
        assert_memory_equal(r->tokens, items[i].tokens + items[i].n_source, r->n * sizeof(int32_t));
        assert_close(r->reward, rewards[i], 0);
    }
    lab_rows_free(&rows);
    end(&f);
}

/* Student's interval: t(0.975, 2) = 4.3027. */
static void lab__seeds_have_an_interval(void **state) {
    (void)state;
    const double v[] = {1, 3, 2};
    json_t *x = lab_over_seeds(v, 3), *ends = json_object_get(x, "interval");
    assert_close(json_number_value(json_object_get(x, "mean")), 2, 1e-12);
    assert_close(json_number_value(json_array_get(ends, 0)), 2 - 4.302652729911275 / sqrt(3), 1e-9);
    assert_close(json_number_value(json_array_get(ends, 1)), 2 + 4.302652729911275 / sqrt(3), 1e-9);
    assert_close(json_number_value(json_array_get(json_object_get(x, "by_seed"), 1)), 3, 0);
    json_decref(x);
    x = lab_over_seeds(v, 1);
    assert_true(json_is_null(json_array_get(json_object_get(x, "interval"), 0)));
    json_decref(x);
    x = real_or_null(NAN);
    assert_true(json_is_null(x));
    json_decref(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lab__seeds_have_an_interval),
        cmocka_unit_test(lab__reads_options),
        cmocka_unit_test(lab__refuses_aliases_that_outgrow_their_file),
        cmocka_unit_test(lab__lists_are_checked),
        cmocka_unit_test(lab__begins_with_the_options_there_are),
        cmocka_unit_test(lab__stages_come_back_whole_or_not),
        cmocka_unit_test(lab__first_failure_is_the_smallest),
        cmocka_unit_test(lab__works_may_leave_the_path_as_their_caller_may),
        cmocka_unit_test(lab__judges_at_marks),
        cmocka_unit_test(lab__models_learn_alike_on_any_threads),
        cmocka_unit_test(lab__completions_score_as_reported),
        cmocka_unit_test(lab__tokens_are_scored_and_weighed_one_by_one),
        cmocka_unit_test(lab__a_shaken_model_is_another_start),
        cmocka_unit_test(lab__estimates_count_whole_rounds),
        cmocka_unit_test(lab__groups_keep_rewards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

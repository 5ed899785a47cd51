/* agon data fuse: planted raters, the specification's example, gold, clusters, hard rows, bad input. */
#include "recipe/fuse_rows.h"
#include "base/buffer.h"
#include "base/file.h"
#include "json_rows.h"
#include "base/random.h"
#include "test.h"
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    char folder[64], from[96], to[96];
    json_t *report, *rows; /* of the last fuse */
    buffer text;
} world;

static int setup(void **state) {
    static world w;
    w = (world){.ctx = test_ctx(1, NULL)};
    strcpy(w.folder, "/tmp/agon-fuse-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.from, sizeof w.from, "%s/votes.jsonl", w.folder);
    snprintf(w.to, sizeof w.to, "%s/fused.jsonl", w.folder);
    *state = &w;
    return 0;
}

static void forget(world *w) {
    json_decref(w->report);
    json_decref(w->rows);
    w->report = w->rows = NULL;
    unlink(w->to);
}

static int teardown(void **state) {
    world *w = *state;
    forget(w);
    buffer_free(&w->text);
    unlink(w->from);
    rmdir(w->folder);
    agon_ctx_free(w->ctx);
    return 0;
}

/* What was put into w->text, fused. */
static agon_status fuse(world *w, fuse_options o) {
    forget(w);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    agon_status s = fuse_file(w->ctx, w->from, w->to, &o, &w->report);
    w->rows = s ? json_array() : json_rows(w->ctx, w->to);
    return s;
}

static const json_t *source(const world *w, const char *name) {
    const json_t *list = json_object_get(w->report, "sources");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "source")), name) == 0)
            return json_array_get(list, i);
    fail_msg("there is no source %s", name);
    return NULL;
}

static double real(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v))
        fail_msg("no number %s", key);
    return json_number_value(v);
}

static double label(const world *w, size_t i) {
    return real(json_array_get(w->rows, i), "label");
}

typedef struct planted {
    const char *name;
    double flips, share; /* how often it is wrong, and of how many rows it votes */
} planted;

/* n rows whose raters are wrong at random; truth [n]. */
static void plant(world *w, uint64_t seed, const planted *raters, size_t n_raters, size_t n, bool *truth) {
    rng r = rng_new(seed);
    buffer_clear(&w->text);
    for (size_t i = 0; i < n; i++) {
        const char *comma = "";
        truth[i] = rng_uniform(&r) < 0.5;
        buffer_printf(&w->text, "{\"prompt\":\"q%zu\",\"completion\":\"a\",\"votes\":{", i);
        for (size_t k = 0; k < n_raters; k++) {
            bool votes = rng_uniform(&r) < raters[k].share, wrong = rng_uniform(&r) < raters[k].flips;
            if (!votes)
                continue;
            buffer_printf(&w->text, "%s\"%s\":%s", comma, raters[k].name, truth[i] != wrong ? "true" : "false");
            comma = ",";
        }
        buffer_text(&w->text, "}}\n");
    }
}

static void inside(const json_t *pair, double x) {
    if (!(json_number_value(json_array_get(pair, 0)) <= x && x <= json_number_value(json_array_get(pair, 1))))
        fail_msg("%g is not in [%g, %g]", x, json_number_value(json_array_get(pair, 0)), json_number_value(json_array_get(pair, 1)));
}

static void fuse__recovers_planted_raters(void **state) {
    world *w = *state;
    enum { N = 3000 };
    static bool truth[N];
    const planted raters[] = {{"critic", 0.2, 1}, {"human", 0.1, 1}, {"verifier", 0.15, 1}};
    size_t wrong = 0, wrong_human = 0;
    plant(w, 3, raters, 3, N, truth);
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    for (size_t k = 0; k < 3; k++) {
        const json_t *s = source(w, raters[k].name);
        assert_close(real(s, "flip_rate"), raters[k].flips, 0.03);
        inside(json_object_get(s, "flip_ci95"), raters[k].flips);
        assert_close(real(s, "weight"), log((1 - raters[k].flips) / raters[k].flips), 0.5);
        assert_true(json_is_null(json_object_get(s, "against_gold")));
    }
    for (size_t i = 0; i < N; i++) {
        const json_t *votes = json_object_get(json_array_get(w->rows, i), "votes");
        wrong += (label(w, i) > 0.5) != truth[i];
        wrong_human += json_is_true(json_object_get(votes, "human")) != truth[i];
    }
    assert_true(wrong < wrong_human); /* better than the best of them */
    assert_close(real(w->report, "agreement"), 2 * 0.7433 - 1, 0.03); /* of two raters 0.7433 of the votes are equal in the mean, by chance half */
    assert_close(real(w->report, "prior"), 0.5, 0.03);
    assert_int_equal(json_array_size(json_object_get(w->report, "notes")), 1); /* no gold */
}

/* One human vote at 5% against one critic's at 25%: q = 0.864 (training 5). */
static void fuse__gives_the_specified_posterior(void **state) {
    world *w = *state;
    enum { N = 6000 };
    static bool truth[N];
    const planted raters[] = {{"critic", 0.25, 1}, {"critic2", 0.25, 1}, {"human", 0.05, 1}, {"verifier", 0.1, 1}};
    plant(w, 4, raters, 4, N, truth);
    buffer_text(&w->text, "{\"prompt\":\"last\",\"completion\":\"a\",\"votes\":{\"human\":true,\"critic\":false}}\n");
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    assert_close(label(w, N), 0.863636, 0.02);
}

/* A human who voted on few rows outweighs two critics who voted on all. */
static void fuse__lets_rare_human_labels_weigh_more(void **state) {
    world *w = *state;
    enum { N = 2000 };
    static bool truth[N];
    const planted raters[] = {{"critic", 0.35, 1}, {"critic2", 0.35, 1}, {"critic3", 0.35, 1}, {"human", 0.04, 0.1}};
    plant(w, 5, raters, 4, N, truth);
    buffer_text(&w->text, "{\"prompt\":\"last\",\"completion\":\"a\",\"votes\":{\"human\":false,\"critic\":true,\"critic2\":true}}\n");
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    assert_true(label(w, N) < 0.5);
    assert_true(real(source(w, "human"), "weight") > 2 * real(source(w, "critic"), "weight"));
}

/* Where most raters are wrong more often than right, gold turns the labels round; its exact interval is against the gold rows. */
static void fuse__pins_classes_by_gold(void **state) {
    world *w = *state;
    enum { N = 1500 };
    static bool truth[N];
    const planted raters[] = {{"a", 0.7, 1}, {"b", 0.75, 1}, {"c", 0.2, 1}, {"human", 0, 0.1}};
    size_t right = 0, pinned = 0;
    plant(w, 6, raters, 4, N, truth);
    assert_ok(w->ctx, fuse(w, (fuse_options){.gold = "human"}));
    for (size_t i = 0; i < N; i++) {
        bool gold = json_object_get(json_object_get(json_array_get(w->rows, i), "votes"), "human") != NULL;
        right += (label(w, i) > 0.5) == truth[i];
        pinned += gold;
        if (gold)
            assert_true(label(w, i) == (truth[i] ? 1 : 0));
    }
    assert_true(right > N * 8 / 10);
    assert_int_equal(real(w->report, "pinned"), pinned);
    assert_close(real(source(w, "b"), "flip_rate"), 0.75, 0.04);
    const json_t *exact = json_object_get(source(w, "b"), "against_gold");
    assert_int_equal(real(exact, "n"), pinned);
    inside(json_object_get(exact, "ci95"), 0.75);
}

static void put_votes(world *w, size_t n, const char *votes) {
    for (size_t i = 0; i < n; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{%s}}\n", votes);
}

static void expect_note(const world *w, const char *words) {
    const json_t *notes = json_object_get(w->report, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++)
        if (strstr(json_string_value(json_array_get(notes, i)), words))
            return;
    fail_msg("no note says \"%s\"", words);
}

/* One rater, or two, are not turned round by how often they say yes. */
static void fuse__believes_few_raters_alike(void **state) {
    world *w = *state;
    buffer_clear(&w->text);
    put_votes(w, 20, "\"a\":true");
    put_votes(w, 10, "\"a\":false");
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    for (size_t i = 0; i < 30; i++)
        assert_close(label(w, i), i < 20 ? 0.9 : 0.1, 1e-9); /* what is assumed of a rater nothing is known of */
    assert_true(json_is_null(json_object_get(source(w, "a"), "flip_ci95")));
    expect_note(w, "the rater is better than chance, wrong in 0.100");
    assert_ok(w->ctx, fuse(w, (fuse_options){.hard = true}));
    for (size_t i = 0; i < 30; i++)
        assert_true(json_is_true(json_object_get(json_array_get(w->rows, i), "label")) == (i < 20));
    /* Two, of whose 50 rows they see 10 differently: 2 e (1 - e) = 0.2, and ten votes assumed. */
    buffer_clear(&w->text);
    put_votes(w, 37, "\"a\":true,\"b\":true");
    put_votes(w, 3, "\"a\":false,\"b\":false");
    put_votes(w, 10, "\"a\":false,\"b\":true");
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    double e = (1 + 100 * (1 - sqrt(0.6)) / 2) / 110;
    assert_true(label(w, 0) > 0.95 && label(w, 37) < 0.05);
    assert_close(label(w, 0), (1 - e) * (1 - e) / ((1 - e) * (1 - e) + e * e), 1e-9);
    assert_close(label(w, 45), 0.5, 1e-12);
    assert_close(real(source(w, "a"), "weight"), real(source(w, "b"), "weight"), 1e-9);
    expect_note(w, "both raters are equally good");
}

/* Gold that only says true leaves the other class to the votes. */
static void fuse__is_not_led_by_gold_of_one_class(void **state) {
    world *w = *state;
    buffer_clear(&w->text);
    put_votes(w, 5, "\"a\":true,\"b\":true,\"c\":true,\"gold\":true");
    put_votes(w, 20, "\"a\":true,\"b\":true,\"c\":true");
    put_votes(w, 20, "\"a\":false,\"b\":false,\"c\":false");
    put_votes(w, 4, "\"a\":false,\"b\":true,\"c\":false");
    assert_ok(w->ctx, fuse(w, (fuse_options){.gold = "gold"}));
    assert_true(label(w, 0) == 1 && label(w, 10) > 0.9 && label(w, 30) < 0.1 && label(w, 46) < 0.5);
    assert_true(real(w->report, "prior") < 0.8);
    expect_note(w, "gold has one class only");
    static const char *const together[] = {"a,b,c"}; /* one rater, whose gold is of one class */
    assert_ok(w->ctx, fuse(w, (fuse_options){.gold = "gold", .together = together, .n_together = 1}));
    assert_true(label(w, 0) == 1 && label(w, 10) > 0.9 && label(w, 30) < 0.1);
}

/* Small files of every sort: an interval holds its estimate, and no label goes against all votes of a row where there is no gold. */
static void fuse__keeps_estimates_in_their_intervals(void **state) {
    world *w = *state;
    enum { FILES = 24, N = 60 };
    static bool truth[N];
    static const double yes[] = {0.5, 0.9};
    for (uint64_t file = 0; file < FILES; file++) {
        const planted raters[] = {{"a", 0.1, 1}, {"b", 0.3, file % 3 ? 1 : 0.4}, {"c", 0.4, 0.8}};
        size_t n_raters = 2 + file % 2;
        rng r = rng_new(file);
        buffer_clear(&w->text);
        for (size_t i = 0; i < N; i++) {
            truth[i] = rng_uniform(&r) < yes[file % 4 / 2];
            buffer_printf(&w->text, "{\"prompt\":\"q%zu\",\"completion\":\"a\",\"votes\":{", i);
            for (size_t k = 0; k < n_raters; k++)
                if (rng_uniform(&r) < raters[k].share || k == 0)
                    buffer_printf(&w->text, "%s\"%s\":%s", k ? "," : "", raters[k].name, truth[i] != (rng_uniform(&r) < raters[k].flips) ? "true" : "false");
            buffer_text(&w->text, "}}\n");
        }
        assert_ok(w->ctx, fuse(w, (fuse_options){0}));
        const json_t *list = json_object_get(w->report, "sources");
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *one = json_array_get(list, k);
            inside(json_object_get(one, "flip_ci95"), real(one, "flip_rate"));
        }
        for (size_t i = 0; i < N; i++) {
            const json_t *votes = json_object_get(json_array_get(w->rows, i), "votes");
            json_t *vote;
            const char *name;
            size_t said[2] = {0};
            json_object_foreach((json_t *)(uintptr_t)votes, name, vote) said[json_is_true(vote)]++;
            if (!said[0] || !said[1])
                assert_true(said[1] ? label(w, i) >= 0.5 : label(w, i) <= 0.5);
        }
    }
}

/* A copy of a critic is no second witness. */
static void fuse__counts_a_cluster_once(void **state) {
    world *w = *state;
    static const char *const together[] = {"critic,critic2"};
    rng r = rng_new(8);
    buffer_clear(&w->text);
    for (size_t i = 0; i < 800; i++) {
        bool truth = rng_uniform(&r) < 0.5, c = truth != (rng_uniform(&r) < 0.3), h = truth != (rng_uniform(&r) < 0.1),
             v = truth != (rng_uniform(&r) < 0.2);
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"critic\":%s,\"critic2\":%s,\"human\":%s,\"verifier\":%s}}\n",
                      c ? "true" : "false", c ? "true" : "false", h ? "true" : "false", v ? "true" : "false");
    }
    buffer_text(&w->text, "{\"prompt\":\"tie\",\"completion\":\"a\",\"votes\":{\"critic\":true,\"critic2\":false}}\n");
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    double doubled = real(source(w, "critic"), "flip_rate"), agreement = real(w->report, "agreement");
    assert_ok(w->ctx, fuse(w, (fuse_options){.together = together, .n_together = 1}));
    const json_t *one = source(w, "critic+critic2");
    assert_int_equal(json_array_size(json_object_get(one, "members")), 2);
    assert_int_equal(json_array_size(json_object_get(w->report, "sources")), 3);
    assert_close(real(one, "flip_rate"), 0.3, 0.05);
    assert_true(doubled < 0.15); /* what two copies make of themselves */
    assert_true(real(w->report, "agreement") < agreement - 0.05);
    const json_t *out = json_array_get(json_object_get(w->report, "left_out"), 0);
    assert_int_equal(real(out, "line"), 801);
    assert_non_null(strstr(json_string_value(json_object_get(out, "reason")), "tied"));
}

static void put_pairs(world *w) {
    buffer_clear(&w->text);
    for (size_t i = 0; i < 40; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q%zu\",\"chosen\":\"yes\",\"rejected\":\"no\",\"id\":%zu,\"chosen_critique\":\"fine\",\"rewards\":[2,1],"
                                "\"margin\":1,\"votes\":{\"a\":%s,\"b\":%s,\"c\":%s}}\n",
                      i, i, i % 4 ? "true" : "false", i % 4 ? "true" : "false", i % 8 == 1 ? "false" : i % 4 ? "true" : "false");
}

static void fuse__decides_pairs(void **state) {
    world *w = *state;
    put_pairs(w);
    assert_ok(w->ctx, fuse(w, (fuse_options){.hard = true}));
    assert_int_equal(real(w->report, "swapped"), 10);
    for (size_t i = 0; i < 40; i++) {
        const json_t *row = json_array_get(w->rows, i);
        bool swapped = i % 4 == 0;
        assert_string_equal(json_string_value(json_object_get(row, "chosen")), swapped ? "no" : "yes");
        assert_string_equal(json_string_value(json_object_get(row, swapped ? "rejected_critique" : "chosen_critique")), "fine");
        assert_null(json_object_get(row, swapped ? "chosen_critique" : "rejected_critique"));
        assert_null(json_object_get(row, "label"));
        assert_int_equal(real(row, "id"), i);
        assert_true(real(row, "weight") > 0 && real(row, "weight") <= 1);
        assert_true(swapped == !json_object_get(row, "rewards") && swapped == !json_object_get(row, "margin")); /* they said the other side */
        assert_true(json_is_true(json_object_get(json_object_get(row, "votes"), "a"))); /* of the order it has now */
    }
    assert_int_equal(real(w->report, "contradicted"), 10);
    /* Fused again, nothing is swapped back. */
    char *text = NULL;
    size_t n;
    assert_ok(w->ctx, file_read(w->ctx, w->to, 1 << 20, &text, &n));
    buffer_clear(&w->text);
    buffer_append(&w->text, text, n);
    free(text);
    assert_ok(w->ctx, fuse(w, (fuse_options){.hard = true}));
    assert_int_equal(real(w->report, "swapped"), 0);
}

/* What the row says of itself stays where the fused label agrees: bt takes no other. */
static void fuse__takes_out_what_the_label_denies(void **state) {
    world *w = *state;
    static const struct {
        const char *own;
        bool rejected; /* is the better side by it */
    } cases[] = {{"\"rewards\":[2,1]", false}, {"\"rewards\":[1,2]", true}, {"\"margin\":1", false}, {"\"margin\":1,\"label\":0.2", true},
                 {"\"margin\":1,\"label\":false", true}, {"\"margin\":1,\"label\":0.9", false}, {"\"margin\":-1", true},
                 {"\"margin\":-1,\"label\":0.2", false}, {"\"id\":1", false}};
    enum { CASES = sizeof cases / sizeof *cases };
    for (int hard = 0; hard <= 1; hard++) {
        buffer_clear(&w->text);
        for (size_t i = 0; i < 4 * CASES; i++) /* every second block the votes are against the chosen side */
            buffer_printf(&w->text, "{\"prompt\":\"q\",\"chosen\":\"yes\",\"rejected\":\"no\",%s,\"votes\":{\"a\":%s,\"b\":%s,\"c\":%s}}\n", cases[i % CASES].own,
                          i / CASES % 2 ? "false" : "true", i / CASES % 2 ? "false" : "true", i / CASES % 2 ? "false" : "true");
        assert_ok(w->ctx, fuse(w, (fuse_options){.hard = hard}));
        assert_int_equal(real(w->report, "contradicted"), 16);
        for (size_t i = 0; i < 4 * CASES; i++) {
            const json_t *row = json_array_get(w->rows, i), *rewards = json_object_get(row, "rewards");
            bool against = i / CASES % 2, kept = rewards || json_object_get(row, "margin");
            if (cases[i % CASES].own[1] == 'i') /* says nothing */
                assert_false(kept);
            else
                assert_true(kept == (cases[i % CASES].rejected == against));
            if (json_object_get(row, "margin")) /* a strength, whichever side it was said of */
                assert_close(real(row, "margin"), 1, 0);
            if (rewards && hard)
                assert_int_equal(json_integer_value(json_array_get(rewards, 0)), 2);
        }
    }
}

static void fuse__keeps_rows_and_bits(void **state) {
    world *w = *state;
    char *first = NULL, *again = NULL;
    size_t n;
    put_pairs(w);
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    assert_string_equal(json_string_value(json_object_get(json_array_get(w->rows, 0), "chosen")), "yes");
    assert_true(label(w, 0) < 0.5 && label(w, 1) > 0.5);
    assert_null(json_object_get(json_array_get(w->rows, 0), "weight"));
    assert_ok(w->ctx, file_read(w->ctx, w->to, 1 << 20, &first, &n));
    assert_ok(w->ctx, fuse(w, (fuse_options){0}));
    assert_ok(w->ctx, file_read(w->ctx, w->to, 1 << 20, &again, &n));
    assert_string_equal(first, again);
    free(first);
    free(again);
    /* It never writes over a file. */
    json_t *report = NULL;
    assert_int_equal(fuse_file(w->ctx, w->from, w->to, &(fuse_options){0}, &report), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "is there already"));
}

static void fuse__leaves_out_rows_by_line(void **state) {
    world *w = *state;
    static const char rows[] = "{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"a\":true,\"b\":true,\"c\":false}}\n\n"
                               "{\"prompt\":\"q\",\"completion\":\"a\"}\n{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"a\":false}}\n"
                               "{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"h\":true}}\n";
    buffer_clear(&w->text);
    buffer_text(&w->text, rows);
    assert_ok(w->ctx, fuse(w, (fuse_options){.least_votes = 2, .gold = "h"}));
    const json_t *out = json_object_get(w->report, "left_out");
    assert_int_equal(json_array_size(out), 2);
    assert_int_equal(real(json_array_get(out, 0), "line"), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(out, 0), "reason")), "no votes");
    assert_int_equal(real(json_array_get(out, 1), "line"), 4);
    assert_string_equal(json_string_value(json_object_get(json_array_get(out, 1), "reason")), "too few votes");
    assert_int_equal(json_array_size(w->rows), 2); /* a gold vote is enough */
}

static void fuse__names_bad_input(void **state) {
    world *w = *state;
    static const char *const pair[] = {"a,b", "b,c"}, *const lone[] = {"a"}, *const unknown[] = {"a,x"}, *const gold[] = {"a,b"};
    static const char good[] = "{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"a\":true,\"b\":true,\"c\":false}}\n";
    const struct {
        const char *row, *words;
        fuse_options o;
    } cases[] = {
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":[1]}", "votes.jsonl:2: votes must be an object", {0}},
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"a\":1}}", "votes.jsonl:2: votes: that of 'a' must be true or false", {0}},
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"votes\":{\"\":true}}", "votes.jsonl:2: votes: a source's name", {0}},
        {"{\"prompt\":\"q\",\"completions\":[\"a\"],\"votes\":{\"a\":true}}", "votes.jsonl:2: votes are taken on", {0}},
        {"{\"votes\":{\"a\":true}}", "votes.jsonl:2: votes are taken on", {0}},
        {"[]", "votes.jsonl:2", {0}},
        {"", "'x' votes in no row", {.together = unknown, .n_together = 1}},
        {"", "gold: 'x' votes in no row", {.gold = "x"}},
        {"", "b is named twice", {.together = pair, .n_together = 2}},
        {"", "is one source; name two", {.together = lone, .n_together = 1}},
        {"", "a is the gold source", {.gold = "a", .together = gold, .n_together = 1}},
        {"", "no row has 4 votes", {.least_votes = 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&w->text);
        buffer_printf(&w->text, "%s%s\n", good, cases[i].row);
        if (fuse(w, cases[i].o) == AGON_OK || !strstr(agon_error(w->ctx), cases[i].words))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
        assert_int_not_equal(access(w->to, F_OK), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse__recovers_planted_raters),   cmocka_unit_test(fuse__gives_the_specified_posterior),
        cmocka_unit_test(fuse__lets_rare_human_labels_weigh_more), cmocka_unit_test(fuse__pins_classes_by_gold),
        cmocka_unit_test(fuse__counts_a_cluster_once),     cmocka_unit_test(fuse__takes_out_what_the_label_denies),
        cmocka_unit_test(fuse__decides_pairs),
        cmocka_unit_test(fuse__keeps_rows_and_bits),       cmocka_unit_test(fuse__leaves_out_rows_by_line),
        cmocka_unit_test(fuse__names_bad_input),
        cmocka_unit_test(fuse__believes_few_raters_alike), cmocka_unit_test(fuse__is_not_led_by_gold_of_one_class),
        cmocka_unit_test(fuse__keeps_estimates_in_their_intervals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

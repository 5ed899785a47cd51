/* What is trained on, over made-up answers: the floor of real data, caps, duplicates, contamination, replay, pairs. */
#include "actors.h"
#include "recipe/loop_private.h"
#include "recipe/run_file.h"

enum { PER_CELL = 8 };
static const char *const cells[][2] = {{"arithmetic", "one_digit_sum"}, {"arithmetic", "two_digit_sum"}, {"writing", "lower_case"}};
enum { N_CELLS = sizeof cells / sizeof *cells };

typedef struct bench {
    stand *x;
    run_config *config;
    cast cast;
    size_t indices[N_CELLS];
    aim aim;
    example_list earlier, out;
    choice report;
    preference_list preferences;
} bench;

static bench *bench_new(void) {
    static const char yaml[] = "model: none\nbuild: {real_share: 0, replay_share: 0.25, per_query: 64, per_cell: 1000}\n";
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->x = stand_new(NULL);
    assert_ok(b->x->ctx, run_file_parse(b->x->ctx, "test.yaml", yaml, strlen(yaml), &b->config));
    for (size_t i = 0; i < N_CELLS; i++) {
        stand_draw(b->x, cells[i][1], cells[i][0], cells[i][1], PER_CELL);
        b->indices[i] = task_cell_find(cells[i][0], cells[i][1]);
    }
    b->cast = (cast){.actors = b->x->actors, .config = b->config, .run = b->x->run, .memory = b->x->memory};
    assert_ok(b->x->ctx, aim_new(b->x->ctx, b->indices, N_CELLS, 0.8, &b->aim));
    return b;
}

static void bench_free(bench *b) {
    example_list_free(&b->earlier);
    example_list_free(&b->out);
    preference_list_free(&b->preferences);
    aim_free(&b->aim);
    run_config_free(b->config);
    stand_free(b->x);
    free(b);
}

static answer *add(bench *b, size_t query, const char *kind, task_outcome outcome, const char *text) {
    answer *y = answer_list_add(&b->x->answers);
    assert_non_null(y);
    y->query = query;
    y->kind = kind;
    y->outcome = outcome;
    y->text = arena_copy(b->x->memory, text);
    snprintf(y->id, sizeof y->id, "id%zu", b->x->answers.n);
    snprintf(y->label, sizeof y->label, "label%zu", b->x->answers.n);
    return y;
}

/* `words` words that no other call gives. */
static const char *words(bench *b, size_t n) {
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text, "w%zu", b->x->answers.n);
    for (size_t i = 1; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, " x");
    return arena_copy(b->x->memory, text);
}

static void choose(bench *b) {
    example_list_free(&b->out);
    assert_ok(b->x->ctx, choose_examples(&b->cast, &b->aim, &b->x->queries, &b->x->answers, 0, &b->earlier, &b->out, &b->report));
}

static void choose_of_pairs(bench *b) {
    example_list_free(&b->out);
    assert_ok(b->x->ctx, choose_pairs(&b->cast, &b->aim, &b->x->queries, &b->x->answers, 0, &b->preferences, 0, &b->earlier, &b->out,
                                      &b->report));
}

static int64_t tokens(const example_list *l, const char *origin) {
    int64_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += strcmp(l->items[i].origin, origin) == 0 ? l->items[i].n_tokens : 0;
    return n;
}

static void add_earlier(bench *b, const char *origin, const char *chosen, int64_t n_tokens) {
    const example e = {.objective = "sft", .origin = origin, .prompt = "earlier", .chosen = chosen, .n_tokens = n_tokens};
    assert_ok(b->x->ctx, example_add(&b->cast, &b->earlier, &e));
}

/* What an expert accepted was paid for: the cap of a cell (or of all queries of other cells together) is for the rest. */
static void choose__expert_accepted__is_under_no_cap(void **state) {
    (void)state;
    bench *b = bench_new();
    b->config->build.per_cell = 2;
    b->config->build.per_query = 1;
    for (size_t i = 0; i < PER_CELL; i++)
        add(b, i, "response", OUTCOME_PASS, words(b, 3))->source = i % 2 ? "critic" : "simulated";
    for (int64_t rules = 1; rules <= 2; rules++) {
        b->cast.rules = rules;
        choose(b);
        assert_int_equal(b->report.n_new, rules == 1 ? 2 : PER_CELL / 2 + 2);
        assert_int_equal(b->report.dropped_cap, rules == 1 ? PER_CELL - 2 : PER_CELL / 2 - 2);
    }
    bench_free(b);
}

static void choose__real_data__keeps_its_share_whatever_comes(void **state) {
    (void)state;
    static const double shares[] = {0, 0.1, 0.25, 0.5, 0.9, 1}, replays[] = {0, 0.25, 1};
    bench *b = bench_new();
    rng r = rng_new(1);
    size_t n_short = 0, n_with_new = 0;
    for (size_t k = 0; k < 360; k++) {
        double share = b->config->build.real_share = shares[k % 6];
        b->config->build.replay_share = replays[k / 6 % 3];
        b->x->answers.n = 0;
        b->earlier.n = 0;
        for (size_t i = rng_below(&r, 10); i > 0; i--)
            add(b, rng_below(&r, N_CELLS * PER_CELL), "demonstration", OUTCOME_PASS, words(b, 1 + rng_below(&r, 40)));
        for (size_t i = rng_below(&r, 60); i > 0; i--)
            add(b, rng_below(&r, N_CELLS * PER_CELL), "response", OUTCOME_PASS, words(b, 1 + rng_below(&r, 40)));
        for (size_t i = rng_below(&r, 20); i > 0; i--)
            add_earlier(b, rng_below(&r, 3) ? "new" : "real", "before", 1 + (int64_t)rng_below(&r, 40));
        choose(b);
        int64_t real = tokens(&b->out, "real"), fresh = tokens(&b->out, "new"), replay = tokens(&b->out, "replay");
        assert_int_equal(real, b->report.real_tokens);
        assert_int_equal(fresh, b->report.new_tokens);
        assert_int_equal(replay, b->report.replay_tokens);
        assert_int_equal(b->out.n, b->report.n_real + b->report.n_new + b->report.n_replay);
        assert_true((double)real >= share * (double)(real + fresh + replay) - 1e-9);
        n_short += b->report.dropped_floor > 0;
        n_with_new += fresh > 0 && share > 0;
    }
    assert_true(n_short > 50 && n_with_new > 50); /* the floor was felt, and did not simply drop all */
    bench_free(b);
}

/* New answers have their share of what it all comes to, and no more, whatever the floor leaves; a reaction raises the floor and halves the caps. */
static void choose__new_answers__keep_to_their_share(void **state) {
    (void)state;
    bench *b = bench_new();
    const double shares[] = {1, 0.5, 0.2, 0};
    b->config->build.real_share = 0.1;
    add(b, 0, "demonstration", OUTCOME_PASS, words(b, 40));
    add_earlier(b, "new", "before", 13);
    for (size_t i = 0; i < 90; i++)
        add(b, i % (N_CELLS * PER_CELL), "response", OUTCOME_PASS, words(b, 3));
    for (size_t i = 0; i < 4; i++) {
        b->config->build.new_share = shares[i];
        choose(b);
        const int64_t rest = b->report.real_tokens + b->report.replay_tokens, fresh = b->report.new_tokens;
        assert_int_equal(b->report.replay_tokens, 13);
        if (i == 0)
            assert_true((double)fresh > 0.8 * (double)(rest + fresh));
        else
            assert_true((double)fresh <= shares[i] * (double)(rest + fresh) + 1e-9 && (double)(fresh + 5) > shares[i] * (double)(rest + fresh + 5) - 1e-9);
    }
    b->config->build.new_share = 1;
    b->config->build.per_cell = 5;
    for (int reacts = 0; reacts < 2; reacts++) {
        b->cast.reacts = reacts;
        choose(b);
        assert_int_equal(b->report.n_new, N_CELLS * (reacts ? 2 : 5));
    }
    b->config->build.per_cell = 1000;
    choose(b);
    assert_true((double)b->report.real_tokens >= 0.25 * (double)(b->report.real_tokens + b->report.new_tokens + b->report.replay_tokens));
    bench_free(b);
}

static void choose__too_little_real_data__shrinks_what_is_new(void **state) {
    (void)state;
    bench *b = bench_new();
    int64_t last = -1;
    b->config->build.real_share = 0.5;
    for (size_t n_real = 0; n_real <= 6; n_real += 2) {
        b->x->answers.n = 0;
        for (size_t i = 0; i < n_real; i++)
            add(b, i, "demonstration", OUTCOME_PASS, words(b, 9));
        for (size_t i = 0; i < 20; i++)
            add(b, i, "response", OUTCOME_PASS, words(b, 9));
        choose(b);
        assert_int_equal(b->report.n_new, n_real); /* as many, of the same length, at a share of one half */
        assert_true(b->report.new_tokens > last);
        last = b->report.new_tokens;
    }
    bench_free(b);
}

static void choose__per_query_and_per_cell__are_capped(void **state) {
    (void)state;
    bench *b = bench_new();
    size_t of_query[N_CELLS * PER_CELL] = {0}, of_cell[N_CELLS] = {0};
    b->config->build.per_query = 2;
    b->config->build.per_cell = 5;
    for (size_t k = 0; k < 4; k++)
        for (size_t q = 0; q < N_CELLS * PER_CELL; q++)
            add(b, q, k == 3 ? "refinement" : "response", OUTCOME_PASS, words(b, 3));
    choose(b);
    for (size_t i = 0; i < b->out.n; i++)
        for (size_t q = 0; q < N_CELLS * PER_CELL; q++)
            if (strcmp(b->out.items[i].texts[0], b->x->queries.items[q].id) == 0) {
                of_query[q]++;
                of_cell[q / PER_CELL]++;
            }
    for (size_t q = 0; q < N_CELLS * PER_CELL; q++)
        assert_true(of_query[q] <= 2);
    for (size_t c = 0; c < N_CELLS; c++)
        assert_int_equal(of_cell[c], 5);
    assert_int_equal(b->report.dropped_cap, 4 * N_CELLS * PER_CELL - 5 * N_CELLS);
    bench_free(b);
}

/* The user's own queries lie in no cell: together they have one place of their own. */
static void choose__queries_of_no_cell__are_capped_by_themselves(void **state) {
    (void)state;
    bench *b = bench_new();
    b->config->build.per_cell = 2;
    b->aim.n = 1;
    for (size_t i = 0; i < 3; i++) {
        add(b, i, "response", OUTCOME_PASS, words(b, 3));
        add(b, PER_CELL + i, "response", OUTCOME_PASS, words(b, 3));
    }
    choose(b);
    assert_int_equal(b->report.n_new, 4);
    assert_int_equal(b->report.dropped_cap, 2);
    bench_free(b);
}

static void choose__the_same_answer_twice__is_one_example(void **state) {
    (void)state;
    bench *b = bench_new();
    add(b, 0, "response", OUTCOME_PASS, "The answer is 7.");
    add(b, 0, "response", OUTCOME_PASS, "The answer is 7.");
    add(b, 1, "response", OUTCOME_PASS, "The answer is 7.");
    add(b, 0, "demonstration", OUTCOME_PASS, "It is 7.");
    add(b, 0, "response", OUTCOME_PASS, "It is 7.");
    choose(b);
    assert_int_equal(b->report.n_new, 2);
    assert_int_equal(b->report.n_real, 1);
    assert_int_equal(b->report.dropped_duplicate, 2);
    bench_free(b);
}

static void choose__only_what_passed__and_no_evaluation(void **state) {
    (void)state;
    bench *b = bench_new();
    add(b, 0, "response", OUTCOME_FAIL, "a");
    add(b, 1, "response", OUTCOME_UNKNOWN, "b");
    add(b, 2, "evaluation", OUTCOME_PASS, "c");
    add(b, 3, "demonstration", OUTCOME_FAIL, "d");
    add(b, 4, "refinement", OUTCOME_PASS, "e");
    add(b, 5, "probe", OUTCOME_PASS, "f");
    choose(b);
    assert_int_equal(b->out.n, 1);
    assert_string_equal(b->out.items[0].chosen, "e");
    assert_string_equal(b->out.items[0].objective, "refine");
    assert_string_equal(b->out.items[0].labels[0], "label5");
    bench_free(b);
}

/* An answer that reached max_tokens is learned from without an end, on either side of a pair, and counts a token less. Before rules 10 it got one. */
static void choose__what_is_cut_off__has_no_end(void **state) {
    (void)state;
    for (int64_t rules = 9; rules <= 10; rules++)
        for (int pairs = 0; pairs < 2; pairs++) {
            bench *b = bench_new();
            b->cast.rules = rules;
            for (size_t i = 0; i < 4; i++) {
                add(b, i, "response", OUTCOME_PASS, words(b, 3))->cut = i & 1;
                add(b, i, "response", OUTCOME_FAIL, words(b, 3))->cut = i & 2;
            }
            (pairs ? choose_of_pairs : choose)(b);
            assert_int_equal(b->out.n, 4);
            for (size_t i = 0; i < 4; i++) {
                const example *e = &b->out.items[i];
                const size_t k = (size_t)(strtoul(e->chosen + 1, NULL, 10) / 2); /* words of the k-th answer, two a query */
                assert_int_equal(e->chosen_cut, rules == 10 && (k & 1));
                assert_int_equal(e->rejected_cut, pairs && rules == 10 && (k & 2));
                assert_int_equal(e->n_tokens, rules == 10 && (k & 1) ? 4 : 5);
            }
            bench_free(b);
        }
}

/* The same task in other words is the same task; a text is recognised by its word sequences. */
static void choose__what_is_held_out__is_left_out(void **state) {
    (void)state;
    static const char held_out[] = "the seventh ferry left the old harbour before any of the lamps were lit";
    bench *b = bench_new();
    task_query q = {0}, reworded = {0};
    size_t other = SIZE_MAX;
    assert_ok(b->x->ctx, query_task(&b->x->actors, &b->x->queries.items[PER_CELL], &q));
    assert_ok(b->x->ctx, task_variation(b->x->ctx, &q, PERTURBATION_PARAPHRASE, "In quite other words, what is it?", &reworded));
    assert_ok(b->x->ctx, contamination_add_query(b->x->ctx, b->aim.held_out, &reworded));
    assert_ok(b->x->ctx, contamination_add_text(b->x->ctx, b->aim.held_out, held_out));
    for (size_t i = PER_CELL + 1; i < 2 * PER_CELL; i++) /* one of another task */
        if (strcmp(b->x->queries.items[i].identity, b->x->queries.items[PER_CELL].identity) != 0)
            other = i;
    assert_true(other != SIZE_MAX);
    add(b, PER_CELL, "response", OUTCOME_PASS, "one");
    add(b, other, "response", OUTCOME_PASS, "two");
    add(b, other, "response", OUTCOME_PASS, "I read: The seventh ferry left the old harbour before any of the lamps were lit, so.");
    choose(b);
    assert_int_equal(b->out.n, 1);
    assert_string_equal(b->out.items[0].chosen, "two");
    assert_int_equal(b->report.dropped_contaminated, 2);
    task_query_free(&q);
    task_query_free(&reworded);
    bench_free(b);
}

/* Neither do people's answers and documents come through, nor the worse side of a pair. */
static void choose__what_is_held_out__is_left_out_of_real_data_and_pairs(void **state) {
    (void)state;
    static const char held_out[] = "the seventh ferry left the old harbour before any of the lamps were lit";
    for (int pairs = 0; pairs < 2; pairs++) {
        bench *b = bench_new();
        assert_ok(b->x->ctx, contamination_add_text(b->x->ctx, b->aim.held_out, held_out));
        add(b, 0, "response", OUTCOME_FAIL, "wrong 0");
        add(b, 0, "demonstration", OUTCOME_PASS, "written");
        add(b, 1, "response", OUTCOME_FAIL, "wrong 1");
        add(b, 1, "demonstration", OUTCOME_PASS, held_out);
        add(b, 2, "response", OUTCOME_FAIL, held_out);
        add(b, 2, "response", OUTCOME_PASS, "right 2");
        add(b, 3, "response", OUTCOME_FAIL, "wrong 3");
        add(b, 3, "response", OUTCOME_PASS, "right 3");
        add_earlier(b, "real", held_out, 14);
        b->earlier.items[0].rejected = pairs ? "worse" : NULL;
        (pairs ? choose_of_pairs : choose)(b);
        assert_int_equal(b->report.n_real, 1);
        assert_int_equal(b->report.real_tokens, tokens(&b->out, "real"));
        assert_string_equal(b->out.items[0].chosen, "written");
        assert_int_equal(b->report.n_new, pairs ? 1 : 2);
        assert_string_equal(b->out.items[b->out.n - 1].chosen, "right 3");
        assert_int_equal(b->report.dropped_contaminated, pairs ? 3 : 2);
        bench_free(b);
    }
}

/* A held-out task is known whatever its words and blanks, and whoever answered it: in what people wrote, in what comes again, and by the gate. In runs
 * begun before rules 21 only new answers of the learner's were. */
static void choose__a_held_out_task__is_known_by_itself(void **state) {
    (void)state;
    for (int64_t rules = 20; rules <= 21; rules++)
        for (int pairs = 0; pairs < 2; pairs++) {
            bench *b = bench_new();
            const query *held_out = &b->x->queries.items[PER_CELL], *other = NULL;
            task_query q = {0}, reworded = {0};
            bool contaminated = false, hit = false;
            b->cast.rules = rules;
            for (size_t i = PER_CELL + 1; i < 2 * PER_CELL; i++)
                if (strcmp(b->x->queries.items[i].identity, held_out->identity) != 0)
                    other = &b->x->queries.items[i];
            assert_non_null(other);
            assert_ok(b->x->ctx, aim_keep_clear(&b->cast, &b->aim));
            assert_ok(b->x->ctx, query_task(&b->x->actors, held_out, &q));
            assert_ok(b->x->ctx, task_variation(b->x->ctx, &q, PERTURBATION_PARAPHRASE, "In quite other words, what is it?", &reworded));
            assert_ok(b->x->ctx, contamination_add_query(b->x->ctx, b->aim.held_out, &reworded));
            add(b, PER_CELL, "response", OUTCOME_FAIL, "wrong 1");
            add(b, PER_CELL, "demonstration", OUTCOME_PASS, "written 1");
            add(b, (size_t)(other - b->x->queries.items), "response", OUTCOME_FAIL, "wrong 2");
            add(b, (size_t)(other - b->x->queries.items), "demonstration", OUTCOME_PASS, "written 2");
            const example again = {.objective = "sft", .origin = "new", .prompt = held_out->text, .identity = held_out->identity, .chosen = "again",
                                   .rejected = pairs ? "worse" : NULL, .n_tokens = 1},
                          spaced = {.objective = "sft", .origin = "new", .prompt = "in quite  other words,\nwhat is it ?", .chosen = "spaced",
                                    .rejected = pairs ? "worse" : NULL, .n_tokens = 1};
            assert_ok(b->x->ctx, example_add(&b->cast, &b->earlier, &again));
            assert_ok(b->x->ctx, example_add(&b->cast, &b->earlier, &spaced));
            b->config->build.replay_share = 1;
            (pairs ? choose_of_pairs : choose)(b);
            assert_int_equal(b->out.n, rules == 20 ? 4 : 1);
            assert_string_equal(b->out.items[rules == 20].chosen, "written 2");
            assert_string_equal(b->out.items[rules == 20].identity, other->identity);
            assert_int_equal(b->report.dropped_contaminated, rules == 20 ? 0 : 3);
            assert_int_equal(b->report.n_real, rules == 20 ? 2 : 1);
            assert_int_equal(b->report.replay_tokens, rules == 20 ? 2 : 0);
            /* What was chosen passes the gate; each of the three does not. */
            assert_ok(b->x->ctx, choose_check(&b->cast, &b->aim, &b->out, &contaminated));
            assert_false(contaminated);
            const example written = {.objective = "sft", .origin = "real", .prompt = "in words of nobody's", .identity = held_out->identity, .chosen = "written 1"},
                          *const each[] = {&again, &spaced, &written};
            for (size_t i = 0; i < 3; i++) {
                b->out.n = 0;
                assert_ok(b->x->ctx, example_add(&b->cast, &b->out, each[i]));
                assert_ok(b->x->ctx, choose_check(&b->cast, &b->aim, &b->out, &contaminated));
                assert_int_equal(contaminated, rules == 21);
            }
            /* A text beside it is none. */
            assert_ok(b->x->ctx, contamination_has_text(b->x->ctx, b->aim.held_out, "In quite other words, what is that?", &hit));
            assert_false(hit);
            task_query_free(&q);
            task_query_free(&reworded);
            bench_free(b);
        }
}

/* What the gate asks of a training set: no text of any side is an evaluation's. */
static void choose__check__reads_every_text(void **state) {
    (void)state;
    static const char held_out[] = "the seventh ferry left the old harbour before any of the lamps were lit";
    bench *b = bench_new();
    assert_ok(b->x->ctx, contamination_add_text(b->x->ctx, b->aim.held_out, held_out));
    for (int side = -1; side < 3; side++) {
        bool contaminated = side < 0;
        const example clean = {.objective = "sft", .origin = "new", .prompt = "a", .chosen = "b"},
                      e = {.objective = "pref", .origin = "new", .prompt = side == 0 ? held_out : "a",
                           .chosen = side == 1 ? held_out : "b", .rejected = side == 2 ? held_out : "c"};
        b->out.n = 0;
        assert_ok(b->x->ctx, example_add(&b->cast, &b->out, &clean));
        assert_ok(b->x->ctx, example_add(&b->cast, &b->out, &e));
        assert_ok(b->x->ctx, choose_check(&b->cast, &b->aim, &b->out, &contaminated));
        assert_int_equal(contaminated, side >= 0);
    }
    bench_free(b);
}

#define BASE "00000000000000000000000000000000000000000000000000000000000000aa"
#define CANDIDATE "00000000000000000000000000000000000000000000000000000000000000bb"

static agon_status add_versions(void *arg, json_t **result) {
    stand *x = arg;
    const version_record old = {.id = BASE, .role = "base"}, new = {.run = run_id(x->run), .id = CANDIDATE, .parent = BASE, .role = "learner"};
    agon_status s = store_add_version(x->store, &old);
    *result = json_null();
    return s ? s : store_add_version(x->store, &new);
}

/* The loop's gate counts every label and audit of the expert, and reads the examples again. */
static void loop_gate__books__are_labels_and_examples(void **state) {
    (void)state;
    static const char held_out[] = "the seventh ferry left the old harbour before any of the lamps were lit";
    enum { IN_ORDER, OVER_BUDGET, CONTAMINATED, N_CASES };
    for (int k = 0; k < N_CASES; k++) {
        bench *b = bench_new();
        const step_key key = {.path = "versions"};
        const example e = {.objective = "sft", .origin = "new", .prompt = "a", .chosen = k == CONTAMINATED ? held_out : "b"};
        loop l = {.c = &b->cast, .config = b->config, .learner = BASE, .candidate = CANDIDATE,
                  .labels = b->config->human.labels, .labels_used = b->config->human.labels + (k == OVER_BUDGET), .audited = {{.n = 3, .agreed = 2}, {.n = 2, .agreed = 1}}};
        held_out_result r = {0};
        json_t *made = NULL;
        assert_ok(b->x->ctx, step_once(b->x->run, &key, json_null(), add_versions, b->x, &made));
        assert_ok(b->x->ctx, contamination_add_text(b->x->ctx, b->aim.held_out, held_out));
        assert_ok(b->x->ctx, example_add(&b->cast, &l.examples, &e));
        l.aim = b->aim;
        b->config->gate.audit_agreement = 0.25;
        assert_ok(b->x->ctx, loop_gate(&l, &r));
        const json_t *figures = json_object_get(l.gate, "figures"), *audited = json_object_get(figures, "G6"), *books = json_object_get(figures, "G7");
        assert_true(field_int(audited, "audits") == 5 && field_int(audited, "agreed") == 3 && field_real(audited, "least") == 0.25);
        assert_string_equal(field_text(books, "budget"), k == OVER_BUDGET ? "more expert labels than allowed" : "kept");
        assert_string_equal(field_text(books, "contamination"), k == CONTAMINATED ? "a training example is an evaluation item" : "none");
        json_decref(l.gate);
        json_decref(l.held_out_json);
        json_decref(l.families);
        json_decref(made);
        example_list_free(&l.examples);
        bench_free(b);
    }
}

static void choose__replay__is_the_latest_up_to_its_share(void **state) {
    (void)state;
    static const char *const latest[] = {"e7", "e6", "e5"};
    bench *b = bench_new();
    b->config->build.real_share = 0.25;
    b->config->build.replay_share = 0.25;
    add_earlier(b, "real", "gold", 30); /* the floor: 120 tokens in all, 30 of them replayed */
    for (int i = 0; i < 8; i++)
        add_earlier(b, i % 2 ? "new" : "replay", arena_printf(b->x->memory, "e%d", i), 10);
    choose(b);
    assert_int_equal(b->report.n_real, 1);
    assert_int_equal(b->report.real_tokens, 30);
    assert_int_equal(b->report.n_replay, 3);
    assert_int_equal(b->report.replay_tokens, 30);
    assert_string_equal(b->out.items[0].origin, "real");
    for (size_t i = 1; i < b->out.n; i++) {
        assert_string_equal(b->out.items[i].origin, "replay");
        assert_string_equal(b->out.items[i].chosen, latest[i - 1]);
    }
    bench_free(b);
}

/* The lists move as they grow; what was chosen before knows its texts and labels all the same. */
static void choose__replayed_examples__keep_their_ids(void **state) {
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        bench *b = bench_new();
        preference *p = NULL;
        add(b, 0, "response", OUTCOME_FAIL, "wrong");
        add(b, 0, "demonstration", OUTCOME_PASS, "written");
        add(b, 1, "response", OUTCOME_PASS, "good");
        add(b, 1, "response", OUTCOME_UNKNOWN, "fair");
        if (pairs)
            assert_non_null(p = preference_list_add(&b->preferences));
        if (pairs)
            *p = (preference){.chosen = 2, .rejected = 3, .label = "chosen by ada"};
        b->config->build.replay_share = 1;
        (pairs ? choose_of_pairs : choose)(b);
        assert_int_equal(b->out.n, 2);
        for (size_t i = 0; i < b->out.n; i++)
            assert_ok(b->x->ctx, example_add(&b->cast, &b->earlier, &b->out.items[i]));
        const char *query = arena_copy(b->x->memory, b->x->queries.items[0].id);
        for (size_t i = 0; i < 4; i++) { /* as the next iteration begins; the old items say something else */
            memset(b->x->answers.items[i].id, 'z', 4);
            memset(b->x->answers.items[i].label, 'z', 4);
        }
        for (size_t i = 0; i < 1000; i++)
            add(b, 2, "response", OUTCOME_UNKNOWN, "more");
        memset(b->x->queries.items[0].id, 'z', 4);
        for (size_t i = 0; i < 1000; i++)
            assert_non_null(query_list_add(&b->x->queries));
        if (pairs)
            memset(b->preferences.items[0].label, 'z', 4);
        b->preferences.n = 0;
        b->x->answers.n = 0;
        (pairs ? choose_of_pairs : choose)(b);
        assert_int_equal(b->out.n, 2);
        const example *real = &b->out.items[0], *replayed = &b->out.items[1];
        assert_string_equal(real->origin, "real");
        assert_string_equal(real->texts[0], query);
        assert_string_equal(real->texts[1], "id2");
        assert_string_equal(real->labels[0], "label2");
        assert_string_equal(replayed->origin, "replay");
        assert_string_equal(replayed->texts[1], "id3");
        assert_string_equal(replayed->labels[0], pairs ? "chosen by ada" : "label3");
        assert_int_equal(replayed->n_labels, 1);
        if (pairs)
            assert_string_equal(real->texts[2], "id1");
        bench_free(b);
    }
}

static void choose__pairs__are_a_pass_and_a_failure_of_one_query(void **state) {
    (void)state;
    bench *b = bench_new();
    b->config->build.per_query = 1;
    add(b, 0, "response", OUTCOME_PASS, "right 0");
    add(b, 1, "response", OUTCOME_FAIL, "wrong 1");
    add(b, 2, "response", OUTCOME_FAIL, "wrong 2");
    add(b, 2, "response", OUTCOME_UNKNOWN, "who knows");
    add(b, 2, "refinement", OUTCOME_PASS, "right 2");
    add(b, 2, "response", OUTCOME_PASS, "also right 2");
    add(b, 3, "evaluation", OUTCOME_FAIL, "wrong 3");
    add(b, 3, "response", OUTCOME_PASS, "right 3");
    add(b, 3, "probe", OUTCOME_FAIL, "also wrong 3");
    add(b, 4, "response", OUTCOME_FAIL, "wrong 4");
    add(b, 4, "probe", OUTCOME_PASS, "right 4");
    *add(b, 5, "response", OUTCOME_FAIL, "wrong 5")->label = 0; /* by nobody's label: nothing could be said of where it comes from */
    add(b, 5, "response", OUTCOME_PASS, "right 5");
    choose_of_pairs(b);
    assert_int_equal(b->out.n, 1);
    assert_string_equal(b->out.items[0].chosen, "right 2");
    assert_string_equal(b->out.items[0].rejected, "wrong 2");
    assert_string_equal(b->out.items[0].objective, "pref");
    assert_int_equal(b->out.items[0].n_labels, 2);
    assert_int_equal(b->report.dropped_cap, 1);
    bench_free(b);
}

/* Pairs keep the floor too: what people wrote against what failed is real, and too little of it shrinks the rest. */
static void choose__pairs__keep_the_share_of_real_data(void **state) {
    (void)state;
    bench *b = bench_new();
    int64_t last = -1;
    b->config->build.real_share = 0.5;
    b->config->build.replay_share = 0.25;
    for (size_t n_real = 0; n_real <= 6; n_real += 2) {
        b->x->answers.n = 0;
        b->earlier.n = 0;
        for (size_t i = 0; i < 20; i++) {
            add(b, i, "response", OUTCOME_FAIL, words(b, 9));
            add(b, i, "response", OUTCOME_PASS, words(b, 9));
        }
        for (size_t i = 0; i < n_real; i++)
            add(b, i, "demonstration", OUTCOME_PASS, words(b, 9));
        add(b, 21, "demonstration", OUTCOME_PASS, words(b, 9)); /* preferred to nothing: no pair */
        add_earlier(b, "real", "prose", 1000);                  /* no pair either */
        const example replayed = {.objective = "pref", .origin = "new", .prompt = "earlier", .chosen = "a", .rejected = "b", .n_tokens = 8};
        assert_ok(b->x->ctx, example_add(&b->cast, &b->earlier, &replayed));
        choose_of_pairs(b);
        int64_t real = tokens(&b->out, "real"), fresh = tokens(&b->out, "new"), replay = tokens(&b->out, "replay");
        assert_int_equal(b->report.n_real, n_real);
        assert_int_equal(real, b->report.real_tokens);
        assert_true(real >= fresh + replay);
        assert_true(replay <= (real + fresh + replay) / 4 + 1);
        assert_int_equal(b->report.n_replay, n_real >= 2); /* 2 of 13 tokens each leave room for 8 */
        assert_true(fresh > last || n_real == 0);
        for (size_t i = 0; i < b->out.n; i++)
            assert_non_null(b->out.items[i].rejected);
        last = fresh;
    }
    bench_free(b);
}

static void choose__pairs__hold_what_reviewers_preferred(void **state) {
    (void)state;
    bench *b = bench_new();
    add(b, 0, "response", OUTCOME_UNKNOWN, "fair");
    add(b, 0, "response", OUTCOME_UNKNOWN, "good");
    add(b, 1, "response", OUTCOME_FAIL, "draft");
    add(b, 1, "demonstration", OUTCOME_PASS, "mended")->draft = 2;
    preference *p = preference_list_add(&b->preferences);
    assert_non_null(p);
    *p = (preference){0, 1, "first thought", true};
    assert_non_null(p = preference_list_add(&b->preferences));
    *p = (preference){1, 0, "chosen by ada", false};
    choose_of_pairs(b);
    assert_int_equal(b->out.n, 2);
    assert_string_equal(b->out.items[0].origin, "real");
    assert_string_equal(b->out.items[0].chosen, "mended");
    assert_string_equal(b->out.items[0].rejected, "draft");
    assert_string_equal(b->out.items[1].chosen, "good");
    assert_string_equal(b->out.items[1].rejected, "fair");
    assert_int_equal(b->out.items[1].n_labels, 1);
    assert_string_equal(b->out.items[1].labels[0], "chosen by ada");
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choose__expert_accepted__is_under_no_cap),
        cmocka_unit_test(choose__real_data__keeps_its_share_whatever_comes),
        cmocka_unit_test(choose__new_answers__keep_to_their_share),
        cmocka_unit_test(choose__too_little_real_data__shrinks_what_is_new),
        cmocka_unit_test(choose__per_query_and_per_cell__are_capped),
        cmocka_unit_test(choose__queries_of_no_cell__are_capped_by_themselves),
        cmocka_unit_test(choose__the_same_answer_twice__is_one_example),
        cmocka_unit_test(choose__only_what_passed__and_no_evaluation),
        cmocka_unit_test(choose__what_is_cut_off__has_no_end),
        cmocka_unit_test(choose__what_is_held_out__is_left_out),
        cmocka_unit_test(choose__what_is_held_out__is_left_out_of_real_data_and_pairs),
        cmocka_unit_test(choose__a_held_out_task__is_known_by_itself),
        cmocka_unit_test(choose__check__reads_every_text),
        cmocka_unit_test(loop_gate__books__are_labels_and_examples),
        cmocka_unit_test(choose__replay__is_the_latest_up_to_its_share),
        cmocka_unit_test(choose__replayed_examples__keep_their_ids),
        cmocka_unit_test(choose__pairs__are_a_pass_and_a_failure_of_one_query),
        cmocka_unit_test(choose__pairs__keep_the_share_of_real_data),
        cmocka_unit_test(choose__pairs__hold_what_reviewers_preferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

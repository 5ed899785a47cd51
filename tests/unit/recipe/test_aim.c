/* Where the attacker aims, and that no task is both trained on and held out. */
#include "actors.h"
#include "recipe/aim.h"
#include "recipe/run_file.h"
#include "small_tokenizer.h"

enum { MAX_CELLS = 4 };

typedef struct bench {
    stand *x;
    run_config *config;
    cast cast;
    size_t cells[MAX_CELLS];
    aim aim;
} bench;

static bench *bench_new(const char *seed, const char *const cells[][2], size_t n) {
    char yaml[200];
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->x = stand_new(NULL);
    snprintf(yaml, sizeof yaml, "model: none\nseed: %s\nattacker: {untargeted: 0.2, floor: 0.1}\n", seed);
    assert_ok(b->x->ctx, run_file_parse(b->x->ctx, "test.yaml", yaml, strlen(yaml), &b->config));
    for (size_t i = 0; i < n; i++) {
        b->cells[i] = task_cell_find(cells[i][0], cells[i][1]);
        assert_true(b->cells[i] != SIZE_MAX);
    }
    b->cast = (cast){.actors = b->x->actors, .config = b->config, .run = b->x->run, .memory = b->x->memory};
    assert_ok(b->x->ctx, aim_new(b->x->ctx, b->cells, n, 0.8, &b->aim));
    return b;
}

static void bench_free(bench *b) {
    aim_free(&b->aim);
    run_config_free(b->config);
    stand_free(b->x);
    free(b);
}

static const char *const small[][2] = {{"arithmetic", "one_digit_sum"}, {"arithmetic", "two_digit_sum"}, {"writing", "lower_case"}};
static const char *const large[][2] = {{"arithmetic", "three_digit_sum"}, {"arithmetic", "two_digit_sum"}, {"writing", "lower_case"}};

/* One-digit sums are so few that both sides want the same ones all the time. */
static void aim__over_three_iterations__no_task_is_asked_and_held_out(void **state) {
    (void)state;
    bench *b = bench_new("5", small, 3);
    stand *x = b->x;
    query_list held_out = {.memory = x->memory}, asked = {.memory = x->memory};
    size_t n_shared = 0;
    for (int64_t iteration = 1; iteration <= 3; iteration++) {
        char path[64], space[32];
        b->cast.actors.iteration = x->actors.iteration = iteration;
        snprintf(path, sizeof path, "%d/held_out", (int)iteration);
        snprintf(space, sizeof space, "held_out/%d", (int)iteration);
        assert_ok(x->ctx, aim_held_out(&b->cast, &b->aim, path, space, 45, &held_out));
        for (size_t wave = 1; wave <= 2; wave++) {
            draw *draws = NULL;
            size_t n = 0;
            snprintf(path, sizeof path, "%d/wave/%zu", (int)iteration, wave);
            assert_ok(x->ctx, aim_wave(&b->cast, &b->aim, wave, 60, wave > 1, &draws, &n));
            assert_ok(x->ctx, draw_queries(&x->actors, path, draws, n, &asked));
            free(draws);
        }
        if (iteration == 1) { /* gold examples are training too */
            draw *draws = NULL;
            size_t n = 0;
            assert_ok(x->ctx, aim_gold(&b->cast, &b->aim, 6, &draws, &n));
            assert_true(n > 6);
            assert_ok(x->ctx, draw_queries(&x->actors, "gold", draws, n, &asked));
            free(draws);
        }
    }
    for (size_t i = 0; i < asked.n; i++)
        for (size_t k = 0; k < held_out.n; k++)
            n_shared += strcmp(asked.items[i].identity, held_out.items[k].identity) == 0;
    assert_int_equal(n_shared, 0);
    assert_true(asked.n > 100 && held_out.n > 80);
    assert_true(b->aim.rejected.held_out > 0 && b->aim.rejected.duplicate > 0);
    for (size_t i = 0; i < asked.n; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(asked.items[i].text, asked.items[k].text);
    query_list_free(&held_out);
    query_list_free(&asked);
    bench_free(b);
}

/* A cell with few tasks: none is held out twice at a time, half of them at most in all, and the rest is asked. */
static void aim__small_cells__are_held_out_by_half(void **state) {
    (void)state;
    static const char *const products[][2] = {{"arithmetic", "one_digit_product"}};
    bench *b = bench_new("5", products, 1);
    stand *x = b->x;
    query_list asked = {.memory = x->memory}, all = {.memory = x->memory};
    json_t *different = json_object();
    b->cast.rules = 2;
    for (int64_t iteration = 1; iteration <= 4; iteration++) {
        size_t first = all.n, n = 0;
        draw *draws = NULL;
        b->cast.actors.iteration = x->actors.iteration = iteration;
        assert_ok(x->ctx, aim_held_out(&b->cast, &b->aim, arena_printf(x->memory, "%d/held_out", (int)iteration),
                                       arena_printf(x->memory, "held_out/%d", (int)iteration), 512, &all));
        assert_in_range(all.n - first, 20, 32); /* of 64 */
        for (size_t i = first; i < all.n; i++) {
            json_object_set_new(different, all.items[i].identity, json_true());
            for (size_t k = first; k < i; k++)
                assert_string_not_equal(all.items[i].identity, all.items[k].identity);
        }
        assert_ok(x->ctx, aim_wave(&b->cast, &b->aim, 1, 20, false, &draws, &n));
        assert_true(iteration > 1 || n >= 10);
        assert_ok(x->ctx, draw_queries(&x->actors, arena_printf(x->memory, "%d/wave", (int)iteration), draws, n, &asked));
        free(draws);
    }
    assert_in_range(json_object_size(different), 20, 32);
    for (size_t i = 0; i < asked.n; i++)
        assert_null(json_object_get(different, asked.items[i].identity));
    json_decref(different);
    query_list_free(&all);
    query_list_free(&asked);
    bench_free(b);
}

/* Large cells give what they gave before, copies apart. */
static void aim__large_cells__give_as_many_as_asked(void **state) {
    (void)state;
    query_list old = {0}, new = {0};
    size_t n_same = 0;
    for (int64_t rules = 1; rules <= 2; rules++) {
        bench *b = bench_new("5", large, 3);
        query_list *out = rules == 1 ? &old : &new;
        out->memory = b->x->memory;
        b->cast.rules = rules;
        assert_ok(b->x->ctx, aim_held_out(&b->cast, &b->aim, "held_out", "held_out/1", 45, out));
        assert_int_equal(out->n, 45);
        for (size_t i = 0; i < 45 && rules == 2; i++)
            n_same += strcmp(old.items[i].id, new.items[i].id) == 0;
        if (rules == 2) {
            query_list_free(&old);
            query_list_free(&new);
        }
        bench_free(b);
    }
    assert_in_range(n_same, 30, 45);
}

/* What the suites ask and the documents of the perplexity are evaluation texts, whichever of them are there. */
static void aim__is_clear_of_every_suite(void **state) {
    (void)state;
    static const char task[] = "{\"question\": \"A mason lays nine rows of forty bricks before noon and seven rows after it, how many bricks are that?\", "
                               "\"answer\": \"16 * 40 = 640\\n#### 640\"}\n",
                      document[] = "The seventh ferry left the old harbour before any of the lamps were lit.\n";
    const char *data = getenv("AGON_DATA");
    char *was = data ? strdup(data) : NULL, path[2048];
    bench *b = bench_new("5", small, 3);
    agon_ctx *ctx = b->x->ctx;
    cast *c = &b->cast;
    bool hit = true;
    snprintf(path, sizeof path, "%s/gsm8k_test.jsonl", b->x->folder);
    assert_ok(ctx, file_write(ctx, path, task, strlen(task)));
    setenv("AGON_DATA", b->x->folder, 1);
    assert_ok(ctx, suite_open(ctx, "gsm8k", 0, &c->suites[1]));
    was ? setenv("AGON_DATA", was, 1) : unsetenv("AGON_DATA");
    assert_ok(ctx, suite_open(ctx, "general", 3, &c->suites[0]));
    snprintf(path, sizeof path, "%s/held_out.txt", b->x->folder);
    assert_ok(ctx, file_write(ctx, path, document, strlen(document)));
    tokenizer *t = small_tokenizer(ctx);
    assert_ok(ctx, perplexity_open(ctx, t, 256, path, 0, &c->text));
    const char *const texts[] = {suite_get(c->suites[0], 0).query, suite_get(c->suites[0], 2).query, suite_get(c->suites[1], 0).query, document};
    for (int clear = 0; clear < 2; clear++) {
        if (clear)
            assert_ok(ctx, aim_keep_clear(c, &b->aim));
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            assert_ok(ctx, contamination_has_text(ctx, b->aim.held_out, texts[i], &hit));
            if (hit != clear)
                fail_msg("'%s' is %sheld out", texts[i], hit ? "" : "not ");
        }
    }
    assert_ok(ctx, contamination_has_text(ctx, b->aim.held_out, "How many lamps are lit?", &hit));
    assert_false(hit);
    suite_free(c->suites[0]);
    suite_free(c->suites[1]);
    perplexity_free(c->text);
    tokenizer_free(t);
    free(was);
    bench_free(b);
}

static void wave_counts(bench *b, bool targeted, size_t n, size_t count[MAX_CELLS]) {
    draw *draws = NULL;
    size_t n_draws = 0;
    assert_ok(b->x->ctx, aim_wave(&b->cast, &b->aim, 2, n, targeted, &draws, &n_draws));
    memset(count, 0, MAX_CELLS * sizeof *count);
    for (size_t i = 0; i < n_draws; i++)
        count[aim_place(&b->aim, draws[i].cell)]++;
    free(draws);
}

static void record(cell_record *r, size_t solved, size_t tried) {
    *r = (cell_record){.next = r->next};
    for (size_t p = 0; p < PERTURBATION_N; p++) {
        r->solved[p] = solved;
        r->tried[p] = tried;
    }
}

static void aim__targeted_waves__go_where_success_is_near_one_half(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    size_t count[MAX_CELLS], even[MAX_CELLS];
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = 0; i < 3; i++)
            record(&b->aim.records[i], i == half ? 20 : i == 2 ? 0 : 40, 40); /* one half, always, never */
        wave_counts(b, true, 150, count);
        assert_true(count[half] > 90 && count[1 - half] < 40 && count[2] < 40);
        assert_true(count[1 - half] > 0 && count[2] > 0); /* the floor and the untargeted share */
        wave_counts(b, false, 60, even);
        assert_true(even[0] == 20 && even[1] == 20 && even[2] == 20);
    }
    bench_free(b);
}

static void aim__counts__what_is_known_only(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    stand *x = b->x;
    static const char *const texts[] = {"a", "b", "c", "d"};
    static const task_outcome outcomes[] = {OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_PASS};
    static const size_t queries[4] = {0};
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 1);
    x->queries.items[0].perturbation = PERTURBATION_RENAME;
    stand_answers(x, "answers", queries, texts, 4);
    for (size_t i = 0; i < 4; i++)
        x->answers.items[i].outcome = outcomes[i];
    aim_count(&b->aim, &x->queries, &x->answers, 1);
    const cell_record *r = &b->aim.records[1];
    assert_int_equal(aim_tried(r), 2); /* from the second on; nobody knows the third */
    assert_int_equal(aim_solved(r), 1);
    assert_int_equal(r->tried[PERTURBATION_RENAME], 2);
    assert_int_equal(aim_tried(&b->aim.records[0]), 0);
    bench_free(b);
}

/* n answers of one cell to a query in one wording. */
static void answers_of(bench *b, size_t query, task_perturbation p, size_t n, bool solved) {
    stand *x = b->x;
    size_t from = x->answers.n;
    x->queries.items[query].perturbation = p;
    for (size_t i = 0; i < n; i++) {
        answer *y = answer_list_add(&x->answers);
        assert_non_null(y);
        y->query = query;
        y->outcome = solved ? OUTCOME_PASS : OUTCOME_FAIL;
    }
    aim_count(&b->aim, &x->queries, &x->answers, from);
}

/* Another learner: nothing is known of where it fails; what is solved stays retired until it is failed. */
static void aim__forgets__another_learners_answers(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    cell_record *r = &b->aim.records[1];
    size_t even[MAX_CELLS];
    stand_draw(b->x, "q", "arithmetic", "two_digit_sum", 1);
    answers_of(b, 0, PERTURBATION_NONE, AIM_WINDOW + 3, true);
    b->aim.records[2].retired = b->aim.probed = true;
    r->next = 7;
    aim_forget(&b->aim);
    assert_false(b->aim.probed);
    assert_int_equal(aim_tried(r), 0);
    assert_int_equal(aim_solved(r), 0);
    assert_int_equal(r->next, 7); /* no query comes twice */
    assert_true(b->aim.records[2].retired);
    b->aim.records[2].retired = false;
    wave_counts(b, true, 300, even);
    assert_true(even[0] > 80 && even[1] > 80 && even[2] > 80);
    answers_of(b, 0, PERTURBATION_NONE, AIM_WINDOW + 3, false); /* the ring begins anew */
    assert_int_equal(aim_tried(r), AIM_WINDOW);
    assert_int_equal(aim_solved(r), 0);
    bench_free(b);
}

static void aim__only_the_last_answers__count(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    const cell_record *r = &b->aim.records[1];
    stand_draw(b->x, "q", "arithmetic", "two_digit_sum", 1);
    answers_of(b, 0, PERTURBATION_NONE, 50, false);
    answers_of(b, 0, PERTURBATION_RENAME, 30, true);
    assert_int_equal(aim_tried(r), AIM_WINDOW);
    assert_int_equal(aim_solved(r), 30);
    assert_int_equal(r->tried[PERTURBATION_NONE], AIM_WINDOW - 30);
    answers_of(b, 0, PERTURBATION_RENAME, 34, true);
    assert_int_equal(aim_solved(r), AIM_WINDOW); /* what it could not do before is forgotten */
    assert_int_equal(r->tried[PERTURBATION_NONE], 0);
    bench_free(b);
}

static void aim__a_solved_cell__retires_and_comes_back(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    size_t count[MAX_CELLS];
    stand_draw(b->x, "q", "arithmetic", "two_digit_sum", 1);
    answers_of(b, 0, PERTURBATION_NONE, 40, true);
    assert_int_equal(aim_retire(&b->aim), 0); /* one iteration may be luck */
    answers_of(b, 0, PERTURBATION_NONE, AIM_SURE - 1, true);
    assert_int_equal(aim_retire(&b->aim), 0); /* too few to say */
    answers_of(b, 0, PERTURBATION_NONE, AIM_SURE, true);
    assert_int_equal(aim_retire(&b->aim), 1);
    wave_counts(b, false, 110, count);
    assert_true(count[1] == 10 && count[0] == 50 && count[2] == 50); /* one turn in five */
    wave_counts(b, true, 110, count);
    assert_true(count[1] > 0 && count[1] < 15);
    answers_of(b, 0, PERTURBATION_NONE, 20, true);
    assert_int_equal(aim_retire(&b->aim), 1);
    answers_of(b, 0, PERTURBATION_NONE, 1, false); /* the re-test finds a fault */
    assert_int_equal(aim_retire(&b->aim), 0);
    wave_counts(b, false, 60, count);
    assert_true(count[0] == 20 && count[1] == 20 && count[2] == 20);
    bench_free(b);
}

static void aim__all_retired__still_draws(void **state) {
    (void)state;
    bench *b = bench_new("5", large, 3);
    size_t count[MAX_CELLS];
    for (size_t i = 0; i < 3; i++)
        b->aim.records[i].retired = true;
    wave_counts(b, false, 30, count);
    assert_int_equal(count[0] + count[1] + count[2], 30);
    bench_free(b);
}

/* Draws of a wave as text. */
static char *wave_text(bench *b, int64_t iteration, size_t wave, bool targeted) {
    draw *draws = NULL;
    size_t n = 0;
    char *text = NULL;
    b->cast.actors.iteration = iteration;
    assert_ok(b->x->ctx, aim_wave(&b->cast, &b->aim, wave, 30, targeted, &draws, &n));
    for (size_t i = 0; i < n; i++) {
        char *more;
        assert_true(asprintf(&more, "%s%zu,%llu,%d;", text ? text : "", draws[i].cell, (unsigned long long)draws[i].seed,
                             (int)draws[i].perturbation) > 0);
        free(text);
        text = more;
    }
    free(draws);
    return text;
}

static void aim__follows_from_the_seed(void **state) {
    (void)state;
    static const char *const seeds[] = {"5", "5", "6"};
    char *text[3], *second[3];
    for (int i = 0; i < 3; i++) {
        bench *b = bench_new(seeds[i], large, 3);
        text[i] = wave_text(b, 1, 1, true);
        second[i] = wave_text(b, 1, 2, false);
        bench_free(b);
    }
    assert_string_equal(text[0], text[1]);
    assert_string_equal(second[0], second[1]);
    assert_string_not_equal(text[0], text[2]);
    assert_string_not_equal(second[0], second[2]);
    for (int i = 0; i < 3; i++) {
        free(text[i]);
        free(second[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aim__small_cells__are_held_out_by_half),
        cmocka_unit_test(aim__large_cells__give_as_many_as_asked),
        cmocka_unit_test(aim__over_three_iterations__no_task_is_asked_and_held_out),
        cmocka_unit_test(aim__is_clear_of_every_suite),
        cmocka_unit_test(aim__targeted_waves__go_where_success_is_near_one_half),
        cmocka_unit_test(aim__counts__what_is_known_only),
        cmocka_unit_test(aim__forgets__another_learners_answers),
        cmocka_unit_test(aim__only_the_last_answers__count),
        cmocka_unit_test(aim__a_solved_cell__retires_and_comes_back),
        cmocka_unit_test(aim__all_retired__still_draws),
        cmocka_unit_test(aim__follows_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

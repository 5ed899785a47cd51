/* What the loop's control arms learn from, on made-up lessons: no model (tokens are counted by words: one 2, two 3, three 5), no workspace. */
#include "recipe/loop_private.h"
#include "test.h"
#include <stdio.h>

enum { MOST = 24, CELLS = 3 };

typedef struct bench {
    agon_ctx *ctx;
    arena *memory;
    cast cast;
    run_config config;
    loop l;
    lesson lesson;
    query queries[MOST];
    answer answers[MOST];
    example examples[MOST];
    arm arm;
} bench;

static const size_t cells[CELLS] = {10, 11, 12};

static bench *bench_new(const char *objective) {
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->ctx = test_ctx(1, NULL);
    assert_ok(b->ctx, arena_new(b->ctx, 0, &b->memory));
    b->config = (run_config){.seed = 5, .train = {.objective = (char *)(uintptr_t)objective}};
    b->cast = (cast){.actors = {.ctx = b->ctx, .iteration = 1}, .config = &b->config, .memory = b->memory, .rules = 14};
    b->l = (loop){.c = &b->cast, .config = &b->config, .queries.items = b->queries, .answers.items = b->answers, .arms = {.lessons = &b->lesson, .n_lessons = 1}};
    b->lesson = (lesson){.iteration = 1, .examples.items = b->examples};
    assert_ok(b->ctx, aim_new(b->ctx, cells, CELLS, 0.8, &b->l.aim));
    return b;
}

static void bench_free(bench *b) {
    aim_free(&b->l.aim);
    arm_free(&b->arm);
    arena_free(b->memory);
    agon_ctx_free(b->ctx);
    free(b);
}

static size_t add_query(bench *b, size_t cell, const char *text) {
    query *q = &b->queries[b->l.queries.n];
    *q = (query){.text = text, .family = "f", .cell = cell};
    snprintf(q->id, sizeof q->id, "q%zu", b->l.queries.n);
    return b->l.queries.n++;
}

static void add_answer(bench *b, size_t query, const char *kind, const char *text) {
    b->answers[b->l.answers.n++] = (answer){.query = query, .kind = kind, .text = text};
    b->lesson.n_answers = b->l.answers.n;
}

static example *add_example(bench *b, const char *origin, size_t query, const char *chosen, int64_t n_tokens) {
    example *e = &b->examples[b->lesson.examples.n++];
    *e = (example){.origin = origin, .prompt = b->queries[query].text, .chosen = chosen, .n_tokens = n_tokens, .texts = {b->queries[query].id}, .n_texts = 1};
    return e;
}

static void add_prose(bench *b, const char *text, int64_t n_tokens) {
    b->examples[b->lesson.examples.n++] = (example){.origin = "real", .prompt = "", .chosen = text, .raw = true, .n_tokens = n_tokens};
}

static void fill(bench *b, const char *name) {
    arm_free(&b->arm);
    b->arm = (arm){.name = name};
    assert_ok(b->ctx, loop_fill_arm(&b->l, name, &b->lesson, &b->arm));
    int64_t n_tokens = 0;
    for (size_t i = 0; i < b->arm.examples.n; i++)
        n_tokens += b->arm.examples.items[i].n_tokens;
    assert_int_equal(b->arm.n_tokens, n_tokens);
}

static size_t n_chosen(const bench *b, const char *chosen) {
    size_t n = 0;
    for (size_t i = 0; i < b->arm.examples.n; i++)
        n += strcmp(b->arm.examples.items[i].chosen, chosen) == 0;
    return n;
}

/* As many loss tokens as the lesson has beside its prose, to the last one; an answer that is too long leaves room to a shorter one. */
static void random_labels__fill_the_room_to_the_last_token(void **state) {
    (void)state;
    static const char *const words[] = {"a", "b", "c", "d", "e"};
    for (int64_t room = 1; room <= 12; room++) {
        bench *b = bench_new("sft");
        const size_t q = add_query(b, cells[0], "which?");
        for (size_t i = 0; i < 5; i++)
            add_answer(b, q, "response", words[i]);
        add_answer(b, q, "response", "three words long"); /* 5 tokens */
        add_prose(b, "prose", 40);
        add_example(b, "new", q, "taught", room);
        fill(b, "random_labels");
        const int64_t taken = b->arm.n_tokens - 40;
        assert_int_equal(n_chosen(b, "prose"), 1);
        assert_int_equal(n_chosen(b, "taught"), 0);
        assert_true(taken <= room && taken >= room - 1);
        assert_true(room % 2 == 1 || taken == room || n_chosen(b, "three words long") == 1);
        bench_free(b);
    }
}

/* One a cell in turn, each words once for a query, and only the learner's own first answers. */
static void random_labels__take_cells_in_turn_and_nothing_twice(void **state) {
    (void)state;
    bench *b = bench_new("sft");
    const size_t q = add_query(b, cells[0], "which?"), other = add_query(b, cells[2], "who?"), own = add_query(b, SIZE_MAX, "mine?");
    for (size_t i = 0; i < 4; i++)
        add_answer(b, q, "response", "again");
    add_answer(b, q, "response", "more");
    add_answer(b, q, "refinement", "refined");
    add_answer(b, q, "response", "");
    add_answer(b, other, "response", "else");
    add_answer(b, own, "response", "again");
    add_answer(b, other, "response", "late");
    b->lesson.n_answers--; /* given after the first promotion */
    example *e = add_example(b, "new", q, "taught", 6);
    fill(b, "random_labels");
    assert_int_equal(b->arm.examples.n, 3);
    assert_int_equal(n_chosen(b, "else"), 1);
    assert_true(strcmp(b->arm.examples.items[0].prompt, "which?") == 0 && strcmp(b->arm.examples.items[2].prompt, "mine?") == 0);
    e->n_tokens = 100;
    fill(b, "random_labels");
    assert_int_equal(b->arm.examples.n, 4);
    assert_true(n_chosen(b, "again") == 2 && n_chosen(b, "more") == 1 && n_chosen(b, "else") == 1);
    bench_free(b);
}

/* Neither a query nor an answer that shares its words with an evaluation. */
static void random_labels__keep_clear_of_evaluations(void **state) {
    (void)state;
    static const char held_out[] = "the nine brown cats sat down beside an old grey wall and slept";
    bench *b = bench_new("sft");
    const size_t q = add_query(b, cells[0], "which?"), leaked = add_query(b, cells[1], held_out);
    assert_ok(b->ctx, contamination_add_text(b->ctx, b->l.aim.held_out, held_out));
    add_answer(b, q, "response", held_out);
    add_answer(b, q, "response", "clear");
    add_answer(b, leaked, "response", "fine");
    add_example(b, "new", q, "taught", 100);
    fill(b, "random_labels");
    assert_int_equal(b->arm.examples.n, 1);
    assert_int_equal(n_chosen(b, "clear"), 1);
    bench_free(b);
}

/* By a coin: whole pairs, both sides, with the tokens of what is chosen now. */
static void random_labels__of_pairs__turn_both_sides(void **state) {
    (void)state;
    bench *b = bench_new("dpo");
    const size_t q = add_query(b, cells[0], "which?");
    size_t n_turned = 0;
    for (size_t i = 0; i < 20; i++)
        add_example(b, "new", q, arena_printf(b->memory, "good%zu", i), 77)->rejected = arena_printf(b->memory, "so bad%zu", i);
    fill(b, "random_labels");
    assert_int_equal(b->arm.examples.n, 20);
    for (size_t i = 0; i < 20; i++) {
        const example *was = &b->examples[i], *e = &b->arm.examples.items[i];
        const bool turned = strcmp(e->chosen, was->chosen) != 0;
        assert_string_equal(e->chosen, turned ? was->rejected : was->chosen);
        assert_string_equal(e->rejected, turned ? was->chosen : was->rejected);
        assert_int_equal(e->n_tokens, turned ? 3 : 77);
        n_turned += turned;
    }
    assert_true(n_turned > 4 && n_turned < 16);
    bench_free(b);
}

/* Answers stay in their cell and with nobody; who is alone in a cell goes with the next one, the last with the one before. */
static void shuffled__answers_stay_among_their_own(void **state) {
    (void)state;
    static const struct {
        size_t n_of[CELLS];
        const char *groups; /* of the examples in the order of their cells */
    } cases[] = {{{3, 3, 0}, "aaabbb"}, {{2, 4, 2}, "aabbbbcc"}, {{1, 2, 0}, "aaa"}, {{2, 1, 0}, "aaa"}, {{1, 1, 1}, "aaa"}, {{2, 1, 2}, "aabbb"}, {{4, 0, 1}, "aaaaa"},
                 {{1, 3, 2}, "aaaabb"}, {{2, 2, 1}, "aabbb"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench *b = bench_new("sft");
        const size_t n = strlen(cases[k].groups);
        size_t group[MOST];
        for (size_t c = 0, i = 0; c < CELLS; c++)
            for (size_t j = 0; j < cases[k].n_of[c]; j++, i++)
                add_query(b, cells[c], arena_printf(b->memory, "query %zu", i));
        for (size_t i = n; i-- > 0;) /* the lesson's order is another */
            add_example(b, "new", i, arena_printf(b->memory, "answer %zu", i), 10 + (int64_t)i);
        fill(b, "shuffled");
        assert_int_equal(b->arm.examples.n, n);
        memset(group, 0, sizeof group);
        for (size_t i = 0; i < n; i++) {
            const example *e = &b->arm.examples.items[i];
            size_t query, from;
            assert_int_equal(sscanf(e->prompt, "query %zu", &query), 1);
            assert_int_equal(sscanf(e->chosen, "answer %zu", &from), 1);
            assert_int_not_equal(query, from);
            assert_int_equal(cases[k].groups[query], cases[k].groups[from]);
            assert_int_equal(e->n_tokens, 10 + (int64_t)from);
            group[from]++;
        }
        for (size_t i = 0; i < n; i++)
            assert_int_equal(group[i], 1);
        bench_free(b);
    }
    bench *b = bench_new("sft"); /* nobody to exchange with */
    add_example(b, "new", add_query(b, cells[0], "which?"), "alone", 2);
    add_prose(b, "prose", 9);
    fill(b, "shuffled");
    assert_true(b->arm.examples.n == 2 && n_chosen(b, "alone") == 1 && n_chosen(b, "prose") == 1 && b->arm.n_tokens == 11);
    bench_free(b);
}

static void add_real_lesson(bench *b, int64_t own) {
    const size_t q = add_query(b, cells[0], "which?");
    add_example(b, "real", q, "written", 3);
    add_prose(b, "prose", 4);
    add_example(b, "new", q, "own", own);
}

/* Real answers alone, again and again, up to the lesson's tokens and not past them, beside the prose that the version had, once. */
static void real_only__repeats_answers_and_not_the_prose(void **state) {
    (void)state;
    for (int64_t own = 5; own <= 12; own++) {
        bench *b = bench_new("sft");
        add_real_lesson(b, own);
        fill(b, "real_only");
        assert_int_equal(n_chosen(b, "own"), 0);
        assert_int_equal(n_chosen(b, "prose"), 1);
        assert_int_equal(n_chosen(b, "written"), 1 + own / 3);
        assert_int_equal(b->arm.n_tokens, 4 + 3 * (1 + own / 3));
        bench_free(b);
    }
    bench *b = bench_new("sft"); /* to the last token */
    add_example(b, "real", add_query(b, cells[0], "which?"), "written", 3);
    add_example(b, "new", 0, "own", 6);
    fill(b, "real_only");
    assert_int_equal(b->arm.examples.n, 3);
    arm none = {.name = "nobody"};
    assert_int_equal(loop_fill_arm(&b->l, "nobody", &b->lesson, &none), AGON_ENOTFOUND);
    bench_free(b);
}

/* Prose answers nobody's query: without an answer beside it there is no arm. */
static void real_only__prose_alone_is_none(void **state) {
    (void)state;
    bench *b = bench_new("sft");
    add_prose(b, "prose", 4);
    add_example(b, "new", add_query(b, cells[0], "which?"), "own", 6);
    fill(b, "real_only");
    assert_int_equal(b->arm.examples.n, 0);
    bench_free(b);
}

/* A run that was begun before goes on with the arm it had: prose repeated too. */
static void real_only__before_rules_14__repeats_all(void **state) {
    (void)state;
    bench *b = bench_new("sft");
    b->cast.rules = 13;
    add_real_lesson(b, 12);
    fill(b, "real_only");
    assert_int_equal(n_chosen(b, "own"), 0);
    assert_true(n_chosen(b, "written") >= 2 && n_chosen(b, "prose") >= 2);
    assert_true(b->arm.n_tokens <= 19 && b->arm.n_tokens > 16);
    bench_free(b);
}

/* What was cut off stays so in whatever arm, and counts a token less. */
static void arms__what_is_cut_off__has_no_end(void **state) {
    (void)state;
    bench *b = bench_new("sft");
    const size_t q = add_query(b, cells[0], "which?"), other = add_query(b, cells[0], "who?");
    add_answer(b, q, "response", "whole");
    add_answer(b, q, "response", "severed");
    b->answers[1].cut = true;
    add_example(b, "new", q, "taught", 50)->chosen_cut = true;
    fill(b, "random_labels");
    assert_int_equal(b->arm.examples.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const example *e = &b->arm.examples.items[i];
        assert_int_equal(e->chosen_cut, strcmp(e->chosen, "severed") == 0);
        assert_int_equal(e->n_tokens, e->chosen_cut ? 1 : 2);
    }
    add_example(b, "new", other, "ended", 60);
    fill(b, "shuffled");
    assert_int_equal(b->arm.examples.n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(b->arm.examples.items[i].chosen_cut, strcmp(b->arm.examples.items[i].chosen, "taught") == 0);
    bench_free(b);
    b = bench_new("dpo");
    for (size_t i = 0; i < 20; i++) {
        example *e = add_example(b, "new", add_query(b, cells[0], "which?"), "good", 3);
        e->rejected = "bad";
        e->rejected_cut = true;
    }
    fill(b, "random_labels");
    for (size_t i = 0; i < 20; i++) {
        const example *e = &b->arm.examples.items[i];
        const bool turned = strcmp(e->chosen, "bad") == 0;
        assert_true(e->chosen_cut == turned && e->rejected_cut == !turned && e->n_tokens == (turned ? 1 : 3));
    }
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_labels__fill_the_room_to_the_last_token),
        cmocka_unit_test(arms__what_is_cut_off__has_no_end),
        cmocka_unit_test(random_labels__take_cells_in_turn_and_nothing_twice),
        cmocka_unit_test(random_labels__keep_clear_of_evaluations),
        cmocka_unit_test(random_labels__of_pairs__turn_both_sides),
        cmocka_unit_test(shuffled__answers_stay_among_their_own),
        cmocka_unit_test(real_only__repeats_answers_and_not_the_prose),
        cmocka_unit_test(real_only__prose_alone_is_none),
        cmocka_unit_test(real_only__before_rules_14__repeats_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

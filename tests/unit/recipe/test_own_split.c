/* Which rows of the user's own go to one side, and which side that is. */
#include "recipe/own_split.h"
#include "test.h"
#include <stdlib.h>
#include <string.h>

static void split(own_text *rows, size_t n) {
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_ok(ctx, own_split(ctx, rows, n));
    agon_ctx_free(ctx);
}

static bool together(const char *a, const char *b) {
    own_text rows[] = {{.text = "Where does the long river end?"}, {.text = a}, {.text = b}};
    split(rows, 3);
    assert_true(rows[0].with == 0 && rows[1].with == 1);
    assert_true(rows[2].with == 2 || rows[1].held_out == rows[2].held_out);
    return rows[2].with == 1;
}

static void own_split__rows_that_ask_the_same__go_together(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"What is the capital of France?", "What is the capital of France"},
        {"What is the capital of France?", " what is the  CAPITAL of france ?"},
        {"What is the capital of France?", "What's the capital of France?"},
        {"What is 17 * 23?", "17*23?"},
        {"Who wrote the novel that is called War Games?", "Who wrote the novel which is called War Games?"},
        {"Stra\xc3\x9f"
         "e?",
         "STRASSE"},
        {"\xef\xac\x81nd \xef\xbc\x97 things", "Find 7 things"}, /* a ligature and a wide digit */
        {"The little dog runs over the bridge to its friend. Who runs?", "The little dogs runs over the bridge to its friend. Who runs?"}, /* 5-grams */
        {"\xe5\xb7\xb4\xe9\xbb\x8e\xef\xbc\x9f", "\xe5\xb7\xb4\xe9\xbb\x8e"},
    };
    static const char *const other[][2] = {
        {"What is the capital of France?", "What is the capital of Germany?"},
        {"How many apples are left when Tom has 17 and eats 3 of them?", "How many apples are left when Tom has 18 and eats 3 of them?"},
        {"???", "!!!"},
        {"What is that?", "Who are you?"},
        {"ab", "abc"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!together(same[i][0], same[i][1]))
            fail_msg("'%s' and '%s' were parted", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (together(other[i][0], other[i][1]))
            fail_msg("'%s' and '%s' were joined", other[i][0], other[i][1]);
}

static void own_split__groups_and_chains__are_one_side_in_any_order(void **state) {
    (void)state;
    enum { N = 6 };
    static const own_text all[N] = {{.text = "Where does it end?", .group = "river"}, {.text = "Who built the bridge?"}, {.text = "who built the bridge", .group = "river"},
                                    {.text = "How long is it?", .group = "river"},    {.text = "How long is it, then?", .group = "road"}, {.text = "Is it far?", .group = "road"}};
    own_text rows[N], turned[N];
    memcpy(rows, all, sizeof all);
    split(rows, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rows[i].with, i < 4 ? 0 : 4);
        turned[i] = all[N - 1 - i];
    }
    split(turned, N);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(turned[i].held_out, rows[N - 1 - i].held_out);
}

/* A file of one template: its fillings are tasks of their own. */
static void own_split__a_template__is_no_duplicate_of_itself(void **state) {
    (void)state;
    enum { N = 300 };
    static char texts[N][160];
    own_text rows[N];
    size_t held_out = 0;
    for (size_t i = 0; i < N; i++) {
        snprintf(texts[i], sizeof texts[i], "Answer with one word and nothing else, in capital letters: which animal says %c%c%c%c?", (int)('a' + i % 26), (int)('b' + i / 26),
                 (int)('c' + i * 7 % 23), (int)('z' - i % 11));
        rows[i] = (own_text){.text = texts[i]};
    }
    split(rows, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rows[i].with, i);
        assert_int_equal(rows[i].held_out, recipe_holds_out(texts[i]));
        held_out += rows[i].held_out;
    }
    assert_in_range(held_out, 35, 85);
}

/* Against the definition, pair by pair, on short random texts of few letters. */
static bool has_gram(const char *text, const char *gram) {
    for (; strlen(text) >= 5; text++)
        if (strncmp(text, gram, 5) == 0)
            return true;
    return false;
}

static size_t distinct(const char *a, const char *b, size_t *shared) { /* 5-grams of a; those that b has too */
    size_t n = 0;
    *shared = 0;
    for (const char *p = a; strlen(p) >= 5; p++) {
        bool before = false;
        for (const char *q = a; q < p && !before; q++)
            before = strncmp(q, p, 5) == 0;
        n += !before;
        *shared += !before && has_gram(b, p);
    }
    return n;
}

static void own_split__random_texts__are_joined_as_defined(void **state) {
    (void)state;
    enum { N = 18, LENGTH = 24 }; /* no 5-gram is common among so few */
    size_t n_joined = 0;
    srand(7);
    for (int round = 0; round < 60; round++) {
        char texts[N][LENGTH + 1];
        own_text rows[N];
        size_t root[N];
        for (size_t i = 0; i < N; i++) {
            for (size_t k = 0; k < LENGTH; k++)
                texts[i][k] = (char)('m' + rand() % 9);
            texts[i][LENGTH] = 0;
            if (i > 0 && rand() % 2) { /* another one with a letter changed near an end */
                memcpy(texts[i], texts[rand() % (int)i], sizeof texts[i]);
                texts[i][rand() % 2 ? rand() % 4 : LENGTH - 1 - rand() % 4] = 'z';
            }
            rows[i] = (own_text){.text = texts[i]};
            root[i] = i;
        }
        for (size_t pass = 0; pass < N; pass++) /* the least of those that hang together */
            for (size_t a = 0; a < N; a++)
                for (size_t b = 0; b < N; b++) {
                    size_t shared, back;
                    const size_t n_a = distinct(texts[a], texts[b], &shared), n_b = distinct(texts[b], texts[a], &back);
                    if (5 * shared >= 4 * (n_a + n_b - shared) && root[b] < root[a])
                        root[a] = root[b];
                }
        split(rows, N);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(rows[i].with, root[i]);
            n_joined += root[i] != i;
        }
    }
    assert_in_range(n_joined, 100, 800);
}

static void own_split__nothing__is_split(void **state) {
    (void)state;
    split(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_split__rows_that_ask_the_same__go_together),
        cmocka_unit_test(own_split__groups_and_chains__are_one_side_in_any_order),
        cmocka_unit_test(own_split__a_template__is_no_duplicate_of_itself),
        cmocka_unit_test(own_split__random_texts__are_joined_as_defined),
        cmocka_unit_test(own_split__nothing__is_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

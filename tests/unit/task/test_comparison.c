/* Comparing and sorting: what counts as an answer. */
#include "test.h"
#include "task/task.h"

static task_query query(agon_ctx *ctx, const char *cell, const char *text, const char *items, const char *gold) {
    char json[1024];
    snprintf(json, sizeof json,
             "{\"text\":\"%s\",\"family\":\"comparison\",\"cell\":\"%s\",\"perturbation\":\"none\",\"seed\":\"1\","
             "\"parameters\":{\"items\":%s,\"gold\":%s},\"keep\":[]}",
             text, cell, items, gold);
    json_t *row = json_loads(json, 0, NULL);
    assert_non_null(row);
    task_query q = {0};
    assert_ok(ctx, task_query_read(ctx, "row", row, &q));
    json_decref(row);
    return q;
}

typedef struct example {
    const char *response;
    bool right;
} example;

static void judge(const char *cell, const char *text, const char *items, const char *gold, const example *examples) {
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query(ctx, cell, text, items, gold);
    for (; examples->response; examples++) {
        task_verdict v = {0};
        assert_ok(ctx, task_verify(ctx, &q, examples->response, &v));
        if ((v.outcome == OUTCOME_PASS) != examples->right)
            fail_msg("'%s' %s: %s", examples->response, examples->right ? "is right" : "is wrong", v.evidence);
        task_verdict_free(&v);
    }
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_larger(void **state) {
    (void)state;
    const example examples[] = {
        {"98", true},
        {"The larger number is 98.", true},
        {"98 is larger than 45.", true},
        {"**98** is the larger number of 45 and 98.", true},
        {"45 is smaller than 98.", true},
        {"98 > 45", true},
        {"45 < 98", true},
        {"The answer is 98.", true},
        {"45", false},
        {"45 is larger than 98.", false},
        {"45 > 98", false},
        {"98 < 45", false},
        {"45 or 98", false},
        {"98 or 45", false},
        {"45, 98", false},
        {"98 is larger than 45. 45 is larger than 98.", false},
        {"98 is larger. The answer is 45.", false},
        {"98 > 45, so 98.", true},
        {"The larger number is 98.", true},
        {"9 > 4, so 98 > 45.", true},
        {"Of 98 and 45, 98 is larger.", true},
        {"The smaller number is 45. The larger number is 98.", true},
        {"98 > 45, so 45", false},
        {"45 > 98, so 98", false},
        {"98 is larger than 45. So the final choice is 45.", false},
        {"98 > 45\n45", false},
        {"98 is larger than 45. The larger number is 45.", false},
        {"The larger number is 98 or 45.", false},
        {"The larger number is 98 and 45.", false},
        {"45 or 98 is larger.", false},
        {"98 is smaller.", false},
        {"The smaller number is 98.", false},
        {"45 is smaller, so the larger number is 98.", true},
        {"98 is less than 100 but larger than 45. It is 98", true},
        {"98, because it is larger than 45.", true},
        {"98 because it exceeds 45.", true},
        {"98. It is larger than 45.", true},
        {"98. It's larger than 45.", true},
        {"98 (larger than 45)", true},
        {"**98**, since 98 is greater than 45.", true},
        {"98 exceeds 45.", true},
        {"98\nBecause 45 is smaller.", true},
        {"45 is not larger than 98.", true},
        {"45, because it is larger than 98.", false},
        {"45 (larger than 98)", false},
        {"I choose 45. It is larger than 98.", false},
        {"I choose 45, which is larger than 98.", false},
        {"45 exceeds 98", false},
        {"45, because it exceeds 98", false},
        {"98 is not larger.", false},
        {"98 isn't larger than 45.", false},
        {"98. No, 45 is larger.", false},
        {"Of 45 and 98, which is larger?", false},
        {"98. No, 45", false},
        {"98\n45", false},
        {"98, because 45 is larger than 98", false},
        {"neither", false},
        {"", false},
        {NULL, false},
    };
    judge("larger_of_two", "Which is larger, 45 or 98?", "[45,98]", "98", examples);
}

static void test_smallest(void **state) {
    (void)state;
    const example examples[] = {
        {"12", true},
        {"12 is the smallest number in the list 45, 12, 98.", true},
        {"45 is smaller than 98, and 12 is smaller than 45.", true},
        {"98 is the largest, 12 is the smallest", true},
        {"12 is the smallest. 45 is the smallest.", false},
        {"12, 45, 98", false},
        {"98, 45, 12", false},
        {"45", false},
        {NULL, false},
    };
    judge("smallest_number", "What is the smallest number: 45, 12, 98?", "[45,12,98]", "12", examples);
}

/* Comparisons in a row lead to the one that nothing beats. */
static void test_chains(void **state) {
    (void)state;
    const example largest[] = {
        {"89 > 67 > 45, so the largest number is 89.", true},
        {"89 > 67 > 45", true},
        {"89 is greater than 67, and 67 is greater than 45. Therefore, the largest number is 89.", true},
        {"89 is greater than 67, and 67 is greater than 45.", true},
        {"67 is larger than 45. So the largest number is 89.", true},
        {"67 is larger than 45 and 89 is larger than 67.", true},
        {"67 is larger than 45, and 67 is smaller than 89.", true},
        {"67 is greater than 45 and 89 is the greatest.", true},
        {"The largest of 67, 89 and 45 is 89.", true},
        {"Comparing 67 and 45, the larger number is 67. Comparing 67 and 89, the larger number is 89.", true},
        {"89 is the largest, and 45 is the smallest.", true},
        {"The largest number is 89, and 45 is the smallest.", true},
        {"45 < 67 < 89", true},
        {"89 > 67 > 45, so the largest number is 67.", false},
        {"89 > 67 > 45, so 67.", false},
        {"67 > 45. The smallest is 89.", false},
        {"The smallest number is 89.", false},
        {"89 is the smallest.", false},
        {"89 is the largest. 89 is the smallest.", false},
        {"The smallest number is 45. The largest number is 89.", true},
        {"67 is larger than 45.", false},
        {"89 > 67. 67 > 89.", false},
        {"The largest number is 89 or 67.", false},
        {"The largest number is 89, 67.", false},
        {"The largest number is 89. The largest number is 67.", false},
        {"89, because it is larger than 67 and 45.", true},
        {"89. It is the largest of 67, 89 and 45.", true},
        {"89 is the largest, 67 is the second largest.", true},
        {"The second largest number is 67, and the largest is 89.", true},
        {"45, because 89 is bigger than 67 and 45.", false},
        {"The second largest number is 89.", false},
        {"89 is the second largest.", false},
        {"89 is not the largest.", false},
        {"89 is the largest. 67 is larger than 89.", false},
        {NULL, false},
    };
    judge("largest_number", "Which number is the largest: 67, 89, 45?", "[67,89,45]", "89", largest);
    const example smallest[] = {
        {"45 < 67 < 89, so the smallest number is 45.", true},
        {"45 is less than 67, and 67 is less than 89, so the smallest is 45.", true},
        {"67 is less than 89. 45 is less than 67.", true},
        {"45 < 67 < 89, so the smallest number is 67.", false},
        {"67 < 89, so the lowest is 67.", false},
        {NULL, false},
    };
    judge("smallest_number", "Which number is the smallest: 67, 89, 45?", "[67,89,45]", "45", smallest);
}

static void test_words(void **state) {
    (void)state;
    const example examples[] = {
        {"apple, kiwi, pear", true},
        {"Apple, kiwi and pear.", true},
        {"1. apple\n2. kiwi\n3. pear", true},
        {"- apple\n- kiwi\n- pear\n", true},
        {"apple\nkiwi\npear", true},
        {"The words in alphabetical order are: **apple**, **kiwi**, **pear**.", true},
        {"Unsorted: pear, apple, kiwi\nSorted: apple, kiwi, pear", true},
        {"apple, kiwi, pear. The first word is apple.", true},
        {"pear, apple, kiwi", false},
        {"apple, pear, kiwi", false},
        {"apple, kiwi", false},
        {"apple, kiwi, pear, apple", false},
        {"apple, banana, kiwi, pear", false},
        {"apple, apple, kiwi, pear", false},
        {"apple, kiwi, pear, zebra.", false},
        {"zebra, apple, kiwi, pear", false},
        {"Sure, apple, kiwi, pear", true},
        {"Alphabetically, apple, kiwi, pear", true},
        {"In order, apple, kiwi, pear", true},
        {"not apple, kiwi, pear", false},
        {"kiwi, apple, pear or apple, kiwi, pear", false},
        {"pear, apple, kiwi or apple, kiwi, pear", false},
        {"apple, kiwi, pear or pear, apple, kiwi", false},
        {"apple, pear, kiwi\nkiwi, apple, pear\nkiwi, pear, apple\npear, kiwi, apple\napple, kiwi, pear", false},
        {"apples, kiwis, pears", false},
        {"“apple”, “kiwi”, “pear”", true},
        {"‘apple’ → ‘kiwi’ → ‘pear’", true},
        {"applé, kiwi, pear", false},
        {"apple, éclair, kiwi, pear", false},
        {"", false},
        {NULL, false},
    };
    judge("sort_three_words", "Sort these words alphabetically: pear, apple, kiwi", "[\"pear\",\"apple\",\"kiwi\"]",
          "[\"apple\",\"kiwi\",\"pear\"]", examples);
}

/* Signs, decimals, relations and what stands before a list. */
static void test_number_lists(void **state) {
    (void)state;
    const example up[] = {
        {"45, 67, 89", true},
        {"45,67,89", true},
        {"45 < 67 < 89", true},
        {"45 -> 67 -> 89", true},
        {"45 => 67 => 89", true},
        {"- 45\n- 67\n- 89", true},
        {"45 < 67 and 67 < 89, so 45, 67, 89", true},
        {"The 3 numbers in order: 45, 67, 89.", true},
        {"In order, 45, 67, 89.", true},
        {"It is not 89, 67, 45 but 45, 67, 89.", true},
        {"-45, -67, -89", false},
        {"\xE2\x88\x92" "45, 67, 89", false},
        {"0.45, 67, 89", false},
        {".45, 67, 89", false},
        {"45, 67, 89.5", false},
        {"45.67.89", false},
        {"45/67/89", false},
        {"45 > 67 > 89", false},
        {"45 \xE2\x89\xA5 67 \xE2\x89\xA5 89", false},
        {"12, 45, 67, 89", false},
        {"12 45 67 89", false},
        {"12 and 45, 67, 89", false},
        {"45, 45, 67, 89", false},
        {"45, 67, 89 and 98", false},
        {"not 45, 67, 89", false},
        {"45, 67, 89 is wrong", false},
        {NULL, false},
    };
    judge("sort_three_numbers", "Sort in ascending order: 89, 45, 67", "[89,45,67]", "[45,67,89]", up);
    const example down[] = {
        {"89 > 67 > 45", true}, {"89 < 67 < 45", false}, {"89, 67, 45", true}, {"89, 67, 45, -1", false}, {NULL, false},
    };
    judge("sort_three_numbers_descending", "Sort in descending order: 45, 89, 67", "[45,89,67]", "[89,67,45]", down);
}

static void test_numbers(void **state) {
    (void)state;
    const example examples[] = {
        {"98, 45, 12, 7", true},
        {"1. 98\n2. 45\n3. 12\n4. 7", true},
        {"98 > 45 > 12 > 7", true},
        {"98,45,12,7", true},
        {"In descending order: 98, 45, 12 and 7.", true},
        {"7, 12, 45, 98", false},
        {"98, 45, 12", false},
        {"98, 45, 7, 12", false},
        {"98, 45, 12, 7, 3", false},
        {"98, 45, 12, 7, as asked", true},
        {"98, 50, 45, 12, 7", false},
        {"98 → 45 → 12 → 7", true},
        {"• 98\n• 45\n• 12\n• 7", true},
        {"98 – 45 – 12 – 7", true},
        {"98 ≥ 45 ≥ 12 ≥ 7", true},
        {"98 → 12 → 45 → 7", false},
        {NULL, false},
    };
    judge("sort_numbers_descending", "Sort from largest to smallest: 12, 98, 7, 45", "[12,98,7,45]", "[98,45,12,7]",
          examples);
}

static void test_evidence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query(ctx, "sort_three_words", "Sort: pear, apple, kiwi", "[\"pear\",\"apple\",\"kiwi\"]",
                         "[\"apple\",\"kiwi\",\"pear\"]");
    task_verdict v = {0};
    assert_ok(ctx, task_verify(ctx, &q, "It is apple, pear, kiwi.", &v));
    assert_string_equal(v.evidence, "puts pear before kiwi, which is not in alphabetical order: in alphabetical order "
                                    "it is apple, kiwi, pear");
    assert_string_equal(v.masked, "puts pear before kiwi, which is not in alphabetical order");
    assert_string_equal(v.quote, "apple, pear, kiwi");
    assert_int_equal(v.span_start, 6);
    task_verdict_free(&v);
    task_query_free(&q);
    q = query(ctx, "larger_of_two", "Which is larger, 45 or 98?", "[45,98]", "98");
    assert_ok(ctx, task_verify(ctx, &q, "I say 45.", &v));
    assert_string_equal(v.evidence, "says 45, but the larger of 45 and 98 is 98");
    assert_string_equal(v.masked, "says 45, which is not the larger");
    task_verdict_free(&v);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_hostile_parameters(void **state) {
    (void)state;
    static const struct {
        const char *cell, *parameters;
    } rows[] = {
        {"larger_of_two", "{\"items\":[45],\"gold\":45}"},
        {"larger_of_two", "{\"items\":[45,98,3],\"gold\":98}"},
        {"larger_of_two", "{\"items\":[45,98],\"gold\":45}"},
        {"larger_of_two", "{\"items\":[45,45],\"gold\":45}"},
        {"larger_of_two", "{\"items\":[45,98000],\"gold\":98000}"},
        {"larger_of_two", "{\"items\":[45,-98],\"gold\":45}"},
        {"larger_of_two", "{\"items\":{\"a\":1},\"gold\":45}"},
        {"sort_three_words", "{\"items\":[\"b\",\"aa\",\"cc\"],\"gold\":[\"aa\",\"b\",\"cc\"]}"},
        {"sort_three_words", "{\"items\":[\"aa\",\"bb\",\"cc\"],\"gold\":[\"aa\",\"bb\",\"cc\"]}"},
        {"sort_three_words", "{\"items\":[\"bb\",\"aa\",\"cc\"],\"gold\":[\"bb\",\"aa\",\"cc\"]}"},
        {"sort_three_words", "{\"items\":[\"bb\",\"a{}a\",\"cc\"],\"gold\":[]}"},
        {"sort_three_words",
         "{\"items\":[\"bb\",\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"cc\"],\"gold\":[]}"},
        {"sort_three_words", "{\"items\":[3,2,1],\"gold\":[1,2,3]}"},
        {"sort_three_words", "{}"},
        {"sort_three_words", "{\"items\":[\"dd\",\"aa\",\"cc\"],\"gold\":[\"aa\",\"cc\",\"dd\"]}"}, /* not in the text */
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[1024];
        snprintf(json, sizeof json,
                 "{\"text\":\"bb aa cc 45 98\",\"family\":\"comparison\",\"cell\":\"%s\",\"perturbation\":\"none\","
                 "\"seed\":\"1\",\"parameters\":%s}",
                 rows[i].cell, rows[i].parameters);
        json_t *row = json_loads(json, 0, NULL);
        assert_non_null(row);
        task_query q = {0};
        if (task_query_read(ctx, "row", row, &q) == AGON_OK)
            fail_msg("accepted %s", rows[i].parameters);
        json_decref(row);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_larger),   cmocka_unit_test(test_smallest), cmocka_unit_test(test_words),
        cmocka_unit_test(test_chains),   cmocka_unit_test(test_number_lists),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_evidence), cmocka_unit_test(test_hostile_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which number of a text is its answer, and whether it is meant. */
#include "vectors.h"
#include "task/number.h"

static void check_vector(const json_t *c, double tol) {
    (void)tol;
    const char *text = json_string_value(json_object_get(c, "text"));
    const char *want = json_string_value(json_object_get(c, "value"));
    rational r;
    size_t start, end;
    bool found = parse_number(text, &r, &start, &end);
    if (found != (want != NULL))
        fail_msg("'%s': %s", text, found ? "found a number" : "found none");
    if (want) {
        char got[48];
        rational_text(r, got, sizeof got);
        assert_string_equal(got, want);
        assert_true(start < end && end <= strlen(text));
    }
}

static void test_vectors(void **state) {
    (void)state;
    vectors_each("parse_number", check_vector);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *text, *value; /* NULL: no number */
    } cases[] = {
        {"42 + 25 = 67", "67"},
        {"The answer is 42 + 25 = 67.", "67"},
        {"The answer is 67 = 42 + 25.", "67"},
        {"34 * 7 = 210 + 28 = 238", "238"},
        {"The answer is:\n\n**67**", "67"},
        {"The answer is not 5. It is 6", "6"},
        {"The answer isn't 5. It is 6", "6"},
        {"\\(42 \\times 2 = \\boxed{84}\\)", "84"},
        {"\\boxed{1} then \\boxed{x = {2}} and 3", "2"},
        {"42 - 25 = 17", "17"},
        {"42-25", "25"},
        {"It is 67, not 57.", "67"},
        {"It is not 57.", "57"},
        {"It is 57 rather than 67.", "57"},
        {"it is -3", "-3"},
        {"it is \xE2\x88\x92" "3", "-3"},
        {"-$3.50", "-7/2"},
        {"12,345,678", "12345678"},
        {"1,23", "23"},
        {"12,3456", "3456"},
        {"007", "7"},
        {"0.0", "0"},
        {"3/0", "0"},
        {"6/4", "3/2"},
        {"R2D2", NULL},
        {"", NULL},
        {"123456789012345678", "123456789012345678"},
        {"1234567890123456789", NULL},
        {"#### none here\n9", "9"},
        {"6x7=42", "42"},
        {"\xff\xfe 5 \xc3", "5"},
        {"0.1234567890123456789012345", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rational r;
        size_t start, end;
        char got[48] = "none";
        if (parse_number(cases[i].text, &r, &start, &end))
            rational_text(r, got, sizeof got);
        if (strcmp(got, cases[i].value ? cases[i].value : "none") != 0)
            fail_msg("'%s' gives %s, not %s", cases[i].text, got, cases[i].value);
    }
}

static void test_claims(void **state) {
    (void)state;
    static const struct {
        const char *text;
        number_finding finding;
    } cases[] = {
        {"67", NUMBER_SAID},
        {"42 + 25 = 67", NUMBER_SAID},
        {"  42\n+ 25\n----\n  67", NUMBER_SAID},
        {"40 + 20 = 60, 2 + 5 = 7, 60 + 7 = 67", NUMBER_SAID},
        {"It is 67, so 67.", NUMBER_SAID},
        {"For Tom: 12 and for Ann 67", NUMBER_SAID},
        {"- 67", NUMBER_SAID},
        {"It is 66 or 67", NUMBER_LISTED},
        {"The answer is 67 or 66.", NUMBER_LISTED},
        {"The answer is 67, 68, 69", NUMBER_LISTED},
        {"The answer is 67 and 68", NUMBER_LISTED},
        {"The answer is **67**, **68**.", NUMBER_LISTED},
        {"The answer is 67, and 68.", NUMBER_LISTED},
        {"#### 67, 68", NUMBER_LISTED},
        {"The answer is 67 68 69", NUMBER_LISTED},
        {"The answer is 67 to 69.", NUMBER_LISTED},
        {"The answer is 67 & 69", NUMBER_LISTED},
        {"The answer is 67\n2. That is all.", NUMBER_SAID},
        {"The answer is 67? No, 68.", NUMBER_LISTED},
        {"The answer is 3,400", NUMBER_SAID},
        {"The answer is 3,400.", NUMBER_SAID},
        {"#### 3,400", NUMBER_SAID},
        {"The answer is 67, and 4 more are red.", NUMBER_SAID},
        {"The answer is 67 and 4 boxes stay empty.", NUMBER_SAID},
        {"The answer is 67, which is 4 less than 71.", NUMBER_SAID},
        {"The answer is 67. There are 5 of them.", NUMBER_SAID},
        {"The answer is 67, 67.", NUMBER_SAID},
        {"The answer is 67?", NUMBER_SAID},
        {"65, 66, 67", NUMBER_LISTED},
        {"65 66 67", NUMBER_LISTED},
        {"65\n66\n67", NUMBER_LISTED},
        {"between 66 and 67", NUMBER_LISTED},
        {"66? 67?", NUMBER_LISTED},
        {"42 + 25", NUMBER_UNEVALUATED},
        {"The answer is 42 + 25.", NUMBER_UNEVALUATED},
        {"60-67", NUMBER_UNEVALUATED},
        {"What is 84/4?", NUMBER_UNEVALUATED},
        {"It is not 67", NUMBER_NEGATED},
        {"The answer isn't 67.", NUMBER_NEGATED},
        {"It isn’t 67.", NUMBER_NEGATED},
        {"It is neither 66 nor 67.", NUMBER_NEGATED},
        {"It is not equal to 67.", NUMBER_NEGATED},
        {"67 is not the answer.", NUMBER_NEGATED},
        {"67 is wrong.", NUMBER_NEGATED},
        {"It is 57 rather than 67.", NUMBER_SAID},
        {"Anything instead of 67.", NUMBER_NEGATED},
        {"It is 67, not 57.", NUMBER_SAID},
        {"It is 67 and not 57 or the like.", NUMBER_SAID},
        {"The answer isn\xE2\x80\x99t 67.", NUMBER_NEGATED},
        {"The answer isn't 66. It is 67.", NUMBER_SAID},
        {"none", NUMBER_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        number_answer a = number_find(cases[i].text);
        if (a.finding != cases[i].finding)
            fail_msg("'%s': finding %d, not %d", cases[i].text, (int)a.finding, (int)cases[i].finding);
    }
    number_answer a = number_find("It is 66 or 67");
    assert_int_equal(a.start, 12);
    assert_int_equal(a.other_start, 6);
}

static void test_equations(void **state) {
    (void)state;
    equation e;
    assert_true(equation_next("so 3 * 4 = 13.", 0, &e));
    assert_int_equal(e.a, 3);
    assert_int_equal(e.c, 13);
    assert_false(equation_true(&e));
    assert_true(equation_next("1 + 2 + 3 = 6, 5 - 3 = 2", 0, &e)); /* a chain is not judged */
    assert_int_equal(e.a, 5);
    assert_true(equation_true(&e));
    assert_true(equation_next("34 * 7 = 210 + 28 = 238", 0, &e)); /* its last link stands alone */
    assert_int_equal(e.a, 210);
    assert_true(equation_next("84 \xC3\xB7 4 = 21", 0, &e));
    assert_true(equation_true(&e));
    assert_true(equation_next("1 / 0 = 0", 0, &e));
    assert_false(equation_true(&e));
    assert_false(equation_next("", 0, &e));
}

static void test_two_ways_agree(void **state) {
    (void)state;
    for (int64_t a = 0; a < 130; a++)
        for (int64_t b = 0; b < 130; b++)
            for (const char *op = "+-*/"; *op; op++) {
                int64_t x = -1, y = -1;
                bool fast = number_apply(a, *op, b, &x) && x >= 0;
                bool slow = number_apply_slowly(a, *op, b, &y);
                if (fast != slow || (fast && x != y))
                    fail_msg("%d %c %d: %d and %d", (int)a, *op, (int)b, (int)x, (int)y);
            }
    int64_t x;
    assert_false(number_apply(INT64_MAX, '+', 1, &x));
    assert_false(number_apply(INT64_MIN, '/', -1, &x));
    assert_false(number_apply(1, '/', 0, &x));
    assert_false(number_apply_slowly(1000000000, '+', 1, &x));
}

static void test_numbers_of_a_text(void **state) {
    (void)state;
    const int64_t numbers[] = {42, 25};
    assert_true(text_has_numbers("Add 25 to 42.", numbers, 2));
    assert_true(text_has_numbers("What is 42/25?", numbers, 2));
    assert_true(text_has_numbers("Add 25 to forty-two.", numbers, 2));
    assert_true(text_has_numbers("Sort these three: 25, 42.", numbers, 2));
    assert_false(text_has_numbers("Add 25 to forty-three.", numbers, 2));
    assert_false(text_has_numbers("Add 25 to 43.", numbers, 2));
    assert_false(text_has_numbers("Add 25 to 42 and 1.", numbers, 2));
    assert_false(text_has_numbers("Add 25.", numbers, 2));
    assert_false(text_has_numbers("Add 42 to 42.", numbers, 2));
    size_t n;
    char *text = text_replace_number("1234 is 1,234, not 12345", 1234, 1235, &n);
    assert_string_equal(text, "1235 is 1,235, not 12345");
    assert_int_equal(n, 2);
    free(text);
}

/* Nothing a response holds may read outside it; run under a sanitizer this walks every edge. */
static void test_any_bytes(void **state) {
    (void)state;
    static const char alphabet[] = "0123456789.,/-+*x=$ \n#{}\\oranswer is\xE2\x88\x92";
    uint64_t s = 1;
    for (int i = 0; i < 20000; i++) {
        char *text = malloc(25);
        size_t n = (size_t)(i % 24);
        for (size_t k = 0; k < n; k++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            text[k] = alphabet[(s >> 33) % (sizeof alphabet - 1)];
        }
        text[n] = 0;
        number_answer a = number_find(text);
        if (a.finding != NUMBER_NONE)
            assert_true(a.start < a.end && a.end <= n);
        equation e;
        for (size_t at = 0; equation_next(text, at, &e); at = e.end)
            assert_true(e.end <= n && e.end > at);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_claims),         cmocka_unit_test(test_equations),
        cmocka_unit_test(test_two_ways_agree), cmocka_unit_test(test_numbers_of_a_text),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* parse.h against its vectors. */
#include "vectors.h"
#include "role/parse.h"

static void check_rating(const json_t *c, double tol) {
    (void)tol;
    const json_t *want = json_object_get(c, "value");
    double value = -1;
    bool ok = parse_rating(json_string_value(json_object_get(c, "text")), vectors_number(c, "lo"),
                           vectors_number(c, "hi"), &value);
    assert_int_equal(ok, !json_is_null(want));
    if (ok)
        assert_true(value == json_number_value(want));
}

static void check_verdict(const json_t *c, double tol) {
    (void)tol;
    const char *want = json_string_value(json_object_get(c, "value"));
    assert_int_equal(parse_verdict(json_string_value(json_object_get(c, "text"))),
                     want ? want[0] : 0);
}

static void parse__ratings_match_vectors(void **state) {
    (void)state;
    vectors_each("parse_rating", check_rating);
}

static void parse__verdicts_match_vectors(void **state) {
    (void)state;
    vectors_each("parse_verdict", check_verdict);
}

static void parse__only_plain_decimals_rate(void **state) {
    (void)state;
    double v = -1;
    assert_false(parse_rating("[[nan]]", 1, 10, &v));
    assert_false(parse_rating("[[inf]]", 1, 1e300, &v));
    assert_false(parse_rating("[[0x5]]", 1, 10, &v));
    assert_false(parse_rating("[[5] ]", 1, 10, &v));
    assert_false(parse_rating("[[7]] no, [[12]]", 1, 10, &v)); /* the last number decides */
    assert_true(v == -1);
    assert_true(parse_rating("[[[4]]", 1, 10, &v) && v == 4);
}

static void parse__yes_no_takes_the_last(void **state) {
    (void)state;
    assert_int_equal(parse_yes_no("[[Yes]] ... but [[No]]"), 0);
    assert_int_equal(parse_yes_no("Correct: [[ Yes ]]"), 1);
    assert_int_equal(parse_yes_no("Yes"), -1);
    assert_int_equal(parse_yes_no("[[yes]]"), -1);
}

static void parse__likelihood_is_a_softmax(void **state) {
    (void)state;
    double p[2] = {-1, -1};
    const double s[] = {-1000, -1000 - log(3)}, bad[] = {-1, NAN};
    assert_true(parse_likelihood(s, 2, p));
    assert_close(p[0], 0.75, 1e-12);
    assert_close(p[1], 0.25, 1e-12);
    p[0] = -1;
    assert_false(parse_likelihood(bad, 2, p));
    assert_true(p[0] == -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__ratings_match_vectors),
        cmocka_unit_test(parse__verdicts_match_vectors),
        cmocka_unit_test(parse__only_plain_decimals_rate),
        cmocka_unit_test(parse__yes_no_takes_the_last),
        cmocka_unit_test(parse__likelihood_is_a_softmax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

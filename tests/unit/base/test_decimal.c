/* Numbers as text do not follow the locale. */
#include "base/buffer.h"
#include "base/decimal.h"
#include "test.h"
#include <locale.h>

/* A locale of this machine whose decimal point is a comma. */
static bool enter_comma(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR", "nl_NL.UTF-8", "it_IT.UTF-8", "es_ES.UTF-8", "pl_PL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_NUMERIC, names[i]) && strcmp(localeconv()->decimal_point, ",") == 0)
            return true;
    return false;
}

static void expect_points(void) {
    char text[64], *end;
    assert_int_equal(decimal_print(text, sizeof text, "%.17g|%d", 0.5, 7), 5);
    assert_string_equal(text, "0.5|7");
    assert_true(decimal_read("2.25x", &end) == 2.25 && *end == 'x');
    assert_true(decimal_read("9,5", &end) == 9 && *end == ',');
    buffer b = {0};
    assert_true(buffer_printf(&b, "%.2f %s", 1.25, "a"));
    assert_string_equal(b.data, "1.25 a");
    buffer_free(&b);
}

static void decimal__has_a_point(void **state) {
    (void)state;
    expect_points();
}

static void decimal__has_a_point_where_the_locale_has_a_comma(void **state) {
    (void)state;
    if (!enter_comma())
        skip(); /* no such locale is installed */
    expect_points();
    char text[64];
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5"); /* the caller's locale is as it was */
    setlocale(LC_NUMERIC, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal__has_a_point),
        cmocka_unit_test(decimal__has_a_point_where_the_locale_has_a_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

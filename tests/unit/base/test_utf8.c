/* utf8.h: anything becomes text that JSON takes. */
#include "test.h"
#include "base/utf8.h"

static void utf8_repair__keeps_characters_and_replaces_each_other_byte(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } cases[] = {
        {"", 0, ""},
        {"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd"},              /* cut inside a character */
        {"\xe2\x82\xac", 2, "\xef\xbf\xbd\xef\xbf\xbd"},          /* the byte after the end is not read */
        {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd"},              /* too long a form */
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half of a surrogate pair */
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a\0b", 3, "a\xef\xbf\xbd" "b"},
        {"a\xff" "b", 3, "a\xef\xbf\xbd" "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = utf8_repair(cases[i].in, cases[i].n);
        assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void utf8_json__takes_any_path_and_null(void **state) {
    (void)state;
    json_t *j = json_pack("{s:o,s:o}", "path", utf8_json("mod\xe9les/1"), "none", utf8_json(NULL));
    assert_string_equal(json_string_value(json_object_get(j, "path")), "mod\xef\xbf\xbdles/1");
    assert_true(json_is_null(json_object_get(j, "none")));
    json_decref(j);
}

static void utf8_cut__falls_between_characters(void **state) {
    (void)state;
    static const char text[] = "a\xc3\xa9\xe2\x82\xac";
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6};
    for (size_t most = 0; most < sizeof kept / sizeof *kept; most++)
        assert_int_equal(utf8_cut(text, most), kept[most]);
    assert_int_equal(utf8_cut("", 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_repair__keeps_characters_and_replaces_each_other_byte),
        cmocka_unit_test(utf8_cut__falls_between_characters),
        cmocka_unit_test(utf8_json__takes_any_path_and_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

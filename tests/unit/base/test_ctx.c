/* ctx.h: the recorded sentence is one line of UTF-8 that is safe on a terminal, whatever it quotes. */
#include "test.h"
#include "base/ctx.h"

static void ctx_fail__shows_what_a_terminal_must_not_get(void **state) {
    agon_ctx *ctx = *state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"caf\xc3\xa9 \xe6\x97\xa5\xf0\x9f\x98\x80", "caf\xc3\xa9 \xe6\x97\xa5\xf0\x9f\x98\x80"},
        {"caf\xe9", "caf\\xe9"},                             /* bytes that are no UTF-8 */
        {"\xe6\x97' x", "\\xe6\\x97' x"},                    /* cut by a limit of the format */
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"a\x1b[2J\x7f", "a\\x1b[2J\\x7f"},
        {"a\xc2\x9b" "2J", "a\\x9b2J"},                      /* C1 */
        {"a\xe2\x80\xae" "b\xef\xbb\xbf", "a\\u{202e}b\\u{feff}"}, /* turns the line round, and hides */
        {"a\xe2\x80\xa8" "b", "a\\u{2028}b"},
        {"one\ntwo\r\n", "one\\x0atwo\\x0d\\x0a"},
        {"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac"}, /* a joiner in an emoji */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ctx_fail(ctx, AGON_EINVAL, "%s", cases[i].text), AGON_EINVAL);
        assert_string_equal(agon_error(ctx), cases[i].says);
        assert_int_equal(ctx_prefix(ctx, AGON_EIO, "%s", cases[i].text), AGON_EIO);
        char both[256];
        snprintf(both, sizeof both, "%s: %s", cases[i].says, cases[i].says);
        assert_string_equal(agon_error(ctx), both);
    }
}

/* `text`: a, then only characters of `width` bytes. */
static void assert_whole(const char *text, size_t width) {
    assert_int_equal(text[0], 'a');
    assert_int_equal((strlen(text) - 1) % width, 0);
}

static void ctx_fail__drops_a_character_that_is_cut(void **state) {
    agon_ctx *ctx = *state;
    static const char *const characters[] = {"b", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x98\x80", "\xe2\x80\xae"};
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++) {
        char text[4000] = "a";
        for (size_t n = 1; n + 8 < sizeof text; n += strlen(characters[i]))
            strcpy(text + n, characters[i]);
        (void)ctx_fail(ctx, AGON_EINVAL, "%s", text);
        const size_t width = i == 4 ? strlen("\\u{202e}") : strlen(characters[i]);
        assert_whole(agon_error(ctx), width);
        assert_in_range(strlen(agon_error(ctx)), 1010, 1023);
        (void)ctx_prefix(ctx, AGON_EINVAL, "%s", text);
        assert_in_range(strlen(agon_error(ctx)), 1010, 1023);
        const char *colon = strstr(agon_error(ctx), ": a");
        assert_in_range(colon - agon_error(ctx), 500, 511);
        if (i < 4) /* what was escaped already is text */
            assert_whole(colon + 2, width);
    }
}

static void ctx_fail__may_quote_the_sentence_before(void **state) {
    agon_ctx *ctx = *state;
    (void)ctx_fail(ctx, AGON_EINVAL, "it is wet");
    (void)ctx_fail(ctx, AGON_EINVAL, "%s; %s", "outside", agon_error(ctx));
    assert_string_equal(agon_error(ctx), "outside; it is wet");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ctx_fail__shows_what_a_terminal_must_not_get),
        cmocka_unit_test(ctx_fail__drops_a_character_that_is_cut),
        cmocka_unit_test(ctx_fail__may_quote_the_sentence_before),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}

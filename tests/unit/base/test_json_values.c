/* json.h: values that stand for what is not there, and an answer as its caller's text. */
#include "test.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void what_json_cannot_say_is_null(void **state) {
    (void)state;
    const hash256 hash = hash_text("a");
    json_t *all = json_pack("[o,o,o,o,o,o]", json_text(NULL), real_or_null(NAN), real_or_null(INFINITY), json_text("x"), real_or_null(0.5),
                            json_hash(&hash));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(json_absent(json_array_get(all, i)), i < 3);
    assert_true(json_absent(json_array_get(all, 6)));
    assert_int_equal(strlen(json_string_value(json_array_get(all, 5))), HASH_HEX_SIZE - 1);
    json_decref(all);
}

static void an_answer_is_compact_text_or_out_of_memory(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *text = NULL;
    assert_ok(ctx, json_give_take(ctx, json_pack("{s:[i,n]}", "a", 1), &text));
    assert_string_equal(text, "{\"a\":[1,null]}");
    free(text);
    text = NULL;
    assert_int_equal(json_give_take(ctx, NULL, &text), AGON_ENOMEM);
    assert_string_equal(agon_error(ctx), "out of memory");
    assert_null(text);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_json_cannot_say_is_null),
        cmocka_unit_test(an_answer_is_compact_text_or_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

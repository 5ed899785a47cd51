/* work.h, kind "generate": answers of programs and servers are bounded; a backend that is down stops the run. */
#include "test.h"
#include "step/work.h"

enum { MEGABYTE = 1 << 20, BYTES_A_TOKEN = 64 };

static json_t *asking(int max_tokens) {
    return json_pack("{ss s[{ss ss}] ss si sf sf si}", "role", "learner", "messages", "role", "user", "content", "q", "version",
                     "", "samples", 1, "temperature", 1.0, "top_p", 1.0, "max_tokens", max_tokens);
}

/* The one completion of an answer that the learner's script gives. */
static json_t *answered(agon_ctx *ctx, const char *text, int max_tokens) {
    json_t *script = json_pack("{s{} ss}", "answers", "default", text), *input = asking(max_tokens), *out = NULL;
    const json_t *inputs[] = {input};
    const uint64_t seed = 1;
    backend *b = NULL;
    assert_ok(ctx, backend_scripted_new(ctx, script, &b));
    actors a = {.ctx = ctx, .learner = b};
    assert_ok(ctx, work_generate.execute(&a, inputs, &seed, 1, &out));
    json_t *completion = json_incref(json_array_get(json_object_get(out, "completions"), 0));
    assert_non_null(completion);
    json_decref(out);
    json_decref(input);
    json_decref(script);
    backend_free(b);
    return completion;
}

static void short_answers_are_kept(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    json_t *c = answered(ctx, "forty-two", 4);
    assert_string_equal(field_text(c, "text"), "forty-two");
    assert_string_equal(field_text(c, "finish"), "stop");
    json_decref(c);
    agon_ctx_free(ctx);
}

static void a_megabyte_is_cut_between_characters(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *text = calloc(1, MEGABYTE + 1);
    assert_non_null(text);
    text[0] = 'x'; /* the boundary then falls inside a two-byte character */
    for (size_t i = 1; i + 1 < MEGABYTE; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    json_t *c = answered(ctx, text, 4);
    assert_int_equal(strlen(field_text(c, "text")), 4 * BYTES_A_TOKEN - 1);
    assert_memory_equal(field_text(c, "text"), text, 4 * BYTES_A_TOKEN - 1);
    assert_string_equal(field_text(c, "finish"), "length");
    json_decref(c);
    free(text);
    agon_ctx_free(ctx);
}

static void no_answer_at_all_is_no_result(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    json_t *script = json_pack("{s{}}", "answers"), *input = asking(4), *out = NULL;
    const json_t *inputs[] = {input};
    const uint64_t seed = 1;
    backend *b = NULL;
    assert_ok(ctx, backend_scripted_new(ctx, script, &b));
    actors a = {.ctx = ctx, .learner = b};
    assert_int_equal(work_generate.execute(&a, inputs, &seed, 1, &out), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(ctx), "learner")); /* whose request it was */
    json_decref(out);
    json_decref(input);
    json_decref(script);
    backend_free(b);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_answers_are_kept),
        cmocka_unit_test(a_megabyte_is_cut_between_characters),
        cmocka_unit_test(no_answer_at_all_is_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* GSM8K: its file, its judge, and that it says so when the data is absent. */
#include "test.h"
#include "base/file.h"
#include "eval/suite.h"
#include <unistd.h>

static char folder[32], file[64];

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/agon-gsm8k-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(file, sizeof file, "%s/gsm8k_test.jsonl", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(file);
    rmdir(folder);
    return 0;
}

static agon_status open_rows(agon_ctx *ctx, const char *rows, suite **out) {
    assert_ok(ctx, file_write(ctx, file, rows, strlen(rows)));
    setenv("AGON_DATA", folder, 1);
    return suite_open(ctx, "gsm8k", 0, out);
}

static void gsm8k__without_data_is_not_run(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = NULL;
    unsetenv("AGON_DATA");
    assert_int_equal(suite_open(ctx, "gsm8k", 0, &s), AGON_ENOTFOUND);
    assert_non_null(strstr(agon_error(ctx), "set AGON_DATA"));
    setenv("AGON_DATA", folder, 1);
    assert_int_equal(suite_open(ctx, "gsm8k", 0, &s), AGON_ENOTFOUND);
    assert_null(s);
    agon_ctx_free(ctx);
}

static void gsm8k__judges_the_number(void **state) {
    (void)state;
    static const struct {
        const char *response;
        bool right;
    } cases[] = {
        {"1,000 + 234 = 1,234. The answer is 1234.", true},
        {"#### 1,234", true},
        {"The answer is $1,234.00", true},
        {"So she has \\boxed{1234} marbles.", true},
        {"The answer is 1235.", false},
        {"1234 at first, then one more. The answer is 1235", false},
        {"I do not know.", false},
        {"", false},
        {"\xff\xc3", false},
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = NULL;
    assert_ok(ctx, open_rows(ctx, "{\"question\": \"How many?\", \"answer\": \"7 * 2 = <<7*2=14>>14\\n#### 1,234\"}\n", &s));
    assert_int_equal(suite_n_items(s), 1);
    assert_non_null(strstr(suite_get(s, 0).query, "How many?"));
    assert_null(strstr(suite_get(s, 0).query, "1,234"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool right;
        char *evidence = NULL;
        assert_ok(ctx, suite_judge(ctx, s, 0, cases[i].response, &right, &evidence));
        if (right != cases[i].right)
            fail_msg("'%s' should be %s: %s", cases[i].response, cases[i].right ? "right" : "wrong", evidence);
        assert_true(right || strstr(evidence, "1234 is right"));
        free(evidence);
    }
    suite_free(s);
    agon_ctx_free(ctx);
}

static void gsm8k__bad_rows_are_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = NULL;
    assert_int_equal(open_rows(ctx, "{\"question\": \"?\", \"answer\": \"#### 1\"}\n{\"question\": \"?\", \"answer\": \"1\"}\n", &s),
                     AGON_EFORMAT);
    assert_non_null(strstr(agon_error(ctx), "gsm8k_test.jsonl:2"));
    assert_int_not_equal(open_rows(ctx, "{\"answer\": \"#### 1\"}\n", &s), AGON_OK);
    assert_null(s);
    agon_ctx_free(ctx);
}

/* Of 1,000 rows the default takes 300, evenly. */
static void gsm8k__default_is_a_fixed_sample(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = NULL;
    char *rows = calloc(1000, 64);
    for (size_t i = 0, at = 0; i < 1000; i++)
        at += (size_t)sprintf(rows + at, "{\"question\": \"Q%zu?\", \"answer\": \"#### %zu\"}\n", i, i);
    assert_ok(ctx, open_rows(ctx, rows, &s));
    assert_int_equal(suite_n_items(s), 300);
    assert_string_equal(suite_get(s, 0).id, "gsm8k/0");
    assert_string_equal(suite_get(s, 150).id, "gsm8k/500");
    suite_free(s);
    free(rows);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gsm8k__without_data_is_not_run),
        cmocka_unit_test(gsm8k__judges_the_number),
        cmocka_unit_test(gsm8k__bad_rows_are_named),
        cmocka_unit_test(gsm8k__default_is_a_fixed_sample),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

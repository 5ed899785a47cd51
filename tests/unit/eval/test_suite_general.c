/* The general suite: what its judge accepts and rejects, its file, and choosing among items. */
#include "test.h"
#include "base/file.h"
#include "eval/suite.h"
#include <unistd.h>

static suite *open_suite(agon_ctx *ctx, size_t limit) {
    suite *s = NULL;
    assert_ok(ctx, suite_open(ctx, "general", limit, &s));
    return s;
}

static size_t find_item(const suite *s, const char *query) {
    for (size_t i = 0; i < suite_n_items(s); i++)
        if (strstr(suite_get(s, i).query, query))
            return i;
    fail_msg("no item asks '%s'", query);
    return 0;
}

static bool judged(agon_ctx *ctx, const suite *s, const char *query, const char *response) {
    bool right = false;
    char *evidence = NULL;
    assert_ok(ctx, suite_judge(ctx, s, find_item(s, query), response, &right, &evidence));
    assert_non_null(evidence);
    assert_true(strlen(evidence) > 0);
    free(evidence);
    return right;
}

static void general__judges_answers(void **state) {
    (void)state;
    static const struct {
        const char *query, *response;
        bool right;
    } cases[] = {
        {"capital of France", "Paris", true},
        {"capital of France", "The capital of France is **Paris**.", true},
        {"capital of France", "  \n\nPARIS!", true},
        {"capital of France", "Lyon. Or is it Paris?", false},     /* the first sentence counts */
        {"capital of France", "Lyon\nParis", false},               /* the first line counts */
        {"capital of France", "Parisian", false},                  /* whole words */
        {"capital of France", "", false},
        {"capital of France", "\xff\xfe Par\xc3", false},
        {"capital of Kazakhstan", "It is Nur-Sultan.", true},      /* any accepted one, punctuation apart */
        {"formula of water", "H2O", true},
        {"formula of water", "H\xe2\x82\x82O is water", true},     /* the accepted form with a subscript has no space */
        {"Is fire hot", "Yes, fire is hot.", true},
        {"Is fire hot", "No, yes", false},                         /* the first of both choices decides */
        {"Is fire hot", "Fire.", false},
        {"Is ice warm", "No.", true},
        {"Is ice warm", "Nothing is known", false},
        {"a dog or a cat", "A dog barks, a cat does not.", true},
        {"a dog or a cat", "Cats and a cat more than a dog", false},
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = open_suite(ctx, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (judged(ctx, s, cases[i].query, cases[i].response) != cases[i].right)
            fail_msg("'%s' to '%s' should be %s", cases[i].response, cases[i].query, cases[i].right ? "right" : "wrong");
    suite_free(s);
    agon_ctx_free(ctx);
}

/* Reciting everything wins nothing: only so many words are looked at. */
static void general__long_lists_do_not_win(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = open_suite(ctx, 0);
    char response[1024] = "";
    for (int i = 0; i < 40; i++)
        strcat(response, "Lyon, ");
    strcat(response, "Paris");
    assert_false(judged(ctx, s, "capital of France", response));
    suite_free(s);
    agon_ctx_free(ctx);
}

/* Every item's own answer is right, no query gives its answer away (but for two-way questions). */
static void general__file_is_sound(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = open_suite(ctx, 0);
    assert_int_equal(suite_n_items(s), 120);
    for (size_t i = 0; i < suite_n_items(s); i++) {
        suite_item item = suite_get(s, i);
        bool right;
        char *evidence = NULL;
        assert_ok(ctx, suite_judge(ctx, s, i, item.query, &right, &evidence));
        if (right && strcmp(item.group, "choice") != 0 && strcmp(item.group, "yes_no") != 0)
            fail_msg("%s: the question holds its answer (%s)", item.id, evidence);
        free(evidence);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(item.query, suite_get(s, k).query);
    }
    suite_free(s);
    agon_ctx_free(ctx);
}

static void general__limit_takes_every_kind(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *all = open_suite(ctx, 0), *some = open_suite(ctx, 12), *again = open_suite(ctx, 12);
    assert_int_equal(suite_n_items(some), 12);
    for (size_t i = 1; i < 12; i++)
        assert_string_not_equal(suite_get(some, i).group, suite_get(some, i - 1).group);
    hash256 a = suite_hash(some), b = suite_hash(again), c = suite_hash(all);
    assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
    assert_memory_not_equal(a.bytes, c.bytes, sizeof a.bytes);
    suite_free(all);
    suite_free(some);
    suite_free(again);
    agon_ctx_free(ctx);
}

static void suites__refuse_what_is_not_there(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    suite *s = NULL;
    assert_int_equal(suite_open(ctx, "genral", 0, &s), AGON_ENOTFOUND);
    assert_non_null(strstr(agon_error(ctx), "general"));
    assert_null(s);
    agon_ctx_free(ctx);
}

static void general__bad_rows_are_named(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"kind\": \"a\", \"query\": \"q\"}\n",
        "{\"kind\": \"a\", \"query\": \"q\", \"answer\": []}\n",
        "{\"kind\": \"a\", \"query\": \"q\", \"answer\": [1]}\n",
        "{\"kind\": \"a\", \"query\": \"q\", \"answer\": [\"x\"], \"wrong\": \"y\"}\n",
        "{\"kind\": 1, \"query\": \"q\", \"answer\": [\"x\"]}\n",
        "[]\n",
        "",
    };
    agon_ctx *ctx = test_ctx(1, NULL);
    char folder[] = "/tmp/agon-general-XXXXXX", data[64], file[96];
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(file, sizeof file, "%s/general.jsonl", data);
    assert_ok(ctx, folder_make(ctx, data));
    setenv("AGON_SHARE", folder, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        suite *s = NULL;
        assert_ok(ctx, file_write(ctx, file, rows[i], strlen(rows[i])));
        assert_int_not_equal(suite_open(ctx, "general", 0, &s), AGON_OK);
        assert_null(s);
        assert_non_null(strstr(agon_error(ctx), "general.jsonl"));
    }
    unsetenv("AGON_SHARE");
    unlink(file);
    rmdir(data);
    rmdir(folder);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(general__judges_answers),
        cmocka_unit_test(general__long_lists_do_not_win),
        cmocka_unit_test(general__file_is_sound),
        cmocka_unit_test(general__limit_takes_every_kind),
        cmocka_unit_test(suites__refuse_what_is_not_there),
        cmocka_unit_test(general__bad_rows_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

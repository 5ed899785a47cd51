/* share_find and data_find: which folder wins, and what is said when a file is absent. */
#include "test.h"
#include "base/file.h"
#include "base/share.h"
#include <unistd.h>

static void share__finds_the_source_tree(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *path = NULL;
    unsetenv("AGON_SHARE");
    assert_ok(ctx, share_find(ctx, "data/held_out.txt", &path));
    assert_true(file_exists(path));
    free(path);
    agon_ctx_free(ctx);
}

static void share__environment_wins_and_does_not_fall_back(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char folder[] = "/tmp/agon-share-XXXXXX", file[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/own.txt", folder);
    assert_ok(ctx, file_write(ctx, file, "x", 1));
    setenv("AGON_SHARE", folder, 1);
    char *path = NULL;
    assert_ok(ctx, share_find(ctx, "own.txt", &path));
    assert_string_equal(path, file);
    free(path);
    path = NULL;
    assert_int_equal(share_find(ctx, "data/held_out.txt", &path), AGON_ENOTFOUND);
    assert_null(path);
    assert_non_null(strstr(agon_error(ctx), folder));
    unsetenv("AGON_SHARE");
    unlink(file);
    rmdir(folder);
    agon_ctx_free(ctx);
}

static void data__says_what_to_set(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char *path = NULL;
    unsetenv("AGON_DATA");
    assert_int_equal(data_find(ctx, "some.jsonl", &path), AGON_ENOTFOUND);
    assert_non_null(strstr(agon_error(ctx), "AGON_DATA"));
    setenv("AGON_DATA", "/nowhere", 1);
    assert_int_equal(data_find(ctx, "some.jsonl", &path), AGON_ENOTFOUND);
    assert_non_null(strstr(agon_error(ctx), "/nowhere"));
    assert_null(path);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share__finds_the_source_tree),
        cmocka_unit_test(share__environment_wins_and_does_not_fall_back),
        cmocka_unit_test(data__says_what_to_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* file.h: folders are made with their parents; an empty path is none (read past its end, only a sanitizer sees). */
#include "test.h"
#include "base/file.h"
#include <unistd.h>

static void folder_make__takes_paths_and_refuses_empty_ones(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char top[] = "/tmp/agon-folder-XXXXXX", path[64];
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/a//b/", top);
    for (int i = 0; i < 2; i++)
        assert_ok(ctx, folder_make(ctx, path));
    assert_true(folder_exists(path));
    assert_int_equal(folder_make(ctx, ""), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "an empty path names no file or folder"));
    assert_int_equal(folder_make(ctx, NULL), AGON_EINVAL);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/a", top);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(top), 0);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_make__takes_paths_and_refuses_empty_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What killed writers left goes; a living writer's file, other files and what is no file stay. */
#include "base/file.h"
#include "test.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t n_temporary(const char *path) {
    size_t n = 0;
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));)
        n += file_is_temporary(e->d_name);
    if (folder)
        closedir(folder);
    return n;
}

static void put(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

/* A process that is killed in the middle of a write. */
static void kill_a_writer(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        agon_ctx *ctx = test_ctx(1, NULL);
        file_writer *w;
        if (file_writer_open(ctx, path, &w) == AGON_OK && file_writer_add(ctx, w, "half", 4) == AGON_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void file_sweep__takes_what_killed_writers_left(void **state) {
    (void)state;
    static const char *const others[] = {"notes.tmpbackup", "state.bin", ".tmp-agonabcdef", "state.bin.tmp-agonabcdefg", "x.tmp-agonabc"};
    char folder[] = "/tmp/agon-sweep-XXXXXX", path[256], command[256];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        put(folder, others[i]);
    snprintf(path, sizeof path, "%s/a folder.tmp-agonabcdef", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/state.bin", folder);
    kill_a_writer(path);
    kill_a_writer(path);
    agon_ctx *ctx = test_ctx(1, NULL);
    file_writer *alive;
    assert_ok(ctx, file_writer_open(ctx, path, &alive));
    assert_ok(ctx, file_writer_add(ctx, alive, "whole", 5));
    assert_int_equal(n_temporary(folder), 4); /* two left, one alive, a folder */
    file_sweep(folder);
    assert_int_equal(n_temporary(folder), 2);
    assert_ok(ctx, file_writer_commit_take(ctx, alive));
    assert_int_equal(n_temporary(folder), 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, others[i]);
        assert_true(file_exists(path));
    }
    file_sweep("/nowhere");
    /* Of one file: a sibling's stays, in a folder that is somebody's. */
    static const char *const names[] = {"rows.jsonl", "rows.jsonl.2", "s.jsonl"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        kill_a_writer(path);
    }
    assert_int_equal(n_temporary(folder), 4);
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    file_sweep_of(path);
    assert_int_equal(n_temporary(folder), 3);
    snprintf(path, sizeof path, "%s/jsonl", folder);
    file_sweep_of(path);
    assert_int_equal(n_temporary(folder), 3);
    file_sweep_of("/nowhere/rows.jsonl");
    assert_int_equal(chdir(folder), 0);
    file_sweep_of("s.jsonl");
    assert_int_equal(n_temporary("."), 2);
    agon_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* A file that is written is as readable as the umask lets any new file be. */
static void file_writer__follows_the_umask(void **state) {
    (void)state;
    static const mode_t masks[] = {022, 077, 0};
    char folder[] = "/tmp/agon-mode-XXXXXX", path[256];
    struct stat st;
    agon_ctx *ctx = test_ctx(1, NULL);
    mode_t before = umask(0);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state.bin", folder);
    for (size_t i = 0; i < 3; i++) {
        umask(masks[i]);
        assert_ok(ctx, file_write(ctx, path, "x", 1));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666 & ~masks[i]);
    }
    umask(before);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    agon_ctx_free(ctx);
}

/* Nobody's file is replaced by a new one, also when it comes between the first look and the end of the writing. */
static void file_write_new__takes_no_name_that_is_taken(void **state) {
    (void)state;
    char folder[] = "/tmp/agon-new-XXXXXX", path[256], *data = NULL;
    size_t n = 0;
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    assert_ok(ctx, file_write_new(ctx, path, "first", 5));
    assert_int_equal(file_write_new(ctx, path, "second", 6), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "exists already"));
    assert_ok(ctx, file_read(ctx, path, 100, &data, &n));
    assert_true(n == 5 && memcmp(data, "first", 5) == 0);
    assert_int_equal(n_temporary(folder), 0);
    free(data);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(file_sweep__takes_what_killed_writers_left),
                                       cmocka_unit_test(file_write_new__takes_no_name_that_is_taken),
                                       cmocka_unit_test(file_writer__follows_the_umask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

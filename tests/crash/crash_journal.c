/* Kills the recipe of workspace.h at every journal point, runs it again, and compares the end with an uninterrupted run's:
 * the same chain, a journal that verifies, nothing left over. Then kills it at random times with SIGKILL from
 * outside, many times over, with a second kill during the recovery. Then fills the disk. */
#include "workspace.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

typedef struct countdown {
    long left, passed;
} countdown;

static void die_at(void *arg, const char *point) {
    (void)point;
    countdown *c = arg;
    c->passed++;
    if (--c->left == 0)
        raise(SIGKILL); /* no cleanup of any kind */
}

/* Runs the recipe in a child, killed at its k-th point (0: never). Returns the child's status. */
static int child_run(const char *folder, long k, size_t stride, pid_t *running) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char reason[256];
        agon_ctx *ctx = NULL;
        store *s = NULL;
        hash256 head;
        countdown c = {k, 0};
        agon_ctx_options options = agon_ctx_options_default();
        options.n_threads = 1;
        if (agon_ctx_new(&options, &ctx, reason, sizeof reason) != AGON_OK)
            _exit(3);
        if (store_open(ctx, folder, STORE_RUN, &s) != AGON_OK ||
            recipe_run(ctx, s, stride, die_at, &c, &head) != AGON_OK) {
            fprintf(stderr, "child: %s\n", agon_error(ctx));
            _exit(2);
        }
        store_close(s);
        agon_ctx_free(ctx);
        _exit(0);
    }
    if (running) {
        *running = pid;
        return 0;
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* The head of a finished workspace, which must verify and hold no stray file. */
static hash256 finished_head(const char *folder) {
    agon_ctx *ctx = test_ctx(1, NULL);
    store *s;
    journal_report report;
    hash256 head;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head)); /* all of it recorded */
    assert_ok(ctx, journal_verify(ctx, s, &report));
    if (!report.ok)
        fail_msg("%s", report.problem);
    assert_int_equal(report.n_unreferenced_objects, 0);
    assert_int_equal(workspace_n_left(folder), 0);
    store_close(s);
    agon_ctx_free(ctx);
    return head;
}

static hash256 uninterrupted(long *n_points) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char *folder = workspace_new();
    store *s;
    hash256 head;
    countdown c = {0, 0};
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, die_at, &c, &head));
    store_close(s);
    workspace_remove(folder);
    agon_ctx_free(ctx);
    *n_points = c.passed;
    return head;
}

static void crash__at_every_point_ends_as_if_uninterrupted(void **state) {
    (void)state;
    long n;
    hash256 want = uninterrupted(&n);
    assert_true(n > 30);
    for (long k = 1; k <= n; k++) {
        char *folder = workspace_new();
        int status = child_run(folder, k, 1, NULL);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        status = child_run(folder, k / 2 + 1, 3, NULL); /* killed again, answers in another order */
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        status = child_run(folder, 0, 5, NULL);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        hash256 head = finished_head(folder);
        if (memcmp(&head, &want, sizeof head) != 0)
            fail_msg("another chain after a kill at point %ld of %ld", k, n);
        workspace_remove(folder);
    }
    print_message("%ld points\n", n);
}

static void crash__at_random_moments_ends_as_if_uninterrupted(void **state) {
    (void)state;
    long n;
    hash256 want = uninterrupted(&n);
    for (int round = 0; round < 10; round++) {
        char *folder = workspace_new();
        for (int k = 0; k < 4; k++) {
            pid_t pid;
            int status;
            struct timespec wait = {0, (1 + (round * 37 + k * 61) % 90) * 1000000L};
            child_run(folder, 0, 1 + (size_t)k, &pid);
            nanosleep(&wait, NULL);
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
        int status = child_run(folder, 0, 1, NULL);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        hash256 head = finished_head(folder);
        assert_memory_equal(&head, &want, sizeof head);
        workspace_remove(folder);
    }
}

/* Writes fail beyond a file size that grows from try to try, as a disk fills and is freed: each failure says so with
 * AGON_EIO, loses nothing, and the run ends as if nothing had been. */
static void full_disk__is_an_error_and_loses_nothing(void **state) {
    (void)state;
    long n;
    int failures = 0;
    hash256 want = uninterrupted(&n);
    char *folder = workspace_new();
    { /* the schema must be there: begin with a run killed right after its first commit */
        int status = child_run(folder, 4, 1, NULL);
        assert_true(WIFSIGNALED(status));
    }
    int status = -1;
    for (rlim_t limit = 4096; status != 0 && limit < 8 << 20; limit = limit + limit / 16) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            char reason[256];
            agon_ctx *ctx = NULL;
            store *s = NULL;
            hash256 head;
            struct rlimit r = {limit, limit};
            signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &r) != 0 || agon_ctx_new(NULL, &ctx, reason, sizeof reason) != AGON_OK)
                _exit(3);
            agon_status code = store_open(ctx, folder, STORE_RUN, &s);
            if (!code)
                code = recipe_run(ctx, s, 1, NULL, NULL, &head);
            if (code && code != AGON_EIO)
                fprintf(stderr, "limit %ld: %s: %s\n", (long)limit, agon_status_name(code), agon_error(ctx));
            store_close(s);
            _exit(code == AGON_OK ? 0 : code == AGON_EIO ? 1 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        failures += status != 0;
    }
    assert_int_equal(status, 0);
    assert_true(failures > 3);
    hash256 head = finished_head(folder);
    assert_memory_equal(&head, &want, sizeof head);
    print_message("%d failed tries\n", failures);
    workspace_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash__at_every_point_ends_as_if_uninterrupted),
        cmocka_unit_test(crash__at_random_moments_ends_as_if_uninterrupted),
        cmocka_unit_test(full_disk__is_an_error_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

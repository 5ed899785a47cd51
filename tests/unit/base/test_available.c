/* memory_available: the least of what the system and each control group give; memory_check refuses with one sentence. */
#include "base/available.h"
#include "base/file.h"
#include "test.h"
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/agon-available-XXXXXX";

static void put(agon_ctx *ctx, const char *path, const char *text) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    char *slash = strrchr(full, '/');
    *slash = 0;
    assert_ok(ctx, folder_make(ctx, full));
    *slash = '/';
    assert_ok(ctx, file_write(ctx, full, text, strlen(text)));
}

static void forget_all(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s/proc %s/sys", root, root);
    assert_int_equal(system(command), 0);
}

static void available__is_the_least_of_all(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_non_null(mkdtemp(root));
    assert_true(memory_available(root) == SIZE_MAX); /* nothing is known */
    put(ctx, "/proc/meminfo", "MemTotal:       9000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\n");
    assert_int_equal(memory_available(root), 5000 * 1024);
    /* Version 2: a limit two levels up; file pages that can be given up are room. */
    put(ctx, "/proc/self/cgroup", "0::/a/b\n");
    put(ctx, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put(ctx, "/sys/fs/cgroup/a/b/memory.current", "700000\n");
    put(ctx, "/sys/fs/cgroup/a/memory.max", "3000000\n");
    put(ctx, "/sys/fs/cgroup/a/memory.current", "1000000\n");
    assert_int_equal(memory_available(root), 2000000);
    put(ctx, "/sys/fs/cgroup/a/memory.stat", "anon 600000\ninactive_file 400000\nactive_file 1\n");
    assert_int_equal(memory_available(root), 2400000);
    /* In a container the path is the host's, and only the root is there. */
    put(ctx, "/proc/self/cgroup", "0::/../elsewhere\n");
    put(ctx, "/sys/fs/cgroup/memory.max", "1000\n");
    put(ctx, "/sys/fs/cgroup/memory.current", "1500\n");
    assert_int_equal(memory_available(root), 0);
    assert_true(available_processors(root, 1) == 1);
    put(ctx, "/sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_true(available_processors(root, 1) == 1);
    put(ctx, "/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_true(available_processors(root, 64) == 0.5);
    /* Version 1. */
    forget_all();
    put(ctx, "/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x/y\n");
    put(ctx, "/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "9223372036854771712\n");
    put(ctx, "/sys/fs/cgroup/memory/x/y/memory.usage_in_bytes", "10\n");
    assert_true(memory_available(root) == SIZE_MAX);
    put(ctx, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000\n");
    put(ctx, "/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "4000\n");
    put(ctx, "/sys/fs/cgroup/memory/x/memory.stat", "inactive_file 7\ntotal_inactive_file 500\n");
    assert_int_equal(memory_available(root), 1500);
    forget_all();
    rmdir(root);
    agon_ctx_free(ctx);
}

static void available__knows_this_machine(void **state) {
    (void)state;
    size_t before = memory_resident(), n = (size_t)64 << 20;
    char *block = malloc(n);
    assert_non_null(block);
    memset(block, 1, n);
    size_t after = memory_resident();
    size_t most = getenv("AGON_TEST_SANITIZED") ? 8 * n : n * 11 / 10; /* a sanitizer's shadow is resident too */
    assert_in_range(after - before, n * 9 / 10, most);
    assert_true(memory_available("") > 0);
    assert_int_equal(block[n / 2], 1);
    free(block);
}

/* In a child: what RLIMIT_AS and RLIMIT_DATA leave is less than the system has. */
static void available__has_the_limits_of_the_process(void **state) {
    (void)state;
    static const int kinds[] = {RLIMIT_AS, RLIMIT_DATA};
    if (getenv("AGON_TEST_SANITIZED"))
        skip(); /* its shadow is addresses too */
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct rlimit l;
            const size_t give = (size_t)3 << 29; /* more than a process of this size has by now */
            getrlimit(kinds[i], &l);
            l.rlim_cur = give;
            int failed = setrlimit(kinds[i], &l);
            size_t room = memory_available("");
            _exit(failed || room >= give || room < give / 2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void limit__decides_where_one_is_given(void **state) {
    (void)state;
    agon_ctx_options o = agon_ctx_options_default();
    agon_ctx *ctx = NULL;
    char reason[256];
    o.n_threads = 1;
    o.memory = "1048576"; /* a TiB in all */
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_OK);
    assert_in_range(memory_room(ctx), (size_t)1 << 39, (size_t)1 << 40);
    assert_int_equal(memory_check(ctx, (size_t)1 << 38, "this", "x"), AGON_OK);
    assert_int_equal(memory_check(ctx, (size_t)1 << 41, "this work", "use less"), AGON_ENOMEM);
    assert_non_null(strstr(agon_error(ctx), "this work needs about 2097153 MiB"));
    assert_non_null(strstr(agon_error(ctx), "use less"));
    agon_ctx_free(ctx);
    o.memory = "1"; /* less than it has already */
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_OK);
    assert_int_equal(memory_room(ctx), 0);
    agon_ctx_free(ctx);
    setenv("AGON_MEMORY", "unlimited", 1);
    o.memory = NULL;
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_OK);
    assert_int_equal(memory_check(ctx, SIZE_MAX, "this", "x"), AGON_OK);
    agon_ctx_free(ctx);
    static const char *const bad[] = {"0", "-5", "12GiB", "lots", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("AGON_MEMORY", bad[i], 1);
        assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_EINVAL);
        assert_non_null(strstr(reason, "AGON_MEMORY"));
    }
    unsetenv("AGON_MEMORY");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(available__is_the_least_of_all),
        cmocka_unit_test(available__knows_this_machine),
        cmocka_unit_test(available__has_the_limits_of_the_process),
        cmocka_unit_test(limit__decides_where_one_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

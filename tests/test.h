/* What every unit test includes: cmocka and a context. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agon.h"

#define assert_ok(ctx, call)                                                                         \
    do {                                                                                             \
        agon_status status_ = (call);                                                                \
        if (status_ != AGON_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, agon_status_name(status_), agon_error(ctx));               \
    } while (0)

#define assert_close(a, b, tol)                                                                      \
    do {                                                                                             \
        double a_ = (a), b_ = (b);                                                                   \
        if (!(fabs(a_ - b_) <= (tol)))                                                               \
            fail_msg("%s = %.17g, want %.17g (tolerance %g)", #a, a_, b_, (double)(tol));            \
    } while (0)

/* The path of a golden file; AGON_SOURCE is the source root, "." without it. */
static inline const char *golden_path(char out[2048], const char *name) {
    const char *root = getenv("AGON_SOURCE");
    snprintf(out, 2048, "%s/tests/golden/%s", root ? root : ".", name);
    return out;
}

static inline agon_ctx *test_ctx(int n_threads, const char *cpu) {
    agon_ctx_options options = agon_ctx_options_default();
    options.n_threads = n_threads;
    options.cpu = cpu;
    agon_ctx *ctx = NULL;
    char reason[256];
    if (agon_ctx_new(&options, &ctx, reason, sizeof reason) != AGON_OK)
        fail_msg("agon_ctx_new: %s", reason);
    return ctx;
}

/* For cmocka_run_group_tests, where all that tests share is a context: *state. */
static inline int test_ctx_open(void **state) {
    *state = test_ctx(1, NULL);
    return 0;
}

static inline int test_ctx_close(void **state) {
    agon_ctx_free(*state);
    return 0;
}

#endif

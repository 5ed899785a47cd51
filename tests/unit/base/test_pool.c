/* Every task runs exactly once, whatever the number of threads, job after job. */
#include "base/pool.h"
#include "test.h"
#include <stdatomic.h>

enum { MAX_TASKS = 97, RUNS = 3000 };

typedef struct tally {
    atomic_int runs[MAX_TASKS];
    atomic_int wrong_thread;
    int n_threads;
} tally;

static void count(void *arg, size_t task, int thread) {
    tally *t = arg;
    atomic_fetch_add(&t->runs[task], 1);
    if (thread < 0 || thread >= t->n_threads)
        atomic_fetch_add(&t->wrong_thread, 1);
}

static void pool__runs_each_task_once(void **state) {
    (void)state;
    for (int n_threads = 1; n_threads <= 5; n_threads++) {
        pool *p = pool_new(n_threads);
        assert_non_null(p);
        tally *t = calloc(1, sizeof *t);
        t->n_threads = n_threads;
        int wanted[MAX_TASKS] = {0};
        for (int r = 0; r < RUNS; r++) {
            size_t n = (size_t)r * 31 % (MAX_TASKS + 1);
            pool_run(p, n, count, t);
            for (size_t i = 0; i < n; i++)
                wanted[i]++;
        }
        for (size_t i = 0; i < MAX_TASKS; i++)
            assert_int_equal(t->runs[i], wanted[i]);
        assert_int_equal(t->wrong_thread, 0);
        free(t);
        pool_free(p);
    }
}

typedef struct sums {
    double part[64];
} sums;

static void add_up(void *arg, size_t task, int thread) {
    (void)thread;
    sums *s = arg;
    s->part[task] += (double)task;
}

/* What tasks wrote is seen by the caller after pool_run, without any other synchronisation. */
static void pool__makes_results_visible(void **state) {
    (void)state;
    pool *p = pool_new(3);
    assert_non_null(p);
    sums s = {{0}};
    for (int r = 1; r <= RUNS; r++) {
        pool_run(p, 64, add_up, &s);
        for (size_t i = 0; i < 64; i++)
            assert_true(s.part[i] == (double)i * r);
    }
    pool_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__runs_each_task_once),
        cmocka_unit_test(pool__makes_results_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

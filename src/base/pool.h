/* Worker threads for data-parallel loops.
 *
 * Work is a fixed list of tasks; which thread runs a task never changes what it computes, so results
 * do not depend on the number of threads. The caller works too. Not re-entrant: a task must not call
 * pool_run on the same pool. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

typedef struct pool pool;
typedef void (*pool_task)(void *arg, size_t task, int thread);

/* n_threads >= 1, the caller included. NULL when threads cannot be started. Workers run with
 * flush-to-zero and denormals-are-zero set (the arithmetic contract). */
pool *pool_new(int n_threads);
void pool_free(pool *p);

/* Runs fn(arg, t, thread) for every t in [0, n_tasks), thread in [0, pool_n_threads); returns when all are done. The
 * caller's MXCSR is saved, set as in the workers, and restored. */
void pool_run(pool *p, size_t n_tasks, pool_task fn, void *arg);

/* The floating-point mode of the arithmetic contract for code that runs outside pool_run: returns the
 * old mode for fp_mode_restore. */
unsigned fp_mode_set(void);
void fp_mode_restore(unsigned old);

#endif

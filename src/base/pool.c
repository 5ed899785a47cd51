/* Worker threads, see pool.h. Workers spin a short while for the next job (a decode step launches
 * hundreds of short loops), then sleep on a condition variable. Any thread may run any task, but each begins with
 * its own share of them, in order, and then helps the others: loop after loop over the same rows, a core finds them in its own cache.
 *
 * A worker joins a job only while it is open, and the caller closes it when no task is left. So the caller
 * waits for workers that are at work, never for one the system has not scheduled: on a busy machine the
 * threads that run do all the tasks. */
#include "base/pool.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { SPINS = 20000, WAIT_SPINS = 2000 };

/* The job word: generation << 32 | JOB_OPEN | workers inside. */
#define JOB_OPEN ((uint64_t)1 << 31)
#define JOB_INSIDE (JOB_OPEN - 1)

typedef struct worker {
    pool *owner;
    int index;
    pthread_t thread;
} worker;

/* Tasks of a job that one thread begins with. */
typedef struct share {
    _Alignas(64) atomic_size_t next;
    size_t end;
} share;

struct pool {
    int n_threads;
    worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pool_task fn;
    void *arg;
    share *shares; /* [n_threads] */
    _Alignas(64) _Atomic uint64_t job; /* a new generation: a new job (or the end) */
    atomic_int sleepers;
    atomic_bool stop;
};

unsigned fp_mode_set(void) {
#if defined(__x86_64__)
    unsigned old = _mm_getcsr();
    _mm_setcsr((old | 0x8040u) & ~0x6000u); /* FTZ, DAZ, round to nearest */
    return old;
#elif defined(__aarch64__)
    unsigned long old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"((old | (1ul << 24)) & ~(3ul << 22)));
    return (unsigned)old;
#else
    return 0;
#endif
}

void fp_mode_restore(unsigned old) {
#if defined(__x86_64__)
    _mm_setcsr(old);
#elif defined(__aarch64__)
    unsigned long value = old;
    __asm__ volatile("msr fpcr, %0" ::"r"(value));
#else
    (void)old;
#endif
}

static inline void relax(void) {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

static void work(pool *p, int thread) {
    for (int i = 0; i < p->n_threads; i++) {
        share *s = &p->shares[(thread + i) % p->n_threads];
        for (size_t t; (t = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->end;)
            p->fn(p->arg, t, thread);
    }
}

static void share_out(pool *p, size_t n_tasks) {
    const size_t n = (size_t)p->n_threads;
    for (size_t i = 0; i < n; i++) {
        atomic_store_explicit(&p->shares[i].next, n_tasks / n * i + n_tasks % n * i / n, memory_order_relaxed);
        p->shares[i].end = n_tasks / n * (i + 1) + n_tasks % n * (i + 1) / n;
    }
}

static uint32_t generation(uint64_t job) {
    return (uint32_t)(job >> 32);
}

/* The job word once its generation is another than `seen`. */
static uint64_t wait_for_job(pool *p, uint32_t seen) {
    uint64_t now;
    for (int i = 0; i < SPINS; i++) {
        now = atomic_load_explicit(&p->job, memory_order_acquire);
        if (generation(now) != seen)
            return now;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (generation(now = atomic_load(&p->job)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return now;
}

/* Counts the worker in when the job is still open. */
static bool join(pool *p, uint64_t job) {
    while (job & JOB_OPEN)
        if (atomic_compare_exchange_weak_explicit(&p->job, &job, job + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return true;
    return false;
}

static void *worker_main(void *arg) {
    worker *w = arg;
    pool *p = w->owner;
    uint32_t seen = 0;
    fp_mode_set();
    for (;;) {
        uint64_t job = wait_for_job(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        seen = generation(job); /* should join meet a later job, it is only seen once more */
        if (join(p, job)) {
            work(p, w->index);
            atomic_fetch_sub_explicit(&p->job, 1, memory_order_release);
        }
    }
}

static void announce(pool *p, uint64_t flags) {
    uint64_t next = (uint64_t)(generation(atomic_load(&p->job)) + 1u) << 32;
    atomic_store(&p->job, next | flags);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
}

/* No worker may join any more; waits for those inside. */
static void close_job(pool *p) {
    uint64_t job = atomic_fetch_and_explicit(&p->job, ~JOB_OPEN, memory_order_acq_rel);
    for (int i = 0; job & JOB_INSIDE; i++) {
        if (i < WAIT_SPINS)
            relax();
        else
            sched_yield(); /* the worker may need this core */
        job = atomic_load_explicit(&p->job, memory_order_acquire);
    }
}

pool *pool_new(int n_threads) {
    pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    if (!p)
        return NULL;
    *p = (pool){.n_threads = 1};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->workers = calloc((size_t)n_threads, sizeof *p->workers);
    p->shares = aligned_alloc(64, (size_t)n_threads * sizeof *p->shares);
    if (!p->workers || !p->shares) {
        pool_free(p);
        return NULL;
    }
    /* Signals belong to the caller's thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 1; i < n_threads; i++) {
        worker *w = &p->workers[i];
        w->owner = p;
        w->index = i;
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            pthread_sigmask(SIG_SETMASK, &old, NULL);
            pool_free(p);
            return NULL;
        }
        p->n_threads = i + 1;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return p;
}

void pool_free(pool *p) {
    if (!p)
        return;
    atomic_store(&p->stop, true);
    announce(p, 0);
    for (int i = 1; i < p->n_threads; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p->shares);
    free(p);
}

void pool_run(pool *p, size_t n_tasks, pool_task fn, void *arg) {
    unsigned old = fp_mode_set();
    p->fn = fn;
    p->arg = arg;
    share_out(p, n_tasks);
    bool alone = p->n_threads == 1 || n_tasks <= 1;
    if (!alone)
        announce(p, JOB_OPEN);
    work(p, 0);
    if (!alone)
        close_job(p);
    fp_mode_restore(old);
}

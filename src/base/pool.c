/* Worker threads, see pool.h. Workers spin a short while for the next job (a decode step launches
 * hundreds of short loops), then sleep on a condition variable. Tasks are claimed from a shared
 * counter: any thread may run any task. */
#include "base/pool.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { SPINS = 20000 };

typedef struct worker {
    pool *owner;
    int index;
    pthread_t thread;
} worker;

struct pool {
    int n_threads;
    worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pool_task fn;
    void *arg;
    size_t n_tasks;
    _Alignas(64) atomic_size_t next;
    _Alignas(64) atomic_uint generation; /* a new value: a new job (or the end) */
    _Alignas(64) atomic_int running;     /* workers that have not finished the job */
    atomic_int sleepers;
    bool stop;
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
    for (;;) {
        size_t t = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (t >= p->n_tasks)
            return;
        p->fn(p->arg, t, thread);
    }
}

static unsigned wait_for_job(pool *p, unsigned seen) {
    unsigned now;
    for (int i = 0; i < SPINS; i++) {
        now = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (now != seen)
            return now;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while ((now = atomic_load(&p->generation)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return now;
}

static void *worker_main(void *arg) {
    worker *w = arg;
    pool *p = w->owner;
    unsigned seen = 0;
    fp_mode_set();
    for (;;) {
        seen = wait_for_job(p, seen);
        if (p->stop)
            return NULL;
        work(p, w->index);
        atomic_fetch_sub_explicit(&p->running, 1, memory_order_release);
    }
}

static void announce(pool *p) {
    atomic_fetch_add(&p->generation, 1);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
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
    if (!p->workers) {
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
    p->stop = true;
    announce(p);
    for (int i = 1; i < p->n_threads; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int pool_n_threads(const pool *p) {
    return p->n_threads;
}

void pool_run(pool *p, size_t n_tasks, pool_task fn, void *arg) {
    unsigned old = fp_mode_set();
    p->fn = fn;
    p->arg = arg;
    p->n_tasks = n_tasks;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    bool alone = p->n_threads == 1 || n_tasks <= 1;
    if (!alone) {
        atomic_store_explicit(&p->running, p->n_threads - 1, memory_order_relaxed);
        announce(p);
    }
    work(p, 0);
    if (!alone)
        while (atomic_load_explicit(&p->running, memory_order_acquire) > 0)
            relax();
    fp_mode_restore(old);
}

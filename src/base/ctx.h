/* The context every fallible function takes first: error sentence, worker threads, CPU path. */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include "agon.h"
#include <stdarg.h>
#include <stdatomic.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

typedef struct pool pool;

typedef enum cpu_path { CPU_PORTABLE = 0, CPU_AVX2 = 1, CPU_AVX512 = 2, CPU_AMX = 3, CPU_NEON = 4, CPU_N_PATHS } cpu_path;

enum { CTX_SPARE_BLOCKS = 4 };
typedef struct spare_block {
    void *data; /* NULL: none */
    size_t size;
} spare_block;

struct agon_ctx {
    char message[1024];
    agon_numerics numerics;
    cpu_path cpu;
    bool has_avx512_bf16; /* for numerics: native and 8-bit weights */
    bool fast_bf16_dot;   /* and its product of pairs, VDPBF16PS, is faster than two FMAs */
    bool cpu_forced;      /* the caller or AGON_CPU named the path: no other is taken instead */
    bool cpu_checked[2];  /* in the portable, in the native order: compute_check_once has passed */
    bool amx_failed;      /* the AMX path did not pass it; AVX-512 is in use */
    pool *pool;
    int n_threads;
    size_t memory_limit; /* bytes the process may use in all; 0: what the system gives, SIZE_MAX: no limit */
    atomic_int interrupted;
    float *scratch; /* see ctx_scratch */
    struct slab *weights; /* where packed matrices are laid (slab.h) */
    spare_block spare[CTX_SPARE_BLOCKS]; /* see spare.h */
};

/* Working memory for kernels, which do not allocate: a part for each thread of the pool and, with
 * thread = n_threads, a larger one that the tasks of a job share. Its content never outlives one call. */
enum { CTX_SCRATCH_FLOATS = 1 << 18, CTX_SHARED_FLOATS = 1 << 20 };
static inline float *ctx_scratch(const agon_ctx *ctx, int thread) {
    return ctx->scratch + (size_t)thread * CTX_SCRATCH_FLOATS;
}

/* Records the sentence and returns `code`, so that faults read `return ctx_fail(ctx, ...)`. Set once,
 * where the fault is found; upper layers pass the status on. It is one line of UTF-8:
 * what else it quotes of hostile files is escaped (utf8_escape). A NULL ctx is allowed. */
agon_status ctx_fail(agon_ctx *ctx, agon_status code, const char *format, ...) PRINTF_LIKE(3, 4);

/* "out of memory", where nothing more can be said. */
agon_status ctx_no_memory(agon_ctx *ctx);
int ctx_usable_cores(void); /* that this process may run on */

/* Puts "`prefix`: " in front of the recorded sentence (the file or step it happened in). */
agon_status ctx_prefix(agon_ctx *ctx, agon_status code, const char *format, ...) PRINTF_LIKE(3, 4);

/* AGON_EINTERRUPTED after agon_interrupt, else AGON_OK. Long loops ask at their safe points. */
agon_status ctx_check_interrupt(agon_ctx *ctx);

/* Numerics that a file names, for as long as what it describes is computed: the caller's come back at the end, also after a failure.
 * All zeros: nothing to give back. */
typedef struct numerics_switch {
    agon_ctx *ctx;
    agon_numerics before;
} numerics_switch;
void numerics_set(numerics_switch *s, agon_ctx *ctx, agon_numerics numerics); /* again: `before` stays the caller's */
void numerics_restore(numerics_switch *s);

const char *cpu_path_name(cpu_path path);
bool cpu_path_present(cpu_path path);

#endif

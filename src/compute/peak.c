/* What a core can do at most: chains of independent multiply-adds on zeros in registers, written out because compilers keep an array of
 * accumulators in memory. The yardstick of `agon bench` and bench/engine. */
#include "compute/kernels.h"
#include "base/numerics.h"
#include "compute/amx_tiles.h"
#include <math.h>
#include <string.h>

enum { CHAINS = 12, STEPS = 400000, TASKS = 4 /* a thread */ };

#if defined(__x86_64__)
#define PEAK_LOOP(name, target_name, step)                                                           \
    __attribute__((target(target_name), noinline)) static void name(void) {                          \
        for (int n = 0; n < STEPS; n++)                                                              \
            __asm__ volatile(step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) \
                             step(9) step(10) step(11)                                               \
                             ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                                 "xmm8", "xmm9", "xmm10", "xmm11");                                  \
    }
#define FMA_YMM(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n\t"
#define FMA_ZMM(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n\t"
#define DOT_ZMM(i) "vdpbf16ps %%zmm12, %%zmm13, %%zmm" #i "\n\t"
PEAK_LOOP(fma_avx2, "avx2,fma", FMA_YMM)
PEAK_LOOP(fma_avx512, "avx512f,avx2,fma", FMA_ZMM)
PEAK_LOOP(dot_avx512, "avx512f,avx512bf16,avx2,fma", DOT_ZMM)

/* Four accumulator tiles, as the products use. */
static void dot_amx(void) {
    tile_config c = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        c.rows[t] = 16;
        c.row_bytes[t] = 64;
    }
    T_CONFIG(&c);
    T_ZERO(0);
    T_ZERO(1);
    T_ZERO(2);
    T_ZERO(3);
    T_ZERO(4);
    T_ZERO(5);
    for (int n = 0; n < STEPS / 4; n++) {
        T_DOT(0, 4, 5);
        T_DOT(1, 4, 5);
        T_DOT(2, 4, 5);
        T_DOT(3, 4, 5);
    }
    T_RELEASE();
}
#endif

/* The portable path multiplies and adds one number at a time. */
static void fma_portable(void) {
    volatile float zero = 0;
    float a = zero, b = zero, c[4] = {zero, zero, zero, zero};
    for (int n = 0; n < STEPS / 4; n++)
        for (int i = 0; i < 4; i++)
            c[i] = fmaf(a, b, c[i]);
    zero = (c[0] + c[1]) + (c[2] + c[3]);
}

typedef struct loop {
    void (*run)(void);
    double flop;
} loop;

static loop loop_of(const agon_ctx *ctx, bool bf16) {
#if defined(__x86_64__)
    if (bf16 && numerics_is_native(ctx->numerics) && ctx->fast_bf16_dot)
        return (loop){dot_avx512, 2.0 * 32 * CHAINS * STEPS};
    if (bf16 && !numerics_is_native(ctx->numerics) && ctx->cpu == CPU_AMX)
        return (loop){dot_amx, 2.0 * 16 * 16 * 32 * (double)(STEPS / 4) * 4};
    if (ctx->cpu >= CPU_AVX512)
        return (loop){fma_avx512, 2.0 * 16 * CHAINS * STEPS};
    if (ctx->cpu == CPU_AVX2)
        return (loop){fma_avx2, 2.0 * 8 * CHAINS * STEPS};
#else
    (void)ctx;
    (void)bf16;
#endif
    return (loop){fma_portable, 2.0 * (double)(STEPS / 4) * 4};
}

static void loop_task(void *arg, size_t task, int thread) {
    (void)task;
    (void)thread;
    ((const loop *)arg)->run();
}

double compute_peak_flop(agon_ctx *ctx, bool bf16) {
    loop l = loop_of(ctx, bf16);
    size_t n = (size_t)TASKS * (size_t)ctx->n_threads;
    pool_run(ctx->pool, n, loop_task, &l);
    return l.flop * (double)n;
}

enum { READ_TASK = 1 << 18, LINE = 16 /* floats */ };

typedef struct read_job {
    const float *from;
    size_t n;
} read_job;

/* One number of each line, which brings the whole of it, so that memory and not arithmetic is the limit. */
static void read_task(void *arg, size_t task, int thread) {
    (void)thread;
    const read_job *j = arg;
    uint32_t sums[4] = {0}, bits[4];
    const size_t end = size_min((task + 1) * READ_TASK, j->n);
    size_t i = task * READ_TASK;
    for (; i + 3 * LINE < end; i += 4 * LINE)
        for (size_t k = 0; k < 4; k++) {
            memcpy(&bits[k], j->from + i + k * LINE, sizeof bits[k]);
            sums[k] += bits[k];
        }
    volatile uint32_t keep = sums[0] + sums[1] + sums[2] + sums[3]; /* else nothing need be read */
    (void)keep;
}

void compute_read(agon_ctx *ctx, const float *from, size_t n) {
    read_job j = {from, n};
    pool_run(ctx->pool, (n + READ_TASK - 1) / READ_TASK, read_task, &j);
}

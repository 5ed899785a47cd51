/* Slow, obvious statements of the arithmetic contract that the kernel tests compare against. */
#ifndef TESTS_COMPUTE_REFERENCE_H
#define TESTS_COMPUTE_REFERENCE_H

#include "../../test.h"
#include "base/ctx.h"
#include "base/pool.h"
#include "base/random.h"
#include "compute/compute.h"

static inline float bf16(float x) {
    return bf16_to_float(bf16_from_float(x));
}

/* One element of a product: a[k * da], b[k * db], started from c. */
static inline float product_element(compute_dtype dtype, agon_numerics numerics, const float *a, size_t da,
                                    const float *b, size_t db, size_t n, float scale_a, float c) {
    unsigned mode = fp_mode_set();
    if (dtype == COMPUTE_F32)
        for (size_t k = 0; k < n; k++)
            c = fmaf(a[k * da] * scale_a, b[k * db], c);
    else
        for (size_t block = 0; block < n; block += 32) {
            float chain[2] = {0, 0}, x[32], y[32];
            for (size_t i = 0, k = block; i < 32; i++, k++) {
                x[i] = k < n ? bf16(a[k * da] * scale_a) : 0;
                y[i] = k < n ? bf16(b[k * db]) : 0;
            }
            for (size_t i = 0; i < 32; i++) {
                if (numerics == AGON_NUMERICS_NATIVE)
                    c = fmaf(x[i ^ 1], y[i ^ 1], c); /* the odd one of a pair first */
                else
                    chain[i & 1] = fmaf(x[i], y[i], chain[i & 1]);
            }
            c += numerics == AGON_NUMERICS_NATIVE ? 0 : chain[0] + chain[1];
        }
    fp_mode_restore(mode);
    return c;
}

/* Exactly n floats, so that the sanitizer sees any read past them; values of mixed size. */
static inline float *random_floats(rng *r, size_t n) {
    float *x = malloc(n * sizeof *x + !n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rng_normal(r) * (rng_below(r, 8) ? 1 : 1e-3));
    return x;
}

#define assert_same_bits(a, b, n)                                                                    \
    do {                                                                                             \
        const float *a_ = (a), *b_ = (b);                                                            \
        for (size_t i_ = 0; i_ < (size_t)(n); i_++)                                                  \
            if (memcmp(a_ + i_, b_ + i_, sizeof *a_) != 0)                                           \
                fail_msg("%s[%zu] = %.9g, %s has %.9g", #a, i_, (double)a_[i_], #b, (double)b_[i_]); \
    } while (0)

static const char *const cpu_names[CPU_N_PATHS] = {"portable", "avx2", "avx512", "amx", "neon"};

/* for each CPU path of this machine and 1 to 3 threads */
#define FOR_EACH_CTX(ctx)                                                                            \
    for (int path_ = 0; path_ < CPU_N_PATHS; path_++)                                                \
        for (int threads_ = 1; threads_ <= 3 && cpu_path_present((cpu_path)path_); threads_++)       \
            for (agon_ctx *ctx = test_ctx(threads_, cpu_names[path_]); ctx; agon_ctx_free(ctx), ctx = NULL)

/* The same in both modes; each also without the instructions that make it fast. */
#define FOR_EACH_MODE(ctx)                                                                           \
    FOR_EACH_CTX(ctx)                                                                                \
        for (int mode_ = 0; mode_ < 5 && set_mode(ctx, mode_); mode_++)

static inline bool set_mode(agon_ctx *ctx, int mode) {
    ctx->numerics = mode >= 1 && mode <= 3 ? AGON_NUMERICS_NATIVE : AGON_NUMERICS_PORTABLE;
    ctx->fast_bf16_dot = mode < 2 && ctx->has_avx512_bf16; /* the instruction, also where it is slow; then FMAs */
    if (mode >= 3)
        ctx->has_avx512_bf16 = false;
    return true;
}

#endif

/* exp and log of one number, and the choice of the kernel tables.
 *
 * math_exp repeats v_exp (body_math.h) operation by operation, so that code outside the kernels gets
 * their bits. Polynomials after Cephes (Moshier). */
#include "compute/kernels.h"
#include "base/numerics.h"
#include <math.h>
#include <string.h>

/* What a context computes with: chains for f32 and portable bf16, pairs for native. */
typedef struct path {
    const kernels *kernels;
    const products *chains, *pairs;
    const packing *packing;
} path;

static path path_of(const agon_ctx *ctx) {
#if defined(__x86_64__)
    if (ctx->cpu >= CPU_AVX512 && ctx->has_avx512_bf16)
        return (path){&kernels_avx512, &chains_avx512_bf16, ctx->fast_bf16_dot ? &pairs_avx512_bf16 : &pairs_avx512 /* the same bits */,
                      &packing_avx512_bf16};
    if (ctx->cpu >= CPU_AVX512)
        return (path){&kernels_avx512, &chains_avx512, &pairs_avx512, &packing_avx512};
    if (ctx->cpu == CPU_AVX2)
        return (path){&kernels_avx2, &chains_avx2, &pairs_avx2, &packing_avx2};
#elif defined(__aarch64__)
    if (ctx->cpu == CPU_NEON)
        return (path){&kernels_neon, &chains_neon, &pairs_neon, &packing_neon};
#else
    (void)ctx;
#endif
    return (path){&kernels_portable, &chains_portable, &pairs_portable, &packing_portable};
}

const kernels *kernels_of(const agon_ctx *ctx) {
    return path_of(ctx).kernels;
}

const packing *packing_of(const agon_ctx *ctx) {
    return path_of(ctx).packing;
}

const products *products_of(const agon_ctx *ctx, compute_dtype dtype) {
    const path p = path_of(ctx);
    if (dtype == COMPUTE_BF16 && numerics_is_native(ctx->numerics))
        return p.pairs;
#if defined(__x86_64__)
    if (ctx->cpu == CPU_AMX && dtype == COMPUTE_BF16)
        return &chains_amx;
#endif
    return p.chains;
}

agon_numerics compute_fastest_numerics(const agon_ctx *ctx) {
    if (ctx->cpu == CPU_AMX)
        return AGON_NUMERICS_PORTABLE_BF16_ATTENTION;
    return ctx->cpu == CPU_AVX512 && ctx->fast_bf16_dot ? AGON_NUMERICS_NATIVE_BF16_ATTENTION : ctx->numerics;
}

static float power_of_two(int n) {
    int32_t bits = (n + 127) * (1 << 23);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float math_exp(float x) {
    if (x < -86.6f)
        return 0.0f;
    if (x > 88.8f)
        return INFINITY;
    if (isnan(x))
        return x;
    float n = rintf(x * 1.44269504088896341f);
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r) + 1.0f;
    return (p + p) * power_of_two((int)n - 1);
}

/* Relative error below 1e-7, near 1 absolute. Denormal arguments count as zero, as everywhere. */
float math_log(float x) {
    if (isnan(x) || x < 0)
        return NAN;
    if (x < 1.17549435e-38f)
        return -INFINITY;
    if (isinf(x))
        return x;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 23) - 126; /* x = m * 2^e, m in [0.5, 1) */
    bits = (bits & 0x7fffffu) | 0x3f000000u;
    float m;
    memcpy(&m, &bits, sizeof m);
    if (m < 0.707106781186547524f) {
        e--;
        m = m + m;
    }
    float r = m - 1.0f, r2 = r * r;
    float p = 7.0376836292e-2f;
    p = fmaf(p, r, -1.1514610310e-1f);
    p = fmaf(p, r, 1.1676998740e-1f);
    p = fmaf(p, r, -1.2420140846e-1f);
    p = fmaf(p, r, 1.4249322787e-1f);
    p = fmaf(p, r, -1.6668057665e-1f);
    p = fmaf(p, r, 2.0000714765e-1f);
    p = fmaf(p, r, -2.4999993993e-1f);
    p = fmaf(p, r, 3.3333331174e-1f);
    p = (p * r) * r2;
    p = fmaf((float)e, -2.12194440e-4f, p);
    p = fmaf(-0.5f, r2, p);
    return fmaf((float)e, 0.693359375f, r + p);
}

/* The products of `numerics: native` for CPUs whose AVX-512-BF16 is there but whose VDPBF16PS is slower than FMAs (Intel): its
 * conversions, and two FMAs a pair, which have the instruction's bits. Which CPU that is: ctx.c. */
#include "compute/kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#endif

#define PAIRS_NATIVE
#define DOT_BY_FMA
#include "compute/lanes_avx512.h"
#include "compute/body_tiles.h"
#include "compute/body_pack_pairs.h"
#include "compute/body_pairs.h"

#define PAIRS pairs_avx512_fma
#include "compute/body_products.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

/* The products of `numerics: native` with VDPBF16PS, for CPUs where that is fast (AMD Zen 4 and later; others
 * multiply as kernels_avx512.c does), and the portable ones, whose 8-bit weights are rounded by its conversion. The other
 * kernels are those of kernels_avx512.c. */
#include "compute/attention.h"
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
#include "compute/lanes_avx512.h"
#include "compute/body_tiles.h"
#include "compute/body_matmul.h"
#include "compute/body_pack_pairs.h"
#include "compute/body_masters.h"
#include "compute/body_pairs.h"

#define ATTEND_ONE attend_one_pairs
#define ATTEND_ONE_PAIRS
#include "compute/body_attention_one.h"

#define CHAINS chains_avx512_bf16
#define PAIRS pairs_avx512_bf16
#define PACKING packing_avx512_bf16
#include "compute/body_products.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

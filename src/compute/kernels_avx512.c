/* Every kernel for AVX-512. System headers come before the target is switched on, so that nothing but our
 * own functions is compiled for it: these run only where cpu_path_present says so. */
#include "compute/attention.h"
#include "compute/kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define PAIRS_AS_FLOATS
#include "compute/lanes_avx512.h"
#include "compute/body_math.h"
#include "compute/body_tiles.h"
#include "compute/body_pack_pairs.h"
#include "compute/body_masters.h"
#include "compute/body_matmul.h"
#include "compute/body_head.h"
#include "compute/body_attention.h"
#include "compute/body_attention_bf16.h"
#include "compute/body_rows.h"

#define ATTEND_ONE attend_one_chains
#include "compute/body_attention_one.h"

#define KERNELS kernels_avx512
#define CHAINS chains_avx512
#define PAIRS pairs_avx512
#define PACKING packing_avx512
#include "compute/body_table.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

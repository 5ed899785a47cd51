/* Every kernel for NEON, which each 64-bit ARM has. Compiled and compared with the portable path under emulation (tests/neon). */
#include "compute/kernels.h"
#if defined(__aarch64__)
#include <math.h>
#include "compute/lanes_neon.h"
#include "compute/body_math.h"
#include "compute/body_tiles.h"
#include "compute/body_pack_pairs.h"
#include "compute/body_masters.h"
#include "compute/body_matmul.h"
#include "compute/body_pairs.h"
#include "compute/body_head.h"
#include "compute/body_attention.h"
#include "compute/body_attention_bf16.h"
#include "compute/body_rows.h"

#define KERNELS kernels_neon
#define CHAINS chains_neon
#define PAIRS pairs_neon
#define PACKING packing_neon
#include "compute/body_table.h"
#endif

/* Every kernel in plain C: the reference, and the path of CPUs without AVX2. */
#include "compute/kernels.h"
#include <math.h>
#include "compute/lanes_portable.h"
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

#define KERNELS kernels_portable
#define CHAINS chains_portable
#define PAIRS pairs_portable
#define PACKING packing_portable
#include "compute/body_table.h"

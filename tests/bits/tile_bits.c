/* tile_bits: a line with a hash of what TDPBF16PS leaves in a tile, over shapes and kinds of values. With -DAMX_MODEL the tiles are
 * those of amx_tiles.h in C, on which test_amx rests; without, the CPU's. tests/amx/run compares the two. */
#include "compute/kernels.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/amx_tiles.h"

typedef struct operands {
    uint16_t a[16][32], b[16][32];
    float c[16][16];
} operands;

enum { ORDINARY, TINY, LARGE, ANY, N_KINDS };
static const char *const kinds[N_KINDS] = {"ordinary", "tiny", "large", "any"};
static uint64_t state;

static uint32_t random_bits(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

/* The upper 16 of them are a bf16. tiny: products around the least normal number; large: sums overflow, and infinity less infinity is
 * NaN. */
static uint32_t random_float(int kind) {
    uint32_t bits = random_bits(), exponent = bits >> 23 & 7;
    static const uint32_t from[] = {123, 62, 187, 0};
    if (kind == ANY) /* denormals, infinities and NaN as they come */
        return bits;
    if (random_bits() % 16 == 0)
        return bits & 0x80000000u;
    return (bits & 0x807fffffu) | (from[kind] + exponent / (kind == ORDINARY ? 1 : 2)) << 23;
}

/* tiny: one of the two chains is zero and c denormal, as Bochs (3.0) flushes the least normal numbers too where an addition cancels; its
 * FMA does not. */
static void fill(operands *o, int kind) {
    const int zero = kind == TINY ? (int)(random_bits() % 2) : 2;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 32; j++) {
            o->a[i][j] = j % 2 == zero ? 0 : (uint16_t)(random_float(kind) >> 16);
            o->b[i][j] = (uint16_t)(random_float(kind) >> 16);
        }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            uint32_t bits = kind == TINY ? random_bits() & 0x807fffffu : random_float(kind);
            memcpy(&o->c[i][j], &bits, sizeof bits);
        }
}

/* c [m][n] += a [m][2 k] b [k][2 n]: tile sizes that fit. */
static void multiply(operands *o, size_t m, size_t n, size_t k) {
    tile_config t = {.palette = 1};
    t.rows[0] = t.rows[4] = (uint8_t)m;
    t.rows[6] = (uint8_t)k;
    t.row_bytes[0] = t.row_bytes[6] = (uint16_t)(4 * n);
    t.row_bytes[4] = (uint16_t)(4 * k);
    T_CONFIG(&t);
    T_LOAD(0, o->c, sizeof *o->c);
    T_LOAD(4, o->a, sizeof *o->a);
    T_LOAD(6, o->b, sizeof *o->b);
    T_DOT(0, 4, 6);
    T_STORE(0, o->c, sizeof *o->c);
    T_RELEASE();
}

/* FNV-1a; every NaN counts as the same one. */
static uint64_t hash(const operands *o) {
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < 16 * 16; i++) {
        uint32_t bits;
        memcpy(&bits, &o->c[i / 16][i % 16], sizeof bits);
        if ((bits & 0x7fffffffu) > 0x7f800000u)
            bits = 0x7fc00000u;
        for (int byte = 0; byte < 4; byte++)
            h = (h ^ (bits >> 8 * byte & 255)) * 1099511628211u;
    }
    return h;
}

int main(void) {
    static operands o;
#if defined(AMX_MODEL)
    unsigned mode = fp_mode_set(); /* the tiles flush denormals whatever the mode */
#else
    if (!cpu_path_present(CPU_AMX)) {
        fprintf(stderr, "no AMX here\n");
        return 2;
    }
#endif
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int i = 0; i < 40; i++) {
            size_t m = i ? 1 + random_bits() % 16 : 16, n = i ? 1 + random_bits() % 16 : 16, k = i ? 1 + random_bits() % 16 : 16;
            fill(&o, kind);
            multiply(&o, m, n, k);
            printf("tile %s %zux%zux%zu %016llx\n", kinds[kind], m, n, k, (unsigned long long)hash(&o));
        }
#if defined(AMX_MODEL)
    fp_mode_restore(mode);
#endif
    return 0;
}

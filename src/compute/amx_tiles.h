/* The eight tile registers of AMX as macros; tile numbers are literals.
 *
 * Own assembly: gcc 12's _tile_loadconfig tells the compiler of 8 of its 64 bytes, and _tile_loadd of no
 * memory at all. With AMX_MODEL the same names are plain C after Intel's manual, faults for wrong shapes included, which is
 * how test_amx.c runs the code around them on a CPU without AMX. */
#ifndef COMPUTE_AMX_TILES_H
#define COMPUTE_AMX_TILES_H

#include <stdint.h>
#if defined(AMX_MODEL)
#include <assert.h>
#include <stdatomic.h>
#endif

/* Palette 1: up to 16 rows of up to 64 bytes a tile. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

#if !defined(AMX_MODEL)
#define T_CONFIG(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(config)))
#define T_RELEASE() __asm__ volatile("tilerelease")
#define T_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define T_LOAD(t, from, stride)                                                                      \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"((const void *)(from)), "r"((size_t)(stride)) : "memory")
#define T_STORE(t, to, stride)                                                                       \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"((void *)(to)), "r"((size_t)(stride)) : "memory")
#define T_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#else
static _Thread_local struct { /* each thread has tiles of its own */
    tile_config config;
    uint32_t tile[8][16][16];
} amx;
static atomic_bool amx_is_wrong;     /* a CPU that adds in another order, for the test of what is done about one */
static atomic_size_t amx_configured; /* how often tiles were */

/* LDTILECFG takes no tile of rows without bytes, none beyond the palette's limits, and no ninth. */
static inline void model_config(const tile_config *c) {
    assert(c->palette == 1 && c->start_row == 0);
    for (int t = 0; t < 16; t++) {
        assert(c->rows[t] <= (t < 8 ? 16 : 0) && c->row_bytes[t] <= (t < 8 ? 64 : 0));
        assert((c->rows[t] == 0) == (c->row_bytes[t] == 0));
    }
    amx.config = *c;
    atomic_fetch_add_explicit(&amx_configured, 1, memory_order_relaxed);
}
static inline size_t model_rows(int t) {
    assert(amx.config.palette == 1 && amx.config.rows[t] > 0); /* else #UD: no tiles, or not this one */
    return amx.config.rows[t];
}
static inline void model_zero(int t) {
    (void)model_rows(t);
    memset(amx.tile[t], 0, sizeof amx.tile[t]);
}
static inline void model_load(int t, const void *from, size_t stride) {
    memset(amx.tile[t], 0, sizeof amx.tile[t]);
    for (size_t r = 0; r < model_rows(t); r++)
        memcpy(amx.tile[t][r], (const char *)from + r * stride, amx.config.row_bytes[t]);
}
static inline void model_store(int t, void *to, size_t stride) {
    for (size_t r = 0; r < model_rows(t); r++)
        memcpy((char *)to + r * stride, amx.tile[t][r], amx.config.row_bytes[t]);
}
/* c += even chain + odd chain of one block of k, each from zero; denormals are zero. #UD where the shapes do not fit. */
static inline void model_dot(int c, int a, int b) {
    assert(c != a && a != b && b != c);
    assert(model_rows(c) == model_rows(a) && amx.config.row_bytes[c] == amx.config.row_bytes[b]);
    assert(model_rows(b) == amx.config.row_bytes[a] / 4u);
    assert(amx.config.row_bytes[c] % 4 == 0 && amx.config.row_bytes[a] % 4 == 0);
    const bool wrong = atomic_load_explicit(&amx_is_wrong, memory_order_relaxed);
    for (size_t m = 0; m < amx.config.rows[c]; m++)
        for (size_t n = 0; n < amx.config.row_bytes[c] / 4; n++) {
            float even = 0, odd = 0, sum;
            for (size_t k = 0; k < amx.config.row_bytes[a] / 4; k++) {
                uint32_t x = amx.tile[a][m][k], y = amx.tile[b][k][n];
                even = fmaf(bf16_to_float((uint16_t)x), bf16_to_float((uint16_t)y), even);
                odd = fmaf(bf16_to_float((uint16_t)(x >> 16)), bf16_to_float((uint16_t)(y >> 16)), odd);
            }
            memcpy(&sum, &amx.tile[c][m][n], sizeof sum);
            sum = wrong ? (sum + even) + odd : sum + (even + odd);
            memcpy(&amx.tile[c][m][n], &sum, sizeof sum);
        }
}
#define T_CONFIG(c) model_config(c)
#define T_RELEASE() memset(&amx, 0, sizeof amx)
#define T_ZERO(t) model_zero(t)
#define T_LOAD(t, from, stride) model_load(t, from, stride)
#define T_STORE(t, to, stride) model_store(t, to, stride)
#define T_DOT(c, a, b) model_dot(c, a, b)
#endif

#endif

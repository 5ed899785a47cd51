/* Sixteen virtual f32 lanes in plain C: the reference that the vector paths must equal bit for bit.
 *
 * Kernel bodies (body_*.h) are written once over these operations and compiled once a CPU path; see
 * kernels.h. lanes_avx2.h and lanes_avx512.h implement the same list. Every operation is correctly
 * rounded or exact, so equal sequences of them give equal bits. */
#include <math.h>
#include <string.h>

#define LANES_PLAIN /* loops stay loops: unrolled, they take half a minute to compile */
/* Instrumented by a sanitizer, inlined lanes take many minutes to compile. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANES static __attribute__((noinline, unused))
#else
#define LANES static inline __attribute__((always_inline))
#endif
#define EACH(i) for (int i = 0; i < 16; i++)

typedef struct lanes {
    float f[16];
} lanes;

LANES lanes v_load(const float *p) {
    lanes r;
    memcpy(r.f, p, sizeof r.f);
    return r;
}
/* The first n (0..16) floats, then zeros; reads no further. */
LANES lanes v_load_n(const float *p, size_t n) {
    lanes r = {{0}};
    memcpy(r.f, p, n * sizeof *p);
    return r;
}
LANES void v_store(float *p, lanes a) {
    memcpy(p, a.f, sizeof a.f);
}
LANES void v_store_n(float *p, lanes a, size_t n) {
    memcpy(p, a.f, n * sizeof *p);
}
LANES lanes v_set(float x) {
    lanes r;
    EACH(i) r.f[i] = x;
    return r;
}
LANES lanes v_add(lanes a, lanes b) {
    EACH(i) a.f[i] += b.f[i];
    return a;
}
LANES lanes v_sub(lanes a, lanes b) {
    EACH(i) a.f[i] -= b.f[i];
    return a;
}
LANES lanes v_mul(lanes a, lanes b) {
    EACH(i) a.f[i] *= b.f[i];
    return a;
}
LANES lanes v_div(lanes a, lanes b) {
    EACH(i) a.f[i] /= b.f[i];
    return a;
}
LANES lanes v_fma(lanes a, lanes b, lanes c) {
    EACH(i) c.f[i] = fmaf(a.f[i], b.f[i], c.f[i]);
    return c;
}
LANES lanes v_sqrt(lanes a) {
    EACH(i) a.f[i] = sqrtf(a.f[i]);
    return a;
}
/* To the nearest integer, halves to even; and down. */
LANES lanes v_round(lanes a) {
    EACH(i) a.f[i] = rintf(a.f[i]);
    return a;
}
LANES lanes v_floor(lanes a) {
    EACH(i) a.f[i] = floorf(a.f[i]);
    return a;
}
LANES lanes v_abs(lanes a) {
    EACH(i) a.f[i] = fabsf(a.f[i]);
    return a;
}
/* a > b ? a : b, so b where either is NaN. */
LANES lanes v_max(lanes a, lanes b) {
    EACH(i) a.f[i] = a.f[i] > b.f[i] ? a.f[i] : b.f[i];
    return a;
}
/* a < b ? x : y; y where a or b is NaN. */
LANES lanes v_if_less(lanes a, lanes b, lanes x, lanes y) {
    EACH(i) x.f[i] = a.f[i] < b.f[i] ? x.f[i] : y.f[i];
    return x;
}
/* The first n lanes of a, the others of b. */
LANES lanes v_first(lanes a, lanes b, size_t n) {
    EACH(i) a.f[i] = (size_t)i < n ? a.f[i] : b.f[i];
    return a;
}
/* p * 2^n, p in [0.5, 2], n an integer in [-125, 128]; of other operands anything. */
LANES lanes v_times_exp2(lanes p, lanes n) {
    EACH(i) {
        const int32_t bits = n.f[i] >= -125 && n.f[i] <= 128 ? ((int32_t)n.f[i] + 126) * (1 << 23) : 0;
        memcpy(&n.f[i], &bits, sizeof bits);
        p.f[i] = (p.f[i] + p.f[i]) * n.f[i]; /* 2^128 is no float but results just below it are */
    }
    return p;
}
/* The reduction tree of the arithmetic contract: lane i + lane i+8, then +4, +2, +1. */
LANES float v_sum(lanes a) {
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a.f[i] += a.f[i + half];
    return a.f[0];
}
/* Lane i: v_sum(r[i]). */
LANES lanes v_sum16(const lanes r[16]) {
    lanes s;
    EACH(i) s.f[i] = v_sum(r[i]);
    return s;
}
/* Rounded to bf16 (compute.h), still as f32. */
LANES lanes v_bf16(lanes a) {
    EACH(i) a.f[i] = bf16_to_float(bf16_from_float(a.f[i]));
    return a;
}
/* 16 pairs of bf16 (even k, odd k), widened. */
LANES void v_load_pairs(const uint16_t *p, lanes *even, lanes *odd) {
    EACH(i) {
        even->f[i] = bf16_to_float(p[2 * i]);
        odd->f[i] = bf16_to_float(p[2 * i + 1]);
    }
}

/* Sixteen pairs of bf16, the even one in the low half of its 32 bits. */
typedef struct pairs {
    uint32_t u[16];
} pairs;

LANES pairs p_load(const void *p) {
    pairs r;
    memcpy(r.u, p, sizeof r.u);
    return r;
}
LANES pairs p_set(uint32_t pair) {
    pairs r;
    EACH(i) r.u[i] = pair;
    return r;
}
/* The odd halves' FMA onto c, then the even halves': the instruction VDPBF16PS. */
LANES lanes p_dot(pairs a, pairs b, lanes c) {
    EACH(i) {
        c.f[i] = fmaf(bf16_to_float((uint16_t)(a.u[i] >> 16)), bf16_to_float((uint16_t)(b.u[i] >> 16)), c.f[i]);
        c.f[i] = fmaf(bf16_to_float((uint16_t)a.u[i]), bf16_to_float((uint16_t)b.u[i]), c.f[i]);
    }
    return c;
}
/* Rounds to pairs. a must not hold denormals, which a product with 1 in this mode sees to. */
LANES void p_store(void *p, lanes even, lanes odd) {
    pairs r;
    EACH(i) r.u[i] = bf16_from_float(even.f[i]) | (uint32_t)bf16_from_float(odd.f[i]) << 16;
    memcpy(p, r.u, sizeof r.u);
}
/* The same for a row: neighbouring lanes are a pair. */
LANES void p_store_row(uint16_t *p, lanes a) {
    EACH(i) p[i] = bf16_from_float(a.f[i]);
}

/* 8-bit weights: the scales of sixteen columns, and sixteen pairs of int8 as the bf16 values that scale * int8 is rounded to. */
typedef lanes q8_scales;
LANES q8_scales q8_load(const void *p) {
    return v_load(p);
}
LANES pairs p_load_q8(const int8_t *p, q8_scales s) {
    pairs r;
    EACH(i) {
        r.u[i] = bf16_from_float((float)p[2 * i] * s.f[i]);
        r.u[i] |= (uint32_t)bf16_from_float((float)p[2 * i + 1] * s.f[i]) << 16;
    }
    return r;
}
LANES void v_load_q8(const int8_t *p, q8_scales s, lanes *even, lanes *odd) {
    pairs both = p_load_q8(p, s);
    EACH(i) {
        even->f[i] = bf16_to_float((uint16_t)both.u[i]);
        odd->f[i] = bf16_to_float((uint16_t)(both.u[i] >> 16));
    }
}
/* The pairs of values that are bf16 already. */
LANES pairs p_join(lanes even, lanes odd) {
    pairs r;
    EACH(i) r.u[i] = bf16_from_float(even.f[i]) | (uint32_t)bf16_from_float(odd.f[i]) << 16;
    return r;
}
LANES void p_put(void *p, pairs a) {
    memcpy(p, a.u, sizeof a.u);
}

/* Rows and columns (in vectors) of the register tiles: the reference is written for clarity. */
#define HEADS_TOGETHER 1 /* of attention */
#define KEYS_TOGETHER 1 /* of its backward pass */
#define TILE_ROWS 2
#define PAIR_ROWS 2
#define PAIR_COLS 1

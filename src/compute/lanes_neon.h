/* Sixteen virtual f32 lanes as four NEON registers (64-bit ARM); the operations are described in lanes_portable.h. */
#include <arm_neon.h>
#include <string.h>

#define LANES static inline __attribute__((always_inline))

typedef struct lanes {
    float32x4_t q[4];
} lanes;

#define QUADS(at) ((lanes){{at(0), at(1), at(2), at(3)}})

LANES lanes v_load(const float *p) {
#define AT(i) vld1q_f32(p + 4 * (i))
    return QUADS(AT);
#undef AT
}
LANES lanes v_load_n(const float *p, size_t n) {
    float some[16] = {0};
    if (n == 16)
        return v_load(p);
    memcpy(some, p, n * sizeof *p);
    return v_load(some);
}
LANES void v_store(float *p, lanes a) {
    vst1q_f32(p, a.q[0]);
    vst1q_f32(p + 4, a.q[1]);
    vst1q_f32(p + 8, a.q[2]);
    vst1q_f32(p + 12, a.q[3]);
}
LANES void v_store_n(float *p, lanes a, size_t n) {
    float all[16];
    if (n == 16) {
        v_store(p, a);
        return;
    }
    v_store(all, a);
    memcpy(p, all, n * sizeof *p);
}
LANES lanes v_set(float x) {
#define AT(i) vdupq_n_f32(x)
    return QUADS(AT);
#undef AT
}
#define BINARY(name, op)                                                                             \
    LANES lanes name(lanes a, lanes b) {                                                             \
        return (lanes){{op(a.q[0], b.q[0]), op(a.q[1], b.q[1]), op(a.q[2], b.q[2]), op(a.q[3], b.q[3])}}; \
    }
#define UNARY(name, op)                                                                              \
    LANES lanes name(lanes a) {                                                                      \
        return (lanes){{op(a.q[0]), op(a.q[1]), op(a.q[2]), op(a.q[3])}};                            \
    }
BINARY(v_add, vaddq_f32)
BINARY(v_sub, vsubq_f32)
BINARY(v_mul, vmulq_f32)
BINARY(v_div, vdivq_f32)
UNARY(v_sqrt, vsqrtq_f32)
UNARY(v_round, vrndnq_f32)
UNARY(v_floor, vrndmq_f32)
UNARY(v_abs, vabsq_f32)
LANES lanes v_fma(lanes a, lanes b, lanes c) {
#define AT(i) vfmaq_f32(c.q[i], a.q[i], b.q[i])
    return QUADS(AT);
#undef AT
}
/* Not vmaxq_f32, which has an opinion of its own about NaN and the sign of zero. */
LANES float32x4_t max_quad(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
BINARY(v_max, max_quad)
LANES lanes v_if_less(lanes a, lanes b, lanes x, lanes y) {
#define AT(i) vbslq_f32(vcltq_f32(a.q[i], b.q[i]), x.q[i], y.q[i])
    return QUADS(AT);
#undef AT
}
LANES uint32x4_t lane_mask(size_t n, uint32_t first) {
    const uint32_t index[4] = {first, first + 1, first + 2, first + 3};
    return vcltq_u32(vld1q_u32(index), vdupq_n_u32((uint32_t)n));
}
LANES lanes v_first(lanes a, lanes b, size_t n) {
#define AT(i) vbslq_f32(lane_mask(n, 4 * (i)), a.q[i], b.q[i])
    return QUADS(AT);
#undef AT
}
LANES float32x4_t times_exp2_quad(float32x4_t p, float32x4_t n) {
    const int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(126)), 23);
    return vmulq_f32(vaddq_f32(p, p), vreinterpretq_f32_s32(bits));
}
BINARY(v_times_exp2, times_exp2_quad)
LANES float v_sum(lanes a) {
    float32x4_t s4 = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
    return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
LANES lanes v_sum16(const lanes r[16]) {
    float s[16];
    for (int i = 0; i < 16; i++)
        s[i] = v_sum(r[i]);
    return v_load(s);
}
/* Rounded as bf16_from_float does; the low half of the result is zero. */
LANES uint32x4_t bf16_quad(float32x4_t x) {
    const uint32x4_t exponent = vdupq_n_u32(0x7f800000);
    uint32x4_t u = vreinterpretq_u32_f32(x), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t r = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    uint32x4_t nan = vcgtq_u32(vandq_u32(u, vdupq_n_u32(0x7fffffff)), exponent);
    r = vbslq_u32(nan, vorrq_u32(u, vdupq_n_u32(0x400000)), r);
    uint32x4_t tiny = vceqq_u32(vandq_u32(u, exponent), vdupq_n_u32(0));
    r = vbslq_u32(tiny, vandq_u32(u, vdupq_n_u32(0x80000000)), r);
    return vandq_u32(r, vdupq_n_u32(0xffff0000));
}
LANES float32x4_t bf16_value(float32x4_t x) {
    return vreinterpretq_f32_u32(bf16_quad(x));
}
UNARY(v_bf16, bf16_value)

typedef struct pairs {
    uint32x4_t q[4];
} pairs;

LANES pairs p_load(const void *p) {
    const uint32_t *u = p;
    return (pairs){{vld1q_u32(u), vld1q_u32(u + 4), vld1q_u32(u + 8), vld1q_u32(u + 12)}};
}
LANES pairs p_set(uint32_t pair) {
    uint32x4_t all = vdupq_n_u32(pair);
    return (pairs){{all, all, all, all}};
}
LANES lanes p_even(pairs a) {
#define AT(i) vreinterpretq_f32_u32(vshlq_n_u32(a.q[i], 16))
    return QUADS(AT);
#undef AT
}
LANES lanes p_odd(pairs a) {
#define AT(i) vreinterpretq_f32_u32(vandq_u32(a.q[i], vdupq_n_u32(0xffff0000)))
    return QUADS(AT);
#undef AT
}
LANES void v_load_pairs(const uint16_t *p, lanes *even, lanes *odd) {
    pairs both = p_load(p);
    *even = p_even(both);
    *odd = p_odd(both);
}
LANES lanes p_dot(pairs a, pairs b, lanes c) {
    return v_fma(p_even(a), p_even(b), v_fma(p_odd(a), p_odd(b), c));
}
LANES void p_store(void *p, lanes even, lanes odd) {
    uint32_t *u = p;
    for (int i = 0; i < 4; i++)
        vst1q_u32(u + 4 * i, vorrq_u32(vshrq_n_u32(bf16_quad(even.q[i]), 16), bf16_quad(odd.q[i])));
}
LANES void p_store_row(uint16_t *p, lanes a) {
    for (int i = 0; i < 4; i++)
        vst1_u16(p + 4 * i, vshrn_n_u32(bf16_quad(a.q[i]), 16));
}

typedef lanes q8_scales;
LANES q8_scales q8_load(const void *p) {
    return v_load(p);
}
LANES pairs p_load_q8(const int8_t *p, q8_scales s) {
    pairs r;
    for (int i = 0; i < 4; i++) {
        int32x4_t both = vmovl_s16(vreinterpret_s16_s8(vld1_s8(p + 8 * i)));
        float32x4_t even = vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(both, 24), 24)), odd = vcvtq_f32_s32(vshrq_n_s32(both, 8));
        r.q[i] = vorrq_u32(vshrq_n_u32(bf16_quad(vmulq_f32(even, s.q[i])), 16), bf16_quad(vmulq_f32(odd, s.q[i])));
    }
    return r;
}
LANES void v_load_q8(const int8_t *p, q8_scales s, lanes *even, lanes *odd) {
    pairs both = p_load_q8(p, s);
    *even = p_even(both);
    *odd = p_odd(both);
}
LANES pairs p_join(lanes even, lanes odd) {
    pairs r;
    for (int i = 0; i < 4; i++)
        r.q[i] = vorrq_u32(vshrq_n_u32(vreinterpretq_u32_f32(even.q[i]), 16), vreinterpretq_u32_f32(odd.q[i]));
    return r;
}
LANES void p_put(void *p, pairs a) {
    uint32_t *u = p;
    for (int i = 0; i < 4; i++)
        vst1q_u32(u + 4 * i, a.q[i]);
}

#define HEADS_TOGETHER 1 /* of attention */
#define KEYS_TOGETHER 1 /* of its backward pass */
#define PAIR_ROWS 4
#define PAIR_COLS 1
#define TILE_ROWS 2

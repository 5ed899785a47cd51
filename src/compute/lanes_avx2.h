/* Sixteen virtual f32 lanes as two AVX2 registers; the operations are described in lanes_portable.h. */
#include <immintrin.h>
#include <string.h>

#define LANES static inline __attribute__((always_inline))

typedef struct lanes {
    __m256 lo, hi;
} lanes;

#define BOTH(op, a, b) ((lanes){op((a).lo, (b).lo), op((a).hi, (b).hi)})

LANES lanes v_load(const float *p) {
    return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
LANES __m256i lane_mask(size_t n, int first) {
    __m256i index = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}
/* Whole vectors, which nearly all are, go past the masks. */
LANES lanes v_load_n(const float *p, size_t n) {
    if (n == 16)
        return v_load(p);
    return (lanes){_mm256_maskload_ps(p, lane_mask(n, 0)), _mm256_maskload_ps(p + 8, lane_mask(n, 8))};
}
LANES void v_store(float *p, lanes a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
LANES void v_store_n(float *p, lanes a, size_t n) {
    if (n == 16) {
        v_store(p, a);
        return;
    }
    _mm256_maskstore_ps(p, lane_mask(n, 0), a.lo);
    _mm256_maskstore_ps(p + 8, lane_mask(n, 8), a.hi);
}
LANES lanes v_set(float x) {
    return (lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
LANES lanes v_add(lanes a, lanes b) {
    return BOTH(_mm256_add_ps, a, b);
}
LANES lanes v_sub(lanes a, lanes b) {
    return BOTH(_mm256_sub_ps, a, b);
}
LANES lanes v_mul(lanes a, lanes b) {
    return BOTH(_mm256_mul_ps, a, b);
}
LANES lanes v_div(lanes a, lanes b) {
    return BOTH(_mm256_div_ps, a, b);
}
LANES lanes v_fma(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
LANES lanes v_sqrt(lanes a) {
    return (lanes){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
LANES lanes v_round(lanes a) {
    return (lanes){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                   _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
LANES lanes v_floor(lanes a) {
    return (lanes){_mm256_floor_ps(a.lo), _mm256_floor_ps(a.hi)};
}
LANES lanes v_abs(lanes a) {
    lanes sign = v_set(-0.0f);
    return BOTH(_mm256_andnot_ps, sign, a);
}
LANES lanes v_max(lanes a, lanes b) {
    return BOTH(_mm256_max_ps, a, b);
}
LANES lanes v_if_less(lanes a, lanes b, lanes x, lanes y) {
    return (lanes){_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                   _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
LANES lanes v_first(lanes a, lanes b, size_t n) {
    if (n == 16)
        return a;
    return (lanes){_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(lane_mask(n, 0))),
                   _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(lane_mask(n, 8)))};
}
LANES __m256 times_exp2_half(__m256 p, __m256 n) {
    const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(126)), 23);
    return _mm256_mul_ps(_mm256_add_ps(p, p), _mm256_castsi256_ps(bits));
}
LANES lanes v_times_exp2(lanes p, lanes n) {
    return (lanes){times_exp2_half(p.lo, n.lo), times_exp2_half(p.hi, n.hi)};
}
LANES float v_sum(lanes a) {
    __m256 s8 = _mm256_add_ps(a.lo, a.hi);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
#define V_MAX_LANE
LANES float max_lane(lanes a) {
    __m256 m8 = _mm256_max_ps(a.lo, a.hi);
    __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
    __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
    return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}
/* Element j of r[i] goes to element i of r[j], 8 x 8. */
LANES void transpose8(__m256 r[8]) {
    __m256 t[8], u[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 4) /* 128-bit half h of u[i + c]: element 4h + c of rows i to i + 3 */
        for (int c = 0; c < 4; c += 2) {
            __m256d a = _mm256_castps_pd(t[i + c / 2]), b = _mm256_castps_pd(t[i + 2 + c / 2]);
            u[i + c] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            u[i + c + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
        r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
    }
}
LANES void v_transpose16(lanes r[16]) {
    for (int i = 0; i < 2; i++) { /* rows 8i to 8i + 7: their halves go below each other */
        __m256 lo[8], hi[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            lo[j] = r[8 * i + j].lo;
            hi[j] = r[8 * i + j].hi;
        }
        transpose8(lo);
        transpose8(hi);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            r[8 * i + j].lo = lo[j];
            r[8 * i + j].hi = hi[j];
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) { /* r[j] = {below of 0.., below of 8..} */
        __m256 upper = r[j].hi;
        r[j].hi = r[8 + j].lo;
        r[8 + j].lo = upper;
    }
}
/* Four 8-wide rows a (i, i+4 for i = 0..3 in x[i] = [row i | row i+4] sums) to 8 sums: the tree's
 * last three levels, transposing as they add. */
LANES __m256 sum8(const lanes r[8]) {
    __m256 x[4];
    for (int i = 0; i < 4; i++) {
        __m256 a = _mm256_add_ps(r[i].lo, r[i].hi), b = _mm256_add_ps(r[i + 4].lo, r[i + 4].hi);
        x[i] = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    }
    __m256 y[2];
    for (int i = 0; i < 2; i++) {
        __m256d a = _mm256_castps_pd(x[2 * i]), b = _mm256_castps_pd(x[2 * i + 1]);
        y[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                             _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    return _mm256_add_ps(_mm256_shuffle_ps(y[0], y[1], 0x88), _mm256_shuffle_ps(y[0], y[1], 0xdd));
}
LANES lanes v_sum16(const lanes r[16]) {
    return (lanes){sum8(r), sum8(r + 8)};
}
/* Integer rounding, because the conversion instruction of newer CPUs differs on denormals. */
LANES __m256 bf16_half(__m256 x) {
    const __m256i exponent = _mm256_set1_epi32(0x7f800000), high = _mm256_set1_epi32((int)0xffff0000);
    __m256i u = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    __m256i nan = _mm256_cmpgt_epi32(_mm256_and_si256(u, _mm256_set1_epi32(0x7fffffff)), exponent);
    r = _mm256_blendv_epi8(r, _mm256_or_si256(u, _mm256_set1_epi32(0x400000)), nan);
    __m256i tiny = _mm256_cmpeq_epi32(_mm256_and_si256(u, exponent), _mm256_setzero_si256());
    r = _mm256_blendv_epi8(r, _mm256_and_si256(u, _mm256_set1_epi32((int)0x80000000)), tiny);
    return _mm256_castsi256_ps(_mm256_and_si256(r, high));
}
LANES lanes v_bf16(lanes a) {
    return (lanes){bf16_half(a.lo), bf16_half(a.hi)};
}
LANES void v_load_pairs(const uint16_t *p, lanes *even, lanes *odd) {
    const __m256i high = _mm256_set1_epi32((int)0xffff0000);
    __m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)p + 1);
    even->lo = _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
    even->hi = _mm256_castsi256_ps(_mm256_slli_epi32(b, 16));
    odd->lo = _mm256_castsi256_ps(_mm256_and_si256(a, high));
    odd->hi = _mm256_castsi256_ps(_mm256_and_si256(b, high));
}

typedef struct pairs { /* apart, as FMA takes them; in memory each even element stands below its odd one */
    lanes even, odd;
} pairs;

LANES pairs p_load(const void *p) {
    pairs a;
    v_load_pairs(p, &a.even, &a.odd);
    return a;
}
LANES __m256i pair_half(__m256 even, __m256 odd) {
    return _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(bf16_half(even)), 16),
                           _mm256_castps_si256(bf16_half(odd)));
}
LANES void p_store(void *p, lanes even, lanes odd) {
    _mm256_storeu_si256(p, pair_half(even.lo, odd.lo));
    _mm256_storeu_si256((__m256i *)p + 1, pair_half(even.hi, odd.hi));
}
/* Words below 65536 as 16 bits. */
LANES void store_words(uint16_t *p, __m256i lo, __m256i hi) {
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packus_epi32(lo, hi), 0xd8));
}
LANES void p_store_row(uint16_t *p, lanes a) {
    store_words(p, _mm256_srli_epi32(_mm256_castps_si256(bf16_half(a.lo)), 16), _mm256_srli_epi32(_mm256_castps_si256(bf16_half(a.hi)), 16));
}
#define V_SPLIT
/* See body_masters.h. */
LANES __m256i not_denormal(__m256i u) {
    __m256i tiny = _mm256_cmpeq_epi32(_mm256_and_si256(u, _mm256_set1_epi32(0x7f800000)), _mm256_setzero_si256());
    return _mm256_andnot_si256(tiny, u);
}
LANES unsigned carried_half(__m256i u) {
    __m256i lower = _mm256_and_si256(u, _mm256_set1_epi32(0xffff)), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(lower, _mm256_set1_epi32(0x7fff)), odd);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32(sum, 15)));
}
LANES uint16_t v_split(lanes a, uint16_t *low) {
    const __m256i lower = _mm256_set1_epi32(0xffff);
    __m256i lo = not_denormal(_mm256_castps_si256(a.lo)), hi = not_denormal(_mm256_castps_si256(a.hi));
    store_words(low, _mm256_and_si256(lo, lower), _mm256_and_si256(hi, lower));
    return (uint16_t)(carried_half(lo) | carried_half(hi) << 8);
}
LANES __m256 halves_joined(const uint16_t *high, const uint16_t *low, unsigned carried) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)high));
    __m256i l = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)low));
    __m256i is = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)carried), bits), bits); /* -1 where carried */
    return _mm256_castsi256_ps(_mm256_or_si256(_mm256_slli_epi32(_mm256_add_epi32(h, is), 16), l));
}
LANES lanes v_join(const uint16_t *high, const uint16_t *low, uint16_t carried) {
    return (lanes){halves_joined(high, low, carried & 255u), halves_joined(high + 8, low + 8, (unsigned)carried >> 8)};
}

/* For integers that are 2^24 (even) and 1 times theirs: the scales, and 2^16 times as much. */
typedef struct q8_scales {
    lanes even, even_up, odd, odd_up;
} q8_scales;
LANES q8_scales q8_load(const void *p) {
    lanes s = v_load(p);
    return (q8_scales){v_mul(s, v_set(0x1p-24f)), v_mul(s, v_set(0x1p-8f)), s, v_mul(s, v_set(0x1p16f))};
}
/* The product's first 8 bits, rounded to nearest even: at the end of 2^16 times the product, which is exact, there is no place for
 * more. test_matrix_q8 tries it on each integer and scale. */
LANES __m256 q8_half(__m256i integers, __m256 scales, __m256 up) {
    __m256 q = _mm256_cvtepi32_ps(integers), high = _mm256_mul_ps(q, up);
    return _mm256_sub_ps(_mm256_fmadd_ps(q, scales, high), high);
}
LANES void v_load_q8(const int8_t *p, q8_scales s, lanes *even, lanes *odd) {
    __m256i lo = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p));
    __m256i hi = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p + 1));
    even->lo = q8_half(_mm256_slli_epi32(lo, 24), s.even.lo, s.even_up.lo);
    even->hi = q8_half(_mm256_slli_epi32(hi, 24), s.even.hi, s.even_up.hi);
    odd->lo = q8_half(_mm256_srai_epi32(lo, 8), s.odd.lo, s.odd_up.lo);
    odd->hi = q8_half(_mm256_srai_epi32(hi, 8), s.odd.hi, s.odd_up.hi);
}
LANES __m256i join_half(__m256 even, __m256 odd) {
    return _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(even), 16), _mm256_castps_si256(odd));
}
LANES pairs p_join(lanes even, lanes odd) {
    return (pairs){even, odd};
}
LANES pairs p_load_q8(const int8_t *p, q8_scales s) {
    pairs a;
    v_load_q8(p, s, &a.even, &a.odd);
    return a;
}
LANES void p_put(void *p, pairs a) {
    _mm256_storeu_si256(p, join_half(a.even.lo, a.odd.lo));
    _mm256_storeu_si256((__m256i *)p + 1, join_half(a.even.hi, a.odd.hi));
}
#define P_TURN
/* See body_pack_pairs.h. Pairs of columns first, inside 64 bits; then four blocks of 4 x 4 of those are transposed. */
LANES void p_turn(const char *w, char *to) {
    const __m256i columns = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    for (int half = 0; half < 2; half++)
        for (int lines = 0; lines < 8; lines += 4) {
            __m256i r[4], t[4];
#pragma GCC unroll 4
            for (int a = 0; a < 4; a++)
                r[a] = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(w + 64 * (lines + a) + 32 * half)), columns);
            t[0] = _mm256_unpacklo_epi64(r[0], r[1]);
            t[1] = _mm256_unpackhi_epi64(r[0], r[1]);
            t[2] = _mm256_unpacklo_epi64(r[2], r[3]);
            t[3] = _mm256_unpackhi_epi64(r[2], r[3]);
            char *out = to + 64 * 4 * half + 8 * lines;
#pragma GCC unroll 2
            for (int c = 0; c < 2; c++) {
                _mm256_storeu_si256((__m256i *)(out + 64 * c), _mm256_permute2x128_si256(t[c], t[2 + c], 0x20));
                _mm256_storeu_si256((__m256i *)(out + 64 * (c + 2)), _mm256_permute2x128_si256(t[c], t[2 + c], 0x31));
            }
        }
}

#define HEADS_TOGETHER 1 /* of attention */
#define KEYS_TOGETHER 6 /* of its backward pass */
#define ROWS_TOGETHER 4 /* of attention's query rows */
#define TILE_ROWS 6
#define FEW_REGISTERS /* see tile.h */
#define BOTH_WEIGHTS 4 /* rows of a tile that leaves registers for two weights a lane */
